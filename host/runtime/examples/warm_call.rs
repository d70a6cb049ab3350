//! What a warm call costs in process: nothing done, and a batch of five commands, over a backend
//! that does nothing either.
//!
//! `cargo run --release -p reef-runtime --example warm_call [part of a line's name]`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod stub;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reef_engine::backend::{Called, Caller, Conclusion, Extension};
use reef_resp::{OwnedArgv, Protocol, Writer};
use reef_runtime::{GrantRequest, LoadRequest, Options, Plugins, Runtime, Source};

use stub::Stub;

/// Rounds of which the best and the median are shown.
const ROUNDS: usize = 15;
const CALLS_PER_ROUND: u32 = 100_000;

struct Bench {
    threads: Runtime,
    runtime: Arc<Plugins>,
    backend: Arc<Stub>,
}

impl Bench {
    fn new(options: &Options) -> Self {
        let backend = Arc::new(Stub::default());
        let threads = Runtime::new(options).expect("a runtime");
        let runtime = threads.plugins(backend.clone());
        Self { threads, runtime, backend }
    }

    fn load(&self) -> Duration {
        let component = reef_bundled::hostile::NOOP.to_vec();
        let mut request = LoadRequest::new("noop", Source::Bytes(component.into()));
        request.grants = GrantRequest::AllWanted;
        let began = Instant::now();
        self.runtime.load(request).expect("noop loads");
        began.elapsed()
    }

    /// Prints nanoseconds per call of `words`.
    fn measure(&self, what: &str, words: &[&str]) {
        if std::env::args().nth(1).is_some_and(|part| !what.contains(&part)) {
            return;
        }
        let number = self.backend.number(words[0]);
        let argv: OwnedArgv = words.iter().collect();
        let caller = Caller { client_id: 1, user: "default".into(), database: 0 };
        let mut reply = Writer::new(Protocol::Resp2);
        let mut later = || -> Conclusion { Box::new(|_| ()) };
        let mut overstayed = 0;
        let mut round = || {
            let began = Instant::now();
            for _ in 0..CALLS_PER_ROUND {
                reply.clear();
                let argv = argv.as_argv();
                let called = self.runtime.call(number, None, &caller, argv, &mut reply, &mut later);
                overstayed += u32::from(matches!(called, Called::Later));
            }
            began.elapsed().as_nanos() as f64 / f64::from(CALLS_PER_ROUND)
        };
        round();
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
        rounds.sort_by(f64::total_cmp);
        println!(
            "{what:<28} best {:>5.0} ns, median {:>5.0} ns a call; {overstayed} overstayed; {}",
            rounds[0],
            rounds[ROUNDS / 2],
            String::from_utf8_lossy(reply.data()).escape_debug(),
        );
    }
}

fn main() {
    let dir = std::env::temp_dir().join(format!("reef-warm-call-{}", std::process::id()));
    let options = Options { cache_dir: Some(dir.clone()), ..Options::default() };
    let compiled = Bench::new(&options).load();
    let mut cached: Vec<Duration> = (0..9).map(|_| Bench::new(&options).load()).collect();
    cached.sort_unstable();
    println!(
        "load of {} KiB: compiled {compiled:.1?}; from the cache best {:.2?}, median {:.2?}",
        reef_bundled::hostile::NOOP.len() / 1024,
        cached[0],
        cached[4],
    );
    let bench = Bench::new(&options);
    bench.load();
    println!("instances come from a pool of {:?}", bench.threads.pooled_instances());
    bench.measure("nothing", &["NOOP.CALL"]);
    bench.measure("echo of 16 bytes", &["NOOP.ECHO", "0123456789abcdef"]);
    bench.measure("a batch of 5, no replies", &["NOOP.BATCH", "key", "5", "value"]);
    drop(bench);
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        eprintln!("{} stays behind: {error}", dir.display());
    }
}
