//! Where events come from, and who hears what has become of them.

use std::fmt;
use std::time::Duration;

use crate::dead_letter::DeadLetter;
use crate::event::{Event, StreamId};
use crate::status::Counts;

/// A stream of events. One thread calls it.
pub trait Source: Send {
    /// The entries after `after` in their order, at most `count_max`. Waits up to `wait` if there is
    /// none; gives whatever there is as soon as there is any. Entries that are no events are given as
    /// events of [`crate::EventKind::Unknown`], with what they hold as image: none is left out.
    fn read(
        &mut self,
        after: StreamId,
        count_max: usize,
        wait: Duration,
    ) -> Result<Vec<Event>, SourceFault>;

    /// What the stream holds, seen from a position that was applied. Called before every read, so it
    /// should cost no more than a look-up.
    fn extent(&mut self, position: StreamId) -> Result<Extent, SourceFault>;

    /// The position of the last report that was written down where it survives (`stream:lastid:*`);
    /// nothing at first. Dead letters behind it are told again, so that none is missing in a mirror
    /// of them after a crash.
    fn mirrored(&mut self) -> Result<StreamId, SourceFault>;

    /// Everything up to a position is durable in the database; called after commits, often with more
    /// than one commit in one report. What fails here is tried again with the next report. Entries up
    /// to that position are no longer needed.
    fn applied(&mut self, report: &Applied<'_>) -> Result<(), SourceFault>;
}

/// What a stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Its first entry, if it has any.
    pub first: Option<StreamId>,
    /// The last id that was ever given to an entry.
    pub last: StreamId,
    /// How many entries were ever added.
    pub added: u64,
    /// The greatest id that was ever deleted or trimmed.
    pub deleted_max: StreamId,
    /// How many entries stand behind the position that was asked about, as far as it is known
    /// cheaply: what [`crate::Status`] calls the lag.
    pub behind: Option<u64>,
    /// Whether there is an entry with exactly the id of the position.
    pub holds_position: bool,
}

/// What has become of events.
#[derive(Clone, Debug)]
pub struct Applied<'a> {
    /// All events up to here are in the database.
    pub up_to: StreamId,
    /// Totals since the pipeline first began, as the database has them: they agree with its rows
    /// after every crash.
    pub totals: Counts,
    /// What has been added to the totals since the last report of this run.
    pub fresh: Counts,
    /// Dead letters since the last report, in the order of their ids, none behind `up_to`.
    pub dead_letters: &'a [DeadLetter],
}

/// Why a source did not answer. The pipeline says so in its status and tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFault(pub String);

impl fmt::Display for SourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceFault {}
