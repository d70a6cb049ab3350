//! Sine, cosine and arc sine of small angles, rounded correctly.
//!
//! Distances are stored as scores, where all digits are seen, and the libraries of platforms differ in
//! the last one. The best answer is the only one that all good libraries agree on nearly always, so
//! this computes with twice the digits and rounds once.

/// The sum of two doubles, of which the second is what the first cannot hold.
#[derive(Clone, Copy, Debug)]
struct Wide {
    high: f64,
    low: f64,
}

/// Angles beyond this are left to the library.
const ANGLE_MAX: f64 = 4.0;
/// A right angle, in three parts.
const RIGHT: [f64; 3] =
    [core::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];

impl Wide {
    const fn of(value: f64) -> Self {
        Self { high: value, low: 0.0 }
    }

    /// The exact sum (Knuth).
    const fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self { high, low: (a - (high - part)) + (b - part) }
    }

    /// The exact product (Dekker).
    const fn product(a: f64, b: f64) -> Self {
        let ((a1, a2), (b1, b2)) = (halves(a), halves(b));
        let high = a * b;
        Self { high, low: a2 * b2 - (((high - a1 * b1) - a2 * b1) - a1 * b2) }
    }

    /// One part of so many.
    const fn one_of(parts: f64) -> Self {
        let high = 1.0 / parts;
        let back = Self::product(high, parts);
        Self { high, low: ((1.0 - back.high) - back.low) / parts }
    }

    const fn plus(self, other: Self) -> Self {
        let sum = Self::sum(self.high, other.high);
        Self::sum(sum.high, sum.low + self.low + other.low)
    }

    const fn times(self, other: Self) -> Self {
        let product = Self::product(self.high, other.high);
        Self::sum(product.high, product.low + (self.high * other.low + self.low * other.high))
    }

    const fn negated(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }

    const fn rounded(self) -> f64 {
        self.high + self.low
    }
}

/// A number as the sum of two with half of the digits each (Veltkamp).
const fn halves(value: f64) -> (f64, f64) {
    let scaled = 134_217_729.0 * value;
    let high = scaled - (scaled - value);
    (high, value - high)
}

/// The sine of an angle in radians.
#[must_use]
pub fn sine(angle: f64) -> f64 {
    if angle == 0.0 { angle } else { wide_or(angle, 0, libm::sin) }
}

/// The cosine of an angle in radians.
#[must_use]
pub fn cosine(angle: f64) -> f64 {
    wide_or(angle, 1, libm::cos)
}

/// The angle from 0 to a right angle that has this sine, which lies between 0 and 1.
#[must_use]
pub fn arc_sine(sine: f64) -> f64 {
    if !(1e-150..1.0).contains(&sine) {
        return libm::asin(sine);
    }
    // The library's answer is near enough for one step of Newton's method to find the rest.
    let near = libm::asin(sine);
    let missing = Wide::of(sine).plus(turned(near, 0).negated());
    near + missing.rounded() / libm::cos(near)
}

/// The sine of an angle and so many right angles.
fn wide_or(angle: f64, turns: i32, library: fn(f64) -> f64) -> f64 {
    if angle.abs() < ANGLE_MAX { turned(angle, turns).rounded() } else { library(angle) }
}

fn turned(angle: f64, turns: i32) -> Wide {
    let nearest = libm::rint(angle / RIGHT[0]);
    let rest =
        RIGHT.iter().fold(Wide::of(angle), |rest, part| rest.plus(Wide::of(-nearest * part)));
    let quarter = nearest as i32 + turns;
    let value = if quarter % 2 == 0 { sine_of_half(rest) } else { cosine_of_half(rest) };
    if quarter.rem_euclid(4) < 2 { value } else { value.negated() }
}

/// The series of the sine, for at most half a right angle. Its far terms are small enough for plain
/// doubles.
fn sine_of_half(angle: Wide) -> Wide {
    const NEAR: [Wide; 4] =
        [Wide::of(1.0), Wide::one_of(-6.0), Wide::one_of(120.0), Wide::one_of(-5_040.0)];
    const FAR: [f64; 6] = [
        1.0 / 362_880.0,
        -1.0 / 39_916_800.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 1_307_674_368_000.0,
        1.0 / 355_687_428_096_000.0,
        -1.0 / 121_645_100_408_832_000.0,
    ];
    angle.times(series(angle.times(angle), &NEAR, &FAR))
}

/// The series of the cosine, for at most half a right angle.
fn cosine_of_half(angle: Wide) -> Wide {
    const NEAR: [Wide; 5] = [
        Wide::of(1.0),
        Wide::of(-0.5),
        Wide::one_of(24.0),
        Wide::one_of(-720.0),
        Wide::one_of(40_320.0),
    ];
    const FAR: [f64; 6] = [
        -1.0 / 3_628_800.0,
        1.0 / 479_001_600.0,
        -1.0 / 87_178_291_200.0,
        1.0 / 20_922_789_888_000.0,
        -1.0 / 6_402_373_705_728_000.0,
        1.0 / 2_432_902_008_176_640_000.0,
    ];
    series(angle.times(angle), &NEAR, &FAR)
}

fn series(square: Wide, near: &[Wide], far: &[f64]) -> Wide {
    let far = far.iter().rev().fold(0.0, |sum, term| sum * square.high + term);
    near.iter().rev().fold(Wide::of(far), |sum, term| sum.times(square).plus(*term))
}

#[cfg(test)]
mod tests {
    use super::super::random::seeded;
    use super::*;

    fn is_next_to(a: f64, b: f64) -> bool {
        a == b || (a.to_bits() as i64 - b.to_bits() as i64).abs() <= 1
    }

    #[test]
    fn answers_are_at_most_one_digit_from_the_library() {
        let mut random = seeded(12);
        for _ in 0..50_000 {
            let share = (random() >> 11) as f64 / (1_u64 << 53) as f64;
            let angle = (share * 2.0 - 1.0) * ANGLE_MAX;
            assert!(is_next_to(sine(angle), libm::sin(angle)), "sine of {angle}");
            assert!(is_next_to(cosine(angle), libm::cos(angle)), "cosine of {angle}");
            assert!(is_next_to(arc_sine(share), libm::asin(share)), "arc sine of {share}");
        }
    }

    #[test]
    fn known_answers() {
        assert_eq!(sine(core::f64::consts::PI / 6.0), 0.499_999_999_999_999_94);
        assert_eq!(sine(1.0), 0.841_470_984_807_896_5);
        assert_eq!(cosine(2.0), -0.416_146_836_547_142_4);
        assert_eq!(sine(core::f64::consts::PI), 1.224_646_799_147_353_2e-16);
        assert_eq!(cosine(core::f64::consts::FRAC_PI_2), 6.123_233_995_736_766e-17);
        assert_eq!(arc_sine(0.5), core::f64::consts::FRAC_PI_6);
        assert_eq!(arc_sine(1.0), core::f64::consts::FRAC_PI_2);
        assert_eq!((sine(0.0), cosine(0.0), arc_sine(0.0)), (0.0, 1.0, 0.0));
        assert_eq!((sine(5e-324), arc_sine(5e-324)), (5e-324, 5e-324));
        assert!(cosine(f64::INFINITY).is_nan());
    }

    #[test]
    fn an_angle_survives_its_sine() {
        let mut random = seeded(13);
        for _ in 0..20_000 {
            let angle = (random() >> 11) as f64 / (1_u64 << 53) as f64;
            let back = arc_sine(sine(angle));
            assert!((back - angle).abs() <= 4.0 * f64::EPSILON, "{angle}");
        }
    }
}
