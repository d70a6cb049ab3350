//! Which documents of a part a plan finds: set algebra, and where it matters a look at where words
//! stand.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::RefCell;

use roaring::RoaringBitmap;

use super::document::Document;
use super::numbers::NumericRange;
use super::part::Part;
use super::patience::Patience;
use super::planning::{Closeness, Plan, Step, StepKind};
use super::query::{ALL_FIELDS, Circle};
use crate::types::geo_shape::{Form, Shape};
use crate::types::geohash::Position;

/// In a document with more places of one thing it is close to others anyway.
const POSITIONS_MAX: usize = 1 << 20;
/// So much work it is to add what one of several terms finds, in documents.
const STEP_WORK: u32 = 16;

/// A part and what is looked for in it.
pub struct Matching<'a> {
    /// What is looked for.
    pub plan: &'a Plan,
    /// The part.
    pub part: &'a Part,
    /// Which shard it is in.
    pub shard: usize,
    /// For how long.
    pub patience: &'a Patience<'a>,
    /// Where it is noted how much each step finds, if somebody wants to know.
    pub tally: Option<&'a Tally>,
}

/// How much the steps of a plan find, and how long that takes.
#[derive(Debug, Default)]
pub struct Tally {
    /// By where the steps are.
    steps: RefCell<BTreeMap<usize, Figures>>,
}

/// Of one step, in all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many documents it found.
    pub found: u64,
    /// How long it took, with what lies below it.
    pub took_us: u64,
}

impl Tally {
    fn note(&self, step: &Step, found: u64, took_us: u64) {
        let mut steps = self.steps.borrow_mut();
        let figures = steps.entry(core::ptr::from_ref(step).addr()).or_default();
        figures.found += found;
        figures.took_us += took_us;
    }

    /// The figures of a step of the plan that was matched.
    pub fn figures(&self, step: &Step) -> Figures {
        let steps = self.steps.borrow();
        steps.get(&core::ptr::from_ref(step).addr()).copied().unwrap_or_default()
    }
}

