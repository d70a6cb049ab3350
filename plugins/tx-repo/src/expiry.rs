//! What is left of records whose TTL has passed, and how it is taken back.
//!
//! The server removes `tx:<id>` and the nonce's key by itself, at the deadline. A sweep removes the
//! rest in one batch: the id from the status sets and from `relayer:<r>:expiring`, `lookup:<id>`,
//! one from the count, and the relayer when that was its last. Every path that changes which ids
//! count changes `relayer:<r>:count`, so guarding its version is enough to take nothing back twice.

use reef_sdk::{
    Answer, Attempt, Batch, Call, Cursor, Error, Host, Outcome, Query, Result, transact,
};

use crate::by_time;
use crate::input;
use crate::key::Keys;
use crate::relayers;
use crate::status::Status;

/// One in so many creates with a TTL sweeps a page, so the left-overs stay a bounded share.
pub(crate) const SWEEP_ONE_IN: u64 = 64;

/// How many ids one sweep takes back.
const PAGE: usize = 256;

/// `TX.SWEEP`
pub(crate) fn sweep_command(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let now_ms = call.host.now_ms();
    let relayers = match call.arguments.is_empty() {
        true => {
            if keys.tagged {
                relayers::settle_all(call.host, keys)?;
            }
            relayers::all(call.host, keys)?
        }
        false => vec![input::name(&mut call.arguments)?.to_owned()],
    };
    call.arguments.end()?;
    let mut swept = 0;
    for relayer in relayers {
        loop {
            let page = sweep_page(call.host, keys, &relayer, now_ms)?;
            swept += page;
            if page == 0 {
                break;
            }
        }
    }
    Ok(Answer::integer(swept))
}

/// Asks for the ids whose deadline has passed.
pub(crate) fn ask_expired(query: &mut Query, keys: Keys, relayer: &str, now_ms: u64) {
    query.command("ZRANGEBYSCORE").arg(keys.expiring(relayer)).arg("-inf").arg(now_ms);
}

/// Takes back up to [`PAGE`] expired transactions of a relayer; says how many.
pub(crate) fn sweep_page(
    host: &mut dyn Host,
    keys: Keys,
    relayer: &str,
    now_ms: u64,
) -> Result<i64> {
    // Ids whose record is still there although its deadline has passed: somebody made it persist.
    let mut alive: Vec<Vec<u8>> = Vec::new();
    let swept = transact(host, |host| {
        let mut query = Query::new();
        query.watch(keys.count(relayer)).get(keys.count(relayer));
        ask_expired(&mut query, keys, relayer, now_ms);
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let count = count(&mut cursor)?;
        let expired = cursor.bulks()?.into_iter().flatten();
        let expired = expired.filter(|id| !alive.iter().any(|other| other == id)).take(PAGE);
        let ids = expired.map(input::named).collect::<Result<Vec<_>>>()?;
        if ids.is_empty() {
            return Ok(Attempt::Done(0));
        }
        let mut batch = Batch::new();
        batch.guard(keys.count(relayer), view.version(0));
        take_back(&mut batch, keys, relayer, &ids, count);
        let Outcome::Stale(stale) = host.apply(&batch)? else {
            return Ok(Attempt::Done(ids.len() as i64));
        };
        let stale_ids = stale.iter().filter_map(|index| ids.get((*index as usize).wrapping_sub(1)));
        alive.extend(stale_ids.map(|id| id.as_bytes().to_vec()));
        Ok(Attempt::Stale)
    })?;
    if swept > 0 && keys.tagged {
        relayers::settle(host, keys, relayer)?;
    }
    Ok(swept)
}

/// Takes back one transaction whose record is gone, whoever its relayer was. Does nothing to one
/// that is there.
pub(crate) fn purge(host: &mut dyn Host, keys: Keys, id: &str) -> Result<()> {
    transact(host, |host| {
        let mut query = Query::new();
        query.get(keys.tx(id)).get(keys.lookup(id));
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let (None, Some(relayer)) = (cursor.bulk()?, cursor.bulk()?) else {
            return Ok(Attempt::Done(()));
        };
        let relayer = input::named(relayer)?;
        let mut query = Query::new();
        query.watch(keys.count(relayer)).watch(keys.lookup(id));
        query.get(keys.count(relayer)).get(keys.lookup(id));
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let count = count(&mut cursor)?;
        if cursor.bulk()? != Some(relayer.as_bytes()) {
            return Ok(Attempt::Stale);
        }
        let mut batch = Batch::new();
        batch.guard(keys.count(relayer), view.version(0));
        batch.guard(keys.lookup(id), view.version(1));
        take_back(&mut batch, keys, relayer, &[id], count);
        Ok(match host.apply(&batch)? {
            Outcome::Applied(_) => Attempt::Done(()),
            Outcome::Stale(_) => Attempt::Stale,
        })
    })
}

/// Takes ids out of everything that is known without their records, if these are gone.
pub(crate) fn take_back(batch: &mut Batch, keys: Keys, relayer: &str, ids: &[&str], count: u64) {
    for id in ids {
        batch.absent(keys.tx(id));
    }
    batch.discard_replies();
    for status in Status::ALL {
        batch.command("SREM").arg(keys.status(relayer, status)).args(ids);
        by_time::remove(batch, keys, relayer, status, ids);
    }
    batch.command("ZREM").arg(keys.expiring(relayer)).args(ids);
    batch.command("DEL").args(ids.iter().map(|id| keys.lookup(id)));
    discount(batch, keys, relayer, count, ids.len() as u64);
}

/// Counts this many less; a relayer without transactions is none.
pub(crate) fn discount(batch: &mut Batch, keys: Keys, relayer: &str, count: u64, less: u64) {
    if count > less {
        batch.incr_by(keys.count(relayer), -less.cast_signed());
        return;
    }
    batch.del(keys.count(relayer));
    if !keys.tagged {
        batch.srem(keys.relayers(), relayer);
    }
}

/// The reply to `GET relayer:<r>:count`.
pub(crate) fn count(cursor: &mut Cursor<'_>) -> Result<u64> {
    let Some(digits) = cursor.bulk()? else { return Ok(0) };
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or(Error::NOT_AN_INTEGER)
}
