//! What a well-behaved plugin gets: arguments, replies, batches, its surroundings.

use crate::guest::{Guest, SCRATCH, batch, reply, tag};
use crate::rig::Rig;

#[test]
fn a_handler_replies_in_every_form() {
    let nested = reply(
        &[(tag::ARRAY, 3), (tag::INTEGER, -7_i64 as u64), (tag::BULK, 2), (tag::STATUS, 3)],
        "hiYES",
    );
    let rig = Rig::of(
        &Guest::new("test")
            .command("T.OK", "(i32.const 64)")
            .command("T.NESTED", nested)
            .command("T.NIL", reply(&[(tag::NIL, 0)], ""))
            .command("T.ERROR", reply(&[(tag::ERROR, 8)], "CODE why")),
    );
    assert_eq!(rig.call(&["T.OK"]), "+OK\r\n");
    assert_eq!(rig.call(&["T.NESTED"]), "*3\r\n:-7\r\n$2\r\nhi\r\n+YES\r\n");
    assert_eq!(rig.call(&["T.NIL"]), "$-1\r\n");
    assert_eq!(rig.call(&["T.ERROR"]), "-CODE why\r\n");
    let stats = &rig.runtime.stats()[0];
    assert_eq!((stats.calls, stats.errors, stats.traps), (4, 1, 0));
}

/// Replies with all arguments' bytes, as one bulk string.
const ECHO: &str = "(block (result i32)
    (i32.store8 (i32.const 8256) (i32.const 6))
    (i64.store (i32.const 8264) (i64.extend_i32_u (local.get $bytes)))
    (i64.store (i32.const 8192) (i64.const 0))
    (i64.store (i32.const 8200) (i64.const 0))
    (i32.store (i32.const 8208) (i32.const 8256))
    (i32.store (i32.const 8212) (i32.const 1))
    (i32.store (i32.const 8216) (local.get $data))
    (i32.store (i32.const 8220) (local.get $bytes))
    (i32.const 8192))";

#[test]
fn arguments_arrive_whole_and_in_order() {
    let rig = Rig::of(&Guest::one("T.ECHO", ECHO));
    assert_eq!(
        rig.begin_as(rig.number("T.ECHO"), &["t.echo", "", "a", "bc"]).reply(),
        "$9\r\nt.echoabc\r\n"
    );
    for len in [0, 1, 4096, 100_000, 1 << 20] {
        let long = "x".repeat(len);
        let expected = format!("${}\r\nT.ECHO{long}\r\n", len + 6);
        assert_eq!(rig.call(&["T.ECHO", &long]), expected, "{len}");
    }
}

#[test]
fn a_batch_is_applied_or_reported() {
    let rig = Rig::of(
        &Guest::new("test")
            .wants(&["SET", "INCR", "~t:*"])
            .command("T.SET", batch(&[&["SET", "t:a", "1"], &["SET", "t:b", "2"]], &[]))
            .command("T.UNDONE", batch(&[&["SET", "t:c", "1"], &["INCR", "t:c"]], &[]))
            .command("T.STALE", batch(&[&["SET", "t:a", "3"]], &[("t:a", 99)]))
            .command("T.DENIED", batch(&[&["SET", "other", "1"]], &[]))
            .command("T.UNGRANTED", batch(&[&["GET", "t:a"]], &[])),
    );
    assert_eq!(rig.call(&["T.SET"]), "+OK\r\n");
    assert_eq!(rig.keys.get("t:b").unwrap(), b"2");
    assert_eq!(rig.call(&["T.UNDONE"]), "-E c\r\n", "rolled-back");
    assert_eq!(rig.keys.get("t:c"), None);
    assert_eq!(rig.call(&["T.STALE"]), "-E s\r\n", "stale");
    assert_eq!(rig.call(&["T.DENIED"]), "-E a\r\n", "access-denied");
    assert_eq!(rig.call(&["T.UNGRANTED"]), "-E a\r\n", "access-denied");
    assert_eq!(rig.keys.get("t:a").unwrap(), b"1");
    assert_eq!(rig.figure("STATS", "conflicts"), 1);
    assert_eq!(rig.figure("STATS", "host-calls"), 5);
}

#[test]
fn a_call_that_takes_longer_than_a_slice_is_finished_elsewhere() {
    // About ten million turns: several slices.
    let body = "(block (result i32)
        (loop $again
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (global.set $sum (i32.add (global.get $sum) (local.get $i)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 30000000))))
        (i32.const 64))";
    let guest = Guest::one("T.LONG", body).extra("(global $sum (mut i32) (i32.const 0))");
    let rig = Rig::new();
    rig.load("test", &guest, &[("cpu-ms", "20000")]).unwrap();
    let call = rig.begin(&["T.LONG"]);
    assert!(matches!(call, crate::rig::Call::Later(_)));
    assert_eq!(call.reply(), "+OK\r\n");
    assert_eq!(rig.figure("STATS", "overstayed"), 1);
    assert_eq!(rig.call(&["T.LONG"]), "+OK\r\n", "the instance is as good as before");
    assert_eq!(rig.figure("INFO", "instances"), 1);
}

/// Says a 64-bit number that is on the stack.
fn say_number(number: &str) -> String {
    let said = reply(&[(tag::INTEGER, 0)], "");
    said.replace(
        &format!("(i32.const {SCRATCH}))"),
        &format!("(i64.store (i32.const {}) {number}) (i32.const {SCRATCH}))", SCRATCH + 72),
    )
}

#[test]
fn the_surroundings_of_a_call_are_known() {
    let rig = Rig::of(
        &Guest::new("test")
            .command("T.NOW", say_number("(i64.sub (call $now) (call $now))"))
            .command("T.RANDOM", say_number("(i64.xor (call $random) (call $random))"))
            .command(
                "T.DATABASE",
                say_number(
                    "(block (result i64) (call $caller (i32.const 9304))
                       (i64.load32_u (i32.const 9320)))",
                ),
            )
            .command(
                "T.LEFT",
                say_number(
                    "(block (result i64) (call $remaining (i32.const 9304))
                       (i64.load32_u (i32.const 9312)))",
                ),
            ),
    );
    assert_eq!(rig.call(&["T.NOW"]), ":0\r\n", "the clock does not move within a call");
    assert_ne!(rig.call(&["T.RANDOM"]), ":0\r\n");
    assert_eq!(rig.call(&["T.DATABASE"]), ":3\r\n");
    assert_eq!(rig.call(&["T.LEFT"]), ":9999\r\n", "asking is a host call");
}

#[test]
fn logs_and_counters_reach_the_operator() {
    let body = "(block (result i32)
        (i64.store (i32.const 8192) (i64.const 0x6f6c6c6568))
        (call $log (i32.const 2) (i32.const 8192) (i32.const 5))
        (call $counter_add (i32.const 8192) (i32.const 5) (i64.const 3))
        (i32.const 64))";
    let rig = Rig::of(&Guest::one("T.LOG", body));
    rig.call(&["T.LOG"]);
    rig.call(&["T.LOG"]);
    let log = rig.admin(&["PLUGIN", "LOG", "test", "1"]);
    assert!(log.ends_with("warning hello\r\n"), "{log}");
    assert!(log.starts_with("*1\r\n"), "{log}");
    assert_eq!(rig.figure("STATS", "hello"), 6);
}
