//! The kit: an engine, a runtime, and clients that type.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reef_engine::backend::{CallStatus, Called, Completion, Conclusion, Extension, Late, Wake};
use reef_engine::solo::{PluginCall, Woken};
use reef_resp::{Argv, OwnedArgv, Protocol, Writer};
use reef_runtime::{GrantRequest, LoadError, LoadRequest, Options, Plugins, Runtime, Source};
use reef_transcript::{Mismatch, decode, format_reply, split_args};

use crate::data::Data;
use crate::faults::{Faults, Kill, Moment, Race, Trace};
use crate::world::World;

/// A client of a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub(crate) u64);

/// How a command ended whose plugin was killed at every host call before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The reply of the run that nobody disturbed.
    pub reply: String,
    /// How many host calls that run made.
    pub host_calls: usize,
}

/// An engine with plugins, driven by the test.
pub struct Kit {
    plugins: Arc<Plugins>,
    pub(crate) world: Arc<World>,
    /// What clients were sent and have not looked at.
    unread: BTreeMap<ClientId, Vec<u8>>,
    /// Clients that are gone, as plugins know.
    departed: BTreeSet<ClientId>,
    /// Who types what is typed by nobody in particular.
    pub(crate) first: ClientId,
}

/// Who loads has it. Compiled code is kept in a folder for temporary files, for this user alone.
static LOADING: Mutex<()> = Mutex::new(());
/// Instances that the kit's runtime has room for.
const INSTANCES_MAX: u32 = 16;
/// Longest wait for the compiler. An unoptimised one takes minutes for a whole interpreter.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest wait for a plugin's reply: beyond any limit on its CPU time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest wait for triggers: some tries of each event, with pauses between them.
const TRIGGERS_PATIENCE: Duration = Duration::from_secs(600);
/// How often the kit looks whether triggers have been told.
const LOOK: Duration = Duration::from_micros(50);
/// Most host calls of a command that is killed at every one.
const KILLED_HOST_CALLS_MAX: usize = 10_000;
/// Most calls of plugins, parked ones that go on among them, at one instant.
const CALLS_AT_ONCE_MAX: usize = 100_000;
/// What is said of a plugin beyond that.
const RESTLESS: &str = "time stands still: a plugin parks, and wakes itself, again and again";
/// In how large pieces saved data is put back.
const CHUNK_BYTES: usize = 1 << 16;

impl Default for Kit {
    fn default() -> Self {
        Self::new()
    }
}

