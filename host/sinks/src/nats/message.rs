//! A message: the event and its changes as JSON, the position in headers.

use async_nats::HeaderMap;
use serde_json::Value;

use crate::dead_letter::DeadLetter;
use crate::event::{Event, EventKind, StreamId};
use crate::plan::{ChangeRef, Verb};
use crate::status::Counts;
use crate::table::{Kind, Table};
use crate::target::{Claim, Logged, Owner};

/// Where the stream stands behind a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) epoch: u64,
    pub(super) position: StreamId,
    pub(super) totals: Counts,
    pub(super) added: u64,
}

const HOLDER: &str = "Reef-Holder";
const EPOCH: &str = "Reef-Epoch";
const POSITION: &str = "Reef-Position";
const TOTALS: &str = "Reef-Totals";
const ADDED: &str = "Reef-Added";
const PARTITIONS: &str = "Reef-Partitions";

/// The headers of a message behind the one of `last`.
pub(super) fn headers(standing: &Standing, owner: &Owner, last: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Counts { applied, skipped, dead } = standing.totals;
    headers.insert(async_nats::header::NATS_EXPECTED_LAST_SEQUENCE, last.to_string());
    headers.insert(HOLDER, owner.holder.as_str());
    headers.insert(EPOCH, standing.epoch.to_string());
    headers.insert(POSITION, standing.position.to_string());
    headers.insert(TOTALS, format!("{applied}/{skipped}/{dead}"));
    headers.insert(ADDED, standing.added.to_string());
    headers.insert(PARTITIONS, owner.partitions.to_string());
    headers
}

/// What the headers of the last message say, and who published it.
pub(super) fn read_headers(headers: &HeaderMap) -> Option<(Claim, String)> {
    let text = |name: &str| headers.get(name).map(|value| value.as_str());
    let mut totals = text(TOTALS)?.split('/').map(|count| count.parse::<u64>().ok());
    let mut count = || totals.next().flatten();
    let claim = Claim {
        epoch: text(EPOCH)?.parse().ok()?,
        position: text(POSITION)?.parse().ok()?,
        totals: Counts { applied: count()?, skipped: count()?, dead: count()? },
        added: text(ADDED)?.parse().ok()?,
    };
    Some((claim, text(HOLDER)?.to_owned()))
}

/// For how many partitions the stream was made.
pub(super) fn partitions(headers: &HeaderMap) -> Option<u32> {
    headers.get(PARTITIONS)?.as_str().parse().ok()
}

/// A word of a subject.
pub(super) fn token(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    if text.is_empty() { "_".to_owned() } else { text.chars().map(plain).collect() }
}

/// The payload of an event: what it is about, and the rows it changes; the reason if that cannot be
/// said in JSON.
pub(super) fn payload(logged: &Logged<'_>, tables: &[Table]) -> Result<Vec<u8>, String> {
    let event = logged.event;
    let document = utf8(&event.document)?;
    let size: usize = logged.changes.iter().map(ChangeRef::bytes).sum();
    let mut out = Vec::with_capacity(size + 256);
    out.extend_from_slice(b"{\"id\":");
    push_text(&mut out, &event.id.to_string());
    for (name, text) in
        [("entity", event.entity.as_str()), ("document", document), ("kind", event.kind.word())]
    {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        push_text(&mut out, text);
    }
    let (at, version) = (event.timestamp_ms, event.version);
    out.extend_from_slice(
        format!(",\"timestamp\":{at},\"version\":{version},\"changes\":[").as_bytes(),
    );
    for (index, change) in logged.changes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_change(&mut out, change, &tables[change.table])?;
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

fn push_change(out: &mut Vec<u8>, change: &ChangeRef<'_>, table: &Table) -> Result<(), String> {
    let verb = if change.verb == Verb::Delete { "delete" } else { "upsert" };
    out.extend_from_slice(b"{\"table\":");
    push_text(out, &table.name);
    out.extend_from_slice(format!(",\"change\":\"{verb}\",\"row\":{{").as_bytes());
    for (index, (column, value)) in table.valued().zip(change.values()).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, &column.name);
        out.push(b':');
        match value {
            None => out.extend_from_slice(b"null"),
            Some(value) => push_value(out, column.kind, value)?,
        }
    }
    out.extend_from_slice(b"}}");
    Ok(())
}

