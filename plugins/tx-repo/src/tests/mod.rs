//! The whole plugin against the SDK's server in memory: every command, and the races.

mod by_time;
mod lessons;
mod repair;

use reef_sdk::fake::Server;

use crate::PLUGIN;
use crate::status::Status;

/// Runs a line of words.
fn tx(server: &mut Server, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    server.run(&PLUGIN, &words)
}

fn redis(server: &mut Server, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    server.redis(&words)
}

fn verified(server: &mut Server) {
    assert_eq!(tx(server, "TX.VERIFY"), "[]");
}

/// A server with one transaction `a` of relayer `r`, nonce 1.
fn with_one() -> Server {
    let mut server = Server::new();
    assert_eq!(tx(&mut server, "TX.CREATE r 1 0xabc 1000 ID a"), "\"a\"");
    server
}

#[test]
fn creating_is_one_host_call_and_makes_exactly_these_keys() {
    let mut server = with_one();
    assert_eq!((server.reads, server.applies), (0, 1));
    assert_eq!(
        redis(&mut server, "KEYS *"),
        "[\"lookup:a\", \"relayer:r:count\", \"relayer:r:nonce:1\", \"relayer:r:status:pending\", \
         \"relayers\", \"tx:a\"]"
    );
    assert_eq!(redis(&mut server, "GET lookup:a"), "\"r\"");
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"1\"");
    assert_eq!(redis(&mut server, "GET relayer:r:nonce:1"), "\"a\"");
    assert_eq!(redis(&mut server, "SMEMBERS relayer:r:status:pending"), "[\"a\"]");
    assert_eq!(redis(&mut server, "SMEMBERS relayers"), "[\"r\"]");
    let json = "{\"id\":\"a\",\"relayer_id\":\"r\",\"nonce\":1,\"to\":\"0xabc\",\"value\":\"1000\",\
                \"status\":\"pending\",\"created_at\":1750000000000,\"updated_at\":1750000000000}";
    assert_eq!(tx(&mut server, "TX.GET a"), format!("\"{json}\""));
    assert_eq!(tx(&mut server, "TX.BYNONCE r 1"), format!("\"{json}\""));
    assert_eq!(tx(&mut server, "TX.GET b"), "(nil)");
    assert_eq!(tx(&mut server, "TX.BYNONCE r 2"), "(nil)");
    verified(&mut server);
}

#[test]
fn all_options_arrive_in_the_record() {
    let mut server = Server::new();
    let line = "TX.CREATE r 18446744073709551615 to 5 gasprice 7 GASLIMIT 9007199254740993 DATA \
                0xBEEF TTL 60 ID x";
    assert_eq!(tx(&mut server, line), "\"x\"");
    let json = tx(&mut server, "TX.GET x");
    for member in [
        "\"nonce\":18446744073709551615",
        "\"gas_price\":\"7\"",
        "\"gas_limit\":9007199254740993",
        "\"data\":\"BEEF\"",
        "\"expires_at\":1750000060000",
    ] {
        assert!(json.contains(member), "{member} is missing: {json}");
    }
    verified(&mut server);
}

#[test]
fn generated_ids_are_ulids_and_differ() {
    let mut server = Server::new();
    let first = tx(&mut server, "TX.CREATE r 1 to 1");
    let second = tx(&mut server, "TX.CREATE r 2 to 1");
    assert_eq!(first.len(), 28, "26 characters and the quotes");
    assert!(first < second);
    verified(&mut server);
}

#[test]
fn a_repeated_create_succeeds_and_another_with_the_id_is_refused() {
    let mut server = with_one();
    assert_eq!(tx(&mut server, "TX.CREATE r 1 0xabc 1000 ID a"), "\"a\"");
    tx(&mut server, "TX.UPDATE a sent");
    assert_eq!(tx(&mut server, "TX.CREATE r 1 0xabc 1000 ID a"), "\"a\"");
    let refused = tx(&mut server, "TX.CREATE r 1 0xabc 1001 ID a");
    assert_eq!(refused, "(error) IDUSED another transaction has the id 'a'");
    assert_eq!(tx(&mut server, "TX.CREATE s 1 0xabc 1000 ID a"), refused);
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"1\"");
    verified(&mut server);
}

