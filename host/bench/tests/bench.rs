//! The load generator against a real redis-server (found on PATH) and against servers that misbehave.
//!
//! Without redis-server the tests that need it say so and pass; with REEF_REQUIRE_PEERS=1 they fail.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use reef_bench::BenchArgs;
use serde_json::Value;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: BenchArgs,
}

/// Runs `reef bench` with `words`; the report, or the sentence that explains the failure.
fn bench(words: &[&str]) -> Result<String, String> {
    let line = Line::try_parse_from(std::iter::once(&"bench").chain(words))
        .map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    reef_bench::run(&line.args, &mut out).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).expect("reports are UTF-8"))
}

fn bench_json(words: &[&str]) -> Value {
    let report = bench(&[words, &["--json"]].concat()).expect("the run succeeds");
    serde_json::from_str(&report).expect("--json prints JSON")
}

/// A redis-server of our own; killed when dropped.
struct Redis {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one; `None` (said aloud) when there is no redis-server and none is required.
    fn start(options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let port = free_port();
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--dir", folder.path().to_str().expect("UTF-8")])
            .args(["--unixsocket", folder.path().join("s").to_str().expect("UTF-8")])
            .args(options)
            .stdout(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                let required = std::env::var("REEF_REQUIRE_PEERS").is_ok_and(|value| value == "1");
                assert!(!required, "REEF_REQUIRE_PEERS=1, but redis-server did not start: {error}");
                // Not captured by the test harness, so that a skipped test is never taken for a pass.
                let _ = writeln!(std::io::stderr(), "skipped: redis-server did not start: {error}");
                return None;
            }
        };
        let server = Self { child, port, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen on port {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One inline command and the first line of its reply.
    fn ask(&self, command: &str) -> String {
        self.ask_all(command).lines().next().unwrap_or("").to_owned()
    }

    /// Inline commands and all replies, with that of QUIT.
    fn ask_all(&self, command: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("connects");
        socket.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).expect("writes");
        let mut reply = String::new();
        socket.read_to_string(&mut reply).expect("reads");
        reply
    }

    /// The sum of all `counter:` keys.
    fn counted(&self) -> u64 {
        let script = "local s=0 for _,k in ipairs(redis.call('KEYS','counter:*')) do \
                      s=s+redis.call('GET',k) end return s";
        self.ask(&format!("EVAL \"{script}\" 0")).trim_start_matches(':').parse().expect("a number")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

#[test]
fn exactly_the_requested_operations_reach_the_server() {
    let Some(redis) = Redis::start(&[]) else { return };
    let url = redis.url();
    let base = ["--url", &url, "--warmup", "0", "--rounds", "1", "--keys", "50", "--mix", "incr"];
    let mut expected = 0;
    for (requests, shape) in [
        (1, ["-c", "50", "-P", "1", "--threads", "1"]),
        (10_007, ["-c", "7", "-P", "1", "--threads", "1"]),
        (20_011, ["-c", "50", "-P", "16", "--threads", "1"]),
        (30_013, ["-c", "5", "-P", "1000", "--threads", "3"]),
    ] {
        let requests_text = requests.to_string();
        let report = bench_json(&[&base[..], &shape, &["--requests", &requests_text]].concat());
        expected += requests;
        assert_eq!(redis.counted(), expected, "{shape:?}");
        let line = &report["results"][0]["servers"][0];
        assert_eq!(line["operations"], requests);
        assert_eq!((&line["errors"], &line["nil_replies"]), (&Value::from(0), &Value::from(0)));
        assert!(line["ops_per_s"].as_f64() > Some(0.0), "{line}");
        assert!(line["p50_ms"].as_f64() <= line["p999_ms"].as_f64(), "{line}");
    }
}

#[test]
fn against_measures_both_and_prints_the_ratio() {
    let (Some(first), Some(second)) = (Redis::start(&[]), Redis::start(&[])) else { return };
    let (url, peer) = (first.url(), second.url());
    let words = [
        "--url",
        &url,
        "--against",
        &peer,
        "--mix",
        "incr",
        "get:80,set:20",
        "--rounds",
        "2",
        "--warmup",
        "0",
        "--requests",
        "2000",
        "--keys",
        "100",
    ];
    let report = bench(&words).expect("the run succeeds");
    assert_eq!(report.matches("ratio first/second: throughput ").count(), 2, "{report}");
    for (mix, server) in [("incr ", &first), ("incr ", &second), ("get:80,set:20 ", &first)] {
        let name = format!("127.0.0.1:{} (redis ", server.port);
        let lines = report.lines().filter(|line| line.starts_with(mix) && line.contains(&name));
        assert_eq!(lines.count(), 1, "{mix}{name}: {report}");
    }
    assert_eq!((first.counted(), second.counted()), (4_000, 4_000));

    let report = bench_json(&[&words[..11], &["--seconds", "0.4", "--load"]].concat());
    for result in report["results"].as_array().expect("results") {
        let ratio = &result["ratio"]["throughput"];
        let part = |name: &str| ratio[name].as_f64().expect("a number");
        assert!(0.0 < part("min") && part("min") <= part("median"), "{ratio}");
        assert!(part("median") <= part("max"), "{ratio}");
        for server in result["servers"].as_array().expect("servers") {
            // Both servers run here, so their CPU must be visible and above zero.
            assert!(server["server_cpu_us_per_op"].as_f64() > Some(0.0), "{server}");
            assert_eq!(server["nil_replies"], 0, "--load has written the keys: {server}");
        }
    }
}

#[test]
fn every_named_load_runs_without_an_error_reply() {
    let Some(redis) = Redis::start(&[]) else { return };
    let url = redis.url();
    let names = [
        "ping",
        "set",
        "get",
        "incr",
        "lpush",
        "lpop",
        "lrange_100",
        "sadd",
        "hset",
        "hgetall",
        "zadd",
        "zrange_100",
        "mset",
        "xadd",
        "xreadgroup",
        "publish",
    ];
    let base = [
        "--url", &url, "--keys", "500", "--load", "--rounds", "1", "--warmup", "0", "-n", "500",
        "-P", "4", "--mix",
    ];
    for resp3 in [&["--resp3"][..], &[]] {
        let report = bench_json(&[&base[..], &names, resp3].concat());
        let results = report["results"].as_array().expect("results");
        assert_eq!(results.len(), names.len());
        for result in results {
            let line = &result["servers"][0];
            assert_eq!(line["errors"], 0, "{result}");
            assert_eq!(line["nil_replies"], 0, "{result}");
            assert_eq!(line["operations"], 500, "{result}");
        }
    }
    assert_eq!(redis.ask("LLEN bench:list"), ":100");
    assert_eq!(redis.ask("ZCARD bench:sorted"), ":100");
    assert_eq!(redis.ask("HLEN bench:hash:000000000999"), ":10");
    assert_eq!(redis.ask("XLEN bench:stream"), ":1000");
    assert_eq!(redis.ask("STRLEN key:000000000499"), ":100");
}

#[test]
fn clients_that_wait_are_measured_and_leave_nothing() {
    let Some(redis) = Redis::start(&[]) else { return };
    let report = bench_json(&["--url", &redis.url(), "--waiters", "20", "--rounds", "2"]);
    let figures = report["servers"][0]["figures"].as_object().expect("figures");
    assert_eq!(figures.len(), 9, "{report}");
    for (name, values) in figures {
        let values: Vec<f64> =
            values.as_array().expect(name).iter().filter_map(Value::as_f64).collect();
        assert_eq!(values.len(), 2, "{name}: {report}");
    }
    let early = &figures["timeout early, most (ms)"];
    assert_eq!(early[0], 0.0, "{report}");
    assert_eq!(redis.ask("DBSIZE"), ":0");
}

#[test]
fn custom_commands_fill_in_their_placeholders() {
    let Some(redis) = Redis::start(&[]) else { return };
    let url = redis.url();
    let base = ["--url", &url, "--rounds", "1", "--warmup", "0", "-n", "1000", "--threads", "2"];
    let commands = [
        "--command",
        "SADD nonces __nonce__",
        "--command",
        "SADD sequence __seq__",
        "--command",
        "SADD index __index__",
        "--command",
        "MULTI ; INCR 'a b' ; INCR other ; EXEC",
    ];
    let report = bench_json(&[&base[..], &commands].concat());
    assert_eq!(report["results"][3]["mix"], "MULTI;INCR;INCR;EXEC");
    assert_eq!(report["results"][3]["servers"][0]["operations"], 1000);
    assert_eq!(redis.ask("SCARD nonces"), ":1000");
    assert_eq!(redis.ask("SISMEMBER sequence 100000000999"), ":1");
    assert_eq!(redis.ask("SCARD index"), ":1000");
    assert_eq!(redis.ask("SISMEMBER index 000000000999"), ":1");
    assert_eq!((redis.ask("GET \"a b\""), redis.ask("STRLEN other")), ("$4".into(), ":4".into()));
}

#[test]
fn error_replies_are_counted_and_the_first_is_shown() {
    let Some(redis) = Redis::start(&[]) else { return };
    let url = redis.url();
    let words = [
        "--url",
        &url,
        "--rounds",
        "2",
        "--warmup",
        "0",
        "-n",
        "300",
        "-c",
        "3",
        "--command",
        "NOSUCH __key__",
    ];
    let line = bench_json(&words)["results"][0]["servers"][0].clone();
    assert_eq!(line["errors"], 600);
    let text = line["first_error"].as_str().expect("a text");
    assert!(text.starts_with("ERR unknown command 'NOSUCH'"), "{text}");
    let report = bench(&words).expect("errors are figures, not failures");
    assert!(report.contains("first error: ERR unknown command"), "{report}");
    let report = bench(&["--url", &url, "-n", "100", "--mix", "get"]).expect("misses are fine");
    assert!(report.contains("100 % of the replies were nil"), "{report}");
}

#[test]
fn values_larger_than_every_buffer_go_through() {
    let Some(redis) = Redis::start(&[]) else { return };
    let url = redis.url();
    let report = bench_json(&[
        "--url", &url, "--rounds", "1", "--warmup", "0", "-n", "120", "-c", "4", "-P", "5", "-d",
        "3000000", "--keys", "3", "--load", "--mix", "set", "get",
    ]);
    for result in report["results"].as_array().expect("results") {
        let line = &result["servers"][0];
        assert_eq!((&line["operations"], &line["errors"]), (&120.into(), &0.into()), "{line}");
        assert_eq!(line["nil_replies"], 0, "{line}");
    }
    assert_eq!(redis.ask("STRLEN key:000000000002"), ":3000000");
}

#[test]
fn memory_prints_what_a_key_costs() {
    let Some(redis) = Redis::start(&[]) else { return };
    let url = redis.url();
    let report = bench_json(&["--url", &url, "--memory", "--keys", "50000", "--flush"]);
    let line = &report["servers"][0];
    assert_eq!(line["new_keys"], 50_000);
    let used = line["used_memory_per_key"].as_f64().expect("a number");
    assert!((150.0..260.0).contains(&used), "{used} bytes a key");
    assert!(line["rss_per_key"].as_f64() > Some(100.0), "{line}");
    let again = bench(&["--url", &url, "--memory", "--keys", "50000"]).expect("it runs");
    assert!(again.contains("but 0 are new: start with an empty server"), "{again}");
    let refused = bench(&["--url", &url, "--memory", "--command", "SET __key__ v"]);
    assert!(refused.expect_err("random keys repeat").contains("use __index__"));
}

#[test]
fn password_database_and_unix_socket_are_honoured() {
    let Some(redis) = Redis::start(&["--requirepass", "s3cret/@"]) else { return };
    let short = ["--rounds", "1", "--warmup", "0", "-n", "50", "--mix", "incr", "--url"];
    let with = |url: &str| bench(&[&short[..], &[url]].concat());
    let refused = with(&redis.url()).expect_err("no password");
    assert!(refused.contains("refused PING: NOAUTH"), "{refused}");
    let refused = with(&format!("redis://:wrong@127.0.0.1:{}", redis.port)).expect_err("wrong");
    assert!(
        refused.contains("refused AUTH: WRONGPASS") && !refused.contains("wrong@"),
        "{refused}"
    );
    with(&format!("redis://default:s3cret%2F%40@127.0.0.1:{}/3", redis.port)).expect("enters");
    let socket = redis.folder.path().join("s").display().to_string();
    with(&format!("unix://:s3cret%2F%40@{socket}?db=3")).expect("enters by the unix socket");
    let sizes = redis.ask_all("AUTH s3cret/@\r\nDBSIZE\r\nSELECT 3\r\nDBSIZE");
    let sizes: Vec<&str> = sizes.lines().filter(|line| line.starts_with(':')).collect();
    assert!(sizes[0] == ":0" && sizes[1] != ":0", "database 3 was loaded, not 0: {sizes:?}");
}

#[test]
fn a_server_that_is_not_there_gives_one_clear_sentence() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let error = bench(&["--url", &url]).expect_err("nobody listens");
    assert!(error.contains("connection refused") && error.lines().count() == 1, "{error}");
    let error = bench(&["--url", "unix:///no/such/socket"]).expect_err("nobody listens");
    assert!(error.contains("nothing listens at /no/such/socket"), "{error}");
}

/// Answers the first reads of each connection with `reply`, then does what `end` says.
fn fake_server(reply: &'static [u8], times: usize, end: End) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                for turn in 0.. {
                    match socket.read(&mut buffer) {
                        Ok(1..) if turn >= times && end == End::Silence => {}
                        Ok(1..) if turn >= times => break,
                        Ok(1..) if socket.write_all(reply).is_ok() => {}
                        _ => break,
                    }
                }
            });
        }
    });
    format!("redis://127.0.0.1:{port}")
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Close,
    Silence,
}

