//! How far a replica is behind its primary while others write, beside redis-server.
//! `cargo bench -p reef --bench replication [-- SECONDS ROUNDS]`
//!
//! Each pair of servers, Reef's and the redis-server's on PATH, has the same work: clients that send
//! pipelines of SET at a steady pace, so many commands a second. Meanwhile one client sets a key and
//! waits until the replica has it (`SET`, `WAIT 1`), again and again: what it sees is the lag. Rounds
//! alternate between the two; figures are medians over the rounds. A pace, and not as many commands as
//! come through: whoever serves more of them in the same time would be measured beside more work. Exits
//! with 1 if Reef's 99th percentile is above redis-server's by more than the noise of such a run.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use servers::{Server, median};

/// SETs a second that others send.
const RATES: [usize; 4] = [20_000, 100_000, 200_000, 300_000];
/// Connections that send them.
const WRITERS: usize = 20;
/// Time between two pipelines of a connection.
const PACE: Duration = Duration::from_millis(1);
/// Keys that they write, and the bytes of a value.
const KEYS: usize = 100_000;
const VALUE_BYTES: usize = 100;
/// What is taken of a round.
const FIGURES: [&str; 2] = ["lag p50 us", "lag p99 us"];
/// What a ratio of percentiles may be off by in one run.
const NOISE: f64 = 1.1;

/// A primary and its replica, in step.
struct Pair {
    primary: Server,
    _replica: Server,
}

impl Pair {
    fn start(start: fn(&[&str]) -> Server) -> Self {
        let primary = start(&["--repl-diskless-sync-delay", "0"]);
        let of = format!("127.0.0.1 {}", primary.port);
        let replica = start(&["--replicaof", &of]);
        let mut connection = primary.connect();
        let in_step = || {
            let mut wait = redis::cmd("WAIT");
            wait.arg(1).arg(100).query::<u64>(&mut connection).is_ok_and(|count| count == 1)
        };
        assert!(std::iter::repeat_with(in_step).take(600).any(|done| done), "no replica came");
        Self { primary, _replica: replica }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.primary.port)).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    /// The lag that a client sees for a while beside so many SETs a second.
    fn round(&self, time: Duration, rate: usize) -> [f64; FIGURES.len()] {
        let is_over = AtomicBool::new(false);
        let mut lags = thread::scope(|scope| {
            scope.spawn(|| self.write(rate, &is_over));
            thread::sleep(time / 4);
            let lags = self.lags(time);
            is_over.store(true, Ordering::Release);
            lags
        });
        lags.sort_unstable();
        [0.5, 0.99]
            .map(|share| lags[((lags.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6)
    }

    /// Sends so many SETs a second, whatever comes back, until it is over.
    fn write(&self, rate: usize, is_over: &AtomicBool) {
        let mut writers: Vec<TcpStream> = (0..WRITERS).map(|_| self.connect()).collect();
        for writer in &writers {
            writer.set_nonblocking(true).expect("a socket");
        }
        let at_once =
            ((rate as f64 * PACE.as_secs_f64()) / WRITERS as f64).round().max(1.0) as usize;
        // At low rates some of them have nothing to send at a time.
        let pace = Duration::from_secs_f64((at_once * WRITERS) as f64 / rate as f64);
        let pipelines: Vec<Vec<u8>> = (0..WRITERS * 16).map(|nth| pipeline(nth, at_once)).collect();
        let mut next = pipelines.iter().cycle();
        let (mut due, mut replies) = (Instant::now(), vec![0; 1 << 16]);
        while !is_over.load(Ordering::Acquire) {
            due += pace;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            for writer in &mut writers {
                // They are not looked at.
                let _ = writer.read(&mut replies);
                let pipeline = next.next().expect("it has no end");
                writer.write_all(pipeline).expect("the server keeps up");
            }
        }
    }

    /// How long each of a client's writes takes until the replica has it.
    fn lags(&self, time: Duration) -> Vec<Duration> {
        let mut client = self.connect();
        let (mut replies, mut lags) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while began.elapsed() < time {
            let sent = Instant::now();
            client.write_all(b"SET lag 1\r\nWAIT 1 5000\r\n").expect("sent");
            replies.clear();
            while replies.iter().filter(|byte| **byte == b'\n').count() < 2 {
                let mut buffer = [0; 256];
                let read = client.read(&mut buffer).expect("a reply");
                replies.extend_from_slice(&buffer[..read]);
            }
            assert_eq!(replies, b"+OK\r\n:1\r\n", "{}", replies.escape_ascii());
            lags.push(sent.elapsed());
        }
        lags
    }
}

/// SETs of different keys.
fn pipeline(nth: usize, count: usize) -> Vec<u8> {
    let value = "x".repeat(VALUE_BYTES);
    let mut bytes = Vec::new();
    for index in 0..count {
        let key = format!("key:{:012}", (nth * count + index) * 7_919 % KEYS);
        let set = format!("*3\r\n$3\r\nSET\r\n$16\r\n{key}\r\n${VALUE_BYTES}\r\n{value}\r\n");
        bytes.extend_from_slice(set.as_bytes());
    }
    bytes
}

fn main() -> ExitCode {
    // Cargo adds words of its own.
    let numbers: Vec<f64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let time = Duration::from_secs_f64(numbers.first().copied().unwrap_or(2.0));
    let rounds = numbers.get(1).map_or(5, |rounds| *rounds as usize);
    let (reef, redis) = (Pair::start(Server::reef), Pair::start(Server::redis));
    let mut kept = true;
    for rate in RATES {
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            seen[0].push(reef.round(time, rate));
            seen[1].push(redis.round(time, rate));
        }
        println!("{rate} SETs a second, medians of {rounds} rounds");
        for (at, what) in FIGURES.into_iter().enumerate() {
            let [reef, redis] = seen
                .each_ref()
                .map(|rounds| median(&mut rounds.iter().map(|one| one[at]).collect::<Vec<_>>()));
            let ratio = reef / redis;
            println!("{what:<12} reef {reef:>8.0}  redis-server {redis:>8.0}  ratio {ratio:.2}");
            // The figures' order is that of their names.
            kept &= at != 1 || ratio <= NOISE;
        }
    }
    if !kept {
        println!("a replica is further behind than redis-server's");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