#[test]
fn a_nonce_is_used_once_per_relayer() {
    let mut server = with_one();
    let refused = "(error) NONCEUSED nonce 1 of relayer 'r' is used by 'a'";
    assert_eq!(tx(&mut server, "TX.CREATE r 1 to 5"), refused);
    assert_eq!(tx(&mut server, "TX.CREATE r 1 to 5 ID b"), refused);
    assert_eq!(tx(&mut server, "TX.CREATE s 1 to 5 ID b"), "\"b\"");
    assert_eq!(tx(&mut server, "TX.BULKCREATE r 2 to 1 1 to 1"), refused);
    assert_eq!(
        tx(&mut server, "TX.BULKCREATE r 2 to 1 2 to 1"),
        "(error) NONCEUSED nonce 2 is given twice"
    );
    assert_eq!(redis(&mut server, "EXISTS relayer:r:nonce:2"), "(integer) 0");
    verified(&mut server);
}

#[test]
fn a_bulk_is_one_host_call() {
    let mut server = Server::new();
    let mut line = "TX.BULKCREATE r".to_owned();
    for nonce in 0..100 {
        line += &format!(" {nonce} to {nonce}");
    }
    let ids = tx(&mut server, &line);
    assert_eq!(ids.matches('"').count(), 200);
    assert_eq!((server.reads, server.applies), (0, 1));
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"100\"");
    assert!(tx(&mut server, "TX.BYNONCE r 77").contains("\"value\":\"77\""));
    verified(&mut server);
}

#[test]
fn bad_arguments_are_refused_before_anything_happens() {
    let mut server = Server::new();
    for (line, text) in [
        ("TX.CREATE r 1 to", "ERR wrong number of arguments for 'tx.create' command"),
        ("TX.CREATE r x to 1", "ERR value is not an integer or out of range"),
        ("TX.CREATE r -1 to 1", "ERR value is not an integer or out of range"),
        ("TX.CREATE r 18446744073709551616 to 1", "ERR value is not an integer or out of range"),
        ("TX.CREATE r 1 to 1.5", "ERR an amount is a decimal integer of at most 78 digits"),
        ("TX.CREATE r 1 to 1 WHAT", "ERR syntax error"),
        ("TX.CREATE r 1 to 1 ID", "ERR syntax error"),
        ("TX.CREATE r 1 to 1 TTL 0", "ERR a TTL takes 1 second to 10 years, in seconds"),
        ("TX.BULKCREATE r 1 to 1 2", "ERR wrong number of arguments for 'tx.bulkcreate' command"),
        ("TX.GET a b", "ERR wrong number of arguments for 'tx.get' command"),
        ("TX.LIST r pending LIMIT 0", "ERR a page takes 1 to 1000 entries"),
        ("TX.LIST r pending CURSOR x", "ERR invalid cursor"),
        ("TX.NONCE r UP", "ERR syntax error"),
        ("TX.NONCES r 18446744073709551615 2", "ERR a page takes 1 to 1000 entries"),
        ("TX.STATS r s", "ERR syntax error"),
        ("TX.VERIFY r CURSOR 0 x", "ERR syntax error"),
    ] {
        assert_eq!(tx(&mut server, line), format!("(error) {text}"), "{line}");
    }
    assert!(tx(&mut server, "TX.LIST r done").starts_with("(error) ERR unknown status"));
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
    assert_eq!(server.applies, 0);
}