impl Kit {
    /// An engine without plugins.
    ///
    /// # Panics
    /// When the machine has no memory or threads for a runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::with_shards(1)
    }

    /// The same whose data is in so many shards, a power of two. No reply depends on it.
    ///
    /// # Panics
    /// When the machine has no memory or threads for a runtime.
    #[must_use]
    pub fn with_shards(shards: usize) -> Self {
        let world = Arc::new(World::new(shards));
        let options = Options {
            cache_dir: Some(std::env::temp_dir().join("reef-test-kit")),
            instances_max: INSTANCES_MAX,
            compile_timeout: COMPILE_TIMEOUT,
            ..Options::default()
        };
        let runtime = Runtime::new(&options).unwrap_or_else(|error| panic!("no runtime: {error}"));
        let plugins = runtime.plugins(world.clone());
        let first = ClientId(world.lock().solo.connect());
        let unread = BTreeMap::from([(first, Vec::new())]);
        Self { plugins, world, unread, departed: BTreeSet::new(), first }
    }

    /// A kit with the component of this file, which is granted all that it wants.
    ///
    /// # Errors
    /// The component is refused, as a server would.
    pub fn load(component: impl Into<PathBuf>) -> Result<Self, LoadError> {
        Self::of_source(Source::Path(component.into()))
    }

    /// A kit with this component, which is granted all that it wants.
    ///
    /// # Errors
    /// The component is refused, as a server would.
    pub fn of(component: &[u8]) -> Result<Self, LoadError> {
        Self::of_source(Source::Bytes(component.to_vec().into()))
    }

    fn of_source(source: Source) -> Result<Self, LoadError> {
        let kit = Self::new();
        kit.add(LoadRequest {
            grants: GrantRequest::AllWanted,
            ..LoadRequest::new("plugin", source)
        })?;
        Ok(kit)
    }

    /// Loads a component on terms of its own: name, grants, configuration, limits.
    ///
    /// ```
    /// # use reef_test_kit::{GrantRequest, Kit, LoadRequest, Source};
    /// # let component = reef_bundled::TX_REPO.to_vec();
    /// let kit = Kit::new();
    /// kit.add(LoadRequest {
    ///     grants: GrantRequest::AllWanted,
    ///     config: Some(vec![("by-time".into(), "yes".into())]),
    ///     limits: vec![("cpu-ms".into(), "20".into())],
    ///     ..LoadRequest::new("tx-repo", Source::Bytes(component.into()))
    /// })?;
    /// # Ok::<(), reef_test_kit::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// The component is refused, as a server would.
    pub fn add(&self, request: LoadRequest) -> Result<(), LoadError> {
        // Of tests that load the same component at the same time, one compiles it.
        let _turn = LOADING.lock();
        self.plugins.load(request).map(drop)
    }

    /// The plugins, for what is not asked by commands.
    #[must_use]
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// Runs a command line, quoted as in `redis-cli`, and gives the reply as `redis-cli` shows it;
    /// `(no reply)` if the client now waits.
    pub fn run(&mut self, line: &str) -> String {
        self.run_as(self.first, line)
    }

    /// The same with arguments that need no quotes.
    pub fn run_args<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> String {
        self.send(self.first, &args.into_iter().collect());
        self.next(self.first)
    }

    /// Connects another client.
    pub fn connect(&mut self) -> ClientId {
        let client = ClientId(self.world.lock().solo.connect());
        self.unread.insert(client, Vec::new());
        client
    }

    /// A client goes, and what ends with its connection does.
    pub fn disconnect(&mut self, client: ClientId) {
        self.act(|kit| kit.world.lock().solo.disconnect(client.0));
        self.unread.remove(&client);
    }

    /// Runs a command line as this client.
    pub fn run_as(&mut self, client: ClientId, line: &str) -> String {
        match split_args(line) {
            Ok(words) => {
                self.send(client, &words.iter().collect());
                self.next(client)
            }
            Err(_) => "Invalid argument(s)".into(),
        }
    }

    /// What this client receives next without asking: the end of its wait, or a message.
    pub fn receive(&mut self, client: ClientId) -> Option<String> {
        self.collect(client);
        let unread = self.unread.get_mut(&client)?;
        let (reply, used) = decode(unread).ok().flatten()?;
        unread.drain(..used);
        Some(format_reply(&reply))
    }

    fn next(&mut self, client: ClientId) -> String {
        self.receive(client).unwrap_or_else(|| "(no reply)".into())
    }

    /// Moves the clock: what is due expires, and whose wait is over goes on at that very time.
    ///
    /// # Panics
    /// When a plugin never stops to park, and to be called again at once.
    pub fn advance(&mut self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let end = self.now_ms().saturating_add(ms);
        let mut at_once = 0;
        loop {
            let state = self.world.lock();
            let now = state.solo.now().get();
            // Triggers are told of an expiry when it happens, and may set the next one.
            let expiry = state.solo.next_expiry().filter(|at| at.get() > now);
            let next = state.solo.next_timeout().into_iter().chain(expiry).min();
            let next = next.map_or(end, |at| at.get().clamp(now, end));
            drop(state);
            self.act(|kit| kit.world.lock().solo.advance(next - now));
            at_once = if next == now { at_once + 1 } else { 0 };
            assert!(at_once < CALLS_AT_ONCE_MAX, "{RESTLESS}");
            let is_over = self.world.lock().solo.next_timeout().is_none_or(|at| at.get() > end);
            if next == end && is_over {
                return;
            }
        }
    }

    /// Whether this client waits: for a key, or because a plugin has parked its call.
    #[must_use]
    pub fn is_waiting(&self, client: ClientId) -> bool {
        self.world.lock().solo.is_waiting(client.0)
    }

    /// Milliseconds since 1970, as plugins and commands see them.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.world.lock().solo.now().get()
    }

    /// All data there is.
    #[must_use]
    pub fn data(&self) -> Data {
        self.world.lock().data()
    }

    /// How many host calls the last call of a plugin made, also if it was killed.
    #[must_use]
    pub fn host_calls(&self) -> usize {
        self.world.lock().trace.host_calls
    }

    /// How many batches of the last call of a plugin found their guards stale.
    #[must_use]
    pub fn lost_races(&self) -> usize {
        self.world.lock().trace.stale
    }

    /// Another client runs these commands just before the n-th host call, from 1, of the next call of
    /// a plugin: after a handler's read and before its batch, for instance.
    pub fn before_host_call(&mut self, number: usize, race: Race) -> &mut Self {
        self.world.lock().faults.races.insert(number, race);
        self
    }

    /// The next call of a plugin dies at its n-th host call, from 1.
    pub fn kill_at_host_call(&mut self, number: usize, moment: Moment) -> &mut Self {
        self.world.lock().faults.kill = Some((number, moment));
        self
    }

    /// Runs a plugin's command once for each of its host calls, and kills it there: before the step
    /// takes place, and after it has. The data is put back to what it was before each run. After each
    /// kill `check` may look at what is left, and do what a client would do next: send it again. At
    /// last the command runs undisturbed.
    ///
    /// # Panics
    /// When a step that was not applied has changed anything, when after a kill the data is other than
    /// after the last batch that took effect, or when the line calls no plugin.
    pub fn kill_at_every_host_call(
        &mut self,
        line: &str,
        mut check: impl FnMut(&mut Self, Kill),
    ) -> Outcome {
        let start = self.save();
        for host_call in 1..=KILLED_HOST_CALLS_MAX {
            for moment in [Moment::Before, Moment::After] {
                self.put_back(&start);
                let before = self.data();
                self.kill_at_host_call(host_call, moment);
                self.world.lock().faults.watched = true;
                let reply = self.run(line);
                let trace = std::mem::take(&mut self.world.lock().trace);
                assert!(!self.world.lock().faults.watched, "`{line}` calls no plugin");
                let Trace { killed, batches, host_calls, torn, settled, .. } = trace;
                assert_eq!(torn, None, "`{line}` changed something in a step that failed");
                if !killed {
                    return Outcome { reply, host_calls };
                }
                let keys = self.data().differing_keys(&settled.unwrap_or(before));
                assert!(keys.is_empty(), "killed after {batches} batches, `{line}` left {keys:?}");
                check(self, Kill { host_call, moment, batches });
            }
        }
        panic!("`{line}` makes more than {KILLED_HOST_CALLS_MAX} host calls");
    }

    /// Runs the cases of a transcript (the format of `tests/commands` in Reef's repository), each on
    /// empty data.
    ///
    /// # Errors
    /// The file cannot be read, or is no transcript; the sentence says where.
    pub fn transcript(&mut self, file: &Path) -> Result<Vec<Mismatch>, String> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
        self.transcript_of(&shown.to_string(), &text)
    }
}

