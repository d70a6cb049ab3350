//! Registers as runs of equal ones.
//!
//! ```text
//! 00llllll            zeros: 1 to 64 registers
//! 01llllll llllllll   many zeros: 1 to 16384 registers
//! 1vvvvvll            registers with a value from 1 to 32: 1 to 4 of them
//! ```
//!
//! Which of several possible sequences stands for the registers depends on the order of the changes,
//! and is the same as in Redis: a change splits the run that it falls into, then joins equal runs
//! nearby.

use alloc::vec::Vec;
use core::ops::Range;

use super::HEADER_BYTES;

const VALUE_MAX: u8 = 32;
const RUN_OF_VALUES_MAX: usize = 4;
const RUN_OF_ZEROS_MAX: usize = 64;
/// How many runs from the one before the change on are looked at to be joined.
const JOIN_STEPS: usize = 5;

/// A run of equal registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The value of each.
    pub value: u8,
    /// How many there are.
    pub len: usize,
    /// Bytes that the run takes.
    bytes: usize,
}

impl Run {
    /// Reads the run at the start of `bytes`, which may lack the second byte of two.
    fn read(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let low = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => Self { value: 0, len: low + 1, bytes: 1 },
            1 => {
                let second = bytes.get(1).copied().map_or(0, usize::from);
                Self { value: 0, len: (low << 8 | second) + 1, bytes: 2 }
            }
            _ => {
                let value = (first >> 2 & 0x1f) + 1;
                Self { value, len: usize::from(first & 3) + 1, bytes: 1 }
            }
        })
    }

    /// Whether it is in the form for many zeros.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.bytes == 2
    }
}

/// The runs of a sparse HyperLogLog.
pub fn runs(text: &[u8]) -> impl Iterator<Item = Run> {
    runs_of(text.get(HEADER_BYTES..).unwrap_or_default())
}

pub(super) fn runs_of(mut registers: &[u8]) -> impl Iterator<Item = Run> {
    core::iter::from_fn(move || {
        let run = Run::read(registers)?;
        registers = registers.get(run.bytes..).unwrap_or_default();
        Some(run)
    })
}

/// Appends a run of zeros; of none, nothing.
pub(super) fn push_zeros(out: &mut Vec<u8>, len: usize) {
    match len {
        0 => {}
        1..=RUN_OF_ZEROS_MAX => out.push(len as u8 - 1),
        _ => out.extend_from_slice(&[0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]),
    }
}

fn value_byte(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

fn push_values(out: &mut Vec<u8>, value: u8, len: usize) {
    match value {
        0 => push_zeros(out, len),
        _ if len == 0 => {}
        _ => out.push(value_byte(value, len)),
    }
}

/// What came of raising a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It was as high already.
    No,
    /// It was done.
    Yes,
    /// It was not done: there is no room for it.
    TooLarge,
}

/// Raises a register to a value, unless the string becomes longer than `bytes_max` by it.
pub(super) fn raise(
    text: &mut Vec<u8>,
    register: usize,
    value: u8,
    bytes_max: usize,
) -> Result<Raised, super::Corrupted> {
    if value > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let Found { run, before, at, offset } = find(text, register).ok_or(super::Corrupted)?;
    if run.value >= value {
        return Ok(Raised::No);
    }
    let mut parts = Vec::with_capacity(5);
    push_values(&mut parts, run.value, offset);
    parts.push(value_byte(value, 1));
    push_values(&mut parts, run.value, run.len - offset - 1);
    let len = text.len() - at.len() + parts.len();
    if parts.len() > at.len() && len > bytes_max {
        return Ok(Raised::TooLarge);
    }
    text.splice(at, parts);
    join(text, before);
    Ok(Raised::Yes)
}

/// The run that a register falls into.
struct Found {
    run: Run,
    /// Where the run before it begins, or it itself if there is none.
    before: usize,
    /// Its bytes.
    at: Range<usize>,
    /// How many of its registers come first.
    offset: usize,
}

fn find(text: &[u8], register: usize) -> Option<Found> {
    let (mut before, mut at, mut first) = (HEADER_BYTES, HEADER_BYTES, 0);
    loop {
        let run = Run::read(text.get(at..)?)?;
        let end = at + run.bytes;
        if register < first + run.len {
            // A run whose second byte is missing is none.
            let at = (end <= text.len()).then_some(at..end)?;
            return Some(Found { run, before, at, offset: register - first });
        }
        (before, at, first) = (at, end, first + run.len);
    }
}

/// Joins neighbours with the same value from a run on.
fn join(text: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_STEPS {
        let Some(run) = text.get(at..).and_then(Run::read) else { return };
        let next = at + run.bytes;
        if run.value > 0
            && let Some(other) = text.get(next..).and_then(Run::read)
            && other.value == run.value
            && run.len + other.len <= RUN_OF_VALUES_MAX
        {
            text[at] = value_byte(run.value, run.len + other.len);
            text.remove(next);
            continue;
        }
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Corrupted, empty};
    use super::*;

    fn shown(text: &[u8]) -> Vec<(u8, usize)> {
        runs(text).map(|run| (run.value, run.len)).collect()
    }

    #[test]
    fn a_change_splits_a_run_and_joins_equal_neighbours() {
        let mut text = empty();
        let mut raise = |register, value| {
            let raised = raise(&mut text, register, value, 100);
            (raised, shown(&text))
        };
        let done = Ok(Raised::Yes);
        let split = alloc::vec![(0, 1000), (3, 1), (0, 15_383)];
        assert_eq!(raise(1000, 3), (done, split.clone()));
        assert_eq!(raise(1000, 2), (Ok(Raised::No), split));
        let joined = alloc::vec![(0, 1000), (3, 2), (0, 15_382)];
        assert_eq!(raise(1001, 3), (done, joined));
        assert_eq!(raise(1002, 3).0, done);
        assert_eq!(raise(1003, 3).0, done);
        let full = alloc::vec![(0, 1000), (3, 4), (3, 1), (0, 15_379)];
        assert_eq!(raise(1004, 3), (done, full));
        let inside = alloc::vec![(0, 1000), (3, 1), (9, 1), (3, 2), (3, 1), (0, 15_379)];
        let (_, after) = raise(1001, 9);
        // The two runs of threes behind it could be one: they are, because they are near.
        assert_ne!(after, inside);
        assert_eq!(after, [(0, 1000), (3, 1), (9, 1), (3, 3), (0, 15_379)]);
    }

    #[test]
    fn without_room_nothing_is_done() {
        let mut text = empty();
        let before = text.clone();
        assert_eq!(raise(&mut text, 5, 1, HEADER_BYTES + 3), Ok(Raised::TooLarge));
        assert_eq!(raise(&mut text, 5, 33, 100), Ok(Raised::TooLarge));
        assert_eq!(text, before);
        text.truncate(HEADER_BYTES + 1);
        assert_eq!(raise(&mut text, 5, 1, 100), Err(Corrupted));
    }
}
