//! What an argument of a call can be read as.

use crate::{Error, Result};

/// A type that arguments are read as: see [`Arguments::parse`](crate::Arguments::parse). Plugins
/// implement it for their own.
///
/// ```
/// use reef_sdk::{Arguments, Error, FromArgument, Result};
///
/// /// A colour, in the words of a client.
/// #[derive(Debug, PartialEq)]
/// enum Colour {
///     Red,
///     Green,
/// }
///
/// impl FromArgument<'_> for Colour {
///     fn from_argument(bytes: &[u8]) -> Result<Self> {
///         match bytes.to_ascii_lowercase().as_slice() {
///             b"red" => Ok(Self::Red),
///             b"green" => Ok(Self::Green),
///             _ => Err(Error::new("ERR", "no colour of ours")),
///         }
///     }
/// }
///
/// let mut arguments = Arguments::new(&[5, 3], b"PAINTRED");
/// assert_eq!(arguments.parse::<Colour>(), Ok(Colour::Red));
/// ```
pub trait FromArgument<'a>: Sized {
    /// Reads it. The error is what the client sees.
    fn from_argument(bytes: &'a [u8]) -> Result<Self>;
}

impl<'a> FromArgument<'a> for &'a [u8] {
    fn from_argument(bytes: &'a [u8]) -> Result<Self> {
        Ok(bytes)
    }
}

impl FromArgument<'_> for Vec<u8> {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        Ok(bytes.to_vec())
    }
}

impl<'a> FromArgument<'a> for &'a str {
    fn from_argument(bytes: &'a [u8]) -> Result<Self> {
        std::str::from_utf8(bytes).map_err(|_| Error::NOT_TEXT)
    }
}

impl FromArgument<'_> for String {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        <&str>::from_argument(bytes).map(str::to_owned)
    }
}

/// Digits only, no superfluous zero.
impl FromArgument<'_> for u64 {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        unsigned(bytes).ok_or(Error::NOT_AN_INTEGER)
    }
}

/// Written as Redis accepts it.
impl FromArgument<'_> for i64 {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        signed(bytes).ok_or(Error::NOT_AN_INTEGER)
    }
}

impl FromArgument<'_> for u32 {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        u64::from_argument(bytes)?.try_into().map_err(|_| Error::NOT_AN_INTEGER)
    }
}

impl FromArgument<'_> for usize {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        u64::from_argument(bytes)?.try_into().map_err(|_| Error::NOT_AN_INTEGER)
    }
}

/// A finite number.
impl FromArgument<'_> for f64 {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Self>().ok());
        number.filter(|number| number.is_finite()).ok_or(Error::NOT_A_FLOAT)
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
