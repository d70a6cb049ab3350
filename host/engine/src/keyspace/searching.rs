//! Search indexes as a step sees them: those of the first database, a part of each in every shard that
//! the step holds. Steps that change which indexes there are, or search, hold all shards.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use reef_resp::{Decoder, Limits, Progress};

use super::{Journal, Keyspace, Shard, Shards, Slot};
use crate::args::Args;
use crate::clock::Millis;
use crate::error::Error;
use crate::search::{Catalogue, Cursors, Indexes, Options, Part, Schema};
use crate::settings::Rules;

/// The database whose keys are indexed.
pub const INDEXED_DATABASE: u32 = 0;

/// With no more keys than this, an index is complete when the command that makes it is done.
const SCANNED_AT_ONCE_MAX: usize = 5_000;

/// The name of the fields of a file's header that say which indexes there are: commands, in RESP.
pub const INDEX_FIELD: &str = "reef-index";

/// The commands that lead to the indexes that a shard, like all others of its engine, has parts of.
pub fn index_fields(shard: &Shard) -> Vec<Vec<u8>> {
    let indexes = shard.database(INDEXED_DATABASE).and_then(super::Database::indexes);
    let commands = indexes.map(|indexes| indexes.catalogue().commands()).unwrap_or_default();
    commands.iter().map(|words| command_text(words)).collect()
}