impl Kit {
    fn send(&mut self, client: ClientId, argv: &OwnedArgv) {
        let is_admin =
            argv.as_argv().iter().next().is_some_and(|word| word.eq_ignore_ascii_case(b"PLUGIN"));
        if is_admin {
            let reply = self.administer(argv.as_argv());
            self.unread.entry(client).or_default().extend(reply);
            self.settle();
        } else {
            self.act(|kit| {
                let (reply, _) = kit.world.lock().solo.run(client.0, argv.as_argv());
                kit.unread.entry(client).or_default().extend(reply);
            });
        }
    }

    /// Does something to the engine, and lets happen what follows: calls of plugins, then triggers.
    fn act(&mut self, run: impl FnOnce(&mut Self)) {
        let world = Arc::clone(&self.world);
        let turn = world.take_turn();
        run(self);
        self.serve();
        self.tell_of_departures();
        drop(turn);
        self.settle();
    }

    /// Tells plugins which clients are gone, however that came.
    fn tell_of_departures(&mut self) {
        let known = self.unread.keys().filter(|client| !self.departed.contains(client));
        let gone: Vec<_> = known.filter(|client| !self.is_open(**client)).copied().collect();
        for client in gone {
            self.plugins.client_left(client.0);
            self.departed.insert(client);
        }
    }

