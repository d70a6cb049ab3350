//! JSON: documents set, merged, emptied, and what is in them removed.

use alloc::vec::Vec;

use super::json_place::{self as place, Place, wrong_key};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::{Edit, Event, NOT_NOTIFIED};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::json::path::Selector;
use crate::types::json::{DEPTH_MAX, Document, Json, Location, Object, Path, Text, TooDeep};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("JSON.SET", json_set, -4)
        .group(Group::Module)
        .write_denyoom()
        .key()
        .usage("key path value [NX|XX] [FORMAT <STRING|JSON>]")
        .since("1.0.0", "O(M+N) where M is the size of the value before and N that of the new one.")
        .summary("Sets the values at a path of a document, or the document."),
    command("JSON.MSET", json_mset, -4)
        .group(Group::Module)
        .write_denyoom()
        .keys(KeySpec::range(1, -1, 3))
        .usage("key path value [key path value ...]")
        .since("2.6.0", "O(K*(M+N)) where K is the number of keys, M the size of a value before and N that of a new one.")
        .summary("Sets the values at paths of one or more documents."),
    command("JSON.MERGE", json_merge, -4)
        .group(Group::Module)
        .write_denyoom()
        .key()
        .usage("key path value [FORMAT <STRING|JSON>]")
        .since("2.6.0", "O(M+N) where M is the size of the value before and N that of the new one.")
        .summary("Merges a value into the values at a path: members are set, or removed by null."),
    command("JSON.DEL", json_del, -2)
        .group(Group::Module)
        .write()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(N) where N is the size of the values.")
        .summary("Removes the values at a path of a document, or the document."),
    command("JSON.FORGET", json_del, -2)
        .group(Group::Module)
        .write()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(N) where N is the size of the values.")
        .summary("Does what JSON.DEL does."),
    command("JSON.CLEAR", json_clear, -2)
        .group(Group::Module)
        .write()
        .key()
        .usage("key [path]")
        .since("2.0.0", "O(N) where N is the size of the values.")
        .summary("Empties the arrays and objects at a path, and sets numbers to 0."),
];

/// When a value is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    IfMissing,
    IfThere,
}

fn json_set(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (at, text) = (Place::take(args)?, args.bytes()?);
    let (mut condition, mut float_max) = (Condition::Always, f64::INFINITY);
    while let Some(word) = args.maybe() {
        match word {
            _ if word.eq_ignore_ascii_case(b"NX") && condition == Condition::Always => {
                condition = Condition::IfMissing;
            }
            _ if word.eq_ignore_ascii_case(b"XX") && condition == Condition::Always => {
                condition = Condition::IfThere;
            }
            _ if word.eq_ignore_ascii_case(b"FORMAT") => take_format(args, "json.set")?,
            _ if word.eq_ignore_ascii_case(b"FPHA") => float_max = take_float_max(args)?,
            _ => return Err(Error::Syntax),
        }
    }
    let is_there = cx.keys.peek_collection::<Document>(at.key).map_err(wrong_key)?.is_some();
    let value = place::value(text)?;
    if !fits(&value, float_max) {
        return Err(Error::JSON_OUT_OF_RANGE);
    }
    let is_set = if is_root(at.path) {
        let wanted = match condition {
            Condition::Always => true,
            Condition::IfMissing => !is_there,
            Condition::IfThere => is_there,
        };
        if wanted {
            set_root(cx, at.key, value, "json.set")?;
        }
        wanted
    } else if is_there {
        let edited = cx.keys.edit::<Document, _>(at.key, "json.set", |document| {
            set_at(document, &at.parse()?, value, condition)
        });
        edited?.unwrap_or(false)
    } else if condition == Condition::IfThere {
        false
    } else {
        return Err(Error::JSON_NEW_AT_ROOT);
    };
    match is_set {
        true => cx.reply.ok(),
        false => cx.reply.nil(),
    }
    Ok(())
}

/// Takes the type of floats that arrays are meant for, which is a hint: numbers stay what they are.
/// Gives the greatest number that the type has.
fn take_float_max(args: &mut Args<'_>) -> Result<f64, Error> {
    const TYPES: [(&str, f64); 4] = [
        ("BF16", 3.389_531_4e38),
        ("FP16", 65504.0),
        ("FP32", f32::MAX as f64),
        ("FP64", f64::MAX),
    ];
    let name = args.maybe().ok_or_else(|| Error::WrongArity("json.set".into()))?;
    let found = TYPES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
    found.map(|(_, most)| *most).ok_or(Error::JSON_FLOAT_TYPE)
}

/// Whether no array of numbers has one that is greater than this.
fn fits(value: &Json, most: f64) -> bool {
    if most.is_infinite() {
        return true;
    }
    if let Some(elements) = value.as_array() {
        let are_numbers = elements.iter().all(|element| element.as_f64().is_some());
        let is_small = |element: &Json| element.as_f64().is_none_or(|value| value.abs() <= most);
        return (!are_numbers || elements.iter().all(is_small))
            && elements.iter().all(|element| fits(element, most));
    }
    value.as_object().is_none_or(|object| object.iter().all(|(_, member)| fits(member, most)))
}

