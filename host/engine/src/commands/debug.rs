//! DEBUG: what test suites ask of a server. Nothing here is for applications.
//!
//! Its words are no sub-commands in the table, as in Redis: they have no flags or key positions of
//! their own, and all of them hold every shard. Words that would crash or corrupt are refused;
//! those that tune what Reef does not have are accepted where a test suite only needs them to be.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::help;
use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::host::Reload;
use crate::keyspace::{Database, Expiry, Slot};
use crate::step::Cx;
use crate::types::sha1::hex;
use crate::types::{glob, number};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[command("DEBUG", debug, -2)
    .group(Group::Server)
    .flags(Flags::ADMIN)
    .flags(Flags::NOSCRIPT)
    .flags(Flags::LOADING)
    .flags(Flags::STALE)
    .flags(Flags::PROTECTED)
    .flags(Flags::ALL_SHARDS)
    .usage("subcommand [argument [argument ...]]")
    .since("1.0.0", "Depends on subcommand.")
    .summary("A container for debugging commands.")];

type Run = fn(&mut Cx<'_>, &mut Args<'_>) -> Result<(), Error>;

/// A word behind DEBUG: its name, fewest and most arguments behind it, and what it does.
type Word = (&'static str, usize, usize, Run);

const ANY: usize = usize::MAX;

static WORDS: &[Word] = &[
    ("AOF-FLUSH-SLEEP", 1, 1, accept),
    ("ASSERT", 0, ANY, refuse),
    ("CHANGE-REPL-ID", 0, 0, accept),
    ("CRASH-AND-RECOVER", 0, ANY, refuse),
    ("DICT-RESIZING", 1, 1, accept),
    ("DIGEST", 0, 0, digest),
    ("DIGEST-VALUE", 0, ANY, digest_value),
    ("DROP-CLUSTER-PACKET-FILTER", 1, 1, accept),
    ("ERROR", 1, 1, error),
    ("HELP", 0, 0, help),
    ("HTSTATS", 1, 2, htstats),
    ("HTSTATS-KEY", 1, 2, htstats_key),
    ("LEAK", 0, ANY, refuse),
    ("LISTPACK", 1, 1, listpack),
    ("LOADAOF", 0, 0, loadaof),
    ("OBJECT", 1, 2, object),
    ("OOM", 0, ANY, refuse),
    ("PANIC", 0, ANY, refuse),
    ("PAUSE-CRON", 1, 1, accept),
    ("POPULATE", 1, 3, populate),
    ("PROTOCOL", 1, 1, protocol),
    ("QUICKLIST", 1, 2, quicklist),
    ("QUICKLIST-PACKED-THRESHOLD", 1, 1, quicklist_packed_threshold),
    ("RELOAD", 0, ANY, reload),
    ("REPLYBUFFER", 2, 2, accept),
    ("RESTART", 0, ANY, refuse),
    ("SDSLEN", 1, 1, sdslen),
    ("SEGFAULT", 0, ANY, refuse),
    ("SET-ACTIVE-EXPIRE", 1, 1, set_active_expire),
    ("SET-DISABLE-DENY-SCRIPTS", 1, 1, accept),
    ("SET-SKIP-CHECKSUM-VALIDATION", 1, 1, accept),
    ("SLEEP", 1, 1, sleep),
    ("STRINGMATCH-LEN", 2, 2, stringmatch_len),
];

fn debug(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.bytes()?;
    let is_meant = |(name, min, max, _): &&Word| {
        word.eq_ignore_ascii_case(name.as_bytes()) && (*min..=*max).contains(&args.left())
    };
    let Some((_, _, _, run)) = WORDS.iter().find(is_meant) else {
        return Err(Error::DebugSubcommand(String::from_utf8_lossy(word).into_owned()));
    };
    run(cx, args)
}

fn accept(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.skip_rest();
    cx.reply.ok();
    Ok(())
}

fn refuse(_cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    Err(Error::DebugRefused)
}

fn loadaof(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.host.reload(&mut cx.keys, Reload::Log)?;
    cx.reply.ok();
    Ok(())
}

fn reload(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (mut saves, mut flushes, mut merges) = (true, true, false);
    while !args.is_done() {
        match args.one_of(&["MERGE", "NOFLUSH", "NOSAVE"]).ok_or(Error::DEBUG_RELOAD)? {
            0 => merges = true,
            1 => flushes = false,
            _ => saves = false,
        }
    }
    cx.host.reload(&mut cx.keys, Reload::Snapshot { saves, flushes, merges })?;
    cx.reply.ok();
    Ok(())
}

fn digest(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let digest = hex(cx.keys.digest().bytes());
    cx.reply.status(&String::from_utf8_lossy(&digest));
    Ok(())
}

fn digest_value(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let keys = args.rest();
    cx.reply.array(keys.len());
    for key in keys {
        let digest = hex(cx.keys.digest_of(key).bytes());
        cx.reply.status(&String::from_utf8_lossy(&digest));
    }
    Ok(())
}

fn error(_cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    Err(Error::Owned(String::from_utf8_lossy(args.bytes()?).into_owned()))
}

fn help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    help::say(cx.reply, "DEBUG", LINES);
    Ok(())
}

