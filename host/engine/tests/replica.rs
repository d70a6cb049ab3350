//! A replica: what is due stays until the primary removes it, and its clients do not see it. And what
//! belongs to one unit of effects.

use reef_engine::backend::{Batch, Caller, Guards, OnError, StepError};
use reef_engine::batch::reply_columns;
use reef_engine::effects::Effects;
use reef_engine::gates::Conditions;
use reef_engine::grants::Grants;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_resp::OwnedArgv;

use crate::traffic::{Columns, Line};

fn words(line: &str) -> Line {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// An engine with a client, and another one that is the link to the primary.
struct Engine {
    solo: Solo,
    client: u64,
    link: u64,
}

impl Engine {
    fn new(shards: usize) -> Self {
        let settings = Settings { debug_commands: true, ..Settings::default() };
        let mut solo = Solo::new(3, shards, settings);
        solo.keep_effects();
        let (client, link) = (solo.connect(), solo.connect());
        solo.obey(link);
        Self { solo, client, link }
    }

    fn replica(shards: usize) -> Self {
        let mut replica = Self::new(shards);
        replica.solo.set_conditions(Conditions { readonly_replica: true, ..Conditions::default() });
        replica
    }

    fn run_as(&mut self, client: u64, line: &str) -> String {
        let argv: OwnedArgv = words(line).iter().collect();
        let (bytes, _) = self.solo.run(client, argv.as_argv());
        String::from_utf8_lossy(&bytes).replace("\r\n", " ").trim_end().to_owned()
    }

    fn run(&mut self, line: &str) -> String {
        self.run_as(self.client, line)
    }

    fn hear(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.run_as(self.link, line), "", "{line}");
        }
    }

    fn check(&mut self, lines: &[(&str, &str)]) {
        for (line, reply) in lines {
            assert_eq!(self.run(line), *reply, "{line}");
        }
    }

    /// The units since they were taken last, their commands without lengths.
    fn units(&mut self) -> Vec<Vec<String>> {
        units(&self.solo.take_effects())
    }
}

fn units(effects: &Effects) -> Vec<Vec<String>> {
    let shown = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.split("\r\n").skip(2).step_by(2);
        lines.collect::<Vec<_>>().join(" ")
    };
    let commands = effects.units().map(|unit| unit.commands());
    commands.map(|all| all.map(|one| shown(one.bytes)).collect()).collect()
}

#[test]
fn what_is_due_is_kept_and_not_seen() {
    for shards in [1, 8] {
        let mut replica = Engine::replica(shards);
        replica.hear(&[
            "SET k 5 PXAT 1767225601000",
            "SET other 1",
            "HSET h a 1 b 2",
            "HSET g a 1",
        ]);
        replica.hear(&["HPEXPIREAT h 1767225601000 FIELDS 1 a"]);
        replica.hear(&["HPEXPIREAT g 1767225601000 FIELDS 1 a"]);
        replica.check(&[("GET k", "$1 5"), ("HLEN h", ":2"), ("WATCH k", "+OK")]);
        replica.units();
        replica.solo.advance(2000);
        replica.check(&[("MULTI", "+OK"), ("PING", "+QUEUED"), ("EXEC", "*-1")]);
        replica.check(&[
            ("GET k", "$-1"),
            ("EXISTS k g", ":0"),
            ("TTL k", ":-2"),
            ("KEYS k", "*0"),
        ]);
        replica.check(&[("HGET h a", "$-1"), ("HLEN h", ":1"), ("HGETALL h", "*2 $1 b $1 2")]);
        let mut found: Vec<_> = (replica.run("KEYS *").split(' ').map(str::to_owned)).collect();
        found.sort();
        assert_eq!(found, ["$1", "$5", "*2", "h", "other"]);
        assert_eq!(replica.units(), Vec::<Vec<String>>::new(), "it says nothing of its own");
        assert_eq!(replica.solo.digest_with_expired().len(), 4);
        // What has expired already does not change for who begins to watch it now.
        replica.check(&[("WATCH k", "+OK"), ("MULTI", "+OK"), ("PING", "+QUEUED")]);
        replica.check(&[("EXEC", "*1 +PONG")]);
        // For the primary it is there.
        replica.hear(&["INCR k", "HINCRBY h a 1", "PEXPIREAT k 1767225601500", "EXPIREAT other 1"]);
        replica.check(&[("GET k", "$-1"), ("GET other", "$-1"), ("HGET h a", "$-1")]);
        replica.hear(&["PERSIST k", "HPERSIST h FIELDS 1 a", "PERSIST other", "DEL g"]);
        replica.check(&[("GET k", "$1 6"), ("HGET h a", "$1 2"), ("GET other", "$1 1")]);
        replica.check(&[("SET k 1", "-READONLY You can't write against a read only replica.")]);
        replica.solo.check();
    }
}

