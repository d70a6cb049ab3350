//! `TX.UPDATE`: reads a record with its version, decides, and writes record and indexes in one
//! batch that runs only if nobody changed the record meanwhile.

use std::borrow::Cow;

use reef_sdk::transact;
use reef_sdk::{Answer, Arguments, Attempt, Batch, Call, Error, Outcome, Query, Reply, Result};

use crate::input;
use crate::key::Key;
use crate::record::{HASHES_MAX, Record};
use crate::refusal;
use crate::status::Status;

/// What a client asks to change.
struct Change<'a> {
    id: &'a str,
    status: Status,
    hash: Option<&'a str>,
    gas_price: Option<&'a str>,
    gas_limit: Option<u64>,
    ttl_ms: Option<u64>,
    only_if: Option<Status>,
    both: bool,
}

impl<'a> Change<'a> {
    fn take(arguments: &mut Arguments<'a>) -> Result<Self> {
        let mut change = Self {
            id: input::name(arguments)?,
            status: input::status(arguments.bytes()?)?,
            hash: None,
            gas_price: None,
            gas_limit: None,
            ttl_ms: None,
            only_if: None,
            both: false,
        };
        while !arguments.is_empty() {
            if arguments.keyword("HASH") {
                change.hash = Some(input::name_value(arguments)?);
            } else if arguments.keyword("GASPRICE") {
                change.gas_price = Some(input::amount(arguments.value()?)?);
            } else if arguments.keyword("GASLIMIT") {
                change.gas_limit = Some(arguments.u64()?);
            } else if arguments.keyword("TTL") {
                change.ttl_ms = Some(input::ttl_ms(arguments)?);
            } else if arguments.keyword("IF") {
                change.only_if = Some(input::status(arguments.value()?)?);
            } else if arguments.keyword("BOTH") {
                change.both = true;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(change)
    }

    /// The record after the change, or a refusal.
    fn apply<'r>(&'r self, before: &Record<'r>, now_ms: u64) -> Result<Record<'r>> {
        if self.only_if.is_some_and(|status| status != before.status) {
            return Err(refusal::other_status(self.id, before.status));
        }
        let stays = before.status == self.status;
        if !stays && !before.status.may_become(self.status) {
            return Err(refusal::illegal_move(self.id, before.status, self.status));
        }
        let mut after = before.clone();
        after.status = self.status;
        if let Some(hash) = self.hash
            && before.hash.as_deref() != Some(hash)
        {
            if before.hashes.len() == HASHES_MAX {
                return Err(refusal::too_many_hashes(self.id));
            }
            after.hash = Some(hash.into());
            after.hashes.push(hash.into());
        }
        if let Some(price) = self.gas_price {
            after.gas_price = Some(Cow::Borrowed(price));
        }
        after.gas_limit = self.gas_limit.or(after.gas_limit);
        if before.status.is_final() && after != *before {
            // Asked for the status it has, and for something else: a finished record is history.
            return Err(refusal::illegal_move(self.id, before.status, self.status));
        }
        if let Some(ttl_ms) = self.ttl_ms {
            after.expires_ms = Some(now_ms + ttl_ms);
        }
        if after != *before {
            after.updated_ms = now_ms;
        }
        if !stays && self.status == Status::Confirmed {
            after.confirmed_ms = Some(now_ms);
        }
        Ok(after)
    }
}

/// `TX.UPDATE`
///
/// Asking again for what is already so changes nothing and succeeds, so a client may repeat a
/// request whose reply it lost. How long a finished transaction is kept is the one thing about it
/// that may still be set.
pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer> {
    let change = Change::take(&mut call.arguments)?;
    let id = change.id;
    let now_ms = call.host.now_ms();
    transact(call.host, |host| {
        let mut query = Query::new();
        query.get(Key::Tx(id)).watch(Key::Tx(id));
        let view = host.read(&query)?;
        let Some(json) = view.cursor().bulk()? else {
            return Err(refusal::no_transaction(id));
        };
        let before = Record::parse(id, json)?;
        let after = change.apply(&before, now_ms)?;
        if after != before {
            let mut batch = batch_of(&before, &after);
            batch.guard(Key::Tx(id), view.version(0));
            if let Outcome::Stale(_) = host.apply(&batch)? {
                return Ok(Attempt::Stale);
            }
        }
        let mut reply = Reply::new();
        if change.both {
            reply.array(2).bulk(json);
        }
        reply.bulk(after);
        Ok(Attempt::Done(reply.into()))
    })
}

fn batch_of(before: &Record<'_>, after: &Record<'_>) -> Batch {
    let (id, relayer) = (&*after.id, &*after.relayer);
    let mut batch = Batch::with_capacity(5, 20, 1024 + after.hashes.len() * 80);
    batch.discard_replies();
    let set = batch.command("SET").arg(Key::Tx(id)).arg(after);
    match after.expires_ms {
        Some(expires_ms) => set.arg("PXAT").arg(expires_ms),
        None => set,
    };
    if before.status != after.status {
        batch.srem(Key::Status(relayer, before.status), id);
        batch.sadd(Key::Status(relayer, after.status), id);
    }
    if let Some(expires_ms) = after.expires_ms
        && before.expires_ms != after.expires_ms
    {
        batch.command("PEXPIREAT").arg(Key::Nonce(relayer, after.nonce)).arg(expires_ms);
        batch.command("ZADD").arg(Key::Expiring(relayer)).arg(expires_ms).arg(id);
    }
    batch
}
