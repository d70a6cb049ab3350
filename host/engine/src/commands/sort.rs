//! SORT: the elements of a list, set or sorted set in an order of their own, or in that of other
//! keys that they lead to; other keys in their place; the outcome as a list at a key.
//!
//! Elements whose keys are equal keep the order that they had, so the outcome is decided by the
//! data alone.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use crate::args::Args;
use crate::command::{Command, command};
use crate::error::Error;
use crate::keyspace::{Collection, Keyspace, Value};
use crate::keyspec::KeySpec;
use crate::sort_pattern::SortPattern;
use crate::step::Cx;
use crate::types::element::Element;
use crate::types::list::List;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("SORT", sort, -2)
        .write_denyoom()
        .keys(KeySpec::Sort)
        .usage("key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] [STORE destination]")
        .since("1.0.0", "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).")
        .summary("Sorts the elements in a list, a set, or a sorted set, optionally storing the result."),
    command("SORT_RO", sort_ro, -2)
        .readonly()
        .keys(KeySpec::SortReadOnly)
        .usage("key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]")
        .since("7.0.0", "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).")
        .summary("Returns the sorted elements of a list, a set, or a sorted set."),
];

fn sort(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let request = Request::take(args, true, cx.may_read_all_keys(args.argv()))?;
    let elements = request.elements(&mut cx.keys, key)?;
    match request.store {
        Some(to) => store(cx, to, &elements, &request.gets),
        None => say(cx, &elements, &request.gets),
    }
    Ok(())
}

fn sort_ro(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let request = Request::take(args, false, cx.may_read_all_keys(args.argv()))?;
    let elements = request.elements(&mut cx.keys, key)?;
    say(cx, &elements, &request.gets);
    Ok(())
}

/// What is asked for.
struct Request<'a> {
    by: Option<SortPattern<'a>>,
    /// A BY without a star was given: nothing is to be sorted, whatever other BY there is.
    keeps_order: bool,
    descending: bool,
    alpha: bool,
    offset: i64,
    /// How many; all if negative.
    count: i64,
    gets: Vec<SortPattern<'a>>,
    store: Option<&'a [u8]>,
}

/// What an element is sorted by.
enum Weight {
    /// A number.
    Score(f64),
    /// A text from elsewhere; elements that lead to none come first.
    Text(Option<Vec<u8>>),
    /// Its own text.
    Own,
}

