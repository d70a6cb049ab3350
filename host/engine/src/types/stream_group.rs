//! A consumer group of a stream: how far it has read, its consumers, and the entries that were
//! handed out and not acknowledged yet.
//!
//! What is pending is kept once, ordered by id; each consumer has the ids that are its own.
//! Consumers are numbered, so that a pending entry says whose it is in four bytes.
//!
//! Invariant: an id is in its consumer's set exactly if it is pending for that consumer. The group
//! knows nothing of the entries themselves: a pending one may be gone from the stream.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::stream_id::Id;
use crate::clock::Millis;

/// How far a group has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last entry that was handed out.
    pub last_id: Id,
    /// How many entries were ever added up to that one, if known.
    pub entries_read: Option<u64>,
}

/// The number of a consumer within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerNumber(u32);

/// An entry that was handed out and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// To whom.
    pub consumer: ConsumerNumber,
    /// When, the last time.
    pub delivered_at: Millis,
    /// How often.
    pub deliveries: u64,
}

/// When a consumer did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it last asked.
    pub seen_at: Millis,
    /// When it last got an entry.
    pub active_at: Option<Millis>,
}

/// Somebody who reads for the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it did something.
    pub times: Times,
    pending: BTreeSet<Id>,
}

impl Consumer {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The ids of what is pending for it.
    #[must_use]
    pub fn pending(&self) -> &BTreeSet<Id> {
        &self.pending
    }
}

/// A consumer that was removed, with everything that was its own.
#[derive(Debug)]
pub struct Dismissed {
    number: ConsumerNumber,
    consumer: Consumer,
    pending: Vec<(Id, Pending)>,
}

impl Dismissed {
    /// How many entries were pending for it.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How far it has read.
    pub cursor: Cursor,
    pending: BTreeMap<Id, Pending>,
    numbers: BTreeMap<Box<[u8]>, ConsumerNumber>,
    /// By number. A number that nobody has is in `vacant`.
    consumers: Vec<Option<Consumer>>,
    vacant: Vec<u32>,
    names_bytes: usize,
}

/// What an element of a tree takes besides itself, on average half of it again.
const fn in_tree(bytes: usize) -> usize {
    bytes + bytes / 2
}

const PENDING_BYTES: usize = in_tree(size_of::<(Id, Pending)>()) + in_tree(size_of::<Id>());
const CONSUMER_BYTES: usize = in_tree(size_of::<(Box<[u8]>, ConsumerNumber)>());

impl Group {
    /// A group without consumers.
    #[must_use]
    pub fn new(cursor: Cursor) -> Self {
        Self {
            cursor,
            pending: BTreeMap::new(),
            numbers: BTreeMap::new(),
            consumers: Vec::new(),
            vacant: Vec::new(),
            names_bytes: 0,
        }
    }

