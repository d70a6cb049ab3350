//! How other threads reach a worker: messages, and a wake-up when it may be asleep.
//!
//! A worker that is awake looks into its mailbox before it sleeps, so nobody makes a system call to
//! wake it; neither does it for messages to itself.
//!
//! Parked calls go on where mail is read, and a call may wake itself or thousands of others for ever. So
//! between two looks at its sockets a worker gives them [`RESUMING_US`] at most; who finds that used up, or
//! others waiting already, is put off, and all go on in the order in which they were.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mio::Waker;
use parking_lot::Mutex;
use reef_engine::parking::Parking;
use reef_engine::push::{Push, Receivers};
use reef_engine::serving::Ending;

use crate::clock::now_us;
use crate::replication::Parcel;
use crate::socket::Socket;
use crate::tenants::Tenant;

/// What a worker can be told.
pub(crate) enum Message {
    /// Take over a new connection.
    Adopt(Box<Newcomer>),
    /// The reply that a client waits for.
    Reply {
        /// The client.
        client: u64,
        /// RESP.
        bytes: Vec<u8>,
    },
    /// A client's parked call goes on: this key was written.
    Wake {
        /// The client.
        client: u64,
        /// The call's place among all who wait.
        order: u64,
        /// The key.
        key: Box<[u8]>,
    },
    /// A call that took longer wants to be parked.
    Park {
        /// The client.
        client: u64,
        /// The call.
        parking: Box<Parking>,
    },
    /// The plugins' commands are others now.
    PluginsChanged,
    /// End a client's wait, unless it has just been served.
    EndWait {
        /// The client.
        client: u64,
        /// What it hears.
        ending: Ending,
    },
    /// Something for these clients, as far as they are still there.
    Push {
        /// The clients.
        clients: Receivers,
        /// What they are sent.
        push: Arc<Push>,
    },
    /// Close a client's connection.
    Close(u64),
    /// A line for all clients of a tenant, or of the operator, in MONITOR.
    Feed {
        /// The line.
        line: Arc<[u8]>,
        /// The tenant.
        tenant: Option<Arc<Tenant>>,
    },
    /// Look whether commands are still paused.
    Resume,
    /// There is more of the stream for a replica.
    Replicate(u64),
    /// Part of a snapshot for a replica.
    Parcel {
        /// The replica.
        client: u64,
        /// The part.
        parcel: Parcel,
    },
    /// Stop.
    Stop,
}

/// A connection that nobody has served yet.
pub(crate) struct Newcomer {
    pub(crate) socket: Socket,
    /// Whether it came where TLS is spoken.
    pub(crate) tls: bool,
    pub(crate) id: u64,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
}

/// How long parked calls may go on before the worker looks at its sockets again; one that has begun by
/// then goes on for its first slice.
const RESUMING_US: u64 = 1_000;

/// A parked call's client, its place among all who wait, and the key that was written.
type Wake = (u64, u64, Box<[u8]>);

/// A worker's mailbox.
pub(crate) struct Mailbox {
    messages: Mutex<Vec<Message>>,
    /// What has woken parked calls for which the worker had no time.
    put_off: Mutex<VecDeque<Wake>>,
    /// When the first parked call went on since the last look, in microseconds since 1970; 0: none has.
    resuming_since: AtomicU64,
    waker: Waker,
    /// Whether the worker will look without being woken: it is awake, or a wake-up is under way.
    attended: AtomicBool,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            messages: Mutex::default(),
            put_off: Mutex::default(),
            resuming_since: AtomicU64::new(0),
            waker,
            attended: AtomicBool::new(false),
        }
    }

    /// Leaves a message.
    pub(crate) fn send(&self, message: Message) {
        self.messages.lock().push(message);
        if !self.attended.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!("a worker cannot be woken: {error}");
        }
    }

    /// Takes all messages: the worker is awake, and will ask [`Mailbox::may_sleep`].
    pub(crate) fn take(&self) -> Vec<Message> {
        self.attended.store(true, Ordering::Release);
        self.resuming_since.store(0, Ordering::Relaxed);
        std::mem::take(&mut *self.messages.lock())
    }

    /// Whether the worker still has time for one more parked call before it looks at its sockets.
    pub(crate) fn has_time(&self) -> bool {
        let now = now_us();
        match self.resuming_since.load(Ordering::Relaxed) {
            0 => {
                self.resuming_since.store(now, Ordering::Relaxed);
                true
            }
            since => now.saturating_sub(since) < RESUMING_US,
        }
    }

    /// Puts off what has woken a parked call, if there is no time for it or others were put off before.
    /// Whether that was done.
    pub(crate) fn put_off(&self, wake: (u64, u64, &[u8])) -> bool {
        let mut all = self.put_off.lock();
        let is_late = !all.is_empty() || !self.has_time();
        if is_late {
            let (client, order, key) = wake;
            all.push_back((client, order, key.into()));
        }
        is_late
    }

    /// Takes the first of those that were put off, if there is time for it.
    pub(crate) fn take_put_off(&self) -> Option<Wake> {
        let mut all = self.put_off.lock();
        let has_time = !all.is_empty() && self.has_time();
        has_time.then(|| all.pop_front()).flatten()
    }

    /// Whether the worker may sleep: whoever sends from now on wakes it, and nothing has come yet.
    pub(crate) fn may_sleep(&self) -> bool {
        self.attended.store(false, Ordering::SeqCst);
        self.messages.lock().is_empty() && self.put_off.lock().is_empty()
    }
}
