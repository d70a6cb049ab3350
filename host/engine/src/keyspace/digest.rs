//! What DEBUG DIGEST tells of the data: the digest that Redis computes, so that a primary and a
//! replica can be compared whichever of them is Reef.
//!
//! Keys, members of sets and fields of hashes are taken together by exclusive or, so their order
//! does not matter; where order matters, digests are fed into each other. Expired keys do not
//! count.

use alloc::collections::BTreeSet;

use super::Keyspace;
use super::slot::Slot;
use super::value::Value;
use crate::types::sha1::sha1;

/// A SHA-1 that grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 20]);

impl Digest {
    /// The bytes.
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Takes something in whose place does not matter.
    fn add(&mut self, data: &[u8]) {
        for (byte, other) in self.0.iter_mut().zip(sha1(data)) {
            *byte ^= other;
        }
    }

    /// Takes something in whose place does matter.
    fn chain(&mut self, data: &[u8]) {
        self.add(data);
        self.0 = sha1(&self.0);
    }
}

impl Slot {
    /// The fields that expire, if it is a hash.
    fn expiring_fields(&self) -> BTreeSet<&[u8]> {
        match self.as_value() {
            Some(Value::Hash(hash)) => hash.expiries().map(|(field, _)| field).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Takes type, value and expiry in, but not the key.
    fn add_to(&self, digest: &mut Digest) {
        let (number, unordered) = match self.type_name() {
            "list" => (1_u32, 0),
            "set" => (2, 1),
            "zset" => (3, 2),
            "hash" => (4, 2),
            "stream" => (6, 0),
            _ => (0, 0),
        };
        digest.chain(&number.to_be_bytes());
        let elements = match self.as_text() {
            Some(text) => alloc::vec![text.to_vec()],
            None => self.as_value().map(|value| value.elements()).unwrap_or_default(),
        };
        match unordered {
            0 => elements.iter().for_each(|element| digest.chain(element)),
            1 => elements.iter().for_each(|element| digest.add(element)),
            together => {
                let expiring = self.expiring_fields();
                for pair in elements.chunks(together) {
                    let mut one = Digest::default();
                    pair.iter().for_each(|part| one.chain(part));
                    if expiring.contains(pair[0].as_slice()) {
                        one.add(b"!!hexpire!!");
                    }
                    digest.add(&one.0);
                }
            }
        }
        if self.expires_at().is_some() {
            digest.add(b"!!expire!!");
        }
    }
}

impl Keyspace<'_> {
    /// The digest of one value of the selected database; zeros if there is no such key.
    pub fn digest_of(&mut self, key: &[u8]) -> Digest {
        let mut digest = Digest::default();
        self.remove_expired(self.place(key), key);
        if let Some(slot) = self.peek(key) {
            slot.add_to(&mut digest);
        }
        digest
    }

    /// The digest of all data in the shards that are held.
    pub fn digest(&mut self) -> Digest {
        let mut digest = Digest::default();
        self.expire_due(usize::MAX);
        for number in 0..self.rules.settings.databases {
            self.in_database(number, |keys| {
                if keys.iter().next().is_none() {
                    return;
                }
                digest.chain(&number.to_be_bytes());
                for slot in keys.iter() {
                    let mut one = Digest::default();
                    one.chain(slot.key());
                    slot.add_to(&mut one);
                    digest.add(&one.0);
                }
            });
        }
        digest
    }
}
