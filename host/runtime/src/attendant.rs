//! Brings a plugin its events: one after the other, in order, on a thread of its own.
//!
//! What the plugin wants to be done about an event is one batch; that is applied together with the
//! acknowledgement of the event, if it came from the plugin's stream, so that each durable event takes
//! effect once, and is told again if that did not come to pass. An event that keeps failing does not
//! hold up those behind it: a durable one goes to a stream of dead letters beside the plugin's own,
//! another one is counted and written to the plugin's log. That a client has gone is told until it has
//! been: while the server takes no writes it waits, and it fills nothing, because it is one entry for
//! each key that somebody is bound to.
//!
//! Invariant: no lock of its own is held while guest code or the backend runs.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use reef_engine::backend::{
    Batch, Caller, CommandColumns, Guards, Items, OnError, Outcome, StepError,
};
use reef_engine::grants::Grants;
use reef_engine::triggers::{Inbox, Origin, Trigger, TriggerEvent};
use reef_resp::{Node, Protocol, Writer};

use crate::border::{EffectsClaim, Level};
use crate::instance::Answer;
use crate::limits::{EVENT_ATTEMPTS_MAX, EVENTS_STORED_MAX, EVENTS_WAITING_MAX};
use crate::loader::run_to_end;
use crate::plugin::Plugin;
use crate::tally::{Ending, Sample};
use crate::texts;
use crate::version::Version;

/// How long a server that obeys a primary, or refuses writes, is left alone.
const PAUSE: Duration = Duration::from_millis(100);
/// How often an event is told whose guards do not hold.
const ROUNDS_MAX: u32 = 64;
/// The event that a client has gone.
pub(crate) const DISCONNECTED: &str = "disconnected";
/// Events that are read from a stream at once.
const EVENTS_PER_READ: &str = "64";

/// A plugin's inbox.
#[derive(Debug)]
struct Events {
    plugin: Arc<Plugin>,
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// Events in the stream, as far as is known.
    backlog: AtomicU64,
}

#[derive(Debug, Default)]
struct Pending {
    events: VecDeque<TriggerEvent>,
    /// Clients that have gone: each database and key under which that is to be told.
    departures: BTreeSet<(u32, Box<[u8]>)>,
    /// Not before this instant, if they could not be told the last time.
    pause: Option<Instant>,
    /// Whether there may be something in a stream.
    stored: bool,
    /// Whether something is being told.
    is_telling: bool,
    stopped: bool,
}

/// What there is to do.
enum Work {
    Event(TriggerEvent),
    Departure(TriggerEvent),
    Stored,
    Stop,
}

impl Inbox for Events {
    fn put(&self, event: TriggerEvent) {
        self.plugin.events_waiting.fetch_add(1, Relaxed);
        self.pending.lock().events.push_back(event);
        self.arrived.notify_one();
    }

    fn stored(&self, backlog: Option<u64>) {
        self.backlog.store(backlog.unwrap_or(u64::MAX), Relaxed);
        self.pending.lock().stored = true;
        self.arrived.notify_one();
    }

    fn is_full(&self) -> bool {
        self.plugin.events_waiting.load(Relaxed) >= EVENTS_WAITING_MAX
            || self.backlog.load(Relaxed) >= EVENTS_STORED_MAX
    }
}

impl Pending {
    /// What there is to do now.
    fn work(&mut self, now: Instant) -> Option<Work> {
        if self.stopped {
            return Some(Work::Stop);
        }
        if let Some(event) = self.departure(now) {
            return Some(Work::Departure(event));
        }
        if let Some(event) = self.events.pop_front() {
            return Some(Work::Event(event));
        }
        std::mem::take(&mut self.stored).then_some(Work::Stored)
    }

    /// Whether there is nothing to do, now or later.
    fn is_done(&self) -> bool {
        let is_empty = self.events.is_empty() && self.departures.is_empty() && !self.stored;
        is_empty && !self.is_telling
    }