impl Matching<'_> {
    /// The documents that the plan finds.
    pub fn documents(&self) -> RoaringBitmap {
        self.found(&self.plan.root)
    }

    /// What a step finds. When the time is over it may be anything: nothing is made of it.
    fn found(&self, step: &Step) -> RoaringBitmap {
        let Some(tally) = self.tally else { return self.found_at_once(step) };
        let from_us = self.patience.now_us();
        let found = self.found_at_once(step);
        tally.note(step, found.len(), self.patience.now_us().saturating_sub(from_us));
        found
    }

    fn found_at_once(&self, step: &Step) -> RoaringBitmap {
        if self.patience.look() {
            return RoaringBitmap::new();
        }
        match &step.kind {
            StepKind::Nothing => RoaringBitmap::new(),
            StepKind::All => self.part.live().clone(),
            StepKind::Term(number) => self.with_term(*number, step),
            StepKind::And(steps, closeness) => self.in_all(steps, *closeness),
            StepKind::Or(steps) => steps.iter().fold(RoaringBitmap::new(), |mut set, step| {
                let whole = self.whole_term(step).filter(|_| self.tally.is_none());
                match whole.filter(|_| !self.patience.is_over_after(STEP_WORK)) {
                    Some(postings) => postings.add_to(&mut set),
                    None => set |= self.found(step),
                }
                set
            }),
            StepKind::Not(step) => self.part.live() - self.found(step),
            StepKind::Optional(_) => self.part.live().clone(),
            StepKind::Numeric(field, range) => self.in_range(*field, range),
            StepKind::Geo(field, circle) => self.close_to(*field, circle),
            StepKind::Missing(field) => self.part.missing(*field).cloned().unwrap_or_default(),
        }
    }

    /// The documents of a term, if it does not matter in which field it is.
    fn whole_term(&self, step: &Step) -> Option<&super::postings::Postings> {
        let StepKind::Term(number) = step.kind else { return None };
        let term = self.plan.terms.get(number)?;
        let (id, tag_of) = (term.id(self.shard), term.tag_of);
        match (id, tag_of) {
            (None, _) => Some(&super::postings::Postings::Empty),
            (Some(id), Some(field)) => Some(self.part.tags(field)?.documents(id)),
            (Some(id), None) if step.fields == ALL_FIELDS => Some(self.part.words().documents(id)),
            _ => None,
        }
    }

    fn with_term(&self, number: usize, step: &Step) -> RoaringBitmap {
        if let Some(postings) = self.whole_term(step) {
            return postings.to_set();
        }
        let Some(id) = self.plan.terms.get(number).and_then(|term| term.id(self.shard)) else {
            return RoaringBitmap::new();
        };
        let mut set = self.part.words().documents(id).to_set();
        let is_there = |document: &Document| {
            document.term(id).is_some_and(|term| term.fields & step.fields != 0)
        };
        self.retain(&mut set, is_there);
        set
    }

    /// Keeps documents of which this is true, as far as there is time to ask.
    fn retain(&self, set: &mut RoaringBitmap, is_kept: impl Fn(&Document) -> bool) {
        let kept: RoaringBitmap = set
            .iter()
            .take_while(|_| !self.patience.is_over())
            .filter(|id| self.part.document(*id).is_some_and(&is_kept))
            .collect();
        *set = kept;
    }

    fn in_all(&self, steps: &[Step], closeness: Closeness) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        for step in steps {
            let set = match &step.kind {
                StepKind::Optional(_) => continue,
                StepKind::Not(_) => continue,
                _ => self.found(step),
            };
            found = Some(match found {
                None => set,
                Some(found) => found & set,
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return RoaringBitmap::new();
            }
        }
        let mut found = found.unwrap_or_else(|| self.part.live().clone());
        for step in steps {
            if let StepKind::Not(inner) = &step.kind {
                found -= self.found(inner);
            }
        }
        if closeness.matters() && steps.len() > 1 && !self.part.schema().keeping.no_offsets {
            self.retain(&mut found, |document| self.are_close(steps, document, closeness));
        }
        found
    }

    /// Whether a document has what the steps find close enough together, as far as that is kept.
    pub fn is_close(&self, steps: &[Step], document: &Document, closeness: Closeness) -> bool {
        self.part.schema().keeping.no_offsets || self.are_close(steps, document, closeness)
    }

    /// Whether what the steps find in a document is close enough together.
    fn are_close(&self, steps: &[Step], document: &Document, closeness: Closeness) -> bool {
        let mut lists = Vec::new();
        for step in steps {
            let mut list = Vec::new();
            self.positions(step, document, &mut list);
            if !list.is_empty() {
                list.sort_unstable();
                list.dedup();
                lists.push(list);
            }
        }
        if lists.len() < 2 {
            return true;
        }
        let work = lists.len().try_into().unwrap_or(u32::MAX);
        let is_over = &|| self.patience.is_over_after(work);
        if closeness.in_order {
            are_close_in_order(&lists, closeness.slop, is_over)
        } else {
            are_close(&lists, closeness.slop, is_over)
        }
    }

    /// Appends where a document has what a step finds, as far as there is time, and not too often.
    pub fn positions(&self, step: &Step, document: &Document, out: &mut Vec<u32>) {
        if out.len() >= POSITIONS_MAX || self.patience.is_over() {
            return;
        }
        match &step.kind {
            StepKind::Term(number) => {
                let Some(planned) = self.plan.terms.get(*number) else { return };
                let Some(id) = planned.id(self.shard).filter(|_| planned.tag_of.is_none()) else {
                    return;
                };
                if let Some(term) = document.term(id)
                    && term.fields & step.fields != 0
                {
                    out.extend(document.positions(term));
                }
            }
            StepKind::And(steps, _) | StepKind::Or(steps) => {
                steps.iter().for_each(|step| self.positions(step, document, out));
            }
            StepKind::Optional(step) => self.positions(step, document, out),
            _ => {}
        }
    }

    fn in_range(&self, field: usize, range: &NumericRange) -> RoaringBitmap {
        self.part.numbers(field).map(|numbers| numbers.within(range)).unwrap_or_default()
    }

    fn close_to(&self, field: usize, circle: &Circle) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        let (Some(numbers), Some(shape)) = (self.part.numbers(field), shape(circle)) else {
            return found;
        };
        for cell in shape.cells() {
            let (from, below) = cell.scores();
            numbers.each_between(from, below, &mut |score, document| {
                if shape.rough_distance_inside(Position::of_score(score)).is_some() {
                    found.insert(document);
                }
            });
        }
        found
    }
}

