//! Rows that wait for whoever asked for them a few at a time.
//!
//! They are no data: neither copies nor files know of them. There are only so many, and who is not
//! read for long goes.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::value::Value;
use crate::clock::Millis;

/// Most cursors of all clients.
const CURSORS_MAX: usize = 128;

/// Rows with the names of their columns.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The names.
    pub columns: Arc<[Box<[u8]>]>,
    /// The values, by column.
    pub rows: Vec<Vec<Value>>,
}

/// What is left of an aggregation.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// The index's name.
    pub index: Box<[u8]>,
    /// The rows.
    pub rows: Rows,
    /// How many are given at a time.
    pub count: usize,
    /// For how long it stays unread.
    pub idle_ms: u64,
    /// Until when.
    pub until: Millis,
}

/// All cursors.
#[derive(Clone, Debug, Default)]
pub struct Cursors {
    open: BTreeMap<u64, Cursor>,
}

impl Cursors {
    /// Keeps a cursor; not if there are too many.
    pub fn put(&mut self, id: u64, cursor: Cursor, now: Millis) -> bool {
        self.open.retain(|_, cursor| cursor.until > now);
        if self.open.len() >= CURSORS_MAX {
            return false;
        }
        self.open.insert(id, cursor);
        true
    }

    /// Takes a cursor out.
    pub fn take(&mut self, id: u64, now: Millis) -> Option<Cursor> {
        self.open.retain(|_, cursor| cursor.until > now);
        self.open.remove(&id)
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        let rows = self.open.values().flat_map(|cursor| &cursor.rows.rows);
        rows.map(|row| row.len() * (size_of::<Value>() + 16)).sum()
    }
}
