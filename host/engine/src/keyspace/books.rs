//! The keyspace's books: where a change is recorded, an expiry noticed, a journal undone.
//!
//! Whatever follows from a change (versions of watched and guarded keys, waiters that may go on,
//! the change count) derives from [`Keyspace::changed`] and nothing else. It does not decide what
//! happens then: `step.rs` does.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::slot::Slot;
use super::{Counters, Database, Event, Inverse, Keyspace, Place, Shard, edit};
use crate::clock::Millis;

/// Why a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// A client named it.
    Deleted,
    /// A client named it and does not want to wait.
    Unlinked,
    /// Another takes its place, or its last element went.
    Overwritten,
    /// It is due.
    Expired,
    /// It gives way.
    Evicted,
}

/// From how many parts on a value is too large to be freed in passing.
const LARGE_PARTS: usize = 65;

impl Keyspace<'_> {
    /// Keeps a value that left its key: for a roll-back, or until the shards are free again if
    /// ending it takes long.
    pub(super) fn let_go(&mut self, slot: Slot, farewell: Farewell) {
        // What expired never comes back.
        if self.journal.is_undoable() && farewell != Farewell::Expired {
            let database = self.database;
            return self.journal.undo_by(|| Inverse::Restore { database, slot });
        }
        if slot.parts() < LARGE_PARTS {
            return;
        }
        let lazy = self.rules.settings.lazy;
        let elsewhere = match farewell {
            Farewell::Deleted => lazy.user_del,
            Farewell::Unlinked => true,
            Farewell::Overwritten => lazy.server_del,
            Farewell::Expired => lazy.expire,
            Farewell::Evicted => lazy.eviction,
        };
        self.journal.waste.push(slot, elsewhere);
    }

    /// Removes a key that a read met, if it has expired, unless it is to stay for now.
    pub(super) fn meet_expired(&mut self, place: Place, key: &[u8]) {
        if !self.keep_expired {
            self.remove_expired(place, key);
        }
    }

    /// The one place where a change is recorded.
    #[inline]
    pub(super) fn changed(&mut self, place: Place, key: &[u8], event: Event, changes: u64) {
        let database = self.database;
        self.journal.changes += changes;
        let Some(shard) = self.shards.get_mut(place.shard) else { return };
        if self.journal.is_undoable()
            && let Some(version) = shard.watched_version(database, key)
        {
            self.journal.undo_by(|| Inverse::Watched { database, key: key.into(), version });
        }
        self.tell(place, key, event);
    }

    /// Tells whoever follows a key that it changed.
    #[inline]
    pub(super) fn tell(&mut self, place: Place, key: &[u8], _event: Event) {
        let database = self.database;
        let Some(shard) = self.shards.get_mut(place.shard) else { return };
        shard.bump(database, place.hash, key);
        if !shard.waiters.is_empty() && shard.waiters.wait_for(database, key) {
            self.journal.note_ready(database, key);
        }
    }

    /// Removes the key if it has expired. Whether it had.
    pub(super) fn remove_expired(&mut self, place: Place, key: &[u8]) -> bool {
        let (rules, now, number) = (self.rules, self.now, self.database);
        let Some(shard) = self.shards.get_mut(place.shard) else { return false };
        let Some(database) = shard.database_mut(number) else { return false };
        let expired = database
            .find(place.hash, key)
            .is_some_and(|slot| slot.expires_at().is_some_and(|at| at <= now));
        if expired {
            let slot = database.remove(place.hash, key, &rules.hasher);
            shard.counters.expired += 1;
            slot.into_iter().for_each(|slot| self.let_go(slot, Farewell::Expired));
            self.tell(place, key, "expired");
        }
        expired
    }

    /// Removes keys that are due from the shards that are held, at most `budget` of them. Whether
    /// more are due.
    pub fn expire_due(&mut self, budget: usize) -> bool {
        let held: Vec<usize> = self.shards.iter().map(|(index, _)| index).collect();
        let mut left = budget;
        held.into_iter().any(|shard| self.expire_due_in(shard, &mut left))
    }

    fn expire_due_in(&mut self, index: usize, left: &mut usize) -> bool {
        let (rules, now, selected) = (self.rules, self.now, self.database);
        let Some(shard) = self.shards.get_mut(index) else { return false };
        let numbers: Vec<u32> = shard.databases().map(|(number, _)| number).collect();
        let mut more = false;
        for number in numbers {
            self.database = number;
            while let Some(database) = self.database_at_mut(index)
                && database.next_expiry().is_some_and(|at| at <= now)
            {
                if *left == 0 {
                    more = true;
                    break;
                }
                *left -= 1;
                let Some((hash, slot)) = database.remove_due(now, &rules.hasher) else { break };
                if let Some(shard) = self.shards.get_mut(index) {
                    shard.counters.expired += 1;
                }
                self.tell(Place { shard: index, hash }, slot.key(), "expired");
                self.let_go(slot, Farewell::Expired);
            }
        }
        self.database = selected;
        more
    }

    /// Sets the counters of the held shards to zero (`CONFIG RESETSTAT`).
    pub fn reset_counters(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.counters = Counters::default());
    }

    /// Takes back everything that the journal recorded.
    pub fn roll_back(&mut self) {
        let selected = self.database;
        for inverse in self.journal.take_undo().into_iter().rev() {
            self.undo(inverse);
        }
        self.database = selected;
        self.journal.forget();
    }

    fn undo(&mut self, inverse: Inverse) {
        let rules = self.rules;
        match inverse {
            Inverse::Remove { database, key } => {
                self.on_undo(database, &key, |part, hash| {
                    part.remove(hash, &key, &rules.hasher);
                });
            }
            Inverse::Restore { database, slot } => {
                let key: Box<[u8]> = slot.key().into();
                self.on_undo(database, &key, |part, hash| {
                    part.replace(hash, slot, &rules.hasher);
                });
            }
            Inverse::Rename { database, key, to_database, to } => {
                let mut moved = None;
                self.on_undo(to_database, &to, |part, hash| {
                    moved = part.remove(hash, &to, &rules.hasher);
                });
                let Some(slot) = moved else { return };
                self.on_undo(database, &key, |part, hash| {
                    part.replace(hash, slot.with_key(&key), &rules.hasher);
                });
            }
            Inverse::Expiry { database, key, expires_at } => {
                self.on_undo(database, &key, |part, hash| {
                    part.change(hash, &key, |slot| slot.set_expires_at(expires_at));
                });
            }
            Inverse::Edit { database, key, steps } => {
                self.on_undo(database, &key, |part, hash| {
                    part.change(hash, &key, |slot| {
                        let Some(value) = slot.as_value_mut() else { return };
                        steps.into_iter().rev().for_each(|step| edit::undo(value, step, rules));
                    });
                });
            }
            Inverse::Text { database, key, len, offset, bytes } => {
                self.on_undo(database, &key, |part, hash| {
                    part.change(hash, &key, |slot| {
                        let Some(text) = slot.text_buffer() else { return };
                        text.truncate(len);
                        text[offset.min(len)..][..bytes.len()].copy_from_slice(&bytes);
                    });
                });
            }
            Inverse::Watched { database, key, version } => {
                let place = self.place(&key);
                if let Some(shard) = self.shards.get_mut(place.shard) {
                    shard.restore_watched(database, &key, version);
                }
            }
        }
    }

    fn on_undo(&mut self, database: u32, key: &[u8], undo: impl FnOnce(&mut Database, u64)) {
        let place = self.place(key);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            undo(shard.database_or_new(database), place.hash);
        }
    }
}

/// When the next key of a shard expires.
pub fn next_expiry(shard: &Shard) -> Option<Millis> {
    shard.databases().filter_map(|(_, database)| database.next_expiry()).min()
}
