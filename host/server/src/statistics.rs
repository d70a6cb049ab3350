//! Counters of one worker, written by it alone and read by INFO from anywhere.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reef_engine::registry::Registry;
use reef_engine::types::histogram::{self, Histogram};
use reef_resp::Argv;

/// A counter with one writer: adding is a load and a store, no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What happened to one command.
#[derive(Debug, Default)]
pub(crate) struct CommandCounters {
    pub(crate) calls: Counter,
    pub(crate) failed: Counter,
    pub(crate) rejected: Counter,
    /// Nanoseconds spent.
    pub(crate) spent_ns: Counter,
    /// How many calls took how long, by the buckets of a histogram; made by the first that is noted.
    buckets: OnceLock<Box<[Counter]>>,
}

impl CommandCounters {
    #[inline]
    fn note(&self, ns: u64) {
        let make = || (0..histogram::BUCKETS).map(|_| Counter::default()).collect();
        self.buckets.get_or_init(make)[histogram::index_of(ns)].add(1);
    }

    /// Adds the calls that were noted to a histogram.
    pub(crate) fn add_to(&self, sum: &mut Histogram) {
        let counts = self.buckets.get().into_iter().flatten().map(Counter::get);
        counts.enumerate().filter(|(_, count)| *count > 0).for_each(|(at, count)| {
            sum.add(at, count);
        });
    }

    fn clear(&self) {
        for counter in [&self.calls, &self.failed, &self.rejected, &self.spent_ns] {
            counter.clear();
        }
        self.buckets.get().into_iter().flatten().for_each(Counter::clear);
    }
}

/// The largest value lately: of the present period and the one before.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    current: AtomicU64,
    before: AtomicU64,
}

impl Peak {
    #[inline]
    pub(crate) fn note(&self, value: u64) {
        if value > self.current.load(Ordering::Relaxed) {
            self.current.store(value, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.current.load(Ordering::Relaxed).max(self.before.load(Ordering::Relaxed))
    }

    /// Begins the next period.
    pub(crate) fn turn(&self) {
        self.before.store(self.current.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A worker's counters.
#[derive(Debug)]
pub(crate) struct Statistics {
    pub(crate) commands: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) errors: Counter,
    /// Bytes that a client had sent and that were not executed yet.
    pub(crate) input_peak: Peak,
    /// Bytes that a client had not taken yet.
    pub(crate) output_peak: Peak,
    /// By index in the command table; indexes beyond share the last.
    pub(crate) by_command: Box<[CommandCounters]>,
}

/// Commands that are counted one by one.
const COMMANDS_MAX: usize = 1024;

impl Statistics {
    pub(crate) fn new() -> Self {
        Self {
            commands: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            errors: Counter::default(),
            input_peak: Peak::default(),
            output_peak: Peak::default(),
            by_command: (0..COMMANDS_MAX).map(|_| CommandCounters::default()).collect(),
        }
    }

    /// Counts a command that ran, by its index in the table. With `tracking` its time enters the
    /// histogram.
    #[inline]
    pub(crate) fn count(&self, command: u16, failed: bool, took: Duration, tracking: bool) {
        self.commands.add(1);
        let counters = self.of(command);
        let ns = took.as_nanos() as u64;
        counters.calls.add(1);
        counters.spent_ns.add(ns);
        if tracking {
            counters.note(ns);
        }
        if failed {
            counters.failed.add(1);
        }
    }

    /// Counts a refusal of a command that exists.
    #[cold]
    pub(crate) fn count_rejected(&self, registry: &Registry, argv: Argv<'_>) {
        if let Ok(Some(command)) = registry.resolve(argv) {
            self.of(command.id()).rejected.add(1);
        }
    }

    #[inline]
    pub(crate) fn of(&self, id: u16) -> &CommandCounters {
        &self.by_command[usize::from(id).min(COMMANDS_MAX - 1)]
    }

    /// Sets everything to zero (`CONFIG RESETSTAT`). A count made at the same instant may survive.
    pub(crate) fn reset(&self) {
        for counter in [
            &self.commands,
            &self.bytes_in,
            &self.bytes_out,
            &self.reads,
            &self.writes,
            &self.errors,
        ] {
            counter.clear();
        }
        self.by_command.iter().for_each(CommandCounters::clear);
    }
}
