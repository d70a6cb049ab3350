//! The keyspace as one step sees it: the shards it holds, one selected database, one instant.
//!
//! **Every change of data goes through this file**, which records it in one place
//! (`Keyspace::changed` in `books.rs`): versions for WATCH and guards, the change count, keys that
//! waiters want, and the inverse operation when the step can be undone. Handlers never reach a
//! table.
//!
//! Invariants:
//! - an expired key or field is never seen, whether or not it has been removed yet;
//! - a key never holds an empty collection, unless it is a stream;
//! - undoing a journal leaves the data as it was before the step.

mod access;
mod books;
mod database;
mod digest;
mod edit;
mod eviction;
mod shard;
mod slot;
mod text;
mod undo;
mod value;
mod waiting;

pub use access::{Access, Lfu};
pub use books::next_expiry;
pub use database::Database;
pub use digest::Digest;
pub use edit::{Edit, ListEnd, StreamInverse};
pub use eviction::{Candidate, Policy, Pool};
pub use shard::{Counters, SHARDS_MAX, Shard, ShardSet, Shards, slot_of};
pub use slot::{Description, Slot, TextKind, allocated};
pub use text::{SILENT, TextEdit};
pub use undo::{EditInverse, Inverse, Journal, NumberedKey};
pub use value::{Collection, Value};

use alloc::boxed::Box;
use alloc::vec::Vec;

use self::books::Farewell;
use crate::clock::Millis;
use crate::error::Error;
use crate::notifications::Happening;
use crate::settings::Rules;
use crate::types::random::Random;

/// What happens to a key's expiry when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It goes.
    Clear,
    /// It stays.
    Keep,
    /// It becomes this.
    At(Millis),
}

/// The name of an event as keyspace notifications tell it.
pub type Event = &'static str;

/// Stands for the event of a change that Redis notifies nobody of.
pub const NOT_NOTIFIED: Event = "";

/// The keyspace for the length of a step.
#[derive(Debug)]
pub struct Keyspace<'a> {
    shards: Shards<'a>,
    /// What all steps have in common.
    pub rules: &'a Rules,
    /// The instant of the step.
    pub now: Millis,
    /// The selected database.
    pub database: u32,
    journal: &'a mut Journal,
    /// Whether somebody may want to hear what happens to keys.
    is_followed: bool,
    /// Whether reads leave the access clock alone (`CLIENT NO-TOUCH`).
    pub no_touch: bool,
    /// Whether reads leave expired keys where they are, unseen (`CLIENT PAUSE`).
    pub keep_expired: bool,
}

/// Where a key is or would be.
#[derive(Clone, Copy)]
struct Place {
    shard: usize,
    hash: u64,
}

impl<'a> Keyspace<'a> {
    /// The keyspace for one step.
    pub fn new(
        shards: Shards<'a>,
        rules: &'a Rules,
        now: Millis,
        database: u32,
        journal: &'a mut Journal,
    ) -> Self {
        let is_followed = rules.is_followed();
        Self {
            shards,
            rules,
            now,
            database,
            journal,
            is_followed,
            no_touch: false,
            keep_expired: false,
        }
    }

