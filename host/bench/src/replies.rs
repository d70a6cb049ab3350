//! Counts complete RESP replies in a stream of bytes, without building any.
//!
//! Invariants: a reply counts exactly once, however the reads cut it; the memory used does not
//! depend on what the server sends (an aggregate is a number of elements still to come, so nesting
//! needs no stack; a payload is skipped by its length). Push messages (`>`) and attributes (`|`)
//! are passed over and are no replies.
//!
//! It deliberately does not check payloads, UTF-8 or numbers in simple lines, and it refuses the
//! streamed types of RESP3 (`$?`, `*?`), which no server sends.

use std::fmt;

/// Counts the replies of one connection.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    state: State,
    /// Elements still to come before the reply is complete; 0 between replies.
    need: u64,
    /// What is being read is a push message.
    push: bool,
    /// The reply began with an aggregate, so a nil in it is not a nil reply.
    nested: bool,
    /// The reply contains an error.
    failed: bool,
    /// Replies that are or contain an error.
    pub(crate) errors: u64,
    /// Replies that are nil.
    pub(crate) nils: u64,
    /// Text of the first error, cut at `ERROR_TEXT_MAX`.
    first_error: Vec<u8>,
    first_error_done: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The next byte says the type.
    #[default]
    Type,
    /// Inside a line whose text does not matter (or is an error's).
    Line { error: bool },
    /// Inside the number of a line that gives a length.
    Length { kind: u8, value: u64, digits: u8, negative: bool },
    /// Inside a payload or its CRLF.
    Payload { left: u64, error: bool },
}

/// The bytes are not RESP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    /// A byte that begins no type.
    Type(u8),
    /// A length that is none.
    Length(u8),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(byte) => write!(f, "'{}' begins no reply", byte.escape_ascii()),
            Self::Length(kind) => write!(f, "bad length after '{}'", kind.escape_ascii()),
        }
    }
}

impl Replies {
    /// Takes the next bytes of the stream; returns how many replies they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<u64, ProtocolError> {
        let mut complete = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let done = match self.state {
                State::Type => {
                    self.begin(rest[0])?;
                    rest = &rest[1..];
                    continue;
                }
                State::Line { error } => self.line(&mut rest, error),
                State::Length { kind, value, digits, negative } => {
                    self.length(&mut rest, kind, value, digits, negative)?
                }
                State::Payload { left, error } => self.payload(&mut rest, left, error),
            };
            if done {
                complete += u64::from(self.element_done());
            }
        }
        Ok(complete)
    }

    /// No reply is half read.
    #[cfg(test)]
    fn is_between_replies(&self) -> bool {
        self.need == 0 && matches!(self.state, State::Type)
    }

    /// Text of the first error seen since the last call, and counters back to zero.
    pub(crate) fn take_first_error(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.first_error);
        self.first_error_done = false;
        self.errors = 0;
        self.nils = 0;
        (!text.is_empty()).then(|| String::from_utf8_lossy(&text).trim_end().to_owned())
    }

    fn begin(&mut self, kind: u8) -> Result<(), ProtocolError> {
        self.state = match kind {
            b'+' | b':' | b',' | b'#' | b'(' | b'_' => State::Line { error: false },
            b'-' => State::Line { error: true },
            b'$' | b'=' | b'!' | b'*' | b'~' | b'%' | b'>' | b'|' => {
                State::Length { kind, value: 0, digits: 0, negative: false }
            }
            other => return Err(ProtocolError::Type(other)),
        };
        if self.need == 0 {
            self.need = 1;
            self.nested = false;
            self.failed = false;
            self.push = kind == b'>';
        }
        match kind {
            b'-' | b'!' => self.failed = true,
            b'_' => self.nil(),
            _ => {}
        }
        Ok(())
    }

    /// Passes to the end of a line; true when it is there.
    fn line(&mut self, rest: &mut &[u8], error: bool) -> bool {
        let end = memchr::memchr(b'\n', rest);
        let taken = end.map_or(rest.len(), |at| at + 1);
        if error {
            self.keep_error(&rest[..taken], end.is_some());
        }
        *rest = &rest[taken..];
        if end.is_some() {
            self.state = State::Type;
        }
        end.is_some()
    }

    /// Reads a length; true when the element ends with it (a nil).
    fn length(
        &mut self,
        rest: &mut &[u8],
        kind: u8,
        mut value: u64,
        mut digits: u8,
        mut negative: bool,
    ) -> Result<bool, ProtocolError> {
        let bad = ProtocolError::Length(kind);
        for (at, &byte) in rest.iter().enumerate() {
            match byte {
                b'0'..=b'9' if digits < LENGTH_DIGITS_MAX => {
                    value = value * 10 + u64::from(byte - b'0');
                    digits += 1;
                }
                b'-' if digits == 0 && !negative => negative = true,
                b'\r' if digits > 0 => {}
                b'\n' if digits > 0 => {
                    *rest = &rest[at + 1..];
                    return self.sized(kind, value, negative).ok_or(bad);
                }
                _ => return Err(bad),
            }
        }
        *rest = &[];
        self.state = State::Length { kind, value, digits, negative };
        Ok(false)
    }

    /// A length line is complete; `None` when the length makes no sense for its type.
    fn sized(&mut self, kind: u8, value: u64, negative: bool) -> Option<bool> {
        self.state = State::Type;
        if negative {
            self.nil();
            return (value == 1 && matches!(kind, b'$' | b'*')).then_some(true);
        }
        let children = match kind {
            b'$' | b'=' | b'!' => {
                self.state = State::Payload { left: value + 2, error: kind == b'!' };
                return Some(false);
            }
            b'%' | b'|' => value * 2,
            _ => value,
        };
        self.nested = true;
        self.need = self.need.checked_add(children)?;
        // An attribute stands in front of the element that it describes and replaces none.
        Some(kind != b'|')
    }

    fn payload(&mut self, rest: &mut &[u8], left: u64, error: bool) -> bool {
        let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        let left = left - taken as u64;
        if error {
            self.keep_error(&rest[..taken], left == 0);
        }
        *rest = &rest[taken..];
        self.state = if left == 0 { State::Type } else { State::Payload { left, error } };
        left == 0
    }

    /// One element is complete; true when a reply is complete with it.
    fn element_done(&mut self) -> bool {
        self.need -= 1;
        if self.need > 0 || self.push {
            return false;
        }
        self.errors += u64::from(self.failed);
        true
    }

    fn nil(&mut self) {
        self.nils += u64::from(self.need == 1 && !self.nested);
    }

    fn keep_error(&mut self, text: &[u8], end: bool) {
        if self.first_error_done {
            return;
        }
        let room = ERROR_TEXT_MAX - self.first_error.len();
        self.first_error.extend_from_slice(&text[..text.len().min(room)]);
        self.first_error_done = end;
    }
}