    /// A departure that can be told now.
    fn departure(&mut self, now: Instant) -> Option<TriggerEvent> {
        if self.pause.is_some_and(|until| now < until) {
            return None;
        }
        self.pause = None;
        let (database, key) = self.departures.pop_first()?;
        Some(TriggerEvent { name: DISCONNECTED.into(), database, key, depth: 1 })
    }
}

impl Events {
    fn next(&self) -> Work {
        let mut pending = self.pending.lock();
        loop {
            let work = pending.work(Instant::now());
            pending.is_telling = work.is_some();
            if let Some(work) = work {
                return work;
            }
            match pending.pause.filter(|_| !pending.departures.is_empty()) {
                Some(until) => drop(self.arrived.wait_until(&mut pending, until)),
                None => self.arrived.wait(&mut pending),
            }
        }
    }

    /// Leaves that a client has gone.
    fn depart(&self, database: u32, key: Box<[u8]>) {
        self.pending.lock().departures.insert((database, key));
        self.arrived.notify_one();
    }

    /// Puts a departure back: after a moment it is told again.
    fn tell_later(&self, event: TriggerEvent) {
        let mut pending = self.pending.lock();
        pending.departures.insert((event.database, event.key));
        pending.pause = Some(Instant::now() + PAUSE);
    }

    /// Waits a moment, and looks at the streams again.
    fn look_again_later(&self) {
        let mut pending = self.pending.lock();
        pending.stored = true;
        if !pending.stopped {
            self.arrived.wait_for(&mut pending, PAUSE);
        }
    }

    fn is_stopped(&self) -> bool {
        self.pending.lock().stopped
    }
}

/// The thread that brings a plugin its events.
pub(crate) struct Attendant {
    events: Arc<Events>,
    version: Arc<Mutex<Arc<Version>>>,
    thread: Option<JoinHandle<()>>,
}

impl Attendant {
    /// Begins with what the streams hold.
    pub(crate) fn start(version: &Arc<Version>) -> std::io::Result<Self> {
        let events = Arc::new(Events {
            plugin: Arc::clone(&version.terms.plugin),
            pending: Mutex::new(Pending { stored: true, ..Pending::default() }),
            arrived: Condvar::new(),
            backlog: AtomicU64::new(0),
        });
        let version = Arc::new(Mutex::new(Arc::clone(version)));
        let mine = (Arc::clone(&events), Arc::clone(&version));
        let thread = thread::Builder::new()
            .name("plugin-events".into())
            .spawn(move || attend(&mine.0, &mine.1))?;
        Ok(Self { events, version, thread: Some(thread) })
    }

    /// Another version gets what comes.
    pub(crate) fn serve(&self, version: &Arc<Version>) {
        *self.version.lock() = Arc::clone(version);
        self.events.stored(Some(self.events.backlog.load(Relaxed)));
    }

    /// Leaves the event that a client has gone, if the version wants to hear of this key's.
    pub(crate) fn tell_of_departure(&self, version: &Version, database: u32, key: Box<[u8]>) {
        if version.terms.hears_departure(&key) {
            self.events.depart(database, key);
        }
    }

    /// Whether nothing is left to be told, at one instant: who tells one may cause what is told to another.
    pub(crate) fn are_done<'a>(all: impl Iterator<Item = &'a Self>) -> bool {
        let pending: Vec<_> = all.map(|one| one.events.pending.lock()).collect();
        pending.iter().all(|pending| pending.is_done())
    }

    /// The triggers of a version, as the engine knows them.
    pub(crate) fn triggers(&self, version: &Version) -> Vec<Trigger> {
        let trigger = |claim: &crate::border::TriggerClaim| Trigger {
            plugin: Arc::clone(&version.terms.plugin.name),
            pattern: claim.pattern.as_bytes().into(),
            events: claim.events.iter().map(|event| event.as_str().into()).collect(),
            durable: claim.durable,
            inbox: Arc::clone(&self.events) as Arc<dyn Inbox>,
        };
        // Of departures the engine knows nothing, so it need not compare with each event.
        let is_of_keys = |claim: &&crate::border::TriggerClaim| {
            claim.events.is_empty() || claim.events.iter().any(|event| event != DISCONNECTED)
        };
        version.triggers.iter().filter(is_of_keys).map(trigger).collect()
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.events.pending.lock().stopped = true;
        self.events.arrived.notify_all();
        if let Some(thread) = self.thread.take() {
            // What it could tell is in the plugin's log.
            let _ = thread.join();
        }
    }
}

