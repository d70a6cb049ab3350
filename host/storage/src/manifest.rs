//! The manifest of a multi-part log: which files make it up, in which order.
//!
//! The format is Redis 7's: one line a file, `file NAME seq NUMBER type b|i|h`. A name with blanks or
//! quotes stands in quotes. At most one base; increments in ascending order; files of history are to
//! be removed. Unknown words of a line are skipped, as Redis does.

use std::fmt;

use reef_resp::{OwnedArgv, split_line};

/// What a file is to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A snapshot that the log begins with.
    Base,
    /// Commands after it.
    Increment,
    /// No longer part of it.
    History,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name within the log's folder.
    pub name: String,
    /// Its number among its kind.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
}

/// The files of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The snapshot, if there is one.
    pub base: Option<Entry>,
    /// The increments in their order.
    pub increments: Vec<Entry>,
    /// What is to be removed.
    pub history: Vec<Entry>,
}

/// Longer lines are none, as in Redis.
const LINE_BYTES_MAX: usize = 1024;

/// Why a manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Manifest {
    /// Reads the text of a manifest.
    pub fn parse(text: &[u8]) -> Result<Self, Damage> {
        let mut manifest = Self::default();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let damage = |reason| Damage { line: index + 1, reason };
            if line.starts_with(b"#") || text.is_empty() {
                continue;
            }
            if line.len() >= LINE_BYTES_MAX {
                return Err(damage("The AOF manifest file contains too long line"));
            }
            manifest.take(entry(line).map_err(damage)?).map_err(damage)?;
        }
        if manifest.base.is_none() && manifest.increments.is_empty() {
            return Err(Damage { line: 1, reason: "Found an empty AOF manifest" });
        }
        Ok(manifest)
    }

    fn take(&mut self, entry: Entry) -> Result<(), &'static str> {
        match entry.kind {
            Kind::Base if self.base.is_some() => {
                return Err("Found duplicate base file information");
            }
            Kind::Base => self.base = Some(entry),
            Kind::History => self.history.push(entry),
            Kind::Increment => {
                if self.increments.last().is_some_and(|last| last.number >= entry.number) {
                    return Err("Found a non-monotonic sequence number in the AOF manifest");
                }
                self.increments.push(entry);
            }
        }
        Ok(())
    }

    /// All files in the order in which they are written down.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.base.iter().chain(&self.history).chain(&self.increments)
    }
}

fn entry(line: &[u8]) -> Result<Entry, &'static str> {
    let mut words = OwnedArgv::new();
    split_line(line, &mut words).ok_or("Invalid AOF manifest file format: unbalanced quotes")?;
    let words = words.as_argv();
    if !words.len().is_multiple_of(2) {
        return Err("Invalid AOF manifest file format: a word without its value");
    }
    let (mut name, mut number, mut kind) = (None, None, None);
    for index in (0..words.len()).step_by(2) {
        let text = std::str::from_utf8(words.get(index + 1))
            .map_err(|_| "Invalid AOF manifest file format: no UTF-8")?;
        match words.get(index).to_ascii_lowercase().as_slice() {
            b"file" => name = Some(checked_name(text)?),
            b"seq" => number = text.parse().ok(),
            b"type" => kind = Some(kind_of(text).ok_or("Unknown AOF file type")?),
            _ => {}
        }
    }
    match (name, number, kind) {
        (Some(name), Some(number), Some(kind)) => Ok(Entry { name, number, kind }),
        _ => Err("Invalid AOF manifest file format: 'file', 'seq' and 'type' are needed"),
    }
}

/// A file of a log lies in the log's folder.
fn checked_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains('/') || text.contains('\0') {
        return Err("File can't be a path, just a filename");
    }
    Ok(text.to_owned())
}

fn kind_of(text: &str) -> Option<Kind> {
    match text {
        "b" => Some(Kind::Base),
        "i" => Some(Kind::Increment),
        "h" => Some(Kind::History),
        _ => None,
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries().try_for_each(|entry| {
            let letter = match entry.kind {
                Kind::Base => 'b',
                Kind::Increment => 'i',
                Kind::History => 'h',
            };
            writeln!(f, "file {} seq {} type {letter}", Quoted(&entry.name), entry.number)
        })
    }
}

/// A name as a manifest shows it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
        if self.0.bytes().all(is_plain) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for byte in self.0.bytes() {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", byte as char)?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                0x20..0x7f => write!(f, "{}", byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, number: u64, kind: Kind) -> Entry {
        Entry { name: name.to_owned(), number, kind }
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = Manifest {
            base: Some(entry("a.aof.2.base.rdb", 2, Kind::Base)),
            increments: vec![
                entry("a.aof.3.incr.aof", 3, Kind::Increment),
                entry("with \"blanks\" \u{e4}.4.incr.aof", 4, Kind::Increment),
            ],
            history: vec![entry("a.aof.1.base.rdb", 1, Kind::History)],
        };
        let text = manifest.to_string();
        assert!(text.starts_with("file a.aof.2.base.rdb seq 2 type b\n"), "{text}");
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
    }

    #[test]
    fn damage_is_told_with_its_line() {
        let reason = |text: &str| Manifest::parse(text.as_bytes()).unwrap_err().to_string();
        let format =
            |line: u32, why: &str| format!("line {line}: Invalid AOF manifest file format: {why}");
        let lacks = "'file', 'seq' and 'type' are needed";
        assert_eq!(reason(""), "line 1: Found an empty AOF manifest");
        assert_eq!(reason("# nothing\nfile a seq 1"), format(2, lacks));
        assert_eq!(reason("file a seq 1 type b\n\nfile b seq 1 type i\n"), format(2, lacks));
        assert_eq!(
            reason("file ../a seq 1 type b"),
            "line 1: File can't be a path, just a filename"
        );
        assert_eq!(reason("file a seq x type b"), format(1, lacks));
        assert_eq!(reason("file a seq 1 type x"), "line 1: Unknown AOF file type");
        assert_eq!(reason("file a seq 1 type"), format(1, "a word without its value"));
        assert_eq!(reason("file \"a seq 1 type b"), format(1, "unbalanced quotes"));
        let two = "file a seq 1 type b\nfile b seq 2 type b\n";
        assert_eq!(reason(two), "line 2: Found duplicate base file information");
        let descending = "file a seq 2 type i\nfile b seq 1 type i\n";
        let told = "line 2: Found a non-monotonic sequence number in the AOF manifest";
        assert_eq!(reason(descending), told);
        let long = format!("file {} seq 1 type b", "a".repeat(1024));
        assert_eq!(reason(&long), "line 1: The AOF manifest file contains too long line");
    }
}
