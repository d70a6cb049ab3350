//! Positions on Earth as integers: a geohash interleaves the bits of latitude and longitude, so that
//! near positions have near numbers and a square of the grid is a range of numbers.
//!
//! Every expression is evaluated in the order in which Redis does it, because the last bit of a
//! result is visible to clients.

use core::ops::RangeInclusive;

/// Bits of each coordinate in a score.
pub const STEPS_MAX: u32 = 26;

/// Longitudes that positions may have.
pub const LONGITUDES: RangeInclusive<f64> = -180.0..=180.0;
/// Latitudes that positions may have: those of the Mercator projection.
pub const LATITUDES: RangeInclusive<f64> = -85.051_128_78..=85.051_128_78;

/// The grid of the geohashes that people exchange goes up to the poles.
const LATITUDES_STANDARD: RangeInclusive<f64> = -90.0..=90.0;
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Characters of a geohash. The last is always zero: there are only 52 bits.
const TEXT_BYTES: usize = 11;

const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;
const LONGITUDE_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// A position in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

/// A square of the grid with `2^steps` columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    steps: u32,
}

/// The corners of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The south-west corner.
    pub min: Position,
    /// The north-east corner.
    pub max: Position,
}

impl Position {
    /// A position, if there is such a one on the map.
    #[must_use]
    pub fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let inside = LONGITUDES.contains(&longitude) && LATITUDES.contains(&latitude);
        inside.then_some(Self { longitude, latitude })
    }

    /// The score of a member at this position.
    #[must_use]
    pub fn score(self) -> f64 {
        Cell::at(self, STEPS_MAX).bits as f64
    }

    /// The position of a member with this score: the middle of its cell. Any score means some
    /// position.
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        let area = Cell { bits: score_bits(score), steps: STEPS_MAX }.area();
        let middle = |min: f64, max: f64, limits: RangeInclusive<f64>| {
            let middle = (min + max) / 2.0;
            middle.min(*limits.end()).max(*limits.start())
        };
        Self {
            longitude: middle(area.min.longitude, area.max.longitude, LONGITUDES),
            latitude: middle(area.min.latitude, area.max.latitude, LATITUDES),
        }
    }

    /// The geohash as people exchange it.
    #[must_use]
    pub fn text(self) -> [u8; TEXT_BYTES] {
        let bits = encode(self, STEPS_MAX, LATITUDES_STANDARD);
        let mut text = [ALPHABET[0]; TEXT_BYTES];
        for (index, byte) in text.iter_mut().take(TEXT_BYTES - 1).enumerate() {
            let shift = 2 * STEPS_MAX as usize - (index + 1) * 5;
            *byte = ALPHABET[(bits >> shift & 0x1f) as usize];
        }
        text
    }
}

/// The score as the bits that it stands for; what is none becomes what x86 makes of it.
fn score_bits(score: f64) -> u64 {
    const HALF: f64 = (1_u64 << 63) as f64;
    let signed = |value: f64| if (-HALF..HALF).contains(&value) { value as i64 } else { i64::MIN };
    if score < HALF { signed(score) as u64 } else { signed(score - HALF) as u64 ^ 1 << 63 }
}

fn encode(position: Position, steps: u32, latitudes: RangeInclusive<f64>) -> u64 {
    let cells = (1_u64 << steps) as f64;
    let index = |value: f64, range: RangeInclusive<f64>| {
        let share = (value - range.start()) / (range.end() - range.start());
        (share * cells) as u32
    };
    spread(index(position.latitude, latitudes)) | spread(index(position.longitude, LONGITUDES)) << 1
}

