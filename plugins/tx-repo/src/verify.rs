//! `TX.VERIFY`: every index against the records and every record against the indexes.
//!
//! The walk goes through all records, all lookups, all nonces, all counts, the relayers, and the
//! members of every set, page by page. Each record, and whatever an index names that its record
//! does not confirm, is judged on **one** read of everything known of it, so a change that happens
//! meanwhile is no fault. A record that has expired and waits for its sweep is none either.

use std::collections::BTreeSet;

use reef_sdk::{
    Answer, Arguments, Budget, Call, Cursor, Error, Host, Query, Reply, Result, Value, View,
};

use crate::evidence::{Evidence, Suspect};
use crate::expiry;
use crate::input;
use crate::key::{Key, Keys};
use crate::record::Record;
use crate::refusal;
use crate::relayers;
use crate::status::Status;

/// How many transactions are judged at once.
const PAGE: u64 = 64;

/// How many faults one reply names.
const FAULTS_MAX: usize = 1000;

/// `TX.VERIFY`
///
/// Without CURSOR: an array of faults, empty if all is well, or TOOLARGE if one call cannot check
/// it all. With CURSOR (0 to begin): the next cursor, 0 at the end, and the faults found so far.
pub(crate) fn verify(call: &mut Call<'_>) -> Result<Answer> {
    let (only, cursor) = take(&mut call.arguments)?;
    let keys = Keys::of(call.host)?;
    let now_ms = call.host.now_ms();
    let mut walk = Walk { keys, now_ms, host: &mut *call.host, only, faults: BTreeSet::new() };
    let budget = walk.host.remaining();
    let mut place = match cursor {
        Some(cursor) => Place::parse(cursor)?,
        None => Place::START,
    };
    while place.phase != Phase::End {
        place = walk.step(place)?;
        let tired = is_tired(&budget, &walk.host.remaining()) || walk.faults.len() >= FAULTS_MAX;
        if tired && place.phase != Phase::End {
            match cursor {
                Some(_) => break,
                None if walk.faults.is_empty() => return Err(refusal::TOO_LARGE),
                None => break,
            }
        }
    }
    let mut reply = Reply::new();
    if cursor.is_some() {
        reply.array(2).bulk(place.text());
    }
    reply.array(walk.faults.len());
    for fault in &walk.faults {
        reply.bulk(fault);
    }
    Ok(reply.into())
}

/// Whether it is time to say how far one has come.
pub(crate) fn is_tired(budget: &Budget, left: &Budget) -> bool {
    left.cpu_us < budget.cpu_us / 4
        || left.host_calls < budget.host_calls / 4
        || left.bytes < budget.bytes / 4
}

/// The reply to SCAN or SSCAN: where to go on, and the keys or members.
pub(crate) fn scanned(view: &View) -> Result<(u64, Vec<String>)> {
    let mut cursor = view.cursor();
    if cursor.elements()? != 2 {
        return Err(Error::UNEXPECTED_REPLY);
    }
    let scan = cursor.bulk()?.and_then(|text| std::str::from_utf8(text).ok());
    let scan = scan.and_then(|text| text.parse().ok()).ok_or(Error::UNEXPECTED_REPLY)?;
    Ok((scan, texts(cursor.bulks()?)))
}

fn take<'a>(arguments: &mut Arguments<'a>) -> Result<(Option<&'a str>, Option<&'a str>)> {
    let (mut only, mut cursor) = (None, None);
    if arguments.len() % 2 == 1 {
        only = Some(input::name(arguments)?);
    }
    if arguments.keyword("CURSOR") {
        cursor = Some(arguments.text()?);
    }
    arguments.end()?;
    Ok((only, cursor))
}

/// What is walked through, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Records,
    Lookups,
    Nonces,
    Counts,
    Relayers,
    Members,
    End,
}

/// How far the walk has come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    phase: Phase,
    /// Where SCAN or SSCAN goes on.
    scan: u64,
    /// In the phase of the members: the relayer, and which of its sets.
    relayer: String,
    set: usize,
}

