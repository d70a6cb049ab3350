//! One numbered database inside one shard: the table of slots and the order in which they expire.
//!
//! Invariants: a slot has an entry in `expires` exactly if it has an expiry, and one in
//! `field_expires` exactly if a field of its hash has one; `bytes` is the sum of the slots' heap bytes;
//! no slot changes, moves or goes before a snapshot has it, if one is owed it (`snapshot.rs`): every
//! method that changes a slot sees to that; and so it does that search indexes know what a slot holds.
//! The database does not report changes otherwise: the keyspace does.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::access::Access;
use super::slot::Slot;
use super::snapshot::Epoch;
use crate::clock::Millis;
use crate::search::Indexes;
use crate::types::hasher::Hasher;
use crate::types::random::{Random, below};
use crate::types::segmented::Segmented;

/// A database's part in one shard.
#[derive(Default)]
pub struct Database {
    table: Segmented<Slot>,
    /// When which hash is due. Hashes rather than keys: no copies, and a collision costs one look.
    expires: BTreeSet<(Millis, u64)>,
    /// When which hash loses a field for the first time.
    field_expires: BTreeSet<(Millis, u64)>,
    bytes: usize,
    pub(super) epoch: Epoch,
    /// What documents are found by, from the first index on.
    indexes: Option<Box<Indexes>>,
}

/// What happened to a slot whose fields were due.
#[derive(Debug)]
pub struct DueFields {
    /// The slot's key.
    pub key: Box<[u8]>,
    /// Its hash.
    pub hash: u64,
    /// The fields that went.
    pub fields: Vec<Vec<u8>>,
    /// Whether the slot went with its last field.
    pub emptied: bool,
}

/// When a slot and the first of its fields expire.
type Times = [Option<Millis>; 2];

#[inline]
fn times(slot: &Slot) -> Times {
    [slot.expires_at(), slot.next_field_expiry()]
}

impl core::fmt::Debug for Database {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Database").field("keys", &self.len()).finish_non_exhaustive()
    }
}

impl Database {
    /// Keys, the expired ones that nobody has met yet included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys that will expire.
    pub fn expiring(&self) -> usize {
        self.expires.len()
    }

    /// Hashes with a field that will expire.
    pub fn with_expiring_fields(&self) -> usize {
        self.field_expires.len()
    }

    /// Whether there is a hash with a field that will expire.
    pub fn has_expiring_fields(&self) -> bool {
        !self.field_expires.is_empty()
    }

    /// When the next key or field expires.
    pub fn next_expiry(&self) -> Option<Millis> {
        let firsts = [self.expires.first(), self.field_expires.first()];
        firsts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// Whether a key or a field is due at `now`.
    #[inline]
    pub fn has_due(&self, now: Millis) -> bool {
        let is_due = |first: Option<&(Millis, u64)>| first.is_some_and(|(at, _)| *at <= now);
        is_due(self.expires.first()) || is_due(self.field_expires.first())
    }

    /// When keys expire on average, in milliseconds from `now`; 0 without any.
    pub fn average_ttl_ms(&self, now: Millis) -> u64 {
        let sample = self.expires.iter().take(1000);
        let (count, sum) =
            sample.fold((0u64, 0u64), |(count, sum), (at, _)| (count + 1, sum + at.since(now)));
        sum.checked_div(count).unwrap_or(0)
    }

    /// Bytes on the heap: slots and tables.
    pub fn heap_bytes(&self) -> usize {
        let indexes = self.indexes.as_ref().map_or(0, |indexes| indexes.heap_bytes());
        self.bytes + self.table_bytes() + self.expiry_bytes() + indexes
    }

    /// What documents are found by, if there is an index.
    #[inline]
    pub fn indexes(&self) -> Option<&Indexes> {
        self.indexes.as_deref()
    }

    /// The same for changing; made if need be.
    pub fn indexes_or_new(&mut self) -> &mut Indexes {
        self.indexes.get_or_insert_default()
    }

    /// The same, taken out.
    pub(super) fn take_indexes(&mut self) -> Option<Box<Indexes>> {
        self.indexes.take()
    }

    /// The same, put in.
    pub(super) fn put_indexes(&mut self, indexes: Option<Box<Indexes>>) {
        self.indexes = indexes;
    }

    /// Does something that brings back what was there before.
    pub(super) fn while_loading<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        self.set_loading(true);
        let result = act(self);
        self.set_loading(false);
        result
    }

    fn set_loading(&mut self, is_loading: bool) {
        if let Some(indexes) = &mut self.indexes {
            indexes.is_loading = is_loading;
        }
    }

