//! Paths into documents: what JSONPath of RedisJSON can say, and the older dotted paths.
//!
//! [`Path::parse`] reads one (`parser.rs`), [`Path::find`] and its relatives evaluate it
//! (`search.rs`; filters in `filter.rs`). A path is a plain value that borrows nothing. Its own
//! nesting is bounded, and so is the work of an evaluation ([`VISITS_MAX`]): a path of a few
//! bytes could otherwise look at more places than anybody can wait for.

mod filter;
mod parser;
mod search;

pub use filter::Filter;
pub use search::{Effort, TooMuch, VISITS_MAX};

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::text::Text;
use super::value::Json;
use parser::Parser;
use search::Search;

/// Where a value lies: the position among its siblings on each level, from the root down.
pub type Location = Box<[usize]>;

/// How filters may lie within filters.
pub const FILTERS_MAX: usize = 8;
/// How parentheses may lie within each other in a filter.
pub const PARENTHESES_MAX: usize = 64;

/// A path.
#[derive(Clone, Debug)]
pub struct Path {
    selectors: Vec<Selector>,
    is_legacy: bool,
    /// How many terms of its filters begin at the root, and how many have a pattern.
    numbered: Numbered,
}

/// One step of a path: which values it leads to from a value.
#[derive(Clone, Debug)]
pub enum Selector {
    /// The member of this name.
    Name(Text),
    /// The members of these names.
    Names(Vec<Text>),
    /// The element at this index; from the end if it is negative.
    Index(i64),
    /// The elements at these indices.
    Indices(Vec<i64>),
    /// Elements from one index up to another, every so many.
    Slice(Slice),
    /// All children.
    All,
    /// The value itself and all that lies within it, at any depth.
    Descend,
    /// The children for which this holds.
    Filter(Box<Filter>),
}

/// Elements from an index up to another, every so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where it begins.
    pub start: Option<i64>,
    /// Before which it ends.
    pub end: Option<i64>,
    /// How far the next element is; not 0.
    pub step: usize,
}

/// How many things of a path have numbers, under which an evaluation remembers results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbered {
    /// Terms that begin at the root.
    pub(super) roots: usize,
    /// Patterns.
    pub(super) patterns: usize,
}

/// Why something is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It is not UTF-8.
    NotText,
    /// At this position of the path as it is understood something else was expected.
    Unexpected {
        /// The path, legacy ones in their new form.
        path: String,
        /// The position in bytes.
        position: usize,
        /// What could have stood there.
        expected: Expected,
    },
    /// Its filters nest too deep.
    TooDeep,
}

/// What can stand at a place of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A name or a star.
    Name,
    /// What can stand in brackets.
    Bracket,
    /// The same without what begins with a number and ended too early.
    BracketAfterNumber,
    /// The same without names, which ended too early.
    BracketAfterName,
    /// The same without a star, behind which something stood.
    BracketAfterStar,
    /// A number.
    Number,
    /// A number above 0.
    PositiveNumber,
    /// The first step or the end.
    Start,
    /// A further step or the end.
    Step,
    /// A test.
    Test,
    /// A value to compare with.
    Term,
    /// An operator, behind a value.
    Operator,
    /// The same, or the first step of a path.
    OperatorOrStart,
    /// The same, or a further step of a path.
    OperatorOrStep,
    /// `&&` or `||`.
    Relation,
    /// The same, or the first step of a path.
    RelationOrStart,
    /// The same, or a further step of a path.
    RelationOrStep,
}

impl Path {
    /// The root.
    #[must_use]
    pub const fn root(is_legacy: bool) -> Self {
        let numbered = Numbered { roots: 0, patterns: 0 };
        Self { selectors: Vec::new(), is_legacy, numbered }
    }

    /// Reads a path. One that does not begin with `$` is a legacy one.
    pub fn parse(text: &[u8]) -> Result<Self, PathError> {
        let text = core::str::from_utf8(text).map_err(|_| PathError::NotText)?;
        let (modern, is_legacy) = modern(text);
        let (selectors, numbered) = Parser::parse(&modern)?;
        Ok(Self { selectors, is_legacy, numbered })
    }

