//! Consumer groups of streams: making and ending them and their consumers, acknowledging, and what
//! is pending.

use alloc::vec::Vec;

use reef_resp::Writer;

use super::help;
use super::stream_entry::{self, say_id, take_end, take_start};
use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, Flags, Group as Family, command, container};
use crate::error::Error;
use crate::keyspace::NOT_NOTIFIED;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::number;
use crate::types::stream::Stream;
use crate::types::stream_group::{Consumer, Cursor, Group};
use crate::types::stream_id::Id;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    container("XGROUP", SUBCOMMANDS)
        .group(Family::Stream)
        .since("5.0.0", "Depends on subcommand.")
        .summary("A container for consumer groups commands."),
    command("XACK", xack, -4)
        .group(Family::Stream)
        .write()
        .fast()
        .key()
        .usage("key group id [id ...]")
        .since("5.0.0", "O(1) for each message ID processed.")
        .summary("Returns the number of messages that were successfully acknowledged by the consumer group member of a stream."),
    command("XPENDING", xpending, -3)
        .group(Family::Stream)
        .readonly()
        .key()
        .usage("key group [[IDLE min-idle-time] start end count [consumer]]")
        .since("5.0.0", "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.")
        .summary("Returns the information and entries from a stream consumer group's pending entries list."),
];

const KEY: KeySpec = KeySpec::range(2, 2, 1);

static SUBCOMMANDS: &[Command] = &[
    command("CREATE", create, -5)
        .of("XGROUP")
        .group(Family::Stream)
        .write_denyoom()
        .keys(KEY)
        .usage("key group <id|$> [MKSTREAM] [ENTRIESREAD entries-read]")
        .since("5.0.0", "O(1)")
        .summary("Creates a consumer group."),
    command("SETID", set_id, -5)
        .of("XGROUP")
        .group(Family::Stream)
        .write()
        .keys(KEY)
        .usage("key group <id|$> [ENTRIESREAD entries-read]")
        .since("5.0.0", "O(1)")
        .summary("Sets the last-delivered ID of a consumer group."),
    command("DESTROY", destroy, 4)
        .of("XGROUP")
        .group(Family::Stream)
        .write()
        .keys(KEY)
        .usage("key group")
        .since(
            "5.0.0",
            "O(N) where N is the number of entries in the group's pending entries list (PEL).",
        )
        .summary("Destroys a consumer group."),
    command("CREATECONSUMER", create_consumer, 5)
        .of("XGROUP")
        .group(Family::Stream)
        .write_denyoom()
        .keys(KEY)
        .usage("key group consumer")
        .since("6.2.0", "O(1)")
        .summary("Creates a consumer in a consumer group."),
    command("DELCONSUMER", del_consumer, 5)
        .of("XGROUP")
        .group(Family::Stream)
        .write()
        .keys(KEY)
        .usage("key group consumer")
        .since("5.0.0", "O(1)")
        .summary("Deletes a consumer from a consumer group."),
    command("HELP", xgroup_help, 2)
        .of("XGROUP")
        .group(Family::Stream)
        .flags(Flags::LOADING)
        .flags(Flags::STALE)
        .since("5.0.0", "O(1)")
        .summary("Returns helpful text about the different subcommands."),
];

/// What may stand behind the id of XGROUP CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    /// Takes them; `subcommand` is the one they are for.
    fn take(args: &mut Args<'_>, subcommand: &'static str) -> Result<Self, Error> {
        let mut options = Self::default();
        while !args.is_done() {
            if subcommand == "CREATE" && args.keyword("MKSTREAM") {
                options.make_stream = true;
            } else if args.left() > 1 && args.keyword("ENTRIESREAD") {
                let read = args.integer()?;
                if read < -1 {
                    return Err(Error::ENTRIES_READ_NEGATIVE);
                }
                options.entries_read = u64::try_from(read).ok();
            } else {
                return Err(misused(args));
            }
        }
        Ok(options)
    }
}

