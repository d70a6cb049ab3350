//! Starting and stopping: listeners, workers, and what they share.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;

use arc_swap::{ArcSwap, ArcSwapOption};
use mio::{Poll, Waker};
use parking_lot::Mutex;
use reef_engine::backend::Extension;
use reef_engine::client_info::ClientKind;
use reef_engine::clock::Millis;
use reef_engine::error::Error;
use reef_engine::host::Shutdown;
use reef_engine::settings::Settings;

use crate::clients::Card;
use crate::clock::{now_ms, now_us};
use crate::link::Link;
use crate::listener::{self, Listeners};
use crate::mailbox::{Mailbox, Message};
use crate::migration::Couriers;
use crate::persistence::{LoadFailure, Loading, PersistenceOptions, Saver};
use crate::post::Post;
use crate::rates::Rates;
use crate::replication::{Replication, ReplicationOptions};
use crate::socket::Socket;
use crate::statistics::Statistics;
use crate::store::Store;
use crate::tenants::{TenantTerms, Tenants};
use crate::tls::{self, TlsError, TlsOptions};
use crate::worker::{MAILBOX, Worker};

/// What the server needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses to listen on (`bind`), in the words of redis.conf.
    pub bind: Vec<String>,
    /// The TCP port; 0: no TCP.
    pub port: u16,
    /// Whether any free port will do; then `port` only says that TCP is wanted.
    pub port_any: bool,
    /// `unixsocket`.
    pub unix_socket: Option<PathBuf>,
    /// `unixsocketperm`; 0: as the process makes files.
    pub unix_socket_permissions: u32,
    /// `tcp-backlog`.
    pub backlog: i32,
    /// Workers (`io-threads`).
    pub workers: usize,
    /// `maxclients`.
    pub clients_max: u64,
    /// `timeout`: idle seconds until a client is closed; 0: never.
    pub timeout_s: u64,
    /// `tcp-keepalive` in seconds; 0: none.
    pub keepalive_s: u64,
    /// `client-query-buffer-limit`.
    pub query_buffer_bytes_max: usize,
    /// `client-output-buffer-limit`.
    pub output_limits: OutputLimits,
    /// `maxmemory-clients`: what all connections may take together; 0: no limit.
    pub client_bytes_max: usize,
    /// Whether each command's times are counted (`latency-tracking`).
    pub latency_tracking: bool,
    /// `latency-tracking-info-percentiles`.
    pub latency_percentiles: Vec<f64>,
    /// `maxmemory`; 0: no limit.
    pub memory_bytes_max: usize,
    /// `maxmemory-policy`, for INFO.
    pub memory_policy: String,
    /// TLS.
    pub tls: TlsOptions,
    /// Where ACL LOAD and ACL SAVE find the users (`aclfile`).
    pub users_file: Option<PathBuf>,
    /// Whether strangers are refused while the default user has no password (`protected-mode`).
    pub protected_mode: bool,
    /// The configuration file, for INFO.
    pub config_file: String,
    /// `hz`, for INFO.
    pub hz: u32,
    /// What is kept on disk.
    pub persistence: PersistenceOptions,
    /// Who copies whom.
    pub replication: ReplicationOptions,
}

/// How many bytes a client of some class may leave untaken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// At once; 0: no limit.
    pub hard_bytes: usize,
    /// For longer than `soft_s`; 0: no limit.
    pub soft_bytes: usize,
    /// Seconds.
    pub soft_s: u64,
}

/// The limits by class of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Clients with subscriptions.
    pub pubsub: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        const MEGABYTE: usize = 1024 * 1024;
        let limit = |hard, soft| OutputLimit {
            hard_bytes: hard * MEGABYTE,
            soft_bytes: soft * MEGABYTE,
            soft_s: 60,
        };
        Self { normal: OutputLimit::default(), pubsub: limit(32, 8), replica: limit(256, 64) }
    }
}

impl OutputLimits {
    /// The limit of a class.
    pub(crate) fn of(&self, kind: ClientKind) -> OutputLimit {
        match kind {
            ClientKind::Normal => self.normal,
            ClientKind::Pubsub => self.pubsub,
            ClientKind::Replica => self.replica,
            // The server that this one replicates is never cut off.
            ClientKind::Primary => OutputLimit::default(),
        }
    }
}

