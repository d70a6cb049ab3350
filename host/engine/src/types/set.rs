//! The set: different byte strings without order.
//!
//! Integers alone are a sorted array, few short members one packed sequence, all else a hash table;
//! a set only ever turns from the former into the latter. A packed set keeps the order in which
//! members were added.
//!
//! Undo: [`Set::add`] that returned true is undone by `remove`, [`Set::remove`] that returned true by
//! `add`, [`Set::pop_random`] by adding what it returned.

use alloc::vec::Vec;
use core::fmt;

use super::element::Element;
use super::encoding::Encoding;
use super::hasher::Hasher;
use super::intset::IntSet;
use super::limits::Limits;
use super::listpack::Packed;
use super::number::{i64_len, parse_i64};
use super::random::{Random, below, distinct_below};
use super::segmented::Segmented;
use super::small_bytes::SmallBytes;

/// A set of byte strings.
#[derive(Clone, Default)]
pub struct Set {
    shape: Shape,
}

#[derive(Clone)]
enum Shape {
    Ints(IntSet),
    Packed(Packed),
    Table(Table),
}

#[derive(Clone)]
struct Table {
    members: Segmented<SmallBytes>,
    /// Bytes that members own outside of the table.
    member_bytes: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self::Ints(IntSet::new())
    }
}

