//! What the door answers: a status and one JSON object, `{"result": ...}` or `{"error": "CODE text"}`.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY,
    WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// The result of a command.
pub(crate) fn result(value: Value) -> Answer {
    with_body(StatusCode::OK, &json!({ "result": value }))
}

/// Why there is no result: a status, and an error with its code first.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The error of a command, with the status that fits its code.
    pub(crate) fn of_reply(text: String) -> Self {
        let status = match text.split(' ').next() {
            Some("NOAUTH" | "WRONGPASS") => StatusCode::UNAUTHORIZED,
            Some("NOPERM" | "DENIED") => StatusCode::FORBIDDEN,
            Some("LOADING" | "MASTERDOWN" | "BUSY") => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, text }
    }
}

/// A refusal.
pub(crate) fn refused(refusal: &Refusal) -> Answer {
    let mut answer = with_body(refusal.status, &json!({ "error": refusal.text }));
    let header = match refusal.status {
        StatusCode::UNAUTHORIZED => (WWW_AUTHENTICATE, "Basic realm=\"reef\", charset=\"UTF-8\""),
        StatusCode::METHOD_NOT_ALLOWED => (ALLOW, "POST, OPTIONS"),
        _ => return answer,
    };
    answer.headers_mut().insert(header.0, HeaderValue::from_static(header.1));
    answer
}

/// What a browser asks for before it lets a page send a request.
pub(crate) fn preflight() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Lets the page read it that asked.
pub(crate) fn allow(mut answer: Answer, origin: Option<&HeaderValue>) -> Answer {
    if let Some(origin) = origin {
        answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
    }
    answer
}

fn with_body(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
