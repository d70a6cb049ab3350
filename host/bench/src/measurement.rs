//! What a run yields, and how several runs are put together.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Operations, latencies and errors of one run.
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
    /// Nanoseconds from the write of a batch to the read that completes the operation.
    pub(crate) latency: Histogram<u64>,
    /// Replies that are or contain an error.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    /// Replies that are nil.
    pub(crate) nils: u64,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, 3)
            .expect("the bounds are fixed and in order");
        Self {
            operations: 0,
            elapsed: Duration::ZERO,
            latency,
            errors: 0,
            first_error: None,
            nils: 0,
        }
    }

    /// Adds what another thread, or another round, has done.
    pub(crate) fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.elapsed += other.elapsed;
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.nils += other.nils;
    }

    /// The latency that a share of the operations did not exceed.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e6
    }

    /// Records `count` operations that took `latency` each.
    pub(crate) fn record(&mut self, latency: Duration, count: u64) {
        self.operations += count;
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record_n(nanos, count);
    }
}

/// The two figures of a round that are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Round {
    pub(crate) ops_per_s: f64,
    /// `None`: the process could not be seen.
    pub(crate) server_us_per_op: Option<f64>,
    pub(crate) client_us_per_op: Option<f64>,
}

impl Round {
    /// The figures of `tally`, with the CPU that server and client used for it.
    pub(crate) fn new(tally: &Tally, server: Option<Duration>, client: Option<Duration>) -> Self {
        let operations = tally.operations.max(1) as f64;
        let per_operation = |cpu: Duration| cpu.as_secs_f64() * 1e6 / operations;
        Self {
            ops_per_s: tally.operations as f64 / tally.elapsed.as_secs_f64().max(1e-9),
            server_us_per_op: server.map(per_operation),
            client_us_per_op: client.map(per_operation),
        }
    }
}

/// All rounds of one mix on one server.
pub(crate) struct Measurement {
    pub(crate) total: Tally,
    pub(crate) rounds: Vec<Round>,
}

impl Measurement {
    /// No round yet.
    pub(crate) fn new() -> Self {
        Self { total: Tally::new(), rounds: Vec::new() }
    }

    /// Throughput over the rounds.
    pub(crate) fn throughput(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|round| Some(round.ops_per_s)))
    }

    /// The server's CPU over the rounds.
    pub(crate) fn server_cpu(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|round| round.server_us_per_op))
    }

    /// The load generator's CPU over the rounds.
    pub(crate) fn client_cpu(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|round| round.client_us_per_op))
    }

    /// Throughput and CPU of this server divided by the peer's, round by round.
    pub(crate) fn ratio(&self, peer: &Self) -> (Option<Spread>, Option<Spread>) {
        let pairs = || self.rounds.iter().zip(&peer.rounds);
        let throughput = pairs().map(|(own, peer)| divided(own.ops_per_s, peer.ops_per_s));
        let cpu = pairs().map(|(own, peer)| divided(own.server_us_per_op?, peer.server_us_per_op?));
        (Spread::of(throughput), Spread::of(cpu))
    }
}

fn divided(own: f64, peer: f64) -> Option<f64> {
    (peer > 0.0).then_some(own / peer)
}

/// Median, smallest and largest of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of `values`; none when a value is missing or there is no value.
    pub(crate) fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let mut values = values.collect::<Option<Vec<f64>>>()?;
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self { median, min, max })
    }
}

const LATENCY_NS_MIN: u64 = 1_000;
/// Longer waits are counted as this long.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Option<Spread> {
        Spread::of(values.iter().copied().map(Some))
    }

    #[test]
    fn median_and_ends_of_odd_and_even_counts() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).map(|s| s.median), Some(2.5));
        assert_eq!(spread(&[]), None);
        assert_eq!(Spread::of([Some(1.0), None].into_iter()), None);
    }

    #[test]
    fn ratio_is_taken_round_by_round() {
        let measurement = |figures: &[(f64, Option<f64>)]| Measurement {
            total: Tally::new(),
            rounds: figures
                .iter()
                .map(|&(ops_per_s, server_us_per_op)| Round {
                    ops_per_s,
                    server_us_per_op,
                    client_us_per_op: None,
                })
                .collect(),
        };
        let own = measurement(&[(100.0, Some(1.0)), (300.0, Some(2.0))]);
        let peer = measurement(&[(50.0, Some(2.0)), (300.0, Some(2.0))]);
        let (throughput, cpu) = own.ratio(&peer);
        assert_eq!(throughput, Some(Spread { median: 1.5, min: 1.0, max: 2.0 }));
        assert_eq!(cpu, Some(Spread { median: 0.75, min: 0.5, max: 1.0 }));
        let unseen = measurement(&[(50.0, None), (300.0, None)]);
        assert_eq!(own.ratio(&unseen).1, None);
    }

    #[test]
    fn latencies_beyond_the_bounds_are_kept_as_the_bounds() {
        let mut tally = Tally::new();
        tally.record(Duration::ZERO, 1);
        tally.record(Duration::from_secs(100_000), 1);
        assert_eq!((tally.operations, tally.latency.len()), (2, 2));
        assert!(tally.latency_ms(1.0) > 590_000.0);
    }
}
