//! Exactly once, whatever crashes: the host is killed, databases are stopped as by a power cut,
//! connections are cut around commits, two hosts fight. A ledger without a key shows what is
//! missing and what is there twice. `REEF_KILLS` is more of all of it.

use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use reef_sinks::{Pipeline, State, StreamId};

use crate::support::cable::Cable;
use crate::support::database::{Database, MariaDbServer, PostgresServer};
use crate::support::planner::Documents;
use crate::support::stream::Stream;
use crate::support::{drained, settings, start, tables, until};

crate::on_each_database!(
    a_killed_host_loses_and_repeats_nothing,
    two_hosts_never_both_apply,
    connections_cut_around_commits_lose_and_repeat_nothing,
);

/// How often to kill, cut or fight.
fn rounds(few: u64) -> u64 {
    std::env::var("REEF_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// A host in a process of its own.
fn host(database: &Database, events: u64, batch: u64) -> Child {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    Command::new(path.join("examples/carry"))
        .arg(database.url(None))
        .arg(events.to_string())
        .arg(batch.to_string())
        .spawn()
        .expect("examples/carry, which cargo builds with the tests")
}

/// Everything that `examples/carry.rs` makes of so many events is there, once.
fn assert_exact(database: &Database, events: u64) {
    let lines = (events / 2).to_string();
    assert_eq!(database.one("SELECT COUNT(DISTINCT id) FROM ledger"), lines, "lost");
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), lines, "duplicated");
    let applied = database.one("SELECT applied FROM reef_offsets");
    assert_eq!(applied, events.to_string(), "counts agree with rows");
    for row in database.query("SELECT id, payload FROM documents") {
        let document: u64 = row[0].as_ref().unwrap()[4..].parse().unwrap();
        let last = (0..events).map(|back| events - back).find(|n| n % 80 == document);
        assert_eq!(row[1], last.map(|last| format!("[{last}]")), "the last change wins");
    }
    assert_eq!(database.one("SELECT COUNT(*) FROM documents"), "40");
}

fn a_killed_host_loses_and_repeats_nothing(database: &Database) {
    let kills = rounds(12);
    let events = kills * 600;
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut host = host(database, events, 20);
        std::thread::sleep(Duration::from_millis(10 + random % 120));
        host.kill().unwrap();
        host.wait().unwrap();
    }
    assert!(host(database, events, 1_000).wait().unwrap().success());
    assert_exact(database, events);
}

fn two_hosts_never_both_apply(database: &Database) {
    let fights = rounds(12);
    let events = fights * 1_000;
    let mut hosts = [host(database, events, 10), host(database, events, 10)];
    let mut fenced = 0;
    let mut done = false;
    for fight in 0.. {
        std::thread::sleep(Duration::from_millis(20 + fight % 5 * 10));
        for running in &mut hosts {
            let Some(ended) = running.try_wait().unwrap() else { continue };
            match ended.code() {
                Some(3) => fenced += 1,
                code => {
                    assert_eq!(code, Some(0), "a host can only be done or fenced");
                    done = true;
                }
            }
            let batch = if fenced < fights { 10 } else { 1_000 };
            *running = host(database, events, batch);
        }
        if done {
            break;
        }
    }
    for running in &mut hosts {
        running.kill().unwrap();
        running.wait().unwrap();
    }
    assert!(fenced > 0, "they never fought");
    assert_exact(database, events);
}

/// A ledger of so many lines, and nothing else.
fn assert_lines(database: &Database, lines: u64) {
    let lines = lines.to_string();
    assert_eq!(database.one("SELECT COUNT(DISTINCT id) FROM ledger"), lines, "lost");
    assert_eq!(database.one("SELECT COUNT(*) FROM ledger"), lines, "duplicated");
}

fn connections_cut_around_commits_lose_and_repeat_nothing(database: &Database) {
    let Some(server) = database.server() else { return };
    let cuts = rounds(60);
    let cable = Cable::to(server.port, 4_711);
    let stream = Stream::default();
    let (source, planner) = (Box::new(stream.clone()), Box::new(Documents));
    let destination = database.destination_at(Some(cable.port), true);
    let pipeline = Pipeline::start(settings(), tables(), source, planner, destination).unwrap();
    let mut lines = 0;
    let mut last = StreamId::ZERO;
    while cable.cuts() < cuts {
        for _ in 0..5 {
            lines += 1;
            last = stream.insert(&format!("ledger:{lines}"), "{}");
        }
        std::thread::sleep(Duration::from_millis(3));
        let state = pipeline.status().state;
        assert!(!matches!(state, State::Fenced | State::Alarm { .. }), "{state:?}");
    }
    cable.mend();
    drained(&pipeline, last);
    let status = pipeline.stop();
    assert!(status.retries > 0);
    assert_eq!((status.totals.applied, status.totals.dead), (lines, 0));
    assert_lines(database, lines);
}

/// Writes on while the database is stopped at once and started again.
fn through_power_cuts(database: &Database, stop: impl Fn(), up: impl Fn()) {
    let stream = Stream::default();
    let mut settings = settings();
    settings.batch_events_max = 50;
    let pipeline = start(settings, &stream, database);
    drained(&pipeline, stream.insert("ledger:1", "{}"));
    let mut lines = 1;
    let push = |lines: &mut u64, count: u64| {
        for _ in 0..count {
            *lines += 1;
            stream.insert(&format!("ledger:{lines}"), "{}");
        }
    };
    for round in 0..rounds(3) {
        push(&mut lines, 2_000);
        std::thread::sleep(Duration::from_millis(20 + round * 37 % 100));
        stop();
        push(&mut lines, 500);
        until("the database is said to be down", || {
            matches!(pipeline.status().state, State::Down { .. })
        });
        let status = pipeline.status();
        assert!(status.lag > 0, "{status:?}");
        up();
    }
    drained(&pipeline, StreamId::new(lines, 0));
    let status = pipeline.stop();
    assert_eq!((status.totals.applied, status.totals.dead), (lines, 0));
    assert_lines(database, lines);
}

#[test]
fn postgres_stopped_at_once_loses_and_repeats_nothing() {
    let Some(server) = PostgresServer::start().map(Arc::new) else { return };
    let database = Database::postgres_of(Arc::clone(&server));
    through_power_cuts(&database, || server.stop_immediately(), || server.up());
}

#[test]
fn mariadb_killed_loses_and_repeats_nothing() {
    let Some(server) = MariaDbServer::start().map(Arc::new) else { return };
    let database = Database::mariadb_of(Arc::clone(&server));
    through_power_cuts(&database, || server.stop_immediately(), || server.up());
}

#[test]
fn a_host_stops_at_once_while_its_database_is_down() {
    let Some(server) = PostgresServer::start().map(Arc::new) else { return };
    let database = Database::postgres_of(Arc::clone(&server));
    let stream = Stream::default();
    let pipeline = start(settings(), &stream, &database);
    drained(&pipeline, stream.insert("ledger:1", "{}"));
    server.stop_immediately();
    stream.insert("ledger:2", "{}");
    until("down", || matches!(pipeline.status().state, State::Down { .. }));
    let begun = std::time::Instant::now();
    pipeline.stop();
    assert!(begun.elapsed() < Duration::from_secs(2));
    server.up();
    let pipeline = start(settings(), &stream, &database);
    drained(&pipeline, StreamId::new(2, 0));
    assert_lines(&database, 2);
}
