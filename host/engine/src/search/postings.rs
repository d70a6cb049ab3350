//! Which documents have something: a set of their numbers within one part of an index.
//!
//! Most words and tags belong to one document, so that one takes no allocation; more of them are a
//! compressed bitmap.

use roaring::RoaringBitmap;

/// A set of documents.
#[derive(Clone, Debug)]
pub enum Postings {
    /// None.
    Empty,
    /// One.
    One(u32),
    /// Any number.
    Many(RoaringBitmap),
}

/// About how many bytes one document takes in a bitmap.
pub(super) const BYTES_EACH: usize = 3;

impl Postings {
    /// Adds a document. Whether it is new.
    pub fn insert(&mut self, id: u32) -> bool {
        match self {
            Self::Empty => *self = Self::One(id),
            Self::One(only) if *only == id => return false,
            Self::One(only) => *self = Self::Many([*only, id].into_iter().collect()),
            Self::Many(set) => return set.insert(id),
        }
        true
    }

    /// Takes a document out. Whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::Empty => false,
            Self::One(only) => {
                let found = *only == id;
                if found {
                    *self = Self::Empty;
                }
                found
            }
            Self::Many(set) => {
                let found = set.remove(id);
                if set.is_empty() {
                    *self = Self::Empty;
                }
                found
            }
        }
    }

    /// Whether a document is in it.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        match self {
            Self::Empty => false,
            Self::One(only) => *only == id,
            Self::Many(set) => set.contains(id),
        }
    }

    /// How many documents there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(set) => set.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Adds all of them to a set.
    pub fn add_to(&self, set: &mut RoaringBitmap) {
        match self {
            Self::Empty => {}
            Self::One(only) => {
                set.insert(*only);
            }
            Self::Many(more) => *set |= more,
        }
    }

    /// As a set.
    pub fn to_set(&self) -> RoaringBitmap {
        let mut set = RoaringBitmap::new();
        self.add_to(&mut set);
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::types::random::below;

    #[test]
    fn postings_are_a_set() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state
        };
        let (mut postings, mut model) = (Postings::Empty, BTreeSet::new());
        for _ in 0..4000 {
            let id = below(&mut random, 6) as u32;
            if below(&mut random, 2) == 0 {
                assert_eq!(postings.insert(id), model.insert(id));
            } else {
                assert_eq!(postings.remove(id), model.remove(&id));
            }
            assert_eq!(postings.len(), model.len() as u64);
            assert_eq!(postings.is_empty(), model.is_empty());
            assert_eq!(postings.contains(id), model.contains(&id));
            assert!(postings.to_set().iter().eq(model.iter().copied()));
        }
    }
}
