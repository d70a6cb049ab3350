//! Changes within documents. What undoes them stands where they happened, so a small change of a large
//! document is small to undo, too.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Edit, EditInverse};
use crate::error::Error;
use crate::keyspace::books::LARGE_PARTS;
use crate::keyspace::value::Value;
use crate::types::json::{Change, Document, Json, Text};

impl Edit<'_, Document> {
    /// Records what was changed. How many changes there were does not matter to anybody.
    fn json_changed(&mut self, parts_before: usize, change: Option<Change>) {
        let Some(change) = change else { return };
        if self.steps.is_some() {
            return self.changed(|| EditInverse::Json(Box::new(change)));
        }
        self.changes += 1;
        if parts_before.saturating_sub(self.value.parts()) >= LARGE_PARTS {
            let left_over = change.into_values().map(Document::new);
            self.waste.extend(left_over.map(|document| Value::Json(Box::new(document))));
        }
    }

    /// Puts a value in place of another, if there is one.
    pub fn set(&mut self, at: &[usize], value: Json) -> Result<(), Error> {
        let parts = self.value.parts();
        let change = self.value.set(at, value)?;
        self.json_changed(parts, change);
        Ok(())
    }

    /// Adds a member to an object. Whether there was none of this name.
    pub fn add(&mut self, at: &[usize], name: &Text, value: Json) -> Result<bool, Error> {
        let object = self.value.at(at).and_then(Json::as_object);
        if object.is_none_or(|object| object.position(name.as_bytes()).is_some()) {
            return Ok(false);
        }
        let change = self.value.add(at, name.clone(), value)?;
        self.json_changed(0, change);
        Ok(true)
    }

    /// Removes members of an object by their names. How many there were.
    pub fn remove_members<'n>(
        &mut self,
        at: &[usize],
        names: impl Iterator<Item = &'n Text>,
    ) -> usize {
        let (before, mut place) = (self.changes, at.to_vec());
        for name in names {
            let object = self.value.at(at).and_then(Json::as_object);
            let Some(position) = object.and_then(|object| object.position(name.as_bytes())) else {
                continue;
            };
            place.push(position);
            let parts = self.value.parts();
            let change = self.value.remove(&place);
            self.json_changed(parts, change);
            place.pop();
        }
        (self.changes - before) as usize
    }

    /// Removes elements of an array at ascending positions.
    pub fn remove_elements(&mut self, at: &[usize], positions: &[usize]) {
        let parts = self.value.parts();
        let change = self.value.remove_elements(at, positions);
        self.json_changed(parts, change);
    }

    /// Inserts values into an array.
    pub fn insert(&mut self, at: &[usize], position: usize, new: Vec<Json>) -> Result<(), Error> {
        let change = self.value.insert(at, position, new)?;
        self.json_changed(0, change);
        Ok(())
    }

    /// Keeps a part of an array only.
    pub fn trim(&mut self, at: &[usize], start: usize, end: usize) {
        let parts = self.value.parts();
        let change = self.value.trim(at, start, end);
        self.json_changed(parts, change);
    }

    /// Merges a patch into a value.
    pub fn merge(&mut self, at: &[usize], patch: Json) -> Result<(), Error> {
        let (parts, mut changes) = (self.value.parts(), Vec::new());
        let merged = self.value.merge(at, patch, &mut |change| changes.push(change));
        changes.into_iter().for_each(|change| self.json_changed(parts, Some(change)));
        Ok(merged?)
    }
}

/// Undoes one change.
pub(super) fn undo(document: &mut Document, inverse: EditInverse) {
    match inverse {
        EditInverse::Json(change) => document.undo(*change),
        _ => debug_assert!(false, "a document is undone by its own inverses"),
    }
}
