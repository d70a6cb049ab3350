//! The steps of an aggregation: rows go in, rows come out.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::definition::counted;
use super::finding::{Finding, Hit};
use super::reducing::{Reducer, Sum, unmarked};
use super::request::{FIELDS_MAX, Renamed, page};
use crate::args::Args;
use crate::error::Error;
use crate::search::expression::{Expression, Lookup};
use crate::search::patience::Patience;
use crate::search::schema::FieldType;
use crate::search::{Path, SortValue, Value};

/// A step.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Fields by their paths, and under which names.
    Load(Vec<Renamed>),
    LoadAll,
    Apply(Expression, Box<[u8]>),
    Filter(Expression),
    Group(Vec<Box<[u8]>>, Vec<Reducer>),
    /// Columns, each with whether downwards; how many rows are wanted.
    Sort(Vec<(Box<[u8]>, bool)>, Option<usize>),
    Limit(usize, usize),
}

/// So many rows come of sorting if nobody says how many.
const SORTED_DEFAULT: usize = 10;
/// More groups than this are no summary.
const GROUPS_MAX: usize = 1_000_000;

impl Stage {
    /// Reads a step, if one is next.
    pub(super) fn read(args: &mut Args<'_>, rows_max: u64) -> Result<Option<Self>, Error> {
        const WORDS: [&str; 6] = ["LOAD", "APPLY", "FILTER", "GROUPBY", "SORTBY", "LIMIT"];
        let Some(word) = args.one_of(&WORDS) else { return Ok(None) };
        Ok(Some(match word {
            0 if args.keyword("*") => Self::LoadAll,
            0 => Self::Load(loaded(args)?),
            1 => {
                let text = args.bytes()?;
                let expression = Expression::parse(text).map_err(Error::Owned)?;
                let name = if args.keyword("AS") { args.bytes()? } else { text };
                Self::Apply(expression, name.into())
            }
            2 => Self::Filter(Expression::parse(args.bytes()?).map_err(Error::Owned)?),
            3 => {
                let count = counted(args, "GROUPBY", args.left())?;
                let by = args.many(count)?.map(|name| Box::from(unmarked(name))).collect();
                let mut reducers = Vec::new();
                while args.keyword("REDUCE") {
                    reducers.push(Reducer::read(args)?);
                }
                Self::Group(by, reducers)
            }
            4 => sorted(args)?,
            _ => {
                let (offset, count) = page(args, rows_max)?;
                Self::Limit(offset, count)
            }
        }))
    }
}

impl Stage {
    /// As FT.PROFILE calls it.
    fn name(&self) -> &'static str {
        match self {
            Self::Load(_) | Self::LoadAll => "Loader",
            Self::Apply(..) => "Projector",
            Self::Filter(_) => "Filter",
            Self::Group(..) => "Grouper",
            Self::Sort(..) => "Sorter",
            Self::Limit(..) => "Pager/Limiter",
        }
    }
}

fn loaded(args: &mut Args<'_>) -> Result<Vec<Renamed>, Error> {
    let count = counted(args, "LOAD", args.left())?;
    let mut words = args.many(count)?.peekable();
    let mut fields = Vec::new();
    while let Some(path) = words.next() {
        let path = unmarked(path);
        let is_named = words.next_if(|word| word.eq_ignore_ascii_case(b"AS")).is_some();
        let name = if is_named { words.next().ok_or(Error::BAD_AGGREGATION)? } else { path };
        fields.push((path.into(), name.into()));
    }
    if fields.len() > FIELDS_MAX {
        return Err(Error::bad_arguments("LOAD"));
    }
    Ok(fields)
}

