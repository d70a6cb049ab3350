//! RDV.SIGNAL and RDV.BARRIER: how many have come so far, and waiting until it is enough.
//!
//! The number only grows, and each waiter wakes by itself: one that died in between holds up nobody.

use reef_sdk::{Answer, Call, Error, Result};

use crate::key::{Counted, Kind, Name, Run};
use crate::refusal;
use crate::round::{Lack, Round, Seconds, Verdict, hash_field, on_keys};

/// `RDV.SIGNAL run state`
pub(crate) fn signal(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, state) = (arguments.parse::<Run<'_>>()?, arguments.parse()?);
    arguments.end()?;
    on_keys(call, (run, &[(Kind::Signals, b"")]), None, |round| {
        let count = signals(round, state)? + 1;
        add(round, state, count)?;
        Ok(Verdict::Done(Answer::of(count)))
    })
}

/// `RDV.BARRIER run state count [SIGNAL] [WAIT seconds]`
pub(crate) fn barrier(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, state) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let wanted = arguments.u64()?;
    let (mut signals_first, mut wait) = (false, None);
    while !arguments.is_empty() {
        if let Some(seconds) = arguments.option::<Seconds>("WAIT")? {
            wait = Some(seconds);
        } else if arguments.keyword("SIGNAL") {
            signals_first = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    // Whoever goes on has signalled already.
    signals_first &= call.cause == reef_sdk::Cause::Invoked;
    let invoked_ms = call.host.invoked_ms();
    on_keys(call, (run, &[(Kind::Signals, b"")]), wait, |round| {
        round.check_number(wanted)?;
        let mut count = signals(round, state)?;
        if signals_first {
            count += 1;
            add(round, state, count)?;
        }
        if count >= wanted {
            return Ok(Verdict::Done(Answer::of(count)));
        }
        let waited_ms = round.now_ms.saturating_sub(invoked_ms);
        let error = refusal::too_few("NOBARRIER", (run, state), waited_ms, (count, wanted));
        Ok(Lack::of_number(run, Counted::Signals(state), wanted, error))
    })
}

fn signals(round: &mut Round<'_>, state: Name<'_>) -> Result<u64> {
    let text = hash_field(round.host, round.run.key(Kind::Signals, b""), state)?;
    let Some(text) = text else { return Ok(0) };
    reef_sdk::FromArgument::from_argument(&text)
}

fn add(round: &mut Round<'_>, state: Name<'_>, count: u64) -> Result<()> {
    if count == 1 {
        round.count()?;
    }
    round.write("HSET", Kind::Signals, b"").arg(state.0).arg(count);
    round.reach(Counted::Signals(state), count)
}
