//! SLOWLOG: the commands that took long.

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::step::Cx;

const OPERATOR: Flags = Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE).with(Flags::OWN);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("SLOWLOG", SUBCOMMANDS)
    .group(Group::Server)
    .since("2.2.12", "Depends on subcommand.")
    .summary("A container for slow log commands.")];

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

/// Entries that GET shows unless told.
const SHOWN: usize = 10;

fn get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = match args.left() {
        0 => SHOWN,
        1 => match args.integer().map_err(|_| Error::SLOWLOG_COUNT)? {
            -1 => usize::MAX,
            count => usize::try_from(count).map_err(|_| Error::SLOWLOG_COUNT)?,
        },
        _ => return Err(Error::subcommand_syntax(args.argv().get(1), "SLOWLOG")),
    };
    let reply = &mut *cx.reply;
    let mark = reply.mark();
    let mut shown = 0;
    cx.host.slow_log(&mut |log| {
        for entry in log.iter().take(count) {
            shown += 1;
            reply.array(6);
            reply.integer(entry.id as i64);
            reply.integer(entry.at_s as i64);
            reply.integer(entry.took_us as i64);
            reply.array(entry.arguments.len());
            entry.arguments.iter().for_each(|argument| reply.bulk(argument));
            reply.bulk(entry.address.as_bytes());
            reply.bulk(&entry.name);
        }
    });
    reply.array_since(mark, shown);
    Ok(())
}

fn len(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let mut len = 0;
    cx.host.slow_log(&mut |log| len = log.iter().len());
    cx.reply.integer(len as i64);
    Ok(())
}

fn reset(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.host.slow_log(&mut |log| log.clear());
    cx.reply.ok();
    Ok(())
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