#[test]
fn an_update_moves_the_transaction_between_the_sets() {
    let mut server = with_one();
    let sent = tx(&mut server, "TX.UPDATE a sent HASH 0xa");
    assert!(sent.contains("\"status\":\"sent\",\"hash\":\"0xa\",\"hashes\":[\"0xa\"]"), "{sent}");
    assert_eq!(redis(&mut server, "EXISTS relayer:r:status:pending"), "(integer) 0");
    assert_eq!(redis(&mut server, "SMEMBERS relayer:r:status:sent"), "[\"a\"]");
    server.advance(5);
    let both = tx(&mut server, "TX.UPDATE a confirmed HASH 0xb BOTH");
    assert!(both.starts_with(&format!("[{sent}, \"{{")), "{both}");
    for member in [
        "\"hash\":\"0xb\",\"hashes\":[\"0xa\",\"0xb\"]",
        "\"updated_at\":1750000000005",
        "\"confirmed_at\":1750000000005",
    ] {
        assert!(both.contains(member), "{member} is missing: {both}");
    }
    verified(&mut server);
}

#[test]
fn a_finished_transaction_never_changes() {
    let mut server = with_one();
    let confirmed = tx(&mut server, "TX.UPDATE a confirmed HASH 0xa");
    server.advance(5);
    assert_eq!(tx(&mut server, "TX.UPDATE a confirmed HASH 0xa"), confirmed, "a repeated request");
    for line in ["TX.UPDATE a confirmed HASH 0xb", "TX.UPDATE a failed", "TX.UPDATE a pending"] {
        assert!(tx(&mut server, line).starts_with("(error) ILLEGALSTATUS 'a' cannot be"), "{line}");
    }
    assert_eq!(tx(&mut server, "TX.GET a"), confirmed);
    verified(&mut server);
}

#[test]
fn an_update_may_depend_on_the_status() {
    let mut server = with_one();
    assert_eq!(
        tx(&mut server, "TX.UPDATE a sent IF mined"),
        "(error) STATUSCHANGED 'a' is pending"
    );
    assert!(tx(&mut server, "TX.UPDATE a sent IF pending").contains("\"status\":\"sent\""));
    assert_eq!(tx(&mut server, "TX.UPDATE b sent"), "(error) NOTX no transaction 'b'");
}

#[test]
fn a_lost_race_is_run_again_on_what_the_winner_left() {
    let mut server = with_one();
    let mut rounds = 0;
    server.before_apply(move |server| {
        rounds += 1;
        if rounds == 1 {
            server.leave_alone();
            tx(server, "TX.UPDATE a sent HASH 0xwinner");
        }
    });
    let after = tx(&mut server, "TX.UPDATE a mined HASH 0xloser");
    assert!(after.contains("\"hashes\":[\"0xwinner\",\"0xloser\"]"), "{after}");
    assert_eq!(redis(&mut server, "SMEMBERS relayer:r:status:mined"), "[\"a\"]");
    assert_eq!(redis(&mut server, "EXISTS relayer:r:status:sent"), "(integer) 0");
    verified(&mut server);
}

#[test]
fn a_lost_race_may_end_in_a_refusal() {
    let mut server = with_one();
    server.before_apply(|server| {
        server.leave_alone();
        tx(server, "TX.UPDATE a canceled");
    });
    assert_eq!(
        tx(&mut server, "TX.UPDATE a mined"),
        "(error) ILLEGALSTATUS 'a' cannot be mined: it is canceled, which is final"
    );
    verified(&mut server);
}

#[test]
fn losing_every_race_gives_up() {
    let mut server = with_one();
    server.before_apply(|server| {
        let json = "{\"id\":\"a\",\"relayer_id\":\"r\",\"nonce\":1,\"to\":\"0xabc\",\"value\":\
                    \"1000\",\"status\":\"pending\",\"created_at\":1,\"updated_at\":1}";
        server.redis(&["SET", "tx:a", json]);
    });
    assert!(tx(&mut server, "TX.UPDATE a sent").starts_with("(error) CONTENDED"));
    assert_eq!(server.applies, 1 + reef_sdk::RETRY_ROUNDS_MAX as usize);
}

