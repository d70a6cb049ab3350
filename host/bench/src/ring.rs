//! The prepared commands of a run, sent round and round, their digits overwritten before each use.
//!
//! Invariants: a batch is one contiguous slice, so sending it is one write; all connections of a
//! thread share one ring, so the bytes stay in the processor's cache; the same seed gives the same
//! commands.
//!
//! A mix's operations stand in shuffled order and in exact proportion to their weights.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::BenchError;
use crate::mix::Mix;
use crate::template::{Hole, Source, THOUSAND};

/// What a ring is made of.
#[derive(Clone, Copy)]
pub(crate) struct RingOptions {
    /// Operations in a full batch.
    pub(crate) pipeline: usize,
    /// Bound of random numbers.
    pub(crate) keys: u64,
    pub(crate) seed: u64,
    /// Number of the first operation, and distance to the next: threads interleave theirs.
    pub(crate) first: u64,
    pub(crate) stride: u64,
    /// What nonces are counted from: one value for all threads of a run (see `nonce_base`).
    pub(crate) nonce_base: u64,
}

/// The prepared commands.
pub(crate) struct Ring {
    bytes: Vec<u8>,
    operations: Vec<Operation>,
    holes: Vec<Hole>,
    cursor: usize,
    keys: u64,
    random: u64,
    number: u64,
    stride: u64,
    nonce_base: u64,
    /// Every operation has exactly one reply.
    pub(crate) single: bool,
}

/// Where an operation ends in `Ring::bytes` and its holes in `Ring::holes`.
struct Operation {
    bytes_end: usize,
    holes_end: usize,
    replies: u32,
}

/// The next commands to send.
pub(crate) struct Batch<'ring> {
    pub(crate) bytes: &'ring [u8],
    /// Index of the first operation.
    pub(crate) first: usize,
    /// Replies to come.
    pub(crate) replies: u64,
}

impl Ring {
    /// Lays out enough operations for full batches in the mix's proportions.
    pub(crate) fn new(mix: &Mix, options: RingOptions) -> Result<Self, BenchError> {
        let mut random = splitmix(options.seed ^ splitmix(options.first));
        let order = order(mix, options.pipeline, &mut random);
        let size: u64 = order.iter().map(|part| mix.parts[*part].0.bytes.len() as u64).sum();
        if size > BYTES_MAX {
            return Err(BenchError::TooLarge(size));
        }
        let mut ring = Self {
            bytes: Vec::with_capacity(usize::try_from(size).unwrap_or(0)),
            operations: Vec::with_capacity(order.len()),
            holes: Vec::new(),
            cursor: 0,
            keys: options.keys,
            random,
            number: options.first,
            stride: options.stride,
            nonce_base: options.nonce_base,
            single: mix.parts.iter().all(|(template, _)| template.replies == 1),
        };
        for part in order {
            let template = &mix.parts[part].0;
            let base = ring.bytes.len();
            ring.holes
                .extend(template.holes.iter().map(|hole| Hole { at: base + hole.at, ..*hole }));
            ring.bytes.extend_from_slice(&template.bytes);
            ring.operations.push(Operation {
                bytes_end: ring.bytes.len(),
                holes_end: ring.holes.len(),
                replies: template.replies,
            });
        }
        Ok(ring)
    }

