//! One client's connection as its worker sees it.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mio::net::{TcpStream, UnixStream};
use reef_engine::client_info::ClientKind;
use reef_engine::clock::Millis;
use reef_engine::session::Session;
use reef_engine::waiters::Waiter;
use reef_resp::{Decoder, Protocol};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::clients::{Card, Labels};
use crate::input::Input;
use crate::server::OutputLimits;

/// A socket of either kind. Its worker reads and writes it; others may look whether it stands.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn descriptor(&self) -> i32 {
        self.as_fd().as_raw_fd()
    }

    /// Whether the other side still listens: one system call, and no byte is taken. When in doubt
    /// it does.
    pub(crate) fn is_connected(&self) -> bool {
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut polled = [PollFd::new(self, PollFlags::RDHUP)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match rustix::event::poll(&mut polled, Some(&at_once)) {
            Ok(_) => !polled[0].revents().intersects(gone),
            Err(_) => true,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).read(buffer),
            Socket::Unix(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write(bytes),
            Socket::Unix(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a client waits for, and until when.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) waiter: Arc<Waiter>,
    pub(crate) deadline: Option<Instant>,
}

/// When the waits of a worker's clients are over.
pub(crate) type Deadlines = BTreeSet<(Instant, u64)>;

/// A connection. Idle, it holds no buffer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Arc<Socket>,
    pub(crate) session: Session,
    pub(crate) protocol: Protocol,
    pub(crate) decoder: Decoder,
    pub(crate) input: Input,
    /// Bytes the socket would not take yet.
    pub(crate) output: Vec<u8>,
    /// How many of them it has taken since.
    pub(crate) sent: usize,
    pub(crate) card: Arc<Card>,
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
    /// Whether the other side has said that it sends nothing more.
    pub(crate) hung_up: bool,
}

/// How sending went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Everything.
    All,
    /// The rest is kept for when the socket takes more.
    Some,
    /// The connection is broken.
    Broken,
}

impl Connection {
    pub(crate) fn new(socket: Arc<Socket>, session: Session, card: Arc<Card>) -> Self {
        Self {
            socket,
            session,
            protocol: Protocol::Resp2,
            decoder: Decoder::new(),
            input: Input::default(),
            output: Vec::new(),
            sent: 0,
            card,
            readable: false,
            missing: 0,
            waiting: false,
            postponed: false,
            soft_since: 0,
            waiter: None,
            hung_up: false,
        }
    }

    /// Ends the wait as far as the connection is concerned; what the queues know is the caller's
    /// business.
    pub(crate) fn forget_wait(&mut self, deadlines: &mut Deadlines) -> Option<Arc<Waiter>> {
        let Waiting { waiter, deadline } = *self.waiter.take()?;
        if let Some(at) = deadline {
            deadlines.remove(&(at, waiter.client));
        }
        self.card.waiter.lock().take();
        Some(waiter)
    }

    /// Sends `bytes` after everything that is still to be sent.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Sent {
        if !self.output.is_empty() {
            self.output.extend_from_slice(bytes);
            return self.flush();
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match (&*self.socket).write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.output.extend_from_slice(rest);
                    return Sent::Some;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Sent::Broken,
            }
        }
        Sent::All
    }

    /// Sends what is kept.
    pub(crate) fn flush(&mut self) -> Sent {
        while self.sent < self.output.len() {
            match (&*self.socket).write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Sent::Broken,
            }
        }
        self.output = Vec::new();
        self.sent = 0;
        Sent::All
    }

    /// Bytes still to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// What it is for, as far as limits care.
    pub(crate) fn kind(&self) -> ClientKind {
        ClientKind::Normal
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
    pub(crate) fn update_card(&self, now_ms: u64) {
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
        if let Some(labels) = session.labels() {
            self.update_labels(labels);
        }
    }

    /// Labels change rarely: compare before copying.
    fn update_labels(&self, labels: &reef_engine::session::Labels) {
        let mut shown = self.card.labels.lock();
        if shown.name != labels.name
            || shown.library_name != labels.library_name
            || shown.library_version != labels.library_version
        {
            *shown = Labels {
                name: labels.name.clone(),
                library_name: labels.library_name.clone(),
                library_version: labels.library_version.clone(),
            };
        }
    }
}
