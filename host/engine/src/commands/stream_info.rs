//! XINFO: what is known of a stream, its groups and their consumers.

use reef_resp::Writer;

use super::help;
use super::stream_entry::{self, say_id};
use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, Flags, Group as Family, command, container};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::stream::Stream;
use crate::types::stream_group::{Consumer, Group, Pending};
use crate::types::stream_id::Id;
use crate::types::stream_node::Entry;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[container("XINFO", SUBCOMMANDS)
    .group(Family::Stream)
    .since("5.0.0", "Depends on subcommand.")
    .summary("A container for stream introspection commands.")];

const KEY: KeySpec = KeySpec::range(2, 2, 1);

static SUBCOMMANDS: &[Command] = &[
    command("STREAM", stream, -3)
        .of("XINFO")
        .group(Family::Stream)
        .readonly()
        .keys(KEY)
        .usage("key [FULL [COUNT count]]")
        .since("5.0.0", "O(1)")
        .summary("Returns information about a stream."),
    command("GROUPS", groups, 3)
        .of("XINFO")
        .group(Family::Stream)
        .readonly()
        .keys(KEY)
        .usage("key")
        .since("5.0.0", "O(1)")
        .summary("Returns a list of the consumer groups of a stream."),
    command("CONSUMERS", consumers, 4)
        .of("XINFO")
        .group(Family::Stream)
        .readonly()
        .keys(KEY)
        .usage("key group")
        .since("5.0.0", "O(1)")
        .summary("Returns a list of the consumers in a consumer group."),
    command("HELP", xinfo_help, 2)
        .of("XINFO")
        .group(Family::Stream)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .since("5.0.0", "O(1)")
        .summary("Returns helpful text about the different subcommands."),
];

fn stream(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let stream = cx.keys.collection::<Stream>(key)?.ok_or(Error::NoSuchKey)?;
    match take_full(args)? {
        None => say_stream(cx.reply, stream),
        Some(count) => say_stream_in_full(cx.reply, stream, count),
    }
    Ok(())
}

/// Takes `FULL` and how many entries of each kind are shown with it.
fn take_full(args: &mut Args<'_>) -> Result<Option<usize>, Error> {
    /// Entries that are shown if nobody says how many.
    const COUNT: usize = 10;
    let misused = Error::subcommand_syntax(args.argv().get(1), "XINFO");
    match args.left() {
        0 => return Ok(None),
        1 | 3 if args.keyword("FULL") => {}
        _ => return Err(misused),
    }
    if args.is_done() {
        return Ok(Some(COUNT));
    }
    if !args.keyword("COUNT") {
        return Err(misused);
    }
    Ok(Some(match usize::try_from(args.integer()?) {
        Ok(0) => usize::MAX,
        Ok(count) => count,
        Err(_) => COUNT,
    }))
}

/// What both forms say first.
fn say_marks(reply: &mut Writer, stream: &Stream) {
    let marks = stream.marks();
    say_count(reply, "length", stream.len() as usize);
    say_count(reply, "radix-tree-keys", stream.nodes());
    // Redis counts the branches of its tree, which is another one: this is right up to one key.
    say_count(reply, "radix-tree-nodes", stream.nodes() + 1);
    name_id(reply, "last-generated-id", marks.last_id);
    name_id(reply, "max-deleted-entry-id", marks.max_deleted_id);
    name_number(reply, "entries-added", marks.entries_added as i64);
    name_id(reply, "recorded-first-entry-id", marks.first_id);
}

fn say_stream(reply: &mut Writer, stream: &Stream) {
    reply.map(10);
    say_marks(reply, stream);
    say_count(reply, "groups", stream.groups().len());
    reply.bulk(b"first-entry");
    say_entry_or_nil(reply, stream.range(Id::MIN, Id::MAX).next());
    reply.bulk(b"last-entry");
    say_entry_or_nil(reply, stream.range_back(Id::MIN, Id::MAX).next());
}

fn say_entry_or_nil(reply: &mut Writer, entry: Option<Entry<'_>>) {
    match entry {
        Some(entry) => stream_entry::say(reply, entry),
        None => reply.nil(),
    }
}

