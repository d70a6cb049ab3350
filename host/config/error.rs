//! What can be wrong with a configuration, and where it was said.

use std::error::Error;
use std::fmt;

/// Where a directive was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    Line {
        /// The file as it was named, or `standard input`.
        file: String,
        /// Counted from one.
        line: usize,
    },
    /// A file as a whole.
    File(String),
    /// A flag of the command line, with its dashes.
    Flag(String),
    /// A variable of the environment.
    Environment(String),
    /// `CONFIG SET`.
    Command,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(out, "{file}:{line}"),
            Self::File(name) | Self::Flag(name) | Self::Environment(name) => out.write_str(name),
            Self::Command => out.write_str("CONFIG SET"),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// No directive has this name; another one is near.
    Unknown { name: String, nearest: Option<&'static str> },
    /// The value or the use of this directive is wrong.
    Directive { name: String, text: String },
    /// Something else.
    Other(String),
}

/// Why a configuration or a change of it was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it was given.
    pub origin: Origin,
    problem: Problem,
}

impl ConfigError {
    pub(super) fn unknown(origin: Origin, name: String, nearest: Option<&'static str>) -> Self {
        Self { origin, problem: Problem::Unknown { name, nearest } }
    }

    pub(super) fn directive(
        origin: Origin,
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self { origin, problem: Problem::Directive { name: name.into(), text: text.into() } }
    }

    pub(super) fn other(origin: Origin, text: impl Into<String>) -> Self {
        Self { origin, problem: Problem::Other(text.into()) }
    }

    /// A change that was valid and could not be put into effect, such as a port that is taken.
    pub fn not_applied(name: &str, text: &str) -> Self {
        Self::directive(Origin::Command, name, text)
    }

    /// The whole text of the error reply to `CONFIG SET`, without the leading dash.
    pub fn reply(&self) -> String {
        let text = match &self.problem {
            Problem::Unknown { name, .. } => {
                format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            Problem::Directive { name, text } => {
                format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {text}")
            }
            Problem::Other(text) => format!("ERR {text}"),
        };
        text.replace(['\r', '\n'], " ")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, problem } = self;
        let flag = matches!(origin, Origin::Flag(_));
        match problem {
            Problem::Unknown { name, nearest } => {
                match flag {
                    true => write!(out, "unknown flag '{origin}'")?,
                    false => write!(out, "{origin}: unknown directive '{name}'")?,
                }
                let dashes = if flag { "--" } else { "" };
                match nearest {
                    Some(nearest) => write!(out, "; did you mean '{dashes}{nearest}'?"),
                    None => Ok(()),
                }
            }
            Problem::Directive { name, text } => match origin {
                Origin::Flag(_) | Origin::Environment(_) => write!(out, "{origin}: {text}"),
                _ => write!(out, "{origin}: '{name}': {text}"),
            },
            Problem::Other(text) => write!(out, "{origin}: {text}"),
        }
    }
}

impl Error for ConfigError {}

/// Something accepted that will not do what its author may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it was given.
    pub origin: Origin,
    /// A sentence without its full stop.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.origin, self.text)
    }
}
