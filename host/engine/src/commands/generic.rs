//! Keys of any type: existence, expiry, names, and walks over all of them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::expiry::Unit;
use super::scan;
use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, Flags, command};
use crate::effects::removal;
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::glob;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("DEL", del, -2)
        .write()
        .never_fails()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N) where N is the number of keys.")
        .summary("Deletes one or more keys."),
    command("UNLINK", unlink, -2)
        .write()
        .never_fails()
        .fast()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("4.0.0", "O(N) where N is the number of keys.")
        .summary("Asynchronously deletes one or more keys."),
    command("EXISTS", exists, -2)
        .readonly()
        .never_fails()
        .fast()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N) where N is the number of keys to check.")
        .summary("Determines whether one or more keys exist."),
    command("TYPE", type_, 2)
        .readonly()
        .never_fails()
        .fast()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Determines the type of value stored at a key."),
    command("KEYS", keys, 2)
        .readonly()
        .flags(Flags::ALL_SHARDS)
        .usage("pattern")
        .since("1.0.0", "O(N) where N is the number of keys in the database.")
        .summary("Returns all key names that match a pattern."),
    command("SCAN", scan, -2)
        .readonly()
        .flags(Flags::ALL_SHARDS)
        .usage("cursor [MATCH pattern] [COUNT count] [TYPE type]")
        .since("2.8.0", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.")
        .summary("Iterates over the key names in the database."),
    command("RENAME", rename, 3)
        .write()
        .keys(KeySpec::FIRST_TWO)
        .usage("key newkey")
        .since("1.0.0", "O(1)")
        .summary("Renames a key and overwrites the destination."),
    command("RENAMENX", renamenx, 3)
        .write()
        .fast()
        .keys(KeySpec::FIRST_TWO)
        .usage("key newkey")
        .since("1.0.0", "O(1)")
        .summary("Renames a key only when the target key name doesn't exist."),
    command("EXPIRE", expire, -3)
        .write()
        .fast()
        .key()
        .usage("key seconds [NX|XX|GT|LT]")
        .since("1.0.0", "O(1)")
        .summary("Sets the expiration time of a key in seconds."),
    command("PEXPIRE", pexpire, -3)
        .write()
        .fast()
        .key()
        .usage("key milliseconds [NX|XX|GT|LT]")
        .since("2.6.0", "O(1)")
        .summary("Sets the expiration time of a key in milliseconds."),
    command("EXPIREAT", expireat, -3)
        .write()
        .fast()
        .key()
        .usage("key unix-time-seconds [NX|XX|GT|LT]")
        .since("1.2.0", "O(1)")
        .summary("Sets the expiration time of a key to a Unix timestamp."),
    command("PEXPIREAT", pexpireat, -3)
        .write()
        .fast()
        .key()
        .usage("key unix-time-milliseconds [NX|XX|GT|LT]")
        .since("2.6.0", "O(1)")
        .summary("Sets the expiration time of a key to a Unix milliseconds timestamp."),
    command("TTL", ttl, 2)
        .readonly()
        .never_fails()
        .fast()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Returns the expiration time in seconds of a key."),
    command("PTTL", pttl, 2)
        .readonly()
        .never_fails()
        .fast()
        .key()
        .usage("key")
        .since("2.6.0", "O(1)")
        .summary("Returns the expiration time in milliseconds of a key."),
    command("EXPIRETIME", expiretime, 2)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("7.0.0", "O(1)")
        .summary("Returns the expiration time of a key as a Unix timestamp."),
    command("PEXPIRETIME", pexpiretime, 2)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("7.0.0", "O(1)")
        .summary("Returns the expiration time of a key as a Unix milliseconds timestamp."),
    command("PERSIST", persist, 2)
        .write()
        .never_fails()
        .fast()
        .key()
        .usage("key")
        .since("2.2.0", "O(1)")
        .summary("Removes the expiration time of a key."),
    command("RANDOMKEY", randomkey, 1)
        .readonly()
        .flags(Flags::ALL_SHARDS)
        .since("1.0.0", "O(1)")
        .summary("Returns a random key name from the database."),
    command("TOUCH", touch, -2)
        .readonly()
        .fast()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("3.2.1", "O(N) where N is the number of keys that will be touched.")
        .summary("Returns the number of existing keys out of those specified after updating the time they were last accessed."),
    command("COPY", copy, -3)
        .write_denyoom()
        .keys(KeySpec::FIRST_TWO)
        .usage("source destination [DB destination-db] [REPLACE]")
        .since("6.2.0", "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.")
        .summary("Copies the value of a key to a new key."),
    command("MOVE", move_, 3)
        .write()
        .fast()
        .key()
        .usage("key db")
        .since("1.0.0", "O(1)")
        .summary("Moves a key to another database."),
];

