//! What clients and proxies are told of commands beyond their entries: what they do to their keys,
//! hints for clusters, deprecation.
//!
//! Most commands have the same, so it stands here as lists of exceptions, by full name in lower
//! case. Permissions for keys follow from what commands do to them; otherwise nothing in the engine
//! acts on it.

use reef_resp::Argv;

use crate::command::{Command, Flags};
use crate::keyspec::KeySpec;

/// What a command does to a key, in the words of COMMAND: `RW access delete`.
pub type Access = &'static str;

const READ: Access = "RO access";
const PEEK: Access = "RO";
const UPDATE: Access = "RW access update";
const OVERWRITE: Access = "OW update";
const TAKE: Access = "RW access delete";
const ADD: Access = "RW insert";

/// What each key specification of these commands does. The others read, or read and update.
const ACCESSES: &[(&[Access], &str)] = &[
    (
        &[PEEK],
        "watch hexists sismember hstrlen llen strlen zcard scard memory|usage type touch \
         exists hlen xlen object|freq object|idletime object|encoding object|refcount",
    ),
    (&["not_key"], "ssubscribe sunsubscribe spublish"),
    (&["RW access"], "pfcount pfdebug"),
    (&["OW insert"], "setnx msetnx"),
    (&[OVERWRITE], "setex psetex restore mset msetex"),
    (
        &[OVERWRITE, READ],
        "sdiffstore geosearchstore zdiffstore zrangestore zunionstore sunionstore bitop \
         zinterstore",
    ),
    (&["RW update", READ], "sinterstore"),
    (&["RM delete"], "del unlink delifeq"),
    (&[READ], "xreadgroup"),
    (&[READ, OVERWRITE], "copy"),
    (&[READ, OVERWRITE, OVERWRITE], "georadiusbymember georadius"),
    (&[READ, READ, OVERWRITE], "sort"),
    (&[READ, READ], "sort_ro"),
    (
        &[TAKE],
        "hgetdel lpop bzpopmax brpop zmpop rpop getdel blpop bzpopmin spop zpopmin blmpop zpopmax \
         bzmpop lmpop",
    ),
    (&[TAKE, "OW insert"], "renamenx"),
    (&[TAKE, OVERWRITE], "rename"),
    (&[TAKE, ADD], "blmove brpoplpush smove rpoplpush lmove"),
    (&["RW access insert", READ], "pfmerge"),
    (&["RW access update variable_flags"], "set bitfield"),
    (&[TAKE, "RW access delete incomplete"], "migrate"),
    (
        &["RW delete"],
        "xautoclaim zremrangebyrank xdel hdel zremrangebyscore zremrangebylex lrem zrem \
         xgroup|destroy xgroup|delconsumer xtrim srem ltrim",
    ),
    (
        &[ADD],
        "hsetex linsert append sadd pfadd hsetnx rpush lpushx xgroup|create xgroup|createconsumer \
         lpush rpushx",
    ),
    (
        &["RW update"],
        "xack geoadd hmset persist zadd pexpireat expireat xclaim pexpire xgroup|setid \
         setrange expire xsetid hset lset xadd hexpire hpexpire hexpireat hpexpireat hpersist",
    ),
    (&[UPDATE], "eval evalsha fcall"),
];

/// What Redis adds to a key specification (counted from 0).
const NOTES: &[(&str, usize, &str)] = &[
    ("set", 0, "RW and ACCESS due to the optional `GET` argument"),
    ("bitfield", 0, "This command allows both access and modification of the key"),
    ("getex", 0, "RW and UPDATE because it changes the TTL"),
    ("xadd", 0, "UPDATE instead of INSERT because of the optional trimming feature"),
    (
        "pfcount",
        0,
        "RW because it may change the internal representation of the key, and propagate to replicas",
    ),
    ("sort", 1, SORT_NOTE),
    ("sort_ro", 1, SORT_NOTE),
    (
        "sort",
        2,
        "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
    ),
    ("eval", 0, WORST_CASE),
    ("fcall", 0, WORST_CASE),
    ("eval_ro", 0, WORST_CASE_READ),
    ("fcall_ro", 0, WORST_CASE_READ),
];

const SORT_NOTE: &str = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort";
const WORST_CASE: &str =
    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
const WORST_CASE_READ: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

