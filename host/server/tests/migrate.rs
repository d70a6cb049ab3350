//! MIGRATE over real sockets: keys move to a stock redis-server and back; nobody else waits meanwhile;
//! what changes on the way stays; a peer that dies in the middle takes nothing with it.

mod client;

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::Client;
use reef_engine::settings::Settings;
use reef_server::{Options, PersistenceOptions, Server, Store};
use reef_transcript::RedisServer;

fn serve_with(persistence: PersistenceOptions) -> Server {
    let options = Options { port_any: true, workers: 1, persistence, ..Options::default() };
    let store = Store::new(1, 8, Settings::default());
    let mut server = Server::start(store, options, None, None, 1).expect("the server starts");
    server.load().expect("the data is loaded");
    server
}

fn serve() -> Server {
    serve_with(PersistenceOptions::default())
}

/// A redis-server, if there is one; otherwise the test says nothing.
fn peer() -> Option<RedisServer> {
    let program = OsStr::new("redis-server");
    RedisServer::version(program)?;
    Some(RedisServer::start(program).expect("redis-server starts"))
}

fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    Client(stream)
}

/// The number that a command replies; none if it replies something else.
fn number(client: &mut Client, line: &str) -> Option<usize> {
    client.send(&format!("{line}\n"));
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n") {
        let mut byte = [0];
        client.0.read_exact(&mut byte).expect("the server answers");
        reply.push(byte[0]);
    }
    String::from_utf8(reply).ok()?.strip_prefix(':')?.trim().parse().ok()
}

/// A folder of this test, which goes away with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reef-migrate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Keys of all types that every redis-server has.
const WRITES: &str = "SET s text\nSET n 12345 EX 1000\nRPUSH l a b c\nSADD u x\nSADD i 1 2 3\n\
    HSET h f v\nZADD z 1.5 m\nXADD x 5-1 f v\nPEXPIREAT h 99999999999999\n";
const KEYS: &str = "s n l u i h z x";
const READS: &str = "GET s\nGET n\nLRANGE l 0 -1\nSMEMBERS u\nSCARD i\nHGETALL h\nZSCORE z m\n\
    XRANGE x - +\nPEXPIRETIME h\nPTTL s\n";
const VALUES: &str = "$4\ntext\n$5\n12345\n*3\n$1\na\n$1\nb\n$1\nc\n*1\n$1\nx\n:3\n*2\n$1\nf\n$1\nv\n\
    $3\n1.5\n*1\n*2\n$3\n5-1\n*2\n$1\nf\n$1\nv\n:99999999999999\n:-1\n";

#[test]
fn keys_of_all_types_move_to_a_redis_server_and_back() {
    let Some(peer) = peer() else { return };
    let (server, mut there) = (serve(), connect(peer.address()));
    let mut here = Client::new(&server);
    here.ask(WRITES, "+OK\n+OK\n:3\n:1\n:3\n:1\n:1\n$3\n5-1\n:1\n");
    let port = peer.address().port();
    here.ask(&format!("MIGRATE 127.0.0.1 {port} \"\" 0 5000 KEYS {KEYS} nothing\n"), "+OK\n");
    here.ask("DBSIZE\n", ":0\n");
    there.ask("PEXPIREAT h 99999999999999\n", ":1\n");
    there.ask(READS, VALUES);
    let back = server.port();
    there.ask(&format!("MIGRATE 127.0.0.1 {back} \"\" 0 5000 KEYS {KEYS} nothing\n"), "+OK\n");
    there.ask("DBSIZE\n", ":0\n");
    here.ask("PEXPIREAT h 99999999999999\n", ":1\n");
    here.ask(READS, VALUES);
}

