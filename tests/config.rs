//! The configuration against a real redis-server: defaults, what `CONFIG SET` answers, what
//! `CONFIG GET` then shows, and what `CONFIG REWRITE` leaves in the file.
//!
//! The oracle is the redis-server 7.0 on PATH. Without one the tests say that they were
//! skipped; with `REEF_REQUIRE_PEERS=1` they fail instead.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reef::config::{Caller, Config, Source};

/// Defaults that differ on purpose, and why.
const DEFAULTS_THAT_DIFFER: &[(&str, &str)] =
    &[("io-threads", "Reef serves clients with a worker per processor but one, Redis with one")];

/// Directives of Redis 7.2 that a 7.0 does not know.
const SINCE_7_2: &[&str] = &[
    "cluster-announce-human-nodename",
    "locale-collate",
    "set-max-listpack-entries",
    "set-max-listpack-value",
];

/// Directives of Valkey that no Redis knows.
const VALKEYS: &[&str] = &[
    "aof-rewrite-cpulist",
    "bgsave-cpulist",
    "bio-cpulist",
    "commandlog-execution-slower-than",
    "commandlog-large-reply-max-len",
    "commandlog-large-request-max-len",
    "commandlog-reply-larger-than",
    "commandlog-request-larger-than",
    "commandlog-slow-execution-max-len",
    "dual-channel-replication-enabled",
    "hide-user-data-from-log",
    "prefetch-batch-max-size",
    "primaryauth",
    "primaryuser",
    "rdb-version-check",
    "server-cpulist",
];

/// Reef's own directives.
const OWN: &[&str] = &[
    "engine",
    "http-origins",
    "http-port",
    "plugin-bytes",
    "plugin-cpu-ms",
    "plugin-dir",
    "plugin-host-calls",
    "plugin-memory",
    "shards",
];

/// Changes that Redis and Reef answer differently on purpose, and why.
const CHANGES_THAT_DIFFER: &[(&str, &str, &str)] = &[
    ("maxmemory", "17179869184gb", "Redis multiplies past 2^64, which turns the limit off"),
    (
        "maxmemory-clients",
        "99999999999999999999",
        "Redis takes the largest number for a share of 1%",
    ),
    ("save", "1 99999999999", "Redis cuts the count to 32 bits, which makes another number of it"),
    (
        "activedefrag",
        "yes",
        "Redis refuses it depending on how it was built; here it has no effect",
    ),
    ("tls-cluster", "yes", "TLS is not built in; Redis says that its TLS set-up fails"),
    ("tls-replication", "yes", "TLS is not built in, and pretending would be unsafe"),
    ("bind", "192.0.2.1", "whether an address can be bound is found out by the server"),
];

fn is_no_redis_7_0s(name: &str) -> bool {
    [OWN, SINCE_7_2, VALKEYS].iter().any(|names| names.contains(&name))
}

#[test]
fn defaults_are_those_of_redis() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let theirs = redis.get("*");
    let ours = show(&Config::default(), "*");
    let mut differ = Vec::new();
    for (name, value) in &theirs {
        // They depend on where and how the peer was started.
        if matches!(name.as_str(), "port" | "dir") {
            continue;
        }
        match ours.get(name) {
            None => panic!("Reef does not know '{name}'"),
            Some(our) if our != value => differ.push((name.as_str(), our.as_str(), value.as_str())),
            Some(_) => {}
        }
    }
    differ.retain(|(name, ..)| !DEFAULTS_THAT_DIFFER.iter().any(|(known, _)| known == name));
    assert!(differ.is_empty(), "(name, Reef, Redis): {differ:?}");
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        assert!(is_no_redis_7_0s(name), "{name}");
    }
    for hidden in ["key-load-delay", "watchdog-period", "use-exit-on-panic"] {
        assert_eq!(show(&Config::default(), hidden), redis.get(hidden), "{hidden}");
    }
}

