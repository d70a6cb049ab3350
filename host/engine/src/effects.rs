//! Effects: the plain commands that bring a copy of the data to where a step brought the data.
//!
//! Whoever keeps a copy, a replica or an append-only file, runs them in order. A command that
//! changed data is its own effect, word for word, unless its handler says with [`Cx::rewrite`] and
//! its relatives what to run instead: because chance, the time or a wait had a part in what it did.
//! Keys and fields that go without having been named (they expired, or gave way) are told by the
//! keyspace. What is rolled back has no effect.
//!
//! Effects come in *units*, which take effect as a whole: a command, an EXEC, a batch, a waiter that
//! is served, a key that expires or gives way by itself. Making a transaction of a unit and selecting
//! databases is the business of whoever writes the effects down. A unit of one command as it came is
//! handed to the host as it is ([`Host::propagate_command`](crate::host::Host::propagate_command)); all
//! others are gathered here.
//!
//! Invariant: an effect is deterministic: it does the same at any time, for any number of shards and
//! with any random numbers, on the data that its primary had, for a session that
//! [obeys](crate::session::Session::obeys_primary).

use alloc::vec::Vec;

use reef_resp::Argv;

use crate::clock::Millis;
use crate::command::Flags;
use crate::error::Error;
use crate::registry::CommandRef;
use crate::step::{Cx, Share};
use crate::types::number;
use crate::types::stream_id::{Id, TEXT_BYTES_MAX};

/// Whom an effect is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Replicas and the log.
    #[default]
    All,
    /// Replicas: it is no change of data.
    ReplicasOnly,
    /// The log.
    LogOnly,
}

/// Commands that bring a copy of the data to where a step brought the data.
#[derive(Debug, Default)]
pub struct Effects {
    /// One command after the other, as RESP.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Whether the next effect belongs to the unit of the last one.
    is_open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    database: u32,
    audience: Audience,
    begins_unit: bool,
    /// Where its bytes end.
    end: usize,
}

/// A place between effects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectsMark {
    entries: usize,
    is_open: bool,
}

/// What must take effect as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    bytes: &'a [u8],
    /// Where the first command begins.
    start: usize,
    entries: &'a [Entry],
}

/// A command that a copy has to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'a> {
    /// The database to run it in.
    pub database: u32,
    /// The command: one RESP array of bulk strings.
    pub bytes: &'a [u8],
    /// Whom it is for.
    pub audience: Audience,
}

impl EffectsMark {
    /// Before all of them.
    pub(crate) const START: Self = Self { entries: 0, is_open: false };
}

impl Effects {
    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all of them, but keeps the memory, unless it is unusually large.
    pub fn clear(&mut self) {
        /// What most steps stay below. Every shard of every tenant may keep as much.
        const KEPT_BYTES_MAX: usize = 4 * 1024;
        if self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>() > KEPT_BYTES_MAX {
            *self = Self::default();
        }
        self.bytes.clear();
        self.entries.clear();
        self.is_open = false;
    }

    /// The units in order.
    pub fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        let mut start = 0;
        self.entries.chunk_by(|_, next| !next.begins_unit).map(move |entries| {
            let unit = Unit { bytes: &self.bytes, start, entries };
            start = entries.last().map_or(start, |last| last.end);
            unit
        })
    }

    /// Moves all effects of `other` behind these.
    pub fn append(&mut self, other: &mut Self) {
        self.is_open = false;
        other.is_open = false;
        if self.is_empty() {
            return core::mem::swap(self, other);
        }
        let offset = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        let moved = other.entries.drain(..);
        self.entries.extend(moved.map(|entry| Entry { end: offset + entry.end, ..entry }));
    }

    /// Adds a unit of one command, for everybody.
    pub(crate) fn append_command(&mut self, database: u32, frame: &[u8]) {
        self.end_unit();
        self.bytes.extend_from_slice(frame);
        self.end_entry(database, Audience::All);
        self.end_unit();
    }

    /// Ends the unit: what comes takes effect on its own.
    #[inline]
    pub(crate) fn end_unit(&mut self) {
        self.is_open = false;
    }

    /// Takes back what the unit that is open has so far.
    pub(crate) fn drop_unit(&mut self) {
        if !core::mem::take(&mut self.is_open) {
            return;
        }
        let first = self.entries.iter().rposition(|entry| entry.begins_unit).unwrap_or(0);
        self.entries.truncate(first);
        self.bytes.truncate(self.entries.last().map_or(0, |last| last.end));
    }

    /// Where they end by now.
    pub(crate) fn mark(&self) -> EffectsMark {
        EffectsMark { entries: self.entries.len(), is_open: self.is_open }
    }

    /// Takes back what has come since.
    pub(crate) fn rewind(&mut self, mark: EffectsMark) {
        self.entries.truncate(mark.entries);
        self.bytes.truncate(self.entries.last().map_or(0, |last| last.end));
        self.is_open = mark.is_open;
    }

    /// Adds a command: `words`, and `more` behind them.
    pub(crate) fn push<'w>(
        &mut self,
        database: u32,
        audience: Audience,
        words: &[&dyn Word],
        more: impl ExactSizeIterator<Item = &'w [u8]>,
    ) {
        self.bytes.push(b'*');
        number::write_u64(&mut self.bytes, (words.len() + more.len()) as u64);
        self.bytes.extend_from_slice(b"\r\n");
        words.iter().for_each(|word| word.say(&mut self.bytes));
        more.for_each(|word| word.say(&mut self.bytes));
        self.end_entry(database, audience);
    }

    /// Adds a command word for word.
    #[inline]
    pub(crate) fn repeat(&mut self, database: u32, audience: Audience, argv: Argv<'_>) {
        match argv.frame() {
            Some(frame) => {
                self.bytes.extend_from_slice(frame);
                self.end_entry(database, audience);
            }
            None => self.push(database, audience, &[], argv.iter()),
        }
    }

    fn end_entry(&mut self, database: u32, audience: Audience) {
        let begins_unit = !core::mem::replace(&mut self.is_open, true);
        self.entries.push(Entry { database, audience, begins_unit, end: self.bytes.len() });
    }
}

