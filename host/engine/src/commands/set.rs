//! Sets: members, random members, algebra.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::draw::{self, Draw};
use super::{element, scan};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::effects::removal;
use crate::error::Error;
use crate::keyspace::Keyspace;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::algebra;
use crate::types::set::Set;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("SADD", sadd, -3)
        .group(Group::Set)
        .write_denyoom()
        .fast()
        .key()
        .usage("key member [member ...]")
        .since("1.0.0", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.")
        .summary("Adds one or more members to a set. Creates the key if it doesn't exist."),
    command("SREM", srem, -3)
        .group(Group::Set)
        .write()
        .fast()
        .key()
        .usage("key member [member ...]")
        .since("1.0.0", "O(N) where N is the number of members to be removed.")
        .summary("Removes one or more members from a set. Deletes the set if the last member was removed."),
    command("SISMEMBER", sismember, 3)
        .group(Group::Set)
        .readonly()
        .fast()
        .key()
        .usage("key member")
        .since("1.0.0", "O(1)")
        .summary("Determines whether a member belongs to a set."),
    command("SMISMEMBER", smismember, -3)
        .group(Group::Set)
        .readonly()
        .fast()
        .key()
        .usage("key member [member ...]")
        .since("6.2.0", "O(N) where N is the number of elements being checked for membership")
        .summary("Determines whether multiple members belong to a set."),
    command("SCARD", scard, 2)
        .group(Group::Set)
        .readonly()
        .fast()
        .key()
        .usage("key")
        .since("1.0.0", "O(1)")
        .summary("Returns the number of members in a set."),
    command("SMEMBERS", smembers, 2)
        .group(Group::Set)
        .readonly()
        .key()
        .usage("key")
        .since("1.0.0", "O(N) where N is the set cardinality.")
        .summary("Returns all members of a set."),
    command("SMOVE", smove, 4)
        .group(Group::Set)
        .write()
        .fast()
        .keys(KeySpec::FIRST_TWO)
        .usage("source destination member")
        .since("1.0.0", "O(1)")
        .summary("Moves a member from one set to another."),
    command("SPOP", spop, -2)
        .group(Group::Set)
        .write()
        .fast()
        .key()
        .usage("key [count]")
        .since("1.0.0", "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.")
        .summary("Returns one or more random members from a set after removing them. Deletes the set if the last member was popped."),
    command("SRANDMEMBER", srandmember, -2)
        .group(Group::Set)
        .readonly()
        .key()
        .usage("key [count]")
        .since("1.0.0", "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.")
        .summary("Get one or multiple random members from a set."),
    command("SINTER", sinter, -2)
        .group(Group::Set)
        .readonly()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.")
        .summary("Returns the intersect of multiple sets."),
    command("SINTERCARD", sintercard, -3)
        .group(Group::Set)
        .readonly()
        .keys(KeySpec::Counted { count: 1, destination: 0 })
        .usage("numkeys key [key ...] [LIMIT limit]")
        .since("7.0.0", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.")
        .summary("Returns the number of members of the intersect of multiple sets."),
    command("SINTERSTORE", sinterstore, -3)
        .group(Group::Set)
        .write_denyoom()
        .keys(KeySpec::ALL)
        .usage("destination key [key ...]")
        .since("1.0.0", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.")
        .summary("Stores the intersect of multiple sets in a key."),
    command("SUNION", sunion, -2)
        .group(Group::Set)
        .readonly()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N) where N is the total number of elements in all given sets.")
        .summary("Returns the union of multiple sets."),
    command("SUNIONSTORE", sunionstore, -3)
        .group(Group::Set)
        .write_denyoom()
        .keys(KeySpec::ALL)
        .usage("destination key [key ...]")
        .since("1.0.0", "O(N) where N is the total number of elements in all given sets.")
        .summary("Stores the union of multiple sets in a key."),
    command("SDIFF", sdiff, -2)
        .group(Group::Set)
        .readonly()
        .keys(KeySpec::ALL)
        .usage("key [key ...]")
        .since("1.0.0", "O(N) where N is the total number of elements in all given sets.")
        .summary("Returns the difference of multiple sets."),
    command("SDIFFSTORE", sdiffstore, -3)
        .group(Group::Set)
        .write_denyoom()
        .keys(KeySpec::ALL)
        .usage("destination key [key ...]")
        .since("1.0.0", "O(N) where N is the total number of elements in all given sets.")
        .summary("Stores the difference of multiple sets in a key."),
    command("SSCAN", sscan, -3)
        .group(Group::Set)
        .readonly()
        .key()
        .usage("key cursor [MATCH pattern] [COUNT count]")
        .since("2.8.0", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.")
        .summary("Iterates over members of a set."),
];

fn sadd(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, members) = (args.bytes()?, args.rest());
    let added = cx.keys.edit_or_create::<Set, _>(key, "sadd", |set| {
        Ok(members.filter(|member| set.add(member)).count())
    })?;
    cx.reply.integer(added as i64);
    Ok(())
}

fn srem(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, members) = (args.bytes()?, args.rest());
    let removed = cx.keys.edit::<Set, _>(key, "srem", |set| {
        Ok(members.filter(|member| set.remove(member)).count())
    })?;
    cx.reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

fn sismember(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, member) = (args.bytes()?, args.bytes()?);
    let hasher = &cx.keys.rules.hasher;
    let set = cx.keys.collection::<Set>(key)?;
    let inside = set.is_some_and(|set| set.contains(hasher, member));
    cx.reply.integer(i64::from(inside));
    Ok(())
}