#[test]
fn changes_are_answered_and_shown_as_by_redis() {
    let Some(mut redis) = Redis::start(&["--enable-protected-configs", "yes"]) else { return };
    let mut config = Config::default();
    let args = ["--enable-protected-configs", "yes"].map(str::to_owned);
    if let Ok((loaded, _)) = Config::load(None, &args, &|_| None) {
        config = loaded;
    }
    for (name, values) in CHANGES {
        for value in *values {
            compare(&mut redis, &mut config, &[(name, value)]);
        }
    }
    for pairs in TOGETHER {
        compare(&mut redis, &mut config, pairs);
    }
}

#[test]
fn every_directive_refuses_nonsense_as_redis_does() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let mut config = Config::default();
    let mut names: Vec<_> = redis.get("*").into_keys().collect();
    names.sort();
    for name in &names {
        let nonsense =
            ["nonsense", "", "-999999999999999999", "99999999999999999999", "1.5", "yes", "7"];
        // Putting these into effect reaches outside of the process.
        if matches!(name.as_str(), "bind" | "port" | "tls-port" | "maxclients") {
            continue;
        }
        for value in nonsense {
            compare(&mut redis, &mut config, &[(name, value)]);
        }
    }
}

#[test]
fn on_purpose_differences_still_differ() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    for &(name, value, why) in CHANGES_THAT_DIFFER {
        let mut config = Config::default();
        let theirs = (redis.set(&[(name, value)]), redis.get(name));
        let ours = (set(&mut config, &[(name, value)]), show(&config, name));
        assert_ne!(ours, theirs, "'{name}' no longer differs: {why}");
    }
}

#[test]
fn pattern_lookups_find_what_redis_finds() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let config = Config::default();
    let known = |found: BTreeMap<String, String>| -> Vec<String> {
        found.into_keys().filter(|name| !is_no_redis_7_0s(name)).collect()
    };
    for pattern in [
        "*",
        "TIME*",
        "TiMeOut",
        "time?ut",
        "[t]imeout",
        "timeou[a-t]",
        "timeou[^t]",
        "max\\*",
        "slave-*",
        "*ziplist*",
        "*-?-*",
        "nothing",
        "user",
        "include",
        "loadmodule",
        "key-load*",
        "key-load-delay",
        "replica*[my]",
        "[r-s]*ave*",
        "**",
        "?",
        "",
        "[",
        "a[",
        "\\h\\z",
        "[\\h]z",
    ] {
        assert_eq!(known(show(&config, pattern)), known(redis.get(pattern)), "{pattern}");
    }
}

#[test]
fn a_file_is_read_and_rewritten_as_by_redis() {
    let conf = "# head\n\nsave 900 1\nsave 300 10\nmaxmemory 1gb\n   slave-priority 50  \n\
                APPENDFSYNC \"always\"\nclient-output-buffer-limit normal 0 0 0\n\
                client-output-buffer-limit slave 256mb 64mb 60\nhz 10\nlua-time-limit 7\n\
                requirepass \"a b\\x00\\\"q\"\nmaxmemory-clients 5%\nmasterauth 'it\\'s'\n\
                notify-keyspace-events \"KEA\"\nlatency-tracking-info-percentiles 1 2.5\n\
                unixsocketperm 700\nshutdown-on-sigterm save now\noom-score-adj-values 1 2 3\n\
                repl-backlog-size 20k\nsyslog-ident x\n# tail\n";
    let Some(mut redis) = Redis::start_with(conf, &[]) else { return };
    redis.call(&["AUTH", "a b\0\"q"]);
    let path = redis.folder.join("redis.conf");
    let (mut config, _) =
        Config::load(Some(Source::File(path.clone())), &[], &|_| None).expect("valid");
    let same = |config: &Config, redis: &mut Redis| {
        let ours = show(config, "*");
        for (name, value) in redis.get("*") {
            if !matches!(name.as_str(), "port" | "dir" | "io-threads") {
                assert_eq!(ours.get(&name), Some(&value), "{name}");
            }
        }
    };
    same(&config, &mut redis);
    let pairs = [
        ("save", "60 1 30 2 10 4"),
        ("hz", "11"),
        ("repl-backlog-size", "2mb"),
        ("client-output-buffer-limit", "pubsub 1mb 2kb 3 slave 0 0 0"),
        ("timeout", "9"),
        ("slowlog-log-slower-than", "-1"),
        ("proto-max-bulk-len", "1048577"),
        ("replica-announce-ip", "a b"),
    ];
    compare(&mut redis, &mut config, &pairs);
    assert_eq!(redis.call(&["CONFIG", "REWRITE"]), Reply::Text("+OK".to_owned()));
    let theirs = fs::read_to_string(&path).expect("a file");
    let ours = String::from_utf8(config.rewrite(conf.as_bytes(), None)).expect("text");
    // Users come from elsewhere, the folder and the port depend on the start; order is free.
    let lines = |text: &str| -> Vec<String> {
        let told =
            |line: &&str| !["user ", "dir ", "port "].iter().any(|head| line.starts_with(head));
        let mut lines: Vec<_> = text.lines().filter(told).map(str::to_owned).collect();
        lines.retain(|line| !line.is_empty());
        lines.sort();
        lines
    };
    assert_eq!(lines(&ours), lines(&theirs));
    let (read, _) = Config::load(Some(Source::File(path)), &[], &|_| None).expect("valid");
    same(&read, &mut redis);
}

