//! Keys that are to move to another server: what MIGRATE asks the host for.
//!
//! The engine only says what is to be moved. The host speaks with the other server while no shard is
//! held, reads each key when its turn comes, and deletes it when the other server has said that it
//! holds it, if it has not changed since it was read.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Who a server takes itself for at another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    /// The user; none: the one that is called `default`.
    pub user: Option<Box<[u8]>>,
    /// The password.
    pub password: Box<[u8]>,
}

/// What is to be moved, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The other server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who asks there.
    pub login: Option<Login>,
    /// The database that the keys are in.
    pub from: u32,
    /// The database of the other server that they go to, which judges whether it has such a one.
    pub to: i64,
    /// For how long the other server may be silent.
    pub timeout_ms: u64,
    /// Whether the keys stay here, too.
    pub copies: bool,
    /// Whether they take the place of keys that are there.
    pub replaces: bool,
    /// The keys.
    pub keys: Vec<Box<[u8]>>,
}
