//! Tenants, over real sockets: nothing of one is another's, quotas hold for the one whose they are, and
//! all of it outlives the process and reaches replicas.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use reef_engine::command::Command;
use reef_fuzz::choice::{Choice, Rng, Source};
use reef_fuzz::walk;
use reef_fuzz::words::Words;
use reef_transcript::RedisServer;

use crate::served::Served;

/// What stands in everything that a tenant must not see.
const SECRET: &str = "another-tenants-secret";

/// A connection of one party: `user` and password, or the operator's.
pub(crate) fn enter(server: &Served, credentials: Option<(&str, &str)>) -> Connection {
    let mut connection = server.connect();
    if let Some((user, password)) = credentials {
        let command = redis::cmd("AUTH").arg(user).arg(password).clone();
        command.query::<()>(&mut connection).expect("the tenant lets it in");
    }
    connection
}

pub(crate) fn try_run(connection: &mut Connection, line: &str) -> Result<Value, String> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection).map_err(|error| error.to_string())
}

pub(crate) fn run(connection: &mut Connection, line: &str) -> Value {
    try_run(connection, line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

pub(crate) fn text(connection: &mut Connection, line: &str) -> String {
    redis::from_redis_value(run(connection, line)).expect("text")
}

fn keys(connection: &mut Connection) -> BTreeSet<String> {
    redis::from_redis_value(run(connection, "KEYS *")).expect("names")
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) const ACME: Option<(&str, &str)> = Some(("acme", "pa"));
pub(crate) const GLOBEX: Option<(&str, &str)> = Some(("globex", "pg"));

/// A server with two tenants, and a connection of its operator.
pub(crate) fn two_tenants(args: &[&str]) -> (Served, Connection) {
    let server = Served::start(&[&["--save", "", "--enable-debug-command", "yes"], args].concat());
    let mut operator = server.connect();
    run(&mut operator, "TENANT CREATE acme PASSWORD pa");
    run(&mut operator, "TENANT CREATE globex PASSWORD pg");
    (server, operator)
}

#[test]
fn a_name_means_something_else_to_each() {
    let (server, mut operator) = two_tenants(&["--io-threads", "2"]);
    let (mut acme, mut globex) = (enter(&server, ACME), enter(&server, GLOBEX));
    for (connection, value) in [(&mut operator, "o"), (&mut acme, "a"), (&mut globex, "g")] {
        run(connection, &format!("SET key {value}"));
        run(connection, &format!("SET only-{value} 1"));
    }
    assert_eq!(text(&mut acme, "GET key"), "a");
    assert_eq!(keys(&mut globex), BTreeSet::from(["key".into(), "only-g".into()]));
    // What is watched is one's own.
    run(&mut acme, "WATCH key");
    run(&mut globex, "SET key changed");
    run(&mut operator, "SET key changed");
    run(&mut acme, "MULTI");
    run(&mut acme, "GET key");
    assert_eq!(run(&mut acme, "EXEC"), Value::Array(vec![Value::BulkString(b"a".to_vec())]));
    run(&mut globex, "FLUSHALL");
    assert_eq!(keys(&mut globex).len(), 0);
    assert_eq!((keys(&mut acme).len(), keys(&mut operator).len()), (2, 2));
    // Who is in a tenant stays there, and may say its name again.
    assert!(try_run(&mut acme, "AUTH globex pg").unwrap_err().contains("WRONGPASS"));
    run(&mut acme, "AUTH acme pa");
    run(&mut acme, "RESET");
    run(&mut acme, "AUTH pa");
    assert_eq!(text(&mut acme, "GET key"), "a");
    // Databases are one's own, too.
    run(&mut acme, "SELECT 15");
    assert!(try_run(&mut acme, "SELECT 16").unwrap_err().contains("out of range"));
    assert!(try_run(&mut operator, "SELECT 1048576").unwrap_err().contains("out of range"));
}

#[test]
fn messages_events_and_monitors_stay_within_a_tenant() {
    let (server, mut operator) = two_tenants(&["--notify-keyspace-events", "KEA"]);
    let (mut acme, mut globex) = (enter(&server, ACME), enter(&server, GLOBEX));
    let mut ear = raw(&server, ACME);
    ear.write_all(b"PSUBSCRIBE *\r\n").expect("it takes commands");
    until_heard(&mut ear, "psubscribe");
    let mut window = raw(&server, ACME);
    window.write_all(b"MONITOR\r\n").expect("it takes commands");
    until_heard(&mut window, "+OK");
    assert_eq!(run(&mut globex, &format!("PUBLISH news {SECRET}")), Value::Int(0));
    run(&mut globex, &format!("SET {SECRET} {SECRET}"));
    run(&mut operator, &format!("SET {SECRET} {SECRET}"));
    assert_eq!(run(&mut operator, "PUBLISH news x"), Value::Int(0));
    assert_eq!(run(&mut globex, "PUBSUB NUMPAT"), Value::Int(0));
    // The patterns match the message and both events of the key.
    assert_eq!(run(&mut acme, "PUBLISH news own"), Value::Int(1));
    run(&mut acme, "SET own-key 1");
    for (stream, last) in [(&mut ear, "__keyevent@0__:set"), (&mut window, "own-key")] {
        let heard = until_heard(stream, last);
        assert!(heard.contains("own") && !heard.contains(SECRET), "{heard}");
    }
    // Nobody can be pointed at, closed or released across the border.
    let id = |connection: &mut Connection| text(connection, "CLIENT ID");
    let other = id(&mut globex);
    let redirected = try_run(&mut acme, &format!("CLIENT TRACKING ON REDIRECT {other}"));
    assert!(redirected.unwrap_err().contains("does not exist"));
    assert_eq!(run(&mut acme, &format!("CLIENT KILL ID {other}")), Value::Int(0));
    assert_eq!(run(&mut acme, &format!("CLIENT UNBLOCK {other}")), Value::Int(0));
    let listed = text(&mut acme, "CLIENT LIST");
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(text(&mut operator, "CLIENT LIST").contains("user=globex/default"));
    // A pause of one's own stops nobody else.
    run(&mut acme, "CLIENT PAUSE 60000");
    run(&mut globex, "SET goes on");
    run(&mut operator, "SET goes on");
}

fn raw(server: &Served, credentials: Option<(&str, &str)>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    if let Some((user, password)) = credentials {
        write!(stream, "AUTH {user} {password}\r\n").expect("it takes commands");
        until_heard(&mut stream, "+OK");
    }
    stream
}

fn until_heard(stream: &mut TcpStream, what: &str) -> String {
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    while !heard.contains(what) {
        let count = stream.read(&mut buffer).unwrap_or_else(|_| panic!("{what}: {heard}"));
        assert!(count > 0, "closed before '{what}': {heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    heard
}

/// Words for commands, as a client would make them who looks for what others have.
fn attempt(command: &Command, rng: &mut Rng) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = (0..256).map(|_| rng.below(256) as u8).collect();
    let mut words = Words::new(Source::new(&bytes));
    walk::line(command, &mut words)
}

/// What is sent back within a moment, until the other side closes.
fn reply_to(stream: &mut TcpStream, words: &[Vec<u8>]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"PING the-end\r\n");
    let (mut heard, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    if stream.write_all(&request).is_err() {
        return heard;
    }
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        heard.extend_from_slice(&buffer[..count]);
        if heard.windows(7).any(|window| window == b"the-end") {
            break;
        }
    }
    heard
}

#[test]
fn no_command_of_the_table_reaches_what_is_not_the_tenants() {
    let (server, mut operator) = two_tenants(&["--notify-keyspace-events", "KEA"]);
    let mut globex = enter(&server, GLOBEX);
    for connection in [&mut operator, &mut globex] {
        run(connection, &format!("CLIENT SETNAME {SECRET}"));
        run(connection, &format!("ACL SETUSER {SECRET} on >{SECRET}"));
        for kind in ["str", "list", "set", "hash", "zset", "stream", "bits", "hll", "geo"] {
            run(connection, &format!("SET {kind}1 {SECRET}"));
            run(connection, &format!("LPUSH {kind}2 {SECRET}"));
            run(connection, &format!("HSET {kind}0 {SECRET} {SECRET}"));
        }
        run(connection, &format!("SET {SECRET} 1"));
    }
    let digest = text(&mut operator, "DEBUG DIGEST");
    let kept: Vec<_> = keys(&mut globex).into_iter().collect();
    let dumps = |globex: &mut Connection| -> Vec<Value> {
        kept.iter().map(|key| run(globex, &format!("DUMP {key}"))).collect()
    };
    let before = dumps(&mut globex);
    let mut rng = Rng::new(7);
    let commands = Command::natives().map(|(_, command)| command);
    let all = commands.flat_map(|command| {
        std::iter::once(command).chain(command.subcommands()).collect::<Vec<_>>()
    });
    for command in all {
        for _ in 0..4 {
            let words = attempt(command, &mut rng);
            let mut stream = raw(&server, ACME);
            // A command that waits answers later or never.
            stream.set_read_timeout(Some(Duration::from_millis(150))).expect("a timeout");
            let heard = reply_to(&mut stream, &words);
            let leaks = heard.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            let shown: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
            assert!(!leaks, "{shown:?} told of it: {}", String::from_utf8_lossy(&heard));
        }
    }
    assert_eq!(text(&mut operator, "DEBUG DIGEST"), digest, "the operator's data");
    assert_eq!(dumps(&mut globex), before, "another tenant's data");
    // Who is in that tenant is told, so the look above would have found it.
    let heard = reply_to(&mut raw(&server, GLOBEX), &[b"CLIENT".to_vec(), b"LIST".to_vec()]);
    assert!(String::from_utf8_lossy(&heard).contains(SECRET));
}

#[test]
fn a_quota_that_is_used_up_is_named_and_is_nobody_elses() {
    let (server, mut operator) = two_tenants(&[]);
    let mut globex = enter(&server, GLOBEX);
    run(&mut operator, "TENANT SET acme LIMIT memory 64kb connections 2 ops-per-s 50");
    let mut acme = enter(&server, ACME);
    let value = "v".repeat(2000);
    let results: Vec<_> =
        (0..45).map(|key| try_run(&mut acme, &format!("SET key:{key} {value}"))).collect();
    let refused = results.iter().filter_map(|result| result.as_ref().err()).collect::<Vec<_>>();
    assert!((5..25).contains(&refused.len()), "{refused:?}");
    assert!(refused.iter().all(|text| text.contains("quota 'memory'") && text.contains("65536")));
    // What is there can be read, and what is deleted makes room.
    std::thread::sleep(Duration::from_millis(1100));
    run(&mut acme, "GET key:0");
    run(&mut acme, "FLUSHALL");
    run(&mut acme, "SET key:0 v");
    // So many commands a second, and then no more.
    let results: Vec<_> = (0..200).map(|_| try_run(&mut acme, "GET key:0")).collect();
    let refused = results.iter().filter_map(|result| result.as_ref().err()).collect::<Vec<_>>();
    assert!((50..200).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|text| text.contains("quota 'ops-per-s'")), "{refused:?}");
    for _ in 0..200 {
        run(&mut globex, "PING");
    }
    // So many connections.
    let _second = enter(&server, ACME);
    let mut third = server.connect();
    let refused = try_run(&mut third, "AUTH acme pa").unwrap_err();
    assert!(refused.contains("QUOTA") && refused.contains("'connections'"), "{refused}");
    drop(acme);
    wait_until("a connection is free again", || try_run(&mut third, "AUTH acme pa").is_ok());
    enter(&server, GLOBEX);
    // Limits are taken back.
    run(&mut operator, "TENANT SET acme LIMIT ops-per-s none");
    for _ in 0..200 {
        run(&mut third, "PING");
    }
}

#[test]
fn guest_cpu_and_plugins_are_limited_for_one_tenant() {
    let (server, mut operator) = two_tenants(&[]);
    run(&mut operator, "TENANT SET acme LIMIT plugins 1 code 10mb");
    let (mut acme, mut globex) = (enter(&server, ACME), enter(&server, GLOBEX));
    let wanted = "DEL EXISTS GET INCRBY MGET MSET PEXPIREAT SADD SCAN SCARD SET SISMEMBER SMEMBERS \
                  SMISMEMBER SREM SSCAN ZADD ZCARD ZCOUNT ZRANGEBYSCORE ZREM ZREVRANGEBYSCORE \
                  ZSCORE ~tx:* ~lookup:* ~relayer:* ~relayers ~request:* ~lock:*";
    let load = format!("PLUGIN LOAD tx-repo bundled GRANT {wanted}");
    let load = load.split_whitespace().collect::<Vec<_>>().join(" ");
    for connection in [&mut acme, &mut globex] {
        let missing = try_run(connection, "TX.CREATE r 1 0xabc 5").unwrap_err();
        assert!(missing.contains("unknown command"), "plugins are a tenant's own: {missing}");
        run(connection, &load);
        run(connection, "TX.CREATE r 1 0xabc 5");
    }
    let second = load.replace("tx-repo bundled", "another /etc/passwd");
    assert!(try_run(&mut acme, &second).unwrap_err().contains("come as bytes"));
    run(&mut operator, "TENANT SET acme LIMIT cpu-ms-per-s 1");
    let results: Vec<_> =
        (2..400).map(|nonce| try_run(&mut acme, &format!("TX.CREATE r {nonce} 0xabc 5"))).collect();
    let refused = results.iter().filter_map(|result| result.as_ref().err()).collect::<Vec<_>>();
    assert!(refused.len() > 100, "{}", refused.len());
    assert!(refused.iter().all(|text| text.contains("quota 'cpu-ms-per-s'")), "{refused:?}");
    for nonce in 2..400 {
        run(&mut globex, &format!("TX.CREATE r {nonce} 0xabc 5"));
    }
    wait_until("the account fills", || try_run(&mut acme, "TX.STATS").is_ok());
    run(&mut operator, "TENANT SET globex LIMIT code 1kb");
    let again =
        try_run(&mut globex, &format!("{load} REPLACE").replace("REPLACE", "LIMIT cpu-ms 9"));
    assert!(again.is_err());
    run(&mut globex, "PLUGIN UNLOAD tx-repo");
    assert!(try_run(&mut globex, &load).unwrap_err().contains("quota 'code'"));
}

#[test]
fn what_is_not_understood_changes_nothing() {
    let (server, mut operator) = two_tenants(&[]);
    let before = format!("{:?}", run(&mut operator, "TENANT INFO acme"));
    for (line, expected) in [
        ("TENANT CREATE a/b", "a tenant's name has 1 to 64"),
        ("TENANT CREATE default", "there is a user 'default'"),
        ("TENANT CREATE acme", "there is a tenant 'acme' already"),
        ("TENANT SET acme PASSWORD", "syntax error"),
        ("TENANT SET acme PASSWORD ", "must not be empty"),
        ("TENANT SET acme LIMIT", "syntax error"),
        ("TENANT SET acme LIMIT memory", "syntax error"),
        ("TENANT SET acme LIMIT memory 1mb fuel 1", "there is no quota 'fuel': there are memory"),
        ("TENANT SET acme LIMIT memory 1xb", "'memory' must be a number above 0"),
        ("TENANT SET acme LIMIT memory -1", "'memory' must be a number above 0"),
        ("TENANT SET acme LIMIT memory 99999999999gb", "'memory' must be a number above 0"),
        ("TENANT SET acme LIMIT connections 1kb", "'connections' must be a number above 0"),
        ("TENANT SET acme LIMIT plugins 0", "'plugins' must be a number above 0"),
        ("TENANT SET nobody LIMIT plugins 1", "there is no tenant 'nobody'"),
        ("TENANT INFO nobody", "there is no tenant 'nobody'"),
        ("TENANT DROP nobody", "there is no tenant 'nobody'"),
    ] {
        let told = try_run(&mut operator, line).expect_err(line);
        assert!(told.contains(expected), "{line}: {told}");
    }
    assert_eq!(format!("{:?}", run(&mut operator, "TENANT INFO acme")), before);
    // A tenant without a password lets nobody in, until there is one.
    run(&mut operator, "TENANT CREATE closed");
    let mut newcomer = server.connect();
    assert!(try_run(&mut newcomer, "AUTH closed ").unwrap_err().contains("WRONGPASS"));
    run(&mut operator, "TENANT SET closed PASSWORD p");
    run(&mut newcomer, "AUTH closed p");
    // Nobody takes what it was given elsewhere into a tenant.
    let mut tied = server.connect();
    run(&mut tied, "WATCH key");
    assert!(try_run(&mut tied, "AUTH acme pa").unwrap_err().contains("cannot enter"));
    run(&mut tied, "UNWATCH");
    run(&mut tied, "AUTH acme pa");
}

#[test]
fn a_tenant_that_is_dropped_leaves_nothing() {
    let (server, mut operator) = two_tenants(&[]);
    let mut acme = enter(&server, ACME);
    run(&mut acme, "SET key value");
    let mut waiting = raw(&server, ACME);
    waiting.write_all(b"BLPOP list 0\r\n").expect("it takes commands");
    run(&mut operator, "TENANT DROP acme");
    let mut rest = Vec::new();
    waiting.read_to_end(&mut rest).expect("the connection is closed");
    assert!(try_run(&mut acme, "GET key").is_err());
    let mut newcomer = server.connect();
    assert!(try_run(&mut newcomer, "AUTH acme pa").unwrap_err().contains("WRONGPASS"));
    assert!(try_run(&mut operator, "TENANT DROP acme").unwrap_err().contains("no tenant 'acme'"));
    run(&mut operator, "TENANT CREATE acme PASSWORD other");
    let mut acme = enter(&server, Some(("acme", "other")));
    assert_eq!(keys(&mut acme).len(), 0);
}

/// What must be the same before and after.
fn state(server: &Served) -> Vec<String> {
    let mut acme = enter(server, ACME);
    let mut parts = vec![format!("{:?}", keys(&mut acme))];
    run(&mut acme, "SELECT 3");
    parts.push(format!("{:?}", keys(&mut acme)));
    parts.push(format!("{:?}", run(&mut acme, "ACL LIST")));
    let mut bob = enter(server, Some(("acme/bob", "pb")));
    parts.push(text(&mut bob, "GET b:1"));
    parts.push(format!("{:?}", keys(&mut enter(server, GLOBEX))));
    parts.push(format!("{:?}", run(&mut server.connect(), "TENANT LIST")));
    let info = format!("{:?}", run(&mut server.connect(), "TENANT INFO acme"));
    parts.push(info.split("limit-memory").nth(1).unwrap_or_default().to_owned());
    parts
}

fn fill(server: &Served) {
    let mut acme = enter(server, ACME);
    run(&mut acme, "SET key value");
    run(&mut acme, "ACL SETUSER bob on >pb ~b:* +@all");
    run(&mut enter(server, Some(("acme/bob", "pb"))), "SET b:1 bobs");
    run(&mut acme, "SELECT 3");
    run(&mut acme, "MULTI");
    run(&mut acme, "SET in3 a");
    run(&mut acme, "SELECT 4");
    run(&mut acme, "SET in4 b");
    run(&mut acme, "EXEC");
    run(&mut acme, "SWAPDB 3 4");
    run(&mut enter(server, GLOBEX), "SET other value");
    let mut operator = server.connect();
    run(&mut operator, "TENANT SET acme LIMIT memory 10mb ops-per-s 100000");
    run(&mut operator, "TENANT CREATE short-lived PASSWORD p");
    run(&mut enter(server, Some(("short-lived", "p"))), "SET gone 1");
    run(&mut operator, "TENANT DROP short-lived");
}

#[test]
fn tenants_outlive_the_process_in_the_log_and_in_a_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let logged = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    let server = Served::start_in(folder.path(), &logged);
    let mut operator = server.connect();
    run(&mut operator, "TENANT CREATE acme PASSWORD pa");
    run(&mut operator, "TENANT CREATE globex PASSWORD pg");
    fill(&server);
    let before = state(&server);
    server.kill();
    let server = Served::start_in(folder.path(), &logged);
    assert_eq!(state(&server), before, "from the log");
    run(&mut server.connect(), "BGREWRITEAOF");
    wait_until("the log has a new base", || {
        server.info("aof_rewrite_in_progress") == "0" && server.info("aof_rewrites") != "0"
    });
    server.kill();
    let server = Served::start_in(folder.path(), &logged);
    assert_eq!(state(&server), before, "from the log's base");
    run(&mut server.connect(), "SAVE");
    server.kill();
    let server = Served::start_in(folder.path(), &["--save", ""]);
    assert_eq!(state(&server), before, "from the snapshot");
}

