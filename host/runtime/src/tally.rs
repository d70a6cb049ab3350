//! What is counted per plugin and command.

use std::time::Duration;

use crate::desk::SAMPLE_ONE_IN;
use crate::failure::Failure;
use crate::meter::Usage;

/// Buckets of the latency histogram: bucket `i` holds calls that took less than `2^i` times 256 ns
/// and not less than half of it; the last one holds everything longer.
pub(crate) const BUCKETS: usize = 24;

/// How a call ended, for the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a reply.
    Reply,
    /// With an error that the handler chose.
    Error,
    /// A trap, an exhausted budget other than CPU, or an invalid reply.
    Trap,
    /// Out of CPU budget.
    Timeout,
    /// Stopped by the operator.
    Killed,
}

impl From<&Failure> for Ending {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Killed => Self::Killed,
            _ => Self::Trap,
        }
    }
}

/// Sums over calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) traps: u64,
    pub(crate) timeouts: u64,
    pub(crate) killed: u64,
    /// Batches whose guards were stale.
    pub(crate) conflicts: u64,
    /// Batches that a call tried after one whose guards were stale.
    pub(crate) retries: u64,
    /// Calls that did not end within their first slice.
    pub(crate) overstayed: u64,
    pub(crate) host_calls: u64,
    pub(crate) bytes: u64,
    pub(crate) cpu_ns: u64,
    /// The most memory that an instance had after a call.
    pub(crate) memory_bytes_max: u64,
    pub(crate) latency: [u64; BUCKETS],
}

/// The time of one call, and for how many calls it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Time on a CPU.
    pub(crate) cpu: Duration,
    /// Time from the first instant to the reply.
    pub(crate) wall: Duration,
    pub(crate) stands_for: u32,
    pub(crate) overstayed: bool,
}

impl Cost {
    /// A call that ended within its first slice: one of those that were measured.
    pub(crate) fn of_sample(wall: Duration) -> Self {
        let cpu = wall.min(FIRST_SLICE_MAX);
        Self { cpu, wall, stands_for: SAMPLE_ONE_IN, overstayed: false }
    }

    /// A call that ended, or ran, on the threads of those that overstay: they are measured all.
    pub(crate) fn of_guest(cpu: Duration, wall: Duration, overstayed: bool) -> Self {
        Self { cpu, wall, stands_for: 1, overstayed }
    }
}

/// What the first slice of a call is charged at most: it is measured on the wall clock, and what
/// the operating system gave to others in between is not the plugin's.
pub(crate) const FIRST_SLICE_MAX: Duration = Duration::from_millis(5);

/// One call, to be counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) ending: Ending,
    pub(crate) usage: Usage,
    /// Absent when other calls stand for this one.
    pub(crate) cost: Option<Cost>,
}

impl Tally {
    /// Counts one call.
    #[inline]
    pub(crate) fn count(&mut self, sample: &Sample) {
        self.calls += 1;
        match sample.ending {
            Ending::Reply => {}
            Ending::Error => self.errors += 1,
            Ending::Trap => self.traps += 1,
            Ending::Timeout => self.timeouts += 1,
            Ending::Killed => self.killed += 1,
        }
        self.conflicts += u64::from(sample.usage.conflicts);
        self.retries += u64::from(sample.usage.retries);
        self.host_calls += u64::from(sample.usage.host_calls);
        self.bytes += sample.usage.bytes;
        self.memory_bytes_max = self.memory_bytes_max.max(sample.usage.memory_bytes);
        if let Some(cost) = &sample.cost {
            let calls = u64::from(cost.stands_for);
            self.overstayed += u64::from(cost.overstayed);
            self.cpu_ns += calls * cost.cpu.as_nanos() as u64;
            self.latency[bucket(cost.wall)] += calls;
        }
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.traps += other.traps;
        self.timeouts += other.timeouts;
        self.killed += other.killed;
        self.conflicts += other.conflicts;
        self.retries += other.retries;
        self.overstayed += other.overstayed;
        self.host_calls += other.host_calls;
        self.bytes += other.bytes;
        self.cpu_ns += other.cpu_ns;
        self.memory_bytes_max = self.memory_bytes_max.max(other.memory_bytes_max);
        for (mine, theirs) in self.latency.iter_mut().zip(other.latency) {
            *mine += theirs;
        }
    }

    /// An upper bound in nanoseconds of the latency that `permille` of all calls stayed below.
    pub(crate) fn latency_ns(&self, permille: u64) -> u64 {
        let total: u64 = self.latency.iter().sum();
        let wanted = (total * permille).div_ceil(1_000);
        let mut seen = 0;
        let reached = self.latency.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        if total == 0 { 0 } else { 256 << reached.unwrap_or(BUCKETS - 1) }
    }
}

fn bucket(wall: Duration) -> usize {
    let units = wall.as_nanos() >> 8;
    (u128::BITS - units.leading_zeros()).min(BUCKETS as u32 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_powers_of_two() {
        let expected = [(0, 0), (255, 0), (256, 1), (511, 1), (512, 2), (u64::MAX, BUCKETS - 1)];
        for (ns, index) in expected {
            assert_eq!(bucket(Duration::from_nanos(ns)), index, "{ns}");
        }
        let mut tally = Tally::default();
        assert_eq!(tally.latency_ns(500), 0);
        tally.latency[1] = 99;
        tally.latency[9] = 1;
        assert_eq!(tally.latency_ns(500), 512);
        assert_eq!(tally.latency_ns(990), 512);
        assert_eq!(tally.latency_ns(999), 256 << 9);
    }
}
