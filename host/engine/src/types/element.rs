//! One element of a collection, as it is lent out: the bytes where they lie, or an integer whose
//! decimal text stands for them.
//!
//! Two elements are equal if their texts are. An `Int` is never a different element from the
//! `Bytes` of its text.

use alloc::vec::Vec;

use super::number::{format_i64, i64_len, parse_i64};

/// A borrowed element.
#[derive(Clone, Copy, Debug)]
pub enum Element<'a> {
    /// The element's bytes.
    Bytes(&'a [u8]),
    /// The element is the decimal text of this integer.
    Int(i64),
}

impl Element<'_> {
    /// Calls `f` with the element's bytes.
    pub fn with<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Bytes(bytes) => f(bytes),
            Self::Int(value) => f(format_i64(&mut [0; 20], value)),
        }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Int(value) => i64_len(value),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Appends the bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        self.with(|bytes| out.extend_from_slice(bytes));
    }

    /// The bytes as a value of their own.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// The element as an integer, if its bytes are the canonical text of one.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Bytes(bytes) => parse_i64(bytes),
            Self::Int(value) => Some(value),
        }
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Element::Int(a), Element::Int(b)) => a == b,
            _ => self.with(|a| other.with(|b| a == b)),
        }
    }
}

impl Eq for Element<'_> {}

impl PartialEq<[u8]> for Element<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.with(|bytes| bytes == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_equal_elements() {
        assert_eq!(Element::Int(-12), Element::Bytes(b"-12"));
        assert_ne!(Element::Int(12), Element::Bytes(b"012"));
        assert_eq!(Element::Int(i64::MIN).len(), 20);
        assert_eq!(Element::Int(i64::MIN).to_vec(), b"-9223372036854775808");
        assert_eq!(Element::Bytes(b"7").as_i64(), Some(7));
        assert!(Element::Bytes(b"").is_empty());
    }
}
