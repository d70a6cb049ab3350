//! What an index knows of one document: everything that has to be taken back when the document
//! changes, and what scores and sorting need.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::dictionary::WordId;

/// A document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its key.
    pub key: Box<[u8]>,
    /// The hash of its key.
    pub hash: u64,
    /// When it was written last, in the order of all documents; 0 if it was there before.
    pub sequence: u64,
    /// A hash of all that was indexed, to see whether something changed.
    pub fingerprint: u64,
    /// Its own score.
    pub score: f64,
    /// How often words occur in it, weighted.
    pub length: u32,
    /// How often the most frequent word occurs in it, weighted.
    pub frequency_max: u32,
    /// Its words, by number.
    pub terms: Box<[Term]>,
    /// Where words stand: for each term distances, seven bits a byte.
    pub positions: Box<[u8]>,
    /// What its fields have, by the fields' places.
    pub entries: Box<[Entry]>,
    /// What it sorts by, by the places of all fields; empty without sortable ones.
    pub sorts: Box<[SortValue]>,
}

/// What a document adds to the figures of its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Words, each counted once.
    pub records: u64,
    /// Places of words.
    pub places: u64,
    /// What these take.
    pub place_bytes: u64,
    /// What it sorts by takes.
    pub sort_bytes: u64,
    /// Its key takes.
    pub key_bytes: u64,
}

impl Sizes {
    fn each(&mut self, other: Self, act: fn(u64, u64) -> u64) {
        self.records = act(self.records, other.records);
        self.places = act(self.places, other.places);
        self.place_bytes = act(self.place_bytes, other.place_bytes);
        self.sort_bytes = act(self.sort_bytes, other.sort_bytes);
        self.key_bytes = act(self.key_bytes, other.key_bytes);
    }

    /// Adds those of a document, or of a part.
    pub fn add(&mut self, other: Self) {
        self.each(other, |one, other| one + other);
    }

    /// Takes those of a document away.
    pub fn take(&mut self, other: Self) {
        self.each(other, |one, other| one - other);
    }
}

/// A word of a document.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// Its number.
    pub word: WordId,
    /// How often it occurs, weighted.
    pub frequency: u32,
    /// In which text fields.
    pub fields: u64,
    /// Where its positions begin.
    pub from: u32,
}

/// What one field has.
#[derive(Clone, Debug, Default)]
pub enum Entry {
    /// Nothing, or words.
    #[default]
    Nothing,
    /// A number, or a position.
    Number(f64),
    /// Several.
    Numbers(Box<[f64]>),
    /// Tags.
    Tags(Box<[WordId]>),
}

impl Entry {
    /// The numbers.
    pub fn numbers(&self) -> &[f64] {
        match self {
            Self::Number(one) => core::slice::from_ref(one),
            Self::Numbers(more) => more,
            _ => &[],
        }
    }
}

/// What a document sorts by.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SortValue {
    /// Nothing: it comes last.
    #[default]
    Nothing,
    /// A number.
    Number(f64),
    /// A text.
    Text(Box<[u8]>),
}

impl Document {
    /// A word of it.
    #[inline]
    pub fn term(&self, word: WordId) -> Option<&Term> {
        let found = self.terms.binary_search_by_key(&word, |term| term.word).ok()?;
        self.terms.get(found)
    }

    /// Where a word stands, in order.
    pub fn positions(&self, term: &Term) -> Positions<'_> {
        Positions { bytes: self.positions.get(term.from as usize..).unwrap_or_default(), at: 0 }
    }

    /// What it adds to the figures of its index.
    pub fn sizes(&self) -> Sizes {
        // Each place ends with a byte whose high bit is not set; so does each list.
        let ends = self.positions.iter().filter(|byte| **byte & 0x80 == 0).count() as u64;
        let records = self.terms.len() as u64;
        Sizes {
            records,
            places: ends.saturating_sub(records),
            place_bytes: self.positions.len() as u64,
            sort_bytes: (size_of_val(&*self.sorts) + self.sort_text_bytes()) as u64,
            key_bytes: self.key.len() as u64,
        }
    }

    fn sort_text_bytes(&self) -> usize {
        let sorts = self.sorts.iter().map(|sort| match sort {
            SortValue::Text(text) => text.len(),
            _ => 0,
        });
        sorts.sum()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let entries = self.entries.iter().map(|entry| match entry {
            Entry::Nothing | Entry::Number(_) => 0,
            Entry::Numbers(numbers) => size_of_val(&**numbers),
            Entry::Tags(tags) => size_of_val(&**tags),
        });
        self.key.len()
            + size_of_val(&*self.terms)
            + self.positions.len()
            + size_of_val(&*self.entries)
            + entries.sum::<usize>()
            + size_of_val(&*self.sorts)
            + self.sort_text_bytes()
    }
}

/// The places of a word, in order.
#[derive(Clone, Debug)]
pub struct Positions<'d> {
    bytes: &'d [u8],
    at: u32,
}

impl Iterator for Positions<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (mut distance, mut shift) = (0_u32, 0);
        loop {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            distance |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        // A distance of nothing ends the list: no word stands twice at one place.
        if distance == 0 {
            self.bytes = &[];
            return None;
        }
        self.at += distance;
        Some(self.at)
    }
}

/// Appends where a word stands, in ascending order, from 1 on.
pub(super) fn write_positions(out: &mut Vec<u8>, positions: impl Iterator<Item = u32>) {
    let mut last = 0;
    for position in positions {
        let mut distance = position - last;
        last = position;
        while distance >= 0x80 {
            out.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        out.push(distance as u8);
    }
    out.push(0);
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn positions_come_back_in_order() {
        let lists = [vec![1, 2, 3], vec![], vec![5, 127, 128, 300, 1 << 20], vec![70_000]];
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for list in &lists {
            starts.push(bytes.len());
            write_positions(&mut bytes, list.iter().copied());
        }
        for (list, start) in lists.iter().zip(starts) {
            let positions = Positions { bytes: &bytes[start..], at: 0 };
            assert!(positions.eq(list.iter().copied()));
        }
    }
}
