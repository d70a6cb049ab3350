//! What is kept on disk and sent to replicas, as the directives want it: a log whose base is commands,
//! snapshots that somebody asks for and that fail, FLUSHALL, snapshots that wait for more replicas.

mod client;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use std::sync::Arc;

use client::Client;
use reef_engine::error::Error;
use reef_engine::settings::Settings;
use reef_server::{Configuration, Options, PersistenceOptions, ReplicationOptions, Server, Store};

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("reef-keeping-{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a folder can be made");
        Self(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the folder can be removed");
    }
}

fn serve(persistence: PersistenceOptions, replication: ReplicationOptions) -> Server {
    let options =
        Options { port_any: true, workers: 2, persistence, replication, ..Options::default() };
    let store = Store::new(1, 8, Settings { debug_commands: true, ..Settings::default() });
    let mut server = Server::start(store, options, None, None, 1).expect("the server starts");
    server.load().expect("the data is loaded");
    server
}

fn kept(dir: &Path) -> PersistenceOptions {
    PersistenceOptions { dir: dir.to_path_buf(), ..PersistenceOptions::default() }
}

fn alone() -> ReplicationOptions {
    ReplicationOptions::default()
}

/// The line that a command is answered by, without its end.
fn line(client: &mut Client, line: &str) -> String {
    client.send(line);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut client.0, &mut byte).expect("the server answers");
        answer.push(byte[0]);
    }
    String::from_utf8_lossy(&answer).trim_end().to_owned()
}

