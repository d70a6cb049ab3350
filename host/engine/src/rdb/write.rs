//! The elements of Redis's serialised data, written: lengths, strings, numbers.

use alloc::vec::Vec;

use super::form::Form;
use super::lzf;
use super::marks::{
    COMPRESSED, INT8, INT16, INT32, LENGTH_14_BITS, LENGTH_32_BITS, LENGTH_64_BITS,
};
use crate::types::element::Element;
use crate::types::number;

/// Longer strings are compressed if that gains something.
const UNCOMPRESSED_BYTES_MAX: usize = 20;
/// What compression must gain to be worth the while.
const GAIN_BYTES_MIN: usize = 4;
/// The longest text of an integer of 32 bits.
const INTEGER_TEXT_BYTES_MAX: usize = 11;

/// Writes a length in as few bytes as it takes.
pub fn write_length(out: &mut Vec<u8>, length: u64) {
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.push(LENGTH_14_BITS | (length >> 8) as u8);
        out.push(length as u8);
    } else if let Ok(length) = u32::try_from(length) {
        out.push(LENGTH_32_BITS);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(LENGTH_64_BITS);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

/// Writes a string: as an integer if it is the canonical text of one, compressed if that is
/// shorter, or as it is.
pub fn write_string(out: &mut Vec<u8>, text: &[u8], form: Form) {
    if text.len() <= INTEGER_TEXT_BYTES_MAX
        && let Some(value) = number::parse_i64(text)
        && write_integer(out, value)
    {
        return;
    }
    if form.is_compressed
        && text.len() > UNCOMPRESSED_BYTES_MAX
        && let Some(compressed) = lzf::compress(text, text.len() - GAIN_BYTES_MIN)
    {
        out.push(COMPRESSED);
        write_length(out, compressed.len() as u64);
        write_length(out, text.len() as u64);
        out.extend_from_slice(&compressed);
        return;
    }
    write_length(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Writes an element of a collection as a string.
pub(super) fn write_element(out: &mut Vec<u8>, element: Element<'_>, form: Form) {
    element.with(|text| write_string(out, text, form));
}

/// Writes an integer that fits into 32 bits; whether it does.
fn write_integer(out: &mut Vec<u8>, value: i64) -> bool {
    if let Ok(value) = i8::try_from(value) {
        out.push(INT8);
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(INT16);
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(INT32);
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        return false;
    }
    true
}

/// Writes a number as eight bytes.
pub(super) fn write_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}
