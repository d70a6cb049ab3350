//! A byte string that never changes, in 24 bytes: up to 22 bytes lie inside, longer ones on the heap.
//!
//! This is what the hash tables of sets, hashes and sorted sets hold, so that comparing and
//! re-hashing an ordinary member needs no further memory access.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The bytes that fit inside.
pub const INLINE_BYTES_MAX: usize = 22;

/// An immutable byte string.
#[derive(Clone)]
pub struct SmallBytes(Form);

#[derive(Clone)]
enum Form {
    Inline(u8, [u8; INLINE_BYTES_MAX]),
    Heap(Box<[u8]>),
}

impl SmallBytes {
    /// The bytes of all `parts`, one after the other.
    #[must_use]
    pub fn concat(parts: &[&[u8]]) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > INLINE_BYTES_MAX {
            let mut bytes = Vec::with_capacity(length);
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            return Self(Form::Heap(bytes.into_boxed_slice()));
        }
        let mut bytes = [0; INLINE_BYTES_MAX];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Self(Form::Inline(length as u8, bytes))
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Form::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Form::Heap(bytes) => bytes,
        }
    }

    /// Bytes allocated outside.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::Inline(..) => 0,
            Form::Heap(bytes) => bytes.len(),
        }
    }
}

impl From<&[u8]> for SmallBytes {
    fn from(bytes: &[u8]) -> Self {
        Self::concat(&[bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_bytes_of_every_length_in_24_bytes() {
        assert_eq!(size_of::<SmallBytes>(), 24);
        for length in [0, 1, 21, 22, 23, 100] {
            let bytes: Vec<u8> = (0..length).collect();
            let small = SmallBytes::from(&bytes[..]);
            assert_eq!(small.as_slice(), bytes);
            assert_eq!(small.heap_bytes(), if length > 22 { usize::from(length) } else { 0 });
        }
        assert_eq!(SmallBytes::concat(&[b"ab", b"", b"c"]).as_slice(), b"abc");
    }
}
