//! Keys of a snapshot that had expired when a primary loaded it.
//!
//! They are passed over. Replicas that go on from the snapshot's place in the stream still have them,
//! so they must be told.

use reef_engine::clock::Millis;
use reef_engine::keyspace::Slot;

/// A key and its database.
pub(crate) type Place = (u32, Box<[u8]>);

/// Keys that had expired.
#[derive(Debug)]
pub(crate) struct Expired {
    now: Millis,
    /// How many there were.
    pub(crate) count: u64,
    /// Which, as long as there is room to tell replicas of them.
    keys: Option<Vec<Place>>,
    bytes_left: u64,
}

impl Expired {
    /// None so far. No more than `bytes_max` of names are kept.
    pub(crate) fn new(now: Millis, bytes_max: u64) -> Self {
        Self { now, count: 0, keys: Some(Vec::new()), bytes_left: bytes_max }
    }

    /// Takes those that have expired out of a batch.
    pub(crate) fn sift(&mut self, batch: &mut Vec<(u32, Slot)>) {
        batch.retain(|(database, slot)| {
            let is_live = slot.is_live(self.now);
            if !is_live {
                self.note(*database, slot.key());
            }
            is_live
        });
    }

    fn note(&mut self, database: u32, key: &[u8]) {
        self.count += 1;
        match self.bytes_left.checked_sub(key.len() as u64) {
            Some(left) => self.bytes_left = left,
            None => self.keys = None,
        }
        if let Some(keys) = &mut self.keys {
            keys.push((database, key.into()));
        }
    }

    /// All of them; none if they were too many to be told of.
    pub(crate) fn keys(&self) -> Option<&[Place]> {
        self.keys.as_deref()
    }
}
