//! The process around a solo engine, for commands that ask for one: there is none, so it is made up.
//!
//! Deterministic like everything in the engine: time stands still until it is moved, and random
//! numbers belong to the seed.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::Write;

use reef_resp::{Argv, OwnedArgv, Writer};

use super::START;
use super::client::{Client, Waiting};
use super::configuration::Configuration;
use super::plugins::{Coming, PluginCall, Running};
use super::snapshot;
use crate::acl::{Directory, Reason};
use crate::backend::{CallStatus, Caller, PluginCommand};
use crate::client_info::{ClientFilter, ClientInfo};
use crate::clock::Millis;
use crate::command::Flags;
use crate::effects::Effects;
use crate::error::Error;
use crate::gates::Pause;
use crate::host::{DataFigures, Host, Reload, Saving, Shutdown, Users};
use crate::keyspace::Keyspace;
use crate::latencies::Latencies;
use crate::pubsub::{Send, Subscriptions};
use crate::push::{Push, Receivers};
use crate::registry::{CommandRef, Registry};
use crate::replication::Replication;
use crate::serving::Ending;
use crate::settings::{Rules, SlowLogLimits};
use crate::slow_log::{Excess, SlowLog};
use crate::tracking::Tracking;
use crate::waiters::Waiter;

/// What outlives a command.
pub(super) struct Process {
    pub(super) now: Millis,
    pub(super) active_expiry: bool,
    pub(super) configuration: Configuration,
    pub(super) users: Directory,
    /// Whether the configuration changed and is to be put into effect.
    pub(super) reconfigured: bool,
    pub(super) subscriptions: Subscriptions,
    pub(super) tracking: Tracking,
    entropy: u64,
    /// How long a look at the clock takes, and how long all took so far.
    look_us: (u64, Cell<u64>),
    /// Commands since the start or the last CONFIG RESETSTAT.
    commands: u64,
    slow_log: SlowLog,
    /// How long the command slept. Otherwise time stands still while a command runs.
    slept_us: u64,
    latencies: Latencies,
    /// Which commands wait, and until when.
    pause: (Pause, Millis),
    /// What copies of the data have to run that they have not been given yet.
    pub(super) effects: Effects,
    /// Whom it is told to copy.
    pub(super) primary: Option<(String, u16)>,
    /// What was saved last, and when. At first nothing.
    pub(super) saved: (Vec<u8>, Millis),
    /// Bytes that all data took when the step began.
    pub(super) data_bytes: usize,
    /// Calls of plugins that nobody has taken yet.
    pub(super) plugin_calls: VecDeque<Coming>,
    /// Those that somebody has taken, by their client.
    pub(super) running: BTreeMap<u64, Running>,
}

impl Process {
    pub(super) fn new(seed: u64, rules: &Rules, registry: &Registry) -> Self {
        let settings = &rules.settings;
        Self {
            now: START,
            active_expiry: true,
            configuration: Configuration::new(settings),
            users: Directory::new(&settings.password, settings.users, registry),
            subscriptions: Subscriptions::new(seed, rules.audience().clone()),
            tracking: Tracking::new(seed, rules.audience().clone()),
            reconfigured: false,
            entropy: seed,
            look_us: (0, Cell::new(0)),
            commands: 0,
            slow_log: SlowLog::default(),
            slept_us: 0,
            latencies: Latencies::default(),
            pause: (Pause::Nothing, Millis::default()),
            effects: Effects::default(),
            primary: None,
            saved: (Vec::new(), START),
            data_bytes: 0,
            plugin_calls: VecDeque::new(),
            running: BTreeMap::new(),
        }
    }
}

impl Process {
    /// Which commands wait now.
    pub(super) fn pause(&self) -> Pause {
        let (what, until) = self.pause;
        if until > self.now { what } else { Pause::Nothing }
    }

    /// When the pause ends, if there is one.
    pub(super) fn pause_end(&self) -> Option<Millis> {
        Some(self.pause.1).filter(|until| *until > self.now)
    }

