//! An event that could not be applied, kept in the database beside the rows of its neighbours.

use std::sync::Arc;

use crate::event::{Event, StreamId};
use crate::table::Table;
use crate::target::{Destination, Owner, TargetFault};

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

impl DeadLetter {
    /// The first dead letters of a pipeline behind `after`, in the order of their ids, whether or not
    /// it runs.
    pub fn list(
        destination: &dyn Destination,
        pipeline: &str,
        after: StreamId,
        count_max: usize,
    ) -> Result<Vec<Self>, TargetFault> {
        let tables: Arc<[Table]> = Arc::new([]);
        let target = |partition, partitions| {
            let (pipeline, holder) = (pipeline.to_owned(), String::new());
            destination.open(&tables, &Owner { pipeline, partition, partitions, holder })
        };
        let partitions = target(0, 1).partitions()?.unwrap_or(0);
        let mut all = Vec::new();
        for partition in 0..partitions {
            all.extend(target(partition, partitions).dead_letters(after, count_max)?);
        }
        all.sort_by_key(|letter| letter.event.id);
        all.truncate(count_max);
        Ok(all)
    }
}
