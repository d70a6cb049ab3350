//! Small byte strings packed one behind the other in one allocation: the small form of lists, sets,
//! hashes and sorted sets.
//!
//! The bytes are exactly the "listpack" that Redis keeps and writes into RDB files, so that a
//! small collection is saved and loaded by copying: a header (total bytes as u32, number of entries
//! as u16 where 65535 means "count them", both little endian), the entries, and 255. An entry is a
//! type and length, the content, and its own length again in a form that is read backwards. An
//! element that is the canonical text of an integer is stored as that integer.
//!
//! Everything takes time in the number of entries; who has many keeps them elsewhere.

use alloc::vec;
use alloc::vec::Vec;

use super::element::Element;
use super::hasher::Hasher;
use super::number::parse_i64;

/// A sequence of small byte strings.
#[derive(Clone, Debug)]
pub struct Packed {
    bytes: Vec<u8>,
}

/// Where an entry begins. Changing the sequence in front of it makes it meaningless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(usize);

const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;

/// In the header's 16 bits: there are so many that they have to be counted.
const COUNT_UNKNOWN: u16 = u16::MAX;

impl Default for Packed {
    fn default() -> Self {
        Self::new()
    }
}

impl Packed {
    /// Most bytes that a sequence may take.
    pub const BYTES_MAX: usize = 1 << 30;

