//! Commands of the fake server: one table, the handlers beneath it in the same order. Those that came
//! later stand in `others.rs`, streams in `streams.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::keyspace::{Keyspace, Value};
use super::scan::{scan, sscan};
use crate::{Cursor, Error, Reply, Result, Value as Step};

pub(super) type Run = fn(&mut Keyspace, &[&[u8]], &mut Reply) -> Result<()>;

/// Where the keys of a command stand.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    None,
    First,
    All,
    Pairs,
    FirstTwo,
}

/// One command.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) arity: i32,
    pub(super) write: bool,
    keys: Keys,
    pub(super) run: Run,
}

impl Entry {
    pub(super) fn keys<'a>(&self, argv: &[&'a [u8]]) -> Vec<&'a [u8]> {
        let arguments = argv[1..].iter().copied();
        match self.keys {
            Keys::None => Vec::new(),
            Keys::First => arguments.take(1).collect(),
            Keys::FirstTwo => arguments.take(2).collect(),
            Keys::All => arguments.collect(),
            Keys::Pairs => arguments.step_by(2).collect(),
        }
    }
}

pub(super) const fn read(name: &'static str, arity: i32, keys: Keys, run: Run) -> Entry {
    Entry { name, arity, write: false, keys, run }
}

pub(super) const fn write(name: &'static str, arity: i32, keys: Keys, run: Run) -> Entry {
    Entry { name, arity, write: true, keys, run }
}

pub(super) static TABLE: &[Entry] = &[
    read("EXISTS", -2, Keys::All, exists),
    read("TYPE", 2, Keys::First, type_),
    read("KEYS", 2, Keys::None, keys),
    read("SCAN", -2, Keys::None, scan),
    read("PTTL", 2, Keys::First, pttl),
    write("DEL", -2, Keys::All, del),
    write("PEXPIREAT", -3, Keys::First, pexpireat),
    write("PERSIST", 2, Keys::First, persist),
    read("GET", 2, Keys::First, get),
    read("MGET", -2, Keys::All, mget),
    write("SET", -3, Keys::First, set),
    write("MSET", -3, Keys::Pairs, mset),
    write("INCR", 2, Keys::First, incr),
    write("INCRBY", 3, Keys::First, incrby),
    read("SCARD", 2, Keys::First, scard),
    read("SMEMBERS", 2, Keys::First, smembers),
    read("SRANDMEMBER", 3, Keys::First, srandmember),
    read("SISMEMBER", 3, Keys::First, sismember),
    read("SMISMEMBER", -3, Keys::First, smismember),
    read("SSCAN", -3, Keys::First, sscan),
    write("SADD", -3, Keys::First, sadd),
    write("SREM", -3, Keys::First, srem),
    write("SMOVE", 4, Keys::FirstTwo, smove),
    read("ZCARD", 2, Keys::First, zcard),
    read("ZSCORE", 3, Keys::First, zscore),
    read("ZCOUNT", 4, Keys::First, zcount),
    read("ZRANGEBYSCORE", -4, Keys::First, zrangebyscore),
    read("ZREVRANGEBYSCORE", -4, Keys::First, zrevrangebyscore),
    write("ZADD", -4, Keys::First, zadd),
    write("ZREM", -3, Keys::First, zrem),
    write("ZREMRANGEBYRANK", 4, Keys::First, zremrangebyrank),
    write("ZREMRANGEBYSCORE", 4, Keys::First, zremrangebyscore),
    read("HGET", 3, Keys::First, hget),
    read("HLEN", 2, Keys::First, hlen),
    read("HGETALL", 2, Keys::First, hgetall),
    write("HSET", -4, Keys::First, hset),
    write("HDEL", -3, Keys::First, hdel),
    read("LLEN", 2, Keys::First, llen),
    read("LRANGE", 4, Keys::First, lrange),
    write("RPUSH", -3, Keys::First, rpush),
    write("LPOP", 2, Keys::First, lpop),
];

fn exists(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, args.iter().filter(|key| space.exists(key)).count())
}

fn type_(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    reply.status(space.get(args[0]).map_or("none", Value::type_name));
    Ok(())
}

fn keys(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let pattern = String::from_utf8_lossy(args[0]);
    let found = |key: &&[u8]| super::matches(&pattern, &String::from_utf8_lossy(key));
    say_all(reply, space.names().filter(found))
}

fn pttl(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let left = match space.deadline_ms(args[0]) {
        Some(deadline_ms) => (deadline_ms - space.now_ms).cast_signed(),
        None if space.exists(args[0]) => -1,
        None => -2,
    };
    reply.integer(left);
    Ok(())
}

fn del(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, args.iter().filter(|key| space.remove(key)).count())
}

