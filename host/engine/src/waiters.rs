//! Clients that wait for keys: who waits, in which order, and for what.
//!
//! A command that finds nothing to take registers a [`Waiter`] in the queue of each key it waits
//! for, in the shards of these keys. Whoever changes such a key serves its queue before the
//! shard's lock is released (see `step.rs`), by running the waiter's command again; a waiter costs
//! a few hundred bytes and no CPU in between.
//!
//! Invariants:
//! - a queue is in order of arrival;
//! - a waiter is served once: whoever wants to serve it, or to end its wait, claims it first, so
//!   that steps on different shards do not both do it;
//! - who serves a waiter takes it out of the queues it holds; out of the others it goes when whoever
//!   serves the connection hears of it, and until then it is passed over there;
//! - a parked call of a plugin is not served but has its [turn](crate::parking): while it has, nobody
//!   else is served by the key;
//! - a shard's [`Waiters::reach`] covers all shards that serving somebody in it may take. A pop from
//!   one of several keys needs the shard of the key that became ready, so a client that waits for
//!   many keys does not tie shards together.
//!
//! Nothing here reads a clock: how long a client waits is its driver's business.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering};

use reef_resp::{OwnedArgv, Protocol, Writer};

use crate::acl::Account;
use crate::backend::Park;
use crate::keyspace::ShardSet;
use crate::registry::CommandRef;
use crate::session::Caching;

/// What a client hears where nothing may wait, as inside EXEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No value where there could be a string.
    Nil,
    /// No value where there could be an array.
    NilArray,
}

impl Refusal {
    pub(crate) fn say(self, reply: &mut Writer) {
        match self {
            Self::Nil => reply.nil(),
            Self::NilArray => reply.nil_array(),
        }
    }
}

/// What a command asks for that has found nothing: see [`Cx::wait`](crate::step::Cx::wait).
#[derive(Debug)]
pub struct Wait {
    /// Positions of the keys that it waits for, among its arguments.
    pub keys: Range<usize>,
    /// How long; `None`: for ever.
    pub timeout_ms: Option<u64>,
    /// What it hears instead where nothing may wait.
    pub refusal: Refusal,
    /// The type, as in TYPE, that a key must have to be of use.
    pub type_name: &'static str,
    /// Whether it must also hear of a key that goes or changes its type.
    pub hears_of_loss: bool,
    /// The arguments to run it with later, where they differ from those it came with.
    pub argv: Option<OwnedArgv>,
}

/// A client that waits.
#[derive(Debug)]
pub struct Waiter {
    /// The connection, as in CLIENT ID.
    pub client: u64,
    /// Who serves the connection: the driver's own number.
    pub home: u32,
    /// Its place among all waiters, in order of arrival.
    pub order: u64,
    /// The selected database.
    pub database: u32,
    /// The protocol of its reply.
    pub protocol: Protocol,
    /// The user's name.
    pub user: Arc<str>,
    /// The user when it began to wait.
    pub(crate) account: Option<Arc<Account>>,
    /// What it caches of what it reads.
    pub(crate) caching: Option<Caching>,
    /// What it runs.
    pub command: CommandRef,
    /// With which arguments.
    pub argv: OwnedArgv,
    /// The shards of all its keys.
    pub shards: ShardSet,
    /// How long it waits; `None`: for ever.
    pub timeout_ms: Option<u64>,
    pub(crate) keys: Range<usize>,
    /// What it asked for, if it is a call of a plugin; then its keys are there.
    pub(crate) park: Option<Park>,
    pub(crate) type_name: &'static str,
    pub(crate) hears_of_loss: bool,
    /// The shards that serving it takes, beyond that of the key that is ready.
    pub(crate) reach: ShardSet,
    /// Whether it still waits: as made, it does.
    pub(crate) state: AtomicU8,
}

/// It waits.
const WAITING: u8 = 0;
/// Somebody tries to serve it.
const CLAIMED: u8 = 1;
/// It waits no longer.
const DONE: u8 = 2;

