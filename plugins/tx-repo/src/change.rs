//! `TX.UPDATE`: reads a record with its version, decides, and writes record and indexes in one
//! batch that runs only if nobody changed the record meanwhile.

use std::borrow::Cow;

use reef_sdk::transact;
use reef_sdk::{
    Answer, Arguments, Attempt, Batch, Call, Error, Host, Outcome, Query, Reply, Result,
};

use crate::by_time;
use crate::input;
use crate::key::Keys;
use crate::record::{HASHES_MAX, Record};
use crate::refusal;
use crate::status::Status;

/// What a client asks to change. What is not named stays as it is.
#[derive(Default)]
struct Change<'a> {
    id: &'a str,
    status: Option<Status>,
    to: Option<&'a str>,
    value: Option<&'a str>,
    data: Option<&'a str>,
    hash: Option<&'a str>,
    gas_price: Option<&'a str>,
    gas_limit: Option<u64>,
    reason: Option<&'a str>,
    attempt: Option<Tried>,
    ttl_ms: Option<u64>,
    only_if: Option<Status>,
    both: bool,
}

/// How an attempt went, for the counters of failures.
enum Tried {
    Failed,
    Succeeded,
}

impl<'a> Change<'a> {
    fn take(arguments: &mut Arguments<'a>) -> Result<Self> {
        let mut change = Self { id: input::name(arguments)?, ..Self::default() };
        if !arguments.keyword("SAME") {
            change.status = Some(input::status(arguments.bytes()?)?);
        }
        while !arguments.is_empty() {
            if arguments.keyword("IF") {
                change.only_if = Some(input::status(arguments.value()?)?);
            } else if arguments.keyword("BOTH") {
                change.both = true;
            } else if arguments.keyword("TTL") {
                change.ttl_ms = Some(input::ttl_ms(arguments)?);
            } else if arguments.keyword("FAILURE") {
                change.attempt = Some(Tried::Failed);
            } else if arguments.keyword("SUCCESS") {
                change.attempt = Some(Tried::Succeeded);
            } else {
                change.take_member(arguments)?;
            }
        }
        Ok(change)
    }

    /// A member of the record and its new value.
    fn take_member(&mut self, arguments: &mut Arguments<'a>) -> Result<()> {
        if arguments.keyword("HASH") {
            self.hash = Some(input::name_value(arguments)?);
        } else if arguments.keyword("GASPRICE") {
            self.gas_price = Some(input::amount(arguments.value()?)?);
        } else if arguments.keyword("GASLIMIT") {
            self.gas_limit = Some(arguments.u64()?);
        } else if arguments.keyword("TO") {
            self.to = Some(input::name_value(arguments)?);
        } else if arguments.keyword("VALUE") {
            self.value = Some(input::amount(arguments.value()?)?);
        } else if arguments.keyword("DATA") {
            self.data = Some(input::data(arguments.value()?)?);
        } else if arguments.keyword("REASON") {
            self.reason = Some(input::reason(arguments)?);
        } else {
            return Err(Error::SYNTAX);
        }
        Ok(())
    }

