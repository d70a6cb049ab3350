//! What the current call has used, and the memory of its instance.
//!
//! Memory is counted over all linear memories of the store together; a refused growth is
//! remembered, so that the trap which usually follows can be named for what it is.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use wasmtime::ResourceLimiter;

use crate::border::EngineError;
use crate::failure::Stopped;
use crate::limits::{CORE_INSTANCES_MAX, Limits, MEMORIES_MAX, TABLE_ELEMENTS_MAX};
use crate::plugin::Plugin;
use crate::texts;

/// What one call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Calls of host functions.
    pub(crate) host_calls: u32,
    /// Bytes in both directions.
    pub(crate) bytes: u64,
    /// Batches that found their guards stale.
    pub(crate) conflicts: u32,
    /// Batches that were tried after such a one.
    pub(crate) retries: u32,
    /// Memory of the instance after the call.
    pub(crate) memory_bytes: u64,
    /// How much of it came after the first instant.
    pub(crate) grown_bytes: u64,
}

/// What a guest wanted more of than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Memory,
    Table,
}

/// Counts against the limits of one plugin.
#[derive(Debug)]
pub(crate) struct Meter {
    plugin: Arc<Plugin>,
    limits: Limits,
    usage: Usage,
    memory_bytes: u64,
    memory_bytes_at_start: u64,
    refused: Option<Refused>,
    table_elements: usize,
    /// Whether the last batch of this call lost its race.
    is_behind: bool,
    /// See [`Plugin::kill_mark`]; of the instant when the call began.
    kill_mark: u64,
}

impl Meter {
    pub(crate) fn new(plugin: Arc<Plugin>, limits: Limits) -> Self {
        Self {
            plugin,
            limits,
            usage: Usage::default(),
            memory_bytes: 0,
            memory_bytes_at_start: 0,
            refused: None,
            table_elements: 0,
            is_behind: false,
            kill_mark: 0,
        }
    }

    /// A new call begins.
    pub(crate) fn begin(&mut self) {
        self.usage = Usage::default();
        self.refused = None;
        self.is_behind = false;
        self.kill_mark = self.plugin.kill_mark();
    }

    /// An error if the operator has said KILL since the call began: a host call that was not begun
    /// before is not begun any more.
    #[inline]
    pub(crate) fn alive(&self) -> Result<(), Stopped> {
        if self.plugin.kill_mark() == self.kill_mark { Ok(()) } else { Err(Stopped::Killed) }
    }

