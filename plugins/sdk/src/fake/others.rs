//! Further commands of the fake server, most of them made of those in `commands.rs`.

use std::collections::{BTreeMap, VecDeque};

use super::commands::{
    Entry, Keys, as_hash, as_list, as_sorted, between, elements, fields, float, incrby, integer,
    pexpireat, read, say_all, say_count, text, write,
};
use super::keyspace::{Keyspace, Value};
use crate::{Error, Reply, Result};

pub(super) static TABLE: &[Entry] = &[
    read("TTL", 2, Keys::First, ttl),
    write("EXPIRE", 3, Keys::First, expire),
    write("PEXPIRE", 3, Keys::First, pexpire),
    read("STRLEN", 2, Keys::First, strlen),
    write("APPEND", 3, Keys::First, append),
    write("SETNX", 3, Keys::First, setnx),
    write("GETDEL", 2, Keys::First, getdel),
    write("DECR", 2, Keys::First, decr),
    write("DECRBY", 3, Keys::First, decrby),
    read("ZRANK", 3, Keys::First, zrank),
    read("ZRANGE", 4, Keys::First, zrange),
    write("ZINCRBY", 4, Keys::First, zincrby),
    read("HMGET", -3, Keys::First, hmget),
    read("HEXISTS", 3, Keys::First, hexists),
    read("HKEYS", 2, Keys::First, hkeys),
    read("HVALS", 2, Keys::First, hvals),
    write("HINCRBY", 4, Keys::First, hincrby),
    read("LINDEX", 3, Keys::First, lindex),
    write("LPUSH", -3, Keys::First, lpush),
    write("RPOP", 2, Keys::First, rpop),
];

fn ttl(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let left = match space.deadline_ms(args[0]) {
        // Rounded as Redis does.
        Some(deadline_ms) => ((deadline_ms - space.now_ms + 500) / 1000).cast_signed(),
        None if space.exists(args[0]) => -1,
        None => -2,
    };
    reply.integer(left);
    Ok(())
}

fn expire(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    expire_in(space, args[0], integer(args[1])?.saturating_mul(1000), reply)
}

fn pexpire(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    expire_in(space, args[0], integer(args[1])?, reply)
}

fn expire_in(space: &mut Keyspace, key: &[u8], left_ms: i64, reply: &mut Reply) -> Result<()> {
    let at = space.now_ms.saturating_add_signed(left_ms).to_string();
    pexpireat(space, &[key, at.as_bytes()], reply)
}

fn strlen(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, text(space, args[0])?.map_or(0, <[u8]>::len))
}

fn append(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let mut value = text(space, args[0])?.unwrap_or_default().to_vec();
    value.extend_from_slice(args[1]);
    say_count(reply, value.len())?;
    let deadline_ms = space.deadline_ms(args[0]);
    space.put(args[0], Value::Text(value), deadline_ms);
    Ok(())
}

fn setnx(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let is_new = !space.exists(args[0]);
    if is_new {
        space.put(args[0], Value::Text(args[1].to_vec()), None);
    }
    say_count(reply, usize::from(is_new))
}

fn getdel(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_found(text(space, args[0])?, reply);
    space.remove(args[0]);
    Ok(())
}

fn decr(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    incrby(space, &[args[0], b"-1"], reply)
}

fn decrby(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let less = integer(args[1])?.checked_neg().ok_or(Error::NOT_AN_INTEGER)?.to_string();
    incrby(space, &[args[0], less.as_bytes()], reply)
}

fn zrank(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let ranked = between(space, &[args[0], b"-inf", b"+inf"])?;
    match ranked.iter().position(|(member, _)| member == args[1]) {
        Some(rank) => say_count(reply, rank)?,
        None => drop(reply.nil()),
    }
    Ok(())
}

fn zrange(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let ranked = between(space, &[args[0], b"-inf", b"+inf"])?;
    let place = |index: i64| if index < 0 { index + ranked.len() as i64 } else { index };
    let wanted = place(integer(args[1])?)..=place(integer(args[2])?);
    let found = (0_i64..).zip(&ranked).filter(|(rank, _)| wanted.contains(rank));
    say_all(reply, found.map(|(_, (member, _))| member.as_slice()))
}

fn zincrby(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let more = float(args[1])?;
    let fresh = || Value::Sorted(BTreeMap::new());
    let score = space.change(args[0], fresh, as_sorted, |sorted| {
        let score = sorted.entry(args[2].to_vec()).or_default();
        *score += more;
        *score
    })?;
    reply.bulk(score.to_string());
    Ok(())
}

fn hmget(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let fields = fields(space, args[0])?;
    reply.array(args.len() - 1);
    for field in &args[1..] {
        say_found(fields.get(*field).map(Vec::as_slice), reply);
    }
    Ok(())
}

fn hexists(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_count(reply, usize::from(fields(space, args[0])?.contains_key(args[1])))
}

fn hkeys(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_all(reply, fields(space, args[0])?.keys().map(Vec::as_slice))
}

fn hvals(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    say_all(reply, fields(space, args[0])?.values().map(Vec::as_slice))
}

fn hincrby(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let now = fields(space, args[0])?.get(args[1]).map_or(Ok(0), |value| integer(value))?;
    let sum = now.checked_add(integer(args[2])?).ok_or(Error::NOT_AN_INTEGER)?;
    let fresh = || Value::Hash(BTreeMap::new());
    space.change(args[0], fresh, as_hash, |hash| {
        hash.insert(args[1].to_vec(), sum.to_string().into_bytes())
    })?;
    reply.integer(sum);
    Ok(())
}

fn lindex(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let (list, index) = (elements(space, args[0])?, integer(args[1])?);
    let place = if index < 0 { index + list.len() as i64 } else { index };
    let found = usize::try_from(place).ok().and_then(|place| list.get(place));
    say_found(found.map(Vec::as_slice), reply);
    Ok(())
}

fn lpush(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let fresh = || Value::List(VecDeque::new());
    let length = space.change(args[0], fresh, as_list, |list| {
        args[1..].iter().for_each(|element| list.push_front(element.to_vec()));
        list.len()
    })?;
    say_count(reply, length)
}

fn rpop(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let fresh = || Value::List(VecDeque::new());
    let element = space.change(args[0], fresh, as_list, VecDeque::pop_back)?;
    say_found(element.as_deref(), reply);
    Ok(())
}

fn say_found(found: Option<&[u8]>, reply: &mut Reply) {
    match found {
        Some(bytes) => reply.bulk(bytes),
        None => reply.nil(),
    };
}
