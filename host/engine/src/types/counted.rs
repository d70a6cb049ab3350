//! A sequence that finds, inserts and removes by index in logarithmic time: a B-tree whose nodes
//! count what is below them.
//!
//! Keys have no order of their own here. Who keeps them sorted finds places with
//! [`Counted::partition_point`] and works with indices from there, so one small set of operations
//! serves ranks, ranges by any rule, and walks in both directions.
//!
//! Invariants: all leaves have the same depth; no node but the root is empty; what a parent knows of
//! a child (number of keys, first key) is so; the numbers of nodes equal a recount. A node that has
//! become less than a quarter full joins a neighbour where both fit into one with room to spare.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A counted sequence of small keys.
#[derive(Clone)]
pub struct Counted<K> {
    root: Node<K>,
    nodes: Nodes,
}

/// How many nodes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Nodes {
    leaves: usize,
    inners: usize,
}

#[derive(Clone)]
enum Node<K> {
    Leaf(Box<Leaf<K>>),
    Inner(Box<Inner<K>>),
}

#[derive(Clone)]
struct Leaf<K> {
    len: usize,
    keys: [K; LEAF_KEYS],
}

#[derive(Clone)]
struct Inner<K> {
    /// Keys below.
    len: usize,
    children: Vec<Child<K>>,
}

#[derive(Clone)]
struct Child<K> {
    len: usize,
    first: K,
    node: Node<K>,
}

/// Where in the whole sequence an insertion happens. At the ends a full node is not halved, because
/// who appends once tends to go on, and would leave only half-full nodes behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Front,
    End,
    Neither,
}

/// Keys of a full leaf.
const LEAF_KEYS: usize = 64;

/// Children of a full inner node.
const CHILDREN: usize = 32;

impl<K: Copy + Default> Default for Counted<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Copy + Default> Counted<K> {
    /// An empty sequence.
    #[must_use]
    pub fn new() -> Self {
        Self { root: Node::Leaf(Leaf::new(&[])), nodes: Nodes { leaves: 1, inners: 0 } }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.root.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let inner = size_of::<Inner<K>>() + (CHILDREN + 1) * size_of::<Child<K>>();
        self.nodes.leaves * size_of::<Leaf<K>>() + self.nodes.inners * inner
    }

    /// The key with this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<K> {
        let (keys, at) = self.leaf(index)?;
        keys.get(at).copied()
    }

    /// How many keys at the front satisfy `is_before`, which must hold for a front part of the
    /// sequence and for no other key.
    pub fn partition_point(&self, mut is_before: impl FnMut(&K) -> bool) -> usize {
        let (mut node, mut index) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(leaf) => return index + leaf.keys().partition_point(is_before),
                Node::Inner(inner) => {
                    // The last child that begins before the point; the point may be at its end.
                    let later = &inner.children[1..];
                    let chosen = later.partition_point(|child| is_before(&child.first));
                    index += inner.children[..chosen].iter().map(|child| child.len).sum::<usize>();
                    node = &inner.children[chosen].node;
                }
            }
        }
    }

    /// Inserts a key so that it has this index; an index beyond the end means the end.
    pub fn insert(&mut self, index: usize, key: K) {
        let edge = match index {
            index if index >= self.len() => Edge::End,
            0 => Edge::Front,
            _ => Edge::Neither,
        };
        let index = index.min(self.len());
        let Some(second) = self.root.insert(index, key, edge, &mut self.nodes) else { return };
        let inner = Inner { len: 0, children: Vec::with_capacity(CHILDREN + 1) };
        let first = core::mem::replace(&mut self.root, Node::Inner(Box::new(inner)));
        self.nodes.inners += 1;
        if let Node::Inner(root) = &mut self.root {
            root.len = first.len() + second.len();
            root.children.extend([Child::new(first), Child::new(second)]);
        }
    }

    /// Removes the key with this index.
    pub fn remove(&mut self, index: usize) -> Option<K> {
        if index >= self.len() {
            return None;
        }
        let key = self.root.remove(index, &mut self.nodes);
        while let Node::Inner(inner) = &mut self.root
            && inner.children.len() <= 1
        {
            self.nodes.inners -= 1;
            self.root = match inner.children.pop() {
                Some(only) => only.node,
                None => {
                    self.nodes.leaves += 1;
                    Node::Leaf(Leaf::new(&[]))
                }
            };
        }
        Some(key)
    }

    /// Replaces the key with this index by one that belongs in the same place.
    pub fn replace(&mut self, index: usize, key: K) {
        if index < self.len() {
            self.root.replace(index, key);
        }
    }

    /// The keys with these indices, from either end.
    #[must_use]
    pub fn range(&self, range: core::ops::Range<usize>) -> Range<'_, K> {
        let end = range.end.min(self.len());
        Range { sequence: self, front: &[], back: &[], start: range.start.min(end), end }
    }

    /// Recounts everything; panics on a contradiction.
    pub fn check(&self)
    where
        K: PartialEq + core::fmt::Debug,
    {
        let mut found = Nodes::default();
        self.root.check(&mut found);
        assert_eq!(self.nodes, found, "numbers of nodes");
    }

    /// The keys of the leaf that holds this index, and where among them it is.
    fn leaf(&self, mut index: usize) -> Option<(&[K], usize)> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return Some((leaf.keys(), index)),
                Node::Inner(inner) => {
                    let (child, within) = inner.child_with(index)?;
                    (node, index) = (&inner.children[child].node, within);
                }
            }
        }
    }
}

