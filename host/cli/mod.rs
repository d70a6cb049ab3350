//! The command line: one file per sub-command, each a `clap::Args` and a function that runs it.
//!
//! Nothing here prints by itself: output goes to the writer that `main` hands in, errors come back
//! as one sentence.

mod client;
mod demo;
mod plugin;
mod progress;
mod rendezvous;
mod serve;
mod style;
mod table;
mod tx;
mod write_behind;

use std::fmt;
use std::io::Write;

use clap::{Parser, Subcommand};

/// A Redis-compatible server that people extend with WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "reef", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Start what is needed on a free port and show each promise with its proof.
    Demo(demo::DemoArgs),
    /// Keep transactions, measure that, and race it.
    Tx(tx::TxArgs),
    /// Let programs find each other: open a run, register, wait.
    Rendezvous(rendezvous::RendezvousArgs),
    /// Load, replace and watch the plugins of a running server.
    Plugin(plugin::PluginArgs),
    /// Carry the changes of documents into a database.
    WriteBehind(write_behind::WriteBehindArgs),
    /// Put load on a server, and on a peer beside it.
    Bench(reef_bench::BenchArgs),
}

/// Why a sub-command failed: one sentence.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Cli {
    /// Runs the sub-command; `out` gets what is for people or pipes.
    pub fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        match self.command {
            Command::Serve(args) => serve::run(args, out),
            Command::Demo(args) => demo::run(args, out),
            Command::Tx(args) => tx::run(args, out),
            Command::Rendezvous(args) => rendezvous::run(args, out),
            Command::Plugin(args) => plugin::run(args, out),
            Command::WriteBehind(args) => write_behind::run(args, out),
            Command::Bench(args) => Ok(reef_bench::run(&args, out)?),
        }
    }
}
