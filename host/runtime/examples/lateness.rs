//! How late calls are stopped: after their budget of CPU, and after PLUGIN KILL.
//!
//! `cargo run --release -p reef-runtime --example lateness [calls] [spinning plugins beside]`
//!
//! A call that spins is begun, and the time until its error arrives is taken on the wall clock. On a
//! machine that others use, a thread that does not get a core is late through nobody's fault: run it
//! at real-time priority (`sysctl -w kernel.sched_rt_runtime_us=-1`, `chrt -f 10 ...`). Exits with 1 if
//! a budget is overrun by more than the promise.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod stub;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reef_engine::backend::{Called, Caller, Completion, Conclusion, Extension, Late};
use reef_resp::{OwnedArgv, Protocol, Writer};
use reef_runtime::{GrantRequest, LoadRequest, Options, Plugins, Runtime, Source};

use stub::Stub;

/// The budget of the calls that are measured.
const BUDGET: Duration = Duration::from_millis(10);
/// What is promised of 99 in 100 calls.
const LATE_MAX: Duration = Duration::from_millis(2);

/// A runtime with one hostile plugin.
struct Victim {
    backend: Arc<Stub>,
    plugins: Arc<Plugins>,
}

impl Victim {
    fn new(runtime: &Runtime, cpu_ms: u128) -> Self {
        let backend = Arc::new(Stub::default());
        let plugins = runtime.plugins(backend.clone());
        let component = reef_bundled::hostile::HOSTILE.to_vec();
        let mut request = LoadRequest::new("hostile", Source::Bytes(component.into()));
        request.grants = GrantRequest::AllWanted;
        request.limits = vec![("cpu-ms".into(), cpu_ms.to_string())];
        plugins.load(request).expect("the hostile guest loads");
        Self { backend, plugins }
    }

    /// Begins a call; where its reply and the instant of it arrive.
    fn begin(&self, command: &str) -> mpsc::Receiver<(Instant, Vec<u8>)> {
        let argv: OwnedArgv = [command].iter().collect();
        let caller = Caller { client_id: 1, user: "default".into(), database: 0 };
        let (sender, receiver) = mpsc::channel();
        let mut reply = Writer::new(Protocol::Resp2);
        let again = sender.clone();
        let mut later = || -> Conclusion {
            let sender = again.clone();
            Box::new(move |late| {
                let Late::Reply(bytes) = late else { unreachable!("nothing here parks") };
                // Whoever no longer waits has its figures.
                drop(sender.send((Instant::now(), bytes)));
            })
        };
        let number = self.backend.number(command);
        let argv = argv.as_argv();
        let called = self.plugins.call(number, None, &caller, argv, &mut reply, &mut later);
        if matches!(called, Called::Done) {
            sender.send((Instant::now(), reply.take_data())).expect("it is not gone yet");
        }
        receiver
    }

    /// A call that succeeds, so that failures are not in a row.
    fn succeed(&self) {
        let (_, reply) = self.begin("HOSTILE.OK").recv().expect("a reply");
        assert_eq!(reply, b"+OK\r\n");
    }

    fn kill(&self) {
        let argv: OwnedArgv = ["PLUGIN", "KILL", "hostile"].iter().collect();
        let mut later = || -> Completion { unreachable!("killing is done at once") };
        let mut reply = Writer::new(Protocol::Resp2);
        self.plugins.administer(argv.as_argv(), &mut reply, &mut later);
    }
}

fn main() -> ExitCode {
    let argument = |at| std::env::args().nth(at).and_then(|word| word.parse().ok());
    let calls: usize = argument(1).unwrap_or(500);
    let beside: usize = argument(2).unwrap_or(0);
    let runtime = Runtime::new(&Options::default()).expect("a runtime");
    let victim = Victim::new(&runtime, BUDGET.as_millis());
    let patient = Victim::new(&runtime, 60_000);
    // Each has a share of the threads, so the victim's budget takes that much longer to be used.
    let spinners: Vec<Victim> = (0..beside).map(|_| Victim::new(&runtime, 60_000)).collect();
    let spinning: Vec<_> = spinners.iter().map(|spinner| spinner.begin("HOSTILE.LOOP")).collect();

    let budget = (0..calls).map(|_| {
        victim.succeed();
        let began = Instant::now();
        let (at, reply) = victim.begin("HOSTILE.LOOP").recv().expect("a reply");
        assert!(reply.starts_with(b"-TIMEOUT "), "{}", reply.escape_ascii());
        at.duration_since(began).saturating_sub(BUDGET)
    });
    let mut budget: Vec<Duration> = budget.collect();
    let kills = (0..calls).map(|number| {
        let call = patient.begin("HOSTILE.LOOP");
        std::thread::sleep(Duration::from_micros(3_000 + 137 * (number as u64 % 31)));
        let began = Instant::now();
        patient.kill();
        let (at, reply) = call.recv().expect("a reply");
        assert!(reply.starts_with(b"-KILLED "), "{}", reply.escape_ascii());
        at.duration_since(began)
    });
    let mut kills: Vec<Duration> = kills.collect();
    println!("{calls} calls each, {beside} other plugins spinning; milliseconds late");
    let p99 = show("budget of CPU", &mut budget);
    show("PLUGIN KILL", &mut kills);
    spinners.iter().for_each(Victim::kill);
    drop(spinning);
    if beside == 0 && p99 > LATE_MAX {
        println!("that is more than {LATE_MAX:?} at p99");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prints the percentiles; the 99th.
fn show(what: &str, values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    let ms = |share| at(share).as_secs_f64() * 1e3;
    println!(
        "{what:<16} p50 {:>7.3}  p90 {:>7.3}  p99 {:>7.3}  most {:>7.3}",
        ms(0.5),
        ms(0.9),
        ms(0.99),
        ms(1.0)
    );
    at(0.99)
}
