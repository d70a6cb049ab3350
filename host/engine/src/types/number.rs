//! Numbers as text: what Redis accepts as a number and how it writes one.
//!
//! Floating point comes in three texts. [`write_f64`] has 17 significant digits (`%.17g`), which is
//! what Redis 7.0 replies for scores and distances. [`write_f64_shortest`] has as few digits as
//! still give the same number, which is what Redis 7.2 and Valkey reply. The text of INCRBYFLOAT is
//! [`LongDouble`](super::long_double::LongDouble)'s.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::short_digits::ShortDigits;

/// Reads an integer in its one canonical form: no plus sign, no leading zeros, no space, no `-0`.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // 19 digits are below 10^19, which fits.
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Appends an integer in decimal.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(format_i64(&mut [0; 20], value));
}

/// Appends an unsigned integer in decimal.
pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(format_u64(&mut [0; 20], value));
}

/// Writes an integer in decimal to the end of `buffer` and returns that part of it.
pub fn format_i64(buffer: &mut [u8; 20], value: i64) -> &[u8] {
    let mut at = 20 - format_u64(buffer, value.unsigned_abs()).len();
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

/// Writes an unsigned integer in decimal to the end of `buffer` and returns that part of it.
pub fn format_u64(buffer: &mut [u8; 20], mut value: u64) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &buffer[at..];
        }
    }
}

/// How many bytes [`write_i64`] appends.
#[must_use]
pub fn i64_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    digits as usize + usize::from(value < 0)
}

/// Reads a floating-point number as command arguments give it: decimal with or without exponent,
/// hexadecimal (`0x1.8p3`), or `inf` / `infinity` in any case and with any sign. Refused are "not a
/// number", spaces, trailing bytes, and numbers so large or so small that only infinity or zero would
/// be left of them.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let value = parse_f64_any_size(text)?;
    let lost = if value == 0.0 {
        significand(text).any(|byte| (b'1'..=b'9').contains(byte))
    } else {
        value.is_infinite() && text.iter().any(u8::is_ascii_digit)
    };
    (!lost).then_some(value)
}

/// The same, but too large a number is infinity, too small a one zero: the rule for the ends of
/// score ranges.
#[must_use]
pub fn parse_f64_any_size(text: &[u8]) -> Option<f64> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if let [b'0', b'x' | b'X', digits @ ..] = unsigned {
        let value = parse_hexadecimal(digits)?;
        return Some(if negative { -value } else { value });
    }
    let value: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// Reads what follows `0x`: hexadecimal digits, perhaps a point among them, perhaps `p` and a binary
/// exponent.
fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let (mut fraction, mut exponent) = (0_u64, 0_i64);
    let (mut has_digits, mut has_point, mut has_rest) = (false, false, false);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let digit = match byte {
            b'.' if !has_point => {
                has_point = true;
                continue;
            }
            b'p' | b'P' => {
                let written = bytes.as_slice();
                let digits = written.strip_prefix(b"+").or(written.strip_prefix(b"-"));
                let size = parse_exponent(digits.unwrap_or(written))?;
                exponent += if written[0] == b'-' { -size } else { size };
                break;
            }
            byte => i64::from(char::from(*byte).to_digit(16)?),
        };
        has_digits = true;
        if fraction >> 60 == 0 {
            fraction = fraction << 4 | digit as u64;
            exponent -= if has_point { 4 } else { 0 };
        } else {
            has_rest |= digit > 0;
            exponent += if has_point { 0 } else { 4 };
        }
    }
    has_digits.then(|| scaled(fraction, has_rest, exponent))
}

/// Reads digits; numbers beyond any exponent all mean the same.
fn parse_exponent(digits: &[u8]) -> Option<i64> {
    const EXPONENT_MAX: i64 = 1 << 40;
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        Some((value * 10 + i64::from(digit)).min(EXPONENT_MAX))
    })
}

