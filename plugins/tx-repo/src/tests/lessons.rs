//! What went wrong in relayers that kept transactions in Redis by hand, one test each.

use reef_sdk::fake::Server;

use super::{redis, tx, verified, with_one};

#[test]
fn a_counter_read_and_then_written_gives_no_nonce_twice() {
    let mut server = Server::new();
    for other in 0..5 {
        server.before_apply(move |server| {
            server.leave_alone();
            assert!(
                !tx(server, &format!("TX.CREATE r NEXT to 1 ID other{other}")).contains("error")
            );
        });
        assert_eq!(
            tx(&mut server, &format!("TX.CREATE r NEXT to 1 ID mine{other}")),
            format!("\"mine{other}\"")
        );
    }
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 10");
    assert!(!tx(&mut server, "TX.NONCES r 0 10").contains("nil"), "ten creates, ten nonces");
    verified(&mut server);
}

#[test]
fn patches_at_the_same_time_do_not_overwrite_each_other() {
    let mut server = with_one();
    server.before_apply(|server| {
        server.leave_alone();
        tx(server, "TX.UPDATE a SAME GASPRICE 7 FAILURE");
    });
    let after = tx(&mut server, "TX.UPDATE a sent GASLIMIT 9 FAILURE");
    for member in
        ["\"gas_price\":\"7\"", "\"gas_limit\":9", "\"failures\":2", "\"status\":\"sent\""]
    {
        assert!(after.contains(member), "{member}: {after}");
    }
    verified(&mut server);
}

#[test]
fn a_crash_never_leaves_a_body_without_its_index() {
    // Each change is one step of the server: there is no instant between body and index.
    let mut server = Server::new();
    for line in ["TX.CREATE r 1 to 1 ID a", "TX.UPDATE a mined", "TX.BULKCREATE r 2 to 1 3 to 1"] {
        let before = server.applies;
        tx(&mut server, line);
        assert_eq!(server.applies - before, 1, "{line}");
        verified(&mut server);
    }
    let before = server.applies;
    tx(&mut server, "TX.DELETE a");
    assert_eq!(server.applies - before, 1);
    verified(&mut server);
}

#[test]
fn no_nonce_is_burned_between_the_counter_and_the_record() {
    let mut server = Server::new();
    // The batch fails as a whole: the set of the pending is no set.
    redis(&mut server, "SET relayer:r:status:pending text");
    assert!(tx(&mut server, "TX.CREATE r NEXT to 1 ID a").starts_with("(error) WRONGTYPE"));
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 0");
    redis(&mut server, "DEL relayer:r:status:pending");
    assert_eq!(tx(&mut server, "TX.CREATE r NEXT to 1 ID a"), "\"a\"");
    assert!(tx(&mut server, "TX.BYNONCE r 0").contains("\"id\":\"a\""));
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 1");
    verified(&mut server);
}

#[test]
fn preparing_twice_allocates_one_nonce() {
    let mut server = Server::new();
    for _ in 0..3 {
        assert_eq!(tx(&mut server, "TX.CREATE r NEXT to 1 ID a"), "\"a\"");
    }
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 1");
    // The same at the same moment.
    server.before_apply(|server| {
        server.leave_alone();
        assert_eq!(tx(server, "TX.CREATE r NEXT to 1 ID b"), "\"b\"");
    });
    assert_eq!(tx(&mut server, "TX.CREATE r NEXT to 1 ID b"), "\"b\"");
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 2");
    assert!(tx(&mut server, "TX.CREATE r NEXT to 2 ID b").starts_with("(error) IDUSED"));
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 2");
    verified(&mut server);
}

#[test]
fn numbers_beyond_2_to_the_53_and_empty_lists_come_back_as_they_were() {
    let mut server = Server::new();
    tx(&mut server, "TX.NONCE r FLOOR 9007199254740993");
    assert_eq!(tx(&mut server, "TX.CREATE r NEXT to 9007199254740993 ID a"), "\"a\"");
    let json = tx(&mut server, "TX.UPDATE a SAME GASLIMIT 9007199254740993");
    for member in ["\"nonce\":9007199254740993,", "\"gas_limit\":9007199254740993,"] {
        assert!(json.contains(member), "{member}: {json}");
    }
    assert!(!json.contains("hashes"), "no hash is no list, and never an object: {json}");
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 9007199254740994");
    tx(&mut server, "TX.NONCE r FLOOR 9223372036854775807");
    assert!(tx(&mut server, "TX.CREATE r NEXT to 1").starts_with("(error) ERR value is not an"));
    verified(&mut server);
}

