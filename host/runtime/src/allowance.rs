//! What the plugins of one tenant may use together, and what they have used.
//!
//! CPU is an account that fills by so many milliseconds each second, up to one second's worth. A call
//! may begin while there is something in it, and is charged for what it took: so the account may be
//! overdrawn by one call's budget, and the next call waits for longer.

use parking_lot::Mutex;
use reef_engine::backend::PluginQuotas;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::request::LoadError;
use crate::texts;

/// An account of CPU, and limits on what is loaded.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// Whether CPU is limited at all, so that others pay nothing.
    limits_cpu: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    quotas: PluginQuotas,
    /// Microseconds that are left; overdrawn when negative.
    left_us: i64,
    filled_at: Option<Instant>,
}

impl Allowance {
    /// Other limits from now on. The account begins full.
    pub(crate) fn set(&self, quotas: PluginQuotas) {
        let mut state = self.state.lock();
        state.left_us = capacity_us(&quotas);
        state.filled_at = None;
        self.limits_cpu.store(quotas.cpu_ms_per_s.is_some(), Ordering::Relaxed);
        state.quotas = quotas;
    }

    /// Whether every call is to be measured.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limits_cpu.load(Ordering::Relaxed)
    }

    /// Whether a call may begin; if not, the limit that is in the way.
    #[inline]
    pub(crate) fn may_begin(&self, now: impl FnOnce() -> Instant) -> Result<(), u64> {
        if self.is_limited() { self.state.lock().may_begin(now()) } else { Ok(()) }
    }

    /// Charges what a call took.
    #[inline]
    pub(crate) fn charge(&self, cpu: Duration) {
        if self.is_limited() {
            self.state.lock().left_us -= cpu.as_micros() as i64;
        }
    }

    /// How many bytes of components there is room for beside `code_bytes` that are in use.
    pub(crate) fn code_room(&self, code_bytes: u64) -> u64 {
        let max = self.state.lock().quotas.code_bytes;
        max.map_or(u64::MAX, |max| max.saturating_sub(code_bytes))
    }

    /// Whether `plugins` with `code_bytes` of components may be loaded.
    pub(crate) fn may_load(&self, plugins: usize, code_bytes: u64) -> Result<(), LoadError> {
        let quotas = self.state.lock().quotas;
        if let Some(max) = quotas.plugins.filter(|max| plugins as u64 > *max) {
            return Err(texts::quota("plugins", max).into());
        }
        match quotas.code_bytes.filter(|max| code_bytes > *max) {
            Some(max) => Err(texts::quota("code", max).into()),
            None => Ok(()),
        }
    }
}

impl State {
    fn may_begin(&mut self, now: Instant) -> Result<(), u64> {
        let per_s = self.quotas.cpu_ms_per_s.unwrap_or(0);
        let passed_us = self.filled_at.map_or(0, |at| now.duration_since(at).as_micros() as u64);
        // A thousandth of a second's worth for each millisecond.
        let gained_us = passed_us.saturating_mul(per_s) / 1000;
        if self.filled_at.is_none() || gained_us > 0 {
            self.left_us = (self.left_us + gained_us as i64).min(capacity_us(&self.quotas));
            self.filled_at = Some(now);
        }
        if self.left_us > 0 { Ok(()) } else { Err(per_s) }
    }
}

fn capacity_us(quotas: &PluginQuotas) -> i64 {
    quotas.cpu_ms_per_s.unwrap_or(0).min(1_000_000) as i64 * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas(cpu_ms_per_s: u64) -> PluginQuotas {
        PluginQuotas { cpu_ms_per_s: Some(cpu_ms_per_s), plugins: Some(2), code_bytes: Some(100) }
    }

    #[test]
    fn an_account_fills_with_time_and_holds_a_second() {
        let allowance = Allowance::default();
        let start = Instant::now();
        assert_eq!(allowance.may_begin(|| start), Ok(()));
        allowance.set(quotas(100));
        assert_eq!(allowance.may_begin(|| start), Ok(()));
        allowance.charge(Duration::from_millis(150));
        assert_eq!(allowance.may_begin(|| start), Err(100));
        // Overdrawn by 50 ms: that takes half a second.
        assert_eq!(allowance.may_begin(|| start + Duration::from_millis(499)), Err(100));
        assert_eq!(allowance.may_begin(|| start + Duration::from_millis(511)), Ok(()));
        // However long nothing is used, a second's worth is there.
        assert_eq!(allowance.may_begin(|| start + Duration::from_secs(100)), Ok(()));
        allowance.charge(Duration::from_millis(101));
        assert_eq!(allowance.may_begin(|| start + Duration::from_secs(100)), Err(100));
    }

    #[test]
    fn plugins_and_their_code_are_counted() {
        let allowance = Allowance::default();
        assert!(allowance.may_load(1000, u64::MAX).is_ok());
        allowance.set(quotas(1));
        assert!(allowance.may_load(2, 100).is_ok());
        assert!(allowance.may_load(3, 100).unwrap_err().to_string().contains("'plugins'"));
        assert!(allowance.may_load(2, 101).unwrap_err().to_string().contains("'code'"));
    }
}