/// Takes the name of a format; all of them are text here.
fn take_format(args: &mut Args<'_>, command: &str) -> Result<(), Error> {
    let format = args.maybe().ok_or_else(|| Error::WrongArity(command.into()))?;
    if matches!(format, b"STRING" | b"JSON") { Ok(()) } else { Err(Error::JSON_FORMAT) }
}

fn is_root(path: &[u8]) -> bool {
    matches!(path, b"$" | b".")
}

/// Sets a whole document; one that is there keeps its expiry.
fn set_root(cx: &mut Cx<'_>, key: &[u8], value: Json, event: Event) -> Result<(), Error> {
    let set = |document: &mut Edit<'_, Document>| document.set(&[], value);
    cx.keys.edit_or_create::<Document, _>(key, event, set).map_err(wrong_key)
}

/// Sets the values that a path leads to, or adds the member that it names. Whether there was
/// something to do.
fn set_at(
    document: &mut Edit<'_, Document>,
    path: &Path,
    value: Json,
    condition: Condition,
) -> Result<bool, Error> {
    if condition != Condition::IfMissing {
        let found = outermost(path.locate(document.root(), |_| true)?);
        if let Some((last, others)) = found.split_last() {
            check_room(&found, &value)?;
            for location in others {
                document.set(location, value.clone())?;
            }
            document.set(last, value)?;
            return Ok(true);
        }
    }
    if condition == Condition::IfThere {
        return Ok(false);
    }
    add(document, path, value)
}

/// Adds the member that a path names. Whether there is an object that lacks it.
fn add(document: &mut Edit<'_, Document>, path: &Path, value: Json) -> Result<bool, Error> {
    if !path.is_single() {
        return Err(Error::JSON_STATIC_PATH);
    }
    let is_there = path.first(document.root())?.is_some();
    let Some((parent, last)) = path.clone().split_last() else { return Ok(false) };
    let Selector::Name(name) = last else {
        return if is_there { Ok(false) } else { Err(Error::JSON_INDEX) };
    };
    let found = parent.locate(document.root(), |_| true)?;
    match found.into_iter().flatten().next() {
        Some(location) => document.add(&location, &name, value),
        None => Ok(false),
    }
}

/// Whether there is room for a value at all the places.
fn check_room(found: &[Location], value: &Json) -> Result<(), Error> {
    place::check_copies(found.len(), core::slice::from_ref(value))?;
    let level = found.iter().map(|location| location.len()).max().unwrap_or(0);
    let is_too_deep = level + value.depth() > DEPTH_MAX;
    if is_too_deep { Err(TooDeep.into()) } else { Ok(()) }
}

/// Locations in order without those that lie within others, or that came before.
fn outermost(found: Vec<Option<Location>>) -> Vec<Location> {
    let mut found: Vec<Location> = found.into_iter().flatten().collect();
    if found.len() > 1 {
        found.sort_unstable();
        found.dedup_by(|inner, outer| inner.starts_with(outer));
    }
    found
}

fn json_mset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    if !args.left().is_multiple_of(3) {
        return Err(Error::WrongArity("json.mset".into()));
    }
    let mut all = Vec::with_capacity(args.left() / 3);
    while !args.is_done() {
        let (at, text) = (Place::take(args)?, args.bytes()?);
        let document = cx.keys.peek_collection::<Document>(at.key).map_err(wrong_key)?;
        if !is_root(at.path) {
            let document = document.ok_or(Error::JSON_NEW_AT_ROOT)?;
            check_settable(document.root(), &at.parse()?)?;
        }
        all.push((at, place::value(text)?));
    }
    let mut are_set = true;
    for (at, value) in all {
        if is_root(at.path) {
            set_root(cx, at.key, value, "json.mset")?;
            continue;
        }
        let path = at.parse()?;
        // What was possible before may not be so any more if a key comes twice: the others are set.
        let is_set = cx.keys.edit::<Document, _>(at.key, "json.mset", |document| {
            set_at(document, &path, value, Condition::Always)
        });
        are_set &= matches!(is_set, Ok(Some(true)));
    }
    match are_set {
        true => cx.reply.ok(),
        false => cx.reply.nil(),
    }
    Ok(())
}

/// Whether a path leads to values or names a member that could be added.
fn check_settable(root: &Json, path: &Path) -> Result<(), Error> {
    if path.first(root)?.is_some() {
        return Ok(());
    }
    if !path.is_single() {
        return Err(Error::JSON_STATIC_PATH);
    }
    match path.selectors().last() {
        Some(Selector::Name(_)) => Ok(()),
        _ => Err(Error::JSON_INDEX),
    }
}

