//! The keyspace as one step sees it: the shards it holds, one selected database, one instant.
//!
//! **Every change of data goes through [`Keyspace`]**, which records it in one place
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
mod losses;
mod reading;
mod searching;
mod shard;
mod slot;
mod snapshot;
mod text;
mod undo;
mod value;
mod waiting;
mod warming;
mod watching;
mod whole;
mod writing;

pub use access::{Access, Lfu};
pub use books::next_expiry;
pub use database::Database;
pub use digest::Digest;
pub use edit::{Edit, ListEnd, StreamInverse};
pub use eviction::{Candidate, Policy, Pool};
pub use searching::{INDEX_FIELD, INDEXED_DATABASE, index_fields, restore_index};
pub use shard::{Counters, SHARDS_MAX, Shard, ShardSet, Shards, slot_of};
pub use slot::{Description, Slot, TextKind, allocated};
pub use snapshot::Piece;
pub use text::{SILENT, TextEdit};
pub(crate) use undo::Beginning;
pub use undo::{EditInverse, Inverse, Journal, NumberedKey};
pub use value::{Collection, Value};
pub use warming::Wanted;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::clock::Millis;
use crate::error::Error;
use crate::notifications::{Followed, Happening};
use crate::settings::Rules;

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
    /// What somebody may want to hear of that happens to keys.
    followed: Followed,
    /// What is due up to here has expired: the instant of the step. For whoever obeys a primary
    /// nothing has, until the primary says so.
    horizon: Millis,
    /// Whether effects are wanted.
    propagates: bool,
    /// What a client sees of a hash some of whose fields are due and must stay.
    seen: Option<Box<Slot>>,
    /// Whether reads leave the access clock alone (`CLIENT NO-TOUCH`).
    pub no_touch: bool,
    /// Whether reads leave expired keys where they are, unseen (`CLIENT PAUSE`, replicas).
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
        let (followed, propagates) = (rules.followed(), rules.propagation().is_on());
        Self {
            shards,
            rules,
            now,
            database,
            journal,
            followed,
            horizon: now,
            propagates,
            seen: None,
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
            followed: self.followed,
            horizon: self.now,
            propagates: self.propagates,
            seen: None,
            no_touch: false,
            keep_expired: self.keep_expired,
        }
    }

    /// Whether something happened that was not told yet.
    #[inline]
    pub(crate) fn has_happenings(&self) -> bool {
        self.journal.has_happenings()
    }

    /// Whether durable triggers may want something that happened: then it is no step of one effect.
    #[inline]
    pub(crate) fn has_unappended(&self) -> bool {
        self.journal.has_unappended() && !self.rules.triggers().is_empty()
    }

    /// What durable triggers were not asked about.
    pub(crate) fn take_unappended(&mut self) -> Vec<Happening> {
        self.journal.take_unappended()
    }

    /// The trigger that causes the step, if one does.
    pub(crate) fn origin(&self) -> Option<crate::triggers::Origin> {
        self.journal.origin.clone()
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
        self.followed = self.rules.followed();
    }

    /// Changes made by this step so far.
    pub fn changes(&self) -> u64 {
        self.journal.changes
    }

    /// The earliest expiry that this step set.
    pub fn earliest_expiry(&self) -> Option<Millis> {
        self.journal.earliest_expiry
    }

    /// The shards that the step holds, for what changes all data at once: nobody is told, nothing can
    /// be undone.
    pub fn shards_mut(&mut self) -> &mut Shards<'a> {
        &mut self.shards
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
        slot.is_live(self.horizon)
    }

    /// Until when things that are due have expired: an expiry up to here is one of the past.
    pub fn horizon(&self) -> Millis {
        self.horizon
    }

    /// Does what a primary says: what is due is there until the primary removes it.
    pub(crate) fn obey(&mut self) {
        self.horizon = Millis::default();
        self.keep_expired = true;
    }

    /// Does something with another database selected.
    pub fn in_database<R>(&mut self, database: u32, act: impl FnOnce(&mut Self) -> R) -> R {
        let selected = core::mem::replace(&mut self.database, database);
        let result = act(self);
        self.database = selected;
        result
    }
}

fn collection_of<T: Collection>(slot: &Slot) -> Result<&T, Error> {
    slot.as_value().and_then(T::of).ok_or(Error::WrongType)
}