fn smismember(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, members) = (args.bytes()?, args.rest());
    let hasher = &cx.keys.rules.hasher;
    let set = cx.keys.collection::<Set>(key)?;
    cx.reply.array(members.len());
    for member in members {
        let inside = set.is_some_and(|set| set.contains(hasher, member));
        cx.reply.integer(i64::from(inside));
    }
    Ok(())
}

fn scard(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let len = cx.keys.collection::<Set>(args.bytes()?)?.map_or(0, Set::len);
    cx.reply.integer(len as i64);
    Ok(())
}

fn smembers(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let set = cx.keys.collection::<Set>(args.bytes()?)?;
    cx.reply.set(set.map_or(0, Set::len));
    let members = set.into_iter().flat_map(Set::iter);
    members.for_each(|member| element::say(cx.reply, member));
    Ok(())
}

fn smove(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (source, destination, member) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let hasher = &cx.keys.rules.hasher;
    // Whoever moves a member does not count as a reader.
    cx.keys.exists(source);
    let inside = match cx.keys.peek_collection::<Set>(source)? {
        Some(set) => {
            let inside = set.contains(hasher, member);
            cx.keys.peek_collection::<Set>(destination)?;
            inside
        }
        None => false,
    };
    if inside && source != destination {
        cx.keys.edit::<Set, _>(source, "srem", |set| Ok(set.remove(member)))?;
        cx.keys.edit_or_create::<Set, _>(destination, "sadd", |set| Ok(set.add(member)))?;
    }
    cx.reply.integer(i64::from(inside));
    Ok(())
}

fn spop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    match args.left() {
        0 => pop_one(cx, key),
        1 => pop_many(cx, key, args.count()?),
        _ => Err(Error::Syntax),
    }
}

fn pop_one(cx: &mut Cx<'_>, key: &[u8]) -> Result<(), Error> {
    let mut random = || cx.host.random();
    let popped = cx.keys.edit::<Set, _>(key, "spop", |set| Ok(set.pop_random(&mut random)))?;
    match popped.flatten() {
        Some(member) => {
            cx.rewrite(&[&"SREM", &key, &&*member]);
            cx.reply.bulk(&member);
        }
        None => cx.reply.nil(),
    }
    Ok(())
}

