//! Guests that misbehave, one per limit: each gets its clear error in time, and the runtime goes
//! on serving.

use std::time::{Duration, Instant};

use reef_runtime::{LoadRequest, Options, Source};

use crate::guest::{Guest, OK, SCRATCH, columns, reply, tag};
use crate::rig::{Call, Rig};

/// A rig with the hostile guest as `test` and a good one as `good`, whose command must work
/// whatever happens.
fn beside(guest: &Guest, limits: &[(&str, &str)]) -> Rig {
    let rig = Rig::new();
    rig.load("test", guest, limits).expect("the hostile guest loads");
    rig.load("good", &Guest::one("G.OK", "(i32.const 64)"), &[]).expect("the good one too");
    rig
}

fn check(body: &str, extra: &str, limits: &[(&str, &str)], expected: &str) {
    let rig =
        beside(&Guest::one("T.BAD", body).extra(extra).command("T.OK", "(i32.const 64)"), limits);
    let reply = rig.call(&["T.BAD"]);
    assert_eq!(reply, format!("-{expected}\r\n"));
    assert_eq!(rig.call(&["G.OK"]), "+OK\r\n");
    assert_eq!(rig.call(&["T.OK"]), "+OK\r\n", "a fresh instance serves the next call");
    assert!(rig.admin(&["PLUGIN", "LOG", "test"]).contains(expected), "the log has it too");
}

#[test]
fn an_endless_loop_ends_at_its_budget_and_delays_nobody() {
    let rig = beside(&Guest::one("T.SPIN", "(loop $again (br $again)) (i32.const 64)"), &[]);
    let began = Instant::now();
    let call = rig.begin(&["T.SPIN"]);
    assert!(matches!(call, Call::Later(_)), "the caller's thread is free again");
    let freed = began.elapsed();
    assert!(freed < Duration::from_millis(500), "{freed:?}");
    (0..100).for_each(|_| assert_eq!(rig.call(&["G.OK"]), "+OK\r\n"));
    assert_eq!(call.reply(), "-TIMEOUT plugin 'test' used its 50 ms of CPU\r\n");
    assert_eq!(rig.figure("STATS", "timeouts"), 1);
    assert_eq!(rig.figure("INFO", "instances"), 0, "the instance is gone");
}

#[test]
fn a_memory_bomb_is_named() {
    let body = "(block (result i32)
        (loop $again
          (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable)";
    check(body, "", &[("memory", "4mb")], "MEMORY plugin 'test' used its 4194304 bytes of memory");
}

#[test]
fn a_table_bomb_is_named() {
    let body = "(block (result i32)
        (loop $again
          (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1))))
        unreachable)";
    let table = "(table $t 1 funcref)";
    check(body, table, &[], "MEMORY plugin 'test' used its 100000 elements of tables");
}

#[test]
fn arguments_that_do_not_fit_its_memory_are_an_error() {
    let rig = beside(&Guest::one("T.OK", "(i32.const 64)"), &[("memory", "1mb")]);
    let reply = rig.call(&["T.OK", &"x".repeat(2 << 20)]);
    assert_eq!(reply, "-MEMORY plugin 'test' used its 1048576 bytes of memory\r\n");
    assert_eq!(rig.call(&["T.OK", "x"]), "+OK\r\n");
}

#[test]
fn arguments_beyond_the_bytes_are_refused_beforehand() {
    let rig = beside(&Guest::one("T.OK", "(i32.const 64)"), &[("bytes", "1000000")]);
    let reply = rig.call(&["T.OK", &"x".repeat(1_000_000)]);
    assert_eq!(reply, "-QUOTA the arguments exceed the 1000000 bytes of plugin 'test'\r\n");
    assert_eq!(rig.call(&["T.OK", &"x".repeat(1_000_000 - 4)]), "+OK\r\n");
}

#[test]
fn a_trap_is_named() {
    check(
        "unreachable",
        "",
        &[],
        "TRAP plugin 'test' failed: wasm `unreachable` instruction executed",
    );
    check(
        "(i32.div_u (i32.const 1) (local.get $i))",
        "",
        &[],
        "TRAP plugin 'test' failed: integer divide by zero",
    );
}

#[test]
fn endless_recursion_is_a_trap() {
    let deep = "(func $deep (param i32) (result i32)
        (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))";
    let expected = "TRAP plugin 'test' failed: call stack exhausted";
    check("(call $deep (i32.const 0))", deep, &[], expected);
}

#[test]
fn memory_out_of_bounds_is_a_trap() {
    let expected = "TRAP plugin 'test' failed: out of bounds memory access";
    check("(i32.load (i32.const 0x7fffffff))", "", &[], expected);
}

