//! Finishes the calls that did not end within their first slice, on threads of their own, so that
//! a plugin that takes its time does not delay the other clients of its caller's thread.
//!
//! Plugins take turns, and the calls of a plugin among themselves: one slice each. CPU time is
//! read from the thread's clock, so that waiting for a core costs nobody's budget.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use reef_engine::backend::{Conclusion, Late};
use reef_resp::{Protocol, Writer};
use rustix::time::{ClockId, clock_gettime};

use crate::calls;
use crate::failure::Failure;
use crate::instance::{Answer, Instance, Progress};
use crate::meter::Usage;
use crate::tally::Cost;
use crate::version::Version;

/// How much these threads step back for others (`nice`).
const NICE: i32 = 5;

/// A call that overstays.
pub(crate) struct Guest {
    pub(crate) version: Arc<Version>,
    pub(crate) command: u32,
    pub(crate) instance: Instance,
    /// See [`Plugin::kill_mark`](crate::plugin::Plugin::kill_mark).
    pub(crate) kill_mark: u64,
    pub(crate) started: Instant,
    /// CPU time so far.
    pub(crate) spent: Duration,
    pub(crate) protocol: Protocol,
    pub(crate) conclusion: Conclusion,
}

/// The calls of one plugin.
struct Party {
    plugin: Arc<str>,
    guests: VecDeque<Guest>,
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
                // Not being allowed to step back is no reason not to run.
                let _ = rustix::process::nice(NICE);
                mine.run();
            })
        };
        let threads = (0..threads.max(1)).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Takes a call over.
    pub(crate) fn admit(&self, guest: Guest) {
        guest.version.terms.plugin.overstaying.fetch_add(1, Relaxed);
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
        let name = &guest.version.terms.plugin.name;
        match self.parties.iter_mut().find(|party| party.plugin == *name) {
            Some(party) => party.guests.push_back(guest),
            None => {
                let plugin = Arc::clone(name);
                self.parties.push_back(Party { plugin, guests: VecDeque::from([guest]) });
            }
        }
    }

    /// The next call of the plugin whose turn it is; that plugin goes to the end.
    fn pop(&mut self) -> Option<Guest> {
        let mut party = self.parties.pop_front()?;
        let guest = party.guests.pop_front();
        if !party.guests.is_empty() {
            self.parties.push_back(party);
        }
        guest
    }
}

impl Shared {
    fn run(&self) {
        while let Some(guest) = self.next() {
            if let Some(guest) = serve(guest) {
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
            if let Some(guest) = queue.pop() {
                return Some(guest);
            }
            self.arrived.wait(&mut queue);
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
        terms.services.ticker.touch();
        let before = thread_cpu();
        let poll = || guest.instance.poll(Some(Instant::now()), guest.spent);
        let progress = catch_unwind(AssertUnwindSafe(poll));
        guest.spent += thread_cpu().saturating_sub(before);
        match progress {
            Ok(Progress::Running) => return Some(guest),
            Ok(Progress::Answered(answer, usage)) => {
                finish(guest, answer, usage);
                return None;
            }
            Err(_) => Failure::Panic,
        }
    };
    finish(guest, Answer::Failed(failure), Usage::default());
    None
}

fn finish(guest: Guest, answer: Answer, usage: Usage) {
    let Guest { version, command, instance, started, spent, protocol, conclusion, .. } = guest;
    let mut reply = Writer::new(protocol);
    version.terms.services.allowance.charge(spent);
    let cost = Some(Cost::of_guest(spent, started.elapsed()));
    let instance = Some(instance);
    let park = calls::finish(&version, command, instance, answer, usage, cost, &mut reply);
    version.terms.plugin.overstaying.fetch_sub(1, Relaxed);
    let late = park.map_or_else(|| Late::Reply(reply.take_data()), Late::Park);
    let deliver = || conclusion(late);
    // Whoever waits may be gone in any way it likes; this thread goes on.
    let _ = catch_unwind(AssertUnwindSafe(deliver));
}

/// CPU time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