impl Place {
    const START: Self = Self { phase: Phase::Records, scan: 0, relayer: String::new(), set: 0 };
    const ORDER: [Phase; 7] = [
        Phase::Records,
        Phase::Lookups,
        Phase::Nonces,
        Phase::Counts,
        Phase::Relayers,
        Phase::Members,
        Phase::End,
    ];

    fn parse(text: &str) -> Result<Self> {
        if text == "0" {
            return Ok(Self::START);
        }
        let mut parts = text.splitn(4, '.');
        let mut number =
            || parts.next().and_then(|part| part.parse::<u64>().ok()).ok_or(refusal::BAD_CURSOR);
        let (phase, scan, set) = (number()?, number()?, number()? as usize);
        let phase = Self::ORDER.get(phase as usize).copied().ok_or(refusal::BAD_CURSOR)?;
        let relayer = parts.next().ok_or(refusal::BAD_CURSOR)?.to_owned();
        if set >= SETS {
            return Err(refusal::BAD_CURSOR);
        }
        Ok(Self { phase, scan, relayer, set })
    }

    fn text(&self) -> String {
        let Self { phase, scan, relayer, set } = self;
        match phase {
            Phase::End => "0".to_owned(),
            phase => format!("{}.{scan}.{set}.{relayer}", *phase as usize),
        }
    }

    /// On with the scan, or to the next phase when it is through.
    fn after_scan(self, scan: u64) -> Self {
        if scan != 0 {
            return Self { scan, ..self };
        }
        let following = Self::ORDER.into_iter().skip_while(|phase| *phase != self.phase).nth(1);
        Self { phase: following.unwrap_or(Phase::End), ..Self::START }
    }
}

/// What a relayer has members in: a set and a sorted set per status, and the deadlines between.
const SETS: usize = 2 * Status::ALL.len() + 1;

struct Walk<'a, 'h> {
    keys: Keys,
    host: &'a mut (dyn Host + 'h),
    now_ms: u64,
    only: Option<&'a str>,
    faults: BTreeSet<String>,
}

impl Walk<'_, '_> {
    /// One page.
    fn step(&mut self, place: Place) -> Result<Place> {
        let only = self.only.map_or_else(|| "*".to_owned(), escaped);
        let relayer = self.keys.pattern(&only);
        match place.phase {
            Phase::Records => self.keys(place, "tx:*", Self::records),
            Phase::Lookups => self.keys(place, "lookup:*", Self::lookups),
            Phase::Nonces => self.keys(place, &format!("{relayer}:nonce:*"), Self::nonces),
            Phase::Counts => self.keys(place, &format!("{relayer}:count"), Self::counts),
            Phase::Relayers => {
                let mut query = Query::new();
                let command = query.command("SSCAN").arg(self.keys.relayers()).arg(place.scan);
                command.arg("COUNT").arg(PAGE);
                let (scan, relayers) = self.scanned(&query)?;
                self.totals(&relayers)?;
                Ok(place.after_scan(scan))
            }
            Phase::Members => self.members(place),
            Phase::End => Ok(place),
        }
    }

    /// One page of SCAN.
    fn keys(
        &mut self,
        place: Place,
        pattern: &str,
        judge: fn(&mut Self, &[String]) -> Result<()>,
    ) -> Result<Place> {
        let mut query = Query::new();
        query.command("SCAN").arg(place.scan).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
        let (scan, keys) = self.scanned(&query)?;
        judge(self, &keys)?;
        Ok(place.after_scan(scan))
    }

    fn scanned(&mut self, query: &Query) -> Result<(u64, Vec<String>)> {
        match scanned(&self.host.read(query)?) {
            // Not a set: that is a fault of its own, found with the counts.
            Err(error) if error.code == Error::WRONG_TYPE.code => Ok((0, Vec::new())),
            found => found,
        }
    }

