//! DUMPs of every type, changed at random, with a checksum that is right again: RESTORE must refuse
//! them or make a sound value, which every command of its type can read and change, and whose own
//! DUMP makes an equal one.

use reef_engine::rdb;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_resp::OwnedArgv;
use reef_transcript::{Reply, decode};

use crate::choice::{Choice, Source};
use crate::measure::Measure;

/// Version and checksum behind a value.
const FOOTER_BYTES: usize = 10;

/// How values are made: a line whose `...` stands for elements, by its type's name.
const RECIPES: &[&str] = &[
    "SET k text",
    "SET k 12345",
    "SET k xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "RPUSH k ...",
    "SADD k ...",
    "SADD k 1 2 300 70000 -5 9223372036854775807",
    "SADD k 1 2 3 x",
    "HSET k ...",
    "HSET k a 1 b 2",
    "ZADD k 1 a 2.5 b -inf c inf d",
    "ZADD k ...",
    "XADD k 5-1 a 1 b 2",
    "XADD k 6-0 ...",
    "PFADD k ...",
    "GEOADD k 13.3 38.1 a 15 37 b",
];

/// What is done to a value before it is dumped.
const EXTRAS: &[&str] = &[
    "XADD k 7-1 a 1 b 2",
    "XADD k 8-1 c 3",
    "XDEL k 7-1",
    "XGROUP CREATE k g 0",
    "XREADGROUP GROUP g alice STREAMS k >",
    "XGROUP CREATECONSUMER k g bob",
    "HPEXPIRE k 100000 FIELDS 2 a b",
    "CONFIG SET hash-max-listpack-entries 0",
    "CONFIG SET zset-max-listpack-entries 0",
    "CONFIG SET set-max-listpack-entries 0",
    "CONFIG SET list-max-listpack-size 2",
];

/// What is asked of a value, and done to it, whatever its type: most is refused.
const USES: &[&str] = &[
    "TYPE k",
    "OBJECT ENCODING k",
    "DEBUG DIGEST-VALUE k",
    "DEBUG OBJECT k",
    "MEMORY USAGE k",
    "COPY k copy REPLACE",
    "SORT k ALPHA",
    "SORT k",
    "GET k",
    "STRLEN k",
    "GETRANGE k 0 -1",
    "BITCOUNT k",
    "BITPOS k 1",
    "PFCOUNT k",
    "PFDEBUG GETREG k",
    "PFDEBUG DECODE k",
    "PFMERGE copy k",
    "PFADD k z",
    "INCR k",
    "APPEND k x",
    "LCS k k LEN",
    "SETRANGE k 1 x",
    "LLEN k",
    "LRANGE k 0 -1",
    "LINDEX k 0",
    "LINDEX k -1",
    "LPOS k a COUNT 0",
    "LINSERT k BEFORE m1 x",
    "LSET k 0 y",
    "LREM k 0 m2",
    "LPUSH k x",
    "RPUSH k y",
    "LTRIM k 1 -2",
    "LMOVE k k LEFT RIGHT",
    "LPOP k",
    "RPOP k 2",
    "SCARD k",
    "SMEMBERS k",
    "SISMEMBER k 1",
    "SRANDMEMBER k 5",
    "SRANDMEMBER k -5",
    "SSCAN k 0",
    "SDIFF k copy",
    "SINTER k copy",
    "SUNION k copy",
    "SADD k 7 x",
    "SREM k 1 a",
    "SMOVE k other 2",
    "SPOP k",
    "SPOP k 2",
    "HLEN k",
    "HGETALL k",
    "HKEYS k",
    "HVALS k",
    "HGET k a",
    "HRANDFIELD k -5 WITHVALUES",
    "HRANDFIELD k 2",
    "HSCAN k 0",
    "HTTL k FIELDS 2 a b",
    "HEXPIRETIME k FIELDS 1 a",
    "HSET k a 5 z 1",
    "HINCRBY k a 1",
    "HEXPIRE k 100 FIELDS 1 z",
    "HPERSIST k FIELDS 1 a",
    "HDEL k b",
    "ZCARD k",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZREVRANGE k 0 -1",
    "ZRANGEBYSCORE k -inf +inf WITHSCORES",
    "ZRANGEBYLEX k - +",
    "ZCOUNT k -inf +inf",
    "ZLEXCOUNT k - +",
    "ZRANK k a WITHSCORE",
    "ZSCORE k a",
    "ZRANDMEMBER k -5 WITHSCORES",
    "ZSCAN k 0",
    "ZUNION 2 k copy WITHSCORES",
    "ZINTER 2 k copy",
    "ZDIFF 2 k copy",
    "ZADD k 3 z 4 a",
    "ZINCRBY k 1 a",
    "ZREM k b",
    "ZPOPMIN k",
    "ZPOPMAX k",
    "ZREMRANGEBYRANK k 0 0",
    "GEOPOS k a",
    "GEOHASH k a b",
    "GEODIST k a b",
    "GEOSEARCH k FROMLONLAT 15 37 BYRADIUS 1000 km",
    "XLEN k",
    "XRANGE k - +",
    "XREVRANGE k + -",
    "XINFO STREAM k FULL",
    "XINFO GROUPS k",
    "XINFO CONSUMERS k g",
    "XREAD STREAMS k 0",
    "XPENDING k g",
    "XPENDING k g - + 10",
    "XREADGROUP GROUP g alice STREAMS k >",
    "XREADGROUP GROUP g alice STREAMS k 0",
    "XCLAIM k g bob 0 5-1 6-0",
    "XAUTOCLAIM k g bob 0 0",
    "XACK k g 5-1 6-0",
    "XADD k * a 1",
    "XDEL k 6-0",
    "XSETID k 99-9",
    "XTRIM k MAXLEN 1",
    "XGROUP DELCONSUMER k g alice",
    "XGROUP DESTROY k g",
];