fn htstats(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let number = u32::try_from(args.integer()?).ok();
    args.skip_rest();
    let databases = cx.keys.rules.settings.databases;
    let number = number.filter(|number| *number < databases).ok_or(Error::DebugDatabase)?;
    let text = cx.keys.in_database(number, |keys| {
        let sum = |of: fn(&Database) -> usize| -> usize { keys.parts().map(|(_, p)| of(p)).sum() };
        format!(
            "[Dictionary HT]\nnumber of elements: {}\nbytes: {}\n[Expires HT]\nnumber of elements: {}\nbytes: {}\n",
            sum(Database::len),
            sum(Database::table_bytes),
            sum(Database::expiring),
            sum(Database::expiry_bytes),
        )
    });
    cx.reply.verbatim(text.as_bytes());
    Ok(())
}

/// The slot of the key that is the next argument.
fn slot<'s>(cx: &'s Cx<'_>, args: &mut Args<'_>) -> Result<&'s Slot, Error> {
    cx.keys.peek(args.bytes()?).ok_or(Error::NoSuchKey)
}

fn htstats_key(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let slot = slot(cx, args)?;
    args.skip_rest();
    if !["hashtable", "skiplist"].contains(&slot.encoding()) {
        return Err(Error::NotAHashTable);
    }
    let text = format!("bytes: {}\n", slot.heap_bytes());
    cx.reply.verbatim(text.as_bytes());
    Ok(())
}

fn listpack(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if slot(cx, args)?.encoding() != "listpack" {
        return Err(Error::NotAListpack);
    }
    cx.reply.status("Listpack structure printed on stdout");
    Ok(())
}

fn quicklist(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let encoding = slot(cx, args)?.encoding();
    args.skip_rest();
    if encoding != "quicklist" {
        return Err(Error::NotAQuicklist);
    }
    cx.reply.status("Quicklist structure printed on stdout");
    Ok(())
}

fn object(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let slot = slot(cx, args)?;
    args.skip_rest();
    // Addresses are nobody's business.
    let text = format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        slot.encoding(),
        slot.as_text().map_or_else(|| slot.heap_bytes(), |text| text.len() + 1),
        slot.access().bits(),
        slot.access().idle_seconds(cx.keys.now),
    );
    cx.reply.status(&text);
    Ok(())
}

fn populate(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = args.count()?;
    let prefix = args.maybe().unwrap_or(b"key");
    let size = if args.is_done() { 0 } else { args.count()? };
    if size > cx.keys.rules.settings.string_bytes_max {
        return Err(Error::StringTooLong);
    }
    let mut key = Vec::new();
    for index in 0..count as u64 {
        key.clear();
        key.extend_from_slice(prefix);
        key.push(b':');
        number::write_u64(&mut key, index);
        if cx.keys.exists(&key) {
            continue;
        }
        let mut value = b"value:".to_vec();
        number::write_u64(&mut value, index);
        if size > 0 {
            value.resize(size, 0);
        }
        cx.keys.set_text(&key, &value, Expiry::Clear, "set");
    }
    cx.reply.ok();
    Ok(())
}

