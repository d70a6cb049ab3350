//! `reef write-behind ...`: pipelines from the command line. Which documents, which database and which
//! server is said by the pipeline's file, the one that `write-behind FILE` in the server's configuration
//! names too.

mod dead_letters;
pub(super) mod generate;
mod run;
mod status;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use redis::IntoConnectionInfo;

use super::Failure;
use crate::config::pipeline::{PipelineFile, RedisServer};
use crate::write_behind::link::{Link, Replies, Step};
use crate::write_behind::remote::RemoteLink;
pub(super) use dead_letters::ask;

/// Arguments of `reef write-behind`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reef write-behind run config.yaml\n  reef write-behind generate config.yaml --count 1000\n  reef write-behind status config.yaml\n  reef write-behind dead-letters config.yaml replay"
)]
pub(super) struct WriteBehindArgs {
    /// The server, in the place of the file's section `redis`: redis://[user:password@]host[:port][/database].
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    #[command(subcommand)]
    command: WriteBehindCommand,
}

#[derive(Debug, Subcommand)]
enum WriteBehindCommand {
    /// Carry events into the database, in a process of its own.
    Run(run::RunArgs),
    /// Show how a pipeline is.
    Status(status::StatusArgs),
    /// Make documents, change and delete some.
    Generate(generate::GenerateArgs),
    /// List, replay or drop what the database did not take.
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Look now whether what a pipeline waits for is mended.
    Resume {
        /// The pipeline's file.
        file: PathBuf,
    },
    /// Load the file's sink anew and go on with it, without a pause for writers.
    ReplaceSink {
        /// The pipeline's file.
        file: PathBuf,
    },
    /// Go on in spite of an alarm: what is gone is gone.
    Accept {
        /// The pipeline's file.
        file: PathBuf,
    },
}

pub(super) fn run(args: WriteBehindArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let url = args.url.as_deref();
    let load = |file: &Path| load(file, url);
    match args.command {
        WriteBehindCommand::Run(args) => run::run(&args, load(&args.file)?, out),
        WriteBehindCommand::Status(args) => status::run(&args, &load(&args.file)?, out),
        WriteBehindCommand::Generate(args) => generate::run(&args, &load(&args.file)?, out),
        WriteBehindCommand::DeadLetters(args) => dead_letters::run(&args, &load(&args.file)?, out),
        WriteBehindCommand::Resume { file } => ask(&load(&file)?, "resume").map(drop),
        WriteBehindCommand::ReplaceSink { file } => {
            let file = load(&file)?;
            ask(&file, "replace-sink")?;
            writeln!(out, "{} goes through the sink as it is now", file.stream())?;
            Ok(())
        }
        WriteBehindCommand::Accept { file } => ask(&load(&file)?, "accept").map(drop),
    }
}

/// A file, with another server if one is named.
fn load(file: &Path, url: Option<&str>) -> Result<PipelineFile, Failure> {
    let mut file = PipelineFile::load(file).map_err(Failure::new)?;
    if let Some(url) = url {
        file.redis = server(url)?;
    }
    Ok(file)
}

fn server(url: &str) -> Result<RedisServer, Failure> {
    let refused =
        || Failure::new("the URL is to be redis://[user:password@]host[:port][/database]");
    let info = url.into_connection_info().map_err(|_| refused())?;
    let redis::ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(refused()) };
    let settings = info.redis_settings();
    Ok(RedisServer {
        host: host.clone(),
        port: *port,
        db: u32::try_from(settings.db()).unwrap_or(0),
        user: settings.username().map(str::to_owned),
        password: settings.password().map(str::to_owned),
    })
}

/// The server that a file names, as one asks it.
pub(super) struct Asked(RemoteLink);

impl Asked {
    pub(super) fn of(file: &PipelineFile) -> Self {
        Self(RemoteLink::new(&file.redis))
    }

    /// The reply to one command; its error is a failure.
    pub(super) fn ask(&mut self, words: &[&[u8]]) -> Result<Replies, Failure> {
        let replies = self.0.command(words).map_err(Failure::new)?;
        match replies.walk().step() {
            Step::Error(text) => Err(Failure::new(String::from_utf8_lossy(text).into_owned())),
            _ => Ok(replies),
        }
    }

    /// The same of words that are text.
    pub(super) fn ask_words(&mut self, words: &[&str]) -> Result<Replies, Failure> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask(&words)
    }
}
