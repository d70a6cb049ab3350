//! Random well-formed commands, made from the usage lines of the table, against redis-servers: every
//! option of every command on keys must be taken and answered as by a 7.2, what hashes have since
//! then as by a 7.4, and what is JSON's as by RedisJSON.
//!
//! The judges are found by `REDIS_SERVER_7_2`, `REDIS_SERVER_7_4` and `REDIS_SERVER_JSON`; without one
//! a test says so and passes, unless `REEF_REQUIRE_PEERS=1` demands it.

use std::ffi::OsStr;

use reef_engine::command::{Command, Flags, Group, Runner};
use reef_engine::usage::{self, Argument};
use reef_fuzz::choice::{Choice, Rng};
use reef_fuzz::walk::{self, Values};
use reef_transcript::{
    ClientId, Kind, Order, Patience, Peer, Received, RedisServer, TcpPeer, format_reply, sort_reply,
};

use crate::judge::judge;
use crate::peer::SoloPeer;

/// Commands whose replies are a matter of chance, of time, or of how data lies in memory.
const EXCLUDED: &[&str] = &[
    "SPOP",
    "SRANDMEMBER",
    "HRANDFIELD",
    "ZRANDMEMBER",
    "RANDOMKEY",
    "SCAN",
    "SSCAN",
    "HSCAN",
    "ZSCAN",
    "OBJECT",
    "DUMP",
    "RESTORE",
    "TTL",
    "PTTL",
    "EXPIRETIME",
    "PEXPIRETIME",
    "MOVE",
    "MIGRATE",
    "WAIT",
    "WAITAOF",
];

/// The version of the commands that 7.2 does not have.
const NEWER: &str = "7.4.0";

/// Commands per story, which starts from nothing.
const STORY: usize = 60;
const STORIES: u64 = 150;

/// Values that a judge and the engine understand alike.
struct Plain {
    rng: Rng,
    /// How many lifetimes were given.
    lives: usize,
}

impl Values for Plain {
    type Choice = Rng;

