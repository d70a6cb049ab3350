//! A tenant's quota of memory over real sockets: no single step exceeds it, whatever a client or a plugin
//! makes of one.

use std::thread;
use std::time::Duration;

use redis::{Connection, ConnectionLike, Value};
use reef_engine::tenancy::STEP_SLACK_BYTES;

use crate::served::Served;
use crate::tenants::{ACME, GLOBEX, enter, run, text, try_run, two_tenants};

const QUOTA_BYTES: usize = 1 << 20;
/// What may lie beyond the quota at any time: the slack of a step, and what each of four shards keeps to
/// itself.
const MOST_BYTES: usize = QUOTA_BYTES + STEP_SLACK_BYTES + 4 * 1024;

fn limited(args: &[&str]) -> (Served, Connection) {
    let (server, mut operator) = two_tenants(args);
    run(&mut operator, "TENANT SET acme LIMIT memory 1mb");
    (server, operator)
}

/// A figure of a tenant.
fn figure(operator: &mut Connection, name: &str) -> usize {
    let figures = run(operator, "TENANT INFO acme");
    let pairs: Vec<Value> = match figures {
        Value::Array(all) => all,
        Value::Map(pairs) => pairs.into_iter().flat_map(|(name, value)| [name, value]).collect(),
        other => panic!("{other:?}"),
    };
    let at = pairs.iter().position(|one| *one == Value::BulkString(name.into()));
    redis::from_redis_value(pairs[at.expect("the figure") + 1].clone()).expect("a number")
}

fn exceeds(result: &Result<Value, String>) -> bool {
    result.as_ref().is_err_and(|text| text.contains("quota 'memory' of this tenant is used up"))
}

#[test]
fn no_command_exceeds_the_quota() {
    let (server, mut operator) = limited(&["--shards", "4", "--io-threads", "2"]);
    let mut acme = enter(&server, ACME);
    run(&mut acme, &format!("SET filler {}", "x".repeat(600_000)));
    run(&mut acme, "SET text t");
    let huge = "y".repeat(3_000_000);
    let before = figure(&mut operator, "used-memory");
    for line in [
        format!("MSET a {huge} b {huge} c {huge}"),
        format!("APPEND text {huge}"),
        "SETRANGE text 500000000 x".to_owned(),
        "SETRANGE text 900000 x".to_owned(),
        "SETBIT text 4000000000 1".to_owned(),
        "COPY filler another".to_owned(),
        format!("RPUSH list {huge}"),
        format!("HSET hash f {huge}"),
        format!("SADD set {huge}"),
        format!("RENAME text {huge}"),
    ] {
        let result = try_run(&mut acme, &line);
        assert!(exceeds(&result), "{line:.60}: {result:?}");
        let used = figure(&mut operator, "used-memory");
        assert!(used <= before + 4096, "{before} before, {used} after {line:.60}");
    }
    assert_eq!(text(&mut acme, "GET text"), "t");
    assert_eq!(run(&mut acme, "DBSIZE"), Value::Int(2));
    assert_eq!(figure(&mut operator, "refused-over-quota"), 10);
    // A transaction runs, but for what is too much.
    run(&mut acme, "MULTI");
    for line in ["SET a 1", "COPY filler another", "INCR a", &format!("SET b {huge}"), "DEL filler"]
    {
        run(&mut acme, line);
    }
    // As it comes: a query would make one error of it.
    let exec = redis::cmd("EXEC").get_packed_command();
    let Ok(Value::Array(replies)) = acme.req_packed_command(&exec) else {
        panic!("a transaction has its replies, one by one");
    };
    let refused = |reply: &Value| matches!(reply, Value::ServerError(_));
    let refused: Vec<bool> = replies.iter().map(refused).collect();
    assert_eq!(refused, [false, true, false, true, false]);
    assert_eq!(text(&mut acme, "GET a"), "2");
    run(&mut acme, &format!("SET filler {}", "x".repeat(900_000)));
    // Nobody else has a quota.
    let mut globex = enter(&server, GLOBEX);
    run(&mut globex, &format!("MSET a {huge} b {huge} c {huge}"));
    run(&mut operator, &format!("MSET a {huge} b {huge} c {huge}"));
}