#[test]
fn options_and_what_the_other_server_refuses_are_as_in_redis() {
    let Some(peer) = peer() else { return };
    let (server, mut there) = (serve(), connect(peer.address()));
    let mut here = Client::new(&server);
    let to = format!("MIGRATE 127.0.0.1 {}", peer.address().port());
    here.ask("SET k 1\n", "+OK\n");
    here.ask(&format!("{to} k 0 5000 COPY\n"), "+OK\n");
    here.ask("GET k\n", "$1\n1\n");
    let busy = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.\n";
    here.ask("SET k 2\nSET other 3\n", "+OK\n+OK\n");
    here.ask(&format!("{to} k 0 5000\n"), busy);
    here.ask(&format!("{to} \"\" 0 5000 KEYS k other\n"), busy);
    here.ask("MGET k other\n", "*2\n$1\n2\n$-1\n");
    there.ask("MGET k other\n", "*2\n$1\n1\n$1\n3\n");
    here.ask(&format!("{to} k 0 5000 REPLACE\n"), "+OK\n");
    here.ask("GET k\n", "$-1\n");
    there.ask("GET k\n", "$1\n2\n");
    here.ask("SET k 5\n", "+OK\n");
    let range = "-ERR Target instance replied with error: ERR DB index is out of range\n";
    here.ask(&format!("{to} k 77 5000\n{to} k -1 5000\n"), &format!("{range}{range}"));
    here.ask(&format!("{to} k 9 5000\n"), "+OK\n");
    there.ask("SELECT 9\nGET k\nSELECT 0\n", "+OK\n$1\n5\n+OK\n");
    there.ask("CONFIG SET requirepass secret\n", "+OK\n");
    here.ask("SET k 6\n", "+OK\n");
    let wrong = "-ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled.\n";
    here.ask(&format!("{to} k 0 5000 AUTH wrong REPLACE\n"), wrong);
    here.ask(&format!("{to} k 0 5000 AUTH2 nobody secret REPLACE\n"), wrong);
    here.ask("GET k\n", "$1\n6\n");
    here.ask(&format!("{to} k 0 5000 AUTH secret REPLACE\n"), "+OK\n");
    here.ask("SET k 7\n", "+OK\n");
    here.ask(&format!("{to} k 0 5000 AUTH2 default secret REPLACE\n"), "+OK\n");
    here.ask("EXISTS k\n", ":0\n");
    there.ask("GET k\n", "$1\n7\n");
}

#[test]
fn a_redis_server_with_a_password_is_not_reached_by_who_has_none() {
    let Some(peer) = peer() else { return };
    let (server, mut there) = (serve(), connect(peer.address()));
    let (mut trusted, mut stranger) = (Client::new(&server), Client::new(&server));
    there.ask("CONFIG SET requirepass secret\n", "+OK\n");
    let to = format!("MIGRATE 127.0.0.1 {}", peer.address().port());
    trusted.ask("SET a 1\nSET b 2\n", "+OK\n+OK\n");
    trusted.ask(&format!("{to} a 0 5000 AUTH secret\n"), "+OK\n");
    let refused = "-ERR Target instance replied with error: NOAUTH Authentication required.\n";
    stranger.ask(&format!("{to} b 0 5000\n"), refused);
    stranger.ask("GET b\n", "$1\n2\n");
}

/// A server that reads what it is sent and says what the test wants.
struct Stub(TcpStream);

impl Stub {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().expect("somebody connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        Self(stream)
    }

