//! Streams: appending, ranges, deleting and trimming. Reading as it comes and groups have files of
//! their own.

use alloc::vec::Vec;

use reef_resp::{Argv, Writer};

use super::stream_entry::{self, say_id, take_end, take_start};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::step::Cx;
use crate::types::limits::Limits;
use crate::types::number;
use crate::types::stream::{ENTRY_BYTES_MAX, Kept, Stream, Trim};
use crate::types::stream_id::{Id, NewId, TEXT_BYTES_MAX};

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("XADD", xadd, -5)
        .group(Group::Stream)
        .write_denyoom()
        .fast()
        .key()
        .usage("key [NOMKSTREAM] [<MAXLEN|MINID> [=|~] threshold [LIMIT count]] <*|id> field value [field value ...]")
        .since("5.0.0", "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.")
        .summary("Appends a new message to a stream. Creates the key if it doesn't exist."),
    command("XLEN", xlen, 2)
        .group(Group::Stream)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("5.0.0", "O(1)")
        .summary("Return the number of messages in a stream."),
    command("XRANGE", xrange, -4)
        .group(Group::Stream)
        .readonly()
        .key()
        .usage("key start end [COUNT count]")
        .since("5.0.0", "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).")
        .summary("Returns the messages from a stream within a range of IDs."),
    command("XREVRANGE", xrevrange, -4)
        .group(Group::Stream)
        .readonly()
        .key()
        .usage("key end start [COUNT count]")
        .since("5.0.0", "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).")
        .summary("Returns the messages from a stream within a range of IDs in reverse order."),
    command("XDEL", xdel, -3)
        .group(Group::Stream)
        .write()
        .fast()
        .key()
        .usage("key id [id ...]")
        .since("5.0.0", "O(1) for each single item to delete in the stream, regardless of the stream size.")
        .summary("Returns the number of messages after removing them from a stream."),
    command("XTRIM", xtrim, -4)
        .group(Group::Stream)
        .write()
        .key()
        .usage("key <MAXLEN|MINID> [=|~] threshold [LIMIT count]")
        .since("5.0.0", "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.")
        .summary("Deletes messages from the beginning of a stream."),
    command("XSETID", xsetid, -3)
        .group(Group::Stream)
        .write_denyoom()
        .fast()
        .key()
        .usage("key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]")
        .since("5.0.0", "O(1)")
        .summary("An internal command for replicating stream values."),
];

/// What stands between the key and the fields of XADD, and behind the key of XTRIM.
#[derive(Default)]
struct Options {
    no_mkstream: bool,
    trim: Option<Trim>,
    /// Where the threshold of the trimming is.
    threshold_at: usize,
    /// Where the id is.
    id_at: usize,
    /// The last thing that XADD takes here, if it is there at all.
    id: Option<NewId>,
}

impl Options {
    fn take(cx: &Cx<'_>, args: &mut Args<'_>, is_add: bool) -> Result<Self, Error> {
        let (mut options, mut limit) = (Self::default(), None);
        while let Some(word) = args.peek() {
            let has_value = args.left() > 1;
            options.id_at = args.position();
            if is_add && word == b"*" {
                args.bytes()?;
                options.id = Some(NewId::Auto);
                break;
            } else if has_value && args.keyword("MAXLEN") {
                options.take_trim(args, |args| match args.integer()? {
                    len @ 0.. => Ok(Kept::Len(len as u64)),
                    _ => Err(Error::TRIM_MAXLEN_NEGATIVE),
                })?;
            } else if has_value && args.keyword("MINID") {
                let from = |args: &mut Args<'_>| stream_entry::id(args.bytes()?).map(Kept::From);
                options.take_trim(args, from)?;
            } else if has_value && args.keyword("LIMIT") {
                let entries = u64::try_from(args.integer()?);
                limit = Some(entries.map_err(|_| Error::TRIM_LIMIT_NEGATIVE)?);
            } else if is_add && args.keyword("NOMKSTREAM") {
                options.no_mkstream = true;
            } else if is_add {
                let id = NewId::parse(args.bytes()?).ok_or(Error::INVALID_STREAM_ID)?;
                options.id = Some(id);
                break;
            } else {
                return Err(Error::Syntax);
            }
        }
        if cx.session.obeys_primary {
            // The threshold is what trimming came to there, limit or not.
            return Ok(options);
        }
        options.limited(is_add, limit, &cx.keys.rules.settings.limits)
    }

