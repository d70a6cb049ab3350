//! The elements of Redis's serialised data, read from bytes that may say anything.
//!
//! Every length is checked against what is really there before anything is done with it, and
//! nothing is allocated because of a promise.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::lzf;
use super::marks::{COMPRESSED, INT8, INT16, INT32, LENGTH_32_BITS, LENGTH_64_BITS};
use crate::types::number;

/// The longest text of an integer of 32 bits.
const INTEGER_TEXT_BYTES_MAX: usize = 11;

/// The data is not what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A cursor over serialised data.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    string_bytes_max: usize,
    /// How many bytes more would have been read.
    missing: Option<usize>,
    /// Whether what was wrong is only that a collection was empty; then it has been read.
    is_empty: bool,
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`; no string may come out longer than `string_bytes_max`.
    #[must_use]
    pub fn new(bytes: &'a [u8], string_bytes_max: usize) -> Self {
        Self { rest: bytes, string_bytes_max, missing: None, is_empty: false }
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes more the last reading needed, if that was what it failed for.
    pub(super) fn missing(&self) -> Option<usize> {
        self.missing
    }

    /// Whether the last reading failed only for a collection without elements, which was read to its
    /// end: Redis has written such by mistake.
    pub(super) fn found_empty(&self) -> bool {
        self.is_empty
    }

    /// Remembers that a collection, read to its end, has no elements.
    #[cold]
    pub(super) fn empty(&mut self) -> Malformed {
        self.is_empty = true;
        Malformed
    }

    /// Remembers that so many bytes are not there, if that many may come at all.
    #[cold]
    fn lacks(&mut self, count: usize) -> Malformed {
        /// What Redis allows a string to have at most, and what lies in memory as one besides.
        const BYTES_MAX: usize = 1 << 30;
        if count <= self.string_bytes_max.max(BYTES_MAX) {
            self.missing = Some(count - self.rest.len());
        }
        Malformed
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((array, rest)) = self.rest.split_first_chunk() else { return Err(self.lacks(N)) };
        self.rest = rest;
        Ok(*array)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed)?;
        let Some((bytes, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.lacks(count));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// A length.
    pub fn length(&mut self) -> Result<u64, Malformed> {
        let first = self.byte()?;
        match first {
            0..0x40 => Ok(first.into()),
            0x40..0x80 => Ok(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            LENGTH_32_BITS => Ok(u32::from_be_bytes(self.array()?).into()),
            LENGTH_64_BITS => Ok(u64::from_be_bytes(self.array()?)),
            _ => Err(Malformed),
        }
    }

    /// A number of elements of a collection, which is never empty.
    pub fn count(&mut self) -> Result<u64, Malformed> {
        match self.length()? {
            0 => Err(self.empty()),
            count => Ok(count),
        }
    }

    /// A string, whichever form it has.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let Some(first) = self.rest.first() else { return Err(self.lacks(1)) };
        let integer = match first {
            mark @ (&INT8 | &INT16 | &INT32) => {
                self.byte()?;
                match *mark {
                    INT8 => i8::from_le_bytes(self.array()?).into(),
                    INT16 => i16::from_le_bytes(self.array()?).into(),
                    _ => i32::from_le_bytes(self.array()?).into(),
                }
            }
            &COMPRESSED => {
                self.byte()?;
                return self.compressed().map(Cow::Owned);
            }
            _ => {
                let length = self.length()?;
                return self.bytes(length).map(Cow::Borrowed);
            }
        };
        let mut text = Vec::with_capacity(INTEGER_TEXT_BYTES_MAX);
        number::write_i64(&mut text, integer);
        Ok(Cow::Owned(text))
    }

    fn compressed(&mut self) -> Result<Vec<u8>, Malformed> {
        let (compressed, length) = (self.length()?, self.length()?);
        let compressed = self.bytes(compressed)?;
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        if length > self.string_bytes_max {
            return Err(Malformed);
        }
        lzf::decompress(compressed, length).ok_or(Malformed)
    }

    /// A number of eight bytes; never "not a number".
    pub fn double(&mut self) -> Result<f64, Malformed> {
        let value = f64::from_le_bytes(self.array()?);
        if value.is_nan() { Err(Malformed) } else { Ok(value) }
    }

    /// A number as text, with a byte of length in front; never "not a number".
    pub fn double_as_text(&mut self) -> Result<f64, Malformed> {
        match self.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Err(Malformed),
            length => {
                let text = self.bytes(length.into())?;
                number::parse_f64_any_size(text).ok_or(Malformed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Form, write};
    use super::*;

    const MAX: usize = 1 << 20;

    #[test]
    fn lengths_read_back() {
        for length in [0, 63, 64, 16_383, 16_384, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let mut out = Vec::new();
            write::write_length(&mut out, length);
            let mut reader = Reader::new(&out, MAX);
            assert_eq!(reader.length(), Ok(length));
            assert_eq!(reader.rest(), b"");
            assert_eq!(Reader::new(&out[..out.len() - 1], MAX).length(), Err(Malformed));
        }
        assert_eq!(Reader::new(&[0xc0, 1], MAX).length(), Err(Malformed));
        assert_eq!(Reader::new(&[0x82, 1, 1, 1, 1], MAX).length(), Err(Malformed));
    }

    #[test]
    fn strings_read_back_and_are_short() {
        let check = |text: &[u8], bytes: usize| {
            let mut out = Vec::new();
            write::write_string(&mut out, text, Form::DUMP);
            assert_eq!(out.len(), bytes, "{text:?}");
            let mut reader = Reader::new(&out, MAX);
            assert_eq!(reader.string().as_deref(), Ok(text));
            assert_eq!(reader.rest(), b"");
            for cut in 0..out.len() {
                assert_eq!(Reader::new(&out[..cut], MAX).string(), Err(Malformed));
            }
        };
        for (text, bytes) in [("", 1), ("0", 2), ("-128", 2), ("128", 3), ("-32768", 3)] {
            check(text.as_bytes(), bytes);
        }
        for (text, bytes) in [("32768", 5), ("-2147483648", 5), ("2147483648", 11), ("007", 4)] {
            check(text.as_bytes(), bytes);
        }
        check(&[b'a'; 20], 21);
        check(&[b'a'; 21], 8);
        check(&[b'a'; 300], 12);
    }

    #[test]
    fn promises_of_size_are_not_believed() {
        let huge = [COMPRESSED, 2, LENGTH_64_BITS, 0, 0, 0, 1, 0, 0, 0, 0, 0, b'a'];
        assert_eq!(Reader::new(&huge, usize::MAX).string(), Err(Malformed));
        let mut out = Vec::new();
        write::write_string(&mut out, &[b'a'; 1000], Form::DUMP);
        assert_eq!(Reader::new(&out, 999).string(), Err(Malformed));
        assert_eq!(
            Reader::new(&[LENGTH_32_BITS, 255, 255, 255, 255, 1], MAX).string(),
            Err(Malformed)
        );
    }

    #[test]
    fn numbers_are_numbers() {
        assert_eq!(Reader::new(&f64::NAN.to_le_bytes(), MAX).double(), Err(Malformed));
        assert_eq!(Reader::new(&1.5_f64.to_le_bytes(), MAX).double(), Ok(1.5));
        assert_eq!(Reader::new(b"\x031.5", MAX).double_as_text(), Ok(1.5));
        assert_eq!(Reader::new(b"\xff", MAX).double_as_text(), Ok(f64::NEG_INFINITY));
        for broken in [&b"\xfd"[..], b"\x03nan", b"\x031.", b"\x01x", b"\x00", b""] {
            assert_eq!(Reader::new(broken, MAX).double_as_text(), Err(Malformed));
        }
    }
}
