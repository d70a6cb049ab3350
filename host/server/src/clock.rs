//! The only place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use reef_engine::clock::Millis;

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Milliseconds since 1970.
pub fn now_ms() -> Millis {
    Millis::new(now_us() / 1000)
}
