//! Search over real sockets: what was written is found at once, whoever writes and asks; indexes
//! outlive the server; keys that were there first are indexed while the server goes on.

mod client;

use std::path::Path;
use std::time::{Duration, Instant};

use client::Client;
use reef_engine::settings::Settings;
use reef_server::{Options, PersistenceOptions, Server, Store};

fn serve(persistence: PersistenceOptions) -> Server {
    let options = Options { port_any: true, workers: 2, persistence, ..Options::default() };
    let store = Store::new(1, 8, Settings::default());
    let mut server = Server::start(store, options, None, None, 1).expect("the server starts");
    server.load().expect("the data is loaded");
    server
}

/// Writes that are searched for, by each of the clients: a few, or what REEF_PAIRS says.
fn pairs(few: usize) -> usize {
    std::env::var("REEF_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

#[test]
fn what_is_written_is_found_by_the_next_search() {
    const CLIENTS: usize = 4;
    let pairs = pairs(1_500);
    let server = serve(PersistenceOptions::default());
    let mut first = Client::new(&server);
    first.ask("FT.CREATE i PREFIX 1 d: SCHEMA t TEXT n NUMERIC\n", "+OK\n");
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let mut connection = Client::new(&server);
            scope.spawn(move || {
                for pair in 0..pairs {
                    let key = format!("d:{client}:{}", pair % 50);
                    let word = format!("w{client}x{pair}");
                    let write = format!("HSET {key} t {word} n {pair}\n");
                    let new = if pair < 50 { ":2\n" } else { ":0\n" };
                    connection.ask(&write, new);
                    let search = format!("FT.SEARCH i {word} NOCONTENT\n");
                    let found = format!("*2\n:1\n${}\n{key}\n", key.len());
                    connection.ask(&search, &found);
                }
            });
        }
    });
    let total = CLIENTS * 50;
    first.ask("FT.SEARCH i * LIMIT 0 0\n", &format!("*1\n:{total}\n"));
}

fn kept_in(dir: &Path, append_only: bool) -> PersistenceOptions {
    PersistenceOptions { dir: dir.to_path_buf(), append_only, ..PersistenceOptions::default() }
}

#[test]
fn indexes_outlive_the_server() {
    for append_only in [false, true] {
        let name = format!("reef-search-{}-{append_only}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a folder can be made");
        let server = serve(kept_in(&dir, append_only));
        let mut client = Client::new(&server);
        client.ask("FT.CREATE i PREFIX 1 d: SCHEMA t TEXT\nFT.ALIASADD a i\n", "+OK\n+OK\n");
        client.ask("HSET d:1 t hello\nFT.ALTER i SCHEMA ADD u TEXT\n", ":1\n+OK\n");
        client.ask("HSET d:1 u world\n", ":1\n");
        if !append_only {
            client.ask("SAVE\n", "+OK\n");
        }
        server.stopper().stop();
        server.join();
        let server = serve(kept_in(&dir, append_only));
        let mut client = Client::new(&server);
        client.ask("FT.SEARCH a world NOCONTENT\n", "*2\n:1\n$3\nd:1\n");
        client.ask("FT._LIST\n", "*1\n$1\ni\n");
        drop(server);
        std::fs::remove_dir_all(&dir).expect("the folder can be removed");
    }
}

#[test]
fn keys_that_were_there_first_are_indexed_meanwhile() {
    const KEYS: usize = 20_000;
    let server = serve(PersistenceOptions::default());
    let mut client = Client::new(&server);
    for from in (0..KEYS).step_by(1000) {
        let lines: String =
            (from..from + 1000).map(|key| format!("HSET d:{key} t hello\n")).collect();
        client.ask(&lines, &":1\n".repeat(1000));
    }
    client.ask("FT.CREATE i SCHEMA t TEXT\n", "+OK\n");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        client.send("FT.TAGVALS i t\n");
        client.expect("-Not a tag field\n");
        client.send("FT.SEARCH i hello LIMIT 0 0\n");
        let mut head = [0; 4];
        std::io::Read::read_exact(&mut client.0, &mut head).expect("the server answers");
        let mut number = String::new();
        let mut byte = [0];
        while byte != *b"\n" {
            std::io::Read::read_exact(&mut client.0, &mut byte).expect("the server answers");
            number.push(char::from(byte[0]));
        }
        if number.trim() == format!(":{KEYS}") {
            break;
        }
        assert!(Instant::now() < deadline, "only {number} were indexed");
    }
}

#[test]
fn indexes_reach_replicas() {
    let dirs = ["primary", "replica"].map(|name| {
        let name = format!("reef-search-{}-{name}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a folder can be made");
        dir
    });
    let (primary, replica) = (serve(kept_in(&dirs[0], false)), serve(kept_in(&dirs[1], false)));
    let mut writer = Client::new(&primary);
    writer.ask("FT.CREATE i PREFIX 1 d: SCHEMA t TEXT\nHSET d:1 t hello\n", "+OK\n:1\n");
    let mut reader = Client::new(&replica);
    reader.ask(&format!("REPLICAOF 127.0.0.1 {}\n", primary.port()), "+OK\n");
    let deadline = Instant::now() + Duration::from_secs(30);
    writer.ask("SET ready no\n", "+OK\n");
    // The first index comes with the snapshot, the second with the stream.
    loop {
        writer.send("WAIT 1 1000\n");
        let mut answer = [0; 4];
        std::io::Read::read_exact(&mut writer.0, &mut answer).expect("the primary answers");
        if &answer == b":1\r\n" {
            break;
        }
        assert!(Instant::now() < deadline, "no replica comes");
        std::thread::sleep(Duration::from_millis(50));
    }
    writer.ask("FT.CREATE j PREFIX 1 e: SCHEMA t TEXT\nHSET e:1 t hello\n", "+OK\n:1\n");
    writer.ask("FT.DROPINDEX j DD\nFT.CREATE k SCHEMA t TEXT\nWAIT 1 20000\n", "+OK\n+OK\n:1\n");
    reader.ask("FT.SEARCH i hello NOCONTENT\n", "*2\n:1\n$3\nd:1\n");
    reader.ask("FT._LIST\nEXISTS e:1\n", "*2\n$1\ni\n$1\nk\n:0\n");
    reader.ask("FT.SEARCH k hello NOCONTENT\n", "*2\n:1\n$3\nd:1\n");
    drop((replica, primary));
    dirs.iter().for_each(|dir| std::fs::remove_dir_all(dir).expect("the folder can be removed"));
}
