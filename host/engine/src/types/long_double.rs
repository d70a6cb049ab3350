//! The arithmetic of INCRBYFLOAT and HINCRBYFLOAT: 80-bit "extended" floating point.
//!
//! Redis adds these numbers as C's `long double` and writes them with up to 17 decimals, so the
//! results that people have stored (`0.1 + 0.2 = 0.3`, but `1000.1 + 0 = 1000.09999999999999998`)
//! come from the x87 format: a significand of 64 bits, exponents to 2^16383. This file does the same
//! in integers, on every platform: [`LongDouble::parse`] and `+` round to nearest,
//! ties to even, [`LongDouble::write`] rounds the exact value to 17 decimals the same way.
//!
//! It does only what those two commands need. Infinity and "not a number" are one value here, since
//! both end in the same error. Hexadecimal input, which C would take, is refused.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Add;

use super::number::{parse_i64, write_u64};

/// An 80-bit floating-point number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    /// The value is `significand * 2^exponent`; zero has significand 0 and exponent 0.
    significand: u64,
    exponent: i32,
    finite: bool,
}

/// Longer texts are not numbers, as in Redis.
pub const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;

/// Exponent of the last significand bit of the smallest number.
const EXPONENT_MIN: i32 = -16445;

/// Exponent of the last significand bit of the largest number.
const EXPONENT_MAX: i32 = 16383 - 63;

/// Decimals that are written at most.
const DECIMALS: usize = 17;

const TEN_TO_DECIMALS: u128 = 100_000_000_000_000_000;

impl LongDouble {
    /// Zero.
    pub const ZERO: Self = Self { negative: false, significand: 0, exponent: 0, finite: true };

    /// Reads a decimal number, with or without exponent, or an infinity. Refused are "not a number",
    /// spaces, trailing bytes, too long a text, and numbers of which only infinity or zero would be
    /// left.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Self { negative, finite: false, ..Self::ZERO });
        }
        let (digits, exponent) = read_decimal(text)?;
        if digits.is_empty() {
            return Some(Self { negative, ..Self::ZERO });
        }
        // The number lies between 10^(magnitude - 1) and 10^magnitude.
        let magnitude = exponent.saturating_add(digits.len() as i64);
        if !(-4960..=4940).contains(&magnitude) {
            return None;
        }
        let parsed = from_decimal(negative, &digits, exponent as i32);
        (parsed.finite && parsed.significand != 0).then_some(parsed)
    }

    /// Whether this is a number proper, neither infinite nor undefined.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.finite
    }

    /// Appends the number with up to 17 decimals, without zeros at the end and without exponent.
    /// What is not finite is written as `inf`.
    pub fn write(self, out: &mut Vec<u8>) {
        if !self.finite {
            out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" });
            return;
        }
        if self.exponent > 63 {
            if self.negative {
                out.push(b'-');
            }
            return Natural::from_u128(u128::from(self.significand)).shl(self.exponent).write(out);
        }
        // In units of the last decimal. Only with a negative exponent can there be a fraction.
        let (whole, fraction) = if self.exponent >= 0 {
            (u128::from(self.significand) << self.exponent, 0)
        } else {
            let scaled = u128::from(self.significand) * TEN_TO_DECIMALS;
            let rounded = shift_right_to_even(scaled, self.exponent.unsigned_abs());
            (rounded / TEN_TO_DECIMALS, rounded % TEN_TO_DECIMALS)
        };
        if self.negative && (whole != 0 || fraction != 0) {
            out.push(b'-');
        }
        Natural::from_u128(whole).write(out);
        if fraction != 0 {
            let mut decimals = [b'0'; DECIMALS];
            let mut rest = fraction;
            for digit in decimals.iter_mut().rev() {
                *digit += (rest % 10) as u8;
                rest /= 10;
            }
            let kept = decimals.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            out.push(b'.');
            out.extend_from_slice(&decimals[..kept]);
        }
    }

    /// Exponent of the first bit that is set.
    const fn top(self) -> i32 {
        self.exponent + 63 - self.significand.leading_zeros() as i32
    }
}

