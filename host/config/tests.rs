//! The configuration as a whole: sources, precedence, refusals, changes, rewriting.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::directive::{Role, When};
use super::load::{FILES_MAX, INCLUDE_DEPTH_MAX};
use super::*;

mod random;

fn no_env(_: &str) -> Option<String> {
    None
}

fn flags(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn text(text: &str) -> Option<Source> {
    Some(Source::Text { name: "redis.conf".to_owned(), text: text.as_bytes().to_vec() })
}

fn load(conf: &str, args: &[&str]) -> Result<(Config, Vec<Warning>), ConfigError> {
    Config::load(text(conf), &flags(args), &no_env)
}

fn config(conf: &str) -> Config {
    load(conf, &[]).expect("valid").0
}

fn error(conf: &str, args: &[&str]) -> String {
    load(conf, args).expect_err("must be refused").to_string()
}

fn get(config: &Config, name: &str) -> String {
    let found = config.get(&[name]);
    assert_eq!(found.len(), 1, "{name}");
    String::from_utf8(found[0].1.clone()).expect("text")
}

fn set(config: &mut Config, pairs: &[(&str, &str)]) -> String {
    match config.set(pairs, Caller::Remote) {
        Ok(changed) => format!("OK {}", changed.names.join(" ")).trim_end().to_owned(),
        Err(error) => error.reply(),
    }
}

/// A folder of its own for a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("reef-config-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Self(fs::canonicalize(folder).expect("exists"))
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load_file(path: &Path) -> Result<(Config, Vec<Warning>), ConfigError> {
    Config::load(Some(Source::File(path.to_owned())), &[], &no_env)
}

#[test]
fn the_default_has_a_value_for_every_getter() {
    let config = Config::default();
    config.read_all();
    assert_eq!(config.port(), Some(6379));
    assert_eq!(config.bind(), ["*", "-::*"]);
    assert_eq!(config.timeout(), None);
    assert_eq!(config.tcp_keepalive(), Some(Duration::from_secs(300)));
    assert_eq!(config.shards(), 16);
    assert_eq!(config.save_points().len(), 3);
    assert_eq!(config.maxmemory_policy(), Eviction::NoEviction);
    assert_eq!(config.appendfsync(), Fsync::EverySecond);
    assert_eq!(config.unixsocketperm(), None);
    assert_eq!(config.client_output_buffer_limits().replica.hard_bytes, 256 << 20);
    assert_eq!(config.packing().list_size, -2);
    assert_eq!(config.plugin_budget().cpu, Duration::from_millis(50));
    assert_eq!(config.plugin_budget().memory_bytes, 64 << 20);
    assert!(config.io_threads() >= 1);
    assert!(config.dir().is_absolute());
    assert_eq!(config.replicaof(), None);
    assert_eq!(config.engine_url(), None);
}

#[test]
fn every_getter_reads_the_smallest_and_the_largest_value() {
    let mut config = Config::default();
    for largest in [false, true] {
        for (directive, value) in TABLE.iter().zip(&mut config.values) {
            let text = match directive.kind {
                Kind::Integer { min, max } => if largest { max } else { min }.to_string(),
                Kind::Memory { min, max } => if largest { max } else { min }.to_string(),
                Kind::PowerOfTwo { max } => if largest { max } else { 1 }.to_string(),
                _ => continue,
            };
            *value = Value::read(directive, &[text.into_bytes()], None).expect("within bounds");
        }
        config.read_all();
        config.packing();
        config.plugin_budget();
    }
}

#[test]
fn later_sources_win() {
    let env = |name: &str| match name {
        "REDIS_PORT" => Some("1".to_owned()),
        "REDIS_MAX_CLIENTS" => Some("11".to_owned()),
        _ => None,
    };
    let port = |conf: Option<Source>, args: &[&str]| {
        let (config, _) = Config::load(conf, &flags(args), &env).expect("valid");
        assert_eq!(config.maxclients(), 11);
        config.port()
    };
    assert_eq!(port(None, &[]), Some(1));
    assert_eq!(port(text("port 2\nport 3"), &[]), Some(3));
    assert_eq!(port(text("port 2"), &["--port", "4", "--PORT", "5"]), Some(5));
    let empty = |_: &str| Some(String::new());
    let (config, _) = Config::load(None, &[], &empty).expect("an empty variable is none");
    assert_eq!(config.port(), Some(6379));
    let wrong = |_: &str| Some("x".to_owned());
    let error = Config::load(None, &[], &wrong).expect_err("not a port").to_string();
    assert_eq!(error, "REDIS_PORT: argument couldn't be parsed into an integer");
}

#[test]
fn flags_take_the_values_up_to_the_next_flag() {
    let args = [
        "--port",
        "7000",
        "--save",
        "",
        "--bind",
        "127.0.0.1",
        "::1",
        "--replicaof",
        "127.0.0.1 6380",
        "--slowlog-log-slower-than",
        "-1",
        "--loglevel debug",
        "--max-clients",
        "9",
        "--plugin",
        "shop",
        "/s.wasm",
        "a",
        "b",
        "--plugin",
        "tax /t.wasm",
    ];
    let (config, warnings) = load("", &args).expect("valid");
    assert_eq!(warnings, []);
    assert_eq!(config.port(), Some(7000));
    assert_eq!(config.save_points(), []);
    assert_eq!(config.bind(), ["127.0.0.1", "::1"]);
    assert_eq!(config.replicaof(), Some(("127.0.0.1".to_owned(), 6380)));
    assert_eq!(config.slowlog_log_slower_than_us(), -1);
    assert_eq!(config.loglevel(), LogLevel::Debug);
    assert_eq!(config.maxclients(), 9);
    assert_eq!(config.plugins().len(), 2);
    assert_eq!(config.plugins()[0].settings, [("a".to_owned(), "b".to_owned())]);
    let (config, _) = load("", &["--save", "--port", "1"]).expect("a lone --save turns it off");
    assert_eq!(config.save_points(), []);
    let (config, _) = load("", &["--bind", "127.0.0.1 ::1"]).expect("one argument is split");
    assert_eq!(config.bind(), ["127.0.0.1", "::1"]);
}

#[test]
fn a_refusal_tells_where_and_what() {
    for (conf, args, expected) in [
        ("\n\nprot 1", &[][..], "redis.conf:3: unknown directive 'prot'; did you mean 'port'?"),
        ("zzzzzzzzzz 1", &[], "redis.conf:1: unknown directive 'zzzzzzzzzz'"),
        ("port x", &[], "redis.conf:1: 'port': argument couldn't be parsed into an integer"),
        ("port 65536", &[], "redis.conf:1: 'port': argument must be between 0 and 65535 inclusive"),
        ("port", &[], "redis.conf:1: 'port': wrong number of arguments"),
        ("port 1 # why", &[], "redis.conf:1: 'port': wrong number of arguments"),
        ("save \"1", &[], "redis.conf:1: Unbalanced quotes in configuration line"),
        (
            "shards 3",
            &[],
            "redis.conf:1: 'shards': argument must be a power of two between 1 and 64",
        ),
        (
            "shards 128",
            &[],
            "redis.conf:1: 'shards': argument must be a power of two between 1 and 64",
        ),
        ("replicaof a 99999", &[], "redis.conf:1: 'replicaof': Invalid master port"),
        (
            "unixsocketperm 1777",
            &[],
            "redis.conf:1: 'unixsocketperm': argument must be between 0 and 777 inclusive",
        ),
        (
            "unixsocketperm 888",
            &[],
            "redis.conf:1: 'unixsocketperm': argument couldn't be parsed as an octal number",
        ),
        (
            "appendfilename \"\"",
            &[],
            "redis.conf:1: 'appendfilename': appendfilename can't be empty",
        ),
        (
            "plugin shop",
            &[],
            "redis.conf:1: 'plugin': a plugin needs a name and the path of its component",
        ),
        (
            "user a on\nuser a on",
            &[],
            "redis.conf:2: 'user': Error in user declaration 'a': Duplicate user found. A user can only be defined once in config files",
        ),
        (
            "user a on\naclfile x",
            &[],
            "redis.conf:1: 'user': users stand either in the configuration or in the file that 'aclfile' names",
        ),
        ("rename-command a", &[], "redis.conf:1: 'rename-command': wrong number of arguments"),
        ("", &["--prot", "1"], "unknown flag '--prot'; did you mean '--port'?"),
        ("", &["--hz", "x"], "--hz: argument couldn't be parsed into an integer"),
        ("", &["--hz"], "--hz: wrong number of arguments"),
        ("", &["hz", "1"], "hz: expected a flag that starts with '--'"),
        ("", &["--", "1"], "--: a flag needs the name of a directive"),
        ("include a b", &[], "redis.conf:1: 'include': wrong number of arguments"),
        (
            "include /none/at/all",
            &[],
            "redis.conf:1: cannot read '/none/at/all': No such file or directory",
        ),
    ] {
        assert_eq!(error(conf, args), expected);
    }
    let modules = error("loadmodule x.so", &[]);
    assert!(modules.contains("plugin NAME PATH"), "{modules}");
    let cluster = error("cluster-enabled yes", &[]);
    assert!(cluster.starts_with("redis.conf:1: 'cluster-enabled': only 'no' is supported"));
    let missing = load_file(Path::new("/none/redis.conf")).expect_err("missing").to_string();
    assert_eq!(missing, "/none/redis.conf: cannot read: No such file or directory");
}

#[test]
fn directives_without_effect_are_named_in_warnings() {
    let conf =
        "always-show-logo no\nrdb-del-sync-files no\nport 1\ndaemonize yes\ncluster-enabled no";
    let (config, warnings) = load(conf, &["--rdb-del-sync-files", "yes"]).expect("valid");
    let mut warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "--rdb-del-sync-files: 'rdb-del-sync-files' is accepted for compatibility and has no effect",
            "redis.conf: accepted without effect, at their defaults: always-show-logo, cluster-enabled",
            "redis.conf:4: 'daemonize' has no effect: Reef stays in the foreground; \
         running in the background is left to the service manager",
        ]
    );
    assert_eq!(get(&config, "daemonize"), "yes");
    assert_eq!(load("port 1\nhz 20", &[]).expect("valid").1, []);
}