/// The double nearest to `fraction * 2^exponent`, or to a little more if `has_rest`.
fn scaled(fraction: u64, has_rest: bool, exponent: i64) -> f64 {
    const EXPONENT_MIN: i64 = -1074;
    if fraction == 0 {
        return 0.0;
    }
    let top = exponent + i64::from(fraction.ilog2());
    if top > 1023 {
        return f64::INFINITY;
    }
    // The exponent of the last bit that there is room for.
    let last = (top - 52).max(EXPONENT_MIN);
    let wide = u128::from(fraction) << 64 | u128::from(has_rest);
    let shift = last - exponent + 64;
    if shift > 127 {
        // Less than half of the smallest number, or exactly half of it.
        return if shift == 128 && wide > 1 << 127 { f64::from_bits(1) } else { 0.0 };
    }
    let (kept, cut) = ((wide >> shift) as u64, wide & ((1 << shift) - 1));
    let half = 1_u128 << (shift - 1);
    let up = cut > half || (cut == half && kept & 1 == 1);
    // A carry moves on into the exponent by itself.
    f64::from_bits((((last - EXPONENT_MIN) as u64) << 52) + kept + u64::from(up))
}

/// The bytes of a decimal number before its exponent.
fn significand(text: &[u8]) -> impl Iterator<Item = &u8> {
    text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'))
}

/// Appends a number with 17 significant digits less the zeros at the end (`%.17g`).
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if write_special(out, value) {
        return;
    }
    let mut text = Short::default();
    let _ = write!(text, "{:.16e}", value.abs());
    let (digits, exponent) = text.digits();
    let kept = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    if (-4..17).contains(&exponent) {
        write_plain(out, &digits[..kept], exponent);
    } else {
        write_scientific(out, &digits[..kept], exponent, 2);
    }
}

/// Appends a number with as few digits as still give the same number: integers up to 2^62 in full,
/// others with an exponent where that is clearly shorter.
pub fn write_f64_shortest(out: &mut Vec<u8>, value: f64) {
    const INTEGER_MAX: f64 = (1_u64 << 62) as f64;
    if write_special(out, value) {
        return;
    }
    if value.abs() <= INTEGER_MAX && value == (value as i64) as f64 && value != 0.0 {
        // `write_special` has written the sign.
        return write_u64(out, (value as i64).unsigned_abs());
    }
    if value == 0.0 {
        return out.push(b'0');
    }
    let short = ShortDigits::new(value.abs());
    let (digits, power) = (short.digits(), short.power());
    let length = digits.len() as i32;
    let exponent = length - 1 + power;
    let plain = if power >= 0 { exponent < length + 7 } else { power > -7 || exponent.abs() < 4 };
    if plain {
        write_plain(out, digits, exponent);
    } else {
        write_scientific(out, digits, exponent, 1);
    }
}

/// Writes what is not a finite number and says so; of a finite one, writes only the sign.
fn write_special(out: &mut Vec<u8>, value: f64) -> bool {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
        return true;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        out.extend_from_slice(b"inf");
    }
    value.is_infinite()
}

/// Writes `d.ddd * 10^exponent` without an exponent.
fn write_plain(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend((1..-exponent).map(|_| b'0'));
        out.extend_from_slice(digits);
        return;
    }
    let whole = exponent as usize + 1;
    out.extend_from_slice(&digits[..whole.min(digits.len())]);
    out.extend((digits.len()..whole).map(|_| b'0'));
    if digits.len() > whole {
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    }
}

/// Writes `d.ddd * 10^exponent` with an exponent of at least so many digits (1 or 2).
fn write_scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32, exponent_digits: u32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.abs() < 10 && exponent_digits == 2 {
        out.push(b'0');
    }
    write_u64(out, u64::from(exponent.unsigned_abs()));
}

/// The text of one number as `core::fmt` writes it with an exponent, on the stack.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    len: usize,
}

