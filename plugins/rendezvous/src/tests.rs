//! Commands against the server in memory: what each answers, what ends when, and what is left behind.

use reef_sdk::fake::Server;
use reef_sdk::{Answer, Cause};

use crate::PLUGIN;

/// Splits a line into words.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn run(server: &mut Server, line: &str) -> String {
    server.run(&PLUGIN, &words(line))
}

/// A call that was parked before goes on.
fn resume(server: &mut Server, cause: Cause<'_>, line: &str) -> String {
    match server.call_because(&PLUGIN, cause, &words(line)) {
        Ok(Answer::Park(_)) => "(parked)".to_owned(),
        Ok(Answer::Reply(_)) => "(replied)".to_owned(),
        Err(error) => format!("(error) {error}"),
    }
}

fn expects(server: &mut Server, lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        assert_eq!(run(server, line), *expected, "{line}");
    }
}

fn opened() -> Server {
    let mut server = Server::new();
    expects(&mut server, &[("RDV.OPEN r TTL 60", "[(integer) 60000, (integer) 1]")]);
    server
}

/// What is in a run besides what a run always has.
fn leftovers(server: &mut Server) -> String {
    let keys = server.redis(&["KEYS", "rdv:{r}*"]);
    let inner = keys.trim_matches(|edge| matches!(edge, '[' | ']'));
    let mut rest: Vec<&str> = inner.split(", ").collect();
    let first_alone = |server: &mut Server, key: &str| {
        server.redis(&["HLEN", key.trim_matches('"')]) == "(integer) 1"
    };
    rest.retain(|key| {
        let kept = ["rdv:{r}\"", "names\"", "timer\"", "changed:", "ended:", "tally\"", "reached:"];
        let is_kept = kept.iter().any(|one| key.contains(one)) || key.is_empty();
        !(is_kept || key.contains(":registered:") && first_alone(server, key))
    });
    rest.sort_unstable();
    rest.join(" ")
}

/// How many are registered.
fn registered(server: &mut Server) -> u64 {
    let count = server.redis(&["HLEN", "rdv:{r}:registered:ns"]);
    let count: u64 = count.trim_start_matches("(integer) ").parse().unwrap();
    count - 1
}

#[test]
fn who_registers_is_found_until_it_ends() {
    let mut server = opened();
    expects(
        &mut server,
        &[
            ("RDV.FIND r ns", "[(integer) 0, [], (nil)]"),
            ("RDV.REGISTER r ns addr-1", "[\"1\", (integer) 1, (integer) 60000]"),
            ("RDV.REGISTER r ns addr-2 ID b TTL 1.5", "[\"b\", (integer) 2, (integer) 1500]"),
            (
                "RDV.FIND r ns",
                "[(integer) 2, [[\"1\", \"addr-1\", (integer) 1, (integer) 60000], \
                 [\"b\", \"addr-2\", (integer) 2, (integer) 1500]], (nil)]",
            ),
            ("RDV.HEARTBEAT r ns b", "(integer) 1500"),
            (
                "RDV.HEARTBEAT r ns c",
                "(error) NOREGISTRATION r ns c: it has expired or was never there",
            ),
        ],
    );
    server.advance(1_499);
    expects(&mut server, &[("RDV.HEARTBEAT r ns b", "(integer) 1500")]);
    server.advance(1_499);
    assert!(run(&mut server, "RDV.FIND r ns").contains("addr-2"));
    server.advance(1);
    expects(
        &mut server,
        &[
            ("RDV.FIND r ns SINCE 2", "[(integer) 3, [], [\"b\"]]"),
            ("RDV.FIND r ns COUNT 2", "(error) NOLISTENER r ns waited=0 registered=1 expired=1"),
            ("RDV.UNREGISTER r ns 1", "(integer) 1"),
            ("RDV.UNREGISTER r ns 1", "(integer) 0"),
        ],
    );
    assert_eq!(leftovers(&mut server), "");
}

