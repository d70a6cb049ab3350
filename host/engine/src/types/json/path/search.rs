//! Evaluates a path: walks a document along the steps, without copying anything.
//!
//! A step leads down, so the walk recurses no deeper than documents nest; where a step stays at a
//! value (a filter on a scalar), the walk goes on in a loop. What a term that begins at the root
//! leads to is looked up once per evaluation.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::filter::Pattern;
use super::{Numbered, Selector, Slice};
use crate::types::json::value::Json;

/// How many values an evaluation may look at.
pub const VISITS_MAX: usize = 1 << 26;

/// How many values several evaluations may look at together.
const VISITS_TOGETHER_MAX: usize = 1 << 28;

/// What a value that is shown counts, with each that lies within it.
const HIT_VISITS: usize = 4;

/// A path would have looked at more values than [`VISITS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch;

/// What several evaluations for one command may cost together.
#[derive(Debug)]
pub struct Effort {
    pub(super) visits_left: usize,
}

impl Effort {
    /// Nothing was done yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { visits_left: VISITS_TOGETHER_MAX }
    }

    /// Adds that somebody goes over a value as a whole.
    pub fn add(&mut self, value: &Json) -> Result<(), TooMuch> {
        self.visits_left = self.visits_left.checked_sub(value.extent()).ok_or(TooMuch)?;
        Ok(())
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a walk ended early.
pub(super) enum Stop {
    /// Whoever is shown the values has enough.
    Enough,
    TooMuch,
}

impl From<TooMuch> for Stop {
    fn from(_: TooMuch) -> Self {
        Self::TooMuch
    }
}

/// Whom values are shown, with the positions that lead to them.
type See<'s, 'v> = &'s mut dyn FnMut(&'v Json, &[usize]) -> ControlFlow<()>;

/// One evaluation.
pub(super) struct Search<'v> {
    pub(super) root: &'v Json,
    visits_left: usize,
    /// Values that may still be shown.
    hits_left: usize,
    /// The position on each level down to where the walk is.
    trail: Vec<usize>,
    /// What terms that begin at the root lead to, by their numbers.
    pub(super) roots: Vec<Option<Option<&'v Json>>>,
    /// Patterns that were read, by the numbers of their comparisons.
    pub(super) patterns: Vec<Option<(Box<[u8]>, Pattern)>>,
}

impl<'v> Search<'v> {
    pub(super) fn new(
        root: &'v Json,
        numbered: Numbered,
        (visits_max, hits_max): (usize, usize),
    ) -> Self {
        Self {
            root,
            visits_left: visits_max,
            hits_left: hits_max,
            trail: Vec::new(),
            roots: Vec::with_capacity(numbered.roots),
            patterns: Vec::with_capacity(numbered.patterns),
        }
    }

