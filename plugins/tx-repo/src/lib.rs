//! The transaction repository: transactions of relayers as JSON, with indexes by status and nonce
//! that agree with the records at every instant, because each change is one atomic batch.
//!
//! | key | holds |
//! |---|---|
//! | `tx:<id>` | the record, JSON |
//! | `lookup:<id>` | its relayer |
//! | `relayer:<r>:status:<s>` | set of the ids in a status |
//! | `relayer:<r>:nonce:<n>` | the id that uses a nonce |
//! | `relayers` | set of the relayers that have transactions |
//! | `relayer:<r>:count` | how many |
//! | `relayer:<r>:expiring` | sorted set of ids by deadline; only while records with a TTL exist |
//! | `relayer:<r>:next-nonce` | the nonce counter; only if `TX.NONCE` or NEXT is used |
//! | `relayer:<r>:by-time:<s>` | sorted set of the ids in a status by time; only if configured |
//! | `request:<r>:<token>` | what a request with a token created, for a day |
//! | `lock:<r>:<name>` | who holds a lock, while it is held |
//!
//! **Configuration** (`PLUGIN LOAD ... CONFIG key value`): `by-time yes` keeps the indexes by time
//! (each create then writes one key more; `TX.REPAIR` builds them for what is there already),
//! `layout tagged` makes the relayer the hash tag of its keys, for clusters ([`key`]),
//! `finished-ttl` and `token-ttl` are seconds.
//!
//! **Creating is one host call**: the batch demands that id and nonce are not there yet, so nothing
//! is read before. Changing reads the record with its version and retries when it was changed
//! meanwhile; a MULTI after a read, without that guard, loses this race.
//!
//! **Records with a TTL**: `tx:<id>` and the nonce's key expire by themselves, so nobody can read a
//! dead record, and its nonce is free. What else mentions it (status set, count, `lookup:<id>`) is
//! taken back by a sweep: [`TX.SWEEP`](expiry), one create with a TTL in [`expiry::SWEEP_ONE_IN`],
//! and a create that reuses the id. Until then readers do not count it: they subtract what
//! `relayer:<r>:expiring` says is over. `lookup:<id>` stays until the sweep so that an id cannot be
//! used again while old indexes mention it.
//!
//! Deliberately absent: changing a finished transaction, taking a nonce from another transaction,
//! and two records with one id.

mod by_time;
mod change;
mod create;
mod evidence;
mod expiry;
mod find;
mod id;
mod input;
mod key;
mod list;
mod lock;
mod nonce;
mod record;
mod refusal;
mod relayers;
mod remove;
mod repair;
mod request;
mod stats;
mod status;
#[cfg(test)]
mod tests;
mod verify;

use reef_sdk::Command;

