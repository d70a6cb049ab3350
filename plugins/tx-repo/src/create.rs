//! `TX.CREATE` and `TX.BULKCREATE`: one host call each, unless something is in the way.
//!
//! The batch demands that ids and nonces are not there yet. Only when that fails is anything read,
//! to say why, to recognise a repeated request, or to clear away an expired record. A nonce that is
//! not given but asked for (`NEXT`) is taken from the counter in the same batch, so none is lost
//! between counter and record, and a repeated request takes none.

use std::borrow::Cow;

use reef_sdk::transact;
use reef_sdk::{
    Answer, Arguments, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result,
};

use crate::by_time;
use crate::expiry;
use crate::id::ulid;
use crate::input;
use crate::key::Keys;
use crate::nonce;
use crate::record::Record;
use crate::refusal;
use crate::relayers;
use crate::request::Token;
use crate::status::Status;

/// What a client asks to create.
struct Request<'a> {
    relayer: &'a str,
    /// None: the next one.
    nonce: Option<u64>,
    to: &'a str,
    value: &'a str,
    id: Option<&'a str>,
    gas_price: Option<&'a str>,
    gas_limit: Option<u64>,
    data: Option<&'a str>,
    ttl_ms: Option<u64>,
    token: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn take(arguments: &mut Arguments<'a>) -> Result<Self> {
        let relayer = input::name(arguments)?;
        let nonce = if arguments.keyword("NEXT") { None } else { Some(arguments.u64()?) };
        let mut request = Self::take_body(relayer, nonce, arguments)?;
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
            } else if arguments.keyword("TOKEN") {
                request.token = Some(input::name_value(arguments)?);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(request)
    }

    fn take_body(
        relayer: &'a str,
        nonce: Option<u64>,
        arguments: &mut Arguments<'a>,
    ) -> Result<Self> {
        Ok(Self {
            relayer,
            nonce,
            to: input::name(arguments)?,
            value: input::amount(arguments.bytes()?)?,
            id: None,
            gas_price: None,
            gas_limit: None,
            data: None,
            ttl_ms: None,
            token: None,
        })
    }

    fn record(&self, id: Cow<'a, str>, now_ms: u64) -> Record<'a> {
        Record {
            id,
            relayer: self.relayer.into(),
            nonce: self.nonce.unwrap_or(0),
            to: self.to.into(),
            value: self.value.into(),
            gas_price: self.gas_price.map(Cow::Borrowed),
            gas_limit: self.gas_limit,
            data: self.data.map(Cow::Borrowed),
            status: Status::Pending,
            hash: None,
            hashes: Vec::new(),
            reason: None,
            failures: 0,
            all_failures: 0,
            created_ms: now_ms,
            updated_ms: now_ms,
            confirmed_ms: None,
            expires_ms: self.ttl_ms.map(|ttl_ms| now_ms + ttl_ms),
        }
    }
}

/// `TX.CREATE`
pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let all = call.arguments.clone();
    let request = Request::take(&mut call.arguments)?;
    let relayer = request.relayer;
    keys.check_relayer(relayer)?;
    let now_ms = call.host.now_ms();
    let random = call.host.random();
    let id = match request.id {
        Some(id) => Cow::Borrowed(id),
        None => Cow::Owned(new_id(keys, relayer, now_ms, request.nonce.unwrap_or(0), random)),
    };
    keys.check_id_of(relayer, &id)?;
    let token = request.token.map(|text| Token::new(call.host, text, all)).transpose()?;
    let mut creation = Creation {
        keys,
        record: request.record(id, now_ms),
        id_is_given: request.id.is_some(),
        takes_next: request.nonce.is_none(),
        token,
    };
    let id = match (creation.takes_next, &creation.token) {
        (false, None) => creation.run(call.host)?,
        _ => creation.run_with_more(call.host)?,
    };
    if request.ttl_ms.is_some() && random.is_multiple_of(expiry::SWEEP_ONE_IN) {
        // The transaction is there; what a failed sweep leaves is for the next one.
        let _ = expiry::sweep_page(call.host, keys, relayer, now_ms);
    }
    Ok(Answer::bulk(&*id))
}

fn new_id(keys: Keys, relayer: &str, now_ms: u64, nonce: u64, random: u64) -> String {
    let id = ulid(now_ms, nonce, random);
    if keys.tagged { format!("{relayer}.{id}") } else { id }
}

/// One transaction to create.
struct Creation<'a> {
    keys: Keys,
    record: Record<'a>,
    id_is_given: bool,
    takes_next: bool,
    token: Option<Token<'a>>,
}

