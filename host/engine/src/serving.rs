//! Waiting and being served: what happens when a command finds nothing to take, and when somebody
//! changes a key that others wait for.
//!
//! A waiter is served by running its command again, so it has one implementation only. That
//! happens at the end of the step that made the key ready (after EXEC, after a whole batch) while
//! the shards are still held: nobody can take the element in between. Serving may make further
//! keys ready; they come next.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU8;

use reef_resp::{Argv, OwnedArgv, Writer};

use crate::error::Error;
use crate::keyspace::{NumberedKey, ShardSet};
use crate::session::Session;
use crate::step::{Answer, Cx};
use crate::waiters::{Wait, Waiter};

impl Cx<'_> {
    /// Lets the client wait: there is nothing for it yet. Where nothing may wait (inside EXEC) it
    /// hears so at once.
    pub fn wait(&mut self, argv: Argv<'_>, wait: Wait) -> Result<(), Error> {
        if self.rerun {
            self.answer = Answer::Later;
            return Ok(());
        }
        if self.session.executing {
            wait.refusal.say(self.reply);
            return Ok(());
        }
        let Ok(Some(command)) = self.registry.resolve(argv) else { return Err(Error::Syntax) };
        let rules = self.keys.rules;
        let shards = command.shards(argv, rules);
        let mut reach = ShardSet::NONE;
        command.keys.visit(argv, |position| {
            // Who hears of a loss looks at all its keys again; others need what they write to.
            if wait.hears_of_loss || !wait.keys.contains(&position) {
                reach.insert(rules.shard_of(argv.get(position)));
            }
        });
        let waiter = Arc::new(Waiter {
            client: self.session.id,
            home: self.host.home(),
            order: rules.next_arrival(),
            database: self.keys.database,
            protocol: self.reply.protocol(),
            user: self.session.user.clone(),
            account: self.session.account().cloned(),
            caching: self.session.caching,
            command,
            argv: wait.argv.unwrap_or_else(|| OwnedArgv::from(argv)),
            shards,
            timeout_ms: wait.timeout_ms,
            keys: wait.keys,
            park: None,
            type_name: wait.type_name,
            hears_of_loss: wait.hears_of_loss,
            reach,
            state: AtomicU8::default(),
        });
        self.keys.add_waiter(&waiter);
        self.answer = Answer::WhenReady(waiter);
        Ok(())
    }

    /// Tells what happened, and serves everybody whose keys this step made ready. To be called at the
    /// end of each step, with all shards held that the waiters of the held ones may need (see
    /// [`Shards::reach`](crate::keyspace::Shards::reach)).
    #[inline]
    pub fn settle(&mut self) {
        self.append_events();
        self.propagate();
        self.tell_happenings();
        loop {
            let ready = self.keys.take_ready();
            if ready.is_empty() {
                break;
            }
            ready.iter().for_each(|key| self.serve_queue(key));
        }
        self.tell_broadcasts();
    }

    /// Hands the effects so far to the host, as a unit that is complete: before anybody hears of what
    /// they come from.
    #[inline]
    fn propagate(&mut self) {
        if let Some(mut effects) = self.keys.take_effects() {
            effects.end_unit();
            if !effects.is_empty() {
                self.host.propagate(&mut effects);
            }
            self.keys.give_back_effects(effects);
        }
    }

    /// Offers a key to those who wait for it, in order of arrival.
    fn serve_queue(&mut self, key: &NumberedKey) {
        let Some(mut passed) = self.keys.begin_round(key) else { return };
        while let Some(waiter) = self.keys.next_waiter(key, passed) {
            passed = Some(waiter.order);
            let type_name =
                self.keys.in_database(key.0, |keys| keys.peek(&key.1).map(|slot| slot.type_name()));
            if type_name.is_none() && !self.keys.loss_is_heard(key) {
                return;
            }
            if waiter.park.is_some() {
                if type_name.is_some() && self.give_turn(key, &waiter) {
                    return;
                }
                continue;
            }
            if type_name != Some(waiter.type_name) && !waiter.hears_of_loss {
                continue;
            }
            if waiter.claim() && !self.serve(&waiter) {
                waiter.release();
                continue;
            }
            waiter.finish();
            self.keys.remove_waiter(&waiter);
        }
    }

    /// Serves a waiter, or finds that it is gone. `false`: it goes on waiting.
    fn serve(&mut self, waiter: &Waiter) -> bool {
        // What is given to a client that has gone would be lost.
        if !self.host.is_connected(waiter) {
            return true;
        }
        let mut reply = Writer::new(waiter.protocol);
        let mut session = Session::new(waiter.client, waiter.user.clone(), true);
        session.database = waiter.database;
        if let Some(account) = &waiter.account {
            session.hold(account.clone());
        }
        if session.is_outdated() && !self.host.users().renew(&mut session) {
            // The user is gone, and so is the connection.
            return true;
        }
        session.caching = waiter.caching;
        let mut step = Cx {
            keys: self.keys.within(waiter.database),
            reply: &mut reply,
            session: &mut session,
            registry: self.registry,
            host: self.host,
            answer: Answer::Now,
            rerun: true,
        };
        step.run_if_permitted(&waiter.command, waiter.argv.as_argv());
        let is_served = matches!(step.answer, Answer::Now);
        step.append_events();
        step.propagate();
        if is_served {
            // Ahead of what the client causes for itself.
            step.host.deliver(waiter, step.reply.take_data());
        }
        step.tell_happenings();
        is_served
    }
}

/// Why a wait ends without the client being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The time is over, or an operator says so.
    TimedOut,
    /// An operator ends it with an error.
    Unblocked,
    /// The server is a replica now: its primary alone changes data.
    Demoted,
}

impl Waiter {
    /// What the client hears when its wait ends without its being served: RESP.
    pub fn farewell(&self, ending: Ending) -> Vec<u8> {
        let mut reply = Writer::new(self.protocol);
        match ending {
            Ending::TimedOut => reply.nil_array(),
            Ending::Unblocked => reply.error(&Error::UNBLOCKED.to_string()),
            Ending::Demoted => reply.error(&Error::UNBLOCKED_BY_ROLE.to_string()),
        }
        reply.take_data()
    }
}