fn sorted(args: &mut Args<'_>) -> Result<Stage, Error> {
    let count = counted(args, "SORTBY", args.left())?;
    let mut keys: Vec<(Box<[u8]>, bool)> = Vec::new();
    for word in args.many(count)? {
        match word.strip_prefix(b"@") {
            Some(name) => keys.push((name.into(), false)),
            None => {
                let last = keys.last_mut().ok_or(Error::BAD_SORTBY)?;
                last.1 = if word.eq_ignore_ascii_case(b"DESC") {
                    true
                } else if word.eq_ignore_ascii_case(b"ASC") {
                    false
                } else {
                    return Err(Error::BAD_SORTBY);
                };
            }
        }
    }
    let most = if args.keyword("MAX") {
        let most = crate::types::number::parse_i64(args.bytes()?);
        let most = most.and_then(|most| usize::try_from(most).ok());
        Some(most.ok_or_else(|| Error::bad_arguments("MAX"))?).filter(|most| *most > 0)
    } else {
        None
    };
    Ok(Stage::Sort(keys, most))
}

/// A row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Values by column; what is missing at the end is nothing.
    pub(super) values: Vec<Value>,
    hit: Option<Hit>,
}

/// Names of columns. If several have one, it stands for the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    pub(super) names: Vec<Box<[u8]>>,
    places: BTreeMap<Box<[u8]>, usize>,
}

impl Columns {
    fn push(&mut self, name: &[u8]) -> usize {
        let at = self.names.len();
        self.names.push(name.into());
        self.places.entry(name.into()).or_insert(at);
        at
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.places.get(name).copied()
    }

    fn find_or_push(&mut self, name: &[u8]) -> usize {
        self.find(name).unwrap_or_else(|| self.push(name))
    }
}

/// Rows on their way through the steps.
pub(super) struct Table<'a> {
    finding: &'a Finding<'a>,
    patience: &'a Patience<'a>,
    pub(super) columns: Columns,
    pub(super) rows: Vec<Row>,
}

/// A row with its columns' names.
struct Named<'a> {
    columns: &'a Columns,
    row: &'a Row,
}

impl Lookup for Named<'_> {
    fn find(&self, name: &[u8]) -> Value {
        self.columns.find(name).and_then(|at| self.row.values.get(at)).cloned().unwrap_or_default()
    }
}

impl<'a> Table<'a> {
    /// A row for each document that was found.
    pub(super) fn new(
        finding: &'a Finding<'a>,
        patience: &'a Patience<'a>,
        hits: Vec<Hit>,
    ) -> Self {
        let rows = hits.into_iter().map(|hit| Row { values: Vec::new(), hit: Some(hit) });
        Self { finding, patience, columns: Columns::default(), rows: rows.collect() }
    }

    /// Adds the score as a column.
    pub(super) fn add_scores(&mut self) {
        let at = self.column(b"__score");
        for row in &mut self.rows {
            let score = row.hit.map_or(0.0, |hit| hit.score);
            put(row, at, Value::Number(score));
        }
    }