const ERROR_TEXT_MAX: usize = 256;
/// 17 digits leave room for doubling a map's length and adding it up without overflow.
const LENGTH_DIGITS_MAX: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` cut into pieces of every size; all must agree.
    fn count(bytes: &[u8]) -> (u64, u64, u64, Option<String>) {
        let mut first = None;
        for size in 1..=bytes.len() {
            let mut replies = Replies::default();
            let mut complete = 0;
            for piece in bytes.chunks(size) {
                complete += replies.feed(piece).expect("valid RESP");
            }
            assert!(replies.is_between_replies(), "pieces of {size}");
            let (errors, nils) = (replies.errors, replies.nils);
            let seen = (complete, errors, nils, replies.take_first_error());
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "pieces of {size}");
        }
        first.expect("not empty")
    }

    #[test]
    fn resp2_types_count_once_each() {
        let bytes =
            b"+OK\r\n:-12\r\n$5\r\nhello\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n$1\r\na\r\n:1\r\n";
        assert_eq!(count(bytes), (8, 0, 2, None));
    }

    #[test]
    fn resp3_types_count_once_each() {
        let bytes = b"_\r\n#t\r\n,3.14\r\n(123456789012345678901234567890\r\n=7\r\ntxt:abc\r\n\
            ~2\r\n+a\r\n+b\r\n%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n";
        assert_eq!(count(bytes), (7, 0, 1, None));
    }

    #[test]
    fn nested_aggregates_are_one_reply() {
        let mut bytes = b"*1\r\n".repeat(10_000);
        bytes.extend_from_slice(b"*3\r\n*0\r\n$2\r\n\r\n\r\n*-1\r\n");
        let mut replies = Replies::default();
        assert_eq!(replies.feed(&bytes), Ok(1));
        assert_eq!(replies.nils, 0);
        assert_eq!(count(b"*2\r\n*1\r\n%1\r\n+k\r\n~0\r\n_\r\n+PONG\r\n").0, 2);
    }

    #[test]
    fn payload_that_looks_like_replies_is_passed_over() {
        assert_eq!(count(b"$13\r\n+OK\r\n-ERR\r\n\r\n\r\n:1\r\n"), (2, 0, 0, None));
    }

    #[test]
    fn errors_count_per_reply_and_the_first_text_is_kept() {
        let bytes = b"+OK\r\n-ERR first one\r\n-ERR second\r\n!9\r\nSYNTAX no\r\n*2\r\n-ERR a\r\n-ERR b\r\n";
        assert_eq!(count(bytes), (5, 4, 0, Some("ERR first one".to_owned())));
        assert_eq!(count(b"!9\r\nSYNTAX no\r\n").3.as_deref(), Some("SYNTAX no"));
    }

    #[test]
    fn a_long_error_is_cut() {
        let mut bytes = b"-".to_vec();
        bytes.extend_from_slice(&b"x".repeat(100_000));
        bytes.extend_from_slice(b"\r\n+OK\r\n");
        let mut replies = Replies::default();
        assert_eq!(replies.feed(&bytes), Ok(2));
        assert_eq!(replies.take_first_error().map(|text| text.len()), Some(ERROR_TEXT_MAX));
    }

    #[test]
    fn push_messages_and_attributes_are_no_replies() {
        let bytes = b">3\r\n+message\r\n+c\r\n$2\r\nhi\r\n+OK\r\n|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n>1\r\n-x\r\n:7\r\n";
        let (complete, errors, nils, _) = count(bytes);
        assert_eq!((complete, errors, nils), (3, 0, 0));
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        for (bytes, error) in [
            (&b"HTTP/1.1 200"[..], ProtocolError::Type(b'H')),
            (b"$?\r\n", ProtocolError::Length(b'$')),
            (b"$\r\n", ProtocolError::Length(b'$')),
            (b"$-2\r\n", ProtocolError::Length(b'$')),
            (b"%-1\r\n", ProtocolError::Length(b'%')),
            (b"*--1\r\n", ProtocolError::Length(b'*')),
            (b"*1x\r\n", ProtocolError::Length(b'*')),
            (b"$999999999999999999\r\n", ProtocolError::Length(b'$')),
            (b"\r\n", ProtocolError::Type(b'\r')),
        ] {
            assert_eq!(Replies::default().feed(bytes), Err(error));
        }
    }

    #[test]
    fn nested_lengths_cannot_overflow() {
        let mut replies = Replies::default();
        let huge = b"%99999999999999999\r\n".repeat(1_000);
        assert_eq!(replies.feed(&huge), Err(ProtocolError::Length(b'%')));
    }
}