impl<'a> Creation<'a> {
    /// With a nonce that is given and no token; returns the id.
    fn run(&self, host: &mut dyn Host) -> Result<Cow<'a, str>> {
        let batch = self.batch();
        transact(host, |host| match host.apply(&batch)? {
            Outcome::Applied(_) => Ok(Attempt::Done(())),
            Outcome::Stale(_) => self.in_the_way(host),
        })?;
        relayers::follow(host, self.keys, &self.record.relayer)?;
        Ok(self.record.id.clone())
    }

    /// With a nonce from the counter, or with a token; returns the id.
    fn run_with_more(&mut self, host: &mut dyn Host) -> Result<Cow<'a, str>> {
        let relayer = self.record.relayer.clone().into_owned();
        let id = transact(host, |host| {
            let mut counter = None;
            if self.takes_next {
                let next = nonce::next_free(host, self.keys, &relayer)?;
                self.record.nonce = next.nonce;
                counter = Some(next);
            }
            let mut batch = self.batch();
            if let Some(next) = counter {
                next.take(&mut batch, self.keys, &relayer)?;
            }
            if let Some(token) = &self.token {
                token.remember(&mut batch, self.keys, &relayer, [&*self.record.id].into_iter());
            }
            if let Outcome::Applied(_) = host.apply(&batch)? {
                return Ok(Attempt::Done(self.record.id.clone()));
            }
            if let Some(id) = answered(host, self.keys, self.token.as_ref(), &relayer)? {
                return Ok(Attempt::Done(Cow::Owned(id.concat())));
            }
            Ok(match self.in_the_way(host)? {
                Attempt::Done(()) => Attempt::Done(self.record.id.clone()),
                Attempt::Stale => Attempt::Stale,
            })
        })?;
        relayers::follow(host, self.keys, &relayer)?;
        Ok(id)
    }

    /// The six commands that create a transaction, and more for one with a TTL or an index by time.
    fn batch(&self) -> Batch {
        let Self { keys, record, .. } = self;
        let (id, relayer) = (&*record.id, &*record.relayer);
        let data_bytes = record.data.as_ref().map_or(0, |data| data.len());
        let bytes = 768 + 8 * (relayer.len() + id.len()) + data_bytes;
        let mut batch = Batch::with_capacity(9, 30, bytes);
        let nonce_key = keys.nonce(relayer, record.nonce);
        batch.absent(keys.tx(id)).absent(nonce_key);
        if self.id_is_given {
            // An id that was used before may have left something behind; a generated one has not.
            batch.absent(keys.lookup(id));
        }
        batch.discard_replies();
        let mut set_with_deadline = |key, value: &dyn reef_sdk::Argument| {
            let command = batch.command("SET").arg(key).arg(value);
            if let Some(expires_ms) = record.expires_ms {
                command.arg("PXAT").arg(expires_ms);
            }
        };
        set_with_deadline(keys.tx(id), record);
        set_with_deadline(nonce_key, &id);
        batch.set(keys.lookup(id), relayer);
        batch.sadd(keys.status(relayer, Status::Pending), id);
        by_time::add(&mut batch, *keys, relayer, std::slice::from_ref(record));
        if !keys.tagged {
            batch.sadd(keys.relayers(), relayer);
        }
        batch.incr_by(keys.count(relayer), 1);
        if let Some(expires_ms) = record.expires_ms {
            batch.command("ZADD").arg(keys.expiring(relayer)).arg(expires_ms).arg(id);
        }
        batch
    }

    /// Why it could not be created: refuses, recognises a repeated request, or clears an expired
    /// one away so that the next attempt succeeds.
    fn in_the_way(&self, host: &mut dyn Host) -> Result<Attempt<()>> {
        let Self { keys, record, .. } = self;
        let (id, relayer, nonce) = (&*record.id, &*record.relayer, record.nonce);
        let mut query = Query::new();
        query.get(keys.tx(id)).get(keys.lookup(id)).get(keys.nonce(relayer, nonce));
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        if let Some(json) = cursor.bulk()? {
            let there = Record::parse(id, json)?;
            let nonce = if self.takes_next { there.nonce } else { nonce };
            let same = there.is_same_request(&Record { nonce, ..record.clone() });
            return if same { Ok(Attempt::Done(())) } else { Err(refusal::id_used(id)) };
        }
        let left_over = cursor.bulk()?.is_some();
        if let Some(user) = cursor.bulk()?
            && !self.takes_next
        {
            return Err(refusal::nonce_used(relayer, nonce, &String::from_utf8_lossy(user)));
        }
        if left_over {
            expiry::purge(host, *keys, id)?;
        }
        Ok(Attempt::Stale)
    }
}

