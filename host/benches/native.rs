//! What the sandbox costs: `TX.CREATE` by the plugin as a component, against the same code compiled
//! natively, over the same store in the same process. `cargo bench -p reef --bench native`
//!
//! Both take the same arguments, make the same batch and leave the same keys; the native one calls
//! the store directly and knows no border, no budget and no clock. What a kernel does for a client
//! is left out, so the ratio is the worst that a client can see. Exits with 1 if it is above the
//! promise.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::ExitCode;
use std::sync::Arc;

use reef_engine::backend::{self, Backend, Caller, CommandColumns, Conclusion, Extension, Items};
use reef_engine::clock::Millis;
use reef_engine::command::Runner;
use reef_engine::gates::Conditions;
use reef_engine::grants::Grants;
use reef_engine::session::Session;
use reef_engine::settings::Settings;
use reef_resp::{OwnedArgv, Protocol, Writer};
use reef_runtime::{GrantRequest, LoadRequest, Options, Plugins, Runtime, Source};
use reef_sdk::{
    Answer, Arguments, Batch, Budget, Cause, Client, EngineError, Host, Level, Outcome, Query,
    Replies, View,
};
use reef_server::Store;
use reef_tx_repo::PLUGIN;

const ROUNDS: usize = 15;
const CREATES: u64 = 50_000;

/// The promise.
const RATIO_MAX: f64 = 2.5;

