//! The list: elements in a given order, quick at both ends.
//!
//! A list that fits into one packed sequence is just that; a longer one is a queue of such
//! sequences (**nodes**), each as large as `list-max-listpack-size` allows, with elements larger than
//! a node on their own. Going to an index counts through the nodes from the nearer end, without
//! touching their contents.
//!
//! Invariants: no node of a longer list is empty; every number of elements and the bytes behind the
//! nodes equal a recount.
//!
//! Undo: a push by the pop of the same end and the reverse, [`List::set`] by setting what it returned,
//! [`List::insert`] by `remove` and the reverse, [`List::remove_matching`] by inserting at the indices
//! that it returned in their order, [`List::trim`] by [`List::join_front`] and [`List::join_back`].

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::element::Element;
use super::encoding::Encoding;
use super::limits::Limits;
use super::listpack::{self, Packed};

/// Elements in order.
#[derive(Clone, Default)]
pub struct List {
    shape: Shape,
}

#[derive(Clone)]
enum Shape {
    Packed(Packed),
    Nodes(Box<Nodes>),
}

/// A longer list.
#[derive(Default)]
struct Nodes {
    queue: VecDeque<Node>,
    /// Elements in all nodes.
    len: usize,
    /// Bytes allocated by all nodes.
    node_bytes: usize,
}

#[derive(Clone)]
struct Node {
    /// Elements inside, so that counting does not have to look there.
    len: usize,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Packed(Packed),
    /// One element too large to be packed.
    Large(Box<[u8]>),
}

/// How much one node may hold.
#[derive(Clone, Copy)]
struct NodeSize {
    bytes_max: usize,
    elements_max: usize,
}

/// Bytes that an entry takes beside its content, at most, as Redis estimates it.
const ENTRY_OVERHEAD_BYTES: usize = 11;

/// Most bytes of a node whose size is given in elements.
const COUNTED_NODE_BYTES_MAX: usize = 8192;

impl Default for Shape {
    fn default() -> Self {
        Self::Packed(Packed::new())
    }
}

impl List {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nodes; 1 while it is packed.
    pub fn nodes(&self) -> usize {
        match &self.shape {
            Shape::Packed(_) => 1,
            Shape::Nodes(nodes) => nodes.queue.len(),
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.shape {
            Shape::Packed(packed) => packed.len(),
            Shape::Nodes(nodes) => nodes.len,
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The form that the list has now.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match &self.shape {
            Shape::Packed(_) => Encoding::Listpack,
            Shape::Nodes(_) => Encoding::Quicklist,
        }
    }

    /// Bytes allocated behind the value. O(1).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.shape {
            Shape::Packed(packed) => packed.heap_bytes(),
            Shape::Nodes(nodes) => {
                let queue = nodes.queue.capacity() * size_of::<Node>();
                size_of::<Nodes>() + queue + nodes.node_bytes
            }
        }
    }

