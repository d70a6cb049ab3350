//! Searches for places around a position or another place: within a circle or a box, shown or
//! stored.
//!
//! A shape is a few cells of the grid, each a range of scores, so that a search looks at what is
//! near and not at everything.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::element;
use super::geo::{say_distance, say_position, take_position, take_unit};
use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::settings::Rules;
use crate::step::Cx;
use crate::types::bounds::{ScoreBound, ScoreRange};
use crate::types::element::Element;
use crate::types::geo_shape::{self, Form, ROUGHNESS, Shape};
use crate::types::geohash::Position;
use crate::types::number;
use crate::types::sorted_set::SortedSet;

const RADIUS_COST: &str = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.";
const SEARCH_COST: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape";

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("GEORADIUS", georadius, -6)
        .group(Group::Geo)
        .write_denyoom()
        .keys(KeySpec::Store { options: 6 })
        .usage("key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]")
        .since("3.2.0", RADIUS_COST)
        .summary("Queries a geospatial index for members within a distance from a coordinate, optionally stores the result."),
    command("GEORADIUS_RO", georadius_ro, -6)
        .group(Group::Geo)
        .readonly()
        .key()
        .usage("key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC]")
        .since("3.2.10", RADIUS_COST)
        .summary("Returns members from a geospatial index that are within a distance from a coordinate."),
    command("GEORADIUSBYMEMBER", georadiusbymember, -5)
        .group(Group::Geo)
        .write_denyoom()
        .keys(KeySpec::Store { options: 5 })
        .usage("key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]")
        .since("3.2.0", RADIUS_COST)
        .summary("Queries a geospatial index for members within a distance from a member, optionally stores the result."),
    command("GEORADIUSBYMEMBER_RO", georadiusbymember_ro, -5)
        .group(Group::Geo)
        .readonly()
        .key()
        .usage("key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC]")
        .since("3.2.10", RADIUS_COST)
        .summary("Returns members from a geospatial index that are within a distance from a member."),
    command("GEOSEARCH", geosearch, -7)
        .group(Group::Geo)
        .readonly()
        .key()
        .usage("key <FROMMEMBER member|FROMLONLAT longitude latitude> <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]")
        .since("6.2.0", SEARCH_COST)
        .summary("Queries a geospatial index for members inside an area of a box or a circle."),
    command("GEOSEARCHSTORE", geosearchstore, -8)
        .group(Group::Geo)
        .write_denyoom()
        .keys(KeySpec::FIRST_TWO)
        .usage("destination source <FROMMEMBER member|FROMLONLAT longitude latitude> <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height <M|KM|FT|MI>> [ASC|DESC] [COUNT count [ANY]] [STOREDIST]")
        .since("6.2.0", SEARCH_COST)
        .summary("Queries a geospatial index for members inside an area of a box or a circle, optionally stores the result."),
];

/// What a command's name says of its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A position, a radius, options.
    Position,
    /// A member, a radius, options.
    Member,
    /// Options only.
    Search,
}

/// In which order places come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Nearest,
    Farthest,
}

/// Where the result goes.
#[derive(Clone, Copy)]
struct Store<'a> {
    key: &'a [u8],
    /// Whether distances are the scores.
    distances: bool,
}

/// A search as it was asked for.
#[derive(Default)]
struct Query<'a> {
    centre: Option<Position>,
    form: Option<(Form, f64)>,
    from_member: bool,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    order: Option<Order>,
    count: Option<usize>,
    /// Whether the first that are found will do.
    any: bool,
    store: Option<Store<'a>>,
}

/// The places that a search may start from.
struct Places<'s> {
    set: Option<&'s SortedSet>,
    rules: &'s Rules,
}

impl Places<'_> {
    /// The position of a member; nothing if there are no places at all.
    fn position(&self, member: &[u8]) -> Result<Option<Position>, Error> {
        let Some(set) = self.set else { return Ok(None) };
        let score = set.score(&self.rules.hasher, member).ok_or(Error::NO_SUCH_PLACE)?;
        Ok(Some(Position::of_score(score)))
    }
}

/// Takes a radius and its unit.
fn take_circle(args: &mut Args<'_>) -> Result<(Form, f64), Error> {
    let radius = number::parse_f64(args.bytes()?).ok_or(Error::NOT_A_RADIUS)?;
    if radius < 0.0 {
        return Err(Error::RADIUS_NEGATIVE);
    }
    Ok((Form::Circle { radius }, take_unit(args)?))
}

/// Takes width and height and their unit.
fn take_box(args: &mut Args<'_>) -> Result<(Form, f64), Error> {
    let width = number::parse_f64(args.bytes()?).ok_or(Error::NOT_A_WIDTH)?;
    let height = number::parse_f64(args.bytes()?).ok_or(Error::NOT_A_HEIGHT)?;
    if width < 0.0 || height < 0.0 {
        return Err(Error::BOX_NEGATIVE);
    }
    Ok((Form::Box { width, height }, take_unit(args)?))
}

