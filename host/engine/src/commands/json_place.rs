//! What commands on documents have in common: the key, the path into its document, and how results of
//! many places are said.
//!
//! A legacy path means its first value to readers and all its values to writers, who then say the
//! last result; other paths give an array with one result for each value that they lead to.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::Writer;

use crate::args::Args;
use crate::error::Error;
use crate::keyspace::{Edit, Event, Keyspace};
use crate::step::Cx;
use crate::types::json::{Document, Json, Location, Path, parse, path};

/// A place that a command names.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) key: &'a [u8],
    /// The path as it was sent.
    pub(super) path: &'a [u8],
}

/// The path that stands for a missing one.
pub(super) const ROOT: &[u8] = b".";

impl<'a> Place<'a> {
    /// Takes a key and a path.
    pub(super) fn take(args: &mut Args<'a>) -> Result<Self, Error> {
        Ok(Self { key: args.bytes()?, path: args.bytes()? })
    }

    /// Takes a key and, if there is one, a path; whatever else was sent is passed over.
    pub(super) fn take_optional(args: &mut Args<'a>) -> Result<Self, Error> {
        let place = Self { key: args.bytes()?, path: args.maybe().unwrap_or(ROOT) };
        args.skip_rest();
        Ok(place)
    }

    /// The path, read.
    pub(super) fn parse(&self) -> Result<Path, Error> {
        Ok(Path::parse(self.path)?)
    }

    /// The path in its new form, for messages.
    pub(super) fn shown(&self) -> Cow<'a, str> {
        match core::str::from_utf8(self.path) {
            Ok(text) => path::modern(text).0,
            Err(_) => Cow::Borrowed(""),
        }
    }

    /// The path as it was sent, for messages.
    pub(super) fn sent(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.path)
    }
}

/// The document at a key, for reading.
pub(super) fn document<'k>(
    keys: &'k mut Keyspace<'_>,
    key: &[u8],
) -> Result<Option<&'k Document>, Error> {
    keys.collection::<Document>(key).map_err(wrong_key)
}

/// RedisJSON has words of its own for a key of another type.
pub(super) fn wrong_key(error: Error) -> Error {
    if error == Error::WrongType { Error::JSON_WRONG_KEY } else { error }
}

/// A value as text.
pub(super) fn value(text: &[u8]) -> Result<Json, Error> {
    let text = core::str::from_utf8(text).map_err(|_| Error::JSON_NOT_TEXT)?;
    Ok(parse::parse(text)?)
}

/// The same where errors have a code.
pub(super) fn coded_value(text: &[u8]) -> Result<Json, Error> {
    let text = core::str::from_utf8(text).map_err(|_| Error::JSON_NOT_TEXT)?;
    parse::parse(text).map_err(Error::json_argument)
}

/// What a change of many places gave: a result for each, nothing where it could not be.
pub(super) struct Results<R> {
    pub(super) is_legacy: bool,
    pub(super) each: Vec<Option<R>>,
}

/// What a command changes: values of which kind, and how they are called where there is none.
pub(super) struct Subject {
    pub(super) is_wanted: fn(&Json) -> bool,
    pub(super) otherwise: &'static str,
    /// Whether the path is then shown as it was sent.
    pub(super) as_sent: bool,
    /// Whether a legacy path that leads to none of them is an error.
    pub(super) is_required: bool,
}

/// Changes all values of a kind that a path leads to. `check` may refuse before anything is changed;
/// inner values are changed before those around them, later ones before earlier ones, so that
/// locations hold.
pub(super) fn change<R>(
    cx: &mut Cx<'_>,
    place: Place<'_>,
    event: Event,
    subject: &Subject,
    check: impl FnOnce(&Document, &[Option<Location>]) -> Result<(), Error>,
    mut change: impl FnMut(&mut Edit<'_, Document>, &[usize]) -> Result<R, Error>,
) -> Result<Results<R>, Error> {
    let changed = cx.keys.edit::<Document, _>(place.key, event, |document| {
        let path = place.parse()?;
        let found = path.locate(document.root(), subject.is_wanted)?;
        let is_required = path.is_legacy() && subject.is_required;
        if is_required && !found.iter().any(Option::is_some) {
            let sent = place.sent();
            let shown = if subject.as_sent { &sent } else { &place.shown() };
            return Err(Error::no_json_path_or(shown, subject.otherwise));
        }
        check(document, &found)?;
        let mut each: Vec<Option<R>> = Vec::new();
        each.resize_with(found.len(), || None);
        for (result, location) in core::iter::zip(&mut each, &found).rev() {
            let Some(location) = location else { continue };
            // A place that is reached twice may be another value by now.
            if document.at(location).is_some_and(subject.is_wanted) {
                *result = Some(change(document, location)?);
            }
        }
        Ok(Results { is_legacy: path.is_legacy(), each })
    });
    changed.map_err(wrong_key)?.ok_or(Error::JSON_NO_KEY)
}

impl<R> Results<R> {
    /// Says the results: the last one of a legacy path, else all of them.
    pub(super) fn say(&self, reply: &mut Writer, mut say: impl FnMut(&mut Writer, &R)) {
        let mut say_or_nil = |reply: &mut Writer, result: &Option<R>| match result {
            Some(result) => say(reply, result),
            None => reply.nil(),
        };
        if self.is_legacy {
            let last = self.each.iter().rfind(|result| result.is_some());
            return say_or_nil(reply, last.unwrap_or(&None));
        }
        reply.array(self.each.len());
        self.each.iter().for_each(|result| say_or_nil(reply, result));
    }
}

/// Says something of each value that a path leads to, nil if it does not apply.
pub(super) fn say_each(
    reply: &mut Writer,
    values: Vec<&Json>,
    say: impl Fn(&mut Writer, &Json) -> Option<()>,
) {
    reply.array(values.len());
    for value in values {
        if say(reply, value).is_none() {
            reply.nil();
        }
    }
}

/// Whether a path is one of the old kind.
pub(super) fn is_legacy(path: &[u8]) -> bool {
    core::str::from_utf8(path).is_ok_and(|text| path::modern(text).1)
}

/// How many bytes a command may write, beyond the first of them, to the places that a path leads to.
const COPIES_BYTES_MAX: usize = 512 << 20;

/// Whether values may be written to so many places: a short path can lead to millions of them.
pub(super) fn check_copies(places: usize, values: &[Json]) -> Result<(), Error> {
    let bytes = |value: &Json| size_of::<Json>() + value.weight().bytes;
    check_copied_bytes(places, values.iter().map(bytes).sum())
}

/// The same for so many bytes each.
pub(super) fn check_copied_bytes(places: usize, bytes: usize) -> Result<(), Error> {
    let copied = places.saturating_sub(1).saturating_mul(bytes);
    if copied > COPIES_BYTES_MAX { Err(Error::JSON_PATH_WORK) } else { Ok(()) }
}

/// No check.
pub(super) fn unchecked(_: &Document, _: &[Option<Location>]) -> Result<(), Error> {
    Ok(())
}
