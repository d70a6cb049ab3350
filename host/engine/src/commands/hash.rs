//! Hashes: fields and values, counters, random fields.

use alloc::boxed::Box;
use alloc::vec::Vec;

use reef_resp::Writer;

use super::draw::{self, Draw};
use super::{element, float, scan};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::step::Cx;
use crate::types::element::Element;
use crate::types::hash::Hash;
use crate::types::long_double::LongDouble;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("HSET", hset, -4)
        .group(Group::Hash)
        .write_denyoom()
        .fast()
        .key()
        .usage("key field value [field value ...]")
        .since("2.0.0", "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.")
        .summary("Creates or modifies the value of a field in a hash."),
    command("HSETNX", hsetnx, 4)
        .group(Group::Hash)
        .write_denyoom()
        .fast()
        .key()
        .usage("key field value")
        .since("2.0.0", "O(1)")
        .summary("Sets the value of a field in a hash only when the field doesn't exist."),
    command("HMSET", hmset, -4)
        .group(Group::Hash)
        .write_denyoom()
        .fast()
        .key()
        .usage("key field value [field value ...]")
        .since("2.0.0", "O(N) where N is the number of fields being set.")
        .summary("Sets the values of multiple fields."),
    command("HGET", hget, 3)
        .group(Group::Hash)
        .readonly()
        .fast()
        .key()
        .usage("key field")
        .since("2.0.0", "O(1)")
        .summary("Returns the value of a field in a hash."),
    command("HMGET", hmget, -3)
        .group(Group::Hash)
        .readonly()
        .fast()
        .key()
        .usage("key field [field ...]")
        .since("2.0.0", "O(N) where N is the number of fields being requested.")
        .summary("Returns the values of all fields in a hash."),
    command("HDEL", hdel, -3)
        .group(Group::Hash)
        .write()
        .fast()
        .key()
        .usage("key field [field ...]")
        .since("2.0.0", "O(N) where N is the number of fields to be removed.")
        .summary("Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain."),
    command("HLEN", hlen, 2)
        .group(Group::Hash)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("2.0.0", "O(1)")
        .summary("Returns the number of fields in a hash."),
    command("HSTRLEN", hstrlen, 3)
        .group(Group::Hash)
        .readonly()
        .fast()
        .key()
        .usage("key field")
        .since("3.2.0", "O(1)")
        .summary("Returns the length of the value of a field."),
    command("HEXISTS", hexists, 3)
        .group(Group::Hash)
        .readonly()
        .fast()
        .key()
        .usage("key field")
        .since("2.0.0", "O(1)")
        .summary("Determines whether a field exists in a hash."),
    command("HKEYS", hkeys, 2)
        .group(Group::Hash)
        .readonly()
        .key()
        .usage("key")
        .since("2.0.0", "O(N) where N is the size of the hash.")
        .summary("Returns all fields in a hash."),
    command("HVALS", hvals, 2)
        .group(Group::Hash)
        .readonly()
        .key()
        .usage("key")
        .since("2.0.0", "O(N) where N is the size of the hash.")
        .summary("Returns all values in a hash."),
    command("HGETALL", hgetall, 2)
        .group(Group::Hash)
        .readonly()
        .key()
        .usage("key")
        .since("2.0.0", "O(N) where N is the size of the hash.")
        .summary("Returns all fields and values in a hash."),
    command("HINCRBY", hincrby, 4)
        .group(Group::Hash)
        .write_denyoom()
        .fast()
        .key()
        .usage("key field increment")
        .since("2.0.0", "O(1)")
        .summary("Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist."),
    command("HINCRBYFLOAT", hincrbyfloat, 4)
        .group(Group::Hash)
        .write_denyoom()
        .fast()
        .key()
        .usage("key field increment")
        .since("2.6.0", "O(1)")
        .summary("Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist."),
    command("HRANDFIELD", hrandfield, -2)
        .group(Group::Hash)
        .readonly()
        .key()
        .usage("key [count [WITHVALUES]]")
        .since("6.2.0", "O(N) where N is the number of fields returned")
        .summary("Returns one or more random fields from a hash."),
    command("HSCAN", hscan, -3)
        .group(Group::Hash)
        .readonly()
        .key()
        .usage("key cursor [MATCH pattern] [COUNT count] [NOVALUES]")
        .since("2.8.0", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.")
        .summary("Iterates over fields and values of a hash."),
];

