//! RDV.FIND: who is registered, all or since a revision, at once or when there are enough.

use std::collections::HashSet;

use reef_sdk::{Answer, Call, Cursor, Error, Query, Reply, Result, ToReply};

use crate::entry::{Registration, Span};
use crate::key::{Counted, Kind, Name, Run};
use crate::meta::Meta;
use crate::round::{Lack, Otherwise, Round, Seconds, Verdict, on_run};
use crate::{refusal, sweep};

/// What was found.
struct Found<'a> {
    revision: u64,
    now_ms: u64,
    end_ms: u64,
    registered: Vec<(&'a [u8], Registration<'a>)>,
    /// What is not there any more; `None`: not known, this is a list of all.
    gone: Option<Vec<&'a [u8]>>,
}

impl ToReply for Found<'_> {
    fn say(&self, reply: &mut Reply) {
        reply.array(3).value(self.revision).array(self.registered.len());
        for (id, registration) in &self.registered {
            reply.array(4).bulk(*id).bulk(&*registration.value).value(registration.revision);
            let left_ms = match registration.span {
                Span::Connection(_) => -1,
                Span::Time(_) => registration.deadline_ms.saturating_sub(self.now_ms) as i64,
                Span::Run => self.end_ms.saturating_sub(self.now_ms) as i64,
            };
            reply.integer(left_ms);
        }
        reply.value(&self.gone);
    }
}

