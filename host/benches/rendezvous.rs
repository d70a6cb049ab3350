//! What the rendezvous promises about many registrations. `cargo bench -p reef --bench rendezvous
//! [-- ROUNDS]`
//!
//! - Finding a thousand of a hundred thousand registrations, each with a time of its own, against
//!   HGETALL of a thousand fields of redis-server: both replies go to the same client, one at a time;
//!   medians of latencies, rounds alternate.
//! - How late a watcher hears of ends among a hundred thousand other keys that expire meanwhile.
//!
//! What waiting costs is measured by `reef bench --waiters N --rendezvous`. Exits with 1 if a promise is
//! not kept.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod servers;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use servers::{Server, median};

const NAME_SPACES: usize = 100;
const REGISTRATIONS: usize = 1_000;
/// Calls in a round.
const CALLS: usize = 50;
/// What is promised of the latencies.
const RATIO_MAX: f64 = 2.0;

/// Ends that are timed, and other keys that expire in the same seconds.
const ENDS: usize = 1_000;
const OTHERS: usize = 100_000;
/// What is promised of the 99th percentile.
const LATE_MAX: Duration = Duration::from_millis(50);

/// What is registered: an address such as programs of a test have.
fn address(number: usize) -> String {
    format!("/ip4/10.0.{}.{}/tcp/4001/p2p/12D3KooW{number:044}", number / 250, number % 250)
}

fn registered(reef: &Server) -> Connection {
    let mut connection = reef.connect();
    let all = NAME_SPACES * REGISTRATIONS;
    let mut open = redis::cmd("RDV.OPEN");
    open.arg("run").arg("TTL").arg(3_600).arg("REGISTRATIONS").arg(all);
    open.query::<()>(&mut connection).expect("a run");
    for ns in 0..NAME_SPACES {
        let mut registrations = redis::pipe();
        for number in 0..REGISTRATIONS {
            let register = registrations.cmd("RDV.REGISTER").arg("run").arg(format!("ns-{ns}"));
            register.arg(address(number)).arg("TTL").arg(3_000).ignore();
        }
        registrations.query::<()>(&mut connection).expect("registered");
    }
    connection
}

fn filled(redis: &Server) -> Connection {
    let mut connection = redis.connect();
    for ns in 0..NAME_SPACES {
        let mut fields = redis::cmd("HSET");
        fields.arg(format!("ns-{ns}"));
        for number in 0..REGISTRATIONS {
            fields.arg(number).arg(address(number));
        }
        fields.query::<()>(&mut connection).expect("filled");
    }
    connection
}

/// Microseconds of the calls, each for another name space, and the server's CPU for one.
fn round(
    server: &Server,
    connection: &mut Connection,
    command: impl Fn(String) -> redis::Cmd,
) -> (f64, f64) {
    let cpu = server.cpu();
    let mut took: Vec<f64> = (0..CALLS)
        .map(|call| {
            let command = command(format!("ns-{}", call % NAME_SPACES));
            let begun = Instant::now();
            let reply: Value = command.query(connection).expect("a reply");
            let took = begun.elapsed().as_secs_f64() * 1e6;
            assert!(!matches!(reply, Value::Nil), "{reply:?}");
            took
        })
        .collect();
    let cpu = server.cpu().saturating_sub(cpu).as_secs_f64() * 1e6 / CALLS as f64;
    (median(&mut took), cpu)
}

/// Latencies of both, and their ratio, as printed; whether the promise is kept.
fn discover(rounds: usize) -> bool {
    let (reef, redis) = (Server::reef(&["--io-threads", "1"]), Server::redis(&[]));
    let (mut ours, mut theirs) = (registered(&reef), filled(&redis));
    let find = |ns: String| redis::cmd("RDV.FIND").arg("run").arg(ns).to_owned();
    let hgetall = |ns: String| redis::cmd("HGETALL").arg(ns).to_owned();
    let (mut finds, mut hgetalls, mut ratios, mut cpu) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (found, find_cpu) = round(&reef, &mut ours, find);
        let (got, hgetall_cpu) = round(&redis, &mut theirs, hgetall);
        finds.push(found);
        hgetalls.push(got);
        ratios.push(found / got);
        cpu.push((find_cpu, hgetall_cpu));
    }
    let ratio = median(&mut ratios);
    let cpu_us = |which: fn(&(f64, f64)) -> f64| cpu.iter().map(which).sum::<f64>() / rounds as f64;
    println!("{REGISTRATIONS} of {}, medians of {rounds} rounds", NAME_SPACES * REGISTRATIONS);
    println!("RDV.FIND {:>7.0} us, CPU {:>6.0}", median(&mut finds), cpu_us(|cpu| cpu.0));
    println!("HGETALL  {:>7.0} us, CPU {:>6.0}", median(&mut hgetalls), cpu_us(|cpu| cpu.1));
    println!("ratio    {ratio:>7.2} ({:.2} to {:.2})", ratios[0], ratios[ratios.len() - 1]);
    ratio <= RATIO_MAX
}

/// How late ends are told, as printed; whether the promise is kept.
fn ends() -> bool {
    let server = Server::reef(&["--io-threads", "1"]);
    let mut connection = server.connect();
    redis::cmd("RDV.OPEN").arg(&["run", "TTL", "600"]).query::<()>(&mut connection).expect("a run");
    let mut others = redis::pipe();
    for number in 0..OTHERS {
        let ttl_ms = 1_500 + number % 3_000;
        others.cmd("SET").arg(format!("other:{number}")).arg("v").arg("PX").arg(ttl_ms).ignore();
    }
    others.query::<()>(&mut connection).expect("they are set");
    let mut due = HashMap::new();
    for number in 0..ENDS {
        let ttl = 1.5 + number as f64 * 0.003;
        let mut register = redis::cmd("RDV.REGISTER");
        register.arg(&["run", "ns", "v", "ID", &number.to_string(), "TTL", &ttl.to_string()]);
        // It cannot end earlier than this.
        due.insert(number.to_string(), Instant::now() + Duration::from_secs_f64(ttl));
        register.query::<()>(&mut connection).expect("registered");
    }
    let mut revision = ENDS as u64;
    let mut late = Vec::new();
    while late.len() < ENDS {
        let mut watch = redis::cmd("RDV.FIND");
        watch.arg(&["run", "ns", "SINCE", &revision.to_string(), "WAIT", "60"]);
        let (told, _, gone): (u64, Value, Vec<String>) =
            watch.query(&mut connection).expect("what has changed");
        revision = told;
        let now = Instant::now();
        let ended = gone.iter().filter_map(|id| due.remove(id));
        late.extend(ended.map(|due| now.saturating_duration_since(due)));
    }
    late.sort_unstable();
    let (p50, p99) = (late[ENDS / 2], late[ENDS * 99 / 100]);
    println!("{ENDS} ends among {OTHERS} others are told late by {p50:.1?} (p50), {p99:.1?} (p99)");
    p99 <= LATE_MAX
}

fn main() -> ExitCode {
    let rounds = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(15);
    let kept = [discover(rounds), ends()];
    if kept.contains(&false) {
        println!("the promise is {RATIO_MAX} times, and {LATE_MAX:?} at p99");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
