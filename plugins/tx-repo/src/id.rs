//! Identifiers that sort by time: ULIDs, 48 bits of milliseconds and 80 that tell apart.
//!
//! The first 16 of those 80 are the low bits of the nonce, so that transactions of one relayer made
//! in one millisecond sort by nonce; the other 64 are random. Uniqueness does not rest on chance
//! alone: a batch that creates demands that the id is not there.

/// Crockford's base 32: without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How long an id is.
const LENGTH: usize = 26;

/// Makes the id of a transaction created at this instant.
pub(crate) fn ulid(now_ms: u64, nonce: u64, random: u64) -> String {
    let mut text = String::with_capacity(LENGTH);
    // In three parts that fit 64 bits: wasm has no wider integers.
    digits(&mut text, now_ms & 0xffff_ffff_ffff, 10);
    digits(&mut text, ((nonce & 0xffff) << 24) | (random >> 40), 8);
    digits(&mut text, random & 0xff_ffff_ffff, 8);
    text
}

/// Writes this many digits of 5 bits each.
fn digits(text: &mut String, bits: u64, count: usize) {
    for place in (0..count).rev() {
        text.push(char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ulids() {
        assert_eq!(ulid(0, 0, 0), "00000000000000000000000000");
        assert_eq!(ulid((1 << 48) - 1, 0xffff, u64::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert!(ulid(1_469_918_176_385, 0, 0).starts_with("01ARYZ6S41"));
    }

    #[test]
    fn ids_sort_by_time_and_then_by_nonce() {
        let ids =
            [ulid(1, 9, u64::MAX), ulid(2, 0, 5), ulid(2, 1, 4), ulid(2, 2, 3), ulid(3, 0, 0)];
        assert!(ids.is_sorted());
    }
}