    /// The packed sequences and large elements that the list is made of, in order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (packed, nodes) = match &self.shape {
            Shape::Packed(packed) => (Some(Piece::Packed(packed)), None),
            Shape::Nodes(nodes) => (None, Some(nodes)),
        };
        let nodes = nodes.into_iter().flat_map(|nodes| nodes.queue.iter());
        packed.into_iter().chain(nodes.map(|node| match &node.content {
            Content::Packed(packed) => Piece::Packed(packed),
            Content::Large(bytes) => Piece::Large(bytes),
        }))
    }

    /// The element with this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        match &self.shape {
            Shape::Packed(packed) => packed.get(index),
            Shape::Nodes(nodes) => {
                let (node, within) = nodes.locate(index)?;
                nodes.queue[node].get(within)
            }
        }
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> {
        self.range(0..usize::MAX)
    }

    /// The elements with these indices in order.
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = Element<'_>> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let (packed, (nodes, skip)) = match &self.shape {
            Shape::Packed(packed) => (Some(packed.iter().skip(start)), (None, 0)),
            Shape::Nodes(nodes) => match nodes.locate(start) {
                Some((node, within)) => (None, (Some(nodes.queue.range(node..)), within)),
                None => (None, (None, 0)),
            },
        };
        let nodes = nodes.into_iter().flatten().flat_map(Node::iter).skip(skip);
        packed.into_iter().flatten().chain(nodes).take(end - start)
    }

    /// The elements with these indices, the last one first.
    pub fn range_rev(&self, range: Range<usize>) -> impl Iterator<Item = Element<'_>> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let (packed, (nodes, skip)) = match &self.shape {
            Shape::Packed(packed) => {
                (Some(packed.iter().rev().skip(packed.len() - end)), (None, 0))
            }
            Shape::Nodes(nodes) => match end.checked_sub(1).and_then(|last| nodes.locate(last)) {
                Some((node, within)) => {
                    let skip = nodes.queue[node].len - within - 1;
                    (None, (Some(nodes.queue.range(..=node).rev()), skip))
                }
                None => (None, (None, 0)),
            },
        };
        let nodes = nodes.into_iter().flatten().flat_map(|node| node.iter().rev()).skip(skip);
        packed.into_iter().flatten().chain(nodes).take(end - start)
    }

    /// Adds an element in front.
    pub fn push_front(&mut self, text: &[u8], limits: &Limits) {
        let size = NodeSize::new(limits);
        if let Some(packed) = self.packed_with_room(text, size) {
            packed.push_front(text);
        } else {
            self.turn_into_nodes().push_front(text, size);
        }
    }

    /// Adds an element at the end.
    pub fn push_back(&mut self, text: &[u8], limits: &Limits) {
        let size = NodeSize::new(limits);
        if let Some(packed) = self.packed_with_room(text, size) {
            packed.push_back(text);
        } else {
            self.turn_into_nodes().push_back(text, size);
        }
    }

    /// Removes the first element.
    pub fn pop_front(&mut self, limits: &Limits) -> Option<Vec<u8>> {
        self.remove(0, limits)
    }

    /// Removes the last element.
    pub fn pop_back(&mut self, limits: &Limits) -> Option<Vec<u8>> {
        self.remove(self.len().checked_sub(1)?, limits)
    }

    /// Replaces the element with this index and returns the old one.
    pub fn set(&mut self, index: usize, text: &[u8], limits: &Limits) -> Option<Vec<u8>> {
        let size = NodeSize::new(limits);
        let old = self.get(index)?.to_vec();
        if let Some(packed) = self.packed_with_room(text, size)
            && let Some(place) = packed.place(index)
        {
            packed.replace(place, text);
            return Some(old);
        }
        let nodes = self.turn_into_nodes();
        if !nodes.replace(index, text, size) {
            nodes.remove(index, size);
            nodes.insert(index, text, size);
        }
        self.settle(size);
        Some(old)
    }

    /// Inserts an element so that it has this index; an index beyond the end means the end.
    pub fn insert(&mut self, index: usize, text: &[u8], limits: &Limits) {
        let size = NodeSize::new(limits);
        if let Some(packed) = self.packed_with_room(text, size) {
            match packed.place(index) {
                Some(place) => packed.insert(place, text),
                None => packed.push_back(text),
            }
        } else {
            self.turn_into_nodes().insert(index, text, size);
        }
    }

    /// Removes the element with this index.
    pub fn remove(&mut self, index: usize, limits: &Limits) -> Option<Vec<u8>> {
        match &mut self.shape {
            Shape::Packed(packed) => {
                let place = packed.place(index)?;
                let removed = packed.at(place).to_vec();
                packed.remove(place, 1);
                Some(removed)
            }
            Shape::Nodes(nodes) => {
                let size = NodeSize::new(limits);
                let removed = nodes.remove(index, size)?;
                self.settle(size);
                Some(removed)
            }
        }
    }

    /// Removes up to `count` elements equal to `text`, from the end if `from_end`. Returns the
    /// indices that they had before, in ascending order.
    pub fn remove_matching(
        &mut self,
        text: &[u8],
        count: usize,
        from_end: bool,
        limits: &Limits,
    ) -> Vec<usize> {
        let len = self.len();
        let mut indices: Vec<usize> = if from_end {
            let all = self.range_rev(0..len).enumerate();
            let matching = all.filter(|(_, element)| *element == *text);
            matching.take(count).map(|(index, _)| len - 1 - index).collect()
        } else {
            let matching = self.iter().enumerate().filter(|(_, element)| *element == *text);
            matching.take(count).map(|(index, _)| index).collect()
        };
        if from_end {
            indices.reverse();
        }
        match &mut self.shape {
            Shape::Packed(packed) => remove_indices(packed, &indices, 0),
            Shape::Nodes(nodes) => nodes.remove_indices(&indices),
        }
        self.settle(NodeSize::new(limits));
        indices
    }

    /// Keeps only the elements with these indices and returns those before and those after them.
    pub fn trim(&mut self, keep: Range<usize>, limits: &Limits) -> (Self, Self) {
        let size = NodeSize::new(limits);
        let end = keep.end.min(self.len());
        let start = keep.start.min(end);
        let mut back = self.split_off(end);
        let kept = self.split_off(start);
        let mut front = core::mem::replace(self, kept);
        for list in [&mut front, &mut *self, &mut back] {
            list.settle(size);
        }
        (front, back)
    }

    /// Puts another list's elements before all others.
    pub fn join_front(&mut self, mut other: Self, limits: &Limits) {
        core::mem::swap(self, &mut other);
        self.join_back(other, limits);
    }

    /// Puts another list's elements after all others.
    pub fn join_back(&mut self, mut other: Self, limits: &Limits) {
        let size = NodeSize::new(limits);
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = other;
            return;
        }
        let (nodes, others) = (self.turn_into_nodes(), other.turn_into_nodes());
        nodes.len += others.len;
        nodes.node_bytes += others.node_bytes;
        let seam = nodes.queue.len() - 1;
        nodes.queue.append(&mut others.queue);
        nodes.merge_with_next(seam, size.bytes_max, size.elements_max);
        self.settle_within(size.bytes_max, size.elements_max);
    }

    /// Appends the elements of a packed sequence: as it is where it may be a node.
    pub fn push_back_packed(&mut self, packed: Packed, limits: &Limits) {
        /// Fewer are better off with their neighbours.
        const FEW: usize = 8;
        let size = NodeSize::new(limits);
        let (len, bytes) = (packed.len(), packed.as_bytes().len());
        let fits = len <= size.elements_max && bytes + ENTRY_OVERHEAD_BYTES <= size.bytes_max;
        if fits && (self.is_empty() || len >= FEW) {
            return self.join_back(Self { shape: Shape::Packed(packed) }, limits);
        }
        for element in packed.iter() {
            element.with(|text| self.push_back(text, limits));
        }
    }

    /// Recounts everything; panics on a contradiction.
    pub fn check(&self) {
        match &self.shape {
            Shape::Packed(packed) => packed.check(),
            Shape::Nodes(nodes) => {
                assert!(!nodes.queue.is_empty(), "a longer list has nodes");
                for node in &nodes.queue {
                    assert!(node.len > 0, "no empty node");
                    assert_eq!(node.len, node.iter().count(), "elements of a node");
                    if let Content::Packed(packed) = &node.content {
                        packed.check();
                    }
                }
                let len = nodes.queue.iter().map(|node| node.len).sum::<usize>();
                let bytes = nodes.queue.iter().map(Node::heap_bytes).sum::<usize>();
                assert_eq!((nodes.len, nodes.node_bytes), (len, bytes), "elements and bytes");
            }
        }
    }

    /// The packed sequence, if the list is one and has room for this element.
    fn packed_with_room(&mut self, text: &[u8], size: NodeSize) -> Option<&mut Packed> {
        match &mut self.shape {
            Shape::Packed(packed) if size.has_room(packed, packed.len(), text) => Some(packed),
            _ => None,
        }
    }

    fn turn_into_nodes(&mut self) -> &mut Nodes {
        if let Shape::Packed(packed) = &mut self.shape {
            let mut nodes = Nodes::default();
            if !packed.is_empty() {
                nodes.add(0, Node::from(core::mem::take(packed)));
            }
            self.shape = Shape::Nodes(Box::new(nodes));
        }
        let Shape::Nodes(nodes) = &mut self.shape else { unreachable!("it was just made so") };
        nodes
    }

    /// After a removal: one node that is at most half full becomes the whole list. Half, so that a
    /// list at the limit does not turn back and forth.
    fn settle(&mut self, size: NodeSize) {
        self.settle_within(size.bytes_max / 2, size.elements_max / 2);
    }

    fn settle_within(&mut self, bytes_max: usize, elements_max: usize) {
        let Shape::Nodes(nodes) = &mut self.shape else { return };
        if nodes.queue.len() > 1 {
            return;
        }
        match nodes.queue.pop_front() {
            None => *self = Self::new(),
            Some(Node { len, content: Content::Packed(packed) })
                if len <= elements_max && packed.as_bytes().len() <= bytes_max =>
            {
                self.shape = Shape::Packed(packed);
            }
            Some(node) => nodes.queue.push_front(node),
        }
    }

    /// Splits off the elements from `index` on.
    fn split_off(&mut self, index: usize) -> Self {
        let shape = match &mut self.shape {
            Shape::Packed(packed) => Shape::Packed(packed.split_off(index)),
            Shape::Nodes(nodes) => Shape::Nodes(Box::new(nodes.split_off(index))),
        };
        Self { shape }
    }
}