fn push_value(out: &mut Vec<u8>, kind: Kind, value: &[u8]) -> Result<(), String> {
    match kind {
        Kind::Text | Kind::Timestamp => push_text(out, utf8(value)?),
        Kind::Json => {
            let checked: Result<&serde_json::value::RawValue, _> = serde_json::from_slice(value);
            let raw = checked.map_err(|error| format!("not JSON: {error}"))?;
            out.extend_from_slice(raw.get().as_bytes());
        }
        Kind::Bytes => {
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            push_text(out, &hex);
        }
        Kind::Integer | Kind::Double | Kind::Boolean => {
            match serde_json::from_slice::<Value>(value) {
                Ok(Value::Number(_) | Value::Bool(_)) => out.extend_from_slice(value),
                _ => return Err(format!("not {kind:?}: {}", String::from_utf8_lossy(value))),
            }
        }
    }
    Ok(())
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|error| format!("not text: {error}"))
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(Value::from(text).to_string().as_bytes());
}

/// A dead letter as a message: the image is the payload, all else is in headers.
pub(super) fn bury(headers: &mut HeaderMap, letter: &DeadLetter) -> Vec<u8> {
    let event = &letter.event;
    // Headers are one line of text each.
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    headers.insert("Reef-Event", event.id.to_string());
    headers.insert("Reef-Entity", line(&event.entity));
    let document: String = event.document.iter().map(|byte| format!("{byte:02x}")).collect();
    headers.insert("Reef-Document", document);
    headers.insert("Reef-Kind", event.kind.word());
    headers.insert("Reef-At", event.timestamp_ms.to_string());
    headers.insert("Reef-Version", event.version.to_string());
    headers.insert("Reef-Reason", line(&letter.reason));
    headers.insert("Reef-Failed", letter.failed_ms.to_string());
    headers.insert("Reef-Image", if event.image.is_some() { "yes" } else { "no" });
    event.image.clone().unwrap_or_default()
}

/// The dead letter that a message is.
pub(super) fn exhume(headers: &HeaderMap, payload: &[u8]) -> Option<DeadLetter> {
    let text = |name: &str| headers.get(name).map(|value| value.as_str());
    let hex = text("Reef-Document")?;
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    Some(DeadLetter {
        event: Event {
            id: text("Reef-Event")?.parse().ok()?,
            entity: text("Reef-Entity")?.to_owned(),
            document: (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?,
            kind: EventKind::of(text("Reef-Kind")?),
            timestamp_ms: text("Reef-At")?.parse().ok()?,
            version: text("Reef-Version")?.parse().ok()?,
            image: (text("Reef-Image")? == "yes").then(|| payload.to_vec()),
        },
        reason: text("Reef-Reason")?.to_owned(),
        failed_ms: text("Reef-Failed")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_come_back_as_they_went() {
        let letter = DeadLetter {
            event: Event {
                id: StreamId::new(5, 6),
                entity: "sessions".to_owned(),
                document: b"a\0\xff".to_vec(),
                kind: EventKind::Update,
                timestamp_ms: -7,
                image: Some(Vec::new()),
                version: 9,
            },
            reason: "no".to_owned(),
            failed_ms: 11,
        };
        let mut headers = HeaderMap::new();
        let payload = bury(&mut headers, &letter);
        assert_eq!(exhume(&headers, &payload), Some(letter));
    }

    #[test]
    fn words_of_subjects_have_no_dots_or_stars() {
        assert_eq!(token("a.b c*>d-e_1"), "a_b_c__d-e_1");
        assert_eq!(token(""), "_");
    }
}
