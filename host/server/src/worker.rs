//! One `io-threads` worker: an event loop that receives, executes in place and answers.
//!
//! A turn of the loop: wait for readiness; for each ready connection receive what is there, run
//! every complete command against the store, and send all its replies with one system call when the
//! others have run theirs. Bytes are received into one buffer per worker and parsed where they lie;
//! only the rest of an incomplete command is kept with the connection.
//!
//! Invariants: a connection's replies are sent in the order of its commands; a connection that
//! waits for a late reply executes nothing; one connection never has the worker for longer than
//! [`TURN_BYTES`] of input before the others have their moment.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use reef_engine::clock::Millis;
use reef_engine::gates::Pause;
use reef_engine::session::Session;
use reef_resp::{Pipeline, Writer};
use slab::Slab;

use crate::clients::Card;
use crate::clock::now_ms;
use crate::connection::{Connection, Deadlines, Sent};
use crate::housekeeping::HOUSEKEEPING_MS;
use crate::link::Link;
use crate::listener::LISTENERS;
use crate::mailbox::{Mailbox, Message, Newcomer};
use crate::readiness::{Readiness, Ready};
use crate::server::Shared;
use crate::statistics::Statistics;
use crate::store::Moment;
use crate::timing::Stopwatch;

/// Bytes received at once, and so the most that one connection may have per moment.
const TURN_BYTES: usize = 64 * 1024;

/// The token of the mailbox; that of the listeners lies below it, connections' start at 0.
pub(crate) const MAILBOX: Token = Token(usize::MAX);

pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) readiness: Readiness,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) statistics: Arc<Statistics>,
    /// Each in a place of its own: a table of whole connections would double as it grows.
    pub(crate) connections: Slab<Box<Connection>>,
    /// Where each client is in the slab.
    pub(crate) places: std::collections::HashMap<u64, usize>,
    /// When whose wait is over.
    pub(crate) deadlines: Deadlines,
    /// Whether a connection had its moment since readiness was looked at.
    pub(crate) has_served: bool,
    /// Connections that have more to receive or execute without a new readiness.
    unfinished: Vec<usize>,
    /// Messages that were taken out of the mailbox and not read yet.
    pub(crate) mail: VecDeque<Message>,
    /// Connections whose replies are kept to go out together.
    pub(crate) answered: Vec<usize>,
    /// The same of clients that have waited.
    pub(crate) answered_late: Vec<usize>,
    /// Connections to whose output something else was appended.
    pub(crate) touched: Vec<usize>,
    buffer: Box<[u8]>,
    /// The commands at hand; empty between moments.
    pub(crate) pipeline: Pipeline,
    pub(crate) reply: Writer,
    pub(crate) random: u64,
    /// Times the commands of a moment.
    pub(crate) stopwatch: Stopwatch,
    /// Whether the times of commands are counted.
    pub(crate) latency_tracking: bool,
    /// Clients whose next command waits for the end of a pause.
    pub(crate) postponed: Vec<u64>,
    pub(crate) next_housekeeping: Millis,
    /// The period that peaks are counted in.
    pub(crate) peak_period: u64,
    stopping: bool,
}

/// What becomes of a connection after its moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits for readiness.
    Idle,
    /// It has more to do at once.
    Unfinished,
    /// It is closed.
    Closed,
}

