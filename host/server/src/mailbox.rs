//! How other threads reach a worker: messages, and a wake-up when it may be asleep.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;
use parking_lot::Mutex;

use crate::connection::Stream;

/// What a worker can be told.
pub(crate) enum Message {
    /// Take over a new connection.
    Adopt(Box<Newcomer>),
    /// The late reply to a client's command.
    Reply {
        /// The client.
        client: u64,
        /// RESP.
        bytes: Vec<u8>,
    },
    /// Close a client's connection.
    Close(u64),
    /// A line for all clients in MONITOR.
    Feed(Arc<[u8]>),
    /// Stop.
    Stop,
}

/// A connection that nobody has served yet.
pub(crate) struct Newcomer {
    pub(crate) stream: Stream,
    pub(crate) id: u64,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
}

/// A worker's mailbox.
pub(crate) struct Mailbox {
    messages: Mutex<Vec<Message>>,
    waker: Waker,
    /// Whether a wake-up is under way, so that a burst of messages costs one system call.
    notified: AtomicBool,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { messages: Mutex::default(), waker, notified: AtomicBool::new(false) }
    }

    /// Leaves a message.
    pub(crate) fn send(&self, message: Message) {
        self.messages.lock().push(message);
        if !self.notified.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!("a worker cannot be woken: {error}");
        }
    }

    /// Takes all messages.
    pub(crate) fn take(&self) -> Vec<Message> {
        self.notified.store(false, Ordering::Release);
        std::mem::take(&mut *self.messages.lock())
    }
}
