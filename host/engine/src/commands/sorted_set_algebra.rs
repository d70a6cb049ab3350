//! Sorted sets, several at a time: union, intersection and difference. Plain sets are taken too; the
//! score of each of their members is 1.

use alloc::vec::Vec;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::sorted_set::say_members;
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::{Event, Keyspace, Value};
use crate::keyspec::KeySpec;
use crate::settings::Rules;
use crate::step::Cx;
use crate::types::element::Element;
use crate::types::limits::Limits;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("ZUNION", zunion, -3)
        .group(Group::SortedSet)
        .readonly()
        .keys(KeySpec::Counted { count: 1, destination: 0 })
        .usage("numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]")
        .since("6.2.0", "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.")
        .summary("Returns the union of multiple sorted sets."),
    command("ZINTER", zinter, -3)
        .group(Group::SortedSet)
        .readonly()
        .keys(KeySpec::Counted { count: 1, destination: 0 })
        .usage("numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]")
        .since("6.2.0", "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.")
        .summary("Returns the intersect of multiple sorted sets."),
    command("ZDIFF", zdiff, -3)
        .group(Group::SortedSet)
        .readonly()
        .keys(KeySpec::Counted { count: 1, destination: 0 })
        .usage("numkeys key [key ...] [WITHSCORES]")
        .since("6.2.0", "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.")
        .summary("Returns the difference between multiple sorted sets."),
    command("ZUNIONSTORE", zunionstore, -4)
        .group(Group::SortedSet)
        .write_denyoom()
        .keys(KeySpec::Counted { count: 2, destination: 1 })
        .usage("destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>]")
        .since("2.0.0", "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.")
        .summary("Stores the union of multiple sorted sets in a key."),
    command("ZINTERSTORE", zinterstore, -4)
        .group(Group::SortedSet)
        .write_denyoom()
        .keys(KeySpec::Counted { count: 2, destination: 1 })
        .usage("destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM|MIN|MAX>]")
        .since("2.0.0", "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.")
        .summary("Stores the intersect of multiple sorted sets in a key."),
    command("ZDIFFSTORE", zdiffstore, -4)
        .group(Group::SortedSet)
        .write_denyoom()
        .keys(KeySpec::Counted { count: 2, destination: 1 })
        .usage("destination numkeys key [key ...]")
        .since("6.2.0", "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.")
        .summary("Stores the difference of multiple sorted sets in a key."),
    command("ZINTERCARD", zintercard, -3)
        .group(Group::SortedSet)
        .readonly()
        .keys(KeySpec::Counted { count: 1, destination: 0 })
        .usage("numkeys key [key ...] [LIMIT limit]")
        .since("7.0.0", "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.")
        .summary("Returns the number of members of the intersect of multiple sorted sets."),
];

/// What several become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What the scores of one member become.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Infinities that cancel out give 0.
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(a + b),
            // The first of two zeros with different signs stays.
            Self::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What a key holds.
#[derive(Clone, Copy)]
enum Source<'a> {
    Nothing,
    Plain(&'a Set),
    Sorted(&'a SortedSet),
}

impl<'a> Source<'a> {
    fn new(keys: &'a Keyspace<'_>, key: &[u8]) -> Result<Self, Error> {
        match keys.peek(key).map(|slot| slot.as_value()) {
            None => Ok(Self::Nothing),
            Some(Some(Value::Set(set))) => Ok(Self::Plain(set)),
            Some(Some(Value::SortedSet(set))) => Ok(Self::Sorted(set)),
            Some(_) => Err(Error::WrongType),
        }
    }

    /// Whether it is the very same as another: a key may be named any number of times.
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Plain(one), Self::Plain(other)) => core::ptr::eq(one, other),
            (Self::Sorted(one), Self::Sorted(other)) => core::ptr::eq(one, other),
            _ => false,
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Plain(set) => set.len(),
            Self::Sorted(set) => set.len(),
        }
    }

    fn score(self, rules: &Rules, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::Plain(set) => set.contains(&rules.hasher, member).then_some(1.0),
            Self::Sorted(set) => set.score(&rules.hasher, member),
        }
    }

    fn iter(self) -> impl Iterator<Item = (Element<'a>, f64)> {
        let (plain, sorted) = match self {
            Self::Nothing => (None, None),
            Self::Plain(set) => (Some(set), None),
            Self::Sorted(set) => (None, Some(set)),
        };
        let plain = plain.into_iter().flat_map(Set::iter).map(|member| (member, 1.0));
        plain.chain(sorted.into_iter().flat_map(SortedSet::iter))
    }
}

