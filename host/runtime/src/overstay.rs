//! Finishes the calls that did not end within their first slice, and runs those of commands that are
//! in the habit of it, on threads of their own, so that a plugin that takes its time does not delay
//! the other clients of its caller's thread.
//!
//! Plugins take turns, and the calls of a plugin among themselves: one slice each. CPU time is
//! read from the thread's clock, so that waiting for a core costs nobody's budget. A plugin that has used
//! its [share](crate::share) of a core that others want has no turn until it is even again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use reef_engine::backend::{Caller, Conclusion, Late};
use reef_resp::{OwnedArgv, Protocol, Writer};

use crate::calls;
use crate::failure::Failure;
use crate::instance::{Answer, Instance, Progress};
use crate::limits::OVERSTAYING_PER_PLUGIN_MAX;
use crate::meter::Usage;
use crate::plugin::Plugin;
use crate::standing::{Standing, is_real_time};
use crate::stopwatch::{Stopwatch, thread_cpu};
use crate::tally::Cost;
use crate::version::Version;

/// Length of a slice, unless something else ends it earlier: a tick for calls on the server's threads,
/// the end of another slice, a KILL. With shorter ones it is the timing that costs the neighbours something.
const SLICE: Duration = Duration::from_millis(4);
/// Shortest slice: what is left of a budget may be less, and over before the guest has begun.
const SLICE_MIN: Duration = Duration::from_micros(200);

/// How far a call is.
pub(crate) enum Stage {
    /// It has not begun, and has no instance yet: who calls with what.
    Waiting(Caller, OwnedArgv),
    Begun(Instance),
}

/// A call that overstays, or waits to begin.
pub(crate) struct Guest {
    pub(crate) version: Arc<Version>,
    pub(crate) command: u32,
    pub(crate) stage: Stage,
    /// See [`Plugin::kill_mark`](crate::plugin::Plugin::kill_mark).
    pub(crate) kill_mark: u64,
    pub(crate) started: Instant,
    /// CPU time so far.
    pub(crate) spent: Duration,
    /// Slices so far.
    pub(crate) slices: u32,
    pub(crate) protocol: Protocol,
    pub(crate) conclusion: Conclusion,
}

impl Guest {
    /// A call that has used nothing yet.
    pub(crate) fn new(
        version: Arc<Version>,
        command: u32,
        stage: Stage,
        kill_mark: u64,
        protocol: Protocol,
        conclusion: Conclusion,
    ) -> Self {
        let (started, spent, slices) = (Instant::now(), Duration::ZERO, 0);
        Self { version, command, stage, kill_mark, started, spent, slices, protocol, conclusion }
    }
}

/// When a plugin has its turn, the earliest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Before all others: a call that was killed waits for nobody's slice.
    First,
    Next,
    /// It rests until then.
    At(Instant),
}

/// The calls of one plugin.
struct Party {
    plugin: Arc<Plugin>,
    /// Those that have begun, in the order of their turns.
    guests: VecDeque<Guest>,
    /// Those that have not, in the order in which they came.
    waiting: VecDeque<Guest>,
}

impl Party {
    fn push(&mut self, guest: Guest) {
        match guest.stage {
            Stage::Begun(_) => self.guests.push_back(guest),
            Stage::Waiting(..) => self.waiting.push_back(guest),
        }
    }

    /// The next one: new calls come before those that have begun, so that short ones need not wait
    /// for long ones, as long as not too many have; but none before one that was killed.
    fn pop(&mut self) -> Option<Guest> {
        let mark = self.plugin.kill_mark();
        for calls in [&mut self.guests, &mut self.waiting] {
            if calls.front().is_some_and(|guest| guest.kill_mark != mark) {
                return calls.pop_front();
            }
        }
        let may_begin = self.plugin.overstaying.load(Relaxed) < OVERSTAYING_PER_PLUGIN_MAX;
        let new = may_begin.then(|| self.waiting.pop_front()).flatten();
        // None of them may be here: another thread has them.
        new.or_else(|| self.guests.pop_front()).or_else(|| self.waiting.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.guests.is_empty() && self.waiting.is_empty()
    }

    fn turn(&self, now: Instant) -> Turn {
        if self.is_killed() {
            return Turn::First;
        }
        self.plugin.share.lock().rests_until(now).map_or(Turn::Next, Turn::At)
    }

    /// Whether one that would be next was killed.
    fn is_killed(&self) -> bool {
        let mut next = self.guests.front().into_iter().chain(self.waiting.front());
        next.any(|guest| guest.kill_mark != self.plugin.kill_mark())
    }
}

#[derive(Default)]
struct Queue {
    /// In the order of their turns.
    parties: VecDeque<Party>,
    stopped: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

/// The threads.
pub(crate) struct Overstay {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Overstay {
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let spawn = |number: usize| {
            let mine = Arc::clone(&shared);
            thread::Builder::new().name(format!("plugin-calls-{number}")).spawn(move || {
                Standing::Behind.take();
                mine.run();
            })
        };
        let threads = (0..threads.max(1)).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Looks at the calls again: some were killed.
    pub(crate) fn look(&self) {
        let _queue = self.shared.queue.lock();
        self.shared.arrived.notify_all();
    }