fn main() -> ExitCode {
    let guest = Guest::new();
    let mut native = Native::new();
    let (mut guests, mut natives, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (one, other) = (guest.round(), native.round());
        if round > 0 {
            guests.push(one);
            natives.push(other);
            ratios.push(one / other);
        }
    }
    assert_eq!(guest.store.digest(), native.store.digest(), "both leave as many keys");
    let ratio = median(&mut ratios);
    println!("TX.CREATE, nanoseconds of CPU a call, median of {ROUNDS} rounds of {CREATES}");
    println!("as a component {:>8.0}", median(&mut guests));
    println!("natively       {:>8.0}", median(&mut natives));
    println!("ratio          {ratio:>8.2} (rounds {:.2} to {:.2})", ratios[0], ratios[ROUNDS - 1]);
    if ratio > RATIO_MAX {
        println!("that is more than {RATIO_MAX}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A store, and a client of it.
struct Data {
    store: Arc<Store>,
    caller: Caller,
}

impl Data {
    fn new() -> Self {
        let store = Store::new(7, 64, Settings::default());
        Self { store, caller: Caller { client_id: 1, user: "default".into(), database: 0 } }
    }

    /// Runs a command of the server's own; its reply.
    fn run(&self, words: &[&str]) -> Vec<u8> {
        let argv: OwnedArgv = words.iter().collect();
        let mut session = Session::new(1, "default".into(), true);
        let mut reply = Writer::new(Protocol::Resp2);
        let moment =
            self.store.moment(Millis::new(Backend::now_ms(&*self.store)), Conditions::default);
        let mut host = reef_server::BatchHost::default();
        self.store.execute(&moment, &mut session, argv.as_argv(), &mut reply, &mut host);
        reply.data().to_vec()
    }

    /// What tells whether two stores went through the same.
    fn digest(&self) -> Vec<Vec<u8>> {
        let count = |words: &[&str]| self.run(words);
        vec![
            count(&["DBSIZE"]),
            count(&["GET", "relayer:relayer-1:count"]),
            count(&["SCARD", "relayer:relayer-1:status:pending"]),
        ]
    }

    /// Nanoseconds per call, on an empty store.
    fn time(&self, mut create: impl FnMut(&[&str])) -> f64 {
        self.run(&["FLUSHALL"]);
        let began_ns = cpu_ns();
        for nonce in 0..CREATES {
            let nonce = nonce.to_string();
            create(&["TX.CREATE", "relayer-1", &nonce, "0x1234abcd", "1000000000000000000"]);
        }
        (cpu_ns() - began_ns) as f64 / CREATES as f64
    }
}

/// The component in the runtime.
struct Guest {
    store: Data,
    runtime: Arc<Plugins>,
}

impl Guest {
    fn new() -> Self {
        let store = Data::new();
        let threads = Runtime::new(&Options::default()).expect("a runtime");
        let runtime = threads.plugins(store.store.clone());
        let mut request = LoadRequest::new("tx-repo", Source::Bytes(reef_bundled::TX_REPO.into()));
        request.grants = GrantRequest::AllWanted;
        runtime.load(request).expect("the bundled plugin loads");
        Self { store, runtime }
    }

    fn round(&self) -> f64 {
        let registry = self.store.store.registry();
        let Some(Runner::Plugin(number)) = registry.get(b"TX.CREATE").map(|found| found.runner)
        else {
            unreachable!("the plugin is loaded");
        };
        let mut reply = Writer::new(Protocol::Resp2);
        let mut later = || -> Conclusion { Box::new(|_| ()) };
        self.store.time(|words| {
            let argv: OwnedArgv = words.iter().collect();
            reply.clear();
            let (caller, argv) = (&self.store.caller, argv.as_argv());
            self.runtime.call(number, None, caller, argv, &mut reply, &mut later);
        })
    }
}

/// The plugin's code, compiled with everything else.
struct Native {
    store: Data,
    grants: Grants,
    replies: Writer,
    seed: u64,
}

impl Native {
    fn new() -> Self {
        let replies = Writer::new(Protocol::Columns);
        Self { store: Data::new(), grants: Grants::all(), replies, seed: 7 }
    }

    fn round(&mut self) -> f64 {
        let data = Data { store: self.store.store.clone(), caller: self.store.caller.clone() };
        data.time(|words| {
            let lengths: Vec<u32> = words.iter().map(|word| word.len() as u32).collect();
            let bytes = words.concat();
            let arguments = Arguments::new(&lengths, bytes.as_bytes());
            let answer = PLUGIN.call(self, 0, Cause::Invoked, arguments);
            assert!(matches!(answer, Ok(Answer::Reply(_))), "{answer:?}");
        })
    }
}

/// Directly to the store. Only what a create needs: its batch wants no replies and nothing is read.
impl Host for Native {
    fn read(&mut self, _query: &Query) -> Result<View, EngineError> {
        Err(EngineError::Other("a create that nothing is in the way of reads nothing".to_owned()))
    }

    fn apply(&mut self, batch: &Batch) -> Result<Outcome, EngineError> {
        let param = batch.as_param();
        let (keys, absent) = (&param.guards.keys, &param.guards.absent);
        let batch = backend::Batch {
            guards: backend::Guards {
                keys: Items { lengths: keys.lengths, data: keys.data },
                versions: param.guards.versions,
                absent: Items { lengths: absent.lengths, data: absent.data },
            },
            commands: CommandColumns {
                counts: param.commands.counts,
                lengths: param.commands.lengths,
                data: param.commands.data,
            },
            on_error: backend::OnError::RollBack,
            discard_replies: true,
        };
        self.replies.clear();
        match self.store.store.apply(&self.store.caller, &self.grants, &batch, &mut self.replies) {
            Ok(backend::Outcome::Applied) => {
                Ok(Outcome::Applied(Replies { nodes: Vec::new(), data: Vec::new() }))
            }
            Ok(backend::Outcome::Stale(stale)) => Ok(Outcome::Stale(stale)),
            Err(error) => Err(EngineError::Other(format!("{error:?}"))),
        }
    }

    fn waiting(&mut self, _key: &[u8]) -> Result<u64, EngineError> {
        Ok(0)
    }

    fn incarnation(&mut self) -> u64 {
        1
    }

    fn watch_caller(&mut self, _key: &[u8]) -> reef_sdk::Result<()> {
        Ok(())
    }

    fn invoked_ms(&mut self) -> u64 {
        self.now_ms()
    }

    fn now_ms(&mut self) -> u64 {
        Backend::now_ms(&*self.store.store)
    }

    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.seed
    }

    fn config(&mut self, _key: &str) -> Option<String> {
        None
    }

    fn tenant(&mut self) -> String {
        String::new()
    }

    fn caller(&mut self) -> Client {
        Client { id: 1, user: "default".to_owned(), database: 0 }
    }

    fn remaining(&mut self) -> Budget {
        Budget { cpu_us: u64::MAX, host_calls: u32::MAX, bytes: u64::MAX }
    }

    fn log(&mut self, _level: Level, _message: &str) {}

    fn count(&mut self, _counter: &str, _delta: u64) {}
}

/// What this thread has used of its processor, so that others on the machine do not count.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
