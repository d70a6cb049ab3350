//! The access clock of a key: 24 bits that tell how long ago or how often it was used.
//!
//! Under an LRU policy they are seconds; under an LFU policy sixteen bits of minutes and a
//! logarithmic counter of eight. Both wrap around, which only makes a key that nobody used for
//! very long look younger than it is.

use crate::clock::Millis;

/// 24 bits of access bookkeeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access(u32);

/// The counter of a new key: it must not be the first to go.
const COUNT_NEW: u32 = 5;

/// How uses are counted under an LFU policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lfu {
    /// How fast counting slows down as the counter grows (`lfu-log-factor`).
    pub log_factor: u32,
    /// Minutes without use that cost one of the counter; 0: none do (`lfu-decay-time`).
    pub decay_minutes: u32,
}

impl Default for Lfu {
    fn default() -> Self {
        Self { log_factor: 10, decay_minutes: 1 }
    }
}

impl Access {
    /// The access clock of a new key.
    pub fn new(now: Millis, lfu: Option<Lfu>) -> Self {
        match lfu {
            Some(_) => Self::counted(now, COUNT_NEW),
            None => Self::from_bits(now.seconds() as u32),
        }
    }

    /// The access clock of a key that was last used so many seconds ago, or so often; what the
    /// policy does not go by is not kept.
    pub fn restored(
        now: Millis,
        lfu: Option<Lfu>,
        idle_seconds: Option<u64>,
        count: Option<u8>,
    ) -> Self {
        match (lfu, idle_seconds, count) {
            (Some(_), _, Some(count)) => Self::counted(now, count.into()),
            (None, Some(idle), _) => {
                // More than the clock can tell is the longest that it can.
                let idle = idle.min(0x00ff_ffff) as u32;
                Self::from_bits((now.seconds() as u32).wrapping_sub(idle))
            }
            _ => Self::new(now, lfu),
        }
    }

    /// From the low 24 bits.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & 0x00ff_ffff)
    }

    /// As 24 bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    fn counted(now: Millis, count: u32) -> Self {
        Self::from_bits(minutes(now) << 8 | count)
    }

    /// The access clock after a use. Of uses of a key that is in use already only some are
    /// counted, by chance: `draw` is any number that differs from use to use.
    pub fn used(self, now: Millis, lfu: Option<Lfu>, draw: u64) -> Self {
        let Some(lfu) = lfu else { return Self::from_bits(now.seconds() as u32) };
        let count = self.frequency(now, lfu);
        let one_in =
            count.saturating_sub(COUNT_NEW).saturating_mul(lfu.log_factor).saturating_add(1);
        // The upper half of a product with an odd constant is mixed well enough for a lottery.
        let ticket = (draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        let wins = ticket <= u32::MAX / one_in;
        Self::counted(now, if wins { (count + 1).min(255) } else { count })
    }

    /// The LFU counter at this instant: it loses one per `decay_minutes` without use.
    pub fn frequency(self, now: Millis, lfu: Lfu) -> u32 {
        let idle_minutes = minutes(now).wrapping_sub(self.0 >> 8) & 0xffff;
        let lost = idle_minutes.checked_div(lfu.decay_minutes).unwrap_or(0);
        (self.0 & 0xff).saturating_sub(lost)
    }

    /// Seconds since the last use, under an LRU policy.
    pub fn idle_seconds(self, now: Millis) -> u32 {
        (now.seconds() as u32).wrapping_sub(self.0) & 0x00ff_ffff
    }
}

fn minutes(now: Millis) -> u32 {
    (now.seconds() / 60) as u32 & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_counts_seconds_and_survives_the_wrap() {
        let start = Millis::new(((1 << 24) - 2) * 1000);
        let access = Access::new(start, None);
        assert_eq!(access.idle_seconds(start), 0);
        let later = Millis::new(start.get() + 5_999);
        assert_eq!(access.idle_seconds(later), 5);
        assert_eq!(access.used(later, None, 0).idle_seconds(later), 0);
    }

    #[test]
    fn frequency_grows_ever_slower_and_decays_by_the_minute() {
        let now = Millis::new(1 << 40);
        let lfu = Lfu::default();
        let mut access = Access::new(now, Some(lfu));
        assert_eq!(access.frequency(now, lfu), 5);
        let mut counts = [0; 4];
        for draw in 0..100_000 {
            access = access.used(now, Some(lfu), draw);
            if let Some(step) = [10, 100, 1_000, 99_999].iter().position(|at| *at == draw) {
                counts[step] = access.frequency(now, lfu);
            }
        }
        assert!(counts.is_sorted() && counts[3] > 90 && counts[3] < 255, "{counts:?}");
        assert!(counts[1] - counts[0] < 20, "{counts:?}");
        let later = Millis::new(now.get() + 10 * 60_000);
        assert_eq!(access.frequency(later, lfu), counts[3] - 10);
        assert_eq!(access.frequency(Millis::new(now.get() + 1000 * 60_000), lfu), 0);
    }
}
