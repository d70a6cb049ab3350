//! What this plugin refuses, and with which code. The only file with error texts.

use reef_sdk::Error;

use crate::status::Status;

pub(crate) fn no_transaction(id: &str) -> Error {
    Error::new("NOTX", format!("no transaction '{id}'"))
}

pub(crate) fn broken_record(id: &str) -> Error {
    Error::new("BROKENTX", format!("the key 'tx:{id}' does not hold a transaction"))
}

pub(crate) fn id_used(id: &str) -> Error {
    Error::new("IDUSED", format!("another transaction has the id '{id}'"))
}

pub(crate) fn nonce_used(relayer: &str, nonce: u64, id: &str) -> Error {
    Error::new("NONCEUSED", format!("nonce {nonce} of relayer '{relayer}' is used by '{id}'"))
}

pub(crate) fn nonce_twice(nonce: u64) -> Error {
    Error::new("NONCEUSED", format!("nonce {nonce} is given twice"))
}

pub(crate) fn illegal_move(id: &str, from: Status, to: Status) -> Error {
    let (from_name, to_name) = (from.name(), to.name());
    let reason = if from.is_final() { "which is final" } else { "which cannot become that" };
    let text = format!("'{id}' cannot be {to_name}: it is {from_name}, {reason}");
    Error::new("ILLEGALSTATUS", text)
}

pub(crate) fn other_status(id: &str, status: Status) -> Error {
    Error::new("STATUSCHANGED", format!("'{id}' is {}", status.name()))
}

pub(crate) fn other_nonce(nonce: u64) -> Error {
    Error::new("NONCECHANGED", format!("the next nonce is {nonce}"))
}

pub(crate) fn too_many_hashes(id: &str) -> Error {
    Error::new("TOOMANYHASHES", format!("'{id}' has had too many hashes"))
}

pub(crate) fn token_used(token: &str) -> Error {
    Error::new("TOKENUSED", format!("another request had the token '{token}'"))
}

pub(crate) fn not_indexed(relayer: &str) -> Error {
    let text = format!("the index by time of relayer '{relayer}' is not whole: run TX.REPAIR");
    Error::new("NOTINDEXED", text)
}

pub(crate) fn bad_seconds(key: &str) -> Error {
    Error::new("ERR", format!("the configured '{key}' takes 1 second to 10 years, in seconds"))
}

pub(crate) const BAD_LAYOUT: Error =
    Error::fixed("ERR", "the configured 'layout' is 'plain' or 'tagged'");

pub(crate) const BAD_BY_TIME: Error =
    Error::fixed("ERR", "the configured 'by-time' is 'yes' or 'no'");

pub(crate) const NO_INDEX: Error = Error::fixed(
    "NOTINDEXED",
    "there is no index by time: load the plugin with CONFIG by-time yes",
);

pub(crate) const BAD_TAG: Error =
    Error::fixed("ERR", "in the tagged layout a relayer has no braces in its name");

pub(crate) const BAD_ID: Error =
    Error::fixed("ERR", "in the tagged layout an id is its relayer, a dot and a name without dot");

pub(crate) const BAD_REASON: Error =
    Error::fixed("ERR", "a reason takes at most 512 bytes of text without control characters");

pub(crate) const BAD_LOCK_TIME: Error =
    Error::fixed("ERR", "a lock is held 1 millisecond to 1 day, in milliseconds");

pub(crate) const UNKNOWN_STATUS: Error = Error::fixed(
    "ERR",
    "unknown status, expected one of \
     pending, sent, submitted, mined, confirmed, failed, canceled, expired",
);

pub(crate) const BAD_NAME: Error = Error::fixed(
    "ERR",
    "a relayer, an id and an address take 1 to 128 bytes of text without control characters",
);

pub(crate) const BAD_AMOUNT: Error =
    Error::fixed("ERR", "an amount is a decimal integer of at most 78 digits");

pub(crate) const BAD_DATA: Error =
    Error::fixed("ERR", "data is an even number of hexadecimal digits, with or without 0x");

pub(crate) const BAD_TTL: Error =
    Error::fixed("ERR", "a TTL takes 1 second to 10 years, in seconds");

pub(crate) const BAD_CURSOR: Error = Error::fixed("ERR", "invalid cursor");

pub(crate) const BAD_LIMIT: Error = Error::fixed("ERR", "a page takes 1 to 1000 entries");

pub(crate) const TOO_LARGE: Error = Error::fixed(
    "TOOLARGE",
    "too much to verify in one call: start with CURSOR 0 and follow the cursor",
);
