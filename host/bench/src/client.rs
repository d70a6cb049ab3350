//! A blocking client for what surrounds a measurement: entering a server, INFO, preparing keys.
//!
//! It is never used while a load is measured.

use std::io::{Read, Write};

use crate::error::BenchError;
use crate::replies::Replies;
use crate::socket::Socket;
use crate::target::Target;

/// One connection that asks and waits.
pub(crate) struct Client {
    socket: Socket,
    label: String,
}

impl Client {
    /// Connects, authenticates, selects the database, and makes sure that commands are answered.
    pub(crate) fn connect(target: &Target, resp3: bool) -> Result<Self, BenchError> {
        let socket = Socket::connect(target)?;
        let mut client = Self { socket, label: target.label.clone() };
        if let Some(password) = &target.password {
            match &target.user {
                Some(user) => client.call(&["AUTH", user, password])?,
                None => client.call(&["AUTH", password])?,
            };
        }
        if resp3 {
            client.call(&["HELLO", "3"])?;
        }
        if target.database != 0 {
            client.call(&["SELECT", &target.database.to_string()])?;
        }
        client.call(&["PING"])?;
        Ok(client)
    }

    /// Sends one command and returns its reply as it came; an error reply is an error.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<Vec<u8>, BenchError> {
        let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments.iter().map(AsRef::as_ref) {
            bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
        let raw = self.exchange(&bytes)?;
        if let Some(b'-' | b'!') = raw.first() {
            let name = arguments.first().map_or(&b""[..], AsRef::as_ref);
            let mut replies = Replies::default();
            let text = replies.feed(&raw).ok().and_then(|_| replies.take_first_error());
            return Err(BenchError::Reply(
                self.label.clone(),
                String::from_utf8_lossy(name).into_owned(),
                text.unwrap_or_default(),
            ));
        }
        Ok(raw)
    }

    /// A section of INFO as text; `None` when the server has none to give.
    pub(crate) fn info(&mut self, section: &str) -> Option<String> {
        self.call(&["INFO", section]).ok().map(|raw| String::from_utf8_lossy(&raw).into_owned())
    }

    /// Hands the connection over to the load generator.
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Whether the server runs on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.socket.is_local()
    }

    fn exchange(&mut self, bytes: &[u8]) -> Result<Vec<u8>, BenchError> {
        let failed = |error| BenchError::io(&self.label, error);
        self.socket.write_all(bytes).map_err(failed)?;
        let mut replies = Replies::default();
        let mut raw = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            let read = self.socket.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                return Err(BenchError::Closed(self.label.clone()));
            }
            raw.extend_from_slice(&buffer[..read]);
            let complete = replies
                .feed(&buffer[..read])
                .map_err(|error| BenchError::Protocol(self.label.clone(), error.to_string()))?;
            if complete > 0 {
                return Ok(raw);
            }
            if raw.len() > REPLY_BYTES_MAX {
                let why = format!("a reply of more than {REPLY_BYTES_MAX} bytes");
                return Err(BenchError::Protocol(self.label.clone(), why));
            }
        }
    }
}

/// The value of `name:` in the text of INFO.
pub(crate) fn info_field<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The replies to preparing commands are short; INFO is a few kilobytes.
const REPLY_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_fields_are_found_by_their_whole_name() {
        let text = "$60\r\n# Memory\r\nused_memory_rss:5\r\nused_memory:123\r\nname:a:b\r\n\r\n";
        assert_eq!(info_field(text, "used_memory"), Some("123"));
        assert_eq!(info_field(text, "name"), Some("a:b"));
        assert_eq!(info_field(text, "used"), None);
    }
}