/// A part of a list as it lies in memory.
#[derive(Clone, Copy)]
pub enum Piece<'a> {
    /// Several elements.
    Packed(&'a Packed),
    /// One large element.
    Large(&'a [u8]),
}

impl NodeSize {
    fn new(limits: &Limits) -> Self {
        match usize::try_from(limits.list_node_size) {
            Ok(elements) => {
                Self { bytes_max: COUNTED_NODE_BYTES_MAX, elements_max: elements.max(1) }
            }
            Err(_) => {
                let class = limits.list_node_size.clamp(-5, -1).unsigned_abs();
                Self { bytes_max: 2048 << class, elements_max: usize::MAX }
            }
        }
    }

    fn has_room(self, packed: &Packed, len: usize, text: &[u8]) -> bool {
        len < self.elements_max && packed.as_bytes().len() + text.len() <= self.bytes_max
    }

    fn is_large(self, text: &[u8]) -> bool {
        text.len() + ENTRY_OVERHEAD_BYTES > self.bytes_max
    }
}

impl Clone for Nodes {
    fn clone(&self) -> Self {
        let queue = self.queue.clone();
        // A copy keeps no room for growing, so it takes less memory.
        let node_bytes = queue.iter().map(Node::heap_bytes).sum();
        Self { queue, len: self.len, node_bytes }
    }
}

impl Nodes {
    /// The node that holds this index, and the index within it.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for (at, node) in self.queue.iter().enumerate() {
                if left < node.len {
                    return Some((at, left));
                }
                left -= node.len;
            }
        } else {
            let mut behind = self.len - index;
            for (at, node) in self.queue.iter().enumerate().rev() {
                if behind <= node.len {
                    return Some((at, node.len - behind));
                }
                behind -= node.len;
            }
        }
        None
    }

    fn push_front(&mut self, text: &[u8], size: NodeSize) {
        if self.has_room(0, text, size) {
            self.grow(0, text, size, Packed::push_front);
        } else {
            self.close(0);
            self.add(0, Node::new(text, size));
        }
    }

    fn push_back(&mut self, text: &[u8], size: NodeSize) {
        let last = self.queue.len().wrapping_sub(1);
        if self.has_room(last, text, size) {
            self.grow(last, text, size, Packed::push_back);
        } else {
            self.close(last);
            self.add(self.queue.len(), Node::new(text, size));
        }
    }

    fn insert(&mut self, index: usize, text: &[u8], size: NodeSize) {
        let Some((at, within)) = self.locate(index) else { return self.push_back(text, size) };
        if self.has_room(at, text, size) {
            self.edit(at, |packed| insert_at(packed, within, text), 1);
            return;
        }
        if within == 0 && at > 0 && self.has_room(at - 1, text, size) {
            self.edit(at - 1, |packed| packed.push_back(text), 1);
            return;
        }
        if within == 0 {
            return self.add(at, Node::new(text, size));
        }
        let second = self.split_node(at, within);
        self.add(at + 1, second);
        if self.has_room(at, text, size) {
            self.edit(at, |packed| packed.push_back(text), 1);
        } else if self.has_room(at + 1, text, size) {
            self.edit(at + 1, |packed| packed.push_front(text), 1);
        } else {
            self.add(at + 1, Node::new(text, size));
        }
    }

    /// Replaces an element inside its node; false if it does not fit there.
    fn replace(&mut self, index: usize, text: &[u8], size: NodeSize) -> bool {
        let Some((at, within)) = self.locate(index) else { return false };
        if self.queue[at].len == 1 {
            self.take(at);
            self.add(at, Node::new(text, size));
            return true;
        }
        let fits = self.has_room(at, text, size);
        if fits {
            let replace = |packed: &mut Packed| {
                if let Some(place) = packed.place(within) {
                    packed.replace(place, text);
                }
            };
            self.edit(at, replace, 0);
        }
        fits
    }

    fn remove(&mut self, index: usize, size: NodeSize) -> Option<Vec<u8>> {
        let (at, within) = self.locate(index)?;
        if self.queue[at].len == 1 {
            return Some(match self.take(at)?.content {
                Content::Large(bytes) => bytes.into_vec(),
                Content::Packed(packed) => packed.get(0)?.to_vec(),
            });
        }
        let removed = self.queue[at].get(within)?.to_vec();
        self.edit(at, |packed| remove_indices(packed, &[within], 0), -1);
        // Not at the ends: a queue would merge its last two nodes again and again.
        if at > 0 && at + 1 < self.queue.len() {
            self.merge_with_next(at, size.bytes_max / 2, size.elements_max);
            self.merge_with_next(at - 1, size.bytes_max / 2, size.elements_max);
        }
        Some(removed)
    }

    /// Removes the elements with these ascending indices.
    fn remove_indices(&mut self, mut indices: &[usize]) {
        let (mut at, mut first) = (0, 0);
        while !indices.is_empty() && at < self.queue.len() {
            let len = self.queue[at].len;
            let here = indices.partition_point(|index| *index < first + len);
            if here == len {
                self.take(at);
            } else {
                if here > 0 {
                    let here = &indices[..here];
                    let removed = -(here.len() as isize);
                    self.edit(at, |packed| remove_indices(packed, here, first), removed);
                }
                at += 1;
            }
            indices = &indices[here..];
            first += len;
        }
    }

    /// Splits off the elements from `index` on.
    fn split_off(&mut self, index: usize) -> Self {
        let Some((mut at, within)) = self.locate(index) else { return Self::default() };
        if within > 0 {
            let second = self.split_node(at, within);
            self.add(at + 1, second);
            at += 1;
        }
        let queue = self.queue.split_off(at);
        let tail = Self {
            len: queue.iter().map(|node| node.len).sum(),
            node_bytes: queue.iter().map(Node::heap_bytes).sum(),
            queue,
        };
        self.len -= tail.len;
        self.node_bytes -= tail.node_bytes;
        self.queue.shrink_to_fit();
        tail
    }

    /// Takes the elements from `within` on out of a node.
    fn split_node(&mut self, at: usize, within: usize) -> Node {
        let mut second = Packed::new();
        let moved = self.queue[at].len - within;
        self.edit(at, |packed| second = packed.split_off(within), -(moved as isize));
        Node::from(second)
    }

    /// Makes one node of two neighbours if that stays within these limits.
    fn merge_with_next(&mut self, at: usize, bytes_max: usize, elements_max: usize) {
        let (Some(a), Some(b)) = (self.queue.get(at), self.queue.get(at + 1)) else { return };
        let (Content::Packed(first), Content::Packed(second)) = (&a.content, &b.content) else {
            return;
        };
        let bytes = first.as_bytes().len() + second.as_bytes().len();
        if bytes <= bytes_max && a.len + b.len <= elements_max {
            let Some(Node { len, content: Content::Packed(second) }) = self.take(at + 1) else {
                return;
            };
            self.edit(at, |packed| packed.append(&second), len as isize);
        }
    }

    fn has_room(&self, at: usize, text: &[u8], size: NodeSize) -> bool {
        match self.queue.get(at) {
            Some(Node { len, content: Content::Packed(packed) }) => {
                size.has_room(packed, *len, text)
            }
            _ => false,
        }
    }

    /// Changes a packed node, whose number of elements changes by `change`.
    fn edit(&mut self, at: usize, edit: impl FnOnce(&mut Packed), change: isize) {
        let node = &mut self.queue[at];
        let Content::Packed(packed) = &mut node.content else { return };
        self.node_bytes -= packed.heap_bytes();
        edit(packed);
        self.node_bytes += packed.heap_bytes();
        node.len = node.len.saturating_add_signed(change);
        self.len = self.len.saturating_add_signed(change);
    }

    /// Adds an element to a node at an end, which will have more of them.
    fn grow(&mut self, at: usize, text: &[u8], size: NodeSize, push: fn(&mut Packed, &[u8])) {
        let push = |packed: &mut Packed| {
            packed.expect_more(text, size.bytes_max);
            push(packed, text);
        };
        self.edit(at, push, 1);
    }

    /// Gives back what a node at an end kept for growing, when the next one begins.
    fn close(&mut self, at: usize) {
        if at < self.queue.len() {
            self.edit(at, Packed::shrink_to_fit, 0);
        }
    }

    fn add(&mut self, at: usize, node: Node) {
        self.len += node.len;
        self.node_bytes += node.heap_bytes();
        self.queue.insert(at, node);
    }

    fn take(&mut self, at: usize) -> Option<Node> {
        let node = self.queue.remove(at)?;
        self.len -= node.len;
        self.node_bytes -= node.heap_bytes();
        if self.queue.len() * 4 < self.queue.capacity() {
            self.queue.shrink_to(self.queue.len() * 2);
        }
        Some(node)
    }
}

