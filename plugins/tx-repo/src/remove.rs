//! `TX.DELETE`: any number of transactions out of all indexes, in one batch.

use std::collections::BTreeMap;

use reef_sdk::transact;
use reef_sdk::{Answer, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result, View};

use crate::by_time;
use crate::expiry;
use crate::input;
use crate::key::Keys;
use crate::record::Record;
use crate::refusal;
use crate::relayers;

/// What became of the ids: how many were deleted, and why the others were not.
type Deleted<'a> = (i64, Vec<(&'a str, Error)>);

/// `TX.DELETE`
///
/// Replies how many were deleted, and one pair of id and reason for each that was not. One that
/// cannot be deleted does not keep the others from it.
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Answer> {
    let ids = call.arguments.clone().map(input::named).collect::<Result<Vec<_>>>()?;
    let keys = Keys::of(call.host)?;
    ids.iter().try_for_each(|id| keys.check_id(id))?;
    keys.check_one_slot(&ids)?;
    let (deleted, failures) = transact(call.host, |host| attempt(host, keys, &ids))?;
    if let Some((relayer, _)) = ids[0].rsplit_once('.').filter(|_| keys.tagged && deleted > 0) {
        relayers::settle(call.host, keys, relayer)?;
    }
    let mut reply = Reply::new();
    reply.array(2).integer(deleted).array(failures.len());
    for (id, error) in failures {
        reply.array(2).bulk(id).bulk(error.to_string());
    }
    Ok(reply.into())
}

fn attempt<'a>(host: &mut dyn Host, keys: Keys, ids: &[&'a str]) -> Result<Attempt<Deleted<'a>>> {
    let mut query = Query::new();
    query.command("MGET").args(ids.iter().map(|id| keys.tx(id)));
    for id in ids {
        query.watch(keys.tx(id));
    }
    let view = host.read(&query)?;
    let mut failures = Vec::new();
    let mut batch = Batch::new();
    let relayers = group(keys, ids, &view, &mut batch, &mut failures)?;
    if relayers.is_empty() {
        return Ok(Attempt::Done((0, failures)));
    }

    let mut query = Query::new();
    for relayer in relayers.keys() {
        query.get(keys.count(relayer)).watch(keys.count(relayer));
    }
    let counts = host.read(&query)?;
    let mut cursor = counts.cursor();
    let mut deleted = 0;
    for (index, (relayer, records)) in relayers.iter().enumerate() {
        batch.guard(keys.count(relayer), counts.version(index));
        remove(&mut batch, keys, relayer, records);
        let count = expiry::count(&mut cursor)?;
        expiry::discount(&mut batch, keys, relayer, count, records.len() as u64);
        deleted += records.len() as i64;
    }
    Ok(match host.apply(&batch)? {
        Outcome::Applied(_) => Attempt::Done((deleted, failures)),
        Outcome::Stale(_) => Attempt::Stale,
    })
}

/// Sorts the records by relayer and guards each; what is no record is a failure.
fn group<'v, 'a>(
    keys: Keys,
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
                batch.guard(keys.tx(id), view.version(index));
                relayers.entry(record.relayer.to_string()).or_default().push(record);
            }
            Err(error) => failures.push((id, error)),
        }
    }
    Ok(relayers)
}

/// Takes these records of one relayer out of everything but the count.
fn remove(batch: &mut Batch, keys: Keys, relayer: &str, records: &[Record<'_>]) {
    batch.discard_replies();
    let mut by_status: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    let mut command = batch.command("DEL");
    for record in records {
        let id = &*record.id;
        command = command.arg(keys.tx(id)).arg(keys.lookup(id));
        command = command.arg(keys.nonce(relayer, record.nonce));
        by_status.entry(record.status).or_default().push(id);
    }
    for (status, ids) in by_status {
        by_time::remove(batch, keys, relayer, status, &ids);
        batch.command("SREM").arg(keys.status(relayer, status)).args(ids);
    }
    let expiring = records.iter().filter(|record| record.expires_ms.is_some());
    let expiring: Vec<&str> = expiring.map(|record| &*record.id).collect();
    if !expiring.is_empty() {
        batch.command("ZREM").arg(keys.expiring(relayer)).args(expiring);
    }
}