fn attend(events: &Events, version: &Mutex<Arc<Version>>) {
    loop {
        let work = events.next();
        let current = Arc::clone(&version.lock());
        match work {
            Work::Stop => return,
            Work::Event(event) => {
                current.handle_told(events, &event);
                events.plugin.events_waiting.fetch_sub(1, Relaxed);
            }
            Work::Departure(event) => current.tell_departure(events, event),
            Work::Stored if !current.terms.services.backend.may_trigger() => {
                events.look_again_later();
            }
            Work::Stored => current.empty_streams(events),
        }
    }
}

/// Why an event has not taken effect.
enum Failure {
    /// It may later.
    ForNow(String),
    Final(String),
}

impl Failure {
    fn text(&self) -> &str {
        match self {
            Self::ForNow(text) | Self::Final(text) => text,
        }
    }

    fn of_step(error: &StepError) -> Self {
        let text = format!("{error:?}");
        match error {
            StepError::ReadOnly(_)
            | StepError::OutOfMemory
            | StepError::QuotaExceeded(_)
            | StepError::Stopped => Self::ForNow(text),
            _ => Self::Final(text),
        }
    }
}

impl Version {
    /// Tells that a client has gone; later, if the server takes no writes now.
    fn tell_departure(&self, events: &Events, event: TriggerEvent) {
        if !self.terms.services.backend.may_trigger() {
            return events.tell_later(event);
        }
        match self.handle(&event, &[]) {
            Ok(()) => {}
            Err(Failure::ForNow(_)) => events.tell_later(event),
            Err(Failure::Final(_)) => self.handle_told(events, &event),
        }
    }

    /// Handles an event that is kept nowhere. A call that fails for want of time or room is not the end of
    /// it: it is tried again a few times.
    fn handle_told(&self, events: &Events, event: &TriggerEvent) {
        for attempt in 1..=EVENT_ATTEMPTS_MAX {
            match self.handle(event, &[]) {
                Ok(()) => return,
                Err(failure) if attempt == EVENT_ATTEMPTS_MAX || events.is_stopped() => {
                    return self.give_up(event, failure.text());
                }
                Err(_) => thread::sleep(Duration::from_millis(1 << attempt.min(6))),
            }
        }
    }

    /// Handles what is in the plugin's streams, database by database.
    fn empty_streams(&self, events: &Events) {
        for database in 0..self.terms.services.backend.databases() {
            loop {
                let entries = match self.entries(database) {
                    Ok(entries) if entries.is_empty() => break,
                    Ok(entries) => entries,
                    Err(_) => return events.look_again_later(),
                };
                for (id, event) in entries {
                    if events.is_stopped() || !self.handle_stored(&id, &event) {
                        return events.look_again_later();
                    }
                }
            }
        }
        events.backlog.store(0, Relaxed);
    }

    /// Handles an event of a stream. `false`: it must stay there for now.
    fn handle_stored(&self, id: &[u8], event: &TriggerEvent) -> bool {
        let stream = Trigger::stream(self.name());
        let done = vec![b"XDEL".to_vec(), stream.clone(), id.to_vec()];
        let backend = &self.terms.services.backend;
        let mut reason = String::new();
        for attempt in 0..EVENT_ATTEMPTS_MAX {
            if !backend.may_trigger() {
                return false;
            }
            match self.handle(event, std::slice::from_ref(&done)) {
                Ok(()) => return true,
                Err(failure) => failure.text().clone_into(&mut reason),
            }
            thread::sleep(Duration::from_millis(1 << attempt.min(6)));
        }
        let dead = [stream.as_slice(), b":dead"].concat();
        let words: [&[u8]; 9] = [
            b"XADD",
            &dead,
            b"*",
            b"event",
            event.name.as_bytes(),
            b"key",
            &event.key,
            b"reason",
            reason.as_bytes(),
        ];
        let letter = words.iter().map(|word| word.to_vec()).collect();
        let is_kept = self.apply(event, &EffectsClaim::default(), &[letter, done]).is_ok();
        if is_kept {
            self.give_up(event, &reason);
        }
        is_kept
    }

