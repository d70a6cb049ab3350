//! Strings: SET and GET with their relatives, counters, and parts of strings. Commands on several
//! keys are in `string_many.rs`.

use alloc::vec::Vec;

use reef_resp::Argv;

use super::expiry::{self, Unit, Wish};
use super::lcs;
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::effects::removal;
use crate::error::Error;
use crate::keyspace::Expiry;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("SET", set, -3)
        .group(Group::String)
        .write_denyoom()
        .never_fails_with(3)
        .key()
        .usage("key value [NX|XX|IFEQ comparison-value] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]")
        .since("1.0.0", "O(1)")
        .summary("Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."),
    command("GET", get, 2)
        .group(Group::String)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Returns the string value of a key."),
    command("SETNX", setnx, 3)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key value")
        .since("1.0.0", "O(1)")
        .summary("Sets the string value of a key only when the key doesn't exist."),
    command("SETEX", setex, 4)
        .group(Group::String)
        .write_denyoom()
        .key()
        .usage("key seconds value")
        .since("2.0.0", "O(1)")
        .summary("Sets the string value and expiration time of a key. Creates the key if it doesn't exist."),
    command("PSETEX", psetex, 4)
        .group(Group::String)
        .write_denyoom()
        .key()
        .usage("key milliseconds value")
        .since("2.6.0", "O(1)")
        .summary("Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist."),
    command("GETSET", getset, 3)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key value")
        .since("1.0.0", "O(1)")
        .summary("Returns the previous string value of a key after setting it to a new value."),
    command("GETDEL", getdel, 2)
        .group(Group::String)
        .write()
        .fast()
        .key()
        .usage("key")
        .since("6.2.0", "O(1)")
        .summary("Returns the string value of a key after deleting the key."),
    command("DELIFEQ", delifeq, 3)
        .group(Group::String)
        .write()
        .fast()
        .key()
        .usage("key value")
        .since("9.0.0", "O(1)")
        .summary("Deletes a key if its string value is the given one."),
    command("GETEX", getex, -2)
        .group(Group::String)
        .write()
        .fast()
        .key()
        .usage("key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]")
        .since("6.2.0", "O(1)")
        .summary("Returns the string value of a key after setting its expiration time."),
    command("STRLEN", strlen, 2)
        .group(Group::String)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("2.2.0", "O(1)")
        .summary("Returns the length of a string value."),
    command("APPEND", append, 3)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key value")
        .since("2.0.0", "O(1) amortized, however long the string is.")
        .summary("Appends a string to the value of a key. Creates the key if it doesn't exist."),
    command("GETRANGE", getrange, 4)
        .group(Group::String)
        .readonly()
        .key()
        .usage("key start end")
        .since("2.4.0", "O(N) where N is the length of the returned string.")
        .summary("Returns a substring of the string stored at a key."),
    command("SUBSTR", getrange, 4)
        .group(Group::String)
        .readonly()
        .key()
        .usage("key start end")
        .since("1.0.0", "O(N) where N is the length of the returned string.")
        .summary("Returns a substring from a string value."),
    command("SETRANGE", setrange, 4)
        .group(Group::String)
        .write_denyoom()
        .key()
        .usage("key offset value")
        .since("2.2.0", "O(M) where M is the length of the value argument.")
        .summary("Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist."),
    command("INCR", incr, 2)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."),
    command("DECR", decr, 2)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."),
    command("INCRBY", incrby, 3)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key increment")
        .since("1.0.0", "O(1)")
        .summary("Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."),
    command("DECRBY", decrby, 3)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key decrement")
        .since("1.0.0", "O(1)")
        .summary("Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist."),
    command("INCRBYFLOAT", incrbyfloat, 3)
        .group(Group::String)
        .write_denyoom()
        .fast()
        .key()
        .usage("key increment")
        .since("2.6.0", "O(1)")
        .summary("Increment the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist."),
    command("LCS", lcs::lcs, -3)
        .group(Group::String)
        .readonly()
        .keys(KeySpec::FIRST_TWO)
        .usage("key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]")
        .since("7.0.0", "O(N*M) where N and M are the lengths of the strings.")
        .summary("Finds the longest common substring."),
];

