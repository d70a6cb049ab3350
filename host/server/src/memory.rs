//! How much memory is used, and what happens when it is too much.
//!
//! While there is a limit, whoever has held a shard notes by how much it grew, so the figure costs
//! nothing to read. It may be behind by [`SLACK_BYTES`] per shard where there are several, so that
//! workers do not fight over one counter.
//!
//! What a tenant's step adds is claimed before it is noted, so that steps on several shards do not exceed its
//! quota together ([`Claim`]).
//!
//! Invariant: nobody who holds a shard evicts, so that evicting may take any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reef_engine::backend::StepError;
use reef_engine::clock::Millis;
use reef_engine::error::over_quota_text;
use reef_engine::gates::Pause;
use reef_engine::keyspace::{Candidate, Policy, Pool, ShardSet};
use reef_engine::settings::Rules;

use crate::copying::Copies;
use crate::store::Store;

/// By how much a shard's part of the figure may be behind.
const SLACK_BYTES: usize = 1024;
/// Roughly what workers, tables and buffers take before there is any data.
pub(crate) const STARTUP_BYTES: usize = 1024 * 1024;

/// The figure, and the state of eviction.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Whether there is a limit, so that somebody reads the figure.
    is_kept: AtomicBool,
    /// Whether the figure is to be made anew, because nobody has kept it so far.
    pub(crate) is_outdated: AtomicBool,
    data_bytes: AtomicUsize,
    /// Bytes of all tenants' data. They count for the server, too.
    bytes_of_tenants: Arc<AtomicUsize>,
    /// Whether it is a tenant's.
    is_tenants: bool,
    /// Whether a replica leaves eviction to its primary.
    is_left_to_primary: AtomicBool,
    /// By how much steps that are under way have grown.
    claimed: AtomicUsize,
    /// Connections with their buffers.
    pub(crate) client_bytes: AtomicUsize,
    /// Whether a command left something over for others to evict.
    unfinished: AtomicBool,
    /// Since when there is too much, in milliseconds since 1970; 0: there is not.
    exceeded_since: AtomicU64,
    exceeded_ms: AtomicU64,
    evictor: Mutex<Evictor>,
}

#[derive(Debug, Default)]
struct Evictor {
    pool: Pool,
    /// Whose candidates the pool holds.
    policy: Policy,
    /// The shard that is looked at next.
    shard: usize,
    random: u64,
    /// How many keys have gone.
    evicted: u64,
}

impl Ledger {
    /// The ledger of one engine among those that are copied together.
    pub(crate) fn of(copies: &Copies, is_tenants: bool) -> Self {
        let bytes_of_tenants = copies.bytes_of_tenants.clone();
        Self { bytes_of_tenants, is_tenants, ..Self::default() }
    }

    /// Says whether a replica leaves eviction to its primary.
    pub(crate) fn leave_to_primary(&self, leave: bool) {
        self.is_left_to_primary.store(leave, Ordering::Relaxed);
    }

    /// Whether growth is noted.
    #[inline]
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    /// Notes what a shard takes now; `before` is what was noted last. To be called with the shard
    /// held.
    #[inline]
    pub(crate) fn note(&self, before: &AtomicUsize, bytes: usize, is_lone: bool) {
        let noted = before.load(Ordering::Relaxed);
        if bytes.abs_diff(noted) > if is_lone { 0 } else { SLACK_BYTES } {
            before.store(bytes, Ordering::Relaxed);
            // Wrapping around makes this right for what shrinks, too.
            self.data_bytes.fetch_add(bytes.wrapping_sub(noted), Ordering::AcqRel);
            if self.is_tenants {
                self.bytes_of_tenants.fetch_add(bytes.wrapping_sub(noted), Ordering::AcqRel);
            }
        }
    }

    /// Bytes of data.
    pub(crate) fn data_bytes(&self) -> usize {
        self.data_bytes.load(Ordering::Acquire)
    }

    /// A tenant's data; or all data, connections and the empty server.
    fn used(&self) -> usize {
        if self.is_tenants {
            return self.data_bytes();
        }
        let data_bytes = self.data_bytes() + self.bytes_of_tenants.load(Ordering::Acquire);
        data_bytes + self.client_bytes.load(Ordering::Acquire) + STARTUP_BYTES
    }

