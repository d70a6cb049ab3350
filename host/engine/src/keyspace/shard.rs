//! One part of the keyspace: a plain value with its own databases, watches and counters.
//!
//! A key's cluster slot decides its shard, so keys with one `{tag}` stay together. Shards know
//! nothing of each other; a step is handed those that its keys need.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::database::Database;
use super::slot::Slot;
use super::snapshot::Snapshot;
use crate::effects::Effects;
use crate::types::hasher::Hasher;
use crate::waiters::Waiters;

/// Most shards that there can be: a set of them is one machine word.
pub const SHARDS_MAX: usize = 64;

/// Cells that count changes for guards. Keys share a cell by hash, so a guard may see a change
/// that was not its key's; the caller then tries once more.
const VERSION_CELLS: usize = 1024;

/// A part of the keyspace.
///
/// In this order: what every read touches shares a cache line with the driver's lock in front of
/// it, so that a shard which moves between cores moves one line; what follows is only looked at
/// as long as nobody watches, guards or waits.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Shard {
    databases: Vec<Option<Box<Database>>>,
    /// What happened in this shard so far.
    pub counters: Counters,
    /// Change counts by key hash; empty until the first guard asks, so that who uses none pays
    /// nothing.
    versions: Vec<u64>,
    watched: BTreeMap<u32, BTreeMap<Box<[u8]>, Watched>>,
    /// Who waits for keys of this shard.
    pub waiters: Waiters,
    /// How often the data changed.
    changes: u64,
    /// The change count of the key that was counted last: no other is above it.
    clock: u64,
    /// Shards that every step takes with this one: those of triggers' streams.
    pub along: ShardSet,
    /// The snapshot that runs.
    pub(super) snapshot: Option<Box<Snapshot>>,
    /// What the last step gathered its effects in: the next one allocates nothing for them.
    pub(super) spare_effects: Option<Box<Effects>>,
}

/// A key that somebody watches: changes so far, and how many watch.
#[derive(Debug, Default)]
struct Watched {
    version: u64,
    watchers: u32,
}

/// Monotonic counters, as INFO shows them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Keys read and found.
    pub hits: u64,
    /// Keys read and not found.
    pub misses: u64,
    /// Keys that expired.
    pub expired: u64,
    /// Fields of hashes that expired.
    pub expired_fields: u64,
    /// Keys evicted for memory.
    pub evicted: u64,
}

impl Shard {
    /// An empty shard.
    pub fn new() -> Self {
        Self::default()
    }

    /// The database with this number, if it was ever written.
    #[inline]
    pub fn database(&self, number: u32) -> Option<&Database> {
        self.databases.get(number as usize)?.as_deref()
    }

    /// The database with this number, if it was ever written.
    #[inline]
    pub fn database_mut(&mut self, number: u32) -> Option<&mut Database> {
        self.databases.get_mut(number as usize)?.as_deref_mut()
    }

    /// The database with this number, made if need be.
    #[inline]
    pub fn database_or_new(&mut self, number: u32) -> &mut Database {
        let index = number as usize;
        if self.databases.len() <= index {
            self.databases.resize_with(index + 1, || None);
        }
        self.databases[index].get_or_insert_default()
    }

    /// How often the data changed so far.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Counts changes of the data.
    #[inline]
    pub(super) fn count_changes(&mut self, changes: u64) {
        self.changes += changes;
    }

    /// Puts in a slot that was loaded: nobody is told, nothing can be undone. Gives it back if the key is
    /// there already; then nothing was done.
    pub fn load(&mut self, number: u32, slot: Slot, hasher: &Hasher) -> Result<(), Slot> {
        let hash = hasher.hash(slot.key());
        let database = self.database_or_new(number);
        if database.find(hash, slot.key()).is_some() {
            return Err(slot);
        }
        database.while_loading(|database| database.insert(hash, slot, hasher));
        Ok(())
    }

    /// The same, but what is loaded takes the place of what is there, which is returned.
    pub fn load_over(&mut self, number: u32, slot: Slot, hasher: &Hasher) -> Option<Slot> {
        let hash = hasher.hash(slot.key());
        let database = self.database_or_new(number);
        database.while_loading(|database| database.replace(hash, slot, hasher))
    }

    /// All databases with their numbers.
    pub fn databases(&self) -> impl Iterator<Item = (u32, &Database)> {
        (0..)
            .zip(&self.databases)
            .filter_map(|(number, database)| Some((number, database.as_deref()?)))
    }

    /// All databases with their numbers, for changing.
    pub(super) fn databases_mut(&mut self) -> impl Iterator<Item = (u32, &mut Database)> {
        (0..)
            .zip(&mut self.databases)
            .filter_map(|(number, database)| Some((number, database.as_deref_mut()?)))
    }

    /// Takes a database out, leaving an empty one.
    pub(super) fn take_database(&mut self, number: u32) -> Option<Box<Database>> {
        self.databases.get_mut(number as usize)?.take()
    }

