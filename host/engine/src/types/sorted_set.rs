//! The sorted set: members with scores, ordered by score and then by the bytes of the member.
//!
//! Few short members are one packed sequence (member, score, member, score) in order. All else is
//! three parts that name a member by its index in a dense array: the array itself (member and
//! score), a hash table from member to index, and a counted tree of (score, index) in order. A member
//! is stored once. A sorted set only ever turns from the former into the latter.
//!
//! Whatever asks for a part of the order gets **ranks** first ([`SortedSet::ranks_by_score`],
//! [`SortedSet::ranks_by_lex`], both logarithmic) and works with those: their difference is the
//! count, [`SortedSet::range`] walks them from either end, [`SortedSet::remove_range`] removes them.
//!
//! Scores are never "not a number". Like Redis, the packed form does not keep the sign of zero.
//!
//! Undo: [`SortedSet::insert`] returns the old score, to be inserted again, or nothing, then
//! `remove`; what removes returns members with scores, to be inserted again.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Range;

use super::bounds::{LexRange, ScoreRange};
use super::counted::Counted;
use super::dense::Dense;
use super::element::Element;
use super::encoding::Encoding;
use super::hasher::Hasher;
use super::limits::Limits;
use super::listpack::{self, Packed, Place};
use super::number::{parse_f64_any_size, write_i64};
use super::random::{Random, below, distinct_below};
use super::segmented::Segmented;
use super::small_bytes::SmallBytes;

/// Members in the order of their scores.
#[derive(Clone, Default)]
pub struct SortedSet {
    shape: Shape,
}

#[derive(Clone)]
enum Shape {
    Packed(Packed),
    Table(alloc::boxed::Box<Table>),
}

#[derive(Clone)]
struct Table {
    slots: Slots,
    /// From a member to its slot.
    index: Segmented<u32>,
    order: Counted<Key>,
    /// Bytes that members own outside of their slots.
    member_bytes: usize,
}

type Slots = Dense<Slot>;

#[derive(Clone)]
struct Slot {
    member: SmallBytes,
    score: f64,
}

/// What the tree orders: a score (as two halves, so that a key takes twelve bytes) and a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Key {
    score: [u32; 2],
    slot: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self::Packed(Packed::new())
    }
}

impl SortedSet {
    /// An empty sorted set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The sorted set of these members, each followed by the text of its score; `None` if a member
    /// comes twice, or if a score is missing or no number.
    #[must_use]
    pub fn from_texts(texts: &Packed, hasher: &Hasher, limits: &Limits) -> Option<Self> {
        if !texts.len().is_multiple_of(2) || !texts.are_distinct(2, hasher) {
            return None;
        }
        let mut set = Self::new();
        let mut last: Option<(f64, Element<'_>)> = None;
        let mut in_order = texts.len() / 2 <= limits.sorted_set_entries_max;
        let mut packed = Packed::with_capacity(texts.as_bytes().len());
        let mut entries = texts.iter();
        while let (Some(member), Some(score)) = (entries.next(), entries.next()) {
            let score = score_of_text(score)?;
            // As long as members come in order, each is put behind the others.
            in_order &= member.len() <= limits.sorted_set_value_bytes_max
                && last.is_none_or(|(before, other)| {
                    before < score
                        || before == score
                            && other.with(|other| member.with(|member| other < member))
                });
            if in_order {
                member.with(|member| packed.push_back(member));
                packed.push_back(&pack_score(score));
                last = Some((score, member));
                continue;
            }
            if let Shape::Packed(none) = &set.shape
                && none.is_empty()
            {
                set.shape = Shape::Packed(core::mem::take(&mut packed));
            }
            member.with(|member| set.insert(hasher, member, score, limits));
        }
        if in_order {
            set.shape = Shape::Packed(packed);
        }
        Some(set)
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.shape {
            Shape::Packed(packed) => packed.len() / 2,
            Shape::Table(table) => table.slots.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The form that the sorted set has now.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match &self.shape {
            Shape::Packed(_) => Encoding::Listpack,
            Shape::Table(_) => Encoding::SkipList,
        }
    }

    /// Bytes allocated behind the value. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.shape {
            Shape::Packed(packed) => packed.heap_bytes(),
            Shape::Table(table) => {
                let parts = table.slots.heap_bytes() + table.index.heap_bytes();
                size_of::<Table>() + parts + table.order.heap_bytes() + table.member_bytes
            }
        }
    }

