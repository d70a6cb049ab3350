//! Changes of a set's members. What undoes an addition is a removal, and the other way round.

use alloc::vec::Vec;

use super::{Edit, EditInverse};
use crate::settings::Rules;
use crate::types::random::Random;
use crate::types::set::Set;

impl Edit<'_, Set> {
    /// Adds a member. Whether it is new.
    pub fn add(&mut self, member: &[u8]) -> bool {
        let added = self.value.add(&self.rules.hasher, member, &self.rules.settings.limits);
        if added {
            self.changed(|| EditInverse::SetRemove(member.into()));
        }
        added
    }

    /// Removes a member. Whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let removed = self.value.remove(&self.rules.hasher, member);
        if removed {
            self.changed(|| EditInverse::SetAdd(member.into()));
        }
        removed
    }

    /// Removes a random member, if there is one.
    pub fn pop_random(&mut self, random: &mut Random<'_>) -> Option<Vec<u8>> {
        let member = self.value.pop_random(&self.rules.hasher, random)?;
        self.changed(|| EditInverse::SetAdd(member.as_slice().into()));
        Some(member)
    }
}

/// Undoes one change.
pub(super) fn undo(set: &mut Set, inverse: EditInverse, rules: &Rules) {
    let done = match inverse {
        EditInverse::SetAdd(member) => set.add(&rules.hasher, &member, &rules.settings.limits),
        EditInverse::SetRemove(member) => set.remove(&rules.hasher, &member),
        _ => false,
    };
    debug_assert!(done, "inverses run in the reverse order of a set's own changes");
}
