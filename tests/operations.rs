//! What operators rely on, over real sockets: eviction, values freed elsewhere, pauses, and every
//! limit of a connection at its limit.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use redis::Connection;

use crate::served::Served;

fn run(connection: &mut Connection, line: &str) -> redis::Value {
    try_run(connection, line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn try_run(connection: &mut Connection, line: &str) -> redis::RedisResult<redis::Value> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection)
}

fn number(server: &Served, field: &str) -> u64 {
    let text = server.info(field);
    text.parse().unwrap_or_else(|_| panic!("{field}: {text:?}"))
}

/// A connection that speaks bytes.
fn raw(server: &Served) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream
}

/// Whether the other side closes the connection within the read timeout.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => return true,
        }
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes keys of about 100 bytes.
fn fill(connection: &mut Connection, prefix: &str, keys: std::ops::Range<u32>) {
    let mut pipe = redis::pipe();
    for key in keys {
        pipe.cmd("SET").arg(format!("{prefix}:{key}")).arg(&[b'v'; 80][..]).ignore();
    }
    pipe.query::<()>(connection).expect("there is room, or room is made");
}

#[test]
fn the_least_recently_used_keys_go_when_memory_is_full() {
    let server = Served::start(&["--io-threads", "2", "--maxmemory-policy", "allkeys-lru"]);
    let mut connection = server.connect();
    fill(&mut connection, "old", 0..10_000);
    std::thread::sleep(Duration::from_millis(2100));
    fill(&mut connection, "new", 0..10_000);
    let limit = number(&server, "used_memory");
    run(&mut connection, &format!("CONFIG SET maxmemory {limit}"));
    fill(&mut connection, "more", 0..5_000);
    let evicted = number(&server, "evicted_keys");
    assert!(evicted > 3_000, "{evicted}");
    let used = number(&server, "used_memory");
    assert!(used < limit + (1 << 18), "{used} of {limit}");
    let count = |connection: &mut Connection, prefix: &str| -> usize {
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("{prefix}:*")).query(connection).expect("KEYS");
        keys.len()
    };
    let (old, new) = (count(&mut connection, "old"), count(&mut connection, "new"));
    assert!(old < 7_500 && new > 9_700, "old {old}, new {new}");
    run(&mut connection, "CONFIG RESETSTAT");
    assert_eq!(number(&server, "evicted_keys"), 0);
}

#[test]
fn without_anything_to_evict_writes_are_refused_and_reads_are_not() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    run(&mut connection, "SET k v");
    for policy in ["noeviction", "volatile-lru", "volatile-ttl"] {
        run(&mut connection, &format!("CONFIG SET maxmemory-policy {policy} maxmemory 1"));
        let refused = try_run(&mut connection, "SET k w").expect_err("no room");
        assert_eq!(refused.code(), Some("OOM"), "{policy}");
        run(&mut connection, "GET k");
    }
    run(&mut connection, "CONFIG SET maxmemory 0");
    run(&mut connection, "SET k w");
    assert_eq!(number(&server, "evicted_keys"), 0);
    let stats = run(&mut connection, "INFO commandstats");
    assert!(format!("{stats:?}").contains("rejected_calls=3"), "{stats:?}");
}

#[test]
fn nothing_is_evicted_or_expires_during_a_pause() {
    let server = Served::start(&["--maxmemory-policy", "allkeys-random"]);
    let mut connection = server.connect();
    fill(&mut connection, "k", 0..100);
    run(&mut connection, "SET short v PX 50");
    run(&mut connection, "CLIENT PAUSE 100000 WRITE");
    run(&mut connection, "CONFIG SET maxmemory 1");
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(run(&mut connection, "GET short"), redis::Value::Nil);
    assert_eq!(run(&mut connection, "DBSIZE"), redis::Value::Int(101));
    assert_eq!((number(&server, "evicted_keys"), number(&server, "expired_keys")), (0, 0));
    run(&mut connection, "CLIENT UNPAUSE");
    wait_until("keys go after the pause", || number(&server, "evicted_keys") > 0);
}

