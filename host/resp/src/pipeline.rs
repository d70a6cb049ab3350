//! The complete commands at the head of a receive buffer, found before the first of them runs, so
//! that whoever runs them can prepare for all of them at once.
//!
//! Invariants: the commands lie one behind the other, from the first byte of the buffer on; none is
//! found here that [`Decoder`] would not have found at its turn, under the same limits. Whoever does
//! not get to run all of them, or whose limits have changed meanwhile, must [`Decoder::restart`]
//! and look again from where the last command ended that did run.

use alloc::vec::Vec;

use crate::argv::{Argv, OwnedArgv, Span};
use crate::decoder::{Decoder, Limits, Progress, ProtocolError};

/// Commands found at once, at most.
pub const COMMANDS_MAX: usize = 16;
/// More spans than this are given back once their commands have run.
const SPANS_KEPT_MAX: usize = 1024;

/// Commands that arrived together.
#[derive(Debug, Default)]
pub struct Pipeline {
    commands: Vec<Found>,
    spans: Vec<Span>,
    /// The words of an inline command, which is always alone.
    inline: OwnedArgv,
    is_inline: bool,
}

/// One command: its spans, relative to where it starts.
#[derive(Clone, Copy, Debug)]
struct Found {
    start: usize,
    end: usize,
    first_span: usize,
    spans_end: usize,
}

/// What comes behind the commands of a [`Pipeline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Perhaps more commands: look again.
    Unknown,
    /// No complete command; as [`Progress::Incomplete`].
    Incomplete {
        /// How much longer the buffer must get before another try can succeed.
        missing: usize,
    },
    /// Bytes that are not RESP.
    Malformed(ProtocolError),
}