impl From<Packed> for Node {
    fn from(packed: Packed) -> Self {
        Self { len: packed.len(), content: Content::Packed(packed) }
    }
}

impl Node {
    fn new(text: &[u8], size: NodeSize) -> Self {
        if size.is_large(text) {
            return Self { len: 1, content: Content::Large(text.into()) };
        }
        let mut packed = Packed::new();
        packed.push_back(text);
        Self { len: 1, content: Content::Packed(packed) }
    }

    fn heap_bytes(&self) -> usize {
        match &self.content {
            Content::Packed(packed) => packed.heap_bytes(),
            Content::Large(bytes) => bytes.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Element<'_>> {
        match &self.content {
            Content::Packed(packed) => packed.get(index),
            Content::Large(bytes) => (index == 0).then_some(Element::Bytes(bytes)),
        }
    }

    fn iter(&self) -> NodeIter<'_> {
        match &self.content {
            Content::Packed(packed) => NodeIter::Packed(packed.iter()),
            Content::Large(bytes) => NodeIter::Large(Some(bytes)),
        }
    }
}

enum NodeIter<'a> {
    Packed(listpack::Iter<'a>),
    Large(Option<&'a [u8]>),
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Self::Packed(entries) => entries.next(),
            Self::Large(bytes) => bytes.take().map(Element::Bytes),
        }
    }
}