    /// Reads until the text ends with this.
    fn hear(&mut self, end: &[u8]) {
        let mut heard = Vec::new();
        while !heard.windows(end.len()).any(|window| window == end) {
            let mut bytes = [0; 4096];
            let count = self.0.read(&mut bytes).expect("something comes");
            assert!(count > 0, "it hung up after {:?}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&bytes[..count]);
        }
    }

    fn say(&mut self, text: &[u8]) {
        self.0.write_all(text).expect("it is heard");
    }
}

fn stub() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

#[test]
fn nobody_else_waits_while_a_peer_is_silent() {
    let server = serve();
    let (listener, port) = stub();
    let (mut mover, mut other) = (Client::new(&server), Client::new(&server));
    mover.ask("SET k 1\n", "+OK\n");
    mover.send(&format!("MIGRATE 127.0.0.1 {port} k 0 700\n"));
    let mut peer = Stub::accept(&listener);
    peer.hear(b"SELECT");
    peer.say(b"+OK\r\n");
    peer.hear(b"RESTORE");
    let started = Instant::now();
    for round in 0..50 {
        other.ask(&format!("SET other {round}\nGET k\nPING\n"), "+OK\n$1\n1\n+PONG\n");
    }
    assert!(started.elapsed() < Duration::from_millis(600), "{:?}", started.elapsed());
    mover.expect("-IOERR error or timeout reading to target instance\n");
    mover.ask("GET k\n", "$1\n1\n");
}

#[test]
fn a_key_that_changes_on_its_way_stays() {
    for change in ["APPEND k 2", "DEL k", "EXPIRE k 100"] {
        let server = serve();
        let (listener, port) = stub();
        let (mut mover, mut other) = (Client::new(&server), Client::new(&server));
        mover.ask("SET k 1\nSET j 1\n", "+OK\n+OK\n");
        mover.send(&format!("MIGRATE 127.0.0.1 {port} \"\" 0 20000 KEYS k j\n"));
        let mut peer = Stub::accept(&listener);
        peer.hear(b"SELECT");
        peer.say(b"+OK\r\n");
        peer.hear(b"RESTORE\r\n$1\r\nj");
        let reply = if change == "APPEND k 2" { ":2\n" } else { ":1\n" };
        other.ask(&format!("{change}\n"), reply);
        peer.say(b"+OK\r\n+OK\r\n");
        mover.expect("-TRYAGAIN a key changed while it was on its way and stays here: the target instance has it as it was\n");
        let there = i32::from(change != "DEL k");
        mover.ask("EXISTS k\nEXISTS j\n", &format!(":{there}\n:0\n"));
    }
}

#[test]
fn an_answer_that_is_none_keeps_the_key() {
    for answer in [&b"+OK"[..], b"nonsense\r\n", b":1\r\n", b""] {
        let server = serve();
        let (listener, port) = stub();
        let mut mover = Client::new(&server);
        mover.ask("SET k 1\n", "+OK\n");
        mover.send(&format!("MIGRATE 127.0.0.1 {port} k 0 20000\n"));
        let mut peer = Stub::accept(&listener);
        peer.hear(b"SELECT");
        peer.say(b"+OK\r\n");
        peer.hear(b"RESTORE");
        peer.say(answer);
        drop(peer);
        mover.expect("-IOERR error or timeout reading to target instance\n");
        mover.ask("GET k\n", "$1\n1\n");
    }
}

#[test]
fn a_peer_that_hung_up_between_two_errands_is_reached_anew() {
    let server = serve();
    let (listener, port) = stub();
    let mut mover = Client::new(&server);
    for _ in 0..3 {
        mover.ask("SET k 1\n", "+OK\n");
        mover.send(&format!("MIGRATE 127.0.0.1 {port} k 0 20000\n"));
        let mut peer = Stub::accept(&listener);
        peer.hear(b"SELECT");
        peer.say(b"+OK\r\n");
        peer.hear(b"RESTORE");
        peer.say(b"+OK\r\n");
        mover.expect("+OK\n");
        mover.ask("EXISTS k\n", ":0\n");
    }
}

#[test]
fn a_peer_that_is_killed_in_the_middle_takes_no_key_with_it() {
    const KEYS: usize = 20_000;
    let program = OsStr::new("redis-server");
    if RedisServer::version(program).is_none() {
        return;
    }
    let folder = Folder::new("killed");
    let server = serve();
    let (mut mover, mut other) = (Client::new(&server), Client::new(&server));
    let names: Vec<String> = (0..KEYS).map(|key| format!("key:{key}")).collect();
    for some in names.chunks(1000) {
        let pairs: String = some.iter().map(|key| format!(" {key} v")).collect();
        mover.ask(&format!("MSET{pairs}\n"), "+OK\n");
    }
    // What it says that it has is on its disk.
    let peer = RedisServer::start_with_log(program, folder.path()).expect("redis-server starts");
    let port = peer.address().port();
    let mut argv = vec!["MIGRATE", "127.0.0.1"];
    let port = port.to_string();
    argv.extend([&port, "", "0", "5000", "KEYS"]);
    argv.extend(names.iter().map(String::as_str));
    let words = argv.iter().map(|word| format!("${}\n{word}\n", word.len()));
    mover.send(&format!("*{}\n{}", argv.len(), words.collect::<String>()));
    let until = Instant::now() + Duration::from_secs(20);
    while number(&mut other, "DBSIZE") > Some(KEYS * 2 / 3) {
        assert!(Instant::now() < until, "nothing moves");
    }
    drop(peer);
    mover.expect("-IOERR error or timeout ");
    assert!(number(&mut other, "DBSIZE") > Some(0), "it was killed too late");
    let peer = RedisServer::start_with_log(program, folder.path()).expect("it starts again");
    let mut there = connect(peer.address());
    // Until it has loaded its log, it refuses.
    while number(&mut there, "DBSIZE").is_none() {}
    for key in &names {
        let ask = format!("EXISTS {key}");
        let found = number(&mut there, &ask).max(number(&mut other, &ask));
        assert_eq!(found, Some(1), "{key} is nowhere");
    }
}

#[test]
fn what_has_moved_stays_away_through_a_restart() {
    let Some(peer) = peer() else { return };
    let folder = Folder::new("restart");
    let kept = || PersistenceOptions {
        dir: folder.path().to_path_buf(),
        append_only: true,
        ..PersistenceOptions::default()
    };
    let server = serve_with(kept());
    let mut mover = Client::new(&server);
    mover.ask("SET a 1\nSET b 2\n", "+OK\n+OK\n");
    mover.ask(&format!("MIGRATE 127.0.0.1 {} a 0 5000\n", peer.address().port()), "+OK\n");
    drop((mover, server));
    let server = serve_with(kept());
    Client::new(&server).ask("EXISTS a\nGET b\n", ":0\n$1\n2\n");
}
