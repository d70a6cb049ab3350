//! An array without holes whose growth never moves what is already there (beyond its first chunk).
//!
//! Removing moves the last item into the gap, so that every index below the length is in use.

use alloc::vec::Vec;

/// A dense array in chunks.
#[derive(Clone)]
pub struct Dense<T> {
    /// All but the last are full.
    chunks: Vec<Vec<T>>,
}

/// Items in a full chunk.
const CHUNK: usize = 256;

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Dense<T> {
    /// An empty array; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Bytes allocated by the array itself. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let last = self.chunks.last().map_or(0, Vec::capacity);
        let items = self.chunks.len().saturating_sub(1) * CHUNK + last;
        items * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }

    /// The item with this index.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// The same, for changing it.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    /// All items in the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.chunks.iter().flatten()
    }

    /// Adds an item; its index is the length before.
    pub fn push(&mut self, item: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => {
                if last.len() == last.capacity() {
                    // Never beyond a chunk, so that the memory can be told from the lengths.
                    last.reserve_exact(last.len().max(4).min(CHUNK - last.len()));
                }
                last.push(item);
            }
            _ => {
                let room = if self.chunks.is_empty() { 4 } else { CHUNK };
                let mut chunk = Vec::with_capacity(room);
                chunk.push(item);
                self.chunks.push(chunk);
            }
        }
    }

    /// Removes an item; the last one takes its index.
    pub fn swap_remove(&mut self, index: usize) -> Option<T> {
        self.get(index)?;
        let chunk = self.chunks.last_mut()?;
        let last = chunk.pop()?;
        if chunk.is_empty() {
            self.chunks.pop();
            if self.chunks.len() * 4 < self.chunks.capacity() {
                self.chunks.shrink_to(self.chunks.len() * 2);
            }
        }
        match self.get_mut(index) {
            Some(item) => Some(core::mem::replace(item, last)),
            None => Some(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::{below, seeded};
    use super::*;

    #[test]
    fn behaves_like_a_vector() {
        let mut random = seeded(13);
        let (mut dense, mut model) = (Dense::new(), Vec::new());
        for inserts in [9, 2, 8, 0] {
            for step in 0..5_000 {
                if random() % 10 < inserts {
                    dense.push(step);
                    model.push(step);
                } else {
                    let index = below(&mut random, model.len() + 1);
                    let expected = (index < model.len()).then(|| model.swap_remove(index));
                    assert_eq!(dense.swap_remove(index), expected);
                }
                let index = below(&mut random, model.len() + 1);
                assert_eq!(dense.get(index), model.get(index));
                assert_eq!((dense.len(), dense.is_empty()), (model.len(), model.is_empty()));
            }
            assert!(dense.iter().eq(&model));
            let capacity: usize = dense.chunks.iter().map(Vec::capacity).sum();
            assert_eq!(dense.heap_bytes(), capacity * 4 + dense.chunks.capacity() * 24);
        }
    }
}
