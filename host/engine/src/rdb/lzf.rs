//! LZF, the compression of strings in Redis's serialised data.
//!
//! A compressed text is a row of instructions. Below 32, a byte announces so many literals plus one.
//! Otherwise its upper three bits are the length of a repetition less two (seven: another byte of
//! length follows), and the lower five with the next byte say how far back it begins, less one.

use alloc::vec;
use alloc::vec::Vec;

const LITERALS_MAX: usize = 32;
const DISTANCE_MAX: usize = 1 << 13;
const REPETITION_MIN: usize = 3;
const REPETITION_MAX: usize = 264;

/// Tables of up to so many bits need no allocation.
const SMALL_BITS: u32 = 8;

/// What three bytes can become at most: the longest repetition.
const EXPANSION_MAX: usize = REPETITION_MAX;

/// The compressed text, if it is shorter than `bytes_max`.
#[must_use]
pub(super) fn compress(text: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    if text.len() <= REPETITION_MIN || u32::try_from(text.len()).is_err() {
        return None;
    }
    // Where a text of three bytes was seen last, plus one. Small texts need no large table.
    let bits = text.len().next_power_of_two().ilog2().clamp(6, 14);
    let is_small = bits <= SMALL_BITS;
    let mut small = [0_u32; 1 << SMALL_BITS];
    let mut large = vec![0_u32; if is_small { 0 } else { 1 << bits }];
    let seen = if is_small { &mut small[..1 << bits] } else { &mut large[..] };
    let mut out = Vec::with_capacity(text.len() / 2);
    let (mut at, mut literals_from) = (0, 0);
    while at + REPETITION_MIN <= text.len() && out.len() < bytes_max {
        let place = &mut seen[slot_of(&text[at..at + REPETITION_MIN], bits)];
        let before = core::mem::replace(place, at as u32 + 1) as usize;
        let length = match before.checked_sub(1) {
            Some(before) if at - before <= DISTANCE_MAX => common_length(text, before, at),
            _ => 0,
        };
        if length < REPETITION_MIN {
            at += 1;
            continue;
        }
        write_literals(&mut out, &text[literals_from..at]);
        write_repetition(&mut out, at - before, length);
        // The bytes that were passed over may be repeated too; looking at a few is enough.
        for passed in at + 1..(at + length).min(at + REPETITION_MIN) {
            if let Some(three) = text.get(passed..passed + REPETITION_MIN) {
                seen[slot_of(three, bits)] = passed as u32 + 1;
            }
        }
        at += length;
        literals_from = at;
    }
    write_literals(&mut out, &text[literals_from..]);
    (out.len() < bytes_max).then_some(out)
}

fn slot_of(three: &[u8], bits: u32) -> usize {
    let number = u32::from_le_bytes([three[0], three[1], three[2], 0]);
    (number.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

fn common_length(text: &[u8], before: usize, at: usize) -> usize {
    let pairs = text[at..].iter().zip(&text[before..]).take(REPETITION_MAX);
    pairs.take_while(|(one, other)| one == other).count()
}

fn write_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

/// `distance` is how far back it begins, less one.
fn write_repetition(out: &mut Vec<u8>, distance: usize, length: usize) {
    let (high, low) = ((distance >> 8) as u8, distance as u8);
    let length = length - 2;
    if length < 7 {
        out.push((length as u8) << 5 | high);
    } else {
        out.push(7 << 5 | high);
        out.push((length - 7) as u8);
    }
    out.push(low);
}

/// The text of `length` bytes that was compressed; `None` if it is not what was promised. Memory
/// grows with what is really there, not with the promise.
#[must_use]
pub(super) fn decompress(compressed: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > compressed.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut out = Vec::with_capacity(length.min(compressed.len() * 2));
    let mut rest = compressed;
    while let Some((control, tail)) = rest.split_first() {
        let control = usize::from(*control);
        if control < LITERALS_MAX {
            let (literals, tail) = tail.split_at_checked(control + 1)?;
            out.extend_from_slice(literals);
            rest = tail;
        } else {
            rest = repeat(&mut out, control, tail)?;
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}

/// Repeats what was written before; gives what is left of the instructions.
fn repeat<'a>(out: &mut Vec<u8>, control: usize, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    let mut count = control >> 5;
    if count == 7 {
        let (more, tail) = rest.split_first()?;
        count += usize::from(*more);
        rest = tail;
    }
    count += 2;
    let (low, rest) = rest.split_first()?;
    let distance = ((control & 0x1f) << 8 | usize::from(*low)) + 1;
    let start = out.len().checked_sub(distance)?;
    if distance >= count {
        out.extend_from_within(start..start + count);
    } else {
        // It overlaps with itself: a short piece again and again.
        for at in start..start + count {
            out.push(*out.get(at)?);
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::super::types::random::seeded;
    use super::*;

    fn check(text: &[u8]) -> usize {
        let Some(compressed) = compress(text, text.len()) else { return text.len() };
        assert!(compressed.len() < text.len());
        assert_eq!(decompress(&compressed, text.len()).as_deref(), Some(text));
        assert_eq!(decompress(&compressed, text.len() + 1), None);
        assert_eq!(decompress(&compressed, text.len() - 1), None);
        compressed.len()
    }

    #[test]
    fn what_is_compressed_reads_back() {
        let mut random = seeded(5);
        for length in [0, 1, 3, 4, 20, 21, 100, 263, 264, 265, 266, 8191, 8192, 8193, 100_000] {
            let zeros = check(&vec![0; length]);
            assert!(length < 30 || zeros <= 6 + length / 80, "{length} zeros: {zeros}");
            for kinds in [2, 4, 200] {
                check(&(0..length).map(|_| (random() % kinds) as u8).collect::<Vec<_>>());
            }
            let words: Vec<u8> = (0..length / 8)
                .flat_map(|word| std::format!("word{:04}", word % 99).into_bytes())
                .collect();
            assert!(length < 8000 || check(&words) < length / 3);
        }
    }

    #[test]
    fn noise_is_not_compressed() {
        let mut random = seeded(7);
        let noise: Vec<u8> = (0..5000).map(|_| random() as u8).collect();
        assert_eq!(compress(&noise, noise.len() - 4), None);
    }

    #[test]
    fn a_repetition_may_overlap_with_itself() {
        // "ab", then seven bytes from two back.
        assert_eq!(decompress(&[1, b'a', b'b', 5 << 5, 1], 9).as_deref(), Some(&b"ababababa"[..]));
    }

    #[test]
    fn broken_instructions_are_refused() {
        for broken in [
            &[5, b'a'][..],        // Fewer literals than announced.
            &[0, b'a', 1 << 5, 1], // A repetition from before the start.
            &[0, b'a', 1 << 5],    // Without its distance.
            &[0, b'a', 7 << 5],    // Without its length.
            &[1 << 5, 0],          // Of nothing.
        ] {
            for length in 0..20 {
                assert_eq!(decompress(broken, length), None, "{broken:?}");
            }
        }
        assert_eq!(decompress(&[0, b'a'], usize::MAX), None);
    }

    #[test]
    fn hostile_instructions_never_panic() {
        let mut random = seeded(9);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
            let length = (random() % 300) as usize;
            if let Some(text) = decompress(&bytes, length) {
                assert_eq!(text.len(), length);
            }
        }
    }
}
