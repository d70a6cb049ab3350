//! The indexes by time: order, pages, and that they follow every change.

use reef_sdk::fake::Server;

use super::{redis, tx, verified};

fn server() -> Server {
    let mut server = Server::new();
    server.configure("by-time", "yes");
    server
}

/// The ids of all pages, and the totals that came with them.
fn walked(server: &mut Server, line: &str, limit: usize) -> (Vec<String>, Vec<String>) {
    let (mut cursor, mut ids, mut totals) = ("0".to_owned(), Vec::new(), Vec::new());
    loop {
        let page = tx(server, &format!("{line} CURSOR {cursor} LIMIT {limit}"));
        assert!(!page.starts_with("(error)"), "{page}");
        let found = page.split("{\"id\":\"").skip(1);
        let found: Vec<String> =
            found.filter_map(|rest| Some(rest.split('"').next()?.to_owned())).collect();
        assert!(found.len() <= limit);
        ids.extend(found);
        totals.push(page.rsplit(' ').next().unwrap().trim_end_matches(']').to_owned());
        cursor = page[2..].split('"').next().unwrap().to_owned();
        if cursor == "0" {
            return (ids, totals);
        }
    }
}

#[test]
fn pages_go_by_creation_from_either_end() {
    let mut server = server();
    // Names that sort otherwise than the times, and three of one moment.
    for (nonce, id) in ["z", "y", "m1", "m2", "m0", "b", "a"].into_iter().enumerate() {
        tx(&mut server, &format!("TX.CREATE r {nonce} to 1 ID {id}"));
        server.advance(if id.starts_with('m') && id != "m0" { 0 } else { 10 });
    }
    let oldest = ["z", "y", "m0", "m1", "m2", "b", "a"];
    for limit in [1, 2, 3, 7, 100] {
        let (ids, totals) = walked(&mut server, "TX.LIST r pending OLDEST", limit);
        assert_eq!(ids, oldest, "{limit}");
        assert!(totals.iter().all(|total| total == "7"), "{totals:?}");
        let (mut ids, _) = walked(&mut server, "TX.LIST r pending NEWEST", limit);
        ids.reverse();
        assert_eq!(ids, oldest, "{limit}");
    }
    verified(&mut server);
    assert!(
        tx(&mut server, "TX.LIST r pending CURSOR @5:a").starts_with("(error) ERR invalid cur")
    );
    assert!(
        tx(&mut server, "TX.LIST r pending OLDEST CURSOR 5").starts_with("(error) ERR invalid")
    );
}

#[test]
fn confirmed_ones_go_by_confirmation() {
    let mut server = server();
    for (nonce, id) in ["a", "b", "c"].into_iter().enumerate() {
        tx(&mut server, &format!("TX.CREATE r {nonce} to 1 ID {id}"));
        server.advance(10);
    }
    for id in ["c", "a", "b"] {
        tx(&mut server, &format!("TX.UPDATE {id} confirmed"));
        server.advance(10);
    }
    assert_eq!(walked(&mut server, "TX.LIST r confirmed OLDEST", 2).0, ["c", "a", "b"]);
    assert_eq!(walked(&mut server, "TX.LIST r confirmed NEWEST", 2).0, ["b", "a", "c"]);
    assert_eq!(redis(&mut server, "EXISTS relayer:r:by-time:pending"), "(integer) 0");
    verified(&mut server);
}

#[test]
fn what_comes_or_goes_between_pages_skips_and_repeats_nothing() {
    let mut server = server();
    for nonce in 0..6 {
        tx(&mut server, &format!("TX.CREATE r {nonce} to 1 ID t{nonce}"));
        server.advance(1);
    }
    let page = tx(&mut server, "TX.LIST r pending OLDEST LIMIT 3");
    let cursor = page[2..].split('"').next().unwrap().to_owned();
    // One of the first page leaves, so does the one the cursor names, and another arrives.
    tx(&mut server, "TX.UPDATE t0 sent");
    tx(&mut server, "TX.DELETE t2");
    tx(&mut server, "TX.CREATE r 9 to 1 ID t9");
    let rest = tx(&mut server, &format!("TX.LIST r pending OLDEST CURSOR {cursor}"));
    let found: Vec<&str> = rest.split("{\"id\":\"").skip(1).map(|rest| &rest[..2]).collect();
    assert_eq!(found, ["t3", "t4", "t5", "t9"]);
    assert!(rest.ends_with("(integer) 5]"), "{rest}");
}

