//! OBJECT: how a key's value is stored and how it is used, without using it.

use super::help;
use crate::args::Args;
use crate::command::{Command, Flags, command, container};
use crate::error::Error;
use crate::keyspace::Slot;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("OBJECT", SUBCOMMANDS)
    .since("2.2.3", "Depends on subcommand.")
    .summary("A container for object introspection commands.")];

const KEY: KeySpec = KeySpec::range(2, 2, 1);

static SUBCOMMANDS: &[Command] = &[
    command("ENCODING", encoding, 3)
        .of("OBJECT")
        .readonly()
        .keys(KEY)
        .usage("key")
        .since("2.2.3", "O(1)")
        .summary("Returns the internal encoding of a Redis object."),
    command("FREQ", freq, 3)
        .of("OBJECT")
        .readonly()
        .keys(KEY)
        .usage("key")
        .since("4.0.0", "O(1)")
        .summary("Returns the logarithmic access frequency counter of a Redis object."),
    command("IDLETIME", idletime, 3)
        .of("OBJECT")
        .readonly()
        .keys(KEY)
        .usage("key")
        .since("2.2.3", "O(1)")
        .summary("Returns the time since the last access to a Redis object."),
    command("REFCOUNT", refcount, 3)
        .of("OBJECT")
        .readonly()
        .keys(KEY)
        .usage("key")
        .since("2.2.3", "O(1)")
        .summary("Returns the reference count of a value of a key."),
    command("HELP", help, 2)
        .of("OBJECT")
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .since("6.2.0", "O(1)")
        .summary("Returns helpful text about the different subcommands."),
];

fn encoding(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    match cx.keys.inspect(args.bytes()?).map(Slot::encoding) {
        Some(encoding) => cx.reply.bulk(encoding.as_bytes()),
        None => cx.reply.nil(),
    }
    Ok(())
}

fn freq(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (now, lfu) = (cx.keys.now, cx.keys.rules.settings.lfu);
    match cx.keys.inspect(args.bytes()?) {
        Some(slot) => {
            let lfu = lfu.ok_or(Error::NoFrequency)?;
            let frequency = slot.access().frequency(now, lfu);
            cx.reply.integer(frequency.into());
        }
        None => cx.reply.nil(),
    }
    Ok(())
}

fn idletime(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (now, lfu) = (cx.keys.now, cx.keys.rules.settings.lfu);
    match cx.keys.inspect(args.bytes()?) {
        Some(_) if lfu.is_some() => return Err(Error::NoIdleTime),
        Some(slot) => cx.reply.integer(slot.access().idle_seconds(now).into()),
        None => cx.reply.nil(),
    }
    Ok(())
}

fn refcount(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    match cx.keys.inspect(args.bytes()?) {
        Some(slot) if is_small_integer(slot) => cx.reply.integer(i32::MAX.into()),
        Some(_) => cx.reply.integer(1),
        None => cx.reply.nil(),
    }
    Ok(())
}

/// Values are never shared here. Redis shares its small integers and shows so many references that
/// nobody counts them; clients look for that.
fn is_small_integer(slot: &Slot) -> bool {
    const SHARED_INTEGERS: i64 = 10_000;
    let text = slot.as_text().filter(|_| slot.encoding() == "int");
    text.and_then(number::parse_i64).is_some_and(|n| (0..SHARED_INTEGERS).contains(&n))
}

fn help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    help::say(cx.reply, "OBJECT", LINES);
    Ok(())
}

const LINES: &[&str] = &[
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
];
