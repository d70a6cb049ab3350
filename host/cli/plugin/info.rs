//! `reef plugin info`: what a plugin is and on which terms it runs.

use std::io::Write;

use redis::Value;

use super::value::{fields, json_of, number, text};
use crate::cli::Failure;
use crate::cli::client::Client;
use crate::cli::table::{moment, write_fields};

pub(super) fn run(
    client: &mut Client,
    name: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let info: Value = client.call(&["PLUGIN", "INFO", name])?;
    if json {
        return Ok(writeln!(out, "{:#}", json_of(&info))?);
    }
    let fields = fields(&info);
    let fields = fields.iter().map(|(name, value)| match (name.as_str(), number(value)) {
        ("loaded-at-ms", Some(ms)) => ("loaded", format!("{} UTC", moment(ms))),
        ("paused-until-ms" | "last-failure-at-ms", Some(0)) => (name.as_str(), String::new()),
        ("paused-until-ms" | "last-failure-at-ms", Some(ms)) => {
            (name.trim_end_matches("-ms"), format!("{} UTC", moment(ms)))
        }
        (name, _) => (name, text(value)),
    });
    Ok(write_fields(out, &fields.collect::<Vec<_>>())?)
}
