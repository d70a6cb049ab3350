//! The command line as people use it: the built binary, its output, its exit codes, its sentences.

use std::time::Duration;

use serde_json::Value;

use crate::served::{Served, free_port, is_here, reef, run, sentence, succeeded};

fn json(output: std::process::Output) -> Value {
    serde_json::from_str(&succeeded(output)).expect("JSON")
}

fn dbsize(served: &Served) -> u64 {
    redis::cmd("DBSIZE").query(&mut served.connect()).expect("DBSIZE")
}

#[test]
fn transactions_are_kept_by_hand() {
    let served = Served::start(&[]);
    let create = ["tx", "create", "relayer-1", "42", "0x1234abcd", "1000000000000000000"];
    let id = succeeded(served.run(&create)).trim_end().to_owned();
    assert_eq!(id.len(), 26, "{id}");

    let shown = succeeded(served.run(&["tx", "get", &id]));
    assert!(shown.starts_with(&format!("id       {id}\nrelayer  relayer-1\nnonce    42\n")));
    let record = json(served.run(&["tx", "get-by-nonce", "relayer-1", "42", "--json"]));
    assert_eq!((&record["id"], &record["nonce"]), (&id.as_str().into(), &42.into()));

    let update =
        ["tx", "update", &id, "submitted", "--hash", "0xbeef", "--if", "pending", "--json"];
    let record = json(served.run(&update));
    assert_eq!((&record["status"], &record["hash"]), (&"submitted".into(), &"0xbeef".into()));
    let list = ["tx", "list-by-status", "relayer-1", "submitted"];
    let page = json(served.run(&[&list[..], &["--json"]].concat()));
    assert_eq!((&page["total"], &page["cursor"]), (&1.into(), &"0".into()));
    assert_eq!(page["transactions"], Value::Array(vec![record]));
    let page = succeeded(served.run(&list));
    assert!(page.ends_with("\n1 transaction of relayer 'relayer-1' submitted\n"), "{page}");

    let stats = json(served.run(&["tx", "stats", "--json"]));
    assert_eq!((&stats["relayers"], &stats["submitted"]), (&1.into(), &1.into()));
    let verified = succeeded(served.run(&["tx", "verify"]));
    assert_eq!(verified, "every index agrees with every transaction\n");
    let deleted = json(served.run(&["tx", "delete", &id, "--json"]));
    assert_eq!(
        (&deleted["deleted"], deleted["failures"].as_array().map(Vec::len)),
        (&1.into(), Some(0))
    );
    assert_eq!(dbsize(&served), 0);
}

