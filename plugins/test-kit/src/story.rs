//! Transcripts against a kit: the kit is one more peer that they run against.

use std::io;

use reef_transcript::{
    ClientId as PeerClient, Kind, Mismatch, Patience, Peer, Protocol, Received, Transcript, check,
    decode, record,
};

use crate::kit::{ClientId, Kit};

/// A kit, as transcripts see it.
struct KitPeer<'a> {
    kit: &'a mut Kit,
    clients: Vec<ClientId>,
    kind: Kind,
}

impl Kit {
    /// Runs a transcript that is at hand, under RESP2 and RESP3.
    ///
    /// # Errors
    /// It is no transcript; the sentence says where.
    pub fn transcript_of(&mut self, name: &str, text: &str) -> Result<Vec<Mismatch>, String> {
        let transcript = Transcript::parse(name, text).map_err(|error| error.to_string())?;
        let mut peer = KitPeer { kit: self, clients: Vec::new(), kind: Kind::Reef };
        let protocols = [Protocol::Resp2, Protocol::Resp3];
        Ok(protocols.iter().flat_map(|protocol| check(&transcript, &mut peer, *protocol)).collect())
    }

    /// A transcript with what was seen as what is expected. It is for the author to read: a recording
    /// proves nothing by itself.
    ///
    /// # Errors
    /// It is no transcript; the sentence says where.
    pub fn record(&mut self, name: &str, text: &str) -> Result<String, String> {
        let transcript = Transcript::parse(name, text).map_err(|error| error.to_string())?;
        let mut peer = KitPeer { kit: self, clients: Vec::new(), kind: Kind::Oracle };
        record(&transcript, &mut peer).map_err(|error| format!("{name}: {error}"))
    }
}

impl KitPeer<'_> {
    fn client(&self, client: PeerClient) -> io::Result<ClientId> {
        let gone = || io::Error::other("a client that never connected");
        self.clients.get(client.0).copied().ok_or_else(gone)
    }
}

impl Peer for KitPeer<'_> {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn offers(&self, need: &str) -> bool {
        matches!(need, "config" | "server" | "7.4" | "json")
    }

    fn connect(&mut self) -> io::Result<PeerClient> {
        let client = self.kit.connect();
        self.clients.push(client);
        Ok(PeerClient(self.clients.len() - 1))
    }

    fn send(&mut self, client: PeerClient, args: &[Vec<u8>]) -> io::Result<()> {
        let client = self.client(client)?;
        self.kit.send_words(client, args);
        Ok(())
    }

    fn receive(&mut self, client: PeerClient, _patience: Patience) -> io::Result<Received> {
        let client = self.client(client)?;
        let unread = self.kit.unread(client);
        match decode(unread).map_err(io::Error::other)? {
            Some((reply, used)) => {
                unread.drain(..used);
                Ok(Received::Reply(reply))
            }
            None if self.kit.is_open(client) => Ok(Received::Nothing),
            None => Ok(Received::Closed),
        }
    }

    fn advance(&mut self, time_ms: u64) {
        self.kit.advance(std::time::Duration::from_millis(time_ms));
    }

    fn disconnect_all(&mut self) {
        for client in self.clients.drain(..) {
            self.kit.disconnect(client);
        }
    }
}
