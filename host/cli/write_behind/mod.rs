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

use super::Failure;
use crate::config::pipeline::PipelineFile;
use crate::write_behind::link::{Link, Replies, Step};
use crate::write_behind::remote::RemoteLink;
pub(super) use dead_letters::ask;

/// Arguments of `reef write-behind`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reef write-behind run config.yaml\n  reef write-behind generate config.yaml --count 1000\n  reef write-behind status config.yaml\n  reef write-behind dead-letters config.yaml replay"
)]
pub(super) struct WriteBehindArgs {
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
    /// Go on in spite of an alarm: what is gone is gone.
    Accept {
        /// The pipeline's file.
        file: PathBuf,
    },
}

pub(super) fn run(args: WriteBehindArgs, out: &mut dyn Write) -> Result<(), Failure> {
    match args.command {
        WriteBehindCommand::Run(args) => run::run(&args, out),
        WriteBehindCommand::Status(args) => status::run(&args, out),
        WriteBehindCommand::Generate(args) => generate::run(&args, out),
        WriteBehindCommand::DeadLetters(args) => dead_letters::run(&args, out),
        WriteBehindCommand::Resume { file } => ask(&load(&file)?, "resume").map(drop),
        WriteBehindCommand::Accept { file } => ask(&load(&file)?, "accept").map(drop),
    }
}

fn load(file: &Path) -> Result<PipelineFile, Failure> {
    PipelineFile::load(file).map_err(Failure::new)
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