#[test]
fn transactions_are_listed_by_time_and_repaired() {
    let served = Served::start(&["--plugin", "tx-repo", "bundled", "by-time", "yes"]);
    let create = ["tx", "create", "r", "next", "0x1", "1", "--token"];
    let mut ids = Vec::new();
    for token in ["a", "b", "b", "c"] {
        ids.push(succeeded(served.run(&[&create[..], &[token]].concat())).trim_end().to_owned());
    }
    assert_eq!(ids[1], ids[2], "the same request");
    let list = |order: &str| {
        let page = json(served.run(&["tx", "list-by-status", "r", "pending", order, "--json"]));
        let page = page["transactions"].as_array().expect("a page").clone();
        page.iter().map(|tx| tx["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("--oldest"), [&*ids[0], &*ids[1], &*ids[3]]);
    assert_eq!(list("--newest"), [&*ids[3], &*ids[1], &*ids[0]]);

    redis::cmd("DEL").arg(format!("tx:{}", ids[0])).exec(&mut served.connect()).expect("DEL");
    let faults = sentence(&served.run(&["tx", "verify"]));
    assert!(faults.ends_with("faults found"), "{faults}");
    // The id and its nonce.
    assert_eq!(succeeded(served.run(&["tx", "repair"])), "2 entries taken back\n");
    succeeded(served.run(&["tx", "verify"]));
    assert_eq!(list("--newest"), [&*ids[3], &*ids[1]]);
}

#[test]
fn the_layout_for_clusters_tags_every_key_with_its_relayer() {
    let served = Served::start(&["--plugin", "tx-repo", "bundled", "layout", "tagged"]);
    let mut connection = served.connect();
    let mut ids = Vec::new();
    for relayer in ["r", "s.t"] {
        let create =
            ["tx", "create", relayer, "next", "0x1", "1", "--token", "once", "--ttl", "100"];
        let id = succeeded(served.run(&create)).trim_end().to_owned();
        assert!(id.starts_with(&format!("{relayer}.")), "{id}");
        assert_eq!(succeeded(served.run(&create)).trim_end(), id);
        succeeded(served.run(&["tx", "update", &id, "confirmed", "--hash", "0xa"]));
        ids.push(id);
    }
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("KEYS");
    for key in keys.iter().filter(|key| *key != "relayers") {
        assert!(key.contains("{r}") || key.contains("{s.t}"), "{key}");
    }
    succeeded(served.run(&["tx", "verify"]));
    let refused = sentence(&served.run(&["tx", "delete", &ids[0], &ids[1]]));
    assert!(refused.contains("Keys in request don't hash to the same slot"), "{refused}");
    for id in &ids {
        succeeded(served.run(&["tx", "delete", id]));
    }
    let listed: u64 = redis::cmd("EXISTS").arg("relayers").query(&mut connection).expect("EXISTS");
    assert_eq!(listed, 0, "the list follows");
}

#[test]
fn options_of_create_reach_the_record_and_pages_follow_the_cursor() {
    let served = Served::start(&[]);
    for nonce in 0..5 {
        let nonce = nonce.to_string();
        let create = ["tx", "create", "r", &nonce, "0x1", "1", "--ttl", "100", "--gas-price", "7"];
        let more = ["--gas-limit", "21000", "--data", "0xdead", "--id", &nonce];
        succeeded(served.run(&[&create[..], &more].concat()));
    }
    let record = json(served.run(&["tx", "get", "3", "--json"]));
    assert_eq!((&record["gas_price"], &record["gas_limit"]), (&"7".into(), &21000.into()));
    assert!(record["expires_at"].as_u64() > record["created_at"].as_u64());

    let mut ids = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let list = ["tx", "list-by-status", "r", "pending", "--limit", "2", "--json", "--cursor"];
        let page = json(served.run(&[&list[..], &[&cursor]].concat()));
        let transactions = page["transactions"].as_array().expect("a page");
        assert!(transactions.len() <= 2);
        ids.extend(transactions.iter().map(|tx| tx["id"].as_str().expect("an id").to_owned()));
        cursor = page["cursor"].as_str().expect("a cursor").to_owned();
        if cursor == "0" {
            break;
        }
    }
    ids.sort();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
}

#[test]
fn what_cannot_be_done_is_one_sentence_and_exit_code_1() {
    let served = Served::start(&[]);
    let create = ["tx", "create", "r", "1", "0x1", "5", "--id", "a"];
    succeeded(served.run(&create));
    succeeded(served.run(&["tx", "update", "a", "confirmed"]));
    for (args, expected) in [
        (
            &["tx", "create", "r", "1", "0x1", "5"][..],
            "NONCEUSED nonce 1 of relayer 'r' is used by 'a'",
        ),
        (
            &["tx", "create", "r", "2", "0x1", "-5"],
            "an amount is a decimal integer of at most 78 digits",
        ),
        (&["tx", "get", "b"], "there is no transaction 'b'"),
        (&["tx", "get-by-nonce", "r", "2"], "no transaction of relayer 'r' uses nonce 2"),
        (&["tx", "update", "b", "sent"], "NOTX no transaction 'b'"),
        (
            &["tx", "update", "a", "sent"],
            "ILLEGALSTATUS 'a' cannot be sent: it is confirmed, which is final",
        ),
        (&["tx", "update", "a", "confirmed", "--if", "sent"], "STATUSCHANGED 'a' is confirmed"),
        (&["tx", "delete", "b", "c"], "not deleted: NOTX no transaction 'b', and 1 more"),
        (&["tx", "list-by-status", "r", "sent", "--cursor", "x"], "invalid cursor"),
    ] {
        let output = reef().args(["tx", "--url", &served.url()]).args(&args[1..]).output();
        assert_eq!(sentence(&output.expect("the binary runs")), expected, "{args:?}");
    }
    let () = redis::cmd("SADD")
        .arg("relayer:r:status:failed")
        .arg("a")
        .query(&mut served.connect())
        .expect("SADD");
    let verified = served.run(&["tx", "verify"]);
    let faults = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(faults.contains("'a'") || faults.contains("a: "), "{faults}");
    assert!(sentence(&verified).ends_with(" found"));
}

#[test]
fn the_benchmark_measures_every_way_and_leaves_nothing() {
    let served = Served::start(&[]);
    let report = json(served.run(&["tx", "benchmark", "--count", "200", "--json"]));
    check_benchmark(&report, ["plugin", "MULTI/EXEC", "individual"]);
    assert_eq!(dbsize(&served), 0);
    let table = succeeded(served.run(&["tx", "benchmark", "--count", "20"]));
    assert_eq!(table.lines().count(), 2 + 1 + 4 * 3, "{table}");
}

fn check_benchmark(report: &Value, ways: [&str; 3]) {
    let operations = report["operations"].as_array().expect("operations");
    let names: Vec<_> = operations.iter().map(|one| one["operation"].as_str()).collect();
    let expected = ["create", "status update", "bulk create 100", "bulk delete 100"];
    assert_eq!(names, expected.map(Some));
    for operation in operations {
        let figures = operation["ways"].as_array().expect("ways");
        let names: Vec<_> = figures.iter().map(|way| way["way"].as_str()).collect();
        assert_eq!(names, ways.map(Some));
        for way in figures {
            for figure in ["transactions_per_s", "p50_us", "p99_us", "times_individual"] {
                assert!(way[figure].as_f64().expect(figure) > 0.0, "{way}");
            }
            assert!(way["p99_us"].as_f64() >= way["p50_us"].as_f64());
        }
    }
}

#[test]
fn the_benchmark_runs_against_a_stock_redis_and_other_commands_say_why_they_do_not() {
    if !is_here("redis-server") {
        return;
    }
    let name = std::ffi::OsStr::new("redis-server");
    let stock = reef_transcript::RedisServer::start(name).expect("redis-server starts");
    let url = format!("redis://{}", stock.address());
    let report = json(run(&["tx", "benchmark", "--count", "50", "--json", "--url", &url]));
    check_benchmark(&report, ["function", "MULTI/EXEC", "individual"]);
    let mut connection = redis::Client::open(url.as_str())
        .and_then(|client| client.get_connection())
        .expect("it is there");
    let left: (u64, Vec<redis::Value>) = redis::pipe()
        .cmd("DBSIZE")
        .cmd("FUNCTION")
        .arg("LIST")
        .query(&mut connection)
        .expect("replies");
    assert_eq!((left.0, left.1.len()), (0, 0));

    let lacks = |what: &str| format!("the server at {} has no {what}", stock.address());
    let missing = lacks("TX.* commands: the plugin tx-repo is not loaded there");
    for args in [&["tx", "get", "a"][..], &["tx", "race-test"], &["tx", "stats"]] {
        assert_eq!(sentence(&run(&[args, &["--url", &url]].concat())), missing);
    }
    let missing = lacks("PLUGIN command: it is no Reef server");
    assert_eq!(sentence(&run(&["plugin", "list", "--url", &url])), missing);
}

#[test]
fn the_race_test_tells_atomic_from_not_atomic() {
    let served = Served::start(&[]);
    let args = ["tx", "race-test", "--concurrent-updates", "20", "--rounds", "10", "--json"];
    let report = json(served.run(&args));
    let ways = report["ways"].as_array().expect("ways");
    let broken: Vec<_> = ways.iter().map(|way| way["broken"].as_u64().expect("a count")).collect();
    assert!(matches!(broken.as_slice(), [0, 0, 1..=10]), "{report:#}");
    assert_eq!(dbsize(&served), 0);
    let table = succeeded(served.run(&["tx", "race-test", "--rounds", "5"]));
    assert_eq!(table.matches('✓').count(), 3, "{table}");
}

#[test]
fn the_demonstration_of_transactions_holds() {
    let shown = succeeded(run(&["demo", "transactions"]));
    assert!(!shown.contains('✗') && shown.ends_with(", all held\n"), "{shown}");
    assert!(!shown.contains('\x1b'), "colours are for terminals");
    for promise in ["200 connections", "none of the hundred", "all of it is undone", "can fail"] {
        assert!(shown.contains(promise), "{promise}:\n{shown}");
    }
}

/// A demonstration as JSON holds, and makes so many checks of these promises at least.
fn holds(what: &str, checks_min: u64, promises: &[&str]) {
    let report = json(run(&["demo", what, "--json"]));
    let checks = report["checks"].as_u64().expect("a count");
    assert!(checks >= checks_min && report["failed"] == 0, "{report:#}");
    let text = report.to_string();
    for promise in promises {
        assert!(text.contains(promise), "{promise}:\n{report:#}");
    }
}

#[test]
fn the_demonstration_of_replication_holds() {
    let promises = ["only what it had missed", "are missing", "comes back, as a replica"];
    holds("replication", 22, &promises);
}

#[test]
fn the_demonstration_of_the_rendezvous_holds() {
    let promises = ["dialer first", "listener first", "had expired", "no next run", "999 of 999"];
    holds("rendezvous", 13, &promises);
}

#[test]
fn runs_are_opened_filled_waited_for_and_dropped() {
    let served = Served::start(&[]);
    assert_eq!(
        sentence(&served.run(&["rendezvous", "find", "r", "ns"])),
        "NORUN r is not open, or not any more: RDV.OPEN r TTL seconds"
    );
    assert_eq!(succeeded(served.run(&["rendezvous", "list"])), "no run is open\n");
    let opened = succeeded(served.run(&["rendezvous", "open", "r", "--ttl", "60"]));
    assert_eq!(opened, "run r opened for 60.0 s\n");
    let failed = sentence(&served.run(&["rendezvous", "wait", "r", "ns", "--seconds", "1"]));
    assert!(failed.starts_with("NOLISTENER r ns waited=1"), "{failed}");
    for value in ["a", "b"] {
        succeeded(served.run(&["rendezvous", "register", "r", "ns", value, "--id", value]));
    }
    let waited = succeeded(served.run(&["rendezvous", "wait", "r", "ns", "--count", "2"]));
    assert_eq!(waited, "a\nb\n");
    let found = json(served.run(&["rendezvous", "find", "r", "ns", "--json"]));
    assert_eq!(found[1]["value"], "b", "{found:#}");
    let list = succeeded(served.run(&["rendezvous", "list"]));
    assert!(list.lines().count() == 2 && list.contains('2'), "{list}");
    assert_eq!(succeeded(served.run(&["rendezvous", "drop", "r"])), "run r dropped\n");
    assert_eq!(sentence(&served.run(&["rendezvous", "drop", "r"])), "the run r is not open");
}

#[test]
fn the_demonstration_of_tenants_holds() {
    holds("tenants", 11, &["nobody else's", "'memory'", "'cpu-ms-per-s'", "kill -9"]);
}

#[test]
fn the_demonstration_of_fault_tolerance_holds() {
    let promises = ["BLPOP", "nothing by half", "their memory is free", "refused by name"];
    holds("fault-tolerance", 25, &promises);
}

#[test]
fn plugins_are_listed_unloaded_and_loaded() {
    let served = Served::start(&[]);
    let plugins = json(served.run(&["plugin", "list", "--json"]));
    let tx_repo = plugins["plugins"].as_array().expect("plugins").iter();
    let tx_repo = tx_repo.filter(|plugin| plugin["name"] == "tx-repo").count();
    assert_eq!(tx_repo, 1, "{plugins}");
    let info = json(served.run(&["plugin", "info", "tx-repo", "--json"]));
    assert!(info["commands"].as_array().expect("commands").contains(&"TX.CREATE".into()), "{info}");
    succeeded(served.run(&["tx", "create", "r", "1", "0x1", "5"]));
    let stats = json(served.run(&["plugin", "stats", "tx-repo", "--json"]));
    assert_eq!(stats["commands"]["TX.CREATE"]["calls"], 1, "{stats:#}");
    let table = succeeded(served.run(&["plugin", "stats", "tx-repo"]));
    assert!(table.lines().any(|line| line.starts_with("TX.CREATE")), "{table}");
    succeeded(served.run(&["plugin", "log", "tx-repo"]));

    assert_eq!(
        succeeded(served.run(&["plugin", "unload", "tx-repo"])),
        "plugin tx-repo unloaded\n"
    );
    let missing = sentence(&served.run(&["tx", "get", "a"]));
    assert!(missing.ends_with("the plugin tx-repo is not loaded there"), "{missing}");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tx.wasm");
    let component = reef_bundled::all().iter().find(|plugin| plugin.name == "tx-repo");
    std::fs::write(&file, component.expect("it is bundled").component).expect("written");
    let file = file.to_str().expect("text");
    let mut load = vec!["plugin", "load", "tx", file, "--limit", "cpu-ms=500", "--config", "a=b"];
    let wants = info["wants"].as_array().expect("words");
    load.extend(wants.iter().flat_map(|word| ["--grant", word.as_str().expect("a word")]));
    assert_eq!(succeeded(served.run(&load)), "plugin tx loaded\n");
    let info = json(served.run(&["plugin", "info", "tx", "--json"]));
    assert_eq!((&info["config"]["a"], &info["limit-cpu-ms"]), (&"b".into(), &500.into()));
    assert_eq!(info["grants"].as_array().map(Vec::len), Some(wants.len()));
    succeeded(served.run(&["tx", "get-by-nonce", "r", "1"]));
    assert_eq!(succeeded(served.run(&["plugin", "replace", "tx", file])), "plugin tx replaced\n");
    succeeded(served.run(&["tx", "get-by-nonce", "r", "1"]));

    let config = folder.path().join("reef.conf");
    std::fs::write(&config, "port 1").expect("written");
    let config = config.to_str().expect("text");
    let is_none = format!("{config} is no WebAssembly component");
    assert_eq!(sentence(&served.run(&["plugin", "load", "x", config])), is_none);
    let unreadable = sentence(&served.run(&["plugin", "load", "x", "/nowhere.wasm"]));
    assert!(unreadable.starts_with("cannot read /nowhere.wasm: "), "{unreadable}");
    let twice = sentence(&served.run(&["plugin", "load", "tx", file]));
    assert!(twice.contains("tx"), "{twice}");
}

#[test]
fn a_server_that_is_not_there_is_one_sentence() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let expected = format!("no server can be reached at 127.0.0.1:{port}: connection refused");
    for args in
        [&["tx", "get", "a"][..], &["tx", "benchmark"], &["tx", "race-test"], &["plugin", "list"]]
    {
        assert_eq!(sentence(&run(&[args, &["--url", &url]].concat())), expected, "{args:?}");
    }
    let bad = sentence(&run(&["tx", "stats", "--url", "localhost"]));
    assert_eq!(bad, "the URL cannot be used: it must begin with redis:// or unix://");
}

#[test]
fn passwords_open_and_never_show() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let process = reef()
        .args(["serve", "--port", &port.to_string(), "--requirepass", "hunter2", "--dir"])
        .arg(folder.path())
        .stdout(std::process::Stdio::null())
        .spawn();
    let mut process = process.expect("the binary runs");
    let right = format!("redis://:hunter2@127.0.0.1:{port}");
    let wrong = format!("redis://:hunter3@127.0.0.1:{port}");
    let none = format!("redis://127.0.0.1:{port}");
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(std::time::Instant::now() < deadline, "it does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    let answers = [right, wrong, none].map(|url| run(&["tx", "stats", "--url", &url]));
    process.kill().and_then(|()| process.wait()).expect("it ends");
    let [right, wrong, none] = answers;
    succeeded(right);
    let wrong = sentence(&wrong);
    assert!(wrong.contains("does not let us in") && !wrong.contains("hunter"), "{wrong}");
    assert_eq!(sentence(&none), "NOAUTH Authentication required.");
}

#[test]
fn a_server_that_cannot_start_says_why_in_one_sentence() {
    let served = Served::start(&[]);
    let port = served.port().to_string();
    let taken = sentence(&run(&["serve", "--bind", "127.0.0.1", "--port", &port]));
    assert!(taken.contains(&port) && taken.contains("another server is running"), "{taken}");

    let unknown = sentence(&run(&["serve", "--apendonly", "yes"]));
    assert!(unknown.contains("apendonly") && unknown.contains("appendonly"), "{unknown}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("reef.conf");
    std::fs::write(&file, "port 0\nmaxmemmory 1gb\n").expect("written");
    let file = file.to_str().expect("text");
    let unknown = sentence(&run(&["serve", file]));
    assert!(unknown.contains(&format!("{file}:2")), "{unknown}");
    assert!(unknown.contains("maxmemory"), "{unknown}");
    let missing = sentence(&run(&["serve", "/nowhere/reef.conf"]));
    assert!(missing.contains("/nowhere/reef.conf"), "{missing}");
    let nowhere = sentence(&run(&["serve", "--port", "0", "--dir", "/nowhere"]));
    assert_eq!(nowhere, "--dir: No such file or directory");
    let plugin = sentence(&run(&["serve", "--port", "0", "--plugin", "x", "/nowhere.wasm"]));
    assert!(plugin.contains("/nowhere.wasm"), "{plugin}");
}

#[test]
fn sigterm_stops_the_server_in_good_order() {
    let served = Served::start(&[]);
    let mut idle = served.connect();
    let () = redis::cmd("SET").arg("a").arg(1).query(&mut idle).expect("SET");
    let port = served.port();
    let (status, log) = served.terminate(Duration::from_secs(10));
    assert!(status.success(), "{status:?}\n{log}");
    assert!(log.contains("Ready to accept connections") && log.contains("bye"), "{log}");
    assert!(redis::cmd("GET").arg("a").query::<String>(&mut idle).is_err(), "the client is told");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