impl DoubleEndedIterator for NodeIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(entries) => entries.next_back(),
            Self::Large(bytes) => bytes.take().map(Element::Bytes),
        }
    }
}

fn insert_at(packed: &mut Packed, index: usize, text: &[u8]) {
    match packed.place(index) {
        Some(place) => packed.insert(place, text),
        None => packed.push_back(text),
    }
}

/// Removes the entries with these ascending indices, which count from `first`.
fn remove_indices(packed: &mut Packed, indices: &[usize], first: usize) {
    // From the end, so that what is still to be removed keeps its index.
    let (mut next, mut at) = (None, usize::MAX);
    for index in indices.iter().rev().map(|index| index - first) {
        let mut place = if at == usize::MAX { packed.place(index) } else { next };
        if at != usize::MAX {
            for _ in index + 1..at {
                place = place.and_then(|place| packed.before(place));
            }
        }
        let Some(found) = place else { return };
        next = packed.before(found);
        packed.remove(found, 1);
        at = index;
    }
}

impl fmt::Debug for List {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec;

    use super::super::random::{below, seeded};
    use super::*;

    fn same(list: &List, model: &[Vec<u8>]) {
        list.check();
        assert_eq!(list.len(), model.len());
        assert!(list.iter().map(Element::to_vec).eq(model.iter().cloned()));
        let backward = list.range_rev(0..usize::MAX).map(Element::to_vec);
        assert!(backward.eq(model.iter().rev().cloned()));
    }

