//! How long the calls of one command have taken lately, and thus where the next one begins.
//!
//! A call begins on its caller's thread, which saves a hand-over, as long as calls of its command are
//! short. After one that was not, calls begin on the threads for calls that overstay, until enough in
//! a row were short again: so a command that always takes its time delays its caller's thread once or
//! twice.
//!
//! Short means CPU time, which is dear to read. A call that only was long by the clock on the wall, on a
//! machine with more work than cores, makes its command suspect: of the next one the CPU time is taken.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::time::Duration;

/// The longest call that its caller's thread should have to run.
const SHORT_MAX: Duration = Duration::from_millis(1);
/// Short calls in a row after a long one until calls begin on their callers' threads again.
const APART: u8 = 32;

/// The habit of one command; short calls so far.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    /// Calls that still begin apart.
    apart: AtomicU8,
    /// Whether the CPU time of the next call is wanted.
    is_suspect: AtomicBool,
}

impl Habit {
    /// Whether the next call should not begin on its caller's thread.
    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.apart.load(Relaxed) != 0
    }

    /// A call took so long by the clock on the wall.
    #[inline]
    pub(crate) fn lasted(&self, wall: Duration) {
        if wall > SHORT_MAX {
            self.is_suspect.store(true, Relaxed);
        } else {
            self.took(wall);
        }
    }

    /// Whether the CPU time of the call that begins now is to be taken; of that one only.
    #[inline]
    pub(crate) fn is_to_be_timed(&self) -> bool {
        self.is_suspect.load(Relaxed) && self.is_suspect.swap(false, Relaxed)
    }

    /// A call did not end within its first slice.
    #[cold]
    pub(crate) fn overstayed(&self) {
        self.apart.store(APART, Relaxed);
    }

    /// A call took so much CPU.
    #[inline]
    pub(crate) fn took(&self, cpu: Duration) {
        if cpu > SHORT_MAX {
            self.overstayed();
        } else if self.is_slow() {
            // Two threads at once may count as one: the numbers are a rule of thumb.
            self.apart.store(self.apart.load(Relaxed).saturating_sub(1), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_begin_apart_after_a_long_one_until_enough_were_short() {
        let habit = Habit::default();
        habit.took(SHORT_MAX);
        assert!(!habit.is_slow());
        habit.took(SHORT_MAX + Duration::from_nanos(1));
        for _ in 0..APART {
            assert!(habit.is_slow());
            habit.took(SHORT_MAX);
        }
        assert!(!habit.is_slow());
        habit.overstayed();
        habit.took(Duration::ZERO);
        habit.took(Duration::from_millis(50));
        (0..APART - 1).for_each(|_| habit.took(Duration::ZERO));
        assert!(habit.is_slow(), "a long call begins the count again");
    }

    #[test]
    fn a_call_that_was_only_interrupted_is_not_long() {
        let habit = Habit::default();
        habit.lasted(Duration::from_secs(1));
        assert!(!habit.is_slow());
        assert!(habit.is_to_be_timed());
        assert!(!habit.is_to_be_timed(), "one call is enough");
        habit.took(SHORT_MAX);
        assert!(!habit.is_slow());
        habit.lasted(SHORT_MAX);
        assert!(!habit.is_to_be_timed());
    }
}