    /// Whether a turn should evict although no command asks for it.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished.load(Ordering::Acquire)
    }

    /// For how long there was too much, altogether and at present, in milliseconds.
    pub(crate) fn exceeded_ms(&self, now: Millis) -> (u64, u64) {
        let since = self.exceeded_since.load(Ordering::Acquire);
        let current = if since == 0 { 0 } else { now.since(Millis::new(since)) };
        (self.exceeded_ms.load(Ordering::Acquire) + current, current)
    }

    /// Sets the times back to zero (`CONFIG RESETSTAT`).
    pub(crate) fn reset(&self) {
        self.exceeded_ms.store(0, Ordering::Release);
        self.exceeded_since.store(0, Ordering::Release);
    }

    fn note_exceeded(&self, exceeded: bool, now: Millis) {
        let since = self.exceeded_since.load(Ordering::Acquire);
        if exceeded && since == 0 {
            self.exceeded_since.store(now.get(), Ordering::Release);
        } else if !exceeded && since != 0 {
            self.exceeded_since.store(0, Ordering::Release);
            self.exceeded_ms.fetch_add(now.since(Millis::new(since)), Ordering::AcqRel);
        }
    }
}

/// By how much a step has grown, as far as the ledger does not know it yet. It has to be given back when
/// the ledger does.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    bytes: usize,
}

impl Claim {
    /// Claims this much, in place of what was claimed before, if all data takes no more than `most` then;
    /// otherwise nothing. Of steps that grow at the same time the later one sees what the earlier has
    /// claimed.
    pub(crate) fn take(&mut self, ledger: &Ledger, bytes: usize, most: usize) -> bool {
        self.give_back(ledger);
        self.bytes = bytes;
        let claimed = ledger.claimed.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let fits = ledger.used().saturating_add(claimed) <= most;
        if !fits {
            self.give_back(ledger);
        }
        fits
    }

    /// The ledger knows by now.
    pub(crate) fn give_back(&mut self, ledger: &Ledger) {
        if self.bytes > 0 {
            ledger.claimed.fetch_sub(std::mem::take(&mut self.bytes), Ordering::AcqRel);
        }
    }
}

/// What a command finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Whether it may use memory.
    pub(crate) is_there: bool,
    /// Whether keys had to go, which clients may have been told.
    pub(crate) evicted: bool,
}

impl Room {
    const AMPLE: Self = Self { is_there: true, evicted: false };
}

/// How evicting went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There is room.
    Done,
    /// There will be: it goes on in the next turns.
    UnderWay,
    /// There is nothing to evict.
    Stuck,
}

