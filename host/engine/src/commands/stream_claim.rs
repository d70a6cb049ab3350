//! XCLAIM and XAUTOCLAIM: what is pending for one consumer of a group becomes another's.

use alloc::vec::Vec;
use core::ops::Deref;

use reef_resp::Writer;

use super::stream_effects::{GroupAt, Told};
use super::stream_entry::{self, say_id, take_start};
use crate::args::Args;
use crate::clock::Millis;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::{Edit, NOT_NOTIFIED};
use crate::step::Cx;
use crate::types::number;
use crate::types::stream::Stream;
use crate::types::stream_group::{ConsumerNumber, Cursor, Pending};
use crate::types::stream_id::Id;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("XCLAIM", xclaim, -6)
        .group(Group::Stream)
        .write()
        .fast()
        .key()
        .usage("key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]")
        .since("5.0.0", "O(log N) with N being the number of messages in the PEL of the consumer group.")
        .summary("Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered a consumer group member."),
    command("XAUTOCLAIM", xautoclaim, -6)
        .group(Group::Stream)
        .write()
        .fast()
        .key()
        .usage("key group consumer min-idle-time start [COUNT count] [JUSTID]")
        .since("6.2.0", "O(1) if COUNT is small.")
        .summary("Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to as consumer group member."),
];

/// Who claims from what, and how.
struct Claim<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    min_idle_ms: i64,
    /// When the entries shall have been delivered.
    delivered_at: Millis,
    /// How often, unless that is one more time.
    deliveries: Option<u64>,
    /// Whether entries that are not pending become so.
    force: bool,
    /// Whether only ids are said, and nothing counts as delivered.
    just_ids: bool,
    now: Millis,
}

/// A group whose pending entries are being claimed.
struct Claiming<'c, 'e, 's> {
    claim: &'c Claim<'c>,
    stream: &'e mut Edit<'s, Stream>,
    number: ConsumerNumber,
    /// What copies must hear of; gathered only if there may be any.
    told: Option<Vec<Told>>,
}

impl<'c> Claim<'c> {
    /// Lets the claimer, who is created if need be, claim.
    fn run(
        &self,
        cx: &mut Cx<'_>,
        claim: impl FnOnce(&mut Claiming<'_, '_, '_>, &mut Writer),
    ) -> Result<(), Error> {
        let told = cx.keys.propagates().then(Vec::new);
        let before = cx.keys.peek_collection::<Stream>(self.key)?.and_then(|s| s.group(self.group));
        let before = before.map(|group| group.cursor);
        let is_new = cx.keys.edit::<Stream, _>(self.key, "xgroup-createconsumer", |stream| {
            Ok(stream.add_consumer(self.group, self.consumer, self.now))
        })?;
        let reply = &mut *cx.reply;
        let result = cx.keys.edit::<Stream, _>(self.key, NOT_NOTIFIED, |stream| {
            stream.note_consumer(self.group, self.consumer, self.now, false);
            let group = stream.group(self.group);
            let Some(number) = group.and_then(|group| group.number(self.consumer)) else {
                return Ok(None);
            };
            let cursor = group.map(|group| group.cursor);
            let mut claiming = Claiming { claim: self, stream, number, told };
            claim(&mut claiming, reply);
            let cursor = claiming.stream.group(self.group).map(|group| group.cursor).or(cursor);
            Ok(claiming.told.zip(cursor))
        })?;
        if let Some((told, cursor)) = result.flatten() {
            self.rewrite(cx, &told, is_new == Some(true), before, cursor);
        }
        Ok(())
    }

    /// Says what copies have to run.
    fn rewrite(
        &self,
        cx: &mut Cx<'_>,
        told: &[Told],
        is_new: bool,
        before: Option<Cursor>,
        cursor: Cursor,
    ) {
        let at = GroupAt { key: self.key, group: self.group };
        cx.rewrite_as_told();
        if is_new && !told.iter().any(|one| one.is_of(self.consumer)) {
            at.rewrite_consumer(cx, self.consumer);
        }
        told.iter().for_each(|one| at.rewrite_pending(cx, one, cursor.last_id));
        if told.is_empty() && before != Some(cursor) {
            at.rewrite_cursor(cx, cursor);
        }
    }
}

impl Claiming<'_, '_, '_> {
    fn pending(&self, id: Id) -> Option<Pending> {
        self.stream.group(self.claim.group)?.pending(id).copied()
    }