    /// Lets the plugin say what is to be done about an event, and does it.
    fn handle(&self, event: &TriggerEvent, done: &[Vec<Vec<u8>>]) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let effects = self.react(event)?;
            let is_nothing = effects.counts.is_empty() && done.is_empty();
            match self.apply(event, &effects, done) {
                _ if is_nothing => {}
                Ok(Outcome::Applied) => {}
                Ok(Outcome::Stale(_)) => continue,
                Err(error) => return Err(Failure::of_step(&error)),
            }
            self.terms.plugin.events.fetch_add(1, Relaxed);
            return Ok(());
        }
        Err(Failure::ForNow("its guards never held".to_owned()))
    }

    fn react(&self, event: &TriggerEvent) -> Result<EffectsClaim, Failure> {
        let too_many = || Failure::ForNow(texts::too_many_calls(self.name()));
        let mut instance = self.instance().ok_or_else(too_many)?;
        instance.begin_react(event.clone());
        let (answer, usage) = run_to_end(&mut instance, &self.terms);
        let survives = !matches!(answer, Answer::Failed(_));
        let sample = Sample { ending: Ending::Reply, usage, cost: None };
        // It counts as no command's.
        self.pool.put(Some(instance).filter(|_| survives), u32::MAX, &sample);
        match answer {
            Answer::Effects(effects) => Ok(*effects),
            Answer::Refused(error) => {
                Err(Failure::Final(format!("{} {}", error.code, error.message)))
            }
            Answer::Failed(failure) => {
                Err(Failure::Final(failure.text(self.name(), &self.terms.limits)))
            }
            _ => Err(Failure::Final("it answered another question".to_owned())),
        }
    }

    fn apply(
        &self,
        event: &TriggerEvent,
        effects: &EffectsClaim,
        done: &[Vec<Vec<u8>>],
    ) -> Result<Outcome, StepError> {
        let origin = Origin { plugin: Arc::clone(&self.terms.plugin.name), depth: event.depth };
        let batch = Batch {
            guards: Guards {
                keys: Items { lengths: &effects.guarded_lengths, data: &effects.guarded_data },
                versions: &effects.versions,
                absent: Items { lengths: &effects.absent_lengths, data: &effects.absent_data },
            },
            commands: CommandColumns {
                counts: &effects.counts,
                lengths: &effects.lengths,
                data: &effects.data,
            },
            on_error: OnError::RollBack,
            discard_replies: true,
        };
        let backend = &self.terms.services.backend;
        let caller = nobody(event.database);
        backend.apply_effects(&origin, &caller, &self.terms.grants, &batch, done)
    }

    /// The first events of the plugin's stream in a database, with their ids.
    fn entries(&self, database: u32) -> Result<Vec<(Vec<u8>, TriggerEvent)>, StepError> {
        let stream = Trigger::stream(self.name());
        let words: [&[u8]; 6] =
            [b"XRANGE", &stream, b"-", b"+", b"COUNT", EVENTS_PER_READ.as_bytes()];
        let lengths = words.map(|word| word.len() as u32);
        let data = words.concat();
        let commands = CommandColumns { counts: &[6], lengths: &lengths, data: &data };
        let mut replies = Writer::new(Protocol::Columns);
        let backend = &self.terms.services.backend;
        let (nobody, all) = (nobody(database), Grants::all());
        backend.read(&nobody, &all, commands, Items::default(), &mut replies, &mut Vec::new())?;
        Ok(parse(replies.nodes(), replies.data(), database))
    }

    /// An event will not be told again.
    #[cold]
    fn give_up(&self, event: &TriggerEvent, reason: &str) {
        self.terms.plugin.events_failed.fetch_add(1, Relaxed);
        self.terms.note(Level::Error, &texts::event_failed(&event.name, &event.key, reason));
    }
}

