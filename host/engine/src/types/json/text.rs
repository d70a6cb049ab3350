//! A string of a document, in 16 bytes: up to 14 bytes lie inside, longer ones on the heap.
//!
//! Names of members and most values are short, so an ordinary document is few allocations. The bytes
//! are UTF-8; nothing here changes or checks them.

use alloc::boxed::Box;

/// The bytes that fit inside.
const INLINE_BYTES_MAX: usize = 14;

/// An immutable string.
#[derive(Clone)]
pub struct Text(Form);

#[derive(Clone)]
enum Form {
    Inline(u8, [u8; INLINE_BYTES_MAX]),
    // One word here, so that a value is two: long strings can bear the second allocation.
    Heap(Box<Box<[u8]>>),
}

impl Text {
    /// The bytes of `first` and `second`, one after the other.
    #[must_use]
    pub fn concat(first: &[u8], second: &[u8]) -> Self {
        let length = first.len() + second.len();
        if length > INLINE_BYTES_MAX {
            return Self(Form::Heap(Box::new([first, second].concat().into_boxed_slice())));
        }
        let mut bytes = [0; INLINE_BYTES_MAX];
        bytes[..first.len()].copy_from_slice(first);
        bytes[first.len()..length].copy_from_slice(second);
        Self(Form::Inline(length as u8, bytes))
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Form::Heap(bytes) => bytes,
        }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated outside.
    #[inline]
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::Inline(..) => 0,
            Form::Heap(bytes) => size_of::<Box<[u8]>>() + bytes.len(),
        }
    }
}

impl From<&[u8]> for Text {
    #[inline]
    fn from(bytes: &[u8]) -> Self {
        Self::concat(bytes, b"")
    }
}

impl PartialEq for Text {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl core::fmt::Debug for Text {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn keeps_bytes_of_every_length_in_16_bytes() {
        assert_eq!(size_of::<Text>(), 16);
        for length in [0, 1, 13, 14, 15, 100] {
            let bytes: Vec<u8> = (0..length).collect();
            let text = Text::from(&bytes[..]);
            assert_eq!(text.as_bytes(), bytes);
            let outside = if length > 14 { 16 + usize::from(length) } else { 0 };
            assert_eq!(text.heap_bytes(), outside);
            for at in 0..=bytes.len() {
                assert_eq!(Text::concat(&bytes[..at], &bytes[at..]), text);
            }
        }
    }
}
