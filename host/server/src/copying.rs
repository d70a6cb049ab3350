//! What the store tells those who copy the data: the append-only log, and replicas; and what it is
//! told by a primary.
//!
//! Effects are written down while the shards are held that they are about, so log and stream have
//! the order of the data.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use reef_engine::effects::{Audience, Effect, Effects};
use reef_engine::error::Error;
use reef_storage::Log;

use crate::replication::{Relayed, Replication, Stream};
use crate::store::Store;

/// Those who copy the data.
#[derive(Default)]
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
}

impl Store {
    /// The append-only log.
    pub(crate) fn log(&self) -> &Log {
        &self.copies.log
    }

    /// Writes effects down, for the log and for replicas. The shards that they are about are held.
    pub(crate) fn propagate(&self, effects: &Effects) {
        self.write_log(effects);
        if let Some(stream) = self.stream() {
            stream.append(effects);
        }
    }

    /// Writes effects of what a primary said down: the log has them, replicas what was said.
    pub(crate) fn relay(&self, relayed: Relayed<'_>, effects: &Effects) {
        self.write_log(effects);
        if let Some(replication) = self.copies.replication.get() {
            replication.stream.append_relayed(relayed, effects);
        }
    }

    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.copies.replication.get().map(|replication| &replication.stream).filter(|s| s.is_on())
    }

    fn write_log(&self, effects: &Effects) {
        if !self.copies.log.is_on() {
            return;
        }
        for unit in effects.units() {
            self.copies.log.append(|| {
                let logged = |effect: &Effect<'_>| effect.audience != Audience::ReplicasOnly;
                unit.commands().filter(logged).map(|effect| (effect.database, effect.bytes))
            });
        }
    }

    /// Lets steps say their effects as long as somebody keeps a copy of the data.
    pub(crate) fn follow_copies(&self) {
        self.freeze(|_| {
            let is_followed =
                self.copies.log.is_on() || self.stream().is_some() || self.is_replica();
            self.rules().propagation().set_on(is_followed);
        });
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
        if self.copies.hands_over.load(Ordering::Acquire) {
            return Some(Error::READONLY_REPLICA.to_string());
        }
        self.copies.refusal.load().as_ref().map(|text| String::clone(text))
    }
}
