//! The zipmap: what small hashes were before the ziplist. Read only.
//!
//! A byte with the number of pairs where 254 means "count them", the pairs, and 255. A pair is a
//! field and a value, each with its length in front (one byte below 254, or 254 and four bytes,
//! little endian); a byte between the value's length and the value says how many unused bytes
//! follow it.

use super::read::{Malformed, Reader};
use crate::types::element::Element;

const END: u8 = 0xff;
/// The length follows in four bytes; as a number of pairs: unknown.
const LONG: u8 = 0xfe;

/// Fields and values in turn; what is wrong comes as an error, and nothing after it.
#[derive(Clone, Debug)]
pub(super) struct Zipmap<'a> {
    reader: Reader<'a>,
    /// The promised number of pairs, unless it is unknown.
    promised: Option<u8>,
    count: usize,
    is_value: bool,
    is_done: bool,
}

impl<'a> Zipmap<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes, 0);
        let promised = reader.byte().ok().filter(|count| *count < LONG);
        Self { reader, promised, count: 0, is_value: false, is_done: false }
    }

    fn entry(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        let length = match self.reader.byte()? {
            END if self.is_value => return Err(Malformed),
            END => return self.end().map(|()| None),
            LONG => u32::from_le_bytes(self.reader.array()?).into(),
            length => u64::from(length),
        };
        let unused = if self.is_value { self.reader.byte()? } else { 0 };
        let text = self.reader.bytes(length)?;
        self.reader.bytes(unused.into())?;
        self.count += usize::from(self.is_value);
        self.is_value = !self.is_value;
        Ok(Some(Element::Bytes(text)))
    }

    fn end(&self) -> Result<(), Malformed> {
        let counted = self.promised.is_none_or(|promised| usize::from(promised) == self.count);
        if counted && self.reader.rest().is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

impl<'a> Iterator for Zipmap<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let entry = self.entry().transpose();
        self.is_done = !matches!(entry, Some(Ok(_)));
        entry
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        Zipmap::new(bytes).map(|element| element.map(Element::to_vec)).collect()
    }

    #[test]
    fn fields_and_values_are_read() {
        let bytes = b"\x02\x03foo\x03\x02bar..\x05hello\xfe\x05\0\0\0\0world\xff";
        let texts = [&b"foo"[..], b"bar", b"hello", b"world"];
        assert_eq!(read(bytes), Ok(texts.map(<[u8]>::to_vec).to_vec()));
        assert_eq!(
            read(b"\xfe\x01a\x00\x00\xff"),
            Ok([&b"a"[..], b""].map(<[u8]>::to_vec).to_vec())
        );
        assert_eq!(read(b"\x00\xff"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let bytes = b"\x01\x03foo\x03\x02bar..\xff";
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Err(Malformed), "cut at {cut}");
        }
        for broken in [&b"\x02\x01a\x01\x00b\xff"[..], b"\x01\x01a\xff", b"\x00\xff\xff"] {
            assert_eq!(read(broken), Err(Malformed), "{broken:?}");
        }
    }
}
