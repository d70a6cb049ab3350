//! FT.AGGREGATE and FT.CURSOR.

use alloc::vec::Vec;

use reef_resp::Writer;

use super::administration::{place, readable};
use super::finding::Finding;
use super::pipeline::{Columns, Table};
use super::profiling::Profile;
use super::request::Request;
use super::stages::Stage;
use crate::args::Args;
use crate::error::Error;
use crate::search::patience::Patience;
use crate::search::{Column, Cursor, Rows, Value};
use crate::step::Cx;
use crate::types::number;

/// How many rows a cursor gives at a time if nobody says so.
const READ_DEFAULT: usize = 1000;
/// For how long a cursor stays that nobody reads, at most.
const IDLE_MS_MAX: u64 = 300_000;

pub(super) fn aggregate(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (name, query) = (args.bytes()?, args.bytes()?);
    run(cx, (name, query), args, Profile::default())
}

/// Where rows go.
#[derive(Clone, Copy, Debug, Default)]
struct Delivery {
    with_cursor: bool,
    count: Option<usize>,
    idle_ms: Option<u64>,
    with_scores: bool,
}

pub(super) fn run(
    cx: &mut Cx<'_>,
    (name, query): (&[u8], &[u8]),
    args: &mut Args<'_>,
    mut profile: Profile,
) -> Result<(), Error> {
    let options = cx.keys.catalogue().options.clone();
    let mut request = Request::new(query, &options);
    let (mut stages, mut delivery) = (Vec::new(), Delivery::default());
    while !args.is_done() {
        if let Some(option) = args.one_of(&["SUMMARIZE", "HIGHLIGHT", "RETURN"]) {
            args.skip_rest();
            return Err(Error::not_of_aggregations(["SUMMARIZE", "HIGHLIGHT", "RETURN"][option]));
        }
        if !Stage::read(args, &options, &mut stages)?
            && !delivery.option(args)?
            && !request.option(args)?
        {
            let at = args.position();
            let word = args.bytes()?;
            args.skip_rest();
            return Err(Error::unknown_word_at(word, at));
        }
    }
    readable(cx, args, name)?;
    request.check_form(cx, name)?;
    if profile.entries() > 0 && delivery.with_cursor {
        return Err(Error::NO_PROFILE_OF_CURSOR);
    }
    cx.keys.shed_indexed();
    let mut seed = cx.host.random();
    let mut random = || {
        // A sample needs numbers that differ, not good ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed
    };
    let ((columns, mut rows), is_late): ((Columns, Vec<_>), _) = {
        let host = &*cx.host;
        let now_us = || host.now_us();
        let patience = Patience::new(&now_us, request.timeout_ms);
        let finding = Finding::new(&cx.keys, name, &request, &patience)?;
        profile.parsed(&now_us);
        let mut found = finding.find(delivery.with_scores, profile.tally());
        profile.found(&now_us, (&found, delivery.with_scores, found.is_late));
        found.hits.sort_unstable_by(|one, other| finding.order(one, other));
        found.hits.truncate(options.rows_max as usize);
        let mut table = Table::new(&finding, &patience, found.hits);
        if delivery.with_scores {
            table.add_scores();
        }
        table.run(&stages, &mut random, &mut |name, rows| profile.passed(&now_us, name, rows))?;
        let Table { columns, rows, total, .. } = table;
        let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| row.values).collect();
        let is_late = found.is_late || patience.is_over();
        if is_late && options.fails_late {
            return Err(Error::TIMED_OUT);
        }
        if !delivery.with_cursor {
            let figures = Figures { total, is_late, more: profile.entries() };
            say_rows(cx.reply, &named(&columns), &rows, figures);
            profile.say(cx.reply, &finding, now_us());
            return Ok(());
        }
        ((columns, rows), is_late)
    };
    let rest = rows.split_off(delivery.count.unwrap_or(READ_DEFAULT).min(rows.len()));
    let rest = Rows::new(named(&columns).into(), rest);
    let columns = rest.columns().to_vec();
    let id = keep(cx, name, rest, &delivery)?;
    cx.reply.array(2);
    say_rows(cx.reply, &columns, &rows, Figures { total: rows.len(), is_late, more: 0 });
    cx.reply.integer(id);
    Ok(())
}