/// The bits of a number at every second place.
fn spread(value: u32) -> u64 {
    [(16, 0x0000_ffff_0000_ffff), (8, 0x00ff_00ff_00ff_00ff), (4, 0x0f0f_0f0f_0f0f_0f0f)]
        .into_iter()
        .chain([(2, 0x3333_3333_3333_3333), (1, LATITUDE_BITS)])
        .fold(u64::from(value), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// Every second bit of a number.
fn gather(bits: u64) -> u32 {
    [(1, 0x3333_3333_3333_3333), (2, 0x0f0f_0f0f_0f0f_0f0f), (4, 0x00ff_00ff_00ff_00ff)]
        .into_iter()
        .chain([(8, 0x0000_ffff_0000_ffff), (16, 0x0000_0000_ffff_ffff)])
        .fold(bits & LATITUDE_BITS, |bits, (shift, mask)| (bits | bits >> shift) & mask) as u32
}

impl Cell {
    /// The cell that a position lies in.
    #[must_use]
    pub fn at(position: Position, steps: u32) -> Self {
        Self { bits: encode(position, steps, LATITUDES), steps }
    }

    /// The scores of the positions inside: from the first up to, but without, the second.
    #[must_use]
    pub fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS_MAX - self.steps);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }

    /// Its corners.
    #[must_use]
    pub fn area(self) -> Area {
        let cells = (1_u64 << self.steps) as f64;
        let edge = |index: u32, range: RangeInclusive<f64>| {
            range.start() + (f64::from(index) / cells) * (range.end() - range.start())
        };
        let (row, column) = (gather(self.bits), gather(self.bits >> 1));
        let corner = |row, column| Position {
            longitude: edge(column, LONGITUDES),
            latitude: edge(row, LATITUDES),
        };
        Area { min: corner(row, column), max: corner(row.wrapping_add(1), column.wrapping_add(1)) }
    }

    /// The cell so many columns to the east and rows to the north, at most one of each; at the edge
    /// of the map it goes on at the other side.
    #[must_use]
    pub fn neighbour(self, east: i8, north: i8) -> Self {
        let kept = u64::MAX >> (64 - 2 * self.steps);
        let mut bits = self.bits;
        for (by, own, other) in
            [(east, LONGITUDE_BITS, LATITUDE_BITS), (north, LATITUDE_BITS, LONGITUDE_BITS)]
        {
            // Ones between a coordinate's own bits hand a carry on; without them, a borrow.
            let gaps = other & kept;
            let moved = match by {
                0 => continue,
                1.. => (bits & own).wrapping_add(gaps + 1),
                _ => (bits & own | gaps).wrapping_sub(gaps + 1),
            };
            bits = moved & own & kept | bits & other;
        }
        Self { bits, steps: self.steps }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::seeded;
    use super::*;

    fn positions(seed: u64) -> impl Iterator<Item = Position> {
        let mut random = seeded(seed);
        let mut share = move || (random() >> 11) as f64 / (1_u64 << 53) as f64;
        core::iter::repeat_with(move || Position {
            longitude: share() * 360.0 - 180.0,
            latitude: (share() * 2.0 - 1.0) * 85.051_128_78,
        })
    }

    #[test]
    fn a_position_survives_its_score_to_half_a_metre() {
        for position in positions(9).take(5_000) {
            let read = Position::of_score(position.score());
            assert!((read.longitude - position.longitude).abs() < 360.0 / f64::from(1 << 26));
            assert!((read.latitude - position.latitude).abs() < 171.0 / f64::from(1 << 26));
            assert_eq!(read.score(), position.score());
        }
    }

    #[test]
    fn known_geohashes() {
        // Palermo and Catania, as in Redis's documentation; the other from geohash.org.
        let palermo = Position::new(13.361389, 38.115556).unwrap();
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        let text = |position: Position| Position::of_score(position.score()).text();
        assert_eq!(&text(palermo), b"sqc8b49rny0");
        assert_eq!(&text(Position::new(15.087269, 37.502669).unwrap()), b"sqdtr74hyu0");
        assert_eq!(Position::new(180.1, 0.0), None);
        assert_eq!(Position::new(0.0, f64::NAN), None);
    }

    #[test]
    fn a_cell_holds_its_position_and_neighbours_touch_it() {
        for (position, steps) in positions(10).zip((1..=26).cycle()).take(3_000) {
            let cell = Cell::at(position, steps);
            let area = cell.area();
            assert!(area.min.longitude <= position.longitude);
            assert!(position.longitude <= area.max.longitude);
            assert!(area.min.latitude <= position.latitude);
            assert!(position.latitude <= area.max.latitude);
            let (low, high) = cell.scores();
            assert!((low..high).contains(&position.score()));
            for (east, north) in [(1, 0), (0, 1), (1, 1), (-1, 1)] {
                let there = cell.neighbour(east, north);
                assert_eq!(there.neighbour(-east, -north), cell);
                let other = there.area();
                if north == 0 && other.min.longitude > area.min.longitude {
                    assert_eq!(
                        (other.min.longitude, other.min.latitude),
                        (area.max.longitude, area.min.latitude)
                    );
                }
            }
        }
    }

    #[test]
    fn scores_that_no_position_has_mean_something_too() {
        for score in [-1.0, -1e300, f64::INFINITY, f64::NEG_INFINITY, 1e19, 9.3e18, 0.5, 5e15] {
            let position = Position::of_score(score);
            assert!(Position::new(position.longitude, position.latitude).is_some(), "{score}");
        }
        assert_eq!(score_bits(-1.0), u64::MAX);
        assert_eq!(score_bits(f64::INFINITY), 0);
    }
}
