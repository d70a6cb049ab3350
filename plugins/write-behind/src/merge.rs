//! Merge patches (RFC 7386): what a patch makes of a document.
//!
//! Values are carried over as they are written, so numbers keep their digits; members keep their
//! order. Of two members with one name the last counts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use reef_sdk::{Error, Result};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting of a patch: as deep as documents may be.
const DEPTH_MAX: usize = 127;

/// The document after the patch, as text.
pub(crate) fn merged(document: &[u8], patch: &[u8]) -> Result<String> {
    let [document, patch] = [document, patch].map(|text| -> Result<&RawValue> {
        serde_json::from_slice(text).map_err(|error| invalid(&error))
    });
    let (document, patch) = (document?.get(), patch?.get());
    if !is_object(patch) {
        return Err(Error::fixed("ERR", "a merge patch is a JSON object"));
    }
    let mut merged = String::with_capacity(document.len() + patch.len());
    merge(Some(document), patch, DEPTH_MAX, &mut merged)?;
    Ok(merged)
}

fn invalid(error: &dyn fmt::Display) -> Error {
    Error::new("ERR", format!("not JSON: {error}"))
}

fn is_object(raw: &str) -> bool {
    raw.starts_with('{')
}

/// Writes what a patch makes of a value.
fn merge(target: Option<&str>, patch: &str, depth: usize, out: &mut String) -> Result<()> {
    if !is_object(patch) {
        out.push_str(patch);
        return Ok(());
    }
    let depth = depth.checked_sub(1).ok_or_else(|| invalid(&"it is nested too deep"))?;
    let target = match target.filter(|target| is_object(target)) {
        Some(target) => members(target)?,
        None => Vec::new(),
    };
    let patch = members(patch)?;
    let place: HashMap<&str, usize> =
        patch.iter().enumerate().map(|(at, (name, _))| (&**name, at)).collect();
    let mut is_taken = vec![false; patch.len()];
    let start = out.len();
    for (name, value) in &target {
        match place.get(&**name) {
            None => member(name, out, |out| {
                out.push_str(value);
                Ok(())
            })?,
            Some(at) => {
                is_taken[*at] = true;
                if patch[*at].1 != "null" {
                    member(name, out, |out| merge(Some(value), patch[*at].1, depth, out))?;
                }
            }
        }
    }
    for ((name, value), _) in patch.iter().zip(is_taken).filter(|(_, is_taken)| !is_taken) {
        if *value != "null" {
            member(name, out, |out| merge(None, value, depth, out))?;
        }
    }
    // The first comma is where the brace belongs.
    match out.get(start..start + 1) {
        Some(_) => out.replace_range(start..=start, "{"),
        None => out.push('{'),
    }
    out.push('}');
    Ok(())
}

fn member(
    name: &str,
    out: &mut String,
    value: impl FnOnce(&mut String) -> Result<()>,
) -> Result<()> {
    out.push(',');
    out.push_str(&serde_json::to_string(name).map_err(|error| invalid(&error))?);
    out.push(':');
    value(out)
}

/// The members of an object, each name once, at its first place with its last value.
fn members(raw: &str) -> Result<Vec<(Cow<'_, str>, &str)>> {
    struct Members;
    impl<'d> Visitor<'d> for Members {
        type Value = Vec<(Cow<'d, str>, &'d str)>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members: Self::Value = Vec::new();
            let mut places: HashMap<String, usize> = HashMap::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                match places.get(&name) {
                    Some(at) => members[*at].1 = value.get(),
                    None => {
                        places.insert(name.clone(), members.len());
                        members.push((name.into(), value.get()));
                    }
                }
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(raw)
        .deserialize_map(Members)
        .map_err(|error| invalid(&error))
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
            said(document, r#"{"y":null,"w":1E400}"#),
            r#"{"z":123456789012345678901234567890,"x":0.10,"w":1E400}"#
        );
        assert_eq!(said(r#"{"a":1,"b":2,"a":3}"#, r#"{"b":null,"b":4}"#), r#"{"a":3,"b":4}"#);
        assert_eq!(said(r#"{"\u0061\n":1}"#, r#" {"a\n" : {"x":null}} "#), r#"{"a\n":{}}"#);
    }

    #[test]
    fn a_patch_is_an_object_that_is_not_nested_too_deep() {
        assert_eq!(said("{}", "[1]"), "ERR a merge patch is a JSON object");
        assert!(said("{}", "{").starts_with("ERR not JSON: "));
        let nested = |depth| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert_eq!(said("{}", &nested(DEPTH_MAX)), nested(DEPTH_MAX));
        for depth in [DEPTH_MAX + 1, 100_000] {
            assert!(said("{}", &nested(depth)).starts_with("ERR not JSON: "), "{depth}");
        }
    }
}
