//! Pauses a plugin that keeps failing, so that it stops costing everybody else time.
//!
//! After [`FAILURES_MAX`] failures in a row calls are refused for a delay that doubles with every
//! further failure; the first call that succeeds ends it. The clock is read only while a plugin
//! is in trouble: a healthy call costs one load.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Failures in a row before the first pause.
pub(crate) const FAILURES_MAX: u32 = 5;
/// The first pause.
const PAUSE_MS_MIN: u64 = 100;
/// The longest pause.
const PAUSE_MS_MAX: u64 = 30_000;

/// Failures in a row and the pause they led to.
#[derive(Debug)]
pub(crate) struct Breaker {
    born: Instant,
    failures: AtomicU32,
    /// Milliseconds after `born`; 0 when there is no pause.
    until_ms: AtomicU64,
}

/// A pause that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) failures: u32,
    pub(crate) wait_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { born: Instant::now(), failures: AtomicU32::new(0), until_ms: AtomicU64::new(0) }
    }
}

impl Breaker {
    /// The pause, if one lasts.
    #[inline]
    pub(crate) fn pause(&self) -> Option<Pause> {
        match self.until_ms.load(Relaxed) {
            0 => None,
            until_ms => self.remaining(until_ms),
        }
    }

    #[cold]
    fn remaining(&self, until_ms: u64) -> Option<Pause> {
        let wait_ms = until_ms.checked_sub(self.now_ms()).filter(|wait_ms| *wait_ms > 0)?;
        Some(Pause { failures: self.failures.load(Relaxed), wait_ms })
    }

    /// How many failures there were in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// A call succeeded.
    #[inline]
    pub(crate) fn success(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.reset();
        }
    }

    /// A call failed; the pause begins now if it was one too many.
    pub(crate) fn failure(&self) {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures >= FAILURES_MAX {
            let doublings = (failures - FAILURES_MAX).min(16);
            let pause_ms = (PAUSE_MS_MIN << doublings).min(PAUSE_MS_MAX);
            self.until_ms.store(self.now_ms() + pause_ms, Relaxed);
        }
    }

    /// A new version gets a fresh start.
    #[cold]
    pub(crate) fn reset(&self) {
        self.failures.store(0, Relaxed);
        self.until_ms.store(0, Relaxed);
    }

    fn now_ms(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_at_the_limit_grow_and_end_with_a_success() {
        let breaker = Breaker::default();
        (1..FAILURES_MAX).for_each(|_| breaker.failure());
        assert_eq!(breaker.pause(), None);
        breaker.failure();
        let first = breaker.pause().unwrap();
        assert_eq!(first.failures, FAILURES_MAX);
        assert!(first.wait_ms <= PAUSE_MS_MIN);
        breaker.failure();
        assert!(breaker.pause().unwrap().wait_ms > PAUSE_MS_MIN);
        (0..40).for_each(|_| breaker.failure());
        let longest = breaker.pause().unwrap().wait_ms;
        assert!(longest > PAUSE_MS_MAX - 1_000 && longest <= PAUSE_MS_MAX);
        breaker.success();
        assert_eq!((breaker.pause(), breaker.failures()), (None, 0));
    }
}
