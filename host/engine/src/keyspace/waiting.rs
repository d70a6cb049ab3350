//! Waiters' places in the shards that a step holds.

use alloc::sync::Arc;

use super::{Keyspace, NumberedKey};
use crate::waiters::Waiter;

impl Keyspace<'_> {
    /// Puts a waiter into the queue of each of its keys.
    pub(crate) fn add_waiter(&mut self, waiter: &Arc<Waiter>) {
        for key in waiter.keys() {
            let place = self.place(key);
            if let Some(shard) = self.shards.get_mut(place.shard) {
                shard.waiters.add(key, waiter);
            }
        }
    }

    /// Ends a wait and takes the waiter out of all queues; its shards are held. Whether it still
    /// waited.
    pub fn end_wait(&mut self, waiter: &Waiter) -> bool {
        let waited = waiter.claim();
        waiter.finish();
        self.remove_waiter(waiter);
        waited
    }

    /// Takes a waiter out of the queues that are held.
    pub(crate) fn remove_waiter(&mut self, waiter: &Waiter) {
        for key in waiter.keys() {
            let place = self.place(key);
            if let Some(shard) = self.shards.get_mut(place.shard) {
                shard.waiters.remove(key, waiter);
            }
        }
    }

    /// The first waiter for a key that came after the one with the order `after`.
    pub(crate) fn next_waiter(
        &self,
        (database, key): &NumberedKey,
        after: Option<u64>,
    ) -> Option<Arc<Waiter>> {
        let shard = self.shards.get(self.place(key).shard)?;
        shard.waiters.next(*database, key, after).cloned()
    }

    /// Whether a waiter must hear that this key is gone.
    pub(crate) fn loss_is_heard(&self, (database, key): &NumberedKey) -> bool {
        let shard = self.shards.get(self.place(key).shard);
        shard.is_some_and(|shard| shard.waiters.hear_of_loss(*database, key))
    }

    /// Takes the keys away that changed and that somebody waits for.
    #[inline]
    pub(crate) fn take_ready(&mut self) -> alloc::vec::Vec<NumberedKey> {
        self.journal.take_ready()
    }
}
