//! A pattern of SORT's BY and GET: how an element leads to another key, or to a field there.
//!
//! `weight_*` is the key with the element in place of the first star, `object_*->age` a field of
//! the hash at that key, `#` the element itself. Without a star nothing is ever found.

use crate::grants::Grants;

/// A pattern, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortPattern<'a> {
    /// The element itself.
    Element,
    /// Nothing.
    Nothing,
    /// The string at a key, or a field of the hash there.
    Key {
        /// What stands before the element in the key.
        prefix: &'a [u8],
        /// What stands behind it.
        suffix: &'a [u8],
        /// The field.
        field: Option<&'a [u8]>,
    },
}

impl<'a> SortPattern<'a> {
    /// Takes a pattern apart.
    pub fn new(pattern: &'a [u8]) -> Self {
        if pattern == b"#" {
            return Self::Element;
        }
        let Some(star) = pattern.iter().position(|byte| *byte == b'*') else {
            return Self::Nothing;
        };
        let (prefix, suffix) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = suffix.windows(2).position(|two| two == b"->");
        // An arrow to nothing is a part of the key.
        match arrow.filter(|arrow| arrow + 2 < suffix.len()) {
            Some(arrow) => {
                Self::Key { prefix, suffix: &suffix[..arrow], field: Some(&suffix[arrow + 2..]) }
            }
            None => Self::Key { prefix, suffix, field: None },
        }
    }

    /// Whether no element can lead to a key that was not granted.
    pub fn reaches_granted_keys_only(&self, grants: &Grants) -> bool {
        let Self::Key { prefix, suffix, .. } = *self else { return true };
        // As a glob, these would mean something else than here.
        let is_literal = |text: &[u8]| !text.iter().any(|byte| b"?[\\".contains(byte));
        let glob = || [prefix, b"*", suffix].concat();
        grants.allow_all_keys()
            || is_literal(prefix) && is_literal(suffix) && grants.allow_pattern(&glob())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, prefix: &str, suffix: &str, field: Option<&str>) {
        let key = SortPattern::Key {
            prefix: prefix.as_bytes(),
            suffix: suffix.as_bytes(),
            field: field.map(str::as_bytes),
        };
        assert_eq!(SortPattern::new(pattern.as_bytes()), key, "{pattern}");
    }

    #[test]
    fn patterns_are_taken_apart_as_by_redis() {
        check("w_*", "w_", "", None);
        check("*_*x", "", "_*x", None);
        check("o_*->age", "o_", "", Some("age"));
        check("o_*:x->a->b", "o_", ":x", Some("a->b"));
        check("o->x_*", "o->x_", "", None);
        check("o_*->", "o_", "->", None);
        assert_eq!(SortPattern::new(b"#"), SortPattern::Element);
        assert_eq!(SortPattern::new(b"##"), SortPattern::Nothing);
        assert_eq!(SortPattern::new(b"nosort->f"), SortPattern::Nothing);
    }

    #[test]
    fn only_patterns_that_stay_within_the_grants_are_allowed() {
        let allows = |words: &[&str], pattern: &str| {
            let grants = Grants::parse(words).unwrap();
            SortPattern::new(pattern.as_bytes()).reaches_granted_keys_only(&grants)
        };
        let own = ["SORT", "~a:*"];
        for pattern in ["a:*", "a:w_*", "a:*:x", "a:*->f", "#", "nosort"] {
            assert!(allows(&own, pattern), "{pattern}");
        }
        for pattern in ["*", "b:*", "*a:", "a*", "b:*->a:f", "a:?*"] {
            assert!(!allows(&own, pattern), "{pattern}");
        }
        assert!(allows(&["SORT"], "anything?*"));
        // As a glob it would be the granted one; here it is other text.
        assert!(!allows(&["SORT", "~a[b]*"], "a[b]*"));
    }
}
