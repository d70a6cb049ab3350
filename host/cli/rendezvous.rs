//! `reef rendezvous ...`: the rendezvous from the command line, over RESP.
//!
//! A thin client: what is allowed, and what went wrong, the plugin says.

use std::io::Write;

use clap::{Args, Subcommand};
use redis::Cmd;
use serde_json::json;

use super::Failure;
use super::client::{Client, ClientError, Server};
use super::table::{Align, Table, shown, write_fields};

/// What a server without the plugin lacks.
const PLUGIN: &str = "RDV.* commands: the plugin rendezvous is not loaded there";

/// Arguments of `reef rendezvous`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reef rendezvous open test-17 --ttl 60\n  reef rendezvous register test-17 listener /ip4/10.0.0.1/tcp/4001\n  reef rendezvous wait test-17 listener --seconds 30\n  reef rendezvous drop test-17"
)]
pub(super) struct RendezvousArgs {
    /// The server: redis://[user:password@]host[:port][/database] or unix:///path.
    #[arg(long, global = true, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    url: String,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: RendezvousCommand,
}

#[derive(Debug, Subcommand)]
enum RendezvousCommand {
    /// Open a run, or prolong it.
    Open {
        /// Its name.
        run: String,
        /// For how many seconds.
        #[arg(long, value_name = "SECONDS", default_value = "3600")]
        ttl: String,
    },
    /// Register a value and print its id.
    Register {
        /// The run.
        run: String,
        /// The name space.
        namespace: String,
        /// What is registered: an address, say.
        value: String,
        /// The id, instead of a new one.
        #[arg(long)]
        id: Option<String>,
        /// For how many seconds; otherwise as long as the run.
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<String>,
    },
    /// Show who is registered.
    Find {
        /// The run.
        run: String,
        /// The name space.
        namespace: String,
    },
    /// Wait until enough are registered, and print their values, one a line.
    Wait {
        /// The run.
        run: String,
        /// The name space.
        namespace: String,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// For how long, up to 55.
        #[arg(long, value_name = "SECONDS", default_value_t = 10,
              value_parser = clap::value_parser!(u64).range(1..=55))]
        seconds: u64,
    },
    /// Drop a run with all that is in it.
    Drop {
        /// The run.
        run: String,
    },
    /// Show the open runs.
    List,
}

/// A registration: id, value, revision, milliseconds left (-1: as long as its connection).
type Entry = (String, String, u64, i64);

/// Runs a sub-command.
pub(super) fn run(args: RendezvousArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = Server::at(&args.url)?.connect()?;
    client.demand("RDV.OPEN", PLUGIN)?;
    match args.command {
        RendezvousCommand::Open { run, ttl } => open(&mut client, &run, &ttl, args.json, out),
        RendezvousCommand::Register { run, namespace, value, id, ttl } => {
            let mut command = redis::cmd("RDV.REGISTER");
            command.arg(run).arg(namespace).arg(value);
            for (word, given) in [("ID", id), ("TTL", ttl)] {
                if let Some(given) = given {
                    command.arg(word).arg(given);
                }
            }
            register(&mut client, &command, args.json, out)
        }
        RendezvousCommand::Find { run, namespace } => {
            let (_, all, _): (u64, Vec<Entry>, redis::Value) =
                client.call(&["RDV.FIND", &run, &namespace])?;
            show(&all, args.json, out)
        }
        RendezvousCommand::Wait { run, namespace, count, seconds } => {
            let (count, seconds) = (count.to_string(), seconds.to_string());
            let (_, all, _): (u64, Vec<Entry>, redis::Value) =
                client.call(&["RDV.FIND", &run, &namespace, "COUNT", &count, "WAIT", &seconds])?;
            if args.json {
                return show(&all, true, out);
            }
            all.iter().try_for_each(|(_, value, ..)| writeln!(out, "{}", shown(value)))?;
            Ok(())
        }
        RendezvousCommand::Drop { run } => {
            let dropped: u64 = client.call(&["RDV.DROP", &run])?;
            match (dropped, args.json) {
                (_, true) => writeln!(out, "{}", json!({ "dropped": dropped == 1 }))?,
                (0, _) => return Err(Failure::new(format!("the run {} is not open", shown(&run)))),
                _ => writeln!(out, "run {} dropped", shown(&run))?,
            }
            Ok(())
        }
        RendezvousCommand::List => list(&mut client, args.json, out),
    }
}

