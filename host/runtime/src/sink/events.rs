//! Events on their way to a sink, in columns. The buffers are kept from one batch to the next.

use super::border::{EventsOut, SinkEventKind};
use crate::border::ItemsOut;

/// A batch of events.
#[derive(Clone, Debug, Default)]
pub struct SinkEvents {
    milliseconds: Vec<u64>,
    sequences: Vec<u64>,
    timestamps: Vec<u64>,
    kinds: Vec<SinkEventKind>,
    ids: Column,
    images: Column,
}

#[derive(Clone, Debug, Default)]
struct Column {
    lengths: Vec<u32>,
    data: Vec<u8>,
}

impl Column {
    fn push(&mut self, item: &[u8]) {
        self.lengths.push(item.len() as u32);
        self.data.extend_from_slice(item);
    }

    fn clear(&mut self) {
        self.lengths.clear();
        self.data.clear();
    }

    fn items(&self) -> ItemsOut<'_> {
        ItemsOut { lengths: &self.lengths, data: &self.data }
    }
}

impl SinkEvents {
    /// Forgets all events.
    pub fn clear(&mut self) {
        self.milliseconds.clear();
        self.sequences.clear();
        self.timestamps.clear();
        self.kinds.clear();
        self.ids.clear();
        self.images.clear();
    }

    /// Adds an event: its position in the stream, when it was made (in milliseconds since 1970), what
    /// happened to which document, and the document after it (empty after a delete).
    pub fn push(
        &mut self,
        (milliseconds, sequence): (u64, u64),
        timestamp_ms: u64,
        kind: SinkEventKind,
        id: &[u8],
        image: &[u8],
    ) {
        self.milliseconds.push(milliseconds);
        self.sequences.push(sequence);
        self.timestamps.push(timestamp_ms);
        self.kinds.push(kind);
        self.ids.push(id);
        self.images.push(image);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn columns(&self) -> EventsOut<'_> {
        EventsOut {
            milliseconds: &self.milliseconds,
            sequences: &self.sequences,
            timestamps: &self.timestamps,
            kinds: &self.kinds,
            ids: self.ids.items(),
            images: self.images.items(),
        }
    }
}
