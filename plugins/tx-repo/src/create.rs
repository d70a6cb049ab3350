//! `TX.CREATE` and `TX.BULKCREATE`: one host call each, unless something is in the way.
//!
//! The batch demands that ids and nonces are not there yet. Only when that fails is anything read,
//! to say why, to recognise a repeated request, or to clear away an expired record.

use std::borrow::Cow;

use reef_sdk::transact;
use reef_sdk::{
    Answer, Arguments, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result,
};

use crate::expiry;
use crate::id::ulid;
use crate::input;
use crate::key::Key;
use crate::record::Record;
use crate::refusal;
use crate::status::Status;

/// What a client asks to create.
struct Request<'a> {
    relayer: &'a str,
    nonce: u64,
    to: &'a str,
    value: &'a str,
    id: Option<&'a str>,
    gas_price: Option<&'a str>,
    gas_limit: Option<u64>,
    data: Option<&'a str>,
    ttl_ms: Option<u64>,
}

impl<'a> Request<'a> {
    fn take(arguments: &mut Arguments<'a>) -> Result<Self> {
        let relayer = input::name(arguments)?;
        let mut request = Self::take_body(relayer, arguments)?;
        while !arguments.is_empty() {
            if arguments.keyword("ID") {
                request.id = Some(input::name_value(arguments)?);
            } else if arguments.keyword("GASPRICE") {
                request.gas_price = Some(input::amount(arguments.value()?)?);
            } else if arguments.keyword("GASLIMIT") {
                request.gas_limit = Some(arguments.u64()?);
            } else if arguments.keyword("DATA") {
                request.data = Some(input::data(arguments.value()?)?);
            } else if arguments.keyword("TTL") {
                request.ttl_ms = Some(input::ttl_ms(arguments)?);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(request)
    }

    fn take_body(relayer: &'a str, arguments: &mut Arguments<'a>) -> Result<Self> {
        Ok(Self {
            relayer,
            nonce: arguments.u64()?,
            to: input::name(arguments)?,
            value: input::amount(arguments.bytes()?)?,
            id: None,
            gas_price: None,
            gas_limit: None,
            data: None,
            ttl_ms: None,
        })
    }

    fn record(&self, id: Cow<'a, str>, now_ms: u64) -> Record<'a> {
        Record {
            id,
            relayer: self.relayer.into(),
            nonce: self.nonce,
            to: self.to.into(),
            value: self.value.into(),
            gas_price: self.gas_price.map(Cow::Borrowed),
            gas_limit: self.gas_limit,
            data: self.data.map(Cow::Borrowed),
            status: Status::Pending,
            hash: None,
            hashes: Vec::new(),
            created_ms: now_ms,
            updated_ms: now_ms,
            confirmed_ms: None,
            expires_ms: self.ttl_ms.map(|ttl_ms| now_ms + ttl_ms),
        }
    }
}

/// `TX.CREATE`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer> {
    let request = Request::take(&mut call.arguments)?;
    let now_ms = call.host.now_ms();
    let random = call.host.random();
    let id = match request.id {
        Some(id) => Cow::Borrowed(id),
        None => Cow::Owned(ulid(now_ms, request.nonce, random)),
    };
    let record = request.record(id, now_ms);
    let mut batch = batch_of_one(&record);
    if request.id.is_some() {
        // An id that was used before may have left something behind; a generated one has not.
        batch.absent(Key::Lookup(&record.id));
    }
    transact(call.host, |host| match host.apply(&batch)? {
        Outcome::Applied(_) => Ok(Attempt::Done(())),
        Outcome::Stale(_) => in_the_way(host, &record),
    })?;
    if request.ttl_ms.is_some() && random.is_multiple_of(expiry::SWEEP_ONE_IN) {
        // The transaction is there; what a failed sweep leaves is for the next one.
        let _ = expiry::sweep_page(call.host, request.relayer, now_ms);
    }
    Ok(Answer::bulk(&*record.id))
}

/// The six commands that create a transaction, and a seventh for one with a TTL.
fn batch_of_one(record: &Record<'_>) -> Batch {
    let (id, relayer) = (&*record.id, &*record.relayer);
    let data_bytes = record.data.as_ref().map_or(0, |data| data.len());
    let mut batch = Batch::with_capacity(7, 22, 640 + 8 * (relayer.len() + id.len()) + data_bytes);
    let nonce_key = Key::Nonce(relayer, record.nonce);
    batch.absent(Key::Tx(id)).absent(nonce_key);
    batch.discard_replies();
    let mut set_with_deadline = |key, value: &dyn reef_sdk::Argument| {
        let command = batch.command("SET").arg(key).arg(value);
        if let Some(expires_ms) = record.expires_ms {
            command.arg("PXAT").arg(expires_ms);
        }
    };
    set_with_deadline(Key::Tx(id), record);
    set_with_deadline(nonce_key, &id);
    batch.set(Key::Lookup(id), relayer);
    batch.sadd(Key::Status(relayer, Status::Pending), id);
    batch.sadd(Key::Relayers, relayer);
    batch.incr_by(Key::Count(relayer), 1);
    if let Some(expires_ms) = record.expires_ms {
        batch.command("ZADD").arg(Key::Expiring(relayer)).arg(expires_ms).arg(id);
    }
    batch
}

/// Why a transaction could not be created: refuses, recognises a repeated request, or clears an
/// expired one away so that the next attempt succeeds.
fn in_the_way(host: &mut dyn Host, record: &Record<'_>) -> Result<Attempt<()>> {
    let (id, relayer, nonce) = (&*record.id, &*record.relayer, record.nonce);
    let mut query = Query::new();
    query.get(Key::Tx(id)).get(Key::Lookup(id)).get(Key::Nonce(relayer, nonce));
    let view = host.read(&query)?;
    let mut cursor = view.cursor();
    if let Some(json) = cursor.bulk()? {
        let same = Record::parse(id, json)?.is_same_request(record);
        return if same { Ok(Attempt::Done(())) } else { Err(refusal::id_used(id)) };
    }
    let left_over = cursor.bulk()?.is_some();
    if let Some(user) = cursor.bulk()? {
        return Err(refusal::nonce_used(relayer, nonce, &String::from_utf8_lossy(user)));
    }
    if left_over {
        expiry::purge(host, id)?;
    }
    Ok(Attempt::Stale)
}

/// `TX.BULKCREATE`
pub(crate) fn bulk_create(call: &mut Call<'_>) -> Result<Answer> {
    let relayer = input::name(&mut call.arguments)?;
    if !call.arguments.len().is_multiple_of(3) {
        return Err(Error::wrong_arity(call.arguments.name()));
    }
    let now_ms = call.host.now_ms();
    let random = call.host.random();
    let mut records = Vec::with_capacity(call.arguments.len() / 3);
    while !call.arguments.is_empty() {
        let request = Request::take_body(relayer, &mut call.arguments)?;
        let id = ulid(now_ms, request.nonce, random.wrapping_add(records.len() as u64));
        records.push(request.record(id.into(), now_ms));
    }
    let mut nonces: Vec<u64> = records.iter().map(|record| record.nonce).collect();
    nonces.sort_unstable();
    if let Some(twice) = nonces.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refusal::nonce_twice(twice[0]));
    }
    let batch = batch_of_many(relayer, &records);
    transact(call.host, |host| match host.apply(&batch)? {
        Outcome::Applied(_) => Ok(Attempt::Done(())),
        Outcome::Stale(_) => first_nonce_used(host, relayer, &nonces),
    })?;
    let mut reply = Reply::new();
    reply.array(records.len());
    for record in &records {
        reply.bulk(&*record.id);
    }
    Ok(reply.into())
}

