//! The ids of a stream's entries: a time in milliseconds and a number within it.
//!
//! Clients write `1526919030474-55`, or only the time and leave the number to the command. What
//! counts as a number is what the C library's `strtoull` takes, because that is what Redis asks.

use super::number::{format_u64, parse_i64};

/// An id. Ids are ordered by time, then by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Milliseconds, as a rule since 1970.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

/// The id that a new entry is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// The clock decides, but never goes back behind the last entry.
    Auto,
    /// The time is given, the next number in it is taken.
    Sequence(u64),
    /// This one.
    Given(Id),
}

/// Longest text of an id: two numbers of 20 digits and a dash.
pub const TEXT_BYTES_MAX: usize = 41;

/// What is longer is no id, whatever it says.
const ARGUMENT_BYTES_MAX: usize = 127;

impl Id {
    /// The lowest id. No entry has it.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The highest id.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// An id.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The id behind this one, if there is one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => self.ms.checked_add(1).map(|ms| Self { ms, seq: 0 }),
        }
    }

    /// The id before this one, if there is one.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => self.ms.checked_sub(1).map(|ms| Self { ms, seq: u64::MAX }),
        }
    }

    /// Reads `ms-seq` or `ms`, whose number then is `missing_seq`.
    #[must_use]
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        match parse(text, missing_seq)? {
            NewId::Given(id) => Some(id),
            _ => None,
        }
    }

    /// The same, and `-` and `+` for the lowest and the highest id.
    #[must_use]
    pub fn parse_bound(text: &[u8], missing_seq: u64) -> Option<Self> {
        match text {
            b"-" => Some(Self::MIN),
            b"+" => Some(Self::MAX),
            _ => Self::parse(text, missing_seq),
        }
    }

    /// Writes `ms-seq` into `buffer` and returns that part of it.
    pub fn format(self, buffer: &mut [u8; TEXT_BYTES_MAX]) -> &[u8] {
        let mut digits = [0; 20];
        let mut end = 0;
        let mut put = |text: &[u8]| {
            buffer[end..end + text.len()].copy_from_slice(text);
            end += text.len();
        };
        put(format_u64(&mut digits, self.ms));
        put(b"-");
        put(format_u64(&mut digits, self.seq));
        &buffer[..end]
    }
}

impl NewId {
    /// Reads `*`, `ms-*`, `ms-seq` or `ms`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text == b"*" { Some(Self::Auto) } else { parse(text, 0) }
    }
}

fn parse(text: &[u8], missing_seq: u64) -> Option<NewId> {
    if text.len() > ARGUMENT_BYTES_MAX {
        return None;
    }
    // A C string ends at the first zero.
    let text = text.split(|byte| *byte == 0).next()?;
    let Some(dash) = text.iter().position(|byte| *byte == b'-') else {
        return Some(NewId::Given(Id::new(unsigned(text)?, missing_seq)));
    };
    let ms = unsigned(&text[..dash])?;
    match &text[dash + 1..] {
        b"*" => Some(NewId::Sequence(ms)),
        seq => Some(NewId::Given(Id::new(ms, unsigned(seq)?))),
    }
}

/// Reads a number the way of `strtoull`: spaces, a sign and zeros may stand in front of it, and a
/// minus sign turns it around within its 64 bits. Only a negative number in canonical form is
/// refused.
fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(value) = parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | 9..=13)).count();
    let (negative, digits) = match &text[spaces..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_cross_milliseconds() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).previous(), Some(Id::new(1, u64::MAX)));
        assert_eq!(Id::MAX.next(), None);
        assert_eq!(Id::MIN.previous(), None);
        for id in [Id::new(0, 1), Id::new(7, 9), Id::new(3, u64::MAX), Id::new(u64::MAX, 0)] {
            assert_eq!(id.next().and_then(Id::previous), Some(id));
            assert!(id.previous() < Some(id) && Some(id) < id.next());
        }
    }

    #[test]
    fn texts_are_read_and_written() {
        let mut buffer = [0; TEXT_BYTES_MAX];
        let longest = b"18446744073709551615-18446744073709551615";
        assert_eq!(Id::MAX.format(&mut buffer), longest);
        assert_eq!(Id::parse(longest, 0), Some(Id::MAX));
        assert_eq!(Id::new(12, 0).format(&mut buffer), b"12-0");
        assert_eq!(Id::parse(b"12", 5), Some(Id::new(12, 5)));
        assert_eq!(Id::parse(b"007-+5", 0), Some(Id::new(7, 5)));
        assert_eq!(Id::parse(b"1--05", 0), Some(Id::new(1, 5_u64.wrapping_neg())));
        assert_eq!(Id::parse(b"1-2\x00junk", 0), Some(Id::new(1, 2)));
        let refused: [&[u8]; 10] =
            [b"", b"-", b"+", b"*", b"x", b"1-", b"-1", b"1--5", b"1-*", b"18446744073709551616"];
        for text in refused {
            assert_eq!(Id::parse(text, 0), None, "{text:?}");
        }
        assert_eq!(Id::parse(&[b'0'; 128], 0), None);
        assert_eq!(Id::parse(&[b'0'; 127], 0), Some(Id::MIN));
        assert_eq!(Id::parse_bound(b"-", 1), Some(Id::MIN));
        assert_eq!(Id::parse_bound(b"+", 1), Some(Id::MAX));
        assert_eq!(NewId::parse(b"*"), Some(NewId::Auto));
        assert_eq!(NewId::parse(b"5-*"), Some(NewId::Sequence(5)));
        assert_eq!(NewId::parse(b"5"), Some(NewId::Given(Id::new(5, 0))));
    }
}