impl Worker {
    pub(crate) fn new(index: usize, poll: Poll, shared: Arc<Shared>, seed: u64) -> Self {
        Self {
            index,
            readiness: Readiness::new(poll),
            mailbox: shared.post.mailboxes[index].clone(),
            statistics: shared.statistics[index].clone(),
            shared,
            connections: Slab::new(),
            places: std::collections::HashMap::new(),
            deadlines: Deadlines::default(),
            has_served: false,
            unfinished: Vec::new(),
            mail: VecDeque::new(),
            answered: Vec::new(),
            answered_late: Vec::new(),
            touched: Vec::new(),
            buffer: vec![0; TURN_BYTES].into_boxed_slice(),
            pipeline: Pipeline::default(),
            reply: Writer::default(),
            random: seed,
            stopwatch: Stopwatch::start(),
            latency_tracking: true,
            postponed: Vec::new(),
            next_housekeeping: Millis::default(),
            peak_period: 0,
            stopping: false,
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let mut ready = Vec::new();
        while !self.stopping {
            let timeout = self.timeout();
            if let Err(error) = self.readiness.wait(timeout) {
                tracing::error!("worker {} cannot wait for its sockets: {error}", self.index);
                return;
            }
            self.readiness.swap(&mut ready);
            self.has_served = false;
            let moment = self.moment();
            self.latency_tracking = self.shared.options().latency_tracking;
            self.read_mail(&moment);
            self.shared.expire_due(moment.now);
            self.shared.store.evict_more(moment.now);
            self.shared.index_more();
            self.end_due_waits(&moment);
            self.resume(&moment);
            for Ready { token, is_writable } in ready.drain(..) {
                match token {
                    MAILBOX => {}
                    LISTENERS => self.accept(),
                    Token(place) => self.ready(place, is_writable, &moment),
                }
            }
            for place in std::mem::take(&mut self.unfinished) {
                self.serve(place, &moment);
            }
            self.read_mail(&moment);
            self.settle();
            self.send_answers();
            self.send_pushes();
            self.keep_house(moment.now);
        }
        self.close_all();
    }

    fn moment(&self) -> Moment {
        let now = now_ms();
        self.shared.store.moment(now, || self.shared.conditions())
    }

    fn timeout(&self) -> Duration {
        let store = &self.shared.store;
        let now = now_ms();
        // A command of an earlier era is stopped where there is no pause.
        let may_resume = self.postponed.iter().any(|client| self.may_go_on(*client, now));
        let is_busy = !self.unfinished.is_empty()
            || self.readiness.is_left()
            || may_resume
            || store.ledger().is_unfinished()
            || self.shared.is_indexing();
        if !self.mailbox.may_sleep() || is_busy {
            return Duration::ZERO;
        }
        let mut wait_ms = HOUSEKEEPING_MS;
        for client in &self.postponed {
            wait_ms = wait_ms.min(self.pause_left_ms(*client, now));
        }
        if store.pause_at(now) != Pause::Nothing {
            wait_ms = wait_ms.min(store.pause().end().since(now));
        } else if let Some(at) = self.shared.next_expiry() {
            wait_ms = wait_ms.min(at.since(now));
        }
        let wait = Duration::from_millis(wait_ms);
        match self.deadlines.first() {
            Some((at, _)) => wait.min(at.saturating_duration_since(Instant::now())),
            None => wait,
        }
    }

    /// Whether a client whose command was postponed may go on.
    fn may_go_on(&self, client: u64, now: Millis) -> bool {
        let connection = self.places.get(&client).and_then(|place| self.connections.get(*place));
        connection.is_none_or(|c| c.card.store(&self.shared).pause_at(now) == Pause::Nothing)
    }

    /// For how long its tenant's pause goes on.
    fn pause_left_ms(&self, client: u64, now: Millis) -> u64 {
        let connection = self.places.get(&client).and_then(|place| self.connections.get(*place));
        connection.map_or(0, |c| c.card.store(&self.shared).pause().end().since(now))
    }

    // ---- connections come and go ---------------------------------------------------------

    fn accept(&mut self) {
        loop {
            let newcomer = self.shared.listeners.lock().accept(&self.shared);
            let Some(newcomer) = newcomer else { return };
            let worker = self.shared.next_worker();
            if worker == self.index {
                self.adopt(newcomer);
            } else {
                self.shared.post.mailboxes[worker].send(Message::Adopt(Box::new(newcomer)));
            }
        }
    }

    fn adopt(&mut self, newcomer: Newcomer) {
        let Newcomer { socket, tls, id, peer, local } = newcomer;
        let socket = Arc::new(socket);
        let Some(link) = self.shared.link(socket.clone(), tls) else {
            self.shared.post.clients.dismiss();
            return;
        };
        let entry = self.connections.vacant_entry();
        let place = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.readiness.registry();
        let descriptor = socket.descriptor();
        if let Err(error) = registry.register(&mut SourceFd(&descriptor), Token(place), interest) {
            tracing::warn!("a connection cannot be served: {error}");
            self.shared.post.clients.dismiss();
            return;
        }
        let card = Arc::new(Card::new(id, (self.index, place), (peer, local), socket, now_ms()));
        self.shared.post.clients.insert(card.clone());
        let session = Session::of(id, self.shared.store.default_account());
        let connection = Connection::new(link, session, card);
        connection.update_memory(&self.shared.store.ledger().client_bytes);
        entry.insert(Box::new(connection));
        self.places.insert(id, place);
    }

    pub(crate) fn close(&mut self, place: usize) {
        // It may have asked something and hung up in the same breath.
        self.send_answer(place);
        let Some(mut connection) = self.connections.try_remove(place) else { return };
        self.places.remove(&connection.session.id);
        if let Some(waited) = connection.forget_wait(&mut self.deadlines) {
            // Before the socket closes: who holds the waiter's shards may look at it.
            connection.card.store(&self.shared).end_wait(&waited.waiter);
        }
        let card = connection.card.clone();
        card.store(&self.shared).end_session(&mut connection.session);
        card.post(&self.shared).forget(&connection.session);
        if let Some(tenant) = card.tenant() {
            tenant.leave();
        }
        if connection.is_copier || connection.waiting {
            self.shared.replication.stream.forget(connection.session.id);
        }
        let bytes = connection.card.memory_bytes.swap(0, Ordering::Relaxed) as usize;
        self.shared.store.ledger().client_bytes.fetch_sub(bytes, Ordering::AcqRel);
        if connection.session.monitoring {
            self.shared.monitors.fetch_sub(1, Ordering::AcqRel);
        }
        self.shared.post.clients.remove(connection.session.id);
        // After that: a call of its that still runs looks there when it ends.
        // It may have called plugins of the default tenant before it authenticated into another one.
        let own = card.tenant().and_then(|tenant| tenant.extension.get());
        for extension in own.into_iter().chain(self.shared.extension.get()) {
            extension.client_left(connection.session.id);
        }
        // A socket that cannot be deregistered is closed by being dropped all the same.
        let descriptor = connection.link.socket.descriptor();
        let _ = self.readiness.registry().deregister(&mut SourceFd(&descriptor));
        self.readiness.forget(place);
    }

    /// Ends what others could notice of a connection that closes when its last reply is sent.
    pub(crate) fn take_leave(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        connection.card.store(&self.shared).end_session(&mut connection.session);
        connection.card.post(&self.shared).forget(&connection.session);
    }

    fn close_all(&mut self) {
        self.shared.listeners.lock().close();
        let places: Vec<usize> = self.connections.iter().map(|(place, _)| place).collect();
        places.into_iter().for_each(|place| self.close(place));
    }

    // ---- readiness -----------------------------------------------------------------------

    #[inline]
    fn ready(&mut self, place: usize, is_writable: bool, moment: &Moment) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        if is_writable && connection.flush() == Sent::Broken {
            return self.close(place);
        }
        connection.readable = true;
        if connection.is_copier && is_writable {
            let client = connection.session.id;
            self.feed_replica(client);
        }
        self.serve(place, moment);
    }

