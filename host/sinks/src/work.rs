//! What the reader hands to a partition's committer.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::event::{Event, StreamId};
use crate::plan::{ChangeRef, Verdict};
use crate::planning::Planned;

/// Events of one partition, planned.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) planned: Arc<Planned>,
    pub(crate) picks: Vec<Pick>,
    /// Where the position will be; nothing if it stays, because these are dead letters once more.
    pub(crate) to: Option<StreamId>,
    /// How many entries the stream had ever had up to there, if that is known; else 0.
    pub(crate) added: u64,
    /// These are dead letters that go: with their changes, or without if that was asked for.
    pub(crate) done: Option<Sender<Settled>>,
}

/// What became of dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Applied, or dropped where that was asked for.
    pub settled: usize,
    /// They failed once more and are still dead letters.
    pub failed: usize,
}

/// One event of a plan, with its changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    pub(crate) event: u32,
    pub(crate) first: u32,
    pub(crate) changes: u32,
    pub(crate) bytes: u32,
}

/// The same with everything at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) event: &'a Event,
    pub(crate) verdict: &'a Verdict,
    planned: &'a Planned,
    pick: Pick,
}

impl<'a> Item<'a> {
    pub(crate) fn changes(&self) -> impl Iterator<Item = ChangeRef<'a>> + use<'a> {
        let (planned, first) = (self.planned, self.pick.first as usize);
        (first..first + self.pick.changes as usize).map(move |index| planned.plan.at(index))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pick.bytes as usize
    }
}

impl Work {
    /// Its events, in order.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.picks.iter().map(|pick| Item {
            event: &self.planned.events[pick.event as usize],
            verdict: &self.planned.plan.verdicts()[pick.event as usize],
            planned: &self.planned,
            pick: *pick,
        })
    }
}

/// All events of a plan, shared out to partitions; what a partition has applied already is left
/// out.
pub(crate) fn share_out(planned: &Planned, positions: &[StreamId]) -> Vec<Vec<Pick>> {
    let mut shares: Vec<Vec<Pick>> = vec![Vec::new(); positions.len()];
    if let [share] = shares.as_mut_slice() {
        share.reserve(planned.events.len());
    }
    let mut next = 0u32;
    for (index, event) in planned.events.iter().enumerate() {
        let (first, mut changes) = (next, 0);
        if let Verdict::Apply(count) = planned.plan.verdicts()[index] {
            changes = count;
            next += count;
        }
        let partition = partition_of(&event.document, positions.len());
        if event.id <= positions[partition] {
            continue;
        }
        let bytes: usize =
            (first..next).map(|change| planned.plan.at(change as usize).bytes()).sum();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        shares[partition].push(Pick { event: index as u32, first, changes, bytes });
    }
    shares
}

/// The partition of a document: FNV-1a, the same for ever, because positions depend on it.
pub(crate) fn partition_of(document: &[u8], partitions: usize) -> usize {
    if partitions <= 1 {
        return 0;
    }
    let hash = document.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % partitions as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stay_where_they_are_and_are_spread() {
        assert_eq!(partition_of(b"anything", 1), 0);
        assert_eq!(partition_of(b"session:1", 4), 3, "the same for ever: positions depend on it");
        let mut counts = [0; 8];
        for n in 0..8_000 {
            counts[partition_of(format!("app-17:{n:08}").as_bytes(), 8)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
