//! Random commands from a seed, on few keys so that they meet.
//!
//! A template is a command line with placeholders: `K` a key, `V` a value, `M` a member or field,
//! `I` an integer, `N` a small count, `T` a time to live, `F` a float, `S` a score, `D` a database,
//! `P` a payload of DUMP, `X` an entry's id, `G` a group, `C` a consumer, `J` a JSON value, `W` a way
//! to one.
//! Templates of commands that the table does not have are left out.

use reef_engine::backend::CommandColumns;
use reef_engine::command::Command;
use reef_fuzz::choice::{Choice, Rng};
use reef_resp::OwnedArgv;

/// Commands whose replies belong to the seed and the data alone.
const TEMPLATES: &[&str] = &[
    "SET K V",
    "SET K V EX T",
    "SET K V KEEPTTL",
    "SET K V NX GET",
    "SET K V XX PX T",
    "SET K V PXAT 1",
    "SET K V IFEQ V",
    "SET K V IFEQ V GET KEEPTTL",
    "DELIFEQ K V",
    "MSETEX 2 K V K V NX",
    "MSETEX 2 K V K V PX T",
    "MSETEX 1 K V KEEPTTL XX",
    "SETNX K V",
    "SETEX K T V",
    "PSETEX K T V",
    "GETSET K V",
    "GET K",
    "GETDEL K",
    "GETEX K PX T",
    "GETEX K PERSIST",
    "GETEX K EXAT 1",
    "MGET K K K",
    "MSET K V K V",
    "MSETNX K V K V",
    "STRLEN K",
    "APPEND K V",
    "GETRANGE K N -1",
    "SUBSTR K 0 N",
    "SETRANGE K N V",
    "INCR K",
    "DECR K",
    "INCRBY K I",
    "DECRBY K I",
    "INCRBYFLOAT K F",
    "LCS K K",
    "DEL K K",
    "UNLINK K",
    "EXISTS K K",
    "TYPE K",
    "RENAME K K",
    "RENAMENX K K",
    "EXPIRE K T",
    "EXPIRE K -1",
    "EXPIRE K T NX",
    "EXPIRE K T GT",
    "PEXPIRE K T LT",
    "EXPIREAT K 4000000000",
    "PEXPIREAT K 4000000000000 XX",
    "TTL K",
    "PTTL K",
    "EXPIRETIME K",
    "PEXPIRETIME K",
    "PERSIST K",
    "TOUCH K K",
    "COPY K K",
    "COPY K K REPLACE",
    "COPY K K DB D REPLACE",
    "MOVE K D",
    "DBSIZE",
    "OBJECT ENCODING K",
    "OBJECT REFCOUNT K",
    "OBJECT IDLETIME K",
    "OBJECT FREQ K",
    "MEMORY USAGE K",
    "SADD K M M M",
    "SADD K I I",
    "SREM K M M",
    "SMEMBERS K",
    "SISMEMBER K M",
    "SMISMEMBER K M M",
    "SCARD K",
    "SPOP K",
    "SPOP K N",
    "SRANDMEMBER K",
    "SRANDMEMBER K -3",
    "SMOVE K K M",
    "SDIFF K K",
    "SDIFFSTORE K K K",
    "SINTER K K",
    "SINTERCARD 2 K K",
    "SINTERSTORE K K K",
    "SUNION K K",
    "SUNIONSTORE K K K",
    "SSCAN K 0 COUNT 100",
    "HSET K M V M V",
    "HMSET K M V M V",
    "HSETNX K M V",
    "HGET K M",
    "HMGET K M M",
    "HGETALL K",
    "HDEL K M M",
    "HDEL K M",
    "HEXISTS K M",
    "HINCRBY K M I",
    "HINCRBYFLOAT K M F",
    "HKEYS K",
    "HVALS K",
    "HLEN K",
    "HSTRLEN K M",
    "HRANDFIELD K",
    "HRANDFIELD K 2 WITHVALUES",
    "HSCAN K 0 COUNT 100",
    "HEXPIRE K 100 FIELDS 2 M M",
    "HEXPIRE K 0 NX FIELDS 1 M",
    "HPEXPIRE K T FIELDS 2 M M",
    "HPEXPIRE K T FIELDS 3 a b c",
    "HEXPIREAT K 4000000000 GT FIELDS 1 M",
    "HPEXPIREAT K 4000000000000 LT FIELDS 1 M",
    "HTTL K FIELDS 2 M M",
    "HPTTL K FIELDS 2 M M",
    "HEXPIRETIME K FIELDS 2 M M",
    "HPEXPIRETIME K FIELDS 2 M M",
    "HPERSIST K FIELDS 2 M M",
    "HGETEX K FIELDS 2 M M",
    "HGETEX K PX T FIELDS 2 M M",
    "HGETEX K PERSIST FIELDS 2 M M",
    "HGETEX K EX 0 FIELDS 2 M M",
    "HSETEX K FNX FIELDS 2 M V M V",
    "HSETEX K PX T FIELDS 2 M V M V",
    "HSETEX K KEEPTTL FXX FIELDS 1 M V",
    "HSETEX K XX EX 0 FIELDS 1 M V",
    "HGETDEL K FIELDS 2 M M",
    "LPUSH K V V",
    "RPUSH K V V V",
    "LPUSHX K V",
    "RPUSHX K V",
    "LPOP K",
    "LPOP K N",
    "RPOP K",
    "RPOP K N",
    "LMPOP 2 K K LEFT COUNT N",
    "LMOVE K K LEFT RIGHT",
    "LMOVE K K RIGHT LEFT",
    "RPOPLPUSH K K",
    "LLEN K",
    "LRANGE K 0 -1",
    "LINDEX K N",
    "LSET K N V",
    "LSET K -1 V",
    "LINSERT K BEFORE V V",
    "LINSERT K AFTER V V",
    "LREM K N V",
    "LREM K -1 V",
    "LTRIM K 1 -1",
    "LTRIM K 0 N",
    "LTRIM K N 1",
    "LPOS K V COUNT 0",
    "ZADD K S M S M",
    "ZADD K NX S M",
    "ZADD K XX CH S M S M",
    "ZADD K GT S M",
    "ZADD K INCR S M",
    "ZINCRBY K S M",
    "ZREM K M M",
    "ZSCORE K M",
    "ZMSCORE K M M",
    "ZCARD K",
    "ZCOUNT K -inf S",
    "ZLEXCOUNT K - +",
    "ZRANK K M WITHSCORE",
    "ZREVRANK K M",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZRANGE K 0 N REV",
    "ZRANGESTORE K K 0 N",
    "ZREVRANGE K 0 -1",
    "ZRANGEBYSCORE K -inf +inf",
    "ZREVRANGEBYSCORE K +inf -inf",
    "ZRANGEBYLEX K - +",
    "ZREVRANGEBYLEX K + -",
    "ZREMRANGEBYRANK K 0 1",
    "ZREMRANGEBYSCORE K -inf S",
    "ZREMRANGEBYLEX K - (b",
    "ZPOPMIN K",
    "ZPOPMAX K N",
    "ZMPOP 2 K K MIN COUNT N",
    "ZRANDMEMBER K",
    "ZRANDMEMBER K -3",
    "ZDIFF 2 K K",
    "ZDIFFSTORE K 2 K K",
    "ZINTER 2 K K WITHSCORES",
    "ZINTERCARD 2 K K",
    "ZINTERSTORE K 2 K K",
    "ZUNION 2 K K",
    "ZUNIONSTORE K 2 K K AGGREGATE MAX",
    "ZSCAN K 0 COUNT 100",
    "SETBIT K N 1",
    "SETBIT K 100 0",
    "GETBIT K N",
    "BITCOUNT K",
    "BITCOUNT K 0 N BIT",
    "BITPOS K 1",
    "BITPOS K 0 N",
    "BITOP AND K K K",
    "BITOP XOR K K K",
    "BITOP NOT K K",
    "BITFIELD K SET u8 N I INCRBY i5 #3 I GET u4 N",
    "BITFIELD K OVERFLOW FAIL INCRBY u2 N 3 SET i16 100 I",
    "BITFIELD_RO K GET i64 N",
    "PFADD K V V",
    "PFADD K M",
    "PFADD K",
    "PFCOUNT K",
    "PFCOUNT K K",
    "PFMERGE K K",
    "GEOADD K S S M",
    "GEOADD K CH S S M S S M",
    "GEODIST K M M",
    "GEOHASH K M M",
    "GEOPOS K M M",
    "GEORADIUS K 1 1 500 km ASC",
    "GEORADIUS K 1 1 500 km STORE K",
    "GEORADIUS K 1 1 500 km STORE K STOREDIST K STORE K",
    "GEORADIUSBYMEMBER K M 500 km DESC STOREDIST K",
    "GEORADIUS_RO K 1 1 500 km COUNT 1",
    "GEORADIUSBYMEMBER_RO K M 500 km",
    "GEOSEARCH K FROMLONLAT 1 1 BYBOX 500 500 km DESC WITHDIST",
    "GEOSEARCHSTORE K K FROMMEMBER M BYRADIUS 500 km",
    "DUMP K",
    "RESTORE K 0 P",
    "RESTORE K T P REPLACE",
    "RESTORE K 1 P REPLACE ABSTTL",
    "SORT K",
    "SORT K ALPHA DESC LIMIT 1 N",
    "SORT K BY * GET # GET *->a STORE K",
    "SORT K BY *->b ALPHA STORE K",
    "SORT_RO K BY nosort GET *",
    "XADD K * M V",
    "XADD K * M V M V",
    "XADD K X M V",
    "XADD K N-* M V",
    "XADD K NOMKSTREAM * M V",
    "XADD K MAXLEN N * M V",
    "XADD K MAXLEN ~ N * M V",
    "XADD K MINID X * M V",
    "XLEN K",
    "XRANGE K - +",
    "XRANGE K X X COUNT N",
    "XREVRANGE K + -",
    "XREVRANGE K X - COUNT N",
    "XDEL K X X",
    "XDEL K X",
    "XTRIM K MAXLEN N",
    "XTRIM K MAXLEN ~ N LIMIT N",
    "XTRIM K MINID X",
    "XSETID K X",
    "XSETID K X ENTRIESADDED 9 MAXDELETEDID X",
    "XGROUP CREATE K G X MKSTREAM",
    "XGROUP CREATE K G $",
    "XGROUP SETID K G X ENTRIESREAD N",
    "XGROUP DESTROY K G",
    "XGROUP CREATECONSUMER K G C",
    "XGROUP DELCONSUMER K G C",
    "XACK K G X X",
    "XPENDING K G",
    "XPENDING K G - + 10 C",
    "XCLAIM K G C 0 X X FORCE",
    "XCLAIM K G C N X JUSTID",
    "XCLAIM K G C 0 X IDLE T RETRYCOUNT N LASTID X",
    "XAUTOCLAIM K G C N X COUNT N",
    "XAUTOCLAIM K G C 0 - JUSTID",
    "XINFO STREAM K",
    "XINFO STREAM K FULL",
    "XINFO GROUPS K",
    "XINFO CONSUMERS K G",
    "FT._LIST",
    "FT.ALIASLIST K",
    "FT.DICTDUMP K",
    "FT.SYNDUMP K",
    "FT.INFO K",
    "FT.TAGVALS K M",
    "FT.SEARCH K M",
    "FT.AGGREGATE K M",
    "FT.EXPLAIN K M",
    "FT.EXPLAINCLI K M",
    "FT.PROFILE K SEARCH QUERY M",
    "FT.SPELLCHECK K M",
    "FT.GET K K",
    "FT.MGET K K",
    "JSON.SET K $ J",
    "JSON.SET K $ J",
    "JSON.SET K $ J NX",
    "JSON.SET K W J",
    "JSON.SET K W J XX",
    "JSON.MSET K $ J K W J",
    "JSON.MSET K $ J K $ J",
    "JSON.MERGE K $ J",
    "JSON.MERGE K W J",
    "JSON.DEL K W",
    "JSON.FORGET K W",
    "JSON.CLEAR K W",
    "JSON.NUMINCRBY K W F",
    "JSON.NUMMULTBY K W I",
    "JSON.NUMPOWBY K W N",
    "JSON.STRAPPEND K W J",
    "JSON.TOGGLE K W",
    "JSON.ARRAPPEND K W J J",
    "JSON.ARRINSERT K W N J",
    "JSON.ARRINSERT K W 0 J J",
    "JSON.ARRPOP K W",
    "JSON.ARRPOP K W N",
    "JSON.ARRTRIM K W N -2",
    "JSON.ARRINDEX K W J",
    "JSON.ARRLEN K W",
    "JSON.STRLEN K W",
    "JSON.OBJKEYS K W",
    "JSON.OBJLEN K W",
    "JSON.TYPE K W",
    "JSON.RESP K W",
    "JSON.GET K W",
    "JSON.GET K",
    "JSON.MGET K K W",
    "JSON.DEBUG MEMORY K W",
    "FT.SUGADD K M F",
    "FT.SUGADD K V F",
    "FT.SUGADD K M F INCR",
    "FT.SUGADD K M F INCR PAYLOAD V",
    "FT.SUGDEL K M",
    "FT.SUGGET K M FUZZY WITHSCORES WITHPAYLOADS",
    "FT.SUGGET K M MAX N TRIM",
    "FT.SUGLEN K",
];

