//! How slowly keys are saved or loaded, for tests that need time (`rdb-key-save-delay`,
//! `key-load-delay`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Microseconds to rest after every key; below zero, one microsecond after so many keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace(pub i32);

/// A rest is over so soon after it has been called off.
const PATIENCE: Duration = Duration::from_millis(10);

impl Pace {
    /// Whether there is nothing to wait for.
    pub(crate) fn is_full(self) -> bool {
        self.0 == 0
    }

    /// Rests for so many keys, unless that is called off.
    pub(crate) fn rest(self, keys: usize, is_cancelled: &AtomicBool) {
        let keys = keys as u64;
        let micros = match u64::try_from(self.0) {
            Ok(micros) => micros.saturating_mul(keys),
            Err(_) => keys / u64::from(self.0.unsigned_abs()),
        };
        let until = Instant::now().checked_add(Duration::from_micros(micros));
        while let Some(left) = until.and_then(|at| at.checked_duration_since(Instant::now()))
            && !left.is_zero()
            && !is_cancelled.load(Ordering::Relaxed)
        {
            std::thread::sleep(left.min(PATIENCE));
        }
    }
}
