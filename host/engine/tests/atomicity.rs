//! Random batches and command sequences: all or nothing, the same for every number of shards, the
//! same for the same seed.

use reef_engine::backend::{Batch, Caller, Guards, Items, OnError, Outcome, StepError};
use reef_engine::batch::{Plan, reply_columns};
use reef_engine::command::Command;
use reef_engine::grants::Grants;
use reef_engine::registry::Registry;
use reef_engine::settings::{Rules, Settings};
use reef_engine::solo::Solo;
use reef_fuzz::choice::Choice;
use reef_resp::Writer;

use crate::traffic::{Columns, Line, Traffic, argv};

/// Databases that the traffic can reach.
const DATABASES: usize = 3;

fn solo(seed: u64, shards: usize) -> Solo {
    Solo::new(seed, shards, Settings::default())
}

fn caller(database: u32) -> Caller {
    Caller { client_id: 1, user: "default".into(), database }
}

fn line(words: &[&str]) -> Line {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn run(solo: &mut Solo, client: u64, words: &[&str]) -> Vec<u8> {
    solo.run(client, argv(&line(words)).as_argv()).0
}

fn apply(
    solo: &mut Solo,
    database: u32,
    lines: &[Line],
    on_error: OnError,
    replies: &mut Writer,
) -> Result<Outcome, StepError> {
    let columns = Columns::new(lines);
    let batch = Batch {
        guards: Guards::default(),
        commands: columns.borrow(),
        on_error,
        discard_replies: false,
    };
    solo.apply(&caller(database), &Grants::all(), &batch, replies)
}

/// Commands that fail whatever the data.
fn failure(traffic: &mut Traffic) -> Line {
    line(traffic.rng.pick(&[
        &["INCRBY", "a", "many"][..],
        &["RENAME", "missing", "a"],
        &["SET", "a", "v", "EX", "0"],
        &["EXPIRE", "b", "10", "NX", "XX"],
        &["COPY", "a", "b", "DB", "99"],
    ]))
}

/// Keys that clients watch; never written outside of the batch at hand.
const WATCHED: [&str; 5] = ["a", "b", "c", "d", "{tag}e"];

#[test]
fn a_batch_that_fails_leaves_no_trace() {
    for shards in [1, 8] {
        let (mut rolled_back, mut applied) = (0, 0);
        for seed in 0..40 {
            let mut traffic = Traffic::all(seed);
            let mut solo = solo(seed, shards);
            let client = solo.connect();
            for _ in 0..60 {
                let database = traffic.rng.below(DATABASES) as u32;
                let count = 1 + traffic.rng.below(10);
                let mut lines = traffic.lines(count);
                let fails = traffic.rng.below(2) == 0;
                if fails {
                    lines.push(failure(&mut traffic));
                }
                run(&mut solo, client, &["SELECT", &database.to_string()]);
                run(&mut solo, client, &[&["WATCH"], &WATCHED[..]].concat());
                let before = solo.digest();
                let mut replies = reply_columns();
                let on_error = OnError::RollBack;
                match apply(&mut solo, database, &lines, on_error, &mut replies) {
                    Err(StepError::RolledBack(index, error)) => {
                        rolled_back += 1;
                        let after = solo.digest();
                        assert_eq!(before, after, "seed {seed}, {index}: {error}\n{lines:?}");
                        assert!(replies.data().is_empty() && replies.nodes().is_empty());
                        run(&mut solo, client, &["MULTI"]);
                        let exec = run(&mut solo, client, &["EXEC"]);
                        assert_eq!(exec, b"*0\r\n", "a watch saw what was undone: {lines:?}");
                    }
                    other => {
                        assert_eq!(other, Ok(Outcome::Applied), "{lines:?}");
                        assert!(!fails, "{lines:?}");
                        applied += 1;
                        run(&mut solo, client, &["UNWATCH"]);
                    }
                }
                solo.check();
                if traffic.rng.below(4) == 0 {
                    let pause_ms = traffic.rng.below(400) as u64;
                    solo.advance(pause_ms);
                }
            }
        }
        assert!(rolled_back > 500 && applied > 100, "{rolled_back} and {applied}: a dull run");
    }
}

/// Sends random traffic; gives all replies, one after the other.
fn play(solo: &mut Solo, traffic: &mut Traffic, count: usize) -> Vec<(Line, Vec<u8>)> {
    let clients = [solo.connect(), solo.connect()];
    let mut replies = Vec::new();
    for _ in 0..count {
        let client = clients[traffic.rng.below(clients.len())];
        let lines = match traffic.rng.below(30) {
            0 => vec![line(&["SELECT", &traffic.rng.below(DATABASES).to_string()])],
            1 => vec![line(&["SWAPDB", "0", &traffic.rng.below(DATABASES).to_string()])],
            2 => vec![line(&["FLUSHDB"])],
            3 => vec![line(&["DEBUG", "DIGEST"])],
            4 => {
                let mut lines = vec![line(&["WATCH", "a", "b"]), line(&["MULTI"])];
                lines.extend(traffic.lines(3));
                lines.push(line(&["EXEC"]));
                lines
            }
            5 => {
                let pause_ms = traffic.rng.below(400) as u64;
                solo.advance(pause_ms);
                Vec::new()
            }
            _ => traffic.lines(1),
        };
        for line in lines {
            let (bytes, open) = solo.run(client, argv(&line).as_argv());
            assert!(open && !bytes.is_empty(), "{line:?}");
            replies.push((line, bytes));
        }
    }
    clients.into_iter().for_each(|client| solo.disconnect(client));
    replies
}

#[test]
fn results_do_not_depend_on_the_number_of_shards() {
    let settings = || Settings { debug_commands: true, ..Settings::default() };
    for seed in 100..130 {
        let mut one = Solo::new(seed, 1, settings());
        let mut eight = Solo::new(seed, 8, settings());
        let first = play(&mut one, &mut Traffic::ordered(seed), 600);
        let second = play(&mut eight, &mut Traffic::ordered(seed), 600);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first, second, "seed {seed}");
        }
        assert_eq!(one.digest(), eight.digest(), "seed {seed}");
        one.check();
        eight.check();
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for (seed, shards) in [(1, 1), (2, 8), (3, 64)] {
        let once = || {
            let mut solo = solo(seed, shards);
            let replies = play(&mut solo, &mut Traffic::all(seed), 2000);
            (replies, solo.digest())
        };
        assert!(once() == once(), "seed {seed}, {shards} shards");
    }
}

