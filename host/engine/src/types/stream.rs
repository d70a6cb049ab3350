//! Streams: entries in the order of their ids, appended behind and removed anywhere, and the groups
//! that read them.
//!
//! Entries lie in nodes, packed, in a tree ordered by the id of each node's first entry; an entry
//! is found in the logarithm of the number of nodes and a look through one node. What a deleted
//! entry took is given back with its node, when the last one in it is deleted or the node is
//! trimmed. The stream remembers what it once held: the last id it
//! gave, the highest id that was deleted, how many entries were ever added. From these follows how
//! far behind a group is, or that nobody can tell.
//!
//! An empty stream is a stream: it still has groups and a last id.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::limits::Limits;
use super::listpack::Packed;
use super::stream_group::{Cursor, Group};
use super::stream_id::{Id, NewId};
use super::stream_node::{Entry, Mark, Node};

/// A stream.
#[derive(Debug, Default)]
pub struct Stream {
    nodes: BTreeMap<Id, Node>,
    len: u64,
    marks: Marks,
    groups: BTreeMap<Box<[u8]>, Group>,
    bytes: usize,
}

/// What a stream remembers of its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The first entry; zero if there is none.
    pub first_id: Id,
    /// The last id that was given, whether or not its entry is there.
    pub last_id: Id,
    /// The highest id that was deleted other than by trimming.
    pub max_deleted_id: Id,
    /// Entries that were ever added.
    pub entries_added: u64,
}

/// What trimming leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// This many entries, the last ones.
    Len(u64),
    /// The entries from this id on.
    From(Id),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What is left.
    pub kept: Kept,
    /// Whether only whole nodes go, so that more may be left.
    pub approximate: bool,
    /// At most this many entries go; 0: any number.
    pub entries_max: u64,
}

/// Entries that were removed.
#[derive(Debug, Default)]
pub struct Removed {
    nodes: Vec<(Id, Node)>,
    /// Entries of one node that were marked.
    marked: Vec<Id>,
    count: u64,
}

impl Removed {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Most bytes of fields and values that an entry can have.
pub const ENTRY_BYTES_MAX: usize = Packed::BYTES_MAX;

/// What a node takes in the tree besides its content.
const NODE_BYTES: usize = size_of::<(Id, Node)>() * 3 / 2;
/// What a group takes in the tree besides its content and its name.
const GROUP_BYTES: usize = size_of::<(Box<[u8]>, Group)>() * 3 / 2;

fn node_bytes(node: &Node) -> usize {
    NODE_BYTES + node.heap_bytes()
}

fn group_bytes(name: &[u8], group: &Group) -> usize {
    GROUP_BYTES + name.len() + group.heap_bytes()
}

impl Clone for Stream {
    fn clone(&self) -> Self {
        let (nodes, groups) = (self.nodes.clone(), self.groups.clone());
        // A copy keeps no room for growing, so it takes less memory.
        let bytes = nodes.values().map(node_bytes).sum::<usize>()
            + groups.iter().map(|(name, group)| group_bytes(name, group)).sum::<usize>();
        Self { nodes, len: self.len, marks: self.marks, bytes, groups }
    }
}

impl Stream {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream of these nodes; `None` if they do not follow each other, or not these marks. Which
    /// entry is the first is found out.
    #[must_use]
    pub fn from_nodes(nodes: BTreeMap<Id, Node>, marks: Marks) -> Option<Self> {
        let mut last = None;
        for (node_id, node) in &nodes {
            if last.is_some_and(|last| *node_id <= last) {
                return None;
            }
            last = node.last_id(*node_id);
        }
        let len = nodes.values().map(Node::live).sum();
        let bytes = nodes.values().map(node_bytes).sum();
        let mut stream = Self { nodes, len, marks, bytes, groups: BTreeMap::new() };
        stream.find_first();
        (stream.last_entry_id() <= Some(marks.last_id)).then_some(stream)
    }