impl<K: Copy + Default> Node<K> {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len,
            Self::Inner(inner) => inner.len,
        }
    }

    /// The first key, or any key if there is none.
    fn first(&self) -> K {
        match self {
            Self::Leaf(leaf) => leaf.keys[0],
            Self::Inner(inner) => inner.children.first().map_or(K::default(), |child| child.first),
        }
    }

    /// Inserts a key; returns the second half if that took a split.
    fn insert(&mut self, index: usize, key: K, edge: Edge, nodes: &mut Nodes) -> Option<Self> {
        match self {
            Self::Leaf(leaf) => {
                let second = leaf.insert(index, key, edge).map(Self::Leaf);
                nodes.leaves += usize::from(second.is_some());
                second
            }
            Self::Inner(inner) => {
                let second = inner.insert(index, key, edge, nodes).map(Self::Inner);
                nodes.inners += usize::from(second.is_some());
                second
            }
        }
    }

    fn remove(&mut self, index: usize, nodes: &mut Nodes) -> K {
        match self {
            Self::Leaf(leaf) => leaf.remove(index),
            Self::Inner(inner) => inner.remove(index, nodes),
        }
    }

    fn replace(&mut self, index: usize, key: K) {
        match self {
            Self::Leaf(leaf) => leaf.keys[index] = key,
            Self::Inner(inner) => {
                if let Some((child, within)) = inner.child_with(index) {
                    let child = &mut inner.children[child];
                    child.node.replace(within, key);
                    child.first = child.node.first();
                }
            }
        }
    }

    fn is_sparse(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.len < LEAF_KEYS / 4,
            Self::Inner(inner) => inner.children.len() < CHILDREN / 4,
        }
    }

    /// Takes in the keys of the next node if they fit well; otherwise gives that node back.
    fn absorb(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Leaf(leaf), Self::Leaf(next)) if leaf.len + next.len <= LEAF_KEYS / 4 * 3 => {
                leaf.keys[leaf.len..leaf.len + next.len].copy_from_slice(next.keys());
                leaf.len += next.len;
                Ok(())
            }
            (Self::Inner(inner), Self::Inner(mut next))
                if inner.children.len() + next.children.len() <= CHILDREN / 4 * 3 =>
            {
                inner.children.append(&mut next.children);
                inner.len += next.len;
                Ok(())
            }
            (_, next) => Err(next),
        }
    }

    fn check(&self, found: &mut Nodes) -> usize
    where
        K: PartialEq + core::fmt::Debug,
    {
        let Self::Inner(inner) = self else {
            found.leaves += 1;
            return 0;
        };
        found.inners += 1;
        assert!((1..=CHILDREN).contains(&inner.children.len()), "number of children");
        let mut depths = Vec::new();
        for child in &inner.children {
            assert!(child.len > 0, "no empty child");
            assert_eq!(child.len, child.node.len(), "number of keys below a child");
            assert_eq!(child.first, child.node.first(), "first key of a child");
            depths.push(child.node.check(found));
        }
        assert_eq!(inner.len, inner.children.iter().map(|child| child.len).sum::<usize>());
        assert!(depths.iter().all(|depth| *depth == depths[0]), "depth of the leaves");
        depths[0] + 1
    }
}

