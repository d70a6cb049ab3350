//! Batches: what plugins, triggers and the server itself do to the data, each in one step.
//!
//! Whatever can be refused without data is, before a shard is taken.

use std::cell::RefCell;
use std::sync::Arc;

use arc_swap::Guard;
use reef_engine::backend::{Backend, Batch, Caller, CommandColumns, Items, Outcome, StepError};
use reef_engine::batch::{Plan, check_key};
use reef_engine::clock::Millis;
use reef_engine::command::Command;
use reef_engine::error::Error;
use reef_engine::grants::Grants;
use reef_engine::host::Host;
use reef_engine::keyspace::{Journal, Keyspace, ShardSet};
use reef_engine::registry::Registry;
use reef_engine::session::Session;
use reef_engine::settings::Rules;
use reef_engine::step::{Answer, Cx};
use reef_engine::triggers::{Origin, Trigger, Triggers};
use reef_resp::Writer;

use super::Store;
use crate::clock::now_ms;
use crate::mailbox::Message;

thread_local! {
    /// The plan of the batch at hand; kept so that a batch allocates nothing for it.
    pub(crate) static PLAN: RefCell<Plan> = RefCell::new(Plan::new());
}

/// By which rules a batch is planned and runs, and when: the same from its beginning to its end.
pub(crate) struct Footing {
    pub(crate) rules: Guard<Arc<Rules>>,
    pub(crate) registry: Guard<Arc<Registry>>,
    now: Millis,
}

impl Store {
    /// What a batch that begins now runs by.
    pub(crate) fn footing(&self) -> Footing {
        Footing { rules: self.rules.load(), registry: self.registry.load(), now: now_ms() }
    }

    /// Runs something with these shards held, and settles it.
    pub(crate) fn run_planned<R>(
        &self,
        Footing { rules, registry, now }: &Footing,
        caller: &Caller,
        journal: &mut Journal,
        set: ShardSet,
        replies: &mut Writer,
        run: impl FnOnce(&mut Cx<'_>) -> R,
    ) -> R {
        let mut session = Session::new(caller.client_id, caller.user.clone(), true);
        session.database = caller.database;
        let mut host = self.batch_host();
        let result = self.with_shards(set, |shards| {
            let mut cx = Cx {
                keys: Keyspace::new(shards, rules, *now, caller.database, journal),
                reply: replies,
                session: &mut session,
                registry,
                host: &mut host,
                answer: Answer::Now,
                rerun: false,
            };
            cx.keys.keep_expired = self.is_replica();
            let result = run(&mut cx);
            cx.settle();
            if let Some(at) = cx.keys.earliest_expiry() {
                self.note_expiry(at);
            }
            result
        });
        if self.tenancy.is_some() {
            host.end_growth();
        }
        self.sweep(journal);
        result
    }

    /// Runs something of the server's own with these shards held, in a database: nobody asked for it, and
    /// nobody is answered.
    pub(crate) fn run_unasked<R>(
        &self,
        database: u32,
        set: ShardSet,
        run: impl FnOnce(&mut Cx<'_>) -> R,
    ) -> R {
        let (nobody, mut journal) = (Caller::nobody(database), Journal::new());
        self.run_planned(&self.footing(), &nobody, &mut journal, set, &mut Writer::default(), run)
    }
}

impl Backend for Store {
    fn read(
        &self,
        caller: &Caller,
        grants: &Grants,
        commands: CommandColumns<'_>,
        watch: Items<'_>,
        replies: &mut Writer,
        versions: &mut Vec<u64>,
    ) -> Result<(), StepError> {
        PLAN.with_borrow_mut(|plan| {
            let footing = self.footing();
            let Footing { rules, registry, .. } = &footing;
            plan.make(commands, true, grants, registry, rules)?;
            plan.add_keys(watch, grants, rules)?;
            let mut journal = Journal::new();
            self.run_planned(&footing, caller, &mut journal, plan.shards, replies, |cx| {
                cx.run_read(plan, commands.data, watch, versions)
            })
        })
    }

    fn apply(
        &self,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        replies: &mut Writer,
    ) -> Result<Outcome, StepError> {
        PLAN.with_borrow_mut(|plan| {
            let footing = self.footing();
            let Footing { rules, registry, now } = &footing;
            plan.make(batch.commands, false, grants, registry, rules)?;
            plan.add_keys(batch.guards.keys, grants, rules)?;
            plan.add_keys(batch.guards.absent, grants, rules)?;
            if !self.make_room(rules, *now).is_there && plan.may_use_memory() {
                return Err(self.no_room(rules));
            }
            if plan.may_write() && rules.triggers().are_full() {
                return Err(StepError::ReadOnly(Error::TRIGGERS_BEHIND.to_string()));
            }
            let mut journal = plan.journal(batch.on_error, rules);
            self.run_planned(&footing, caller, &mut journal, plan.shards, replies, |cx| {
                // With the shards held: until now it may have been otherwise.
                match self.refusal().filter(|_| plan.may_write()) {
                    Some(refusal) => Err(StepError::ReadOnly(refusal)),
                    None => cx.run_batch(plan, batch),
                }
            })
        })
    }

    fn waiting(&self, caller: &Caller, grants: &Grants, key: &[u8]) -> Result<u64, StepError> {
        check_key(key, grants)?;
        let shard = &self.shards[self.rules.load().shard_of(key)];
        Ok(shard.enter().waiters.count(caller.database, key) as u64)
    }

    fn set_plugin_commands(&self, commands: Vec<Arc<Command>>) -> Result<(), String> {
        self.registry.store(Arc::new(Registry::with_plugins(&commands)?));
        if let Some(post) = self.post.get() {
            // Parked calls of commands that are gone end.
            post.broadcast(|| Message::PluginsChanged);
        }
        Ok(())
    }

    fn set_triggers(&self, triggers: Vec<Trigger>) {
        self.change_triggers(Triggers::new(triggers));
    }

    fn databases(&self) -> u32 {
        self.rules().settings.databases
    }

    fn may_trigger(&self) -> bool {
        !self.is_replica()
    }

    fn apply_effects(
        &self,
        origin: &Origin,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        acknowledgement: &[Vec<Vec<u8>>],
    ) -> Result<Outcome, StepError> {
        self.apply_event(origin, caller, grants, batch, acknowledgement)
    }

    fn tell_copies(&self, notice: &[u8]) {
        self.tell_extension_notice(notice);
    }

    fn now_ms(&self) -> u64 {
        now_ms().get()
    }
}