fn say_stream_in_full(reply: &mut Writer, stream: &Stream, count: usize) {
    reply.map(9);
    say_marks(reply, stream);
    reply.bulk(b"entries");
    stream_entry::say_all(reply, stream.range(Id::MIN, Id::MAX).take(count), |_| ());
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(7);
        name_bytes(reply, "name", name);
        name_id(reply, "last-delivered-id", group.cursor.last_id);
        say_progress(reply, stream, group);
        say_count(reply, "pel-count", group.pending_count());
        reply.bulk(b"pending");
        reply.array(group.pending_count().min(count));
        for (id, pending) in group.pending_between(Id::MIN, Id::MAX).take(count) {
            reply.array(4);
            say_id(reply, id);
            reply.bulk(group.consumer(pending.consumer).map_or(b"", Consumer::name));
            say_deliveries(reply, pending);
        }
        reply.bulk(b"consumers");
        reply.array(group.consumers().len());
        group
            .consumers()
            .flatten()
            .for_each(|consumer| say_consumer_in_full(reply, group, consumer, count));
    }
}

fn say_consumer_in_full(reply: &mut Writer, group: &Group, consumer: &Consumer, count: usize) {
    reply.map(5);
    name_bytes(reply, "name", consumer.name());
    name_number(reply, "seen-time", consumer.times.seen_at.get() as i64);
    let active_at = consumer.times.active_at.map_or(-1, |at| at.get() as i64);
    name_number(reply, "active-time", active_at);
    say_count(reply, "pel-count", consumer.pending().len());
    reply.bulk(b"pending");
    reply.array(consumer.pending().len().min(count));
    for id in consumer.pending().iter().take(count) {
        reply.array(3);
        say_id(reply, *id);
        if let Some(pending) = group.pending(*id) {
            say_deliveries(reply, pending);
        }
    }
}

fn say_deliveries(reply: &mut Writer, pending: &Pending) {
    reply.integer(pending.delivered_at.get() as i64);
    reply.integer(pending.deliveries as i64);
}

/// How much a group has read, and how much there still is to read.
fn say_progress(reply: &mut Writer, stream: &Stream, group: &Group) {
    let mut say = |name: &str, value: Option<i64>| {
        reply.bulk(name.as_bytes());
        match value {
            Some(value) => reply.integer(value),
            None => reply.nil(),
        }
    };
    say("entries-read", group.cursor.entries_read.map(|read| read as i64));
    say("lag", stream.lag(&group.cursor));
}

fn groups(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let stream = cx.keys.collection::<Stream>(args.bytes()?)?.ok_or(Error::NoSuchKey)?;
    let reply = &mut *cx.reply;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        name_bytes(reply, "name", name);
        say_count(reply, "consumers", group.consumers().len());
        say_count(reply, "pending", group.pending_count());
        name_id(reply, "last-delivered-id", group.cursor.last_id);
        say_progress(reply, stream, group);
    }
    Ok(())
}

fn consumers(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, name) = (args.bytes()?, args.bytes()?);
    let now = cx.keys.now;
    let stream = cx.keys.collection::<Stream>(key)?.ok_or(Error::NoSuchKey)?;
    let group = stream.group(name).ok_or_else(|| Error::no_group(key, name))?;
    let since = |at: Millis| now.get() as i64 - at.get() as i64;
    let reply = &mut *cx.reply;
    reply.array(group.consumers().len());
    for consumer in group.consumers().flatten() {
        reply.map(4);
        name_bytes(reply, "name", consumer.name());
        say_count(reply, "pending", consumer.pending().len());
        name_number(reply, "idle", since(consumer.times.seen_at).max(0));
        name_number(reply, "inactive", consumer.times.active_at.map_or(-1, since));
    }
    Ok(())
}

fn name_bytes(reply: &mut Writer, name: &str, bytes: &[u8]) {
    reply.bulk(name.as_bytes());
    reply.bulk(bytes);
}

fn name_id(reply: &mut Writer, name: &str, id: Id) {
    reply.bulk(name.as_bytes());
    say_id(reply, id);
}

fn name_number(reply: &mut Writer, name: &str, number: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(number);
}

fn say_count(reply: &mut Writer, name: &str, count: usize) {
    name_number(reply, name, count as i64);
}

fn xinfo_help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    const LINES: &[&str] = &[
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        // The bracket that is missing is missing in Redis.
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
    ];
    help::say(cx.reply, "XINFO", LINES);
    Ok(())
}