    /// The score of a member.
    #[must_use]
    pub fn score(&self, hasher: &Hasher, member: &[u8]) -> Option<f64> {
        match &self.shape {
            Shape::Packed(packed) => {
                let (place, _) = packed.find(member, 2)?;
                Some(score_behind(packed, place))
            }
            Shape::Table(table) => {
                let slot = table.slot_of(hasher, member)?;
                Some(slot_at(&table.slots, slot).score)
            }
        }
    }

    /// How many members come before this one.
    #[must_use]
    pub fn rank(&self, hasher: &Hasher, member: &[u8]) -> Option<usize> {
        match &self.shape {
            Shape::Packed(packed) => packed.find(member, 2).map(|(_, index)| index / 2),
            Shape::Table(table) => {
                let slot = slot_at(&table.slots, table.slot_of(hasher, member)?);
                Some(table.rank_of(slot.score, member))
            }
        }
    }

    /// Sets the score of a member and returns its old one; `None` if the member is new. The score
    /// must be a number.
    pub fn insert(
        &mut self,
        hasher: &Hasher,
        member: &[u8],
        score: f64,
        limits: &Limits,
    ) -> Option<f64> {
        assert!(!score.is_nan(), "a score is a number");
        if let Shape::Packed(packed) = &mut self.shape {
            if let Some((place, _)) = packed.find(member, 2) {
                let old = score_behind(packed, place);
                if old != score {
                    packed.remove(place, 2);
                    insert_packed(packed, member, score);
                }
                return Some(old);
            }
            if packed.len() / 2 < limits.sorted_set_entries_max
                && member.len() <= limits.sorted_set_value_bytes_max
                && packed.has_room_for(member.len() + 32)
            {
                insert_packed(packed, member, score);
                return None;
            }
        }
        self.turn_into_table(hasher).insert(hasher, member, score)
    }

    /// Removes a member and returns its score.
    pub fn remove(&mut self, hasher: &Hasher, member: &[u8]) -> Option<f64> {
        match &mut self.shape {
            Shape::Packed(packed) => {
                let (place, _) = packed.find(member, 2)?;
                let score = score_behind(packed, place);
                packed.remove(place, 2);
                Some(score)
            }
            Shape::Table(table) => {
                let slot = table.slot_of(hasher, member)?;
                let rank = table.rank_of(slot_at(&table.slots, slot).score, member);
                Some(table.remove(hasher, rank)?.score)
            }
        }
    }

    /// The ranks of the members whose scores lie in `range`.
    #[must_use]
    pub fn ranks_by_score(&self, range: &ScoreRange) -> Range<usize> {
        self.ranks(|_, score| range.is_before(score), |_, score| !range.is_after(score))
    }

    /// The ranks of the members that lie in `range`. It makes sense only where all scores are equal.
    #[must_use]
    pub fn ranks_by_lex(&self, range: &LexRange<'_>) -> Range<usize> {
        self.ranks(|member, _| range.is_before(member), |member, _| !range.is_after(member))
    }

    /// The members with these ranks and their scores, from either end.
    pub fn range(
        &self,
        ranks: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (Element<'_>, f64)> + Clone {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        let (packed, table) = match &self.shape {
            Shape::Packed(packed) => (Some(Pairs::new(packed, ranks.clone())), None),
            Shape::Table(table) => (None, Some(table)),
        };
        let table = table.into_iter().flat_map(move |table| {
            let keys = table.order.range(ranks.clone());
            keys.map(|key| slot_at(&table.slots, key.slot).pair())
        });
        packed.into_iter().flatten().chain(table)
    }

