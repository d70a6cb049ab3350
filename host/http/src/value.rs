//! Replies in RESP3 as JSON.
//!
//! | RESP | JSON |
//! |---|---|
//! | null | `null` |
//! | integer, double | number; what JSON has no number for is a string (`"inf"`) |
//! | boolean | `true`, `false` |
//! | status, byte string, big number | string; bytes that are no UTF-8: `{"base64": "..."}` |
//! | array, set, push | array |
//! | map | object if all keys are strings, otherwise an array of pairs |
//! | error inside of another reply | `{"error": "CODE text"}` |

use std::io::{Error, ErrorKind, Result};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Bytes of a reply, as far as they are text or cost memory.
const REPLY_BYTES_MAX: u64 = 64 << 20;
/// How deep replies are nested.
const DEPTH_MAX: usize = 64;
/// Bytes of a line: lengths, numbers, errors.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// What an element costs at least: its place, in a list that doubles as it grows.
const ELEMENT_BYTES: u64 = 64;
/// What a JSON object costs before anything is in it.
const OBJECT_BYTES: u64 = 768;

/// A whole reply.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Value(Value),
    /// Code first.
    Error(String),
}

/// Reads one.
pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Reply> {
    let mut room = REPLY_BYTES_MAX;
    element(from, &mut room, 0).await
}

fn bad(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

fn spend(room: &mut u64, bytes: u64) -> Result<()> {
    *room = room.checked_sub(bytes).ok_or_else(|| bad("the reply is too large for a request"))?;
    Ok(())
}

async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> Result<String> {
    let mut line = Vec::new();
    (&mut *from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        None if line.len() as u64 == LINE_BYTES_MAX => Err(bad("a line without end")),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

async fn element<R: AsyncBufRead + Unpin>(
    from: &mut R,
    room: &mut u64,
    depth: usize,
) -> Result<Reply> {
    if depth > DEPTH_MAX {
        return Err(bad("a reply too deep"));
    }
    let line = line(from).await?;
    spend(room, ELEMENT_BYTES + line.len() as u64)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| bad("an empty line"))?;
    let value = match kind {
        "+" | "(" => Value::from(rest),
        "-" => return Ok(Reply::Error(rest.to_owned())),
        ":" => rest.parse::<i64>().map(Value::from).map_err(|_| bad("no integer"))?,
        "," => double(rest)?,
        "#" => Value::from(rest == "t"),
        "_" => Value::Null,
        "$" | "=" | "!" => match bytes(from, room, rest).await? {
            None => Value::Null,
            Some(text) if kind == "!" => {
                return Ok(Reply::Error(String::from_utf8_lossy(&text).into_owned()));
            }
            // Three letters and a colon say what kind of text it is.
            Some(text) if kind == "=" => string(text.get(4..).unwrap_or_default().to_vec(), room)?,
            Some(text) => string(text, room)?,
        },
        "*" | "~" | ">" => match count(rest)? {
            None => Value::Null,
            Some(count) => Value::Array(Box::pin(elements(from, room, depth, count)).await?),
        },
        "%" => {
            spend(room, OBJECT_BYTES)?;
            let count = count(rest)?.unwrap_or_default().saturating_mul(2);
            pairs(Box::pin(elements(from, room, depth, count)).await?)
        }
        _ => return Err(bad("an unknown kind of reply")),
    };
    Ok(Reply::Value(value))
}

async fn elements<R: AsyncBufRead + Unpin>(
    from: &mut R,
    room: &mut u64,
    depth: usize,
    count: usize,
) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(match element(from, room, depth + 1).await? {
            Reply::Value(value) => value,
            Reply::Error(text) => {
                spend(room, OBJECT_BYTES)?;
                json!({ "error": text })
            }
        });
    }
    Ok(all)
}

