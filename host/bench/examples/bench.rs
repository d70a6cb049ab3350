//! `reef bench` on its own: `cargo run --release -p reef-bench --example bench -- --help`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use reef_bench::BenchArgs;

/// The command line of the load generator alone.
#[derive(Parser)]
#[command(name = "bench", about)]
struct Command {
    #[command(flatten)]
    args: BenchArgs,
}

fn main() -> ExitCode {
    let command = Command::parse();
    match reef_bench::run(&command.args, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing more can be done when even standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