    /// Puts a database in.
    pub(super) fn put_database(&mut self, number: u32, database: Option<Box<Database>>) {
        let index = number as usize;
        if self.databases.len() <= index {
            self.databases.resize_with(index + 1, || None);
        }
        self.databases[index] = database;
    }

    /// After two databases changed places: indexes stay where they were, and see what is there now.
    pub(super) fn swap_indexes(&mut self, first: u32, second: u32) {
        let mut take = |number| self.database_mut(number).and_then(Database::take_indexes);
        let (one, other) = (take(first), take(second));
        for (number, indexes) in [(first, other), (second, one)] {
            if let Some(mut indexes) = indexes {
                indexes.begin_anew();
                self.database_or_new(number).put_indexes(Some(indexes));
            }
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let databases: usize = self.databases().map(|(_, database)| database.heap_bytes()).sum();
        databases + self.versions.len() * size_of::<u64>()
    }

    /// The version of a key for guards.
    pub fn version(&mut self, hash: u64) -> u64 {
        if self.versions.is_empty() {
            self.versions.resize(VERSION_CELLS, 0);
        }
        self.versions[hash as usize % VERSION_CELLS]
    }

    /// The shards that a step on this one takes, too: for waiters and triggers.
    #[inline]
    pub fn reach(&self) -> ShardSet {
        self.waiters.reach().union(self.along)
    }

    /// A mark in the order of all changes from now on: what changes later has a version above it.
    pub fn clock(&mut self) -> u64 {
        self.version(0);
        self.clock
    }

    /// Counts a change of a key, for guards and watches.
    #[inline]
    pub fn bump(&mut self, database: u32, hash: u64, key: &[u8]) {
        if let Some(cell) = self.versions.get_mut(hash as usize % VERSION_CELLS) {
            self.clock += 1;
            *cell = self.clock;
        }
        if !self.watched.is_empty()
            && let Some(watched) = self.watched_mut(database, key)
        {
            watched.version += 1;
        }
    }

    /// Counts a change of every key of a database that exists.
    pub fn bump_database(&mut self, database: u32, hasher: &Hasher) {
        self.clock += 1;
        self.versions.fill(self.clock);
        let Some(watched) = self.watched.get_mut(&database) else { return };
        let Some(Some(keys)) = self.databases.get(database as usize) else { return };
        for (key, watched) in watched {
            if keys.find(hasher.hash(key), key).is_some() {
                watched.version += 1;
            }
        }
    }

    /// Starts to watch a key; gives its change count so far.
    pub fn watch(&mut self, database: u32, key: &[u8]) -> u64 {
        let watched = self.watched.entry(database).or_default().entry(key.into()).or_default();
        watched.watchers += 1;
        watched.version
    }

    /// The change count of a watched key.
    pub fn watched_version(&self, database: u32, key: &[u8]) -> Option<u64> {
        self.watched.get(&database)?.get(key).map(|watched| watched.version)
    }

    /// Sets the change count back: what was counted has been undone.
    pub fn restore_watched(&mut self, database: u32, key: &[u8], version: u64) {
        if let Some(watched) = self.watched_mut(database, key) {
            watched.version = version;
        }
    }

    /// Ends one watch of a key.
    pub fn unwatch(&mut self, database: u32, key: &[u8]) {
        let Some(watched) = self.watched_mut(database, key) else { return };
        watched.watchers -= 1;
        if watched.watchers == 0
            && let Some(keys) = self.watched.get_mut(&database)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.watched.remove(&database);
            }
        }
    }

    /// The keys of a database that are watched.
    pub fn watched_in(&self, database: u32) -> impl Iterator<Item = &[u8]> {
        self.watched.get(&database).into_iter().flat_map(BTreeMap::keys).map(|key| &**key)
    }

    /// How many keys are watched.
    pub fn watched_keys(&self) -> usize {
        self.watched.values().map(BTreeMap::len).sum()
    }

    fn watched_mut(&mut self, database: u32, key: &[u8]) -> Option<&mut Watched> {
        self.watched.get_mut(&database)?.get_mut(key)
    }

    /// Recounts what the shard claims about itself; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        self.databases().for_each(|(_, database)| database.check(hasher));
        self.waiters.check();
    }
}

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(u64);

impl ShardSet {
    /// No shard.
    pub const NONE: Self = Self(0);

    /// The first `count` shards.
    pub fn all(count: usize) -> Self {
        Self(if count >= SHARDS_MAX { u64::MAX } else { (1 << count) - 1 })
    }

    /// Adds a shard.
    #[inline]
    pub fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    /// These shards and those of `other`.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in it.
    #[inline]
    pub fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// How many shards there are.
    #[inline]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The shards in ascending order, the order in which they must be locked.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let index = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (index < u64::BITS).then_some(index as usize)
        })
    }

    /// The first shard.
    #[inline]
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then_some(self.0.trailing_zeros() as usize)
    }
}