/// Commands whose replies also depend on how keys are spread over shards, which clients may see.
const UNORDERED: &[&str] = &["KEYS *", "SCAN 0", "RANDOMKEY"];

/// What DUMP gives for a string, a list, a set, a hash, a sorted set, and what it gives for none.
const PAYLOADS: &[&[u8]] = &[
    b"\x00\x04\x74\x65\x78\x74\x0a\x00\x7c\xf3\x26\x6d\xca\xb5\xa5\x31",
    b"\x12\x01\x02\x0c\x0c\x00\x00\x00\x02\x00\x01\x01\x81\x62\x02\xff\x0a\x00\xf2\xfe\x24\x00\x2b\xb1\x13\x1c",
    b"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00\x0a\x00\x6f\x79\x38\xb1\x34\xeb\x20\x2e",
    b"\x10\x0c\x0c\x00\x00\x00\x02\x00\x81\x61\x02\x01\x01\xff\x0a\x00\x84\xa6\x93\xe8\xaa\x17\xe4\xdb",
    b"\x11\x0f\x0f\x00\x00\x00\x02\x00\x81\x61\x02\x83\x31\x2e\x35\x04\xff\x0a\x00\x08\x0c\x6e\x19\x80\x8e\x7d\x98",
    b"nonsense",
];