    /// Every record is judged.
    fn records(&mut self, keys: &[String]) -> Result<()> {
        let ids: Vec<String> = keys.iter().filter_map(|key| self.keys.tx_of(key)).collect();
        let names = self.keys;
        let lookups = self.strings(ids.iter().map(|id| names.lookup(id)))?;
        let mut suspects = Vec::new();
        for ((id, lookup), glance) in ids.iter().zip(lookups).zip(self.glance(&ids)?) {
            let nonce = glance.as_ref().map(|glance| glance.nonce);
            // Of a key that holds something else, the lookup may say whose it should be.
            let relayer = glance.map(|glance| glance.relayer).or(lookup).unwrap_or_default();
            suspects.push(Suspect { id: id.clone(), relayer, named_by: None, nonce });
        }
        self.judge(suspects)
    }

    fn lookups(&mut self, keys: &[String]) -> Result<()> {
        let ids: Vec<String> = keys.iter().filter_map(|key| self.keys.lookup_of(key)).collect();
        let names = self.keys;
        let lookups = self.strings(ids.iter().map(|id| names.lookup(id)))?;
        let mut suspects = Vec::new();
        for ((id, lookup), glance) in ids.iter().zip(lookups).zip(self.glance(&ids)?) {
            let Some(relayer) = lookup else { continue };
            if glance.as_ref().is_none_or(|glance| glance.relayer != relayer) {
                let nonce = glance.map(|glance| glance.nonce);
                suspects.push(Suspect { id: id.clone(), relayer, named_by: None, nonce });
            }
        }
        self.judge(suspects)
    }

    fn nonces(&mut self, keys: &[String]) -> Result<()> {
        let named: Vec<_> = keys.iter().filter_map(|key| self.keys.nonce_of(key)).collect();
        let names = self.keys;
        let users = self.strings(named.iter().map(|(r, nonce)| names.nonce(r, *nonce)))?;
        let used = named.into_iter().zip(users).filter_map(|(name, user)| Some((name, user?)));
        let (used, ids): (Vec<_>, Vec<String>) = used.unzip();
        let mut suspects = Vec::new();
        for ((relayer, nonce), (id, glance)) in
            used.into_iter().zip(ids.iter().zip(self.glance(&ids)?))
        {
            let confirms = |glance: &Glance| glance.relayer == relayer && glance.nonce == nonce;
            if !glance.as_ref().is_some_and(confirms) {
                suspects.push(Suspect {
                    id: id.clone(),
                    relayer,
                    named_by: Some(nonce),
                    nonce: glance.map(|glance| glance.nonce),
                });
            }
        }
        self.judge(suspects)
    }

    fn counts(&mut self, keys: &[String]) -> Result<()> {
        let relayers: Vec<String> = keys.iter().filter_map(|key| self.keys.count_of(key)).collect();
        self.totals(&relayers)
    }

    /// Count, sets and the list of relayers, of each of these relayers.
    fn totals(&mut self, relayers: &[String]) -> Result<()> {
        let mine = |relayer: &&String| self.only.is_none_or(|only| only == *relayer);
        let relayers: Vec<&String> = relayers.iter().filter(mine).collect();
        for page in relayers.chunks(self.keys.at_once(PAGE as usize)) {
            let mut query = Query::new();
            for relayer in page {
                // MGET instead of GET: a key of another type is no text, and no error.
                query.command("MGET").arg(self.keys.count(relayer));
                if !self.keys.tagged {
                    query.command("SISMEMBER").arg(self.keys.relayers()).arg(relayer);
                }
                for status in Status::ALL {
                    query.command("SCARD").arg(self.keys.status(relayer, status));
                }
                for status in Status::ALL.into_iter().filter(|_| self.keys.by_time) {
                    query.command("ZCARD").arg(self.keys.by_time(relayer, status));
                }
            }
            let view = self.host.read(&query)?;
            let mut cursor = view.cursor();
            for relayer in page {
                self.total(relayer, &mut cursor)?;
            }
        }
        Ok(())
    }

