//! MurmurHash2 for 64 bits, with the seed that Redis gave it: the same elements must choose the same
//! registers everywhere. Not for hash tables, because anybody can make it collide.

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// The hash of an element.
pub(super) fn hash(element: &[u8]) -> u64 {
    let mut hash = SEED ^ (element.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = element.as_chunks::<8>();
    for word in words {
        hash ^= scramble(u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER));
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    let hash = scramble(hash);
    hash ^ hash >> SHIFT
}

fn scramble(word: u64) -> u64 {
    (word ^ word >> SHIFT).wrapping_mul(MULTIPLIER)
}