/// The sub-command of XGROUP with arguments that it does not take.
fn misused(args: &Args<'_>) -> Error {
    Error::subcommand_syntax(args.argv().get(1), "XGROUP")
}

/// Refuses a group's sub-command where there is no key, or no group.
fn check_group(cx: &Cx<'_>, key: &[u8], group: &[u8]) -> Result<(), Error> {
    let stream = cx.keys.peek_collection::<Stream>(key)?.ok_or(Error::GROUP_NEEDS_KEY)?;
    stream.group(group).map(|_| ()).ok_or_else(|| Error::no_group(key, group))
}

fn create(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    /// With the command's name, all options once.
    const ARGUMENTS_MAX: usize = 8;
    let (key, group, id) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let options = Options::take(args, "CREATE")?;
    let stream = cx.keys.peek_collection::<Stream>(key)?;
    if stream.is_none() && !options.make_stream {
        return Err(Error::GROUP_NEEDS_KEY);
    }
    if args.argv().len() > ARGUMENTS_MAX {
        return Err(misused(args));
    }
    let last_id = match id {
        b"$" => stream.map_or(Id::MIN, |stream| stream.marks().last_id),
        id => stream_entry::id(id)?,
    };
    let cursor = Cursor { last_id, entries_read: options.entries_read };
    cx.keys.edit_or_create::<Stream, _>(key, "xgroup-create", |stream| {
        stream.create_group(group, cursor).then_some(()).ok_or(Error::GROUP_EXISTS)
    })?;
    cx.reply.ok();
    Ok(())
}

fn set_id(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    /// With the command's name, without and with the option.
    const ARGUMENTS: [usize; 2] = [5, 7];
    let (key, group, id) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let Options { entries_read, .. } = Options::take(args, "SETID")?;
    check_group(cx, key, group)?;
    if !ARGUMENTS.contains(&args.argv().len()) {
        return Err(misused(args));
    }
    cx.keys.edit::<Stream, _>(key, "xgroup-setid", |stream| {
        let last_id = match id {
            b"$" => stream.marks().last_id,
            id => Id::parse_bound(id, 0).ok_or(Error::INVALID_STREAM_ID)?,
        };
        stream.set_cursor(group, Cursor { last_id, entries_read });
        Ok(())
    })?;
    cx.reply.ok();
    Ok(())
}

fn destroy(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, group) = (args.bytes()?, args.bytes()?);
    let destroyed = cx
        .keys
        .edit::<Stream, _>(key, "xgroup-destroy", |stream| Ok(stream.destroy_group(group)))?;
    let destroyed = destroyed.ok_or(Error::GROUP_NEEDS_KEY)?;
    cx.reply.integer(destroyed.into());
    Ok(())
}

fn create_consumer(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, group, name) = (args.bytes()?, args.bytes()?, args.bytes()?);
    check_group(cx, key, group)?;
    let now = cx.keys.now;
    let created = cx.keys.edit::<Stream, _>(key, "xgroup-createconsumer", |stream| {
        Ok(stream.add_consumer(group, name, now))
    })?;
    cx.reply.integer((created == Some(true)).into());
    Ok(())
}

fn del_consumer(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, group, name) = (args.bytes()?, args.bytes()?, args.bytes()?);
    check_group(cx, key, group)?;
    let pending = cx.keys.edit::<Stream, _>(key, "xgroup-delconsumer", |stream| {
        Ok(stream.remove_consumer(group, name))
    })?;
    cx.reply.integer(pending.flatten().unwrap_or(0) as i64);
    Ok(())
}

fn xgroup_help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    const LINES: &[&str] = &[
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
    ];
    help::say(cx.reply, "XGROUP", LINES);
    Ok(())
}

