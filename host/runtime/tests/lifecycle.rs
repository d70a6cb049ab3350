//! Loading, replacing, unloading, pausing, killing: what happens to calls meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use reef_runtime::{Digest, GrantRequest, LoadRequest, Mode, Options, Source};

use crate::guest::{Guest, batch, reply, tag};
use crate::rig::{Call, Rig};

const SPIN: &str = "(loop $again (br $again)) (i32.const 64)";

fn ok(command: &str) -> Guest {
    Guest::one(command, "(i32.const 64)")
}

fn status(version: &str, text: &str) -> Guest {
    Guest::one("T.WHICH", reply(&[(tag::STATUS, text.len() as u64)], text)).version(version)
}

fn replace(rig: &Rig, guest: &Guest) -> Result<(), String> {
    let mut request = LoadRequest::new("test", Source::Bytes(guest.build().into()));
    request.mode = Mode::Replace;
    rig.runtime.load(request).map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn grants_must_cover_what_is_wanted() {
    let guest = ok("T.OK").wants(&["SET", "GET", "~t:*"]);
    let rig = Rig::new();
    let mut request = LoadRequest::new("test", Source::Bytes(guest.build().into()));
    let error = rig.runtime.load(request.clone()).unwrap_err().to_string();
    assert_eq!(
        error,
        "ERR plugin 'test' wants SET GET, which it was not granted: say GRANT SET GET ~t:*"
    );
    request.grants = GrantRequest::Words(vec!["SET".into(), "~u:*".into()]);
    let error = rig.runtime.load(request.clone()).unwrap_err().to_string();
    assert_eq!(
        error,
        "ERR plugin 'test' wants GET ~t:*, which it was not granted: say GRANT SET GET ~t:* ~u:*"
    );
    request.grants = GrantRequest::Words(vec!["NOSUCH".into()]);
    let error = rig.runtime.load(request.clone()).unwrap_err().to_string();
    assert_eq!(error, "ERR 'NOSUCH' names no command that can be granted");
    request.grants = GrantRequest::Words(vec!["*".into()]);
    assert_eq!(rig.runtime.load(request).unwrap().grants, ["*"]);
    let error = Rig::new().load("test", &ok("T.OK").wants(&["SHUTDOWN"]), &[]).unwrap_err();
    assert_eq!(error.to_string(), "ERR plugin 'test' wants 'SHUTDOWN', which cannot be granted");
}

#[test]
fn names_are_taken_once() {
    let rig = Rig::of(&ok("T.OK"));
    let error = rig.load("test", &ok("T.OTHER"), &[]).unwrap_err().to_string();
    assert_eq!(error, "ERR plugin 'test' is already loaded, say REPLACE to replace it");
    let error = rig.load("other", &ok("T.OK"), &[]).unwrap_err().to_string();
    assert_eq!(error, "ERR command 'T.OK' belongs to plugin 'test' already");
    let error = rig.load("other", &ok("SET"), &[]).unwrap_err().to_string();
    assert!(error.starts_with("ERR command 'SET' is one of the server's own"), "{error}");
    let error = rig.load("a b", &ok("A.OK"), &[]).unwrap_err().to_string();
    assert!(error.starts_with("ERR invalid plugin name 'a b'"), "{error}");
    assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
    assert_eq!(rig.runtime.list().len(), 1);
}

#[test]
fn a_replacement_keeps_terms_and_leads_old_numbers_on() {
    let set = |version: &str, value: &str| {
        let body = batch(&[&["SET", "t:k", value]], &[]);
        Guest::one("T.SET", body).version(version).wants(&["SET"])
    };
    let rig = Rig::new();
    rig.load("test", &set("1", "one"), &[("cpu-ms", "123")]).unwrap();
    let old = rig.number("T.SET");
    // The new version has another command in front, so that the indexes differ.
    let new = Guest::new("test")
        .version("2")
        .wants(&["SET"])
        .command("T.NEW", "(i32.const 64)")
        .command("T.SET", batch(&[&["SET", "t:k", "two"]], &[]));
    replace(&rig, &new).unwrap();
    assert_ne!(rig.number("T.SET"), old);
    assert_eq!(rig.begin_as(old, &["T.SET"]).reply(), "+OK\r\n");
    assert_eq!(rig.keys.get("t:k").unwrap(), b"two");
    assert_eq!(rig.figure("INFO", "limit-cpu-ms"), 123);
    assert_eq!(rig.runtime.list()[0].grants, ["SET"]);
    // A command that the new version does not have.
    replace(&rig, &ok("T.ELSE")).unwrap();
    let reply = rig.begin_as(old, &["T.SET"]).reply();
    assert_eq!(reply, "-ERR unknown command: its plugin was unloaded\r\n");
    assert!(rig.keys.command("T.SET").is_none());
}

#[test]
fn a_replacement_under_load_fails_no_call() {
    let rig = Arc::new(Rig::of(&status("1", "one")));
    let number = rig.number("T.WHICH");
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let (rig, stop) = (Arc::clone(&rig), Arc::clone(&stop));
            thread::spawn(move || {
                let mut calls = 0;
                while !stop.load(Ordering::SeqCst) {
                    let reply = rig.begin_as(number, &["T.WHICH"]).reply();
                    assert!(["+one\r\n", "+two\r\n"].contains(&reply.as_str()), "{reply}");
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    for _ in 0..3 {
        replace(&rig, &status("2", "two")).unwrap();
        replace(&rig, &status("1", "one")).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let calls: u64 = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    assert!(calls > 0);
    assert_eq!(rig.runtime.stats()[0].errors + rig.runtime.stats()[0].traps, 0);
}

#[test]
fn calls_in_flight_finish_on_the_old_version() {
    let slow = "(block (result i32)
        (loop $again
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 500000000))))
        (i32.const 64))";
    let rig = Rig::new();
    rig.load("test", &Guest::one("T.WHICH", slow), &[("cpu-ms", "60000")]).unwrap();
    let call = rig.begin(&["T.WHICH"]);
    replace(&rig, &status("2", "two")).unwrap();
    assert_eq!(rig.call(&["T.WHICH"]), "+two\r\n");
    assert_eq!(call.reply(), "+OK\r\n");
    rig.runtime.unload("test").unwrap();
    assert_eq!(rig.runtime.list(), []);
}

#[test]
fn a_refused_replacement_leaves_the_old_version() {
    let rig = Rig::of(&status("1", "one"));
    for bad in [ok("T.WHICH").describe("unreachable"), ok("GET"), ok("T.WHICH").wants(&["SET"])] {
        replace(&rig, &bad).unwrap_err();
        assert_eq!(rig.call(&["T.WHICH"]), "+one\r\n");
        assert_eq!(rig.runtime.list()[0].version, "1");
    }
}

#[test]
fn an_unloaded_plugin_is_gone() {
    let rig = Rig::of(&ok("T.OK"));
    let number = rig.number("T.OK");
    rig.runtime.unload("test").unwrap();
    assert!(rig.keys.command("T.OK").is_none());
    let reply = rig.begin_as(number, &["T.OK"]).reply();
    assert_eq!(reply, "-ERR unknown command: its plugin was unloaded\r\n");
    assert_eq!(rig.runtime.unload("test").unwrap_err().to_string(), "ERR no such plugin 'test'");
    rig.load("test", &ok("T.OK"), &[]).unwrap();
    assert_ne!(rig.number("T.OK"), number, "numbers are never reused");
}

#[test]
fn a_plugin_that_keeps_failing_is_paused_and_comes_back() {
    let rig = Rig::of(&Guest::one("T.BAD", "unreachable").command("T.OK", "(i32.const 64)"));
    for _ in 0..5 {
        assert!(rig.call(&["T.BAD"]).starts_with("-TRAP "));
    }
    let reply = rig.call(&["T.OK"]);
    assert!(reply.starts_with("-PAUSED plugin 'test' failed 5 times in a row, try again in "));
    assert!(rig.admin(&["PLUGIN", "INFO", "test"]).contains("paused for "));
    let mut waited = 0;
    while rig.call(&["T.OK"]) != "+OK\r\n" {
        thread::sleep(Duration::from_millis(10));
        waited += 1;
        assert!(waited < 1_000, "the pause never ended");
    }
    assert_eq!(rig.figure("INFO", "failures-in-a-row"), 0);
    assert_eq!(rig.figure("STATS", "calls"), 6, "refused calls are no calls");
}

#[test]
fn kill_stops_the_calls_in_flight() {
    let rig = Rig::new();
    let guest = Guest::one("T.SPIN", SPIN).command("T.OK", "(i32.const 64)");
    rig.load("test", &guest, &[("cpu-ms", "60000")]).unwrap();
    let calls: Vec<_> = (0..3).map(|_| rig.begin(&["T.SPIN"])).collect();
    assert_eq!(rig.admin(&["PLUGIN", "KILL", "test"]), ":3\r\n");
    for call in calls {
        assert_eq!(call.reply(), "-KILLED plugin 'test' was told to stop its calls\r\n");
    }
    assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
    assert_eq!(rig.figure("STATS", "killed"), 3);
    assert_eq!(rig.figure("INFO", "failures-in-a-row"), 0);
}

#[test]
fn calls_that_overstay_are_bounded() {
    let rig = Rig::new();
    let guest = Guest::one("T.SPIN", SPIN);
    rig.load("test", &guest, &[("cpu-ms", "60000")]).unwrap();
    let mut calls = Vec::new();
    let refusal = loop {
        match rig.begin(&["T.SPIN"]) {
            Call::Later(_) if calls.len() > 20_000 => panic!("there is no end of them"),
            Call::Done(refusal) => break refusal,
            later => calls.push(later),
        }
    };
    assert_eq!(refusal, "-BUSY plugin 'test' has too many calls in flight\r\n");
    assert!(calls.len() > 16_000, "those that have not begun wait: {}", calls.len());
    let instances = rig.figure("INFO", "instances");
    assert!((1..=64).contains(&instances), "{instances} of those that have");
    assert_eq!(rig.figure("INFO", "calls-overstaying"), calls.len() as i64);
    rig.admin(&["PLUGIN", "KILL", "test"]);
    for call in calls {
        assert!(call.reply().starts_with("-KILLED"));
    }
}

#[test]
fn a_runtime_stops_while_calls_are_in_flight() {
    let rig = Rig::new();
    rig.load("test", &Guest::one("T.SPIN", SPIN), &[("cpu-ms", "60000")]).unwrap();
    let _call = rig.begin(&["T.SPIN"]);
    drop(rig);
}

#[test]
fn compiled_code_is_found_again() {
    let dir = std::env::temp_dir().join(format!("reef-runtime-cache-{}", std::process::id()));
    let options = Options { cache_dir: Some(dir.clone()), ..Options::default() };
    for code in ["compiled", "cache", "cache"] {
        let rig = Rig::with(&options);
        rig.load("test", &ok("T.OK"), &[]).unwrap();
        assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
        let info = rig.admin(&["PLUGIN", "INFO", "test"]);
        assert!(info.contains(&format!("\r\ncode\r\n${}\r\n{code}\r\n", code.len())), "{info}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_cache_that_cannot_be_used_stops_nothing() {
    let options = Options { cache_dir: Some("/dev/null/code".into()), ..Options::default() };
    let rig = Rig::with(&options);
    assert!(rig.threads.code_cache_error().is_some());
    rig.load("test", &ok("T.OK"), &[]).unwrap();
    assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
    assert_eq!(Rig::new().threads.code_cache_error(), None);
}

#[test]
fn compiling_is_given_up_on_in_time() {
    let rig = Rig::with(&Options { compile_timeout: Duration::ZERO, ..Options::default() });
    let error = rig.load("test", &ok("T.OK"), &[]).unwrap_err().to_string();
    assert_eq!(error, "ERR compiling took longer than 0 s");
    let error = rig.load("test", &ok("T.OK"), &[]).unwrap_err().to_string();
    let busy = "BUSY another plugin is still being compiled";
    assert!([busy, "ERR compiling took longer than 0 s"].contains(&error.as_str()), "{error}");
    assert_eq!(rig.runtime.list(), []);
}

#[test]
fn what_is_no_component_is_refused() {
    let rig = Rig::new();
    let load = |bytes: Vec<u8>| {
        rig.runtime
            .load(LoadRequest::new("test", Source::Bytes(bytes.into())))
            .unwrap_err()
            .to_string()
    };
    assert!(load(ok("T.OK").core()).starts_with("ERR this is a core module"));
    let refused = "ERR not a component that this server runs: ";
    assert!(load(b"hello".to_vec()).starts_with(refused));
    assert!(load(b"\0asm".to_vec()).starts_with(refused));
    let good = ok("T.OK").build();
    assert!(load(good[..good.len() / 2].to_vec()).starts_with(refused));
    let empty = wat::parse_str("(component)").unwrap();
    assert_eq!(load(empty), "ERR the component does not export 'reef:plugin/handler@0.1.0'");
    let huge = [good.as_slice(), &vec![0; 64 << 20]].concat();
    assert_eq!(load(huge), "ERR a component may have up to 67108864 bytes");
    let path = LoadRequest::new("test", Source::Path("/nonexistent/p.wasm".into()));
    let error = rig.runtime.load(path).unwrap_err().to_string();
    assert!(error.starts_with("ERR can't read '/nonexistent/p.wasm': "), "{error}");
}

#[test]
fn wasi_is_linked_over_an_empty_context() {
    let world = "package test:guest;
        package wasi:cli@0.2.6 {
          interface environment { get-environment: func() -> list<tuple<string, string>>; }
          interface exit { exit: func(status: result); }
          interface stderr { use wasi:io/streams@0.2.6.{output-stream};
                             get-stderr: func() -> output-stream; }
        }
        package wasi:io@0.2.6 { interface streams { resource output-stream {
          check-write: func() -> result<u64, u8>;
          write: func(contents: list<u8>) -> result<_, u8>;
        } } }
        package wasi:sockets@0.2.6 { interface tcp { connect: func() -> u32; } }
        world guest {
          import wasi:cli/environment@0.2.6;
          import wasi:cli/exit@0.2.6;
          import wasi:cli/stderr@0.2.6;
          import wasi:sockets/tcp@0.2.6;
          include reef:plugin/command-plugin@0.1.0;
        }";
    let imports = r#"
        (import "wasi:cli/environment@0.2.6" "get-environment" (func $environment (param i32)))
        (import "wasi:cli/exit@0.2.6" "exit" (func $exit (param i32)))
        (import "wasi:cli/stderr@0.2.6" "get-stderr" (func $stderr (result i32)))
        (import "wasi:io/streams@0.2.6" "[method]output-stream.check-write"
          (func $check (param i32 i32)))
        (import "wasi:io/streams@0.2.6" "[method]output-stream.write"
          (func $write (param i32 i32 i32 i32)))
        (import "wasi:io/streams@0.2.6" "[resource-drop]output-stream" (func $drop (param i32)))
        (import "wasi:sockets/tcp@0.2.6" "connect" (func $connect (result i32)))"#;
    let environment = "(block (result i32) (call $environment (i32.const 8192))
        (if (i32.load (i32.const 8196)) (then unreachable)) (i32.const 64))";
    let streams = "(block (result i32) (local.set $i (call $stderr))
        (call $check (local.get $i) (i32.const 8192))
        (i64.store (i32.const 8256) (i64.const 0x0a796568))
        (call $write (local.get $i) (i32.const 8256) (i32.const 4) (i32.const 8192))
        (call $write (local.get $i) (i32.const 8256) (i32.const 2) (i32.const 8192))
        (call $drop (local.get $i))
        (i32.const 64))";
    let guest = Guest::new("test")
        .command("T.ENV", environment)
        .command("T.STREAM", streams)
        .command("T.EXIT", "(call $exit (i32.const 0)) (i32.const 64)")
        .command("T.NET", "(drop (call $connect)) (i32.const 64)")
        .world(world, imports);
    let rig = Rig::of(&guest);
    assert_eq!(rig.call(&["T.ENV"]), "+OK\r\n");
    assert_eq!(rig.call(&["T.STREAM"]), "+OK\r\n");
    let log = rig.admin(&["PLUGIN", "LOG", "test", "2"]);
    assert!(log.contains(" warning hey\r\n") && log.ends_with(" warning he\r\n"), "{log}");
    assert_eq!(rig.call(&["T.EXIT"]), "-TRAP plugin 'test' failed: the guest called exit\r\n");
    assert_eq!(
        rig.call(&["T.NET"]),
        "-TRAP plugin 'test' failed: a plugin has no wasi:sockets/tcp#connect\r\n"
    );
}

/// The versions that `PLUGIN VERSIONS test` shows, the running one first.
fn versions(rig: &Rig) -> Vec<String> {
    let reply = rig.admin(&["PLUGIN", "VERSIONS", "test"]);
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let at = lines.windows(3).filter(|lines| lines[0] == "version");
    at.map(|lines| lines[2].to_owned()).collect()
}

#[test]
fn one_command_brings_a_replaced_version_back_with_its_terms() {
    let rig = Rig::new();
    rig.load("test", &status("1", "one"), &[("cpu-ms", "11")]).unwrap();
    for n in 2..=6 {
        let mut request =
            LoadRequest::new("test", Source::Bytes(status(&n.to_string(), "many").build().into()));
        request.mode = Mode::Replace;
        request.limits = vec![("cpu-ms".into(), (10 + n).to_string())];
        rig.runtime.load(request).unwrap();
    }
    assert_eq!(versions(&rig), ["6", "5", "4", "3", "2"], "the last four are kept");
    let reply = rig.admin(&["PLUGIN", "ROLLBACK", "test", "1"]);
    assert_eq!(reply, "-ERR plugin 'test' has no kept version '1'\r\n");
    assert_eq!(rig.admin(&["PLUGIN", "ROLLBACK", "test"]), "+OK\r\n");
    assert_eq!(
        (rig.runtime.list()[0].version.as_str(), rig.figure("INFO", "limit-cpu-ms")),
        ("5", 15)
    );
    assert_eq!(versions(&rig), ["5", "6", "4", "3", "2"]);
    // Once more is back again.
    assert_eq!(rig.admin(&["PLUGIN", "ROLLBACK", "test"]), "+OK\r\n");
    assert_eq!(versions(&rig), ["6", "5", "4", "3", "2"]);
    assert_eq!(rig.admin(&["PLUGIN", "ROLLBACK", "test", "3"]), "+OK\r\n");
    assert_eq!(versions(&rig), ["3", "6", "5", "4", "2"]);
    assert_eq!(rig.figure("INFO", "limit-cpu-ms"), 13);
    let digest = Digest::of(&status("2", "many").build()).to_string();
    assert_eq!(rig.admin(&["PLUGIN", "ROLLBACK", "test", &digest]), "+OK\r\n");
    assert_eq!(rig.runtime.list()[0].version, "2");
    assert_eq!(rig.admin(&["PLUGIN", "ROLLBACK", "none"]), "-ERR no such plugin 'none'\r\n");
    // A fresh plugin of that name has no past.
    rig.runtime.unload("test").unwrap();
    rig.load("test", &status("1", "one"), &[]).unwrap();
    let reply = rig.admin(&["PLUGIN", "ROLLBACK", "test"]);
    assert_eq!(reply, "-ERR plugin 'test' has no kept version\r\n");
}

#[test]
fn a_component_is_found_and_pinned_by_its_digest() {
    let rig = Rig::of(&status("1", "one"));
    let (first, second) = (status("1", "one").build(), status("2", "two").build());
    let digests = [&first, &second].map(|component| Digest::of(component).to_string());
    let info = rig.admin(&["PLUGIN", "INFO", "test"]);
    assert!(info.contains(&digests[0]), "{info}");
    assert!(rig.admin(&["PLUGIN", "LIST"]).contains(&digests[0]));
    let pinned = |digest: &str, component: &[u8]| {
        rig.admin_bytes(&[b"PLUGIN", b"REPLACE", b"test", component, b"DIGEST", digest.as_bytes()])
    };
    let refused = format!("-ERR the component is {}, not {}\r\n", digests[1], digests[0]);
    assert_eq!(pinned(&digests[0], &second), refused);
    assert_eq!(rig.call(&["T.WHICH"]), "+one\r\n");
    assert_eq!(pinned(&digests[1], &second), "+OK\r\n");
    assert_eq!(rig.call(&["T.WHICH"]), "+two\r\n");
    // The first one is kept, so its digest is enough.
    assert_eq!(rig.admin(&["PLUGIN", "REPLACE", "test", &digests[0]]), "+OK\r\n");
    assert_eq!(rig.call(&["T.WHICH"]), "+one\r\n");
    let unknown = Digest::of(b"nobody has this").to_string();
    let reply = rig.admin(&["PLUGIN", "LOAD", "other", &unknown]);
    assert_eq!(reply, format!("-ERR no component that this server has is {unknown}\r\n"));
}

#[test]
fn an_unloaded_plugin_is_shown_until_its_calls_are_finished() {
    let rig = Rig::new();
    rig.load("test", &Guest::one("T.SPIN", SPIN), &[("cpu-ms", "300")]).unwrap();
    let calls: Vec<_> = (0..2).map(|_| rig.begin(&["T.SPIN"])).collect();
    rig.runtime.unload("test").unwrap();
    let list = rig.admin(&["PLUGIN", "LIST"]);
    assert!(list.contains("unloaded, finishes 2 calls"), "{list}");
    for call in calls {
        assert!(call.reply().starts_with("-TIMEOUT"));
    }
    assert_eq!(rig.admin(&["PLUGIN", "LIST"]), "*0\r\n");
}
