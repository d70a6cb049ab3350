//! Runs as a whole: RDV.OPEN, RDV.DROP, RDV.INFO, RDV.LIST.

use reef_sdk::{
    Answer, Attempt, Batch, Call, Cause, Error, Host, Outcome, Park, Query, Reply, Result, transact,
};

use crate::key::{Kind, RUNS, Run};
use crate::meta::{Limits, Meta, defaults};
use crate::refusal;
use crate::round::{Round, Seconds, Verdict, keep, on_run};

/// How long those who waited in a run that was dropped can still find out, in milliseconds.
const GONE_MS: u64 = 3_600_000;
/// Runs that are forgotten with each that is opened, once they are over.
const FORGOTTEN_MAX: u64 = 16;

/// Limits as an operator names them; what is not named stays.
#[derive(Default)]
struct Wishes {
    registrations: Option<u64>,
    waiters: Option<u64>,
    bytes: Option<u64>,
    wait: Option<Seconds>,
}

impl Wishes {
    fn over(&self, limits: Limits) -> Limits {
        Limits {
            registrations: self.registrations.unwrap_or(limits.registrations),
            waiters: self.waiters.unwrap_or(limits.waiters),
            bytes: self.bytes.unwrap_or(limits.bytes),
            wait_ms: self.wait.map_or(limits.wait_ms, |Seconds(wait_ms)| wait_ms),
        }
    }
}

