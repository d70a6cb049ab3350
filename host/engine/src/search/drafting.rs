//! What is to be indexed of a document, gathered before anything is changed: so a document that
//! cannot be indexed leaves no trace, and one that has not changed costs no more than looking.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::expression::{Lookup, Value};
use super::language::Language;
use super::schema::{DocumentType, FieldType, KEY, Schema};
use super::source::{Path, Raw, Source};
use crate::types::geohash::Position;
use crate::types::hasher::Hasher;
use crate::types::number;

/// The values of a document's fields, in the order of the fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// The document's own score.
    pub(super) score: f64,
    /// The language that it is in.
    pub(super) language: Language,
}

#[derive(Clone, Debug)]
struct Item {
    field: u32,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Text(Range<usize>),
    Number(f64),
    Other,
}

/// Why a document cannot be indexed: a field holds what it cannot be found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) Cow<'static, str>);

impl Unfit {
    const NO_GEO: Self = Self(Cow::Borrowed("Invalid geo string"));
    const TEXT_IN_NUMERIC: Self = Self(Cow::Borrowed(
        "Invalid JSON type: String type can represent only TEXT, TAG, GEO or GEOMETRY field",
    ));
    const NUMBER_IN_TEXT: Self =
        Self(Cow::Borrowed("Invalid JSON type: Numeric type can represent only NUMERIC field"));
    const OBJECT: Self =
        Self(Cow::Borrowed("Invalid JSON type: Object type can represent only GEOMETRY fields"));
    const NOT_ALL_TEXT: Self =
        Self(Cow::Borrowed("TEXT/TAG fields can only contain strings or nulls"));
    const NOT_ALL_NUMBERS: Self =
        Self(Cow::Borrowed("NUMERIC fields can only contain numeric or nulls"));

    fn no_number(text: &[u8]) -> Self {
        /// So much of what is no number is told.
        const TOLD_BYTES_MAX: usize = 128;
        let text = String::from_utf8_lossy(text.get(..TOLD_BYTES_MAX).unwrap_or(text));
        Self(Cow::Owned(format!("Invalid numeric value: '{text}'")))
    }
}

impl Draft {
    /// Gathers the values of a document. Whether the index is about it.
    pub(super) fn gather(&mut self, schema: &Schema, key: &[u8], source: &Source<'_>) -> bool {
        self.bytes.clear();
        self.items.clear();
        if let Some((_, filter)) = &schema.filter {
            let lookup = Unparsed { schema, key, source };
            if !filter.value(&lookup).is_ok_and(|value| value.is_true()) {
                return false;
            }
        }
        for (number, field) in (0..).zip(&schema.fields) {
            let (bytes, items) = (&mut self.bytes, &mut self.items);
            source.each(&field.path, &field.source, &mut |raw| {
                // What is hashed says which field a value is of and where it ends.
                bytes.extend_from_slice(&u32::to_le_bytes(number));
                let content = match raw {
                    Raw::Text(text) => {
                        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                        let from = bytes.len();
                        bytes.extend_from_slice(text);
                        Content::Text(from..bytes.len())
                    }
                    Raw::Number(value) => {
                        bytes.extend_from_slice(&value.to_le_bytes());
                        Content::Number(value)
                    }
                    Raw::Other => Content::Other,
                };
                items.push(Item { field: number, content });
            });
        }
        self.note_defaults(schema, source);
        true
    }

    /// Notes score and language, which a field of the document may say.
    fn note_defaults(&mut self, schema: &Schema, source: &Source<'_>) {
        let defaults = &schema.defaults;
        self.score = defaults.score.unwrap_or(1.0);
        if let Some(field) = &defaults.score_field {
            source.each(field, &Path::of_name(field, schema.documents), &mut |raw| {
                self.score = match raw {
                    Raw::Text(text) => number::parse_f64(text).unwrap_or(self.score),
                    Raw::Number(value) => value,
                    Raw::Other => self.score,
                };
            });
        }
        self.language = schema.language();
        if let Some(field) = &defaults.language_field {
            source.each(field, &Path::of_name(field, schema.documents), &mut |raw| {
                if let Raw::Text(text) = raw {
                    self.language = Language::of_name(text).unwrap_or(self.language);
                }
            });
        }
        self.bytes.extend_from_slice(&self.score.to_le_bytes());
        self.bytes.push(self.language.number());
    }

