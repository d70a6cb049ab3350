//! JSON: arrays of documents.

use alloc::vec::Vec;

use super::json_place::{self as place, Place, Subject, unchecked};
use super::json_reply::{self, Format};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::step::Cx;
use crate::types::json::write::{self, Layout};
use crate::types::json::{DEPTH_MAX, Document, Json, Location, TooDeep};
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("JSON.ARRAPPEND", json_arrappend, -4)
        .group(Group::Module)
        .write_denyoom()
        .key()
        .usage("key path value [value ...]")
        .since("1.0.0", "O(1) for each array and value.")
        .summary("Appends values to the arrays at a path."),
    command("JSON.ARRINDEX", json_arrindex, -4)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key path value [start [stop]]")
        .since("1.0.0", "O(N) where N is the size of the arrays.")
        .summary("Returns the index of the first occurrence of a scalar or other value in the arrays at a path."),
    command("JSON.ARRINSERT", json_arrinsert, -5)
        .group(Group::Module)
        .write_denyoom()
        .key()
        .usage("key path index value [value ...]")
        .since("1.0.0", "O(N) where N is the size of the arrays.")
        .summary("Inserts values into the arrays at a path before an index."),
    command("JSON.ARRLEN", json_arrlen, -2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(1) for each array.")
        .summary("Returns the lengths of the arrays at a path."),
    command("JSON.ARRPOP", json_arrpop, -2)
        .group(Group::Module)
        .write()
        .key()
        .usage("key [path [index]]")
        .since("1.0.0", "O(N) where N is the size of the arrays, O(1) for their last elements.")
        .summary("Removes and returns the elements at an index of the arrays at a path."),
    command("JSON.ARRTRIM", json_arrtrim, 5)
        .group(Group::Module)
        .write()
        .key()
        .usage("key path start stop")
        .since("1.0.0", "O(N) where N is the size of the arrays.")
        .summary("Keeps only a range of elements of the arrays at a path."),
];

const ARRAYS: Subject = Subject {
    is_wanted: |value| matches!(value, Json::Array(_)),
    otherwise: "not an array",
    as_sent: false,
    is_required: true,
};

fn length(document: &Document, at: &[usize]) -> usize {
    document.at(at).and_then(Json::as_array).map_or(0, <[Json]>::len)
}

fn values(args: &mut Args<'_>) -> Result<Vec<Json>, Error> {
    args.rest().map(place::value).collect()
}

/// Whether there is room for these values in all the arrays.
fn check_room(found: &[Option<Location>], new: &[Json]) -> Result<(), Error> {
    place::check_copies(found.iter().flatten().count(), new)?;
    let depth = new.iter().map(Json::depth).max().unwrap_or(0);
    let level = found.iter().flatten().map(|location| location.len() + 1).max().unwrap_or(0);
    if level + depth > DEPTH_MAX { Err(TooDeep.into()) } else { Ok(()) }
}

fn integer(text: &[u8]) -> Result<i64, Error> {
    number::parse_i64(text).ok_or(Error::JSON_NOT_AN_INTEGER)
}

fn json_arrappend(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (at, new) = (Place::take(args)?, values(args)?);
    let check = |_: &Document, found: &[Option<Location>]| check_room(found, &new);
    let subject = Subject { as_sent: true, ..ARRAYS };
    let lengths = place::change(cx, at, "json.arrappend", &subject, check, |document, at| {
        let end = length(document, at);
        document.insert(at, end, new.clone())?;
        Ok(end + new.len())
    })?;
    lengths.say(cx.reply, |reply, length| reply.integer(*length as i64));
    Ok(())
}

fn json_arrinsert(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take(args)?;
    let (index, new) = (integer(args.bytes()?)?, values(args)?);
    let position = |length: usize| {
        let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        let position = if index < 0 { length.checked_sub(back) } else { Some(back) };
        position.filter(|position| *position <= length)
    };
    let check = |document: &Document, found: &[Option<Location>]| {
        check_room(found, &new)?;
        let fits = |location: &Location| position(length(document, location)).is_some();
        if found.iter().flatten().all(fits) { Ok(()) } else { Err(Error::JSON_BOUNDS) }
    };
    let lengths = place::change(cx, at, "json.arrinsert", &ARRAYS, check, |document, at| {
        let length = length(document, at);
        let position = position(length).ok_or(Error::JSON_BOUNDS)?;
        document.insert(at, position, new.clone())?;
        Ok(length + new.len())
    })?;
    lengths.say(cx.reply, |reply, length| reply.integer(*length as i64));
    Ok(())
}