#[test]
fn a_replica_that_becomes_a_primary_removes_what_is_due() {
    let mut replica = Engine::replica(8);
    replica.hear(&["SET k 5 PXAT 1767225601000", "SET other 1"]);
    replica.solo.advance(2000);
    replica.units();
    replica.solo.set_conditions(Conditions::default());
    replica.check(&[("GET k", "$-1")]);
    assert_eq!(replica.units(), [["DEL k"]]);
    assert_eq!(replica.solo.digest_with_expired().len(), 1);
}

#[test]
fn who_reads_without_end_on_a_replica_is_served_by_its_primary() {
    let mut replica = Engine::replica(8);
    assert_eq!(replica.run("XREAD BLOCK 0 STREAMS s $"), "");
    replica.hear(&["XADD s 1-1 a b"]);
    let told = replica.solo.take_unasked(replica.client);
    assert!(told.windows(3).any(|part| part == b"1-1"), "{told:?}");
}

#[test]
fn a_unit_is_what_happened_at_once() {
    let mut primary = Engine::new(8);
    let waiting = primary.solo.connect();
    primary.check(&[("DEBUG SET-ACTIVE-EXPIRE 0", "+OK"), ("SET a 1 PX 10", "+OK")]);
    primary.check(&[("SET b 1 PX 10", "+OK"), ("GET a", "$1 1"), ("SADD s x", ":1")]);
    assert_eq!(primary.run_as(waiting, "BLMOVE l m LEFT RIGHT 0"), "");
    primary.units();
    primary.solo.advance(20);
    primary.run("INCR a");
    assert_eq!(primary.units(), [["DEL a", "INCR a"]]);
    primary.run("RPUSH l x");
    assert_eq!(primary.units(), [["RPUSH l x"], ["LMOVE l m LEFT RIGHT"]]);
    primary.check(&[("MULTI", "+OK"), ("SPOP s", "+QUEUED"), ("GET b", "+QUEUED")]);
    primary.check(&[("PUBLISH c m", "+QUEUED"), ("SET d 1 EX 1", "+QUEUED")]);
    primary.run("EXEC");
    assert_eq!(
        primary.units(),
        [["SREM s x", "DEL b", "PUBLISH c m", "SET d 1 PXAT 1767225601020"]]
    );
    // Each key that expires by itself is one.
    primary.check(&[("SET a 1 PX 5", "+OK"), ("SET b 1 PX 6", "+OK"), ("HSET h f 1 g 2", ":2")]);
    primary.run("HPEXPIRE h 7 FIELDS 2 f g");
    primary.units();
    primary.run("DEBUG SET-ACTIVE-EXPIRE 1");
    primary.solo.advance(50);
    let mut found = primary.units();
    found.iter_mut().for_each(|unit| unit.sort());
    found.sort();
    assert_eq!(found.len(), 3);
    assert_eq!(found[..2], [["DEL a"], ["DEL b"]]);
    assert!(found[2][0] == "HDEL h f g" || found[2][0] == "HDEL h g f", "{found:?}");
}

