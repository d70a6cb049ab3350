//! Guests written with the SDK: those that misbehave get their clear error and the runtime goes on
//! serving; those that are bundled load.

use std::sync::Arc;

use reef_engine::backend::{Completion, Extension, Wake};
use reef_resp::{OwnedArgv, Protocol, Writer};
use reef_runtime::{GrantRequest, LoadError, LoadRequest, PluginSummary, Plugins, Source};

use crate::guest::Guest;
use crate::rig::{Call, Rig};

fn load(rig: &Rig, name: &str, limits: &[(&str, &str)]) -> Result<PluginSummary, LoadError> {
    let guest = reef_bundled::hostile::all().iter().find(|guest| guest.name == name);
    let component = guest.expect("the guest is bundled").component.to_vec();
    let mut request = LoadRequest::new("test", Source::Bytes(component.into()));
    request.grants = GrantRequest::AllWanted;
    request.limits = limits.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    rig.runtime.load(request)
}

/// Every attack from inside a call, and how its reply begins.
const ATTACKS: &[(&[&str], &str)] = &[
    (&["HOSTILE.LOOP"], "-TIMEOUT plugin 'test' used its 50 ms of CPU"),
    (&["HOSTILE.BURN", "40"], "+OK"),
    (&["HOSTILE.BURN", "60"], "-TIMEOUT plugin 'test' used its 50 ms of CPU"),
    (&["HOSTILE.NTH", "1"], "-TRAP plugin 'test' failed: wasm `unreachable` instruction executed"),
    (&["HOSTILE.MARCH", "m", "3", "0"], "-"),
    (&["HOSTILE.BOMB"], "-TIMEOUT plugin 'test' used its 50 ms of CPU"),
    (&["HOSTILE.HOARD", "300000000"], "-OOM the host refused"),
    (&["HOSTILE.HOARD", "10000000"], "+OK"),
    (&["HOSTILE.TRAP"], "-TRAP plugin 'test' failed: wasm `unreachable` instruction executed"),
    (&["HOSTILE.PANIC"], "-TRAP plugin 'test' failed: wasm `unreachable` instruction executed"),
    (&["HOSTILE.RECURSE"], "-TRAP plugin 'test' failed: call stack exhausted"),
    (&["HOSTILE.REPLY", "20000000"], "-QUOTA plugin 'test' moved its 16777216 bytes"),
    (&["HOSTILE.NODES", "1200000"], "-QUOTA plugin 'test' moved its 16777216 bytes"),
    (&["HOSTILE.NEST", "33"], "-INVALID plugin 'test' gave a reply that does not add up"),
    (&["HOSTILE.NEST", "32"], "*1\r\n*1\r\n"),
    (&["HOSTILE.CALLS"], "-QUOTA "),
    (&["HOSTILE.LOG", "100"], "-QUOTA plugin 'test' made its 1000 host calls"),
    (&["HOSTILE.COUNTERS"], "-QUOTA plugin 'test' made its 1000 host calls"),
    (&["HOSTILE.FAIL", "k"], "-"),
    (&["HOSTILE.ABANDON", "k"], "-"),
    (&["HOSTILE.BATCH", "1000", "20000"], "-"),
    (&["HOSTILE.COPIES", "1000", "1000"], "-"),
    (&["HOSTILE.STEAL", "FLUSHALL"], "-"),
    (&["HOSTILE.STORM", "k", "TIME"], "(parked on "),
    (&["HOSTILE.PARK", "1000"], "(parked on "),
    (&["HOSTILE.PARK", "1025"], "-INVALID "),
    (&["HOSTILE.ERROR"], "-ERR first line  $5  hello  first line"),
    (&["HOSTILE.FORGE", "counts-short"], "-"),
    (&["HOSTILE.FORGE", "counts-long"], "-"),
    (&["HOSTILE.FORGE", "counts-huge"], "-"),
    (&["HOSTILE.FORGE", "counts-zero"], "-"),
    (&["HOSTILE.FORGE", "lengths-short"], "-"),
    (&["HOSTILE.FORGE", "lengths-long"], "-"),
    (&["HOSTILE.FORGE", "lengths-huge"], "-"),
    (&["HOSTILE.FORGE", "guards-without-version"], "-"),
    (&["HOSTILE.FORGE", "guards-without-key"], "-"),
    (&["HOSTILE.FORGE", "guards-lengths"], "-"),
    (&["HOSTILE.FORGE", "reply-empty"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-two-trees"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-short-array"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-huge-array"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-huge-pairs"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-bytes-missing"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-bytes-left"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-lengths-overflow"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-status-lines"], "-INVALID "),
    (&["HOSTILE.FORGE", "reply-error-lines"], "-INVALID "),
];