#[test]
fn one_goes_to_one_taker_in_order_and_comes_back_unless_it_was_acknowledged() {
    let mut server = opened();
    for value in ["a", "b", "c"] {
        run(&mut server, &format!("RDV.REGISTER r ns {value} ID {value}"));
    }
    expects(
        &mut server,
        &[
            ("RDV.TAKE r ns", "[\"a\", \"a\"]"),
            ("RDV.TAKE r ns LEASE 1", "[\"b\", \"b\", (integer) 5]"),
            ("RDV.TAKE r ns LEASE 1", "[\"c\", \"c\", (integer) 6]"),
            ("RDV.TAKE r ns", "(error) NOLISTENER r ns waited=0 registered=2 expired=0 leased=2"),
            ("RDV.NACK r ns c 6", "OK"),
            ("RDV.NACK r ns b 5", "OK"),
            (
                "RDV.NACK r ns b 5",
                "(error) NOLEASE r ns b: the lease is over, somebody else may have taken it",
            ),
            ("RDV.TAKE r ns LEASE 1", "[\"b\", \"b\", (integer) 7]"),
        ],
    );
    server.advance(1_000);
    expects(
        &mut server,
        &[
            (
                "RDV.ACK r ns b 7",
                "(error) NOLEASE r ns b: the lease is over, somebody else may have taken it",
            ),
            ("RDV.TAKE r ns LEASE 1", "[\"b\", \"b\", (integer) 8]"),
            ("RDV.ACK r ns b 8", "OK"),
            ("RDV.TAKE r ns", "[\"c\", \"c\"]"),
        ],
    );
    assert_eq!(leftovers(&mut server), "");
}

#[test]
fn what_is_bound_to_a_connection_ends_with_it() {
    let mut server = opened();
    server.call_as(7);
    expects(
        &mut server,
        &[
            ("RDV.REGISTER r ns mine ID m CONNECTION", "[\"m\", (integer) 1, (integer) -1]"),
            ("RDV.REGISTER r ns all ID a", "[\"a\", (integer) 2, (integer) 60000]"),
            ("RDV.LEAD r boss seven", "[(integer) 3, (integer) -1]"),
        ],
    );
    server.call_as(8);
    expects(
        &mut server,
        &[
            ("RDV.TAKE r ns LEASE 9", "[\"m\", \"mine\", (integer) 4]"),
            ("RDV.TAKE r ns LEASE 9", "[\"a\", \"all\", (integer) 5]"),
            ("RDV.LEAD r boss eight", "(error) NOTLEADER r boss waited=0 leader=seven"),
        ],
    );
    server.disconnect(&PLUGIN, 7).unwrap();
    server.call_as(9);
    expects(
        &mut server,
        &[
            (
                "RDV.ACK r ns m 4",
                "(error) NOLEASE r ns m: the lease is over, somebody else may have taken it",
            ),
            ("RDV.LEADER r boss", "(nil)"),
            ("RDV.TAKE r ns", "(error) NOLISTENER r ns waited=0 registered=1 expired=1 leased=1"),
        ],
    );
    server.disconnect(&PLUGIN, 8).unwrap();
    expects(
        &mut server,
        &[
            ("RDV.TAKE r ns", "[\"a\", \"all\"]"),
            ("RDV.LEAD r boss nine TTL 1", "[(integer) 8, (integer) 1000]"),
        ],
    );
    server.advance(1_000);
    expects(&mut server, &[("RDV.LEADER r boss", "(nil)")]);
    assert_eq!(leftovers(&mut server), "\"rdv:{r}:vacant:boss\"");
}

#[test]
fn connections_of_a_former_life_are_gone_and_nothing_else_is() {
    let mut server = opened();
    server.call_as(7);
    run(&mut server, "RDV.REGISTER r ns mine CONNECTION");
    run(&mut server, "RDV.REGISTER r ns stays");
    run(&mut server, "RDV.TAKE r ns LEASE 50");
    run(&mut server, "RDV.TAKE r ns LEASE 50");
    server.restart();
    server.call_as(7);
    assert_eq!(run(&mut server, "RDV.FIND r ns SINCE 4"), "[(integer) 5, [], [\"1\"]]");
    expects(&mut server, &[("RDV.TAKE r ns", "[\"2\", \"stays\"]")]);
    assert_eq!(leftovers(&mut server), "");
}

