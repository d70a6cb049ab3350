//! JSON: documents and what is in them, read.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;
use core::ops::ControlFlow;

use super::json_place::{self as place, Place};
use super::json_reply::{self, Format};
use crate::args::Args;
use crate::command::{Command, Flags, Group, command, container};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::json::path::Effort;
use crate::types::json::write::{self, Layout, Shown};
use crate::types::json::{Document, Json, Object, Path};

/// How long the words of a layout may be.
const LAYOUT_BYTES_MAX: usize = 64;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("JSON.GET", json_get, -2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key [INDENT indent] [NEWLINE newline] [SPACE space] [NOESCAPE] [path [path ...]]")
        .since("1.0.0", "O(N) where N is the size of the values.")
        .summary("Returns the values at one or more paths of a document as text."),
    command("JSON.MGET", json_mget, -3)
        .group(Group::Module)
        .readonly()
        .keys(KeySpec::range(1, -2, 1))
        .usage("key [key ...] path")
        .since("1.0.0", "O(M*N) where M is the number of keys and N the size of the values.")
        .summary("Returns the values at a path of one or more documents as text."),
    command("JSON.TYPE", json_type, -2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(1) for each value.")
        .summary("Returns the kinds of the values at a path."),
    command("JSON.OBJKEYS", json_objkeys, -2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(N) where N is the number of names.")
        .summary("Returns the names of the members of the objects at a path."),
    command("JSON.OBJLEN", json_objlen, -2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(1) for each object.")
        .summary("Returns how many members the objects at a path have."),
    command("JSON.RESP", json_resp, -2)
        .group(Group::Module)
        .readonly()
        .key()
        .usage("key [path]")
        .since("1.0.0", "O(N) where N is the size of the values.")
        .summary("Returns the values at a path as replies."),
    container("JSON.DEBUG", DEBUG)
        .group(Group::Module)
        .since("1.0.0", "Depends on subcommand.")
        .summary("A container for commands that tell of how documents are kept."),
];

static DEBUG: &[Command] = &[
    command("MEMORY", json_debug_memory, -3)
        .of("JSON.DEBUG")
        .group(Group::Module)
        .readonly()
        .keys(KeySpec::range(2, 2, 1))
        .usage("key [path]")
        .since("1.0.0", "O(N) where N is the size of the values.")
        .summary("Returns how much memory the values at a path take."),
    command("HELP", json_debug_help, 2)
        .of("JSON.DEBUG")
        .group(Group::Module)
        .flags(Flags::LOADING.with(Flags::STALE))
        .since("1.0.0", "O(1)")
        .summary("Returns helpful text about the different subcommands."),
];

fn json_get(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let mut layout = Layout::default();
    let (mut format, mut paths) = (Format::Text, Vec::new());
    while let Some(word) = args.maybe() {
        match word {
            _ if word.eq_ignore_ascii_case(b"INDENT") => layout.indent = option(args)?,
            _ if word.eq_ignore_ascii_case(b"NEWLINE") => layout.newline = option(args)?,
            _ if word.eq_ignore_ascii_case(b"SPACE") => layout.space = option(args)?,
            _ if word.eq_ignore_ascii_case(b"NOESCAPE") => {}
            _ if word.eq_ignore_ascii_case(b"FORMAT") => {
                if !cx.reply.is_resp3() && paths.is_empty() {
                    return Err(Error::JSON_FORMAT_RESP2);
                }
                format = Format::take(args)?;
                if format == Format::Texts {
                    return Err(Error::JSON_REPLY_FORMAT);
                }
            }
            path => paths.push(path),
        }
    }
    let Some(document) = place::document(&mut cx.keys, key)? else {
        cx.reply.nil();
        return Ok(());
    };
    let root = document.root();
    if format != Format::Text && cx.reply.is_resp3() {
        return say_expanded(cx.reply, root, &paths, format, &layout);
    }
    match paths[..] {
        [] => json_reply::say_text(cx.reply, root, &layout),
        [path] => {
            let at = Place { key, path };
            let text = json_reply::text_of(&at.parse()?, root, &layout)?;
            cx.reply.bulk(&text.ok_or_else(|| Error::no_json_path(&at.shown()))?);
        }
        _ => cx.reply.bulk(&text_of_many(root, &paths, &layout)?),
    }
    Ok(())
}

fn option<'a>(args: &mut Args<'a>) -> Result<&'a [u8], Error> {
    let text = args.maybe().ok_or_else(|| Error::WrongArity("json.get".into()))?;
    // It comes back for every value and every level.
    if text.len() > LAYOUT_BYTES_MAX {
        return Err(Error::StringTooLong);
    }
    core::str::from_utf8(text).map(str::as_bytes).map_err(|_| Error::JSON_NOT_TEXT)
}

/// What paths of one command lead to, at a cost that is bounded for all of them together: each
/// could lead to the whole document.
struct Finding<'v> {
    root: &'v Json,
    effort: Effort,
    is_first: bool,
}

