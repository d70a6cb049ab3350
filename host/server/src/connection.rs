//! One client's connection as its worker sees it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reef_engine::client_info::ClientKind;
use reef_engine::clock::Millis;
use reef_engine::push::Push;
use reef_engine::serving::Ending;
use reef_engine::session::Session;
use reef_engine::waiters::Waiter;
use reef_resp::{Decoder, Protocol};

use crate::clients::{Card, Labels};
use crate::input::Input;
use crate::link::Link;
use crate::server::OutputLimits;

/// What a client waits for, and until when.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) waiter: Arc<Waiter>,
    pub(crate) deadline: Option<Instant>,
    /// How long the command took until it began to wait; `None`: it is counted already.
    pub(crate) took: Option<Duration>,
    /// How a parked call is to end that runs just now, should it want to wait any longer.
    pub(crate) ending: Option<Ending>,
}

/// When the waits of a worker's clients are over.
pub(crate) type Deadlines = BTreeSet<(Instant, u64)>;

/// A connection. Idle, it holds no buffer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: Link,
    pub(crate) session: Session,
    pub(crate) protocol: Protocol,
    pub(crate) decoder: Decoder,
    pub(crate) input: Input,
    /// Bytes the socket would not take yet.
    pub(crate) output: Vec<u8>,
    /// How many of them it has taken since.
    pub(crate) sent: usize,
    /// Whether the socket takes nothing until it tells that it does.
    pub(crate) clogged: bool,
    /// Whether something was appended to the output that nobody has tried to send.
    pub(crate) touched: bool,
    /// Whether the output has replies that go out together with others'.
    pub(crate) answered: bool,
    /// Whether the output has replies that must not be sent before the log is settled.
    pub(crate) held: bool,
    /// Whether it ran something in this turn that may have changed data.
    pub(crate) wrote: bool,
    pub(crate) card: Arc<Card>,
    /// The user that the card shows.
    shown_user: Arc<str>,
    /// Whether there may be bytes to receive: readiness is told once only.
    pub(crate) readable: bool,
    /// How many bytes the command under way still lacks at least.
    pub(crate) missing: usize,
    /// Whether a command's reply comes later; until then nothing else is executed.
    pub(crate) waiting: bool,
    /// Whether it waits because commands are paused.
    pub(crate) postponed: bool,
    /// Since when it has left more untaken than the soft limit: milliseconds since 1970, or 0.
    pub(crate) soft_since: u64,
    /// Where it waits, if for a key.
    pub(crate) waiter: Option<Box<Waiting>>,
    /// Until when it waits for copies of what it wrote, if it does so with a limit.
    pub(crate) copies_until: Option<Instant>,
    /// Whether it copies this server.
    pub(crate) is_copier: bool,
    /// Commands of this moment that were refused because a quota was used up.
    pub(crate) refused: u32,
    /// Until when it has to wait for that.
    pub(crate) rests_until: Option<Instant>,
}

/// How sending went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Everything.
    All,
    /// Nothing yet: it goes out together with others.
    Kept,
    /// The rest is kept for when the socket takes more.
    Some,
    /// The connection is broken.
    Broken,
}

impl Connection {
    pub(crate) fn new(link: Link, session: Session, card: Arc<Card>) -> Self {
        Self {
            shown_user: session.user.clone(),
            link,
            session,
            protocol: Protocol::Resp2,
            decoder: Decoder::new(),
            input: Input::default(),
            output: Vec::new(),
            sent: 0,
            clogged: false,
            touched: false,
            answered: false,
            held: false,
            wrote: false,
            card,
            readable: false,
            missing: 0,
            waiting: false,
            postponed: false,
            soft_since: 0,
            waiter: None,
            copies_until: None,
            is_copier: false,
            refused: 0,
            rests_until: None,
        }
    }

    /// Ends the wait as far as the connection is concerned; what the queues know is the caller's
    /// business.
    pub(crate) fn forget_wait(&mut self, deadlines: &mut Deadlines) -> Option<Waiting> {
        for at in self.copies_until.take().into_iter().chain(self.rests_until.take()) {
            deadlines.remove(&(at, self.session.id));
        }
        let waiting = *self.waiter.take()?;
        if let Some(at) = waiting.deadline {
            deadlines.remove(&(at, waiting.waiter.client));
        }
        self.card.waiter.lock().take();
        Some(waiting)
    }

