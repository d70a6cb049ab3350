//! Documents that other commands change: their events come of triggers.
//!
//! Two kinds of keys are followed, each durably, so that no change is missed by a crash:
//! - `capture prefix=entity`: every key with the prefix, JSON or hash, is a document of the entity
//!   whose id is the rest of the key. What is written becomes an `update` event with what is there
//!   *now*, what has gone a `delete` event; several changes may become one.
//! - `entities`: when a document of `DOC.INSERT` expires, that is a `delete` event.
//!
//! The batch that an event leads to demands that the key has not changed since it was read.

use reef_sdk::{Batch, Error, Event as Happened, Host, Query, Result, Trigger, Value};

use crate::event::{Event, Kind};
use crate::settings::Settings;

/// What the plugin wants to hear of.
pub(crate) fn triggers(host: &mut dyn Host) -> Result<Vec<Trigger>> {
    let settings = Settings::of(host);
    let captured = settings.captured.iter().map(|captured| {
        Trigger::on_configured(format!("{}*", escaped(&captured.prefix))).durable()
    });
    let expiring = settings.entities.iter().map(|entity| {
        Trigger::on_configured(format!("{}:*", escaped(entity))).events(&["expired"]).durable()
    });
    Ok(captured.chain(expiring).collect())
}

/// A text as a glob that matches it alone.
fn escaped(text: &str) -> String {
    let mut glob = String::with_capacity(text.len());
    for letter in text.chars() {
        if ['*', '?', '[', ']', '\\', '^'].contains(&letter) {
            glob.push('\\');
        }
        glob.push(letter);
    }
    glob
}

/// Makes an event of what happened to a key.
pub(crate) fn follow(host: &mut dyn Host, happened: &Happened<'_>) -> Result<Batch> {
    let settings = Settings::of(host);
    let key = happened.key;
    for captured in &settings.captured {
        if let Some(id) = key.strip_prefix(captured.prefix.as_bytes()).filter(|id| !id.is_empty()) {
            return captured_change(host, &settings, captured.entity.as_bytes(), id, key);
        }
    }
    for entity in &settings.entities {
        let id = key.strip_prefix(entity.as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
        if let Some(id) = id {
            return expired(host, &settings, entity.as_bytes(), id, key);
        }
    }
    Ok(Batch::new())
}

/// A document of ours has expired, unless it is there again: then its insertion was an event.
fn expired(
    host: &mut dyn Host,
    settings: &Settings,
    entity: &[u8],
    id: &[u8],
    key: &[u8],
) -> Result<Batch> {
    let mut query = Query::new();
    query.command("TYPE").arg(key);
    query.watch(key);
    let view = host.read(&query)?;
    let mut batch = Batch::new();
    if matches!(view.cursor().step()?, Value::Status(b"none")) {
        batch.guard(key, view.version(0));
        let now_ms = host.now_ms();
        Event { entity, id, kind: Kind::Delete, image: None, now_ms }.add(&mut batch, settings);
    }
    Ok(batch)
}

fn captured_change(
    host: &mut dyn Host,
    settings: &Settings,
    entity: &[u8],
    id: &[u8],
    key: &[u8],
) -> Result<Batch> {
    let (image, version) = image(host, key)?;
    let kind = if image.is_some() { Kind::Update } else { Kind::Delete };
    let mut batch = Batch::new();
    batch.guard(key, version);
    let now_ms = host.now_ms();
    Event { entity, id, kind, image: image.as_deref(), now_ms }.add(&mut batch, settings);
    Ok(batch)
}

/// The document at a key as JSON, if there is one, and the key's version.
pub(crate) fn image(host: &mut dyn Host, key: &[u8]) -> Result<(Option<Vec<u8>>, u64)> {
    let mut query = Query::new();
    query.command("TYPE").arg(key);
    query.watch(key);
    let view = host.read(&query)?;
    let command = match view.cursor().step()? {
        Value::Status(b"ReJSON-RL") => "JSON.GET",
        Value::Status(b"hash") => "HGETALL",
        // Another type is not a document: as far as the database is concerned, there is none.
        _ => return Ok((None, view.version(0))),
    };
    let mut query = Query::new();
    query.command(command).arg(key);
    query.watch(key);
    let view = host.read(&query)?;
    let image = match command {
        "JSON.GET" => view.cursor().bulk()?.map(<[u8]>::to_vec),
        _ => Some(object(view.cursor())?),
    };
    Ok((image, view.version(0)))
}

/// The fields of a hash as a JSON object of texts.
fn object(mut fields: reef_sdk::Cursor<'_>) -> Result<Vec<u8>> {
    let count = match fields.step()? {
        Value::Pairs(pairs) => pairs,
        Value::Array(elements) => elements / 2,
        Value::Error(text) => return Err(Error::from_reply(text)),
        _ => return Err(Error::UNEXPECTED_REPLY),
    };
    let mut object = serde_json::Map::new();
    for _ in 0..count {
        let name = fields.bulk()?.unwrap_or_default();
        let value = fields.bulk()?.unwrap_or_default();
        let value = String::from_utf8_lossy(value).into_owned();
        object.insert(String::from_utf8_lossy(name).into_owned(), value.into());
    }
    Ok(serde_json::Value::Object(object).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_followed_as_it_is_written() {
        assert_eq!(escaped("a*b[c]:"), "a\\*b\\[c\\]:");
    }
}
