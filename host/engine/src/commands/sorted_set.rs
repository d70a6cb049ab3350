//! Sorted sets, one member at a time: scores, ranks, taking from either end, random members, walks.
//! Ranges are in `sorted_set_range.rs`, unions and the like in `sorted_set_algebra.rs`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use reef_resp::Writer;

use super::draw::{self, Draw};
use super::{element, float, pop, scan};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::{Edit, Event};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::element::Element;
use crate::types::encoding::Encoding;
use crate::types::number;
use crate::types::sorted_set::SortedSet;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("ZADD", zadd, -4)
        .group(Group::SortedSet)
        .write_denyoom()
        .fast()
        .key()
        .usage("key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]")
        .since("1.2.0", "O(log(N)) for each item added, where N is the number of elements in the sorted set.")
        .summary("Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist."),
    command("ZINCRBY", zincrby, 4)
        .group(Group::SortedSet)
        .write_denyoom()
        .fast()
        .key()
        .usage("key increment member")
        .since("1.2.0", "O(log(N)) where N is the number of elements in the sorted set.")
        .summary("Increments the score of a member in a sorted set."),
    command("ZREM", zrem, -3)
        .group(Group::SortedSet)
        .write()
        .fast()
        .key()
        .usage("key member [member ...]")
        .since("1.2.0", "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.")
        .summary("Removes one or more members from a sorted set. Deletes the sorted set if all members were removed."),
    command("ZCARD", zcard, 2)
        .group(Group::SortedSet)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("1.2.0", "O(1)")
        .summary("Returns the number of members in a sorted set."),
    command("ZSCORE", zscore, 3)
        .group(Group::SortedSet)
        .readonly()
        .fast()
        .key()
        .usage("key member")
        .since("1.2.0", "O(1)")
        .summary("Returns the score of a member in a sorted set."),
    command("ZMSCORE", zmscore, -3)
        .group(Group::SortedSet)
        .readonly()
        .fast()
        .key()
        .usage("key member [member ...]")
        .since("6.2.0", "O(N) where N is the number of members being requested.")
        .summary("Returns the score of one or more members in a sorted set."),
    command("ZRANK", zrank, -3)
        .group(Group::SortedSet)
        .readonly()
        .fast()
        .key()
        .usage("key member [WITHSCORE]")
        .since("2.0.0", "O(log(N))")
        .summary("Returns the index of a member in a sorted set ordered by ascending scores."),
    command("ZREVRANK", zrevrank, -3)
        .group(Group::SortedSet)
        .readonly()
        .fast()
        .key()
        .usage("key member [WITHSCORE]")
        .since("2.0.0", "O(log(N))")
        .summary("Returns the index of a member in a sorted set ordered by descending scores."),
    command("ZPOPMIN", zpopmin, -2)
        .group(Group::SortedSet)
        .write()
        .fast()
        .key()
        .usage("key [count]")
        .since("5.0.0", "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.")
        .summary("Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped."),
    command("ZPOPMAX", zpopmax, -2)
        .group(Group::SortedSet)
        .write()
        .fast()
        .key()
        .usage("key [count]")
        .since("5.0.0", "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.")
        .summary("Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped."),
    command("ZMPOP", zmpop, -4)
        .group(Group::SortedSet)
        .write()
        .keys(KeySpec::Counted { count: 1, destination: 0 })
        .usage("numkeys key [key ...] <MIN|MAX> [COUNT count]")
        .since("7.0.0", "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.")
        .summary("Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes the sorted set if the last member was popped."),
    command("ZRANDMEMBER", zrandmember, -2)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key [count [WITHSCORES]]")
        .since("6.2.0", "O(N) where N is the number of members returned")
        .summary("Returns one or more random members from a sorted set."),
    command("ZSCAN", zscan, -3)
        .group(Group::SortedSet)
        .readonly()
        .key()
        .usage("key cursor [MATCH pattern] [COUNT count] [NOSCORES]")
        .since("2.8.0", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.")
        .summary("Iterates over members and scores of a sorted set."),
];

