//! The hash: fields with values.
//!
//! Few short fields are one packed sequence (field, value, field, value) in the order they came; all
//! else is a hash table, whose entries hold field and value side by side. A hash only ever turns
//! from the former into the latter. If any field was ever given a time to expire, the times stand
//! beside that; a hash without pays nothing for it. The hash does not look at the clock: whoever
//! holds it removes what is due ([`Hash::remove_due`]) before anybody looks.
//!
//! Undo: [`Hash::set`] returns the old value, to be set again, or nothing, then `remove`;
//! [`Hash::remove`] returns what [`Hash::restore`] puts back, at the same place and with its time;
//! [`Hash::set_expiry`] returns the time that was set before.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::element::Element;
use super::encoding::Encoding;
use super::field_times::FieldTimes;
use super::hasher::Hasher;
use super::limits::Limits;
use super::listpack::{Packed, Place};
use super::random::{Random, below, distinct_below};
use super::segmented::Segmented;
use super::small_bytes::SmallBytes;
use crate::clock::Millis;

/// Fields with values.
#[derive(Clone, Default)]
pub struct Hash {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Plain(Shape),
    Timed(Box<Timed>),
}

/// A hash of which some fields have, or had, a time to expire.
#[derive(Clone)]
struct Timed {
    shape: Shape,
    times: FieldTimes,
}

#[derive(Clone)]
enum Shape {
    Packed(Packed),
    Table(Table),
}

#[derive(Clone)]
struct Table {
    pairs: Segmented<Pair>,
    /// Bytes that pairs own outside of the table.
    pair_bytes: usize,
}

/// The length of the field, seven bits a byte, the field, the value.
#[derive(Clone)]
struct Pair(SmallBytes);

/// A removed field, as [`Hash::restore`] wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The value that the field had.
    pub value: Vec<u8>,
    /// How many fields were before it.
    index: usize,
    /// When it would have expired.
    expires_at: Option<Millis>,
}

impl Default for Form {
    fn default() -> Self {
        Self::Plain(Shape::Packed(Packed::new()))
    }
}

impl Hash {
    /// An empty hash.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash of these fields and values in turn; `None` if a field comes twice or lacks its value.
    #[must_use]
    pub fn from_packed(packed: Packed, hasher: &Hasher, limits: &Limits) -> Option<Self> {
        let entries = packed.len();
        if !entries.is_multiple_of(2) || !packed.are_distinct(2, hasher) {
            return None;
        }
        let is_short = |entry: Element<'_>| entry.len() <= limits.hash_value_bytes_max;
        if entries / 2 <= limits.hash_entries_max && packed.iter().all(is_short) {
            return Some(Self { form: Form::Plain(Shape::Packed(packed)) });
        }
        let mut hash = Self::new();
        for (field, value) in pairs_of(&packed) {
            field.with(|field| value.with(|value| hash.set(hasher, field, value, limits)));
        }
        Some(hash)
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.shape() {
            Shape::Packed(packed) => packed.len() / 2,
            Shape::Table(table) => table.pairs.len(),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The form that the hash has now.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.shape() {
            Shape::Packed(_) if self.times().is_some() => Encoding::ListpackEx,
            Shape::Packed(_) => Encoding::Listpack,
            Shape::Table(_) => Encoding::HashTable,
        }
    }

    /// Bytes allocated behind the value. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let times = self.times().map_or(0, |times| size_of::<Timed>() + times.heap_bytes());
        times
            + match self.shape() {
                Shape::Packed(packed) => packed.heap_bytes(),
                Shape::Table(table) => table.pairs.heap_bytes() + table.pair_bytes,
            }
    }