/// The same commands, sent one by one and as a batch, say and do the same.
#[test]
fn a_batch_does_what_its_commands_do() {
    for seed in 200..220 {
        let mut traffic = Traffic::ordered(seed);
        let (mut batched, mut plain) = (solo(seed, 8), solo(seed, 8));
        let client = plain.connect();
        for _ in 0..40 {
            let lines = traffic.lines(8);
            let mut replies = Writer::new(reef_resp::Protocol::Resp2);
            let outcome = apply(&mut batched, 0, &lines, OnError::KeepGoing, &mut replies);
            assert_eq!(outcome, Ok(Outcome::Applied));
            let one_by_one: Vec<u8> =
                lines.iter().flat_map(|line| plain.run(client, argv(line).as_argv()).0).collect();
            assert_eq!(replies.take_data(), one_by_one, "seed {seed}: {lines:?}");
            assert_eq!(batched.digest(), plain.digest(), "seed {seed}: {lines:?}");
            let pause_ms = traffic.rng.below(200) as u64;
            batched.advance(pause_ms);
            plain.advance(pause_ms);
        }
    }
}

/// Nothing of such batches can have to be undone, so nothing is kept for that.
#[test]
fn a_batch_that_cannot_fail_does_what_its_commands_do() {
    let is_sure = |line: &Line| {
        let of_name = |(_, command): &(u16, &Command)| command.name.as_bytes() == line[0];
        let found = Command::natives().find(of_name);
        found.is_some_and(|(_, command)| command.cannot_fail(line.len()))
    };
    let mut batches = 0;
    for seed in 220..230 {
        let mut traffic = Traffic::ordered(seed);
        let (mut batched, mut plain) = (solo(seed, 8), solo(seed, 8));
        let client = plain.connect();
        for _ in 0..200 {
            // Data of all types, on which the batch then runs.
            for line in traffic.lines(4) {
                plain.run(client, argv(&line).as_argv());
                let mut replies = reply_columns();
                let _ = apply(&mut batched, 0, &[line], OnError::KeepGoing, &mut replies);
            }
            let lines: Vec<Line> = traffic.lines(150).into_iter().filter(is_sure).collect();
            batches += usize::from(lines.len() > 1);
            let mut plan = Plan::new();
            let columns = Columns::new(&lines);
            let (all, rules) = (Grants::all(), Rules::new(seed, 8, Settings::default()));
            plan.make(columns.borrow(), false, &all, &Registry::native(), &rules).unwrap();
            assert!(!plan.journal(OnError::RollBack, &rules).is_undoable(), "{lines:?}");
            let mut replies = Writer::new(reef_resp::Protocol::Resp2);
            let outcome = apply(&mut batched, 0, &lines, OnError::RollBack, &mut replies);
            assert_eq!(outcome, Ok(Outcome::Applied), "seed {seed}: {lines:?}");
            let one_by_one: Vec<u8> =
                lines.iter().flat_map(|line| plain.run(client, argv(line).as_argv()).0).collect();
            assert_eq!(replies.take_data(), one_by_one, "seed {seed}: {lines:?}");
            assert_eq!(batched.digest(), plain.digest(), "seed {seed}: {lines:?}");
        }
    }
    assert!(batches > 1_000, "{batches}: a dull run");
}