const DOCUMENTS: [&str; 12] = [
    "1",
    "-2.5",
    "\"text\"",
    "\"text that is too long to lie in a value itself\"",
    "true",
    "null",
    "[]",
    "[1,[2,\"x\"],{\"a\":3},null,5,6.5]",
    "{\"a\":1,\"b\":[1,2,3],\"c\":{\"a\":\"x\",\"b\":true}}",
    "{\"a\":{\"a\":{\"a\":[[1],[2,3]]}}}",
    "{\"a\":null,\"c\":{\"b\":null},\"d\":0}",
    "{\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":9,\"10\":[10],\"11\":11,\"12\":12,\"13\":13,\"14\":14,\"15\":15,\"16\":16,\"17\":17,\"18\":18}",
];

const WAYS: [&str; 20] = [
    "$",
    ".",
    "$.a",
    ".a",
    "a",
    "$.b",
    "$.c.a",
    "$..a",
    "$..*",
    "$.*",
    "$..[0]",
    "$[1]",
    "$[-1]",
    "$.b[0:2]",
    "$[?(@>1)]",
    "$..[?(@.a)]",
    "$.new",
    "$.c.new",
    "$['1','2','3','5','7']",
    "$..b",
];

/// A command, its name first.
pub(crate) type Line = Vec<Vec<u8>>;

