//! Circles and boxes on Earth, the distance of two positions, and which cells of the grid a search has
//! to look at.
//!
//! The Earth is a ball. Every expression is evaluated in the order in which Redis does it, because
//! the last bit of a distance is visible to clients.

use alloc::vec::Vec;

use super::geohash::{Cell, Position, STEPS_MAX};
use super::trigonometry::{arc_sine, cosine, sine};

const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// Half of the Equator on the Mercator map.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
const RADIANS: f64 = core::f64::consts::PI / 180.0;

/// A form around a centre, in some unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// All that is at most so far away.
    Circle {
        /// The radius.
        radius: f64,
    },
    /// All that is at most half as far to the east or west and to the north or south.
    Box {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The centre.
    pub centre: Position,
    /// The form around it.
    pub form: Form,
    /// Metres in a unit of the form.
    pub unit_m: f64,
}

/// The functions of angles that a distance is computed with.
struct Functions {
    sine: fn(f64) -> f64,
    cosine: fn(f64) -> f64,
    arc_sine: fn(f64) -> f64,
}

/// Right to the last digit.
const EXACT: Functions = Functions { sine, cosine, arc_sine };
/// Several times as fast, and right but for the last digits.
const ROUGH: Functions = Functions { sine: libm::sin, cosine: libm::cos, arc_sine: libm::asin };
/// More than the relative error of a rough distance.
pub const ROUGHNESS: f64 = 1e-6;

/// Distance of two positions in metres.
#[must_use]
pub fn distance(from: Position, to: Position) -> f64 {
    haversine(from, to, &EXACT)
}

/// About the distance, if it is not beyond a limit. Only what is close to the limit is measured
/// exactly, because that is slow.
fn rough_up_to(limit_m: f64, from: Position, to: Position) -> Option<f64> {
    let rough = haversine(from, to, &ROUGH);
    if rough * (1.0 - ROUGHNESS) > limit_m {
        return None;
    }
    let is_inside = rough * (1.0 + ROUGHNESS) <= limit_m || distance(from, to) <= limit_m;
    is_inside.then_some(rough)
}

fn haversine(from: Position, to: Position, by: &Functions) -> f64 {
    let v = (by.sine)((to.longitude * RADIANS - from.longitude * RADIANS) / 2.0);
    if v == 0.0 {
        return latitude_distance(from, to);
    }
    let (from_latitude, to_latitude) = (from.latitude * RADIANS, to.latitude * RADIANS);
    let u = (by.sine)((to_latitude - from_latitude) / 2.0);
    let a = u * u + (by.cosine)(from_latitude) * (by.cosine)(to_latitude) * v * v;
    // Rounding may carry opposite points beyond one.
    2.0 * EARTH_RADIUS_M * (by.arc_sine)(libm::sqrt(a).min(1.0))
}

fn latitude_distance(from: Position, to: Position) -> f64 {
    EARTH_RADIUS_M * (to.latitude * RADIANS - from.latitude * RADIANS).abs()
}

/// The corners that a shape lies between.
struct Bounds {
    min: Position,
    max: Position,
}

impl Shape {
    /// About how far a position is from the centre in metres ([`ROUGHNESS`]), if it lies inside.
    /// Whether it does is exact.
    #[must_use]
    pub fn rough_distance_inside(&self, position: Position) -> Option<f64> {
        match self.form {
            Form::Circle { radius } => rough_up_to(radius * self.unit_m, self.centre, position),
            Form::Box { width, height } => {
                if latitude_distance(position, self.centre) > height * self.unit_m / 2.0 {
                    return None;
                }
                let beside = Position { longitude: self.centre.longitude, ..position };
                rough_up_to(width * self.unit_m / 2.0, position, beside)?;
                Some(haversine(self.centre, position, &ROUGH))
            }
        }
    }

    fn bounds(&self) -> Bounds {
        let (half_width, half_height) = match self.form {
            Form::Circle { radius } => (radius, radius),
            Form::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Position { longitude, latitude } = self.centre;
        let up = self.unit_m * half_height / EARTH_RADIUS_M / RADIANS;
        // The edge on the side of the pole spans more degrees.
        let edge = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = self.unit_m * half_width / EARTH_RADIUS_M / libm::cos(edge * RADIANS) / RADIANS;
        Bounds {
            min: Position { longitude: longitude - aside, latitude: latitude - up },
            max: Position { longitude: longitude + aside, latitude: latitude + up },
        }
    }

    /// From the centre to the farthest point, in metres.
    fn reach_m(&self) -> f64 {
        let reach = match self.form {
            Form::Circle { radius } => radius,
            Form::Box { width, height } => {
                libm::sqrt((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0))
            }
        };
        reach * self.unit_m
    }

    /// The cells that hold every position inside: the centre's and those of its neighbours that the
    /// shape reaches. None comes twice.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let mut steps = steps_for(self.reach_m(), self.centre.latitude);
        if steps > 1 && !bounds.fit_around(Cell::at(self.centre, steps)) {
            steps -= 1;
        }
        let cell = Cell::at(self.centre, steps);
        let area = cell.area();
        let fine = steps >= 2;
        let in_south = fine && area.min.latitude < bounds.min.latitude;
        let in_north = fine && area.max.latitude > bounds.max.latitude;
        let in_west = fine && area.min.longitude < bounds.min.longitude;
        let in_east = fine && area.max.longitude > bounds.max.longitude;
        let neighbours = [
            (0, 1, in_north),
            (0, -1, in_south),
            (1, 0, in_east),
            (-1, 0, in_west),
            (1, 1, in_north || in_east),
            (-1, 1, in_north || in_west),
            (1, -1, in_south || in_east),
            (-1, -1, in_south || in_west),
        ];
        let mut cells = alloc::vec![cell];
        for (east, north, _) in neighbours.into_iter().filter(|(_, _, useless)| !*useless) {
            let neighbour = cell.neighbour(east, north);
            // On a grid of two columns the one to the east is the one to the west.
            if cells.len() == 1 || cells.last() != Some(&neighbour) {
                cells.push(neighbour);
            }
        }
        cells
    }
}

