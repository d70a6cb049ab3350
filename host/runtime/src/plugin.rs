//! A plugin across its versions, and the terms on which one version of it runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use reef_engine::backend::Backend;
use reef_engine::grants::Grants;
use reef_engine::types::glob;

use crate::allowance::Allowance;
use crate::archive::Archive;
use crate::attendant::DISCONNECTED;
use crate::border::{Level, TriggerClaim};
use crate::breaker::Breaker;
use crate::counters::Counters;
use crate::journal::{Author, Journal};
use crate::lifelines::Lifelines;
use crate::limits::Limits;
use crate::share::Share;
use crate::tally::Tally;
use crate::ticker::Ticker;

/// What every plugin of a tenant shares.
pub(crate) struct Services {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) ticker: Arc<Ticker>,
    /// The tenant's name; empty for the default tenant.
    pub(crate) tenant: Arc<str>,
    /// What the tenant's plugins may use together.
    pub(crate) allowance: Allowance,
    /// Instances of them that exist now.
    pub(crate) instances: AtomicU32,
    /// Whose going they want to hear of.
    pub(crate) lifelines: Lifelines,
}

/// What outlives a replacement: name, log, counters, statistics.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) name: Arc<str>,
    pub(crate) loaded_at_ms: u64,
    /// Told to guests: tells this life from others.
    pub(crate) incarnation: u64,
    pub(crate) journal: Journal,
    pub(crate) counters: Counters,
    pub(crate) breaker: Breaker,
    /// Calls that overstay now.
    pub(crate) overstaying: AtomicU32,
    /// Calls that wait to begin on the threads of those.
    pub(crate) apart: AtomicU32,
    /// How much of a core they have used that others wanted, too.
    pub(crate) share: Mutex<Share>,
    /// Calls that are parked now.
    pub(crate) parked: AtomicU64,
    /// Events that its triggers have handled, and those that failed for good.
    pub(crate) events: AtomicU64,
    pub(crate) events_failed: AtomicU64,
    /// Events that wait in memory.
    pub(crate) events_waiting: AtomicU64,
    /// Instances that exist now, busy and idle, of all versions.
    pub(crate) instances: AtomicU32,
    /// Memory of those instances.
    pub(crate) memory_bytes: AtomicU64,
    /// How often the operator said KILL: a call that began before the last one is stopped.
    kills: AtomicU64,
    /// Versions that were replaced.
    pub(crate) archive: Mutex<Archive>,
    /// Statistics of versions that were replaced, by command.
    past: Mutex<BTreeMap<String, Tally>>,
}

impl Plugin {
    pub(crate) fn new(name: &str, loaded_at_ms: u64) -> Self {
        Self {
            name: name.into(),
            loaded_at_ms,
            // Without random numbers the instant tells lives apart as well as it can.
            incarnation: getrandom::u64().unwrap_or(loaded_at_ms) | 1,
            journal: Journal::default(),
            counters: Counters::default(),
            breaker: Breaker::default(),
            overstaying: AtomicU32::new(0),
            apart: AtomicU32::new(0),
            share: Mutex::default(),
            parked: AtomicU64::new(0),
            events: AtomicU64::new(0),
            events_failed: AtomicU64::new(0),
            events_waiting: AtomicU64::new(0),
            instances: AtomicU32::new(0),
            memory_bytes: AtomicU64::new(0),
            kills: AtomicU64::new(0),
            archive: Mutex::default(),
            past: Mutex::default(),
        }
    }

    /// Marks the calls in flight as killed: they stop when they are looked at. How many there were.
    pub(crate) fn kill(&self) -> u32 {
        self.kills.fetch_add(1, Relaxed);
        self.in_flight()
    }

    /// Calls that are neither finished nor on their callers' threads.
    pub(crate) fn in_flight(&self) -> u32 {
        self.overstaying.load(Relaxed) + self.apart.load(Relaxed)
    }

    /// A mark to compare later: another one means that KILL was said since.
    pub(crate) fn kill_mark(&self) -> u64 {
        self.kills.load(Relaxed)
    }

    /// Keeps the statistics of a version that is replaced.
    pub(crate) fn keep_tallies(&self, tallies: impl Iterator<Item = (String, Tally)>) {
        let mut past = self.past.lock();
        for (command, tally) in tallies {
            past.entry(command).or_default().add(&tally);
        }
    }

    /// The statistics of earlier versions.
    pub(crate) fn past_tallies(&self) -> BTreeMap<String, Tally> {
        self.past.lock().clone()
    }
}

/// The terms of one version: what was granted, configured and limited when it was loaded.
pub(crate) struct Terms {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) services: Arc<Services>,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    /// The grants as they were given.
    pub(crate) grant_words: Vec<String>,
    pub(crate) config: BTreeMap<Box<str>, Arc<str>>,
    /// Patterns of the keys under which it is told that a client has gone; known once it has said so.
    pub(crate) departures: OnceLock<Box<[Box<str>]>>,
}

impl Terms {
    /// Keeps the triggers that are of departures.
    pub(crate) fn set_triggers(&self, triggers: &[TriggerClaim]) {
        let is_of_departures =
            |claim: &&TriggerClaim| claim.events.iter().any(|event| event == DISCONNECTED);
        let patterns = triggers.iter().filter(is_of_departures);
        // The same program says the same under the same terms.
        let _ = self.departures.set(patterns.map(|claim| claim.pattern.as_str().into()).collect());
    }

    /// Whether a trigger wants to hear when a client goes who is bound to this key.
    pub(crate) fn hears_departure(&self, key: &[u8]) -> bool {
        let patterns = self.departures.get().map(|patterns| patterns.iter());
        patterns.into_iter().flatten().any(|pattern| glob::matches(pattern.as_bytes(), key))
    }

    /// Writes a line to the plugin's log on the host's behalf.
    pub(crate) fn note(&self, level: Level, text: &str) {
        let now_ms = self.services.backend.now_ms();
        self.plugin.journal.write(Author::Host, now_ms, level, text);
    }
}
