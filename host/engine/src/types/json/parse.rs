//! Text to value.
//!
//! The grammar and its errors are serde_json's, which RedisJSON uses too; here its events become
//! values without detours. Of two members with one name the last counts, where the first stood.
//! Text that nests deeper than [`DEPTH_MAX`](super::DEPTH_MAX) is refused while it is read.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::object::Object;
use super::text::Text;
use super::value::Json;

/// Why text is no value: a message with line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(pub String);

/// Reads a value. The whole text must be one.
pub fn parse(text: &str) -> Result<Json, ParseError> {
    serde_json::from_str(text).map_err(|error| ParseError(error.to_string()))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Unsigned(value), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::text(value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element()? {
            values.push(value);
        }
        values.shrink_to_fit();
        Ok(Json::array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some(name) = members.next_key::<Text>()? {
            object.put(name, members.next_value()?);
        }
        object.shrink();
        Ok(Json::Object(object.into()))
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Ok(value.as_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::super::DEPTH_MAX;
    use super::super::write::compact;
    use super::*;

    fn round(text: &str) -> String {
        match parse(text) {
            Ok(value) => String::from_utf8(compact(&value)).unwrap(),
            Err(error) => error.0,
        }
    }

    #[test]
    fn values_are_written_as_they_were_read() {
        for text in [
            "null",
            "true",
            "[]",
            "{}",
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "0.1",
            "[1,2.5,\"x\",{\"a\":{\"b\":[null,false]}}]",
            "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\u{7f}\u{e4}\u{1f600}\"",
        ] {
            assert_eq!(round(text), text);
        }
    }

    #[test]
    fn numbers_are_printed_as_redisjson_prints_them() {
        for (text, shown) in [
            ("1e5", "100000.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e16"),
            ("1e21", "1e21"),
            ("1e-5", "0.00001"),
            ("1e-6", "1e-6"),
            ("3.0", "3.0"),
            ("-0", "-0.0"),
            ("18446744073709551616", "1.8446744073709552e19"),
            ("123456789012345678901234567890", "1.2345678901234568e29"),
            ("1.5e300", "1.5e300"),
        ] {
            assert_eq!(round(text), shown);
        }
    }

    #[test]
    fn of_equal_names_the_last_counts_where_the_first_stood() {
        assert_eq!(round("{\"a\":1,\"b\":2,\"a\":3}"), "{\"a\":3,\"b\":2}");
        let many: Vec<String> = (0..100).map(|at| format!("\"n{}\":{at}", at % 40)).collect();
        let value = parse(&format!("{{{}}}", many.join(","))).unwrap();
        let object = value.as_object().unwrap();
        object.check();
        assert_eq!(object.len(), 40);
        assert!(matches!(object.get(b"n7"), Some(Json::Integer(87))));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, error) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\"a", "EOF while parsing a string at line 1 column 3"),
            ("[1,]", "trailing comma at line 1 column 4"),
            ("x", "expected value at line 1 column 1"),
            ("1 2", "trailing characters at line 1 column 3"),
            ("1e400", "number out of range at line 1 column 5"),
        ] {
            assert_eq!(round(text), error);
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(parse(&nested(DEPTH_MAX)).unwrap().depth(), DEPTH_MAX);
        let error = parse(&nested(DEPTH_MAX + 1)).unwrap_err();
        assert!(error.0.starts_with("recursion limit exceeded"), "{}", error.0);
        assert!(parse(&"[".repeat(1_000_000)).is_err());
    }
}
