//! `reef serve [FILE] [--DIRECTIVE VALUE ...]`: the server in the foreground.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock};

use clap::Args;
use reef_server::Stopper;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::config::{Config, LogLevel, Source};
use crate::reef::Reef;

/// Arguments of `reef serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reef serve\n  reef serve redis.conf --port 7000 --appendonly no\n  echo 'port 7000' | reef serve -"
)]
pub(super) struct ServeArgs {
    /// A configuration file in redis.conf syntax (`-`: standard input), then directives as flags:
    /// `--port 7000`. Later ones win.
    #[arg(
        value_name = "FILE] [--DIRECTIVE VALUE",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

pub(super) fn run(args: ServeArgs, out: &mut dyn Write) -> Result<(), Failure> {
    reef_server::postpone_huge_pages();
    let (file, flags) = match args.words.split_first() {
        Some((file, flags)) if !file.starts_with("--") => {
            (Some(Source::from_argument(file)), flags)
        }
        _ => (None, args.words.as_slice()),
    };
    let (config, warnings) = Config::load(file, flags, &|name| std::env::var(name).ok())?;
    start_log(&config)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    std::env::set_current_dir(config.dir()).map_err(|error| {
        Failure::new(format!("cannot work in {}: {error}", config.dir().display()))
    })?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let stopper: Arc<OnceLock<Stopper>> = Arc::default();
    let handle = signals.handle();
    let heard = stopper.clone();
    let waiter = std::thread::Builder::new()
        .name("reef-signals".to_owned())
        .spawn(move || signals.forever().for_each(|signal| obey(signal, &heard)))?;
    let reef = Reef::start(config).inspect_err(|error| tracing::error!("{error}"))?;
    // Nobody else sets it. From here on a signal saves: before anybody is told that they can connect.
    let _ = stopper.set(reef.stopper());
    tracing::info!("Ready to accept connections on port {}", reef.port());
    out.flush()?;
    reef_server::forget_start_code();
    reef.join();
    handle.close();
    let _ = waiter.join();
    tracing::info!("Reef is now ready to exit, bye bye...");
    Ok(())
}

/// Stops the server. One that is still loading has nothing to save.
fn obey(signal: i32, stopper: &OnceLock<Stopper>) {
    match stopper.get() {
        Some(stopper) => {
            tracing::info!("Received signal {signal}, shutting down");
            stopper.stop_saved();
        }
        None => {
            tracing::info!("Received signal {signal} during loading, exiting now.");
            std::process::exit(0);
        }
    }
}

/// The log goes to standard output or to `logfile`; RUST_LOG wins over `loglevel`.
fn start_log(config: &Config) -> Result<(), Failure> {
    let level = match config.loglevel() {
        LogLevel::Debug => "debug",
        LogLevel::Verbose | LogLevel::Notice => "info",
        LogLevel::Warning => "warn",
    };
    let filter = match std::env::var("RUST_LOG") {
        Ok(words) => EnvFilter::try_new(words)?,
        Err(_) => {
            let crates = ["reef", "reef_server", "reef_storage", "reef_runtime"];
            EnvFilter::new(crates.map(|name| format!("{name}={level}")).join(",") + ",warn")
        }
    };
    // Whoever reads the log may be gone, which is no reason to stop: by default that is told on stderr,
    // and whoever tells it there ends with it.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .log_internal_errors(false);
    match config.logfile() {
        Some(path) => {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
            let file = file.map_err(|error| {
                Failure::new(format!("cannot write the log to {}: {error}", path.display()))
            })?;
            log.with_ansi(false).with_writer(Mutex::new(file)).init();
        }
        None => log.with_ansi(std::io::stdout().is_terminal()).init(),
    }
    Ok(())
}
