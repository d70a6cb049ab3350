//! What a plugin that always takes its time costs the other clients of its server.
//! `cargo bench -p reef --bench neighbour [-- SECONDS ROUNDS]`
//!
//! Clients run GET and SET: some at a steady pace, whose latency is taken, then as fast as they can,
//! whose throughput is taken. Rounds alternate between a server left alone and one on which several
//! connections call a command that burns CPU until shortly before its deadline, for ever; it succeeds,
//! so that no pause helps; and one beside which another program does nothing but spin, at the
//! lowest priority there is: what that costs is the machine's, not the server's. Figures are medians over the
//! rounds. Exits with 1 if the ratio of the paced clients' p99 is above the promise.
//!
//! Everything shares the cores of this machine: what others do on it counts as well. At real-time
//! priority (`chrt -f 10`, `sysctl -w kernel.sched_rt_runtime_us=-1`) it does not.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use servers::{Server, median};

/// Connections that call the slow command.
const SPINNERS: usize = 4;
/// Connections whose latency is taken.
const CLIENTS: usize = 4;
/// CPU that such a call burns.
const BURN_MS: u64 = 45;
/// What is taken of a round; the last is how much of one core the slow calls had, as they see it.
const FIGURES: [&str; 4] = ["paced p50 us", "paced p99 us", "unpaced ops/s", "spinning %"];
/// The argument that makes this program the one beside.
const SPIN: &str = "spin-at-the-lowest-priority";
/// Time between two commands of a paced client.
const PACE: Duration = Duration::from_micros(800);
/// What is promised of the 99th percentile.
const RATIO_MAX: f64 = 1.5;

/// A server with a plugin whose calls may burn CPU for a while.
fn start(io_threads: usize) -> Server {
    let server = Server::reef(&["--io-threads", &io_threads.to_string()]);
    let words = ["GET", "SET", "SADD", "INCR", "LLEN", "RPUSH", "COPY", "~*"];
    let mut load = redis::cmd("PLUGIN");
    load.arg("LOAD").arg("hostile").arg(reef_bundled::hostile::HOSTILE);
    load.arg("GRANT").arg(&words).arg(&["LIMIT", "cpu-ms", "50"]);
    load.query::<()>(&mut server.connect()).expect("it is loaded");
    server
}

/// A connection that sends one command at a time.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn of(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: vec![0; 4096] }
    }

    fn ask(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            command.extend_from_slice(word);
            command.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&command).expect("sent");
        let read = self.stream.read(&mut self.buffer).expect("a reply");
        // The replies of these commands are short.
        self.buffer[..read].to_vec()
    }
}

/// What clients saw in a round.
struct Round {
    p99_us: f64,
    p50_us: f64,
    per_s: f64,
}

/// Runs clients for a while; with a pace, each sends one command in so much time.
fn load(server: &Server, time: Duration, pace: Option<Duration>) -> Round {
    let began = Instant::now();
    let client = |number: usize| {
        let mut client = Client::of(server);
        let key = format!("key-{number}");
        let mut latencies = Vec::new();
        let mut next = began;
        while began.elapsed() < time {
            if let Some(pace) = pace {
                next += pace;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            let sent = Instant::now();
            if latencies.len() % 2 == 0 {
                client.ask(&[b"SET", key.as_bytes(), b"0123456789abcdef"]);
            } else {
                client.ask(&[b"GET", key.as_bytes()]);
            }
            latencies.push(sent.elapsed());
        }
        latencies
    };
    let mut all: Vec<Duration> = thread::scope(|scope| {
        let client = &client;
        let threads: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect()
    });
    all.sort_unstable();
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    Round { p99_us: at(0.99), p50_us: at(0.5), per_s: all.len() as f64 / time.as_secs_f64() }
}

/// What runs beside the clients of a round.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    Calls,
    Program,
}

/// A program that spins until it is dropped.
struct Program(Child);

impl Program {
    fn start() -> Self {
        let this = std::env::current_exe().expect("this program");
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(this).arg(SPIN);
        Self(command.spawn().expect("util-linux has chrt"))
    }

    /// What it does.
    fn run() -> ! {
        loop {
            std::hint::spin_loop();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it ends");
    }
}

/// Paced latency and unpaced throughput of one round.
fn round(server: &Server, time: Duration, beside: Beside) -> [f64; FIGURES.len()] {
    let spun = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let _program = (beside == Beside::Program).then(Program::start);
    thread::scope(|scope| {
        for _ in 0..if beside == Beside::Calls { SPINNERS } else { 0 } {
            scope.spawn(|| {
                let mut client = Client::of(server);
                while !is_over.load(Ordering::Acquire) {
                    let reply = client.ask(&[b"HOSTILE.BURN", BURN_MS.to_string().as_bytes()]);
                    assert_eq!(reply, b"+OK\r\n", "{}", reply.escape_ascii());
                    spun.fetch_add(BURN_MS, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(Duration::from_millis(100));
        let paced = load(server, time, Some(PACE));
        let unpaced = load(server, time, None);
        is_over.store(true, Ordering::Release);
        let cores = spun.load(Ordering::Relaxed) as f64 / 1e3 / (2.0 * time.as_secs_f64());
        [paced.p50_us, paced.p99_us, unpaced.per_s, 100.0 * cores]
    })
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == SPIN) {
        Program::run();
    }
    // Cargo adds words of its own.
    let numbers: Vec<f64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let time = Duration::from_secs_f64(numbers.first().copied().unwrap_or(1.5));
    let rounds = numbers.get(1).map_or(7, |rounds| *rounds as usize);
    let mut kept = true;
    for io_threads in [1, 2] {
        let server = start(io_threads);
        let (mut alone, mut calls, mut program) = (Vec::new(), Vec::new(), Vec::new());
        round(&server, time / 4, Beside::Calls);
        for _ in 0..rounds {
            alone.push(round(&server, time, Beside::Nothing));
            calls.push(round(&server, time, Beside::Calls));
            program.push(round(&server, time, Beside::Program));
        }
        println!("io-threads {io_threads}: medians of {rounds} rounds, {SPINNERS} calls spin");
        for (at, what) in FIGURES.into_iter().enumerate() {
            let of = |rounds: &[[f64; FIGURES.len()]]| {
                median(&mut rounds.iter().map(|round| round[at]).collect::<Vec<_>>())
            };
            let (alone, calls, program) = (of(&alone), of(&calls), of(&program));
            println!(
                "{what:<14} alone {alone:>9.0}  beside calls {calls:>9.0}  ratio {:.2}  \
                 beside a program {program:>9.0}  ratio {:.2}",
                calls / alone,
                program / alone
            );
            // The figures' order is that of their names.
            kept &= at != 1 || calls / alone <= RATIO_MAX;
        }
    }
    if !kept {
        println!("p99 is more than {RATIO_MAX} times what it is alone");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
