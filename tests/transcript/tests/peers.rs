//! Certifies every transcript against the real redis-server, under RESP2 and RESP3.
//!
//! `UPDATE=1` records the expectations instead. Without a redis-server 7.0 on PATH there is no
//! judge: the test says so and passes, unless `REEF_REQUIRE_PEERS=1` demands one.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use reef_transcript::{
    Kind, Protocol, RedisServer, TcpPeer, Transcript, check, commands_covered, load_all, record,
};

/// The release line that the expectations are recorded from.
const ORACLE_VERSION: &str = "7.0.";
/// How long a reply may take while recording before it counts as none.
const RECORD_TIMEOUT: Duration = Duration::from_millis(700);

fn oracle_is_here() -> bool {
    let version = RedisServer::version();
    let fits = version.as_deref().is_some_and(|version| version.starts_with(ORACLE_VERSION));
    let required = std::env::var_os("REEF_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(fits || !required, "REEF_REQUIRE_PEERS=1, but redis-server on PATH is {version:?}");
    fits
}

#[test]
fn every_transcript_is_what_redis_server_answers() {
    if !oracle_is_here() {
        eprintln!(
            "skipped: no redis-server {ORACLE_VERSION}x on PATH (REEF_REQUIRE_PEERS=1 fails)"
        );
        return;
    }
    let started = Instant::now();
    let transcripts = load_all().unwrap();
    assert!(!transcripts.is_empty());
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        in_parallel(&transcripts, |transcript| {
            update(transcript);
            Vec::new()
        });
        return;
    }
    let reports = in_parallel(&transcripts, certify);
    assert!(reports.is_empty(), "{} mismatches\n\n{}", reports.len(), reports.join("\n"));
    assert!(started.elapsed() < Duration::from_secs(60), "took {:?}", started.elapsed());
}

/// One server and one thread per transcript: those that wait do not hold up the others.
fn in_parallel(
    transcripts: &[Transcript],
    work: impl Fn(&Transcript) -> Vec<String> + Sync,
) -> Vec<String> {
    thread::scope(|scope| {
        let workers: Vec<_> =
            transcripts.iter().map(|transcript| scope.spawn(|| work(transcript))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker panicked")).collect()
    })
}

fn certify(transcript: &Transcript) -> Vec<String> {
    let server = RedisServer::start().expect("redis-server starts");
    let mut peer = TcpPeer::new(server.address(), Kind::Oracle);
    let mut mismatches = check(transcript, &mut peer, Protocol::Resp2);
    mismatches.extend(check(transcript, &mut peer, Protocol::Resp3));
    mismatches.iter().map(ToString::to_string).collect()
}

fn update(transcript: &Transcript) {
    let server = RedisServer::start().expect("redis-server starts");
    let mut peer = TcpPeer::new(server.address(), Kind::Oracle).with_reply_timeout(RECORD_TIMEOUT);
    let text = record(transcript, &mut peer).expect("the oracle answers");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../commands");
    fs::write(folder.join(&transcript.name), text).expect("transcripts can be written");
}

#[test]
fn covered_commands_are_named_with_their_subcommands() {
    let covered = commands_covered().unwrap();
    assert!(covered.contains("GET"), "{covered:?}");
    assert!(covered.contains("OBJECT|ENCODING"), "{covered:?}");
    assert!(!covered.iter().any(|name| name.starts_with("GET|")), "{covered:?}");
}
