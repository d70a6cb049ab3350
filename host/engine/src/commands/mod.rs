//! The families of commands. Each file holds a table of entries and, in the same order, their
//! handlers; a new ordinary command touches its family's file and that family's transcript.

mod acl;
mod bitmap;
mod client;
mod client_filter;
mod client_tracking;
mod cluster;
mod config;
mod connection;
mod debug;
mod describe;
mod draw;
mod dump;
mod element;
mod expiry;
mod float;
mod generic;
mod geo;
mod geo_search;
mod hash;
mod hash_expiry;
mod hash_timed;
mod help;
mod hyperloglog;
mod info;
mod info_fields;
mod introspection;
mod json;
mod json_array;
mod json_change;
mod json_place;
mod json_reply;
mod json_scalar;
mod latency;
mod lcs;
mod list;
mod list_blocking;
mod memory;
mod migrate;
mod module;
mod monitor;
mod object;
mod persistence;
mod plugin;
mod pop;
mod pubsub;
mod replication;
mod scan;
mod scripting;
pub(crate) mod search;
mod server;
mod set;
mod slowlog;
mod sort;
mod sorted_set;
mod sorted_set_algebra;
mod sorted_set_blocking;
mod sorted_set_range;
mod stream;
mod stream_claim;
mod stream_effects;
mod stream_entry;
mod stream_group;
mod stream_info;
mod stream_read;
mod string;
mod string_many;
mod tenant;
mod transactions;

pub use connection::REDIS_VERSION;
pub use search::drop_unused as drop_unused_indexes;

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
    sort::TABLE,
    dump::TABLE,
    migrate::TABLE,
    string::TABLE,
    string_many::TABLE,
    list::TABLE,
    list_blocking::TABLE,
    set::TABLE,
    hash::TABLE,
    hash_expiry::TABLE,
    hash_timed::TABLE,
    sorted_set::TABLE,
    sorted_set_range::TABLE,
    sorted_set_algebra::TABLE,
    sorted_set_blocking::TABLE,
    bitmap::TABLE,
    hyperloglog::TABLE,
    geo::TABLE,
    geo_search::TABLE,
    stream::TABLE,
    stream_read::TABLE,
    stream_group::TABLE,
    stream_claim::TABLE,
    stream_info::TABLE,
    json::TABLE,
    json_change::TABLE,
    json_scalar::TABLE,
    json_array::TABLE,
    pubsub::TABLE,
    transactions::TABLE,
    scripting::TABLE,
    search::TABLE,
    acl::TABLE,
    config::TABLE,
    info::TABLE,
    introspection::TABLE,
    monitor::TABLE,
    plugin::TABLE,
    tenant::TABLE,
    module::TABLE,
    replication::TABLE,
    cluster::TABLE,
    server::TABLE,
    persistence::TABLE,
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