#[test]
fn files_include_files_by_name_and_by_pattern() {
    let folder = Folder::new();
    folder.file("b.conf", "port 2\n");
    folder.file("a.conf", "port 1\ntimeout 5\n");
    folder.file(".hidden.conf", "prot 1\n");
    let one = folder.0.join("a.conf");
    let main = folder.file(
        "main.conf",
        &format!("include {}\ninclude \"{}/*.conf\"\n", one.display(), folder.0.display()),
    );
    // The pattern meets the main file itself.
    let error = load_file(&main).expect_err("a circle").to_string();
    assert!(error.ends_with("main.conf' includes itself"), "{error}");
    let pattern = format!("include {0}/[ab].co?f\ninclude {0}/none*\n", folder.0.display());
    let main = folder.file("main.conf", &pattern);
    let (config, _) = load_file(&main).expect("valid");
    assert_eq!((config.port(), config.timeout()), (Some(2), Some(Duration::from_secs(5))));
    assert_eq!(config.file(), Some(main.as_path()));
    folder.file("b.conf", "\nprot 1\n");
    let error = load_file(&main).expect_err("wrong").to_string();
    assert!(error.contains("b.conf:2: unknown directive 'prot'"), "{error}");
}

#[test]
fn includes_are_bounded_in_depth_and_number() {
    let folder = Folder::new();
    for depth in 0..=INCLUDE_DEPTH_MAX {
        let next = folder.0.join(format!("{}.conf", depth + 1));
        folder.file(&format!("{depth}.conf"), &format!("include {}\n", next.display()));
    }
    let last = folder.file(&format!("{INCLUDE_DEPTH_MAX}.conf"), "port 9\n");
    let (config, _) = load_file(&folder.0.join("1.conf")).expect("as deep as may be");
    assert_eq!(config.port(), Some(9));
    let error = load_file(&folder.0.join("0.conf")).expect_err("too deep").to_string();
    assert!(error.contains("more than 16 levels deep"), "{error}");
    let many = format!("include {}\n", last.display());
    let main = folder.file("many.conf", &many.repeat(FILES_MAX - 1));
    load_file(&main).expect("as many as may be");
    let main = folder.file("many.conf", &many.repeat(FILES_MAX));
    let error = load_file(&main).expect_err("too many").to_string();
    assert!(error.ends_with("more than 256 configuration files"), "{error}");
}

