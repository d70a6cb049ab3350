//! For how long a query may still run. It holds all shards meanwhile, so whatever takes a while asks.

use core::cell::Cell;

/// For how long a query may still run.
pub struct Patience<'a> {
    now_us: &'a dyn Fn() -> u64,
    until_us: Option<u64>,
    is_over: Cell<bool>,
    /// Work since the last look at the clock.
    done: Cell<u32>,
}

impl<'a> Patience<'a> {
    /// From now on for so long; 0: for ever.
    pub fn new(now_us: &'a dyn Fn() -> u64, timeout_ms: u64) -> Self {
        let until_us =
            (timeout_ms > 0).then(|| now_us().saturating_add(timeout_ms.saturating_mul(1000)));
        Self { now_us, until_us, is_over: Cell::new(false), done: Cell::new(0) }
    }

    /// What the clock says, in microseconds.
    pub fn now_us(&self) -> u64 {
        (self.now_us)()
    }

    /// Whether it is over. Looks at the clock only now and then, so it may be asked for every
    /// document.
    pub fn is_over(&self) -> bool {
        self.is_over_after(1)
    }

    /// The same after as much work as so many documents are.
    pub fn is_over_after(&self, work: u32) -> bool {
        const LOOKS: u32 = 128;
        let done = self.done.get().saturating_add(work);
        if done >= LOOKS {
            return self.look();
        }
        self.done.set(done);
        self.is_over.get()
    }

    /// The same with a look at the clock.
    pub fn look(&self) -> bool {
        self.done.set(0);
        if !self.is_over.get() && self.until_us.is_some_and(|until| (self.now_us)() >= until) {
            self.is_over.set(true);
        }
        self.is_over.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_now_and_then() {
        let (now, looks) = (Cell::new(0), Cell::new(0));
        let clock = || {
            looks.set(looks.get() + 1);
            now.get()
        };
        let patience = Patience::new(&clock, 1);
        now.set(1000);
        assert!((0..127).all(|_| !patience.is_over()));
        assert_eq!(looks.get(), 1);
        assert!(patience.is_over() && patience.is_over_after(500));
        let patience = Patience::new(&clock, 1);
        assert!(!patience.look() && !patience.is_over_after(128));
        now.set(2000);
        assert!(!patience.is_over() && patience.look());
        let endless = Patience::new(&clock, 0);
        now.set(u64::MAX);
        assert!(!endless.look() && !endless.is_over_after(u32::MAX));
    }
}
