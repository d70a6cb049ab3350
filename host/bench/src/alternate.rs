//! Measures each mix on one server, or on two in turn: warm-up A, warm-up B, then A B A B ...
//!
//! Alternation within seconds is what makes the ratio solid on a machine whose speed drifts.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::BenchArgs;
use crate::client::{Client, info_field};
use crate::error::BenchError;
use crate::fleet::{Budget, Fleet, Plan};
use crate::measurement::{Measurement, Round, Tally};
use crate::mix::Mix;
use crate::process::Process;
use crate::report::{self, Report};
use crate::setup;
use crate::target::Target;

/// A server ready to be measured.
pub(crate) struct Server {
    /// Address and version, as shown.
    pub(crate) name: String,
    pub(crate) client: Client,
    pub(crate) process: Option<Process>,
    pub(crate) target: Target,
}

impl Server {
    /// Enters the servers that `args` names, and empties them if told to.
    pub(crate) fn all(args: &BenchArgs) -> Result<Vec<Self>, BenchError> {
        let urls = std::iter::once(&args.url).chain(&args.against);
        // All URLs are checked before the first connection is made.
        let targets = urls.map(|url| Target::parse(url)).collect::<Result<Vec<_>, _>>()?;
        targets.into_iter().map(|target| Self::enter(target, args)).collect()
    }

    fn enter(target: Target, args: &BenchArgs) -> Result<Self, BenchError> {
        let mut client = Client::connect(&target, args.resp3)?;
        if args.flush {
            client.call(&["FLUSHALL"])?;
        }
        let info = client.info("server").unwrap_or_default();
        let versions = ["reef", "valkey", "redis"];
        let version = versions.iter().find_map(|kind| {
            Some(format!("{kind} {}", info_field(&info, &format!("{kind}_version"))?))
        });
        let name = match version {
            Some(version) => format!("{} ({version})", target.label),
            None => target.label.clone(),
        };
        let process = Process::of_server(&client, &info);
        Ok(Self { name, client, process, target })
    }
}

/// Measures every mix and reports it.
pub(crate) fn run(args: &BenchArgs, out: &mut dyn Write) -> Result<(), BenchError> {
    let data = data(args);
    let mixes = mixes(args, &data)?;
    let mut servers = Server::all(args)?;
    let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
    let mut fleets = Vec::new();
    for server in &servers {
        fleets.push(Fleet::connect(&server.target, args.connections, args.threads, args.resp3)?);
    }
    let runs = u64::from(args.rounds) + u64::from(args.warmup > 0.0);
    let progress = progress((mixes.len() * servers.len()) as u64 * runs);
    if args.load {
        for (server, fleet) in servers.iter().zip(&mut fleets) {
            progress.set_message(format!("loading {}", server.name));
            setup::fill(setup::KEY_COMMAND, args, &data, fleet)?;
        }
    }
    let label_width = mixes.iter().map(|mix| mix.label.chars().count()).max().unwrap_or(0);
    let mut report = Report::new(args, &names, label_width);
    progress.suspend(|| report.begin(out)).map_err(BenchError::Output)?;
    for mix in &mixes {
        for (server, fleet) in servers.iter_mut().zip(&mut fleets) {
            progress.set_message(format!("{} preparing {}", mix.label, server.name));
            setup::prepare(mix, args, &data, &mut server.client, fleet)?;
        }
        let measurements = measure(mix, args, &servers, &mut fleets, &progress)?;
        progress
            .suspend(|| report.mix(&mix.label, &measurements, out))
            .map_err(BenchError::Output)?;
    }
    progress.finish_and_clear();
    report.end(out).map_err(BenchError::Output)
}

