//! The door for browsers, with requests as browsers and strangers send them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::served::{Served, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a door, and its port.
fn server(args: &[&str]) -> (Served, u16) {
    let port = free_port();
    let digits = port.to_string();
    let server = Served::start(&[&["--http-port", &digits], args].concat());
    (server, port)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// A request with these header lines, on a connection of its own.
fn request(head: &str, headers: &[&str], body: &str) -> String {
    let mut lines = vec![format!("{head} HTTP/1.1"), "Host: localhost".to_owned()];
    lines.extend(headers.iter().map(|line| (*line).to_owned()));
    lines.push(format!("Content-Length: {}", body.len()));
    lines.push("Connection: close".to_owned());
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

/// Sends bytes and reads to the end: status, headers in lower case, body.
fn exchange(port: u16, bytes: &[u8]) -> (u16, String, String) {
    let mut stream = connect(port);
    // The server may answer before it has read everything.
    let _ = stream.write_all(bytes);
    answer(&mut stream)
}

fn answer(stream: &mut TcpStream) -> (u16, String, String) {
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => reply.extend_from_slice(&buffer[..count]),
            // Closed with bytes of ours unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&reply)),
        }
    }
    let reply = String::from_utf8(reply).expect("text");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, head.to_ascii_lowercase(), body.to_owned())
}

const JSON: &str = "Content-Type: application/json";

/// A command's status and what it answered.
fn post(port: u16, headers: &[&str], command: &Value) -> (u16, Value) {
    let headers = [&[JSON], headers].concat();
    let bytes = request("POST /command", &headers, &command.to_string());
    let (status, _, body) = exchange(port, bytes.as_bytes());
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{body}: {error}")))
}

fn result(port: u16, command: Value) -> Value {
    let (status, body) = post(port, &[], &command);
    assert_eq!(status, 200, "{command}: {body}");
    body["result"].clone()
}

#[test]
fn commands_are_answered_in_json() {
    let (_server, port) = server(&["--io-threads", "2"]);
    for (command, wanted) in [
        (json!(["PING"]), json!("PONG")),
        (json!(["SET", "k", "ä\r\nb", "EX", 100]), json!("OK")),
        (json!(["GET", "k"]), json!("ä\r\nb")),
        (json!(["GET", "none"]), json!(null)),
        (json!(["INCRBY", "n", 9_007_199_254_740_993_i64]), json!(9_007_199_254_740_993_i64)),
        (json!(["HSET", "h", "f", 1, "g", true]), json!(2)),
        (json!(["HGETALL", "h"]), json!({"f": "1", "g": "true"})),
        (json!(["ZADD", "z", 1.5, "m"]), json!(1)),
        (json!(["ZSCORE", "z", "m"]), json!(1.5)),
        (json!(["RPUSH", "l", "a", "b"]), json!(2)),
        (json!(["LRANGE", "l", 0, -1]), json!(["a", "b"])),
        (json!(["SETBIT", "bits", 0, 1]), json!(0)),
        (json!(["GET", "bits"]), json!({"base64": "gA=="})),
        (json!(["RDV.OPEN", "r", "TTL", 60]), json!([60_000, 1])),
        (json!(["RDV.REGISTER", "r", "ns", "addr", "ID", "a", "TTL", 5]), json!(["a", 1, 5_000])),
        (json!(["RDV.TAKE", "r", "ns"]), json!(["a", "addr"])),
    ] {
        assert_eq!(result(port, command.clone()), wanted, "{command}");
    }
    let (status, body) = post(port, &[], &json!(["GET", "l"]));
    let text = "WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!((status, &body["error"]), (400, &json!(text)));
    // A large value there and back.
    let large = "x".repeat(4 << 20);
    assert_eq!(result(port, json!(["SET", "large", large])), json!("OK"));
    assert_eq!(result(port, json!(["GET", "large"])), json!(large));
}

