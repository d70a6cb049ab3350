//! Sets: an intset or a listpack as it lies in memory, or member by member.

use alloc::vec::Vec;

use super::form::Form;
use super::marks::{SET, SET_INTSET, SET_LISTPACK};
use super::read::{Malformed, Reader};
use super::write::{write_element, write_length, write_string};
use crate::settings::Rules;
use crate::types::intset::IntSet;
use crate::types::listpack::Packed;
use crate::types::set::Set;

/// The type under which a set is written.
pub(super) fn kind(set: &Set, form: Form) -> u8 {
    match (set.as_ints(), set.as_packed()) {
        (Some(_), _) => SET_INTSET,
        (_, Some(_)) if form.knows_7_2() => SET_LISTPACK,
        _ => SET,
    }
}

/// Writes a set.
pub(super) fn write(out: &mut Vec<u8>, set: &Set, form: Form) {
    let ints = set.as_ints().map(IntSet::as_bytes);
    let packed = set.as_packed().filter(|_| form.knows_7_2()).map(Packed::as_bytes);
    if let Some(bytes) = ints.or(packed) {
        return write_string(out, bytes, form);
    }
    write_length(out, set.len() as u64);
    set.iter().for_each(|member| write_element(out, member, form));
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
    if set.is_empty() { Err(reader.empty()) } else { Ok(set) }
}
