//! Data over restarts: what is kept, in whose formats, and what happens when the disk refuses.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Connection, Value};

use crate::served::{Served, free_port, is_here};

fn run(connection: &mut Connection, line: &str) -> Value {
    try_run(connection, line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn try_run(connection: &mut Connection, line: &str) -> redis::RedisResult<Value> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query(connection)
}

fn text(connection: &mut Connection, line: &str) -> String {
    redis::from_redis_value(run(connection, line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Some of everything.
fn fill(connection: &mut Connection) {
    for line in [
        "SET text a",
        "SET number 12345",
        "SET short v PX 50",
        "SET long v EX 1000",
        "RPUSH list a b c 1 2 3",
        "SADD ints 1 2 3",
        "SADD set a b c",
        "HSET hash f v g w",
        "ZADD zset 1 a 2.5 b inf c",
        "XADD stream 1-1 f v",
        "XADD stream 2-1 f w",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
        "PFADD hll a b c",
        "SETRANGE range 5 x",
        "SELECT 5",
        "SET elsewhere here",
        "SELECT 0",
    ] {
        run(connection, line);
    }
    for index in 0..500 {
        run(connection, &format!("RPUSH big {index}"));
        run(connection, &format!("ZADD bigz {index} m{index}"));
    }
    std::thread::sleep(Duration::from_millis(60));
}

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

#[test]
fn what_is_saved_comes_back_with_every_restart() {
    for args in [["--appendonly", "yes"], ["--appendonly", "no"]] {
        let folder = tempfile::tempdir().expect("a folder");
        let all = [&args[..], &DEBUG, &["--io-threads", "2"]].concat();
        let server = Served::start_in(folder.path(), &all);
        let mut connection = server.connect();
        fill(&mut connection);
        let digest = text(&mut connection, "DEBUG DIGEST");
        run(&mut connection, "DEBUG RELOAD");
        assert_eq!(text(&mut connection, "DEBUG DIGEST"), digest);
        let (status, log) = server.terminate(Duration::from_secs(20));
        assert!(status.success(), "{log}");
        let server = Served::start_in(folder.path(), &all);
        assert_eq!(text(&mut server.connect(), "DEBUG DIGEST"), digest, "{args:?}");
        assert_eq!(server.info("loading"), "0");
    }
}

/// A stock server over the same folder, for the length of `act`.
fn with_stock<R>(folder: &Path, args: &[&str], act: impl FnOnce(&mut Connection) -> R) -> R {
    let port = free_port();
    let mut process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--enable-debug-command", "yes", "--dir"])
        .arg(folder)
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server runs");
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
    let mut connection = None;
    wait_until("redis-server answers", || {
        connection = client.get_connection().ok();
        connection.as_mut().is_some_and(|c| try_run(c, "PING").is_ok())
    });
    let result = act(connection.as_mut().expect("a connection"));
    let _ = try_run(connection.as_mut().expect("a connection"), "SHUTDOWN NOSAVE");
    process.wait().expect("a child");
    result
}

#[test]
fn a_stock_server_reads_our_files_and_we_read_its() {
    if !is_here("redis-server") {
        return;
    }
    for (args, rewrite) in
        [(["--appendonly", "yes"], "BGREWRITEAOF"), (["--appendonly", "no"], "SAVE")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let all = [&args[..], &DEBUG].concat();
        let server = Served::start_in(folder.path(), &all);
        let mut connection = server.connect();
        fill(&mut connection);
        run(&mut connection, rewrite);
        wait_until("the log is rewritten", || server.info("aof_rewrite_in_progress") == "0");
        // Behind the base of the log; the snapshot is made once more below.
        run(&mut connection, "SET later 1");
        if rewrite == "SAVE" {
            run(&mut connection, "SAVE");
        }
        let digest = text(&mut connection, "DEBUG DIGEST");
        let (_, log) = server.terminate(Duration::from_secs(20));
        check_files(folder.path());
        let theirs = with_stock(folder.path(), &args, |stock| {
            assert_eq!(text(stock, "DEBUG DIGEST"), digest, "{log}");
            run(stock, "HSET theirs a 1");
            run(stock, rewrite);
            wait_until("theirs is rewritten", || {
                text(stock, "INFO persistence").contains("aof_rewrite_in_progress:0")
            });
            text(stock, "DEBUG DIGEST")
        });
        let server = Served::start_in(folder.path(), &all);
        assert_eq!(text(&mut server.connect(), "DEBUG DIGEST"), theirs, "{args:?}");
    }
}

/// The checkers of stock servers have nothing to say against our files.
fn check_files(folder: &Path) {
    let snapshot = folder.join("dump.rdb");
    let manifest = folder.join("appendonlydir/appendonly.aof.manifest");
    for (program, file) in [("redis-check-rdb", snapshot), ("redis-check-aof", manifest)] {
        if file.is_file() && is_here(program) {
            let output = Command::new(program).arg(&file).output().expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
fn a_torn_log_is_cut_with_a_message_and_damage_stops_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--appendonly", "yes"];
    let server = Served::start_in(folder.path(), &args);
    let mut connection = server.connect();
    (0..10).for_each(|index| drop(run(&mut connection, &format!("SET k{index} v"))));
    server.kill();
    let file = folder.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let whole = fs::read(&file).expect("the log");
    fs::write(&file, &whole[..whole.len() - 5]).expect("torn");
    let server = Served::start_in(folder.path(), &args);
    assert_eq!(run(&mut server.connect(), "DBSIZE"), Value::Int(9));
    let (_, log) = server.terminate(Duration::from_secs(20));
    assert!(log.contains("are cut off"), "{log}");
    let mut damaged = whole;
    let third = damaged.windows(3).enumerate().filter(|(_, bytes)| *bytes == b"*3\r").nth(2);
    let offset = third.expect("commands").0;
    damaged[offset] = b'!';
    fs::write(&file, &damaged).expect("damaged");
    let port = free_port().to_string();
    let mut command = crate::served::reef();
    command.args(["serve", "--port", &port, "--appendonly", "yes", "--dir"]).arg(folder.path());
    let output = command.output().expect("the binary runs");
    let sentence = crate::served::sentence(&output);
    let place = format!("appendonly.aof.1.incr.aof: damaged at byte {offset}:");
    assert!(sentence.contains(&place), "{sentence}");
    assert_eq!(fs::read(&file).expect("the log"), damaged, "nothing is changed");
}

#[test]
fn writes_are_refused_while_snapshots_fail_and_reads_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Served::start_in(folder.path(), &["--save", "3600 1000"]);
    let mut connection = server.connect();
    run(&mut connection, "SET k v");
    let obstacle = folder.path().join("dump.rdb/inside");
    fs::create_dir_all(&obstacle).expect("a folder in the way");
    // Who asks for a snapshot hears that it failed. Nobody hears it of one in the background.
    assert!(try_run(&mut connection, "SAVE").is_err());
    run(&mut connection, "SET k v");
    run(&mut connection, "BGSAVE");
    wait_until("it has failed", || {
        text(&mut connection, "INFO persistence").contains("rdb_last_bgsave_status:err")
    });
    let refused = try_run(&mut connection, "SET k w").expect_err("not kept");
    assert_eq!(refused.code(), Some("MISCONF"), "{refused}");
    assert_eq!(text(&mut connection, "GET k"), "v");
    fs::remove_dir_all(folder.path().join("dump.rdb")).expect("out of the way");
    run(&mut connection, "SAVE");
    run(&mut connection, "SET k w");
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    // A limit on the size of files stands for a full disk.
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} serve --port {port} --appendonly yes --save '' \
         --appendfsync always --auto-aof-rewrite-percentage 0 --dir {}",
        env!("CARGO_BIN_EXE_reef"),
        folder.path().display()
    );
    let mut process = Command::new("bash")
        .args(["-c", &script])
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdout(Stdio::null())
        .spawn()
        .expect("bash runs");
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
    wait_until("it answers", || {
        client.get_connection().is_ok_and(|mut c| try_run(&mut c, "PING").is_ok())
    });
    let mut acknowledged = 0;
    let mut refusal = String::new();
    let value = "v".repeat(1000);
    for index in 0..200 {
        let Ok(mut connection) = client.get_connection() else { continue };
        match try_run(&mut connection, &format!("SET k{index} {value}")) {
            Ok(_) => acknowledged += 1,
            // The first that cannot be kept is not answered, because its fate is not known.
            Err(error) if error.is_io_error() || error.is_connection_dropped() => {}
            Err(error) => refusal = error.to_string(),
        }
    }
    assert!((30..66).contains(&acknowledged), "{acknowledged} were acknowledged");
    assert!(refusal.contains("MISCONF") && refusal.contains("File too large"), "{refusal}");
    let mut connection = client.get_connection().expect("a connection");
    assert_eq!(text(&mut connection, "GET k0"), value, "reads go on");
    // A new base has room again.
    run(&mut connection, "BGREWRITEAOF");
    wait_until("service resumes", || try_run(&mut connection, "SET again 1").is_ok());
    process.kill().expect("it runs");
    process.wait().expect("a child");
    let server = Served::start_in(folder.path(), &["--appendonly", "yes"]);
    let mut connection = server.connect();
    assert_eq!(text(&mut connection, "GET again"), "1");
    let Value::Int(keys) = run(&mut connection, "DBSIZE") else { panic!("a number") };
    assert!(keys > acknowledged, "{keys} of {acknowledged}");
}

/// What PLUGIN INFO tells of the plugin's budget.
fn cpu_budget(server: &Served) -> String {
    // A replica may be loading.
    try_run(&mut server.connect(), "PLUGIN INFO tx-repo")
        .map(|info| format!("{info:?}"))
        .unwrap_or_default()
}

/// The budgets of CPU of the versions that were loaded by hand, the running one first.
fn kept_budgets(server: &Served) -> Vec<String> {
    let versions = try_run(&mut server.connect(), "PLUGIN VERSIONS tx-repo");
    let text = versions.map(|versions| format!("{versions:?}")).unwrap_or_default();
    let budgets = text.split("cpu-ms").skip(1).map(|rest| {
        let digits = rest.chars().skip_while(|c| !c.is_ascii_digit());
        digits.take_while(char::is_ascii_digit).collect::<String>()
    });
    budgets.filter(|budget| budget.starts_with('7')).collect()
}

#[test]
fn a_plugin_that_was_loaded_by_hand_is_there_after_a_restart_and_on_replicas() {
    let component = reef_bundled::all().iter().find(|plugin| plugin.name == "tx-repo");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.wasm");
    fs::write(&file, component.expect("it is bundled").component).expect("written");
    for args in [["--appendonly", "yes"], ["--appendonly", "no"]] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Served::start_in(folder.path(), &args);
        let mut connection = server.connect();
        let before = cpu_budget(&server);
        run(&mut connection, "TX.CREATE r 1 to 5");
        run(&mut connection, &format!("PLUGIN REPLACE tx-repo {} LIMIT cpu-ms 77", file.display()));
        let loaded = cpu_budget(&server);
        assert!(loaded.contains("77") && loaded != before, "{loaded}");
        // Who follows has it, in time and by a snapshot.
        let follower = Served::start(&["--replicaof", &format!("127.0.0.1 {}", server.port())]);
        wait_until("the replica has it", || cpu_budget(&follower).contains("77"));
        run(&mut connection, &format!("PLUGIN REPLACE tx-repo {} LIMIT cpu-ms 78", file.display()));
        wait_until("the replica hears of it", || cpu_budget(&follower).contains("78"));
        // What was replaced is kept there, too, and with a snapshot.
        let late = Served::start(&["--replicaof", &format!("127.0.0.1 {}", server.port())]);
        wait_until("the late replica has it", || cpu_budget(&late).contains("78"));
        for server in [&server, &follower, &late] {
            wait_until("77 is kept", || kept_budgets(server) == ["78", "77"]);
        }
        if is_here("redis-server") && args[1] == "yes" {
            with_stock(folder.path(), &["--appendonly", "yes"], |stock| {
                assert_eq!(run(stock, "EXISTS relayers"), Value::Int(1), "a stock server loads it");
            });
        }
        if args[1] == "yes" {
            server.kill();
        } else {
            server.terminate(Duration::from_secs(20));
        }
        let server = Served::start_in(folder.path(), &args);
        assert!(cpu_budget(&server).contains("78"), "{args:?}: {}", cpu_budget(&server));
        assert_eq!(kept_budgets(&server), ["78", "77"]);
        run(&mut server.connect(), "PLUGIN ROLLBACK tx-repo");
        assert_eq!(kept_budgets(&server), ["77", "78"]);
        assert_eq!(text(&mut server.connect(), "TYPE relayers"), "set");
    }
}
