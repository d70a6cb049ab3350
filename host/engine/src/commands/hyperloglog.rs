//! HyperLogLogs: about how many different elements were added, alone and together.

use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::keyspace::{Event, SILENT};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::hyperloglog::{self, Corrupted, Encoding, Union};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("PFADD", pfadd, -2)
        .group(Group::Hyperloglog)
        .write_denyoom()
        .fast()
        .key()
        .usage("key [element [element ...]]")
        .since("2.8.9", "O(1) to add every element.")
        .summary("Adds elements to a HyperLogLog key. Creates the key if it doesn't exist."),
    command("PFCOUNT", pfcount, -2)
        .group(Group::Hyperloglog)
        .readonly()
        .flags(Flags::MAY_REPLICATE)
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("2.8.9", "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.")
        .summary("Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s)."),
    command("PFMERGE", pfmerge, -2)
        .group(Group::Hyperloglog)
        .write_denyoom()
        .keys(KeySpec::ALL)
        .usage("destkey [sourcekey [sourcekey ...]]")
        .since("2.8.9", "O(N) to merge N HyperLogLogs, but with high constant times.")
        .summary("Merges one or more HyperLogLog values into a single key."),
    command("PFDEBUG", pfdebug, 3)
        .group(Group::Hyperloglog)
        .write_denyoom()
        .flags(Flags::ADMIN)
        .keys(KeySpec::range(2, 2, 1))
        .usage("subcommand key")
        .since("2.8.9", "N/A")
        .summary("Internal commands for debugging HyperLogLog values."),
    command("PFSELFTEST", pfselftest, 1)
        .group(Group::Hyperloglog)
        .flags(Flags::ADMIN)
        .since("2.8.9", "N/A")
        .summary("An internal command for testing HyperLogLog values."),
];

impl From<Corrupted> for Error {
    fn from(_: Corrupted) -> Self {
        Self::CORRUPTED_HYPERLOGLOG
    }
}

/// The encoding of what must be a HyperLogLog.
fn checked(text: &[u8]) -> Result<Encoding, Error> {
    hyperloglog::encoding(text).ok_or(Error::NOT_A_HYPERLOGLOG)
}

/// Changes the HyperLogLog at a key, starting from an empty one, whose making is a change too.
/// `change` tells how many others it made.
fn edit(
    cx: &mut Cx<'_>,
    key: &[u8],
    event: Event,
    change: impl FnOnce(&mut Vec<u8>) -> (u64, Result<(), Corrupted>),
) -> Result<u64, Error> {
    cx.keys.edit_text(key, event, |text| {
        let is_new = text.is_empty();
        if !is_new {
            checked(text)?;
        }
        let (mut changes, mut result) = (0, Ok(()));
        text.rewrite(|text| {
            if is_new {
                *text = hyperloglog::empty();
            }
            (changes, result) = change(text);
            changes += u64::from(is_new);
            changes
        });
        Ok(result.map(|()| changes)?)
    })
}

fn pfadd(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let elements = args.rest();
    let is_there = present(cx, key)?;
    let sparse_bytes_max = cx.keys.rules.settings.limits.hyperloglog_sparse_bytes_max;
    let changes = edit(cx, key, "pfadd", |text| {
        let (mut changes, mut result) = (0, Ok(()));
        for element in elements {
            match hyperloglog::add(text, element, sparse_bytes_max) {
                Ok(changed) => changes += u64::from(changed),
                Err(corrupted) => {
                    result = Err(corrupted);
                    break;
                }
            }
        }
        if changes > 0 || !is_there {
            hyperloglog::forget_count(text);
        }
        (changes, result)
    })?;
    cx.reply.integer(i64::from(changes > 0));
    Ok(())
}

/// Whether there is a HyperLogLog at a key; everything else but nothing is refused.
fn present(cx: &Cx<'_>, key: &[u8]) -> Result<bool, Error> {
    let Some(slot) = cx.keys.peek(key) else { return Ok(false) };
    checked(slot.as_text().ok_or(Error::WrongType)?).map(|_| true)
}

fn pfcount(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    if !args.is_done() {
        let (union, _) = union_of(cx, core::iter::once(key).chain(args.rest()))?;
        cx.reply.integer(union.count() as i64);
        return Ok(());
    }
    let Some(text) = cx.keys.text(key)? else {
        cx.reply.integer(0);
        return Ok(());
    };
    checked(text)?;
    let last = hyperloglog::last_count(text);
    let count = last.map_or_else(|| hyperloglog::count(text), Ok)?;
    if last.is_none() {
        cx.keys.splice_text(key, hyperloglog::COUNT_AT, &count.to_le_bytes(), SILENT)?;
    }
    cx.reply.integer(count as i64);
    Ok(())
}

/// The registers of all these keys, and whether any of them is dense.
fn union_of<'k>(
    cx: &mut Cx<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Result<(Union, bool), Error> {
    let (mut union, mut any_dense) = (Union::default(), false);
    for key in keys {
        let Some(text) = cx.keys.text(key)? else { continue };
        any_dense |= checked(text)? == Encoding::Dense;
        union.merge(text)?;
    }
    Ok((union, any_dense))
}

