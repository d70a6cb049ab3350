//! Changes of sorted sets.

use alloc::vec::Vec;
use core::ops::Range;

use super::Edit;
use crate::keyspace::undo::EditInverse;
use crate::settings::Rules;
use crate::types::sorted_set::SortedSet;

impl Edit<'_, SortedSet> {
    /// Sets the score of a member, which must be a number. Gives the score that it had.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let (hasher, limits) = (&self.rules.hasher, &self.rules.settings.limits);
        let old = self.value.insert(hasher, member, score, limits);
        match old {
            None => self.changed(|| EditInverse::SortedSetRemove(member.into())),
            Some(old) if old != score => {
                self.changed(|| EditInverse::SortedSetPut(member.into(), old));
            }
            Some(_) => {}
        }
        old
    }

    /// Removes a member. Gives its score, if it was there.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.value.remove(&self.rules.hasher, member)?;
        self.changed(|| EditInverse::SortedSetPut(member.into(), score));
        Some(score)
    }

    /// Removes the members with these ranks and gives them in order.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> Vec<(Vec<u8>, f64)> {
        let removed = self.value.remove_range(&self.rules.hasher, ranks);
        for (member, score) in &removed {
            self.changed(|| EditInverse::SortedSetPut(member.as_slice().into(), *score));
        }
        removed
    }
}

pub(super) fn undo(set: &mut SortedSet, inverse: EditInverse, rules: &Rules) {
    match inverse {
        EditInverse::SortedSetPut(member, score) => {
            set.insert(&rules.hasher, &member, score, &rules.settings.limits);
        }
        EditInverse::SortedSetRemove(member) => {
            set.remove(&rules.hasher, &member);
        }
        _ => debug_assert!(false, "an inverse of another type's change"),
    }
}
