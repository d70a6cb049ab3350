//! The `reef` binary: parses the command line, and is the only place that prints and exits.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use reef::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Not locked: the log of other threads goes to standard output as well.
    let mut out = BufWriter::new(std::io::stdout());
    let result = cli.run(&mut out);
    let flushed = out.flush();
    match result {
        Ok(()) if flushed.is_ok() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "this is where errors reach people")]
            {
                eprintln!("reef: {failure}");
            }
            ExitCode::FAILURE
        }
    }
}
