//! Networks that are cut: clients connect again, replicas catch up, nothing acknowledged is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, Server};
use crate::cli::demo::cable::Cable;
use crate::cli::demo::process::{Process, within};
use crate::cli::demo::stage::Stage;
use crate::cli::progress;
use crate::cli::table::{counted, grouped};

const CLIENTS: usize = 8;
const CUTS: u64 = 4;
/// How long the network is whole, and how long it is not.
const PHASE: Duration = Duration::from_millis(250);
/// How long a replica may take: it tries again every second.
const PATIENCE: Duration = Duration::from_secs(15);

/// What one client was told.
#[derive(Debug, Default)]
struct Told {
    /// So many increments were acknowledged.
    acknowledged: u64,
    /// So many were sent, and no answer came: each may have happened or not.
    unknown: u64,
    /// So often it had to connect again.
    reconnected: u64,
}

impl Told {
    /// Increments two counters at once, over and over, and connects again when the network fails.
    fn count(server: &Server, keys: &[String; 2], is_over: &AtomicBool) -> Self {
        let mut told = Self::default();
        let mut client = None;
        while !is_over.load(Ordering::Acquire) {
            let Some(open) = &mut client else {
                client = connect(server).ok();
                match client.is_some() {
                    true => told.reconnected += 1,
                    false => std::thread::sleep(Duration::from_millis(5)),
                }
                continue;
            };
            match increment(open, keys) {
                Ok(()) => told.acknowledged += 1,
                Err(_) => {
                    told.unknown += 1;
                    client = None;
                }
            }
        }
        // The first time was no reconnection.
        told.reconnected = told.reconnected.saturating_sub(1);
        told
    }
}

/// A connection over which something was heard.
fn connect(server: &Server) -> Result<Client, ClientError> {
    let mut client = server.connect()?;
    client.call::<()>(&["PING"])?;
    Ok(client)
}

fn increment(client: &mut Client, keys: &[String; 2]) -> Result<(), ClientError> {
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("INCR").arg(&keys[0]).cmd("INCR").arg(&keys[1]);
    client.pipeline::<redis::Value>(&pipe).map(|_| ())
}

/// Shows it between clients and their server.
pub(super) fn clients(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.step("The network between clients and server is cut, again and again")?;
    let process = Process::reef(&["--save", ""])?;
    let cable = Cable::to(process.port())?;
    let is_over = AtomicBool::new(false);
    let keys: Vec<_> = (0..CLIENTS).map(|n| [format!("a:{n}"), format!("b:{n}")]).collect();
    let told = std::thread::scope(|scope| {
        let count = |keys| {
            let (server, is_over) = (cable.server(), &is_over);
            scope.spawn(move || Told::count(server, keys, is_over))
        };
        let threads: Vec<_> = keys.iter().map(count).collect();
        let bar = progress::bar(CUTS);
        for _ in 0..CUTS {
            std::thread::sleep(PHASE);
            cable.cut();
            std::thread::sleep(PHASE);
            cable.mend();
            bar.inc(1);
        }
        bar.finish_and_clear();
        std::thread::sleep(PHASE);
        is_over.store(true, Ordering::Release);
        threads.into_iter().map(|thread| thread.join()).collect::<Result<Vec<_>, _>>()
    });
    let told = told.map_err(|_| Failure::new("a thread of the demonstration panicked"))?;
    let mut client = process.connect()?;
    let (mut lost, mut invented, mut by_half) = (0, 0, 0);
    for (told, keys) in told.iter().zip(&keys) {
        let [a, b] = &[&keys[0], &keys[1]].map(|key| client.call::<Option<u64>>(&["GET", key]));
        let (a, b) = (a.clone()?.unwrap_or(0), b.clone()?.unwrap_or(0));
        by_half += u64::from(a != b);
        lost += told.acknowledged.saturating_sub(a);
        invented += a.saturating_sub(told.acknowledged + told.unknown);
    }
    let sum = |field: fn(&Told) -> u64| told.iter().map(field).sum::<u64>();
    let (acknowledged, reconnected) = (sum(|t| t.acknowledged), sum(|t| t.reconnected));
    stage.say(&format!(
        "{} and {}: {} transactions acknowledged, {} in flight when it was cut",
        counted(CLIENTS as u64, "client"),
        counted(CUTS, "cut"),
        grouped(acknowledged),
        grouped(sum(|t| t.unknown)),
    ))?;
    let sentence = format!("every client connected again after every cut: {reconnected} times");
    stage.check(told.iter().all(|told| told.reconnected >= CUTS), &sentence)?;
    let sentence = format!("{lost} acknowledged transactions are lost, {invented} invented");
    stage.check(acknowledged > 0 && lost == 0 && invented == 0, &sentence)?;
    stage.check(by_half == 0, "both counters of every client agree")?;
    let left = within(PATIENCE, || process.number("connected_clients").is_ok_and(|n| n <= 2));
    stage.check(left, "the server keeps none of the broken connections")
}

/// Shows it between a primary and its replica.
pub(super) fn replica(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.step("The network between primary and replica goes silent")?;
    // A silent link is one that says nothing for `repl-timeout`.
    let timeouts = ["--save", "", "--repl-timeout", "2", "--repl-ping-replica-period", "1"];
    let primary = Process::reef(&timeouts)?;
    let cable = Cable::to(primary.port())?;
    let place = format!("127.0.0.1 {}", cable.port());
    let replica = Process::reef(&[&timeouts[..], &["--replicaof", &place]].concat())?;
    let is_up = || replica.info("master_link_status").is_ok_and(|status| status == "up");
    stage.check(within(PATIENCE, is_up), "the replica found its primary")?;
    let mut client = primary.connect()?;
    client.call::<()>(&["SET", "before", "1"])?;
    client.call::<u64>(&["WAIT", "1", "5000"])?;
    let partial = primary.number("sync_partial_ok")?;
    client.call::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"])?;
    cable.silence();
    let noticed = within(PATIENCE, || {
        !is_up() && primary.info("connected_slaves").is_ok_and(|replicas| replicas == "0")
    });
    stage.check(noticed, "both ends notice within seconds (repl-timeout 2)")?;
    let refusal = stage.ask_in_vain(&mut client, &["SET", "alone", "1"])?;
    let refused = refusal.is_some_and(|error| error.code() == Some("NOREPLICAS"));
    let sentence =
        "with min-replicas-to-write 1 the primary takes no writes that only it would have";
    stage.check(refused, sentence)?;
    client.call::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"])?;
    client.call::<()>(&["SET", "during", "1"])?;
    let before: Option<String> = replica.call(&["GET", "before"])?;
    stage
        .check(before.is_some(), "without it, the primary writes on and the replica answers on")?;
    cable.mend();
    stage.check(within(PATIENCE, is_up), "the network is back, and so is the replica")?;
    let reached: u64 = stage.ask(&mut client, &["WAIT", "1", "10000"])?;
    let now = primary.number("sync_partial_ok")?;
    let equal = reached == 1 && primary.digest()? == replica.digest()?;
    let sentence =
        format!("same digest, by what was missed only: sync_partial_ok {partial} -> {now}");
    stage.check(equal && now > partial, &sentence)
}