#[test]
fn a_source_without_end_is_refused() {
    let zeros = Path::new("/dev/zero");
    if zeros.exists() {
        let error = load_file(zeros).expect_err("endless").to_string();
        assert_eq!(error, "/dev/zero: cannot read: longer than 16777216 bytes");
    }
    let folder = load_file(&std::env::temp_dir()).expect_err("a folder").to_string();
    assert!(folder.ends_with("cannot read: Is a directory"), "{folder}");
}

#[test]
fn save_lines_add_up_until_an_empty_one() {
    let save = |conf: &str, args: &[&str]| get(&load(conf, args).expect("valid").0, "save");
    assert_eq!(save("", &[]), "3600 1 300 100 60 10000");
    assert_eq!(save("save 900 1\nsave 300 10", &[]), "900 1 300 10");
    assert_eq!(save("save 900 1", &["--save", "60", "1"]), "900 1 60 1");
    assert_eq!(save("save 900 1", &["--save", ""]), "");
    assert_eq!(save("save 900 1\nsave \"\"\nsave 5 5\nsave", &[]), "5 5");
}

#[test]
fn secrets_may_be_any_bytes() {
    let config = config("requirepass \"a b\\xff\\x00\"");
    assert_eq!(config.requirepass(), b"a b\xff\x00");
    assert_eq!(config.get(&["requirepass"])[0].1, b"a b\xff\x00");
}

