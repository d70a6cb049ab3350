//! Why a call ended without the handler's own answer. Every failure costs the instance.

use crate::limits::{Limits, TABLE_ELEMENTS_MAX};
use crate::texts;

/// What stopped a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The guest trapped, or the host could not go on with it; the reason.
    Trap(String),
    /// It wanted more memory than it may have, and did not survive the refusal.
    Memory,
    /// The same with elements of tables.
    Table,
    /// It called the host too often.
    HostCalls,
    /// It moved too many bytes across the border.
    Bytes,
    /// Its CPU budget ran out.
    Timeout,
    /// The operator said KILL.
    Killed,
    /// Its reply does not add up; why.
    InvalidReply(&'static str),
    /// The machine had no room for its instance.
    NoRoom,
    /// The host itself failed.
    Panic,
}

impl Failure {
    /// The error as clients see it.
    pub(crate) fn text(&self, plugin: &str, limits: &Limits) -> String {
        match self {
            Self::Trap(reason) => texts::trap(plugin, reason),
            Self::Memory => texts::memory(plugin, limits),
            Self::Table => texts::table(plugin, TABLE_ELEMENTS_MAX),
            Self::HostCalls => texts::host_calls(plugin, limits),
            Self::Bytes => texts::bytes(plugin, limits),
            Self::Timeout => texts::timeout(plugin, limits),
            Self::Killed => texts::killed(plugin),
            Self::InvalidReply(reason) => texts::invalid_reply(plugin, reason),
            Self::NoRoom => texts::too_many_calls(plugin),
            Self::Panic => texts::panicked(plugin),
        }
    }

    /// Whether it speaks against the plugin: what the operator stopped and what the host did
    /// wrong does not.
    pub(crate) fn is_the_plugins(&self) -> bool {
        !matches!(self, Self::Killed | Self::NoRoom | Self::Panic)
    }
}

/// What stops the guest inside a host function that has no error for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The budget of host calls ran out.
    HostCalls,
    /// The operator said KILL.
    Killed,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HostCalls => texts::QUOTA_HOST_CALLS,
            Self::Killed => texts::TOLD_TO_STOP,
        })
    }
}

impl std::error::Error for Stopped {}
