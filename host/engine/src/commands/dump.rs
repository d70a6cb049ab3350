//! DUMP and RESTORE: a value as bytes, and a key from such bytes.

use alloc::vec::Vec;

use reef_resp::Argv;

use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, command};
use crate::effects::removal;
use crate::error::Error;
use crate::keyspace::{Access, Slot};
use crate::rdb::{self, Refusal};
use crate::step::Cx;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("DUMP", dump, 2)
        .readonly()
        .key()
        .usage("key")
        .since("2.6.0", "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).")
        .summary("Returns a serialized representation of the value stored at a key."),
    command("RESTORE", restore, -4)
        .write_denyoom()
        .key()
        .usage("key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]")
        .since("2.6.0", "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).")
        .summary("Creates a key from the serialized representation of a value."),
];

fn dump(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let hasher = &cx.keys.rules.hasher;
    match cx.keys.read(args.bytes()?).map(|slot| rdb::dump(slot, hasher)) {
        Some(payload) => cx.reply.bulk(&payload),
        None => cx.reply.nil(),
    }
    Ok(())
}

/// The options of RESTORE.
#[derive(Default)]
struct Options {
    replace: bool,
    /// Whether the time to live is an instant.
    absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn take(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.is_done() {
            let operands = args.left() - 1;
            if args.keyword("REPLACE") {
                options.replace = true;
            } else if args.keyword("ABSTTL") {
                options.absolute = true;
            } else if operands > 0 && options.frequency.is_none() && args.keyword("IDLETIME") {
                let seconds = u64::try_from(args.integer()?);
                options.idle_seconds = Some(seconds.map_err(|_| Error::RESTORE_IDLETIME)?);
            } else if operands > 0 && options.idle_seconds.is_none() && args.keyword("FREQ") {
                let frequency = u8::try_from(args.integer()?);
                options.frequency = Some(frequency.map_err(|_| Error::RESTORE_FREQ)?);
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(options)
    }
}

fn restore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, mut ttl, _, payload) = (args.bytes()?, *args, args.bytes()?, args.bytes()?);
    let options = Options::take(args)?;
    if !options.replace && cx.keys.exists(key) {
        return Err(Error::BusyKey);
    }
    let expires_at = expiry(ttl.integer()?, options.absolute, cx.keys.now)?;
    let value = rdb::restore(payload, cx.keys.rules).map_err(|refusal| match refusal {
        Refusal::Footer => Error::RESTORE_FOOTER,
        Refusal::Malformed => Error::RESTORE_FORMAT,
    })?;
    let (now, lfu) = (cx.keys.now, cx.keys.rules.settings.lfu);
    if expires_at.is_some_and(|at| at <= cx.keys.horizon()) {
        // It would go at once; what it replaces goes now.
        if cx.keys.remove(key) {
            cx.rewrite(&[&removal(cx.keys.rules.settings.lazy.server_del), &key]);
        }
    } else {
        let access = Access::restored(now, lfu, options.idle_seconds, options.frequency);
        cx.keys.put_slot(key, Slot::new(key, value, expires_at, access), "restore");
        rewrite_restore(cx, args.argv(), expires_at.filter(|_| !options.absolute));
    }
    cx.reply.ok();
    Ok(())
}

/// A time from now on, if this is one, is an instant for copies.
fn rewrite_restore(cx: &mut Cx<'_>, argv: Argv<'_>, expires_at: Option<Millis>) {
    const WORDS_UP_TO_TTL: usize = 3;
    let Some(at) = expires_at.filter(|_| cx.keys.propagates()) else { return };
    let mut rest: Vec<_> = argv.iter().skip(WORDS_UP_TO_TTL).collect();
    rest.push(b"ABSTTL");
    cx.rewrite_with(&[&argv.get(0), &argv.get(1), &at], rest.into_iter());
}

/// When a key with this time to live expires; 0 is never.
fn expiry(ttl: i64, absolute: bool, now: Millis) -> Result<Option<Millis>, Error> {
    if ttl < 0 {
        return Err(Error::RESTORE_TTL);
    }
    let start = if absolute { 0 } else { now.get() as i64 };
    // Behind the end of time comes its beginning, as in Redis: such a key has expired.
    let at = u64::try_from(start.wrapping_add(ttl)).unwrap_or(0);
    Ok((ttl > 0).then_some(Millis::new(at)))
}