const COMMANDS: &[Command] = &[
    Command::new("TX.CREATE", create::create)
        .usage(
            "relayer nonce|NEXT to value [ID id] [GASPRICE price] [GASLIMIT limit] [DATA hex] \
             [TTL seconds] [TOKEN token]",
        )
        .summary("Creates a pending transaction with all its indexes and returns its id.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(-5)
        .write()
        .denyoom()
        .fast(),
    Command::new("TX.BULKCREATE", create::bulk_create)
        .usage("relayer [TOKEN token] nonce to value [nonce to value ...]")
        .summary("Creates all these transactions or none, in one batch, and returns their ids.")
        .complexity("O(N) where N is the number of transactions")
        .since("0.1.0")
        .arity(-5)
        .write()
        .denyoom(),
    Command::new("TX.GET", find::get)
        .usage("id")
        .summary("Returns a transaction as JSON.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(2)
        .readonly()
        .fast(),
    Command::new("TX.UPDATE", change::update)
        .usage(
            "id status|SAME [HASH hash] [TO to] [VALUE value] [GASPRICE price] [GASLIMIT limit] \
             [DATA hex] [REASON text] [FAILURE | SUCCESS] [TTL seconds] [IF status] [BOTH]",
        )
        .summary(
            "Changes status and members of a transaction; returns it, with BOTH also as before.",
        )
        .complexity("O(1)")
        .since("0.1.0")
        .arity(-3)
        .write()
        .denyoom()
        .fast(),
    Command::new("TX.BYNONCE", find::by_nonce)
        .usage("relayer nonce")
        .summary("Returns the transaction that uses a nonce.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(3)
        .readonly()
        .fast(),
    Command::new("TX.LIST", list::list)
        .usage("relayer status [OLDEST | NEWEST] [CURSOR cursor] [LIMIT count]")
        .summary("Returns the next cursor, a page of transactions in a status, and their number.")
        .complexity("O(N) where N is the size of the page")
        .since("0.1.0")
        .arity(-3)
        .readonly(),
    Command::new("TX.STATS", stats::stats)
        .usage("[relayer]")
        .summary("Counts transactions by status, of a relayer or of all.")
        .complexity("O(N) where N is the number of relayers asked for")
        .since("0.1.0")
        .arity(-1)
        .readonly(),
    Command::new("TX.DELETE", remove::delete)
        .usage("id [id ...]")
        .summary("Deletes transactions from all indexes; returns how many, and what failed.")
        .complexity("O(N) where N is the number of ids")
        .since("0.1.0")
        .arity(-2)
        .write(),
    Command::new("TX.VERIFY", verify::verify)
        .usage("[relayer] [CURSOR cursor]")
        .summary("Checks every index in both directions and returns the faults found.")
        .complexity("O(N) where N is the number of keys")
        .since("0.1.0")
        .arity(-1)
        .readonly(),
    Command::new("TX.SWEEP", expiry::sweep_command)
        .usage("[relayer]")
        .summary("Takes expired transactions out of their indexes and returns how many.")
        .complexity("O(N) where N is the number of expired transactions")
        .since("0.1.0")
        .arity(-1)
        .write(),
    Command::new("TX.REPAIR", repair::repair)
        .usage("relayer [CURSOR cursor]")
        .summary("Takes back index entries without a record and builds the index by time anew.")
        .complexity("O(N) where N is the number of entries")
        .since("0.2.0")
        .arity(-2)
        .write(),
    Command::new("TX.LOCK", lock::lock)
        .usage("relayer lock owner milliseconds")
        .summary("Takes or prolongs a lock and returns 1, or 0 if another owner holds it.")
        .complexity("O(1)")
        .since("0.2.0")
        .arity(5)
        .write()
        .denyoom()
        .fast(),
    Command::new("TX.UNLOCK", lock::unlock)
        .usage("relayer lock owner")
        .summary("Releases a lock and returns 1, or 0 if this owner does not hold it.")
        .complexity("O(1)")
        .since("0.2.0")
        .arity(4)
        .write()
        .fast(),
    Command::new("TX.NONCE", nonce::nonce)
        .usage("relayer [NEXT | CLAIM nonce | FLOOR nonce | LOWER from to]")
        .summary(
            "Reads, takes, raises or, if it is still the same, claims or lowers the nonce counter.",
        )
        .complexity("O(1)")
        .since("0.1.0")
        .arity(-2)
        .write()
        .denyoom()
        .fast(),
    Command::new("TX.NONCES", nonce::nonces)
        .usage("relayer from count")
        .summary("Tells for each nonce of a range which transaction uses it, to find gaps.")
        .complexity("O(N) where N is the size of the range")
        .since("0.1.0")
        .arity(4)
        .readonly(),
];

reef_sdk::export_plugin! {
    name: "tx-repo",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Transactions of relayers, with indexes that always agree.",
    commands: COMMANDS,
    wants: &[
        "DEL", "EXISTS", "GET", "INCRBY", "MGET", "MSET", "PEXPIREAT", "SADD", "SCAN", "SCARD",
        "SET", "SISMEMBER", "SMEMBERS", "SMISMEMBER", "SREM", "SSCAN", "ZADD", "ZCARD", "ZCOUNT",
        "ZRANGEBYSCORE", "ZREM", "ZREVRANGEBYSCORE", "ZSCORE", "~tx:*", "~lookup:*", "~relayer:*",
        "~relayers", "~request:*", "~lock:*",
    ],
}
