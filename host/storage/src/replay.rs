//! Reads a log's commands back, and says where they end.
//!
//! A file that ends within a command, or within a MULTI that has no EXEC, was cut off: everything
//! before is good, and [`Ending::Torn`] says up to where. Zeros up to the end of the file are a cut as
//! well: some file systems leave them after a power cut. Anything else that is not RESP is damage,
//! with its offset. Annotations (`#TS:...` lines) are skipped, as Redis does.

use std::fmt;
use std::io::{self, Read};

use reef_resp::{Argv, Decoder, Limits, Progress};

/// How a log's file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a complete command.
    Whole {
        /// Bytes of the file.
        len: u64,
    },
    /// Within a command or a transaction.
    Torn {
        /// How many bytes are good.
        good: u64,
        /// Bytes of the file.
        len: u64,
    },
}

/// Why a log cannot be read on.
#[derive(Debug)]
pub enum Damage {
    /// The file cannot be read.
    Read(io::Error),
    /// It is not RESP.
    Format {
        /// Where, in bytes from the start.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A command was refused.
    Refused {
        /// Where it begins.
        offset: u64,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "it cannot be read: {error}"),
            Self::Format { offset, reason } => write!(f, "damaged at byte {offset}: {reason}"),
            Self::Refused { offset, reason } => {
                write!(f, "the command at byte {offset} was refused: {reason}")
            }
        }
    }
}

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Whether a file that begins so is a snapshot.
#[must_use]
pub fn is_snapshot(head: &[u8]) -> bool {
    head.starts_with(b"REDIS") || head.starts_with(b"VALKEY")
}

