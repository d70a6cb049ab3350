//! MIGRATE: keys that move to other servers.
//!
//! Each other server has a courier, a thread of its own that does one errand after the other over one
//! connection, which is kept for a while. A key is read when its turn comes, and watched from then on;
//! when the other server has said that it holds it, the key is deleted here in a step of its own, unless
//! it has changed meanwhile: then it stays, the client hears so, and the other server has it as it was.
//! No shard is held while the network waits, and no worker waits.
//!
//! Invariants: a key is deleted only after the other server said that it holds what is here; whatever
//! goes wrong before that leaves it here. It may be at both servers then, never at none.
//!
//! What this does not do: it speaks no TLS, and does not know whether the other server keeps what it says
//! that it holds.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use reef_engine::error::Error;
use reef_engine::gates::Pause;
use reef_engine::keyspace::ShardSet;
use reef_engine::migration::{Login, Migration};
use reef_engine::rdb;
use reef_engine::step::Cx;
use reef_resp::{OwnedArgv, Protocol, Writer};

use crate::clock::now_ms;
use crate::mailbox::Message;
use crate::replication::command;
use crate::server::Shared;
use crate::store::Store;

/// Most servers that keys are on their way to.
const COURIERS_MAX: usize = 64;
/// For how long a courier without errands keeps its connection.
const IDLE: Duration = Duration::from_secs(10);
/// Bytes and keys that are sent before the other server's answers are awaited.
const WINDOW_BYTES: usize = 1024 * 1024;
const WINDOW_KEYS: usize = 1024;
/// A longer line is no answer.
const LINE_BYTES_MAX: u64 = 4096;
/// How often a courier looks whether a pause is over.
const PAUSE_PERIOD: Duration = Duration::from_millis(1);

/// Where errands go, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Route {
    host: String,
    port: u16,
    login: Option<Login>,
}

/// A client's MIGRATE.
struct Errand {
    client: u64,
    migration: Migration,
}

/// The couriers that are on their way, or were lately.
#[derive(Default)]
pub(crate) struct Couriers {
    routes: Mutex<HashMap<Route, Sender<Errand>>>,
}

impl Shared {
    /// Hands over what a client wants to be moved; it hears when that is done.
    pub(crate) fn migrate(&self, client: u64, migration: Migration) -> Result<(), Error> {
        let Migration { host, port, login, .. } = &migration;
        let route = Route { host: host.clone(), port: *port, login: login.clone() };
        let mut errand = Errand { client, migration };
        let mut routes = self.couriers.routes.lock();
        if let Some(courier) = routes.get(&route) {
            match courier.send(errand) {
                Ok(()) => return Ok(()),
                // A thread ends with the routes in hand, unless it dies.
                Err(unsent) => errand = unsent.0,
            }
            routes.remove(&route);
        }
        if routes.len() >= COURIERS_MAX {
            return Err(Error::MIGRATE_TOO_MANY);
        }
        let (sender, errands) = channel();
        // The other end is at hand.
        let _ = sender.send(errand);
        let shared = Arc::downgrade(&self.me());
        let courier = Courier { shared, route: route.clone(), errands, wire: None };
        let thread = std::thread::Builder::new().name("reef-migrate".to_owned());
        thread.spawn(move || courier.run()).map_err(|error| {
            tracing::error!("keys cannot be moved: {error}");
            Error::MIGRATE_UNREACHABLE
        })?;
        routes.insert(route, sender);
        Ok(())
    }
}

/// A thread that brings keys to one server.
struct Courier {
    shared: Weak<Shared>,
    route: Route,
    errands: Receiver<Errand>,
    wire: Option<Wire>,
}

impl Courier {
    fn run(mut self) {
        loop {
            match self.errands.recv_timeout(IDLE) {
                Ok(errand) => {
                    let Some(shared) = self.shared.upgrade() else { return };
                    self.answer(&shared, &errand);
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let Some(shared) = self.shared.upgrade() else { return };
                    let mut routes = shared.couriers.routes.lock();
                    // Somebody may have come just now.
                    let Ok(errand) = self.errands.try_recv() else {
                        routes.remove(&self.route);
                        return;
                    };
                    drop(routes);
                    self.answer(&shared, &errand);
                }
            }
        }
    }