#[test]
fn tenants_have_their_data_when_it_is_loaded_again() {
    let logged = ["--appendonly", "yes", "--io-threads", "2"];
    let (server, mut operator) = two_tenants(&logged);
    fill(&server);
    run(&mut operator, "SET own value");
    let before = state(&server);
    for how in ["RELOAD", "RELOAD NOFLUSH MERGE", "LOADAOF", "RELOAD", "LOADAOF"] {
        run(&mut operator, &format!("DEBUG {how}"));
        assert_eq!(state(&server), before, "{how}");
        assert_eq!(text(&mut operator, "GET own"), "value", "{how}");
    }
    // What is counted is counted on.
    run(&mut enter(&server, ACME), "SET key other");
    run(&mut enter(&server, ACME), "SET key value");
    // A tenant that takes the place of one that is gone gets nothing of its.
    let next = Some(("next", "p"));
    run(&mut operator, "TENANT CREATE gone PASSWORD p");
    run(&mut enter(&server, Some(("gone", "p"))), &format!("SET {SECRET} 1"));
    run(&mut operator, "SAVE");
    run(&mut operator, "TENANT DROP gone");
    run(&mut operator, "TENANT CREATE next PASSWORD p");
    run(&mut enter(&server, next), "SET mine 1");
    run(&mut operator, "DEBUG LOADAOF");
    assert_eq!(keys(&mut enter(&server, next)), BTreeSet::from(["mine".to_owned()]));
    run(&mut operator, "DEBUG RELOAD NOSAVE");
    assert_eq!(keys(&mut enter(&server, next)).len(), 0, "it was not there when that was saved");
    for name in ["next", "short-lived"] {
        let _ = try_run(&mut operator, &format!("TENANT DROP {name}"));
    }
    assert_eq!(state(&server)[..5], before[..5]);
    // Nobody but the operator may.
    assert!(try_run(&mut enter(&server, ACME), "DEBUG RELOAD").is_err());
}

