//! Loads a whole log: its base, then its increments in order, cutting off what a crash has torn.
//!
//! Only the last commands of a log can be torn: the last file with anything in it. A file before it
//! that ends too early is damage, because what follows does not belong to what is there.

use std::fmt;
use std::io::{self, BufRead, BufReader};

use reef_resp::Argv;

use crate::append_files::{AppendFiles, Part};
use crate::disk::SharedDisk;
use crate::replay::{Damage, Ending, is_snapshot, read_commands};

/// Where a log is loaded into.
pub trait Loader {
    /// Takes a snapshot: reads it to its end and no byte further.
    fn snapshot(&mut self, reader: &mut dyn BufRead) -> Result<(), String>;
    /// Takes a command.
    fn command(&mut self, argv: Argv<'_>) -> Result<(), String>;
    /// Forgets a transaction that was begun and will not end.
    fn forget_transaction(&mut self);
    /// Hears how many of how many bytes are loaded.
    fn progress(&mut self, bytes: u64, total: u64);
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Bytes of all files.
    pub bytes: u64,
    /// What was cut off: in which file, from where, how many bytes.
    pub cut: Option<Cut>,
}

/// The torn end of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub name: String,
    /// Its good bytes.
    pub good: u64,
    /// The bytes behind them.
    pub lost: u64,
}

/// Why a log cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// Its files cannot be found.
    Files(io::Error),
    /// A file of it is damaged.
    Damaged {
        /// Which.
        name: String,
        /// How.
        damage: Damage,
    },
    /// A file of it is torn, and it must not be cut off.
    Torn {
        /// What is torn.
        cut: Cut,
        /// Whether files with commands follow.
        is_followed: bool,
    },
    /// The snapshot at its head is damaged.
    Snapshot {
        /// The file.
        name: String,
        /// How.
        reason: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(error) => write!(f, "the append-only log cannot be opened: {error}"),
            Self::Damaged { name, damage } => write!(
                f,
                "Bad file format reading the append only file {name}: {damage}; make a copy, then \
                 redis-check-aof --fix cuts it off there"
            ),
            Self::Torn { cut, is_followed: true } => write!(
                f,
                "the append only file {} ends within a command at byte {}, but files with later \
                 commands follow",
                cut.name, cut.good
            ),
            Self::Torn { cut, is_followed: false } => write!(
                f,
                "Unexpected end of file reading the append only file {}: {} bytes are good, {} behind them are \
                 incomplete; 'aof-load-truncated yes' cuts them off",
                cut.name, cut.good, cut.lost
            ),
            Self::Snapshot { name, reason } => {
                write!(f, "the snapshot in the append only file {name} is damaged: {reason}")
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// Loads a log. A torn end is cut off the file if `may_cut`.
pub fn load_log(
    disk: &SharedDisk,
    files: &AppendFiles,
    may_cut: bool,
    into: &mut dyn Loader,
) -> Result<Loaded, LoadError> {
    let parts = files.parts().map_err(LoadError::Files)?;
    let total = parts.iter().map(|part| part.len).sum();
    let mut loaded = Loaded { bytes: total, cut: None };
    let mut before = 0;
    for (index, part) in parts.iter().enumerate() {
        let ending = load_part(disk, part, &mut |bytes| (before + bytes, total), into)?;
        before += part.len;
        let Ending::Torn { good, len } = ending else { continue };
        into.forget_transaction();
        let cut = Cut { name: part.name.clone(), good, lost: len - good };
        let is_followed = parts[index + 1..].iter().any(|part| part.len > 0);
        if is_followed || !may_cut {
            return Err(LoadError::Torn { cut, is_followed });
        }
        files.truncate(part, good).map_err(LoadError::Files)?;
        loaded.cut = Some(cut);
    }
    Ok(loaded)
}

fn load_part(
    disk: &SharedDisk,
    part: &Part,
    position: &mut dyn FnMut(u64) -> (u64, u64),
    into: &mut dyn Loader,
) -> Result<Ending, LoadError> {
    let name = || part.name.clone();
    let read_error = |error| LoadError::Damaged { name: name(), damage: Damage::Read(error) };
    let mut reader = BufReader::with_capacity(1 << 20, disk.read(&part.path).map_err(read_error)?);
    let mut start = 0;
    if is_snapshot(reader.fill_buf().map_err(read_error)?) {
        let mut counted = Counted { inner: &mut reader, count: 0 };
        into.snapshot(&mut counted)
            .map_err(|reason| LoadError::Snapshot { name: name(), reason })?;
        start = counted.count;
    }
    let shared = std::cell::RefCell::new(into);
    read_commands(&mut reader, start, &mut |argv| shared.borrow_mut().command(argv), &mut |bytes| {
        let (bytes, total) = position(bytes);
        shared.borrow_mut().progress(bytes, total);
    })
    .map_err(|damage| LoadError::Damaged { name: name(), damage })
}

/// A reader that knows how far it has come.
struct Counted<'a, R> {
    inner: &'a mut R,
    count: u64,
}

impl<R: BufRead> io::Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.count += count as u64;
        self.inner.consume(count);
    }
}