    /// Gives a connection its moment.
    pub(crate) fn serve(&mut self, place: usize, moment: &Moment) {
        let fate = self.take_turn(place, moment);
        self.has_served = true;
        match fate {
            // Whoever waits for a key hears nothing more once it has hung up.
            Fate::Idle if self.is_waiting_corpse(place) => self.close(place),
            Fate::Idle => {}
            Fate::Unfinished => self.unfinished.push(place),
            Fate::Closed => self.close(place),
        }
        self.send_many_answers();
    }

    fn is_waiting_corpse(&self, place: usize) -> bool {
        self.readiness.has_hung_up(place)
            && self.connections.get(place).is_some_and(|connection| connection.waiter.is_some())
    }

    fn take_turn(&mut self, place: usize, moment: &Moment) -> Fate {
        let Some(connection) = self.connections.get(place) else { return Fate::Idle };
        if connection.card.is_doomed() {
            return Fate::Closed;
        }
        if connection.session.closing {
            // Closed as soon as everything is sent.
            return if connection.output.is_empty() { Fate::Closed } else { Fate::Idle };
        }
        if connection.waiting {
            return Fate::Idle;
        }
        let kept = !connection.input.is_empty();
        if kept { self.take_turn_kept(place, moment) } else { self.take_turn_fresh(place, moment) }
    }

    /// Nothing is kept: receives into the worker's buffer and executes there.
    #[inline]
    fn take_turn_fresh(&mut self, place: usize, moment: &Moment) -> Fate {
        let mut buffer = std::mem::take(&mut self.buffer);
        let room = buffer.len();
        let fate = match self.receive(place, room, |link| link.read(&mut buffer)) {
            Received::Nothing => Fate::Idle,
            Received::End => Fate::Closed,
            Received::Bytes(count) => {
                let (used, fate) = self.execute(place, &buffer[..count], moment);
                if used < count && fate != Fate::Closed {
                    self.connections[place].input.append(&buffer[used..count]);
                    self.connections[place].update_memory(&self.shared.store.ledger().client_bytes);
                }
                self.statistics.input_peak.note(count as u64);
                self.after_commands(place, fate)
            }
        };
        self.buffer = buffer;
        fate
    }