    /// The replies about one relayer.
    fn total(&mut self, relayer: &str, cursor: &mut Cursor<'_>) -> Result<()> {
        cursor.elements()?;
        let count = expiry::count(cursor)?;
        let listed = match self.keys.tagged {
            // The list is in another slot and follows.
            true => None,
            false => Some(cursor.integer()? == 1),
        };
        let members = self.members_of(relayer, "", cursor)?;
        if count != members {
            let text = format!("relayer '{relayer}': count is {count}, sets hold {members}");
            self.faults.insert(text);
        }
        if self.keys.by_time {
            let timed = self.members_of(relayer, " by time", cursor)?;
            if timed != members {
                let text = format!("relayer '{relayer}': sets hold {members}, by time {timed}");
                self.faults.insert(text);
            }
        }
        if let Some(listed) = listed.filter(|listed| *listed != (count > 0)) {
            let verb = if listed { "is" } else { "is not" };
            let text = format!("relayer '{relayer}': count is {count}, {verb} in 'relayers'");
            self.faults.insert(text);
        }
        Ok(())
    }

    /// How many members the sets of one kind have, from the replies to SCARD or ZCARD.
    fn members_of(&mut self, relayer: &str, kind: &str, cursor: &mut Cursor<'_>) -> Result<u64> {
        let mut members = 0;
        for status in Status::ALL {
            match cursor.step()? {
                Value::Integer(number) => members += number.cast_unsigned(),
                _ => {
                    let name = status.name();
                    let text = format!("relayer '{relayer}': '{name}'{kind} holds another type");
                    self.faults.insert(text);
                }
            }
        }
        Ok(members)
    }

    /// One page of one set of one relayer.
    fn members(&mut self, mut place: Place) -> Result<Place> {
        let end = || Place { phase: Phase::End, ..Place::START };
        if place.relayer.is_empty() {
            let first = self.relayer_after("")?;
            let Some(relayer) = first else { return Ok(end()) };
            place.relayer = relayer;
        }
        let relayer = place.relayer.clone();
        let scan = self.page_of_members(&relayer, place.set, place.scan)?;
        if scan != 0 {
            return Ok(Place { scan, ..place });
        }
        let sets = if self.keys.by_time { SETS } else { Status::ALL.len() + 1 };
        if place.set + 1 < sets {
            return Ok(Place { scan: 0, set: place.set + 1, ..place });
        }
        let following = self.relayer_after(&relayer)?;
        Ok(following.map_or_else(end, |relayer| Place {
            phase: Phase::Members,
            relayer,
            ..Place::START
        }))
    }

    /// Judges the members from `scan` on; where to go on.
    fn page_of_members(&mut self, relayer: &str, set: usize, scan: u64) -> Result<u64> {
        let mut query = Query::new();
        if let Some(status) = Status::ALL.get(set) {
            let command = query.command("SSCAN").arg(self.keys.status(relayer, *status));
            command.arg(scan).arg("COUNT").arg(PAGE);
            let (next, ids) = self.scanned(&query)?;
            self.judge_members(relayer, Some(*status), &ids)?;
            return Ok(next);
        }
        // A sorted set: by rank, which is as good as a scan since faults are judged apart.
        let status = Status::ALL.get((set - Status::ALL.len()).wrapping_sub(1)).copied();
        let key = match status {
            Some(status) => self.keys.by_time(relayer, status),
            None => self.keys.expiring(relayer),
        };
        let command = query.command("ZRANGEBYSCORE").arg(key);
        command.args(["-inf", "+inf", "LIMIT"]).arg(scan).arg(PAGE);
        let view = self.host.read(&query)?;
        let ids = match view.cursor().bulks() {
            // Not a sorted set: found with the totals.
            Err(error) if error.code == Error::WRONG_TYPE.code => Vec::new(),
            ids => texts(ids?),
        };
        let whole = ids.len() as u64 == PAGE;
        self.judge_members(relayer, status, &ids)?;
        Ok(if whole { scan + PAGE } else { 0 })
    }

    fn relayer_after(&mut self, name: &str) -> Result<Option<String>> {
        if let Some(only) = self.only {
            return Ok(name.is_empty().then(|| only.to_owned()));
        }
        let relayers = relayers::all(self.host, self.keys)?;
        Ok(relayers.into_iter().find(|relayer| relayer.as_str() > name))
    }

