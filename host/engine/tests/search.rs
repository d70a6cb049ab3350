//! Search: random stories over indexed keys, after which every index is what the same keys lead to
//! from scratch; with any number of shards, through roll-backs, expiry and files.

use reef_engine::backend::{Batch, Caller, Guards, OnError};
use reef_engine::batch::reply_columns;
use reef_engine::grants::Grants;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_fuzz::choice::{Choice, Rng};
use reef_fuzz::copy::{Copy, differences, essence};

use crate::traffic::{Columns, Line, argv};

const WORDS: [&str; 12] = [
    "hello", "running", "kings", "king", "world", "the", "engine", "searches", "quick", "brown",
    "Lazy", "dog",
];

fn line(words: &[&str]) -> Line {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn run(solo: &mut Solo, client: u64, words: &[&str]) -> String {
    String::from_utf8_lossy(&solo.run(client, argv(&line(words)).as_argv()).0).into_owned()
}

fn indexed(shards: usize) -> (Solo, u64) {
    let settings = Settings { debug_commands: true, ..Settings::default() };
    let mut solo = Solo::new(5, shards, settings);
    let client = solo.connect();
    let hashes = "FT.CREATE h PREFIX 2 d: e: LANGUAGE_FIELD l SCHEMA t TEXT WEIGHT 2 SORTABLE n NUMERIC INDEXMISSING SORTABLE g TAG INDEXEMPTY u TEXT NOSTEM PHONETIC dm:en INDEXEMPTY INDEXMISSING";
    let documents =
        "FT.CREATE j ON JSON PREFIX 1 j: SCHEMA $.t AS t TEXT $.n AS n NUMERIC $.g[*] AS g TAG";
    for create in [hashes, documents, "FT.CREATE all FILTER @n>3 SCHEMA t TEXT n NUMERIC"] {
        let words: Vec<&str> = create.split(' ').collect();
        assert_eq!(run(&mut solo, client, &words), "+OK\r\n");
    }
    (solo, client)
}

/// One random command about a few keys.
fn command(choice: &mut Rng) -> Line {
    let key = format!("{}:{}", choice.pick(&["d", "e", "j", "x"]), choice.below(6));
    let other = format!("{}:{}", choice.pick(&["d", "e", "x"]), choice.below(6));
    let text = (0..choice.below(6)).map(|_| choice.pick(&WORDS)).collect::<Vec<_>>().join(" ");
    let number = choice.pick(&["1", "2.5", "-7", "4", "1e3", "nothing"]).to_string();
    let tags = choice.pick(&["a", "a,b", " B , c ", "", "d e,f"]).to_string();
    let json = format!(r#"{{"t":"{text}","n":{},"g":["{tags}","x"]}}"#, choice.below(9));
    let field = choice.pick(&["t", "n", "g", "u", "other"]).to_string();
    let words: Vec<&str> = match choice.below(16) {
        0..=4 => vec!["HSET", &key, "t", &text, "n", &number, "g", &tags],
        5 => vec!["HSET", &key, "u", &text, "l", choice.pick(&["german", "chinese", "english"])],
        6 => vec!["HDEL", &key, &field],
        7 => vec!["HINCRBY", &key, "n", "1"],
        8 => vec!["DEL", &key],
        9 => vec!["RENAME", &key, &other],
        10 => vec!["COPY", &key, &other, "REPLACE"],
        11 => vec!["PEXPIRE", &key, "50"],
        12 => vec!["SET", &key, "text"],
        13 => vec!["JSON.SET", &key, "$", &json],
        14 => vec!["HPEXPIRE", &key, "60", "FIELDS", "1", &field],
        _ => vec!["PERSIST", &key],
    };
    line(&words)
}

#[test]
fn an_index_is_what_its_keys_lead_to() {
    for shards in [1, 8] {
        for seed in 0..12 {
            let mut choice = Rng::new(seed);
            let (mut solo, client) = indexed(shards);
            for round in 0..250 {
                let words = command(&mut choice);
                solo.run(client, argv(&words).as_argv());
                if choice.below(12) == 0 {
                    solo.advance(choice.below(80) as u64);
                }
                if round % 25 == 0 {
                    solo.check();
                }
            }
            solo.check();
            // What is exchanged, or comes from a file, is found as well.
            for words in [&["SWAPDB", "0", "1"][..], &["HSET", "d:1", "t", "hello"]] {
                run(&mut solo, client, words);
                solo.index_more(usize::MAX);
                solo.check();
            }
            run(&mut solo, client, &["SWAPDB", "1", "0"]);
            solo.index_more(usize::MAX);
            solo.check();
            run(&mut solo, client, &["FLUSHALL"]);
            assert_eq!(run(&mut solo, client, &["FT._LIST"]), "*0\r\n");
        }
    }
}

#[test]
fn what_is_rolled_back_is_not_found() {
    for shards in [1, 8] {
        for seed in 0..10 {
            let mut choice = Rng::new(seed);
            let (mut solo, client) = indexed(shards);
            for _ in 0..40 {
                let mut lines: Vec<Line> =
                    (0..1 + choice.below(8)).map(|_| command(&mut choice)).collect();
                let query = ["FT.SEARCH", "h", "hello|king|@g:{a}|@n:[0 9]", "NOCONTENT"];
                let fails = choice.below(2) == 0;
                let before = run(&mut solo, client, &query);
                lines.push(line(&["INCRBY", "counter", if fails { "many" } else { "1" }]));
                let columns = Columns::new(&lines);
                let batch = Batch {
                    guards: Guards::default(),
                    commands: columns.borrow(),
                    on_error: OnError::RollBack,
                    discard_replies: false,
                };
                let caller = Caller { client_id: 1, user: "default".into(), database: 0 };
                let outcome = solo.apply(&caller, &Grants::all(), &batch, &mut reply_columns());
                if outcome.is_err() {
                    // Equally good documents may come in another order.
                    let found = |reply: &str| {
                        let mut lines: Vec<String> = reply.lines().map(String::from).collect();
                        lines.sort();
                        lines
                    };
                    let after = run(&mut solo, client, &query);
                    assert_eq!(found(&before), found(&after), "{lines:?}");
                }
                solo.check();
            }
        }
    }
}

#[test]
fn answers_do_not_depend_on_the_number_of_shards() {
    for seed in 0..6 {
        let mut choice = Rng::new(seed);
        let mut engines: Vec<(Solo, u64)> = [1, 8].map(indexed).into();
        for _ in 0..120 {
            let words = command(&mut choice);
            for (solo, client) in &mut engines {
                solo.run(*client, argv(&words).as_argv());
            }
        }
        let queries = [
            "hello",
            "king*",
            "@t:(quick brown)",
            "-world",
            "~dog engine",
            "\"quick brown\"",
            "@g:{a|b}",
            "@n:[(1 4]",
            "%helo%",
            "*ing",
            "*",
            "hello | @n:[-inf 2] @g:{c}",
        ];
        for query in queries {
            for more in [&["WITHSCORES"][..], &["SORTBY", "n", "DESC"], &["LIMIT", "2", "3"]] {
                let words = [&["FT.SEARCH", "h", query, "DIALECT", "2"], more].concat();
                let answers: Vec<String> =
                    engines.iter_mut().map(|(solo, client)| run(solo, *client, &words)).collect();
                assert!(!answers[0].starts_with('-'), "{query}: {}", answers[0]);
                assert_eq!(answers[0], answers[1], "{query} {more:?}");
            }
        }
    }
}

#[test]
fn hostile_queries_are_refused_or_bounded() {
    let (mut solo, client) = indexed(8);
    for number in 0..200 {
        let key = format!("d:{number}");
        run(&mut solo, client, &["HSET", &key, "t", &format!("word{number} common"), "n", "1"]);
    }
    let megabyte = "some more words ".repeat(65_536);
    run(&mut solo, client, &["HSET", "d:long", "t", &megabyte]);
    solo.check();
    let deep = "(".repeat(100_000);
    let minus = "-".repeat(100_000);
    let wide = "b|".repeat(100_000) + "b";
    let fields = "@t:".repeat(100_000) + "b";
    for query in [&deep, &minus, &wide, &fields] {
        let reply = run(&mut solo, client, &["FT.SEARCH", "h", query, "DIALECT", "2"]);
        assert!(reply.starts_with('-'), "{reply:.60}");
        run(&mut solo, client, &["FT.SEARCH", "h", query]);
    }
    let reply = run(&mut solo, client, &["FT.SEARCH", "h", "*", "LIMIT", "0", "1000000000"]);
    assert_eq!(reply, "-LIMIT exceeds maximum of 1000000\r\n");
    let reply = run(&mut solo, client, &["FT.SEARCH", "h", "wo*", "LIMIT", "0", "0"]);
    assert_eq!(reply, "*1\r\n:200\r\n");
}

#[test]
fn a_file_keeps_which_indexes_there_are() {
    let (mut solo, client) = indexed(4);
    run(&mut solo, client, &["FT.ALIASADD", "other", "h"]);
    run(&mut solo, client, &["FT.SYNUPDATE", "h", "g1", "quick", "fast"]);
    run(&mut solo, client, &["HSET", "d:1", "t", "quick dog"]);
    let form = solo.form();
    let file = solo.save(form);
    let mut copy = Solo::new(9, 2, Settings::default());
    copy.load(&file, 100).expect("the file can be read");
    copy.check();
    let client = copy.connect();
    assert_eq!(
        run(&mut copy, client, &["FT.SEARCH", "other", "fast", "NOCONTENT"]),
        "*2\r\n:1\r\n$3\r\nd:1\r\n"
    );
}

#[test]
fn what_is_no_circle_is_refused() {
    let (mut solo, client) = indexed(1);
    run(&mut solo, client, &["FT.CREATE", "places", "SCHEMA", "g", "GEO"]);
    run(&mut solo, client, &["HSET", "a", "g", "1,1"]);
    for words in [
        &["FT.SEARCH", "places", "@g:[0 0 -1 km]"][..],
        &["FT.SEARCH", "places", "@g:[0 0 -inf km]"],
        &["FT.SEARCH", "places", "*", "GEOFILTER", "g", "0", "0", "-1", "km"],
    ] {
        assert!(run(&mut solo, client, words).starts_with('-'), "{words:?}");
    }
    let found = run(&mut solo, client, &["FT.SEARCH", "places", "@g:[1 1 1 km]", "NOCONTENT"]);
    assert_eq!(found, "*2\r\n:1\r\n$1\r\na\r\n");
}

#[test]
fn signs_at_every_level_are_refused() {
    let (mut solo, client) = indexed(1);
    let signs = format!("{}({}", "-".repeat(100), "-".repeat(100));
    let query = format!("{signs}hello)");
    for dialect in ["1", "2"] {
        let reply = run(&mut solo, client, &["FT.SEARCH", "h", &query, "DIALECT", dialect]);
        assert!(reply.starts_with("-Syntax error"), "{reply}");
    }
}

#[test]
fn documents_are_deleted_in_the_indexed_database_of_copies_too() {
    let (mut solo, client) = indexed(2);
    let mut copy = Copy::new(7, 3, 0, Settings::default());
    solo.keep_effects();
    // The copy has the same indexes.
    let form = solo.form();
    copy.begin_again(&solo.save(form));
    for database in ["1", "0"] {
        run(&mut solo, client, &["SELECT", database]);
        for key in ["d:1", "d:2"] {
            run(&mut solo, client, &["HSET", key, "t", "hello"]);
        }
    }
    run(&mut solo, client, &["SELECT", "1"]);
    assert_eq!(run(&mut solo, client, &["FT.DEL", "h", "d:1"]), ":1\r\n");
    assert_eq!(run(&mut solo, client, &["FT.DROPINDEX", "h", "DD"]), "+OK\r\n");
    assert_eq!(run(&mut solo, client, &["DBSIZE"]), ":2\r\n");
    copy.replay(&solo.take_effects());
    let expected = essence(solo.digest_with_expired());
    assert_eq!(expected.len(), 2);
    assert_eq!(differences(&expected, &copy.digest()), [""; 0]);
}

#[test]
fn fields_with_names_of_options_come_back_from_a_file() {
    let (mut solo, client) = indexed(2);
    let names = ["weight", "sortable", "nostem", "separator", "as", "schema", "skipinitialscan"];
    assert_eq!(run(&mut solo, client, &["FT.CREATE", "i", "SCHEMA", "title", "TEXT"]), "+OK\r\n");
    for name in names {
        let words = ["FT.ALTER", "i", "SCHEMA", "ADD", name, "TAG"];
        assert_eq!(run(&mut solo, client, &words), "+OK\r\n", "{name}");
    }
    run(&mut solo, client, &["HSET", "a", "title", "hello", "weight", "5", "as", "b"]);
    let form = solo.form();
    let file = solo.save(form);
    let mut copy = Solo::new(9, 3, Settings::default());
    copy.load(&file, 100).expect("the file can be read");
    copy.check();
    let reader = copy.connect();
    for query in ["hello", "@weight:{5}", "@as:{b}"] {
        let words = ["FT.SEARCH", "i", query, "NOCONTENT"];
        assert_eq!(run(&mut copy, reader, &words), "*2\r\n:1\r\n$1\r\na\r\n", "{query}");
    }
    assert_eq!(copy.save(form), file, "saving again says the same");
}

#[test]
fn what_each_result_takes_is_bounded() {
    let (mut solo, client) = indexed(2);
    run(&mut solo, client, &["HSET", "d:1", "t", "hello"]);
    let long = "x".repeat(5000);
    let many: Vec<String> = (0..1025).map(|number| format!("@t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for words in [
        &["FT.SEARCH", "h", "*", "HIGHLIGHT", "TAGS", &long, "x"][..],
        &["FT.SEARCH", "h", "*", "HIGHLIGHT", "TAGS", "x", &long],
        &["FT.SEARCH", "h", "*", "SUMMARIZE", "SEPARATOR", &long],
        &[&["FT.SEARCH", "h", "*", "RETURN", "1025"][..], &many].concat(),
        &[&["FT.AGGREGATE", "h", "*", "LOAD", "1025"][..], &many].concat(),
    ] {
        assert!(run(&mut solo, client, words).starts_with("-Bad arguments"), "{words:.3?}");
    }
}

#[test]
fn mixed_values_can_be_sorted() {
    let (mut solo, client) = indexed(2);
    for (at, value) in ["9", "10", "9.5", "x", "1,2", "8"].iter().cycle().take(90).enumerate() {
        run(&mut solo, client, &["HSET", &format!("d:{at}"), "t", "hello", "x", value]);
    }
    let mixed = "case(startswith(@x,'9.'),to_number(@x),case(contains(@x,','),split(@x),@x))";
    let words = "FT.AGGREGATE h hello LOAD 1 @x APPLY MIXED AS m SORTBY 1 @m MAX 90".split(' ');
    let words: Vec<&str> = words.map(|word| if word == "MIXED" { mixed } else { word }).collect();
    let reply = run(&mut solo, client, &words);
    assert!(reply.starts_with("*91\r\n"), "{reply:.80}");
}

#[test]
fn whatever_takes_long_looks_at_the_clock() {
    let (mut solo, client) = indexed(4);
    for number in 0..1000 {
        let text = format!("word{number} common words");
        run(&mut solo, client, &["HSET", &format!("d:{number}"), "t", &text, "n", "1"]);
    }
    let long = "alpha x x beta x x ".repeat(6000);
    run(&mut solo, client, &["HSET", "d:long", "t", &long]);
    run(&mut solo, client, &["FT.CONFIG", "SET", "ON_TIMEOUT", "fail"]);
    solo.slow_down(10_000);
    let (fuzzy, infix, ranges) =
        ("%%%word%%%|".repeat(100), "*or*|".repeat(100), "@n:[-inf +inf]|".repeat(100));
    let near = "(alpha beta)=>{$slop:0}";
    let in_order = "(alpha beta)=>{$slop:0;$inorder:true}";
    for query in [&*fuzzy, &infix, &ranges, near, in_order] {
        let query = query.trim_end_matches('|');
        for timeout in [&[][..], &["TIMEOUT", "0"], &["TIMEOUT", "400"]] {
            let start = ["FT.SEARCH", "h", query, "LIMIT", "0", "0", "DIALECT", "2"];
            let reply = run(&mut solo, client, &[&start[..], timeout].concat());
            assert_eq!(reply, "-Timeout limit was reached\r\n", "{query:.40} {timeout:?}");
        }
    }
    let reply = run(&mut solo, client, &["FT.SEARCH", "h", "word7", "LIMIT", "0", "0"]);
    assert_eq!(reply, "*1\r\n:1\r\n");
}

#[test]
fn who_may_not_read_the_keys_of_an_index_finds_nothing_of_them() {
    let (mut solo, client) = indexed(2);
    run(&mut solo, client, &["HSET", "d:1", "t", "hello", "g", "a"]);
    let user = ["ACL", "SETUSER", "ann", "on", "nopass", "+@all", "resetkeys", "~e:*", "%R~d*"];
    assert_eq!(run(&mut solo, client, &user), "+OK\r\n");
    let bob = ["ACL", "SETUSER", "bob", "on", "nopass", "+@all", "resetkeys", "~d:?*", "~e:*"];
    assert_eq!(run(&mut solo, client, &bob), "+OK\r\n");
    let refused = "-NOPERM User does not have the required permissions to query the index\r\n";
    let (ann, bob) = (solo.connect(), solo.connect());
    run(&mut solo, ann, &["AUTH", "ann", "x"]);
    run(&mut solo, bob, &["AUTH", "bob", "x"]);
    for words in [
        &["FT.SEARCH", "h", "hello"][..],
        &["FT.AGGREGATE", "h", "hello"],
        &["FT.PROFILE", "h", "SEARCH", "QUERY", "hello"],
        &["FT.SPELLCHECK", "h", "helo"],
        &["FT.TAGVALS", "h", "g"],
        &["FT.GET", "h", "d:1"],
        &["FT.MGET", "h", "d:1"],
    ] {
        assert_eq!(run(&mut solo, bob, words), refused, "{words:?}");
        assert!(!run(&mut solo, ann, words).starts_with('-'), "{words:?}");
    }
    let rows = run(&mut solo, client, &["FT.AGGREGATE", "all", "*", "WITHCURSOR", "COUNT", "1"]);
    assert!(!rows.starts_with('-'), "{rows}");
    for words in [&["FT.DEL", "h", "d:1"][..], &["FT.DROPINDEX", "h", "DD"]] {
        for who in [ann, bob] {
            assert_eq!(run(&mut solo, who, words), refused, "{words:?}");
        }
    }
    // Every key may be in this one.
    for who in [ann, bob] {
        for words in [&["FT.SEARCH", "all", "*"][..], &["FT.CURSOR", "READ", "all", "7"]] {
            assert_eq!(run(&mut solo, who, words), refused, "{words:?}");
        }
    }
    assert_eq!(
        run(&mut solo, client, &["FT.CURSOR", "READ", "h", "7"]),
        "-Cursor does not exist\r\n"
    );
    run(&mut solo, client, &["ACL", "SETUSER", "ann", "-@dangerous"]);
    let reply = run(&mut solo, ann, &["FT.CONFIG", "SET", "TIMEOUT", "0"]);
    assert!(reply.starts_with("-NOPERM"), "{reply}");
    assert_eq!(run(&mut solo, bob, &["FT.DROPINDEX", "h"]), "+OK\r\n");
    assert_eq!(run(&mut solo, client, &["EXISTS", "d:1"]), ":1\r\n");
}

#[test]
fn rows_that_wait_and_dictionaries_take_memory() {
    let (mut solo, client) = indexed(4);
    for number in 0..500 {
        run(&mut solo, client, &["HSET", &format!("d:{number}"), "t", &"hello ".repeat(50)]);
    }
    let used = |solo: &mut Solo| -> usize {
        let info = run(solo, client, &["INFO", "memory"]);
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.expect("a figure").parse().expect("a number")
    };
    let before = used(&mut solo);
    let words = ["FT.AGGREGATE", "h", "*", "LOAD", "1", "@t", "WITHCURSOR", "COUNT", "1"];
    let rows = run(&mut solo, client, &words);
    let id = rows.lines().last().and_then(|line| line.strip_prefix(':')).expect("a cursor");
    let with_rows = used(&mut solo);
    assert!(with_rows > before + 499 * 300, "{before} {with_rows}");
    run(&mut solo, client, &["FT.CURSOR", "READ", "h", id, "COUNT", "400"]);
    assert!(used(&mut solo) < before + (with_rows - before) / 2);
    run(&mut solo, client, &["FT.CURSOR", "DEL", "h", id]);
    assert_eq!(used(&mut solo), before);
    run(&mut solo, client, &["FT.DICTADD", "words", &"x".repeat(100_000)]);
    run(&mut solo, client, &["FT.SYNUPDATE", "h", "g", &"x".repeat(100_000)]);
    let told = used(&mut solo);
    assert!((before + 200_000..before + 210_000).contains(&told), "{before} {told}");
    run(&mut solo, client, &["FT.DICTDEL", "words", &"x".repeat(100_000)]);
    run(&mut solo, client, &["FT.DROPINDEX", "h"]);
    assert!(used(&mut solo) < before);
}

#[test]
fn an_index_that_is_changed_still_finds_what_it_found() {
    for shards in [1, 8] {
        let (mut solo, client) = indexed(shards);
        let count = |solo: &mut Solo, query: &str| {
            let words = ["FT.SEARCH", "h", query, "LIMIT", "0", "0"];
            run(solo, client, &words).replace("*1\r\n:", "")
        };
        for number in 0..6000 {
            let text = if number % 2 == 0 { "quick fox" } else { "slow fox" };
            let key = format!("d:{number}");
            run(&mut solo, client, &["HSET", &key, "t", text, "n", "5", "more", "b"]);
        }
        for words in [
            &["FT.SYNUPDATE", "h", "g1", "quick", "fast"][..],
            &["FT.ALTER", "h", "SCHEMA", "ADD", "more", "TAG"],
        ] {
            assert_eq!(run(&mut solo, client, words), "+OK\r\n");
            assert_eq!(count(&mut solo, "quick"), "3000\r\n");
            assert_eq!(count(&mut solo, "@n:[5 5]"), "6000\r\n");
            run(&mut solo, client, &["HSET", "d:0", "t", "quick dog"]);
            run(&mut solo, client, &["HSET", "d:2", "t", "quick fox", "n", "5"]);
            run(&mut solo, client, &["DEL", "d:4"]);
            solo.check();
            run(&mut solo, client, &["HSET", "d:4", "t", "quick fox", "n", "5", "more", "b"]);
            for budget in [100, 100, usize::MAX] {
                solo.index_more(budget);
                solo.check();
            }
            assert_eq!(count(&mut solo, "fast"), "3000\r\n");
        }
        assert_eq!(count(&mut solo, "@more:{b}"), "6000\r\n");
    }
}

#[test]
fn more_than_one_search_removes_is_not_found_either() {
    let (mut solo, client) = indexed(2);
    let count = |solo: &mut Solo, query: &str| {
        run(solo, client, &["FT.SEARCH", "h", query, "LIMIT", "0", "0", "DIALECT", "2"])
    };
    for number in 0..10_800 {
        let key = format!("d:{number}");
        run(&mut solo, client, &["HSET", &key, "t", "hello", "n", "1"]);
        match number {
            10_500.. => run(&mut solo, client, &["HPEXPIRE", &key, "50", "FIELDS", "1", "n"]),
            _ => run(&mut solo, client, &["PEXPIRE", &key, "50"]),
        };
    }
    assert_eq!(count(&mut solo, "hello"), "*1\r\n:10800\r\n");
    run(&mut solo, client, &["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    solo.advance(60);
    assert_eq!(count(&mut solo, "hello @n:[1 1]"), "*1\r\n:0\r\n");
    assert_eq!(count(&mut solo, "hello"), "*1\r\n:300\r\n");
    assert_eq!(count(&mut solo, "ismissing(@n)"), "*1\r\n:300\r\n");
}

#[test]
fn a_temporary_index_goes_from_copies_too() {
    let (mut solo, client) = indexed(4);
    let mut copy = Copy::new(7, 3, 0, Settings::default());
    solo.keep_effects();
    let create =
        ["FT.CREATE", "brief", "TEMPORARY", "10", "PREFIX", "1", "b:", "SCHEMA", "t", "TEXT"];
    assert_eq!(run(&mut solo, client, &create), "+OK\r\n");
    let seconds = |solo: &mut Solo| run(solo, client, &["FT.DEBUG", "TTL", "brief"]);
    for key in ["b:1", "b:2", "d:1"] {
        solo.advance(6000);
        run(&mut solo, client, &["HSET", key, "t", "hello"]);
        // Writing documents of it is use; writing others is not.
        solo.advance(1);
        assert_eq!(seconds(&mut solo), if key == "d:1" { ":3\r\n" } else { ":10\r\n" });
    }
    solo.advance(3000);
    assert_eq!(run(&mut solo, client, &["EXISTS", "b:1", "b:2"]), ":2\r\n");
    solo.advance(1000);
    assert_eq!(seconds(&mut solo), "-Unknown index name\r\n");
    assert_eq!(run(&mut solo, client, &["EXISTS", "b:1", "b:2", "d:1"]), ":1\r\n");
    copy.replay(&solo.take_effects());
    let expected = essence(solo.digest_with_expired());
    assert_eq!(expected.len(), 1);
    assert_eq!(differences(&expected, &copy.digest()), [""; 0]);
    solo.check();
}

#[test]
fn what_could_not_be_indexed_is_told_of_each_field() {
    let (mut solo, client) = indexed(4);
    run(
        &mut solo,
        client,
        &["FT.CREATE", "f", "PREFIX", "1", "f:", "SCHEMA", "n", "NUMERIC", "g", "GEO"],
    );
    let told = |solo: &mut _| run(solo, client, &["FT.INFO", "f"]).replace("\r\n", " ");
    let none = "$19 last indexing error $3 N/A $23 last indexing error key $3 N/A";
    assert!(told(&mut solo).contains(&format!("$17 indexing failures :0 {none}")));
    for (key, field, value) in
        [("f:1", "n", "1"), ("f:2", "n", "x"), ("f:3", "g", "y"), ("f:4", "n", "z")]
    {
        run(&mut solo, client, &["HSET", key, field, value]);
    }
    let told = told(&mut solo);
    for (count, why, key) in [
        (3, "Invalid numeric value: 'z'", "f:4"),
        (2, "Invalid numeric value: 'z'", "f:4"),
        (1, "Invalid geo string", "f:3"),
    ] {
        let len = why.len();
        let expected = format!(
            "indexing failures :{count} $19 last indexing error ${len} {why} $23 last indexing error key $3 {key}"
        );
        assert!(told.contains(&expected), "{expected} in {told}");
    }
}
