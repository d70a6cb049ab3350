//! The keys of a run: all have the run as their hash tag, so they share a slot of a cluster and a
//! batch may touch any of them.
//!
//! | key | holds |
//! |---|---|
//! | `rdv:{run}` | the run's limits and counters, [`Meta`](crate::meta::Meta) |
//! | `rdv:{run}:names` | set of what follows `rdv:{run}:` in its other keys |
//! | `rdv:{run}:registered:<ns>` | hash of registrations by id |
//! | `rdv:{run}:free:<ns>` | sorted set of those that can be taken, in order of arrival |
//! | `rdv:{run}:leased:<ns>` | hash of leases by id |
//! | `rdv:{run}:ended:<ns>` | sorted set of ids that went, by revision; some may be registered again |
//! | `rdv:{run}:changed:<ns>` | the revision of the last change: who watches waits here |
//! | `rdv:{run}:tally` | hash: how many registrations of a name space have expired |
//! | `rdv:{run}:due` | sorted set of what ends by itself, by its time |
//! | `rdv:{run}:timer` | expires when the first of them does |
//! | `rdv:{run}:tied:<life>:<client>` | set of what ends with a connection |
//! | `rdv:{run}:signals` | hash: how many signals a state has had |
//! | `rdv:{run}:wanted:<what>` | sorted set of numbers that somebody waits for |
//! | `rdv:{run}:reached:<number>:<what>` | there once it is reached: who wants so many waits here |
//! | `rdv:{run}:topic:<topic>` | list of what was published |
//! | `rdv:{run}:fields:<name>` | hash: types of the fields of results |
//! | `rdv:{run}:results:<name>` | hash of results by who reported them |
//! | `rdv:{run}:leaders` | hash of leaders by role |
//! | `rdv:{run}:vacant:<role>` | there while a role that was led is not: candidates wait here |
//! | `rdv:{run}:gone` | there for a while after a drop: everybody who waits does so here, too |
//! | `rdv:runs` | sorted set of runs by their end |
//!
//! `registered` and `ended` have a first entry, with the empty name, that stands for nobody: they are there
//! from the first registration of a name space until the run ends.

use reef_sdk::{Argument, Cursor, Error, FromArgument, Query, Result};

use crate::refusal;

/// All runs.
pub(crate) const RUNS: &str = "rdv:runs";
/// Longest name of a run, name space, state, topic, ... and longest id.
pub(crate) const NAME_BYTES_MAX: usize = 512;

/// The name of a run: no braces, so that it can be a hash tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run<'a>(pub(crate) &'a [u8]);

impl<'a> FromArgument<'a> for Run<'a> {
    fn from_argument(bytes: &'a [u8]) -> Result<Self> {
        let Name(name) = Name::from_argument(bytes)?;
        if name.iter().any(|byte| matches!(byte, b'{' | b'}')) {
            return Err(refusal::BRACES);
        }
        Ok(Self(name))
    }
}

/// Any other name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name<'a>(pub(crate) &'a [u8]);

impl<'a> FromArgument<'a> for Name<'a> {
    fn from_argument(bytes: &'a [u8]) -> Result<Self> {
        match bytes.len() {
            1..=NAME_BYTES_MAX => Ok(Self(bytes)),
            _ => Err(refusal::BAD_NAME),
        }
    }
}

/// What a key of a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Registered,
    Free,
    Leased,
    Ended,
    Changed,
    Tally,
    Due,
    Timer,
    Tied,
    Signals,
    Wanted,
    Reached,
    Topic,
    Fields,
    Results,
    Leaders,
    Vacant,
    Names,
    Gone,
}

impl Kind {
    /// What its keys have after the run. A colon at the end asks for a name.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Registered => "registered:",
            Self::Free => "free:",
            Self::Leased => "leased:",
            Self::Ended => "ended:",
            Self::Changed => "changed:",
            Self::Tally => "tally",
            Self::Due => "due",
            Self::Timer => "timer",
            Self::Tied => "tied:",
            Self::Signals => "signals",
            Self::Wanted => "wanted:",
            Self::Reached => "reached:",
            Self::Topic => "topic:",
            Self::Fields => "fields:",
            Self::Results => "results:",
            Self::Leaders => "leaders",
            Self::Vacant => "vacant:",
            Self::Names => "names",
            Self::Gone => "gone",
        }
    }
}