#[test]
fn what_one_has_registered_and_another_one_leased_is_gone_with_both() {
    let mut server = opened();
    server.call_as(7);
    run(&mut server, "RDV.REGISTER r ns mine ID m CONNECTION");
    server.call_as(8);
    run(&mut server, "RDV.TAKE r ns LEASE 50");
    server.restart();
    let none = "(error) NOLISTENER r ns waited=0 registered=0 expired=1";
    expects(&mut server, &[("RDV.TAKE r ns", none), ("RDV.TAKE r ns LEASE 1", none)]);
    assert_eq!(leftovers(&mut server), "");
    // An id without a registration is nobody's, and in nobody's way.
    server.redis(&["ZADD", "rdv:{r}:free:ns", "0", "lost"]);
    run(&mut server, "RDV.REGISTER r ns there ID t");
    expects(&mut server, &[("RDV.TAKE r ns", "[\"t\", \"there\"]")]);
    assert_eq!(leftovers(&mut server), "");
}

#[test]
fn a_sign_of_life_by_another_client_binds_nothing_to_that_client() {
    let mut server = opened();
    server.call_as(7);
    run(&mut server, "RDV.REGISTER r ns mine ID m CONNECTION");
    server.call_as(8);
    expects(&mut server, &[("RDV.HEARTBEAT r ns m", "(integer) -1")]);
    server.disconnect(&PLUGIN, 8).unwrap();
    assert!(run(&mut server, "RDV.FIND r ns").contains("mine"));
    server.disconnect(&PLUGIN, 7).unwrap();
    assert!(!run(&mut server, "RDV.FIND r ns").contains("mine"));
    assert_eq!(leftovers(&mut server), "");
}

#[test]
fn however_much_a_connection_leaves_it_ends_step_by_step() {
    let mut server = opened();
    server.call_as(7);
    for number in 0..600 {
        run(&mut server, &format!("RDV.REGISTER r ns v ID {number} CONNECTION"));
    }
    server.disconnect(&PLUGIN, 7).unwrap();
    for left in [344, 88, 0] {
        assert_eq!(registered(&mut server), left);
        let tied = server.redis(&["SCARD", "rdv:{r}:tied:1:7"]);
        assert_eq!(tied, format!("(integer) {left}"));
        server.event(&PLUGIN, "expired", "rdv:{r}:timer").unwrap();
    }
    assert_eq!(leftovers(&mut server), "");
    // Who looks in between sees nothing that is over; so does who comes after a crash.
    for number in 0..600 {
        run(&mut server, &format!("RDV.REGISTER r ns v ID {number} CONNECTION"));
    }
    server.disconnect(&PLUGIN, 7).unwrap();
    assert!(run(&mut server, "RDV.FIND r ns").contains("[]"));
    for number in 0..600 {
        run(&mut server, &format!("RDV.REGISTER r ns v ID {number} CONNECTION"));
    }
    server.restart();
    assert!(run(&mut server, "RDV.FIND r ns").contains("[]"));
    assert_eq!(leftovers(&mut server), "");
}

#[test]
fn an_id_of_ours_that_somebody_gave_already_is_that_one() {
    let mut server = opened();
    run(&mut server, "RDV.REGISTER r ns given ID 3");
    run(&mut server, "RDV.REGISTER r ns second");
    run(&mut server, "RDV.REGISTER r ns third");
    assert_eq!(registered(&mut server), 2);
    expects(
        &mut server,
        &[("RDV.TAKE r ns", "[\"3\", \"third\"]"), ("RDV.TAKE r ns", "[\"2\", \"second\"]")],
    );
    let info = run(&mut server, "RDV.INFO r");
    assert!(info.contains("\"counted\": (integer) 0"), "{info}");
}