#[test]
fn forged_columns_are_an_error_for_the_guest() {
    let forged: [(&str, String); 5] = [
        ("more arguments than lengths", columns(&[3], &[3, 1], b"GETk", &[])),
        ("huge count", columns(&[u32::MAX, u32::MAX], &[3, 1], b"GETk", &[])),
        ("huge length", columns(&[2], &[3, u32::MAX], b"GETk", &[])),
        ("bytes left over", columns(&[2], &[3, 1], b"GETkxxx", &[])),
        ("no name", columns(&[0], &[], b"", &[])),
    ];
    for (what, body) in forged {
        let rig = beside(&Guest::one("T.FORGED", body).wants(&["GET"]), &[]);
        let reply = rig.call(&["T.FORGED"]);
        assert!(["-E i\r\n", "-E a\r\n"].contains(&reply.as_str()), "{what}: {reply}");
        assert_eq!(rig.call(&["G.OK"]), "+OK\r\n");
    }
}

#[test]
fn lists_outside_of_memory_are_a_trap() {
    // A batch whose columns begin at the end of memory, and one that wraps around.
    for (pointer, len) in [(0xffff_fff8_u32, 8_u32), (65_536, 1), (64, u32::MAX), (2, 4)] {
        let pointer = pointer as i32;
        let len = len as i32;
        let body = format!(
            "(block (result i32)
              (i32.store (i32.const {}) (i32.const {pointer}))
              (i32.store (i32.const {}) (i32.const {len}))
              (call $apply (i32.const {SCRATCH}) (i32.const {}))
              (i32.const {OK}))",
            SCRATCH + 40,
            SCRATCH + 44,
            SCRATCH + 128
        );
        let rig = beside(&Guest::one("T.WILD", body), &[]);
        let reply = rig.call(&["T.WILD"]);
        assert!(reply.starts_with("-TRAP plugin 'test' failed: "), "{reply}");
        assert_eq!(rig.call(&["G.OK"]), "+OK\r\n");
    }
}

#[test]
fn forged_replies_are_an_error_for_the_client() {
    for (nodes, data) in [
        ([(tag::ARRAY, 2), (tag::NIL, 0)].as_slice(), ""),
        (&[(tag::NIL, 0), (tag::NIL, 0)], ""),
        (&[(tag::BULK, 100)], "short"),
        (&[(tag::STATUS, 4)], "a\r\nb"),
        (&[], ""),
    ] {
        let rig = beside(&Guest::one("T.FORGED", reply(nodes, data)), &[]);
        let reply = rig.call(&["T.FORGED"]);
        assert!(reply.starts_with("-INVALID plugin 'test' gave a reply that does not"), "{reply}");
        assert_eq!(rig.call(&["G.OK"]), "+OK\r\n");
    }
    // A node of a kind that does not exist never gets that far.
    let rig = beside(&Guest::one("T.FORGED", reply(&[(99, 0)], "")), &[]);
    assert!(rig.call(&["T.FORGED"]).starts_with("-TRAP plugin 'test' failed: "));
}

#[test]
fn a_reply_beyond_the_bytes_is_an_error() {
    let huge = reply(&[(tag::BULK, 2_000_000)], "").replace(
        &format!("(i32.store (i32.const {}) (i32.const 0))", SCRATCH + 28),
        &format!("(i32.store (i32.const {}) (i32.const 2000000))", SCRATCH + 28),
    );
    let body = format!("(block (result i32) (drop (memory.grow (i32.const 40))) {huge})");
    check(
        &body,
        "",
        &[("bytes", "1000000")],
        "QUOTA plugin 'test' moved its 1000000 bytes across host calls",
    );
}

#[test]
fn a_storm_of_host_calls_ends_at_its_budget() {
    let body = "(loop $again (drop (call $now)) (br $again)) (i32.const 64)";
    check(body, "", &[("host-calls", "1000")], "QUOTA plugin 'test' made its 1000 host calls");
}

#[test]
fn a_storm_of_batches_gets_errors_then_ends_with_its_cpu() {
    let one = columns(&[2], &[3, 1], b"GETk", &[]);
    let body = format!("(loop $again (drop {one}) (br $again)) (i32.const 64)");
    check(
        &body,
        "",
        &[("host-calls", "100"), ("cpu-ms", "20")],
        "TIMEOUT plugin 'test' used its 20 ms of CPU",
    );
}