#[test]
fn every_legal_and_illegal_move_keeps_the_indexes_whole() {
    for from in Status::ALL {
        for to in Status::ALL {
            let mut server = with_one();
            tx(&mut server, &format!("TX.UPDATE a {}", from.name()));
            let reply = tx(&mut server, &format!("TX.UPDATE a {}", to.name()));
            let accepted = from == to || from.may_become(to);
            assert_eq!(accepted, !reply.starts_with("(error)"), "{from:?} to {to:?}: {reply}");
            let holder = if accepted { to } else { from };
            let set = format!("SMEMBERS relayer:r:status:{}", holder.name());
            assert_eq!(redis(&mut server, &set), "[\"a\"]");
            verified(&mut server);
        }
    }
}

#[test]
fn pages_cover_the_list_once_and_agree_with_its_total() {
    let mut server = Server::new();
    for nonce in 0..25 {
        tx(&mut server, &format!("TX.CREATE r {nonce} to 1 ID id{nonce:02}"));
    }
    tx(&mut server, "TX.UPDATE id07 sent");
    for limit in [1, 7, 24, 25, 1000] {
        let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
        loop {
            let page = tx(&mut server, &format!("TX.LIST r pending CURSOR {cursor} LIMIT {limit}"));
            assert!(page.ends_with("], (integer) 24]"), "{page}");
            let ids = page.split("\"id\":\"").skip(1).map(|rest| rest[..4].to_owned());
            let before = seen.len();
            seen.extend(ids);
            assert!(seen.len() - before <= limit);
            cursor = page[2..].split('"').next().unwrap().to_owned();
            if cursor == "0" {
                break;
            }
        }
        let expected: Vec<_> = (0..25).filter(|n| *n != 7).map(|n| format!("id{n:02}")).collect();
        assert_eq!(seen, expected, "LIMIT {limit}");
    }
    assert_eq!(tx(&mut server, "TX.LIST nobody pending"), "[\"0\", [], (integer) 0]");
}

#[test]
fn statistics_count_by_status() {
    let mut server = with_one();
    tx(&mut server, "TX.CREATE r 2 to 1 ID b");
    tx(&mut server, "TX.CREATE s 2 to 1 ID c");
    tx(&mut server, "TX.UPDATE b confirmed");
    let counted = "\"sent\": (integer) 0, \"submitted\": (integer) 0, \"mined\": (integer) 0, \
                   \"confirmed\": (integer) 1, \"failed\": (integer) 0, \"canceled\": (integer) 0, \
                   \"expired\": (integer) 0}";
    assert_eq!(
        tx(&mut server, "TX.STATS r"),
        format!("{{\"total\": (integer) 2, \"pending\": (integer) 1, {counted}")
    );
    assert_eq!(
        tx(&mut server, "TX.STATS"),
        format!(
            "{{\"relayers\": (integer) 2, \"total\": (integer) 3, \"pending\": (integer) 2, {counted}"
        )
    );
    assert!(tx(&mut server, "TX.STATS nobody").starts_with("{\"total\": (integer) 0"));
}

#[test]
fn deleting_removes_every_index_and_the_relayer_with_its_last() {
    let mut server = with_one();
    tx(&mut server, "TX.CREATE r 2 to 1 ID b TTL 60");
    tx(&mut server, "TX.CREATE s 1 to 1 ID c");
    tx(&mut server, "TX.UPDATE b mined");
    redis(&mut server, "SET tx:broken nonsense");
    assert_eq!(
        tx(&mut server, "TX.DELETE a nobody b a broken"),
        "[(integer) 2, [[\"nobody\", \"NOTX no transaction 'nobody'\"], \
         [\"a\", \"NOTX no transaction 'a'\"], \
         [\"broken\", \"BROKENTX the key 'tx:broken' does not hold a transaction\"]]]"
    );
    redis(&mut server, "DEL tx:broken");
    assert_eq!(redis(&mut server, "KEYS relayer:r:*"), "[]");
    assert_eq!(redis(&mut server, "SMEMBERS relayers"), "[\"s\"]");
    verified(&mut server);
    assert_eq!(tx(&mut server, "TX.DELETE c"), "[(integer) 1, []]");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
    assert_eq!(tx(&mut server, "TX.CREATE r 1 0xabc 1000 ID a"), "\"a\"");
    verified(&mut server);
}

