//! Ids and entries of streams: as arguments and in replies.

use reef_resp::Writer;

use super::element;
use crate::args::Args;
use crate::error::Error;
use crate::types::stream_id::{Id, TEXT_BYTES_MAX};
use crate::types::stream_node::Entry;

/// An id; without a number it is the first of its millisecond.
pub(super) fn id(text: &[u8]) -> Result<Id, Error> {
    Id::parse(text, 0).ok_or(Error::INVALID_STREAM_ID)
}

/// Takes the first id of a range: `-`, `+`, an id, or `(` and the id in front of it.
pub(super) fn take_start(args: &mut Args<'_>) -> Result<Id, Error> {
    match bound(args.bytes()?, 0)? {
        (id, false) => Ok(id),
        (id, true) => id.next().ok_or(Error::INVALID_RANGE_START),
    }
}

/// Takes the last id of a range: `-`, `+`, an id, or `(` and the id behind it.
pub(super) fn take_end(args: &mut Args<'_>) -> Result<Id, Error> {
    match bound(args.bytes()?, u64::MAX)? {
        (id, false) => Ok(id),
        (id, true) => id.previous().ok_or(Error::INVALID_RANGE_END),
    }
}

/// An end of a range, and whether it is itself left out.
fn bound(text: &[u8], missing_seq: u64) -> Result<(Id, bool), Error> {
    let read = match text {
        [b'(', rest @ ..] if !rest.is_empty() => Id::parse(rest, missing_seq).zip(Some(true)),
        _ => Id::parse_bound(text, missing_seq).zip(Some(false)),
    };
    read.ok_or(Error::INVALID_STREAM_ID)
}

/// Says an id.
pub(super) fn say_id(reply: &mut Writer, id: Id) {
    reply.bulk(id.format(&mut [0; TEXT_BYTES_MAX]));
}

/// Says an entry: its id, and fields and values in turn.
pub(super) fn say(reply: &mut Writer, entry: Entry<'_>) {
    reply.array(2);
    say_id(reply, entry.id);
    reply.array(2 * entry.pairs.len());
    for (field, value) in entry.pairs {
        element::say(reply, field);
        element::say(reply, value);
    }
}

/// Says an entry that is pending but gone.
pub(super) fn say_gone(reply: &mut Writer, id: Id) {
    reply.array(2);
    say_id(reply, id);
    reply.nil_array();
}

/// Says entries, showing the id of each to `seen`.
pub(super) fn say_all<'a>(
    reply: &mut Writer,
    entries: impl Iterator<Item = Entry<'a>>,
    mut seen: impl FnMut(Id),
) {
    let mark = reply.mark();
    let mut count = 0;
    for entry in entries {
        seen(entry.id);
        say(reply, entry);
        count += 1;
    }
    reply.array_since(mark, count);
}
