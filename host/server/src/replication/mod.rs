//! Who copies whom: this server's replicas, and the primary that it may be a replica of.
//!
//! - `backlog.rs` and `stream.rs`: the stream of effects and who is told it;
//! - `synchronisation.rs`: snapshots for replicas that have nothing;
//! - `feeding.rs`: what a worker does for the replicas that it serves;
//! - `requests.rs`: the commands, for the client that asks;
//! - `copies.rs`: clients that wait for copies;
//! - `primary_link.rs` and `handshake.rs`: the link to the primary, a thread of its own;
//! - `handover.rs`: a primary that gives its place to a replica;
//! - `status.rs`: INFO.
//!
//! Invariant: a snapshot and the place in the stream that goes with it are of one instant: all shards
//! are held, and what a primary says is appended in the step that runs it.

mod backlog;
mod copies;
mod feeding;
mod handover;
mod handshake;
mod primary_link;
mod requests;
mod status;
mod stream;
mod synchronisation;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use reef_engine::clock::Millis;
use reef_engine::gates::Conditions;

use crate::clock::now_ms;
use crate::mailbox::Message;
use crate::persistence::{Expired, Summary};
use crate::post::Post;
use crate::server::{Options, Shared, run_id};

pub(crate) use feeding::Parcel;
pub(crate) use handover::Handover;
pub(crate) use primary_link::{LinkState, Primary};
pub(crate) use stream::{Relayed, Stream, command};

/// What is configured about replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationOptions {
    /// The primary (`replicaof`).
    pub primary: Option<(String, u16)>,
    /// The user name that the primary knows (`masteruser`); empty: none.
    pub user: String,
    /// The password for the primary (`masterauth`); empty: none.
    pub password: Vec<u8>,
    /// Whether clients of a replica may not write (`replica-read-only`).
    pub is_readonly: bool,
    /// Whether a replica answers while its link is down (`replica-serve-stale-data`).
    pub serves_stale_data: bool,
    /// `replica-priority`, for who chooses another primary.
    pub priority: u32,
    /// `replica-announced`.
    pub is_announced: bool,
    /// The address that others reach this server by (`replica-announce-ip`); empty: its own.
    pub announced_address: String,
    /// The port that others reach this server by (`replica-announce-port`); 0: its own.
    pub announced_port: u16,
    /// Whether a replica leaves eviction to its primary (`replica-ignore-maxmemory`).
    pub ignores_memory_limit: bool,
    /// Whether snapshots go straight to sockets of replicas that can read them so
    /// (`repl-diskless-sync`).
    pub is_diskless: bool,
    /// For how many seconds such a snapshot waits for more replicas (`repl-diskless-sync-delay`).
    pub synchronisation_delay_s: u64,
    /// With so many it waits no longer (`repl-diskless-sync-max-replicas`); 0: whatever their number.
    pub synchronised_max: usize,
    /// Seconds between pings to replicas (`repl-ping-replica-period`).
    pub ping_period_s: u64,
    /// Seconds of silence after which a link is broken off (`repl-timeout`).
    pub timeout_s: u64,
    /// Bytes of the stream kept for those who come back (`repl-backlog-size`).
    pub backlog_bytes: u64,
    /// Seconds after which that is let go when nobody copies (`repl-backlog-ttl`); 0: never.
    pub backlog_ttl_s: u64,
    /// Without so many good replicas writes are refused (`min-replicas-to-write`); 0: never.
    pub replicas_min: u64,
    /// Seconds of silence up to which a replica is good (`min-replicas-max-lag`).
    pub lag_max_s: u64,
    /// For how many seconds the end waits for replicas that are behind (`shutdown-timeout`).
    pub shutdown_timeout_s: u64,
}

impl Default for ReplicationOptions {
    fn default() -> Self {
        Self {
            primary: None,
            user: String::new(),
            password: Vec::new(),
            is_readonly: true,
            serves_stale_data: true,
            priority: 100,
            is_announced: true,
            announced_address: String::new(),
            announced_port: 0,
            ignores_memory_limit: true,
            is_diskless: true,
            synchronisation_delay_s: 0,
            synchronised_max: 0,
            ping_period_s: 10,
            timeout_s: 60,
            backlog_bytes: 1 << 20,
            backlog_ttl_s: 3600,
            replicas_min: 0,
            lag_max_s: 10,
            shutdown_timeout_s: 10,
        }
    }
}