fn json_merge(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (at, text) = (Place::take(args)?, args.bytes()?);
    while let Some(word) = args.maybe() {
        if !word.eq_ignore_ascii_case(b"FORMAT") {
            return Err(Error::Syntax);
        }
        take_format(args, "json.merge")?;
    }
    let is_there = cx.keys.peek_collection::<Document>(at.key).map_err(wrong_key)?.is_some();
    let patch = place::value(text)?;
    let is_merged = match (is_there, is_root(at.path)) {
        (false, false) => return Err(Error::JSON_NEW_AT_ROOT),
        (false, true) => {
            set_root(cx, at.key, patch, "json.merge")?;
            true
        }
        (true, _) => {
            let merged = cx.keys.edit::<Document, _>(at.key, "json.merge", |document| {
                let is_merged = merge(document, &at.parse()?, patch)?;
                if is_merged {
                    document.touch();
                }
                Ok(is_merged)
            });
            merged?.unwrap_or(false)
        }
    };
    match is_merged {
        true => cx.reply.ok(),
        false => cx.reply.nil(),
    }
    Ok(())
}

/// Merges into the values that a path leads to, or adds the member that it names.
fn merge(document: &mut Edit<'_, Document>, path: &Path, patch: Json) -> Result<bool, Error> {
    let found: Vec<Location> =
        path.locate(document.root(), |_| true)?.into_iter().flatten().collect();
    check_room(&found, &patch)?;
    if let [only] = &found[..] {
        document.merge(only, patch)?;
        return Ok(true);
    }
    if found.is_empty() {
        return add(document, path, patch);
    }
    // A merge may move members, so places are found again by their names.
    let addresses: Vec<_> = found.iter().map(|location| document.address(location)).collect();
    let mut is_merged = false;
    for address in addresses {
        if let Some(location) = document.resolve(&address) {
            document.merge(&location, patch.clone())?;
            is_merged = true;
        }
    }
    Ok(is_merged)
}

fn json_del(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    cx.keys.peek_collection::<Document>(at.key).map_err(wrong_key)?;
    if is_root(at.path) {
        let removed = cx.keys.take(at.key, "json.del", |_| ()).is_some();
        cx.reply.integer(i64::from(removed));
        return Ok(());
    }
    let removed = cx.keys.edit::<Document, _>(at.key, "json.del", |document| {
        let found = outermost(at.parse()?.locate(document.root(), |_| true)?);
        let count = remove_all(document, found);
        Ok((count, document.root().is_empty() && count > 0))
    })?;
    let (count, is_emptied) = removed.unwrap_or_default();
    if is_emptied {
        cx.keys.take(at.key, NOT_NOTIFIED, |_| ());
    }
    cx.reply.integer(count as i64);
    Ok(())
}

/// Removes values none of which lies within another. How many they were.
fn remove_all(document: &mut Edit<'_, Document>, mut found: Vec<Location>) -> usize {
    if matches!(&found[..], [root] if root.is_empty()) {
        // A filter can lead to a scalar that is the root; RedisJSON cannot remove that.
        return 0;
    }
    // Inner places first: what is removed there moves nothing around it.
    found.sort_unstable_by(|one, two| two.len().cmp(&one.len()).then_with(|| one.cmp(two)));
    let same_parent = |one: &Location, two: &Location| parent(one) == parent(two);
    let mut count = 0;
    for siblings in found.chunk_by(same_parent) {
        let Some(at) = siblings.first().map(parent) else { continue };
        let positions: Vec<usize> = siblings.iter().filter_map(|one| one.last().copied()).collect();
        let names =
            document.at(at).and_then(Json::as_object).map(|object| named(object, &positions));
        count += match names {
            Some(names) => document.remove_members(at, names.iter()),
            None => {
                document.remove_elements(at, &positions);
                positions.len()
            }
        };
    }
    count
}

fn parent(location: &Location) -> &[usize] {
    location.split_last().map_or(&[], |(_, parent)| parent)
}

/// The names of members, sorted: the order of removal decides which members move.
fn named(object: &Object, positions: &[usize]) -> Vec<Text> {
    let names = positions.iter().filter_map(|position| object.at(*position));
    let mut names: Vec<Text> = names.map(|(name, _)| name.clone()).collect();
    names.sort_unstable_by(|one, two| one.as_bytes().cmp(two.as_bytes()));
    names
}

fn json_clear(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let is_too_much = args.left() > 2;
    let at = Place::take_optional(args)?;
    if is_too_much {
        // Who names two paths is not to believe that both were cleared.
        return Err(Error::WrongArity("json.clear".into()));
    }
    let cleared = cx.keys.edit::<Document, _>(at.key, "json.clear", |document| {
        let found = at.parse()?.locate(document.root(), |value| cleared(value).is_some())?;
        let mut count = 0;
        for location in found.iter().flatten().rev() {
            if let Some(fresh) = document.at(location).and_then(cleared) {
                document.set(location, fresh)?;
                count += 1;
            }
        }
        Ok(count)
    });
    let count = cleared.map_err(wrong_key)?.ok_or(Error::JSON_NO_KEY)?;
    cx.reply.integer(count);
    Ok(())
}

/// What is left of a value that can be cleared and is not yet.
fn cleared(value: &Json) -> Option<Json> {
    match value {
        Json::Array(values) if !values.is_empty() => Some(Json::array(Vec::new())),
        Json::Object(object) if !object.is_empty() => Some(Json::Object(Object::new().into())),
        _ => value.as_f64().filter(|number| *number != 0.0).map(|_| Json::Integer(0)),
    }
}