pub(super) fn pexpireat(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let deadline_ms = integer(args[1])?.cast_unsigned();
    let only_first = args.get(2).is_some_and(|word| word.eq_ignore_ascii_case(b"NX"));
    let is_meant = !only_first || space.deadline_ms(args[0]).is_none();
    let value = space.get(args[0]).filter(|_| is_meant).cloned();
    say_count(reply, usize::from(value.is_some()))?;
    if let Some(value) = value {
        space.put(args[0], value, Some(deadline_ms));
    }
    Ok(())
}

fn persist(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let value = space.deadline_ms(args[0]).and_then(|_| space.get(args[0])).cloned();
    say_count(reply, usize::from(value.is_some()))?;
    if let Some(value) = value {
        space.put(args[0], value, None);
    }
    Ok(())
}

fn get(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    match text(space, args[0])? {
        Some(bytes) => reply.bulk(bytes),
        None => reply.nil(),
    };
    Ok(())
}

fn mget(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    reply.array(args.len());
    for key in args {
        match text(space, key) {
            Ok(Some(bytes)) => reply.bulk(bytes),
            _ => reply.nil(),
        };
    }
    Ok(())
}

fn set(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let mut deadline_ms = None;
    let mut options = args[2..].iter();
    let there = space.exists(args[0]);
    let mut wanted = true;
    while let Some(option) = options.next() {
        match option.to_ascii_uppercase().as_slice() {
            b"NX" => wanted = !there,
            b"XX" => wanted = there,
            b"KEEPTTL" => deadline_ms = space.deadline_ms(args[0]),
            unit @ (b"EX" | b"PX" | b"PXAT") => {
                let number = integer(options.next().ok_or(Error::SYNTAX)?)?.cast_unsigned();
                deadline_ms = Some(match unit {
                    b"EX" => space.now_ms + number * 1000,
                    b"PX" => space.now_ms + number,
                    _ => number,
                });
            }
            _ => return Err(Error::SYNTAX),
        }
    }
    if wanted {
        space.put(args[0], Value::Text(args[1].to_vec()), deadline_ms);
        reply.ok();
    } else {
        reply.nil();
    }
    Ok(())
}

fn mset(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::wrong_arity(b"mset"));
    }
    for pair in args.chunks_exact(2) {
        space.put(pair[0], Value::Text(pair[1].to_vec()), None);
    }
    reply.ok();
    Ok(())
}

fn incr(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    incrby(space, &[args[0], b"1"], reply)
}

pub(super) fn incrby(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let number = text(space, args[0])?.map_or(Ok(0), integer)?;
    let sum = number.checked_add(integer(args[1])?).ok_or(Error::NOT_AN_INTEGER)?;
    let deadline_ms = space.deadline_ms(args[0]);
    space.put(args[0], Value::Text(sum.to_string().into_bytes()), deadline_ms);
    reply.integer(sum);
    Ok(())
}

fn scard(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, members(space, args[0])?.len())
}

fn smembers(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let members = members(space, args[0])?;
    reply.set(members.len());
    for member in &members {
        reply.bulk(member);
    }
    Ok(())
}

/// Some members, each once: here the first ones, so that tests are the same each time.
fn srandmember(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let most = usize::try_from(integer(args[1])?).map_err(|_| Error::SYNTAX)?;
    let members = members(space, args[0])?;
    say_all(reply, members.iter().map(Vec::as_slice).take(most))
}

fn sismember(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, usize::from(members(space, args[0])?.contains(args[1])))
}

fn smismember(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let members = members(space, args[0])?;
    reply.array(args.len() - 1);
    for member in &args[1..] {
        reply.integer(i64::from(members.contains(*member)));
    }
    Ok(())
}

fn sadd(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let added = space.change(
        args[0],
        || Value::Set(BTreeSet::new()),
        as_set,
        |set| args[1..].iter().filter(|member| set.insert(member.to_vec())).count(),
    )?;
    say_count(reply, added)
}

fn srem(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let removed = space.change(
        args[0],
        || Value::Set(BTreeSet::new()),
        as_set,
        |set| args[1..].iter().filter(|member| set.remove(**member)).count(),
    )?;
    say_count(reply, removed)
}

fn smove(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    members(space, args[1])?;
    let there = members(space, args[0])?.contains(args[2]);
    if there {
        srem(space, &[args[0], args[2]], &mut Reply::new())?;
        sadd(space, &[args[1], args[2]], &mut Reply::new())?;
    }
    say_count(reply, usize::from(there))
}

fn zcard(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, scores(space, args[0])?.len())
}

fn zscore(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    match scores(space, args[0])?.get(args[1]) {
        Some(score) => reply.bulk(score.to_string()),
        None => reply.nil(),
    };
    Ok(())
}