#[test]
fn get_finds_names_and_patterns_each_once() {
    let config = Config::default();
    let names = |patterns: &[&str]| -> Vec<String> {
        config.get(patterns).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&["hz", "time*", "timeout", "HZ"]), ["hz", "timeout"]);
    assert_eq!(names(&["TiMeOut"]), ["TiMeOut"]);
    assert_eq!(names(&["TIMEOU[T]"]), ["timeout"]);
    assert_eq!(names(&["slave-pri*", "replica-pri*"]), ["slave-priority", "replica-priority"]);
    assert_eq!(names(&["key-load-delay"]), ["key-load-delay"]);
    assert_eq!(names(&["max-clients"]), ["max-clients"]);
    assert!(names(&["key-load*", "nothing", "user", "plugin", "max-clie*", ""]).is_empty());
    let all = names(&["*"]);
    assert!(all.contains(&"shards".to_owned()) && !all.contains(&"tenant".to_owned()));
    assert!(names(&[]).is_empty());
}

#[test]
fn whatever_get_shows_may_be_set_again() {
    let mut config = Config::default();
    let fixed = |name: &str| {
        let directive = table::find(name.as_bytes()).map(|at| &TABLE[at]);
        directive.is_none_or(|row| matches!(row.when, When::Start | When::Protected))
    };
    for (name, value) in config.get(&["*"]) {
        if !fixed(&name) {
            let again = config.set(&[(&name, &value)], Caller::Local);
            assert_eq!(again, Ok(Changed::default()), "{name}");
        }
    }
    let refused = "ERR CONFIG SET failed (possibly related to argument 'shards') - ";
    let reply = set(&mut config, &[("timeout", "6"), ("shards", "8")]);
    assert_eq!(reply, format!("{refused}can't set immutable config"));
    assert_eq!((get(&config, "shards"), get(&config, "timeout")), ("16".into(), "0".into()));
    assert_eq!(set(&mut config, &[("shards", "16"), ("timeout", "6")]), "OK timeout");
}

