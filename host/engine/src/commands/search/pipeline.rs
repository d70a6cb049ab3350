//! Rows on their way through the steps of an aggregation.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::finding::{Finding, Hit};
use super::reducing::{Reducer, Sum};
use super::stages::{SortedBy, Stage};
use crate::error::Error;
use crate::search::expression::{Expression, Lookup};
use crate::search::patience::Patience;
use crate::search::schema::{FieldType, KEY};
use crate::search::{Path, SortValue, Value};

/// More groups than this are no summary.
const GROUPS_MAX: usize = 1_000_000;

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
    /// Those that every row has, even if there is nothing in them: they were computed.
    pub(super) are_full: Vec<bool>,
    places: BTreeMap<Box<[u8]>, usize>,
}

impl Columns {
    fn push(&mut self, name: &[u8]) -> usize {
        let at = self.names.len();
        self.names.push(name.into());
        self.are_full.push(false);
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
    /// How many rows there were before any were left out for being too many.
    pub(super) total: usize,
}

/// A row with its columns' names.
struct Named<'a> {
    columns: &'a Columns,
    row: &'a Row,
}

impl Lookup for Named<'_> {
    fn find(&self, name: &[u8]) -> Option<Value> {
        let at = self.columns.find(name)?;
        let value = self.row.values.get(at).cloned().unwrap_or_default();
        let is_there = value != Value::Null || self.columns.are_full.get(at) == Some(&true);
        is_there.then_some(value)
    }
}