#[test]
fn guards_tell_of_changes_and_of_keys_that_appear() {
    for shards in [1, 8] {
        let mut solo = solo(5, shards);
        let client = solo.connect();
        let keys = Items { lengths: &[1, 1], data: b"ab" };
        let versions = |solo: &mut Solo| {
            let mut versions = Vec::new();
            let mut replies = reply_columns();
            let get = Columns::new(&[line(&["GET", "a"])]);
            let read = solo.read(
                &caller(0),
                &Grants::all(),
                get.borrow(),
                keys,
                &mut replies,
                &mut versions,
            );
            assert_eq!(read, Ok(()));
            versions
        };
        let attempt = |solo: &mut Solo, versions: &[u64], absent: Items<'_>| {
            let set = Columns::new(&[line(&["SET", "done", "1"])]);
            let batch = Batch {
                guards: Guards { keys, versions, absent },
                commands: set.borrow(),
                on_error: OnError::RollBack,
                discard_replies: true,
            };
            solo.apply(&caller(0), &Grants::all(), &batch, &mut reply_columns())
        };
        let nothing = Items::default();
        run(&mut solo, client, &["SET", "a", "1", "PX", "100"]);
        let seen = versions(&mut solo);
        assert_eq!(attempt(&mut solo, &seen, nothing), Ok(Outcome::Applied));
        run(&mut solo, client, &["GET", "a"]);
        assert_eq!(attempt(&mut solo, &seen, nothing), Ok(Outcome::Applied));
        run(&mut solo, client, &["SET", "b", "1"]);
        assert_eq!(attempt(&mut solo, &seen, nothing), Ok(Outcome::Stale(vec![1])));
        // A key that expires has changed, noticed or not.
        let seen = versions(&mut solo);
        solo.advance(101);
        assert_eq!(attempt(&mut solo, &seen, nothing), Ok(Outcome::Stale(vec![0])));
        let seen = versions(&mut solo);
        let absent = Items { lengths: &[1, 1], data: b"ab" };
        assert_eq!(attempt(&mut solo, &seen, absent), Ok(Outcome::Stale(vec![3])));
        run(&mut solo, client, &["DEL", "b"]);
        let seen = versions(&mut solo);
        assert_eq!(attempt(&mut solo, &seen, absent), Ok(Outcome::Applied));
    }
}

