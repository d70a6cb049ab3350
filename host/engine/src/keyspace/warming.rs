//! Fetching into the processor's caches what the next commands will look for.
//!
//! Most of a look-up in a large table is waiting for memory: for the table, the slot, the key. One
//! command after the other waits for each in turn; here many keys are looked up in lockstep, step
//! by step, with nothing in between that depends on what came, so that the processor waits for all
//! of them at the same time. No result depends on what is read here, and nothing is counted.

use core::hint::black_box;

use super::{Shard, Slot};
use crate::types::hasher::Hasher;

/// Keys fetched at once, at most: what they take must stay in the innermost cache.
const KEYS_MAX: usize = Wanted::KEYS_MAX;
/// Longer keys are not worth hashing twice.
const KEY_BYTES_MAX: usize = 128;
/// Tables and slots of fewer bytes are in the caches anyway.
const DATABASE_BYTES_MIN: usize = 512 * 1024;

/// Keys that commands to come are likely to look for.
#[derive(Debug, Default)]
pub struct Wanted {
    hashes: [u64; KEYS_MAX],
    len: usize,
}

impl Wanted {
    /// How many keys are fetched at once, at most.
    pub const KEYS_MAX: usize = 16;

    /// Adds a key, unless there are many or it is long.
    #[inline]
    pub fn add(&mut self, key: &[u8], hasher: &Hasher) {
        if key.len() <= KEY_BYTES_MAX
            && let Some(hash) = self.hashes.get_mut(self.len)
        {
            *hash = hasher.hash(key);
            self.len += 1;
        }
    }

    fn hashes(&self) -> &[u64] {
        self.hashes.get(..self.len).unwrap_or_default()
    }
}

impl Shard {
    /// Reads a little of everything that looking for these keys reads.
    pub fn warm(&self, database: u32, wanted: &Wanted) {
        let Some(database) = self.database(database) else { return };
        if database.heap_bytes() < DATABASE_BYTES_MIN {
            return;
        }
        // Three steps, each for all keys: the table, the slots, what they point to.
        let mut slots = [None; KEYS_MAX];
        for (slot, hash) in slots.iter_mut().zip(wanted.hashes()) {
            *slot = database.candidate(*hash);
        }
        let found = slots.iter().flatten();
        black_box(found.clone().filter(|slot| matches!(slot, Slot::Packed(_))).count());
        black_box(found.fold(0, |sum, slot| sum ^ touch(slot)));
    }
}

/// Something of the key and of the end of a string.
#[inline]
fn touch(slot: &Slot) -> u8 {
    let key = slot.key().first().copied().unwrap_or_default();
    let text = slot.as_text().and_then(<[u8]>::last).copied().unwrap_or_default();
    key ^ text
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Value};
    use super::*;
    use crate::types::hash::Hash;

    fn shard(keys: u32, hasher: &Hasher) -> Shard {
        let mut shard = Shard::new();
        let database = shard.database_or_new(3);
        for index in 0..keys {
            let key = index.to_le_bytes();
            let slot = match index % 3 {
                0 => Slot::text(&key, b"", None, Access::default()),
                1 => Slot::text(&key, &[b'v'; 100], None, Access::default()),
                _ => Slot::new(&key, Value::Hash(Hash::new()), None, Access::default()),
            };
            database.insert(hasher.hash(&key), slot, hasher);
        }
        shard
    }

    #[test]
    fn the_candidate_of_a_key_is_nearly_always_its_slot() {
        let hasher = Hasher::new(5);
        let shard = shard(20_000, &hasher);
        let database = shard.database(3).unwrap();
        let is_own = |key: &[u8]| {
            let slot = database.candidate(hasher.hash(key));
            slot.is_some_and(|slot| slot.key() == key)
        };
        let own = (0..20_000_u32).filter(|index| is_own(&index.to_le_bytes())).count();
        assert!(own > 18_000, "{own} of 20000");
    }

    #[test]
    fn keys_of_all_kinds_and_numbers_can_be_wanted() {
        let hasher = Hasher::new(5);
        let shard = shard(20_000, &hasher);
        let mut wanted = Wanted::default();
        assert!(wanted.hashes().is_empty());
        for index in 0..40_u32 {
            shard.warm(3, &wanted);
            wanted.add(&index.to_le_bytes(), &hasher);
            wanted.add(&[b'k'; KEY_BYTES_MAX + 1], &hasher);
        }
        assert_eq!(wanted.hashes().len(), KEYS_MAX);
        assert_eq!(wanted.hashes()[15], hasher.hash(&15_u32.to_le_bytes()));
        shard.warm(3, &wanted);
        shard.warm(0, &wanted);
        assert_eq!((shard.counters.hits, shard.counters.misses), (0, 0));
    }
}