impl Short {
    /// Splits `d.ddde-x` into its digits, which it moves together, and its exponent.
    fn digits(&mut self) -> (&[u8], i32) {
        let text = &self.bytes[..self.len];
        let mark = text.iter().position(|byte| *byte == b'e').unwrap_or(text.len());
        let exponent = parse_i64(text.get(mark + 1..).unwrap_or(b"0")).unwrap_or(0);
        let mut count = mark;
        if mark > 1 {
            self.bytes.copy_within(2..mark, 1);
            count -= 1;
        }
        // The exponent of a 64-bit number has at most three digits.
        (&self.bytes[..count], exponent as i32)
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString as _};

    use super::super::random::seeded;
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>, f64), value: f64) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_are_read_in_canonical_form_only() {
        for value in [0, 1, -1, 9, 10, 42, -100, i64::MAX, i64::MIN, 1_000_000_007] {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
            assert_eq!(i64_len(value), out.len());
            assert_eq!(parse_i64(&out), Some(value));
        }
        for bad in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "a",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "1e3",
            "0x1",
        ] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn floats_are_read_as_strtod_would() {
        for (text, value) in [
            ("3", 3.0),
            ("+3", 3.0),
            ("-3.5", -3.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("007", 7.0),
            ("inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
            ("0e99999", 0.0),
            ("5e-324", 5e-324),
            ("0x10", 16.0),
            ("-0XfF", -255.0),
            ("0x1.8p3", 12.0),
            ("0x.8P+1", 1.0),
            ("0x1p-1074", 5e-324),
            ("0x1.8p-1074", 1e-323),
            ("0x1.fffffffffffff7fp1023", f64::MAX),
            ("0x3fffffffffffff", 18_014_398_509_481_984.0),
            ("0x100000000000008", 72_057_594_037_927_936.0),
            ("0x1000000000000080001", 4_722_366_482_869_646_262_272.0),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text:?}");
        }
        for bad in
            ["", " 1", "1 ", "1e", "e1", ".", "+", "nan", "-nan", "1x", "1e400", "-1e400", "1e-400"]
                .into_iter()
                .chain(["0x", "0x.", "0xg", "0x1p", "0x1p+", "0x-1", "0x1p1024", "0x1p-1076", "x1"])
        {
            assert_eq!(parse_f64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_f64_any_size(b"1e400"), Some(f64::INFINITY));
        assert_eq!(parse_f64_any_size(b"1e-400"), Some(0.0));
        assert_eq!(parse_f64_any_size(b"nan"), None);
    }

    #[test]
    fn floats_are_written_with_seventeen_digits() {
        for (value, expected) in [
            (3.0, "3"),
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1, "0.10000000000000001"),
            (0.5, "0.5"),
            (-1.5, "-1.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e20, "1e+20"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(text(write_f64, value), expected);
        }
    }

    #[test]
    fn floats_are_written_as_short_as_can_be() {
        for (value, expected) in [
            (3.0, "3"),
            (0.0, "0"),
            (-0.0, "-0"),
            (-7.0, "-7"),
            (0.1, "0.1"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (1e18, "1000000000000000000"),
            (1e20, "1e+20"),
            (1e23, "99999999999999990000000"),
            (123_456.789, "123456.789"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(text(write_f64_shortest, value), expected);
        }
    }

    #[test]
    fn every_text_reads_back_as_the_same_number() {
        let mut random = seeded(9);
        for step in 0..50_000 {
            let value = match step % 3 {
                0 => f64::from_bits(random()),
                1 => (random() % 1_000_000) as f64 / 1000.0,
                _ => random() as i64 as f64,
            };
            if !value.is_nan() {
                for written in [text(write_f64, value), text(write_f64_shortest, value)] {
                    let read = parse_f64(written.as_bytes()).map(f64::to_bits);
                    assert_eq!(read, Some(value.to_bits()), "{written}");
                }
            }
        }
    }
}