#[test]
fn a_storm_of_lines_is_bounded() {
    let body = "(loop $again
        (call $log (i32.const 1) (i32.const 16384) (i32.const 40000))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (i32.const 3000))))
        (i32.const 64)";
    let rig = beside(&Guest::one("T.LOG", body), &[("cpu-ms", "60000")]);
    assert_eq!(rig.call(&["T.LOG"]), "+OK\r\n");
    let log = rig.admin(&["PLUGIN", "LOG", "test", "100000"]);
    assert!(log.starts_with("*257\r\n"), "{log:.10}");
    assert!(log.len() < 300_000, "{}", log.len());
    assert!(rig.figure("STATS", "log-lines-dropped") >= 2_000);
}

#[test]
fn an_error_of_the_handler_cannot_forge_lines() {
    let mut body = String::new();
    for (offset, byte) in (9000..).zip("bad code\r\n+OK\r\nERR".bytes()) {
        body += &format!("(i32.store8 (i32.const {offset}) (i32.const {byte}))");
    }
    let text = format!(
        "(block (result i32) {body}
           (i32.store8 (i32.const 8192) (i32.const 1))
           (i32.store (i32.const 8200) (i32.const 9000)) (i32.store (i32.const 8204) (i32.const 8))
           (i32.store (i32.const 8208) (i32.const 9000)) (i32.store (i32.const 8212) (i32.const 18))
           (i32.const 8192))"
    );
    let rig = beside(&Guest::one("T.ERROR", text), &[]);
    assert_eq!(rig.call(&["T.ERROR"]), "-ERR bad code  +OK  ERR\r\n");
}

#[test]
fn an_import_that_nobody_grants_is_refused_by_name() {
    let world = "package test:guest;
        package evil:host@1.0.0 { interface files { open: func() -> u32; } }
        world guest { import evil:host/files@1.0.0; include reef:plugin/command-plugin@0.1.0; }";
    let import = r#"(import "evil:host/files@1.0.0" "open" (func $open (result i32)))"#;
    let guest = Guest::one("T.OPEN", "(drop (call $open)) (i32.const 64)").world(world, import);
    let error = Rig::new().load("test", &guest, &[]).unwrap_err().to_string();
    let expected = "ERR the component imports 'evil:host/files@1.0.0', which no grant can give";
    assert_eq!(error, expected);
}