#[test]
fn every_attack_ends_with_its_error_and_the_next_call_is_served() {
    let rig = Rig::new();
    let summary = load(&rig, "hostile", &[("memory", "256mb"), ("host-calls", "1000")]).unwrap();
    for command in &summary.commands {
        let tried = ATTACKS.iter().any(|(words, _)| words[0] == command);
        assert!(tried || command == "HOSTILE.OK", "{command} is not among the attacks");
    }
    for (words, expected) in ATTACKS {
        let reply = rig.call(words);
        // On a slow machine the CPU may be used up before another quota is.
        let is_slow = expected.starts_with("-QUOTA ") && reply.starts_with("-TIMEOUT ");
        assert!(is_slow || reply.starts_with(expected), "{words:?}: {reply:.200}");
        assert!(reply.ends_with("\r\n") || reply.starts_with("(parked on "), "{words:?}");
        assert_eq!(rig.call(&["HOSTILE.OK"]), "+OK\r\n", "after {words:?}");
    }
    assert_eq!(rig.keys.get("forge"), None, "no forged batch had an effect");
    assert_eq!(rig.keys.get("k:text"), None, "the failed batch was undone");
}

#[test]
fn a_trap_at_the_nth_call_costs_that_call_alone() {
    let rig = Rig::new();
    load(&rig, "hostile", &[]).unwrap();
    for _ in 0..3 {
        assert_eq!(rig.call(&["HOSTILE.NTH", "3"]), ":1\r\n", "a fresh instance");
        assert_eq!(rig.call(&["HOSTILE.NTH", "3"]), ":2\r\n");
        assert!(rig.call(&["HOSTILE.NTH", "3"]).starts_with("-TRAP "));
    }
    assert_eq!((rig.figure("STATS", "calls"), rig.figure("STATS", "traps")), (9, 3));
    assert_eq!(rig.figure("INFO", "instances"), 0);
}

#[test]
fn a_kill_at_any_host_call_is_the_end_and_leaves_whole_batches() {
    const BATCHES: u64 = 20;
    let rig = Rig::new();
    load(&rig, "hostile", &[("cpu-ms", "60000")]).unwrap();
    for at in 1..=BATCHES + 1 {
        let key = format!("march-{at}");
        let plugins = Arc::clone(&rig.runtime);
        rig.keys.at_each_step(move |number| {
            if number == at {
                kill(&plugins);
            }
        });
        let reply = rig.call(&["HOSTILE.MARCH", &key, "5", &BATCHES.to_string()]);
        assert_eq!(rig.keys.steps(), at, "no host call begins after the kill");
        // The first step reads; the last one is followed by the reply.
        let applied = at - 1;
        if applied < BATCHES {
            assert_eq!(reply, "-KILLED plugin 'test' was told to stop its calls\r\n", "{at}");
        }
        let whole: String = (1..=applied).map(|number| format!("{number},")).collect();
        assert_eq!(rig.keys.get(&format!("{key}:all")).unwrap_or_default(), whole.as_bytes());
        for index in 0..5 {
            let held = rig.keys.get(&format!("{key}:{index}"));
            let expected = (applied > 0).then(|| applied.to_string().into_bytes());
            assert_eq!(held, expected, "key {index} after a kill at {at}");
        }
        assert_eq!(rig.call(&["HOSTILE.OK"]), "+OK\r\n");
    }
}