#[test]
fn large_values_end_elsewhere() {
    let server = Served::start(&["--lazyfree-lazy-user-del", "yes"]);
    let mut connection = server.connect();
    let grow = |connection: &mut Connection, key: &str| {
        let mut command = redis::cmd("SADD");
        command.arg(key);
        (0..1000).for_each(|member| {
            command.arg(format!("member {member}"));
        });
        command.query::<()>(connection).expect("SADD");
    };
    for (count, line) in (1..).zip(["UNLINK big", "DEL big", "FLUSHALL ASYNC"]) {
        grow(&mut connection, "big");
        run(&mut connection, line);
        wait_until(line, || number(&server, "lazyfreed_objects") == count);
        assert_eq!(number(&server, "lazyfree_pending_objects"), 0);
    }
    run(&mut connection, "CONFIG SET lazyfree-lazy-user-del no");
    grow(&mut connection, "big");
    run(&mut connection, "DEL big");
    run(&mut connection, "SET small v");
    run(&mut connection, "UNLINK small");
    assert_eq!(number(&server, "lazyfreed_objects"), 3);
}

#[test]
fn a_client_that_takes_nothing_is_closed_at_the_hard_limit() {
    let server = Served::start(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
    let mut connection = server.connect();
    redis::cmd("SET").arg("k").arg(vec![b'v'; 500_000]).query::<()>(&mut connection).expect("SET");
    let mut greedy = raw(&server);
    // What the sockets' own buffers hold comes on top.
    (0..40).for_each(|_| greedy.write_all(b"GET k\r\n").expect("sent"));
    wait_until("it is closed", || number(&server, "connected_clients") == 2);
    assert!(is_closed(&mut greedy));
}

#[test]
fn a_client_that_takes_nothing_for_long_is_closed_at_the_soft_limit() {
    let server = Served::start(&["--client-output-buffer-limit", "normal 0 1mb 1"]);
    let mut connection = server.connect();
    redis::cmd("SET").arg("k").arg(vec![b'v'; 500_000]).query::<()>(&mut connection).expect("SET");
    let mut greedy = raw(&server);
    (0..40).for_each(|_| greedy.write_all(b"GET k\r\n").expect("sent"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(number(&server, "connected_clients"), 3);
    wait_until("it is closed", || number(&server, "connected_clients") == 2);
    assert!(is_closed(&mut greedy));
}

#[test]
fn a_query_that_is_too_long_closes_its_connection() {
    let server = Served::start(&["--client-query-buffer-limit", "1mb"]);
    let mut stream = raw(&server);
    stream.write_all(b"*2\r\n$3\r\nGET\r\n$3000000\r\n").expect("sent");
    let _ = stream.write_all(&vec![b'x'; 2_000_000]);
    assert!(is_closed(&mut stream));
    let mut connection = server.connect();
    redis::cmd("SET").arg("k").arg(vec![b'v'; 900_000]).query::<()>(&mut connection).expect("SET");
}

#[test]
fn no_more_clients_than_maxclients_which_may_change() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    run(&mut connection, "CONFIG SET maxclients 2");
    let second = raw(&server);
    wait_until("two are connected", || {
        format!("{:?}", run(&mut connection, "INFO clients")).contains("connected_clients:2")
    });
    let mut third = raw(&server);
    let mut reply = String::new();
    third.read_to_string(&mut reply).expect("closed");
    assert_eq!(reply, "-ERR max number of clients reached\r\n");
    run(&mut connection, "CONFIG SET maxclients 10");
    let mut fourth = raw(&server);
    fourth.write_all(b"PING\r\n").expect("sent");
    let mut pong = [0; 7];
    fourth.read_exact(&mut pong).expect("served");
    drop(second);
}

#[test]
fn an_idle_client_is_closed_and_a_waiting_one_is_not() {
    let server = Served::start(&["--timeout", "1"]);
    let (mut idle, mut waiting) = (raw(&server), raw(&server));
    waiting.write_all(b"BLPOP nothing 0\r\n").expect("sent");
    assert!(is_closed(&mut idle));
    waiting.set_read_timeout(Some(Duration::from_millis(1500))).expect("a timeout");
    assert!(!is_closed(&mut waiting));
}

#[test]
fn an_argument_may_be_as_long_as_proto_max_bulk_len() {
    let server = Served::start(&["--proto-max-bulk-len", "1mb"]);
    let mut connection = server.connect();
    let value = vec![b'v'; 1 << 20];
    redis::cmd("SET")
        .arg("k")
        .arg(&value)
        .query::<()>(&mut connection)
        .expect("as long as allowed");
    let mut stream = raw(&server);
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n").expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("closed");
    assert_eq!(reply, "-ERR Protocol error: invalid bulk length\r\n");
}

#[test]
fn the_largest_clients_go_when_all_of_them_take_too_much() {
    let server = Served::start(&["--maxmemory-clients", "1mb"]);
    let mut spared = server.connect();
    run(&mut spared, "CLIENT NO-EVICT on");
    let mut hoarder = raw(&server);
    hoarder.write_all(b"*2\r\n$3\r\nGET\r\n$3000000\r\n").expect("sent");
    let _ = hoarder.write_all(&vec![b'x'; 2_500_000]);
    assert!(is_closed(&mut hoarder));
    run(&mut spared, "PING");
    assert_eq!(number(&server, "evicted_clients"), 1);
}

#[test]
fn unblocking_a_client_ends_its_wait_in_either_way() {
    let server = Served::start(&["--io-threads", "2"]);
    let mut operator = server.connect();
    for (how, reply) in
        [("TIMEOUT", "*-1\r\n"), ("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
    {
        let mut waiting = raw(&server);
        waiting.write_all(b"CLIENT ID\r\nBLPOP nothing 0\r\n").expect("sent");
        let mut buffer = [0; 64];
        let count = waiting.read(&mut buffer).expect("the id");
        let id = String::from_utf8_lossy(&buffer[1..count]).trim().to_owned();
        wait_until("it waits", || number(&server, "blocked_clients") == 1);
        run(&mut operator, &format!("CLIENT UNBLOCK {id} {how}"));
        let count = waiting.read(&mut buffer).expect("a reply");
        assert_eq!(String::from_utf8_lossy(&buffer[..count]), reply);
    }
}

#[test]
fn rates_and_times_are_told() {
    let server = Served::start(&[]);
    let mut connection = server.connect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) {
        run(&mut connection, "SET k v");
    }
    assert!(number(&server, "instantaneous_ops_per_sec") > 100);
    let text = format!("{:?}", run(&mut connection, "INFO latencystats"));
    assert!(text.contains("latency_percentiles_usec_set:p50="), "{text}");
    let histogram = format!("{:?}", run(&mut connection, "LATENCY HISTOGRAM set"));
    assert!(histogram.contains("histogram_usec"), "{histogram}");
    run(&mut connection, "CONFIG RESETSTAT");
    let text = format!("{:?}", run(&mut connection, "INFO latencystats"));
    assert!(!text.contains("usec_set:"), "{text}");
}

#[test]
fn a_server_that_cannot_save_goes_on_unless_it_is_forced() {
    let server = Served::start(&["--dbfilename", "dump.rdb"]);
    let mut connection = server.connect();
    // A folder stands where the snapshot is to be.
    let dir: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("dir").query(&mut connection).expect("CONFIG GET");
    std::fs::create_dir_all(format!("{}/dump.rdb/x", dir[1])).expect("a folder");
    let refused = try_run(&mut connection, "SHUTDOWN SAVE").expect_err("nothing can be saved");
    assert!(refused.to_string().contains("Errors trying to SHUTDOWN"), "{refused}");
    run(&mut connection, "CONFIG SET stop-writes-on-bgsave-error no");
    run(&mut connection, "SET k v");
    let refused = try_run(&mut connection, "SHUTDOWN ABORT").expect_err("nothing to abort");
    assert!(refused.to_string().contains("No shutdown in progress"), "{refused}");
    let mut stream = raw(&server);
    stream.write_all(b"SHUTDOWN NOSAVE NOW FORCE\r\n").expect("sent");
    assert!(is_closed(&mut stream));
}

/// What a directive takes to be put into effect must not need what the transaction holds.
#[test]
fn directives_change_within_a_transaction_that_holds_keys() {
    let server = Served::start(&["--io-threads", "2", "--save", ""]);
    let mut stream = raw(&server);
    let directives = [
        "maxmemory 1000000000",
        "maxmemory 0",
        "appendonly yes",
        "appendfsync always",
        "appendonly no",
        "save \"100 1\"",
        "requirepass x",
        "requirepass \"\"",
        "repl-backlog-size 2mb",
    ];
    let mut sent = String::from("MULTI\r\nSET a b\r\n");
    directives.iter().for_each(|line| sent.push_str(&format!("CONFIG SET {line}\r\n")));
    sent.push_str("INFO\r\nBGSAVE\r\nWAIT 0 1\r\nROLE\r\nREPLICAOF NO ONE\r\nSET {x}c d\r\nEXEC\r\nECHO end\r\n");
    stream.write_all(sent.as_bytes()).expect("sent");
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while !reply.ends_with(b"end\r\n") {
        let count = stream.read(&mut buffer).expect("an answer, and no deadlock");
        reply.extend_from_slice(&buffer[..count]);
    }
    let reply = String::from_utf8_lossy(&reply);
    assert!(!reply.contains("-ERR"), "{reply}");
    assert_eq!(run(&mut server.connect(), "GET {x}c"), redis::Value::BulkString(b"d".to_vec()));
}
