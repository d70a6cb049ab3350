//! A set of native commands as bits, by their index in the table.
//!
//! For whoever has to know about every command whether it is meant: plugins' grants, users'
//! permissions. Commands of plugins have no place here: their indexes change.

use alloc::vec::Vec;

/// A set of native commands and sub-commands.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandSet(Vec<u64>);

impl CommandSet {
    /// Adds a command.
    pub(crate) fn insert(&mut self, id: u16) {
        let word = usize::from(id) / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (id % 64);
        }
    }

    /// Takes a command out.
    pub(crate) fn remove(&mut self, id: u16) {
        if let Some(bits) = self.0.get_mut(usize::from(id) / 64) {
            *bits &= !(1 << (id % 64));
        }
    }

    /// Whether a command is in it.
    #[inline]
    pub(crate) fn contains(&self, id: u16) -> bool {
        self.0.get(usize::from(id) / 64).is_some_and(|bits| bits >> (id % 64) & 1 == 1)
    }

    /// Whether all of `other` are in it.
    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .enumerate()
            .all(|(index, bits)| bits & !self.0.get(index).copied().unwrap_or_default() == 0)
    }
}

impl PartialEq for CommandSet {
    fn eq(&self, other: &Self) -> bool {
        self.contains_all(other) && other.contains_all(self)
    }
}

impl Eq for CommandSet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_equal_however_they_came_about() {
        let (mut one, mut other) = (CommandSet::default(), CommandSet::default());
        for id in [3, 64, 700] {
            one.insert(id);
        }
        assert!(one.contains(64) && !one.contains(65) && !one.contains(9999));
        one.remove(700);
        one.remove(9999);
        other.insert(64);
        assert!(one.contains_all(&other) && !other.contains_all(&one));
        other.insert(3);
        assert_eq!(one, other);
    }
}
