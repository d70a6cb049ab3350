//! Triggers on a running server: in order, atomically, never of what was rolled back, and durably if
//! that is asked for.

use std::time::{Duration, Instant};

use redis::{Connection, Value};
use reef_engine::triggers::DEPTH_MAX;

use crate::served::Served;

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn run<T: redis::FromRedisValue>(connection: &mut Connection, line: &str) -> T {
    try_run(connection, line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn try_run<T: redis::FromRedisValue>(
    connection: &mut Connection,
    line: &str,
) -> redis::RedisResult<T> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection)
}

/// Loads the guest that writes down what happens.
fn load(connection: &mut Connection) {
    let mut command = redis::cmd("PLUGIN");
    command.arg("LOAD").arg("listener").arg(reef_bundled::hostile::LISTENER).arg("GRANT");
    command.arg(&["RPUSH", "INCR", "~mem:*", "~dur:*"]);
    command.query::<()>(connection).expect("it loads");
}

fn log(connection: &mut Connection, kind: &str) -> Vec<String> {
    run(connection, &format!("LRANGE {kind}:log 0 -1"))
}

fn figure(connection: &mut Connection, name: &str) -> i64 {
    let figures: Vec<Value> = run(connection, "PLUGIN STATS listener");
    let at = figures.iter().position(|one| *one == Value::BulkString(name.into()));
    redis::from_redis_value(figures[at.expect("the figure") + 1].clone()).expect("a number")
}

#[test]
fn events_are_told_in_order_and_applied_as_one_step() {
    for args in [&[][..], &["--io-threads", "2", "--shards", "8"]] {
        for kind in ["mem", "dur"] {
            let server = Served::start(args);
            let mut connection = server.connect();
            load(&mut connection);
            let mut expected = Vec::new();
            for number in 0..200 {
                let _: Value = run(&mut connection, &format!("SET {kind}:{number} x"));
                expected.push(format!("set {kind}:{number}"));
            }
            let _: Value = run(&mut connection, &format!("DEL {kind}:7 other"));
            expected.push(format!("del {kind}:7"));
            let _: Value = run(&mut connection, &format!("RPUSH {kind}:list a b"));
            expected.push(format!("rpush {kind}:list"));
            let _: Value = run(&mut connection, &format!("SET {kind}:short x PX 30"));
            expected.push(format!("set {kind}:short"));
            expected.push(format!("expire {kind}:short"));
            expected.push(format!("expired {kind}:short"));
            wait_until("all are told", || log(&mut connection, kind).len() >= expected.len());
            assert_eq!(log(&mut connection, kind), expected, "what it writes triggers nothing");
            let count: usize = run(&mut connection, &format!("GET {kind}:count"));
            assert_eq!(count, expected.len());
            wait_until("the stream is empty", || {
                run::<u64>(&mut connection, "XLEN trigger:listener") == 0
            });
            // A batch that fails changes nothing; what comes after it is told.
            let _: Value = run(&mut connection, &format!("SET {kind}:x:bad 1"));
            let _: Value = run(&mut connection, &format!("SET {kind}:after 1"));
            expected.push(format!("set {kind}:after"));
            wait_until("the next is told", || log(&mut connection, kind).len() >= expected.len());
            assert_eq!(log(&mut connection, kind), expected);
            assert_eq!(figure(&mut connection, "events-failed"), 1);
            let dead: u64 = run(&mut connection, "XLEN trigger:listener:dead");
            assert_eq!(dead, u64::from(kind == "dur"));
        }
    }
}

#[test]
fn what_is_rolled_back_is_no_event_and_a_transaction_tells_all() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    load(&mut connection);
    // The reaction to a bad key is a batch that is rolled back: it has written to `dur:log` by then.
    let mut multi = redis::pipe();
    multi.atomic().cmd("SET").arg("dur:a").arg(1).cmd("INCR").arg("dur:a");
    let _: Value = multi.query(&mut connection).expect("both");
    let _: Value = try_run(&mut connection, "RPUSH dur:a x").unwrap_or(Value::Nil);
    let _: Value = run(&mut connection, "SET dur:b 1");
    let expected = ["set dur:a", "incrby dur:a", "set dur:b"];
    wait_until("all are told", || log(&mut connection, "dur").len() >= 3);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(log(&mut connection, "dur"), expected, "a refused command is no event");
}