fn nobody(database: u32) -> Caller {
    Caller { client_id: 0, user: "default".into(), database }
}

/// Takes entries of XRANGE apart: an id and its fields, as texts in order.
fn parse(nodes: &[Node], data: &[u8], database: u32) -> Vec<(Vec<u8>, TriggerEvent)> {
    let mut rest = data;
    let mut entries: Vec<Vec<&[u8]>> = Vec::new();
    // After the outermost array each entry is an array of an id and an array of fields.
    let mut left = 0;
    for node in nodes.iter().skip(1) {
        match node {
            Node::Array(2) if left == 0 => {
                entries.push(Vec::new());
                left = 1;
            }
            Node::Array(fields) => left = *fields as usize,
            Node::Bulk(length) => {
                let (text, tail) = rest.split_at((*length as usize).min(rest.len()));
                rest = tail;
                if let Some(entry) = entries.last_mut() {
                    if !entry.is_empty() {
                        left = left.saturating_sub(1);
                    }
                    entry.push(text);
                }
            }
            _ => {}
        }
    }
    entries.iter().filter_map(|words| event(words, database)).collect()
}

/// What an entry tells; fields that are not ours are passed over.
fn event(words: &[&[u8]], database: u32) -> Option<(Vec<u8>, TriggerEvent)> {
    let (id, fields) = words.split_first()?;
    let field = |name: &[u8]| fields.chunks_exact(2).find(|pair| pair[0] == name);
    let text = |name: &[u8]| field(name).map(|pair| String::from_utf8_lossy(pair[1]));
    let event = TriggerEvent {
        name: text(b"event").unwrap_or_default().as_ref().into(),
        database,
        key: field(b"key").map_or_else(Box::default, |pair| pair[1].into()),
        depth: text(b"depth").and_then(|depth| depth.parse().ok()).unwrap_or(1),
    };
    Some((id.to_vec(), event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        Events {
            plugin: Arc::new(Plugin::new("p", 0)),
            pending: Mutex::default(),
            arrived: Condvar::new(),
            backlog: AtomicU64::new(0),
        }
    }

    #[test]
    fn departures_fill_nothing_are_told_once_each_and_again_after_a_moment() {
        let events = events();
        for number in 0..2 * EVENTS_WAITING_MAX {
            events.depart(0, (number / 2).to_string().into_bytes().into());
        }
        assert!(!events.is_full());
        assert_eq!(events.pending.lock().departures.len() as u64, EVENTS_WAITING_MAX);
        let Work::Departure(first) = events.next() else { panic!("a departure") };
        assert_eq!((&*first.name, &*first.key), (DISCONNECTED, b"0".as_slice()));
        events.tell_later(first.clone());
        let now = Instant::now();
        assert_eq!(events.pending.lock().departure(now), None);
        // What else there is to do does not wait for that.
        events.stored(Some(0));
        assert!(matches!(events.next(), Work::Stored));
        assert_eq!(events.pending.lock().departure(now + PAUSE), Some(first));
    }

    #[test]
    fn entries_of_a_stream_are_events() {
        let nodes = [
            Node::Array(2),
            Node::Array(2),
            Node::Bulk(3),
            Node::Array(6),
            Node::Bulk(5),
            Node::Bulk(3),
            Node::Bulk(3),
            Node::Bulk(2),
            Node::Bulk(5),
            Node::Bulk(1),
            Node::Array(2),
            Node::Bulk(3),
            Node::Array(2),
            Node::Bulk(1),
            Node::Bulk(1),
        ];
        let events = parse(&nodes, b"1-1eventsetkeyabdepth31-2xy", 4);
        assert_eq!(events.len(), 2);
        let (id, event) = &events[0];
        assert_eq!(
            (id.as_slice(), &*event.name, &*event.key),
            (b"1-1".as_slice(), "set", b"ab".as_slice())
        );
        assert_eq!((event.depth, event.database), (3, 4));
        // Somebody else's entry says nothing, but must not stay for ever.
        assert_eq!((events[1].0.as_slice(), &*events[1].1.name), (b"1-2".as_slice(), ""));
    }
}
