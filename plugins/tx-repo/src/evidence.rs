//! What one read tells of one transaction, and what is wrong with it.
//!
//! The judgement of `TX.VERIFY`, without the walk: everything here was true at one instant.

use reef_sdk::{Cursor, Error, Query, Result, Value};

use crate::by_time;
use crate::key::Keys;
use crate::record::Record;
use crate::status::Status;

/// A transaction that an index or a record names.
pub(crate) struct Suspect {
    pub(crate) id: String,
    /// The relayer whose index names it; of a record, the one it names itself.
    pub(crate) relayer: String,
    /// The nonce whose key names it, if that is what names it.
    pub(crate) named_by: Option<u64>,
    /// The nonce of its record, if there was one a moment ago. It never changes.
    pub(crate) nonce: Option<u64>,
}

impl Suspect {
    /// Asks for everything.
    pub(crate) fn ask(&self, keys: Keys, query: &mut Query) {
        let Self { id, relayer, named_by, nonce } = self;
        let nonce_key = |nonce: &Option<u64>| keys.nonce(relayer, nonce.unwrap_or(0));
        let strings = [keys.tx(id), keys.lookup(id), nonce_key(named_by), nonce_key(nonce)];
        query.command("MGET").args(strings);
        for status in Status::ALL {
            query.command("SISMEMBER").arg(keys.status(relayer, status)).arg(id);
        }
        query.command("ZSCORE").arg(keys.expiring(relayer)).arg(id);
        for status in Status::ALL.into_iter().filter(|_| keys.by_time) {
            query.command("ZSCORE").arg(keys.by_time(relayer, status)).arg(id);
        }
    }
}

/// What one read tells of one suspect.
pub(crate) struct Evidence<'a> {
    record: Option<&'a [u8]>,
    lookup: Option<&'a [u8]>,
    /// Whom the nonce's key names now, if such a key named the suspect.
    named_by: Option<&'a [u8]>,
    /// Whom the key of the record's nonce names.
    nonce_user: Option<&'a [u8]>,
    statuses: Vec<Status>,
    deadline_ms: Option<f64>,
    /// Where the indexes by time have it, if they are kept.
    moments_ms: Option<Vec<(Status, f64)>>,
    /// Keys that hold another type.
    foreign: Vec<&'static str>,
}

impl<'a> Evidence<'a> {
    /// Takes the replies to [`Suspect::ask`].
    pub(crate) fn read(keys: Keys, cursor: &mut Cursor<'a>) -> Result<Self> {
        if cursor.elements()? != 4 {
            return Err(Error::UNEXPECTED_REPLY);
        }
        let mut evidence = Self {
            record: cursor.bulk()?,
            lookup: cursor.bulk()?,
            named_by: cursor.bulk()?,
            nonce_user: cursor.bulk()?,
            statuses: Vec::new(),
            deadline_ms: None,
            moments_ms: keys.by_time.then(Vec::new),
            foreign: Vec::new(),
        };
        for status in Status::ALL {
            match cursor.step()? {
                Value::Integer(0) => {}
                Value::Integer(_) => evidence.statuses.push(status),
                _ => evidence.foreign.push(status.name()),
            }
        }
        match cursor.number() {
            Ok(score) => evidence.deadline_ms = score,
            Err(_) => evidence.foreign.push("expiring"),
        }
        if let Some(moments_ms) = &mut evidence.moments_ms {
            for status in Status::ALL {
                match cursor.number() {
                    Ok(Some(moment_ms)) => moments_ms.push((status, moment_ms)),
                    Ok(None) => {}
                    Err(_) => evidence.foreign.push("by-time"),
                }
            }
        }
        Ok(evidence)
    }