impl Add for LongDouble {
    type Output = Self;

    /// The sum, rounded to the nearest number of this format.
    fn add(self, other: Self) -> Self {
        if !self.finite || !other.finite {
            return Self { finite: false, ..Self::ZERO };
        }
        if self.significand == 0 || other.significand == 0 {
            return match (self.significand, other.significand) {
                (0, 0) => Self { negative: self.negative && other.negative, ..Self::ZERO },
                (0, _) => other,
                _ => self,
            };
        }
        let (large, small) = if self.top() >= other.top() { (self, other) } else { (other, self) };
        // 62 guard bits below the larger number; what the smaller one has below them only says
        // that something is there, which is all that rounding asks for.
        let lift = large.significand.leading_zeros() + 62;
        let exponent = large.exponent - lift as i32;
        let a = u128::from(large.significand) << lift;
        let shift = small.exponent - exponent;
        let b = if shift >= 0 {
            u128::from(small.significand) << shift
        } else if shift <= -64 {
            1
        } else {
            let kept = small.significand >> -shift;
            u128::from(kept | u64::from(kept << -shift != small.significand))
        };
        let (negative, sum) = if large.negative == small.negative {
            (large.negative, a + b)
        } else if a >= b {
            (large.negative && a != b, a - b)
        } else {
            (small.negative, b - a)
        };
        round(negative, sum, exponent, false)
    }
}

/// Splits a number without sign into its significant digits (0 to 9, none for zero) and the power of
/// ten of the last one.
fn read_decimal(text: &[u8]) -> Option<(Vec<u8>, i64)> {
    let mark = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (significand, mut exponent) = match mark {
        None => (text, 0),
        Some(mark) => (&text[..mark], read_exponent(&text[mark + 1..])?),
    };
    let point = significand.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        None => (significand, &[][..]),
        Some(point) => (&significand[..point], &significand[point + 1..]),
    };
    let all = || whole.iter().chain(fraction);
    if all().next().is_none() || !all().all(u8::is_ascii_digit) {
        return None;
    }
    exponent = exponent.saturating_sub(fraction.len() as i64);
    let mut digits: Vec<u8> =
        all().map(|byte| byte - b'0').skip_while(|digit| *digit == 0).collect();
    while digits.last() == Some(&0) {
        digits.pop();
        exponent = exponent.saturating_add(1);
    }
    Some((digits, exponent))
}

/// Reads what follows the `e`; absurdly large exponents become merely very large.
fn read_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let size = match &digits[zeros..] {
        [] => 0,
        digits => parse_i64(digits).unwrap_or(i64::MAX).min(1_000_000_000),
    };
    Some(if negative { -size } else { size })
}

/// The number nearest to `digits * 10^exponent`.
fn from_decimal(negative: bool, digits: &[u8], exponent: i32) -> LongDouble {
    let mut numerator = Natural::from_digits(digits);
    if exponent >= 0 {
        numerator.multiply_by_ten_to(exponent.unsigned_abs());
        let (top, exponent, rest) = numerator.leading_bits();
        return round(negative, top, exponent, rest);
    }
    // digits / 10^n: bring the quotient between 1 and 4, then take its bits one by one.
    let mut denominator = Natural::from_u128(1);
    denominator.multiply_by_ten_to(exponent.unsigned_abs());
    let shift = denominator.bits() - numerator.bits() + 1;
    if shift >= 0 {
        numerator = numerator.shl(shift);
    } else {
        denominator = denominator.shl(-shift);
    }
    let mut quotient: u128 = 0;
    let doubled = denominator.clone().shl(1);
    let mut places = 0;
    if numerator.cmp(&doubled) != Ordering::Less {
        numerator.subtract(&doubled);
        quotient = 1;
        // The first bit stands for two; what follows is as usual.
    }
    while places < 70 {
        quotient <<= 1;
        if numerator.cmp(&denominator) != Ordering::Less {
            numerator.subtract(&denominator);
            quotient |= 1;
        }
        numerator = numerator.shl(1);
        places += 1;
    }
    round(negative, quotient, -shift - (places - 1), !numerator.is_zero())
}

