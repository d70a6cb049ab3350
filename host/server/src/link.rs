//! The way to a client: a socket, plain or under TLS. Never blocks.
//!
//! TLS is rustls; this file only moves bytes between it and the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustls::{ServerConfig, ServerConnection};

use crate::socket::Socket;

/// A connection's socket, and what encrypts it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Arc<Socket>,
    tls: Option<Box<ServerConnection>>,
}

impl Link {
    /// A link in clear.
    pub(crate) fn plain(socket: Arc<Socket>) -> Self {
        Self { socket, tls: None }
    }

    /// A link under TLS; the handshake takes place as bytes come and go.
    pub(crate) fn encrypted(
        socket: Arc<Socket>,
        config: Arc<ServerConfig>,
    ) -> Result<Self, rustls::Error> {
        let mut tls = ServerConnection::new(config)?;
        // What the socket does not take yet is kept with the connection, where limits count it.
        tls.set_buffer_limit(Some(CIPHERTEXT_BYTES_MAX));
        Ok(Self { socket, tls: Some(Box::new(tls)) })
    }

    /// Receives. 0 bytes are the end.
    #[inline]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => (&*self.socket).read(buffer),
            Some(tls) => read_tls(tls, &self.socket, buffer),
        }
    }

    /// Receives behind what is in the buffer, as much as it has room for. 0 bytes are the end.
    pub(crate) fn read_behind(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return Ok(rustix::io::read(&*self.socket, spare_capacity(buffer))?);
        };
        let length = buffer.len();
        buffer.resize(buffer.capacity(), 0);
        let result = read_tls(tls, &self.socket, &mut buffer[length..]);
        buffer.truncate(length + *result.as_ref().unwrap_or(&0));
        result
    }

    /// Sends some of `bytes`; how many.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return (&*self.socket).write(bytes) };
        let taken = tls.writer().write(bytes)?;
        let sent = flush_tls(tls, &self.socket);
        match sent {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ if taken > 0 || bytes.is_empty() => Ok(taken),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Sends what TLS still holds: the socket takes bytes again.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => match flush_tls(tls, &self.socket) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Whether a read of `count` bytes into a buffer of `room` has emptied the socket, so that the
    /// next bytes bring a new readiness. TLS may hold more, so it is asked until it has nothing.
    #[inline]
    pub(crate) fn is_drained(&self, count: usize, room: usize) -> bool {
        self.tls.is_none() && count < room
    }
}

fn read_tls(tls: &mut ServerConnection, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(buffer) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The other side closed without saying so; what it had sent has been read.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) => return Err(error),
        }
        if tls.read_tls(&mut &*socket)? == 0 {
            return Ok(0);
        }
        let processed = tls.process_new_packets();
        // The handshake's answer, or the alert that says what was wrong.
        match flush_tls(tls, socket) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    }
}

fn flush_tls(tls: &mut ServerConnection, socket: &Socket) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut &*socket)?;
    }
    Ok(())
}

/// Most bytes that TLS holds until the socket takes them.
const CIPHERTEXT_BYTES_MAX: usize = 256 * 1024;
