//! What the engine needs to know of the configuration: plain values, handed in by the host.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::acl::Policy;
use crate::types::hasher::Hasher;
use crate::types::limits::Limits;

/// Directives that the engine acts on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many databases there are (`databases`).
    pub databases: u32,
    /// Longest string in bytes (`proto-max-bulk-len`).
    pub string_bytes_max: usize,
    /// The password of the default user (`requirepass`); empty: none.
    pub password: alloc::boxed::Box<[u8]>,
    /// What is configured about users (`acl-pubsub-default`, `acllog-max-len`).
    pub users: Policy,
    /// Whether DEBUG is allowed (`enable-debug-command`).
    pub debug_commands: bool,
    /// Which LFU bookkeeping, if any (`maxmemory-policy` is an LFU one).
    pub lfu: bool,
    /// How large packed collections may become.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            databases: 16,
            string_bytes_max: 512 * 1024 * 1024,
            password: alloc::boxed::Box::default(),
            users: Policy::default(),
            debug_commands: false,
            lfu: false,
            limits: Limits::default(),
        }
    }
}

/// What all steps have in common: the same for every shard and thread.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The keyed hash of all tables.
    pub hasher: Hasher,
    /// How many shards there are: a power of two.
    pub shards: usize,
    /// The configuration.
    pub settings: Settings,
    /// Counts clients that begin to wait, over all shards.
    arrivals: Arc<AtomicU64>,
}

impl Rules {
    /// Rules for `shards` shards (rounded up to a power of two, at most
    /// [`SHARDS_MAX`](crate::keyspace::SHARDS_MAX)).
    pub fn new(seed: u64, shards: usize, settings: Settings) -> Self {
        let shards = shards.clamp(1, crate::keyspace::SHARDS_MAX).next_power_of_two();
        Self { hasher: Hasher::new(seed), shards, settings, arrivals: Arc::default() }
    }

    /// The same with other settings.
    pub fn with_settings(&self, settings: Settings) -> Self {
        Self { settings, ..self.clone() }
    }

    /// A number above all that were given before. Under the lock of a shard, its queues are in
    /// order.
    pub(crate) fn next_arrival(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed)
    }

    /// The shard of a key.
    #[inline]
    pub fn shard_of(&self, key: &[u8]) -> usize {
        if self.shards == 1 {
            return 0;
        }
        usize::from(crate::keyspace::slot_of(key)) & (self.shards - 1)
    }
}