fn del(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let removed = args.rest().filter(|key| cx.keys.remove(key)).count();
    cx.reply.integer(removed as i64);
    Ok(())
}

fn unlink(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let removed = args.rest().filter(|key| cx.keys.unlink(key)).count();
    cx.reply.integer(removed as i64);
    Ok(())
}

fn exists(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let found = args.rest().filter(|key| cx.keys.look(key).is_some()).count();
    cx.reply.integer(found as i64);
    Ok(())
}

fn type_(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let name = cx.keys.look(args.bytes()?).map_or("none", |slot| slot.type_name());
    cx.reply.status(name);
    Ok(())
}

fn keys(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let pattern = args.bytes()?;
    let mark = cx.reply.mark();
    let mut count = 0;
    if !pattern.iter().any(|byte| b"*?[\\".contains(byte)) {
        if cx.keys.exists(pattern) {
            cx.reply.bulk(pattern);
            count = 1;
        }
    } else {
        for slot in cx.keys.iter() {
            if pattern == b"*" || glob::matches(pattern, slot.key()) {
                cx.reply.bulk(slot.key());
                count += 1;
            }
        }
    }
    cx.reply.array_since(mark, count);
    Ok(())
}

fn scan(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let cursor = scan::cursor(args)?;
    let options = scan::Options::take(args, scan::Extra::Type)?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let cursor = cx.keys.scan(cursor, options.count, &mut |slot| {
        let is_type = |name: &[u8]| name.eq_ignore_ascii_case(slot.type_name().as_bytes());
        if options.type_name.is_none_or(is_type) && options.wants(slot.key()) {
            found.push(slot.key().into());
        }
    });
    scan::say(cx.reply, cursor, &found);
    Ok(())
}

fn rename(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, to) = (args.bytes()?, args.bytes()?);
    if !cx.keys.exists(key) {
        return Err(Error::NoSuchKey);
    }
    if key != to {
        let database = cx.keys.database;
        cx.keys.rename(key, to, database, ("rename_from", "rename_to"));
    }
    cx.reply.ok();
    Ok(())
}

fn renamenx(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, to) = (args.bytes()?, args.bytes()?);
    if !cx.keys.exists(key) {
        return Err(Error::NoSuchKey);
    }
    let free = !cx.keys.exists(to);
    if free {
        let database = cx.keys.database;
        cx.keys.rename(key, to, database, ("rename_from", "rename_to"));
    }
    cx.reply.integer(i64::from(free));
    Ok(())
}

fn expire(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire_by(cx, args, Unit::Seconds, "expire")
}

fn pexpire(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire_by(cx, args, Unit::Millis, "pexpire")
}

fn expireat(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire_by(cx, args, Unit::UnixSeconds, "expireat")
}

fn pexpireat(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    expire_by(cx, args, Unit::UnixMillis, "pexpireat")
}

/// The options of EXPIRE, by their index in `WORDS`.
#[derive(Clone, Copy, Default)]
struct ExpireConditions([bool; 4]);