/// Members with their scores, taken out of a sorted set.
type Popped = Vec<(Vec<u8>, f64)>;

/// What ZADD was told beside scores and members.
#[derive(Default)]
pub(super) struct AddOptions {
    /// NX.
    pub(super) only_new: bool,
    /// XX.
    pub(super) only_existing: bool,
    only_greater: bool,
    only_less: bool,
    /// CH.
    pub(super) count_changed: bool,
    increment: bool,
}

impl AddOptions {
    fn take(args: &mut Args<'_>) -> Self {
        let mut options = Self::default();
        while let Some(word) = args.one_of(&["NX", "XX", "GT", "LT", "CH", "INCR"]) {
            let option = match word {
                0 => &mut options.only_new,
                1 => &mut options.only_existing,
                2 => &mut options.only_greater,
                3 => &mut options.only_less,
                4 => &mut options.count_changed,
                _ => &mut options.increment,
            };
            *option = true;
        }
        options
    }

    fn check(&self) -> Result<(), Error> {
        if self.only_new && self.only_existing {
            return Err(Error::XX_AND_NX);
        }
        if [self.only_new, self.only_greater, self.only_less].iter().filter(|set| **set).count() > 1
        {
            return Err(Error::GT_LT_AND_NX);
        }
        Ok(())
    }

    /// The score that a member gets. `None` if it is to stay as it is.
    fn score(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, Error> {
        let Some(old) = old else { return Ok((!self.only_existing).then_some(given)) };
        if self.only_new {
            return Ok(None);
        }
        let score = if self.increment { old + given } else { given };
        if score.is_nan() {
            return Err(Error::NanScore);
        }
        let refused = (self.only_greater && score <= old) || (self.only_less && score >= old);
        Ok((!refused).then_some(score))
    }
}

fn zadd(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let options = AddOptions::take(args);
    if args.is_done() || !args.left().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    options.check()?;
    if options.increment && args.left() > 2 {
        return Err(Error::INCR_OF_MANY);
    }
    let mut pairs = Vec::with_capacity(args.left() / 2);
    while !args.is_done() {
        pairs.push((args.float()?, args.bytes()?));
    }
    add(cx, key, &options, &pairs)
}

fn zincrby(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, increment, member) = (args.bytes()?, args.float()?, args.bytes()?);
    let options = AddOptions { increment: true, ..AddOptions::default() };
    add(cx, key, &options, &[(increment, member)])
}

/// Adds members, or changes their scores, and says how many.
pub(super) fn add(
    cx: &mut Cx<'_>,
    key: &[u8],
    options: &AddOptions,
    pairs: &[(f64, &[u8])],
) -> Result<(), Error> {
    let (mut added, mut changed, mut last) = (0, 0, None);
    let hasher = &cx.keys.rules.hasher;
    let change = |set: &mut Edit<'_, SortedSet>| {
        for (given, member) in pairs {
            let old = set.score(hasher, member);
            last = options.score(old, *given)?;
            let Some(score) = last.filter(|score| old != Some(*score)) else { continue };
            set.insert(member, score);
            added += i64::from(old.is_none());
            changed += i64::from(old.is_some());
        }
        Ok(())
    };
    let event = if options.increment { "zincr" } else { "zadd" };
    if options.only_existing {
        cx.keys.edit(key, event, change)?;
    } else {
        cx.keys.edit_or_create(key, event, change)?;
    }
    match (options.increment, last) {
        (true, Some(score)) => float::say(cx.reply, score),
        (true, None) => cx.reply.nil(),
        (false, _) => cx.reply.integer(if options.count_changed { added + changed } else { added }),
    }
    Ok(())
}

fn zrem(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let members = args.rest();
    let removed = cx.keys.edit(key, "zrem", |set: &mut Edit<'_, SortedSet>| {
        Ok(members.filter(|member| set.remove(member).is_some()).count())
    })?;
    cx.reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

fn zcard(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.collection::<SortedSet>(args.bytes()?)?.map_or(0, SortedSet::len);
    cx.reply.integer(len as i64);
    Ok(())
}

fn zscore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_scores(cx, args.bytes()?, args.rest())
}