    /// The instance stands: what it has now is its base.
    pub(crate) fn started(&mut self) {
        self.memory_bytes_at_start = self.memory_bytes;
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            memory_bytes: self.memory_bytes,
            grown_bytes: self.memory_bytes - self.memory_bytes_at_start.min(self.memory_bytes),
            ..self.usage
        }
    }

    /// What the guest was refused during this call, if anything.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// One call of a step on the keyspace that carries `bytes`.
    #[inline]
    pub(crate) fn step(&mut self, bytes: u64) -> Result<(), EngineError> {
        if self.count().is_err() {
            return Err(EngineError::QuotaExceeded(texts::QUOTA_HOST_CALLS.into()));
        }
        self.carry(bytes)
    }

    /// Bytes that a host function keeps, which was counted already. The error: too many.
    pub(crate) fn carry(&mut self, bytes: u64) -> Result<(), EngineError> {
        self.usage.bytes = self.usage.bytes.saturating_add(bytes);
        if self.usage.bytes > self.limits.bytes {
            return Err(EngineError::QuotaExceeded(texts::QUOTA_BYTES.into()));
        }
        Ok(())
    }

    /// What a step gave back. It has happened, so it is never refused: the next one will be.
    #[inline]
    pub(crate) fn received(&mut self, bytes: u64) {
        self.usage.bytes = self.usage.bytes.saturating_add(bytes);
    }

    /// A batch is about to be tried.
    #[inline]
    pub(crate) fn batch(&mut self) {
        self.usage.retries += u32::from(std::mem::take(&mut self.is_behind));
    }

    /// A batch lost its race.
    pub(crate) fn conflict(&mut self) {
        self.usage.conflicts += 1;
        self.is_behind = true;
    }

    /// One call of a host function that cannot say no: running out stops the guest.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<(), Stopped> {
        if self.usage.host_calls >= self.limits.host_calls {
            return Err(Stopped::HostCalls);
        }
        self.usage.host_calls += 1;
        Ok(())
    }

    /// Host calls and bytes that are left.
    pub(crate) fn left(&self) -> (u32, u64) {
        (
            self.limits.host_calls - self.usage.host_calls.min(self.limits.host_calls),
            self.limits.bytes - self.usage.bytes.min(self.limits.bytes),
        )
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes + desired.saturating_sub(current) as u64;
        if wanted > self.limits.memory_bytes {
            self.refused = Some(Refused::Memory);
            return Ok(false);
        }
        self.plugin.memory_bytes.fetch_add(wanted - self.memory_bytes, Relaxed);
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.table_elements + desired.saturating_sub(current);
        if wanted > TABLE_ELEMENTS_MAX {
            self.refused = Some(Refused::Table);
            return Ok(false);
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(Refused::Memory);
        Ok(())
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(Refused::Table);
        Ok(())
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        MEMORIES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.plugin.memory_bytes.fetch_sub(self.memory_bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(limits: Limits) -> Meter {
        Meter::new(Arc::new(Plugin::new("t", 0)), limits)
    }

    #[test]
    fn the_last_call_within_a_budget_passes_and_the_next_does_not() {
        let mut meter = meter(Limits { host_calls: 2, bytes: 10, ..Limits::default() });
        assert_eq!(meter.step(10), Ok(()));
        assert_eq!(meter.left(), (1, 0));
        assert!(
            matches!(meter.step(1), Err(EngineError::QuotaExceeded(text)) if text.contains("'bytes'"))
        );
        let refusal = meter.step(0);
        assert!(
            matches!(refusal, Err(EngineError::QuotaExceeded(text)) if text.contains("'host-calls'"))
        );
        assert_eq!(meter.count(), Err(Stopped::HostCalls));
        meter.begin();
        assert_eq!(meter.step(10), Ok(()));
    }

    #[test]
    fn a_kill_ends_the_calls_that_began_before_it() {
        let mut meter = meter(Limits::default());
        meter.begin();
        assert_eq!(meter.alive(), Ok(()));
        meter.plugin.kill();
        assert_eq!(meter.alive(), Err(Stopped::Killed));
        meter.begin();
        assert_eq!(meter.alive(), Ok(()));
    }

    #[test]
    fn a_batch_after_a_lost_race_is_a_retry() {
        let mut meter = meter(Limits::default());
        meter.begin();
        meter.batch();
        meter.conflict();
        meter.batch();
        meter.conflict();
        meter.batch();
        meter.batch();
        assert_eq!((meter.usage().conflicts, meter.usage().retries), (2, 2));
        meter.conflict();
        meter.begin();
        meter.batch();
        assert_eq!(meter.usage().retries, 0);
    }

    #[test]
    fn memory_counts_over_all_memories() {
        let mut meter = meter(Limits { memory_bytes: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None).unwrap());
        meter.started();
        assert!(meter.memory_growing(0, 40, None).unwrap());
        assert_eq!(meter.refused(), None);
        assert!(!meter.memory_growing(40, 41, None).unwrap());
        assert_eq!(meter.refused(), Some(Refused::Memory));
        assert_eq!(meter.usage().memory_bytes, 100);
        assert_eq!(meter.usage().grown_bytes, 40);
        let plugin = Arc::clone(&meter.plugin);
        assert_eq!(plugin.memory_bytes.load(Relaxed), 100);
        drop(meter);
        assert_eq!(plugin.memory_bytes.load(Relaxed), 0);
    }
}
