//! XREAD and XREADGROUP: what is new in several streams, for one reader or for a group.

use alloc::vec::Vec;

use reef_resp::{Argv, Mark, OwnedArgv, Writer};

use super::stream_effects::{GroupAt, Told};
use super::stream_entry;
use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::keyspace::{Edit, NOT_NOTIFIED};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::stream::Stream;
use crate::types::stream_group::{Cursor, Pending};
use crate::types::stream_id::{Id, TEXT_BYTES_MAX};
use crate::waiters::{Refusal, Wait};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("XREAD", xread, -4)
        .group(Group::Stream)
        .flags(Flags::BLOCKING)
        .readonly()
        .keys(KeySpec::Streams { from: 1 })
        .usage("[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]")
        .since("5.0.0", "")
        .summary("Returns messages from multiple streams with IDs greater than the ones requested. Blocks until a message is available otherwise."),
    command("XREADGROUP", xreadgroup, -7)
        .group(Group::Stream)
        .flags(Flags::BLOCKING)
        .write()
        .keys(KeySpec::Streams { from: 4 })
        .usage("GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]")
        .since("5.0.0", "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.")
        .summary("Returns new or historical messages from a stream for a consumer in a group. Blocks until a message is available otherwise."),
];

/// A group and one of its consumers.
#[derive(Clone, Copy)]
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
}

