//! Which of a worker's sockets are ready, and which of its clients have hung up.
//!
//! A worker asks the kernel once a turn. What a client takes must not be lost to one that had gone
//! before, so it asks again after it received something, as soon as somebody is to be given what came:
//! once for all whom it serves, not for each.
//!
//! Invariants: readiness is told once only, so whatever was heard is kept until it is served; a place is
//! forgotten when its connection closes, so nobody inherits the end of another.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};

/// What is heard with one system call.
const EVENTS_MAX: usize = 1024;

/// A socket that is ready.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    /// Whose.
    pub(crate) token: Token,
    /// Whether it takes more.
    pub(crate) is_writable: bool,
}

/// What a worker knows of its sockets.
pub(crate) struct Readiness {
    poll: Poll,
    events: Events,
    /// Not served yet.
    ready: Vec<Ready>,
    /// Connections whose other side has said that it sends nothing more: most likely it is gone.
    hung_up: HashSet<usize>,
    /// Whether nothing was received since the kernel has told all.
    is_current: bool,
}

impl Readiness {
    /// What `poll` tells.
    pub(crate) fn new(poll: Poll) -> Self {
        let events = Events::with_capacity(EVENTS_MAX);
        Self { poll, events, ready: Vec::new(), hung_up: HashSet::new(), is_current: false }
    }

    /// Where sockets are registered.
    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Sleeps until a socket is ready, for so long at most.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        match self.hear(timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Exchanges those that are ready for an empty list.
    pub(crate) fn swap(&mut self, served: &mut Vec<Ready>) {
        std::mem::swap(&mut self.ready, served);
    }

    /// Whether some are ready that were not served.
    pub(crate) fn is_left(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Something was received, from a client or another worker: others may have hung up before it was
    /// sent.
    pub(crate) fn received(&mut self) {
        self.is_current = false;
    }

    /// Whether a connection is known to have hung up.
    #[inline]
    pub(crate) fn has_hung_up(&self, place: usize) -> bool {
        !self.hung_up.is_empty() && self.hung_up.contains(&place)
    }

    /// The same as of the moment when something was received last.
    pub(crate) fn has_hung_up_by_now(&mut self, place: usize) -> bool {
        while !self.is_current {
            match self.hear(Duration::ZERO) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::error!("a worker cannot look at its sockets: {error}");
                    break;
                }
            }
        }
        self.has_hung_up(place)
    }

    /// A connection closes.
    pub(crate) fn forget(&mut self, place: usize) {
        if !self.hung_up.is_empty() {
            self.hung_up.remove(&place);
        }
    }

    /// Hears which sockets have become ready: all, unless they are too many for one system call.
    fn hear(&mut self, timeout: Duration) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(timeout))?;
        let mut count = 0;
        for event in &self.events {
            count += 1;
            if event.is_read_closed() {
                self.hung_up.insert(event.token().0);
            }
            self.ready.push(Ready::of(event));
        }
        self.is_current = count < EVENTS_MAX;
        Ok(())
    }
}

impl Ready {
    fn of(event: &Event) -> Self {
        Self { token: event.token(), is_writable: event.is_writable() }
    }
}