    /// An empty sequence.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: vec![7, 0, 0, 0, 0, 0, END] }
    }

    /// An empty sequence with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut packed = Self { bytes: Vec::with_capacity(bytes.max(HEADER_BYTES + 1)) };
        packed.bytes.extend_from_slice(&Self::new().bytes);
        packed
    }

    /// Takes over the bytes of a listpack from outside, after checking every one of them.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let total = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        let promised = u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?);
        let (last, entries) = bytes.get(HEADER_BYTES..)?.split_last()?;
        if total as usize != bytes.len() || bytes.len() > Self::BYTES_MAX || *last != END {
            return None;
        }
        let (mut at, mut count) = (0, 0);
        while at < entries.len() {
            let rest = &entries[at..];
            let (_, length) = decode(rest)?;
            let (back, back_len) = encode_back(length);
            if rest.get(length..length + back_len)? != &back[..back_len] {
                return None;
            }
            at += length + back_len;
            count += 1;
        }
        let right = promised == COUNT_UNKNOWN || usize::from(promised) == count;
        right.then_some(Self { bytes })
    }

    /// The listpack as Redis would store it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        match u16::from_le_bytes([self.bytes[4], self.bytes[5]]) {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes[HEADER_BYTES] == END
    }

    /// Bytes allocated. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether another `extra` bytes of content may come in.
    #[must_use]
    pub fn has_room_for(&self, extra: usize) -> bool {
        extra <= Self::BYTES_MAX && self.bytes.len() + extra + 16 <= Self::BYTES_MAX
    }

    /// Place of the first entry.
    #[must_use]
    pub fn first(&self) -> Option<Place> {
        (!self.is_empty()).then_some(Place(HEADER_BYTES))
    }

    /// Place of the last entry.
    #[must_use]
    pub fn last(&self) -> Option<Place> {
        self.before(Place(self.bytes.len() - 1))
    }

    /// Place of the entry behind the one at `place`.
    #[must_use]
    pub fn next(&self, place: Place) -> Option<Place> {
        let (_, size) = self.entry(place);
        let next = place.0 + size;
        (self.bytes[next] != END).then_some(Place(next))
    }

    /// Place of the entry before the one at `place`.
    #[must_use]
    pub fn before(&self, place: Place) -> Option<Place> {
        (place.0 > HEADER_BYTES).then(|| Place(place.0 - size_before(&self.bytes[..place.0])))
    }

    /// Place of the entry with this index.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<Place> {
        let count = self.len();
        if index >= count {
            return None;
        }
        if index <= count / 2 {
            let mut place = self.first();
            for _ in 0..index {
                place = self.next(place?);
            }
            place
        } else {
            let mut place = self.last();
            for _ in index + 1..count {
                place = self.before(place?);
            }
            place
        }
    }

    /// The entry at `place`.
    #[must_use]
    pub fn at(&self, place: Place) -> Element<'_> {
        self.entry(place).0
    }

    /// The entry with this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        self.place(index).map(|place| self.at(place))
    }

    /// The first entry equal to `text`, looking at one entry in `stride`, and its index.
    #[must_use]
    pub fn find(&self, text: &[u8], stride: usize) -> Option<(Place, usize)> {
        let number = parse_i64(text);
        let (mut at, mut index) = (HEADER_BYTES, 0);
        loop {
            // Short texts and small integers first, because most entries are such.
            let (found, size) = match self.bytes[at] {
                END => return None,
                first @ 0x80..=0xbf => {
                    let length = usize::from(first & 0x3f);
                    let found = length == text.len() && &self.bytes[at + 1..=at + length] == text;
                    (found, length + 2)
                }
                first @ 0..=0x7f => (number == Some(i64::from(first)), 2),
                _ => match self.entry(Place(at)) {
                    (Element::Bytes(bytes), size) => (bytes == text, size),
                    (Element::Int(value), size) => (number == Some(value), size),
                },
            };
            if found && index % stride == 0 {
                return Some((Place(at), index));
            }
            at += size;
            index += 1;
        }
    }

    /// Whether no two of every `stride`-th entry are equal.
    #[must_use]
    pub fn are_distinct(&self, stride: usize, hasher: &Hasher) -> bool {
        let entries = || self.iter().step_by(stride);
        let hash = |entry: Element<'_>| entry.with(|text| hasher.hash(text));
        let mut hashes: Vec<u64> = Vec::with_capacity(self.len() / stride + 1);
        hashes.extend(entries().map(hash));
        hashes.sort_unstable();
        if hashes.windows(2).all(|pair| pair[0] != pair[1]) {
            return true;
        }
        // Equal hashes are nearly always equal entries.
        let mut texts: Vec<Vec<u8>> = entries().map(Element::to_vec).collect();
        texts.sort_unstable();
        texts.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// All entries.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: &self.bytes[HEADER_BYTES..self.bytes.len() - 1] }
    }

    /// The entries from `place` on.
    #[must_use]
    pub fn iter_from(&self, place: Place) -> Iter<'_> {
        Iter { bytes: &self.bytes[place.0..self.bytes.len() - 1] }
    }

    /// Place of what `rest`, which goes to the end of this sequence, yields next.
    #[must_use]
    pub fn place_of_next(&self, rest: &Iter<'_>) -> Place {
        Place(self.bytes.len() - 1 - rest.bytes.len())
    }

    /// Place behind what `front`, which goes from the first entry on, yields last.
    #[must_use]
    pub fn place_behind(&self, front: &Iter<'_>) -> Place {
        Place(HEADER_BYTES + front.bytes.len())
    }

    /// All entries with their places.
    pub fn places(&self) -> impl Iterator<Item = (Place, Element<'_>)> {
        let end = self.bytes.len() - 1;
        let mut rest = self.iter();
        core::iter::from_fn(move || {
            let place = Place(end - rest.bytes.len());
            rest.next().map(|element| (place, element))
        })
    }

    /// Appends an entry.
    pub fn push_back(&mut self, text: &[u8]) {
        self.append_with(|end| end.push(text));
    }

    /// Appends the entry of an integer.
    pub fn push_back_int(&mut self, value: i64) {
        self.append_with(|end| end.push_int(value));
    }

    /// Appends entries; what the header says of all is written once.
    pub fn append_with(&mut self, push: impl FnOnce(&mut End<'_>)) {
        self.bytes.pop();
        let mut end = End { packed: self, pushed: 0 };
        push(&mut end);
        let pushed = end.pushed;
        self.bytes.push(END);
        self.write_total();
        self.count(pushed);
    }

    /// Replaces the entry at `place` by an integer.
    pub fn replace_int(&mut self, place: Place, value: i64) {
        let (_, size) = self.entry(place);
        let mut head = [0; 9];
        let head_len = encode_int(value, &mut head);
        self.splice_encoded(place.0, size, &head[..head_len], &[]);
    }

    /// Puts an entry in front of all others.
    pub fn push_front(&mut self, text: &[u8]) {
        self.insert(Place(HEADER_BYTES), text);
    }

    /// Puts an entry where the one at `place` was, which moves behind it.
    pub fn insert(&mut self, place: Place, text: &[u8]) {
        self.splice(place.0, 0, text);
        self.count(1);
    }

    /// Replaces the entry at `place`.
    pub fn replace(&mut self, place: Place, text: &[u8]) {
        let (_, size) = self.entry(place);
        self.splice(place.0, size, text);
    }

    /// Removes up to `count` entries from `place` on; the next one then has that place.
    pub fn remove(&mut self, place: Place, count: usize) {
        let (mut end, mut removed) = (place.0, 0);
        while removed < count && self.bytes[end] != END {
            end += self.entry(Place(end)).1;
            removed += 1;
        }
        self.resize_gap(place.0, end - place.0, 0);
        self.count(-(removed as isize));
        if self.bytes.len() * 2 < self.bytes.capacity() {
            self.bytes.shrink_to(self.bytes.len() + self.bytes.len() / 8);
        }
    }

    /// Splits off the entries from `index` on.
    #[must_use]
    pub fn split_off(&mut self, index: usize) -> Self {
        let Some(place) = self.place(index) else { return Self::new() };
        let moved = self.len() - index;
        let mut tail =
            Self { bytes: Vec::with_capacity(HEADER_BYTES + self.bytes.len() - place.0) };
        tail.bytes.extend_from_slice(&[0; HEADER_BYTES]);
        tail.bytes.extend_from_slice(&self.bytes[place.0..]);
        tail.write_header(moved);
        self.remove(place, moved);
        tail
    }

    /// Appends all entries of another sequence.
    pub fn append(&mut self, other: &Self) {
        let count = self.len() + other.len();
        self.bytes.pop();
        self.reserve(other.bytes.len() - HEADER_BYTES);
        self.bytes.extend_from_slice(&other.bytes[HEADER_BYTES..]);
        self.write_header(count);
    }

    /// Gives back memory kept for growing.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Checks every byte; panics on a contradiction.
    pub fn check(&self) {
        assert!(Self::from_bytes(self.bytes.clone()).is_some(), "a valid listpack");
        assert_eq!(self.len(), self.iter().count(), "number of entries");
    }

    /// The entry at a place and its whole size.
    fn entry(&self, place: Place) -> (Element<'_>, usize) {
        let (element, length) =
            decode(&self.bytes[place.0..]).expect("a place is where one begins");
        (element, length + back_len(length))
    }

    /// Replaces the `old` bytes from `at` on by the entry of `text`.
    fn splice(&mut self, at: usize, old: usize, text: &[u8]) {
        let mut head = [0; 9];
        let (head_len, content) = encode_head(text, &mut head);
        self.splice_encoded(at, old, &head[..head_len], content);
    }

    fn splice_encoded(&mut self, at: usize, old: usize, head: &[u8], content: &[u8]) {
        let length = head.len() + content.len();
        let (back, back_len) = encode_back(length);
        self.resize_gap(at, old, length + back_len);
        let entry = &mut self.bytes[at..at + length + back_len];
        entry[..head.len()].copy_from_slice(head);
        entry[head.len()..length].copy_from_slice(content);
        entry[length..].copy_from_slice(&back[..back_len]);
    }

    /// Makes the `old` bytes from `at` on `new` bytes long, by moving what is behind them.
    fn resize_gap(&mut self, at: usize, old: usize, new: usize) {
        if new == old {
            return;
        }
        let length = self.bytes.len();
        if new > old {
            self.reserve(new - old);
            self.bytes.resize(length + new - old, 0);
        }
        self.bytes.copy_within(at + old..length, at + new);
        self.bytes.truncate(length + new - old);
        self.write_total();
    }

    /// Makes room for this entry, and for many like it if there is none left: the sequence grows until it
    /// has so many bytes.
    pub fn expect_more(&mut self, text: &[u8], bytes_max: usize) {
        /// What an entry takes beside its text, at most.
        const ENTRY_BYTES_MAX: usize = 10;
        let length = self.bytes.len();
        let wanted = length + text.len() + ENTRY_BYTES_MAX;
        if wanted > self.bytes.capacity() {
            let ahead = (length + length / 2).min(bytes_max);
            self.bytes.reserve_exact(wanted.max(ahead) - length);
        }
    }

    /// Makes room with little to spare: there are many small sequences.
    fn reserve(&mut self, extra: usize) {
        let wanted = self.bytes.len() + extra;
        if wanted > self.bytes.capacity() {
            let wanted = (wanted + wanted / 8).next_multiple_of(16);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
    }

    /// Adds to the number of entries in the header.
    fn count(&mut self, change: isize) {
        let count = u16::from_le_bytes([self.bytes[4], self.bytes[5]]);
        if count == COUNT_UNKNOWN && change > 0 {
            return;
        }
        let count = if count == COUNT_UNKNOWN {
            // The entries have changed already.
            self.iter().count()
        } else {
            usize::from(count).saturating_add_signed(change)
        };
        self.write_header(count);
    }

    fn write_header(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
        self.write_total();
        self.bytes[4..6].copy_from_slice(&count.to_le_bytes());
    }

    fn write_total(&mut self) {
        let total = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
    }
}

/// The end of a sequence, where entries are appended.
#[derive(Debug)]
pub struct End<'a> {
    packed: &'a mut Packed,
    pushed: isize,
}