#[test]
fn what_was_not_granted_does_not_run() {
    let mut solo = solo(6, 8);
    let mut try_it = |words: &[&str], grants: &[&str]| {
        let columns = Columns::new(&[line(words)]);
        let batch = Batch {
            guards: Guards::default(),
            commands: columns.borrow(),
            on_error: OnError::RollBack,
            discard_replies: false,
        };
        let grants = Grants::parse(grants).unwrap();
        solo.apply(&caller(0), &grants, &batch, &mut reply_columns())
    };
    let denied = |outcome| matches!(outcome, Err(StepError::AccessDenied(_)));
    let invalid = |outcome| matches!(outcome, Err(StepError::InvalidCommand(0, _)));
    assert_eq!(try_it(&["SET", "tx:1", "v"], &["SET", "~tx:*"]), Ok(Outcome::Applied));
    assert!(denied(try_it(&["SET", "other", "v"], &["SET", "~tx:*"])));
    assert!(denied(try_it(&["GET", "tx:1"], &["SET", "~tx:*"])));
    assert!(denied(try_it(&["COPY", "tx:1", "other"], &["*", "~tx:*"])));
    assert_eq!(try_it(&["OBJECT", "ENCODING", "tx:1"], &["*"]), Ok(Outcome::Applied));
    // Who may touch some keys only may not look at all of them.
    assert_eq!(try_it(&["KEYS", "*"], &["*"]), Ok(Outcome::Applied));
    for words in [&["KEYS", "*"][..], &["SCAN", "0"], &["RANDOMKEY"], &["DBSIZE"]] {
        assert!(denied(try_it(words, &["*", "~tx:*"])), "{words:?}");
    }
    for (words, allowed) in [
        (&["KEYS", "tx:*"][..], true),
        (&["KEYS", "tx:1?"], true),
        (&["KEYS", "t*"], false),
        (&["KEYS", "[t]x:*"], false),
        (&["SCAN", "0", "COUNT", "5", "match", "tx:*"], true),
        (&["SCAN", "0", "MATCH", "*", "MATCH", "tx:a*"], true),
        (&["SCAN", "0", "MATCH", "tx:*", "MATCH", "*"], false),
        (&["SCAN", "0", "COUNT", "5"], false),
        (&["SCAN", "0", "MATCH"], false),
        (&["SCAN", "0", "TYPE", "MATCH", "COUNT", "tx:*"], false),
    ] {
        let outcome = try_it(words, &["*", "~tx:*"]);
        let ran = outcome == Ok(Outcome::Applied);
        assert_eq!((ran, denied(outcome)), (allowed, !allowed), "{words:?}");
    }
    // SORT reaches keys that it does not name.
    for (words, allowed) in [
        (&["SORT", "tx:l"][..], true),
        (&["SORT", "tx:l", "BY", "nosort", "GET", "#", "GET", "nothing"], true),
        (&["SORT", "tx:l", "BY", "tx:w_*", "GET", "tx:*->f", "STORE", "tx:d"], true),
        (&["SORT", "tx:l", "BY", "w_*"], false),
        (&["SORT", "tx:l", "LIMIT", "0", "1", "GET", "tx:a*", "get", "*"], false),
        (&["SORT", "tx:l", "GET", "*tx:"], false),
        (&["SORT", "tx:l", "STORE", "d"], false),
        (&["SORT_RO", "tx:l", "GET", "o_*->tx:"], false),
        (&["SORT_RO", "tx:l", "GET", "tx:*"], true),
    ] {
        let outcome = try_it(words, &["*", "~tx:*"]);
        let ran = outcome == Ok(Outcome::Applied);
        assert_eq!((ran, denied(outcome)), (allowed, !allowed), "{words:?}");
    }
    for words in [&["FLUSHALL"][..], &["MULTI"], &["SELECT", "1"], &["NOPE"], &["GET"], &[]] {
        assert!(invalid(try_it(words, &["*"])), "{words:?}");
    }
}

#[test]
fn a_plugin_knows_how_many_wait_for_a_key_that_it_was_granted() {
    for shards in [1, 8] {
        let mut solo = solo(7, shards);
        let clients: Vec<u64> = (0..3).map(|_| solo.connect()).collect();
        let grants = Grants::parse(&["~queue:*"]).unwrap();
        let waiting =
            |solo: &Solo, database, key: &[u8]| solo.waiting(&caller(database), &grants, key);
        assert_eq!(waiting(&solo, 0, b"queue:a"), Ok(0));
        run(&mut solo, clients[0], &["BLPOP", "queue:a", "queue:b", "0"]);
        run(&mut solo, clients[1], &["BLPOP", "queue:a", "1"]);
        run(&mut solo, clients[2], &["BLPOP", "other", "0"]);
        assert_eq!(waiting(&solo, 0, b"queue:a"), Ok(2));
        assert_eq!(waiting(&solo, 0, b"queue:b"), Ok(1));
        assert_eq!(waiting(&solo, 1, b"queue:a"), Ok(0), "another database's are others");
        assert!(matches!(waiting(&solo, 0, b"other"), Err(StepError::AccessDenied(_))));
        solo.advance(1_001);
        assert_eq!(waiting(&solo, 0, b"queue:a"), Ok(1));
        solo.disconnect(clients[0]);
        assert_eq!(waiting(&solo, 0, b"queue:a"), Ok(0));
        assert_eq!(waiting(&solo, 0, b"queue:b"), Ok(0));
    }
}