    fn choice(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn value(&mut self, argument: &Argument, command: &Command) -> Vec<u8> {
        let rng = &mut self.rng;
        if command.group == Group::Module {
            return json_word(argument, command, rng);
        }
        let word = match (usage::type_name(argument, command), &*argument.name) {
            ("key", _) => {
                // One in eight keys holds another type.
                let own = match command.group {
                    Group::String => "str",
                    Group::List => "list",
                    Group::Set => "set",
                    Group::Hash => "hash",
                    Group::SortedSet => "zset",
                    _ => rng.pick(&["str", "list", "set", "hash", "zset"]),
                };
                let other = rng.pick(&["str", "list", "set", "hash", "zset"]);
                let kind = if rng.below(8) == 0 { other } else { own };
                format!("{kind}{}", rng.below(3))
            }
            (_, "seconds" | "milliseconds" | "ttl") => {
                // No two alike: which of two would be later is a matter of the clock.
                self.lives += 1;
                let life = (100 + self.lives * 7919 % 10_007) * 1000;
                let life = life.to_string();
                (*rng.pick(&[life.as_str(), &life, "0", "-1", "9223372036854775807"])).to_owned()
            }
            (_, "unix-time-seconds") => (*rng.pick(&["4000000000", "1", "0"])).to_owned(),
            (_, "unix-time-milliseconds") => {
                (*rng.pick(&["4000000000000", "5000000000000", "1"])).to_owned()
            }
            (_, "destination-db") => (*rng.pick(&["0", "0", "1", "16"])).to_owned(),
            (_, "min" | "max" | "start" | "stop" | "end") => {
                let own = &*command.name;
                // Between other ends than these, what members of different scores do is not defined.
                let words: &[&str] = if own.contains("LEX") {
                    &["-", "+", "x"]
                } else if own.contains("SCORE") || own == "ZCOUNT" {
                    &["-inf", "+inf", "1", "(1", "2.5", "x"]
                } else if own.starts_with("ZRANGE") && argument.name.starts_with("st") {
                    &["0", "-1", "1", "5", "-inf", "+inf", "(2", "-", "+"]
                } else {
                    &["0", "-1", "1", "2", "-100", "100", "x"]
                };
                (*rng.pick(words)).to_owned()
            }
            // Redis cuts this index to 32 bits.
            (_, "index") => (*rng.pick(&["0", "1", "-1", "2147483647", "x"])).to_owned(),
            ("integer", _) => {
                (*rng.pick(&["0", "1", "2", "3", "-1", "-2", "10", "x", "9223372036854775807"]))
                    .to_owned()
            }
            ("double", _) => {
                (*rng.pick(&["0", "1", "2.5", "-3", "inf", "-inf", "1e3", "nan", "x"])).to_owned()
            }
            ("pattern", _) if command.name.starts_with("SORT") => {
                (*rng.pick(&["*", "str*", "hash*->a", "nosort", "#"])).to_owned()
            }
            ("pattern", _) => (*rng.pick(&["*", "s*", "*1", "[hl]*"])).to_owned(),
            _ => (*rng.pick(&["a", "b", "c", "1", "2", "10", "3.5", ""])).to_owned(),
        };
        word.into_bytes()
    }
}

/// A word for a command on documents.
fn json_word(argument: &Argument, command: &Command, rng: &mut Rng) -> Vec<u8> {
    let words: &[&str] = match &*argument.name {
        "key" => &["json0", "json0", "json1"],
        "path" if command.name == "JSON.SET" && rng.below(3) > 0 => &["$"],
        "path" => &[
            "$",
            "$",
            ".",
            "a",
            ".b",
            "$.a",
            "$.b",
            "$.c.a",
            "$..a",
            "$..*",
            "$.*",
            "$..[0]",
            "$[1]",
            "$[-1]",
            "$[0:2]",
            "$.b[::2]",
            "$[?(@>1)]",
            "$..[?(@.a)]",
            "$[?(@.a==1)].b",
            "$..[?(@ =~ 'x+')]",
            "$.new",
            "$.c.new",
            "$['a','c']",
            "$[",
            "$.c.b[1,0]",
            "$..b",
        ],
        "value" if command.name.starts_with("JSON.NUM") => &["1", "-2", "2.5", "x", "null"],
        "value" if command.name == "JSON.STRAPPEND" => &["\"x\"", "\"longer text\"", "1", "x"],
        "value" => &[
            "1",
            "-2.5",
            "\"text\"",
            "true",
            "null",
            "[]",
            "{}",
            "[1,[2,\"x\"],{\"a\":3},null,5]",
            "{\"a\":1,\"b\":[1,2,3],\"c\":{\"a\":\"x\",\"b\":[true,false]}}",
            "{\"a\":1,\"b\":[[1],[2,3]],\"c\":{\"a\":\"x\",\"b\":[4,5]},\"d\":{\"b\":7}}",
            "{\"a\":{\"a\":{\"a\":[[1],[2,3]]}}}",
            "{\"a\":null,\"c\":{\"b\":null},\"d\":0}",
            "[",
        ],
        "index" | "start" | "stop" => &["0", "1", "-1", "2", "-3", "9", "x"],
        _ => &["_", " ", "|"],
    };
    let word = rng.pick(words);
    // RedisJSON loses its way where a filter leads through an object, and where it changes an array
    // before another one within.
    let is_nested = command.name.starts_with("JSON.ARR") || command.name == "JSON.CLEAR";
    let is_lost = word.contains('?') || is_nested && word.contains("..");
    let is_lost = is_lost && command.flags.has(Flags::WRITE);
    if is_lost { b"$.a".to_vec() } else { word.as_bytes().to_vec() }
}

fn commands(wanted: impl Fn(&Command) -> bool) -> Vec<&'static Command> {
    let groups =
        [Group::String, Group::List, Group::Set, Group::Hash, Group::SortedSet, Group::Generic];
    Command::natives()
        .map(|(_, command)| command)
        .filter(|command| groups.contains(&command.group))
        .filter(|command| matches!(command.runner, Runner::Native(_)))
        .filter(|command| !command.flags.has(Flags::BLOCKING))
        .filter(|command| !EXCLUDED.contains(&&*command.name) && wanted(command))
        .collect()
}

