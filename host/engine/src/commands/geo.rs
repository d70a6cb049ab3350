//! Places: members of a sorted set whose scores are geohashes. Adding them, and what can be asked of
//! single ones; searches are in `geo_search.rs`.

use alloc::format;
use alloc::vec::Vec;

use reef_resp::{Argv, Writer};

use super::sorted_set::{self, AddOptions};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::step::Cx;
use crate::types::geo_shape;
use crate::types::geohash::Position;
use crate::types::sorted_set::SortedSet;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("GEOADD", geoadd, -5)
        .group(Group::Geo)
        .write_denyoom()
        .key()
        .usage("key [NX|XX] [CH] longitude latitude member [longitude latitude member ...]")
        .since("3.2.0", "O(log(N)) for each item added, where N is the number of elements in the sorted set.")
        .summary("Adds one or more members to a geospatial index. The key is created if it doesn't exist."),
    command("GEODIST", geodist, -4)
        .group(Group::Geo)
        .readonly()
        .key()
        .usage("key member1 member2 [M|KM|FT|MI]")
        .since("3.2.0", "O(1)")
        .summary("Returns the distance between two members of a geospatial index."),
    command("GEOHASH", geohash, -2)
        .group(Group::Geo)
        .readonly()
        .key()
        .usage("key [member [member ...]]")
        .since("3.2.0", "O(1) for each member requested.")
        .summary("Returns members from a geospatial index as geohash strings."),
    command("GEOPOS", geopos, -2)
        .group(Group::Geo)
        .readonly()
        .key()
        .usage("key [member [member ...]]")
        .since("3.2.0", "O(1) for each member requested.")
        .summary("Returns the longitude and latitude of members from a geospatial index."),
];

/// Takes longitude and latitude.
pub(super) fn take_position(args: &mut Args<'_>) -> Result<Position, Error> {
    let (longitude, latitude) = (args.float()?, args.float()?);
    Position::new(longitude, latitude).ok_or_else(|| Error::not_a_position(longitude, latitude))
}

/// Takes a unit; gives the metres in it.
pub(super) fn take_unit(args: &mut Args<'_>) -> Result<f64, Error> {
    const METRES: [f64; 4] = [1.0, 1000.0, 0.3048, 1609.34];
    args.one_of(&["M", "KM", "FT", "MI"]).map(|unit| METRES[unit]).ok_or(Error::DISTANCE_UNIT)
}

/// Says a distance with four digits behind the point, which is a tenth of a millimetre in metres.
pub(super) fn say_distance(reply: &mut Writer, distance: f64) {
    let scaled = libm::rint(distance * 10_000.0) as i64;
    reply.bulk(format!("{}.{:04}", scaled / 10_000, scaled % 10_000).as_bytes());
}

/// Says a position as two numbers.
pub(super) fn say_position(reply: &mut Writer, position: Position) {
    reply.array(2);
    for degrees in [position.longitude, position.latitude] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        reply.double(degrees, text.as_bytes());
    }
}

fn geoadd(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let mut options = AddOptions::default();
    while let Some(word) = args.one_of(&["NX", "XX", "CH"]) {
        match word {
            0 => options.only_new = true,
            1 => options.only_existing = true,
            _ => options.count_changed = true,
        }
    }
    let options_end = args.position();
    let both = options.only_new && options.only_existing;
    if both || args.is_done() || !args.left().is_multiple_of(3) {
        return Err(Error::Syntax);
    }
    let mut pairs = Vec::with_capacity(args.left() / 3);
    while !args.is_done() {
        pairs.push((take_position(args)?.score(), args.bytes()?));
    }
    let changes = cx.keys.changes();
    sorted_set::add(cx, key, &options, &pairs)?;
    if cx.keys.propagates() && cx.keys.changes() != changes {
        rewrite_add(cx, args.argv(), options_end, &pairs);
    }
    Ok(())
}

/// Copies get the scores.
fn rewrite_add(cx: &mut Cx<'_>, argv: Argv<'_>, options_end: usize, pairs: &[(f64, &[u8])]) {
    let scores: Vec<_> = pairs.iter().map(|(score, _)| format!("{score}")).collect();
    let mut rest: Vec<_> = argv.iter().take(options_end).skip(1).collect();
    for ((_, member), score) in pairs.iter().zip(&scores) {
        rest.extend([score.as_bytes(), member]);
    }
    cx.rewrite_with(&[&"zadd"], rest.into_iter());
}

fn geodist(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, first, second) = (args.bytes()?, args.bytes()?, args.bytes()?);
    if args.left() > 1 {
        return Err(Error::Syntax);
    }
    let unit_m = if args.is_done() { 1.0 } else { take_unit(args)? };
    let hasher = &cx.keys.rules.hasher;
    let set = cx.keys.collection::<SortedSet>(key)?;
    let position = |member| Some(Position::of_score(set?.score(hasher, member)?));
    match (position(first), position(second)) {
        (Some(first), Some(second)) => {
            say_distance(cx.reply, geo_shape::distance(first, second) / unit_m);
        }
        _ => cx.reply.nil(),
    }
    Ok(())
}

fn geohash(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_places(cx, args, |reply, position| match position {
        Some(position) => reply.bulk(&position.text()),
        None => reply.nil(),
    })
}

fn geopos(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    say_places(cx, args, |reply, position| match position {
        Some(position) => say_position(reply, position),
        None => reply.nil_array(),
    })
}

fn say_places(
    cx: &mut Cx<'_>,
    args: &mut Args<'_>,
    say: fn(&mut Writer, Option<Position>),
) -> Result<(), Error> {
    let (key, members) = (args.bytes()?, args.rest());
    let hasher = &cx.keys.rules.hasher;
    let set = cx.keys.collection::<SortedSet>(key)?;
    cx.reply.array(members.len());
    for member in members {
        let score = set.and_then(|set| set.score(hasher, member));
        say(cx.reply, score.map(Position::of_score));
    }
    Ok(())
}
