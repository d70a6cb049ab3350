//! What is true at once when a wait or a connection has ended, over real sockets and several
//! workers: nobody sees a client that was killed, and a command that waited is counted.

mod client;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use client::Client;
use reef_engine::settings::Settings;
use reef_server::{Options, Server, Store};

fn serve() -> Server {
    let options = Options { port_any: true, workers: 2, ..Options::default() };
    let store = Store::new(1, 8, Settings::default());
    let mut server = Server::start(store, options, None, None, 1).expect("the server starts");
    server.load().expect("there is nothing to load");
    server
}

/// The text that a command replies.
fn text(client: &mut Client, line: &str) -> String {
    client.send(line);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n") {
        let mut byte = [0];
        client.0.read_exact(&mut byte).expect("the server answers");
        head.push(byte[0]);
    }
    let bytes = String::from_utf8_lossy(&head[1..head.len() - 2]).parse().expect("a bulk string");
    let mut text: Vec<u8> = vec![0; bytes];
    client.0.read_exact(&mut text).expect("the server sends it all");
    client.expect("\n");
    String::from_utf8(text).expect("text")
}

/// Asks until the text has all of these words.
fn wait_for(client: &mut Client, line: &str, words: &[&str]) {
    let until = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let found = text(client, line);
        if words.iter().all(|word| found.contains(word)) {
            return;
        }
        assert!(std::time::Instant::now() < until, "{words:?} are missing in {found}");
    }
}

#[test]
fn nobody_sees_a_client_that_was_killed() {
    const SUBSCRIBERS: usize = 20;
    let server = serve();
    let mut operator = Client::new(&server);
    let mut subscribers: Vec<_> = (0..SUBSCRIBERS).map(|_| Client::new(&server)).collect();
    for subscriber in &mut subscribers {
        subscriber.ask("SUBSCRIBE c\n", "*3\n$9\nsubscribe\n$1\nc\n:1\n");
    }
    operator.ask(
        "CLIENT KILL TYPE pubsub\nCLIENT KILL TYPE pubsub\nCLIENT LIST TYPE pubsub\nPUBLISH c m\n",
        &format!(":{SUBSCRIBERS}\n:0\n$0\n\n:0\n"),
    );
    let clients = text(&mut operator, "INFO clients\n");
    assert!(clients.contains("connected_clients:1\r\n"), "{clients}");
    for subscriber in &mut subscribers {
        let end = subscriber.0.read(&mut [0]);
        assert!(matches!(end, Ok(0) | Err(_)), "a killed client was sent something");
    }
}

#[test]
fn nothing_is_given_to_a_waiting_client_that_was_killed() {
    let server = serve();
    let (mut operator, mut waiting) = (Client::new(&server), Client::new(&server));
    waiting.ask("CLIENT SETNAME waiting\n", "+OK\n");
    waiting.send("BLPOP k 0\n");
    wait_for(&mut operator, "INFO clients\n", &["blocked_clients:1\r\n"]);
    operator.ask("CLIENT KILL SKIPME yes\nRPUSH k a\nLRANGE k 0 -1\n", ":1\n:1\n*1\n$1\na\n");
}

#[test]
fn a_command_that_waits_is_counted_when_it_is_answered() {
    let server = serve();
    let (mut operator, mut waiting) = (Client::new(&server), Client::new(&server));
    operator.ask("XGROUP CREATE s g $ MKSTREAM\nCONFIG RESETSTAT\n", "+OK\n+OK\n");
    waiting.send("XREADGROUP GROUP g me BLOCK 0 STREAMS s >\n");
    wait_for(&mut operator, "INFO clients\n", &["blocked_clients:1\r\n"]);
    let counted = text(&mut operator, "INFO commandstats\n");
    assert!(!counted.contains("cmdstat_xreadgroup:"), "{counted}");
    operator.ask("XGROUP DESTROY s g\n", ":1\n");
    waiting.expect("-NOGROUP");
    let counted = text(&mut operator, "INFO commandstats\n");
    let line = counted.lines().find(|line| line.starts_with("cmdstat_xreadgroup:"));
    let line = line.expect("the command is counted");
    assert!(line.starts_with("cmdstat_xreadgroup:calls=1,"), "{line}");
    assert!(line.ends_with(",rejected_calls=0,failed_calls=1"), "{line}");
    let errors = text(&mut operator, "INFO errorstats\n");
    assert!(errors.contains("errorstat_NOGROUP:count=1\r\n"), "{errors}");
}

#[test]
fn who_sends_and_hangs_up_in_one_breath_is_answered_and_let_go() {
    let server = serve();
    for _ in 0..100 {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        socket.write_all(b"PING\r\nSET k v\r\nGET k\r\n").expect("sent");
        socket.shutdown(Shutdown::Write).expect("half closed");
        let mut heard = String::new();
        socket.read_to_string(&mut heard).expect("all replies, and the end");
        assert_eq!(heard, "+PONG\r\n+OK\r\n$1\r\nv\r\n");
    }
}
