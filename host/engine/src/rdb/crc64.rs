//! The checksum of Redis's serialised data: 64 bits, Jones's polynomial, reflected.

use crc::{CRC_64_REDIS, Crc, Table};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The checksum of all bytes.
#[must_use]
pub fn crc64(bytes: &[u8]) -> u64 {
    CRC64.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_redis() {
        assert_eq!(crc64(b""), 0);
        // What Redis itself gives for this text.
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }
}