impl<'a> Unit<'a> {
    /// The commands in order; at least one.
    pub fn commands(self) -> impl ExactSizeIterator<Item = Effect<'a>> {
        let (bytes, mut start) = (self.bytes, self.start);
        self.entries.iter().map(move |entry| {
            let from = core::mem::replace(&mut start, entry.end);
            let bytes = bytes.get(from..entry.end).unwrap_or_default();
            Effect { database: entry.database, bytes, audience: entry.audience }
        })
    }
}

/// Something that can be an argument of an effect.
pub trait Word {
    /// Appends it as a bulk string.
    fn say(&self, out: &mut Vec<u8>);
}

impl Word for &[u8] {
    fn say(&self, out: &mut Vec<u8>) {
        out.push(b'$');
        number::write_u64(out, self.len() as u64);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self);
        out.extend_from_slice(b"\r\n");
    }
}

impl Word for Vec<u8> {
    fn say(&self, out: &mut Vec<u8>) {
        self.as_slice().say(out);
    }
}

impl Word for &str {
    fn say(&self, out: &mut Vec<u8>) {
        self.as_bytes().say(out);
    }
}

impl Word for u64 {
    fn say(&self, out: &mut Vec<u8>) {
        number::format_u64(&mut [0; 20], *self).say(out);
    }
}

impl Word for i64 {
    fn say(&self, out: &mut Vec<u8>) {
        number::format_i64(&mut [0; 20], *self).say(out);
    }
}

impl Word for usize {
    fn say(&self, out: &mut Vec<u8>) {
        (*self as u64).say(out);
    }
}

impl Word for Millis {
    fn say(&self, out: &mut Vec<u8>) {
        self.get().say(out);
    }
}

impl Word for Id {
    fn say(&self, out: &mut Vec<u8>) {
        self.format(&mut [0; TEXT_BYTES_MAX]).say(out);
    }
}

/// Most elements that one effect names.
pub(crate) const ELEMENTS_MAX: usize = 1024;

/// DEL or UNLINK, whichever frees a value in the way that the configuration wants.
pub(crate) fn removal(lazily: bool) -> &'static str {
    if lazily { "UNLINK" } else { "DEL" }
}