/// What a peer answers, its unordered parts sorted.
fn ask(peer: &mut dyn Peer, client: ClientId, words: &[Vec<u8>]) -> String {
    peer.send(client, words).expect("the peer takes commands");
    match peer.receive(client, Patience::Something).expect("the peer answers") {
        Received::Reply(reply) => {
            let order = match words[0].as_slice() {
                b"SUNION" | b"SINTER" | b"SDIFF" | b"SMEMBERS" | b"KEYS" => Order::Free,
                b"HKEYS" | b"HVALS" => Order::Free,
                b"HGETALL" => Order::FreePairs,
                _ => Order::AsSent,
            };
            format_reply(&sort_reply(reply, order))
        }
        other => panic!("{words:?} got {other:?}"),
    }
}

#[test]
fn every_option_is_taken_and_answered_as_by_redis_7_2() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_2"), "7.2.") else { return };
    check(&program, &commands(|command| command.since != NEWER));
}

#[test]
fn every_option_of_hashes_is_taken_and_answered_as_by_redis_7_4() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_4"), "7.4.") else { return };
    // How long a field lives is a matter of time.
    let is_timeless =
        |command: &Command| !["TTL", "TIME"].iter().any(|end| command.name.ends_with(end));
    check(&program, &commands(|command| command.group == Group::Hash && is_timeless(command)));
}

/// Commands that RedisJSON answers by chance, or that end it, or that it plans before it does them.
const EXCLUDED_JSON: &[&str] = &["JSON.GET", "JSON.NUMPOWBY", "JSON.MSET"];

#[test]
fn every_option_of_json_is_taken_and_answered_as_by_redisjson() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_JSON"), "") else { return };
    let is_wanted = |command: &&Command| {
        let is_native = matches!(command.runner, Runner::Native(_));
        is_native && command.name.starts_with("JSON.") && !EXCLUDED_JSON.contains(&&*command.name)
    };
    let mut commands: Vec<_> = Command::natives().map(|(_, command)| command).collect();
    commands.retain(is_wanted);
    // There must be something to look at.
    let set = commands.iter().find(|command| command.name == "JSON.SET").copied();
    commands.extend(set.iter().cycle().take(commands.len() / 3));
    check(&program, &commands);
}

fn check(program: &OsStr, commands: &[&Command]) {
    let server = RedisServer::start(program).expect("redis-server starts");
    let mut theirs = TcpPeer::new(server.address(), Kind::Newer);
    let mut ours = SoloPeer::new(8);
    let (their_client, our_client) =
        (theirs.connect().expect("it accepts"), ours.connect().expect("it accepts"));
    let mut differences = Vec::new();
    let (mut refused, mut answered) = (0, 0);
    for seed in 0..STORIES {
        let mut values = Plain { rng: Rng::new(seed), lives: 0 };
        let mut story = Vec::new();
        for flush in [&["HELLO", if seed % 2 == 0 { "2" } else { "3" }][..], &["FLUSHALL"]] {
            let words: Vec<_> = flush.iter().map(|word| word.as_bytes().to_vec()).collect();
            ask(&mut theirs, their_client, &words);
            ask(&mut ours, our_client, &words);
        }
        for _ in 0..STORY {
            let command = commands[values.rng.below(commands.len())];
            let words = walk::line(command, &mut values);
            let line: Vec<_> =
                words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            story.push(line.join(" "));
            let expected = ask(&mut theirs, their_client, &words);
            let answer = ask(&mut ours, our_client, &words);
            if expected.starts_with("(error)") {
                refused += 1
            } else {
                answered += 1
            }
            if expected != answer {
                differences
                    .push(format!("{}\n  Redis {expected}\n  Reef  {answer}", story.join("\n")));
                break;
            }
        }
    }
    assert!(refused < answered, "{refused} of {answered}: a dull run");
    assert!(
        differences.is_empty(),
        "{} differences\n\n{}",
        differences.len(),
        differences.join("\n")
    );
}