    fn take_trim<'a>(
        &mut self,
        args: &mut Args<'a>,
        kept: impl FnOnce(&mut Args<'a>) -> Result<Kept, Error>,
    ) -> Result<(), Error> {
        if self.trim.is_some() {
            return Err(Error::TRIM_TWICE);
        }
        let exactness = if args.left() > 1 { args.one_of(&["~", "="]) } else { None };
        let approximate = exactness == Some(0);
        self.threshold_at = args.position();
        self.trim = Some(Trim { kept: kept(args)?, approximate, entries_max: 0 });
        Ok(())
    }

    /// Checks whether the options fit together, and says how many entries may go at once.
    fn limited(mut self, is_add: bool, limit: Option<u64>, limits: &Limits) -> Result<Self, Error> {
        match &mut self.trim {
            None if limit.is_some_and(|limit| limit > 0) => Err(Error::TRIM_LIMIT_ALONE),
            None if !is_add => Err(Error::TRIM_MISSING),
            None if limit.is_some() => Err(Error::TRIM_LIMIT_EXACT),
            Some(trim) if !trim.approximate && limit.is_some() => Err(Error::TRIM_LIMIT_EXACT),
            Some(trim) if trim.approximate => {
                trim.entries_max = limit.unwrap_or_else(|| limit_of_nodes(limits));
                Ok(self)
            }
            _ => Ok(self),
        }
    }
}

/// Approximate trimming is exact for copies: up to where it came. The id is the one that was given.
fn rewrite(cx: &mut Cx<'_>, argv: Argv<'_>, key: &[u8], options: &Options, id: Option<Id>) {
    let trim = options.trim.filter(|trim| trim.approximate);
    let stream = cx.keys.peek_collection::<Stream>(key).ok().flatten();
    let Some(stream) = stream.filter(|_| cx.keys.propagates()) else { return };
    let (mut len, mut edge, mut own_id) = ([0; 20], [0; TEXT_BYTES_MAX], [0; TEXT_BYTES_MAX]);
    let mut words: Vec<_> = argv.iter().collect();
    if let Some(trim) = trim {
        words[options.threshold_at - 1] = b"=";
        words[options.threshold_at] = match trim.kept {
            Kept::Len(_) => number::format_u64(&mut len, stream.len()),
            Kept::From(_) => stream.first_node_id().unwrap_or(Id::MAX).format(&mut edge),
        };
    }
    if let Some(id) = id {
        words[options.id_at] = id.format(&mut own_id);
    }
    if trim.is_some() || id.is_some() {
        cx.rewrite_with(&[], words.into_iter());
    }
}

/// How many entries approximate trimming takes at once if nobody says: those of a hundred nodes.
fn limit_of_nodes(limits: &Limits) -> u64 {
    match limits.stream_node_entries_max as u64 {
        0 => 10_000,
        entries => entries.saturating_mul(100).min(1_000_000),
    }
}

fn xadd(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let options = Options::take(cx, args, true)?;
    let pairs = args.left();
    let Some(wanted) = options.id.filter(|_| pairs >= 2 && pairs.is_multiple_of(2)) else {
        return Err(Error::WrongArity("xadd".into()));
    };
    let pairs = args.many(pairs)?;
    if wanted == NewId::Given(Id::MIN) {
        return Err(Error::STREAM_ID_ZERO);
    }
    if options.no_mkstream && cx.keys.peek_collection::<Stream>(key)?.is_none() {
        cx.reply.nil();
        return Ok(());
    }
    let now_ms = cx.keys.now.get();
    let (id, is_within) = cx.keys.edit_or_create::<Stream, _>(key, "xadd", |stream| {
        if stream.marks().last_id == Id::MAX {
            return Err(Error::STREAM_EXHAUSTED);
        }
        let id = stream.new_id(wanted, now_ms).ok_or(Error::STREAM_ID_NOT_ABOVE)?;
        if pairs.clone().map(<[u8]>::len).sum::<usize>() > ENTRY_BYTES_MAX {
            return Err(Error::STREAM_ENTRY_TOO_LARGE);
        }
        stream.append(id, pairs);
        Ok((id, options.trim.is_none_or(|trim| stream.is_within(&trim))))
    })?;
    if let Some(trim) = options.trim.filter(|_| !is_within) {
        cx.keys.edit::<Stream, _>(key, "xtrim", |stream| Ok(stream.trim(&trim)))?;
    }
    let is_chosen = !matches!(wanted, NewId::Given(_));
    rewrite(cx, args.argv(), key, &options, is_chosen.then_some(id));
    say_id(cx.reply, id);
    Ok(())
}

