//! Strings as sequences of bits and of integer fields of any width.
//!
//! Bit 0 is the highest bit of the first byte. Counting and searching take eight bytes at a time;
//! only the ends of a range that are not whole bytes are looked at one by one. What lies behind the
//! end of a string reads as zero.

use alloc::vec::Vec;
use core::ops::Range;

use super::number::parse_i64;

/// What BITOP does with its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Bits that all sources have.
    And,
    /// Bits that any source has.
    Or,
    /// Bits that an odd number of sources have.
    Xor,
    /// Bits that the only source does not have.
    Not,
}

/// The bit at an index.
#[must_use]
pub fn bit(bytes: &[u8], index: u64) -> bool {
    let byte = usize::try_from(index / 8).ok().and_then(|byte| bytes.get(byte));
    byte.is_some_and(|byte| byte & mask(index) != 0)
}

/// The byte that holds the bit at an index, with that bit as given; `byte` is what it was.
#[must_use]
pub fn with_bit(byte: u8, index: u64, on: bool) -> u8 {
    if on { byte | mask(index) } else { byte & !mask(index) }
}

fn mask(index: u64) -> u8 {
    0x80 >> (index % 8)
}

/// How many bits of a range are set. The range must lie inside.
#[must_use]
pub fn count(bytes: &[u8], range: Range<u64>) -> u64 {
    let parts = Parts::new(bytes, range);
    let ends = parts.first.count_ones() + parts.last.count_ones();
    u64::from(ends) + count_whole(parts.whole)
}

fn count_whole(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()));
    let rest = rest.iter().map(|byte| u64::from(byte.count_ones()));
    words.sum::<u64>() + rest.sum::<u64>()
}

/// The first bit of a range that is as asked for. The range must lie inside.
#[must_use]
pub fn find(bytes: &[u8], on: bool, range: Range<u64>) -> Option<u64> {
    let parts = Parts::new(bytes, range.clone());
    let wanted = |byte: u8, inside: u8| (if on { byte } else { !byte }) & inside;
    let first_byte = range.start / 8;
    let at = |byte: u64, found: u8| byte * 8 + u64::from(found.leading_zeros());
    let first = wanted(parts.first, parts.first_inside);
    if first != 0 {
        return Some(at(first_byte, first));
    }
    let whole_start = range.start.div_ceil(8);
    if let Some((index, byte)) = find_whole(parts.whole, on) {
        return Some(at(whole_start + index as u64, wanted(byte, 0xff)));
    }
    let last = wanted(parts.last, parts.last_inside);
    (last != 0).then(|| at(range.end / 8, last))
}

/// The first byte that has a bit as asked for.
fn find_whole(bytes: &[u8], on: bool) -> Option<(usize, u8)> {
    let nothing: u8 = if on { 0 } else { 0xff };
    let (words, _) = bytes.as_chunks::<8>();
    let skipped = words.iter().take_while(|word| **word == [nothing; 8]).count() * 8;
    let rest = bytes.get(skipped..)?.iter();
    rest.zip(skipped..).find(|(byte, _)| **byte != nothing).map(|(byte, index)| (index, *byte))
}

/// A range of bits as the whole bytes in it and the two bytes at its ends, of which only the bits
/// inside are kept. Where the range begins or ends with a whole byte, that end is empty.
struct Parts<'a> {
    first: u8,
    first_inside: u8,
    whole: &'a [u8],
    last: u8,
    last_inside: u8,
}

impl<'a> Parts<'a> {
    fn new(bytes: &'a [u8], range: Range<u64>) -> Self {
        let byte = |bit: u64| bytes.get((bit / 8) as usize).copied().unwrap_or(0);
        let behind_start = 0xff_u8 >> (range.start % 8);
        let before_end = !(0xff_u8 >> (range.end % 8));
        let mut parts = Self { first: 0, first_inside: 0, whole: &[], last: 0, last_inside: 0 };
        if range.start / 8 == range.end / 8 {
            parts.first_inside = behind_start & before_end;
            parts.first = byte(range.start) & parts.first_inside;
            return parts;
        }
        if !range.start.is_multiple_of(8) {
            parts.first_inside = behind_start;
            parts.first = byte(range.start) & behind_start;
        }
        if !range.end.is_multiple_of(8) {
            parts.last_inside = before_end;
            parts.last = byte(range.end) & before_end;
        }
        let whole = range.start.div_ceil(8) as usize..(range.end / 8) as usize;
        parts.whole = bytes.get(whole).unwrap_or_default();
        parts
    }
}

/// Combines strings bit by bit; shorter ones are taken to end in zeros. The result is as long as the
/// longest.
#[must_use]
pub fn combine(operation: Operation, sources: &[&[u8]]) -> Vec<u8> {
    let Some((first, others)) = sources.split_first() else { return Vec::new() };
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = Vec::with_capacity(len);
    result.extend_from_slice(first);
    result.resize(len, 0);
    for other in others {
        let pairs = result.iter_mut().zip(*other);
        match operation {
            Operation::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                result[other.len()..].fill(0);
            }
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => {}
        }
    }
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    result
}

