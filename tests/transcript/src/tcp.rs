//! A peer behind a TCP port: redis-server, or Reef's own server.
//!
//! Blocking sockets with timeouts are enough: a transcript does one thing at a time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::{ClientId, Kind, Patience, Peer, Received};
use crate::reply::{Reply, decode};

/// What cases need whose commands are new in Redis 7.4.
pub const NEED_7_4: &str = "7.4";
/// What cases need whose commands are those of RedisJSON.
pub const NEED_JSON: &str = "json";
/// What cases need whose commands are those of RediSearch.
pub const NEED_SEARCH: &str = "search";
/// What cases need whose commands are those of Reef's bundled plugins.
const NEED_PLUGINS: &str = "plugins";

/// What Reef has and an ordinary redis-server does not.
const BEYOND: [&str; 4] = [NEED_7_4, NEED_JSON, NEED_SEARCH, NEED_PLUGINS];

/// How long a reply that must come may take on a busy machine.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing must have come to be called silence.
const SILENCE: Duration = Duration::from_millis(40);
/// For how long a server may keep a connection that has ended: one whose client waits for the end of a
/// pause is kept.
const FAREWELL: Duration = Duration::from_millis(500);
/// The shortest timeout that a socket takes.
const PEEK: Duration = Duration::from_millis(1);

/// A server that is reached over TCP.
#[derive(Debug)]
pub struct TcpPeer {
    address: SocketAddr,
    kind: Kind,
    reply_timeout: Duration,
    /// What it has beyond an ordinary redis-server.
    has: Vec<&'static str>,
    clients: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl TcpPeer {
    /// A peer at `address`; connections are opened when a case needs them.
    #[must_use]
    pub fn new(address: SocketAddr, kind: Kind) -> Self {
        let has = if kind == Kind::Reef { BEYOND.to_vec() } else { Vec::new() };
        Self { address, kind, reply_timeout: REPLY_TIMEOUT, has, clients: Vec::new() }
    }

    /// The same peer, but it offers what some cases need.
    #[must_use]
    pub fn with(mut self, need: &'static str) -> Self {
        self.has.push(need);
        self
    }

    /// The same peer, but a reply that takes longer than this counts as none: for recording.
    #[must_use]
    pub fn with_reply_timeout(mut self, reply_timeout: Duration) -> Self {
        self.reply_timeout = reply_timeout;
        self
    }
}

impl Peer for TcpPeer {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn offers(&self, need: &str) -> bool {
        !BEYOND.contains(&need) || self.has.contains(&need)
    }

    fn connect(&mut self) -> io::Result<ClientId> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        self.clients.push(Connection { stream, unread: Vec::new() });
        Ok(ClientId(self.clients.len() - 1))
    }

    fn send(&mut self, client: ClientId, args: &[Vec<u8>]) -> io::Result<()> {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
            bytes.extend(arg);
            bytes.extend(b"\r\n");
        }
        match self.connection(client)?.stream.write_all(&bytes) {
            Err(error) if is_hang_up(&error) => Ok(()),
            other => other,
        }
    }

    fn receive(&mut self, client: ClientId, patience: Patience) -> io::Result<Received> {
        let wait = match patience {
            Patience::Something => self.reply_timeout,
            Patience::Silence => SILENCE,
            Patience::Peek => PEEK,
        };
        self.connection(client)?.receive(wait)
    }

    fn advance(&mut self, time_ms: u64) {
        thread::sleep(Duration::from_millis(time_ms));
    }

    fn disconnect_all(&mut self) {
        self.clients.drain(..).for_each(Connection::hang_up);
    }
}

impl TcpPeer {
    fn connection(&mut self, client: ClientId) -> io::Result<&mut Connection> {
        let unknown = || io::Error::new(io::ErrorKind::NotConnected, "no such client");
        self.clients.get_mut(client.0).ok_or_else(unknown)
    }
}

impl Connection {
    /// Ends the connection and waits until the server has let it go, too: what it was subscribed to
    /// would be seen by the next case.
    fn hang_up(mut self) {
        // One that the server has closed already is no less gone.
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(FAREWELL));
        let mut rest = [0; 4096];
        while self.stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    }

    fn receive(&mut self, wait: Duration) -> io::Result<Received> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(reply) = self.take_reply()? {
                return Ok(Received::Reply(reply));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Received::Nothing);
            }
            self.stream.set_read_timeout(Some(left.max(PEEK)))?;
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Received::Closed),
                Ok(length) => self.unread.extend(&chunk[..length]),
                Err(error) if is_timeout(&error) => return Ok(Received::Nothing),
                Err(error) if is_hang_up(&error) => return Ok(Received::Closed),
                Err(error) => return Err(error),
            }
        }
    }

    fn take_reply(&mut self) -> io::Result<Option<Reply>> {
        match decode(&self.unread) {
            Ok(Some((reply, used))) => {
                self.unread.drain(..used);
                Ok(Some(reply))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}
