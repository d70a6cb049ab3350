//! What a key can hold besides a packed string.

use alloc::vec::Vec;

use super::slot::allocated;
use crate::types::element::Element;
use crate::types::encoding::Encoding;
use crate::types::hash::Hash;
use crate::types::list::List;
use crate::types::number;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;

/// A value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the types'")]
pub enum Value {
    Text(Vec<u8>),
    Set(Set),
    Hash(Hash),
    List(List),
    SortedSet(SortedSet),
}

impl Value {
    /// As in TYPE.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::SortedSet(_) => "zset",
        }
    }

    /// As in OBJECT ENCODING.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Text(_) => "raw",
            Self::Set(set) => set.encoding().name(),
            Self::Hash(hash) => hash.encoding().name(),
            Self::List(list) => list.encoding().name(),
            Self::SortedSet(set) => set.encoding().name(),
        }
    }

    /// The elements in a canonical order: what `DEBUG DIGEST` and comparisons go by.
    pub fn elements(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Text(text) => alloc::vec![text.clone()],
            Self::Set(set) => {
                let mut members: Vec<_> = set.iter().map(Element::to_vec).collect();
                members.sort_unstable();
                members
            }
            Self::Hash(hash) => {
                let owned =
                    |(field, value): (Element<'_>, Element<'_>)| [field.to_vec(), value.to_vec()];
                let mut pairs: Vec<_> = hash.iter().map(owned).collect();
                pairs.sort_unstable();
                pairs.into_iter().flatten().collect()
            }
            Self::List(list) => list.iter().map(Element::to_vec).collect(),
            Self::SortedSet(set) => set.iter().flat_map(scored).collect(),
        }
    }

    /// How many allocations its end gives back, about; a packed value is one.
    pub fn parts(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::Set(set) if set.encoding() == Encoding::HashTable => set.len(),
            Self::Hash(hash) if hash.encoding() == Encoding::HashTable => hash.len(),
            Self::SortedSet(set) if set.encoding() == Encoding::SkipList => set.len(),
            Self::List(list) => list.nodes(),
            _ => 1,
        }
    }

    /// Bytes on the heap behind the value itself.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(text) => allocated(text.capacity()),
            Self::Set(set) => set.heap_bytes(),
            Self::Hash(hash) => hash.heap_bytes(),
            Self::List(list) => list.heap_bytes(),
            Self::SortedSet(set) => set.heap_bytes(),
        }
    }
}

/// A member and the text of its score.
fn scored((member, score): (Element<'_>, f64)) -> [Vec<u8>; 2] {
    let mut text = Vec::new();
    number::write_f64_shortest(&mut text, score);
    [member.to_vec(), text]
}

/// A collection that a key can hold: how to make one and how to find it in a [`Value`]. A key
/// never holds an empty one.
pub trait Collection: Sized {
    /// An empty one.
    fn empty() -> Self;
    /// As a value.
    fn into_value(self) -> Value;
    /// The one in `value`, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The one in `value`, for changing.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// Whether the key should go.
    fn is_empty(&self) -> bool;
    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize;
}

macro_rules! collection {
    ($type:ident) => {
        impl Collection for $type {
            fn empty() -> Self {
                Self::new()
            }
            fn into_value(self) -> Value {
                Value::$type(self)
            }
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$type(found) = value { Some(found) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$type(found) = value { Some(found) } else { None }
            }
            fn is_empty(&self) -> bool {
                self.len() == 0
            }
            fn heap_bytes(&self) -> usize {
                Self::heap_bytes(self)
            }
        }
    };
}

collection!(Set);
collection!(Hash);
collection!(List);
collection!(SortedSet);
