//! Parked calls on real sockets: a plugin that waits as BLPOP does, and what may happen meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use redis::{Connection, Value};

use crate::served::Served;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server with the guest that waits, loaded as `queue`.
fn server(args: &[&str]) -> (Served, Connection) {
    let server = Served::start(args);
    let mut connection = server.connect();
    load(&mut connection, &[]);
    (server, connection)
}

fn load(connection: &mut Connection, options: &[&str]) {
    let mut command = redis::cmd("PLUGIN");
    command.arg("LOAD").arg("queue").arg(reef_bundled::hostile::QUEUE);
    command.arg(options).arg("GRANT").arg("LPOP").arg("~*");
    command.query::<()>(connection).expect("it loads");
}

fn run<T: redis::FromRedisValue>(connection: &mut Connection, line: &str) -> T {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// A client whose call has been heard.
fn send(server: &Served, line: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(format!("{line}\r\n").as_bytes()).expect("sent");
    stream
}

fn until_waiting(server: &Served, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while server.info("blocked_clients") != count.to_string() {
        assert!(Instant::now() < deadline, "{} wait", server.info("blocked_clients"));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A reply of one line, or of a length and a line.
fn reply(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    let mut lines = 0;
    while lines < 1 + usize::from(bytes.starts_with(b"$") && !bytes.starts_with(b"$-1")) {
        stream.read_exact(&mut byte).expect("a reply");
        bytes.push(byte[0]);
        lines += usize::from(byte[0] == b'\n');
    }
    String::from_utf8(bytes)
        .expect("text")
        .trim_end()
        .rsplit("\r\n")
        .next()
        .expect("a line")
        .to_owned()
}

fn parked(connection: &mut Connection) -> i64 {
    let figures: Vec<Value> = run(connection, "PLUGIN INFO queue");
    let at = figures.iter().position(|one| *one == Value::BulkString(b"calls-parked".to_vec()));
    redis::from_redis_value(figures[at.expect("the figure") + 1].clone()).expect("a number")
}

/// Until so many calls are parked: a first call may take its time before it is.
fn until_parked(connection: &mut Connection, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while parked(connection) != count as i64 {
        assert!(Instant::now() < deadline, "{} are parked", parked(connection));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn parked_calls_are_served_in_order_of_arrival() {
    for args in [&[][..], &["--io-threads", "2", "--shards", "8"]] {
        let (server, mut connection) = server(args);
        let mut takers = Vec::new();
        for count in 1..=60 {
            takers.push(send(&server, "QUEUE.TAKE k 0"));
            until_parked(&mut connection, count);
        }
        assert_eq!(parked(&mut connection), 60);
        // One at a time, and many at once.
        for element in 0..20 {
            let _: u64 = run(&mut connection, &format!("RPUSH k {element}"));
        }
        let all: Vec<String> = (20..60).map(|element| element.to_string()).collect();
        let _: u64 = run(&mut connection, &format!("RPUSH k {}", all.join(" ")));
        for (element, taker) in takers.iter_mut().enumerate() {
            assert_eq!(reply(taker), element.to_string());
        }
        assert_eq!(run::<u64>(&mut connection, "EXISTS k"), 0);
        assert_eq!(parked(&mut connection), 0);
        until_waiting(&server, 0);
    }
}

#[test]
fn natives_and_plugins_wait_in_one_queue() {
    let (server, mut connection) = server(&["--io-threads", "2", "--shards", "4"]);
    let mut waiting = Vec::new();
    for count in 0..20 {
        let line = if count % 3 == 0 { "BLPOP k 0" } else { "QUEUE.TAKE k 0" };
        waiting.push(send(&server, line));
        until_waiting(&server, count + 1);
        until_parked(&mut connection, count + 1 - (count + 3) / 3);
    }
    for element in 0..20 {
        let _: u64 = run(&mut connection, &format!("RPUSH k e{element}"));
    }
    for (element, stream) in waiting.iter_mut().enumerate() {
        if element % 3 == 0 {
            let size = 1 + element.to_string().len();
            let expected = format!("*2\r\n$1\r\nk\r\n${size}\r\ne{element}\r\n");
            let mut bytes = vec![0; expected.len()];
            stream.read_exact(&mut bytes).expect("a reply");
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
        } else {
            assert_eq!(reply(stream), format!("e{element}"));
        }
    }
}

#[test]
fn time_is_over_when_it_is_and_never_earlier() {
    let (server, mut connection) = server(&[]);
    let mut waits: Vec<(TcpStream, Instant, Duration)> = [100, 200, 301, 1]
        .iter()
        .map(|ms| {
            let begun = Instant::now();
            let stream = send(&server, &format!("QUEUE.TAKE k{ms} {ms}"));
            (stream, begun, Duration::from_millis(*ms))
        })
        .collect();
    // What is written and of no use leaves the deadline as it is.
    let _: () = run(&mut connection, "SET other 1");
    for (stream, begun, time) in &mut waits {
        assert_eq!(reply(stream), "$-1");
        assert!(begun.elapsed() >= *time, "{time:?} after {:?}", begun.elapsed());
        assert!(begun.elapsed() < *time + Duration::from_secs(10));
    }
    until_waiting(&server, 0);
    assert_eq!(parked(&mut connection), 0);
}

#[test]
fn who_is_woken_in_vain_is_called_once_for_each_write_and_ends_in_time() {
    for shards in ["1", "4"] {
        let (server, mut connection) = server(&["--shards", shards]);
        let begun = Instant::now();
        let mut stream = send(&server, "QUEUE.NEVER k 500");
        until_waiting(&server, 1);
        let _: () = run(&mut connection, "RPUSH k x");
        let _: () = run(&mut connection, "RPUSH k y");
        assert_eq!(reply(&mut stream), "$-1");
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(500) && took < PATIENCE / 2, "{took:?}");
        let stats: Value = run(&mut connection, "PLUGIN STATS queue");
        let stats = format!("{stats:?}");
        let woken = stats.split("woken-in-vain").nth(1).expect("it was woken");
        assert!(woken.contains("int(1)") || woken.contains("int(2)"), "{woken}");
    }
}

#[test]
fn a_wake_up_goes_on_to_the_next_when_its_client_is_gone() {
    for args in [&[][..], &["--io-threads", "2", "--shards", "8"]] {
        let (server, mut connection) = server(args);
        for round in 0..200 {
            let dead = send(&server, "QUEUE.TAKE k 0");
            until_parked(&mut connection, 1);
            let mut alive = send(&server, "QUEUE.TAKE k 0");
            until_parked(&mut connection, 2);
            let linger = socket2::SockRef::from(&dead).set_linger(Some(Duration::from_secs(5)));
            linger.expect("a socket");
            drop(dead);
            let _: u64 = run(&mut connection, &format!("RPUSH k {round}"));
            assert_eq!(reply(&mut alive), round.to_string());
            until_waiting(&server, 0);
        }
        assert_eq!(run::<u64>(&mut connection, "EXISTS k"), 0);
    }
}

#[test]
fn what_goes_wakes_nobody_and_what_is_no_list_is_told() {
    let (server, mut connection) = server(&[]);
    let calls = |connection: &mut Connection| -> i64 {
        let text: String = run(connection, "INFO plugins");
        let line = text.lines().find(|line| line.starts_with("plugin_queue:")).expect("a line");
        let calls = line.split(',').find_map(|field| field.strip_prefix("calls="));
        calls.expect("calls").parse().expect("a number")
    };
    let mut taker = send(&server, "QUEUE.TAKE k 0");
    until_parked(&mut connection, 1);
    let before = calls(&mut connection);
    for line in ["DEL k", "FLUSHALL", "SET other 1", "DEL other", "SWAPDB 0 1", "SWAPDB 0 1"] {
        let _: Value = run(&mut connection, line);
    }
    let mut batch = redis::pipe();
    batch.atomic().cmd("RPUSH").arg("k").arg("x").cmd("DEL").arg("k");
    let _: Value = batch.query(&mut connection).expect("both");
    assert_eq!(calls(&mut connection), before, "nobody is called");
    let _: Value = run(&mut connection, "SET k string");
    assert!(reply(&mut taker).starts_with("-WRONGTYPE"));
}

#[test]
fn operators_end_waits() {
    let (server, mut connection) = server(&["--io-threads", "2", "--shards", "4"]);
    for (how, farewell) in
        [("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK"), ("TIMEOUT", "$-1")]
    {
        let mut stream = send(&server, "CLIENT ID");
        let id = reply(&mut stream)[1..].to_owned();
        stream.write_all(b"QUEUE.TAKE k 0\r\n").expect("sent");
        until_parked(&mut connection, 1);
        assert_eq!(run::<u8>(&mut connection, &format!("CLIENT UNBLOCK {id} {how}")), 1);
        assert_eq!(reply(&mut stream), farewell);
    }
    let mut stream = send(&server, "QUEUE.TAKE k 0");
    until_parked(&mut connection, 1);
    let _: u8 = run(&mut connection, "CLIENT KILL TYPE normal");
    assert_eq!(stream.read(&mut [0; 8]).ok(), Some(0));
    until_waiting(&server, 0);
    // Inside a transaction a plugin has no place.
    let _: () = run(&mut connection, "MULTI");
    let refused = redis::cmd("QUEUE.TAKE").arg("k").arg(0).query::<Value>(&mut connection);
    assert!(refused.unwrap_err().to_string().contains("not allowed inside a transaction"));
}

#[test]
fn a_plugin_is_replaced_or_unloaded_beneath_its_parked_calls() {
    let (server, mut connection) = server(&["--io-threads", "2"]);
    let mut first = send(&server, "QUEUE.TAKE k 0");
    until_parked(&mut connection, 1);
    let mut second = send(&server, "QUEUE.TAKE k 0");
    until_parked(&mut connection, 2);
    load(&mut connection, &["REPLACE"]);
    let _: u64 = run(&mut connection, "RPUSH k new");
    assert_eq!(reply(&mut first), "new");
    let _: () = run(&mut connection, "PLUGIN UNLOAD queue");
    assert_eq!(reply(&mut second), "-UNBLOCKED the plugin of this command was unloaded");
    until_waiting(&server, 0);
}

#[test]
fn who_may_not_any_more_hears_so_when_it_is_woken() {
    let (server, mut connection) = server(&[]);
    let _: () = run(&mut connection, "ACL SETUSER u on nopass ~* +@all");
    let mut stream = send(&server, "AUTH u x");
    assert_eq!(reply(&mut stream), "+OK");
    stream.write_all(b"QUEUE.TAKE k 0\r\n").expect("sent");
    until_parked(&mut connection, 1);
    let _: () = run(&mut connection, "ACL SETUSER u -queue.take");
    let _: u64 = run(&mut connection, "RPUSH k x");
    assert!(reply(&mut stream).starts_with("-NOPERM"));
    assert_eq!(run::<u64>(&mut connection, "LLEN k"), 1);
}

/// Resident memory of a process in KiB.
fn resident_kib(server: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.info("process_id")));
    let status = status.expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

/// Lets this process have so many files open.
pub(crate) fn allow_files(count: usize) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.current.is_some_and(|most| most < count as u64) {
        let more = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, more).expect("more files");
    }
}

#[test]
fn ten_thousand_parked_calls_cost_no_memory_of_wasm() {
    const CALLS: usize = 10_000;
    let (server, mut connection) = server(&["--maxclients", "12000"]);
    allow_files(CALLS + 500);
    let mut clients: Vec<TcpStream> = (0..CALLS).map(|_| send(&server, "PING")).collect();
    clients.iter_mut().for_each(|client| assert_eq!(reply(client), "+PONG"));
    let before = resident_kib(&server);
    for (index, client) in clients.iter_mut().enumerate() {
        let line = format!("QUEUE.TAKE key:{} 0\r\n", index % 100);
        client.write_all(line.as_bytes()).expect("sent");
    }
    until_parked(&mut connection, CALLS);
    let grown = resident_kib(&server).saturating_sub(before);
    // An instance has 64 KiB at least, and a stack.
    assert!(grown < 40 * 1024, "{grown} KiB for {CALLS} calls");
    for index in 0..CALLS {
        let _: u64 = run(&mut connection, &format!("RPUSH key:{} {index}", index % 100));
    }
    // The server has heard them in an order of its own.
    let replies = clients.iter_mut().map(|client| reply(client).parse().expect("a number"));
    let mut taken: Vec<usize> = replies.collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..CALLS).collect::<Vec<_>>());
    assert_eq!(parked(&mut connection), 0);
}

