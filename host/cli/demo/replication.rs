//! `reef demo replication`: one source of changes, and copies that follow it through kills, cuts and
//! a failover.
//!
//! Every server is a process of its own, so that `kill -9` is one. The first replica is a Reef behind
//! a cable that can be cut; the second a stock redis-server, where there is one.

use std::time::Duration;

use super::cable::Cable;
use super::ledger::Ledger;
use super::process::{Process, within};
use super::stage::Stage;
use crate::cli::Failure;
use crate::cli::client::{Client, ClientError};
use crate::cli::table::{counted, grouped};

/// How long replicas may take to follow: a link that is down is tried again every second.
const PATIENCE: Duration = Duration::from_secs(15);
/// The same for `WAIT`.
const WAIT_MS: &str = "15000";
/// Relayers that get transactions, and how many each.
const RELAYERS: u64 = 5;
const TRANSACTIONS: u64 = 200;
/// How long clients write until the primary is killed.
const WRITING: Duration = Duration::from_millis(700);

/// Shows all of it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let mut trio = Trio::start(stage)?;
    copies(stage, &trio)?;
    replica_killed(stage, &mut trio)?;
    link_cut(stage, &trio)?;
    let ledger = Ledger::new(4);
    primary_killed(stage, &mut trio, &ledger)?;
    old_primary_returns(stage, &mut trio, &ledger)
}

/// A primary and its replicas.
struct Trio {
    primary: Process,
    cable: Cable,
    replica: Process,
    stock: Option<Process>,
}

impl Trio {
    fn start(stage: &mut Stage<'_>) -> Result<Self, Failure> {
        stage
            .step("A primary and its replicas: the plugin runs once, its effects go everywhere")?;
        let primary = Process::reef(&["--appendonly", "yes", "--save", ""])?;
        let cable = Cable::to(primary.port())?;
        let behind_cable = format!("127.0.0.1 {}", cable.port());
        let replica = Process::reef(&["--save", "", "--replicaof", &behind_cable])?;
        let port = primary.port().to_string();
        let stock = Process::stock(&["--save", "", "--replicaof", "127.0.0.1", &port])?;
        stage.say(&format!("primary: a Reef at port {}", primary.port()))?;
        stage.say(&format!("replica: a Reef at port {}, through a proxy", replica.port()))?;
        match &stock {
            Some(stock) => {
                let version = stock.info("redis_version")?;
                let port = stock.port();
                stage.say(&format!("replica: a stock redis-server {version} at port {port}"))?;
            }
            None => stage.say("no redis-server on PATH: the second, stock replica is left out")?,
        }
        Ok(Self { primary, cable, replica, stock })
    }

    fn replicas(&self) -> u64 {
        1 + u64::from(self.stock.is_some())
    }

    /// Whether all replicas are connected within the time.
    fn are_linked(&self) -> bool {
        let servers = || std::iter::once(&self.replica).chain(&self.stock);
        within(PATIENCE, || servers().all(is_linked))
    }

    /// Has `WAIT` say that all replicas have everything, and compares digests: two checks.
    fn check_equal(&self, stage: &mut Stage<'_>, client: &mut Client) -> Result<(), Failure> {
        let replicas = self.replicas();
        let reached: u64 = stage.ask(client, &["WAIT", &replicas.to_string(), WAIT_MS])?;
        let sentence = format!("WAIT: all of it has reached {}", counted(reached, "replica"));
        stage.check(reached == replicas, &sentence)?;
        let digest = self.primary.digest()?;
        let mut equal = self.replica.digest()? == digest;
        if let Some(stock) = &self.stock {
            equal &= stock.digest()? == digest;
        }
        let keys: u64 = client.call(&["DBSIZE"])?;
        let sentence = format!(
            "DEBUG DIGEST is the same {}: {} keys, {}...",
            if self.stock.is_some() { "on all three" } else { "on both" },
            grouped(keys),
            digest.get(..12).unwrap_or_default(),
        );
        stage.check(equal, &sentence)
    }
}

fn is_linked(server: &Process) -> bool {
    server.info("master_link_status").is_ok_and(|status| status == "up")
}

fn copies(stage: &mut Stage<'_>, trio: &Trio) -> Result<(), Failure> {
    let mut client = trio.primary.connect()?;
    let linked = trio.are_linked();
    stage.check(linked, "the replicas found their primary")?;
    // A replica needs no plugin: this one has none any more, a stock server never had one.
    trio.replica.call::<()>(&["PLUGIN", "UNLOAD", "tx-repo"])?;
    for relayer in 0..RELAYERS {
        create(&mut client, &format!("relayer-{relayer}"), 0, TRANSACTIONS)?;
    }
    let id: String =
        stage.ask(&mut client, &["TX.CREATE", "relayer-0", "NEXT", "0x1234abcd", "1"])?;
    stage.ask::<String>(&mut client, &["TX.UPDATE", &id, "sent"])?;
    others(&mut client)?;
    trio.check_equal(stage, &mut client)?;

    let mut replica = trio.replica.connect()?;
    let known = replica.knows("TX.CREATE")?;
    let members: Vec<String> =
        stage.ask(&mut replica, &["SMEMBERS", "relayer:relayer-0:status:sent"])?;
    let followed = !known && members == [id];
    stage.check(followed, "the replica has no plugin, and the transaction is where it belongs")?;
    let refusal = stage.ask_in_vain(&mut replica, &["SET", "a", "b"])?;
    let refused = refusal.is_some_and(|error| error.code() == Some("READONLY"));
    stage.check(refused, "a replica refuses writes")
}

