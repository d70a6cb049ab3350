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
