//! RDV.TAKE, RDV.ACK, RDV.NACK: each registration to one taker, in order of arrival.
//!
//! Without a lease it is the taker's when the reply is sent, and gone if the reply is lost. With one
//! it stays registered until the taker acknowledges, and goes to the next one when the lease is over,
//! the taker's connection is, or the taker gives it back.

use reef_sdk::{Answer, Call, Error, Query, Reply, Result};

use crate::entry::{Lease, Registration, Tie};
use crate::find::tally;
use crate::key::{Kind, Name, Run};
use crate::refusal;
use crate::register::read;
use crate::round::{Lack, Round, Seconds, Verdict, on_run};
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
    let invoked_ms = call.host.invoked_ms();
    on_run(call, run, wait, |round| {
        let Some((id, order, registration)) = first(round, ns)? else {
            let waited_ms = round.now_ms.saturating_sub(invoked_ms);
            let error = refusal::no_listener((run, ns), waited_ms, tally(round, ns)?);
            return Ok(Lack::of_keys([run.key(Kind::Free, ns.0)], Err(error)));
        };
        let id = Name(&id);
        let mut reply = Reply::new();
        match lease {
            None => {
                end_registration(round, (ns, id), &registration, None, true);
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

/// The one that came first of those that can be taken, and its place. What is not registered is nobody's.
fn first(
    round: &mut Round<'_>,
    ns: Name<'_>,
) -> Result<Option<(Vec<u8>, u64, Registration<'static>)>> {
    for place in 0_u64.. {
        let mut query = Query::new();
        let range = query.command("ZRANGEBYSCORE").arg(round.run.key(Kind::Free, ns.0));
        range.arg("-inf").arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(place).arg("1");
        let view = round.host.read(&query)?;
        let mut cursor = view.cursor();
        if cursor.elements()? < 2 {
            break;
        }
        let id = cursor.value::<&[u8]>()?.to_vec();
        let order = cursor.value::<f64>()? as u64;
        if let Some((registration, _)) = read(round, ns, Name(&id))? {
            return Ok(Some((id, order, registration)));
        }
        round.take("ZREM", Kind::Free, ns.0).arg(id);
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
    let (token, owner, tie) = (round.next_revision(), round.caller, Tie::lease(ns, id));
    round.take("ZREM", Kind::Free, ns.0).arg(id.0);
    let lease = Lease { order, token, owner };
    round.write("HSET", Kind::Leased, ns.0).arg(id.0).arg(lease.encode());
    round.end_at(&tie, round.now_ms + lease_ms);
    round.tie_to(&tie, owner);
    token
}

/// `RDV.ACK run ns id token`
pub(crate) fn ack(call: &mut Call<'_>) -> Result<Answer> {
    settle(call, |round, place, registration, lease| {
        end_registration(round, place, registration, Some(lease), true);
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
