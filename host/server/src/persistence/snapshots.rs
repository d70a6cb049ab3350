//! The data of one instant, written while it changes.
//!
//! All shards are held once, to begin; then each is held for one piece at a time, and whatever is
//! written goes to the sink with no shard held. One snapshot runs at a time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use reef_engine::commands::REDIS_VERSION;
use reef_engine::keyspace::{Shard, ShardSet, Shards};
use reef_engine::rdb::{self, Crc64, Form};

use super::PersistenceOptions;
use super::pace::Pace;
use crate::clock::now_ms;
use crate::store::Store;

/// A field of a snapshot's header, with its name.
pub(crate) type Field = (&'static str, Vec<u8>);

/// Where a snapshot goes.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// A snapshot that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What the file begins with.
    header: Vec<u8>,
    /// The data's count of changes at that instant.
    pub(crate) changes: u64,
    pace: Pace,
}

/// Bytes written under one shard's lock: some fifty microseconds.
const PIECE_BYTES: usize = 16 * 1024;
/// Bytes handed to the sink at once.
const BATCH_BYTES: usize = 256 * 1024;

impl Store {
    /// Holds all shards for the length of `act`.
    pub(crate) fn freeze<R>(&self, act: impl FnOnce(Shards<'_>) -> R) -> R {
        self.with_shards(ShardSet::all(self.shard_count()), act)
    }

    /// Begins a snapshot of shards that are all held. `aux` tells of its origin.
    pub(crate) fn begin_snapshot(
        &self,
        mut shards: Shards<'_>,
        options: &PersistenceOptions,
        aux: &[Field],
    ) -> Begun {
        let (rules, now) = (self.rules(), now_ms());
        let held = || shards.iter().map(|(_, shard)| shard);
        let mut form = Form::for_shards(held(), &rules, now);
        form.is_compressed = options.is_compressed;
        let mut header = Vec::new();
        let used = held().map(Shard::heap_bytes).sum::<usize>().to_string();
        let seconds = now.seconds().to_string();
        let mut fields: Vec<(&str, &[u8])> = vec![
            ("redis-ver", REDIS_VERSION.as_bytes()),
            ("redis-bits", b"64"),
            ("ctime", seconds.as_bytes()),
            ("used-mem", used.as_bytes()),
        ];
        fields.extend(aux.iter().map(|(name, value)| (*name, value.as_slice())));
        rdb::write_header(&mut header, form, &fields);
        rdb::write_sizes(&mut header, held());
        let changes = held().map(Shard::changes).sum();
        shards.iter_mut().for_each(|shard| shard.begin_snapshot(form));
        Begun { header, changes, pace: options.save_pace }
    }

    /// Writes a snapshot that has begun to its end, or until `is_cancelled`.
    pub(crate) fn write_snapshot(
        &self,
        begun: &Begun,
        is_cancelled: &AtomicBool,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let mut write_piece =
            |index: usize, out: &mut Vec<u8>| match is_cancelled.load(Ordering::Relaxed) {
                true => Err(io::Error::other("it was called off")),
                false if begun.pace.is_full() => Ok(self.write_piece(index, PIECE_BYTES, out)),
                false => {
                    begun.pace.rest(1, is_cancelled);
                    Ok(self.write_piece(index, 1, out))
                }
            };
        let result = self.write_pieces(begun, &mut write_piece, sink);
        if result.is_err() {
            self.abandon_snapshot();
        }
        result
    }

    /// Writes a snapshot that has begun while all shards are held.
    pub(crate) fn write_held_snapshot(
        &self,
        begun: &Begun,
        shards: &mut Shards<'_>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let rules = self.rules();
        let mut write_piece = |index: usize, out: &mut Vec<u8>| {
            let piece =
                shards.get_mut(index).map(|shard| shard.snapshot_piece(&rules, PIECE_BYTES, out));
            Ok(piece.is_none_or(|piece| piece.is_last))
        };
        self.write_pieces(begun, &mut write_piece, sink)
    }

    /// `write_piece` appends a piece of a shard, and tells whether it was the last.
    fn write_pieces(
        &self,
        begun: &Begun,
        write_piece: &mut dyn FnMut(usize, &mut Vec<u8>) -> io::Result<bool>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let (mut crc, mut out) = (Crc64::new(), Vec::with_capacity(BATCH_BYTES + PIECE_BYTES));
        out.extend_from_slice(&begun.header);
        let mut left: Vec<usize> = (0..self.shard_count()).collect();
        while !left.is_empty() {
            // In turns, so that no shard keeps what was written ahead for long.
            let mut rest = Vec::with_capacity(left.len());
            for index in left {
                if !write_piece(index, &mut out)? {
                    rest.push(index);
                }
            }
            left = rest;
            if out.len() >= BATCH_BYTES {
                crc.update(&out);
                sink(&out)?;
                out.clear();
            }
        }
        crc.update(&out);
        rdb::write_footer(&mut out, Some(crc));
        sink(&out)
    }

    /// Writes a piece of a shard. Whether it was the last.
    fn write_piece(&self, index: usize, bytes_max: usize, out: &mut Vec<u8>) -> bool {
        let rules = self.rules();
        let piece =
            self.with_shard_fairly(index, |shard| shard.snapshot_piece(&rules, bytes_max, out));
        if !piece.waste.is_empty() {
            self.reaper().take_databases(piece.waste, false);
        }
        piece.is_last
    }

    fn abandon_snapshot(&self) {
        let waste = self.freeze(|mut shards| {
            shards.iter_mut().flat_map(Shard::abandon_snapshot).collect::<Vec<_>>()
        });
        self.reaper().take_databases(waste, false);
    }

    /// How often the data changed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.freeze(|shards| shards.iter().map(|(_, shard)| shard.changes()).sum())
    }
}