#[test]
fn describe_runs_under_the_same_budgets() {
    let good = Guest::one("T.OK", "(i32.const 64)");
    for (describe, expected) in [
        ("(loop $again (br $again)) (i32.const 0)", "TIMEOUT plugin 'test' used its 50 ms of CPU"),
        ("unreachable", "TRAP plugin 'test' failed: wasm `unreachable` instruction executed"),
        ("(i32.const -8)", "TRAP plugin 'test' failed: pointer out of bounds of memory"),
        (
            "(loop $again (drop (call $now)) (br $again)) (i32.const 0)",
            "QUOTA plugin 'test' made its 10000 host calls",
        ),
    ] {
        let error = Rig::new().load("test", &good.clone().describe(describe), &[]).unwrap_err();
        assert_eq!(error.to_string(), format!("ERR describe failed: {expected}"));
    }
    for (start, expected) in [("(loop $again (br $again))", "TIMEOUT"), ("unreachable", "TRAP")] {
        let error = Rig::new().load("test", &good.clone().start(start), &[]).unwrap_err();
        assert!(error.to_string().starts_with("ERR describe failed: "), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// Stores text that is not UTF-8, five bytes at 8256.
const NOT_TEXT: &str = "(i64.store (i32.const 8256) (i64.const 0x6fc3286968))";

#[test]
fn text_that_is_not_utf8_reaches_nobody() {
    for call in [
        "(call $log (i32.const 1) (i32.const 8256) (i32.const 5)) (i32.const 64)",
        "(call $counter_add (i32.const 8256) (i32.const 5) (i64.const 1)) (i32.const 64)",
        "(call $config (i32.const 8256) (i32.const 5) (i32.const 9000)) (i32.const 64)",
        // An error of the handler's: its code, then its message.
        "(i32.store8 (i32.const 8192) (i32.const 1))
         (i32.store (i32.const 8200) (i32.const 8256)) (i32.store (i32.const 8204) (i32.const 5))
         (i32.const 8192)",
        "(i32.store8 (i32.const 8192) (i32.const 1))
         (i32.store (i32.const 8208) (i32.const 8256)) (i32.store (i32.const 8212) (i32.const 5))
         (i32.const 8192)",
    ] {
        let body = format!("(block (result i32) {NOT_TEXT} {call})");
        let rig = beside(&Guest::one("T.BAD", body), &[]);
        let reply = rig.call(&["T.BAD"]);
        assert!(reply.starts_with("-TRAP plugin 'test' failed: invalid utf-8"), "{call}: {reply}");
        assert_eq!(rig.call(&["G.OK"]), "+OK\r\n");
        assert!(!rig.admin(&["PLUGIN", "LOG", "test"]).contains("hi"));
    }
    // As a status it is text, as a bulk string it is bytes.
    for (tag, expected) in [(tag::STATUS, "-INVALID "), (tag::ERROR, "-INVALID ")] {
        let said = reply(&[(tag, 2)], "xx").replace("(i32.const 120)", "(i32.const 255)");
        let rig = beside(&Guest::one("T.BAD", said), &[]);
        let reply = rig.call(&["T.BAD"]);
        assert!(reply.starts_with(expected), "{reply}");
    }
    let describe = format!(
        "{NOT_TEXT} (i32.store (i32.const 1028) (i32.const 8256))
        (i32.store (i32.const 1032) (i32.const 5)) (i32.const 1024)"
    );
    let guest = Guest::one("T.OK", "(i32.const 64)").describe(&describe);
    let error = Rig::new().load("test", &guest, &[]).unwrap_err().to_string();
    assert!(error.starts_with("ERR describe failed: ") && error.contains("utf-8"), "{error}");
}

/// A function of this many steps, one after the other.
fn long_winded(name: &str, steps: usize) -> String {
    let step = "i32.const 3 i32.add local.tee 0 local.get 0 i32.mul ";
    format!("(func ${name} (param i32) (result i32) local.get 0 {})", step.repeat(steps))
}

#[test]
fn code_that_takes_long_to_compile_is_given_up_on_and_stops_nobody() {
    let timeout = Duration::from_secs(1);
    let rig = Rig::with(&Options { compile_timeout: timeout, ..Options::default() });
    rig.load("good", &Guest::one("G.OK", "(i32.const 64)"), &[]).unwrap();
    let names = ["long", "longer", "longest", "endless"];
    let all: String = names.map(|name| long_winded(name, 600_000)).concat();
    let call = "(drop (call $long (i32.const 1))) (i32.const 64)";
    let bytes = Guest::one("T.SLOW", call).extra(&all).build();
    let began = Instant::now();
    let error =
        rig.runtime.load(LoadRequest::new("test", Source::Bytes(bytes.into()))).unwrap_err();
    let took = began.elapsed();
    assert_eq!(error.to_string(), "ERR compiling took longer than 1 s");
    assert!((timeout..20 * timeout).contains(&took), "{took:?}");
    assert_eq!(rig.call(&["G.OK"]), "+OK\r\n", "what is loaded goes on");
    // One that was given up on has its core to itself at most; a busy machine needs some patience.
    let next = || rig.load("next", &Guest::one("N.OK", "(i32.const 64)"), &[]).is_ok();
    assert!((0..10).any(|_| next()), "one that was given up on is in nobody's way");
}

#[test]
fn code_beyond_what_wasm_allows_is_refused_at_once() {
    let rig = Rig::new();
    let huge = format!("(component (core module {}))", long_winded("long", 1_100_000));
    let huge = wat::parse_str(huge).unwrap();
    let began = Instant::now();
    let error = rig.runtime.load(LoadRequest::new("test", Source::Bytes(huge.into()))).unwrap_err();
    assert!(
        error.to_string().starts_with("ERR not a component that this server runs: "),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(30));
    rig.load("test", &Guest::one("T.OK", "(i32.const 64)"), &[]).unwrap();
}

#[test]
fn bad_manifests_are_refused() {
    for (guest, expected) in [
        (Guest::new("test"), "a plugin has between 1 and 256 commands"),
        (Guest::one("t.ok", "unreachable"), "command name 't.ok'"),
        (Guest::one("T.OK", "unreachable").command("T.OK", "unreachable"), "is there twice"),
        (Guest::new("no name").command("T.OK", "unreachable"), "no plain word"),
    ] {
        let error = Rig::new().load("test", &guest, &[]).unwrap_err().to_string();
        assert!(error.starts_with("ERR bad manifest: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn only_a_blocking_command_parks_and_only_on_something() {
    let body = "(block (result i32) (i32.store8 (i32.const 8200) (i32.const 1)) (i32.const 8192))";
    let rig = beside(&Guest::one("T.PARK", body), &[]);
    let expected = "-INVALID plugin 'test' gave a reply that does not add up: ";
    let reply = rig.call(&["T.PARK"]);
    assert_eq!(
        reply,
        format!("{expected}it parks, and its command is not declared as blocking\r\n")
    );
    let rig = beside(&Guest::new("test").blocking("T.PARK", body), &[]);
    let reply = rig.call(&["T.PARK"]);
    assert_eq!(reply, format!("{expected}it parks on no key and without a deadline\r\n"));
}
