//! What was refused, and why: the verdict of a check, and what the log and the client are told.

use alloc::vec::Vec;

use reef_resp::Argv;

use crate::error::Error;
use crate::registry::CommandRef;

/// What was in the way. Of several selectors' verdicts the greatest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The command.
    Command,
    /// A key.
    Key,
    /// User name and password.
    Auth,
    /// A channel.
    Channel,
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = 4;

    /// The fields of INFO that count them.
    pub const COUNTERS: [(&'static str, Self); Self::COUNT] = [
        ("acl_access_denied_auth", Self::Auth),
        ("acl_access_denied_cmd", Self::Command),
        ("acl_access_denied_key", Self::Key),
        ("acl_access_denied_channel", Self::Channel),
    ];

    /// As ACL LOG shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Key => "key",
            Self::Auth => "auth",
            Self::Channel => "channel",
        }
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was in the way.
    pub reason: Reason,
    /// The position of the argument that was refused; 0 is the command.
    pub position: usize,
}

impl Denial {
    /// What the log shows: the command's full name, or the key or channel.
    pub fn object(&self, command: &CommandRef, argv: Argv<'_>) -> Vec<u8> {
        match self.reason {
            Reason::Command => command.full_name().into_bytes(),
            _ if self.position < argv.len() => argv.get(self.position).to_vec(),
            _ => Vec::new(),
        }
    }

    /// What the client is told.
    pub fn error(&self, user: &str, command: &CommandRef) -> Error {
        match self.reason {
            Reason::Command | Reason::Auth => {
                Error::no_command_permission(user, &command.full_name())
            }
            Reason::Key => Error::NO_KEY_PERMISSION,
            Reason::Channel => Error::NO_CHANNEL_PERMISSION,
        }
    }
}
