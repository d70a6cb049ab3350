//! Finds the next command in a receive buffer, in place and incrementally.
//!
//! The caller shows the decoder the unread bytes again and again, each time more of them; the
//! decoder remembers how far it got, so a command that arrives byte by byte costs linear time.
//! Nothing is allocated on the strength of an announced length: spans grow as arguments arrive.
//! Errors are Redis's texts; after one the connection must be closed.

use alloc::vec::Vec;

use crate::argv::{Argv, OwnedArgv, Span};
use crate::inline::split_line;

/// A line (inline command, announced length) may not be longer than this many bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// What a client that has not authenticated may announce.
const UNAUTHENTICATED_ARGUMENTS_MAX: i64 = 10;
/// The same, for the length of one argument.
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16 * 1024;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument in bytes (`proto-max-bulk-len`).
    pub bulk_bytes_max: i64,
    /// Whether the client has proved who it is; others may announce only little.
    pub authenticated: bool,
}

/// What a call of [`Decoder::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A command, to be read by [`Decoder::argv`]; this many bytes of the buffer are done with.
    /// It may have no arguments (an empty line), then there is nothing to answer.
    Command {
        /// Bytes to drop from the head of the buffer.
        used: usize,
    },
    /// More bytes are needed: at least this many for the argument under way, 0 if unknown.
    Incomplete {
        /// How much longer the buffer must get before another try can succeed.
        missing: usize,
    },
}

/// Why a client's bytes are not RESP. The text is what Redis says after `ERR Protocol error: `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A line without end.
    InlineTooBig,
    /// Quotes that do not close.
    UnbalancedQuotes,
    /// The line with the number of arguments has no end.
    CountLineTooBig,
    /// The number of arguments is no number, or too large.
    InvalidCount,
    /// More arguments than a stranger may send.
    UnauthenticatedCount,
    /// Something other than `$` where an argument starts.
    ExpectedBulk(u8),
    /// The line with the length of an argument has no end.
    LengthLineTooBig,
    /// The length is no number, negative or too large.
    InvalidLength,
    /// A longer argument than a stranger may send.
    UnauthenticatedLength,
}

impl core::fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::InlineTooBig => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::CountLineTooBig => f.write_str("too big mbulk count string"),
            Self::InvalidCount => f.write_str("invalid multibulk length"),
            Self::UnauthenticatedCount => f.write_str("unauthenticated multibulk length"),
            Self::ExpectedBulk(byte) => write!(f, "expected '$', got '{}'", *byte as char),
            Self::LengthLineTooBig => f.write_str("too big bulk count string"),
            Self::InvalidLength => f.write_str("invalid bulk length"),
            Self::UnauthenticatedLength => f.write_str("unauthenticated bulk length"),
        }
    }
}

impl core::error::Error for ProtocolError {}