#[test]
fn the_oldest_of_those_that_are_gone_are_forgotten_however_they_went() {
    let mut server = opened();
    run(&mut server, "RDV.OPEN r TTL 60 REGISTRATIONS 100000");
    for _ in 0..4_200 {
        run(&mut server, "RDV.REGISTER r ns v");
        run(&mut server, "RDV.TAKE r ns");
    }
    let kept = server.redis(&["ZCARD", "rdv:{r}:ended:ns"]);
    let kept: u64 = kept.trim_start_matches("(integer) ").parse().unwrap();
    assert!((4_096..4_196).contains(&kept), "{kept}");
    for again in 0..300 {
        run(&mut server, &format!("RDV.REGISTER r ns v ID {}", 8_399 - 2 * again));
    }
    let found = run(&mut server, "RDV.FIND r ns SINCE 1");
    assert!(found.ends_with("(nil)]"), "what was forgotten is not known by coming back: {found}");
    let found = run(&mut server, "RDV.FIND r ns SINCE 8398");
    assert!(found.ends_with("[]]"), "who came back is not gone: {found}");
}

#[test]
fn signals_add_up_and_barriers_open() {
    let mut server = opened();
    expects(
        &mut server,
        &[
            ("RDV.BARRIER r ready 2", "(error) NOBARRIER r ready waited=0 arrived=0 wanted=2"),
            ("RDV.SIGNAL r ready", "(integer) 1"),
            ("RDV.BARRIER r ready 2 SIGNAL", "(integer) 2"),
            ("RDV.BARRIER r ready 1", "(integer) 2"),
            (
                "RDV.BARRIER r ready 0",
                "(error) ERR a count is at least 1, and not above the run's limit of registrations",
            ),
            ("RDV.BARRIER r ready 3 WAIT 5", "(parked)"),
        ],
    );
    let gate = Cause::Ready(b"rdv:{r}:reached:3:sready");
    assert_eq!(resume(&mut server, gate, "RDV.BARRIER r ready 3 WAIT 5"), "(parked)");
    run(&mut server, "RDV.SIGNAL r ready");
    assert_eq!(server.redis(&["GET", "rdv:{r}:reached:3:sready"]), "\"1\"");
    assert_eq!(resume(&mut server, gate, "RDV.BARRIER r ready 3 WAIT 5"), "(replied)");
    assert!(run(&mut server, "RDV.INFO r").contains("\"waiting\": (integer) 0"));
}

#[test]
fn a_barrier_that_signals_does_so_once_however_often_it_goes_on() {
    let mut server = opened();
    let line = "RDV.BARRIER r s 9 SIGNAL WAIT 5";
    assert_eq!(run(&mut server, line), "(parked)");
    for _ in 0..3 {
        assert_eq!(resume(&mut server, Cause::Ready(b"x"), line), "(parked)");
    }
    server.advance(5_001);
    let told = resume(&mut server, Cause::TimedOut, line);
    assert_eq!(told, "(error) NOBARRIER r s waited=5 arrived=1 wanted=9");
}

#[test]
fn topics_have_a_history_and_results_are_checked() {
    let mut server = opened();
    expects(
        &mut server,
        &[
            ("RDV.READ r t", "[(integer) 0, []]"),
            ("RDV.PUBLISH r t a", "(integer) 1"),
            ("RDV.PUBLISH r t b", "(integer) 2"),
            ("RDV.READ r t COUNT 1", "[(integer) 1, [\"a\"]]"),
            ("RDV.READ r t AFTER 1", "[(integer) 2, [\"b\"]]"),
            ("RDV.READ r t AFTER 2 WAIT 1", "(parked)"),
            ("RDV.READ r t AFTER 18446744073709551615", "[(integer) 4294967295, []]"),
            ("RDV.FIELDS r ping rtt FLOAT peer TEXT", "OK"),
            ("RDV.RESULT r ping one rtt 1.5 peer x", "(integer) 1"),
            ("RDV.RESULT r ping one rtt 2.5 peer x", "(integer) 1"),
            ("RDV.RESULT r ping two rtt fast peer x", "(error) BADFIELD rtt: it is not a number"),
            ("RDV.RESULT r ping two rtt 1", "(error) BADFIELD peer: it is missing"),
            ("RDV.RESULT r ping two rtt 1 rtt 2", "(error) BADFIELD rtt: it is given twice"),
            ("RDV.RESULT r ping two ttr 1", "(error) BADFIELD ttr: it was not declared"),
            ("RDV.RESULTS r ping", "[[\"one\", {\"rtt\": \"2.5\", \"peer\": \"x\"}]]"),
            ("RDV.RESULTS r ping COUNT 2", "(error) NORESULTS r ping waited=0 arrived=1 wanted=2"),
        ],
    );
}