    /// Waits until all triggers have been told, and serves whom they wake.
    fn settle(&mut self) {
        let world = Arc::clone(&self.world);
        for _ in 0..CALLS_AT_ONCE_MAX {
            let began = Instant::now();
            while !self.plugins.are_told() {
                assert!(began.elapsed() < TRIGGERS_PATIENCE, "triggers do not come to an end");
                thread::sleep(LOOK);
            }
            let _turn = world.take_turn();
            if !self.serve() {
                return;
            }
        }
        panic!("{RESTLESS}");
    }

    /// Sends a client's command, for transcripts.
    pub(crate) fn send_words(&mut self, client: ClientId, words: &[Vec<u8>]) {
        self.send(client, &words.iter().collect());
    }

    /// What a client was sent and has not looked at.
    pub(crate) fn unread(&mut self, client: ClientId) -> &mut Vec<u8> {
        self.collect(client);
        self.unread.entry(client).or_default()
    }

    pub(crate) fn is_open(&self, client: ClientId) -> bool {
        self.world.lock().solo.is_open(client.0)
    }

    fn collect(&mut self, client: ClientId) {
        let came = self.world.lock().solo.take_unasked(client.0);
        self.unread.entry(client).or_default().extend(came);
    }

    /// Runs the calls of plugins that have come up, and those that go on. Whether there were any.
    fn serve(&mut self) -> bool {
        for served in 0..CALLS_AT_ONCE_MAX {
            let call = self.world.lock().solo.next_plugin_call();
            let Some(call) = call else { return served > 0 };
            self.world.lock().trace = Trace::default();
            let end = self.call(&call);
            let mut state = self.world.lock();
            // What was meant for this call and did not come up is not for the next one.
            state.faults = Faults::default();
            match end {
                Late::Reply(reply) => state.solo.end_plugin_call(call.caller.client_id, &reply),
                Late::Park(park) => state.solo.park_plugin_call(call.caller.client_id, *park),
            }
        }
        panic!("{RESTLESS}");
    }

    fn call(&self, call: &PluginCall) -> Late {
        let PluginCall { command, caller, argv, protocol, wake } = call;
        let wake = wake
            .as_ref()
            .map(|Woken { key, invoked_ms }| Wake { key: key.as_deref(), invoked_ms: *invoked_ms });
        let mut reply = Writer::new(*protocol);
        let (sender, receiver) = mpsc::channel();
        let mut later = || -> Conclusion {
            let sender = sender.clone();
            Box::new(move |late| {
                // Whoever waited may have given up.
                let _ = sender.send(late);
            })
        };
        match self.plugins.call(*command, wake, caller, argv.as_argv(), &mut reply, &mut later) {
            Called::Done => Late::Reply(reply.take_data()),
            Called::Parked(park) => Late::Park(park),
            Called::Later => in_time(&receiver),
        }
    }

    fn administer(&self, argv: Argv<'_>) -> Vec<u8> {
        reply(Protocol::Resp2, |reply, later| self.plugins.administer(argv, reply, later))
    }

    fn save(&self) -> Vec<u8> {
        let mut state = self.world.lock();
        let form = state.solo.form();
        state.solo.save(form)
    }

    fn put_back(&mut self, file: &[u8]) {
        self.run("FLUSHALL");
        let loaded = self.world.lock().solo.load(file, CHUNK_BYTES);
        assert!(loaded.is_ok(), "what the engine wrote can be read: {loaded:?}");
    }
}

/// The reply of a runtime, whenever it comes.
fn reply(
    protocol: Protocol,
    run: impl FnOnce(&mut Writer, &mut dyn FnMut() -> Completion) -> CallStatus,
) -> Vec<u8> {
    let mut reply = Writer::new(protocol);
    let (sender, receiver): (_, Receiver<Vec<u8>>) = mpsc::channel();
    let mut later = || -> Completion {
        let sender = sender.clone();
        Box::new(move |bytes| {
            // Whoever waited may have given up.
            let _ = sender.send(bytes);
        })
    };
    match run(&mut reply, &mut later) {
        CallStatus::Done => reply.take_data(),
        CallStatus::Later => in_time(&receiver),
    }
}

/// What comes of a call that takes longer.
fn in_time<T>(receiver: &Receiver<T>) -> T {
    let came = receiver.recv_timeout(PATIENCE);
    came.unwrap_or_else(|_| panic!("a plugin has not replied within {PATIENCE:?}"))
}