    /// Takes all rows through the steps. `random` is for those who draw; `passed` is told after each
    /// step what it was and how many rows came out.
    pub(super) fn run(
        &mut self,
        stages: &[Stage],
        random: &mut dyn FnMut() -> u64,
        passed: &mut dyn FnMut(&'static str, usize),
    ) -> Result<(), Error> {
        let mut at = 0;
        while let Some(stage) = stages.get(at) {
            at += 1;
            match stage {
                Stage::Load(fields) => {
                    for (path, name) in fields {
                        self.load(path, name, true);
                    }
                }
                Stage::LoadAll => self.load_all(),
                Stage::Apply(expression, name) => {
                    self.need(expression)?;
                    self.apply(expression, name);
                }
                Stage::Filter(expression) => {
                    self.need(expression)?;
                    self.filter(expression);
                }
                Stage::Group(by, reducers) => self.group(by, reducers, random)?,
                Stage::Sort(keys, most) => {
                    let page = match stages.get(at) {
                        Some(Stage::Limit(offset, count)) => {
                            at += 1;
                            (*offset, *count)
                        }
                        _ => (0, most.unwrap_or(SORTED_DEFAULT)),
                    };
                    self.sort(keys, page)?;
                }
                Stage::Limit(offset, count) => self.cut(*offset, *count),
            }
            passed(stage.name(), self.rows.len());
        }
        Ok(())
    }

    fn cut(&mut self, offset: usize, count: usize) {
        self.rows.truncate(offset.saturating_add(count));
        self.rows.drain(..offset.min(self.rows.len()));
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.columns.find(name)
    }

    fn column(&mut self, name: &[u8]) -> usize {
        self.columns.find_or_push(name)
    }

    /// Sees to it that what an expression mentions is there, if it is a field.
    fn need(&mut self, expression: &Expression) -> Result<(), Error> {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        expression.each_field(&mut |name| names.push(name.into()));
        names.iter().try_for_each(|name| self.need_column(name).map(drop))
    }

    /// The column of this name; loaded if it is a field that was not loaded yet.
    fn need_column(&mut self, name: &[u8]) -> Result<usize, Error> {
        if let Some(at) = self.find(name) {
            return Ok(at);
        }
        let is_field = self.finding.schema.field(name).is_some();
        let has_hits = self.rows.first().is_none_or(|row| row.hit.is_some());
        if !is_field || !has_hits {
            return Err(Error::no_property(name));
        }
        self.load(name, name, false);
        self.find(name).ok_or_else(|| Error::no_property(name))
    }

    /// Loads a field. What was not asked for by name comes as it is sorted by.
    fn load(&mut self, path: &[u8], name: &[u8], is_asked_for: bool) {
        let at = self.column(name);
        let finding = self.finding;
        let field = finding.schema.field(path);
        let other = Path::of_name(path, finding.schema.documents);
        for row in &mut self.rows {
            if self.patience.is_over() {
                break;
            }
            let document = row.hit.and_then(|hit| finding.document(&hit));
            let Some(document) = document else { continue };
            if path == b"__key" {
                put(row, at, Value::text(&document.key));
                continue;
            }
            let (path, source) = match field {
                Some((place, field)) => {
                    if !is_asked_for && let Some(SortValue::Text(text)) = document.sorts.get(place)
                    {
                        put(row, at, Value::Text(text.clone()));
                        continue;
                    }
                    let number = document.entries.get(place).map(|entry| entry.numbers());
                    if let (FieldType::Numeric, Some([number])) = (&field.kind, number) {
                        put(row, at, Value::Number(*number));
                        continue;
                    }
                    (&*field.path, &field.source)
                }
                None => (path, &other),
            };
            let shown =
                finding.source(document).and_then(|source_of| source_of.shown(path, source));
            put(row, at, shown.map_or(Value::Null, |text| Value::Text(text.into())));
        }
    }

    fn load_all(&mut self) {
        let (finding, columns) = (self.finding, &mut self.columns);
        for row in &mut self.rows {
            if self.patience.is_over() {
                break;
            }
            let document = row.hit.and_then(|hit| finding.document(&hit));
            let source = document.and_then(|document| finding.source(document));
            let Some(source) = source else { continue };
            source.each_shown(&mut |name, value| {
                put(row, columns.find_or_push(name), Value::text(value));
            });
        }
    }

    fn apply(&mut self, expression: &Expression, name: &[u8]) {
        let at = self.column(name);
        for row in &mut self.rows {
            if self.patience.is_over() {
                break;
            }
            let value = expression.value(&Named { columns: &self.columns, row });
            put(row, at, value.unwrap_or_default());
        }
    }

    fn filter(&mut self, expression: &Expression) {
        let (columns, patience) = (&self.columns, self.patience);
        self.rows.retain(|row| {
            !patience.is_over()
                && expression.value(&Named { columns, row }).is_ok_and(|value| value.is_true())
        });
    }

    fn sort(
        &mut self,
        keys: &[(Box<[u8]>, bool)],
        (offset, count): (usize, usize),
    ) -> Result<(), Error> {
        let mut places = Vec::new();
        for (name, is_descending) in keys {
            places.push((self.need_column(name)?, *is_descending));
        }
        let nothing = Value::Null;
        let order = |one: &Row, other: &Row| {
            places.iter().fold(Ordering::Equal, |order, (at, is_descending)| {
                order.then_with(|| {
                    let value = |row: &'_ Row| row.values.get(*at).cloned().unwrap_or_default();
                    let (one, other) = (value(one), value(other));
                    match (one == nothing, other == nothing) {
                        (false, false) if *is_descending => other.order(&one),
                        (false, false) => one.order(&other),
                        (is_one, is_other) => is_one.cmp(&is_other),
                    }
                })
            })
        };
        self.rows.sort_by(order);
        self.cut(offset, count);
        Ok(())
    }

    fn group(
        &mut self,
        by: &[Box<[u8]>],
        reducers: &[Reducer],
        random: &mut dyn FnMut() -> u64,
    ) -> Result<(), Error> {
        let mut places = Vec::new();
        for name in by {
            places.push(self.need_column(name)?);
        }
        let mut inputs = Vec::new();
        for reducer in reducers {
            let place = |table: &mut Self, name: &Option<Box<[u8]>>| {
                name.as_ref().map(|name| table.need_column(name)).transpose()
            };
            inputs.push((place(self, &reducer.column)?, place(self, &reducer.by)?));
        }
        let mut groups: BTreeMap<Vec<Vec<u8>>, usize> = BTreeMap::new();
        let mut all: Vec<(Vec<Value>, Vec<Sum>)> = Vec::new();
        for row in core::mem::take(&mut self.rows) {
            if self.patience.is_over() || all.len() >= GROUPS_MAX {
                break;
            }
            let value = |at: Option<usize>| {
                at.and_then(|at| row.values.get(at)).cloned().unwrap_or_default()
            };
            for keys in combinations(places.iter().map(|at| value(Some(*at)))) {
                let shown = keys.iter().map(Value::shown).collect();
                let group = *groups.entry(shown).or_insert_with(|| {
                    all.push((keys, reducers.iter().map(Reducer::begin).collect()));
                    all.len() - 1
                });
                let Some((_, sums)) = all.get_mut(group) else { continue };
                for ((reducer, sum), (column, by)) in reducers.iter().zip(sums).zip(&inputs) {
                    reducer.take(sum, &value(*column), &value(*by), random);
                }
            }
        }
        let mut columns = Columns::default();
        let names = by.iter().chain(reducers.iter().map(|reducer| &reducer.name));
        names.for_each(|name| {
            columns.push(name);
        });
        self.columns = columns;
        let rows = all.into_iter().map(|(mut values, sums)| {
            values.extend(reducers.iter().zip(sums).map(|(reducer, sum)| reducer.end(sum)));
            Row { values, hit: None }
        });
        self.rows = rows.collect();
        Ok(())
    }
}

fn put(row: &mut Row, at: usize, value: Value) {
    if row.values.len() <= at {
        row.values.resize(at + 1, Value::Null);
    }
    row.values[at] = value;
}

/// The groups that a row belongs to: a list belongs to those of each of its values.
fn combinations(keys: impl Iterator<Item = Value>) -> Vec<Vec<Value>> {
    /// Lists of lists could make a row many.
    const MANY: usize = 1024;
    let mut all = alloc::vec![Vec::new()];
    for key in keys {
        let choices = match key {
            Value::List(values) if !values.is_empty() => values,
            other => alloc::vec![other],
        };
        let next = all.iter().flat_map(|keys: &Vec<Value>| {
            choices.iter().map(move |choice| {
                let mut keys = keys.clone();
                keys.push(choice.clone());
                keys
            })
        });
        all = next.take(MANY).collect();
    }
    all
}