impl Pipeline {
    /// Finds the next commands of `buffer` in place of those found before.
    #[inline]
    pub fn find(&mut self, decoder: &mut Decoder, buffer: &[u8], limits: &Limits) -> Tail {
        self.commands.clear();
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT_MAX);
        self.is_inline = false;
        let mut start = 0;
        while self.commands.len() < COMMANDS_MAX {
            match decoder.decode(&buffer[start..], limits) {
                Ok(Progress::Command { used }) => {
                    let end = start + used;
                    let first_span = self.spans.len();
                    if let Some(words) = decoder.inline_words() {
                        // Its words are not spans of the buffer: it has a turn of its own.
                        if self.commands.is_empty() {
                            core::mem::swap(words, &mut self.inline);
                            self.is_inline = true;
                            self.commands.push(Found { start, end, first_span, spans_end: 0 });
                        }
                        return Tail::Unknown;
                    }
                    self.spans.extend_from_slice(decoder.spans());
                    let spans_end = self.spans.len();
                    self.commands.push(Found { start, end, first_span, spans_end });
                    start = end;
                }
                Ok(Progress::Incomplete { missing }) => return Tail::Incomplete { missing },
                Err(error) => return Tail::Malformed(error),
            }
        }
        Tail::Unknown
    }

    /// How many commands were found.
    #[inline]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The command at `index`, found in `buffer`. It may have no arguments (an empty line), then
    /// there is nothing to answer.
    #[inline]
    pub fn argv<'a>(&'a self, index: usize, buffer: &'a [u8]) -> Argv<'a> {
        match self.commands.get(index) {
            Some(_) if self.is_inline => self.inline.as_argv(),
            Some(found) => {
                let data = buffer.get(found.start..found.end).unwrap_or_default();
                let spans = self.spans.get(found.first_span..found.spans_end);
                Argv::of_frame(data, spans.unwrap_or_default())
            }
            None => Argv::new(&[], &[]),
        }
    }

    /// Bytes from the head of the buffer to the end of the command at `index`.
    #[inline]
    pub fn end(&self, index: usize) -> usize {
        self.commands.get(index).map_or(0, |found| found.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Limits = Limits { bulk_bytes_max: 512 * 1024 * 1024, authenticated: true };

    type Words = Vec<Vec<u8>>;

    fn words(argv: Argv<'_>) -> Words {
        argv.iter().map(<[u8]>::to_vec).collect()
    }

    /// What the decoder alone finds, and how it ends.
    fn one_by_one(input: &[u8]) -> (Vec<Words>, Tail) {
        let (mut decoder, mut found, mut start) = (Decoder::new(), Vec::new(), 0);
        loop {
            match decoder.decode(&input[start..], &OPEN) {
                Ok(Progress::Command { used }) => {
                    found.push(words(decoder.argv(&input[start..])));
                    start += used;
                }
                Ok(Progress::Incomplete { missing }) => {
                    return (found, Tail::Incomplete { missing });
                }
                Err(error) => return (found, Tail::Malformed(error)),
            }
        }
    }

    /// The same by pipelines, of which no more than `run` commands run before it looks again.
    fn together(input: &[u8], cut: usize, run: usize) -> (Vec<Words>, Tail) {
        let (mut decoder, mut pipeline) = (Decoder::new(), Pipeline::default());
        let (mut found, mut start, mut tail) = (Vec::new(), 0, Tail::Unknown);
        for end in [cut, input.len()] {
            loop {
                let buffer = &input[start..end];
                tail = pipeline.find(&mut decoder, buffer, &OPEN);
                assert!(pipeline.len() <= COMMANDS_MAX);
                let ran = pipeline.len().min(run);
                found.extend((0..ran).map(|index| words(pipeline.argv(index, buffer))));
                start += ran.checked_sub(1).map_or(0, |last| pipeline.end(last));
                if ran < pipeline.len() {
                    decoder.restart();
                } else if tail != Tail::Unknown {
                    break;
                }
            }
            if matches!(tail, Tail::Malformed(_)) {
                break;
            }
        }
        (found, tail)
    }

    #[test]
    fn pipelines_hold_what_the_decoder_finds_whatever_the_cut() {
        let frames = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"
            .repeat(12);
        let mixed =
            b"*1\r\n$4\r\nPING\r\nset k 'v w'\r\n*0\r\n\r\nGET k\n*1\r\n$0\r\n\r\n".repeat(3);
        for tail in
            [&b""[..], b"*2\r\n$3\r\nGET\r\n$5\r\nab", b"*1\r\n+OK\r\n*1\r\n", b"get \"k\r\n"]
        {
            for head in [&frames, &mixed] {
                let input = [head, tail].concat();
                let expected = one_by_one(&input);
                for cut in 0..=input.len() {
                    for run in [1, 3, COMMANDS_MAX] {
                        assert_eq!(together(&input, cut, run), expected, "cut at {cut}, run {run}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_inline_command_is_alone() {
        let (mut decoder, mut pipeline) = (Decoder::new(), Pipeline::default());
        let input = b"*1\r\n$4\r\nPING\r\nget k\r\nget l\r\n";
        assert_eq!(pipeline.find(&mut decoder, input, &OPEN), Tail::Unknown);
        assert_eq!((pipeline.len(), pipeline.end(0)), (1, 14));
        assert_eq!(pipeline.find(&mut decoder, &input[14..], &OPEN), Tail::Unknown);
        assert_eq!((pipeline.len(), pipeline.end(0)), (1, 7));
        assert_eq!(words(pipeline.argv(0, &input[14..])), [b"get", &b"k"[..]]);
        assert!(pipeline.argv(1, input).is_empty());
    }

    #[test]
    fn what_a_huge_command_took_is_given_back() {
        let (mut decoder, mut pipeline) = (Decoder::new(), Pipeline::default());
        let mut input = b"*5000\r\n".to_vec();
        (0..5000).for_each(|_| input.extend_from_slice(b"$1\r\nx\r\n"));
        pipeline.find(&mut decoder, &input, &OPEN);
        assert_eq!(pipeline.argv(0, &input).len(), 5000);
        pipeline.find(&mut decoder, b"", &OPEN);
        assert!(pipeline.is_empty() && pipeline.spans.capacity() <= SPANS_KEPT_MAX);
    }
}
