//! redis-cli, unmodified, against the built binary.
//!
//! Where there is none the tests say that they were skipped; with `REEF_REQUIRE_PEERS=1` they fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::served::{Served, is_here, succeeded};

fn cli(served: &Served) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &served.port().to_string()]);
    command
}

fn ask(served: &Served, args: &[&str]) -> String {
    succeeded(cli(served).args(args).stdin(Stdio::null()).output().expect("redis-cli runs"))
}

fn start() -> Option<Served> {
    is_here("redis-cli").then(|| Served::start(&[]))
}

#[test]
fn values_are_set_and_read() {
    let Some(served) = start() else { return };
    assert_eq!(ask(&served, &["PING"]), "PONG\n");
    assert_eq!(ask(&served, &["SET", "greeting", "hello world"]), "OK\n");
    assert_eq!(ask(&served, &["GET", "greeting"]), "hello world\n");
    assert_eq!(ask(&served, &["--no-raw", "GET", "nothing"]), "(nil)\n");
    let wrong = ask(&served, &["INCR", "greeting"]);
    assert_eq!(wrong, "ERR value is not an integer or out of range\n\n");
    assert_eq!(
        ask(&served, &["--no-raw", "TX.CREATE", "r", "1", "0x1", "5", "ID", "a"]),
        "\"a\"\n"
    );
    assert_eq!(ask(&served, &["SMEMBERS", "relayer:r:status:pending"]), "a\n");
}

#[test]
fn a_mass_of_commands_is_piped_in() {
    let Some(served) = start() else { return };
    let mut pipe = cli(&served)
        .arg("--pipe")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli runs");
    let mut stdin = pipe.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || {
        let mut mass = String::new();
        for key in 0..10_000 {
            mass.push_str(&format!("SET key:{key} value-{key}\r\n"));
        }
        mass.push_str("SADD key:0 wrong\r\n");
        stdin.write_all(mass.as_bytes())
    });
    let mut shown = String::new();
    pipe.stdout.take().expect("a pipe").read_to_string(&mut shown).expect("text");
    writer.join().expect("it writes").expect("written");
    pipe.wait().expect("it ends");
    assert!(shown.contains("errors: 1, replies: 10001"), "{shown}");
    assert_eq!(ask(&served, &["DBSIZE"]), "10000\n");
}

/// A redis-cli that goes on until it is dropped.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn monitor_shows_what_others_do() {
    let Some(served) = start() else { return };
    let monitor = cli(&served).arg("MONITOR").stdout(Stdio::piped()).spawn();
    let mut monitor = Watching(monitor.expect("redis-cli runs"));
    let mut lines = BufReader::new(monitor.0.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "OK");
    ask(&served, &["SET", "a b", "\"quoted\"\n"]);
    let line = loop {
        let line = next();
        if line.contains("\"SET\"") {
            break line;
        }
    };
    let (time, rest) = line.split_once(" [0 127.0.0.1:").expect("a time and a client");
    assert!(time.split_once('.').is_some_and(|(_, micros)| micros.len() == 6), "{line}");
    assert!(rest.ends_with(r#"] "SET" "a b" "\"quoted\"\n""#), "{line}");
}

#[test]
fn info_tells_who_it_is() {
    let Some(served) = start() else { return };
    ask(&served, &["SET", "a", "1"]);
    let info = ask(&served, &["INFO"]);
    for field in
        ["redis_version:7.", "process_id:", "used_memory:", "connected_clients:", "db0:keys=1,"]
    {
        assert!(info.lines().any(|line| line.starts_with(field)), "{field}\n{info}");
    }
    assert!(info.contains(&format!("tcp_port:{}", served.port())), "{info}");
    let memory = ask(&served, &["INFO", "memory"]);
    assert!(memory.contains("# Memory") && !memory.contains("# Server"), "{memory}");
}

#[test]
fn the_newer_protocol_is_spoken() {
    let Some(served) = start() else { return };
    let hello = ask(&served, &["-3", "--no-raw", "HELLO"]);
    assert!(
        hello.contains("1# \"server\" => ") && hello.contains("\"proto\" => (integer) 3"),
        "{hello}"
    );
    ask(&served, &["HSET", "h", "a", "1"]);
    assert_eq!(ask(&served, &["-3", "--no-raw", "HGETALL", "h"]), "1# \"a\" => \"1\"\n");
}
