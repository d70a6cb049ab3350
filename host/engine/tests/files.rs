//! RDB files against real redis-servers, in both directions: what one saves the other loads, with the
//! same digest, encodings, expiries, and everything that a stream knows.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use reef_transcript::{Kind, RedisServer, Reply, TcpPeer, format_reply};

use crate::dump::{FORMS, Side, pairs, recipe, recipes, texts};
use crate::judge::judge;
use crate::peer::SoloPeer;

const FILE: &str = "dump.rdb";

/// Streams and what else takes more than one kind of command.
const STORIES: &[&str] = &[
    "XADD {k} 1-1 a 1 b 2",
    "XADD {k} 1-2 a 3 b 4",
    "XADD {k} 5-0 c text d -5",
    "XADD {k} 6-0 c text",
    "XDEL {k} 1-2",
    "XGROUP CREATE {k} g 0",
    "XGROUP CREATE {k} h 5-0 ENTRIESREAD 3",
    "XREADGROUP GROUP g alice COUNT 2 STREAMS {k} >",
    "XREADGROUP GROUP g bob STREAMS {k} >",
    "XACK {k} g 1-1",
    "XADD {k}:empty 7-7 a 1",
    "XDEL {k}:empty 7-7",
    "SET {k}:soon text PXAT 4000000000001",
    "RPUSH {k}:list a b c",
    "PEXPIREAT {k}:list 4000000000002",
    "SETBIT {k}:bits 100 1",
    "PFADD {k}:hll a b c",
    "GEOADD {k}:geo 13.3 38.1 a 15 37 b",
];

/// A folder of a test's own, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("reef-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// What both sides are filled with: for each database, commands.
fn content(with_field_times: bool) -> Vec<Vec<Vec<Vec<u8>>>> {
    let mut all = recipes();
    if with_field_times {
        for count in [3, 1000] {
            let mut hash = recipe("hash", "HSET", pairs(texts(count), |index| index.to_string()));
            hash.commands.push(words("HPEXPIREAT k 4000000000123 FIELDS 2 007 70000"));
            all.push(hash);
        }
    }
    let mut databases = vec![Vec::new(); 3];
    for (number, recipe) in all.into_iter().enumerate() {
        let key = format!("{} {number}", recipe.name).into_bytes();
        for mut command in recipe.commands {
            command[1].clone_from(&key);
            databases[number % 2].push(command);
        }
    }
    databases[0].extend(STORIES.iter().map(|line| words(&line.replace("{k}", "stream"))));
    // More keys than one segment of a table has.
    let many = (0..2000).map(|number| words(&format!("SET number:{number} {number}")));
    databases[2].extend(many);
    databases
}

fn fill(side: &mut Side<'_>, databases: &[Vec<Vec<Vec<u8>>>], form: &[(&str, &str)], is_7_0: bool) {
    for (name, value) in form {
        if !(is_7_0 && *name == "set-max-listpack-entries") {
            side.ok(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]);
        }
    }
    for (number, commands) in databases.iter().enumerate() {
        side.ok(&[b"SELECT", number.to_string().as_bytes()]);
        for command in commands {
            side.ok(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }
}

/// All that a side tells of its data, in words that both understand.
fn told(side: &mut Side<'_>, databases: usize, is_7_0: bool) -> Vec<String> {
    let mut all = vec![format_reply(&side.send(&[b"DEBUG", b"DIGEST"]))];
    for number in 0..databases {
        side.ok(&[b"SELECT", number.to_string().as_bytes()]);
        let Reply::Array(mut keys) = side.send(&[b"KEYS", b"*"]) else { panic!("KEYS lists") };
        keys.sort_by_key(format_reply);
        for key in keys {
            let Reply::Bulk(key) = key else { panic!("keys are strings") };
            let expiry = side.send(&[b"PEXPIRETIME", &key]);
            let encoding = side.send(&[b"OBJECT", b"ENCODING", &key]);
            let kind = side.send(&[b"TYPE", &key]);
            let mut line = format!("{} {}", key.escape_ascii(), format_reply(&expiry));
            let kind = format_reply(&kind);
            // Small sets of texts and small lists were no listpacks before 7.2; that a string was
            // changed in place nobody knows any more who has loaded it.
            if !(is_7_0 && ["set", "list"].iter().any(|name| kind.contains(name))) {
                line += &format_reply(&encoding).replace("raw", "embstr");
            }
            if kind.contains("stream") {
                let full = side.send(&[b"XINFO", b"STREAM", &key, b"FULL"]);
                line += &without_own(&format_reply(&full));
            }
            all.push(line);
        }
    }
    all
}

fn same(told: &[String], wanted: &[String], way: &str) {
    assert_eq!(told.len(), wanted.len(), "{way}");
    told.iter().zip(wanted).for_each(|(line, wanted)| assert_eq!(line, wanted, "{way}"));
}

/// What is told of a stream without what is each server's own: the inner nodes of its tree, and when
/// consumers last got something, which 7.0 does not keep.
fn without_own(text: &str) -> String {
    let mut hidden = false;
    let shown = |line: &&str| {
        let is_shown = !hidden;
        hidden = ["radix-tree-nodes", "active-time"].iter().any(|name| line.contains(name));
        is_shown && !hidden
    };
    let number = |line: &str| line.rsplit(") ").next().unwrap_or_default().to_owned();
    text.lines().filter(shown).map(number).collect::<Vec<_>>().join("\n")
}

#[expect(clippy::print_stderr, reason = "a test that has nothing to judge by must say so")]
fn check_file(folder: &Folder) {
    match Command::new("redis-check-rdb").arg(folder.file()).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("Checksum OK"), "{text}");
        }
        Err(error) => eprintln!("skipped: redis-check-rdb cannot be asked: {error}"),
    }
}

