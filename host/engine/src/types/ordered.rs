//! A map that remembers the order in which its keys came: for lists that people write and read
//! again, whose entries are found, replaced and removed without looking at all of them.
//!
//! Invariant: both halves hold the same entries. Every operation takes logarithmic time.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A map in the order of insertion.
#[derive(Clone, Debug)]
pub struct Ordered<V> {
    places: BTreeMap<Arc<[u8]>, u64>,
    entries: BTreeMap<u64, (Arc<[u8]>, V)>,
    next: u64,
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self { places: BTreeMap::new(), entries: BTreeMap::new(), next: 0 }
    }
}

impl<V> Ordered<V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
    }

    /// The value of a key.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let place = self.places.get(key)?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    /// Whether there is this key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.places.contains_key(key)
    }

    /// Puts an entry at the end; one with the same key goes.
    pub fn push(&mut self, key: &[u8], value: V) {
        self.remove(key);
        let key: Arc<[u8]> = key.into();
        self.places.insert(key.clone(), self.next);
        self.entries.insert(self.next, (key, value));
        self.next += 1;
    }

    /// Removes an entry. Whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some(place) = self.places.remove(key) else { return false };
        self.entries.remove(&place).is_some()
    }

    /// Removes all entries whose keys begin so.
    pub fn remove_prefix(&mut self, prefix: &[u8]) {
        let from: Arc<[u8]> = prefix.into();
        let meant: Vec<Arc<[u8]>> = self
            .places
            .range(from..)
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(prefix))
            .cloned()
            .collect();
        for key in meant {
            self.remove(&key);
        }
    }

    /// All entries, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &V)> {
        self.entries.values().map(|(key, value)| (&**key, value))
    }
}

impl<V: PartialEq> PartialEq for Ordered<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for Ordered<V> {}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn keys<V>(map: &Ordered<V>) -> Vec<&[u8]> {
        assert_eq!(map.places.len(), map.entries.len());
        map.iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn entries_keep_their_order_and_go_by_prefix() {
        let mut map = Ordered::default();
        for key in [b"config".as_slice(), b"get", b"config|get", b"config|set", b"configs"] {
            map.push(key, ());
        }
        map.push(b"config", ());
        assert_eq!(keys(&map).last(), Some(&b"config".as_slice()));
        map.remove_prefix(b"config|");
        assert_eq!(keys(&map), [b"get".as_slice(), b"configs", b"config"]);
        assert!(map.remove(b"get") && !map.remove(b"get"));
        map.clear();
        assert!(map.is_empty());
    }

    #[test]
    fn it_behaves_as_a_list_of_pairs() {
        let mut state = 5_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        let (mut map, mut model) = (Ordered::default(), Vec::<(u8, u64)>::new());
        for step in 0..2000 {
            let key = (random() % 40) as u8;
            if random().is_multiple_of(3) {
                assert_eq!(map.remove(&[key]), model.iter().any(|(other, _)| *other == key));
                model.retain(|(other, _)| *other != key);
            } else {
                map.push(&[key], step);
                model.retain(|(other, _)| *other != key);
                model.push((key, step));
            }
            assert!(map.iter().map(|(key, value)| (key[0], *value)).eq(model.iter().copied()));
            assert_eq!(map.contains(&[key]), map.get_mut(&[key]).is_some());
        }
    }
}
