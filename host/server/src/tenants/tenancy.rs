//! What makes an engine a tenant's: its name, where its databases are numbered from, and its quotas
//! with what is used of them.
//!
//! Commands per second are an account that fills evenly and holds one second's worth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use reef_engine::backend::PluginQuotas;
use reef_engine::clock::Millis;
use reef_engine::keyspace::Policy;
use reef_engine::tenancy::{MemoryQuota, Quota, STEP_SLACK_BYTES, UsedUp};

/// Stands for no limit.
const NONE: u64 = u64::MAX;

/// A limit for each quota.
#[derive(Debug)]
pub(crate) struct Tenancy {
    pub(crate) name: Arc<str>,
    pub(crate) first_database: u32,
    limits: [AtomicU64; Quota::ALL.len()],
    operations: Mutex<Account>,
    /// Commands that were refused because a quota was used up.
    refused: AtomicU64,
    /// Commands that came.
    commands: AtomicU64,
    is_gone: AtomicBool,
}

/// An account of commands, in thousandths.
#[derive(Debug, Default)]
struct Account {
    left: u64,
    filled_at: Millis,
}

impl Tenancy {
    pub(crate) fn new(name: &str, first_database: u32) -> Self {
        Self {
            name: name.into(),
            first_database,
            limits: Quota::ALL.map(|_| AtomicU64::new(NONE)),
            operations: Mutex::default(),
            refused: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
        }
    }

    /// The limit of a quota, if there is one.
    pub(crate) fn limit(&self, quota: Quota) -> Option<u64> {
        let limit = self.limits[quota as usize].load(Ordering::Relaxed);
        (limit != NONE).then_some(limit)
    }

    /// Sets the limit of a quota.
    pub(crate) fn set_limit(&self, quota: Quota, limit: Option<u64>) {
        self.limits[quota as usize].store(limit.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// What its plugins may use.
    pub(crate) fn plugin_quotas(&self) -> PluginQuotas {
        PluginQuotas {
            cpu_ms_per_s: self.limit(Quota::CpuMsPerSecond),
            plugins: self.limit(Quota::Plugins),
            code_bytes: self.limit(Quota::Code),
        }
    }

    /// What is used up of what a command at `now` needs: memory unless there `is_room`, and the command
    /// itself, which is counted.
    pub(crate) fn used_up(&self, is_room: bool, now: Millis) -> Option<UsedUp> {
        self.commands.fetch_add(1, Ordering::Relaxed);
        let per_second = self.limit(Quota::OperationsPerSecond);
        let exceeded = per_second.filter(|limit| !self.operations.lock().take(*limit, now));
        let used_up = match exceeded {
            Some(limit) => UsedUp { quota: Quota::OperationsPerSecond, limit },
            None if is_room => return None,
            None => UsedUp { quota: Quota::Memory, limit: self.limit(Quota::Memory).unwrap_or(0) },
        };
        self.note_refusal();
        Some(used_up)
    }

    /// Counts that a quota was in the way.
    pub(crate) fn note_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What its data may take. Where keys give way to others one step may add as much again, and what is too
    /// much goes before the next one: otherwise nothing new would ever come.
    pub(crate) fn memory_quota(&self, policy: Policy) -> Option<MemoryQuota> {
        let limit = usize::try_from(self.limit(Quota::Memory)?).unwrap_or(usize::MAX);
        let slack = if policy == Policy::NoEviction { STEP_SLACK_BYTES } else { limit };
        Some(MemoryQuota { limit, slack })
    }

    /// How many commands came, and how many were met by a quota that was used up.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.commands.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Whether the tenant was dropped.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// The tenant is dropped.
    pub(super) fn end(&self) {
        self.is_gone.store(true, Ordering::Release);
    }
}

impl Account {
    /// Takes one command out, if there is one.
    fn take(&mut self, per_second: u64, now: Millis) -> bool {
        const COMMAND: u64 = 1000;
        let full = per_second.saturating_mul(COMMAND);
        // So many commands a second are as many thousandths a millisecond.
        let gained = now.since(self.filled_at).saturating_mul(per_second);
        self.left = self.left.saturating_add(gained).min(full);
        self.filled_at = self.filled_at.max(now);
        match self.left.checked_sub(COMMAND) {
            Some(left) => self.left = left,
            None => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_per_second_are_counted_over_time() {
        let tenancy = Tenancy::new("acme", 1 << 20);
        let at = |ms: u64| Millis::new(1_000_000 + ms);
        assert_eq!(tenancy.used_up(true, at(0)), None);
        tenancy.set_limit(Quota::OperationsPerSecond, Some(10));
        let passed = |ms: u64, tries: usize| {
            (0..tries).filter(|_| tenancy.used_up(true, at(ms)).is_none()).count()
        };
        assert_eq!(passed(0, 20), 10);
        assert_eq!(passed(99, 5), 0);
        assert_eq!(passed(100, 5), 1);
        assert_eq!(passed(600, 20), 5);
        // A clock that goes back gives nothing.
        assert_eq!(passed(0, 5), 0);
        assert_eq!(passed(100_000, 20), 10);
        assert_eq!(tenancy.counts().1, 10 + 5 + 4 + 15 + 5 + 10);
        let used_up = tenancy.used_up(true, at(100_000)).unwrap();
        assert_eq!((used_up.quota.name(), used_up.limit), ("ops-per-s", 10));
    }

    #[test]
    fn without_room_the_memory_is_used_up() {
        let tenancy = Tenancy::new("acme", 1 << 20);
        tenancy.set_limit(Quota::Memory, Some(4096));
        let used_up = tenancy.used_up(false, Millis::new(1)).unwrap();
        assert_eq!((used_up.quota, used_up.limit), (Quota::Memory, 4096));
    }
}