impl End<'_> {
    /// Appends an entry.
    pub fn push(&mut self, text: &[u8]) {
        let mut head = [0; 9];
        let (head_len, content) = encode_head(text, &mut head);
        self.push_encoded(&head[..head_len], content);
    }

    /// Appends the entry of an integer.
    pub fn push_int(&mut self, value: i64) {
        let mut head = [0; 9];
        let head_len = encode_int(value, &mut head);
        self.push_encoded(&head[..head_len], &[]);
    }

    fn push_encoded(&mut self, head: &[u8], content: &[u8]) {
        let length = head.len() + content.len();
        let (back, back_len) = encode_back(length);
        // The sequence's own end follows.
        self.packed.reserve(length + back_len + 1);
        let bytes = &mut self.packed.bytes;
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&back[..back_len]);
        self.pushed += 1;
    }
}

/// The entries of a sequence, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
}

impl Iter<'_> {
    /// Passes over the next `count` entries without looking at what they are.
    pub fn pass(&mut self, count: usize) {
        for _ in 0..count {
            // Short texts and small integers first, because most entries are such.
            let size = match self.bytes.first() {
                None => return,
                Some(0..=0x7f) => 2,
                Some(first @ 0x80..=0xbf) => usize::from(first & 0x3f) + 2,
                Some(_) => decode(self.bytes).map_or(0, |(_, length)| length + back_len(length)),
            };
            self.bytes = &self.bytes[size..];
        }
    }

    /// Passes over the last `count` entries.
    pub fn pass_back(&mut self, count: usize) {
        for _ in 0..count {
            if self.bytes.is_empty() {
                return;
            }
            self.bytes = &self.bytes[..self.bytes.len() - size_before(self.bytes)];
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (element, length) = decode(self.bytes)?;
        self.bytes = &self.bytes[length + back_len(length)..];
        Some(element)
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let (rest, entry) = self.bytes.split_at(self.bytes.len() - size_before(self.bytes));
        self.bytes = rest;
        decode(entry).map(|(element, _)| element)
    }
}

