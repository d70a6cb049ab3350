//! A hash table that grows without a pause.
//!
//! Small, it is one `hashbrown` table. When that is full at [`SEGMENT_BUCKETS`] buckets it splits
//! in two, and from then on each of these **segments** splits on its own (extendible hashing): an
//! insertion moves at most one segment's worth of elements, however many millions there are. A
//! directory, indexed by the leading bits of a [`position`] made from hash bits that `hashbrown` does
//! not use, says which segment owns a hash.
//!
//! Invariants:
//! - a segment of depth `d` owns the hashes whose [`position`] begins with the `d` bits of its
//!   prefix, and exactly those `2^(depth - d)` neighbouring directory entries name it;
//! - so each segment owns one interval of positions, and the intervals do not overlap;
//! - `len` and `table_bytes` equal a recount.
//!
//! **Scanning** walks the elements in the order of their positions. A position depends on the hash
//! alone, so a cursor stays right whatever is inserted, removed, split or merged meanwhile.
//!
//! The table does not know how elements are hashed or compared: callers pass hashes in, and a
//! function that hashes an element again wherever elements may have to move. Elements must keep
//! their hash while they are inside.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use hashbrown::HashTable;

use super::random::{Random, below, shuffle_front};

/// Buckets of a full-grown segment.
pub const SEGMENT_BUCKETS: usize = 512;

/// Elements that a segment holds before it splits: what `hashbrown` puts into that many buckets.
pub const SEGMENT_ITEMS: usize = SEGMENT_BUCKETS / 8 * 7;

/// Width of a [`position`], hence of a scan cursor: callers may use the bits above for their own.
pub const POSITION_BITS: u32 = 48;

/// Above this many elements, a segment clogged by removed entries splits instead of being cleaned,
/// because cleaning would soon be due again.
const CLEAN_ITEMS_MAX: usize = SEGMENT_ITEMS / 7 * 6;

/// Two neighbours merge when together they hold no more than this.
const MERGE_ITEMS_MAX: usize = SEGMENT_ITEMS / 4;

/// The directory never has more bits than this; segments then grow instead.
const DEPTH_MAX: u32 = 24;

/// The directory never has more entries per segment than this, so that bad hashes cost time only.
const DIRECTORY_SLACK: usize = 8;

/// Draws of a random slot before falling back to counting.
const RANDOM_TRIES: usize = 64;

/// Where a hash stands in the order that [`Segmented::scan`] follows.
///
/// Positions are not spread evenly, but twice as densely at the end as at the start. So segments
/// reach their limits one after the other, however many elements there are, instead of all at about
/// the same number: neither memory nor the time of an insertion swings with every doubling.
#[inline]
#[must_use]
pub const fn position(hash: u64) -> u64 {
    // As parts of a whole: p becomes p(4 - p)/3. The 31 bits below the tag, so that nothing
    // overflows.
    let even = (hash << 7) >> 33;
    let bent = even * ((4 << 31) - even) / 3;
    bent >> (62 - POSITION_BITS)
}

/// A hash table in segments; see the module's description.
#[derive(Clone)]
pub struct Segmented<T> {
    shape: Shape<T>,
}

#[derive(Clone)]
enum Shape<T> {
    /// Few elements: no directory, no further allocation.
    One(HashTable<T>),
    Many(Box<Many<T>>),
}

#[derive(Clone)]
struct Many<T> {
    /// Directory bits: the directory has `2^depth` entries.
    depth: u32,
    /// Segments whose own depth equals `depth`; at zero, the directory can halve.
    deepest: usize,
    len: usize,
    /// Bytes allocated by the segments' tables.
    table_bytes: usize,
    /// No segment ever had more buckets: [`SEGMENT_BUCKETS`], or more after bad hashes.
    buckets_max: usize,
    /// From the leading position bits to the index of a segment.
    directory: Vec<u32>,
    segments: Vec<Segment<T>>,
}