/// `RDV.FIND run ns [SINCE revision | COUNT n] [WAIT seconds]`
pub(crate) fn find(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, ns) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let (mut since, mut count, mut wait) = (None, None, None);
    while !arguments.is_empty() {
        if let Some(revision) = arguments.option::<u64>("SINCE")? {
            since = Some(revision);
        } else if let Some(number) = arguments.option::<u64>("COUNT")? {
            count = Some(number);
        } else if let Some(seconds) = arguments.option::<Seconds>("WAIT")? {
            wait = Some(seconds);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    match (since, count, wait) {
        (Some(_), Some(_), _) => Err(Error::SYNTAX),
        (Some(since), None, _) => changes(call, (run, ns), since, wait),
        // Who waits for somebody waits for the first.
        (None, count, _) => enough(call, (run, ns), count.or(wait.map(|_| 1)), wait),
    }
}

/// All, if there are so many.
fn enough(
    call: &mut Call<'_>,
    (run, ns): (Run<'_>, Name<'_>),
    count: Option<u64>,
    wait: Option<Seconds>,
) -> Result<Answer> {
    let invoked_ms = call.host.invoked_ms();
    on_run(call, run, wait, |round| {
        count.map_or(Ok(()), |count| round.check_number(count))?;
        if let Some(count) = count {
            let (registered, expired, _) = tally(round, ns)?;
            if registered < count {
                let waited_ms = round.now_ms.saturating_sub(invoked_ms);
                let error = refusal::no_listener((run, ns), waited_ms, (registered, expired, 0));
                return Ok(Lack::of_number(run, Counted::Registrations(ns), count, error));
            }
        }
        let mut query = Query::new();
        query.get(run.meta());
        query.command("HGETALL").arg(run.key(Kind::Registered, ns.0));
        let view = round.host.read(&query)?;
        let mut cursor = view.cursor();
        let revision = revision(&mut cursor)?;
        let registered = registrations(&mut cursor)?;
        Ok(Verdict::Done(say(round, revision, registered, None)))
    })
}

/// What has changed after a revision.
fn changes(
    call: &mut Call<'_>,
    (run, ns): (Run<'_>, Name<'_>),
    since: u64,
    wait: Option<Seconds>,
) -> Result<Answer> {
    on_run(call, run, wait, |round| {
        let mut query = Query::new();
        let ended = run.key(Kind::Ended, ns.0);
        query.get(run.meta()).get(run.key(Kind::Changed, ns.0));
        query.command("HGETALL").arg(run.key(Kind::Registered, ns.0));
        query.command("ZRANGEBYSCORE").arg(ended).arg(since.saturating_add(1)).arg("+inf");
        let oldest = query.command("ZRANGEBYSCORE").arg(ended).arg("1").arg("+inf");
        oldest.arg("WITHSCORES").arg("LIMIT").arg("0").arg("1");
        query.command("ZCARD").arg(ended);
        let view = round.host.read(&query)?;
        let mut cursor = view.cursor();
        let revision = revision(&mut cursor)?;
        let changed = cursor.value::<Option<u64>>()?.unwrap_or_default();
        let mut registered = registrations(&mut cursor)?;
        let mut gone: Vec<&[u8]> = cursor.value()?;
        if !gone.is_empty() {
            // What was registered again is there.
            let there: HashSet<&[u8]> = registered.iter().map(|(id, _)| *id).collect();
            gone.retain(|id| !there.contains(id));
        }
        let mut oldest = None;
        if cursor.elements()? == 2 {
            cursor.skip()?;
            oldest = cursor.number()?.map(|score| score as u64);
        }
        let remembered = cursor.value::<u64>()?.saturating_sub(1);
        let is_forgotten = sweep::is_forgotten(since, oldest, remembered);
        if !is_forgotten {
            registered.retain(|(_, registration)| registration.revision > since);
        }
        let gone = Some(gone).filter(|_| !is_forgotten);
        let answer = say(round, revision, registered, gone);
        if changed > since {
            return Ok(Verdict::Done(answer));
        }
        Ok(Lack::of_key(run.key(Kind::Changed, ns.0), Otherwise::Said(Ok(answer))))
    })
}

/// The revision of what is read with it: whoever asks for what came after it is told nothing twice. If
/// the run has gone since, there is nothing.
fn revision(cursor: &mut Cursor<'_>) -> Result<u64> {
    let meta = cursor.bulk()?.map(Meta::decode).transpose()?;
    Ok(meta.map_or(0, |meta| meta.revision))
}

/// All that HGETALL has told.
fn registrations<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<(&'a [u8], Registration<'a>)>> {
    let count = cursor.elements()? / 2;
    let mut registered = Vec::with_capacity(count);
    for _ in 0..count {
        let (id, bytes) = (cursor.value::<&[u8]>()?, cursor.value()?);
        if !id.is_empty() {
            registered.push((id, Registration::decode(bytes)?));
        }
    }
    Ok(registered)
}

fn say(
    round: &Round<'_>,
    revision: u64,
    mut registered: Vec<(&[u8], Registration<'_>)>,
    gone: Option<Vec<&[u8]>>,
) -> Answer {
    registered.sort_by_cached_key(|(_, registration)| registration.order);
    let end_ms = round.meta.end_ms;
    Answer::of(Found { revision, now_ms: round.now_ms, end_ms, registered, gone })
}

/// How many of a name space are registered, have expired, and are leased.
pub(crate) type Tally = (u64, u64, u64);

pub(crate) fn tally(round: &mut Round<'_>, ns: Name<'_>) -> Result<Tally> {
    let mut query = Query::new();
    ask_tally(&mut query, (round.run, ns));
    hear_tally(&mut round.host.read(&query)?.cursor())
}

/// Asks for a tally, with whatever else is read.
pub(crate) fn ask_tally(query: &mut Query, (run, ns): (Run<'_>, Name<'_>)) {
    query.command("HLEN").arg(run.key(Kind::Registered, ns.0));
    query.command("HGET").arg(run.key(Kind::Tally, b"")).arg(ns.0);
    query.command("HLEN").arg(run.key(Kind::Leased, ns.0));
}

pub(crate) fn hear_tally(cursor: &mut Cursor<'_>) -> Result<Tally> {
    let registered = cursor.value::<u64>()?.saturating_sub(1);
    let expired = cursor.value::<Option<u64>>()?.unwrap_or_default();
    Ok((registered, expired, cursor.value()?))
}