    /// All members with their scores in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Element<'_>, f64)> + Clone {
        self.range(0..usize::MAX)
    }

    /// Removes the members with these ranks and returns them with their scores, in order.
    pub fn remove_range(&mut self, hasher: &Hasher, ranks: Range<usize>) -> Vec<(Vec<u8>, f64)> {
        let end = ranks.end.min(self.len());
        let start = ranks.start.min(end);
        match &mut self.shape {
            Shape::Packed(packed) => {
                let owned = |(member, score): (Element<'_>, f64)| (member.to_vec(), score);
                let removed = Pairs::new(packed, start..end).map(owned).collect();
                if let Some(place) = packed.place(start * 2) {
                    packed.remove(place, (end - start) * 2);
                }
                removed
            }
            Shape::Table(table) => {
                let removed = (start..end).map_while(|_| table.remove(hasher, start));
                removed.map(|slot| (slot.member.as_slice().to_vec(), slot.score)).collect()
            }
        }
    }

    /// Removes the first member and returns it with its score.
    pub fn pop_first(&mut self, hasher: &Hasher) -> Option<(Vec<u8>, f64)> {
        self.remove_range(hasher, 0..1).pop()
    }

    /// Removes the last member and returns it with its score.
    pub fn pop_last(&mut self, hasher: &Hasher) -> Option<(Vec<u8>, f64)> {
        let last = self.len().checked_sub(1)?;
        self.remove_range(hasher, last..last + 1).pop()
    }

    /// A member with its score, each with the same probability.
    pub fn random(&self, random: &mut Random<'_>) -> Option<(Element<'_>, f64)> {
        if self.is_empty() {
            return None;
        }
        let index = below(random, self.len());
        match &self.shape {
            Shape::Packed(packed) => Pairs::new(packed, index..index + 1).next(),
            Shape::Table(table) => table.slots.get(index).map(Slot::pair),
        }
    }

    /// `count` different members with their scores in random order, or all if there are not so many.
    pub fn sample(&self, count: usize, random: &mut Random<'_>) -> Vec<(Element<'_>, f64)> {
        let indices = distinct_below(self.len(), count, random).into_iter();
        match &self.shape {
            Shape::Packed(packed) => {
                let all: Vec<_> = Pairs::new(packed, 0..usize::MAX).collect();
                indices.map(|index| all[index]).collect()
            }
            Shape::Table(table) => {
                indices.filter_map(|index| table.slots.get(index)).map(Slot::pair).collect()
            }
        }
    }

    /// Shows about `count` members with their scores from `cursor` on and returns the cursor to go on
    /// with, 0 at the end. The small form shows everything at once. A member that is inside from the
    /// first to the last call is shown at least once.
    pub fn scan(
        &self,
        hasher: &Hasher,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(Element<'_>, f64),
    ) -> u64 {
        if let Shape::Table(table) = &self.shape {
            let rehash = |slot: &u32| hasher.hash(member_at(&table.slots, *slot));
            return table.index.scan(cursor, count, rehash, &mut |slot| {
                let (member, score) = slot_at(&table.slots, *slot).pair();
                visit(member, score);
            });
        }
        self.iter().for_each(|(member, score)| visit(member, score));
        0
    }

    /// Recounts everything; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        match &self.shape {
            Shape::Packed(packed) => {
                packed.check();
                assert!(packed.len().is_multiple_of(2), "every member has a score");
            }
            Shape::Table(table) => table.check(hasher),
        }
        let mut before: Option<(Vec<u8>, f64)> = None;
        for (rank, (member, score)) in self.iter().enumerate() {
            let member = member.to_vec();
            if let Some((other, other_score)) = &before {
                let ordered = *other_score < score || (*other_score == score && *other < member);
                assert!(ordered, "the order of members");
            }
            assert_eq!(self.rank(hasher, &member), Some(rank), "rank of a member");
            assert_eq!(self.score(hasher, &member), Some(score), "score of a member");
            before = Some((member, score));
        }
    }

    /// The ranks between those before the range and those before its end.
    fn ranks(
        &self,
        mut is_before: impl FnMut(&[u8], f64) -> bool,
        mut is_before_end: impl FnMut(&[u8], f64) -> bool,
    ) -> Range<usize> {
        let (start, end) = match &self.shape {
            Shape::Packed(packed) => {
                let all = || Pairs::new(packed, 0..usize::MAX);
                let start = all().take_while(|(m, score)| m.with(|m| is_before(m, *score))).count();
                let end =
                    all().take_while(|(m, score)| m.with(|m| is_before_end(m, *score))).count();
                (start, end)
            }
            Shape::Table(table) => {
                let member = |key: &Key| member_at(&table.slots, key.slot);
                let start = table.order.partition_point(|key| is_before(member(key), key.score()));
                let end =
                    table.order.partition_point(|key| is_before_end(member(key), key.score()));
                (start, end)
            }
        };
        start..end.max(start)
    }

    fn turn_into_table(&mut self, hasher: &Hasher) -> &mut Table {
        if let Shape::Packed(packed) = &self.shape {
            let mut table = Table {
                slots: Dense::new(),
                index: Segmented::with_capacity(packed.len() / 2 + 1),
                order: Counted::new(),
                member_bytes: 0,
            };
            for (member, score) in Pairs::new(packed, 0..usize::MAX) {
                member.with(|member| table.insert(hasher, member, score));
            }
            self.shape = Shape::Table(table.into());
        }
        let Shape::Table(table) = &mut self.shape else { unreachable!("it was just made one") };
        table
    }
}

