//! NATS JetStream: every event becomes a message, in order.
//!
//! Each partition has a stream of its own, which nobody else writes to. A message carries the
//! position in its headers and is accepted only directly behind the message before it, which it names
//! by number and id (`Nats-Expected-Last-Sequence`, `Nats-Expected-Last-Msg-Id`): so position and
//! event are one message, two hosts cannot both publish, and whoever goes on reads the last message to
//! know where. Within the stream that is exactly
//! once, as long as its last message is not removed and the server keeps what it has acknowledged (after a
//! power cut it may have lost the last ones: then the position has gone back with them, and what the
//! source still has is published again). What consumers make of it is theirs: they acknowledge on
//! their own. A batch may be published in part. A dead letter that is replayed is published once
//! more if the host is killed between that and the removal of the letter, later than the stream's window of
//! duplicates; everything else does not depend on that window.

mod message;
mod target;

use std::sync::Arc;

use crate::server::Tls;
use crate::table::Table;
use crate::target::{Destination, Owner, Target};

/// A server of NATS with JetStream.
#[derive(Clone, Debug)]
pub struct Nats {
    /// Where it is: `host:port`.
    pub address: String,
    /// Who connects, with which password.
    pub credentials: Option<(String, String)>,
    /// Whether the connection is encrypted.
    pub tls: Tls,
    /// The stream's name; each partition's number is appended to it. Messages are about
    /// `NAME.PARTITION.ENTITY.KIND`.
    pub stream: String,
    /// Make streams that are not there, with so many copies.
    pub create_streams: Option<usize>,
}

impl Destination for Nats {
    fn open(&self, tables: &Arc<[Table]>, owner: &Owner) -> Box<dyn Target> {
        Box::new(target::NatsTarget::new(self.clone(), Arc::clone(tables), owner.clone()))
    }

    fn describe(&self) -> String {
        format!("nats {}/{}", self.address, self.stream)
    }
}
