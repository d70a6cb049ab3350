//! `reef write-behind status`: how a pipeline is, as it says itself.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::{Asked, load};
use crate::cli::Failure;
use crate::cli::table::write_fields;
use crate::config::pipeline::PipelineFile;

/// Counters that are shown if they are there.
const METRICS: &[&str] = &[
    "metrics:redis_success",
    "metrics:redis_fail",
    "metrics:redis_retry",
    "metrics:postgres_success",
    "metrics:postgres_fail",
    "metrics:mysql_success",
    "metrics:mysql_fail",
    "metrics:sqlite_success",
    "metrics:sqlite_fail",
    "metrics:nats_success",
    "metrics:nats_fail",
];

/// Arguments of `reef write-behind status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The pipeline's file.
    file: PathBuf,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let file = load(&args.file)?;
    let facts = facts(&file)?;
    if args.json {
        let object: Map<String, Value> =
            facts.into_iter().map(|(name, value)| (name, value.into())).collect();
        return Ok(writeln!(out, "{}", Value::Object(object))?);
    }
    let shown: Vec<(&str, String)> =
        facts.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Ok(write_fields(out, &shown)?)
}

fn facts(file: &PipelineFile) -> Result<Vec<(String, String)>, Failure> {
    let mut server = Asked::of(file);
    let stream = file.stream();
    let mut facts = vec![("stream".to_owned(), stream.clone())];
    let status = format!("{}:status:{}", file.streams.prefix, file.write_behind.entity);
    let replies = server.ask_words(&["HGETALL", &status])?;
    let mut walk = replies.walk();
    let length = walk.list();
    if length == 0 {
        facts.push(("state".into(), "no pipeline has run for it yet".into()));
    }
    let mut text = || String::from_utf8_lossy(walk.string().unwrap_or_default()).into_owned();
    for _ in 0..length / 2 {
        facts.push((text(), text()));
    }
    for name in METRICS {
        let replies = server.ask_words(&["GET", name])?;
        if let Some(value) = replies.walk().string() {
            facts.push(((*name).to_owned(), String::from_utf8_lossy(value).into_owned()));
        }
    }
    Ok(facts)
}