impl Bounds {
    /// Whether a cell and its neighbours cover everything.
    fn fit_around(&self, cell: Cell) -> bool {
        let (north, south) = (cell.neighbour(0, 1).area(), cell.neighbour(0, -1).area());
        let (east, west) = (cell.neighbour(1, 0).area(), cell.neighbour(-1, 0).area());
        let misses = north.max.latitude < self.max.latitude
            || south.min.latitude > self.min.latitude
            || east.max.longitude < self.max.longitude
            || west.min.longitude > self.min.longitude;
        !misses
    }
}

/// How fine the grid may be for a cell and its neighbours to cover so many metres around.
fn steps_for(mut reach_m: f64, latitude: f64) -> u32 {
    // No size, and what is none: a loop that doubles it would never end.
    if reach_m.is_nan() || reach_m <= 0.0 {
        return STEPS_MAX;
    }
    let mut steps: i32 = 1;
    while reach_m < MERCATOR_MAX_M {
        reach_m *= 2.0;
        steps += 1;
    }
    steps -= 2;
    // Near the poles a degree of longitude is short.
    steps -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    steps.clamp(1, STEPS_MAX as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::super::random::seeded;
    use super::*;

    fn at(longitude: f64, latitude: f64) -> Position {
        Position { longitude, latitude }
    }

    #[test]
    fn known_distances() {
        let [palermo, catania] = [at(13.361389, 38.115556), at(15.087269, 37.502669)]
            .map(|position| Position::of_score(position.score()));
        assert_eq!(libm::round(distance(palermo, catania) * 1e4), 1_662_741_516.0);
        assert_eq!(distance(palermo, palermo), 0.0);
        let half_way_round = distance(at(0.0, 0.0), at(180.0, 0.0));
        assert_eq!(half_way_round, EARTH_RADIUS_M * core::f64::consts::PI);
    }

    #[test]
    fn a_search_misses_nothing_that_lies_inside() {
        let mut random = seeded(11);
        let mut share = move || (random() >> 11) as f64 / (1_u64 << 53) as f64;
        for _ in 0..3_000 {
            let centre = at(share() * 300.0 - 150.0, share() * 120.0 - 60.0);
            let size = 10.0_f64.powf(share() * 5.5);
            let form = if share() < 0.5 {
                Form::Circle { radius: size }
            } else {
                Form::Box { width: size, height: size * share() }
            };
            let shape = Shape { centre, form, unit_m: 1.0 };
            let cells = shape.cells();
            assert!((1..=9).contains(&cells.len()));
            for _ in 0..20 {
                let spread = size / 60_000.0;
                let near = at(
                    centre.longitude + (share() - 0.5) * spread,
                    centre.latitude + (share() - 0.5) * spread,
                );
                if shape.rough_distance_inside(near).is_some() {
                    let score = near.score();
                    let ranges = cells.iter().map(|cell| cell.scores());
                    let hits = ranges.filter(|(low, high)| (*low..*high).contains(&score)).count();
                    assert_eq!(hits, 1, "{near:?} in {shape:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_size_is_searched_in_few_cells() {
        for radius in [-1.0, f64::NEG_INFINITY, f64::NAN, -0.0] {
            let shape = Shape { centre: at(1.0, 1.0), form: Form::Circle { radius }, unit_m: 1e3 };
            assert!(shape.cells().len() <= 9, "{radius}");
        }
    }

    #[test]
    fn sizes_beyond_all_measure_are_searched_in_at_most_four_cells() {
        for radius in [f64::INFINITY, 1e300, 2.0e7] {
            let shape = Shape { centre: at(1.0, 1.0), form: Form::Circle { radius }, unit_m: 1e3 };
            assert_eq!(shape.cells().len(), 4, "{radius}");
        }
        let nothing =
            Shape { centre: at(1.0, 1.0), form: Form::Circle { radius: 0.0 }, unit_m: 1.0 };
        assert_eq!(nothing.cells().len(), 1);
        assert_eq!(nothing.rough_distance_inside(at(1.0, 1.0)), Some(0.0));
        let tiny = Shape { form: Form::Circle { radius: 5e-324 }, ..nothing };
        assert!(tiny.cells().len() <= 9);
    }
}