impl<K: Copy + Default> Leaf<K> {
    fn new(keys: &[K]) -> Box<Self> {
        let mut leaf = Box::new(Self { len: keys.len(), keys: [K::default(); LEAF_KEYS] });
        leaf.keys[..keys.len()].copy_from_slice(keys);
        leaf
    }

    fn keys(&self) -> &[K] {
        &self.keys[..self.len]
    }

    fn insert(&mut self, index: usize, key: K, edge: Edge) -> Option<Box<Self>> {
        if self.len < LEAF_KEYS {
            self.keys.copy_within(index..self.len, index + 1);
            self.keys[index] = key;
            self.len += 1;
            return None;
        }
        let keep = match edge {
            Edge::Front => 0,
            Edge::End => LEAF_KEYS,
            Edge::Neither => LEAF_KEYS / 2,
        };
        let mut second = Self::new(&self.keys[keep..]);
        self.len = keep;
        if index < keep || edge == Edge::Front {
            self.insert(index, key, Edge::Neither);
        } else {
            second.insert(index - keep, key, Edge::Neither);
        }
        Some(second)
    }

    fn remove(&mut self, index: usize) -> K {
        let key = self.keys[index];
        self.keys.copy_within(index + 1..self.len, index);
        self.len -= 1;
        key
    }
}

impl<K: Copy + Default> Inner<K> {
    /// The child that holds this index, and the index within it.
    fn child_with(&self, mut index: usize) -> Option<(usize, usize)> {
        for (at, child) in self.children.iter().enumerate() {
            if index < child.len {
                return Some((at, index));
            }
            index -= child.len;
        }
        None
    }

    fn insert(&mut self, index: usize, key: K, edge: Edge, nodes: &mut Nodes) -> Option<Box<Self>> {
        // The end of a child counts as inside.
        let (at, within) = match index.checked_sub(1) {
            None => (0, 0),
            Some(before) => {
                let (at, within) = self.child_with(before)?;
                (at, within + 1)
            }
        };
        self.len += 1;
        let child = &mut self.children[at];
        let second = child.node.insert(within, key, edge, nodes);
        child.len = child.node.len();
        child.first = child.node.first();
        self.children.insert(at + 1, Child::new(second?));
        if self.children.len() <= CHILDREN {
            return None;
        }
        let keep = match edge {
            Edge::Front => 1,
            Edge::End => CHILDREN,
            Edge::Neither => CHILDREN / 2,
        };
        let mut children = Vec::with_capacity(CHILDREN + 1);
        children.extend(self.children.drain(keep..));
        let len = children.iter().map(|child| child.len).sum();
        self.len -= len;
        Some(Box::new(Self { len, children }))
    }

    fn remove(&mut self, index: usize, nodes: &mut Nodes) -> K {
        let (at, within) = self.child_with(index).expect("the index is below the length");
        self.len -= 1;
        let child = &mut self.children[at];
        let key = child.node.remove(within, nodes);
        child.len -= 1;
        if child.len == 0 {
            nodes.forget(&self.children.remove(at).node);
            return key;
        }
        child.first = child.node.first();
        if child.node.is_sparse() {
            self.join(at, nodes);
            self.join(at.wrapping_sub(1), nodes);
        }
        key
    }

    /// Joins a child with the next one if both are there and fit.
    fn join(&mut self, at: usize, nodes: &mut Nodes) {
        if at >= self.children.len() || at + 1 >= self.children.len() {
            return;
        }
        let next = self.children.remove(at + 1);
        let is_leaf = matches!(next.node, Node::Leaf(_));
        let child = &mut self.children[at];
        match child.node.absorb(next.node) {
            Ok(()) => {
                child.len += next.len;
                nodes.leaves -= usize::from(is_leaf);
                nodes.inners -= usize::from(!is_leaf);
            }
            Err(node) => self.children.insert(at + 1, Child { node, ..next }),
        }
    }
}

impl<K: Copy + Default> Child<K> {
    fn new(node: Node<K>) -> Self {
        Self { len: node.len(), first: node.first(), node }
    }
}

impl Nodes {
    /// Takes an empty node out of the count.
    fn forget<K>(&mut self, node: &Node<K>) {
        match node {
            Node::Leaf(_) => self.leaves -= 1,
            Node::Inner(_) => self.inners -= 1,
        }
    }
}

/// Neighbouring keys, from either end.
#[derive(Clone)]
pub struct Range<'a, K> {
    sequence: &'a Counted<K>,
    /// Keys of a leaf from index `start` on, where already fetched.
    front: &'a [K],
    /// Keys of a leaf up to index `end`, where already fetched.
    back: &'a [K],
    start: usize,
    end: usize,
}

