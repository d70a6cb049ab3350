//! `reef demo tenants`: strangers on one server, one of them hostile; none sees another's, and what one
//! uses up is its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::process::Process;
use super::stage::Stage;
use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, Server};
use crate::cli::table::grouped;

/// How long the neighbour's latency is looked at, alone and beside the other.
const LOOK: Duration = Duration::from_millis(800);
/// Connections of the hostile tenant.
const ATTACKERS: usize = 3;
/// What the operator's password is.
const PASSWORD: &str = "operator";

/// Shows all of it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let mut process = Process::reef(&["--appendonly", "yes", "--save", ""])?;
    let port = process.port();
    process.call::<()>(&["CONFIG", "SET", "requirepass", PASSWORD])?;
    let mut operator = enter(port, "default", PASSWORD)?;
    borders(stage, &mut operator, port)?;
    quotas(stage, &mut operator, port)?;
    hostile(stage, &mut operator, port)?;
    kept(stage, &mut process)
}

/// A connection of a tenant's, or of the operator's.
fn enter(port: u16, user: &str, password: &str) -> Result<Client, ClientError> {
    Server::at(&format!("redis://{user}:{password}@127.0.0.1:{port}"))?.connect()
}

fn borders(stage: &mut Stage<'_>, operator: &mut Client, port: u16) -> Result<(), Failure> {
    stage.step("Two tenants: a keyspace, users and plugins of one's own")?;
    stage.ask::<()>(operator, &["TENANT", "CREATE", "acme", "PASSWORD", "pa"])?;
    stage.ask::<()>(operator, &["TENANT", "CREATE", "globex", "PASSWORD", "pg"])?;
    let (mut acme, mut globex) = (enter(port, "acme", "pa")?, enter(port, "globex", "pg")?);
    operator.call::<()>(&["SET", "who", "operator"])?;
    acme.call::<()>(&["SET", "who", "acme"])?;
    globex.call::<()>(&["SET", "who", "globex"])?;
    let acmes: String = stage.ask(&mut acme, &["GET", "who"])?;
    let globexs: String = globex.call(&["GET", "who"])?;
    stage.check(acmes == "acme" && globexs == "globex", "one name, three values")?;
    globex.call::<()>(&["FLUSHALL"])?;
    let left: (u64, u64) = (acme.call(&["DBSIZE"])?, operator.call(&["DBSIZE"])?);
    stage.check(left == (1, 1), "FLUSHALL of one empties nobody else's")?;
    let heard: u64 = globex.call(&["PUBLISH", "news", "x"])?;
    let listed: String = acme.call(&["CLIENT", "LIST"])?;
    let is_alone = heard == 0 && listed.lines().count() == 1;
    stage.check(is_alone, "nobody hears or lists the other's connections")?;
    let refusal = stage.ask_in_vain(&mut acme, &["CONFIG", "GET", "*"])?;
    let is_refused = refusal.is_some_and(|error| error.code() == Some("NOPERM"));
    stage.check(is_refused, "what is about the server is the operator's")
}

/// The word that an error begins with, and whether it names this quota.
fn names(error: &ClientError, quota: &str) -> bool {
    error.to_string().contains(&format!("'{quota}'"))
}

fn quotas(stage: &mut Stage<'_>, operator: &mut Client, port: u16) -> Result<(), Failure> {
    stage.step("Quotas: what is used up is named, and is nobody else's")?;
    let limits = ["memory", "1mb", "connections", "8", "ops-per-s", "1000", "plugins", "1"];
    stage.ask::<()>(operator, &[&["TENANT", "SET", "acme", "LIMIT"][..], &limits].concat())?;
    let (mut acme, mut globex) = (enter(port, "acme", "pa")?, enter(port, "globex", "pg")?);
    let value = "x".repeat(50_000);
    let mut full = None;
    for number in 0..100 {
        let key = format!("large:{number}");
        if let Err(error) = acme.call::<()>(&["SET", &key, &value]) {
            full = Some(error);
            break;
        }
    }
    let is_named = full.as_ref().is_some_and(|error| names(error, "memory"));
    stage
        .check(is_named, &full.map_or_else(String::new, |error| format!("acme hears: {error}")))?;
    globex.call::<()>(&["SET", "large", &value])?;
    let began = Instant::now();
    let mut busy = None;
    while busy.is_none() && began.elapsed() < Duration::from_secs(10) {
        busy = acme.call::<()>(&["PING"]).err();
    }
    let is_named = busy.as_ref().is_some_and(|error| names(error, "ops-per-s"));
    stage
        .check(is_named, &busy.map_or_else(String::new, |error| format!("acme hears: {error}")))?;
    let goes_on = globex.call::<String>(&["GET", "large"]).is_ok_and(|large| large == value);
    stage.check(goes_on, "globex goes on")
}

