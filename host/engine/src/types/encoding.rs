//! The forms that a collection can have inside, with the names that OBJECT ENCODING gives them.

/// How a value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Sorted integers.
    IntSet,
    /// One packed sequence.
    Listpack,
    /// One packed sequence, beside it the times at which some of its fields expire.
    ListpackEx,
    /// A hash table.
    HashTable,
    /// A queue of packed sequences.
    Quicklist,
    /// A hash table beside an ordered tree; named after what Redis has in its place.
    SkipList,
    /// A tree of packed sequences.
    Stream,
}

impl Encoding {
    /// The name that clients see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IntSet => "intset",
            Self::Listpack => "listpack",
            Self::ListpackEx => "listpackex",
            Self::HashTable => "hashtable",
            Self::Quicklist => "quicklist",
            Self::SkipList => "skiplist",
            Self::Stream => "stream",
        }
    }
}
