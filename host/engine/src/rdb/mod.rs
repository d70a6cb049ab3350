//! Values as bytes, in the format of Redis's RDB files, and back: what DUMP gives and RESTORE takes,
//! and whole files of them (`file/`).
//!
//! Pure: values in, bytes out. Nothing here opens files or knows connections. One file per type says
//! how it is written (as [`Form`] wants it) and read (every form that Redis ever wrote); a further
//! type is one more file and its lines in this one.
//!
//! What is read may be hostile: whatever the bytes say, the outcome is a sound value or
//! [`Malformed`], and memory is taken for what is there, never for what is promised.

mod crc64;
mod file;
mod form;
mod hash;
mod hash_times;
mod json;
mod json_nodes;
mod list;
mod lzf;
mod marks;
mod module;
mod read;
mod set;
mod sorted_set;
mod stream;
mod suggestions;
mod write;
mod ziplist;
mod zipmap;

pub use crc64::{Crc64, crc64};
pub use file::{
    Event, Failure, FileReader, Loading, Reason, write_aux, write_footer, write_header,
    write_record, write_select, write_sizes,
};
pub use form::{Form, Uses};
pub use read::{Malformed, Reader};
pub use write::{write_length, write_string};

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::keyspace::{Slot, Value};
use crate::settings::Rules;
use crate::types::hasher::Hasher;

/// The version of the format that is written: Redis 7.2's.
pub const VERSION: u16 = 11;
/// The same for values that only Redis 7.4 and later know: hashes with fields that expire.
pub const VERSION_FIELD_TIMES: u16 = 12;
/// The versions that are read: from those of Redis 2.8 on.
pub const VERSIONS_READ: core::ops::RangeInclusive<u16> = 6..=12;

/// Version and checksum at the end of a payload.
const FOOTER_BYTES: usize = 10;
const CHECKSUM_BYTES: usize = 8;

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its footer is wrong: the version is not ours, or a byte was changed on the way.
    Footer,
    /// It is no value.
    Malformed,
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The byte that says which type follows, and in which form.
#[must_use]
pub fn type_of(slot: &Slot, form: Form) -> u8 {
    match slot.as_value() {
        None | Some(Value::Text(_)) => marks::STRING,
        Some(Value::List(_)) => list::KIND,
        Some(Value::Set(value)) => set::kind(value, form),
        Some(Value::Hash(value)) if value.next_expiry().is_some() => hash_times::kind(value),
        Some(Value::Hash(value)) => hash::kind(value),
        Some(Value::SortedSet(value)) => sorted_set::kind(value),
        Some(Value::Stream(_)) => stream::kind(form),
        Some(Value::Json(_) | Value::Suggestions(_)) => marks::MODULE_2,
    }
}

/// Appends the value of a slot, without its type.
pub fn write_value(out: &mut Vec<u8>, slot: &Slot, hasher: &Hasher, form: Form) {
    match slot.as_value() {
        None | Some(Value::Text(_)) => write_string(out, slot.as_text().unwrap_or_default(), form),
        Some(Value::List(value)) => list::write(out, value, form),
        Some(Value::Set(value)) => set::write(out, value, form),
        Some(Value::Hash(value)) => match value.next_expiry() {
            Some(first) => hash_times::write(out, value, first, hasher, form),
            None => hash::write(out, value, form),
        },
        Some(Value::SortedSet(value)) => sorted_set::write(out, value, form),
        Some(Value::Stream(value)) => stream::write(out, value, form),
        Some(Value::Json(value)) => json::write(out, value, form),
        Some(Value::Suggestions(value)) => suggestions::write(out, value, form),
    }
}

/// Whether there is such a type of value, of modules included.
fn is_known(kind: u8) -> bool {
    kind <= marks::MODULE_2 || (marks::HASH_ZIPMAP..=marks::HASH_LISTPACK_TIMES).contains(&kind)
}

/// Reads a value of the type that [`type_of`] told.
pub fn read_value(kind: u8, reader: &mut Reader<'_>, rules: &Rules) -> Result<Value, Malformed> {
    match kind {
        marks::STRING => Ok(Value::Text(reader.string()?.into_owned())),
        marks::LIST | marks::LIST_ZIPLIST | marks::LIST_QUICKLIST | marks::LIST_QUICKLIST_2 => {
            list::read(kind, reader, rules).map(Value::List)
        }
        marks::SET | marks::SET_INTSET | marks::SET_LISTPACK => {
            set::read(kind, reader, rules).map(Value::Set)
        }
        marks::HASH | marks::HASH_ZIPMAP | marks::HASH_ZIPLIST | marks::HASH_LISTPACK => {
            hash::read(kind, reader, rules).map(Value::Hash)
        }
        marks::HASH_TIMES
        | marks::HASH_LISTPACK_TIMES
        | marks::HASH_TIMES_EARLY
        | marks::HASH_LISTPACK_TIMES_EARLY => {
            hash_times::read(kind, reader, rules).map(Value::Hash)
        }
        marks::SORTED_SET
        | marks::SORTED_SET_2
        | marks::SORTED_SET_ZIPLIST
        | marks::SORTED_SET_LISTPACK => sorted_set::read(kind, reader, rules).map(Value::SortedSet),
        marks::STREAM | marks::STREAM_2 | marks::STREAM_3 => {
            stream::read(kind, reader).map(|stream| Value::Stream(Box::new(stream)))
        }
        marks::MODULE_2 => module::read(reader),
        _ => Err(Malformed),
    }
}

/// The value of a slot as one payload: type, value, version, checksum.
#[must_use]
pub fn dump(slot: &Slot, hasher: &Hasher) -> Vec<u8> {
    dump_as(slot, hasher, Form::DUMP)
}

/// The same in the oldest form that holds the value: for a server of which nobody knows how old it is.
/// When consumers of a stream last got an entry is not in it.
#[must_use]
pub fn dump_for_any(slot: &Slot, hasher: &Hasher) -> Vec<u8> {
    dump_as(slot, hasher, Form::FILE)
}

fn dump_as(slot: &Slot, hasher: &Hasher, form: Form) -> Vec<u8> {
    let form = form.holding(slot);
    let mut out = Vec::new();
    out.push(type_of(slot, form));
    write_value(&mut out, slot, hasher, form);
    out.extend_from_slice(&form.version.to_le_bytes());
    let sum = crc64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The value of such a payload. As Redis does, bytes behind the value are passed over.
pub fn restore(payload: &[u8], rules: &Rules) -> Result<Value, Refusal> {
    let body = payload.len().checked_sub(FOOTER_BYTES).ok_or(Refusal::Footer)?;
    let (body, footer) = payload.split_at(body);
    let (version, sum) = footer.split_at(FOOTER_BYTES - CHECKSUM_BYTES);
    let version = u16::from_le_bytes(version.try_into().map_err(|_| Refusal::Footer)?);
    let summed = &payload[..payload.len() - CHECKSUM_BYTES];
    if !VERSIONS_READ.contains(&version) || crc64(summed).to_le_bytes() != sum {
        return Err(Refusal::Footer);
    }
    let mut reader = Reader::new(body, rules.settings.string_bytes_max);
    let kind = reader.byte()?;
    Ok(read_value(kind, &mut reader, rules)?)
}

#[cfg(test)]
mod tests;