#[test]
fn the_limits_of_a_run_are_kept() {
    let mut server = Server::new();
    expects(
        &mut server,
        &[
            (
                "RDV.OPEN r TTL 60 REGISTRATIONS 2 WAITERS 1 BYTES 3 WAIT 5",
                "[(integer) 60000, (integer) 1]",
            ),
            ("RDV.REGISTER r ns abcd", "(error) LIMIT r bytes=3: the limit of this run"),
            ("RDV.REGISTER r ns abc", "[\"1\", (integer) 1, (integer) 60000]"),
            ("RDV.PUBLISH r t abc", "(integer) 1"),
            ("RDV.REGISTER r ns abc", "(error) LIMIT r registrations=2: the limit of this run"),
            ("RDV.REGISTER r fresh abc", "(error) LIMIT r registrations=2: the limit of this run"),
            ("RDV.REGISTER r ns ab ID 1", "[\"1\", (integer) 2, (integer) 60000]"),
            ("RDV.TAKE r other WAIT 6", "(error) LIMIT r wait=5: the limit of this run"),
            ("RDV.TAKE r other WAIT 0", "(parked)"),
        ],
    );
    server.call_as(2);
    expects(
        &mut server,
        &[
            ("RDV.TAKE r other WAIT 1", "(error) LIMIT r waiters=1: the limit of this run"),
            ("RDV.OPEN r TTL 60 REGISTRATIONS 3", "[(integer) 60000, (integer) 0]"),
            ("RDV.BARRIER r s 2 SIGNAL WAIT 1", "(error) LIMIT r waiters=1: the limit of this run"),
            ("RDV.SIGNAL r s", "(integer) 1"),
        ],
    );
    // What was refused is not there.
    assert!(!server.redis(&["KEYS", "*"]).contains("fresh"));
    // The one that waits dies: there is room for another.
    server.disconnect(&PLUGIN, 1).unwrap();
    expects(
        &mut server,
        &[
            ("RDV.TAKE r other WAIT 0.9", "(parked)"),
            ("RDV.OPEN r TTL 1 WAITERS 7", "[(integer) 1000, (integer) 0]"),
            ("RDV.OPEN r TTL 0", "(error) ERR it would end at once: 0 seconds"),
            (
                "RDV.OPEN r TTL -1",
                "(error) ERR seconds are a number that is not negative, like 10 or 0.5",
            ),
            ("RDV.OPEN r TTL 9999999", "(error) LIMIT r ttl-max=604800: the limit of this run"),
            ("RDV.OPEN r TTL", "(error) ERR wrong number of arguments for 'rdv.open' command"),
            ("RDV.OPEN r WAIT 5 BYTES 7", "(error) ERR syntax error"),
        ],
    );
    server.advance(1_000);
    let over = "(error) NORUN r is not open, or not any more: RDV.OPEN r TTL seconds";
    expects(&mut server, &[("RDV.FIND r ns", over), ("RDV.LIST", "[]")]);
    // What tells those who wait that their run ended sooner than it was to.
    assert_eq!(server.redis(&["KEYS", "rdv:{r}*"]), "[\"rdv:{r}:gone\"]");
}

#[test]
fn a_run_that_is_dropped_leaves_nothing_and_tells_who_waits() {
    let mut server = opened();
    run(&mut server, "RDV.REGISTER r ns a TTL 5");
    run(&mut server, "RDV.REGISTER r ns b CONNECTION");
    run(&mut server, "RDV.TAKE r ns LEASE 5");
    let wait = "RDV.TAKE r other WAIT 30";
    assert_eq!(run(&mut server, wait), "(parked)");
    server.advance(2_000);
    expects(
        &mut server,
        &[("RDV.DROP r", "(integer) 1"), ("RDV.DROP r", "(integer) 0"), ("RDV.LIST", "[]")],
    );
    assert_eq!(server.redis(&["KEYS", "rdv:{r}*"]), "[\"rdv:{r}:gone\"]");
    // Opened anew at the same instant: not before who waited can tell.
    assert_eq!(run(&mut server, "RDV.OPEN r TTL 60"), "(parked)");
    server.advance(1);
    assert_eq!(run(&mut server, "RDV.OPEN r TTL 60"), "[(integer) 60000, (integer) 1]");
    assert_eq!(run(&mut server, wait), "(parked)", "a wait in the new run is none in the old one");
    assert_eq!(resume(&mut server, Cause::Ready(b"rdv:{r}:gone"), wait), "(parked)");
}

