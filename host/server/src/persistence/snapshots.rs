//! The data of one instant, written while it changes.
//!
//! All shards are held once, to begin; then each is held for one piece at a time, and whatever is
//! written goes to the sink with no shard held. One snapshot runs at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reef_engine::commands::REDIS_VERSION;
use reef_engine::keyspace::{Shard, ShardSet, Shards};
use reef_engine::rdb::{self, Crc64, Form};
use reef_engine::retelling;

use super::PersistenceOptions;
use super::pace::Pace;
use crate::clock::now_ms;
use crate::indexes::fields_of;
use crate::store::Store;
use crate::tenants::Held;

/// A field of a snapshot's header, with its name.
pub(crate) type Field = (&'static str, Vec<u8>);

/// Where a snapshot goes.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// A shard of an engine, by their places.
type Part = (usize, usize);

/// A snapshot that has begun.
pub(crate) struct Begun {
    /// What the file begins with.
    header: Vec<u8>,
    /// Whether what follows are commands, without an end that is marked.
    as_commands: bool,
    /// The data's count of changes at that instant.
    pub(crate) changes: u64,
    pace: Pace,
    engines: Vec<Arc<Store>>,
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

/// Begins a snapshot of engines all of whose shards are held. `aux` tells of its origin.
pub(crate) fn begin_snapshot(
    held: &mut Held<'_, '_>,
    options: &PersistenceOptions,
    aux: &[Field],
) -> Begun {
    let forms = forms(held, options);
    let mut header = header(held, &forms, aux);
    for ((_, shards), form) in held.iter().zip(&forms) {
        rdb::write_sizes(&mut header, shards.iter().map(|(_, shard)| shard), *form);
    }
    begin(held, options, &forms, header)
}

/// Begins the base of a log in the same way: a snapshot, or commands that make what there is. Those
/// have a snapshot without keys in front if there is anything besides keys.
pub(crate) fn begin_base(
    held: &mut Held<'_, '_>,
    options: &PersistenceOptions,
    mut aux: Vec<Field>,
) -> Begun {
    if options.base_is_snapshot {
        aux.push(("aof-base", b"1".to_vec()));
        return begin_snapshot(held, options, &aux);
    }
    let mut forms = forms(held, options);
    let has_indexes =
        held.iter().any(|(store, shards)| !fields_of(store.first_database(), shards).is_empty());
    let mut start = Vec::new();
    if has_indexes || !aux.is_empty() {
        aux.push(("aof-base", b"1".to_vec()));
        start = header(held, &forms, &aux);
        let mut crc = Crc64::new();
        crc.update(&start);
        rdb::write_footer(&mut start, Some(crc));
    }
    if options.tells_times {
        retelling::tell_time(&mut start, now_ms());
    }
    forms.iter_mut().for_each(|form| form.as_commands = true);
    begin(held, options, &forms, start)
}

/// How what each engine has is written.
fn forms(held: &Held<'_, '_>, options: &PersistenceOptions) -> Vec<Form> {
    let now = now_ms();
    held.iter()
        .map(|(store, shards)| {
            let shards = shards.iter().map(|(_, shard)| shard);
            let form = Form::for_shards(shards, &store.rules(), now);
            Form { is_compressed: options.is_compressed, ..form }
        })
        .collect()
}

/// What a snapshot begins with.
fn header(held: &Held<'_, '_>, forms: &[Form], aux: &[Field]) -> Vec<u8> {
    let all = held.iter().flat_map(|(_, shards)| shards.iter().map(|(_, shard)| shard));
    let used = all.map(Shard::heap_bytes).sum::<usize>().to_string();
    let now = now_ms();
    let seconds = now.seconds().to_string();
    let mut fields: Vec<(&str, &[u8])> = vec![
        ("redis-ver", REDIS_VERSION.as_bytes()),
        ("redis-bits", b"64"),
        ("ctime", seconds.as_bytes()),
        ("used-mem", used.as_bytes()),
    ];
    fields.extend(aux.iter().map(|(name, value)| (*name, value.as_slice())));
    // Behind the tenants whose they are.
    let indexes: Vec<_> =
        held.iter().flat_map(|(store, shards)| fields_of(store.first_database(), shards)).collect();
    fields.extend(indexes.iter().map(|(name, value)| (*name, value.as_slice())));
    let mut header = Vec::new();
    // The newest form that one of them needs: it decides how the file is read.
    if let Some(form) = forms.iter().max_by_key(|form| form.version) {
        rdb::write_header(&mut header, *form, &fields);
    }
    header
}

fn begin(
    held: &mut Held<'_, '_>,
    options: &PersistenceOptions,
    forms: &[Form],
    header: Vec<u8>,
) -> Begun {
    let all = held.iter().flat_map(|(_, shards)| shards.iter().map(|(_, shard)| shard));
    let changes = all.map(Shard::changes).sum();
    for ((_, shards), form) in held.iter_mut().zip(forms) {
        shards.iter_mut().for_each(|shard| shard.begin_snapshot(*form));
    }
    let engines = held.iter().map(|(store, _)| Arc::clone(store)).collect();
    let as_commands = forms.iter().any(|form| form.as_commands);
    Begun { header, as_commands, changes, pace: options.save_pace, engines }
}

impl Begun {
    /// Writes it to its end, or until `is_cancelled`.
    pub(crate) fn write(&self, is_cancelled: &AtomicBool, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut write_piece = |(engine, shard): Part, out: &mut Vec<u8>| {
            if is_cancelled.load(Ordering::Relaxed) {
                return Err(io::Error::other("it was called off"));
            }
            let bytes_max = if self.pace.is_full() { PIECE_BYTES } else { 1 };
            self.pace.rest(usize::from(!self.pace.is_full()), is_cancelled);
            Ok(self.engines[engine].write_piece(shard, bytes_max, out))
        };
        let result = self.write_pieces(&mut write_piece, sink);
        if result.is_err() {
            self.engines.iter().for_each(|engine| engine.abandon_snapshot());
        }
        result
    }

    /// Writes it while all shards are held: those with which it began.
    pub(crate) fn write_held(
        &self,
        held: &mut Held<'_, '_>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let mut write_piece = |(engine, shard): Part, out: &mut Vec<u8>| {
            let Some((store, shards)) = held.get_mut(engine) else { return Ok(true) };
            let rules = store.rules();
            let piece =
                shards.get_mut(shard).map(|shard| shard.snapshot_piece(&rules, PIECE_BYTES, out));
            Ok(piece.is_none_or(|piece| piece.is_last))
        };
        self.write_pieces(&mut write_piece, sink)
    }

    /// `write_piece` appends a piece of a shard, and tells whether it was the last.
    fn write_pieces(
        &self,
        write_piece: &mut dyn FnMut(Part, &mut Vec<u8>) -> io::Result<bool>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let (mut crc, mut out) = (Crc64::new(), Vec::with_capacity(BATCH_BYTES + PIECE_BYTES));
        out.extend_from_slice(&self.header);
        let engines = self.engines.iter().enumerate();
        let mut left: Vec<Part> = engines
            .flat_map(|(index, engine)| (0..engine.shard_count()).map(move |shard| (index, shard)))
            .collect();
        while !left.is_empty() {
            // In turns, so that no shard keeps what was written ahead for long.
            let mut rest = Vec::with_capacity(left.len());
            for part in left {
                if !write_piece(part, &mut out)? {
                    rest.push(part);
                }
                if out.len() >= BATCH_BYTES {
                    crc.update(&out);
                    sink(&out)?;
                    out.clear();
                }
            }
            left = rest;
        }
        if !self.as_commands {
            crc.update(&out);
            rdb::write_footer(&mut out, Some(crc));
        }
        sink(&out)
    }
}
