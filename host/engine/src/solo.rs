//! The engine without a server: one thread, a virtual clock, any number of clients.
//!
//! For transcripts, simulation and tests of plugins. It drives the same steps as the server does,
//! with no sockets and no time of its own; what only a server knows (configuration, INFO's
//! process facts) has plain stand-ins here.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::{Argv, Protocol, Writer};

use crate::backend::{
    Batch, CallStatus, Caller, CommandColumns, Items, Outcome, PluginCommand, StepError,
};
use crate::batch::Plan;
use crate::client_info::{ClientFilter, ClientInfo};
use crate::clock::Millis;
use crate::error::Error;
use crate::gates::Conditions;
use crate::grants::Grants;
use crate::host::{Host, Shutdown};
use crate::keyspace::{self, Journal, Keyspace, Shard, ShardSet, Shards, Slot};
use crate::registry::Registry;
use crate::session::Session;
use crate::settings::{Rules, Settings};
use crate::step::{self, Admission, Cx};

/// An engine with a virtual clock.
pub struct Solo {
    shards: Vec<Shard>,
    rules: Rules,
    registry: Registry,
    now: Millis,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    entropy: u64,
    active_expiry: bool,
}

struct Client {
    session: Session,
    protocol: Protocol,
}

/// When a solo engine's clock starts: 2026-01-01.
pub const START: Millis = Millis::new(1_767_225_600_000);

impl Solo {
    /// An empty engine.
    pub fn new(seed: u64, shards: usize, settings: Settings) -> Self {
        let rules = Rules::new(seed, shards, settings);
        Self {
            shards: (0..rules.shards).map(|_| Shard::new()).collect(),
            rules,
            registry: Registry::native(),
            now: START,
            clients: BTreeMap::new(),
            next_client: 1,
            entropy: seed,
            active_expiry: true,
        }
    }

    /// Connects a client; gives its id.
    pub fn connect(&mut self) -> u64 {
        let id = self.next_client;
        self.next_client += 1;
        let session = Session::new(id, "default".into(), self.rules.settings.password.is_empty());
        self.clients.insert(id, Client { session, protocol: Protocol::Resp2 });
        id
    }

    /// Ends a client's connection, and with it its watches.
    pub fn disconnect(&mut self, id: u64) {
        let Some(mut client) = self.clients.remove(&id) else { return };
        let held = client.session.shards(&self.rules);
        let mut journal = Journal::new();
        let shards = hold(&mut self.shards, held);
        let mut keys = Keyspace::new(shards, &self.rules, self.now, 0, &mut journal);
        for watch in client.session.take_watches() {
            keys.unwatch(watch.database, &watch.key);
        }
    }

    /// The clock.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Moves the clock on and lets what is due happen.
    pub fn advance(&mut self, ms: u64) {
        self.now = Millis::new(self.now.get() + ms);
        let active = self.active_expiry;
        for shard in self.shards.iter_mut().filter(|_| active) {
            keyspace::expire_due(shard, &self.rules, self.now, usize::MAX);
        }
    }