impl Waiter {
    /// The keys that it waits for.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let argv = match &self.park {
            Some(park) => park.keys.as_argv(),
            None => self.argv.as_argv(),
        };
        self.keys.clone().map(move |position| argv.get(position))
    }

    /// What it asked for, if it is a call of a plugin.
    pub fn park(&self) -> Option<&Park> {
        self.park.as_ref()
    }

    /// Whether it also hears of a key that goes.
    pub fn hears_of_loss(&self) -> bool {
        self.hears_of_loss
    }

    /// Whether it waits no longer.
    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Claims it, to serve it or to end its wait. `false`: it waits no longer. Somebody else's
    /// attempt is waited for: it is short, and whoever makes it waits for nobody.
    pub(crate) fn claim(&self) -> bool {
        loop {
            let claimed =
                self.state.compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire);
            match claimed {
                Ok(_) => return true,
                Err(DONE) => return false,
                Err(_) => core::hint::spin_loop(),
            }
        }
    }

    /// Lets a parked call go on, if it waits. Somebody else's attempt is not waited for: it takes as
    /// long as the call.
    pub fn start(&self) -> bool {
        let started =
            self.state.compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire);
        started.is_ok()
    }

    /// Ends a claim: it goes on waiting.
    pub(crate) fn release(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    /// Ends a claim and the wait. Whether it was to be ended.
    pub(crate) fn finish(&self) -> bool {
        self.state.swap(DONE, Ordering::AcqRel) != DONE
    }
}

/// Who waits for one key, in order of arrival.
#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<Arc<Waiter>>,
    /// How many of them must also hear of a key that goes.
    of_loss: usize,
    /// The parked call that has its turn.
    turn: Option<Turn>,
    /// After whom the next round begins; `None`: with the first.
    passed: Option<u64>,
}

impl Queue {
    fn position(&self, order: u64) -> Option<usize> {
        // Most are served as they came, and looking at others is looking at memory that is far away.
        if self.waiters.front().is_some_and(|first| first.order == order) {
            return Some(0);
        }
        self.waiters.binary_search_by_key(&order, |waiter| waiter.order).ok()
    }
}

/// A parked call's turn with a key.
#[derive(Debug)]
struct Turn {
    /// Its place among all waiters.
    order: u64,
    /// Whether the key was written since: then the next round begins with the first.
    again: bool,
}

/// Everybody who waits in one shard.
#[derive(Debug, Default)]
pub struct Waiters {
    queues: BTreeMap<u32, BTreeMap<Box<[u8]>, Queue>>,
    reach: ShardSet,
}

impl Waiters {
    /// Whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// The shards that serving anybody here may take.
    #[inline]
    pub fn reach(&self) -> ShardSet {
        self.reach
    }

    /// Whether somebody waits for a key.
    pub fn wait_for(&self, database: u32, key: &[u8]) -> bool {
        self.queue(database, key).is_some()
    }

    /// How many wait for a key.
    pub fn count(&self, database: u32, key: &[u8]) -> usize {
        self.queue(database, key).map_or(0, |queue| queue.waiters.len())
    }

    /// The keys of a database that somebody waits for.
    pub fn keys_in(&self, database: u32) -> impl Iterator<Item = &[u8]> {
        self.queues.get(&database).into_iter().flat_map(BTreeMap::keys).map(|key| &**key)
    }

    /// The first waiter for a key that came after the one with the order `after`.
    pub fn next(&self, database: u32, key: &[u8], after: Option<u64>) -> Option<&Arc<Waiter>> {
        let queue = self.queue(database, key)?;
        let waiters = &queue.waiters;
        let passed = after.map_or(0, |after| waiters.partition_point(|other| other.order <= after));
        waiters.get(passed)
    }

    /// Whether somebody must hear that this key is gone.
    pub(crate) fn hear_of_loss(&self, database: u32, key: &[u8]) -> bool {
        self.queue(database, key).is_some_and(|queue| queue.of_loss > 0)
    }