    /// Notes a command that ran.
    pub(super) fn log_slow(
        &mut self,
        limits: SlowLogLimits,
        command: &CommandRef,
        argv: Argv<'_>,
        client: (String, Box<[u8]>),
    ) {
        let is_slow =
            u64::try_from(limits.threshold_us).is_ok_and(|threshold| self.slept_us >= threshold);
        if is_slow && !command.flags.has(Flags::SKIP_SLOWLOG) {
            let took = (self.now.seconds(), self.slept_us);
            self.slow_log.add(took, argv, client, limits.entries_max);
        }
    }

    /// Notes a command that is the last of its step.
    pub(super) fn end_command(
        &mut self,
        limits: SlowLogLimits,
        latency_threshold_ms: u64,
        command: &CommandRef,
        argv: Argv<'_>,
        client: (String, Box<[u8]>),
    ) {
        self.log_slow(limits, command, argv, client);
        let took_ms = core::mem::take(&mut self.slept_us) / 1000;
        if latency_threshold_ms > 0 && took_ms >= latency_threshold_ms {
            self.latencies.add(command.latency_event(), self.now.seconds(), took_ms);
        }
    }

    /// A client as CLIENT LIST shows it.
    pub(super) fn described(&self, client: &Client) -> ClientInfo {
        let tracking = self.tracking.state_of(client.session.id);
        ClientInfo { tracking, ..client.describe(self.now) }
    }
}

impl super::Solo {
    /// Lets time pass while a command runs: so much whenever it looks at the clock.
    pub fn slow_down(&mut self, look_us: u64) {
        self.process.look_us.0 = look_us;
    }
}

/// The process for the length of a command.
pub(super) struct ProcessHost<'a> {
    pub(super) process: &'a mut Process,
    others: &'a BTreeMap<u64, Client>,
    /// Who runs the command; nobody for a plugin's batch.
    me: Option<ClientInfo>,
    pub(super) told: Told,
    slow_log_limits: SlowLogLimits,
}

/// Something for clients other than the one whose command runs.
pub(super) enum Mail {
    /// The reply that a client waited for.
    Reply(u64, Vec<u8>),
    /// What clients have not asked for.
    Push(Receivers, Arc<Push>),
}

/// What a step means for other clients, and what comes after it.
#[derive(Default)]
pub(super) struct Told {
    /// What the client itself waits for, other than keys, and until when.
    pub(super) waiting: Option<(Waiting, Option<Millis>)>,
    /// Whether the data is to be saved.
    pub(super) saves: bool,
    /// Who is disconnected.
    pub(super) killed: Vec<u64>,
    /// Whose wait ends, and how.
    pub(super) unblocked: Vec<(u64, Ending)>,
    /// Who is sent something, in order.
    pub(super) mail: Vec<Mail>,
    /// Whether a pause ended.
    pub(super) resumed: bool,
}

impl<'a> ProcessHost<'a> {
    pub(super) fn new(
        process: &'a mut Process,
        others: &'a BTreeMap<u64, Client>,
        me: Option<ClientInfo>,
        slow_log_limits: SlowLogLimits,
    ) -> Self {
        process.commands += 1;
        Self { process, others, me, told: Told::default(), slow_log_limits }
    }

    /// What the step means for others.
    pub(super) fn into_told(self) -> Told {
        self.told
    }

    /// Ends all waits: here the primary alone takes from keys.
    pub(super) fn end_waits(&mut self) {
        let waiting = self.others.iter().filter(|(_, client)| client.is_blocked());
        self.told.unblocked.extend(waiting.map(|(id, _)| (*id, Ending::Demoted)));
    }

    /// The clients that pass, the oldest first.
    fn clients(&self, filter: &ClientFilter) -> Vec<ClientInfo> {
        let others = self.others.values().map(|client| self.process.described(client));
        let mut clients: Vec<_> = others.chain(self.me.clone()).collect();
        clients.retain(|client| filter.matches(client));
        clients.sort_by_key(|client| client.id);
        clients
    }
}

/// What a reply says to who wants to administer plugins: that is for whoever runs them.
const NO_PLUGINS: &str = "ERR there are no plugins without a server";

