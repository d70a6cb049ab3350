//! The known name that somebody who wrote an unknown one most likely meant.

use super::table::{self, TABLE};

/// The nearest name of a directive, if one is near enough to be worth saying.
pub(super) fn nearest(name: &[u8]) -> Option<&'static str> {
    /// Longer than any name with a few typing errors in it.
    const NAME_BYTES_MAX: usize = 80;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let far = (name.len() / 3).max(1);
    TABLE
        .iter()
        .filter(|directive| !directive.hidden)
        .flat_map(table::names)
        .map(|known| (distance(&name, known.as_bytes()), known))
        .filter(|&(distance, _)| distance <= far)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour to make one
/// text of the other.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, &a) in from.iter().enumerate() {
        let mut current = Vec::with_capacity(to.len() + 1);
        let mut left = row + 1;
        current.push(left);
        for (column, (&b, pair)) in to.iter().zip(above.windows(2)).enumerate() {
            let &[diagonal, up] = pair else { continue };
            let mut best = (diagonal + usize::from(a != b)).min(up + 1).min(left + 1);
            let swapped = column > 0
                && row > 0
                && from.get(row - 1) == Some(&b)
                && to.get(column - 1) == Some(&a);
            if swapped && let Some(&corner) = before.get(column - 1) {
                best = best.min(corner + 1);
            }
            current.push(best);
            left = best;
        }
        before = above;
        above = current;
    }
    above.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_typing_errors() {
        for (from, to, expected) in [
            ("", "", 0),
            ("port", "port", 0),
            ("prot", "port", 1),
            ("por", "port", 1),
            ("ports", "port", 1),
            ("part", "port", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), expected, "{from} {to}");
        }
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest(b"prot"), Some("port"));
        assert_eq!(nearest(b"MaxMemori"), Some("maxmemory"));
        assert_eq!(nearest(b"maxmemory_policy"), Some("maxmemory-policy"));
        assert_eq!(nearest(b"maxclient"), Some("maxclients"));
        assert_eq!(nearest(b"slave-prority"), Some("slave-priority"));
        assert_eq!(nearest(b"utterly-unknown"), None);
        assert_eq!(nearest(b""), None);
        assert_eq!(nearest(&[b'a'; 500]), None);
    }
}
