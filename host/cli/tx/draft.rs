//! A transaction as a client without the plugin has to make it: keys, JSON and all.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// All statuses, in the order of progress.
pub(in crate::cli) const STATUSES: [&str; 8] =
    ["pending", "sent", "submitted", "mined", "confirmed", "failed", "canceled", "expired"];

/// The key of all relayers.
pub(in crate::cli) const RELAYERS: &str = "relayers";

/// The key of a record.
pub(in crate::cli) fn tx_key(id: &str) -> String {
    format!("tx:{id}")
}

/// The key that says whose a transaction is.
pub(in crate::cli) fn lookup_key(id: &str) -> String {
    format!("lookup:{id}")
}

/// The key of the ids in a status.
pub(in crate::cli) fn status_key(relayer: &str, status: &str) -> String {
    format!("relayer:{relayer}:status:{status}")
}

/// The key that says which transaction uses a nonce.
pub(in crate::cli) fn nonce_key(relayer: &str, nonce: u64) -> String {
    format!("relayer:{relayer}:nonce:{nonce}")
}

/// The key that counts a relayer's transactions.
pub(in crate::cli) fn count_key(relayer: &str) -> String {
    format!("relayer:{relayer}:count")
}

/// A transaction that is to be created.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) relayer: String,
    pub(super) nonce: u64,
    pub(super) to: String,
    pub(super) value: String,
}

impl Draft {
    /// The transaction of a relayer with this nonce.
    pub(super) fn new(relayer: &str, nonce: u64) -> Self {
        Self {
            id: format!("{relayer}-{nonce:08}"),
            relayer: relayer.to_owned(),
            nonce,
            to: "0x742d35cc6634c0532925a3b844bc454e4438f44e".to_owned(),
            value: "1000000000000000000".to_owned(),
        }
    }

    /// The record, as the plugin writes it.
    pub(super) fn json(&self) -> String {
        let Self { id, relayer, nonce, to, value } = self;
        let now_ms = now_ms();
        let record = json!({
            "id": id, "relayer_id": relayer, "nonce": nonce, "to": to, "value": value,
            "status": "pending", "created_at": now_ms, "updated_at": now_ms,
        });
        record.to_string()
    }
}

/// The record after a change of status; the status before it comes along.
pub(in crate::cli) fn moved(
    json: &[u8],
    status: &str,
    hash: Option<&str>,
) -> Option<(String, String)> {
    let mut record: Value = serde_json::from_slice(json).ok()?;
    let members = record.as_object_mut()?;
    let before = members.insert("status".to_owned(), status.into())?.as_str()?.to_owned();
    members.insert("updated_at".to_owned(), now_ms().into());
    if let Some(hash) = hash {
        members.insert("hash".to_owned(), hash.into());
        members.insert("hashes".to_owned(), json!([hash]));
    }
    Some((record.to_string(), before))
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
