//! Every transcript against the whole server, over sockets: RESP2 and RESP3, one worker and two.

use reef_transcript::{Kind, Protocol, TcpPeer, check, load_all};

use crate::served::Served;

fn agrees(args: &[&str]) {
    let server = Served::start(args);
    let mut reports = Vec::new();
    for transcript in load_all().expect("transcripts can be read") {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut peer = TcpPeer::new(([127, 0, 0, 1], server.port()).into(), Kind::Reef);
            let mismatches = check(&transcript, &mut peer, protocol);
            reports.extend(mismatches.iter().map(ToString::to_string));
        }
    }
    assert!(reports.is_empty(), "{} mismatches\n\n{}", reports.len(), reports.join("\n"));
}

#[test]
fn every_transcript_holds_with_one_worker_and_one_shard() {
    agrees(&["--io-threads", "1", "--shards", "1", "--enable-debug-command", "yes"]);
}

#[test]
fn every_transcript_holds_with_two_workers_and_sixteen_shards() {
    agrees(&["--io-threads", "2", "--shards", "16", "--enable-debug-command", "yes"]);
}
