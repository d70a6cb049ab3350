//! Scripts: Reef runs no Lua. Who wants to run or keep a script is told what to do instead; who
//! asks which there are, or wants none, gets the answer of a Redis without any.

use super::help;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::step::Cx;

const RUN: Flags =
    Flags::NOSCRIPT.with(Flags::STALE).with(Flags::SKIP_MONITOR).with(Flags::NO_MANDATORY_KEYS);

const SCRIPT_USAGE: &str = "script numkeys [key [key ...]] [arg [arg ...]]";
const SHA1_USAGE: &str = "sha1 numkeys [key [key ...]] [arg [arg ...]]";
const FUNCTION_USAGE: &str = "function numkeys [key [key ...]] [arg [arg ...]]";

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    run("EVAL", SCRIPT_USAGE, "2.6.0").summary("Executes a server-side Lua script."),
    run("EVALSHA", SHA1_USAGE, "2.6.0")
        .summary("Executes a server-side Lua script by SHA1 digest."),
    run("EVAL_RO", SCRIPT_USAGE, "7.0.0")
        .readonly()
        .summary("Executes a read-only server-side Lua script."),
    run("EVALSHA_RO", SHA1_USAGE, "7.0.0")
        .readonly()
        .summary("Executes a read-only server-side Lua script by SHA1 digest."),
    run("FCALL", FUNCTION_USAGE, "7.0.0").summary("Invokes a function."),
    run("FCALL_RO", FUNCTION_USAGE, "7.0.0").readonly().summary("Invokes a read-only function."),
    container("SCRIPT", SCRIPT)
        .group(Group::Scripting)
        .since("2.6.0", "Depends on subcommand.")
        .summary("A container for Lua scripts management commands."),
    container("FUNCTION", FUNCTION)
        .group(Group::Scripting)
        .since("7.0.0", "Depends on subcommand.")
        .summary("A container for function commands."),
];

const fn run(name: &'static str, usage: &'static str, since: &'static str) -> Command {
    command(name, refuse, -3)
        .group(Group::Scripting)
        .flags(RUN)
        .keys(KeySpec::Counted { count: 2, destination: 0 })
        .usage(usage)
        .since(since, "Depends on the script or function that is executed.")
}

const fn script(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity).of("SCRIPT").group(Group::Scripting).flags(Flags::NOSCRIPT)
}

static SCRIPT: &[Command] = &[
    script("DEBUG", refuse, 3)
        .usage("<YES|SYNC|NO>")
        .since("3.2.0", "O(1)")
        .summary("Sets the debug mode of server-side Lua scripts."),
    script("EXISTS", exists, -3)
        .usage("sha1 [sha1 ...]")
        .since("2.6.0", "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).")
        .summary("Determines whether server-side Lua scripts exist in the script cache."),
    script("FLUSH", flush_scripts, -2)
        .usage("[ASYNC|SYNC]")
        .since("2.6.0", "O(N) with N being the number of scripts in cache")
        .summary("Removes all server-side Lua scripts from the script cache."),
    script("KILL", kill, 2)
        .flags(Flags::ALLOW_BUSY)
        .since("2.6.0", "O(1)")
        .summary("Terminates a server-side Lua script during execution."),
    script("LOAD", refuse, 3)
        .flags(Flags::STALE)
        .usage("script")
        .since("2.6.0", "O(N) with N being the length in bytes of the script body.")
        .summary("Loads a server-side Lua script to the script cache."),
    help::entry("SCRIPT").group(Group::Scripting),
];

const fn function(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity)
        .of("FUNCTION")
        .group(Group::Scripting)
        .flags(Flags::NOSCRIPT)
        .since("7.0.0", "O(1)")
}

static FUNCTION: &[Command] = &[
    function("DELETE", refuse, 3)
        .write()
        .usage("library-name")
        .summary("Deletes a library and its functions."),
    function("DUMP", refuse, 2)
        .since("7.0.0", "O(N) where N is the number of functions")
        .summary("Dumps all libraries into a serialized binary payload."),
    function("FLUSH", flush_functions, -2)
        .write()
        .usage("[ASYNC|SYNC]")
        .since("7.0.0", "O(N) where N is the number of functions deleted")
        .summary("Deletes all libraries and functions."),
    function("KILL", kill, 2)
        .flags(Flags::ALLOW_BUSY)
        .summary("Terminates a function during execution."),
    function("LIST", list, -2)
        .usage("[LIBRARYNAME library-name-pattern] [WITHCODE]")
        .since("7.0.0", "O(N) where N is the number of functions")
        .summary("Returns information about all libraries."),
    function("LOAD", refuse, -3)
        .write_denyoom()
        .usage("[REPLACE] function-code")
        .since("7.0.0", "O(1) (considering compilation time is redundant)")
        .summary("Creates a library."),
    function("RESTORE", refuse, -3)
        .write_denyoom()
        .usage("serialized-value [FLUSH|APPEND|REPLACE]")
        .since("7.0.0", "O(N) where N is the number of functions on the payload")
        .summary("Restores all libraries from a payload."),
    function("STATS", refuse, 2)
        .flags(Flags::ALLOW_BUSY)
        .summary("Returns information about a function during execution."),
    help::entry("FUNCTION").group(Group::Scripting).since("7.0.0", "O(1)"),
];

fn refuse(_cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.skip_rest();
    Err(Error::NO_SCRIPTING)
}

fn exists(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.array(args.left());
    for _ in 0..args.left() {
        cx.reply.integer(0);
    }
    args.skip_rest();
    Ok(())
}

fn flush_scripts(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    flush(cx, args, Error::SCRIPT_FLUSH_MODE)
}

fn flush_functions(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.left() > 1 {
        args.skip_rest();
        return Err(Error::subcommand_syntax(args.argv().get(1), "FUNCTION"));
    }
    flush(cx, args, Error::FUNCTION_FLUSH_MODE)
}

/// There is nothing to remove, now or later.
fn flush(cx: &mut Cx<'_>, args: &mut Args<'_>, unknown_mode: Error) -> Result<(), Error> {
    let known = args.is_done() || args.one_of(&["ASYNC", "SYNC"]).is_some();
    if !known || !args.is_done() {
        args.skip_rest();
        return Err(unknown_mode);
    }
    cx.reply.ok();
    Ok(())
}

fn kill(_cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    Err(Error::NOT_BUSY)
}

fn list(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (mut with_code, mut named) = (false, false);
    while let Some(word) = args.maybe() {
        if !with_code && word.eq_ignore_ascii_case(b"WITHCODE") {
            with_code = true;
        } else if !named && word.eq_ignore_ascii_case(b"LIBRARYNAME") {
            named = args.maybe().ok_or(Error::NO_LIBRARY_NAME).map(|_| true)?;
        } else {
            args.skip_rest();
            return Err(Error::unknown_argument(word));
        }
    }
    cx.reply.array(0);
    Ok(())
}
