//! Lists: a row of nodes as they lie in memory; formerly of ziplists, or element by element.

use alloc::vec::Vec;

use super::form::Form;
use super::marks::{LIST, LIST_QUICKLIST, LIST_QUICKLIST_2, LIST_ZIPLIST, NODE_LARGE, NODE_PACKED};
use super::read::{Malformed, Reader};
use super::write::{write_length, write_string};
use super::ziplist::Ziplist;
use crate::settings::Rules;
use crate::types::list::{List, Piece};
use crate::types::listpack::Packed;

/// The type under which a list is written.
pub(super) const KIND: u8 = LIST_QUICKLIST_2;

/// Writes a list.
pub(super) fn write(out: &mut Vec<u8>, list: &List, form: Form) {
    write_length(out, list.pieces().count() as u64);
    for piece in list.pieces() {
        match piece {
            Piece::Packed(packed) => {
                write_length(out, NODE_PACKED);
                write_string(out, packed.as_bytes(), form);
            }
            Piece::Large(element) => {
                write_length(out, NODE_LARGE);
                write_string(out, element, form);
            }
        }
    }
}

/// Reads a list of this type.
pub(super) fn read(kind: u8, reader: &mut Reader<'_>, rules: &Rules) -> Result<List, Malformed> {
    let limits = &rules.settings.limits;
    let mut list = List::new();
    // A ziplist alone is a row of one.
    let nodes = if kind == LIST_ZIPLIST { 1 } else { reader.count()? };
    for _ in 0..nodes {
        match kind {
            LIST => list.push_back(&reader.string()?, limits),
            LIST_ZIPLIST | LIST_QUICKLIST => {
                for element in Ziplist::new(&reader.string()?) {
                    element?.with(|text| list.push_back(text, limits));
                }
            }
            LIST_QUICKLIST_2 => match reader.length()? {
                NODE_LARGE => list.push_back(&reader.string()?, limits),
                NODE_PACKED => {
                    let packed = Packed::from_bytes(reader.string()?.into_owned());
                    list.push_back_packed(packed.ok_or(Malformed)?, limits);
                }
                _ => return Err(Malformed),
            },
            _ => return Err(Malformed),
        }
    }
    if list.is_empty() { Err(reader.empty()) } else { Ok(list) }
}
