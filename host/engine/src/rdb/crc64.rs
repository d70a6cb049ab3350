//! The checksum of Redis's serialised data: 64 bits, Jones's polynomial, reflected.

use crc::{CRC_64_REDIS, Crc, Digest, Table};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The checksum of all bytes.
#[must_use]
pub fn crc64(bytes: &[u8]) -> u64 {
    CRC64.checksum(bytes)
}

/// The checksum of bytes that come one after the other.
#[derive(Clone)]
pub struct Crc64(Digest<'static, u64, Table<16>>);

impl Crc64 {
    /// Of nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self(CRC64.digest())
    }

    /// Takes in what comes next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all that came.
    #[must_use]
    pub fn sum(self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Crc64 {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_tuple("Crc64").field(&self.clone().sum()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_redis() {
        assert_eq!(crc64(b""), 0);
        // What Redis itself gives for this text.
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        for cut in 0..9 {
            let mut crc = Crc64::new();
            let (head, tail) = b"123456789".split_at(cut);
            crc.update(head);
            crc.update(tail);
            assert_eq!(crc.sum(), 0xe9c6_d914_c4b8_d9ca);
        }
    }
}
