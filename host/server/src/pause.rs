//! CLIENT PAUSE: which commands wait, and until when.
//!
//! Read once per command, so it is one word: the end of the pause in milliseconds since 1970, with
//! the lowest bit telling whether all commands wait or those that write.

use std::sync::atomic::{AtomicU64, Ordering};

use reef_engine::clock::Millis;
use reef_engine::gates::Pause;

/// A pause that may be over, or may never have begun.
#[derive(Debug, Default)]
pub(crate) struct PauseClock(AtomicU64);

impl PauseClock {
    /// Which commands wait at `now`.
    #[inline]
    pub(crate) fn at(&self, now: Millis) -> Pause {
        match self.0.load(Ordering::Acquire) {
            0 => Pause::Nothing,
            word => Self::meaning(word, now),
        }
    }

    fn meaning(word: u64, now: Millis) -> Pause {
        match word {
            over if over >> 1 <= now.get() => Pause::Nothing,
            all if all & 1 == 1 => Pause::Everything,
            _ => Pause::Writes,
        }
    }

    /// When it ends.
    pub(crate) fn end(&self) -> Millis {
        Millis::new(self.0.load(Ordering::Acquire) >> 1)
    }

    /// Begins a pause, or makes the one that is on longer and harder.
    pub(crate) fn begin(&self, until: Millis, what: Pause, now: Millis) {
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let before = Self::meaning(word, now);
            let end = if before == Pause::Nothing { 0 } else { word >> 1 };
            let end = end.max(until.get()).min(u64::MAX >> 1);
            Some(end << 1 | u64::from(what.max(before) == Pause::Everything))
        });
    }

    /// Ends it.
    pub(crate) fn end_now(&self) {
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_and_the_hardest_mode_count() {
        let (clock, now) = (PauseClock::default(), Millis::new(1000));
        assert_eq!(clock.at(now), Pause::Nothing);
        clock.begin(Millis::new(2000), Pause::Writes, now);
        assert_eq!(clock.at(now), Pause::Writes);
        clock.begin(Millis::new(1500), Pause::Everything, now);
        assert_eq!((clock.at(Millis::new(1999)), clock.end().get()), (Pause::Everything, 2000));
        assert_eq!(clock.at(Millis::new(2000)), Pause::Nothing);
        clock.begin(Millis::new(2500), Pause::Writes, Millis::new(2100));
        assert_eq!(clock.at(Millis::new(2200)), Pause::Writes);
        clock.end_now();
        assert_eq!(clock.at(Millis::new(2200)), Pause::Nothing);
        clock.begin(Millis::new(u64::MAX), Pause::Everything, now);
        assert_eq!(clock.at(Millis::new(1 << 60)), Pause::Everything);
    }
}
