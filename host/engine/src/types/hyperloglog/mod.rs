//! The HyperLogLog: about how many different elements were seen, in at most 12 KiB.
//!
//! It is an ordinary string, byte for byte as Redis has it, so that dumps, copies and clients that
//! read it go on to work:
//!
//! ```text
//! "HYLL"  encoding  3 unused  8 bytes: the last count, little endian   registers
//! ```
//!
//! The highest bit of the count says that it is out of date. There are 16384 registers of six bits;
//! an element's hash chooses one and may raise it. Dense, all of them are stored ([`dense`]); sparse,
//! runs of equal ones ([`sparse`]). A sparse one only ever turns into a dense one.
//!
//! Anything can be in a string, so sparse bytes are never believed: a broken sequence is
//! [`Corrupted`], never a panic.

mod dense;
mod estimate;
mod murmur;
mod sparse;

pub use sparse::{Run, runs};

use alloc::vec::Vec;

use estimate::Histogram;

/// How many registers there are.
pub const REGISTERS: usize = 1 << INDEX_BITS;

/// Bits of an element's hash that choose the register.
const INDEX_BITS: u32 = 14;
/// The bits of the hash that are left: a register is at most one more.
const RUN_BITS: u32 = 64 - INDEX_BITS;

const HEADER_BYTES: usize = 16;
/// The length of a dense one.
const DENSE_BYTES: usize = HEADER_BYTES + dense::BYTES;
const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
/// Where the last count stands.
pub const COUNT_AT: usize = 8;
const OUT_OF_DATE: u64 = 1 << 63;

/// How the registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// All of them.
    Dense,
    /// Runs of equal ones.
    Sparse,
}

/// The bytes claim to be a HyperLogLog, but are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupted;

/// An empty one.
#[must_use]
pub fn empty() -> Vec<u8> {
    let mut text = Vec::with_capacity(HEADER_BYTES + 2);
    text.extend_from_slice(MAGIC);
    text.push(1);
    text.resize(HEADER_BYTES, 0);
    sparse::push_zeros(&mut text, REGISTERS);
    text
}