fn kill(plugins: &Plugins) {
    let argv: OwnedArgv = ["PLUGIN", "KILL", "test"].iter().collect();
    let mut later = || -> Completion { unreachable!("killing is done at once") };
    let mut reply = Writer::new(Protocol::Resp2);
    plugins.administer(argv.as_argv(), &mut reply, &mut later);
    assert!(reply.data().starts_with(b":"), "{}", reply.data().escape_ascii());
}

#[test]
fn guests_that_cannot_be_described_are_refused() {
    for (name, expected) in [
        ("describe_loops", "ERR describe failed: TIMEOUT plugin 'test' used its 50 ms of CPU"),
        ("describe_errors", "ERR describe failed: "),
        ("describe_traps", "ERR describe failed: TRAP plugin 'test' failed: wasm `unreachable`"),
        ("describe_lies", "ERR bad manifest: command 'LIE.ONE' is there twice"),
        ("foreign_import", "ERR the component imports 'evil:host/files', which no grant can give"),
    ] {
        let rig = Rig::new();
        rig.load("good", &Guest::one("G.OK", "(i32.const 64)"), &[]).unwrap();
        let error = load(&rig, name, &[]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
        assert_eq!(rig.call(&["G.OK"]), "+OK\r\n");
        assert_eq!(rig.runtime.list().len(), 1);
    }
}

#[test]
fn every_lie_of_a_manifest_is_found() {
    let component = reef_bundled::hostile::DESCRIBE_LIES;
    for (lie, refused) in [
        ("none", false),
        ("no-commands", true),
        ("shadow", true),
        ("empty-name", true),
        ("lower-case", true),
        ("line-break", true),
        ("long-name", true),
        ("long-summary", true),
        ("arity", true),
        ("keys", true),
        ("key-step", true),
        ("flags", true),
        ("many", true),
        ("name", true),
    ] {
        let rig = Rig::new();
        let mut request = LoadRequest::new("test", Source::Bytes(component.to_vec().into()));
        request.config = Some(vec![("lie".into(), lie.into())]);
        let result = rig.runtime.load(request);
        assert_eq!(result.is_err(), refused, "{lie}: {result:?}");
        if let Err(error) = result {
            let text = error.to_string();
            assert!(text.starts_with("ERR ") && text.len() < 1_000, "{lie}: {text}");
            assert!(!text.contains(['\r', '\n']), "{lie}: {text}");
        }
    }
}

#[test]
fn bundled_plugins_load_and_noop_answers() {
    let rig = Rig::new();
    for plugin in reef_bundled::all() {
        let mut request = LoadRequest::new(plugin.name, Source::Bytes(plugin.component.into()));
        request.grants = GrantRequest::AllWanted;
        rig.runtime.load(request).expect("a bundled plugin loads");
    }
    load(&rig, "noop", &[]).unwrap();
    assert_eq!(rig.call(&["NOOP.CALL"]), "+OK\r\n");
    assert_eq!(rig.call(&["NOOP.ECHO", "hello"]), "$5\r\nhello\r\n");
    assert_eq!(rig.call(&["NOOP.BATCH", "key", "5", "value"]), "+OK\r\n");
    assert_eq!(rig.keys.get("key:4").unwrap(), b"value");
    let words = ["NOOP.WAIT", "key", "1000"];
    let Call::Parked(park) = rig.begin(&words) else { panic!("it parks") };
    assert_eq!(rig.figure("INFO", "calls-parked"), 1);
    assert_eq!(park.deadline_ms, Some(park.invoked_ms + 1000));
    for (key, expected) in [(Some(b"key".as_slice()), "$3\r\nkey\r\n"), (None, "$-1\r\n")] {
        let wake = Wake { key, invoked_ms: park.invoked_ms };
        let call = rig.begin_because(rig.number("NOOP.WAIT"), Some(wake), &words);
        assert_eq!(call.reply(), expected);
    }
    drop(park);
    assert_eq!(rig.figure("INFO", "calls-parked"), 0);
}
