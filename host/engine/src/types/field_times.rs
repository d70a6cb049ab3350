//! When fields of a hash expire: a table from field to time, and the order in which they are due.
//!
//! Invariant: each timer has one entry in `order`, and the other way round. The order names timers by
//! their field's hash, so a field is stored once.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::hasher::Hasher;
use super::segmented::Segmented;
use super::small_bytes::SmallBytes;
use crate::clock::Millis;

/// The times of those fields that have one.
#[derive(Clone, Default)]
pub(super) struct FieldTimes {
    timers: Segmented<Timer>,
    order: BTreeSet<(Millis, u64)>,
    /// Bytes that timers own outside of the table.
    timer_bytes: usize,
}

#[derive(Clone)]
struct Timer {
    field: SmallBytes,
    at: Millis,
}

impl FieldTimes {
    /// How many fields have a time.
    pub(super) fn len(&self) -> usize {
        self.timers.len()
    }

    /// Bytes on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        const ENTRY_BYTES: usize = size_of::<(Millis, u64)>() * 3 / 2;
        self.timers.heap_bytes() + self.timer_bytes + self.order.len() * ENTRY_BYTES
    }

    /// When a field is due.
    pub(super) fn get(&self, hasher: &Hasher, field: &[u8]) -> Option<Millis> {
        let is_it = |timer: &Timer| timer.field.as_slice() == field;
        self.timers.find(hasher.hash(field), is_it).map(|timer| timer.at)
    }

    /// Sets when a field is due, or that it never is. Gives what was set before.
    pub(super) fn set(
        &mut self,
        hasher: &Hasher,
        field: &[u8],
        at: Option<Millis>,
    ) -> Option<Millis> {
        let hash = hasher.hash(field);
        let is_it = |timer: &Timer| timer.field.as_slice() == field;
        let rehash = |timer: &Timer| hasher.hash(timer.field.as_slice());
        let before = match (self.timers.find_mut(hash, is_it), at) {
            (Some(timer), Some(at)) => Some(core::mem::replace(&mut timer.at, at)),
            (Some(_), None) => self.timers.remove(hash, is_it, rehash).map(|timer| {
                self.timer_bytes -= timer.field.heap_bytes();
                timer.at
            }),
            (None, Some(at)) => {
                let field = SmallBytes::concat(&[field]);
                self.timer_bytes += field.heap_bytes();
                self.timers.insert(hash, Timer { field, at }, rehash);
                None
            }
            (None, None) => None,
        };
        if let Some(before) = before {
            self.order.remove(&(before, hash));
        }
        if let Some(at) = at {
            self.order.insert((at, hash));
        }
        before
    }

    /// When the first field is due.
    pub(super) fn first(&self) -> Option<Millis> {
        self.order.first().map(|(at, _)| *at)
    }

    /// When the last field is due.
    pub(super) fn last(&self) -> Option<Millis> {
        self.order.last().map(|(at, _)| *at)
    }

    /// Takes out a field that is due at `now`.
    pub(super) fn take_due(&mut self, hasher: &Hasher, now: Millis) -> Option<Vec<u8>> {
        let (at, hash) = self.order.first().copied().filter(|(at, _)| *at <= now)?;
        self.order.pop_first();
        let rehash = |timer: &Timer| hasher.hash(timer.field.as_slice());
        let is_it = |timer: &Timer| timer.at == at && rehash(timer) == hash;
        let timer = self.timers.remove(hash, is_it, rehash);
        debug_assert!(timer.is_some(), "each entry of the order has its timer");
        let timer = timer?;
        self.timer_bytes -= timer.field.heap_bytes();
        Some(timer.field.as_slice().to_vec())
    }

    /// All fields with their times, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Millis)> {
        self.timers.iter().map(|timer| (timer.field.as_slice(), timer.at))
    }

    /// Recounts everything; panics on a contradiction.
    pub(super) fn check(&self, hasher: &Hasher) {
        self.timers.check(|timer| hasher.hash(timer.field.as_slice()));
        assert_eq!(self.timers.len(), self.order.len(), "timers in order");
        for (field, at) in self.iter() {
            assert!(self.order.contains(&(at, hasher.hash(field))), "a timer is in the order");
        }
        let bytes = self.timers.iter().map(|timer| timer.field.heap_bytes()).sum::<usize>();
        assert_eq!(self.timer_bytes, bytes, "bytes of timers");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::format;

    use super::super::hash::Hash;
    use super::super::limits::Limits;
    use super::super::random::seeded;
    use super::*;

    #[test]
    fn times_of_fields_behave_like_a_map() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        for (seed, range) in [(1, 8), (2, 100), (3, 2000)] {
            let mut random = seeded(seed);
            let (mut hash, mut model) = (Hash::new(), BTreeMap::<Vec<u8>, Option<u64>>::new());
            let mut now = 0;
            for _ in 0..20_000 {
                let field = format!("field {}", random() % range).into_bytes();
                match random() % 6 {
                    0 | 1 => {
                        hash.set(&hasher, &field, b"v", &limits);
                        model.entry(field).or_default();
                    }
                    2 => {
                        let removed = hash.remove(&hasher, &field);
                        let expected = model.remove(&field);
                        assert_eq!(removed.is_some(), expected.is_some());
                        if let Some(removed) = removed.filter(|_| random().is_multiple_of(2)) {
                            hash.restore(&hasher, &field, &removed, &limits);
                            model.insert(field, expected.unwrap());
                        }
                    }
                    3 | 4 if model.contains_key(&field) => {
                        let at = (!random().is_multiple_of(4)).then(|| now + 1 + random() % 1000);
                        let before = hash.set_expiry(&hasher, &field, at.map(Millis::new));
                        assert_eq!(before.map(Millis::get), model.insert(field, at).unwrap());
                    }
                    _ => {
                        now += random() % 20;
                        let is_due = |at: &Option<u64>| at.is_some_and(|at| at <= now);
                        let all = !model.is_empty() && model.values().all(is_due);
                        assert_eq!(hash.is_all_due(Millis::new(now)), all);
                        hash.remove_due(&hasher, Millis::new(now), 3);
                        hash.remove_due(&hasher, Millis::new(now), usize::MAX);
                        model.retain(|_, at| !is_due(at));
                    }
                }
                assert_eq!(hash.len(), model.len());
            }
            hash.check(&hasher);
            assert_eq!(
                hash.next_expiry().map(Millis::get),
                model.values().flatten().min().copied()
            );
            for (field, at) in &model {
                assert_eq!(hash.expiry(&hasher, field).map(Millis::get), *at);
            }
        }
    }
}