#[test]
fn a_relayer_that_gets_a_transaction_while_its_last_is_deleted_stays() {
    let mut server = with_one();
    server.before_apply(|server| {
        server.leave_alone();
        tx(server, "TX.CREATE r 2 to 1 ID b");
    });
    assert_eq!(tx(&mut server, "TX.DELETE a"), "[(integer) 1, []]");
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"1\"");
    assert_eq!(redis(&mut server, "SMEMBERS relayers"), "[\"r\"]");
    verified(&mut server);
}

#[test]
fn an_expired_record_is_counted_nowhere_even_before_the_sweep() {
    let mut server = with_one();
    tx(&mut server, "TX.CREATE r 2 to 1 ID b TTL 60");
    tx(&mut server, "TX.CREATE r 3 to 1 ID c TTL 61");
    tx(&mut server, "TX.UPDATE c sent");
    server.advance(60_000);
    assert_eq!(tx(&mut server, "TX.GET b"), "(nil)");
    assert_eq!(tx(&mut server, "TX.BYNONCE r 2"), "(nil)");
    let stats = tx(&mut server, "TX.STATS r");
    let expected = "{\"total\": (integer) 2, \"pending\": (integer) 1, \"sent\": (integer) 1,";
    assert!(stats.starts_with(expected), "{stats}");
    let list = tx(&mut server, "TX.LIST r pending");
    assert!(list.ends_with("], (integer) 1]") && !list.contains("\"b\""), "{list}");
    assert_eq!(redis(&mut server, "SCARD relayer:r:status:pending"), "(integer) 2", "not swept");
    verified(&mut server);

    assert_eq!(tx(&mut server, "TX.SWEEP"), "(integer) 1");
    assert_eq!(tx(&mut server, "TX.SWEEP r"), "(integer) 0");
    assert_eq!(redis(&mut server, "SMEMBERS relayer:r:status:pending"), "[\"a\"]");
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"2\"");
    assert_eq!(redis(&mut server, "EXISTS lookup:b"), "(integer) 0");
    verified(&mut server);

    server.advance(1_000);
    tx(&mut server, "TX.DELETE a");
    assert!(
        tx(&mut server, "TX.STATS")
            .starts_with("{\"relayers\": (integer) 0, \"total\": (integer) 0")
    );
    assert_eq!(tx(&mut server, "TX.SWEEP r"), "(integer) 1");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
}

#[test]
fn an_expired_id_and_its_nonce_can_be_used_again_at_once() {
    let mut server = Server::new();
    tx(&mut server, "TX.CREATE r 1 to 1 ID a TTL 60");
    tx(&mut server, "TX.UPDATE a mined");
    server.advance(60_000);
    assert_eq!(tx(&mut server, "TX.CREATE r 1 to 2 ID a"), "\"a\"");
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"1\"");
    assert_eq!(redis(&mut server, "EXISTS relayer:r:status:mined"), "(integer) 0");
    verified(&mut server);
    assert_eq!(tx(&mut server, "TX.SWEEP"), "(integer) 0");
    assert!(tx(&mut server, "TX.GET a").contains("\"value\":\"2\""));
}

#[test]
fn a_finished_transaction_may_be_given_a_ttl() {
    let mut server = with_one();
    tx(&mut server, "TX.UPDATE a confirmed");
    let kept = tx(&mut server, "TX.UPDATE a confirmed TTL 10");
    assert!(kept.contains("\"expires_at\":1750000010000"), "{kept}");
    assert_eq!(redis(&mut server, "PTTL tx:a"), "(integer) 10000");
    assert_eq!(redis(&mut server, "PTTL relayer:r:nonce:1"), "(integer) 10000");
    verified(&mut server);
    server.advance(10_000);
    assert_eq!(tx(&mut server, "TX.SWEEP r"), "(integer) 1");
    assert_eq!(redis(&mut server, "KEYS *"), "[]");
}