#[derive(Clone)]
struct Segment<T> {
    table: HashTable<T>,
    prefix: u32,
    depth: u32,
}

impl<T: core::fmt::Debug> core::fmt::Debug for Segmented<T> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl<T> Default for Segmented<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Segmented<T> {
    /// An empty table; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { shape: Shape::One(HashTable::new()) }
    }

    /// An empty table with room for `items` elements, or for one full segment if that is less.
    #[must_use]
    pub fn with_capacity(items: usize) -> Self {
        Self { shape: Shape::One(HashTable::with_capacity(items.min(SEGMENT_ITEMS))) }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.shape {
            Shape::One(table) => table.len(),
            Shape::Many(many) => many.len,
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated by the table itself, without what the elements own. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.shape {
            Shape::One(table) => table.allocation_size(),
            Shape::Many(many) => {
                size_of::<Many<T>>()
                    + many.table_bytes
                    + many.directory.capacity() * size_of::<u32>()
                    + many.segments.capacity() * size_of::<Segment<T>>()
            }
        }
    }

    /// The element with this hash that `eq` recognises.
    #[inline]
    pub fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&T> {
        self.table(hash).find(hash, eq)
    }

    /// The same, for changing it; its hash must stay the same.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&mut T> {
        match &mut self.shape {
            Shape::One(table) => table.find_mut(hash, eq),
            Shape::Many(many) => {
                let index = many.segment_of(hash);
                many.segments[index].table.find_mut(hash, eq)
            }
        }
    }

    /// Inserts an element that is not there yet (the caller has looked). `rehash` tells the hash
    /// of elements that have to move.
    pub fn insert(&mut self, hash: u64, value: T, rehash: impl Fn(&T) -> u64) -> &mut T {
        if let Shape::One(table) = &mut self.shape
            && table.len() == table.capacity()
            && table.len() >= SEGMENT_ITEMS
        {
            self.shape = Shape::Many(Box::new(Many::new(mem::take(table))));
        }
        match &mut self.shape {
            Shape::One(table) => {
                if table.len() == table.capacity() {
                    make_room(table, &rehash);
                }
                table.insert_unique(hash, value, rehash).into_mut()
            }
            Shape::Many(many) => many.insert(hash, value, rehash),
        }
    }

    /// Removes and returns the element with this hash that `eq` recognises. `rehash` tells the
    /// hash of elements that move because the table shrinks.
    pub fn remove(
        &mut self,
        hash: u64,
        eq: impl FnMut(&T) -> bool,
        rehash: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let (segment, bucket) = match &self.shape {
            Shape::One(table) => (0, table.find_bucket_index(hash, eq)?),
            Shape::Many(many) => {
                let index = many.segment_of(hash);
                (index, many.segments[index].table.find_bucket_index(hash, eq)?)
            }
        };
        Some(self.remove_slot(segment, bucket, &rehash))
    }

    /// An element, each with the same probability.
    pub fn random(&self, random: &mut Random<'_>) -> Option<&T> {
        self.slot(self.random_slot(random)?)
    }

    /// `count` different elements in random order, or all if there are not so many; each choice and
    /// order is equally likely.
    pub fn sample(&self, count: usize, random: &mut Random<'_>) -> Vec<&T> {
        if count.saturating_mul(4) < self.len() {
            let mut chosen = Vec::with_capacity(count);
            let mut slots = BTreeSet::new();
            while chosen.len() < count {
                let Some(slot) = self.random_slot(random) else { break };
                if slots.insert(slot) {
                    chosen.extend(self.slot(slot));
                }
            }
            return chosen;
        }
        let mut all: Vec<&T> = self.iter().collect();
        shuffle_front(&mut all, count, random);
        all.truncate(count);
        all
    }

    /// Removes an element, each with the same probability.
    pub fn remove_random(
        &mut self,
        random: &mut Random<'_>,
        rehash: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let (segment, bucket) = self.random_slot(random)?;
        Some(self.remove_slot(segment, bucket, &rehash))
    }

    /// All elements, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        let (one, many) = match &self.shape {
            Shape::One(table) => (Some(table), &[][..]),
            Shape::Many(many) => (None, &many.segments[..]),
        };
        let many = many.iter().map(|segment| &segment.table);
        one.into_iter().chain(many).flat_map(HashTable::iter)
    }

    /// All elements, for changing them; their hashes must stay the same.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let (one, many) = match &mut self.shape {
            Shape::One(table) => (Some(table), &mut [][..]),
            Shape::Many(many) => (None, &mut many.segments[..]),
        };
        let many = many.iter_mut().map(|segment| &mut segment.table);
        one.into_iter().chain(many).flat_map(HashTable::iter_mut)
    }

    /// The elements of the segment that owns `position`, for changing them without their hashes, and
    /// the first position behind it: a walk that goes on there misses nothing that stays. `None`
    /// behind the last segment.
    pub fn segment_mut(&mut self, position: u64) -> Option<(impl Iterator<Item = &mut T>, u64)> {
        if position >= POSITION_END {
            return None;
        }
        let (_, _, end) = self.interval(position);
        let table = match &mut self.shape {
            Shape::One(table) => table,
            Shape::Many(many) => {
                let entry = (position >> (POSITION_BITS - many.depth)) as usize;
                &mut many.segments[many.directory[entry] as usize].table
            }
        };
        Some((table.iter_mut(), end))
    }

    /// Shows about `count` elements, from the position `cursor` on, and returns the cursor to go on
    /// with: 0 after the last element. An element that is inside from the first to the last call of
    /// a walk is shown at least once, and at most once if its hash is unique.
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        rehash: impl Fn(&T) -> u64,
        visit: &mut dyn FnMut(&T),
    ) -> u64 {
        let mut left = count.max(1);
        // Empty segments cost time too.
        let mut segments_left = left.saturating_mul(10);
        let mut at = cursor;
        while at < POSITION_END && left > 0 && segments_left > 0 {
            let (table, start, end) = self.interval(at);
            if at == start && table.len() <= left {
                table.iter().for_each(&mut *visit);
                left -= table.len();
            } else {
                let ahead = table.iter().map(|item| (position(rehash(item)), item));
                let mut ahead: Vec<_> = ahead.filter(|(position, _)| *position >= at).collect();
                if ahead.len() > left {
                    let (_, last, _) = ahead.select_nth_unstable_by_key(left - 1, |pair| pair.0);
                    let last = last.0;
                    ahead.iter().filter(|pair| pair.0 <= last).for_each(|pair| visit(pair.1));
                    return if last + 1 == POSITION_END { 0 } else { last + 1 };
                }
                left -= ahead.len();
                ahead.into_iter().for_each(|(_, item)| visit(item));
            }
            at = end;
            segments_left -= 1;
        }
        if at >= POSITION_END { 0 } else { at }
    }

    /// Removes every element.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Recounts everything that the table claims about itself; panics on a contradiction.
    pub fn check(&self, rehash: impl Fn(&T) -> u64) {
        let Shape::Many(many) = &self.shape else { return };
        assert_eq!(many.directory.len(), 1 << many.depth, "directory size");
        assert!(many.segments.len() > 1, "a lone segment needs no directory");
        let mut owned = 0;
        for (index, segment) in many.segments.iter().enumerate() {
            let range = many.range(segment);
            owned += range.len();
            for entry in &many.directory[range] {
                assert_eq!(*entry as usize, index, "directory entry of a segment");
            }
            for item in &segment.table {
                assert_eq!(many.segment_of(rehash(item)), index, "an element's segment");
            }
        }
        assert_eq!(owned, many.directory.len(), "every directory entry has an owner");
        let tables = || many.segments.iter().map(|segment| &segment.table);
        assert_eq!(many.len, tables().map(HashTable::len).sum::<usize>(), "len");
        assert_eq!(
            many.table_bytes,
            tables().map(HashTable::allocation_size).sum::<usize>(),
            "table_bytes"
        );
        let deepest = many.segments.iter().filter(|segment| segment.depth == many.depth).count();
        assert_eq!(many.deepest, deepest, "deepest");
    }

    #[inline]
    fn table(&self, hash: u64) -> &HashTable<T> {
        match &self.shape {
            Shape::One(table) => table,
            Shape::Many(many) => &many.segments[many.segment_of(hash)].table,
        }
    }

    /// The table that owns `position`, with the first position it owns and the one after the last.
    fn interval(&self, position: u64) -> (&HashTable<T>, u64, u64) {
        match &self.shape {
            Shape::One(table) => (table, 0, POSITION_END),
            Shape::Many(many) => {
                let entry = (position >> (POSITION_BITS - many.depth)) as usize;
                let segment = &many.segments[many.directory[entry] as usize];
                let width = 1 << (POSITION_BITS - segment.depth);
                let start = u64::from(segment.prefix) * width;
                (&segment.table, start, start + width)
            }
        }
    }

    fn slot(&self, (segment, bucket): (usize, usize)) -> Option<&T> {
        match &self.shape {
            Shape::One(table) => table.get_bucket(bucket),
            Shape::Many(many) => many.segments[segment].table.get_bucket(bucket),
        }
    }

    fn random_slot(&self, random: &mut Random<'_>) -> Option<(usize, usize)> {
        if self.is_empty() {
            return None;
        }
        // A slot drawn from all the slots there could be is fair if empty ones are drawn again.
        let (segments, buckets) = match &self.shape {
            Shape::One(table) => (1, table.num_buckets()),
            Shape::Many(many) => (many.segments.len(), many.buckets_max),
        };
        let table = |segment: usize| match &self.shape {
            Shape::One(table) => table,
            Shape::Many(many) => &many.segments[segment].table,
        };
        for _ in 0..RANDOM_TRIES {
            let segment = if segments == 1 { 0 } else { below(random, segments) };
            let bucket = below(random, buckets);
            if table(segment).get_bucket(bucket).is_some() {
                return Some((segment, bucket));
            }
        }
        // Very sparse: count instead.
        let mut rank = below(random, self.len());
        for segment in 0..segments {
            let table = table(segment);
            if rank < table.len() {
                let mut full = (0..table.num_buckets()).filter(|b| table.get_bucket(*b).is_some());
                return full.nth(rank).map(|bucket| (segment, bucket));
            }
            rank -= table.len();
        }
        None
    }

    /// Removes what is in a slot known to be full, then gives memory back where it pays.
    fn remove_slot(&mut self, segment: usize, bucket: usize, rehash: &impl Fn(&T) -> u64) -> T {
        let table = match &mut self.shape {
            Shape::One(table) => table,
            Shape::Many(many) => &mut many.segments[segment].table,
        };
        let entry = table.get_bucket_entry(bucket).ok().expect("the slot is full");
        let (value, _) = entry.remove();
        match &mut self.shape {
            Shape::One(table) => {
                shrink(table, rehash);
            }
            Shape::Many(many) => {
                many.len -= 1;
                many.settle(segment, rehash);
                if many.segments.len() == 1
                    && let Some(last) = many.segments.pop()
                {
                    self.shape = Shape::One(last.table);
                }
            }
        }
        value
    }
}

