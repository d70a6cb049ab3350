//! Which keys of two servers differ, and in what: for a message that says more than two digests.

use redis::Connection;

use crate::process::Process;

/// Databases that are looked at.
const DATABASES: usize = 3;

/// What a key holds, as far as servers of several versions say it alike.
#[derive(Debug, PartialEq)]
struct Told {
    digest: Option<Vec<String>>,
    kind: Option<String>,
    expiry: Option<i64>,
    scores: Option<Vec<(Vec<u8>, f64)>>,
}

impl Told {
    fn by(connection: &mut Connection, key: &[u8], beside_stock: bool) -> Self {
        let kind: Option<String> = ask(connection, &[b"TYPE", key]);
        let by_scores = beside_stock && kind.as_deref() == Some("zset");
        let scores: &[&[u8]] = &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"];
        let digest: &[&[u8]] = &[b"DEBUG", b"DIGEST-VALUE", key];
        Self {
            scores: by_scores.then(|| ask(connection, scores)).flatten(),
            digest: (!by_scores).then(|| ask(connection, digest)).flatten(),
            expiry: ask(connection, &[b"PEXPIRETIME", key]),
            kind,
        }
    }
}

fn ask<T: redis::FromRedisValue>(connection: &mut Connection, words: &[&[u8]]) -> Option<T> {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    command.query(connection).ok()
}

/// The keys whose values differ.
#[must_use]
pub fn differences(primary: &Process, replica: &Process, is_stock: bool) -> Vec<String> {
    let mut both = [primary, replica].map(|process| process.connect().expect("it is there"));
    let mut found = Vec::new();
    for database in 0..DATABASES {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for connection in &mut both {
            ask::<String>(connection, &[b"SELECT", database.to_string().as_bytes()]);
            keys.extend(ask::<Vec<Vec<u8>>>(connection, &[b"KEYS", b"*"]).unwrap_or_default());
        }
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let [here, there] =
                both.each_mut().map(|connection| Told::by(connection, &key, is_stock));
            if here == there {
                continue;
            }
            let dumps = both.each_mut().map(|connection| {
                let dump: Vec<u8> = ask(connection, &[b"DUMP", &key]).unwrap_or_default();
                format!("{:.1200}", dump.escape_ascii().to_string())
            });
            found.push(format!("[{database}] {}:", key.escape_ascii()));
            found.push(format!("{here:.1200?}\n{there:.1200?}\n{dumps:?}"));
        }
    }
    found
}