    /// Fills in and returns the next `count` operations (at most a full batch).
    pub(crate) fn next(&mut self, count: usize) -> Batch<'_> {
        if self.cursor + count > self.operations.len() {
            self.cursor = 0;
        }
        let first = self.cursor;
        let (bytes_start, mut holes_start) = match first.checked_sub(1) {
            Some(before) => (self.operations[before].bytes_end, self.operations[before].holes_end),
            None => (0, 0),
        };
        let mut replies = 0;
        for at in first..first + count {
            let holes_end = self.operations[at].holes_end;
            for hole in holes_start..holes_end {
                self.fill(self.holes[hole]);
            }
            holes_start = holes_end;
            self.number += self.stride;
            replies += u64::from(self.operations[at].replies);
        }
        self.cursor += count;
        let bytes_end = self.operations[self.cursor - 1].bytes_end;
        Batch { bytes: &self.bytes[bytes_start..bytes_end], first, replies }
    }

    /// Replies to the operation at `index`.
    pub(crate) fn replies(&self, index: usize) -> u64 {
        u64::from(self.operations[index].replies)
    }

    fn fill(&mut self, hole: Hole) {
        let value = match hole.source {
            Source::Random => self.below(self.keys),
            Source::Thousand => self.below(THOUSAND),
            Source::Index => self.number,
            Source::Sequence => SEQUENCE_BASE + self.number,
            Source::Nonce => self.nonce_base + self.number,
        };
        write_digits(&mut self.bytes[hole.at..hole.at + hole.width], value);
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(GOLDEN);
        ((u128::from(mixed(self.random)) * u128::from(bound)) >> 64) as u64
    }
}

/// The order of the mix's parts: whole batches, exact proportions, shuffled.
fn order(mix: &Mix, pipeline: usize, random: &mut u64) -> Vec<usize> {
    let [(template, _)] = mix.parts.as_slice() else {
        let cycle = cycle(mix);
        let bytes: usize = cycle.iter().map(|part| mix.parts[*part].0.bytes.len()).sum();
        // A whole number of cycles that is a whole number of batches, and about MIXED_OPERATIONS
        // of them unless that is too much memory.
        let cycles = pipeline / common_divisor(pipeline, cycle.len());
        let wanted = MIXED_OPERATIONS.div_ceil(cycle.len() * cycles);
        let affordable = MIXED_BYTES / (bytes * cycles).max(1);
        let mut order = cycle.repeat(cycles * wanted.min(affordable).max(1));
        for at in (1..order.len()).rev() {
            *random = random.wrapping_add(GOLDEN);
            order.swap(at, (mixed(*random) % (at as u64 + 1)) as usize);
        }
        return order;
    };
    // One kind only: a batch is enough; a few keep short batches apart from each other.
    let spare = if template.bytes.len() * pipeline < SPARE_BYTES { 4 } else { 1 };
    vec![0; pipeline * spare]
}

