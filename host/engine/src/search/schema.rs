//! What an index is about: which keys, and which of their fields are found how.
//!
//! A schema never changes; an altered index has a new one. Many documents refer to the fields by
//! their place, so fields are only ever added.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::expression::Expression;
use super::language::Language;
use super::source::Path;
use super::stop_words::StopWords;
use crate::clock::Millis;

/// Most fields of an index.
pub const FIELDS_MAX: usize = 1024;
/// Most text fields of an index that is altered and was not made for more.
pub const TEXT_FIELDS_MAX: usize = 32;
/// Most text fields of any index: a set of them is one machine word.
pub const TEXT_FIELDS_MAX_WIDE: usize = 64;

/// Stands for a document's key where fields are named.
pub const KEY: &[u8] = b"__key";

/// Words that mean the same: the names of the groups that a word belongs to.
pub type Synonyms = BTreeMap<Box<[u8]>, BTreeSet<Box<[u8]>>>;

/// What kind of keys an index is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentType {
    /// Hashes.
    Hash,
    /// JSON documents.
    Json,
}

impl DocumentType {
    /// As in FT.INFO.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "HASH",
            Self::Json => "JSON",
        }
    }
}

/// How a field is found.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldType {
    /// By the words in it.
    Text {
        /// How much more an occurrence counts than one.
        weight: f64,
        /// Whether words are only found as they are.
        no_stem: bool,
        /// Whether words that sound alike are found, and what was said so with.
        phonetic: Option<&'static str>,
        /// Where it stands among the text fields.
        number: u32,
    },
    /// By whole values.
    Tag {
        /// What separates several; none: the whole is one.
        separator: Option<u8>,
        /// Whether case matters.
        case_sensitive: bool,
    },
    /// By ranges.
    Numeric,
    /// By distance.
    Geo,
}

impl FieldType {
    /// As in FT.INFO.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "TEXT",
            Self::Tag { .. } => "TAG",
            Self::Numeric => "NUMERIC",
            Self::Geo => "GEO",
        }
    }
}

/// A field of a schema.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where its value is in a document, as it was written.
    pub path: Box<[u8]>,
    /// The same, understood.
    pub source: Path,
    /// What queries call it.
    pub name: Box<[u8]>,
    /// How it is found.
    pub kind: FieldType,
    /// Whether results can be sorted by it without looking at the document.
    pub is_sortable: bool,
    /// Whether it sorts as it is written, and not in lower case.
    pub is_raw_sortable: bool,
    /// Whether it is found at all.
    pub is_indexed: bool,
    /// Whether words are to be found by their ends (which they are in any case).
    pub has_suffixes: bool,
    /// Whether it is found by having an empty text.
    pub indexes_empty: bool,
    /// Whether it is found by not being there.
    pub indexes_missing: bool,
}

/// What an index keeps of the text beside which documents have a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// `NOOFFSETS`: not where words stand.
    pub no_offsets: bool,
    /// `NOHL`: not what highlighting needs.
    pub no_highlights: bool,
    /// `NOFIELDS`: not in which field.
    pub no_fields: bool,
    /// `NOFREQS`: not how often.
    pub no_frequencies: bool,
    /// `MAXTEXTFIELDS`: there may be many text fields.
    pub many_texts: bool,
}

/// How much an index is used. That is no part of what it is: copies count for themselves.
#[derive(Debug, Default)]
pub struct Uses {
    count: AtomicU64,
    /// The last time, in milliseconds; 0: not yet.
    at_ms: AtomicU64,
    /// How many documents had been written then.
    writes: AtomicU64,
    /// In which dialects it was asked, a bit for each.
    dialects: AtomicU8,
    /// How many words there were when words had come and gone so often.
    words: AtomicU64,
    turns: AtomicU64,
}

impl Uses {
    /// It exists from now on.
    pub fn begin(&self, now: Millis) {
        self.at_ms.store(now.get(), Ordering::Relaxed);
    }

