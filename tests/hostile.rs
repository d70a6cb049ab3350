//! Plugins that misbehave in a running server: each attack ends with its error, others are served
//! meanwhile, and data is as if nothing had happened.

use redis::{Connection, Value};

use crate::served::Served;

/// What the hostile guest asks to be granted.
pub(crate) const GRANTS: [&str; 9] =
    ["GRANT", "GET", "SET", "SADD", "INCR", "LLEN", "RPUSH", "COPY", "~*"];

/// Loads a guest; its error text, if it is refused.
pub(crate) fn load(
    connection: &mut Connection,
    component: &[u8],
    options: &[&str],
) -> Result<(), String> {
    let mut load = redis::cmd("PLUGIN");
    load.arg("LOAD").arg("hostile").arg(component).arg(options);
    load.query(connection).map_err(|error| error.to_string())
}

/// A reply, or the text of the error: its code first.
pub(crate) fn ask(connection: &mut Connection, line: &str) -> Result<Value, String> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    command.arg(words.collect::<Vec<_>>()).query(connection).map_err(|error| {
        let (code, detail) = (error.code().unwrap_or("ERR"), error.detail().unwrap_or_default());
        format!("{code} {detail}")
    })
}

fn text(connection: &mut Connection, line: &str) -> String {
    redis::from_redis_value(ask(connection, line).expect(line)).expect("text")
}

/// Every attack, and how its error begins, in one way or the other on a slow machine; nothing when it
/// is no error, or one of the guest's own.
const ATTACKS: &[(&str, &str)] = &[
    ("HOSTILE.LOOP", "TIMEOUT plugin 'hostile' used its 50 ms of CPU"),
    ("HOSTILE.BURN 60", "TIMEOUT "),
    ("HOSTILE.BURN 20", ""),
    ("HOSTILE.NTH 1", "TRAP "),
    ("HOSTILE.MARCH march 8 0", "QUOTA |TIMEOUT "),
    ("HOSTILE.BOMB", "TIMEOUT "),
    ("HOSTILE.HOARD 300000000", "OOM the host refused"),
    ("HOSTILE.TRAP", "TRAP "),
    ("HOSTILE.PANIC", "TRAP "),
    ("HOSTILE.RECURSE", "TRAP plugin 'hostile' failed: call stack exhausted"),
    ("HOSTILE.REPLY 20000000", "QUOTA plugin 'hostile' moved its 16777216 bytes|TIMEOUT "),
    ("HOSTILE.NODES 1200000", "QUOTA |TIMEOUT "),
    ("HOSTILE.NEST 33", "INVALID "),
    ("HOSTILE.CALLS", "QUOTA |TIMEOUT "),
    ("HOSTILE.LOG 10000", "QUOTA plugin 'hostile' made its 1000 host calls|TIMEOUT "),
    ("HOSTILE.COUNTERS", "QUOTA plugin 'hostile' made its 1000 host calls|TIMEOUT "),
    ("HOSTILE.FAIL failed", "WRONGTYPE "),
    ("HOSTILE.ABANDON abandoned", "TRAP "),
    ("HOSTILE.BATCH 1000 20000", "QUOTA "),
    ("HOSTILE.BATCH 200000 1", ""),
    ("HOSTILE.STEAL FLUSHALL", "NOPERM |ERR command '"),
    ("HOSTILE.STEAL CONFIG SET maxmemory 1", "NOPERM |ERR command '"),
    ("HOSTILE.STEAL SHUTDOWN", "NOPERM |ERR command '"),
    ("HOSTILE.ERROR", "ERR first line"),
    ("HOSTILE.FORGE counts-short", ""),
    ("HOSTILE.FORGE counts-long", ""),
    ("HOSTILE.FORGE counts-huge", ""),
    ("HOSTILE.FORGE counts-zero", ""),
    ("HOSTILE.FORGE lengths-short", ""),
    ("HOSTILE.FORGE lengths-long", ""),
    ("HOSTILE.FORGE lengths-huge", ""),
    ("HOSTILE.FORGE guards-without-version", ""),
    ("HOSTILE.FORGE guards-without-key", ""),
    ("HOSTILE.FORGE guards-lengths", ""),
    ("HOSTILE.FORGE reply-empty", "INVALID "),
    ("HOSTILE.FORGE reply-huge-array", "INVALID "),
    ("HOSTILE.FORGE reply-huge-pairs", "INVALID "),
    ("HOSTILE.FORGE reply-lengths-overflow", "INVALID "),
    ("HOSTILE.FORGE reply-status-lines", "INVALID "),
    ("HOSTILE.FORGE reply-error-lines", "INVALID "),
];