/// Creates so many transactions from this nonce on.
fn create(client: &mut Client, relayer: &str, from: u64, count: u64) -> Result<(), ClientError> {
    let mut command = redis::cmd("TX.BULKCREATE");
    command.arg(relayer);
    for nonce in from..from + count {
        command.arg(nonce).arg("0x1234abcd").arg("1000");
    }
    client.run::<redis::Value>(&command).map(|_| ())
}

/// Values of every type, what expires and what is random among them.
fn others(client: &mut Client) -> Result<(), ClientError> {
    let mut pipe = redis::pipe();
    for number in 0..200_u32 {
        pipe.cmd("RPUSH").arg("a:list").arg(number);
        pipe.cmd("SADD").arg("a:set").arg(format!("member-{number}"));
        pipe.cmd("ZADD").arg("a:sorted-set").arg(f64::from(number) / 4.0).arg(number);
        pipe.cmd("HSET").arg("a:hash").arg(number).arg("value");
        pipe.cmd("XADD").arg("a:stream").arg("*").arg("number").arg(number);
        pipe.cmd("PFADD").arg("a:sketch").arg(number);
    }
    pipe.cmd("SPOP").arg("a:set").arg(50);
    pipe.cmd("SET").arg("a:lease").arg("value").arg("EX").arg(3600);
    pipe.cmd("INCRBYFLOAT").arg("a:float").arg("0.1");
    pipe.cmd("XTRIM").arg("a:stream").arg("MAXLEN").arg("~").arg(120);
    client.pipeline::<redis::Value>(&pipe).map(|_| ())
}

fn replica_killed(stage: &mut Stage<'_>, trio: &mut Trio) -> Result<(), Failure> {
    stage.step("A replica is killed -9 and takes up where its file ends")?;
    let mut client = trio.primary.connect()?;
    let mut replica = trio.replica.connect()?;
    stage.ask::<String>(&mut replica, &["SAVE"])?;
    create(&mut client, "relayer-0", 1000, TRANSACTIONS)?;
    let before = synchronisations(&trio.primary)?;
    trio.replica.kill()?;
    create(&mut client, "relayer-0", 2000, TRANSACTIONS)?;
    let written = grouped(TRANSACTIONS);
    stage.say(&format!("{written} transactions came after SAVE, {written} more after the kill"))?;
    trio.replica.start_again()?;
    let linked = trio.are_linked();
    stage.check(linked, "started again, it finds its primary by itself")?;
    check_partial(stage, &trio.primary, before, 1)?;
    trio.check_equal(stage, &mut client)
}

/// Full and partial synchronisations that a primary has given.
fn synchronisations(primary: &Process) -> Result<(u64, u64), ClientError> {
    Ok((primary.number("sync_full")?, primary.number("sync_partial_ok")?))
}

/// Whether since then so many links came up again, and none needed all data.
fn check_partial(
    stage: &mut Stage<'_>,
    primary: &Process,
    before: (u64, u64),
    links: u64,
) -> Result<(), Failure> {
    let (full, partial) = synchronisations(primary)?;
    let sentence = format!(
        "it took only what it had missed: sync_partial_ok {} -> {partial}, sync_full {} -> {full}",
        before.1, before.0,
    );
    stage.check(full == before.0 && partial == before.1 + links, &sentence)
}

fn link_cut(stage: &mut Stage<'_>, trio: &Trio) -> Result<(), Failure> {
    stage.step("The link between primary and replica is cut")?;
    let mut client = trio.primary.connect()?;
    let mut replica = trio.replica.connect()?;
    let before = synchronisations(&trio.primary)?;
    trio.cable.cut();
    let noticed = within(PATIENCE, || !is_linked(&trio.replica));
    stage.check(noticed, "the replica notices: master_link_status is down")?;
    create(&mut client, "relayer-1", 1000, TRANSACTIONS)?;
    let stale: u64 = stage.ask(&mut replica, &["SCARD", "relayer:relayer-1:status:pending"])?;
    let sentence = "it goes on to answer, with what it has; the primary goes on to write";
    stage.check(stale == TRANSACTIONS, sentence)?;
    let all = trio.replicas();
    let reached: u64 = stage.ask(&mut client, &["WAIT", &all.to_string(), "300"])?;
    let sentence = format!("WAIT tells the truth: {reached} of {}", counted(all, "replica"));
    stage.check(reached == all - 1, &sentence)?;
    trio.cable.mend();
    stage.say("the link is mended")?;
    let linked = trio.are_linked();
    stage.check(linked, "the replica is back by itself")?;
    check_partial(stage, &trio.primary, before, 1)?;
    trio.check_equal(stage, &mut client)
}

