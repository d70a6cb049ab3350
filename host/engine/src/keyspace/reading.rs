//! Reading keys: what counts as a use of a key, and what does not.
//!
//! An expired key is never seen; who meets one removes it.

use alloc::boxed::Box;

use super::{Collection, Keyspace, Place, Slot, collection_of};
use crate::clock::Millis;
use crate::error::Error;

impl Keyspace<'_> {
    /// The slot of a key, without counting it as a read.
    #[inline]
    pub fn peek(&self, key: &[u8]) -> Option<&Slot> {
        let place = self.place(key);
        let slot = self.database_at(place.shard)?.find(place.hash, key)?;
        self.is_live(slot).then_some(slot)
    }

    /// The slot of a key, counted as a read: hit or miss, access clock.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<&Slot> {
        let place = self.place(key);
        let (now, no_touch, lfu) = (self.now, self.no_touch, self.rules.settings.lfu);
        let Some(slot) = self.peek(key) else {
            self.shards.get_mut(place.shard)?.counters.misses += 1;
            self.meet_expired(place, key);
            self.missed(key);
            return None;
        };
        if slot.has_due_fields(self.horizon) {
            if self.keep_expired {
                return self.see_live_fields(place, key);
            }
            self.remove_expired(place, key);
        }
        let shard = self.shards.get_mut(place.shard)?;
        shard.counters.hits += 1;
        let draw = shard.counters.hits;
        let slot = shard.database_mut(self.database)?.find_mut(place.hash, key)?;
        if !no_touch {
            slot.set_access(slot.access().used(now, lfu, draw));
        }
        Some(slot)
    }

    /// A hash without the fields that are due, which stay.
    #[cold]
    fn see_live_fields(&mut self, place: Place, key: &[u8]) -> Option<&Slot> {
        self.shards.get_mut(place.shard)?.counters.hits += 1;
        let seen = self.peek(key)?.without_due_fields(&self.rules.hasher, self.horizon);
        self.seen = Some(Box::new(seen));
        self.seen.as_deref()
    }

    /// The slot of a key, counted as hit or miss, its access clock left alone: for commands that
    /// ask about a key rather than use it.
    pub fn look(&mut self, key: &[u8]) -> Option<&Slot> {
        if !self.is_found(key) {
            self.missed(key);
        }
        self.peek(key)
    }

    /// The same for who asks about the innards of a key: a miss is no event.
    pub fn inspect(&mut self, key: &[u8]) -> Option<&Slot> {
        self.is_found(key);
        self.peek(key)
    }

    fn is_found(&mut self, key: &[u8]) -> bool {
        let place = self.place(key);
        let found = self.peek(key).is_some();
        let Some(shard) = self.shards.get_mut(place.shard) else { return false };
        if found {
            shard.counters.hits += 1;
        } else {
            shard.counters.misses += 1;
            self.meet_expired(place, key);
        }
        found
    }

    /// The string at a key.
    #[inline]
    pub fn text(&mut self, key: &[u8]) -> Result<Option<&[u8]>, Error> {
        self.read(key).map(|slot| slot.as_text().ok_or(Error::WrongType)).transpose()
    }

    /// The collection at a key, counted as a read.
    pub fn collection<T: Collection>(&mut self, key: &[u8]) -> Result<Option<&T>, Error> {
        self.read(key).map(collection_of).transpose()
    }

    /// The collection at a key, for steps that look at several at once.
    pub fn peek_collection<T: Collection>(&self, key: &[u8]) -> Result<Option<&T>, Error> {
        self.peek(key).map(collection_of).transpose()
    }

    /// Whether a key is there. One that has expired goes.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        let found = self.peek(key).is_some();
        if !found {
            self.meet_expired(self.place(key), key);
        }
        found
    }

    /// When a key expires; `None` if there is no key, `Some(None)` if it never does.
    pub fn expiry(&mut self, key: &[u8]) -> Option<Option<Millis>> {
        if !self.exists(key) {
            return None;
        }
        self.peek(key).map(Slot::expires_at)
    }
}
