//! A connection to a database that commits rows together with the position in the stream.

use std::fmt;
use std::sync::Arc;

use crate::coalesce::Rows;
use crate::dead_letter::DeadLetter;
use crate::event::{Event, StreamId};
use crate::plan::ChangeRef;
use crate::status::Counts;
use crate::table::Table;

/// A kind of database with all that it takes to connect: opens one [`Target`] for each partition.
pub trait Destination: Send + Sync {
    /// A target for a partition of a pipeline; does not connect yet.
    fn open(&self, tables: &Arc<[Table]>, owner: &Owner) -> Box<dyn Target>;
    /// Where it is, without secrets, for people.
    fn describe(&self) -> String;
}

/// Whose position it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The pipeline, by its stream.
    pub pipeline: String,
    /// The partition.
    pub partition: u32,
    /// How many partitions there are.
    pub partitions: u32,
    /// A name of this run that no other run has: who claims again shows that it is the same.
    pub holder: String,
}

/// One connection, held by one thread: every call may block, none longer than a time-out.
pub trait Target: Send {
    /// Connects if need be, makes what tables there should be if that was asked for, and checks
    /// that they have the columns that changes will have values for.
    fn prepare(&mut self) -> Result<(), TargetFault>;

    /// Takes the partition from whoever has it: their commits fail from now on, and what they have
    /// under way is over. With `again`, only if this holder's claim is still in force, else
    /// [`TargetFault::Fenced`].
    fn claim(&mut self, again: bool) -> Result<Claim, TargetFault>;

    /// Commits all of a batch or nothing.
    fn commit(&mut self, batch: &Batch<'_>) -> Outcome;

    /// Dead letters of this partition behind `after`, in the order of their ids.
    fn dead_letters(
        &mut self,
        after: StreamId,
        count_max: usize,
    ) -> Result<Vec<DeadLetter>, TargetFault>;

    /// Whether it keeps every event in its order, as a broker of messages does, instead of rows: then
    /// batches have [`Batch::log`], and may be committed in part.
    fn keeps_events(&self) -> bool {
        false
    }

    /// How many partitions the positions of this pipeline in the database were made for; nothing
    /// if there are none.
    fn partitions(&mut self) -> Result<Option<u32>, TargetFault>;

    /// How many rows the table with this index has: for people who look. Nothing where that is no
    /// question.
    fn count_rows(&mut self, _table: usize) -> Result<Option<u64>, TargetFault> {
        Ok(None)
    }
}

/// What is committed.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Rows: at most one change for each key.
    pub rows: &'a Rows<'a>,
    /// Events in their order, where the target keeps those.
    pub log: &'a [Logged<'a>],
    /// Dead letters to be kept.
    pub dead_letters: &'a [DeadLetter],
    /// Dead letters that are no longer: they are applied with this batch, or dropped.
    pub settled: &'a [StreamId],
    /// The claim under which it is committed.
    pub epoch: u64,
    /// Where the position must be.
    pub from: StreamId,
    /// Where the position will be.
    pub to: StreamId,
    /// Totals before this batch.
    pub before: Counts,
    /// Totals after this batch.
    pub totals: Counts,
    /// How many entries the stream had ever had up to `to`, if that is known; else 0.
    pub added: u64,
}

/// An event with its changes.
#[derive(Clone, Debug)]
pub struct Logged<'a> {
    /// The event.
    pub event: &'a Event,
    /// Its changes.
    pub changes: Vec<ChangeRef<'a>>,
}

/// A partition that was claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The number of the claim.
    pub epoch: u64,
    /// Up to where events are in the database.
    pub position: StreamId,
    /// Totals since the pipeline first began.
    pub totals: Counts,
    /// How many entries the stream had ever had up to the position, if that is known; else 0.
    pub added: u64,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Committed,
    /// Nothing was committed: the partition is another host's, or the position another one.
    Fenced,
    /// Nothing was committed; the same may succeed later.
    Retry(String),
    /// Nothing was committed: the database will not have some value of this batch.
    Poison(String),
    /// Nothing was committed: tables are not as they should be.
    Drift(String),
    /// The connection went away at an instant when it may have been committed: claim again, and the
    /// position tells.
    Unknown(String),
}

/// Why a target does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// No connection, or not enough of something: try again.
    Down(String),
    /// Tables are not as they should be.
    Drift(String),
    /// Another host has claimed the partition.
    Fenced,
}

impl fmt::Display for TargetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(reason) | Self::Drift(reason) => f.write_str(reason),
            Self::Fenced => f.write_str("another host has claimed the partition"),
        }
    }
}

impl std::error::Error for TargetFault {}
