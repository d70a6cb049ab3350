//! `reef plugin log`: what a plugin logged.

use std::io::Write;

use serde_json::json;

use crate::cli::Failure;
use crate::cli::client::Client;
use crate::cli::table::{moment, shown};

pub(super) fn run(
    client: &mut Client,
    name: &str,
    count: Option<u64>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut command = redis::cmd("PLUGIN");
    command.arg("LOG").arg(name).arg(count);
    let lines: Vec<String> = client.run(&command)?;
    let lines = lines.iter().map(|line| {
        let mut parts = line.splitn(3, ' ');
        let at_ms = parts.next().and_then(|ms| ms.parse::<u64>().ok()).unwrap_or(0);
        (at_ms, parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    });
    if json {
        let lines = lines
            .map(|(at_ms, level, text)| json!({ "at_ms": at_ms, "level": level, "text": text }));
        let log = json!({ "name": name, "lines": lines.collect::<Vec<_>>() });
        return Ok(writeln!(out, "{log:#}")?);
    }
    for (at_ms, level, text) in lines {
        writeln!(out, "{}  {level:5}  {}", moment(at_ms), shown(text))?;
    }
    Ok(())
}