#[test]
fn the_configuration_can_name_tenants() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--save", "", "--appendonly", "yes", "--tenant"];
    let with = |line: &'static str| {
        let words: Vec<&str> = args.into_iter().chain(line.split(' ')).collect();
        Served::start_in(folder.path(), &words)
    };
    let server = with("acme PASSWORD pa LIMIT memory 1mb plugins 3");
    run(&mut enter(&server, ACME), "SET key value");
    run(&mut server.connect(), "TENANT SET acme LIMIT connections 5");
    server.kill();
    // What is kept stays, but for what the configuration says.
    let server = with("acme PASSWORD other LIMIT memory 2mb");
    assert_eq!(text(&mut enter(&server, Some(("acme", "other"))), "GET key"), "value");
    let info = format!("{:?}", run(&mut server.connect(), "TENANT INFO acme"));
    for (quota, limit) in [("memory", 2 << 20), ("plugins", 3), ("connections", 5)] {
        let shown = format!("limit-{quota}\"'), int({limit})");
        assert!(info.contains(&shown), "{shown}: {info}");
    }
}

#[test]
fn tenants_reach_replicas_and_a_promoted_one_serves_them() {
    let (server, mut operator) = two_tenants(&[]);
    fill(&server);
    let place = format!("127.0.0.1 {}", server.port());
    let replica = Served::start(&["--save", "", "--replicaof", &place]);
    wait_until("the link is up", || replica.info("master_link_status") == "up");
    wait_until("it has all", || {
        let mut connection = replica.connect();
        try_run(&mut connection, "AUTH acme/bob pb").is_ok()
    });
    assert_eq!(state(&replica), state(&server), "with the snapshot");
    run(&mut operator, "TENANT CREATE late PASSWORD pl LIMIT memory 1mb");
    let late = Some(("late", "pl"));
    run(&mut enter(&server, late), "SET key value");
    let mut acme = enter(&server, ACME);
    run(&mut acme, "SET soon gone PX 50");
    run(&mut acme, "ACL SETUSER carol on >pc ~* +@all");
    run(&mut acme, "SET then value");
    assert_eq!(run(&mut operator, "WAIT 1 10000"), Value::Int(1));
    wait_until("it has what came later", || {
        let mut connection = replica.connect();
        try_run(&mut connection, "AUTH acme/carol pc").is_ok()
            && try_run(&mut connection, "GET then") == Ok(Value::BulkString(b"value".to_vec()))
    });
    let refused = try_run(&mut enter(&replica, late), "SET key other").unwrap_err();
    assert!(refused.contains("read only replica"), "{refused}");
    let refused = try_run(&mut replica.connect(), "TENANT DROP late").unwrap_err();
    assert!(refused.contains("read only replica"), "{refused}");
    wait_until("what expired is gone there, too", || {
        !keys(&mut enter(&replica, ACME)).contains("soon")
    });
    server.kill();
    run(&mut replica.connect(), "REPLICAOF NO ONE");
    let mut late = enter(&replica, late);
    assert_eq!(text(&mut late, "GET key"), "value");
    run(&mut late, "SET key other");
    run(&mut replica.connect(), "TENANT DROP late");
}

#[test]
fn a_server_that_knows_no_tenants_is_not_told_their_data() {
    if !crate::served::is_here("redis-server") {
        return;
    }
    let (server, mut operator) = two_tenants(&[]);
    let stranger = RedisServer::start("redis-server".as_ref()).expect("a redis-server");
    let client = redis::Client::open(format!("redis://{}", stranger.address())).expect("a URL");
    let mut other = client.get_connection().expect("it answers");
    run(&mut other, "SET own data");
    run(&mut other, &format!("REPLICAOF 127.0.0.1 {}", server.port()));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(text(&mut other, "INFO replication").contains("master_link_status:down"));
    for name in ["acme", "globex"] {
        run(&mut operator, &format!("TENANT DROP {name}"));
    }
    wait_until("without tenants it may follow", || {
        text(&mut other, "INFO replication").contains("master_link_status:up")
    });
    let refused = try_run(&mut operator, "TENANT CREATE acme").unwrap_err();
    assert!(refused.contains("a replica follows"), "{refused}");
}