#[test]
fn a_total_agrees_with_its_page_whatever_happens_between() {
    let mut server = Server::new();
    server.configure("by-time", "yes");
    for nonce in 0..5 {
        tx(&mut server, &format!("TX.CREATE r {nonce} to 1 ID t{nonce} TTL {}", 10 + nonce));
    }
    server.advance(11_000);
    for order in ["", " OLDEST", " NEWEST"] {
        let page = tx(&mut server, &format!("TX.LIST r pending{order}"));
        assert_eq!(page.matches("\"id\"").count(), 3, "{page}");
        assert!(page.ends_with("(integer) 3]"), "what has expired is not counted: {page}");
    }
}

#[test]
fn creating_twice_creates_once_and_nothing_is_overwritten() {
    let mut server = with_one();
    redis(&mut server, "SET relayer:r:nonce:2 somebody");
    assert!(tx(&mut server, "TX.CREATE r 2 to 1 ID b").starts_with("(error) NONCEUSED"));
    assert_eq!(redis(&mut server, "GET relayer:r:nonce:2"), "\"somebody\"");
    redis(&mut server, "DEL relayer:r:nonce:2");
    verified(&mut server);
}

#[test]
fn a_request_with_a_token_is_answered_the_same_and_creates_once() {
    let mut server = Server::new();
    let line = "TX.CREATE r NEXT to 1 TOKEN t";
    let first = tx(&mut server, line);
    server.advance(1_000);
    assert_eq!(tx(&mut server, line), first);
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 1");
    let id = first.trim_matches('"').to_owned();
    // Also once it has changed, and once it is gone.
    tx(&mut server, &format!("TX.UPDATE {id} sent GASPRICE 9 VALUE 2"));
    assert_eq!(tx(&mut server, line), first);
    tx(&mut server, &format!("TX.DELETE {id}"));
    assert_eq!(tx(&mut server, line), first);
    assert_eq!(
        tx(&mut server, "TX.CREATE r NEXT to 2 TOKEN t"),
        "(error) TOKENUSED another request had the token 't'"
    );
    assert_eq!(redis(&mut server, "EXISTS relayer:r:count"), "(integer) 0");

    let bulk = "TX.BULKCREATE r TOKEN u 7 to 1 8 to 1";
    let ids = tx(&mut server, bulk);
    assert_eq!(ids.matches('"').count(), 4, "{ids}");
    assert_eq!(tx(&mut server, bulk), ids);
    assert!(tx(&mut server, "TX.BULKCREATE r TOKEN u 7 to 1").starts_with("(error) TOKENUSED"));
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"2\"");
    verified(&mut server);
    // With a nonce that is given: the second is no collision with the first.
    let given = tx(&mut server, "TX.CREATE r 9 to 1 TOKEN v");
    assert_eq!(tx(&mut server, "TX.CREATE r 9 to 1 TOKEN v"), given);
}

#[test]
fn the_same_token_at_the_same_moment_creates_once() {
    let mut server = Server::new();
    server.before_apply(|server| {
        server.leave_alone();
        tx(server, "TX.CREATE r NEXT to 1 TOKEN t");
    });
    let loser = tx(&mut server, "TX.CREATE r NEXT to 1 TOKEN t");
    assert_eq!(tx(&mut server, "TX.CREATE r NEXT to 1 TOKEN t"), loser);
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"1\"");
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 1");
    verified(&mut server);
}

#[test]
fn a_token_ends() {
    let mut server = Server::new();
    server.configure("token-ttl", "10");
    let first = tx(&mut server, "TX.CREATE r NEXT to 1 TOKEN t");
    server.advance(10_000);
    assert_ne!(tx(&mut server, "TX.CREATE r NEXT to 1 TOKEN t"), first);
    server.configure("token-ttl", "soon");
    let refused = tx(&mut server, "TX.CREATE r NEXT to 1 TOKEN u");
    assert!(refused.starts_with("(error) ERR the configured 'token-ttl' takes"), "{refused}");
}

#[test]
fn the_next_nonce_is_one_that_nobody_uses() {
    let mut server = Server::new();
    let mut line = "TX.BULKCREATE r".to_owned();
    for nonce in (0..70).chain(71..73) {
        line += &format!(" {nonce} to 1");
    }
    tx(&mut server, &line);
    tx(&mut server, "TX.CREATE r NEXT to 1 ID a");
    assert!(tx(&mut server, "TX.BYNONCE r 70").contains("\"id\":\"a\""));
    tx(&mut server, "TX.CREATE r NEXT to 1 ID b");
    assert!(tx(&mut server, "TX.BYNONCE r 73").contains("\"id\":\"b\""));
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 74");
    verified(&mut server);
}

