//! Hostile bytes on real sockets: whatever a client sends, it gets Redis's protocol error and a
//! closed connection, and everybody else is served on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::served::Served;

/// Sends `bytes` and reads until the server closes the connection.
fn exchange(server: &Served, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes);
    read_to_end(&mut stream)
}

fn connect(server: &Served) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => reply.extend_from_slice(&buffer[..count]),
            // Closed with bytes of ours unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => {
                panic!("no end of the reply after {:?}: {error}", reply.escape_ascii().to_string())
            }
        }
    }
    String::from_utf8_lossy(&reply).into_owned()
}

fn serves(server: &Served) {
    let mut stream = connect(server);
    stream.write_all(b"PING\r\n").expect("sent");
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn malformed_frames_get_an_error_and_a_closed_connection() {
    let server = Served::start(&[]);
    for (bytes, error) in [
        (&b"*1\r\n+PING\r\n"[..], "expected '$', got '+'"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*99999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"*1\r\n$600000000\r\n", "invalid bulk length"),
        (b"SET k \"v\r\n", "unbalanced quotes in request"),
    ] {
        assert_eq!(exchange(&server, bytes), format!("-ERR Protocol error: {error}\r\n"));
        serves(&server);
    }
}

#[test]
fn replies_before_a_malformed_frame_are_still_sent() {
    let server = Served::start(&[]);
    let reply = exchange(&server, b"PING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*1\r\n!\r\n");
    assert_eq!(reply, "+PONG\r\n$2\r\nhi\r\n-ERR Protocol error: expected '$', got '!'\r\n");
}

#[test]
fn an_endless_line_is_cut_off() {
    let server = Served::start(&[]);
    let reply = exchange(&server, &vec![b'a'; 256 * 1024]);
    // The rest of the line may reset the connection before the error is read.
    assert!(reply.is_empty() || reply.contains("too big inline request"), "{reply}");
    serves(&server);
}

#[test]
fn clients_that_die_in_the_middle_of_a_frame_leave_nothing_behind() {
    let server = Served::start(&[]);
    let frame = b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nvalue\r\n";
    for cut in 0..frame.len() {
        let mut stream = connect(&server);
        stream.write_all(&frame[..cut]).expect("sent");
        stream.shutdown(Shutdown::Both).expect("closed");
    }
    let mut stream = connect(&server);
    stream.write_all(b"EXISTS half\r\nQUIT\r\n").expect("sent");
    assert_eq!(read_to_end(&mut stream), ":0\r\n+OK\r\n");
}

#[test]
fn announced_lengths_cost_no_memory() {
    let server = Served::start(&[]);
    let announced: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"*1000000\r\n$500000000\r\nabc").expect("sent");
            stream
        })
        .collect();
    let mut stream = connect(&server);
    stream.write_all(b"INFO memory\r\nQUIT\r\n").expect("sent");
    let info = read_to_end(&mut stream);
    let rss = info.lines().find_map(|line| line.strip_prefix("used_memory_rss:"));
    let rss_bytes: u64 = rss.and_then(|text| text.trim().parse().ok()).expect("INFO tells it");
    // 200 times 500 MB were announced, and 5 bytes each were sent.
    assert!(rss_bytes < 256 << 20, "{rss_bytes} bytes for announcements");
    drop(announced);
    serves(&server);
}
