//! What the tests run with: a stream in memory, a planner in Rust, databases of their own.

pub(crate) mod cable;
pub(crate) mod database;
pub(crate) mod peer;
pub(crate) mod planner;
pub(crate) mod stream;

use std::time::{Duration, Instant};

use reef_sinks::{Pipeline, Settings, StreamId, Table};

use database::Database;
use planner::Documents;
use stream::Stream;

/// How long anything may take.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The table of documents, and a ledger where every event leaves a line.
pub(crate) fn tables() -> Vec<Table> {
    let mut ledger = Table::payload("ledger");
    ledger.key = 0;
    ledger.columns.pop();
    vec![Table::payload("sessions"), ledger]
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new("stream:sessions");
    settings.backoff_max = Duration::from_millis(200);
    settings
}

/// A pipeline of documents as they are from a stream into a database.
pub(crate) fn start(settings: Settings, stream: &Stream, database: &Database) -> Pipeline {
    let (source, planner) = (Box::new(stream.clone()), Box::new(Documents));
    Pipeline::start(settings, tables(), source, planner, database.destination()).unwrap()
}

/// Waits until everything up to an id is in the database.
pub(crate) fn drained(pipeline: &Pipeline, up_to: StreamId) {
    let done = pipeline.wait_for(LONG, |status| status.position >= up_to);
    assert!(done, "not at {up_to}: {:?}", pipeline.status());
}

/// Waits for something, looking often.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