    /// A hash of everything in it.
    pub(super) fn fingerprint(&self, hasher: &Hasher) -> u64 {
        hasher.hash(&self.bytes)
    }

    /// Whether the document has nothing in a field.
    pub(super) fn lacks(&self, field: usize) -> bool {
        self.of(field).next().is_none()
    }

    /// Shows the texts of a field.
    pub(super) fn texts(&self, field: usize) -> impl Iterator<Item = &[u8]> {
        self.of(field).filter_map(|content| match content {
            Content::Text(range) => self.bytes.get(range.clone()),
            _ => None,
        })
    }

    /// The numbers of a numeric field, or the positions of a geographic one.
    pub(super) fn numbers(
        &self,
        field: usize,
        kind: &FieldType,
        documents: DocumentType,
    ) -> Result<Vec<f64>, Unfit> {
        let are_several = self.of(field).nth(1).is_some();
        let parsed = self.of(field).map(|content| match (content, kind) {
            (Content::Number(value), FieldType::Numeric) => Ok(*value),
            (Content::Text(_), FieldType::Numeric) if documents == DocumentType::Json => {
                Err(if are_several { Unfit::NOT_ALL_NUMBERS } else { Unfit::TEXT_IN_NUMERIC })
            }
            (Content::Text(range), FieldType::Numeric) => {
                let text = self.bytes.get(range.clone()).unwrap_or_default();
                let value = number::parse_f64(text).filter(|value| !value.is_nan());
                value.ok_or_else(|| Unfit::no_number(text))
            }
            (Content::Text(range), FieldType::Geo) => {
                let text = self.bytes.get(range.clone()).unwrap_or_default();
                parse_position(text).map(Position::score).ok_or(Unfit::NO_GEO)
            }
            (Content::Number(_), _) => Err(Unfit::NUMBER_IN_TEXT),
            (Content::Other, FieldType::Numeric) if are_several => Err(Unfit::NOT_ALL_NUMBERS),
            _ => Err(Unfit::OBJECT),
        });
        parsed.collect()
    }

    /// Whether all fields that are found by words or tags have text.
    pub(super) fn check_texts(&self, field: usize) -> Result<(), Unfit> {
        let is_text = |content: &&Content| matches!(content, Content::Text(_));
        let are_several = self.of(field).nth(1).is_some();
        match self.of(field).find(|content| !is_text(content)) {
            None => Ok(()),
            Some(_) if are_several => Err(Unfit::NOT_ALL_TEXT),
            Some(Content::Number(_)) => Err(Unfit::NUMBER_IN_TEXT),
            Some(_) => Err(Unfit::OBJECT),
        }
    }

    fn of(&self, field: usize) -> impl Iterator<Item = &Content> {
        let from = self.items.partition_point(|item| (item.field as usize) < field);
        let items = self.items.get(from..).unwrap_or_default().iter();
        items.take_while(move |item| item.field as usize == field).map(|item| &item.content)
    }
}

/// A position as `longitude,latitude`.
pub(super) fn parse_position(text: &[u8]) -> Option<Position> {
    let comma = text.iter().position(|byte| *byte == b',')?;
    let parse = |part: Option<&[u8]>| number::parse_f64(part?.trim_ascii());
    Position::new(parse(text.get(..comma))?, parse(text.get(comma + 1..))?)
}

/// The fields of a document that is not indexed yet.
struct Unparsed<'a> {
    schema: &'a Schema,
    key: &'a [u8],
    source: &'a Source<'a>,
}

impl Lookup for Unparsed<'_> {
    fn find(&self, name: &[u8]) -> Option<Value> {
        if name == KEY {
            return Some(Value::text(self.key));
        }
        let path = Path::of_name(name, self.schema.documents);
        let shown = match self.schema.field(name) {
            Some((_, field)) => self.source.shown(&field.path, &field.source),
            None => self.source.shown(name, &path),
        };
        shown.map(|text| Value::Text(Box::from(text)))
    }
}