/// When SET writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    Always,
    IfAbsent,
    IfPresent,
    /// Where this string is.
    IfEqual(&'a [u8]),
}

struct SetOptions<'a> {
    condition: Condition<'a>,
    get: bool,
    expiry: Expiry,
    /// Whether the time was given in milliseconds since 1970, as copies want it.
    is_plain_time: bool,
}

fn set_options<'a>(cx: &Cx<'_>, args: &mut Args<'a>) -> Result<SetOptions<'a>, Error> {
    let mut options = SetOptions {
        condition: Condition::Always,
        get: false,
        expiry: Expiry::Clear,
        is_plain_time: false,
    };
    let mut wish = Wish::None;
    while !args.is_done() {
        let may_be = |condition| [Condition::Always, condition].contains(&options.condition);
        if args.keyword("GET") {
            options.get = true;
        } else if may_be(Condition::IfAbsent) && args.keyword("NX") {
            options.condition = Condition::IfAbsent;
        } else if may_be(Condition::IfPresent) && args.keyword("XX") {
            options.condition = Condition::IfPresent;
        } else if options.condition == Condition::Always && args.keyword("IFEQ") {
            options.condition = Condition::IfEqual(args.bytes()?);
        } else {
            wish.take(args, "KEEPTTL")?;
        }
    }
    options.is_plain_time = matches!(wish, Wish::Time(Unit::UnixMillis, _));
    options.expiry = match wish {
        Wish::None => Expiry::Clear,
        Wish::Keyword => Expiry::Keep,
        Wish::Time(unit, mut at) => Expiry::At(expiry::take(&mut at, unit, cx.keys.now, "set")?),
    };
    Ok(options)
}

fn set(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.bytes()?, args.bytes()?);
    if args.is_done() {
        cx.keys.set_text(key, value, Expiry::Clear, "set");
        cx.reply.ok();
        return Ok(());
    }
    let options = set_options(cx, args)?;
    if options.get {
        say_text(cx, key)?;
    }
    let writes = match options.condition {
        Condition::Always => true,
        Condition::IfAbsent => !cx.keys.exists(key),
        Condition::IfPresent => cx.keys.exists(key),
        Condition::IfEqual(value) => holds(cx, key, value)?,
    };
    if writes {
        cx.keys.set_text(key, value, options.expiry, "set");
        rewrite_set(cx, args.argv(), &options);
    }
    match (options.get, writes) {
        (true, _) => {}
        (false, true) => cx.reply.ok(),
        (false, false) => cx.reply.nil(),
    }
    Ok(())
}

/// Copies get neither a time from now on, nor a question.
fn rewrite_set(cx: &mut Cx<'_>, argv: Argv<'_>, options: &SetOptions<'_>) {
    const WORDS_BEFORE_OPTIONS: usize = 3;
    match options.expiry {
        Expiry::At(at) if !options.is_plain_time => {
            cx.rewrite(&[&"SET", &argv.get(1), &argv.get(2), &"PXAT", &at]);
        }
        // Older servers than this do not know the question.
        _ if matches!(options.condition, Condition::IfEqual(_)) => {
            let (key, value) = (argv.get(1), argv.get(2));
            match options.expiry {
                Expiry::Clear => cx.rewrite(&[&"SET", &key, &value]),
                Expiry::Keep => cx.rewrite(&[&"SET", &key, &value, &"KEEPTTL"]),
                Expiry::At(at) => cx.rewrite(&[&"SET", &key, &value, &"PXAT", &at]),
            }
        }
        Expiry::Clear | Expiry::Keep if options.get && cx.keys.propagates() => {
            let is_get = |word: &&[u8]| word.eq_ignore_ascii_case(b"GET");
            let rest = argv.iter().skip(WORDS_BEFORE_OPTIONS).filter(|word| !is_get(word));
            let rest: Vec<_> = rest.collect();
            cx.rewrite_with(&[&argv.get(0), &argv.get(1), &argv.get(2)], rest.into_iter());
        }
        _ => {}
    }
}