    /// Runs one command; gives the reply as RESP. Whether the connection stays open.
    pub fn run(&mut self, id: u64, argv: Argv<'_>) -> (Vec<u8>, bool) {
        let Some(client) = self.clients.get_mut(&id) else { return (Vec::new(), false) };
        let mut reply = Writer::new(client.protocol);
        let admission = step::admit(
            argv,
            &mut client.session,
            &self.registry,
            &self.rules,
            &Conditions::default(),
            &mut reply,
        );
        if let Admission::Run(command, held) = admission {
            let mut journal = Journal::new();
            let mut host = SoloHost {
                now: self.now,
                entropy: &mut self.entropy,
                active_expiry: &mut self.active_expiry,
                id,
                killed: false,
            };
            let mut cx = Cx {
                keys: Keyspace::new(
                    hold(&mut self.shards, held),
                    &self.rules,
                    self.now,
                    client.session.database,
                    &mut journal,
                ),
                reply: &mut reply,
                session: &mut client.session,
                registry: &self.registry,
                host: &mut host,
                reply_later: false,
            };
            cx.run(&command, argv);
            client.session.closing |= host.killed;
        }
        client.protocol = reply.protocol();
        let open = !client.session.closing;
        let sent = step::is_reply_sent(&mut client.session);
        if !open {
            self.disconnect(id);
        }
        (if sent { reply.take_data() } else { Vec::new() }, open)
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
        self.run_planned(caller, Journal::undoable(), plan.shards, replies, |cx| {
            cx.run_batch(&plan, batch)
        })
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
        let shards = hold(&mut self.shards, held);
        let mut host = SoloHost {
            now: self.now,
            entropy: &mut self.entropy,
            active_expiry: &mut self.active_expiry,
            id: caller.client_id,
            killed: false,
        };
        run(&mut Cx {
            keys: Keyspace::new(shards, &self.rules, self.now, caller.database, &mut journal),
            reply: replies,
            session: &mut session,
            registry: &self.registry,
            host: &mut host,
            reply_later: false,
        })
    }

    /// All data in a canonical form, to compare states: independent of the number of shards.
    pub fn digest(&self) -> BTreeMap<(u32, Vec<u8>), keyspace::Description> {
        let mut digest = BTreeMap::new();
        for (number, database) in self.shards.iter().flat_map(Shard::databases) {
            let is_live = |slot: &&Slot| slot.expires_at().is_none_or(|at| at > self.now);
            for slot in database.iter().filter(is_live) {
                digest.insert((number, slot.key().to_vec()), slot.describe());
            }
        }
        digest
    }

    /// Recounts what the engine claims about itself; panics on a contradiction.
    pub fn check(&self) {
        self.shards.iter().for_each(|shard| shard.check(&self.rules.hasher));
    }
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

/// The process around a solo engine: there is none.
struct SoloHost<'a> {
    now: Millis,
    entropy: &'a mut u64,
    active_expiry: &'a mut bool,
    id: u64,
    killed: bool,
}

impl Host for SoloHost<'_> {
    fn call_plugin(
        &mut self,
        _: PluginCommand,
        _: &Caller,
        _: Argv<'_>,
        reply: &mut Writer,
    ) -> CallStatus {
        reply.error("ERR no plugins here");
        CallStatus::Done
    }

    fn administer_plugins(&mut self, _: Argv<'_>, reply: &mut Writer) -> CallStatus {
        reply.error("ERR no plugins here");
        CallStatus::Done
    }

    fn config_get(&self, _: &[&[u8]], _: &mut dyn FnMut(&str, &str)) {}

    fn config_set(&mut self, _: &[(&[u8], &[u8])]) -> Result<(), Error> {
        Ok(())
    }

    fn config_rewrite(&mut self) -> Result<(), Error> {
        Err(Error::Text("ERR The server is running without a config file"))
    }

    fn reset_stats(&mut self) {}

    fn info(&self, _: &str, _: u64, _: &mut String) {}

    fn list_clients(&self, filter: &ClientFilter, show: &mut dyn FnMut(ClientInfo)) {
        let me = ClientInfo { id: self.id, ..ClientInfo::default() };
        if filter.matches(&me) {
            show(me);
        }
    }

    fn kill_clients(&mut self, filter: &ClientFilter) -> usize {
        let me = filter.ids.as_ref().is_some_and(|ids| ids.contains(&self.id));
        self.killed = me && filter.skip_me != Some(self.id);
        usize::from(self.killed)
    }

    fn now_us(&self) -> u64 {
        self.now.get() * 1000
    }

    fn random(&mut self) -> u64 {
        // SplitMix64: the sequence belongs to the seed.
        *self.entropy = self.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *self.entropy;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn shutdown(&mut self, _: Shutdown) -> Result<(), Error> {
        Err(Error::ShutdownFailed)
    }

    fn set_active_expiry(&mut self, on: bool) {
        *self.active_expiry = on;
    }

    fn sleep(&mut self, _: f64) {}
}
