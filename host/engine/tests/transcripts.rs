//! Every transcript against the engine in process: with 1 and with 8 shards, in RESP2 and RESP3.

use reef_transcript::{Protocol, check, load_all};

use crate::peer::SoloPeer;

/// What the engine in process has of what cases may need.
pub(crate) const OFFERED: &[&str] = &["config", "server", "7.4"];

fn agrees(shards: usize) {
    let mut reports = Vec::new();
    for transcript in load_all().expect("transcripts can be read") {
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
