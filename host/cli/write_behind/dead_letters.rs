//! `reef write-behind dead-letters`: what the database did not take, and what to do about it.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Asked, load};
use crate::cli::Failure;
use crate::cli::table::{Align, Table};
use crate::config::pipeline::PipelineFile;
use crate::write_behind::link::Walk;

/// How long the pipeline may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Arguments of `reef write-behind dead-letters`.
#[derive(Debug, Args)]
pub(super) struct DeadLettersArgs {
    /// The pipeline's file.
    file: PathBuf,
    /// What to do.
    #[arg(value_enum, default_value_t = What::List)]
    what: What,
    /// With which of them, by the ids of their events; with all if none is named.
    ids: Vec<String>,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Show them.
    List,
    /// Try again, with the documents as they are now.
    Replay,
    /// Forget them.
    Drop,
}

pub(super) fn run(args: &DeadLettersArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let file = load(&args.file)?;
    let word = match args.what {
        What::List => return list(&file, args.json, out),
        What::Replay => "replay",
        What::Drop => "drop",
    };
    let request: Vec<&str> =
        std::iter::once(word).chain(args.ids.iter().map(String::as_str)).collect();
    let answer = ask(&file, &request.join(" "))?;
    Ok(writeln!(out, "{answer}")?)
}

/// Asks the pipeline, wherever it runs, and waits for its answer.
pub(in crate::cli) fn ask(file: &PipelineFile, request: &str) -> Result<String, Failure> {
    let mut server = Asked::of(file);
    let id = format!("{:016x}", getrandom::u64().map_err(|error| Failure::new(error.to_string()))?);
    let (prefix, entity) = (&file.streams.prefix, &file.write_behind.entity);
    let requests = format!("{prefix}:requests:{entity}");
    server.ask_words(&["RPUSH", &requests, &format!("{id} {request}")])?;
    let answers = format!("{prefix}:answers:{id}");
    let until = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < until {
        let replies = server.ask_words(&["LPOP", &answers])?;
        if let Some(answer) = replies.walk().string() {
            let answer = String::from_utf8_lossy(answer).into_owned();
            return match answer.strip_prefix("error ") {
                Some(reason) => Err(Failure::new(reason)),
                None => Ok(answer),
            };
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Failure::new(format!("no pipeline answers for {}", file.stream())))
}

struct Letter {
    id: String,
    document: String,
    event: String,
    reason: String,
}

fn list(file: &PipelineFile, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let letters = format!("dlq:{}", file.stream());
    let replies = Asked::of(file).ask_words(&["XRANGE", &letters, "-", "+"])?;
    let mut walk = replies.walk();
    let letters: Vec<Letter> = (0..walk.list()).map(|_| letter(&mut walk)).collect();
    if json {
        for Letter { id, document, event, reason } in letters {
            let line = json!({"id": id, "doc_id": document, "event_type": event, "reason": reason});
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    let columns = ["event", "document", "type", "reason"].map(|head| (head, Align::Left));
    let mut table = Table::new(&columns);
    for Letter { id, document, event, reason } in letters {
        table.row([id, document, event, reason]);
    }
    Ok(table.write(out)?)
}

fn letter(walk: &mut Walk<'_>) -> Letter {
    let text = |walk: &mut Walk<'_>| {
        String::from_utf8_lossy(walk.string().unwrap_or_default()).into_owned()
    };
    walk.list();
    let mut letter = Letter {
        id: text(walk),
        document: String::new(),
        event: String::new(),
        reason: String::new(),
    };
    for _ in 0..walk.list() / 2 {
        let (name, value) = (text(walk), text(walk));
        match name.as_str() {
            "doc_id" => letter.document = value,
            "event_type" => letter.event = value,
            "reason" => letter.reason = value,
            _ => {}
        }
    }
    letter
}