    /// Lets indexes see something else at a key than there is.
    pub(super) fn reindex(&mut self, hash: u64, slot: &Slot, hasher: &Hasher) {
        if let Some(indexes) = &mut self.indexes {
            indexes.update(hash, slot.key(), slot.as_value(), hasher);
        }
    }

    /// Lets indexes that have not seen all keys see about so many more.
    pub fn index_more(&mut self, mut budget: usize, hasher: &Hasher) {
        let Self { table, indexes: Some(indexes), .. } = self else { return };
        while budget > 0 {
            let cursors = indexes.parts().iter().filter_map(|part| part.scan);
            let Some(at) = cursors.min() else { return };
            let mut seen = 0;
            let next = table.scan(at, budget, |slot| hasher.hash(slot.key()), &mut |slot| {
                seen += 1;
                indexes.meet_at(at, hasher.hash(slot.key()), slot.key(), slot.as_value(), hasher);
            });
            indexes.go_on(at, next);
            budget = budget.saturating_sub(seen.max(1));
        }
    }

    /// Bytes of the table, without what its slots own.
    pub fn table_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    /// Bytes of the order in which keys expire, about.
    pub fn expiry_bytes(&self) -> usize {
        const ENTRY_BYTES: usize = size_of::<(Millis, u64)>() * 3 / 2;
        (self.expires.len() + self.field_expires.len()) * ENTRY_BYTES
    }