    fn text(random: &mut impl FnMut() -> u64, large: u64) -> Vec<u8> {
        match random() % 12 {
            0 if large > 0 => vec![b'L'; (random() % large) as usize],
            1..4 => format!("{}", random() % 7).into_bytes(),
            _ => format!("element {}", random() % 1_000).into_bytes(),
        }
    }

    #[test]
    fn behaves_like_a_vector() {
        for (seed, list_node_size, large) in
            [(1, -2, 0), (2, -2, 20_000), (3, 4, 100), (4, -1, 3_000), (5, 1, 10)]
        {
            let limits = Limits { list_node_size, ..Limits::default() };
            let mut random = seeded(seed);
            let (mut list, mut model) = (List::new(), Vec::<Vec<u8>>::new());
            for phase in [8, 3, 9, 1] {
                for step in 0..1_200 {
                    let text = text(&mut random, large);
                    let index = below(&mut random, model.len() + 1);
                    let inside = index < model.len();
                    match (random() % 10 < phase, random() % 8) {
                        (true, 0..3) => {
                            list.push_back(&text, &limits);
                            model.push(text);
                        }
                        (true, 3..5) => {
                            list.push_front(&text, &limits);
                            model.insert(0, text);
                        }
                        (true, 5..7) => {
                            list.insert(index, &text, &limits);
                            model.insert(index, text);
                        }
                        (true, _) => {
                            let old = list.set(index, &text, &limits);
                            let expected =
                                model.get_mut(index).map(|it| core::mem::replace(it, text));
                            assert_eq!(old, expected);
                        }
                        (false, 0..2) => assert_eq!(list.pop_back(&limits), model.pop()),
                        (false, 2..4) => {
                            let expected = (!model.is_empty()).then(|| model.remove(0));
                            assert_eq!(list.pop_front(&limits), expected);
                        }
                        (false, _) => {
                            let expected = inside.then(|| model.remove(index));
                            assert_eq!(list.remove(index, &limits), expected);
                        }
                    }
                    let expected = model.get(index).cloned();
                    assert_eq!(list.get(index).map(Element::to_vec), expected);
                    if step % 50 == 0 {
                        same(&list, &model);
                        same(&list.clone(), &model);
                        let end = index + below(&mut random, model.len() + 1 - index);
                        let range = list.range(index..end).map(Element::to_vec);
                        assert!(range.eq(model[index..end].iter().cloned()));
                        let range = list.range_rev(index..end).map(Element::to_vec);
                        assert!(range.eq(model[index..end].iter().rev().cloned()));
                    }
                }
            }
            same(&list.clone(), &model);
            while list.pop_front(&limits).is_some() {}
            assert!(list.is_empty() && list.encoding() == Encoding::Listpack);
        }
    }