    /// Takes a call over.
    pub(crate) fn admit(&self, guest: Guest) {
        let plugin = &guest.version.terms.plugin;
        match guest.stage {
            Stage::Begun(_) => plugin.overstaying.fetch_add(1, Relaxed),
            Stage::Waiting(..) => plugin.apart.fetch_add(1, Relaxed),
        };
        self.shared.queue.lock().push(guest);
        self.shared.arrived.notify_one();
    }
}

impl Drop for Overstay {
    fn drop(&mut self) {
        self.shared.queue.lock().stopped = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // The threads catch panics; there is nothing to be told.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn push(&mut self, guest: Guest) {
        // Not by their names: every tenant may have one of that name.
        let plugin = &guest.version.terms.plugin;
        match self.parties.iter_mut().find(|party| Arc::ptr_eq(&party.plugin, plugin)) {
            Some(party) => party.push(guest),
            None => {
                let plugin = Arc::clone(plugin);
                let (guests, waiting) = (VecDeque::new(), VecDeque::new());
                let mut party = Party { plugin, guests, waiting };
                party.push(guest);
                self.parties.push_back(party);
            }
        }
    }

    /// The next call of the plugin whose turn it is; that plugin goes to the end. If it is nobody's
    /// turn, when it will be somebody's.
    fn pop(&mut self, now: Instant) -> Result<Guest, Option<Instant>> {
        let turns = self.parties.iter().map(|party| party.turn(now)).enumerate();
        let (first, turn) = turns.min_by_key(|(_, turn)| *turn).ok_or(None)?;
        if let Turn::At(rested) = turn {
            return Err(Some(rested));
        }
        let mut party = self.parties.remove(first).ok_or(None)?;
        let guest = party.pop();
        if !party.is_empty() {
            self.parties.push_back(party);
        }
        guest.ok_or(None)
    }
}

impl Shared {
    fn run(&self) {
        let stopwatch = Stopwatch::of_this_thread();
        let shares = !is_real_time();
        while let Some(guest) = self.next() {
            let plugin = Arc::clone(&guest.version.terms.plugin);
            // One that begins here may be over soon, and short calls are to answer soon.
            let is_long = guest.slices > 0;
            let (guest, slice) = stopwatch.measure(|| serve(guest));
            if shares && is_long {
                plugin.share.lock().charge(slice, Instant::now());
            }
            if let Some(guest) = guest {
                self.queue.lock().push(guest);
            }
        }
    }

    fn next(&self) -> Option<Guest> {
        let mut queue = self.queue.lock();
        loop {
            if queue.stopped {
                return None;
            }
            match queue.pop(Instant::now()) {
                Ok(guest) => {
                    // One more may be ready, whose coming woke a thread that is at another now.
                    if !queue.parties.is_empty() {
                        self.arrived.notify_one();
                    }
                    return Some(guest);
                }
                Err(Some(rested)) => _ = self.arrived.wait_until(&mut queue, rested),
                Err(None) => self.arrived.wait(&mut queue),
            }
        }
    }
}

/// Gives a call one slice; the call, if it is not finished.
fn serve(mut guest: Guest) -> Option<Guest> {
    let terms = &guest.version.terms;
    let budget = Duration::from_millis(terms.limits.cpu_ms.into());
    let failure = if terms.plugin.kill_mark() != guest.kill_mark {
        Failure::Killed
    } else if guest.spent >= budget {
        Failure::Timeout
    } else {
        let before = thread_cpu();
        let longest = (budget - guest.spent).clamp(SLICE_MIN, SLICE);
        let progress = catch_unwind(AssertUnwindSafe(|| poll(&mut guest, longest)));
        guest.spent += thread_cpu().saturating_sub(before);
        match progress {
            Ok(Some(Progress::Running)) if guest.spent < budget => return Some(guest),
            Ok(Some(Progress::Running)) => Failure::Timeout,
            Ok(Some(Progress::Answered(answer, usage))) => {
                finish(guest, answer, usage);
                return None;
            }
            Ok(None) => Failure::NoRoom,
            Err(_) => Failure::Panic,
        }
    };
    finish(guest, Answer::Failed(failure), Usage::default());
    None
}

/// Begins a call or goes on with it, for so long; `None` when there is no instance for it.
fn poll(guest: &mut Guest, longest: Duration) -> Option<Progress> {
    guest.slices += 1;
    let begun = Instant::now();
    if let Stage::Waiting(caller, argv) = &guest.stage {
        let mut instance = guest.version.instance()?;
        let _ = instance.begin_call(guest.command, None, caller, argv.as_argv());
        guest.stage = Stage::Begun(instance);
        let plugin = &guest.version.terms.plugin;
        plugin.apart.fetch_sub(1, Relaxed);
        plugin.overstaying.fetch_add(1, Relaxed);
    }
    let Stage::Begun(instance) = &mut guest.stage else { return None };
    let _slice = guest.version.terms.services.ticker.time(Instant::now() + longest);
    Some(instance.poll(Some(begun), guest.spent))
}

fn finish(guest: Guest, answer: Answer, usage: Usage) {
    let Guest { version, command, stage, started, spent, slices, protocol, conclusion, .. } = guest;
    let mut reply = Writer::new(protocol);
    version.terms.services.allowance.charge(spent);
    version.habit(command).took(spent);
    let cost = Some(Cost::of_guest(spent, started.elapsed(), slices > 1));
    let plugin = &version.terms.plugin;
    let (instance, counted) = match stage {
        Stage::Begun(instance) => (Some(instance), &plugin.overstaying),
        Stage::Waiting(..) => (None, &plugin.apart),
    };
    let park = calls::finish(&version, command, instance, answer, usage, cost, &mut reply);
    counted.fetch_sub(1, Relaxed);
    let late = park.map_or_else(|| Late::Reply(reply.take_data()), Late::Park);
    let deliver = || conclusion(late);
    // Whoever waits may be gone in any way it likes; this thread goes on.
    let _ = catch_unwind(AssertUnwindSafe(deliver));
}