impl<'a> Table<'a> {
    /// A row for each document that was found.
    pub(super) fn new(
        finding: &'a Finding<'a>,
        patience: &'a Patience<'a>,
        hits: Vec<Hit>,
    ) -> Self {
        let total = hits.len();
        let rows = hits.into_iter().map(|hit| Row { values: Vec::new(), hit: Some(hit) });
        Self { finding, patience, columns: Columns::default(), rows: rows.collect(), total }
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
        for stage in stages {
            match stage {
                Stage::Load(fields) => {
                    if self.rows.first().is_some_and(|row| row.hit.is_none()) {
                        return Err(Error::LOADED_LATE);
                    }
                    for (path, name) in fields {
                        self.load(path, name, true);
                    }
                }
                Stage::LoadAll => self.load_all(),
                Stage::Apply(expression, name) => {
                    self.need(expression)?;
                    self.apply(expression, name)?;
                }
                Stage::Filter(expression) => {
                    self.need(expression)?;
                    self.filter(expression)?;
                    self.total = self.rows.len();
                }
                Stage::Group(by, reducers) => {
                    self.group(by, reducers, random)?;
                    self.total = self.rows.len();
                }
                Stage::Arrange(arrangement) => {
                    if let Some(keys) = &arrangement.keys {
                        self.sort(keys)?;
                    }
                    self.cut(arrangement.offset, arrangement.count());
                }
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
        let missing = |name: &[u8]| Error::no_property_in(name, "pipeline");
        names.iter().try_for_each(|name| self.need_column(name, missing).map(drop))
    }

    /// The column of this name; loaded if it is a field that was not loaded yet.
    fn need_column(
        &mut self,
        name: &[u8],
        missing: impl Fn(&[u8]) -> Error,
    ) -> Result<usize, Error> {
        if let Some(at) = self.find(name) {
            return Ok(at);
        }
        let is_field = self.finding.schema.field(name).is_some();
        let has_hits = self.rows.first().is_none_or(|row| row.hit.is_some());
        if !is_field || !has_hits {
            return Err(missing(name));
        }
        self.load(name, name, false);
        self.find(name).ok_or_else(|| missing(name))
    }

    /// Loads a field. What was not asked for by name comes as it is sorted by.
    fn load(&mut self, path: &[u8], name: &[u8], is_asked_for: bool) {
        let at = self.column(name);
        let finding = self.finding;
        let field = finding.schema.field(path);
        let is_whole = finding.shows_whole();
        let other = Path::of_name(path, finding.schema.documents);
        for row in &mut self.rows {
            if self.patience.is_over() {
                break;
            }
            let document = row.hit.and_then(|hit| finding.document(&hit));
            let Some(document) = document else { continue };
            if path == KEY {
                put(row, at, Value::text(&document.key));
                continue;
            }
            let (path, source) = match field {
                Some((place, field)) => {
                    if !is_asked_for
                        && !is_whole
                        && let Some(SortValue::Text(text)) = document.sorts.get(place)
                    {
                        put(row, at, Value::Text(text.clone()));
                        continue;
                    }
                    let number = document.entries.get(place).map(|entry| entry.numbers());
                    let number = number.filter(|_| !is_whole);
                    if let (FieldType::Numeric, Some([number])) = (&field.kind, number) {
                        put(row, at, Value::Number(*number));
                        continue;
                    }
                    (&*field.path, &field.source)
                }
                None => (path, &other),
            };
            let Some(source_of) = finding.source(document) else { continue };
            let shown = source_of.shown(path, source).map(|text| Value::Text(text.into()));
            let shown = shown.unwrap_or_default();
            let whole = if is_whole { source_of.shown_whole(path, source) } else { None };
            let value = match whole {
                Some(whole) => Value::Whole(Box::new((shown, whole.into()))),
                None => shown,
            };
            put(row, at, value);
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

    fn apply(&mut self, expression: &Expression, name: &[u8]) -> Result<(), Error> {
        let at = self.column(name);
        for row in &mut self.rows {
            if self.patience.is_over() {
                break;
            }
            let value = expression.value(&Named { columns: &self.columns, row });
            put(row, at, value.map_err(Error::undefined)?);
        }
        self.columns.are_full[at] = true;
        Ok(())
    }

    fn filter(&mut self, expression: &Expression) -> Result<(), Error> {
        let mut kept = Vec::new();
        for row in core::mem::take(&mut self.rows) {
            if self.patience.is_over() {
                break;
            }
            let value = expression.value(&Named { columns: &self.columns, row: &row });
            if value.map_err(Error::undefined)?.is_true() {
                kept.push(row);
            }
        }
        self.rows = kept;
        Ok(())
    }

    fn sort(&mut self, keys: &[SortedBy]) -> Result<(), Error> {
        let mut places = Vec::new();
        for (name, is_descending) in keys {
            let missing = |name: &[u8]| Error::no_property_in(name, "schema");
            places.push((self.need_column(name, missing)?, *is_descending));
        }
        // What is equal in everything stays in the order of writing, downwards as the last column.
        let last_is_descending = places.last().is_some_and(|(_, is_descending)| *is_descending);
        if last_is_descending && self.rows.first().is_some_and(|row| row.hit.is_some()) {
            self.rows.reverse();
        }
        let nothing = Value::Null;
        let order = |one: &Row, other: &Row| {
            places.iter().fold(Ordering::Equal, |order, (at, is_descending)| {
                order.then_with(|| {
                    let value = |row| value_at(row, *at).unwrap_or(&nothing);
                    let (one, other) = (value(one), value(other));
                    match (*one == nothing, *other == nothing) {
                        (false, false) if *is_descending => other.order(one),
                        (false, false) => one.order(other),
                        (is_one, is_other) => is_one.cmp(&is_other),
                    }
                })
            })
        };
        self.rows.sort_by(order);
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
            places.push(self.need_column(name, Error::no_such_property)?);
        }
        let mut inputs = Vec::new();
        for reducer in reducers {
            let place = |table: &mut Self, name: &Option<Box<[u8]>>| {
                let missing = |name: &[u8]| Error::not_present(name);
                name.as_ref().map(|name| table.need_column(name, missing)).transpose()
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
            let keys: Vec<Value> = places.iter().map(|at| value(Some(*at))).collect();
            for keys in combinations(&keys) {
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
        columns.are_full.fill(true);
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

/// What a row has in a column.
fn value_at(row: &Row, at: usize) -> Option<&Value> {
    row.values.get(at)
}

/// The groups that a row belongs to: a list belongs to those of each of its values, an empty one to
/// that of nothing.
fn combinations(keys: &[Value]) -> Vec<Vec<Value>> {
    /// Lists of lists could make a row many.
    const MANY: usize = 1024;
    let choices = |key: &Value| match key {
        Value::List(values) => values.len().max(1),
        _ => 1,
    };
    let count =
        keys.iter().fold(1_usize, |count, key| count.saturating_mul(choices(key)).min(MANY));
    let one = |number: usize| {
        // The number's digits, the last key's first, each to the base of how many choices there are.
        let mut rest = number;
        let mut chosen: Vec<Value> = keys
            .iter()
            .rev()
            .map(|key| match key {
                Value::List(values) => {
                    let at = rest % values.len().max(1);
                    rest /= values.len().max(1);
                    values.get(at).cloned().unwrap_or_default()
                }
                other => other.clone(),
            })
            .collect();
        chosen.reverse();
        chosen
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_belongs_to_the_groups_of_all_its_values() {
        let list = |texts: &[&str]| {
            Value::List(texts.iter().map(|text| Value::text(text.as_bytes())).collect())
        };
        let text = |text: &str| Value::text(text.as_bytes());
        let keys = [list(&["a", "b"]), text("x"), list(&["1", "2"]), list(&[])];
        let shown: Vec<_> = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
            .map(|(one, other)| alloc::vec![text(one), text("x"), text(other), Value::Null])
            .to_vec();
        assert_eq!(combinations(&keys), shown);
        let long = list(&["a"; 40]);
        assert_eq!(combinations(&[long.clone(), long.clone(), long]).len(), 1024);
        assert_eq!(combinations(&[]), [Vec::new()]);
    }
}
