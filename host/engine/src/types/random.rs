//! Random numbers as the data types take them: a function that the caller hands in.
//!
//! The types own no generator, so that one seed decides everything a whole engine does.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// A source of uniformly distributed 64-bit numbers.
pub type Random<'a> = dyn FnMut() -> u64 + 'a;

/// A uniformly distributed number below `bound`, which must not be zero.
pub fn below(random: &mut Random<'_>, bound: usize) -> usize {
    debug_assert!(bound > 0, "nothing lies below zero");
    let bound = bound as u64;
    // Multiply and keep the high half; the few low halves that would favour some results are drawn
    // again (Lemire 2018).
    let unfair = bound.wrapping_neg() % bound.max(1);
    loop {
        let wide = u128::from(random()) * u128::from(bound);
        if wide as u64 >= unfair {
            return (wide >> 64) as usize;
        }
    }
}

/// Brings `count` randomly chosen elements in random order to the front (all, if there are fewer).
pub fn shuffle_front<T>(items: &mut [T], count: usize, random: &mut Random<'_>) {
    for index in 0..count.min(items.len()) {
        let other = index + below(random, items.len() - index);
        items.swap(index, other);
    }
}

/// `count` different numbers below `bound` in random order, or all of them if there are not so many.
#[must_use]
pub fn distinct_below(bound: usize, count: usize, random: &mut Random<'_>) -> Vec<usize> {
    if count.saturating_mul(4) >= bound {
        let mut all: Vec<usize> = (0..bound).collect();
        shuffle_front(&mut all, count, random);
        all.truncate(count);
        return all;
    }
    let (mut chosen, mut seen) = (Vec::with_capacity(count), BTreeSet::new());
    while chosen.len() < count {
        let number = below(random, bound);
        if seen.insert(number) {
            chosen.push(number);
        }
    }
    chosen
}

/// A small generator for choices that need to be fair, not secret (splitmix64).
pub(crate) fn seeded(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut random = seeded(1);
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[below(&mut random, 6)] += 1;
        }
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
        assert_eq!(below(&mut random, 1), 0);
    }

    #[test]
    fn distinct_numbers_are_distinct_and_evenly_chosen() {
        let mut random = seeded(2);
        for (bound, count) in [(0, 3), (1, 1), (10, 3), (10, 10), (10, 50), (1000, 5)] {
            let mut seen = distinct_below(bound, count, &mut random);
            assert_eq!(seen.len(), count.min(bound));
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count.min(bound));
            assert!(seen.iter().all(|number| *number < bound));
        }
        let mut hits = [0_u32; 10];
        for _ in 0..20_000 {
            distinct_below(10, 3, &mut random).into_iter().for_each(|number| hits[number] += 1);
        }
        assert!(hits.iter().all(|count| (5_700..6_300).contains(count)), "{hits:?}");
    }
}
