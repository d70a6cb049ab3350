//! `TX.NONCE`, a counter per relayer, and `TX.NONCES`, which nonces of a range are in use.
//!
//! The counter is an integer of the server, so it is exact up to 2^63 - 1; taking a nonce is one
//! command, which cannot be lost between reading and writing.

use reef_sdk::{
    Answer, Arguments, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result, transact,
};

use crate::expiry;
use crate::input;
use crate::key::Key;
use crate::refusal;

const RANGE_MAX: u64 = 1000;

/// `TX.NONCE`
pub(crate) fn nonce(call: &mut Call<'_>) -> Result<Answer> {
    let relayer = input::name(&mut call.arguments)?;
    let next = if call.arguments.is_empty() {
        let mut query = Query::new();
        query.get(Key::NextNonce(relayer));
        expiry::count(&mut call.host.read(&query)?.cursor())?.cast_signed()
    } else if call.arguments.keyword("NEXT") {
        call.arguments.end()?;
        let mut batch = Batch::new();
        batch.incr_by(Key::NextNonce(relayer), 1);
        call.host.apply(&batch)?.applied()?.cursor().integer()? - 1
    } else if call.arguments.keyword("FLOOR") {
        let floor = counted(&mut call.arguments)?;
        call.arguments.end()?;
        set(call.host, relayer, |now| Ok(now.max(floor)))?
    } else if call.arguments.keyword("LOWER") {
        let (from, to) = (counted(&mut call.arguments)?, counted(&mut call.arguments)?);
        call.arguments.end()?;
        if to > from {
            return Err(Error::SYNTAX);
        }
        let lowered =
            |now| if now == from { Ok(to) } else { Err(refusal::other_nonce(now as u64)) };
        set(call.host, relayer, lowered)?
    } else {
        return Err(Error::SYNTAX);
    };
    Ok(Answer::integer(next))
}

/// A nonce that the counter can hold.
fn counted(arguments: &mut Arguments<'_>) -> Result<i64> {
    i64::try_from(arguments.u64()?).map_err(|_| Error::NOT_AN_INTEGER)
}

fn set(host: &mut dyn Host, relayer: &str, decide: impl Fn(i64) -> Result<i64>) -> Result<i64> {
    let key = Key::NextNonce(relayer);
    transact(host, |host| {
        let mut query = Query::new();
        query.get(key).watch(key);
        let view = host.read(&query)?;
        let now = expiry::count(&mut view.cursor())?.cast_signed();
        let next = decide(now)?;
        let mut batch = Batch::new();
        batch.guard(key, view.version(0)).set(key, next);
        Ok(match next == now {
            true => Attempt::Done(next),
            false => match host.apply(&batch)? {
                Outcome::Applied(_) => Attempt::Done(next),
                Outcome::Stale(_) => Attempt::Stale,
            },
        })
    })
}

/// `TX.NONCES`
pub(crate) fn nonces(call: &mut Call<'_>) -> Result<Answer> {
    let relayer = input::name(&mut call.arguments)?;
    let from = call.arguments.u64()?;
    let count = call.arguments.u64()?;
    if !(1..=RANGE_MAX).contains(&count) || from.checked_add(count - 1).is_none() {
        return Err(refusal::BAD_LIMIT);
    }
    let mut query = Query::new();
    let range = (0..count).map(|offset| Key::Nonce(relayer, from + offset));
    query.command("MGET").args(range);
    let view = call.host.read(&query)?;
    let users = view.cursor().bulks()?;
    let mut reply = Reply::new();
    reply.array(users.len());
    for user in users {
        match user {
            Some(id) => reply.bulk(id),
            None => reply.nil(),
        };
    }
    Ok(reply.into())
}
