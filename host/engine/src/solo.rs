//! The engine without a server: one thread, a virtual clock, any number of clients.
//!
//! For transcripts, simulation and tests of plugins. It drives the same steps as the server does,
//! with no sockets and no time of its own; what only a server knows (configuration, INFO's
//! process facts) has plain stand-ins in the modules below.

mod client;
mod configuration;
mod plugins;
mod process;
mod replication;
mod snapshot;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::{Argv, OwnedArgv, Protocol, Writer};

pub use self::plugins::{PluginCall, Woken};
pub use self::snapshot::end_file;

use self::client::{Client, Waiting, address};
use self::process::{Mail, Process, ProcessHost, Told};
use crate::backend::{Batch, Caller, CommandColumns, Items, Outcome, StepError};
use crate::batch::{Plan, check_key};
use crate::clock::Millis;
use crate::command::Flags;
use crate::effects::Effects;
use crate::gates::{Conditions, Pause};
use crate::grants::Grants;
use crate::keyspace::{self, Journal, Keyspace, Shard, ShardSet, Shards, Slot};
use crate::monitor::monitor_line;
use crate::permission::note_denial;
use crate::push::{Push, Receivers};
use crate::reaction::Reaction;
use crate::registry::{CommandRef, Registry};
use crate::serving::Ending;
use crate::session::Session;
use crate::settings::{Rules, Settings};
use crate::step::{self, Admission, Answer, Cx};
use crate::triggers::{Origin, Trigger, Triggers};

/// An engine with a virtual clock.
pub struct Solo {
    shards: Vec<Shard>,
    rules: Rules,
    registry: Registry,
    clients: BTreeMap<u64, Client>,
    /// What clients were sent last whose connections ended then.
    last_words: BTreeMap<u64, Vec<u8>>,
    next_client: u64,
    /// The clients in MONITOR.
    monitors: BTreeSet<u64>,
    process: Process,
    conditions: Conditions,
}

/// What each key of each database holds.
pub type Digest = BTreeMap<(u32, Vec<u8>), keyspace::Description>;

/// How many keys an index that has not seen all of them sees each time the clock moves.
const INDEXED_AT_A_TIME: usize = 1000;

/// When a solo engine's clock starts: 2026-01-01.
pub const START: Millis = Millis::new(1_767_225_600_000);

impl Solo {
    /// An empty engine.
    pub fn new(seed: u64, shards: usize, settings: Settings) -> Self {
        let registry = Registry::native();
        let rules = Rules::new(seed, shards, settings);
        let process = Process::new(seed, &rules, &registry);
        Self {
            shards: (0..rules.shards).map(|_| Shard::new()).collect(),
            rules,
            registry,
            clients: BTreeMap::new(),
            last_words: BTreeMap::new(),
            next_client: 1,
            monitors: BTreeSet::new(),
            process,
            conditions: Conditions::default(),
        }
    }

    /// Lets steps leave their effects from now on.
    pub fn keep_effects(&mut self) {
        self.rules.propagation().set_on(true);
    }

    /// Takes the effects since they were taken last.
    pub fn take_effects(&mut self) -> Effects {
        core::mem::take(&mut self.process.effects)
    }