/// Reads the entry that `bytes` begin with: what it is, and its length without the backward one.
fn decode(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let text = |start: usize, length: usize| {
        let end = start.checked_add(length)?;
        Some((Element::Bytes(bytes.get(start..end)?), end))
    };
    let int = |width: usize| {
        let mut wide = [0; 8];
        wide[8 - width..].copy_from_slice(bytes.get(1..1 + width)?);
        Some((Element::Int(i64::from_le_bytes(wide) >> (64 - 8 * width)), 1 + width))
    };
    let first = *bytes.first()?;
    match first {
        0..=0x7f => Some((Element::Int(i64::from(first)), 1)),
        0x80..=0xbf => text(1, usize::from(first & 0x3f)),
        0xc0..=0xdf => {
            let value = i16::from(first & 0x1f) << 8 | i16::from(*bytes.get(1)?);
            // Thirteen bits with a sign.
            Some((Element::Int(i64::from(value << 3 >> 3)), 2))
        }
        0xe0..=0xef => text(2, usize::from(first & 0x0f) << 8 | usize::from(*bytes.get(1)?)),
        0xf0 => {
            let length = u32::from_le_bytes(bytes.get(1..5)?.try_into().ok()?);
            text(5, usize::try_from(length).ok()?)
        }
        0xf1 => int(2),
        0xf2 => int(3),
        0xf3 => int(4),
        0xf4 => int(8),
        0xf5.. => None,
    }
}

