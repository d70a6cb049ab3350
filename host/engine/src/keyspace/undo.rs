//! The log of inverse operations that takes a failed batch back.
//!
//! Each entry undoes one change, so undoing all of them from the last to the first leaves the data
//! as it was. Values are moved in, never copied: undoing a deleted list of a million elements is
//! as cheap as deleting it was.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::edit::{ListEnd, StreamInverse};
use super::losses::Loss;
use super::slot::Slot;
use crate::clock::Millis;
use crate::effects::{Effects, EffectsMark};
use crate::notifications::{EXPIRED, Happening};
use crate::search::Part;
use crate::triggers::Origin;
use crate::types::hash::Removed;
use crate::types::json::Change;
use crate::types::list::List;
use crate::types::suggestions::Suggestion;
use crate::waiters::Waiters;

/// Undoes one change.
#[derive(Debug)]
pub enum Inverse {
    /// The key was not there: remove it.
    Remove {
        /// Its database.
        database: u32,
        /// The key.
        key: Box<[u8]>,
    },
    /// The slot was replaced or removed: put it back.
    Restore {
        /// Its database.
        database: u32,
        /// What was there.
        slot: Slot,
    },
    /// The value was moved: move it back. What it replaced has an entry of its own, before this.
    Rename {
        /// Where it was.
        database: u32,
        /// The key it had.
        key: Box<[u8]>,
        /// Where it went.
        to_database: u32,
        /// The key it got.
        to: Box<[u8]>,
    },
    /// The expiry was changed.
    Expiry {
        /// The key's database.
        database: u32,
        /// The key.
        key: Box<[u8]>,
        /// What it was.
        expires_at: Option<Millis>,
    },
    /// Elements of a collection were changed.
    Edit {
        /// The key's database.
        database: u32,
        /// The key.
        key: Box<[u8]>,
        /// What undoes the changes, first change first.
        steps: Vec<EditInverse>,
    },
    /// Bytes of a string were changed: bring it to `len`, then write `bytes` at `offset`.
    Text {
        /// The key's database.
        database: u32,
        /// The key.
        key: Box<[u8]>,
        /// The length it had.
        len: usize,
        /// Where bytes were overwritten.
        offset: usize,
        /// What they were.
        bytes: Vec<u8>,
    },
    /// What was due went: it stays away, and copies must hear so.
    Lost(Loss),
    /// A watched key was counted as changed.
    Watched {
        /// The key's database.
        database: u32,
        /// The key.
        key: Box<[u8]>,
        /// The count before.
        version: u64,
    },
}

/// Undoes one change of a collection's elements.
#[derive(Debug)]
pub enum EditInverse {
    /// A member was removed from a set.
    SetAdd(Box<[u8]>),
    /// A member was added to a set.
    SetRemove(Box<[u8]>),
    /// A field of a hash had this value.
    HashPut(Box<[u8]>, Box<[u8]>),
    /// A field of a hash was not there.
    HashRemove(Box<[u8]>),
    /// A field of a hash was to expire then.
    HashExpiry(Box<[u8]>, Option<Millis>),
    /// A field was removed from a hash.
    HashRestore(Box<[u8]>, Removed),
    /// An element stood at this end of a list.
    ListPush(ListEnd, Box<[u8]>),
    /// An element was pushed to this end of a list.
    ListPop(ListEnd),
    /// The element at this index of a list was another one.
    ListSet(usize, Box<[u8]>),
    /// An element was inserted at this index of a list.
    ListRemove(usize),
    /// An element stood at these ascending indices of a list.
    ListInsert(Vec<usize>, Box<[u8]>),
    /// These elements stood before and after the others of a list.
    ListJoin(List, List),
    /// A member of a sorted set had this score.
    SortedSetPut(Box<[u8]>, f64),
    /// A member of a sorted set was not there.
    SortedSetRemove(Box<[u8]>),
    /// Something about a stream was changed.
    Stream(Box<StreamInverse>),
    /// A suggestion was this, or was not there.
    Suggestion(Box<[u8]>, Option<Suggestion>),
    /// Something within a document was changed.
    Json(Box<Change>),
}

/// A key of a database.
pub type NumberedKey = (u32, Box<[u8]>);

