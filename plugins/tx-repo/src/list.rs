//! `TX.LIST`: the transactions of a relayer in a status, page by page.
//!
//! In no order by scanning the set, or by time, oldest or newest first, where the index by time is
//! kept. Records and total are of one instant: both are read while the set has the same version, so
//! they agree, and what has expired is taken out before it is counted.

use reef_sdk::{Answer, Attempt, Call, Error, Host, Query, Reply, Result, View, transact};

use crate::expiry;
use crate::input;
use crate::key::{Key, Keys};
use crate::refusal;
use crate::status::Status;
use crate::verify::scanned;

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;

/// `TX.LIST`
///
/// A transaction that is in the status for the whole listing is returned once; one that comes or
/// goes meanwhile may or may not be. Without NEWEST or OLDEST small sets come in the order of their
/// ids, which is that of their creation, large ones in the order of the scan. The reply's third
/// element counts the whole set.
pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer> {
    let listing = Listing::take(call)?;
    let (next, records, total) = transact(call.host, |host| match listing.order {
        None => listing.scan(host),
        Some(order) => listing.walk(host, order),
    })?;
    let mut reply = Reply::new();
    reply.array(3).bulk(next.text()).array(records.len());
    for json in records {
        reply.bulk(json);
    }
    reply.integer(total);
    Ok(reply.into())
}

/// Which way by time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Oldest,
    Newest,
}

/// Where the next page begins, its records, and how many there are in all.
type Page = (Position, Vec<Vec<u8>>, i64);

/// What a client asks for.
struct Listing<'a> {
    keys: Keys,
    relayer: &'a str,
    status: Status,
    order: Option<Order>,
    position: Position,
    limit: u64,
    now_ms: u64,
}

