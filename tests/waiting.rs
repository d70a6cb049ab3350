//! Waiting clients on real sockets: those that are gone get nothing, the others everything, in
//! order and in time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::served::Served;

/// A client that waits for `key`, and whom the server has heard.
fn waiter(server: &Served, key: &str, timeout: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(b"PING\r\n").expect("sent");
    let mut pong = [0; 7];
    stream.read_exact(&mut pong).expect("a reply");
    stream.write_all(format!("BLPOP {key} {timeout}\r\n").as_bytes()).expect("sent");
    stream
}

fn until_waiting(server: &Served, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.info("blocked_clients") != count.to_string() {
        assert!(Instant::now() < deadline, "{} wait", server.info("blocked_clients"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The element that a waiter is given.
fn element(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    let mut byte = [0];
    while reply.iter().filter(|byte| **byte == b'\n').count() < 5 {
        stream.read_exact(&mut byte).expect("an element");
        reply.push(byte[0]);
    }
    let text = String::from_utf8(reply).expect("text");
    text.lines().last().expect("the element").to_owned()
}

fn push(connection: &mut redis::Connection, key: &str, element: usize) {
    let _: usize = redis::cmd("RPUSH").arg(key).arg(element).query(connection).expect("pushed");
}

/// Ends a connection and returns when the kernel at the other end has heard of it: packets of
/// different connections may overtake each other, and nobody could know better. Closing it alone
/// would not do: a process that another test is about to start may have a copy of the socket.
fn hang_up(stream: TcpStream) {
    let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::from_secs(5)));
    linger.expect("a socket");
    stream.shutdown(Shutdown::Both).expect("a connection");
    drop(stream);
}

/// The taker closes, then somebody pushes: whether the server has noticed or not, the element stays.
fn nothing_goes_to_a_client_that_has_gone(args: &[&str]) {
    const ROUNDS: usize = 500;
    let server = Served::start(args);
    let mut pusher = server.connect();
    for round in 0..ROUNDS {
        let taker = waiter(&server, "k", "0");
        if round % 2 == 0 {
            until_waiting(&server, 1);
        }
        hang_up(taker);
        push(&mut pusher, "k", round);
        let left: Option<usize> = redis::cmd("LPOP").arg("k").query(&mut pusher).expect("popped");
        assert_eq!(left, Some(round), "given to nobody");
    }
}

#[test]
fn nothing_is_lost_to_clients_that_have_gone_one_worker() {
    nothing_goes_to_a_client_that_has_gone(&[]);
}

#[test]
fn nothing_is_lost_to_clients_that_have_gone_two_workers() {
    nothing_goes_to_a_client_that_has_gone(&["--io-threads", "2", "--shards", "8"]);
}

/// More clients go than the server hears of at once, and all while it is busy; who pushes was heard
/// before, and sent the rest of its command when they had gone.
#[test]
fn nothing_is_lost_to_a_crowd_that_has_gone_meanwhile() {
    const GOING: usize = 2_500;
    let server = Served::start(&["--io-threads", "1", "--enable-debug-command", "yes"]);
    let crowd: Vec<_> = (0..GOING).map(|_| waiter(&server, "k", "0")).collect();
    until_waiting(&server, GOING);
    let mut staying = waiter(&server, "k", "0");
    until_waiting(&server, GOING + 1);
    let connect = || TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    let (mut busy, mut pusher) = (connect(), connect());
    for stream in [&mut busy, &mut pusher] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(b"PING\r\n").expect("sent");
        stream.read_exact(&mut [0; 7]).expect("a reply");
    }
    busy.write_all(b"DEBUG SLEEP 1\r\n").expect("sent");
    std::thread::sleep(Duration::from_millis(100));
    pusher.write_all(b"RPUSH k first ").expect("sent");
    crowd.iter().for_each(|one| one.shutdown(Shutdown::Both).expect("a connection"));
    // Until the kernel at the other end has heard of all.
    std::thread::sleep(Duration::from_millis(100));
    pusher.write_all(b"second\r\n").expect("sent");
    let mut reply = [0; 4];
    pusher.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b":2\r\n");
    assert_eq!(element(&mut staying), "first");
    let left: Vec<String> =
        redis::cmd("LRANGE").arg("k").arg(0).arg(-1).query(&mut server.connect()).expect("read");
    assert_eq!(left, ["second"], "given to nobody");
}

