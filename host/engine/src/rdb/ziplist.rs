//! The ziplist: what small lists, hashes and sorted sets were before the listpack. Read only.
//!
//! A header (total bytes, offset of the last entry, both u32, and number of entries as u16 where
//! 65535 means "count them", all little endian), the entries, and 255. An entry says how long the
//! one before it is, then its own type and length, then its content.

use super::read::{Malformed, Reader};
use crate::types::element::Element;

const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;
/// The length of the entry before follows in four bytes.
const LONG_BEFORE: u8 = 0xfe;
/// In the header's 16 bits: there are so many that they have to be counted.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The entries of a ziplist; one that is wrong, or a header that does not fit, comes as an error,
/// and nothing after it.
#[derive(Clone, Debug)]
pub(super) struct Ziplist<'a> {
    bytes: &'a [u8],
    at: usize,
    before: usize,
    count: usize,
    is_done: bool,
}

impl<'a> Ziplist<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: HEADER_BYTES, before: 0, count: 0, is_done: false }
    }

    /// The next entry, or nothing at a proper end.
    fn entry(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        let rest = self.bytes.get(self.at..).ok_or(Malformed)?;
        let mut reader = Reader::new(rest, 0);
        let before = match reader.byte()? {
            END => return self.end(reader.rest()).map(|()| None),
            LONG_BEFORE => u32::from_le_bytes(reader.array()?) as usize,
            before => before.into(),
        };
        if before != self.before {
            return Err(Malformed);
        }
        let element = content(&mut reader)?;
        self.before = rest.len() - reader.rest().len();
        self.at += self.before;
        self.count += 1;
        Ok(Some(element))
    }

    fn end(&self, rest: &[u8]) -> Result<(), Malformed> {
        let mut header = Reader::new(self.bytes, 0);
        let total = u32::from_le_bytes(header.array()?) as usize;
        let last = u32::from_le_bytes(header.array()?) as usize;
        let promised = u16::from_le_bytes(header.array()?);
        let counted = promised == COUNT_UNKNOWN || usize::from(promised) == self.count;
        let fits = rest.is_empty() && total == self.bytes.len() && last == self.at - self.before;
        if fits && counted { Ok(()) } else { Err(Malformed) }
    }
}

fn content<'a>(reader: &mut Reader<'a>) -> Result<Element<'a>, Malformed> {
    let first = reader.byte()?;
    let length = match first {
        0..0x40 => u64::from(first),
        0x40..0x80 => u64::from(first & 0x3f) << 8 | u64::from(reader.byte()?),
        0x80 => u32::from_be_bytes(reader.array()?).into(),
        _ => return integer(reader, first).map(Element::Int),
    };
    reader.bytes(length).map(Element::Bytes)
}

fn integer(reader: &mut Reader<'_>, kind: u8) -> Result<i64, Malformed> {
    Ok(match kind {
        0xc0 => i16::from_le_bytes(reader.array()?).into(),
        0xd0 => i32::from_le_bytes(reader.array()?).into(),
        0xe0 => i64::from_le_bytes(reader.array()?),
        0xf0 => {
            let [low, middle, high] = reader.array()?;
            (i32::from_le_bytes([0, low, middle, high]) >> 8).into()
        }
        0xfe => i8::from_le_bytes(reader.array()?).into(),
        // The value itself, plus one.
        0xf1..=0xfd => i64::from(kind & 0x0f) - 1,
        _ => return Err(Malformed),
    })
}

impl<'a> Iterator for Ziplist<'a> {
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

    use super::super::super::types::random::seeded;
    use super::*;

    /// A ziplist of these raw contents (type, length and bytes).
    fn ziplist(contents: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::from([0; HEADER_BYTES]);
        let (mut last, mut before) = (HEADER_BYTES, 0_usize);
        for content in contents {
            last = bytes.len();
            match u8::try_from(before) {
                Ok(before) if before < LONG_BEFORE => bytes.push(before),
                _ => {
                    bytes.push(LONG_BEFORE);
                    bytes.extend((before as u32).to_le_bytes());
                }
            }
            bytes.extend_from_slice(content);
            before = bytes.len() - last;
        }
        bytes.push(END);
        let total = (bytes.len() as u32).to_le_bytes();
        bytes[..4].copy_from_slice(&total);
        bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        bytes[8..10].copy_from_slice(&(contents.len() as u16).to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        Ziplist::new(bytes).map(|element| element.map(Element::to_vec)).collect()
    }

    fn sample() -> Vec<u8> {
        let long = [&[0x41, 0x2c][..], &[b'x'; 300]].concat();
        ziplist(&[
            b"\x05hello",
            &long,
            b"\x80\0\0\0\x02ab",
            b"\xf1",
            b"\xfd",
            b"\xfe\xff",
            b"\xc0\x00\x80",
            b"\xf0\xff\xff\x7f",
            b"\xf0\x00\x00\x80",
            b"\xd0\x00\x00\x00\x80",
            b"\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
            b"\x00",
        ])
    }

    #[test]
    fn every_kind_of_entry_is_read() {
        let texts = read(&sample()).unwrap();
        assert_eq!(texts[0], b"hello");
        assert_eq!(texts[1], [b'x'; 300]);
        let rest: Vec<_> =
            texts[2..].iter().map(|text| core::str::from_utf8(text).unwrap()).collect();
        assert_eq!(
            rest,
            [
                "ab",
                "0",
                "12",
                "-1",
                "-32768",
                "8388607",
                "-8388608",
                "-2147483648",
                "-9223372036854775808",
                ""
            ]
        );
        assert_eq!(read(&ziplist(&[])), Ok(Vec::new()));
    }

    #[test]
    fn every_wrong_byte_of_the_structure_is_noticed() {
        let bytes = ziplist(&[b"\x01a", b"\xf3", b"\x02bc"]);
        let good = read(&bytes).unwrap();
        for at in 0..bytes.len() {
            assert_eq!(read(&bytes[..at]), Err(Malformed), "cut at {at}");
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            let changed = read(&broken);
            // Contents may say anything; all else is fixed.
            assert!(changed.is_err() || changed.as_ref().unwrap().len() == good.len(), "{at}");
        }
        assert_eq!(read(&[&bytes[..], &[0]].concat()), Err(Malformed));
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let mut random = seeded(3);
        for _ in 0..20_000 {
            let mut bytes = sample();
            for _ in 0..=random() % 3 {
                let at = random() as usize % bytes.len();
                bytes[at] = random() as u8;
            }
            let _ = read(&bytes);
        }
    }
}
