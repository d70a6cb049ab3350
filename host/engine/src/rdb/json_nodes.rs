//! JSON documents as the first RedisJSON (1.0, version 0 of the type `ReJSON-RL`) wrote them: node by
//! node, each with its kind in front. They are only read.
//!
//! A count promises nothing: elements are read until they are there or the data ends.

use alloc::vec::Vec;

use super::module::{DOUBLE, STRING, UNSIGNED};
use super::read::{Malformed, Reader};
use crate::types::json::{DEPTH_MAX, Json, Object, Text};

/// Kinds of nodes.
const NULL: u64 = 0x01;
const TEXT: u64 = 0x02;
const NUMBER: u64 = 0x04;
const INTEGER: u64 = 0x08;
const BOOL: u64 = 0x10;
const OBJECT: u64 = 0x20;
const ARRAY: u64 = 0x40;
const MEMBER: u64 = 0x80;

/// Reads a document's root and all within it.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Json, Malformed> {
    node(reader, DEPTH_MAX)
}

/// Reads a node that may nest so deep.
fn node(reader: &mut Reader<'_>, depth_left: usize) -> Result<Json, Malformed> {
    Ok(match unsigned(reader)? {
        NULL => Json::Null,
        TEXT => Json::Text(text(reader)?),
        NUMBER => Json::Double(double(reader)?),
        INTEGER => Json::Integer(unsigned(reader)?.cast_signed()),
        BOOL => Json::Bool(marked(reader, STRING)?.string()?.first() == Some(&b'1')),
        ARRAY => {
            let below = depth_left.checked_sub(1).ok_or(Malformed)?;
            let count = unsigned(reader)?;
            let elements = (0..count).map(|_| node(reader, below));
            Json::array(elements.collect::<Result<Vec<_>, _>>()?)
        }
        OBJECT => {
            let below = depth_left.checked_sub(1).ok_or(Malformed)?;
            let count = unsigned(reader)?;
            let members = (0..count).map(|_| member(reader, below));
            Json::Object(members.collect::<Result<Object, _>>()?.into())
        }
        _ => return Err(Malformed),
    })
}

fn member(reader: &mut Reader<'_>, depth_left: usize) -> Result<(Text, Json), Malformed> {
    match unsigned(reader)? {
        MEMBER => Ok((text(reader)?, node(reader, depth_left)?)),
        _ => Err(Malformed),
    }
}

/// The reader behind the mark of what is expected.
fn marked<'r, 'b>(reader: &'r mut Reader<'b>, mark: u64) -> Result<&'r mut Reader<'b>, Malformed> {
    if reader.length()? == mark { Ok(reader) } else { Err(Malformed) }
}

fn unsigned(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    marked(reader, UNSIGNED)?.length()
}

fn text(reader: &mut Reader<'_>) -> Result<Text, Malformed> {
    let text = marked(reader, STRING)?.string()?;
    core::str::from_utf8(&text).map(|text| text.as_bytes().into()).map_err(|_| Malformed)
}

