//! The examples under many clients that want the same thing at the same time. What their README says is
//! run by `readme.rs`.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::thread;

use redis::{Connection, RedisResult};

use crate::served::{Served, reef, stranger, succeeded};

/// Clients at the same time.
const CLIENTS: i64 = 8;

/// A server with an example, built from its folder.
fn with_example(name: &str) -> Served {
    let folder = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut build = reef();
    stranger(&mut build).args(["plugin", "build", "--path", &folder]);
    succeeded(build.output().expect("the binary runs"));
    let server = Served::start(&[]);
    let component = format!("{folder}/plugin.wasm");
    succeeded(server.run(&["plugin", "load", name, &component, "--grant-wanted"]));
    server
}

/// Runs the same for every client, each on a connection of its own.
fn all_at_once<T: Send>(server: &Served, act: impl Fn(i64, &mut Connection) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let act = &act;
        let client = |number| scope.spawn(move || act(number, &mut server.connect()));
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients.into_iter().map(|client| client.join().expect("no client fails")).collect()
    })
}

fn ask<T: redis::FromRedisValue>(connection: &mut Connection, line: &str) -> RedisResult<T> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection)
}

#[test]
fn the_ledger_loses_and_makes_no_money_and_pays_no_request_twice() {
    const ACCOUNTS: i64 = 5;
    const REQUESTS: i64 = 60;
    let server = with_example("payment-ledger");
    let mut connection = server.connect();
    let accounts: Vec<String> = (0..ACCOUNTS).map(|number| format!("a{number}")).collect();
    for account in &accounts {
        ask::<()>(&mut connection, &format!("LEDGER.OPEN {account} 100")).expect("it opens");
    }
    let balances = format!("LEDGER.BALANCE {}", accounts.join(" "));
    // Two clients each have the same requests, and send every one of them twice.
    let paid = all_at_once(&server, |client, connection| {
        let mut paid = BTreeMap::new();
        for turn in 0..REQUESTS * 2 {
            let request = client / 2 * REQUESTS + turn / 2;
            let (from, to) = (request * 7 % ACCOUNTS, (request * 7 + 1 + request % 4) % ACCOUNTS);
            let amount = 1 + request * 13 % 50;
            let line = format!("LEDGER.TRANSFER r{request} a{from} a{to} {amount}");
            match ask::<i64>(connection, &line) {
                Ok(left) => {
                    let before = paid.insert(request, left);
                    assert!(before.is_none_or(|before| before == left), "the same reply again");
                }
                Err(error) => {
                    assert!(["FUNDS", "CONTENDED"].contains(&error.code().unwrap_or_default()));
                }
            }
            let sums: Vec<i64> = ask(connection, &balances).expect("balances");
            assert_eq!(sums.iter().sum::<i64>(), ACCOUNTS * 100, "{sums:?}");
            assert!(sums.iter().all(|sum| *sum >= 0), "{sums:?}");
        }
        paid
    });
    let mut requests = BTreeMap::new();
    for (request, left) in paid.into_iter().flatten() {
        let before = requests.insert(request, left);
        assert!(before.is_none_or(|before| before == left), "two clients hear the same");
    }
    assert!(requests.len() > 100, "{} requests were paid", requests.len());
    assert_eq!(ask(&mut connection, "XLEN ledger:journal"), Ok(requests.len()));
}

#[test]
fn the_limiter_lets_no_more_through_than_its_limit() {
    const CAPACITY: i64 = 150;
    let server = with_example("rate-limiter");
    let taken = all_at_once(&server, |_, connection| {
        let take = |_| {
            let line = format!("LIMIT.TAKE shared {CAPACITY} 0.000001");
            let (passes, left, wait_ms): (i64, i64, i64) = loop {
                match ask(connection, &line) {
                    Ok(reply) => break reply,
                    Err(error) => assert_eq!(error.code(), Some("CONTENDED")),
                }
            };
            assert!((0..CAPACITY).contains(&left) && (wait_ms > 0) == (passes == 0));
            passes
        };
        (0..CAPACITY).map(take).sum::<i64>()
    });
    assert_eq!(taken.iter().sum::<i64>(), CAPACITY, "{taken:?}");
}

