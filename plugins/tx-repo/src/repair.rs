//! `TX.REPAIR`: takes back what indexes say without a record, and builds the index by time anew.
//!
//! The server or a person may take a record away behind the plugin's back: by eviction, by `DEL`.
//! What is left then names nothing, and blocks its id and its nonce. A repair walks the sets of one
//! relayer, its nonces and at last its count, page by page; whatever it writes is guarded by the
//! versions of what it read, so it may run while everything changes.

use std::collections::BTreeSet;

use reef_sdk::{Answer, Attempt, Batch, Call, Host, Outcome, Query, Reply, Result, transact};

use crate::by_time;
use crate::expiry;
use crate::input;
use crate::key::Keys;
use crate::record::Record;
use crate::refusal;
use crate::relayers;
use crate::status::Status;
use crate::verify::{escaped, is_tired, scanned};

/// How many entries are looked at at once.
const PAGE: u64 = 64;

/// `TX.REPAIR`
///
/// Replies the next cursor, 0 at the end, and how many entries were taken back so far in this call.
pub(crate) fn repair(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let relayer = input::name(&mut call.arguments)?;
    keys.check_relayer(relayer)?;
    let mut place = Place::START;
    if call.arguments.keyword("CURSOR") {
        place = Place::parse(call.arguments.text()?)?;
    }
    call.arguments.end()?;
    let budget = call.host.remaining();
    let mut repair = Repair { keys, relayer, host: &mut *call.host, taken_back: 0 };
    if place == Place::START {
        repair.forget_times()?;
    }
    while let Some(next) = repair.step(place)? {
        place = next;
        if is_tired(&budget, &repair.host.remaining()) {
            return Ok(answer(&place.text(), repair.taken_back));
        }
    }
    Ok(answer("0", repair.taken_back))
}

fn answer(cursor: &str, taken_back: i64) -> Answer {
    let mut reply = Reply::new();
    reply.array(2).bulk(cursor).integer(taken_back);
    reply.into()
}

/// How far the walk has come: which set, with the nonces after the last, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    set: usize,
    scan: u64,
}

impl Place {
    const START: Self = Self { set: 0, scan: 0 };

    fn parse(text: &str) -> Result<Self> {
        if text == "0" {
            return Ok(Self::START);
        }
        let (set, scan) = text.split_once('.').ok_or(refusal::BAD_CURSOR)?;
        let set = set.parse().map_err(|_| refusal::BAD_CURSOR)?;
        let scan = scan.parse().map_err(|_| refusal::BAD_CURSOR)?;
        if set > Status::ALL.len() { Err(refusal::BAD_CURSOR) } else { Ok(Self { set, scan }) }
    }

    fn text(self) -> String {
        format!("{}.{}", self.set, self.scan)
    }
}

struct Repair<'a, 'h> {
    keys: Keys,
    relayer: &'a str,
    host: &'a mut (dyn Host + 'h),
    taken_back: i64,
}

impl Repair<'_, '_> {
    /// The indexes by time begin empty; from now on every change is in them, and the walk adds the
    /// rest.
    fn forget_times(&mut self) -> Result<()> {
        let mut batch = Batch::new();
        let times = Status::ALL.map(|status| self.keys.by_time(self.relayer, status));
        batch.discard_replies().run("DEL", times);
        self.host.apply(&batch)?;
        Ok(())
    }

    /// One page; where to go on.
    fn step(&mut self, place: Place) -> Result<Option<Place>> {
        let scan = match Status::ALL.get(place.set) {
            Some(status) => self.members(*status, place.scan)?,
            None => self.nonces(place.scan)?,
        };
        if scan != 0 {
            return Ok(Some(Place { scan, ..place }));
        }
        if place.set < Status::ALL.len() {
            return Ok(Some(Place { set: place.set + 1, scan: 0 }));
        }
        self.recount()?;
        Ok(None)
    }