/// The number nearest to `bits * 2^exponent`, or slightly more than that if `more`; `more` needs at
/// least 66 bits.
fn round(negative: bool, bits: u128, exponent: i32, more: bool) -> LongDouble {
    if bits == 0 {
        return LongDouble { negative, ..LongDouble::ZERO };
    }
    let length = 128 - bits.leading_zeros() as i32;
    // How many bits to drop: all above 64, and more for numbers that are too small for 64.
    let drop = (length - 64).max(EXPONENT_MIN - exponent);
    let (mut significand, mut exponent) = if drop <= 0 {
        (bits, exponent)
    } else {
        // One more bit below makes a tie with something behind it more than a tie.
        let marked = if more && bits >> 127 == 0 { bits << 1 | 1 } else { bits };
        let drop_marked = if more && bits >> 127 == 0 { drop + 1 } else { drop };
        (shift_right_to_even(marked, drop_marked.unsigned_abs()), exponent + drop)
    };
    if significand == 1 << 64 {
        significand >>= 1;
        exponent += 1;
    }
    let significand = significand as u64;
    let top = exponent + 63 - significand.leading_zeros() as i32;
    if significand != 0 && top > EXPONENT_MAX + 63 {
        return LongDouble { negative, finite: false, ..LongDouble::ZERO };
    }
    if significand == 0 {
        return LongDouble { negative, ..LongDouble::ZERO };
    }
    LongDouble { negative, significand, exponent, finite: true }
}

/// `value / 2^shift`, rounded to the nearest integer, ties to even.
const fn shift_right_to_even(value: u128, shift: u32) -> u128 {
    if shift > 128 {
        return 0;
    }
    if shift == 128 {
        return (value > 1 << 127) as u128;
    }
    let kept = value >> shift;
    let dropped = value - (kept << shift);
    if shift == 0 {
        return kept;
    }
    let half = 1 << (shift - 1);
    if dropped > half || (dropped == half && kept & 1 == 1) { kept + 1 } else { kept }
}

/// A natural number of any size, least significant limb first, without zero limbs at the end.
#[derive(Clone)]
struct Natural(Vec<u32>);

impl Natural {
    fn from_u128(mut value: u128) -> Self {
        let mut limbs = Vec::new();
        while value != 0 {
            limbs.push(value as u32);
            value >>= 32;
        }
        Self(limbs)
    }

