//! PLUGIN: what operators do with plugins. The runtime does all of it; here it has its place in the
//! table, so that help, arity and refusals are as for every other command.

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::step::Cx;

const OPERATOR: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_MULTI).with(Flags::OWN);

/// The version of Reef that introduced the family.
const SINCE: &str = "0.1.0";

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("PLUGIN", SUBCOMMANDS)
    .group(Group::Server)
    .since(SINCE, "Depends on subcommand.")
    .summary("A container for plugin commands.")];

const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity)
        .of("PLUGIN")
        .group(Group::Server)
        .flags(OPERATOR)
        .since(SINCE, "O(1)")
}

/// What LOAD and REPLACE have in common.
macro_rules! options {
    () => {
        "[DIGEST digest] [GRANT pattern [pattern ...]] [CONFIG key value [key value ...]] [LIMIT what amount [LIMIT what amount ...]]"
    };
}

const LOAD_USAGE: &str = concat!("name <path|bytes|digest> [REPLACE] ", options!());
const REPLACE_USAGE: &str = concat!("name <path|bytes|digest> ", options!());

static SUBCOMMANDS: &[Command] = &[
    subcommand("LOAD", administer, -4)
        .usage(LOAD_USAGE)
        .since(SINCE, "O(N) where N is the size of the component, which is compiled")
        .summary("Loads a WebAssembly component; its commands exist from then on."),
    subcommand("REPLACE", administer, -4)
        .usage(REPLACE_USAGE)
        .since(SINCE, "O(N) where N is the size of the component, which is compiled")
        .summary("Loads another version of a plugin in its place, without a failed call."),
    subcommand("UNLOAD", administer, 3)
        .usage("name")
        .summary("Removes a plugin and its commands; calls that run come to their end."),
    subcommand("VERSIONS", administer, 3)
        .usage("name")
        .since(SINCE, "O(N) where N is the number of versions")
        .summary("Returns the version of a plugin that runs, and those that are kept."),
    subcommand("ROLLBACK", rollback, -3)
        .usage("name [version]")
        .since(SINCE, "O(N) where N is the size of the component, unless its code is cached")
        .summary("Brings a replaced version of a plugin back, with the terms that it had."),
    subcommand("LIST", administer, 2)
        .since(SINCE, "O(N) where N is the number of plugins")
        .summary("Returns the plugins that are loaded."),
    subcommand("INFO", administer, 3)
        .usage("name")
        .summary("Returns a plugin's version, commands, grants, configuration and limits."),
    subcommand("STATS", stats, -2)
        .usage("[name]")
        .since(SINCE, "O(N) where N is the number of plugins")
        .summary("Returns calls, errors, times and memory of one plugin or of all."),
    subcommand("LOG", log, -3)
        .usage("name [count]")
        .since(SINCE, "O(N) where N is the number of lines returned")
        .summary("Returns the latest lines that a plugin has logged."),
    subcommand("KILL", administer, 3)
        .usage("name")
        .summary("Ends all calls of a plugin that are running; what they applied stays whole."),
    help::entry("PLUGIN").group(Group::Server).since(SINCE, "O(1)"),
];

fn administer(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.skip_rest();
    let status = cx.host.administer_plugins(args.argv(), cx.reply);
    cx.answer_by(status);
    Ok(())
}

fn stats(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() > 1 {
        return Err(Error::WrongArity("plugin|stats".into()));
    }
    administer(cx, args)
}

fn rollback(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() > 2 {
        return Err(Error::WrongArity("plugin|rollback".into()));
    }
    administer(cx, args)
}

fn log(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() > 2 {
        return Err(Error::WrongArity("plugin|log".into()));
    }
    administer(cx, args)
}
