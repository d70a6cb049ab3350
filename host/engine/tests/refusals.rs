//! What is refused when memory is exhausted, and what is not; how watches end.

use reef_engine::gates::Conditions;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_resp::OwnedArgv;

/// An engine with one client, and the replies as text.
struct One {
    solo: Solo,
    client: u64,
}

impl One {
    fn new(shards: usize) -> Self {
        let settings = Settings { debug_commands: true, ..Settings::default() };
        let mut solo = Solo::new(11, shards, settings);
        let client = solo.connect();
        Self { solo, client }
    }

    fn run(&mut self, line: &str) -> String {
        let argv: OwnedArgv = line.split(' ').collect();
        let (bytes, _) = self.solo.run(self.client, argv.as_argv());
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    fn check(&mut self, lines: &[(&str, &str)]) {
        for (line, expected) in lines {
            assert_eq!(self.run(line), *expected, "{line}");
        }
    }

    fn set_out_of_memory(&mut self, out_of_memory: bool) {
        self.solo.set_conditions(Conditions { out_of_memory, ..Conditions::default() });
    }
}

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";
const EXEC_OOM: &str = "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.";

#[test]
fn without_memory_only_what_takes_some_is_refused() {
    let mut one = One::new(8);
    one.check(&[("SET k v", "+OK"), ("RPUSH l a", ":1")]);
    one.set_out_of_memory(true);
    one.check(&[
        ("SET k w", OOM),
        ("RPUSH l b", OOM),
        ("COPY k c", OOM),
        ("GET k", "$1\r\nv"),
        ("LPOP l", "$1\r\na"),
        ("EXPIRE k 100", ":1"),
        ("DEL k", ":1"),
        ("FLUSHALL", "+OK"),
    ]);
    one.set_out_of_memory(false);
    one.check(&[("SET k v", "+OK")]);
}

#[test]
fn without_memory_nothing_is_queued_and_exec_runs_what_takes_none() {
    let mut one = One::new(8);
    one.check(&[("SET k 1", "+OK"), ("WATCH w", "+OK"), ("MULTI", "+OK"), ("INCR k", "+QUEUED")]);
    one.set_out_of_memory(true);
    // INCR was queued in time, but may not run; the transaction is over, and the watch as well.
    one.check(&[("EXEC", EXEC_OOM), ("EXEC", "-ERR EXEC without MULTI"), ("GET k", "$1\r\n1")]);
    one.set_out_of_memory(false);
    one.check(&[("SET w 1", "+OK"), ("MULTI", "+OK"), ("GET k", "+QUEUED")]);
    one.set_out_of_memory(true);
    one.check(&[("EXEC", "*1\r\n$1\r\n1"), ("MULTI", "+OK"), ("GET k", OOM)]);
    one.check(&[
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("MULTI", "+OK"),
        ("DISCARD", "+OK"),
    ]);
}

#[test]
fn a_refused_exec_ends_the_watches_too() {
    let mut one = One::new(8);
    one.check(&[("WATCH k", "+OK"), ("MULTI", "+OK")]);
    assert!(one.run("EXEC now").starts_with("-EXECABORT"));
    one.check(&[("SET k v", "+OK"), ("MULTI", "+OK"), ("EXEC", "*0")]);
}

/// A key that had expired before the databases were exchanged changes nothing for who watches it.
#[test]
fn swapdb_does_not_bring_expired_keys_to_watchers() {
    for shards in [1, 8] {
        let mut one = One::new(shards);
        one.check(&[("DEBUG SET-ACTIVE-EXPIRE 0", "+OK"), ("SET x foo PX 1", "+OK")]);
        one.solo.advance(2);
        one.check(&[
            ("SELECT 1", "+OK"),
            ("WATCH x", "+OK"),
            ("SWAPDB 0 1", "+OK"),
            ("MULTI", "+OK"),
            ("PING", "+QUEUED"),
            ("EXEC", "*1\r\n+PONG"),
        ]);
        // One that expires after the watch began has changed, swapped or not.
        one.check(&[("SET x foo PX 1", "+OK"), ("WATCH x", "+OK")]);
        one.solo.advance(2);
        one.check(&[("SWAPDB 0 1", "+OK"), ("MULTI", "+OK"), ("EXEC", "*-1")]);
        one.solo.check();
    }
}
