//! The link to the primary: a thread that connects, takes what it lacks, and then runs what the
//! primary says, until another is to be followed or none.
//!
//! What the primary says is run unit by unit, and relayed word for word to our own replicas in the
//! same step, so that everybody's offsets are the primary's. When the link breaks it is made again,
//! twice a second, and goes on from where it was if the primary still knows.

use std::io::{self, BufReader};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reef_engine::client_info::{ClientInfo, ClientKind};
use reef_engine::clock::Millis;
use reef_engine::gates::Conditions;
use reef_engine::session::Session;
use reef_resp::{Argv, Decoder, Limits, OwnedArgv, Progress, Writer};
use reef_storage::SnapshotFile;

use super::handshake::{Introduction, Offer, Wire};
use super::stream::Relayed;
use super::stream_database;
use crate::clock::now_ms;
use crate::indexes::as_run;
use crate::persistence::{Meeting, Summary, read_snapshot};
use crate::server::Shared;
use crate::tenants::{Route, selected};

/// How often the primary hears how far this server has come.
const ACKNOWLEDGE_PERIOD: Duration = Duration::from_secs(1);
/// How long after a try that failed the next one is made.
const RETRY: Duration = Duration::from_millis(500);

/// How a link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// It is to be made.
    Down,
    /// It is being made.
    Connecting,
    /// Both sides introduce themselves.
    Handshake,
    /// A snapshot is under way.
    Synchronising,
    /// It is up.
    Connected,
}

impl LinkState {
    /// As ROLE tells it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Down => "connect",
            Self::Connecting => "connecting",
            Self::Handshake => "handshake",
            Self::Synchronising => "sync",
            Self::Connected => "connected",
        }
    }
}

/// The primary that this server follows.
#[derive(Debug)]
pub(crate) struct Primary {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) link: LinkState,
    /// The link's number among all clients.
    pub(crate) id: u64,
    /// When the link was made.
    pub(crate) connected_at: Millis,
    /// When it was last heard.
    pub(crate) heard_at: Millis,
    /// Since when the link is down.
    pub(crate) down_since: Millis,
    /// Bytes of a snapshot that are here, and how many there are, if that is known.
    pub(crate) snapshot_bytes: (u64, Option<u64>),
    socket: Option<TcpStream>,
    is_over: Arc<AtomicBool>,
}

impl Primary {
    /// Begins to follow a primary, which is to be the primary of this server from now on although it
    /// was its replica if it `takes_over`.
    pub(crate) fn begin(shared: &Arc<Shared>, host: String, port: u16, takes_over: bool) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let follower = Follower {
            shared: shared.clone(),
            host: host.clone(),
            port,
            generation: shared.replication.stream.history().generation,
            is_over: is_over.clone(),
            takes_over,
            session: Session::obeying(),
            selected: 0,
            route: Route::default(),
            unit: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("reef-primary".to_owned());
        if let Err(error) = thread.spawn(move || follower.run()) {
            tracing::error!("the primary cannot be followed: {error}");
        }
        tracing::info!("REPLICAOF {host}:{port} enabled");
        Self {
            host,
            port,
            link: LinkState::Down,
            id: 0,
            connected_at: now_ms(),
            heard_at: now_ms(),
            down_since: now_ms(),
            snapshot_bytes: (0, None),
            socket: None,
            is_over,
        }
    }

    /// The link as one of the clients, if it is up.
    pub(crate) fn as_client(&self, database: u32) -> Option<ClientInfo> {
        let socket = self.socket.as_ref().filter(|_| self.link == LinkState::Connected)?;
        let text = |address: io::Result<SocketAddr>| {
            address.map(|address| address.to_string()).unwrap_or_default()
        };
        Some(ClientInfo {
            id: self.id,
            address: text(socket.peer_addr()),
            local_address: text(socket.local_addr()),
            descriptor: socket.as_raw_fd(),
            age_s: now_ms().since(self.connected_at) / 1000,
            idle_s: now_ms().since(self.heard_at) / 1000,
            kind: ClientKind::Primary,
            database,
            user: "(superuser)".to_owned(),
            protocol: 2,
            ..ClientInfo::default()
        })
    }

    /// Ends the link and its thread.
    pub(crate) fn break_off(&self) {
        self.is_over.store(true, Ordering::Release);
        self.break_link();
    }

