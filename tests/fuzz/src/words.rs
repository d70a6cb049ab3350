//! Words for values of commands: mostly such that commands meet, now and then such that hurt.

use reef_engine::command::{Command, Group};
use reef_engine::usage::{self, Argument};

use crate::choice::{Choice, Source};
use crate::payloads;
use crate::walk::Values;

/// Numbers at the edges of what can be counted, and words that are nearly numbers.
const EDGES: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775807",
    "9223372036854775806",
    "4611686018427387904",
    "-4611686018427387905",
    "18446744073709551615",
    "18446744073709551616",
    "4294967295",
    "4294967296",
    "-4294967297",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "1048576",
    "1048575",
    "8388608",
    "100000000",
    "-100000000",
    "65536",
    "-0",
    "+1",
    "01",
    " 1",
    "1 ",
    "",
    "0x10",
    "1e5",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e308",
    "-1.7976931348623157e308",
    "5e-324",
    "99999999999999999999999999999999999999",
    "3.0000000000000000000001",
];
const SMALL: &[&str] = &["0", "1", "2", "3", "4", "5", "10", "100", "-1", "-2", "-3", "-100"];
const DOUBLES: &[&str] =
    &["0", "1", "2.5", "-3", "1.5", "inf", "-inf", "1e3", "0.1", "85.06", "180", "-90"];
const IDS: &[&str] =
    &["1-1", "1-2", "2-0", "3", "5-5", "0-0", "0", "*", "1-*", "-", "+", "$", ">", "(1-1"];
const FAR_IDS: &[&str] = &[
    "18446744073709551615-18446744073709551615",
    "18446744073709551615-*",
    "18446744073709551614-18446744073709551615",
    "(18446744073709551615-18446744073709551615",
    "0-18446744073709551615",
    "18446744073709551615",
    "99999999999999999999-1",
];
const PATTERNS: &[&str] = &[
    "*",
    "s*",
    "*1",
    "[hl]*",
    "h?sh*",
    "*->a",
    "hash*->f1",
    "#",
    "nosort",
    "a*a*a*a*a*a*b",
    "[",
    "\\",
];
const RULES: &[&str] = &[
    "on",
    "off",
    "nopass",
    "resetpass",
    ">pw",
    "<pw",
    "~*",
    "~s*",
    "%R~l*",
    "%W~h*",
    "resetkeys",
    "&*",
    "&c*",
    "resetchannels",
    "+@all",
    "-@all",
    "+@read",
    "-@write",
    "-get",
    "+get",
    "+config|get",
    "-config",
    "+select|0",
    "(~z* +@sortedset)",
    "(",
    ")",
    "clearselectors",
    "reset",
    "allkeys",
    "allcommands",
    "-@dangerous",
    "nocommands",
    "#abc",
    "+@nope",
];
const PARAMETERS: &[&str] = &[
    "maxmemory-policy",
    "notify-keyspace-events",
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "list-max-listpack-size",
    "set-max-intset-entries",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
    "hll-sparse-max-bytes",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "acllog-max-len",
    "latency-monitor-threshold",
    "tracking-table-max-keys",
    "acl-pubsub-default",
    "databases",
];
const SETTINGS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "64",
    "-2",
    "-5",
    "128",
    "KEA",
    "Kx$",
    "A",
    "",
    "allkeys-lfu",
    "noeviction",
    "volatile-ttl",
    "allkeys-lru",
    "allchannels",
    "9223372036854775807",
    "4gb",
];
const DEBUG: &[&str] = &[
    "DIGEST",
    "HELP",
    "SLEEP",
    "HTSTATS",
    "OBJECT",
    "SDSLEN",
    "STRINGMATCH-LEN",
    "LISTPACK",
    "QUICKLIST",
    "HTSTATS-KEY",
    "DIGEST-VALUE",
    "ERROR",
    "CHANGE-REPL-ID",
    "SET-ACTIVE-EXPIRE",
];
const TYPES: [&str; 10] =
    ["str", "list", "set", "hash", "zset", "stream", "bits", "hll", "geo", "json"];
const DOCUMENTS: &[&str] = &[
    "1",
    "-2.5",
    "18446744073709551615",
    "\"text\"",
    "\"a text that is too long to lie in a value\"",
    "true",
    "null",
    "[]",
    "{}",
    "[1,[2,\"x\"],{\"a\":3},null,5,6.5]",
    "{\"a\":1,\"b\":[1,2,3],\"c\":{\"a\":\"x\",\"b\":true}}",
    "{\"a\":{\"a\":{\"a\":[[1],[2,3]]}}}",
    "{\"a\":null,\"c\":{\"b\":null},\"d\":0}",
    "{\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":9,\"a\":[1],\"b\":11,\"c\":12,\"d\":13,\"e\":14,\"f\":15,\"g\":16,\"h\":17}",
    "[",
    "{\"a\"",
];
const PATHS: &[&str] = &[
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
    "$..[?(@ =~ 'x+')]",
    "$[?(@.a == $.c)]",
    "$.new",
    "$.c.new",
    "$['1','3','a','h']",
    "$..*..*",
    "$[",
    "$[?(@.a",
];

/// Words made from choices.
#[derive(Debug)]
pub struct Words<'a> {
    /// Where choices come from.
    pub source: Source<'a>,
    /// What DUMP gave.
    pub payloads: Vec<Vec<u8>>,
}

impl<'a> Words<'a> {
    /// Words made from these choices.
    pub fn new(source: Source<'a>) -> Self {
        Self { source, payloads: Vec::new() }
    }