#[test]
fn when_half_of_the_waiters_die_the_others_are_served_in_order() {
    let server = Served::start(&["--io-threads", "2", "--shards", "4"]);
    let mut waiters = Vec::new();
    for count in 1..=200 {
        waiters.push(Some(waiter(&server, "k", "0")));
        until_waiting(&server, count);
    }
    let mut pusher = server.connect();
    let pushing = std::thread::spawn(move || (0..100).for_each(|n| push(&mut pusher, "k", n)));
    for at in (0..200).step_by(2) {
        waiters[at] = None;
    }
    pushing.join().expect("pushed");
    // Who died after being served had his element: the others' are in order and come once each.
    let mut last = None;
    let left = Duration::from_millis(300);
    for stream in waiters.iter_mut().flatten() {
        stream.set_read_timeout(Some(left)).expect("a timeout");
        let mut first = [0];
        if stream.peek(&mut first).is_err() {
            break;
        }
        let number: usize = element(stream).parse().expect("a number");
        assert!(last.is_none_or(|last| last < number), "{number} after {last:?}");
        last = Some(number);
    }
    assert!(last.is_some());
}

#[test]
fn a_wait_ends_when_its_time_is_over_and_never_earlier() {
    let server = Served::start(&[]);
    let mut waits: Vec<(TcpStream, Instant, Duration)> = [100, 200, 301, 1]
        .iter()
        .map(|ms| {
            let begun = Instant::now();
            let stream = waiter(&server, &format!("k{ms}"), &format!("0.{ms:03}"));
            (stream, begun, Duration::from_millis(*ms))
        })
        .collect();
    for (stream, begun, time) in &mut waits {
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"*-1\r\n");
        assert!(begun.elapsed() >= *time, "{:?} after {:?}", time, begun.elapsed());
    }
    assert_eq!(server.info("blocked_clients"), "0");
}

#[test]
fn waits_can_be_ended_from_outside() {
    let server = Served::start(&["--io-threads", "2", "--shards", "4"]);
    let mut operator = server.connect();
    for (how, farewell) in [
        (Some("ERROR"), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
        (Some("TIMEOUT"), "*-1\r\n"),
        (None, "*-1\r\n"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
        stream.write_all(b"CLIENT ID\r\nBLPOP k 0\r\n").expect("sent");
        until_waiting(&server, 1);
        let mut buffer = [0; 64];
        let count = stream.read(&mut buffer).expect("an id");
        let id = String::from_utf8_lossy(&buffer[1..count]).trim().to_owned();
        let mut command = redis::cmd("CLIENT");
        command.arg("UNBLOCK").arg(&id);
        if let Some(how) = how {
            command.arg(how);
        }
        assert_eq!(command.query::<u8>(&mut operator), Ok(1));
        assert_eq!(command.query::<u8>(&mut operator), Ok(0), "twice");
        let mut reply = vec![0; farewell.len()];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(String::from_utf8_lossy(&reply), farewell);
    }
    // A client that is closed by an operator leaves the queue.
    let mut stream = waiter(&server, "k", "0");
    until_waiting(&server, 1);
    let _: usize =
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).query(&mut operator).expect("killed");
    assert_eq!(stream.read(&mut [0; 8]).ok(), Some(0));
    push(&mut operator, "k", 1);
    let left: usize = redis::cmd("LLEN").arg("k").query(&mut operator).expect("a length");
    assert_eq!(left, 1);
}

/// Clients that wait for many keys at once, pushes to all of them from several sides: each element
/// arrives exactly once, and nobody goes on waiting beside an element.
#[test]
fn what_is_pushed_to_many_keys_arrives_once() {
    const KEYS: usize = 12;
    const TAKERS: usize = 24;
    const PUSHERS: usize = 4;
    const EACH: usize = 1500;
    let server = Served::start(&["--io-threads", "2", "--shards", "16"]);
    let takers: Vec<_> = (0..TAKERS)
        .map(|taker| {
            let mut connection = server.connect();
            std::thread::spawn(move || {
                let mut taken: Vec<usize> = Vec::new();
                loop {
                    let mut command = redis::cmd("BLPOP");
                    // Each begins with another key, so that all orders occur.
                    (0..KEYS).for_each(|key| {
                        command.arg(format!("k{}", (key + taker) % KEYS));
                    });
                    command.arg(2);
                    let got: Option<(String, usize)> =
                        command.query(&mut connection).expect("a reply");
                    match got {
                        Some((_, element)) => taken.push(element),
                        None => return taken,
                    }
                }
            })
        })
        .collect();
    let pushers: Vec<_> = (0..PUSHERS)
        .map(|pusher| {
            let mut connection = server.connect();
            std::thread::spawn(move || {
                for number in 0..EACH {
                    let key = format!("k{}", (number * 7 + pusher) % KEYS);
                    push(&mut connection, &key, pusher * EACH + number);
                }
            })
        })
        .collect();
    pushers.into_iter().for_each(|pusher| pusher.join().expect("pushed"));
    let mut taken: Vec<usize> =
        takers.into_iter().flat_map(|taker| taker.join().expect("taken")).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..PUSHERS * EACH).collect::<Vec<_>>());
    let left: usize = redis::cmd("DBSIZE").query(&mut server.connect()).expect("a number");
    assert_eq!(left, 0);
}
