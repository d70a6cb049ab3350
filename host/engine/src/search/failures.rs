//! Documents that could not be indexed: how many, for which field, and why the last one.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::drafting::Unfit;

/// What could not be indexed of one part of an index.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    fields: BTreeMap<usize, FieldFailures>,
}

/// What could not be indexed because of one field.
#[derive(Clone, Debug)]
pub struct FieldFailures {
    /// How many documents.
    pub count: u64,
    /// Why the last one.
    pub why: Cow<'static, str>,
    /// Its key.
    pub key: Box<[u8]>,
    /// When it was written, in the order of all documents.
    pub sequence: u64,
}

impl Failures {
    pub(super) fn note(&mut self, field: usize, unfit: Unfit, key: &[u8], sequence: u64) {
        let Unfit(why) = unfit;
        let before = self.fields.get(&field).map_or(0, |failures| failures.count);
        let failures = FieldFailures { count: before + 1, why, key: key.into(), sequence };
        self.fields.insert(field, failures);
    }

    /// How many documents.
    pub fn count(&self) -> u64 {
        self.fields.values().map(|failures| failures.count).sum()
    }

    /// Those of a field.
    pub fn of(&self, field: usize) -> Option<&FieldFailures> {
        self.fields.get(&field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_each_field_is_told() {
        let mut failures = Failures::default();
        failures.note(1, Unfit(Cow::Borrowed("one")), b"a", 5);
        failures.note(1, Unfit(Cow::Borrowed("two")), b"b", 6);
        failures.note(0, Unfit(Cow::Borrowed("three")), b"c", 7);
        assert_eq!(failures.count(), 3);
        let of_field = failures.of(1).expect("some failed");
        assert_eq!((of_field.count, &*of_field.why, &*of_field.key), (2, "two", &b"b"[..]));
        assert!(failures.of(2).is_none());
    }
}
