//! Messages that clients did not ask for, over real sockets and several workers: their order, and
//! what becomes of who does not take them.

mod client;

use std::io::Read;
use std::time::{Duration, Instant};

use client::Client;
use reef_engine::notifications::Classes;
use reef_engine::settings::Settings;
use reef_server::{Options, OutputLimit, OutputLimits, Server, Store};

fn serve(output_limits: OutputLimits) -> Server {
    serve_by(Settings::default(), output_limits)
}

fn serve_by(settings: Settings, output_limits: OutputLimits) -> Server {
    let options = Options { port_any: true, workers: 2, output_limits, ..Options::default() };
    let mut server = Server::start(Store::new(1, 8, settings), options, None, None, 1)
        .expect("the server starts");
    server.load().expect("there is nothing to load");
    server
}

fn subscribed(server: &Server, channel: &str) -> Client {
    let mut client = Client::new(server);
    let bytes = channel.len();
    let reply = format!("*3\n$9\nsubscribe\n${bytes}\n{channel}\n:1\n");
    client.ask(&format!("SUBSCRIBE {channel}\n"), &reply);
    client
}

#[test]
fn all_subscribers_see_one_order() {
    const MESSAGES: usize = 500;
    let server = serve(OutputLimits::default());
    let mut subscribers: Vec<_> = (0..6).map(|_| subscribed(&server, "c")).collect();
    let mut publishers: Vec<_> = (0..2).map(|_| Client::new(&server)).collect();
    for (letter, publisher) in ["a", "b"].iter().zip(&mut publishers) {
        let lines: String =
            (0..MESSAGES).map(|number| format!("PUBLISH c {letter}{number:03}\n")).collect();
        publisher.send(&lines);
    }
    let message_bytes = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\na000\r\n".len();
    let seen = subscribers.iter_mut().map(|subscriber| {
        let mut all = vec![0; 2 * MESSAGES * message_bytes];
        subscriber.0.read_exact(&mut all).expect("every message comes");
        all
    });
    let seen: Vec<_> = seen.collect();
    assert!(seen.iter().all(|one| *one == seen[0]), "each saw another order");
}

#[test]
fn a_transaction_that_subscribes_hears_of_what_it_changes() {
    let notify = Classes::parse(b"KEA").expect("classes");
    let server = serve_by(Settings { notify, ..Settings::default() }, OutputLimits::default());
    let mut client = Client::new(&server);
    let channel = "$18\n__keyevent@0__:set\n";
    let replies = format!("*2\n*3\n$9\nsubscribe\n{channel}:1\n+OK\n");
    let message = format!("*3\n$7\nmessage\n{channel}$1\nk\n");
    client.ask(
        "MULTI\nSUBSCRIBE __keyevent@0__:set\nSET k v\nEXEC\n",
        &format!("+OK\n+QUEUED\n+QUEUED\n{replies}{message}"),
    );
}

#[test]
fn what_a_client_causes_for_itself_comes_between_its_replies() {
    let server = serve(OutputLimits::default());
    let mut client = Client::new(&server);
    client.send("HELLO 3\nCLIENT TRACKING ON\nECHO ready\n");
    let mut text = Vec::new();
    while !text.ends_with(b"ready\r\n") {
        let mut byte = [0];
        client.0.read_exact(&mut byte).expect("the server greets");
        text.push(byte[0]);
    }
    client.ask("SUBSCRIBE c\n", ">3\n$9\nsubscribe\n$1\nc\n:1\n");
    client.ask(
        "GET k\nSET k 1\nGET k\nPUBLISH c x\nPING\n",
        "_\n+OK\n>2\n$10\ninvalidate\n*1\n$1\nk\n$1\n1\n:1\n>3\n$7\nmessage\n$1\nc\n$1\nx\n+PONG\n",
    );
}

#[test]
fn who_does_not_listen_is_closed_and_holds_nobody_up() {
    // Far more than sockets hold, and so much that who does listen may lag behind.
    const MESSAGES: usize = 400;
    let hard = OutputLimit { hard_bytes: 8_000_000, ..OutputLimit::default() };
    let server = serve(OutputLimits { pubsub: hard, ..OutputLimits::default() });
    let mut publisher = Client::new(&server);
    let _deaf = subscribed(&server, "c");
    let mut other = subscribed(&server, "c");
    let payload = "x".repeat(100_000);
    let reader = std::thread::spawn(move || {
        let head_bytes = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100000\r\n\r\n".len();
        let mut received = vec![0; MESSAGES * (head_bytes + 100_000)];
        other.0.read_exact(&mut received).map(|()| other)
    });
    for _ in 0..MESSAGES {
        publisher.send(&format!("*3\n$7\nPUBLISH\n$1\nc\n$100000\n{payload}\n"));
        let mut reply = [0; 4];
        publisher.0.read_exact(&mut reply).expect("the publisher is answered");
    }
    let _other = reader.join().expect("the reader ends").expect("the other hears everything");
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        publisher.send("PUBSUB NUMSUB c\n");
        let mut reply = vec![0; "*2\r\n$1\r\nc\r\n:1\r\n".len()];
        publisher.0.read_exact(&mut reply).expect("the publisher is answered");
        if reply.ends_with(b":1\r\n") {
            return;
        }
        assert!(Instant::now() < until, "who does not listen is still there");
    }
}

#[test]
fn a_connection_that_ends_takes_its_subscriptions_with_it() {
    let server = serve(OutputLimits::default());
    let mut asking = Client::new(&server);
    drop((subscribed(&server, "c"), subscribed(&server, "c")));
    let until = Instant::now() + Duration::from_secs(10);
    while {
        asking.send("PUBSUB NUMSUB c\n");
        let mut reply = vec![0; "*2\r\n$1\r\nc\r\n:0\r\n".len()];
        asking.0.read_exact(&mut reply).expect("the server answers");
        !reply.ends_with(b":0\r\n")
    } {
        assert!(Instant::now() < until, "the subscriptions are still there");
    }
}