    /// Something is kept: receives behind it and executes in the connection's own buffer.
    fn take_turn_kept(&mut self, place: usize, moment: &Moment) -> Fate {
        let mut input = std::mem::take(&mut self.connections[place].input);
        let (mut used, mut fate) = self.execute(place, input.received(), moment);
        let connection = &self.connections[place];
        // What comes behind a command that waits stays where it is.
        let may_go_on = !connection.waiting && !connection.session.closing;
        if fate == Fate::Idle && connection.readable && may_go_on {
            let missing = connection.missing;
            input.consume(used);
            used = 0;
            let buffer = input.with_room(missing);
            let room = buffer.capacity() - buffer.len();
            match self.receive(place, room, |link| link.read_behind(buffer)) {
                Received::Nothing => {}
                Received::End => fate = Fate::Closed,
                Received::Bytes(_) => {
                    (used, fate) = self.execute(place, input.received(), moment);
                }
            }
        }
        input.consume(used);
        if input.received().len() > self.shared.options().query_buffer_bytes_max {
            tracing::warn!("a client is closed: its query buffer exceeds the limit");
            fate = Fate::Closed;
        }
        self.statistics.input_peak.note(input.received().len() as u64);
        self.connections[place].input = input;
        self.connections[place].update_memory(&self.shared.store.ledger().client_bytes);
        self.after_commands(place, fate)
    }

    /// Unfinished if the socket may have more, or if kept commands wait for nothing.
    fn after_commands(&mut self, place: usize, fate: Fate) -> Fate {
        let connection = &self.connections[place];
        let more = connection.readable && !connection.waiting;
        if fate == Fate::Idle && more && !connection.session.closing {
            return Fate::Unfinished;
        }
        fate
    }

    /// Receives by `read`, which has so much room.
    #[inline]
    fn receive(
        &mut self,
        place: usize,
        room: usize,
        mut read: impl FnMut(&mut Link) -> io::Result<usize>,
    ) -> Received {
        let connection = &mut self.connections[place];
        if !connection.readable {
            return Received::Nothing;
        }
        loop {
            match read(&mut connection.link) {
                Ok(0) => return Received::End,
                Ok(count) => {
                    // Whoever has hung up has said so once: the end is to be read, too.
                    connection.readable = self.readiness.has_hung_up(place)
                        || !connection.link.is_drained(count, room);
                    self.readiness.received();
                    self.statistics.reads.add(1);
                    self.statistics.bytes_in.add(count as u64);
                    return Received::Bytes(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return Received::Nothing;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Received::End,
            }
        }
    }

    // ---- mail ----------------------------------------------------------------------------

    fn read_mail(&mut self, moment: &Moment) {
        self.mail.extend(self.mailbox.take());
        if !self.mail.is_empty() {
            self.readiness.received();
        }
        while let Some(message) = self.mail.pop_front() {
            match message {
                Message::Adopt(newcomer) => self.adopt(*newcomer),
                Message::Reply { client, bytes } => self.late_reply(client, &bytes, moment),
                Message::Wake { client, order, key } => {
                    self.wake(client, order, &key, moment);
                }
                Message::Park { client, parking } => self.park(client, *parking, moment),
                Message::PluginsChanged => self.end_orphans(moment),
                Message::EndWait { client, ending } => self.end_wait(client, ending, moment),
                Message::Close(client) => {
                    if let Some(place) = self.places.get(&client) {
                        self.close(*place);
                    }
                }
                Message::Push { clients, push } => self.push(&clients, &push, None),
                Message::Feed { line, tenant } => self.feed_own(&line, tenant.as_ref()),
                Message::Resume => {}
                Message::Replicate(client) => self.feed_replica(client),
                Message::Parcel { client, parcel } => self.pass_on(client, &parcel),
                Message::Stop => self.stopping = true,
            }
        }
    }
}

enum Received {
    Nothing,
    End,
    Bytes(usize),
}

/// Whether an error of `accept` is about the one connection only.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