    fn answer(&mut self, shared: &Arc<Shared>, errand: &Errand) {
        let mut reply = Writer::new(Protocol::Resp2);
        match self.move_keys(shared, &errand.migration) {
            Ok(0) => reply.status("NOKEY"),
            Ok(_) => reply.ok(),
            Err(error) => reply.error(&error.to_string()),
        }
        let bytes = reply.take_data();
        shared.post.tell(errand.client, |client| Message::Reply { client, bytes });
    }

    /// Brings the keys over; gives how many were sent. The first thing that goes wrong is the error, but
    /// unless the connection breaks the other keys are brought all the same.
    fn move_keys(&mut self, shared: &Arc<Shared>, migration: &Migration) -> Result<usize, Error> {
        let mut wire = self.reach(migration)?;
        let mut trip = Trip { shared, migration, under_way: VecDeque::new(), sent: 0, error: None };
        trip.make(&mut wire)?;
        self.wire = Some(wire);
        trip.error.map_or(Ok(trip.sent), Err)
    }

    /// A connection on which the keys' database is selected. One that was kept may be dead by now.
    fn reach(&mut self, migration: &Migration) -> Result<Wire, Error> {
        if let Some(mut kept) = self.wire.take()
            && kept.set_patience(migration.timeout_ms).is_ok()
        {
            match kept.greet(None, migration.to) {
                Ok(()) => return Ok(kept),
                Err(error @ Error::Owned(_)) => return Err(error),
                Err(_) => {}
            }
        }
        let patience = Duration::from_millis(migration.timeout_ms);
        let mut wire = Wire::connect(&migration.host, migration.port, patience).map_err(
            |error| match error.kind() {
                // To Redis, that is a connection which is closed.
                io::ErrorKind::ConnectionRefused => Error::MIGRATE_NOT_SENT,
                _ => Error::MIGRATE_UNREACHABLE,
            },
        )?;
        wire.greet(migration.login.as_ref(), migration.to)?;
        Ok(wire)
    }
}

/// One errand under way.
struct Trip<'a> {
    shared: &'a Arc<Shared>,
    migration: &'a Migration,
    /// Keys that were sent and not answered yet.
    under_way: VecDeque<Watched<'a>>,
    sent: usize,
    error: Option<Error>,
}

impl<'a> Trip<'a> {
    fn make(&mut self, wire: &mut Wire) -> Result<(), Error> {
        let (shared, migration) = (self.shared, self.migration);
        let mut bytes = 0;
        for key in &migration.keys {
            if shared.stopping.load(Ordering::Acquire) {
                return Err(Error::MIGRATE_NOT_SENT);
            }
            let Some((parcel, watched)) = shared.store.pack(migration.from, key) else { continue };
            bytes += parcel.payload.len();
            wire.restore(key, &parcel, migration).map_err(|_| Error::MIGRATE_NOT_SENT)?;
            self.sent += 1;
            self.under_way.push_back(watched);
            if bytes > WINDOW_BYTES || self.under_way.len() >= WINDOW_KEYS {
                self.hear(wire)?;
                bytes = 0;
            }
        }
        self.hear(wire)
    }

    /// Hears what became of the keys under way.
    fn hear(&mut self, wire: &mut Wire) -> Result<(), Error> {
        wire.output.flush().map_err(|_| Error::MIGRATE_NOT_SENT)?;
        while let Some(watched) = self.under_way.pop_front() {
            let outcome = match wire.answer()? {
                Ok(()) if self.migration.copies => Ok(()),
                Ok(()) => watched.take_away(self.shared),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                self.error.get_or_insert(error);
            }
        }
        Ok(())
    }
}

/// A connection to another server.
struct Wire {
    input: BufReader<TcpStream>,
    output: BufWriter<TcpStream>,
}

