//! RESP2 and RESP3 replies as values, and a decoder for them.
//!
//! The decoder is for judging servers: it keeps what a client library would hide (which null, the
//! exact digits of a double) and never trusts a length it was told: nothing is allocated before
//! the bytes are there, and nesting is bounded. Attributes are not understood: no command of ours
//! sends them.

use std::fmt;

/// One reply, as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Status(Vec<u8>),
    /// `-ERR ...`, or a RESP3 blob error
    Error(Vec<u8>),
    /// `:1`
    Integer(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`, or RESP3 `_`
    Nil,
    /// `*-1`: RESP2 only
    NilArray,
    /// `*2`
    Array(Vec<Self>),
    /// RESP3 `~2`
    Set(Vec<Self>),
    /// RESP3 `%2`
    Map(Vec<(Self, Self)>),
    /// RESP3 `>2`
    Push(Vec<Self>),
    /// RESP3 `,1.5`, with the digits as sent
    Double(Vec<u8>),
    /// RESP3 `#t`
    Boolean(bool),
    /// RESP3 `(123`
    BigNumber(Vec<u8>),
    /// RESP3 `=7 txt:...`
    Verbatim {
        /// The three letters before the colon.
        format: Vec<u8>,
        /// What follows the colon.
        text: Vec<u8>,
    },
}

/// Bytes that are no RESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// What was wrong, in words.
    pub what: &'static str,
    /// Offset of the value that is broken.
    pub at: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not RESP: {} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for DecodeError {}

/// How deep aggregates may nest.
const DEPTH_MAX: usize = 64;

