//! Plugins in trouble, and what operators see of it; what is counted, and what is shared.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use reef_engine::backend::{Extension, PluginQuotas};
use reef_runtime::{LoadRequest, Mode, Options, Source};

use crate::guest::{Guest, batch};
use crate::keys::Keys;
use crate::rig::{Call, Rig, administer};

/// A rig with a plugin that fails when it is told to.
fn failing() -> Rig {
    Rig::of(&Guest::one("T.BAD", "unreachable").command("T.OK", "(i32.const 64)"))
}

const TRAP: &str = "TRAP plugin 'test' failed: wasm `unreachable` instruction executed";

/// The text after `name` in a reply.
fn text<'r>(reply: &'r str, name: &str) -> &'r str {
    let mut lines = reply.split("\r\n").skip_while(|line| *line != name);
    lines.nth(2).unwrap_or_else(|| panic!("no {name} in {reply}"))
}

/// Calls until one of this command is not refused because of a pause; its reply.
fn after_pause(rig: &Rig, command: &str) -> String {
    for _ in 0..1_000 {
        let reply = rig.call(&[command]);
        if !reply.starts_with("-PAUSED ") {
            return reply;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("the pause never ended");
}

#[test]
fn operators_see_why_a_plugin_is_paused_and_until_when() {
    let rig = failing();
    for subcommand in [["PLUGIN", "INFO", "test"].as_slice(), &["PLUGIN", "STATS", "test"]] {
        let reply = rig.admin(subcommand);
        assert_eq!((text(&reply, "state"), text(&reply, "reason")), ("ok", ""));
    }
    assert_eq!(rig.figure("INFO", "paused-until-ms"), 0);
    assert_eq!(rig.figure("INFO", "last-failure-at-ms"), 0);
    for _ in 0..5 {
        assert_eq!(rig.call(&["T.BAD"]), format!("-{TRAP}\r\n"));
    }
    let refusal = rig.call(&["T.OK"]);
    assert!(refusal.starts_with("-PAUSED plugin 'test' failed 5 times in a row"), "{refusal}");
    for subcommand in
        [["PLUGIN", "INFO", "test"].as_slice(), &["PLUGIN", "STATS", "test"], &["PLUGIN", "LIST"]]
    {
        let reply = rig.admin(subcommand);
        assert!(text(&reply, "state").starts_with("paused for "), "{reply}");
        assert_eq!(text(&reply, "reason"), TRAP);
    }
    let at_ms = rig.figure("INFO", "last-failure-at-ms");
    let until_ms = rig.figure("INFO", "paused-until-ms");
    assert!(at_ms > 0 && until_ms > at_ms, "{at_ms} {until_ms}");
    assert_eq!(text(&rig.admin(&["PLUGIN", "INFO", "test"]), "last-failure"), TRAP);
    assert_eq!(rig.figure("STATS", "calls-refused"), 1);
    let log = rig.admin(&["PLUGIN", "LOG", "test", "1"]);
    assert!(log.ends_with(" warning paused for 100 ms after 5 failures in a row\r\n"), "{log}");
    let mut info = String::new();
    rig.runtime.info(&mut info);
    assert!(info.contains(",state=paused_for_") && info.contains(",refused=1,"), "{info}");
}

#[test]
fn each_pause_is_twice_as_long_until_a_call_succeeds() {
    let rig = failing();
    (0..5).for_each(|_| drop(rig.call(&["T.BAD"])));
    for (failures, pause_ms) in [(6, 200), (7, 400)] {
        assert!(after_pause(&rig, "T.BAD").starts_with("-TRAP "));
        let log = rig.admin(&["PLUGIN", "LOG", "test", "1"]);
        let line = format!("paused for {pause_ms} ms after {failures} failures in a row\r\n");
        assert!(log.ends_with(&line), "{log}");
    }
    assert_eq!(after_pause(&rig, "T.OK"), "+OK\r\n");
    assert_eq!(rig.figure("INFO", "failures-in-a-row"), 0);
    assert!(rig.call(&["T.BAD"]).starts_with("-TRAP "), "the next failure is the first again");
    let info = rig.admin(&["PLUGIN", "INFO", "test"]);
    assert_eq!((text(&info, "state"), text(&info, "reason")), ("ok", ""));
    assert_eq!(text(&info, "last-failure"), TRAP, "it is still known");
}

#[test]
fn a_replacement_ends_the_pause() {
    let rig = failing();
    (0..5).for_each(|_| drop(rig.call(&["T.BAD"])));
    assert!(rig.call(&["T.OK"]).starts_with("-PAUSED "));
    let guest = Guest::one("T.OK", "(i32.const 64)");
    let mut request = LoadRequest::new("test", Source::Bytes(guest.build().into()));
    request.mode = Mode::Replace;
    rig.runtime.load(request).unwrap();
    assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
    assert_eq!(rig.figure("INFO", "failures-in-a-row"), 0);
    let info = rig.admin(&["PLUGIN", "INFO", "test"]);
    assert_eq!((text(&info, "state"), text(&info, "last-failure")), ("ok", ""));
}

#[test]
fn lost_races_and_what_was_tried_after_them_are_counted() {
    let stale = batch(&[&["SET", "t:a", "3"]], &[("t:a", 99)]);
    let set = batch(&[&["SET", "t:a", "4"]], &[]);
    let rig = Rig::of(
        &Guest::one("T.RETRY", format!("(block (result i32) (drop {stale}) (drop {stale}) {set})"))
            .wants(&["SET", "~t:*"]),
    );
    assert_eq!(rig.call(&["T.RETRY"]), "+OK\r\n");
    for (name, expected) in [("conflicts", 2), ("retries", 2), ("host-calls", 3)] {
        assert_eq!(rig.figure("STATS", name), expected, "{name}");
    }
    assert_eq!(rig.figure("STATS", "memory-bytes-max"), 65_536);
}

/// Turns of an endless loop that take several slices.
const LONG: &str = "(block (result i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 40000000))))
    (i32.const 64))";

#[test]
fn a_command_that_takes_its_time_delays_its_callers_thread_once() {
    let guest = Guest::one("T.LONG", LONG).command("T.SHORT", "(i32.const 64)");
    let rig = Rig::new();
    rig.load("test", &guest, &[("cpu-ms", "60000")]).unwrap();
    assert_eq!(rig.call(&["T.LONG"]), "+OK\r\n");
    // What is timed is the caller's thread: the shortest of a few, as others need the cores, too.
    let freed = (0..5).map(|_| {
        let began = Instant::now();
        let call = rig.begin(&["T.LONG"]);
        let took = began.elapsed();
        assert!(matches!(call, Call::Later(_)));
        assert_eq!(call.reply(), "+OK\r\n");
        took
    });
    let freed = freed.min().unwrap();
    assert!(freed < Duration::from_millis(1), "no slice was spent on it: {freed:?}");
    let short = rig.begin(&["T.SHORT"]);
    assert!(matches!(short, Call::Done(_)), "the habit is the command's own");
    assert_eq!(rig.figure("STATS", "overstayed"), 6);
}

#[test]
fn many_calls_of_a_slow_command_wait_for_their_turn() {
    let rig = Rig::new();
    rig.load("test", &Guest::one("T.LONG", LONG), &[("cpu-ms", "60000")]).unwrap();
    assert_eq!(rig.call(&["T.LONG"]), "+OK\r\n");
    let calls: Vec<Call> = (0..80).map(|_| rig.begin(&["T.LONG"])).collect();
    calls.into_iter().for_each(|call| assert_eq!(call.reply(), "+OK\r\n"));
    assert_eq!(rig.figure("INFO", "calls-overstaying"), 0);
    assert_eq!(rig.figure("STATS", "calls"), 81);
}

#[test]
fn tenants_that_load_one_component_share_its_code() {
    let rig = Rig::new();
    let bytes = Guest::one("T.OK", "(i32.const 64)").build();
    let load: [&[u8]; 4] = [b"PLUGIN", b"LOAD", b"test", &bytes];
    let mut tenants = Vec::new();
    let mut origins = Vec::new();
    for number in 0..3 {
        let keys = Arc::new(Keys::default());
        let name = format!("tenant-{number}");
        let tenant = rig.runtime.of_tenant(&name, keys, PluginQuotas::default()).unwrap();
        assert_eq!(administer(&*tenant, &load), "+OK\r\n");
        let info = administer(&*tenant, &[b"PLUGIN", b"INFO", b"test"]);
        origins.push(text(&info, "code").to_owned());
        tenants.push(tenant);
    }
    assert_eq!(origins, ["compiled", "shared", "shared"]);
}

#[test]
fn code_that_nobody_uses_any_more_is_compiled_or_read_again() {
    let dir = std::env::temp_dir().join(format!("reef-runtime-again-{}", std::process::id()));
    let options = Options { cache_dir: Some(dir.clone()), ..Options::default() };
    let rig = Rig::with(&options);
    let guest = Guest::one("T.OK", "(i32.const 64)");
    for expected in ["compiled", "cache"] {
        rig.load("test", &guest, &[]).unwrap();
        assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
        let info = rig.admin(&["PLUGIN", "INFO", "test"]);
        assert_eq!(text(&info, "code"), expected);
        rig.runtime.unload("test").unwrap();
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn warm_instances_make_room_for_others() {
    let rig = Rig::with(&Options { instances_max: 16, ..Options::default() });
    for number in 0..20 {
        let command = format!("T{number}.OK");
        rig.load(&format!("t{number}"), &Guest::one(&command, "(i32.const 64)"), &[]).unwrap();
        assert_eq!(rig.call(&[&command]), "+OK\r\n");
    }
    for number in 0..20 {
        assert_eq!(rig.call(&[&format!("T{number}.OK")]), "+OK\r\n", "the first is still served");
    }
}

#[test]
fn a_tenant_with_many_busy_calls_leaves_room_for_others() {
    let rig = Rig::with(&Options { instances_max: 16, ..Options::default() });
    let spin = Guest::one("T.SPIN", "(loop $again (br $again)) (i32.const 64)");
    rig.load("test", &spin, &[("cpu-ms", "60000")]).unwrap();
    let calls: Vec<Call> = (0..12).map(|_| rig.begin(&["T.SPIN"])).collect();
    let mut tries = 0;
    while rig.figure("INFO", "calls-overstaying") > 8 {
        thread::sleep(Duration::from_millis(5));
        tries += 1;
        assert!(tries < 2_000, "those for which there is no room are refused");
    }
    let keys = Arc::new(Keys::default());
    let tenant = rig.runtime.of_tenant("other", keys, PluginQuotas::default()).unwrap();
    let bytes = Guest::one("O.OK", "(i32.const 64)").build();
    assert_eq!(administer(&*tenant, &[b"PLUGIN", b"LOAD", b"other", &bytes]), "+OK\r\n");
    rig.admin(&["PLUGIN", "KILL", "test"]);
    let replies: Vec<String> = calls.into_iter().map(Call::reply).collect();
    let with = |code: &str| replies.iter().filter(|reply| reply.starts_with(code)).count();
    assert_eq!((with("-KILLED "), with("-BUSY ")), (8, 4), "its share is half of all: {replies:?}");
    assert_eq!(rig.figure("INFO", "failures-in-a-row"), 0);
}
