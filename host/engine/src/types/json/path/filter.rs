//! Filters of paths: what must hold of a value for it to be selected.
//!
//! A comparison holds only between comparable things, except `!=`, which holds whenever `==` does
//! not. A path in a filter stands for the value that it leads to if that is exactly one.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::ControlFlow;

use regex::bytes::{Regex, RegexBuilder};

use super::Selector;
use super::search::{Search, TooMuch};
use crate::types::json::value::Json;

/// What must hold of a value.
#[derive(Clone, Debug)]
pub enum Filter {
    /// There is such a value.
    Exists(Term),
    /// Two values compare so.
    Compare(Comparison),
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
}

/// How two values must compare.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What stands on the left.
    pub left: Term,
    /// How it must compare.
    pub operator: Operator,
    /// What stands on the right.
    pub right: Term,
    /// The number of its pattern, if it has one.
    pub(super) pattern: usize,
}

/// A value in a filter.
#[derive(Clone, Debug)]
pub enum Term {
    /// This one.
    Literal(Json),
    /// What these steps lead to from the value in question.
    Current(Vec<Selector>),
    /// What these steps lead to from the root; with the number of this term.
    Root(usize, Vec<Selector>),
}

/// How values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Below,
    /// `<=`
    NotAbove,
    /// `==`
    Equal,
    /// `!=`
    Different,
    /// `>=`
    NotBelow,
    /// `>`
    Above,
    /// The right side, as a pattern, is found in the left side.
    Matches,
}

/// How long a pattern may be, and how large it may become in memory.
const PATTERN_TEXT_MAX: usize = 1 << 10;
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// What reading a pattern costs, in visits of values.
const PATTERN_VISITS: usize = 100_000;

/// A pattern that was read; nothing if it is none.
pub(super) type Pattern = Option<Regex>;

impl<'v> Search<'v> {
    /// Whether a filter holds of a value.
    pub(super) fn holds(&mut self, filter: &Filter, value: &'v Json) -> Result<bool, TooMuch> {
        match filter {
            Filter::Exists(term) => Ok(self.value_of(term, value)?.is_some()),
            Filter::Compare(comparison) => self.compare(comparison, value),
            Filter::All(filters) => {
                for filter in filters {
                    if !self.holds(filter, value)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Filter::Any(filters) => {
                for filter in filters {
                    if self.holds(filter, value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn compare(&mut self, comparison: &Comparison, value: &'v Json) -> Result<bool, TooMuch> {
        let left = self.value_of(&comparison.left, value)?.map(Given::as_json);
        let right = self.value_of(&comparison.right, value)?;
        if comparison.operator == Operator::Matches {
            let pattern = right.and_then(|right| right.as_json().as_text().cloned());
            let text = left.and_then(Json::as_text).cloned();
            return match (text, pattern) {
                (Some(text), Some(pattern)) => {
                    self.matches(comparison.pattern, pattern.as_bytes(), text.as_bytes())
                }
                _ => Ok(false),
            };
        }
        let right = right.map(Given::as_json);
        self.visit(left.zip(right).map_or(1, |(left, right)| cost(left, right)))?;
        Ok(compares(left, comparison.operator, right))
    }

    /// What a term stands for.
    fn value_of<'t>(
        &mut self,
        term: &'t Term,
        value: &'v Json,
    ) -> Result<Option<Given<'t, 'v>>, TooMuch> {
        match term {
            Term::Literal(literal) => Ok(Some(Given::Literal(literal))),
            Term::Current(steps) => Ok(self.only(steps, value)?.map(Given::Found)),
            Term::Root(number, steps) => {
                if let Some(Some(known)) = self.roots.get(*number) {
                    return Ok(known.map(Given::Found));
                }
                let found = self.only(steps, self.root)?;
                self.roots.resize(self.roots.len().max(number + 1), None);
                if let Some(place) = self.roots.get_mut(*number) {
                    *place = Some(found);
                }
                Ok(found.map(Given::Found))
            }
        }
    }

    /// The value that steps lead to, if it is the only one.
    fn only(&mut self, steps: &[Selector], from: &'v Json) -> Result<Option<&'v Json>, TooMuch> {
        let (mut found, mut count) = (None, 0);
        self.aside(steps, from, &mut |value, _| {
            found = Some(value);
            count += 1;
            if count == 1 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found.filter(|_| count == 1))
    }

    /// Whether the pattern of this number, which may be another each time, is found in a text.
    fn matches(&mut self, number: usize, pattern: &[u8], text: &[u8]) -> Result<bool, TooMuch> {
        self.patterns.resize_with(self.patterns.len().max(number + 1), || None);
        let is_known =
            matches!(self.patterns.get(number), Some(Some((known, _))) if **known == *pattern);
        if !is_known {
            self.visit(PATTERN_VISITS)?;
            let short = Some(pattern).filter(|pattern| pattern.len() <= PATTERN_TEXT_MAX);
            let text = short.and_then(|pattern| core::str::from_utf8(pattern).ok());
            let read = text.and_then(|pattern| {
                RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().ok()
            });
            if let Some(place) = self.patterns.get_mut(number) {
                *place = Some((pattern.into(), read));
            }
        }
        // Each byte of a text may meet each part of a pattern.
        self.visit((text.len() / 16).saturating_mul(1 + pattern.len() / 4))?;
        let Some(Some((_, Some(read)))) = self.patterns.get(number) else { return Ok(false) };
        Ok(read.is_match(text))
    }
}

/// What a term stands for: something of the path or of the document.
#[derive(Clone, Copy)]
enum Given<'t, 'v> {
    Literal(&'t Json),
    Found(&'v Json),
}

impl<'g, 't: 'g, 'v: 'g> Given<'t, 'v> {
    fn as_json(self) -> &'g Json {
        match self {
            Self::Literal(value) => value,
            Self::Found(value) => value,
        }
    }
}

/// What comparing two values costs, in visits. Only of two containers anybody has to look inside.
fn cost(left: &Json, right: &Json) -> usize {
    let is_container = |value: &Json| matches!(value, Json::Array(_) | Json::Object(_));
    match (left, right) {
        (Json::Text(left), Json::Text(right)) => 1 + left.len().min(right.len()) / 64,
        _ if is_container(left) && is_container(right) => left.extent() + right.extent(),
        _ => 1,
    }
}

fn compares(left: Option<&Json>, operator: Operator, right: Option<&Json>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return operator == Operator::Different };
    let order = || order(left, right);
    match operator {
        Operator::Equal => left.is_equal(right),
        Operator::Different => !left.is_equal(right),
        Operator::Below => order() == Some(Ordering::Less),
        Operator::Above => order() == Some(Ordering::Greater),
        Operator::NotAbove => order().is_some_and(Ordering::is_le),
        Operator::NotBelow => order().is_some_and(Ordering::is_ge),
        Operator::Matches => false,
    }
}

/// The order of two scalars of one kind.
fn order(left: &Json, right: &Json) -> Option<Ordering> {
    match (left, right) {
        (Json::Null, Json::Null) => Some(Ordering::Equal),
        (Json::Bool(left), Json::Bool(right)) => Some(left.cmp(right)),
        (Json::Text(left), Json::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        _ => left.as_number()?.partial_cmp(&right.as_number()?),
    }
}
