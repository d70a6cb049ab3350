//! `TX.GET`, `TX.BYNONCE` and `TX.LIST`: reading only.

use reef_sdk::{Answer, Call, Error, Host, Query, Reply, Result};

use crate::expiry;
use crate::input;
use crate::key::Key;
use crate::record::Record;
use crate::refusal;
use crate::status::Status;

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;

/// `TX.GET`
pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer> {
    let id = input::name(&mut call.arguments)?;
    call.arguments.end()?;
    record(call.host, id)
}

/// `TX.BYNONCE`
pub(crate) fn by_nonce(call: &mut Call<'_>) -> Result<Answer> {
    let relayer = input::name(&mut call.arguments)?;
    let nonce = call.arguments.u64()?;
    call.arguments.end()?;
    let mut query = Query::new();
    query.get(Key::Nonce(relayer, nonce));
    let view = call.host.read(&query)?;
    match view.cursor().bulk()? {
        Some(id) => record(call.host, input::named(id)?),
        None => Ok(Answer::nil()),
    }
}

fn record(host: &mut dyn Host, id: &str) -> Result<Answer> {
    let mut query = Query::new();
    query.get(Key::Tx(id));
    let view = host.read(&query)?;
    Ok(view.cursor().bulk()?.map_or_else(Answer::nil, Answer::bulk))
}

/// Where a page begins: a position of SSCAN, and the id after which to go on in its batch. A scan
/// may return more than was asked for, a page may not.
#[derive(Debug, PartialEq, Eq)]
struct Position {
    scan: u64,
    after: Option<String>,
}

impl Position {
    fn parse(text: &str) -> Result<Self> {
        let (scan, after) = match text.split_once(':') {
            Some((scan, after)) => (scan, Some(after.to_owned())),
            None => (text, None),
        };
        Ok(Self { scan: scan.parse().map_err(|_| refusal::BAD_CURSOR)?, after })
    }

    fn text(&self) -> String {
        match &self.after {
            Some(after) => format!("{}:{after}", self.scan),
            None => self.scan.to_string(),
        }
    }
}

/// `TX.LIST`
///
/// A transaction that is in the status for the whole listing is returned; one that comes or goes
/// meanwhile may or may not be. Small sets come in the order of their ids, which is that of their
/// creation; large ones in the order of the scan. The reply's third element counts the whole set.
pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer> {
    let relayer = input::name(&mut call.arguments)?;
    let status = input::status(call.arguments.bytes()?)?;
    let mut position = Position { scan: 0, after: None };
    let mut limit = LIMIT_DEFAULT;
    while !call.arguments.is_empty() {
        if call.arguments.keyword("CURSOR") {
            position = Position::parse(call.arguments.text()?)?;
        } else if call.arguments.keyword("LIMIT") {
            limit = call.arguments.u64()?;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(refusal::BAD_LIMIT);
    }
    let now_ms = call.host.now_ms();
    let page = Page::read(call.host, relayer, status, &position, limit, now_ms)?;
    let (total, records) = page.fill(call.host, relayer, status)?;
    let mut reply = Reply::new();
    reply.array(3).bulk(page.next.text()).array(records.len());
    for json in records {
        reply.bulk(json);
    }
    reply.integer(total);
    Ok(reply.into())
}

/// The ids of a page, and what is needed to count the set.
struct Page {
    ids: Vec<String>,
    next: Position,
    members: i64,
    expired: Vec<String>,
}

impl Page {
    fn read(
        host: &mut dyn Host,
        relayer: &str,
        status: Status,
        position: &Position,
        limit: u64,
        now_ms: u64,
    ) -> Result<Self> {
        let mut query = Query::new();
        let set = Key::Status(relayer, status);
        query.command("SSCAN").arg(set).arg(position.scan).arg("COUNT").arg(limit);
        query.command("SCARD").arg(set);
        expiry::ask_expired(&mut query, relayer, now_ms);
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        if cursor.elements()? != 2 {
            return Err(Error::UNEXPECTED_REPLY);
        }
        let text = cursor.bulk()?.and_then(|text| std::str::from_utf8(text).ok());
        let following = text.and_then(|text| text.parse().ok()).ok_or(Error::UNEXPECTED_REPLY)?;
        let mut ids = owned(cursor.bulks()?);
        ids.sort_unstable();
        if let Some(after) = &position.after {
            ids.retain(|id| id > after);
        }
        let mut next = Position { scan: following, after: None };
        if ids.len() as u64 > limit {
            ids.truncate(limit as usize);
            next = Position { scan: position.scan, after: ids.last().cloned() };
        }
        Ok(Self { ids, next, members: cursor.integer()?, expired: owned(cursor.bulks()?) })
    }

    /// The records, without those that have gone or moved since, and the size of the set without
    /// the expired.
    fn fill(
        &self,
        host: &mut dyn Host,
        relayer: &str,
        status: Status,
    ) -> Result<(i64, Vec<Vec<u8>>)> {
        let mut query = Query::new();
        if !self.ids.is_empty() {
            query.command("MGET").args(self.ids.iter().map(|id| Key::Tx(id)));
        }
        if !self.expired.is_empty() {
            query.command("SMISMEMBER").arg(Key::Status(relayer, status)).args(&self.expired);
        }
        if self.ids.is_empty() && self.expired.is_empty() {
            return Ok((self.members, Vec::new()));
        }
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let mut records = Vec::new();
        if !self.ids.is_empty() {
            for (id, json) in self.ids.iter().zip(cursor.bulks()?) {
                let Some(json) = json else { continue };
                if Record::parse(id, json)?.status == status {
                    records.push(json.to_vec());
                }
            }
        }
        let mut total = self.members;
        if !self.expired.is_empty() {
            for _ in 0..cursor.elements()? {
                total -= cursor.integer()?;
            }
        }
        Ok((total.max(0), records))
    }
}

fn owned(ids: Vec<Option<&[u8]>>) -> Vec<String> {
    ids.into_iter().flatten().map(|id| String::from_utf8_lossy(id).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_their_text() {
        for text in ["0", "17", "0:tx-1", "18446744073709551615:a:b"] {
            assert_eq!(Position::parse(text).unwrap().text(), text);
        }
        for text in ["", "x", ":a", "-1"] {
            assert_eq!(Position::parse(text), Err(refusal::BAD_CURSOR));
        }
    }
}
