//! Lists: pushing to and popping from either end, positions, and moves between lists. What waits
//! for elements is in `list_blocking.rs`.

use alloc::vec::Vec;
use core::ops::Range;

use super::{element, pop};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::{Edit, Event, ListEnd as End};
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::element::Element;
use crate::types::list::List;
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("LPUSH", lpush, -3)
        .group(Group::List)
        .write_denyoom()
        .fast()
        .key()
        .usage("key element [element ...]")
        .since("1.0.0", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.")
        .summary("Prepends one or more elements to a list. Creates the key if it doesn't exist."),
    command("RPUSH", rpush, -3)
        .group(Group::List)
        .write_denyoom()
        .fast()
        .key()
        .usage("key element [element ...]")
        .since("1.0.0", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.")
        .summary("Appends one or more elements to a list. Creates the key if it doesn't exist."),
    command("LPUSHX", lpushx, -3)
        .group(Group::List)
        .write_denyoom()
        .fast()
        .key()
        .usage("key element [element ...]")
        .since("2.2.0", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.")
        .summary("Prepends one or more elements to a list only when the list exists."),
    command("RPUSHX", rpushx, -3)
        .group(Group::List)
        .write_denyoom()
        .fast()
        .key()
        .usage("key element [element ...]")
        .since("2.2.0", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.")
        .summary("Appends an element to a list only when the list exists."),
    command("LPOP", lpop, -2)
        .group(Group::List)
        .write()
        .fast()
        .key()
        .usage("key [count]")
        .since("1.0.0", "O(N) where N is the number of elements returned")
        .summary("Returns the first elements in a list after removing it. Deletes the list if the last element was popped."),
    command("RPOP", rpop, -2)
        .group(Group::List)
        .write()
        .fast()
        .key()
        .usage("key [count]")
        .since("1.0.0", "O(N) where N is the number of elements returned")
        .summary("Returns and removes the last elements of a list. Deletes the list if the last element was popped."),
    command("LLEN", llen, 2)
        .group(Group::List)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Returns the length of a list."),
    command("LRANGE", lrange, 4)
        .group(Group::List)
        .readonly()
        .key()
        .usage("key start stop")
        .since("1.0.0", "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.")
        .summary("Returns a range of elements from a list."),
    command("LINDEX", lindex, 3)
        .group(Group::List)
        .readonly()
        .key()
        .usage("key index")
        .since("1.0.0", "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).")
        .summary("Returns an element from a list by its index."),
    command("LSET", lset, 4)
        .group(Group::List)
        .write_denyoom()
        .key()
        .usage("key index element")
        .since("1.0.0", "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).")
        .summary("Sets the value of an element in a list by its index."),
    command("LREM", lrem, 4)
        .group(Group::List)
        .write()
        .key()
        .usage("key count element")
        .since("1.0.0", "O(N+M) where N is the length of the list and M is the number of elements removed.")
        .summary("Removes elements from a list. Deletes the list if the last element was removed."),
    command("LTRIM", ltrim, 4)
        .group(Group::List)
        .write()
        .key()
        .usage("key start stop")
        .since("1.0.0", "O(N) where N is the number of elements to be removed by the operation.")
        .summary("Removes elements from both ends a list. Deletes the list if all elements were trimmed."),
    command("LINSERT", linsert, 5)
        .group(Group::List)
        .write_denyoom()
        .key()
        .usage("key <BEFORE|AFTER> pivot element")
        .since("2.2.0", "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).")
        .summary("Inserts an element before or after another element in a list."),
    command("LPOS", lpos, -3)
        .group(Group::List)
        .readonly()
        .key()
        .usage("key element [RANK rank] [COUNT num-matches] [MAXLEN len]")
        .since("6.0.6", "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.")
        .summary("Returns the index of matching elements in a list."),
    command("LMOVE", lmove, 5)
        .group(Group::List)
        .write_denyoom()
        .keys(KeySpec::FIRST_TWO)
        .usage("source destination <LEFT|RIGHT> <LEFT|RIGHT>")
        .since("6.2.0", "O(1)")
        .summary("Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved."),
    command("RPOPLPUSH", rpoplpush, 3)
        .group(Group::List)
        .write_denyoom()
        .keys(KeySpec::FIRST_TWO)
        .usage("source destination")
        .since("1.2.0", "O(1)")
        .summary("Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped."),
    command("LMPOP", lmpop, -4)
        .group(Group::List)
        .write()
        .keys(KeySpec::Counted { count: 1, destination: 0 })
        .usage("numkeys key [key ...] <LEFT|RIGHT> [COUNT count]")
        .since("7.0.0", "O(N+M) where N is the number of provided keys and M is the number of elements returned.")
        .summary("Returns multiple elements from a list after removing them. Deletes the list if the last element was popped."),
];

fn lpush(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Head, false)
}

fn rpush(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Tail, false)
}

fn lpushx(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Head, true)
}

fn rpushx(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    push(cx, args, End::Tail, true)
}

