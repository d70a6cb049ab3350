//! The clock of epoch interruption: one thread that advances the epoch each millisecond while
//! calls are made, and sleeps when there are none.
//!
//! Whoever is about to run guest code says so by [`Ticker::touch`], and again when a host function
//! has returned: one load while the ticker is awake. Epochs are ticks, not time: a starved ticker
//! stretches them, which is why budgets are counted in CPU time and ticks only say when to look.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

use crate::standing::Standing;

/// Length of a tick.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a call after which the ticker goes to sleep.
const IDLE_TICKS: u32 = 64;

#[derive(Debug, Default)]
struct Shared {
    /// Set by calls, cleared once in [`IDLE_TICKS`].
    touched: AtomicBool,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

/// Advances the epoch of one engine.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mine = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("plugin-ticker".into()).spawn(move || mine.run(&engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Guest code is about to run.
    #[inline]
    pub(crate) fn touch(&self) {
        if !self.shared.touched.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.shared.touched.store(true, Ordering::SeqCst);
        if self.shared.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A ticker that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, engine: &Engine) {
        Standing::Ahead.take();
        let mut ticks = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            engine.increment_epoch();
            ticks += 1;
            if ticks >= IDLE_TICKS {
                ticks = 0;
                if !self.touched.swap(false, Ordering::SeqCst) {
                    self.sleep();
                }
            }
        }
    }

    /// Falls asleep unless a call came in between: either it saw that we sleep and wakes us, or
    /// we see that it touched.
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        if self.touched.load(Ordering::SeqCst) {
            self.asleep.store(false, Ordering::SeqCst);
        }
        while self.asleep.load(Ordering::SeqCst) && !self.stopped.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_sleeps_when_idle_and_wakes_at_a_touch() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let ticker = Ticker::start(Engine::new(&config).unwrap()).unwrap();
        ticker.touch();
        assert!(!ticker.shared.asleep.load(Ordering::SeqCst));
        while !ticker.shared.asleep.load(Ordering::SeqCst) {
            thread::sleep(TICK);
        }
        ticker.touch();
        assert!(!ticker.shared.asleep.load(Ordering::SeqCst));
        assert!(ticker.shared.touched.load(Ordering::SeqCst));
    }
}
