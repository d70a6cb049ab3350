//! One index's part in one shard: the documents of its keys, and by what they are found.
//!
//! Invariants: a document is found by exactly what its key holds; `bytes` is the sum of the
//! documents' heap bytes; a number of a document is given again when its document has gone.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashTable;
use roaring::RoaringBitmap;

use super::dictionary::{Dictionary, WordId};
use super::document::{Document, Entry, Sizes, SortValue, Term, write_positions};
use super::drafting::{Draft, Unfit};
use super::failures::Failures;
use super::language::Language;
use super::numbers::Numbers;
use super::postings::BYTES_EACH;
use super::schema::{Field, FieldType, Schema};
use super::source::Source;
use super::{phonetic, stemming, tokens};
use crate::keyspace::Value;
use crate::types::hasher::Hasher;

/// A part of an index.
#[derive(Clone, Debug)]
pub struct Part {
    schema: Arc<Schema>,
    ids: HashTable<u32>,
    documents: Vec<Option<Box<Document>>>,
    free: Vec<u32>,
    live: RoaringBitmap,
    words: Dictionary,
    tags: Vec<Dictionary>,
    numbers: Vec<Numbers>,
    /// The documents without a field, of the fields that are found by it.
    missing: Vec<RoaringBitmap>,
    /// The lengths of all documents together.
    length_total: u64,
    bytes: usize,
    sizes: Sizes,
    /// Documents that could not be indexed so far.
    pub failures: Failures,
    /// How many times documents were taken in.
    pub writes: u64,
    /// Where the walk over what was there before the index has come to, if it goes on.
    pub scan: Option<u64>,
    /// Whether what was there before the index is left out.
    pub is_partial: bool,
    /// What sets fingerprints of documents apart from those under an earlier schema.
    mark: u64,
}

/// What all parts of one shard need to take a document in, kept so that it is not made each time.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    draft: Draft,
    occurrences: Vec<Occurrence>,
}

/// A word at a place.
#[derive(Clone, Copy, Debug)]
struct Occurrence {
    word: WordId,
    position: u32,
    field: u32,
    weight: u32,
}

/// So far apart are several texts of one field, beside the step from one word to the next.
const TEXT_GAP: u32 = 99;

/// What one document takes beside what it owns.
const DOCUMENT_BYTES: usize = size_of::<Document>() + size_of::<Option<Box<Document>>>() + 8;

impl Part {
    /// Without any document.
    pub fn new(schema: Arc<Schema>) -> Self {
        let fields = schema.fields.len();
        Self {
            schema,
            ids: HashTable::new(),
            documents: Vec::new(),
            free: Vec::new(),
            live: RoaringBitmap::new(),
            words: Dictionary::default(),
            tags: (0..fields).map(|_| Dictionary::default()).collect(),
            numbers: (0..fields).map(|_| Numbers::default()).collect(),
            missing: alloc::vec![RoaringBitmap::new(); fields],
            length_total: 0,
            bytes: 0,
            sizes: Sizes::default(),
            failures: Failures::default(),
            writes: 0,
            scan: None,
            is_partial: false,
            mark: 0,
        }
    }

    /// From now on there are more fields; documents have them from their next change on.
    pub fn widen(&mut self, schema: Arc<Schema>) {
        self.tags.resize_with(schema.fields.len(), Dictionary::default);
        self.numbers.resize_with(schema.fields.len(), Numbers::default);
        self.missing.resize_with(schema.fields.len(), RoaringBitmap::new);
        self.schema = schema;
    }

    /// Sees all keys again; until then documents are found by what they were under the schema before.
    pub fn begin_anew(&mut self) {
        /// Odd, so that no mark comes again.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        self.mark = self.mark.wrapping_add(STEP);
        self.scan = Some(0);
        self.failures = Failures::default();
    }