    /// It is used now.
    pub fn note(&self, now: Millis) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.at_ms.store(now.get(), Ordering::Relaxed);
    }

    /// It is asked something in a dialect.
    pub fn note_dialect(&self, dialect: u8) {
        self.dialects.fetch_or(1 << (dialect & 7), Ordering::Relaxed);
    }

    /// Whether it was asked something in a dialect.
    pub fn has_dialect(&self, dialect: u8) -> bool {
        self.dialects.load(Ordering::Relaxed) & 1 << (dialect & 7) != 0
    }

    /// How many words there are, which is only counted if some came or went since it was last. All
    /// shards are held, so nobody else counts.
    pub fn words(&self, turns: u64, count: impl FnOnce() -> u64) -> u64 {
        if self.turns.swap(turns, Ordering::Relaxed) != turns {
            self.words.store(count(), Ordering::Relaxed);
        }
        self.words.load(Ordering::Relaxed)
    }

    /// How often it was used.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody has used it for so long. Writing documents is use as well.
    pub fn are_over(&self, now: Millis, idle_s: u64, writes: u64) -> bool {
        let is_first = self.at_ms.load(Ordering::Relaxed) == 0;
        let is_written = self.writes.swap(writes, Ordering::Relaxed) != writes;
        if is_first || is_written {
            self.at_ms.store(now.get(), Ordering::Relaxed);
        }
        self.left_ms(now, idle_s) == 0
    }

    /// For how long it stays if nobody uses it.
    pub fn left_ms(&self, now: Millis, idle_s: u64) -> u64 {
        let end = self.at_ms.load(Ordering::Relaxed).saturating_add(idle_s.saturating_mul(1000));
        end.saturating_sub(now.get())
    }
}

/// What is the same for all documents of an index unless a field of theirs says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The language, as it was named.
    pub language: Option<Box<[u8]>>,
    /// The field with the language.
    pub language_field: Option<Box<[u8]>>,
    /// The score, if one was given.
    pub score: Option<f64>,
    /// The field with the score.
    pub score_field: Option<Box<[u8]>>,
    /// The field with the payload.
    pub payload_field: Option<Box<[u8]>>,
}

/// A definition of an index.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Its name.
    pub name: Box<[u8]>,
    /// The kind of keys.
    pub documents: DocumentType,
    /// What the keys begin with; one of them is enough.
    pub prefixes: Vec<Box<[u8]>>,
    /// What must be true of a document, and how that was written.
    pub filter: Option<(Box<[u8]>, Expression)>,
    /// What holds for all documents.
    pub defaults: Defaults,
    /// What means the same.
    pub synonyms: Synonyms,
    /// What is not looked for.
    pub stop_words: StopWords,
    /// What is kept.
    pub keeping: Keeping,
    /// For how many seconds of disuse it exists, if not for ever.
    pub temporary_s: Option<u64>,
    /// How it is used.
    pub uses: Arc<Uses>,
    /// The fields.
    pub fields: Vec<Field>,
    /// The words of the command that makes it, without the command's name and the index's.
    pub words: Vec<Box<[u8]>>,
    /// The words of the fields that each later command adds. Behind the others they would read as
    /// options of the field in front.
    pub additions: Vec<Vec<Box<[u8]>>>,
}

impl Schema {
    /// Whether a key's name is one of those that the index is about.
    #[inline]
    pub fn is_about(&self, key: &[u8]) -> bool {
        self.prefixes.iter().any(|prefix| key.starts_with(prefix))
    }

    /// The field that queries call so.
    pub fn field(&self, name: &[u8]) -> Option<(usize, &Field)> {
        self.fields.iter().enumerate().find(|(_, field)| *field.name == *name)
    }

    /// The same, but a field is also found by where its value is.
    pub fn field_or_path(&self, name: &[u8]) -> Option<(usize, &Field)> {
        let by_path = || self.fields.iter().enumerate().find(|(_, field)| *field.path == *name);
        self.field(name).or_else(by_path)
    }

    /// Whether it is as it was made, without later additions.
    pub fn is_new(&self) -> bool {
        self.additions.is_empty()
    }

    /// How many text fields there are.
    pub fn texts(&self) -> usize {
        self.fields.iter().filter(|field| matches!(field.kind, FieldType::Text { .. })).count()
    }

    /// The text fields that are found by empty texts.
    pub fn emptiable_fields(&self) -> u64 {
        self.fields.iter().fold(0, |fields, field| match field.kind {
            FieldType::Text { number, .. } if field.indexes_empty => fields | 1 << number,
            _ => fields,
        })
    }

    /// The text fields in which words are found that sound alike.
    pub fn sounding_fields(&self) -> u64 {
        self.fields.iter().fold(0, |fields, field| match field.kind {
            FieldType::Text { phonetic: Some(_), number, .. } => fields | 1 << number,
            _ => fields,
        })
    }

    /// The language of documents that do not say theirs.
    pub fn language(&self) -> Language {
        let name = self.defaults.language.as_deref();
        name.and_then(Language::of_name).unwrap_or_default()
    }
}
