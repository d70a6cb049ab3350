//! What a request asks for. Its head is judged before anybody is let in, its body is read after that:
//! whom the server does not take or know has nothing read that would be kept.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request, StatusCode};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::answer::{self, Answer, Refusal};
use crate::client::{Client, Identity};
use crate::door::House;

/// Where commands are posted.
const PATH: &str = "/command";
/// Bytes of a body.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Bytes of a body that is read for politeness only.
const STRANGER_BYTES_MAX: usize = 64 << 10;
/// How long that may take.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Words of a command.
const WORDS_MAX: usize = 100_000;

/// Commands that make of a connection something that answers otherwise, or not at all.
const STATEFUL: [&str; 17] = [
    "AUTH",
    "HELLO",
    "MONITOR",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH",
    "PSUBSCRIBE",
    "PSYNC",
    "PUNSUBSCRIBE",
    "QUIT",
    "REPLCONF",
    "RESET",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SYNC",
    "UNSUBSCRIBE",
];

/// Answers a request.
pub(crate) async fn answer<B>(house: &House, peer: SocketAddr, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A page that may not is told so before anything happens: its browser would send it all the same.
    let origin = request.headers().get(ORIGIN).cloned();
    if let Some(origin) = &origin
        && !is_welcome(&house.settings.origins, origin)
    {
        let text = "DENIED pages of this origin may not ask";
        return answer::refused(&Refusal::new(StatusCode::FORBIDDEN, text));
    }
    let answer = respond(house, peer, request).await;
    let answer = answer.unwrap_or_else(|refusal| answer::refused(&refusal));
    answer::allow(answer, origin.as_ref())
}

async fn respond<B>(house: &House, peer: SocketAddr, request: Request<B>) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.uri().path() != PATH {
        let text = "ERR there is nothing here: POST /command";
        return Err(Refusal::new(StatusCode::NOT_FOUND, text));
    }
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return Ok(answer::preflight()),
        _ => {
            let text = "ERR commands are posted: POST /command";
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text));
        }
    }
    // No page can send this type without its browser having asked before.
    if !is_json(request.headers()) {
        let text = "ERR the body is JSON: Content-Type: application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let identity = identity(request.headers())?;
    let client = match Client::enter(&house.entrance, peer, identity).await {
        Ok(client) => client,
        Err(refusal) => {
            // So that an answer is not lost to what its sender was still sending.
            let _ = read(request.into_body(), STRANGER_BYTES_MAX, STRANGER_TIMEOUT).await;
            return Err(refusal);
        }
    };
    let body = read(request.into_body(), BODY_BYTES_MAX, BODY_TIMEOUT).await?;
    client.run(&words(&body)?).await
}

fn is_welcome(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|one| one == "*" || one.as_bytes() == origin.as_bytes())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Who it is, from `Authorization: Basic`; `None`: whoever the server takes for granted.
fn identity(headers: &HeaderMap) -> Result<Option<Identity>, Refusal> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let refused = || {
        let text = "NOAUTH the header is: Authorization: Basic base64(user:password)";
        Refusal::new(StatusCode::UNAUTHORIZED, text)
    };
    let (scheme, rest) =
        header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused());
    }
    let decoded = STANDARD.decode(rest.trim()).map_err(|_| refused())?;
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(refused)?;
    let (user, password) = decoded.split_at(colon);
    let user = if user.is_empty() { b"default" } else { user };
    Ok(Some((user.to_vec(), password.get(1..).unwrap_or_default().to_vec())))
}

async fn read<B>(body: B, bytes_max: usize, patience: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limited = Limited::new(body, bytes_max);
    match tokio::time::timeout(patience, limited.collect()).await {
        Err(_) => {
            let text = "ERR the body took too long";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("ERR the body has more than {bytes_max} bytes");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text))
        }
        Ok(Err(_)) => {
            let text = "ERR the body is not whole";
            Err(Refusal::new(StatusCode::BAD_REQUEST, text))
        }
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
    }
}

/// The words of a command: strings, numbers and truth values, as they would be typed.
fn words(body: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let refused = |text: &str| Refusal::new(StatusCode::BAD_REQUEST, text);
    let mut json = serde_json::Deserializer::from_slice(body);
    let words = json.deserialize_seq(Words).and_then(|words| json.end().map(|()| words));
    let words = words.map_err(|error| refused(&format!("ERR this is no command: {error}")))?;
    if words.is_empty() {
        return Err(refused("ERR a command has one word at least"));
    }
    check_command(&words)?;
    Ok(words)
}

