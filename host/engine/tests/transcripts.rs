//! Every transcript against the engine in process: with 1 and with 8 shards, in RESP2 and RESP3.

use reef_engine::command::Command;
use reef_transcript::{Action, Case, Protocol, Transcript, check, load_all};

use crate::peer::SoloPeer;

/// What the engine in process has of what cases may need.
pub(crate) const OFFERED: &[&str] = &[];

/// Families whose transcripts run. To be all of them.
const ENABLED: &[&str] =
    &["connection", "generic", "hash", "server", "set", "string", "transactions"];

/// Commands that transcripts use and the engine does not have yet; their cases wait.
const PENDING: &[&str] = &[
    "CLIENT",
    "COMMAND",
    "CONFIG",
    "INFO",
    "LPOP",
    "LPUSH",
    "LRANGE",
    "MONITOR",
    "RPUSH",
    "ZADD",
    "ZINCRBY",
    "ZRANGE",
    "ZREM",
    "ZSCORE",
    "ZUNIONSTORE",
];

fn is_pending(case: &Case) -> bool {
    case.steps.iter().any(|step| match &step.action {
        Action::Send { args, .. } => args.first().is_some_and(|name| {
            PENDING.iter().any(|pending| name.eq_ignore_ascii_case(pending.as_bytes()))
        }),
        _ => false,
    })
}

fn transcripts() -> Vec<Transcript> {
    let mut transcripts = load_all().expect("transcripts can be read");
    transcripts.retain(|transcript| {
        ENABLED.iter().any(|family| transcript.name == format!("{family}.txt"))
    });
    assert_eq!(transcripts.len(), ENABLED.len(), "an enabled family has no transcript");
    for transcript in &mut transcripts {
        transcript.cases.retain(|case| !is_pending(case));
        assert!(!transcript.cases.is_empty(), "nothing of {} runs", transcript.name);
    }
    transcripts
}

fn agrees(shards: usize) {
    let mut reports = Vec::new();
    for transcript in transcripts() {
        let mut peer = SoloPeer::new(shards);
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mismatches = check(&transcript, &mut peer, protocol);
            reports.extend(mismatches.iter().map(ToString::to_string));
        }
        peer.check();
    }
    assert!(reports.is_empty(), "{} mismatches\n\n{}", reports.len(), reports.join("\n"));
}

#[test]
fn every_transcript_holds_with_one_shard() {
    agrees(1);
}

#[test]
fn every_transcript_holds_with_eight_shards() {
    agrees(8);
}

#[test]
fn what_is_pending_is_really_missing() {
    for (_, command) in Command::natives() {
        assert!(!PENDING.contains(&&*command.name), "{} is there: let its cases run", command.name);
    }
}