#[test]
fn durable_events_outlive_a_kill_and_take_effect_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--appendonly", "yes", "--appendfsync", "always"];
    let server = Served::start_in(folder.path(), &args);
    let mut connection = server.connect();
    load(&mut connection);
    // Slow ones first, so that many wait when the server is killed.
    let mut pipe = redis::pipe();
    for number in 0..50 {
        pipe.cmd("SET").arg(format!("dur:{number}:slow")).arg(1);
    }
    let _: Value = pipe.query(&mut connection).expect("they are written");
    let waiting: u64 = run(&mut connection, "XLEN trigger:listener");
    server.kill();
    assert!(waiting > 0, "some were not told yet");
    let logged = folder.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let logged = String::from_utf8_lossy(&std::fs::read(logged).expect("a log")).into_owned();
    for number in 0..50 {
        let (key, length) = (format!("dur:{number}:slow"), format!("dur:{number}:slow").len());
        let unit = format!(
            "MULTI\r\n*3\r\n$3\r\nSET\r\n${length}\r\n{key}\r\n$1\r\n1\r\n*9\r\n$4\r\nXADD"
        );
        assert!(logged.contains(&unit), "a write and its event are one: {key}");
    }
    let server = Served::start_in(folder.path(), &args);
    let mut connection = server.connect();
    let expected: Vec<String> = (0..50).map(|number| format!("set dur:{number}:slow")).collect();
    wait_until("all are told", || run::<u64>(&mut connection, "XLEN trigger:listener") == 0);
    assert_eq!(log(&mut connection, "dur"), expected, "each once, in order");
    let count: u64 = run(&mut connection, "GET dur:count");
    assert_eq!(count, 50);
}

#[test]
fn a_replica_triggers_nothing_until_it_is_promoted() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    load(&mut connection);
    let replica = Served::start(&["--replicaof", &format!("127.0.0.1 {}", server.port())]);
    let _: Value = run(&mut connection, "SET dur:1 x");
    let _: Value = run(&mut connection, "SET mem:1 x");
    let mut other = replica.connect();
    for kind in ["dur", "mem"] {
        wait_until("the effects arrive", || {
            try_run::<u64>(&mut other, &format!("LLEN {kind}:log")).ok() == Some(1)
        });
    }
    wait_until("the plugin is there", || {
        try_run::<Value>(&mut other, "PLUGIN INFO listener").is_ok()
    });
    assert_eq!(figure(&mut other, "events"), 0);
    server.kill();
    let _: () = run(&mut other, "REPLICAOF NO ONE");
    for kind in ["dur", "mem"] {
        let _: Value = run(&mut other, &format!("SET {kind}:2 x"));
        wait_until("it is told", || log(&mut other, kind).len() == 2);
    }
    assert_eq!(figure(&mut other, "events"), 2);
}

#[test]
fn writers_are_refused_while_a_trigger_is_too_far_behind() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    load(&mut connection);
    let mut pipe = redis::pipe();
    for number in 0..30_000 {
        pipe.cmd("SET").arg(format!("mem:{number}:slow")).arg(1).ignore();
    }
    let refused = pipe.query::<()>(&mut connection).expect_err("too many wait");
    assert!(refused.to_string().contains("too far behind"), "{refused}");
    // Reads go on, and so does everything when the plugin goes.
    let _: Value = run(&mut connection, "GET mem:1:slow");
    let written: usize = run(&mut connection, "DBSIZE");
    assert!(written >= 10_000, "{written}");
    let _: () = run(&mut connection, "PLUGIN UNLOAD listener");
    let _: () = run(&mut connection, "SET mem:1 x");
}

/// Two plugins that hear of each other's writes would go on for ever.
#[test]
fn a_chain_of_triggers_ends_at_its_limit_and_the_server_lives() {
    for args in [&[][..], &["--io-threads", "2", "--shards", "8"]] {
        for kind in ["mem", "dur"] {
            let server = Served::start(args);
            let mut connection = server.connect();
            load(&mut connection);
            let mut command = redis::cmd("PLUGIN");
            command.arg("LOAD").arg("echo").arg(reef_bundled::hostile::ECHO);
            command.arg(&["GRANT", "INCR", "~mem:*", "~dur:*"]);
            command.query::<()>(&mut connection).expect("it loads");
            let links = DEPTH_MAX as usize / 2;
            for chains in 1..=3 {
                let _: Value = run(&mut connection, &format!("SET {kind}:1 x"));
                // Each takes its turn four times.
                let echoes = format!("GET {kind}:echo");
                wait_until("the chain has come to its end", || {
                    run::<Option<usize>>(&mut connection, &echoes) == Some(chains * links)
                });
                std::thread::sleep(Duration::from_millis(200));
                assert_eq!(run::<usize>(&mut connection, &echoes), chains * links);
                let count: usize = run(&mut connection, &format!("GET {kind}:count"));
                assert_eq!(count, chains * links);
            }
            let mut expected = vec![format!("set {kind}:1")];
            expected.extend((1..links).map(|_| format!("incrby {kind}:echo")));
            let told = std::iter::repeat_n(expected, 3).flatten().collect::<Vec<_>>();
            assert_eq!(log(&mut connection, kind), told);
            // Nothing is left over, nobody was paused, and others are told as before.
            for stream in ["trigger:listener", "trigger:echo", "trigger:echo:dead"] {
                assert_eq!(run::<u64>(&mut connection, &format!("XLEN {stream}")), 0, "{stream}");
            }
            assert_eq!(figure(&mut connection, "events-failed"), 0);
            let _: Value = run(&mut connection, "LISTENER.PING");
            let _: Value = run(&mut connection, "ECHO.PING");
        }
    }
}
