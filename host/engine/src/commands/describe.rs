//! A command's entry in the words of COMMAND INFO and COMMAND DOCS.

use alloc::format;

use reef_resp::Writer;

use crate::acl_category;
use crate::annotations::{self, Access};
use crate::command::{Command, Flags};
use crate::keyspec::{self, KeySpec};
use crate::usage::{self, Argument, Kind};

/// The ten parts that COMMAND INFO gives of a command.
pub(super) fn info(reply: &mut Writer, command: &Command) {
    reply.array(10);
    reply.bulk(command.full_name().as_bytes());
    reply.integer(command.arity.into());
    let mark = reply.mark();
    let mut flags = 0;
    for (flag, name) in Flags::SHOWN {
        if command.flags.has(flag) {
            reply.status(name);
            flags += 1;
        }
    }
    reply.set_since(mark, flags);
    let (first, last, step) = shown_keys(command).info();
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    let categories = acl_category::categories(command);
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.status(&format!("@{category}")));
    let mark = reply.mark();
    let mut tips = 0;
    for tip in annotations::tips(command) {
        reply.bulk(tip.as_bytes());
        tips += 1;
    }
    reply.set_since(mark, tips);
    key_specifications(reply, command);
    let subcommands = command.subcommands();
    reply.set(subcommands.len());
    subcommands.iter().for_each(|subcommand| info(reply, subcommand));
}

/// Words such as `RW access delete` as a set of flags.
pub(super) fn access(reply: &mut Writer, access: Access) {
    reply.set(access.split(' ').count());
    access.split(' ').for_each(|word| reply.status(word));
}