#[test]
fn an_update_keeps_the_deadline() {
    let mut server = Server::new();
    tx(&mut server, "TX.CREATE r 1 to 1 ID a TTL 60");
    server.advance(10_000);
    tx(&mut server, "TX.UPDATE a sent");
    assert_eq!(redis(&mut server, "PTTL tx:a"), "(integer) 50000");
    verified(&mut server);
}

#[test]
fn two_sweeps_at_once_take_back_once() {
    let mut server = with_one();
    tx(&mut server, "TX.CREATE r 2 to 1 ID b TTL 60");
    server.advance(60_000);
    server.before_apply(|server| {
        server.leave_alone();
        assert_eq!(tx(server, "TX.SWEEP r"), "(integer) 1");
    });
    assert_eq!(tx(&mut server, "TX.SWEEP r"), "(integer) 0");
    assert_eq!(redis(&mut server, "GET relayer:r:count"), "\"1\"");
    verified(&mut server);
}

#[test]
fn creating_with_a_ttl_sweeps_now_and_then() {
    let mut server = Server::new();
    for nonce in 0..2_000 {
        tx(&mut server, &format!("TX.CREATE r {nonce} to 1 TTL 1"));
        server.advance(1_000);
    }
    let left: u64 = redis(&mut server, "GET relayer:r:count").trim_matches('"').parse().unwrap();
    assert!(left < 700, "{left} of 2000 expired records are still counted");
    verified(&mut server);
}

#[test]
fn verification_finds_every_way_an_index_can_be_wrong() {
    for (damage, fault) in [
        ("DEL tx:a", "'a': is pending for relayer 'r' and has no record"),
        ("DEL tx:a", "'a': has a lookup and no record"),
        ("DEL tx:a", "'a': uses nonce 1 of relayer 'r' and has no record"),
        ("SET tx:a nonsense", "'a': the key 'tx:a' does not hold a transaction"),
        ("DEL lookup:a", "'a': its lookup does not say 'r'"),
        ("SET lookup:a s", "'a': its lookup does not say 'r'"),
        ("SET lookup:ghost r", "'ghost': has a lookup and no record"),
        ("DEL relayer:r:nonce:1", "'a': its nonce 1 is not marked as used by it"),
        ("SET relayer:r:nonce:1 b", "'b': uses nonce 1 of relayer 'r' and has no record"),
        ("SET relayer:r:nonce:9 a", "'a': has nonce 1 and is named by nonce 9"),
        ("SET relayer:s:nonce:9 a", "'a': is of relayer 'r' and in an index of 's'"),
        ("SREM relayer:r:status:pending a", "'a': is pending and in the sets []"),
        ("SADD relayer:r:status:sent a", "'a': is pending and in the sets [pending, sent]"),
        ("SADD relayer:r:status:sent x", "'x': is sent for relayer 'r' and has no record"),
        ("SADD relayer:r:status:sent x", "relayer 'r': count is 1, sets hold 2"),
        ("SET relayer:r:count 7", "relayer 'r': count is 7, sets hold 1"),
        ("DEL relayer:r:count", "relayer 'r': count is 0, is in 'relayers'"),
        ("SREM relayers r", "relayer 'r': count is 1, is not in 'relayers'"),
        ("SADD relayers s", "relayer 's': count is 0, is in 'relayers'"),
        ("ZADD relayer:r:expiring 5 a", "'a': its deadline is not the one in 'expiring'"),
        ("ZADD relayer:r:expiring 5 x", "'x': expires for relayer 'r' and has no record"),
        ("SET relayer:r:status:sent x", "relayer 'r': 'sent' holds another type"),
        ("SET relayer:r:status:sent x", "'a': 'sent' of relayer 'r' holds another type"),
    ] {
        let mut server = with_one();
        redis(&mut server, damage);
        let found = tx(&mut server, "TX.VERIFY");
        assert!(found.contains(&format!("\"{fault}\"")), "{damage}: {found}");
        let stepwise = follow(&mut server);
        assert!(stepwise.contains(&format!("\"{fault}\"")), "{damage}: {stepwise}");
    }
}