fn zcount(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, between(space, args)?.len())
}

fn zrangebyscore(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let found = between(space, args)?;
    say_range(&args[3..], found.into_iter(), reply)
}

fn zrevrangebyscore(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let found = between(space, &[args[0], args[2], args[1]])?;
    say_range(&args[3..], found.into_iter().rev(), reply)
}

/// The part of a range that the options ask for.
fn say_range(
    options: &[&[u8]],
    found: impl Iterator<Item = (Vec<u8>, f64)>,
    reply: &mut Reply,
) -> Result<()> {
    let (scores, options) = match options {
        [word, rest @ ..] if word.eq_ignore_ascii_case(b"WITHSCORES") => (true, rest),
        options => (false, options),
    };
    let (skip, take) = match options {
        [] => (0, usize::MAX),
        [word, skip, take] if word.eq_ignore_ascii_case(b"LIMIT") => {
            (integer(skip)?.cast_unsigned() as usize, integer(take)?.cast_unsigned() as usize)
        }
        _ => return Err(Error::SYNTAX),
    };
    let page: Vec<_> = found.skip(skip).take(take).collect();
    reply.array(if scores { page.len() * 2 } else { page.len() });
    for (member, score) in page {
        reply.bulk(member);
        if scores {
            reply.double(score);
        }
    }
    Ok(())
}

fn zadd(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let pairs = args[1..].chunks_exact(2);
    let pairs = pairs.map(|pair| Ok((float(pair[0])?, pair[1]))).collect::<Result<Vec<_>>>()?;
    let added = space.change(
        args[0],
        || Value::Sorted(BTreeMap::new()),
        as_sorted,
        |sorted| {
            let insert = |(score, member): &(f64, &[u8])| sorted.insert(member.to_vec(), *score);
            pairs.iter().filter_map(insert).count()
        },
    )?;
    say_count(reply, pairs.len() - added)
}

fn zrem(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let removed = space.change(
        args[0],
        || Value::Sorted(BTreeMap::new()),
        as_sorted,
        |sorted| args[1..].iter().filter(|member| sorted.remove(**member).is_some()).count(),
    )?;
    say_count(reply, removed)
}

fn zremrangebyrank(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let all = between(space, &[args[0], b"-inf", b"+inf"])?;
    let rank = |place: i64| if place < 0 { place + all.len() as i64 } else { place };
    let (first, last) = (rank(integer(args[1])?), rank(integer(args[2])?));
    let ranked = (0_i64..).zip(&all).filter(|(rank, _)| (first..=last).contains(rank));
    let mut words = vec![args[0]];
    words.extend(ranked.map(|(_, (member, _))| member.as_slice()));
    zrem(space, &words, reply)
}

fn zremrangebyscore(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let found = between(space, args)?;
    let mut words = vec![args[0]];
    words.extend(found.iter().map(|(member, _)| member.as_slice()));
    zrem(space, &words, reply)
}

fn hget(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    match fields(space, args[0])?.get(args[1]) {
        Some(value) => reply.bulk(value),
        None => reply.nil(),
    };
    Ok(())
}

fn hlen(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, fields(space, args[0])?.len())
}

fn hgetall(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let fields = fields(space, args[0])?;
    reply.pairs(fields.len());
    for (field, value) in &fields {
        reply.bulk(field).bulk(value);
    }
    Ok(())
}

fn hset(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    if args.len().is_multiple_of(2) {
        return Err(Error::wrong_arity(b"hset"));
    }
    let added = space.change(
        args[0],
        || Value::Hash(BTreeMap::new()),
        as_hash,
        |hash| {
            let pairs = args[1..].chunks_exact(2);
            pairs.filter(|pair| hash.insert(pair[0].to_vec(), pair[1].to_vec()).is_none()).count()
        },
    )?;
    say_count(reply, added)
}

fn hdel(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let removed = space.change(
        args[0],
        || Value::Hash(BTreeMap::new()),
        as_hash,
        |hash| args[1..].iter().filter(|field| hash.remove(**field).is_some()).count(),
    )?;
    say_count(reply, removed)
}

fn llen(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, elements(space, args[0])?.len())
}

fn lrange(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let list = elements(space, args[0])?;
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let place = |index: i64| if index < 0 { index + length } else { index };
    let (first, last) = (place(integer(args[1])?).max(0), place(integer(args[2])?).min(length - 1));
    let range = first.cast_unsigned() as usize..(last + 1).max(first).cast_unsigned() as usize;
    say_all(reply, range.filter_map(|index| list.get(index)).map(Vec::as_slice))
}

fn rpush(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let length = space.change(
        args[0],
        || Value::List(VecDeque::new()),
        as_list,
        |list| {
            list.extend(args[1..].iter().map(|element| element.to_vec()));
            list.len()
        },
    )?;
    say_count(reply, length)
}