fn count(digits: &str) -> Result<Option<usize>> {
    if digits == "-1" {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(|_| bad("no length"))
}

async fn bytes<R: AsyncBufRead + Unpin>(
    from: &mut R,
    room: &mut u64,
    digits: &str,
) -> Result<Option<Vec<u8>>> {
    let Some(length) = count(digits)? else { return Ok(None) };
    spend(room, length as u64)?;
    let mut bytes = vec![0; length + 2];
    from.read_exact(&mut bytes).await?;
    bytes.truncate(length);
    Ok(Some(bytes))
}

fn double(text: &str) -> Result<Value> {
    let number: f64 = text.parse().map_err(|_| bad("no number"))?;
    Ok(if number.is_finite() { Value::from(number) } else { Value::from(text) })
}

fn string(bytes: Vec<u8>, room: &mut u64) -> Result<Value> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Value::from(text)),
        Err(error) => {
            let bytes = error.as_bytes();
            // Four letters for three bytes, beside them.
            spend(room, OBJECT_BYTES + bytes.len() as u64 / 3 * 4)?;
            Ok(json!({ "base64": STANDARD.encode(bytes) }))
        }
    }
}

fn pairs(all: Vec<Value>) -> Value {
    let is_key = |pair: &[Value]| pair.first().is_some_and(Value::is_string);
    if all.chunks_exact(2).all(is_key) {
        let mut map = Map::new();
        let mut rest = all.into_iter();
        while let (Some(Value::String(key)), Some(value)) = (rest.next(), rest.next()) {
            map.insert(key, value);
        }
        return Value::Object(map);
    }
    let mut pairs = Vec::with_capacity(all.len() / 2);
    let mut rest = all.into_iter();
    while let (Some(key), Some(value)) = (rest.next(), rest.next()) {
        pairs.push(Value::Array(vec![key, value]));
    }
    Value::Array(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Reply> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(read(&mut &text[..]))
    }

    #[test]
    fn replies_become_json() {
        for (text, wanted) in [
            ("+OK\r\n", json!("OK")),
            (":-5\r\n", json!(-5)),
            ("_\r\n", json!(null)),
            ("$-1\r\n", json!(null)),
            ("*-1\r\n", json!(null)),
            (",1.5\r\n", json!(1.5)),
            (",inf\r\n", json!("inf")),
            ("#t\r\n", json!(true)),
            ("$4\r\na\r\nb\r\n", json!("a\r\nb")),
            ("=8\r\ntxt:some\r\n", json!("some")),
            ("*2\r\n:1\r\n*1\r\n-ERR no\r\n", json!([1, [{"error": "ERR no"}]])),
            ("~1\r\n+a\r\n", json!(["a"])),
            ("%1\r\n+k\r\n:1\r\n", json!({"k": 1})),
            ("%1\r\n:1\r\n:2\r\n", json!([[1, 2]])),
        ] {
            assert_eq!(parse(text.as_bytes()).expect(text), Reply::Value(wanted), "{text}");
        }
        assert_eq!(
            parse(b"$1\r\n\xff\r\n").expect("bytes"),
            Reply::Value(json!({"base64": "/w=="}))
        );
        assert_eq!(parse(b"-ERR no\r\n").expect("an error"), Reply::Error("ERR no".into()));
    }

    #[test]
    fn what_is_no_reply_is_an_error_and_costs_no_memory() {
        let deep = "*1\r\n".repeat(200_000);
        for text in
            ["", "\r\n", "?x\r\n", ":x\r\n", "$5\r\nab", "*2\r\n:1\r\n", "$99999999999\r\n", &deep]
        {
            assert!(parse(text.as_bytes()).is_err());
        }
        // Bytes that are no text cost more than they are long.
        let bytes = b"*200000\r\n".iter().copied();
        let bytes = bytes.chain(b"$1\r\n\xff\r\n".repeat(200_000)).collect::<Vec<u8>>();
        assert!(parse(&bytes).is_err());
        assert!(parse(&vec![b'a'; 1 << 20]).is_err());
        assert!(parse(b"*99999999999999\r\n:1\r\n").is_err());
    }
}
