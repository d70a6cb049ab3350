//! Why a file was refused, and where.

use alloc::string::String;
use core::fmt;

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Bytes in front of the record that is wrong.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It does not begin as such a file does.
    Signature,
    /// It is of a version that nobody here knows.
    Version(u16),
    /// It ends too early.
    Truncated,
    /// A record of a type that nobody here knows.
    UnknownType(u8),
    /// A value of a module, or of its own data.
    Module(String),
    /// A value that is not what its type says.
    Malformed(u8),
    /// A database that there is not.
    Database(u64),
    /// Some byte was changed on the way.
    Checksum,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Signature => write!(f, "not an RDB file")?,
            Reason::Version(version) => write!(f, "RDB version {version} is not known")?,
            Reason::Truncated => write!(f, "the file ends too early")?,
            Reason::UnknownType(kind) => write!(f, "a record of unknown type {kind}")?,
            Reason::Module(name) => write!(f, "data of the module type {name}")?,
            Reason::Malformed(kind) => write!(f, "a broken record of type {kind}")?,
            Reason::Database(number) => write!(f, "a database {number}, which there is not")?,
            Reason::Checksum => write!(f, "CRC error: the checksum is wrong")?,
        }
        write!(f, " (at offset {})", self.offset)
    }
}

impl core::error::Error for Failure {}