    fn from_digits(digits: &[u8]) -> Self {
        let mut number = Self(Vec::new());
        for chunk in digits.chunks(9) {
            let value = chunk.iter().fold(0, |value, digit| value * 10 + u32::from(*digit));
            number.multiply_add(10_u32.pow(chunk.len() as u32), value);
        }
        number
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bits.
    fn bits(&self) -> i32 {
        let top = self.0.last().map_or(0, |limb| 32 - limb.leading_zeros());
        (self.0.len().saturating_sub(1) * 32) as i32 + top as i32
    }

    fn multiply_add(&mut self, factor: u32, add: u32) {
        let mut carry = u64::from(add);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    fn multiply_by_ten_to(&mut self, mut power: u32) {
        while power > 0 {
            let step = power.min(9);
            self.multiply_add(10_u32.pow(step), 0);
            power -= step;
        }
    }

    fn shl(mut self, shift: i32) -> Self {
        let shift = shift.unsigned_abs();
        let bits = shift % 32;
        if bits > 0 {
            let mut carry = 0;
            for limb in &mut self.0 {
                let next = *limb >> (32 - bits);
                *limb = *limb << bits | carry;
                carry = next;
            }
            if carry != 0 {
                self.0.push(carry);
            }
        }
        if shift >= 32 && !self.is_zero() {
            let mut limbs = vec![0; shift as usize / 32];
            limbs.append(&mut self.0);
            self.0 = limbs;
        }
        self
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let length = self.0.len().cmp(&other.0.len());
        length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// Subtracts a number that is not larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (index, limb) in self.0.iter_mut().enumerate() {
            let (less, under) = limb.overflowing_sub(other.0.get(index).copied().unwrap_or(0));
            let (less, again) = less.overflowing_sub(u32::from(borrow));
            *limb = less;
            borrow = under || again;
        }
        debug_assert!(!borrow, "the subtrahend is not larger");
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// The leading 96 to 128 bits, the power of two they stand for, and whether bits below are set.
    fn leading_bits(&self) -> (u128, i32, bool) {
        let split = self.0.len().saturating_sub(4);
        let top = self.0[split..].iter().rev().fold(0, |top, limb| top << 32 | u128::from(*limb));
        (top, split as i32 * 32, self.0[..split].iter().any(|limb| *limb != 0))
    }

    fn write(mut self, out: &mut Vec<u8>) {
        const CHUNK: u64 = 1_000_000_000;
        let mut chunks = Vec::new();
        while !self.is_zero() {
            let mut rest = 0;
            for limb in self.0.iter_mut().rev() {
                let value = rest << 32 | u64::from(*limb);
                *limb = (value / CHUNK) as u32;
                rest = value % CHUNK;
            }
            chunks.push(rest);
            while self.0.last() == Some(&0) {
                self.0.pop();
            }
        }
        write_u64(out, chunks.pop().unwrap_or(0));
        for chunk in chunks.into_iter().rev() {
            let from = out.len();
            write_u64(out, CHUNK + chunk);
            // The leading one has kept the zeros; now it can go.
            out.remove(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let sum = LongDouble::parse(a.as_bytes())? + LongDouble::parse(b.as_bytes())?;
        let mut out = Vec::new();
        sum.write(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    /// Each expected text is what a real redis-server answered.
    #[test]
    fn sums_are_those_of_redis() {
        for (a, b, expected) in [
            ("10.5", "0.1", "10.6"),
            ("3.0e3", "0", "3000"),
            ("5.0e3", "2.0e2", "5200"),
            ("0.1", "0.2", "0.3"),
            ("1000.1", "0", "1000.09999999999999998"),
            ("-0", "-0", "0"),
            ("1", "-1", "0"),
            ("1e-18", "0", "0"),
            ("-1e-18", "0", "0"),
            ("5e-18", "0", "0"),
            ("5.1e-18", "0", "0.00000000000000001"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("18446744073709551616", "1", "18446744073709551616"),
            ("1e20", "0.5", "100000000000000000000"),
            ("+1.5", ".25", "1.75"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!(sum("1e4932", "0").map(|text| text.len()), Some(4933));
        assert!(sum("1.18973149535723176502e4932", "0").is_some());
        assert_eq!(sum("1.2e4932", "0"), None);
        assert_eq!(sum("1e5000", "0"), None);
        assert_eq!(sum("1e-4970", "0"), None);
        assert_eq!(sum("4e-4951", "0").as_deref(), Some("0"));
        let large = LongDouble::parse(b"1.1e4932").unwrap();
        assert!(!(large + large).is_finite());
        assert!(!LongDouble::parse(b"-inf").unwrap().is_finite());
        let long = [b'1'; TEXT_BYTES_MAX + 1];
        assert!(LongDouble::parse(&long).is_none());
        assert!(LongDouble::parse(&long[..4_900]).is_some());
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for bad in [
            "", "+", "-", ".", "e1", "1e", "1e+", "nan", " 1", "1 ", "1.2.3", "--1", "0x10", "1_0",
            "infinit", "1e1.5",
        ] {
            assert!(LongDouble::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
        for good in ["0e99999999999999999999", "1e-0", "00001", "1.", ".1", "Infinity"] {
            assert!(LongDouble::parse(good.as_bytes()).is_some(), "{good:?}");
        }
    }
}
