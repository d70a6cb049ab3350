//! `TX.NONCE`, a counter per relayer, and `TX.NONCES`, which nonces of a range are in use.
//!
//! The counter is an integer of the server, so it is exact up to 2^63 - 1; taking a nonce is one
//! command, which cannot be lost between reading and writing. `TX.CREATE relayer NEXT` takes one in
//! the batch that uses it.

use reef_sdk::{
    Answer, Arguments, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result, transact,
};

use crate::expiry;
use crate::input;
use crate::key::Keys;
use crate::refusal;

const RANGE_MAX: u64 = 1000;

/// How many nonces are looked at at once for one that is free.
const LOOK_AHEAD: u64 = 64;

/// `TX.NONCE`
pub(crate) fn nonce(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let relayer = input::name(&mut call.arguments)?;
    keys.check_relayer(relayer)?;
    let next = if call.arguments.is_empty() {
        let mut query = Query::new();
        query.get(keys.next_nonce(relayer));
        expiry::count(&mut call.host.read(&query)?.cursor())?.cast_signed()
    } else if call.arguments.keyword("NEXT") {
        call.arguments.end()?;
        let mut batch = Batch::new();
        batch.incr_by(keys.next_nonce(relayer), 1);
        call.host.apply(&batch)?.applied()?.cursor().integer()? - 1
    } else if call.arguments.keyword("CLAIM") {
        let wanted = counted(&mut call.arguments)?;
        call.arguments.end()?;
        claim(call.host, keys, relayer, wanted)?
    } else if call.arguments.keyword("FLOOR") {
        let floor = counted(&mut call.arguments)?;
        call.arguments.end()?;
        set(call.host, keys, relayer, |now| Ok(now.max(floor)))?
    } else if call.arguments.keyword("LOWER") {
        let (from, to) = (counted(&mut call.arguments)?, counted(&mut call.arguments)?);
        call.arguments.end()?;
        if to > from {
            return Err(Error::SYNTAX);
        }
        let lowered =
            |now| if now == from { Ok(to) } else { Err(refusal::other_nonce(now as u64)) };
        set(call.host, keys, relayer, lowered)?
    } else {
        return Err(Error::SYNTAX);
    };
    Ok(Answer::integer(next))
}

/// A nonce that the counter can hold.
fn counted(arguments: &mut Arguments<'_>) -> Result<i64> {
    i64::try_from(arguments.u64()?).map_err(|_| Error::NOT_AN_INTEGER)
}

/// Takes exactly this nonce: if the counter stands at it and no transaction uses it.
fn claim(host: &mut dyn Host, keys: Keys, relayer: &str, wanted: i64) -> Result<i64> {
    let (counter, user) = (keys.next_nonce(relayer), keys.nonce(relayer, wanted as u64));
    transact(host, |host| {
        let mut query = Query::new();
        query.get(counter).get(user).watch(counter);
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let now = expiry::count(&mut cursor)?;
        if now != wanted as u64 {
            return Err(refusal::other_nonce(now));
        }
        if let Some(id) = cursor.bulk()? {
            return Err(refusal::nonce_used(relayer, now, &String::from_utf8_lossy(id)));
        }
        let mut batch = Batch::new();
        batch.guard(counter, view.version(0)).absent(user).incr_by(counter, 1);
        Ok(match host.apply(&batch)? {
            Outcome::Applied(_) => Attempt::Done(wanted),
            Outcome::Stale(_) => Attempt::Stale,
        })
    })
}

fn set(
    host: &mut dyn Host,
    keys: Keys,
    relayer: &str,
    decide: impl Fn(i64) -> Result<i64>,
) -> Result<i64> {
    let key = keys.next_nonce(relayer);
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

/// The first nonce from the counter on that no transaction uses.
pub(crate) struct Next {
    pub(crate) nonce: u64,
    version: u64,
}

impl Next {
    /// Takes it, if the counter still stands where it stood. That nobody uses the nonce meanwhile
    /// the batch must demand anyway.
    pub(crate) fn take(&self, batch: &mut Batch, keys: Keys, relayer: &str) -> Result<()> {
        let following = i64::try_from(self.nonce).ok().and_then(|nonce| nonce.checked_add(1));
        let key = keys.next_nonce(relayer);
        batch.guard(key, self.version).set(key, following.ok_or(Error::NOT_AN_INTEGER)?);
        Ok(())
    }
}

/// Finds the next nonce to take.
pub(crate) fn next_free(host: &mut dyn Host, keys: Keys, relayer: &str) -> Result<Next> {
    let mut query = Query::new();
    query.get(keys.next_nonce(relayer)).watch(keys.next_nonce(relayer));
    let view = host.read(&query)?;
    let version = view.version(0);
    let mut from = expiry::count(&mut view.cursor())?;
    loop {
        let until = from.checked_add(LOOK_AHEAD).ok_or(Error::NOT_AN_INTEGER)?;
        let mut query = Query::new();
        query.command("MGET").args((from..until).map(|nonce| keys.nonce(relayer, nonce)));
        let view = host.read(&query)?;
        let users = view.cursor().bulks()?;
        if let Some(free) = users.iter().position(Option::is_none) {
            return Ok(Next { nonce: from + free as u64, version });
        }
        from = until;
    }
}

/// `TX.NONCES`
pub(crate) fn nonces(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let relayer = input::name(&mut call.arguments)?;
    let from = call.arguments.u64()?;
    let count = call.arguments.u64()?;
    keys.check_relayer(relayer)?;
    if !(1..=RANGE_MAX).contains(&count) || from.checked_add(count - 1).is_none() {
        return Err(refusal::BAD_LIMIT);
    }
    let mut query = Query::new();
    let range = (0..count).map(|offset| keys.nonce(relayer, from + offset));
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
