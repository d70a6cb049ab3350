//! How a pipeline is.

use std::time::Duration;

use crate::event::StreamId;

/// How many events came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that are rows now, or were and gave way to later ones of the same batch.
    pub applied: u64,
    /// Events that their planner skipped.
    pub skipped: u64,
    /// Events that became dead letters.
    pub dead: u64,
}

impl Counts {
    /// All events.
    pub fn events(self) -> u64 {
        self.applied + self.skipped + self.dead
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.skipped += other.skipped;
        self.dead += other.dead;
    }
}

/// What a pipeline or a partition is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It has not got to the database yet.
    #[default]
    Starting,
    /// It applies events, or waits for some.
    Running,
    /// It waits until somebody mends something, and looks again by itself.
    Paused {
        /// What is to be mended.
        reason: String,
    },
    /// Database or source do not answer; it tries again.
    Down {
        /// What they said last.
        reason: String,
        /// For how long.
        since: Duration,
    },
    /// Another host has claimed the partitions: this one applies nothing any more.
    Fenced,
    /// Going on would lose or invent data, so it does not.
    Alarm {
        /// What was found.
        reason: String,
    },
    /// It was told to stop, and has.
    Stopped,
}

/// A pipeline, seen from outside.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The worst of what its parts are doing.
    pub state: State,
    /// Up to where everything is in the database.
    pub position: StreamId,
    /// The last id of the stream, as of the last look.
    pub stream_last: StreamId,
    /// How many events are waiting, as of the last look; those under way included.
    pub lag: u64,
    /// Totals since the pipeline first began.
    pub totals: Counts,
    /// Commits of this run.
    pub commits: u64,
    /// Attempts that had to be repeated in this run.
    pub retries: u64,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
}

/// A partition, seen from outside.
#[derive(Clone, Debug, Default)]
pub struct PartitionStatus {
    /// What it is doing.
    pub state: State,
    /// Up to where its events are in the database.
    pub position: StreamId,
    /// Its claim's number; each claim has a greater one.
    pub epoch: u64,
    /// Totals since the pipeline first began.
    pub totals: Counts,
    /// How long the last commit took.
    pub commit_last: Duration,
}
