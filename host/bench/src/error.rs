//! Everything that can stop a measurement, each as one clear sentence.
//!
//! Error *replies* are not here: they are counted and shown beside the figures.

use std::fmt;
use std::io;

use crate::socket::IO_TIMEOUT;

/// Why a measurement could not be made or finished.
#[derive(Debug)]
pub enum BenchError {
    /// A URL that cannot be understood: the URL without its password, and the reason.
    Url(String, String),
    /// A mix or a command template that cannot be understood: its text and the reason.
    Mix(String, String),
    /// The prepared commands would take more memory than is sensible.
    TooLarge(u64),
    /// Nobody listens there.
    Refused(String),
    /// Connecting, reading or writing failed.
    Io(String, io::Error),
    /// The server answered a preparing command with an error: address, command, text.
    Reply(String, String, String),
    /// The server's bytes are not RESP.
    Protocol(String, String),
    /// The server hung up during the measurement.
    Closed(String),
    /// No reply came for so many seconds.
    Stalled(String, f64),
    /// The report could not be written.
    Output(io::Error),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url, why) => write!(f, "cannot use the URL '{url}': {why}"),
            Self::Mix(text, why) => write!(f, "cannot use the load '{text}': {why}"),
            Self::TooLarge(bytes) => write!(
                f,
                "the prepared commands would take {} MiB: lower --pipeline or --value-bytes",
                bytes >> 20
            ),
            Self::Refused(at) => write!(
                f,
                "nothing listens at {at} (connection refused): start the server or give another URL"
            ),
            Self::Io(at, error) => write!(f, "cannot talk to {at}: {error}"),
            Self::Reply(at, command, text) => write!(f, "{at} refused {command}: {text}"),
            Self::Protocol(at, why) => write!(f, "{at} does not speak RESP: {why}"),
            Self::Closed(at) => write!(f, "{at} closed the connection"),
            Self::Stalled(at, seconds) => {
                write!(f, "{at} has not answered anything for {seconds} seconds")
            }
            Self::Output(error) => write!(f, "cannot write the report: {error}"),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) | Self::Output(error) => Some(error),
            _ => None,
        }
    }
}

impl BenchError {
    /// The error for a failed connect, read or write at `at`.
    pub(crate) fn io(at: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                Self::Refused(at.to_owned())
            }
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Closed(at.to_owned()),
            // How a blocking socket says that its time is over.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::Stalled(at.to_owned(), IO_TIMEOUT.as_secs_f64())
            }
            _ => Self::Io(at.to_owned(), error),
        }
    }
}
