//! The engine in process as a peer of transcripts: virtual clock, no sockets.

use std::io;

use reef_engine::effects::Effects;
use reef_engine::settings::Settings;
use reef_engine::solo::{Digest, Solo};
use reef_resp::OwnedArgv;
use reef_transcript::{ClientId, Kind, Patience, Peer, Received, decode};

/// An engine with its clients.
pub(crate) struct SoloPeer {
    solo: Solo,
    clients: Vec<Client>,
}

struct Client {
    id: u64,
    unread: Vec<u8>,
    open: bool,
}

impl SoloPeer {
    /// An empty engine with so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        let settings = Settings { debug_commands: true, ..Settings::default() };
        Self { solo: Solo::new(7, shards, settings), clients: Vec::new() }
    }

    /// The engine, for what no client may ask.
    pub(crate) fn solo(&mut self) -> &mut Solo {
        &mut self.solo
    }

    /// Takes the effects since they were taken last; from the first time on they are kept.
    pub(crate) fn take_effects(&mut self) -> Effects {
        self.solo.keep_effects();
        self.solo.take_effects()
    }

    /// What it holds when everything that is due has gone.
    pub(crate) fn settled_digest(&mut self) -> Digest {
        self.solo.advance(0);
        self.solo.digest_with_expired()
    }

    /// Recounts what the engine claims about itself; panics on a contradiction.
    pub(crate) fn check(&self) {
        self.solo.check();
    }
}

impl Peer for SoloPeer {
    fn kind(&self) -> Kind {
        Kind::Reef
    }

    fn offers(&self, need: &str) -> bool {
        super::transcripts::OFFERED.contains(&need)
    }

    fn connect(&mut self) -> io::Result<ClientId> {
        let client = Client { id: self.solo.connect(), unread: Vec::new(), open: true };
        self.clients.push(client);
        Ok(ClientId(self.clients.len() - 1))
    }

    fn send(&mut self, client: ClientId, args: &[Vec<u8>]) -> io::Result<()> {
        let client = &mut self.clients[client.0];
        let argv: OwnedArgv = args.iter().collect();
        let (bytes, open) = self.solo.run(client.id, argv.as_argv());
        client.unread.extend(bytes);
        client.open = open;
        Ok(())
    }

    fn receive(&mut self, client: ClientId, _patience: Patience) -> io::Result<Received> {
        let client = &mut self.clients[client.0];
        client.unread.extend(self.solo.take_unasked(client.id));
        client.open &= self.solo.is_open(client.id);
        match decode(&client.unread).map_err(io::Error::other)? {
            Some((reply, used)) => {
                client.unread.drain(..used);
                Ok(Received::Reply(reply))
            }
            None if client.open => Ok(Received::Nothing),
            None => Ok(Received::Closed),
        }
    }

    fn advance(&mut self, time_ms: u64) {
        self.solo.advance(time_ms);
    }

    fn disconnect_all(&mut self) {
        self.clients.drain(..).for_each(|client| self.solo.disconnect(client.id));
    }
}
