//! A peer for the tests of this crate: it answers what it was told to, and remembers nothing.
//!
//! Answers are raw RESP, so that decoding is part of what is tested.

use std::collections::{HashMap, VecDeque};
use std::io;

use crate::peer::{ClientId, Kind, Patience, Peer, Received};
use crate::reply::decode;

/// Answers by command line; a line in the second map answers under RESP3.
pub(crate) struct FakePeer {
    pub(crate) kind: Kind,
    pub(crate) offers: bool,
    pub(crate) waited_ms: u64,
    resp2: HashMap<String, Vec<u8>>,
    resp3: HashMap<String, Vec<u8>>,
    clients: Vec<Client>,
}

#[derive(Default)]
struct Client {
    resp3: bool,
    unread: VecDeque<u8>,
}

impl FakePeer {
    pub(crate) fn new(kind: Kind, resp2: &[(&str, &str)], resp3: &[(&str, &str)]) -> Self {
        let map = |answers: &[(&str, &str)]| {
            let own = |&(line, reply): &(&str, &str)| (line.to_owned(), reply.as_bytes().to_vec());
            answers.iter().map(own).collect::<HashMap<_, _>>()
        };
        let (resp2, resp3) = (map(resp2), map(resp3));
        Self { kind, offers: true, waited_ms: 0, resp2, resp3, clients: Vec::new() }
    }

    fn answer(&self, line: &str, resp3: bool) -> Vec<u8> {
        let found = if resp3 { self.resp3.get(line) } else { None };
        found.or_else(|| self.resp2.get(line)).cloned().unwrap_or_else(|| b"-ERR what\r\n".to_vec())
    }
}

impl Peer for FakePeer {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn offers(&self, _need: &str) -> bool {
        self.offers
    }

    fn connect(&mut self) -> io::Result<ClientId> {
        self.clients.push(Client::default());
        Ok(ClientId(self.clients.len() - 1))
    }

    fn send(&mut self, client: ClientId, args: &[Vec<u8>]) -> io::Result<()> {
        let line = String::from_utf8_lossy(&args.join(&b' ')).into_owned();
        let reply = match line.as_str() {
            "HELLO 3" => b"%0\r\n".to_vec(),
            "FLUSHALL" => b"+OK\r\n".to_vec(),
            _ => self.answer(&line, self.clients[client.0].resp3),
        };
        let client = &mut self.clients[client.0];
        client.resp3 |= line == "HELLO 3";
        client.unread.extend(reply);
        Ok(())
    }

    fn receive(&mut self, client: ClientId, _patience: Patience) -> io::Result<Received> {
        let unread = self.clients[client.0].unread.make_contiguous();
        if unread == b"hang up" {
            return Ok(Received::Closed);
        }
        match decode(unread).map_err(io::Error::other)? {
            Some((reply, used)) => {
                self.clients[client.0].unread.drain(..used);
                Ok(Received::Reply(reply))
            }
            None => Ok(Received::Nothing),
        }
    }

    fn advance(&mut self, time_ms: u64) {
        self.waited_ms += time_ms;
    }

    fn disconnect_all(&mut self) {
        self.clients.clear();
    }
}
