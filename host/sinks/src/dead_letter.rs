//! An event that could not be applied, kept in the database beside the rows of its neighbours.

use crate::event::Event;

/// An event with the reason why it is not in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event as the stream had it.
    pub event: Event,
    /// Why: the database's own words, or the planner's.
    pub reason: String,
    /// Since when, in milliseconds of Unix time.
    pub failed_ms: i64,
}