    /// Whether it was written the old way: it means the first value that it leads to.
    #[must_use]
    pub const fn is_legacy(&self) -> bool {
        self.is_legacy
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.selectors.is_empty()
    }

    /// The steps.
    #[must_use]
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Whether it leads to one value at most, whatever the document.
    #[must_use]
    pub fn is_single(&self) -> bool {
        let is_single =
            |selector: &Selector| matches!(selector, Selector::Name(_) | Selector::Index(_));
        self.selectors.iter().all(is_single)
    }

    /// The path without its last step, and that step.
    #[must_use]
    pub fn split_last(mut self) -> Option<(Self, Selector)> {
        let last = self.selectors.pop()?;
        Some((self, last))
    }

    /// All values that it leads to, in order; one that is reached twice comes twice.
    pub fn find<'v>(&self, root: &'v Json) -> Result<Vec<&'v Json>, TooMuch> {
        let mut found = Vec::new();
        self.each(root, &mut |value, _| {
            found.push(value);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The first value that it leads to.
    pub fn first<'v>(&self, root: &'v Json) -> Result<Option<&'v Json>, TooMuch> {
        let mut found = None;
        self.each(root, &mut |value, _| {
            found = Some(value);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Where the values lie that it leads to and that `is_wanted`; `None` stands for the others.
    pub fn locate(
        &self,
        root: &Json,
        is_wanted: impl Fn(&Json) -> bool,
    ) -> Result<Vec<Option<Location>>, TooMuch> {
        let mut found = Vec::new();
        self.each(root, &mut |value, location| {
            found.push(is_wanted(value).then(|| location.into()));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Shows `see` every value that it leads to and where it lies, until `see` has enough.
    pub fn each<'v>(
        &self,
        root: &'v Json,
        see: &mut dyn FnMut(&'v Json, &[usize]) -> ControlFlow<()>,
    ) -> Result<(), TooMuch> {
        self.each_within(VISITS_MAX, root, see).map(|_| ())
    }

    /// The same as one of several evaluations.
    pub fn each_of_several<'v>(
        &self,
        effort: &mut Effort,
        root: &'v Json,
        see: &mut dyn FnMut(&'v Json, &[usize]) -> ControlFlow<()>,
    ) -> Result<(), TooMuch> {
        let most = effort.visits_left.min(VISITS_MAX);
        effort.visits_left -= most - self.each_within(most, root, see)?;
        Ok(())
    }
}

impl Path {
    fn each_within<'v>(
        &self,
        visits_max: usize,
        root: &'v Json,
        see: &mut dyn FnMut(&'v Json, &[usize]) -> ControlFlow<()>,
    ) -> Result<usize, TooMuch> {
        let hits_max = if self.may_repeat() { REPEATED_HITS_MAX } else { usize::MAX };
        Search::new(root, self.numbered, (visits_max, hits_max)).run(&self.selectors, see)
    }

    /// Whether it may lead to the same value again and again, however small the document.
    fn may_repeat(&self) -> bool {
        let descents = self.selectors.iter().filter(|step| matches!(step, Selector::Descend));
        descents.count() > 1
            || self.selectors.iter().any(|step| match step {
                Selector::Names(names) => has_twice(names.iter().map(Text::as_bytes)),
                Selector::Indices(indices) => {
                    has_twice(indices.iter()) || indices.iter().any(|index| *index < 0)
                }
                _ => false,
            })
    }
}

/// How many values a path may lead to that leads to some of them several times.
const REPEATED_HITS_MAX: usize = 4_096;

fn has_twice<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut sorted: Vec<T> = items.collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// A path in its new form, and whether it was written the old way.
#[must_use]
pub fn modern(text: &str) -> (Cow<'_, str>, bool) {
    let is_modern = match text.strip_prefix('$') {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
        None => false,
    };
    match text {
        _ if is_modern => (Cow::Borrowed(text), false),
        "." => (Cow::Borrowed("$"), true),
        _ if text.starts_with('.') => (Cow::Owned(["$", text].concat()), true),
        _ => (Cow::Owned(["$.", text].concat()), true),
    }
}

#[cfg(test)]
mod tests;
