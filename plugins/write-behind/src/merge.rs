//! Merge patches (RFC 7386): what a patch makes of a document.

use std::fmt;

use reef_sdk::{Error, Result};
use serde_json::Value;

/// The document after the patch, as text. Members keep their order, numbers their digits.
pub(crate) fn merged(document: &[u8], patch: &[u8]) -> Result<String> {
    let mut document = parse(document)?;
    match parse(patch)? {
        patch @ Value::Object(_) => merge(&mut document, patch),
        _ => return Err(Error::fixed("ERR", "a merge patch is a JSON object")),
    }
    Ok(document.to_string())
}

fn parse(text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text).map_err(|error| invalid(&error))
}

fn invalid(error: &dyn fmt::Display) -> Error {
    Error::new("ERR", format!("not JSON: {error}"))
}

/// Both are nested as deep as the parser allows at most, so this ends.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            // The others keep their order.
            members.shift_remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(document: &str, patch: &str) -> String {
        match merged(document.as_bytes(), patch.as_bytes()) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_examples_of_the_standard() {
        for (document, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(said(document, patch), result);
        }
    }

    #[test]
    fn numbers_keep_their_digits_and_members_their_order() {
        let document = r#"{"z":123456789012345678901234567890,"y":1e2,"x":0.10}"#;
        assert_eq!(
            said(document, r#"{"y":null,"w":1e+400}"#),
            r#"{"z":123456789012345678901234567890,"x":0.10,"w":1e+400}"#
        );
    }

    #[test]
    fn a_patch_is_an_object() {
        assert_eq!(said("{}", "[1]"), "ERR a merge patch is a JSON object");
        assert!(said("{}", "{").starts_with("ERR not JSON: "));
        let deep = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
        assert!(said("{}", &deep).starts_with("ERR not JSON: "));
    }
}
