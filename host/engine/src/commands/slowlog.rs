//! SLOWLOG: the commands that took long; COMMANDLOG: those and the large ones.

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::slow_log::Excess;
use crate::step::Cx;

const OPERATOR: Flags = Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE).with(Flags::OWN);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    container("SLOWLOG", SUBCOMMANDS)
        .group(Group::Server)
        .since("2.2.12", "Depends on subcommand.")
        .summary("A container for slow log commands."),
    container("COMMANDLOG", COMMANDLOG)
        .group(Group::Server)
        .since("8.1.0", "Depends on subcommand.")
        .summary("A container for command log commands."),
];

const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity).of("SLOWLOG").group(Group::Server)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("GET", get, -2)
        .flags(OPERATOR)
        .usage("[count]")
        .since("2.2.12", "O(N) where N is the number of entries returned")
        .summary("Returns the slow log's entries."),
    subcommand("LEN", len, 2)
        .flags(OPERATOR)
        .since("2.2.12", "O(1)")
        .summary("Returns the number of entries in the slow log."),
    subcommand("RESET", reset, 2)
        .flags(OPERATOR)
        .since("2.2.12", "O(N) where N is the number of entries in the slowlog")
        .summary("Clears all entries from the slow log."),
    subcommand("HELP", help, 2)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .since("6.2.0", "O(1)")
        .summary("Show helpful text about the different subcommands."),
];

const fn of_commandlog(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity)
        .of("COMMANDLOG")
        .group(Group::Server)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
}

static COMMANDLOG: &[Command] = &[
    of_commandlog("GET", commandlog_get, 4)
        .flags(OPERATOR)
        .usage("count <slow|large-request|large-reply>")
        .since("8.1.0", "O(N) where N is the number of entries returned")
        .summary("Returns entries of a command log."),
    of_commandlog("LEN", commandlog_len, 3)
        .flags(OPERATOR)
        .usage("<slow|large-request|large-reply>")
        .since("8.1.0", "O(1)")
        .summary("Returns the number of entries in a command log."),
    of_commandlog("RESET", commandlog_reset, 3)
        .flags(OPERATOR)
        .usage("<slow|large-request|large-reply>")
        .since("8.1.0", "O(N) where N is the number of entries in the log")
        .summary("Clears all entries from a command log."),
    of_commandlog("HELP", commandlog_help, 2)
        .since("8.1.0", "O(1)")
        .summary("Show helpful text about the different subcommands."),
];

/// Entries that GET shows unless told.
const SHOWN: usize = 10;

fn get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = match args.left() {
        0 => SHOWN,
        1 => entries_wanted(args)?,
        _ => return Err(Error::subcommand_syntax(args.argv().get(1), "SLOWLOG")),
    };
    say_entries(cx, Excess::Slow, count);
    Ok(())
}

fn entries_wanted(args: &mut Args<'_>) -> Result<usize, Error> {
    match args.integer().map_err(|_| Error::SLOWLOG_COUNT)? {
        -1 => Ok(usize::MAX),
        count => usize::try_from(count).map_err(|_| Error::SLOWLOG_COUNT),
    }
}

fn say_entries(cx: &mut Cx<'_>, of: Excess, count: usize) {
    let reply = &mut *cx.reply;
    let mark = reply.mark();
    let mut shown = 0;
    cx.host.command_log(of, &mut |log| {
        for entry in log.iter().take(count) {
            shown += 1;
            reply.array(6);
            reply.integer(entry.id as i64);
            reply.integer(entry.at_s as i64);
            reply.integer(entry.amount as i64);
            reply.array(entry.arguments.len());
            entry.arguments.iter().for_each(|argument| reply.bulk(argument));
            reply.bulk(entry.address.as_bytes());
            reply.bulk(&entry.name);
        }
    });
    reply.array_since(mark, shown);
}

fn len(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    say_len(cx, Excess::Slow);
    Ok(())
}

fn say_len(cx: &mut Cx<'_>, of: Excess) {
    let mut len = 0;
    cx.host.command_log(of, &mut |log| len = log.iter().len());
    cx.reply.integer(len as i64);
}

fn reset(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    clear(cx, Excess::Slow);
    Ok(())
}

fn clear(cx: &mut Cx<'_>, of: Excess) {
    cx.host.command_log(of, &mut |log| log.clear());
    cx.reply.ok();
}

fn commandlog_get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut count = *args;
    args.bytes()?;
    let of = excess(args)?;
    let count = entries_wanted(&mut count)?;
    say_entries(cx, of, count);
    Ok(())
}

fn commandlog_len(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let of = excess(args)?;
    say_len(cx, of);
    Ok(())
}

fn commandlog_reset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let of = excess(args)?;
    clear(cx, of);
    Ok(())
}

fn excess(args: &mut Args<'_>) -> Result<Excess, Error> {
    Excess::parse(args.bytes()?).ok_or(Error::COMMANDLOG_TYPE)
}

fn help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    help::say(cx.reply, "SLOWLOG", LINES);
    Ok(())
}

const LINES: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];

fn commandlog_help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    help::say(cx.reply, "COMMANDLOG", COMMANDLOG_LINES);
    Ok(())
}

const COMMANDLOG_LINES: &[&str] = &[
    "GET <count> <type>",
    "    Return top <count> entries of the specified <type> from the commandlog (-1 mean all).",
    "    Entries are made of:",
    "    id, timestamp,",
    "        time in microseconds for type of slow,",
    "        or size in bytes for type of large-request,",
    "        or size in bytes for type of large-reply",
    "    arguments array, client IP and port,",
    "    client name",
    "LEN <type>",
    "    Return the length of the specified type of commandlog.",
    "RESET <type>",
    "    Reset the specified type of commandlog.",
];
