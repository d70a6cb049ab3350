//! Snapshots: all keys as they were at one instant, written piece by piece while they change.
//!
//! Each slot carries the number of the *epoch* in which it was written last, by a change or by a
//! snapshot. A snapshot begins by giving its database the next epoch, in constant time: every slot of
//! an older epoch is now owed to it, and every new one is not. A walk over the table writes what is
//! owed, in pieces that hold the shard for as long as the caller allows; whatever is about to change
//! or to go meanwhile is written first ([`Epoch::keep`], called by the methods of [`Database`]
//! themselves, so that nobody can forget it). Each slot is thus written exactly once, as it was when
//! the snapshot began.
//!
//! A database that is emptied moves into the snapshot as it is, walk and all; one that is exchanged
//! keeps its walk, and the number that it had.
//!
//! An abandoned snapshot leaves slots of several epochs behind. That does no harm: each of them is
//! older than the next one. Only before epochs would meet again, after [`EPOCHS`] less one abandoned
//! snapshots in a row, does a beginning cost a look at every slot.
//!
//! What it does not do: a value is written in one go, however large it is, and so is one that
//! changes; pieces are bounded only up to the value that crosses the bound, and by a segment of the table. What was
//! written ahead waits in memory until the next piece is taken ([`Shard::snapshot_bytes`]).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::database::Database;
use super::shard::Shard;
use super::slot::{EPOCHS, Slot};
use crate::rdb::{self, Form};
use crate::retelling;
use crate::settings::Rules;
use crate::types::hasher::Hasher;
use crate::types::segmented::position;

/// The epoch of a database, and what it owes to a snapshot.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    current: u8,
    /// How many epochs a slot may be behind: one while a snapshot runs, more after abandoned ones.
    behind: u8,
    owed: Option<Box<Owed>>,
}

/// What a database owes to the snapshot that runs.
#[derive(Debug)]
struct Owed {
    form: Form,
    /// The number of the database when the snapshot began.
    number: u32,
    /// Up to where the walk over the table came.
    position: u64,
    /// Records of slots that changed before the walk came to them.
    ahead: Vec<u8>,
}

/// What a call of [`Shard::snapshot_piece`] gave.
#[derive(Debug)]
pub struct Piece {
    /// Whether the snapshot of this shard is complete.
    pub is_last: bool,
    /// Databases that were emptied while the snapshot needed them; their end may take long.
    pub waste: Vec<Database>,
}

/// A shard's part in a snapshot.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// Databases that were emptied since it began.
    detached: Vec<Database>,
}

impl Epoch {
    /// Writes a slot that is about to change or has just gone, if a snapshot is owed it.
    #[inline]
    pub(super) fn keep(&mut self, slot: &mut Slot, hasher: &Hasher) {
        if let Some(owed) = &mut self.owed
            && slot.epoch() != self.current
        {
            owed.write_ahead(slot, hasher);
            slot.set_epoch(self.current);
        }
    }

    /// Marks a slot as one that no snapshot is owed.
    #[inline]
    pub(super) fn mark(&self, slot: &mut Slot) {
        slot.set_epoch(self.current);
    }

    /// Whether a snapshot is owed something.
    pub(super) fn is_owed(&self) -> bool {
        self.owed.is_some()
    }

    /// Panics if a slot is of an epoch that cannot be, or was passed over by the walk.
    pub(super) fn check<'s>(&self, slots: impl Iterator<Item = &'s Slot>, hasher: &Hasher) {
        for slot in slots {
            let behind = (self.current + EPOCHS - slot.epoch()) % EPOCHS;
            assert!(behind <= self.behind, "a slot of the epoch before the last {}", self.behind);
            if let Some(owed) = &self.owed
                && position(hasher.hash(slot.key())) < owed.position
            {
                assert_eq!(behind, 0, "the walk has passed over a slot");
            }
        }
    }
}

/// Says of which database the next keys are.
fn write_select(out: &mut Vec<u8>, number: u32, form: Form) {
    if form.as_commands {
        retelling::tell_select(out, number);
    } else {
        rdb::write_select(out, number);
    }
}

/// Writes all that there is to a key.
fn write_key(out: &mut Vec<u8>, slot: &Slot, hasher: &Hasher, form: Form) {
    if form.as_commands {
        retelling::tell_key(out, slot, hasher);
    } else {
        rdb::write_record(out, slot, hasher, form);
    }
}

impl Owed {
    #[cold]
    fn write_ahead(&mut self, slot: &Slot, hasher: &Hasher) {
        if self.ahead.is_empty() {
            write_select(&mut self.ahead, self.number, self.form);
        }
        write_key(&mut self.ahead, slot, hasher, self.form);
    }
}