    #[test]
    fn removing_equal_elements_and_undoing_it() {
        let limits = Limits { list_node_size: 16, ..Limits::default() };
        let mut random = seeded(6);
        for size in [10, 300] {
            for count in [1, 5, usize::MAX] {
                for from_end in [false, true] {
                    let (mut list, mut model) = (List::new(), Vec::new());
                    for _ in 0..size {
                        let text = text(&mut random, 0);
                        list.push_back(&text, &limits);
                        model.push(text);
                    }
                    let equal: Vec<_> = (0..size).filter(|index| model[*index] == b"3").collect();
                    let kept = equal.len().saturating_sub(count);
                    let expected = if from_end {
                        equal[kept..].to_vec()
                    } else {
                        equal[..equal.len() - kept].to_vec()
                    };
                    let removed = list.remove_matching(b"3", count, from_end, &limits);
                    assert_eq!(removed, expected);
                    let rest = (0..size).filter(|index| !removed.contains(index));
                    same(&list, &rest.map(|index| model[index].clone()).collect::<Vec<_>>());
                    removed.iter().for_each(|index| list.insert(*index, b"3", &limits));
                    same(&list, &model);
                }
            }
        }
        let mut list = List::new();
        (0..1_000).for_each(|_| list.push_back(b"x", &limits));
        assert_eq!(list.remove_matching(b"x", usize::MAX, false, &limits).len(), 1_000);
        assert!(list.is_empty() && list.encoding() == Encoding::Listpack);
    }