    /// Makes a client one that says what a primary does, or a log.
    pub fn obey(&mut self, id: u64) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.session.obeys_primary = true;
        }
    }

    /// Lets some key give way to others, as the policy has it. Whether one did.
    pub fn evict(&mut self) -> bool {
        let all = ShardSet::all(self.rules.shards);
        self.run_planned(&nobody(), Journal::new(), all, &mut Writer::default(), |cx| {
            let host = &mut *cx.host;
            let candidate = cx.keys.random_candidate(0, &mut || host.random());
            candidate.is_some_and(|candidate| cx.keys.evict(&candidate))
        })
    }

    /// Whether what has expired stays until somebody else removes it.
    fn keeps_expired(&self) -> bool {
        self.conditions().readonly_replica || self.process.pause() != Pause::Nothing
    }

    /// Connects a client; gives its id.
    pub fn connect(&mut self) -> u64 {
        let id = self.next_client;
        self.next_client += 1;
        let session = Session::of(id, self.process.users.default_account().clone());
        let now = self.process.now;
        let client = Client {
            session,
            protocol: Protocol::Resp2,
            connected_at: now,
            active_at: now,
            command: String::new(),
            unasked: Vec::new(),
            waiting: None,
            postponed: false,
            backlog: VecDeque::new(),
        };
        self.clients.insert(id, client);
        id
    }

    /// Whether a client is connected.
    pub fn is_open(&self, id: u64) -> bool {
        self.clients.contains_key(&id)
    }

    /// Whether a client waits for a reply.
    pub fn is_waiting(&self, id: u64) -> bool {
        self.clients.get(&id).is_some_and(|client| client.waiting.is_some())
    }

    /// Takes what a client was sent without having asked (MONITOR), or later than it asked.
    pub fn take_unasked(&mut self, id: u64) -> Vec<u8> {
        match self.clients.get_mut(&id) {
            Some(client) => core::mem::take(&mut client.unasked),
            None => self.last_words.remove(&id).unwrap_or_default(),
        }
    }

    /// Ends a client's connection, and with it its watches.
    pub fn disconnect(&mut self, id: u64) {
        self.last_words.remove(&id);
        if let Some(client) = self.clients.remove(&id) {
            self.forget(client);
        }
    }

    fn forget(&mut self, mut client: Client) {
        self.process.subscriptions.forget(client.session.id);
        self.process.tracking.forget(client.session.id);
        if let Some((waiting, _)) = client.waiting.take() {
            self.clear_queues(waiting);
        }
        let held = client.session.shards(&self.rules);
        let mut journal = Journal::new();
        let shards = hold(&mut self.shards, held);
        let mut keys = Keyspace::new(shards, &self.rules, self.process.now, 0, &mut journal);
        for watch in client.session.take_watches() {
            keys.unwatch(watch.database, &watch.key);
        }
    }

    /// The clock.
    pub fn now(&self) -> Millis {
        self.process.now
    }

    /// Moves the clock on and lets what is due happen.
    pub fn advance(&mut self, ms: u64) {
        let end = Millis::new(self.process.now.get() + ms);
        // Whoever's time is over first hears of it first.
        loop {
            let pause_end = self.process.pause_end().filter(|at| *at <= end);
            let deadline = self.next_deadline().filter(|(at, _)| *at <= end);
            match (pause_end, deadline) {
                (Some(at), deadline) if deadline.is_none_or(|(other, _)| at <= other) => {
                    self.process.now = at;
                    self.resume();
                }
                (_, Some((at, id))) => {
                    self.process.now = at;
                    self.expire_due();
                    self.end_wait(id, Ending::TimedOut);
                }
                _ => break,
            }
        }
        self.process.now = end;
        self.expire_due();
        self.index_more(INDEXED_AT_A_TIME);
        self.drop_unused_indexes();
    }

    fn drop_unused_indexes(&mut self) {
        if self.keeps_expired() {
            return;
        }
        let all = ShardSet::all(self.rules.shards);
        self.run_planned(&nobody(), Journal::new(), all, &mut Writer::default(), |cx| {
            crate::commands::drop_unused_indexes(cx);
        });
    }

    /// Lets indexes that have not seen all keys see about so many more.
    pub fn index_more(&mut self, budget: usize) {
        let all = ShardSet::all(self.rules.shards);
        self.run_planned(&nobody(), Journal::new(), all, &mut Writer::default(), |cx| {
            cx.keys.index_more(budget);
        });
    }

    /// When the next wait ends.
    pub fn next_timeout(&self) -> Option<Millis> {
        self.next_deadline().map(|(at, _)| at)
    }

    /// When the next key or field expires.
    pub fn next_expiry(&self) -> Option<Millis> {
        self.shards.iter().filter_map(keyspace::next_expiry).min()
    }

    fn next_deadline(&self) -> Option<(Millis, u64)> {
        let waiting =
            self.clients.iter().filter_map(|(id, client)| Some((client.waiting.as_ref()?.1?, *id)));
        waiting.min()
    }

    fn expire_due(&mut self) {
        if !self.process.active_expiry || self.keeps_expired() {
            return;
        }
        let all = ShardSet::all(self.rules.shards);
        self.run_planned(&nobody(), Journal::new(), all, &mut Writer::default(), |cx| {
            cx.keys.expire_due(usize::MAX)
        });
    }

    /// Ends a client's wait, if it waits.
    fn end_wait(&mut self, id: u64, ending: Ending) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if let Some((Waiting::Parked(waiter), _)) = &client.waiting
            && ending != Ending::Demoted
        {
            let waiter = waiter.clone();
            if ending == Ending::TimedOut {
                return self.time_out_call(&waiter);
            }
            if !waiter.start() {
                // It runs just now, and says for itself how it ends.
                return;
            }
        }
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Some((waiting, _)) = client.waiting.take() else { return };
        let farewell = waiting.farewell(ending);
        if ending == Ending::Demoted {
            // It asked a primary, and shall look for one.
            let last_words = [core::mem::take(&mut client.unasked), farewell].concat();
            self.clear_queues(waiting);
            self.disconnect(id);
            self.last_words.insert(id, last_words);
            return;
        }
        self.clear_queues(waiting);
        self.go_on(id, &farewell);
    }

    fn clear_queues(&mut self, waiting: Waiting) {
        let waiter = match waiting {
            Waiting::Keys(waiter) => waiter,
            Waiting::Parked(waiter) => {
                let (shards, mut reply) = (waiter.shards, Writer::default());
                let nobody = Caller { database: waiter.database, ..nobody() };
                return self.run_planned(&nobody, Journal::new(), shards, &mut reply, |cx| {
                    cx.end_parked(&waiter);
                });
            }
            Waiting::Copies(..) | Waiting::Plugin => return,
        };
        let mut journal = Journal::new();
        let shards = hold(&mut self.shards, waiter.shards);
        Keyspace::new(shards, &self.rules, self.process.now, 0, &mut journal).end_wait(&waiter);
    }

    /// Gives a client the reply that it waited for, and runs what it sent meanwhile.
    fn go_on(&mut self, id: u64, reply: &[u8]) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let waiting = client.waiting.take();
        client.unasked.extend_from_slice(reply);
        if let Some((waiting, _)) = waiting {
            self.clear_queues(waiting);
        }
        while let Some(client) = self.clients.get_mut(&id)
            && client.waiting.is_none()
            && !client.postponed
            && let Some(argv) = client.backlog.pop_front()
        {
            let (reply, _) = self.run(id, argv.as_argv());
            if let Some(client) = self.clients.get_mut(&id) {
                client.unasked.extend_from_slice(&reply);
            }
        }
    }

    /// A pause is over: who was stopped goes on.
    fn resume(&mut self) {
        let stopped = self.clients.iter().filter(|(_, client)| client.postponed);
        let stopped: Vec<u64> = stopped.map(|(id, _)| *id).collect();
        for id in stopped {
            // What another one goes on with may end a pause itself: then this one has gone on.
            if let Some(client) = self.clients.get_mut(&id)
                && core::mem::take(&mut client.postponed)
            {
                self.go_on(id, &[]);
            }
        }
    }

    /// `set` and the shards that serving the waiters there may take.
    fn with_reach(&self, mut set: ShardSet) -> ShardSet {
        loop {
            let reach = |index: usize| self.shards[index].reach();
            let wider = set.iter().map(reach).fold(set, ShardSet::union);
            if wider == set {
                return set;
            }
            set = wider;
        }
    }

    /// Puts the engine in another state, such as out of memory.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    fn conditions(&self) -> Conditions {
        let readonly_replica = self.conditions.readonly_replica || self.process.primary.is_some();
        Conditions { pause: self.process.pause(), readonly_replica, ..self.conditions }
    }

    /// Runs one command; gives the reply as RESP. Whether the connection stays open.
    pub fn run(&mut self, id: u64, argv: Argv<'_>) -> (Vec<u8>, bool) {
        // Taken out, so that the command can look at the others.
        let Some(mut client) = self.clients.remove(&id) else { return (Vec::new(), false) };
        if client.waiting.is_some() || client.postponed {
            client.backlog.push_back(OwnedArgv::from(argv));
            self.clients.insert(id, client);
            return (Vec::new(), true);
        }
        let mut reply = Writer::new(client.protocol);
        if client.session.is_outdated() && !self.process.users.renew(&mut client.session) {
            self.forget(client);
            return (Vec::new(), false);
        }
        let admission = step::admit(
            argv,
            &mut client.session,
            &self.registry,
            &self.rules,
            &self.conditions(),
            &mut reply,
        );
        if matches!(admission, Admission::Postponed) {
            client.postponed = true;
            client.backlog.push_front(OwnedArgv::from(argv));
            self.clients.insert(id, client);
            return (Vec::new(), true);
        }
        client.active_at = self.process.now;
        if let Ok(Some(command)) = self.registry.resolve(argv) {
            client.command = command.full_name();
        }
        let mut told = Told::default();
        match admission {
            Admission::Run(command, held) => {
                told = self.run_admitted(&mut client, &command, argv, held, &mut reply);
            }
            Admission::Denied(command, denial) => {
                let me = client.describe(self.process.now);
                let limits = self.rules.settings.slow_log;
                let mut host = ProcessHost::new(&mut self.process, &self.clients, Some(me), limits);
                note_denial(&command, denial, argv, &client.session, &reply, &mut host);
            }
            Admission::Answered | Admission::Queued(_) | Admission::Postponed => {}
        }
        client.protocol = reply.protocol();
        let open = !client.session.closing;
        let sent = step::is_reply_sent(&mut client.session);
        if client.session.monitoring && open {
            self.monitors.insert(id);
        } else {
            self.monitors.remove(&id);
        }
        if open {
            self.clients.insert(id, client);
        } else {
            self.forget(client);
        }
        self.spread(told);
        (if sent { reply.take_data() } else { Vec::new() }, open)
    }

    /// Lets a step have its effect on the other clients.
    fn spread(&mut self, told: Told) {
        for mail in told.mail {
            match mail {
                Mail::Reply(id, reply) => self.go_on(id, &reply),
                Mail::Push(clients, push) => self.push(&clients, &push),
            }
        }
        told.killed.into_iter().for_each(|id| self.disconnect(id));
        told.unblocked.into_iter().for_each(|(id, ending)| self.end_wait(id, ending));
        if told.resumed {
            self.resume();
        }
    }

    fn push(&mut self, clients: &Receivers, push: &Push) {
        for id in clients.iter() {
            if let Some(client) = self.clients.get_mut(id) {
                let is_subscribed = client.session.subscribed.any();
                push.append_to(&mut client.unasked, client.protocol, is_subscribed);
            }
        }
    }

    fn run_admitted(
        &mut self,
        client: &mut Client,
        command: &CommandRef,
        argv: Argv<'_>,
        held: ShardSet,
        reply: &mut Writer,
    ) -> Told {
        let (monitored, keeps_expired) = (client.session.monitoring, self.keeps_expired());
        let mut journal = Journal::new();
        let (now, database) = (self.process.now, client.session.database);
        self.process.data_bytes = self.data_bytes();
        let me = self.process.described(client);
        let held = self.with_reach(held);
        let limits = self.rules.settings.slow_log;
        let mut host = ProcessHost::new(&mut self.process, &self.clients, Some(me), limits);
        let shards = hold(&mut self.shards, held);
        let mut cx = Cx {
            keys: Keyspace::new(shards, &self.rules, now, database, &mut journal),
            reply,
            session: &mut client.session,
            registry: &self.registry,
            host: &mut host,
            answer: Answer::Now,
            rerun: false,
        };
        cx.keys.keep_expired = keeps_expired;
        match cx.bound() {
            None => cx.run_alone(command, argv),
            bound => cx.run_within(bound, command, argv),
        }
        cx.settle();
        let answer = core::mem::take(&mut cx.answer);
        let mut told = host.into_told();
        if let Answer::WhenReady(waiter) = answer {
            let deadline = deadline(now, waiter.timeout_ms);
            client.waiting = Some((Waiting::Keys(waiter), deadline));
        } else {
            client.waiting = told.waiting.take();
        }
        let killed = told.killed.len();
        told.killed.retain(|id| *id != client.session.id);
        client.session.closing |= told.killed.len() < killed;
        let logged = (address(client.session.id), client.session.name().into());
        let threshold_ms = self.rules.settings.latency_threshold_ms;
        self.process.end_command(limits, threshold_ms, command, argv, logged);
        if core::mem::take(&mut self.process.reconfigured) {
            self.reconfigure();
        }
        if core::mem::take(&mut told.saves) {
            self.process.saved = (self.save(self.form()), now);
        }
        let hidden = [Flags::SKIP_MONITOR, Flags::ADMIN];
        if !self.monitors.is_empty()
            && !monitored
            && !hidden.iter().any(|flag| command.flags.has(*flag))
        {
            self.feed_monitors(client, argv);
        }
        told
    }

    /// Puts what CONFIG SET changed into effect.
    fn reconfigure(&mut self) {
        let settings = &mut self.rules.settings;
        let password = settings.password.clone();
        self.process.configuration.apply(settings);
        self.process.users.set_policy(settings.users);
        if settings.password != password {
            self.process.users.set_default_password(&settings.password);
        }
    }

    fn feed_monitors(&mut self, client: &Client, argv: Argv<'_>) {
        let (id, database) = (client.session.id, client.session.database);
        let now_us = self.process.now.get() * 1000;
        for monitor in &self.monitors {
            let Some(monitor) = self.clients.get_mut(monitor) else { continue };
            let mut line = Writer::new(monitor.protocol);
            line.status(&monitor_line(now_us, database, &address(id), argv));
            monitor.unasked.extend_from_slice(line.data());
        }
    }

    /// Runs a plugin's read: see [`Backend::read`](crate::backend::Backend::read).
    pub fn read(
        &mut self,
        caller: &Caller,
        grants: &Grants,
        commands: CommandColumns<'_>,
        watch: Items<'_>,
        replies: &mut Writer,
        versions: &mut Vec<u64>,
    ) -> Result<(), StepError> {
        let mut plan = Plan::new();
        plan.make(commands, true, grants, &self.registry, &self.rules)?;
        plan.add_keys(watch, grants, &self.rules)?;
        self.run_planned(caller, Journal::new(), plan.shards, replies, |cx| {
            cx.run_read(&plan, commands.data, watch, versions)
        })
    }

    /// Applies a plugin's batch: see [`Backend::apply`](crate::backend::Backend::apply).
    pub fn apply(
        &mut self,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        replies: &mut Writer,
    ) -> Result<Outcome, StepError> {
        let mut plan = Plan::new();
        plan.make(batch.commands, false, grants, &self.registry, &self.rules)?;
        plan.add_keys(batch.guards.keys, grants, &self.rules)?;
        plan.add_keys(batch.guards.absent, grants, &self.rules)?;
        let journal = plan.journal(batch.on_error, &self.rules);
        self.run_planned(caller, journal, plan.shards, replies, |cx| cx.run_batch(&plan, batch))
    }

    /// Replaces the triggers: see [`Backend::set_triggers`](crate::backend::Backend::set_triggers).
    pub fn set_triggers(&mut self, triggers: Vec<Trigger>) {
        let triggers = Triggers::new(triggers);
        let along = triggers.shards(&self.rules);
        self.shards.iter_mut().for_each(|shard| shard.along = along);
        self.rules = self.rules.with_triggers(triggers);
    }

    /// Applies what a trigger makes of an event: see
    /// [`Backend::apply_effects`](crate::backend::Backend::apply_effects).
    pub fn apply_effects(
        &mut self,
        origin: &Origin,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        acknowledgement: &[Vec<Vec<u8>>],
    ) -> Result<Outcome, StepError> {
        let reaction = Reaction::new(batch.commands, acknowledgement);
        let whole = reaction.batch(batch);
        let mut plan = Plan::new();
        plan.make_reaction((batch, &whole), grants, &self.registry, &self.rules)?;
        let mut journal = plan.journal(whole.on_error, &self.rules);
        journal.origin = Some(origin.clone());
        let mut replies = Writer::new(Protocol::Columns);
        self.run_planned(caller, journal, plan.shards, &mut replies, |cx| {
            cx.run_batch(&plan, &whole)
        })
    }

    /// How many wait for a key: see [`Backend::waiting`](crate::backend::Backend::waiting).
    pub fn waiting(&self, caller: &Caller, grants: &Grants, key: &[u8]) -> Result<u64, StepError> {
        check_key(key, grants)?;
        let shard = &self.shards[self.rules.shard_of(key)];
        Ok(shard.waiters.count(caller.database, key) as u64)
    }

    fn run_planned<R>(
        &mut self,
        caller: &Caller,
        mut journal: Journal,
        held: ShardSet,
        replies: &mut Writer,
        run: impl FnOnce(&mut Cx<'_>) -> R,
    ) -> R {
        let mut session = Session::new(caller.client_id, caller.user.clone(), true);
        session.database = caller.database;
        let (held, keeps_expired) = (self.with_reach(held), self.keeps_expired());
        self.process.data_bytes = self.data_bytes();
        let shards = hold(&mut self.shards, held);
        let now = self.process.now;
        let mut host =
            ProcessHost::new(&mut self.process, &self.clients, None, self.rules.settings.slow_log);
        let mut cx = Cx {
            keys: Keyspace::new(shards, &self.rules, now, caller.database, &mut journal),
            reply: replies,
            session: &mut session,
            registry: &self.registry,
            host: &mut host,
            answer: Answer::Now,
            rerun: false,
        };
        cx.keys.keep_expired = keeps_expired;
        let result = run(&mut cx);
        cx.settle();
        let told = host.into_told();
        self.spread(told);
        result
    }

    /// Bytes that all data takes.
    pub fn data_bytes(&self) -> usize {
        self.shards.iter().map(Shard::heap_bytes).sum()
    }

    /// All data in a canonical form, to compare states: independent of the number of shards.
    pub fn digest(&self) -> Digest {
        self.digest_of(|slot| slot.is_live(self.process.now))
    }

    /// The same with keys and fields that have expired and were kept.
    pub fn digest_with_expired(&self) -> Digest {
        self.digest_of(|_| true)
    }

    fn digest_of(&self, is_wanted: impl Fn(&Slot) -> bool) -> Digest {
        let mut digest = BTreeMap::new();
        for (number, database) in self.shards.iter().flat_map(Shard::databases) {
            for slot in database.iter().filter(|slot| is_wanted(slot)) {
                digest.insert((number, slot.key().to_vec()), slot.describe());
            }
        }
        digest
    }

    /// Recounts what the engine claims about itself; panics on a contradiction.
    pub fn check(&self) {
        self.shards.iter().for_each(|shard| shard.check(&self.rules.hasher));
        self.process.subscriptions.check();
        self.process.tracking.check();
    }
}

/// Who does what nobody asked for.
fn nobody() -> Caller {
    Caller { client_id: 0, user: "default".into(), database: 0 }
}

/// When a wait ends that begins now.
fn deadline(now: Millis, timeout_ms: Option<u64>) -> Option<Millis> {
    timeout_ms.map(|ms| Millis::new(now.get().saturating_add(ms)))
}

/// Borrows the shards of a set.
fn hold(shards: &mut [Shard], set: ShardSet) -> Shards<'_> {
    match (set.len(), set.first()) {
        (0, _) | (_, None) => Shards::None,
        (1, Some(index)) => Shards::One(&mut shards[index]),
        _ => {
            let mut held: Vec<_> = shards.iter_mut().map(Some).collect();
            for (index, shard) in held.iter_mut().enumerate() {
                if !set.iter().any(|wanted| wanted == index) {
                    *shard = None;
                }
            }
            Shards::Many(held)
        }
    }
}
