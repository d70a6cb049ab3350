//! What a worker does for the replicas that it serves: hands the stream to their sockets, as far as
//! they take it, and passes snapshots on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::stream::Portion;
use crate::connection::Sent;
use crate::worker::Worker;

/// Bytes of the stream handed to a socket at once.
const PORTION_BYTES: usize = 64 * 1024;

/// Part of a snapshot for a replica.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) bytes: Arc<[u8]>,
    /// Counts what was taken, for who sends.
    pub(crate) taken: Arc<AtomicU64>,
}

impl Worker {
    /// Hands a replica what there is for it, as long as its socket takes it.
    pub(crate) fn feed_replica(&mut self, client: u64) {
        let Some(&place) = self.places.get(&client) else { return };
        let mut portion = Vec::new();
        loop {
            let Some(connection) = self.connections.get_mut(place) else { return };
            if connection.unsent() > 0 || connection.held {
                // Goes on when that is sent.
                return;
            }
            portion.clear();
            match self.shared.replication.stream.take(client, PORTION_BYTES, &mut portion) {
                Portion::Nothing => return,
                Portion::Lost => {
                    tracing::warn!("replica {client} is closed: what it needs next is gone");
                    return self.close(place);
                }
                Portion::Some => {}
            }
            self.statistics.writes.add(1);
            self.statistics.bytes_out.add(portion.len() as u64);
            let sent = connection.send(&portion);
            connection.card.output_bytes.store(connection.unsent() as u64, Ordering::Relaxed);
            if sent == Sent::Broken {
                return self.close(place);
            }
        }
    }

    /// Passes part of a snapshot on.
    pub(crate) fn pass_on(&mut self, client: u64, parcel: &Parcel) {
        let Some(&place) = self.places.get(&client) else { return };
        let connection = &mut self.connections[place];
        let sent = connection.send(&parcel.bytes);
        connection.card.output_bytes.store(connection.unsent() as u64, Ordering::Relaxed);
        parcel.taken.fetch_add(parcel.bytes.len() as u64, Ordering::AcqRel);
        if sent == Sent::Broken {
            self.close(place);
        }
    }
}
