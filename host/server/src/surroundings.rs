//! The server as commands see it: who is connected, how it is configured, how it is doing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;
use reef_engine::acl::{Account, Directory, Policy};
use reef_engine::backend::{CallStatus, Called, Caller, Completion, Extension, PluginCommand};
use reef_engine::client_info::{ClientFilter, ClientInfo, ClientKind};
use reef_engine::clock::Millis;
use reef_engine::effects::Effects;
use reef_engine::error::Error;
use reef_engine::gates::Pause;
use reef_engine::host::{DataFigures, Host, Reload, Saving, Shutdown, Users};
use reef_engine::keyspace::{Database, Keyspace};
use reef_engine::latencies::Latencies;
use reef_engine::migration::Migration;
use reef_engine::parking::Parking;
use reef_engine::pubsub::{Send, Subscriptions};
use reef_engine::push::{Push, Receivers};
use reef_engine::registry::{CommandRef, Registry};
use reef_engine::replication::Replication;
use reef_engine::serving::Ending;
use reef_engine::slow_log::{Excess, SlowLog};
use reef_engine::tracking::Tracking;
use reef_engine::types::histogram::Histogram;
use reef_engine::waiters::Waiter;
use reef_resp::{Argv, Writer};

use crate::clients::Card;
use crate::clock::{now_ms, now_us};
use crate::mailbox::Message;
use crate::memory::Claim;
use crate::parking::PluginCall;
use crate::post::Post;
use crate::readiness::Readiness;
use crate::replication::Relayed;
use crate::server::Shared;
use crate::socket::Socket;
use crate::store::Store;
use crate::tenants::Tenant;
use crate::timing::{Amounts, Stopwatch};
use crate::users_file;

/// The server around a command that a client sent.
pub(crate) struct WorkerHost<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) client: u64,
    /// The tenant that it belongs to, unless to the operator.
    pub(crate) tenant: Option<&'a Arc<Tenant>>,
    /// Its connection.
    socket: &'a Socket,
    place: usize,
    /// Whether others of its worker have run since readiness was looked at, who may have known that it
    /// has hung up.
    may_be_late: bool,
    /// The worker that serves it.
    pub(crate) worker: u32,
    readiness: &'a mut Readiness,
    pub(crate) random: &'a mut u64,
    /// Times the commands of a transaction.
    pub(crate) stopwatch: &'a mut Stopwatch,
    /// Whether the client told the server to close its own connection.
    pub(crate) close_self: bool,
    /// Whether the client caused a push for itself.
    pub(crate) told_self: bool,
    /// Whether the client copies this server.
    pub(crate) became_copier: bool,
    /// Until when the client waits for copies, if not for ever.
    pub(crate) waits_until: Option<Instant>,
    /// A call of the client's that is to be parked.
    pub(crate) parking: Option<Box<Parking>>,
    /// What the step at hand adds to a tenant's data.
    claim: Claim,
}

impl<'a> WorkerHost<'a> {
    /// The server around a command: its client with its connection, and what its worker lends.
    #[inline]
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        (card, may_be_late): (&'a Card, bool),
        (worker, readiness): (u32, &'a mut Readiness),
        (random, stopwatch): (&'a mut u64, &'a mut Stopwatch),
    ) -> Self {
        Self {
            shared,
            client: card.id,
            tenant: card.tenant(),
            socket: &card.socket,
            place: card.place,
            may_be_late,
            worker,
            readiness,
            random,
            stopwatch,
            close_self: false,
            told_self: false,
            became_copier: false,
            waits_until: None,
            parking: None,
            claim: Claim::default(),
        }
    }

    /// Sends with `send`, and notes what goes to the client itself.
    fn noting_own<'s>(
        &'s mut self,
        send: &'s mut Send<'_>,
    ) -> impl FnMut(u32, &Receivers, &Arc<Push>) + 's {
        move |home, clients, push| {
            self.told_self |= home == self.worker && clients.binary_search(&self.client).is_ok();
            send(home, clients, push);
        }
    }

    fn extension(&self) -> Option<&'a Arc<dyn Extension>> {
        match self.tenant {
            Some(tenant) => tenant.extension.get(),
            None => self.shared.extension.get(),
        }
    }

    /// The data that the client's commands are about.
    fn store(&self) -> &'a Arc<Store> {
        self.tenant.map_or(&self.shared.store, |tenant| &tenant.store)
    }

    /// Who hears of what, among those that the client may reach.
    fn post(&self) -> &'a Arc<Post> {
        self.tenant.map_or(&self.shared.post, |tenant| &tenant.post)
    }

    /// The client's card, as long as it is connected.
    pub(crate) fn card(&self) -> Option<Arc<Card>> {
        self.shared.post.clients.get(self.client)
    }

    /// Another client's card, if it is connected and the client that asks may know of it.
    fn card_of(&self, client: u64) -> Option<Arc<Card>> {
        let card = self.shared.post.clients.get(client);
        card.filter(|card| card.is_seen_by(self.tenant))
    }

    /// Where a late reply goes: to the client's worker, whichever thread has it.
    fn completion(shared: &Arc<Shared>, client: u64) -> Completion {
        let shared = shared.clone();
        Box::new(move |bytes| shared.post.tell(client, |client| Message::Reply { client, bytes }))
    }
}

