//! DUMP and RESTORE against real redis-servers, in both directions: values of every type and form
//! must arrive with the digest and the encoding that they left with.
//!
//! A 7.0 takes payloads only up to version 10, so those of Reef get that version's footer on the way
//! there, and sets are kept from the form that it does not know.

use std::ffi::OsString;

use reef_engine::rdb;
use reef_transcript::{
    ClientId, Kind, Patience, Peer, Received, RedisServer, Reply, TcpPeer, format_reply,
};

use crate::judge::judge;
use crate::peer::SoloPeer;

/// A peer with its only client.
pub(crate) struct Side<'a> {
    peer: &'a mut dyn Peer,
    client: ClientId,
}

impl<'a> Side<'a> {
    pub(crate) fn new(peer: &'a mut dyn Peer) -> Self {
        let client = peer.connect().expect("the peer takes connections");
        Self { peer, client }
    }

    pub(crate) fn send(&mut self, args: &[&[u8]]) -> Reply {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_vec()).collect();
        self.peer.send(self.client, &args).expect("the peer takes commands");
        match self.peer.receive(self.client, Patience::Something).expect("the peer answers") {
            Received::Reply(reply) => reply,
            other => panic!("{args:?} got {other:?}"),
        }
    }

    pub(crate) fn bulk(&mut self, args: &[&[u8]]) -> Vec<u8> {
        match self.send(args) {
            Reply::Bulk(bytes) => bytes,
            other => panic!("{args:?} got {other:?}"),
        }
    }

    pub(crate) fn ok(&mut self, args: &[&[u8]]) {
        let reply = self.send(args);
        assert!(!matches!(reply, Reply::Error(_)), "{args:?} got {reply:?}");
    }

    /// Makes the value, and nothing else.
    fn make(&mut self, recipe: &Recipe) {
        self.ok(&[b"FLUSHALL"]);
        for command in &recipe.commands {
            self.ok(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }

    /// When some fields of the copy expire.
    fn times(&mut self) -> String {
        let words = "HPEXPIRETIME copy FIELDS 4".split(' ').map(str::as_bytes);
        let words = words.chain([&b""[..], b"007", b"70000", b"-1"]);
        format_reply(&self.send(&words.collect::<Vec<_>>()))
    }

    /// What the value at a key is, in the words of both sides.
    fn state(&mut self, key: &[u8]) -> (Reply, Vec<u8>) {
        let digest = self.send(&[b"DEBUG", b"DIGEST-VALUE", key]);
        (digest, self.bulk(&[b"OBJECT", b"ENCODING", key]))
    }
}

/// A value and how it is made.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) commands: Vec<Vec<Vec<u8>>>,
}

pub(crate) fn recipe(name: &'static str, command: &str, arguments: Vec<Vec<u8>>) -> Recipe {
    let chunks = arguments.chunks(500);
    let head = [command.as_bytes().to_vec(), b"k".to_vec()];
    let commands = chunks.map(|chunk| [&head[..], chunk].concat()).collect();
    Recipe { name, commands }
}

fn numbers(count: i64) -> Vec<Vec<u8>> {
    (0..count).map(|number| (number * number - 50).to_string().into_bytes()).collect()
}

pub(crate) fn texts(count: usize) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = ["", "-1", "128", "70000", "-2147483649", "007", "\u{e9}\0\r\n"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec();
    texts.extend((0..count).map(|number| format!("element number {number}").into_bytes()));
    texts
}

pub(crate) fn pairs(firsts: Vec<Vec<u8>>, second: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
    let pairs = firsts.into_iter().enumerate();
    pairs.flat_map(|(index, first)| [first, second(index).into_bytes()]).collect()
}

/// Scores whose shortest text is that of 17 digits: digests are made of one or the other.
fn score(index: usize) -> String {
    match index % 7 {
        0 => "inf".to_owned(),
        1 => "-inf".to_owned(),
        2 => "1.5".to_owned(),
        3 => "-3.0000000000000004e-50".to_owned(),
        4 => "1.2676506002282294e+30".to_owned(),
        _ => index.to_string(),
    }
}

fn scored(members: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let members = members.into_iter().enumerate();
    members.flat_map(|(index, member)| [score(index).into_bytes(), member]).collect()
}

pub(crate) fn recipes() -> Vec<Recipe> {
    let long = vec![b'l'; 20_000];
    let noise: Vec<u8> = (0..30_000_u32).flat_map(|n| n.wrapping_mul(n).to_be_bytes()).collect();
    let mut recipes: Vec<Recipe> = texts(1)
        .into_iter()
        .chain([long.clone(), noise.clone(), b"9223372036854775807".to_vec()])
        .map(|text| recipe("string", "SET", vec![text]))
        .collect();
    recipes.extend([
        recipe("modified string", "APPEND", vec![long.clone()]),
        recipe("small list", "RPUSH", texts(10)),
        recipe("list", "RPUSH", texts(3000)),
        recipe("list of large elements", "RPUSH", vec![long.clone(), b"a".to_vec(), noise.clone()]),
        recipe("set of few integers", "SADD", numbers(100)),
        recipe("set of many integers", "SADD", numbers(3000)),
        recipe("small set", "SADD", texts(20)),
        recipe("set", "SADD", texts(3000)),
        recipe("set with a large member", "SADD", vec![noise.clone(), b"1".to_vec()]),
        recipe("small hash", "HSET", pairs(texts(20), |index| format!("value {index}"))),
        recipe("hash", "HSET", pairs(texts(3000), |index| index.to_string())),
        recipe("hash with a large value", "HSET", vec![b"f".to_vec(), long]),
        recipe("small sorted set", "ZADD", scored(texts(20))),
        recipe("sorted set", "ZADD", scored(texts(3000))),
        recipe("sorted set with a large member", "ZADD", vec![b"0.5".to_vec(), noise]),
    ]);
    recipes
}

