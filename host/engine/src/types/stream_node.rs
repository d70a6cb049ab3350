//! A node of a stream: a run of entries packed into one allocation.
//!
//! The bytes are exactly those of a node in Redis, so a node is full when Redis's is, approximate
//! trimming takes the same entries, and a stream is saved and loaded by copying. A listpack holds,
//! in front, how many entries live, how many are deleted, and the fields of the first entry; then
//! every entry: flags, its id as a difference to the node's, its fields unless they are those of
//! the first, its values, and how many items that were, so that it can be read backwards. A deleted
//! entry stays where it is, marked, until the stream throws its node away.
//!
//! A node does not know its own id: that is its key in the stream.

use alloc::vec::Vec;

use super::element::Element;
use super::limits::Limits;
use super::listpack::{Iter, Packed, Place};
use super::stream_id::Id;

/// A run of entries.
#[derive(Clone, Debug)]
pub struct Node {
    packed: Packed,
}

/// In an entry's flags: it was deleted.
const DELETED: i64 = 1;
/// In an entry's flags: its fields are those of the node's first entry.
const SAME_FIELDS: i64 = 2;

/// One entry, where it lies.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: Id,
    /// Its fields and values.
    pub pairs: Pairs<'a>,
    is_deleted: bool,
    place: Place,
}

