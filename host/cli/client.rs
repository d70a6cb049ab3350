//! The client side of RESP for the sub-commands: a server by its URL, connections to it, and what
//! goes wrong with either as one sentence.
//!
//! No sentence contains a password. Every wait for a server has an end.

use std::fmt;
use std::time::Duration;

use redis::{
    Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError,
};

/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one reply may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that connections can be opened to.
#[derive(Clone, Debug)]
pub(super) struct Server {
    client: redis::Client,
    /// `host:port` or the path of a socket.
    label: String,
}

/// One connection.
pub(super) struct Client {
    connection: redis::Connection,
    label: String,
}

/// Why a server did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientError {
    /// The URL says nothing that can be connected to.
    Url(String),
    /// Nobody answers there.
    Unreachable { label: String, reason: String },
    /// Wrong user or password, or none where one is needed.
    Entry { label: String, reason: String },
    /// The connection broke, or a reply never came.
    Lost { label: String, reason: String },
    /// The server answered with an error.
    Reply { code: String, text: String },
    /// The server answered with something else than was agreed.
    Unexpected { label: String, reason: String },
    /// The server has no such commands.
    Missing { label: String, what: &'static str },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(reason) => write!(f, "the URL cannot be used: {reason}"),
            Self::Unreachable { label, reason } => {
                write!(f, "no server can be reached at {label}: {reason}")
            }
            Self::Entry { label, reason } => {
                write!(f, "the server at {label} does not let us in: {reason}")
            }
            Self::Lost { label, reason } => {
                write!(f, "the connection to the server at {label} is lost: {reason}")
            }
            Self::Reply { code, text } if code == "ERR" => f.write_str(text),
            Self::Reply { code, text } => write!(f, "{code} {text}"),
            Self::Unexpected { label, reason } => {
                write!(f, "the server at {label} answers in an unexpected way: {reason}")
            }
            Self::Missing { label, what } => write!(f, "the server at {label} has no {what}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl ClientError {
    /// The code of an error reply.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Reply { code, .. } => Some(code),
            _ => None,
        }
    }

    fn of(error: &RedisError, label: &str) -> Self {
        let label = label.to_owned();
        match error.kind() {
            ErrorKind::Io => Self::Lost { label, reason: io_reason(error) },
            ErrorKind::Server(_) | ErrorKind::Extension => {
                let (code, text) = reply_of(error);
                Self::Reply { code, text }
            }
            _ => Self::Unexpected { label, reason: error.to_string() },
        }
    }
}

/// Code and text of an error reply. A transaction that fails says so of its first bad command.
fn reply_of(error: &RedisError) -> (String, String) {
    if let Some(errors) = error.clone().into_server_errors()
        && let Some((_, first)) = errors.first()
    {
        return (first.code().to_owned(), first.details().unwrap_or_default().to_owned());
    }
    let code = error.code().unwrap_or("ERR").to_owned();
    (code, error.detail().map_or_else(|| error.to_string(), str::to_owned))
}

