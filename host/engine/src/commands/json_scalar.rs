//! JSON: numbers, strings and booleans of documents.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::json_place::{self as place, Place, Results, Subject, unchecked};
use super::json_reply;
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::Event;
use crate::step::Cx;
use crate::types::json::value::Number;
use crate::types::json::write;
use crate::types::json::{Document, Json, Location, Text};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("JSON.NUMINCRBY", json_numincrby, 4)
        .group(Group::Module)
        .write()
        .key()
        .usage("key path value")
        .since("1.0.0", "O(1) for each number.")
        .summary("Increments the numbers at a path by a value."),
    command("JSON.NUMMULTBY", json_nummultby, 4)
        .group(Group::Module)
        .write()
        .key()
        .usage("key path value")
        .since("1.0.0", "O(1) for each number.")
        .summary("Multiplies the numbers at a path by a value."),
    command("JSON.NUMPOWBY", json_numpowby, 4)
        .group(Group::Module)
        .write()
        .key()
        .usage("key path value")
        .since("1.0.0", "O(1) for each number.")
        .summary("Raises the numbers at a path to the power of a value."),
    command("JSON.STRAPPEND", json_strappend, -3)
        .group(Group::Module)
        .write_denyoom()
        .key()
        .usage("key [path] value")
        .since("1.0.0", "O(N) where N is the length of the strings.")
        .summary("Appends a string to the strings at a path."),
    command("JSON.STRLEN", json_strlen, -2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(1) for each string.")
        .summary("Returns the lengths of the strings at a path."),
    command("JSON.TOGGLE", json_toggle, 3)
        .group(Group::Module)
        .write_denyoom()
        .key()
        .usage("key path")
        .since("2.0.0", "O(1) for each value.")
        .summary("Toggles the booleans at a path."),
];

const NUMBERS: Subject = Subject {
    is_wanted: |value| value.as_number().is_some(),
    otherwise: "does not contains a number",
    as_sent: false,
    is_required: true,
};

const TEXTS: Subject = Subject {
    is_wanted: |value| value.as_text().is_some(),
    otherwise: "not a string",
    as_sent: false,
    is_required: true,
};

const BOOLS: Subject = Subject {
    is_wanted: |value| matches!(value, Json::Bool(_)),
    otherwise: "not a bool",
    as_sent: false,
    is_required: true,
};

/// Arithmetic: of integers if there is a result, and of doubles.
struct Operation {
    integers: fn(i64, i64) -> Option<i64>,
    doubles: fn(f64, f64) -> f64,
}

fn json_numincrby(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let operation = Operation { integers: i64::checked_add, doubles: |one, two| one + two };
    calculate(cx, args, "json.numincrby", &operation)
}

fn json_nummultby(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let operation = Operation { integers: i64::checked_mul, doubles: |one, two| one * two };
    calculate(cx, args, "json.nummultby", &operation)
}

fn json_numpowby(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let integers = |one: i64, two: i64| one.checked_pow(u32::try_from(two).ok()?);
    calculate(cx, args, "json.numpowby", &Operation { integers, doubles: libm::pow })
}

impl Operation {
    fn apply(&self, value: &Json, operand: Number) -> Result<Json, Error> {
        let value = value.as_number().ok_or(Error::JSON_NOT_A_NUMBER)?;
        if let (Number::Integer(one), Number::Integer(two)) = (value, operand) {
            return (self.integers)(one, two).map(Json::Integer).ok_or(Error::JSON_OVERFLOW);
        }
        let [one, two] = [value, operand].map(Number::as_f64);
        let result = (self.doubles)(one, two);
        if result.is_finite() { Ok(Json::Double(result)) } else { Err(Error::JSON_NOT_A_NUMBER) }
    }
}

fn calculate(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    event: Event,
    operation: &Operation,
) -> Result<(), Error> {
    let (at, text) = (Place::take(args)?, args.bytes()?);
    // RedisJSON looks at the operand only if there is something to do.
    let read = place::coded_value(text);
    let read = read.and_then(|value| value.as_number().ok_or(Error::JSON_BAD_NUMBER));
    let operand = || read.clone();
    let check = |document: &Document, found: &[Option<Location>]| {
        let mut found = found.iter().flatten().filter_map(|location| document.at(location));
        found.try_for_each(|value| operation.apply(value, operand()?).map(drop))
    };
    // In RESP3 there is always an array.
    let subject = Subject { is_required: !cx.reply.is_resp3(), ..NUMBERS };
    let results = place::change(cx, at, event, &subject, check, |document, at| {
        let value = document.at(at).unwrap_or(&Json::Null);
        let result = operation.apply(value, operand()?)?;
        document.set(at, result.clone())?;
        Ok(result)
    })?;
    say_results(cx, &results);
    Ok(())
}

