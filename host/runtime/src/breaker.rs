//! Pauses a plugin that keeps failing, so that it stops costing everybody else time.
//!
//! After [`FAILURES_MAX`] failures in a row calls are refused for a delay that doubles with every
//! further failure; the first call that succeeds ends it. The last failure is kept, so that operators
//! see why. The clock is read only while a plugin is in trouble: a healthy call costs one load.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;

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
    /// Calls that were refused by pauses.
    refused: AtomicU64,
    last: Mutex<Option<LastFailure>>,
}

/// The last call that spoke against the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastFailure {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The error as its client saw it.
    pub(crate) text: Box<str>,
}

/// A pause that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) failures: u32,
    pub(crate) wait_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            failures: AtomicU32::new(0),
            until_ms: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }
}

impl Breaker {
    /// The pause, if one lasts.
    #[inline]
    pub(crate) fn pause(&self) -> Option<Pause> {
        match self.until_ms.load(Relaxed) {
            0 => None,
            _ => self.pause_at(self.now_ms()),
        }
    }

    #[cold]
    fn pause_at(&self, now_ms: u64) -> Option<Pause> {
        let wait_ms = self.until_ms.load(Relaxed).checked_sub(now_ms).filter(|wait| *wait > 0)?;
        Some(Pause { failures: self.failures.load(Relaxed), wait_ms })
    }

    /// A call was refused because of a pause.
    #[cold]
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// How many calls were refused because of pauses.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The last failure of the version that runs.
    pub(crate) fn last(&self) -> Option<LastFailure> {
        self.last.lock().clone()
    }

    /// How many failures there were in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// A call succeeded.
    #[inline]
    pub(crate) fn success(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.end();
        }
    }

    /// A call failed at `at_ms` with this error; the pause begins now if it was one too many.
    #[cold]
    pub(crate) fn failure(&self, at_ms: u64, text: &str) -> Option<Pause> {
        *self.last.lock() = Some(LastFailure { at_ms, text: text.into() });
        self.failure_at(self.now_ms())
    }

    fn failure_at(&self, now_ms: u64) -> Option<Pause> {
        if self.pause_at(now_ms).is_some() {
            // It began before the pause: the pause is the answer to it already.
            return None;
        }
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let doublings = failures.checked_sub(FAILURES_MAX)?.min(16);
        let wait_ms = (PAUSE_MS_MIN << doublings).min(PAUSE_MS_MAX);
        self.until_ms.store(now_ms + wait_ms, Relaxed);
        Some(Pause { failures, wait_ms })
    }

    /// A new version gets a fresh start.
    #[cold]
    pub(crate) fn reset(&self) {
        *self.last.lock() = None;
        self.end();
    }

    #[cold]
    fn end(&self) {
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
        for now_ms in 1..FAILURES_MAX {
            assert_eq!(breaker.failure_at(now_ms.into()), None);
        }
        assert_eq!(breaker.pause_at(9), None);
        let first = Pause { failures: FAILURES_MAX, wait_ms: PAUSE_MS_MIN };
        assert_eq!(breaker.failure_at(10), Some(first));
        let pause = |now_ms| breaker.pause_at(now_ms).map(|pause| pause.wait_ms);
        assert_eq!(pause(10), Some(PAUSE_MS_MIN));
        assert_eq!(pause(9 + PAUSE_MS_MIN), Some(1));
        assert_eq!(pause(10 + PAUSE_MS_MIN), None);
        assert_eq!(breaker.failure_at(50), None);
        assert_eq!(pause(50), Some(PAUSE_MS_MIN - 40), "a failure within a pause adds nothing");
        breaker.failure_at(1_000);
        assert_eq!(pause(1_000), Some(2 * PAUSE_MS_MIN));
        for n in 1..40 {
            let wait_ms = PAUSE_MS_MAX.min(PAUSE_MS_MIN << (1 + n).min(16));
            let longer = breaker.failure_at(1_000 + n * 100_000).expect("a pause");
            assert_eq!(longer.wait_ms, wait_ms, "each is twice as long, up to the longest");
        }
        assert_eq!(pause(1_000 + 39 * 100_000), Some(PAUSE_MS_MAX));
        breaker.success();
        assert_eq!((breaker.pause(), breaker.failures()), (None, 0));
        assert_eq!(breaker.failure_at(9_000_000), None, "and the next failure is the first again");
    }

    #[test]
    fn the_last_failure_is_kept_until_a_new_version_comes() {
        let breaker = Breaker::default();
        assert_eq!(breaker.last(), None);
        breaker.failure(7, "TRAP first");
        breaker.failure(8, "TRAP second");
        let second = LastFailure { at_ms: 8, text: "TRAP second".into() };
        breaker.success();
        assert_eq!((breaker.last(), breaker.failures()), (Some(second), 0));
        breaker.reset();
        assert_eq!(breaker.last(), None);
    }
}