fn double(reader: &mut Reader<'_>) -> Result<f64, Malformed> {
    let value = marked(reader, DOUBLE)?.double()?;
    if value.is_finite() { Ok(value) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::super::form::Form;
    use super::super::write::{write_length, write_string};
    use super::*;
    use crate::types::json::{parse, write};

    fn put(out: &mut Vec<u8>, mark: u64, value: u64) {
        write_length(out, mark);
        write_length(out, value);
    }

    fn put_text(out: &mut Vec<u8>, text: &[u8]) {
        write_length(out, STRING);
        write_string(out, text, Form::DUMP);
    }

    /// As that release wrote it.
    fn put_node(out: &mut Vec<u8>, value: &Json) {
        match value {
            Json::Null => put(out, UNSIGNED, NULL),
            Json::Bool(value) => {
                put(out, UNSIGNED, BOOL);
                put_text(out, if *value { b"1" } else { b"0" });
            }
            Json::Integer(value) => {
                put(out, UNSIGNED, INTEGER);
                put(out, UNSIGNED, value.cast_unsigned());
            }
            Json::Text(text) => {
                put(out, UNSIGNED, TEXT);
                put_text(out, text.as_bytes());
            }
            Json::Array(values) => {
                put(out, UNSIGNED, ARRAY);
                put(out, UNSIGNED, values.len() as u64);
                values.iter().for_each(|value| put_node(out, value));
            }
            Json::Object(object) => {
                put(out, UNSIGNED, OBJECT);
                put(out, UNSIGNED, object.len() as u64);
                for (name, value) in object.iter() {
                    put(out, UNSIGNED, MEMBER);
                    put_text(out, name.as_bytes());
                    put_node(out, value);
                }
            }
            _ => {
                put(out, UNSIGNED, NUMBER);
                write_length(out, DOUBLE);
                out.extend_from_slice(&value.as_f64().unwrap().to_le_bytes());
            }
        }
    }

    fn written(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_node(&mut out, &parse::parse(text).unwrap());
        out
    }

    #[test]
    fn every_kind_of_node_is_read() {
        let text =
            r#"{"a":{"b":[{"c":-1},true,false,""],"a":"text"},"n":null,"d":-2.5,"e":[],"o":{}}"#;
        let bytes = written(text);
        let mut reader = Reader::new(&bytes, 100);
        assert_eq!(write::compact(&read(&mut reader).unwrap()), text.as_bytes());
        assert_eq!(reader.rest(), b"");
        for cut in 0..bytes.len() {
            assert!(read(&mut Reader::new(&bytes[..cut], 100)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let mut bytes = Vec::new();
        put(&mut bytes, UNSIGNED, OBJECT);
        put(&mut bytes, UNSIGNED, 2);
        for value in [1, 2] {
            put(&mut bytes, UNSIGNED, MEMBER);
            put_text(&mut bytes, b"a");
            put_node(&mut bytes, &Json::Integer(value));
        }
        let value = read(&mut Reader::new(&bytes, 100)).unwrap();
        assert_eq!(write::compact(&value), b"{\"a\":2}");
    }

    #[test]
    fn promises_and_depths_that_nothing_keeps_are_refused() {
        for count in [1, 1 << 40, 1 << 62, u64::MAX] {
            for kind in [ARRAY, OBJECT] {
                let mut bytes = Vec::new();
                put(&mut bytes, UNSIGNED, kind);
                put(&mut bytes, UNSIGNED, count);
                assert!(read(&mut Reader::new(&bytes, 100)).is_err());
            }
        }
        let nested = |depth| {
            let mut bytes = Vec::new();
            for _ in 0..depth {
                put(&mut bytes, UNSIGNED, ARRAY);
                put(&mut bytes, UNSIGNED, 1);
            }
            put_node(&mut bytes, &Json::Null);
            bytes
        };
        assert!(read(&mut Reader::new(&nested(DEPTH_MAX), 100)).is_ok());
        assert!(read(&mut Reader::new(&nested(DEPTH_MAX + 1), 100)).is_err());
        assert!(read(&mut Reader::new(&nested(1_000_000), 100)).is_err());
    }

    #[test]
    fn what_is_no_node_is_refused() {
        let infinite = [&[2, 4, 4][..], &f64::INFINITY.to_le_bytes()].concat();
        for bytes in [
            &[2, 0][..],
            &[2, 3],
            &[1, 1],
            // A member outside of an object.
            &[2, 0x40, 0x80, 5, 1, b'a', 2, 1],
            // Text that is none.
            &[2, 2, 5, 1, 0xff],
            // An integer with a mark of another kind.
            &[2, 8, 1, 1],
            &infinite,
        ] {
            assert!(read(&mut Reader::new(bytes, 100)).is_err(), "{bytes:?}");
        }
    }
}
