//! Changes of a collection's elements, each with the inverse that undoes it.
//!
//! Handlers reach a collection for changing only through [`Edit`], so no change can be forgotten:
//! it is counted here, and its inverse recorded when the step can be undone. One file per type;
//! each says the type's mutations and how to take them back.

mod hash;
mod json;
mod list;
mod set;
mod sorted_set;
mod stream;
mod suggestions;

pub use list::ListEnd;
pub use stream::StreamInverse;

use alloc::vec::Vec;
use core::ops::Deref;

use super::undo::EditInverse;
use super::value::Value;
use crate::settings::Rules;

/// A collection that is being changed. Reading goes to the collection itself.
#[derive(Debug)]
pub struct Edit<'e, T> {
    value: &'e mut T,
    rules: &'e Rules,
    /// Inverses, if the step can be undone and the collection was there before it.
    steps: Option<Vec<EditInverse>>,
    changes: u64,
    is_touched: bool,
    /// What the changes left over and is too large to end in passing.
    waste: Vec<Value>,
}

impl<'e, T> Edit<'e, T> {
    pub(super) fn new(value: &'e mut T, rules: &'e Rules, undoable: bool) -> Self {
        Self {
            value,
            rules,
            steps: undoable.then(Vec::new),
            changes: 0,
            is_touched: false,
            waste: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<EditInverse> {
        self.steps.unwrap_or_default()
    }

    /// How many changes there were.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the key counts as changed in any case.
    pub(super) fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// Takes away what is too large to end in passing.
    pub(super) fn take_waste(&mut self) -> Vec<Value> {
        core::mem::take(&mut self.waste)
    }

    /// Lets the key count as changed even if nothing changes: some commands do not look.
    pub fn touch(&mut self) {
        self.is_touched = true;
    }

    fn changed(&mut self, inverse: impl FnOnce() -> EditInverse) {
        self.changed_by(1, inverse);
    }

    /// Records one change that counts as several.
    fn changed_by(&mut self, changes: usize, inverse: impl FnOnce() -> EditInverse) {
        self.changes += changes as u64;
        if let Some(steps) = &mut self.steps {
            steps.push(inverse());
        }
    }
}

impl<T> Deref for Edit<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

/// Undoes one change. A value of another type is left alone: that cannot be, because inverses run
/// in the exact reverse order of the changes.
pub(super) fn undo(value: &mut Value, inverse: EditInverse, rules: &Rules) {
    match value {
        Value::List(list) => list::undo(list, inverse, rules),
        Value::SortedSet(set) => sorted_set::undo(set, inverse, rules),
        Value::Text(_) => debug_assert!(false, "a string has no elements"),
        Value::Stream(stream) => stream::undo(stream, inverse),
        Value::Json(document) => json::undo(document, inverse),
        Value::Suggestions(suggestions) => suggestions::undo(suggestions, inverse),
        Value::Set(set) => set::undo(set, inverse, rules),
        Value::Hash(hash) => hash::undo(hash, inverse, rules),
    }
}

#[cfg(test)]
mod tests;
