//! Streams of the fake server, without consumer groups.

use std::ops::Bound;

use super::commands::{Entry, Keys, integer, read, say_count, write};
use super::keyspace::{Id, Keyspace, Stream, Value};
use crate::{Error, Reply, Result};

pub(super) static TABLE: &[Entry] = &[
    write("XADD", -5, Keys::First, xadd),
    write("XDEL", -3, Keys::First, xdel),
    read("XLEN", 2, Keys::First, xlen),
    read("XRANGE", -4, Keys::First, xrange),
    read("XREVRANGE", -4, Keys::First, xrevrange),
];

const BAD_ID: Error = Error::fixed("ERR", "Invalid stream ID specified as stream command argument");
const TOO_SMALL: Error = Error::fixed(
    "ERR",
    "The ID specified in XADD is equal or smaller than the target stream top item",
);

fn xadd(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let (kept, rest) = match &args[1..] {
        [word, about, most, rest @ ..] if is(word, b"MAXLEN") && matches!(*about, b"~" | b"=") => {
            (integer(most)?.cast_unsigned() as usize, rest)
        }
        [word, most, rest @ ..] if is(word, b"MAXLEN") => {
            (integer(most)?.cast_unsigned() as usize, rest)
        }
        rest => (usize::MAX, rest),
    };
    let Some((id, fields)) = rest.split_first().filter(|(_, fields)| !fields.is_empty()) else {
        return Err(Error::wrong_arity(b"xadd"));
    };
    if !fields.len().is_multiple_of(2) {
        return Err(Error::wrong_arity(b"xadd"));
    }
    let last = stream(space, args[0])?.last;
    let id = if *id == b"*" { next_id(space.now_ms, last) } else { parse(id, 0)? };
    if id <= last {
        return Err(TOO_SMALL);
    }
    space.change(
        args[0],
        || Value::Stream(Stream::default()),
        as_stream,
        |stream| {
            stream.last = id;
            stream.entries.insert(id, fields.iter().map(|field| field.to_vec()).collect());
            while stream.entries.len() > kept {
                stream.entries.pop_first();
            }
        },
    )?;
    reply.bulk(format!("{}-{}", id.0, id.1));
    Ok(())
}

fn xdel(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let ids = args[1..].iter().map(|id| parse(id, 0)).collect::<Result<Vec<_>>>()?;
    if !space.exists(args[0]) {
        return say_count(reply, 0);
    }
    let fresh = || Value::Stream(Stream::default());
    let gone = space.change(args[0], fresh, as_stream, |stream| {
        ids.iter().filter(|id| stream.entries.remove(id).is_some()).count()
    })?;
    say_count(reply, gone)
}

fn xlen(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, stream(space, args[0])?.entries.len())
}

fn xrange(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let stream = stream(space, args[0])?;
    say_entries(stream.entries.range(within(args[1], args[2])?), &args[3..], reply)
}

fn xrevrange(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let stream = stream(space, args[0])?;
    say_entries(stream.entries.range(within(args[2], args[1])?).rev(), &args[3..], reply)
}

/// The ids from one to another; `(` in front of one leaves it out. None if the second comes first.
fn within(first: &[u8], last: &[u8]) -> Result<(Bound<Id>, Bound<Id>)> {
    let bound = |id: &[u8], rest: u64| match id.strip_prefix(b"(") {
        Some(id) => parse(id, rest).map(|id| (id, Bound::Excluded(id))),
        None => parse(id, rest).map(|id| (id, Bound::Included(id))),
    };
    let ((low, from), (high, to)) = (bound(first, 0)?, bound(last, u64::MAX)?);
    // A range that ends before it begins is none to a map.
    let is_one =
        low < high || low == high && from == Bound::Included(low) && to == Bound::Included(high);
    Ok(if is_one { (from, to) } else { (Bound::Included(low), Bound::Excluded(low)) })
}

fn say_entries<'a>(
    found: impl Iterator<Item = (&'a Id, &'a Vec<Vec<u8>>)>,
    options: &[&[u8]],
    reply: &mut Reply,
) -> Result<()> {
    let most = match options {
        [] => usize::MAX,
        [word, most] if is(word, b"COUNT") => integer(most)?.cast_unsigned() as usize,
        _ => return Err(Error::SYNTAX),
    };
    let page: Vec<_> = found.take(most).collect();
    reply.array(page.len());
    for ((milliseconds, number), fields) in page {
        reply.array(2).bulk(format!("{milliseconds}-{number}")).array(fields.len());
        for field in fields {
            reply.bulk(field);
        }
    }
    Ok(())
}

fn next_id(now_ms: u64, last: Id) -> Id {
    if now_ms > last.0 { (now_ms, 0) } else { (last.0, last.1 + 1) }
}

/// `-`, `+`, `milliseconds` or `milliseconds-number`; `rest` is the number where it is not said.
fn parse(id: &[u8], rest: u64) -> Result<Id> {
    let text = std::str::from_utf8(id).map_err(|_| BAD_ID)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| BAD_ID);
    match text {
        "-" => Ok((0, 0)),
        "+" => Ok((u64::MAX, u64::MAX)),
        _ => match text.split_once('-') {
            Some((milliseconds, within)) => Ok((number(milliseconds)?, number(within)?)),
            None => Ok((number(text)?, rest)),
        },
    }
}

fn stream(space: &Keyspace, key: &[u8]) -> Result<Stream> {
    match space.get(key) {
        Some(Value::Stream(stream)) => Ok(stream.clone()),
        Some(_) => Err(Error::WRONG_TYPE),
        None => Ok(Stream::default()),
    }
}

fn as_stream(value: &mut Value) -> Option<&mut Stream> {
    if let Value::Stream(stream) = value { Some(stream) } else { None }
}

fn is(word: &[u8], wanted: &[u8]) -> bool {
    word.eq_ignore_ascii_case(wanted)
}