#[test]
fn many_of_one_moment_are_paged_too() {
    let mut server = server();
    let mut line = "TX.BULKCREATE r".to_owned();
    for nonce in 0..40 {
        line += &format!(" {nonce} to 1");
    }
    tx(&mut server, &line);
    for order in ["OLDEST", "NEWEST"] {
        let (ids, _) = walked(&mut server, &format!("TX.LIST r pending {order}"), 3);
        let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (40, 40), "{order}");
    }
    verified(&mut server);
}

#[test]
fn the_index_follows_deletion_expiry_and_sweep() {
    let mut server = server();
    tx(&mut server, "TX.CREATE r 1 to 1 ID a");
    tx(&mut server, "TX.CREATE r 2 to 1 ID b TTL 10");
    tx(&mut server, "TX.CREATE r 3 to 1 ID c TTL 10");
    tx(&mut server, "TX.UPDATE c confirmed");
    tx(&mut server, "TX.DELETE a");
    verified(&mut server);
    server.advance(10_000);
    verified(&mut server);
    assert_eq!(walked(&mut server, "TX.LIST r pending OLDEST", 5), (vec![], vec!["0".to_owned()]));
    assert_eq!(tx(&mut server, "TX.SWEEP"), "(integer) 2");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
}

#[test]
fn without_the_configuration_nothing_is_kept_and_order_is_refused() {
    let mut server = Server::new();
    tx(&mut server, "TX.CREATE r 1 to 1 ID a");
    assert_eq!(redis(&mut server, "KEYS *by-time*"), "[]");
    assert!(tx(&mut server, "TX.LIST r pending OLDEST").starts_with("(error) NOTINDEXED there is"));
    // Switched on later: refused until it is whole, never a page with holes.
    server.configure("by-time", "yes");
    assert!(
        tx(&mut server, "TX.LIST r pending OLDEST").starts_with("(error) NOTINDEXED the index")
    );
    assert!(tx(&mut server, "TX.VERIFY").contains("not exactly pending"));
    assert_eq!(tx(&mut server, "TX.REPAIR r"), "[\"0\", (integer) 0]");
    assert_eq!(walked(&mut server, "TX.LIST r pending OLDEST", 5).0, ["a"]);
    verified(&mut server);
    server.configure("by-time", "perhaps");
    assert!(tx(&mut server, "TX.GET a").starts_with("(error) ERR the configured 'by-time'"));
}

#[test]
fn verification_finds_every_way_an_index_by_time_can_be_wrong() {
    for (damage, fault) in [
        (
            "ZREM relayer:r:by-time:pending a",
            "is not exactly pending at 1750000000000 in the index",
        ),
        ("ZADD relayer:r:by-time:pending 5 a", "is not exactly pending at 1750000000000"),
        ("ZADD relayer:r:by-time:sent 1750000000000 a", "is not exactly pending at"),
        (
            "ZADD relayer:r:by-time:sent 5 x",
            "'x': is sent by time for relayer 'r' and has no record",
        ),
        ("ZADD relayer:r:by-time:sent 5 x", "relayer 'r': sets hold 1, by time 2"),
        ("SET relayer:r:by-time:sent x", "relayer 'r': 'sent' by time holds another type"),
        ("SET relayer:r:by-time:sent x", "'a': 'by-time' of relayer 'r' holds another type"),
    ] {
        let mut server = server();
        tx(&mut server, "TX.CREATE r 1 to 1 ID a");
        redis(&mut server, damage);
        let found = tx(&mut server, "TX.VERIFY");
        assert!(found.contains(fault), "{damage}: {found}");
        // Names its set only if every cursor can be followed.
        assert!(super::follow(&mut server).contains(fault), "{damage}");
        assert_eq!(tx(&mut server, "TX.REPAIR r"), "[\"0\", (integer) 0]");
        verified(&mut server);
    }
}