fn pop_many(cx: &mut Cx<'_>, key: &[u8], count: usize) -> Result<(), Error> {
    let len = cx.keys.peek_collection::<Set>(key)?.map_or(0, Set::len);
    let count = count.min(len);
    cx.reply.set(count);
    if count == 0 {
        return Ok(());
    }
    let reply = &mut *cx.reply;
    if count == len {
        cx.keys.take_collection::<Set, _>(key, "spop", |set| {
            set.iter().for_each(|member| element::say(reply, member));
        })?;
        cx.rewrite(&[&removal(cx.keys.rules.settings.lazy.server_del), &key]);
        return Ok(());
    }
    let mut random = || cx.host.random();
    let (propagates, mut gone) = (cx.keys.propagates(), Vec::new());
    cx.keys.edit::<Set, _>(key, "spop", |set| {
        for member in (0..count).map_while(|_| set.pop_random(&mut random)) {
            reply.bulk(&member);
            if propagates {
                gone.push(member);
            }
        }
        Ok(())
    })?;
    cx.rewrite_each(&[&"SREM", &key], &gone);
    Ok(())
}

fn srandmember(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    if args.left() > 1 {
        return Err(Error::Syntax);
    }
    let draw = if args.is_done() { None } else { Some(Draw::take(args)?) };
    let bytes_max = cx.keys.rules.settings.string_bytes_max;
    let mut random = || cx.host.random();
    let Some(set) = cx.keys.collection::<Set>(key)? else {
        match draw {
            Some(_) => cx.reply.array(0),
            None => cx.reply.nil(),
        }
        return Ok(());
    };
    let mut say_one = |reply: &mut _| match set.random(&mut random) {
        Some(member) => element::say(reply, member),
        None => reply.nil(),
    };
    match draw {
        None => say_one(cx.reply),
        Some(Draw::Repeated(count)) => {
            cx.reply.array(count);
            draw::say_repeated(cx.reply, count, bytes_max, say_one)?;
        }
        Some(Draw::Different(count)) if count >= set.len() => {
            cx.reply.array(set.len());
            set.iter().for_each(|member| element::say(cx.reply, member));
        }
        Some(Draw::Different(count)) => {
            cx.reply.array(count);
            let sample = set.sample(count, &mut random);
            sample.into_iter().for_each(|member| element::say(cx.reply, member));
        }
    }
    Ok(())
}

/// The sets at `names`, `None` where there is no key. Each is counted as read, and a key of another
/// type is an error wherever it stands.
fn sets<'k, 'n>(
    keys: &'k mut Keyspace<'_>,
    names: impl Iterator<Item = &'n [u8]> + Clone,
) -> Result<Vec<Option<&'k Set>>, Error> {
    for name in names.clone() {
        keys.collection::<Set>(name)?;
    }
    let keys = &*keys;
    names.map(|name| keys.peek_collection(name)).collect()
}

/// The sets to intersect, each once: none if any is missing, because then nothing is in all of them.
fn all_or_none(sets: Vec<Option<&Set>>) -> Vec<&Set> {
    let mut seen = BTreeSet::new();
    let mut sets: Vec<&Set> = sets.into_iter().collect::<Option<_>>().unwrap_or_default();
    sets.retain(|set| seen.insert(core::ptr::from_ref(*set)));
    sets
}

fn sinter(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let hasher = &cx.keys.rules.hasher;
    let sets = all_or_none(sets(&mut cx.keys, args.many(args.left())?)?);
    let (start, mut count) = (cx.reply.mark(), 0);
    algebra::intersect(hasher, &sets, |member| {
        element::say(cx.reply, member);
        count += 1;
        ControlFlow::Continue(())
    });
    cx.reply.set_since(start, count);
    Ok(())
}

