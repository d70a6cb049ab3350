//! Hashes: a listpack as it lies in memory, formerly a ziplist or a zipmap, or field by field.

use alloc::vec::Vec;

use super::form::Form;
use super::marks::{HASH, HASH_LISTPACK, HASH_ZIPLIST, HASH_ZIPMAP};
use super::read::{Malformed, Reader};
use super::write::{write_element, write_length, write_string};
use super::ziplist::Ziplist;
use super::zipmap::Zipmap;
use crate::settings::Rules;
use crate::types::element::Element;
use crate::types::hash::Hash;
use crate::types::listpack::Packed;

/// The type under which a hash is written.
pub(super) fn kind(hash: &Hash) -> u8 {
    if hash.as_packed().is_some() { HASH_LISTPACK } else { HASH }
}

/// Writes a hash.
pub(super) fn write(out: &mut Vec<u8>, hash: &Hash, form: Form) {
    if let Some(packed) = hash.as_packed() {
        return write_string(out, packed.as_bytes(), form);
    }
    write_length(out, hash.len() as u64);
    for (field, value) in hash.iter() {
        write_element(out, field, form);
        write_element(out, value, form);
    }
}

/// Reads a hash of this type.
pub(super) fn read(kind: u8, reader: &mut Reader<'_>, rules: &Rules) -> Result<Hash, Malformed> {
    let mut hash = Hash::new();
    match kind {
        HASH => {
            for _ in 0..reader.count()? {
                put(&mut hash, &reader.string()?, &reader.string()?, rules)?;
            }
        }
        HASH_ZIPMAP => put_all(&mut hash, Zipmap::new(&reader.string()?), rules)?,
        HASH_ZIPLIST => put_all(&mut hash, Ziplist::new(&reader.string()?), rules)?,
        HASH_LISTPACK => {
            let packed = Packed::from_bytes(reader.string()?.into_owned()).ok_or(Malformed)?;
            let (hasher, limits) = (&rules.hasher, &rules.settings.limits);
            hash = Hash::from_packed(packed, hasher, limits).ok_or(Malformed)?;
        }
        _ => return Err(Malformed),
    }
    if hash.is_empty() { Err(reader.empty()) } else { Ok(hash) }
}

/// Puts fields and values that come in turn.
fn put_all<'a>(
    hash: &mut Hash,
    mut elements: impl Iterator<Item = Result<Element<'a>, Malformed>>,
    rules: &Rules,
) -> Result<(), Malformed> {
    while let Some(field) = elements.next() {
        let (field, value) = (field?, elements.next().ok_or(Malformed)??);
        field.with(|field| value.with(|value| put(hash, field, value, rules)))?;
    }
    Ok(())
}

/// Puts a field, which must be new.
pub(super) fn put(
    hash: &mut Hash,
    field: &[u8],
    value: &[u8],
    rules: &Rules,
) -> Result<(), Malformed> {
    match hash.set(&rules.hasher, field, value, &rules.settings.limits) {
        Some(_) => Err(Malformed),
        None => Ok(()),
    }
}