impl Database {
    fn begin_snapshot(&mut self, number: u32, form: Form) {
        if self.epoch.behind == EPOCHS - 1 {
            let mut at = 0;
            while let Some((slots, epoch, end)) = self.segment_mut(at) {
                slots.for_each(|slot| epoch.mark(slot));
                at = end;
            }
            self.epoch.behind = 0;
        }
        self.epoch.current = (self.epoch.current + 1) % EPOCHS;
        self.epoch.behind += 1;
        self.epoch.owed = Some(Box::new(Owed { form, number, position: 0, ahead: Vec::new() }));
    }

    /// Gives away what was written ahead.
    fn take_ahead(&mut self, out: &mut Vec<u8>) {
        let Some(owed) = &mut self.epoch.owed else { return };
        let mut ahead = core::mem::take(&mut owed.ahead);
        if out.is_empty() {
            core::mem::swap(out, &mut ahead);
        } else {
            out.append(&mut ahead);
        }
    }

    /// Walks on until the budget is spent; gives what is left of it. At the end of the walk nothing
    /// is owed any more.
    fn walk(&mut self, hasher: &Hasher, mut budget: usize, out: &mut Vec<u8>) -> usize {
        /// What looking at a slot is worth, in bytes that are read or written in the same time.
        const LOOK_BYTES: usize = 32;
        let Some(owed) = &self.epoch.owed else { return budget };
        let (form, number, mut at) = (owed.form, owed.number, owed.position);
        let mut is_selected = false;
        while budget > 0 {
            let Some((slots, epoch, end)) = self.segment_mut(at) else {
                self.epoch.owed = None;
                self.epoch.behind = 0;
                break;
            };
            // An empty segment takes time, too.
            let mut looked = 1;
            // First all of them, so that the processor fetches many at once.
            let look = |slot: &&mut Slot| {
                looked += 1;
                slot.epoch() != epoch.current
            };
            let slots: Vec<&mut Slot> = slots.filter(look).collect();
            if !slots.is_empty() && !is_selected {
                write_select(out, number, form);
                is_selected = true;
            }
            for slot in slots {
                // The next piece begins with this segment again and passes over what was written.
                if budget == 0 {
                    return 0;
                }
                let start = out.len();
                write_key(out, slot, hasher, form);
                epoch.mark(slot);
                budget = budget.saturating_sub(out.len() - start + slot.heap_bytes());
            }
            budget = budget.saturating_sub(looked * LOOK_BYTES);
            at = end;
            if let Some(owed) = &mut epoch.owed {
                owed.position = at;
            }
        }
        budget
    }
}

impl Shard {
    /// Begins a snapshot of all databases in constant time for each; to be called on all shards
    /// while all are held. One that runs is abandoned, and what only it still had ends here.
    pub fn begin_snapshot(&mut self, form: Form) {
        drop(self.abandon_snapshot());
        for (number, database) in self.databases_mut() {
            if !database.is_empty() {
                database.begin_snapshot(form.first_database + number, form);
            }
        }
        self.snapshot = Some(Box::default());
    }

