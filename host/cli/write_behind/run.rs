//! `reef write-behind run`: the pipeline in a process of its own.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::Failure;
use crate::cli::table::grouped;
use crate::config::pipeline::PipelineFile;
use crate::write_behind::link::Link;
use crate::write_behind::remote::RemoteLink;
use crate::write_behind::{self, supervisor};

/// How long `--once` waits for the last event, for as long as events go into the database.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `reef write-behind run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The pipeline's file.
    pub(super) file: PathBuf,
    /// End when everything that is in the stream is in the database.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(args: &RunArgs, file: PipelineFile, out: &mut dyn Write) -> Result<(), Failure> {
    let runtime = reef_runtime::Runtime::new(&crate::reef::runtime_options())?;
    let server = file.redis.clone();
    let open = move || -> Box<dyn Link> { Box::new(RemoteLink::new(&server)) };
    let pipeline = write_behind::prepare(&file, &runtime)
        .and_then(|prepared| write_behind::start(prepared, Arc::new(open)))
        .map_err(Failure::new)?;
    writeln!(
        out,
        "{} goes into {}",
        file.stream(),
        write_behind::destination(&file).map_err(Failure::new)?.describe()
    )?;
    out.flush()?;
    if args.once {
        let mut before = None;
        while !pipeline.wait_until_drained(PATIENCE) {
            let position = pipeline.status().position;
            if before == Some(position) {
                let state = supervisor::words(&pipeline.status().state);
                return Err(Failure::new(format!("not everything was carried: {state}")));
            }
            before = Some(position);
        }
    } else {
        Signals::new([SIGTERM, SIGINT])?.forever().next();
    }
    let totals = pipeline.status().totals;
    drop(pipeline);
    let [applied, skipped, dead] = [totals.applied, totals.skipped, totals.dead].map(grouped);
    writeln!(out, "{applied} events applied, {skipped} skipped, {dead} dead letters")?;
    Ok(())
}