impl<T> Many<T> {
    fn new(table: HashTable<T>) -> Self {
        Self {
            depth: 0,
            deepest: 1,
            len: table.len(),
            table_bytes: table.allocation_size(),
            buckets_max: table.num_buckets().max(SEGMENT_BUCKETS),
            directory: vec![0],
            segments: vec![Segment { table, prefix: 0, depth: 0 }],
        }
    }

    /// Index of the segment that owns `hash`.
    #[inline]
    fn segment_of(&self, hash: u64) -> usize {
        self.directory[(position(hash) >> (POSITION_BITS - self.depth)) as usize] as usize
    }

    /// The directory entries that name `segment`.
    fn range(&self, segment: &Segment<T>) -> core::ops::Range<usize> {
        let shift = self.depth - segment.depth;
        let start = (segment.prefix as usize) << shift;
        start..start + (1 << shift)
    }

    fn insert(&mut self, hash: u64, value: T, rehash: impl Fn(&T) -> u64) -> &mut T {
        let mut index = self.segment_of(hash);
        loop {
            let table = &mut self.segments[index].table;
            if table.len() < table.capacity() {
                break;
            }
            if table.len() > CLEAN_ITEMS_MAX && self.split(index, &rehash) {
                index = self.segment_of(hash);
                continue;
            }
            let table = &mut self.segments[index].table;
            self.table_bytes -= table.allocation_size();
            make_room(table, &rehash);
            self.table_bytes += table.allocation_size();
            self.buckets_max = self.buckets_max.max(table.num_buckets());
        }
        self.len += 1;
        self.segments[index].table.insert_unique(hash, value, rehash).into_mut()
    }