fn json_arrindex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (at, text) = (Place::take(args)?, args.bytes()?);
    let [start, stop] = [args.maybe(), args.maybe()].map(|bound| bound.map_or(Ok(0), integer));
    let (start, stop) = (start?, stop?);
    if !args.is_done() {
        return Err(Error::WrongArity("json.arrindex".into()));
    }
    let document = place::document(&mut cx.keys, at.key)?;
    let wanted = place::coded_value(text)?;
    let Some(document) = document else {
        return Err(Error::no_json_path(&at.sent()));
    };
    let path = at.parse()?;
    let find = |value: &Json| {
        let values = value.as_array()?;
        let range = bounds(start, stop, values.len());
        let first = range.start;
        let found = values.get(range).unwrap_or_default();
        Some(
            found
                .iter()
                .position(|value| value.is_same(&wanted))
                .map_or(-1, |position| i64::try_from(first + position).unwrap_or(-1)),
        )
    };
    if path.is_legacy() {
        let first = path.first(document.root())?;
        let first = first.ok_or_else(|| Error::no_json_path(&at.shown()))?;
        let found = find(first).ok_or_else(|| Error::json_kind("array", first.kind()))?;
        cx.reply.integer(found);
        return Ok(());
    }
    let found = path.find(document.root())?;
    place::say_each(cx.reply, found, |reply, value| {
        reply.integer(find(value)?);
        Some(())
    });
    Ok(())
}

/// Where to search: from the end if negative, up to the end if `stop` is 0.
fn bounds(start: i64, stop: i64, length: usize) -> core::ops::Range<usize> {
    let from_end = |bound: i64| {
        let back = usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX);
        if bound < 0 { length.saturating_sub(back) } else { back.min(length) }
    };
    let start =
        if start < 0 { from_end(start) } else { from_end(start).min(length.saturating_sub(1)) };
    let stop = if stop == 0 { length } else { from_end(stop) };
    start..stop.max(start)
}

fn json_arrlen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    let Some(document) = place::document(&mut cx.keys, at.key)? else {
        if !place::is_legacy(at.path) {
            return Err(Error::JSON_NO_KEY);
        }
        cx.reply.nil();
        return Ok(());
    };
    let path = at.parse()?;
    let length = |value: &Json| value.as_array().map(<[Json]>::len);
    if path.is_legacy() {
        let sent = at.sent();
        let first = path.first(document.root())?.ok_or_else(|| Error::no_json_path(&sent))?;
        let error = || Error::no_json_path_or(&sent, ARRAYS.otherwise);
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

fn json_arrpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let mut format = Format::Texts;
    let has_format = args.left() > 1 && args.keyword("FORMAT");
    if has_format {
        format = Format::take(args)?;
        if format == Format::Text {
            return Err(Error::JSON_REPLY_FORMAT);
        }
        if !cx.reply.is_resp3() {
            return Err(Error::JSON_FORMAT_RESP2);
        }
    }
    let path = args.maybe();
    // RedisJSON takes what is no index for the last one.
    let index = args.maybe().and_then(number::parse_i64).unwrap_or(-1);
    args.skip_rest();
    let at = Place { key, path: path.unwrap_or(place::ROOT) };
    if format != Format::Texts && place::is_legacy(at.path) {
        return Err(Error::JSON_FORMAT_LEGACY);
    }
    let changes = cx.keys.changes();
    let popped = place::change(cx, at, "json.arrpop", &ARRAYS, unchecked, |document, at| {
        let length = length(document, at);
        let Some(last) = length.checked_sub(1) else { return Ok(None) };
        let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        let position = if index < 0 { length.saturating_sub(back) } else { back.min(last) };
        let element = document.at(at).and_then(|array| array.child(position)).cloned();
        document.remove_elements(at, &[position]);
        Ok(element)
    })?;
    popped.say(cx.reply, |reply, element| match element {
        None => reply.nil(),
        Some(element) if format == Format::Texts => reply.bulk(&write::compact(element)),
        Some(element) => json_reply::say(reply, element, format, &Layout::default()),
    });
    if has_format && cx.keys.changes() > changes {
        // A copy need not speak RESP3.
        cx.rewrite(&[&"JSON.ARRPOP", &at.key, &at.path, &index]);
    }
    Ok(())
}

fn json_arrtrim(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take(args)?;
    let (start, stop) = (integer(args.bytes()?)?, integer(args.bytes()?)?);
    let lengths = place::change(cx, at, "json.arrtrim", &ARRAYS, unchecked, |document, at| {
        let kept = kept(start, stop, length(document, at));
        document.trim(at, kept.start, kept.end);
        Ok(kept.len())
    })?;
    lengths.say(cx.reply, |reply, length| reply.integer(*length as i64));
    Ok(())
}

/// Which elements stay: from `start` up to and with `stop`, from the end if negative.
fn kept(start: i64, stop: i64, length: usize) -> core::ops::Range<usize> {
    let Some(last) = length.checked_sub(1) else { return 0..0 };
    let position = |bound: i64| {
        let back = usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX);
        if bound < 0 { length.saturating_sub(back) } else { back }
    };
    let (start, stop) = (position(start), position(stop).min(last));
    if start > stop { 0..0 } else { start..stop + 1 }
}
