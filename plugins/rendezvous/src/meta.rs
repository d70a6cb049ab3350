//! What a run is: its time, its limits, its counters; one line of text, so that redis-cli shows it.
//!
//! Every change of a run writes this line, and demands that nobody else has meanwhile: so all
//! changes of a run happen one after the other.

use reef_sdk::{Argument, Host, Result};

use crate::key::CORRUPT;

/// What a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Registrations, results and published values, together.
    pub(crate) registrations: u64,
    /// Calls that wait at once.
    pub(crate) waiters: u64,
    /// Bytes of one value.
    pub(crate) bytes: u64,
    /// Milliseconds for which one call may wait.
    pub(crate) wait_ms: u64,
}

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// When it was opened and when it ends, in milliseconds since 1970.
    pub(crate) opened_ms: u64,
    pub(crate) end_ms: u64,
    /// Counts changes: of registrations, leases, leaders.
    pub(crate) revision: u64,
    /// In which life of the plugin connections are known.
    pub(crate) incarnation: u64,
    /// When the first thing ends by itself; 0: nothing does.
    pub(crate) due_ms: u64,
    /// What counts against the limit of registrations.
    pub(crate) count: u64,
    pub(crate) limits: Limits,
    /// Whether somebody gave a registration an id that looks like one of ours.
    pub(crate) has_numbers: bool,
}

impl Argument for Meta {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { opened_ms, end_ms, revision, incarnation, due_ms, count, .. } = *self;
        let Limits { registrations, waiters, bytes, wait_ms } = self.limits;
        let has_numbers = u64::from(self.has_numbers);
        let run = [opened_ms, end_ms, revision, incarnation, due_ms, count];
        let limits = [registrations, waiters, bytes, wait_ms];
        write_numbers(run.into_iter().chain(limits).chain([has_numbers]), out);
    }
}

impl Meta {
    /// As it was kept.
    pub(crate) fn decode(text: &[u8]) -> Result<Self> {
        let [
            opened_ms,
            end_ms,
            revision,
            incarnation,
            due_ms,
            count,
            registrations,
            waiters,
            bytes,
            wait_ms,
            has_numbers,
        ] = numbers(text).ok_or(CORRUPT)?;
        let limits = Limits { registrations, waiters, bytes, wait_ms };
        let has_numbers = has_numbers != 0;
        Ok(Self { opened_ms, end_ms, revision, incarnation, due_ms, count, limits, has_numbers })
    }
}

/// Numbers with blanks between them.
pub(crate) fn write_numbers(numbers: impl IntoIterator<Item = u64>, out: &mut Vec<u8>) {
    for (index, number) in numbers.into_iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        number.write(out);
    }
}

/// So many numbers with blanks between them, and nothing else. A name space may have thousands of such
/// lines: nothing is done here but to read each byte once.
pub(crate) fn numbers<const N: usize>(text: &[u8]) -> Option<[u64; N]> {
    let mut found = [0; N];
    let (mut at, mut is_begun) = (0, false);
    for byte in text {
        if *byte != b' ' {
            let number = found.get_mut(at)?;
            *number = with_digit(*number, *byte)?;
            is_begun = true;
        } else if is_begun {
            at += 1;
            is_begun = false;
        } else {
            return None;
        }
    }
    (is_begun && at + 1 == N).then_some(found)
}

/// A number with one digit more.
fn with_digit(number: u64, byte: u8) -> Option<u64> {
    let digit = u64::from(byte.wrapping_sub(b'0'));
    if digit > 9 {
        return None;
    }
    // A multiplication that looks for an overflow costs ten of others in wasm.
    match number < u64::MAX / 10 {
        true => Some(number * 10 + digit),
        false => number.checked_mul(10)?.checked_add(digit),
    }
}

/// The limits of a run that names none, and how long a run may last: from the configuration.
pub(crate) fn defaults(host: &mut dyn Host) -> (Limits, u64) {
    let mut number = |name: &str, otherwise: u64| {
        host.config(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let limits = Limits {
        registrations: number("registrations", 100_000),
        waiters: number("waiters", 20_000),
        bytes: number("bytes", 64 * 1024),
        wait_ms: number("wait", 3_600).saturating_mul(1_000),
    };
    (limits, number("ttl-max", 7 * 24 * 3_600).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back() {
        let limits = Limits { registrations: 7, waiters: 8, bytes: 9, wait_ms: 10 };
        let meta = Meta {
            opened_ms: 1,
            end_ms: 2,
            revision: 3,
            incarnation: u64::MAX,
            due_ms: 5,
            count: 6,
            limits,
            has_numbers: true,
        };
        let mut text = Vec::new();
        meta.write(&mut text);
        assert_eq!(Meta::decode(&text), Ok(meta));
        for bad in [
            "",
            "1 2 3",
            "1 2 3 4 5 6 7 8 9 10 11 12",
            "1 2 3 4 5 6 7 8 9 10 11 ",
            "1 2 3 4 5  6 7 8 9 10 11",
            " 1 2 3 4 5 6 7 8 9 10 11",
            "1 2 3 4 5 6 7 8 9 10 18446744073709551616",
            "1 2 3 4 5 6 7 8 9 10 x",
        ] {
            assert_eq!(Meta::decode(bad.as_bytes()), Err(CORRUPT), "{bad}");
        }
    }
}
