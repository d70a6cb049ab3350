//! Every transcript against the engine in process: with 1 and with 8 shards, in RESP2 and RESP3. And
//! whatever a case did to the data, its effects do to a copy.

use std::io;

use reef_engine::settings::Settings;
use reef_fuzz::copy::{Copy, differences, essence};
use reef_transcript::{ClientId, Kind, Patience, Peer, Protocol, Received, check, load_all};

use crate::peer::SoloPeer;

/// What the engine in process has of what cases may need.
pub(crate) const OFFERED: &[&str] = &["config", "server", "7.4", "json", "search", "valkey"];

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

/// A peer with a copy that runs its effects after each case.
struct Copied {
    peer: SoloPeer,
    copy: Copy,
    differences: Vec<String>,
}

impl Peer for Copied {
    fn kind(&self) -> Kind {
        self.peer.kind()
    }

    fn offers(&self, need: &str) -> bool {
        self.peer.offers(need)
    }

    fn connect(&mut self) -> io::Result<ClientId> {
        self.peer.connect()
    }

    fn send(&mut self, client: ClientId, args: &[Vec<u8>]) -> io::Result<()> {
        self.peer.send(client, args)?;
        // From which size on a value takes another form is a matter of each server's configuration,
        // and who plays with one server does not play with the others.
        let is_own = |word: &Vec<u8>| [&b"CONFIG"[..], b"POPULATE"].contains(&word.as_slice());
        if args.iter().take(2).any(is_own) {
            self.copy.replay(&self.peer.take_effects());
            self.copy.run(args);
        }
        // Who loads data again says nothing of it: copies are made anew.
        if args.iter().take(2).any(|word| word.eq_ignore_ascii_case(b"RELOAD")) {
            drop(self.peer.take_effects());
            let solo = self.peer.solo();
            let form = solo.form();
            self.copy.begin_again(&solo.save(form));
        }
        Ok(())
    }

    fn receive(&mut self, client: ClientId, patience: Patience) -> io::Result<Received> {
        self.peer.receive(client, patience)
    }

    fn advance(&mut self, time_ms: u64) {
        self.peer.advance(time_ms);
    }

    fn disconnect_all(&mut self) {
        let expected = essence(self.peer.settled_digest());
        self.copy.replay(&self.peer.take_effects());
        self.differences.extend(differences(&expected, &self.copy.digest()));
        self.peer.disconnect_all();
    }
}

#[test]
fn every_case_has_the_same_effect_on_a_copy() {
    for transcript in load_all().expect("transcripts can be read") {
        let mut peer = SoloPeer::new(8);
        assert!(peer.take_effects().is_empty());
        let settings = Settings { debug_commands: true, ..Settings::default() };
        let copy = Copy::new(99, 2, 0, settings);
        let mut copied = Copied { peer, copy, differences: Vec::new() };
        drop(check(&transcript, &mut copied, Protocol::Resp3));
        let found = copied.differences;
        assert!(found.is_empty(), "{}: {}", transcript.name, found.join("\n"));
    }
}