/// Fields and values of an entry.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    /// The fields, if they stand elsewhere.
    names: Option<Iter<'a>>,
    items: Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Element<'a>, Element<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.next(),
            None => self.items.next(),
        };
        Some((name?, self.items.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

/// What stands in front of the entries.
#[derive(Clone)]
struct Head<'a> {
    live: u64,
    deleted: u64,
    names: Iter<'a>,
    names_count: usize,
    /// The entries, each with all its items.
    rest: Iter<'a>,
}

impl Node {
    /// A node without an entry yet; the first one's fields are `names`.
    pub fn new<'p>(names: impl ExactSizeIterator<Item = &'p [u8]>) -> Self {
        let mut packed = Packed::new();
        packed.push_back_int(0);
        packed.push_back_int(0);
        packed.push_back_int(names.len() as i64);
        names.for_each(|name| packed.push_back(name));
        // What a reader who comes from behind takes for the length of an entry.
        packed.push_back_int(0);
        Self { packed }
    }

    /// Takes over the bytes of a node from outside, after checking every one of them.
    #[must_use]
    pub fn from_bytes(node_id: Id, bytes: Vec<u8>) -> Option<Self> {
        let node = Self { packed: Packed::from_bytes(bytes)? };
        node.is_sound(node_id).then_some(node)
    }

    /// Whether the items are entries and what stands in front of them, and say the truth.
    fn is_sound(&self, node_id: Id) -> bool {
        let mut rest = self.packed.iter();
        let mut number = || rest.next().and_then(whole).and_then(|value| u64::try_from(value).ok());
        let (Some(live), Some(deleted), Some(names)) = (number(), number(), number()) else {
            return false;
        };
        let items = self.packed.len() as u64;
        if names > items {
            return false;
        }
        rest.pass(names as usize);
        if rest.next().and_then(whole) != Some(0) {
            return false;
        }
        let (mut last, mut counts) = (None, (0, 0));
        while rest.clone().next().is_some() {
            let Some((id, is_deleted)) = sound_entry(&mut rest, node_id, names, items) else {
                return false;
            };
            if last.map_or(id != node_id, |last| id <= last) {
                return false;
            }
            last = Some(id);
            if is_deleted { counts.1 += 1 } else { counts.0 += 1 }
        }
        last.is_some() && counts == (live, deleted)
    }

    /// Entries that are not deleted.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.head().live
    }

    /// Bytes allocated.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.packed.heap_bytes()
    }

    /// The node as Redis would store it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.packed.as_bytes()
    }

    /// Whether an entry with this much content belongs into a node of its own.
    #[must_use]
    pub fn is_full(&self, content_bytes: usize, limits: &Limits) -> bool {
        let bytes_max = match limits.stream_node_bytes_max {
            0 => Packed::BYTES_MAX,
            bytes => bytes.min(Packed::BYTES_MAX),
        };
        if self.packed.as_bytes().len() + content_bytes >= bytes_max {
            return true;
        }
        let Head { live, deleted, .. } = self.head();
        let entries_max = limits.stream_node_entries_max as u64;
        entries_max != 0 && live + deleted >= entries_max
    }

    /// Gives back memory kept for growing.
    pub fn shrink_to_fit(&mut self) {
        self.packed.shrink_to_fit();
    }

    /// Appends an entry with the fields and values of `pairs` in turn. Its id must be above all
    /// others.
    pub fn push<'p>(
        &mut self,
        node_id: Id,
        id: Id,
        pairs: impl ExactSizeIterator<Item = &'p [u8]> + Clone,
    ) {
        let count = pairs.len() / 2;
        let Head { live, names, names_count, .. } = self.head();
        let mut given = pairs.clone().step_by(2);
        let same = count == names_count
            && names.take(count).all(|name| given.next().is_some_and(|given| name == *given));
        self.packed.append_with(|end| {
            end.push_int(if same { SAME_FIELDS } else { 0 });
            end.push_int(id.ms.wrapping_sub(node_id.ms) as i64);
            end.push_int(id.seq.wrapping_sub(node_id.seq) as i64);
            let items = if same {
                pairs.skip(1).step_by(2).for_each(|value| end.push(value));
                3 + count
            } else {
                end.push_int(count as i64);
                pairs.for_each(|item| end.push(item));
                4 + 2 * count
            };
            end.push_int(items as i64);
        });
        self.set_live(live + 1);
    }

    /// Removes the last entry as if it had never been. Whether entries are left, deleted or not.
    pub fn pop(&mut self) -> bool {
        let Some(last) = self.entries_back(Id::MIN).next() else { return false };
        let (place, was_deleted) = (last.place, last.is_deleted);
        let Head { live, deleted, .. } = self.head();
        self.packed.remove(place, usize::MAX);
        let (live, deleted) = if was_deleted { (live, deleted - 1) } else { (live - 1, deleted) };
        self.set_counts(live, deleted);
        live + deleted > 0
    }

    /// All entries, deleted ones too, from the first on.
    pub fn entries(&self, node_id: Id) -> impl Iterator<Item = Entry<'_>> {
        let mut head = self.head();
        core::iter::from_fn(move || {
            let place = self.packed.place_of_next(&head.rest);
            self.read(node_id, place, &mut head)
        })
    }

    /// All entries, deleted ones too, from the last on.
    pub fn entries_back(&self, node_id: Id) -> impl Iterator<Item = Entry<'_>> {
        let mut head = self.head();
        let mut front = self.packed.iter();
        core::iter::from_fn(move || {
            let items = integer(front.next_back()?);
            if items == 0 {
                // The end of what stands in front of the entries.
                return None;
            }
            front.pass_back(items as usize);
            let place = self.packed.place_behind(&front);
            head.rest = self.packed.iter_from(place);
            self.read(node_id, place, &mut head)
        })
    }

    /// The id of the last entry, deleted or not.
    #[must_use]
    pub fn last_id(&self, node_id: Id) -> Option<Id> {
        self.entries_back(node_id).next().map(|entry| entry.id)
    }

    /// Marks these entries, in ascending order, as deleted or as not deleted. They must be in the node.
    pub fn mark(&mut self, marks: &[Mark], is_deleted: bool) {
        let Head { mut live, mut deleted, .. } = self.head();
        // From the last on, so that the places of the others stay whatever size one gets.
        for mark in marks.iter().rev() {
            let flags = integer(self.packed.at(mark.0));
            let changed = if is_deleted { flags | DELETED } else { flags & !DELETED };
            if changed == flags {
                continue;
            }
            self.packed.replace_int(mark.0, changed);
            (live, deleted) =
                if is_deleted { (live - 1, deleted + 1) } else { (live + 1, deleted - 1) };
        }
        self.set_counts(live, deleted);
    }

    /// Marks for the entries with these ascending ids.
    #[must_use]
    pub fn find(&self, node_id: Id, ids: &[Id]) -> Vec<Mark> {
        let mut wanted = ids.iter().peekable();
        let mut marks = Vec::with_capacity(ids.len());
        for entry in self.entries(node_id) {
            if wanted.next_if(|id| **id == entry.id).is_some() {
                marks.push(entry.mark());
            }
            if wanted.peek().is_none() {
                break;
            }
        }
        marks
    }

    /// Checks everything; panics on a contradiction.
    pub fn check(&self, node_id: Id) {
        self.packed.check();
        let Head { live, deleted, .. } = self.head();
        let entries: Vec<_> = self.entries(node_id).map(|entry| (entry.id, entry.place)).collect();
        let mut back: Vec<_> =
            self.entries_back(node_id).map(|entry| (entry.id, entry.place)).collect();
        back.reverse();
        assert_eq!(entries, back, "both ways tell the same");
        assert!(entries.is_sorted_by(|one, other| one.0 < other.0), "ids ascend");
        assert_eq!(entries.first().map(|first| first.0), Some(node_id), "the first id is the key");
        assert_eq!(entries.len() as u64, live + deleted, "number of entries");
        let marked = self.entries(node_id).filter(Entry::is_deleted).count();
        assert_eq!(marked as u64, deleted, "number of deleted entries");
    }

    fn head(&self) -> Head<'_> {
        let mut rest = self.packed.iter();
        let mut next = || rest.next().map_or(0, integer);
        let (live, deleted, names_count) = (next(), next(), next() as usize);
        let names = rest.clone();
        // The fields and the zero behind them.
        rest.pass(names_count + 1);
        Head { live: live as u64, deleted: deleted as u64, names, names_count, rest }
    }

    /// Reads the entry that `head.rest` begins with, and passes over it.
    fn read<'a>(&self, node_id: Id, place: Place, head: &mut Head<'a>) -> Option<Entry<'a>> {
        let rest = &mut head.rest;
        let flags = integer(rest.next()?);
        let ms = node_id.ms.wrapping_add(integer(rest.next()?) as u64);
        let seq = node_id.seq.wrapping_add(integer(rest.next()?) as u64);
        let same = flags & SAME_FIELDS != 0;
        let left = if same { head.names_count } else { integer(rest.next()?) as usize };
        let names = same.then(|| head.names.clone());
        let pairs = Pairs { names, items: rest.clone(), left };
        let items = if same { left } else { 2 * left };
        // The items, and how many they are.
        rest.pass(items + 1);
        Some(Entry { id: Id::new(ms, seq), pairs, is_deleted: flags & DELETED != 0, place })
    }

    fn set_counts(&mut self, live: u64, deleted: u64) {
        self.set_live(live);
        if let Some(second) = self.packed.first().and_then(|first| self.packed.next(first)) {
            self.packed.replace_int(second, deleted as i64);
        }
    }

    fn set_live(&mut self, live: u64) {
        if let Some(first) = self.packed.first() {
            self.packed.replace_int(first, live as i64);
        }
    }
}