/// Takers on many workers and pushers from several sides: each element arrives exactly once, and
/// nobody goes on waiting beside an element.
#[test]
fn what_is_pushed_from_many_sides_arrives_once() {
    const KEYS: usize = 5;
    const EACH: usize = 1000;
    let (server, mut connection) = server(&["--io-threads", "2", "--shards", "16"]);
    let takers: Vec<_> = (0..20)
        .map(|taker| {
            let mut connection = server.connect();
            std::thread::spawn(move || {
                let mut taken: Vec<usize> = Vec::new();
                let line = format!("QUEUE.TAKE k{} 1500", taker % KEYS);
                while let Some(element) = run::<Option<usize>>(&mut connection, &line) {
                    taken.push(element);
                }
                taken
            })
        })
        .collect();
    let pushers: Vec<_> = (0..3)
        .map(|pusher| {
            let mut connection = server.connect();
            std::thread::spawn(move || {
                for number in 0..EACH {
                    let key = (number * 7 + pusher) % KEYS;
                    let element = pusher * EACH + number;
                    let _: u64 = run(&mut connection, &format!("RPUSH k{key} {element}"));
                }
            })
        })
        .collect();
    pushers.into_iter().for_each(|pusher| pusher.join().expect("pushed"));
    let mut taken: Vec<usize> =
        takers.into_iter().flat_map(|taker| taker.join().expect("taken")).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..3 * EACH).collect::<Vec<_>>());
    assert_eq!(run::<u64>(&mut connection, "DBSIZE"), 0);
}

