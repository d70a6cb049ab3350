//! What a key can hold besides a packed string.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::slot::allocated;
use crate::types::element::Element;
use crate::types::encoding::Encoding;
use crate::types::hash::Hash;
use crate::types::hasher::Hasher;
use crate::types::json::{self, Document, Json};
use crate::types::list::List;
use crate::types::number;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;
use crate::types::stream::Stream;
use crate::types::stream_id::Id;
use crate::types::stream_node::Entry;
use crate::types::suggestions::Suggestions;

/// A value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the types'")]
pub enum Value {
    Text(Vec<u8>),
    Set(Set),
    Hash(Hash),
    List(List),
    SortedSet(SortedSet),
    Stream(Box<Stream>),
    Json(Box<Document>),
    Suggestions(Box<Suggestions>),
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
            Self::Stream(_) => "stream",
            Self::Json(_) => "ReJSON-RL",
            Self::Suggestions(_) => "trietype0",
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
            Self::Stream(_) => Encoding::Stream.name(),
            // As OBJECT ENCODING says of all that modules of Redis keep.
            Self::Json(_) | Self::Suggestions(_) => "raw",
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
            Self::Stream(stream) => stream.range(Id::MIN, Id::MAX).flat_map(digested).collect(),
            Self::Json(document) => alloc::vec![json::write::compact(document.root())],
            Self::Suggestions(suggestions) => suggested(suggestions),
        }
    }

    /// What belongs to the value besides its elements, in a canonical order: what comparisons go
    /// by and digests do not, because Redis leaves it out.
    pub fn surroundings(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Stream(stream) => surroundings_of(stream),
            _ => Vec::new(),
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
            Self::Stream(stream) => stream.parts(),
            Self::Json(document) => document.parts(),
            Self::Suggestions(suggestions) => suggestions.parts(),
            _ => 1,
        }
    }

    /// Recounts what the value claims about itself; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        match self {
            Self::Text(_) => {}
            Self::Set(set) => set.check(hasher),
            Self::Hash(hash) => hash.check(hasher),
            Self::List(list) => list.check(),
            Self::SortedSet(set) => set.check(hasher),
            Self::Stream(stream) => stream.check(),
            Self::Json(document) => document.check(),
            Self::Suggestions(suggestions) => suggestions.check(),
        }
        let is_empty = match self {
            Self::Text(_) | Self::Stream(_) | Self::Json(_) => false,
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::SortedSet(set) => set.is_empty(),
            Self::Suggestions(suggestions) => suggestions.is_empty(),
        };
        assert!(!is_empty, "no key holds an empty collection");
    }

    /// Bytes on the heap behind the value itself.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(text) => allocated(text.capacity()),
            Self::Set(set) => set.heap_bytes(),
            Self::Hash(hash) => hash.heap_bytes(),
            Self::List(list) => list.heap_bytes(),
            Self::SortedSet(set) => set.heap_bytes(),
            Self::Stream(stream) => allocated(size_of::<Stream>()) + stream.heap_bytes(),
            Self::Json(document) => allocated(size_of::<Document>()) + document.heap_bytes(),
            Self::Suggestions(suggestions) => {
                allocated(size_of::<Suggestions>()) + suggestions.heap_bytes()
            }
        }
    }
}

/// A member and the text of its score.
fn scored((member, score): (Element<'_>, f64)) -> [Vec<u8>; 2] {
    let mut text = Vec::new();
    number::write_f64_shortest(&mut text, score);
    [member.to_vec(), text]
}

/// Texts with their scores and payloads.
fn suggested(suggestions: &Suggestions) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    suggestions.each(&mut |text, suggestion| {
        let mut score = Vec::new();
        number::write_f64_shortest(&mut score, suggestion.score.into());
        all.extend([text.to_vec(), score]);
        all.push(suggestion.payload.as_deref().unwrap_or_default().to_vec());
    });
    all
}

/// An entry of a stream: its id the way that digests have it, then fields and values.
fn digested(entry: Entry<'_>) -> impl Iterator<Item = Vec<u8>> {
    let mut id = Vec::new();
    number::write_u64(&mut id, entry.id.ms);
    id.push(b'.');
    number::write_u64(&mut id, entry.id.seq);
    let pairs = entry.pairs.flat_map(|(field, value)| [field.to_vec(), value.to_vec()]);
    core::iter::once(id).chain(pairs)
}

/// What a stream remembers, and its groups.
fn surroundings_of(stream: &Stream) -> Vec<Vec<u8>> {
    let mut all = alloc::vec![format!("{:?}", stream.marks()).into_bytes()];
    for (name, group) in stream.groups() {
        all.push(name.to_vec());
        all.push(format!("{:?}", group.cursor).into_bytes());
        for consumer in group.consumers().flatten() {
            all.push(consumer.name().to_vec());
            all.push(format!("{:?}", consumer.times).into_bytes());
            for id in consumer.pending() {
                let known = group.pending(*id).map(|one| (one.delivered_at, one.deliveries));
                all.push(format!("{id:?} {known:?}").into_bytes());
            }
        }
    }
    all
}

/// A collection that a key can hold: how to make one and how to find it in a [`Value`]. A key
/// never holds one that should go.
pub trait Collection: Sized {
    /// An empty one.
    fn empty() -> Self;
    /// As a value.
    fn into_value(self) -> Value;
    /// The one in `value`, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The one in `value`, for changing.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// Whether the key should go: because nothing is left, except for streams.
    fn should_go(&self) -> bool;
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
            fn should_go(&self) -> bool {
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

/// Without entries a stream still has its groups and its last id, so its key stays.
impl Collection for Stream {
    fn empty() -> Self {
        Self::new()
    }
    fn into_value(self) -> Value {
        Value::Stream(Box::new(self))
    }
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Stream(found) = value { Some(found) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Stream(found) = value { Some(found) } else { None }
    }
    fn should_go(&self) -> bool {
        false
    }
    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }
}

impl Collection for Suggestions {
    fn empty() -> Self {
        Self::new()
    }
    fn into_value(self) -> Value {
        Value::Suggestions(Box::new(self))
    }
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Suggestions(found) = value { Some(found) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Suggestions(found) = value { Some(found) } else { None }
    }
    fn should_go(&self) -> bool {
        self.is_empty()
    }
    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }
}

/// A document is never nothing: an empty one is a value as others are.
impl Collection for Document {
    fn empty() -> Self {
        Self::new(Json::Null)
    }
    fn into_value(self) -> Value {
        Value::Json(Box::new(self))
    }
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Json(found) = value { Some(found) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Json(found) = value { Some(found) } else { None }
    }
    fn should_go(&self) -> bool {
        false
    }
    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }
}
