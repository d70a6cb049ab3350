//! Counters of one worker, written by it alone and read by INFO from anywhere.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Nanoseconds spent, extrapolated from the calls that were timed.
    pub(crate) sampled_ns: Counter,
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
    /// By index in the command table; indexes beyond share the last.
    pub(crate) by_command: Box<[CommandCounters]>,
}

/// One command in this many is timed.
const SAMPLING: u64 = 16;

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
            by_command: (0..COMMANDS_MAX).map(|_| CommandCounters::default()).collect(),
        }
    }

    /// Whether the next command is one of those that are timed: two looks at the clock would cost
    /// each command a tenth of its time.
    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        self.commands.get().is_multiple_of(SAMPLING)
    }

    /// Counts the time that a sampled command took.
    pub(crate) fn count_time(&self, command: Option<u16>, elapsed_ns: u64) {
        if let Some(id) = command {
            self.of(id).sampled_ns.add(elapsed_ns * SAMPLING);
        }
    }

    /// Counts a command by its index in the table; one that did not run has none.
    #[inline]
    pub(crate) fn count(&self, command: Option<u16>, failed: bool) {
        self.commands.add(1);
        if failed {
            self.errors.add(1);
        }
        let Some(id) = command else { return };
        let counters = self.of(id);
        counters.calls.add(1);
        if failed {
            counters.failed.add(1);
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
        for command in &self.by_command {
            command.calls.clear();
            command.failed.clear();
            command.rejected.clear();
            command.sampled_ns.clear();
        }
    }
}