/// Values for one directive after the other; each pair is one `CONFIG SET`.
const CHANGES: &[(&str, &[&str])] = &[
    ("hz", &["0", "1", "501", "1000", "10"]),
    ("repl-backlog-size", &["1", "16383", "1mb", "0"]),
    (
        "maxmemory",
        &[
            "1kb",
            "1k",
            "1KB",
            "1Mb",
            "1g",
            "1gB",
            "1t",
            "1b",
            "1",
            "0100",
            " 1",
            "1 ",
            "+1",
            "",
            "1.5mb",
            "-1",
            "k",
            "18446744073709551615",
            "18446744073709551616",
            "0",
        ],
    ),
    (
        "maxmemory-clients",
        &[
            "5%",
            "100%",
            "101%",
            "0%",
            "-5%",
            "%",
            "1mb",
            "5.5%",
            "+5%",
            "05%",
            " 5%",
            "5%%",
            "0",
            "99999999999999999999%",
        ],
    ),
    (
        "notify-keyspace-events",
        &[
            "KEA",
            "AKE",
            "g$lshzxetd",
            "Kg",
            "Elg",
            "Kmn",
            "AEKmn",
            "K",
            "zzKK",
            "Q",
            "",
            "KA",
            "dK",
            "mK",
            "nE",
            "g$lshzxet",
            "ke",
            " ",
        ],
    ),
    (
        "save",
        &[
            "",
            "3600 1 300 100",
            "1 1 ",
            "1  1",
            "1",
            "0 1",
            "1 0",
            "-1 1",
            "1 -1",
            "1 1 2",
            "a b",
            "9999999999 1",
            "1 2147483647",
            " ",
            "1 1 1 1",
            "\"\"",
            "",
        ],
    ),
    (
        "client-output-buffer-limit",
        &[
            "normal 1mb 1kb 60",
            "slave 1 2 3",
            "replica 5 6 7",
            "pubsub 1gb 0 0 normal 0 0 0",
            "foo 1 1 1",
            "normal 1x 1 1",
            "normal 1 1 -1",
            "normal 1 1 a",
            "Normal 3 3 3",
            "",
            "normal 1 1",
            "master 1 1 1",
            "normal 1 1 1 normal 2 2 2",
            "normal  1 1 1",
            "normal 9 9 9 foo 1 1 1",
            "normal 0 0 0",
        ],
    ),
    (
        "oom-score-adj-values",
        &["1 2", "800 200 0", "-2000 0 2000", "-2001 1 1", "a b c", "1.5 2 3", "", "0 200 800"],
    ),
    (
        "latency-tracking-info-percentiles",
        &[
            "",
            "50",
            "50 99.99 100",
            "0",
            "50 50",
            "1e1",
            "0.000001",
            "99.123456789012",
            "nan",
            "inf",
            "  ",
            "101",
            "-1",
            "50 99 99.9",
            "50 x",
        ],
    ),
    (
        "shutdown-on-sigint",
        &[
            "save",
            "save force",
            "save nosave",
            "default save",
            "now",
            "force now",
            "default",
            "SAVE",
            "",
            "save save",
            "now force save",
            "nosave save now",
            "x",
            "default",
        ],
    ),
    ("appendfsync", &["ALWAYS", "", " always", "everysec", "no"]),
    ("lazyfree-lazy-eviction", &["YES", "No", "", "1", "true", "yes "]),
    ("masterauth", &["a b", "", "\u{e4}"]),
    ("masteruser", &["abc", ""]),
    ("dbfilename", &["a/b", "x.rdb", "/", "..", "a\\b", "dump.rdb"]),
    ("dir", &["/nonexistent", "/etc/passwd", "", "/", "usr", ".", "/usr/../usr"]),
    ("cluster-announce-hostname", &["a b", "a.b-c", "a_b", ""]),
    (
        "proc-title-template",
        &[
            "{foo}",
            "{title} x",
            "{title",
            "",
            " ",
            "{{",
            "{{title} {title}",
            "x",
            "}",
            "{",
            "{title} {listen-addr} {server-mode} {port} {tls-port} {unixsocket} {config-file}",
        ],
    ),
    ("timeout", &["01", "+1", "-0", "0", "1 ", "0x10", "2147483647", "2147483648", "", "0"]),
    ("list-max-listpack-size", &["-5", "-6", "0", "-2147483649", "-2"]),
    ("set-max-intset-entries", &["9223372036854775807", "9223372036854775808", "512"]),
    ("cluster-link-sendbuf-limit", &["18446744073709551616", "0"]),
    ("slowlog-log-slower-than", &["-1", "-2", "0"]),
    ("bind", &["127.0.0.1", "a a a a a a a a a a a a a a a a a", "* -::*"]),
    ("loglevel", &["Debug", "nothing", "", "notice"]),
    ("lua-time-limit", &["100", "5000"]),
    ("slave-priority", &["5", "100"]),
    ("LOGLEVEL", &["verbose", "notice"]),
    ("active-expire-effort", &["0", "1", "10", "11"]),
    ("unknown", &["1"]),
    ("un\r\nknown", &["1"]),
    ("databases", &["1"]),
    ("user", &["alice on"]),
    ("include", &["x"]),
    ("loadmodule", &["x"]),
    ("rename-command", &["a b"]),
    ("slaveof", &["no one"]),
    ("replicaof", &["127.0.0.1 1"]),
];