/// What a reply says when no runtime was given to the server.
const NO_PLUGINS: &str = "ERR this server was built without plugins";

impl Host for WorkerHost<'_> {
    fn call_plugin(
        &mut self,
        command: &CommandRef,
        plugin: PluginCommand,
        caller: &Caller,
        argv: Argv<'_>,
        reply: &mut Writer,
    ) -> CallStatus {
        let Some(extension) = self.extension() else {
            reply.error(NO_PLUGINS);
            return CallStatus::Done;
        };
        let call = PluginCall::new((self.shared, self.store()), command, argv, self.client);
        match call.run(extension, plugin, None, caller, reply) {
            Called::Done => CallStatus::Done,
            Called::Later => CallStatus::Later,
            Called::Parked(park) => {
                self.parking = Some(Box::new(call.parking(*park)));
                CallStatus::Later
            }
        }
    }

    fn wake(&mut self, waiter: &Waiter, key: &[u8]) {
        self.shared.post.wake(waiter, key);
    }

    fn may_grow(&mut self, growth: usize, most: usize) -> bool {
        let store = self.store();
        store.may_grow(&mut self.claim, growth, most)
    }

    fn end_growth(&mut self) {
        let store = self.store();
        self.claim.give_back(store.ledger());
    }

    fn administer_plugins(&mut self, argv: Argv<'_>, reply: &mut Writer) -> CallStatus {
        let Some(extension) = self.extension() else {
            reply.error(NO_PLUGINS);
            return CallStatus::Done;
        };
        let mut later = || Self::completion(self.shared, self.client);
        extension.administer(argv, reply, &mut later)
    }

    fn administer_tenants(&mut self, argv: Argv<'_>, reply: &mut Writer) -> Result<(), Error> {
        self.shared.administer_tenants(argv, reply)
    }

    fn enter_tenant(
        &mut self,
        name: &[u8],
        password: &[u8],
        is_tied: bool,
    ) -> Result<Option<Arc<Account>>, Error> {
        self.enter(name, password, is_tied)
    }

    fn config_get(&self, patterns: &[&[u8]], show: &mut dyn FnMut(&str, &str)) {
        if let Some(configuration) = self.shared.configuration() {
            configuration.get(patterns, show);
        }
    }

    fn config_set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), Error> {
        let Some(configuration) = self.shared.configuration() else { return Ok(()) };
        configuration.set(pairs, &mut |settings, options| self.shared.apply(settings, options))
    }

    fn config_rewrite(&mut self) -> Result<(), Error> {
        match self.shared.configuration() {
            Some(configuration) => {
                let users = self.shared.store.users.lock().texts();
                configuration.rewrite(&users).map_err(Error::Owned)
            }
            None => Ok(()),
        }
    }

    fn users(&mut self) -> Users<'_> {
        Box::new(self.store().users.lock())
    }

    fn read_users(&mut self) -> Result<(String, Vec<u8>), Error> {
        if self.tenant.is_some() {
            return Err(Error::NO_ACL_FILE);
        }
        let options = self.shared.options();
        let file = options.users_file.as_deref().ok_or(Error::NO_ACL_FILE)?;
        users_file::read(file)
    }

    fn write_users(&mut self, content: &[u8]) -> Result<(), Error> {
        if self.tenant.is_some() {
            return Err(Error::NO_ACL_FILE);
        }
        let options = self.shared.options();
        let file = options.users_file.as_deref().ok_or(Error::NO_ACL_FILE)?;
        users_file::write(file, content).map_err(|error| {
            tracing::warn!("the file of users {} is not written: {error}", file.display());
            Error::ACL_NOT_SAVED
        })
    }

    fn secret(&mut self, place: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(place).map_err(|_| Error::NO_RANDOMNESS)
    }

    fn reset_stats(&mut self) {
        self.shared.store.users.lock().log_mut().reset_counts();
        self.shared.statistics.iter().for_each(|statistics| statistics.reset());
        self.shared.replication.stream.reset_counters();
        self.shared.errors.lock().clear();
        self.shared.rates.lock().clear();
        self.shared.store.ledger().reset();
        self.shared.store.reaper().reset();
        self.shared.evicted_clients.store(0, Ordering::Relaxed);
        self.shared.memory_peak.store(0, Ordering::Release);
        self.shared.post.clients.reset();
    }

    fn info(&self, section: &str, data: DataFigures, out: &mut String) {
        match self.tenant {
            Some(tenant) => tenant.info(section, data, self.shared, out),
            None => self.shared.info(section, data, out),
        }
    }

    fn list_clients(&self, filter: &ClientFilter, show: &mut dyn FnMut(ClientInfo)) {
        let all = self.shared.post.clients.all();
        let seen = all.iter().filter(|card| card.is_seen_by(self.tenant));
        let described = seen.map(|card| describe(card, self.shared, self.tenant.is_none()));
        let primary = self.shared.primary_client().filter(|_| self.tenant.is_none());
        let all = described.chain(primary);
        all.filter(|client| filter.matches(client)).for_each(show);
    }

    fn client(&self, id: u64) -> Option<ClientInfo> {
        self.card_of(id).map(|card| describe(&card, self.shared, self.tenant.is_none()))
    }

    fn kill_clients(&mut self, filter: &ClientFilter) -> usize {
        let mut killed = 0;
        let primary = self.shared.primary_client().filter(|_| self.tenant.is_none());
        if primary.is_some_and(|primary| filter.matches(&primary)) {
            self.shared.break_primary_link();
            killed += 1;
        }
        for card in self.shared.post.clients.all() {
            let is_seen = card.is_seen_by(self.tenant);
            if !is_seen || !filter.matches(&describe(&card, self.shared, self.tenant.is_none())) {
                continue;
            }
            if card.id == self.client {
                self.close_self = true;
                killed += 1;
            } else if self.shared.dismiss(&card) {
                killed += 1;
            }
        }
        killed
    }

    fn home(&self) -> u32 {
        self.worker
    }

    fn has_hung_up(&mut self) -> bool {
        if self.shared.is_shared() {
            // Other workers' clients may know more than what this one has heard.
            return self.readiness.has_hung_up(self.place) || !self.socket.is_connected();
        }
        match self.may_be_late {
            true => self.readiness.has_hung_up_by_now(self.place),
            false => self.readiness.has_hung_up(self.place),
        }
    }

    fn is_connected(&mut self, waiter: &Waiter) -> bool {
        if waiter.home != self.worker {
            return self.shared.post.is_connected(waiter);
        }
        let card = self.shared.post.clients.get(waiter.client);
        card.is_some_and(|card| !self.readiness.has_hung_up_by_now(card.place))
    }

    fn deliver(&mut self, waiter: &Waiter, reply: Vec<u8>) {
        self.shared.post.deliver(waiter, reply);
    }

    fn subscriptions(&mut self, act: &mut dyn FnMut(&mut Subscriptions, &mut Send<'_>)) {
        let post = self.post();
        post.with_subscriptions(|all, send| act(all, &mut self.noting_own(send)));
    }

    fn tracking(&mut self, act: &mut dyn FnMut(&mut Tracking, &mut Send<'_>)) {
        let post = self.post();
        post.with_tracking(|all, send| act(all, &mut self.noting_own(send)));
    }

    fn home_of(&self, client: u64) -> Option<u32> {
        let card = self.shared.post.clients.get(client);
        card.filter(|card| card.is_beside(self.tenant)).map(|card| card.worker as u32)
    }

    fn unblock_client(&mut self, id: u64, with_error: bool) -> bool {
        let ending = if with_error { Ending::Unblocked } else { Ending::TimedOut };
        if self.card_of(id).is_none() {
            return false;
        }
        self.shared.post.unblock(id, ending) || self.shared.unblock_copy_wait(id, ending)
    }

    fn ran_in_transaction(
        &mut self,
        database: u32,
        command: &CommandRef,
        argv: Argv<'_>,
        (error, reply_bytes): (Option<&[u8]>, usize),
    ) {
        let took = self.stopwatch.lap_inner();
        let tracking = self.shared.options().latency_tracking;
        let statistics = &self.shared.statistics[self.worker as usize];
        if self.tenant.is_none() || self.shared.is_native(command.id()) {
            statistics.count(command.id(), error.is_some(), took, tracking);
        }
        if let Some(error) = error {
            statistics.errors.add(1);
            self.shared.count_error(error);
        }
        let request_bytes = argv.iter().map(<[u8]>::len).sum();
        let amounts = Amounts { took, request_bytes, reply_bytes };
        if self.store().slow().notes(&amounts) {
            self.shared.note_slow((command, argv), amounts, (self.client, self.store()));
        }
        if self.shared.monitors.load(Ordering::Relaxed) > 0
            && let Some(card) = self.card()
        {
            self.shared.feed_monitors(database, &card, argv);
        }
    }

    fn command_log(&mut self, of: Excess, act: &mut dyn FnMut(&mut SlowLog)) {
        act(&mut self.store().slow().log(of));
    }

    fn latencies(&mut self, act: &mut dyn FnMut(&mut Latencies)) {
        act(&mut self.store().slow().latencies.lock());
    }

    fn histograms(&self, show: &mut dyn FnMut(u16, &Histogram)) {
        self.shared.histograms(show);
    }

    fn pause(&mut self, until: Millis, what: Pause) {
        self.store().pause().begin(until, what, now_ms());
    }

    fn resume(&mut self) {
        self.store().pause().end_now();
        self.shared.post.broadcast(|| Message::Resume);
    }

    fn now_us(&self) -> u64 {
        now_us()
    }

    fn random(&mut self) -> u64 {
        next_random(self.random)
    }

    fn shutdown(&mut self, how: Shutdown) -> Result<CallStatus, Error> {
        let completion = Self::completion(self.shared, self.client);
        self.shared.saver.shut_down(how, Some(completion));
        Ok(CallStatus::Later)
    }

    fn all_flushed(&mut self) {
        if self.tenant.is_some() {
            return;
        }
        let saves = !self.shared.options().persistence.save_points.is_empty();
        self.shared.saver.forget_snapshot(saves);
    }

    fn abort_shutdown(&mut self) -> bool {
        self.shared.saver.abort_shutdown()
    }

    fn save(&mut self, what: Saving, reply: &mut Writer) -> Result<CallStatus, Error> {
        let (shared, client) = (self.shared, self.client);
        shared.saver.save(what, reply, || Self::completion(shared, client))
    }

    fn migrate(&mut self, migration: Migration) -> Result<CallStatus, Error> {
        self.shared.migrate(self.client, migration)?;
        Ok(CallStatus::Later)
    }

    fn replication(&mut self) -> Option<&mut dyn Replication> {
        Some(self)
    }

    fn saved_at(&self) -> Millis {
        self.shared.saver.status.lock().saved_at
    }

    fn reload(&mut self, keys: &mut Keyspace<'_>, from: Reload) -> Result<(), Error> {
        self.shared.reload(keys, from)
    }

    fn propagate(&mut self, effects: &mut Effects) {
        self.store().propagate(effects);
    }

    fn propagate_command(&mut self, database: u32, frame: &[u8]) -> bool {
        self.store().propagate_command(database, frame);
        true
    }

    fn set_active_expiry(&mut self, on: bool) {
        self.store().set_active_expiry(on);
    }

    fn discard(&mut self, databases: Vec<Database>, asked: bool) {
        self.store().reaper().take_databases(databases, asked);
    }

    fn sleep(&mut self, seconds: f64) {
        const SECONDS_MAX: f64 = 3600.0;
        if seconds > 0.0 {
            // A server that is stuck does not connect to its primary, either.
            let sleepers = &self.shared.replication.sleepers;
            sleepers.fetch_add(1, Ordering::AcqRel);
            std::thread::sleep(std::time::Duration::from_secs_f64(seconds.min(SECONDS_MAX)));
            sleepers.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A client as CLIENT LIST shows it; to the operator with the tenant that it belongs to.
fn describe(card: &Card, shared: &Shared, names_tenant: bool) -> ClientInfo {
    let now = now_ms();
    let labels = card.labels.lock().clone();
    let user = match card.tenant().filter(|_| names_tenant) {
        Some(tenant) => format!("{}/{}", tenant.name(), labels.user),
        None => labels.user.to_string(),
    };
    let registry = card.store(shared).registry();
    let post = card.post(shared);
    let command = registry.by_id(card.command.load(Ordering::Relaxed));
    let mut client = ClientInfo {
        id: card.id,
        address: address(card.peer, shared),
        local_address: address(card.local, shared),
        descriptor: card.socket.descriptor(),
        name: labels.name,
        age_s: now.since(card.connected_at) / 1000,
        idle_s: now.since(Millis::new(card.active_at.load(Ordering::Relaxed))) / 1000,
        monitoring: card.monitoring.load(Ordering::Relaxed),
        waiting: card.waiting.load(Ordering::Relaxed),
        unix_socket: card.peer.is_none(),
        no_evict: card.no_evict.load(Ordering::Relaxed),
        no_touch: card.no_touch.load(Ordering::Relaxed),
        database: card.database.load(Ordering::Relaxed),
        queued: (card.queued.load(Ordering::Relaxed) as usize).checked_sub(1),
        input_bytes: card.input_bytes.load(Ordering::Relaxed) as usize,
        input_free_bytes: card.input_free_bytes.load(Ordering::Relaxed) as usize,
        queue_bytes: card.queue_bytes.load(Ordering::Relaxed) as usize,
        output_capacity_bytes: card.output_capacity_bytes.load(Ordering::Relaxed) as usize,
        output_peak_bytes: card.output_peak_bytes.load(Ordering::Relaxed) as usize,
        memory_bytes: card.memory_bytes.load(Ordering::Relaxed) as usize,
        writing: card.output_bytes.load(Ordering::Relaxed) > 0,
        output_bytes: card.output_bytes.load(Ordering::Relaxed) as usize,
        command: command.map(|command| command.full_name()).unwrap_or_default(),
        user,
        protocol: card.protocol.load(Ordering::Relaxed),
        library_name: labels.library_name,
        library_version: labels.library_version,
        tracking: post.tracking.lock().state_of(card.id),
        kind: if card.is_copier.load(Ordering::Relaxed) {
            ClientKind::Replica
        } else {
            ClientKind::Normal
        },
        ..ClientInfo::default()
    };
    client.set_subscribed(post.subscriptions.lock().counts_of(card.id));
    client
}

/// An address as Redis shows it; a unix socket by its path.
pub(crate) fn address(address: Option<SocketAddr>, shared: &Shared) -> String {
    match address {
        Some(SocketAddr::V6(v6)) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => format!("{v4}:{}", v6.port()),
            None => format!("[{}]:{}", v6.ip(), v6.port()),
        },
        Some(v4) => v4.to_string(),
        None => format!("{}:0", shared.unix_socket_name()),
    }
}

/// SplitMix64: for choices that need to be fair, not secret.
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// No client around a command: for plugins' batches, expiry and benchmarks. Only keyspace commands
/// run there; they ask for randomness and for the waiters that they serve.
#[derive(Default)]
pub struct BatchHost<'a> {
    pub(crate) post: Option<&'a Post>,
    pub(crate) users: Option<&'a Mutex<Directory>>,
    pub(crate) store: Option<&'a Store>,
    /// What a primary said, if it is the client.
    pub(crate) relayed: Option<Relayed<'a>>,
    /// What the step at hand adds to a tenant's data.
    pub(crate) claim: Claim,
}

impl Host for BatchHost<'_> {
    fn may_grow(&mut self, growth: usize, most: usize) -> bool {
        self.store.is_none_or(|store| store.may_grow(&mut self.claim, growth, most))
    }

    fn end_growth(&mut self) {
        if let Some(store) = self.store {
            self.claim.give_back(store.ledger());
        }
    }

    fn call_plugin(
        &mut self,
        _: &CommandRef,
        _: PluginCommand,
        _: &Caller,
        _: Argv<'_>,
        reply: &mut Writer,
    ) -> CallStatus {
        reply.error("ERR a batch cannot call plugins");
        CallStatus::Done
    }

    fn administer_plugins(&mut self, _: Argv<'_>, reply: &mut Writer) -> CallStatus {
        reply.error("ERR a batch cannot administer plugins");
        CallStatus::Done
    }

    fn config_get(&self, _: &[&[u8]], _: &mut dyn FnMut(&str, &str)) {}

    fn config_set(&mut self, _: &[(&[u8], &[u8])]) -> Result<(), Error> {
        Err(Error::NoScriptCommand)
    }

    fn config_rewrite(&mut self) -> Result<(), Error> {
        Err(Error::NoScriptCommand)
    }

    fn users(&mut self) -> Users<'_> {
        match self.users {
            Some(users) => Box::new(users.lock()),
            None => {
                let nobody = Directory::new(b"", Policy::default(), &Registry::native());
                Box::new(Box::new(nobody))
            }
        }
    }

    fn secret(&mut self, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::NoScriptCommand)
    }

    fn reset_stats(&mut self) {}

    fn info(&self, _: &str, _: DataFigures, _: &mut String) {}

    fn list_clients(&self, _: &ClientFilter, _: &mut dyn FnMut(ClientInfo)) {}

    fn kill_clients(&mut self, _: &ClientFilter) -> usize {
        0
    }

    fn is_connected(&mut self, waiter: &Waiter) -> bool {
        self.post.is_some_and(|post| post.is_connected(waiter))
    }

    fn deliver(&mut self, waiter: &Waiter, reply: Vec<u8>) {
        if let Some(post) = self.post {
            post.deliver(waiter, reply);
        }
    }

    fn wake(&mut self, waiter: &Waiter, key: &[u8]) {
        if let Some(post) = self.post {
            post.wake(waiter, key);
        }
    }

    fn subscriptions(&mut self, act: &mut dyn FnMut(&mut Subscriptions, &mut Send<'_>)) {
        // Without a server nobody is subscribed, and nobody caches.
        if let Some(post) = self.post {
            post.with_subscriptions(|all, send| act(all, send));
        }
    }

    fn tracking(&mut self, act: &mut dyn FnMut(&mut Tracking, &mut Send<'_>)) {
        if let Some(post) = self.post {
            post.with_tracking(|all, send| act(all, send));
        }
    }

    fn now_us(&self) -> u64 {
        now_us()
    }

    fn random(&mut self) -> u64 {
        thread_local! {
            static STATE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
        }
        STATE.with(|cell| {
            let mut state = if cell.get() == 0 { now_us() } else { cell.get() };
            let random = next_random(&mut state);
            cell.set(state);
            random
        })
    }

    fn shutdown(&mut self, _: Shutdown) -> Result<CallStatus, Error> {
        Err(Error::NoScriptCommand)
    }

    fn propagate(&mut self, effects: &mut Effects) {
        let Some(store) = self.store else { return };
        match self.relayed.take() {
            Some(unit) => store.relay(unit, effects),
            None => store.propagate(effects),
        }
    }

    fn set_active_expiry(&mut self, _: bool) {}

    fn sleep(&mut self, _: f64) {}
}

impl Shared {
    /// Tells all workers to stop.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.saver.end();
        self.post.broadcast(|| Message::Stop);
    }
}
