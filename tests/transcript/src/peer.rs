//! What a transcript runs against: anything that takes arguments and gives replies.

use std::io;

use crate::reply::Reply;

/// A connection of a peer, as the peer numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(pub usize);

/// Whose answers are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// redis-server 7.0, which the expectations are recorded from.
    Oracle,
    /// redis-server 7.2: `= reef:` holds where the reason is `# since 7.2:`.
    Newer,
    /// Reef: `= reef:` holds where it is given.
    Reef,
}

/// The protocol that connections speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection starts with.
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// What somebody who waits for a reply expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// That something comes: wait long.
    Something,
    /// That nothing comes: wait just long enough to be sure.
    Silence,
    /// Nothing: only look at what is there.
    Peek,
}

/// What a client sees next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A reply or a push message.
    Reply(Reply),
    /// Nothing so far.
    Nothing,
    /// The peer hung up.
    Closed,
}

/// Anything that a transcript runs against.
///
/// A peer in process appends the bytes of its replies to a buffer per client and takes them out with
/// [`decode`](crate::decode); [`TcpPeer`](crate::TcpPeer) does the same over sockets.
pub trait Peer {
    /// Whose answers it gives.
    fn kind(&self) -> Kind;

    /// Whether it can run cases with `# needs: <need>`. A whole server can.
    fn offers(&self, _need: &str) -> bool {
        true
    }

    /// Opens a fresh connection, which speaks RESP2.
    ///
    /// # Errors
    /// The connection cannot be opened.
    fn connect(&mut self) -> io::Result<ClientId>;

    /// Sends a command. Replies are collected by `receive`, in order, pushes among them.
    ///
    /// # Errors
    /// The connection broke; that it was closed by the peer is no error, `receive` tells it.
    fn send(&mut self, client: ClientId, args: &[Vec<u8>]) -> io::Result<()>;

    /// The next thing that a client sees.
    ///
    /// # Errors
    /// The connection broke, or what came is no RESP.
    fn receive(&mut self, client: ClientId, patience: Patience) -> io::Result<Received>;

    /// Lets time pass, and whatever is due happen.
    fn advance(&mut self, time_ms: u64);

    /// Closes all connections: a case is over.
    fn disconnect_all(&mut self);
}