/// Changes a value at random, and makes its checksum right.
pub fn mutated(payload: &[u8], source: &mut Source<'_>) -> Vec<u8> {
    /// Bytes that mean something to somebody: lengths, encodings, ends.
    const MARKS: [u8; 16] =
        [0, 1, 2, 0x0a, 0x0f, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xf1, 0xf4, 0xfe, 0xff];
    let Some(length) = payload.len().checked_sub(FOOTER_BYTES) else { return payload.to_vec() };
    let mut body = payload[..length].to_vec();
    for _ in 0..1 + source.below(4) {
        if body.is_empty() {
            break;
        }
        // What stands in front is read first, and decides most.
        let reach = if source.one_in(2) { body.len().min(32) } else { body.len() };
        let at = source.below(reach);
        match source.below(8) {
            0 => body[at] = MARKS[source.below(MARKS.len())],
            1 => body[at] = source.below(256) as u8,
            2 => body[at] ^= 1 << source.below(8),
            3 => body.insert(at, MARKS[source.below(MARKS.len())]),
            4 => {
                body.remove(at);
            }
            5 => body.truncate(at),
            6 => {
                let end = at + source.below(body.len() - at).min(64);
                let part = body[at..end].to_vec();
                body.splice(at..at, part);
            }
            _ => body[at] = body[at].wrapping_add(if source.one_in(2) { 1 } else { 255 }),
        }
    }
    with_footer(body, 6 + source.below(8) as u16)
}

/// A payload of this value.
fn with_footer(mut body: Vec<u8>, version: u16) -> Vec<u8> {
    body.extend(version.to_le_bytes());
    let sum = rdb::crc64(&body);
    body.extend(sum.to_le_bytes());
    body
}

/// An engine with its only client.
struct World {
    solo: Solo,
    client: u64,
}

impl World {
    fn run(&mut self, words: &[&[u8]]) -> Reply {
        let argv: OwnedArgv = words.iter().collect();
        let measure = Measure::begin();
        let (bytes, _) = self.solo.run(self.client, argv.as_argv());
        measure.end(|| format!("{}", argv.as_argv().get(0).escape_ascii()));
        match decode(&bytes) {
            Ok(Some((reply, used))) if used == bytes.len() => reply,
            other => panic!("{other:?}: {}", bytes.escape_ascii()),
        }
    }

    fn line(&mut self, line: &str) -> Reply {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.run(&words)
    }

    fn dump(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        match self.run(&[b"DUMP", key]) {
            Reply::Bulk(payload) => Some(payload),
            Reply::Nil => None,
            other => panic!("DUMP says {other:?}"),
        }
    }
}

/// The line of a recipe, its dots replaced.
fn recipe(line: &str, count: usize) -> String {
    let name = line.split(' ').next().unwrap_or_default();
    let elements = (0..count).map(|number| match name {
        "HSET" | "XADD" => format!("f{number} v{number}"),
        "ZADD" => format!("{} m{number}", number / 2),
        _ => format!("m{number}"),
    });
    line.replace("...", &elements.collect::<Vec<_>>().join(" "))
}

/// Restores a value made from these bytes.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let settings =
        Settings { debug_commands: true, string_bytes_max: 1 << 20, ..Settings::default() };
    let mut solo = Solo::new(7, 1, settings);
    let client = solo.connect();
    let mut world = World { solo, client };
    let count = 1 + *source.pick(&[&0_usize, &2, &10, &200]);
    world.line(&recipe(source.pick(RECIPES), count));
    for _ in 0..source.below(5) {
        world.line(source.pick(EXTRAS));
    }
    let Some(payload) = world.dump(b"k") else { return };
    for _ in 0..8 {
        let spoilt = if source.one_in(8) {
            let kind = source.below(32) as u8;
            with_footer([&[kind], source.bytes(40)].concat(), 11)
        } else {
            mutated(&payload, &mut source)
        };
        if let Reply::Status(_) = world.run(&[b"RESTORE", b"k", b"0", &spoilt, b"REPLACE"]) {
            check(&mut world, &spoilt, &mut source);
        }
        if source.is_empty() {
            break;
        }
    }
}

/// Checks what a payload has made.
fn check(world: &mut World, payload: &[u8], source: &mut Source<'_>) {
    let shown = || payload.escape_ascii().to_string();
    world.solo.check();
    let digest = world.solo.digest();
    let value = digest.get(&(0, b"k".to_vec()));
    if let Some(again) = world.dump(b"k") {
        let reply = world.run(&[b"RESTORE", b"other", b"0", &again, b"REPLACE"]);
        assert_eq!(reply, Reply::Status(b"OK".to_vec()), "its own DUMP: {}", shown());
        let digest = world.solo.digest();
        let other = digest.get(&(0, b"other".to_vec()));
        assert_eq!(value, other, "another value comes back: {}", shown());
    }
    let first = source.below(USES.len());
    for line in USES[first..].iter().chain(&USES[..first]) {
        world.line(line);
    }
    world.solo.check();
}
