//! What modules of Redis leave in files: what it is called, and how to get past it. Reef does not
//! load such modules; what it has of its own in their place (JSON, suggestions) has a file of its own.

use alloc::string::String;

use super::read::{Malformed, Reader};
use super::{json, suggestions};
use crate::keyspace::Value;

/// The end of what a module wrote.
pub(super) const END: u64 = 0;
/// What kinds of things a module writes.
const SIGNED: u64 = 1;
pub(super) const UNSIGNED: u64 = 2;
const FLOAT: u64 = 3;
pub(super) const DOUBLE: u64 = 4;
pub(super) const STRING: u64 = 5;

/// The name of a module's type: nine letters of six bits above a version of ten.
pub(super) fn name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|at| char::from(LETTERS[(id >> (10 + 6 * (8 - at)) & 63) as usize])).collect()
}

/// Whether values of this type are known here.
pub(super) fn is_known(name: &str) -> bool {
    matches!(name, json::NAME | suggestions::NAME)
}

/// Reads a value of a module's type that is known here.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    /// What the version has of an id.
    const VERSION: u64 = 0x3ff;
    let id = reader.length()?;
    match name(id).as_str() {
        json::NAME => json::read(id & VERSION, reader),
        suggestions::NAME => suggestions::read(id & VERSION, reader),
        _ => Err(Malformed),
    }
}

/// Passes over what a module wrote, up to its end.
pub(super) fn pass_over(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    loop {
        match reader.length()? {
            END => return Ok(()),
            SIGNED | UNSIGNED => drop(reader.length()?),
            FLOAT => drop(reader.array::<4>()?),
            DOUBLE => drop(reader.array::<8>()?),
            STRING => drop(reader.string()?),
            _ => return Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_nine_letters() {
        let letters = b"ReJSON-RL".iter().map(|letter| match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'-' => 62,
            _ => 63,
        });
        let id = letters.fold(0, |id, letter| id << 6 | u64::from(letter)) << 10 | 3;
        assert_eq!(name(id), "ReJSON-RL");
    }

    #[test]
    fn what_a_module_wrote_ends_with_its_end() {
        let written = [1, 5, 2, 6, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, b'x', 0, 77];
        let mut reader = Reader::new(&written, 100);
        assert_eq!(pass_over(&mut reader), Ok(()));
        assert_eq!(reader.rest(), [77]);
        assert_eq!(pass_over(&mut Reader::new(&[6], 100)), Err(Malformed));
    }
}
