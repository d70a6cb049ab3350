//! What the SCAN family has in common: cursors, options, and the shape of the reply.

use alloc::boxed::Box;
use alloc::vec::Vec;

use reef_resp::Writer;

use crate::args::Args;
use crate::error::Error;
use crate::types::glob;

/// How many elements a call looks at when COUNT says nothing.
const COUNT_DEFAULT: usize = 10;

/// What a command of the family knows besides `MATCH` and `COUNT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    /// Nothing.
    None,
    /// `TYPE type`: keys have one.
    Type,
    /// This word, for names without what belongs to them.
    NamesOnly(&'static str),
}

/// `MATCH pattern`, `COUNT count` and what the command knows besides.
pub(super) struct Options<'a> {
    /// About how many elements to look at.
    pub(super) count: usize,
    /// What TYPE said.
    pub(super) type_name: Option<&'a [u8]>,
    /// Whether only names are wanted.
    pub(super) names_only: bool,
    /// `None` matches everything.
    pattern: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Takes everything that is left.
    pub(super) fn take(args: &mut Args<'a>, extra: Extra) -> Result<Self, Error> {
        let mut options =
            Self { count: COUNT_DEFAULT, type_name: None, names_only: false, pattern: None };
        let words: &[&str] = match extra {
            Extra::Type => &["COUNT", "MATCH", "TYPE"],
            Extra::None | Extra::NamesOnly(_) => &["COUNT", "MATCH"],
        };
        while !args.is_done() {
            if let Extra::NamesOnly(word) = extra
                && args.keyword(word)
            {
                options.names_only = true;
                continue;
            }
            if args.keyword("NOVALUES") {
                return Err(Error::NOVALUES_OF_OTHERS);
            }
            if args.keyword("NOSCORES") {
                return Err(Error::NOSCORES_OF_OTHERS);
            }
            let option = args.one_of(words).ok_or(Error::Syntax)?;
            if args.is_done() {
                return Err(Error::Syntax);
            }
            match option {
                0 => {
                    let count = args.integer()?;
                    let positive = usize::try_from(count).ok().filter(|count| *count > 0);
                    options.count = positive.ok_or(Error::Syntax)?;
                }
                1 => options.pattern = Some(args.bytes()?).filter(|pattern| *pattern != b"*"),
                _ => options.type_name = Some(args.bytes()?),
            }
        }
        Ok(options)
    }

    /// Whether an element's name is wanted.
    pub(super) fn wants(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}

/// Takes a cursor as C's `strtoul` reads one: an empty text is 0, a minus sign wraps around.
pub(super) fn cursor(args: &mut Args<'_>) -> Result<u64, Error> {
    let text = args.bytes()?;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() && !text.is_empty() {
        return Err(Error::InvalidCursor);
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit =
            Some(digit).filter(|digit| digit.is_ascii_digit()).ok_or(Error::InvalidCursor)?;
        let next = value.checked_mul(10).and_then(|ten| ten.checked_add(u64::from(digit - b'0')));
        value = next.ok_or(Error::InvalidCursor)?;
    }
    Ok(if negative { value.wrapping_neg() } else { value })
}

/// Says the cursor to go on with, and what was found.
pub(super) fn say(reply: &mut Writer, cursor: u64, found: &[Box<[u8]>]) {
    let mut digits = Vec::new();
    crate::types::number::write_u64(&mut digits, cursor);
    reply.array(2);
    reply.bulk(&digits);
    reply.array(found.len());
    found.iter().for_each(|item| reply.bulk(item));
}

#[cfg(test)]
mod tests {
    use reef_resp::OwnedArgv;

    use super::*;

    fn read(text: &[u8]) -> Result<u64, Error> {
        let mut argv = OwnedArgv::new();
        argv.push(text);
        cursor(&mut Args::new(argv.as_argv(), 0))
    }

    #[test]
    fn cursors_are_read_as_strtoul_does() {
        for (text, value) in [
            (&b""[..], 0),
            (b"0", 0),
            (b"007", 7),
            (b"+5", 5),
            (b"18446744073709551615", u64::MAX),
            (b"-1", u64::MAX),
        ] {
            assert_eq!(read(text), Ok(value));
        }
        for bad in [&b"x"[..], b"-", b"+", b" 1", b"1 ", b"1.5", b"18446744073709551616"] {
            assert_eq!(read(bad), Err(Error::InvalidCursor));
        }
    }
}