    /// All nodes with their ids.
    pub fn packed(&self) -> impl ExactSizeIterator<Item = (Id, &Node)> {
        self.nodes.iter().map(|(node_id, node)| (*node_id, node))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many allocations its end gives back, about.
    pub fn parts(&self) -> usize {
        let of_group = |group: &Group| 1 + group.pending_count() + group.consumers().len();
        self.nodes.len() + self.groups.values().map(of_group).sum::<usize>()
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// What is remembered.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Sets what is remembered; gives what it was.
    pub fn set_marks(&mut self, marks: Marks) -> Marks {
        core::mem::replace(&mut self.marks, marks)
    }

    /// Bytes on the heap, about. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes
    }

    // ---- entries -------------------------------------------------------------------------

    /// The entries with ids in this range, from the first on.
    pub fn range(&self, from: Id, to: Id) -> impl Iterator<Item = Entry<'_>> {
        let nodes = (from <= to).then(|| self.nodes.range(self.node_of(from)..=to));
        let nodes = nodes.into_iter().flatten();
        nodes
            .flat_map(|(node_id, node)| node.entries(*node_id))
            .skip_while(move |entry| entry.id < from)
            .take_while(move |entry| entry.id <= to)
            .filter(|entry| !entry.is_deleted())
    }

    /// The entries with ids in this range, from the last on.
    pub fn range_back(&self, from: Id, to: Id) -> impl Iterator<Item = Entry<'_>> {
        let nodes = (from <= to).then(|| self.nodes.range(self.node_of(from)..=to));
        let nodes = nodes.into_iter().flatten().rev();
        nodes
            .flat_map(|(node_id, node)| node.entries_back(*node_id))
            .skip_while(move |entry| entry.id > to)
            .take_while(move |entry| entry.id >= from)
            .filter(|entry| !entry.is_deleted())
    }

    /// The entry with this id.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The id of the last entry.
    #[must_use]
    pub fn last_entry_id(&self) -> Option<Id> {
        self.range_back(Id::MIN, Id::MAX).next().map(|entry| entry.id)
    }

    /// The id that the first node begins with: that of its first entry, even if that was deleted.
    #[must_use]
    pub fn first_node_id(&self) -> Option<Id> {
        self.nodes.first_key_value().map(|(id, _)| *id)
    }

    /// The node in which an entry with this id is, if it is anywhere.
    fn node_of(&self, id: Id) -> Id {
        self.nodes.range(..=id).next_back().map_or(id, |(node_id, _)| *node_id)
    }

    /// The id that a new entry gets; `None` if it would not be above all that were given.
    #[must_use]
    pub fn new_id(&self, wanted: NewId, now_ms: u64) -> Option<Id> {
        let last = self.marks.last_id;
        let id = match wanted {
            NewId::Auto if now_ms > last.ms => Id::new(now_ms, 0),
            NewId::Auto => last.next()?,
            NewId::Sequence(ms) if ms == last.ms => Id::new(ms, last.seq.checked_add(1)?),
            NewId::Sequence(ms) => Id::new(ms, 0),
            NewId::Given(id) => id,
        };
        (id > last).then_some(id)
    }