#[test]
fn the_boards_of_all_time_and_of_the_week_agree() {
    const ROUNDS: i64 = 100;
    let server = with_example("leaderboard");
    all_at_once(&server, |client, connection| {
        for round in 0..ROUNDS {
            let player = (client + round) % 10;
            let line = format!("BOARD.ADD chess p{player} {}", 1 + round % 3);
            ask::<i64>(connection, &line).expect("points are added");
        }
    });
    let mut connection = server.connect();
    let mut top =
        |line: &str| -> Vec<(String, i64)> { ask(&mut connection, line).expect("a board") };
    let all = top("BOARD.TOP chess");
    // A week may have ended meanwhile, but not while nobody looked.
    assert_eq!(all, top("BOARD.TOP chess WEEK LIMIT 1000"));
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by_key(|(_, points)| -points), "{all:?}");
    let points = (0..ROUNDS).map(|round| 1 + round % 3).sum::<i64>() * CLIENTS;
    assert_eq!(all.iter().map(|(_, points)| points).sum::<i64>(), points);
}

/// The libp2p program, started in a role.
fn libp2p(server: &Served, is_dialer: bool, seconds: u32) -> Child {
    let mut command =
        Command::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/examples/debug/libp2p-ping"));
    command
        .env("transport", "tcp")
        .env("muxer", "yamux")
        .env("security", "noise")
        .env("is_dialer", is_dialer.to_string())
        .env("ip", "127.0.0.1")
        .env("redis_addr", format!("127.0.0.1:{}", server.port()))
        .env("test_timeout_seconds", seconds.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("the program runs")
}

/// How a program ended: whether well, its output, its errors.
fn ended(child: Child) -> (bool, String, String) {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn libp2p_programs_find_each_other_in_either_order() {
    let folder = format!("{}/examples/libp2p-ping", env!("CARGO_MANIFEST_DIR"));
    let mut build = Command::new("cargo");
    stranger(&mut build).args(["build", "--quiet"]).current_dir(&folder);
    succeeded(build.output().expect("cargo runs"));
    let server = Served::start(&[]);
    let mut connection = server.connect();
    for dialer_first in [true, false] {
        let first = libp2p(&server, dialer_first, 20);
        if dialer_first {
            while server.info("blocked_clients") != "1" {
                thread::sleep(std::time::Duration::from_millis(5));
            }
        } else {
            while ask::<u64>(&mut connection, "LLEN listenerAddr") != Ok(1) {
                thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        let second = libp2p(&server, !dialer_first, 20);
        let (dialer, mut listener) = if dialer_first { (first, second) } else { (second, first) };
        let (well, result, told) = ended(dialer);
        assert!(well, "{told}");
        // It would wait for its time.
        listener.kill().expect("it still waits");
        let (_, nothing, by_listener) = ended(listener);
        assert_eq!(nothing, "");
        let figures: serde_json::Value = serde_json::from_str(&result).expect("one line of JSON");
        let figure = |name: &str| figures[name].as_f64().expect("a figure");
        assert!(figure("handshakePlusOneRTTMillis") > figure("pingRTTMilllis"), "{result}");
        let mut lines = told.lines();
        for start in [
            "Connected to Redis at 127.0.0.1:",
            "Running as dialer",
            "Waiting for listener address from Redis...",
            "Got listener address: /ip4/127.0.0.1/tcp/",
            "Connecting to /ip4/127.0.0.1/tcp/",
            "Creating ping stream",
            "sending ping to 12D3KooW",
            "received pong from 12D3KooW",
        ] {
            assert!(lines.next().is_some_and(|line| line.starts_with(start)), "{start}:\n{told}");
        }
        let mut lines = by_listener.lines();
        for start in [
            "Connected to Redis at 127.0.0.1:",
            "Running as listener",
            "Publishing address to Redis: /ip4/127.0.0.1/tcp/",
            "Waiting for 20 seconds...",
        ] {
            let line = lines.next();
            assert!(line.is_some_and(|line| line.starts_with(start)), "{start}:\n{by_listener}");
        }
    }
    // Nobody comes: a clear failure.
    let (well, result, told) = ended(libp2p(&server, true, 1));
    assert!(!well && result.is_empty(), "{result}{told}");
    assert!(told.ends_with("Error: Timeout waiting for listener address\n"), "{told}");
}
