//! `DOC.SNAPSHOT`: events for documents that were there before anybody made events of them.
//!
//! A page of keys at a time; between the pages clients go on. An event says what is there when it
//! is made, and what is changed later makes a later event, so the database ends with the last state.

use reef_sdk::{
    Answer, Attempt, Batch, Call, Error, Outcome, Query, Reply, Result, Value, transact,
};

use crate::capture;
use crate::event::{Event, Kind};
use crate::settings::Settings;

/// Keys that are looked at by one call, if the caller does not say.
const COUNT: u64 = 100;
/// The most.
const COUNT_MAX: u64 = 1_000;

/// `DOC.SNAPSHOT`
pub(crate) fn snapshot(call: &mut Call<'_>) -> Result<Answer> {
    let settings = Settings::of(call.host);
    let entity = call.arguments.bytes()?;
    let (mut cursor, mut count) = (0, COUNT);
    while !call.arguments.is_empty() {
        if call.arguments.keyword("CURSOR") {
            cursor = call.arguments.u64()?;
        } else if call.arguments.keyword("COUNT") {
            count = call.arguments.u64()?.clamp(1, COUNT_MAX);
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let prefix = settings
        .captured
        .iter()
        .find(|captured| captured.entity.as_bytes() == entity)
        .map_or_else(|| [entity, b":"].concat(), |captured| captured.prefix.clone().into_bytes());
    let (next, keys) = page(call, cursor, count)?;
    let mut made = 0;
    for key in keys {
        let Some(id) = key.strip_prefix(prefix.as_slice()).filter(|id| !id.is_empty()) else {
            continue;
        };
        made += transact(call.host, |host| {
            let (Some(image), version) = capture::image(host, &key)? else {
                return Ok(Attempt::Done(0));
            };
            let mut batch = Batch::new();
            batch.guard(&*key, version);
            let (image, now_ms) = (Some(image.as_slice()), host.now_ms());
            Event { entity, id, kind: Kind::Insert, image, now_ms }.add(&mut batch, &settings);
            batch.discard_replies();
            Ok(match host.apply(&batch)? {
                Outcome::Applied(_) => Attempt::Done(1),
                Outcome::Stale(_) => Attempt::Stale,
            })
        })?;
    }
    let mut reply = Reply::new();
    reply.array(2).bulk(next).integer(made);
    Ok(reply.into())
}

/// The next cursor and some keys.
fn page(call: &mut Call<'_>, cursor: u64, count: u64) -> Result<(String, Vec<Vec<u8>>)> {
    let mut query = Query::new();
    query.command("SCAN").arg(cursor).arg("COUNT").arg(count);
    let view = call.host.read(&query)?;
    let mut cursor = view.cursor();
    let Value::Array(2) = cursor.step()? else { return Err(Error::UNEXPECTED_REPLY) };
    let next = cursor.bulk()?.ok_or(Error::UNEXPECTED_REPLY)?;
    let next = String::from_utf8_lossy(next).into_owned();
    let Value::Array(keys) = cursor.step()? else { return Err(Error::UNEXPECTED_REPLY) };
    let keys: Result<Vec<_>> =
        (0..keys).map(|_| Ok(cursor.bulk()?.ok_or(Error::UNEXPECTED_REPLY)?.to_vec())).collect();
    Ok((next, keys?))
}
