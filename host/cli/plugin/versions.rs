//! `reef plugin versions`: the version that runs, and those that it can be rolled back to.

use std::io::Write;

use redis::Value;
use serde_json::json;

use super::value::{get, json_of, text};
use crate::cli::Failure;
use crate::cli::client::Client;
use crate::cli::table::{Align, Table};

pub(super) fn run(
    client: &mut Client,
    name: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let versions: Vec<Value> = client.call(&["PLUGIN", "VERSIONS", name])?;
    if json {
        let versions = versions.iter().map(json_of).collect::<Vec<_>>();
        return Ok(writeln!(out, "{:#}", json!({ "name": name, "versions": versions }))?);
    }
    let mut table = Table::new(&[
        ("version", Align::Left),
        ("state", Align::Left),
        ("component-bytes", Align::Right),
        ("digest", Align::Left),
    ]);
    for version in &versions {
        let columns = ["version", "state", "component-bytes", "digest"];
        table.row(columns.map(|name| text(get(version, name))));
    }
    Ok(table.write(out)?)
}