fn push(cx: &mut Cx<'_>, args: &mut Args<'_>, end: End, only_existing: bool) -> Result<(), Error> {
    let key = args.bytes()?;
    let elements = args.rest();
    let push = |list: &mut Edit<'_, List>| {
        elements.for_each(|element| list.push(end, element));
        Ok(list.len())
    };
    let len = if only_existing {
        cx.keys.edit(key, push_event(end), push)?.unwrap_or(0)
    } else {
        cx.keys.edit_or_create(key, push_event(end), push)?
    };
    cx.reply.integer(len as i64);
    Ok(())
}

fn push_event(end: End) -> Event {
    match end {
        End::Head => "lpush",
        End::Tail => "rpush",
    }
}

pub(super) fn pop_event(end: End) -> Event {
    match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    }
}

/// The command that pops from one list.
pub(super) fn pop_name(end: End) -> &'static str {
    match end {
        End::Head => "LPOP",
        End::Tail => "RPOP",
    }
}

fn lpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop_some(cx, args, End::Head)
}

fn rpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    pop_some(cx, args, End::Tail)
}

fn pop_some(cx: &mut Cx<'_>, args: &mut Args<'_>, end: End) -> Result<(), Error> {
    let key = args.bytes()?;
    if args.left() > 1 {
        return Err(Error::WrongArity(pop_event(end).into()));
    }
    let count = if args.is_done() { None } else { Some(args.count()?) };
    let reply = &mut *cx.reply;
    let popped = cx.keys.edit(key, pop_event(end), |list: &mut Edit<'_, List>| {
        let taken = count.unwrap_or(1).min(list.len());
        if count.is_some() {
            reply.array(taken);
        }
        list.pop_many(end, taken, |one| element::say(reply, one));
        Ok(())
    })?;
    match (popped, count) {
        (Some(()), _) => {}
        (None, Some(_)) => reply.nil_array(),
        (None, None) => reply.nil(),
    }
    Ok(())
}

fn llen(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.collection::<List>(args.bytes()?)?.map_or(0, List::len);
    cx.reply.integer(len as i64);
    Ok(())
}

fn lrange(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, start, stop) = (args.bytes()?, args.integer()?, args.integer()?);
    let Some(list) = cx.keys.collection::<List>(key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let range = index_range(start, stop, list.len());
    cx.reply.array(range.len());
    list.range(range).for_each(|element| element::say(cx.reply, element));
    Ok(())
}

/// The indices from `start` to `stop`, both included and, if negative, counted from the end.
pub(super) fn index_range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_end = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

/// The index that `index`, negative from the end, means in so many elements.
fn index_in(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

fn lindex(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, index) = (args.bytes()?, args.bytes()?);
    let mut element = None;
    if let Some(list) = cx.keys.collection::<List>(key)? {
        // A key that is not there makes the index irrelevant.
        let index = number::parse_i64(index).ok_or(Error::NotAnInteger)?;
        element = index_in(index, list.len()).and_then(|index| list.get(index));
    }
    match element {
        Some(element) => element::say(cx.reply, element),
        None => cx.reply.nil(),
    }
    Ok(())
}

fn lset(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, index, element) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let set = cx.keys.edit(key, "lset", |list: &mut Edit<'_, List>| {
        let index = number::parse_i64(index).ok_or(Error::NotAnInteger)?;
        let index = index_in(index, list.len()).ok_or(Error::IndexOutOfRange)?;
        list.set(index, element);
        Ok(())
    })?;
    set.ok_or(Error::NoSuchKey)?;
    cx.reply.ok();
    Ok(())
}

fn lrem(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, count, element) = (args.bytes()?, args.integer()?, args.bytes()?);
    let end = if count < 0 { End::Tail } else { End::Head };
    let count_max = match count {
        0 => usize::MAX,
        count => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
    };
    let removed = cx.keys.edit(key, "lrem", |list: &mut Edit<'_, List>| {
        Ok(list.remove_equal(element, count_max, end))
    })?;
    cx.reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

fn ltrim(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, start, stop) = (args.bytes()?, args.integer()?, args.integer()?);
    cx.keys.edit(key, "ltrim", |list: &mut Edit<'_, List>| {
        let kept = index_range(start, stop, list.len());
        list.keep(kept);
        Ok(())
    })?;
    cx.reply.ok();
    Ok(())
}

fn linsert(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let after = args.one_of(&["BEFORE", "AFTER"]).ok_or(Error::Syntax)?;
    let (pivot, element) = (args.bytes()?, args.bytes()?);
    let len = cx.keys.edit(key, "linsert", |list: &mut Edit<'_, List>| {
        let Some(index) = list.iter().position(|other| other == *pivot) else { return Ok(-1) };
        list.insert(index + after, element);
        Ok(list.len() as i64)
    })?;
    cx.reply.integer(len.unwrap_or(0));
    Ok(())
}

struct LposOptions {
    rank: i64,
    count: Option<usize>,
    compared_max: usize,
}

