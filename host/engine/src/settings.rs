//! What the engine needs to know of the configuration: plain values, handed in by the host.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::acl;
use crate::keyspace::{Lfu, Policy};
use crate::notifications::{Classes, Followed};
use crate::tenancy::MemoryQuota;
use crate::triggers::Triggers;
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
    pub users: acl::Policy,
    /// Whether DEBUG is allowed (`enable-debug-command`).
    pub debug_commands: bool,
    /// Which keyspace events are told (`notify-keyspace-events`).
    pub notify: Classes,
    /// How many keys may be remembered for clients that cache them; 0: any number
    /// (`tracking-table-max-keys`).
    pub tracked_keys_max: usize,
    /// How uses are counted, if they are: `maxmemory-policy` is an LFU one.
    pub lfu: Option<Lfu>,
    /// When and how keys give way to others.
    pub eviction: Eviction,
    /// What all data may take, if a step that would exceed it is to be taken back.
    pub memory_quota: Option<MemoryQuota>,
    /// Which large values are freed elsewhere.
    pub lazy: Lazy,
    /// What SLOWLOG and COMMANDLOG keep.
    pub slow_log: SlowLogLimits,
    /// From how many milliseconds on LATENCY notes an event; 0: never (`latency-monitor-threshold`).
    pub latency_threshold_ms: u64,
    /// How large packed collections may become.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            databases: 16,
            string_bytes_max: 512 * 1024 * 1024,
            password: alloc::boxed::Box::default(),
            users: acl::Policy::default(),
            debug_commands: false,
            notify: Classes::NONE,
            tracked_keys_max: 1_000_000,
            lfu: None,
            eviction: Eviction::default(),
            memory_quota: None,
            lazy: Lazy::default(),
            slow_log: SlowLogLimits::default(),
            latency_threshold_ms: 0,
            limits: Limits::default(),
        }
    }
}

/// When and how keys give way to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// `maxmemory`; 0: no limit.
    pub bytes_max: usize,
    /// `maxmemory-policy`.
    pub policy: Policy,
    /// Keys looked at to choose one (`maxmemory-samples`).
    pub samples: usize,
    /// How long one command may evict for others, 0 to 100 (`maxmemory-eviction-tenacity`).
    pub tenacity: u32,
}

impl Default for Eviction {
    fn default() -> Self {
        Self { bytes_max: 0, policy: Policy::NoEviction, samples: 5, tenacity: 10 }
    }
}

impl Eviction {
    /// For how many microseconds one command may evict; `None`: until there is room.
    pub fn budget_us(&self) -> Option<u64> {
        const LINEAR_MAX: u32 = 10;
        match self.tenacity {
            0..=LINEAR_MAX => Some(50 * u64::from(self.tenacity)),
            100.. => None,
            // Fifteen percent more per step: 500 us at 10, about two minutes at 99.
            more => {
                Some((LINEAR_MAX..more).fold(500.0_f64, |budget_us, _| budget_us * 1.15) as u64)
            }
        }
    }
}

/// Which large values are freed elsewhere than in the command that ends them: `lazyfree-lazy-*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lazy {
    /// Evicted ones.
    pub eviction: bool,
    /// Expired ones.
    pub expire: bool,
    /// Overwritten ones.
    pub server_del: bool,
    /// Those that DEL names.
    pub user_del: bool,
    /// FLUSHALL and FLUSHDB without an argument.
    pub user_flush: bool,
}

/// What SLOWLOG keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowLogLimits {
    /// Microseconds from which a command is slow; negative: none is (`slowlog-log-slower-than`).
    pub threshold_us: i64,
    /// Entries (`slowlog-max-len`).
    pub entries_max: usize,
    /// Which requests are large (`commandlog-request-larger-than`).
    pub requests: SizeLogLimits,
    /// Which replies are large (`commandlog-reply-larger-than`).
    pub replies: SizeLogLimits,
}

impl Default for SlowLogLimits {
    fn default() -> Self {
        Self {
            threshold_us: 10_000,
            entries_max: 128,
            requests: SizeLogLimits::default(),
            replies: SizeLogLimits::default(),
        }
    }
}

