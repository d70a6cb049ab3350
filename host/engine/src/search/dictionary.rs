//! Words, or tags, with the documents that have them: found by their text, and in their order.
//!
//! Invariant: a word that no document has is not there.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use hashbrown::HashTable;

use super::postings::{BYTES_EACH, Postings};
use crate::types::hasher::Hasher;

/// The number of a word within its dictionary, for as long as some document has it.
pub(super) type WordId = u32;

/// About what a word takes beside its text.
const WORD_BYTES: usize = 112;

/// Words with their documents.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    table: HashTable<WordId>,
    ordered: BTreeMap<Arc<[u8]>, WordId>,
    words: Vec<Option<Word>>,
    free: Vec<WordId>,
    bytes: usize,
    /// How often words came and went.
    turns: u64,
}

/// A word.
#[derive(Clone, Debug)]
struct Word {
    text: Arc<[u8]>,
    documents: Postings,
}

impl Dictionary {
    /// How many words there are.
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }

    /// How often words came and went: who finds the same number again finds the same words.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        self.bytes
    }

    fn word(&self, id: WordId) -> Option<&Word> {
        self.words.get(id as usize)?.as_ref()
    }

    /// Notes that a document has a word; gives the word's number. The document must not have been
    /// noted with it.
    pub fn insert(&mut self, text: &[u8], document: u32, hasher: &Hasher) -> WordId {
        let id = match self.find(text, hasher) {
            Some(id) => id,
            None => self.add(text, hasher),
        };
        if let Some(Some(word)) = self.words.get_mut(id as usize)
            && word.documents.insert(document)
        {
            self.bytes += BYTES_EACH;
        }
        id
    }

    fn add(&mut self, text: &[u8], hasher: &Hasher) -> WordId {
        let text: Arc<[u8]> = text.into();
        self.turns += 1;
        let id = self.free.pop().unwrap_or(self.words.len() as WordId);
        if id as usize == self.words.len() {
            self.words.push(None);
        }
        let hash = hasher.hash(&text);
        self.ordered.insert(text.clone(), id);
        self.bytes += WORD_BYTES + text.len();
        if let Some(place) = self.words.get_mut(id as usize) {
            *place = Some(Word { text, documents: Postings::Empty });
        }
        let words = &self.words;
        let hash_of = |id: &WordId| {
            let word = words.get(*id as usize).and_then(Option::as_ref);
            word.map_or(0, |word| hasher.hash(&word.text))
        };
        self.table.insert_unique(hash, id, hash_of);
        id
    }

    /// Notes that a document has a word no longer.
    pub fn remove(&mut self, id: WordId, document: u32, hasher: &Hasher) {
        let Some(Some(word)) = self.words.get_mut(id as usize) else { return };
        if word.documents.remove(document) {
            self.bytes -= BYTES_EACH;
        }
        if !word.documents.is_empty() {
            return;
        }
        let text = word.text.clone();
        self.turns += 1;
        if let Ok(entry) = self.table.find_entry(hasher.hash(&text), |other| *other == id) {
            entry.remove();
        }
        self.ordered.remove(&text);
        self.words[id as usize] = None;
        self.free.push(id);
        self.bytes -= WORD_BYTES + text.len();
    }

    /// The number of a word, if some document has it.
    #[inline]
    pub fn find(&self, text: &[u8], hasher: &Hasher) -> Option<WordId> {
        let is_it = |id: &WordId| self.word(*id).is_some_and(|word| *word.text == *text);
        self.table.find(hasher.hash(text), is_it).copied()
    }

    /// The documents that have a word.
    pub fn documents(&self, id: WordId) -> &Postings {
        self.word(id).map_or(&Postings::Empty, |word| &word.documents)
    }

    /// The text of a word.
    pub fn text(&self, id: WordId) -> &[u8] {
        self.word(id).map_or(&[], |word| &word.text)
    }

    /// All words in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Postings)> {
        self.ordered.iter().map(|(text, id)| (&**text, self.documents(*id)))
    }

    /// The words that begin with this, in order.
    pub fn with_prefix<'d>(&'d self, prefix: &'d [u8]) -> impl Iterator<Item = &'d [u8]> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let words = self.ordered.range::<[u8], _>(from).map(|(text, _)| &**text);
        words.take_while(move |text| text.starts_with(prefix))
    }

    /// Recounts what it claims about itself; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        let mut bytes = 0;
        for (text, id) in &self.ordered {
            assert_eq!(self.find(text, hasher), Some(*id), "a word is found by its text");
            assert!(!self.documents(*id).is_empty(), "some document has the word");
            bytes += WORD_BYTES + text.len() + self.documents(*id).len() as usize * BYTES_EACH;
        }
        assert_eq!(self.table.len(), self.ordered.len(), "each word is in both orders");
        assert_eq!(self.bytes, bytes, "bytes of the words");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::format;
    use std::string::String;

    use super::*;
    use crate::types::random::below;

    #[test]
    fn a_dictionary_is_a_map_of_sets() {
        let hasher = Hasher::new(5);
        let mut state = 3_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state
        };
        let mut words = Dictionary::default();
        let mut model: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for round in 0..6000 {
            let text = format!("w{}", below(&mut random, 40));
            let document = below(&mut random, 5) as u32;
            let set = model.entry(text.clone()).or_default();
            if below(&mut random, 2) == 0 {
                set.insert(document);
                let id = words.insert(text.as_bytes(), document, &hasher);
                assert_eq!(words.text(id), text.as_bytes());
            } else if set.remove(&document) {
                let id = words.find(text.as_bytes(), &hasher).expect("some document has it");
                words.remove(id, document, &hasher);
            }
            model.retain(|_, set| !set.is_empty());
            if round % 100 == 0 {
                words.check(&hasher);
                let all = words.iter().map(|(text, set)| (text.to_vec(), set.to_set()));
                let known = model.iter();
                let known =
                    known.map(|(t, s)| (t.clone().into_bytes(), s.iter().copied().collect()));
                assert!(all.eq(known));
                let ones: Vec<_> = words.with_prefix(b"w1").collect();
                let known = model.keys().filter(|text| text.starts_with("w1"));
                assert!(ones.into_iter().eq(known.map(String::as_bytes)));
            }
        }
    }
}
