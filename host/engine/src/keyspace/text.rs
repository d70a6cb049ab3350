//! Strings that are changed in place: bits, fields, registers.
//!
//! Handlers reach the bytes only through [`TextEdit`], so no change can be forgotten: it is counted
//! here, and what undoes it recorded when the step can be undone.

use alloc::vec::Vec;
use core::ops::Deref;

use super::{Access, Event, Inverse, Keyspace, Slot, Value};
use crate::error::Error;

/// The event of a change that nobody is told of.
pub const SILENT: Event = "";

/// A string that is being changed. Reading goes to its bytes.
#[derive(Debug)]
pub struct TextEdit<'e> {
    text: &'e mut Vec<u8>,
    /// What was there, if the step can be undone byte by byte.
    steps: Option<Vec<Before>>,
    overwritten: u64,
    grown: bool,
}

/// A string had this length, and these bytes at this offset.
#[derive(Debug)]
struct Before {
    len: usize,
    offset: usize,
    bytes: Vec<u8>,
}

impl<'e> TextEdit<'e> {
    fn new(text: &'e mut Vec<u8>, undoable: bool) -> Self {
        Self { text, steps: undoable.then(Vec::new), overwritten: 0, grown: false }
    }

    /// How many changes were made. Growing counts only where nothing else was done.
    fn changes(&self) -> u64 {
        self.overwritten.max(u64::from(self.grown))
    }

    fn note(&mut self, before: impl FnOnce() -> Before) {
        if let Some(steps) = &mut self.steps {
            steps.push(before());
        }
    }

    /// Appends zeros up to a length.
    pub fn grow(&mut self, len: usize) {
        let before = self.text.len();
        if before < len {
            self.text.resize(len, 0);
            self.grown = true;
            self.note(|| Before { len: before, offset: before, bytes: Vec::new() });
        }
    }

    /// Overwrites bytes, which must be inside. The same bytes again are no change.
    pub fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        let len = self.text.len();
        let Some(place) = self.text.get_mut(offset..offset + bytes.len()) else {
            debug_assert!(false, "an overwrite behind the end");
            return;
        };
        if place == bytes {
            return;
        }
        let old = self.steps.is_some().then(|| place.to_vec());
        place.copy_from_slice(bytes);
        self.overwritten += 1;
        self.note(|| Before { len, offset, bytes: old.unwrap_or_default() });
    }

    /// Changes the whole string; `change` tells how many changes it made.
    pub fn rewrite(&mut self, change: impl FnOnce(&mut Vec<u8>) -> u64) {
        let old = self.steps.is_some().then(|| self.text.clone());
        let changes = change(self.text);
        if changes > 0 {
            self.overwritten += changes;
            self.note(|| {
                let bytes = old.unwrap_or_default();
                Before { len: bytes.len(), offset: 0, bytes }
            });
        }
    }
}

impl Deref for TextEdit<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.text
    }
}

impl Keyspace<'_> {
    /// Sets a key to a string that was built for it, whatever it held.
    pub fn set_buffer(&mut self, key: &[u8], text: Vec<u8>, event: Event) {
        self.put(key, |access| Slot::object(key, Value::Text(text), None, access), event);
    }

    /// Changes the string at a key in place, starting from an empty one if there is no such key; if
    /// nothing was changed, there is none afterwards either. `WrongType` if it holds something else.
    pub fn edit_text<R>(
        &mut self,
        key: &[u8],
        event: Event,
        change: impl FnOnce(&mut TextEdit<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        match self.peek(key).map(|slot| slot.as_text().is_some()) {
            Some(true) => self.edit_present_text(key, event, change),
            Some(false) => Err(Error::WrongType),
            None => {
                let mut text = Vec::new();
                let mut edit = TextEdit::new(&mut text, false);
                let result = change(&mut edit);
                if edit.changes() > 0 {
                    self.set_buffer(key, text, event);
                }
                result
            }
        }
    }

    fn edit_present_text<R>(
        &mut self,
        key: &[u8],
        event: Event,
        change: impl FnOnce(&mut TextEdit<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let place = self.place(key);
        let (now, rules, no_touch) = (self.now, self.rules, self.no_touch);
        let lfu = rules.settings.lfu;
        let draw = self.draw(place);
        let undoable = self.journal.is_undoable();
        // A packed string is put back as it was, so that not even its encoding tells of the step.
        let packed = self.peek(key).filter(|slot| undoable && slot.is_packed());
        let packed = packed.map(|slot| slot.copy_as(key, slot.access()));
        let stepwise = undoable && packed.is_none();
        let edited = self.database_at_mut(place.shard).and_then(|database| {
            database.change(place.hash, key, &rules.hasher, |slot| {
                if !no_touch {
                    slot.set_access(Access::used(slot.access(), now, lfu, draw));
                }
                let mut edit = TextEdit::new(slot.text_buffer()?, stepwise);
                let result = change(&mut edit);
                Some((result, edit.changes(), edit.steps.unwrap_or_default()))
            })
        });
        let Some((result, changes, steps)) = edited.flatten() else { return Err(Error::WrongType) };
        let database = self.database;
        if let Some(slot) = packed {
            self.journal.undo_by(|| Inverse::Restore { database, slot });
        }
        for Before { len, offset, bytes } in steps {
            let key = key.into();
            self.journal.undo_by(|| Inverse::Text { database, key, len, offset, bytes });
        }
        if changes > 0 {
            self.changed(place, key, event, changes);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn edit(text: &[u8], change: impl FnOnce(&mut TextEdit<'_>)) -> (Vec<u8>, u64) {
        let mut buffer = text.to_vec();
        let mut edit = TextEdit::new(&mut buffer, true);
        change(&mut edit);
        let changes = edit.changes();
        let after = edit.text.clone();
        for Before { len, offset, bytes } in edit.steps.unwrap_or_default().into_iter().rev() {
            buffer.resize(len, 0);
            buffer[offset..][..bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(buffer, text, "the steps lead back");
        (after, changes)
    }

    #[test]
    fn every_change_can_be_taken_back() {
        let (after, changes) = edit(b"abc", |text| {
            text.grow(5);
            text.overwrite(1, b"XYZ");
            text.overwrite(1, b"XY");
            text.rewrite(|text| {
                text.truncate(2);
                text.insert(0, b'-');
                1
            });
            text.grow(2);
        });
        assert_eq!((after, changes), (b"-aX".to_vec(), 2));
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let same = edit(b"abc", |text| {
            text.grow(3);
            text.overwrite(0, b"ab");
            text.rewrite(|_| 0);
        });
        assert_eq!(same, (vec![b'a', b'b', b'c'], 0));
    }
}