/// Says the string at a key, or nil.
fn say_text(cx: &mut Cx<'_>, key: &[u8]) -> Result<(), Error> {
    match cx.keys.text(key)? {
        Some(text) => cx.reply.bulk(text),
        None => cx.reply.nil(),
    }
    Ok(())
}

fn get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_text(cx, args.bytes()?)
}

fn setnx(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.bytes()?, args.bytes()?);
    let absent = !cx.keys.exists(key);
    if absent {
        cx.keys.set_text(key, value, Expiry::Clear, "set");
    }
    cx.reply.integer(i64::from(absent));
    Ok(())
}

fn setex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    set_with_ttl(cx, args, Unit::Seconds, "setex")
}

fn psetex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    set_with_ttl(cx, args, Unit::Millis, "psetex")
}

fn set_with_ttl(cx: &mut Cx<'_>, args: &mut Args<'_>, unit: Unit, name: &str) -> Result<(), Error> {
    let key = args.bytes()?;
    let at = expiry::take(args, unit, cx.keys.now, name)?;
    let value = args.bytes()?;
    cx.keys.set_text(key, value, Expiry::At(at), "set");
    cx.rewrite(&[&"SET", &key, &value, &"PXAT", &at]);
    cx.reply.ok();
    Ok(())
}

fn getset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.bytes()?, args.bytes()?);
    say_text(cx, key)?;
    cx.keys.set_text(key, value, Expiry::Clear, "set");
    cx.rewrite(&[&"SET", &key, &value]);
    Ok(())
}

fn getdel(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    say_text(cx, key)?;
    if cx.keys.remove(key) {
        cx.rewrite(&[&"DEL", &key]);
    }
    Ok(())
}

/// Whether a string is at a key.
fn holds(cx: &mut Cx<'_>, key: &[u8], value: &[u8]) -> Result<bool, Error> {
    match cx.keys.peek(key) {
        Some(slot) => Ok(slot.as_text().ok_or(Error::WrongType)? == value),
        None => Ok(false),
    }
}

fn delifeq(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.bytes()?, args.bytes()?);
    let removed = holds(cx, key, value)? && cx.keys.remove(key);
    if removed {
        cx.rewrite(&[&"DEL", &key]);
    }
    cx.reply.integer(i64::from(removed));
    Ok(())
}

fn getex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let mut wish = Wish::None;
    while !args.is_done() {
        wish.take(args, "PERSIST")?;
    }
    if text_len(cx, key)?.is_none() {
        // Without a key nobody looks at the number.
        return say_text(cx, key);
    }
    let expires_at = match wish {
        Wish::None => None,
        Wish::Keyword => Some(None),
        Wish::Time(unit, mut at) => Some(Some(expiry::take(&mut at, unit, cx.keys.now, "getex")?)),
    };
    say_text(cx, key)?;
    match expires_at {
        Some(Some(at)) if at <= cx.keys.horizon() => {
            cx.keys.remove(key);
            cx.rewrite(&[&removal(cx.keys.rules.settings.lazy.expire), &key]);
        }
        Some(Some(at)) => {
            cx.keys.set_expiry(key, Some(at), "expire");
            cx.rewrite(&[&"PEXPIREAT", &key, &at]);
        }
        Some(None) if matches!(cx.keys.expiry(key), Some(Some(_))) => {
            cx.keys.set_expiry(key, None, "persist");
            cx.rewrite(&[&"PERSIST", &key]);
        }
        _ => {}
    }
    Ok(())
}

fn strlen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.text(args.bytes()?)?.map_or(0, <[u8]>::len);
    cx.reply.integer(len as i64);
    Ok(())
}

