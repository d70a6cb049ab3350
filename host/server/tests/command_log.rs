//! COMMANDLOG over real sockets: what was large is kept, in a transaction too, and nothing else.

mod client;

use client::Client;
use reef_engine::settings::{Settings, SizeLogLimits, SlowLogLimits};
use reef_server::{Options, Server, Store};

#[test]
fn large_requests_and_replies_are_kept_and_others_are_not() {
    let large = |threshold_bytes| SizeLogLimits { threshold_bytes, entries_max: 2 };
    let slow_log = SlowLogLimits {
        threshold_us: -1,
        requests: large(100),
        replies: large(200),
        ..Default::default()
    };
    let options = Options { port_any: true, ..Options::default() };
    let store = Store::new(1, 8, Settings { slow_log, ..Settings::default() });
    let mut server = Server::start(store, options, None, None, 1).expect("the server starts");
    server.load().expect("there is nothing to load");
    let mut client = Client::new(&server);
    let text = "x".repeat(120);
    client.ask(&format!("SET k {text}\n"), "+OK\n");
    client.ask("GET k\n", &format!("$120\n{text}\n"));
    client.ask("COMMANDLOG LEN large-request\nCOMMANDLOG LEN large-reply\n", ":1\n:0\n");
    let both = format!("*2\n$120\n{text}\n$120\n{text}\n");
    client.ask("MGET k k\n", &both);
    client.ask("COMMANDLOG LEN large-reply\nCOMMANDLOG LEN slow\n", ":1\n:0\n");
    client
        .ask("MULTI\nMGET k k\nPING\nEXEC\n", &format!("+OK\n+QUEUED\n+QUEUED\n*2\n{both}+PONG\n"));
    client.ask("COMMANDLOG LEN large-reply\n", ":2\n");
    client.ask("MGET k k\n", &both);
    client.ask("COMMANDLOG LEN large-reply\nCOMMANDLOG RESET large-reply\n", ":2\n+OK\n");
    client.ask("COMMANDLOG GET 5 large-reply\nCOMMANDLOG LEN large-request\n", "*0\n:1\n");
}