#[test]
fn what_is_rolled_back_has_no_effect_but_what_expired_has() {
    let fail = ["INCRBY", "other", "many"];
    let apply = |primary: &mut Engine, lines: &[&str]| {
        let mut lines: Vec<Line> = lines.iter().map(|line| words(line)).collect();
        lines.push(fail.map(|word| word.as_bytes().to_vec()).to_vec());
        let columns = Columns::new(&lines);
        let batch = Batch {
            guards: Guards::default(),
            commands: columns.borrow(),
            on_error: OnError::RollBack,
            discard_replies: true,
        };
        let caller = Caller { client_id: 1, user: "default".into(), database: 0 };
        let outcome = primary.solo.apply(&caller, &Grants::all(), &batch, &mut reply_columns());
        assert!(matches!(outcome, Err(StepError::RolledBack(..))), "{outcome:?}");
    };
    let mut primary = Engine::new(8);
    primary.check(&[("DEBUG SET-ACTIVE-EXPIRE 0", "+OK"), ("SET due 1 PX 10", "+OK")]);
    primary.check(&[("SET live 1", "+OK"), ("HSET h f 1 g 2", ":2"), ("HSET h i 3", ":1")]);
    primary.run("HPEXPIRE h 10 FIELDS 2 f g");
    primary.solo.advance(20);
    primary.units();
    // A key and fields that were due, one of each set again; and a key that only expires because the
    // batch says so.
    let lines =
        ["SET new 1", "GET due", "SET due 2", "HSET h f 5", "SET live 1 PXAT 1", "GET live"];
    apply(&mut primary, &lines);
    let mut found = primary.units();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].remove(0), "DEL due");
    assert!(found[0] == ["HDEL h f g"] || found[0] == ["HDEL h g f"], "{found:?}");
    primary.check(&[("GET live", "$1 1"), ("EXISTS due new", ":0"), ("HLEN h", ":1")]);
    apply(&mut primary, &["SET new 1", "SADD t a b c", "SPOP t"]);
    assert_eq!(primary.units(), Vec::<Vec<String>>::new());
}

#[test]
fn nothing_is_kept_for_nobody() {
    let mut solo = Solo::new(3, 8, Settings::default());
    let client = solo.connect();
    for line in
        ["SET k v EX 5", "SADD s a b", "SPOP s", "FLUSHALL", "PUBLISH c m", "GEOADD g 1 1 m"]
    {
        let argv: OwnedArgv = words(line).iter().collect();
        solo.run(client, argv.as_argv());
    }
    solo.advance(10_000);
    assert!(solo.take_effects().is_empty());
}

#[test]
fn searches_see_what_is_due_as_little_as_other_readers() {
    for shards in [1, 4] {
        let mut replica = Engine::replica(shards);
        replica.hear(&[
            "FT.CREATE i SCHEMA t TEXT n NUMERIC",
            "HSET a t hello n 1",
            "HSET b t hello n 2",
            "HSET c t hello n 3",
            "PEXPIRE a 50",
            "HPEXPIRE b 50 FIELDS 1 n",
            "HPEXPIRE c 50 FIELDS 2 t n",
        ]);
        let (all, ranges) = ("FT.SEARCH i hello", "FT.SEARCH i @n:[0,9] LIMIT 0 0");
        replica.check(&[(ranges, "*1 :3")]);
        replica.solo.advance(60);
        let found = "*3 :1 $1 b *2 $1 t $5 hello";
        replica.check(&[
            (all, found),
            (ranges, "*1 :0"),
            ("FT.GET i b", "*2 $1 t $5 hello"),
            ("FT.GET i a", "*-1"),
            ("FT.GET i c", "*-1"),
            ("FT.AGGREGATE i * LOAD 1 n", "*2 :1 *0"),
        ]);
        // What the primary then says leads to the same, and so does a new value.
        replica.hear(&["HDEL b n", "DEL a", "DEL c"]);
        replica.check(&[(all, found), (ranges, "*1 :0")]);
        replica.hear(&["HSET b n 5"]);
        replica.check(&[(ranges, "*1 :1")]);
        replica.solo.check();
    }
}