impl Delivery {
    fn option(&mut self, args: &mut Args<'_>) -> Result<bool, Error> {
        match args.one_of(&["WITHCURSOR", "ADDSCORES"]) {
            Some(0) => {
                self.with_cursor = true;
                loop {
                    match args.one_of(&["COUNT", "MAXIDLE"]) {
                        Some(0) => self.count = Some(read_size(args)?),
                        Some(_) => {
                            let idle = number::parse_i64(args.bytes()?).filter(|idle| *idle > 0);
                            let idle = idle.ok_or_else(|| Error::bad_arguments("MAXIDLE"))?;
                            self.idle_ms = Some(idle as u64);
                        }
                        None => return Ok(true),
                    }
                }
            }
            Some(_) => {
                self.with_scores = true;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn read_size(args: &mut Args<'_>) -> Result<usize, Error> {
    let size = number::parse_i64(args.bytes()?).and_then(|size| usize::try_from(size).ok());
    size.filter(|size| *size > 0).ok_or_else(|| Error::bad_arguments("COUNT"))
}

/// What is said with rows.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// How many rows there are with those that are left out.
    total: usize,
    /// Whether there was no time for all of them.
    is_late: bool,
    /// How many entries others add in RESP3.
    more: usize,
}

/// The names of columns, each with whether every row has it.
fn named(columns: &Columns) -> Vec<Column> {
    columns.names.iter().cloned().zip(columns.are_full.iter().copied()).collect()
}

fn say_rows(reply: &mut Writer, columns: &[Column], rows: &[Vec<Value>], figures: Figures) {
    if !reply.is_resp3() {
        reply.array(rows.len() + 1);
        reply.integer(figures.total as i64);
        for row in rows {
            let filled = filled(columns, row);
            reply.array(filled.len() * 2);
            for (name, value) in filled {
                reply.bulk(name);
                say_value(reply, value);
            }
        }
        return;
    }
    reply.map(5 + figures.more);
    reply.bulk(b"attributes");
    reply.array(0);
    reply.bulk(b"format");
    reply.bulk(b"STRING");
    reply.bulk(b"results");
    reply.array(rows.len());
    for row in rows {
        let filled = filled(columns, row);
        reply.map(2);
        reply.bulk(b"extra_attributes");
        reply.map(filled.len());
        for (name, value) in filled {
            reply.bulk(name);
            say_value(reply, value);
        }
        reply.bulk(b"values");
        reply.array(0);
    }
    reply.bulk(b"total_results");
    reply.integer(figures.total as i64);
    reply.bulk(b"warning");
    reply.array(usize::from(figures.is_late));
    if figures.is_late {
        reply.bulk(b"Timeout limit was reached");
    }
}

/// The columns that a row has.
fn filled<'r>(columns: &'r [Column], row: &'r [Value]) -> Vec<(&'r [u8], &'r Value)> {
    let values = row.iter().chain(core::iter::repeat(&Value::Null));
    let all = columns.iter().zip(values);
    let filled = all.filter(|((_, is_full), value)| *is_full || **value != Value::Null);
    filled.map(|((name, _), value)| (&**name, value)).collect()
}

fn say_value(reply: &mut Writer, value: &Value) {
    match value {
        Value::List(values) => {
            reply.array(values.len());
            values.iter().for_each(|value| say_value(reply, value));
        }
        Value::Null => reply.nil(),
        other => reply.bulk(&other.shown()),
    }
}

/// Keeps what is left for later; gives the cursor's number, 0 if nothing is left.
fn keep(cx: &mut Cx<'_>, name: &[u8], rest: Rows, delivery: &Delivery) -> Result<i64, Error> {
    if rest.is_empty() {
        return Ok(0);
    }
    let at = place(&cx.keys, name)?;
    let catalogue = cx.keys.catalogue();
    let index = catalogue.indexes.get(at).map(|schema| schema.name.clone()).unwrap_or_default();
    // A positive number that no other cursor has.
    let id = (cx.random() >> 2).max(1);
    let idle_ms = delivery.idle_ms.unwrap_or(IDLE_MS_MAX).min(IDLE_MS_MAX);
    let now = cx.keys.now;
    let cursor = Cursor {
        index,
        rows: rest,
        count: delivery.count.unwrap_or(READ_DEFAULT),
        idle_ms,
        until: crate::clock::Millis::new(now.get().saturating_add(idle_ms)),
    };
    let kept = cx.keys.cursors().is_some_and(|cursors| cursors.put(id, cursor, now));
    if kept { Ok(id as i64) } else { Err(Error::TOO_MANY_CURSORS) }
}

/// `READ|DEL index id [COUNT count]`.
pub(super) fn cursor(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let Some(action) = args.one_of(&["READ", "DEL"]) else {
        let word = args.bytes()?;
        args.skip_rest();
        return Err(Error::unknown_word(word));
    };
    let (name, id) = (args.bytes()?, args.integer()?);
    let count = if args.keyword("COUNT") { Some(read_size(args)?) } else { None };
    args.end()?;
    let at = readable(cx, args, name)?;
    let catalogue = cx.keys.catalogue();
    let index = catalogue.indexes.get(at).map(|schema| schema.name.clone()).unwrap_or_default();
    let now = cx.keys.now;
    let id = u64::try_from(id).map_err(|_| Error::NO_CURSOR)?;
    let taken = cx.keys.cursors().and_then(|cursors| cursors.take(id, &index, now));
    let Some(mut cursor) = taken else { return Err(Error::NO_CURSOR) };
    if action == 1 {
        cx.reply.ok();
        return Ok(());
    }
    let rows = cursor.rows.take_first(count.unwrap_or(cursor.count));
    cx.reply.array(2);
    let figures = Figures { total: rows.len(), is_late: false, more: 0 };
    say_rows(cx.reply, cursor.rows.columns(), &rows, figures);
    let is_over = cursor.rows.is_empty();
    cx.reply.integer(if is_over { 0 } else { id as i64 });
    if !is_over {
        cursor.until = crate::clock::Millis::new(now.get().saturating_add(cursor.idle_ms));
        cx.keys.cursors().map(|cursors| cursors.put(id, cursor, now));
    }
    Ok(())
}
