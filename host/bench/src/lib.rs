//! The load generator behind `reef bench`: several kinds of load against one server, or against two
//! in turn with the ratio between them.
//!
//! Invariants: the generator costs as little CPU as it can, because it often shares the cores with
//! the server it measures (commands are laid out beforehand, replies are counted and never built);
//! two servers are always measured alternately and with the same sequence of keys; a figure that
//! could not be taken is printed as `-`, never guessed.
//!
//! It deliberately does not speak TLS or the cluster protocol, and it deletes nothing but its own
//! `bench:` keys unless `--flush` is given.

mod alternate;
mod args;
mod client;
mod error;
mod fleet;
mod measurement;
mod memory;
mod mix;
mod process;
mod replies;
mod report;
mod ring;
mod setup;
mod socket;
mod target;
mod template;
mod waiting;
mod way;

use std::io::Write;

pub use args::BenchArgs;
pub use error::BenchError;

/// Runs what `args` asks for and writes the table (or the JSON document) to `out`.
pub fn run(args: &BenchArgs, out: &mut dyn Write) -> Result<(), BenchError> {
    match args.waiters {
        Some(count) => waiting::run(args, count, out),
        None if args.memory => memory::run(args, out),
        None => alternate::run(args, out),
    }
}
