//! Losses: keys and fields that go without a command having named them, because they are due or
//! give way. Copies of the data do not decide that for themselves, so each is an effect.
//!
//! What expires while a batch runs stays gone when the batch is rolled back, and so does its effect,
//! unless the batch itself had made the key or field expire.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Inverse, Keyspace};
use crate::effects::{Audience, ELEMENTS_MAX, Effects, Word, removal};
use crate::types::hash::Hash;

/// A key, or fields of the hash at it, that went.
#[derive(Debug)]
pub struct Loss {
    database: u32,
    key: Box<[u8]>,
    /// The fields; none if the key itself went.
    fields: Vec<Vec<u8>>,
}

impl Keyspace<'_> {
    /// Whether effects are wanted.
    #[inline]
    pub(crate) fn propagates(&self) -> bool {
        self.propagates
    }

    /// The effects so far. The first shard that is held has the memory that they are gathered in.
    pub(crate) fn effects(&mut self) -> &mut Effects {
        let shards = &mut self.shards;
        self.journal.effects.get_or_insert_with(|| {
            let spare = shards.iter_mut().next().and_then(|shard| shard.spare_effects.take());
            spare.unwrap_or_default()
        })
    }

    /// Whether there are effects so far.
    #[inline]
    pub(crate) fn has_effects(&self) -> bool {
        self.journal.has_effects()
    }

    /// Takes the effects so far.
    #[inline]
    pub(crate) fn take_effects(&mut self) -> Option<Box<Effects>> {
        self.journal.effects.take()
    }

    /// Gives their memory back, for the next step.
    pub(crate) fn give_back_effects(&mut self, mut effects: Box<Effects>) {
        effects.clear();
        if let Some(shard) = self.shards.iter_mut().next() {
            shard.spare_effects = Some(effects);
        }
    }

    /// Whether the step can be taken back.
    pub(crate) fn is_undoable(&self) -> bool {
        self.journal.is_undoable()
    }

    /// Whether the command at hand has said what to run instead of it.
    #[inline]
    pub(crate) fn is_said(&self) -> bool {
        self.journal.is_said
    }

    /// Notes whether the command at hand has said that.
    #[inline]
    pub(crate) fn set_said(&mut self, is_said: bool) {
        self.journal.is_said = is_said;
    }

    /// Adds an effect for the selected database.
    pub(crate) fn say_effect<'w>(
        &mut self,
        words: &[&dyn Word],
        more: impl ExactSizeIterator<Item = &'w [u8]>,
    ) {
        let database = self.database;
        self.effects().push(database, Audience::All, words, more);
    }

    /// Lets what comes take effect on its own.
    #[inline]
    pub(crate) fn end_unit(&mut self) {
        if let Some(effects) = &mut self.journal.effects {
            effects.end_unit();
        }
    }

    /// Whether something in the selected database is due and has not been removed yet.
    #[inline]
    pub(crate) fn has_due(&self) -> bool {
        self.parts().any(|(_, database)| database.has_due(self.horizon))
    }

    /// Removes what is due of a key.
    pub(crate) fn shed(&mut self, key: &[u8]) {
        self.remove_expired(self.place(key), key);
    }

    /// Says that a key has expired.
    #[cold]
    pub(super) fn say_expired(&mut self, key: &[u8]) {
        self.say_gone(key, self.rules.settings.lazy.expire);
        let database = self.database;
        self.journal
            .undo_by(|| Inverse::Lost(Loss { database, key: key.into(), fields: Vec::new() }));
    }

    /// Says that fields of a hash have expired.
    #[cold]
    pub(super) fn say_fields_expired(&mut self, key: &[u8], fields: Vec<Vec<u8>>) {
        self.say_fields_gone(key, &fields);
        let database = self.database;
        self.journal.undo_by(|| Inverse::Lost(Loss { database, key: key.into(), fields }));
    }

    /// Says that a key is gone.
    pub(super) fn say_gone(&mut self, key: &[u8], lazily: bool) {
        self.say_effect(&[&removal(lazily), &key], core::iter::empty());
    }

    fn say_fields_gone(&mut self, key: &[u8], fields: &[Vec<u8>]) {
        for fields in fields.chunks(ELEMENTS_MAX) {
            self.say_effect(&[&"HDEL", &key], fields.iter().map(Vec::as_slice));
        }
    }

    /// Says a loss again after a roll-back, as far as what was lost is not back.
    pub(super) fn say_if_still_lost(&mut self, mut loss: Loss) {
        self.database = loss.database;
        let (place, hasher) = (self.place(&loss.key), &self.rules.hasher);
        let database = self.database_at(place.shard);
        let slot = database.and_then(|database| database.find(place.hash, &loss.key));
        if loss.fields.is_empty() {
            if slot.is_none() {
                self.say_gone(&loss.key, self.rules.settings.lazy.expire);
            }
            return;
        }
        if let Some(Ok(hash)) = slot.map(super::collection_of::<Hash>) {
            loss.fields.retain(|field| hash.get(hasher, field).is_none());
        }
        self.say_fields_gone(&loss.key, &loss.fields);
    }
}
