//! The keys of the fake server: values of six types, expiry and versions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{Error, Result};

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Vec<u8>),
    Set(BTreeSet<Vec<u8>>),
    Sorted(BTreeMap<Vec<u8>, f64>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    List(VecDeque<Vec<u8>>),
    Stream(Stream),
}

/// The id of an entry: milliseconds since 1970, and a number within them.
pub(super) type Id = (u64, u64);

/// A stream. It is there without entries, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Fields and values by id.
    pub(super) entries: BTreeMap<Id, Vec<Vec<u8>>>,
    /// The largest id that there ever was.
    pub(super) last: Id,
}

impl Value {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Set(_) => "set",
            Self::Sorted(_) => "zset",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Stream(_) => "stream",
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) | Self::Stream(_) => false,
            Self::Set(set) => set.is_empty(),
            Self::Sorted(sorted) => sorted.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::List(list) => list.is_empty(),
        }
    }
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyspace {
    pub(super) now_ms: u64,
    values: BTreeMap<Vec<u8>, Value>,
    deadlines_ms: BTreeMap<Vec<u8>, u64>,
    versions: BTreeMap<Vec<u8>, u64>,
    writes: u64,
}

impl Keyspace {
    pub(super) fn advance(&mut self, milliseconds: u64) {
        self.now_ms += milliseconds;
        let now_ms = self.now_ms;
        let due = self.deadlines_ms.iter().filter(|(_, deadline_ms)| **deadline_ms <= now_ms);
        for key in due.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.remove(&key);
        }
    }

    pub(super) fn version(&self, key: &[u8]) -> u64 {
        self.versions.get(key).copied().unwrap_or(0)
    }

    pub(super) fn exists(&self, key: &[u8]) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.values.get(key)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.values.keys().map(Vec::as_slice)
    }

    pub(super) fn deadline_ms(&self, key: &[u8]) -> Option<u64> {
        self.deadlines_ms.get(key).copied()
    }

    /// Replaces a value; its deadline, if any, goes unless it is given again.
    pub(super) fn put(&mut self, key: &[u8], value: Value, deadline_ms: Option<u64>) {
        self.values.insert(key.to_vec(), value);
        self.deadlines_ms.remove(key);
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines_ms.insert(key.to_vec(), deadline_ms);
        }
        self.touch(key);
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let was_there = self.values.remove(key).is_some();
        self.deadlines_ms.remove(key);
        if was_there {
            self.touch(key);
        }
        was_there
    }

    /// Changes a value in place, made if it is not there, removed when it ends up empty. `pick`
    /// refuses another type.
    pub(super) fn change<T, R>(
        &mut self,
        key: &[u8],
        fresh: fn() -> Value,
        pick: fn(&mut Value) -> Option<&mut T>,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R> {
        let mut value = self.values.remove(key).unwrap_or_else(fresh);
        let result = pick(&mut value).map(change).ok_or(Error::WRONG_TYPE);
        if value.is_empty() {
            self.deadlines_ms.remove(key);
        } else {
            self.values.insert(key.to_vec(), value);
        }
        self.touch(key);
        result
    }

    fn touch(&mut self, key: &[u8]) {
        self.writes += 1;
        self.versions.insert(key.to_vec(), self.writes);
    }
}
