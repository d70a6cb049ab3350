//! Tenants, as far as the engine knows of them: each has an engine of its own, so here are only the
//! names of quotas and how databases are numbered where all engines are written down together.

/// The first number that a tenant's databases have in snapshots, in the log and in the stream. Below
/// are the operator's. No ordinary server has so many, so none takes a tenant's data for its own.
pub const TENANT_DATABASES_FIRST: u32 = 1 << 20;
/// How many databases a tenant has.
pub const TENANT_DATABASES: u32 = 16;

/// What a tenant may have only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quota {
    /// Bytes of data.
    Memory,
    /// Connections at one time.
    Connections,
    /// Commands in each second.
    OperationsPerSecond,
    /// Milliseconds of guest CPU in each second.
    CpuMsPerSecond,
    /// Plugins at one time.
    Plugins,
    /// Bytes of plugins' components.
    Code,
}

impl Quota {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Memory,
        Self::Connections,
        Self::OperationsPerSecond,
        Self::CpuMsPerSecond,
        Self::Plugins,
        Self::Code,
    ];

    /// Its name, as after `LIMIT`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Connections => "connections",
            Self::OperationsPerSecond => "ops-per-s",
            Self::CpuMsPerSecond => "cpu-ms-per-s",
            Self::Plugins => "plugins",
            Self::Code => "code",
        }
    }

    /// The quota of this name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|quota| name.eq_ignore_ascii_case(quota.name().as_bytes()))
    }

    /// Whether it is a number of bytes.
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::Memory | Self::Code)
    }
}

/// By how much a step may exceed a quota of memory where nothing gives way: what tables take by leaps, and
/// what others have taken that is not counted yet. What comes next is refused.
pub const STEP_SLACK_BYTES: usize = 16 * 1024;

/// How many bytes a tenant's data may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryQuota {
    /// Beyond this whatever needs memory is refused.
    pub limit: usize,
    /// By how much one step may exceed it.
    pub slack: usize,
}

impl MemoryQuota {
    /// The most that there is at the end of any step.
    pub const fn most(self) -> usize {
        self.limit.saturating_add(self.slack)
    }

    /// That it is used up.
    pub const fn used_up(self) -> UsedUp {
        UsedUp { quota: Quota::Memory, limit: self.limit as u64 }
    }
}

/// A quota that is used up, and how much there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp {
    /// Which.
    pub quota: Quota,
    /// Its limit.
    pub limit: u64,
}