fn zmscore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, members) = (args.bytes()?, args.rest());
    cx.reply.array(members.len());
    say_scores(cx, key, members)
}

fn say_scores<'m>(
    cx: &mut Cx<'_>,
    key: &[u8],
    members: impl Iterator<Item = &'m [u8]>,
) -> Result<(), Error> {
    let hasher = &cx.keys.rules.hasher;
    let set = cx.keys.collection::<SortedSet>(key)?;
    for member in members {
        match set.and_then(|set| set.score(hasher, member)) {
            Some(score) => float::say(cx.reply, score),
            None => cx.reply.nil(),
        }
    }
    Ok(())
}

fn zrank(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    rank(cx, args, false, "zrank")
}

fn zrevrank(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    rank(cx, args, true, "zrevrank")
}

fn rank(cx: &mut Cx<'_>, args: &mut Args<'_>, reverse: bool, name: &str) -> Result<(), Error> {
    let (key, member) = (args.bytes()?, args.bytes()?);
    if args.left() > 1 {
        return Err(Error::WrongArity(name.into()));
    }
    let with_score = args.keyword("WITHSCORE");
    args.end()?;
    let hasher = &cx.keys.rules.hasher;
    let set = cx.keys.collection::<SortedSet>(key)?;
    let found = set.and_then(|set| {
        let rank = set.rank(hasher, member)?;
        let score = if with_score { set.score(hasher, member) } else { None };
        Some((if reverse { set.len() - 1 - rank } else { rank }, score))
    });
    match found {
        Some((rank, None)) => cx.reply.integer(rank as i64),
        Some((rank, Some(score))) => {
            cx.reply.array(2);
            cx.reply.integer(rank as i64);
            float::say(cx.reply, score);
        }
        None if with_score => cx.reply.nil_array(),
        None => cx.reply.nil(),
    }
    Ok(())
}

fn zpopmin(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop_some(cx, args, false)
}

fn zpopmax(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop_some(cx, args, true)
}

fn pop_some(cx: &mut Cx<'_>, args: &mut Args<'_>, from_max: bool) -> Result<(), Error> {
    let key = args.bytes()?;
    if args.left() > 1 {
        return Err(Error::Syntax);
    }
    let count = if args.is_done() { None } else { Some(args.count()?) };
    let popped = pop_from(cx, key, from_max, count.unwrap_or(1))?.unwrap_or_default();
    match (count, popped.first()) {
        (None, Some((member, score))) => {
            cx.reply.array(2);
            cx.reply.bulk(member);
            float::say(cx.reply, *score);
        }
        _ => say_members(cx.reply, popped.iter().map(borrowed), popped.len(), true),
    }
    Ok(())
}

/// The command that pops from one sorted set.
pub(super) fn pop_name(from_max: bool) -> &'static str {
    if from_max { "ZPOPMAX" } else { "ZPOPMIN" }
}

/// Takes members from an end. `None` if there is no such key.
pub(super) fn pop_from(
    cx: &mut Cx<'_>,
    key: &[u8],
    from_max: bool,
    count: usize,
) -> Result<Option<Popped>, Error> {
    let event: Event = if from_max { "zpopmax" } else { "zpopmin" };
    cx.keys.edit(key, event, |set: &mut Edit<'_, SortedSet>| {
        let (len, count) = (set.len(), count.min(set.len()));
        let ranks = if from_max { len - count..len } else { 0..count };
        let mut popped = set.remove_range(ranks);
        if from_max {
            popped.reverse();
        }
        Ok(popped)
    })
}

fn borrowed((member, score): &(Vec<u8>, f64)) -> (Element<'_>, f64) {
    (Element::Bytes(member), *score)
}

/// Says members, with or without their scores: pairs are arrays of their own in RESP3, and lie flat
/// before.
pub(super) fn say_members<'a>(
    reply: &mut Writer,
    members: impl Iterator<Item = (Element<'a>, f64)>,
    len: usize,
    with_scores: bool,
) {
    announce(reply, len, with_scores);
    members.for_each(|member| say_member(reply, member, with_scores));
}

