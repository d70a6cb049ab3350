//! Ids of documents that come without one: they sort by the time of their making.

use std::fmt::Write;

/// Milliseconds since 1970 and 64 random bits, as text.
pub(crate) fn generated(now_ms: u64, random: u64) -> String {
    let mut id = String::with_capacity(28);
    // Writing to a string cannot fail.
    let _ = write!(id, "{now_ms:011x}-{random:016x}");
    id
}

/// The part of an entity's streams in which a document's events are (FNV-1a).
pub(crate) fn part(id: &[u8], parts: u64) -> u64 {
    let hash = id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) % parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        assert!(generated(1, u64::MAX) < generated(2, 0));
        assert!(generated(1_000_000, 0) < generated(1_764_000_000_000, 0));
        assert_eq!(generated(7, 9), "00000000007-0000000000000009");
    }

    #[test]
    fn documents_spread_over_parts() {
        let mut counts = [0; 4];
        for number in 0..4_000 {
            counts[part(generated(1_764_000_000_000, number).as_bytes(), 4) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }
}
