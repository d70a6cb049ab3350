//! Registrations: RDV.REGISTER, RDV.HEARTBEAT, RDV.UNREGISTER.

use reef_sdk::{Answer, Call, Cursor, Query, Reply, Result};

use crate::entry::{Lease, Registration, Span, Tie};
use crate::key::{Counted, Kind, Name, Run};
use crate::refusal;
use crate::round::{Lasting, Round, Verdict, on_run, on_view};
use crate::sweep::end_registration;

/// `RDV.REGISTER run ns value [ID id] [TTL seconds | CONNECTION]`
pub(crate) fn register(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, ns, value) =
        (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?, arguments.bytes()?);
    let (mut id, mut lasting) = (None, None);
    while !arguments.is_empty() {
        if let Some(given) = arguments.option::<Name<'_>>("ID")? {
            id = Some(given);
        } else if let Some(given) = Lasting::option(arguments)? {
            lasting = Some(given);
        } else {
            return Err(reef_sdk::Error::SYNTAX);
        }
    }
    let ends_by_itself = matches!(lasting, Some(Lasting::Seconds(_)));
    let written = ends_by_itself.then_some((Kind::Due, &b""[..]));
    let ask = |query: &mut Query| Standing::ask(query, (run, ns), id);
    on_view(call, (run, written.as_slice()), None, (ask, Standing::hear), |round, standing| {
        round.check_value(value)?;
        let span = round.span(lasting)?;
        let revision = round.next_revision();
        let digits = revision.to_string();
        let Standing { count, wanted, mut before } = standing;
        let own = Name(digits.as_bytes());
        round.meta.has_numbers |= id.is_some_and(|id| id.0.iter().all(u8::is_ascii_digit));
        if id.is_none() && round.meta.has_numbers {
            before = registered(round, ns, own)?;
        }
        let id = id.unwrap_or(own);
        let tie = || Tie::registration(ns, id);
        let order = match &before {
            Some(before) => {
                round.untie_from(tie, before.span);
                before.order
            }
            None => {
                round.count()?;
                if count.is_none() {
                    round.open_space(ns);
                }
                round.offer((ns, id), revision);
                revision
            }
        };
        let deadline_ms = round.tie(tie, span);
        let value = value.into();
        let registration = Registration { order, revision, deadline_ms, span, value };
        round.amend("HSET", Kind::Registered, ns.0).arg(id.0).arg(registration);
        round.note_change(ns, revision);
        let count = count.unwrap_or_default() + 1;
        if before.is_none() && wanted.is_some_and(|wanted| wanted <= count) {
            round.reach(Counted::Registrations(ns), count)?;
        }
        let mut reply = Reply::new();
        reply.array(3).bulk(id.0).value(revision).integer(granted_ms(round, span));
        Ok(Verdict::Done(reply.into()))
    })
}

/// `RDV.HEARTBEAT run ns id [TTL seconds]`
pub(crate) fn heartbeat(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, ns, id) = (arguments.parse::<Run<'_>>()?, arguments.parse()?, arguments.parse()?);
    let lasting = arguments.option("TTL")?.map(Lasting::Seconds);
    arguments.end()?;
    on_run(call, run, None, |round| {
        let Some((mut registration, _)) = read(round, ns, id)? else {
            return Err(refusal::no_registration((run, ns), id));
        };
        let tie = || Tie::registration(ns, id);
        let span = match lasting {
            Some(_) => round.span(lasting)?,
            None => registration.span,
        };
        if registration.span.owner() != span.owner() {
            round.untie_from(tie, registration.span);
        }
        registration.deadline_ms = round.tie(tie, span);
        registration.span = span;
        round.amend("HSET", Kind::Registered, ns.0).arg(id.0).arg(registration);
        Ok(Verdict::Done(Answer::integer(granted_ms(round, span))))
    })
}

/// `RDV.UNREGISTER run ns id`
pub(crate) fn unregister(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, ns, id) = (arguments.parse::<Run<'_>>()?, arguments.parse()?, arguments.parse()?);
    arguments.end()?;
    on_run(call, run, None, |round| {
        let Some((registration, lease)) = read(round, ns, id)? else {
            return Ok(Verdict::Done(Answer::integer(0)));
        };
        end_registration(round, (ns, id), &registration, lease);
        Ok(Verdict::Done(Answer::integer(1)))
    })
}

/// How a name space stands when something is registered there.
struct Standing {
    /// How many are registered; `None`: nobody ever was.
    count: Option<u64>,
    /// The least number that somebody waits for.
    wanted: Option<u64>,
    /// What is registered with the id that was given.
    before: Option<Registration<'static>>,
}

impl Standing {
    fn ask(query: &mut Query, (run, ns): (Run<'_>, Name<'_>), id: Option<Name<'_>>) {
        let registered = run.key(Kind::Registered, ns.0);
        query.command("HLEN").arg(registered);
        Counted::Registrations(ns).ask_least_wanted(run, query);
        if let Some(id) = id {
            query.command("HGET").arg(registered).arg(id.0);
        }
    }

    fn hear(cursor: &mut Cursor<'_>) -> Result<Self> {
        let count = cursor.value::<u64>()?.checked_sub(1);
        let wanted = Counted::hear_least_wanted(cursor)?;
        let before = if cursor.is_empty() { None } else { cursor.bulk()? };
        let before = before.map(Registration::decode).transpose()?;
        Ok(Self { count, wanted, before: before.map(Registration::into_owned) })
    }
}

/// A registration.
pub(crate) fn registered(
    round: &mut Round<'_>,
    ns: Name<'_>,
    id: Name<'_>,
) -> Result<Option<Registration<'static>>> {
    let mut query = Query::new();
    query.command("HGET").arg(round.run.key(Kind::Registered, ns.0)).arg(id.0);
    let view = round.host.read(&query)?;
    let registration = view.cursor().bulk()?.map(Registration::decode).transpose()?;
    Ok(registration.map(Registration::into_owned))
}

/// A registration, and who has leased it.
pub(crate) fn read(
    round: &mut Round<'_>,
    ns: Name<'_>,
    id: Name<'_>,
) -> Result<Option<(Registration<'static>, Option<Lease>)>> {
    let mut query = Query::new();
    query.command("HGET").arg(round.run.key(Kind::Registered, ns.0)).arg(id.0);
    query.command("HGET").arg(round.run.key(Kind::Leased, ns.0)).arg(id.0);
    let view = round.host.read(&query)?;
    let mut cursor = view.cursor();
    let registration = cursor.bulk()?.map(Registration::decode).transpose()?;
    let lease = cursor.bulk()?.map(Lease::decode).transpose()?;
    Ok(registration.map(|registration| (registration.into_owned(), lease)))
}

/// For how many milliseconds something lasts; -1: as long as its connection.
pub(crate) fn granted_ms(round: &Round<'_>, span: Span) -> i64 {
    match span {
        Span::Connection(_) => -1,
        Span::Time(ttl_ms) => ttl_ms as i64,
        Span::Run => round.meta.end_ms.saturating_sub(round.now_ms) as i64,
    }
}