/// A circle that is on Earth.
fn shape(circle: &Circle) -> Option<Shape> {
    let centre = Position::new(circle.longitude, circle.latitude)?;
    let form = Form::Circle { radius: circle.radius };
    Some(Shape { centre, form, unit_m: circle.unit_m })
}

/// Whether one of these positions lies in a circle.
pub fn contains_one(positions: &[f64], circle: &Circle) -> bool {
    shape(circle).is_some_and(|shape| {
        let distance = |score: &f64| shape.rough_distance_inside(Position::of_score(*score));
        positions.iter().any(|score| distance(score).is_some())
    })
}

/// Whether one place of each list comes after one of the list before, with at most so many others in
/// between all together.
fn are_close_in_order(lists: &[Vec<u32>], slop: Option<u32>, is_over: &dyn Fn() -> bool) -> bool {
    let Some((first, others)) = lists.split_first() else { return true };
    let mut cursors = alloc::vec![0; others.len()];
    'starts: for start in first {
        if is_over() {
            break;
        }
        let mut last = *start;
        for (list, cursor) in others.iter().zip(&mut cursors) {
            // Starts only grow, so what lies before one lies before all that follow.
            while list.get(*cursor).is_some_and(|place| *place <= last) {
                *cursor += 1;
            }
            match list.get(*cursor) {
                Some(place) => last = *place,
                None => break 'starts,
            }
        }
        let between = last - start - others.len() as u32;
        if slop.is_none_or(|slop| between <= slop) {
            return true;
        }
    }
    false
}

/// Whether one place of each list lie together, in any order, with at most so many others in between.
fn are_close(lists: &[Vec<u32>], slop: Option<u32>, is_over: &dyn Fn() -> bool) -> bool {
    let Some(slop) = slop else { return true };
    let mut cursors = alloc::vec![0; lists.len()];
    loop {
        if is_over() {
            return false;
        }
        let places = lists.iter().zip(&cursors).map(|(list, at)| list.get(*at).copied());
        let Some(places): Option<Vec<u32>> = places.collect() else { return false };
        let lowest = places.iter().enumerate().min_by_key(|(_, place)| **place);
        let (Some((first, low)), Some(high)) = (lowest, places.iter().max()) else { return true };
        let others = lists.len() as u32 - 1;
        if low != high && (high - low).saturating_sub(others) <= slop {
            return true;
        }
        cursors[first] += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn words_are_close_if_few_others_stand_between_them() {
        let lists = [vec![1, 20], vec![5, 22], vec![2, 23]];
        assert!(are_close_in_order(&lists, Some(1), &|| false));
        assert!(!are_close_in_order(&lists, Some(0), &|| false));
        assert!(are_close_in_order(&lists, None, &|| false));
        assert!(!are_close_in_order(&[vec![9], vec![3]], None, &|| false));
        assert!(are_close(&lists, Some(1), &|| false));
        assert!(!are_close(&lists, Some(0), &|| false));
        assert!(are_close(&[vec![9], vec![3]], Some(5), &|| false));
        assert!(!are_close(&[vec![9], vec![3]], Some(4), &|| false));
        // One place is not two.
        assert!(!are_close(&[vec![4], vec![4]], Some(9), &|| false));
    }
}
