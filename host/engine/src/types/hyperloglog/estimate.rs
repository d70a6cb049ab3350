//! From registers to a number: the estimator of Otmar Ertl, "New cardinality estimation algorithms for
//! HyperLogLog sketches" (arXiv:1702.01284), which needs no table of corrections.

use super::{REGISTERS, RUN_BITS};

/// How many registers have each value.
#[derive(Clone, Debug)]
pub(super) struct Histogram([u32; 64]);

/// The limit of the bias correction for many registers: `1 / (2 ln 2)`.
const ALPHA: f64 = 0.721_347_520_444_481_7;

impl Histogram {
    pub(super) const fn new() -> Self {
        Self([0; 64])
    }

    /// Counts registers with a value of six bits.
    #[inline]
    pub(super) fn add(&mut self, value: u8, registers: usize) {
        self.0[usize::from(value & 63)] += registers as u32;
    }

    /// The number of elements. Of registers that no element can have made it is some number.
    pub(super) fn estimate(&self) -> u64 {
        let registers = REGISTERS as f64;
        let share = |value: u32| f64::from(self.0[value as usize]) / registers;
        let full = (registers - f64::from(self.0[RUN_BITS as usize + 1])) / registers;
        let mut sum = registers * tau(full);
        for value in (1..=RUN_BITS).rev() {
            sum = 0.5 * (sum + f64::from(self.0[value as usize]));
        }
        sum += registers * sigma(share(0));
        let estimate = libm::round(ALPHA * registers * registers / sum);
        // Too large a number is what a conversion on x86 makes of it.
        if estimate < (1_u64 << 63) as f64 { estimate as u64 } else { 1 << 63 }
    }
}

/// `x + Σ x^(2^k) 2^(k-1)`
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// `(1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3`
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = libm::sqrt(x);
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
