//! Ends what is over: registrations and leases whose time has come, and what was bound to a
//! connection that is gone.
//!
//! It happens when the run's timer expires or the connection goes (the plugin's trigger), and before
//! any command looks at the run, so that nobody ever sees what is over. Connections of a former life of the
//! plugin are all gone: nobody told, because nobody could.

use std::collections::{BTreeMap, BTreeSet};

use reef_sdk::{FromArgument, Query, Result};

use crate::entry::{Leader, Lease, Owner, Registration, Tie};
use crate::key::{Kind, Name};
use crate::round::{Round, hash_field};

/// How much is ended in one step.
const SWEEP_MAX: usize = 256;
/// How many ids of a name space are remembered that are gone, at least.
const ENDED_MAX: i64 = 4_096;

/// Whether something is over.
pub(crate) fn is_due(round: &Round<'_>) -> bool {
    let due_ms = round.meta.due_ms;
    due_ms > 0 && due_ms <= round.now_ms || round.meta.incarnation != round.incarnation
}

/// Ends what is over, at most so much at once; what is left is due at once.
pub(crate) fn sweep(round: &mut Round<'_>) -> Result<()> {
    if round.meta.incarnation != round.incarnation {
        return forget_former_life(round);
    }
    let mut query = Query::new();
    let due = round.run.key(Kind::Due, b"");
    // One more tells when to come back.
    let range = query.command("ZRANGEBYSCORE").arg(due).arg("-inf").arg("+inf").arg("WITHSCORES");
    range.arg("LIMIT").arg("0").arg(SWEEP_MAX + 1);
    let view = round.host.read(&query)?;
    let mut cursor = view.cursor();
    let (mut over, mut gone, mut next_ms) = (Vec::new(), Vec::new(), 0);
    for index in 0..cursor.elements()? / 2 {
        let tie = cursor.value::<&[u8]>()?;
        let at_ms = cursor.value::<f64>()? as u64;
        if index == SWEEP_MAX || at_ms > round.now_ms {
            next_ms = at_ms;
            break;
        }
        match Tie::decode(tie)? {
            Tie::Connection(owner) => gone.push(owner),
            tie => over.push(tie),
        }
    }
    let rest = collect(round, &gone, &mut over)?;
    let done = gone.iter().filter(|owner| !rest.contains(owner)).map(|one| Tie::Connection(*one));
    for tie in done {
        round.untie(&tie, None);
    }
    end(round, over)?;
    round.set_timer(if rest.is_empty() { next_ms } else { round.now_ms });
    Ok(())
}

/// Ends what a connection has left; if that is too much for one step, the rest is due at once.
pub(crate) fn end_connection(round: &mut Round<'_>, owner: Owner) -> Result<()> {
    let mut ties = Vec::new();
    let rest = collect(round, &[owner], &mut ties)?;
    end(round, ties)?;
    for owner in rest {
        let now_ms = round.now_ms;
        round.end_at(&Tie::Connection(owner), now_ms);
    }
    Ok(())
}

/// Adds what connections that are gone have left, until it is enough for one step. Of whom more is left
/// is returned; their keys stay until they are empty.
fn collect(round: &mut Round<'_>, gone: &[Owner], ties: &mut Vec<Tie>) -> Result<Vec<Owner>> {
    let mut rest = Vec::new();
    for owner in gone {
        let room = SWEEP_MAX.saturating_sub(ties.len());
        if room == 0 {
            rest.push(*owner);
            continue;
        }
        // One more tells whether it is all.
        let mut left = tied(round, *owner, room + 1)?;
        if left.len() > room {
            left.truncate(room);
            round.amend("SREM", Kind::Tied, &owner.name()).args(&left);
            rest.push(*owner);
        } else {
            round.amend("DEL", Kind::Tied, &owner.name());
            let name = Kind::Tied.of(&owner.name());
            round.amend("SREM", Kind::Names, b"").arg(name);
        }
        ties.extend(left);
    }
    Ok(rest)
}

/// What is bound to a connection, at most so much of it.
fn tied(round: &mut Round<'_>, owner: Owner, most: usize) -> Result<Vec<Tie>> {
    let mut query = Query::new();
    query.command("SRANDMEMBER").arg(round.run.key(Kind::Tied, &owner.name())).arg(most);
    let view = round.host.read(&query)?;
    view.cursor().bulks()?.into_iter().flatten().map(Tie::decode).collect()
}

/// Ends what connections of another life of the plugin have left.
fn forget_former_life(round: &mut Round<'_>) -> Result<()> {
    let mut query = Query::new();
    query.command("SMEMBERS").arg(round.run.key(Kind::Names, b""));
    let view = round.host.read(&query)?;
    let names = view.cursor().bulks()?;
    let tied = names.into_iter().flatten().filter_map(|name| {
        let owner = Owner::of_name(name.strip_prefix(Kind::Tied.word().as_bytes())?)?;
        (owner.incarnation != round.incarnation).then_some(owner)
    });
    let mut gone: Vec<Owner> = tied.take(SWEEP_MAX + 1).collect();
    let mut is_all = gone.len() <= SWEEP_MAX;
    gone.truncate(SWEEP_MAX);
    let mut ties = Vec::new();
    is_all &= collect(round, &gone, &mut ties)?.is_empty();
    // All at once: what one of them has leased may be what another one has registered.
    end(round, ties)?;
    if is_all {
        round.meta.incarnation = round.incarnation;
    }
    let due_ms = if is_all { round.meta.due_ms } else { round.now_ms };
    round.set_timer(due_ms);
    Ok(())
}

