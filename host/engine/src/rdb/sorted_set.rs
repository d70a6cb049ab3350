//! Sorted sets: a listpack of members and the texts of their scores, formerly a ziplist; or member by
//! member, formerly with scores as text there too.

use alloc::vec::Vec;

use super::form::Form;
use super::marks::{SORTED_SET, SORTED_SET_2, SORTED_SET_LISTPACK, SORTED_SET_ZIPLIST};
use super::read::{Malformed, Reader};
use super::write::{write_double, write_element, write_length, write_string};
use super::ziplist::Ziplist;
use crate::settings::Rules;
use crate::types::element::Element;
use crate::types::encoding::Encoding;
use crate::types::listpack::Packed;
use crate::types::number;
use crate::types::sorted_set::SortedSet;

/// The type under which a sorted set is written.
pub(super) fn kind(set: &SortedSet) -> u8 {
    if set.encoding() == Encoding::Listpack { SORTED_SET_LISTPACK } else { SORTED_SET_2 }
}

/// Up to this, integers have themselves as their shortest text.
const INTEGER_MAX: f64 = (1_u64 << 53) as f64;

/// Writes a sorted set; the last member comes first, as from Redis.
pub(super) fn write(out: &mut Vec<u8>, set: &SortedSet, form: Form) {
    if kind(set) == SORTED_SET_LISTPACK {
        return write_string(out, listpack(set).as_bytes(), form);
    }
    write_length(out, set.len() as u64);
    for (member, score) in set.iter().rev() {
        write_element(out, member, form);
        write_double(out, score);
    }
}

/// Members and scores as Redis packs them: a score is the shortest text that gives it back.
fn listpack(set: &SortedSet) -> Packed {
    let (mut packed, mut text) = (Packed::new(), Vec::new());
    for (member, score) in set.iter() {
        member.with(|member| packed.push_back(member));
        if score.abs() <= INTEGER_MAX && score == (score as i64) as f64 {
            packed.push_back_int(score as i64);
            continue;
        }
        text.clear();
        number::write_f64_shortest(&mut text, score);
        packed.push_back(&text);
    }
    packed
}

/// Reads a sorted set of this type.
pub(super) fn read(
    kind: u8,
    reader: &mut Reader<'_>,
    rules: &Rules,
) -> Result<SortedSet, Malformed> {
    let mut set = SortedSet::new();
    match kind {
        SORTED_SET | SORTED_SET_2 => {
            for _ in 0..reader.count()? {
                let member = reader.string()?;
                let is_text = kind == SORTED_SET;
                let score = if is_text { reader.double_as_text()? } else { reader.double()? };
                put(&mut set, &member, score, rules)?;
            }
        }
        SORTED_SET_ZIPLIST => put_all(&mut set, Ziplist::new(&reader.string()?), rules)?,
        SORTED_SET_LISTPACK => {
            let packed = Packed::from_bytes(reader.string()?.into_owned()).ok_or(Malformed)?;
            let (hasher, limits) = (&rules.hasher, &rules.settings.limits);
            set = SortedSet::from_texts(&packed, hasher, limits).ok_or(Malformed)?;
        }
        _ => return Err(Malformed),
    }
    if set.is_empty() { Err(reader.empty()) } else { Ok(set) }
}

/// Puts members and scores that come in turn.
fn put_all<'a>(
    set: &mut SortedSet,
    mut elements: impl Iterator<Item = Result<Element<'a>, Malformed>>,
    rules: &Rules,
) -> Result<(), Malformed> {
    while let Some(member) = elements.next() {
        let (member, score) = (member?, elements.next().ok_or(Malformed)??);
        let score = score.with(number::parse_f64_any_size).ok_or(Malformed)?;
        member.with(|member| put(set, member, score, rules))?;
    }
    Ok(())
}

/// Puts a member, which must be new.
fn put(set: &mut SortedSet, member: &[u8], score: f64, rules: &Rules) -> Result<(), Malformed> {
    match set.insert(&rules.hasher, member, score, &rules.settings.limits) {
        Some(_) => Err(Malformed),
        None => Ok(()),
    }
}
