//! MEMORY: where the bytes are.

use alloc::format;
use alloc::vec::Vec;

use super::help;
use crate::args::Args;
use crate::command::{Command, Flags, Group, command, container};
use crate::error::Error;
use crate::keyspace::{Database, Slot};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("MEMORY", SUBCOMMANDS)
    .group(Group::Server)
    .since("4.0.0", "Depends on subcommand.")
    .summary("A container for memory diagnostics commands.")];

static SUBCOMMANDS: &[Command] = &[
    command("DOCTOR", doctor, 2)
        .of("MEMORY")
        .group(Group::Server)
        .flags(Flags::OPERATOR)
        .flags(Flags::ALL_SHARDS)
        .since("4.0.0", "O(1)")
        .summary("Outputs a memory problems report."),
    command("HELP", help, 2)
        .of("MEMORY")
        .group(Group::Server)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .since("4.0.0", "O(1)")
        .summary("Returns helpful text about the different subcommands."),
    command("MALLOC-STATS", malloc_stats, 2)
        .of("MEMORY")
        .group(Group::Server)
        .flags(Flags::OPERATOR)
        .since("4.0.0", "Depends on how much memory is allocated, could be slow")
        .summary("Returns the allocator statistics."),
    command("PURGE", purge, 2)
        .of("MEMORY")
        .group(Group::Server)
        .flags(Flags::OPERATOR)
        .since("4.0.0", "Depends on how much memory is allocated, could be slow")
        .summary("Asks the allocator to release memory."),
    command("STATS", stats, 2)
        .of("MEMORY")
        .group(Group::Server)
        .flags(Flags::OPERATOR)
        .flags(Flags::ALL_SHARDS)
        .since("4.0.0", "O(1)")
        .summary("Returns details about memory usage."),
    command("USAGE", usage, -3)
        .of("MEMORY")
        .group(Group::Server)
        .readonly()
        .keys(KeySpec::range(2, 2, 1))
        .usage("key [SAMPLES count]")
        .since("4.0.0", "O(N) where N is the number of samples.")
        .summary("Estimates the memory usage of a key."),
];

/// What one database takes.
struct Usage {
    number: u32,
    keys: usize,
    table_bytes: usize,
    expiry_bytes: usize,
    total_bytes: usize,
}

/// What all data takes; a database that is empty does not count.
struct Usages(Vec<Usage>);

impl Usages {
    fn count(cx: &mut Cx<'_>) -> Self {
        let numbers = 0..cx.keys.rules.settings.databases;
        let usage = |number| {
            cx.keys.in_database(number, |keys| {
                let sum = |of: fn(&Database) -> usize| keys.parts().map(|(_, part)| of(part)).sum();
                Usage {
                    number,
                    keys: keys.len(),
                    table_bytes: sum(Database::table_bytes),
                    expiry_bytes: sum(Database::expiry_bytes),
                    total_bytes: sum(Database::heap_bytes),
                }
            })
        };
        Self(numbers.map(usage).filter(|usage| usage.keys > 0).collect())
    }

    fn keys(&self) -> usize {
        self.0.iter().map(|usage| usage.keys).sum()
    }

    fn overhead(&self) -> usize {
        self.0.iter().map(|usage| usage.table_bytes + usage.expiry_bytes).sum()
    }

    fn total(&self) -> usize {
        self.0.iter().map(|usage| usage.total_bytes).sum()
    }
}

fn doctor(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    /// Below this there is nothing worth a report.
    const BYTES_MIN: usize = 5 * 1024 * 1024;
    let usages = Usages::count(cx);
    let report = if usages.total() < BYTES_MIN {
        "The data takes hardly any memory. Ask again when there is more of it."
    } else if usages.overhead() > usages.total() / 2 {
        "More than half of the memory is spent on finding keys rather than on what they hold: the values are very small, or many keys were removed lately. Hashes of many small fields take less."
    } else {
        "Nothing conspicuous: most of the memory holds values."
    };
    cx.reply.verbatim(report.as_bytes());
    Ok(())
}

fn help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    help::say(cx.reply, "MEMORY", LINES);
    Ok(())
}

fn malloc_stats(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.bulk(b"Stats not supported for the current allocator");
    Ok(())
}

fn purge(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    // The allocator gives memory back by itself.
    cx.reply.ok();
    Ok(())
}

fn stats(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    const OWN_FIELDS: usize = 6;
    let usages = Usages::count(cx);
    let (keys, total, overhead) = (usages.keys(), usages.total(), usages.overhead());
    let reply = &mut *cx.reply;
    reply.map(usages.0.len() + OWN_FIELDS);
    reply.bulk(b"total.allocated");
    reply.integer(total as i64);
    for usage in &usages.0 {
        reply.bulk(format!("db.{}", usage.number).as_bytes());
        reply.map(2);
        reply.bulk(b"overhead.hashtable.main");
        reply.integer(usage.table_bytes as i64);
        reply.bulk(b"overhead.hashtable.expires");
        reply.integer(usage.expiry_bytes as i64);
    }
    reply.bulk(b"overhead.total");
    reply.integer(overhead as i64);
    reply.bulk(b"keys.count");
    reply.integer(keys as i64);
    reply.bulk(b"keys.bytes-per-key");
    reply.integer(total.checked_div(keys).unwrap_or(0) as i64);
    reply.bulk(b"dataset.bytes");
    reply.integer((total - overhead) as i64);
    reply.bulk(b"dataset.percentage");
    let percentage =
        if total == 0 { 0.0 } else { (total - overhead) as f64 * 100.0 / total as f64 };
    let mut text = Vec::new();
    number::write_f64(&mut text, percentage);
    reply.double(percentage, &text);
    Ok(())
}

fn usage(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    while !args.is_done() {
        if args.left() < 2 || !args.keyword("SAMPLES") {
            return Err(Error::Syntax);
        }
        // All is counted, so no sample is taken; the number must be right nevertheless.
        if args.integer()? < 0 {
            return Err(Error::Syntax);
        }
    }
    match cx.keys.peek(key) {
        Some(slot) => cx.reply.integer((slot.heap_bytes() + size_of::<Slot>()) as i64),
        None => cx.reply.nil(),
    }
    Ok(())
}

const LINES: &[&str] = &[
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
];