/// Writes type and length of the entry for `text` into `head`; returns how many bytes that took and
/// what content follows.
fn encode_head<'a>(text: &'a [u8], head: &mut [u8; 9]) -> (usize, &'a [u8]) {
    if let Some(value) = parse_i64(text) {
        return (encode_int(value, head), &[]);
    }
    let length = text.len();
    let used = match length {
        0..64 => {
            head[0] = 0x80 | length as u8;
            1
        }
        64..4096 => {
            head[..2].copy_from_slice(&(0xe000 | length as u16).to_be_bytes());
            2
        }
        _ => {
            head[0] = 0xf0;
            head[1..5].copy_from_slice(&(length as u32).to_le_bytes());
            5
        }
    };
    (used, text)
}

fn encode_int(value: i64, head: &mut [u8; 9]) -> usize {
    if (0..128).contains(&value) {
        head[0] = value as u8;
        return 1;
    }
    if (-4096..4096).contains(&value) {
        head[..2].copy_from_slice(&(0xc000 | value as u16 & 0x1fff).to_be_bytes());
        return 2;
    }
    let (code, width) = match value {
        -0x8000..0x8000 => (0xf1, 2),
        -0x80_0000..0x80_0000 => (0xf2, 3),
        -0x8000_0000..0x8000_0000 => (0xf3, 4),
        _ => (0xf4, 8),
    };
    head[0] = code;
    head[1..=width].copy_from_slice(&value.to_le_bytes()[..width]);
    1 + width
}

/// How many bytes the backward length of an entry takes.
const fn back_len(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// The backward length: seven bits a byte, the lowest last; all but the first byte are marked.
fn encode_back(length: usize) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let count = back_len(length);
    for (index, byte) in bytes[..count].iter_mut().rev().enumerate() {
        *byte = (length >> (7 * index)) as u8 & 0x7f | 0x80;
    }
    bytes[0] &= 0x7f;
    (bytes, count)
}