    /// Members of a status set, or without status of the sorted set of deadlines.
    fn judge_members(
        &mut self,
        relayer: &str,
        status: Option<Status>,
        ids: &[String],
    ) -> Result<()> {
        // A small set comes whole, however little was asked for.
        for page in ids.chunks(PAGE as usize) {
            let mut suspects = Vec::new();
            for (id, glance) in page.iter().zip(self.glance(page)?) {
                let confirms = |glance: &Glance| {
                    glance.relayer == relayer && status.is_none_or(|status| glance.status == status)
                };
                if !glance.as_ref().is_some_and(confirms) {
                    suspects.push(Suspect {
                        id: id.clone(),
                        relayer: relayer.to_owned(),
                        named_by: None,
                        nonce: glance.map(|glance| glance.nonce),
                    });
                }
            }
            self.judge(suspects)?;
        }
        Ok(())
    }

    /// What the records of these ids say now; nothing of one that is missing or no record.
    fn glance(&mut self, ids: &[String]) -> Result<Vec<Option<Glance>>> {
        let keys = self.keys;
        let records = self.strings(ids.iter().map(|id| keys.tx(id)))?;
        let glance = |(json, id): (Option<String>, &String)| {
            let json = json?;
            let Record { relayer, nonce, status, .. } = Record::parse(id, json.as_bytes()).ok()?;
            Some(Glance { relayer: relayer.into_owned(), nonce, status })
        };
        Ok(records.into_iter().zip(ids).map(glance).collect())
    }

    fn strings<'k>(&mut self, keys: impl Iterator<Item = Key<'k>>) -> Result<Vec<Option<String>>> {
        let keys: Vec<Key<'_>> = keys.collect();
        let mut strings = Vec::with_capacity(keys.len());
        for page in keys.chunks(self.keys.at_once(keys.len().max(1))) {
            let mut query = Query::new();
            query.command("MGET").args(page);
            let view = self.host.read(&query)?;
            let texts = view.cursor().bulks()?.into_iter();
            strings.extend(texts.map(|text| Some(String::from_utf8_lossy(text?).into_owned())));
        }
        Ok(strings)
    }

    /// Reads all that is known of each, at one instant, and judges it.
    fn judge(&mut self, mut suspects: Vec<Suspect>) -> Result<()> {
        suspects.retain(|suspect| self.only.is_none_or(|only| only == suspect.relayer));
        for page in suspects.chunks(self.keys.at_once(suspects.len().max(1))) {
            let mut query = Query::new();
            page.iter().for_each(|suspect| suspect.ask(self.keys, &mut query));
            let view = self.host.read(&query)?;
            let mut cursor = view.cursor();
            for suspect in page {
                let evidence = Evidence::read(self.keys, &mut cursor)?;
                let faults = evidence.faults(suspect, self.now_ms).into_iter();
                self.faults.extend(faults.map(|text| format!("'{}': {text}", suspect.id)));
            }
        }
        Ok(())
    }
}

/// What a record says that an index may confirm.
struct Glance {
    relayer: String,
    nonce: u64,
    status: Status,
}

fn texts(items: Vec<Option<&[u8]>>) -> Vec<String> {
    items.into_iter().flatten().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
}

/// A name as a pattern that matches itself only.
pub(crate) fn escaped(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_their_text() {
        for text in ["0.7.0.", "3.9.0.", "5.0.8.re.lay.er", "5.0.16.r"] {
            assert_eq!(Place::parse(text).unwrap().text(), text);
        }
        assert_eq!(Place::parse("0").unwrap(), Place::START);
        for text in ["", "7.0.0.", "1", "x.0.0.", "5.0.17.r", "-1.0.0."] {
            assert_eq!(Place::parse(text), Err(refusal::BAD_CURSOR), "{text}");
        }
    }

    #[test]
    fn names_are_escaped_in_patterns() {
        assert_eq!(escaped("a*b[c]?\\"), "a\\*b\\[c\\]\\?\\\\");
    }
}