    /// Begins to serve a key: after whom. `None`: somebody has a turn with it, and it is served when
    /// that is over.
    pub(crate) fn begin_round(&mut self, database: u32, key: &[u8]) -> Option<Option<u64>> {
        let Some(queue) = self.queue_mut(database, key) else { return Some(None) };
        if let Some(turn) = &mut queue.turn {
            turn.again = true;
            return None;
        }
        Some(queue.passed.take())
    }

    /// Gives a waiter its turn with a key. `again`: the key was written since it began.
    pub(crate) fn begin_turn(&mut self, key: &[u8], waiter: &Waiter, again: bool) {
        if let Some(queue) = self.queue_mut(waiter.database, key) {
            queue.turn = Some(Turn { order: waiter.order, again });
        }
    }

    /// Ends a waiter's turn with a key. Whether it had it: then others are to be served.
    pub(crate) fn end_turn(&mut self, key: &[u8], waiter: &Waiter) -> bool {
        let Some(queue) = self.queue_mut(waiter.database, key) else { return false };
        match queue.turn.take_if(|turn| turn.order == waiter.order) {
            Some(turn) => {
                queue.passed = (!turn.again).then_some(turn.order);
                true
            }
            None => false,
        }
    }

    fn queue_mut(&mut self, database: u32, key: &[u8]) -> Option<&mut Queue> {
        self.queues.get_mut(&database)?.get_mut(key)
    }

    /// Puts a waiter behind all that came before it. Waiting twice for one key counts once.
    pub(crate) fn add(&mut self, key: &[u8], waiter: &Arc<Waiter>) {
        let queues = self.queues.entry(waiter.database).or_default();
        let queue = match queues.get_mut(key) {
            Some(queue) => queue,
            None => queues.entry(key.into()).or_default(),
        };
        // Who parks has its place from when its call began; all others come last.
        let mut at = queue.waiters.len();
        if queue.waiters.back().is_some_and(|last| last.order >= waiter.order) {
            at = queue.waiters.partition_point(|other| other.order < waiter.order);
        }
        if queue.waiters.get(at).is_some_and(|other| other.order == waiter.order) {
            return;
        }
        queue.waiters.insert(at, waiter.clone());
        queue.of_loss += usize::from(waiter.hears_of_loss);
        self.reach = self.reach.union(waiter.reach);
    }

    /// Takes a waiter out of the queue of a key.
    pub(crate) fn remove(&mut self, key: &[u8], waiter: &Waiter) {
        let Some(queues) = self.queues.get_mut(&waiter.database) else { return };
        let Some(queue) = queues.get_mut(key) else { return };
        if let Some(index) = queue.position(waiter.order) {
            queue.waiters.remove(index);
            queue.of_loss -= usize::from(waiter.hears_of_loss);
        }
        if !queue.waiters.is_empty() {
            return;
        }
        queues.remove(key);
        if queues.is_empty() {
            self.queues.remove(&waiter.database);
        }
        if self.queues.is_empty() {
            self.reach = ShardSet::NONE;
        }
    }

    fn queue(&self, database: u32, key: &[u8]) -> Option<&Queue> {
        self.queues.get(&database)?.get(key)
    }

    /// Recounts what it claims about itself; panics on a contradiction.
    pub fn check(&self) {
        for (database, queues) in &self.queues {
            assert!(!queues.is_empty());
            for (key, queue) in queues {
                assert!(!queue.waiters.is_empty());
                assert!(queue.waiters.iter().is_sorted_by_key(|waiter| waiter.order));
                let of_loss = queue.waiters.iter().filter(|waiter| waiter.hears_of_loss).count();
                assert_eq!(of_loss, queue.of_loss);
                for waiter in &queue.waiters {
                    assert_eq!(waiter.database, *database);
                    assert!(waiter.keys().any(|other| other == &**key));
                    assert!(self.reach.covers(waiter.reach));
                }
            }
        }
    }
}