fn xack(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, group, ids) = (args.bytes()?, args.bytes()?, args.rest());
    let stream = cx.keys.collection::<Stream>(key)?;
    if stream.and_then(|stream| stream.group(group)).is_none() {
        // Redis looks at the ids only if there is something to acknowledge.
        cx.reply.integer(0);
        return Ok(());
    }
    let ids = ids.map(stream_entry::id).collect::<Result<Vec<_>, _>>()?;
    let acknowledged = cx.keys.edit::<Stream, _>(key, NOT_NOTIFIED, |stream| {
        let mut acknowledged = 0;
        for id in ids {
            if stream.group(group).is_some_and(|group| group.pending(id).is_some()) {
                stream.set_pending(group, id, None);
                acknowledged += 1;
            }
        }
        Ok(acknowledged)
    })?;
    cx.reply.integer(acknowledged.unwrap_or(0));
    Ok(())
}

/// The pending entries that XPENDING asks for.
struct Asked<'a> {
    min_idle_ms: i64,
    from: Id,
    to: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// Takes them; `None` if only a summary is wanted.
    fn take(args: &mut Args<'a>) -> Result<Option<Self>, Error> {
        const WORDS_MIN: usize = 3;
        const WORDS_MAX: usize = 6;
        let words = args.left();
        if words == 0 {
            return Ok(None);
        }
        if !(WORDS_MIN..=WORDS_MAX).contains(&words) {
            return Err(Error::Syntax);
        }
        let mut min_idle_ms = 0;
        if args.keyword("IDLE") {
            min_idle_ms = args.integer()?;
            if args.left() < WORDS_MIN {
                return Err(Error::Syntax);
            }
        }
        // The count is looked at before the range in front of it.
        let mut range = *args;
        args.bytes()?;
        args.bytes()?;
        let count = usize::try_from(args.integer()?).unwrap_or(0);
        let (from, to) = (take_start(&mut range)?, take_end(&mut range)?);
        let consumer = args.maybe();
        args.skip_rest();
        Ok(Some(Self { min_idle_ms, from, to, count, consumer }))
    }
}

fn xpending(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, name) = (args.bytes()?, args.bytes()?);
    let asked = Asked::take(args)?;
    let now = cx.keys.now;
    let group = cx.keys.collection::<Stream>(key)?.and_then(|stream| stream.group(name));
    let group = group.ok_or_else(|| Error::no_key_or_group(key, name))?;
    match asked {
        None => say_summary(cx.reply, group),
        Some(asked) => say_pending(cx.reply, group, &asked, now),
    }
    Ok(())
}

fn say_summary(reply: &mut Writer, group: &Group) {
    let mut pending = group.pending_between(Id::MIN, Id::MAX);
    reply.array(4);
    reply.integer(group.pending_count() as i64);
    let Some((first, _)) = pending.next() else {
        reply.nil();
        reply.nil();
        reply.nil_array();
        return;
    };
    say_id(reply, first);
    say_id(reply, pending.next_back().map_or(first, |(last, _)| last));
    let has_pending = |consumer: &&Consumer| !consumer.pending().is_empty();
    let busy: Vec<_> = group.consumers().flatten().filter(has_pending).collect();
    reply.array(busy.len());
    for consumer in busy {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk(number::format_u64(&mut [0; 20], consumer.pending().len() as u64));
    }
}

fn say_pending(reply: &mut Writer, group: &Group, asked: &Asked<'_>, now: Millis) {
    let number = asked.consumer.map(|name| group.number(name));
    let all = number.is_none().then(|| group.pending_between(asked.from, asked.to));
    let own = number.flatten().map(|number| group.pending_of(number, asked.from, asked.to));
    let pending = all.into_iter().flatten().chain(own.into_iter().flatten());
    let idle_ms = |at: Millis| now.get() as i64 - at.get() as i64;
    let mark = reply.mark();
    let mut count = 0;
    for (id, pending) in pending
        .filter(|(_, pending)| {
            asked.min_idle_ms == 0 || idle_ms(pending.delivered_at) >= asked.min_idle_ms
        })
        .take(asked.count)
    {
        reply.array(4);
        say_id(reply, id);
        reply.bulk(group.consumer(pending.consumer).map_or(b"", Consumer::name));
        reply.integer(idle_ms(pending.delivered_at).max(0));
        reply.integer(pending.deliveries as i64);
        count += 1;
    }
    reply.array_since(mark, count);
}
