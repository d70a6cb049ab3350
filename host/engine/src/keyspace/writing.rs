//! Changing keys: each change is recorded in the books, and its inverse in the journal.

use alloc::vec::Vec;

use super::books::Farewell;
use super::{
    Access, Collection, Edit, Event, Expiry, Inverse, Keyspace, Place, Slot, Value, collection_of,
};
use crate::clock::Millis;
use crate::error::Error;

impl Keyspace<'_> {
    /// Sets a key to a string, whatever it held.
    pub fn set_text(&mut self, key: &[u8], text: &[u8], expiry: Expiry, event: Event) {
        let place = self.place(key);
        let now = self.now;
        let rules = self.rules;
        let number = self.database;
        let access = Access::new(now, rules.settings.lfu);
        let mut expires_at = match expiry {
            Expiry::At(at) => Some(at),
            _ => None,
        };
        let undoable = self.journal.is_undoable();
        if expiry == Expiry::Keep {
            expires_at = self.peek(key).and_then(Slot::expires_at);
        }
        // The most frequent write, a new value as long as the old one, allocates nothing.
        if !undoable
            && let Some(database) = self.database_at_mut(place.shard)
            && database.overwrite(place.hash, key, (text, expires_at, access), &rules.hasher)
        {
            self.changed(place, key, event, 1);
            self.set_with(key, expiry);
            return;
        }
        self.journal.note_expiry(expires_at);
        self.remove_expired(place, key);
        let slot = Slot::text(key, text, expires_at, access);
        let Some(shard) = self.shards.get_mut(place.shard) else { return };
        let old = shard.database_or_new(number).replace(place.hash, slot, &rules.hasher);
        self.replaced(key, old);
        self.changed(place, key, event, 1);
        self.set_with(key, expiry);
    }

    /// Tells that an expiry was set together with a value.
    #[inline]
    fn set_with(&mut self, key: &[u8], expiry: Expiry) {
        if matches!(expiry, Expiry::At(_)) && self.followed.may_have("expire") {
            self.follow("expire", key);
        }
    }

    /// Overwrites bytes of the string at a key from `offset` on, growing it by zeros as needed; a
    /// missing key counts as empty. Gives the new length. `WrongType` if it holds something else.
    pub fn splice_text(
        &mut self,
        key: &[u8],
        offset: usize,
        bytes: &[u8],
        event: Event,
    ) -> Result<usize, Error> {
        let Some(len) = self.peek(key).map(|slot| slot.as_text().map(<[u8]>::len)) else {
            let mut text = Vec::with_capacity(offset + bytes.len());
            text.resize(offset, 0);
            text.extend_from_slice(bytes);
            self.put(key, |access| Slot::object(key, Value::Text(text), None, access), event);
            return Ok(offset + bytes.len());
        };
        let len = len.ok_or(Error::WrongType)?;
        let place = self.place(key);
        let (now, rules, no_touch) = (self.now, self.rules, self.no_touch);
        let lfu = rules.settings.lfu;
        let draw = self.draw(place);
        let undoable = self.journal.is_undoable();
        // A packed string is put back as it was, so that not even its encoding tells of the step.
        let packed = self.peek(key).filter(|slot| undoable && slot.is_packed());
        let packed = packed.map(|slot| slot.copy_as(key, slot.access()));
        let mut overwritten = Vec::new();
        let mut len_after = len;
        if let Some(database) = self.database_at_mut(place.shard) {
            database.change(place.hash, key, &rules.hasher, |slot| {
                if !no_touch {
                    slot.set_access(slot.access().used(now, lfu, draw));
                }
                let Some(text) = slot.text_buffer() else { return };
                let end = offset + bytes.len();
                if undoable && packed.is_none() && offset < len {
                    overwritten.extend_from_slice(&text[offset..end.min(len)]);
                }
                if text.len() < end {
                    text.resize(end, 0);
                }
                text[offset..end].copy_from_slice(bytes);
                len_after = text.len();
            });
        }
        let database = self.database;
        self.journal.undo_by(|| match packed {
            Some(slot) => Inverse::Restore { database, slot },
            None => Inverse::Text { database, key: key.into(), len, offset, bytes: overwritten },
        });
        self.changed(place, key, event, 1);
        Ok(len_after)
    }

    /// Sets a key to a collection, whatever it held; an empty one removes the key.
    pub fn set_collection<T: Collection>(&mut self, key: &[u8], value: T, event: Event) {
        if value.should_go() {
            self.remove(key);
            return;
        }
        self.put(key, |access| Slot::object(key, value.into_value(), None, access), event);
    }

    /// Puts a slot at its key, whatever was there.
    pub fn put_slot(&mut self, key: &[u8], slot: Slot, event: Event) {
        if self.exists(key) {
            self.made(key);
        }
        self.put(key, |_| slot, event);
    }

    pub(super) fn put(&mut self, key: &[u8], make: impl FnOnce(Access) -> Slot, event: Event) {
        let place = self.place(key);
        let rules = self.rules;
        let number = self.database;
        let slot = make(Access::new(self.now, rules.settings.lfu));
        self.journal.note_expiry(slot.next_expiry());
        self.remove_expired(place, key);
        let Some(shard) = self.shards.get_mut(place.shard) else { return };
        let old = shard.database_or_new(number).replace(place.hash, slot, &rules.hasher);
        self.replaced(key, old);
        self.changed(place, key, event, 1);
    }

    /// Records how to take back that a key got a new slot.
    fn replaced(&mut self, key: &[u8], old: Option<Slot>) {
        let database = self.database;
        match old {
            Some(slot) => self.let_go(slot, Farewell::Overwritten),
            None => {
                self.made(key);
                self.journal.undo_by(|| Inverse::Remove { database, key: key.into() });
            }
        }
    }

    /// Changes the elements of the collection at a key, which must be there.
    /// `None` if there is no such key; `WrongType` if it holds something else.
    pub fn edit<T: Collection, R>(
        &mut self,
        key: &[u8],
        event: Event,
        change: impl FnOnce(&mut Edit<'_, T>) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        if self.peek_collection::<T>(key)?.is_none() {
            self.remove_expired(self.place(key), key);
            return Ok(None);
        }
        self.edit_present(key, event, false, change).map(Some)
    }

    /// Changes the elements of the collection at a key, starting from an empty one if there is no
    /// such key. `WrongType` if it holds something else.
    pub fn edit_or_create<T: Collection, R>(
        &mut self,
        key: &[u8],
        event: Event,
        change: impl FnOnce(&mut Edit<'_, T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let created = self.peek_collection::<T>(key)?.is_none();
        if created {
            let place = self.place(key);
            self.remove_expired(place, key);
            let rules = self.rules;
            let access = Access::new(self.now, rules.settings.lfu);
            let slot = Slot::object(key, T::empty().into_value(), None, access);
            let number = self.database;
            if let Some(shard) = self.shards.get_mut(place.shard) {
                shard.database_or_new(number).insert(place.hash, slot, &rules.hasher);
            }
        }
        self.edit_present(key, event, created, change)
    }

    fn edit_present<T: Collection, R>(
        &mut self,
        key: &[u8],
        event: Event,
        created: bool,
        change: impl FnOnce(&mut Edit<'_, T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let place = self.place(key);
        let (rules, now, lfu) = (self.rules, self.now, self.rules.settings.lfu);
        let undoable = self.journal.is_undoable() && !created;
        let (draw, horizon) = (self.draw(place), self.horizon);
        let no_touch = self.no_touch;
        let edited = self.database_at_mut(place.shard).and_then(|database| {
            database.change(place.hash, key, &rules.hasher, |slot| {
                if !no_touch {
                    slot.set_access(slot.access().used(now, lfu, draw));
                }
                // Whoever is live keeps a field that is not due.
                let (expired, _) = slot.remove_due_fields(&rules.hasher, horizon, usize::MAX);
                let value = T::of_mut(slot.as_value_mut()?)?;
                let mut edit = Edit::new(value, rules, undoable);
                let result = change(&mut edit);
                let (changes, is_touched) = (edit.changes(), edit.is_touched());
                let waste = edit.take_waste();
                let steps = edit.finish();
                // A stream that was made for nothing is empty, but would stay.
                let goes = value.should_go() || created && changes == 0;
                let (changes, left) = ((changes, is_touched), (steps, waste));
                Some((result, changes, left, goes, expired, slot.next_field_expiry()))
            })
        });
        let Some((result, (changes, is_touched), (steps, waste), goes, expired, next)) =
            edited.flatten()
        else {
            return Err(Error::WrongType);
        };
        for value in waste {
            let slot = Slot::object(key, value, None, Access::default());
            self.journal.waste.push(slot, rules.settings.lazy.server_del);
        }
        if !expired.is_empty() {
            self.told_of_fields(place, key, expired, false);
        }
        self.journal.note_expiry(next);
        let database = self.database;
        if created && !goes {
            self.made(key);
            self.journal.undo_by(|| Inverse::Remove { database, key: key.into() });
        } else if !steps.is_empty() {
            self.journal.undo_by(|| Inverse::Edit { database, key: key.into(), steps });
        }
        if changes > 0 || is_touched {
            self.changed(place, key, event, changes);
        }
        if goes {
            self.remove_emptied(place, key, created);
        }
        result
    }

    /// An emptied collection goes with its key; one that was made for nothing leaves no trace.
    fn remove_emptied(&mut self, place: Place, key: &[u8], created: bool) {
        let rules = self.rules;
        let Some(database) = self.database_at_mut(place.shard) else { return };
        let Some(slot) = database.remove(place.hash, key, &rules.hasher) else { return };
        if created {
            return;
        }
        self.let_go(slot, Farewell::Overwritten);
        self.changed(place, key, "del", 0);
    }

    /// Removes a key. Whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.take_for(key, "del", Farewell::Deleted, |_| ()).is_some()
    }

    /// Removes a key whose value, if it is large, ends elsewhere. Whether it was there.
    pub fn unlink(&mut self, key: &[u8]) -> bool {
        self.take_for(key, "del", Farewell::Unlinked, |_| ()).is_some()
    }

    /// Removes a key, showing its slot to `see` before it goes.
    pub fn take<R>(&mut self, key: &[u8], event: Event, see: impl FnOnce(&Slot) -> R) -> Option<R> {
        self.take_for(key, event, Farewell::Overwritten, see)
    }

    fn take_for<R>(
        &mut self,
        key: &[u8],
        event: Event,
        farewell: Farewell,
        see: impl FnOnce(&Slot) -> R,
    ) -> Option<R> {
        let place = self.place(key);
        if self.remove_expired(place, key) {
            return None;
        }
        let rules = self.rules;
        let slot = self.database_at_mut(place.shard)?.remove(place.hash, key, &rules.hasher)?;
        let seen = see(&slot);
        self.let_go(slot, farewell);
        self.changed(place, key, event, 1);
        Some(seen)
    }

    /// Takes all elements of the collection at a key at once, showing them to `see`; the key goes
    /// with them. `None` if there is no such key; `WrongType` if it holds something else.
    pub fn take_collection<T: Collection, R>(
        &mut self,
        key: &[u8],
        event: Event,
        see: impl FnOnce(&T) -> R,
    ) -> Result<Option<R>, Error> {
        if self.peek_collection::<T>(key)?.is_none() {
            self.remove_expired(self.place(key), key);
            return Ok(None);
        }
        let seen = self.take(key, event, |slot| collection_of(slot).map(see));
        self.changed(self.place(key), key, "del", 0);
        seen.transpose()
    }

    /// Moves the value of a key, with its expiry, to another key of another or the same database,
    /// replacing what is there. Whether the key was there.
    pub fn rename(
        &mut self,
        key: &[u8],
        to: &[u8],
        to_database: u32,
        (event, event_to): (Event, Event),
    ) -> bool {
        let (rules, number) = (self.rules, self.database);
        let (place, place_to) = (self.place(key), self.place(to));
        if self.remove_expired(place, key) {
            return false;
        }
        self.in_database(to_database, |keys| keys.remove_expired(place_to, to));
        let Some(database) = self.database_at_mut(place.shard) else { return false };
        let Some(slot) = database.remove(place.hash, key, &rules.hasher) else { return false };
        self.journal.note_expiry(slot.next_expiry());
        self.in_database(to_database, |keys| keys.made(to));
        self.changed(place, key, event, 1);
        self.database = to_database;
        if let Some(shard) = self.shards.get_mut(place_to.shard) {
            let database = shard.database_or_new(to_database);
            if let Some(slot) = database.replace(place_to.hash, slot.with_key(to), &rules.hasher) {
                self.let_go(slot, Farewell::Overwritten);
            }
        }
        self.journal.undo_by(|| Inverse::Rename {
            database: number,
            key: key.into(),
            to_database,
            to: to.into(),
        });
        self.changed(place_to, to, event_to, 1);
        self.database = number;
        true
    }

    /// Copies the value of a key, with its expiry, to another key of another or the same database,
    /// replacing what is there. Whether the key was there.
    pub fn copy(&mut self, key: &[u8], to: &[u8], to_database: u32, event: Event) -> bool {
        let access = Access::new(self.now, self.rules.settings.lfu);
        let Some(slot) = self.read(key).map(|slot| slot.copy_as(to, access)) else { return false };
        self.in_database(to_database, |keys| keys.put_slot(to, slot, event));
        true
    }

    /// Changes when a key expires; `None` lets it stay. Whether the key was there.
    pub fn set_expiry(&mut self, key: &[u8], expires_at: Option<Millis>, event: Event) -> bool {
        let Some(before) = self.expiry(key) else { return false };
        self.journal.note_expiry(expires_at);
        let (place, rules) = (self.place(key), self.rules);
        if let Some(database) = self.database_at_mut(place.shard) {
            let hasher = &rules.hasher;
            database.change(place.hash, key, hasher, |slot| slot.set_expires_at(expires_at));
        }
        let database = self.database;
        self.journal.undo_by(|| Inverse::Expiry { database, key: key.into(), expires_at: before });
        self.changed(place, key, event, 1);
        true
    }
}
