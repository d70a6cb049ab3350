//! What happened to a document, as its stream tells it.

use std::fmt;
use std::str::FromStr;

/// The id of an entry of a stream; ids of a stream only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds of the time when it was added.
    pub ms: u64,
    /// Its number within that millisecond.
    pub seq: u64,
}

impl StreamId {
    /// Before every entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    /// The id with these two parts.
    pub fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for StreamId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ms, seq) = text.split_once('-').unwrap_or((text, "0"));
        match (ms.parse(), seq.parse()) {
            (Ok(ms), Ok(seq)) => Ok(Self { ms, seq }),
            _ => Err(format!("'{text}' is not the id of a stream's entry")),
        }
    }
}

/// One change of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where in the stream it stands.
    pub id: StreamId,
    /// The kind of document, such as `sessions`.
    pub entity: String,
    /// The document's id: any bytes.
    pub document: Vec<u8>,
    /// What happened.
    pub kind: EventKind,
    /// When it happened, in milliseconds of Unix time.
    pub timestamp_ms: i64,
    /// The document after the change, as JSON; nothing once it is deleted.
    pub image: Option<Vec<u8>>,
    /// The document's version after the change.
    pub version: u64,
}

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// There is a new document.
    Insert,
    /// A document has another content.
    Update,
    /// A document is gone.
    Delete,
    /// The stream has an entry which is no event, or one of a kind not known. No planner is asked: it
    /// becomes a dead letter.
    Unknown,
}

impl EventKind {
    /// The word for it in streams.
    pub fn word(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Unknown => "unknown",
        }
    }

    /// The kind that a word names.
    pub fn of(word: &str) -> Self {
        match word {
            "insert" => Self::Insert,
            "update" => Self::Update,
            "delete" => Self::Delete,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = StreamId::new(1_700_000_000_000, 7);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("5".parse(), Ok(StreamId::new(5, 0)));
        assert!("5-".parse::<StreamId>().is_err());
        assert!("-5".parse::<StreamId>().is_err());
        assert!(StreamId::new(1, u64::MAX) < StreamId::new(2, 0));
    }

    #[test]
    fn kinds_are_their_words() {
        for kind in [EventKind::Insert, EventKind::Update, EventKind::Delete] {
            assert_eq!(EventKind::of(kind.word()), kind);
        }
        assert_eq!(EventKind::of("INSERT!"), EventKind::Unknown);
    }
}
