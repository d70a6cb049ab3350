//! Changes of streams: of their entries, of what they remember, of their groups.
//!
//! What a stream remembers is put back as a whole, since nearly every change of entries changes it.

use alloc::boxed::Box;

use super::{Edit, EditInverse};
use crate::clock::Millis;
use crate::types::stream::{Marks, Removed, Stream, Trim};
use crate::types::stream_group::{Cursor, Dismissed, Group, Pending, Times};
use crate::types::stream_id::Id;

/// Undoes one change of a stream.
#[derive(Debug)]
pub enum StreamInverse {
    /// An entry was appended.
    Pop(Marks),
    /// Entries were removed.
    Restore(Removed, Marks),
    /// This was remembered.
    Marks(Marks),
    /// A group was created.
    TakeGroup(Box<[u8]>),
    /// A group was destroyed.
    PutGroup(Box<[u8]>, Group),
    /// Something within a group was changed.
    Group(Box<[u8]>, GroupInverse),
}

/// Undoes one change within a group.
#[derive(Debug)]
pub enum GroupInverse {
    /// The group had read up to here.
    Cursor(Cursor),
    /// A consumer was created.
    RemoveConsumer(Box<[u8]>),
    /// A consumer was removed.
    RestoreConsumer(Dismissed),
    /// A consumer had these times.
    Times(Box<[u8]>, Times),
    /// This was known of a pending entry, or it was not pending.
    Pending(Id, Option<Pending>),
}

impl Edit<'_, Stream> {
    fn stream_changed(&mut self, changes: usize, inverse: impl FnOnce() -> StreamInverse) {
        self.changed_by(changes, || EditInverse::Stream(Box::new(inverse())));
    }

    /// Appends an entry with the fields and values of `pairs` in turn. Its id must be one that the
    /// stream gave.
    pub fn append<'p>(&mut self, id: Id, pairs: impl ExactSizeIterator<Item = &'p [u8]> + Clone) {
        let marks = *self.marks();
        self.value.append(id, pairs, &self.rules.settings.limits);
        self.stream_changed(1, || StreamInverse::Pop(marks));
    }

    /// Deletes an entry. Whether it was there.
    pub fn delete(&mut self, id: Id) -> bool {
        let marks = *self.marks();
        let Some(removed) = self.value.delete(id) else { return false };
        self.stream_changed(1, || StreamInverse::Restore(removed, marks));
        true
    }

    /// Removes entries from the front. How many they were.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        let marks = *self.marks();
        let removed = self.value.trim(trim);
        let count = removed.count();
        if count > 0 {
            let changes = usize::try_from(count).unwrap_or(usize::MAX);
            self.stream_changed(changes, || StreamInverse::Restore(removed, marks));
        }
        count
    }

    /// Sets what is remembered.
    pub fn set_marks(&mut self, marks: Marks) {
        let before = self.value.set_marks(marks);
        self.stream_changed(1, || StreamInverse::Marks(before));
    }

    /// Creates a group, unless there is one with this name. Whether it is new.
    pub fn create_group(&mut self, name: &[u8], cursor: Cursor) -> bool {
        let new = self.value.put_group(name, Group::new(cursor));
        if new {
            self.stream_changed(1, || StreamInverse::TakeGroup(name.into()));
        }
        new
    }

    /// Destroys a group. Whether it was there.
    pub fn destroy_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.value.take_group(name) else { return false };
        self.stream_changed(1, || StreamInverse::PutGroup(name.into(), group));
        true
    }

    /// Sets how far a group has read.
    pub fn set_cursor(&mut self, group: &[u8], cursor: Cursor) {
        let set = |group: &mut Group| core::mem::replace(&mut group.cursor, cursor);
        let before = self.value.change_group(group, set);
        self.group_changed(group, 1, before.map(GroupInverse::Cursor));
    }

    /// Adds a consumer to a group, unless there is one with this name. Whether it is new.
    pub fn add_consumer(&mut self, group: &[u8], name: &[u8], now: Millis) -> bool {
        let new = self.value.change_group(group, |group| group.add_consumer(name, now));
        let new = new.unwrap_or(false);
        let inverse = new.then(|| GroupInverse::RemoveConsumer(name.into()));
        self.group_changed(group, 1, inverse);
        new
    }

    /// Removes a consumer and what is pending for it; gives how much that was.
    pub fn remove_consumer(&mut self, group: &[u8], name: &[u8]) -> Option<usize> {
        let dismissed = self.value.change_group(group, |group| group.remove_consumer(name));
        let dismissed = dismissed.flatten()?;
        let pending = dismissed.pending_count();
        self.group_changed(group, 1, Some(GroupInverse::RestoreConsumer(dismissed)));
        Some(pending)
    }

    /// Notes that a consumer asked, and whether it got something. That alone is no change of data.
    pub fn note_consumer(&mut self, group: &[u8], name: &[u8], now: Millis, got: bool) {
        let note = |group: &mut Group| {
            let number = group.number(name)?;
            let active_at = if got { Some(now) } else { group.consumer(number)?.times.active_at };
            group.set_times(number, Times { seen_at: now, active_at })
        };
        let before = self.value.change_group(group, note).flatten();
        let inverse = before.map(|times| GroupInverse::Times(name.into(), times));
        self.group_changed(group, 0, inverse);
    }

    /// Makes an entry pending in a group, changes for whom and how, or makes it pending no more.
    pub fn set_pending(&mut self, group: &[u8], id: Id, pending: Option<Pending>) {
        let before = self.value.change_group(group, |group| group.set_pending(id, pending));
        self.group_changed(group, 1, before.map(|before| GroupInverse::Pending(id, before)));
    }

    fn group_changed(&mut self, group: &[u8], changes: usize, inverse: Option<GroupInverse>) {
        if let Some(inverse) = inverse {
            self.stream_changed(changes, || StreamInverse::Group(group.into(), inverse));
        }
    }
}

pub(super) fn undo(stream: &mut Stream, inverse: EditInverse) {
    let EditInverse::Stream(inverse) = inverse else {
        debug_assert!(false, "an inverse of another type's change");
        return;
    };
    match *inverse {
        StreamInverse::Pop(marks) => {
            stream.pop();
            stream.set_marks(marks);
        }
        StreamInverse::Restore(removed, marks) => {
            stream.restore(removed);
            stream.set_marks(marks);
        }
        StreamInverse::Marks(marks) => drop(stream.set_marks(marks)),
        StreamInverse::TakeGroup(name) => drop(stream.take_group(&name)),
        StreamInverse::PutGroup(name, group) => {
            stream.put_group(&name, group);
        }
        StreamInverse::Group(name, inverse) => {
            stream.change_group(&name, |group| undo_in_group(group, inverse));
        }
    }
}

fn undo_in_group(group: &mut Group, inverse: GroupInverse) {
    match inverse {
        GroupInverse::Cursor(cursor) => group.cursor = cursor,
        GroupInverse::RemoveConsumer(name) => drop(group.remove_consumer(&name)),
        GroupInverse::RestoreConsumer(dismissed) => group.restore_consumer(dismissed),
        GroupInverse::Times(name, times) => {
            if let Some(number) = group.number(&name) {
                group.set_times(number, times);
            }
        }
        GroupInverse::Pending(id, pending) => drop(group.set_pending(id, pending)),
    }
}
