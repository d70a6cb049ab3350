//! Fields of hashes that are read or set together with the time at which they expire, or taken.

use alloc::vec::Vec;

use super::expiry::{Unit, Wish};
use super::hash::say_or_nil;
use super::hash_expiry::TIME_MAX;
use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::step::Cx;
use crate::types::hash::Hash;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("HGETEX", hgetex, -5)
        .group(Group::Hash)
        .write()
        .fast()
        .key()
        .usage("key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] FIELDS numfields field [field ...]")
        .since("8.0.0", "O(N) where N is the number of specified fields")
        .summary("Returns the values of fields of a hash and sets when these expire."),
    command("HSETEX", hsetex, -6)
        .group(Group::Hash)
        .write_denyoom()
        .fast()
        .key()
        .usage("key [NX|XX] [FNX|FXX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL] FIELDS numfields field value [field value ...]")
        .since("8.0.0", "O(N) where N is the number of fields being set.")
        .summary("Sets the values of fields of a hash together with when these expire."),
    command("HGETDEL", hgetdel, -5)
        .group(Group::Hash)
        .write()
        .fast()
        .key()
        .usage("key FIELDS numfields field [field ...]")
        .since("8.0.0", "O(N) where N is the number of specified fields")
        .summary("Returns the values of fields of a hash and deletes these."),
];

/// Takes `FIELDS numfields` and what follows, which are `each` words for a field.
fn take_fields<'a>(args: &mut Args<'a>, each: usize) -> Result<Vec<&'a [u8]>, Error> {
    if !args.keyword("FIELDS") {
        return Err(Error::Syntax);
    }
    let count = usize::try_from(args.integer()?).ok().and_then(|count| count.checked_mul(each));
    match count {
        Some(count) if count > 0 && count == args.left() => Ok(args.rest().collect()),
        _ => Err(Error::NUMFIELDS),
    }
}

/// Whether the word FIELDS is still to come, with something behind; without it, no field is named.
fn check_fields(mut args: Args<'_>) -> Result<(), Error> {
    let mut ahead = args.many(args.left().saturating_sub(1))?;
    let comes = ahead.any(|word| word.eq_ignore_ascii_case(b"FIELDS"));
    if comes { Ok(()) } else { Err(Error::NUMFIELDS) }
}

/// The instant that a number means: now at the earliest makes it one that has passed.
fn instant(now: Millis, unit: Unit, mut number: Args<'_>, name: &str) -> Result<Millis, Error> {
    let value = number.integer()?;
    let at = unit.instant(value, now).filter(|at| value >= 0 && *at <= TIME_MAX);
    let at = at.and_then(|at| u64::try_from(at).ok());
    at.map(Millis::new).ok_or_else(|| Error::InvalidExpire(name.into()))
}

fn hgetex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    check_fields(*args)?;
    let mut wish = Wish::None;
    while !args.peek().is_some_and(|word| word.eq_ignore_ascii_case(b"FIELDS")) {
        wish.take(args, "PERSIST")?;
    }
    let fields = take_fields(args, 1)?;
    let (now, hasher) = (cx.keys.now, &cx.keys.rules.hasher);
    let hash = cx.keys.collection::<Hash>(key)?;
    let expires_at = match wish {
        Wish::None => None,
        Wish::Keyword => Some(None),
        Wish::Time(unit, at) => Some(Some(instant(now, unit, at, "hgetex")?)),
    };
    cx.reply.array(fields.len());
    for field in &fields {
        say_or_nil(cx.reply, hash.and_then(|hash| hash.get(hasher, field)));
    }
    match expires_at {
        None => Ok(()),
        Some(None) => persist(cx, key, &fields),
        Some(Some(at)) if at <= cx.keys.horizon() => remove(cx, key, &fields),
        Some(Some(at)) => {
            let set = set_expiry(cx, key, &fields, at)?;
            rewrite_expiry(cx, key, &set, at);
            Ok(())
        }
    }
}

fn persist(cx: &mut Cx<'_>, key: &[u8], fields: &[&[u8]]) -> Result<(), Error> {
    let hasher = &cx.keys.rules.hasher;
    let stay = cx.keys.edit::<Hash, _>(key, "hpersist", |hash| {
        let mut stay = Vec::new();
        for field in fields {
            if hash.expiry(hasher, field).is_some() {
                hash.set_expiry(field, None);
                stay.push(*field);
            }
        }
        Ok(stay)
    })?;
    let stay = stay.unwrap_or_default();
    if !stay.is_empty() {
        let mut digits = [0; 20];
        let count = number::format_u64(&mut digits, stay.len() as u64);
        cx.rewrite_with(&[&"HPERSIST", &key, &"FIELDS", &count], stay.into_iter());
    }
    Ok(())
}

/// Removes fields whose time has come.
fn remove(cx: &mut Cx<'_>, key: &[u8], fields: &[&[u8]]) -> Result<(), Error> {
    let removed = cx.keys.edit::<Hash, _>(key, "hdel", |hash| {
        Ok(fields.iter().copied().filter(|field| hash.remove(field)).collect::<Vec<_>>())
    })?;
    cx.rewrite_each(&[&"HDEL", &key], &removed.unwrap_or_default());
    Ok(())
}

