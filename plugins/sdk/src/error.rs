//! Errors as Redis clients see them: an upper-case code and one line of text.
//!
//! Redis's own texts are constants here, so that a plugin's refusals read like the server's. Codes
//! of a plugin's own are made with [`Error::new`].

use std::borrow::Cow;
use std::fmt;

use crate::EngineError;
use crate::bindings::reef::plugin::types::CommandError;

/// What a handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error reply: `CODE message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Upper-case code: `ERR`, `WRONGTYPE`, or one of the plugin's own.
    pub code: Cow<'static, str>,
    /// One line of text.
    pub message: Cow<'static, str>,
}

impl Error {
    /// Options that do not fit together, or arguments left over.
    pub const SYNTAX: Self = Self::fixed("ERR", "syntax error");
    /// An argument that should be an integer.
    pub const NOT_AN_INTEGER: Self = Self::fixed("ERR", "value is not an integer or out of range");
    /// An argument that should be a number.
    pub const NOT_A_FLOAT: Self = Self::fixed("ERR", "value is not a valid float");
    /// An argument that should be text.
    pub const NOT_TEXT: Self = Self::fixed("ERR", "value is not valid UTF-8");
    /// The key holds another type.
    pub const WRONG_TYPE: Self =
        Self::fixed("WRONGTYPE", "Operation against a key holding the wrong kind of value");
    /// The server answered with another kind of reply than the handler asked for.
    pub const UNEXPECTED_REPLY: Self = Self::fixed("ERR", "unexpected reply from the server");
    /// Other clients changed the same keys in every round of a retry loop.
    pub const CONTENDED: Self =
        Self::fixed("CONTENDED", "too many concurrent changes of the same keys, try again");

    /// An error whose text is known when the plugin is compiled.
    #[must_use]
    pub const fn fixed(code: &'static str, message: &'static str) -> Self {
        Self { code: Cow::Borrowed(code), message: Cow::Borrowed(message) }
    }

    /// An error with a code of the plugin's own.
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into() }
    }

    /// Redis's text for a call with too few or too many arguments.
    #[must_use]
    pub fn wrong_arity(command: &[u8]) -> Self {
        let name = String::from_utf8_lossy(command).to_ascii_lowercase();
        Self::new("ERR", format!("wrong number of arguments for '{name}' command"))
    }

    /// Splits the text of an error reply (`CODE message`).
    #[must_use]
    pub fn from_reply(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
        Self { code: code.to_owned().into(), message: message.to_owned().into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        Self { code: error.code.into(), message: error.message.into() }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self { code: error.code.into_owned(), message: error.message.into_owned() }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::AccessDenied(text) => Self::new("NOPERM", text),
            EngineError::InvalidCommand((_, error)) | EngineError::RolledBack((_, error)) => {
                error.into()
            }
            EngineError::BatchTooLarge => Self::fixed("ERR", "batch too large"),
            EngineError::OutOfMemory => {
                Self::fixed("OOM", "command not allowed when used memory > 'maxmemory'.")
            }
            EngineError::QuotaExceeded(text) => Self::new("QUOTA", text),
            EngineError::CrossSlot => {
                Self::fixed("CROSSSLOT", "Keys in request don't hash to the same slot")
            }
            // The text begins with its own code: a replica's is READONLY, a full disk's is MISCONF.
            EngineError::ReadOnly(text) => Self::from_reply(text.as_bytes()),
            EngineError::Other(text) => Self::new("ERR", text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reply_splits_into_code_and_message() {
        let error = Error::from_reply(b"WRONGTYPE Operation against a key");
        assert_eq!(error.code, "WRONGTYPE");
        assert_eq!(error.message, "Operation against a key");
        assert_eq!(Error::from_reply(b"").to_string(), " ");
    }

    #[test]
    fn wrong_arity_names_the_command_as_redis_does() {
        let text = Error::wrong_arity(b"TX.Get").to_string();
        assert_eq!(text, "ERR wrong number of arguments for 'tx.get' command");
    }

    #[test]
    fn a_server_that_takes_no_writes_says_why_itself() {
        for text in ["READONLY You can't write", "BUSY A plugin is too far behind", "MISCONF No"] {
            assert_eq!(Error::from(EngineError::ReadOnly(text.to_owned())).to_string(), text);
        }
    }

    #[test]
    fn a_rolled_back_batch_says_why() {
        let cause = CommandError { code: "WRONGTYPE".into(), message: "no".into() };
        assert_eq!(Error::from(EngineError::RolledBack((3, cause))).to_string(), "WRONGTYPE no");
    }
}