impl<'a> Query<'a> {
    /// Takes everything. `stores` says whether options may name a destination, `to` is one that is
    /// given already.
    fn take(
        args: &mut Args<'a>,
        style: Style,
        stores: bool,
        to: Option<&'a [u8]>,
        places: &Places<'_>,
    ) -> Result<Self, Error> {
        let store = to.map(|key| Store { key, distances: false });
        let mut query = Self { store, ..Self::default() };
        match style {
            Style::Position => {
                query.centre = Some(take_position(args)?);
                query.form = Some(take_circle(args)?);
            }
            Style::Member => {
                query.centre = places.position(args.bytes()?)?;
                if query.centre.is_some() {
                    query.form = Some(take_circle(args)?);
                } else {
                    // Where there is nothing, nobody looks at the radius.
                    args.bytes()?;
                    args.bytes()?;
                }
            }
            Style::Search => {}
        }
        while !args.is_done() {
            let taken = query.take_display(args)?
                || style != Style::Search && stores && query.take_store(args)?
                || style == Style::Search && query.take_search(args, places)?;
            if !taken {
                return Err(Error::Syntax);
            }
        }
        query.check(style, args.argv().get(0))?;
        Ok(query)
    }

    /// Takes an option that all commands have: what to show, of how many, in which order.
    fn take_display(&mut self, args: &mut Args<'a>) -> Result<bool, Error> {
        const WORDS: &[&str] = &["WITHDIST", "WITHHASH", "WITHCOORD", "ANY", "ASC", "DESC"];
        match args.one_of(WORDS) {
            Some(0) => self.with_distance = true,
            Some(1) => self.with_hash = true,
            Some(2) => self.with_position = true,
            Some(3) => self.any = true,
            Some(4) => self.order = Some(Order::Nearest),
            Some(_) => self.order = Some(Order::Farthest),
            None if args.left() > 1 && args.keyword("COUNT") => {
                let count = args.integer()?;
                let positive = usize::try_from(count).ok().filter(|count| *count > 0);
                self.count = Some(positive.ok_or(Error::GEO_COUNT)?);
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    fn take_store(&mut self, args: &mut Args<'a>) -> Result<bool, Error> {
        if args.left() < 2 {
            return Ok(false);
        }
        let Some(word) = args.one_of(&crate::keyspec::STORES) else { return Ok(false) };
        self.store = Some(Store { key: args.bytes()?, distances: word == 1 });
        Ok(true)
    }

    /// Takes an option of GEOSEARCH: from where, in which form.
    fn take_search(&mut self, args: &mut Args<'a>, places: &Places<'_>) -> Result<bool, Error> {
        let from_position = self.centre.is_some() && !self.from_member;
        let form = self.form.map(|(form, _)| form);
        let is_circle = matches!(form, Some(Form::Circle { .. }));
        let is_box = matches!(form, Some(Form::Box { .. }));
        if let Some(store) = &mut self.store
            && args.keyword("STOREDIST")
        {
            store.distances = true;
        } else if args.left() > 1 && !from_position && args.keyword("FROMMEMBER") {
            self.centre = places.position(args.bytes()?)?;
            self.from_member = true;
        } else if args.left() > 2 && !self.from_member && args.keyword("FROMLONLAT") {
            self.centre = Some(take_position(args)?);
        } else if args.left() > 2 && !is_box && args.keyword("BYRADIUS") {
            self.form = Some(take_circle(args)?);
        } else if args.left() > 3 && !is_circle && args.keyword("BYBOX") {
            self.form = Some(take_box(args)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn check(&self, style: Style, command: &[u8]) -> Result<(), Error> {
        let search = style == Style::Search;
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let what = if search { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(Error::stores_only(what));
        }
        if search && self.centre.is_none() && !self.from_member {
            return Err(Error::exactly_one_of("FROMMEMBER or FROMLONLAT", command));
        }
        if search && self.form.is_none() {
            return Err(Error::exactly_one_of("BYRADIUS and BYBOX", command));
        }
        if self.any && self.count.is_none() {
            return Err(Error::GEO_ANY);
        }
        Ok(())
    }

    /// The places that are asked for, and the metres in a unit of distance.
    fn run<'s>(&self, set: &'s SortedSet) -> (Vec<Found<'s>>, f64) {
        let (Some(centre), Some((form, unit_m))) = (self.centre, self.form) else {
            return (Vec::new(), 1.0);
        };
        let shape = Shape { centre, form, unit_m };
        let enough = self.count.filter(|_| self.any);
        let mut found = found_in(set, &shape, enough.unwrap_or(usize::MAX));
        // The nearest are meant if some are asked for, but not if any will do.
        let nearest = if self.count.is_some() && !self.any { Some(Order::Nearest) } else { None };
        let count = self.count.unwrap_or(usize::MAX);
        match self.order.or(nearest) {
            Some(order) => {
                drop_surely_behind(&mut found, count, order);
                measure(&mut found, centre);
                sort_front(&mut found, count, order);
            }
            None => {
                found.truncate(count);
                if self.with_distance || self.store.is_some_and(|store| store.distances) {
                    measure(&mut found, centre);
                }
            }
        }
        (found, unit_m)
    }
}

/// A place that was found.
struct Found<'s> {
    member: Element<'s>,
    score: f64,
    position: Position,
    /// From the centre, in metres; roughly, until it is measured.
    distance: f64,
    /// How many were found before it.
    index: usize,
}

/// Places inside a shape, `enough` of them if there are more.
fn found_in<'s>(set: &'s SortedSet, shape: &Shape, enough: usize) -> Vec<Found<'s>> {
    let mut found = Vec::new();
    for cell in shape.cells() {
        let (min, max) = cell.scores();
        let range = ScoreRange {
            min: ScoreBound { score: min, exclusive: false },
            max: ScoreBound { score: max, exclusive: true },
        };
        for (member, score) in set.range(set.ranks_by_score(&range)) {
            let position = Position::of_score(score);
            let Some(distance) = shape.rough_distance_inside(position) else { continue };
            let index = found.len();
            found.push(Found { member, score, position, distance, index });
            if found.len() >= enough {
                return found;
            }
        }
    }
    found
}

/// Drops what cannot be among the first `count`, by the rough distances: of a million places the ten
/// nearest are found without measuring them all.
fn drop_surely_behind(found: &mut Vec<Found<'_>>, count: usize, order: Order) {
    let Some(last) = count.checked_sub(1).filter(|_| count < found.len()) else { return };
    let by_distance = |a: &Found<'_>, b: &Found<'_>| match order {
        Order::Nearest => a.distance.total_cmp(&b.distance),
        Order::Farthest => b.distance.total_cmp(&a.distance),
    };
    let (_, edge, _) = found.select_nth_unstable_by(last, by_distance);
    // Both the one at the edge and the other may be measured wrongly.
    let edge = edge.distance;
    match order {
        Order::Nearest => found.retain(|one| one.distance <= edge * (1.0 + 3.0 * ROUGHNESS)),
        Order::Farthest => found.retain(|one| one.distance >= edge * (1.0 - 3.0 * ROUGHNESS)),
    }
}

/// Makes rough distances exact.
fn measure(found: &mut [Found<'_>], centre: Position) {
    found.iter_mut().for_each(|one| one.distance = geo_shape::distance(centre, one.position));
}

/// Sorts the first `count` to the front and drops the others. Equally far ones stay as they were.
fn sort_front(found: &mut Vec<Found<'_>>, count: usize, order: Order) {
    let compare = |a: &Found<'_>, b: &Found<'_>| {
        let by_distance = match order {
            Order::Nearest => a.distance.total_cmp(&b.distance),
            Order::Farthest => b.distance.total_cmp(&a.distance),
        };
        by_distance.then(a.index.cmp(&b.index))
    };
    if count < found.len() {
        found.select_nth_unstable_by(count, compare);
        found.truncate(count);
    }
    let compare: &dyn Fn(&Found<'_>, &Found<'_>) -> Ordering = &compare;
    found.sort_unstable_by(compare);
}

fn georadius(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    search(cx, args, Style::Position, true, None)
}

fn georadius_ro(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    search(cx, args, Style::Position, false, None)
}

fn georadiusbymember(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    search(cx, args, Style::Member, true, None)
}

fn georadiusbymember_ro(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    search(cx, args, Style::Member, false, None)
}

fn geosearch(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    search(cx, args, Style::Search, false, None)
}

fn geosearchstore(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let destination = args.bytes()?;
    search(cx, args, Style::Search, true, Some(destination))
}

fn search<'a>(
    cx: &mut Cx<'_>,
    args: &mut Args<'a>,
    style: Style,
    stores: bool,
    to: Option<&'a [u8]>,
) -> Result<(), Error> {
    let source = args.bytes()?;
    let rules = cx.keys.rules;
    let set = cx.keys.collection::<SortedSet>(source)?;
    let query = Query::take(args, style, stores, to, &Places { set, rules })?;
    let (found, unit_m) = set.map(|set| query.run(set)).unwrap_or((Vec::new(), 1.0));
    let Some(store) = query.store else {
        cx.reply.array(found.len());
        found.iter().for_each(|found| say(cx.reply, &query, found, unit_m));
        return Ok(());
    };
    let mut stored = SortedSet::new();
    for found in &found {
        let score = if store.distances { found.distance / unit_m } else { found.score };
        found.member.with(|member| {
            stored.insert(&rules.hasher, member, score, &rules.settings.limits);
        });
    }
    cx.reply.integer(stored.len() as i64);
    let event = if style == Style::Search { "geosearchstore" } else { "georadiusstore" };
    cx.keys.set_collection(store.key, stored, event);
    Ok(())
}

/// Says a place: its name, or an array of that and whatever is asked for.
fn say(reply: &mut reef_resp::Writer, query: &Query<'_>, found: &Found<'_>, unit_m: f64) {
    let options = [query.with_distance, query.with_hash, query.with_position];
    let count = options.iter().filter(|option| **option).count();
    if count > 0 {
        reply.array(count + 1);
    }
    element::say(reply, found.member);
    if query.with_distance {
        say_distance(reply, found.distance / unit_m);
    }
    if query.with_hash {
        reply.integer(found.score as i64);
    }
    if query.with_position {
        say_position(reply, found.position);
    }
}