    /// The packed sequence of fields and values, if the hash has that form.
    #[must_use]
    pub fn as_packed(&self) -> Option<&Packed> {
        if let Shape::Packed(packed) = self.shape() { Some(packed) } else { None }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, hasher: &Hasher, field: &[u8]) -> Option<Element<'_>> {
        match self.shape() {
            Shape::Packed(packed) => {
                let (place, _) = packed.find(field, 2)?;
                Some(packed.at(value_place(packed, place)))
            }
            Shape::Table(table) => {
                let pair = table.pairs.find(hasher.hash(field), |pair| pair.field() == field)?;
                Some(Element::Bytes(pair.parts().1))
            }
        }
    }

    /// Sets a field and returns its old value; `None` if the field is new.
    pub fn set(
        &mut self,
        hasher: &Hasher,
        field: &[u8],
        value: &[u8],
        limits: &Limits,
    ) -> Option<Vec<u8>> {
        if let Shape::Packed(packed) = self.shape_mut() {
            let found = packed.find(field, 2);
            if fits(packed, found.is_none(), field, value, limits) {
                let Some((place, _)) = found else {
                    packed.push_back(field);
                    packed.push_back(value);
                    return None;
                };
                let place = value_place(packed, place);
                let old = packed.at(place).to_vec();
                packed.replace(place, value);
                return Some(old);
            }
        }
        self.turn_into_table(hasher).set(hasher, field, value)
    }

    /// Removes a field.
    pub fn remove(&mut self, hasher: &Hasher, field: &[u8]) -> Option<Removed> {
        let expires_at = self.times_mut().and_then(|times| times.set(hasher, field, None));
        match self.shape_mut() {
            Shape::Packed(packed) => {
                let (place, index) = packed.find(field, 2)?;
                let value = packed.at(value_place(packed, place)).to_vec();
                packed.remove(place, 2);
                Some(Removed { value, index: index / 2, expires_at })
            }
            Shape::Table(table) => {
                let is_it = |pair: &Pair| pair.field() == field;
                let rehash = |pair: &Pair| hasher.hash(pair.field());
                let pair = table.pairs.remove(hasher.hash(field), is_it, rehash)?;
                table.pair_bytes -= pair.0.heap_bytes();
                Some(Removed { value: pair.parts().1.to_vec(), index: 0, expires_at })
            }
        }
    }

    /// Puts a field back where [`Hash::remove`] took it away.
    pub fn restore(&mut self, hasher: &Hasher, field: &[u8], removed: &Removed, limits: &Limits) {
        self.restore_value(hasher, field, removed, limits);
        if removed.expires_at.is_some() {
            self.set_expiry(hasher, field, removed.expires_at);
        }
    }

    fn restore_value(&mut self, hasher: &Hasher, field: &[u8], removed: &Removed, limits: &Limits) {
        if let Shape::Packed(packed) = self.shape_mut()
            && fits(packed, true, field, &removed.value, limits)
            && let Some(place) = packed.place(removed.index * 2)
        {
            packed.insert(place, &removed.value);
            packed.insert(place, field);
            return;
        }
        self.set(hasher, field, &removed.value, limits);
    }

    /// When a field expires.
    #[must_use]
    pub fn expiry(&self, hasher: &Hasher, field: &[u8]) -> Option<Millis> {
        self.times()?.get(hasher, field)
    }

    /// Sets when a field, which must be there, expires, or that it never does. Gives what was set
    /// before.
    pub fn set_expiry(
        &mut self,
        hasher: &Hasher,
        field: &[u8],
        at: Option<Millis>,
    ) -> Option<Millis> {
        debug_assert!(self.get(hasher, field).is_some(), "only what is there can expire");
        if let Form::Plain(shape) = &mut self.form {
            at?;
            let shape = core::mem::replace(shape, Shape::Packed(Packed::new()));
            self.form = Form::Timed(Box::new(Timed { shape, times: FieldTimes::default() }));
        }
        self.times_mut()?.set(hasher, field, at)
    }

    /// When the first field expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Millis> {
        self.times()?.first()
    }

    /// Whether every field is due at `now`.
    #[must_use]
    pub fn is_all_due(&self, now: Millis) -> bool {
        self.times().is_some_and(|times| {
            times.len() == self.len() && times.last().is_some_and(|at| at <= now)
        })
    }

    /// All fields that expire, with their times, in no particular order.
    pub fn expiries(&self) -> impl Iterator<Item = (&[u8], Millis)> {
        self.times().into_iter().flat_map(FieldTimes::iter)
    }

    /// Removes fields that are due at `now`, at most `budget` of them; gives them.
    pub fn remove_due(&mut self, hasher: &Hasher, now: Millis, budget: usize) -> Vec<Vec<u8>> {
        let mut removed = Vec::new();
        while removed.len() < budget
            && let Some(field) = self.times_mut().and_then(|times| times.take_due(hasher, now))
        {
            self.remove(hasher, &field);
            removed.push(field);
        }
        removed
    }

    /// All fields with their values: packed ones in the order they came, others in none.
    pub fn iter(&self) -> impl Iterator<Item = (Element<'_>, Element<'_>)> + Clone {
        let (packed, table) = match self.shape() {
            Shape::Packed(packed) => (Some(packed), None),
            Shape::Table(table) => (None, Some(table)),
        };
        let packed = packed.into_iter().flat_map(pairs_of);
        packed.chain(table.into_iter().flat_map(|table| table.pairs.iter()).map(Pair::elements))
    }

    /// A field with its value, each with the same probability.
    pub fn random(&self, random: &mut Random<'_>) -> Option<(Element<'_>, Element<'_>)> {
        if self.is_empty() {
            return None;
        }
        match self.shape() {
            Shape::Packed(packed) => {
                let place = packed.place(below(random, packed.len() / 2) * 2)?;
                Some((packed.at(place), packed.at(value_place(packed, place))))
            }
            Shape::Table(table) => table.pairs.random(random).map(Pair::elements),
        }
    }

    /// What draws fields again and again, each with the same probability: as [`random`](Self::random)
    /// does, but the small form is taken apart only once.
    pub fn draws<'h>(
        &'h self,
    ) -> impl FnMut(&mut Random<'_>) -> Option<(Element<'h>, Element<'h>)> + use<'h> {
        let all: Vec<_> = match self.shape() {
            Shape::Packed(packed) => pairs_of(packed).collect(),
            Shape::Table(_) => Vec::new(),
        };
        move |random| match all.len() {
            0 => self.random(random),
            len => all.get(below(random, len)).copied(),
        }
    }

    /// `count` different fields with their values in random order, or all if there are not so many.
    pub fn sample(&self, count: usize, random: &mut Random<'_>) -> Vec<(Element<'_>, Element<'_>)> {
        match self.shape() {
            Shape::Packed(packed) => {
                let all: Vec<_> = pairs_of(packed).collect();
                let indices = distinct_below(all.len(), count, random).into_iter();
                indices.map(|index| all[index]).collect()
            }
            Shape::Table(table) => {
                table.pairs.sample(count, random).into_iter().map(Pair::elements).collect()
            }
        }
    }

    /// Shows about `count` fields with their values from `cursor` on and returns the cursor to go on
    /// with, 0 at the end. The small form shows everything at once. A field that is inside from the
    /// first to the last call is shown at least once.
    pub fn scan(
        &self,
        hasher: &Hasher,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(Element<'_>, Element<'_>),
    ) -> u64 {
        if let Shape::Table(table) = self.shape() {
            let rehash = |pair: &Pair| hasher.hash(pair.field());
            return table.pairs.scan(cursor, count, rehash, &mut |pair| {
                let (field, value) = pair.elements();
                visit(field, value);
            });
        }
        self.iter().for_each(|(field, value)| visit(field, value));
        0
    }

    /// Recounts everything; panics on a contradiction.
    pub fn check(&self, hasher: &Hasher) {
        if let Some(times) = self.times() {
            times.check(hasher);
            let mut fields = times.iter().map(|(field, _)| field);
            assert!(fields.all(|field| self.get(hasher, field).is_some()), "what expires is there");
        }
        match self.shape() {
            Shape::Packed(packed) => {
                packed.check();
                assert!(packed.len().is_multiple_of(2), "every field has a value");
            }
            Shape::Table(table) => {
                table.pairs.check(|pair| hasher.hash(pair.field()));
                let bytes = table.pairs.iter().map(|pair| pair.0.heap_bytes()).sum::<usize>();
                assert_eq!(table.pair_bytes, bytes, "bytes of pairs");
            }
        }
        for (field, value) in self.iter() {
            let found = field.with(|field| self.get(hasher, field));
            assert_eq!(found, Some(value), "finds what it holds");
        }
    }

    fn shape(&self) -> &Shape {
        match &self.form {
            Form::Plain(shape) => shape,
            Form::Timed(timed) => &timed.shape,
        }
    }

    fn shape_mut(&mut self) -> &mut Shape {
        match &mut self.form {
            Form::Plain(shape) => shape,
            Form::Timed(timed) => &mut timed.shape,
        }
    }

    fn times(&self) -> Option<&FieldTimes> {
        if let Form::Timed(timed) = &self.form { Some(&timed.times) } else { None }
    }

    fn times_mut(&mut self) -> Option<&mut FieldTimes> {
        if let Form::Timed(timed) = &mut self.form { Some(&mut timed.times) } else { None }
    }

    fn turn_into_table(&mut self, hasher: &Hasher) -> &mut Table {
        if !matches!(self.shape(), Shape::Table(_)) {
            let pairs = Segmented::with_capacity(self.len() + 1);
            let mut table = Table { pairs, pair_bytes: 0 };
            for (field, value) in self.iter() {
                field.with(|field| value.with(|value| table.insert(hasher, field, value)));
            }
            *self.shape_mut() = Shape::Table(table);
        }
        let Shape::Table(table) = self.shape_mut() else { unreachable!("it was just made one") };
        table
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

/// Whether the packed form can take (or replace) this field.
fn fits(packed: &Packed, new: bool, field: &[u8], value: &[u8], limits: &Limits) -> bool {
    packed.len() / 2 + usize::from(new) <= limits.hash_entries_max
        && field.len().max(value.len()) <= limits.hash_value_bytes_max
        && packed.has_room_for(field.len() + value.len() + 16)
}

/// The fields and values of a packed hash.
fn pairs_of(packed: &Packed) -> impl Iterator<Item = (Element<'_>, Element<'_>)> + Clone {
    let fields = packed.iter().step_by(2);
    fields.zip(packed.iter().skip(1).step_by(2))
}

/// Where the value is whose field is at `place`.
fn value_place(packed: &Packed, place: Place) -> Place {
    packed.next(place).expect("every field has a value")
}

impl Table {
    fn set(&mut self, hasher: &Hasher, field: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let hash = hasher.hash(field);
        let Some(pair) = self.pairs.find_mut(hash, |pair| pair.field() == field) else {
            self.insert(hasher, field, value);
            return None;
        };
        let old = core::mem::replace(pair, Pair::new(field, value));
        self.pair_bytes += pair.0.heap_bytes();
        self.pair_bytes -= old.0.heap_bytes();
        Some(old.parts().1.to_vec())
    }

    fn insert(&mut self, hasher: &Hasher, field: &[u8], value: &[u8]) {
        let pair = Pair::new(field, value);
        self.pair_bytes += pair.0.heap_bytes();
        self.pairs.insert(hasher.hash(field), pair, |pair| hasher.hash(pair.field()));
    }
}

impl Pair {
    fn new(field: &[u8], value: &[u8]) -> Self {
        let mut prefix = [0; 10];
        let (mut used, mut rest) = (0, field.len());
        while rest >= 0x80 {
            prefix[used] = rest as u8 | 0x80;
            rest >>= 7;
            used += 1;
        }
        prefix[used] = rest as u8;
        Self(SmallBytes::concat(&[&prefix[..=used], field, value]))
    }

    #[inline]
    fn parts(&self) -> (&[u8], &[u8]) {
        let bytes = self.0.as_slice();
        let (mut length, mut used) = (0, 0);
        loop {
            let byte = bytes[used];
            length |= usize::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                return bytes[used..].split_at(length);
            }
        }
    }

    #[inline]
    fn field(&self) -> &[u8] {
        self.parts().0
    }

    fn elements(&self) -> (Element<'_>, Element<'_>) {
        let (field, value) = self.parts();
        (Element::Bytes(field), Element::Bytes(value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::format;

    use super::super::random::seeded;
    use super::*;

    fn owned((field, value): (Element<'_>, Element<'_>)) -> (Vec<u8>, Vec<u8>) {
        (field.to_vec(), value.to_vec())
    }

    #[test]
    fn behaves_like_a_map_in_every_form() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        for (seed, range, long) in [(1, 20, 1), (2, 600, 1), (3, 3_000, 1), (4, 5_000, 300)] {
            let mut random = seeded(seed);
            let (mut hash, mut model) = (Hash::new(), BTreeMap::new());
            for _ in 0..20_000 {
                let number = random() % range;
                let field =
                    format!("{number}{}", "f".repeat((number % long) as usize)).into_bytes();
                let value = "v".repeat((random() % long) as usize) + &format!("{}", random() % 99);
                if random() % 5 < 3 {
                    let old = hash.set(&hasher, &field, value.as_bytes(), &limits);
                    assert_eq!(old, model.insert(field.clone(), value.into_bytes()));
                } else {
                    let removed = hash.remove(&hasher, &field);
                    assert_eq!(removed.map(|removed| removed.value), model.remove(&field));
                }
                let value = hash.get(&hasher, &field).map(Element::to_vec);
                assert_eq!(value.as_ref(), model.get(&field));
                assert_eq!(hash.len(), model.len());
            }
            hash.check(&hasher);
            assert_eq!(hash.iter().map(owned).collect::<BTreeMap<_, _>>(), model);
            let (mut shown, mut cursor) = (BTreeMap::new(), 0);
            loop {
                cursor = hash.scan(&hasher, cursor, 10, &mut |field, value| {
                    shown.insert(field.to_vec(), value.to_vec());
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(shown, model);
            hash.clone().check(&hasher);
            for count in [0, 1, 10, model.len(), model.len() + 1] {
                let sample: BTreeSet<_> =
                    hash.sample(count, &mut random).into_iter().map(owned).collect();
                assert_eq!(sample.len(), count.min(model.len()));
            }
            let (field, value) = owned(hash.random(&mut random).unwrap());
            assert_eq!(model.get(&field), Some(&value));
        }
    }

    #[test]
    fn forms_change_at_the_limits() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let mut hash = Hash::new();
        for number in 0..512 {
            hash.set(&hasher, format!("{number}").as_bytes(), b"v", &limits);
        }
        hash.set(&hasher, b"7", b"changed", &limits);
        assert_eq!((hash.encoding(), hash.len()), (Encoding::Listpack, 512));
        hash.set(&hasher, b"one more", b"v", &limits);
        assert_eq!((hash.encoding(), hash.len()), (Encoding::HashTable, 513));
        hash.check(&hasher);
        for (field, value) in [(64, 65), (65, 1)] {
            let mut hash = Hash::new();
            hash.set(&hasher, &[b'f'; 64], &[b'v'; 64], &limits);
            assert_eq!(hash.encoding(), Encoding::Listpack);
            hash.set(&hasher, &[b'f'; 65][..field], &[b'v'; 65][..value], &limits);
            assert_eq!(hash.encoding(), Encoding::HashTable);
            hash.check(&hasher);
        }
    }

    #[test]
    fn a_small_hash_keeps_the_order_also_through_undo() {
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let mut hash = Hash::new();
        // Values that look like other fields must not confuse the search.
        for (field, value) in [("b", "a"), ("a", "c"), ("c", "b"), ("3", "b")] {
            assert_eq!(hash.set(&hasher, field.as_bytes(), value.as_bytes(), &limits), None);
        }
        let before: Vec<_> = hash.iter().map(owned).collect();
        for field in [b"b", b"a", b"c", b"3"] {
            let removed = hash.remove(&hasher, field).unwrap();
            assert_eq!(hash.len(), 3);
            hash.restore(&hasher, field, &removed, &limits);
            assert_eq!(hash.iter().map(owned).collect::<Vec<_>>(), before);
        }
        assert_eq!(hash.remove(&hasher, b"x"), None);
        hash.check(&hasher);
    }

    #[test]
    fn fields_of_any_length_lie_beside_their_values() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let pair = Pair::new(&std::vec![b'f'; length], b"value");
            assert_eq!((pair.field().len(), pair.parts().1), (length, &b"value"[..]));
        }
    }

    #[test]
    fn a_hash_without_times_pays_nothing_for_them() {
        assert_eq!(size_of::<Hash>(), size_of::<Shape>());
        let (hasher, limits) = (Hasher::new(1), Limits::default());
        let mut hash = Hash::new();
        hash.set(&hasher, b"f", b"v", &limits);
        let bytes = hash.heap_bytes();
        assert_eq!(hash.set_expiry(&hasher, b"f", None), None);
        assert_eq!((hash.heap_bytes(), hash.encoding()), (bytes, Encoding::Listpack));
        hash.set_expiry(&hasher, b"f", Some(Millis::new(5)));
        assert!(hash.heap_bytes() > bytes);
        assert_eq!(hash.encoding(), Encoding::ListpackEx);
    }
}
