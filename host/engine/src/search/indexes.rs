//! All indexes' parts in one shard. A database has one of these from its first index on, and tells
//! it what its keys hold; nothing else needs to.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::catalogue::Catalogue;
use super::cursors::Cursors;
use super::part::{Desk, Part};
use crate::keyspace::Value;
use crate::types::hasher::Hasher;

/// The parts of all indexes.
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    catalogue: Arc<Catalogue>,
    /// Of the catalogue, in one shard: all have it together.
    catalogue_bytes: usize,
    parts: Vec<Part>,
    desk: Desk,
    /// What is left of aggregations.
    pub cursors: Cursors,
    /// Whether what comes was there before: its order is that of the keys.
    pub is_loading: bool,
}

impl Indexes {
    /// Which indexes there are.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// The parts, in the order of the catalogue.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts, for changing.
    pub fn parts_mut(&mut self) -> &mut Vec<Part> {
        &mut self.parts
    }

    /// There is another catalogue, whose indexes are at the same places, and of which this shard
    /// counts so many bytes.
    pub fn set_catalogue(&mut self, catalogue: Arc<Catalogue>, bytes: usize) {
        self.catalogue = catalogue;
        self.catalogue_bytes = bytes;
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(Part::heap_bytes).sum();
        parts + self.catalogue_bytes + self.cursors.heap_bytes()
    }

    /// Whether some part has not seen all keys yet.
    pub fn is_scanning(&self) -> bool {
        self.parts.iter().any(|part| part.scan.is_some())
    }

    /// A key holds this now.
    #[inline]
    pub fn update(&mut self, hash: u64, key: &[u8], value: Option<&Value>, hasher: &Hasher) {
        let Self { catalogue, parts, desk, is_loading, .. } = self;
        let next = &mut || if *is_loading { 0 } else { catalogue.next_in_order() };
        for part in parts.iter_mut().filter(|part| part.schema().is_about(key)) {
            part.update((hash, key), value, desk, next, hasher);
        }
    }

    /// A key that was there before its indexes holds this: for those parts whose walk over all keys is
    /// at this place.
    pub fn meet_at(
        &mut self,
        at: u64,
        hash: u64,
        key: &[u8],
        value: Option<&Value>,
        hasher: &Hasher,
    ) {
        let Self { parts, desk, .. } = self;
        let is_met = |part: &&mut Part| part.scan == Some(at) && part.schema().is_about(key);
        for part in parts.iter_mut().filter(is_met) {
            part.update((hash, key), value, desk, &mut || 0, hasher);
        }
    }

    /// The walk over all keys goes on elsewhere; 0: it has seen all.
    pub fn go_on(&mut self, at: u64, next: u64) {
        let walking = self.parts.iter_mut().filter(|part| part.scan == Some(at));
        walking.for_each(|part| part.scan = (next != 0).then_some(next));
    }

    /// Every document goes, and the indexes see all keys anew.
    pub fn begin_anew(&mut self) {
        for part in &mut self.parts {
            *part = Part::new(part.schema().clone());
            part.scan = Some(0);
        }
    }

    /// Compares with what the same keys lead to from scratch; panics on a contradiction.
    pub fn check<'s>(
        &self,
        slots: impl Iterator<Item = (&'s [u8], Option<&'s Value>)>,
        hasher: &Hasher,
    ) {
        let parts = self.parts.iter().map(|part| Part::new(part.schema().clone()));
        let mut scratch = Self { parts: parts.collect(), is_loading: true, ..Self::default() };
        for (key, value) in slots {
            scratch.update(hasher.hash(key), key, value, hasher);
        }
        for (part, other) in self.parts.iter().zip(&scratch.parts) {
            part.check(hasher);
            other.check(hasher);
            if part.scan.is_none() && !part.is_partial {
                part.assert_same(other);
            }
        }
    }

    /// A key is gone.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &[u8], hasher: &Hasher) {
        for part in self.parts.iter_mut().filter(|part| part.schema().is_about(key)) {
            part.remove(hash, key, hasher);
        }
    }

    /// What is left when all keys are gone at once: no index.
    pub fn emptied(&self) -> Self {
        Self { catalogue: Arc::new(self.catalogue.emptied()), ..Self::default() }
    }
}
