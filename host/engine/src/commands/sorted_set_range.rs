//! Sorted sets, a range at a time: by rank, by score or by member; shown, counted, removed, stored.
//!
//! Every range becomes a range of ranks first, which LIMIT and the direction then cut and turn.

use core::ops::Range;

use super::list::index_range;
use super::sorted_set::say_members;
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::{Edit, Event};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::bounds::{LexRange, ScoreRange};
use crate::types::number;
use crate::types::sorted_set::SortedSet;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("ZRANGE", zrange, -4)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]")
        .since("1.2.0", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.")
        .summary("Returns members in a sorted set within a range of indexes."),
    command("ZRANGESTORE", zrangestore, -5)
        .group(Group::SortedSet)
        .write_denyoom()
        .keys(KeySpec::FIRST_TWO)
        .usage("dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]")
        .since("6.2.0", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.")
        .summary("Stores a range of members from sorted set in a key."),
    command("ZREVRANGE", zrevrange, -4)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key start stop [WITHSCORES]")
        .since("1.2.0", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.")
        .summary("Returns members in a sorted set within a range of indexes in reverse order."),
    command("ZRANGEBYSCORE", zrangebyscore, -4)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key min max [WITHSCORES] [LIMIT offset count]")
        .since("1.0.5", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).")
        .summary("Returns members in a sorted set within a range of scores."),
    command("ZREVRANGEBYSCORE", zrevrangebyscore, -4)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key max min [WITHSCORES] [LIMIT offset count]")
        .since("2.2.0", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).")
        .summary("Returns members in a sorted set within a range of scores in reverse order."),
    command("ZRANGEBYLEX", zrangebylex, -4)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key min max [LIMIT offset count]")
        .since("2.8.9", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).")
        .summary("Returns members in a sorted set within a lexicographical range."),
    command("ZREVRANGEBYLEX", zrevrangebylex, -4)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key max min [LIMIT offset count]")
        .since("2.8.9", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).")
        .summary("Returns members in a sorted set within a lexicographical range in reverse order."),
    command("ZCOUNT", zcount, 4)
        .group(Group::SortedSet)
        .readonly()
        .fast()
        .key()
        .usage("key min max")
        .since("2.0.0", "O(log(N)) with N being the number of elements in the sorted set.")
        .summary("Returns the count of members in a sorted set that have scores within a range."),
    command("ZLEXCOUNT", zlexcount, 4)
        .group(Group::SortedSet)
        .readonly()
        .fast()
        .key()
        .usage("key min max")
        .since("2.8.9", "O(log(N)) with N being the number of elements in the sorted set.")
        .summary("Returns the number of members in a sorted set within a lexicographical range."),
    command("ZREMRANGEBYRANK", zremrangebyrank, 4)
        .group(Group::SortedSet)
        .write()
        .key()
        .usage("key start stop")
        .since("2.0.0", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.")
        .summary("Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed."),
    command("ZREMRANGEBYSCORE", zremrangebyscore, 4)
        .group(Group::SortedSet)
        .write()
        .key()
        .usage("key min max")
        .since("1.2.0", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.")
        .summary("Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed."),
    command("ZREMRANGEBYLEX", zremrangebylex, 4)
        .group(Group::SortedSet)
        .write()
        .key()
        .usage("key min max")
        .since("2.8.9", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.")
        .summary("Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members were removed."),
];

/// By what a range is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A range of members.
enum Bounds<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Lex(LexRange<'a>),
}

impl<'a> Bounds<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Self, Error> {
        match by {
            By::Rank => {
                let rank = |text| number::parse_i64(text).ok_or(Error::NotAnInteger);
                Ok(Self::Ranks(rank(min)?, rank(max)?))
            }
            By::Score => ScoreRange::parse(min, max).map(Self::Scores).ok_or(Error::NotMinMaxFloat),
            By::Lex => LexRange::parse(min, max).map(Self::Lex).ok_or(Error::NotMinMaxLex),
        }
    }

    fn take(args: &mut Args<'a>, by: By) -> Result<Self, Error> {
        Self::parse(by, args.bytes()?, args.bytes()?)
    }

    /// The ranks of the members inside. Ranks themselves count from the end if `reverse`.
    fn ranks(&self, set: &SortedSet, reverse: bool) -> Range<usize> {
        match self {
            Self::Ranks(start, stop) => {
                let ranks = index_range(*start, *stop, set.len());
                if reverse { set.len() - ranks.end..set.len() - ranks.start } else { ranks }
            }
            Self::Scores(range) => set.ranks_by_score(range),
            Self::Lex(range) => set.ranks_by_lex(range),
        }
    }
}

/// A range with everything that ZRANGE and its relatives can be told.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    limit: Option<(i64, i64)>,
    with_scores: bool,
}

/// What a command's name fixes; `None` leaves it to the arguments.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    /// Whether scores can be asked for.
    scores: bool,
}

impl<'a> Query<'a> {
    fn take(args: &mut Args<'a>, form: Form) -> Result<Self, Error> {
        let (first, second) = (args.bytes()?, args.bytes()?);
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut limit, mut with_scores) = (None, false);
        while !args.is_done() {
            if form.scores && args.keyword("WITHSCORES") {
                with_scores = true;
            } else if args.left() > 2 && args.keyword("LIMIT") {
                limit = Some((args.integer()?, args.integer()?));
            } else if reverse.is_none() && args.keyword("REV") {
                reverse = Some(true);
            } else if by.is_none() && args.keyword("BYSCORE") {
                by = Some(By::Score);
            } else if by.is_none() && args.keyword("BYLEX") {
                by = Some(By::Lex);
            } else {
                return Err(Error::Syntax);
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        // A limit of -1 is none.
        if by == By::Rank && limit.is_some_and(|(_, count)| count != -1) {
            return Err(Error::LIMIT_OF_RANKS);
        }
        if by == By::Lex && with_scores {
            return Err(Error::SCORES_OF_LEX);
        }
        // From the end, the upper bound comes first, except for ranks.
        let (min, max) = if reverse && by != By::Rank { (second, first) } else { (first, second) };
        let limit = limit.filter(|_| by != By::Rank);
        Ok(Self { bounds: Bounds::parse(by, min, max)?, reverse, limit, with_scores })
    }

    /// The ranks of the members that are asked for.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let ranks = self.bounds.ranks(set, self.reverse);
        let Some((offset, count)) = self.limit else { return ranks };
        // A negative offset is beyond everything, a negative count is no limit.
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX).min(ranks.len());
        let taken = usize::try_from(count).unwrap_or(usize::MAX).min(ranks.len() - skipped);
        if self.reverse {
            let end = ranks.end - skipped;
            end - taken..end
        } else {
            let start = ranks.start + skipped;
            start..start + taken
        }
    }
}