impl Host for ProcessHost<'_> {
    fn call_plugin(
        &mut self,
        _: &CommandRef,
        command: PluginCommand,
        caller: &Caller,
        argv: Argv<'_>,
        reply: &mut Writer,
    ) -> CallStatus {
        let (caller, protocol) = (caller.clone(), reply.protocol());
        let argv = OwnedArgv::from(argv);
        let call = PluginCall { command, caller, argv, protocol, wake: None };
        self.process.plugin_calls.push_back(Coming::New(call));
        self.told.waiting = Some((Waiting::Plugin, None));
        CallStatus::Later
    }

    fn wake(&mut self, waiter: &Waiter, key: &[u8]) {
        let (client, order, key) = (waiter.client, waiter.order, Some(key.into()));
        self.process.plugin_calls.push_back(Coming::Woken { client, order, key });
    }

    fn may_grow(&mut self, growth: usize, most: usize) -> bool {
        self.process.data_bytes + growth <= most
    }

    fn administer_plugins(&mut self, _: Argv<'_>, reply: &mut Writer) -> CallStatus {
        reply.error(NO_PLUGINS);
        CallStatus::Done
    }

    fn config_get(&self, patterns: &[&[u8]], show: &mut dyn FnMut(&str, &str)) {
        self.process.configuration.get(patterns, show);
    }

    fn config_set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), Error> {
        self.process.configuration.set(pairs)?;
        self.process.reconfigured = true;
        Ok(())
    }

    fn config_rewrite(&mut self) -> Result<(), Error> {
        Err(Error::NO_CONFIG_FILE)
    }

    fn users(&mut self) -> Users<'_> {
        Box::new(&mut self.process.users)
    }

    /// Not secret at all: numbers belong to the seed, and so do passwords.
    fn secret(&mut self, place: &mut [u8]) -> Result<(), Error> {
        place.fill_with(|| self.random() as u8);
        Ok(())
    }

    fn reset_stats(&mut self) {
        self.process.commands = 0;
        self.process.users.log_mut().reset_counts();
    }

    fn info(&self, section: &str, data: DataFigures, out: &mut String) {
        // Writing to a string cannot fail.
        let mut line = |name: &str, value: u64| {
            let _ = write!(out, "{name}:{value}\r\n");
        };
        let uptime_s = self.process.now.since(START) / 1000;
        match section {
            "server" => {
                line("tcp_port", 0);
                line("server_time_usec", self.process.now.get() * 1000);
                line("uptime_in_seconds", uptime_s);
                line("uptime_in_days", uptime_s / 86_400);
            }
            "clients" => {
                let me = u64::from(self.me.is_some());
                line("connected_clients", self.others.len() as u64 + me);
                line("tracking_clients", self.process.tracking.totals().clients as u64);
            }
            "memory" => line("used_memory", data.bytes),
            "stats" => {
                line("total_commands_processed", self.process.commands);
                for (name, reason) in Reason::COUNTERS {
                    line(name, self.process.users.log().count(reason));
                }
                let counts = self.process.subscriptions.statistics();
                let tracked = self.process.tracking.statistics();
                counts.into_iter().chain(tracked).for_each(|(name, count)| line(name, count));
            }
            _ => {}
        }
    }

    fn list_clients(&self, filter: &ClientFilter, show: &mut dyn FnMut(ClientInfo)) {
        self.clients(filter).into_iter().for_each(show);
    }

    fn kill_clients(&mut self, filter: &ClientFilter) -> usize {
        let killed = self.clients(filter);
        self.told.killed.extend(killed.iter().map(|client| client.id));
        killed.len()
    }

    fn is_connected(&mut self, waiter: &Waiter) -> bool {
        self.others.contains_key(&waiter.client)
    }

    fn deliver(&mut self, waiter: &Waiter, reply: Vec<u8>) {
        self.told.mail.push(Mail::Reply(waiter.client, reply));
    }

    fn subscriptions(&mut self, act: &mut dyn FnMut(&mut Subscriptions, &mut Send<'_>)) {
        let mail = &mut self.told.mail;
        act(&mut self.process.subscriptions, &mut |_, clients, push| {
            mail.push(Mail::Push(clients.clone(), push.clone()));
        });
    }

    fn tracking(&mut self, act: &mut dyn FnMut(&mut Tracking, &mut Send<'_>)) {
        let mail = &mut self.told.mail;
        act(&mut self.process.tracking, &mut |_, clients, push| {
            mail.push(Mail::Push(clients.clone(), push.clone()));
        });
    }

    fn home_of(&self, client: u64) -> Option<u32> {
        let is_me = self.me.as_ref().is_some_and(|me| me.id == client);
        (is_me || self.others.contains_key(&client)).then_some(0)
    }

    fn unblock_client(&mut self, id: u64, with_error: bool) -> bool {
        let waits = self.others.get(&id).is_some_and(Client::is_blocked);
        let again = self.told.unblocked.iter().any(|(other, _)| *other == id);
        if waits && !again {
            let ending = if with_error { Ending::Unblocked } else { Ending::TimedOut };
            self.told.unblocked.push((id, ending));
        }
        waits && !again
    }

    fn ran_in_transaction(
        &mut self,
        _: u32,
        command: &CommandRef,
        argv: Argv<'_>,
        _: (Option<&[u8]>, usize),
    ) {
        let me = self.me.as_ref().map(|me| (me.address.clone(), me.name.clone()));
        self.process.log_slow(self.slow_log_limits, command, argv, me.unwrap_or_default());
    }

    fn command_log(&mut self, of: Excess, act: &mut dyn FnMut(&mut SlowLog)) {
        match of {
            Excess::Slow => act(&mut self.process.slow_log),
            // In process, nothing has a size.
            Excess::LargeRequest | Excess::LargeReply => act(&mut SlowLog::default()),
        }
    }

    fn latencies(&mut self, act: &mut dyn FnMut(&mut Latencies)) {
        act(&mut self.process.latencies);
    }

    fn pause(&mut self, until: Millis, what: Pause) {
        let (before, until_before) = (self.process.pause(), self.process.pause_end());
        self.process.pause = (what.max(before), until_before.map_or(until, |at| at.max(until)));
    }

    fn resume(&mut self) {
        self.process.pause = (Pause::Nothing, Millis::default());
        self.told.resumed = true;
    }

    fn now_us(&self) -> u64 {
        let (one, all) = &self.process.look_us;
        all.set(all.get() + one);
        self.process.now.get() * 1000 + all.get()
    }

    fn random(&mut self) -> u64 {
        // SplitMix64: the sequence belongs to the seed.
        let state = &mut self.process.entropy;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn shutdown(&mut self, _: Shutdown) -> Result<CallStatus, Error> {
        Err(Error::ShutdownFailed)
    }

    fn save(&mut self, what: Saving, reply: &mut Writer) -> Result<CallStatus, Error> {
        self.told.saves |= !matches!(what, Saving::Log { .. });
        let when = |waits: bool| if waits { "scheduled" } else { "started" };
        match what {
            Saving::Now => reply.ok(),
            Saving::Background { waits, .. } => {
                reply.status(&format!("Background saving {}", when(waits)));
            }
            Saving::Log { waits } => {
                let when = when(waits);
                reply.status(&format!("Background append only file rewriting {when}"));
            }
        }
        Ok(CallStatus::Done)
    }

    fn saved_at(&self) -> Millis {
        self.process.saved.1
    }

    fn reload(&mut self, keys: &mut Keyspace<'_>, from: Reload) -> Result<(), Error> {
        let Reload::Snapshot { saves, flushes, merges } = from else {
            return Err(Error::NOTHING_KEPT);
        };
        if saves {
            self.process.saved = (snapshot::save_held(keys), self.process.now);
        }
        if flushes {
            (0..keys.rules.settings.databases).for_each(|number| drop(keys.flush(number)));
        }
        snapshot::load_held(keys, &self.process.saved.0, merges)
    }

    fn replication(&mut self) -> Option<&mut dyn Replication> {
        Some(self)
    }

    fn propagate(&mut self, effects: &mut Effects) {
        self.process.effects.append(effects);
    }

    fn propagate_command(&mut self, database: u32, frame: &[u8]) -> bool {
        self.process.effects.append_command(database, frame);
        true
    }

    fn set_active_expiry(&mut self, on: bool) {
        self.process.active_expiry = on;
    }

    fn sleep(&mut self, seconds: f64) {
        self.process.slept_us += (seconds.max(0.0) * 1e6) as u64;
    }
}