#[test]
fn who_may_do_what_is_what_the_users_say() {
    let (_server, port) = server(&["--user", "ada on >secret ~ada:* +@all -@dangerous"]);
    result(port, json!(["CONFIG", "SET", "requirepass", "pw"]));
    // ada:secret, ada:wrong, :pw
    let ada = "Authorization: Basic YWRhOnNlY3JldA==";
    for (headers, command, status, code) in [
        (&[][..], json!(["PING"]), 401, "NOAUTH"),
        (&["Authorization: Basic YWRhOndyb25n"], json!(["PING"]), 401, "WRONGPASS"),
        (&["Authorization: Bearer x"], json!(["PING"]), 401, "NOAUTH"),
        (&[ada], json!(["SET", "other", "v"]), 403, "NOPERM"),
        (&[ada], json!(["FLUSHALL"]), 403, "NOPERM"),
    ] {
        let (got, body) = post(port, headers, &command);
        let error = body["error"].as_str().expect("an error");
        assert!(got == status && error.starts_with(code), "{command}: {got} {body}");
    }
    assert_eq!(post(port, &[ada], &json!(["SET", "ada:k", "v"])).0, 200);
    let default = "Authorization: Basic OnB3";
    assert_eq!(post(port, &[default], &json!(["GET", "ada:k"])).1["result"], json!("v"));
    // A tenant's user is the tenant's.
    let create = json!(["TENANT", "CREATE", "acme", "PASSWORD", "x", "LIMIT", "connections", 1]);
    assert_eq!(post(port, &[default], &create).0, 200);
    // acme:x
    let acme = "Authorization: Basic YWNtZTp4";
    assert_eq!(post(port, &[acme], &json!(["SET", "ada:k", "theirs"])).0, 200);
    assert_eq!(post(port, &[default], &json!(["GET", "ada:k"])).1["result"], json!("v"));
}