    /// The first pending entry from `id` on.
    fn pending_from(&self, id: Id) -> Option<(Id, Pending)> {
        let group = self.stream.group(self.claim.group)?;
        let found = group.pending_between(id, Id::MAX).next();
        found.map(|(id, pending)| (id, *pending))
    }

    /// Whether it was delivered so lately that it cannot be claimed.
    fn is_too_young(&self, pending: &Pending) -> bool {
        let idle_ms = self.claim.now.get() as i64 - pending.delivered_at.get() as i64;
        self.claim.min_idle_ms > 0 && idle_ms < self.claim.min_idle_ms
    }

    /// What is pending but gone from the stream is pending no more.
    fn forget(&mut self, id: Id) {
        self.tell(id);
        self.stream.set_pending(self.claim.group, id, None);
    }

    /// Lets copies hear of a pending entry.
    fn tell(&mut self, id: Id) {
        if let Some(told) = &mut self.told {
            told.extend(Told::of(self.stream, self.claim.group, id));
        }
    }

    /// Makes an entry the claimer's, and says it.
    fn take(&mut self, reply: &mut Writer, id: Id, deliveries_before: u64) {
        let Claim { group, consumer, delivered_at, just_ids, now, .. } = *self.claim;
        let deliveries = match self.claim.deliveries {
            Some(deliveries) => deliveries,
            None => deliveries_before.saturating_add(u64::from(!just_ids)),
        };
        let pending = Pending { consumer: self.number, delivered_at, deliveries };
        self.stream.set_pending(group, id, Some(pending));
        self.tell(id);
        self.stream.note_consumer(group, consumer, now, true);
        match self.stream.deref().get(id) {
            Some(entry) if !just_ids => stream_entry::say(reply, entry),
            _ => say_id(reply, id),
        }
    }
}

/// The group that is claimed from must be there.
fn check_group(cx: &mut Cx<'_>, key: &[u8], group: &[u8]) -> Result<(), Error> {
    let stream = cx.keys.collection::<Stream>(key)?;
    let found = stream.and_then(|stream| stream.group(group)).map(|_| ());
    found.ok_or_else(|| Error::no_key_or_group(key, group))
}

/// Takes how long an entry must not have been delivered.
fn take_min_idle(args: &mut Args<'_>, error: Error) -> Result<i64, Error> {
    Ok(args.integer_within(i64::MIN..=i64::MAX, error)?.max(0))
}

fn xclaim(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    check_group(cx, key, group)?;
    let min_idle_ms = take_min_idle(args, Error::MIN_IDLE_OF_XCLAIM)?;
    let mut ids = Vec::new();
    while let Some(id) = args.peek().and_then(|text| Id::parse(text, 0)) {
        args.bytes()?;
        ids.push(id);
    }
    let now = cx.keys.now;
    let mut claim = Claim {
        key,
        group,
        consumer,
        min_idle_ms,
        delivered_at: now,
        deliveries: None,
        force: false,
        just_ids: false,
        now,
    };
    let last_id = take_claim_options(cx, args, &mut claim)?;
    claim.run(cx, |claiming, reply| {
        claiming.advance(last_id);
        let mark = reply.mark();
        let claimed = ids.into_iter().filter(|id| claiming.claim_one(reply, *id)).count();
        reply.array_since(mark, claimed);
    })?;
    Ok(())
}

impl Claiming<'_, '_, '_> {
    /// The group has read at least up to this id.
    fn advance(&mut self, last_id: Id) {
        let cursor = self.stream.group(self.claim.group).map(|group| group.cursor);
        if let Some(cursor) = cursor.filter(|cursor| cursor.last_id < last_id) {
            self.stream.set_cursor(self.claim.group, Cursor { last_id, ..cursor });
        }
    }

    /// Claims an entry, if it can be. Whether it was.
    fn claim_one(&mut self, reply: &mut Writer, id: Id) -> bool {
        /// What is not pending yet counts as delivered once before it is claimed.
        const DELIVERIES_OF_FORCED: u64 = 1;
        let pending = self.pending(id);
        if self.stream.deref().get(id).is_none() {
            if pending.is_some() {
                self.forget(id);
            }
            return false;
        }
        let deliveries = match pending {
            Some(pending) if self.is_too_young(&pending) => return false,
            Some(pending) => pending.deliveries,
            None if self.claim.force => DELIVERIES_OF_FORCED,
            None => return false,
        };
        self.take(reply, id, deliveries);
        true
    }
}