#[test]
fn no_batch_of_a_plugin_exceeds_the_quota() {
    let (server, mut operator) = limited(&["--shards", "4"]);
    let mut acme = enter(&server, ACME);
    run(&mut acme, "SET mine untouched");
    let limits = ["LIMIT", "cpu-ms", "2000", "memory", "64mb"];
    crate::hostile::load(
        &mut acme,
        reef_bundled::hostile::HOSTILE,
        &[&crate::hostile::GRANTS[..], &limits].concat(),
    )
    .expect("it loads");
    for line in [
        // Large, small but many, and small with large effects.
        "HOSTILE.BATCH 500 20000",
        "HOSTILE.BATCH 50000 100",
        "HOSTILE.COPIES 100000 20000",
    ] {
        let result = try_run(&mut acme, line);
        assert!(exceeds(&result), "{line}: {result:?}");
        assert_eq!(run(&mut acme, "DBSIZE"), Value::Int(1), "{line}");
        assert!(figure(&mut operator, "used-memory") < QUOTA_BYTES / 2, "{line}");
    }
    run(&mut acme, "HOSTILE.COPIES 100000 5");
    assert_eq!(run(&mut acme, "DBSIZE"), Value::Int(7));
    // When it is used up before, the error names it as well.
    run(&mut operator, "TENANT SET acme LIMIT memory 100kb");
    let result = try_run(&mut acme, "HOSTILE.COPIES 1 1");
    assert!(exceeds(&result), "{result:?}");
    assert_eq!(text(&mut acme, "GET mine"), "untouched");
}

/// Steps on several shards at the same time do not exceed it together.
#[test]
fn clients_on_several_threads_do_not_exceed_the_quota_together() {
    let (server, mut operator) = limited(&["--shards", "4", "--io-threads", "2"]);
    let value = "v".repeat(60_000);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (mut acme, value) = (enter(&server, ACME), value.clone());
            thread::spawn(move || {
                let mut refused = 0;
                for round in 0..300 {
                    let line = match round % 3 {
                        0 => format!("SET k:{writer}:{round} {value}"),
                        1 => format!("MSET a:{writer}:{round} {value} b:{round} {value}"),
                        _ => format!("COPY k:0:0 c:{writer}:{round}"),
                    };
                    refused += usize::from(try_run(&mut acme, &line).is_err());
                    if round % 50 == 49 {
                        run(&mut acme, "FLUSHALL");
                    }
                }
                refused
            })
        })
        .collect();
    let mut peak = 0;
    while !writers.iter().all(thread::JoinHandle::is_finished) {
        peak = peak.max(figure(&mut operator, "used-memory"));
        thread::sleep(Duration::from_millis(1));
    }
    let refused: usize = writers.into_iter().map(|writer| writer.join().expect("done")).sum();
    assert!(refused > 100, "{refused}");
    assert!((QUOTA_BYTES / 2..=MOST_BYTES).contains(&peak), "{peak}");
}

/// Where keys give way to others a large one still comes, and the old ones go.
#[test]
fn with_a_policy_of_eviction_new_data_takes_the_place_of_old() {
    let (server, mut operator) = limited(&["--maxmemory-policy", "allkeys-lru"]);
    let mut acme = enter(&server, ACME);
    let value = "v".repeat(200_000);
    for round in 0..50 {
        run(&mut acme, &format!("SET k:{round} {value}"));
    }
    let Value::Int(left) = run(&mut acme, "DBSIZE") else { panic!("a number") };
    assert!((3..=10).contains(&left), "{left}");
    assert!(figure(&mut operator, "used-memory") <= 2 * QUOTA_BYTES);
    let result = try_run(&mut acme, &format!("MSET a {0} b {0} c {0}", "v".repeat(1_000_000)));
    assert!(exceeds(&result), "{result:?}");
}