#[test]
fn servers_that_misbehave_end_the_run_with_the_reason() {
    let run = |url: &str| {
        bench(&["--url", url, "-c", "1", "-n", "100", "--warmup", "0", "--mix", "ping"])
            .expect_err("the server misbehaves")
    };
    let error = run(&fake_server(b"HTTP/1.1 400 Bad Request\r\n\r\n", 1, End::Close));
    assert!(error.contains("does not speak RESP: 'H' begins no reply"), "{error}");
    let error = run(&fake_server(b"+PONG\r\n+PONG\r\n", 1_000, End::Close));
    assert!(error.contains("more replies than commands"), "{error}");
    let error = run(&fake_server(b"-ERR max number of clients reached\r\n", 1, End::Close));
    assert!(error.contains("refused PING: ERR max number of clients reached"), "{error}");
    // INFO is refused (its reply is no bulk string), then each connection dies after three replies.
    let error = run(&fake_server(b"+PONG\r\n", 3, End::Close));
    assert!(error.ends_with("closed the connection"), "{error}");
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    // PING and INFO of the first connection, then two PINGs of each of the others, are answered.
    let url = fake_server(b"+PONG\r\n", 2, End::Silence);
    let begin = Instant::now();
    let error = bench(&[
        "--url",
        &url,
        "-c",
        "2",
        "--seconds",
        "0.1",
        "--warmup",
        "0",
        "--stall",
        "0.3",
        "--mix",
        "ping",
    ])
    .expect_err("nobody answers");
    assert!(error.contains("has not answered anything for 0.3 seconds"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn wrong_options_are_refused_before_any_connection() {
    for words in [
        &["--connections", "0"][..],
        &["--pipeline", "0"],
        &["--keys", "0"],
        &["--rounds", "0"],
        &["--seconds", "0"],
        &["--seconds", "nan"],
        &["--warmup", "-1"],
        &["--requests", "5", "--seconds", "5"],
        &["--mix", "nothing"],
        &["--command", "SET 'a"],
        &["--url", "localhost"],
        &["--against", "http://localhost"],
    ] {
        let error = bench(words).expect_err("a wrong option");
        assert!(!error.contains("refused)"), "{words:?}: {error}");
    }
}