/// What a step changed: the count, the keys that somebody waits for, and how to undo it.
#[derive(Debug, Default)]
pub struct Journal {
    /// Changes so far; a command that leaves it alone wrote nothing.
    pub changes: u64,
    /// The earliest expiry that was set: somebody must be awake then.
    pub earliest_expiry: Option<Millis>,
    /// Keys that changed and that somebody waits for, in the order of the changes.
    ready: Vec<NumberedKey>,
    /// What happened and was not told yet, in order; kept only if somebody may want to hear it.
    happenings: Vec<Happening>,
    /// How many of them were looked at for durable triggers.
    looked_at: usize,
    /// The trigger that causes the step, if one does.
    pub origin: Option<Origin>,
    /// Keys that changed, and who changed them, for those who hear of whole prefixes.
    broadcasts: Vec<(Box<[u8]>, u64)>,
    undo: Option<Vec<Inverse>>,
    /// What copies of the data have to run, if anything was said since it was handed on.
    pub(super) effects: Option<Box<Effects>>,
    /// Whether the command at hand has said what to run instead of it.
    pub(super) is_said: bool,
    /// Large values that left their keys: they end when no shard is held.
    pub waste: Waste,
}

/// Where a command of a step began that can be taken back alone.
#[derive(Debug)]
pub(crate) struct Beginning {
    changes: u64,
    ready: usize,
    happenings: usize,
    pub(super) effects: EffectsMark,
    /// How to undo what came before, if that can be.
    before: Option<Vec<Inverse>>,
}

/// Values whose end takes long.
#[derive(Debug, Default)]
pub struct Waste {
    /// Those that end in the step's own thread.
    here: Vec<Slot>,
    /// Those that end elsewhere because it was asked for.
    lazily: Vec<Slot>,
    /// Those that end elsewhere because they would hold the thread up for too long.
    apart: Vec<Slot>,
    /// Indexes' parts; they end elsewhere.
    indexes: Vec<Part>,
}

impl Waste {
    pub(super) fn push(&mut self, slot: Slot, lazily: bool) {
        /// From how many parts on a value takes milliseconds to end.
        const HUGE_PARTS: usize = 20_000;
        if lazily {
            self.lazily.push(slot);
        } else if slot.parts() >= HUGE_PARTS {
            self.apart.push(slot);
        } else {
            self.here.push(slot);
        }
    }

    pub(super) fn push_index(&mut self, part: Part) {
        self.indexes.push(part);
    }

    /// Takes away indexes' parts.
    #[inline]
    pub fn take_indexes(&mut self) -> Vec<Part> {
        core::mem::take(&mut self.indexes)
    }

    /// Takes away what is to end elsewhere because it was asked for.
    #[inline]
    pub fn take_lazily(&mut self) -> Vec<Slot> {
        core::mem::take(&mut self.lazily)
    }

    /// Takes away what is to end elsewhere although nobody asked for it.
    #[inline]
    pub fn take_apart(&mut self) -> Vec<Slot> {
        core::mem::take(&mut self.apart)
    }
}

impl Journal {
    /// A journal that only counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// A journal that can undo.
    pub fn undoable() -> Self {
        Self { undo: Some(Vec::new()), ..Self::default() }
    }

    /// Remembers the earliest expiry that is set.
    pub fn note_expiry(&mut self, expires_at: Option<Millis>) {
        self.earliest_expiry = [self.earliest_expiry, expires_at].into_iter().flatten().min();
    }

    /// Whether inverses are kept.
    #[inline]
    pub fn is_undoable(&self) -> bool {
        self.undo.is_some()
    }

    /// Whether there are effects that nobody was handed yet.
    pub fn has_effects(&self) -> bool {
        self.effects.as_ref().is_some_and(|effects| !effects.is_empty())
    }

    /// Records an inverse, which is only made if it is needed.
    #[inline]
    pub fn undo_by(&mut self, inverse: impl FnOnce() -> Inverse) {
        if let Some(undo) = &mut self.undo {
            undo.push(inverse());
        }
    }

    /// Remembers that a key changed for which somebody waits.
    pub fn note_ready(&mut self, database: u32, key: &[u8]) {
        let last = self.ready.last().map(|(database, key)| (*database, &**key));
        if last != Some((database, key)) {
            self.ready.push((database, key.into()));
        }
    }

