//! Passwords, kept as their SHA-256: what rules, files and replies show.
//!
//! Nothing here takes longer or shorter because of where two hashes differ.

use alloc::string::String;
use core::fmt;

use sha2::{Digest, Sha256};

const BYTES: usize = 32;

/// The SHA-256 of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PasswordHash([u8; BYTES]);

impl PasswordHash {
    /// The hash of a password.
    pub(super) fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// Reads 64 hexadecimal digits in lower case.
    pub(super) fn parse(digits: &[u8]) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != BYTES || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// The bytes of the hash.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether these are the bytes of the same hash, found out in constant time.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        let difference = self.0.iter().zip(bytes).fold(0, |all, (one, other)| all | (one ^ other));
        bytes.len() == BYTES && core::hint::black_box(difference) == 0
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

/// Bytes as hexadecimal digits in lower case.
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit =
        |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn hashes_are_those_that_redis_prints() {
        let hash = PasswordHash::of(b"x");
        let digits = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(hash.to_string(), digits);
        assert_eq!(PasswordHash::parse(digits.as_bytes()), Some(hash));
        assert!(hash.is(hash.bytes()) && !hash.is(PasswordHash::of(b"y").bytes()));
        assert!(!hash.is(&[]) && !hash.is(&[0; 33]));
    }

    #[test]
    fn only_64_digits_in_lower_case_are_a_hash() {
        let digits = PasswordHash::of(b"").to_string();
        assert!(PasswordHash::parse(digits.as_bytes()).is_some());
        for bad in [&digits[1..], &digits.to_uppercase(), &digits.replace('e', "g"), ""] {
            assert_eq!(PasswordHash::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(PasswordHash::parse((digits.clone() + "00").as_bytes()), None);
    }
}