/// Calls that wake themselves for ever, by thousands: they take turns with each other, and others with
/// them.
#[test]
fn a_storm_of_calls_that_park_again_and_again_delays_nobody() {
    const CALLS: usize = 8_000;
    for how in ["KEY", "TIME"] {
        let server = Served::start(&["--save", "", "--maxclients", "12000", "--shards", "4"]);
        allow_files(CALLS + 500);
        let mut connection = server.connect();
        let guest = reef_bundled::hostile::HOSTILE;
        crate::hostile::load(&mut connection, guest, &crate::hostile::GRANTS).expect("it loads");
        let mut storm: Vec<TcpStream> = (0..CALLS)
            .map(|call| send(&server, &format!("HOSTILE.STORM storm:{call} {how}")))
            .collect();
        // They are all there, and go on.
        let calls = |connection: &mut Connection| -> u64 {
            let text: String = run(connection, "INFO plugins");
            let line = text.lines().find(|line| line.starts_with("plugin_hostile:"));
            let calls = line
                .and_then(|line| line.split(',').find_map(|field| field.strip_prefix("calls=")));
            calls.expect("calls").parse().expect("a number")
        };
        let deadline = Instant::now() + PATIENCE;
        while calls(&mut connection) < 5 * CALLS as u64 {
            assert!(Instant::now() < deadline, "{} calls", calls(&mut connection));
        }
        let before = calls(&mut connection);
        let mut waits: Vec<Duration> = (0..300)
            .map(|number| {
                let begun = Instant::now();
                let _: () = run(&mut connection, &format!("SET mine {number}"));
                begun.elapsed()
            })
            .collect();
        waits.sort_unstable();
        let (median, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        println!("{how}: median {median:?}, worst {worst:?}");
        // All of them going on once takes twice as long where nothing else runs.
        assert!(median < Duration::from_millis(15), "{median:?}");
        assert!(calls(&mut connection) > before, "the storm goes on");
        if how == "KEY" {
            // None of them is passed over.
            let slowest = (0..CALLS).map(|call| {
                run::<Option<u64>>(&mut connection, &format!("GET storm:{call}")).unwrap_or(0)
            });
            assert!(slowest.min().is_some_and(|least| least > 1));
        }
        let _: () = run(&mut connection, "PLUGIN UNLOAD hostile");
        // Whoever is about to go on hears so then.
        for client in &mut storm {
            let told = reply(client);
            assert!(
                told.starts_with('-') && told.ends_with("plugin was unloaded")
                    || told == "-UNBLOCKED the plugin of this command was unloaded",
                "{told}"
            );
        }
        until_waiting(&server, 0);
    }
}
