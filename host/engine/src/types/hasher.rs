//! The keyed hash of every table in the engine.
//!
//! One [`Hasher`] per process, made from a seed that a client cannot know: in production from the
//! operating system, in simulation from the test. All its constants derive from the seed, so
//! nobody who does not know it can prepare colliding keys. It is not a cryptographic hash, and its
//! values mean nothing outside the process: they never reach a reply, a log or a file.

use core::hash::Hasher as _;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// A keyed hash function over byte strings.
#[derive(Clone)]
pub struct Hasher {
    start: u64,
    shared: SharedSeed,
}

impl Hasher {
    /// The hash function that belongs to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The two halves of the key must differ, otherwise they could cancel out.
        let start = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self { start, shared: SharedSeed::from_u64(seed) }
    }

    /// The hash of `bytes`; all 64 bits are usable.
    #[inline]
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let mut state = FoldHasher::with_seed(self.start, &self.shared);
        state.write(bytes);
        state.finish()
    }
}

impl core::fmt::Debug for Hasher {
    /// Never prints the key.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_hash_and_other_seed_other_hash() {
        let (a, b, c) = (Hasher::new(1), Hasher::new(1), Hasher::new(2));
        for text in [&b""[..], b"a", b"key:000000000001", b"a key that is longer than sixteen"] {
            assert_eq!(a.hash(text), b.hash(text));
            assert_ne!(a.hash(text), c.hash(text));
        }
    }

    #[test]
    fn each_bit_of_the_hash_is_set_about_half_the_time() {
        let hasher = Hasher::new(7);
        let mut ones = [0_u32; 64];
        for i in 0..4096_u32 {
            let hash = hasher.hash(std::format!("key:{i}").as_bytes());
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += (hash >> bit & 1) as u32;
            }
        }
        for (bit, count) in ones.iter().enumerate() {
            assert!((1850..2250).contains(count), "bit {bit} was set {count} times of 4096");
        }
    }
}
