//! Numbers in order, each with the document that has it.

use alloc::collections::BTreeSet;

use roaring::RoaringBitmap;

/// An index of numbers.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    ordered: BTreeSet<(u64, u32)>,
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The number.
    pub value: f64,
    /// Whether the number itself is no longer part of the range.
    pub is_exclusive: bool,
}

/// Numbers from here to there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumericRange {
    /// The lower end.
    pub low: Limit,
    /// The upper end.
    pub high: Limit,
}

impl NumericRange {
    /// Whether a number is in it.
    pub fn contains(&self, value: f64) -> bool {
        let above = value > self.low.value || value == self.low.value && !self.low.is_exclusive;
        let below = value < self.high.value || value == self.high.value && !self.high.is_exclusive;
        above && below
    }
}

/// About how many bytes a number takes.
const BYTES_EACH: usize = size_of::<(u64, u32)>() * 3 / 2;

/// The bits of a number such that they are ordered as numbers are.
fn ordered(value: f64) -> u64 {
    // Both zeros are one number.
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The number with these ordered bits.
fn value(ordered: u64) -> f64 {
    f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered })
}

impl Numbers {
    /// Notes that a document has a number, which is not `NaN`.
    pub fn insert(&mut self, value: f64, document: u32) {
        self.ordered.insert((ordered(value), document));
    }

    /// Notes that it has it no longer.
    pub fn remove(&mut self, value: f64, document: u32) {
        self.ordered.remove(&(ordered(value), document));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        self.ordered.len() * BYTES_EACH
    }

    /// The documents with a number in a range.
    pub fn within(&self, range: &NumericRange) -> RoaringBitmap {
        let NumericRange { low, high } = range;
        if low.value.is_nan() || high.value.is_nan() {
            return RoaringBitmap::new();
        }
        // Behind all documents of a number lies the next number.
        let from = ordered(low.value).checked_add(u64::from(low.is_exclusive));
        let below = ordered(high.value).checked_add(u64::from(!high.is_exclusive));
        let (Some(from), Some(below)) = (from, below) else { return RoaringBitmap::new() };
        if from >= below {
            return RoaringBitmap::new();
        }
        self.ordered.range((from, 0)..(below, 0)).map(|(_, document)| *document).collect()
    }

    /// Shows the numbers from one up to, but without, another, with their documents.
    pub fn each_between(&self, from: f64, below: f64, show: &mut dyn FnMut(f64, u32)) {
        let (from, below) = (ordered(from), ordered(below));
        if from < below {
            let found = self.ordered.range((from, 0)..(below, 0));
            found.for_each(|(bits, document)| show(value(*bits), *document));
        }
    }

    /// All numbers with their documents, to compare.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.ordered.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn ranges_have_what_a_scan_finds() {
        let values = [-1e300, -3.5, -0.0, 0.0, 1.0, 2.0, 2.0, 7.25, f64::INFINITY];
        let mut numbers = Numbers::default();
        // Each is that of document 0 once.
        for first in 0..values.len() as u32 {
            let mut numbers = Numbers::default();
            for (document, value) in (0..).zip(values) {
                numbers.insert(value, (document + first) % values.len() as u32);
            }
            for (low, high) in values.iter().flat_map(|low| values.map(|high| (*low, high))) {
                let limit = |value| Limit { value, is_exclusive: true };
                let range = NumericRange { low: limit(low), high: limit(high) };
                let count = values.iter().filter(|value| range.contains(**value)).count();
                assert_eq!(numbers.within(&range).len(), count as u64, "{range:?}");
            }
        }
        for (document, value) in (0..).zip(values) {
            numbers.insert(value, document);
        }
        let ends = [f64::NEG_INFINITY, -3.5, 0.0, 1.0, 2.0, 3.0, f64::INFINITY];
        for (low, high) in ends.iter().flat_map(|low| ends.iter().map(move |high| (*low, *high))) {
            for exclusive in 0..4 {
                let range = NumericRange {
                    low: Limit { value: low, is_exclusive: exclusive & 1 == 1 },
                    high: Limit { value: high, is_exclusive: exclusive & 2 == 2 },
                };
                let expected: Vec<u32> = (0..)
                    .zip(values)
                    .filter(|(_, value)| range.contains(*value))
                    .map(|(document, _)| document)
                    .collect();
                assert_eq!(
                    numbers.within(&range).iter().collect::<Vec<_>>(),
                    expected,
                    "{range:?}"
                );
            }
        }
        assert_eq!(numbers.len(), values.len());
        numbers.remove(2.0, 5);
        assert_eq!(numbers.len(), values.len() - 1);
    }
}