impl<K: Copy + Default> Iterator for Range<'_, K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        if self.start == self.end {
            return None;
        }
        if self.front.is_empty() {
            let (keys, at) = self.sequence.leaf(self.start)?;
            self.front = &keys[at..];
        }
        let (key, rest) = self.front.split_first()?;
        self.front = rest;
        self.start += 1;
        Some(*key)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.start, Some(self.end - self.start))
    }
}

impl<K: Copy + Default> DoubleEndedIterator for Range<'_, K> {
    fn next_back(&mut self) -> Option<K> {
        if self.start == self.end {
            return None;
        }
        if self.back.is_empty() {
            let (keys, at) = self.sequence.leaf(self.end - 1)?;
            self.back = &keys[..=at];
        }
        let (key, rest) = self.back.split_last()?;
        self.back = rest;
        self.end -= 1;
        Some(*key)
    }
}

impl<K: Copy + Default> ExactSizeIterator for Range<'_, K> {}

#[cfg(test)]
mod tests {
    use super::super::random::{below, seeded};
    use super::*;

    fn same(sequence: &Counted<u32>, model: &[u32]) {
        sequence.check();
        assert_eq!(sequence.len(), model.len());
        assert!(sequence.range(0..usize::MAX).eq(model.iter().copied()));
        assert!(sequence.range(0..usize::MAX).rev().eq(model.iter().rev().copied()));
    }

    #[test]
    fn behaves_like_a_vector_while_growing_and_shrinking() {
        for seed in 0..4 {
            let mut random = seeded(seed);
            let (mut sequence, mut model) = (Counted::new(), Vec::new());
            for (phase, inserts) in [9, 1, 7, 3, 0].into_iter().enumerate() {
                for step in 0..12_000 {
                    let index = match seed {
                        1 => model.len(),
                        2 => 0,
                        _ => below(&mut random, model.len() + 1),
                    };
                    if random() % 10 < inserts {
                        sequence.insert(index, step);
                        model.insert(index, step);
                    } else {
                        let index = below(&mut random, model.len() + 1);
                        let expected = (index < model.len()).then(|| model.remove(index));
                        assert_eq!(sequence.remove(index), expected);
                    }
                    let index = below(&mut random, model.len() + 1);
                    assert_eq!(sequence.get(index), model.get(index).copied());
                    if step % 100 == 0 && index < model.len() {
                        sequence.replace(index, step);
                        model[index] = step;
                    }
                }
                same(&sequence, &model);
                for _ in 0..50 {
                    let start = below(&mut random, model.len() + 1);
                    let end = start + below(&mut random, model.len() + 1 - start);
                    let mut range = sequence.range(start..end);
                    let mut expected = model[start..end].iter().copied();
                    assert_eq!(range.len(), end - start);
                    while let Some(key) = expected.next() {
                        assert_eq!(range.next(), Some(key));
                        assert_eq!(range.next_back(), expected.next_back());
                    }
                    assert_eq!((range.next(), range.next_back()), (None, None));
                }
                assert!(phase < 4 || model.is_empty());
            }
            assert_eq!(sequence.nodes, Nodes { leaves: 1, inners: 0 });
        }
    }

    #[test]
    fn partition_point_is_that_of_a_sorted_vector() {
        let mut random = seeded(7);
        let (mut sequence, mut model) = (Counted::new(), Vec::new());
        for _ in 0..20_000 {
            let key = (random() % 5_000) as u32;
            let index = sequence.partition_point(|other| *other < key);
            assert_eq!(index, model.partition_point(|other| *other < key));
            if random().is_multiple_of(3) && sequence.get(index) == Some(key) {
                sequence.remove(index);
                model.remove(index);
            } else {
                sequence.insert(index, key);
                model.insert(index, key);
            }
        }
        same(&sequence, &model);
        assert_eq!(sequence.partition_point(|_| true), model.len());
        assert_eq!(sequence.partition_point(|_| false), 0);
    }

    #[test]
    fn appending_and_prepending_leave_full_nodes() {
        for front in [false, true] {
            let mut sequence = Counted::new();
            for key in 0..100_000_u32 {
                sequence.insert(if front { 0 } else { sequence.len() }, key);
            }
            sequence.check();
            assert!(sequence.heap_bytes() < 100_000 * 5, "{}", sequence.heap_bytes());
        }
    }
}