fn hostile(stage: &mut Stage<'_>, operator: &mut Client, port: u16) -> Result<(), Failure> {
    stage.step("A hostile neighbour: its guests take all the CPU they get")?;
    let limits = ["ops-per-s", "none", "memory", "64mb", "cpu-ms-per-s", "100"];
    stage.ask::<()>(operator, &[&["TENANT", "SET", "acme", "LIMIT"][..], &limits].concat())?;
    load_plugin(&mut enter(port, "acme", "pa")?)?;
    let mut globex = enter(port, "globex", "pg")?;
    let alone = Latency::of(&mut globex, LOOK)?;
    stage.say(&format!("globex alone:       {}", alone.shown()))?;
    let (over, told) = (AtomicBool::new(false), AtomicU64::new(0));
    let (is_over, refused) = (&over, &told);
    let (beside, attacks) = std::thread::scope(|scope| {
        let attacks: Vec<_> = (0..ATTACKERS)
            .map(|attacker| scope.spawn(move || attack(port, attacker, is_over, refused)))
            .collect();
        let beside = Latency::of(&mut globex, LOOK);
        // Its guests step back for everybody: on a busy machine they take a while to use it up.
        let began = Instant::now();
        while refused.load(Ordering::Relaxed) == 0 && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        is_over.store(true, Ordering::Relaxed);
        let attacks = attacks.into_iter().map(|attack| attack.join().unwrap_or(Ok(())));
        (beside, attacks.collect::<Result<Vec<()>, ClientError>>())
    });
    let beside = beside?;
    attacks?;
    let refused = told.into_inner();
    stage.say(&format!("globex beside acme: {}", beside.shown()))?;
    let sentence = format!("acme was told {} times: 'cpu-ms-per-s'", grouped(refused));
    stage.check(refused > 0, &sentence)?;
    stage.check(beside.count > 0, "globex was answered, every time")
}

/// The bundled plugin with all that it wants, as a tenant loads it.
fn load_plugin(client: &mut Client) -> Result<(), ClientError> {
    let told = client.call::<()>(&["PLUGIN", "LOAD", "tx-repo", "bundled"]).err();
    let told = told.map(|error| error.to_string()).unwrap_or_default();
    let grants = told.split("say GRANT ").nth(1).unwrap_or_default();
    let grants: Vec<&str> = grants.split_whitespace().collect();
    client.call(&[&["PLUGIN", "LOAD", "tx-repo", "bundled", "GRANT"][..], &grants].concat())
}

/// Lets guests work until it is over; counts how often that was refused for lack of CPU.
fn attack(
    port: u16,
    attacker: usize,
    is_over: &AtomicBool,
    refused: &AtomicU64,
) -> Result<(), ClientError> {
    let mut client = enter(port, "acme", "pa")?;
    let relayer = format!("relayer-{attacker}");
    let mut nonce = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        let mut command = redis::cmd("TX.BULKCREATE");
        command.arg(&relayer);
        for _ in 0..100 {
            command.arg(nonce).arg("0x1234abcd").arg("1000");
            nonce += 1;
        }
        match client.run::<redis::Value>(&command) {
            Ok(_) => {}
            Err(error) if names(&error, "cpu-ms-per-s") => {
                refused.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) if names(&error, "memory") => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How long one client's commands take, in microseconds.
struct Latency {
    p50_us: u128,
    p99_us: u128,
    count: usize,
}

impl Latency {
    fn of(client: &mut Client, time: Duration) -> Result<Self, ClientError> {
        let (began, mut all) = (Instant::now(), Vec::new());
        while began.elapsed() < time {
            let asked = Instant::now();
            client.call::<()>(&["SET", "who", "globex"])?;
            all.push(asked.elapsed().as_micros());
        }
        all.sort_unstable();
        let at = |per_cent: usize| all.get(all.len() * per_cent / 100).copied().unwrap_or(0);
        Ok(Self { p50_us: at(50), p99_us: at(99), count: all.len() })
    }

    fn shown(&self) -> String {
        let Self { p50_us, p99_us, count } = self;
        format!("{p50_us} us in the middle, {p99_us} us at p99, of {}", grouped(*count as u64))
    }
}

fn kept(stage: &mut Stage<'_>, process: &mut Process) -> Result<(), Failure> {
    stage.step("kill -9: tenants, their users, plugins and data are there again")?;
    let port = process.port();
    enter(port, "acme", "pa")?.call::<()>(&["FLUSHALL"])?;
    enter(port, "acme", "pa")?.call::<()>(&["SET", "who", "acme"])?;
    let mut globex = enter(port, "globex", "pg")?;
    globex.call::<()>(&["ACL", "SETUSER", "reader", "on", ">pr", "~*", "+get"])?;
    std::thread::sleep(Duration::from_millis(1200));
    process.start_again()?;
    let value: String = stage.ask(&mut enter(port, "acme", "pa")?, &["GET", "who"])?;
    stage.check(value == "acme", "acme has its data")?;
    let knows = enter(port, "acme", "pa")?.knows("TX.CREATE")?;
    stage.check(knows, "acme has its plugin")?;
    let value: String = enter(port, "globex%2Freader", "pr")?.call(&["GET", "who"])?;
    stage.check(value == "globex", "globex has the user that it made")
}
