//! Words that are too frequent to be worth finding: neither indexed nor looked for.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Those of an index that names none of its own.
const DEFAULT: [&str; 33] = [
    "a", "and", "are", "as", "at", "an", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "was", "will", "with",
];

/// The stop words of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopWords {
    /// Those that every index has if it says nothing.
    Default,
    /// Its own, in lower case.
    Own(BTreeSet<Box<[u8]>>),
}

impl StopWords {
    /// Whether a word in lower case is one.
    #[inline]
    pub fn contain(&self, word: &[u8]) -> bool {
        /// Longer than any of the default ones.
        const LONG_BYTES: usize = 6;
        match self {
            Self::Default => {
                word.len() < LONG_BYTES && DEFAULT.iter().any(|stop| stop.as_bytes() == word)
            }
            Self::Own(words) => words.contains(word),
        }
    }

    /// Its own words in order, if it has any of its own.
    pub fn own(&self) -> Option<Vec<&[u8]>> {
        match self {
            Self::Default => None,
            Self::Own(words) => Some(words.iter().map(|word| &**word).collect()),
        }
    }
}