fn command_text(words: &[Box<[u8]>]) -> Vec<u8> {
    let mut text = alloc::format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        text.extend_from_slice(alloc::format!("${}\r\n", word.len()).as_bytes());
        text.extend_from_slice(word);
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// Runs such a command on all shards of an engine, before their keys come.
pub fn restore_index(shards: Shards<'_>, rules: &Rules, field: &[u8]) -> Result<(), Error> {
    let limits = Limits { bulk_bytes_max: i64::MAX, authenticated: true };
    let mut decoder = Decoder::new();
    match decoder.decode(field, &limits) {
        Ok(Progress::Command { used }) if used == field.len() => {}
        _ => return Err(Error::Syntax),
    }
    let mut journal = Journal::new();
    let mut keys = Keyspace::new(shards, rules, Millis::default(), INDEXED_DATABASE, &mut journal);
    let mut args = Args::new(decoder.argv(field), 1);
    crate::commands::search::restore(&mut keys, &mut args)
}

impl Shard {
    /// Lets indexes that have not seen all keys see about so many more. Whether some have still not.
    pub fn index_more(&mut self, budget: usize, rules: &Rules) -> bool {
        if let Some(database) = self.database_mut(INDEXED_DATABASE) {
            database.index_more(budget, &rules.hasher);
        }
        self.is_indexing()
    }

    /// Whether some index may have to go because nobody uses it.
    pub fn has_temporary_indexes(&self) -> bool {
        let indexes = self.database(INDEXED_DATABASE).and_then(super::Database::indexes);
        let mut schemas = indexes.into_iter().flat_map(|indexes| &indexes.catalogue().indexes);
        schemas.any(|schema| schema.temporary_s.is_some())
    }

    /// Whether some index has not seen all keys.
    pub fn is_indexing(&self) -> bool {
        let indexes = self.database(INDEXED_DATABASE).and_then(super::Database::indexes);
        indexes.is_some_and(Indexes::is_scanning)
    }
}

impl Keyspace<'_> {
    /// The indexes' parts of all shards that are held.
    pub fn indexes(&self) -> impl Iterator<Item = (usize, &Indexes)> {
        let databases = self.shards.iter();
        databases.filter_map(|(at, shard)| Some((at, shard.database(INDEXED_DATABASE)?.indexes()?)))
    }

    /// Which indexes there are.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.indexes().next().map(|(_, indexes)| indexes.catalogue().clone()).unwrap_or_default()
    }

    /// The parts of one index in all shards, by shard.
    pub fn parts_of_index(&self, place: usize) -> Vec<&Part> {
        self.indexes().filter_map(|(_, indexes)| indexes.parts().get(place)).collect()
    }

    /// Whether a schema's first look at all keys is still under way.
    pub fn is_scanning(&self) -> bool {
        self.indexes().any(|(_, indexes)| indexes.is_scanning())
    }

    /// Gives all shards another catalogue, and lets each change its parts to fit.
    fn recatalogue(&mut self, catalogue: Arc<Catalogue>, change: &mut dyn FnMut(&mut Vec<Part>)) {
        let mut bytes = catalogue.heap_bytes();
        for shard in self.shards.iter_mut() {
            let indexes = shard.database_or_new(INDEXED_DATABASE).indexes_or_new();
            indexes.set_catalogue(catalogue.clone(), core::mem::take(&mut bytes));
            change(indexes.parts_mut());
        }
        self.journal.changes += 1;
        self.shards.iter_mut().take(1).for_each(|shard| shard.count_changes(1));
    }

    /// Changes the catalogue but not the indexes.
    pub fn change_catalogue(&mut self, change: impl FnOnce(&mut Catalogue)) {
        let mut catalogue = self.catalogue().as_ref().clone();
        change(&mut catalogue);
        self.recatalogue(Arc::new(catalogue), &mut |_| {});
    }

    /// Says what queries go by. That is no change of data.
    pub fn set_search_options(&mut self, options: Options) {
        let mut catalogue = self.catalogue().as_ref().clone();
        catalogue.options = options;
        let catalogue = Arc::new(catalogue);
        let mut bytes = catalogue.heap_bytes();
        for shard in self.shards.iter_mut() {
            let indexes = shard.database_or_new(INDEXED_DATABASE).indexes_or_new();
            indexes.set_catalogue(catalogue.clone(), core::mem::take(&mut bytes));
        }
    }

    /// Adds an index. Of the keys that are there it sees none if it `skips` them; few at once; many
    /// bit by bit.
    pub fn add_index(&mut self, schema: Schema, skips: bool) {
        let mut catalogue = self.catalogue().as_ref().clone();
        let schema = Arc::new(schema);
        catalogue.indexes.push(schema.clone());
        self.recatalogue(Arc::new(catalogue), &mut |parts| {
            let mut part = Part::new(schema.clone());
            part.scan = (!skips).then_some(0);
            part.is_partial = skips;
            parts.push(part);
        });
        self.index_at_once();
    }

    /// Gives an index another schema, with more fields.
    pub fn alter_index(&mut self, place: usize, schema: Schema, skips: bool) {
        let mut catalogue = self.catalogue().as_ref().clone();
        let schema = Arc::new(schema);
        if let Some(old) = catalogue.indexes.get_mut(place) {
            *old = schema.clone();
        }
        self.recatalogue(Arc::new(catalogue), &mut |parts| {
            let Some(part) = parts.get_mut(place) else { return };
            part.widen(schema.clone());
            part.is_partial |= skips;
            if !skips {
                part.begin_anew();
            }
        });
        self.index_at_once();
    }

    /// Removes an index, its other names and its synonyms.
    pub fn drop_index(&mut self, place: usize) {
        let mut catalogue = self.catalogue().as_ref().clone();
        if place < catalogue.indexes.len() {
            let schema = catalogue.indexes.remove(place);
            catalogue.aliases.retain(|_, index| *index != schema.name);
        }
        let mut dropped = Vec::new();
        self.recatalogue(Arc::new(catalogue), &mut |parts| {
            if place < parts.len() {
                dropped.push(parts.remove(place));
            }
        });
        // Their end takes as long as all their documents, and no shard need be held for it.
        dropped.into_iter().for_each(|part| self.journal.waste.push_index(part));
    }

    /// Completes indexes if there are few keys.
    fn index_at_once(&mut self) {
        let parts = self.shards.iter().filter_map(|(_, shard)| shard.database(INDEXED_DATABASE));
        let keys: usize = parts.map(super::Database::len).sum();
        if keys <= SCANNED_AT_ONCE_MAX {
            self.index_more(usize::MAX);
        }
    }

    /// Lets indexes that have not seen all keys see about so many more in each shard.
    pub fn index_more(&mut self, budget: usize) {
        let hasher = &self.rules.hasher;
        for shard in self.shards.iter_mut() {
            if let Some(database) = shard.database_mut(INDEXED_DATABASE) {
                database.index_more(budget, hasher);
            }
        }
    }

    /// What is left of aggregations.
    pub fn cursors(&mut self) -> Option<&mut Cursors> {
        let shard = self.shards.iter_mut().next()?;
        Some(&mut shard.database_or_new(INDEXED_DATABASE).indexes_or_new().cursors)
    }

    /// How many keys the indexed database has.
    pub fn keys_of_indexed(&self) -> u64 {
        let parts = self.shards.iter().filter_map(|(_, shard)| shard.database(INDEXED_DATABASE));
        parts.map(|database| database.len() as u64).sum()
    }

    /// The slot of a key of a database, unless it has expired.
    pub fn slot_in(&self, database: u32, key: &[u8]) -> Option<&Slot> {
        let place = self.place(key);
        let slot = self.shards.get(place.shard)?.database(database)?.find(place.hash, key)?;
        self.is_live(slot).then_some(slot)
    }

    /// Removes what is due of the indexed database, so that no search finds it; unless it is to stay,
    /// unseen.
    pub fn shed_indexed(&mut self) {
        /// More than this takes too long for one search: the next ones remove it.
        const KEYS_MAX: usize = 10_000;
        self.in_database(INDEXED_DATABASE, |keys| {
            if !keys.has_due() {
                return;
            }
            if !keys.keep_expired {
                for key in keys.due_keys(KEYS_MAX) {
                    keys.shed(&key);
                }
            }
            keys.unindex_due_fields();
        });
    }

    /// Lets indexes see hashes that stay with fields that are due as if these were gone.
    fn unindex_due_fields(&mut self) {
        let (hasher, horizon) = (&self.rules.hasher, self.horizon);
        for (key, slot) in self.partly_due_of_indexed() {
            let place = self.place(&key);
            if let Some(shard) = self.shards.get_mut(place.shard)
                && let Some(database) = shard.database_mut(INDEXED_DATABASE)
            {
                debug_assert!(!slot.has_due_fields(horizon), "what is due is not there");
                database.reindex(place.hash, &slot, hasher);
            }
        }
    }

    /// Hashes of the indexed database that stay with fields that are due, as they are without them.
    pub fn partly_due_of_indexed(&self) -> BTreeMap<Box<[u8]>, Slot> {
        let mut found = BTreeMap::new();
        if self.is_anything_due() {
            for key in self.due_in(INDEXED_DATABASE, usize::MAX, true) {
                let slot = self.slot_in(INDEXED_DATABASE, &key);
                let slot = slot.filter(|slot| slot.has_due_fields(self.horizon));
                let slot = slot.map(|s| s.without_due_fields(&self.rules.hasher, self.horizon));
                slot.into_iter().for_each(|slot| {
                    found.insert(key.clone(), slot);
                });
            }
        }
        found
    }

    /// Whether something of the indexed database is due and still there.
    fn is_anything_due(&self) -> bool {
        let databases = self.shards.iter();
        let mut databases = databases.filter_map(|(_, shard)| shard.database(INDEXED_DATABASE));
        databases.any(|database| database.next_expiry().is_some_and(|at| at <= self.horizon))
    }

    /// Keys of the indexed database that are due and were left where they are.
    pub fn due_keys_of_indexed(&self) -> Vec<Box<[u8]>> {
        if self.is_anything_due() {
            self.due_in(INDEXED_DATABASE, usize::MAX, false)
        } else {
            Vec::new()
        }
    }

    /// Keys that are due, or hold fields that are.
    fn due_keys(&self, most: usize) -> Vec<Box<[u8]>> {
        self.due_in(self.database, most, true)
    }

    fn due_in(&self, number: u32, most: usize, with_fields: bool) -> Vec<Box<[u8]>> {
        let (hasher, horizon) = (&self.rules.hasher, self.horizon);
        let mut found = Vec::new();
        for database in self.shards.iter().filter_map(|(_, shard)| shard.database(number)) {
            // A database may show as many again with fields that are due.
            let left = most.saturating_sub(found.len());
            database.each_due(horizon, left, hasher, &mut |slot| {
                if with_fields || !slot.is_live(horizon) {
                    found.push(slot.key().into());
                }
            });
        }
        found
    }
}
