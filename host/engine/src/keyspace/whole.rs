//! A database as a whole: how many keys it has, walks over them, emptying and exchanging it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Database, Keyspace, Slot};
use crate::notifications::Happening;
use crate::types::random::Random;

impl Keyspace<'_> {
    /// Keys in the selected database.
    pub fn len(&self) -> usize {
        self.parts().map(|(_, database)| database.len()).sum()
    }

    /// Whether the selected database has no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All live slots of the selected database, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.parts().flat_map(|(_, database)| database.iter()).filter(|slot| self.is_live(slot))
    }

    /// A walk over the selected database: see [`Database::scan`]. The cursor's upper bits are the
    /// shard. Expired keys that it meets go.
    pub fn scan(&mut self, cursor: u64, count: usize, visit: &mut dyn FnMut(&Slot)) -> u64 {
        let mut expired: Vec<Box<[u8]>> = Vec::new();
        let next = self.scan_slots(cursor, count, &mut |slot, is_live| {
            if is_live { visit(slot) } else { expired.push(slot.key().into()) }
        });
        for key in expired {
            self.meet_expired(self.place(&key), &key);
        }
        next
    }

    fn scan_slots(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(&Slot, bool)) -> u64 {
        const POSITION_BITS: u32 = crate::types::segmented::POSITION_BITS;
        let mut index = (cursor >> POSITION_BITS) as usize;
        let mut position = cursor & ((1 << POSITION_BITS) - 1);
        let mut seen = 0;
        while index < self.rules.shards {
            if let Some(database) = self.database_at(index) {
                position = database.scan(position, count - seen, &self.rules.hasher, &mut |slot| {
                    seen += 1;
                    visit(slot, self.is_live(slot));
                });
                if position != 0 {
                    return (index as u64) << POSITION_BITS | position;
                }
            }
            index += 1;
            position = 0;
            if seen >= count && index < self.rules.shards {
                return (index as u64) << POSITION_BITS;
            }
        }
        0
    }

    /// Some live key, each with about the same probability.
    pub fn random_key(&self, random: &mut Random<'_>) -> Option<&[u8]> {
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            let total = self.len();
            if total == 0 {
                return None;
            }
            let mut skip = crate::types::random::below(random, total);
            let (_, database) = self.parts().find(|(_, database)| {
                let here = skip < database.len();
                if !here {
                    skip -= database.len();
                }
                here
            })?;
            let slot = database.random(random)?;
            if self.is_live(slot) {
                return Some(slot.key());
            }
        }
        self.iter().next().map(Slot::key)
    }

    /// The selected database's part of every shard that is held.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &Database)> {
        let database = self.database;
        self.shards.iter().filter_map(move |(i, shard)| Some((i, shard.database(database)?)))
    }

    /// Empties a database; gives its parts, whose end may take long, but for
    /// those that a snapshot still needs. Not undone by a roll-back:
    /// batches may not do it.
    pub fn flush(&mut self, database: u32) -> Vec<Database> {
        if self.followed.is_any() {
            self.journal.note_happening(Happening::Flush);
        }
        let hasher = &self.rules.hasher;
        let mut parts = Vec::new();
        for shard in self.shards.iter_mut() {
            shard.bump_database(database, hasher);
            let (keys, part) = shard.flush_database(database);
            shard.count_changes(keys as u64);
            self.journal.changes += keys as u64;
            parts.extend(part);
            self.journal.note_all_ready(database, &shard.waiters);
        }
        parts
    }

    /// Exchanges two databases. Not undone by a roll-back: batches may not do it.
    pub fn swap(&mut self, first: u32, second: u32) {
        // An expired key must not come to who watches for one: it would seem to expire there.
        let held = self.shards.iter();
        let watched =
            held.flat_map(|(_, shard)| shard.watched_in(first).chain(shard.watched_in(second)));
        let watched: Vec<Box<[u8]>> = watched.map(Box::from).collect();
        for key in &watched {
            let place = self.place(key);
            for database in [first, second] {
                self.in_database(database, |keys| keys.remove_expired(place, key));
            }
        }
        let hasher = &self.rules.hasher;
        for shard in self.shards.iter_mut() {
            // What a watcher sees changes for keys on either side.
            shard.bump_database(first, hasher);
            shard.bump_database(second, hasher);
            let (one, other) = (shard.take_database(first), shard.take_database(second));
            shard.put_database(first, other);
            shard.put_database(second, one);
            shard.swap_indexes(first, second);
            shard.bump_database(first, hasher);
            shard.bump_database(second, hasher);
            self.journal.note_all_ready(first, &shard.waiters);
            self.journal.note_all_ready(second, &shard.waiters);
        }
        self.shards.iter_mut().take(1).for_each(|shard| shard.count_changes(1));
        self.journal.changes += 1;
    }
}