impl Table {
    fn slot_of(&self, hasher: &Hasher, member: &[u8]) -> Option<u32> {
        let is_it = |slot: &u32| member_at(&self.slots, *slot) == member;
        self.index.find(hasher.hash(member), is_it).copied()
    }

    /// How many members come before this one, be it there or not.
    fn rank_of(&self, score: f64, member: &[u8]) -> usize {
        self.order.partition_point(|key| {
            let other = key.score();
            other < score || (other == score && member_at(&self.slots, key.slot) < member)
        })
    }

    fn insert(&mut self, hasher: &Hasher, member: &[u8], score: f64) -> Option<f64> {
        if let Some(slot) = self.slot_of(hasher, member) {
            let old = slot_at(&self.slots, slot).score;
            if old.to_bits() != score.to_bits() {
                self.order.remove(self.rank_of(old, member));
                if let Some(changed) = self.slots.get_mut(slot as usize) {
                    changed.score = score;
                }
                self.order.insert(self.rank_of(score, member), Key::new(score, slot));
            }
            return Some(old);
        }
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 members");
        let rank = self.rank_of(score, member);
        let owned = SmallBytes::from(member);
        self.member_bytes += owned.heap_bytes();
        self.slots.push(Slot { member: owned, score });
        self.order.insert(rank, Key::new(score, slot));
        let slots = &self.slots;
        let rehash = |slot: &u32| hasher.hash(member_at(slots, *slot));
        self.index.insert(hasher.hash(member), slot, rehash);
        None
    }

    fn remove(&mut self, hasher: &Hasher, rank: usize) -> Option<Slot> {
        let slot = self.order.remove(rank)?.slot;
        let slots = &self.slots;
        let hash = |slot: u32| hasher.hash(member_at(slots, slot));
        self.index.remove(hash(slot), |other| *other == slot, |other| hash(*other));
        // The last slot fills the gap: whoever names it must learn its new index first.
        let last = self.slots.len() as u32 - 1;
        if slot != last {
            if let Some(entry) = self.index.find_mut(hash(last), |other| *other == last) {
                *entry = slot;
            }
            let moved = slot_at(&self.slots, last);
            let rank = self.rank_of(moved.score, moved.member.as_slice());
            self.order.replace(rank, Key::new(moved.score, slot));
        }
        let removed = self.slots.swap_remove(slot as usize)?;
        self.member_bytes -= removed.member.heap_bytes();
        Some(removed)
    }

    fn check(&self, hasher: &Hasher) {
        self.index.check(|slot| hasher.hash(member_at(&self.slots, *slot)));
        self.order.check();
        assert_eq!(self.index.len(), self.slots.len(), "each slot is in the index");
        assert_eq!(self.order.len(), self.slots.len(), "each slot is in the order");
        for key in self.order.range(0..usize::MAX) {
            let score = slot_at(&self.slots, key.slot).score;
            assert_eq!(key.score().to_bits(), score.to_bits(), "one score in both places");
        }
        let bytes = self.slots.iter().map(|slot| slot.member.heap_bytes()).sum::<usize>();
        assert_eq!(self.member_bytes, bytes, "bytes of members");
    }
}

