//! The keyspace's books: where a change is recorded, an expiry noticed, a journal undone.
//!
//! Whatever follows from a change (versions of watched and guarded keys, waiters that may go on,
//! the change count) derives from [`Keyspace::changed`] and nothing else. It does not decide what
//! happens then: `step.rs` does.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{
    Beginning, Counters, Database, Event, Inverse, Keyspace, NOT_NOTIFIED, Place, Shard, Slot, edit,
};
use crate::clock::Millis;
use crate::notifications::{EXPIRED, Happening, KEY_MISS, NEW, class_of, is_change};

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
pub(super) const LARGE_PARTS: usize = 65;

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
        shard.count_changes(changes);
        if self.journal.is_undoable()
            && let Some(version) = shard.watched_version(database, key)
        {
            self.journal.undo_by(|| Inverse::Watched { database, key: key.into(), version });
        }
        self.tell(place, key, event);
    }

    /// Tells whoever follows a key that it changed.
    #[inline]
    pub(super) fn tell(&mut self, place: Place, key: &[u8], event: Event) {
        let database = self.database;
        if self.followed.may_have(event) {
            self.follow(event, key);
        }
        let Some(shard) = self.shards.get_mut(place.shard) else { return };
        shard.bump(database, place.hash, key);
        if !shard.waiters.is_empty() && wakes(event) && shard.waiters.wait_for(database, key) {
            self.journal.note_ready(database, key);
        }
    }

    /// Remembers what happened to a key, if somebody wants to hear of it.
    #[cold]
    pub(super) fn follow(&mut self, event: Event, key: &[u8]) {
        let notify = self.rules.settings.notify;
        let is_wanted = notify.tell_anything() && notify.contains(class_of(event))
            || self.rules.triggers().want(event, key);
        if is_wanted || self.rules.audience().is_tracking() && is_change(event) {
            let happening = Happening::Event(event, self.database, key.into());
            self.journal.note_happening(happening);
        }
    }

    /// Tells that a read found no key.
    #[inline]
    pub(super) fn missed(&mut self, key: &[u8]) {
        if self.followed.may_have(KEY_MISS) {
            self.follow(KEY_MISS, key);
        }
    }

    /// Tells that a key comes into being.
    #[inline]
    pub(super) fn made(&mut self, key: &[u8]) {
        if self.followed.may_have(NEW) {
            self.follow(NEW, key);
        }
    }

    /// Removes the key if it has expired, and fields of its hash that have. Whether the key went.
    #[inline]
    pub(super) fn remove_expired(&mut self, place: Place, key: &[u8]) -> bool {
        // Nearly always nothing is due at all, and the key need not be looked up.
        let horizon = self.horizon;
        let may_be = self.database_at(place.shard).is_some_and(|all| all.has_due(horizon));
        may_be && self.look_for_expired(place, key)
    }

    #[cold]
    fn look_for_expired(&mut self, place: Place, key: &[u8]) -> bool {
        let (rules, now, number) = (self.rules, self.horizon, self.database);
        let Some(shard) = self.shards.get_mut(place.shard) else { return false };
        let Some(database) = shard.database_mut(number) else { return false };
        let Some(slot) = database.find(place.hash, key) else { return false };
        if slot.expires_at().is_some_and(|at| at <= now) {
            let slot = database.remove(place.hash, key, &rules.hasher);
            shard.counters.expired += 1;
            slot.into_iter().for_each(|slot| self.let_go(slot, Farewell::Expired));
            self.told_of_expiry(place, key);
            return true;
        }
        slot.has_due_fields(now) && self.remove_due_fields(place, key)
    }

    /// Removes the fields of a hash that are due. Whether the key went with the last of them.
    fn remove_due_fields(&mut self, place: Place, key: &[u8]) -> bool {
        let (rules, now) = (self.rules, self.horizon);
        let Some(database) = self.database_at_mut(place.shard) else { return false };
        let remove = |slot: &mut Slot| slot.remove_due_fields(&rules.hasher, now, usize::MAX);
        let Some((fields, emptied)) = database.change(place.hash, key, &rules.hasher, remove)
        else {
            return false;
        };
        if emptied {
            database.remove(place.hash, key, &rules.hasher);
        }
        self.told_of_fields(place, key, fields, emptied);
        emptied
    }

    /// Tells that a key expired.
    fn told_of_expiry(&mut self, place: Place, key: &[u8]) {
        if self.propagates {
            self.say_expired(key);
        }
        self.tell(place, key, EXPIRED);
    }

    /// Tells that fields of a hash expired, and perhaps the key with them.
    pub(super) fn told_of_fields(
        &mut self,
        place: Place,
        key: &[u8],
        fields: Vec<Vec<u8>>,
        emptied: bool,
    ) {
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.counters.expired_fields += fields.len() as u64;
        }
        if self.propagates {
            self.say_fields_expired(key, fields);
        }
        self.tell(place, key, "hexpired");
        if emptied {
            self.tell(place, key, "del");
        }
    }

    /// Removes keys and fields that are due from the shards that are held, at most `budget` of them.
    /// Whether more are due.
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
                if let Some((hash, slot)) = database.remove_due(now, &rules.hasher) {
                    *left -= 1;
                    if let Some(shard) = self.shards.get_mut(index) {
                        shard.counters.expired += 1;
                    }
                    self.told_of_expiry(Place { shard: index, hash }, slot.key());
                    self.let_go(slot, Farewell::Expired);
                } else if let Some(due) = database.remove_due_fields(now, &rules.hasher, *left) {
                    *left -= due.fields.len();
                    let place = Place { shard: index, hash: due.hash };
                    self.told_of_fields(place, &due.key, due.fields, due.emptied);
                } else {
                    break;
                }
                if self.has_unappended() {
                    self.append_events();
                }
                self.end_unit();
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
        if let Some(effects) = &mut self.journal.effects {
            effects.drop_unit();
        }
        let undo = self.journal.take_undo();
        self.undo_all(undo);
        self.journal.forget();
    }

    /// From here on a command can be taken back alone, until it is kept.
    pub(crate) fn begin(&mut self) -> Beginning {
        self.journal.begin()
    }

    /// Keeps what a command did.
    pub(crate) fn keep(&mut self, beginning: Beginning) {
        self.journal.keep(beginning);
    }

    /// Takes back what a command did, and nothing that came before it.
    pub(crate) fn take_back(&mut self, beginning: Beginning) {
        if let Some(effects) = &mut self.journal.effects {
            effects.rewind(beginning.effects);
        }
        let undo = self.journal.take_since(beginning);
        self.undo_all(undo);
    }

    fn undo_all(&mut self, undo: Vec<Inverse>) {
        let selected = self.database;
        let mut losses = Vec::new();
        for inverse in undo.into_iter().rev() {
            match inverse {
                Inverse::Lost(loss) => losses.push(loss),
                inverse => self.undo(inverse),
            }
        }
        losses.into_iter().rev().for_each(|loss| self.say_if_still_lost(loss));
        self.database = selected;
    }

    fn undo(&mut self, inverse: Inverse) {
        let rules = self.rules;
        match inverse {
            // Nothing brings it back.
            Inverse::Lost(_) => {}
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
                    part.change(hash, &key, &rules.hasher, |slot| slot.set_expires_at(expires_at));
                });
            }
            Inverse::Edit { database, key, steps } => {
                self.on_undo(database, &key, |part, hash| {
                    part.change(hash, &key, &rules.hasher, |slot| {
                        let Some(value) = slot.as_value_mut() else { return };
                        steps.into_iter().rev().for_each(|step| edit::undo(value, step, rules));
                    });
                });
            }
            Inverse::Text { database, key, len, offset, bytes } => {
                self.on_undo(database, &key, |part, hash| {
                    part.change(hash, &key, &rules.hasher, |slot| {
                        let Some(text) = slot.text_buffer() else { return };
                        text.resize(len, 0);
                        if text.capacity() > 2 * len {
                            text.shrink_to(len);
                        }
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

/// Whether somebody who waits may go on after a change of this kind. What consumers of a stream do
/// brings nothing new, and would otherwise cost as much as there are others who wait.
fn wakes(event: Event) -> bool {
    !matches!(
        event,
        NOT_NOTIFIED
            | "xdel"
            | "xgroup-create"
            | "xgroup-createconsumer"
            | "xgroup-delconsumer"
            | "xgroup-setid"
            | "xsetid"
            | "xtrim"
    )
}

/// When the next key or field of a shard expires.
pub fn next_expiry(shard: &Shard) -> Option<Millis> {
    shard.databases().filter_map(|(_, database)| database.next_expiry()).min()
}
