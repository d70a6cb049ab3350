//! A distribution of durations in nanoseconds, exact to within one percent: what LATENCY HISTOGRAM
//! and INFO latencystats tell.
//!
//! Buckets are as wide as their values are large: 128 to each doubling. The same buckets, hence the
//! same answers, as the histogram of two significant digits that Redis uses. Counting is the
//! caller's, who may do so from several threads: this file knows which bucket a duration belongs to
//! and what the counts mean.

use alloc::vec::Vec;

/// Buckets per doubling.
const HALF: usize = 128;
/// Longer durations count as this long.
const NS_MAX: u64 = 1_000_000_000;
/// How many buckets there are.
pub const BUCKETS: usize = index_of(NS_MAX) + 1;

/// The bucket of a duration.
#[inline]
pub const fn index_of(ns: u64) -> usize {
    let ns = if ns > NS_MAX { NS_MAX } else { ns };
    // Below twice HALF every value has its bucket; above, the upper eight bits decide.
    let shift = (u64::BITS - (ns | (2 * HALF as u64 - 1)).leading_zeros() - 8) as usize;
    shift * HALF + (ns >> shift) as usize
}

/// The longest duration of a bucket.
const fn highest_of(index: usize) -> u64 {
    if index < 2 * HALF {
        return index as u64;
    }
    let shift = index / HALF - 1;
    let within = (index - shift * HALF) as u64;
    ((within + 1) << shift) - 1
}

/// Counts per bucket.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: alloc::vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// Adds `count` durations of a bucket.
    pub fn add(&mut self, index: usize, count: u64) {
        self.counts[index.min(BUCKETS - 1)] += count;
        self.total += count;
    }

    /// How many durations there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration that so many percent do not exceed.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let share = percent.clamp(0.0, 100.0) / 100.0 * self.total as f64;
        // Rounded to the nearest, and at least the first.
        let rank = ((share + 0.5) as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest_of(index);
            }
        }
        0
    }

    /// For bounds that double: the bound in microseconds, and how many durations are within it. Only
    /// bounds that add some.
    pub fn cumulative_us(&self) -> Vec<(u64, u64)> {
        const FIRST_NS: u64 = 1024;
        let mut bounds = Vec::new();
        let (mut next, mut seen, mut told) = (FIRST_NS, 0, 0);
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if index == index_of(next) || index + 1 == BUCKETS {
                if seen > told {
                    bounds.push((highest_of(index) / 1000, seen));
                    told = seen;
                }
                next = (next * 2).min(NS_MAX);
            }
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket_and_buckets_are_narrow() {
        for ns in
            (0..5_000).chain((0..30).flat_map(|bit| [1 << bit, (1 << bit) + 1, (1 << bit) - 1]))
        {
            let index = index_of(ns);
            let lowest = index.checked_sub(1).map_or(0, |below| highest_of(below) + 1);
            assert!((lowest..=highest_of(index)).contains(&ns), "{ns} {index}");
            assert!(highest_of(index) - lowest <= ns / 128, "{ns}");
        }
        assert_eq!(index_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_redis() {
        let mut histogram = Histogram::default();
        for _ in 0..99 {
            histogram.add(index_of(3_000), 1);
        }
        histogram.add(index_of(18_000), 1);
        // As INFO latencystats of a redis-server shows 3 and 18 microseconds: 3.007 and 18.047.
        assert_eq!(histogram.percentile_ns(50.0), 3_007);
        assert_eq!(histogram.percentile_ns(99.0), 3_007);
        assert_eq!(histogram.percentile_ns(99.9), 18_047);
        assert_eq!(histogram.percentile_ns(0.0), 3_007);
        assert_eq!(Histogram::default().percentile_ns(50.0), 0);
    }

    #[test]
    fn bounds_double_and_count_what_is_within() {
        let mut histogram = Histogram::default();
        [500, 900, 1_500, 30_000, 2_000_000_000]
            .iter()
            .for_each(|ns| histogram.add(index_of(*ns), 1));
        let bounds = histogram.cumulative_us();
        assert_eq!(bounds[..3], [(1, 2), (2, 3), (33, 4)]);
        assert_eq!(bounds.len(), 4);
        assert_eq!(bounds[3].1, histogram.total());
    }
}