/// The whole size of the entry that `bytes` end with.
fn size_before(bytes: &[u8]) -> usize {
    let mut length = 0;
    for (index, byte) in bytes.iter().rev().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return length + index + 1;
        }
    }
    unreachable!("a valid listpack")
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString as _;

    use super::super::random::{below, seeded};
    use super::*;

    fn sample(random: &mut impl FnMut() -> u64) -> Vec<u8> {
        match random() % 8 {
            0 => (random() % 200).to_string().into_bytes(),
            1 => (random() as i64 >> (random() % 64)).to_string().into_bytes(),
            2 => vec![b'x'; below(random, 200)],
            3 => vec![b'y'; [0, 63, 64, 126, 127, 4095, 4096, 16_380, 17_000][below(random, 9)]],
            4 => format!("0{}", random() % 100).into_bytes(),
            _ => (0..random() % 20).map(|_| random() as u8).collect(),
        }
    }

    fn same(packed: &Packed, model: &[Vec<u8>]) {
        packed.check();
        let forward: Vec<_> = packed.iter().map(Element::to_vec).collect();
        assert_eq!(forward, model);
        let mut backward: Vec<_> = packed.iter().rev().map(Element::to_vec).collect();
        backward.reverse();
        assert_eq!(backward, model);
        assert_eq!(packed.len(), model.len());
        assert_eq!(packed.is_empty(), model.is_empty());
    }

    #[test]
    fn distinct_entries_are_told_from_equal_ones() {
        let hasher = Hasher::new(3);
        let mut packed = Packed::new();
        for number in 0..100_i64 {
            packed.push_back(std::format!("{}", number * 7).as_bytes());
            packed.push_back(b"same");
        }
        assert!(packed.are_distinct(2, &hasher));
        assert!(!packed.are_distinct(1, &hasher));
        packed.push_back(b"693");
        assert!(!packed.are_distinct(2, &hasher));
        assert!(Packed::new().are_distinct(1, &hasher));
    }

    #[test]
    fn behaves_like_a_vector() {
        let mut random = seeded(21);
        for _ in 0..40 {
            let (mut packed, mut model) = (Packed::new(), Vec::<Vec<u8>>::new());
            for _ in 0..120 {
                let text = sample(&mut random);
                let index = below(&mut random, model.len() + 1);
                match (random() % 7, packed.place(index)) {
                    (0, _) => {
                        packed.push_back(&text);
                        model.push(text);
                    }
                    (1, _) => {
                        packed.push_front(&text);
                        model.insert(0, text);
                    }
                    (2 | 3, Some(place)) => {
                        packed.insert(place, &text);
                        model.insert(index, text);
                    }
                    (4, Some(place)) => {
                        packed.replace(place, &text);
                        model[index] = text;
                    }
                    (5, Some(place)) => {
                        let count = below(&mut random, 3);
                        packed.remove(place, count);
                        model.drain(index..(index + count).min(model.len()));
                    }
                    (6, Some(_)) => {
                        let tail = packed.split_off(index);
                        same(&tail, &model[index..]);
                        same(&packed, &model[..index]);
                        packed.append(&tail);
                    }
                    (_, place) => assert_eq!(place.is_none(), index == model.len()),
                }
                same(&packed, &model);
                assert!(packed.places().all(|(place, element)| packed.at(place) == element));
                assert_eq!(packed.places().count(), model.len());
                let (mut front, mut back) = (packed.iter(), packed.iter());
                front.pass(index);
                back.pass_back(index);
                assert!(front.map(Element::to_vec).eq(model.iter().skip(index).cloned()));
                let kept = model.len().saturating_sub(index);
                assert!(back.map(Element::to_vec).eq(model.iter().take(kept).cloned()));
                for (index, text) in model.iter().enumerate() {
                    assert_eq!(packed.get(index).map(Element::to_vec).as_ref(), Some(text));
                    let found = packed.find(text, 1).map(|(_, index)| index);
                    assert_eq!(found, model.iter().position(|other| other == text));
                }
            }
        }
    }

    #[test]
    fn bytes_are_those_of_redis() {
        let mut packed = Packed::new();
        for text in ["1", "-1", "4095", "-4097", "hello", "100000", "10000000", "5000000000"] {
            packed.push_back(text.as_bytes());
        }
        let expected: &[&[u8]] = &[
            &[60, 0, 0, 0, 8, 0],
            &[1, 1],
            &[0xdf, 0xff, 2],
            &[0xcf, 0xff, 2],
            &[0xf1, 0xff, 0xef, 3],
            b"\x85hello\x06",
            &[0xf2, 0xa0, 0x86, 0x01, 4],
            &[0xf3, 0x80, 0x96, 0x98, 0, 5],
            &[0xf4, 0, 0xf2, 0x05, 0x2a, 1, 0, 0, 0, 9],
            &[0xff],
        ];
        let mut expected = expected.concat();
        expected[0] = expected.len() as u8;
        assert_eq!(packed.as_bytes(), expected);
    }

    #[test]
    fn more_entries_than_the_header_can_count() {
        let mut packed = Packed::new();
        for _ in 0..65_534 {
            packed.push_back(b"1");
        }
        for expected in 65_535..65_540 {
            packed.push_back(b"1");
            assert_eq!(packed.len(), expected);
        }
        let first = packed.first().unwrap();
        packed.remove(first, 100);
        assert_eq!(packed.len(), 65_439);
        packed.check();
    }

    #[test]
    fn hostile_bytes_are_refused_and_never_panic() {
        let mut random = seeded(4);
        let mut packed = Packed::new();
        (0..20).for_each(|_| packed.push_back(&sample(&mut random)));
        assert!(Packed::from_bytes(packed.as_bytes().to_vec()).is_some());
        for length in 0..packed.as_bytes().len() {
            assert!(Packed::from_bytes(packed.as_bytes()[..length].to_vec()).is_none());
        }
        for _ in 0..20_000 {
            let mut bytes = packed.as_bytes().to_vec();
            for _ in 0..=random() % 3 {
                let at = below(&mut random, bytes.len());
                bytes[at] = random() as u8;
            }
            if let Some(changed) = Packed::from_bytes(bytes) {
                changed.check();
                assert_eq!(changed.iter().rev().count(), changed.len());
            }
        }
    }

    #[test]
    fn little_memory_is_kept_for_growing() {
        let mut packed = Packed::new();
        for index in 0..500 {
            packed.push_back(format!("element {index}").as_bytes());
            let used = packed.as_bytes().len();
            assert!(packed.heap_bytes() <= used + used / 8 + 16);
        }
        let first = packed.first().unwrap();
        packed.remove(first, 490);
        assert!(packed.heap_bytes() <= packed.as_bytes().len() * 2);
    }
}
