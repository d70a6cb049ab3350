//! The families of commands. Each file holds a table of entries and, in the same order, their
//! handlers; a new ordinary command touches its family's file and that family's transcript.

mod client;
mod config;
mod connection;
mod debug;
mod describe;
mod draw;
mod element;
mod expiry;
mod float;
mod generic;
mod hash;
mod help;
mod info;
mod info_fields;
mod introspection;
mod latency;
mod list;
mod list_blocking;
mod memory;
mod monitor;
mod object;
mod plugin;
mod pop;
mod replication;
mod scan;
mod scripting;
mod server;
mod set;
mod slowlog;
mod sorted_set;
mod sorted_set_algebra;
mod sorted_set_blocking;
mod sorted_set_range;
mod string;
mod transactions;

use crate::args::Args;
use crate::command::Command;
use crate::error::Error;
use crate::step::Cx;

/// All native commands. The order is that of COMMAND and of table indexes.
pub static FAMILIES: &[&[Command]] = &[
    connection::TABLE,
    client::TABLE,
    generic::TABLE,
    object::TABLE,
    string::TABLE,
    list::TABLE,
    list_blocking::TABLE,
    set::TABLE,
    hash::TABLE,
    sorted_set::TABLE,
    sorted_set_range::TABLE,
    sorted_set_algebra::TABLE,
    sorted_set_blocking::TABLE,
    transactions::TABLE,
    scripting::TABLE,
    config::TABLE,
    info::TABLE,
    introspection::TABLE,
    monitor::TABLE,
    plugin::TABLE,
    replication::TABLE,
    server::TABLE,
    memory::TABLE,
    slowlog::TABLE,
    latency::TABLE,
    debug::TABLE,
];

/// The handler of containers. Never runs: without a sub-command the arity is wrong, with an
/// unknown one the gate refuses.
pub(crate) fn container_without_subcommand(
    _cx: &mut Cx<'_>,
    _args: &mut Args<'_>,
) -> Result<(), Error> {
    Err(Error::Syntax)
}