fn io_reason(error: &RedisError) -> String {
    if error.is_timeout() {
        return format!("no reply within {} s", REPLY_TIMEOUT.as_secs());
    }
    let text = error.to_string();
    // "Connection refused (os error 111)": the number tells people nothing.
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

impl Server {
    /// The server at `redis://[user:password@]host[:port][/database]`, or `unix:///path`.
    pub(super) fn at(url: &str) -> Result<Self, ClientError> {
        let fail = |reason: &str| ClientError::Url(reason.to_owned());
        if !url.contains("://") {
            return Err(fail("it must begin with redis:// or unix://"));
        }
        if url.starts_with("rediss://") || url.starts_with("valkeys://") {
            return Err(fail("TLS is not supported here"));
        }
        let info = url.into_connection_info();
        let info = info.map_err(|error| fail(error.detail().unwrap_or(error.category())))?;
        let label = info.addr().to_string();
        // One round trip less per connection; nobody looks for our name among the clients.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let client = redis::Client::open(info.set_redis_settings(settings));
        let client = client.map_err(|error| fail(error.detail().unwrap_or(error.category())))?;
        Ok(Self { client, label })
    }

    /// The same server, spoken to in RESP3.
    pub(super) fn with_resp3(self) -> Self {
        let info = self.client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        // What could be opened before can be opened again: only the protocol is another.
        let client = redis::Client::open(info.set_redis_settings(settings));
        Self { client: client.unwrap_or(self.client), label: self.label }
    }

    /// Where it listens, as people write it.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Opens a connection.
    pub(super) fn connect(&self) -> Result<Client, ClientError> {
        let connection = self.client.get_connection_with_timeout(CONNECT_TIMEOUT);
        let connection = connection.map_err(|error| self.refusal(&error))?;
        let timeouts = connection
            .set_read_timeout(Some(REPLY_TIMEOUT))
            .and_then(|()| connection.set_write_timeout(Some(REPLY_TIMEOUT)));
        timeouts.map_err(|error| ClientError::of(&error, &self.label))?;
        Ok(Client { connection, label: self.label.clone() })
    }

    fn refusal(&self, error: &RedisError) -> ClientError {
        let label = self.label.clone();
        match error.kind() {
            ErrorKind::Io | ErrorKind::InvalidClientConfig if error.is_timeout() => {
                let reason = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
                ClientError::Unreachable { label, reason }
            }
            ErrorKind::Io => ClientError::Unreachable { label, reason: io_reason(error) },
            ErrorKind::InvalidClientConfig => {
                let reason = error.detail().unwrap_or("no such host").to_owned();
                ClientError::Unreachable { label, reason }
            }
            ErrorKind::AuthenticationFailed => {
                let reason = "wrong user or password".to_owned();
                ClientError::Entry { label, reason }
            }
            ErrorKind::Server(_) | ErrorKind::Extension => {
                let (code, text) = reply_of(error);
                let reason = ClientError::Reply { code, text }.to_string();
                ClientError::Entry { label, reason }
            }
            _ => ClientError::Unexpected { label, reason: error.to_string() },
        }
    }
}

impl Client {
    /// Runs one command.
    pub(super) fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, ClientError> {
        command.query(&mut self.connection).map_err(|error| ClientError::of(&error, &self.label))
    }

    /// Runs one command given as words.
    pub(super) fn call<T: FromRedisValue>(&mut self, words: &[&str]) -> Result<T, ClientError> {
        let mut command = Cmd::new();
        for word in words {
            command.arg(*word);
        }
        self.run(&command)
    }

    /// Runs commands in one round trip, as one transaction if the pipeline says so.
    pub(super) fn pipeline<T: FromRedisValue>(
        &mut self,
        pipe: &Pipeline,
    ) -> Result<T, ClientError> {
        pipe.query(&mut self.connection).map_err(|error| ClientError::of(&error, &self.label))
    }

    /// Whether the server knows this command.
    pub(super) fn knows(&mut self, command: &str) -> Result<bool, ClientError> {
        let info: redis::Value = self.call(&["COMMAND", "INFO", command])?;
        let redis::Value::Array(entries) = &info else { return Ok(false) };
        let entry = entries.first();
        Ok(matches!(entry, Some(redis::Value::Array(entry)) if !entry.is_empty()))
    }

    /// An error unless the server knows this command; `what` is what it lacks then.
    pub(super) fn demand(&mut self, command: &str, what: &'static str) -> Result<(), ClientError> {
        if self.knows(command)? {
            return Ok(());
        }
        Err(ClientError::Missing { label: self.label.clone(), what })
    }

    /// The error for an answer that makes no sense.
    pub(super) fn unexpected(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Unexpected { label: self.label.clone(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_urls_are_refused_without_showing_the_password() {
        for url in [
            "localhost:6379",
            "rediss://u:hunter2@h",
            "http://u:hunter2@h/",
            "redis://u:hunter2@h:port",
        ] {
            let error = Server::at(url).expect_err(url).to_string();
            assert!(error.starts_with("the URL cannot be used: "), "{error}");
            assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn labels_show_the_place_and_no_secret() {
        let label = |url| Server::at(url).map(|server| server.label().to_owned());
        assert_eq!(label("redis://u:hunter2@127.0.0.1:7000/3").as_deref(), Ok("127.0.0.1:7000"));
        assert_eq!(label("redis://localhost").as_deref(), Ok("localhost:6379"));
        assert_eq!(label("unix:///tmp/a.sock").as_deref(), Ok("/tmp/a.sock"));
    }

    #[test]
    fn a_server_that_is_not_there_is_one_sentence() {
        // Nobody listens on a port that was just given back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Server::at(&format!("redis://127.0.0.1:{port}")).unwrap();
        let error = server.connect().err().unwrap();
        let sentence = format!("no server can be reached at 127.0.0.1:{port}: connection refused");
        assert_eq!(error.to_string(), sentence);
    }
}
