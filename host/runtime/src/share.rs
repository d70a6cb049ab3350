//! How much the long calls of one plugin use of a core that others want, too.
//!
//! A tenth of it, after a little that they may use at once: what niceness promises beside a program
//! that never rests, but does not keep to one that asks and waits for the answer, whose every pause a nice
//! thread would take and give back late. Only slices that had to wait for their core count, so that a call
//! on an idle machine gets all there is; not a call's first, so that short ones that begin there need not
//! rest; and none under a real-time policy, where priorities say who waits.

use std::time::{Duration, Instant};

/// One in so many parts is theirs.
const PARTS: u32 = 10;
/// CPU time that they may use at once.
const BURST: Duration = Duration::from_millis(10);
/// Longest rest that one slice costs: it may have been within a very long command of the host.
const REST_MAX: Duration = Duration::from_secs(1);
/// What is lost to interrupts and the like, as a part of what was used ...
const LOST: u32 = 16;
/// ... and in the shortest slice.
const LOST_MIN: Duration = Duration::from_micros(100);

/// One slice of a call: CPU time, and time in which it was ready to run and had no core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) used: Duration,
    pub(crate) waited: Duration,
}

/// The account of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// When all that was used is within the share again.
    even_at: Option<Instant>,
}

impl Share {
    /// A slice has ended.
    pub(crate) fn charge(&mut self, slice: Slice, now: Instant) {
        if slice.waited > slice.used / LOST + LOST_MIN {
            let even_at = self.even_at.map_or(now, |even_at| even_at.max(now));
            self.even_at = Some(even_at + (slice.used * PARTS).min(REST_MAX));
        }
    }

    /// When the next slice may begin; none if it may at once.
    pub(crate) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.even_at?.checked_sub(BURST * PARTS).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// For how long a plugin rests after so many slices of a millisecond, one right after the other.
    fn rest_ms(slices: u32, waited: Duration) -> u128 {
        let (mut share, mut now) = (Share::default(), Instant::now());
        for _ in 0..slices {
            share.charge(Slice { used: MS, waited }, now);
            now += MS;
        }
        share.rests_until(now).map_or(0, |until| (until - now).as_millis())
    }

    #[test]
    fn who_has_a_core_alone_never_rests() {
        assert_eq!(rest_ms(1_000, Duration::ZERO), 0);
        assert_eq!(rest_ms(1_000, MS / LOST + LOST_MIN), 0);
    }

    #[test]
    fn who_shares_a_core_has_a_tenth_of_it_after_a_burst() {
        assert_eq!(rest_ms(11, MS), 0);
        assert_eq!(rest_ms(12, MS), 8);
        assert_eq!(rest_ms(100, MS), 800);
    }

    #[test]
    fn one_slice_costs_no_longer_rest_than_it_may() {
        let (mut share, now) = (Share::default(), Instant::now());
        for _ in 0..3 {
            share.charge(Slice { used: 1_000 * MS, waited: 1_000 * MS }, now);
        }
        let rested = now + 3 * REST_MAX - BURST * PARTS;
        assert_eq!(share.rests_until(now), Some(rested));
        assert_eq!(share.rests_until(rested), None);
    }
}