/// Several directives in one `CONFIG SET`.
const TOGETHER: &[&[(&str, &str)]] = &[
    &[("timeout", "5"), ("hz", "20")],
    &[("foo", "1"), ("timeout", "x")],
    &[("timeout", "x"), ("foo", "1")],
    &[("timeout", "1"), ("timeout", "2")],
    &[("timeout", "1"), ("TIMEOUT", "2")],
    &[("replica-priority", "1"), ("slave-priority", "2")],
    &[("slave-priority", "3"), ("replica-priority", "4")],
    &[("timeout", "6"), ("hz", "foo")],
    &[("hz", "foo"), ("timeout", "y")],
    &[("databases", "x"), ("foo", "y")],
    &[("databases", "1"), ("timeout", "1"), ("timeout", "2")],
    &[("timeout", "1"), ("timeout", "2"), ("databases", "3")],
    &[("save", "1 1"), ("save", "")],
    &[("client-output-buffer-limit", "normal 1 1 1"), ("hz", "x")],
];

/// Sends one `CONFIG SET` to both; the answers and what is shown afterwards must be equal.
fn compare(redis: &mut Redis, config: &mut Config, pairs: &[(&str, &str)]) {
    let on_purpose = |&(name, value): &(&str, &str)| {
        CHANGES_THAT_DIFFER.iter().any(|&(known, given, _)| (known, given) == (name, value))
    };
    if pairs.iter().any(on_purpose) {
        return;
    }
    assert_eq!(set(config, pairs), redis.set(pairs), "{pairs:?}");
    for (name, _) in pairs {
        if DEFAULTS_THAT_DIFFER.iter().any(|(known, _)| known == name) {
            continue;
        }
        let (ours, theirs) = (show(config, name), redis.get(name));
        // Both start in folders of their own.
        if *name != "dir" || theirs.values().all(|folder| !folder.contains("reef-config-peer")) {
            assert_eq!(ours, theirs, "{pairs:?}");
        }
    }
}

