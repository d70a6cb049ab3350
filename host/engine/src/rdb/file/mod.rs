//! RDB as a file: keys of several databases with what belongs to them, between a header and a footer.
//!
//! A file is a header (`REDIS` or `VALKEY` and the version), fields that tell of its origin (`AUX`),
//! then for each database its number, its size and its keys, each with its expiry and its use in
//! front; an end mark and a checksum of everything before it. Databases may come in turns: who reads
//! goes by the number that was selected last.
//!
//! Names of fields that Redis knows: `redis-ver`, `redis-bits`, `ctime`, `used-mem`, `repl-stream-db`,
//! `repl-id`, `repl-offset`, `aof-base`. It passes over what it does not know, so Reef's own begin
//! with `reef-`.
//!
//! Pure: bytes in, keys out, and the other way round. Where bytes come from and go to is the
//! driver's business.

mod failure;
mod read;
mod write;

pub use failure::{Failure, Reason};
pub use read::{Event, FileReader, Loading};
pub use write::{write_aux, write_footer, write_header, write_record, write_select, write_sizes};

/// The versions of files that are read: `REDIS0001` to what Redis writes now; those of types that
/// only newer ones know are refused one by one.
const REDIS_VERSIONS: core::ops::RangeInclusive<u16> = 1..=16;
/// The same of Valkey, which counts on its own since its version 9.
const VALKEY_VERSIONS: core::ops::RangeInclusive<u16> = 80..=89;
/// From this version on there is a checksum behind the end.
const VERSION_CHECKED: u16 = 5;

/// A slot's import is under way: Valkey only.
const SLOT_IMPORT: u8 = 243;
/// How many keys a cluster slot has.
const SLOT_INFO: u8 = 244;
/// A library of functions.
const FUNCTION: u8 = 245;
/// What a module keeps outside of keys.
const MODULE_AUX: u8 = 247;
/// For how many seconds the next key was not used.
const IDLE: u8 = 248;
/// How often the next key was used.
const FREQUENCY: u8 = 249;
/// A field of the header.
const AUX: u8 = 250;
/// How many keys the database has.
const SIZES: u8 = 251;
/// When the next key expires, in milliseconds.
const EXPIRY_MS: u8 = 252;
/// When the next key expires, in seconds.
const EXPIRY: u8 = 253;
/// Of which database the next keys are.
const SELECT: u8 = 254;
/// The end.
const END: u8 = 255;

#[cfg(test)]
mod tests;
