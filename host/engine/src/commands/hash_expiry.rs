//! Fields of hashes that expire: when, and that they do.

use alloc::vec::Vec;

use super::expiry::Unit;
use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, Group, Handler, command};
use crate::error::Error;
use crate::step::Cx;
use crate::types::hash::Hash;
use crate::types::number;

/// The latest time at which a field may expire, in milliseconds since 1970.
pub(super) const TIME_MAX: i64 = (1 << 46) - 1;

const fn write(name: &'static str, handler: Handler) -> Command {
    command(name, handler, -6)
        .group(Group::Hash)
        .write_denyoom()
        .fast()
        .key()
        .since("7.4.0", "O(N) where N is the number of specified fields")
}

const fn read(name: &'static str, handler: Handler) -> Command {
    command(name, handler, -5)
        .group(Group::Hash)
        .readonly()
        .fast()
        .key()
        .usage("key FIELDS numfields field [field ...]")
        .since("7.4.0", "O(N) where N is the number of specified fields")
}

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    write("HEXPIRE", hexpire)
        .usage("key seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]")
        .summary("Sets when fields of a hash expire, in seconds from now."),
    write("HPEXPIRE", hpexpire)
        .usage("key milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]")
        .summary("Sets when fields of a hash expire, in milliseconds from now."),
    write("HEXPIREAT", hexpireat)
        .usage("key unix-time-seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]")
        .summary("Sets when fields of a hash expire, as a Unix time in seconds."),
    write("HPEXPIREAT", hpexpireat)
        .usage("key unix-time-milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]")
        .summary("Sets when fields of a hash expire, as a Unix time in milliseconds."),
    read("HTTL", httl).summary("Returns in how many seconds fields of a hash expire."),
    read("HPTTL", hpttl).summary("Returns in how many milliseconds fields of a hash expire."),
    read("HEXPIRETIME", hexpiretime)
        .summary("Returns when fields of a hash expire, as a Unix time in seconds."),
    read("HPEXPIRETIME", hpexpiretime)
        .summary("Returns when fields of a hash expire, as a Unix time in milliseconds."),
    command("HPERSIST", hpersist, -5)
        .group(Group::Hash)
        .write()
        .fast()
        .key()
        .usage("key FIELDS numfields field [field ...]")
        .since("7.4.0", "O(N) where N is the number of specified fields")
        .summary("Lets fields of a hash stay that were going to expire."),
];

fn hexpire(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::Seconds, "hexpire")
}

fn hpexpire(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::Millis, "hpexpire")
}

fn hexpireat(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::UnixSeconds, "hexpireat")
}

fn hpexpireat(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire(cx, args, Unit::UnixMillis, "hpexpireat")
}

/// What is said of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    NoField = -2,
    NoExpiry = -1,
    NotMet = 0,
    Done = 1,
    /// The time had come already.
    Deleted = 2,
}

/// Under which condition a time is set; none is met by a field that never expires but NX and LT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    Never,
    Expires,
    Later,
    Sooner,
}

impl Condition {
    fn take(args: &mut Args<'_>) -> Self {
        const CONDITIONS: [Condition; 4] =
            [Condition::Never, Condition::Expires, Condition::Later, Condition::Sooner];
        let given = args.one_of(&["NX", "XX", "GT", "LT"]);
        given.map_or(Self::Always, |index| CONDITIONS[index])
    }

    fn allows(self, before: Option<Millis>, at: Millis) -> bool {
        match (self, before) {
            (Self::Always, _) => true,
            (Self::Never, before) => before.is_none(),
            (Self::Expires, before) => before.is_some(),
            (Self::Later, before) => before.is_some_and(|before| at > before),
            (Self::Sooner, before) => before.is_none_or(|before| at < before),
        }
    }
}

/// Takes `FIELDS numfields field [field ...]`; a number that is none is this error.
fn take_fields<'a>(args: &mut Args<'a>, not_a_number: Error) -> Result<Vec<&'a [u8]>, Error> {
    if !args.keyword("FIELDS") {
        return Err(Error::FIELDS_MISSING);
    }
    let count = args.integer_within(1..=i64::MAX, not_a_number)?;
    if usize::try_from(count).ok() != Some(args.left()) {
        return Err(Error::FIELDS_COUNT);
    }
    Ok(args.rest().collect())
}

/// The instant that is meant, which must be one that a field can have.
fn take_instant(args: &mut Args<'_>, unit: Unit, now: Millis, name: &str) -> Result<Millis, Error> {
    let value = args.integer()?;
    if value < 0 {
        return Err(Error::FIELD_EXPIRE_NEGATIVE);
    }
    let at = unit.instant(value, now).filter(|at| *at <= TIME_MAX);
    let at = at.and_then(|at| u64::try_from(at).ok());
    at.map(Millis::new).ok_or_else(|| Error::InvalidExpire(name.into()))
}

