//! Hashes of which some fields expire, as Redis 7.4 writes them: the first time at which one does;
//! then either a listpack of fields, values and times, or field by field, each with its time less
//! the first one plus one, or 0 if it never expires.

use alloc::vec::Vec;

use super::form::Form;
use super::hash;
use super::marks::{HASH_LISTPACK_TIMES, HASH_LISTPACK_TIMES_EARLY, HASH_TIMES, HASH_TIMES_EARLY};
use super::read::{Malformed, Reader};
use super::write::{write_element, write_length, write_string};
use crate::clock::Millis;
use crate::settings::Rules;
use crate::types::element::Element;
use crate::types::hash::Hash;
use crate::types::hasher::Hasher;
use crate::types::listpack::Packed;
use crate::types::number;

/// The latest time that there is: 48 bits, less what Redis keeps for itself.
const TIME_MAX: u64 = (1 << 48) - 2;

/// The type under which such a hash is written.
pub(super) fn kind(hash: &Hash) -> u8 {
    if hash.as_packed().is_some() { HASH_LISTPACK_TIMES } else { HASH_TIMES }
}

/// Writes a hash whose first field expires at `first`.
pub(super) fn write(out: &mut Vec<u8>, hash: &Hash, first: Millis, hasher: &Hasher, form: Form) {
    out.extend_from_slice(&first.get().to_le_bytes());
    let time_of = |field: Element<'_>| field.with(|field| hash.expiry(hasher, field));
    if hash.as_packed().is_some() {
        let timed = hash.iter().map(|(field, value)| (time_of(field), field, value));
        return write_string(out, listpack(timed.collect()).as_bytes(), form);
    }
    write_length(out, hash.len() as u64);
    for (field, value) in hash.iter() {
        write_length(out, time_of(field).map_or(0, |at| at.since(first) + 1));
        write_element(out, field, form);
        write_element(out, value, form);
    }
}

/// Fields, values and times, the earliest first: so Redis expects them.
fn listpack(mut timed: Vec<(Option<Millis>, Element<'_>, Element<'_>)>) -> Packed {
    timed.sort_by_key(|(at, _, _)| at.map_or(u64::MAX, Millis::get));
    let mut packed = Packed::new();
    let mut text = Vec::new();
    for (at, field, value) in timed {
        field.with(|field| packed.push_back(field));
        value.with(|value| packed.push_back(value));
        text.clear();
        number::write_u64(&mut text, at.map_or(0, Millis::get));
        packed.push_back(&text);
    }
    packed
}

/// Reads a hash of this type.
pub(super) fn read(kind: u8, reader: &mut Reader<'_>, rules: &Rules) -> Result<Hash, Malformed> {
    let is_early = matches!(kind, HASH_TIMES_EARLY | HASH_LISTPACK_TIMES_EARLY);
    let first = if is_early { 0 } else { u64::from_le_bytes(reader.array()?) };
    let mut hash = Hash::new();
    if matches!(kind, HASH_LISTPACK_TIMES | HASH_LISTPACK_TIMES_EARLY) {
        let packed = Packed::from_bytes(reader.string()?.into_owned()).ok_or(Malformed)?;
        read_listpack(&mut hash, &packed, rules)?;
    } else {
        for _ in 0..reader.count()? {
            let at = match reader.length()? {
                0 => 0,
                at if is_early => at,
                behind => first.checked_add(behind - 1).ok_or(Malformed)?,
            };
            put(&mut hash, &reader.string()?, &reader.string()?, at, rules)?;
        }
    }
    if hash.is_empty() { Err(reader.empty()) } else { Ok(hash) }
}

/// Reads a hash whose fields may expire as Valkey writes it: field by field, each with its time or
/// less than nothing.
pub(super) fn read_valkey(reader: &mut Reader<'_>, rules: &Rules) -> Result<Hash, Malformed> {
    let mut hash = Hash::new();
    for _ in 0..reader.count()? {
        let (field, value) = (reader.string()?, reader.string()?);
        let at = i64::from_le_bytes(reader.array()?);
        // What was due at the beginning of time is due a moment later, too.
        let at = u64::try_from(at).map_or(0, |at| at.max(1));
        put(&mut hash, &field, &value, at, rules)?;
    }
    Ok(hash)
}

fn read_listpack(hash: &mut Hash, packed: &Packed, rules: &Rules) -> Result<(), Malformed> {
    let mut elements = packed.iter();
    while let Some(field) = elements.next() {
        let value = elements.next().ok_or(Malformed)?;
        let at = elements.next().and_then(Element::as_i64).ok_or(Malformed)?;
        let at = u64::try_from(at).map_err(|_| Malformed)?;
        field.with(|field| value.with(|value| put(hash, field, value, at, rules)))?;
    }
    Ok(())
}

/// Puts a field, which must be new, and when it expires; 0 is never.
fn put(
    hash: &mut Hash,
    field: &[u8],
    value: &[u8],
    at: u64,
    rules: &Rules,
) -> Result<(), Malformed> {
    if at > TIME_MAX {
        return Err(Malformed);
    }
    hash::put(hash, field, value, rules)?;
    if at > 0 {
        hash.set_expiry(&rules.hasher, field, Some(Millis::new(at)));
    }
    Ok(())
}
