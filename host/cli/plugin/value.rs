//! Replies of `PLUGIN ...` as fields, words and JSON.

use redis::Value;

/// The names and values of a map.
pub(super) fn fields(map: &Value) -> Vec<(String, &Value)> {
    match map {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (text(name), value)).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn get<'a>(map: &'a Value, name: &str) -> &'a Value {
    let found = fields(map).into_iter().find(|(field, _)| field == name);
    found.map_or(&Value::Nil, |(_, value)| value)
}

pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// A value on one line.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Map(_) => {
            let words = fields(value).into_iter();
            let words = words.map(|(name, value)| format!("{name}={}", text(value)));
            words.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

pub(super) fn json_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Int(number) => (*number).into(),
        Value::Array(values) => values.iter().map(json_of).collect::<Vec<_>>().into(),
        Value::Map(_) => {
            let members = fields(value).into_iter();
            let members = members.map(|(name, value)| (name, json_of(value)));
            serde_json::Value::Object(members.collect())
        }
        other => text(other).into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn word(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn replies_become_json_and_words() {
        let config = Value::Map(vec![(word("a"), word("1")), (word("b"), Value::Int(2))]);
        let commands = Value::Array(vec![word("A.B"), word("A.C")]);
        let reply = Value::Map(vec![(word("config"), config), (word("commands"), commands)]);
        let json = json!({ "config": { "a": "1", "b": 2 }, "commands": ["A.B", "A.C"] });
        assert_eq!(json_of(&reply), json);
        assert_eq!(text(get(&reply, "config")), "a=1 b=2");
        assert_eq!(text(get(&reply, "commands")), "A.B A.C");
        assert_eq!(get(&reply, "other"), &Value::Nil);
    }
}