#[test]
fn set_changes_all_or_nothing() {
    let mut config = Config::default();
    assert_eq!(set(&mut config, &[("timeout", "5"), ("hz", "20")]), "OK timeout hz");
    assert_eq!(set(&mut config, &[("timeout", "5")]), "OK");
    let failed = "ERR CONFIG SET failed (possibly related to argument";
    let reply = set(&mut config, &[("timeout", "6"), ("hz", "x")]);
    assert_eq!(reply, format!("{failed} 'hz') - argument couldn't be parsed into an integer"));
    assert_eq!(get(&config, "timeout"), "5");
    let reply = set(&mut config, &[("timeout", "6"), ("TIMEOUT", "7")]);
    assert_eq!(reply, format!("{failed} 'TIMEOUT') - duplicate parameter"));
    let reply = set(&mut config, &[("timeout", "x"), ("a\r\nb", "1")]);
    assert_eq!(reply, "ERR Unknown option or number of arguments for CONFIG SET - 'a  b'");
    let reply = set(&mut config, &[("databases", "x")]);
    assert_eq!(reply, format!("{failed} 'databases') - can't set immutable config"));
    let reply = set(&mut config, &[("plugin", "x /y")]);
    assert_eq!(reply, "ERR Unknown option or number of arguments for CONFIG SET - 'plugin'");
    let reply = set(&mut config, &[("tls-cluster", "yes")]);
    assert!(reply.starts_with(&format!("{failed} 'tls-cluster') - only 'no' is supported")));
    // Both names of one directive are no duplicate; the later one wins.
    let both = [("replica-priority", "1"), ("slave-priority", "2")];
    assert_eq!(set(&mut config, &both), "OK replica-priority");
    assert_eq!(config.replica_priority(), 2);
    assert_eq!(set(&mut config, &[("max-clients", "7")]), "OK maxclients");
    let error = ConfigError::not_applied("port", "Unable to listen on this port");
    assert_eq!(error.reply(), format!("{failed} 'port') - Unable to listen on this port"));
}

#[test]
fn protected_directives_change_where_allowed() {
    let pair = [("dbfilename", "x.rdb")];
    for (access, local, remote) in
        [("no", false, false), ("local", true, false), ("yes", true, true)]
    {
        let mut config = config(&format!("enable-protected-configs {access}"));
        assert_eq!(config.set(&pair, Caller::Local).is_ok(), local, "{access}");
        assert_eq!(config.set(&pair, Caller::Remote).is_ok(), remote, "{access}");
    }
    let error = Config::default().set(&pair, Caller::Local).expect_err("protected").reply();
    assert!(
        error.ends_with("(possibly related to argument 'dbfilename') - can't set protected config")
    );
}

#[test]
fn the_folder_is_absolute_and_relative_to_the_one_before() {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("in")).expect("a folder");
    folder.file("plain", "");
    let mut config =
        config(&format!("enable-protected-configs yes\ndir {}\ndir in", folder.0.display()));
    assert_eq!(config.dir(), folder.0.join("in"));
    assert_eq!(set(&mut config, &[("dir", "..")]), "OK dir");
    assert_eq!(config.dir(), folder.0);
    assert!(set(&mut config, &[("dir", "none")]).ends_with("- No such file or directory"));
    assert!(set(&mut config, &[("dir", "plain")]).ends_with("- Not a directory"));
}

#[test]
fn later_plugins_and_tenants_replace_those_of_the_same_name() {
    let conf = "plugin a /1\nplugin b /2\ntenant t PASSWORD x\ntenant t PASSWORD y";
    let (config, _) = load(conf, &["--plugin", "a", "/3"]).expect("valid");
    let paths: Vec<_> = config.plugins().iter().map(|plugin| plugin.path.clone()).collect();
    assert_eq!(paths, [PathBuf::from("/2"), PathBuf::from("/3")]);
    assert_eq!(config.plugins()[1].origin, Origin::Flag("--plugin".to_owned()));
    assert_eq!(config.tenants().len(), 1);
    assert_eq!(config.tenants()[0].password.as_deref(), Some(&b"y"[..]));
}

