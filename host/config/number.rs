//! Numbers as Redis writes them: strict integers, octal modes, numbers of bytes with a unit.

/// A decimal integer: no sign but `-`, no leading zero, no blank.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let strict = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !strict {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// An octal number.
pub(super) fn octal(text: &[u8]) -> Option<i64> {
    i64::from_str_radix(str::from_utf8(text).ok()?, 8).ok()
}

/// A number of bytes such as `100mb`: `k`, `m`, `g` are powers of 1000, `kb`, `mb`, `gb` of 1024,
/// in any case of letters. Digits beyond the largest number count as the largest number.
pub(super) fn bytes(text: &[u8]) -> Option<u64> {
    let digits_end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = digits.iter().fold(0u64, |number, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    number.checked_mul(factor)
}

/// A number of bytes in the largest unit that divides it.
pub(super) fn show_bytes(bytes: u64) -> String {
    for (unit, factor) in [("gb", 1u64 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// A decimal number with at most six digits after the point and no zeros at its end.
pub(super) fn show_decimal(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strict() {
        assert_eq!(integer(b"0"), Some(0));
        assert_eq!(integer(b"-12"), Some(-12));
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        for bad in ["", "-", "-0", "01", "+1", " 1", "1 ", "1.5", "0x1", "9223372036854775808"] {
            assert_eq!(integer(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn bytes_have_units() {
        for (text, expected) in [
            ("", 0),
            ("7", 7),
            ("0100", 100),
            ("1b", 1),
            ("1k", 1000),
            ("1KB", 1024),
            ("2m", 2_000_000),
            ("2Mb", 2 << 20),
            ("3g", 3_000_000_000),
            ("3gB", 3 << 30),
            ("99999999999999999999", u64::MAX),
        ] {
            assert_eq!(bytes(text.as_bytes()), Some(expected), "{text}");
        }
        for bad in ["-1", "+1", "1.5mb", "1t", "1 mb", "mb1", "17179869184gb"] {
            assert_eq!(bytes(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn shown_bytes_read_back() {
        for number in [0, 1, 1000, 1024, 1536, 1 << 20, 3 << 30, u64::MAX] {
            assert_eq!(bytes(show_bytes(number).as_bytes()), Some(number));
        }
        assert_eq!(show_bytes(64 << 20), "64mb");
    }

    #[test]
    fn decimals_are_short() {
        assert_eq!(show_decimal(99.9), "99.9");
        assert_eq!(show_decimal(50.0), "50");
        assert_eq!(show_decimal(99.123_456_789), "99.123457");
        assert_eq!(show_decimal(0.0), "0");
    }
}