/// Four commands, however many transactions.
fn batch_of_many(relayer: &str, records: &[Record<'_>]) -> Batch {
    let count = records.len();
    let each = 640 + 3 * relayer.len();
    let mut batch = Batch::with_capacity(4, 12 + 7 * count, count * each);
    for record in records {
        batch.absent(Key::Tx(&record.id)).absent(Key::Nonce(relayer, record.nonce));
    }
    batch.discard_replies();
    let mut command = batch.command("MSET");
    for record in records {
        let id = &*record.id;
        command = command.arg(Key::Tx(id)).arg(record).arg(Key::Lookup(id)).arg(relayer);
        command = command.arg(Key::Nonce(relayer, record.nonce)).arg(id);
    }
    let ids = records.iter().map(|record| &*record.id);
    batch.command("SADD").arg(Key::Status(relayer, Status::Pending)).args(ids);
    batch.sadd(Key::Relayers, relayer);
    batch.command("INCRBY").arg(Key::Count(relayer)).arg(count);
    batch
}

fn first_nonce_used(host: &mut dyn Host, relayer: &str, nonces: &[u64]) -> Result<Attempt<()>> {
    let mut query = Query::new();
    query.command("MGET").args(nonces.iter().map(|nonce| Key::Nonce(relayer, *nonce)));
    let view = host.read(&query)?;
    let users = view.cursor().bulks()?;
    match nonces.iter().zip(users).find_map(|(nonce, user)| Some((*nonce, user?))) {
        Some((nonce, user)) => {
            Err(refusal::nonce_used(relayer, nonce, &String::from_utf8_lossy(user)))
        }
        None => Ok(Attempt::Stale),
    }
}
