//! A JSON value, in 16 bytes: scalars and short strings lie inside, the rest on the heap.
//!
//! Integers that fit 64 bits, signed or unsigned, are kept exactly; other numbers are doubles. It
//! knows neither text nor paths; what changes a document goes through
//! [`Document`](super::Document), which keeps its size.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

use super::object::Object;
use super::text::Text;

/// So many bytes of text are as much to go over as a value.
const EXTENT_TEXT_BYTES: usize = 64;

/// A value.
#[derive(Clone, Debug)]
pub enum Json {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of 64 bits with a sign.
    Integer(i64),
    /// An integer beyond those.
    Unsigned(u64),
    /// Another number; always finite.
    Double(f64),
    /// A string.
    Text(Text),
    /// Values in order.
    Array(Box<Vec<Self>>),
    /// Values by their names.
    Object(Box<Object>),
}

/// What kind of value it is, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names below say it")]
pub enum Kind {
    Null,
    Bool,
    Integer,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    /// As in JSON.TYPE.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// A number of a document.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// An integer that fits 64 bits with a sign.
    Integer(i64),
    /// Any other.
    Double(f64),
}

impl Json {
    /// A string.
    #[must_use]
    pub fn text(bytes: &[u8]) -> Self {
        Self::Text(bytes.into())
    }

    /// An array.
    #[must_use]
    pub fn array(values: Vec<Self>) -> Self {
        Self::Array(Box::new(values))
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Integer(_) | Self::Unsigned(_) => Kind::Integer,
            Self::Double(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Array(_) => Kind::Array,
            Self::Object(_) => Kind::Object,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&Text> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The values of the array, if it is one.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// The object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The number, if it is one, as arithmetic takes it.
    #[must_use]
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Self::Integer(value) => Some(Number::Integer(*value)),
            Self::Unsigned(value) => Some(Number::Double(*value as f64)),
            Self::Double(value) => Some(Number::Double(*value)),
            _ => None,
        }
    }

    /// The number, if it is one, as a double.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    /// Whether it is an array or an object without anything in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Array(values) => values.is_empty(),
            Self::Object(object) => object.is_empty(),
            _ => false,
        }
    }

    /// The values directly within an array or an object; none within others.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        let (array, object) = (self.as_array(), self.as_object());
        let elements = array.into_iter().flatten();
        elements.chain(object.into_iter().flat_map(Object::iter).map(|(_, value)| value))
    }

    /// The child at this position.
    #[must_use]
    pub fn child(&self, at: usize) -> Option<&Self> {
        match self {
            Self::Array(values) => values.get(at),
            Self::Object(object) => object.at(at).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The child at this position, for changing.
    pub(super) fn child_mut(&mut self, at: usize) -> Option<&mut Self> {
        match self {
            Self::Array(values) => values.get_mut(at),
            Self::Object(object) => object.at_mut(at),
            _ => None,
        }
    }

    /// How many arrays and objects lie within each other here: 0 for a scalar.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Array(_) | Self::Object(_) => {
                1 + self.children().map(Self::depth).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// What lies on the heap behind the value and behind all within it.
    #[must_use]
    pub fn weight(&self) -> Weight {
        let mut weight = Weight::default();
        self.weigh(&mut weight);
        weight
    }

    fn weigh(&self, weight: &mut Weight) {
        match self {
            Self::Text(text) => weight.add_text(text),
            Self::Array(values) => {
                weight.add(self.frame_bytes());
                values.iter().for_each(|value| value.weigh(weight));
            }
            Self::Object(object) => {
                weight.add(self.frame_bytes());
                for (name, value) in object.iter() {
                    weight.add_text(name);
                    value.weigh(weight);
                }
            }
            _ => {}
        }
    }

    /// Bytes on the heap behind an array or object without what lies behind what is in it. O(1).
    pub(super) fn frame_bytes(&self) -> usize {
        match self {
            Self::Array(values) => size_of::<Vec<Self>>() + values.capacity() * size_of::<Self>(),
            Self::Object(object) => object.frame_bytes(),
            _ => 0,
        }
    }

    /// How much there is to go over: each value counts, itself included, and long texts count more.
    #[must_use]
    pub fn extent(&self) -> usize {
        let text = |text: &Text| text.len() / EXTENT_TEXT_BYTES;
        match self {
            Self::Text(value) => 1 + text(value),
            Self::Array(values) => 1 + values.iter().map(Self::extent).sum::<usize>(),
            Self::Object(object) => {
                let members = object.iter().map(|(name, value)| text(name) + value.extent());
                1 + members.sum::<usize>()
            }
            _ => 1,
        }
    }

    /// Whether both are the same value of the same kind; members may come in any order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) => one == two,
            (Self::Unsigned(one), Self::Unsigned(two)) => one == two,
            (Self::Double(one), Self::Double(two)) => one == two,
            _ => self.is_alike(other, Self::is_same),
        }
    }

    /// The same, where an integer may equal a double.
    #[must_use]
    pub fn is_equal(&self, other: &Self) -> bool {
        match (self.as_number(), other.as_number()) {
            (Some(one), Some(two)) => one == two,
            _ => self.is_alike(other, Self::is_equal),
        }
    }

    fn is_alike(&self, other: &Self, same: fn(&Self, &Self) -> bool) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => {
                one.len() == two.len() && iter::zip(&**one, &**two).all(|(a, b)| same(a, b))
            }
            (Self::Object(one), Self::Object(two)) => {
                let is_there =
                    |(name, value)| two.get(name).is_some_and(|found| same(value, found));
                one.len() == two.len()
                    && one.iter().map(|(name, value)| (name.as_bytes(), value)).all(is_there)
            }
            _ => false,
        }
    }
}

/// What lies on the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// How many bytes.
    pub bytes: usize,
    /// How many allocations, about.
    pub parts: usize,
}

impl Weight {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.parts += 2;
    }

    pub(super) fn add_text(&mut self, text: &Text) {
        let bytes = text.heap_bytes();
        self.bytes += bytes;
        self.parts += if bytes > 0 { 2 } else { 0 };
    }
}

impl Number {
    /// As a double.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other).is_some_and(core::cmp::Ordering::is_eq)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        match (*self, *other) {
            (Self::Integer(one), Self::Integer(two)) => Some(one.cmp(&two)),
            (Self::Integer(one), Self::Double(two)) => (one as f64).partial_cmp(&two),
            (Self::Double(one), Self::Integer(two)) => one.partial_cmp(&(two as f64)),
            (Self::Double(one), Self::Double(two)) => one.partial_cmp(&two),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_value_is_two_words() {
        assert_eq!(size_of::<Json>(), 16);
    }

    #[test]
    fn long_texts_and_names_are_more_to_go_over() {
        let long = "x".repeat(640);
        let value = |text: &str| super::super::parse::parse(text).unwrap().extent();
        assert_eq!(value("[1,[],{\"a\":\"b\"}]"), 5);
        assert_eq!(value(&format!("[1,\"{long}\"]")), 13);
        assert_eq!(value(&format!("{{\"{long}\":null}}")), 12);
    }

    #[test]
    fn sameness_looks_at_kinds_and_equality_does_not() {
        let (integer, double) = (Json::Integer(1), Json::Double(1.0));
        assert!(integer.is_equal(&double) && !integer.is_same(&double));
        let wrapped = |value: &Json| Json::array(alloc::vec![value.clone()]);
        assert!(wrapped(&integer).is_equal(&wrapped(&double)));
        assert!(!wrapped(&integer).is_same(&wrapped(&double)));
        assert!(!wrapped(&integer).is_equal(&integer));
    }
}
