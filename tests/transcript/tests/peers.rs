//! Certifies every transcript against real redis-servers, under RESP2 and RESP3.
//!
//! The redis-server 7.0 on PATH is the oracle: `UPDATE=1` records the expectations from it. Without
//! one there is no judge: the test says so and passes, unless `REEF_REQUIRE_PEERS=1` demands it.
//! What `# since 7.2:` says is judged by, and recorded from, a redis-server of that line when
//! `REDIS_SERVER_7_2` names its program; cases with `# needs: 7.4` by one that `REDIS_SERVER_7_4` names,
//! cases with `# needs: json` by one with RedisJSON that `REDIS_SERVER_JSON` names (a script that adds
//! `--loadmodule` will do), cases with `# needs: valkey` by the valkey-server that `VALKEY_SERVER` names. Record from one server at a time: name the test.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use reef_transcript::{
    Case, Kind, NEED_7_4, NEED_JSON, NEED_VALKEY, Protocol, RedisServer, TcpPeer, Transcript,
    check, commands_covered, load_all, record,
};

/// How long a reply may take while recording before it counts as none.
const RECORD_TIMEOUT: Duration = Duration::from_millis(700);
/// All families together, waiting included.
const DURATION_MAX: Duration = Duration::from_secs(60);

#[test]
fn every_transcript_is_what_redis_server_answers() {
    let Some(program) = judge(Some("redis-server".into()), "7.0.") else { return };
    record_or_certify(&program, Kind::Oracle);
}

#[test]
fn what_is_new_in_7_2_is_what_a_redis_server_of_that_line_answers() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_2"), "7.2.") else { return };
    record_or_certify(&program, Kind::Newer);
}

#[test]
fn what_is_new_in_7_4_is_what_a_redis_server_of_that_line_answers() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_7_4"), "7.4.") else { return };
    judge_by(&program, Kind::Oracle, Some(NEED_7_4));
}

#[test]
fn json_is_what_a_redis_server_with_redisjson_answers() {
    let Some(program) = judge(std::env::var_os("REDIS_SERVER_JSON"), "") else { return };
    judge_by(&program, Kind::Oracle, Some(NEED_JSON));
}

#[test]
fn what_valkey_has_beyond_redis_is_what_a_valkey_server_answers() {
    let Some(program) = judge(std::env::var_os("VALKEY_SERVER"), "9.") else { return };
    judge_by(&program, Kind::Oracle, Some(NEED_VALKEY));
}

/// The program, when there is one of the right release line.
#[expect(clippy::print_stderr, reason = "a test that has nothing to judge by must say so")]
fn judge(program: Option<OsString>, line: &str) -> Option<OsString> {
    let version = program.as_deref().and_then(RedisServer::version);
    if version.as_deref().is_some_and(|version| version.starts_with(line)) {
        return program;
    }
    let required = std::env::var_os("REEF_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(
        !required || program.is_none(),
        "REEF_REQUIRE_PEERS=1, but instead of {line}x there is {version:?}"
    );
    eprintln!("skipped: there is no redis-server {line}x to judge by");
    None
}

fn record_or_certify(program: &OsStr, kind: Kind) {
    judge_by(program, kind, None);
}

/// Judges all transcripts, or only those cases that need something that not every server has.
fn judge_by(program: &OsStr, kind: Kind, need: Option<&'static str>) {
    let started = Instant::now();
    let mut transcripts = load_all().expect("transcripts can be read");
    if let Some(need) = need {
        let is_meant = |case: &Case| case.needs.iter().any(|one| one == need);
        transcripts.iter_mut().for_each(|transcript| transcript.cases.retain(is_meant));
        transcripts.retain(|transcript| !transcript.cases.is_empty());
    }
    let peer = |server: &RedisServer| {
        let peer = TcpPeer::new(server.address(), kind);
        need.into_iter().fold(peer, TcpPeer::with)
    };
    assert!(!transcripts.is_empty());
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        in_parallel(&transcripts, |transcript| {
            update(transcript, program, peer);
            Vec::new()
        });
        return;
    }
    let reports = in_parallel(&transcripts, |transcript| certify(transcript, program, peer));
    assert!(reports.is_empty(), "{} mismatches\n\n{}", reports.len(), reports.join("\n"));
    assert!(started.elapsed() < DURATION_MAX, "took {:?}", started.elapsed());
}

/// One server and one thread per transcript: those that wait do not hold up the others.
fn in_parallel(
    transcripts: &[Transcript],
    work: impl Fn(&Transcript) -> Vec<String> + Sync,
) -> Vec<String> {
    thread::scope(|scope| {
        let work = &work;
        let spawn = |transcript| scope.spawn(move || work(transcript));
        let workers: Vec<_> = transcripts.iter().map(spawn).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker panicked")).collect()
    })
}

fn certify(
    transcript: &Transcript,
    program: &OsStr,
    peer: impl Fn(&RedisServer) -> TcpPeer,
) -> Vec<String> {
    let server = RedisServer::start(program).expect("redis-server starts");
    let mut peer = peer(&server);
    let mut mismatches = check(transcript, &mut peer, Protocol::Resp2);
    mismatches.extend(check(transcript, &mut peer, Protocol::Resp3));
    mismatches.iter().map(ToString::to_string).collect()
}

fn update(transcript: &Transcript, program: &OsStr, peer: impl Fn(&RedisServer) -> TcpPeer) {
    let server = RedisServer::start(program).expect("redis-server starts");
    let mut peer = peer(&server).with_reply_timeout(RECORD_TIMEOUT);
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
