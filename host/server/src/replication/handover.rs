//! FAILOVER: a primary gives its place to one of its replicas and follows it.
//!
//! Writes are stopped, so that the replica can come to the end of the stream; then this server asks it
//! to take over, in one message with the request to go on from there. If that fails this server stays
//! the primary, and writes go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reef_engine::clock::Millis;
use reef_engine::error::Error;
use reef_engine::gates::Pause;
use reef_engine::replication::Failover;

use super::copies::GETACK;
use super::stream::{Copier, Phase};
use crate::clock::now_ms;
use crate::mailbox::Message;
use crate::server::Shared;

/// How often replicas are asked how far they have come.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How a handover is doing.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    state: State,
    how: Failover,
    /// Which one it is, or was: who works on another is too late.
    number: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    /// The replica is to come to the end of the stream.
    Waiting,
    /// It has been asked to take over.
    Asked,
}

impl Handover {
    /// Whether one is under way.
    pub(crate) fn is_on(&self) -> bool {
        self.state != State::Off
    }

    /// As INFO tells it.
    pub(crate) fn word(&self) -> &'static str {
        match self.state {
            State::Off => "no-failover",
            State::Waiting => "waiting-for-sync",
            State::Asked => "failover-in-progress",
        }
    }
}

impl Shared {
    /// Begins to hand over.
    pub(crate) fn fail_over(&self, how: Failover) -> Result<(), Error> {
        let mut handover = self.replication.handover.lock();
        if handover.is_on() {
            return Err(Error::FAILOVER_RUNS);
        }
        if self.replication.is_replica() {
            return Err(Error::FAILOVER_ON_REPLICA);
        }
        let history = self.replication.stream.history();
        if !history.copiers.values().any(Copier::is_replica) {
            return Err(Error::FAILOVER_WITHOUT_REPLICAS);
        }
        if how.force && (how.to.is_none() || how.timeout_ms.is_none()) {
            return Err(Error::FAILOVER_FORCE);
        }
        if let Some((host, port)) = &how.to {
            let named = history.copiers.values().find(|copier| is_at(copier, host, *port));
            let named = named.filter(|copier| copier.is_replica()).ok_or(Error::FAILOVER_TARGET)?;
            if named.phase != Phase::Online {
                return Err(Error::FAILOVER_TARGET_OFFLINE);
            }
        }
        drop(history);
        let number = handover.number + 1;
        *handover = Handover { state: State::Waiting, how, number };
        drop(handover);
        self.store.pause().begin(Millis::new(u64::MAX >> 1), Pause::Writes, now_ms());
        self.store.set_handing_over(true);
        let shared: Arc<Self> = self.me();
        let thread = std::thread::Builder::new().name("reef-handover".to_owned());
        if let Err(error) = thread.spawn(move || shared.hand_over(number)) {
            tracing::error!("handing over is not possible: {error}");
            self.end_handover(false);
        }
        Ok(())
    }

    /// Calls a handover off.
    pub(crate) fn abort_failover(&self) -> Result<(), Error> {
        if !self.replication.handover.lock().is_on() {
            return Err(Error::NO_FAILOVER);
        }
        tracing::warn!("Failover aborted");
        self.end_handover(false);
        Ok(())
    }

    fn hand_over(&self, number: u64) {
        // What passed the gates before is written by then, or sees that it has to stop: from here on
        // the stream does not go on.
        self.freeze(|_| ());
        let how = self.replication.handover.lock().how.clone();
        let started = Instant::now();
        let timeout = how.timeout_ms.map(Duration::from_millis);
        let mut asked: Option<Instant> = None;
        loop {
            let is_over = timeout.is_some_and(|timeout| started.elapsed() >= timeout);
            if self.replication.handover.lock().number != number {
                // It was called off.
                return;
            }
            if is_over && !how.force {
                tracing::warn!("Failover aborted");
                return self.end_handover(false);
            }
            let ready = self.ready_replica(&how);
            if let Some(target) = ready.or_else(|| how.to.clone().filter(|_| is_over)) {
                self.replication.handover.lock().state = State::Asked;
                let reason = if is_over {
                    "time out exceeded, failing over."
                } else {
                    "Failover target is synced, failing over."
                };
                tracing::info!("{reason} {}:{} is asked to take over", target.0, target.1);
                self.follow(Some(target), true);
                return;
            }
            // Asking makes the stream longer, so it must not be done all the time.
            if asked.is_none_or(|at| at.elapsed() >= ASK_AGAIN) {
                asked = Some(Instant::now());
                self.replication.stream.say(GETACK);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A replica that may take over and has everything.
    fn ready_replica(&self, how: &Failover) -> Option<(String, u16)> {
        let history = self.replication.stream.history();
        let is_meant = |copier: &&Copier| {
            how.to.as_ref().is_none_or(|(host, port)| is_at(copier, host, *port))
        };
        let online = history.copiers.values().filter(|copier| copier.phase == Phase::Online);
        let ready = online.filter(is_meant).find(|copier| copier.acknowledged >= history.end)?;
        Some((ready.shown_address(), ready.port))
    }

    /// Ends a handover, if one is under way: the replica has taken over, or this server stays the
    /// primary.
    pub(crate) fn end_handover(&self, has_taken_over: bool) {
        let mut handover = self.replication.handover.lock();
        if !handover.is_on() {
            return;
        }
        let was_asked = handover.state == State::Asked;
        *handover = Handover { number: handover.number + 1, ..Handover::default() };
        drop(handover);
        if was_asked && !has_taken_over {
            self.follow(None, false);
        }
        self.store.set_handing_over(false);
        self.store.pause().end_now();
        self.post.broadcast(|| Message::Resume);
    }
}

fn is_at(copier: &Copier, host: &str, port: u16) -> bool {
    let is_host = copier.shown_address() == host || host == "localhost";
    is_host && copier.port == port
}