/// Replication of one server.
pub(crate) struct Replication {
    pub(crate) stream: Stream,
    /// The primary, and the link to it.
    pub(crate) primary: Mutex<Option<Primary>>,
    is_replica: AtomicBool,
    /// Whether the link to the primary is up.
    is_linked: AtomicBool,
    /// Whether somebody waits for copies.
    has_waits: AtomicBool,
    /// Whether a snapshot for replicas is asked for and has not begun.
    is_synchronising: AtomicBool,
    pub(crate) handover: Mutex<Handover>,
    pinged_at: AtomicU64,
    /// Clients who let the server sleep (`DEBUG SLEEP`).
    pub(crate) sleepers: AtomicUsize,
}

impl Replication {
    pub(crate) fn new(seed: &mut u64, post: Arc<Post>) -> Self {
        Self {
            stream: Stream::new(run_id(seed), post),
            primary: Mutex::default(),
            is_replica: AtomicBool::new(false),
            is_linked: AtomicBool::new(false),
            has_waits: AtomicBool::new(false),
            is_synchronising: AtomicBool::new(false),
            handover: Mutex::default(),
            pinged_at: AtomicU64::new(now_ms().get()),
            sleepers: AtomicUsize::new(0),
        }
    }

    /// Bytes of the stream that are kept.
    pub(crate) fn backlog_bytes(&self) -> u64 {
        self.stream.history().backlog.as_ref().map_or(0, |backlog| backlog.len())
    }

    /// This server will be a replica: what it loads is of its primary's history.
    pub(crate) fn will_follow(&self) {
        self.is_replica.store(true, Ordering::Release);
    }

    /// Whether this server is a replica.
    #[inline]
    pub(crate) fn is_replica(&self) -> bool {
        self.is_replica.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// What stands in the way of commands now.
    #[inline]
    pub(crate) fn conditions(&self) -> Conditions {
        let mut conditions = Conditions {
            loading: self.loading.is_on(),
            disk_failure: self.disk_failure(),
            ..Conditions::default()
        };
        if self.replication.is_replica() {
            let options = self.options();
            let is_linked = self.replication.is_linked.load(Ordering::Relaxed);
            conditions.readonly_replica = options.replication.is_readonly;
            conditions.stale_replica = !is_linked && !options.replication.serves_stale_data;
        } else {
            conditions.replicas_missing = self.are_replicas_missing();
        }
        self.store.note_refusal(conditions.refusal_of_writes());
        conditions
    }

    fn are_replicas_missing(&self) -> bool {
        let options = self.options();
        let least = options.replication.replicas_min;
        least > 0 && self.replication.stream.good_replicas() < least
    }

    /// Remembers where the data of a snapshot comes from: its replicas and its primary may go on
    /// from there. Keys that had `expired` are not there although the snapshot has them.
    pub(crate) fn note_origin(&self, summary: &Summary, expired: Option<&Expired>) {
        let id = summary.field("repl-id").map(|id| String::from_utf8_lossy(id).into_owned());
        let offset = summary
            .field("repl-offset")
            .and_then(|text| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()));
        let (Some(id), Some(offset)) = (id.filter(|id| id.len() == 40), offset) else { return };
        let stream = &self.replication.stream;
        match expired.map(Expired::keys) {
            None => {
                let mut history = stream.history();
                history.database = stream_database(summary);
                stream.take_over(&mut history, id, offset);
            }
            Some(Some(expired)) => {
                stream.go_on_from(id, offset, expired);
                self.follow_copies();
            }
            // Replicas would be told too much: they begin anew.
            Some(None) => {}
        }
    }