fn hset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let added = set_pairs(cx, args, "hset")?;
    cx.reply.integer(added as i64);
    Ok(())
}

fn hmset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    set_pairs(cx, args, "hmset")?;
    cx.reply.ok();
    Ok(())
}

/// Sets fields; gives how many are new.
fn set_pairs(cx: &mut Cx<'_>, args: &mut Args<'_>, name: &str) -> Result<usize, Error> {
    let key = args.bytes()?;
    if !args.left().is_multiple_of(2) {
        return Err(Error::WrongArity(name.into()));
    }
    cx.keys.edit_or_create::<Hash, _>(key, "hset", |hash| {
        let mut added = 0;
        while !args.is_done() {
            added += usize::from(hash.set(args.bytes()?, args.bytes()?));
        }
        Ok(added)
    })
}

fn hsetnx(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, field, value) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let hasher = &cx.keys.rules.hasher;
    let added = cx.keys.edit_or_create::<Hash, _>(key, "hset", |hash| {
        Ok(hash.get(hasher, field).is_none() && hash.set(field, value))
    })?;
    cx.reply.integer(i64::from(added));
    Ok(())
}

fn hget(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, field) = (args.bytes()?, args.bytes()?);
    let hasher = &cx.keys.rules.hasher;
    let hash = cx.keys.collection::<Hash>(key)?;
    say_or_nil(cx.reply, hash.and_then(|hash| hash.get(hasher, field)));
    Ok(())
}

pub(super) fn say_or_nil(reply: &mut Writer, value: Option<Element<'_>>) {
    match value {
        Some(value) => element::say(reply, value),
        None => reply.nil(),
    }
}

fn hmget(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, fields) = (args.bytes()?, args.rest());
    let hasher = &cx.keys.rules.hasher;
    let hash = cx.keys.collection::<Hash>(key)?;
    cx.reply.array(fields.len());
    for field in fields {
        say_or_nil(cx.reply, hash.and_then(|hash| hash.get(hasher, field)));
    }
    Ok(())
}

fn hdel(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, fields) = (args.bytes()?, args.rest());
    let removed = cx.keys.edit::<Hash, _>(key, "hdel", |hash| {
        Ok(fields.filter(|field| hash.remove(field)).count())
    })?;
    cx.reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

fn hlen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.collection::<Hash>(args.bytes()?)?.map_or(0, Hash::len);
    cx.reply.integer(len as i64);
    Ok(())
}

fn hstrlen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, field) = (args.bytes()?, args.bytes()?);
    let hasher = &cx.keys.rules.hasher;
    let value = cx.keys.collection::<Hash>(key)?.and_then(|hash| hash.get(hasher, field));
    cx.reply.integer(value.map_or(0, Element::len) as i64);
    Ok(())
}

fn hexists(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, field) = (args.bytes()?, args.bytes()?);
    let hasher = &cx.keys.rules.hasher;
    let value = cx.keys.collection::<Hash>(key)?.and_then(|hash| hash.get(hasher, field));
    cx.reply.integer(i64::from(value.is_some()));
    Ok(())
}

fn hkeys(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let hash = cx.keys.collection::<Hash>(args.bytes()?)?;
    cx.reply.array(hash.map_or(0, Hash::len));
    let pairs = hash.into_iter().flat_map(Hash::iter);
    pairs.for_each(|(field, _)| element::say(cx.reply, field));
    Ok(())
}

fn hvals(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let hash = cx.keys.collection::<Hash>(args.bytes()?)?;
    cx.reply.array(hash.map_or(0, Hash::len));
    let pairs = hash.into_iter().flat_map(Hash::iter);
    pairs.for_each(|(_, value)| element::say(cx.reply, value));
    Ok(())
}

fn hgetall(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let hash = cx.keys.collection::<Hash>(args.bytes()?)?;
    cx.reply.map(hash.map_or(0, Hash::len));
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        element::say(cx.reply, field);
        element::say(cx.reply, value);
    }
    Ok(())
}

fn hincrby(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, field, increment) = (args.bytes()?, args.bytes()?, args.integer()?);
    let hasher = &cx.keys.rules.hasher;
    let sum = cx.keys.edit_or_create::<Hash, _>(key, "hincrby", |hash| {
        let value = match hash.get(hasher, field) {
            Some(value) => value.as_i64().ok_or(Error::HashNotAnInteger)?,
            None => 0,
        };
        let sum = value.checked_add(increment).ok_or(Error::Overflow)?;
        hash.set_value(field, number::format_i64(&mut [0; 20], sum));
        Ok(sum)
    })?;
    cx.reply.integer(sum);
    Ok(())
}