/// Ends these. It reads what is there before this round changes anything, so it is done once a round.
fn end(round: &mut Round<'_>, mut ties: Vec<Tie>) -> Result<()> {
    ties.sort_unstable();
    ties.dedup();
    let mut query = Query::new();
    for tie in &ties {
        match tie {
            Tie::Registration { ns, id } | Tie::Lease { ns, id } => {
                query.command("HGET").arg(round.run.key(Kind::Registered, ns)).arg(id);
                query.command("HGET").arg(round.run.key(Kind::Leased, ns)).arg(id);
            }
            Tie::Leader { role } => {
                query.command("HGET").arg(round.run.key(Kind::Leaders, b"")).arg(role);
            }
            Tie::Connection(_) => {}
        }
    }
    let view = round.host.read(&query)?;
    let mut cursor = view.cursor();
    let mut leases = Vec::new();
    let mut ended = BTreeSet::new();
    for tie in ties {
        // Whatever becomes of it, it is over.
        round.untie(&tie, None);
        match tie {
            Tie::Registration { ns, id } | Tie::Lease { ns, id }
                if ended.contains(&(ns.clone(), id.clone())) =>
            {
                cursor.bulk()?;
                cursor.bulk()?;
            }
            Tie::Registration { ns, id } => {
                let registration = cursor.bulk()?.map(Registration::decode).transpose()?;
                let lease = cursor.bulk()?.map(Lease::decode).transpose()?;
                if let Some(registration) = registration {
                    let place = (Name(&ns), Name(&id));
                    end_registration(round, place, &registration, lease);
                    ended.insert((ns, id));
                }
            }
            Tie::Lease { ns, id } => {
                cursor.bulk()?;
                if let Some(lease) = cursor.bulk()?.map(Lease::decode).transpose()? {
                    leases.push((ns, id, lease));
                }
            }
            Tie::Leader { role } => {
                if let Some(leader) = cursor.bulk()?.map(Leader::decode).transpose()? {
                    end_leader(round, Name(&role), &leader);
                }
            }
            Tie::Connection(_) => {}
        }
    }
    leases.retain(|(ns, id, _)| !ended.contains(&(ns.clone(), id.clone())));
    for (ns, id, lease) in leases {
        give_back(round, (Name(&ns), Name(&id)), lease);
    }
    count_expired(round, &ended)
}

/// Takes a registration out.
pub(crate) fn end_registration(
    round: &mut Round<'_>,
    (ns, id): (Name<'_>, Name<'_>),
    registration: &Registration<'_>,
    lease: Option<Lease>,
) {
    round.amend("HDEL", Kind::Registered, ns.0).arg(id.0);
    round.amend("ZREM", Kind::Free, ns.0).arg(id.0);
    round.untie_from(|| Tie::registration(ns, id), registration.span);
    if let Some(lease) = lease {
        round.amend("HDEL", Kind::Leased, ns.0).arg(id.0);
        round.untie(&Tie::lease(ns, id), Some(lease.owner));
    }
    let revision = round.next_revision();
    round.meta.count = round.meta.count.saturating_sub(1);
    round.amend("ZADD", Kind::Ended, ns.0).arg(revision).arg(id.0);
    round.note_change(ns, revision);
    if is_time_to_forget(revision) {
        round.amend("ZREMRANGEBYRANK", Kind::Ended, ns.0).arg("1").arg(-(ENDED_MAX + 1));
    }
}

/// Whether the oldest that are gone are forgotten with this change: one of 32, in whatever steps changes
/// come that end something.
fn is_time_to_forget(revision: u64) -> bool {
    // Fibonacci hashing spreads any arithmetic progression evenly.
    revision.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59 == 0
}

/// Ends a lease: what was leased can be taken again, in its old place.
pub(crate) fn give_back(round: &mut Round<'_>, (ns, id): (Name<'_>, Name<'_>), lease: Lease) {
    round.amend("HDEL", Kind::Leased, ns.0).arg(id.0);
    round.untie(&Tie::lease(ns, id), Some(lease.owner));
    round.offer((ns, id), lease.order);
}

/// Ends somebody's lead: candidates may have it.
pub(crate) fn end_leader(round: &mut Round<'_>, role: Name<'_>, leader: &Leader) {
    round.amend("HDEL", Kind::Leaders, b"").arg(role.0);
    round.untie_from(|| Tie::leader(role), leader.span);
    round.mark(Kind::Vacant, role.0, "1");
    round.meta.count = round.meta.count.saturating_sub(1);
}

/// Notes how many have expired in each name space.
fn count_expired(round: &mut Round<'_>, ended: &BTreeSet<(Vec<u8>, Vec<u8>)>) -> Result<()> {
    let mut counts = BTreeMap::<&[u8], u64>::new();
    for (ns, _) in ended {
        *counts.entry(ns).or_default() += 1;
    }
    for (ns, count) in counts {
        let before = hash_field(round.host, round.run.key(Kind::Tally, b""), Name(ns))?;
        let before: u64 = before.map_or(Ok(0), |text| FromArgument::from_argument(&text))?;
        round.write("HSET", Kind::Tally, b"").arg(ns).arg(before + count);
    }
    Ok(())
}

/// Whether changes as old as this are not known any more: `oldest` is the first one that is, of so many.
/// Only trimming takes ids out of them, so that fewer than it leaves are all there ever were.
pub(crate) fn is_forgotten(since: u64, oldest: Option<u64>, known: u64) -> bool {
    known >= ENDED_MAX as u64 && oldest.is_some_and(|oldest| since < oldest)
}