/// The type of an integer field: `i8`, `u12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Whether it can be negative.
    pub signed: bool,
    /// How wide it is: 1 to 64, without a sign to 63.
    pub bits: u32,
}

/// What becomes of a value that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its upper bits are lost.
    Wrap,
    /// It becomes the nearest value that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl Field {
    /// Reads `i` or `u` and a width.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (signed, digits) = match text {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        let widest = if signed { 64 } else { 63 };
        let bits = u32::try_from(parse_i64(digits)?).ok()?;
        (1..=widest).contains(&bits).then_some(Self { signed, bits })
    }

    /// The bytes that a field at a bit offset touches.
    #[must_use]
    pub fn bytes(self, offset: u64) -> Range<usize> {
        let end = (offset + u64::from(self.bits)).div_ceil(8);
        (offset / 8) as usize..end as usize
    }

    /// The value of the field at a bit offset.
    #[must_use]
    pub fn get(self, bytes: &[u8], offset: u64) -> i64 {
        let value = (self.window(bytes, offset) >> self.shift(offset)) as u64 & self.mask();
        self.extend(value)
    }

    /// The bytes that the field touches, once it holds a value.
    #[must_use]
    pub fn put(self, bytes: &[u8], offset: u64, value: i64) -> Vec<u8> {
        let shift = self.shift(offset);
        let rest = self.window(bytes, offset) & !(u128::from(self.mask()) << shift);
        let window = rest | u128::from(value as u64 & self.mask()) << shift;
        window.to_be_bytes()[..self.bytes(offset).len()].to_vec()
    }

    /// The sum of two values as this field holds it, and whether it is another than the sum.
    #[must_use]
    pub fn add(self, value: i64, increment: i64, overflow: Overflow) -> (i64, bool) {
        let (over, under) = if self.signed {
            self.signed_overflow(value, increment)
        } else {
            self.unsigned_overflow(value as u64, increment)
        };
        let wrapped = self.extend(value.wrapping_add(increment) as u64 & self.mask());
        let result = match overflow {
            Overflow::Saturate if over => self.max(),
            Overflow::Saturate if under => self.min(),
            _ => wrapped,
        };
        (result, over || under)
    }

    /// Whether a sum is too large or too small. The room that is left is computed with wrap-around,
    /// as in Redis, which is visible where a value far outside is set.
    fn signed_overflow(self, value: i64, increment: i64) -> (bool, bool) {
        let (max, min, narrow) = (self.max(), self.min(), self.bits < 64);
        let (room, room_below) = (max.wrapping_sub(value), min.wrapping_sub(value));
        let over = value > max
            || narrow && increment > room
            || value >= 0 && increment > 0 && increment > room;
        let under = value < min
            || narrow && increment < room_below
            || value < 0 && increment < 0 && increment < room_below;
        (over, under && !over)
    }

    fn unsigned_overflow(self, value: u64, increment: i64) -> (bool, bool) {
        let max = self.max() as u64;
        let over = value > max || increment > 0 && increment as u64 > max - value;
        let under = increment < 0 && increment.unsigned_abs() > value;
        (over, under && !over)
    }

    fn max(self) -> i64 {
        (self.mask() >> u32::from(self.signed)) as i64
    }

    fn min(self) -> i64 {
        if self.signed { -self.max() - 1 } else { 0 }
    }

    /// Ones for each bit of the field.
    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The field's bits as a value.
    fn extend(self, value: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed { (value << unused) as i64 >> unused } else { value as i64 }
    }

    /// Sixteen bytes from the one on that the field begins in.
    fn window(self, bytes: &[u8], offset: u64) -> u128 {
        let mut window = [0; 16];
        let touched = self.bytes(offset);
        let from = bytes.get(touched.start..).unwrap_or_default();
        let len = from.len().min(touched.len());
        window[..len].copy_from_slice(&from[..len]);
        u128::from_be_bytes(window)
    }

    /// How far the field's last bit is from the window's.
    fn shift(self, offset: u64) -> u32 {
        128 - (offset % 8) as u32 - self.bits
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::random::{below, seeded};
    use super::*;

    fn random_bytes(random: &mut impl FnMut() -> u64, len: usize) -> Vec<u8> {
        // Long runs of equal bits are what word-wise search must get right.
        let runs = random().is_multiple_of(2);
        let filler = if random().is_multiple_of(2) { 0 } else { 0xff };
        (0..len)
            .map(|_| if runs && !random().is_multiple_of(20) { filler } else { random() as u8 })
            .collect()
    }

    #[test]
    fn ranges_of_bits_are_counted_and_searched_as_bit_by_bit() {
        let mut random = seeded(3);
        for _ in 0..3_000 {
            let len = below(&mut random, 60);
            let bytes = random_bytes(&mut random, len);
            let start = below(&mut random, len * 8 + 1) as u64;
            let end = start + below(&mut random, len * 8 - start as usize + 1) as u64;
            let bits = || (start..end).map(|index| bit(&bytes, index));
            let ones = bits().filter(|on| *on).count() as u64;
            assert_eq!(count(&bytes, start..end), ones, "{start}..{end} of {bytes:?}");
            for on in [false, true] {
                let position = bits().position(|other| other == on);
                let expected = position.map(|index| start + index as u64);
                assert_eq!(find(&bytes, on, start..end), expected, "{start}..{end} of {bytes:?}");
            }
        }
    }

    #[test]
    fn operations_work_bit_by_bit_on_strings_of_any_lengths() {
        let mut random = seeded(4);
        for _ in 0..500 {
            let sources: Vec<Vec<u8>> = (0..1 + below(&mut random, 4))
                .map(|_| {
                    let len = below(&mut random, 40);
                    random_bytes(&mut random, len)
                })
                .collect();
            let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let len = slices.iter().map(|slice| slice.len()).max().unwrap();
            let folded = |fold: fn(bool, bool) -> bool| {
                let at = |index| slices.iter().map(move |s| bit(s, index)).reduce(fold).unwrap();
                (0..len as u64 * 8).map(at).collect::<Vec<_>>()
            };
            for (operation, expected) in [
                (Operation::And, folded(|a, b| a && b)),
                (Operation::Or, folded(|a, b| a || b)),
                (Operation::Xor, folded(|a, b| a != b)),
            ] {
                let result = combine(operation, &slices);
                let bits: Vec<_> = (0..len as u64 * 8).map(|index| bit(&result, index)).collect();
                assert_eq!(bits, expected, "{operation:?}");
            }
            let inverted: Vec<u8> = slices[0].iter().map(|byte| !byte).collect();
            assert_eq!(combine(Operation::Not, &slices[..1]), inverted);
        }
    }

    #[test]
    fn fields_are_read_back_and_leave_their_neighbours_alone() {
        let mut random = seeded(5);
        for _ in 0..5_000 {
            let field =
                Field { signed: random().is_multiple_of(2), bits: 1 + (random() % 63) as u32 };
            let len = 9 + below(&mut random, 8);
            let mut bytes = random_bytes(&mut random, len);
            let offset = below(&mut random, len * 8 - field.bits as usize + 1) as u64;
            let before: Vec<_> = (0..len as u64 * 8).map(|index| bit(&bytes, index)).collect();
            let (value, _) = field.add(random() as i64, 0, Overflow::Wrap);
            let touched = field.put(&bytes, offset, value);
            bytes[field.bytes(offset)].copy_from_slice(&touched);
            assert_eq!(field.get(&bytes, offset), value, "{field:?} at {offset}");
            for (index, before) in before.iter().enumerate() {
                let inside = (offset..offset + u64::from(field.bits)).contains(&(index as u64));
                assert!(inside || bit(&bytes, index as u64) == *before, "{field:?} at {offset}");
            }
        }
        assert_eq!(Field { signed: false, bits: 8 }.get(b"a", 4), 0x10, "zeros behind the end");
        assert_eq!(Field { signed: true, bits: 64 }.get(&[], 1 << 40), 0);
    }

    #[test]
    fn sums_that_do_not_fit_wrap_or_stay_at_the_end() {
        let signed = |bits| Field { signed: true, bits };
        let unsigned = |bits| Field { signed: false, bits };
        for (field, value, increment, wrapped, saturated) in [
            (unsigned(8), 250, 5, 255, 255),
            (unsigned(8), 250, 6, 0, 255),
            (unsigned(8), 5, -6, 255, 0),
            (unsigned(63), i64::MAX, 1, 0, i64::MAX),
            (unsigned(1), -1, 0, 1, 1),
            (signed(8), 127, 1, -128, 127),
            (signed(8), -128, -1, 127, -128),
            (signed(1), 0, 1, -1, 0),
            (signed(64), i64::MAX, 1, i64::MIN, i64::MAX),
            (signed(64), i64::MIN, -1, i64::MAX, i64::MIN),
            (signed(64), -5, i64::MAX, i64::MAX - 5, i64::MAX - 5),
        ] {
            let fits = wrapped == saturated
                && i128::from(value) + i128::from(increment) == i128::from(wrapped);
            assert_eq!(field.add(value, increment, Overflow::Wrap), (wrapped, !fits));
            assert_eq!(field.add(value, increment, Overflow::Saturate), (saturated, !fits));
            assert_eq!(field.add(value, increment, Overflow::Fail).1, !fits);
        }
    }

    #[test]
    fn widths_have_limits() {
        assert_eq!(Field::parse(b"i64"), Some(Field { signed: true, bits: 64 }));
        assert_eq!(Field::parse(b"u63"), Some(Field { signed: false, bits: 63 }));
        for bad in ["", "i", "u64", "i65", "i0", "u-1", "U8", "8", "i8x", "i 8", "u99999999999"] {
            assert_eq!(Field::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(vec![with_bit(0, 0, true), with_bit(0xff, 15, false)], [0x80, 0xfe]);
    }
}
