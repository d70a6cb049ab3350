//! Who is connected: what other threads may know of a connection.
//!
//! Each connection has a card. The worker that serves it writes the card (cheap, relaxed stores);
//! CLIENT LIST, CLIENT KILL and INFO read it from anywhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use reef_engine::clock::Millis;
use reef_engine::waiters::Waiter;

use crate::post::Post;
use crate::server::Shared;
use crate::socket::Socket;
use crate::store::Store;
use crate::tenants::Tenant;

/// A connection's card.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) id: u64,
    pub(crate) worker: usize,
    /// Where its worker keeps the connection.
    pub(crate) place: usize,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) socket: Arc<Socket>,
    pub(crate) connected_at: Millis,
    /// When the client last sent something: milliseconds since 1970.
    pub(crate) active_at: AtomicU64,
    pub(crate) database: AtomicU32,
    /// The last command's index in the table; `u16::MAX` before the first.
    pub(crate) command: AtomicU16,
    pub(crate) protocol: AtomicU8,
    /// Commands queued by MULTI, plus one; 0 outside.
    pub(crate) queued: AtomicU32,
    pub(crate) watching: AtomicU32,
    pub(crate) monitoring: AtomicBool,
    /// Whether it copies this server.
    pub(crate) is_copier: AtomicBool,
    pub(crate) waiting: AtomicBool,
    pub(crate) no_evict: AtomicBool,
    pub(crate) no_touch: AtomicBool,
    pub(crate) input_bytes: AtomicU32,
    /// Room in the buffer of input beyond that.
    pub(crate) input_free_bytes: AtomicU64,
    /// What MULTI has queued.
    pub(crate) queue_bytes: AtomicU64,
    pub(crate) output_capacity_bytes: AtomicU64,
    /// The most that was in the buffer of output.
    pub(crate) output_peak_bytes: AtomicU64,
    /// The connection with its buffers.
    pub(crate) memory_bytes: AtomicU64,
    /// Whether its worker has been told to close it: nobody else sees it any more.
    doomed: AtomicBool,
    pub(crate) output_bytes: AtomicU64,
    pub(crate) labels: Mutex<Labels>,
    /// The tenant that it belongs to, once it has entered one.
    pub(crate) tenant: OnceLock<Arc<Tenant>>,
    /// What it waits for. Whoever takes it out ends the wait.
    pub(crate) waiter: Mutex<Option<Arc<Waiter>>>,
}

/// What a client told of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// The user's name.
    pub(crate) user: Arc<str>,
    pub(crate) name: Box<[u8]>,
    pub(crate) library_name: Box<[u8]>,
    pub(crate) library_version: Box<[u8]>,
}

impl Card {
    pub(crate) fn new(
        id: u64,
        (worker, place): (usize, usize),
        (peer, local): (Option<SocketAddr>, Option<SocketAddr>),
        socket: Arc<Socket>,
        now: Millis,
    ) -> Self {
        Self {
            id,
            worker,
            place,
            peer,
            local,
            socket,
            connected_at: now,
            active_at: AtomicU64::new(now.get()),
            database: AtomicU32::new(0),
            command: AtomicU16::new(u16::MAX),
            protocol: AtomicU8::new(2),
            queued: AtomicU32::new(0),
            watching: AtomicU32::new(0),
            monitoring: AtomicBool::new(false),
            is_copier: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            input_bytes: AtomicU32::new(0),
            input_free_bytes: AtomicU64::new(0),
            queue_bytes: AtomicU64::new(0),
            output_capacity_bytes: AtomicU64::new(0),
            output_peak_bytes: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            doomed: AtomicBool::new(false),
            output_bytes: AtomicU64::new(0),
            labels: Mutex::new(Labels { user: "default".into(), ..Labels::default() }),
            tenant: OnceLock::new(),
            waiter: Mutex::default(),
        }
    }
}

impl Card {
    /// The tenant that it belongs to; the operator's connections to none.
    #[inline]
    pub(crate) fn tenant(&self) -> Option<&Arc<Tenant>> {
        self.tenant.get()
    }

    /// The data that its commands are about.
    #[inline]
    pub(crate) fn store<'a>(&'a self, shared: &'a Shared) -> &'a Arc<Store> {
        self.tenant().map_or(&shared.store, |tenant| &tenant.store)
    }

    /// Who hears of what, among those it may reach.
    #[inline]
    pub(crate) fn post<'a>(&'a self, shared: &'a Shared) -> &'a Arc<Post> {
        self.tenant().map_or(&shared.post, |tenant| &tenant.post)
    }

    /// Whether it belongs to the same tenant as another, or to none as well.
    pub(crate) fn is_beside(&self, tenant: Option<&Arc<Tenant>>) -> bool {
        match (self.tenant(), tenant) {
            (None, None) => true,
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// Whether a client of `tenant` may know of it: the operator's may of all.
    pub(crate) fn is_seen_by(&self, tenant: Option<&Arc<Tenant>>) -> bool {
        tenant.is_none() || self.is_beside(tenant)
    }

    /// Whether the connection is to be closed.
    #[inline]
    pub(crate) fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::Acquire)
    }
}

/// All connections of the process.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    cards: Mutex<BTreeMap<u64, Arc<Card>>>,
    next_id: AtomicU64,
    /// Connections accepted, also those refused.
    pub(crate) accepted: AtomicU64,
    /// Connections refused because there were too many.
    pub(crate) refused: AtomicU64,
    connected: AtomicU64,
}

impl Clients {
    /// A number for a new connection. The first is 1, and none is given twice.
    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a connection in, unless there are `max` already.
    pub(crate) fn admit(&self, max: u64) -> bool {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let admitted = self.connected.fetch_add(1, Ordering::AcqRel) < max;
        if !admitted {
            self.connected.fetch_sub(1, Ordering::AcqRel);
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    pub(crate) fn insert(&self, card: Arc<Card>) {
        self.cards.lock().insert(card.id, card);
    }

    pub(crate) fn remove(&self, id: u64) {
        let card = self.cards.lock().remove(&id);
        if let Some(card) = card {
            self.doom(&card);
        }
    }

    /// Counts a connection out that its worker has still to close. `false` if it was before.
    pub(crate) fn doom(&self, card: &Card) -> bool {
        let is_first = !card.doomed.swap(true, Ordering::AcqRel);
        if is_first {
            self.connected.fetch_sub(1, Ordering::AcqRel);
        }
        is_first
    }

    /// How many are connected.
    pub(crate) fn len(&self) -> u64 {
        self.connected.load(Ordering::Acquire)
    }

    /// The card of a client.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Card>> {
        self.cards.lock().get(&id).filter(|card| !card.is_doomed()).cloned()
    }

    /// All cards, oldest connection first.
    pub(crate) fn all(&self) -> Vec<Arc<Card>> {
        self.cards.lock().values().filter(|card| !card.is_doomed()).cloned().collect()
    }

    /// The same, and those that are still to be closed.
    pub(crate) fn all_with_doomed(&self) -> Vec<Arc<Card>> {
        self.cards.lock().values().cloned().collect()
    }
}

impl Clients {
    /// Sets the counters of connections back to zero (`CONFIG RESETSTAT`).
    pub(crate) fn reset(&self) {
        self.accepted.store(0, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
    }

    /// Counts a connection out that was admitted but never served.
    pub(crate) fn dismiss(&self) {
        self.connected.fetch_sub(1, Ordering::AcqRel);
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}