/// A source of random commands.
pub(crate) struct Traffic {
    pub(crate) rng: Rng,
    templates: Vec<&'static str>,
}

fn known(template: &str) -> bool {
    let name = template.split(' ').next().unwrap_or_default();
    Command::natives().any(|(_, command)| command.name == name)
}

impl Traffic {
    /// Commands whose replies do not depend on the number of shards.
    pub(crate) fn ordered(seed: u64) -> Self {
        let templates = TEMPLATES.iter().copied().filter(|template| known(template)).collect();
        Self { rng: Rng::new(seed), templates }
    }

    /// All commands.
    pub(crate) fn all(seed: u64) -> Self {
        let mut traffic = Self::ordered(seed);
        traffic.templates.extend(UNORDERED);
        traffic
    }

    /// These commands too, several times as often as others.
    pub(crate) fn with(mut self, templates: &[&'static str]) -> Self {
        self.templates.extend(templates.iter().chain(templates).chain(templates));
        self
    }

    /// The next command.
    pub(crate) fn line(&mut self) -> Line {
        let template = self.rng.pick(&self.templates);
        template.split(' ').map(|word| self.fill(word)).collect()
    }

    /// So many commands.
    pub(crate) fn lines(&mut self, count: usize) -> Vec<Line> {
        (0..count).map(|_| self.line()).collect()
    }

    fn fill(&mut self, word: &str) -> Vec<u8> {
        const KEYS: [&str; 8] = ["a", "b", "c", "d", "{tag}e", "{tag}f", "", "key\r\n\0"];
        let rng = &mut self.rng;
        match word {
            "K" => rng.pick(&KEYS).as_bytes().to_vec(),
            "V" => match rng.below(8) {
                0..=2 => rng.below(100).to_string().into_bytes(),
                3 => format!("{}.5", rng.below(100)).into_bytes(),
                4 => vec![b'x'; rng.below(200)],
                5 => vec![b'y'; 16_380 + rng.below(10)],
                _ => rng.pick(&["", "v", "w", "some words", "\u{e9}\0"]).as_bytes().to_vec(),
            },
            "M" => match rng.below(10) {
                0..=6 => rng.pick(&["a", "b", "c", "d", "e", "f", "1", "22"]).as_bytes().to_vec(),
                7 => vec![b'm'; 60 + rng.below(10)],
                _ => format!("m{}", rng.below(300)).into_bytes(),
            },
            "I" => match rng.below(10) {
                0 => i64::MAX.to_string().into_bytes(),
                1 => i64::MIN.to_string().into_bytes(),
                _ => (rng.below(2000) as i64 - 1000).to_string().into_bytes(),
            },
            "N" => rng.below(5).to_string().into_bytes(),
            "T" => (1 + rng.below(300)).to_string().into_bytes(),
            "F" => format!("{}.{}", rng.below(50) as i64 - 25, rng.below(100)).into_bytes(),
            "S" => match rng.below(12) {
                0 => b"inf".to_vec(),
                1 => b"-inf".to_vec(),
                2 => b"1.5e100".to_vec(),
                _ => (rng.below(20) as i64 - 10).to_string().into_bytes(),
            },
            "P" => rng.pick(PAYLOADS).to_vec(),
            "D" => rng.below(3).to_string().into_bytes(),
            "X" => format!("{}-{}", rng.below(6), rng.below(4)).into_bytes(),
            "N-*" => format!("{}-*", rng.below(6)).into_bytes(),
            "G" => rng.pick(&["g", "h"]).as_bytes().to_vec(),
            "J" => rng.pick(&DOCUMENTS).as_bytes().to_vec(),
            "W" => rng.pick(&WAYS).as_bytes().to_vec(),
            "C" => rng.pick(&["alice", "bob", "carol"]).as_bytes().to_vec(),
            word => word.as_bytes().to_vec(),
        }
    }
}

/// A command as the engine takes it.
pub(crate) fn argv(line: &Line) -> OwnedArgv {
    line.iter().collect()
}

/// A batch's commands in columns.
#[derive(Default)]
pub(crate) struct Columns {
    counts: Vec<u32>,
    lengths: Vec<u32>,
    data: Vec<u8>,
}

impl Columns {
    pub(crate) fn new(lines: &[Line]) -> Self {
        let mut columns = Self::default();
        for line in lines {
            columns.counts.push(line.len() as u32);
            columns.lengths.extend(line.iter().map(|word| word.len() as u32));
            line.iter().for_each(|word| columns.data.extend_from_slice(word));
        }
        columns
    }

    pub(crate) fn borrow(&self) -> CommandColumns<'_> {
        CommandColumns { counts: &self.counts, lengths: &self.lengths, data: &self.data }
    }
}

#[test]
fn every_command_of_batches_is_in_the_traffic() {
    let named: Vec<&str> = TEMPLATES.iter().chain(UNORDERED).copied().collect();
    for (_, command) in Command::natives_and_subcommands() {
        let name = command.full_name().to_uppercase().replace('|', " ");
        let starts = |template: &&str| template.starts_with(&name);
        assert!(
            !command.is_batchable() || name == "LOLWUT" || named.iter().any(starts),
            "no template for {name}"
        );
    }
}
