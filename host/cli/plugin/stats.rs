//! `reef plugin stats`: calls, failures and latencies.

use std::io::Write;

use redis::Value;

use super::value::{fields, get, json_of, number, text};
use crate::cli::Failure;
use crate::cli::client::Client;
use crate::cli::table::{Align, Table, grouped, shown};

pub(super) fn run(
    client: &mut Client,
    name: Option<&str>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut command = redis::cmd("PLUGIN");
    command.arg("STATS").arg(name);
    let stats: Value = client.run(&command)?;
    if json {
        return Ok(writeln!(out, "{:#}", json_of(&stats))?);
    }
    if name.is_none() {
        return Ok(tallies("plugin", fields(&stats)).write(out)?);
    }
    let mut rows = fields(get(&stats, "commands"));
    rows.push(("all".to_owned(), get(&stats, "total")));
    tallies("command", rows).write(out)?;
    let counters = text(get(&stats, "counters"));
    if !counters.is_empty() {
        writeln!(out, "\ncounters  {}", shown(&counters))?;
    }
    Ok(())
}

/// One line of figures for each name.
fn tallies(head: &'static str, rows: Vec<(String, &Value)>) -> Table {
    const FIGURES: [&str; 8] =
        ["calls", "errors", "traps", "timeouts", "killed", "conflicts", "host-calls", "cpu-us"];
    let mut columns = vec![(head, Align::Left)];
    let figures = FIGURES.into_iter().chain(["p50 us", "p99 us"]);
    columns.extend(figures.map(|figure| (figure, Align::Right)));
    let mut table = Table::new(&columns);
    for (name, tally) in rows {
        let figure = |name: &str| number(get(tally, name)).unwrap_or(0);
        let us = |name: &str| format!("{:.1}", figure(name) as f64 / 1000.0);
        let figures = FIGURES.map(|name| grouped(figure(name)));
        let latencies = ["latency-p50-ns", "latency-p99-ns"].map(us);
        table.row(std::iter::once(name).chain(figures).chain(latencies));
    }
    table
}