impl Slot {
    fn pair(&self) -> (Element<'_>, f64) {
        (Element::Bytes(self.member.as_slice()), self.score)
    }
}

impl Key {
    const fn new(score: f64, slot: u32) -> Self {
        let bits = score.to_bits();
        Self { score: [(bits >> 32) as u32, bits as u32], slot }
    }

    const fn score(self) -> f64 {
        f64::from_bits((self.score[0] as u64) << 32 | self.score[1] as u64)
    }
}

fn slot_at(slots: &Slots, slot: u32) -> &Slot {
    slots.get(slot as usize).expect("index and order name slots in use")
}

fn member_at(slots: &Slots, slot: u32) -> &[u8] {
    slot_at(slots, slot).member.as_slice()
}

/// Members and scores of a packed sorted set, from either end.
#[derive(Clone)]
struct Pairs<'a> {
    entries: listpack::Iter<'a>,
    left: usize,
}

impl<'a> Pairs<'a> {
    fn new(packed: &'a Packed, ranks: Range<usize>) -> Self {
        let len = packed.len() / 2;
        let end = ranks.end.min(len);
        let start = ranks.start.min(end);
        let mut entries = packed.iter();
        for _ in 0..start * 2 {
            entries.next();
        }
        for _ in end * 2..len * 2 {
            entries.next_back();
        }
        Self { entries, left: end - start }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Element<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let member = self.entries.next()?;
        Some((member, unpack_score(self.entries.next()?)))
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let score = unpack_score(self.entries.next_back()?);
        Some((self.entries.next_back()?, score))
    }
}

/// Marks a packed score that is not an integer. The mark keeps its eight bytes from being taken for
/// the text of an integer.
const FRACTION: u8 = 0xff;

/// Integers up to this size are exact in a score.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

fn pack_score(score: f64) -> Vec<u8> {
    let mut text = Vec::with_capacity(20);
    if score.abs() <= EXACT_MAX && score == (score as i64) as f64 {
        write_i64(&mut text, score as i64);
    } else {
        text.push(FRACTION);
        text.extend_from_slice(&score.to_le_bytes());
    }
    text
}

fn unpack_score(packed: Element<'_>) -> f64 {
    match packed {
        Element::Int(value) => value as f64,
        Element::Bytes([FRACTION, bytes @ ..]) => {
            f64::from_le_bytes(bytes.try_into().expect("eight bytes of a score"))
        }
        Element::Bytes(_) => unreachable!("a score is packed by `pack_score`"),
    }
}

/// The score whose text this is.
fn score_of_text(text: Element<'_>) -> Option<f64> {
    match text {
        // Exact: no more is written as an integer than fits.
        Element::Int(value) if value.unsigned_abs() <= 1 << 53 => Some(value as f64),
        text => text.with(parse_f64_any_size),
    }
}

/// The score of the member at `place`.
fn score_behind(packed: &Packed, place: Place) -> f64 {
    let place = packed.next(place).expect("every member has a score");
    unpack_score(packed.at(place))
}

/// Inserts a new member where it belongs.
fn insert_packed(packed: &mut Packed, member: &[u8], score: f64) {
    let packed_score = pack_score(score);
    let mut entries = packed.places();
    while let (Some((place, text)), Some((_, other))) = (entries.next(), entries.next()) {
        let other = unpack_score(other);
        let behind = other > score
            || (other == score && text.with(|text| text.cmp(member)) == Ordering::Greater);
        if behind {
            drop(entries);
            packed.insert(place, &packed_score);
            packed.insert(place, member);
            return;
        }
    }
    drop(entries);
    packed.push_back(member);
    packed.push_back(&packed_score);
}

