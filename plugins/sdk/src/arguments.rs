//! The arguments of one call, as a cursor that hands them out typed, with Redis's error texts.
//!
//! A handler takes what it needs in order and ends with [`Arguments::end`]. Running out of
//! arguments is the arity error of the command, so no handler counts.

use crate::{Error, FromArgument, Result};

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
        self.parse()
    }

    /// The next argument as an unsigned integer: digits only, no superfluous zero.
    pub fn u64(&mut self) -> Result<u64> {
        self.parse()
    }

    /// The next argument as a signed integer, written as Redis accepts it.
    pub fn i64(&mut self) -> Result<i64> {
        self.parse()
    }

    /// The next argument as a finite number.
    pub fn f64(&mut self) -> Result<f64> {
        self.parse()
    }

    /// The next argument, as whatever is wanted.
    ///
    /// ```
    /// # use reef_sdk::{Arguments, Error};
    /// let mut arguments = Arguments::new(&[3, 1, 2], b"ADDk42");
    /// let key: &str = arguments.parse()?;
    /// let amount: i64 = arguments.parse()?;
    /// assert_eq!((key, amount), ("k", 42));
    /// assert_eq!(arguments.parse::<i64>(), Err(Error::wrong_arity(b"ADD")));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn parse<T: FromArgument<'a>>(&mut self) -> Result<T> {
        T::from_argument(self.bytes()?)
    }

    /// The next argument if there is one: `[count]` at the end of a usage line.
    ///
    /// ```
    /// # use reef_sdk::Arguments;
    /// let mut arguments = Arguments::new(&[3, 1], b"POP3");
    /// assert_eq!(arguments.optional::<u64>(), Ok(Some(3)));
    /// assert_eq!(arguments.optional::<u64>(), Ok(None));
    /// ```
    pub fn optional<T: FromArgument<'a>>(&mut self) -> Result<Option<T>> {
        self.next().map(T::from_argument).transpose()
    }

    /// All arguments that are left, at least one: `key [key ...]`.
    ///
    /// ```
    /// # use reef_sdk::Arguments;
    /// let mut arguments = Arguments::new(&[3, 1, 1], b"SUM12");
    /// assert_eq!(arguments.rest::<i64>(), Ok(vec![1, 2]));
    /// assert!(arguments.rest::<i64>().is_err());
    /// ```
    pub fn rest<T: FromArgument<'a>>(&mut self) -> Result<Vec<T>> {
        let mut values = vec![self.parse()?];
        while let Some(value) = self.optional()? {
            values.push(value);
        }
        Ok(values)
    }

    /// The value of an option if it comes next: `[LIMIT n]`. A keyword without value is a syntax error.
    ///
    /// ```
    /// # use reef_sdk::{Arguments, Error, Result};
    /// /// `TOP [LIMIT n] [REV]`, in any order.
    /// fn options(arguments: &mut Arguments<'_>) -> Result<(u64, bool)> {
    ///     let (mut limit, mut rev) = (10, false);
    ///     while !arguments.is_empty() {
    ///         if let Some(number) = arguments.option("LIMIT")? {
    ///             limit = number;
    ///         } else if arguments.keyword("REV") {
    ///             rev = true;
    ///         } else {
    ///             return Err(Error::SYNTAX);
    ///         }
    ///     }
    ///     Ok((limit, rev))
    /// }
    ///
    /// assert_eq!(options(&mut Arguments::new(&[3, 3, 5, 1], b"TOPrevlimit5")), Ok((5, true)));
    /// assert_eq!(options(&mut Arguments::new(&[3, 5], b"TOPLIMIT")), Err(Error::SYNTAX));
    /// ```
    pub fn option<T: FromArgument<'a>>(&mut self, keyword: &str) -> Result<Option<T>> {
        if !self.keyword(keyword) {
            return Ok(None);
        }
        T::from_argument(self.value()?).map(Some)
    }

    /// The next argument as one of these words, in upper or lower case; any other is a syntax error.
    ///
    /// ```
    /// # use reef_sdk::{Arguments, Error};
    /// let order = [("ASC", false), ("DESC", true)];
    /// let mut arguments = Arguments::new(&[4, 4, 2], b"SORTdescup");
    /// assert_eq!(arguments.choice(&order), Ok(true));
    /// assert_eq!(arguments.choice(&order), Err(Error::SYNTAX));
    /// ```
    pub fn choice<T: Copy>(&mut self, words: &[(&str, T)]) -> Result<T> {
        let given = self.bytes()?;
        let found = words.iter().find(|(word, _)| given.eq_ignore_ascii_case(word.as_bytes()));
        found.map(|(_, value)| *value).ok_or(Error::SYNTAX)
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
