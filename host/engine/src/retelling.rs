//! A key as the commands that make it: what the base of a log holds if it is to be no snapshot
//! (`aof-use-rdb-preamble no`).
//!
//! The commands are those of Redis, so that any server can run them; JSON and suggestions are told
//! by those of its modules. They are for a database that does not have the key.
//!
//! What it does not tell: when a consumer was last heard of, and that somebody still has to
//! acknowledge an entry that was deleted. Redis does not tell that, either.

use alloc::vec::Vec;

use crate::clock::Millis;
use crate::effects::Word;
use crate::keyspace::{Slot, Value};
use crate::types::element::Element;
use crate::types::hash::Hash;
use crate::types::hasher::Hasher;
use crate::types::json;
use crate::types::number;
use crate::types::stream::{Marks, Stream};
use crate::types::stream_group::{Group, Pending};
use crate::types::stream_id::Id;
use crate::types::stream_node::Entry;
use crate::types::suggestions::Suggestions;

/// Most elements that one command names, as from Redis.
const ELEMENTS_MAX: usize = 64;

/// Appends the command that selects a database.
pub fn tell_select(out: &mut Vec<u8>, database: u32) {
    tell(out, &[&"SELECT", &u64::from(database)]);
}

/// Appends the commands that make a key with its value and its expiry.
pub fn tell_key(out: &mut Vec<u8>, slot: &Slot, hasher: &Hasher) {
    let key = slot.key();
    match slot.as_value() {
        None | Some(Value::Text(_)) => {
            tell(out, &[&"SET", &key, &slot.as_text().unwrap_or_default()]);
        }
        Some(Value::List(list)) => {
            tell_each(out, "RPUSH", key, list.len(), list.iter(), &mut |out, element| {
                say(out, element);
            });
        }
        Some(Value::Set(set)) => {
            tell_each(out, "SADD", key, set.len(), set.iter(), &mut |out, member| say(out, member));
        }
        Some(Value::Hash(hash)) => tell_hash(out, key, hash, hasher),
        Some(Value::SortedSet(set)) => {
            tell_each(out, "ZADD", key, set.len(), set.iter(), &mut |out, (member, score)| {
                score_text(score).say(out);
                say(out, member);
            });
        }
        Some(Value::Stream(stream)) => tell_stream(out, key, stream),
        Some(Value::Json(document)) => {
            tell(out, &[&"JSON.SET", &key, &"$", &json::write::compact(document.root())]);
        }
        Some(Value::Suggestions(suggestions)) => tell_suggestions(out, key, suggestions),
    }
    if let Some(at) = slot.expires_at() {
        tell(out, &[&"PEXPIREAT", &key, &at]);
    }
}

fn tell_hash(out: &mut Vec<u8>, key: &[u8], hash: &Hash, hasher: &Hasher) {
    tell_each(out, "HSET", key, hash.len(), hash.iter(), &mut |out, (field, value)| {
        say(out, field);
        say(out, value);
    });
    if hash.next_expiry().is_none() {
        return;
    }
    for (field, _) in hash.iter() {
        field.with(|field| {
            if let Some(at) = hash.expiry(hasher, field) {
                tell(out, &[&"HPEXPIREAT", &key, &at, &"FIELDS", &1_u64, &field]);
            }
        });
    }
}

fn tell_stream(out: &mut Vec<u8>, key: &[u8], stream: &Stream) {
    for entry in stream.range(Id::MIN, Id::MAX) {
        tell_entry(out, key, &entry);
    }
    let Marks { last_id, max_deleted_id, entries_added, .. } = *stream.marks();
    if stream.is_empty() {
        // An entry that is trimmed at once makes a stream that has none.
        let id = if last_id == Id::MIN { Id::new(0, 1) } else { last_id };
        tell(out, &[&"XADD", &key, &"MAXLEN", &0_u64, &id, &"x", &"y"]);
    }
    tell(
        out,
        &[
            &"XSETID",
            &key,
            &last_id,
            &"ENTRIESADDED",
            &entries_added,
            &"MAXDELETEDID",
            &max_deleted_id,
        ],
    );
    for (name, group) in stream.groups() {
        tell_group(out, key, name, group);
    }
}

fn tell_entry(out: &mut Vec<u8>, key: &[u8], entry: &Entry<'_>) {
    let words = 2 * entry.pairs.len();
    begin(out, 3 + words);
    "XADD".say(out);
    key.say(out);
    entry.id.say(out);
    for (field, value) in entry.pairs.clone() {
        say(out, field);
        say(out, value);
    }
}

fn tell_group(out: &mut Vec<u8>, key: &[u8], name: &[u8], group: &Group) {
    let read = group.cursor.entries_read.map_or(-1, |read| read as i64);
    tell(out, &[&"XGROUP", &"CREATE", &key, &name, &group.cursor.last_id, &"ENTRIESREAD", &read]);
    for consumer in group.consumers().flatten() {
        tell(out, &[&"XGROUP", &"CREATECONSUMER", &key, &name, &consumer.name()]);
    }
    for (id, pending) in group.pending_between(Id::MIN, Id::MAX) {
        let Pending { consumer, delivered_at, deliveries } = *pending;
        let Some(consumer) = group.consumer(consumer) else { continue };
        tell(
            out,
            &[
                &"XCLAIM",
                &key,
                &name,
                &consumer.name(),
                &0_u64,
                &id,
                &"TIME",
                &delivered_at,
                &"RETRYCOUNT",
                &deliveries,
                &"FORCE",
                &"JUSTID",
            ],
        );
    }
}

fn tell_suggestions(out: &mut Vec<u8>, key: &[u8], suggestions: &Suggestions) {
    suggestions.each(&mut |text, suggestion| {
        let score = score_text(suggestion.score.into());
        match suggestion.payload.as_deref() {
            Some(payload) => {
                tell(out, &[&"FT.SUGADD", &key, &text, &score, &"PAYLOAD", &payload]);
            }
            None => tell(out, &[&"FT.SUGADD", &key, &text, &score]),
        }
    });
}

/// A command for each so many of `len` elements.
fn tell_each<T>(
    out: &mut Vec<u8>,
    name: &str,
    key: &[u8],
    len: usize,
    elements: impl Iterator<Item = T>,
    say: &mut dyn FnMut(&mut Vec<u8>, T),
) {
    let words_each = if matches!(name, "HSET" | "ZADD") { 2 } else { 1 };
    for (index, element) in elements.enumerate() {
        if index.is_multiple_of(ELEMENTS_MAX) {
            let count = (len - index).min(ELEMENTS_MAX);
            begin(out, 2 + words_each * count);
            name.say(out);
            key.say(out);
        }
        say(out, element);
    }
}

fn tell(out: &mut Vec<u8>, words: &[&dyn Word]) {
    begin(out, words.len());
    words.iter().for_each(|word| word.say(out));
}

/// Begins a command of so many words.
fn begin(out: &mut Vec<u8>, words: usize) {
    out.push(b'*');
    number::write_u64(out, words as u64);
    out.extend_from_slice(b"\r\n");
}

fn say(out: &mut Vec<u8>, element: Element<'_>) {
    element.with(|text| text.say(out));
}

fn score_text(score: f64) -> Vec<u8> {
    let mut text = Vec::new();
    number::write_f64(&mut text, score);
    text
}

/// When the commands that follow were run, as logs tell it.
pub fn tell_time(out: &mut Vec<u8>, at: Millis) {
    out.extend_from_slice(b"#TS:");
    number::write_u64(out, at.seconds());
    out.extend_from_slice(b"\r\n");
}
