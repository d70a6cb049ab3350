//! Which form of Redis's serialised data is written: who is to read it decides.

use super::VERSION_FIELD_TIMES;
use crate::clock::Millis;
use crate::keyspace::{Lfu, Policy, Shard, Slot};
use crate::settings::Rules;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The version of the format, which decides what types may be used.
    pub version: u16,
    /// Whether long strings are compressed if that gains something (`rdbcompression`).
    pub is_compressed: bool,
    /// What is told of the use of keys.
    pub uses: Uses,
    /// What number the first database has.
    pub first_database: u32,
    /// Whether keys are told as the commands that make them, for the base of a log, instead.
    pub as_commands: bool,
}

/// What is told of the use of keys: what eviction goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uses {
    /// Nothing.
    #[default]
    Untold,
    /// For how long they were not used at that instant.
    Idle(Millis),
    /// How often they were used, as counted at that instant.
    Frequency(Millis, Lfu),
}

impl Form {
    /// Readable by Redis 7.0 and later.
    pub const FILE: Self = Self {
        version: 10,
        is_compressed: true,
        uses: Uses::Untold,
        first_database: 0,
        as_commands: false,
    };
    /// Readable by Redis 7.2 and later: what DUMP gives.
    pub const DUMP: Self = Self { version: super::VERSION, ..Self::FILE };

    /// The oldest form that holds all that these shards hold now, with what the policy of eviction
    /// goes by.
    pub fn for_shards<'s>(
        shards: impl IntoIterator<Item = &'s Shard>,
        rules: &Rules,
        now: Millis,
    ) -> Self {
        let needs_times =
            |shard: &Shard| shard.databases().any(|(_, database)| database.has_expiring_fields());
        let uses = match (rules.settings.eviction.policy, rules.settings.lfu) {
            (Policy::VolatileLru | Policy::AllkeysLru, _) => Uses::Idle(now),
            (policy, lfu) if policy.is_lfu() => Uses::Frequency(now, lfu.unwrap_or_default()),
            _ => Uses::Untold,
        };
        let version = match shards.into_iter().any(needs_times) {
            true => VERSION_FIELD_TIMES,
            false => Self::FILE.version,
        };
        Self { version, uses, first_database: rules.first_database, ..Self::FILE }
    }

    /// The same without compression.
    #[must_use]
    pub fn uncompressed(self) -> Self {
        Self { is_compressed: false, ..self }
    }

    /// The same, or the oldest form that holds this slot.
    pub(super) fn holding(self, slot: &Slot) -> Self {
        let is_newer = slot.next_field_expiry().is_some();
        let version = if is_newer { VERSION_FIELD_TIMES } else { self.version };
        Self { version, ..self }
    }

    /// Whether sets as listpacks and streams whose consumers remember when they last got an entry
    /// are known to who reads it.
    pub(super) fn knows_7_2(self) -> bool {
        self.version >= super::VERSION
    }
}
