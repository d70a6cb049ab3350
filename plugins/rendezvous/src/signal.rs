//! RDV.SIGNAL and RDV.BARRIER: how many have come so far, and waiting until it is enough.
//!
//! The number only grows, and each waiter wakes by itself: one that died in between holds up nobody.

use reef_sdk::{Answer, Call, Cursor, Error, Query, Result};

use crate::key::{Counted, Kind, Name, Run};
use crate::refusal;
use crate::round::{Lack, Round, Seconds, Verdict, on_view};

/// `RDV.SIGNAL run state`
pub(crate) fn signal(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, state) = (arguments.parse::<Run<'_>>()?, arguments.parse()?);
    arguments.end()?;
    let ask = |query: &mut Query| Standing::ask(query, run, state);
    let written = [(Kind::Signals, &b""[..])];
    on_view(call, (run, &written), None, (ask, Standing::hear), |round, standing| {
        let count = standing.count + 1;
        add(round, state, count, standing)?;
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
    let ask = |query: &mut Query| Standing::ask(query, run, state);
    let written = [(Kind::Signals, &b""[..])];
    on_view(call, (run, &written), wait, (ask, Standing::hear), |round, standing| {
        round.check_number(wanted)?;
        let mut count = standing.count;
        if signals_first {
            count += 1;
            add(round, state, count, standing)?;
        }
        if count >= wanted {
            return Ok(Verdict::Done(Answer::of(count)));
        }
        let waited_ms = round.now_ms.saturating_sub(invoked_ms);
        let error = refusal::too_few("NOBARRIER", (run, state), waited_ms, (count, wanted));
        Ok(Lack::of_number(run, Counted::Signals(state), wanted, error))
    })
}

/// How a state stands when it is signalled.
struct Standing {
    /// How often it was.
    count: u64,
    /// The least number that somebody waits for.
    wanted: Option<u64>,
}

impl Standing {
    fn ask(query: &mut Query, run: Run<'_>, state: Name<'_>) {
        query.command("HGET").arg(run.key(Kind::Signals, b"")).arg(state.0);
        Counted::Signals(state).ask_least_wanted(run, query);
    }

    fn hear(cursor: &mut Cursor<'_>) -> Result<Self> {
        let count = cursor.value::<Option<u64>>()?.unwrap_or_default();
        Ok(Self { count, wanted: Counted::hear_least_wanted(cursor)? })
    }
}

fn add(round: &mut Round<'_>, state: Name<'_>, count: u64, standing: Standing) -> Result<()> {
    if count == 1 {
        round.count()?;
    }
    round.write("HSET", Kind::Signals, b"").arg(state.0).arg(count);
    if standing.wanted.is_some_and(|wanted| wanted <= count) {
        round.reach(Counted::Signals(state), count)?;
    }
    Ok(())
}