/// `RDV.OPEN run TTL seconds [REGISTRATIONS n] [WAITERS n] [BYTES n] [WAIT seconds]`
pub(crate) fn open(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let run = arguments.parse::<Run<'_>>()?;
    let (mut ttl, mut wishes) = (None, Wishes::default());
    while !arguments.is_empty() {
        if let Some(seconds) = arguments.option::<Seconds>("TTL")? {
            ttl = Some(seconds.lasting()?);
        } else if let Some(number) = arguments.option("REGISTRATIONS")? {
            wishes.registrations = Some(number);
        } else if let Some(number) = arguments.option("WAITERS")? {
            wishes.waiters = Some(number);
        } else if let Some(number) = arguments.option("BYTES")? {
            wishes.bytes = Some(number);
        } else if let Some(seconds) = arguments.option("WAIT")? {
            wishes.wait = Some(seconds);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let ttl_ms = ttl.ok_or(Error::SYNTAX)?;
    let (limits, most_ms) = defaults(call.host);
    if ttl_ms > most_ms {
        return Err(refusal::limit(run, "ttl-max", most_ms / 1_000));
    }
    transact(call.host, |host| {
        let now_ms = host.now_ms();
        let mut query = Query::new();
        query.get(run.meta()).get(run.key(Kind::Gone, b"")).watch(run.meta());
        query.command("SMEMBERS").arg(run.key(Kind::Names, b""));
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let before = cursor.bulk()?.map(Meta::decode).transpose()?;
        let dropped_ms = cursor.value::<Option<u64>>()?.unwrap_or_default();
        if before.is_none() && dropped_ms >= now_ms {
            // So that whoever waited in the run before can tell that this is another one.
            return Ok(Attempt::Done(Park::new().until(dropped_ms + 1).into()));
        }
        let mut batch = Batch::new();
        let meta = match before {
            Some(before) => {
                batch.guard(run.meta(), view.version(0));
                let end_ms = now_ms + ttl_ms;
                let meta = Meta { end_ms, limits: wishes.over(before.limits), ..before };
                prolong(&mut batch, run, (&before, &meta), &cursor.bulks()?, now_ms);
                meta
            }
            None => {
                batch.absent(run.meta());
                fresh(host, (now_ms, ttl_ms), wishes.over(limits))
            }
        };
        keep(&mut batch, run, &meta);
        if matches!(host.apply(&batch)?, Outcome::Stale(_)) {
            return Ok(Attempt::Stale);
        }
        note(host, run, meta.end_ms, now_ms)?;
        let mut reply = Reply::new();
        reply.array(2).value(ttl_ms).value(i64::from(before.is_none()));
        Ok(Attempt::Done(reply.into()))
    })
}

/// A run in which nothing is yet.
fn fresh(host: &mut dyn Host, (now_ms, ttl_ms): (u64, u64), limits: Limits) -> Meta {
    Meta {
        opened_ms: now_ms,
        end_ms: now_ms + ttl_ms,
        revision: 0,
        incarnation: host.incarnation(),
        due_ms: 0,
        count: 0,
        limits,
        has_numbers: false,
    }
}

/// Lets everything in a run end at its new end.
fn prolong(
    batch: &mut Batch,
    run: Run<'_>,
    (before, after): (&Meta, &Meta),
    names: &[Option<&[u8]>],
    now_ms: u64,
) {
    let keys = names.iter().flatten().map(|name| run.key_of(name));
    for key in keys.chain([run.key(Kind::Names, b"")]) {
        batch.command("PEXPIREAT").arg(key).arg(after.end_ms);
    }
    if before.due_ms > 0 {
        let at = before.due_ms.max(now_ms + 1);
        let timer = run.key(Kind::Timer, b"");
        batch.command("SET").arg(timer).arg("1").arg("PXAT").arg(at);
    }
    if after.end_ms < before.end_ms {
        // Whoever waits in it until its end has to know of another one.
        let gone = run.key(Kind::Gone, b"");
        batch.command("SET").arg(gone).arg("0").arg("PX").arg(GONE_MS);
    }
}

/// Notes a run among all, and forgets some that are over.
fn note(host: &mut dyn Host, run: Run<'_>, end_ms: u64, now_ms: u64) -> Result<()> {
    let mut query = Query::new();
    let over = query.command("ZRANGEBYSCORE").arg(RUNS).arg("-inf").arg(now_ms);
    over.arg("LIMIT").arg("0").arg(FORGOTTEN_MAX);
    let view = host.read(&query)?;
    let mut batch = Batch::new();
    for over in view.cursor().bulks()?.into_iter().flatten() {
        batch.command("ZREM").arg(RUNS).arg(over);
    }
    batch.command("ZADD").arg(RUNS).arg(end_ms).arg(run.0);
    host.apply(&batch)?.applied().map(drop)
}

/// `RDV.DROP run`
pub(crate) fn drop_run(call: &mut Call<'_>) -> Result<Answer> {
    let run = call.arguments.parse::<Run<'_>>()?;
    call.arguments.end()?;
    debug_assert!(call.cause == Cause::Invoked, "it never parks");
    transact(call.host, |host| {
        let now_ms = host.now_ms();
        let mut query = Query::new();
        query.get(run.meta()).watch(run.meta());
        query.command("SMEMBERS").arg(run.key(Kind::Names, b""));
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        if cursor.bulk()?.is_none() {
            return Ok(Attempt::Done(Answer::integer(0)));
        }
        let names = cursor.bulks()?;
        let mut batch = Batch::new();
        batch.guard(run.meta(), view.version(0));
        let keys = names.into_iter().flatten().map(|name| run.key_of(name));
        let others = [run.meta(), run.key(Kind::Names, b""), run.key(Kind::Timer, b"")];
        batch.run("DEL", keys.chain(others));
        let gone = run.key(Kind::Gone, b"");
        batch.command("SET").arg(gone).arg(now_ms).arg("PX").arg(GONE_MS);
        if matches!(host.apply(&batch)?, Outcome::Stale(_)) {
            return Ok(Attempt::Stale);
        }
        let mut batch = Batch::new();
        batch.command("ZREM").arg(RUNS).arg(run.0);
        host.apply(&batch)?.applied()?;
        Ok(Attempt::Done(Answer::integer(1)))
    })
}

/// `RDV.INFO run`
pub(crate) fn info(call: &mut Call<'_>) -> Result<Answer> {
    let run = call.arguments.parse::<Run<'_>>()?;
    call.arguments.end()?;
    on_run(call, run, None, |round| describe(round).map(Verdict::Done))
}

fn describe(round: &mut Round<'_>) -> Result<Answer> {
    let waiting = round.host.waiting(&round.run.key(Kind::Gone, b"").to_vec())?;
    let mut query = Query::new();
    query.command("SMEMBERS").arg(round.run.key(Kind::Names, b""));
    let view = round.host.read(&query)?;
    let mut cursor = view.cursor();
    let prefix = Kind::Registered.word().as_bytes();
    let names = cursor.bulks()?.into_iter().flatten();
    let mut spaces: Vec<&[u8]> = names.filter_map(|name| name.strip_prefix(prefix)).collect();
    spaces.sort_unstable();
    let Meta { end_ms, revision, count, limits, .. } = round.meta;
    let mut reply = Reply::new();
    reply.pairs(9);
    reply.value("ttl-ms").value(end_ms.saturating_sub(round.now_ms));
    reply.value("revision").value(revision);
    reply.value("counted").value(count).value("waiting").value(waiting);
    reply.value("registrations-max").value(limits.registrations);
    reply.value("waiters-max").value(limits.waiters).value("bytes-max").value(limits.bytes);
    reply.value("wait-max-ms").value(limits.wait_ms).value("namespaces").value(spaces);
    Ok(reply.into())
}

/// `RDV.LIST`
pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer> {
    call.arguments.end()?;
    let now_ms = call.host.now_ms();
    let mut query = Query::new();
    let runs = query.command("ZRANGEBYSCORE").arg(RUNS).arg(now_ms + 1).arg("+inf");
    runs.arg("WITHSCORES");
    let view = call.host.read(&query)?;
    let mut cursor = view.cursor();
    let mut all = Vec::new();
    for _ in 0..cursor.elements()? / 2 {
        let run = cursor.value::<&[u8]>()?;
        all.push((run, (cursor.value::<f64>()? as u64).saturating_sub(now_ms)));
    }
    let mut reply = Reply::new();
    reply.array(all.len());
    for (run, left_ms) in all {
        reply.array(2).bulk(run).value(left_ms);
    }
    Ok(reply.into())
}
