//! The list of relayers that have transactions.
//!
//! In the plain layout it changes in the batch that makes a relayer's first transaction or takes
//! its last away. On a cluster it lives in another slot than the relayer: there it follows right
//! after, and what a crash leaves open `TX.SWEEP` settles.

use reef_sdk::{Attempt, Batch, Host, Query, Result, transact};

use crate::key::Keys;

/// How many keys one look for counts passes.
const SCAN_PAGE: u64 = 512;

/// All relayers, in the order of their names.
pub(crate) fn all(host: &mut dyn Host, keys: Keys) -> Result<Vec<String>> {
    let mut query = Query::new();
    query.command("SMEMBERS").arg(keys.relayers());
    let view = host.read(&query)?;
    let names = view.cursor().bulks()?.into_iter().flatten();
    let mut names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into()).collect();
    names.sort_unstable();
    Ok(names)
}

/// Lists a relayer that has just got a transaction. Where the list changes in the batch itself,
/// does nothing.
pub(crate) fn follow(host: &mut dyn Host, keys: Keys, relayer: &str) -> Result<()> {
    if !keys.tagged {
        return Ok(());
    }
    let mut query = Query::new();
    query.command("SISMEMBER").arg(keys.relayers()).arg(relayer);
    let listed = host.read(&query)?.cursor().integer()? == 1;
    if listed { Ok(()) } else { settle(host, keys, relayer) }
}

/// Makes the list say of one relayer what its count says.
///
/// Whoever writes the list looks at the count once more, so of several the last is right.
pub(crate) fn settle(host: &mut dyn Host, keys: Keys, relayer: &str) -> Result<()> {
    transact(host, |host| {
        let there = has_any(host, keys, relayer)?;
        let mut batch = Batch::new();
        batch.discard_replies();
        match there {
            true => batch.sadd(keys.relayers(), relayer),
            false => batch.srem(keys.relayers(), relayer),
        };
        host.apply(&batch)?;
        let still = has_any(host, keys, relayer)? == there;
        Ok(if still { Attempt::Done(()) } else { Attempt::Stale })
    })
}

fn has_any(host: &mut dyn Host, keys: Keys, relayer: &str) -> Result<bool> {
    let mut query = Query::new();
    query.command("EXISTS").arg(keys.count(relayer));
    Ok(host.read(&query)?.cursor().integer()? == 1)
}

/// Settles every relayer that is listed or has a count.
pub(crate) fn settle_all(host: &mut dyn Host, keys: Keys) -> Result<()> {
    let mut names = all(host, keys)?;
    let mut place = 0_u64;
    loop {
        let mut query = Query::new();
        let pattern = format!("{}:count", keys.pattern("*"));
        query.command("SCAN").arg(place).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_PAGE);
        let view = host.read(&query)?;
        let (next, found) = crate::verify::scanned(&view)?;
        names.extend(found.iter().filter_map(|key| keys.count_of(key)));
        place = next;
        if place == 0 {
            break;
        }
    }
    names.sort_unstable();
    names.dedup();
    names.iter().try_for_each(|relayer| settle(host, keys, relayer))
}
