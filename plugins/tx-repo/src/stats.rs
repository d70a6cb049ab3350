//! `TX.STATS`: counts of one instant per relayer, without what has expired.

use reef_sdk::{Answer, Attempt, Call, Host, Query, Reply, Result, transact};

use crate::expiry;
use crate::input;
use crate::key::Keys;
use crate::relayers;
use crate::status::Status;

/// How many relayers are read at once.
const RELAYERS_PER_READ: usize = 64;

/// Counts of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    total: i64,
    by_status: [i64; Status::ALL.len()],
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.total += other.total;
        for (sum, count) in self.by_status.iter_mut().zip(other.by_status) {
            *sum += count;
        }
    }

    fn say(&self, reply: &mut Reply) {
        reply.bulk("total").integer(self.total);
        for (status, count) in Status::ALL.into_iter().zip(self.by_status) {
            reply.bulk(status.name()).integer(count);
        }
    }
}

/// `TX.STATS`
pub(crate) fn stats(call: &mut Call<'_>) -> Result<Answer> {
    let keys = Keys::of(call.host)?;
    let now_ms = call.host.now_ms();
    let mut reply = Reply::new();
    if call.arguments.is_empty() {
        let relayers = relayers::all(call.host, keys)?;
        let (mut active, mut sum) = (0, Counts::default());
        for page in relayers.chunks(keys.at_once(RELAYERS_PER_READ)) {
            for counts in counts_of_page(call.host, keys, page, now_ms)? {
                active += i64::from(counts.total > 0);
                sum.add(&counts);
            }
        }
        reply.pairs(2 + Status::ALL.len()).bulk("relayers").integer(active);
        sum.say(&mut reply);
    } else {
        let relayer = input::name(&mut call.arguments)?.to_owned();
        call.arguments.end()?;
        reply.pairs(1 + Status::ALL.len());
        for counts in counts_of_page(call.host, keys, &[relayer], now_ms)? {
            counts.say(&mut reply);
        }
    }
    Ok(reply.into())
}

fn counts_of_page(
    host: &mut dyn Host,
    keys: Keys,
    relayers: &[String],
    now_ms: u64,
) -> Result<Vec<Counts>> {
    let mut query = Query::new();
    for relayer in relayers {
        query.get(keys.count(relayer));
        for status in Status::ALL {
            query.command("SCARD").arg(keys.status(relayer, status));
        }
        query.command("ZCOUNT").arg(keys.expiring(relayer)).arg("-inf").arg(now_ms);
    }
    let view = host.read(&query)?;
    let mut cursor = view.cursor();
    let mut page = Vec::with_capacity(relayers.len());
    for relayer in relayers {
        let mut counts =
            Counts { total: expiry::count(&mut cursor)?.cast_signed(), ..Counts::default() };
        for count in &mut counts.by_status {
            *count = cursor.integer()?;
        }
        if cursor.integer()? > 0 {
            counts = counts_without_expired(host, keys, relayer, now_ms)?;
        }
        page.push(counts);
    }
    Ok(page)
}

/// Subtracts what a sweep has not taken back yet. Two reads, repeated if the count changed between.
fn counts_without_expired(
    host: &mut dyn Host,
    keys: Keys,
    relayer: &str,
    now_ms: u64,
) -> Result<Counts> {
    transact(host, |host| {
        let mut query = Query::new();
        query.watch(keys.count(relayer));
        expiry::ask_expired(&mut query, keys, relayer, now_ms);
        let first = host.read(&query)?;
        let expired: Vec<&[u8]> = first.cursor().bulks()?.into_iter().flatten().collect();

        let mut query = Query::new();
        query.watch(keys.count(relayer)).get(keys.count(relayer));
        for status in Status::ALL {
            query.command("SCARD").arg(keys.status(relayer, status));
            if !expired.is_empty() {
                let command = query.command("SMISMEMBER").arg(keys.status(relayer, status));
                command.args(&expired);
            }
        }
        let second = host.read(&query)?;
        if first.version(0) != second.version(0) {
            return Ok(Attempt::Stale);
        }
        let mut cursor = second.cursor();
        let total = expiry::count(&mut cursor)?.cast_signed() - expired.len() as i64;
        let mut counts = Counts { total: total.max(0), ..Counts::default() };
        for count in &mut counts.by_status {
            *count = cursor.integer()?;
            if !expired.is_empty() {
                for _ in 0..cursor.elements()? {
                    *count -= cursor.integer()?;
                }
            }
        }
        Ok(Attempt::Done(counts))
    })
}