#[test]
fn who_waited_in_a_run_that_is_gone_hears_so() {
    let mut server = opened();
    let wait = "RDV.FIND r ns COUNT 1 WAIT 30";
    assert_eq!(run(&mut server, wait), "(parked)");
    server.advance(2_000);
    for key in ["rdv:{r}", "rdv:{r}:names"] {
        server.redis(&["DEL", key]);
    }
    let told = resume(&mut server, Cause::Ready(b"rdv:{r}:gone"), wait);
    let text = "(error) RUNGONE r waited=2: the run was dropped, or its time is over";
    assert_eq!(told, text);
    // Another run of this name, opened since.
    let meta = format!("{} 1750000900000 0 1 0 0 9 9 9 9000 0", 1_750_000_001_000_u64);
    server.redis(&["SET", "rdv:{r}", &meta]);
    assert_eq!(resume(&mut server, Cause::TimedOut, wait), text);
}

#[test]
fn everything_of_a_run_ends_with_it() {
    let mut server = opened();
    for line in [
        "RDV.REGISTER r ns a",
        "RDV.REGISTER r ns b TTL 5",
        "RDV.REGISTER r ns c CONNECTION",
        "RDV.TAKE r ns LEASE 5",
        "RDV.SIGNAL r s",
        "RDV.PUBLISH r t v",
        "RDV.FIELDS r n f INT",
        "RDV.RESULT r n by f 1",
        "RDV.LEAD r role me",
        "RDV.TAKE r none WAIT 9",
        "RDV.FIND r ns COUNT 9 WAIT 9",
        "RDV.BARRIER r s 9 WAIT 9",
    ] {
        assert!(!run(&mut server, line).contains("error"), "{line}");
    }
    // Prolonged: nothing ends too early.
    server.advance(1_000);
    run(&mut server, "RDV.OPEN r TTL 90");
    server.advance(89_000);
    assert!(run(&mut server, "RDV.FIND r ns").contains("\"c\""));
    assert_eq!(run(&mut server, "RDV.SIGNAL r s"), "(integer) 2");
    server.advance(1_000);
    assert_eq!(server.redis(&["KEYS", "rdv:{r}*"]), "[]");
}

#[test]
fn a_lost_race_changes_nothing_and_is_tried_again() {
    let mut server = opened();
    server.before_apply(|server| {
        server.leave_alone();
        run(server, "RDV.REGISTER r ns other ID o");
    });
    assert_eq!(
        run(&mut server, "RDV.REGISTER r ns mine ID m"),
        "[\"m\", (integer) 2, (integer) 60000]"
    );
    server.before_apply(|server| {
        server.leave_alone();
        run(server, "RDV.TAKE r ns");
    });
    assert_eq!(run(&mut server, "RDV.TAKE r ns"), "[\"m\", \"mine\"]");
}

#[test]
fn all_keys_of_a_run_share_a_slot() {
    let mut server = opened();
    server.refuse_cross_slot();
    everything(&mut server);
}

fn everything(server: &mut Server) {
    for line in
        ["RDV.REGISTER r ns a TTL 5", "RDV.TAKE r ns LEASE 1", "RDV.LEAD r role me", "RDV.DROP r"]
    {
        assert!(!run(server, line).contains("error"), "{line}");
    }
}