    /// Walks from the root. How many visits are left.
    pub(super) fn run(mut self, steps: &[Selector], see: See<'_, 'v>) -> Result<usize, TooMuch> {
        // Whoever is shown a value may go over all of it, so that counts, too.
        let (mut visits, mut hits) = (self.visits_left, self.hits_left);
        let (mut is_first, mut is_too_much) = (true, false);
        let mut show = |value: &'v Json, trail: &[usize]| {
            // One value alone is what its commands are for, and most look at no more than its top.
            let cost = if is_first { 1 } else { HIT_VISITS * value.extent() };
            is_first = false;
            let left = visits.checked_sub(cost).zip(hits.checked_sub(1));
            let Some(left) = left else {
                is_too_much = true;
                return ControlFlow::Break(());
            };
            (visits, hits) = left;
            see(value, trail)
        };
        match self.walk(steps, self.root, &mut show) {
            _ if is_too_much => Err(TooMuch),
            Err(Stop::TooMuch) => Err(TooMuch),
            Ok(()) | Err(Stop::Enough) => Ok(visits.min(self.visits_left)),
        }
    }

    /// Walks from a value for a filter; the trail stays as it is.
    pub(super) fn aside(
        &mut self,
        steps: &[Selector],
        from: &'v Json,
        see: See<'_, 'v>,
    ) -> Result<(), TooMuch> {
        let length = self.trail.len();
        let ended = self.walk(steps, from, see);
        self.trail.truncate(length);
        match ended {
            Err(Stop::TooMuch) => Err(TooMuch),
            Ok(()) | Err(Stop::Enough) => Ok(()),
        }
    }

    /// Counts values that are looked at.
    #[inline]
    pub(super) fn visit(&mut self, values: usize) -> Result<(), TooMuch> {
        self.visits_left = self.visits_left.checked_sub(values).ok_or(TooMuch)?;
        Ok(())
    }

    fn walk(
        &mut self,
        mut steps: &[Selector],
        value: &'v Json,
        see: See<'_, 'v>,
    ) -> Result<(), Stop> {
        loop {
            self.visit(1)?;
            let Some((step, rest)) = steps.split_first() else {
                return match see(value, &self.trail) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(Stop::Enough),
                };
            };
            let is_scalar = !matches!(value, Json::Array(_) | Json::Object(_));
            match step {
                Selector::Descend if is_scalar => steps = rest,
                Selector::Filter(filter) if is_scalar => {
                    if !self.holds(filter, value)? {
                        return Ok(());
                    }
                    steps = rest;
                }
                _ if is_scalar => return Ok(()),
                Selector::Descend => return self.descend(rest, value, see),
                _ => return self.children(step, rest, value, see),
            }
        }
    }

    /// Walks on from the value and from all within it.
    fn descend(
        &mut self,
        rest: &[Selector],
        value: &'v Json,
        see: See<'_, 'v>,
    ) -> Result<(), Stop> {
        self.walk(rest, value, see)?;
        for (at, child) in value.children().enumerate() {
            self.trail.push(at);
            if matches!(child, Json::Array(_) | Json::Object(_)) {
                self.descend(rest, child, see)?;
            } else {
                self.walk(rest, child, see)?;
            }
            self.trail.pop();
        }
        Ok(())
    }

    /// Walks on from the children that a step selects.
    fn children(
        &mut self,
        step: &Selector,
        rest: &[Selector],
        value: &'v Json,
        see: See<'_, 'v>,
    ) -> Result<(), Stop> {
        let length = value.as_array().map(<[Json]>::len);
        match step {
            Selector::Name(name) => self.enter_name(name.as_bytes(), rest, value, see),
            Selector::Names(names) => {
                names.iter().try_for_each(|name| self.enter_name(name.as_bytes(), rest, value, see))
            }
            Selector::Index(index) => match length {
                Some(length) => self.enter(from_end(*index, length), rest, value, see),
                None => Ok(()),
            },
            Selector::Indices(indices) => match length {
                Some(length) => indices
                    .iter()
                    .try_for_each(|index| self.enter(from_end(*index, length), rest, value, see)),
                None => Ok(()),
            },
            Selector::Slice(slice) => length.map_or(Ok(()), |length| {
                positions(*slice, length).try_for_each(|at| self.enter(at, rest, value, see))
            }),
            Selector::All => {
                for (at, child) in value.children().enumerate() {
                    self.go_down(at, child, rest, see)?;
                }
                Ok(())
            }
            Selector::Filter(filter) => {
                for (at, child) in value.children().enumerate() {
                    self.visit(1)?;
                    if self.holds(filter, child)? {
                        self.go_down(at, child, rest, see)?;
                    }
                }
                Ok(())
            }
            // It does not lead down by itself.
            Selector::Descend => Ok(()),
        }
    }

    fn enter_name(
        &mut self,
        name: &[u8],
        rest: &[Selector],
        value: &'v Json,
        see: See<'_, 'v>,
    ) -> Result<(), Stop> {
        self.visit(1)?;
        match value.as_object().and_then(|object| object.position(name)) {
            Some(at) => self.enter(at, rest, value, see),
            None => Ok(()),
        }
    }

    fn enter(
        &mut self,
        at: usize,
        rest: &[Selector],
        value: &'v Json,
        see: See<'_, 'v>,
    ) -> Result<(), Stop> {
        self.visit(1)?;
        match value.child(at) {
            Some(child) => self.go_down(at, child, rest, see),
            None => Ok(()),
        }
    }

    #[inline]
    fn go_down(
        &mut self,
        at: usize,
        child: &'v Json,
        rest: &[Selector],
        see: See<'_, 'v>,
    ) -> Result<(), Stop> {
        self.trail.push(at);
        self.walk(rest, child, see)?;
        self.trail.pop();
        Ok(())
    }
}

/// An index as a position: from the end if it is negative, at most the end.
fn from_end(index: i64, length: usize) -> usize {
    match usize::try_from(index) {
        Ok(at) => at.min(length),
        Err(_) => {
            let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
            length.saturating_sub(back)
        }
    }
}

/// The positions that a slice selects.
fn positions(slice: Slice, length: usize) -> impl Iterator<Item = usize> {
    let start = slice.start.map_or(0, |start| from_end(start, length));
    let end = slice.end.map_or(length, |end| from_end(end, length));
    (start..end).step_by(slice.step.max(1))
}