impl<'a> Listing<'a> {
    fn take(call: &mut Call<'a>) -> Result<Self> {
        let keys = Keys::of(call.host)?;
        let relayer = input::name(&mut call.arguments)?;
        keys.check_relayer(relayer)?;
        let mut listing = Self {
            keys,
            relayer,
            status: input::status(call.arguments.bytes()?)?,
            order: None,
            position: Position::START,
            limit: LIMIT_DEFAULT,
            now_ms: call.host.now_ms(),
        };
        let mut cursor = "0";
        while !call.arguments.is_empty() {
            if call.arguments.keyword("CURSOR") {
                cursor = call.arguments.text()?;
            } else if call.arguments.keyword("LIMIT") {
                listing.limit = call.arguments.u64()?;
            } else if call.arguments.keyword("OLDEST") {
                listing.order = Some(Order::Oldest);
            } else if call.arguments.keyword("NEWEST") {
                listing.order = Some(Order::Newest);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        if !(1..=LIMIT_MAX).contains(&listing.limit) {
            return Err(refusal::BAD_LIMIT);
        }
        if listing.order.is_some() && !keys.by_time {
            return Err(refusal::NO_INDEX);
        }
        listing.position = Position::parse(cursor)?;
        // A cursor leads on in the order in which it was given.
        let timed = matches!(listing.position, Position::Time { .. });
        let fits = listing.position == Position::START || timed == listing.order.is_some();
        if fits { Ok(listing) } else { Err(refusal::BAD_CURSOR) }
    }

    fn set(&self) -> Key<'a> {
        self.keys.status(self.relayer, self.status)
    }

    /// A page in the order of the scan.
    fn scan(&self, host: &mut dyn Host) -> Result<Attempt<Page>> {
        let Position::Scan { place, after } = &self.position else {
            return Err(refusal::BAD_CURSOR);
        };
        let mut query = Query::new();
        query.watch(self.set());
        query.command("SSCAN").arg(self.set()).arg(*place).arg("COUNT").arg(self.limit);
        self.ask_expired(&mut query);
        let view = host.read(&query)?;
        let (following, mut ids) = scanned(&view)?;
        let mut cursor = view.cursor();
        cursor.skip()?;
        let expired = owned(cursor.bulks()?);
        ids.sort_unstable();
        if let Some(after) = after {
            ids.retain(|id| id > after);
        }
        let mut next = Position::Scan { place: following, after: None };
        if ids.len() as u64 > self.limit {
            ids.truncate(self.limit as usize);
            next = Position::Scan { place: *place, after: ids.last().cloned() };
        }
        self.fill(host, &view, next, &ids, &expired)
    }

    /// A page by time. A position is a moment and an id, not a rank, so nothing that comes or goes
    /// meanwhile makes the next page skip or repeat.
    fn walk(&self, host: &mut dyn Host, order: Order) -> Result<Attempt<Page>> {
        // Those of one moment that are passed already are read again, so more may be needed.
        let mut wanted = self.limit + 1;
        loop {
            let mut query = Query::new();
            query.watch(self.set());
            self.ask_page(&mut query, order, wanted);
            query.command("SCARD").arg(self.set());
            query.command("ZCARD").arg(self.keys.by_time(self.relayer, self.status));
            self.ask_expired(&mut query);
            let view = host.read(&query)?;
            let mut cursor = view.cursor();
            let entries = entries(&mut cursor)?;
            if cursor.integer()? != cursor.integer()? {
                return Err(refusal::not_indexed(self.relayer));
            }
            let expired = owned(cursor.bulks()?);
            let all = (entries.len() as u64) < wanted;
            let ahead = |entry: &(u64, String)| self.position.is_before(entry, order);
            let mut page: Vec<_> = entries.into_iter().filter(ahead).collect();
            if page.len() as u64 <= self.limit && !all {
                wanted *= 2;
                continue;
            }
            let mut next = Position::START;
            if page.len() as u64 > self.limit {
                page.truncate(self.limit as usize);
                if let Some((moment_ms, after)) = page.last().cloned() {
                    next = Position::Time { moment_ms, after };
                }
            }
            let ids: Vec<String> = page.into_iter().map(|(_, id)| id).collect();
            return self.fill(host, &view, next, &ids, &expired);
        }
    }

    fn ask_page(&self, query: &mut Query, order: Order, wanted: u64) {
        let from = match &self.position {
            Position::Time { moment_ms, .. } => moment_ms.to_string(),
            Position::Scan { .. } if order == Order::Oldest => "-inf".to_owned(),
            Position::Scan { .. } => "+inf".to_owned(),
        };
        let (name, to) = match order {
            Order::Oldest => ("ZRANGEBYSCORE", "+inf"),
            Order::Newest => ("ZREVRANGEBYSCORE", "-inf"),
        };
        let command = query.command(name).arg(self.keys.by_time(self.relayer, self.status));
        command.arg(from).arg(to).args(["WITHSCORES", "LIMIT", "0"]).arg(wanted);
    }

    fn ask_expired(&self, query: &mut Query) {
        expiry::ask_expired(query, self.keys, self.relayer, self.now_ms);
    }

    /// The records of these ids and the size of the set without the expired, if the set is still
    /// as it was when the ids were read.
    fn fill(
        &self,
        host: &mut dyn Host,
        first: &View,
        next: Position,
        ids: &[String],
        expired: &[String],
    ) -> Result<Attempt<Page>> {
        let mut query = Query::new();
        query.watch(self.set()).command("SCARD").arg(self.set());
        if !ids.is_empty() {
            query.command("MGET").args(ids.iter().map(|id| self.keys.tx(id)));
        }
        if !expired.is_empty() {
            query.command("SMISMEMBER").arg(self.set()).args(expired);
        }
        let view = host.read(&query)?;
        if view.version(0) != first.version(0) {
            return Ok(Attempt::Stale);
        }
        let mut cursor = view.cursor();
        let mut total = cursor.integer()?;
        let mut records = Vec::new();
        if !ids.is_empty() {
            // An expired one is gone already; nothing else can be missing.
            records.extend(cursor.bulks()?.into_iter().flatten().map(<[u8]>::to_vec));
        }
        if !expired.is_empty() {
            for _ in 0..cursor.elements()? {
                total -= cursor.integer()?;
            }
        }
        Ok(Attempt::Done((next, records, total.max(0))))
    }
}

/// Ids with their moments.
fn entries(cursor: &mut reef_sdk::Cursor<'_>) -> Result<Vec<(u64, String)>> {
    // RESP2 has members and scores in turn.
    let mut entries = Vec::new();
    for _ in 0..cursor.elements()? / 2 {
        let id = cursor.bulk()?.ok_or(Error::UNEXPECTED_REPLY)?;
        let id = String::from_utf8_lossy(id).into_owned();
        let moment_ms = cursor.number()?.ok_or(Error::UNEXPECTED_REPLY)?;
        entries.push((moment_ms as u64, id));
    }
    Ok(entries)
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Position {
    /// At a position of SSCAN, after this id of its batch: a scan may return more than was asked
    /// for, a page may not.
    Scan { place: u64, after: Option<String> },
    /// After this id of this moment.
    Time { moment_ms: u64, after: String },
}

impl Position {
    const START: Self = Self::Scan { place: 0, after: None };

    fn parse(text: &str) -> Result<Self> {
        let number = |text: &str| text.parse().map_err(|_| refusal::BAD_CURSOR);
        if let Some((moment, after)) = text.strip_prefix('@').and_then(|text| text.split_once(':'))
        {
            return Ok(Self::Time { moment_ms: number(moment)?, after: after.to_owned() });
        }
        Ok(match text.split_once(':') {
            Some((place, after)) => {
                Self::Scan { place: number(place)?, after: Some(after.to_owned()) }
            }
            None => Self::Scan { place: number(text)?, after: None },
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Scan { place, after: None } => place.to_string(),
            Self::Scan { place, after: Some(after) } => format!("{place}:{after}"),
            Self::Time { moment_ms, after } => format!("@{moment_ms}:{after}"),
        }
    }

    /// Whether an entry is still to come in this order.
    fn is_before(&self, entry: &(u64, String), order: Order) -> bool {
        let Self::Time { moment_ms, after } = self else { return true };
        let (moment, id) = entry;
        match order {
            Order::Oldest => (moment, id) > (moment_ms, after),
            Order::Newest => (moment, id) < (moment_ms, after),
        }
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
        for text in ["0", "17", "0:tx-1", "18446744073709551615:a:b", "@5:a:b", "@0:@"] {
            assert_eq!(Position::parse(text).unwrap().text(), text);
        }
        for text in ["", "x", ":a", "-1", "@", "@5", "@x:a"] {
            assert_eq!(Position::parse(text), Err(refusal::BAD_CURSOR), "{text}");
        }
    }
}
