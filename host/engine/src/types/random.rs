//! Random numbers as the data types take them: a function that the caller hands in.
//!
//! The types own no generator, so that one seed decides everything a whole engine does.

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

/// A small seeded generator for the unit tests of this folder (splitmix64).
#[cfg(test)]
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
}
