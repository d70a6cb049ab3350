//! RDV.PUBLISH and RDV.READ: everybody reads everything that was published, however late they come.

use reef_sdk::{Answer, Call, Cursor, Error, Query, Reply, Result};

use crate::key::{Kind, Name, Run};
use crate::round::{Lack, Otherwise, Seconds, Verdict, on_view};

/// How many values one reading returns unless told otherwise.
const PAGE: u64 = 1_000;

/// `RDV.PUBLISH run topic value`
pub(crate) fn publish(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, topic) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let value = arguments.bytes()?;
    arguments.end()?;
    let ask = |query: &mut Query| {
        query.command("LLEN").arg(run.key(Kind::Topic, topic.0));
    };
    let hear = |cursor: &mut Cursor<'_>| cursor.value::<u64>();
    on_view(call, (run, &[(Kind::Topic, topic.0)]), None, (ask, hear), |round, before| {
        round.check_value(value)?;
        round.count()?;
        round.write("RPUSH", Kind::Topic, topic.0).arg(value);
        Ok(Verdict::Done(Answer::of(before + 1)))
    })
}

/// `RDV.READ run topic [AFTER number] [COUNT n] [WAIT seconds]`
pub(crate) fn read(call: &mut Call<'_>) -> Result<Answer> {
    let arguments = &mut call.arguments;
    let (run, topic) = (arguments.parse::<Run<'_>>()?, arguments.parse::<Name<'_>>()?);
    let (mut after, mut count, mut wait) = (0, PAGE, None);
    while !arguments.is_empty() {
        if let Some(number) = arguments.option::<u64>("AFTER")? {
            after = number;
        } else if let Some(number) = arguments.option::<u64>("COUNT")? {
            count = number.clamp(1, PAGE);
        } else if let Some(seconds) = arguments.option::<Seconds>("WAIT")? {
            wait = Some(seconds);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    // What is beyond any list is beyond this one.
    let after = after.min(u64::from(u32::MAX));
    let key = run.key(Kind::Topic, topic.0);
    let ask = |query: &mut Query| {
        query.command("LRANGE").arg(key).arg(after).arg(after + count - 1);
    };
    let hear = |cursor: &mut Cursor<'_>| {
        let values = cursor.bulks()?;
        let mut reply = Reply::new();
        reply.array(2).value(after + values.len() as u64).array(values.len());
        for value in values.iter().flatten() {
            reply.bulk(*value);
        }
        Ok((values.is_empty(), reply))
    };
    on_view(call, (run, &[]), wait, (ask, hear), |_, (is_empty, reply)| match is_empty {
        true => Ok(Lack::of_key(key, Otherwise::Said(Ok(reply.into())))),
        false => Ok(Verdict::Done(reply.into())),
    })
}