    /// What it is a part of.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(Dictionary::heap_bytes).sum();
        let numbers: usize = self.numbers.iter().map(Numbers::heap_bytes).sum();
        let missing: u64 = self.missing.iter().map(RoaringBitmap::len).sum();
        self.bytes + self.words.heap_bytes() + tags + numbers + missing as usize * BYTES_EACH
    }

    /// What its documents add to the figures of the index.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many numbers were given to documents so far.
    pub fn numbers_given(&self) -> usize {
        self.documents.len()
    }

    /// The lengths of all documents together.
    pub fn length_total(&self) -> u64 {
        self.length_total
    }

    /// The numbers of all documents.
    pub fn live(&self) -> &RoaringBitmap {
        &self.live
    }

    /// The words.
    pub fn words(&self) -> &Dictionary {
        &self.words
    }

    /// The tags of a field.
    pub fn tags(&self, field: usize) -> Option<&Dictionary> {
        self.tags.get(field)
    }

    /// The numbers of a field.
    pub fn numbers(&self, field: usize) -> Option<&Numbers> {
        self.numbers.get(field)
    }

    /// The documents without a field that is found by that.
    pub fn missing(&self, field: usize) -> Option<&RoaringBitmap> {
        self.missing.get(field)
    }

    /// A document.
    #[inline]
    pub fn document(&self, id: u32) -> Option<&Document> {
        self.documents.get(id as usize)?.as_deref()
    }

    /// The number of a document whose key is known.
    pub fn id_of(&self, document: &Document) -> Option<u32> {
        self.id(document.hash, &document.key)
    }

    /// The number of a key's document.
    pub fn id(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.ids.find(hash, |id| self.has_key(*id, key)).copied()
    }

    fn has_key(&self, id: u32, key: &[u8]) -> bool {
        self.document(id).is_some_and(|document| *document.key == *key)
    }

    /// A key holds this now. `next` gives the place of a new document in the order of all.
    pub(super) fn update(
        &mut self,
        (hash, key): (u64, &[u8]),
        value: Option<&Value>,
        desk: &mut Desk,
        next: &mut dyn FnMut() -> u64,
        hasher: &Hasher,
    ) {
        let schema = self.schema.clone();
        let source = value.and_then(|value| Source::of(value, schema.documents, hasher));
        if !source.is_some_and(|source| desk.draft.gather(&schema, key, &source)) {
            return self.remove(hash, key, hasher);
        }
        let fingerprint = desk.draft.fingerprint(hasher) ^ self.mark;
        let known = self.id(hash, key);
        let before = known.and_then(|id| self.document(id));
        if before.is_some_and(|document| document.fingerprint == fingerprint) {
            return;
        }
        let numbers = match draft_numbers(&schema, &desk.draft) {
            Ok(numbers) => numbers,
            Err((field, unfit)) => {
                self.failures.note(field, unfit, key, next());
                return self.remove(hash, key, hasher);
            }
        };
        // What is only looked at again keeps its place.
        let sequence = match next() {
            0 => before.map_or(0, |document| document.sequence),
            sequence => sequence,
        };
        self.writes += 1;
        if let Some(id) = known {
            self.take_back(id, hasher);
        }
        let id = known.or_else(|| self.free.pop()).unwrap_or(self.documents.len() as u32);
        let document = Document {
            sequence,
            fingerprint,
            hash,
            ..self.take_in(id, key, numbers, desk, hasher)
        };
        if known.is_none() {
            let documents = &self.documents;
            let hash_of = |id: &u32| {
                let document = documents.get(*id as usize).and_then(Option::as_deref);
                document.map_or(hash, |document| hasher.hash(&document.key))
            };
            self.ids.insert_unique(hash, id, hash_of);
            self.live.insert(id);
        }
        self.put(id, document);
    }

    fn put(&mut self, id: u32, document: Document) {
        self.length_total += u64::from(document.length);
        self.bytes += document.heap_bytes() + DOCUMENT_BYTES;
        self.sizes.add(document.sizes());
        if id as usize >= self.documents.len() {
            self.documents.resize_with(id as usize + 1, || None);
        }
        self.documents[id as usize] = Some(Box::new(document));
    }

    /// A key holds nothing that the index is about.
    pub(super) fn remove(&mut self, hash: u64, key: &[u8], hasher: &Hasher) {
        let documents = &self.documents;
        let is_it = |id: &u32| {
            let document = documents.get(*id as usize).and_then(Option::as_deref);
            document.is_some_and(|document| *document.key == *key)
        };
        let Ok(entry) = self.ids.find_entry(hash, is_it) else { return };
        let (id, _) = entry.remove();
        self.take_back(id, hasher);
        self.live.remove(id);
        self.free.push(id);
    }

    /// Takes back everything that a document is found by, and the document.
    fn take_back(&mut self, id: u32, hasher: &Hasher) {
        let Some(document) = self.documents.get_mut(id as usize).and_then(Option::take) else {
            return;
        };
        self.length_total -= u64::from(document.length);
        self.bytes -= document.heap_bytes() + DOCUMENT_BYTES;
        self.sizes.take(document.sizes());
        for term in &document.terms {
            self.words.remove(term.word, id, hasher);
        }
        for missing in &mut self.missing {
            missing.remove(id);
        }
        for (field, entry) in document.entries.iter().enumerate() {
            if let Entry::Tags(tags) = entry {
                tags.iter().for_each(|tag| self.tags[field].remove(*tag, id, hasher));
            } else if self.schema.fields.get(field).is_some_and(|field| field.is_indexed) {
                let numbers = &mut self.numbers[field];
                entry.numbers().iter().for_each(|value| numbers.remove(*value, id));
            }
        }
    }

    /// Notes everything that a document is found by.
    fn take_in(
        &mut self,
        id: u32,
        key: &[u8],
        numbers: Vec<Vec<f64>>,
        desk: &mut Desk,
        hasher: &Hasher,
    ) -> Document {
        let schema = self.schema.clone();
        let Desk { draft, occurrences } = desk;
        occurrences.clear();
        let mut entries = Vec::with_capacity(schema.fields.len());
        let (mut sorts, mut position, mut length) = (Vec::new(), 0, 0_u32);
        let has_sorts = schema.fields.iter().any(|field| field.is_sortable);
        for (place, (field, values)) in schema.fields.iter().zip(numbers).enumerate() {
            if has_sorts {
                sorts.push(sort_value(field, place, draft, &values));
            }
            if field.indexes_missing && draft.lacks(place) {
                self.missing[place].insert(id);
            }
            entries.push(match &field.kind {
                FieldType::Text { weight, no_stem, phonetic, number } if field.is_indexed => {
                    let form = Form {
                        field: *number,
                        weight: *weight,
                        language: draft.language,
                        is_stemmed: !no_stem,
                        is_phonetic: phonetic.is_some(),
                    };
                    for (number_of_text, text) in draft.texts(place).enumerate() {
                        if number_of_text > 0 {
                            position += TEXT_GAP;
                        }
                        let mut note = Noting { part: self, occurrences, id, hasher };
                        if field.indexes_empty && text.is_empty() {
                            position += 1;
                            note.note(b"", position, *number, 1);
                        }
                        length = length.saturating_add(note.words(text, form, &mut position));
                    }
                    Entry::Nothing
                }
                FieldType::Tag { separator, case_sensitive } if field.is_indexed => {
                    let form = TagForm {
                        separator: *separator,
                        case_sensitive: *case_sensitive,
                        keeps_empty: field.indexes_empty,
                    };
                    self.take_tags(id, place, draft.texts(place), form, hasher)
                }
                FieldType::Numeric | FieldType::Geo => self.take_numbers(id, place, field, values),
                _ => Entry::Nothing,
            });
        }
        let keeps_positions = !schema.keeping.no_offsets;
        let (terms, positions) = gather_terms(occurrences, keeps_positions);
        let frequency_max = terms.iter().map(|term| term.frequency).max().unwrap_or(0);
        Document {
            key: key.into(),
            hash: 0,
            sequence: 0,
            fingerprint: 0,
            score: draft.score,
            length,
            frequency_max,
            terms: terms.into(),
            positions: positions.into(),
            entries: entries.into(),
            sorts: sorts.into(),
        }
    }

    fn take_numbers(&mut self, id: u32, place: usize, field: &Field, values: Vec<f64>) -> Entry {
        if field.is_indexed {
            values.iter().for_each(|value| self.numbers[place].insert(*value, id));
        }
        match *values {
            [] => Entry::Nothing,
            [one] => Entry::Number(one),
            _ => Entry::Numbers(values.into()),
        }
    }

    fn take_tags<'t>(
        &mut self,
        id: u32,
        place: usize,
        texts: impl Iterator<Item = &'t [u8]>,
        form: TagForm,
        hasher: &Hasher,
    ) -> Entry {
        let mut ids = Vec::new();
        let dictionary = &mut self.tags[place];
        for text in texts {
            for tag in text.split(|byte| Some(*byte) == form.separator) {
                let tag = fold_tag(tag, form.case_sensitive);
                if form.keeps_empty || !tag.is_empty() {
                    ids.push(dictionary.insert(&tag, id, hasher));
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() { Entry::Nothing } else { Entry::Tags(ids.into()) }
    }

    /// Compares with another part of the same index; panics if the two find something else.
    pub fn assert_same(&self, other: &Self) {
        let key = |part: &'_ Self, id: u32| {
            part.document(id).map(|document| document.key.to_vec()).unwrap_or_default()
        };
        let found = |part: &Self, words: &Dictionary| {
            let keys = |ids: RoaringBitmap| {
                ids.iter().map(|id| key(part, id)).collect::<alloc::collections::BTreeSet<_>>()
            };
            words.iter().map(|(text, set)| (text.to_vec(), keys(set.to_set()))).collect::<Vec<_>>()
        };
        assert_eq!(found(self, &self.words), found(other, &other.words), "words");
        for (tags, tags_of_other) in self.tags.iter().zip(&other.tags) {
            assert_eq!(found(self, tags), found(other, tags_of_other), "tags");
        }
        for (missing, missing_of_other) in self.missing.iter().zip(&other.missing) {
            let keys = |part: &Self, ids: &RoaringBitmap| {
                ids.iter().map(|id| key(part, id)).collect::<alloc::collections::BTreeSet<_>>()
            };
            assert_eq!(keys(self, missing), keys(other, missing_of_other), "missing fields");
        }
        for (numbers, numbers_of_other) in self.numbers.iter().zip(&other.numbers) {
            let sorted = |part: &Self, numbers: &Numbers| {
                let pairs = numbers.iter().map(|(bits, id)| (bits, key(part, id)));
                pairs.collect::<alloc::collections::BTreeSet<_>>()
            };
            assert_eq!(sorted(self, numbers), sorted(other, numbers_of_other), "numbers");
        }
        for document in self.live.iter().filter_map(|id| self.document(id)) {
            let id = other.id(document.hash, &document.key);
            let same = id.and_then(|id| other.document(id)).expect("the same documents");
            let facts = |part: &Self, document: &Document| {
                (
                    document.fingerprint ^ part.mark,
                    document.length,
                    document.frequency_max,
                    document.sorts.clone(),
                )
            };
            assert_eq!(facts(self, document), facts(other, same), "what is known of a document");
        }
        assert_eq!(self.len(), other.len(), "the same documents");
    }

    /// Recounts what the part claims about itself; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        self.words.check(hasher);
        self.tags.iter().for_each(|tags| tags.check(hasher));
        let (mut bytes, mut length, mut postings, mut numbers) = (0, 0, 0, 0);
        let mut sizes = Sizes::default();
        for id in &self.live {
            let document = self.document(id).expect("a live document is there");
            assert_eq!(
                self.id(hasher.hash(&document.key), &document.key),
                Some(id),
                "found by key"
            );
            bytes += document.heap_bytes() + DOCUMENT_BYTES;
            sizes.add(document.sizes());
            length += u64::from(document.length);
            postings += document.terms.len() as u64;
            for term in &document.terms {
                assert!(self.words.documents(term.word).contains(id), "found by its words");
            }
            for (field, entry) in document.entries.iter().enumerate() {
                if let Entry::Tags(tags) = entry {
                    let found = |tag: &WordId| self.tags[field].documents(*tag).contains(id);
                    assert!(tags.iter().all(found), "found by its tags");
                    postings += tags.len() as u64;
                } else if self.schema.fields[field].is_indexed {
                    let distinct: alloc::collections::BTreeSet<u64> =
                        entry.numbers().iter().map(|value| (value + 0.0).to_bits()).collect();
                    numbers += distinct.len();
                }
            }
        }
        assert_eq!(self.ids.len() as u64, self.live.len(), "each document has its key");
        let are_live = |ids: &RoaringBitmap| ids.is_subset(&self.live);
        assert!(self.missing.iter().all(are_live), "who misses a field is there");
        assert_eq!((self.bytes, self.length_total), (bytes, length), "bytes and length");
        assert_eq!(self.sizes, sizes, "figures");
        let all = core::iter::once(&self.words).chain(&self.tags).flat_map(Dictionary::iter);
        let found: u64 = all.map(|(_, documents)| documents.len()).sum();
        assert_eq!(found, postings, "nothing is found that no document has");
        let found: usize = self.numbers.iter().map(Numbers::len).sum();
        assert_eq!(found, numbers, "no number is found that no document has");
    }
}

