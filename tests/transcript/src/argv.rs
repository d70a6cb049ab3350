//! Splits a typed line into arguments with redis-cli's quoting.
//!
//! Double quotes know `\n \r \t \b \a \\ \" \xHH`, single quotes only `\'`. A quote may open only at
//! the start of an argument or inside one, and must be followed by a space or the end when it
//! closes. Bytes come out, so any argument can be written.

use std::fmt;

/// Why a line could not be split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitError {
    /// A quote was opened and never closed.
    UnbalancedQuotes,
    /// A closing quote was followed by something else than a space.
    TextAfterQuote,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnbalancedQuotes => "a quote is never closed",
            Self::TextAfterQuote => "text follows a closing quote without a space",
        })
    }
}

/// Splits `line` into arguments; an empty line has none.
///
/// # Errors
/// Unbalanced quotes, or text glued to a closing quote.
pub fn split_args(line: &str) -> Result<Vec<Vec<u8>>, SplitError> {
    let mut rest = line.as_bytes();
    let mut args = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(args);
        }
        let (arg, after) = take_arg(rest)?;
        args.push(arg);
        rest = after;
    }
}

fn take_arg(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), SplitError> {
    let mut arg = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => {
                rest = take_double_quoted(after, &mut arg)?;
                return end_of_quote(arg, rest);
            }
            b'\'' => {
                rest = take_single_quoted(after, &mut arg)?;
                return end_of_quote(arg, rest);
            }
            _ if byte.is_ascii_whitespace() => break,
            _ => arg.push(byte),
        }
        rest = after;
    }
    Ok((arg, rest))
}

fn end_of_quote(arg: Vec<u8>, rest: &[u8]) -> Result<(Vec<u8>, &[u8]), SplitError> {
    match rest.first() {
        Some(byte) if !byte.is_ascii_whitespace() => Err(SplitError::TextAfterQuote),
        _ => Ok((arg, rest)),
    }
}

fn take_double_quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Result<&'a [u8], SplitError> {
    loop {
        rest = match rest {
            [] => return Err(SplitError::UnbalancedQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                arg.push(hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0));
                after
            }
            [b'\\', byte, after @ ..] => {
                arg.push(unescape(*byte));
                after
            }
            [byte, after @ ..] => {
                arg.push(*byte);
                after
            }
        }
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Result<&'a [u8], SplitError> {
    loop {
        rest = match rest {
            [] => return Err(SplitError::UnbalancedQuotes),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => {
                arg.push(b'\'');
                after
            }
            [byte, after @ ..] => {
                arg.push(*byte);
                after
            }
        }
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<Vec<u8>> {
        split_args(line).unwrap()
    }

    #[test]
    fn plain_words_are_split_at_spaces() {
        assert_eq!(split("  SET  a\tb "), [b"SET".to_vec(), b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(split(""), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn double_quotes_know_escapes() {
        assert_eq!(
            split(r#"SET k "a b\x00\xfF\n\r\t\a\b\"\\\q""#)[2],
            b"a b\x00\xff\n\r\t\x07\x08\"\\q"
        );
        assert_eq!(split(r#"SET k """#)[2], b"");
        assert_eq!(split(r#""\xg1""#)[0], b"xg1");
    }

    #[test]
    fn single_quotes_are_literal() {
        assert_eq!(split(r"SET k 'a\n\'b'")[2], b"a\\n'b");
    }

    #[test]
    fn broken_quotes_are_refused() {
        assert_eq!(split_args("\"a"), Err(SplitError::UnbalancedQuotes));
        assert_eq!(split_args("'a"), Err(SplitError::UnbalancedQuotes));
        assert_eq!(split_args("\"a\"b"), Err(SplitError::TextAfterQuote));
    }
}