#[test]
fn the_timer_ends_what_is_due_and_comes_back_for_the_rest() {
    let mut server = opened();
    for number in 0..600 {
        run(&mut server, &format!("RDV.REGISTER r ns v ID {number} TTL 1"));
    }
    run(&mut server, "RDV.REGISTER r ns v ID later TTL 9");
    server.advance(1_000);
    for left in [345, 89, 1] {
        server.event(&PLUGIN, "expired", "rdv:{r}:timer").unwrap();
        assert_eq!(registered(&mut server), left);
        assert_eq!(server.redis(&["EXISTS", "rdv:{r}:timer"]), "(integer) 1");
    }
    assert_eq!(server.redis(&["PTTL", "rdv:{r}:timer"]), "(integer) 8000");
    // Told for nothing: nothing happens.
    server.event(&PLUGIN, "expired", "rdv:{r}:timer").unwrap();
    server.event(&PLUGIN, "expired", "rdv:{other}:timer").unwrap();
    assert!(run(&mut server, "RDV.FIND r ns COUNT 2").contains("registered=1 expired=600"));
}

/// Keys that the alias tests use.
fn aliased(line: &str) -> Server {
    let mut server = Server::new();
    server.configure("alias", "listenerAddr *_listener_multiaddr");
    assert_eq!(run(&mut server, line), "OK");
    server
}

#[test]
fn plain_keys_stand_for_one_another() {
    let mut server = aliased("RDV.ALIAS a LIST listenerAddr LIST k_listener_multiaddr");
    server.redis(&["RPUSH", "listenerAddr", "x", "y"]);
    server.event(&PLUGIN, "rpush", "listenerAddr").unwrap();
    assert_eq!(server.redis(&["LRANGE", "k_listener_multiaddr", "0", "-1"]), "[\"x\", \"y\"]");
    // Taken by the other name, before anybody is told.
    server.redis(&["LPOP", "k_listener_multiaddr"]);
    server.advance(1);
    server.event(&PLUGIN, "expired", "rdv:alias:check:a").unwrap();
    assert_eq!(server.redis(&["LRANGE", "listenerAddr", "0", "-1"]), "[\"y\"]");
    server.redis(&["DEL", "listenerAddr"]);
    server.event(&PLUGIN, "del", "listenerAddr").unwrap();
    assert_eq!(server.redis(&["EXISTS", "k_listener_multiaddr"]), "(integer) 0");
    expects(
        &mut server,
        &[
            (
                "RDV.ALIAS b LIST listenerAddr",
                "(error) BADALIAS listenerAddr: it belongs to another alias",
            ),
            (
                "RDV.ALIAS b LIST other",
                "(error) BADALIAS other: not among the configured keys: CONFIG alias 'pattern ...' when loading",
            ),
            ("RDV.UNALIAS a", "(integer) 1"),
            ("RDV.UNALIAS a", "(integer) 0"),
        ],
    );
    assert!(!server.redis(&["KEYS", "*"]).contains("rdv:alias:of"));
}

#[test]
fn an_alias_with_a_time_leaves_nothing_of_its_own() {
    let mut server = aliased("RDV.ALIAS a TTL 5 LIST listenerAddr LIST k_listener_multiaddr");
    server.redis(&["RPUSH", "listenerAddr", "x"]);
    server.event(&PLUGIN, "rpush", "listenerAddr").unwrap();
    assert_eq!(server.redis(&["PTTL", "rdv:alias:items:a"]), "(integer) 5000");
    server.advance(5_000);
    assert_eq!(server.redis(&["KEYS", "rdv:*"]), "[]");
}

#[test]
fn one_who_sets_and_one_who_pops_meet_on_one_key() {
    let mut server = aliased("RDV.ALIAS a LIST k_listener_multiaddr STRING listenerAddr");
    server.redis(&["SET", "k_listener_multiaddr", "x"]);
    server.event(&PLUGIN, "set", "k_listener_multiaddr").unwrap();
    assert_eq!(server.redis(&["GET", "listenerAddr"]), "\"x\"");
    assert_eq!(server.redis(&["LPOP", "k_listener_multiaddr"]), "\"x\"");
    server.event(&PLUGIN, "lpop", "k_listener_multiaddr").unwrap();
    assert_eq!(server.redis(&["GET", "listenerAddr"]), "(nil)");
    server.redis(&["RPUSH", "listenerAddr", "y"]);
    server.event(&PLUGIN, "rpush", "listenerAddr").unwrap();
    assert_eq!(server.redis(&["GET", "listenerAddr"]), "\"y\"");
    assert_eq!(server.redis(&["LRANGE", "k_listener_multiaddr", "0", "-1"]), "[\"y\"]");
}
