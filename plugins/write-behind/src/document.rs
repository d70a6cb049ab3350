//! `DOC.INSERT`, `DOC.UPDATE`, `DOC.DELETE`, `DOC.GET`.
//!
//! Inserting is one host call: the batch demands that the document is not there. The others read it
//! with its version first, and their batch runs only if nobody changed it meanwhile.

use std::borrow::Cow;

use reef_sdk::{
    Answer, Arguments, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result, transact,
};

use crate::event::{Event, Kind};
use crate::settings::Settings;
use crate::{id, merge, room};

/// Longest name of an entity, longest id, in bytes.
const NAME_BYTES_MAX: usize = 16 << 10;

/// The key of a document.
pub(crate) fn key(entity: &[u8], id: &[u8]) -> Vec<u8> {
    [entity, b":", id].concat()
}

fn name<'a>(arguments: &mut Arguments<'a>) -> Result<&'a [u8]> {
    match arguments.bytes()? {
        b"" => Err(Error::fixed("ERR", "an entity and an id have at least one byte")),
        name if name.len() > NAME_BYTES_MAX => {
            Err(Error::fixed("ERR", "an entity and an id have up to 16384 bytes"))
        }
        name => Ok(name),
    }
}

/// `DOC.INSERT`
pub(crate) fn insert(call: &mut Call<'_>) -> Result<Answer> {
    let settings = Settings::of(call.host);
    let entity = name(&mut call.arguments)?;
    let json = call.arguments.bytes()?;
    let given = if call.arguments.keyword("ID") { Some(name(&mut call.arguments)?) } else { None };
    call.arguments.end()?;
    let now_ms = call.host.now_ms();
    let id: Cow<'_, [u8]> = match given {
        Some(id) => id.into(),
        None => id::generated(now_ms, call.host.random()).into_bytes().into(),
    };
    room::look(call.host, &settings, entity, &id)?;
    let key = key(entity, &id);
    let mut batch = Batch::with_capacity(4, 36, 512 + 2 * json.len() + 4 * key.len());
    batch.absent(&*key);
    room::demand(&mut batch, &settings, entity);
    batch.command("JSON.SET").arg(&*key).arg("$").arg(json);
    let event = Event { entity, id: &id, kind: Kind::Insert, image: Some(json), now_ms };
    event.record(&mut batch, &settings, 0);
    batch.discard_replies();
    match call.host.apply(&batch) {
        Ok(Outcome::Applied(_)) => Ok(Answer::bulk(&*id)),
        Ok(Outcome::Stale(which)) if which.contains(&0) => {
            let text = format!("{} exists already", String::from_utf8_lossy(&key));
            event.refused(call.host, &settings, &text);
            Err(Error::new("EXISTS", text))
        }
        Ok(Outcome::Stale(_)) => room::none(call.host, &settings, entity),
        Err(error) => {
            let error = not_json(error.into());
            event.refused(call.host, &settings, &error.to_string());
            Err(error)
        }
    }
}

/// The engine's parser begins its sentences without a code.
fn not_json(error: Error) -> Error {
    let is_code = |letter: char| letter.is_ascii_uppercase();
    match error.code.chars().all(is_code) && error.code != "EOF" {
        true => error,
        false => Error::new("ERR", format!("not JSON: {error}")),
    }
}

/// `DOC.UPDATE`
pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer> {
    let (entity, id) = (name(&mut call.arguments)?, name(&mut call.arguments)?);
    let patch = call.arguments.bytes()?;
    call.arguments.end()?;
    change(call.host, entity, id, Kind::Update, |document| {
        merge::merged(document, patch).map(|text| Some(text.into_bytes()))
    })
}

/// `DOC.DELETE`
pub(crate) fn delete(call: &mut Call<'_>) -> Result<Answer> {
    let (entity, id) = (name(&mut call.arguments)?, name(&mut call.arguments)?);
    call.arguments.end()?;
    change(call.host, entity, id, Kind::Delete, |_| Ok(None))
}

/// How one attempt to change a document ended.
enum Round {
    Changed,
    Absent,
    Full,
}

/// Makes something else of a document, or nothing.
fn change(
    host: &mut dyn Host,
    entity: &[u8],
    id: &[u8],
    kind: Kind,
    made: impl Fn(&[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<Answer> {
    let settings = Settings::of(host);
    let key = key(entity, id);
    let now_ms = host.now_ms();
    room::look(host, &settings, entity, id)?;
    let mut retries = 0;
    let changed = transact(host, |host| {
        let mut query = Query::new();
        query.command("JSON.GET").arg(&*key);
        query.watch(&*key);
        let view = host.read(&query)?;
        let Some(document) = view.cursor().bulk()? else {
            return Ok(Attempt::Done(Round::Absent));
        };
        let image = made(document)?;
        let mut batch = Batch::new();
        batch.guard(&*key, view.version(0));
        room::demand(&mut batch, &settings, entity);
        match &image {
            Some(image) => batch.command("JSON.SET").arg(&*key).arg("$").arg(image.as_slice()),
            None => batch.command("JSON.DEL").arg(&*key),
        };
        let event = Event { entity, id, kind, image: image.as_deref(), now_ms };
        event.record(&mut batch, &settings, retries);
        batch.discard_replies();
        retries += 1;
        match host.apply(&batch)? {
            Outcome::Applied(_) => Ok(Attempt::Done(Round::Changed)),
            Outcome::Stale(which) if which.contains(&0) => Ok(Attempt::Stale),
            Outcome::Stale(_) => Ok(Attempt::Done(Round::Full)),
        }
    });
    match changed {
        Ok(Round::Changed) => Ok(Answer::integer(1)),
        Ok(Round::Absent) => Ok(Answer::integer(0)),
        Ok(Round::Full) => room::none(host, &settings, entity),
        Err(error) => {
            let event = Event { entity, id, kind, image: None, now_ms };
            event.refused(host, &settings, &error.to_string());
            Err(error)
        }
    }
}

/// `DOC.GET`
pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer> {
    let entity = name(&mut call.arguments)?;
    let mut query = Query::new();
    let mut wanted = 0;
    while !call.arguments.is_empty() {
        query.command("JSON.GET").arg(&*key(entity, name(&mut call.arguments)?));
        wanted += 1;
    }
    let view = call.host.read(&query)?;
    let mut cursor = view.cursor();
    let mut reply = Reply::new();
    if wanted > 1 {
        reply.array(wanted);
    }
    for _ in 0..wanted {
        match cursor.bulk()? {
            Some(document) => reply.bulk(document),
            None => reply.nil(),
        };
    }
    Ok(reply.into())
}
