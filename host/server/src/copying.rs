//! What the store tells those who copy the data: the append-only log, and replicas; and what it is
//! told by a primary.
//!
//! Effects are written down while the shards are held that they are about, so log and stream have
//! the order of the data.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use reef_engine::effects::{Audience, Effect, Effects, Unit};
use reef_engine::error::Error;
use reef_engine::registry::Registry;
use reef_storage::{Encoder, Log};

use crate::indexes::as_copied;
use crate::pause::PauseClock;
use crate::replication::{Relayed, Replication, Stream};
use crate::store::Store;
use crate::tenants::Tenancy;

/// Those who copy the data of all engines, and what else these have in common.
pub(crate) struct Copies {
    log: Log,
    /// What replicas are told, once there is a server.
    replication: OnceLock<Arc<Replication>>,
    /// Whether another server decides when keys expire and give way.
    is_replica: AtomicBool,
    /// Why nothing may be written now.
    refusal: ArcSwapOption<String>,
    /// Whether a replica is being given this server's place, so that the data must stay as it is.
    hands_over: AtomicBool,
    /// Counts what makes those pass the gates again who passed them before.
    era: AtomicU64,
    /// The native commands, for tenants without plugins.
    natives: OnceLock<Arc<Registry>>,
    /// Which commands wait, of all tenants.
    pub(crate) pause: PauseClock,
    /// When the next key of any tenant expires, at the latest.
    pub(crate) next_expiry_of_tenants: AtomicU64,
    /// Bytes of all tenants' data.
    pub(crate) bytes_of_tenants: Arc<AtomicUsize>,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            log: Log::default(),
            replication: OnceLock::new(),
            is_replica: AtomicBool::new(false),
            refusal: ArcSwapOption::empty(),
            hands_over: AtomicBool::new(false),
            era: AtomicU64::new(0),
            natives: OnceLock::new(),
            pause: PauseClock::default(),
            next_expiry_of_tenants: AtomicU64::new(u64::MAX),
            bytes_of_tenants: Arc::default(),
        }
    }
}

impl Copies {
    /// The native commands.
    pub(crate) fn natives(&self) -> &Arc<Registry> {
        self.natives.get_or_init(|| Arc::new(Registry::native()))
    }
}

/// Says what of a step's effects is for replicas.
fn tell_replicas(effects: &Effects, first_database: u32) -> impl FnOnce(&mut Encoder) {
    move |encoder| {
        for unit in effects.units() {
            encoder.append(told_of(unit, Audience::ReplicasOnly, first_database));
        }
    }
}

/// What of a unit is for `audience`, each command as stock servers can read it and with the number
/// that its database has where the first one has `first_database`.
fn told_of(
    unit: Unit<'_>,
    audience: Audience,
    first_database: u32,
) -> impl Iterator<Item = (u32, Cow<'_, [u8]>)> {
    let is_told = move |told: &Effect<'_>| [Audience::All, audience].contains(&told.audience);
    let told = unit.commands().filter(is_told);
    told.map(move |told| (first_database + told.database, as_copied(told.bytes)))
}

impl Store {
    /// The append-only log.
    pub(crate) fn log(&self) -> &Log {
        &self.copies.log
    }

    /// Writes effects down, for the log and for replicas. The shards that they are about are held.
    #[inline]
    pub(crate) fn propagate(&self, effects: &Effects) {
        self.write_log(effects);
        if let Some(stream) = self.stream() {
            stream.append(tell_replicas(effects, self.first_database()));
        }
    }

    /// The same for a command that is the only effect of a step, as it came.
    #[inline]
    pub(crate) fn propagate_command(&self, database: u32, command: &[u8]) {
        let (database, command) = (self.first_database() + database, as_copied(command));
        if self.copies.log.is_on() {
            self.copies.log.append_one(database, &command);
        }
        if let Some(stream) = self.stream() {
            stream.append(|encoder| _ = encoder.append_one(database, &command));
        }
    }

    /// Writes effects of what a primary said down: the log has them, replicas what was said.
    pub(crate) fn relay(&self, relayed: Relayed<'_>, effects: &Effects) {
        self.write_log(effects);
        if let Some(replication) = self.copies.replication.get() {
            let tell = tell_replicas(effects, self.first_database());
            replication.stream.append_relayed(relayed, tell);
        }
    }

    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.copies.replication.get().map(|replication| &replication.stream).filter(|s| s.is_on())
    }

    #[inline]
    fn write_log(&self, effects: &Effects) {
        if !self.copies.log.is_on() {
            return;
        }
        let first_database = self.first_database();
        for unit in effects.units() {
            self.copies.log.append(told_of(unit, Audience::LogOnly, first_database));
        }
    }

    /// What number the first database has where all engines are written down together.
    pub(crate) fn first_database(&self) -> u32 {
        self.tenancy().map_or(0, |tenancy| tenancy.first_database)
    }

    /// Whether somebody keeps a copy of the data, so that steps say their effects.
    pub(crate) fn is_copied(&self) -> bool {
        self.log().is_on() || self.stream().is_some() || self.is_replica()
    }

    /// Says who replicas are. Only the first server is heard.
    pub(crate) fn set_replication(&self, replication: Arc<Replication>) {
        let _ = self.copies.replication.set(replication);
    }

    /// Says whether another server decides when keys expire and give way.
    pub(crate) fn set_replica(&self, is_replica: bool) {
        self.copies.is_replica.store(is_replica, Ordering::Release);
        self.begin_era();
    }

    /// Says whether this server is giving its place to a replica. Whoever writes knows when it
    /// holds its shards; who held some before is done when all of them were held once.
    pub(crate) fn set_handing_over(&self, hands_over: bool) {
        self.copies.hands_over.store(hands_over, Ordering::Release);
        self.begin_era();
    }

    /// Whoever passed the gates before has to pass them again, unless its shards are held already:
    /// this server is somebody else now, or is about to lose its data.
    pub(crate) fn begin_era(&self) {
        self.copies.era.fetch_add(1, Ordering::Release);
    }

    /// What the [`Moment`](crate::store::Moment) of a command has to be of.
    #[inline]
    pub(crate) fn era(&self) -> u64 {
        self.copies.era.load(Ordering::Acquire)
    }

    /// Whether another server decides when keys expire and give way.
    #[inline]
    pub(crate) fn is_replica(&self) -> bool {
        self.copies.is_replica.load(Ordering::Relaxed)
    }

    /// Notes why nothing may be written now, for batches, which pass no gate.
    #[inline]
    pub(crate) fn note_refusal(&self, refusal: Option<Error>) {
        let noted = self.copies.refusal.load();
        if refusal.is_none() && noted.is_none() {
            return;
        }
        self.copies.refusal.store(refusal.map(|error| Arc::new(error.to_string())));
    }

    /// Why nothing may be written now.
    pub(crate) fn refusal(&self) -> Option<String> {
        if self.tenancy().is_some_and(Tenancy::is_gone) {
            return Some(Error::TENANT_GONE.to_string());
        }
        if self.copies.hands_over.load(Ordering::Acquire) {
            return Some(Error::READONLY_REPLICA.to_string());
        }
        self.copies.refusal.load().as_ref().map(|text| String::clone(text))
    }
}