fn zrange(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Form { by: None, reverse: None, scores: true })
}

fn zrangestore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (destination, source) = (args.bytes()?, args.bytes()?);
    let query = Query::take(args, Form { by: None, reverse: None, scores: false })?;
    let rules = cx.keys.rules;
    let mut stored = SortedSet::new();
    if let Some(set) = cx.keys.collection::<SortedSet>(source)? {
        for (member, score) in set.range(query.ranks(set)) {
            member.with(|member| {
                stored.insert(&rules.hasher, member, score, &rules.settings.limits);
            });
        }
    }
    cx.reply.integer(stored.len() as i64);
    cx.keys.set_collection(destination, stored, "zrangestore");
    Ok(())
}

fn zrevrange(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Form { by: Some(By::Rank), reverse: Some(true), scores: true })
}

fn zrangebyscore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Form { by: Some(By::Score), reverse: Some(false), scores: true })
}

fn zrevrangebyscore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Form { by: Some(By::Score), reverse: Some(true), scores: true })
}

fn zrangebylex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Form { by: Some(By::Lex), reverse: Some(false), scores: true })
}

fn zrevrangebylex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Form { by: Some(By::Lex), reverse: Some(true), scores: true })
}

fn show(cx: &mut Cx<'_>, args: &mut Args<'_>, form: Form) -> Result<(), Error> {
    let key = args.bytes()?;
    let query = Query::take(args, form)?;
    let Some(set) = cx.keys.collection::<SortedSet>(key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let ranks = query.ranks(set);
    let (len, members) = (ranks.len(), set.range(ranks));
    if query.reverse {
        say_members(cx.reply, members.rev(), len, query.with_scores);
    } else {
        say_members(cx.reply, members, len, query.with_scores);
    }
    Ok(())
}

fn zcount(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    count(cx, args, By::Score)
}

fn zlexcount(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    count(cx, args, By::Lex)
}

fn count(cx: &mut Cx<'_>, args: &mut Args<'_>, by: By) -> Result<(), Error> {
    let key = args.bytes()?;
    let bounds = Bounds::take(args, by)?;
    let set = cx.keys.collection::<SortedSet>(key)?;
    let count = set.map_or(0, |set| bounds.ranks(set, false).len());
    cx.reply.integer(count as i64);
    Ok(())
}

fn zremrangebyrank(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    remove(cx, args, By::Rank, "zremrangebyrank")
}

fn zremrangebyscore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    remove(cx, args, By::Score, "zremrangebyscore")
}

fn zremrangebylex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    remove(cx, args, By::Lex, "zremrangebylex")
}

fn remove(cx: &mut Cx<'_>, args: &mut Args<'_>, by: By, event: Event) -> Result<(), Error> {
    let key = args.bytes()?;
    let bounds = Bounds::take(args, by)?;
    let removed = cx.keys.edit(key, event, |set: &mut Edit<'_, SortedSet>| {
        let ranks = bounds.ranks(set, false);
        Ok(set.remove_range(ranks).len())
    })?;
    cx.reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}
