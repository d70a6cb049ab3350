//! Warm instances of one version, and the statistics of its calls.
//!
//! Both are on shelves, one per thread as far as the shelves go, so that threads rarely meet: an
//! instance is taken from the own shelf, else from another one, and put back with the sample of
//! its call under the same short lock.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::instance::Instance;
use crate::limits::{CALLS_PER_INSTANCE_MAX, GROWTH_PER_INSTANCE_MAX, Limits};
use crate::tally::{Sample, Tally};

/// Shelves per version.
const SHELVES: usize = 8;
/// Idle instances that one shelf keeps.
const IDLE_PER_SHELF_MAX: usize = 16;

#[derive(Default)]
struct Shelf {
    idle: Vec<Instance>,
    tallies: Vec<Tally>,
}

/// The warm instances of one version.
pub(crate) struct Pool {
    shelves: [Mutex<Shelf>; SHELVES],
    closed: AtomicBool,
    growth_bytes_max: u64,
}

impl Pool {
    pub(crate) fn new(commands: usize, limits: &Limits) -> Self {
        let shelf =
            || Mutex::new(Shelf { idle: Vec::new(), tallies: vec![Tally::default(); commands] });
        Self {
            shelves: std::array::from_fn(|_| shelf()),
            closed: AtomicBool::new(false),
            growth_bytes_max: GROWTH_PER_INSTANCE_MAX.min(limits.memory_bytes / 2),
        }
    }

    /// A warm instance, if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Instance> {
        let own = own_shelf();
        if let Some(instance) = self.shelves[own].lock().idle.pop() {
            return Some(instance);
        }
        let others = (1..SHELVES).map(|distance| &self.shelves[(own + distance) % SHELVES]);
        others.into_iter().find_map(|shelf| shelf.lock().idle.pop())
    }

    /// Counts a call and puts its instance back, if it survived and is not worn out.
    #[inline]
    pub(crate) fn put(&self, instance: Option<Instance>, command: u32, sample: &Sample) {
        let mut spent = None;
        let mut shelf = self.shelves[own_shelf()].lock();
        if let Some(tally) = shelf.tallies.get_mut(command as usize) {
            tally.count(sample);
        }
        if let Some(instance) = instance {
            let fresh = instance.calls() < CALLS_PER_INSTANCE_MAX
                && sample.usage.grown_bytes <= self.growth_bytes_max
                && !self.closed.load(Relaxed);
            if fresh && shelf.idle.len() < IDLE_PER_SHELF_MAX {
                shelf.idle.push(instance);
            } else {
                spent = Some(instance);
            }
        }
        drop(shelf);
        // Giving memory back takes a while: not under the lock.
        drop(spent);
    }

    /// Drops the idle instances; busy ones follow when they come back.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        self.drop_idle();
    }

    /// Drops the idle instances; how many there were.
    pub(crate) fn drop_idle(&self) -> usize {
        let drop_from = |shelf: &Mutex<Shelf>| {
            let idle = std::mem::take(&mut shelf.lock().idle);
            idle.len()
        };
        self.shelves.iter().map(drop_from).sum()
    }

    /// How many instances are idle.
    pub(crate) fn idle(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.lock().idle.len()).sum()
    }

    /// The statistics, one tally per command.
    pub(crate) fn tallies(&self) -> Vec<Tally> {
        let mut sums: Vec<Tally> = Vec::new();
        for shelf in &self.shelves {
            let shelf = shelf.lock();
            sums.resize_with(shelf.tallies.len(), Tally::default);
            for (sum, tally) in sums.iter_mut().zip(&shelf.tallies) {
                sum.add(tally);
            }
        }
        sums
    }
}

/// The shelf of the current thread: threads are numbered as they come.
#[inline]
fn own_shelf() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Relaxed) % SHELVES;
    }
    OWN.with(|own| *own)
}