/// What COMMANDLOG keeps of large requests, or of large replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLogLimits {
    /// Bytes from which one is large; negative: none is.
    pub threshold_bytes: i64,
    /// Entries.
    pub entries_max: usize,
}

impl SizeLogLimits {
    /// Whether so many bytes are large.
    pub fn is_large(&self, bytes: usize) -> bool {
        usize::try_from(self.threshold_bytes).is_ok_and(|threshold| bytes >= threshold)
    }
}

impl Default for SizeLogLimits {
    fn default() -> Self {
        Self { threshold_bytes: 1024 * 1024, entries_max: 128 }
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
    /// What number the first database has where several engines are written down together.
    pub first_database: u32,
    /// Counts clients that begin to wait, over all shards.
    arrivals: Arc<AtomicU64>,
    /// Whether anybody listens.
    audience: Audience,
    /// Whether steps say their effects.
    propagation: Propagation,
    /// Who hears of what happens to keys, beside clients.
    triggers: Triggers,
}

/// Looked at by every step, so they lie together.
#[derive(Debug, Default)]
struct Signals {
    subscribed: AtomicBool,
    tracking: AtomicBool,
    propagation: AtomicBool,
}

/// Whether anybody listens: what steps look at before they gather what happens. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    signals: Arc<Signals>,
}

/// Whether steps leave their [effects](crate::effects): somebody keeps a copy of the data, a
/// replica or a log. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Propagation {
    signals: Arc<Signals>,
}

impl Propagation {
    /// Whether they do.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.signals.propagation.load(Ordering::Relaxed)
    }

    /// Lets steps say their effects, or not. A step looks once, when it begins: whoever wants all
    /// effects from some instant on holds all shards meanwhile.
    pub fn set_on(&self, on: bool) {
        self.signals.propagation.store(on, Ordering::Release);
    }
}

impl Audience {
    /// Whether anybody is subscribed to anything.
    #[inline]
    pub fn is_subscribed(&self) -> bool {
        self.signals.subscribed.load(Ordering::Relaxed)
    }

    /// Whether anybody tracks keys.
    #[inline]
    pub fn is_tracking(&self) -> bool {
        self.signals.tracking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_subscribed(&self, any: bool) {
        self.signals.subscribed.store(any, Ordering::Release);
    }

    pub(crate) fn set_tracking(&self, any: bool) {
        self.signals.tracking.store(any, Ordering::Release);
    }
}

impl Rules {
    /// Rules for `shards` shards (rounded up to a power of two, at most
    /// [`SHARDS_MAX`](crate::keyspace::SHARDS_MAX)).
    pub fn new(seed: u64, shards: usize, settings: Settings) -> Self {
        let shards = shards.clamp(1, crate::keyspace::SHARDS_MAX).next_power_of_two();
        let signals = Arc::<Signals>::default();
        Self {
            hasher: Hasher::new(seed),
            shards,
            settings,
            first_database: 0,
            arrivals: Arc::default(),
            audience: Audience { signals: signals.clone() },
            propagation: Propagation { signals },
            triggers: Triggers::default(),
        }
    }

    /// The same with other settings.
    pub fn with_settings(&self, settings: Settings) -> Self {
        Self { settings, ..self.clone() }
    }

    /// The same for a tenant's engine, whose databases are numbered from here on.
    #[must_use]
    pub fn numbered_from(self, first_database: u32) -> Self {
        Self { first_database, ..self }
    }

    /// The same with other triggers.
    pub fn with_triggers(&self, triggers: Triggers) -> Self {
        Self { triggers, ..self.clone() }
    }

    /// The triggers.
    pub fn triggers(&self) -> &Triggers {
        &self.triggers
    }

    /// Whether anybody listens.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Whether steps say their effects.
    pub fn propagation(&self) -> &Propagation {
        &self.propagation
    }

    /// What steps must gather of what happens to keys.
    #[inline]
    pub(crate) fn followed(&self) -> Followed {
        let is_told = self.settings.notify.tell_anything() && self.audience.is_subscribed();
        if is_told || self.audience.is_tracking() {
            return Followed::ALL;
        }
        self.triggers.followed()
    }

    /// A number above all that were given before. Under the lock of a shard, its queues are in
    /// order.
    pub fn next_arrival(&self) -> u64 {
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