/// What a request with this token was answered before.
fn answered(
    host: &mut dyn Host,
    keys: Keys,
    token: Option<&Token<'_>>,
    relayer: &str,
) -> Result<Option<Vec<String>>> {
    let Some(token) = token else { return Ok(None) };
    let mut query = Query::new();
    query.get(token.key(keys, relayer));
    token.answered(&mut host.read(&query)?.cursor())
}

/// `TX.BULKCREATE`
pub(crate) fn bulk_create(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let all = call.arguments.clone();
    let relayer = input::name(&mut call.arguments)?;
    keys.check_relayer(relayer)?;
    let token = match call.arguments.keyword("TOKEN") {
        true => Some(input::name_value(&mut call.arguments)?),
        false => None,
    };
    let token = token.map(|text| Token::new(call.host, text, all)).transpose()?;
    let records = take_records(call, keys, relayer)?;
    let mut nonces: Vec<u64> = records.iter().map(|record| record.nonce).collect();
    nonces.sort_unstable();
    if let Some(twice) = nonces.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refusal::nonce_twice(twice[0]));
    }
    let mut batch = batch_of_many(keys, relayer, &records);
    let ids = || records.iter().map(|record| &*record.id);
    if let Some(token) = &token {
        token.remember(&mut batch, keys, relayer, ids());
    }
    let repeated = transact(call.host, |host| {
        if let Outcome::Applied(_) = host.apply(&batch)? {
            return Ok(Attempt::Done(None));
        }
        match answered(host, keys, token.as_ref(), relayer)? {
            Some(ids) => Ok(Attempt::Done(Some(ids))),
            None => first_nonce_used(host, keys, relayer, &nonces),
        }
    })?;
    relayers::follow(call.host, keys, relayer)?;
    let ids: Vec<&str> = match &repeated {
        Some(ids) => ids.iter().map(String::as_str).collect(),
        None => ids().collect(),
    };
    let mut reply = Reply::new();
    reply.array(ids.len());
    for id in ids {
        reply.bulk(id);
    }
    Ok(reply.into())
}

fn take_records<'a>(call: &mut Call<'a>, keys: Keys, relayer: &'a str) -> Result<Vec<Record<'a>>> {
    if call.arguments.is_empty() || !call.arguments.len().is_multiple_of(3) {
        return Err(Error::wrong_arity(call.arguments.name()));
    }
    let now_ms = call.host.now_ms();
    let random = call.host.random();
    let mut records = Vec::with_capacity(call.arguments.len() / 3);
    while !call.arguments.is_empty() {
        let nonce = call.arguments.u64()?;
        let request = Request::take_body(relayer, Some(nonce), &mut call.arguments)?;
        let random = random.wrapping_add(records.len() as u64);
        let id = new_id(keys, relayer, now_ms, nonce, random);
        records.push(request.record(id.into(), now_ms));
    }
    Ok(records)
}

/// Four commands, however many transactions; with an index by time, five.
fn batch_of_many(keys: Keys, relayer: &str, records: &[Record<'_>]) -> Batch {
    let count = records.len();
    let each = 768 + 3 * relayer.len();
    let mut batch = Batch::with_capacity(6, 16 + 9 * count, count * each);
    for record in records {
        batch.absent(keys.tx(&record.id)).absent(keys.nonce(relayer, record.nonce));
    }
    batch.discard_replies();
    let mut command = batch.command("MSET");
    for record in records {
        let id = &*record.id;
        command = command.arg(keys.tx(id)).arg(record).arg(keys.lookup(id)).arg(relayer);
        command = command.arg(keys.nonce(relayer, record.nonce)).arg(id);
    }
    let ids = records.iter().map(|record| &*record.id);
    batch.command("SADD").arg(keys.status(relayer, Status::Pending)).args(ids);
    by_time::add(&mut batch, keys, relayer, records);
    if !keys.tagged {
        batch.sadd(keys.relayers(), relayer);
    }
    batch.command("INCRBY").arg(keys.count(relayer)).arg(count);
    batch
}

/// Says which nonce is used already. The ids are new, so nothing else can be in the way for long.
fn first_nonce_used<T>(
    host: &mut dyn Host,
    keys: Keys,
    relayer: &str,
    nonces: &[u64],
) -> Result<Attempt<T>> {
    let mut query = Query::new();
    query.command("MGET").args(nonces.iter().map(|nonce| keys.nonce(relayer, *nonce)));
    let view = host.read(&query)?;
    let users = view.cursor().bulks()?;
    match nonces.iter().zip(users).find_map(|(nonce, user)| Some((*nonce, user?))) {
        Some((nonce, user)) => {
            Err(refusal::nonce_used(relayer, nonce, &String::from_utf8_lossy(user)))
        }
        None => Ok(Attempt::Stale),
    }
}