/// The state of one connection's input.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Arguments still to come; 0 between commands.
    remaining: u32,
    /// Bytes of the buffer that are already understood.
    position: usize,
    spans: Vec<Span>,
    /// The words of an inline command, which cannot be spans of the buffer once unquoted.
    inline: OwnedArgv,
    is_inline: bool,
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a command has begun but not ended.
    pub fn is_mid_command(&self) -> bool {
        self.remaining > 0
    }

    /// Looks for a command at the head of `buffer`. After [`Progress::Incomplete`] the next call
    /// must show the same bytes, with more behind them.
    #[inline]
    pub fn decode(&mut self, buffer: &[u8], limits: &Limits) -> Result<Progress, ProtocolError> {
        if self.remaining == 0 {
            self.position = 0;
            self.spans.clear();
            match buffer.first() {
                None => return Ok(Progress::Incomplete { missing: 0 }),
                Some(b'*') => {}
                Some(_) => return self.decode_inline(buffer),
            }
            self.is_inline = false;
            match self.take_count(buffer, limits)? {
                Header::Missing => return Ok(Progress::Incomplete { missing: 0 }),
                Header::Empty => return Ok(Progress::Command { used: self.position }),
                Header::Arguments(count) => self.remaining = count,
            }
        }
        self.take_arguments(buffer, limits)
    }

    /// The command that [`decode`](Self::decode) just found in `buffer`.
    #[inline]
    pub fn argv<'a>(&'a self, buffer: &'a [u8]) -> Argv<'a> {
        if self.is_inline { self.inline.as_argv() } else { Argv::new(buffer, &self.spans) }
    }

    /// The command that [`decode`](Self::decode) just found, unless it is an inline one.
    #[inline]
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The words of the command that [`decode`](Self::decode) just found, if it is an inline one.
    #[inline]
    pub(crate) fn inline_words(&mut self) -> Option<&mut OwnedArgv> {
        self.is_inline.then_some(&mut self.inline)
    }

    /// Forgets a command that has begun but not ended: the next call may show other bytes.
    #[inline]
    pub fn restart(&mut self) {
        self.remaining = 0;
    }

    /// Gives back memory that an unusually large command left behind.
    pub fn shrink(&mut self) {
        if self.remaining == 0 {
            self.spans = Vec::new();
            self.inline = OwnedArgv::new();
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.inline.heap_bytes()
    }

    fn decode_inline(&mut self, buffer: &[u8]) -> Result<Progress, ProtocolError> {
        let Some(end) = memchr::memchr(b'\n', buffer) else {
            if buffer.len() > LINE_BYTES_MAX {
                return Err(ProtocolError::InlineTooBig);
            }
            return Ok(Progress::Incomplete { missing: 0 });
        };
        self.is_inline = true;
        let line = buffer[..end].strip_suffix(b"\r").unwrap_or(&buffer[..end]);
        split_line(line, &mut self.inline).ok_or(ProtocolError::UnbalancedQuotes)?;
        Ok(Progress::Command { used: end + 1 })
    }

    fn take_count(&mut self, buffer: &[u8], limits: &Limits) -> Result<Header, ProtocolError> {
        let Some((line, used)) = take_line(&buffer[1..]) else {
            if buffer.len() > LINE_BYTES_MAX {
                return Err(ProtocolError::CountLineTooBig);
            }
            return Ok(Header::Missing);
        };
        let count = parse_length(line).ok_or(ProtocolError::InvalidCount)?;
        if count > i64::from(i32::MAX) {
            return Err(ProtocolError::InvalidCount);
        }
        if count > UNAUTHENTICATED_ARGUMENTS_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        self.position = 1 + used;
        Ok(if count <= 0 { Header::Empty } else { Header::Arguments(count as u32) })
    }

    #[inline]
    fn take_arguments(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
    ) -> Result<Progress, ProtocolError> {
        while self.remaining > 0 {
            let rest = buffer.get(self.position..).unwrap_or_default();
            match rest.first() {
                None => return Ok(Progress::Incomplete { missing: 0 }),
                Some(b'$') => {}
                Some(byte) => return Err(ProtocolError::ExpectedBulk(*byte)),
            }
            let Some((line, used)) = take_line(&rest[1..]) else {
                if rest.len() > LINE_BYTES_MAX {
                    return Err(ProtocolError::LengthLineTooBig);
                }
                return Ok(Progress::Incomplete { missing: 0 });
            };
            let len = parse_length(line).ok_or(ProtocolError::InvalidLength)?;
            if len < 0 || len > limits.bulk_bytes_max {
                return Err(ProtocolError::InvalidLength);
            }
            if len > UNAUTHENTICATED_BULK_BYTES_MAX && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedLength);
            }
            let start = self.position + 1 + used;
            let end = start + len as usize + 2;
            if buffer.len() < end {
                return Ok(Progress::Incomplete { missing: end - buffer.len() });
            }
            self.spans.push(Span { start: start as u32, len: len as u32 });
            self.position = end;
            self.remaining -= 1;
        }
        Ok(Progress::Command { used: self.position })
    }
}

enum Header {
    Missing,
    Empty,
    Arguments(u32),
}

/// The line at the head of `bytes` without its end, and the bytes it takes with its end.
#[inline]
fn take_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    // Lengths are short: a plain loop over a few bytes beats a vector search.
    let window = &bytes[..bytes.len().min(24)];
    let end = match window.iter().position(|byte| *byte == b'\r') {
        Some(end) => end,
        None => memchr::memchr(b'\r', bytes)?,
    };
    // The line feed is taken unseen, as Redis does, but it must have arrived.
    if end + 1 >= bytes.len() { None } else { Some((&bytes[..end], end + 2)) }
}

