//! One client's connection as its worker sees it.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use reef_engine::session::Session;
use reef_resp::{Decoder, Protocol};

use crate::clients::{Card, Labels};
use crate::input::Input;

/// A socket of either kind.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(crate) fn descriptor(&self) -> i32 {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection. Idle, it holds no buffer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: Stream,
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
    pub(crate) fn new(stream: Stream, session: Session, card: Arc<Card>) -> Self {
        Self {
            stream,
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
        }
    }

    /// Sends `bytes` after everything that is still to be sent.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Sent {
        if !self.output.is_empty() {
            self.output.extend_from_slice(bytes);
            return self.flush();
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.write(rest) {
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
            match self.stream.write(&self.output[self.sent..]) {
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
