//! What identifies a component: the SHA-256 of its bytes, as operators and registries write it.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// How a digest begins as text.
pub(crate) const PREFIX: &str = "sha256:";
const BYTES: usize = 32;

/// The digest of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; BYTES]);

impl Digest {
    /// Of a component's bytes.
    pub fn of(component: &[u8]) -> Self {
        Self(Sha256::digest(component).into())
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX.as_bytes())?;
        if digits.len() != 2 * BYTES {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            *byte = (value(pair[0])? << 4 | value(pair[1])?) as u8;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::parse(empty.as_bytes()), Some(Digest::of(b"")));
        assert_eq!(Digest::parse(empty.replace("e3", "E3").as_bytes()), Some(Digest::of(b"")));
        for bad in ["", "sha256:", &empty[7..], &empty[..70], &format!("{empty}0")] {
            assert_eq!(Digest::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Digest::parse(empty.replace("e3", "g3").as_bytes()), None);
    }
}
