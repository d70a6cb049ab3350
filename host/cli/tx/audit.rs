//! Checks of the transactions' keys by plain commands only, as anybody could do with redis-cli.
//!
//! Deliberately independent of the plugin: what it wrote is judged by what is there. The whole
//! audit uses `KEYS` and expects that nobody writes meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::draft::{RELAYERS, STATUSES, count_key, lookup_key, nonce_key, status_key, tx_key};
use crate::cli::client::{Client, ClientError};

/// What is wrong with the only transaction of a relayer: nothing, if all is well.
pub(in crate::cli) fn only_one(
    client: &mut Client,
    relayer: &str,
    id: &str,
    nonce: u64,
) -> Result<Vec<String>, ClientError> {
    let mut faults = Vec::new();
    let record: Option<String> = client.call(&["GET", &tx_key(id)])?;
    let status = record.as_deref().and_then(status_of).unwrap_or_default();
    let mut members = BTreeMap::new();
    for name in STATUSES {
        let ids: Vec<String> = client.call(&["SMEMBERS", &status_key(relayer, name)])?;
        if !ids.is_empty() {
            members.insert(name, ids);
        }
    }
    let only_there = [(status.as_str(), vec![id.to_owned()])];
    if members != BTreeMap::from(only_there) {
        let names: Vec<&str> = members.into_keys().collect();
        faults.push(format!("'{id}' is {status} and in the sets [{}]", names.join(", ")));
    }
    let count: Option<String> = client.call(&["GET", &count_key(relayer)])?;
    if count.as_deref() != Some("1") {
        faults.push(format!("relayer '{relayer}' counts {count:?} transactions instead of 1"));
    }
    for (key, expected) in [(lookup_key(id), relayer), (nonce_key(relayer, nonce), id)] {
        let value: Option<String> = client.call(&["GET", &key])?;
        if value.as_deref() != Some(expected) {
            faults.push(format!("'{key}' holds {value:?} instead of '{expected}'"));
        }
    }
    let listed: bool = client.call(&["SISMEMBER", RELAYERS, relayer])?;
    if !listed {
        faults.push(format!("relayer '{relayer}' is not in '{RELAYERS}'"));
    }
    Ok(faults)
}

/// The status that a record says.
pub(in crate::cli) fn status_of(json: &str) -> Option<String> {
    let record: Value = serde_json::from_str(json).ok()?;
    Some(record.get("status")?.as_str()?.to_owned())
}

/// What the whole database holds, as far as transactions go.
#[derive(Debug, Default)]
pub(in crate::cli) struct Audit {
    /// How many records there are.
    pub(in crate::cli) transactions: u64,
    /// How many entries of indexes, counters included.
    pub(in crate::cli) entries: u64,
    /// Every index that is not exactly what the records say.
    pub(in crate::cli) faults: Vec<String>,
}

/// Builds every index anew from the records and compares it with what is there.
pub(in crate::cli) fn whole_database(client: &mut Client) -> Result<Audit, ClientError> {
    let mut expected = Indexes::default();
    let mut audit = Audit::default();
    for key in keys(client, "tx:*")? {
        let json: String = client.call(&["GET", &key])?;
        audit.transactions += 1;
        if expected.add(&key, &json).is_none() {
            audit.faults.push(format!("'{key}' does not hold a transaction"));
        }
    }
    let found = Indexes::read(client)?;
    audit.entries = found.texts.len() as u64;
    audit.entries += found.sets.values().map(|set| set.len() as u64).sum::<u64>();
    compare("value", &expected.texts, &found.texts, &mut audit.faults);
    compare("set", &expected.sets, &found.sets, &mut audit.faults);
    Ok(audit)
}

fn keys(client: &mut Client, pattern: &str) -> Result<BTreeSet<String>, ClientError> {
    client.call(&["KEYS", pattern])
}

fn compare<T: Eq + std::fmt::Debug>(
    kind: &str,
    expected: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
    faults: &mut Vec<String>,
) {
    let all: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for key in all {
        let (should, is) = (expected.get(key), found.get(key));
        if should != is {
            faults.push(format!("{kind} of '{key}': is {is:?}, should be {should:?}"));
        }
    }
}

/// All indexes: keys with text, and keys with sets.
#[derive(Debug, Default)]
struct Indexes {
    texts: BTreeMap<String, String>,
    sets: BTreeMap<String, BTreeSet<String>>,
}

impl Indexes {
    /// What this record demands of the indexes; nothing if it is none.
    fn add(&mut self, key: &str, json: &str) -> Option<()> {
        let id = key.strip_prefix("tx:")?;
        let record: Value = serde_json::from_str(json).ok()?;
        let text = |member: &str| record.get(member).and_then(Value::as_str);
        let (relayer, status) = (text("relayer_id")?, text("status")?);
        let nonce = record.get("nonce")?.as_u64()?;
        if text("id") != Some(id) || !STATUSES.contains(&status) {
            return None;
        }
        self.texts.insert(lookup_key(id), relayer.to_owned());
        let user = self.texts.insert(nonce_key(relayer, nonce), id.to_owned());
        let count = self.texts.entry(count_key(relayer)).or_insert_with(|| "0".to_owned());
        *count = (count.parse::<u64>().unwrap_or(0) + 1).to_string();
        self.sets.entry(status_key(relayer, status)).or_default().insert(id.to_owned());
        self.sets.entry(RELAYERS.to_owned()).or_default().insert(relayer.to_owned());
        // Two transactions with one nonce are a fault, whatever the nonce's key says.
        user.is_none().then_some(())
    }

    /// What is there.
    fn read(client: &mut Client) -> Result<Self, ClientError> {
        let mut indexes = Self::default();
        for pattern in ["lookup:*", "relayer:*:nonce:*", "relayer:*:count"] {
            for key in keys(client, pattern)? {
                let text = client.call(&["GET", &key])?;
                indexes.texts.insert(key, text);
            }
        }
        for pattern in [RELAYERS, "relayer:*:status:*"] {
            for key in keys(client, pattern)? {
                let members = client.call(&["SMEMBERS", &key])?;
                indexes.sets.insert(key, members);
            }
        }
        Ok(indexes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_in_both_directions() {
        let mut expected = Indexes::default();
        let json = r#"{"id":"a","relayer_id":"r","nonce":7,"status":"sent"}"#;
        assert_eq!(expected.add("tx:a", json), Some(()));
        assert_eq!(expected.add("tx:b", json), None, "another's record");
        let second = json.replace("\"a\"", "\"b\"");
        assert_eq!(expected.add("tx:b", &second), None, "a nonce is used once");

        let mut faults = Vec::new();
        let found = BTreeMap::from([("relayer:r:count".to_owned(), "1".to_owned())]);
        compare("value", &expected.texts, &found, &mut faults);
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("is Some(\"1\"), should be Some(\"2\")")));
        faults.clear();
        compare("set", &expected.sets, &expected.sets, &mut faults);
        assert!(faults.is_empty());
    }
}