    /// Splits a segment in two; false if the directory would have to grow too far for it.
    fn split(&mut self, index: usize, rehash: &impl Fn(&T) -> u64) -> bool {
        let depth = self.segments[index].depth;
        if depth == self.depth {
            let wide = self.directory.len() >= DIRECTORY_SLACK * self.segments.len();
            if wide || depth == DEPTH_MAX {
                return false;
            }
            self.directory = self.directory.iter().flat_map(|entry| [*entry, *entry]).collect();
            self.depth += 1;
            self.deepest = 0;
        }
        let mut old = mem::take(&mut self.segments[index].table);
        let hashes: Vec<u64> = old.iter().map(rehash).collect();
        let is_high = |hash: u64| position(hash) >> (POSITION_BITS - depth - 1) & 1 == 1;
        let high_len = hashes.iter().filter(|hash| is_high(**hash)).count();
        let mut low = HashTable::with_capacity(roomy(old.len() - high_len));
        let mut high = HashTable::with_capacity(roomy(high_len));
        self.table_bytes -= old.allocation_size();
        self.table_bytes += low.allocation_size() + high.allocation_size();
        let buckets = low.num_buckets().max(high.num_buckets());
        self.buckets_max = self.buckets_max.max(buckets);
        for (item, hash) in old.drain().zip(hashes) {
            let half = if is_high(hash) { &mut high } else { &mut low };
            half.insert_unique(hash, item, rehash);
        }
        let prefix = self.segments[index].prefix << 1;
        self.segments[index] = Segment { table: low, prefix, depth: depth + 1 };
        self.segments.push(Segment { table: high, prefix: prefix | 1, depth: depth + 1 });
        if depth + 1 == self.depth {
            self.deepest += 2;
        }
        self.name_in_directory(self.segments.len() - 1);
        true
    }