/// The encoding of a string that looks like a HyperLogLog. `None` if it does not.
#[must_use]
pub fn encoding(text: &[u8]) -> Option<Encoding> {
    if text.len() < HEADER_BYTES || !text.starts_with(MAGIC) {
        return None;
    }
    match text.get(ENCODING_AT)? {
        0 => (text.len() == DENSE_BYTES).then_some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

/// The last count, unless it is out of date.
#[must_use]
pub fn last_count(text: &[u8]) -> Option<u64> {
    let count = text.get(COUNT_AT..HEADER_BYTES)?;
    let count = u64::from_le_bytes(count.try_into().ok()?);
    (count & OUT_OF_DATE == 0).then_some(count)
}

/// Marks the last count as out of date.
pub fn forget_count(text: &mut [u8]) {
    if let Some(last) = text.get_mut(HEADER_BYTES - 1) {
        *last |= 0x80;
    }
}

/// About how many elements were added.
pub fn count(text: &[u8]) -> Result<u64, Corrupted> {
    let mut histogram = Histogram::new();
    visit(text, |value, registers| histogram.add(value, registers.len()))?;
    Ok(histogram.estimate())
}

/// Adds an element. Whether that changed a register.
pub fn add(text: &mut Vec<u8>, element: &[u8], sparse_bytes_max: usize) -> Result<bool, Corrupted> {
    let (register, value) = place(element);
    raise(text, register, value, sparse_bytes_max)
}

/// Raises a register to a value. Whether it was lower. A sparse one that would become longer than
/// `sparse_bytes_max` by it, or cannot hold the value, becomes dense.
pub fn raise(
    text: &mut Vec<u8>,
    register: usize,
    value: u8,
    sparse_bytes_max: usize,
) -> Result<bool, Corrupted> {
    match encoding(text) {
        Some(Encoding::Dense) => Ok(dense::raise(&mut text[HEADER_BYTES..], register, value)),
        Some(Encoding::Sparse) => match sparse::raise(text, register, value, sparse_bytes_max)? {
            sparse::Raised::No => Ok(false),
            sparse::Raised::Yes => {
                forget_count(text);
                Ok(true)
            }
            sparse::Raised::TooLarge => {
                make_dense(text)?;
                Ok(dense::raise(&mut text[HEADER_BYTES..], register, value))
            }
        },
        None => Err(Corrupted),
    }
}

/// Makes a sparse one dense. Whether it was sparse.
pub fn make_dense(text: &mut Vec<u8>) -> Result<bool, Corrupted> {
    if encoding(text) == Some(Encoding::Dense) {
        return Ok(false);
    }
    let mut registers = alloc::vec![0; dense::BYTES];
    visit(text, |value, run| {
        if value > 0 {
            run.for_each(|register| dense::set(&mut registers, register, value));
        }
    })?;
    text.truncate(HEADER_BYTES);
    text[ENCODING_AT] = 0;
    text.extend_from_slice(&registers);
    Ok(true)
}

/// Calls `see` with every register or run of registers in order.
fn visit(text: &[u8], mut see: impl FnMut(u8, core::ops::Range<usize>)) -> Result<(), Corrupted> {
    let registers = text.get(HEADER_BYTES..).ok_or(Corrupted)?;
    if encoding(text) == Some(Encoding::Dense) {
        dense::values(registers).zip(0..).for_each(|(value, at)| see(value, at..at + 1));
        return Ok(());
    }
    let mut next = 0;
    for run in sparse::runs_of(registers) {
        let end = next + run.len;
        if end > REGISTERS {
            return Err(Corrupted);
        }
        see(run.value, next..end);
        next = end;
    }
    if next == REGISTERS { Ok(()) } else { Err(Corrupted) }
}

/// All registers of several HyperLogLogs together: of each the highest.
#[derive(Clone, Debug)]
pub struct Union(Vec<u8>);

impl Default for Union {
    fn default() -> Self {
        Self(alloc::vec![0; REGISTERS])
    }
}

impl Union {
    /// Takes another one in.
    pub fn merge(&mut self, text: &[u8]) -> Result<(), Corrupted> {
        visit(text, |value, run| {
            if let Some(registers) = self.0.get_mut(run) {
                registers.iter_mut().for_each(|register| *register = value.max(*register));
            }
        })
    }

    /// About how many elements were added to any of them.
    #[must_use]
    pub fn count(&self) -> u64 {
        let mut histogram = Histogram::new();
        self.0.iter().for_each(|value| histogram.add(*value, 1));
        histogram.estimate()
    }

    /// The registers in order.
    #[must_use]
    pub fn registers(&self) -> &[u8] {
        &self.0
    }
}

/// The register that an element chooses, and the value that it asks for: the position of the lowest
/// set bit in the rest of its hash.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur::hash(element);
    let rest = hash >> INDEX_BITS | 1 << RUN_BITS;
    (hash as usize & (REGISTERS - 1), rest.trailing_zeros() as u8 + 1)
}

#[cfg(test)]
mod tests {
    use super::super::random::seeded;
    use super::*;

    const SPARSE_BYTES_MAX: usize = 3000;

    #[test]
    fn an_empty_one_is_as_redis_makes_it() {
        assert_eq!(empty(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
        assert_eq!(count(&empty()), Ok(0));
        assert_eq!(last_count(&empty()), Some(0));
    }

    #[test]
    fn sparse_and_dense_agree_register_by_register() {
        let mut random = seeded(6);
        let (mut either, mut dense) = (empty(), empty());
        make_dense(&mut dense).unwrap();
        let mut naive = alloc::vec![0_u8; REGISTERS];
        let mut was_sparse = 0;
        for step in 0..20_000 {
            let element = random().to_le_bytes();
            let (register, value) = place(&element);
            let raised = value > naive[register];
            naive[register] = naive[register].max(value);
            assert_eq!(add(&mut either, &element, SPARSE_BYTES_MAX), Ok(raised), "{step}");
            assert_eq!(add(&mut dense, &element, SPARSE_BYTES_MAX), Ok(raised), "{step}");
            was_sparse += usize::from(encoding(&either) == Some(Encoding::Sparse));
            if step % 500 == 0 {
                let mut union = Union::default();
                union.merge(&either).unwrap();
                assert_eq!(union.registers(), naive);
                assert_eq!(count(&either), count(&dense));
                assert_eq!(count(&either), Ok(union.count()));
            }
        }
        assert_eq!(encoding(&either), Some(Encoding::Dense));
        assert!((500..5_000).contains(&was_sparse), "{was_sparse}");
    }

    #[test]
    fn counts_are_near_the_truth() {
        let mut text = empty();
        let mut checkpoint = 10;
        for number in 1..=200_000_u64 {
            add(&mut text, &number.to_le_bytes(), SPARSE_BYTES_MAX).unwrap();
            if number == checkpoint {
                let error = count(&text).unwrap().abs_diff(number);
                assert!(error as f64 <= number as f64 * 0.05, "{error} of {number}");
                checkpoint *= 10;
            }
        }
    }

    #[test]
    fn broken_bytes_are_refused_and_never_a_panic() {
        let mut random = seeded(7);
        let mut good = empty();
        for number in 0..300_u64 {
            add(&mut good, &number.to_le_bytes(), SPARSE_BYTES_MAX).unwrap();
        }
        let mut refused = 0;
        for _ in 0..5_000 {
            let mut text = good.clone();
            for _ in 0..1 + random() % 4 {
                let at = HEADER_BYTES + random() as usize % (text.len() - HEADER_BYTES);
                match random() % 3 {
                    0 => text[at] = random() as u8,
                    1 => text.truncate(at.max(HEADER_BYTES + 1)),
                    _ => text.insert(at, random() as u8),
                }
            }
            refused += usize::from(count(&text) == Err(Corrupted));
            let _ = Union::default().merge(&text);
            let _ = add(&mut text.clone(), &random().to_le_bytes(), SPARSE_BYTES_MAX);
            let _ = make_dense(&mut text);
        }
        assert!(refused > 4_000, "{refused}");
        assert_eq!(encoding(b"HYLL"), None);
        assert_eq!(encoding(&[b"HYLL\0".as_slice(), &[0; 100]].concat()), None);
        assert_eq!(encoding(&[b"HYLL\x02".as_slice(), &[0; 100]].concat()), None);
    }

    #[test]
    fn a_value_that_runs_cannot_hold_makes_it_dense() {
        let mut text = empty();
        assert_eq!(raise(&mut text, 5, 32, SPARSE_BYTES_MAX), Ok(true));
        assert_eq!(encoding(&text), Some(Encoding::Sparse));
        assert_eq!(raise(&mut text, 6, 33, SPARSE_BYTES_MAX), Ok(true));
        assert_eq!(encoding(&text), Some(Encoding::Dense));
        assert_eq!(raise(&mut text, 5, 32, SPARSE_BYTES_MAX), Ok(false));
    }
}
