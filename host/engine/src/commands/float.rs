//! Doubles in replies, and sums of decimal numbers as INCRBYFLOAT makes them.

use alloc::vec::Vec;

use reef_resp::Writer;

use crate::error::Error;
use crate::types::long_double::LongDouble;
use crate::types::number;

/// Says a double, with the fewest digits that mean it.
pub(super) fn say(reply: &mut Writer, value: f64) {
    let mut text = Vec::new();
    number::write_f64_shortest(&mut text, value);
    reply.double(value, &text);
}

/// The sum of two decimal numbers, as text.
pub(super) fn sum(value: &[u8], increment: &[u8]) -> Result<Vec<u8>, Error> {
    let value = LongDouble::parse(value).ok_or(Error::NotAFloat)?;
    add(value, LongDouble::parse(increment).ok_or(Error::NotAFloat)?)
}

/// The sum of two numbers, as text.
pub(super) fn add(value: LongDouble, increment: LongDouble) -> Result<Vec<u8>, Error> {
    let sum = value + increment;
    if !sum.is_finite() {
        return Err(Error::FloatOverflow);
    }
    let mut text = Vec::new();
    sum.write(&mut text);
    Ok(text)
}
