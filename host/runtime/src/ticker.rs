//! The clock of epoch interruption: one thread that advances the epoch each millisecond while guest code
//! runs on threads that have other things to do, when a slice of a long call is over, and otherwise sleeps.
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
/// time, and slices that begin by then need not wake the ticker.
const AGAIN: Duration = Duration::from_millis(4);

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
    /// When they are to end, or were: later ones may end earlier than they wish.
    end_by: Option<Instant>,
}

/// A slice whose end was said: it is over when this is dropped.
pub(crate) struct TimedSlice<'a>(&'a Shared);

/// What a ticker wakes up for.
enum Waking {
    Calls,
    SliceOver,
    Stop,
}

thread_local! {
    /// Whether this thread times its slices, and needs no other ticks.
    static TIMES_SLICES: Cell<bool> = const { Cell::new(false) };
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
        if !TIMES_SLICES.get() {
            self.shared.tell(&self.shared.touched);
        }
    }

    /// A slice begins that is to end at this instant, or earlier. From now on this thread gets no
    /// ticks but for such slices.
    pub(crate) fn time(&self, end_by: Instant) -> TimedSlice<'_> {
        TIMES_SLICES.set(true);
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
        self.0.timed.lock().under_way -= 1;
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
                Waking::SliceOver => end_slices(engine),
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
                Some(end_by) if end_by <= now && timed.under_way == 0 => timed.end_by = None,
                Some(end_by) if end_by <= now => {
                    timed.end_by = Some(now + AGAIN);
                    return Waking::SliceOver;
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
    fn a_ticker_hears_of_a_touch_asleep_and_awake() {
        let ticker = ticker();
        for pause in [0, 0, 3, 0, 3] {
            thread::sleep(pause * IDLE_TICKS * TICK);
            ticker.touch();
            // Whoever sleeps does not take it back.
            while is_touched(&ticker) {
                thread::sleep(TICK);
            }
        }
    }

    /// Runs a guest that never ends, in a slice that begins late.
    fn spin(ticker: &Ticker) -> wasmtime::Result<()> {
        let module = wat::parse_str("(module (func (export \"spin\") (loop (br 0))))").unwrap();
        let module = wasmtime::Module::new(&ticker.engine, module)?;
        let mut store = wasmtime::Store::new(&ticker.engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[])?;
        let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
        let _slice = ticker.time(Instant::now() + TICK);
        thread::sleep(3 * TICK);
        store.set_epoch_deadline(SLICE_TICKS);
        spin.call(&mut store, ())
    }

    #[test]
    fn timed_slices_end_also_if_they_begin_after_their_end_and_a_touch_is_not_theirs() {
        let ticker = ticker();
        thread::scope(|scope| {
            for _ in 0..2 {
                let spin = || spin(&ticker).unwrap_err().downcast::<wasmtime::Trap>().unwrap();
                let trap = scope.spawn(spin).join().unwrap();
                assert_eq!(trap, wasmtime::Trap::Interrupt);
            }
            scope.spawn(|| {
                drop(ticker.time(Instant::now()));
                ticker.touch();
            });
        });
        assert!(!is_touched(&ticker));
        while ticker.shared.timed.lock().end_by.is_some() {
            thread::sleep(TICK);
        }
    }
}
