//! All registers in six bits each, the first in the lowest bits of the first byte.

use super::REGISTERS;

/// Bytes of all registers.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;

const BITS: usize = 6;
const VALUE_MAX: u8 = (1 << BITS) - 1;

/// The register's place: the first of two bytes that it may touch, and where it begins there.
fn place(register: usize) -> (usize, u32) {
    (register * BITS / 8, (register * BITS % 8) as u32)
}

/// The value of a register.
pub(super) fn get(registers: &[u8], register: usize) -> u8 {
    let (byte, shift) = place(register);
    let byte_at = |at: usize| u16::from(registers.get(at).copied().unwrap_or(0));
    ((byte_at(byte) | byte_at(byte + 1) << 8) >> shift) as u8 & VALUE_MAX
}

/// Sets a register.
pub(super) fn set(registers: &mut [u8], register: usize, value: u8) {
    let (byte, shift) = place(register);
    let cleared = !(u16::from(VALUE_MAX) << shift);
    let written = u16::from(value) << shift;
    for (at, part) in [(byte, 0), (byte + 1, 8)] {
        if let Some(byte) = registers.get_mut(at) {
            *byte = *byte & (cleared >> part) as u8 | (written >> part) as u8;
        }
    }
}

/// Raises a register to a value. Whether it was lower.
pub(super) fn raise(registers: &mut [u8], register: usize, value: u8) -> bool {
    let raised = value > get(registers, register);
    if raised {
        set(registers, register, value);
    }
    raised
}

/// All values in order: four to three bytes.
pub(super) fn values(registers: &[u8]) -> impl Iterator<Item = u8> {
    let (groups, _) = registers.as_chunks::<3>();
    groups.iter().flat_map(|[a, b, c]| {
        let group = u32::from_le_bytes([*a, *b, *c, 0]);
        [0, 6, 12, 18].map(|shift| (group >> shift) as u8 & VALUE_MAX)
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::super::super::random::seeded;
    use super::*;

    #[test]
    fn registers_do_not_disturb_each_other() {
        let mut random = seeded(8);
        let (mut registers, mut naive) = (vec![0; BYTES], vec![0; REGISTERS]);
        for _ in 0..100_000 {
            let (register, value) = (random() as usize % REGISTERS, random() as u8 & VALUE_MAX);
            set(&mut registers, register, value);
            naive[register] = value;
        }
        assert_eq!(values(&registers).collect::<Vec<_>>(), naive);
        assert!((0..REGISTERS).all(|register| get(&registers, register) == naive[register]));
    }
}