#[test]
fn attacks_end_with_their_errors_and_harm_nobody() {
    let server = Served::start(&["--shards", "8", "--io-threads", "2", "--save", ""]);
    let mut attacker = server.connect();
    let mut other = server.connect();
    ask(&mut other, "SET mine untouched").expect("OK");
    let limits = ["LIMIT", "host-calls", "1000", "memory", "256mb"];
    load(&mut attacker, reef_bundled::hostile::HOSTILE, &[&GRANTS[..], &limits].concat())
        .expect("it loads");
    let before: u64 = server.info("used_memory_rss").parse().expect("a number");
    for (line, expected) in ATTACKS {
        let reply = ask(&mut attacker, line);
        assert_eq!(text(&mut other, "GET mine"), "untouched", "after {line}");
        match reply {
            Ok(_) => assert_eq!(*expected, "", "{line} succeeded"),
            Err(error) => {
                let is_meant = if expected.is_empty() {
                    // An error of the guest's own, which got one from the host.
                    !error.starts_with("TRAP ") && !error.starts_with("PAUSED ")
                } else {
                    expected.split('|').any(|one| error.starts_with(one))
                };
                assert!(is_meant, "{line}: {error}");
            }
        }
        ask(&mut attacker, "HOSTILE.OK").expect("a fresh instance serves the next call");
    }
    for key in ["forge", "failed", "failed:text", "failed:set"] {
        assert_eq!(ask(&mut other, &format!("EXISTS {key}")), Ok(Value::Int(0)), "{key}");
    }
    assert_eq!(text(&mut other, "GET abandoned"), "whole", "what was applied stays");
    assert_eq!(ask(&mut other, "SISMEMBER set:abandoned whole"), Ok(Value::Int(1)));
    ask(&mut other, "FLUSHALL").expect("OK");
    let after: u64 = server.info("used_memory_rss").parse().expect("a number");
    assert!(after < before + (256 << 20), "{before} before, {after} after");
    let log: Vec<String> =
        redis::from_redis_value(ask(&mut other, "PLUGIN LOG hostile 100000").expect("a log"))
            .expect("lines");
    assert!(log.len() <= 1_000, "{}", log.len());
    assert!(log.iter().any(|line| line.contains(" error TRAP ")), "the flood drove nothing out");
}

#[test]
fn a_plugin_that_keeps_failing_is_paused_and_says_why() {
    let server = Served::start(&["--save", ""]);
    let mut connection = server.connect();
    load(&mut connection, reef_bundled::hostile::HOSTILE, &GRANTS).expect("it loads");
    for _ in 0..5 {
        ask(&mut connection, "HOSTILE.TRAP").unwrap_err();
    }
    let error = ask(&mut connection, "HOSTILE.OK").unwrap_err();
    assert!(error.starts_with("PAUSED plugin 'hostile' failed 5 times in a row"), "{error}");
    let info = format!("{:?}", ask(&mut connection, "PLUGIN INFO hostile"));
    for part in ["paused for ", "TRAP plugin 'hostile' failed: wasm `unreachable` instruction"] {
        assert!(info.contains(part), "{part}: {info}");
    }
    let section = server.info("plugin_hostile");
    assert!(section.contains("state=paused_for_") && section.contains("traps=5"), "{section}");
    let mut tries = 0;
    while ask(&mut connection, "HOSTILE.OK").is_err() {
        std::thread::sleep(std::time::Duration::from_millis(10));
        tries += 1;
        assert!(tries < 1_000, "the pause never ended");
    }
}

#[test]
fn guests_that_must_not_run_are_refused_over_the_wire() {
    use reef_bundled::hostile;
    let server = Served::start(&["--save", ""]);
    let mut connection = server.connect();
    for (component, expected) in [
        (hostile::DESCRIBE_LOOPS, "TIMEOUT"),
        (hostile::DESCRIBE_ERRORS, "describe failed"),
        (hostile::DESCRIBE_TRAPS, "TRAP"),
        (hostile::DESCRIBE_LIES, "LIE.ONE"),
        (hostile::FOREIGN_IMPORT, "evil:host/files"),
        (&hostile::NOOP[..hostile::NOOP.len() / 2], "not a component"),
    ] {
        let error = load(&mut connection, component, &[]).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(text(&mut connection, "PING"), "PONG");
    }
}

/// Whatever commands it is granted, a tenant's plugin has that tenant's keys and no others.
#[test]
fn a_tenants_plugin_reaches_nobody_elses_keys() {
    use crate::tenants::{ACME, GLOBEX, enter, run as ask_for, two_tenants};
    let (server, mut operator) = two_tenants(&["--shards", "4"]);
    let (mut acme, mut globex) = (enter(&server, ACME), enter(&server, GLOBEX));
    for connection in [&mut operator, &mut globex] {
        ask_for(connection, "SET secret untouched");
        ask_for(connection, "RPUSH list untouched");
    }
    load(&mut acme, reef_bundled::hostile::HOSTILE, &["GRANT", "*", "~*"]).expect("it loads");
    ask_for(&mut acme, "SET mine 1");
    for line in [
        "COPY mine secret DB 1048592",
        "COPY mine secret DB 16",
        "COPY mine secret DB -1",
        "MOVE mine 1048576",
        "MOVE mine 16",
        "SELECT 1048592",
        "SWAPDB 0 1048592",
        "FLUSHALL",
        "TENANT LIST",
        "GETDEL secret",
        "RENAME secret mine",
        "LMOVE list list LEFT RIGHT",
        "SORT list STORE mine",
        "DEL secret list",
    ] {
        // An error, or nothing found.
        let reply = ask(&mut acme, &format!("HOSTILE.STEAL {line}"));
        let is_harmless = reply.as_ref().is_err_and(|text| !text.starts_with("TRAP "))
            || ["GETDEL", "LMOVE", "SORT", "DEL"].iter().any(|name| line.starts_with(name));
        assert!(is_harmless, "{line}: {reply:?}");
    }
    for connection in [&mut operator, &mut globex] {
        assert_eq!(text(connection, "GET secret"), "untouched");
        assert_eq!(ask(connection, "LLEN list"), Ok(Value::Int(1)));
        assert_eq!(ask(connection, "DBSIZE"), Ok(Value::Int(2)));
    }
    assert_eq!(
        ask(&mut acme, "EXISTS mine"),
        Ok(Value::Int(0)),
        "SORT stored what it found: nothing"
    );
}
