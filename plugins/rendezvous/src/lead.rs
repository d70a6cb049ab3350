//! RDV.LEAD, RDV.LEADER, RDV.RESIGN: one leads, and its fencing number is higher than any before.

use reef_sdk::{Answer, Call, Error, Reply, Result};

use crate::entry::{Leader, Tie};
use crate::key::{Kind, Name, Run};
use crate::refusal;
use crate::register::granted_ms;
use crate::round::{Lack, Lasting, Otherwise, Round, Seconds, Verdict, hash_field, on_run};
use crate::sweep::end_leader;

/// `RDV.LEAD run role candidate [TTL seconds | CONNECTION] [WAIT seconds]`
pub(crate) fn lead(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, role) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let candidate = arguments.parse::<Name<'_>>()?;
    let (mut lasting, mut wait) = (None, None);
    while !arguments.is_empty() {
        if let Some(seconds) = arguments.option::<Seconds>("WAIT")? {
            wait = Some(seconds);
        } else if let Some(given) = Lasting::option(arguments)? {
            lasting = Some(given);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    // Who dies leads no longer, unless it said how long.
    let lasting = lasting.or(Some(Lasting::Connection));
    let invoked_ms = call.host.invoked_ms();
    on_run(call, run, wait, |round| {
        let before = leader(round, role)?;
        let token = match &before {
            Some(leader) if leader.candidate != candidate.0 => {
                let waited_ms = round.now_ms.saturating_sub(invoked_ms);
                let error = refusal::not_leader((run, role), waited_ms, &leader.candidate);
                let otherwise = Otherwise::Said(Err(error));
                return Ok(Lack::of_key(run.key(Kind::Vacant, role.0), otherwise));
            }
            Some(leader) => leader.token,
            None => {
                round.count()?;
                // The next one is told when this one ends.
                round.amend("DEL", Kind::Vacant, role.0);
                round.next_revision()
            }
        };
        let (tie, span) = (|| Tie::leader(role), round.span(lasting)?);
        if let Some(before) = before {
            round.untie_from(tie, before.span);
        }
        let deadline_ms = round.tie(tie, span);
        let leader = Leader { token, deadline_ms, span, candidate: candidate.0.to_vec() };
        round.write("HSET", Kind::Leaders, b"").arg(role.0).arg(leader);
        let mut reply = Reply::new();
        reply.array(2).value(token).integer(granted_ms(round, span));
        Ok(Verdict::Done(reply.into()))
    })
}

/// `RDV.LEADER run role`
pub(crate) fn who_leads(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, role) = (arguments.parse::<Run<'_>>()?, arguments.parse()?);
    arguments.end()?;
    on_run(call, run, None, |round| {
        let leader = leader(round, role)?;
        Ok(Verdict::Done(Answer::of(leader.map(|leader| (leader.candidate, leader.token)))))
    })
}

/// `RDV.RESIGN run role candidate`
pub(crate) fn resign(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, role) = (arguments.parse::<Run<'_>>()?, arguments.parse()?);
    let candidate = arguments.parse::<Name<'_>>()?;
    arguments.end()?;
    on_run(call, run, None, |round| match leader(round, role)? {
        Some(leader) if leader.candidate == candidate.0 => {
            end_leader(round, role, &leader);
            Ok(Verdict::Done(Answer::integer(1)))
        }
        _ => Ok(Verdict::Done(Answer::integer(0))),
    })
}

fn leader(round: &mut Round<'_>, role: Name<'_>) -> Result<Option<Leader>> {
    let leaders = round.run.key(Kind::Leaders, b"");
    hash_field(round.host, leaders, role)?.map(|bytes| Leader::decode(&bytes)).transpose()
}
