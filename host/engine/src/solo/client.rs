//! A client of a solo engine, and what it waits for.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use reef_resp::{OwnedArgv, Protocol, Writer};

use crate::client_info::ClientInfo;
use crate::clock::Millis;
use crate::error::Error;
use crate::serving::Ending;
use crate::session::Session;
use crate::waiters::Waiter;

pub(super) struct Client {
    pub(super) session: Session,
    pub(super) protocol: Protocol,
    pub(super) connected_at: Millis,
    pub(super) active_at: Millis,
    /// The last command's full name.
    pub(super) command: String,
    /// What it was sent without having asked, or later than it asked.
    pub(super) unasked: Vec<u8>,
    /// What it waits for, and until when.
    pub(super) waiting: Option<(Waiting, Option<Millis>)>,
    /// Whether its next command is in the backlog until a pause ends.
    pub(super) postponed: bool,
    /// Commands that came while it waited.
    pub(super) backlog: VecDeque<OwnedArgv>,
}

impl Client {
    /// Whether it waits for what others do.
    pub(super) fn is_blocked(&self) -> bool {
        self.waiting.as_ref().is_some_and(|(waiting, _)| waiting.is_blocked())
    }

    /// As CLIENT LIST shows it, apart from what it tracks.
    pub(super) fn describe(&self, now: Millis) -> ClientInfo {
        let mut client = ClientInfo {
            id: self.session.id,
            address: address(self.session.id),
            local_address: "127.0.0.1:6379".into(),
            descriptor: 8,
            age_s: now.since(self.connected_at) / 1000,
            idle_s: now.since(self.active_at) / 1000,
            waiting: self.waiting.is_some() || self.postponed,
            ..ClientInfo::default()
        };
        let protocol = if self.protocol == Protocol::Resp3 { 3 } else { 2 };
        client.refresh(&self.session, &self.command, protocol);
        client
    }
}

/// Where a client would come from, if there was a network.
pub(super) fn address(id: u64) -> String {
    format!("127.0.0.1:{}", 10_000 + id % 50_000)
}

/// What a client waits for.
pub(super) enum Waiting {
    /// A key.
    Keys(Arc<Waiter>),
    /// Copies of what it wrote, which nobody makes. How many there are is what it hears at last, in
    /// its protocol.
    Copies(Protocol, Vec<u8>),
    /// A plugin, which somebody else runs.
    Plugin,
    /// What its plugin waits for.
    Parked(Arc<Waiter>),
}

impl Waiting {
    /// Whether others can end it: a plugin's call comes to its own end.
    pub(super) fn is_blocked(&self) -> bool {
        !matches!(self, Self::Plugin)
    }

    /// Whether a plugin ends it.
    pub(super) fn is_for_plugin(&self) -> bool {
        matches!(self, Self::Plugin | Self::Parked(_))
    }

    /// What the client hears when its wait ends without its being served.
    pub(super) fn farewell(&self, ending: Ending) -> Vec<u8> {
        let (protocol, copies) = match self {
            Self::Keys(waiter) | Self::Parked(waiter) => return waiter.farewell(ending),
            Self::Copies(protocol, copies) => (*protocol, copies),
            Self::Plugin => return Vec::new(),
        };
        let error = match ending {
            Ending::TimedOut => return copies.clone(),
            Ending::Unblocked => Error::UNBLOCKED,
            Ending::Demoted => Error::UNBLOCKED_BY_ROLE,
        };
        let mut reply = Writer::new(protocol);
        reply.error(&error.to_string());
        reply.take_data()
    }
}
