//! Keys that somebody watches (WATCH) or guards (plugins' batches).

use super::Keyspace;

impl Keyspace<'_> {
    /// Starts to watch a key of the selected database; gives its change count.
    pub fn watch(&mut self, key: &[u8]) -> u64 {
        let place = self.place(key);
        self.meet_expired(place, key);
        let database = self.database;
        self.shards.get_mut(place.shard).map_or(0, |shard| shard.watch(database, key))
    }

    /// Whether a watched key is as it was when its change count was `version`.
    pub fn is_unchanged(&mut self, database: u32, key: &[u8], version: u64) -> bool {
        let selected = core::mem::replace(&mut self.database, database);
        let place = self.place(key);
        self.meet_expired(place, key);
        self.database = selected;
        let shard = self.shards.get(place.shard);
        shard.and_then(|shard| shard.watched_version(database, key)) == Some(version)
    }

    /// Whether a key is there although it has expired: where it is kept, for clients it is gone.
    pub fn has_expired(&self, database: u32, key: &[u8]) -> bool {
        let place = self.place(key);
        let database = self.shards.get(place.shard).and_then(|shard| shard.database(database));
        let slot = database.and_then(|database| database.find(place.hash, key));
        slot.is_some_and(|slot| !self.is_live(slot))
    }

    /// Ends one watch.
    pub fn unwatch(&mut self, database: u32, key: &[u8]) {
        let place = self.place(key);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.unwatch(database, key);
        }
    }

    /// The version of a key, for guards.
    pub fn version(&mut self, key: &[u8]) -> u64 {
        let place = self.place(key);
        self.meet_expired(place, key);
        self.shards.get_mut(place.shard).map_or(0, |shard| shard.version(place.hash))
    }
}
