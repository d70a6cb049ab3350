//! `reef plugin list`: the loaded plugins.

use std::io::Write;

use redis::Value;
use serde_json::json;

use super::value::{get, json_of, text};
use crate::cli::Failure;
use crate::cli::client::Client;
use crate::cli::table::{Align, Table};

pub(super) fn run(client: &mut Client, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let plugins: Vec<Value> = client.call(&["PLUGIN", "LIST"])?;
    if json {
        let plugins = plugins.iter().map(json_of).collect::<Vec<_>>();
        return Ok(writeln!(out, "{:#}", json!({ "plugins": plugins }))?);
    }
    let mut table = Table::new(&[
        ("name", Align::Left),
        ("version", Align::Left),
        ("commands", Align::Right),
        ("state", Align::Left),
        ("reason", Align::Left),
    ]);
    for plugin in &plugins {
        let columns = ["name", "version", "commands", "state", "reason"];
        table.row(columns.map(|name| text(get(plugin, name))));
    }
    Ok(table.write(out)?)
}