impl OutputLimit {
    /// Whether `bytes` are too many at `now`. `soft_since` is when they became more than the soft
    /// limit, in milliseconds since 1970, or 0.
    pub(crate) fn is_exceeded(&self, bytes: usize, soft_since: &mut u64, now: Millis) -> bool {
        if self.soft_bytes == 0 || bytes <= self.soft_bytes {
            *soft_since = 0;
        } else if *soft_since == 0 {
            *soft_since = now.get();
        }
        let too_long = *soft_since != 0 && now.since(Millis::new(*soft_since)) > self.soft_s * 1000;
        self.hard_bytes > 0 && bytes > self.hard_bytes || too_long
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: vec!["127.0.0.1".to_owned()],
            port: 6379,
            port_any: false,
            unix_socket: None,
            unix_socket_permissions: 0,
            backlog: 511,
            workers: 1,
            clients_max: 10_000,
            timeout_s: 0,
            keepalive_s: 300,
            query_buffer_bytes_max: 1024 * 1024 * 1024,
            output_limits: OutputLimits::default(),
            client_bytes_max: 0,
            latency_tracking: true,
            latency_percentiles: vec![50.0, 99.0, 99.9],
            memory_bytes_max: 0,
            memory_policy: "noeviction".to_owned(),
            tls: TlsOptions::default(),
            users_file: None,
            protected_mode: true,
            config_file: String::new(),
            hz: 10,
            persistence: PersistenceOptions::default(),
            replication: ReplicationOptions::default(),
        }
    }
}

/// The configuration as CONFIG reaches it. Error texts are complete (`ERR ...`).
pub trait Configuration: Send + Sync {
    /// Shows name and value of each directive that matches one of the patterns.
    fn get(&self, patterns: &[&[u8]], show: &mut dyn FnMut(&str, &str));
    /// Sets directives, all or none: `apply` is told what to run with from now on, and nothing is
    /// set if it cannot.
    fn set(
        &self,
        pairs: &[(&[u8], &[u8])],
        apply: &mut dyn FnMut(Settings, Options) -> Result<(), Error>,
    ) -> Result<(), Error>;
    /// Keeps whom the server follows, as `replicaof` has it.
    fn note_primary(&self, primary: Option<&(String, u16)>);
    /// Writes the configuration back to its file. `users` are all users as in lines `user ...`,
    /// without that word.
    fn rewrite(&self, users: &[String]) -> Result<(), String>;
}

/// Why the server could not start.
#[derive(Debug)]
pub enum ServerError {
    /// An address cannot be listened on.
    Listen {
        /// Which.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// No address is left to listen on.
    NoAddress,
    /// TLS cannot be offered.
    Tls(TlsError),
    /// What was kept cannot be loaded.
    Load(LoadFailure),
    /// The operating system refused something else.
    System(io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
                // Whoever starts servers on ports of their choice looks for the first words.
                let port = address.rsplit(':').next().unwrap_or_default();
                let why = "another server is running there";
                write!(f, "Failed listening on port {port}, that is {address}: {why}")
            }
            Self::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Tls(error) => error.fmt(f),
            Self::Load(error) => error.fmt(f),
            Self::NoAddress => f.write_str("none of the addresses given by 'bind' exists here"),
            Self::System(error) => write!(f, "the operating system refused: {error}"),
        }
    }
}

impl std::error::Error for ServerError {}

impl From<TlsError> for ServerError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<LoadFailure> for ServerError {
    fn from(error: LoadFailure) -> Self {
        Self::Load(error)
    }
}

impl From<io::Error> for ServerError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// What workers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    options: ArcSwap<Options>,
    pub(crate) listeners: Mutex<Listeners>,
    tls: ArcSwapOption<rustls::ServerConfig>,
    configuration: Option<Arc<dyn Configuration>>,
    pub(crate) extension: OnceLock<Arc<dyn Extension>>,
    pub(crate) post: Arc<Post>,
    pub(crate) statistics: Vec<Arc<Statistics>>,
    pub(crate) monitors: AtomicUsize,
    pub(crate) started_at: Millis,
    pub(crate) port: AtomicU64,
    pub(crate) run_id: String,
    pub(crate) stopping: AtomicBool,
    /// Error replies by their first word.
    pub(crate) errors: Mutex<BTreeMap<String, u64>>,
    pub(crate) memory_peak: AtomicU64,
    /// What was counted lately, to tell rates by.
    pub(crate) rates: Mutex<Rates>,
    /// Clients closed because all of them took too much memory.
    pub(crate) evicted_clients: AtomicU64,
    workers_served: AtomicUsize,
    /// Saves the data.
    pub(crate) saver: Saver,
    pub(crate) loading: Loading,
    pub(crate) replication: Arc<Replication>,
    /// Those who bring keys to other servers.
    pub(crate) couriers: Couriers,
    /// Who shares the server with the operator.
    pub(crate) tenants: Tenants,
    me: Weak<Self>,
}

impl Shared {
    pub(crate) fn options(&self) -> arc_swap::Guard<Arc<Options>> {
        self.options.load()
    }

