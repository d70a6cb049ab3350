//! Whether there is room for another event, when the number of those that wait is bounded.
//!
//! One write in some looks how long the stream is. Who finds it full writes the key
//! `<prefix>:full:<entity>`, whose absence every write demands: that costs no further call. Whoever
//! empties the stream removes the key and writes `<prefix>:room:<entity>`, on which those park who
//! wait. So the bound is exceeded by the writes between two looks, and by those under way.

use reef_sdk::{Answer, Batch, Error, Host, Park, Query, Result};

use crate::event::stream;
use crate::settings::{Settings, WhenFull};

/// One write in this many looks at the stream's length.
const LOOK_ONE_IN: u64 = 32;
/// A waiter looks again by itself after this time, in case nobody tells it.
const LOOK_AGAIN_AFTER_MS: u64 = 1_000;

/// The key that says that an entity's writers have to wait.
pub(crate) fn full_key(settings: &Settings, entity: &[u8]) -> Vec<u8> {
    [settings.prefix.as_bytes(), b":full:", entity].concat()
}

fn room_key(settings: &Settings, entity: &[u8]) -> Vec<u8> {
    [settings.prefix.as_bytes(), b":room:", entity].concat()
}

/// Demands of a batch that there is room.
pub(crate) fn demand(batch: &mut Batch, settings: &Settings, entity: &[u8]) {
    if settings.backlog_max > 0 {
        batch.absent(&*full_key(settings, entity));
    }
}

/// Now and then: looks whether the stream of a document is full, and says so to all writers.
pub(crate) fn look(
    host: &mut dyn Host,
    settings: &Settings,
    entity: &[u8],
    id: &[u8],
) -> Result<()> {
    if settings.backlog_max == 0 || !host.random().is_multiple_of(LOOK_ONE_IN) {
        return Ok(());
    }
    let mut query = Query::new();
    query.command("XLEN").arg(&*stream(settings, entity, id));
    let waiting = host.read(&query)?.cursor().integer()?;
    if waiting.unsigned_abs() >= settings.backlog_max {
        let mut batch = Batch::new();
        batch.set(&*full_key(settings, entity), 1_u64);
        batch.del(&*room_key(settings, entity));
        host.apply(&batch)?.applied()?;
    }
    Ok(())
}

/// What a writer is told when there is no room.
pub(crate) fn none(host: &mut dyn Host, settings: &Settings, entity: &[u8]) -> Result<Answer> {
    match settings.when_full {
        WhenFull::Wait => {
            let until = host.now_ms() + LOOK_AGAIN_AFTER_MS;
            Ok(Park::new().on(&*room_key(settings, entity)).until(until).into())
        }
        WhenFull::Refuse => {
            let (entity, most) = (String::from_utf8_lossy(entity), settings.backlog_max);
            Err(Error::new(
                "WBFULL",
                format!("{entity} has {most} events that wait for the database"),
            ))
        }
    }
}
