//! What a request asks for, judged before anybody is let in.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;

use crate::answer::{self, Answer, Refusal};
use crate::client::{self, Identity};
use crate::door::House;

/// Where commands are posted.
const PATH: &str = "/command";
/// Bytes of a body.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;
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
    let body = body(request.into_body()).await?;
    let words = words(&body)?;
    client::run(&house.entrance, peer, identity, &words).await
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

async fn body<B>(body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limited = Limited::new(body, BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Err(_) => {
            let text = "ERR the body took too long";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("ERR the body has more than {BODY_BYTES_MAX} bytes");
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
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| refused(&format!("ERR this is no JSON: {error}")))?;
    let Value::Array(elements) = value else {
        return Err(refused("ERR a command is a JSON array of words"));
    };
    if elements.is_empty() || elements.len() > WORDS_MAX {
        return Err(refused("ERR a command has one word at least, and not too many"));
    }
    let mut words = Vec::with_capacity(elements.len());
    for element in elements {
        words.push(match element {
            Value::String(text) => text.into_bytes(),
            Value::Number(number) => number.to_string().into_bytes(),
            Value::Bool(truth) => truth.to_string().into_bytes(),
            _ => return Err(refused("ERR a word is a string or a number: no null, no nesting")),
        });
    }
    check_command(&words)?;
    Ok(words)
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