    fn text(&mut self, words: &[&str]) -> Vec<u8> {
        self.source.pick(words).as_bytes().to_vec()
    }

    /// A key that mostly holds this type.
    pub fn key(&mut self, own: &str) -> Vec<u8> {
        let kind = if self.source.one_in(8) { self.source.pick(&TYPES) } else { own };
        match self.source.below(24) {
            0 => Vec::new(),
            1 => b"{tag}\r\n\0\xff".to_vec(),
            number => format!("{kind}{}", number % 3).into_bytes(),
        }
    }

    /// An element, a member, a field, a value.
    pub fn element(&mut self) -> Vec<u8> {
        match self.source.below(24) {
            0 => vec![b'x'; self.source.below(100)],
            1 => vec![b'y'; 16_380 + self.source.below(10)],
            2 => vec![b'a'; 40_000],
            3 => self.source.bytes(8).to_vec(),
            4 => self.text(EDGES),
            5..8 => format!("m{}", self.source.below(256)).into_bytes(),
            _ => self.text(&["a", "b", "c", "d", "f1", "f2", "1", "2", "10", "3.5", "", "\r\n"]),
        }
    }

    /// A word that fits nowhere in particular.
    pub fn hostile(&mut self) -> Vec<u8> {
        match self.source.below(8) {
            0 => self.element(),
            1 => self.source.bytes(16).to_vec(),
            2 => self.text(FAR_IDS),
            3 => vec![b'9'; self.source.below(5000)],
            _ => self.text(EDGES),
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        let count = self.payloads.len();
        if count == 0 {
            return b"nonsense".to_vec();
        }
        let payload = self.payloads[self.source.below(count)].clone();
        if self.source.one_in(2) { payload } else { payloads::mutated(&payload, &mut self.source) }
    }
}

/// What keys of a command mostly hold.
fn own_type(command: &Command) -> Option<&'static str> {
    Some(match command.group {
        Group::String => "str",
        Group::List => "list",
        Group::Set => "set",
        Group::Hash => "hash",
        Group::SortedSet => "zset",
        Group::Stream => "stream",
        Group::Bitmap => "bits",
        Group::Hyperloglog => "hll",
        Group::Geo => "geo",
        Group::Module if command.name.starts_with("JSON.") => "json",
        Group::Module if command.parent == "JSON.DEBUG" => "json",
        _ => return None,
    })
}

impl<'a> Values for Words<'a> {
    type Choice = Source<'a>;

    fn choice(&mut self) -> &mut Source<'a> {
        &mut self.source
    }

    fn value(&mut self, argument: &Argument, command: &Command) -> Vec<u8> {
        if self.source.one_in(16) {
            return self.hostile();
        }
        let is_stream = command.group == Group::Stream;
        match (usage::type_name(argument, command), &*argument.name) {
            ("key", _) => {
                let own = own_type(command).unwrap_or_else(|| self.source.pick(&TYPES));
                self.key(own)
            }
            (_, "path") => self.text(PATHS),
            (_, "value") if own_type(command) == Some("json") => self.text(DOCUMENTS),
            (_, "seconds" | "milliseconds" | "ttl" | "timeout" | "ms") => {
                self.text(&["0", "1", "2", "10", "100", "1000", "0.001", "0.5"])
            }
            (_, "unix-time-seconds") => self.text(&["4000000000", "1", "0"]),
            (_, "unix-time-milliseconds") => self.text(&["4000000000000", "5000000000000", "1"]),
            (_, "destination-db" | "db" | "index1" | "index2") => self.text(&["0", "1", "2"]),
            (_, "id" | "start" | "end" | "last-id" | "lastid" | "max-deleted-id") if is_stream => {
                if self.source.one_in(8) {
                    self.text(FAR_IDS)
                } else {
                    self.text(IDS)
                }
            }
            (_, "min" | "max" | "start" | "stop" | "end") => self.text(&[
                "-inf", "+inf", "1", "(1", "2.5", "0", "-1", "2", "-", "+", "[a", "(b", "100",
            ]),
            (_, "group") => self.text(&["g", "h"]),
            (_, "consumer") => self.text(&["alice", "bob", "carol"]),
            (_, "username") => self.text(&["alice", "bob", "alice", "bob", "default"]),
            (_, "password") => self.text(&["pw", "", "other"]),
            (_, "channel" | "shardchannel") => self.text(&["c", "c1", "d", "__keyevent@0__:set"]),
            (_, "rule") => self.text(RULES),
            (_, "parameter") => self.text(PARAMETERS),
            (_, "subcommand") => self.text(DEBUG),
            (_, "protover") => self.text(&["2", "3", "2", "3", "4"]),
            (_, "client-id") => (1 + self.source.below(6)).to_string().into_bytes(),
            (_, "command" | "command-name") => {
                self.text(&["get", "SET", "config|get", "eval", "x"])
            }
            (_, "encoding") => self.text(&["u8", "i5", "u63", "i64", "u64", "i0", "u1"]),
            (_, "offset") => self.text(&["0", "#1", "7", "100", "#-1", "#1152921504606846976"]),
            (_, "serialized-value") => self.payload(),
            (_, "value") if command.name == "CONFIG" || command.parent == "CONFIG" => {
                self.text(SETTINGS)
            }
            ("integer", _) => self.text(SMALL),
            ("double", _) => self.text(DOUBLES),
            ("pattern", _) => self.text(PATTERNS),
            _ => self.element(),
        }
    }
}
