//! JSON documents as RedisJSON's module type `ReJSON-RL` writes them: their text.
//!
//! What is written is version 3 of that type, which all of its releases since 2.0 read. Version 2,
//! which has the name of an index behind the text, is read, too, and version 0 (`json_nodes.rs`); other
//! versions are not.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::form::Form;
use super::json_nodes;
use super::module::{END, STRING, UNSIGNED};
use super::read::{Malformed, Reader};
use super::write::{write_length, write_string};
use crate::keyspace::Value;
use crate::types::json::{self, Document, Json};

/// The name of the type.
pub(super) const NAME: &str = "ReJSON-RL";
const VERSION: u64 = 3;
const VERSION_OF_NODES: u64 = 0;
const VERSION_WITH_INDEX: u64 = 2;
/// The name in letters of six bits, above the version.
const ID: u64 = 0x45e2_5238_df91_2c00;

/// Writes a document.
pub(super) fn write(out: &mut Vec<u8>, document: &Document, form: Form) {
    write_length(out, ID | VERSION);
    write_length(out, STRING);
    write_string(out, &json::write::compact(document.root()), form);
    write_length(out, END);
}

/// Reads a document behind its type.
pub(super) fn read(version: u64, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    let root = match version {
        VERSION | VERSION_WITH_INDEX => read_text(reader)?,
        VERSION_OF_NODES => json_nodes::read(reader)?,
        _ => return Err(Malformed),
    };
    if version == VERSION_WITH_INDEX {
        pass_index(reader)?;
    }
    if reader.length()? != END {
        return Err(Malformed);
    }
    Ok(Value::Json(Box::new(Document::new(root))))
}

fn read_text(reader: &mut Reader<'_>) -> Result<Json, Malformed> {
    if reader.length()? != STRING {
        return Err(Malformed);
    }
    let text = reader.string()?;
    let text = core::str::from_utf8(&text).map_err(|_| Malformed)?;
    json::parse::parse(text).map_err(|_| Malformed)
}

fn pass_index(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    if reader.length()? != UNSIGNED {
        return Err(Malformed);
    }
    if reader.length()? > 0 {
        (0..2).try_for_each(|_| pass_string(reader))?;
    }
    Ok(())
}

fn pass_string(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    match reader.length()? {
        STRING => reader.string().map(drop),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::super::module;
    use super::*;

    #[test]
    fn the_id_is_the_name() {
        assert_eq!(module::name(ID), NAME);
        assert_eq!(ID & 0x3ff, 0);
    }

    fn text(value: &Value) -> Vec<u8> {
        let Value::Json(document) = value else { panic!("a document") };
        json::write::compact(document.root())
    }

    #[test]
    fn both_versions_with_text_are_read() {
        let mut written = vec![];
        write_length(&mut written, ID | VERSION_WITH_INDEX);
        for part in [&[5, 3][..], b"[1]", &[2, 1, 5, 1, b'i', 5, 1, b'p', 0, 77]] {
            written.extend_from_slice(part);
        }
        let mut reader = Reader::new(&written, 100);
        assert_eq!(text(&module::read(&mut reader).unwrap()), b"[1]");
        assert_eq!(reader.rest(), [77]);
        let document = Document::new(json::parse::parse("{\"a\":[1,2.5]}").unwrap());
        let mut written = vec![];
        write(&mut written, &document, Form::DUMP);
        let value = module::read(&mut Reader::new(&written, 100)).unwrap();
        assert_eq!(text(&value), b"{\"a\":[1,2.5]}");
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for (id, rest) in [
            (ID | 4, &[5, 1, b'1', 0][..]),
            (ID | 3, &[5, 1, b'x', 0]),
            (ID | 3, &[5, 1, b'1', 5]),
            (ID | 3, &[2, 1, 0]),
            (ID | 2, &[5, 1, b'1', 2, 1, 0]),
            (3, &[5, 1, b'1', 0]),
        ] {
            let mut written = vec![];
            write_length(&mut written, id);
            written.extend_from_slice(rest);
            assert!(module::read(&mut Reader::new(&written, 100)).is_err());
        }
    }
}