/// The shards that a step holds.
#[derive(Debug)]
pub enum Shards<'a> {
    /// None: the step needs no keys.
    None,
    /// One, whichever it is: all keys of the step live in it.
    One(&'a mut Shard),
    /// Some of all, by index.
    Many(Vec<Option<&'a mut Shard>>),
}

impl Shards<'_> {
    /// The same shards for a step within the step.
    pub fn reborrow(&mut self) -> Shards<'_> {
        match self {
            Self::None => Shards::None,
            Self::One(shard) => Shards::One(shard),
            Self::Many(shards) => {
                Shards::Many(shards.iter_mut().map(|shard| shard.as_deref_mut()).collect())
            }
        }
    }

    /// The shards that serving the waiters of those that are held may take.
    #[inline]
    pub fn reach(&self) -> ShardSet {
        match self {
            Self::None => ShardSet::NONE,
            Self::One(shard) => shard.reach(),
            Self::Many(shards) => shards
                .iter()
                .flatten()
                .fold(ShardSet::NONE, |reach, shard| reach.union(shard.reach())),
        }
    }

    /// The shard with this index.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Shard> {
        match self {
            Self::None => None,
            Self::One(shard) => Some(shard),
            Self::Many(shards) => shards.get(index)?.as_deref(),
        }
    }

    /// The shard with this index, for changing.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Shard> {
        match self {
            Self::None => None,
            Self::One(shard) => Some(shard),
            Self::Many(shards) => shards.get_mut(index)?.as_deref_mut(),
        }
    }

    /// All shards that are held, with their indexes.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Shard)> {
        let (one, many): (Option<&Shard>, &[Option<&mut Shard>]) = match self {
            Self::None => (None, &[]),
            Self::One(shard) => (Some(shard), &[]),
            Self::Many(shards) => (None, shards),
        };
        let many = many.iter().enumerate().filter_map(|(i, shard)| Some((i, shard.as_deref()?)));
        one.into_iter().map(|shard| (0, shard)).chain(many)
    }

    /// All shards that are held, for changing.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Shard> {
        let (one, many): (Option<&mut Shard>, &mut [Option<&mut Shard>]) = match self {
            Self::None => (None, &mut []),
            Self::One(shard) => (Some(&mut **shard), &mut []),
            Self::Many(shards) => (None, shards),
        };
        one.into_iter().chain(many.iter_mut().filter_map(|shard| shard.as_deref_mut()))
    }
}

/// The cluster slot of a key: CRC16 (XMODEM) of its `{tag}`, or of the whole key, modulo 16384.
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % 16384
}

/// What decides a key's slot: the text between the first `{` and the next `}`, if there is any.
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let tail = &key[open + 1..];
    match tail.iter().position(|byte| *byte == b'}') {
        Some(0) | None => key,
        Some(close) => &tail[..close],
    }
}

/// CRC16 (XMODEM), eight bytes at a time: table `k` holds what a byte adds when `k` bytes follow.
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc: u16 = 0;
    let mut blocks = bytes.chunks_exact(8);
    for block in &mut blocks {
        let [high, low] = crc.to_be_bytes();
        let mixed = [block[0] ^ high, block[1] ^ low];
        let head = CRC16[7][usize::from(mixed[0])] ^ CRC16[6][usize::from(mixed[1])];
        let middle = CRC16[5][usize::from(block[2])] ^ CRC16[4][usize::from(block[3])];
        let tail = CRC16[3][usize::from(block[4])] ^ CRC16[2][usize::from(block[5])];
        crc = head
            ^ middle
            ^ tail
            ^ CRC16[1][usize::from(block[6])]
            ^ CRC16[0][usize::from(block[7])];
    }
    blocks
        .remainder()
        .iter()
        .fold(crc, |crc, byte| (crc << 8) ^ CRC16[0][usize::from((crc >> 8) as u8 ^ byte)])
}

static CRC16: [[u16; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut index = 0;
        while index < 256 {
            let before: u16 = tables[table - 1][index];
            tables[table][index] = (before << 8) ^ tables[0][(before >> 8) as usize];
            index += 1;
        }
        table += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // From the cluster specification: CRC16 of "123456789" is 0x31C3.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        let bitwise = |bytes: &[u8]| {
            bytes.iter().fold(0u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
                    if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
                })
            })
        };
        let key: Vec<u8> = (0..100u8).map(|i| i.wrapping_mul(37)).collect();
        for len in 0..key.len() {
            assert_eq!(crc16(&key[..len]), bitwise(&key[..len]), "{len} bytes");
        }
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % 16384);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn a_shard_set_lists_its_members_in_order() {
        let mut set = ShardSet::NONE;
        [63, 0, 7].into_iter().for_each(|index| set.insert(index));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 7, 63]);
        assert_eq!((set.len(), set.first()), (3, Some(0)));
        assert_eq!(ShardSet::all(64).len(), 64);
        assert_eq!(ShardSet::all(1).iter().collect::<Vec<_>>(), [0]);
    }
}