    /// The record after the change, or a refusal.
    fn apply<'r>(
        &'r self,
        before: &Record<'r>,
        now_ms: u64,
        finished_ttl_ms: Option<u64>,
    ) -> Result<Record<'r>> {
        if self.only_if.is_some_and(|status| status != before.status) {
            return Err(refusal::other_status(self.id, before.status));
        }
        let status = self.status.unwrap_or(before.status);
        let stays = before.status == status;
        if !stays && !before.status.may_become(status) {
            return Err(refusal::illegal_move(self.id, before.status, status));
        }
        let mut after = self.patched(before)?;
        after.status = status;
        if before.status.is_final() && after != *before {
            // Asked for the status it has, and for something else: a finished record is history.
            return Err(refusal::illegal_move(self.id, before.status, status));
        }
        let finishes = !stays && status.is_final();
        if let Some(ttl_ms) = self.ttl_ms.or(finished_ttl_ms.filter(|_| finishes)) {
            after.expires_ms = Some(now_ms + ttl_ms);
        }
        if after != *before {
            after.updated_ms = now_ms;
        }
        if !stays && status == Status::Confirmed {
            after.confirmed_ms = Some(now_ms);
        }
        Ok(after)
    }

    /// The record with the members that are named.
    fn patched<'r>(&'r self, before: &Record<'r>) -> Result<Record<'r>> {
        let mut after = before.clone();
        if let Some(hash) = self.hash
            && before.hash.as_deref() != Some(hash)
        {
            if before.hashes.len() == HASHES_MAX {
                return Err(refusal::too_many_hashes(self.id));
            }
            after.hash = Some(hash.into());
            after.hashes.push(hash.into());
        }
        let put = |member: &mut Cow<'r, str>, value: Option<&'r str>| {
            if let Some(value) = value {
                *member = Cow::Borrowed(value);
            }
        };
        put(&mut after.to, self.to);
        put(&mut after.value, self.value);
        after.gas_limit = self.gas_limit.or(after.gas_limit);
        after.gas_price = self.gas_price.map(Cow::Borrowed).or(after.gas_price);
        after.data = self.data.map(Cow::Borrowed).or(after.data);
        after.reason = self.reason.map(Cow::Borrowed).or(after.reason);
        match self.attempt {
            Some(Tried::Failed) => {
                after.failures = after.failures.saturating_add(1);
                after.all_failures = after.all_failures.saturating_add(1);
            }
            Some(Tried::Succeeded) => after.failures = 0,
            None => {}
        }
        Ok(after)
    }
}

/// `TX.UPDATE`
///
/// Asking again for what is already so changes nothing and succeeds, so a client may repeat a
/// request whose reply it lost. How long a finished transaction is kept is the one thing about it
/// that may still be set; with the configuration `finished-ttl` (in seconds) it is set by the move
/// that finishes it.
pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let change = Change::take(&mut call.arguments)?;
    let id = change.id;
    keys.check_id(id)?;
    let now_ms = call.host.now_ms();
    let finished_ttl_ms = finished_ttl_ms(call.host, &change)?;
    transact(call.host, |host| {
        let mut query = Query::new();
        query.get(keys.tx(id)).watch(keys.tx(id));
        let view = host.read(&query)?;
        let Some(json) = view.cursor().bulk()? else {
            return Err(refusal::no_transaction(id));
        };
        let before = Record::parse(id, json)?;
        let after = change.apply(&before, now_ms, finished_ttl_ms)?;
        if after != before {
            let mut batch = batch_of(keys, &before, &after);
            batch.guard(keys.tx(id), view.version(0));
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

/// How long what this change finishes is kept. Asked for only when it may matter.
fn finished_ttl_ms(host: &mut dyn Host, change: &Change<'_>) -> Result<Option<u64>> {
    if !change.status.is_some_and(Status::is_final) || change.ttl_ms.is_some() {
        return Ok(None);
    }
    let seconds = input::configured_seconds(host, "finished-ttl")?;
    Ok(seconds.map(|seconds| seconds * 1000))
}

fn batch_of(keys: Keys, before: &Record<'_>, after: &Record<'_>) -> Batch {
    let (id, relayer) = (&*after.id, &*after.relayer);
    let mut batch = Batch::with_capacity(7, 27, 1280 + after.hashes.len() * 80);
    batch.discard_replies();
    let set = batch.command("SET").arg(keys.tx(id)).arg(after);
    match after.expires_ms {
        Some(expires_ms) => set.arg("PXAT").arg(expires_ms),
        None => set,
    };
    if before.status != after.status {
        batch.srem(keys.status(relayer, before.status), id);
        batch.sadd(keys.status(relayer, after.status), id);
        by_time::remove(&mut batch, keys, relayer, before.status, &[id]);
        by_time::add(&mut batch, keys, relayer, std::slice::from_ref(after));
    }
    if let Some(expires_ms) = after.expires_ms
        && before.expires_ms != after.expires_ms
    {
        batch.command("PEXPIREAT").arg(keys.nonce(relayer, after.nonce)).arg(expires_ms);
        batch.command("ZADD").arg(keys.expiring(relayer)).arg(expires_ms).arg(id);
    }
    batch
}