    /// Bytes on the heap, about. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.pending.len() * PENDING_BYTES
            + self.numbers.len() * CONSUMER_BYTES
            + 2 * self.names_bytes
            + self.consumers.capacity() * size_of::<Option<Consumer>>()
            + self.vacant.capacity() * size_of::<u32>()
    }

    // ---- consumers -----------------------------------------------------------------------

    /// The consumer with this name.
    #[must_use]
    pub fn number(&self, name: &[u8]) -> Option<ConsumerNumber> {
        self.numbers.get(name).copied()
    }

    /// The consumer with this number.
    #[must_use]
    pub fn consumer(&self, number: ConsumerNumber) -> Option<&Consumer> {
        self.consumers.get(number.0 as usize)?.as_ref()
    }

    /// All consumers in the order of their names.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = Option<&Consumer>> {
        self.numbers.values().map(|number| self.consumer(*number))
    }

    /// Adds a consumer, unless there is one with this name. Whether it is new.
    pub fn add_consumer(&mut self, name: &[u8], now: Millis) -> bool {
        if self.numbers.contains_key(name) {
            return false;
        }
        let number = self.vacant.last().copied().unwrap_or(self.consumers.len() as u32);
        let consumer = Consumer {
            name: name.into(),
            times: Times { seen_at: now, active_at: None },
            pending: BTreeSet::new(),
        };
        self.put_consumer(ConsumerNumber(number), consumer);
        true
    }

    /// Removes a consumer and what is pending for it.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<Dismissed> {
        let number = self.numbers.remove(name)?;
        let consumer = self.consumers.get_mut(number.0 as usize)?.take()?;
        self.names_bytes -= name.len();
        self.vacant.push(number.0);
        let taken = |id: &Id| self.pending.remove(id).map(|pending| (*id, pending));
        let pending = consumer.pending.iter().filter_map(taken).collect();
        Some(Dismissed { number, consumer, pending })
    }

    /// Puts back the consumer that was removed last.
    pub fn restore_consumer(&mut self, dismissed: Dismissed) {
        let Dismissed { number, consumer, pending } = dismissed;
        self.put_consumer(number, consumer);
        self.pending.extend(pending);
    }

    /// Sets when a consumer did something; gives what it was.
    pub fn set_times(&mut self, number: ConsumerNumber, times: Times) -> Option<Times> {
        let consumer = self.consumers.get_mut(number.0 as usize)?.as_mut()?;
        Some(core::mem::replace(&mut consumer.times, times))
    }

    /// Takes a number that is the last vacant one, or a new one.
    fn put_consumer(&mut self, number: ConsumerNumber, consumer: Consumer) {
        let index = number.0 as usize;
        if self.vacant.last() == Some(&number.0) {
            self.vacant.pop();
        }
        if self.consumers.len() <= index {
            self.consumers.resize_with(index + 1, || None);
        }
        self.names_bytes += consumer.name.len();
        self.numbers.insert(consumer.name.clone(), number);
        self.consumers[index] = Some(consumer);
    }

    // ---- what is pending -----------------------------------------------------------------

    /// How many entries are pending.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// What is known of a pending entry.
    #[must_use]
    pub fn pending(&self, id: Id) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// What is pending with ids in this range.
    pub fn pending_between(
        &self,
        from: Id,
        to: Id,
    ) -> impl DoubleEndedIterator<Item = (Id, &Pending)> {
        let range = (from <= to).then(|| self.pending.range(from..=to));
        range.into_iter().flatten().map(|(id, pending)| (*id, pending))
    }

    /// What is pending for one consumer with ids in this range.
    pub fn pending_of(
        &self,
        number: ConsumerNumber,
        from: Id,
        to: Id,
    ) -> impl Iterator<Item = (Id, &Pending)> {
        let consumer = self.consumer(number).filter(|_| from <= to);
        let ids = consumer.into_iter().flat_map(move |consumer| consumer.pending.range(from..=to));
        ids.filter_map(|id| Some((*id, self.pending.get(id)?)))
    }

    /// Makes an entry pending, changes for whom and how, or makes it pending no more. Gives what it
    /// was before.
    pub fn set_pending(&mut self, id: Id, pending: Option<Pending>) -> Option<Pending> {
        let before = match pending {
            Some(pending) => self.pending.insert(id, pending),
            None => self.pending.remove(&id),
        };
        let (old, new) = (before.map(|one| one.consumer), pending.map(|one| one.consumer));
        if old != new {
            if let Some(consumer) = self.owner_mut(old) {
                consumer.pending.remove(&id);
            }
            if let Some(consumer) = self.owner_mut(new) {
                consumer.pending.insert(id);
            }
        }
        before
    }

    fn owner_mut(&mut self, number: Option<ConsumerNumber>) -> Option<&mut Consumer> {
        self.consumers.get_mut(number?.0 as usize)?.as_mut()
    }

    /// Recounts everything; panics on a contradiction.
    pub fn check(&self) {
        let mut owned = 0;
        for (name, number) in &self.numbers {
            let consumer = self.consumer(*number);
            assert_eq!(consumer.map(|one| &one.name), Some(name), "a number is a consumer's");
            for id in consumer.into_iter().flat_map(|consumer| &consumer.pending) {
                let pending = self.pending.get(id);
                assert_eq!(pending.map(|one| one.consumer), Some(*number), "{id:?} is its own");
                owned += 1;
            }
        }
        assert_eq!(owned, self.pending.len(), "everything pending is somebody's");
        let present = self.consumers.iter().flatten().count();
        assert_eq!(present, self.numbers.len(), "number of consumers");
        assert_eq!(present + self.vacant.len(), self.consumers.len(), "vacant numbers");
        let names: usize = self.numbers.keys().map(|name| name.len()).sum();
        assert_eq!(names, self.names_bytes, "bytes of names");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::format;

    use super::super::random::{below, seeded};
    use super::*;

    const CURSOR: Cursor = Cursor { last_id: Id::MIN, entries_read: None };

    /// Whose every pending id is, and the names of all consumers.
    type Model = (BTreeMap<u64, (Vec<u8>, u64)>, BTreeSet<Vec<u8>>);

    fn same(group: &Group, (pending, names): &Model) {
        group.check();
        let name = |number| group.consumer(number).unwrap().name().to_vec();
        let all = group.pending_between(Id::MIN, Id::MAX);
        let all = all.map(|(id, one)| (id.ms, (name(one.consumer), one.deliveries)));
        assert_eq!(&all.collect::<BTreeMap<_, _>>(), pending);
        let consumers = group.consumers().map(|one| one.unwrap().name().to_vec());
        assert_eq!(&consumers.collect::<BTreeSet<_>>(), names);
        for own in names {
            let number = group.number(own).unwrap();
            let mine = group.pending_of(number, Id::new(20, 0), Id::new(40, 0));
            let expected = pending.range(20..=40).filter(|(_, (owner, _))| owner == own);
            assert!(mine.map(|(id, _)| id.ms).eq(expected.map(|(ms, _)| *ms)));
        }
    }

    #[test]
    fn behaves_like_a_map_of_owners() {
        for seed in 0..20 {
            let mut random = seeded(seed);
            let mut group = Group::new(CURSOR);
            let mut model = Model::default();
            for _ in 0..600 {
                let name = format!("c{}", below(&mut random, 6)).into_bytes();
                let ms = below(&mut random, 60) as u64;
                match below(&mut random, 12) {
                    0 => {
                        let removed = group.remove_consumer(&name);
                        assert_eq!(removed.is_some(), model.1.remove(&name));
                        let before = model.0.len();
                        model.0.retain(|_, (owner, _)| *owner != name);
                        let lost = before - model.0.len();
                        assert_eq!(removed.map_or(0, |one| one.pending_count()), lost);
                    }
                    1 | 2 => {
                        let new = group.add_consumer(&name, Millis::new(5));
                        assert_eq!(new, model.1.insert(name));
                    }
                    3..6 => {
                        let before = group.set_pending(Id::new(ms, 0), None);
                        let expected = model.0.remove(&ms);
                        assert_eq!(before.map(|one| one.deliveries), expected.map(|one| one.1));
                    }
                    _ => {
                        let Some(consumer) = group.number(&name) else { continue };
                        let deliveries = random() % 9;
                        let delivered_at = Millis::new(1);
                        let pending = Pending { consumer, delivered_at, deliveries };
                        group.set_pending(Id::new(ms, 0), Some(pending));
                        model.0.insert(ms, (name, deliveries));
                    }
                }
                same(&group, &model);
            }
        }
    }

    #[test]
    fn a_restored_consumer_has_its_number_and_what_was_pending() {
        let mut group = Group::new(CURSOR);
        for name in [b"a", b"b", b"c"] {
            group.add_consumer(name, Millis::new(1));
        }
        let number = group.number(b"b").unwrap();
        let pending = Pending { consumer: number, delivered_at: Millis::new(2), deliveries: 1 };
        for ms in 1..9 {
            group.set_pending(Id::new(ms, 0), Some(pending));
        }
        let before = group.clone();
        let a = group.remove_consumer(b"a").unwrap();
        let b = group.remove_consumer(b"b").unwrap();
        assert_eq!(b.pending_count(), 8);
        assert_eq!(group.pending_count(), 0);
        group.check();
        group.restore_consumer(b);
        group.restore_consumer(a);
        group.check();
        assert_eq!(group, before);
        group.add_consumer(b"d", Millis::new(3));
        group.check();
    }
}
