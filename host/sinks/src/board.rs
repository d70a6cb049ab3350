//! What reader, committers and onlookers of a pipeline share: queues of work, states, counts. Behind
//! one lock that is never held while anything is waited for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::dead_letter::DeadLetter;
use crate::event::StreamId;
use crate::source::Extent;
use crate::status::{Counts, PartitionStatus, State, Status};
use crate::target::Claim;
use crate::work::Work;

/// The board with its bell: rung at every change that somebody may wait for.
#[derive(Debug, Default)]
pub(crate) struct Board {
    sheet: Mutex<Sheet>,
    bell: Condvar,
}

/// Stops the pipeline with an alarm if its thread panics: a pipeline that does nothing must not look
/// as if it had nothing to do.
pub(crate) struct PanicAlarm(pub(crate) Arc<Board>);

impl Drop for PanicAlarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "a thread of the pipeline has panicked".to_owned();
            self.0.change(|sheet| {
                sheet.stop = true;
                sheet.reader.set(State::Alarm { reason });
            });
        }
    }
}

/// What stands on the board.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) stop: bool,
    pub(crate) reader: Condition,
    pub(crate) extent: Extent,
    pub(crate) partitions: Vec<Partition>,
    /// Totals and position of the last report.
    pub(crate) reported: Counts,
    pub(crate) reported_up_to: StreamId,
    /// Asked for by people: look again now; go on in spite of an alarm.
    pub(crate) resumed: u64,
    pub(crate) accepted: bool,
}

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) condition: Condition,
    pub(crate) claim: Option<Claim>,
    pub(crate) queue: VecDeque<Work>,
    /// How many events are with the committer; nothing if it waits for work.
    pub(crate) under_way: Option<usize>,
    /// Dead letters that have not been reported.
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) commits: u64,
    pub(crate) retries: u64,
    pub(crate) commit_last: Duration,
    pub(crate) halted: bool,
}

/// A state, and since when.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    state: State,
    down_since: Option<Instant>,
}

impl Condition {
    pub(crate) fn set(&mut self, state: State) {
        if matches!(state, State::Down { .. }) {
            self.down_since.get_or_insert_with(Instant::now);
        } else {
            self.down_since = None;
        }
        self.state = state;
    }

    pub(crate) fn down(&mut self, reason: &str) {
        self.set(State::Down { reason: reason.to_owned(), since: Duration::ZERO });
    }

    /// The state as of now.
    pub(crate) fn seen(&self) -> State {
        match (&self.state, self.down_since) {
            (State::Down { reason, .. }, Some(begun)) => {
                State::Down { reason: reason.clone(), since: begun.elapsed() }
            }
            (state, _) => state.clone(),
        }
    }

    pub(crate) fn is(&self, state: &State) -> bool {
        self.state == *state
    }
}

impl Board {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Sheet> {
        self.sheet.lock()
    }

    /// Changes something and rings.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Sheet) -> R) -> R {
        let result = change(&mut self.sheet.lock());
        self.bell.notify_all();
        result
    }

    /// Waits until `ready` gives something, the time is over, or the pipeline is to stop.
    pub(crate) fn wait<R>(
        &self,
        longest: Duration,
        mut ready: impl FnMut(&mut Sheet) -> Option<R>,
    ) -> Option<R> {
        let deadline = Instant::now() + longest;
        let mut sheet = self.sheet.lock();
        loop {
            if let Some(result) = ready(&mut sheet) {
                return Some(result);
            }
            if sheet.stop || self.bell.wait_until(&mut sheet, deadline).timed_out() {
                return ready(&mut sheet);
            }
        }
    }

    /// Waits before another attempt; not on, if the pipeline is to stop or somebody asks to look now.
    pub(crate) fn pause(&self, wait: Duration) {
        let before = self.sheet.lock().resumed;
        self.wait(wait, |sheet| (sheet.resumed != before).then_some(()));
    }

    pub(crate) fn stops(&self) -> bool {
        self.sheet.lock().stop
    }
}

impl Sheet {
    /// Up to where everything is in the database.
    pub(crate) fn position(&self) -> Option<StreamId> {
        let positions = self.partitions.iter().map(|partition| partition.claim.map(|c| c.position));
        positions.min().flatten()
    }

    pub(crate) fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        for claim in self.partitions.iter().filter_map(|partition| partition.claim) {
            totals += claim.totals;
        }
        totals
    }

    /// Whether there is work that is not committed yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.partitions.iter().any(|p| p.under_way.is_some() || !p.queue.is_empty())
    }

    pub(crate) fn status(&self) -> Status {
        let partition = |partition: &Partition| PartitionStatus {
            state: partition.condition.seen(),
            position: partition.claim.map(|claim| claim.position).unwrap_or_default(),
            epoch: partition.claim.map(|claim| claim.epoch).unwrap_or_default(),
            totals: partition.claim.map(|claim| claim.totals).unwrap_or_default(),
            commit_last: partition.commit_last,
        };
        let partitions: Vec<_> = self.partitions.iter().map(partition).collect();
        let states = partitions.iter().map(|p| p.state.clone()).chain([self.reader.seen()]);
        let queued = self.partitions.iter().flat_map(|p| &p.queue).map(|work| work.picks.len());
        let under_way = self.partitions.iter().filter_map(|partition| partition.under_way);
        let waiting: usize = queued.chain(under_way).sum();
        Status {
            state: states.max_by_key(severity).unwrap_or_default(),
            position: self.position().unwrap_or_default(),
            stream_last: self.extent.last,
            lag: self.extent.behind.unwrap_or(0) + waiting as u64,
            totals: self.totals(),
            commits: self.partitions.iter().map(|p| p.commits).sum(),
            retries: self.partitions.iter().map(|p| p.retries).sum(),
            partitions,
        }
    }
}

fn severity(state: &State) -> u8 {
    match state {
        State::Running => 0,
        State::Starting => 1,
        State::Stopped => 2,
        State::Down { .. } => 3,
        State::Paused { .. } => 4,
        State::Fenced => 5,
        State::Alarm { .. } => 6,
    }
}
