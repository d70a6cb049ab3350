//! Where configuration text comes from, read within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// A configuration file or what stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file in redis.conf syntax.
    File(PathBuf),
    /// Standard input, in the same syntax.
    StandardInput,
    /// Text at hand, in the same syntax, with the name that messages call it.
    Text {
        /// The name in messages.
        name: String,
        /// The content.
        text: Vec<u8>,
    },
}

impl Source {
    /// The source that a word of the command line names: `-` is standard input.
    pub fn from_argument(argument: &str) -> Self {
        match argument {
            "-" => Self::StandardInput,
            file => Self::File(PathBuf::from(file)),
        }
    }

    /// The name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::StandardInput => "standard input".to_owned(),
            Self::Text { name, .. } => name.clone(),
        }
    }

    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::File(path) => read_bounded(File::open(path)?),
            Self::StandardInput => read_bounded(io::stdin().lock()),
            Self::Text { text, .. } => Ok(text.clone()),
        }
    }
}

/// No configuration is longer; what is, is not one.
pub(super) const SOURCE_BYTES_MAX: u64 = 16 << 20;

fn read_bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = from.take(SOURCE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > SOURCE_BYTES_MAX) {
        return Err(io::Error::other(format!("longer than {SOURCE_BYTES_MAX} bytes")));
    }
    Ok(text)
}
