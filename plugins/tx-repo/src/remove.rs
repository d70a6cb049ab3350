//! `TX.DELETE`: any number of transactions out of all indexes, in one batch.

use std::collections::BTreeMap;

use reef_sdk::transact;
use reef_sdk::{Answer, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result, View};

use crate::expiry;
use crate::input;
use crate::key::Key;
use crate::record::Record;
use crate::refusal;

/// What became of the ids: how many were deleted, and why the others were not.
type Deleted<'a> = (i64, Vec<(&'a str, Error)>);

/// `TX.DELETE`
///
/// Replies how many were deleted, and one pair of id and reason for each that was not. One that
/// cannot be deleted does not keep the others from it.
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Answer> {
    let ids = call.arguments.clone().map(input::named).collect::<Result<Vec<_>>>()?;
    let (deleted, failures) = transact(call.host, |host| attempt(host, &ids))?;
    let mut reply = Reply::new();
    reply.array(2).integer(deleted).array(failures.len());
    for (id, error) in failures {
        reply.array(2).bulk(id).bulk(error.to_string());
    }
    Ok(reply.into())
}

fn attempt<'a>(host: &mut dyn Host, ids: &[&'a str]) -> Result<Attempt<Deleted<'a>>> {
    let mut query = Query::new();
    query.command("MGET").args(ids.iter().map(|id| Key::Tx(id)));
    for id in ids {
        query.watch(Key::Tx(id));
    }
    let view = host.read(&query)?;
    let mut failures = Vec::new();
    let mut batch = Batch::new();
    let relayers = group(ids, &view, &mut batch, &mut failures)?;
    if relayers.is_empty() {
        return Ok(Attempt::Done((0, failures)));
    }

    let mut query = Query::new();
    for relayer in relayers.keys() {
        query.get(Key::Count(relayer)).watch(Key::Count(relayer));
    }
    let counts = host.read(&query)?;
    let mut cursor = counts.cursor();
    let mut deleted = 0;
    for (index, (relayer, records)) in relayers.iter().enumerate() {
        batch.guard(Key::Count(relayer), counts.version(index));
        remove(&mut batch, relayer, records);
        expiry::discount(&mut batch, relayer, expiry::count(&mut cursor)?, records.len() as u64);
        deleted += records.len() as i64;
    }
    Ok(match host.apply(&batch)? {
        Outcome::Applied(_) => Attempt::Done((deleted, failures)),
        Outcome::Stale(_) => Attempt::Stale,
    })
}

/// Sorts the records by relayer and guards each; what is no record is a failure.
fn group<'v, 'a>(
    ids: &[&'a str],
    view: &'v View,
    batch: &mut Batch,
    failures: &mut Vec<(&'a str, Error)>,
) -> Result<BTreeMap<String, Vec<Record<'v>>>> {
    let mut relayers: BTreeMap<String, Vec<Record<'v>>> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for ((index, id), json) in ids.iter().enumerate().zip(view.cursor().bulks()?) {
        let found = match json {
            Some(json) if seen.insert(*id) => Record::parse(id, json),
            _ => Err(refusal::no_transaction(id)),
        };
        match found {
            Ok(record) => {
                batch.guard(Key::Tx(id), view.version(index));
                relayers.entry(record.relayer.to_string()).or_default().push(record);
            }
            Err(error) => failures.push((id, error)),
        }
    }
    Ok(relayers)
}

/// Takes these records of one relayer out of everything but the count.
fn remove(batch: &mut Batch, relayer: &str, records: &[Record<'_>]) {
    batch.discard_replies();
    let mut by_status: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    let mut command = batch.command("DEL");
    for record in records {
        let id = &*record.id;
        command = command.arg(Key::Tx(id)).arg(Key::Lookup(id));
        command = command.arg(Key::Nonce(relayer, record.nonce));
        by_status.entry(record.status).or_default().push(id);
    }
    for (status, ids) in by_status {
        batch.command("SREM").arg(Key::Status(relayer, status)).args(ids);
    }
    let expiring = records.iter().filter(|record| record.expires_ms.is_some());
    let expiring: Vec<&str> = expiring.map(|record| &*record.id).collect();
    if !expiring.is_empty() {
        batch.command("ZREM").arg(Key::Expiring(relayer)).args(expiring);
    }
}