/// All faults, by following the cursor.
fn follow(server: &mut Server) -> String {
    let (mut cursor, mut faults) = ("0".to_owned(), String::new());
    loop {
        let reply = tx(server, &format!("TX.VERIFY CURSOR {cursor}"));
        faults += &reply;
        cursor = reply[1..].split('"').nth(1).unwrap_or("0").to_owned();
        if cursor == "0" {
            return faults;
        }
    }
}

#[test]
fn verification_of_one_relayer_looks_at_that_one_only() {
    let mut server = with_one();
    tx(&mut server, "TX.CREATE r* 1 to 1 ID b");
    redis(&mut server, "DEL relayer:r:nonce:1");
    assert_eq!(tx(&mut server, "TX.VERIFY r*"), "[]");
    assert_eq!(
        tx(&mut server, "TX.VERIFY r"),
        "[\"'a': its nonce 1 is not marked as used by it\"]"
    );
    assert_eq!(tx(&mut server, "TX.VERIFY nobody"), "[]");
}

#[test]
fn verification_reads_in_bounded_batches() {
    let mut server = Server::new();
    for nonce in 0..300 {
        tx(&mut server, &format!("TX.CREATE r{} {nonce} to 1", nonce % 3));
    }
    server.reads = 0;
    verified(&mut server);
    assert!(server.reads > 60, "{} reads for 300 records, 64 a page", server.reads);
}

#[test]
fn a_command_that_fails_undoes_the_create() {
    let mut server = Server::new();
    redis(&mut server, "SET relayers text");
    let reply = tx(&mut server, "TX.CREATE r 1 to 1 ID a");
    assert!(reply.starts_with("(error) WRONGTYPE"), "{reply}");
    assert_eq!(redis(&mut server, "KEYS *"), "[\"relayers\"]");
}

#[test]
fn the_nonce_counter_is_exact_and_never_taken_twice() {
    let mut server = Server::new();
    assert_eq!(tx(&mut server, "TX.NONCE r"), "(integer) 0");
    assert_eq!(tx(&mut server, "TX.NONCE r NEXT"), "(integer) 0");
    assert_eq!(tx(&mut server, "TX.NONCE r NEXT"), "(integer) 1");
    assert_eq!(tx(&mut server, "TX.NONCE r FLOOR 9007199254740993"), "(integer) 9007199254740993");
    assert_eq!(tx(&mut server, "TX.NONCE r FLOOR 5"), "(integer) 9007199254740993");
    assert_eq!(tx(&mut server, "TX.NONCE r NEXT"), "(integer) 9007199254740993");
    assert_eq!(
        tx(&mut server, "TX.NONCE r LOWER 9007199254740993 7"),
        "(error) NONCECHANGED the next nonce is 9007199254740994"
    );
    assert_eq!(tx(&mut server, "TX.NONCE r LOWER 9007199254740994 7"), "(integer) 7");
    assert_eq!(tx(&mut server, "TX.NONCE r LOWER 7 8"), "(error) ERR syntax error");
    server.before_apply(|server| {
        server.leave_alone();
        tx(server, "TX.NONCE r NEXT");
    });
    assert_eq!(tx(&mut server, "TX.NONCE r FLOOR 8"), "(integer) 8");
}

#[test]
fn gaps_are_visible_in_a_range_of_nonces() {
    let mut server = with_one();
    tx(&mut server, "TX.CREATE r 3 to 1 ID c");
    assert_eq!(tx(&mut server, "TX.NONCES r 0 5"), "[(nil), \"a\", (nil), \"c\", (nil)]");
}

#[test]
fn too_many_hashes_are_refused() {
    let mut server = with_one();
    for number in 0..crate::record::HASHES_MAX {
        let reply = tx(&mut server, &format!("TX.UPDATE a submitted HASH 0x{number}"));
        assert!(!reply.starts_with("(error)"), "{reply}");
    }
    let reply = tx(&mut server, "TX.UPDATE a submitted HASH 0xlast");
    assert_eq!(reply, "(error) TOOMANYHASHES 'a' has had too many hashes");
}
