//! COMMAND: the table tells of itself. Nothing here knows a command by name.

use alloc::vec::Vec;

use reef_resp::{Argv, OwnedArgv};

use super::{describe, help};
use crate::acl_category;
use crate::annotations;
use crate::args::Args;
use crate::command::{Arity, Command, Flags, Group, Handler, command, container_or_alone};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::registry::{CommandRef, Registry};
use crate::step::Cx;
use crate::types::glob;

const ANYTIME: Flags = Flags::LOADING.with(Flags::STALE);

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container_or_alone("COMMAND", SUBCOMMANDS, all)
    .group(Group::Server)
    .flags(ANYTIME)
    .since("2.8.13", "O(N) where N is the total number of Redis commands")
    .summary("Returns detailed information about all commands.")];

const fn subcommand(name: &'static str, handler: Handler, arity: Arity) -> Command {
    command(name, handler, arity).of("COMMAND").group(Group::Server).flags(ANYTIME)
}

static SUBCOMMANDS: &[Command] = &[
    subcommand("COUNT", count, 2).since("2.8.13", "O(1)").summary("Returns a count of commands."),
    subcommand("INFO", info, -2)
        .usage("[command-name [command-name ...]]")
        .since("2.8.13", "O(N) where N is the number of commands to look up")
        .summary("Returns information about one, multiple or all commands."),
    subcommand("DOCS", docs, -2)
        .usage("[command-name [command-name ...]]")
        .since("7.0.0", "O(N) where N is the number of commands to look up")
        .summary("Returns documentary information about one, multiple or all commands."),
    subcommand("GETKEYS", get_keys, -3)
        .usage("command [arg [arg ...]]")
        .since("2.8.13", "O(N) where N is the number of arguments to the command")
        .summary("Extracts the key names from an arbitrary command."),
    subcommand("GETKEYSANDFLAGS", get_keys_and_flags, -3)
        .usage("command [arg [arg ...]]")
        .since("7.0.0", "O(N) where N is the number of arguments to the command")
        .summary("Extracts the key names and access flags for an arbitrary command."),
    subcommand("LIST", list, -2)
        .usage("[FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>]")
        .since("7.0.0", "O(N) where N is the total number of Redis commands")
        .summary("Returns a list of command names."),
    help::entry("COMMAND").group(Group::Server),
];

fn all(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let commands = cx.registry.iter();
    cx.reply.array(commands.len());
    commands.for_each(|command| describe::info(cx.reply, command));
    Ok(())
}

fn count(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.integer(cx.registry.iter().len() as i64);
    Ok(())
}

fn info(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if args.is_done() {
        return all(cx, args);
    }
    cx.reply.array(args.left());
    for name in args.rest() {
        match cx.registry.find(name) {
            Some(command) => describe::info(cx.reply, &command),
            None => cx.reply.nil(),
        }
    }
    Ok(())
}

fn docs(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let commands: Vec<CommandRef> = if args.is_done() {
        cx.registry.iter().cloned().collect()
    } else {
        args.rest().filter_map(|name| cx.registry.find(name)).collect()
    };
    cx.reply.map(commands.len());
    for command in &commands {
        cx.reply.bulk(command.full_name().as_bytes());
        describe::docs(cx.reply, command);
    }
    Ok(())
}

fn get_keys(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let argv: OwnedArgv = args.rest().collect();
    let argv = argv.as_argv();
    let (_, positions) = key_positions(cx.registry, argv)?;
    cx.reply.array(positions.len());
    positions.into_iter().for_each(|position| cx.reply.bulk(argv.get(position)));
    Ok(())
}

fn get_keys_and_flags(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let argv: OwnedArgv = args.rest().collect();
    let argv = argv.as_argv();
    let (command, positions) = key_positions(cx.registry, argv)?;
    cx.reply.array(positions.len());
    for (index, position) in positions.into_iter().enumerate() {
        cx.reply.array(2);
        cx.reply.bulk(argv.get(position));
        describe::access(cx.reply, annotations::access_of(&command, argv, index));
    }
    Ok(())
}

/// The command that `argv` is, and where its keys are.
fn key_positions(registry: &Registry, argv: Argv<'_>) -> Result<(CommandRef, Vec<usize>), Error> {
    let Ok(Some(command)) = registry.resolve(argv) else { return Err(Error::INVALID_COMMAND) };
    if command.keys == KeySpec::None {
        return Err(Error::NO_KEY_ARGUMENTS);
    }
    if !command.accepts(argv.len()) {
        return Err(Error::INVALID_ARGUMENT_COUNT);
    }
    let mut positions = Vec::new();
    let fits = command.keys.visit(argv, |position| positions.push(position));
    if (!fits || positions.is_empty()) && !command.flags.has(Flags::NO_MANDATORY_KEYS) {
        return Err(Error::INVALID_ARGUMENTS);
    }
    Ok((command, positions))
}

/// Which commands COMMAND LIST shows.
enum Filter<'a> {
    All,
    Plugin(&'a [u8]),
    Category(&'a [u8]),
    Pattern(&'a [u8]),
}

impl Filter<'_> {
    fn shows(&self, command: &Command) -> bool {
        match self {
            Self::All => true,
            Self::Plugin(name) => !name.is_empty() && *name == command.plugin.as_bytes(),
            Self::Category(name) => core::str::from_utf8(name)
                .is_ok_and(|name| acl_category::is_in(command, &name.to_ascii_lowercase())),
            Self::Pattern(pattern) => glob::matches_nocase(pattern, command.full_name().as_bytes()),
        }
    }
}

fn list(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut filter = Filter::All;
    if !args.is_done() {
        if !args.keyword("FILTERBY") {
            return Err(Error::Syntax);
        }
        let by = args.one_of(&["MODULE", "ACLCAT", "PATTERN"]).ok_or(Error::Syntax)?;
        let word = args.bytes()?;
        filter = match by {
            0 => Filter::Plugin(word),
            1 => Filter::Category(word),
            _ => Filter::Pattern(word),
        };
        args.end()?;
    }
    let mark = cx.reply.mark();
    let mut shown = 0;
    for command in cx.registry.iter() {
        let subcommands = command.subcommands().iter();
        for command in core::iter::once::<&Command>(command).chain(subcommands) {
            if filter.shows(command) {
                cx.reply.bulk(command.full_name().as_bytes());
                shown += 1;
            }
        }
    }
    cx.reply.array_since(mark, shown);
    Ok(())
}