impl Set {
    /// An empty set; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { shape: Shape::Ints(IntSet::new()) }
    }

    /// The set of these integers.
    #[must_use]
    pub fn from_ints(ints: IntSet, hasher: &Hasher, limits: &Limits) -> Self {
        let is_small = ints.len() <= limits.set_integers_max;
        let mut set = Self { shape: Shape::Ints(ints) };
        if !is_small {
            set.turn_into_table(hasher);
        }
        set
    }

    /// The set of these members; `None` if one comes twice.
    #[must_use]
    pub fn from_packed(packed: Packed, hasher: &Hasher, limits: &Limits) -> Option<Self> {
        if packed.len() > limits.set_entries_max {
            let mut set = Self::new();
            let table = set.turn_into_table(hasher);
            let differ = packed.iter().all(|member| member.with(|text| table.add(hasher, text)));
            return differ.then_some(set);
        }
        packed.are_distinct(1, hasher).then_some(Self { shape: Shape::Packed(packed) })
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.shape {
            Shape::Ints(ints) => ints.len(),
            Shape::Packed(packed) => packed.len(),
            Shape::Table(table) => table.members.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The form that the set has now.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match &self.shape {
            Shape::Ints(_) => Encoding::IntSet,
            Shape::Packed(_) => Encoding::Listpack,
            Shape::Table(_) => Encoding::HashTable,
        }
    }

    /// Bytes allocated behind the value. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.shape {
            Shape::Ints(ints) => ints.heap_bytes(),
            Shape::Packed(packed) => packed.heap_bytes(),
            Shape::Table(table) => table.members.heap_bytes() + table.member_bytes,
        }
    }

    /// The sorted integers, if the set is nothing else.
    #[must_use]
    pub fn as_ints(&self) -> Option<&IntSet> {
        if let Shape::Ints(ints) = &self.shape { Some(ints) } else { None }
    }

    /// The packed sequence, if the set has that form.
    #[must_use]
    pub fn as_packed(&self) -> Option<&Packed> {
        if let Shape::Packed(packed) = &self.shape { Some(packed) } else { None }
    }

    /// Whether `member` is inside.
    #[must_use]
    pub fn contains(&self, hasher: &Hasher, member: &[u8]) -> bool {
        match &self.shape {
            Shape::Ints(ints) => parse_i64(member).is_some_and(|value| ints.contains(value)),
            Shape::Packed(packed) => packed.find(member, 1).is_some(),
            Shape::Table(table) => table.contains(hasher, member),
        }
    }

    /// Adds a member; false if it was there.
    pub fn add(&mut self, hasher: &Hasher, member: &[u8], limits: &Limits) -> bool {
        match &mut self.shape {
            Shape::Ints(ints) => {
                if let Some(value) = parse_i64(member)
                    && (limits.set_integers_max > 0 || !ints.is_empty())
                {
                    let added = ints.insert(value);
                    if ints.len() > limits.set_integers_max {
                        self.turn_into_table(hasher);
                    }
                    return added;
                }
                // The longest texts of integers are those of the smallest and the largest.
                let ends = [ints.get(0), ints.get(ints.len().wrapping_sub(1))];
                let longest = ends.into_iter().flatten().map(i64_len).max().unwrap_or(0);
                if ints.len() < limits.set_entries_max
                    && longest.max(member.len()) <= limits.set_value_bytes_max
                {
                    let mut packed = Packed::new();
                    ints.iter().for_each(|value| Element::Int(value).with(|t| packed.push_back(t)));
                    packed.push_back(member);
                    self.shape = Shape::Packed(packed);
                    return true;
                }
            }
            Shape::Packed(packed) => {
                if packed.find(member, 1).is_some() {
                    return false;
                }
                if packed.len() < limits.set_entries_max
                    && member.len() <= limits.set_value_bytes_max
                    && packed.has_room_for(member.len())
                {
                    packed.push_back(member);
                    return true;
                }
            }
            Shape::Table(table) => return table.add(hasher, member),
        }
        self.turn_into_table(hasher).add(hasher, member)
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, hasher: &Hasher, member: &[u8]) -> bool {
        match &mut self.shape {
            Shape::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Shape::Packed(packed) => {
                let found = packed.find(member, 1);
                if let Some((place, _)) = found {
                    packed.remove(place, 1);
                }
                found.is_some()
            }
            Shape::Table(table) => {
                let (hash, is_it) = (hasher.hash(member), |it: &_| as_slice(it) == member);
                let removed = table.members.remove(hash, is_it, |it| hasher.hash(as_slice(it)));
                table.member_bytes -= removed.as_ref().map_or(0, SmallBytes::heap_bytes);
                removed.is_some()
            }
        }
    }

    /// All members: integers ascending, packed ones in the order they came, others in none.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> + Clone {
        let (ints, packed, table) = match &self.shape {
            Shape::Ints(ints) => (Some(ints), None, None),
            Shape::Packed(packed) => (None, Some(packed), None),
            Shape::Table(table) => (None, None, Some(table)),
        };
        let ints = ints.into_iter().flat_map(IntSet::iter).map(Element::Int);
        let packed = packed.into_iter().flat_map(Packed::iter);
        let table = table.into_iter().flat_map(|table| table.members.iter());
        ints.chain(packed).chain(table.map(|member| Element::Bytes(member.as_slice())))
    }

    /// A member, each with the same probability.
    pub fn random(&self, random: &mut Random<'_>) -> Option<Element<'_>> {
        if self.is_empty() {
            return None;
        }
        match &self.shape {
            Shape::Ints(ints) => ints.get(below(random, ints.len())).map(Element::Int),
            Shape::Packed(packed) => packed.get(below(random, packed.len())),
            Shape::Table(table) => table.members.random(random).map(as_slice).map(Element::Bytes),
        }
    }

    /// `count` different members in random order, or all if there are not so many.
    pub fn sample(&self, count: usize, random: &mut Random<'_>) -> Vec<Element<'_>> {
        match &self.shape {
            Shape::Ints(ints) => {
                let indices = distinct_below(ints.len(), count, random).into_iter();
                indices.filter_map(|index| ints.get(index)).map(Element::Int).collect()
            }
            Shape::Packed(packed) => {
                let all: Vec<_> = packed.iter().collect();
                let indices = distinct_below(all.len(), count, random).into_iter();
                indices.map(|index| all[index]).collect()
            }
            Shape::Table(table) => {
                let sample = table.members.sample(count, random).into_iter();
                sample.map(|member| Element::Bytes(member.as_slice())).collect()
            }
        }
    }

    /// Removes a member and returns it, each with the same probability.
    pub fn pop_random(&mut self, hasher: &Hasher, random: &mut Random<'_>) -> Option<Vec<u8>> {
        if let Shape::Table(table) = &mut self.shape {
            let member = table.members.remove_random(random, |it| hasher.hash(as_slice(it)))?;
            table.member_bytes -= member.heap_bytes();
            return Some(member.as_slice().to_vec());
        }
        let member = self.random(random)?.to_vec();
        self.remove(hasher, &member);
        Some(member)
    }

    /// Shows about `count` members from `cursor` on and returns the cursor to go on with, 0 at the
    /// end. Small forms show everything at once. A member that is inside from the first to the last
    /// call is shown at least once.
    pub fn scan(
        &self,
        hasher: &Hasher,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(Element<'_>),
    ) -> u64 {
        if let Shape::Table(table) = &self.shape {
            let rehash = |member: &SmallBytes| hasher.hash(member.as_slice());
            let visit = &mut |member: &SmallBytes| visit(Element::Bytes(member.as_slice()));
            return table.members.scan(cursor, count, rehash, visit);
        }
        self.iter().for_each(visit);
        0
    }

    /// Recounts everything; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        match &self.shape {
            Shape::Ints(ints) => ints.check(),
            Shape::Packed(packed) => packed.check(),
            Shape::Table(table) => {
                table.members.check(|member| hasher.hash(member.as_slice()));
                let member_bytes = table.members.iter().map(SmallBytes::heap_bytes).sum::<usize>();
                assert_eq!(table.member_bytes, member_bytes, "bytes of members");
            }
        }
        for member in self.iter() {
            assert!(member.with(|member| self.contains(hasher, member)), "finds what it holds");
        }
    }

    fn turn_into_table(&mut self, hasher: &Hasher) -> &mut Table {
        if !matches!(self.shape, Shape::Table(_)) {
            let members = Segmented::with_capacity(self.len() + 1);
            let mut table = Table { members, member_bytes: 0 };
            for member in self.iter() {
                member.with(|member| table.insert(hasher, hasher.hash(member), member));
            }
            self.shape = Shape::Table(table);
        }
        let Shape::Table(table) = &mut self.shape else { unreachable!("it was just made one") };
        table
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

impl Table {
    fn contains(&self, hasher: &Hasher, member: &[u8]) -> bool {
        self.members.find(hasher.hash(member), |it| it.as_slice() == member).is_some()
    }

    fn add(&mut self, hasher: &Hasher, member: &[u8]) -> bool {
        let hash = hasher.hash(member);
        let new = self.members.find(hash, |it| it.as_slice() == member).is_none();
        if new {
            self.insert(hasher, hash, member);
        }
        new
    }

    fn insert(&mut self, hasher: &Hasher, hash: u64, member: &[u8]) {
        let member = SmallBytes::from(member);
        self.member_bytes += member.heap_bytes();
        self.members.insert(hash, member, |it| hasher.hash(it.as_slice()));
    }
}

fn as_slice(member: &SmallBytes) -> &[u8] {
    member.as_slice()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::format;

    use super::super::random::seeded;
    use super::*;

    fn member(random: &mut impl FnMut() -> u64, kind: u64, range: u64) -> Vec<u8> {
        let number = random() % range;
        match kind {
            0 => format!("{}", number as i64 - 50).into_bytes(),
            1 => format!("m{number}").into_bytes(),
            _ => format!("{number}-{}", "x".repeat(random() as usize % 2 * 60)).into_bytes(),
        }
    }

    #[test]
    fn behaves_like_a_set_in_every_form() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        for (seed, range) in [(1, 30), (2, 150), (3, 900), (4, 20_000)] {
            let mut random = seeded(seed);
            for kinds in [1, 2, 3] {
                let (mut set, mut model) = (Set::new(), BTreeSet::new());
                for _ in 0..8_000 {
                    let kind = random() % kinds;
                    let text = member(&mut random, kind, range);
                    if random() % 5 < 3 {
                        let added = set.add(&hasher, &text, &limits);
                        assert_eq!(added, model.insert(text.clone()));
                    } else {
                        assert_eq!(set.remove(&hasher, &text), model.remove(&text));
                    }
                    assert_eq!(set.contains(&hasher, &text), model.contains(&text));
                    assert_eq!(set.len(), model.len());
                }
                set.check(&hasher);
                let all: BTreeSet<_> = set.iter().map(Element::to_vec).collect();
                assert_eq!(all, model);
                let mut shown = BTreeSet::new();
                let mut cursor = 0;
                loop {
                    cursor = set.scan(&hasher, cursor, 7, &mut |it| {
                        shown.insert(it.to_vec());
                    });
                    if cursor == 0 {
                        break;
                    }
                }
                assert_eq!(shown, model);
                set.clone().check(&hasher);
                while let Some(text) = set.pop_random(&hasher, &mut random) {
                    assert!(model.remove(&text));
                }
                assert!(model.is_empty() && set.is_empty());
                set.check(&hasher);
            }
        }
    }

    #[test]
    fn forms_change_at_the_limits() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let add = |set: &mut Set, text: &str| set.add(&hasher, text.as_bytes(), &limits);
        let mut set = Set::new();
        (0..512).for_each(|number| assert!(add(&mut set, &format!("{number}"))));
        assert_eq!(set.encoding(), Encoding::IntSet);
        assert!(add(&mut set, "512") && !add(&mut set, "511"));
        assert_eq!((set.encoding(), set.len()), (Encoding::HashTable, 513));

        let mut set = Set::new();
        assert!(add(&mut set, "1") && add(&mut set, "a"));
        assert_eq!(set.encoding(), Encoding::Listpack);
        (0..126).for_each(|number| assert!(add(&mut set, &format!("m{number}"))));
        assert_eq!((set.encoding(), set.len()), (Encoding::Listpack, 128));
        assert!(!add(&mut set, "m1") && set.encoding() == Encoding::Listpack);
        assert!(add(&mut set, "one more"));
        assert_eq!((set.encoding(), set.len()), (Encoding::HashTable, 129));

        let mut set = Set::new();
        assert!(add(&mut set, &"x".repeat(64)) && set.encoding() == Encoding::Listpack);
        assert!(add(&mut set, &"y".repeat(65)) && set.encoding() == Encoding::HashTable);
        let mut set = Set::new();
        (0..128).for_each(|number| assert!(add(&mut set, &format!("{number}"))));
        assert!(add(&mut set, "a") && set.encoding() == Encoding::HashTable);

        // As before Redis 7.2: no packed sets.
        let limits = Limits { set_entries_max: 0, ..limits };
        let mut set = Set::new();
        assert!(set.add(&hasher, b"1", &limits) && set.encoding() == Encoding::IntSet);
        assert!(set.add(&hasher, b"a", &limits) && set.encoding() == Encoding::HashTable);
    }

    #[test]
    fn random_members_are_uniform_and_samples_differ() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        for prefix in
            ["", "m", "a long prefix that takes the member out of the packed form, surely "]
        {
            let (mut set, mut random) = (Set::new(), seeded(8));
            for number in 0..50 {
                set.add(&hasher, format!("{prefix}{number}").as_bytes(), &limits);
            }
            let mut seen = HashMap::new();
            for _ in 0..20_000 {
                *seen.entry(set.random(&mut random).unwrap().to_vec()).or_insert(0) += 1;
            }
            assert!(seen.len() == 50 && seen.values().all(|count| (300..520).contains(count)));
            for count in [0, 1, 5, 49, 50, 60] {
                let sample = set.sample(count, &mut random);
                let unique: BTreeSet<_> = sample.iter().map(|member| member.to_vec()).collect();
                assert_eq!((sample.len(), unique.len()), (count.min(50), count.min(50)));
            }
        }
    }

    #[test]
    fn memory_of_a_large_set_is_that_of_its_members() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let mut set = Set::new();
        for number in 0..100_000 {
            set.add(&hasher, format!("member:{number}").as_bytes(), &limits);
        }
        let each = set.heap_bytes() / 100_000;
        assert!(each < 60, "{each} bytes for each member");
        for number in 0..100_000 {
            set.remove(&hasher, format!("member:{number}").as_bytes());
        }
        assert!(set.heap_bytes() < 1_000);
    }
}
