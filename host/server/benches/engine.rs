//! The engine without sockets: `cargo bench -p reef-server`.
//!
//! `cargo bench -p reef-server -- growth` fills one store with ten million keys instead and tells of
//! the slowest writes: a table that grows must hold nobody up.
//!
//! Each line runs one command over and over on keys of its own, first by one thread, then by two,
//! and prints nanoseconds per command and how much more two threads do than one. What is left out
//! is everything that a kernel does; what is measured is parsing, dispatch, locks and data.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::sync::Barrier;
use std::time::Instant;

use reef_engine::clock::Millis;
use reef_engine::gates::Conditions;
use reef_engine::session::Session;
use reef_engine::settings::Settings;
use reef_resp::{Decoder, Limits, Progress, Protocol, Writer};
use reef_server::Store;

/// Different keys per thread.
const KEYS: usize = 100_000;
const ROUNDS: usize = 7;
const COMMANDS: usize = 400_000;

fn main() {
    if std::env::args().any(|argument| argument == "growth") {
        return growth();
    }
    println!("{:10} {:>12} {:>12} {:>8}", "command", "1 thread ns", "2 threads ns", "speed-up");
    measure("PING", |_| "*1\r\n$4\r\nPING\r\n".to_owned());
    measure("SET", |key| set(key, &"v".repeat(100)));
    measure("GET", |key| format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()));
    measure("INCR", |key| format!("*2\r\n$4\r\nINCR\r\n${}\r\nn{key}\r\n", key.len() + 1));
}

/// Times each of ten million writes of new keys.
fn growth() {
    const KEYS: usize = 10_000_000;
    let store = Store::new(7, 1, Settings::default());
    let mut times_ns = Vec::with_capacity(KEYS);
    for index in 0..KEYS {
        let command = set(&format!("key:{index:012}"), "a value");
        let start = Instant::now();
        run(&store, command.as_bytes(), 1);
        times_ns.push(start.elapsed().as_nanos() as u64);
    }
    times_ns.sort_unstable();
    let at = |share: f64| times_ns[((KEYS - 1) as f64 * share) as usize] as f64 / 1e3;
    println!(
        "{KEYS} new keys, us a write: median {:.2}, p99.9 {:.2}, p99.999 {:.1}, slowest {:.1}",
        at(0.5),
        at(0.999),
        at(0.999_99),
        at(1.0)
    );
    let stalls = times_ns.iter().filter(|time| **time > 2_000_000).count();
    println!("writes above 2 ms: {stalls}");
}

fn set(key: &str, value: &str) -> String {
    format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
}

/// Runs one kind of command with one and with two threads, alternating, and prints the medians.
fn measure(name: &str, command: fn(&str) -> String) {
    let store = Store::new(7, 64, Settings::default());
    let input = |thread: usize, make: fn(&str) -> String| -> Vec<u8> {
        (0..KEYS)
            .map(|i| make(&format!("key:{thread}:{:09}", scatter(i))))
            .collect::<String>()
            .into()
    };
    let inputs: Vec<Vec<u8>> = (0..2).map(|thread| input(thread, command)).collect();
    let values: Vec<Vec<u8>> =
        (0..2).map(|thread| input(thread, |key| set(key, &"v".repeat(100)))).collect();
    if name == "GET" {
        values.iter().for_each(|values| run(&store, values, KEYS));
    }
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(time(&store, &inputs[..1]));
        two.push(time(&store, &inputs));
    }
    let (one, two) = (median(&mut one), median(&mut two));
    println!("{name:10} {one:>12.0} {two:>12.0} {:>8.2}", 2.0 * one / two);
}

/// Nanoseconds per command and thread.
fn time(store: &Arc<Store>, inputs: &[Vec<u8>]) -> f64 {
    let barrier = Barrier::new(inputs.len());
    let slowest = std::thread::scope(|scope| {
        let threads: Vec<_> = inputs
            .iter()
            .map(|input| {
                scope.spawn(|| {
                    barrier.wait();
                    let start = Instant::now();
                    run(store, input, COMMANDS);
                    start.elapsed()
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default()
    });
    slowest.as_nanos() as f64 / COMMANDS as f64
}

/// Executes the commands of `input` round and round.
fn run(store: &Arc<Store>, input: &[u8], commands: usize) {
    let limits = Limits { bulk_bytes_max: 1 << 29, authenticated: true };
    let mut decoder = Decoder::new();
    let mut session = Session::new(1, "default".into(), true);
    let mut reply = Writer::new(Protocol::Resp2);
    let mut host = reef_server::BatchHost::default();
    let moment = store.moment(Millis::new(1_767_225_600_000), Conditions::default);
    let mut rest = input;
    for index in 0..commands {
        if rest.is_empty() {
            rest = input;
        }
        let Ok(Progress::Command { used }) = decoder.decode(rest, &limits) else { break };
        store.execute(&moment, &mut session, decoder.argv(rest), &mut reply, &mut host);
        rest = &rest[used..];
        if index % 16 == 15 {
            reply.clear();
        }
    }
}

fn scatter(index: usize) -> usize {
    index.wrapping_mul(2_654_435_761) % 1_000_000_007 % 1_000_000_000
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
