//! CONFIG: the configuration at run time. What a directive means, and why a value is refused, only
//! the host knows.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::step::Cx;

const OPERATOR: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("CONFIG", SUBCOMMANDS)
    .group(Group::Server)
    .since("2.0.0", "Depends on subcommand.")
    .summary("A container for server configuration commands.")];

const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity).of("CONFIG").group(Group::Server).flags(OPERATOR)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("GET", get, -3)
        .usage("parameter [parameter ...]")
        .since("2.0.0", "O(N) when N is the number of configuration parameters provided")
        .summary("Returns the effective values of configuration parameters."),
    subcommand("SET", set, -4)
        .usage("parameter value [parameter value ...]")
        .since("2.0.0", "O(N) when N is the number of configuration parameters provided")
        .summary("Sets configuration parameters in-flight."),
    subcommand("RESETSTAT", reset_statistics, 2)
        .flags(Flags::ALL_SHARDS)
        .since("2.0.0", "O(1)")
        .summary("Resets the server's statistics."),
    subcommand("REWRITE", rewrite, 2)
        .since("2.8.0", "O(1)")
        .summary("Persists the effective configuration to file."),
    help::entry("CONFIG").group(Group::Server),
];

fn get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let patterns: Vec<_> = args.rest().collect();
    let mut shown = BTreeMap::new();
    cx.host.config_get(&patterns, &mut |name, value| {
        shown.insert(String::from(name), String::from(value));
    });
    cx.reply.map(shown.len());
    for (name, value) in &shown {
        cx.reply.bulk(name.as_bytes());
        cx.reply.bulk(value.as_bytes());
    }
    Ok(())
}

fn set(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut pairs = Vec::with_capacity(args.left() / 2);
    while !args.is_done() {
        pairs.push((args.bytes()?, args.bytes()?));
    }
    cx.host.config_set(&pairs)?;
    cx.reply.ok();
    Ok(())
}

fn reset_statistics(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.keys.reset_counters();
    cx.host.reset_stats();
    cx.reply.ok();
    Ok(())
}

fn rewrite(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.host.config_rewrite()?;
    cx.reply.ok();
    Ok(())
}
