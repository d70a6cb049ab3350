//! What loaded plugins cost: memory of many, and the time until the first answer of one.
//!
//! `cargo run --release -p reef-runtime --example many_plugins [plugins]`
//!
//! First one component in as many tenants, which share its code; then as many different components in
//! one tenant. Each is called once, so that each has a warm instance. Exits with 1 if a promise is not
//! kept.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod stub;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reef_engine::backend::{
    CallStatus, Called, Caller, Completion, Conclusion, Extension, Late, PluginQuotas,
};
use reef_resp::{OwnedArgv, Protocol, Writer};
use reef_runtime::{GrantRequest, LoadRequest, Options, Plugins, Runtime, Source};

use stub::Stub;

/// At least so many plugins ...
const PLUGINS: usize = 1_000;
/// ... in so much memory.
const MEMORY_MIB_MAX: u64 = 1_024;
/// From the bytes of a component of 100 KiB to the first answer, compiling; in proportion for a larger
/// one.
const COLD_MAX: Duration = Duration::from_millis(500);
/// The same with the code in the cache.
const CACHED_MAX: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    let count = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(PLUGINS);
    let dir = std::env::temp_dir().join(format!("reef-many-plugins-{}", std::process::id()));
    let options = Options { cache_dir: Some(dir.clone()), ..Options::default() };
    let mut kept = first_answers(&options, reef_bundled::hostile::HOSTILE, "HOSTILE.OK");
    kept &= first_answers(&options, reef_bundled::TX_REPO, "TX.STATS");
    kept &= is_within("tenants with one component", count, one_component(&options, count));
    kept &= is_within("different components", count, different_components(&options, count));
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        eprintln!("{} stays behind: {error}", dir.display());
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints how long it takes to an answer; whether that is within the promise.
fn first_answers(options: &Options, component: &[u8], command: &str) -> bool {
    let answer = || {
        let runtime = Runtime::new(options).expect("a runtime");
        let backend = Arc::new(Stub::default());
        let plugins = runtime.plugins(backend.clone());
        let began = Instant::now();
        load(&plugins, "first", component.to_vec());
        call(&*plugins, &backend, command);
        began.elapsed()
    };
    let cold = answer();
    let mut cached: Vec<Duration> = (0..15).map(|_| answer()).collect();
    cached.sort_unstable();
    let cached = cached[cached.len() / 2];
    println!(
        "a component of {} KiB: first answer {cold:.1?} after its load, {cached:.2?} from the cache",
        component.len() >> 10
    );
    let share = (component.len() as f64 / f64::from(100 << 10)).max(1.0);
    cold <= COLD_MAX.mul_f64(share) && cached <= CACHED_MAX
}

/// Memory of one component in many tenants.
fn one_component(options: &Options, count: usize) -> Growth {
    let runtime = Runtime::new(options).expect("a runtime");
    let first = runtime.plugins(Arc::new(Stub::default()));
    let mut growth = Growth::new();
    let mut tenants = Vec::new();
    for number in 0..count {
        let backend = Arc::new(Stub::default());
        let quotas = PluginQuotas::default();
        let tenant = first.of_tenant(&number.to_string(), backend.clone(), quotas);
        let tenant = tenant.expect("plugins of a tenant");
        administer(&*tenant, reef_bundled::hostile::NOOP);
        call(&*tenant, &backend, "NOOP.CALL");
        tenants.push(tenant);
    }
    growth.stop();
    growth
}

/// Memory of many components, which differ in the names of their commands.
fn different_components(options: &Options, count: usize) -> Growth {
    let runtime = Runtime::new(options).expect("a runtime");
    let backend = Arc::new(Stub::default());
    let plugins = runtime.plugins(backend.clone());
    let mut growth = Growth::new();
    for number in 0..count {
        let prefix = format!("N{number:03X}.");
        load(&plugins, &format!("noop-{number}"), renamed(reef_bundled::hostile::NOOP, &prefix));
        call(&*plugins, &backend, &format!("{prefix}CALL"));
    }
    growth.stop();
    growth
}

/// The component with another prefix of its commands' names.
fn renamed(component: &[u8], prefix: &str) -> Vec<u8> {
    const BEFORE: &[u8] = b"NOOP.";
    assert_eq!(prefix.len(), BEFORE.len(), "lengths stay as they are");
    let mut bytes = component.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(BEFORE.len()).position(|part| part == BEFORE) {
        at += found;
        bytes[at..at + BEFORE.len()].copy_from_slice(prefix.as_bytes());
    }
    bytes
}

fn load(plugins: &Plugins, name: &str, component: Vec<u8>) {
    let mut request = LoadRequest::new(name, Source::Bytes(component.into()));
    request.grants = GrantRequest::AllWanted;
    plugins.load(request).expect("the plugin loads");
}

/// Loads a plugin as a client does.
fn administer(plugins: &dyn Extension, component: &[u8]) {
    let words: [&[u8]; 7] = [b"PLUGIN", b"LOAD", b"noop", component, b"GRANT", b"SET", b"~*"];
    let argv: OwnedArgv = words.iter().collect();
    let reply = wait(|reply, later| plugins.administer(argv.as_argv(), reply, later));
    assert_eq!(reply, b"+OK\r\n", "{}", reply.escape_ascii());
}

fn call(plugins: &dyn Extension, backend: &Stub, command: &str) {
    let argv: OwnedArgv = [command].iter().collect();
    let caller = Caller { client_id: 1, user: "default".into(), database: 0 };
    let number = backend.number(command);
    let reply = wait(|reply, later| {
        // What comes late is a reply: nothing here parks.
        let mut conclude = || -> Conclusion {
            let complete = later();
            Box::new(move |late| match late {
                Late::Reply(bytes) => complete(bytes),
                Late::Park(_) => unreachable!("nothing here parks"),
            })
        };
        match plugins.call(number, None, &caller, argv.as_argv(), reply, &mut conclude) {
            Called::Later => CallStatus::Later,
            _ => CallStatus::Done,
        }
    });
    assert!(!reply.starts_with(b"-TRAP"), "{}", reply.escape_ascii());
}

fn wait(run: impl FnOnce(&mut Writer, &mut dyn FnMut() -> Completion) -> CallStatus) -> Vec<u8> {
    let mut reply = Writer::new(Protocol::Resp2);
    let (sender, receiver) = mpsc::channel();
    let mut later = || -> Completion {
        let sender = sender.clone();
        Box::new(move |bytes| drop(sender.send(bytes)))
    };
    match run(&mut reply, &mut later) {
        CallStatus::Done => reply.take_data(),
        CallStatus::Later => receiver.recv().expect("a reply"),
    }
}

/// Memory and time that something takes.
struct Growth {
    before_kib: u64,
    after_kib: u64,
    began: Instant,
    took: Duration,
}

impl Growth {
    fn new() -> Self {
        let began = Instant::now();
        Self { before_kib: resident_kib(), after_kib: 0, began, took: Duration::ZERO }
    }

    fn stop(&mut self) {
        self.after_kib = resident_kib();
        self.took = self.began.elapsed();
    }
}

/// Prints what many plugins take; whether all of the process is within the promise.
fn is_within(what: &str, count: usize, growth: Growth) -> bool {
    let Growth { before_kib, after_kib, took, .. } = growth;
    println!(
        "{count} {what}: {} MiB in all, {} KiB each, loaded in {took:.1?}",
        after_kib >> 10,
        after_kib.saturating_sub(before_kib) / count as u64
    );
    count < PLUGINS || after_kib >> 10 <= MEMORY_MIB_MAX
}

/// Memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