/// A source and what its scores are multiplied by.
type Weighted<'a> = (Source<'a>, f64);

/// The sources of a command and what else it was told.
struct Request<'a> {
    sources: Vec<Weighted<'a>>,
    aggregate: Aggregate,
    with_scores: bool,
    rules: &'a Rules,
}

/// Takes `numkeys key [key ...]` and reads the keys.
fn take_sources<'a>(
    keys: &'a mut Keyspace<'_>,
    args: &mut Args<'_>,
    name: &str,
) -> Result<Vec<Weighted<'a>>, Error> {
    let count = args.integer()?;
    if count < 1 {
        return Err(Error::NoInputKey(name.into()));
    }
    let names = args.many(usize::try_from(count).map_err(|_| Error::Syntax)?)?;
    for key in names.clone() {
        keys.read(key);
    }
    let keys = &*keys;
    names.map(|key| Ok((Source::new(keys, key)?, 1.0))).collect()
}

impl<'a> Request<'a> {
    fn take(
        keys: &'a mut Keyspace<'_>,
        args: &mut Args<'_>,
        operation: Operation,
        (name, stores): (&str, bool),
    ) -> Result<Self, Error> {
        let rules = keys.rules;
        let sources = take_sources(keys, args, name)?;
        let (aggregate, with_scores) = (Aggregate::Sum, false);
        let mut request = Self { sources, aggregate, with_scores, rules };
        let combines = operation != Operation::Difference;
        while !args.is_done() {
            if combines && args.left() > request.sources.len() && args.keyword("WEIGHTS") {
                for (_, weight) in &mut request.sources {
                    *weight = args.float().map_err(|_| Error::WEIGHT_NOT_A_FLOAT)?;
                }
            } else if combines && args.keyword("AGGREGATE") {
                request.aggregate = match args.one_of(&["SUM", "MIN", "MAX"]) {
                    Some(0) => Aggregate::Sum,
                    Some(1) => Aggregate::Min,
                    Some(_) => Aggregate::Max,
                    None => return Err(Error::Syntax),
                };
            } else if !stores && args.keyword("WITHSCORES") {
                request.with_scores = true;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(request)
    }

    fn run(&mut self, operation: Operation) -> SortedSet {
        if operation != Operation::Difference {
            // The order in which scores are added up, which their last digits show.
            self.sources.sort_by_key(|(source, _)| source.len());
        }
        match operation {
            Operation::Union => self.union(),
            Operation::Intersection => self.intersection(),
            Operation::Difference => self.difference(),
        }
    }

    /// Adds to a result, which is kept as a table until it is complete: the packed form would lose
    /// the sign of a zero, and takes time to grow.
    fn put(&self, result: &mut SortedSet, member: &[u8], score: f64) {
        let limits = Limits { sorted_set_entries_max: 0, ..self.rules.settings.limits };
        result.insert(&self.rules.hasher, member, score, &limits);
    }

    /// Scores are added up beside the result: there, each new score of a member is a new place.
    fn union(&self) -> SortedSet {
        let hasher = &self.rules.hasher;
        let mut sums: HashTable<(Element<'_>, f64)> = HashTable::new();
        for (source, weight) in &self.sources {
            for (member, score) in source.iter() {
                let score = number_or_zero(score * weight);
                member.with(|text| {
                    let is_it = |(other, _): &(Element<'_>, f64)| other.with(|other| other == text);
                    let rehash =
                        |(other, _): &(Element<'_>, f64)| other.with(|text| hasher.hash(text));
                    match sums.entry(hasher.hash(text), is_it, rehash) {
                        Entry::Vacant(place) => {
                            place.insert((member, score));
                        }
                        Entry::Occupied(mut sum) => {
                            let sum = &mut sum.get_mut().1;
                            *sum = self.aggregate.of(*sum, score);
                        }
                    }
                });
            }
        }
        let mut result = SortedSet::new();
        for (member, score) in &sums {
            member.with(|member| self.put(&mut result, member, *score));
        }
        result
    }

    fn intersection(&self) -> SortedSet {
        let mut result = SortedSet::new();
        let Some(((smallest, weight), others)) = self.sources.split_first() else { return result };
        for (member, score) in smallest.iter() {
            member.with(|member| {
                let first = number_or_zero(score * weight);
                let score = others.iter().try_fold(first, |sum, (other, weight)| {
                    let is_same = other.is(*smallest);
                    let score = if is_same { score } else { other.score(self.rules, member)? };
                    Some(self.aggregate.of(sum, score * weight))
                });
                if let Some(score) = score {
                    self.put(&mut result, member, score);
                }
            });
        }
        result
    }

    fn difference(&self) -> SortedSet {
        let mut result = SortedSet::new();
        let Some(((first, _), others)) = self.sources.split_first() else { return result };
        if others.iter().any(|(other, _)| other.is(*first)) {
            return result;
        }
        // Looking every member up in half of the others on average, or every member of the others here.
        let look_there = first.len().saturating_mul(others.len()) / 2;
        let look_here = others.iter().map(|(other, _)| other.len()).sum::<usize>() + first.len();
        let gone = if look_there > look_here { self.gone(*first, others) } else { Set::new() };
        let others = if look_there > look_here { &[] } else { others };
        let is_gone = |member: &[u8]| {
            !gone.is_empty() && gone.contains(&self.rules.hasher, member)
                || others.iter().any(|(other, _)| other.score(self.rules, member).is_some())
        };
        for (member, score) in first.iter() {
            member.with(|member| {
                if !is_gone(member) {
                    self.put(&mut result, member, score);
                }
            });
        }
        result
    }

    /// What others have of the first source's members.
    fn gone(&self, first: Source<'_>, others: &[Weighted<'_>]) -> Set {
        let (hasher, limits) = (&self.rules.hasher, &self.rules.settings.limits);
        let mut gone = Set::new();
        for (member, _) in others.iter().flat_map(|(other, _)| other.iter()) {
            member.with(|member| {
                if first.score(self.rules, member).is_some() {
                    gone.add(hasher, member, limits);
                }
            });
            if gone.len() == first.len() {
                break;
            }
        }
        gone
    }
}

fn zunion(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Operation::Union, "zunion")
}

fn zinter(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Operation::Intersection, "zinter")
}

fn zdiff(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    show(cx, args, Operation::Difference, "zdiff")
}

fn show(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    operation: Operation,
    name: &str,
) -> Result<(), Error> {
    let mut request = Request::take(&mut cx.keys, args, operation, (name, false))?;
    let result = request.run(operation);
    say_members(cx.reply, result.iter(), result.len(), request.with_scores);
    Ok(())
}

fn zunionstore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    store(cx, args, Operation::Union, "zunionstore")
}

fn zinterstore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    store(cx, args, Operation::Intersection, "zinterstore")
}

