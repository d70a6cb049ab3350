//! How values of documents are said: as text, or as replies of RESP3.

use alloc::vec::Vec;

use reef_resp::Writer;

use super::float;
use crate::args::Args;
use crate::error::Error;
use crate::types::json::path::TooMuch;
use crate::types::json::write::{self, Layout};
use crate::types::json::{Json, Path};

/// What FORMAT asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One text.
    Text,
    /// One text for each value.
    Texts,
    /// Replies for scalars, texts for what has values within.
    Expand1,
    /// Replies for everything.
    Expand,
}

impl Format {
    /// Takes a format's name.
    pub(super) fn take(args: &mut Args<'_>) -> Result<Self, Error> {
        match args.bytes()? {
            b"STRING" => Ok(Self::Text),
            b"STRINGS" => Ok(Self::Texts),
            b"EXPAND1" => Ok(Self::Expand1),
            b"EXPAND" => Ok(Self::Expand),
            _ => Err(Error::JSON_REPLY_FORMAT),
        }
    }
}

/// Says a value as a text.
pub(super) fn say_text(reply: &mut Writer, value: &Json, layout: &Layout<'_>) {
    let mut out = Vec::with_capacity(64);
    write::write(&mut out, value, layout);
    reply.bulk(&out);
}

/// Says all that a path leads to as one text: the first value of a legacy path.
pub(super) fn text_of(
    path: &Path,
    root: &Json,
    layout: &Layout<'_>,
) -> Result<Option<Vec<u8>>, TooMuch> {
    let mut out = Vec::with_capacity(128);
    if path.is_legacy() {
        let Some(value) = path.first(root)? else { return Ok(None) };
        write::write(&mut out, value, layout);
    } else {
        write::write_array(&mut out, path.find(root)?.into_iter(), layout);
    }
    Ok(Some(out))
}

/// Says a value as a reply of RESP3.
pub(super) fn say(reply: &mut Writer, value: &Json, format: Format, layout: &Layout<'_>) {
    match value {
        Json::Null => reply.nil(),
        Json::Bool(value) => reply.boolean(*value),
        Json::Text(text) if format == Format::Expand => reply.bulk(text.as_bytes()),
        Json::Array(values) if format == Format::Expand => {
            reply.array(values.len());
            values.iter().for_each(|value| say(reply, value, format, layout));
        }
        Json::Object(object) if format == Format::Expand => {
            reply.map(object.len());
            for (name, value) in object.iter() {
                reply.bulk(name.as_bytes());
                say(reply, value, format, layout);
            }
        }
        Json::Text(_) | Json::Array(_) | Json::Object(_) => say_text(reply, value, layout),
        _ => say_number(reply, value),
    }
}

/// Says a number; nil of another value.
pub(super) fn say_number(reply: &mut Writer, value: &Json) {
    match (value, value.as_f64()) {
        (Json::Integer(value), _) => reply.integer(*value),
        (_, Some(value)) => float::say(reply, value),
        _ => reply.nil(),
    }
}

/// Says a value as JSON.RESP does: a bracket stands before the elements of arrays and objects.
pub(super) fn say_resp(reply: &mut Writer, value: &Json) {
    match value {
        Json::Null => reply.nil(),
        Json::Bool(value) => reply.status(if *value { "true" } else { "false" }),
        Json::Text(text) => reply.bulk(text.as_bytes()),
        Json::Array(values) => {
            reply.array(values.len() + 1);
            reply.status("[");
            values.iter().for_each(|value| say_resp(reply, value));
        }
        Json::Object(object) => {
            reply.array(2 * object.len() + 1);
            reply.status("{");
            for (name, value) in object.iter() {
                reply.bulk(name.as_bytes());
                say_resp(reply, value);
            }
        }
        _ => say_number(reply, value),
    }
}
