//! Counters that a plugin keeps for its operator (`counter-add`): a bounded number of names.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Names a plugin may use.
pub(crate) const NAMES_MAX: usize = 64;
/// Longest name in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// Name to value.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<Box<str>, u64>>);

impl Counters {
    /// Adds to a counter. `false` when there is no room for its name.
    pub(crate) fn add(&self, name: &str, delta: u64) -> bool {
        let mut counters = self.0.lock();
        if let Some(value) = counters.get_mut(name) {
            *value = value.saturating_add(delta);
            return true;
        }
        let room = counters.len() < NAMES_MAX && name.len() <= NAME_BYTES_MAX;
        if room {
            counters.insert(name.into(), delta);
        }
        room
    }

    /// All counters by name.
    pub(crate) fn all(&self) -> Vec<(Box<str>, u64)> {
        self.0.lock().iter().map(|(name, value)| (name.clone(), *value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_known_ones_go_on() {
        let counters = Counters::default();
        assert!(!counters.add(&"n".repeat(NAME_BYTES_MAX + 1), 1));
        for n in 0..NAMES_MAX {
            assert!(counters.add(&n.to_string(), 1));
        }
        assert!(!counters.add("one more", 1));
        assert!(counters.add("0", u64::MAX));
        assert_eq!(counters.all().len(), NAMES_MAX);
        assert_eq!(counters.all()[0], ("0".into(), u64::MAX));
    }
}
