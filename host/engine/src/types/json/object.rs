//! A JSON object: members in the order in which their names first came, found fast also among many.
//!
//! A few members are searched one by one; more have an index, which holds their positions sorted by
//! name in blocks of bounded size. So finding takes logarithmic time whatever names a client
//! chooses, without a secret, and adding a member moves a bounded number of bytes. Removing puts the
//! last member into the gap, as RedisJSON does.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::text::Text;
use super::value::Json;

/// From how many members on there is an index.
const INDEXED_FROM: usize = 17;
/// How many positions a block of the index holds.
const BLOCK_MAX: usize = 512;

/// Values by their names.
#[derive(Clone, Default)]
pub struct Object {
    members: Vec<(Text, Json)>,
    index: Option<Box<Index>>,
}

/// Positions of all members, sorted by name; no block is empty.
#[derive(Clone, Default)]
struct Index {
    blocks: Vec<Vec<u32>>,
}

impl Object {
    /// An empty object.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Json)> {
        self.members.iter().map(|(name, value)| (name, value))
    }

    /// The value of this name.
    #[inline]
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Json> {
        self.position(name).and_then(|at| self.at(at)).map(|(_, value)| value)
    }

    /// Where the member of this name stands.
    #[inline]
    #[must_use]
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        match &self.index {
            None => self.members.iter().position(|(other, _)| other.as_bytes() == name),
            Some(index) => {
                let (block, place) = index.find(&self.members, name).ok()?;
                index.blocks.get(block)?.get(place).map(|at| *at as usize)
            }
        }
    }

    /// The member at this position.
    #[must_use]
    pub fn at(&self, at: usize) -> Option<(&Text, &Json)> {
        self.members.get(at).map(|(name, value)| (name, value))
    }

    pub(super) fn at_mut(&mut self, at: usize) -> Option<&mut Json> {
        self.members.get_mut(at).map(|(_, value)| value)
    }

    /// Puts a value under a name; a new one comes last. The value before, if there was one.
    pub(super) fn put(&mut self, name: Text, value: Json) -> Option<Json> {
        if let Some(at) = self.position(name.as_bytes()) {
            return self.at_mut(at).map(|old| core::mem::replace(old, value));
        }
        self.push(name, value);
        None
    }

    /// Adds a member, whose name must be new, at the end.
    pub(super) fn push(&mut self, name: Text, value: Json) {
        self.members.push((name, value));
        let last = self.members.len() - 1;
        match &mut self.index {
            Some(index) => index.insert(&self.members, last),
            None if self.members.len() >= INDEXED_FROM => {
                self.index = Some(Box::new(Index::new(&self.members)));
            }
            None => {}
        }
    }

    /// Removes the member at `at`, which must be there; the last one takes its place.
    pub(super) fn remove(&mut self, at: usize) -> (Text, Json) {
        let last = self.members.len() - 1;
        if let Some(index) = &mut self.index {
            index.remove(&self.members, at);
            index.renumber(&self.members, last, at);
        }
        let removed = self.members.swap_remove(at);
        if self.members.len() < INDEXED_FROM / 2 {
            self.index = None;
        }
        removed
    }

    /// Puts a member back to `at`, where it stood before it was removed.
    pub(super) fn restore(&mut self, at: usize, name: Text, value: Json) {
        self.push(name, value);
        let last = self.members.len() - 1;
        if let Some(index) = &mut self.index {
            index.exchange(&self.members, at, last);
        }
        self.members.swap(at, last);
    }

    /// Names and values in order, for good.
    pub(super) fn into_members(self) -> impl Iterator<Item = (Text, Json)> {
        self.members.into_iter()
    }

    /// Gives back what was allocated for members to come.
    pub(super) fn shrink(&mut self) {
        self.members.shrink_to_fit();
    }

    /// Bytes on the heap without what lies behind names and values. O(1).
    #[inline]
    pub(super) fn frame_bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| index.heap_bytes());
        size_of::<Self>() + self.members.capacity() * size_of::<(Text, Json)>() + index
    }

    /// Panics if the index and the members disagree.
    pub fn check(&self) {
        let Some(index) = &self.index else { return };
        assert!(index.blocks.iter().all(|block| !block.is_empty() && block.len() <= BLOCK_MAX));
        let sorted: Vec<&[u8]> =
            index.positions().map(|at| self.members[at].0.as_bytes()).collect();
        assert!(sorted.is_sorted_by(|one, two| one < two), "the index is sorted by name");
        assert_eq!(sorted.len(), self.members.len(), "every member is in the index");
    }
}

impl FromIterator<(Text, Json)> for Object {
    /// Of equal names the last counts, where the first stood.
    fn from_iter<I: IntoIterator<Item = (Text, Json)>>(members: I) -> Self {
        let mut object = Self::new();
        for (name, value) in members {
            object.put(name, value);
        }
        object.shrink();
        object
    }
}

impl core::fmt::Debug for Object {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

fn name_at(members: &[(Text, Json)], at: u32) -> &[u8] {
    members.get(at as usize).map_or(b"", |(name, _)| name.as_bytes())
}

impl Index {
    fn new(members: &[(Text, Json)]) -> Self {
        let mut positions: Vec<u32> = (0..members.len() as u32).collect();
        positions.sort_unstable_by(|one, two| name_at(members, *one).cmp(name_at(members, *two)));
        Self { blocks: positions.chunks(BLOCK_MAX / 2).map(<[u32]>::to_vec).collect() }
    }