fn xlen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.collection::<Stream>(args.bytes()?)?.map_or(0, Stream::len);
    cx.reply.integer(len as i64);
    Ok(())
}

fn xrange(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, from, to) = (args.bytes()?, take_start(args)?, take_end(args)?);
    say_range(cx, args, key, |stream, count, reply| {
        stream_entry::say_all(reply, stream.range(from, to).take(count), |_| ());
    })
}

fn xrevrange(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let mut end = *args;
    args.bytes()?;
    let (from, to) = (take_start(args)?, take_end(&mut end)?);
    say_range(cx, args, key, |stream, count, reply| {
        stream_entry::say_all(reply, stream.range_back(from, to).take(count), |_| ());
    })
}

/// Takes COUNT, and says what `say` finds in the stream.
fn say_range(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    key: &[u8],
    say: impl FnOnce(&Stream, usize, &mut Writer),
) -> Result<(), Error> {
    let mut count = usize::MAX;
    while !args.is_done() {
        if args.left() < 2 || !args.keyword("COUNT") {
            return Err(Error::Syntax);
        }
        count = usize::try_from(args.integer()?).unwrap_or(0);
    }
    match cx.keys.collection::<Stream>(key)? {
        None => cx.reply.array(0),
        Some(_) if count == 0 => cx.reply.nil_array(),
        Some(stream) => say(stream, count, cx.reply),
    }
    Ok(())
}

fn xdel(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, ids) = (args.bytes()?, args.rest());
    let deleted = cx.keys.edit::<Stream, _>(key, "xdel", |stream| {
        let ids = ids.map(stream_entry::id).collect::<Result<Vec<_>, _>>()?;
        Ok(ids.into_iter().filter(|id| stream.delete(*id)).count())
    })?;
    cx.reply.integer(deleted.unwrap_or(0) as i64);
    Ok(())
}

fn xtrim(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let options = Options::take(cx, args, false)?;
    let Some(trim) = options.trim else { return Err(Error::TRIM_MISSING) };
    let trimmed = cx.keys.edit::<Stream, _>(key, "xtrim", |stream| Ok(stream.trim(&trim)))?;
    if trimmed.is_some_and(|trimmed| trimmed > 0) {
        rewrite(cx, args.argv(), key, &options, None);
    }
    cx.reply.integer(trimmed.unwrap_or(0) as i64);
    Ok(())
}

fn xsetid(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, last_id) = (args.bytes()?, stream_entry::id(args.bytes()?)?);
    let (mut entries_added, mut max_deleted_id) = (None, None);
    while !args.is_done() {
        if args.left() < 2 {
            return Err(Error::Syntax);
        }
        if args.keyword("ENTRIESADDED") {
            let added = u64::try_from(args.integer()?);
            entries_added = Some(added.map_err(|_| Error::ENTRIES_ADDED_NEGATIVE)?);
        } else if args.keyword("MAXDELETEDID") {
            let deleted = stream_entry::id(args.bytes()?)?;
            if last_id < deleted {
                return Err(Error::SET_ID_BELOW_GIVEN_DELETED);
            }
            max_deleted_id = Some(deleted).filter(|id| *id != Id::MIN);
        } else {
            return Err(Error::Syntax);
        }
    }
    let set = cx.keys.edit::<Stream, _>(key, "xsetid", |stream| {
        let mut marks = *stream.marks();
        if last_id < marks.max_deleted_id {
            return Err(Error::SET_ID_BELOW_DELETED);
        }
        if stream.last_entry_id().is_some_and(|top| last_id < top) {
            return Err(Error::SET_ID_BELOW_LAST);
        }
        if entries_added.is_some_and(|added| added < stream.len()) {
            return Err(Error::ENTRIES_ADDED_BELOW_LEN);
        }
        marks.last_id = last_id;
        marks.entries_added = entries_added.unwrap_or(marks.entries_added);
        marks.max_deleted_id = max_deleted_id.unwrap_or(marks.max_deleted_id);
        stream.set_marks(marks);
        Ok(())
    })?;
    set.ok_or(Error::NoSuchKey)?;
    cx.reply.ok();
    Ok(())
}