    /// Writes the index of a segment into the directory entries that it owns.
    fn name_in_directory(&mut self, index: usize) {
        let range = self.range(&self.segments[index]);
        // At most 2^DEPTH_MAX segments, so an index always fits.
        self.directory[range].fill(index as u32);
    }

    /// After a removal: merges a nearly empty segment with its neighbour, or shrinks it.
    fn settle(&mut self, index: usize, rehash: &impl Fn(&T) -> u64) {
        let segment = &self.segments[index];
        if segment.table.len() > MERGE_ITEMS_MAX / 2 {
            return;
        }
        let (depth, prefix) = (segment.depth, segment.prefix);
        if depth > 0 {
            let shift = self.depth - depth;
            let other = self.directory[((prefix ^ 1) as usize) << shift] as usize;
            let neighbour = &self.segments[other];
            let together = segment.table.len() + neighbour.table.len();
            if neighbour.depth == depth && together <= MERGE_ITEMS_MAX {
                return self.merge(index, other, rehash);
            }
        }
        let table = &mut self.segments[index].table;
        self.table_bytes -= table.allocation_size();
        shrink(table, rehash);
        self.table_bytes += table.allocation_size();
    }

    fn merge(&mut self, index: usize, other: usize, rehash: &impl Fn(&T) -> u64) {
        let (depth, prefix) = (self.segments[index].depth, self.segments[index].prefix);
        let halves = [index, other].map(|at| mem::take(&mut self.segments[at].table));
        let mut table = HashTable::with_capacity(roomy(halves[0].len() + halves[1].len()));
        self.table_bytes += table.allocation_size();
        for mut half in halves {
            self.table_bytes -= half.allocation_size();
            for item in half.drain() {
                table.insert_unique(rehash(&item), item, rehash);
            }
        }
        if depth == self.depth {
            self.deepest -= 2;
        }
        self.segments[index] = Segment { table, prefix: prefix >> 1, depth: depth - 1 };
        if depth - 1 == self.depth {
            self.deepest += 1;
        }
        self.name_in_directory(index);
        self.segments.swap_remove(other);
        if other < self.segments.len() {
            self.name_in_directory(other);
        }
        if self.segments.len() * 4 < self.segments.capacity() {
            self.segments.shrink_to(self.segments.len() * 2);
        }
        while self.deepest == 0 && self.depth > 0 {
            self.directory = self.directory.iter().copied().step_by(2).collect();
            self.depth -= 1;
            self.deepest = self.segments.iter().filter(|s| s.depth == self.depth).count();
        }
    }
}