fn sintercard(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let count = args.integer_within(1..=i64::MAX, Error::NUM_KEYS)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > args.left() {
        return Err(Error::NUM_KEYS_TOO_LARGE);
    }
    let names = args.many(count)?;
    let mut limit = 0;
    while !args.is_done() {
        if args.left() < 2 || !args.keyword("LIMIT") {
            return Err(Error::Syntax);
        }
        limit = args.integer_within(0..=i64::MAX, Error::LIMIT_NEGATIVE)?;
    }
    let hasher = &cx.keys.rules.hasher;
    let sets = all_or_none(sets(&mut cx.keys, names)?);
    let mut found = 0;
    algebra::intersect(hasher, &sets, |_| {
        found += 1;
        if found == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    cx.reply.integer(found);
    Ok(())
}

fn sinterstore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let destination = args.bytes()?;
    let (hasher, limits) = (&cx.keys.rules.hasher, &cx.keys.rules.settings.limits);
    let sets = all_or_none(sets(&mut cx.keys, args.many(args.left())?)?);
    let mut result = Set::new();
    algebra::intersect(hasher, &sets, |member| {
        member.with(|text| result.add(hasher, text, limits));
        ControlFlow::Continue(())
    });
    store(cx, destination, result, "sinterstore");
    Ok(())
}

/// Sets the destination of a `*STORE` command, and says the number of members.
fn store(cx: &mut Cx<'_>, destination: &[u8], result: Set, event: &'static str) {
    let len = result.len();
    cx.keys.set_collection(destination, result, event);
    cx.reply.integer(len as i64);
}

fn sunion(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (hasher, limits) = (&cx.keys.rules.hasher, &cx.keys.rules.settings.limits);
    let sets = sets(&mut cx.keys, args.many(args.left())?)?;
    let sets: Vec<&Set> = sets.into_iter().flatten().collect();
    let (start, mut count) = (cx.reply.mark(), 0);
    algebra::unite(hasher, limits, &sets, |member| {
        element::say(cx.reply, member);
        count += 1;
    });
    cx.reply.set_since(start, count);
    Ok(())
}

fn sunionstore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let destination = args.bytes()?;
    let (hasher, limits) = (&cx.keys.rules.hasher, &cx.keys.rules.settings.limits);
    let sets = sets(&mut cx.keys, args.many(args.left())?)?;
    let mut result = Set::new();
    for member in sets.into_iter().flatten().flat_map(Set::iter) {
        member.with(|text| result.add(hasher, text, limits));
    }
    store(cx, destination, result, "sunionstore");
    Ok(())
}

fn sdiff(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (hasher, limits) = (&cx.keys.rules.hasher, &cx.keys.rules.settings.limits);
    let sets = sets(&mut cx.keys, args.many(args.left())?)?;
    let (start, mut count) = (cx.reply.mark(), 0);
    if let Some((set, others)) = first_and_others(&sets) {
        algebra::subtract(hasher, limits, set, &others, |member| {
            element::say(cx.reply, member);
            count += 1;
        });
    }
    cx.reply.set_since(start, count);
    Ok(())
}

/// What to subtract from what; `None` if there is nothing to subtract from.
fn first_and_others<'k>(sets: &[Option<&'k Set>]) -> Option<(&'k Set, Vec<&'k Set>)> {
    let (first, others) = sets.split_first()?;
    Some(((*first)?, others.iter().copied().flatten().collect()))
}

fn sdiffstore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let destination = args.bytes()?;
    let (hasher, limits) = (&cx.keys.rules.hasher, &cx.keys.rules.settings.limits);
    let sets = sets(&mut cx.keys, args.many(args.left())?)?;
    let mut result = Set::new();
    if let Some((set, others)) = first_and_others(&sets) {
        algebra::subtract(hasher, limits, set, &others, |member| {
            member.with(|text| result.add(hasher, text, limits));
        });
    }
    store(cx, destination, result, "sdiffstore");
    Ok(())
}

fn sscan(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, cursor) = (args.bytes()?, scan::cursor(args)?);
    let hasher = &cx.keys.rules.hasher;
    let Some(set) = cx.keys.collection::<Set>(key)? else {
        // Redis looks at options only if there is something to scan.
        args.skip_rest();
        scan::say(cx.reply, 0, &[]);
        return Ok(());
    };
    let options = scan::Options::take(args, scan::Extra::None)?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let cursor = set.scan(hasher, cursor, options.count, &mut |member| {
        member.with(|text| {
            if options.wants(text) {
                found.push(text.into());
            }
        });
    });
    scan::say(cx.reply, cursor, &found);
    Ok(())
}
