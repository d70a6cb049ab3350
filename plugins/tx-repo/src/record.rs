//! The record of a transaction and its JSON.
//!
//! It is read with serde, borrowing from the reply, and written by hand straight into the batch:
//! no tree, no allocation. Integers stay exact: amounts are decimal strings, nonces unsigned 64-bit
//! numbers. A record with unknown members is refused rather than rewritten without them.

use std::borrow::Cow;

use reef_sdk::{Argument, Error};
use serde::Deserialize;

use crate::refusal;
use crate::status::Status;

/// How many hashes a transaction may have had.
pub(crate) const HASHES_MAX: usize = 100;

/// A transaction. What is absent is left out of the JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow, rename = "relayer_id")]
    pub(crate) relayer: Cow<'a, str>,
    pub(crate) nonce: u64,
    #[serde(borrow)]
    pub(crate) to: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) value: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) gas_price: Option<Cow<'a, str>>,
    pub(crate) gas_limit: Option<u64>,
    #[serde(borrow)]
    pub(crate) data: Option<Cow<'a, str>>,
    pub(crate) status: Status,
    /// The latest hash.
    #[serde(borrow)]
    pub(crate) hash: Option<Cow<'a, str>>,
    /// All hashes, the oldest first.
    #[serde(borrow, default)]
    pub(crate) hashes: Vec<Cow<'a, str>>,
    /// Why it is in this status, in words.
    #[serde(borrow)]
    pub(crate) reason: Option<Cow<'a, str>>,
    /// How often in a row something about it failed.
    #[serde(default)]
    pub(crate) failures: u64,
    /// How often in all.
    #[serde(default, rename = "failures_total")]
    pub(crate) all_failures: u64,
    #[serde(rename = "created_at")]
    pub(crate) created_ms: u64,
    #[serde(rename = "updated_at")]
    pub(crate) updated_ms: u64,
    #[serde(rename = "confirmed_at")]
    pub(crate) confirmed_ms: Option<u64>,
    #[serde(rename = "expires_at")]
    pub(crate) expires_ms: Option<u64>,
}

impl<'a> Record<'a> {
    /// Reads the record of a transaction.
    pub(crate) fn parse(id: &str, json: &'a [u8]) -> Result<Self, Error> {
        let record = serde_json::from_slice::<Self>(json);
        record.ok().filter(|record| record.id == id).ok_or_else(|| refusal::broken_record(id))
    }

    /// Whether a client that asks for this transaction a second time asks for the same.
    pub(crate) fn is_same_request(&self, other: &Self) -> bool {
        let request = |record: &Self| {
            let Self { id, relayer, nonce, to, value, gas_price, gas_limit, data, .. } =
                record.clone();
            (id, relayer, nonce, to, value, gas_price, gas_limit, data)
        };
        request(self) == request(other)
    }
}

impl Argument for Record<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        text(out, "{\"id\":\"", &self.id);
        text(out, ",\"relayer_id\":\"", &self.relayer);
        number(out, ",\"nonce\":", self.nonce);
        text(out, ",\"to\":\"", &self.to);
        text(out, ",\"value\":\"", &self.value);
        if let Some(price) = &self.gas_price {
            text(out, ",\"gas_price\":\"", price);
        }
        if let Some(limit) = self.gas_limit {
            number(out, ",\"gas_limit\":", limit);
        }
        if let Some(data) = &self.data {
            text(out, ",\"data\":\"", data);
        }
        text(out, ",\"status\":\"", self.status.name());
        if let Some(hash) = &self.hash {
            text(out, ",\"hash\":\"", hash);
        }
        let mut opening = ",\"hashes\":[\"";
        for hash in &self.hashes {
            text(out, opening, hash);
            opening = ",\"";
        }
        if !self.hashes.is_empty() {
            out.push(b']');
        }
        if let Some(reason) = &self.reason {
            text(out, ",\"reason\":\"", reason);
        }
        if self.all_failures > 0 {
            number(out, ",\"failures\":", self.failures);
            number(out, ",\"failures_total\":", self.all_failures);
        }
        number(out, ",\"created_at\":", self.created_ms);
        number(out, ",\"updated_at\":", self.updated_ms);
        if let Some(confirmed_ms) = self.confirmed_ms {
            number(out, ",\"confirmed_at\":", confirmed_ms);
        }
        if let Some(expires_ms) = self.expires_ms {
            number(out, ",\"expires_at\":", expires_ms);
        }
        out.push(b'}');
    }
}