fn zdiffstore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    store(cx, args, Operation::Difference, "zdiffstore")
}

/// `event` is the command's name too.
fn store(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    operation: Operation,
    event: Event,
) -> Result<(), Error> {
    let destination = args.bytes()?;
    let result = Request::take(&mut cx.keys, args, operation, (event, true))?.run(operation);
    cx.reply.integer(result.len() as i64);
    cx.keys.set_collection(destination, packed(result, cx.keys.rules), event);
    Ok(())
}

/// The same members in the packed form, if they fit there.
fn packed(result: SortedSet, rules: &Rules) -> SortedSet {
    let limits = &rules.settings.limits;
    let is_long = |member: Element<'_>| member.len() > limits.sorted_set_value_bytes_max;
    if result.len() > limits.sorted_set_entries_max || result.iter().any(|pair| is_long(pair.0)) {
        return result;
    }
    let mut packed = SortedSet::new();
    for (member, score) in result.iter() {
        member.with(|member| packed.insert(&rules.hasher, member, score, limits));
    }
    packed
}

fn zintercard(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let rules = cx.keys.rules;
    let mut sources = take_sources(&mut cx.keys, args, "zintercard")?;
    let mut limit = 0;
    while !args.is_done() {
        if !args.keyword("LIMIT") {
            return Err(Error::Syntax);
        }
        limit = args.integer_within(0..=i64::MAX, Error::LIMIT_NEGATIVE)?;
    }
    let limit = if limit == 0 { usize::MAX } else { limit as usize };
    sources.sort_by_key(|(source, _)| source.len());
    let Some(((smallest, _), others)) = sources.split_first() else { return Ok(()) };
    let others: Vec<_> = others.iter().filter(|(other, _)| !other.is(*smallest)).collect();
    let in_all = |member: &[u8]| others.iter().all(|(o, _)| o.score(rules, member).is_some());
    let common = smallest.iter().filter(|(member, _)| member.with(in_all));
    cx.reply.integer(common.take(limit).count() as i64);
    Ok(())
}