/// Sets when those fields expire that are there; gives them.
fn set_expiry<'a>(
    cx: &mut Cx<'_>,
    key: &[u8],
    fields: &[&'a [u8]],
    at: Millis,
) -> Result<Vec<&'a [u8]>, Error> {
    let hasher = &cx.keys.rules.hasher;
    let set = cx.keys.edit::<Hash, _>(key, "hexpire", |hash| {
        let there = |field: &&[u8]| hash.get(hasher, field).is_some();
        let there: Vec<&[u8]> = fields.iter().copied().filter(there).collect();
        there.iter().for_each(|field| hash.set_expiry(field, Some(at)));
        Ok(there)
    })?;
    Ok(set.unwrap_or_default())
}

/// Copies get the instant.
fn rewrite_expiry(cx: &mut Cx<'_>, key: &[u8], fields: &[&[u8]], at: Millis) {
    if !fields.is_empty() {
        let mut digits = [0; 20];
        let count = number::format_u64(&mut digits, fields.len() as u64);
        cx.rewrite_with(&[&"HPEXPIREAT", &key, &at, &"FIELDS", &count], fields.iter().copied());
    }
}

/// What HSETEX says before its fields.
#[derive(Clone, Copy, Default)]
struct Options<'a> {
    /// Whether the key has to be there, or must not.
    key: Option<bool>,
    /// The same of all fields.
    fields: Option<bool>,
    wish: Wish<'a>,
}

impl<'a> Options<'a> {
    fn take(args: &mut Args<'a>) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.peek().is_some_and(|word| word.eq_ignore_ascii_case(b"FIELDS")) {
            if options.key != Some(true) && args.keyword("NX") {
                options.key = Some(false);
            } else if options.key != Some(false) && args.keyword("XX") {
                options.key = Some(true);
            } else if options.fields != Some(true) && args.keyword("FNX") {
                options.fields = Some(false);
            } else if options.fields != Some(false) && args.keyword("FXX") {
                options.fields = Some(true);
            } else {
                options.wish.take(args, "KEEPTTL")?;
            }
        }
        Ok(options)
    }

    /// Whether fields are to be set.
    fn allow(&self, cx: &mut Cx<'_>, key: &[u8], pairs: &[&[u8]]) -> Result<bool, Error> {
        let hasher = &cx.keys.rules.hasher;
        let hash = cx.keys.peek_collection::<Hash>(key)?;
        let has = |pair: &[&[u8]]| hash.is_some_and(|hash| hash.get(hasher, pair[0]).is_some());
        Ok(self.key.is_none_or(|wanted| hash.is_some() == wanted)
            && self
                .fields
                .is_none_or(|wanted| pairs.chunks_exact(2).all(|pair| has(pair) == wanted)))
    }
}

fn hsetex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    check_fields(*args)?;
    let options = Options::take(args)?;
    let pairs = take_fields(args, 2)?;
    let is_allowed = options.allow(cx, key, &pairs)?;
    let expires_at = match options.wish {
        Wish::Time(unit, at) => Some(instant(cx.keys.now, unit, at, "hsetex")?),
        Wish::None | Wish::Keyword => None,
    };
    if is_allowed {
        let fields: Vec<&[u8]> = pairs.iter().copied().step_by(2).collect();
        match expires_at {
            Some(at) if at <= cx.keys.horizon() => remove(cx, key, &fields)?,
            Some(at) => {
                set_pairs(cx, key, &pairs, false)?;
                set_expiry(cx, key, &fields, at)?;
                rewrite_expiry(cx, key, &fields, at);
            }
            None => set_pairs(cx, key, &pairs, matches!(options.wish, Wish::Keyword))?,
        }
    }
    cx.reply.integer(i64::from(is_allowed));
    Ok(())
}

/// Sets fields; those that were going to expire still will if their time is kept.
fn set_pairs(cx: &mut Cx<'_>, key: &[u8], pairs: &[&[u8]], keeps: bool) -> Result<(), Error> {
    let hasher = &cx.keys.rules.hasher;
    let kept = cx.keys.edit_or_create::<Hash, _>(key, "hset", |hash| {
        let mut kept = Vec::new();
        for pair in pairs.chunks_exact(2) {
            if keeps && let Some(at) = hash.expiry(hasher, pair[0]) {
                hash.set_value(pair[0], pair[1]);
                kept.push((pair[0], at));
            } else {
                hash.set(pair[0], pair[1]);
            }
        }
        Ok(kept)
    })?;
    cx.rewrite_with(&[&"HSET", &key], pairs.iter().copied());
    // HSET lets a field stay for good.
    kept.into_iter().for_each(|(field, at)| rewrite_expiry(cx, key, &[field], at));
    Ok(())
}

fn hgetdel(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let fields = take_fields(args, 1)?;
    cx.keys.peek_collection::<Hash>(key)?;
    let (hasher, reply) = (&cx.keys.rules.hasher, &mut *cx.reply);
    reply.array(fields.len());
    let removed = cx.keys.edit::<Hash, _>(key, "hdel", |hash| {
        let mut removed = Vec::new();
        for field in &fields {
            say_or_nil(reply, hash.get(hasher, field));
            if hash.remove(field) {
                removed.push(*field);
            }
        }
        Ok(removed)
    })?;
    match removed {
        Some(removed) => cx.rewrite_each(&[&"HDEL", &key], &removed),
        None => fields.iter().for_each(|_| cx.reply.nil()),
    }
    Ok(())
}