    /// One page of a set of ids.
    fn members(&mut self, status: Status, scan: u64) -> Result<u64> {
        let mut query = Query::new();
        let command = query.command("SSCAN").arg(self.keys.status(self.relayer, status));
        command.arg(scan).arg("COUNT").arg(PAGE);
        let view = self.host.read(&query)?;
        let (next, ids) = scanned(&view)?;
        // A small set comes whole, however little was asked for.
        for page in ids.chunks(PAGE as usize) {
            self.taken_back += self.page_of_members(status, page)?;
        }
        Ok(next)
    }

    /// Takes back the ids whose record is gone or says something else, and puts the others where
    /// they belong by time. The count is not touched: it is counted anew at the end.
    fn page_of_members(&mut self, status: Status, ids: &[String]) -> Result<i64> {
        let (keys, relayer) = (self.keys, self.relayer);
        transact(self.host, |host| {
            let mut query = Query::new();
            query.command("MGET").args(ids.iter().map(|id| keys.tx(id)));
            ids.iter().for_each(|id| {
                query.watch(keys.tx(id));
            });
            let view = host.read(&query)?;
            let mut batch = Batch::new();
            batch.discard_replies();
            let (mut gone, mut here) = (Vec::new(), Vec::new());
            for ((index, id), json) in ids.iter().enumerate().zip(view.cursor().bulks()?) {
                batch.guard(keys.tx(id), view.version(index));
                let record = json.and_then(|json| Record::parse(id, json).ok());
                match record {
                    Some(record) if record.relayer == relayer && record.status == status => {
                        here.push(record);
                    }
                    // A record that says something else keeps its lookup and its deadline.
                    _ => gone.push((id.as_str(), json.is_none())),
                }
            }
            by_time::add(&mut batch, keys, relayer, &here);
            take_out(&mut batch, keys, relayer, status, &gone);
            if batch.is_empty() {
                return Ok(Attempt::Done(0));
            }
            Ok(match host.apply(&batch)? {
                Outcome::Applied(_) => Attempt::Done(gone.len() as i64),
                Outcome::Stale(_) => Attempt::Stale,
            })
        })
    }

    /// One page of SCAN for nonces whose transaction is gone.
    fn nonces(&mut self, scan: u64) -> Result<u64> {
        let keys = self.keys;
        let mut query = Query::new();
        let pattern = format!("{}:nonce:*", keys.pattern(&escaped(self.relayer)));
        query.command("SCAN").arg(scan).arg("MATCH").arg(pattern).arg("COUNT").arg(8 * PAGE);
        let view = self.host.read(&query)?;
        let (next, found) = scanned(&view)?;
        let nonces = found.iter().filter_map(|key| keys.nonce_of(key));
        let nonces = nonces.filter(|(relayer, _)| relayer == self.relayer);
        let nonces: Vec<u64> = nonces.map(|(_, nonce)| nonce).collect();
        for page in nonces.chunks(PAGE as usize) {
            self.taken_back += self.page_of_nonces(page)?;
        }
        Ok(next)
    }

    fn page_of_nonces(&mut self, nonces: &[u64]) -> Result<i64> {
        let (keys, relayer) = (self.keys, self.relayer);
        transact(self.host, |host| {
            let mut query = Query::new();
            query.command("MGET").args(nonces.iter().map(|nonce| keys.nonce(relayer, *nonce)));
            for nonce in nonces {
                query.watch(keys.nonce(relayer, *nonce));
            }
            let view = host.read(&query)?;
            let users = view.cursor().bulks()?.into_iter();
            // What is no id is nobody's.
            let id = |user: Option<&[u8]>| Some(String::from_utf8_lossy(user?).into_owned());
            let users =
                users.map(|user| id(user).filter(|id| keys.check_id_of(relayer, id).is_ok()));
            let users: Vec<Option<String>> = users.collect();
            let with_record = with_record(host, keys, &users)?;
            let mut batch = Batch::new();
            batch.discard_replies();
            for ((index, nonce), user) in nonces.iter().enumerate().zip(&users) {
                if user.as_ref().is_some_and(|id| with_record.contains(id)) {
                    continue;
                }
                let key = keys.nonce(relayer, *nonce);
                batch.guard(key, view.version(index)).del(key);
                if let Some(id) = user {
                    batch.absent(keys.tx(id));
                }
            }
            if batch.is_empty() {
                return Ok(Attempt::Done(0));
            }
            let taken_back = batch.len() as i64;
            Ok(match host.apply(&batch)? {
                Outcome::Applied(_) => Attempt::Done(taken_back),
                Outcome::Stale(_) => Attempt::Stale,
            })
        })
    }