/// Takes what stands behind the ids; gives how far the group shall have read.
fn take_claim_options(
    cx: &Cx<'_>,
    args: &mut Args<'_>,
    claim: &mut Claim<'_>,
) -> Result<Id, Error> {
    let now = claim.now.get() as i64;
    let mut last_id = Id::MIN;
    // Minus one stands for no time at all, whichever option it came from.
    let mut delivered_at = -1;
    while let Some(word) = args.peek() {
        let has_value = args.left() > 1;
        if args.keyword("FORCE") {
            claim.force = true;
        } else if args.keyword("JUSTID") {
            claim.just_ids = true;
        } else if has_value && args.keyword("IDLE") {
            let idle = option_value(args, Error::IDLE_OF_XCLAIM)?;
            delivered_at = now.wrapping_sub(idle);
        } else if has_value && args.keyword("TIME") {
            delivered_at = option_value(args, Error::TIME_OF_XCLAIM)?;
        } else if has_value && args.keyword("RETRYCOUNT") {
            let count = option_value(args, Error::RETRYCOUNT_OF_XCLAIM)?;
            claim.deliveries = u64::try_from(count).ok();
        } else if has_value && args.keyword("LASTID") {
            last_id = stream_entry::id(args.bytes()?)?;
        } else {
            return Err(Error::unrecognized_claim_option(word));
        }
    }
    // Whoever obeys has another clock.
    if (0..=now).contains(&delivered_at) || cx.session.obeys_primary && delivered_at >= 0 {
        claim.delivered_at = Millis::new(delivered_at as u64);
    }
    Ok(last_id)
}

fn option_value(args: &mut Args<'_>, error: Error) -> Result<i64, Error> {
    number::parse_i64(args.bytes()?).ok_or(error)
}

fn xautoclaim(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    /// Entries that are claimed if nobody says how many.
    const COUNT: usize = 100;
    /// Most that can be asked for.
    const COUNT_MAX: i64 = i64::MAX / 16;
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let min_idle_ms = take_min_idle(args, Error::MIN_IDLE_OF_XAUTOCLAIM)?;
    let start = take_start(args)?;
    let (mut count, mut just_ids) = (COUNT, false);
    while !args.is_done() {
        if args.left() > 1 && args.keyword("COUNT") {
            count = args.integer_within(1..=COUNT_MAX, Error::COUNT_OF_XAUTOCLAIM)? as usize;
        } else if args.keyword("JUSTID") {
            just_ids = true;
        } else {
            return Err(Error::Syntax);
        }
    }
    check_group(cx, key, group)?;
    let now = cx.keys.now;
    let claim = Claim {
        key,
        group,
        consumer,
        min_idle_ms,
        delivered_at: now,
        deliveries: None,
        force: false,
        just_ids,
        now,
    };
    claim.run(cx, |claiming, reply| claiming.claim_from(reply, start, count))?;
    Ok(())
}

impl Claiming<'_, '_, '_> {
    /// Claims up to `count` entries from `start` on, looking at ten times as many; says where to go
    /// on, what was claimed, and what was gone.
    fn claim_from(&mut self, reply: &mut Writer, start: Id, count: usize) {
        const ATTEMPTS_PER_ENTRY: usize = 10;
        let mut attempts = count.saturating_mul(ATTEMPTS_PER_ENTRY);
        let (mut next, mut gone, mut left) = (Some(start), Vec::new(), count);
        let mut claimed = Vec::new();
        while attempts > 0 && left > 0 {
            let Some((id, pending)) = next.and_then(|next| self.pending_from(next)) else { break };
            attempts -= 1;
            next = id.next();
            if self.stream.deref().get(id).is_none() {
                self.forget(id);
                gone.push(id);
                left -= 1;
            } else if !self.is_too_young(&pending) {
                claimed.push((id, pending.deliveries));
                left -= 1;
            }
        }
        let next = next.and_then(|next| self.pending_from(next)).map_or(Id::MIN, |(id, _)| id);
        reply.array(3);
        say_id(reply, next);
        reply.array(claimed.len());
        claimed.into_iter().for_each(|(id, deliveries)| self.take(reply, id, deliveries));
        if let Some(told) = &mut self.told {
            told.sort_by_key(Told::id);
        }
        reply.array(gone.len());
        gone.into_iter().for_each(|id| say_id(reply, id));
    }
}