#[test]
fn what_waits_waits_as_long_as_the_request_stands() {
    let (server, port) = server(&["--io-threads", "2"]);
    result(port, json!(["RDV.OPEN", "r", "TTL", 600]));
    for (command, bring, wanted) in [
        (json!(["BLPOP", "k", 0]), json!(["RPUSH", "k", "v"]), json!(["k", "v"])),
        (
            json!(["RDV.TAKE", "r", "ns", "WAIT", 0]),
            json!(["RDV.REGISTER", "r", "ns", "v", "ID", "i"]),
            json!(["i", "v"]),
        ),
    ] {
        let body = request("POST /command", &[JSON], &command.to_string());
        // One that goes away leaves the queue.
        let mut gone = connect(port);
        gone.write_all(body.as_bytes()).expect("sent");
        until_waiting(&server, 1);
        drop(gone);
        until_waiting(&server, 0);
        let mut waiter = connect(port);
        waiter.write_all(body.as_bytes()).expect("sent");
        until_waiting(&server, 1);
        result(port, bring);
        let (status, _, body) = answer(&mut waiter);
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &body["result"]), (200, &wanted));
    }
    let (status, body) = post(port, &[], &json!(["BLPOP", "k", 0.1]));
    assert_eq!((status, &body["result"]), (200, &json!(null)));
    // Nothing stays behind of any request.
    let deadline = Instant::now() + PATIENCE;
    while server.info("connected_clients") != "1" {
        assert!(Instant::now() < deadline, "{} clients", server.info("connected_clients"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn until_waiting(server: &Served, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while server.info("blocked_clients") != count.to_string() {
        assert!(Instant::now() < deadline, "{} wait", server.info("blocked_clients"));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_no_request_of_ours_is_refused() {
    let (_server, port) = server(&[]);
    let ping = r#"["PING"]"#;
    for (head, headers, body, status) in [
        ("GET /command", &[JSON][..], "", 405),
        ("PUT /command", &[JSON], ping, 405),
        ("POST /", &[JSON], ping, 404),
        ("GET /", &[], "", 404),
        ("POST /command", &[], ping, 415),
        ("POST /command", &["Content-Type: text/plain"], ping, 415),
        ("POST /command", &[JSON], "", 400),
        ("POST /command", &[JSON], "{", 400),
        ("POST /command", &[JSON], "[]", 400),
        ("POST /command", &[JSON], r#"["GET", ["k"]]"#, 400),
        ("POST /command", &[JSON], r#"[null]"#, 400),
        ("POST /command", &[JSON], r#"["SUBSCRIBE", "c"]"#, 400),
        ("POST /command", &[JSON], r#"["monitor"]"#, 400),
        ("POST /command", &[JSON], r#"["NOSUCH"]"#, 400),
        ("POST /command", &[JSON, "Origin: http://evil.example"], ping, 403),
        ("OPTIONS /command", &["Origin: http://evil.example"], "", 403),
        ("POST /command", &[JSON, "Origin: null"], ping, 403),
        ("POST /command", &["content-type: Application/JSON; charset=utf-8"], ping, 200),
    ] {
        let bytes = request(head, headers, body);
        let (got, head, _) = exchange(port, bytes.as_bytes());
        assert_eq!(got, status, "{bytes}\n{head}");
        assert!(!head.contains("access-control-allow-origin"), "{head}");
    }
    let deep = "[".repeat(1 << 20);
    let bytes = request("POST /command", &[JSON], &deep);
    assert_eq!(exchange(port, bytes.as_bytes()).0, 400);
    for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"*1\r\n$4\r\nPING\r\n", b"NONSENSE\r\n\r\n"] {
        assert_eq!(exchange(port, bytes).0, 400);
    }
}

#[test]
fn what_is_too_much_is_cut_off_and_costs_no_memory() {
    let (server, port) = server(&[]);
    let memory = || server.info("used_memory_rss").parse::<u64>().expect("a number");
    let before = memory();
    // Announced, never sent.
    let announced: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = connect(port);
            let head =
                format!("POST /command HTTP/1.1\r\n{JSON}\r\nContent-Length: 8000000\r\n\r\n[");
            stream.write_all(head.as_bytes()).expect("sent");
            stream
        })
        .collect();
    // Sent, and too large; with a length and without.
    let huge = "x".repeat(9 << 20);
    let (status, _, _) =
        exchange(port, request("POST /command", &[JSON], &format!("[\"{huge}\"]")).as_bytes());
    assert!(matches!(status, 0 | 413), "{status}");
    let chunked = format!(
        "POST /command HTTP/1.1\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{huge}\r\n",
        huge.len()
    );
    let (status, _, _) = exchange(port, chunked.as_bytes());
    assert!(matches!(status, 0 | 413), "{status}");
    let headers = "X-Filler: ".to_owned() + &"y".repeat(64 << 10);
    let (status, _, _) = exchange(port, request("POST /command", &[&headers], "").as_bytes());
    assert!(matches!(status, 0 | 431), "{status}");
    // Half a body, and gone.
    let mut half = connect(port);
    let head = format!("POST /command HTTP/1.1\r\n{JSON}\r\nContent-Length: 9\r\n\r\n[\"S");
    half.write_all(head.as_bytes()).expect("sent");
    half.shutdown(Shutdown::Write).expect("closed");
    assert!(matches!(answer(&mut half).0, 0 | 400));
    assert_eq!(result(port, json!(["PING"])), json!("PONG"), "everybody else is served");
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    drop(announced);
}

/// One that sends a byte now and then is given up after the time that it has.
#[test]
fn a_slow_body_has_its_time() {
    let (_server, port) = server(&[]);
    let mut slow = connect(port);
    let head = format!("POST /command HTTP/1.1\r\n{JSON}\r\nContent-Length: 1000\r\n\r\n");
    slow.write_all(head.as_bytes()).expect("sent");
    let begun = Instant::now();
    slow.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut first = [0; 12];
    loop {
        assert!(begun.elapsed() < PATIENCE, "it is never given up");
        let _ = slow.write_all(b"[");
        match slow.read_exact(&mut first) {
            Ok(()) => break,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(&first, b"HTTP/1.1 408");
}

#[test]
fn clients_of_the_door_count_as_all_do() {
    let (server, port) = server(&["--maxclients", "3"]);
    let body = request("POST /command", &[JSON], r#"["BLPOP", "k", 0]"#);
    let mut waiters: Vec<TcpStream> = (0..2).map(|_| connect(port)).collect();
    waiters.iter_mut().for_each(|waiter| waiter.write_all(body.as_bytes()).expect("sent"));
    // With the one who asks that is all.
    until_waiting(&server, 2);
    let _asker = connect_when_there_is_room(&server);
    let (status, refused) = post(port, &[], &json!(["PING"]));
    assert_eq!((status, &refused["error"]), (503, &json!("ERR max number of clients reached")));
    drop(waiters);
    until_waiting_quietly(port);
}

/// A connection, once the server has seen that whoever asked before is gone.
fn connect_when_there_is_room(server: &Served) -> redis::Connection {
    let client = redis::Client::open(server.url()).expect("an address");
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.get_connection() {
            Ok(connection) => return connection,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Until somebody is let in again.
fn until_waiting_quietly(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    while post(port, &[], &json!(["PING"])).0 != 200 {
        assert!(Instant::now() < deadline, "nobody is let in again");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn pages_of_named_origins_may_ask() {
    let (_server, port) = server(&["--http-origins", "https://a.example https://b.example"]);
    let origin = "Origin: https://b.example";
    let bytes = request("OPTIONS /command", &[origin], "");
    let (status, head, _) = exchange(port, bytes.as_bytes());
    assert_eq!(status, 204);
    for line in [
        "access-control-allow-origin: https://b.example",
        "access-control-allow-methods: post",
        "access-control-allow-headers: authorization, content-type",
        "vary: origin",
    ] {
        assert!(head.contains(line), "{head}");
    }
    let bytes = request("POST /command", &[JSON, origin], r#"["PING"]"#);
    let (status, head, body) = exchange(port, bytes.as_bytes());
    assert_eq!((status, body.as_str()), (200, r#"{"result":"PONG"}"#));
    assert!(head.contains("access-control-allow-origin: https://b.example"), "{head}");
    let bytes = request("POST /command", &[JSON, "Origin: https://c.example"], r#"["PING"]"#);
    assert_eq!(exchange(port, bytes.as_bytes()).0, 403);
}