    /// Runs with other settings from now on, or, when something is not to be had, with the old.
    pub(crate) fn apply(&self, settings: Settings, options: Options) -> Result<(), Error> {
        let renewed = if options.tls == self.options().tls {
            None
        } else {
            Some(tls::server_config(&options.tls).map_err(Error::configuration_refused)?)
        };
        self.move_listeners(&options)?;
        if let Some(tls) = renewed {
            self.tls.store(tls);
        }
        self.follow_replication(&options);
        let keys_max = settings.tracked_keys_max;
        self.tenants.all().iter().for_each(|tenant| tenant.follow(&settings));
        self.store.set_settings(settings);
        self.post.trim_tracking(keys_max, now_us());
        let was_logging = self.options().persistence.append_only;
        self.options.store(Arc::new(options));
        self.follow_persistence(was_logging);
        Ok(())
    }

    fn move_listeners(&self, new: &Options) -> Result<(), Error> {
        let old = self.options();
        let moved = old.port != new.port;
        if !moved && old.bind == new.bind {
            return Ok(());
        }
        let mut listeners = self.listeners.lock();
        let result = listeners.relocate(&old, new);
        self.port.store(u64::from(listeners.port()), Ordering::Relaxed);
        result.map_err(|error| {
            tracing::warn!("CONFIG SET: {error}");
            if moved { Error::PORT_TAKEN } else { Error::ADDRESS_TAKEN }
        })
    }

    /// The way to a new client; none if TLS has been turned off meanwhile.
    pub(crate) fn link(&self, socket: Arc<Socket>, tls: bool) -> Option<Link> {
        if !tls {
            return Some(Link::plain(socket));
        }
        let config = self.tls.load_full()?;
        Link::encrypted(socket, config)
            .inspect_err(|error| tracing::warn!("a TLS connection cannot be served: {error}"))
            .ok()
    }

