//! The thread that ends large values and whole databases, so that nobody else has to wait for it.
//!
//! One thread, started when there is something for it to do, and gone with the store. What it is
//! given has left the keyspace already.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};

use reef_engine::keyspace::{Database, Slot};
use reef_engine::search::Part;

/// What is to end.
#[derive(Default)]
struct Remains {
    _values: Vec<Slot>,
    _databases: Vec<Database>,
    _indexes: Vec<Part>,
    /// How many keys count as freed lazily: all, or none if nobody had asked for it.
    counted: u64,
}

#[derive(Debug, Default)]
struct Counts {
    pending: AtomicU64,
    freed: AtomicU64,
}

/// The way to the thread.
#[derive(Default)]
pub(crate) struct Reaper {
    sender: OnceLock<Option<Sender<Remains>>>,
    counts: Arc<Counts>,
}

impl Reaper {
    /// Takes values; `asked` tells whether they count as freed lazily.
    pub(crate) fn take_values(&self, values: Vec<Slot>, asked: bool) {
        let counted = if asked { values.len() as u64 } else { 0 };
        self.take(Remains { _values: values, counted, ..Remains::default() });
    }

    /// Takes databases; `asked` tells whether their keys count as freed lazily.
    pub(crate) fn take_databases(&self, databases: Vec<Database>, asked: bool) {
        let keys = databases.iter().map(|part| part.len() as u64).sum();
        let counted = if asked { keys } else { 0 };
        self.take(Remains { _databases: databases, counted, ..Remains::default() });
    }

    /// Takes parts of indexes, of which there are no keys to count.
    pub(crate) fn take_indexes(&self, parts: Vec<Part>) {
        self.take(Remains { _indexes: parts, ..Remains::default() });
    }

    fn take(&self, remains: Remains) {
        let sender = self.sender.get_or_init(|| Self::start(self.counts.clone()));
        self.counts.pending.fetch_add(remains.counted, Ordering::AcqRel);
        let refused = match sender {
            Some(sender) => sender.send(remains).err().map(|error| error.0),
            None => Some(remains),
        };
        // Without a thread to spare they end here, which only takes longer.
        if let Some(remains) = refused {
            end(remains, &self.counts);
        }
    }

    fn start(counts: Arc<Counts>) -> Option<Sender<Remains>> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("reef-lazy-free".into());
        let run = move || receiver.into_iter().for_each(|remains| end(remains, &counts));
        thread.spawn(run).is_ok().then_some(sender)
    }

    /// Keys whose values have not ended yet.
    pub(crate) fn pending(&self) -> u64 {
        self.counts.pending.load(Ordering::Acquire)
    }

    /// Keys whose values ended here.
    pub(crate) fn freed(&self) -> u64 {
        self.counts.freed.load(Ordering::Acquire)
    }

    /// Sets the second figure back to zero (`CONFIG RESETSTAT`).
    pub(crate) fn reset(&self) {
        self.counts.freed.store(0, Ordering::Release);
    }
}

fn end(remains: Remains, counts: &Counts) {
    let counted = remains.counted;
    drop(remains);
    counts.pending.fetch_sub(counted, Ordering::AcqRel);
    counts.freed.fetch_add(counted, Ordering::AcqRel);
}
