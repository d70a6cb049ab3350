//! Changes of a hash's fields. What undoes them puts the old value back, or takes the field away,
//! or puts it back where it stood, with the time at which it was to expire: a small hash keeps the order of its fields, also through a
//! roll-back.

use super::{Edit, EditInverse};
use crate::clock::Millis;
use crate::settings::Rules;
use crate::types::hash::Hash;

impl Edit<'_, Hash> {
    /// Sets a field; it will not expire. Whether it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        if self.expiry(&self.rules.hasher, field).is_some() {
            self.change_expiry(field, None, 0);
        }
        self.set_value(field, value)
    }

    /// Sets a field; if it was going to expire, it still will. Whether it is new.
    pub fn set_value(&mut self, field: &[u8], value: &[u8]) -> bool {
        let limits = &self.rules.settings.limits;
        let old = self.value.set(&self.rules.hasher, field, value, limits);
        let new = old.is_none();
        self.changed(|| match old {
            Some(old) => EditInverse::HashPut(field.into(), old.into()),
            None => EditInverse::HashRemove(field.into()),
        });
        new
    }

    /// Sets when a field, which must be there, expires, or that it never does.
    pub fn set_expiry(&mut self, field: &[u8], at: Option<Millis>) {
        self.change_expiry(field, at, 1);
    }

    fn change_expiry(&mut self, field: &[u8], at: Option<Millis>, changes: usize) {
        let before = self.value.set_expiry(&self.rules.hasher, field, at);
        self.changed_by(changes, || EditInverse::HashExpiry(field.into(), before));
    }

    /// Removes a field. Whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let Some(removed) = self.value.remove(&self.rules.hasher, field) else { return false };
        self.changed(|| EditInverse::HashRestore(field.into(), removed));
        true
    }
}

/// Undoes one change.
pub(super) fn undo(hash: &mut Hash, inverse: EditInverse, rules: &Rules) {
    let (hasher, limits) = (&rules.hasher, &rules.settings.limits);
    match inverse {
        EditInverse::HashPut(field, value) => {
            hash.set(hasher, &field, &value, limits);
        }
        EditInverse::HashRemove(field) => {
            hash.remove(hasher, &field);
        }
        EditInverse::HashExpiry(field, at) => {
            hash.set_expiry(hasher, &field, at);
        }
        EditInverse::HashRestore(field, removed) => hash.restore(hasher, &field, &removed, limits),
        _ => debug_assert!(false, "a hash is undone by its own inverses"),
    }
}
