//! The life of plugins on a running server: replaced under load, rolled back, watched in a folder.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::{Connection, Value};

use crate::served::Served;

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn load(connection: &mut Connection, word: &str, version: &str) -> redis::RedisResult<()> {
    let mut command = redis::cmd("PLUGIN");
    command.arg(word).arg("queue").arg(reef_bundled::hostile::QUEUE);
    command.arg("GRANT").arg("LPOP").arg("~*").arg("CONFIG").arg("version").arg(version);
    command.query(connection)
}

#[test]
fn hundreds_of_replacements_under_load_fail_no_call() {
    const CLIENTS: usize = 16;
    const REPLACEMENTS: usize = 300;
    let server = Served::start(&["--io-threads", "2"]);
    let mut operator = server.connect();
    load(&mut operator, "LOAD", "0").expect("it loads");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (mut connection, stop) = (server.connect(), &stop);
                scope.spawn(move || {
                    let mut last = 0;
                    let mut seen = BTreeSet::new();
                    while !stop.load(Ordering::SeqCst) {
                        let mut command = redis::cmd("QUEUE.SETTING");
                        let version: usize = command
                            .arg("version")
                            .query(&mut connection)
                            .expect("no call fails, none is answered by half a version");
                        assert!(version >= last, "{version} after {last}");
                        last = version;
                        seen.insert(version);
                    }
                    seen.len()
                })
            })
            .collect();
        for version in 1..=REPLACEMENTS {
            load(&mut operator, "REPLACE", &version.to_string()).expect("it is replaced");
        }
        stop.store(true, Ordering::SeqCst);
        let seen: usize = clients.into_iter().map(|client| client.join().expect("no error")).sum();
        assert!(seen > CLIENTS * 5, "{seen} versions answered");
    });
    let versions: Vec<Value> =
        redis::cmd("PLUGIN").arg("VERSIONS").arg("queue").query(&mut operator).expect("versions");
    assert_eq!(versions.len(), 5);
    let () = redis::cmd("PLUGIN").arg("ROLLBACK").arg("queue").query(&mut operator).expect("back");
    let version: usize =
        redis::cmd("QUEUE.SETTING").arg("version").query(&mut operator).expect("a version");
    assert_eq!(version, REPLACEMENTS - 1);
}

#[test]
fn a_folder_of_plugins_is_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.wasm");
    std::fs::write(folder.path().join("README"), "no component").expect("written");
    std::fs::write(&file, reef_bundled::hostile::NOOP).expect("written");
    let server = Served::start(&["--plugin-dir", folder.path().to_str().expect("text")]);
    let mut connection = server.connect();
    let mut answers = |words: &[&str]| {
        let reply = redis::cmd(words[0]).arg(&words[1..]).query::<Value>(&mut connection);
        reply.is_ok()
    };
    assert!(answers(&["NOOP.CALL"]), "it is there from the start");
    std::fs::write(&file, reef_bundled::hostile::QUEUE).expect("written");
    wait_until("it is replaced", || answers(&["QUEUE.SETTING", "x"]));
    assert!(!answers(&["NOOP.CALL"]));
    std::fs::write(&file, reef_bundled::hostile::DESCRIBE_TRAPS).expect("written");
    std::fs::write(folder.path().join("second.wasm"), reef_bundled::hostile::NOOP)
        .expect("written");
    wait_until("the second is loaded", || answers(&["NOOP.CALL"]));
    assert!(answers(&["QUEUE.SETTING", "x"]), "a broken one leaves the old one");
    std::fs::remove_file(&file).expect("removed");
    wait_until("it is unloaded", || !answers(&["QUEUE.SETTING", "x"]));
    assert!(answers(&["NOOP.CALL"]));
    let (status, log) = server.terminate(Duration::from_secs(20));
    assert!(status.success(), "{log}");
    assert!(log.contains("the one before it stays: ERR describe failed"), "{log}");
}
