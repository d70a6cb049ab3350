//! Changes of lists.

use alloc::vec::Vec;
use core::ops::Range;

use super::Edit;
use crate::keyspace::undo::EditInverse;
use crate::settings::Rules;
use crate::types::element::Element;
use crate::types::list::List;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEnd {
    /// Index 0: the left one.
    Head,
    /// The last index: the right one.
    Tail,
}

impl Edit<'_, List> {
    /// Adds an element at an end.
    pub fn push(&mut self, end: ListEnd, element: &[u8]) {
        push(self.value, end, element, self.rules);
        self.changed(|| EditInverse::ListPop(end));
    }

    /// Removes the element at an end.
    pub fn pop(&mut self, end: ListEnd) -> Option<Vec<u8>> {
        let element = pop(self.value, end, self.rules)?;
        self.changed(|| EditInverse::ListPush(end, element.as_slice().into()));
        Some(element)
    }

    /// Removes up to `count` elements at an end, shown one after the other. Many go node by node.
    pub fn pop_many(&mut self, end: ListEnd, count: usize, mut show: impl FnMut(Element<'_>)) {
        /// From this many on, taking nodes apart pays.
        const MANY: usize = 64;
        let len = self.len();
        let count = count.min(len);
        if count < MANY {
            let popped = (0..count).map_while(|_| self.pop(end));
            return popped.for_each(|element| show(Element::Bytes(&element)));
        }
        match end {
            ListEnd::Head => {
                self.value.range(0..count).for_each(&mut show);
                self.keep(count..len);
            }
            ListEnd::Tail => {
                self.value.range_rev(len - count..len).for_each(&mut show);
                self.keep(0..len - count);
            }
        }
    }

    /// Replaces the element with this index.
    pub fn set(&mut self, index: usize, element: &[u8]) {
        if let Some(old) = self.value.set(index, element, &self.rules.settings.limits) {
            self.changed(|| EditInverse::ListSet(index, old.into_boxed_slice()));
        }
    }

    /// Inserts an element so that it has this index.
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        self.value.insert(index, element, &self.rules.settings.limits);
        self.changed(|| EditInverse::ListRemove(index));
    }

    /// Removes up to `count` elements equal to `element`, counted from an end. How many they were.
    pub fn remove_equal(&mut self, element: &[u8], count: usize, from: ListEnd) -> usize {
        let from_tail = from == ListEnd::Tail;
        let limits = &self.rules.settings.limits;
        let indices = self.value.remove_matching(element, count, from_tail, limits);
        let removed = indices.len();
        if removed > 0 {
            self.changed_by(removed, || EditInverse::ListInsert(indices, element.into()));
        }
        removed
    }

    /// Removes everything but the elements with these indices.
    pub fn keep(&mut self, kept: Range<usize>) {
        let len = self.len();
        let (head, tail) = self.value.trim(kept, &self.rules.settings.limits);
        let removed = len - self.len();
        self.touch();
        if removed > 0 {
            self.changed_by(removed, || EditInverse::ListJoin(head, tail));
        }
    }
}

fn push(list: &mut List, end: ListEnd, element: &[u8], rules: &Rules) {
    match end {
        ListEnd::Head => list.push_front(element, &rules.settings.limits),
        ListEnd::Tail => list.push_back(element, &rules.settings.limits),
    }
}

fn pop(list: &mut List, end: ListEnd, rules: &Rules) -> Option<Vec<u8>> {
    match end {
        ListEnd::Head => list.pop_front(&rules.settings.limits),
        ListEnd::Tail => list.pop_back(&rules.settings.limits),
    }
}

pub(super) fn undo(list: &mut List, inverse: EditInverse, rules: &Rules) {
    let limits = &rules.settings.limits;
    match inverse {
        EditInverse::ListPush(end, element) => push(list, end, &element, rules),
        EditInverse::ListPop(end) => drop(pop(list, end, rules)),
        EditInverse::ListSet(index, element) => drop(list.set(index, &element, limits)),
        EditInverse::ListRemove(index) => drop(list.remove(index, limits)),
        EditInverse::ListInsert(indices, element) => {
            indices.into_iter().for_each(|index| list.insert(index, &element, limits));
        }
        EditInverse::ListJoin(head, tail) => {
            list.join_front(head, limits);
            list.join_back(tail, limits);
        }
        _ => debug_assert!(false, "an inverse of another type's change"),
    }
}