    /// The same keyspace for a step within the step, with a database of its own.
    pub fn within(&mut self, database: u32) -> Keyspace<'_> {
        Keyspace {
            shards: self.shards.reborrow(),
            rules: self.rules,
            now: self.now,
            database,
            journal: self.journal,
            is_followed: self.is_followed,
            no_touch: false,
            keep_expired: self.keep_expired,
        }
    }

    /// Whether something happened that was not told yet.
    #[inline]
    pub(crate) fn has_happenings(&self) -> bool {
        self.journal.has_happenings()
    }

    /// Takes away what happened and was not told yet.
    pub(crate) fn take_happenings(&mut self) -> Vec<Happening> {
        self.journal.take_happenings()
    }

    /// Remembers a change for those who hear of whole prefixes.
    pub(crate) fn note_broadcast(&mut self, key: Box<[u8]>, writer: u64) {
        self.journal.note_broadcast(key, writer);
    }

    /// Takes away the changes for those who hear of whole prefixes.
    #[inline]
    pub(crate) fn take_broadcasts(&mut self) -> Vec<(Box<[u8]>, u64)> {
        self.journal.take_broadcasts()
    }

    /// Looks again whether somebody wants to hear what happens: the step has changed that.
    pub(crate) fn look_for_followers(&mut self) {
        self.is_followed = self.rules.is_followed();
    }

    /// Changes made by this step so far.
    pub fn changes(&self) -> u64 {
        self.journal.changes
    }

    /// The earliest expiry that this step set.
    pub fn earliest_expiry(&self) -> Option<Millis> {
        self.journal.earliest_expiry
    }

    /// The shards that the step holds.
    pub fn shards(&self) -> &Shards<'a> {
        &self.shards
    }

    #[inline]
    fn place(&self, key: &[u8]) -> Place {
        let shard = match self.shards {
            Shards::One(_) => 0,
            _ => self.rules.shard_of(key),
        };
        Place { shard, hash: self.rules.hasher.hash(key) }
    }

    #[inline]
    fn database_at(&self, shard: usize) -> Option<&Database> {
        self.shards.get(shard)?.database(self.database)
    }

    #[inline]
    fn database_at_mut(&mut self, shard: usize) -> Option<&mut Database> {
        self.shards.get_mut(shard)?.database_mut(self.database)
    }

    /// A number that differs from use to use of a shard's keys.
    fn draw(&self, place: Place) -> u64 {
        self.shards.get(place.shard).map_or(0, |shard| shard.counters.hits ^ place.hash)
            ^ self.journal.changes
    }

    fn is_live(&self, slot: &Slot) -> bool {
        slot.is_live(self.now)
    }

    // ---- reading -------------------------------------------------------------------------

    /// The slot of a key, without counting it as a read.
    #[inline]
    pub fn peek(&self, key: &[u8]) -> Option<&Slot> {
        let place = self.place(key);
        let slot = self.database_at(place.shard)?.find(place.hash, key)?;
        self.is_live(slot).then_some(slot)
    }

    /// The slot of a key, counted as a read: hit or miss, access clock.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<&Slot> {
        let place = self.place(key);
        let (now, no_touch, lfu) = (self.now, self.no_touch, self.rules.settings.lfu);
        let Some(slot) = self.peek(key) else {
            self.shards.get_mut(place.shard)?.counters.misses += 1;
            self.meet_expired(place, key);
            self.missed(key);
            return None;
        };
        if slot.has_due_fields(now) {
            self.remove_expired(place, key);
        }
        let shard = self.shards.get_mut(place.shard)?;
        shard.counters.hits += 1;
        let draw = shard.counters.hits;
        let slot = shard.database_mut(self.database)?.find_mut(place.hash, key)?;
        if !no_touch {
            slot.set_access(slot.access().used(now, lfu, draw));
        }
        Some(slot)
    }

    /// The slot of a key, counted as hit or miss, its access clock left alone: for commands that
    /// ask about a key rather than use it.
    pub fn look(&mut self, key: &[u8]) -> Option<&Slot> {
        if !self.is_found(key) {
            self.missed(key);
        }
        self.peek(key)
    }

    /// The same for who asks about the innards of a key: a miss is no event.
    pub fn inspect(&mut self, key: &[u8]) -> Option<&Slot> {
        self.is_found(key);
        self.peek(key)
    }

    fn is_found(&mut self, key: &[u8]) -> bool {
        let place = self.place(key);
        let found = self.peek(key).is_some();
        let Some(shard) = self.shards.get_mut(place.shard) else { return false };
        if found {
            shard.counters.hits += 1;
        } else {
            shard.counters.misses += 1;
            self.meet_expired(place, key);
        }
        found
    }

    /// The string at a key.
    #[inline]
    pub fn text(&mut self, key: &[u8]) -> Result<Option<&[u8]>, Error> {
        self.read(key).map(|slot| slot.as_text().ok_or(Error::WrongType)).transpose()
    }

    /// The collection at a key, counted as a read.
    pub fn collection<T: Collection>(&mut self, key: &[u8]) -> Result<Option<&T>, Error> {
        self.read(key).map(collection_of).transpose()
    }

    /// The collection at a key, for steps that look at several at once.
    pub fn peek_collection<T: Collection>(&self, key: &[u8]) -> Result<Option<&T>, Error> {
        self.peek(key).map(collection_of).transpose()
    }

    /// Whether a key is there. One that has expired goes.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        let found = self.peek(key).is_some();
        if !found {
            self.remove_expired(self.place(key), key);
        }
        found
    }

    /// When a key expires; `None` if there is no key, `Some(None)` if it never does.
    pub fn expiry(&mut self, key: &[u8]) -> Option<Option<Millis>> {
        if !self.exists(key) {
            return None;
        }
        self.peek(key).map(Slot::expires_at)
    }

    /// Does something with another database selected.
    pub fn in_database<R>(&mut self, database: u32, act: impl FnOnce(&mut Self) -> R) -> R {
        let selected = core::mem::replace(&mut self.database, database);
        let result = act(self);
        self.database = selected;
        result
    }

    // ---- writing -------------------------------------------------------------------------

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
        let database = self.database_at_mut(place.shard);
        if let Some(slot) = database.and_then(|database| database.find_mut(place.hash, key)) {
            let before = slot.expires_at();
            if expiry == Expiry::Keep {
                expires_at = before.filter(|at| *at > now);
            }
            // The most frequent write, a new value as long as the old one, allocates nothing.
            if before == expires_at && !undoable && slot.overwrite_text(text) {
                slot.set_access(access);
                self.changed(place, key, event, 1);
                self.set_with(key, expiry);
                return;
            }
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
        if self.is_followed && matches!(expiry, Expiry::At(_)) {
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
        let (now, lfu, no_touch) = (self.now, self.rules.settings.lfu, self.no_touch);
        let draw = self.draw(place);
        let undoable = self.journal.is_undoable();
        // A packed string is put back as it was, so that not even its encoding tells of the step.
        let packed = self.peek(key).filter(|slot| undoable && slot.is_packed());
        let packed = packed.map(|slot| slot.copy_as(key, slot.access()));
        let mut overwritten = Vec::new();
        let mut len_after = len;
        if let Some(database) = self.database_at_mut(place.shard) {
            database.change(place.hash, key, |slot| {
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

    fn put(&mut self, key: &[u8], make: impl FnOnce(Access) -> Slot, event: Event) {
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
        let draw = self.draw(place);
        let no_touch = self.no_touch;
        let edited = self.database_at_mut(place.shard).and_then(|database| {
            database.change(place.hash, key, |slot| {
                if !no_touch {
                    slot.set_access(slot.access().used(now, lfu, draw));
                }
                // Whoever is live keeps a field that is not due.
                let (expired, _) = slot.remove_due_fields(&rules.hasher, now, usize::MAX);
                let value = T::of_mut(slot.as_value_mut()?)?;
                let mut edit = Edit::new(value, rules, undoable);
                let result = change(&mut edit);
                let (changes, is_touched) = (edit.changes(), edit.is_touched());
                let steps = edit.finish();
                // A stream that was made for nothing is empty, but would stay.
                let goes = value.should_go() || created && changes == 0;
                let changes = (changes, is_touched);
                Some((result, changes, steps, goes, expired, slot.next_field_expiry()))
            })
        });
        let Some((result, (changes, is_touched), steps, goes, expired, next)) = edited.flatten()
        else {
            return Err(Error::WrongType);
        };
        if expired > 0 {
            self.told_of_fields(place, key, false);
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
        let place = self.place(key);
        if let Some(database) = self.database_at_mut(place.shard) {
            database.change(place.hash, key, |slot| slot.set_expires_at(expires_at));
        }
        let database = self.database;
        self.journal.undo_by(|| Inverse::Expiry { database, key: key.into(), expires_at: before });
        self.changed(place, key, event, 1);
        true
    }

    /// Empties a database; gives its parts, whose end may take long. Not undone by a roll-back:
    /// batches may not do it.
    pub fn flush(&mut self, database: u32) -> Vec<Database> {
        if self.is_followed {
            self.journal.note_happening(Happening::Flush);
        }
        let hasher = &self.rules.hasher;
        let mut parts = Vec::new();
        for shard in self.shards.iter_mut() {
            shard.bump_database(database, hasher);
            parts.extend(shard.take_database(database).map(|part| *part));
            self.journal.note_all_ready(database, &shard.waiters);
        }
        self.journal.changes += parts.iter().map(|part| part.len() as u64).sum::<u64>();
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
            shard.bump_database(first, hasher);
            shard.bump_database(second, hasher);
            self.journal.note_all_ready(first, &shard.waiters);
            self.journal.note_all_ready(second, &shard.waiters);
        }
        self.journal.changes += 1;
    }

    // ---- the whole database --------------------------------------------------------------

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

    // ---- watches and guards --------------------------------------------------------------

    /// Starts to watch a key of the selected database; gives its change count.
    pub fn watch(&mut self, key: &[u8]) -> u64 {
        let place = self.place(key);
        self.remove_expired(place, key);
        let database = self.database;
        self.shards.get_mut(place.shard).map_or(0, |shard| shard.watch(database, key))
    }

    /// Whether a watched key is as it was when its change count was `version`.
    pub fn is_unchanged(&mut self, database: u32, key: &[u8], version: u64) -> bool {
        let selected = core::mem::replace(&mut self.database, database);
        let place = self.place(key);
        self.remove_expired(place, key);
        self.database = selected;
        let shard = self.shards.get(place.shard);
        shard.and_then(|shard| shard.watched_version(database, key)) == Some(version)
    }

    /// Ends one watch.
    pub fn unwatch(&mut self, database: u32, key: &[u8]) {
        let place = self.place(key);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.unwatch(database, key);
        }
    }

    /// The version of a key, for guards.
    pub fn version(&mut self, key: &[u8]) -> u64 {
        let place = self.place(key);
        self.remove_expired(place, key);
        self.shards.get_mut(place.shard).map_or(0, |shard| shard.version(place.hash))
    }
}

fn collection_of<T: Collection>(slot: &Slot) -> Result<&T, Error> {
    slot.as_value().and_then(T::of).ok_or(Error::WrongType)
}
