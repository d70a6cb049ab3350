//! A client over a real socket, as tests of the server use it. It knows no command.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reef_server::Server;

/// A connection that speaks inline commands.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    /// Connects.
    pub(crate) fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        Self(stream)
    }

    /// Sends lines of commands at once.
    pub(crate) fn send(&mut self, lines: &str) {
        self.0.write_all(lines.replace('\n', "\r\n").as_bytes()).expect("the server reads");
    }

    /// Receives as many bytes as the text has, which they must be.
    pub(crate) fn expect(&mut self, text: &str) {
        let text = text.replace('\n', "\r\n");
        let mut received = vec![0; text.len()];
        self.0.read_exact(&mut received).expect("the server answers");
        assert_eq!(String::from_utf8_lossy(&received), text);
    }

    /// Sends lines and receives their replies.
    pub(crate) fn ask(&mut self, lines: &str, reply: &str) {
        self.send(lines);
        self.expect(reply);
    }
}
