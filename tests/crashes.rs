//! Kills of the whole process while clients write, and what must be there afterwards.
//!
//! Each client writes ever higher numbers, each number to several keys in one step: a MULTI, or a
//! plugin's batch. It knows which numbers were acknowledged. After `kill -9` and a new start every
//! client's keys must agree with each other (no step by half), and hold the last acknowledged number
//! or the one that was under way.
//!
//! `REEF_CRASHES` is how many kills there are, `REEF_CRASH_SEED` the seed of a run that failed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::{Connection, Value};

use crate::served::Served;

const CLIENTS: usize = 6;
/// From this one on, clients write by a plugin's batch.
const FIRST_PLUGIN_CLIENT: usize = 4;

/// What a client knows of its own writes.
#[derive(Debug, Default)]
struct Promise {
    /// The number that was tried last.
    tried: AtomicU64,
    /// The number that was acknowledged last.
    acknowledged: AtomicU64,
}

fn crashes(default: u64) -> u64 {
    std::env::var("REEF_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where a run begins; printed when something fails.
struct Seeded(u64);

impl Seeded {
    fn new() -> Self {
        let given = std::env::var("REEF_CRASH_SEED").ok().and_then(|text| text.parse().ok());
        Self(given.unwrap_or_else(|| (u64::from(std::process::id()) * 0x9e37_79b9) | 1))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Writes until the server is gone.
fn write(mut connection: Connection, client: usize, promise: &Promise, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        let number = promise.acknowledged.load(Ordering::Acquire) + 1;
        promise.tried.store(number, Ordering::Release);
        if step(&mut connection, client, number).is_err() {
            return;
        }
        promise.acknowledged.store(number, Ordering::Release);
    }
}

/// One step of a client: the same number in several places.
fn step(connection: &mut Connection, client: usize, number: u64) -> redis::RedisResult<Value> {
    if client >= FIRST_PLUGIN_CLIENT {
        let mut create = redis::cmd("TX.CREATE");
        return create.arg(format!("c{client}")).arg(number).arg("to").arg(5).query(connection);
    }
    let mut pipe = redis::pipe();
    pipe.atomic();
    pipe.cmd("SET").arg(format!("{{{client}}}first")).arg(number);
    pipe.cmd("RPUSH").arg(format!("{{{client}}}all")).arg(number);
    // In another shard, so that several are held.
    pipe.cmd("HSET").arg(format!("second:{client}")).arg("number").arg(number);
    pipe.query(connection)
}

fn get(connection: &mut Connection, line: &str) -> Value {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn number(connection: &mut Connection, line: &str) -> u64 {
    redis::from_redis_value(get(connection, line)).unwrap_or(0)
}

/// The number that a client's keys hold, all of them.
fn held(connection: &mut Connection, client: usize, what: &str) -> u64 {
    if client >= FIRST_PLUGIN_CLIENT {
        let count = number(connection, &format!("GET relayer:c{client}:count"));
        let pending = number(connection, &format!("SCARD relayer:c{client}:status:pending"));
        assert_eq!(count, pending, "{what}: client {client}: a batch by half");
        for (nonce, is_there) in [(count, count > 0), (count + 1, false)] {
            let there = number(connection, &format!("EXISTS relayer:c{client}:nonce:{nonce}"));
            assert_eq!(there == 1, is_there, "{what}: client {client}: nonce {nonce}");
        }
        return count;
    }
    let first = number(connection, &format!("GET {{{client}}}first"));
    let second = number(connection, &format!("HGET second:{client} number"));
    let all = get(connection, &format!("LRANGE {{{client}}}all 0 -1"));
    let all: Vec<u64> = redis::from_redis_value(all).expect("numbers");
    assert_eq!(first, second, "{what}: client {client}: a step by half");
    assert_eq!(all, (1..=first).collect::<Vec<_>>(), "{what}: client {client}: each step once");
    first
}

/// What must be there of a client's writes is.
fn check(connection: &mut Connection, client: usize, promise: &Promise, what: &str) {
    let first = held(connection, client, what);
    let acknowledged = promise.acknowledged.load(Ordering::Acquire);
    let tried = promise.tried.load(Ordering::Acquire);
    assert!(
        (acknowledged..=tried).contains(&first),
        "{what}: client {client}: {first} is there, {acknowledged} was acknowledged"
    );
    promise.acknowledged.store(first, Ordering::Release);
}

/// Kills a server again and again while clients write, and looks what is there.
fn crash(kills: u64, args: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seeded = Seeded::new();
    let seed = seeded.0;
    let promises: Vec<Promise> = (0..CLIENTS).map(|_| Promise::default()).collect();
    for kill in 0..=kills {
        let what = format!("kill {kill} of seed {seed}");
        let server = Served::start_in(folder.path(), args);
        let mut connection = server.connect();
        for (client, promise) in promises.iter().enumerate() {
            check(&mut connection, client, promise, &what);
        }
        if kill == kills {
            break;
        }
        let is_over = AtomicBool::new(false);
        let rewrites = seeded.below(3) == 0;
        std::thread::scope(|scope| {
            for (client, promise) in promises.iter().enumerate() {
                let (connection, is_over) = (server.connect(), &is_over);
                scope.spawn(move || write(connection, client, promise, is_over));
            }
            std::thread::sleep(Duration::from_millis(seeded.below(60)));
            if rewrites {
                let _ = redis::cmd("BGREWRITEAOF").query::<Value>(&mut connection);
                std::thread::sleep(Duration::from_millis(seeded.below(20)));
            }
            server.kill();
            is_over.store(true, Ordering::Release);
        });
    }
    let written = promises.iter().map(|promise| promise.acknowledged.load(Ordering::Acquire));
    assert!(written.sum::<u64>() > kills, "clients were served between the kills");
    assert!(holds_manifest(folder.path()));
}

fn holds_manifest(folder: &Path) -> bool {
    folder.join("appendonlydir/appendonly.aof.manifest").is_file()
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill_with_always() {
    let args =
        ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--io-threads", "2"];
    crash(crashes(10), &args);
}

#[test]
fn a_kill_loses_nothing_with_everysec_either_as_long_as_the_machine_lives() {
    let args = ["--appendonly", "yes", "--save", "", "--io-threads", "2"];
    crash(crashes(10), &args);
}