/// Notes the words of texts.
struct Noting<'a> {
    part: &'a mut Part,
    occurrences: &'a mut Vec<Occurrence>,
    id: u32,
    hasher: &'a Hasher,
}

/// How tags are told apart.
#[derive(Clone, Copy)]
struct TagForm {
    separator: Option<u8>,
    case_sensitive: bool,
    keeps_empty: bool,
}

/// How the words of a field are noted.
#[derive(Clone, Copy)]
struct Form {
    field: u32,
    weight: f64,
    language: Language,
    is_stemmed: bool,
    is_phonetic: bool,
}

impl Noting<'_> {
    /// Notes the words of a text; gives what they add to the document's length.
    fn words(&mut self, text: &[u8], form: Form, position: &mut u32) -> u32 {
        /// How much less a stem counts than the word itself.
        const STEM_FACTOR: f64 = 0.2;
        let mut length = 0_u32;
        let schema = self.part.schema.clone();
        let Form { field, weight, language, .. } = form;
        let frequency = (weight as u32).max(1);
        let frequency_of_stem = ((weight * STEM_FACTOR) as u32).max(1);
        language.each_word(text, &mut |word, _, is_next| {
            if schema.stop_words.contain(word) {
                return;
            }
            *position += u32::from(is_next);
            length = length.saturating_add(frequency);
            self.note(word, *position, field, frequency);
            for group in schema.synonyms.get(word).into_iter().flatten() {
                self.note(&tokens::marked(tokens::GROUP_MARK, group), *position, field, frequency);
            }
            if form.is_stemmed
                && word.len() >= stemming::WORD_BYTES_MIN
                && let Some(stem) = language.stem(word).filter(|stem| **stem != *word)
            {
                let stem = tokens::marked(tokens::STEM_MARK, &stem);
                self.note(&stem, *position, field, frequency_of_stem);
            }
            if form.is_phonetic
                && let Some(code) = phonetic::code(word)
            {
                let sound = tokens::marked(tokens::SOUND_MARK, &code);
                self.note(&sound, *position, field, frequency);
            }
        });
        length
    }

    fn note(&mut self, word: &[u8], position: u32, field: u32, weight: u32) {
        let word = self.part.words.insert(word, self.id, self.hasher);
        self.occurrences.push(Occurrence { word, position, field, weight });
    }
}

