//! The sorted indexes: ids of a relayer's transactions in a status by time.
//!
//! Kept only with the configuration `by-time yes`, since each create then writes one sorted set
//! more. Without it nothing here writes.

use reef_sdk::Batch;

use crate::key::Keys;
use crate::record::Record;
use crate::status::Status;

/// Where a record stands: at its creation, or at its confirmation once it is confirmed.
pub(crate) fn moment_ms(record: &Record<'_>) -> u64 {
    match (record.status, record.confirmed_ms) {
        (Status::Confirmed, Some(confirmed_ms)) => confirmed_ms,
        _ => record.created_ms,
    }
}

/// Puts new records of one status in.
pub(crate) fn add(batch: &mut Batch, keys: Keys, relayer: &str, records: &[Record<'_>]) {
    let Some(first) = records.first().filter(|_| keys.by_time) else { return };
    let mut command = batch.command("ZADD").arg(keys.by_time(relayer, first.status));
    for record in records {
        command = command.arg(moment_ms(record)).arg(&*record.id);
    }
}

/// Takes ids out of one status.
pub(crate) fn remove(batch: &mut Batch, keys: Keys, relayer: &str, status: Status, ids: &[&str]) {
    if keys.by_time {
        batch.command("ZREM").arg(keys.by_time(relayer, status)).args(ids);
    }
}