impl Wire {
    fn connect(host: &str, port: u16, patience: Duration) -> io::Result<Self> {
        let mut error = io::Error::other("the address has no host");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    let wire = Self {
                        input: BufReader::new(socket.try_clone()?),
                        output: BufWriter::new(socket),
                    };
                    wire.set_patience(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX))?;
                    return Ok(wire);
                }
                Err(refused) => error = refused,
            }
        }
        Err(error)
    }

    /// For how long the other may be silent from now on.
    fn set_patience(&self, timeout_ms: u64) -> io::Result<()> {
        let patience = Some(Duration::from_millis(timeout_ms.max(1)));
        self.output.get_ref().set_write_timeout(patience)?;
        self.input.get_ref().set_read_timeout(patience)
    }

    /// Logs in if that is wanted, and selects the database.
    fn greet(&mut self, login: Option<&Login>, database: i64) -> Result<(), Error> {
        if let Some(Login { user, password }) = login {
            let words = [Some(&b"AUTH"[..]), user.as_deref(), Some(password)];
            self.ask(&words.into_iter().flatten().collect::<Vec<_>>())?;
        }
        self.ask(&[b"SELECT", database.to_string().as_bytes()])
    }

    fn ask(&mut self, words: &[&[u8]]) -> Result<(), Error> {
        let sent = self.output.write_all(&command(words)).and_then(|()| self.output.flush());
        sent.map_err(|_| Error::MIGRATE_NOT_SENT)?;
        self.answer()?
    }

    /// Sends a key.
    fn restore(&mut self, key: &[u8], parcel: &Parcel, migration: &Migration) -> io::Result<()> {
        let ttl = parcel.ttl_ms.to_string();
        let words = 4 + usize::from(migration.replaces);
        write!(self.output, "*{words}\r\n")?;
        for word in [b"RESTORE", key, ttl.as_bytes(), &parcel.payload] {
            self.word(word)?;
        }
        if migration.replaces { self.word(b"REPLACE") } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> io::Result<()> {
        write!(self.output, "${}\r\n", word.len())?;
        self.output.write_all(word)?;
        self.output.write_all(b"\r\n")
    }

    /// The next answer: the inner error is what the other server said, the outer one that it said
    /// nothing.
    fn answer(&mut self) -> Result<Result<(), Error>, Error> {
        let mut line = Vec::new();
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match (read, line.split_first()) {
            (Ok(_), Some((b'+', _))) if line.ends_with(b"\n") => Ok(Ok(())),
            (Ok(_), Some((b'-', text))) if line.ends_with(b"\n") => {
                Ok(Err(Error::target_replied(text.trim_ascii_end())))
            }
            _ => Err(Error::MIGRATE_NOT_HEARD),
        }
    }
}

/// A key as it goes over.
struct Parcel {
    payload: Vec<u8>,
    /// For how long it still lives; 0: for ever.
    ttl_ms: u64,
}

/// A key that is under way: watched until this is dropped.
struct Watched<'a> {
    store: &'a Store,
    database: u32,
    key: &'a [u8],
    version: u64,
}

impl Watched<'_> {
    /// Deletes the key, if it has not changed.
    fn take_away(&self, shared: &Shared) -> Result<(), Error> {
        let store = self.store;
        // A server that is about to hand over lets nothing be written.
        while store.pause_at(now_ms()) != Pause::Nothing && !shared.stopping.load(Ordering::Acquire)
        {
            std::thread::sleep(PAUSE_PERIOD);
        }
        store.with_key(self.database, self.key, |cx| {
            if let Some(refusal) = store.refusal() {
                return Err(Error::Owned(refusal));
            }
            if !cx.keys.is_unchanged(self.database, self.key, self.version) {
                return Err(Error::MIGRATE_CHANGED);
            }
            let argv: OwnedArgv = [b"DEL".as_slice(), self.key].into_iter().collect();
            match cx.registry.resolve(argv.as_argv()) {
                Ok(Some(command)) => cx.try_run(&command, argv.as_argv()),
                _ => Ok(()),
            }
        })
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.store.with_key(self.database, self.key, |cx| cx.keys.unwatch(self.database, self.key));
    }
}

impl Store {
    /// A key as it goes over, watched from now on. None if there is none any more.
    fn pack<'a>(&'a self, database: u32, key: &'a [u8]) -> Option<(Parcel, Watched<'a>)> {
        self.with_key(database, key, |cx| {
            let (now, hasher) = (cx.keys.now, &cx.keys.rules.hasher);
            let slot = cx.keys.read(key)?;
            let ttl_ms = slot.expires_at().map_or(0, |at| at.since(now).max(1));
            let parcel = Parcel { payload: rdb::dump_for_any(slot, hasher), ttl_ms };
            let version = cx.keys.watch(key);
            Some((parcel, Watched { store: self, database, key, version }))
        })
    }

    fn with_key<R>(&self, database: u32, key: &[u8], act: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let mut shards = ShardSet::NONE;
        shards.insert(self.rules().shard_of(key));
        self.run_unasked(database, shards, act)
    }
}
