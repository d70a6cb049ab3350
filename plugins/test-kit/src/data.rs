//! All data at one instant, to be compared.

use std::fmt;

use reef_engine::solo::Digest;

/// Every key of every database with its content and expiry, in a canonical form: equal data is equal
/// however it came to be.
///
/// ```
/// # let mut kit = reef_test_kit::Kit::new();
/// let before = kit.data();
/// kit.run("SET k v");
/// assert_eq!(kit.data().differing_keys(&before), ["0:k"]);
/// kit.run("DEL k");
/// assert_eq!(kit.data(), before);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data(pub(crate) Digest);

impl Data {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that differ, each as `database:key`.
    #[must_use]
    pub fn differing_keys(&self, other: &Self) -> Vec<String> {
        let mine = self.0.iter().filter(|(key, content)| other.0.get(*key) != Some(*content));
        let gone = other.0.iter().filter(|(key, _)| !self.0.contains_key(*key));
        let mut keys: Vec<String> = mine.chain(gone).map(|(key, _)| name(key)).collect();
        keys.sort_unstable();
        keys
    }
}

fn name((database, key): &(u32, Vec<u8>)) -> String {
    format!("{database}:{}", key.escape_ascii())
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, content)| (name(key), content))).finish()
    }
}
