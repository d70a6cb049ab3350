//! `--memory`: what a key costs each server, by its own account (used_memory) and in RAM (RSS).
//!
//! Both are differences over the filling, with the filling connections closed again, divided by the
//! keys that really came to be (DBSIZE).

use std::io::{self, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::alternate::{Server, data, progress};
use crate::args::BenchArgs;
use crate::client::{Client, info_field};
use crate::error::BenchError;
use crate::fleet::Fleet;
use crate::process::Process;
use crate::report::grouped;
use crate::setup;
use crate::template::Template;

/// Memory of a server at one moment; what it does not tell is missing.
#[derive(Clone, Copy, Debug)]
struct Snapshot {
    keys: Option<i64>,
    used: Option<i64>,
    resident: Option<i64>,
}

/// A server before and after the filling.
struct Filled {
    name: String,
    before: Snapshot,
    after: Snapshot,
}

/// Fills each server and reports it.
pub(crate) fn run(args: &BenchArgs, out: &mut dyn Write) -> Result<(), BenchError> {
    let data = data(args);
    let command = args.command.first().map_or(setup::KEY_COMMAND, String::as_str);
    if !setup::is_indexed(&Template::parse(command, &data)?) {
        let why = "with --memory it must name a new key each time: use __index__";
        return Err(BenchError::Mix(command.to_owned(), why.to_owned()));
    }
    let mut filled = Vec::new();
    let servers = Server::all(args)?;
    let progress = progress(servers.len() as u64);
    for mut server in servers {
        progress.set_message(format!("filling {}", server.name));
        let clients = connected_clients(&mut server.client);
        let before = Snapshot::of(&mut server)?;
        let mut fleet = Fleet::connect(&server.target, args.connections, args.threads, args.resp3)?;
        setup::fill(command, args, &data, &mut fleet)?;
        drop(fleet);
        settle(&mut server.client, clients);
        let after = Snapshot::of(&mut server)?;
        filled.push(Filled { name: server.name, before, after });
        progress.inc(1);
    }
    progress.finish_and_clear();
    if args.json {
        machine(args, command, &filled, out)
    } else {
        human(args, command, &filled, out)
    }
    .map_err(BenchError::Output)
}

impl Snapshot {
    fn of(server: &mut Server) -> Result<Self, BenchError> {
        let info = server.client.info("memory").unwrap_or_default();
        let field = |name| info_field(&info, name).and_then(|value| value.parse().ok());
        let resident = server.process.and_then(Process::resident_bytes);
        let keys = server.client.call(&["DBSIZE"])?;
        Ok(Self {
            keys: integer(&keys),
            used: field("used_memory"),
            resident: match resident {
                Some(bytes) => i64::try_from(bytes).ok(),
                None => field("used_memory_rss"),
            },
        })
    }
}

impl Filled {
    fn new_keys(&self) -> Option<i64> {
        Some(self.after.keys? - self.before.keys?)
    }

    fn per_key(&self, of: impl Fn(&Snapshot) -> Option<i64>) -> Option<f64> {
        let keys = self.new_keys().filter(|keys| *keys > 0)?;
        Some((of(&self.after)? - of(&self.before)?) as f64 / keys as f64)
    }
}

/// Waits until the filling connections are gone, so that their buffers do not count.
fn settle(client: &mut Client, clients: Option<i64>) {
    let deadline = Instant::now() + SETTLE_MAX;
    while Instant::now() < deadline && connected_clients(client) > clients {
        sleep(SETTLE_STEP);
    }
}

fn connected_clients(client: &mut Client) -> Option<i64> {
    info_field(&client.info("clients")?, "connected_clients")?.parse().ok()
}

fn integer(raw: &[u8]) -> Option<i64> {
    std::str::from_utf8(raw).ok()?.strip_prefix(':')?.trim_end().parse().ok()
}

fn human(
    args: &BenchArgs,
    command: &str,
    filled: &[Filled],
    out: &mut dyn Write,
) -> io::Result<()> {
    let width = filled.iter().map(|one| one.name.chars().count()).max().unwrap_or(0).max(6);
    let number = |value: Option<i64>| value.map_or("-".to_owned(), |value| grouped(value as f64));
    let each = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    writeln!(out, "{} x {command}, values of {} bytes\n", args.keys, args.value_bytes)?;
    writeln!(
        out,
        "{:width$}  {:>11}  {:>15}  {:>10}  {:>15}  {:>10}",
        "server", "new keys", "used_memory", "B/key", "RSS", "B/key"
    )?;
    for one in filled {
        writeln!(
            out,
            "{:width$}  {:>11}  {:>15}  {:>10}  {:>15}  {:>10}",
            one.name,
            number(one.new_keys()),
            number(one.after.used),
            each(one.per_key(|at| at.used)),
            number(one.after.resident),
            each(one.per_key(|at| at.resident)),
        )?;
    }
    if let [own, peer] = filled {
        let ratio = |of: fn(&Snapshot) -> Option<i64>| {
            let peer = peer.per_key(of).filter(|value| *value > 0.0)?;
            Some(own.per_key(of)? / peer)
        };
        let text = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let (used, resident) = (ratio(|at| at.used), ratio(|at| at.resident));
        writeln!(
            out,
            "ratio first/second: used_memory per key {}, RSS per key {}",
            text(used),
            text(resident)
        )?;
    }
    let expected = i64::try_from(args.keys).ok();
    for one in filled.iter().filter(|one| one.new_keys() != expected) {
        writeln!(
            out,
            "  {}: {} keys were written but {} are new: start with an empty server (--flush)",
            one.name,
            args.keys,
            number(one.new_keys())
        )?;
    }
    out.flush()
}

fn machine(
    args: &BenchArgs,
    command: &str,
    filled: &[Filled],
    out: &mut dyn Write,
) -> io::Result<()> {
    let servers = filled.iter().map(|one| {
        json!({
            "server": one.name,
            "new_keys": one.new_keys(),
            "used_memory": one.after.used,
            "used_memory_per_key": one.per_key(|at| at.used),
            "rss": one.after.resident,
            "rss_per_key": one.per_key(|at| at.resident),
        })
    });
    let document = json!({
        "command": command,
        "keys": args.keys,
        "value_bytes": args.value_bytes,
        "servers": servers.collect::<Vec<_>>(),
    });
    writeln!(out, "{document:#}")?;
    out.flush()
}

const SETTLE_MAX: Duration = Duration::from_secs(2);
const SETTLE_STEP: Duration = Duration::from_millis(20);