/// The shortest sequence with the mix's exact proportions.
fn cycle(mix: &Mix) -> Vec<usize> {
    let divisor = mix.parts.iter().fold(0, |d, (_, weight)| common_divisor(d, *weight as usize));
    let parts = mix.parts.iter().enumerate();
    parts.flat_map(|(at, (_, weight))| vec![at; *weight as usize / divisor.max(1)]).collect()
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Overwrites `out` with `value`, zeros in front; digits that find no room are dropped.
fn write_digits(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        if value == 0 {
            *digit = b'0';
        } else {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
}

/// Microseconds since 1970: below a million operations a second, later runs start beyond this one.
pub(crate) fn nonce_base() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(0)
}

/// One value of the SplitMix64 sequence: equidistributed, a few instructions, any seed will do.
fn splitmix(seed: u64) -> u64 {
    mixed(seed.wrapping_add(GOLDEN))
}

fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Twelve digits without a leading zero.
const SEQUENCE_BASE: u64 = 100_000_000_000;
/// Operations prepared of a mix: enough that the order does not matter.
const MIXED_OPERATIONS: usize = 1_000;
/// Memory that a mix may take for that.
const MIXED_BYTES: usize = 16 << 20;
/// A single kind of operation is laid out several times when that stays in the nearest cache.
const SPARE_BYTES: usize = 4 << 10;
/// The most that prepared commands may take.
const BYTES_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn options(pipeline: usize) -> RingOptions {
        RingOptions {
            pipeline,
            keys: 1_000,
            seed: 7,
            first: 0,
            stride: 1,
            nonce_base: nonce_base(),
        }
    }

    fn ring(command: &str, options: RingOptions) -> Ring {
        Ring::new(&Mix::custom(command, b"v").expect(command), options).expect("small")
    }

    fn text(batch: &Batch<'_>) -> String {
        String::from_utf8(batch.bytes.to_vec()).expect("ASCII")
    }

    #[test]
    fn numbers_go_up_by_one_and_threads_interleave() {
        let mut whole = ring("X __index__ __seq__", options(2));
        assert!(text(&whole.next(2)).contains("000000000001\r\n$12\r\n100000000001\r\n"));
        assert!(text(&whole.next(1)).contains("000000000002\r\n$12\r\n100000000002\r\n"));
        let mut second = ring("X __index__", RingOptions { first: 1, stride: 3, ..options(1) });
        assert!(text(&second.next(1)).contains("000000000001"));
        assert!(text(&second.next(1)).contains("000000000004"));
    }

    #[test]
    fn a_number_that_got_shorter_leaves_no_digit_behind() {
        let mut digits = *b"000000000000";
        for (value, expected) in
            [(987_654_321, b"000987654321"), (10, b"000000000010"), (0, b"000000000000")]
        {
            write_digits(&mut digits, value);
            assert_eq!(&digits, expected);
        }
    }

    #[test]
    fn random_keys_stay_below_the_bound_and_reach_all_of_it() {
        let mut ring = ring("GET __key__", options(16));
        let mut seen = BTreeSet::new();
        for _ in 0..2_000 {
            for line in text(&ring.next(16)).lines().filter(|line| line.starts_with("key:")) {
                seen.insert(line["key:".len()..].parse::<u64>().expect("digits"));
            }
        }
        assert_eq!(seen.len(), 1_000);
        assert!(seen.last() < Some(&1_000));
    }

    #[test]
    fn nonces_have_sixteen_digits_and_do_not_repeat() {
        let mut ring = ring("X __nonce__", options(1));
        let nonces: BTreeSet<String> = (0..100).map(|_| text(&ring.next(1))).collect();
        assert_eq!(nonces.len(), 100);
        assert!(nonces.iter().all(|nonce| nonce.contains("$16\r\n1")));
    }

    #[test]
    fn the_same_seed_gives_the_same_commands() {
        let bytes = |seed| {
            let mix = Mix::parse("get:3,set:1", b"v").expect("mix");
            let mut ring = Ring::new(&mix, RingOptions { seed, ..options(8) }).expect("small");
            (0..50).flat_map(|_| ring.next(8).bytes.to_vec()).collect::<Vec<u8>>()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn weights_are_kept_exactly_at_every_pipeline() {
        for pipeline in [1, 3, 16, 1_000, 1_024] {
            let mix = Mix::parse("get:80,set:15,ping:5", b"v").expect("mix");
            let mut ring = Ring::new(&mix, options(pipeline)).expect("small");
            let length = ring.operations.len();
            assert_eq!(length % pipeline, 0);
            let mut counts = BTreeMap::new();
            for _ in 0..length / pipeline {
                for line in text(&ring.next(pipeline)).lines() {
                    if ["GET", "SET", "PING"].contains(&line) {
                        *counts.entry(line.to_owned()).or_insert(0) += 1;
                    }
                }
            }
            let share = |name: &str| counts[name] * 100 / length;
            assert_eq!((share("GET"), share("SET"), share("PING")), (80, 15, 5), "{pipeline}");
        }
    }

    #[test]
    fn short_batches_wrap_and_count_their_replies() {
        let mut ring = ring("MULTI ; PING ; EXEC", options(4));
        assert!(!ring.single);
        for count in [4, 4, 3, 4, 1, 2, 4, 4] {
            let batch = ring.next(count);
            assert_eq!(batch.replies, 3 * count as u64);
            assert_eq!(text(&batch).matches("EXEC").count(), count);
        }
    }

    #[test]
    fn too_much_memory_is_refused() {
        let data = vec![b'x'; 1 << 20];
        let mix = Mix::parse("set", &data).expect("mix");
        let error = Ring::new(&mix, options(2_000)).err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("the prepared commands would take 2000 MiB: lower --pipeline or --value-bytes")
        );
    }
}