/// Where an entry's flags are. Changing anything but marks makes it meaningless.
#[derive(Clone, Copy, Debug)]
pub struct Mark(Place);

impl Entry<'_> {
    /// Whether it was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// Where its flags are.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.place)
    }
}

/// Passes over one entry from outside; gives its id and whether it is deleted, if it is sound.
fn sound_entry(rest: &mut Iter<'_>, node_id: Id, names: u64, items_max: u64) -> Option<(Id, bool)> {
    let flags = whole(rest.next()?).filter(|flags| *flags & !(DELETED | SAME_FIELDS) == 0)?;
    let ms = node_id.ms.wrapping_add(whole(rest.next()?)? as u64);
    let seq = node_id.seq.wrapping_add(whole(rest.next()?)? as u64);
    let items = if flags & SAME_FIELDS != 0 {
        3 + names
    } else {
        let fields = u64::try_from(whole(rest.next()?)?).ok()?;
        4 + fields.checked_mul(2).filter(|fields| *fields <= items_max)?
    };
    let content = if flags & SAME_FIELDS != 0 { items - 3 } else { items - 4 };
    for _ in 0..content {
        rest.next()?;
    }
    let told = u64::try_from(whole(rest.next()?)?).ok()?;
    (told == items).then_some((Id::new(ms, seq), flags & DELETED != 0))
}

/// An item that must be a number.
fn whole(element: Element<'_>) -> Option<i64> {
    if let Element::Int(value) = element { Some(value) } else { None }
}

