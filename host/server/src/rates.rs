//! What happens per second: INFO's `instantaneous_*`.
//!
//! A sample of the totals is kept ten times a second while the server works, and once a second
//! while it idles. A rate is the growth since the oldest sample of the last [`SPAN_MS`].

use std::collections::VecDeque;

use reef_engine::clock::Millis;

/// How far rates look back.
const SPAN_MS: u64 = 1600;
/// How long a sample is the newest.
const PERIOD_MS: u64 = 100;

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) commands: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Samples of the totals, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Rates(VecDeque<(Millis, Totals)>);

impl Rates {
    /// Whether it is time for a sample.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        self.0.back().is_none_or(|(at, _)| now.since(*at) >= PERIOD_MS)
    }

    /// Keeps a sample, and of those that are too old only the newest.
    pub(crate) fn add(&mut self, now: Millis, totals: Totals) {
        self.0.push_back((now, totals));
        while self.0.get(1).is_some_and(|(at, _)| now.since(*at) >= SPAN_MS) {
            self.0.pop_front();
        }
    }

    /// Forgets everything: the totals begin anew.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What happened per second lately: commands, bytes in, bytes out.
    pub(crate) fn per_second(&self, now: Millis, totals: Totals) -> [f64; 3] {
        let recent = self.0.iter().find(|(at, _)| now.since(*at) <= SPAN_MS);
        let Some((at, before)) = recent.or(self.0.back()).filter(|(at, _)| now > *at) else {
            return [0.0; 3];
        };
        let seconds = now.since(*at) as f64 / 1000.0;
        let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        [
            rate(totals.commands, before.commands),
            rate(totals.bytes_in, before.bytes_in),
            rate(totals.bytes_out, before.bytes_out),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_moment() {
        let mut rates = Rates::default();
        let totals = |commands| Totals { commands, bytes_in: commands * 10, bytes_out: 0 };
        assert_eq!(rates.per_second(Millis::new(5), totals(7)), [0.0; 3]);
        for tenth in 0..100 {
            let now = Millis::new(tenth * 100);
            assert!(rates.is_due(now));
            // Ten per second for five seconds, then a thousand.
            let commands = if tenth < 50 { tenth } else { 50 + (tenth - 50) * 100 };
            rates.add(now, totals(commands));
            assert!(!rates.is_due(Millis::new(now.get() + 99)));
            if tenth == 40 {
                assert_eq!(rates.per_second(now, totals(commands)), [10.0, 100.0, 0.0]);
            }
        }
        let now = Millis::new(9_900);
        assert_eq!(rates.per_second(now, totals(50 + 49 * 100)), [1000.0, 10_000.0, 0.0]);
        // And a while later nothing any more.
        let later = rates.per_second(Millis::new(1_000_000), totals(50 + 49 * 100));
        assert_eq!(later, [0.0; 3]);
    }
}