/// Writes what stands before a string, up to its opening quote, and the string.
fn text(out: &mut Vec<u8>, before: &str, text: &str) {
    out.extend_from_slice(before.as_bytes());
    let mut rest = text.as_bytes();
    while let Some(at) = first_special(rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, tail)) = tail.split_first() {
            escape(out, *byte);
            rest = tail;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, before: &str, number: u64) {
    out.extend_from_slice(before.as_bytes());
    number.write(out);
}

/// Where the first byte is that JSON wants escaped. Eight at a time: in wasm each turn of a loop
/// costs a check for interruption, and this is the longest loop of a create.
fn first_special(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let plain = words.iter().take_while(|word| !has_special(u64::from_le_bytes(**word))).count();
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    bytes[plain * 8..].iter().position(special).map(|at| plain * 8 + at)
}

/// Whether one of the eight bytes is a control character, a quote or a backslash.
fn has_special(word: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & HIGH;
    let equal = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) != 0
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    if byte < 0x20 {
        let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
        out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
    } else {
        out.extend_from_slice(&[b'\\', byte]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Record<'static> {
        Record {
            id: "01ARZ".into(),
            relayer: "a \"quoted\" \\ relayer\n\u{1} \u{1f980}".into(),
            nonce: u64::MAX,
            to: "0x1234".into(),
            value: "115792089237316195423570985008687907853269984665640564039457584007913129639935"
                .into(),
            gas_price: Some("20000000000".into()),
            gas_limit: Some((1 << 53) + 1),
            data: Some("dead".into()),
            status: Status::Mined,
            hash: Some("0xb".into()),
            hashes: vec!["0xa".into(), "0xb".into()],
            reason: Some("nonce too low".into()),
            failures: 0,
            all_failures: u64::MAX,
            created_ms: 1,
            updated_ms: 2,
            confirmed_ms: Some(3),
            expires_ms: Some(4),
        }
    }

    fn json(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        record.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_exactly() {
        let written = json(&full());
        assert_eq!(Record::parse("01ARZ", written.as_bytes()), Ok(full()));
        let least = Record {
            gas_price: None,
            gas_limit: None,
            data: None,
            hash: None,
            hashes: vec![],
            reason: None,
            all_failures: 0,
            confirmed_ms: None,
            expires_ms: None,
            ..full()
        };
        assert_eq!(Record::parse("01ARZ", json(&least).as_bytes()), Ok(least));
    }

    #[test]
    fn every_byte_is_escaped_wherever_it_stands() {
        for character in (0_u8..128).map(char::from) {
            for before in 0..10 {
                let relayer = format!("{}{character}tail of some length", "x".repeat(before));
                let record = Record { relayer: relayer.into(), ..full() };
                assert_eq!(Record::parse("01ARZ", json(&record).as_bytes()), Ok(record));
            }
        }
    }

    #[test]
    fn the_json_is_what_other_programs_expect() {
        let record = Record { relayer: "r".into(), ..full() };
        assert!(json(&record).starts_with(
            "{\"id\":\"01ARZ\",\"relayer_id\":\"r\",\"nonce\":18446744073709551615,\"to\":\"0x1234\","
        ));
        assert!(
            json(&record).contains("\"status\":\"mined\",\"hash\":\"0xb\",\"hashes\":[\"0xa\",")
        );
    }

    #[test]
    fn foreign_records_are_refused_and_not_rewritten() {
        let written = json(&full());
        for foreign in [
            "".to_owned(),
            "[]".to_owned(),
            written.replace("{\"id\"", "{\"extra\":1,\"id\""),
            written.replace("\"nonce\":18446744073709551615", "\"nonce\":-1"),
            written.replace("mined", "done"),
        ] {
            let error = Record::parse("01ARZ", foreign.as_bytes()).unwrap_err();
            assert_eq!(error.code, "BROKENTX", "{foreign}");
        }
        assert!(Record::parse("another", written.as_bytes()).is_err());
    }

    #[test]
    fn a_repeated_request_is_recognised() {
        let later = Record { status: Status::Pending, hashes: vec![], updated_ms: 9, ..full() };
        assert!(full().is_same_request(&later));
        assert!(!full().is_same_request(&Record { value: "1".into(), ..full() }));
    }
}
