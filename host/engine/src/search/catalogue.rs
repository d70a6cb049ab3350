//! Which indexes there are, under which names, and what queries go by: the same for all shards.
//!
//! A catalogue is a value that all shards share; a command that changes it holds all shards and gives
//! each the new one.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::schema::Schema;

/// Indexes, their other names, dictionaries and options.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The indexes, in the order of their parts in every shard.
    pub indexes: Vec<Arc<Schema>>,
    /// Other names for indexes.
    pub aliases: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// Words that spelling is checked by.
    pub dictionaries: BTreeMap<Box<[u8]>, BTreeSet<Box<[u8]>>>,
    /// What queries go by.
    pub options: Options,
    /// How many documents were written so far.
    sequence: Arc<AtomicU64>,
}

/// What queries go by if they do not say it themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// For how long a query may run; 0: as long as it takes.
    pub timeout_ms: u64,
    /// Whether a query that takes too long fails, and does not give what it has.
    pub fails_late: bool,
    /// Which dialect of the query language.
    pub dialect: u8,
    /// How many results a search can give at most.
    pub results_max: u64,
    /// How many rows an aggregation can give at most.
    pub rows_max: u64,
    /// How long the beginning of a word must be that is looked for.
    pub prefix_bytes_min: usize,
    /// How many words a pattern can stand for.
    pub expansions_max: usize,
}

impl Options {
    /// So many rows are as good as any number: nobody wants to give memory for more.
    pub const RESULTS_MAX: u64 = 10_000_000;

    /// How many results a search may be asked for: without a limit, any count means all that there are.
    pub fn asked_results_max(&self) -> u64 {
        if self.results_max >= Self::RESULTS_MAX { u64::MAX } else { self.results_max }
    }

    /// The same of an aggregation's rows.
    pub fn asked_rows_max(&self) -> u64 {
        if self.rows_max >= Self::RESULTS_MAX { u64::MAX } else { self.rows_max }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout_ms: 500,
            fails_late: false,
            dialect: 1,
            results_max: 1_000_000,
            rows_max: Self::RESULTS_MAX,
            prefix_bytes_min: 2,
            expansions_max: 200,
        }
    }
}

impl Catalogue {
    /// Where an index is, by its name.
    pub fn place(&self, name: &[u8]) -> Option<usize> {
        self.indexes.iter().position(|schema| *schema.name == *name)
    }

    /// Where an index is, by any of its names.
    pub fn resolve(&self, name: &[u8]) -> Option<usize> {
        self.place(name).or_else(|| self.place(self.aliases.get(name)?))
    }

    /// The place of the next document in the order of all.
    pub fn next_in_order(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether there is nothing that a copy would have to know.
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty() && self.dictionaries.is_empty()
    }

    /// What is left when all data is gone.
    pub fn emptied(&self) -> Self {
        Self { options: self.options.clone(), ..Self::default() }
    }

    /// Bytes on the heap that dictionaries and synonyms take, about.
    pub fn heap_bytes(&self) -> usize {
        /// What a place in a map or a set takes.
        const PLACE_BYTES: usize = 2 * size_of::<Box<[u8]>>();
        let bytes = |words: &BTreeSet<Box<[u8]>>| -> usize {
            words.iter().map(|word| word.len() + PLACE_BYTES).sum()
        };
        let synonyms = self.indexes.iter().flat_map(|schema| &schema.synonyms);
        let synonyms = synonyms.map(|(term, groups)| term.len() + PLACE_BYTES + bytes(groups));
        self.dictionaries.values().map(bytes).sum::<usize>() + synonyms.sum::<usize>()
    }

    /// The commands that lead to the same catalogue, each with its name.
    pub fn commands(&self) -> Vec<Vec<Box<[u8]>>> {
        let word = |text: &str| Box::<[u8]>::from(text.as_bytes());
        let mut all = Vec::new();
        for schema in &self.indexes {
            let mut command = alloc::vec![word("FT.CREATE"), schema.name.clone()];
            command.extend(schema.words.iter().cloned());
            all.push(command);
            for fields in &schema.additions {
                let mut command = alloc::vec![word("FT.ALTER"), schema.name.clone()];
                command.extend([word("SCHEMA"), word("ADD")]);
                command.extend(fields.iter().cloned());
                all.push(command);
            }
        }
        for (alias, index) in &self.aliases {
            all.push(alloc::vec![word("FT.ALIASADD"), alias.clone(), index.clone()]);
        }
        for schema in &self.indexes {
            for (term, groups) in &schema.synonyms {
                for group in groups {
                    let (name, skip) = (word("FT.SYNUPDATE"), word("SKIPINITIALSCAN"));
                    let (index, group) = (schema.name.clone(), group.clone());
                    all.push(alloc::vec![name, index, group, skip, term.clone()]);
                }
            }
        }
        for (name, words) in &self.dictionaries {
            let mut command = alloc::vec![word("FT.DICTADD"), name.clone()];
            command.extend(words.iter().cloned());
            all.push(command);
        }
        all
    }
}
