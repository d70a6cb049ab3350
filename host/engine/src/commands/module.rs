//! MODULE: Reef loads no native code into its process, it has plugins. Who wants to load a module is
//! told so; who asks which there are hears of those whose commands Reef has itself, since that is how
//! clients find out.

use reef_resp::Writer;

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::step::Cx;

const OPERATOR: Flags = Flags::ADMIN.with(Flags::NOSCRIPT);
const CHANGE: Flags = OPERATOR.with(Flags::NO_ASYNC_LOADING);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("MODULE", SUBCOMMANDS)
    .group(Group::Server)
    .since("4.0.0", "Depends on subcommand.")
    .summary("A container for module commands.")];

const fn subcommand(name: &'static str, handler: Handler, flags: Flags, arity: Arity) -> Command {
    command(name, handler, arity).of("MODULE").group(Group::Server).flags(flags)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("LIST", list, OPERATOR, 2)
        .since("4.0.0", "O(N) where N is the number of loaded modules.")
        .summary("Returns all loaded modules."),
    subcommand("LOAD", refuse, CHANGE, -3)
        .usage("path [arg [arg ...]]")
        .since("4.0.0", "O(1)")
        .summary("Loads a module."),
    subcommand("LOADEX", refuse, CHANGE, -3)
        .usage("path [CONFIG name value [CONFIG name value ...]] [ARGS arg [arg ...]]")
        .since("7.0.0", "O(1)")
        .summary("Loads a module using extended parameters."),
    subcommand("UNLOAD", refuse, CHANGE, 3)
        .usage("name")
        .since("4.0.0", "O(1)")
        .summary("Unloads a module."),
    help::entry("MODULE").group(Group::Server),
];

/// Names and versions of the modules whose commands Reef has: what clients look for.
const MODULES: &[(&str, i64)] = &[("ReJSON", 20809), ("search", 21005)];

fn list(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    say_modules(cx.reply);
    Ok(())
}

/// Says which modules there are.
pub(super) fn say_modules(reply: &mut Writer) {
    reply.array(MODULES.len());
    for (name, version) in MODULES {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(name.as_bytes());
        reply.bulk(b"ver");
        reply.integer(*version);
        reply.bulk(b"path");
        reply.bulk(b"");
        reply.bulk(b"args");
        reply.array(0);
    }
}

/// The lines of INFO about them, the way that Redis says them.
pub(super) fn each_line(say: &mut dyn FnMut(&str)) {
    for (name, version) in MODULES {
        say(&alloc::format!(
            "module:name={name},ver={version},api=1,filters=0,usedby=[],using=[],options=[]"
        ));
    }
}

fn refuse(_cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.skip_rest();
    Err(Error::NO_MODULES)
}
