//! How long commands take, and which took too long.
//!
//! A look at the clock costs as much as a good part of a command, so there is one per command: the
//! end of one is the beginning of the next of the same turn.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use reef_engine::clock::Millis;
use reef_engine::command::{Command, Flags};
use reef_engine::latencies::Latencies;
use reef_engine::settings::Rules;
use reef_engine::slow_log::{Excess, SlowLog};
use reef_resp::Argv;

use crate::clock::now_ms;
use crate::server::Shared;
use crate::store::Store;

/// Times what follows one upon the other.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    last: Instant,
    /// What the commands of a transaction took so far.
    inner: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { last: Instant::now(), inner: Duration::ZERO }
    }

    /// The time since the last lap, or since the start.
    #[inline]
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now.saturating_duration_since(self.last);
        self.last = now;
        lap
    }

    /// The time of a command inside a transaction.
    pub(crate) fn lap_inner(&mut self) -> Duration {
        let lap = self.lap();
        self.inner += lap;
        lap
    }

    /// The time since the last lap with the commands inside.
    #[inline]
    pub(crate) fn lap_outer(&mut self) -> Duration {
        self.lap() + std::mem::take(&mut self.inner)
    }
}

/// What took long, or was large.
#[derive(Debug)]
pub(crate) struct Slow {
    logs: [Mutex<SlowLog>; Excess::COUNT],
    pub(crate) latencies: Mutex<Latencies>,
    /// The shortest time that is noted anywhere, in nanoseconds.
    threshold_ns: AtomicU64,
    /// From how many bytes on a request, and a reply, may be noted.
    threshold_bytes: AtomicUsize,
}

/// What a command had of everything that can be too much.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amounts {
    pub(crate) took: Duration,
    pub(crate) request_bytes: usize,
    pub(crate) reply_bytes: usize,
}

impl Slow {
    pub(crate) fn new(rules: &Rules) -> Self {
        let slow = Self {
            logs: Default::default(),
            latencies: Mutex::default(),
            threshold_ns: AtomicU64::new(u64::MAX),
            threshold_bytes: AtomicUsize::new(usize::MAX),
        };
        slow.follow(rules);
        slow
    }

    /// One of the logs.
    pub(crate) fn log(&self, of: Excess) -> MutexGuard<'_, SlowLog> {
        self.logs[of as usize].lock()
    }

    /// Whether a command may be noted anywhere. A CONFIG SET counts for itself already.
    #[inline]
    pub(crate) fn notes(&self, amounts: &Amounts) -> bool {
        let bytes = amounts.request_bytes.max(amounts.reply_bytes);
        amounts.took.as_nanos() >= u128::from(self.threshold_ns.load(Ordering::Relaxed))
            || bytes >= self.threshold_bytes.load(Ordering::Relaxed)
    }

    /// Goes by these rules from now on.
    pub(crate) fn follow(&self, rules: &Rules) {
        let settings = &rules.settings;
        let log = u64::try_from(settings.slow_log.threshold_us).ok().map(Duration::from_micros);
        let latency_ms = settings.latency_threshold_ms;
        let latency = (latency_ms > 0).then(|| Duration::from_millis(latency_ms));
        let shortest = [log, latency].into_iter().flatten().min();
        let ns = shortest.and_then(|shortest| u64::try_from(shortest.as_nanos()).ok());
        self.threshold_ns.store(ns.unwrap_or(u64::MAX), Ordering::Relaxed);
        let sizes = [settings.slow_log.requests, settings.slow_log.replies];
        let sizes =
            sizes.map(|limits| usize::try_from(limits.threshold_bytes).unwrap_or(usize::MAX));
        self.threshold_bytes.store(sizes[0].min(sizes[1]), Ordering::Relaxed);
    }

    /// Notes a command that had enough of something to be noted.
    pub(crate) fn note_command(
        &self,
        (command, argv): (&Command, Argv<'_>),
        amounts: Amounts,
        rules: &Rules,
        client: impl Fn() -> (String, Box<[u8]>),
    ) {
        let limits = rules.settings.slow_log;
        let now = now_ms();
        let took_us = amounts.took.as_micros() as u64;
        let is_slow =
            u64::try_from(limits.threshold_us).is_ok_and(|threshold| took_us >= threshold);
        let Amounts { took, request_bytes, reply_bytes } = amounts;
        let excesses = [
            (is_slow, Excess::Slow, took_us, limits.entries_max),
            (
                limits.requests.is_large(request_bytes),
                Excess::LargeRequest,
                request_bytes as u64,
                limits.requests.entries_max,
            ),
            (
                limits.replies.is_large(reply_bytes),
                Excess::LargeReply,
                reply_bytes as u64,
                limits.replies.entries_max,
            ),
        ];
        for (is_too_much, of, amount, entries_max) in excesses {
            if is_too_much && !command.flags.has(Flags::SKIP_SLOWLOG) {
                self.log(of).add((now.seconds(), amount), argv, client(), entries_max);
            }
        }
        self.note_event(command.latency_event(), took, rules, now);
    }

    /// Notes an event, if it took long.
    pub(crate) fn note_event(
        &self,
        event: &'static str,
        took: Duration,
        rules: &Rules,
        now: Millis,
    ) {
        let threshold_ms = rules.settings.latency_threshold_ms;
        let took_ms = took.as_millis() as u64;
        if threshold_ms > 0 && took_ms >= threshold_ms {
            self.latencies.lock().add(event, now.seconds(), took_ms);
        }
    }
}

impl Shared {
    /// Notes a command that had enough of something to be noted.
    #[cold]
    pub(crate) fn note_slow(
        &self,
        what: (&Command, Argv<'_>),
        amounts: Amounts,
        (client, store): (u64, &Store),
    ) {
        store.slow().note_command(what, amounts, &store.rules(), || {
            let Some(card) = self.post.clients.get(client) else { return Default::default() };
            let name = card.labels.lock().name.clone();
            (crate::surroundings::address(card.peer, self), name)
        });
    }
}