/// The words of a document with their positions.
fn gather_terms(occurrences: &mut [Occurrence], keeps_positions: bool) -> (Vec<Term>, Vec<u8>) {
    occurrences.sort_unstable_by_key(|one| (one.word, one.position));
    let (mut terms, mut positions) = (Vec::new(), Vec::new());
    for same in occurrences.chunk_by(|one, next| one.word == next.word) {
        let Some(first) = same.first() else { continue };
        let frequency = same.iter().fold(0_u32, |sum, one| sum.saturating_add(one.weight));
        let fields = same.iter().fold(0_u64, |set, one| set | 1 << (one.field & 63));
        terms.push(Term { word: first.word, frequency, fields, from: positions.len() as u32 });
        if keeps_positions {
            write_positions(&mut positions, same.iter().map(|one| one.position));
        }
    }
    (terms, positions)
}

/// The numbers of all fields, if every field holds what it can be found by.
fn draft_numbers(schema: &Schema, draft: &Draft) -> Result<Vec<Vec<f64>>, (usize, Unfit)> {
    let fields = schema.fields.iter().enumerate();
    let parsed = fields.map(|(place, field)| {
        let parsed = match &field.kind {
            FieldType::Numeric | FieldType::Geo => {
                draft.numbers(place, &field.kind, schema.documents)
            }
            _ => draft.check_texts(place).map(|()| Vec::new()),
        };
        parsed.map_err(|unfit| (place, unfit))
    });
    parsed.collect()
}

/// A tag as it is kept: without blanks around it, and in lower case if case does not matter.
pub(super) fn fold_tag(tag: &[u8], case_sensitive: bool) -> Vec<u8> {
    let mut tag = tag.trim_ascii().to_vec();
    tag.truncate(tokens::WORD_BYTES_MAX);
    if !case_sensitive {
        tokens::lower(&mut tag);
    }
    tag
}

/// What a document sorts by in one field.
fn sort_value(field: &Field, place: usize, draft: &Draft, numbers: &[f64]) -> SortValue {
    if !field.is_sortable {
        return SortValue::Nothing;
    }
    match field.kind {
        FieldType::Numeric => numbers.first().map_or(SortValue::Nothing, |v| SortValue::Number(*v)),
        _ => draft.texts(place).next().map_or(SortValue::Nothing, |text| {
            let mut text = text.to_vec();
            if !field.is_raw_sortable {
                tokens::lower(&mut text);
            }
            SortValue::Text(text.into())
        }),
    }
}
