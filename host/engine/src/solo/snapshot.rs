//! Snapshots and files of an engine without a server: what a driver does, in memory.

use alloc::vec::Vec;

use super::Solo;
use crate::keyspace::Shard;
use crate::rdb::{self, Crc64, Event, Failure, FileReader, Form, Loading};

impl Solo {
    /// The form in which the data is written now.
    pub fn form(&self) -> Form {
        Form::for_shards(&self.shards, &self.rules, self.process.now)
    }

    /// Begins a snapshot; gives what its file begins with.
    pub fn begin_snapshot(&mut self, form: Form) -> Vec<u8> {
        let mut out = Vec::new();
        rdb::write_header(&mut out, form, &[("redis-ver", b"7.2.0"), ("redis-bits", b"64")]);
        rdb::write_sizes(&mut out, &self.shards);
        self.shards.iter_mut().for_each(|shard| shard.begin_snapshot(form));
        out
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
        let mut out = self.begin_snapshot(form);
        for shard in 0..self.shards.len() {
            while !self.snapshot_piece(shard, usize::MAX / 2, &mut out) {}
        }
        end_file(&mut out);
        out
    }

    /// Loads a file that comes in chunks of so many bytes. The keys that it had, twice ones not
    /// counted.
    pub fn load(&mut self, file: &[u8], chunk_bytes: usize) -> Result<usize, Failure> {
        let loading = Loading { now: self.process.now, drops_expired: false };
        let mut reader = FileReader::new(loading);
        let mut keys = 0;
        for chunk in file.chunks(chunk_bytes.max(1)) {
            reader.feed(chunk);
            keys += self.load_what_came(&mut reader)?;
        }
        reader.finish();
        Ok(keys + self.load_what_came(&mut reader)?)
    }

    fn load_what_came(&mut self, reader: &mut FileReader) -> Result<usize, Failure> {
        let mut keys = 0;
        while let Some(event) = reader.next(&self.rules)? {
            if let Event::Key { database, slot } = event {
                let shard = self.rules.shard_of(slot.key());
                let is_new = self.shards[shard].load(database, slot, &self.rules.hasher);
                keys += usize::from(is_new);
            }
        }
        Ok(keys)
    }
}

/// Appends the end of a file, its checksum included.
pub fn end_file(file: &mut Vec<u8>) {
    let mut crc = Crc64::new();
    crc.update(file);
    rdb::write_footer(file, Some(crc));
}
