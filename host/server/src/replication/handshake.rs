//! The beginning of a link to the primary: who asks, what it can do, from where it goes on.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use super::ReplicationOptions;
use super::stream::command;
use crate::server::Shared;

/// How long a read waits before it looks around.
pub(super) const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Longer lines are none.
const LINE_BYTES_MAX: usize = 4096;

/// A connection to the primary with what was read and not used.
pub(super) struct Wire {
    shared: Arc<Shared>,
    pub(super) socket: TcpStream,
    pub(super) buffer: Vec<u8>,
    /// Whether the primary has been asked for the stream.
    pub(super) has_asked: bool,
}

/// What the primary offers.
#[derive(Debug)]
pub(super) enum Offer {
    /// Everything, from this place of this history on.
    Everything { id: String, position: u64 },
    /// To go on, perhaps under a new name.
    Continuation { id: Option<String> },
}

/// Who wants to copy.
#[derive(Debug)]
pub(super) struct Introduction<'a> {
    pub(super) options: &'a ReplicationOptions,
    /// The port that this server listens on.
    pub(super) port: u16,
    /// The history that is known, and up to where.
    pub(super) history: Option<(String, u64)>,
    /// Whether the other is to be the primary from now on.
    pub(super) takes_over: bool,
}

impl Shared {
    /// For how long the primary may be silent, as of now: `repl-timeout`.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.options().replication.timeout_s.max(1))
    }
}

impl Wire {
    /// Connects.
    pub(super) fn connect(shared: &Arc<Shared>, host: &str, port: u16) -> io::Result<Self> {
        let patience = shared.patience();
        let mut error = io::Error::other("the address has no host");
        let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
        for address in addresses {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    socket.set_read_timeout(Some(READ_TIMEOUT))?;
                    socket.set_write_timeout(Some(patience))?;
                    let (shared, buffer) = (shared.clone(), Vec::new());
                    return Ok(Self { shared, socket, buffer, has_asked: false });
                }
                Err(refused) => error = refused,
            }
        }
        Err(error)
    }

    /// Reads on, for a moment; gives how many bytes came. The end of the connection is an error.
    pub(super) fn read_some(&mut self) -> io::Result<usize> {
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let result = self.socket.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(count),
            Err(error) if is_pause(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Reads on until something comes, as long as `goes_on`.
    pub(super) fn read_more(&mut self, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        let mut silent = Duration::ZERO;
        while self.read_some()? == 0 {
            silent += READ_TIMEOUT;
            if silent > self.shared.patience() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if !goes_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        Ok(())
    }

    /// The next line that is not empty, without its end.
    pub(super) fn line(&mut self, goes_on: &dyn Fn() -> bool) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                // Empty lines say that the primary is still busy.
                if !line.is_empty() {
                    return Ok(line);
                }
                continue;
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(io::Error::other("the primary does not speak this protocol"));
            }
            self.read_more(goes_on)?;
        }
    }

    /// Says a command.
    pub(super) fn say(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.socket.write_all(&command(words))
    }

    fn ask(&mut self, words: &[&[u8]], goes_on: &dyn Fn() -> bool) -> io::Result<String> {
        self.say(words)?;
        self.line(goes_on)
    }

    /// Introduces this server and hears what the primary offers.
    pub(super) fn shake_hands(
        &mut self,
        who: &Introduction<'_>,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<Offer> {
        let greeting = self.ask(&[b"PING"], goes_on)?;
        let is_stranger = ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
        if !greeting.starts_with('+') && !is_stranger.iter().any(|text| greeting.starts_with(text))
        {
            return Err(refused("PING", &greeting));
        }
        let ReplicationOptions { user, password, .. } = who.options;
        if !password.is_empty() {
            let answer = match user.as_str() {
                "" => self.ask(&[b"AUTH", password], goes_on)?,
                user => self.ask(&[b"AUTH", user.as_bytes(), password], goes_on)?,
            };
            if !answer.starts_with('+') {
                return Err(refused("AUTH", &answer));
            }
        }
        let port = match who.options.announced_port {
            0 => who.port,
            port => port,
        };
        let port = port.to_string();
        // Older servers do not know all of these words, which does no harm.
        self.ask(&[b"REPLCONF", b"listening-port", port.as_bytes()], goes_on)?;
        if !who.options.announced_address.is_empty() {
            let address = who.options.announced_address.as_bytes();
            self.ask(&[b"REPLCONF", b"ip-address", address], goes_on)?;
        }
        let capabilities: [&[u8]; 3] = [b"eof", b"psync2", b"reef-tenants"];
        let told = capabilities.iter().flat_map(|capability| [b"capa".as_slice(), capability]);
        self.ask(&[b"REPLCONF".as_slice()].into_iter().chain(told).collect::<Vec<_>>(), goes_on)?;
        self.ask_for_stream(who, goes_on)
    }

    fn ask_for_stream(
        &mut self,
        who: &Introduction<'_>,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<Offer> {
        let (id, offset) = match &who.history {
            Some((id, position)) => (id.as_str(), (position + 1).to_string()),
            None => ("?", "-1".to_owned()),
        };
        let mut words: Vec<&[u8]> = vec![b"PSYNC", id.as_bytes(), offset.as_bytes()];
        if who.takes_over {
            words.push(b"FAILOVER");
        }
        self.has_asked = true;
        let answer = self.ask(&words, goes_on)?;
        let mut parts = answer.split(' ');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("+FULLRESYNC"), Some(id), Some(offset)) => {
                let position = offset.parse().map_err(|_| refused("PSYNC", &answer))?;
                Ok(Offer::Everything { id: id.to_owned(), position })
            }
            (Some("+CONTINUE"), id, None) => Ok(Offer::Continuation { id: id.map(str::to_owned) }),
            _ => Err(refused("PSYNC", &answer)),
        }
    }
}

fn refused(what: &str, answer: &str) -> io::Error {
    io::Error::other(format!("the primary answers {what} by '{answer}'"))
}

/// Whether a read ended because nothing came.
fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
