//! `TX.VERIFY`: every index against the records and every record against the indexes.
//!
//! The walk goes through all records, all lookups, all nonces, all counts, the relayers, and the
//! members of every set, page by page. Each record, and whatever an index names that its record
//! does not confirm, is judged on **one** read of everything known of it, so a change that happens
//! meanwhile is no fault. A record that has expired and waits for its sweep is none either.

use std::collections::BTreeSet;

use reef_sdk::{Answer, Arguments, Call, Error, Host, Query, Reply, Result, Value};

use crate::evidence::{Evidence, Suspect};
use crate::expiry;
use crate::input;
use crate::key::Key;
use crate::record::Record;
use crate::refusal;
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
    let mut walk =
        Walk { now_ms: call.host.now_ms(), host: &mut *call.host, only, faults: BTreeSet::new() };
    let budget = walk.host.remaining();
    let mut place = match cursor {
        Some(cursor) => Place::parse(cursor)?,
        None => Place::START,
    };
    while place.phase != Phase::End {
        place = walk.step(place)?;
        let left = walk.host.remaining();
        let tired = left.cpu_us < budget.cpu_us / 4
            || left.host_calls < budget.host_calls / 4
            || left.bytes < budget.bytes / 4
            || walk.faults.len() >= FAULTS_MAX;
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
        if set > Status::ALL.len() {
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

struct Walk<'a, 'h> {
    host: &'a mut (dyn Host + 'h),
    now_ms: u64,
    only: Option<&'a str>,
    faults: BTreeSet<String>,
}

impl Walk<'_, '_> {
    /// One page.
    fn step(&mut self, place: Place) -> Result<Place> {
        let only = self.only.map_or_else(|| "*".to_owned(), escaped);
        match place.phase {
            Phase::Records => self.keys(place, "tx:*", Self::records),
            Phase::Lookups => self.keys(place, "lookup:*", Self::lookups),
            Phase::Nonces => self.keys(place, &format!("relayer:{only}:nonce:*"), Self::nonces),
            Phase::Counts => self.keys(place, &format!("relayer:{only}:count"), Self::counts),
            Phase::Relayers => {
                let mut query = Query::new();
                let command = query.command("SSCAN").arg(Key::Relayers).arg(place.scan);
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
        let view = self.host.read(query)?;
        let mut cursor = view.cursor();
        match cursor.elements() {
            Ok(2) => {}
            Ok(_) => return Err(Error::UNEXPECTED_REPLY),
            // Not a set: that is a fault of its own, found with the counts.
            Err(error) if error.code == Error::WRONG_TYPE.code => return Ok((0, Vec::new())),
            Err(error) => return Err(error),
        }
        let scan = cursor.bulk()?.and_then(|text| std::str::from_utf8(text).ok());
        let scan = scan.and_then(|text| text.parse().ok()).ok_or(Error::UNEXPECTED_REPLY)?;
        Ok((scan, texts(cursor.bulks()?)))
    }

    /// Every record is judged.
    fn records(&mut self, keys: &[String]) -> Result<()> {
        let ids = parsed(keys, |key| if let Key::Tx(id) = key { Some(id) } else { None });
        let lookups = self.strings(ids.iter().map(|id| Key::Lookup(id)))?;
        let mut suspects = Vec::new();
        for ((id, lookup), glance) in ids.iter().zip(lookups).zip(self.glance(&ids)?) {
            let nonce = glance.as_ref().map(|glance| glance.nonce);
            // Of a key that holds something else, the lookup may say whose it should be.
            let relayer = glance.map(|glance| glance.relayer).or(lookup).unwrap_or_default();
            suspects.push(Suspect { id: (*id).to_owned(), relayer, named_by: None, nonce });
        }
        self.judge(suspects)
    }

    fn lookups(&mut self, keys: &[String]) -> Result<()> {
        let ids = parsed(keys, |key| if let Key::Lookup(id) = key { Some(id) } else { None });
        let lookups = self.strings(ids.iter().map(|id| Key::Lookup(id)))?;
        let mut suspects = Vec::new();
        for ((id, lookup), glance) in ids.iter().zip(lookups).zip(self.glance(&ids)?) {
            let Some(relayer) = lookup else { continue };
            if glance.as_ref().is_none_or(|glance| glance.relayer != relayer) {
                let nonce = glance.map(|glance| glance.nonce);
                suspects.push(Suspect { id: (*id).to_owned(), relayer, named_by: None, nonce });
            }
        }
        self.judge(suspects)
    }

    fn nonces(&mut self, keys: &[String]) -> Result<()> {
        let named = |key| if let Key::Nonce(r, nonce) = key { Some((r, nonce)) } else { None };
        let named = parsed(keys, named);
        let users = self.strings(named.iter().map(|(r, nonce)| Key::Nonce(r, *nonce)))?;
        let used = named.iter().zip(users).filter_map(|(name, user)| Some((name, user?)));
        let used: Vec<_> = used.collect();
        let ids: Vec<&str> = used.iter().map(|(_, user)| user.as_str()).collect();
        let mut suspects = Vec::new();
        for ((relayer, nonce), (id, glance)) in
            used.iter().map(|(name, _)| **name).zip(ids.iter().zip(self.glance(&ids)?))
        {
            let confirms = |glance: &Glance| (&*glance.relayer, glance.nonce) == (relayer, nonce);
            if !glance.as_ref().is_some_and(confirms) {
                suspects.push(Suspect {
                    id: (*id).to_owned(),
                    relayer: relayer.to_owned(),
                    named_by: Some(nonce),
                    nonce: glance.map(|glance| glance.nonce),
                });
            }
        }
        self.judge(suspects)
    }

    fn counts(&mut self, keys: &[String]) -> Result<()> {
        let relayer = |key| if let Key::Count(relayer) = key { Some(relayer) } else { None };
        let relayers: Vec<String> = parsed(keys, relayer).into_iter().map(str::to_owned).collect();
        self.totals(&relayers)
    }

    /// Count, sets and the list of relayers, of each of these relayers.
    fn totals(&mut self, relayers: &[String]) -> Result<()> {
        let mut query = Query::new();
        let mine = |relayer: &&String| self.only.is_none_or(|only| only == *relayer);
        let relayers: Vec<&String> = relayers.iter().filter(mine).collect();
        for relayer in &relayers {
            // MGET instead of GET: a key of another type is no text, and no error.
            query.command("MGET").arg(Key::Count(relayer));
            query.command("SISMEMBER").arg(Key::Relayers).arg(relayer);
            for status in Status::ALL {
                query.command("SCARD").arg(Key::Status(relayer, status));
            }
        }
        let view = self.host.read(&query)?;
        let mut cursor = view.cursor();
        for relayer in relayers {
            cursor.elements()?;
            let count = expiry::count(&mut cursor)?;
            let listed = cursor.integer()? == 1;
            let mut members = 0;
            for status in Status::ALL {
                match cursor.step()? {
                    Value::Integer(number) => members += number.cast_unsigned(),
                    _ => {
                        let name = status.name();
                        let text = format!("relayer '{relayer}': '{name}' holds another type");
                        self.faults.insert(text);
                    }
                }
            }
            if count != members {
                let text = format!("relayer '{relayer}': count is {count}, sets hold {members}");
                self.faults.insert(text);
            }
            if listed != (count > 0) {
                let verb = if listed { "is" } else { "is not" };
                let text = format!("relayer '{relayer}': count is {count}, {verb} in 'relayers'");
                self.faults.insert(text);
            }
        }
        Ok(())
    }

    /// One page of one set of one relayer.
    fn members(&mut self, mut place: Place) -> Result<Place> {
        let end = || Place { phase: Phase::End, ..Place::START };
        if place.relayer.is_empty() {
            let first = self.relayer_after("")?;
            let Some(relayer) = first else { return Ok(end()) };
            place.relayer = relayer;
        }
        let mut query = Query::new();
        let relayer = place.relayer.clone();
        let next_scan = if let Some(status) = Status::ALL.get(place.set) {
            let command = query.command("SSCAN").arg(Key::Status(&relayer, *status));
            command.arg(place.scan).arg("COUNT").arg(PAGE);
            let (scan, ids) = self.scanned(&query)?;
            self.judge_members(&relayer, Some(*status), &ids)?;
            scan
        } else {
            // The sorted set: by rank, which is as good as a scan since faults are judged apart.
            let command = query.command("ZRANGEBYSCORE").arg(Key::Expiring(&relayer));
            command.args(["-inf", "+inf", "LIMIT"]).arg(place.scan).arg(PAGE);
            let view = self.host.read(&query)?;
            let ids = texts(view.cursor().bulks()?);
            let whole = ids.len() as u64 == PAGE;
            self.judge_members(&relayer, None, &ids)?;
            if whole { place.scan + PAGE } else { 0 }
        };
        if next_scan != 0 {
            return Ok(Place { scan: next_scan, ..place });
        }
        if place.set < Status::ALL.len() {
            return Ok(Place { scan: 0, set: place.set + 1, ..place });
        }
        let following = self.relayer_after(&relayer)?;
        Ok(following.map_or_else(end, |relayer| Place {
            phase: Phase::Members,
            relayer,
            ..Place::START
        }))
    }

    fn relayer_after(&mut self, name: &str) -> Result<Option<String>> {
        if let Some(only) = self.only {
            return Ok(name.is_empty().then(|| only.to_owned()));
        }
        let relayers = expiry::all_relayers(self.host)?;
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
            let ids: Vec<&str> = page.iter().map(String::as_str).collect();
            let mut suspects = Vec::new();
            for (id, glance) in ids.iter().zip(self.glance(&ids)?) {
                let confirms = |glance: &Glance| {
                    glance.relayer == relayer && status.is_none_or(|status| glance.status == status)
                };
                if !glance.as_ref().is_some_and(confirms) {
                    suspects.push(Suspect {
                        id: (*id).to_owned(),
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
    fn glance(&mut self, ids: &[&str]) -> Result<Vec<Option<Glance>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = Query::new();
        query.command("MGET").args(ids.iter().map(|id| Key::Tx(id)));
        let view = self.host.read(&query)?;
        let records = view.cursor().bulks()?;
        let glance = |(json, id): (Option<&[u8]>, &&str)| {
            let Record { relayer, nonce, status, .. } = Record::parse(id, json?).ok()?;
            Some(Glance { relayer: relayer.into_owned(), nonce, status })
        };
        Ok(records.into_iter().zip(ids).map(glance).collect())
    }

    fn strings<'k>(
        &mut self,
        keys: impl ExactSizeIterator<Item = Key<'k>>,
    ) -> Result<Vec<Option<String>>> {
        if keys.len() == 0 {
            return Ok(Vec::new());
        }
        let mut query = Query::new();
        query.command("MGET").args(keys);
        let view = self.host.read(&query)?;
        let texts = view.cursor().bulks()?.into_iter();
        Ok(texts.map(|text| Some(String::from_utf8_lossy(text?).into_owned())).collect())
    }

    /// Reads all that is known of each, at one instant, and judges it.
    fn judge(&mut self, mut suspects: Vec<Suspect>) -> Result<()> {
        suspects.retain(|suspect| self.only.is_none_or(|only| only == suspect.relayer));
        if suspects.is_empty() {
            return Ok(());
        }
        let mut query = Query::new();
        for suspect in &suspects {
            suspect.ask(&mut query);
        }
        let view = self.host.read(&query)?;
        let mut cursor = view.cursor();
        for suspect in suspects {
            let faults = Evidence::read(&mut cursor)?.faults(&suspect, self.now_ms);
            self.faults.extend(faults.into_iter().map(|text| format!("'{}': {text}", suspect.id)));
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

/// The keys of one kind.
fn parsed<'k, T>(keys: &'k [String], pick: impl Fn(Key<'k>) -> Option<T>) -> Vec<T> {
    keys.iter().filter_map(|key| pick(Key::parse(key)?)).collect()
}

fn texts(items: Vec<Option<&[u8]>>) -> Vec<String> {
    items.into_iter().flatten().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
}

/// A name as a pattern that matches itself only.
fn escaped(name: &str) -> String {
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
        for text in ["0.7.0.", "3.9.0.", "5.0.8.re.lay.er"] {
            assert_eq!(Place::parse(text).unwrap().text(), text);
        }
        assert_eq!(Place::parse("0").unwrap(), Place::START);
        for text in ["", "7.0.0.", "1", "x.0.0.", "5.0.9.r", "-1.0.0."] {
            assert_eq!(Place::parse(text), Err(refusal::BAD_CURSOR), "{text}");
        }
    }

    #[test]
    fn names_are_escaped_in_patterns() {
        assert_eq!(escaped("a*b[c]?\\"), "a\\*b\\[c\\]\\?\\\\");
    }
}