/// Whether the stock replica has heard more of a primary that is gone than the other one.
fn stock_is_ahead(trio: &Trio) -> Result<bool, Failure> {
    let Some(stock) = &trio.stock else { return Ok(false) };
    within(PATIENCE, || !is_linked(&trio.replica) && !is_linked(stock));
    let [ours, theirs] = [&trio.replica, stock].map(|server| server.number("slave_repl_offset"));
    Ok(theirs? > ours?)
}

fn primary_killed(stage: &mut Stage<'_>, trio: &mut Trio, ledger: &Ledger) -> Result<(), Failure> {
    stage.step("The primary is killed -9 while clients write, and a replica takes its place")?;
    let replicas = trio.replicas();
    std::thread::scope(|scope| -> Result<(), Failure> {
        let begun = ledger.write(scope, trio.primary.server(), replicas);
        std::thread::sleep(WRITING);
        // The writers end with the primary, whatever else goes wrong.
        trio.primary.kill()?;
        Ok(begun?)
    })?;
    stage.say(&format!(
        "{} steps by MULTI or by the plugin were acknowledged by WAIT {replicas}, {} begun",
        grouped(ledger.acknowledged()),
        grouped(ledger.tried()),
    ))?;
    let acknowledged = ledger.acknowledged();
    let is_ahead = stock_is_ahead(trio)?;
    let mut promoted = trio.replica.connect()?;
    stage.ask::<String>(&mut promoted, &["REPLICAOF", "NO", "ONE"])?;
    let before = synchronisations(&trio.replica)?;
    if let Some(stock) = &trio.stock {
        let port = trio.replica.port().to_string();
        stock.call::<()>(&["REPLICAOF", "127.0.0.1", &port])?;
    }
    let role = trio.replica.info("role")?;
    let writable = promoted.call::<String>(&["SET", "a:turn", "1"]).is_ok();
    stage.check(role == "master" && writable, "the replica is a primary and takes writes")?;
    if !promoted.knows("TX.VERIFY")? {
        return Err(Failure::new("the new primary has no plugin tx-repo"));
    }
    let findings = ledger.check(&mut promoted)?;
    let sentence = format!(
        "of {} acknowledged steps {} are missing ({} are there)",
        grouped(acknowledged),
        findings.lost,
        grouped(findings.there),
    );
    stage.check(acknowledged > 0 && findings.lost == 0, &sentence)?;
    let whole = findings.by_half == 0 && findings.invented == 0;
    stage
        .check(whole, "none is there by half: TX.VERIFY and plain commands agree on every index")?;
    if let Some(stock) = &trio.stock {
        let linked = within(PATIENCE, || is_linked(stock));
        stage.check(linked, "the stock replica follows the new primary")?;
        match is_ahead {
            true => {
                stage.say("it had heard more than the new primary, so it took everything anew")?
            }
            false => check_partial(stage, &trio.replica, before, 1)?,
        }
        let reached: u64 = stage.ask(&mut promoted, &["WAIT", "1", WAIT_MS])?;
        let equal = reached == 1 && stock.digest()? == trio.replica.digest()?;
        stage.check(equal, "and has the same digest")?;
    }
    Ok(())
}

fn old_primary_returns(
    stage: &mut Stage<'_>,
    trio: &mut Trio,
    ledger: &Ledger,
) -> Result<(), Failure> {
    stage.step("The old primary comes back, as a replica")?;
    let mut client = trio.replica.connect()?;
    create(&mut client, "relayer-2", 1000, TRANSACTIONS)?;
    let of_new = format!("127.0.0.1 {}", trio.replica.port());
    trio.primary.set_flags(&["--appendonly", "yes", "--save", "", "--replicaof", &of_new]);
    trio.primary.start_again()?;
    let linked = within(PATIENCE, || is_linked(&trio.primary));
    stage.check(linked, "it follows the new primary; what only it knew, nobody was promised")?;
    let replicas = trio.replicas();
    let reached: u64 = stage.ask(&mut client, &["WAIT", &replicas.to_string(), WAIT_MS])?;
    stage.check(
        reached == replicas,
        &format!("WAIT: all of it has reached {}", counted(reached, "replica")),
    )?;
    let equal = trio.primary.digest()? == trio.replica.digest()?;
    stage.check(equal, "old and new primary have the same digest")?;
    let mut old = trio.primary.connect()?;
    let refusal = stage.ask_in_vain(&mut old, &["SET", "a", "b"])?;
    let refused = refusal.is_some_and(|error| error.code() == Some("READONLY"));
    stage.check(refused, "it refuses writes now")?;
    let findings = ledger.check(&mut old)?;
    let sentence =
        format!("all {} acknowledged steps are there, too", grouped(ledger.acknowledged()));
    stage.check(findings.are_good(), &sentence)
}