#[test]
fn users_and_renames_are_handed_on_with_their_origin() {
    let config = config("user alice on \">a b\" ~*\nrename-command FLUSHALL \"\"");
    assert_eq!(config.users()[0].rules, [&b"on"[..], b">a b", b"~*"]);
    assert_eq!(config.renames()[0].to, b"");
    assert_eq!(config.renames()[0].origin.to_string(), "redis.conf:2");
}

#[test]
fn a_share_of_memory_needs_a_limit_of_memory() {
    assert_eq!(config("maxmemory-clients 5%").maxmemory_clients_bytes(), 0);
    let config = config("maxmemory 1000\nmaxmemory-clients 5%");
    assert_eq!(config.maxmemory_clients_bytes(), 50);
}

#[test]
fn rewriting_keeps_comments_and_order() {
    let old = "# head\nport 1\n\nsave 900 1\nsave 300 10\n  slave-priority 50\nhz 10\nhz 11\n\
               rename-command FLUSHALL \"\"\nuser alice on >secret\nplugin p /p.wasm\n\
               client-output-buffer-limit normal 0 0 0\nmax-clients 5\nnonsense 1\n# tail";
    let mut config = config(&old.replace("nonsense 1", ""));
    let pairs = [
        ("save", "60 1 30 2 10 4"),
        ("hz", "12"),
        ("repl-backlog-size", "2mb"),
        ("client-output-buffer-limit", "pubsub 1mb 2kb 3"),
        ("masterauth", "x y"),
        ("timeout", "9"),
    ];
    assert!(set(&mut config, &pairs).starts_with("OK"));
    let users = ["alice on #hash".to_owned(), "default on nopass".to_owned()];
    let new = config.rewrite(old.as_bytes(), Some(&users));
    let expected = "# head\nport 1\n\nsave 60 1\nsave 30 2\nreplica-priority 50\nhz 12\n\
                    rename-command FLUSHALL \"\"\nuser alice on #hash\nplugin p /p.wasm\n\
                    client-output-buffer-limit normal 0 0 0\nmaxclients 5\nnonsense 1\n# tail\n\n\
                    # Generated by CONFIG REWRITE\n\
                    client-output-buffer-limit pubsub 1mb 2kb 3\ntimeout 9\n";
    let new = String::from_utf8(new).expect("text");
    for line in expected.lines() {
        assert!(new.lines().any(|other| other == line), "{line} is missing in {new}");
    }
    let kept = expected.split("client-output-buffer-limit pubsub").next().expect("a part");
    assert!(new.starts_with(kept), "{new}");
    for line in
        ["save 10 4", "masterauth \"x y\"", "repl-backlog-size 2mb", "user default on nopass"]
    {
        assert!(new.lines().any(|other| other == line), "{line} is missing in {new}");
    }
    // A second time changes nothing, and adds no second heading.
    let again = config.rewrite(new.as_bytes(), Some(&users));
    assert_eq!(String::from_utf8(again).expect("text"), new);
}

