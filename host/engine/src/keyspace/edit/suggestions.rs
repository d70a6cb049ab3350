//! Changes of suggestions.

use super::Edit;
use crate::keyspace::undo::EditInverse;
use crate::types::suggestions::{Suggestion, Suggestions};

impl Edit<'_, Suggestions> {
    /// Puts a text there, which must be fit.
    pub fn put(&mut self, text: &[u8], suggestion: Suggestion) {
        let before = self.value.put(text, suggestion);
        self.changed(|| EditInverse::Suggestion(text.into(), before));
    }

    /// Takes a text out. Whether it was there.
    pub fn take(&mut self, text: &[u8]) -> bool {
        let taken = self.value.take(text);
        let was_there = taken.is_some();
        if was_there {
            self.changed(|| EditInverse::Suggestion(text.into(), taken));
        }
        was_there
    }
}

pub(super) fn undo(suggestions: &mut Suggestions, inverse: EditInverse) {
    match inverse {
        EditInverse::Suggestion(text, Some(before)) => {
            suggestions.put(&text, before);
        }
        EditInverse::Suggestion(text, None) => {
            suggestions.take(&text);
        }
        _ => debug_assert!(false, "an inverse of another type's change"),
    }
}