    /// Whether there are several workers.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        self.post.mailboxes.len() > 1
    }

    /// Whether a command is in every tenant's table at this place.
    pub(crate) fn is_native(&self, command: u16) -> bool {
        self.store.copies.natives().by_id(command).is_some()
    }

    /// Ends a connection of whichever worker. From now on it is not listed, and receives nothing.
    /// `false` if it was ended before.
    pub(crate) fn dismiss(&self, card: &Card) -> bool {
        card.post(self).dismiss(card)
    }

    /// Itself, for threads that outlive a command.
    pub(crate) fn me(&self) -> Arc<Self> {
        self.me.upgrade().expect("whoever asks is held by somebody")
    }

    pub(crate) fn configuration(&self) -> Option<&Arc<dyn Configuration>> {
        self.configuration.as_ref()
    }

    /// Counts an error reply by its first word, up to a bounded number of different words.
    pub(crate) fn count_error(&self, reply: &[u8]) {
        const CODES_MAX: usize = 128;
        let code = reply.split(|byte| matches!(byte, b' ' | b'\r')).next().unwrap_or_default();
        let code = String::from_utf8_lossy(code.strip_prefix(b"-").unwrap_or(code));
        let mut errors = self.errors.lock();
        if let Some(count) = errors.get_mut(code.as_ref()) {
            *count += 1;
        } else if errors.len() < CODES_MAX {
            errors.insert(code.into_owned(), 1);
        }
    }

    /// The worker whose turn it is to get a connection.
    pub(crate) fn next_worker(&self) -> usize {
        self.workers_served.fetch_add(1, Ordering::Relaxed) % self.post.mailboxes.len()
    }

    pub(crate) fn unix_socket_name(&self) -> String {
        let options = self.options();
        options.unix_socket.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Stops a server from elsewhere (a signal handler's thread).
#[derive(Clone)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Tells the server to stop; does not wait.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Tells the server to save what is to be saved, and then to stop; does not wait. It goes on if
    /// saving fails.
    pub fn stop_saved(&self) {
        self.0.saver.shut_down(Shutdown::default(), None);
    }
}

impl Server {
    /// Listens, and starts the workers. `extension` runs plugin commands, if there are any.
    pub fn start(
        store: Arc<Store>,
        options: Options,
        extension: Option<Arc<dyn Extension>>,
        configuration: Option<Arc<dyn Configuration>>,
        seed: u64,
    ) -> Result<Self, ServerError> {
        let tls = tls::server_config(&options.tls)?;
        let workers = options.workers.clamp(1, 256);
        let mut polls = Vec::new();
        let mut mailboxes = Vec::new();
        for _ in 0..workers {
            let poll = Poll::new()?;
            mailboxes.push(Arc::new(Mailbox::new(Waker::new(poll.registry(), MAILBOX)?)));
            polls.push(poll);
        }
        let listeners = Listeners::open(&options, polls[0].registry())?;
        let post = Arc::new(Post::new(mailboxes, seed, store.rules().audience()));
        store.set_post(post.clone());
        let mut run_id_state = seed ^ now_ms().get();
        let replication = Arc::new(Replication::new(&mut run_id_state, post.clone()));
        store.set_replication(replication.clone());
        let shared = Arc::new_cyclic(|me| Shared {
            store,
            configuration,
            extension: OnceLock::new(),
            post: post.clone(),
            // One for each worker, and one for the link to the primary.
            statistics: (0..=workers).map(|_| Arc::new(Statistics::new())).collect(),
            monitors: AtomicUsize::new(0),
            started_at: now_ms(),
            port: AtomicU64::new(u64::from(listeners.port())),
            run_id: run_id(&mut run_id_state),
            stopping: AtomicBool::new(false),
            errors: Mutex::default(),
            memory_peak: AtomicU64::new(0),
            rates: Mutex::default(),
            evicted_clients: AtomicU64::new(0),
            workers_served: AtomicUsize::new(0),
            saver: Saver::new(),
            loading: Loading::default(),
            replication: replication.clone(),
            couriers: Couriers::default(),
            tenants: Tenants::default(),
            me: me.clone(),
            options: ArcSwap::from_pointee(options),
            listeners: Mutex::new(listeners),
            tls: ArcSwapOption::new(tls),
        });
        shared.follow_replication(&shared.options());
        if let Some(extension) = extension {
            // The cell is new, so it is empty.
            let _ = shared.extension.set(extension);
        }
        let mut threads = Vec::new();
        for (index, poll) in polls.into_iter().enumerate() {
            let mut state = seed.wrapping_add(index as u64);
            let seed = crate::surroundings::next_random(&mut state);
            let worker = Worker::new(index, poll, shared.clone(), seed);
            let name = format!("reef-io-{index}");
            threads.push(std::thread::Builder::new().name(name).spawn(move || worker.run())?);
        }
        Ok(Self { shared, threads })
    }

    /// Loads what was kept and begins to keep what is changed. Until then clients hear that the
    /// server is loading.
    pub fn load(&mut self) -> Result<(), ServerError> {
        self.load_and(|_| Ok(()))
    }

    /// The same, and `settle` does what else is to be done before the first client is served.
    pub fn load_and<E: From<ServerError>>(
        &mut self,
        settle: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let primary = self.shared.options().replication.primary.clone();
        self.shared.store.set_replica(primary.is_some());
        if primary.is_some() {
            self.shared.replication.will_follow();
        }
        self.shared.load().map_err(ServerError::from)?;
        self.threads.extend(Saver::start(&self.shared).map_err(ServerError::from)?);
        settle(self)?;
        self.shared.loading.end();
        if primary.is_some() {
            self.shared.follow(primary, false);
        }
        Ok(())
    }

    /// Makes a tenant what the configuration says. To be called when the data is loaded, where tenants
    /// may be already; on a replica nothing is done.
    pub fn configure_tenant(&self, name: &str, terms: &TenantTerms) -> Result<(), String> {
        self.shared.configure_tenant(name, terms).map_err(|error| error.message())
    }

    /// The TCP port it listens on.
    pub fn port(&self) -> u16 {
        self.shared.port.load(Ordering::Relaxed) as u16
    }

    /// A way in for those who come through another door than the listeners: for each, the other end of a
    /// connection, or the error that it hears.
    pub fn entrance(
        &self,
    ) -> impl Fn(SocketAddr) -> Result<UnixStream, String> + Send + Sync + use<> {
        let shared = self.shared.clone();
        move |peer| {
            let (newcomer, outer) = listener::admit(&shared, peer)?;
            let worker = shared.next_worker();
            shared.post.mailboxes[worker].send(Message::Adopt(Box::new(newcomer)));
            Ok(outer)
        }
    }

    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shared.clone())
    }

    /// Waits until it has stopped.
    pub fn join(mut self) {
        self.wait();
    }

    fn wait(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker died");
            }
        }
        // Nobody changes anything any more.
        if let Err(error) = self.shared.store.log().finish() {
            tracing::error!("the end of the append-only file is not written: {error}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop();
        self.wait();
    }
}

/// Forty hexadecimal digits that name this run of the server.
pub(crate) fn run_id(state: &mut u64) -> String {
    let mut id = String::with_capacity(48);
    while id.len() < 40 {
        id.push_str(&format!("{:016x}", crate::surroundings::next_random(state)));
    }
    id.truncate(40);
    id
}
