//! What can be set of a pipeline.

use std::time::Duration;

/// How a pipeline works; the defaults are good for nearly everybody.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in the database: that of its stream. Positions are kept under it.
    pub name: String,
    /// How many partitions, each with a connection of its own, share the documents. Once positions
    /// are in the database, the number they were made for stays in force.
    pub partitions: u32,
    /// The most events of one commit, and of one call of the planner.
    pub batch_events_max: usize,
    /// The most bytes of values of one commit, unless a single event has more.
    pub batch_bytes_max: usize,
    /// Gather for so long before each round. Without it, a batch is whatever has gathered while
    /// the last one was committed.
    pub interval: Option<Duration>,
    /// The longest wait between attempts while something is down or has to be mended.
    pub backoff_max: Duration,
}

impl Settings {
    /// The most partitions.
    pub const PARTITIONS_MAX: u32 = 64;

    /// The defaults, for a stream of this name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            partitions: 1,
            batch_events_max: 1_000,
            batch_bytes_max: 8 << 20,
            interval: None,
            backoff_max: Duration::from_secs(5),
        }
    }
}