/// RESP3 has numbers; else there is text, of an array unless the path is a legacy one.
fn say_results(cx: &mut Cx<'_>, results: &Results<Json>) {
    if cx.reply.is_resp3() {
        cx.reply.array(results.each.len());
        for result in &results.each {
            json_reply::say_number(cx.reply, result.as_ref().unwrap_or(&Json::Null));
        }
        return;
    }
    if results.is_legacy {
        return results.say(cx.reply, |reply, result| reply.bulk(&write::compact(result)));
    }
    let mut out = Vec::new();
    let values = results.each.iter().map(|result| result.as_ref().unwrap_or(&Json::Null));
    write::write_array(&mut out, values, &write::Layout::default());
    cx.reply.bulk(&out);
}

fn json_strappend(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let (path, text) = match (args.bytes()?, args.maybe()) {
        (path, Some(text)) => (path, text),
        (text, None) => (place::ROOT, text),
    };
    args.skip_rest();
    let read = place::coded_value(text).and_then(|value| match value {
        Json::Text(tail) => Ok(tail),
        _ => Err(Error::json_found("string", &shown(text))),
    });
    let tail = || read.as_ref().map_err(Error::clone);
    let most = cx.keys.rules.settings.string_bytes_max;
    let check = |document: &Document, found: &[Option<Location>]| {
        if found.iter().all(Option::is_none) {
            return Ok(());
        }
        let tail = tail()?;
        place::check_copied_bytes(found.iter().flatten().count(), tail.len())?;
        let fits = |at: &Location| {
            let head = document.at(at).and_then(Json::as_text).map_or(0, |head| head.len());
            head.saturating_add(tail.len()) <= most
        };
        if found.iter().flatten().all(fits) { Ok(()) } else { Err(Error::StringTooLong) }
    };
    let at = Place { key, path };
    let lengths = place::change(cx, at, "json.strappend", &TEXTS, check, |document, at| {
        let tail = tail()?;
        let head = document.at(at).and_then(Json::as_text).map_or(&b""[..], Text::as_bytes);
        let whole = Text::concat(head, tail.as_bytes());
        let length = whole.len();
        document.set(at, Json::Text(whole))?;
        Ok(length)
    })?;
    lengths.say(cx.reply, |reply, length| reply.integer(*length as i64));
    Ok(())
}

fn shown(text: &[u8]) -> Cow<'_, str> {
    alloc::string::String::from_utf8_lossy(text)
}

fn json_strlen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    let Some(document) = place::document(&mut cx.keys, at.key)? else {
        if !place::is_legacy(at.path) {
            return Err(Error::JSON_NO_KEY);
        }
        cx.reply.nil();
        return Ok(());
    };
    let path = at.parse()?;
    let length = |value: &Json| value.as_text().map(Text::len);
    if path.is_legacy() {
        let first = path.first(document.root())?;
        let first = first.ok_or_else(|| Error::no_json_path(&at.shown()))?;
        let error = || Error::json_kind("string", first.kind());
        cx.reply.integer(length(first).ok_or_else(error)? as i64);
        return Ok(());
    }
    let found = path.find(document.root())?;
    place::say_each(cx.reply, found, |reply, value| {
        reply.integer(length(value)? as i64);
        Some(())
    });
    Ok(())
}

fn json_toggle(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take(args)?;
    let toggled = place::change(cx, at, "json.toggle", &BOOLS, unchecked, |document, at| {
        let value = !matches!(document.at(at), Some(Json::Bool(true)));
        document.set(at, Json::Bool(value))?;
        Ok(value)
    })?;
    let is_legacy = toggled.is_legacy;
    toggled.say(cx.reply, |reply, value| match is_legacy {
        true => reply.bulk(if *value { b"true" } else { b"false" }),
        false => reply.integer(i64::from(*value)),
    });
    Ok(())
}