/// Hints, in the order in which COMMAND gives them.
const TIPS: &[(&str, &str)] = &[
    (
        "request_policy:all_nodes",
        "latency|histogram latency|graph latency|doctor latency|history latency|reset \
         latency|latest config|resetstat config|rewrite config|set client|setinfo \
         client|setname slowlog|get slowlog|reset slowlog|len script|flush script|load \
         acl|setuser acl|save acl|deluser",
    ),
    (
        "request_policy:all_shards",
        "randomkey flushall ping dbsize flushdb waitaof memory|malloc-stats memory|purge \
         memory|stats memory|doctor wait keys function|kill function|flush function|restore \
         function|delete function|load function|stats script|exists script|kill info",
    ),
    ("request_policy:multi_shard", "del unlink touch exists mset msetex mget"),
    (
        "response_policy:all_succeeded",
        "config|resetstat config|rewrite config|set client|setinfo client|setname flushall \
         ping slowlog|reset flushdb memory|purge function|flush function|restore \
         function|delete function|load mset msetex script|flush script|load acl|setuser acl|save \
         acl|deluser",
    ),
    ("response_policy:agg_sum", "latency|reset del dbsize slowlog|len unlink touch exists"),
    ("response_policy:agg_min", "waitaof wait"),
    ("response_policy:one_succeeded", "function|kill script|kill"),
    ("response_policy:agg_logical_and", "script|exists"),
    (
        "nondeterministic_output",
        "xadd latency|histogram latency|graph latency|doctor latency|history latency|latest \
         ttl hrandfield randomkey scan client|info client|list xautoclaim dump slowlog|get \
         slowlog|len pttl xpending xclaim hscan lastsave memory|malloc-stats memory|stats \
         memory|doctor srandmember spop time function|stats zscan migrate xinfo|consumers zrandmember \
         xtrim sscan info object|freq object|idletime object|encoding object|refcount \
         cluster|shards cluster|bumpepoch cluster|info cluster|nodes cluster|replicas \
         cluster|count-failure-reports cluster|slaves cluster|slots cluster|links \
         cluster|getkeysinslot",
    ),
    (
        "nondeterministic_output_order",
        "hgetall hkeys smembers sinter keys hvals function|list module|list sdiff command \
         command|list command|info command|docs sunion",
    ),
    ("request_policy:special", "scan"),
    (
        "response_policy:special",
        "latency|histogram latency|graph latency|doctor latency|history latency|latest \
         randomkey scan memory|malloc-stats memory|stats memory|doctor function|stats info",
    ),
];

/// Commands that better ones have replaced: name, since when, by what.
const DEPRECATED: &[(&str, &str, &str)] = &[
    ("setex", "2.6.12", "`SET` with the `EX` argument"),
    ("psetex", "2.6.12", "`SET` with the `PX` argument"),
    ("setnx", "2.6.12", "`SET` with the `NX` argument"),
    ("getset", "6.2.0", "`SET` with the `!GET` argument"),
    ("substr", "2.0.0", "`GETRANGE`"),
    ("hmset", "4.0.0", "`HSET` with multiple field-value pairs"),
    ("rpoplpush", "6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    ("brpoplpush", "6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    ("zrangebyscore", "6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    ("zrevrangebyscore", "6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
    ("zrangebylex", "6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    ("zrevrangebylex", "6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
    ("zrevrange", "6.2.0", "`ZRANGE` with the `REV` argument"),
    ("georadius", "6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    (
        "georadiusbymember",
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    ),
    ("georadius_ro", "6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    ("georadiusbymember_ro", "6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    ("slaveof", "5.0.0", "`REPLICAOF`"),
    ("quit", "7.2.0", "just closing the connection"),
    ("cluster|slaves", "5.0.0", "`CLUSTER REPLICAS`"),
    ("cluster|slots", "7.0.0", "`CLUSTER SHARDS`"),
];

/// What a command does to the keys of each of its key specifications; the last one holds for all
/// that follow.
pub fn accesses(command: &Command) -> &'static [Access] {
    let name = command.full_name();
    let listed = ACCESSES.iter().find(|(_, names)| has_word(names, &name));
    match listed {
        Some((accesses, _)) => accesses,
        None if command.flags.has(Flags::READONLY) => &[READ],
        None => &[UPDATE],
    }
}

/// What a command with these arguments does to its key number `index`.
pub fn access_of(command: &Command, argv: Argv<'_>, index: usize) -> Access {
    let accesses = accesses(command);
    let index = if command.keys == KeySpec::Sort && index > 0 { usize::MAX } else { index };
    let listed = accesses.get(index).or(accesses.last()).copied().unwrap_or(UPDATE);
    match (listed.strip_suffix(" variable_flags"), command.name.as_ref()) {
        (None, _) => listed,
        (Some(_), "SET") => {
            let reads = [b"GET".as_slice(), b"IFEQ"];
            let is_reading = |word: &[u8]| reads.iter().any(|read| word.eq_ignore_ascii_case(read));
            let gets = argv.iter().skip(3).any(is_reading);
            if gets { UPDATE } else { OVERWRITE }
        }
        // Of BITFIELD's operations only GET leaves the key alone.
        (Some(_), _) => {
            let changes = [b"SET".as_slice(), b"INCRBY"];
            let writes = argv
                .iter()
                .skip(2)
                .any(|word| changes.iter().any(|change| word.eq_ignore_ascii_case(change)));
            if writes { UPDATE } else { READ }
        }
    }
}

/// What Redis adds to a key specification.
pub fn note(command: &Command, specification: usize) -> Option<&'static str> {
    let name = command.full_name();
    let found = NOTES.iter().find(|(noted, at, _)| *noted == name && *at == specification);
    found.map(|(_, _, note)| *note)
}

/// Hints for clients.
pub fn tips(command: &Command) -> impl Iterator<Item = &'static str> {
    let name = command.full_name();
    TIPS.iter().filter(move |(_, names)| has_word(names, &name)).map(|(tip, _)| *tip)
}

fn has_word(words: &str, word: &str) -> bool {
    words.split(' ').any(|other| other == word)
}

/// Since when a command is deprecated, and what is to be used instead.
pub fn deprecation(command: &Command) -> Option<(&'static str, &'static str)> {
    let name = command.full_name();
    let found = DEPRECATED.iter().find(|(deprecated, _, _)| *deprecated == name);
    found.map(|(_, since, instead)| (*since, *instead))
}