fn append(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, value) = (args.bytes()?, args.bytes()?);
    let Some(len) = text_len(cx, key)? else {
        cx.keys.set_text(key, value, Expiry::Clear, "append");
        cx.reply.integer(value.len() as i64);
        return Ok(());
    };
    check_length(cx, len, value.len())?;
    let len = cx.keys.splice_text(key, len, value, "append")?;
    cx.reply.integer(len as i64);
    Ok(())
}

fn text_len(cx: &mut Cx<'_>, key: &[u8]) -> Result<Option<usize>, Error> {
    match cx.keys.peek(key) {
        Some(slot) => Ok(Some(slot.as_text().ok_or(Error::WrongType)?.len())),
        None => Ok(None),
    }
}

fn check_length(cx: &mut Cx<'_>, offset: usize, len: usize) -> Result<(), Error> {
    match offset.checked_add(len) {
        Some(end) if end <= cx.keys.rules.settings.string_bytes_max => {
            cx.check_quota_of_string(end)
        }
        _ => Err(Error::StringTooLong),
    }
}

fn getrange(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, start, end) = (args.bytes()?, args.integer()?, args.integer()?);
    let text = cx.keys.text(key)?.unwrap_or_default();
    cx.reply.bulk(byte_range(text, start, end));
    Ok(())
}

/// Bytes from `start` to `end`, both included, negative ones counted from the end.
fn byte_range(text: &[u8], start: i64, end: i64) -> &[u8] {
    let len = text.len() as i64;
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let from_end = |index: i64| if index < 0 { (len + index).max(0) } else { index };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end || len == 0 { &[] } else { &text[start as usize..=end as usize] }
}

fn setrange(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, offset, value) = (args.bytes()?, args.integer()?, args.bytes()?);
    let offset = usize::try_from(offset).map_err(|_| Error::OffsetOutOfRange)?;
    let len = text_len(cx, key)?;
    if value.is_empty() {
        cx.reply.integer(len.unwrap_or(0) as i64);
        return Ok(());
    }
    check_length(cx, offset, value.len())?;
    let len = cx.keys.splice_text(key, offset, value, "setrange")?;
    cx.reply.integer(len as i64);
    Ok(())
}

fn incr(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    add_integer(cx, args.bytes()?, 1)
}

fn decr(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    add_integer(cx, args.bytes()?, -1)
}

fn incrby(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, increment) = (args.bytes()?, args.integer()?);
    add_integer(cx, key, increment)
}

fn decrby(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, decrement) = (args.bytes()?, args.integer()?);
    let increment = decrement.checked_neg().ok_or(Error::DecrementOverflow)?;
    add_integer(cx, key, increment)
}

fn add_integer(cx: &mut Cx<'_>, key: &[u8], increment: i64) -> Result<(), Error> {
    let value = match cx.keys.peek(key) {
        Some(slot) => {
            let text = slot.as_text().ok_or(Error::WrongType)?;
            number::parse_i64(text).ok_or(Error::NotAnInteger)?
        }
        None => 0,
    };
    let value = value.checked_add(increment).ok_or(Error::Overflow)?;
    let mut digits = itoa::Buffer::new();
    cx.keys.set_text(key, digits.format(value).as_bytes(), Expiry::Keep, "incrby");
    cx.reply.integer(value);
    Ok(())
}

fn incrbyfloat(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, increment) = (args.bytes()?, args.bytes()?);
    let value = match cx.keys.peek(key) {
        Some(slot) => slot.as_text().ok_or(Error::WrongType)?,
        None => b"0",
    };
    let sum = super::float::sum(value, increment)?;
    cx.keys.set_text(key, &sum, Expiry::Keep, "incrbyfloat");
    cx.rewrite(&[&"SET", &key, &sum, &"KEEPTTL"]);
    cx.reply.bulk(&sum);
    Ok(())
}