fn hincrbyfloat(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, field) = (args.bytes()?, args.bytes()?);
    let increment = LongDouble::parse(args.bytes()?).ok_or(Error::NotAFloat)?;
    if !increment.is_finite() {
        return Err(Error::NAN_OR_INFINITY);
    }
    let hasher = &cx.keys.rules.hasher;
    let (sum, expires_at) = cx.keys.edit_or_create::<Hash, _>(key, "hincrbyfloat", |hash| {
        let value = match hash.get(hasher, field) {
            Some(value) => value.with(LongDouble::parse).ok_or(Error::HashNotAFloat)?,
            None => LongDouble::ZERO,
        };
        let sum = float::add(value, increment)?;
        hash.set_value(field, &sum);
        Ok((sum, hash.expiry(hasher, field)))
    })?;
    cx.rewrite(&[&"HSET", &key, &field, &sum]);
    if let Some(at) = expires_at {
        // HSET lets a field stay for good.
        cx.rewrite(&[&"HPEXPIREAT", &key, &at, &"FIELDS", &"1", &field]);
    }
    cx.reply.bulk(&sum);
    Ok(())
}

fn hrandfield(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    /// With values, twice as many elements come.
    const PAIRS_MAX: usize = (i64::MAX / 2) as usize;
    let key = args.bytes()?;
    if args.is_done() {
        return say_random_field(cx, key);
    }
    let draw = Draw::take(args)?;
    let with_values = args.keyword("WITHVALUES");
    args.end()?;
    if with_values && draw.size() > PAIRS_MAX {
        return Err(Error::OutOfRange("value"));
    }
    let bytes_max = cx.keys.rules.settings.string_bytes_max;
    let Some(hash) = cx.keys.collection::<Hash>(key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let mut random = || cx.host.random();
    let say = |reply: &mut Writer, pair| say_pair(reply, pair, with_values);
    match draw {
        Draw::Repeated(count) => {
            announce(cx.reply, count, with_values);
            let mut draw = hash.draws();
            draw::say_repeated(cx.reply, count, bytes_max, |reply| {
                if let Some(pair) = draw(&mut random) {
                    say(reply, pair);
                }
            })?;
        }
        Draw::Different(count) if count >= hash.len() => {
            announce(cx.reply, hash.len(), with_values);
            hash.iter().for_each(|pair| say(cx.reply, pair));
        }
        Draw::Different(count) => {
            announce(cx.reply, count, with_values);
            let sample = hash.sample(count, &mut random);
            sample.into_iter().for_each(|pair| say(cx.reply, pair));
        }
    }
    Ok(())
}

fn say_random_field(cx: &mut Cx<'_>, key: &[u8]) -> Result<(), Error> {
    let mut random = || cx.host.random();
    let pair = cx.keys.collection::<Hash>(key)?.and_then(|hash| hash.random(&mut random));
    say_or_nil(cx.reply, pair.map(|(field, _)| field));
    Ok(())
}

/// Announces random fields: pairs are arrays of their own in RESP3, and lie flat before.
fn announce(reply: &mut Writer, count: usize, with_values: bool) {
    let flat = with_values && !reply.is_resp3();
    reply.array(if flat { count.saturating_mul(2) } else { count });
}

fn say_pair(reply: &mut Writer, (field, value): (Element<'_>, Element<'_>), with_values: bool) {
    if with_values && reply.is_resp3() {
        reply.array(2);
    }
    element::say(reply, field);
    if with_values {
        element::say(reply, value);
    }
}

fn hscan(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, cursor) = (args.bytes()?, scan::cursor(args)?);
    let hasher = &cx.keys.rules.hasher;
    let Some(hash) = cx.keys.collection::<Hash>(key)? else {
        // Redis looks at options only if there is something to scan.
        args.skip_rest();
        scan::say(cx.reply, 0, &[]);
        return Ok(());
    };
    let options = scan::Options::take(args, scan::Extra::NamesOnly("NOVALUES"))?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let cursor = hash.scan(hasher, cursor, options.count, &mut |field, value| {
        if field.with(|text| options.wants(text)) {
            found.push(field.to_vec().into());
            if !options.names_only {
                found.push(value.to_vec().into());
            }
        }
    });
    scan::say(cx.reply, cursor, &found);
    Ok(())
}
