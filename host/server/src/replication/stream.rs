//! The stream of effects and who is told it: the primary's side of replication.
//!
//! Effects are appended while the shards are held that they are about, so the stream has the order of
//! the data. Nothing is copied per replica: each has a position, and its worker reads on from there
//! when it is woken and its socket takes more. A replica that falls behind by more than its limit is
//! closed.
//!
//! The lock is a leaf: whoever holds it takes no other but mailboxes'.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use reef_engine::clock::Millis;
use reef_engine::replication::CopiesWanted;
use reef_storage::Encoder;

use super::backlog::Backlog;
use crate::clock::now_ms;
use crate::mailbox::Message;
use crate::post::Post;

/// How far a replica's synchronisation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has told of itself, and not asked for anything.
    Introduced,
    /// It waits for a snapshot.
    Waiting,
    /// It is sent one.
    Receiving,
    /// It has got one, and is to say so before it is told more.
    Loading,
    /// It is told the stream.
    Online,
}

/// A client that copies this server.
#[derive(Clone, Debug)]
pub(crate) struct Copier {
    pub(crate) phase: Phase,
    pub(crate) peer: Option<SocketAddr>,
    /// The port that it listens on.
    pub(crate) port: u16,
    /// The address that others reach it by, if it is not the peer's.
    pub(crate) address: Option<String>,
    /// Whether it can read a snapshot whose length is not told before.
    pub(crate) knows_end_mark: bool,
    /// Whether it can go on after its primary became another's replica.
    pub(crate) knows_second_id: bool,
    /// Whether it knows tenants.
    pub(crate) knows_tenants: bool,
    /// Whether it wants the snapshot and nothing else.
    pub(crate) snapshot_only: bool,
    /// Whether it knows no histories.
    pub(crate) is_old: bool,
    /// The next byte that it is to be told.
    pub(crate) position: u64,
    /// Up to where it has come, and its log.
    pub(crate) acknowledged: u64,
    pub(crate) logged: u64,
    /// When it last said so.
    pub(crate) heard_at: Millis,
    /// Since when it waits for a snapshot.
    pub(crate) waits_since: Millis,
    /// Whether its worker has been told that there is more.
    is_woken: bool,
}

impl Copier {
    pub(crate) fn new(peer: Option<SocketAddr>) -> Self {
        Self {
            phase: Phase::Introduced,
            peer,
            port: 0,
            address: None,
            knows_end_mark: false,
            knows_second_id: false,
            knows_tenants: false,
            snapshot_only: false,
            is_old: false,
            position: 0,
            acknowledged: 0,
            logged: 0,
            heard_at: now_ms(),
            waits_since: now_ms(),
            is_woken: false,
        }
    }

    /// The address that others reach it by.
    pub(crate) fn shown_address(&self) -> String {
        match (&self.address, self.peer) {
            (Some(address), _) => address.clone(),
            (None, Some(peer)) => peer.ip().to_canonical().to_string(),
            (None, None) => String::new(),
        }
    }

    /// What the log calls it.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.shown_address(), self.port)
    }

    /// Whether it counts as a replica to others.
    pub(crate) fn is_replica(&self) -> bool {
        self.phase != Phase::Introduced && !self.snapshot_only
    }
}

/// A client that waits for copies.
#[derive(Clone, Debug)]
pub(crate) struct CopyWait {
    pub(crate) client: u64,
    /// How far replicas must have come.
    pub(crate) position: u64,
    /// How far the log must be synced.
    pub(crate) log_position: u64,
    pub(crate) wanted: CopiesWanted,
}

/// A stream and its history.
#[derive(Debug)]
pub(crate) struct History {
    /// Its name.
    pub(crate) id: String,
    /// The history that it went on from, and up to where.
    pub(crate) second: Option<(String, u64)>,
    pub(crate) backlog: Option<Backlog>,
    /// Where the stream ends, with a backlog or without.
    pub(crate) end: u64,
    pub(crate) copiers: BTreeMap<u64, Copier>,
    pub(crate) waits: Vec<CopyWait>,
    encoder: Encoder,
    /// Whether the stream is what a primary says, so that our own effects are no part of it.
    pub(crate) is_relayed: bool,
    /// Counts changes of whom this server follows: a link that is not of this generation is over.
    pub(crate) generation: u64,
    /// The database that the stream has selected where it ends, as far as a primary said so.
    pub(crate) database: u32,
    /// Since when nobody has been told anything.
    pub(crate) deserted_at: Millis,
}

