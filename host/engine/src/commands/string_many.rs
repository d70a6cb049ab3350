//! Strings at several keys at once.

use alloc::vec::Vec;

use super::expiry::{self, Unit, Wish};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::Expiry;
use crate::keyspec::KeySpec;
use crate::step::Cx;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("MGET", mget, -2)
        .group(Group::String)
        .readonly()
        .fast()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N) where N is the number of keys to retrieve.")
        .summary("Atomically returns the string values of one or more keys."),
    command("MSET", mset, -3)
        .group(Group::String)
        .write_denyoom()
        .keys(KeySpec::range(1, -1, 2))
        .usage("key value [key value ...]")
        .since("1.0.1", "O(N) where N is the number of keys to set.")
        .summary("Atomically creates or modifies the string values of one or more keys."),
    command("MSETNX", msetnx, -3)
        .group(Group::String)
        .write_denyoom()
        .keys(KeySpec::range(1, -1, 2))
        .usage("key value [key value ...]")
        .since("1.0.1", "O(N) where N is the number of keys to set.")
        .summary("Atomically modifies the string values of one or more keys only when all keys don't exist."),
    command("MSETEX", msetex, -4)
        .group(Group::String)
        .write_denyoom()
        .keys(KeySpec::CountedPairs { count: 1 })
        .usage("numkeys key value [key value ...] [NX|XX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]")
        .since("9.1.0", "O(N) where N is the number of keys to set.")
        .summary("Atomically sets the string values of one or more keys together with their expiration time."),
];

fn mget(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.array(args.left());
    for key in args.rest() {
        match cx.keys.read(key).and_then(|slot| slot.as_text()) {
            Some(text) => cx.reply.bulk(text),
            None => cx.reply.nil(),
        }
    }
    Ok(())
}

fn mset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    set_pairs(cx, args, "mset")?;
    cx.reply.ok();
    Ok(())
}

fn msetnx(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut ahead = *args;
    let taken = ahead.rest().step_by(2).any(|key| cx.keys.exists(key));
    if taken {
        if !args.left().is_multiple_of(2) {
            return Err(Error::WrongArity("msetnx".into()));
        }
        args.skip_rest();
    } else {
        set_pairs(cx, args, "msetnx")?;
    }
    cx.reply.integer(i64::from(!taken));
    Ok(())
}

fn set_pairs(cx: &mut Cx<'_>, args: &mut Args<'_>, name: &str) -> Result<(), Error> {
    if !args.left().is_multiple_of(2) {
        return Err(Error::WrongArity(name.into()));
    }
    while !args.is_done() {
        let (key, value) = (args.bytes()?, args.bytes()?);
        cx.keys.set_text(key, value, Expiry::Clear, "set");
    }
    Ok(())
}

/// What MSETEX says behind its keys.
#[derive(Clone, Copy)]
struct Options {
    /// Whether all keys, or none, have to be there.
    present: Option<bool>,
    expiry: Expiry,
}

impl Options {
    fn take(cx: &Cx<'_>, args: &mut Args<'_>) -> Result<Self, Error> {
        let (mut present, mut wish) = (None, Wish::None);
        while !args.is_done() {
            if present != Some(true) && args.keyword("NX") {
                present = Some(false);
            } else if present != Some(false) && args.keyword("XX") {
                present = Some(true);
            } else {
                wish.take(args, "KEEPTTL")?;
            }
        }
        let instant = |unit: Unit, mut at| expiry::take(&mut at, unit, cx.keys.now, "msetex");
        let expiry = match wish {
            Wish::None => Expiry::Clear,
            Wish::Keyword => Expiry::Keep,
            Wish::Time(unit, at) => Expiry::At(instant(unit, at)?),
        };
        Ok(Self { present, expiry })
    }
}

fn msetex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = args.integer_within(1..=i64::from(i32::MAX), Error::NUMKEYS_INVALID)?;
    let pairs = usize::try_from(count).unwrap_or(usize::MAX);
    let mut words = args.many(pairs.checked_mul(2).ok_or(Error::Syntax)?)?;
    let options = Options::take(cx, args)?;
    let keys = words.clone().step_by(2);
    let met = options
        .present
        .is_none_or(|wanted| keys.into_iter().all(|key| cx.keys.exists(key) == wanted));
    if met {
        let all: Vec<&[u8]> = words.clone().collect();
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            cx.keys.set_text(key, value, options.expiry, "set");
        }
        rewrite_msetex(cx, &all, options.expiry);
    }
    cx.reply.integer(i64::from(met));
    Ok(())
}

/// Copies get what servers know that are older than this command.
fn rewrite_msetex(cx: &mut Cx<'_>, pairs: &[&[u8]], expiry: Expiry) {
    if expiry == Expiry::Clear {
        return cx.rewrite_with(&[&"MSET"], pairs.iter().copied());
    }
    for pair in pairs.chunks_exact(2) {
        match expiry {
            Expiry::At(at) => cx.rewrite(&[&"SET", &pair[0], &pair[1], &"PXAT", &at]),
            _ => cx.rewrite(&[&"SET", &pair[0], &pair[1], &"KEEPTTL"]),
        }
    }
}
