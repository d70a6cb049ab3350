//! The ends of ranges in a sorted set: by score and by member.
//!
//! Reading follows Redis to the letter, which is more lenient than for scores that are stored: an
//! empty text means 0, leading spaces are skipped, too large a number means infinity.

use super::number::parse_f64_any_size;

/// One end of a range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    /// The score at the end; may be infinite.
    pub score: f64,
    /// Whether the score itself is outside.
    pub exclusive: bool,
}

/// A range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// The lower end.
    pub min: ScoreBound,
    /// The upper end.
    pub max: ScoreBound,
}

/// One end of a range of members, which are compared byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before every member: `-`.
    First,
    /// After every member: `+`.
    Last,
    /// At this member, which is inside: `[member`.
    Inclusive(&'a [u8]),
    /// At this member, which is outside: `(member`.
    Exclusive(&'a [u8]),
}

/// A range of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// The lower end.
    pub min: LexBound<'a>,
    /// The upper end.
    pub max: LexBound<'a>,
}

impl ScoreBound {
    /// Reads `1.5`, `(1.5`, `inf`, `-inf`, ...
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (exclusive, text) = match text {
            [b'(', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        if text.is_empty() {
            return Some(Self { score: 0.0, exclusive });
        }
        // C's idea of a space has the vertical tab too.
        let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let start = text.iter().position(|byte| !is_space(byte))?;
        let score = parse_f64_any_size(&text[start..])?;
        Some(Self { score, exclusive })
    }
}

impl ScoreRange {
    /// Reads both ends.
    #[must_use]
    pub fn parse(min: &[u8], max: &[u8]) -> Option<Self> {
        Some(Self { min: ScoreBound::parse(min)?, max: ScoreBound::parse(max)? })
    }

    /// Whether `score` lies before the range.
    #[must_use]
    pub fn is_before(&self, score: f64) -> bool {
        score < self.min.score || (self.min.exclusive && score == self.min.score)
    }

    /// Whether `score` lies behind the range.
    #[must_use]
    pub fn is_after(&self, score: f64) -> bool {
        score > self.max.score || (self.max.exclusive && score == self.max.score)
    }
}

impl<'a> LexBound<'a> {
    /// Reads `-`, `+`, `[member` or `(member`.
    #[must_use]
    pub const fn parse(text: &'a [u8]) -> Option<Self> {
        match text {
            [b'-'] => Some(Self::First),
            [b'+'] => Some(Self::Last),
            [b'[', member @ ..] => Some(Self::Inclusive(member)),
            [b'(', member @ ..] => Some(Self::Exclusive(member)),
            _ => None,
        }
    }
}

impl<'a> LexRange<'a> {
    /// Reads both ends.
    #[must_use]
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Option<Self> {
        Some(Self { min: LexBound::parse(min)?, max: LexBound::parse(max)? })
    }

    /// Whether `member` lies before the range.
    #[must_use]
    pub fn is_before(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::First => false,
            LexBound::Last => true,
            LexBound::Inclusive(bound) => member < bound,
            LexBound::Exclusive(bound) => member <= bound,
        }
    }

    /// Whether `member` lies behind the range.
    #[must_use]
    pub fn is_after(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::First => true,
            LexBound::Last => false,
            LexBound::Inclusive(bound) => member > bound,
            LexBound::Exclusive(bound) => member >= bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn score_bounds_are_read_as_redis_reads_them() {
        for (text, score, exclusive) in [
            ("1.5", 1.5, false),
            ("(1.5", 1.5, true),
            ("-inf", f64::NEG_INFINITY, false),
            ("(+inf", f64::INFINITY, true),
            ("", 0.0, false),
            ("(", 0.0, true),
            (" 1", 1.0, false),
            ("1e400", f64::INFINITY, false),
        ] {
            let expected = ScoreBound { score, exclusive };
            assert_eq!(ScoreBound::parse(text.as_bytes()), Some(expected), "{text:?}");
        }
        for bad in ["1 ", " ", "nan", "((1", "[1", "a", "1("] {
            assert_eq!(ScoreBound::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn lex_bounds_are_read_as_redis_reads_them() {
        assert_eq!(LexBound::parse(b"-"), Some(LexBound::First));
        assert_eq!(LexBound::parse(b"+"), Some(LexBound::Last));
        assert_eq!(LexBound::parse(b"["), Some(LexBound::Inclusive(b"")));
        assert_eq!(LexBound::parse(b"(a"), Some(LexBound::Exclusive(b"a")));
        for bad in [&b""[..], b"a", b"-x", b"+x"] {
            assert_eq!(LexBound::parse(bad), None);
        }
        let range = LexRange::parse(b"(a", b"[c").unwrap();
        assert!(range.is_before(b"a") && !range.is_before(b"aa"));
        assert!(!range.is_after(b"c") && range.is_after(b"ca"));
    }
}
