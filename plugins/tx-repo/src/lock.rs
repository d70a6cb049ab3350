//! `TX.LOCK` and `TX.UNLOCK`: a lock of a relayer that has an owner and ends by itself.
//!
//! The value of the lock's key is the token of its owner, who alone can prolong or release it. An
//! owner that is late finds the lock gone or another's, and its release does nothing.

use reef_sdk::{Answer, Attempt, Batch, Call, Outcome, Query, Result, transact};

use crate::input;
use crate::key::Keys;
use crate::refusal;

/// At most a day: who needs longer prolongs.
const LOCK_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// `TX.LOCK`
pub(crate) fn lock(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let relayer = input::name(&mut call.arguments)?;
    let name = input::name(&mut call.arguments)?;
    let owner = input::name(&mut call.arguments)?;
    let lock_ms = call.arguments.u64()?;
    call.arguments.end()?;
    keys.check_relayer(relayer)?;
    if !(1..=LOCK_MS_MAX).contains(&lock_ms) {
        return Err(refusal::BAD_LOCK_TIME);
    }
    let key = keys.lock(relayer, name);
    let taken = transact(call.host, |host| {
        let mut query = Query::new();
        query.get(key).watch(key);
        let view = host.read(&query)?;
        if view.cursor().bulk()?.is_some_and(|holder| holder != owner.as_bytes()) {
            return Ok(Attempt::Done(false));
        }
        let mut batch = Batch::new();
        batch.guard(key, view.version(0)).discard_replies();
        batch.command("SET").arg(key).arg(owner).arg("PX").arg(lock_ms);
        Ok(match host.apply(&batch)? {
            Outcome::Applied(_) => Attempt::Done(true),
            Outcome::Stale(_) => Attempt::Stale,
        })
    })?;
    Ok(Answer::integer(i64::from(taken)))
}

/// `TX.UNLOCK`
pub(crate) fn unlock(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let relayer = input::name(&mut call.arguments)?;
    let name = input::name(&mut call.arguments)?;
    let owner = input::name(&mut call.arguments)?;
    call.arguments.end()?;
    keys.check_relayer(relayer)?;
    let key = keys.lock(relayer, name);
    let released = transact(call.host, |host| {
        let mut query = Query::new();
        query.get(key).watch(key);
        let view = host.read(&query)?;
        if view.cursor().bulk()? != Some(owner.as_bytes()) {
            return Ok(Attempt::Done(false));
        }
        let mut batch = Batch::new();
        batch.guard(key, view.version(0)).discard_replies().del(key);
        Ok(match host.apply(&batch)? {
            Outcome::Applied(_) => Attempt::Done(true),
            Outcome::Stale(_) => Attempt::Stale,
        })
    })?;
    Ok(Answer::integer(i64::from(released)))
}
