//! Suggestions as RediSearch's module type `trietype0` writes them: texts, scores and payloads.
//!
//! What is written is version 1 of that type; version 0, which has no payloads, is read, too.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::form::Form;
use super::module::{DOUBLE, END, STRING, UNSIGNED};
use super::read::{Malformed, Reader};
use super::write::{write_double, write_length, write_string};
use crate::keyspace::Value;
use crate::types::suggestions::{Suggestion, Suggestions};

/// The name of the type.
pub(super) const NAME: &str = "trietype0";
const VERSION: u64 = 1;
const VERSION_WITHOUT_PAYLOADS: u64 = 0;
/// The name in letters of six bits, above the version.
const ID: u64 = 0xb6b8_9eb7_2a5e_d000;

/// Writes suggestions.
pub(super) fn write(out: &mut Vec<u8>, suggestions: &Suggestions, form: Form) {
    write_length(out, ID | VERSION);
    write_length(out, UNSIGNED);
    write_length(out, suggestions.len() as u64);
    suggestions.each(&mut |text, suggestion| {
        write_terminated(out, text, form);
        write_length(out, DOUBLE);
        write_double(out, suggestion.score.into());
        write_terminated(out, suggestion.payload.as_deref().unwrap_or_default(), form);
    });
    write_length(out, END);
}

/// A text with the zero behind it that the type counts with it.
fn write_terminated(out: &mut Vec<u8>, text: &[u8], form: Form) {
    write_length(out, STRING);
    write_string(out, &[text, b"\0"].concat(), form);
}

/// Reads suggestions behind their type.
pub(super) fn read(version: u64, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    if version > VERSION || reader.length()? != UNSIGNED {
        return Err(Malformed);
    }
    let count = reader.length()?;
    let mut suggestions = Suggestions::new();
    for _ in 0..count {
        let text = read_terminated(reader)?;
        if reader.length()? != DOUBLE {
            return Err(Malformed);
        }
        let score = f64::from_le_bytes(reader.array()?) as f32;
        let mut payload = Vec::new();
        if version != VERSION_WITHOUT_PAYLOADS {
            payload = read_terminated(reader)?;
        }
        if score.is_nan() || !Suggestions::is_fit(&text) {
            return Err(Malformed);
        }
        let payload = Some(payload).filter(|payload| !payload.is_empty()).map(Box::from);
        suggestions.put(&text, Suggestion { score, payload });
    }
    if reader.length()? != END {
        return Err(Malformed);
    }
    if suggestions.is_empty() {
        return Err(reader.empty());
    }
    Ok(Value::Suggestions(Box::new(suggestions)))
}

fn read_terminated(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    if reader.length()? != STRING {
        return Err(Malformed);
    }
    let mut text = reader.string()?.into_owned();
    if text.pop() == Some(0) { Ok(text) } else { Err(Malformed) }
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

    #[test]
    fn suggestions_read_back_and_those_without_payloads_are_read() {
        let mut suggestions = Suggestions::new();
        suggestions.put(b"some text", Suggestion { score: 1.5, payload: None });
        suggestions.put(b"some", Suggestion { score: -2.0, payload: Some(b"p"[..].into()) });
        let mut written = vec![];
        write(&mut written, &suggestions, Form::DUMP);
        let value = module::read(&mut Reader::new(&written, 100)).unwrap();
        assert_eq!(value.elements(), Value::Suggestions(Box::new(suggestions)).elements());
        let mut written = vec![];
        write_length(&mut written, ID | VERSION_WITHOUT_PAYLOADS);
        written.extend_from_slice(&[2, 1, 5, 2, b'x', 0, 4, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 77]);
        let mut reader = Reader::new(&written, 100);
        let value = module::read(&mut reader).unwrap();
        assert_eq!(value.elements(), [&b"x"[..], b"1", b""]);
        assert_eq!(reader.rest(), [77]);
    }

    #[test]
    fn what_is_no_suggestion_is_refused() {
        for (id, rest) in [
            (ID | 2, &[2, 1, 5, 2, b'x', 0, 4, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0][..]),
            (ID, &[2, 1, 5, 1, b'x', 4, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0]),
            (ID, &[2, 1, 5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0]),
            (ID, &[2, 0, 0]),
            (ID, &[2, 1, 5, 2, b'x', 0, 4, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f, 0]),
        ] {
            let mut written = vec![];
            write_length(&mut written, id);
            written.extend_from_slice(rest);
            assert!(module::read(&mut Reader::new(&written, 100)).is_err());
        }
    }
}