/// Gives a full table room for one more element, cleaning rather than growing where it can.
fn make_room<T>(table: &mut HashTable<T>, rehash: &impl Fn(&T) -> u64) {
    if table.num_buckets() == SEGMENT_BUCKETS && table.len() < SEGMENT_ITEMS {
        // Clogged by removed entries: `reserve` might double it, which a segment should not.
        let mut clean = HashTable::with_capacity(SEGMENT_ITEMS);
        for item in table.drain() {
            clean.insert_unique(rehash(&item), item, rehash);
        }
        *table = clean;
    } else {
        table.reserve(1, rehash);
    }
}

/// Shrinks a table that has become very sparse.
fn shrink<T>(table: &mut HashTable<T>, rehash: &impl Fn(&T) -> u64) {
    if table.num_buckets() > 16 && table.len() * 8 < table.num_buckets() {
        table.shrink_to(table.len() * 2, rehash);
    }
}

/// Room for `items` that will not be too small at once.
fn roomy(items: usize) -> usize {
    items.max(SEGMENT_ITEMS.min(items + items / 4))
}

/// One more than the last position.
const POSITION_END: u64 = 1 << POSITION_BITS;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::hasher::Hasher;
    use super::super::random::seeded;
    use super::*;

    fn hash_of(hasher: &Hasher, key: u64) -> u64 {
        hasher.hash(&key.to_le_bytes())
    }

    struct Table {
        hasher: Hasher,
        inner: Segmented<(u64, u64)>,
    }

    impl Table {
        fn new() -> Self {
            Self { hasher: Hasher::new(42), inner: Segmented::new() }
        }

        fn set(&mut self, key: u64, value: u64) -> Option<u64> {
            let hash = hash_of(&self.hasher, key);
            if let Some(pair) = self.inner.find_mut(hash, |pair| pair.0 == key) {
                return Some(mem::replace(&mut pair.1, value));
            }
            self.inner.insert(hash, (key, value), |pair| hash_of(&self.hasher, pair.0));
            None
        }

        fn remove(&mut self, key: u64) -> Option<u64> {
            let hash = hash_of(&self.hasher, key);
            let rehash = |pair: &(u64, u64)| hash_of(&self.hasher, pair.0);
            self.inner.remove(hash, |pair| pair.0 == key, rehash).map(|pair| pair.1)
        }

        fn get(&self, key: u64) -> Option<u64> {
            let hash = hash_of(&self.hasher, key);
            self.inner.find(hash, |pair| pair.0 == key).map(|pair| pair.1)
        }

        fn scan(&self, cursor: u64, count: usize, seen: &mut Vec<u64>) -> u64 {
            let rehash = |pair: &(u64, u64)| hash_of(&self.hasher, pair.0);
            self.inner.scan(cursor, count, rehash, &mut |pair| seen.push(pair.0))
        }

        fn check(&self) {
            self.inner.check(|pair| hash_of(&self.hasher, pair.0));
        }
    }

    #[test]
    fn behaves_like_a_map_while_growing_and_shrinking() {
        let mut random = seeded(3);
        let (mut table, mut model) = (Table::new(), HashMap::new());
        // Each phase prefers insertion or removal and works on a wider or narrower range of keys.
        for (phase, keys) in [100, 3_000, 60_000, 60_000, 60_000, 300].into_iter().enumerate() {
            for step in 0..60_000 {
                let key = random() % keys;
                if random() % 10 < if phase % 2 == 0 { 7 } else { 2 } {
                    assert_eq!(table.set(key, step), model.insert(key, step));
                } else {
                    assert_eq!(table.remove(key), model.remove(&key));
                }
                let key = random() % keys;
                assert_eq!(table.get(key), model.get(&key).copied());
                assert_eq!(table.inner.len(), model.len());
            }
            table.check();
            let all: HashMap<_, _> = table.inner.iter().copied().collect();
            assert_eq!(all, model);
        }
        for key in 0..60_000 {
            assert_eq!(table.remove(key), model.remove(&key));
        }
        assert!(table.inner.is_empty() && matches!(table.inner.shape, Shape::One(_)));
        assert!(table.inner.heap_bytes() < 1_000, "an emptied table gives its memory back");
    }

    #[test]
    fn small_is_tiny_and_large_has_no_oversized_segment() {
        assert!(size_of::<Segmented<u64>>() <= 40);
        let mut table = Table::new();
        assert_eq!(table.inner.heap_bytes(), 0);
        for key in 0..3 {
            table.set(key, key);
        }
        assert!(table.inner.heap_bytes() < 128, "{}", table.inner.heap_bytes());
        for key in 0..200_000 {
            table.set(key, key);
        }
        table.check();
        let Shape::Many(many) = &table.inner.shape else { panic!("many elements, many segments") };
        assert_eq!(many.buckets_max, SEGMENT_BUCKETS);
    }

    #[test]
    fn memory_for_each_element_does_not_swing() {
        let mut table = Table::new();
        for key in 0..300_000 {
            table.set(key, key);
            if key >= 20_000 && key.is_multiple_of(10_000) {
                let each = table.inner.heap_bytes() as f64 / key as f64;
                assert!((25.0..33.0).contains(&each), "{each} bytes at {key} elements of 16");
            }
        }
    }

    #[test]
    fn churn_at_constant_size_stays_bounded() {
        let mut table = Table::new();
        for key in 0..400_000_u64 {
            table.set(key, key);
            if key >= 20_000 {
                table.remove(key - 20_000);
            }
        }
        table.check();
        assert_eq!(table.inner.len(), 20_000);
        let each = table.inner.heap_bytes() as f64 / 20_000.0;
        assert!(each < 3.0 * 17.0, "{each} bytes for each element of 16");
    }

    #[test]
    fn a_walk_shows_all_that_stays_whatever_happens_meanwhile() {
        for (seed, before, grow) in [(1, 50, true), (2, 2_000, true), (3, 40_000, false)] {
            for count in [1, 10, 1_000] {
                let mut random = seeded(seed);
                let mut table = Table::new();
                (0..before).for_each(|key| {
                    table.set(key, 0);
                });
                let (mut seen, mut cursor, mut next_key) = (Vec::new(), 0, before);
                loop {
                    cursor = table.scan(cursor, count, &mut seen);
                    if cursor == 0 {
                        break;
                    }
                    for _ in 0..random() % 60 {
                        if grow {
                            // At most eightfold, or the walk would never catch up.
                            table.set(next_key, 0);
                            next_key = (next_key + 1).min(before * 8);
                        } else {
                            // Keys divisible by 7 stay.
                            let key = random() % before;
                            if !key.is_multiple_of(7) {
                                table.remove(key);
                            }
                        }
                    }
                }
                table.check();
                let unique: BTreeSet<_> = seen.iter().copied().collect();
                assert_eq!(unique.len(), seen.len(), "nothing is shown twice");
                let stays = (0..before).filter(|key| grow || key.is_multiple_of(7));
                for key in stays {
                    assert!(unique.contains(&key), "{key} was missed, count {count}");
                }
            }
        }
    }

    #[test]
    fn a_scan_step_keeps_to_its_count_and_takes_any_cursor() {
        let mut table = Table::new();
        (0..10_000).for_each(|key| {
            table.set(key, 0);
        });
        let (mut cursor, mut total) = (0, 0);
        loop {
            let mut seen = Vec::new();
            cursor = table.scan(cursor, 10, &mut seen);
            assert!(seen.len() <= 10);
            total += seen.len();
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(total, 10_000);
        let mut random = seeded(5);
        for cursor in [POSITION_END - 1, POSITION_END, u64::MAX, random(), random()] {
            let next = table.scan(cursor, 10, &mut Vec::new());
            assert!(next < POSITION_END);
        }
        let mut seen = Vec::new();
        assert_eq!(table.scan(0, usize::MAX, &mut seen), 0);
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn random_elements_are_uniform() {
        for items in [1, 10, 400, 5_000_u64] {
            let mut table = Table::new();
            (0..items * 10).for_each(|key| {
                table.set(key, 0);
            });
            (items..items * 10).for_each(|key| {
                table.remove(key);
            });
            let (mut random, mut seen) = (seeded(11), HashMap::new());
            for _ in 0..items * 200 {
                *seen.entry(table.inner.random(&mut random).unwrap().0).or_insert(0_u64) += 1;
            }
            assert_eq!(seen.len() as u64, items);
            let chi: f64 = seen.values().map(|n| (*n as f64 - 200.0).powi(2) / 200.0).sum();
            let (mean, deviation) = (items as f64 - 1.0, (2.0 * items as f64).sqrt());
            assert!((chi - mean).abs() < 5.0 * deviation, "chi squared {chi} of {items}");
            for count in [0, 1, items / 8, items / 2, items, items + 5] {
                let sample = table.inner.sample(count as usize, &mut random);
                let unique: BTreeSet<_> = sample.iter().map(|pair| pair.0).collect();
                assert_eq!(sample.len() as u64, count.min(items));
                assert_eq!(unique.len(), sample.len());
            }
            let hasher = table.hasher.clone();
            for left in (0..items).rev() {
                let rehash = |pair: &(u64, u64)| hash_of(&hasher, pair.0);
                let (key, _) = table.inner.remove_random(&mut random, rehash).unwrap();
                assert_eq!((table.get(key), table.inner.len() as u64), (None, left));
            }
            assert!(table.inner.random(&mut random).is_none());
        }
    }

    #[test]
    fn bad_hashes_cost_time_but_neither_memory_nor_elements() {
        for bad in [|_: u64| 0, |key: u64| key, |key: u64| key << 50] {
            let mut table = Segmented::new();
            for key in 0..3_000_u64 {
                table.insert(bad(key), key, |key| bad(*key));
            }
            table.check(|key| bad(*key));
            assert!(table.heap_bytes() < 200_000, "{}", table.heap_bytes());
            let (mut seen, mut cursor) = (BTreeSet::new(), 0);
            loop {
                cursor = table.scan(cursor, 10, |key| bad(*key), &mut |key| {
                    seen.insert(*key);
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), 3_000);
            let mut random = seeded(1);
            assert!((0..100).all(|_| table.random(&mut random).is_some()));
            for key in 0..3_000 {
                assert_eq!(table.remove(bad(key), |it| *it == key, |key| bad(*key)), Some(key));
            }
            assert!(table.is_empty());
        }
    }
}