    fn positions(&self) -> impl Iterator<Item = usize> {
        self.blocks.iter().flatten().map(|at| *at as usize)
    }

    /// Block and place of a name, or where it belongs.
    fn find(
        &self,
        members: &[(Text, Json)],
        name: &[u8],
    ) -> Result<(usize, usize), (usize, usize)> {
        let starts_before =
            |block: &Vec<u32>| block.first().is_some_and(|first| name_at(members, *first) <= name);
        let block = self.blocks.partition_point(starts_before).saturating_sub(1);
        let compare = |at: &u32| -> Ordering { name_at(members, *at).cmp(name) };
        match self.blocks.get(block).map(|block| block.binary_search_by(compare)) {
            Some(Ok(place)) => Ok((block, place)),
            Some(Err(place)) => Err((block, place)),
            None => Err((0, 0)),
        }
    }

    fn insert(&mut self, members: &[(Text, Json)], at: usize) {
        let (block, place) = match self.find(members, name_at(members, at as u32)) {
            Ok(found) | Err(found) => found,
        };
        let Some(positions) = self.blocks.get_mut(block) else {
            return self.blocks.push(alloc::vec![at as u32]);
        };
        positions.insert(place, at as u32);
        if positions.len() > BLOCK_MAX {
            let upper = positions.split_off(BLOCK_MAX / 2);
            self.blocks.insert(block + 1, upper);
        }
    }

    fn remove(&mut self, members: &[(Text, Json)], at: usize) {
        let Ok((block, place)) = self.find(members, name_at(members, at as u32)) else { return };
        if let Some(positions) = self.blocks.get_mut(block) {
            positions.remove(place);
            if positions.is_empty() {
                self.blocks.remove(block);
            }
        }
    }

    /// Lets the entry of the member that stands at `from` say `to`, if it has one.
    fn renumber(&mut self, members: &[(Text, Json)], from: usize, to: usize) {
        let Ok((block, place)) = self.find(members, name_at(members, from as u32)) else { return };
        if let Some(position) = self.blocks.get_mut(block).and_then(|block| block.get_mut(place)) {
            *position = to as u32;
        }
    }

    /// Lets two members, still in their places, be found in each other's.
    fn exchange(&mut self, members: &[(Text, Json)], one: usize, two: usize) {
        let names = [one, two].map(|at| self.find(members, name_at(members, at as u32)));
        for (found, to) in core::iter::zip(names, [two, one]) {
            let Ok((block, place)) = found else { continue };
            let position = self.blocks.get_mut(block).and_then(|block| block.get_mut(place));
            position.into_iter().for_each(|position| *position = to as u32);
        }
    }

    fn heap_bytes(&self) -> usize {
        let per_block = size_of::<Vec<u32>>() + BLOCK_MAX / 2 * size_of::<u32>();
        size_of::<Self>() + self.blocks.len() * per_block
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::super::super::random::seeded;
    use super::*;

    type Model = Vec<(Vec<u8>, i64)>;

    fn check(object: &Object, model: &Model) {
        object.check();
        let shown: Model = object
            .iter()
            .map(|(name, value)| match value {
                Json::Integer(value) => (name.as_bytes().to_vec(), *value),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(&shown, model);
    }

    #[test]
    fn behaves_like_a_list_of_names() {
        for (seed, range, steps) in [(1, 12, 2_000), (2, 40, 4_000), (3, 3_000, 12_000)] {
            let mut random = seeded(seed);
            let (mut object, mut model) = (Object::new(), Model::new());
            for step in 0..steps {
                let name = format!("name that may be long {}", random() % range).into_bytes();
                let at = model.iter().position(|(other, _)| *other == name);
                assert_eq!(object.position(&name), at);
                match (random() % 3, at) {
                    (0, Some(at)) => {
                        let removed = object.remove(at);
                        assert_eq!(removed.0.as_bytes(), model.swap_remove(at).0);
                        if random().is_multiple_of(2) {
                            // As a roll-back does.
                            let Json::Integer(value) = removed.1 else { panic!() };
                            object.restore(at, removed.0, removed.1);
                            let last = model.len();
                            model.push((name, value));
                            model.swap(at, last);
                        }
                    }
                    (0, None) => {}
                    (_, at) => {
                        let old = object.put(name[..].into(), Json::Integer(step));
                        assert_eq!(old.is_some(), at.is_some());
                        match at {
                            Some(at) => model[at].1 = step,
                            None => model.push((name, step)),
                        }
                    }
                }
                if step % 64 == 0 {
                    check(&object, &model);
                }
            }
            check(&object, &model);
            check(&object.clone(), &model);
        }
    }

    #[test]
    fn many_members_are_added_and_removed_in_any_order() {
        let mut object = Object::new();
        for number in (0..20_000_u32).rev() {
            object.push(format!("{number}").as_bytes().into(), Json::Null);
        }
        object.check();
        assert_eq!(object.position(b"0"), Some(19_999));
        while object.len() > 1 {
            object.remove(0);
        }
        object.check();
        assert_eq!(object.len(), 1);
    }
}