fn announce(reply: &mut Writer, len: usize, with_scores: bool) {
    let flat = with_scores && !reply.is_resp3();
    reply.array(if flat { len.saturating_mul(2) } else { len });
}

fn say_member(reply: &mut Writer, (member, score): (Element<'_>, f64), with_scores: bool) {
    if with_scores && reply.is_resp3() {
        reply.array(2);
    }
    element::say(reply, member);
    if with_scores {
        float::say(reply, score);
    }
}

fn zmpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let request = pop::take(args, ["MIN", "MAX"])?;
    if !pop_first(cx, &request)? {
        cx.reply.nil_array();
    }
    Ok(())
}

/// Pops from the first sorted set that is there and says what came. `false`, with nothing said, if
/// none is.
pub(super) fn pop_first(cx: &mut Cx<'_>, request: &pop::Request<'_>) -> Result<bool, Error> {
    for key in &request.keys {
        let Some(popped) = pop_from(cx, key, request.from_second, request.count)? else { continue };
        cx.rewrite(&[&pop_name(request.from_second), key, &popped.len()]);
        cx.reply.array(2);
        cx.reply.bulk(key);
        cx.reply.array(popped.len());
        for (member, score) in popped {
            cx.reply.array(2);
            cx.reply.bulk(&member);
            float::say(cx.reply, score);
        }
        return Ok(true);
    }
    Ok(false)
}

fn zrandmember(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    /// With scores, twice as many elements come.
    const PAIRS_MAX: usize = (i64::MAX / 2) as usize;
    let key = args.bytes()?;
    if args.is_done() {
        return say_random_member(cx, key);
    }
    let draw = Draw::take(args)?;
    let with_scores = args.keyword("WITHSCORES");
    args.end()?;
    if with_scores && draw.size() > PAIRS_MAX {
        return Err(Error::OutOfRange("value"));
    }
    let bytes_max = cx.keys.rules.settings.string_bytes_max;
    let Some(set) = cx.keys.collection::<SortedSet>(key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let mut random = || cx.host.random();
    match draw {
        Draw::Repeated(count) => {
            announce(cx.reply, count, with_scores);
            draw::say_repeated(cx.reply, count, bytes_max, |reply| {
                if let Some(member) = set.random(&mut random) {
                    say_member(reply, member, with_scores);
                }
            })?;
        }
        Draw::Different(count) if count >= set.len() => {
            say_members(cx.reply, set.iter(), set.len(), with_scores);
        }
        Draw::Different(count) => {
            let sample = set.sample(count, &mut random);
            say_members(cx.reply, sample.into_iter(), count, with_scores);
        }
    }
    Ok(())
}

fn say_random_member(cx: &mut Cx<'_>, key: &[u8]) -> Result<(), Error> {
    let mut random = || cx.host.random();
    match cx.keys.collection::<SortedSet>(key)?.and_then(|set| set.random(&mut random)) {
        Some((member, _)) => element::say(cx.reply, member),
        None => cx.reply.nil(),
    }
    Ok(())
}

fn zscan(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, cursor) = (args.bytes()?, scan::cursor(args)?);
    let hasher = &cx.keys.rules.hasher;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let Some(set) = cx.keys.collection::<SortedSet>(key)? else {
        // Without a key, options do not matter.
        args.skip_rest();
        scan::say(cx.reply, 0, &found);
        return Ok(());
    };
    let options = scan::Options::take(args, scan::Extra::NamesOnly("NOSCORES"))?;
    // Redis walks its tables with scores in full precision, and only these.
    let write = match set.encoding() {
        Encoding::SkipList => number::write_f64,
        _ => number::write_f64_shortest,
    };
    let next = set.scan(hasher, cursor, options.count, &mut |member, score| {
        member.with(|member| {
            if !options.wants(member) {
                return;
            }
            found.push(member.into());
            if !options.names_only {
                let mut text = Vec::new();
                write(&mut text, score);
                found.push(text.into_boxed_slice());
            }
        });
    });
    scan::say(cx.reply, next, &found);
    Ok(())
}