/// Limits of the stream, in bytes.
#[derive(Debug)]
pub(crate) struct StreamLimits {
    /// What is kept for those who come back (`repl-backlog-size`).
    pub(crate) kept: AtomicU64,
    /// By how much a replica may be behind; 0: by any amount.
    pub(crate) behind: AtomicU64,
    /// Seconds of silence up to which a replica is good (`min-replicas-max-lag`).
    pub(crate) lag_s: AtomicU64,
}

/// What a primary said, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed<'a> {
    /// Commands that take effect as a whole, word for word.
    pub(crate) unit: &'a [u8],
    /// On which link.
    pub(crate) generation: u64,
    /// The database that is selected behind it.
    pub(crate) database: u32,
}

/// The stream of one server.
pub(crate) struct Stream {
    history: Mutex<History>,
    is_on: AtomicBool,
    /// Where it ends.
    end: AtomicU64,
    pub(crate) limits: StreamLimits,
    post: Arc<Post>,
    /// Replicas that are good enough for `min-replicas-to-write`.
    good: AtomicU64,
    /// Full and partial synchronisations, and partial ones that were refused.
    pub(crate) full: AtomicU64,
    pub(crate) partial: AtomicU64,
    pub(crate) partial_refused: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

/// What there is for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Portion {
    /// Nothing now.
    Nothing,
    /// Some bytes.
    Some,
    /// What it needs is gone.
    Lost,
}

