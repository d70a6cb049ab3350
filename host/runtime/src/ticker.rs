//! The clock of epoch interruption: one thread that advances the epoch each millisecond while calls
//! are made on the server's threads, when a long call asks for it, and otherwise sleeps.
//!
//! Whoever is about to run guest code on a thread that has other things to do says so by
//! [`Ticker::touch`], and again when a host function has returned: one load while the ticker is awake.
//! Threads that run nothing but long calls say when their slice is to end ([`Ticker::time`]): a
//! tick each millisecond would cost a virtual machine's core some percent. Epochs are ticks, not time: a
//! starved ticker stretches them, which is why budgets are counted in CPU time and ticks only say when
//! to look.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use wasmtime::Engine;

use crate::limits::SLICE_TICKS;
use crate::standing::Standing;

/// Length of a tick.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a call after which the ticker goes to sleep.
const IDLE_TICKS: u32 = 64;

/// When timed slices are to end again: a guest that was only about to begin has not heard of the first
/// time. Usually there is none: the thread has begun another slice by then, or rests.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Shared {
    /// Set by calls, cleared once in [`IDLE_TICKS`].
    touched: AtomicBool,
    stopped: AtomicBool,
    timed: Mutex<Timed>,
    /// There is something new to wake up for.
    changed: Condvar,
}

/// The slices of threads that say when those are to end.
#[derive(Debug, Default)]
struct Timed {
    under_way: u32,
    /// When they are to end; those of other threads may end earlier.
    end_by: Option<Instant>,
}

/// A slice whose end was said: it is over when this is dropped.
pub(crate) struct TimedSlice<'a>(&'a Shared);

/// What a ticker wakes up for.
enum Waking {
    Calls,
    Asked,
    Stop,
}

thread_local! {
    /// Whether this thread asks for the ticks that it wants, and needs no others.
    static ASKS: Cell<bool> = const { Cell::new(false) };
}

/// Advances the epoch of one engine.
pub(crate) struct Ticker {
    engine: Engine,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (mine, clock) = (Arc::clone(&shared), engine.clone());
        let thread =
            thread::Builder::new().name("plugin-ticker".into()).spawn(move || mine.run(&clock))?;
        Ok(Self { engine, shared, thread: Some(thread) })
    }

    /// Guest code is about to run: a tick each millisecond for a while.
    #[inline]
    pub(crate) fn touch(&self) {
        if !self.shared.touched.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if !ASKS.get() {
            self.shared.tell(&self.shared.touched);
        }
    }

    /// A slice begins that is to end at this instant, or earlier. From now on this thread gets no
    /// ticks but for such slices.
    pub(crate) fn time(&self, end_by: Instant) -> TimedSlice<'_> {
        ASKS.set(true);
        let mut timed = self.shared.timed.lock();
        timed.under_way += 1;
        if timed.end_by.is_none_or(|before| end_by < before) {
            timed.end_by = Some(end_by);
            self.shared.changed.notify_one();
        }
        TimedSlice(&self.shared)
    }

    /// Ends the slices under way now.
    pub(crate) fn end_slices(&self) {
        end_slices(&self.engine);
    }
}

impl Drop for TimedSlice<'_> {
    fn drop(&mut self) {
        let mut timed = self.0.timed.lock();
        timed.under_way -= 1;
        if timed.under_way == 0 {
            timed.end_by = None;
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.tell(&self.shared.stopped);
        if let Some(thread) = self.thread.take() {
            // A ticker that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Sets a flag that a ticker wakes up for.
    fn tell(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::SeqCst);
        // The ticker looks with this lock held: it has seen the flag, or sleeps by now.
        drop(self.timed.lock());
        self.changed.notify_one();
    }

    fn run(&self, engine: &Engine) {
        Standing::Ahead.take();
        loop {
            match self.sleep() {
                Waking::Calls => self.tick_while_called(engine),
                Waking::Asked => end_slices(engine),
                Waking::Stop => return,
            }
        }
    }

    fn tick_while_called(&self, engine: &Engine) {
        while self.touched.swap(false, Ordering::SeqCst) {
            for _ in 0..IDLE_TICKS {
                if self.stopped.load(Ordering::SeqCst) {
                    return;
                }
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        }
    }

    fn sleep(&self) -> Waking {
        let mut timed = self.timed.lock();
        loop {
            if self.stopped.load(Ordering::SeqCst) {
                return Waking::Stop;
            }
            if self.touched.load(Ordering::SeqCst) {
                return Waking::Calls;
            }
            let now = Instant::now();
            match timed.end_by {
                Some(end_by) if end_by <= now => {
                    timed.end_by = Some(now + AGAIN);
                    return Waking::Asked;
                }
                Some(end_by) => _ = self.changed.wait_until(&mut timed, end_by),
                None => self.changed.wait(&mut timed),
            }
        }
    }
}

/// So many ticks that every slice is over, the first of a call as well.
fn end_slices(engine: &Engine) {
    for _ in 0..SLICE_TICKS {
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticker() -> Ticker {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        Ticker::start(Engine::new(&config).unwrap()).unwrap()
    }

    fn is_touched(ticker: &Ticker) -> bool {
        ticker.shared.touched.load(Ordering::SeqCst)
    }

    #[test]
    fn a_ticker_sleeps_when_idle_and_wakes_at_a_touch() {
        let ticker = ticker();
        for _ in 0..2 {
            ticker.touch();
            // Only a ticker that is awake takes it back.
            while is_touched(&ticker) {
                thread::sleep(TICK);
            }
        }
    }

    #[test]
    fn a_thread_that_times_its_slices_gets_ticks_for_those_and_no_others() {
        let ticker = ticker();
        let ticks = || ticker.shared.timed.lock().end_by;
        let late = Instant::now() + Duration::from_secs(600);
        let long = ticker.time(late);
        ticker.touch();
        assert!(!is_touched(&ticker));
        let short = ticker.time(Instant::now() + TICK);
        // It goes on to tick while there are any.
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let end_by = ticks();
            assert_ne!(end_by, Some(late));
            if seen.last() != Some(&end_by) {
                seen.push(end_by);
            }
        }
        drop(short);
        assert!(ticks().is_some());
        drop(long);
        assert_eq!(ticks(), None);
        thread::scope(|scope| scope.spawn(|| ticker.touch()).join().unwrap());
        while is_touched(&ticker) {
            thread::sleep(TICK);
        }
    }
}
