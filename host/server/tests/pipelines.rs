//! Commands that come together do and reply what they do and reply when each comes alone,
//! whatever those in front of them did: over real sockets, with one shard and with several.

mod client;

use std::io::{Read, Write};
use std::time::Duration;

use client::Client;
use reef_engine::settings::Settings;
use reef_server::{Options, Server, Store};

fn serve(shards: usize, password: &str) -> Server {
    let options = Options { port_any: true, workers: 1, ..Options::default() };
    let settings = Settings { password: password.as_bytes().into(), ..Settings::default() };
    let store = Store::new(1, shards, settings);
    let mut server = Server::start(store, options, None, None, 1).expect("the server starts");
    server.load().expect("there is nothing to load");
    server
}

/// A command as clients send it.
fn frame(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// Numbers that are the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % end
    }
}

/// A command that reads, changes, waits, or changes what the commands behind it mean. Every reply
/// is one value. `%` stands for a key.
const COMMANDS: &[&str] = &[
    "GET %",
    "GET %",
    "GET %",
    "SET % v",
    "SET % 1",
    "APPEND % tail",
    "INCR %",
    "DEL %",
    "GETDEL %",
    "RENAME % %",
    "COPY % % DB 1",
    "MGET % % %",
    "RPUSH % a b",
    "LPOP %",
    "BLPOP % 0.001",
    "TYPE %",
    "BLMOVE % % LEFT RIGHT 0.001",
    "SELECT 0",
    "SELECT 1",
    "SWAPDB 0 1",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH %",
    "FLUSHDB",
    "FLUSHALL ASYNC",
    "GET",
    "NOPE %",
    "OBJECT FREQ %",
    "AUTH wrong",
    "RESET",
    "SUBSCRIBE %",
    "UNSUBSCRIBE %",
    "PING",
    "CLIENT PAUSE 2 WRITE",
    "CLIENT NO-TOUCH ON",
    "DBSIZE",
    "PEXPIREAT % 1",
    "DUMP %",
];

/// Random commands, as frames and as lines, over a database that is worth looking ahead in.
fn commands(draws: &mut Draws, count: usize) -> Vec<Vec<u8>> {
    let large = "x".repeat(600_000);
    let mut commands = Vec::new();
    for _ in 0..count {
        if draws.below(40) == 0 {
            commands.push(frame(&["SET", "large", &large]));
        }
        let words: Vec<String> = COMMANDS[draws.below(COMMANDS.len())]
            .split(' ')
            .map(|word| word.replace('%', &format!("key:{}", draws.below(6))))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        commands.push(match draws.below(8) {
            0 => format!("{}\r\n", words.join(" ")).into_bytes(),
            _ => frame(&words),
        });
    }
    commands
}

/// Reads one reply, and nothing behind it.
fn reply(client: &mut Client) -> Vec<u8> {
    let mut reply = Vec::new();
    let mut values = 1;
    while values > 0 {
        let start = reply.len();
        while !reply[start..].ends_with(b"\r\n") {
            let mut byte = [0];
            client.0.read_exact(&mut byte).expect("the server answers");
            reply.push(byte[0]);
        }
        let line = String::from_utf8_lossy(&reply[start..reply.len() - 2]).into_owned();
        let number = || line[1..].parse::<i64>().expect("a length");
        match line.as_bytes()[0] {
            b'$' if number() >= 0 => {
                let end = reply.len();
                reply.resize(end + number() as usize + 2, 0);
                client.0.read_exact(&mut reply[end..]).expect("the server sends it all");
            }
            b'*' => values += number().max(0),
            _ => {}
        }
        values -= 1;
    }
    reply
}

/// Bytes as a failed test shows them.
fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(200)].escape_ascii().to_string()
}

fn rest(client: &mut Client) -> String {
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).expect("the server closes the connection");
    String::from_utf8_lossy(&rest).into_owned()
}