impl Stream {
    pub(crate) fn new(id: String, post: Arc<Post>) -> Self {
        let history = History {
            id,
            second: None,
            backlog: None,
            end: 0,
            copiers: BTreeMap::new(),
            waits: Vec::new(),
            encoder: Encoder::default(),
            is_relayed: false,
            generation: 0,
            database: 0,
            deserted_at: now_ms(),
        };
        Self {
            history: Mutex::new(history),
            is_on: AtomicBool::new(false),
            end: AtomicU64::new(0),
            limits: StreamLimits {
                kept: AtomicU64::new(1 << 20),
                behind: AtomicU64::new(0),
                lag_s: AtomicU64::new(10),
            },
            good: AtomicU64::new(0),
            post,
            full: AtomicU64::new(0),
            partial: AtomicU64::new(0),
            partial_refused: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    /// Whether effects are to be appended.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Where it ends.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Lets `act` see and change who is told what.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock()
    }

    /// Begins to keep the stream, unless that is so. All shards are held.
    pub(crate) fn begin(&self, history: &mut History) {
        if history.backlog.is_none() {
            history.backlog = Some(Backlog::new(history.end));
        }
        self.is_on.store(true, Ordering::Release);
        // Who reads the stream from here on has selected no database.
        history.encoder.forget_database();
    }

    /// What a snapshot tells of its place in the history, if others may go on from there. All shards
    /// are held.
    pub(crate) fn origin(&self) -> Vec<(&'static str, Vec<u8>)> {
        let history = self.history.lock();
        let is_kept = history.backlog.is_some() || history.is_relayed;
        if is_kept { history.origin().into() } else { Vec::new() }
    }

    /// Keeps the stream no more. All shards are held.
    pub(crate) fn cease(&self, history: &mut History) {
        history.backlog = None;
        self.is_on.store(false, Ordering::Release);
    }

    /// Goes on with the history of another stream, and keeps it: who is promoted must know what others
    /// lack.
    pub(crate) fn take_over(&self, history: &mut History, id: String, position: u64) {
        history.id = id;
        history.second = None;
        history.end = position;
        history.backlog = None;
        self.end.store(position, Ordering::Release);
        self.begin(history);
    }

    /// Goes on where the history of a snapshot ends, under our own name. `expired` are keys that the
    /// snapshot has and we do not. Nothing is changed meanwhile.
    pub(crate) fn go_on_from(&self, id: String, position: u64, expired: &[(u32, Box<[u8]>)]) {
        let mut history = self.history.lock();
        history.second = Some((id, position));
        history.end = position;
        history.backlog = None;
        self.begin(&mut history);
        for (database, key) in expired {
            let command = command(&[b"DEL", key]);
            history.encoder.append([(*database, command)]);
        }
        let bytes = history.encoder.take();
        self.push(&mut history, &bytes);
    }

    /// Appends effects of a step, as `tell` says them; the shards that they are about are held. On a
    /// replica they are no part of the stream: what the primary said takes their place.
    pub(crate) fn append(&self, tell: impl FnOnce(&mut Encoder)) {
        let mut history = self.history.lock();
        if !history.is_relayed {
            self.append_own(&mut history, tell);
        }
    }

    /// Appends what the primary said, word for word, in the step that ran it; or what came of it, if
    /// that link is over and this server is its own primary.
    pub(crate) fn append_relayed(&self, relayed: Relayed<'_>, tell: impl FnOnce(&mut Encoder)) {
        let mut history = self.history.lock();
        if history.generation == relayed.generation {
            history.database = relayed.database;
            self.push(&mut history, relayed.unit);
        } else if !history.is_relayed {
            self.append_own(&mut history, tell);
        }
    }

    fn append_own(&self, history: &mut History, tell: impl FnOnce(&mut Encoder)) {
        if history.backlog.is_none() {
            return;
        }
        tell(&mut history.encoder);
        let bytes = history.encoder.take();
        self.push(history, &bytes);
        history.encoder.give_back(bytes);
    }

    /// Appends what the primary said and what changed nothing.
    pub(crate) fn relay(&self, relayed: Relayed<'_>) {
        let mut history = self.history.lock();
        if history.generation == relayed.generation {
            history.database = relayed.database;
            self.push(&mut history, relayed.unit);
        }
    }

    /// The next effect says which database it is for.
    pub(crate) fn forget_database(&self, history: &mut History) {
        history.encoder.forget_database();
    }

    /// Appends a command that is no effect.
    pub(crate) fn say(&self, command: &[u8]) {
        let mut history = self.history.lock();
        if !history.is_relayed && history.backlog.is_some() {
            self.push(&mut history, command);
        }
    }

    fn push(&self, history: &mut History, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        history.end += bytes.len() as u64;
        self.end.store(history.end, Ordering::Release);
        let Some(backlog) = &mut history.backlog else { return };
        backlog.push(bytes);
        let behind_max = self.limits.behind.load(Ordering::Relaxed);
        let mut needed = None;
        for (client, copier) in &mut history.copiers {
            if matches!(copier.phase, Phase::Introduced | Phase::Waiting) {
                continue;
            }
            if behind_max > 0 && history.end - copier.position > behind_max {
                self.post.tell(*client, Message::Close);
                continue;
            }
            needed = Some(needed.map_or(copier.position, |at: u64| at.min(copier.position)));
            if copier.phase == Phase::Online && !std::mem::replace(&mut copier.is_woken, true) {
                self.post.tell(*client, Message::Replicate);
            }
        }
        backlog.trim(self.limits.kept.load(Ordering::Relaxed), needed);
    }

    /// Takes what a replica is to be told next.
    pub(crate) fn take(&self, client: u64, bytes_max: usize, out: &mut Vec<u8>) -> Portion {
        let mut guard = self.history.lock();
        let history = &mut *guard;
        let Some(copier) = history.copiers.get_mut(&client) else { return Portion::Nothing };
        copier.is_woken = false;
        let Some(backlog) = history.backlog.as_ref().filter(|_| copier.phase == Phase::Online)
        else {
            return Portion::Nothing;
        };
        if !backlog.read(copier.position, bytes_max, out) {
            return Portion::Lost;
        }
        copier.position += out.len() as u64;
        self.bytes_out.fetch_add(out.len() as u64, Ordering::Relaxed);
        if out.is_empty() { Portion::Nothing } else { Portion::Some }
    }

    /// Lets a replica be told the stream from its position on.
    pub(crate) fn go_online(&self, history: &mut History, client: u64) {
        if let Some(copier) = history.copiers.get_mut(&client) {
            copier.phase = Phase::Online;
            copier.is_woken = true;
            copier.heard_at = now_ms();
            tracing::info!("Synchronization with replica {} succeeded", copier.name());
            self.post.tell(client, Message::Replicate);
        }
        self.count_good(history);
    }

    /// Sets the counters of synchronisations back to zero (`CONFIG RESETSTAT`).
    pub(crate) fn reset_counters(&self) {
        for counter in [&self.full, &self.partial, &self.partial_refused, &self.bytes_out] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Whether anybody copies this server.
    pub(crate) fn has_replicas(&self) -> bool {
        self.history.lock().copiers.values().any(Copier::is_replica)
    }

    /// Whether there is one that knows no tenants.
    pub(crate) fn has_foreign_replicas(&self) -> bool {
        let history = self.history.lock();
        history.copiers.values().any(|copier| copier.is_replica() && !copier.knows_tenants)
    }

    /// Counts the replicas that have been heard of lately.
    pub(crate) fn count_good(&self, history: &History) {
        let (now, lag_s) = (now_ms(), self.limits.lag_s.load(Ordering::Relaxed));
        let is_good = |copier: &&Copier| {
            copier.phase == Phase::Online && now.since(copier.heard_at) / 1000 <= lag_s
        };
        let good = history.copiers.values().filter(is_good).count() as u64;
        self.good.store(good, Ordering::Relaxed);
    }

    /// Replicas that are good enough for `min-replicas-to-write`.
    pub(crate) fn good_replicas(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    /// Forgets a client.
    pub(crate) fn forget(&self, client: u64) {
        let mut history = self.history.lock();
        if let Some(copier) = history.copiers.remove(&client).filter(Copier::is_replica) {
            tracing::warn!("Connection with replica {} lost.", copier.name());
        }
        history.waits.retain(|wait| wait.client != client);
        history.deserted_at = now_ms();
        self.count_good(&history);
    }

    /// Closes all replicas but one: what they copy is no longer what this server has.
    pub(crate) fn dismiss_all(&self, history: &History, except: Option<u64>) {
        for client in history.copiers.keys().filter(|client| Some(**client) != except) {
            self.post.tell(*client, Message::Close);
        }
    }
}

impl History {
    /// Goes on under a new name; those who know the old one may go on up to here.
    pub(crate) fn rename(&mut self, id: String) {
        let old = std::mem::replace(&mut self.id, id);
        self.second = Some((old, self.end));
    }

    /// What a snapshot tells of its place in this history.
    pub(crate) fn origin(&self) -> [(&'static str, Vec<u8>); 3] {
        let own = self.encoder.database().unwrap_or(0);
        let database = if self.is_relayed { self.database } else { own };
        [
            ("repl-stream-db", database.to_string().into_bytes()),
            ("repl-id", self.id.as_bytes().to_vec()),
            ("repl-offset", self.end.to_string().into_bytes()),
        ]
    }

    /// Whether who knows this history up to `position` can be told the rest.
    pub(crate) fn has(&self, id: &[u8], position: u64) -> bool {
        let is_known = id == self.id.as_bytes()
            || self
                .second
                .as_ref()
                .is_some_and(|(second, until)| id == second.as_bytes() && position <= *until);
        let backlog = self.backlog.as_ref();
        is_known && backlog.is_some_and(|log| (log.start()..=log.end()).contains(&position))
    }

    /// How many replicas have come to `position`.
    pub(crate) fn copies(&self, position: u64, logged: bool) -> u64 {
        let has_come = |copier: &&Copier| {
            let at = if logged { copier.logged } else { copier.acknowledged };
            copier.phase == Phase::Online && at >= position
        };
        self.copiers.values().filter(has_come).count() as u64
    }
}

/// A command as RESP.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
