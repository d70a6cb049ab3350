//! What commands ask of replication, which is the host's business: who copies whom, and how far.

use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::Writer;

use crate::backend::CallStatus;
use crate::error::Error;

/// What a server is to others that hold the same data, as ROLE tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes, and tells its replicas.
    Primary {
        /// Bytes told so far.
        offset: u64,
        /// Its replicas: address, port, and up to where each has come.
        replicas: Vec<(String, u16, u64)>,
    },
    /// It is told by another.
    Replica {
        /// The primary's address.
        host: String,
        /// Its port.
        port: u16,
        /// How the link is doing, in Redis's words.
        state: &'static str,
        /// Up to where it has come; none before the first synchronisation.
        offset: Option<u64>,
    },
}

/// What somebody who wants to copy this server says of itself (`REPLCONF`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introduction<'a> {
    /// The port that it listens on.
    Port(u16),
    /// The address that others reach it by.
    Address(&'a [u8]),
    /// It can read a snapshot whose length is not told before.
    EndMark,
    /// It can go on after its primary became another's replica.
    SecondId,
    /// It knows tenants.
    Tenants,
    /// Only the snapshot is wanted, or not even that.
    SnapshotOnly(bool),
    /// Something that makes no difference.
    Other,
}

/// What a client that copies this server has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFrom<'a> {
    /// Nothing, and it knows no history (`SYNC`).
    Nowhere,
    /// Nothing.
    Start,
    /// A history up to this byte.
    History {
        /// Its name.
        id: &'a [u8],
        /// The next byte that it wants.
        offset: i64,
        /// Whether this server is to be the primary from now on (`FAILOVER`).
        takes_over: bool,
    },
}

/// What a client waits for with WAIT and WAITAOF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiesWanted {
    /// Whether the server's own log must be synced; only WAITAOF asks.
    pub local_log: Option<bool>,
    /// How many replicas must have what the client wrote.
    pub replicas: u64,
    /// Whether theirs must be in their logs.
    pub logged: bool,
    /// For how long, in milliseconds; none: for ever.
    pub timeout_ms: Option<u64>,
    /// Whether it may wait at all: not inside EXEC.
    pub may_wait: bool,
}

/// How a failover is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failover {
    /// The replica that is to be the primary; otherwise the first that is ready.
    pub to: Option<(String, u16)>,
    /// For how long clients may be held up, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Whether it happens when the time is over although that replica is behind.
    pub force: bool,
}

/// Replication as commands see it.
pub trait Replication {
    /// What this server is.
    fn role(&self) -> Role;

    /// Becomes a replica of another server, or of none. `false`: it is that already.
    fn follow(&mut self, primary: Option<(&[u8], u16)>) -> Result<bool, Error>;

    /// The client wants to copy this server. What it needs comes later.
    fn synchronise(&mut self, from: CopyFrom<'_>) -> Result<CallStatus, Error>;

    /// The client tells of itself.
    fn introduce(&mut self, introduction: Introduction<'_>);

    /// The client has come this far, and its log so far.
    fn acknowledge(&mut self, offset: u64, logged: Option<u64>);

    /// Says at once how many copies there are, or later.
    fn wait_for_copies(
        &mut self,
        wanted: CopiesWanted,
        reply: &mut Writer,
    ) -> Result<CallStatus, Error>;

    /// Begins to hand over to a replica.
    fn fail_over(&mut self, how: Failover) -> Result<(), Error>;

    /// Ends that.
    fn abort_failover(&mut self) -> Result<(), Error>;
}
