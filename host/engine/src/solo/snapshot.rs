//! Snapshots and files of an engine without a server: what a driver does, in memory.

use alloc::vec::Vec;

use super::{Solo, hold};
use crate::error::Error;
use crate::keyspace::{
    INDEX_FIELD, Keyspace, Shard, ShardSet, Shards, Slot, index_fields, restore_index,
};
use crate::rdb::{self, Crc64, Event, Failure, FileReader, Form, Loading};
use crate::settings::Rules;

/// In how large pieces a file is read again.
const CHUNK_BYTES: usize = 1 << 16;

impl Solo {
    /// The form in which the data is written now.
    pub fn form(&self) -> Form {
        Form::for_shards(&self.shards, &self.rules, self.process.now)
    }

    /// Begins a snapshot; gives what its file begins with.
    pub fn begin_snapshot(&mut self, form: Form) -> Vec<u8> {
        let all = ShardSet::all(self.rules.shards);
        begin(&mut hold(&mut self.shards, all), form)
    }

    /// Appends the next piece of a shard's part; whether it was the last.
    pub fn snapshot_piece(&mut self, shard: usize, budget_bytes: usize, out: &mut Vec<u8>) -> bool {
        let Some(shard) = self.shards.get_mut(shard) else { return true };
        shard.snapshot_piece(&self.rules, budget_bytes, out).is_last
    }

    /// Ends a snapshot that nobody wants any more.
    pub fn abandon_snapshot(&mut self) {
        self.shards.iter_mut().for_each(|shard| drop(shard.abandon_snapshot()));
    }

    /// Bytes that the snapshot holds in memory.
    pub fn snapshot_bytes(&self) -> usize {
        self.shards.iter().map(Shard::snapshot_bytes).sum()
    }

    /// All data as a file.
    pub fn save(&mut self, form: Form) -> Vec<u8> {
        let all = ShardSet::all(self.rules.shards);
        write(&mut hold(&mut self.shards, all), &self.rules, form)
    }

    /// Loads a file that comes in chunks of so many bytes. The keys that it had, twice ones not
    /// counted.
    pub fn load(&mut self, file: &[u8], chunk_bytes: usize) -> Result<usize, Failure> {
        let loading = Loading { now: self.process.now, drops_expired: false, any_version: false };
        let (rules, mut keys) = (&self.rules, 0);
        let all = ShardSet::all(rules.shards);
        read(file, chunk_bytes, loading, rules, &mut |read| match read {
            // A file may claim any number; a server looks whether it has such a database.
            Read::Key(database, _) if database >= DATABASES_MAX => {}
            Read::Key(database, slot) => {
                let shard = &mut self.shards[rules.shard_of(slot.key())];
                keys += usize::from(shard.load(database, slot, &rules.hasher).is_ok());
            }
            Read::Index(field) => {
                // What cannot be an index is passed over, as by a server.
                let _ = restore_index(hold(&mut self.shards, all), rules, &field);
            }
        })?;
        Ok(keys)
    }
}

/// Begins a snapshot of shards that are all held; gives what its file begins with.
fn begin(shards: &mut Shards<'_>, form: Form) -> Vec<u8> {
    let mut out = Vec::new();
    if form.as_commands {
        // Of indexes commands tell nothing.
        shards.iter_mut().for_each(|shard| shard.begin_snapshot(form));
        return out;
    }
    rdb::write_header(&mut out, form, &[("redis-ver", b"7.2.0"), ("redis-bits", b"64")]);
    let indexes = shards.iter().next().map(|(_, shard)| index_fields(shard)).unwrap_or_default();
    indexes.iter().for_each(|field| rdb::write_aux(&mut out, INDEX_FIELD, field));
    rdb::write_sizes(&mut out, shards.iter().map(|(_, shard)| shard), form);
    shards.iter_mut().for_each(|shard| shard.begin_snapshot(form));
    out
}

/// Writes what shards that are all held have.
fn write(shards: &mut Shards<'_>, rules: &Rules, form: Form) -> Vec<u8> {
    let mut out = begin(shards, form);
    for shard in shards.iter_mut() {
        while !shard.snapshot_piece(rules, usize::MAX / 2, &mut out).is_last {}
    }
    end_file(&mut out);
    out
}

/// Databases whose keys are loaded.
const DATABASES_MAX: u32 = 1 << 16;

/// What is read of a file.
enum Read {
    /// A key of a database.
    Key(u32, Slot),
    /// What leads to an index.
    Index(Vec<u8>),
}

/// Reads a file in chunks of so many bytes.
fn read(
    file: &[u8],
    chunk_bytes: usize,
    loading: Loading,
    rules: &Rules,
    put: &mut dyn FnMut(Read),
) -> Result<(), Failure> {
    let mut reader = FileReader::new(loading);
    let mut put_what_came = |reader: &mut FileReader| -> Result<(), Failure> {
        while let Some(event) = reader.next(rules)? {
            match event {
                Event::Key { database, slot } => put(Read::Key(database, slot)),
                Event::Aux(name, field) if name == INDEX_FIELD.as_bytes() => {
                    put(Read::Index(field));
                }
                _ => {}
            }
        }
        Ok(())
    };
    for chunk in file.chunks(chunk_bytes.max(1)) {
        reader.feed(chunk);
        put_what_came(&mut reader)?;
    }
    reader.finish();
    put_what_came(&mut reader)
}

/// Writes all data, for a command that holds all shards.
pub(super) fn save_held(keys: &mut Keyspace<'_>) -> Vec<u8> {
    let (rules, now) = (keys.rules, keys.now);
    let form = Form::for_shards(keys.shards().iter().map(|(_, shard)| shard), rules, now);
    write(keys.shards_mut(), rules, form)
}

/// Puts in what was written, for a command that holds all shards. What is there already is an error,
/// or gives way if the two are to merge.
pub(super) fn load_held(keys: &mut Keyspace<'_>, file: &[u8], merges: bool) -> Result<(), Error> {
    let loading = Loading { now: keys.now, drops_expired: true, any_version: false };
    let (rules, mut is_whole) = (keys.rules, true);
    let shards = keys.shards_mut();
    let loaded = read(file, CHUNK_BYTES, loading, rules, &mut |read| {
        let (database, slot) = match read {
            Read::Key(database, slot) => (database, slot),
            Read::Index(field) => {
                // Data that is to merge with what is there finds its indexes there, too.
                let restored = restore_index(shards.reborrow(), rules, &field);
                debug_assert!(merges || restored.is_ok(), "a file says which indexes there were");
                return;
            }
        };
        let Some(shard) = shards.get_mut(rules.shard_of(slot.key())) else { return };
        if merges {
            drop(shard.load_over(database, slot, &rules.hasher));
        } else {
            is_whole &= shard.load(database, slot, &rules.hasher).is_ok();
        }
    });
    if is_whole && loaded.is_ok() { Ok(()) } else { Err(Error::RELOAD_FAILED) }
}

/// Appends the end of a file, its checksum included.
pub fn end_file(file: &mut Vec<u8>) {
    let mut crc = Crc64::new();
    crc.update(file);
    rdb::write_footer(file, Some(crc));
}
