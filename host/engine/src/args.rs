//! A cursor over a command's arguments that yields typed values.
//!
//! Handlers take what they need in order; whoever called the handler checks that nothing is left.
//! Taking more than there is yields a syntax error, never a panic (the arity was checked before).

use core::ops::RangeInclusive;

use reef_resp::Argv;

use crate::error::Error;
use crate::types::number;

/// The arguments that are still to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    argv: Argv<'a>,
    next: usize,
}

impl<'a> Args<'a> {
    /// A cursor behind the first `skip` arguments (the name; for sub-commands two).
    pub fn new(argv: Argv<'a>, skip: usize) -> Self {
        Self { argv, next: skip }
    }

    /// All arguments, the name included, wherever the cursor is.
    pub fn argv(&self) -> Argv<'a> {
        self.argv
    }

    /// The position of the next argument.
    pub fn position(&self) -> usize {
        self.next
    }

    /// How many arguments are left.
    pub fn left(&self) -> usize {
        self.argv.len().saturating_sub(self.next)
    }

    /// Whether everything was taken.
    pub fn is_done(&self) -> bool {
        self.left() == 0
    }

    /// The next argument, without taking it.
    pub fn peek(&self) -> Option<&'a [u8]> {
        (self.left() > 0).then(|| self.argv.get(self.next))
    }

    /// Passes over everything that is left.
    pub fn skip_rest(&mut self) {
        self.next = self.argv.len();
    }

    /// Takes the next argument.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        if self.is_done() {
            return Err(Error::Syntax);
        }
        self.next += 1;
        Ok(self.argv.get(self.next - 1))
    }

    /// Takes the next argument, if there is one.
    pub fn maybe(&mut self) -> Option<&'a [u8]> {
        self.bytes().ok()
    }

    /// Takes everything that is left.
    pub fn rest(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + use<'a> {
        let (argv, from) = (self.argv, self.next.min(self.argv.len()));
        self.skip_rest();
        (from..argv.len()).map(move |index| argv.get(index))
    }

    /// Takes the next `count` arguments.
    pub fn many(
        &mut self,
        count: usize,
    ) -> Result<
        impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a>,
        Error,
    > {
        if count > self.left() {
            return Err(Error::Syntax);
        }
        let (argv, from) = (self.argv, self.next);
        self.next += count;
        Ok((from..from + count).map(move |index| argv.get(index)))
    }

    /// Takes an integer.
    pub fn integer(&mut self) -> Result<i64, Error> {
        number::parse_i64(self.bytes()?).ok_or(Error::NotAnInteger)
    }

    /// Takes an integer of 32 bits, which is what numbers of databases are.
    pub fn integer32(&mut self) -> Result<i32, Error> {
        i32::try_from(self.integer()?).map_err(|_| Error::OutOfInt32)
    }

    /// Takes an integer between `low` and `high`, saying that `what` is out of range otherwise.
    pub fn integer_in(&mut self, low: i64, high: i64, what: &'static str) -> Result<i64, Error> {
        let value = self.integer()?;
        if value < low || value > high { Err(Error::OutOfRange(what)) } else { Ok(value) }
    }

    /// Takes an integer between `low` and `high`, naming these two otherwise.
    pub fn integer_between(&mut self, low: i64, high: i64) -> Result<i64, Error> {
        let value = self.integer()?;
        if value < low || value > high { Err(Error::NotBetween(low, high)) } else { Ok(value) }
    }

    /// Takes an integer in `range`; everything else is this error.
    pub fn integer_within(
        &mut self,
        range: RangeInclusive<i64>,
        error: Error,
    ) -> Result<i64, Error> {
        number::parse_i64(self.bytes()?).filter(|value| range.contains(value)).ok_or(error)
    }

    /// Takes an integer that is not negative; everything else is "value is out of range, must be
    /// positive".
    pub fn count(&mut self) -> Result<usize, Error> {
        let error = Error::MustBePositive("value");
        let value = self.integer_within(0..=i64::MAX, error.clone())?;
        usize::try_from(value).map_err(|_| error)
    }

    /// Takes a double.
    pub fn float(&mut self) -> Result<f64, Error> {
        number::parse_f64(self.bytes()?).ok_or(Error::NotAFloat)
    }

    /// Takes a time in seconds, fractions allowed; gives milliseconds, rounded up. 0 is for ever.
    pub fn timeout_s(&mut self) -> Result<Option<u64>, Error> {
        let seconds =
            number::parse_f64_any_size(self.bytes()?).ok_or(Error::TIMEOUT_NOT_A_FLOAT)?;
        // Beyond this the milliseconds would not fit into the integers that Redis keeps them in.
        if seconds * 1000.0 > i64::MAX as f64 {
            return Err(Error::TIMEOUT_OUT_OF_RANGE);
        }
        let whole = (seconds * 1000.0) as i64;
        let ms = whole + i64::from(whole as f64 / 1000.0 < seconds);
        self.timeout(ms)
    }

    /// Takes a time in whole milliseconds. 0 is for ever.
    pub fn timeout_ms(&mut self) -> Result<Option<u64>, Error> {
        let ms = number::parse_i64(self.bytes()?).ok_or(Error::TIMEOUT_NOT_AN_INTEGER)?;
        self.timeout(ms)
    }

    fn timeout(&self, ms: i64) -> Result<Option<u64>, Error> {
        let ms = u64::try_from(ms).map_err(|_| Error::TIMEOUT_NEGATIVE)?;
        // Longer than this ends after what a clock of 64 bits can say.
        const LONGEST_MS: u64 = i64::MAX as u64 - (1 << 42);
        if ms > LONGEST_MS {
            return Err(Error::TIMEOUT_OUT_OF_RANGE);
        }
        Ok((ms > 0).then_some(ms))
    }

    /// Takes the next argument if it is this word, in either case.
    pub fn keyword(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        if found {
            self.next += 1;
        }
        found
    }

    /// Takes the next argument if it is one of these words; gives its index.
    pub fn one_of(&mut self, words: &[&str]) -> Option<usize> {
        let next = self.peek()?;
        let index = words.iter().position(|word| next.eq_ignore_ascii_case(word.as_bytes()))?;
        self.next += 1;
        Some(index)
    }

    /// Refuses arguments that are left.
    pub fn end(&self) -> Result<(), Error> {
        if self.is_done() { Ok(()) } else { Err(Error::Syntax) }
    }
}