    /// Ends the link; its thread makes it again.
    pub(crate) fn break_link(&self) {
        if let Some(socket) = &self.socket {
            // One that is closed already needs no more.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// The thread behind a link.
struct Follower {
    shared: Arc<Shared>,
    host: String,
    port: u16,
    generation: u64,
    is_over: Arc<AtomicBool>,
    takes_over: bool,
    /// Whoever says what the primary says.
    session: Session,
    /// The database that the commands of the unit so far select.
    /// Whose engine it is in.
    route: Route,
    selected: u32,
    /// What has been said since the last unit was complete.
    unit: Vec<u8>,
}

impl Follower {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Acquire) && !self.shared.stopping.load(Ordering::Acquire)
    }

    fn run(mut self) {
        // From now on steps say their effects, so that what the primary says is relayed within them.
        self.shared.follow_copies();
        while self.goes_on() {
            if let Err(error) = self.run_link()
                && self.goes_on()
            {
                self.tell_why(&error);
            }
            let was_up = self.shared.replication.is_linked.swap(false, Ordering::AcqRel);
            self.note(|primary| {
                if primary.link == LinkState::Connected {
                    primary.down_since = now_ms();
                }
                primary.link = LinkState::Down;
                primary.socket = None;
            });
            // A link that was up is made again at once.
            let since = Instant::now();
            while !was_up && self.goes_on() && since.elapsed() < RETRY {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Tells the operator why the link is down.
    fn tell_why(&self, error: &io::Error) {
        let (host, port) = (&self.host, self.port);
        let mut link = LinkState::Down;
        self.note(|primary| link = primary.link);
        match (error.kind(), link) {
            (io::ErrorKind::TimedOut, LinkState::Connected) => {
                tracing::warn!("MASTER timeout: no data nor PING received from {host}:{port}");
            }
            (io::ErrorKind::TimedOut, LinkState::Synchronising) => {
                tracing::warn!("Timeout receiving bulk data from MASTER {host}:{port}");
            }
            (io::ErrorKind::TimedOut, _) => {
                tracing::warn!("Timeout connecting to the MASTER {host}:{port}");
            }
            _ => tracing::warn!("Connection with master {host}:{port} lost: {error}"),
        }
    }

    /// Notes something about the link, unless another has taken its place.
    fn note(&self, change: impl FnOnce(&mut Primary)) {
        let mut primary = self.shared.replication.primary.lock();
        let own = primary.as_mut().filter(|primary| Arc::ptr_eq(&primary.is_over, &self.is_over));
        if let Some(own) = own {
            change(own);
        }
    }

    fn run_link(&mut self) -> io::Result<()> {
        let options = self.shared.options().replication.clone();
        self.note(|primary| primary.link = LinkState::Connecting);
        tracing::info!("Connecting to MASTER {}:{}", self.host, self.port);
        let mut wire = Wire::connect(&self.shared, &self.host, self.port)?;
        while self.goes_on() && self.shared.replication.sleepers.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let clone = wire.socket.try_clone()?;
        self.note(|primary| {
            primary.link = LinkState::Handshake;
            primary.socket = Some(clone);
        });
        let history = self.shared.replication.stream.history();
        // Nobody else can know a stream that was never begun.
        let is_known = history.end > 0 || history.backlog.is_some() || self.takes_over;
        let known = is_known.then(|| (history.id.clone(), history.end));
        drop(history);
        let introduction = Introduction {
            options: &options,
            port: self.shared.port.load(Ordering::Relaxed) as u16,
            history: known,
            takes_over: self.takes_over,
        };
        let offer = wire.shake_hands(&introduction, &|| self.goes_on());
        // Who has not heard the question is asked again.
        if wire.has_asked && std::mem::take(&mut self.takes_over) {
            if let Err(error) = &offer {
                tracing::warn!("Failover target rejected psync request: {error}");
            }
            self.shared.end_handover(offer.is_ok());
        }
        match offer? {
            Offer::Everything { id, position } => {
                tracing::info!("Full resync from master: {id}:{position}");
                self.take_everything(&mut wire, id, position)?;
                tracing::info!("MASTER <-> REPLICA sync: Finished with success");
            }
            Offer::Continuation { id } => {
                self.go_on_as(id);
                tracing::info!("Successful partial resynchronization with master.");
            }
        }
        let id = self.shared.post.clients.new_id();
        self.note(|primary| {
            primary.link = LinkState::Connected;
            primary.id = id;
            primary.connected_at = now_ms();
            primary.heard_at = now_ms();
        });
        // Who began to wait while the role changed.
        self.shared.end_blocked();
        self.shared.replication.is_linked.store(true, Ordering::Release);
        self.run_stream(&mut wire)
    }

    /// This database is selected in the stream.
    fn select(&mut self, database: u32) {
        // A database that nobody has is told of when a command is for it.
        self.session.database = self.route.select(&self.shared, database).unwrap_or(0);
        self.selected = database;
    }

    /// Goes on where the last link ended.
    fn go_on_as(&mut self, id: Option<String>) {
        // What was said of a unit that was not complete is said again.
        self.unit.clear();
        self.session = Session::obeying();
        // What is selected stays from link to link.
        let database = self.shared.replication.stream.history().database;
        self.select(database);
        let stream = &self.shared.replication.stream;
        let mut history = stream.history();
        // What the primary says is kept for others, who go on from here when it is gone.
        stream.begin(&mut history);
        if let Some(id) = id.filter(|id| *id != history.id) {
            tracing::info!("Master replication ID changed to {id}");
            history.rename(id);
            // They must hear of it.
            stream.dismiss_all(&history, None);
        }
    }

    // ---- everything ----------------------------------------------------------------------

    fn take_everything(&mut self, wire: &mut Wire, id: String, position: u64) -> io::Result<()> {
        self.note(|primary| {
            primary.link = LinkState::Synchronising;
            primary.snapshot_bytes = (0, None);
        });
        let options = self.shared.options().persistence.clone();
        let path = options.dir.join(format!("temp-{}-primary.rdb", std::process::id()));
        self.receive_snapshot(wire, &path)?;
        // The log must not go on behind other data: it begins anew.
        let is_logged = self.shared.store.log().is_on();
        if is_logged {
            self.shared.saver.call_off();
            self.shared.end_log();
        }
        let loaded = self.load(&path);
        self.shared.loading.end();
        let database = stream_database(&loaded?);
        // The snapshot is this server's own from now on.
        self.shared.saver.disk.rename(&path, &options.snapshot_path())?;
        self.unit.clear();
        self.session = Session::obeying();
        self.select(database);
        let stream = &self.shared.replication.stream;
        let mut history = stream.history();
        history.database = database;
        stream.dismiss_all(&history, None);
        stream.take_over(&mut history, id, position);
        drop(history);
        if is_logged {
            self.shared.saver.want_rewrite();
        }
        Ok(())
    }

    /// Takes a snapshot from the primary into a file.
    fn receive_snapshot(&self, wire: &mut Wire, path: &Path) -> io::Result<()> {
        let header = wire.line(&|| self.goes_on())?;
        let mut file = SnapshotFile::create(self.shared.saver.disk.clone(), path.to_owned())?;
        if let Some(mark) = header.strip_prefix("$EOF:") {
            tracing::info!(
                "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk"
            );
            self.receive_to_mark(wire, mark.as_bytes(), &mut file)?;
        } else {
            let len = header.strip_prefix('$').and_then(|len| len.parse().ok());
            let len = len.ok_or_else(|| io::Error::other(format!("no snapshot but '{header}'")))?;
            tracing::info!("MASTER <-> REPLICA sync: receiving {len} bytes from master to disk");
            self.receive_bytes(wire, len, &mut file)?;
        }
        file.finish()
    }

    fn receive_bytes(&self, wire: &mut Wire, len: u64, file: &mut SnapshotFile) -> io::Result<()> {
        let mut left = len;
        loop {
            let count = wire.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.write(&wire.buffer[..count])?;
            wire.buffer.drain(..count);
            left -= count as u64;
            self.note(|primary| primary.snapshot_bytes = (len - left, Some(len)));
            if left == 0 {
                return Ok(());
            }
            wire.read_more(&|| self.goes_on())?;
        }
    }

    /// The last bytes of the snapshot are followed by the mark, and then by nothing until this server
    /// has spoken.
    fn receive_to_mark(
        &self,
        wire: &mut Wire,
        mark: &[u8],
        file: &mut SnapshotFile,
    ) -> io::Result<()> {
        let mut received = 0;
        loop {
            if wire.buffer.ends_with(mark) {
                wire.buffer.truncate(wire.buffer.len() - mark.len());
                file.write(&wire.buffer)?;
                wire.buffer.clear();
                return Ok(());
            }
            // The mark may have come in part.
            let count = wire.buffer.len().saturating_sub(mark.len());
            file.write(&wire.buffer[..count])?;
            wire.buffer.drain(..count);
            received += count as u64;
            self.note(|primary| primary.snapshot_bytes = (received, None));
            wire.read_more(&|| self.goes_on())?;
        }
    }

    /// Puts a snapshot in the place of all data.
    fn load(&self, path: &Path) -> io::Result<Summary> {
        let shared = &self.shared;
        let reader = shared.saver.disk.read(path)?;
        if !self.goes_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        tracing::info!("MASTER <-> REPLICA sync: Loading DB in memory");
        shared.loading.begin(shared.saver.disk.len(path)?);
        shared.store.begin_era();
        shared.empty();
        let started = Instant::now();
        let summary = read_snapshot(
            &mut BufReader::with_capacity(1 << 20, reader),
            &shared.reading(&shared.store.rules(), &self.is_over),
            &mut |name, value| shared.note_field(name, value),
            &mut |batch| shared.insert_loaded(batch, Meeting::Refused),
            &mut |bytes| shared.loading.note(bytes),
        )
        .map_err(io::Error::other)?;
        shared.restore_notices(&summary);
        shared.settle_notices_later();
        let took = started.elapsed().as_secs_f64();
        let keys = summary.keys;
        tracing::info!("MASTER <-> REPLICA sync: {keys} keys loaded in {took:.3} seconds");
        Ok(summary)
    }

    // ---- the stream ----------------------------------------------------------------------

    fn run_stream(&mut self, wire: &mut Wire) -> io::Result<()> {
        let mut decoder = Decoder::new();
        let mut acknowledged: Option<Instant> = None;
        let (mut heard, mut wants_ack) = (Instant::now(), false);
        while self.goes_on() {
            let is_due = acknowledged.is_none_or(|at| at.elapsed() >= ACKNOWLEDGE_PERIOD);
            if is_due || std::mem::take(&mut wants_ack) {
                self.acknowledge(wire)?;
                acknowledged = Some(Instant::now());
            }
            if wire.read_some()? > 0 {
                heard = Instant::now();
                self.note(|primary| primary.heard_at = now_ms());
            } else if heard.elapsed() > self.shared.patience() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let used = self.apply(&wire.buffer, &mut decoder, &mut wants_ack)?;
            wire.buffer.drain(..used);
            if self.shared.store.log().is_on() {
                // How that went is in the log's status.
                let _ = self.shared.store.log().settle();
            }
        }
        Ok(())
    }

    fn acknowledge(&self, wire: &mut Wire) -> io::Result<()> {
        let end = self.shared.replication.stream.end().to_string();
        let logged = self.shared.logged_position().map(|position| position.to_string());
        let mut words: Vec<&[u8]> = vec![b"REPLCONF", b"ACK", end.as_bytes()];
        if let Some(logged) = &logged {
            words.extend([&b"FACK"[..], logged.as_bytes()]);
        }
        wire.say(&words)
    }

    /// Runs the complete commands at the head of `bytes`; gives how many bytes they are.
    fn apply(
        &mut self,
        bytes: &[u8],
        decoder: &mut Decoder,
        wants_ack: &mut bool,
    ) -> io::Result<usize> {
        let limits = Limits { bulk_bytes_max: i64::MAX / 2, authenticated: true };
        let mut used = 0;
        let mut reply = Writer::default();
        while self.goes_on() {
            let rest = &bytes[used..];
            match decoder.decode(rest, &limits) {
                Ok(Progress::Command { used: count }) => {
                    let argv = decoder.argv(rest);
                    *wants_ack |= is_getack(argv);
                    self.run_command(argv, &rest[..count], &mut reply);
                    used += count;
                }
                Ok(Progress::Incomplete { .. }) => break,
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
        Ok(used)
    }

    fn run_command(&mut self, argv: Argv<'_>, bytes: &[u8], reply: &mut Writer) {
        let chosen = selected(argv);
        let followed = self.route.follow(&self.shared, argv);
        let argv = match &followed {
            Ok(Some(instead)) => instead.as_argv(),
            _ => argv,
        };
        let search = as_run(argv);
        let argv = search.as_ref().map_or(argv, OwnedArgv::as_argv);
        if let Err(error) = &followed {
            tracing::error!("what the primary says cannot be followed: {error}");
        }
        let store = &self.route.store(&self.shared).clone();
        self.unit.extend_from_slice(bytes);
        self.selected = chosen.unwrap_or(self.selected);
        let relayed =
            Relayed { unit: &self.unit, generation: self.generation, database: self.selected };
        let mut host = store.batch_host();
        let is_heeded = self.shared.heed(argv);
        if !is_heeded && !argv.is_empty() && !argv.get(0).eq_ignore_ascii_case(b"REPLCONF") {
            host.relayed = Some(relayed);
            reply.clear();
            let mark = reply.mark();
            let moment = store.moment(now_ms(), Conditions::default);
            let started = Instant::now();
            let execution = store.execute(&moment, &mut self.session, argv, reply, &mut host);
            let failed = reply.is_error_since(mark);
            let counted = execution.command.filter(|_| execution.ran);
            if let (Some(id), Some(statistics)) = (counted, self.shared.statistics.last()) {
                statistics.count(id, failed, started.elapsed(), true);
            }
            if failed {
                let text = String::from_utf8_lossy(reply.data_since(mark)).into_owned();
                tracing::error!("what the primary says fails here: {}", text.trim_end());
            }
        }
        if self.session.transaction().is_some() {
            return;
        }
        if host.relayed.is_some() || is_heeded || argv.get(0).eq_ignore_ascii_case(b"REPLCONF") {
            // It had no effect.
            self.shared.replication.stream.relay(relayed);
        }
        self.unit.clear();
    }
}

fn is_getack(argv: Argv<'_>) -> bool {
    argv.len() > 1
        && argv.get(0).eq_ignore_ascii_case(b"REPLCONF")
        && argv.get(1).eq_ignore_ascii_case(b"GETACK")
}