    /// Puts changed directives into effect, before they are the server's options.
    pub(crate) fn follow_replication(&self, new: &Options) {
        let limits = &self.replication.stream.limits;
        limits.kept.store(new.replication.backlog_bytes, Ordering::Relaxed);
        limits.behind.store(new.output_limits.replica.hard_bytes as u64, Ordering::Relaxed);
        limits.lag_s.store(new.replication.lag_max_s, Ordering::Relaxed);
        self.replication.stream.count_good(&self.replication.stream.history());
        self.store.ledger().leave_to_primary(new.replication.ignores_memory_limit);
    }

    /// Up to where in the stream the log is synced, if there is one.
    pub(crate) fn logged_position(&self) -> Option<u64> {
        let log = self.store.log();
        (log.is_on() && log.synced() == log.appended()).then(|| self.replication.stream.end())
    }

    /// Asks replicas to say at once how far they have come, and whether one of them, by what it said
    /// before, has not come to `position`.
    pub(crate) fn are_replicas_behind(&self, position: u64) -> bool {
        let history = self.replication.stream.history();
        let mut online = history.copiers.values().filter(|c| c.phase == stream::Phase::Online);
        let is_behind = online.any(|copier| copier.acknowledged < position);
        drop(history);
        if is_behind {
            self.replication.stream.say(copies::GETACK);
        }
        is_behind
    }

    /// To be called once a second: pings, replicas that are silent, those who wait for copies.
    pub(crate) fn tend_replication(&self) {
        let options = self.options().replication.clone();
        let now = now_ms();
        self.replication.stream.count_good(&self.replication.stream.history());
        self.check_waits();
        self.dismiss_silent(now, options.timeout_s);
        self.comfort_waiting();
        self.synchronise_when_due();
        if self.replication.is_replica() {
            return;
        }
        let pinged_at = Millis::new(self.replication.pinged_at.load(Ordering::Relaxed));
        let is_due = now.since(pinged_at) >= options.ping_period_s * 1000;
        if is_due && self.replication.stream.has_replicas() {
            self.replication.pinged_at.store(now.get(), Ordering::Relaxed);
            self.replication.stream.say(b"*1\r\n$4\r\nPING\r\n");
        }
        self.forget_deserted(now, options.backlog_ttl_s);
    }

    /// Tells those who wait for a snapshot that they are not forgotten: an empty line means nothing. A
    /// server that sleeps says nothing.
    fn comfort_waiting(&self) {
        if self.replication.sleepers.load(Ordering::Acquire) > 0 {
            return;
        }
        let history = self.replication.stream.history();
        for (client, copier) in &history.copiers {
            if copier.phase == stream::Phase::Waiting {
                let parcel = Parcel { bytes: Arc::from(&b"\n"[..]), taken: Arc::default() };
                self.post.tell(*client, |client| Message::Parcel { client, parcel });
            }
        }
    }

    fn dismiss_silent(&self, now: Millis, timeout_s: u64) {
        let history = self.replication.stream.history();
        for (client, copier) in &history.copiers {
            let is_told = matches!(copier.phase, stream::Phase::Online);
            if is_told && now.since(copier.heard_at) > timeout_s * 1000 {
                tracing::warn!("Disconnecting timedout replica: {}", copier.name());
                self.post.tell(*client, Message::Close);
            }
        }
    }

    /// Lets the stream go that nobody has been told for long.
    fn forget_deserted(&self, now: Millis, ttl_s: u64) {
        let stream = &self.replication.stream;
        let is_deserted = |history: &stream::History| {
            history.copiers.is_empty() && now.since(history.deserted_at) > ttl_s * 1000
        };
        if ttl_s == 0 || !stream.is_on() || !is_deserted(&stream.history()) {
            return;
        }
        self.freeze(|_| {
            let mut history = stream.history();
            if is_deserted(&history) {
                stream.cease(&mut history);
                // What is missing from now on must not be passed over.
                let mut seed = now.get();
                history.id = run_id(&mut seed);
                history.second = None;
            }
        });
        self.follow_copies();
    }
}

/// The database that the stream of a snapshot has selected.
pub(crate) fn stream_database(summary: &Summary) -> u32 {
    let text = summary.field("repl-stream-db").and_then(|text| std::str::from_utf8(text).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