impl ExpireConditions {
    const WORDS: [&'static str; 4] = ["NX", "XX", "GT", "LT"];

    fn take(args: &mut Args<'_>) -> Result<Self, Error> {
        let mut given = [false; 4];
        while let Some(next) = args.peek() {
            let unknown = || Error::UnsupportedOption(String::from_utf8_lossy(next).into_owned());
            given[args.one_of(&Self::WORDS).ok_or_else(unknown)?] = true;
        }
        let [nx, xx, gt, lt] = given;
        if nx && (xx || gt || lt) {
            return Err(Error::ExpireNxConflict);
        }
        if gt && lt {
            return Err(Error::ExpireGtLtConflict);
        }
        Ok(Self(given))
    }

    /// Whether an expiry may take the place of this one. None at all counts as endless.
    fn allow(self, before: Option<Millis>, at: i64) -> bool {
        let [nx, xx, gt, lt] = self.0;
        match before.map(|before| before.get() as i64) {
            None => !xx && !gt,
            Some(before) => !nx && (!gt || at > before) && (!lt || at < before),
        }
    }
}

fn expire_by(cx: &mut Cx<'_>, args: &mut Args<'_>, unit: Unit, name: &str) -> Result<(), Error> {
    let (key, mut time) = (args.bytes()?, *args);
    args.bytes()?;
    let words = *args;
    let conditions = ExpireConditions::take(args)?;
    let at = unit.instant(time.integer()?, cx.keys.now);
    let at = at.ok_or_else(|| Error::InvalidExpire(name.into()))?;
    let changes = cx.keys.expiry(key).is_some_and(|before| conditions.allow(before, at));
    if changes {
        match u64::try_from(at).map(Millis::new) {
            Ok(at) if at > cx.keys.horizon() => {
                cx.keys.set_expiry(key, Some(at), "expire");
                if unit != Unit::UnixMillis {
                    cx.rewrite_with(&[&"PEXPIREAT", &key, &at], { words }.rest());
                }
            }
            _ => {
                cx.keys.remove(key);
                cx.rewrite(&[&removal(cx.keys.rules.settings.lazy.expire), &key]);
            }
        }
    }
    cx.reply.integer(i64::from(changes));
    Ok(())
}

fn ttl(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let now = cx.keys.now;
    say_expiry(cx, args, |at| (at.since(now) + 500) / 1000)
}

fn pttl(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let now = cx.keys.now;
    say_expiry(cx, args, |at| at.since(now))
}

fn expiretime(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_expiry(cx, args, |at| (at.get() + 500) / 1000)
}

fn pexpiretime(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_expiry(cx, args, Millis::get)
}

/// Says when a key expires, in the way of `show`: -2 if there is no key, -1 if it never does.
fn say_expiry(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    show: impl FnOnce(Millis) -> u64,
) -> Result<(), Error> {
    let key = args.bytes()?;
    cx.reply.integer(match cx.keys.look(key).map(|slot| slot.expires_at()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => show(at) as i64,
    });
    Ok(())
}

fn persist(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let expires = matches!(cx.keys.expiry(key), Some(Some(_)));
    if expires {
        cx.keys.set_expiry(key, None, "persist");
    }
    cx.reply.integer(i64::from(expires));
    Ok(())
}

fn randomkey(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let host = &mut *cx.host;
    match cx.keys.random_key(&mut || host.random()) {
        Some(key) => cx.reply.bulk(key),
        None => cx.reply.nil(),
    }
    Ok(())
}

fn touch(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    // Who asks for nothing but touching gets it, CLIENT NO-TOUCH or not.
    cx.keys.no_touch = false;
    let found = args.rest().filter(|key| cx.keys.read(key).is_some()).count();
    cx.reply.integer(found as i64);
    Ok(())
}

/// Takes the number of a database.
pub(super) fn database(cx: &Cx<'_>, args: &mut Args<'_>) -> Result<u32, Error> {
    let number = u32::try_from(args.integer32()?).ok();
    let exists = |number: &u32| *number < cx.keys.rules.settings.databases;
    number.filter(exists).ok_or(Error::DatabaseOutOfRange)
}

fn copy(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, to) = (args.bytes()?, args.bytes()?);
    let mut to_database = cx.keys.database;
    let mut replace = false;
    while !args.is_done() {
        if args.keyword("REPLACE") {
            replace = true;
        } else if args.left() >= 2 && args.keyword("DB") {
            to_database = database(cx, args)?;
        } else {
            return Err(Error::Syntax);
        }
    }
    if to_database == cx.keys.database && key == to {
        return Err(Error::SameObject);
    }
    let free = replace || !cx.keys.in_database(to_database, |keys| keys.exists(to));
    let copied = free && cx.keys.copy(key, to, to_database, "copy_to");
    cx.reply.integer(i64::from(copied));
    Ok(())
}

fn move_(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, to_database) = (args.bytes()?, database(cx, args)?);
    if to_database == cx.keys.database {
        return Err(Error::SameObject);
    }
    let free = !cx.keys.in_database(to_database, |keys| keys.exists(key));
    let moved = free && cx.keys.rename(key, key, to_database, ("move_from", "move_to"));
    cx.reply.integer(i64::from(moved));
    Ok(())
}
