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