impl<'v> Finding<'v> {
    const fn new(root: &'v Json) -> Self {
        Self { root, effort: Effort::new(), is_first: true }
    }

    /// All that a path leads to, or only the first of it.
    fn find(&mut self, path: &Path, is_all: bool) -> Result<Vec<&'v Json>, Error> {
        let mut found = Vec::new();
        path.each_of_several(&mut self.effort, self.root, &mut |value, _| {
            found.push(value);
            if is_all { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        // An evaluation does not count the first value, for it is most often the only one.
        if let Some(first) = found.first().filter(|_| !mem::take(&mut self.is_first)) {
            self.effort.add(first)?;
        }
        Ok(found)
    }
}

/// Says for each path an array of what it leads to.
fn say_expanded(
    reply: &mut reef_resp::Writer,
    root: &Json,
    paths: &[&[u8]],
    format: Format,
    layout: &Layout<'_>,
) -> Result<(), Error> {
    let paths = if paths.is_empty() { &[place::ROOT] } else { paths };
    let (mut found, mut finding) = (Vec::with_capacity(paths.len()), Finding::new(root));
    for path in paths {
        found.push(match Path::parse(path) {
            Ok(path) => finding.find(&path, true)?,
            Err(_) => Vec::new(),
        });
    }
    reply.array(found.len());
    for values in found {
        reply.array(values.len());
        values.into_iter().for_each(|value| json_reply::say(reply, value, format, layout));
    }
    Ok(())
}

/// An object with what each path leads to: one value each if all are legacy paths.
fn text_of_many(root: &Json, paths: &[&[u8]], layout: &Layout<'_>) -> Result<Vec<u8>, Error> {
    let all_legacy = paths.iter().all(|path| place::is_legacy(path));
    let mut members: Vec<(&[u8], Shown<'_>)> = Vec::with_capacity(paths.len());
    let (mut known, mut finding) = (BTreeSet::new(), Finding::new(root));
    for sent in paths {
        if !known.insert(sent) {
            continue;
        }
        // RedisJSON passes over what is no path.
        let Ok(path) = Path::parse(sent) else { continue };
        let found = finding.find(&path, !all_legacy)?;
        let shown = if all_legacy {
            let missing = || Error::no_json_path(&Place { key: b"", path: sent }.sent());
            Shown::One(found.first().ok_or_else(missing)?)
        } else {
            Shown::Many(found)
        };
        members.push((sent, shown));
    }
    let mut out = Vec::with_capacity(128);
    write::write_object(&mut out, members.into_iter(), layout);
    Ok(out)
}

fn json_mget(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut keys = args.rest();
    let path = keys.next_back().ok_or(Error::Syntax)?;
    let path =
        core::str::from_utf8(path).map_err(|_| Error::JSON_NOT_TEXT).map(|_| Path::parse(path));
    let path = path?.ok();
    cx.reply.array(keys.len());
    for key in keys {
        // A key of another type is as good as none here.
        let document = place::document(&mut cx.keys, key).ok().flatten();
        let text = match (document, &path) {
            (Some(document), Some(path)) => {
                json_reply::text_of(path, document.root(), &Layout::default()).ok().flatten()
            }
            _ => None,
        };
        match text {
            Some(text) => cx.reply.bulk(&text),
            None => cx.reply.nil(),
        }
    }
    Ok(())
}

fn json_type(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    let root = place::document(&mut cx.keys, at.key)?.map(Document::root);
    if cx.reply.is_resp3() {
        cx.reply.array(1);
    }
    let Some(root) = root else {
        cx.reply.nil();
        return Ok(());
    };
    if place::is_legacy(at.path) {
        // What is no path leads nowhere here.
        let path = Path::parse(at.path).ok();
        match path.map(|path| path.first(root)).transpose()?.flatten() {
            Some(value) => cx.reply.bulk(value.kind().name().as_bytes()),
            None => cx.reply.nil(),
        }
        return Ok(());
    }
    let found = at.parse()?.find(root)?;
    cx.reply.array(found.len());
    found.into_iter().for_each(|value| cx.reply.bulk(value.kind().name().as_bytes()));
    Ok(())
}

fn json_objkeys(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    let Some(document) = place::document(&mut cx.keys, at.key)? else {
        if !place::is_legacy(at.path) {
            return Err(Error::JSON_NO_KEY);
        }
        cx.reply.nil();
        return Ok(());
    };
    let say = |reply: &mut reef_resp::Writer, value: &Json| {
        let object = value.as_object()?;
        reply.array(object.len());
        object.iter().for_each(|(name, _)| reply.bulk(name.as_bytes()));
        Some(())
    };
    if place::is_legacy(at.path) {
        let path = Path::parse(at.path).ok();
        let first = path.map(|path| path.first(document.root())).transpose()?.flatten();
        match first {
            None => cx.reply.nil(),
            Some(first) => say(cx.reply, first)
                .ok_or_else(|| Error::no_json_path_or(&at.shown(), "not an object"))?,
        }
        return Ok(());
    }
    let found = at.parse()?.find(document.root())?;
    place::say_each(cx.reply, found, say);
    Ok(())
}

fn json_objlen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    let Some(document) = place::document(&mut cx.keys, at.key)? else {
        if !place::is_legacy(at.path) {
            return Err(Error::no_json_path_or(&at.shown(), "not an object"));
        }
        cx.reply.nil();
        return Ok(());
    };
    let length = |value: &Json| value.as_object().map(Object::len);
    if place::is_legacy(at.path) {
        let path = Path::parse(at.path).ok();
        let first = path.map(|path| path.first(document.root())).transpose()?.flatten();
        match first {
            None => cx.reply.nil(),
            Some(first) => {
                let error = || Error::json_kind("object", first.kind());
                cx.reply.integer(length(first).ok_or_else(error)? as i64);
            }
        }
        return Ok(());
    }
    let found = at.parse()?.find(document.root())?;
    place::say_each(cx.reply, found, |reply, value| {
        reply.integer(length(value)? as i64);
        Some(())
    });
    Ok(())
}

fn json_resp(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    let Some(document) = place::document(&mut cx.keys, at.key)? else {
        cx.reply.nil();
        return Ok(());
    };
    let path = at.parse()?;
    if path.is_legacy() {
        let first = path.first(document.root())?;
        json_reply::say_resp(cx.reply, first.ok_or_else(|| Error::no_json_path(&at.shown()))?);
        return Ok(());
    }
    let found = path.find(document.root())?;
    cx.reply.array(found.len());
    found.into_iter().for_each(|value| json_reply::say_resp(cx.reply, value));
    Ok(())
}

fn json_debug_memory(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let at = Place::take_optional(args)?;
    let is_legacy = place::is_legacy(at.path);
    let Some(document) = place::document(&mut cx.keys, at.key)? else {
        match is_legacy {
            true => cx.reply.integer(0),
            false => cx.reply.array(0),
        }
        return Ok(());
    };
    let bytes = |value: &Json| (size_of::<Json>() + value.weight().bytes) as i64;
    let path = at.parse()?;
    if is_legacy {
        let first = path.first(document.root())?;
        let first = first.ok_or_else(|| Error::no_json_path(&at.shown()))?;
        cx.reply.integer(bytes(first));
        return Ok(());
    }
    let found = path.find(document.root())?;
    cx.reply.array(found.len());
    found.into_iter().for_each(|value| cx.reply.integer(bytes(value)));
    Ok(())
}

fn json_debug_help(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    cx.reply.array(HELP.len());
    HELP.iter().for_each(|line| cx.reply.bulk(line.as_bytes()));
    Ok(())
}

const HELP: [&str; 2] =
    ["MEMORY <key> [path] - reports memory usage", "HELP                - this message"];
