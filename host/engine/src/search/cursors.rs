//! Rows that wait for whoever asked for them a few at a time.
//!
//! They are no data: neither copies nor files know of them. There are only so many, and who is not
//! read for long goes.

use alloc::boxed::Box;
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::value::Value;
use crate::clock::Millis;

/// Most cursors of all clients.
pub const CURSORS_MAX: usize = 128;

/// A column's name, and whether every row has it, even if there is nothing in it.
pub type Column = (Box<[u8]>, bool);

/// Rows with the names of their columns.
#[derive(Clone, Debug)]
pub struct Rows {
    columns: Arc<[Column]>,
    rows: VecDeque<Vec<Value>>,
    /// Of the rows, on the heap.
    bytes: usize,
}

impl Rows {
    /// Rows of values by column.
    pub fn new(columns: Arc<[Column]>, rows: Vec<Vec<Value>>) -> Self {
        let bytes = rows.iter().map(|row| bytes_of(row)).sum();
        Self { columns, rows: rows.into(), bytes }
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Takes the first ones out.
    pub fn take_first(&mut self, count: usize) -> Vec<Vec<Value>> {
        let taken: Vec<_> = self.rows.drain(..count.min(self.rows.len())).collect();
        self.bytes -= taken.iter().map(|row| bytes_of(row)).sum::<usize>();
        taken
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn bytes_of(row: &[Value]) -> usize {
    row.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum()
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
    /// Of all rows: it is asked for in every step, and rows are many.
    bytes: usize,
}

impl Cursors {
    /// Keeps a cursor; not if there are too many.
    pub fn put(&mut self, id: u64, cursor: Cursor, now: Millis) -> bool {
        self.shed(now);
        if self.open.len() >= CURSORS_MAX {
            return false;
        }
        self.bytes += cursor.rows.bytes;
        if let Some(old) = self.open.insert(id, cursor) {
            self.bytes -= old.rows.bytes;
        }
        true
    }

    /// How many are open, and how many of them are of an index.
    pub fn count(&mut self, index: &[u8], now: Millis) -> (usize, usize) {
        self.shed(now);
        let own = self.open.values().filter(|cursor| *cursor.index == *index).count();
        (self.open.len(), own)
    }

    /// Takes a cursor of an index out.
    pub fn take(&mut self, id: u64, index: &[u8], now: Millis) -> Option<Cursor> {
        self.shed(now);
        let Entry::Occupied(found) = self.open.entry(id) else { return None };
        if *found.get().index != *index {
            return None;
        }
        let cursor = found.remove();
        self.bytes -= cursor.rows.bytes;
        Some(cursor)
    }

    fn shed(&mut self, now: Millis) {
        let Self { open, bytes } = self;
        open.retain(|_, cursor| {
            let stays = cursor.until > now;
            if !stays {
                *bytes -= cursor.rows.bytes;
            }
            stays
        });
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn the_sum_of_bytes_is_that_of_the_rows() {
        let cursor = |index: &[u8], until| {
            let rows = vec![vec![Value::text(b"some text"), Value::Number(1.0)]; 10];
            let rows = Rows::new([].into(), rows);
            Cursor { index: index.into(), rows, count: 3, idle_ms: 5, until: Millis::new(until) }
        };
        let one = cursor(b"i", 0).rows.bytes;
        assert_eq!(one, 10 * (2 * size_of::<Value>() + 9));
        let (mut cursors, now) = (Cursors::default(), Millis::new(1));
        assert!(cursors.put(1, cursor(b"i", 9), now) && cursors.put(2, cursor(b"j", 5), now));
        assert!(cursors.put(1, cursor(b"i", 9), now));
        assert_eq!(cursors.heap_bytes(), 2 * one);
        assert!(cursors.take(1, b"j", now).is_none());
        let mut taken = cursors.take(1, b"i", now).expect("a cursor");
        assert_eq!(taken.rows.take_first(4).len(), 4);
        assert!(cursors.put(1, taken, now));
        assert_eq!(cursors.heap_bytes(), one + one / 10 * 6);
        assert!(cursors.take(2, b"j", Millis::new(5)).is_none());
        let mut taken = cursors.take(1, b"i", now).expect("a cursor");
        assert_eq!((taken.rows.take_first(100).len(), cursors.heap_bytes()), (6, 0));
        assert!(taken.rows.is_empty() && taken.rows.bytes == 0);
    }
}