fn open(
    client: &mut Client,
    run: &str,
    ttl: &str,
    is_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (ttl_ms, is_new): (u64, u64) = client.call(&["RDV.OPEN", run, "TTL", ttl])?;
    if is_json {
        writeln!(out, "{}", json!({ "run": run, "ttl_ms": ttl_ms, "new": is_new == 1 }))?;
    } else {
        let what = if is_new == 1 { "opened" } else { "prolonged" };
        writeln!(out, "run {} {what} for {}", shown(run), seconds(ttl_ms))?;
    }
    Ok(())
}

fn register(
    client: &mut Client,
    command: &Cmd,
    is_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (id, revision, ttl_ms): (String, u64, i64) = client.run(command)?;
    if is_json {
        writeln!(out, "{}", json!({ "id": id, "revision": revision, "ttl_ms": ttl_ms }))?;
    } else {
        write_fields(out, &[("id", shown(&id)), ("time left", left(ttl_ms))])?;
    }
    Ok(())
}

fn show(all: &[Entry], is_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if is_json {
        let entries = all.iter().map(|(id, value, revision, left_ms)| {
            json!({ "id": id, "value": value, "revision": revision, "left_ms": left_ms })
        });
        writeln!(out, "{:#}", json!(entries.collect::<Vec<_>>()))?;
        return Ok(());
    }
    if all.is_empty() {
        writeln!(out, "nobody is registered")?;
        return Ok(());
    }
    let columns = [("id", Align::Left), ("value", Align::Left), ("time left", Align::Right)];
    let mut table = Table::new(&columns);
    for (id, value, _, left_ms) in all {
        table.row([shown(id), shown(value), left(*left_ms)]);
    }
    table.write(out)?;
    Ok(())
}

fn list(client: &mut Client, is_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let runs: Vec<(String, u64)> = client.call(&["RDV.LIST"])?;
    if is_json {
        let runs = runs.iter().map(|(run, left_ms)| json!({ "run": run, "left_ms": left_ms }));
        writeln!(out, "{:#}", json!(runs.collect::<Vec<_>>()))?;
        return Ok(());
    }
    if runs.is_empty() {
        writeln!(out, "no run is open")?;
        return Ok(());
    }
    let columns = [
        ("run", Align::Left),
        ("registered", Align::Right),
        ("waiting", Align::Right),
        ("time left", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for (run, left_ms) in runs {
        let [counted, waiting] = match figures(client, &run) {
            Ok(figures) => figures,
            // It went in between.
            Err(error) if error.code() == Some("NORUN") => continue,
            Err(error) => return Err(error.into()),
        };
        table.row([shown(&run), counted, waiting, seconds(left_ms)]);
    }
    table.write(out)?;
    Ok(())
}

/// What a run counts, and who waits in it.
fn figures(client: &mut Client, run: &str) -> Result<[String; 2], ClientError> {
    let info: std::collections::HashMap<String, redis::Value> = client.call(&["RDV.INFO", run])?;
    let figure = |name: &str| match info.get(name) {
        Some(redis::Value::Int(number)) => number.to_string(),
        _ => "?".to_owned(),
    };
    Ok([figure("counted"), figure("waiting")])
}

fn left(milliseconds: i64) -> String {
    match u64::try_from(milliseconds) {
        Ok(milliseconds) => seconds(milliseconds),
        Err(_) => "as long as its connection".to_owned(),
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1_000.0)
}