/// The bulk string that a command is answered by.
fn text(client: &mut Client, command: &str) -> String {
    let head = line(client, command);
    let length = head.trim_start_matches('$').parse::<usize>().expect("a bulk");
    let mut text = vec![0; length + 2];
    std::io::Read::read_exact(&mut client.0, &mut text).expect("the server answers");
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

/// Asks until the answer has a part.
fn wait_for(client: &mut Client, line: &str, part: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = text(client, line);
        if answer.contains(part) {
            return;
        }
        assert!(Instant::now() < deadline, "no {part} in {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_log_whose_base_is_commands_holds_what_there_was() {
    let folder = Folder::new("commands");
    let options = || PersistenceOptions {
        append_only: true,
        base_is_snapshot: false,
        tells_times: true,
        ..kept(&folder.0)
    };
    let server = serve(options(), alone());
    let mut client = Client::new(&server);
    client.ask(
        "SET a 1\nRPUSH l x y\nHSET d:1 t hello\nSELECT 2\nSADD s m\n",
        "+OK\n:2\n:1\n+OK\n:1\n",
    );
    client.ask("SELECT 0\nBGREWRITEAOF\n", "+OK\n+Background append only file rewriting started\n");
    wait_for(&mut client, "INFO persistence\n", "aof_rewrite_in_progress:0");
    let base = folder.0.join("appendonlydir/appendonly.aof.2.base.aof");
    let base = std::fs::read_to_string(base).expect("the base is text");
    assert!(base.starts_with("#TS:"), "{base}");
    assert!(base.contains("*4\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$1\r\nx\r\n$1\r\ny\r\n"), "{base}");
    // What is no key stands in front of them.
    client.ask("FT.CREATE i PREFIX 1 d: SCHEMA t TEXT\n", "+OK\n");
    client.ask("BGREWRITEAOF\n", "+Background append only file rewriting started\n");
    wait_for(&mut client, "INFO persistence\n", "aof_rewrite_in_progress:0");
    client.ask("SET b 2\n", "+OK\n");
    let digest = line(&mut client, "DEBUG DIGEST\n");
    drop(server);
    let server = serve(options(), alone());
    let mut client = Client::new(&server);
    client.ask("FT.SEARCH i hello NOCONTENT\n", "*2\n:1\n$3\nd:1\n");
    client.ask("GET b\nSELECT 2\nSMEMBERS s\n", "$1\n2\n+OK\n*1\n$1\nm\n");
    assert_eq!(line(&mut client, "DEBUG DIGEST\n"), digest);
}

#[test]
fn a_command_that_cannot_be_run_is_damage() {
    for (words, reason) in [
        ("*1\r\n$3\r\nBLA\r\n", "Unknown command 'BLA' reading the append only file"),
        ("*1\r\n$3\r\nGET\r\n", "wrong number of arguments for 'get' command"),
        ("*2\r\n$6\r\nCLIENT\r\n$3\r\nBLA\r\n", "unknown subcommand 'BLA'"),
    ] {
        let folder = Folder::new("damage");
        let logs = folder.0.join("appendonlydir");
        std::fs::create_dir_all(&logs).expect("a folder can be made");
        let manifest = "file appendonly.aof.1.incr.aof seq 1 type i\n";
        std::fs::write(logs.join("appendonly.aof.manifest"), manifest).expect("it is written");
        std::fs::write(logs.join("appendonly.aof.1.incr.aof"), words).expect("it is written");
        let persistence = PersistenceOptions { append_only: true, ..kept(&folder.0) };
        let options = Options { port_any: true, persistence, ..Options::default() };
        let store = Store::new(1, 8, Settings::default());
        let mut server = Server::start(store, options, None, None, 1).expect("the server starts");
        let error = server.load().expect_err("the log is damaged").to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn only_a_snapshot_that_nobody_waits_for_stops_writes_when_it_fails() {
    let folder = Folder::new("failing");
    let options = PersistenceOptions { save_points: vec![(3600, 1)], ..kept(&folder.0) };
    let server = serve(options, alone());
    let mut client = Client::new(&server);
    let snapshot = folder.0.join("dump.rdb");
    std::fs::create_dir(&snapshot).expect("a folder stands in the way");
    client.ask("SET a 1\n", "+OK\n");
    assert!(line(&mut client, "SAVE\n").starts_with("-ERR"));
    client.ask("SET a 2\nSHUTDOWN\n", "+OK\n-ERR Errors trying to SHUTDOWN. Check logs.\n");
    client.ask("SET a 3\n", "+OK\n");
    assert!(text(&mut client, "INFO persistence\n").contains("rdb_last_bgsave_status:ok"));
    client.ask("BGSAVE\n", "+Background saving started\n");
    wait_for(&mut client, "INFO persistence\n", "rdb_last_bgsave_status:err");
    client.ask("GET a\n", "$1\n3\n");
    client.send("SET a 4\n");
    client.expect("-MISCONF ");
    std::fs::remove_dir(&snapshot).expect("it goes");
    let mut client = Client::new(&server);
    client.ask("SAVE\nSET a 4\n", "+OK\n+OK\n");
}

#[test]
fn what_was_flushed_does_not_come_back_by_a_restart() {
    let folder = Folder::new("flushed");
    let options = || PersistenceOptions { save_points: vec![(3600, 1)], ..kept(&folder.0) };
    let server = serve(options(), alone());
    let mut client = Client::new(&server);
    client.ask("SET a 1\nSAVE\nFLUSHALL\n", "+OK\n+OK\n+OK\n");
    // That it is saved is in nobody's way.
    client.ask("FLUSHALL\nSAVE\nFLUSHALL\n", "+OK\n+OK\n+OK\n");
    client.ask("BGSAVE\n", "+Background saving started\n");
    wait_for(&mut client, "INFO persistence\n", "rdb_bgsave_in_progress:0\r\n");
    client.ask("SET a 1\nSAVE\nFLUSHALL\n", "+OK\n+OK\n+OK\n");
    client.send("SHUTDOWN NOSAVE\n");
    server.join();
    let server = serve(options(), alone());
    Client::new(&server).ask("DBSIZE\n", ":0\n");
}

#[test]
fn a_snapshot_waits_for_more_replicas() {
    for (delay_s, most, least_s) in [(2, 0, 2), (60, 2, 0)] {
        let folders = ["primary", "one", "two"].map(|name| Folder::new(&format!("{name}{most}")));
        let replication = ReplicationOptions {
            synchronisation_delay_s: delay_s,
            synchronised_max: most,
            ..alone()
        };
        let primary = serve(kept(&folders[0].0), replication);
        let mut writer = Client::new(&primary);
        writer.ask("SET a 1\n", "+OK\n");
        let begun = Instant::now();
        let replicas = [&folders[1], &folders[2]].map(|folder| {
            let replica = serve(kept(&folder.0), alone());
            let line = format!("REPLICAOF 127.0.0.1 {}\n", primary.port());
            Client::new(&replica).ask(&line, "+OK\n");
            replica
        });
        wait_for(&mut writer, "INFO replication\n", "connected_slaves:2");
        if most == 0 {
            assert!(text(&mut writer, "INFO replication\n").contains("state=wait_bgsave"));
        }
        for replica in &replicas {
            wait_for(&mut Client::new(replica), "INFO replication\n", "master_link_status:up");
        }
        assert!(begun.elapsed() >= Duration::from_secs(least_s), "{:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        assert!(text(&mut writer, "INFO stats\n").contains("sync_full:2"));
    }
}

/// A configuration in which whatever is set turns the log off.
struct WithoutLog(Options);

impl Configuration for WithoutLog {
    fn get(&self, _: &[&[u8]], _: &mut dyn FnMut(&str, &str)) {}

    fn set(
        &self,
        _: &[(&[u8], &[u8])],
        apply: &mut dyn FnMut(Settings, Options) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut options = self.0.clone();
        options.persistence.append_only = false;
        apply(Settings::default(), options)
    }

    fn note_primary(&self, _: Option<&(String, u16)>) {}

    fn rewrite(&self, _: &[String]) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn who_waits_for_the_log_hears_that_there_is_none_any_more() {
    let folder = Folder::new("turned-off");
    let fsync = reef_server::Fsync::No;
    let persistence = PersistenceOptions { append_only: true, fsync, ..kept(&folder.0) };
    let options = Options { port_any: true, workers: 2, persistence, ..Options::default() };
    let store = Store::new(1, 8, Settings::default());
    let configuration = Arc::new(WithoutLog(options.clone()));
    let started = Server::start(store, options, None, Some(configuration), 1);
    let mut server = started.expect("the server starts");
    server.load().expect("the data is loaded");
    let (mut waiting, mut other) = (Client::new(&server), Client::new(&server));
    waiting.ask("SET k v\n", "+OK\n");
    waiting.send("WAITAOF 1 0 0\n");
    wait_for(&mut other, "INFO clients\n", "blocked_clients:1\r\n");
    other.ask("CONFIG SET appendonly no\n", "+OK\n");
    let error = "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\n";
    waiting.expect(error);
    waiting.ask("WAITAOF 1 0 0\n", error);
    waiting.ask("WAIT 0 0\nGET k\n", ":0\n$1\nv\n");
}
