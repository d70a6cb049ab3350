//! Sets: an intset or a listpack as it lies in memory, or member by member.

use alloc::vec::Vec;

use super::marks::{SET, SET_INTSET, SET_LISTPACK};
use super::read::{Malformed, Reader};
use super::write::{write_element, write_length, write_string};
use crate::settings::Rules;
use crate::types::intset::IntSet;
use crate::types::listpack::Packed;
use crate::types::set::Set;

/// The type under which a set is written.
pub(super) fn kind(set: &Set) -> u8 {
    match (set.as_ints(), set.as_packed()) {
        (Some(_), _) => SET_INTSET,
        (_, Some(_)) => SET_LISTPACK,
        _ => SET,
    }
}

/// Writes a set.
pub(super) fn write(out: &mut Vec<u8>, set: &Set) {
    let ints = set.as_ints().map(IntSet::as_bytes);
    if let Some(bytes) = ints.or(set.as_packed().map(Packed::as_bytes)) {
        return write_string(out, bytes);
    }
    write_length(out, set.len() as u64);
    set.iter().for_each(|member| write_element(out, member));
}

/// Reads a set of this type.
pub(super) fn read(kind: u8, reader: &mut Reader<'_>, rules: &Rules) -> Result<Set, Malformed> {
    let (hasher, limits) = (&rules.hasher, &rules.settings.limits);
    let set = match kind {
        SET => {
            let mut set = Set::new();
            for _ in 0..reader.count()? {
                if !set.add(hasher, &reader.string()?, limits) {
                    return Err(Malformed);
                }
            }
            set
        }
        SET_INTSET => {
            let ints = IntSet::from_bytes(reader.string()?.into_owned()).ok_or(Malformed)?;
            Set::from_ints(ints, hasher, limits)
        }
        SET_LISTPACK => {
            let packed = Packed::from_bytes(reader.string()?.into_owned()).ok_or(Malformed)?;
            Set::from_packed(packed, hasher, limits).ok_or(Malformed)?
        }
        _ => return Err(Malformed),
    };
    if set.is_empty() { Err(Malformed) } else { Ok(set) }
}