impl Cx<'_> {
    /// Says what a copy has to run instead of the command at hand. To be called when that has done
    /// its work; again, if a copy has to run several commands.
    #[inline]
    pub fn rewrite(&mut self, words: &[&dyn Word]) {
        self.rewrite_with(words, core::iter::empty());
    }

    /// The same with more words behind.
    #[inline]
    pub fn rewrite_with<'w>(
        &mut self,
        words: &[&dyn Word],
        more: impl ExactSizeIterator<Item = &'w [u8]>,
    ) {
        if self.keys.propagates() {
            self.keys.set_said(true);
            self.keys.say_effect(words, more);
        }
    }

    /// The same with elements behind, in as many commands as it takes.
    pub fn rewrite_each(&mut self, words: &[&dyn Word], elements: &[impl AsRef<[u8]>]) {
        for elements in elements.chunks(ELEMENTS_MAX) {
            self.rewrite_with(words, elements.iter().map(AsRef::as_ref));
        }
    }

    /// Does something with another database selected; the effects that it says are of that one.
    pub fn in_database<R>(&mut self, database: u32, act: impl FnOnce(&mut Self) -> R) -> R {
        let selected = core::mem::replace(&mut self.keys.database, database);
        let result = act(self);
        self.keys.database = selected;
        result
    }

    /// The command at hand has no effect but those that its handler says, if any.
    #[inline]
    pub fn rewrite_as_told(&mut self) {
        if self.keys.propagates() {
            self.keys.set_said(true);
        }
    }

    /// The command at hand is its own effect, even if it changed nothing.
    pub fn repeat(&mut self, argv: Argv<'_>, audience: Audience) {
        if self.keys.propagates() {
            let database = self.keys.database;
            self.keys.set_said(true);
            self.keys.effects().repeat(database, audience, argv);
        }
    }

    /// Runs a command as [`call`](Self::call) does, and says its effect.
    #[inline(never)]
    pub(crate) fn call_and_tell(
        &mut self,
        share: Share,
        command: &CommandRef,
        argv: Argv<'_>,
    ) -> Result<(), Error> {
        let (changes, database) = (self.keys.changes(), self.keys.database);
        if command.flags.has(Flags::WRITE) && self.keys.has_due() {
            // What has expired is gone for this command, so it must be for a copy.
            command.keys.visit(argv, |position| self.keys.shed(argv.get(position)));
        }
        self.keys.set_said(false);
        let result = self.call(command, argv);
        let may_tell = command.flags.has(Flags::WRITE) || command.flags.has(Flags::MAY_REPLICATE);
        let is_changed = self.keys.changes() != changes;
        if may_tell && is_changed && !self.keys.is_said() {
            self.tell_repeated(share, database, argv);
        }
        result
    }

    /// Says that the command at hand is its own effect.
    #[inline]
    fn tell_repeated(&mut self, share: Share, database: u32, argv: Argv<'_>) {
        let is_only =
            share == Share::Whole && !self.keys.has_effects() && !self.keys.has_unappended();
        if is_only && argv.frame().is_some_and(|frame| self.host.propagate_command(database, frame))
        {
            return;
        }
        self.keys.effects().repeat(database, Audience::All, argv);
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec;

    use super::*;

    fn shown(effects: &Effects) -> Vec<Vec<(u32, String)>> {
        let text = |effect: Effect<'_>| {
            let text = String::from_utf8_lossy(effect.bytes).replace("\r\n", " ");
            (effect.database, text)
        };
        effects.units().map(|unit| unit.commands().map(text).collect()).collect()
    }

    fn say(effects: &mut Effects, database: u32, words: &[&dyn Word]) {
        effects.push(database, Audience::All, words, core::iter::empty());
    }

    #[test]
    fn units_come_in_order_and_words_as_bulks() {
        let mut effects = Effects::default();
        assert!(effects.is_empty() && effects.units().next().is_none());
        let (key, at) = (&b"k"[..], Millis::new(12));
        say(&mut effects, 0, &[&"SET", &key, &-1_i64]);
        say(&mut effects, 3, &[&"PEXPIREAT", &key, &at]);
        effects.end_unit();
        effects.end_unit();
        say(&mut effects, 0, &[&"XDEL", &key, &Id::new(1, 2)]);
        let set = String::from("*3 $3 SET $1 k $2 -1 ");
        let pexpireat = String::from("*3 $9 PEXPIREAT $1 k $2 12 ");
        let xdel = String::from("*3 $4 XDEL $1 k $3 1-2 ");
        let all = vec![vec![(0, set), (3, pexpireat)], vec![(0, xdel)]];
        assert_eq!(shown(&effects), all);
        let mut behind = Effects::default();
        behind.append(&mut effects);
        assert!(effects.is_empty() && shown(&behind) == all);
        say(&mut effects, 0, &[&"DEL", &key]);
        behind.append(&mut effects);
        assert_eq!(shown(&behind).len(), 3);
        behind.clear();
        assert!(behind.is_empty() && shown(&behind).is_empty());
    }

    #[test]
    fn only_the_open_unit_is_dropped() {
        let mut effects = Effects::default();
        effects.drop_unit();
        say(&mut effects, 0, &[&"DEL", &"a"]);
        effects.end_unit();
        effects.drop_unit();
        assert_eq!(shown(&effects).len(), 1);
        say(&mut effects, 0, &[&"DEL", &"b"]);
        say(&mut effects, 0, &[&"DEL", &"c"]);
        effects.drop_unit();
        say(&mut effects, 0, &[&"DEL", &"d"]);
        let texts: Vec<_> = shown(&effects).concat().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["*2 $3 DEL $1 a ", "*2 $3 DEL $1 d "]);
    }

    #[test]
    fn what_came_since_a_mark_is_taken_back() {
        let mut effects = Effects::default();
        let first = effects.mark();
        say(&mut effects, 0, &[&"DEL", &"a"]);
        let second = effects.mark();
        say(&mut effects, 0, &[&"DEL", &"b"]);
        effects.rewind(second);
        say(&mut effects, 0, &[&"DEL", &"c"]);
        assert_eq!(shown(&effects).len(), 1, "it is one unit still");
        let texts: Vec<_> = shown(&effects).concat().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["*2 $3 DEL $1 a ", "*2 $3 DEL $1 c "]);
        effects.rewind(first);
        assert!(effects.is_empty());
    }
}