/// How a key specification finds its keys.
#[derive(Clone, Copy)]
enum Finder {
    /// From the argument at `index` on: `last` counts from there, or from the end if negative.
    Range { index: i64, last: i64, step: i64 },
    /// The argument at `index` says how many keys follow.
    Number { index: i64, step: i64 },
    /// The argument behind this word, which stands at `from` or later.
    Keyword { word: &'static str, from: i64 },
    /// Everything behind this word, which is sought from there (negative: from the end).
    AllBehind { word: &'static str, from: i64 },
    /// Half of what follows this word, which stands at `from` or later.
    HalfBehind { word: &'static str, from: i64 },
    /// Redis has no words for it.
    Unknown,
}

/// Where COMMAND INFO shows keys: shard channels are shown like keys, so that clusters find them.
fn shown_keys(command: &Command) -> KeySpec {
    match command.flags.has(Flags::SHARD_CHANNELS) {
        false => command.keys,
        true if command.arity < 0 => KeySpec::ALL,
        true => KeySpec::FIRST,
    }
}

/// How many key specifications a command has.
fn specification_count(command: &Command) -> usize {
    match shown_keys(command) {
        KeySpec::None => 0,
        _ => annotations::accesses(command).len(),
    }
}

/// A range is split at its front when its keys are treated differently, as a destination is.
fn finder(keys: KeySpec, specification: usize, count: usize) -> Finder {
    let front = specification as i64;
    let is_last = specification + 1 == count;
    match keys {
        KeySpec::Range { first, last, step } => {
            let (first, last, step) = (i64::from(first), i64::from(last), i64::from(step));
            let index = first + front;
            let last = match is_last {
                false => 0,
                true if last < 0 => last,
                true => last - index,
            };
            Finder::Range { index, last, step }
        }
        KeySpec::Counted { count, destination } if destination == 0 || front > 0 => {
            Finder::Number { index: count.into(), step: 1 }
        }
        KeySpec::CountedPairs { count } => Finder::Number { index: count.into(), step: 2 },
        KeySpec::Counted { destination, .. } => {
            Finder::Range { index: destination.into(), last: 0, step: 1 }
        }
        KeySpec::Sort | KeySpec::SortReadOnly | KeySpec::Store { .. } if front == 0 => {
            Finder::Range { index: 1, last: 0, step: 1 }
        }
        KeySpec::Store { options } => Finder::Keyword {
            word: keyspec::STORES.get(specification - 1).copied().unwrap_or_default(),
            from: options.into(),
        },
        KeySpec::Migrate if front == 0 => Finder::Range { index: 3, last: 0, step: 1 },
        KeySpec::Migrate => Finder::AllBehind { word: "KEYS", from: -2 },
        KeySpec::Streams { from } => Finder::HalfBehind { word: "STREAMS", from: from.into() },
        KeySpec::Sort | KeySpec::SortReadOnly | KeySpec::None => Finder::Unknown,
    }
}

fn key_specifications(reply: &mut Writer, command: &Command) {
    let count = specification_count(command);
    reply.set(count);
    for (specification, words) in annotations::accesses(command).iter().take(count).enumerate() {
        let note = annotations::note(command, specification);
        reply.map(if note.is_some() { 4 } else { 3 });
        if let Some(note) = note {
            reply.bulk(b"notes");
            reply.bulk(note.as_bytes());
        }
        reply.bulk(b"flags");
        access(reply, words);
        let finder = finder(shown_keys(command), specification, count);
        match finder {
            Finder::Range { index, .. } | Finder::Number { index, .. } => {
                say_part(reply, "begin_search", "index", 1);
                say_number(reply, "index", index);
            }
            Finder::Keyword { word, from }
            | Finder::AllBehind { word, from }
            | Finder::HalfBehind { word, from } => {
                say_part(reply, "begin_search", "keyword", 2);
                say_text(reply, "keyword", word);
                say_number(reply, "startfrom", from);
            }
            Finder::Unknown => say_part(reply, "begin_search", "unknown", 0),
        }
        match finder {
            Finder::Range { last, step, .. } => say_range(reply, last, step, 0),
            Finder::Keyword { .. } => say_range(reply, 0, 1, 0),
            Finder::AllBehind { .. } => say_range(reply, -1, 1, 0),
            Finder::HalfBehind { .. } => say_range(reply, -1, 1, 2),
            Finder::Number { step, .. } => {
                say_part(reply, "find_keys", "keynum", 3);
                say_number(reply, "keynumidx", 0);
                say_number(reply, "firstkey", 1);
                say_number(reply, "keystep", step);
            }
            Finder::Unknown => say_part(reply, "find_keys", "unknown", 0),
        }
    }
}

/// One key in `limit` of those up to `last`; 0 is no limit.
fn say_range(reply: &mut Writer, last: i64, step: i64, limit: i64) {
    say_part(reply, "find_keys", "range", 3);
    say_number(reply, "lastkey", last);
    say_number(reply, "keystep", step);
    say_number(reply, "limit", limit);
}

/// The head of one half of a key specification; `pairs` of its own follow.
fn say_part(reply: &mut Writer, name: &str, kind: &str, pairs: usize) {
    reply.bulk(name.as_bytes());
    reply.map(2);
    say_text(reply, "type", kind);
    reply.bulk(b"spec");
    reply.map(pairs);
}

fn say_number(reply: &mut Writer, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(value);
}

fn say_text(reply: &mut Writer, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

/// What COMMAND DOCS tells of a command: a map.
pub(super) fn docs(reply: &mut Writer, command: &Command) {
    let mark = reply.mark();
    let mut pairs = 0;
    let texts = [
        ("summary", command.summary.as_ref()),
        ("since", command.since.as_ref()),
        ("group", command.group.name()),
        ("complexity", command.complexity.as_ref()),
        ("module", command.plugin.as_ref()),
    ];
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        say_text(reply, name, text);
        pairs += 1;
    }
    if let Some((since, instead)) = annotations::deprecation(command) {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.status("deprecated");
        say_text(reply, "deprecated_since", since);
        say_text(reply, "replaced_by", instead);
        pairs += 3;
    }
    let tree = usage::parse(&command.usage);
    if !tree.is_empty() {
        reply.bulk(b"arguments");
        let mut keys = 0;
        arguments(reply, command, &tree, &mut keys);
        pairs += 1;
    }
    let subcommands = command.subcommands();
    if !subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(subcommands.len());
        for subcommand in subcommands {
            reply.bulk(subcommand.full_name().as_bytes());
            docs(reply, subcommand);
        }
        pairs += 1;
    }
    reply.map_since(mark, pairs);
}

/// A list of arguments; `keys` counts the keys among them from the start of the command.
fn arguments(reply: &mut Writer, command: &Command, tree: &[Argument], keys: &mut usize) {
    reply.array(tree.len());
    for argument in tree {
        let mark = reply.mark();
        let mut pairs = 2;
        let kind = usage::type_name(argument, command);
        say_text(reply, "name", &argument.name);
        say_text(reply, "type", kind);
        let parts = match &argument.kind {
            Kind::OneOf(parts) | Kind::Block(parts) => Some(parts),
            Kind::Value | Kind::Keyword => {
                say_text(reply, "display_text", &argument.name);
                pairs += 1;
                None
            }
        };
        let specifications = specification_count(command);
        if kind == "key" && specifications > 0 {
            let last = specifications - 1;
            let index = if command.keys == KeySpec::Sort && *keys > 0 { last } else { *keys };
            say_number(reply, "key_spec_index", index.min(last) as i64);
            *keys += 1;
            pairs += 1;
        }
        if kind == "pattern" && matches!(command.keys, KeySpec::Sort | KeySpec::SortReadOnly) {
            say_number(reply, "key_spec_index", 1);
            pairs += 1;
        }
        if let Some(token) = &argument.token {
            say_text(reply, "token", token);
            pairs += 1;
        }
        pairs += usize::from(argument_flags(reply, argument));
        if let Some(parts) = parts {
            reply.bulk(b"arguments");
            arguments(reply, command, parts, keys);
            pairs += 1;
        }
        reply.map_since(mark, pairs);
    }
}

/// The argument's flags, if it has any.
fn argument_flags(reply: &mut Writer, argument: &Argument) -> bool {
    let flags = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.multiple_token, "multiple_token"),
    ];
    let count = flags.iter().filter(|(holds, _)| *holds).count();
    if count > 0 {
        reply.bulk(b"flags");
        reply.set(count);
        flags.iter().filter(|(holds, _)| *holds).for_each(|(_, name)| reply.status(name));
    }
    count > 0
}