fn travel(program: &OsStr, line: &str, kind: Kind, form: &[(&str, &str)]) {
    let (is_7_0, is_7_4) = (line == "7.0.", line == "7.4.");
    let databases = content(is_7_4);
    let peer = |server: &RedisServer| {
        let peer = TcpPeer::new(server.address(), kind);
        if is_7_4 { peer.with(reef_transcript::NEED_7_4) } else { peer }
    };

    // From Reef to Redis.
    let mut our_peer = SoloPeer::new(8);
    let mut ours = Side::new(&mut our_peer);
    fill(&mut ours, &databases, form, false);
    let our_words = told(&mut ours, databases.len(), is_7_0);
    let form_of_file = our_peer.solo().form();
    assert_eq!(form_of_file.version, if is_7_4 { 12 } else { 10 });
    let folder = Folder::new();
    fs::write(folder.file(), our_peer.solo().save(form_of_file)).expect("a file can be written");
    if is_7_0 {
        check_file(&folder);
    }
    let server = RedisServer::start_in(program, &folder.0, FILE).expect("redis-server takes it");
    let mut their_peer = peer(&server);
    let mut theirs = Side::new(&mut their_peer);
    let configured: Vec<_> = form.iter().collect();
    if configured.is_empty() {
        same(&told(&mut theirs, databases.len(), is_7_0), &our_words, "from Reef");
    } else {
        // What it loads it packs by its own configuration.
        assert_eq!(told(&mut theirs, databases.len(), true)[0], our_words[0], "to {line}");
    }

    // From Redis to Reef, from a server that was filled by commands.
    let folder = Folder::new();
    let server = RedisServer::start_in(program, &folder.0, FILE).expect("redis-server starts");
    let mut their_peer = peer(&server);
    let mut theirs = Side::new(&mut their_peer);
    fill(&mut theirs, &databases, form, is_7_0);
    let their_words = told(&mut theirs, databases.len(), is_7_0);
    assert_eq!(their_words[0], our_words[0], "both hold the same");
    theirs.ok(&[b"SAVE"]);
    let file = fs::read(folder.file()).expect("it was saved");
    for (shards, chunk) in [(1, 1 << 20), (8, 1), (8, 1000)] {
        let mut loaded = SoloPeer::new(shards);
        for (name, value) in form {
            Side::new(&mut loaded).ok(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]);
        }
        loaded.solo().load(&file, chunk).unwrap_or_else(|failure| panic!("{failure}"));
        loaded.check();
        let mut loaded = Side::new(&mut loaded);
        same(&told(&mut loaded, databases.len(), is_7_0), &their_words, "to Reef");
    }
}

fn check(program: Option<OsString>, line: &str, kind: Kind) {
    let Some(program) = judge(program, line) else { return };
    FORMS.iter().for_each(|form| travel(&program, line, kind, form));
}

#[test]
fn files_travel_to_redis_7_0_and_back() {
    check(Some("redis-server".into()), "7.0.", Kind::Oracle);
}

#[test]
fn files_travel_to_redis_7_2_and_back() {
    check(std::env::var_os("REDIS_SERVER_7_2"), "7.2.", Kind::Newer);
}

#[test]
fn files_travel_to_redis_7_4_and_back() {
    check(std::env::var_os("REDIS_SERVER_7_4"), "7.4.", Kind::Oracle);
}