fn expire(cx: &mut Cx<'_>, args: &mut Args<'_>, unit: Unit, name: &str) -> Result<(), Error> {
    let (key, now, horizon) = (args.bytes()?, cx.keys.now, cx.keys.horizon());
    cx.keys.peek_collection::<Hash>(key)?;
    let at = take_instant(args, unit, now, name)?;
    let mut condition_words = *args;
    let condition = Condition::take(args);
    let condition_words = condition_words.many(args.position() - condition_words.position())?;
    let fields = take_fields(args, Error::FIELDS_NOT_POSITIVE)?;
    let hasher = &cx.keys.rules.hasher;
    let event = if at > horizon { "hexpire" } else { "hdel" };
    let outcomes = cx.keys.edit::<Hash, _>(key, event, |hash| {
        let outcome = |field: &&[u8]| {
            if hash.get(hasher, field).is_none() {
                return Outcome::NoField;
            }
            if !condition.allows(hash.expiry(hasher, field), at) {
                return Outcome::NotMet;
            }
            if at > horizon {
                hash.set_expiry(field, Some(at));
                return Outcome::Done;
            }
            hash.remove(field);
            Outcome::Deleted
        };
        Ok(fields.iter().map(outcome).collect::<Vec<_>>())
    })?;
    rewrite(cx, key, at, condition_words, &fields, outcomes.as_deref().unwrap_or_default());
    say(cx, fields.len(), outcomes);
    Ok(())
}

/// Copies get the instant, and only the fields for which it counts.
fn rewrite<'a>(
    cx: &mut Cx<'_>,
    key: &[u8],
    at: Millis,
    condition: impl Iterator<Item = &'a [u8]>,
    fields: &[&'a [u8]],
    outcomes: &[Outcome],
) {
    if !cx.keys.propagates() {
        return;
    }
    let only = |wanted: Outcome| {
        let met = fields.iter().zip(outcomes).filter(move |(_, outcome)| **outcome == wanted);
        met.map(|(field, _)| *field).collect::<Vec<_>>()
    };
    cx.rewrite_each(&[&"HDEL", &key], &only(Outcome::Deleted));
    let set = only(Outcome::Done);
    if !set.is_empty() {
        let (mut words, mut digits) = (condition.collect::<Vec<_>>(), [0; 20]);
        words.extend([&b"FIELDS"[..], number::format_u64(&mut digits, set.len() as u64)]);
        words.extend(set);
        cx.rewrite_with(&[&"HPEXPIREAT", &key, &at], words.into_iter());
    }
}

fn say(cx: &mut Cx<'_>, count: usize, outcomes: Option<Vec<Outcome>>) {
    let outcomes = outcomes.unwrap_or_else(|| alloc::vec![Outcome::NoField; count]);
    cx.reply.array(outcomes.len());
    outcomes.into_iter().for_each(|outcome| cx.reply.integer(outcome as i64));
}

fn hpersist(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    cx.keys.peek_collection::<Hash>(key)?;
    let fields = take_fields(args, Error::FIELDS_NOT_A_COUNT)?;
    let hasher = &cx.keys.rules.hasher;
    let outcomes = cx.keys.edit::<Hash, _>(key, "hpersist", |hash| {
        let outcome = |field: &&[u8]| {
            if hash.get(hasher, field).is_none() {
                return Outcome::NoField;
            }
            if hash.expiry(hasher, field).is_none() {
                return Outcome::NoExpiry;
            }
            hash.set_expiry(field, None);
            Outcome::Done
        };
        Ok(fields.iter().map(outcome).collect::<Vec<_>>())
    })?;
    say(cx, fields.len(), outcomes);
    Ok(())
}

fn httl(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let now = cx.keys.now;
    say_expiries(cx, args, |at| at.since(now).div_ceil(1000))
}

fn hpttl(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let now = cx.keys.now;
    say_expiries(cx, args, |at| at.since(now))
}

fn hexpiretime(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_expiries(cx, args, |at| at.get().div_ceil(1000))
}

fn hpexpiretime(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_expiries(cx, args, Millis::get)
}

/// Says when fields expire, in the way of `show`: -2 if there is no field, -1 if it never does.
fn say_expiries(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    show: impl Fn(Millis) -> u64,
) -> Result<(), Error> {
    let key = args.bytes()?;
    let hasher = &cx.keys.rules.hasher;
    let hash = cx.keys.collection::<Hash>(key)?;
    let fields = take_fields(args, Error::FIELDS_NOT_A_COUNT)?;
    cx.reply.array(fields.len());
    for field in fields {
        let found = hash.filter(|hash| hash.get(hasher, field).is_some());
        cx.reply.integer(match found.map(|hash| hash.expiry(hasher, field)) {
            None => Outcome::NoField as i64,
            Some(None) => Outcome::NoExpiry as i64,
            Some(Some(at)) => show(at) as i64,
        });
    }
    Ok(())
}
