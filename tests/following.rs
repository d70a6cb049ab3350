//! Replicas over restarts and promotions: what they go on from, and in which database.

use std::path::Path;
use std::time::{Duration, Instant};

use redis::Value;

use crate::served::Served;

fn run(server: &Served, line: &str) -> redis::RedisResult<Value> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(&mut server.connect())
}

/// Runs commands over one connection, in one database.
fn write_in(server: &Served, database: u32, keys: std::ops::Range<u32>) {
    let mut pipe = redis::pipe();
    pipe.cmd("SELECT").arg(database);
    keys.for_each(|key| {
        pipe.cmd("SET").arg(format!("key:{key}")).arg(database);
    });
    pipe.query::<Value>(&mut server.connect()).expect("it takes writes");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn digest(server: &Served) -> String {
    let reply = run(server, "DEBUG DIGEST").expect("a digest");
    redis::from_redis_value(reply).expect("text")
}

fn follow(folder: &Path, primary: &Served) -> Served {
    let place = format!("127.0.0.1 {}", primary.port());
    let args = ["--save", "", "--enable-debug-command", "local", "--replicaof", &place];
    let replica = Served::start_in(folder, &args);
    wait_until("the link is up", || replica.info("master_link_status") == "up");
    replica
}

fn primary() -> Served {
    Served::start(&["--save", "", "--enable-debug-command", "local"])
}

fn until_equal(primary: &Served, replica: &Served) {
    wait_until("the replica has the same data", || digest(primary) == digest(replica));
}

#[test]
fn a_killed_replica_goes_on_from_its_file_in_the_database_it_was_in() {
    let (primary, folder) = (primary(), tempfile::tempdir().expect("a folder"));
    let replica = follow(folder.path(), &primary);
    write_in(&primary, 3, 0..10);
    until_equal(&primary, &replica);
    run(&replica, "SAVE").expect("it saves");
    // Nothing in between selects a database again.
    write_in(&primary, 3, 10..20);
    replica.kill();
    write_in(&primary, 3, 20..30);
    let full = primary.info("sync_full");
    let replica = follow(folder.path(), &primary);
    until_equal(&primary, &replica);
    assert_eq!((primary.info("sync_full"), primary.info("sync_partial_ok")), (full, "1".into()));
    assert_eq!(replica.info("db3").split(',').next(), Some("keys=30"));
    assert_eq!(replica.info("db0"), "", "nothing has strayed");
}

#[test]
fn a_replica_of_a_replica_begins_in_the_database_that_is_selected() {
    let (primary, folder) = (primary(), tempfile::tempdir().expect("a folder"));
    let (middle, end) = (folder.path().join("middle"), folder.path().join("end"));
    std::fs::create_dir(&middle).and_then(|()| std::fs::create_dir(&end)).expect("folders");
    let middle = follow(&middle, &primary);
    write_in(&primary, 3, 0..10);
    until_equal(&primary, &middle);
    let end = follow(&end, &middle);
    write_in(&primary, 3, 10..20);
    until_equal(&primary, &end);
    assert_eq!(end.info("db0"), "", "nothing has strayed");
}

#[test]
fn what_a_promoted_replica_was_told_it_can_tell_others() {
    let (primary, folder) = (primary(), tempfile::tempdir().expect("a folder"));
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    std::fs::create_dir(&first).and_then(|()| std::fs::create_dir(&second)).expect("folders");
    let (first, second) = (follow(&first, &primary), follow(&second, &primary));
    assert_eq!(primary.info("sync_partial_err"), "0", "nobody asked for a part");
    write_in(&primary, 3, 0..10);
    until_equal(&primary, &first);
    until_equal(&primary, &second);
    primary.kill();
    run(&first, "REPLICAOF NO ONE").expect("it is promoted");
    write_in(&first, 3, 10..20);
    run(&second, &format!("REPLICAOF 127.0.0.1 {}", first.port())).expect("it follows another");
    wait_until("the link is up", || second.info("master_link_status") == "up");
    until_equal(&first, &second);
    assert_eq!((first.info("sync_full"), first.info("sync_partial_ok")), ("0".into(), "1".into()));
}

#[test]
fn a_primary_that_needs_replicas_refuses_writes_as_soon_as_one_has_gone() {
    let (primary, folder) = (primary(), tempfile::tempdir().expect("a folder"));
    let replica = follow(folder.path(), &primary);
    wait_until("the replica is online", || run(&primary, "WAIT 1 100") == Ok(Value::Int(1)));
    run(&primary, "CONFIG SET min-replicas-to-write 1").expect("a directive");
    run(&primary, "SET k v").expect("there is a replica");
    replica.kill();
    wait_until("it has gone", || primary.info("connected_slaves") == "0");
    let refusal = run(&primary, "SET k w").expect_err("there is no replica");
    assert_eq!(refusal.code(), Some("NOREPLICAS"), "{refusal}");
}

#[test]
fn a_server_that_stops_lets_its_replicas_hear_the_rest_first() {
    let (server, folder) = (primary(), tempfile::tempdir().expect("a folder"));
    let replica = follow(folder.path(), &server);
    let mut pipe = redis::pipe();
    let value = "v".repeat(2000);
    for key in 0..20_000 {
        pipe.cmd("SET").arg(format!("key:{key}")).arg(&value);
    }
    pipe.query::<Value>(&mut server.connect()).expect("it takes writes");
    let (status, log) = server.terminate(Duration::from_secs(30));
    assert!(status.success(), "{log}");
    assert_eq!(run(&replica, "DBSIZE").expect("a number"), Value::Int(20_000));
}

#[test]
fn how_long_a_primary_may_be_silent_can_be_changed_while_it_is() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    silent.set_nonblocking(true).expect("a socket");
    let mut links = Vec::new();
    let place = format!("127.0.0.1 {}", silent.local_addr().expect("bound").port());
    let replica = Served::start(&["--save", "", "--replicaof", &place]);
    wait_until("it connects", || silent.accept().map(|link| links.push(link)).is_ok());
    run(&replica, "CONFIG SET repl-timeout 1").expect("it is heard");
    wait_until("it tries again", || silent.accept().map(|link| links.push(link)).is_ok());
}
