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
        let mut object = Object { out, members: 0 };
        object.text("id", &self.id);
        object.text("relayer_id", &self.relayer);
        object.number("nonce", self.nonce);
        object.text("to", &self.to);
        object.text("value", &self.value);
        if let Some(price) = &self.gas_price {
            object.text("gas_price", price);
        }
        if let Some(limit) = self.gas_limit {
            object.number("gas_limit", limit);
        }
        if let Some(data) = &self.data {
            object.text("data", data);
        }
        object.text("status", self.status.name());
        if let Some(hash) = &self.hash {
            object.text("hash", hash);
        }
        if !self.hashes.is_empty() {
            object.texts("hashes", &self.hashes);
        }
        object.number("created_at", self.created_ms);
        object.number("updated_at", self.updated_ms);
        if let Some(confirmed_ms) = self.confirmed_ms {
            object.number("confirmed_at", confirmed_ms);
        }
        if let Some(expires_ms) = self.expires_ms {
            object.number("expires_at", expires_ms);
        }
        out.push(b'}');
    }
}

/// A JSON object that is being written; the closing brace is the caller's.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    members: usize,
}

impl Object<'_> {
    fn member(&mut self, name: &str) {
        self.out.push(if self.members == 0 { b'{' } else { b',' });
        self.members += 1;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.member(name);
        quote(self.out, text);
    }

    fn number(&mut self, name: &str, number: u64) {
        self.member(name);
        number.write(self.out);
    }

    fn texts(&mut self, name: &str, texts: &[Cow<'_, str>]) {
        self.member(name);
        for (index, text) in texts.iter().enumerate() {
            self.out.push(if index == 0 { b'[' } else { b',' });
            quote(self.out, text);
        }
        self.out.push(b']');
    }
}

/// Writes a JSON string.
fn quote(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| special(*byte)) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, tail)) = tail.split_first() {
            if *byte < 0x20 {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            } else {
                out.extend_from_slice(&[b'\\', *byte]);
            }
            rest = tail;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
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
            confirmed_ms: None,
            expires_ms: None,
            ..full()
        };
        assert_eq!(Record::parse("01ARZ", json(&least).as_bytes()), Ok(least));
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