    /// Forgets that a key changed: who waits for it first knows.
    pub fn forget_ready(&mut self, key: &NumberedKey) {
        self.ready.retain(|other| other != key);
    }

    /// Remembers every key of a database for which somebody waits.
    pub fn note_all_ready(&mut self, database: u32, waiters: &Waiters) {
        self.ready.extend(waiters.keys_in(database).map(|key| (database, key.into())));
    }

    /// Remembers that something happened.
    pub(crate) fn note_happening(&mut self, happening: Happening) {
        if happening != Happening::Flush || self.happenings.last() != Some(&Happening::Flush) {
            self.happenings.push(happening);
        }
    }

    /// Whether something happened that was not told yet.
    #[inline]
    pub(crate) fn has_happenings(&self) -> bool {
        !self.happenings.is_empty()
    }

    /// Whether something happened that was not looked at for durable triggers.
    #[inline]
    pub(crate) fn has_unappended(&self) -> bool {
        self.looked_at < self.happenings.len()
    }

    /// What was not looked at for durable triggers.
    pub(crate) fn take_unappended(&mut self) -> Vec<Happening> {
        let new = self.happenings.get(self.looked_at..).unwrap_or_default().to_vec();
        self.looked_at = self.happenings.len();
        new
    }

    /// Takes away what happened.
    pub(crate) fn take_happenings(&mut self) -> Vec<Happening> {
        self.looked_at = 0;
        core::mem::take(&mut self.happenings)
    }

    /// Remembers a change for those who hear of whole prefixes.
    pub(crate) fn note_broadcast(&mut self, key: Box<[u8]>, writer: u64) {
        self.broadcasts.push((key, writer));
    }

    /// Takes away the changes for those who hear of whole prefixes.
    #[inline]
    pub(crate) fn take_broadcasts(&mut self) -> Vec<(Box<[u8]>, u64)> {
        core::mem::take(&mut self.broadcasts)
    }

    /// Forgets the changes: they were undone. Keys that expired meanwhile stay expired.
    pub fn forget(&mut self) {
        self.changes = 0;
        self.ready.clear();
        self.happenings.retain(is_lasting);
        self.looked_at = 0;
    }

    /// From here on, until it is kept or taken back, a command can be undone alone.
    pub(super) fn begin(&mut self) -> Beginning {
        Beginning {
            changes: self.changes,
            ready: self.ready.len(),
            happenings: self.happenings.len(),
            effects: self.effects.as_ref().map_or(EffectsMark::START, |effects| effects.mark()),
            before: self.undo.replace(Vec::new()),
        }
    }

    /// What was done since stays. If nothing else undoes it, what left its key goes as it would have.
    pub(super) fn keep(&mut self, beginning: Beginning) {
        let since = core::mem::replace(&mut self.undo, beginning.before).unwrap_or_default();
        match &mut self.undo {
            Some(undo) => undo.extend(since),
            None => since.into_iter().for_each(|inverse| {
                if let Inverse::Restore { slot, .. } = inverse {
                    self.waste.push(slot, false);
                }
            }),
        }
    }

    /// Gives the inverses of what was done since, and forgets that it was. What expired meanwhile stays
    /// expired.
    pub(super) fn take_since(&mut self, beginning: Beginning) -> Vec<Inverse> {
        self.changes = beginning.changes;
        self.ready.truncate(beginning.ready);
        let since = self.happenings.split_off(beginning.happenings.min(self.happenings.len()));
        self.happenings.extend(since.into_iter().filter(is_lasting));
        self.looked_at = self.looked_at.min(beginning.happenings);
        core::mem::replace(&mut self.undo, beginning.before).unwrap_or_default()
    }

    /// Takes the keys away that changed and that somebody waits for.
    #[inline]
    pub fn take_ready(&mut self) -> Vec<NumberedKey> {
        core::mem::take(&mut self.ready)
    }

    /// Takes the inverses away, first change first.
    pub fn take_undo(&mut self) -> Vec<Inverse> {
        self.undo.take().unwrap_or_default()
    }
}

/// Whether something is not undone with the step that met it.
fn is_lasting(happening: &Happening) -> bool {
    matches!(happening, Happening::Event(EXPIRED, ..))
}