/// Decodes the first reply in `bytes` and says how many bytes it took; `None` when it is incomplete.
///
/// # Errors
/// The bytes can never become a valid reply.
pub fn decode(bytes: &[u8]) -> Result<Option<(Reply, usize)>, DecodeError> {
    let mut cursor = Cursor { bytes, at: 0 };
    match cursor.value(0) {
        Ok(reply) => Ok(Some((reply, cursor.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Broken(error)) => Err(error),
    }
}

enum Stop {
    Incomplete,
    Broken(DecodeError),
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn value(&mut self, depth: usize) -> Result<Reply, Stop> {
        if depth > DEPTH_MAX {
            return Err(self.broken("nested too deep"));
        }
        let kind = *self.bytes.get(self.at).ok_or(Stop::Incomplete)?;
        let line = self.line()?;
        match kind {
            b'+' => Ok(Reply::Status(line.to_vec())),
            b'-' => Ok(Reply::Error(line.to_vec())),
            b':' => Ok(Reply::Integer(self.number(line)?)),
            b',' => Ok(Reply::Double(line.to_vec())),
            b'(' => Ok(Reply::BigNumber(line.to_vec())),
            b'_' if line.is_empty() => Ok(Reply::Nil),
            b'#' => match line {
                b"t" => Ok(Reply::Boolean(true)),
                b"f" => Ok(Reply::Boolean(false)),
                _ => Err(self.broken("a boolean is neither t nor f")),
            },
            b'$' | b'!' | b'=' => self.blob(kind, line),
            b'*' | b'~' | b'>' => self.list(kind, line, depth),
            b'%' => self.map(line, depth),
            _ => Err(self.broken("unknown type byte")),
        }
    }

    /// The rest of the header line, without the type byte.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.at + 1;
        let rest = self.bytes.get(start..).ok_or(Stop::Incomplete)?;
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(Stop::Incomplete)?;
        let Some(line) = rest[..length].strip_suffix(b"\r") else {
            return Err(self.broken("a line ends without carriage return"));
        };
        self.at = start + length + 1;
        Ok(line)
    }

    fn blob(&mut self, kind: u8, line: &[u8]) -> Result<Reply, Stop> {
        if kind == b'$' && line == b"-1" {
            return Ok(Reply::Nil);
        }
        let length = self.length(line)?;
        let end = self.at.checked_add(length).ok_or_else(|| self.broken("length overflows"))?;
        let text = self.bytes.get(self.at..end).ok_or(Stop::Incomplete)?;
        match self.bytes.get(end..end + 2) {
            None => return Err(Stop::Incomplete),
            Some(b"\r\n") => {}
            Some(_) => return Err(self.broken("a blob does not end where it said")),
        }
        self.at = end + 2;
        match kind {
            b'$' => Ok(Reply::Bulk(text.to_vec())),
            b'!' => Ok(Reply::Error(text.to_vec())),
            _ => match (text.get(..3), text.get(3), text.get(4..)) {
                (Some(format), Some(b':'), Some(text)) => {
                    Ok(Reply::Verbatim { format: format.to_vec(), text: text.to_vec() })
                }
                _ => Err(self.broken("a verbatim string without format")),
            },
        }
    }

    fn list(&mut self, kind: u8, line: &[u8], depth: usize) -> Result<Reply, Stop> {
        if kind == b'*' && line == b"-1" {
            return Ok(Reply::NilArray);
        }
        let mut items = Vec::new();
        for _ in 0..self.length(line)? {
            items.push(self.value(depth + 1)?);
        }
        Ok(match kind {
            b'*' => Reply::Array(items),
            b'~' => Reply::Set(items),
            _ => Reply::Push(items),
        })
    }

    fn map(&mut self, line: &[u8], depth: usize) -> Result<Reply, Stop> {
        let mut pairs = Vec::new();
        for _ in 0..self.length(line)? {
            let key = self.value(depth + 1)?;
            pairs.push((key, self.value(depth + 1)?));
        }
        Ok(Reply::Map(pairs))
    }

    fn number(&self, line: &[u8]) -> Result<i64, Stop> {
        std::str::from_utf8(line)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.broken("not a number"))
    }

    fn length(&self, line: &[u8]) -> Result<usize, Stop> {
        usize::try_from(self.number(line)?).map_err(|_| self.broken("a negative length"))
    }

    fn broken(&self, what: &'static str) -> Stop {
        Stop::Broken(DecodeError { what, at: self.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Reply {
        let (reply, used) = decode(bytes).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        reply
    }

    #[test]
    fn every_type_is_decoded() {
        assert_eq!(all(b"+OK\r\n"), Reply::Status(b"OK".to_vec()));
        assert_eq!(all(b"-ERR x\r\n"), Reply::Error(b"ERR x".to_vec()));
        assert_eq!(all(b"!5\r\nERR x\r\n"), Reply::Error(b"ERR x".to_vec()));
        assert_eq!(all(b":-12\r\n"), Reply::Integer(-12));
        assert_eq!(all(b"$2\r\n\r\n\r\n"), Reply::Bulk(b"\r\n".to_vec()));
        assert_eq!(all(b"$-1\r\n"), Reply::Nil);
        assert_eq!(all(b"_\r\n"), Reply::Nil);
        assert_eq!(all(b"*-1\r\n"), Reply::NilArray);
        assert_eq!(all(b"*1\r\n:1\r\n"), Reply::Array(vec![Reply::Integer(1)]));
        assert_eq!(all(b"~1\r\n:1\r\n"), Reply::Set(vec![Reply::Integer(1)]));
        assert_eq!(all(b">1\r\n:1\r\n"), Reply::Push(vec![Reply::Integer(1)]));
        assert_eq!(
            all(b"%1\r\n:1\r\n#t\r\n"),
            Reply::Map(vec![(Reply::Integer(1), Reply::Boolean(true))])
        );
        assert_eq!(all(b",1.50\r\n"), Reply::Double(b"1.50".to_vec()));
        assert_eq!(all(b"(12\r\n"), Reply::BigNumber(b"12".to_vec()));
        assert_eq!(
            all(b"=5\r\ntxt:a\r\n"),
            Reply::Verbatim { format: b"txt".to_vec(), text: b"a".to_vec() }
        );
    }

    #[test]
    fn every_prefix_is_incomplete() {
        let bytes = b"*3\r\n$3\r\nabc\r\n%1\r\n+a\r\n,1\r\n=5\r\ntxt:a\r\n";
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "prefix of {end} bytes");
        }
        assert!(decode(bytes).unwrap().is_some());
    }

    #[test]
    fn garbage_is_refused_and_costs_nothing() {
        for bytes in [
            &b"x1\r\n"[..],
            b":a\r\n",
            b"$-2\r\n",
            b"*-2\r\n",
            b"$1\r\nab\r\n",
            b"#x\r\n",
            b"=2\r\nab\r\n",
            b"+a\n",
        ] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(decode(b"*9223372036854775807\r\n"), Ok(None));
        assert_eq!(decode(b"$9223372036854775807\r\n"), Ok(None));
        assert!(decode(&b"*1\r\n".repeat(100)).is_err());
    }
}