    /// The slot of `key`, expired or not.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Slot> {
        self.table.find(hash, |slot| slot.key() == key)
    }

    /// A slot that is most likely that of the key with this hash, if the key is there.
    #[inline]
    pub(super) fn candidate(&self, hash: u64) -> Option<&Slot> {
        self.table.candidate(hash)
    }

    /// The slot of `key`, its access clock set to what `used` makes of it.
    #[inline]
    pub fn touch(
        &mut self,
        hash: u64,
        key: &[u8],
        used: impl FnOnce(Access) -> Access,
    ) -> Option<&Slot> {
        let slot = self.table.find_mut(hash, |slot| slot.key() == key)?;
        slot.set_access(used(slot.access()));
        Some(slot)
    }

    /// Overwrites the packed string of `key` where it stands, if it has as many bytes as the new one
    /// and expires at `expires_at`. Whether it did.
    #[inline]
    pub fn overwrite(
        &mut self,
        hash: u64,
        key: &[u8],
        (text, expires_at, access): (&[u8], Option<Millis>, Access),
        hasher: &Hasher,
    ) -> bool {
        let found = self.table.find_mut(hash, |slot| slot.key() == key);
        let Some(slot) = found.filter(|slot| slot.expires_at() == expires_at) else { return false };
        self.epoch.keep(slot, hasher);
        let done = slot.overwrite_text(text);
        if done {
            slot.set_access(access);
        }
        done
    }

    /// Changes a slot in place and keeps the books: size, and expiry if it changed.
    pub fn change<R>(
        &mut self,
        hash: u64,
        key: &[u8],
        hasher: &Hasher,
        change: impl FnOnce(&mut Slot) -> R,
    ) -> Option<R> {
        let slot = self.table.find_mut(hash, |slot| slot.key() == key)?;
        self.epoch.keep(slot, hasher);
        let (bytes, before) = (slot.heap_bytes(), times(slot));
        let result = change(slot);
        // It may have become another allocation.
        self.epoch.mark(slot);
        let (bytes_after, after) = (slot.heap_bytes(), times(slot));
        self.bytes = self.bytes + bytes_after - bytes;
        if let Some(indexes) = &mut self.indexes {
            indexes.update(hash, slot.key(), slot.as_value(), hasher);
        }
        self.reschedule(hash, before, after);
        Some(result)
    }

    /// Puts a slot whose key is not there.
    pub fn insert(&mut self, hash: u64, mut slot: Slot, hasher: &Hasher) {
        debug_assert!(self.find(hash, slot.key()).is_none(), "a key has one slot");
        self.epoch.mark(&mut slot);
        self.bytes += slot.heap_bytes();
        if let Some(indexes) = &mut self.indexes {
            indexes.update(hash, slot.key(), slot.as_value(), hasher);
        }
        self.reschedule(hash, [None; 2], times(&slot));
        self.table.insert(hash, slot, |slot| hasher.hash(slot.key()));
    }

    /// Puts a slot in place of the one with the same key, which is returned.
    pub fn replace(&mut self, hash: u64, mut slot: Slot, hasher: &Hasher) -> Option<Slot> {
        let Some(place) = self.table.find_mut(hash, |old| old.key() == slot.key()) else {
            self.insert(hash, slot, hasher);
            return None;
        };
        self.epoch.keep(place, hasher);
        self.epoch.mark(&mut slot);
        let (bytes_after, after) = (slot.heap_bytes(), times(&slot));
        if let Some(indexes) = &mut self.indexes {
            indexes.update(hash, slot.key(), slot.as_value(), hasher);
        }
        let old = core::mem::replace(place, slot);
        self.bytes = self.bytes + bytes_after - old.heap_bytes();
        self.reschedule(hash, times(&old), after);
        Some(old)
    }

    /// Takes a slot out.
    pub fn remove(&mut self, hash: u64, key: &[u8], hasher: &Hasher) -> Option<Slot> {
        let mut slot =
            self.table.remove(hash, |slot| slot.key() == key, |slot| hasher.hash(slot.key()))?;
        self.epoch.keep(&mut slot, hasher);
        self.bytes -= slot.heap_bytes();
        self.gone(hash, &slot, hasher);
        self.reschedule(hash, times(&slot), [None; 2]);
        Some(slot)
    }

    /// Takes out one slot that is due at `now`.
    pub fn remove_due(&mut self, now: Millis, hasher: &Hasher) -> Option<(u64, Slot)> {
        let (at, hash) = *self.expires.first()?;
        if at > now {
            return None;
        }
        // The table compares only a few bits of the hash, and many keys may be due at one instant.
        let due = |slot: &Slot| slot.expires_at() == Some(at) && hasher.hash(slot.key()) == hash;
        let slot = self.table.remove(hash, due, |slot| hasher.hash(slot.key()));
        debug_assert!(slot.is_some(), "each entry in `expires` has its slot");
        self.expires.remove(&(at, hash));
        let mut slot = slot?;
        self.epoch.keep(&mut slot, hasher);
        self.bytes -= slot.heap_bytes();
        self.gone(hash, &slot, hasher);
        self.reschedule(hash, [None, slot.next_field_expiry()], [None; 2]);
        Some((hash, slot))
    }

    /// Removes up to `budget` due fields of one hash that has some, and the hash with its last one.
    pub fn remove_due_fields(
        &mut self,
        now: Millis,
        hasher: &Hasher,
        budget: usize,
    ) -> Option<DueFields> {
        let (at, hash) = self.field_expires.first().copied().filter(|(at, _)| *at <= now)?;
        let due =
            |slot: &Slot| slot.next_field_expiry() == Some(at) && hasher.hash(slot.key()) == hash;
        let key: Box<[u8]> = self.table.find(hash, due)?.key().into();
        let remove = |slot: &mut Slot| slot.remove_due_fields(hasher, now, budget);
        let (fields, emptied) = self.change(hash, &key, hasher, remove)?;
        if emptied {
            self.remove(hash, &key, hasher);
        }
        Some(DueFields { key, hash, fields, emptied })
    }

    /// Shows up to `count` slots that expire, in order, from `from` on.
    pub(super) fn next_to_expire(
        &self,
        from: Millis,
        count: usize,
        hasher: &Hasher,
        show: &mut dyn FnMut(&Slot),
    ) {
        for (at, hash) in self.expires.range((from, 0)..).take(count) {
            let due =
                |slot: &Slot| slot.expires_at() == Some(*at) && hasher.hash(slot.key()) == *hash;
            self.table.find(*hash, due).into_iter().for_each(&mut *show);
        }
    }

    /// Shows up to `count` slots that are due, or have fields that are.
    pub(super) fn each_due(
        &self,
        now: Millis,
        count: usize,
        hasher: &Hasher,
        show: &mut dyn FnMut(&Slot),
    ) {
        let due = |index: &BTreeSet<(Millis, u64)>| {
            index.range(..=(now, u64::MAX)).take(count).copied().collect::<Vec<_>>()
        };
        for (at, hash) in due(&self.expires) {
            let is_it =
                |slot: &Slot| slot.expires_at() == Some(at) && hasher.hash(slot.key()) == hash;
            self.table.find(hash, is_it).into_iter().for_each(&mut *show);
        }
        for (at, hash) in due(&self.field_expires) {
            let is_it = |slot: &Slot| {
                slot.next_field_expiry() == Some(at) && hasher.hash(slot.key()) == hash
            };
            self.table.find(hash, is_it).into_iter().for_each(&mut *show);
        }
    }

    /// Some instant between the first and the last expiry.
    pub(super) fn instant_within(&self, random: &mut Random<'_>) -> Millis {
        let (Some((first, _)), Some((last, _))) = (self.expires.first(), self.expires.last())
        else {
            return Millis::default();
        };
        let span = usize::try_from(last.since(*first)).unwrap_or(usize::MAX - 1);
        Millis::new(first.get() + below(random, span + 1) as u64)
    }

    /// All slots, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.table.iter()
    }

    /// A walk over the slots that survives changes; see [`Segmented::scan`].
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        hasher: &Hasher,
        visit: &mut dyn FnMut(&Slot),
    ) -> u64 {
        self.table.scan(cursor, count, |slot| hasher.hash(slot.key()), visit)
    }

    /// Some slot, each with the same probability.
    pub fn random(&self, random: &mut Random<'_>) -> Option<&Slot> {
        self.table.random(random)
    }

    /// The slots of the segment that owns this position of the table, and where the next begins.
    pub(super) fn segment_mut(
        &mut self,
        position: u64,
    ) -> Option<(impl Iterator<Item = &mut Slot>, &mut Epoch, u64)> {
        let (slots, end) = self.table.segment_mut(position)?;
        Some((slots, &mut self.epoch, end))
    }

    /// Recounts what the database claims about itself; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        self.epoch.check(self.table.iter(), hasher);
        if let Some(indexes) = &self.indexes {
            indexes.check(self.table.iter().map(|slot| (slot.key(), slot.as_value())), hasher);
        }
        self.table.check(|slot| hasher.hash(slot.key()));
        let bytes: usize = self.iter().map(Slot::heap_bytes).sum();
        assert_eq!(bytes, self.bytes, "bytes of the slots");
        let expiring = self.iter().filter(|slot| slot.expires_at().is_some()).count();
        assert_eq!(expiring, self.expires.len(), "slots with an expiry");
        let of_fields = self.iter().filter(|slot| slot.next_field_expiry().is_some()).count();
        assert_eq!(of_fields, self.field_expires.len(), "slots with a field that expires");
        for slot in self.iter() {
            if let Some(value) = slot.as_value() {
                value.check(hasher);
            }
            if let Some(at) = slot.expires_at() {
                assert!(self.expires.contains(&(at, hasher.hash(slot.key()))), "expiry is indexed");
            }
            if let Some(at) = slot.next_field_expiry() {
                let entry = (at, hasher.hash(slot.key()));
                assert!(self.field_expires.contains(&entry), "the first field's expiry is indexed");
            }
        }
    }

    /// Tells indexes that a slot is gone.
    #[inline]
    fn gone(&mut self, hash: u64, slot: &Slot, hasher: &Hasher) {
        if let Some(indexes) = &mut self.indexes {
            indexes.remove(hash, slot.key(), hasher);
        }
    }

    #[inline]
    fn reschedule(&mut self, hash: u64, before: Times, after: Times) {
        if before != after {
            self.move_times(hash, before, after);
        }
    }

    fn move_times(&mut self, hash: u64, before: Times, after: Times) {
        let indexes = [&mut self.expires, &mut self.field_expires];
        for (index, (before, after)) in indexes.into_iter().zip(before.into_iter().zip(after)) {
            if before == after {
                continue;
            }
            if let Some(at) = before {
                index.remove(&(at, hash));
            }
            if let Some(at) = after {
                index.insert((at, hash));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::*;

    /// The table tells slots apart by a few bits of their hash and by what it is asked. Asked for
    /// the expiry alone, it would give one slot for another, and a key would outlive its time.
    #[test]
    fn of_many_keys_due_at_once_each_is_removed_by_its_own_hash() {
        let hasher = Hasher::new(3);
        let mut database = Database::default();
        let (at, later) = (Millis::new(1000), Millis::new(2000));
        for index in 0..5000_u32 {
            let key = index.to_le_bytes();
            let expires_at = [Some(at), Some(later), None][index as usize % 3];
            let slot = Slot::text(&key, b"v", expires_at, Access::default());
            database.insert(hasher.hash(&key), slot, &hasher);
        }
        assert!(database.remove_due(Millis::new(999), &hasher).is_none());
        let mut removed = 0;
        while let Some((hash, slot)) = database.remove_due(at, &hasher) {
            assert_eq!(hasher.hash(slot.key()), hash);
            assert_eq!(slot.expires_at(), Some(at));
            removed += 1;
            if removed % 100 == 0 {
                database.check(&hasher);
            }
        }
        assert_eq!((removed, database.len(), database.expiring()), (1667, 3333, 1667));
        assert_eq!(database.next_expiry(), Some(later));
        database.check(&hasher);
    }
}