fn pfmerge(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let destination = args.bytes()?;
    let keys = core::iter::once(destination).chain(args.rest());
    let (union, any_dense) = union_of(cx, keys)?;
    let sparse_bytes_max = cx.keys.rules.settings.limits.hyperloglog_sparse_bytes_max;
    edit(cx, destination, "pfadd", |text| {
        // What turns out to be broken on the way must stay as it was.
        let mut merged = text.clone();
        let result = write_union(&mut merged, &union, any_dense, sparse_bytes_max);
        if result.is_ok() {
            hyperloglog::forget_count(&mut merged);
            *text = merged;
        }
        (u64::from(result.is_ok()), result)
    })?;
    cx.reply.ok();
    Ok(())
}

fn write_union(
    text: &mut Vec<u8>,
    union: &Union,
    dense: bool,
    sparse_bytes_max: usize,
) -> Result<(), Corrupted> {
    if dense {
        hyperloglog::make_dense(text)?;
    }
    for (register, value) in union.registers().iter().enumerate() {
        if *value > 0 {
            hyperloglog::raise(text, register, *value, sparse_bytes_max)?;
        }
    }
    Ok(())
}

fn pfdebug(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (word, key) = (args.bytes()?, args.bytes()?);
    if !present(cx, key)? {
        return Err(Error::NO_SUCH_HYPERLOGLOG);
    }
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if is("GETREG") {
        make_dense(cx, key)?;
        let (union, _) = union_of(cx, core::iter::once(key))?;
        cx.reply.array(union.registers().len());
        union.registers().iter().for_each(|value| cx.reply.integer(i64::from(*value)));
    } else if is("TODENSE") {
        let was_sparse = make_dense(cx, key)?;
        cx.reply.integer(i64::from(was_sparse));
    } else if is("ENCODING") {
        let text = cx.keys.text(key)?.unwrap_or_default();
        cx.reply.status(if checked(text)? == Encoding::Dense { "dense" } else { "sparse" });
    } else if is("DECODE") {
        decode(cx, key)?;
    } else {
        return Err(Error::unknown_pfdebug(word));
    }
    Ok(())
}

fn make_dense(cx: &mut Cx<'_>, key: &[u8]) -> Result<bool, Error> {
    let changes = edit(cx, key, SILENT, |text| match hyperloglog::make_dense(text) {
        Ok(was_sparse) => (u64::from(was_sparse), Ok(())),
        Err(corrupted) => (0, Err(corrupted)),
    })?;
    Ok(changes > 0)
}

fn decode(cx: &mut Cx<'_>, key: &[u8]) -> Result<(), Error> {
    let text = cx.keys.text(key)?.unwrap_or_default();
    if checked(text)? == Encoding::Dense {
        return Err(Error::HYPERLOGLOG_NOT_SPARSE);
    }
    let mut shown = alloc::string::String::new();
    for run in hyperloglog::runs(text) {
        // Writing to a string cannot fail.
        let _ = match (run.value, run.is_long()) {
            (0, false) => write!(shown, "z:{} ", run.len),
            (0, true) => write!(shown, "Z:{} ", run.len),
            (value, _) => write!(shown, "v:{value},{} ", run.len),
        };
    }
    cx.reply.bulk(shown.trim_end().as_bytes());
    Ok(())
}

/// How many elements PFSELFTEST adds: enough to see sparse, dense and the way between, and few enough
/// that nobody waits.
const SELFTEST_ELEMENTS: u64 = 100_000;
/// The standard error of a count.
const ERROR_RELATIVE: f64 = 1.04 / 128.0;

/// Adds elements that were never seen before to a dense and to a sparse HyperLogLog: both must
/// always agree, and be near the truth.
fn pfselftest(cx: &mut Cx<'_>, _args: &mut Args<'_>) -> Result<(), Error> {
    let sparse_bytes_max = cx.keys.rules.settings.limits.hyperloglog_sparse_bytes_max;
    let seed = cx.random();
    let (mut dense, mut either) = (hyperloglog::empty(), hyperloglog::empty());
    hyperloglog::make_dense(&mut dense)?;
    let mut checkpoint = 1;
    for number in 1..=SELFTEST_ELEMENTS {
        let element = (number ^ seed).to_le_bytes();
        hyperloglog::add(&mut dense, &element, sparse_bytes_max)?;
        hyperloglog::add(&mut either, &element, sparse_bytes_max)?;
        if number != checkpoint {
            continue;
        }
        checkpoint *= 10;
        let is_sparse = hyperloglog::encoding(&either) == Some(Encoding::Sparse);
        if number < sparse_bytes_max as u64 / 2 && !is_sparse {
            return Err(Error::SELFTEST_NOT_SPARSE);
        }
        let count = hyperloglog::count(&dense)?;
        if count != hyperloglog::count(&either)? {
            return Err(Error::SELFTEST_DISAGREE);
        }
        let error_max = libm::ceil(ERROR_RELATIVE * 6.0 * number as f64) as u64;
        if count.abs_diff(number) > error_max {
            return Err(Error::selftest_error(number, count.abs_diff(number)));
        }
    }
    cx.reply.ok();
    Ok(())
}