fn measure(
    mix: &Mix,
    args: &BenchArgs,
    servers: &[Server],
    fleets: &mut [Fleet],
    progress: &ProgressBar,
) -> Result<Vec<Measurement>, BenchError> {
    let budget = match args.requests {
        Some(requests) => Budget::Operations(requests),
        None => Budget::Time(Duration::from_secs_f64(args.seconds)),
    };
    let plan = |seed, budget| Plan {
        mix,
        pipeline: args.pipeline,
        keys: args.keys,
        seed,
        budget,
        stall: Duration::from_secs_f64(args.stall),
    };
    if args.warmup > 0.0 {
        let budget = Budget::Time(Duration::from_secs_f64(args.warmup));
        for (server, fleet) in servers.iter().zip(&mut *fleets) {
            progress.set_message(format!("{} warm-up {}", mix.label, server.name));
            fleet.run(plan(args.seed, budget))?;
            progress.inc(1);
        }
    }
    let mut measurements: Vec<Measurement> = servers.iter().map(|_| Measurement::new()).collect();
    for round in 1..=args.rounds {
        // Both servers get the same keys in a round, and other keys in the next.
        let plan = plan(args.seed.wrapping_add(u64::from(round)), budget);
        for ((server, fleet), measurement) in
            servers.iter().zip(&mut *fleets).zip(&mut measurements)
        {
            progress.set_message(format!("{} round {round} {}", mix.label, server.name));
            let (tally, figures) = measure_round(server, fleet, plan)?;
            measurement.total.add(tally);
            measurement.rounds.push(figures);
            progress.inc(1);
        }
    }
    Ok(measurements)
}

fn measure_round(
    server: &Server,
    fleet: &mut Fleet,
    plan: Plan<'_>,
) -> Result<(Tally, Round), BenchError> {
    let server_cpu = || server.process.and_then(Process::cpu);
    let (server_before, own_before) = (server_cpu(), Process::own().cpu());
    let tally = fleet.run(plan)?;
    let (server_after, own_after) = (server_cpu(), Process::own().cpu());
    let used = |before: Option<Duration>, after: Option<Duration>| {
        after?.checked_sub(before?).filter(|used| *used >= CPU_MIN)
    };
    let figures =
        Round::new(&tally, used(server_before, server_after), used(own_before, own_after));
    Ok((tally, figures))
}

/// The loads asked for, in the order given; commands of the user's own last.
fn mixes(args: &BenchArgs, data: &[u8]) -> Result<Vec<Mix>, BenchError> {
    let default = ["set".to_owned(), "get".to_owned()];
    let named: &[String] =
        if args.mix.is_empty() && args.command.is_empty() { &default } else { &args.mix };
    let named = named.iter().map(|text| Mix::parse(text, data));
    named.chain(args.command.iter().map(|text| Mix::custom(text, data))).collect()
}

/// The value that commands carry: printable, and not so regular that it compresses to nothing.
pub(crate) fn data(args: &BenchArgs) -> Vec<u8> {
    let mut state = args.seed | 1;
    let letters = std::iter::repeat_with(|| {
        // Xorshift; quality does not matter here.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'a' + (state % 26) as u8
    });
    letters.take(args.value_bytes as usize).collect()
}

/// A bar on standard error; nothing at all when that is no terminal.
pub(crate) fn progress(steps: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
    // One redraw a second shows life and costs nothing that could be measured.
    bar.enable_steady_tick(Duration::from_secs(1));
    match ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The kernel counts CPU in steps of 10 ms: what is less than this is noise, not a figure.
const CPU_MIN: Duration = Duration::from_millis(50);

/// Says in one line what is measured.
pub(crate) fn headline(args: &BenchArgs) -> String {
    let length = match args.requests {
        Some(requests) => format!("{} operations", report::grouped(requests as f64)),
        None => format!("{} s", args.seconds),
    };
    format!(
        "{} connections, pipeline {}, values of {} bytes, {} keys, {} x {length}, {}",
        args.connections,
        args.pipeline,
        args.value_bytes,
        args.keys,
        args.rounds,
        if args.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", args.threads) },
    )
}
