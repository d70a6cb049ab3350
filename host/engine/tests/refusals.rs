//! What is refused when memory is exhausted, data cannot be written, replicas are missing and so on,
//! and what is not; how watches end.

use reef_engine::gates::{Conditions, DiskFailure};
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

const READONLY: &str = "-READONLY You can't write against a read only replica.";
const NO_REPLICAS: &str = "-NOREPLICAS Not enough good replicas to write.";
const STALE: &str =
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
const LOADING: &str = "-LOADING Redis is loading the dataset in memory";
const LOG_FAILS: &str = "-MISCONF Errors writing to the AOF file: No space left on device";
const SNAPSHOTS_FAIL: &str = "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.";

/// Everything that can be wrong, from what is looked at last to what is looked at first.
fn troubles() -> [(Conditions, &'static str); 7] {
    let loading = Conditions { loading: true, ..Conditions::default() };
    let stale = Conditions { stale_replica: true, ..loading };
    let readonly = Conditions { readonly_replica: true, ..stale };
    let alone = Conditions { replicas_missing: true, ..readonly };
    let snapshots = Conditions { disk_failure: Some(DiskFailure::Snapshot), ..alone };
    let full = DiskFailure::Log("No space left on device");
    let log = Conditions { disk_failure: Some(full), ..alone };
    let memory = Conditions { out_of_memory: true, ..log };
    [
        (loading, LOADING),
        (stale, STALE),
        (readonly, READONLY),
        (alone, NO_REPLICAS),
        (snapshots, SNAPSHOTS_FAIL),
        (log, LOG_FAILS),
        (memory, OOM),
    ]
}

#[test]
fn of_several_troubles_the_first_is_told_in_redis_order() {
    let mut one = One::new(8);
    one.check(&[("SET k 1", "+OK")]);
    for (conditions, reply) in troubles() {
        one.solo.set_conditions(Conditions::default());
        one.check(&[("MULTI", "+OK"), ("SET k 2", "+QUEUED")]);
        one.solo.set_conditions(conditions);
        let aborted = format!(
            "-EXECABORT Transaction discarded because of: {}",
            reply.trim_start_matches('-')
        );
        one.check(&[("EXEC", &aborted), ("EXEC", "-ERR EXEC without MULTI"), ("SET k 3", reply)]);
        // What is refused when it is queued ends the transaction, too.
        let memory = if conditions.out_of_memory { OOM } else { reply };
        one.check(&[("MULTI", "+OK"), ("SET k 4", memory)]);
        let previous = "-EXECABORT Transaction discarded because of previous errors.";
        one.check(&[("EXEC", previous), ("MULTI", "+OK"), ("EXEC", "*0")]);
    }
    one.solo.set_conditions(Conditions::default());
    one.check(&[("GET k", "$1\r\n1")]);
}

#[test]
fn each_trouble_stops_its_own_commands_only() {
    let mut one = One::new(8);
    one.check(&[("SET k 1", "+OK")]);
    let only = |change: fn(&mut Conditions)| {
        let mut conditions = Conditions::default();
        change(&mut conditions);
        conditions
    };
    for (conditions, refused) in [
        (only(|at| at.readonly_replica = true), READONLY),
        (only(|at| at.replicas_missing = true), NO_REPLICAS),
        (only(|at| at.disk_failure = Some(DiskFailure::Snapshot)), SNAPSHOTS_FAIL),
    ] {
        one.solo.set_conditions(conditions);
        one.check(&[("GET k", "$1\r\n1"), ("DEL k", refused), ("SORT k", refused)]);
        one.check(&[("PUBLISH c m", ":0"), ("CONFIG SET timeout 0", "+OK")]);
        // Redis lets nobody ping it while its disk fails.
        let ping = if conditions.disk_failure.is_some() { refused } else { "+PONG" };
        one.check(&[("PING", ping)]);
    }
    for (conditions, refused) in
        [(only(|at| at.stale_replica = true), STALE), (only(|at| at.loading = true), LOADING)]
    {
        one.solo.set_conditions(conditions);
        one.check(&[("GET k", refused), ("DEL k", refused), ("PING", refused)]);
        one.check(&[("CONFIG SET timeout 0", "+OK"), ("MULTI", "+OK"), ("DISCARD", "+OK")]);
    }
}

#[test]
fn who_obeys_a_primary_is_not_refused() {
    for (conditions, _) in troubles() {
        let mut one = One::new(8);
        one.solo.obey(one.client);
        one.solo.set_conditions(conditions);
        one.check(&[("SET k v", ""), ("MULTI", ""), ("SET l v", ""), ("PING", ""), ("EXEC", "")]);
        assert_eq!(one.solo.digest().len(), 2);
    }
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

#[test]
fn strings_in_documents_grow_no_further_than_others() {
    let mut one = One::new(2);
    let settings = Settings { string_bytes_max: 20, ..Settings::default() };
    one.solo = Solo::new(11, 2, settings);
    one.client = one.solo.connect();
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    one.check(&[
        (r#"JSON.SET d $ {"a":"0123456789","b":"x","c":1}"#, "+OK"),
        (r#"JSON.STRAPPEND d $.a "0123456789""#, "*1\r\n:20"),
        (r#"JSON.STRAPPEND d $.a "0""#, too_long),
        (r#"JSON.STRAPPEND d .a "0""#, too_long),
        // None of several is changed if one cannot be.
        (r#"JSON.STRAPPEND d $.* "0""#, too_long),
        ("JSON.STRLEN d $.*", "*3\r\n:20\r\n:1\r\n$-1"),
        (r#"JSON.STRAPPEND d $.b "0123456789""#, "*1\r\n:11"),
    ]);
}

#[test]
fn a_path_to_many_places_does_not_multiply_a_large_value_without_end() {
    let mut one = One::new(2);
    let places = ["[0]"; 600].join(",");
    let texts = ["\"\""; 600].join(",");
    one.check(&[(&format!("JSON.SET d $ [{places}]"), "+OK")]);
    one.check(&[(&format!("JSON.SET t $ [{texts}]"), "+OK")]);
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let too_much = "-ERR a path leads to too many places";
    for line in ["SET d $[*]", "MERGE d $[*]", "ARRAPPEND d $[*]", "ARRINSERT d $[*] 0"] {
        one.check(&[(&format!("JSON.{line} {large}"), too_much)]);
    }
    one.check(&[
        (&format!("JSON.STRAPPEND t $[*] {large}"), too_much),
        ("JSON.ARRLEN d $[:2]", "*2\r\n:1\r\n:1"),
        (&format!("JSON.ARRAPPEND d $[:2] {large}"), "*2\r\n:2\r\n:2"),
        (&format!("JSON.STRAPPEND t $[0] {large}"), "*1\r\n:1048576"),
    ]);
    one.solo.check();
}

#[test]
fn what_is_the_same_for_all_places_is_read_once() {
    let mut one = One::new(2);
    let numbers = ["1"; 20_000].join(",");
    one.check(&[(&format!("JSON.SET d $ [{numbers}]"), "+OK")]);
    let operand = format!("1.{}", "0".repeat(1 << 20));
    assert!(one.run(&format!("JSON.NUMINCRBY d $[*] {operand}")).contains("[2.0,2.0,"));
    let paths: Vec<String> = (0..200_000).map(|at| format!("$[{at}]")).collect();
    let reply = one.run(&format!("JSON.GET d {}", paths.join(" ")));
    assert!(reply.ends_with(",\"$[199999]\":[]}"));
    assert!(reply.contains(",\"$[19999]\":[2.0],\"$[20000]\":[],"));
}

#[test]
fn a_large_text_is_not_shown_under_any_number_of_names() {
    let mut one = One::new(2);
    let large = "x".repeat(16 << 20);
    one.check(&[(&format!(r#"JSON.SET d $ {{"a":"{large}"}}"#), "+OK")]);
    let paths: Vec<String> = (0..1_100).map(|at| format!("$['a','{at}']")).collect();
    let too_much = "-ERR a path leads to too many places";
    one.check(&[(&format!("JSON.GET d {}", paths.join(" ")), too_much)]);
    let names = vec!["'a'"; 1_000].join(",");
    one.check(&[(&format!("JSON.GET d $[{names}]"), too_much)]);
    one.check(&[(&format!("JSON.STRAPPEND d $[{names}] \"y\""), too_much)]);
    one.check(&[("JSON.STRLEN d $.a", "*1\r\n:16777216")]);
}
