//! Calls that are killed while they change several keys: what they leave is whole.
//!
//! Each call applies one batch after the other, for ever; a batch sets the next number to several keys
//! on several shards and appends it to a list. Calls end by PLUGIN KILL at random instants, or by their
//! budget of CPU. Whenever somebody looks, meanwhile, afterwards, and after the server itself was killed
//! and has read its log, all keys hold one number and the list goes up to it.
//!
//! `REEF_KILLS` is how many calls are killed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::Connection;

use crate::hostile::{GRANTS, ask, load};
use crate::served::Served;

/// Calls at the same time, each with keys of its own.
const MARCHES: u64 = 3;
/// Keys of a batch, beside the list.
const KEYS: u64 = 6;
/// A list that got longer begins again.
const LENGTH_MAX: u64 = 20_000;
/// Lives of the server.
const LIVES: u64 = 3;

fn kills() -> u64 {
    std::env::var("REEF_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// How calls ended.
#[derive(Default)]
struct Endings {
    killed: AtomicU64,
    timed_out: AtomicU64,
}

impl Endings {
    fn sum(&self) -> u64 {
        self.killed.load(Ordering::Relaxed) + self.timed_out.load(Ordering::Relaxed)
    }
}

/// The number that all keys of a march hold, looked at in one step.
fn whole(connection: &mut Connection, march: u64) -> u64 {
    let keys: Vec<String> = (0..KEYS).map(|key| format!("march-{march}:{key}")).collect();
    let list = format!("march-{march}:all");
    let mut look = redis::pipe();
    look.atomic();
    look.cmd("MGET").arg(&keys).cmd("LLEN").arg(&list).cmd("LRANGE").arg(&list).arg(-2).arg(-1);
    let (numbers, length, last): (Vec<Option<u64>>, u64, Vec<u64>) =
        look.query(connection).expect("a look");
    let expected = (length > 0).then_some(length);
    assert!(numbers.iter().all(|number| *number == expected), "{length}: {numbers:?}");
    let tail: Vec<u64> = (length.saturating_sub(1).max(1)..=length).collect();
    assert_eq!(last, tail, "the list of {length}");
    length
}

/// Calls until enough were stopped, and looks after each.
fn march(mut connection: Connection, march: u64, wanted: u64, endings: &Endings) {
    while endings.sum() < wanted {
        let error = ask(&mut connection, &format!("HOSTILE.MARCH march-{march} {KEYS} 0"));
        match error.expect_err("it never ends by itself").split_once(' ') {
            Some(("KILLED", _)) => endings.killed.fetch_add(1, Ordering::Relaxed),
            Some(("TIMEOUT", _)) => endings.timed_out.fetch_add(1, Ordering::Relaxed),
            Some(("PAUSED", _)) => {
                std::thread::sleep(Duration::from_millis(5));
                0
            }
            other => panic!("{other:?}"),
        };
        if whole(&mut connection, march) > LENGTH_MAX {
            let keys = (0..KEYS).map(|key| format!("march-{march}:{key}"));
            let keys = keys.chain([format!("march-{march}:all")]).collect::<Vec<_>>().join(" ");
            ask(&mut connection, &format!("DEL {keys}")).expect("a number");
        }
        // Timeouts are failures, and those in a row would lead to a pause.
        let _ = ask(&mut connection, "HOSTILE.OK");
    }
}

/// Kills at instants that have nothing to do with what is killed.
fn kill(mut connection: Connection, is_over: &AtomicBool) {
    let mut state = u64::from(std::process::id()) | 1;
    for kill in 1_u64.. {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Now and then so long that some calls use up their CPU, however busy the cores are.
        let most_us = if kill % 16 == 0 { 2_000_000 } else { 30_000 };
        std::thread::sleep(Duration::from_micros((state >> 33) % most_us));
        ask(&mut connection, "PLUGIN KILL hostile").expect("a number");
    }
}

/// One life of a server: kills calls, then the server.
fn live(server: Served, wanted: u64) -> Endings {
    let mut connection = server.connect();
    for march in 0..MARCHES {
        whole(&mut connection, march);
    }
    let limits = ["LIMIT", "cpu-ms", "6", "LIMIT", "host-calls", "1000000"];
    let options = [&["REPLACE"], &GRANTS[..], &limits].concat();
    load(&mut connection, reef_bundled::hostile::HOSTILE, &options).expect("it loads");
    let (endings, is_over) = (Endings::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let marchers: Vec<_> = (0..MARCHES)
            .map(|number| {
                let (connection, endings) = (server.connect(), &endings);
                scope.spawn(move || march(connection, number, wanted, endings))
            })
            .collect();
        let killer = server.connect();
        scope.spawn(|| kill(killer, &is_over));
        while endings.sum() < wanted && !marchers.iter().any(|marcher| marcher.is_finished()) {
            for march in 0..MARCHES {
                whole(&mut connection, march);
            }
        }
        is_over.store(true, Ordering::Release);
    });
    server.kill();
    endings
}

#[test]
fn calls_that_are_killed_leave_whole_batches_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let args =
        ["--shards", "8", "--io-threads", "2", "--appendonly", "yes", "--save", "", "--loglevel"];
    let args = [&args[..], &["warning"]].concat();
    let wanted = kills().div_ceil(LIVES);
    let (mut killed, mut timed_out) = (0, 0);
    for _ in 0..LIVES {
        let endings = live(Served::start_in(folder.path(), &args), wanted);
        killed += endings.killed.load(Ordering::Relaxed);
        timed_out += endings.timed_out.load(Ordering::Relaxed);
    }
    let server = Served::start_in(folder.path(), &args);
    for march in 0..MARCHES {
        whole(&mut server.connect(), march);
    }
    println!("{killed} calls were killed, {timed_out} ran out of CPU");
    assert!(killed > 0 && timed_out > 0, "{killed} killed, {timed_out} out of CPU");
}
