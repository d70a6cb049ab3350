//! Commands that check themselves, and whose own answer is all that can be seen of it.

use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_resp::OwnedArgv;

fn run(solo: &mut Solo, client: u64, line: &str) -> String {
    let argv: OwnedArgv = line.split(' ').collect();
    let (reply, _) = solo.run(client, argv.as_argv());
    String::from_utf8_lossy(&reply).into_owned()
}

#[test]
fn hyperloglogs_pass_their_own_test_whatever_the_numbers() {
    for seed in 1..=3 {
        let mut solo = Solo::new(seed, 1, Settings::default());
        let client = solo.connect();
        assert_eq!(run(&mut solo, client, "PFSELFTEST"), "+OK\r\n", "seed {seed}");
    }
}

#[test]
fn a_hyperloglog_can_be_written_back_as_the_string_that_it_is() {
    let mut solo = Solo::new(1, 1, Settings::default());
    let client = solo.connect();
    for number in 0..3_000 {
        run(&mut solo, client, &format!("PFADD k {number}"));
    }
    let count = run(&mut solo, client, "PFCOUNT k");
    let argv: OwnedArgv = ["GET", "k"].into_iter().collect();
    let (text, _) = solo.run(client, argv.as_argv());
    let start = text.windows(4).position(|bytes| bytes == b"HYLL").expect("the magic");
    let argv: OwnedArgv =
        [&b"SET"[..], b"copy", &text[start..text.len() - 2]].into_iter().collect();
    solo.run(client, argv.as_argv());
    assert_eq!(run(&mut solo, client, "PFCOUNT copy"), count);
    assert_eq!(run(&mut solo, client, "PFCOUNT copy k"), count);
    assert_eq!(run(&mut solo, client, "PFADD copy 1 2 3"), ":0\r\n");
}

/// COUNT looks only roughly at most places; what it gives must be the front of the whole order.
#[test]
fn the_nearest_and_the_farthest_are_the_front_of_all() {
    fn places(reply: &str) -> Vec<&str> {
        let (_, items) = reply.split_once("\r\n").expect("an array");
        items.split("*2\r\n").skip(1).collect()
    }
    let mut solo = Solo::new(1, 1, Settings::default());
    let client = solo.connect();
    for number in 0_u32..2_000 {
        // Many stand in the same places, and many equally far.
        let (east, north) = (number * 7919 % 91, number * 104_729 % 83);
        run(&mut solo, client, &format!("GEOADD k 0.{east:02} 0.{north:02} m{number}"));
    }
    for order in ["ASC", "DESC"] {
        let search = format!("GEOSEARCH k FROMLONLAT 0.45 0.41 BYRADIUS 45 km {order}");
        let all = run(&mut solo, client, &format!("{search} WITHDIST"));
        let all = places(&all);
        assert!((1_000..2_000).contains(&all.len()), "{} places", all.len());
        for count in [1, 2, 10, 333, all.len() - 1, all.len(), 5_000] {
            let some = run(&mut solo, client, &format!("{search} COUNT {count} WITHDIST"));
            assert_eq!(places(&some), all[..count.min(all.len())], "{order} {count}");
        }
    }
}

/// Many elements are popped node by node; they must come as one by one.
#[test]
fn many_elements_are_popped_in_the_order_of_few() {
    for (many, one) in [("LPOP", "LPOP"), ("RPOP", "RPOP")] {
        let mut solo = Solo::new(1, 1, Settings::default());
        let client = solo.connect();
        for key in ["a", "b"] {
            let elements: Vec<String> = (0..3_000).map(|n| format!("{n}")).collect();
            run(&mut solo, client, &format!("RPUSH {key} {}", elements.join(" ")));
        }
        for count in [63, 64, 700, 1, 2_000, 500] {
            let got = run(&mut solo, client, &format!("{many} a {count}"));
            let (_, got) = got.split_once("\r\n").expect("an array");
            let singly = (0..count).map(|_| run(&mut solo, client, &format!("{one} b")));
            let singly: String = singly.filter(|reply| reply != "$-1\r\n").collect();
            assert_eq!(got, singly, "{many} {count}");
            solo.check();
        }
        assert_eq!(run(&mut solo, client, "EXISTS a b"), ":0\r\n");
    }
}

/// A difference looks members up in the others, or those of the others here, whichever is less; what is
/// left is the same. With very many others the first way alone would take minutes.
#[test]
fn a_difference_from_very_many_sorted_sets_is_that_from_one() {
    const MEMBERS: usize = 20_000;
    const OTHERS: usize = 20_000;
    let mut solo = Solo::new(1, 1, Settings::default());
    let client = solo.connect();
    let members = |range: std::ops::Range<usize>, step: usize| {
        let members = range.step_by(step).map(|n| format!("{n} m{n}"));
        members.collect::<Vec<_>>().join(" ")
    };
    run(&mut solo, client, &format!("ZADD all {}", members(0..MEMBERS, 1)));
    run(&mut solo, client, &format!("ZADD even {}", members(0..MEMBERS, 2)));
    for n in 0..OTHERS {
        let line = if n % 2 == 0 { format!("ZADD o{n} 1 m{n}") } else { format!("SADD o{n} x") };
        run(&mut solo, client, &line);
    }
    let names: Vec<String> = (0..OTHERS).map(|n| format!("o{n}")).collect();
    let names = names.join(" ");
    let by_one = run(&mut solo, client, "ZDIFF 2 all even WITHSCORES");
    let by_many = run(&mut solo, client, &format!("ZDIFF {} all {names} WITHSCORES", OTHERS + 1));
    assert_eq!(by_one, by_many);
    assert_eq!(run(&mut solo, client, "ZDIFF 3 all even all"), "*0\r\n");
}

/// A set may be named any number of times; to look its members up in itself each time would take minutes.
#[test]
fn a_sorted_set_that_is_named_very_often_is_looked_into_once() {
    const TIMES: usize = 5_000;
    let mut solo = Solo::new(1, 1, Settings::default());
    let client = solo.connect();
    let members: Vec<String> = (0..5_000).map(|n| format!("{n} m{n}")).collect();
    run(&mut solo, client, &format!("ZADD k {}", members.join(" ")));
    let names = ["k"; TIMES].join(" ");
    let most = run(&mut solo, client, &format!("ZINTER {TIMES} {names} WITHSCORES"));
    assert!(most.ends_with("$5\r\nm4999\r\n$8\r\n24995000\r\n"), "scores add up");
    assert_eq!(run(&mut solo, client, &format!("ZINTERCARD {TIMES} {names}")), ":5000\r\n");
    let names = ["k"; 7].join(" ");
    let weights = "WEIGHTS 1 2 3 4 5 6 7 AGGREGATE MAX WITHSCORES";
    let union = run(&mut solo, client, &format!("ZUNION 7 {names} {weights}"));
    assert_eq!(union, run(&mut solo, client, &format!("ZINTER 7 {names} {weights}")));
    assert!(union.ends_with("$5\r\nm4999\r\n$5\r\n34993\r\n"));
}
