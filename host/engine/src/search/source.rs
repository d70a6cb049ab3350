//! Where the values of a document come from: fields of a hash, or paths into a JSON document.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::schema::DocumentType;
use crate::keyspace::Value;
use crate::types::hasher::Hasher;
use crate::types::json::{self, Json};

/// Where a value is.
#[derive(Clone, Debug)]
pub enum Path {
    /// In the field of this name.
    Field,
    /// Where this leads to.
    Json(json::Path),
    /// Nowhere: it is no path.
    Nowhere,
}

impl Path {
    /// Whether the values that it leads to stand in an order.
    pub fn is_ordered(&self) -> bool {
        match self {
            Self::Json(path) => path.is_single(),
            Self::Field | Self::Nowhere => true,
        }
    }

    /// Where a value is that is only named.
    pub fn of_name(name: &[u8], kind: DocumentType) -> Self {
        match kind {
            DocumentType::Hash => Self::Field,
            DocumentType::Json => json::Path::parse(name).map_or(Self::Nowhere, Self::Json),
        }
    }
}

/// A value as a document has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// Text.
    Text(&'a [u8]),
    /// A number.
    Number(f64),
    /// Something that no field can be found by.
    Other,
}

/// A document.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    value: &'a Value,
    hasher: &'a Hasher,
}

impl<'a> Source<'a> {
    /// A key's value as a document of this kind, if it is one.
    pub fn of(value: &'a Value, kind: DocumentType, hasher: &'a Hasher) -> Option<Self> {
        let is_one = match (value, kind) {
            (Value::Hash(hash), DocumentType::Hash) => !hash.is_empty(),
            (Value::Json(_), DocumentType::Json) => true,
            _ => false,
        };
        is_one.then_some(Self { value, hasher })
    }

    /// Shows all values that a field has.
    pub fn each(&self, path: &[u8], source: &Path, show: &mut dyn FnMut(Raw<'_>)) {
        match (self.value, source) {
            (Value::Hash(hash), Path::Field) => {
                if let Some(found) = hash.get(self.hasher, path) {
                    found.with(|text| show(Raw::Text(text)));
                }
            }
            (Value::Json(document), Path::Json(path)) => {
                let Ok(found) = path.find(document.root()) else { return show(Raw::Other) };
                match found.as_slice() {
                    [only] => show_json(only, show),
                    several => several.iter().for_each(|one| show_element(one, show)),
                }
            }
            _ => {}
        }
    }

    /// The value of a field as a client sees it.
    pub fn shown(&self, path: &[u8], source: &Path) -> Option<Vec<u8>> {
        match (self.value, source) {
            (Value::Hash(hash), Path::Field) => {
                hash.get(self.hasher, path).map(|found| found.to_vec())
            }
            (Value::Json(document), Path::Json(path)) => {
                let found = path.first(document.root()).ok().flatten()?;
                Some(match found.as_text() {
                    Some(text) => text.as_bytes().to_vec(),
                    None => json::write::compact(found),
                })
            }
            _ => None,
        }
    }

    /// All values of a field as a client sees them that asks for all: those of a JSON document are
    /// elements of an array.
    pub fn shown_whole(&self, path: &[u8], source: &Path) -> Option<Vec<u8>> {
        let (Value::Json(document), Path::Json(found)) = (self.value, source) else {
            return self.shown(path, source);
        };
        let mut out = alloc::vec![b'['];
        let all = found.each(document.root(), &mut |value, _| {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(&json::write::compact(value));
            ControlFlow::Continue(())
        });
        out.push(b']');
        (all.is_ok() && out.len() > 2).then_some(out)
    }

    /// Shows everything that a document holds, as a client sees it.
    pub fn each_shown(&self, show: &mut dyn FnMut(&[u8], &[u8])) {
        match self.value {
            Value::Hash(hash) => {
                for (field, value) in hash.iter() {
                    field.with(|field| value.with(|value| show(field, value)));
                }
            }
            Value::Json(document) => show(b"$", &json::write::compact(document.root())),
            _ => {}
        }
    }
}

/// Shows a value, or the elements of an array. What is null is as good as not there.
fn show_json(value: &Json, show: &mut dyn FnMut(Raw<'_>)) {
    match (value, value.as_array()) {
        (Json::Bool(truth), _) => show(Raw::Text(if *truth { b"true" } else { b"false" })),
        (_, Some(elements)) => elements.iter().for_each(|element| show_element(element, show)),
        _ => show_element(value, show),
    }
}

/// Shows one of several values: text or a number.
fn show_element(value: &Json, show: &mut dyn FnMut(Raw<'_>)) {
    if let Some(text) = value.as_text() {
        return show(Raw::Text(text.as_bytes()));
    }
    match (value, value.as_f64()) {
        (Json::Null, _) => {}
        (_, Some(number)) => show(Raw::Number(number)),
        _ => show(Raw::Other),
    }
}