#[test]
fn every_value_survives_rewriting() {
    let samples: &[(&str, &[&str])] = &[
        ("bind", &["127.0.0.1", "-::1"]),
        ("save", &["1", "2", "3", "4"]),
        ("client-output-buffer-limit", &["normal", "1", "2", "3", "pubsub", "7mb", "1", "1"]),
        ("notify-keyspace-events", &["KEAmn"]),
        ("oom-score-adj-values", &["-1", "0", "1"]),
        ("latency-tracking-info-percentiles", &["1", "99.999"]),
        ("replicaof", &["host", "1"]),
        ("shutdown-on-sigint", &["save", "now"]),
        ("maxmemory-clients", &["7%"]),
        ("unixsocketperm", &["700"]),
        ("requirepass", &["a \"quoted\" \\ word\n"]),
        ("dir", &["/"]),
        ("shards", &["2"]),
        ("proto-max-bulk-len", &["1048577"]),
    ];
    let mut args = Vec::new();
    for (name, words) in samples {
        args.push(format!("--{name}"));
        args.extend(words.iter().map(|&word| word.to_owned()));
    }
    let (config, _) = Config::load(None, &args, &no_env).expect("valid");
    let written = String::from_utf8(config.rewrite(b"", None)).expect("text");
    let (read, _) = load(&written, &[]).expect("what is written is valid");
    assert_eq!(read.values, config.values, "{written}");
    for (name, _) in samples {
        let at = table::find(name.as_bytes()).expect("known");
        assert_ne!(read.values[at], read.defaults[at], "{name}: the sample is the default");
    }
    assert_eq!(Config::default().rewrite(b"", None), b"");
}

#[test]
fn emptied_lists_survive_rewriting() {
    let old = "bind 1.1.1.1\nsave 1 1\nlatency-tracking-info-percentiles 1\nreplicaof a 1\n";
    let mut config = config(old);
    config.set_primary(None);
    let pairs = [("bind", ""), ("save", ""), ("latency-tracking-info-percentiles", "")];
    assert!(set(&mut config, &pairs).starts_with("OK"));
    let new = String::from_utf8(config.rewrite(old.as_bytes(), None)).expect("text");
    assert_eq!(new, "bind \"\"\nsave \"\"\nlatency-tracking-info-percentiles \"\"\n");
    assert_eq!(load(&new, &[]).expect("valid").0.values, config.values);
}

#[test]
fn the_file_is_replaced_in_one_step() {
    let folder = Folder::new();
    let path = folder.file("redis.conf", "# mine\nport 1\n");
    let (mut config, _) = load_file(&path).expect("valid");
    set(&mut config, &[("port", "2")]);
    config.rewrite_file(None).expect("written");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "# mine\nport 2\n");
    let left: Vec<_> = fs::read_dir(&folder.0).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing is left beside it");
    let without = Config::default().rewrite_file(None).expect_err("no file").reply();
    assert_eq!(without, "ERR The server is running without a config file");
}

#[test]
fn hostile_text_is_refused_without_panic() {
    // A generator of its own: the same inputs in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below).unwrap_or(0)
    };
    let pieces = [
        "\"",
        "'",
        "\\x4",
        "\\",
        " ",
        "\n",
        "\0",
        "-1",
        "18446744073709551616",
        "5%",
        "1gb",
        "no",
        "\u{fffd}",
        "99.9",
        "*",
        "[",
        "save",
        "{",
        "A",
        "normal",
        "/",
    ];
    for _ in 0..2_000 {
        let name = TABLE[random(TABLE.len() as u64)].name;
        if matches!(name, "include" | "dir") {
            continue;
        }
        let mut line = format!("{name} ");
        for _ in 0..random(8) {
            line.push_str(pieces[random(pieces.len() as u64)]);
        }
        if let Ok((config, _)) = load(&line, &[]) {
            config.read_all();
            let written = config.rewrite(line.as_bytes(), None);
            let again = Source::Text { name: String::new(), text: written };
            let (read, _) = Config::load(Some(again), &[], &no_env).expect("rewritten is valid");
            assert_eq!(read.values, config.values, "{line:?}");
        }
        let value = line.split_once(' ').map_or("", |(_, value)| value);
        let _ = Config::default().set(&[(name, value)], Caller::Local);
        let _ = Config::default().get(&[value]);
    }
}

#[test]
fn reasons_are_phrases() {
    for directive in TABLE {
        let (Role::Ignored(why) | Role::DefaultOnly(why) | Role::Refused(why)) = directive.role
        else {
            continue;
        };
        assert!(!why.ends_with('.'), "{}: the sentence around it ends it", directive.name);
    }
}