impl Store {
    /// What a tenant takes counts no more.
    pub(crate) fn forget_bytes(&self) {
        let bytes = self.ledger().data_bytes.swap(0, Ordering::AcqRel);
        self.ledger().bytes_of_tenants.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Begins or ends to keep the ledger, as there is a limit or none. What is too much by now goes
    /// in the next turns, without a command that asks for it.
    pub(crate) fn keep_ledger(&self, rules: &Rules) {
        // A tenant's data counts for the server, whatever the tenant's own limit.
        let is_kept = rules.settings.eviction.bytes_max > 0 || self.tenancy().is_some();
        self.ledger().is_kept.store(is_kept, Ordering::Release);
        if is_kept {
            // Later: whoever changes the limit may hold shards.
            self.ledger().is_outdated.store(true, Ordering::Release);
            self.ledger().unfinished.store(true, Ordering::Release);
        }
    }

    /// Makes room for a command if there is a limit, and too little room.
    #[inline]
    pub(crate) fn make_room(&self, rules: &Rules, now: Millis) -> Room {
        if rules.settings.eviction.bytes_max == 0 || self.leaves_eviction() {
            return Room::AMPLE;
        }
        let ledger = self.ledger();
        self.bring_up_to_date();
        let fits = ledger.used() <= rules.settings.eviction.bytes_max;
        if fits && ledger.exceeded_since.load(Ordering::Relaxed) == 0 {
            return Room::AMPLE;
        }
        self.evict(rules, now)
    }

    /// Why a batch is refused when there is no room for it.
    #[cold]
    pub(crate) fn no_room(&self, rules: &Rules) -> StepError {
        match rules.settings.memory_quota {
            Some(quota) => StepError::QuotaExceeded(over_quota_text(quota.used_up())),
            None => StepError::OutOfMemory,
        }
    }

    /// Whether a step of a tenant's may take so much more; see [`Claim::take`].
    #[cold]
    pub(crate) fn may_grow(&self, claim: &mut Claim, growth: usize, most: usize) -> bool {
        let may = claim.take(self.ledger(), growth, most);
        if let Some(tenancy) = self.tenancy().filter(|_| !may) {
            tenancy.note_refusal();
        }
        may
    }

    #[inline]
    fn bring_up_to_date(&self) {
        if self.ledger().is_outdated.load(Ordering::Relaxed) {
            self.recount();
        }
    }

    /// Whether the primary decides what gives way (`replica-ignore-maxmemory`).
    fn leaves_eviction(&self) -> bool {
        self.is_replica() && self.ledger().is_left_to_primary.load(Ordering::Relaxed)
    }

    /// Goes on with what commands had no time for.
    pub(crate) fn evict_more(&self, now: Millis) {
        if self.ledger().is_unfinished() {
            let rules = self.rules();
            self.evict(&rules, now);
        }
    }

    #[cold]
    fn evict(&self, rules: &Rules, now: Millis) -> Room {
        if self.pause_at(now) != Pause::Nothing {
            return Room::AMPLE;
        }
        self.bring_up_to_date();
        let started = Instant::now();
        // Whoever evicts already makes room for this command as well.
        let Some(mut evictor) = self.ledger().evictor.try_lock() else { return Room::AMPLE };
        let before = evictor.evicted;
        let progress = self.evict_until_it_fits(&mut evictor, rules, started);
        self.ledger().unfinished.store(progress == Progress::UnderWay, Ordering::Release);
        self.ledger().note_exceeded(progress != Progress::Done, now);
        self.slow().note_event("eviction-cycle", started.elapsed(), rules, now);
        Room { is_there: progress != Progress::Stuck, evicted: evictor.evicted != before }
    }

    fn evict_until_it_fits(
        &self,
        evictor: &mut Evictor,
        rules: &Rules,
        started: Instant,
    ) -> Progress {
        /// Keys between two looks at the clock.
        const ROUND: usize = 16;
        let eviction = rules.settings.eviction;
        let budget = eviction.budget_us().map(Duration::from_micros);
        if evictor.policy != eviction.policy {
            evictor.pool.clear();
            evictor.policy = eviction.policy;
        }
        for round in 1.. {
            if self.ledger().used() <= eviction.bytes_max {
                return Progress::Done;
            }
            if eviction.policy == Policy::NoEviction || !self.evict_one(evictor) {
                return Progress::Stuck;
            }
            evictor.evicted += 1;
            if round % ROUND == 0 && budget.is_some_and(|budget| started.elapsed() > budget) {
                return Progress::UnderWay;
            }
        }
        Progress::UnderWay
    }

    /// Evicts one key. `false`: none may go.
    fn evict_one(&self, evictor: &mut Evictor) -> bool {
        // Each shard gets its turn, and then each once more: what was chosen may have been used.
        for _ in 0..self.shard_count() * 2 {
            evictor.shard = (evictor.shard + 1) % self.shard_count();
            if evictor.policy.is_random() {
                if let Some(candidate) = self.random_candidate(evictor) {
                    return self.evict_candidate(&candidate);
                }
                continue;
            }
            self.offer_candidates(evictor);
            while let Some(candidate) = evictor.pool.take_best() {
                if self.evict_candidate(&candidate) {
                    return true;
                }
            }
        }
        false
    }

    fn random_candidate(&self, evictor: &mut Evictor) -> Option<Candidate> {
        let Evictor { shard, random, .. } = evictor;
        self.in_shard(*shard, |cx| {
            cx.keys.random_candidate(*shard, &mut || crate::surroundings::next_random(random))
        })
    }

    fn offer_candidates(&self, evictor: &mut Evictor) {
        let Evictor { shard, random, pool, .. } = evictor;
        self.in_shard(*shard, |cx| {
            cx.keys
                .offer_candidates(*shard, pool, &mut || crate::surroundings::next_random(random));
        });
    }

    fn evict_candidate(&self, candidate: &Candidate) -> bool {
        self.in_shard(candidate.shard, |cx| cx.keys.evict(candidate))
    }

    fn in_shard<R>(
        &self,
        shard: usize,
        act: impl FnOnce(&mut reef_engine::step::Cx<'_>) -> R,
    ) -> R {
        let mut set = ShardSet::NONE;
        set.insert(shard);
        self.run_unasked(0, set, act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_under_way_see_what_others_have_claimed() {
        let ledger = Ledger { is_tenants: true, ..Ledger::default() };
        ledger.note(&AtomicUsize::new(0), 600, true);
        let (mut one, mut other) = (Claim::default(), Claim::default());
        assert!(one.take(&ledger, 300, 1000));
        assert!(!other.take(&ledger, 200, 1000) && other.take(&ledger, 100, 1000));
        // One that goes on growing claims anew, and one that may not has nothing.
        assert!(!one.take(&ledger, 301, 1000) && other.take(&ledger, 400, 1000));
        other.give_back(&ledger);
        assert!(one.take(&ledger, 400, 1000) && !other.take(&ledger, 1, 1000));
        one.give_back(&ledger);
        assert_eq!(ledger.claimed.load(Ordering::Acquire), 0);
    }
}