/// Takes words out of an array and counts them as they come: what is nested or too much is never built.
struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = Vec<Vec<u8>>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON array of words")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut words = Vec::new();
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if words.len() == WORDS_MAX {
                return Err(A::Error::custom("it has too many words"));
            }
            words.push(word(element.get()).map_err(A::Error::custom)?);
        }
        Ok(words)
    }
}

/// A word. Numbers stay as they were written, however large.
fn word(json: &str) -> Result<Vec<u8>, &'static str> {
    match json.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(json).map_err(|_| "a string is broken")?;
            Ok(text.into_bytes())
        }
        Some(b'-' | b'0'..=b'9' | b't' | b'f') => Ok(json.as_bytes().to_vec()),
        _ => Err("a word is a string or a number: no null, no nesting"),
    }
}

fn check_command(words: &[Vec<u8>]) -> Result<(), Refusal> {
    let word = |index: usize| words.get(index).map_or(&[][..], Vec::as_slice);
    let is = |index: usize, name: &str| word(index).eq_ignore_ascii_case(name.as_bytes());
    let is_stateful = STATEFUL.iter().any(|name| is(0, name))
        || is(0, "CLIENT") && (is(1, "REPLY") || is(1, "TRACKING"));
    if !is_stateful {
        return Ok(());
    }
    let name = String::from_utf8_lossy(word(0)).to_ascii_uppercase();
    let text = format!("ERR {name} is about a connection, and a request has none");
    Err(Refusal::new(StatusCode::BAD_REQUEST, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &str) -> Result<Vec<String>, StatusCode> {
        let words = words(body.as_bytes()).map_err(|refusal| refusal.status)?;
        Ok(words.into_iter().map(|word| String::from_utf8(word).expect("text")).collect())
    }

    #[test]
    fn words_are_written_as_they_would_be_typed() {
        let words = split(r#"["SET", "k", 9007199254740993, 1.5, true, "ä\u0000"]"#);
        let wanted = ["SET", "k", "9007199254740993", "1.5", "true", "ä\0"];
        assert_eq!(words, Ok(wanted.map(str::to_owned).to_vec()));
        let large = split(r#"["SET", "k", 123456789012345678901234567890, -1e400]"#);
        let wanted = ["SET", "k", "123456789012345678901234567890", "-1e400"];
        assert_eq!(large, Ok(wanted.map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for body in [
            "",
            "[",
            "{}",
            "[]",
            "\"PING\"",
            "null",
            r#"["SET", ["k"], "v"]"#,
            r#"["SET", null]"#,
            r#"[{"a": 1}]"#,
            r#"["subscribe", "c"]"#,
            r#"["Client", "reply", "off"]"#,
            r#"["PING"] ["PING"]"#,
        ] {
            assert_eq!(split(body), Err(StatusCode::BAD_REQUEST), "{body}");
        }
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(split(&many(WORDS_MAX)).is_ok() && split(&many(WORDS_MAX + 1)).is_err());
        // Deep enough to be no use, and not so deep that it could harm.
        assert!(split(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn who_it_is_stands_in_the_header() {
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, text.parse().expect("a header"));
            identity(&headers).map_err(|refusal| refusal.status)
        };
        let pair = |user: &str, password: &str| Ok(Some((user.into(), password.into())));
        assert_eq!(with("Basic YWRhOnM6eA=="), pair("ada", "s:x"));
        assert_eq!(with("basic OnB3"), pair("default", "pw"));
        for bad in ["Basic", "Basic !!", "Bearer YWRhOnM=", "Basic YWRh"] {
            assert_eq!(with(bad), Err(StatusCode::UNAUTHORIZED), "{bad}");
        }
        assert!(matches!(identity(&HeaderMap::new()), Ok(None)));
    }

    #[test]
    fn origins_are_named() {
        let origin = HeaderValue::from_static("https://a.example");
        let named = |origins: &[&str]| {
            let origins: Vec<String> = origins.iter().map(|one| (*one).to_owned()).collect();
            is_welcome(&origins, &origin)
        };
        assert!(named(&["https://a.example"]) && named(&["x", "*"]));
        assert!(!named(&[]) && !named(&["https://a.example.evil", "http://a.example"]));
    }
}
