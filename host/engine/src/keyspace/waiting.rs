//! Waiters' places in the shards that a step holds.

use alloc::sync::Arc;

use super::{Keyspace, NumberedKey};
use crate::parking::Mark;
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
        let waited = waiter.park().is_some() || waiter.claim();
        let waited = waiter.finish() && waited;
        self.remove_waiter(waiter);
        waited
    }

    /// Takes a waiter out of the queues that are held.
    pub(crate) fn remove_waiter(&mut self, waiter: &Waiter) {
        for key in waiter.keys() {
            self.leave_queue(key, waiter);
        }
    }

    /// Takes a waiter out of the queue of one key, if that is held.
    pub(crate) fn leave_queue(&mut self, key: &[u8], waiter: &Waiter) {
        let place = self.place(key);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.waiters.remove(key, waiter);
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

    /// Begins to serve a key: see [`Waiters::begin_round`](crate::waiters::Waiters::begin_round).
    pub(crate) fn begin_round(&mut self, (database, key): &NumberedKey) -> Option<Option<u64>> {
        let shard = self.shards.get_mut(self.place(key).shard)?;
        shard.waiters.begin_round(*database, key)
    }

    /// Gives a parked call its turn. `again`: the key was written since it began; otherwise it is
    /// written up to here.
    pub(crate) fn begin_turn(&mut self, key: &NumberedKey, waiter: &Waiter, again: bool) {
        if !again {
            self.journal.forget_ready(key);
        }
        let place = self.place(&key.1);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.waiters.begin_turn(&key.1, waiter, again);
        }
    }

    /// Ends the turns of a parked call; others are served next.
    pub(crate) fn end_turns(&mut self, waiter: &Waiter) {
        for key in waiter.keys() {
            let place = self.place(key);
            if let Some(shard) = self.shards.get_mut(place.shard)
                && shard.waiters.end_turn(key, waiter)
            {
                self.journal.note_ready(waiter.database, key);
            }
        }
    }

    /// Offers a key to those who wait for it if it was written since a mark was taken.
    pub(crate) fn serve_if_written(&mut self, key: &[u8], mark: &Mark) {
        let place = self.place(key);
        // A step that holds one shard does not say which; the mark has one for each.
        let began = mark.of(self.rules.shard_of(key));
        let Some(shard) = self.shards.get_mut(place.shard) else { return };
        if shard.version(place.hash) > began {
            self.journal.note_ready(self.database, key);
        }
    }
}
