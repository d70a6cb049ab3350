//! Where choices come from: a seed, or the bytes that a fuzzer made.

/// Something that chooses.
pub trait Choice {
    /// A number below `bound`; 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize;

    /// One of `items`, of which there is at least one.
    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T
    where
        Self: Sized,
    {
        items[self.below(items.len())]
    }

    /// Whether what happens once in `times` happens now.
    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Random numbers from a seed (SplitMix64): the same seed, the same run.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choice for Rng {
    fn below(&mut self, bound: usize) -> usize {
        (self.bits() % (bound as u64).max(1)) as usize
    }
}

/// Choices made by bytes: one for a small bound, as many as needed for others. When the bytes are
/// used up, every choice is 0, so whoever goes on until something happens asks
/// [`is_empty`](Self::is_empty).
#[derive(Clone, Debug)]
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    /// The choices that these bytes make.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether the bytes are used up.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next bytes as they are, at most so many.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

impl Choice for Source<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let width = match bound {
            0..=1 => return 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 8,
        };
        let value =
            self.bytes(width).iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        (value % bound as u64) as usize
    }
}
