//! A transaction as people read it.

use serde_json::Value;

use crate::cli::client::{Client, ClientError};
use crate::cli::table::{Align, Table, moment};

/// Reads the JSON of a transaction.
pub(super) fn parse(client: &Client, json: &[u8]) -> Result<Value, ClientError> {
    let record = serde_json::from_slice(json).ok().filter(Value::is_object);
    record.ok_or_else(|| client.unexpected("what should be a transaction is no JSON object"))
}

/// Its fields in the order in which people ask for them; what is absent is left out.
pub(super) fn fields(record: &Value) -> Vec<(&'static str, String)> {
    const NAMES: [(&str, &str); 18] = [
        ("id", "id"),
        ("relayer_id", "relayer"),
        ("nonce", "nonce"),
        ("status", "status"),
        ("to", "to"),
        ("value", "value"),
        ("gas_price", "gas price"),
        ("gas_limit", "gas limit"),
        ("data", "data"),
        ("hash", "hash"),
        ("hashes", "all hashes"),
        ("reason", "reason"),
        ("failures", "failures in a row"),
        ("failures_total", "failures"),
        ("created_at", "created"),
        ("updated_at", "updated"),
        ("confirmed_at", "confirmed"),
        ("expires_at", "expires"),
    ];
    let field = |(member, name): (&str, &'static str)| {
        record.get(member).map(|value| (name, text(member, value)))
    };
    NAMES.into_iter().filter_map(field).collect()
}

/// One line per transaction.
pub(super) fn table(records: &[Value]) -> Table {
    let members = ["id", "nonce", "status", "to", "value", "hash", "updated_at"];
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("nonce", Align::Right),
        ("status", Align::Left),
        ("to", Align::Left),
        ("value", Align::Right),
        ("hash", Align::Left),
        ("updated", Align::Left),
    ]);
    for record in records {
        let cell =
            |member: &str| record.get(member).map_or("-".to_owned(), |value| text(member, value));
        table.row(members.map(cell));
    }
    table
}

fn text(member: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if member.ends_with("_at") => {
            number.as_u64().map_or_else(|| number.to_string(), |ms| format!("{} UTC", moment(ms)))
        }
        Value::Array(values) => {
            let texts = values.iter().map(|value| text(member, value));
            texts.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_come_in_order_and_exact() {
        let record = json!({
            "updated_at": 1, "nonce": u64::MAX, "id": "a", "hashes": ["x", "y"], "other": 1,
        });
        let fields = fields(&record);
        let expected = [
            ("id", "a"),
            ("nonce", "18446744073709551615"),
            ("all hashes", "x y"),
            ("updated", "1970-01-01 00:00:00.001 UTC"),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
