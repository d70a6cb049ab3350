//! A JSON value as the text of a column's value.

use std::borrow::Cow;

use reef_sdk::sink::Kind;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{OffsetDateTime, PrimitiveDateTime};

/// The text of a value, given as it stands in the document, for a column of this kind. Not `null`.
pub(crate) fn text(raw: &str, kind: Kind) -> Result<Cow<'_, str>, String> {
    let wrong = || format!("{} is not of type {}", shortened(raw), word(kind));
    let is_number = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match kind {
        Kind::Json => Ok(raw.into()),
        Kind::Text if raw.starts_with('"') => string(raw),
        Kind::Text => Ok(raw.into()),
        Kind::Integer if is_number && !raw.contains(['.', 'e', 'E']) => Ok(raw.into()),
        Kind::Double if is_number => Ok(raw.into()),
        Kind::Boolean if raw == "true" || raw == "false" => Ok(raw.into()),
        Kind::Timestamp if is_number && !raw.contains(['.', 'e', 'E']) => Ok(raw.into()),
        Kind::Timestamp if raw.starts_with('"') => {
            let text = string(raw)?;
            let millis = milliseconds(&text).ok_or_else(wrong)?;
            Ok(millis.to_string().into())
        }
        _ => Err(wrong()),
    }
}

/// The contents of a JSON string.
fn string(raw: &str) -> Result<Cow<'_, str>, String> {
    let inside = raw.get(1..raw.len() - 1).filter(|inside| !inside.contains('\\'));
    match inside {
        Some(inside) => Ok(inside.into()),
        None => serde_json::from_str::<String>(raw)
            .map(Cow::Owned)
            .map_err(|error| format!("{}: {error}", shortened(raw))),
    }
}

/// Milliseconds since 1970 of a date and time; one that names no offset is of UTC.
fn milliseconds(text: &str) -> Option<i128> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
        PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).ok().map(PrimitiveDateTime::assume_utc)
    })?;
    Some(at.unix_timestamp_nanos().div_euclid(1_000_000))
}

/// As much of a value as fits a reason.
fn shortened(raw: &str) -> Cow<'_, str> {
    match raw.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &raw[..end]).into(),
        None => raw.into(),
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Bytes => "bytes",
        Kind::Integer => "integer",
        Kind::Double => "double",
        Kind::Boolean => "boolean",
        Kind::Json => "json",
        Kind::Timestamp => "timestamp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits_and_lose_their_quotes() {
        let said = |raw, kind| text(raw, kind).unwrap().into_owned();
        assert_eq!(said("\"a\\nb\"", Kind::Text), "a\nb");
        assert_eq!(said("\"plain\"", Kind::Text), "plain");
        assert_eq!(said("[1, 2]", Kind::Text), "[1, 2]");
        assert_eq!(
            said("123456789012345678901234567890", Kind::Integer),
            "123456789012345678901234567890"
        );
        assert_eq!(said("1e400", Kind::Double), "1e400");
        assert_eq!(said("true", Kind::Boolean), "true");
        assert_eq!(said("{\"a\": [1e2]}", Kind::Json), "{\"a\": [1e2]}");
    }

    #[test]
    fn moments_are_milliseconds() {
        let said = |raw| text(raw, Kind::Timestamp).map(Cow::into_owned);
        assert_eq!(said("1735689600000").unwrap(), "1735689600000");
        assert_eq!(said("\"2025-01-01T00:00:00Z\"").unwrap(), "1735689600000");
        assert_eq!(said("\"2025-01-01T01:00:00.5+01:00\"").unwrap(), "1735689600500");
        assert_eq!(said("\"2025-01-01T00:00:00.123456\"").unwrap(), "1735689600123");
        assert!(said("\"yesterday\"").is_err());
        assert!(said("{}").is_err());
    }

    #[test]
    fn another_type_is_refused() {
        for (raw, kind) in [
            ("1.5", Kind::Integer),
            ("\"1\"", Kind::Integer),
            ("true", Kind::Double),
            ("1", Kind::Boolean),
            ("\"\\ud800\"", Kind::Text),
        ] {
            assert!(text(raw, kind).is_err(), "{raw}");
        }
        let long = format!("\"{}\"", "x".repeat(100));
        assert!(text(&long, Kind::Integer).unwrap_err().len() < 100);
    }
}
