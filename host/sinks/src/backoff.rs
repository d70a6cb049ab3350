//! How long to wait before the next attempt: doubling from a few milliseconds up to a bound, each
//! wait somewhere between half of that and all of it, so that many waiters do not come at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The waits of one series of attempts.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempt: u32,
    max: Duration,
}

/// The first wait.
const FIRST: Duration = Duration::from_millis(20);

impl Backoff {
    pub(crate) fn new(max: Duration) -> Self {
        Self { attempt: 0, max }
    }

    /// How long to wait now; longer the next time.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.attempt.min(20)).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        let share = RandomState::new().build_hasher().finish() % 512;
        full / 2 + full.mul_f64(share as f64 / 1024.0)
    }

    /// How many waits there were.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_no_further() {
        let max = Duration::from_secs(2);
        let mut backoff = Backoff::new(max);
        let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits.iter().all(|wait| *wait <= max));
        assert!(waits[20..].iter().all(|wait| *wait >= max / 2));
        assert_eq!(backoff.attempts(), 40);
    }
}
