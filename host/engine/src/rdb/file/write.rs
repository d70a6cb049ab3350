//! The parts of a file, appended one by one.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{AUX, END, EXPIRY_MS, FREQUENCY, IDLE, SELECT, SIZES};
use crate::keyspace::{Shard, Slot};
use crate::rdb::crc64::Crc64;
use crate::rdb::form::{Form, Uses};
use crate::rdb::write::{write_length, write_string};
use crate::rdb::{type_of, write_value};
use crate::types::hasher::Hasher;

/// Writes what a file begins with: the version, and fields that tell of its origin.
pub fn write_header(out: &mut Vec<u8>, form: Form, aux: &[(&str, &[u8])]) {
    let version = form.version;
    out.extend_from_slice(b"REDIS");
    out.extend([1000, 100, 10, 1].map(|unit| b'0' + (version / unit % 10) as u8));
    aux.iter().for_each(|(name, value)| write_aux(out, name, value));
}

/// Writes a field that tells of the file's origin.
pub fn write_aux(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(AUX);
    write_string(out, name.as_bytes(), Form::FILE);
    write_string(out, value, Form::FILE);
}

/// Writes how many keys each database has, which lets who reads make room: for behind the header.
/// All shards are to be held.
pub fn write_sizes<'s>(out: &mut Vec<u8>, shards: impl IntoIterator<Item = &'s Shard>, form: Form) {
    let mut sizes: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for (number, database) in shards.into_iter().flat_map(Shard::databases) {
        let (keys, expiring) = sizes.entry(number).or_default();
        *keys += database.len() as u64;
        *expiring += database.expiring() as u64;
    }
    for (number, (keys, expiring)) in sizes {
        if keys > 0 {
            write_select(out, form.first_database + number);
            out.push(SIZES);
            write_length(out, keys);
            write_length(out, expiring);
        }
    }
}

/// Writes of which database the next keys are.
pub fn write_select(out: &mut Vec<u8>, number: u32) {
    out.push(SELECT);
    write_length(out, number.into());
}

/// Writes a key with its value, its expiry and its use.
pub fn write_record(out: &mut Vec<u8>, slot: &Slot, hasher: &Hasher, form: Form) {
    if let Some(at) = slot.expires_at() {
        out.push(EXPIRY_MS);
        out.extend_from_slice(&at.get().to_le_bytes());
    }
    match form.uses {
        Uses::Untold => {}
        Uses::Idle(now) => {
            out.push(IDLE);
            write_length(out, slot.access().idle_seconds(now).into());
        }
        Uses::Frequency(now, lfu) => {
            out.extend_from_slice(&[FREQUENCY, slot.access().frequency(now, lfu) as u8]);
        }
    }
    out.push(type_of(slot, form));
    write_string(out, slot.key(), form);
    write_value(out, slot, hasher, form);
}

/// Writes the end. `crc` is what all bytes so far sum up to; without one, who reads does not check.
pub fn write_footer(out: &mut Vec<u8>, crc: Option<Crc64>) {
    out.push(END);
    let sum = crc.map_or(0, |mut crc| {
        crc.update(&[END]);
        crc.sum()
    });
    out.extend_from_slice(&sum.to_le_bytes());
}
