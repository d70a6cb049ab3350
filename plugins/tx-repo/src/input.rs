//! What may be said about a transaction: each kind of argument, checked where it comes in.

use reef_sdk::{Arguments, Host, Result};

use crate::refusal;
use crate::status::Status;

const NAME_BYTES_MAX: usize = 128;
const REASON_BYTES_MAX: usize = 512;
/// As many digits as the largest 256-bit number has.
const AMOUNT_DIGITS_MAX: usize = 78;
const TTL_SECONDS_MAX: u64 = 10 * 366 * 24 * 60 * 60;

/// A relayer, an id, an address or a hash: short text that can stand in a key and on a line.
pub(crate) fn name<'a>(arguments: &mut Arguments<'a>) -> Result<&'a str> {
    named(arguments.bytes()?)
}

/// As [`name`], after an option's keyword.
pub(crate) fn name_value<'a>(arguments: &mut Arguments<'a>) -> Result<&'a str> {
    named(arguments.value()?)
}

pub(crate) fn named(bytes: &[u8]) -> Result<&str> {
    let name = std::str::from_utf8(bytes).map_err(|_| refusal::BAD_NAME)?;
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && all(bytes, |byte| !byte.is_ascii_control()) {
        Ok(name)
    } else {
        Err(refusal::BAD_NAME)
    }
}

/// A decimal integer of any size, as text: amounts do not fit any machine's number.
pub(crate) fn amount(bytes: &[u8]) -> Result<&str> {
    match bytes {
        [] | [b'0', _, ..] => Err(refusal::BAD_AMOUNT),
        _ if bytes.len() > AMOUNT_DIGITS_MAX => Err(refusal::BAD_AMOUNT),
        _ if !all(bytes, u8::is_ascii_digit) => Err(refusal::BAD_AMOUNT),
        _ => std::str::from_utf8(bytes).map_err(|_| refusal::BAD_AMOUNT),
    }
}

/// Hexadecimal digits, with or without `0x`; without is how they come back.
pub(crate) fn data(bytes: &[u8]) -> Result<&str> {
    let digits = bytes.strip_prefix(b"0x").unwrap_or(bytes);
    if digits.len().is_multiple_of(2) && all(digits, u8::is_ascii_hexdigit) {
        std::str::from_utf8(digits).map_err(|_| refusal::BAD_DATA)
    } else {
        Err(refusal::BAD_DATA)
    }
}

/// Whether all bytes pass, judged sixteen at a time: in wasm each turn of a loop costs a check for
/// interruption.
fn all(bytes: &[u8], passes: impl Fn(&u8) -> bool) -> bool {
    let (chunks, rest) = bytes.as_chunks::<16>();
    let chunk = |chunk: &[u8; 16]| chunk.iter().fold(true, |so_far, byte| so_far & passes(byte));
    chunks.iter().all(chunk) && rest.iter().all(&passes)
}

pub(crate) fn status(bytes: &[u8]) -> Result<Status> {
    Status::named(bytes).ok_or(refusal::UNKNOWN_STATUS)
}

/// A time to live, in milliseconds.
pub(crate) fn ttl_ms(arguments: &mut Arguments<'_>) -> Result<u64> {
    match arguments.u64()? {
        seconds @ 1..=TTL_SECONDS_MAX => Ok(seconds * 1000),
        _ => Err(refusal::BAD_TTL),
    }
}

/// A number of seconds in the plugin's configuration.
pub(crate) fn configured_seconds(host: &mut dyn Host, key: &'static str) -> Result<Option<u64>> {
    let Some(text) = host.config(key) else { return Ok(None) };
    match text.parse() {
        Ok(seconds @ 1..=TTL_SECONDS_MAX) => Ok(Some(seconds)),
        _ => Err(refusal::bad_seconds(key)),
    }
}

/// Why a transaction is what it is, in words: short text on one line, which may be empty.
pub(crate) fn reason<'a>(arguments: &mut Arguments<'a>) -> Result<&'a str> {
    let bytes = arguments.value()?;
    let text = std::str::from_utf8(bytes).map_err(|_| refusal::BAD_REASON)?;
    let fits = bytes.len() <= REASON_BYTES_MAX && all(bytes, |byte| !byte.is_ascii_control());
    if fits { Ok(text) } else { Err(refusal::BAD_REASON) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_printable_text() {
        assert_eq!(named("relayer-1 \u{e9}".as_bytes()), Ok("relayer-1 \u{e9}"));
        assert!(named(&[b'x'; NAME_BYTES_MAX]).is_ok());
        for bad in [b"".as_slice(), &[b'x'; NAME_BYTES_MAX + 1], b"a\nb", b"a\0", b"\x7f", b"\xff"]
        {
            assert_eq!(named(bad), Err(refusal::BAD_NAME));
        }
    }

    #[test]
    fn amounts_are_decimal_and_of_any_size() {
        assert!(amount(b"0").is_ok());
        assert!(amount(&[b'9'; AMOUNT_DIGITS_MAX]).is_ok());
        for bad in [b"".as_slice(), &[b'9'; 79], b"01", b"-1", b"1.5", b"1e3", b"0x10"] {
            assert_eq!(amount(bad), Err(refusal::BAD_AMOUNT));
        }
    }

    #[test]
    fn data_is_hexadecimal() {
        assert_eq!(data(b"0xDEADbeef"), Ok("DEADbeef"));
        assert_eq!(data(b"0x"), Ok(""));
        for bad in
            [b"0".as_slice(), b"0x0", b"zz", b"0x0x", b"0123456789abcdefg0", b"0123456789abcdeg"]
        {
            assert_eq!(data(bad), Err(refusal::BAD_DATA));
        }
    }
}
