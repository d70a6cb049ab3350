//! RDV.TAKE, RDV.ACK, RDV.NACK: each registration to one taker, in order of arrival.
//!
//! Without a lease it is the taker's when the reply is sent, and gone if the reply is lost. With one
//! it stays registered until the taker acknowledges, and goes to the next one when the lease is over,
//! the taker's connection is, or the taker gives it back.

use reef_sdk::{Answer, Call, Cause, Cursor, Error, Query, Reply, Result};

use crate::entry::{Lease, Registration, Tie};
use crate::find::{ask_tally, hear_tally};
use crate::key::{Kind, Name, Run};
use crate::refusal;
use crate::register::{read, registered};
use crate::round::{Lack, Otherwise, Round, Seconds, Verdict, on_run, on_view};
use crate::sweep::{end_registration, give_back};

/// `RDV.TAKE run ns [LEASE seconds] [WAIT seconds]`
pub(crate) fn take(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, ns) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let (mut lease, mut wait) = (None, None);
    while !arguments.is_empty() {
        if let Some(seconds) = arguments.option::<Seconds>("LEASE")? {
            lease = Some(seconds.lasting()?);
        } else if let Some(seconds) = arguments.option::<Seconds>("WAIT")? {
            wait = Some(seconds);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let written: &[(Kind, &[u8])] = match lease {
        None => &[],
        Some(_) => &[(Kind::Leased, ns.0), (Kind::Due, b"")],
    };
    // Then most likely there is nobody, and the error says why.
    let is_over = call.cause == Cause::TimedOut;
    let ask = |query: &mut Query| {
        ask_free(query, (run, ns), 0);
        if is_over {
            ask_tally(query, (run, ns));
        }
    };
    let hear = |cursor: &mut Cursor<'_>| {
        let free = hear_free(cursor)?;
        Ok((free, is_over.then(|| hear_tally(cursor)).transpose()?))
    };
    on_view(call, (run, written), wait, (ask, hear), |round, (free, tally)| {
        let Some((id, order, registration)) = first(round, ns, free)? else {
            let otherwise = Otherwise::NoListener(ns.0.to_vec(), tally);
            return Ok(Lack::of_key(run.key(Kind::Free, ns.0), otherwise));
        };
        let id = Name(&id);
        let mut reply = Reply::new();
        match lease {
            None => {
                end_registration(round, (ns, id), &registration, None);
                reply.array(2).bulk(id.0).bulk(&*registration.value);
            }
            Some(lease_ms) => {
                let token = hand_out(round, (ns, id), order, lease_ms);
                reply.array(3).bulk(id.0).bulk(&*registration.value).value(token);
            }
        }
        Ok(Verdict::Done(reply.into()))
    })
}

/// An id that can be taken, and its place among all.
type Free = (Vec<u8>, u64);

/// Asks for one of those that can be taken, counted in order of arrival.
fn ask_free(query: &mut Query, (run, ns): (Run<'_>, Name<'_>), index: u64) {
    let range = query.command("ZRANGEBYSCORE").arg(run.key(Kind::Free, ns.0));
    range.arg("-inf").arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(index).arg("1");
}

fn hear_free(cursor: &mut Cursor<'_>) -> Result<Option<Free>> {
    match cursor.elements()? {
        0 => Ok(None),
        _ => Ok(Some((cursor.value()?, cursor.value::<f64>()? as u64))),
    }
}

/// The one that came first of those that can be taken, of which the first is known, and its place. What
/// is not registered is nobody's.
fn first(
    round: &mut Round<'_>,
    ns: Name<'_>,
    mut free: Option<Free>,
) -> Result<Option<(Vec<u8>, u64, Registration<'static>)>> {
    for next in 1.. {
        let Some((id, order)) = free else { break };
        if let Some(registration) = registered(round, ns, Name(&id))? {
            return Ok(Some((id, order, registration)));
        }
        round.amend("ZREM", Kind::Free, ns.0).arg(id);
        let mut query = Query::new();
        ask_free(&mut query, (round.run, ns), next);
        free = hear_free(&mut round.host.read(&query)?.cursor())?;
    }
    Ok(None)
}

/// Leases one to the caller: for a time, and no longer than it is there.
fn hand_out(
    round: &mut Round<'_>,
    (ns, id): (Name<'_>, Name<'_>),
    order: u64,
    lease_ms: u64,
) -> u64 {
    let (token, owner, tie) = (round.next_revision(), round.caller(), Tie::lease(ns, id));
    round.amend("ZREM", Kind::Free, ns.0).arg(id.0);
    let lease = Lease { order, token, owner };
    round.write("HSET", Kind::Leased, ns.0).arg(id.0).arg(lease);
    round.end_at(&tie, round.now_ms + lease_ms);
    round.tie_to(&tie, owner);
    token
}

/// `RDV.ACK run ns id token`
pub(crate) fn ack(call: &mut Call<'_>) -> Result<Answer> {
    settle(call, |round, place, registration, lease| {
        end_registration(round, place, registration, Some(lease));
    })
}

/// `RDV.NACK run ns id token`
pub(crate) fn nack(call: &mut Call<'_>) -> Result<Answer> {
    settle(call, |round, place, _, lease| give_back(round, place, lease))
}

fn settle(
    call: &mut Call<'_>,
    end: fn(&mut Round<'_>, (Name<'_>, Name<'_>), &Registration<'_>, Lease),
) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, ns, id) = (arguments.parse::<Run<'_>>()?, arguments.parse()?, arguments.parse()?);
    let token = arguments.u64()?;
    arguments.end()?;
    on_run(call, run, None, |round| match read(round, ns, id)? {
        Some((registration, Some(lease))) if lease.token == token => {
            end(round, (ns, id), &registration, lease);
            Ok(Verdict::Done(Answer::ok()))
        }
        _ => Err(refusal::no_lease((run, ns), id)),
    })
}
