//! One connected socket, TCP or unix, first blocking (for the handshake), then driven by epoll.
//!
//! It moves bytes only; it knows nothing of RESP.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mio::{Interest, Registry, Token};

use crate::error::BenchError;
use crate::target::{Address, Target};

/// A blocking socket.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Connects; reads and writes give up after `IO_TIMEOUT`.
    pub(crate) fn connect(target: &Target) -> Result<Self, BenchError> {
        Self::open(&target.address).map_err(|error| BenchError::io(&target.label, error))
    }

    fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(IO_TIMEOUT))?;
                stream.set_write_timeout(Some(IO_TIMEOUT))?;
                Ok(Self::Unix(stream))
            }
            Address::Tcp(host, port) => {
                let mut failure = io::Error::other("the host name has no address");
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            stream.set_read_timeout(Some(IO_TIMEOUT))?;
                            stream.set_write_timeout(Some(IO_TIMEOUT))?;
                            return Ok(Self::Tcp(stream));
                        }
                        // Not to be taken for a server that is there and silent.
                        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                            failure = io::Error::other("no answer to the connection attempt");
                        }
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
        }
    }

    /// Whether the other end runs on this machine: a unix socket, loopback, or one of our own
    /// addresses (then both ends have the same).
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(stream) => match (stream.peer_addr(), stream.local_addr()) {
                (Ok(peer), Ok(own)) => peer.ip().is_loopback() || peer.ip() == own.ip(),
                _ => false,
            },
        }
    }

    /// Hands the socket over to epoll under `token`, for both directions, edge-triggered.
    pub(crate) fn into_polled(self, registry: &Registry, token: Token) -> io::Result<Polled> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                let mut stream = mio::net::TcpStream::from_std(stream);
                registry.register(&mut stream, token, both)?;
                Ok(Polled::Tcp(stream))
            }
            Self::Unix(stream) => {
                stream.set_nonblocking(true)?;
                let mut stream = mio::net::UnixStream::from_std(stream);
                registry.register(&mut stream, token, both)?;
                Ok(Polled::Unix(stream))
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket that never blocks.
pub(crate) enum Polled {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

impl Polled {
    /// Reads once; `None` when nothing is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        ready(|| match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        })
    }

    /// Writes once; `None` when the kernel takes nothing now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        ready(|| match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        })
    }
}

/// Runs a non-blocking call until it is not interrupted.
fn ready(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait of a blocking read or write.
pub(crate) const IO_TIMEOUT: Duration = Duration::from_secs(30);
