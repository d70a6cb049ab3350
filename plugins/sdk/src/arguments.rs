//! The arguments of one call, as a cursor that hands them out typed, with Redis's error texts.
//!
//! A handler takes what it needs in order and ends with [`Arguments::end`]. Running out of
//! arguments is the arity error of the command, so no handler counts.

use crate::{Error, Result};

/// The arguments that have not been taken yet. The command's name is not among them.
#[derive(Clone, Debug)]
pub struct Arguments<'a> {
    name: &'a [u8],
    lengths: &'a [u32],
    data: &'a [u8],
}

impl<'a> Arguments<'a> {
    /// Arguments laid out in columns, the command's name first.
    #[must_use]
    pub fn new(lengths: &'a [u32], data: &'a [u8]) -> Self {
        let mut arguments = Self { name: b"", lengths, data };
        arguments.name = arguments.next().unwrap_or_default();
        arguments
    }

    /// The command's name as it was typed.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether all have been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The next argument as it is.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        match self.next() {
            Some(bytes) => Ok(bytes),
            None => Err(Error::wrong_arity(self.name)),
        }
    }

    /// The next argument as text.
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Error::NOT_TEXT)
    }

    /// The next argument as an unsigned integer: digits only, no superfluous zero.
    pub fn u64(&mut self) -> Result<u64> {
        unsigned(self.bytes()?).ok_or(Error::NOT_AN_INTEGER)
    }

    /// The next argument as a signed integer, written as Redis accepts it.
    pub fn i64(&mut self) -> Result<i64> {
        signed(self.bytes()?).ok_or(Error::NOT_AN_INTEGER)
    }

    /// The next argument as a finite number.
    pub fn f64(&mut self) -> Result<f64> {
        let number = self.text().ok().and_then(|text| text.parse::<f64>().ok());
        number.filter(|number| number.is_finite()).ok_or(Error::NOT_A_FLOAT)
    }

    /// Takes the next argument if it is this word, in upper or lower case.
    pub fn keyword(&mut self, word: &str) -> bool {
        let length = self.lengths.first().map_or(0, |length| *length as usize);
        let next = self.data.get(..length).unwrap_or_default();
        let found = next.eq_ignore_ascii_case(word.as_bytes());
        if found {
            self.next();
        }
        found
    }

    /// The value after an option's keyword; a missing one is a syntax error.
    pub fn value(&mut self) -> Result<&'a [u8]> {
        self.next().ok_or(Error::SYNTAX)
    }

    /// Ends the list: anything left over is a syntax error.
    pub fn end(&self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(Error::SYNTAX) }
    }
}

/// What is left, in order.
impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, lengths) = self.lengths.split_first()?;
        let (bytes, data) = self.data.split_at_checked(*length as usize)?;
        self.lengths = lengths;
        self.data = data;
        Some(bytes)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.lengths.len()))
    }
}

/// Reads digits without sign, blank or superfluous zero: each number has one spelling.
fn unsigned(digits: &[u8]) -> Option<u64> {
    /// So many digits never overflow; a check of each step is slow in wasm.
    const SAFE_DIGITS: usize = 19;
    match digits {
        [] | [b'0', _, ..] => return None,
        _ => {}
    }
    let (safe, last) = digits.split_at(digits.len().min(SAFE_DIGITS));
    let mut number = 0_u64;
    for digit in safe {
        number = number * 10 + value(*digit)?;
    }
    match last {
        [] => Some(number),
        [digit] => number.checked_mul(10)?.checked_add(value(*digit)?),
        _ => None,
    }
}

fn value(digit: u8) -> Option<u64> {
    digit.is_ascii_digit().then(|| u64::from(digit - b'0'))
}

/// As [`unsigned`], with an optional minus.
fn signed(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', b'0', ..] => None,
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        digits => i64::try_from(unsigned(digits)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(list: &[&str], check: impl FnOnce(Arguments<'_>) -> T) -> T {
        let lengths: Vec<u32> = list.iter().map(|item| item.len() as u32).collect();
        check(Arguments::new(&lengths, list.concat().as_bytes()))
    }

    #[test]
    fn arguments_come_typed_and_in_order() {
        with(&["cmd", "a", "18446744073709551615", "-9223372036854775808", "2.5"], |mut rest| {
            assert_eq!(rest.name(), b"cmd");
            assert_eq!(rest.bytes(), Ok(b"a".as_slice()));
            assert_eq!(rest.u64(), Ok(u64::MAX));
            assert_eq!(rest.i64(), Ok(i64::MIN));
            assert_eq!(rest.end(), Err(Error::SYNTAX));
            assert_eq!(rest.f64(), Ok(2.5));
            assert_eq!(rest.end(), Ok(()));
            assert_eq!(
                rest.bytes().unwrap_err().to_string(),
                "ERR wrong number of arguments for 'cmd' command"
            );
        });
    }

    #[test]
    fn numbers_have_one_spelling() {
        for text in ["", "01", "+1", " 1", "1 ", "-0", "1.0", "0x1", "18446744073709551616", "-"] {
            with(&["cmd", text], |mut rest| {
                assert_eq!(rest.clone().u64(), Err(Error::NOT_AN_INTEGER), "{text:?}");
                assert_eq!(rest.i64(), Err(Error::NOT_AN_INTEGER), "{text:?}");
            });
        }
    }

    #[test]
    fn a_keyword_is_taken_in_any_case_and_left_when_it_is_another() {
        with(&["cmd", "LiMit", "3"], |mut rest| {
            assert!(!rest.keyword("CURSOR"));
            assert_eq!(rest.len(), 2);
            assert!(rest.keyword("LIMIT"));
            assert_eq!(rest.u64(), Ok(3));
            assert!(!rest.keyword("LIMIT"));
            assert_eq!(rest.value(), Err(Error::SYNTAX));
        });
    }

    #[test]
    fn columns_that_do_not_add_up_end_early_instead_of_panicking() {
        let mut rest = Arguments::new(&[3, 100], b"cmdx");
        assert!(rest.bytes().is_err());
    }
}
