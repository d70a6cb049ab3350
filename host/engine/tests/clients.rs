//! What clients see of each other, where the numbers of transcripts' clients would be needed.

use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_resp::OwnedArgv;

fn run(solo: &mut Solo, client: u64, line: &str) -> String {
    let argv: OwnedArgv = line.split(' ').collect();
    let (reply, _) = solo.run(client, argv.as_argv());
    String::from_utf8(reply).expect("these replies are text")
}

fn listed_ids(reply: &str) -> Vec<u64> {
    let ids = reply.split_whitespace().filter_map(|word| word.strip_prefix("id="));
    ids.map(|id| id.parse().expect("an id is a number")).collect()
}

#[test]
fn client_list_gives_ids_in_the_order_in_which_they_were_asked_for() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let [first, second] = [solo.connect(), solo.connect()];
    assert_eq!(listed_ids(&run(&mut solo, first, "CLIENT LIST")), [first, second]);
    let asked = format!("CLIENT LIST ID {second} 999 {first} {second} -1");
    assert_eq!(listed_ids(&run(&mut solo, first, &asked)), [second, first, second]);
}

#[test]
fn client_kill_by_id_spares_the_caller_unless_told_otherwise() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let [first, second] = [solo.connect(), solo.connect()];
    assert_eq!(run(&mut solo, first, &format!("CLIENT KILL ID {second}")), ":1\r\n");
    assert!(!solo.is_open(second) && solo.is_open(first));
    assert_eq!(run(&mut solo, first, &format!("CLIENT KILL ID {first}")), ":0\r\n");
    assert_eq!(run(&mut solo, first, &format!("CLIENT KILL ID {first} SKIPME no")), ":1\r\n");
    assert!(!solo.is_open(first));
}

#[test]
fn client_kill_by_age_waits_until_a_connection_is_old() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let [first, second] = [solo.connect(), solo.connect()];
    assert_eq!(run(&mut solo, first, "CLIENT KILL MAXAGE 10"), ":0\r\n");
    assert!(run(&mut solo, first, "CLIENT KILL MAXAGE 0").starts_with("-ERR maxage should be"));
    assert!(run(&mut solo, first, "CLIENT KILL MAXAGE x").starts_with("-ERR maxage is not an"));
    solo.advance(10_000);
    assert_eq!(run(&mut solo, first, "CLIENT KILL MAXAGE 10"), ":1\r\n");
    assert!(!solo.is_open(second));
}

#[test]
fn a_killed_clients_watches_are_gone() {
    let mut solo = Solo::new(1, 8, Settings::default());
    let [first, second] = [solo.connect(), solo.connect()];
    run(&mut solo, second, "WATCH k");
    run(&mut solo, first, &format!("CLIENT KILL ID {second}"));
    run(&mut solo, first, "SET k v");
    solo.check();
}

/// Who goes on after a pause may have ended another pause itself, and others' with it: they go on
/// once, and wait as long as they have to.
#[test]
fn a_pause_that_ends_within_another_loses_no_wait() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let [first, second, third] = [solo.connect(), solo.connect(), solo.connect()];
    assert_eq!(run(&mut solo, third, "CLIENT PAUSE 100 WRITE"), "+OK\r\n");
    for (client, line) in [(first, "SET k v"), (first, "CLIENT UNPAUSE"), (second, "BLPOP l 0")] {
        assert_eq!(run(&mut solo, client, line), "");
    }
    solo.advance(100);
    assert_eq!(solo.take_unasked(first), b"+OK\r\n+OK\r\n");
    assert_eq!(run(&mut solo, third, &format!("CLIENT UNBLOCK {second}")), ":1\r\n");
    assert_eq!(solo.take_unasked(second), b"*-1\r\n");
    solo.check();
}

#[test]
fn client_unblock_ends_a_wait_for_copies() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let [first, second] = [solo.connect(), solo.connect()];
    let ways = [
        ("WAIT 1 0", "TIMEOUT", ":0\r\n"),
        ("WAITAOF 0 1 0", "TIMEOUT", "*2\r\n:0\r\n:0\r\n"),
        ("WAIT 1 0", "ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
    ];
    for (line, how, heard) in ways {
        assert_eq!(run(&mut solo, second, line), "");
        assert_eq!(run(&mut solo, second, "PING"), "");
        assert_eq!(solo.take_unasked(second), b"");
        assert_eq!(run(&mut solo, first, &format!("CLIENT UNBLOCK {second} {how}")), ":1\r\n");
        assert_eq!(solo.take_unasked(second), format!("{heard}+PONG\r\n").as_bytes());
        assert_eq!(run(&mut solo, first, &format!("CLIENT UNBLOCK {second}")), ":0\r\n");
    }
    solo.check();
}

#[test]
fn who_waits_for_copies_may_go() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let [first, second] = [solo.connect(), solo.connect()];
    assert_eq!(run(&mut solo, second, "WAIT 1 100"), "");
    solo.disconnect(second);
    solo.advance(1000);
    assert_eq!(solo.take_unasked(second), b"");
    assert_eq!(run(&mut solo, first, "PING"), "+PONG\r\n");
}

#[test]
fn lastsave_tells_when_the_data_was_saved() {
    let mut solo = Solo::new(1, 8, Settings::default());
    let client = solo.connect();
    let mut saved_at = run(&mut solo, client, "LASTSAVE");
    for line in ["SAVE", "BGSAVE", "BGSAVE SCHEDULE"] {
        solo.advance(5000);
        assert_eq!(run(&mut solo, client, "LASTSAVE"), saved_at);
        run(&mut solo, client, line);
        let before = std::mem::replace(&mut saved_at, run(&mut solo, client, "LASTSAVE"));
        let seconds = |reply: &str| reply[1..].trim_end().parse::<u64>().expect("seconds");
        assert_eq!(seconds(&saved_at), seconds(&before) + 5);
    }
    solo.advance(5000);
    run(&mut solo, client, "BGREWRITEAOF");
    assert_eq!(run(&mut solo, client, "LASTSAVE"), saved_at);
}

/// A reply that is not sent would make half a reply of the transaction's.
#[test]
fn every_command_of_a_transaction_has_its_reply() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let client = solo.connect();
    for line in ["MULTI", "REPLCONF ACK 1", "PING"] {
        run(&mut solo, client, line);
    }
    assert_eq!(run(&mut solo, client, "EXEC"), "*2\r\n+OK\r\n+PONG\r\n");
}