    /// Whether a snapshot runs.
    pub fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Appends what was written ahead, then walks on, about as far as reading and writing
    /// `budget_bytes` allows: 64 KiB take some 50 us. The records stand for themselves: they say
    /// which database they belong to.
    pub fn snapshot_piece(
        &mut self,
        rules: &Rules,
        budget_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Piece {
        let Some(mut snapshot) = self.snapshot.take() else {
            return Piece { is_last: true, waste: Vec::new() };
        };
        let (mut budget, mut is_last) = (budget_bytes.max(1), true);
        let attached = self.databases_mut().map(|(_, database)| database);
        for database in attached.chain(&mut snapshot.detached) {
            database.take_ahead(out);
            budget = database.walk(&rules.hasher, budget, out);
            is_last &= !database.epoch.is_owed();
        }
        let done = snapshot.detached.extract_if(.., |database| !database.epoch.is_owed());
        let waste = done.collect();
        if !is_last {
            self.snapshot = Some(snapshot);
        }
        Piece { is_last, waste }
    }

    /// Ends a snapshot that nobody wants any more; gives the databases that only it still had, whose
    /// end may take long.
    pub fn abandon_snapshot(&mut self) -> Vec<Database> {
        self.databases_mut().for_each(|(_, database)| database.epoch.owed = None);
        self.snapshot.take().map(|snapshot| snapshot.detached).unwrap_or_default()
    }

    /// Bytes that the snapshot holds in memory: what was written ahead, and databases that were
    /// emptied meanwhile.
    pub fn snapshot_bytes(&self) -> usize {
        let Some(snapshot) = &self.snapshot else { return 0 };
        let ahead = |database: &Database| {
            database.epoch.owed.as_ref().map_or(0, |owed| owed.ahead.capacity())
        };
        let attached: usize = self.databases().map(|(_, database)| ahead(database)).sum();
        let detached = snapshot.detached.iter();
        attached + detached.map(|part| ahead(part) + part.heap_bytes()).sum::<usize>()
    }

    /// Empties a database. Gives how many keys it had, and what they were unless a snapshot still
    /// needs it.
    pub(super) fn flush_database(&mut self, number: u32) -> (usize, Option<Database>) {
        let Some(database) = self.take_database(number) else { return (0, None) };
        let keys = database.len();
        // Options of searching stay; the indexes end with their keys.
        let left = database.indexes().map(|indexes| Box::new(indexes.emptied()));
        if let Some(indexes) = left {
            self.database_or_new(number).put_indexes(Some(indexes));
        }
        match &mut self.snapshot {
            Some(snapshot) if database.epoch.is_owed() => {
                snapshot.detached.push(*database);
                (keys, None)
            }
            _ => (keys, Some(*database)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::super::access::Access;
    use super::super::{Journal, Keyspace, Shards};
    use super::*;
    use crate::clock::Millis;
    use crate::settings::Settings;

    const KEYS: usize = 2000;

    fn filled() -> (Shard, Rules) {
        let rules = Rules::new(7, 1, Settings::default());
        let mut shard = Shard::new();
        for number in 0..KEYS {
            let key = format!("key:{number}");
            let slot = Slot::text(key.as_bytes(), b"some text", None, Access::default());
            assert!(shard.load(0, slot, &rules.hasher).is_ok());
        }
        shard.begin_snapshot(Form::FILE);
        (shard, rules)
    }

    /// The pieces to the end: how many they were, and what they gave back.
    fn walk(shard: &mut Shard, rules: &Rules, budget_bytes: usize) -> (usize, Vec<Database>) {
        let (mut count, mut waste) = (0, Vec::new());
        loop {
            let mut out = Vec::new();
            let piece = shard.snapshot_piece(rules, budget_bytes, &mut out);
            assert!(out.len() <= budget_bytes + 50, "{} bytes", out.len());
            count += 1;
            waste.extend(piece.waste);
            shard.check(&rules.hasher);
            if piece.is_last {
                return (count, waste);
            }
        }
    }

    #[test]
    fn pieces_are_small_and_end() {
        let (mut shard, rules) = filled();
        assert!(shard.has_snapshot());
        let (count, waste) = walk(&mut shard, &rules, 1000);
        assert!(count > KEYS * 25 / 1000 && waste.is_empty(), "{count} pieces");
        assert!(!shard.has_snapshot());
        assert!(shard.snapshot_piece(&rules, 1000, &mut Vec::new()).is_last);
    }

    #[test]
    fn what_is_only_used_is_not_written_ahead() {
        let (mut shard, rules) = filled();
        let now = Millis::new(1 << 40);
        let mut journal = Journal::new();
        let mut keys = Keyspace::new(Shards::One(&mut shard), &rules, now, 0, &mut journal);
        assert!(keys.read(b"key:1").is_some());
        assert!(!keys.exists(b"nothing"));
        assert_eq!(shard.snapshot_bytes(), 0);
        let mut keys = Keyspace::new(Shards::One(&mut shard), &rules, now, 0, &mut journal);
        assert!(keys.remove(b"key:1"));
        assert!(shard.snapshot_bytes() > 0);
        shard.abandon_snapshot();
        assert_eq!(shard.snapshot_bytes(), 0);
    }

    #[test]
    fn an_emptied_database_is_given_back_when_it_was_written() {
        let (mut shard, rules) = filled();
        let mut journal = Journal::new();
        let now = Millis::new(1 << 40);
        let mut keys = Keyspace::new(Shards::One(&mut shard), &rules, now, 0, &mut journal);
        assert!(keys.flush(0).is_empty(), "the snapshot still needs it");
        assert!(keys.is_empty());
        assert_eq!(keys.changes(), KEYS as u64);
        assert!(shard.snapshot_bytes() > KEYS * 16);
        let (_, waste) = walk(&mut shard, &rules, 1000);
        assert_eq!(waste.iter().map(Database::len).collect::<Vec<_>>(), [KEYS]);

        let (mut shard, rules) = filled();
        shard.flush_database(0);
        assert_eq!(shard.abandon_snapshot().len(), 1);
        let (mut shard, rules) = (filled().0, rules);
        walk(&mut shard, &rules, 10_000);
        let (keys, part) = shard.flush_database(0);
        assert_eq!((keys, part.map(|part| part.len())), (KEYS, Some(KEYS)));
    }
}
