//! Integers in ascending order, in one allocation, each as wide as the widest needs.
//!
//! The bytes are exactly the "intset" of Redis and its RDB files: the width of an integer (2, 4 or 8
//! bytes) and their number as u32, then the integers, all little endian. Finding is a binary search;
//! changing moves what is behind.

use alloc::vec::Vec;

/// A sorted set of integers.
#[derive(Clone, Default)]
pub struct IntSet {
    /// Empty, or header and integers.
    bytes: Vec<u8>,
}

const HEADER_BYTES: usize = 8;

impl IntSet {
    /// An empty set; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Takes over the bytes of an intset from outside, after checking them.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let width = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        let count = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
        let expected = (width as usize).checked_mul(count)?.checked_add(HEADER_BYTES)?;
        if !matches!(width, 2 | 4 | 8) || bytes.len() != expected {
            return None;
        }
        let set = Self { bytes };
        set.iter().is_sorted_by(|a, b| a < b).then_some(set)
    }

    /// The intset as Redis would store it; nothing at all if nothing was ever inserted.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of integers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER_BYTES) / self.width()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The integer with this index in ascending order.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// Whether `value` is inside.
    #[must_use]
    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// All integers in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + Clone {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Inserts an integer; false if it was there.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(index) = self.search(value) else { return false };
        let width = width_of(value);
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_BYTES, 0);
            self.bytes[0] = width;
        } else if usize::from(width) > self.width() {
            self.widen(width);
        }
        let (width, start) = (self.width(), self.offset(index));
        let length = self.bytes.len();
        self.reserve(width);
        self.bytes.resize(length + width, 0);
        self.bytes.copy_within(start..length, start + width);
        self.bytes[start..start + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.write_count();
        true
    }

    /// Removes an integer; false if it was not there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.search(value) else { return false };
        let (width, start) = (self.width(), self.offset(index));
        self.bytes.copy_within(start + width.., start);
        self.bytes.truncate(self.bytes.len() - width);
        self.write_count();
        if self.bytes.len() * 2 < self.bytes.capacity() {
            self.bytes.shrink_to(self.bytes.len() + self.bytes.len() / 8);
        }
        true
    }

    /// Checks every byte; panics on a contradiction.
    pub fn check(&self) {
        let valid = self.bytes.is_empty() || Self::from_bytes(self.bytes.clone()).is_some();
        assert!(valid, "a valid intset");
    }

    /// Bytes of an integer.
    fn width(&self) -> usize {
        self.bytes.first().map_or(8, |width| usize::from(*width))
    }

    fn offset(&self, index: usize) -> usize {
        HEADER_BYTES + index * self.width()
    }

    fn at(&self, index: usize) -> i64 {
        let width = self.width();
        let start = HEADER_BYTES + index * width;
        let mut wide = [0; 8];
        wide[8 - width..].copy_from_slice(&self.bytes[start..start + width]);
        i64::from_le_bytes(wide) >> (64 - 8 * width)
    }

    fn search(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let found = self.at(middle);
            if found == value {
                return Ok(middle);
            }
            if found < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Err(low)
    }

    fn widen(&mut self, width: u8) {
        let mut wider = Vec::with_capacity(HEADER_BYTES + (self.len() + 1) * usize::from(width));
        wider.extend_from_slice(&self.bytes[..HEADER_BYTES]);
        wider[0] = width;
        for value in self.iter() {
            wider.extend_from_slice(&value.to_le_bytes()[..usize::from(width)]);
        }
        self.bytes = wider;
    }

    /// Makes room with little to spare: there are many small sets.
    fn reserve(&mut self, extra: usize) {
        let wanted = self.bytes.len() + extra;
        if wanted > self.bytes.capacity() {
            let wanted = (wanted + wanted / 8).next_multiple_of(16);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
    }

    fn write_count(&mut self) {
        let count = self.len() as u32;
        self.bytes[4..8].copy_from_slice(&count.to_le_bytes());
    }
}

const fn width_of(value: i64) -> u8 {
    match value {
        -0x8000..0x8000 => 2,
        -0x8000_0000..0x8000_0000 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::random::seeded;
    use super::*;

    #[test]
    fn behaves_like_a_sorted_set() {
        for shift in [0, 16, 32, 48, 54] {
            let mut random = seeded(shift);
            let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
            for _ in 0..3_000 {
                let value = random() as i64 >> (random() % (shift + 1)).max(shift / 2);
                if random().is_multiple_of(3) {
                    let value = model.iter().next().copied().unwrap_or(value);
                    assert_eq!(set.remove(value), model.remove(&value));
                } else {
                    assert_eq!(set.insert(value), model.insert(value));
                }
                assert_eq!(set.contains(value), model.contains(&value));
                assert_eq!(set.len(), model.len());
            }
            set.check();
            assert!(set.iter().eq(model.iter().copied()));
            assert!(set.iter().rev().eq(model.iter().rev().copied()));
            assert_eq!(set.get(model.len()), None);
        }
    }

    #[test]
    fn bytes_are_those_of_redis() {
        let mut set = IntSet::new();
        assert!(set.insert(2) && set.insert(-1));
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 2, 0]);
        assert!(set.insert(i64::MAX) && set.insert(i64::MIN));
        assert_eq!(set.as_bytes().len(), 8 + 4 * 8);
        assert!(set.iter().eq([i64::MIN, -1, 2, i64::MAX]));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let good = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0];
        assert!(IntSet::from_bytes(good.to_vec()).is_some());
        for (at, byte) in [(0, 3), (0, 4), (1, 1), (4, 3), (7, 0x80), (8, 2), (8, 3)] {
            let mut bad = good;
            bad[at] = byte;
            assert!(IntSet::from_bytes(bad.to_vec()).is_none(), "{bad:?}");
        }
        assert!(IntSet::from_bytes(good[..11].to_vec()).is_none());
        assert!(IntSet::from_bytes(good[..7].to_vec()).is_none());
    }
}