/// The arguments of either command.
struct Reading<'a> {
    /// Most entries of each stream.
    count: usize,
    /// Whether to wait if there is nothing.
    waits: bool,
    /// How long; `None`: for ever.
    timeout_ms: Option<u64>,
    reader: Option<Reader<'a>>,
    no_ack: bool,
    /// Each key with what stands for an id.
    streams: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Reading<'a> {
    fn take(args: &mut Args<'a>, of_group: bool) -> Result<Self, Error> {
        let mut reading = Self {
            count: usize::MAX,
            waits: false,
            timeout_ms: None,
            reader: None,
            no_ack: false,
            streams: Vec::new(),
        };
        loop {
            let behind = args.left().saturating_sub(1);
            if behind >= 1 && args.keyword("BLOCK") {
                reading.waits = true;
                reading.timeout_ms = args.timeout_ms()?;
            } else if behind >= 1 && args.keyword("COUNT") {
                let count = usize::try_from(args.integer()?).unwrap_or(0);
                reading.count = if count == 0 { usize::MAX } else { count };
            } else if behind >= 1 && args.keyword("STREAMS") {
                reading.take_streams(args, of_group)?;
                break;
            } else if behind >= 2 && args.keyword("GROUP") {
                if !of_group {
                    return Err(Error::GROUP_OPTION_OF_XREAD);
                }
                reading.reader = Some(Reader { group: args.bytes()?, consumer: args.bytes()? });
            } else if args.keyword("NOACK") {
                if !of_group {
                    return Err(Error::NOACK_OPTION_OF_XREAD);
                }
                reading.no_ack = true;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(reading)
    }

    fn take_streams(&mut self, args: &mut Args<'a>, of_group: bool) -> Result<(), Error> {
        let words = args.left();
        if !words.is_multiple_of(2) {
            let (name, symbol) = if of_group { ("xreadgroup", '>') } else { ("xread", '$') };
            return Err(Error::unbalanced_streams(name, symbol));
        }
        let keys = args.many(words / 2)?;
        self.streams = keys.zip(args.rest()).collect();
        Ok(())
    }
}

/// The streams of a reply: a map in RESP3, pairs before.
struct Found {
    mark: Mark,
    count: usize,
}

impl Found {
    fn new(reply: &Writer) -> Self {
        Self { mark: reply.mark(), count: 0 }
    }

    /// Begins a stream; its entries follow.
    fn begin(&mut self, reply: &mut Writer, key: &[u8]) {
        self.count += 1;
        if !reply.is_resp3() {
            reply.array(2);
        }
        reply.bulk(key);
    }

    /// Ends the reply; `false` if there was nothing.
    fn end(self, reply: &mut Writer) -> bool {
        if self.count == 0 {
            return false;
        }
        if reply.is_resp3() {
            reply.map_since(self.mark, self.count);
        } else {
            reply.array_since(self.mark, self.count);
        }
        true
    }
}

/// There is nothing to read yet: the client waits, if it wants to. For XREAD `known` are the ids
/// that it has, and `$` and `+` become the one that was last when it began to wait.
fn wait(cx: &mut Cx<'_>, argv: Argv<'_>, reading: &Reading<'_>, known: &[Id]) -> Result<(), Error> {
    if !reading.waits {
        cx.reply.nil_array();
        return Ok(());
    }
    let ids_from = argv.len() - reading.streams.len();
    let later =
        reading.streams.iter().any(|(_, word)| [&b"$"[..], b"+"].contains(word)).then(|| {
            let mut later: OwnedArgv = argv.iter().take(ids_from).collect();
            known.iter().for_each(|id| later.push(id.format(&mut [0; TEXT_BYTES_MAX])));
            later
        });
    let wait = Wait {
        keys: ids_from - reading.streams.len()..ids_from,
        timeout_ms: reading.timeout_ms,
        refusal: Refusal::NilArray,
        type_name: "stream",
        // Whoever reads for a group must hear that it is gone.
        hears_of_loss: reading.reader.is_some(),
        argv: later,
    };
    cx.wait(argv, wait)
}

fn xread(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let reading = Reading::take(args, false)?;
    let mut known = Vec::with_capacity(reading.streams.len());
    for (key, word) in &reading.streams {
        let stream = cx.keys.collection::<Stream>(key)?;
        known.push(match *word {
            b"$" => stream.map_or(Id::MIN, |stream| stream.marks().last_id),
            // The last entry: what is behind the one before it.
            b"+" => {
                let last = stream.and_then(Stream::last_entry_id);
                last.and_then(Id::previous).unwrap_or(Id::MIN)
            }
            b">" => return Err(Error::NEW_ID_OF_XREAD),
            word => stream_entry::id(word)?,
        });
    }
    let mut found = Found::new(cx.reply);
    for ((key, _), known) in reading.streams.iter().zip(&known) {
        let Some(stream) = cx.keys.peek_collection::<Stream>(key)? else { continue };
        let Some(from) = known.next().filter(|_| stream.last_entry_id() > Some(*known)) else {
            continue;
        };
        found.begin(cx.reply, key);
        let entries = stream.range(from, Id::MAX).take(reading.count);
        stream_entry::say_all(cx.reply, entries, |_| ());
    }
    if found.end(cx.reply) {
        return Ok(());
    }
    wait(cx, args.argv(), &reading, &known)
}

/// What a consumer asks of a stream.
#[derive(Clone, Copy)]
enum Asked {
    /// What nobody of the group has got.
    New,
    /// What is pending for it behind this id.
    History(Id),
}

fn xreadgroup(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let reading = Reading::take(args, true)?;
    let reader = reading.reader.ok_or(Error::GROUP_OPTION_MISSING)?;
    let mut asked = Vec::with_capacity(reading.streams.len());
    for (key, word) in &reading.streams {
        let stream = cx.keys.collection::<Stream>(key)?;
        if stream.and_then(|stream| stream.group(reader.group)).is_none() {
            return Err(Error::no_key_or_group_to_read(key, reader.group));
        }
        asked.push(match *word {
            b"$" => return Err(Error::LAST_ID_OF_XREADGROUP),
            b"+" => return Err(Error::LAST_ENTRY_OF_XREADGROUP),
            b">" => Asked::New,
            word => match stream_entry::id(word)? {
                // The highest id and `>` are one and the same to Redis.
                Id::MAX => Asked::New,
                id => Asked::History(id),
            },
        });
    }
    cx.rewrite_as_told();
    let mut found = Found::new(cx.reply);
    for ((key, _), asked) in reading.streams.iter().zip(asked) {
        read_as(cx, &mut found, key, reader, asked, &reading)?;
    }
    if found.end(cx.reply) {
        return Ok(());
    }
    wait(cx, args.argv(), &reading, &[])
}

/// Reads one stream for a consumer, who is created if need be.
fn read_as(
    cx: &mut Cx<'_>,
    found: &mut Found,
    key: &[u8],
    reader: Reader<'_>,
    asked: Asked,
    reading: &Reading<'_>,
) -> Result<(), Error> {
    let now = cx.keys.now;
    let is_new = cx.keys.edit::<Stream, _>(key, "xgroup-createconsumer", |stream| {
        Ok(stream.add_consumer(reader.group, reader.consumer, now))
    })?;
    let (reply, propagates) = (&mut *cx.reply, cx.keys.propagates());
    let outcome = cx.keys.edit::<Stream, _>(key, NOT_NOTIFIED, |stream| {
        stream.note_consumer(reader.group, reader.consumer, now, false);
        let Some(before) = stream.group(reader.group).map(|group| group.cursor) else {
            return Ok(None);
        };
        let handed = match asked {
            Asked::History(known) => {
                found.begin(reply, key);
                say_history(stream, reply, reader, known, reading.count, now)
            }
            Asked::New if stream.last_entry_id() > Some(before.last_id) => {
                found.begin(reply, key);
                hand_out(stream, reply, reader, reading, now)
            }
            Asked::New => Vec::new(),
        };
        if !propagates {
            return Ok(None);
        }
        let told = handed.into_iter().filter_map(|id| Told::of(stream, reader.group, id));
        let cursor = stream.group(reader.group).map_or(before, |group| group.cursor);
        Ok(Some((told.collect::<Vec<_>>(), before, cursor)))
    })?;
    if let Some((told, before, cursor)) = outcome.flatten() {
        let at = GroupAt { key, group: reader.group };
        if is_new == Some(true) && told.is_empty() {
            at.rewrite_consumer(cx, reader.consumer);
        }
        rewrite(cx, at, &told, before, cursor);
    }
    Ok(())
}

/// Says what copies have to run for what was handed out.
fn rewrite(cx: &mut Cx<'_>, at: GroupAt<'_>, told: &[Told], before: Cursor, cursor: Cursor) {
    let mut reached = before.last_id;
    for one in told {
        reached = reached.max(one.id());
        at.rewrite_pending(cx, one, reached);
    }
    // Whoever claims for the group moves it on, but does not count.
    if before.entries_read != cursor.entries_read || reached != cursor.last_id {
        at.rewrite_cursor(cx, cursor);
    }
}

/// Says what nobody of the group has got, and makes it pending for the reader, unless it need not
/// acknowledge. Gives what became pending.
fn hand_out(
    stream: &mut Edit<'_, Stream>,
    reply: &mut Writer,
    reader: Reader<'_>,
    reading: &Reading<'_>,
    now: Millis,
) -> Vec<Id> {
    let Some(group) = stream.group(reader.group) else { return Vec::new() };
    let (mut cursor, number) = (group.cursor, group.number(reader.consumer));
    let Some((from, consumer)) = cursor.last_id.next().zip(number) else { return Vec::new() };
    let mut ids = Vec::new();
    let entries = stream.range(from, Id::MAX).take(reading.count);
    stream_entry::say_all(reply, entries, |id| ids.push(id));
    for id in &ids {
        cursor = stream.advanced(cursor, *id);
    }
    stream.set_cursor(reader.group, cursor);
    if reading.no_ack {
        return Vec::new();
    }
    let pending = Pending { consumer, delivered_at: now, deliveries: 1 };
    for id in &ids {
        stream.set_pending(reader.group, *id, Some(pending));
    }
    stream.note_consumer(reader.group, reader.consumer, now, true);
    ids
}

/// Says what is pending for the reader, which counts as one more delivery of what is still there;
/// gives that.
fn say_history(
    stream: &mut Edit<'_, Stream>,
    reply: &mut Writer,
    reader: Reader<'_>,
    known: Id,
    count: usize,
    now: Millis,
) -> Vec<Id> {
    let group = stream.group(reader.group);
    let number = group.and_then(|group| group.number(reader.consumer));
    let Some(((group, consumer), from)) = group.zip(number).zip(known.next()) else {
        return Vec::new();
    };
    let mark = reply.mark();
    let (mut said, mut delivered) = (0, Vec::new());
    for (id, pending) in group.pending_of(consumer, from, Id::MAX).take(count) {
        said += 1;
        if let Some(entry) = stream.get(id) {
            stream_entry::say(reply, entry);
            let deliveries = pending.deliveries.saturating_add(1);
            delivered.push((id, Pending { delivered_at: now, deliveries, ..*pending }));
        } else {
            stream_entry::say_gone(reply, id);
        }
    }
    reply.array_since(mark, said);
    for (id, pending) in &delivered {
        stream.set_pending(reader.group, *id, Some(*pending));
    }
    delivered.into_iter().map(|(id, _)| id).collect()
}