impl<'a> Request<'a> {
    /// `all_keys`: whether the user may read every key, and so what patterns lead to.
    fn take(args: &mut Args<'a>, may_store: bool, all_keys: bool) -> Result<Self, Error> {
        let mut request = Self {
            by: None,
            keeps_order: false,
            descending: false,
            alpha: false,
            offset: 0,
            count: -1,
            gets: Vec::new(),
            store: None,
        };
        while !args.is_done() {
            let operands = args.left() - 1;
            if let Some(order) = args.one_of(&["ASC", "DESC"]) {
                request.descending = order == 1;
            } else if args.keyword("ALPHA") {
                request.alpha = true;
            } else if operands >= 2 && args.keyword("LIMIT") {
                (request.offset, request.count) = (args.integer()?, args.integer()?);
            } else if operands >= 1 && may_store && args.keyword("STORE") {
                request.store = Some(args.bytes()?);
            } else if operands >= 1 && args.keyword("BY") {
                let pattern = args.bytes()?;
                let keeps_order = !pattern.contains(&b'*');
                if !keeps_order && !all_keys {
                    return Err(Error::SORT_BY_DENIED);
                }
                request.by = Some(SortPattern::new(pattern));
                request.keeps_order |= keeps_order;
            } else if operands >= 1 && args.keyword("GET") {
                if !all_keys {
                    return Err(Error::SORT_GET_DENIED);
                }
                request.gets.push(SortPattern::new(args.bytes()?));
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(request)
    }

    /// The part that LIMIT leaves of `len` elements.
    fn window(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.offset.max(0)).map_or(len, |start| start.min(len));
        let count = usize::try_from(self.count).unwrap_or(len);
        start..start.saturating_add(count).min(len)
    }

    /// The elements at a key, in the order that is asked for.
    fn elements(&self, keys: &mut Keyspace<'_>, key: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let Some(slot) = keys.read(key) else { return Ok(Vec::new()) };
        let owned = |(member, _): (Element<'_>, f64)| member.to_vec();
        let mut alpha = self.alpha;
        let mut by = self.by;
        let elements: Vec<Vec<u8>> = match slot.as_value().ok_or(Error::WrongType)? {
            Value::List(list) if self.keeps_order => {
                let window = self.window(list.len());
                return Ok(match self.descending {
                    true => {
                        list.range_rev(mirrored(window, list.len())).map(Element::to_vec).collect()
                    }
                    false => list.range(window).map(Element::to_vec).collect(),
                });
            }
            Value::SortedSet(set) if self.keeps_order => {
                let window = self.window(set.len());
                return Ok(match self.descending {
                    true => set.range(mirrored(window, set.len())).rev().map(owned).collect(),
                    false => set.range(window).map(owned).collect(),
                });
            }
            Value::List(list) => list.iter().map(Element::to_vec).collect(),
            Value::SortedSet(set) => set.iter().map(owned).collect(),
            Value::Set(set) if self.keeps_order && self.store.is_none() => {
                let window = self.window(set.len());
                let members = set.iter().skip(window.start).take(window.len());
                return Ok(members.map(Element::to_vec).collect());
            }
            Value::Set(set) => {
                // A set has no order of its own that could be kept, and what is stored must not
                // depend on how it lies in memory.
                if self.keeps_order {
                    (alpha, by) = (true, None);
                }
                let mut members: Vec<_> = set.iter().map(Element::to_vec).collect();
                if self.store.is_some() {
                    members.sort_unstable();
                }
                members
            }
            _ => return Err(Error::WrongType),
        };
        let mut weighted = weigh(keys, elements, by, alpha)?;
        weighted.sort_by(|one, other| {
            let (one, other) = if self.descending { (other, one) } else { (one, other) };
            compare(one, other)
        });
        let window = self.window(weighted.len());
        weighted.truncate(window.end);
        Ok(weighted.drain(window.start..).map(|(_, element)| element).collect())
    }
}

/// The same window counted from the other end.
fn mirrored(window: Range<usize>, len: usize) -> Range<usize> {
    len - window.end..len - window.start
}

fn weigh(
    keys: &mut Keyspace<'_>,
    elements: Vec<Vec<u8>>,
    by: Option<SortPattern<'_>>,
    alpha: bool,
) -> Result<Vec<(Weight, Vec<u8>)>, Error> {
    let score = |text: &[u8]| score(text).ok_or(Error::SCORE_NOT_A_FLOAT);
    let weigh = |element: Vec<u8>| {
        let weight = match by {
            None if alpha => Weight::Own,
            None => Weight::Score(score(&element)?),
            Some(by) if alpha => {
                Weight::Text(look_up(keys, by, &element, |text| text.map(<[u8]>::to_vec)))
            }
            Some(by) => {
                Weight::Score(look_up(keys, by, &element, |text| text.map_or(Ok(0.0), score))?)
            }
        };
        Ok((weight, element))
    };
    elements.into_iter().map(weigh).collect()
}

fn compare(
    (weight, element): &(Weight, Vec<u8>),
    (other_weight, other): &(Weight, Vec<u8>),
) -> Ordering {
    match (weight, other_weight) {
        (Weight::Score(one), Weight::Score(two)) => {
            one.partial_cmp(two).unwrap_or(Ordering::Equal).then_with(|| element.cmp(other))
        }
        (Weight::Text(one), Weight::Text(two)) => one.cmp(two),
        _ => element.cmp(other),
    }
}

/// The number that a text begins with in C: it ends at a zero byte, and nothing is 0.
fn score(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    number::parse_f64(&text[text.iter().take_while(|byte| is_space(byte)).count()..])
}

/// Shows `see` the string that a pattern leads to from an element.
fn look_up<R>(
    keys: &mut Keyspace<'_>,
    pattern: SortPattern<'_>,
    element: &[u8],
    see: impl FnOnce(Option<&[u8]>) -> R,
) -> R {
    let (prefix, suffix, field) = match pattern {
        SortPattern::Element => return see(Some(element)),
        SortPattern::Nothing => return see(None),
        SortPattern::Key { prefix, suffix, field } => (prefix, suffix, field),
    };
    let key = [prefix, element, suffix].concat();
    let hasher = &keys.rules.hasher;
    let slot = keys.read(&key);
    let Some(field) = field else { return see(slot.and_then(|slot| slot.as_text())) };
    match slot.and_then(|slot| slot.as_value()) {
        Some(Value::Hash(hash)) => match hash.get(hasher, field) {
            Some(value) => value.with(|value| see(Some(value))),
            None => see(None),
        },
        _ => see(None),
    }
}

fn say(cx: &mut Cx<'_>, elements: &[Vec<u8>], gets: &[SortPattern<'_>]) {
    cx.reply.array(elements.len() * gets.len().max(1));
    for element in elements {
        if gets.is_empty() {
            cx.reply.bulk(element);
        }
        for get in gets {
            look_up(&mut cx.keys, *get, element, |found| match found {
                Some(found) => cx.reply.bulk(found),
                None => cx.reply.nil(),
            });
        }
    }
}

/// Makes the outcome a list; what is not found is an empty string there.
fn store(cx: &mut Cx<'_>, to: &[u8], elements: &[Vec<u8>], gets: &[SortPattern<'_>]) {
    let limits = &cx.keys.rules.settings.limits;
    let mut list = List::empty();
    for element in elements {
        if gets.is_empty() {
            list.push_back(element, limits);
        }
        for get in gets {
            look_up(&mut cx.keys, *get, element, |found| {
                list.push_back(found.unwrap_or_default(), limits);
            });
        }
    }
    cx.reply.integer(list.len() as i64);
    cx.keys.set_collection(to, list, "sortstore");
}
