//! What is left when records vanish behind the plugin's back, and the layout for clusters.

use reef_sdk::fake::Server;

use super::{redis, tx, verified, with_one};

#[test]
fn what_a_vanished_record_leaves_is_taken_back() {
    let mut server = with_one();
    tx(&mut server, "TX.CREATE r 2 to 1 ID b TTL 60");
    tx(&mut server, "TX.CREATE r 3 to 1 ID c");
    tx(&mut server, "TX.UPDATE c mined");
    redis(&mut server, "DEL tx:a tx:b");
    redis(&mut server, "SADD relayer:r:status:sent c");
    redis(&mut server, "SET relayer:r:count 17");
    assert_ne!(tx(&mut server, "TX.VERIFY"), "[]");
    // Two ids, one false membership, two nonces.
    assert_eq!(tx(&mut server, "TX.REPAIR r"), "[\"0\", (integer) 5]");
    verified(&mut server);
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"1\"");
    assert_eq!(tx(&mut server, "TX.CREATE r 1 0xabc 5 ID a"), "\"a\"", "id and nonce are free");
    assert_eq!(tx(&mut server, "TX.REPAIR r"), "[\"0\", (integer) 0]");
    verified(&mut server);
}

#[test]
fn the_last_vanished_record_takes_the_relayer_along() {
    let mut server = with_one();
    redis(&mut server, "DEL tx:a");
    tx(&mut server, "TX.REPAIR r");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
    assert_eq!(tx(&mut server, "TX.REPAIR nobody"), "[\"0\", (integer) 0]");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
}

#[test]
fn a_repair_takes_nothing_back_that_changes_meanwhile() {
    let mut server = with_one();
    redis(&mut server, "DEL tx:a");
    server.before_apply(|server| {
        // The first batch forgets the indexes by time; the second would take `a` back.
        if server.redis(&["EXISTS", "seen"]) == "(integer) 0" {
            server.redis(&["SET", "seen", "1"]);
            return;
        }
        server.leave_alone();
        assert_eq!(tx(server, "TX.CREATE r 5 to 1 ID b"), "\"b\"");
        tx(server, "TX.UPDATE b sent");
    });
    tx(&mut server, "TX.REPAIR r");
    redis(&mut server, "DEL seen");
    assert_eq!(redis(&mut server, "SMEMBERS relayer:r:status:sent"), "[\"b\"]");
    verified(&mut server);
}

#[test]
fn a_repair_of_many_pages_ends() {
    let mut server = Server::new();
    for nonce in 0..300 {
        tx(&mut server, &format!("TX.CREATE r {nonce} to 1 ID t{nonce}"));
        if nonce % 3 == 0 {
            redis(&mut server, &format!("DEL tx:t{nonce}"));
        }
    }
    assert_eq!(tx(&mut server, "TX.REPAIR r"), "[\"0\", (integer) 200]");
    verified(&mut server);
    assert!(tx(&mut server, "TX.REPAIR r CURSOR 9.0").starts_with("(error) ERR invalid cursor"));
}

/// A cluster with the tagged layout.
fn cluster() -> Server {
    let mut server = Server::new();
    server.configure("layout", "tagged");
    server.configure("by-time", "yes");
    server.refuse_cross_slot();
    server
}

#[test]
fn on_a_cluster_every_step_stays_in_one_slot() {
    let mut server = cluster();
    let id = tx(&mut server, "TX.CREATE r 1 to 1").trim_matches('"').to_owned();
    assert!(id.starts_with("r.") && id.len() == 28, "{id}");
    for line in [
        "TX.CREATE r NEXT to 1 ID r.a TOKEN t TTL 60",
        "TX.CREATE r NEXT to 1 ID r.a TOKEN t TTL 60",
        "TX.BULKCREATE r TOKEN b 7 to 1 8 to 1",
        "TX.UPDATE r.a confirmed HASH 0xa BOTH",
        "TX.GET r.a",
        "TX.BYNONCE r 7",
        "TX.LIST r pending",
        "TX.LIST r pending NEWEST LIMIT 1",
        "TX.NONCES r 0 9",
        "TX.NONCE r FLOOR 2",
        "TX.NONCE r CLAIM 2",
        "TX.LOCK r l me 100",
        "TX.UNLOCK r l me",
        "TX.CREATE s 1 to 1 ID s.1",
        "TX.STATS",
        "TX.STATS r",
        "TX.REPAIR r",
        "TX.SWEEP",
        "TX.VERIFY r",
        "TX.VERIFY",
    ] {
        let reply = tx(&mut server, line);
        assert!(!reply.contains("(error)"), "{line}: {reply}");
    }
    verified(&mut server);
    assert_eq!(redis(&mut server, "SMEMBERS relayers"), "[\"r\", \"s\"]");
    assert_eq!(redis(&mut server, "GET lookup:{r}.a"), "\"r\"");
    server.advance(60_000);
    assert_eq!(tx(&mut server, "TX.SWEEP r"), "(integer) 1");
    let deleted = tx(&mut server, &format!("TX.DELETE {id}"));
    assert_eq!(deleted, "[(integer) 1, []]");
    verified(&mut server);
}

#[test]
fn on_a_cluster_a_batch_that_spans_relayers_is_refused_before_anything() {
    let mut server = cluster();
    tx(&mut server, "TX.CREATE r 1 to 1 ID r.1");
    tx(&mut server, "TX.CREATE s 1 to 1 ID s.1");
    let steps = (server.reads, server.applies);
    assert_eq!(
        tx(&mut server, "TX.DELETE r.1 s.1"),
        "(error) CROSSSLOT Keys in request don't hash to the same slot"
    );
    assert_eq!((server.reads, server.applies), steps);
    for line in
        ["TX.GET 1", "TX.CREATE r 2 to 1 ID s.2", "TX.CREATE r 2 to 1 ID 2", "TX.UPDATE 1 sent"]
    {
        assert!(tx(&mut server, line).contains("in the tagged layout an id is"), "{line}");
    }
    assert!(tx(&mut server, "TX.CREATE a}b 2 to 1").contains("no braces"));
    server.configure("layout", "flat");
    assert!(tx(&mut server, "TX.STATS").contains("'layout' is 'plain' or 'tagged'"));
}

#[test]
fn on_a_cluster_the_list_of_relayers_follows_and_shrinks() {
    let mut server = cluster();
    tx(&mut server, "TX.CREATE r 1 to 1 ID r.1");
    // A crash between the two steps, in both directions.
    redis(&mut server, "DEL relayers");
    redis(&mut server, "SADD relayers ghost");
    tx(&mut server, "TX.SWEEP");
    assert_eq!(redis(&mut server, "SMEMBERS relayers"), "[\"r\"]");
    tx(&mut server, "TX.DELETE r.1");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
}
