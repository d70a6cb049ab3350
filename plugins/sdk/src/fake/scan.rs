//! SCAN and SSCAN of the fake server. A cursor is a place in an order that does not change when others
//! come or go.

use super::commands::{integer, members, say_all};
use super::keyspace::Keyspace;
use super::matches;
use crate::{Error, Reply, Result};

/// The cursor is a place in the order of the keys' hashes, so that keys which come or go between
/// two calls make it pass over no other.
pub(super) fn scan(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let start = integer(args[0])?.cast_unsigned();
    let (mut pattern, mut count) = ("*".to_owned(), 10);
    for option in args[1..].chunks(2) {
        match option {
            [word, glob] if word.eq_ignore_ascii_case(b"MATCH") => {
                pattern = String::from_utf8_lossy(glob).into_owned();
            }
            [word, number] if word.eq_ignore_ascii_case(b"COUNT") => {
                count = integer(number)?.cast_unsigned() as usize;
            }
            _ => return Err(Error::SYNTAX),
        }
    }
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let place = |name: &[u8]| (name.iter().fold(0xcbf2_9ce4_8422_2325, step) >> 2) + 1;
    let (next, page) = page(space.names(), place, start, count);
    reply.array(2).bulk(next);
    let found = |key: &&[u8]| matches(&pattern, &String::from_utf8_lossy(key));
    say_all(reply, page.into_iter().filter(found))
}

/// The items from a place on, at least so many if there are, and the place after them.
fn page<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    place: impl Fn(&[u8]) -> u64,
    start: u64,
    count: usize,
) -> (u64, Vec<&'a [u8]>) {
    let mut items: Vec<(u64, &[u8])> = items.map(|item| (place(item), item)).collect();
    items.retain(|(place, _)| *place >= start);
    items.sort_unstable();
    let last = items.get(count.max(1) - 1).map_or(u64::MAX, |(place, _)| *place);
    let next = items.iter().map(|(place, _)| *place).find(|place| *place > last).unwrap_or(0);
    let page = items.into_iter().take_while(|(place, _)| *place <= last);
    (next, page.map(|(_, item)| item).collect())
}

/// The cursor is how the next member begins, so members come in the order of their names.
pub(super) fn sscan(space: &mut Keyspace, args: &[&[u8]], reply: &mut Reply) -> Result<()> {
    let start = integer(args[1])?.cast_unsigned();
    let count = match &args[2..] {
        [] => 10,
        [word, count] if word.eq_ignore_ascii_case(b"COUNT") => {
            integer(count)?.cast_unsigned() as usize
        }
        _ => return Err(Error::SYNTAX),
    };
    let members = members(space, args[0])?;
    let place = |name: &[u8]| {
        let bytes = name.iter().copied().chain(std::iter::repeat(0)).take(8);
        (bytes.fold(0, |place, byte| (place << 8) | u64::from(byte)) >> 2) + 1
    };
    let (next, page) = page(members.iter().map(Vec::as_slice), place, start, count);
    reply.array(2).bulk(next);
    say_all(reply, page.into_iter())
}