/// Shows every command of a file to `apply`, which may refuse one. `start` is where the reader stands.
/// `progress` hears of every chunk how far it has come.
pub fn read_commands(
    reader: &mut dyn Read,
    start: u64,
    apply: &mut dyn FnMut(Argv<'_>) -> Result<(), String>,
    progress: &mut dyn FnMut(u64),
) -> Result<Ending, Damage> {
    let mut replay = Replay { offset: start, ..Replay::default() };
    loop {
        let ended = replay.fill(reader)?;
        replay.run(apply)?;
        progress(replay.offset);
        if ended {
            return replay.end();
        }
    }
}

/// A file under way.
#[derive(Default)]
struct Replay {
    decoder: Decoder,
    /// Bytes read and not understood yet.
    buffer: Vec<u8>,
    /// How much the command under way still lacks at least.
    missing: usize,
    /// Where `buffer` begins in the file.
    offset: u64,
    /// Where the transaction under way begins.
    multi: Option<u64>,
}

/// What a log may hold was accepted by a server before.
const LIMITS: Limits = Limits { bulk_bytes_max: i64::MAX / 2, authenticated: true };

impl Replay {
    /// Reads on. Whether the file has ended.
    fn fill(&mut self, reader: &mut dyn Read) -> Result<bool, Damage> {
        let wanted = (CHUNK_BYTES.max(self.missing)) as u64;
        // Memory grows with what is there, not with what a length says.
        let read = reader.take(wanted).read_to_end(&mut self.buffer).map_err(Damage::Read)?;
        Ok((read as u64) < wanted)
    }

    fn run(&mut self, apply: &mut dyn FnMut(Argv<'_>) -> Result<(), String>) -> Result<(), Damage> {
        let mut used = 0;
        while let Some(command) = self.next(used)? {
            let offset = self.offset + used as u64;
            match command {
                Found::Nothing(bytes) => used += bytes,
                Found::Command(bytes) => {
                    let argv = self.decoder.argv(&self.buffer[used..]);
                    if argv.get(0).eq_ignore_ascii_case(b"MULTI") {
                        self.multi = Some(offset);
                    } else if argv.get(0).eq_ignore_ascii_case(b"EXEC") {
                        self.multi = None;
                    }
                    apply(argv).map_err(|reason| Damage::Refused { offset, reason })?;
                    used += bytes;
                }
            }
        }
        self.buffer.drain(..used);
        self.offset += used as u64;
        Ok(())
    }

    fn next(&mut self, used: usize) -> Result<Option<Found>, Damage> {
        let rest = &self.buffer[used..];
        let offset = self.offset + used as u64;
        let format = |reason: String| Damage::Format { offset, reason };
        match rest.first() {
            None => return Ok(None),
            Some(b'#') if !self.decoder.is_mid_command() => {
                let end = rest.iter().position(|byte| *byte == b'\n');
                return Ok(end.map(|end| Found::Nothing(end + 1)));
            }
            Some(b'*') => {}
            Some(0) if rest.iter().all(|byte| *byte == 0) => return Ok(None),
            Some(_) => return Err(format("no command begins here".to_owned())),
        }
        match self.decoder.decode(rest, &LIMITS) {
            Ok(Progress::Command { used }) if self.decoder.argv(rest).is_empty() => {
                Ok(Some(Found::Nothing(used)))
            }
            Ok(Progress::Command { used }) if rest[..used].ends_with(b"\r\n") => {
                Ok(Some(Found::Command(used)))
            }
            // A client's slip is forgiven; here it is a command that was not written to its end.
            Ok(Progress::Command { .. }) if ends_in_zeros(rest) => Ok(None),
            Ok(Progress::Command { .. }) => Err(format("a command without its end".to_owned())),
            Ok(Progress::Incomplete { missing }) => {
                self.missing = missing;
                Ok(None)
            }
            // What a torn write left may be followed by zeros.
            Err(_) if ends_in_zeros(rest) => Ok(None),
            Err(error) => Err(format(error.to_string())),
        }
    }

    fn end(&self) -> Result<Ending, Damage> {
        let len = self.offset + self.buffer.len() as u64;
        match self.multi {
            Some(good) => Ok(Ending::Torn { good, len }),
            None if self.buffer.is_empty() => Ok(Ending::Whole { len }),
            None => Ok(Ending::Torn { good: self.offset, len }),
        }
    }
}

enum Found {
    /// Bytes that mean nothing.
    Nothing(usize),
    /// A command of so many bytes.
    Command(usize),
}

/// Whether `rest` is the beginning of a command and then nothing but zeros.
fn ends_in_zeros(rest: &[u8]) -> bool {
    let zeros = rest.iter().rev().take_while(|byte| **byte == 0).count();
    let written = Decoder::new().decode(&rest[..rest.len() - zeros], &LIMITS);
    zeros > 0 && matches!(written, Ok(Progress::Incomplete { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<String>, Result<Ending, Damage>) {
        let mut seen = Vec::new();
        let mut apply = |argv: Argv<'_>| {
            let words = argv.iter().map(String::from_utf8_lossy);
            seen.push(words.collect::<Vec<_>>().join(" "));
            if argv.get(0) == b"BAD" { Err("no such command".to_owned()) } else { Ok(()) }
        };
        let ending = read_commands(&mut &bytes[..], 0, &mut apply, &mut |_| {});
        (seen, ending)
    }

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";
    const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
    const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

    #[test]
    fn a_file_cut_anywhere_is_good_up_to_its_last_whole_unit() {
        let whole = [SET, b"#TS:1700000000\r\n", MULTI, SET, EXEC, SET].concat();
        let units = [0, SET.len(), SET.len() + 16, whole.len() - SET.len(), whole.len()];
        for cut in 0..=whole.len() {
            let (_, ending) = read(&whole[..cut]);
            let good = *units.iter().rev().find(|end| **end <= cut).unwrap() as u64;
            let len = cut as u64;
            let expected =
                if good == len { Ending::Whole { len } } else { Ending::Torn { good, len } };
            assert_eq!(ending.unwrap(), expected, "cut at {cut}");
            let zeros = [&whole[..cut], &[0; 600][..]].concat();
            let (_, ending) = read(&zeros);
            assert_eq!(ending.unwrap(), Ending::Torn { good, len: len + 600 }, "zeros from {cut}");
        }
        assert_eq!(read(&whole).0, ["SET a b", "MULTI", "SET a b", "EXEC", "SET a b"]);
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let reason = |bytes: &[u8]| read(bytes).1.unwrap_err().to_string();
        let after = |what: &[u8]| [SET, what, SET].concat();
        assert_eq!(reason(&after(b"x")), "damaged at byte 27: no command begins here");
        let text = reason(&after(b"*1\r\n+OK\r\n"));
        assert_eq!(text, "damaged at byte 27: expected '$', got '+'");
        let text = reason(&after(b"*1\r\n$3\r\nBAD\r\n"));
        assert_eq!(text, "the command at byte 27 was refused: no such command");
    }

    #[test]
    fn a_length_that_is_not_there_takes_no_memory() {
        let torn = b"*2\r\n$3\r\nSET\r\n$4000000000\r\nabc";
        assert_eq!(read(torn).1.unwrap(), Ending::Torn { good: 0, len: torn.len() as u64 });
    }
}