/// Directives under which packed forms are used as far as they go, or not at all.
pub(crate) const FORMS: [&[(&str, &str)]; 2] = [
    &[],
    &[
        ("hash-max-listpack-entries", "0"),
        ("list-max-listpack-size", "3"),
        ("set-max-intset-entries", "0"),
        ("set-max-listpack-entries", "0"),
        ("zset-max-listpack-entries", "0"),
    ],
];

/// A payload with the footer of version 10.
fn aged(payload: &[u8]) -> Vec<u8> {
    let mut payload = payload[..payload.len() - 10].to_vec();
    payload.extend(10_u16.to_le_bytes());
    let sum = rdb::crc64(&payload);
    payload.extend(sum.to_le_bytes());
    payload
}

fn exchange(ours: &mut Side<'_>, theirs: &mut Side<'_>, recipe: &Recipe, age: bool) {
    let name = recipe.name;
    ours.make(recipe);
    theirs.make(recipe);
    let (state, their_state) = (ours.state(b"k"), theirs.state(b"k"));
    assert_eq!(state.0, their_state.0, "{name}: both hold the same");
    let payload = ours.bulk(&[b"DUMP", b"k"]);
    let sent = if age { aged(&payload) } else { payload };
    theirs.ok(&[b"RESTORE", b"copy", b"0", &sent]);
    assert_eq!(theirs.state(b"copy"), their_state, "{name}: from Reef to Redis");
    let payload = theirs.bulk(&[b"DUMP", b"k"]);
    ours.ok(&[b"RESTORE", b"copy", b"0", &payload]);
    assert_eq!(ours.state(b"copy"), state, "{name}: from Redis to Reef");
}

fn check(program: Option<OsString>, line: &str, kind: Kind) {
    let Some(program) = judge(program, line) else { return };
    let server = RedisServer::start(&program).expect("redis-server starts");
    let (mut their_peer, mut our_peer) = (TcpPeer::new(server.address(), kind), SoloPeer::new(8));
    let (mut theirs, mut ours) = (Side::new(&mut their_peer), Side::new(&mut our_peer));
    let is_old = kind == Kind::Oracle;
    if is_old {
        ours.ok(&[b"CONFIG", b"SET", b"set-max-listpack-entries", b"0"]);
    }
    for form in FORMS {
        for (name, value) in form {
            ours.ok(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]);
            if !(is_old && *name == "set-max-listpack-entries") {
                theirs.ok(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]);
            }
        }
        recipes().iter().for_each(|recipe| exchange(&mut ours, &mut theirs, recipe, is_old));
    }
    our_peer.check();
}

/// Hashes with fields that expire are known from Redis 7.4 on.
#[test]
fn hashes_with_fields_that_expire_travel_to_redis_7_4_and_back() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_4"), "7.4.") else { return };
    let server = RedisServer::start(&program).expect("redis-server starts");
    let mut their_peer =
        TcpPeer::new(server.address(), Kind::Oracle).with(reef_transcript::NEED_7_4);
    let mut our_peer = SoloPeer::new(8);
    let (mut theirs, mut ours) = (Side::new(&mut their_peer), Side::new(&mut our_peer));
    for count in [3, 1000] {
        let mut recipe = recipe("hash", "HSET", pairs(texts(count), |index| index.to_string()));
        for (field, at) in [("", "4000000000123"), ("007", "4000000000000"), ("70000", "1")] {
            let words = ["HPEXPIREAT", "k", at, "FIELDS", "1", field];
            recipe.commands.push(words.iter().map(|word| word.as_bytes().to_vec()).collect());
        }
        exchange(&mut ours, &mut theirs, &recipe, false);
        for side in [ours.times(), theirs.times()] {
            assert_eq!(
                side,
                format_reply(&Reply::Array(vec![
                    Reply::Integer(4_000_000_000_123),
                    Reply::Integer(4_000_000_000_000),
                    Reply::Integer(-2),
                    Reply::Integer(-1),
                ]))
            );
        }
    }
    our_peer.check();
}

#[test]
fn values_travel_to_redis_7_0_and_back() {
    check(Some("redis-server".into()), "7.0.", Kind::Oracle);
}

#[test]
fn values_travel_to_redis_7_2_and_back() {
    check(std::env::var_os("REDIS_SERVER_7_2"), "7.2.", Kind::Newer);
}