/// A decimal number as Redis takes it: no plus sign, no leading zeros, no spaces.
#[inline]
fn parse_length(line: &[u8]) -> Option<i64> {
    let (negative, digits) = match line {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || (digits[0] == b'0' && line.len() > 1) {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const OPEN: Limits = Limits { bulk_bytes_max: 512 * 1024 * 1024, authenticated: true };

    /// Feeds `input` in two pieces at every cut; commands must not depend on the cut.
    fn commands(input: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, ProtocolError> {
        let mut whole = None;
        for cut in 0..=input.len() {
            let mut decoder = Decoder::new();
            let mut found = Vec::new();
            let mut start = 0;
            let mut result = Ok(());
            'feed: for end in [cut, input.len()] {
                loop {
                    match decoder.decode(&input[start..end], &OPEN) {
                        Ok(Progress::Command { used }) => {
                            let argv = decoder.argv(&input[start..end]);
                            found.push(argv.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
                            start += used;
                        }
                        Ok(Progress::Incomplete { .. }) => break,
                        Err(error) => {
                            result = Err(error);
                            break 'feed;
                        }
                    }
                }
            }
            let outcome = result.map(|()| found);
            let first = whole.get_or_insert_with(|| outcome.clone());
            assert_eq!(*first, outcome, "cut at {cut}");
        }
        whole.unwrap()
    }

    #[test]
    fn pipelined_commands_are_found_whatever_the_cut() {
        let input =
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n*0\r\n*1\r\n$0\r\n\r\n\r\nset k 'v w'\n";
        let found = commands(input).unwrap();
        let expected: Vec<Vec<&[u8]>> = alloc::vec![
            alloc::vec![b"GET", b"k"],
            alloc::vec![b"PING"],
            alloc::vec![],
            alloc::vec![b""],
            alloc::vec![],
            alloc::vec![b"set", b"k", b"v w"],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn malformed_frames_get_the_texts_of_redis() {
        let check = |input: &[u8], text: &str| {
            assert_eq!(commands(input).unwrap_err().to_string(), text);
        };
        check(b"*x\r\n", "invalid multibulk length");
        check(b"*3000000000\r\n", "invalid multibulk length");
        check(b"*1\r\n+OK\r\n", "expected '$', got '+'");
        check(b"*1\r\n$-1\r\n", "invalid bulk length");
        check(b"*1\r\n$01\r\n", "invalid bulk length");
        check(b"*1\r\n$536870913\r\n", "invalid bulk length");
        check(b"set k \"v\n", "unbalanced quotes in request");
        check(b"*99999999999999999999\r\n", "invalid multibulk length");
    }

    #[test]
    fn lines_without_end_are_refused_at_the_limit() {
        let mut decoder = Decoder::new();
        let mut check = |head: &[u8], error: ProtocolError| {
            let mut line = head.to_vec();
            line.resize(LINE_BYTES_MAX, b'1');
            assert!(matches!(decoder.decode(&line, &OPEN), Ok(Progress::Incomplete { .. })));
            line.push(b'1');
            assert_eq!(decoder.decode(&line, &OPEN), Err(error));
        };
        check(b"", ProtocolError::InlineTooBig);
        check(b"*", ProtocolError::CountLineTooBig);
    }

    #[test]
    fn strangers_may_announce_only_little() {
        let stranger = Limits { authenticated: false, ..OPEN };
        let decode = |input: &[u8]| Decoder::new().decode(input, &stranger);
        assert_eq!(decode(b"*11\r\n"), Err(ProtocolError::UnauthenticatedCount));
        assert_eq!(decode(b"*1\r\n$16385\r\n"), Err(ProtocolError::UnauthenticatedLength));
        assert_eq!(decode(b"*1\r\n$16384\r\n"), Ok(Progress::Incomplete { missing: 16386 }));
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let mut decoder = Decoder::new();
        let progress = decoder.decode(b"*1000000\r\n$500000000\r\n", &OPEN);
        assert_eq!(progress, Ok(Progress::Incomplete { missing: 500_000_002 }));
        assert_eq!(decoder.heap_bytes(), 0);
    }
}