    /// Appends an entry with the fields and values of `pairs` in turn, at most
    /// [`ENTRY_BYTES_MAX`] of them. Its id must be one that [`new_id`](Self::new_id) gave.
    pub fn append<'p>(
        &mut self,
        id: Id,
        pairs: impl ExactSizeIterator<Item = &'p [u8]> + Clone,
        limits: &Limits,
    ) {
        debug_assert!(id > self.marks.last_id, "ids ascend");
        let content = pairs.clone().map(<[u8]>::len).sum();
        let mut tail = self.nodes.last_entry();
        if let Some(full) = tail.as_mut().filter(|tail| tail.get().is_full(content, limits)) {
            let node = full.get_mut();
            self.bytes -= node_bytes(node);
            node.shrink_to_fit();
            self.bytes += node_bytes(node);
            tail = None;
        }
        match tail {
            Some(mut tail) => {
                let node_id = *tail.key();
                let node = tail.get_mut();
                self.bytes -= node_bytes(node);
                node.push(node_id, id, pairs);
                self.bytes += node_bytes(node);
            }
            None => {
                let mut node = Node::new(pairs.clone().step_by(2));
                node.push(id, id, pairs);
                self.bytes += node_bytes(&node);
                self.nodes.insert(id, node);
            }
        }
        self.len += 1;
        self.marks.entries_added += 1;
        self.marks.last_id = id;
        if self.len == 1 {
            self.marks.first_id = id;
        }
    }

    /// Takes the entry back that was appended last. What is remembered stays as it is.
    pub fn pop(&mut self) {
        let Some(mut tail) = self.nodes.last_entry() else { return };
        let node = tail.get_mut();
        self.bytes -= node_bytes(node);
        if node.pop() {
            self.bytes += node_bytes(node);
        } else {
            tail.remove();
        }
        self.len -= 1;
    }

    /// Deletes an entry.
    pub fn delete(&mut self, id: Id) -> Option<Removed> {
        let node_id = self.node_of(id);
        let node = self.nodes.get_mut(&node_id)?;
        let entry = node.entries(node_id).find(|entry| entry.id >= id)?;
        if entry.id != id || entry.is_deleted() {
            return None;
        }
        let mark = entry.mark();
        let mut removed = Removed { count: 1, ..Removed::default() };
        if node.live() == 1 {
            removed.nodes.extend(self.take_node(node_id));
        } else {
            self.mark(node_id, &[mark], true);
            removed.marked.push(id);
        }
        self.len -= 1;
        self.marks.max_deleted_id = self.marks.max_deleted_id.max(id);
        if id == self.marks.first_id {
            self.find_first();
        }
        Some(removed)
    }

    /// Whether nothing goes, as can be told without a look at any entry.
    #[must_use]
    pub fn is_within(&self, trim: &Trim) -> bool {
        matches!(trim.kept, Kept::Len(len) if self.len <= len)
    }

    /// Removes entries from the front.
    pub fn trim(&mut self, trim: &Trim) -> Removed {
        let mut removed = Removed::default();
        while let Some((node_id, node)) = self.nodes.first_key_value() {
            let (node_id, live) = (*node_id, node.live());
            let room = trim.entries_max == 0 || removed.count + live <= trim.entries_max;
            if !room || self.is_within(trim) {
                break;
            }
            let whole = match trim.kept {
                Kept::Len(len) => self.len - live >= len,
                Kept::From(id) => node.last_id(node_id).is_some_and(|last| last < id),
            };
            if !whole {
                if !trim.approximate {
                    self.trim_node(node_id, trim.kept, &mut removed);
                }
                break;
            }
            removed.nodes.extend(self.take_node(node_id));
            removed.count += live;
            self.len -= live;
        }
        if removed.count > 0 {
            self.find_first();
        }
        removed
    }

    /// Marks the entries in front of a node that are not kept.
    fn trim_node(&mut self, node_id: Id, kept: Kept, removed: &mut Removed) {
        let Some(node) = self.nodes.get(&node_id) else { return };
        let live = node.entries(node_id).filter(|entry| !entry.is_deleted());
        let gone: Vec<(Id, Mark)> = match kept {
            Kept::Len(len) => {
                let count = usize::try_from(self.len - len).unwrap_or(usize::MAX);
                live.take(count).map(|entry| (entry.id, entry.mark())).collect()
            }
            Kept::From(id) => live
                .take_while(|entry| entry.id < id)
                .map(|entry| (entry.id, entry.mark()))
                .collect(),
        };
        let marks: Vec<Mark> = gone.iter().map(|(_, mark)| *mark).collect();
        self.mark(node_id, &marks, true);
        removed.count += gone.len() as u64;
        self.len -= gone.len() as u64;
        removed.marked = gone.into_iter().map(|(id, _)| id).collect();
    }

    /// Puts removed entries back where they were. What is remembered stays as it is.
    pub fn restore(&mut self, removed: Removed) {
        if let Some(first) = removed.marked.first() {
            let node_id = self.node_of(*first);
            if let Some(node) = self.nodes.get(&node_id) {
                let marks = node.find(node_id, &removed.marked);
                self.mark(node_id, &marks, false);
            }
        }
        for (node_id, node) in removed.nodes {
            self.bytes += node_bytes(&node);
            self.nodes.insert(node_id, node);
        }
        self.len += removed.count;
    }

    fn take_node(&mut self, node_id: Id) -> Option<(Id, Node)> {
        let node = self.nodes.remove(&node_id)?;
        self.bytes -= node_bytes(&node);
        Some((node_id, node))
    }

    fn mark(&mut self, node_id: Id, marks: &[Mark], is_deleted: bool) {
        let Some(node) = self.nodes.get_mut(&node_id) else { return };
        self.bytes -= node_bytes(node);
        node.mark(marks, is_deleted);
        self.bytes += node_bytes(node);
    }

    fn find_first(&mut self) {
        let first = self.range(Id::MIN, Id::MAX).next().map(|entry| entry.id);
        self.marks.first_id = first.unwrap_or_default();
    }

    // ---- groups --------------------------------------------------------------------------

    /// All groups in the order of their names.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    /// The group with this name.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Puts a group, unless there is one with this name. Whether it is new.
    pub fn put_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.bytes += group_bytes(name, &group);
        self.groups.insert(name.into(), group);
        true
    }

    /// Removes a group with everything in it.
    pub fn take_group(&mut self, name: &[u8]) -> Option<Group> {
        let group = self.groups.remove(name)?;
        self.bytes -= group_bytes(name, &group);
        Some(group)
    }

    /// Changes a group.
    pub fn change_group<R>(
        &mut self,
        name: &[u8],
        change: impl FnOnce(&mut Group) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(name)?;
        self.bytes -= group_bytes(name, group);
        let result = change(group);
        self.bytes += group_bytes(name, group);
        Some(result)
    }

    /// How many entries a group has still to read; `None` if nobody can tell.
    #[must_use]
    pub fn lag(&self, cursor: &Cursor) -> Option<i64> {
        let added = self.marks.entries_added;
        let counted = cursor.entries_read.filter(|_| !self.may_have_gaps_from(cursor.last_id));
        let read = match counted {
            _ if added == 0 => return Some(0),
            Some(read) => read,
            None => self.added_up_to(cursor.last_id)?,
        };
        Some(added.wrapping_sub(read) as i64)
    }

    /// Where a group is once the entry with this id was handed out.
    #[must_use]
    pub fn advanced(&self, cursor: Cursor, id: Id) -> Cursor {
        if id <= cursor.last_id {
            return cursor;
        }
        let entries_read = match cursor.entries_read {
            Some(read) if !self.may_have_gaps_from(id) => Some(read.wrapping_add(1)),
            read if self.marks.entries_added == 0 => read,
            _ => self.added_up_to(id),
        };
        Cursor { last_id: id, entries_read }
    }

    /// Whether an entry from `id` on may have been deleted from among others.
    fn may_have_gaps_from(&self, id: Id) -> bool {
        let deleted = self.marks.max_deleted_id;
        !self.is_empty() && deleted != Id::MIN && self.marks.first_id <= deleted && id <= deleted
    }

    /// How many entries were ever added up to this id, where that follows from what is remembered.
    #[must_use]
    pub fn added_up_to(&self, id: Id) -> Option<u64> {
        let Marks { first_id, last_id, max_deleted_id, entries_added } = self.marks;
        if entries_added == 0 {
            return Some(0);
        }
        if id == last_id || self.is_empty() && id < last_id {
            return Some(entries_added);
        }
        let has_gaps = max_deleted_id != Id::MIN && max_deleted_id >= first_id;
        if id > last_id || has_gaps || id > first_id {
            return None;
        }
        Some(entries_added.wrapping_sub(self.len).wrapping_add(u64::from(id == first_id)))
    }

    /// Recounts everything; panics on a contradiction.
    pub fn check(&self) {
        self.nodes.iter().for_each(|(node_id, node)| node.check(*node_id));
        self.groups.values().for_each(Group::check);
        let ids: Vec<Id> = self.range(Id::MIN, Id::MAX).map(|entry| entry.id).collect();
        assert_eq!(ids.len() as u64, self.len, "number of entries");
        assert!(ids.is_sorted_by(|one, other| one < other), "ids ascend");
        assert_eq!(ids.first().copied().unwrap_or_default(), self.marks.first_id, "the first id");
        assert!(ids.last() <= Some(&self.marks.last_id), "no entry lies behind the last id");
        let nodes: usize = self.nodes.values().map(node_bytes).sum();
        let groups = self.groups.iter().map(|(name, group)| group_bytes(name, group));
        assert_eq!(nodes + groups.sum::<usize>(), self.bytes, "bytes on the heap");
    }
}

#[cfg(test)]
mod tests;