/// Sends bytes in pieces of random sizes, now and then with a moment between them.
fn send_in_pieces(client: &mut Client, mut bytes: &[u8], draws: &mut Draws) {
    client.0.set_nodelay(true).expect("a socket option");
    while !bytes.is_empty() {
        let size = if draws.below(4) == 0 { 100_000 } else { 1 + draws.below(300) };
        let (piece, behind) = bytes.split_at(size.min(bytes.len()));
        client.0.write_all(piece).expect("the server reads");
        bytes = behind;
        if draws.below(8) == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

#[test]
fn together_and_alone_commands_do_the_same() {
    // Where commands run together, the frame that is none ends them, and what is behind it never runs.
    let malformed = b"*1\r\n+PING\r\n*3\r\n$3\r\nSET\r\n$5\r\nkey:0\r\n$3\r\nbad\r\n";
    let error = "-ERR Protocol error: expected '$', got '+'\r\n";
    for (seed, shards) in [(1, 1), (2, 1), (3, 8), (4, 1)] {
        let mut draws = Draws(seed);
        let commands = commands(&mut draws, 800);
        let server = serve(shards, "");
        let mut alone = Client::new(&server);
        let mut expected = Vec::new();
        for command in &commands {
            alone.0.write_all(command).expect("the server reads");
            expected.push(reply(&mut alone));
        }
        alone.0.write_all(malformed).expect("the server reads");
        assert_eq!(rest(&mut alone), error);
        for in_pieces in [false, true] {
            let server = serve(shards, "");
            let mut together = Client::new(&server);
            let mut sender = Client(together.0.try_clone().expect("a socket is cloned"));
            let bytes = [commands.concat(), malformed.to_vec()].concat();
            let sending = std::thread::spawn(move || match in_pieces {
                true => send_in_pieces(&mut sender, &bytes, &mut Draws(seed)),
                false => sender.0.write_all(&bytes).expect("the server reads"),
            });
            for (index, expected) in expected.iter().enumerate() {
                let got = shown(&reply(&mut together));
                let before: Vec<_> =
                    commands[..=index].iter().rev().take(8).map(|bytes| shown(bytes)).collect();
                assert_eq!(
                    got,
                    shown(expected),
                    "seed {seed}, in pieces: {in_pieces}, {before:#?}"
                );
            }
            assert_eq!(rest(&mut together), error);
            sending.join().expect("the sender ends");
        }
    }
}

#[test]
fn what_a_client_may_send_is_decided_at_each_commands_turn() {
    let twelve = frame(&["DEL", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]);
    let get = frame(&["GET", "k"]);
    let (right, wrong) = (frame(&["AUTH", "secret"]), frame(&["AUTH", "wrong"]));
    let server = serve(1, "secret");
    let run = |pipeline: &[&[u8]]| {
        let mut client = Client::new(&server);
        client.0.write_all(&pipeline.concat()).expect("the server reads");
        rest(&mut client)
    };
    let no_auth = "-NOAUTH Authentication required.\r\n";
    let invalid = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    let too_many = "-ERR Protocol error: unauthenticated multibulk length\r\n";
    let quit = frame(&["QUIT"]);
    assert_eq!(
        run(&[&get, &wrong, &get, &right, &twelve, &get, &quit, &get]),
        format!("{no_auth}{invalid}{no_auth}+OK\r\n:0\r\n$-1\r\n+OK\r\n")
    );
    // Found while the client was known, it would have been let through.
    assert_eq!(
        run(&[&right, &get, &frame(&["RESET"]), &twelve, &get]),
        format!("+OK\r\n$-1\r\n+RESET\r\n{too_many}")
    );
    // And the other way round.
    assert_eq!(run(&[&get, &twelve, &right]), format!("{no_auth}{too_many}"));
}

/// A moment in which the server receives what was sent.
fn let_it_arrive() {
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn what_comes_behind_a_command_that_waits_or_ends_does_not_overtake_it() {
    let server = serve(1, "");
    let (mut client, mut other) = (Client::new(&server), Client::new(&server));
    // The second wait is with the server already when the first one ends, the last command is not.
    client.send("BLPOP a 0\nBLPOP b 0\nPING\n");
    let_it_arrive();
    client.send("ECHO late\n");
    let_it_arrive();
    other.ask("RPUSH a x\n", ":1\n");
    client.expect("*2\n$1\na\n$1\nx\n");
    let_it_arrive();
    other.ask("RPUSH b y\n", ":1\n");
    client.expect("*2\n$1\nb\n$1\ny\n+PONG\n$4\nlate\n");
    client.send("BLPOP a 0\nQUIT\n");
    let_it_arrive();
    client.send("SET k v\n");
    let_it_arrive();
    other.ask("RPUSH a x\n", ":1\n");
    client.expect("*2\n$1\na\n$1\nx\n+OK\n");
    other.ask("GET k\n", "$-1\n");
}