    #[test]
    fn trimming_and_joining_again() {
        let mut random = seeded(9);
        for (size, list_node_size) in [(0, -2), (10, -2), (5_000, -2), (200, 5), (200, 1)] {
            let limits = Limits { list_node_size, ..Limits::default() };
            let (mut list, mut model) = (List::new(), Vec::new());
            for _ in 0..size {
                let text = text(&mut random, if size < 1_000 { 9_000 } else { 0 });
                list.push_back(&text, &limits);
                model.push(text);
            }
            let encoding = list.encoding();
            for _ in 0..40 {
                let start = below(&mut random, size + 1);
                let end = start + below(&mut random, size + 1 - start);
                let (front, back) = list.trim(start..end, &limits);
                same(&front, &model[..start]);
                same(&list, &model[start..end]);
                same(&back, &model[end..]);
                list.join_front(front, &limits);
                list.join_back(back, &limits);
                same(&list, &model);
                assert_eq!(list.encoding(), encoding);
            }
        }
    }

    #[test]
    fn forms_change_at_the_limits_and_not_back_and_forth() {
        let limits = Limits::default();
        let mut list = List::new();
        let mut pushed = 0;
        while list.encoding() == Encoding::Listpack {
            list.push_back(&[b'x'; 100], &limits);
            pushed += 1;
        }
        // An entry of 100 bytes takes 103, and a node 8192.
        assert_eq!(pushed, 80);
        list.pop_back(&limits);
        assert_eq!(list.encoding(), Encoding::Quicklist);
        while list.encoding() == Encoding::Quicklist {
            list.pop_back(&limits);
        }
        assert_eq!(list.len(), 39);
        list.push_back(&[b'L'; 8_000], &limits);
        assert_eq!(list.encoding(), Encoding::Quicklist);

        let limits = Limits { list_node_size: 3, ..limits };
        let mut list = List::new();
        (0..3).for_each(|_| list.push_front(b"x", &limits));
        assert_eq!(list.encoding(), Encoding::Listpack);
        list.push_front(b"x", &limits);
        assert_eq!(list.encoding(), Encoding::Quicklist);
    }

    #[test]
    fn a_large_element_is_stored_once_and_alone() {
        let limits = Limits::default();
        let mut list = List::new();
        list.push_back(b"a", &limits);
        list.push_back(&vec![b'L'; 1 << 20], &limits);
        list.push_back(b"b", &limits);
        list.check();
        assert!((1 << 20..(1 << 20) + 1_000).contains(&list.heap_bytes()));
        assert_eq!(list.get(1).map(Element::len), Some(1 << 20));
        assert_eq!(list.set(1, b"small", &limits).map(|old| old.len()), Some(1 << 20));
        assert!(list.heap_bytes() < 1_000);
        assert!(list.iter().map(Element::to_vec).eq(["a", "small", "b"].map(Vec::from)));
    }

    #[test]
    fn a_queue_keeps_no_memory_of_what_has_passed() {
        let limits = Limits::default();
        let mut list = List::new();
        for number in 0..200_000 {
            list.push_back(format!("job {number}").as_bytes(), &limits);
            if number >= 1_000 {
                let expected = format!("job {}", number - 1_000).into_bytes();
                assert_eq!(list.pop_front(&limits), Some(expected));
            }
        }
        list.check();
        assert!(list.heap_bytes() < 40_000, "{}", list.heap_bytes());
    }
}