/// An item that the node itself wrote as a number.
fn integer(element: Element<'_>) -> i64 {
    match element {
        Element::Int(value) => value,
        Element::Bytes(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    type Model = (Id, bool, Vec<(Vec<u8>, Vec<u8>)>);

    fn content(entry: Entry<'_>) -> Model {
        let pairs = entry.pairs.clone().map(|(name, value)| (name.to_vec(), value.to_vec()));
        (entry.id, entry.is_deleted(), pairs.collect())
    }

    fn push(node: &mut Node, node_id: Id, id: Id, pairs: &[&[u8]]) {
        node.push(node_id, id, pairs.iter().copied());
    }

    #[test]
    fn entries_are_read_both_ways_and_marks_come_and_go() {
        let first = Id::new(5, 7);
        let mut node = Node::new([b"f".as_slice(), b"g"].into_iter());
        push(&mut node, first, first, &[b"f", b"1", b"g", b"two"]);
        push(&mut node, first, Id::new(5, 8), &[b"f", b"", b"g", b"-3"]);
        push(&mut node, first, Id::new(9, 0), &[b"other", b"x"]);
        push(&mut node, first, Id::new(9, 1), &[b"g", b"a", b"f", b"b"]);
        node.check(first);
        let own = |text: &[u8]| text.to_vec();
        let expected: Vec<Model> = vec![
            (first, false, vec![(own(b"f"), own(b"1")), (own(b"g"), own(b"two"))]),
            (Id::new(5, 8), false, vec![(own(b"f"), own(b"")), (own(b"g"), own(b"-3"))]),
            (Id::new(9, 0), false, vec![(own(b"other"), own(b"x"))]),
            (Id::new(9, 1), false, vec![(own(b"g"), own(b"a")), (own(b"f"), own(b"b"))]),
        ];
        assert_eq!(node.entries(first).map(content).collect::<Vec<_>>(), expected);
        let back: Vec<_> = node.entries_back(first).map(content).collect();
        assert_eq!(back, expected.iter().rev().cloned().collect::<Vec<_>>());
        let before = node.as_bytes().to_vec();
        let marks = node.find(first, &[Id::new(5, 8), Id::new(9, 1)]);
        node.mark(&marks, true);
        node.check(first);
        assert_eq!(node.live(), 2);
        let deleted: Vec<_> = node.entries(first).map(|entry| entry.is_deleted()).collect();
        assert_eq!(deleted, [false, true, false, true]);
        node.mark(&marks, false);
        assert_eq!(node.as_bytes(), before);
        push(&mut node, first, Id::new(10, 0), &[b"f", b"9", b"g", b"9"]);
        assert!(node.pop());
        assert_eq!(node.as_bytes(), before);
    }

    /// Recorded from redis-server 7.0: `XADD s 1-1 a 1`, `XADD s 2-5 a hello`, `XADD s 3-0 b c`,
    /// `XDEL s 2-5`, then DUMP.
    #[test]
    fn bytes_are_those_of_redis() {
        let first = Id::new(1, 1);
        let mut node = Node::new([b"a".as_slice()].into_iter());
        push(&mut node, first, first, &[b"a", b"1"]);
        push(&mut node, first, Id::new(2, 5), &[b"a", b"hello"]);
        push(&mut node, first, Id::new(3, 0), &[b"b", b"c"]);
        let marks = node.find(first, &[Id::new(2, 5)]);
        node.mark(&marks, true);
        assert_eq!(node.as_bytes(), RECORDED);
    }

    const RECORDED: &[u8] = b"<\x00\x00\x00\x16\x00\x02\x01\x01\x01\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01\x01\x01\x04\x01\x03\x01\x01\x01\x04\x01\x85hello\x06\x04\x01\x00\x01\x02\x01\xdf\xff\x02\x01\x01\x81b\x02\x81c\x02\x06\x01\xff";

    #[test]
    fn a_node_is_full_by_bytes_or_by_entries() {
        let first = Id::new(1, 0);
        let mut node = Node::new([b"f".as_slice()].into_iter());
        push(&mut node, first, first, &[b"f", b"v"]);
        push(&mut node, first, Id::new(2, 0), &[b"f", b"v"]);
        let limits = |bytes, entries| Limits {
            stream_node_bytes_max: bytes,
            stream_node_entries_max: entries,
            ..Limits::default()
        };
        let used = node.as_bytes().len();
        assert!(node.is_full(2, &limits(used + 2, 0)));
        assert!(!node.is_full(2, &limits(used + 3, 0)));
        assert!(node.is_full(2, &limits(0, 2)));
        assert!(!node.is_full(2, &limits(0, 3)));
        assert!(!node.is_full(2, &limits(0, 0)));
        assert!(node.is_full(Packed::BYTES_MAX, &limits(0, 0)));
    }
}