fn set(config: &mut Config, pairs: &[(&str, &str)]) -> String {
    match config.set(pairs, Caller::Local) {
        Ok(_) => "+OK".to_owned(),
        Err(error) => format!("-{}", error.reply()),
    }
}

fn show(config: &Config, pattern: &str) -> BTreeMap<String, String> {
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    config.get(&[pattern]).into_iter().map(|(name, value)| (name, text(value))).collect()
}

#[derive(Debug, PartialEq)]
enum Reply {
    /// A status or an error, with its first byte.
    Text(String),
    Bulk(String),
    List(Vec<String>),
}

/// A redis-server of this test, with a folder of its own; both go with it.
struct Redis {
    process: Child,
    folder: PathBuf,
    stream: BufReader<TcpStream>,
}

impl Redis {
    fn start(args: &[&str]) -> Option<Self> {
        Self::start_with("", args)
    }

    #[expect(clippy::print_stdout, reason = "a test that checks nothing has to say so")]
    /// Nothing, with a word about it, where there is no redis-server 7.0.
    fn start_with(conf: &str, args: &[&str]) -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output();
        let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        if !version.as_ref().is_ok_and(|text| text.contains(" v=7.0.")) {
            let required = std::env::var("REEF_REQUIRE_PEERS").is_ok_and(|value| value == "1");
            assert!(!required, "redis-server 7.0 is required and not on PATH");
            println!("skipped: no redis-server 7.0 on PATH");
            return None;
        }
        // The port is free for a moment only; who loses the race tries another one.
        (0..5).find_map(|_| Self::try_start(conf, args)).or_else(|| panic!("redis-server fails"))
    }

    fn try_start(conf: &str, args: &[&str]) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port().to_string();
        let name = format!("reef-config-peer-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new("redis-server");
        if !conf.is_empty() {
            fs::write(folder.join("redis.conf"), conf).expect("a file");
            command.arg("redis.conf");
        }
        let mut process = command
            .args(["--port", &port])
            .args(args)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && !matches!(process.try_wait(), Ok(Some(_))) {
            if let Ok(stream) = TcpStream::connect(format!("127.0.0.1:{port}")) {
                stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
                return Some(Self { process, folder, stream: BufReader::new(stream) });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
        let _ = fs::remove_dir_all(&folder);
        None
    }

    fn call(&mut self, words: &[&str]) -> Reply {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(text.as_bytes()).expect("sent");
        let head = self.line();
        let count = || head.get(1..).and_then(|text| text.parse().ok()).expect("a count");
        match head.as_bytes().first() {
            Some(b'*') => {
                let count: usize = count();
                Reply::List((0..count).map(|_| self.bulk()).collect())
            }
            Some(b'$') => Reply::Bulk(self.body(count())),
            _ => Reply::Text(head),
        }
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("a line");
        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()
    }

    fn bulk(&mut self) -> String {
        let head = self.line();
        self.body(head.get(1..).and_then(|text| text.parse().ok()).expect("a bulk string"))
    }

    fn body(&mut self, length: usize) -> String {
        let mut body = vec![0; length + 2];
        self.stream.read_exact(&mut body).expect("a body");
        String::from_utf8_lossy(&body[..length]).into_owned()
    }

    fn set(&mut self, pairs: &[(&str, &str)]) -> String {
        let words = pairs.iter().flat_map(|&(name, value)| [name, value]);
        match self.call(&["CONFIG", "SET"].into_iter().chain(words).collect::<Vec<_>>()) {
            Reply::Text(text) => text,
            other => panic!("CONFIG SET answers {other:?}"),
        }
    }

    fn get(&mut self, pattern: &str) -> BTreeMap<String, String> {
        match self.call(&["CONFIG", "GET", pattern]) {
            Reply::List(list) => list
                .chunks(2)
                .filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())))
                .collect(),
            other => panic!("CONFIG GET answers {other:?}"),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
