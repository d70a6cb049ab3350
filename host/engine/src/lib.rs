//! The database as a value.
//!
//! Commands go in, replies come out; what a step needs from the world (the time, randomness, the
//! shards it works on, what the process around knows) is handed to it. The engine never reads a
//! clock, never sleeps, blocks, spawns or does I/O, and the same inputs give the same bytes out:
//! `no_std` makes most of that a matter for the compiler.
//!
//! Reading order: [`command`] (the table's entries), [`commands`] (the families), [`step`] (one
//! command from arguments to reply), [`keyspace`] (where every change is recorded), [`types`] (the
//! data structures), [`rdb`] (values as bytes), [`batch`] (plugins' atomic batches), [`effects`] (what
//! replicas and the log have to run).
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod acl;
pub mod acl_category;
pub mod annotations;
pub mod args;
pub mod backend;
pub mod batch;
pub mod channels;
pub mod client_info;
pub mod clock;
pub mod command;
mod command_set;
pub mod commands;
pub mod effects;
pub mod error;
pub mod gates;
pub mod grants;
pub mod host;
pub mod keyspace;
pub mod keyspec;
pub mod latencies;
pub mod migration;
pub mod monitor;
pub mod notifications;
pub mod parking;
pub mod permission;
pub mod pubsub;
pub mod push;
pub mod quota;
pub mod rdb;
pub mod reaction;
pub mod registry;
pub mod replication;
pub mod retelling;
pub mod search;
pub mod serving;
pub mod session;
pub mod settings;
pub mod slow_log;
pub mod solo;
pub mod sort_pattern;
pub mod step;
pub mod tenancy;
pub mod tracking;
pub mod triggers;
pub mod types;
pub mod usage;
pub mod waiters;
