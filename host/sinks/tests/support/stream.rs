//! A stream in memory, which can be trimmed and lose its tail; it remembers what it was told.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use reef_sinks::{
    Applied, Counts, DeadLetter, Event, EventKind, Extent, Source, SourceFault, StreamId,
};

/// A stream that many hold.
#[derive(Clone, Default)]
pub(crate) struct Stream {
    inner: Arc<(Mutex<Inner>, Condvar)>,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Event>,
    last: StreamId,
    added: u64,
    deleted_max: StreamId,
    told: Told,
    silent: bool,
}

/// What the stream was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) up_to: StreamId,
    pub(crate) totals: Counts,
    pub(crate) fresh: Counts,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

impl Stream {
    fn change<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let result = change(&mut self.inner.0.lock().unwrap());
        self.inner.1.notify_all();
        result
    }

    pub(crate) fn push(&self, kind: EventKind, document: &[u8], image: Option<&[u8]>) -> StreamId {
        self.change(|inner| {
            inner.last = StreamId::new(inner.last.ms + 1, 0);
            inner.added += 1;
            inner.entries.push(Event {
                id: inner.last,
                entity: "sessions".to_owned(),
                document: document.to_vec(),
                kind,
                timestamp_ms: 1_700_000_000_000 + inner.last.ms as i64,
                image: image.map(<[u8]>::to_vec),
                version: inner.added,
            });
            inner.last
        })
    }

    pub(crate) fn insert(&self, document: &str, image: &str) -> StreamId {
        self.push(EventKind::Insert, document.as_bytes(), Some(image.as_bytes()))
    }

    pub(crate) fn delete(&self, document: &str) -> StreamId {
        self.push(EventKind::Delete, document.as_bytes(), None)
    }

    /// Removes entries up to an id.
    pub(crate) fn trim(&self, up_to: StreamId) {
        self.change(|inner| {
            inner.entries.retain(|event| event.id > up_to);
            inner.deleted_max = inner.deleted_max.max(up_to);
        });
    }

    /// Forgets that there was ever anything behind an id.
    pub(crate) fn lose_tail(&self, after: StreamId) {
        self.change(|inner| {
            let before = inner.entries.len();
            inner.entries.retain(|event| event.id <= after);
            inner.added -= (before - inner.entries.len()) as u64;
            inner.last = after;
        });
    }

    /// Goes on at an id, as streams do whose ids are times.
    pub(crate) fn skip_to(&self, ms: u64) {
        self.change(|inner| inner.last.ms = ms);
    }

    /// Does not answer, or answers again.
    pub(crate) fn silence(&self, silent: bool) {
        self.change(|inner| inner.silent = silent);
    }

    /// Another stream with the same entries, as another host sees it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::default();
        let inner = self.inner.0.lock().unwrap();
        copy.change(|other| {
            other.entries.clone_from(&inner.entries);
            (other.last, other.added, other.deleted_max) =
                (inner.last, inner.added, inner.deleted_max);
        });
        copy
    }

    pub(crate) fn told(&self) -> Told {
        self.inner.0.lock().unwrap().told.clone()
    }

    /// Forgets what it was told after an id, as a mirror does that was not durable.
    pub(crate) fn forget(&self, up_to: StreamId) {
        self.change(|inner| {
            inner.told.up_to = up_to;
            inner.told.dead_letters.retain(|letter| letter.event.id <= up_to);
        });
    }
}

impl Source for Stream {
    fn read(
        &mut self,
        after: StreamId,
        count_max: usize,
        wait: Duration,
    ) -> Result<Vec<Event>, SourceFault> {
        let (lock, grown) = &*self.inner;
        let inner = lock.lock().unwrap();
        let nothing = |inner: &mut Inner| !inner.silent && inner.last <= after;
        let (inner, _) = grown.wait_timeout_while(inner, wait, nothing).unwrap();
        if inner.silent {
            return Err(SourceFault("the stream is silent".to_owned()));
        }
        let first = inner.entries.partition_point(|event| event.id <= after);
        Ok(inner.entries[first..].iter().take(count_max).cloned().collect())
    }

    fn extent(&mut self, position: StreamId) -> Result<Extent, SourceFault> {
        let inner = self.inner.0.lock().unwrap();
        let first = inner.entries.partition_point(|event| event.id <= position);
        Ok(Extent {
            first: inner.entries.first().map(|event| event.id),
            last: inner.last,
            added: inner.added,
            deleted_max: inner.deleted_max,
            behind: Some((inner.entries.len() - first) as u64),
            holds_position: first > 0 && inner.entries[first - 1].id == position,
        })
    }

    fn mirrored(&mut self) -> Result<StreamId, SourceFault> {
        Ok(self.told().up_to)
    }

    fn applied(&mut self, report: &Applied<'_>) -> Result<(), SourceFault> {
        self.change(|inner| {
            if inner.silent {
                return Err(SourceFault("the stream is silent".to_owned()));
            }
            let told = &mut inner.told;
            assert!(report.up_to >= told.up_to, "positions only grow");
            told.up_to = report.up_to;
            told.totals = report.totals;
            told.fresh += report.fresh;
            told.dead_letters.extend_from_slice(report.dead_letters);
            Ok(())
        })
    }
}
