//! Parked calls: a plugin's command that waits for keys without an instance.
//!
//! A call that parks leaves its arguments, its keys and a deadline; it goes on by being called anew.
//! Guest code never runs while a shard is held, so whoever writes such a key does not serve the
//! call but gives it its *turn* and tells who serves its connection ([`Host::wake`]). While it has
//! its turn nobody else is served by that key; when it has answered, or parked again, the next in
//! order of arrival is. So the first has the first chance, a native command that waits for the same
//! key in its place as well, and who parks again keeps its place.
//!
//! Invariants:
//! - a key that is written while somebody has his turn with it is offered to all again, from the
//!   first on;
//! - what is written between the beginning of a call and its parking wakes it: that is what a
//!   [`Mark`] is for;
//! - a turn ends with the call, with its client and with nothing else.
//!
//! A key that goes wakes nobody: there is nothing to be had.
//!
//! [`Host::wake`]: crate::host::Host::wake

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU8;

use reef_resp::{OwnedArgv, Protocol};

use crate::backend::Park;
use crate::keyspace::{NumberedKey, ShardSet};
use crate::registry::CommandRef;
use crate::session::Session;
use crate::settings::Rules;
use crate::step::Cx;
use crate::waiters::Waiter;

/// An instant in the order of changes, shard by shard.
#[derive(Clone, Debug, Default)]
pub struct Mark(Box<[u64]>);

impl Mark {
    /// Of the clocks of all shards, in order.
    pub fn new(clocks: Vec<u64>) -> Self {
        Self(clocks.into_boxed_slice())
    }

    pub(crate) fn of(&self, shard: usize) -> u64 {
        self.0.get(shard).copied().unwrap_or_default()
    }
}

/// A call that wants to be parked.
#[derive(Debug)]
pub struct Parking {
    /// The command.
    pub command: CommandRef,
    /// Its arguments.
    pub argv: OwnedArgv,
    /// What it asks for.
    pub park: Park,
    /// What was written before the call began.
    pub mark: Mark,
    /// Its place among all who wait, taken when the call began: see [`Rules::next_arrival`].
    pub order: u64,
}

impl Parking {
    /// The shards that parking it takes.
    pub fn shards(&self, rules: &Rules) -> ShardSet {
        let mut shards = ShardSet::NONE;
        self.park.keys.as_argv().iter().for_each(|key| shards.insert(rules.shard_of(key)));
        shards
    }
}

impl Cx<'_> {
    /// Parks a call of this client. `before` is what it was parked as until now: it keeps its place.
    /// The shards of both are held.
    pub fn park(
        &mut self,
        parking: Parking,
        client: &Session,
        (home, protocol): (u32, Protocol),
        before: Option<&Waiter>,
    ) -> Arc<Waiter> {
        let rules = self.keys.rules;
        let shards = parking.shards(rules);
        let Parking { command, argv, park, mark, order } = parking;
        let waiter = Arc::new(Waiter {
            client: client.id,
            home,
            order: before.map_or(order, |before| before.order),
            database: self.keys.database,
            protocol,
            user: client.user.clone(),
            account: None,
            caching: None,
            command,
            argv,
            shards,
            timeout_ms: park.deadline_ms.map(|at| at.saturating_sub(self.keys.now.get())),
            keys: 0..park.keys.as_argv().len(),
            park: Some(park),
            type_name: "",
            hears_of_loss: false,
            reach: ShardSet::NONE,
            state: AtomicU8::default(),
        });
        let known: BTreeSet<&[u8]> = before.iter().flat_map(|before| before.keys()).collect();
        match before {
            Some(before) => self.go_on_waiting(before, &waiter),
            None => self.keys.add_waiter(&waiter),
        }
        // Of keys that it was parked on already it would have been told.
        for key in waiter.keys().filter(|key| !known.contains(key)) {
            self.keys.serve_if_written(key, &mark);
        }
        waiter
    }

    /// Puts a call that parks again in the place of what it was parked as. A queue of which it is the last
    /// one must not go meanwhile: it knows that this call has seen what was written, and without that
    /// would offer it again, for ever.
    fn go_on_waiting(&mut self, before: &Waiter, waiter: &Arc<Waiter>) {
        before.finish();
        self.keys.end_turns(before);
        self.keys.add_waiter(waiter);
        let kept: BTreeSet<&[u8]> = waiter.keys().collect();
        for key in before.keys().filter(|key| !kept.contains(key)) {
            self.keys.leave_queue(key, before);
        }
    }

    /// Ends a parked call, and with it its turns. Whether it was parked. Its shards are held.
    pub fn end_parked(&mut self, waiter: &Waiter) -> bool {
        let was_parked = waiter.finish();
        self.keys.end_turns(waiter);
        self.keys.remove_waiter(waiter);
        was_parked
    }

    /// Gives a parked call its turn with a key, unless it is parked no longer; returns whether it has it.
    /// Who serves the connection looks whether the client is still there before the call goes on, and
    /// ends the turn if not.
    pub(crate) fn give_turn(&mut self, key: &NumberedKey, waiter: &Waiter) -> bool {
        if waiter.is_done() {
            self.keys.remove_waiter(waiter);
            return false;
        }
        let is_first = waiter.start();
        // Who goes on already, for another reason, may have looked before this was written.
        self.keys.begin_turn(key, waiter, !is_first);
        if is_first {
            self.host.wake(waiter, &key.1);
        }
        true
    }
}