fn lpos_options(args: &mut Args<'_>) -> Result<LposOptions, Error> {
    let mut options = LposOptions { rank: 1, count: None, compared_max: usize::MAX };
    // 0 means "no limit" for both.
    let limit = |value: i64| if value == 0 { usize::MAX } else { value as usize };
    while !args.is_done() {
        match args.one_of(&["RANK", "COUNT", "MAXLEN"]) {
            Some(0) => {
                options.rank = args.integer()?;
                match options.rank {
                    0 => return Err(Error::RANK_ZERO),
                    i64::MIN => return Err(Error::VALUE_NOT_NEGATABLE),
                    _ => {}
                }
            }
            Some(1) => {
                let count = args.integer_within(0..=i64::MAX, Error::COUNT_NEGATIVE)?;
                options.count = Some(limit(count));
            }
            Some(_) => {
                let compared = args.integer_within(0..=i64::MAX, Error::MAXLEN_NEGATIVE)?;
                options.compared_max = limit(compared);
            }
            None => return Err(Error::Syntax),
        }
    }
    Ok(options)
}

fn lpos(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, element) = (args.bytes()?, args.bytes()?);
    let options = lpos_options(args)?;
    let list = cx.keys.collection::<List>(key)?;
    let found = list.map_or_else(Vec::new, |list| positions(list, element, &options));
    match (options.count, found.first()) {
        (Some(_), _) => {
            cx.reply.array(found.len());
            found.iter().for_each(|index| cx.reply.integer(*index as i64));
        }
        (None, Some(index)) => cx.reply.integer(*index as i64),
        (None, None) => cx.reply.nil(),
    }
    Ok(())
}

/// Where `element` is in a list, as LPOS counts.
fn positions(list: &List, element: &[u8], options: &LposOptions) -> Vec<usize> {
    let skipped = options.rank.unsigned_abs() as usize - 1;
    let count = options.count.unwrap_or(1);
    let len = list.len();
    let found = |places: &mut dyn Iterator<Item = Element<'_>>| {
        let places = places.take(options.compared_max).enumerate();
        let places = places.filter(|(_, other)| *other == *element);
        places.map(|(place, _)| place).skip(skipped).take(count).collect()
    };
    if options.rank > 0 {
        return found(&mut list.iter());
    }
    let from_end: Vec<usize> = found(&mut list.range_rev(0..len));
    from_end.into_iter().map(|place| len - 1 - place).collect()
}

fn lmove(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (source, destination) = (args.bytes()?, args.bytes()?);
    let (from, to) = (take_end(args)?, take_end(args)?);
    if !move_element(cx, (source, from), (destination, to))? {
        cx.reply.nil();
    }
    Ok(())
}

fn rpoplpush(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (source, destination) = (args.bytes()?, args.bytes()?);
    if !move_element(cx, (source, End::Tail), (destination, End::Head))? {
        cx.reply.nil();
    }
    Ok(())
}

pub(super) fn take_end(args: &mut Args<'_>) -> Result<End, Error> {
    match args.one_of(&["LEFT", "RIGHT"]) {
        Some(0) => Ok(End::Head),
        Some(_) => Ok(End::Tail),
        None => Err(Error::Syntax),
    }
}

/// Moves an element from one end to another and says it. `false`, with nothing said, if there is
/// none.
pub(super) fn move_element(
    cx: &mut Cx<'_>,
    (source, from): (&[u8], End),
    (destination, to): (&[u8], End),
) -> Result<bool, Error> {
    let Some(list) = cx.keys.peek_collection::<List>(source)? else { return Ok(false) };
    let index = if from == End::Head { 0 } else { list.len() - 1 };
    let element = list.get(index).map(Element::to_vec).unwrap_or_default();
    // Before the pop, so that a list which moves its only element to itself does not vanish.
    cx.keys.edit_or_create(destination, push_event(to), |list: &mut Edit<'_, List>| {
        list.push(to, &element);
        Ok(())
    })?;
    cx.keys.edit(source, pop_event(from), |list: &mut Edit<'_, List>| Ok(list.pop(from)))?;
    cx.reply.bulk(&element);
    Ok(true)
}

fn lmpop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let request = pop::take(args, ["LEFT", "RIGHT"])?;
    if !pop_first(cx, &request)? {
        cx.reply.nil_array();
    }
    Ok(())
}

/// Pops from the first list that is there and says what came. `false`, with nothing said, if none
/// is.
pub(super) fn pop_first(cx: &mut Cx<'_>, request: &pop::Request<'_>) -> Result<bool, Error> {
    let end = if request.from_second { End::Tail } else { End::Head };
    for key in &request.keys {
        let reply = &mut *cx.reply;
        let popped = cx.keys.edit(key, pop_event(end), |list: &mut Edit<'_, List>| {
            let taken = request.count.min(list.len());
            reply.array(2);
            reply.bulk(key);
            reply.array(taken);
            list.pop_many(end, taken, |one| element::say(reply, one));
            Ok(taken)
        })?;
        if let Some(taken) = popped {
            cx.rewrite(&[&pop_name(end), key, &taken]);
            return Ok(true);
        }
    }
    Ok(false)
}
