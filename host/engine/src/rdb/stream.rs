//! Streams: their nodes as they are, what they remember, and their groups.
//!
//! Before Redis 7.0 a stream did not remember how many entries there ever were, before 7.2 a
//! consumer not when it last got one: that is filled in as Redis does.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::form::Form;
use super::marks;
use super::read::{Malformed, Reader};
use super::write::{write_length, write_string};
use crate::clock::Millis;
use crate::types::stream::{Marks, Stream};
use crate::types::stream_group::{Consumer, Cursor, Group, Pending, Times};
use crate::types::stream_id::Id;
use crate::types::stream_node::Node;

/// The type under which a stream is written.
pub(super) fn kind(form: Form) -> u8 {
    if form.knows_7_2() { marks::STREAM_3 } else { marks::STREAM_2 }
}

/// What stands for the time of something that never happened, or for a count that nobody knows.
const NONE: u64 = u64::MAX;

pub(super) fn write(out: &mut Vec<u8>, stream: &Stream, form: Form) {
    write_length(out, stream.nodes() as u64);
    for (node_id, node) in stream.packed() {
        write_string(out, &raw(node_id), form);
        write_string(out, node.as_bytes(), form);
    }
    let Marks { first_id, last_id, max_deleted_id, entries_added } = *stream.marks();
    write_length(out, stream.len());
    [last_id, first_id, max_deleted_id].into_iter().for_each(|id| write_id(out, id));
    write_length(out, entries_added);
    write_length(out, stream.groups().len() as u64);
    for (name, group) in stream.groups() {
        write_string(out, name, form);
        write_id(out, group.cursor.last_id);
        write_length(out, group.cursor.entries_read.unwrap_or(NONE));
        write_length(out, group.pending_count() as u64);
        for (id, pending) in group.pending_between(Id::MIN, Id::MAX) {
            out.extend_from_slice(&raw(id));
            out.extend_from_slice(&pending.delivered_at.get().to_le_bytes());
            write_length(out, pending.deliveries);
        }
        write_length(out, group.consumers().len() as u64);
        group.consumers().flatten().for_each(|consumer| write_consumer(out, consumer, form));
    }
}

fn write_consumer(out: &mut Vec<u8>, consumer: &Consumer, form: Form) {
    let Times { seen_at, active_at } = consumer.times;
    write_string(out, consumer.name(), form);
    out.extend_from_slice(&seen_at.get().to_le_bytes());
    if form.knows_7_2() {
        out.extend_from_slice(&active_at.map_or(NONE, Millis::get).to_le_bytes());
    }
    write_length(out, consumer.pending().len() as u64);
    consumer.pending().iter().for_each(|id| out.extend_from_slice(&raw(*id)));
}

fn write_id(out: &mut Vec<u8>, id: Id) {
    write_length(out, id.ms);
    write_length(out, id.seq);
}

fn raw(id: Id) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

fn from_raw(bytes: [u8; 16]) -> Id {
    let wide = u128::from_be_bytes(bytes);
    Id::new((wide >> 64) as u64, wide as u64)
}

pub(super) fn read(kind: u8, reader: &mut Reader<'_>) -> Result<Stream, Malformed> {
    let mut nodes = BTreeMap::new();
    for _ in 0..reader.length()? {
        let id = reader.string()?.as_ref().try_into().map(from_raw).map_err(|_| Malformed)?;
        let node = Node::from_bytes(id, reader.string()?.into_owned()).ok_or(Malformed)?;
        if nodes.insert(id, node).is_some() {
            return Err(Malformed);
        }
    }
    let len = reader.length()?;
    let mut marks = Marks { last_id: read_id(reader)?, entries_added: len, ..Marks::default() };
    if kind != marks::STREAM {
        marks.first_id = read_id(reader)?;
        marks.max_deleted_id = read_id(reader)?;
        marks.entries_added = reader.length()?;
    }
    let mut stream = Stream::from_nodes(nodes, marks).ok_or(Malformed)?;
    if stream.len() != len {
        return Err(Malformed);
    }
    for _ in 0..reader.length()? {
        let name = reader.string()?;
        let group = read_group(kind, reader, &stream)?;
        if !stream.put_group(&name, group) {
            return Err(Malformed);
        }
    }
    Ok(stream)
}

fn read_id(reader: &mut Reader<'_>) -> Result<Id, Malformed> {
    Ok(Id::new(reader.length()?, reader.length()?))
}

/// A time; `None` if it never was.
fn read_time(reader: &mut Reader<'_>) -> Result<Option<Millis>, Malformed> {
    match u64::from_le_bytes(reader.array()?) {
        NONE => Ok(None),
        at if i64::try_from(at).is_ok() => Ok(Some(Millis::new(at))),
        _ => Err(Malformed),
    }
}

fn read_group(kind: u8, reader: &mut Reader<'_>, stream: &Stream) -> Result<Group, Malformed> {
    let last_id = read_id(reader)?;
    let entries_read = match kind {
        marks::STREAM => stream.added_up_to(last_id),
        _ => Some(reader.length()?).filter(|read| *read != NONE),
    };
    let mut group = Group::new(Cursor { last_id, entries_read });
    let mut unowned = BTreeMap::new();
    for _ in 0..reader.length()? {
        let id = from_raw(reader.array()?);
        let delivered_at = read_time(reader)?.ok_or(Malformed)?;
        unowned.insert(id, (delivered_at, reader.length()?));
    }
    for _ in 0..reader.length()? {
        read_consumer(kind, reader, &mut group, &mut unowned)?;
    }
    // What is pending is somebody's.
    if unowned.is_empty() { Ok(group) } else { Err(Malformed) }
}

fn read_consumer(
    kind: u8,
    reader: &mut Reader<'_>,
    group: &mut Group,
    unowned: &mut BTreeMap<Id, (Millis, u64)>,
) -> Result<(), Malformed> {
    let name = reader.string()?;
    let seen_at = read_time(reader)?.ok_or(Malformed)?;
    let active_at = match kind {
        marks::STREAM_3 => read_time(reader)?,
        _ => Some(seen_at),
    };
    if !group.add_consumer(&name, seen_at) {
        return Err(Malformed);
    }
    let consumer = group.number(&name).ok_or(Malformed)?;
    group.set_times(consumer, Times { seen_at, active_at });
    for _ in 0..reader.length()? {
        let id = from_raw(reader.array()?);
        let (delivered_at, deliveries) = unowned.remove(&id).ok_or(Malformed)?;
        group.set_pending(id, Some(Pending { consumer, delivered_at, deliveries }));
    }
    Ok(())
}
