//! A quota of memory within one step: what exceeds it never happened, and is no way to more.

use reef_engine::backend::{Batch, Caller, Guards, OnError, Outcome, StepError};
use reef_engine::batch::reply_columns;
use reef_engine::grants::Grants;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_engine::tenancy::{MemoryQuota, STEP_SLACK_BYTES};

use crate::traffic::{Columns, Line, argv};

const QUOTA: MemoryQuota = MemoryQuota { limit: 100_000, slack: STEP_SLACK_BYTES };
const REFUSED: &str = "-OOM quota 'memory' of this tenant is used up (limit 100000)\r\n";

/// One client of data with a quota.
struct One {
    solo: Solo,
    client: u64,
}

impl One {
    fn new(shards: usize) -> Self {
        let settings = Settings { memory_quota: Some(QUOTA), ..Settings::default() };
        let mut solo = Solo::new(3, shards, settings);
        let client = solo.connect();
        Self { solo, client }
    }

    fn run(&mut self, words: &[&str]) -> String {
        let (reply, _) = self.solo.run(self.client, argv(&line(words)).as_argv());
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn apply(&mut self, lines: &[Line], on_error: OnError) -> Result<Outcome, StepError> {
        let columns = Columns::new(lines);
        let (guards, commands) = (Guards::default(), columns.borrow());
        let batch = Batch { guards, commands, on_error, discard_replies: true };
        let caller = Caller { client_id: self.client, user: "default".into(), database: 0 };
        self.solo.apply(&caller, &Grants::all(), &batch, &mut reply_columns())
    }

    /// Takes all but some thousand bytes.
    fn fill(&mut self) {
        assert_eq!(self.run(&["SET", "filler", &"x".repeat(95_000)]), "+OK\r\n");
        self.run(&["SET", "text", &"t".repeat(1_000)]);
        self.run(&["SADD", "set", "a"]);
        self.run(&["HSET", "hash", "f", "v"]);
        self.run(&["RPUSH", "list", "a"]);
        self.run(&["ZADD", "scores", "1", "a"]);
        self.run(&["XADD", "stream", "1-1", "f", "v"]);
    }
}

fn line(words: &[&str]) -> Line {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn one_command_that_exceeds_the_quota_never_happened() {
    let huge = "y".repeat(30_000);
    for shards in [1, 8] {
        let mut one = One::new(shards);
        one.fill();
        let before = one.solo.digest();
        for words in [
            &["SET", "new", &huge][..],
            &["SET", "text", &huge],
            &["MSET", "a", &huge, "b", "1", "text", "2"],
            &["APPEND", "text", &huge],
            &["SETRANGE", "text", "40000", "x"],
            // Far beyond: nothing is taken for it to begin with.
            &["SETRANGE", "text", "500000000", "x"],
            &["SETBIT", "text", "4000000000", "1"],
            &["BITFIELD", "text", "SET", "u8", "4000000000", "1"],
            &["COPY", "filler", "another"],
            &["RENAME", "text", &huge],
            &["RPUSH", "list", &huge],
            &["SADD", "set", &huge],
            &["HSET", "hash", "f", &huge],
            &["ZADD", "scores", "1", &huge],
            &["XADD", "stream", "*", "f", &huge],
            &["XREADGROUP", "GROUP", "g", &huge, "STREAMS", "stream", ">"],
            &["BITOP", "NOT", "inverse", "filler"],
        ] {
            if words[0] == "XREADGROUP" {
                one.run(&["XGROUP", "CREATE", "stream", "g", "0"]);
                one.run(&["XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream", ">"]);
                let before = one.solo.digest();
                assert_eq!(one.run(words), REFUSED);
                assert!(before == one.solo.digest());
                one.run(&["XGROUP", "DESTROY", "stream", "g"]);
                continue;
            }
            assert_eq!(one.run(words), REFUSED, "{:?}", &words[..2]);
            assert!(before == one.solo.digest(), "{:?}", &words[..2]);
        }
        // What fits passes, and so does what is smaller than before.
        assert_eq!(one.run(&["APPEND", "text", "z"]), ":1001\r\n");
        assert_eq!(one.run(&["SET", "filler", "small"]), "+OK\r\n");
        assert_eq!(one.run(&["SET", "text", &huge]), "+OK\r\n");
        one.solo.check();
    }
}

#[test]
fn a_batch_that_exceeds_the_quota_never_happened() {
    for shards in [1, 8] {
        let mut one = One::new(shards);
        one.fill();
        let before = one.solo.digest();
        // Small arguments, and a hundred thousand times as much data.
        let mut lines = vec![line(&["SET", "first", "1"])];
        lines.extend((0..20_000).map(|index| line(&["COPY", "filler", &format!("copy:{index}")])));
        let text = "quota 'memory' of this tenant is used up (limit 100000)".to_owned();
        assert_eq!(one.apply(&lines, OnError::RollBack), Err(StepError::QuotaExceeded(text)));
        assert!(before == one.solo.digest());
        // Of one that goes on each command is refused for itself.
        assert_eq!(one.apply(&lines, OnError::KeepGoing), Ok(Outcome::Applied));
        assert_eq!(one.run(&["DBSIZE"]), format!(":{}\r\n", before.len() + 1));
        one.solo.check();
    }
}

#[test]
fn commands_of_a_transaction_are_refused_one_by_one() {
    let mut one = One::new(4);
    one.fill();
    let huge = "y".repeat(30_000);
    for words in [
        &["MULTI"][..],
        &["SET", "first", "1"],
        &["COPY", "filler", "another"],
        &["INCR", "first"],
        &["SET", "text", &huge],
        &["DEL", "filler"],
        &["SET", "text", &huge],
    ] {
        one.run(words);
    }
    let expected = format!("*6\r\n+OK\r\n{REFUSED}:2\r\n{REFUSED}:1\r\n+OK\r\n");
    assert_eq!(one.run(&["EXEC"]), expected);
    assert_eq!(one.run(&["EXISTS", "another", "filler", "text"]), ":1\r\n");
    one.solo.check();
}

/// What is taken back must leave no room behind that is never given back.
#[test]
fn refused_commands_take_nothing_however_many_there_are() {
    let mut one = One::new(4);
    one.fill();
    let large = "y".repeat(22_000);
    let mut after_some = 0;
    for round in 0..20_000 {
        let key = format!("key:{round}");
        for words in [
            &["SET", &key, &large][..],
            &["SET", &key, &large, "EX", "100"],
            &["RPUSH", "list", &large],
            &["HSET", "hash", &key, &large],
            &["SADD", "set", &key, &large],
            &["APPEND", "text", &large],
        ] {
            assert_eq!(one.run(words), REFUSED);
        }
        if round == 100 {
            after_some = one.solo.data_bytes();
        }
    }
    assert_eq!(one.solo.data_bytes(), after_some);
    assert!(after_some < QUOTA.most());
}