#[test]
fn a_nonce_is_claimed_only_where_the_counter_stands() {
    let mut server = with_one();
    assert_eq!(tx(&mut server, "TX.NONCE r CLAIM 0"), "(integer) 0");
    assert_eq!(tx(&mut server, "TX.NONCE r CLAIM 0"), "(error) NONCECHANGED the next nonce is 1");
    assert_eq!(
        tx(&mut server, "TX.NONCE r CLAIM 1"),
        "(error) NONCEUSED nonce 1 of relayer 'r' is used by 'a'"
    );
    tx(&mut server, "TX.NONCE r FLOOR 5");
    server.before_apply(|server| {
        server.leave_alone();
        tx(server, "TX.NONCE r CLAIM 5");
    });
    assert_eq!(tx(&mut server, "TX.NONCE r CLAIM 5"), "(error) NONCECHANGED the next nonce is 6");
}

#[test]
fn a_patch_changes_what_it_names_and_says_before_and_after() {
    let mut server = with_one();
    let before = tx(&mut server, "TX.GET a");
    let words = [
        "TX.UPDATE",
        "a",
        "SAME",
        "TO",
        "0xdef",
        "VALUE",
        "5",
        "DATA",
        "0xBE",
        "REASON",
        "price too low",
        "FAILURE",
        "BOTH",
    ];
    let both = server.run(&crate::PLUGIN, &words);
    assert!(both.starts_with(&format!("[{before}, ")), "{both}");
    for member in [
        "\"to\":\"0xdef\"",
        "\"value\":\"5\"",
        "\"data\":\"BE\"",
        "\"reason\":\"price too low\"",
        "\"failures\":1,\"failures_total\":1",
        "\"status\":\"pending\"",
    ] {
        assert!(both.contains(member), "{member}: {both}");
    }
    tx(&mut server, "TX.UPDATE a SAME FAILURE");
    let sent = tx(&mut server, "TX.UPDATE a sent SUCCESS");
    assert!(sent.contains("\"failures\":0,\"failures_total\":2"), "{sent}");
    tx(&mut server, "TX.UPDATE a failed");
    assert!(tx(&mut server, "TX.UPDATE a SAME FAILURE").starts_with("(error) ILLEGALSTATUS"));
    verified(&mut server);
}

#[test]
fn what_is_finished_ends_after_the_configured_time() {
    let mut server = with_one();
    server.configure("finished-ttl", "60");
    tx(&mut server, "TX.CREATE r 2 to 1 ID b");
    tx(&mut server, "TX.UPDATE b sent");
    assert_eq!(redis(&mut server, "PTTL tx:b"), "(integer) -1");
    tx(&mut server, "TX.UPDATE b confirmed");
    assert_eq!(redis(&mut server, "PTTL tx:b"), "(integer) 60000");
    server.advance(30_000);
    tx(&mut server, "TX.UPDATE b confirmed");
    assert_eq!(redis(&mut server, "PTTL tx:b"), "(integer) 30000", "asking again prolongs nothing");
    tx(&mut server, "TX.UPDATE a failed TTL 5");
    assert_eq!(redis(&mut server, "PTTL tx:a"), "(integer) 5000");
    server.advance(30_000);
    assert_eq!(tx(&mut server, "TX.SWEEP"), "(integer) 2");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
}

#[test]
fn a_lock_has_one_owner_and_ends() {
    let mut server = Server::new();
    assert_eq!(tx(&mut server, "TX.LOCK r nonce me 100"), "(integer) 1");
    assert_eq!(tx(&mut server, "TX.LOCK r nonce you 100"), "(integer) 0");
    assert_eq!(tx(&mut server, "TX.UNLOCK r nonce you"), "(integer) 0");
    server.advance(60);
    assert_eq!(tx(&mut server, "TX.LOCK r nonce me 100"), "(integer) 1", "prolonged");
    server.advance(60);
    assert_eq!(tx(&mut server, "TX.LOCK r nonce you 100"), "(integer) 0");
    server.advance(40);
    assert_eq!(tx(&mut server, "TX.LOCK r nonce you 100"), "(integer) 1");
    assert_eq!(tx(&mut server, "TX.UNLOCK r nonce me"), "(integer) 0", "too late");
    assert_eq!(tx(&mut server, "TX.UNLOCK r nonce you"), "(integer) 1");
    server.before_apply(|server| {
        server.leave_alone();
        tx(server, "TX.LOCK r nonce you 100");
    });
    assert_eq!(tx(&mut server, "TX.LOCK r nonce me 100"), "(integer) 0", "the other was first");
    assert!(tx(&mut server, "TX.LOCK r nonce me 0").starts_with("(error) ERR a lock is held"));
    // A lock called like a nonce's key is not one.
    tx(&mut server, "TX.LOCK r x:nonce:5 me 100");
    verified(&mut server);
}
