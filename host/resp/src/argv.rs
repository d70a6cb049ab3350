//! The arguments of one command: spans of a buffer that somebody else owns.
//!
//! Invariant: every span lies inside its buffer; the constructors check it once, so that readers
//! need not.

use alloc::vec::Vec;

/// One argument's place in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A command's arguments, its name first. Some words to copy, nothing to free.
#[derive(Clone, Copy, Debug)]
pub struct Argv<'a> {
    data: &'a [u8],
    spans: &'a [Span],
    /// Whether `data` is the command as it came: a RESP array of bulk strings, and nothing else.
    is_frame: bool,
}

impl<'a> Argv<'a> {
    /// Arguments at `spans` of `data`. A span that does not fit reads as empty.
    pub fn new(data: &'a [u8], spans: &'a [Span]) -> Self {
        Self { data, spans, is_frame: false }
    }

    /// Arguments at `spans` of `frame`, a RESP array of bulk strings in which a decoder found them.
    pub(crate) fn of_frame(frame: &'a [u8], spans: &'a [Span]) -> Self {
        Self { data: frame, spans, is_frame: true }
    }

    /// The command as it came, if that is how everybody writes it: a RESP array of bulk strings. A
    /// decoder takes lengths in one form only, but passes over line feeds unseen.
    #[inline]
    pub fn frame(&self) -> Option<&'a [u8]> {
        let digits = self.spans.len().checked_ilog10().filter(|_| self.is_frame)? as usize + 1;
        let is_fed = |index: usize| self.data.get(index) == Some(&b'\n');
        let is_usual = |span: &Span| {
            let start = span.start as usize;
            let end = start + span.len as usize;
            is_fed(start.wrapping_sub(1)) && self.data.get(end..end + 2) == Some(b"\r\n")
        };
        let count_end = "*".len() + digits + "\r".len();
        (is_fed(count_end) && self.spans.iter().all(is_usual)).then_some(self.data)
    }

    /// How many arguments there are, the name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`, or an empty one past the end.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        match self.spans.get(index) {
            Some(span) => {
                let start = span.start as usize;
                self.data.get(start..start + span.len as usize).unwrap_or_default()
            }
            None => &[],
        }
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Bytes of all arguments together.
    pub fn bytes(&self) -> usize {
        self.spans.iter().map(|span| span.len as usize).sum()
    }
}

/// A command that outlives the receive buffer: queued by MULTI, kept by a waiter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedArgv {
    data: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgv {
    /// An empty command, to be filled by [`push`](Self::push).
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one argument.
    pub fn push(&mut self, argument: &[u8]) {
        let start = self.data.len() as u32;
        self.data.extend_from_slice(argument);
        self.spans.push(Span { start, len: argument.len() as u32 });
    }

    /// Forgets all arguments, keeping the allocations.
    pub fn clear(&mut self) {
        self.data.clear();
        self.spans.clear();
    }

    /// The arguments, borrowed.
    pub fn as_argv(&self) -> Argv<'_> {
        Argv::new(&self.data, &self.spans)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.data.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl From<Argv<'_>> for OwnedArgv {
    fn from(argv: Argv<'_>) -> Self {
        let mut owned =
            Self { data: Vec::with_capacity(argv.bytes()), spans: Vec::with_capacity(argv.len()) };
        argv.iter().for_each(|argument| owned.push(argument));
        owned
    }
}

impl<A: AsRef<[u8]>> FromIterator<A> for OwnedArgv {
    fn from_iter<I: IntoIterator<Item = A>>(arguments: I) -> Self {
        let mut owned = Self::new();
        arguments.into_iter().for_each(|argument| owned.push(argument.as_ref()));
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{Decoder, Limits, Progress};

    #[test]
    fn owned_arguments_read_back_as_pushed() {
        let owned: OwnedArgv = ["SET", "", "value"].into_iter().collect();
        let argv = owned.as_argv();
        assert_eq!(argv.len(), 3);
        assert_eq!(argv.iter().collect::<Vec<_>>(), [b"SET".as_slice(), b"", b"value"]);
        assert_eq!(OwnedArgv::from(argv), owned);
    }

    #[test]
    fn only_what_everybody_would_write_is_a_frame() {
        let frame = |came: &[u8]| {
            let mut decoder = Decoder::new();
            let limits = Limits { bulk_bytes_max: 100, authenticated: true };
            let found = decoder.decode(came, &limits);
            assert_eq!(found, Ok(Progress::Command { used: came.len() }));
            Argv::of_frame(came, decoder.spans()).frame().is_some()
        };
        let usual = b"*2\r\n$4\r\nECHO\r\n$2\r\n\n\n\r\n";
        assert!(frame(usual) && frame(b"*1\r\n$0\r\n\r\n"));
        for unseen in [3, 7, 12, 13, 17, 20, 21] {
            let mut came = usual.to_vec();
            came[unseen] = b'x';
            assert!(!frame(&came), "{unseen}");
        }
        let owned: OwnedArgv = ["*1\r\n$4\r\nPING\r\n"].into_iter().collect();
        assert_eq!(owned.as_argv().frame(), None);
    }

    #[test]
    fn a_span_outside_the_buffer_reads_as_empty() {
        let spans = [Span { start: 3, len: 9 }];
        assert_eq!(Argv::new(b"abcd", &spans).get(0), b"");
    }
}
