//! What copies have to run for what consumers of a stream do: reading and claiming depend on what
//! is there and on the time, so copies get told what became pending for whom, and how far a group
//! has read.

use alloc::boxed::Box;

use crate::keyspace::Edit;
use crate::step::Cx;
use crate::types::stream::Stream;
use crate::types::stream_group::{Consumer, Cursor, Pending};
use crate::types::stream_id::Id;

/// A group of the stream at a key.
#[derive(Clone, Copy)]
pub(super) struct GroupAt<'a> {
    pub(super) key: &'a [u8],
    pub(super) group: &'a [u8],
}

/// An entry that is pending in another way than before, or no more.
pub(super) struct Told {
    id: Id,
    consumer: Box<[u8]>,
    pending: Pending,
}

impl Told {
    /// This is known of an entry, or was known of it before it was found to be gone: whoever runs
    /// the effect finds that, too.
    pub(super) fn of(stream: &Edit<'_, Stream>, group: &[u8], id: Id) -> Option<Self> {
        let group = stream.group(group)?;
        let pending = *group.pending(id)?;
        let consumer = group.consumer(pending.consumer).map(Consumer::name)?.into();
        Some(Self { id, consumer, pending })
    }

    /// Whether it is this consumer's.
    pub(super) fn is_of(&self, consumer: &[u8]) -> bool {
        *self.consumer == *consumer
    }

    /// Its id.
    pub(super) fn id(&self) -> Id {
        self.id
    }
}

impl GroupAt<'_> {
    /// Says that an entry is pending; `last_id` is how far the group has read.
    pub(super) fn rewrite_pending(&self, cx: &mut Cx<'_>, told: &Told, last_id: Id) {
        let Pending { delivered_at, deliveries, .. } = &told.pending;
        cx.rewrite(&[
            &"XCLAIM",
            &self.key,
            &self.group,
            &&*told.consumer,
            &"0",
            &told.id,
            &"TIME",
            delivered_at,
            &"RETRYCOUNT",
            deliveries,
            &"FORCE",
            &"JUSTID",
            &"LASTID",
            &last_id,
        ]);
    }

    /// Says how far the group has read.
    pub(super) fn rewrite_cursor(&self, cx: &mut Cx<'_>, cursor: Cursor) {
        const UNKNOWN: i64 = -1;
        let read = cursor.entries_read.map_or(UNKNOWN, |read| read as i64);
        let last_id = cursor.last_id;
        cx.rewrite(&[&"XGROUP", &"SETID", &self.key, &self.group, &last_id, &"ENTRIESREAD", &read]);
    }

    /// Says that there is a new consumer.
    pub(super) fn rewrite_consumer(&self, cx: &mut Cx<'_>, name: &[u8]) {
        cx.rewrite(&[&"XGROUP", &"CREATECONSUMER", &self.key, &self.group, &name]);
    }
}