    /// What is wrong.
    pub(crate) fn faults(&self, suspect: &Suspect, now_ms: u64) -> Vec<String> {
        let relayer = &suspect.relayer;
        let id = Some(suspect.id.as_bytes());
        if suspect.named_by.is_some() && self.named_by != id {
            // The key names another by now, and that other is judged in its turn.
            return Vec::new();
        }
        let foreign = self.foreign.iter();
        let mut faults: Vec<String> = foreign
            .map(|name| format!("'{name}' of relayer '{relayer}' holds another type"))
            .collect();
        match self.record.map(|json| Record::parse(&suspect.id, json)) {
            None => self.faults_without_record(suspect, now_ms, &mut faults),
            Some(Err(error)) => faults.push(error.message.into_owned()),
            Some(Ok(record)) if record.relayer != relayer.as_str() => {
                if self.is_mentioned(suspect) {
                    let other = &record.relayer;
                    faults.push(format!("is of relayer '{other}' and in an index of '{relayer}'"));
                }
            }
            Some(Ok(record)) => self.faults_of_record(suspect, &record, &mut faults),
        }
        faults
    }

    /// Whether an index of the suspect's relayer mentions it still.
    fn is_mentioned(&self, suspect: &Suspect) -> bool {
        self.lookup == Some(suspect.relayer.as_bytes())
            || suspect.named_by.is_some()
            || !self.statuses.is_empty()
            || self.deadline_ms.is_some()
            || self.moments_ms.as_ref().is_some_and(|moments_ms| !moments_ms.is_empty())
    }

    /// There is no record: whatever names it is a fault, unless it expired and waits to be swept.
    fn faults_without_record(&self, suspect: &Suspect, now_ms: u64, faults: &mut Vec<String>) {
        let relayer = &suspect.relayer;
        let is_over = |deadline_ms: f64| deadline_ms <= now_ms as f64;
        if let Some(nonce) = suspect.named_by {
            faults.push(format!("uses nonce {nonce} of relayer '{relayer}' and has no record"));
        }
        if self.deadline_ms.is_some_and(is_over) && self.lookup.is_some() {
            return;
        }
        for status in &self.statuses {
            let status = status.name();
            faults.push(format!("is {status} for relayer '{relayer}' and has no record"));
        }
        for (status, _) in self.moments_ms.iter().flatten() {
            let status = status.name();
            faults.push(format!("is {status} by time for relayer '{relayer}' and has no record"));
        }
        if self.lookup.is_some() {
            faults.push("has a lookup and no record".to_owned());
        }
        if self.deadline_ms.is_some() {
            faults.push(format!("expires for relayer '{relayer}' and has no record"));
        }
    }

    fn faults_of_record(&self, suspect: &Suspect, record: &Record<'_>, faults: &mut Vec<String>) {
        let relayer = &suspect.relayer;
        if self.lookup != Some(relayer.as_bytes()) {
            faults.push(format!("its lookup does not say '{relayer}'"));
        }
        if self.statuses != [record.status] {
            let names: Vec<_> = self.statuses.iter().map(|status| status.name()).collect();
            let status = record.status.name();
            faults.push(format!("is {status} and in the sets [{}]", names.join(", ")));
        }
        if let Some(nonce) = suspect.named_by.filter(|nonce| *nonce != record.nonce) {
            faults.push(format!("has nonce {} and is named by nonce {nonce}", record.nonce));
        }
        let user = Some(suspect.id.as_bytes());
        if suspect.nonce == Some(record.nonce) && self.nonce_user != user {
            faults.push(format!("its nonce {} is not marked as used by it", record.nonce));
        }
        // Exact: a deadline in milliseconds is far below 2^53.
        if self.deadline_ms != record.expires_ms.map(|expires_ms| expires_ms as f64) {
            faults.push("its deadline is not the one in 'expiring'".to_owned());
        }
        let moment_ms = by_time::moment_ms(record);
        let expected = [(record.status, moment_ms as f64)];
        if self.moments_ms.as_ref().is_some_and(|moments_ms| *moments_ms != expected) {
            let status = record.status.name();
            faults.push(format!("is not exactly {status} at {moment_ms} in the index by time"));
        }
    }
}