impl Kind {
    /// How a key is called among the names of its run.
    pub(crate) fn of(self, name: &[u8]) -> Vec<u8> {
        [self.word().as_bytes(), name].concat()
    }
}

/// A key of a run. It is put together where it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    run: Run<'a>,
    /// What follows the run; nothing in the key of what the run is.
    parts: [&'a [u8]; 3],
}

impl Key<'_> {
    pub(crate) fn to_vec(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

impl Argument for Key<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        for part in [b"rdv:{", self.run.0, b"}"].iter().chain(&self.parts) {
            out.extend_from_slice(part);
        }
    }
}

impl<'a> Run<'a> {
    /// The key of what the run is.
    pub(crate) fn meta(self) -> Key<'a> {
        Key { run: self, parts: [b"", b"", b""] }
    }

    /// One of its other keys.
    pub(crate) fn key(self, kind: Kind, name: &'a [u8]) -> Key<'a> {
        Key { run: self, parts: [b":", kind.word().as_bytes(), name] }
    }

    /// The key that is called so among its names.
    pub(crate) fn key_of(self, name: &'a [u8]) -> Key<'a> {
        Key { run: self, parts: [b":", name, b""] }
    }

    /// Takes a key apart: the run, and what follows.
    pub(crate) fn of_key(key: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = key.strip_prefix(b"rdv:{")?;
        let end = rest.iter().position(|byte| *byte == b'}')?;
        let (run, rest) = rest.split_at_checked(end)?;
        Some((Self(run), rest.strip_prefix(b"}:")?))
    }
}

/// What there can be a number of that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted<'a> {
    /// Registrations of a name space.
    Registrations(Name<'a>),
    /// Signals of a state.
    Signals(Name<'a>),
    /// Results of a name.
    Results(Name<'a>),
}

impl Counted<'_> {
    /// How it is written in keys.
    pub(crate) fn name(self) -> Vec<u8> {
        let (letter, Name(name)) = match self {
            Self::Registrations(name) => (b'r', name),
            Self::Signals(name) => (b's', name),
            Self::Results(name) => (b'o', name),
        };
        [&[letter], name].concat()
    }

    /// Asks for the least number that somebody waits for.
    pub(crate) fn ask_least_wanted(self, run: Run<'_>, query: &mut Query) {
        let name = self.name();
        let least = query.command("ZRANGEBYSCORE").arg(run.key(Kind::Wanted, &name));
        least.arg("-inf").arg("+inf").arg("LIMIT").arg("0").arg("1");
    }

    /// What came of it.
    pub(crate) fn hear_least_wanted(cursor: &mut Cursor<'_>) -> Result<Option<u64>> {
        match cursor.elements()? {
            0 => Ok(None),
            _ => cursor.value(),
        }
    }

    /// What the key is called that is there when it is so many.
    pub(crate) fn reached(self, number: u64) -> Vec<u8> {
        [number.to_string().as_bytes(), b":", &self.name()].concat()
    }
}

/// An error that nobody ought to see: a value of ours that we did not write.
pub(crate) const CORRUPT: Error =
    Error::fixed("ERR", "a key of this run holds what the rendezvous did not write");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart_again() {
        let run = Run(b"a:b");
        assert_eq!(run.meta().to_vec(), b"rdv:{a:b}");
        let key = run.key(Kind::Tied, b"7:8").to_vec();
        assert_eq!(key, b"rdv:{a:b}:tied:7:8");
        assert_eq!(Run::of_key(&key), Some((run, b"tied:7:8".as_slice())));
        assert_eq!(run.key_of(b"tied:7:8").to_vec(), key);
        for other in ["rdv:runs", "rdv:{a}", "rdv:{a", "x", ""] {
            assert_eq!(Run::of_key(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn names_have_a_length_and_runs_no_braces() {
        assert!(Run::from_argument(b"rust-v0.53 x go (tcp, noise)").is_ok());
        for bad in [b"".as_slice(), b"a{b", b"}", &[b'x'; NAME_BYTES_MAX + 1]] {
            assert!(Run::from_argument(bad).is_err());
        }
        assert!(Name::from_argument(b"{}").is_ok());
    }
}