impl fmt::Debug for SortedSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::format;

    use super::super::bounds::{LexBound, ScoreBound};
    use super::super::random::seeded;
    use super::*;

    fn owned((member, score): (Element<'_>, f64)) -> (Vec<u8>, f64) {
        (member.to_vec(), score)
    }

    /// The order of a sorted set. Zero and negative zero are the same score.
    fn compare(a: f64, a_member: &[u8], b: f64, b_member: &[u8]) -> Ordering {
        a.partial_cmp(&b).unwrap_or(Ordering::Equal).then_with(|| a_member.cmp(b_member))
    }

    /// The members of the model in order.
    fn sorted(model: &BTreeMap<Vec<u8>, f64>) -> Vec<(Vec<u8>, f64)> {
        let mut all: Vec<_> =
            model.iter().map(|(member, score)| (member.clone(), *score)).collect();
        all.sort_by(|a, b| compare(a.1, &a.0, b.1, &b.0));
        all
    }

    fn check_ranges(set: &SortedSet, all: &[(Vec<u8>, f64)], random: &mut Random<'_>) {
        for _ in 0..30 {
            let mut bound = || {
                let score = match random() % 8 {
                    0 => f64::INFINITY,
                    1 => f64::NEG_INFINITY,
                    _ => (random() % 60) as f64 / 4.0 - 5.0,
                };
                ScoreBound { score, exclusive: random().is_multiple_of(2) }
            };
            let range = ScoreRange { min: bound(), max: bound() };
            let inside = |score: f64| !range.is_before(score) && !range.is_after(score);
            let expected: Vec<_> = all.iter().filter(|pair| inside(pair.1)).cloned().collect();
            let ranks = set.ranks_by_score(&range);
            assert_eq!(ranks.len(), expected.len());
            assert_eq!(set.range(ranks.clone()).map(owned).collect::<Vec<_>>(), expected);
            let mut backward: Vec<_> = set.range(ranks).rev().map(owned).collect();
            backward.reverse();
            assert_eq!(backward, expected);
        }
    }

    #[test]
    fn behaves_like_a_sorted_map_in_both_forms() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        for (seed, range, long) in [(1, 20, 0), (2, 120, 0), (3, 2_000, 0), (4, 400, 70)] {
            let mut random = seeded(seed);
            let (mut set, mut model) = (SortedSet::new(), BTreeMap::new());
            for _ in 0..12_000 {
                let number = random() % range;
                let member = format!("{}{number}", "m".repeat((number % 3) as usize * long));
                let member = member.as_bytes();
                match random() % 10 {
                    0..6 => {
                        let score = (random() % 60) as f64 / 4.0 - 5.0;
                        let old = set.insert(&hasher, member, score, &limits);
                        assert_eq!(old, model.insert(member.to_vec(), score));
                    }
                    6..9 => assert_eq!(set.remove(&hasher, member), model.remove(member)),
                    _ => {
                        let all = sorted(&model);
                        let first = random().is_multiple_of(2);
                        let popped = if first {
                            assert_eq!(set.iter().next().map(owned), all.first().cloned());
                            set.pop_first(&hasher)
                        } else {
                            set.pop_last(&hasher)
                        };
                        let expected = if first { all.first() } else { all.last() };
                        assert_eq!(popped.as_ref(), expected);
                        popped.map(|(member, _)| model.remove(&member));
                    }
                }
                assert_eq!(set.score(&hasher, member), model.get(member).copied());
                assert_eq!(set.len(), model.len());
            }
            set.check(&hasher);
            let all = sorted(&model);
            assert_eq!(set.iter().map(owned).collect::<Vec<_>>(), all);
            check_ranges(&set, &all, &mut random);
            let (mut shown, mut cursor) = (BTreeMap::new(), 0);
            loop {
                cursor = set.scan(&hasher, cursor, 10, &mut |member, score| {
                    shown.insert(member.to_vec(), score);
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(shown, model);
            set.clone().check(&hasher);
            for count in [0, 1, 10, model.len(), model.len() + 1] {
                let sample = set.sample(count, &mut random).into_iter().map(owned);
                let unique: BTreeSet<_> = sample.map(|pair| pair.0).collect();
                assert_eq!(unique.len(), count.min(model.len()));
            }
            let (member, score) = owned(set.random(&mut random).unwrap());
            assert_eq!(model.get(&member), Some(&score));
            let (start, end) = (all.len() / 4, all.len() / 2);
            assert_eq!(set.remove_range(&hasher, start..end), all[start..end]);
            set.check(&hasher);
            for (member, score) in &all[start..end] {
                assert_eq!(set.insert(&hasher, member, *score, &limits), None);
            }
            assert_eq!(set.iter().map(owned).collect::<Vec<_>>(), all);
            assert_eq!(set.remove_range(&hasher, 0..usize::MAX), all);
            assert!(set.is_empty() && set.heap_bytes() < 4_000, "{}", set.heap_bytes());
        }
    }

    #[test]
    fn ranges_by_member() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        for count in [20, 1_000] {
            let mut set = SortedSet::new();
            let mut all = BTreeSet::new();
            let mut random = seeded(count);
            for _ in 0..count {
                let member = format!("{:x}", random() % 0x1000).into_bytes();
                set.insert(&hasher, &member, 0.0, &limits);
                all.insert(member);
            }
            for _ in 0..300 {
                let texts = [(); 2].map(|()| format!("{:x}", random() % 0x1000).into_bytes());
                let [min, max] = [0, 1].map(|side| match random() % 6 {
                    0 => LexBound::First,
                    1 => LexBound::Last,
                    2 | 3 => LexBound::Inclusive(&texts[side]),
                    _ => LexBound::Exclusive(&texts[side]),
                });
                let range = LexRange { min, max };
                let inside =
                    |member: &&Vec<u8>| !range.is_before(member) && !range.is_after(member);
                let expected: Vec<_> = all.iter().filter(inside).cloned().collect();
                let ranks = set.ranks_by_lex(&range);
                assert_eq!(ranks.len(), expected.len());
                let found: Vec<_> = set.range(ranks).map(|pair| pair.0.to_vec()).collect();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn scores_of_every_kind_are_kept() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let scores = [
            f64::NEG_INFINITY,
            f64::MIN,
            -EXACT_MAX,
            -0.1,
            0.0,
            f64::from_le_bytes(*b"12345678"),
            5e-324,
            1e-300,
            0.1,
            EXACT_MAX,
            1e17,
            f64::MAX,
            f64::INFINITY,
        ];
        for fillers in [0, 200] {
            let mut set = SortedSet::new();
            for number in 0..fillers {
                set.insert(&hasher, format!("filler {number}").as_bytes(), 0.05, &limits);
            }
            for (number, score) in scores.iter().enumerate() {
                set.insert(&hasher, format!("{number}").as_bytes(), *score, &limits);
            }
            set.check(&hasher);
            for (number, score) in scores.iter().enumerate() {
                let kept = set.score(&hasher, format!("{number}").as_bytes()).unwrap();
                assert_eq!(kept.to_bits(), score.to_bits());
            }
            // Both zeros are one score, so the members decide.
            set.insert(&hasher, b"3z", -0.0, &limits);
            assert_eq!(set.rank(&hasher, b"4"), set.rank(&hasher, b"3z").map(|rank| rank + 1));
            set.check(&hasher);
        }
    }

    #[test]
    fn forms_change_at_the_limits() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let mut set = SortedSet::new();
        for number in 0..128 {
            set.insert(&hasher, format!("{number}").as_bytes(), 1.5, &limits);
        }
        set.insert(&hasher, b"7", 2.5, &limits);
        assert_eq!((set.encoding(), set.len()), (Encoding::Listpack, 128));
        set.insert(&hasher, b"one more", 0.0, &limits);
        assert_eq!((set.encoding(), set.len()), (Encoding::SkipList, 129));
        set.check(&hasher);
        let mut set = SortedSet::new();
        set.insert(&hasher, &[b'm'; 64], 1.0, &limits);
        assert_eq!(set.encoding(), Encoding::Listpack);
        set.insert(&hasher, &[b'm'; 65], 1.0, &limits);
        assert_eq!((set.encoding(), set.len()), (Encoding::SkipList, 2));
    }

    #[test]
    fn memory_of_a_large_sorted_set() {
        let (hasher, limits, mut random) = (Hasher::new(1), Limits::default(), seeded(1));
        let mut set = SortedSet::new();
        for number in 0..100_000 {
            let score = random() as f64;
            set.insert(&hasher, format!("member:{number}").as_bytes(), score, &limits);
        }
        let each = set.heap_bytes() / 100_000;
        assert!(each < 75, "{each} bytes for each member");
    }
}