fn lpop(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let fresh = || Value::List(VecDeque::new());
    match space.change(args[0], fresh, as_list, VecDeque::pop_front)? {
        Some(element) => reply.bulk(element),
        None => reply.nil(),
    };
    Ok(())
}

pub(super) fn text<'a>(space: &'a Keyspace, key: &[u8]) -> Result<Option<&'a [u8]>> {
    match space.get(key) {
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Error::WRONG_TYPE),
        None => Ok(None),
    }
}

pub(super) fn members(space: &Keyspace, key: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
    match space.get(key) {
        Some(Value::Set(set)) => Ok(set.clone()),
        Some(_) => Err(Error::WRONG_TYPE),
        None => Ok(BTreeSet::new()),
    }
}

pub(super) fn scores(space: &Keyspace, key: &[u8]) -> Result<BTreeMap<Vec<u8>, f64>> {
    match space.get(key) {
        Some(Value::Sorted(sorted)) => Ok(sorted.clone()),
        Some(_) => Err(Error::WRONG_TYPE),
        None => Ok(BTreeMap::new()),
    }
}

pub(super) fn fields(space: &Keyspace, key: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    match space.get(key) {
        Some(Value::Hash(hash)) => Ok(hash.clone()),
        Some(_) => Err(Error::WRONG_TYPE),
        None => Ok(BTreeMap::new()),
    }
}

pub(super) fn elements(space: &Keyspace, key: &[u8]) -> Result<VecDeque<Vec<u8>>> {
    match space.get(key) {
        Some(Value::List(list)) => Ok(list.clone()),
        Some(_) => Err(Error::WRONG_TYPE),
        None => Ok(VecDeque::new()),
    }
}

fn as_set(value: &mut Value) -> Option<&mut BTreeSet<Vec<u8>>> {
    if let Value::Set(set) = value { Some(set) } else { None }
}

pub(super) fn as_sorted(value: &mut Value) -> Option<&mut BTreeMap<Vec<u8>, f64>> {
    if let Value::Sorted(sorted) = value { Some(sorted) } else { None }
}

pub(super) fn as_hash(value: &mut Value) -> Option<&mut BTreeMap<Vec<u8>, Vec<u8>>> {
    if let Value::Hash(hash) = value { Some(hash) } else { None }
}

pub(super) fn as_list(value: &mut Value) -> Option<&mut VecDeque<Vec<u8>>> {
    if let Value::List(list) = value { Some(list) } else { None }
}

/// Members between two inclusive scores, by score and then by name.
pub(super) fn between(space: &Keyspace, args: &[&[u8]]) -> Result<Vec<(Vec<u8>, f64)>> {
    let (low, high) = (float(args[1])?, float(args[2])?);
    let mut found: Vec<_> = scores(space, args[0])?.into_iter().collect();
    found.retain(|(_, score)| (low..=high).contains(score));
    found.sort_by(|one, other| one.1.total_cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
    Ok(found)
}

pub(super) fn integer(text: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).ok_or(Error::NOT_AN_INTEGER)
}

pub(super) fn float(text: &[u8]) -> Result<f64> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).ok_or(Error::NOT_A_FLOAT)
}

pub(super) fn say_count(reply: &mut Reply, count: usize) -> Result<()> {
    reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn say_all<'a>(reply: &mut Reply, items: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    let items: Vec<_> = items.collect();
    reply.array(items.len());
    for item in items {
        reply.bulk(item);
    }
    Ok(())
}

/// The next whole reply on one line.
pub(super) fn render(cursor: &mut Cursor<'_>) -> Result<String> {
    Ok(match cursor.step()? {
        Step::Nil => "(nil)".to_owned(),
        Step::Ok => "OK".to_owned(),
        Step::Integer(number) => format!("(integer) {number}"),
        Step::Double(number) => format!("(double) {number}"),
        Step::Boolean(truth) => format!("({truth})"),
        Step::Status(text) => String::from_utf8_lossy(text).into_owned(),
        Step::Bulk(bytes) => format!("\"{}\"", String::from_utf8_lossy(bytes)),
        Step::Error(text) => format!("(error) {}", String::from_utf8_lossy(text)),
        Step::Array(count) | Step::Set(count) => {
            let elements: Result<Vec<_>> = (0..count).map(|_| render(cursor)).collect();
            format!("[{}]", elements?.join(", "))
        }
        Step::Pairs(count) => {
            let pair = |_| Ok(format!("{}: {}", render(cursor)?, render(cursor)?));
            format!("{{{}}}", (0..count).map(pair).collect::<Result<Vec<_>>>()?.join(", "))
        }
    })
}