    /// Sends `bytes` after everything that is still to be sent.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Sent {
        if !self.output.is_empty() {
            self.output.extend_from_slice(bytes);
            return self.flush();
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.link.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.output.extend_from_slice(rest);
                    self.clogged = true;
                    return Sent::Some;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Sent::Broken,
            }
        }
        Sent::All
    }

    /// Keeps `bytes` until the log is settled.
    pub(crate) fn hold(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        self.held = true;
    }

    /// Sends what is kept, unless that must wait for the log.
    pub(crate) fn flush(&mut self) -> Sent {
        if self.held {
            return Sent::Some;
        }
        if self.link.flush().is_err() {
            return Sent::Broken;
        }
        while self.sent < self.output.len() {
            match self.link.write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.clogged = true;
                    return Sent::Some;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Sent::Broken,
            }
        }
        self.output = Vec::new();
        self.sent = 0;
        self.clogged = false;
        Sent::All
    }

    /// Appends what the client did not ask for; it is sent with everything else of the turn.
    #[inline]
    pub(crate) fn append(&mut self, push: &Push) {
        /// What was sent is cut off when it is this much and more than what is still to be sent.
        const SENT_BYTES_MAX: usize = 64 * 1024;
        if self.session.closing {
            return;
        }
        if self.sent > SENT_BYTES_MAX && self.sent > self.unsent() {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        push.append_to(&mut self.output, self.protocol, self.session.subscribed.any());
    }

    /// Bytes still to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// What it is for, as far as limits care.
    pub(crate) fn kind(&self) -> ClientKind {
        match self.is_copier {
            _ if self.session.subscribed.any() => ClientKind::Pubsub,
            // How far it may be behind is the stream's business.
            true => ClientKind::Primary,
            false => ClientKind::Normal,
        }
    }

    /// Whether it has left too much untaken.
    pub(crate) fn is_overfull(&mut self, limits: &OutputLimits, now: Millis) -> bool {
        let (limit, unsent) = (limits.of(self.kind()), self.unsent());
        limit.is_exceeded(unsent, &mut self.soft_since, now)
    }

    /// Brings the figures about memory up to date, here and in the sum of all connections.
    #[inline]
    pub(crate) fn update_memory(&self, sum: &AtomicUsize) {
        /// What a connection without buffers takes, its card included.
        const CONNECTION_BYTES: usize = 1024;
        let card = &self.card;
        let (input, output) = (self.input.heap_bytes(), self.output.capacity());
        let queue = self.session.heap_bytes();
        let bytes = (CONNECTION_BYTES + input + output + queue) as u64;
        card.output_bytes.store(self.unsent() as u64, Ordering::Relaxed);
        card.output_peak_bytes.fetch_max(self.unsent() as u64, Ordering::Relaxed);
        let before = card.memory_bytes.load(Ordering::Relaxed);
        if bytes == before {
            return;
        }
        card.memory_bytes.store(bytes, Ordering::Relaxed);
        let free = input.saturating_sub(self.input.received().len());
        card.input_free_bytes.store(free as u64, Ordering::Relaxed);
        card.queue_bytes.store(queue as u64, Ordering::Relaxed);
        card.output_capacity_bytes.store(output as u64, Ordering::Relaxed);
        // Wrapping around makes this right for what shrinks, too.
        sum.fetch_add((bytes as usize).wrapping_sub(before as usize), Ordering::AcqRel);
    }

    /// Brings the card up to date.
    #[inline]
    pub(crate) fn update_card(&mut self, now_ms: u64) {
        if !Arc::ptr_eq(&self.shown_user, &self.session.user) {
            self.shown_user = self.session.user.clone();
            self.card.labels.lock().user = self.shown_user.clone();
        }
        let card = &self.card;
        let session = &self.session;
        card.active_at.store(now_ms, Ordering::Relaxed);
        card.database.store(session.database, Ordering::Relaxed);
        let queued = session.transaction().map_or(0, |multi| multi.queue.len() as u32 + 1);
        card.queued.store(queued, Ordering::Relaxed);
        card.watching.store(session.watches().len() as u32, Ordering::Relaxed);
        card.protocol
            .store(if self.protocol == Protocol::Resp3 { 3 } else { 2 }, Ordering::Relaxed);
        card.monitoring.store(session.monitoring, Ordering::Relaxed);
        card.waiting.store(self.waiting, Ordering::Relaxed);
        card.no_evict.store(session.no_evict, Ordering::Relaxed);
        card.no_touch.store(session.no_touch, Ordering::Relaxed);
        card.input_bytes.store(self.input.received().len() as u32, Ordering::Relaxed);
        card.output_bytes.store(self.unsent() as u64, Ordering::Relaxed);
        self.update_labels();
    }

    /// Labels change rarely: compare before copying.
    pub(crate) fn update_labels(&self) {
        let Some(labels) = self.session.labels() else { return };
        let mut shown = self.card.labels.lock();
        if shown.name != labels.name
            || shown.library_name != labels.library_name
            || shown.library_version != labels.library_version
        {
            *shown = Labels {
                user: shown.user.clone(),
                name: labels.name.clone(),
                library_name: labels.library_name.clone(),
                library_version: labels.library_version.clone(),
            };
        }
    }
}