fn protocol(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    const WORDS: [&str; 13] = [
        "STRING", "INTEGER", "DOUBLE", "NULL", "ARRAY", "SET", "MAP", "BIGNUM", "ATTRIB", "PUSH",
        "VERBATIM", "TRUE", "FALSE",
    ];
    let reply = &mut *cx.reply;
    match args.one_of(&WORDS).ok_or(Error::DebugProtocol)? {
        0 => reply.bulk(b"Hello World"),
        1 => reply.integer(12345),
        2 => reply.double(3141.0 / 1000.0, b"3.141"),
        3 => reply.nil(),
        4 => {
            reply.array(3);
            (0..3).for_each(|value| reply.integer(value));
        }
        5 => {
            reply.set(3);
            (0..3).for_each(|value| reply.integer(value));
        }
        6 => {
            reply.map(3);
            for value in 0..3 {
                reply.integer(value);
                reply.boolean(value == 1);
            }
        }
        7 => say_big_number(reply),
        8 => say_attribute(reply),
        9 if !reply.is_resp3() => return Err(Error::DebugPush),
        9 => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        10 => reply.verbatim(b"This is a verbatim\nstring"),
        word => reply.boolean(word == 11),
    }
    Ok(())
}

fn say_big_number(reply: &mut reef_resp::Writer) {
    const DIGITS: &[u8] = b"1234567999999999999999999999999999999";
    if reply.is_resp3() {
        reply.raw(b"(1234567999999999999999999999999999999\r\n");
    } else {
        reply.bulk(DIGITS);
    }
}

/// An attribute is no reply: one follows.
fn say_attribute(reply: &mut reef_resp::Writer) {
    if reply.is_resp3() {
        reply.raw(b"|1\r\n");
        reply.bulk(b"key-popularity");
        reply.array(2);
        reply.bulk(b"key:123");
        reply.integer(90);
    }
    reply.bulk(b"Some real reply following the attribute");
}

fn quicklist_packed_threshold(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    // A little less than 4 GB, as Redis has it.
    const BYTES_MAX: u64 = (4 << 30) - (1 << 20);
    let bytes = memory_bytes(args.bytes()?).filter(|bytes| *bytes <= BYTES_MAX);
    bytes.ok_or(Error::DebugThreshold)?;
    cx.reply.ok();
    Ok(())
}

/// A number of bytes as directives give it: `100`, `10b`, `1kb`, `1k`, `5mb`, `4gb`.
fn memory_bytes(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at(digits);
    let factor = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    u64::try_from(number::parse_i64(digits)?).ok()?.checked_mul(factor)
}

fn sdslen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let slot = slot(cx, args)?;
    let text = slot.as_text().filter(|_| slot.encoding() != "int").ok_or(Error::NotASds)?;
    let (key, value) = (slot.key().len(), text.len());
    let text = format!(
        "key_sds_len:{key}, key_sds_avail:0, key_zmalloc: {key}, val_sds_len:{value}, val_sds_avail:0, val_zmalloc: {value}"
    );
    cx.reply.status(&text);
    Ok(())
}

fn set_active_expire(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let on = number::parse_i64(args.bytes()?).is_some_and(|value| value != 0);
    cx.host.set_active_expiry(on);
    cx.reply.ok();
    Ok(())
}

fn sleep(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let seconds = number::parse_f64(args.bytes()?).unwrap_or(0.0);
    cx.host.sleep(seconds);
    cx.reply.ok();
    Ok(())
}

fn stringmatch_len(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (pattern, text) = (args.bytes()?, args.bytes()?);
    cx.reply.integer(glob::matches(pattern, text).into());
    Ok(())
}

const LINES: &[&str] = &[
    "CHANGE-REPL-ID",
    "    Give the data a new replication id.",
    "DIGEST",
    "    Show a digest of all data.",
    "DIGEST-VALUE [<key> ...]",
    "    Show a digest of the values of these keys.",
    "ERROR <string>",
    "    Reply with this error.",
    "HTSTATS <dbid>",
    "    Show how large the tables of a database are.",
    "HTSTATS-KEY <key>",
    "    Show how large the table of a value is.",
    "LISTPACK <key>",
    "    Tell whether a value is a listpack.",
    "OBJECT <key>",
    "    Show how a value is stored.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create string keys named <prefix>:<number>, where there is none.",
    "PROTOCOL <type>",
    "    Reply with an example of a type: string, integer, double, bignum, null,",
    "    array, set, map, attrib, push, verbatim, true, false.",
    "QUICKLIST <key>",
    "    Tell whether a value is a quicklist.",
    "SDSLEN <key>",
    "    Show the lengths of a key and its string.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Do not remove expired keys before somebody asks for them, or do.",
    "SLEEP <seconds>",
    "    Hold all data for a while. Decimals are allowed.",
    "STRINGMATCH-LEN <pattern> <string>",
    "    Tell whether a glob pattern matches.",
];
