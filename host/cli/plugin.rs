//! `reef plugin ...`: the plugins of a running server, over RESP (`PLUGIN ...`).
//!
//! A component is read here and sent as bytes, so the server may be on another machine.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use redis::{Cmd, Value};
use serde_json::json;

use super::Failure;
use super::client::{Client, Server};
use super::table::{Align, Table, counted, grouped, moment, shown, write_fields};

/// Arguments of `reef plugin`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reef plugin load counter counter.wasm --grant INCRBY --grant '~counter:*' --limit cpu-ms=20\n  reef plugin replace counter counter-2.wasm\n  reef plugin stats counter"
)]
pub(super) struct PluginArgs {
    /// The server: redis://[user:password@]host[:port][/database] or unix:///path.
    #[arg(long, global = true, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    url: String,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Load a component.
    Load {
        #[command(flatten)]
        component: Component,
        /// Replace the plugin of that name, if there is one.
        #[arg(long)]
        replace: bool,
    },
    /// Put another component in the place of a plugin; its calls in flight are finished.
    Replace {
        #[command(flatten)]
        component: Component,
    },
    /// Unload a plugin.
    Unload {
        /// Its name.
        name: String,
    },
    /// Stop the calls of a plugin that are in flight.
    Kill {
        /// Its name.
        name: String,
    },
    /// Show the loaded plugins.
    List,
    /// Show what a plugin is and on which terms it runs.
    Info {
        /// Its name.
        name: String,
    },
    /// Show calls, failures and latencies, by command for one plugin.
    Stats {
        /// Its name; all plugins without one.
        name: Option<String>,
    },
    /// Show what a plugin logged.
    Log {
        /// Its name.
        name: String,
        /// How many lines, the newest last.
        #[arg(long)]
        count: Option<u64>,
    },
}

#[derive(Debug, Args)]
struct Component {
    /// The name of the plugin.
    name: String,
    /// The component, a .wasm file on this machine; `bundled` is the one of that name that comes
    /// with this program.
    file: PathBuf,
    /// A command it may run (SET) or keys it may touch (~app:*); without one, what the server
    /// grants by default.
    #[arg(long, value_name = "WORD")]
    grant: Vec<String>,
    /// What it reads as its configuration.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    config: Vec<(String, String)>,
    /// A budget: cpu-ms, memory, host-calls or bytes.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    limit: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Component {
    fn command(&self, verb: &str, replace: bool) -> Result<Cmd, Failure> {
        let bytes = self.bytes()?;
        if !bytes.starts_with(b"\0asm") {
            let file = self.file.display();
            return Err(Failure::new(format!("{file} is no WebAssembly component")));
        }
        let mut command = redis::cmd("PLUGIN");
        command.arg(verb).arg(&self.name).arg(bytes);
        if replace {
            command.arg("REPLACE");
        }
        if !self.grant.is_empty() {
            command.arg("GRANT").arg(&self.grant);
        }
        for (keyword, pairs) in [("CONFIG", &self.config), ("LIMIT", &self.limit)] {
            if !pairs.is_empty() {
                command.arg(keyword);
                pairs.iter().for_each(|(key, value)| {
                    command.arg(key).arg(value);
                });
            }
        }
        Ok(command)
    }

    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let mut bundled = reef_bundled::all().iter();
        match bundled.find(|plugin| plugin.name == self.name) {
            Some(plugin) if self.file.as_os_str() == "bundled" => Ok(plugin.component.to_vec()),
            _ => std::fs::read(&self.file).map_err(|error| {
                Failure::new(format!("cannot read {}: {error}", self.file.display()))
            }),
        }
    }
}

pub(super) fn run(args: PluginArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let PluginArgs { url, json, command } = args;
    // What is wrong with the file is said without asking the server.
    let loading = match &command {
        PluginCommand::Load { component, replace } => Some(component.command("LOAD", *replace)?),
        PluginCommand::Replace { component } => Some(component.command("REPLACE", false)?),
        _ => None,
    };
    // RESP3 tells maps from lists.
    let mut client = Server::at(&url)?.with_resp3().connect()?;
    client.demand("PLUGIN", "PLUGIN command: it is no Reef server")?;
    let client = &mut client;
    match command {
        PluginCommand::Load { component, .. } => {
            done(client, loading, "loaded", &component.name, json, out)
        }
        PluginCommand::Replace { component } => {
            done(client, loading, "replaced", &component.name, json, out)
        }
        PluginCommand::Unload { name } => {
            let mut unload = redis::cmd("PLUGIN");
            unload.arg("UNLOAD").arg(&name);
            done(client, Some(unload), "unloaded", &name, json, out)
        }
        PluginCommand::Kill { name } => {
            let calls: u64 = client.call(&["PLUGIN", "KILL", &name])?;
            match json {
                true => writeln!(out, "{:#}", json!({ "name": name, "killed_calls": calls }))?,
                false => writeln!(out, "{} stopped", counted(calls, "call"))?,
            }
            Ok(())
        }
        PluginCommand::List => list(client, json, out),
        PluginCommand::Info { name } => info(client, &name, json, out),
        PluginCommand::Stats { name } => stats(client, name.as_deref(), json, out),
        PluginCommand::Log { name, count } => log(client, &name, count, json, out),
    }
}

/// Runs a command that answers OK.
fn done(
    client: &mut Client,
    command: Option<Cmd>,
    verb: &str,
    name: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(command) = command {
        client.run::<()>(&command)?;
    }
    match json {
        true => writeln!(out, "{:#}", json!({ "name": name, "result": verb }))?,
        false => writeln!(out, "plugin {} {verb}", shown(name))?,
    }
    Ok(())
}

fn list(client: &mut Client, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
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

fn info(client: &mut Client, name: &str, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
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

fn stats(
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

fn log(
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

/// The names and values of a map.
fn fields(map: &Value) -> Vec<(String, &Value)> {
    match map {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (text(name), value)).collect(),
        _ => Vec::new(),
    }
}

fn get<'a>(map: &'a Value, name: &str) -> &'a Value {
    let found = fields(map).into_iter().find(|(field, _)| field == name);
    found.map_or(&Value::Nil, |(_, value)| value)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// A value on one line.
fn text(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Map(_) => {
            let words = fields(value).into_iter();
            let words = words.map(|(name, value)| format!("{name}={}", text(value)));
            words.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn json_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Int(number) => (*number).into(),
        Value::Array(values) => values.iter().map(json_of).collect::<Vec<_>>().into(),
        Value::Map(_) => {
            let members = fields(value).into_iter();
            let members = members.map(|(name, value)| (name, json_of(value)));
            serde_json::Value::Object(members.collect())
        }
        other => text(other).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn replies_become_json_and_words() {
        let config = Value::Map(vec![(word("a"), word("1")), (word("b"), Value::Int(2))]);
        let commands = Value::Array(vec![word("A.B"), word("A.C")]);
        let reply = Value::Map(vec![(word("config"), config), (word("commands"), commands)]);
        let json = json!({ "config": { "a": "1", "b": 2 }, "commands": ["A.B", "A.C"] });
        assert_eq!(json_of(&reply), json);
        assert_eq!(text(get(&reply, "config")), "a=1 b=2");
        assert_eq!(text(get(&reply, "commands")), "A.B A.C");
        assert_eq!(get(&reply, "other"), &Value::Nil);
    }

    #[test]
    fn pairs_are_cut_at_the_first_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("ab").is_err());
    }
}
