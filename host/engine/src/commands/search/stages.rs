//! The steps of an aggregation as they are asked for.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::definition::{counted, expected};
use super::reducing::{Reducer, unmarked};
use super::request::{FIELDS_MAX, Renamed, page};
use crate::args::Args;
use crate::error::Error;
use crate::search::Options;
use crate::search::expression::Expression;

/// A step.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Fields by their paths, and under which names.
    Load(Vec<Renamed>),
    LoadAll,
    Apply(Expression, Box<[u8]>),
    Filter(Expression),
    Group(Vec<Box<[u8]>>, Vec<Reducer>),
    Arrange(Arrangement),
}

/// A column that rows are sorted by, and whether downwards.
pub(super) type SortedBy = (Box<[u8]>, bool);

/// SORTBY and LIMIT, which are one step in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrangement {
    /// By what rows are sorted.
    pub(super) keys: Option<Vec<SortedBy>>,
    pub(super) offset: usize,
    /// How many rows are wanted; none: as many as there are, or a few if they are sorted.
    count: Option<usize>,
    /// Whether it is only wanted how many there are.
    is_count: bool,
}

/// So many rows come of sorting if nobody says how many.
const SORTED_DEFAULT: usize = 10;
/// By no more columns than this are rows sorted.
const SORT_KEYS_MAX: usize = 8;
/// By no more columns than this are rows grouped.
const GROUP_KEYS_MAX: usize = u16::MAX as usize;

impl Stage {
    /// Reads a step, if one is next, and puts it behind the others.
    pub(super) fn read(
        args: &mut Args<'_>,
        options: &Options,
        stages: &mut Vec<Self>,
    ) -> Result<bool, Error> {
        const WORDS: [&str; 6] = ["LOAD", "APPLY", "FILTER", "GROUPBY", "SORTBY", "LIMIT"];
        let Some(word) = args.one_of(&WORDS) else { return Ok(false) };
        stages.push(match word {
            0 if args.keyword("*") => Self::LoadAll,
            0 => Self::Load(loaded(args)?),
            1 => {
                let text = expected(args, "APPLY/FILTER")?;
                let expression = Expression::parse(text).map_err(Error::Owned)?;
                let name = match args.keyword("AS") {
                    true => args.bytes().map_err(|_| Error::AS_NEEDS_ARGUMENT)?,
                    false => text,
                };
                Self::Apply(expression, name.into())
            }
            2 => {
                let text = expected(args, "APPLY/FILTER")?;
                Self::Filter(Expression::parse(text).map_err(Error::Owned)?)
            }
            3 => grouped(args)?,
            arranging => {
                if !matches!(stages.last(), Some(Self::Arrange(_))) {
                    stages.push(Self::Arrange(Arrangement::default()));
                }
                if let Some(Self::Arrange(arrangement)) = stages.last_mut() {
                    arrangement.read(args, arranging == 4, options)?;
                }
                return Ok(true);
            }
        });
        Ok(true)
    }
}

fn grouped(args: &mut Args<'_>) -> Result<Stage, Error> {
    let count = counted(args, "GROUPBY", GROUP_KEYS_MAX)?;
    let mut by: Vec<Box<[u8]>> = Vec::new();
    for name in args.many(count)? {
        let marked = name.strip_prefix(b"@").ok_or_else(|| Error::unmarked_property(name))?;
        by.push(marked.into());
    }
    let mut reducers: Vec<Reducer> = Vec::new();
    while args.keyword("REDUCE") {
        reducers.push(Reducer::read(args)?);
    }
    let mut seen = BTreeSet::new();
    let names = by.iter().chain(reducers.iter().map(|reducer| &reducer.name));
    for name in names {
        if !seen.insert(name) {
            return Err(Error::repeated_property(name));
        }
    }
    Ok(Stage::Group(by, reducers))
}

impl Arrangement {
    /// Reads what follows SORTBY or LIMIT.
    fn read(&mut self, args: &mut Args<'_>, sorts: bool, options: &Options) -> Result<(), Error> {
        if !sorts {
            let (most, offset_most) = (options.asked_rows_max(), options.asked_results_max());
            let (offset, count) = page(args, most, offset_most)?;
            self.is_count |= count == 0;
            (self.offset, self.count) = (offset, Some(count));
            return Ok(());
        }
        if self.keys.is_some() {
            return Err(Error::SORTED_TWICE);
        }
        self.keys = Some(sort_keys(args)?);
        if args.keyword("MAX") {
            let most = crate::types::number::parse_i64(expected(args, "MAX")?);
            let most = most.and_then(|most| usize::try_from(most).ok());
            let most = most.ok_or_else(|| Error::bad_arguments("MAX"))?;
            self.count = Some(most).filter(|most| *most > 0);
        }
        Ok(())
    }

    /// How many rows it lets through.
    pub(super) fn count(&self) -> usize {
        match (self.count, &self.keys) {
            _ if self.is_count => 0,
            (Some(count), _) => count,
            (None, Some(_)) => SORTED_DEFAULT,
            (None, None) => usize::MAX,
        }
    }
}

impl Stage {
    /// As FT.PROFILE calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Load(_) | Self::LoadAll => "Loader",
            Self::Apply(..) => "Projector",
            Self::Filter(_) => "Filter",
            Self::Group(..) => "Grouper",
            Self::Arrange(Arrangement { keys: Some(_), .. }) => "Sorter",
            Self::Arrange(_) => "Pager/Limiter",
        }
    }
}

fn loaded(args: &mut Args<'_>) -> Result<Vec<Renamed>, Error> {
    if args.is_done() {
        return Err(Error::no_argument("LOAD"));
    }
    let count = counted(args, "LOAD", usize::MAX)?;
    let mut words = args.many(count)?.peekable();
    let mut fields = Vec::new();
    while let Some(path) = words.next() {
        let path = unmarked(path);
        let is_named = words.next_if(|word| word.eq_ignore_ascii_case(b"AS")).is_some();
        let name = if is_named { words.next().ok_or(Error::LOAD_UNNAMED)? } else { path };
        if is_named && name.eq_ignore_ascii_case(b"AS") {
            return Err(Error::LOAD_NAMED_AS);
        }
        fields.push((path.into(), name.into()));
    }
    if fields.len() > FIELDS_MAX {
        return Err(Error::bad_arguments("LOAD"));
    }
    Ok(fields)
}

fn sort_keys(args: &mut Args<'_>) -> Result<Vec<SortedBy>, Error> {
    let count = counted(args, "SORTBY", usize::MAX)?;
    let mut keys: Vec<SortedBy> = Vec::new();
    for word in args.many(count)? {
        if let Some(name) = word.strip_prefix(b"@") {
            if keys.len() == SORT_KEYS_MAX {
                return Err(Error::too_many_sort_keys(SORT_KEYS_MAX));
            }
            keys.push((name.into(), false));
            continue;
        }
        let is_descending = word.eq_ignore_ascii_case(b"DESC");
        if !is_descending && !word.eq_ignore_ascii_case(b"ASC") {
            return Err(Error::no_direction(word));
        }
        keys.last_mut().ok_or(Error::BAD_SORTBY)?.1 = is_descending;
    }
    Ok(keys)
}