    /// Makes the count what the sets hold.
    fn recount(&mut self) -> Result<()> {
        let (keys, relayer) = (self.keys, self.relayer);
        transact(self.host, |host| {
            let mut query = Query::new();
            query.watch(keys.count(relayer)).command("MGET").arg(keys.count(relayer));
            for status in Status::ALL {
                query.watch(keys.status(relayer, status));
                query.command("SCARD").arg(keys.status(relayer, status));
            }
            let view = host.read(&query)?;
            let mut cursor = view.cursor();
            cursor.elements()?;
            let count = expiry::count(&mut cursor).unwrap_or(u64::MAX);
            let mut members = 0;
            for _ in Status::ALL {
                members += cursor.integer()?.cast_unsigned();
            }
            let mut batch = Batch::new();
            batch.discard_replies();
            batch.guard(keys.count(relayer), view.version(0));
            for (index, status) in Status::ALL.into_iter().enumerate() {
                batch.guard(keys.status(relayer, status), view.version(index + 1));
            }
            match members {
                0 => expiry::discount(&mut batch, keys, relayer, 0, 0),
                _ if count != members => {
                    batch.set(keys.count(relayer), members);
                }
                _ => {}
            }
            if members > 0 && !keys.tagged {
                batch.sadd(keys.relayers(), relayer);
            }
            Ok(match host.apply(&batch)? {
                Outcome::Applied(_) => Attempt::Done(()),
                Outcome::Stale(_) => Attempt::Stale,
            })
        })?;
        if keys.tagged { relayers::settle(self.host, keys, relayer) } else { Ok(()) }
    }
}

/// Which of these transactions are there.
fn with_record(
    host: &mut dyn Host,
    keys: Keys,
    ids: &[Option<String>],
) -> Result<BTreeSet<String>> {
    let ids: Vec<&String> = ids.iter().flatten().collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut query = Query::new();
    query.command("MGET").args(ids.iter().map(|id| keys.tx(id)));
    let view = host.read(&query)?;
    let records = view.cursor().bulks()?;
    let there = ids.into_iter().zip(records).filter(|(_, json)| json.is_some());
    Ok(there.map(|(id, _)| id.clone()).collect())
}

/// Takes ids out of a status; those without a record out of everything that is known without it.
fn take_out(batch: &mut Batch, keys: Keys, relayer: &str, status: Status, gone: &[(&str, bool)]) {
    if gone.is_empty() {
        return;
    }
    let ids: Vec<&str> = gone.iter().map(|(id, _)| *id).collect();
    batch.command("SREM").arg(keys.status(relayer, status)).args(&ids);
    by_time::remove(batch, keys, relayer, status, &ids);
    let without: Vec<&str> = gone.iter().filter(|(_, none)| *none).map(|(id, _)| *id).collect();
    if !without.is_empty() {
        batch.command("ZREM").arg(keys.expiring(relayer)).args(&without);
        batch.command("DEL").args(without.iter().map(|id| keys.lookup(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_their_text() {
        assert_eq!(Place::parse("0"), Ok(Place::START));
        assert_eq!(Place::parse("8.17").map(Place::text).as_deref(), Ok("8.17"));
        for text in ["", "1", "9.0", "x.0", "0.-1"] {
            assert_eq!(Place::parse(text), Err(refusal::BAD_CURSOR), "{text}");
        }
    }
}
