//! What is left of records whose TTL has passed, and how it is taken back.
//!
//! The server removes `tx:<id>` and the nonce's key by itself, at the deadline. A sweep removes the
//! rest in one batch: the id from the status sets and from `relayer:<r>:expiring`, `lookup:<id>`,
//! one from the count, and the relayer when that was its last. Every path that changes which ids
//! count changes `relayer:<r>:count`, so guarding its version is enough to take nothing back twice.

use reef_sdk::{
    Answer, Attempt, Batch, Call, Cursor, Error, Host, Outcome, Query, Result, transact,
};

use crate::input;
use crate::key::Key;
use crate::status::Status;

/// One in so many creates with a TTL sweeps a page, so the left-overs stay a bounded share.
pub(crate) const SWEEP_ONE_IN: u64 = 64;

/// How many ids one sweep takes back.
const PAGE: usize = 256;

/// `TX.SWEEP`
pub(crate) fn sweep_command(call: &mut Call<'_>) -> Result<Answer> {
    let now_ms = call.host.now_ms();
    let relayers = match call.arguments.is_empty() {
        true => all_relayers(call.host)?,
        false => vec![input::name(&mut call.arguments)?.to_owned()],
    };
    call.arguments.end()?;
    let mut swept = 0;
    for relayer in relayers {
        loop {
            let page = sweep_page(call.host, &relayer, now_ms)?;
            swept += page;
            if page == 0 {
                break;
            }
        }
    }
    Ok(Answer::integer(swept))
}

/// All relayers, in the order of their names.
pub(crate) fn all_relayers(host: &mut dyn Host) -> Result<Vec<String>> {
    let mut query = Query::new();
    query.command("SMEMBERS").arg(Key::Relayers);
    let view = host.read(&query)?;
    let names = view.cursor().bulks()?.into_iter().flatten();
    let mut names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into()).collect();
    names.sort_unstable();
    Ok(names)
}

/// Asks for the ids whose deadline has passed.
pub(crate) fn ask_expired(query: &mut Query, relayer: &str, now_ms: u64) {
    query.command("ZRANGEBYSCORE").arg(Key::Expiring(relayer)).arg("-inf").arg(now_ms);
}

/// Takes back up to [`PAGE`] expired transactions of a relayer; says how many.
pub(crate) fn sweep_page(host: &mut dyn Host, relayer: &str, now_ms: u64) -> Result<i64> {
    // Ids whose record is still there although its deadline has passed: somebody made it persist.
    let mut alive: Vec<Vec<u8>> = Vec::new();
    transact(host, |host| {
        let mut query = Query::new();
        query.watch(Key::Count(relayer)).get(Key::Count(relayer));
        ask_expired(&mut query, relayer, now_ms);
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
        batch.guard(Key::Count(relayer), view.version(0));
        take_back(&mut batch, relayer, &ids, count);
        let Outcome::Stale(stale) = host.apply(&batch)? else {
            return Ok(Attempt::Done(ids.len() as i64));
        };
        let stale_ids = stale.iter().filter_map(|index| ids.get((*index as usize).wrapping_sub(1)));
        alive.extend(stale_ids.map(|id| id.as_bytes().to_vec()));
        Ok(Attempt::Stale)
    })
}

/// Takes back one transaction whose record is gone, whoever its relayer was. Does nothing to one
/// that is there.
pub(crate) fn purge(host: &mut dyn Host, id: &str) -> Result<()> {
    transact(host, |host| {
        let mut query = Query::new();
        query.get(Key::Tx(id)).get(Key::Lookup(id));
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let (None, Some(relayer)) = (cursor.bulk()?, cursor.bulk()?) else {
            return Ok(Attempt::Done(()));
        };
        let relayer = input::named(relayer)?;
        let mut query = Query::new();
        query.watch(Key::Count(relayer)).watch(Key::Lookup(id));
        query.get(Key::Count(relayer)).get(Key::Lookup(id));
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let count = count(&mut cursor)?;
        if cursor.bulk()? != Some(relayer.as_bytes()) {
            return Ok(Attempt::Stale);
        }
        let mut batch = Batch::new();
        batch.guard(Key::Count(relayer), view.version(0));
        batch.guard(Key::Lookup(id), view.version(1));
        take_back(&mut batch, relayer, &[id], count);
        Ok(match host.apply(&batch)? {
            Outcome::Applied(_) => Attempt::Done(()),
            Outcome::Stale(_) => Attempt::Stale,
        })
    })
}

fn take_back(batch: &mut Batch, relayer: &str, ids: &[&str], count: u64) {
    for id in ids {
        batch.absent(Key::Tx(id));
    }
    batch.discard_replies();
    for status in Status::ALL {
        batch.command("SREM").arg(Key::Status(relayer, status)).args(ids);
    }
    batch.command("ZREM").arg(Key::Expiring(relayer)).args(ids);
    batch.command("DEL").args(ids.iter().map(|id| Key::Lookup(id)));
    discount(batch, relayer, count, ids.len() as u64);
}

/// Counts this many less; a relayer without transactions is none.
pub(crate) fn discount(batch: &mut Batch, relayer: &str, count: u64, less: u64) {
    if count > less {
        batch.incr_by(Key::Count(relayer), -less.cast_signed());
    } else {
        batch.del(Key::Count(relayer)).srem(Key::Relayers, relayer);
    }
}

/// The reply to `GET relayer:<r>:count`.
pub(crate) fn count(cursor: &mut Cursor<'_>) -> Result<u64> {
    let Some(digits) = cursor.bulk()? else { return Ok(0) };
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or(Error::NOT_AN_INTEGER)
}
