//! Reducers: what becomes of the rows of a group.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::args::Args;
use crate::error::Error;
use crate::search::Value;
use crate::types::number;
use crate::types::random::below;

/// A reducer: what it does, with which columns, under which name.
#[derive(Clone, Debug)]
pub(super) struct Reducer {
    kind: ReducerKind,
    /// The column that it looks at, if it looks at one.
    pub(super) column: Option<Box<[u8]>>,
    /// The column that FIRST_VALUE goes by.
    pub(super) by: Option<Box<[u8]>>,
    pub(super) name: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ReducerKind {
    Count,
    CountDistinct,
    Sum,
    Min,
    Max,
    Average,
    Deviation,
    Quantile(f64),
    List,
    First { is_descending: bool },
    Sample(usize),
}

/// Most values that a sample has.
const SAMPLE_MAX: i64 = 1000;

impl Reducer {
    /// Reads `function nargs arg ... [AS name]`.
    pub(super) fn read(args: &mut Args<'_>) -> Result<Self, Error> {
        let function = super::definition::expected(args, "REDUCE")?;
        let name = alloc::string::String::from_utf8_lossy(function).into_owned();
        let count = super::definition::counted(args, &name, usize::MAX)?;
        let words: Vec<&[u8]> = args.many(count)?.collect();
        let column = words.first().map(|word| Box::from(unmarked(word)));
        let mut by = None;
        let kind = match (function.to_ascii_uppercase().as_slice(), words.as_slice()) {
            (b"COUNT", []) => ReducerKind::Count,
            (b"COUNT", _) => return Err(Error::COUNT_OF_SOMETHING),
            (b"COUNT_DISTINCT" | b"COUNT_DISTINCTISH", [_]) => ReducerKind::CountDistinct,
            (b"SUM", [_]) => ReducerKind::Sum,
            (b"MIN", [_]) => ReducerKind::Min,
            (b"MAX", [_]) => ReducerKind::Max,
            (b"AVG", [_]) => ReducerKind::Average,
            (b"STDDEV", [_]) => ReducerKind::Deviation,
            (b"TOLIST", [_]) => ReducerKind::List,
            (b"QUANTILE", [_, share, ..]) => {
                let share = number::parse_f64(share).filter(|share| (0.0..=1.0).contains(share));
                ReducerKind::Quantile(share.ok_or(Error::BAD_SHARE)?)
            }
            (b"RANDOM_SAMPLE", [_, size]) => {
                let size = number::parse_i64(size).filter(|size| *size > 0);
                let size = size.ok_or_else(|| Error::bad_arguments("<sample size>"))?;
                if size > SAMPLE_MAX {
                    return Err(Error::SAMPLE_TOO_LARGE);
                }
                ReducerKind::Sample(size as usize)
            }
            (b"FIRST_VALUE", [_, rest @ ..]) => {
                let is_descending = match rest {
                    [] => false,
                    [word, other, order @ ..] if word.eq_ignore_ascii_case(b"BY") => {
                        by = Some(Box::from(unmarked(other)));
                        matches!(order, [desc] if desc.eq_ignore_ascii_case(b"DESC"))
                    }
                    _ => return Err(Error::bad_arguments("FIRST_VALUE")),
                };
                ReducerKind::First { is_descending }
            }
            _ => return Err(Error::no_such_reducer(function)),
        };
        let name = if args.keyword("AS") {
            args.bytes()?.into()
        } else {
            let words: Vec<&[u8]> = words.iter().map(|word| unmarked(word)).collect();
            let name = [&b"__generated_alias"[..], function, &words.join(&b","[..])].concat();
            name.to_ascii_lowercase().into()
        };
        Ok(Self { kind, column, by, name })
    }

    /// Before the first row.
    pub(super) fn begin(&self) -> Sum {
        Sum::default()
    }

    /// Takes in a row's value, and the one that it goes by.
    pub(super) fn take(
        &self,
        sum: &mut Sum,
        value: &Value,
        by: &Value,
        random: &mut dyn FnMut() -> u64,
    ) {
        sum.rows += 1;
        let number = || value.as_number();
        match self.kind {
            ReducerKind::Count => {}
            ReducerKind::CountDistinct => {
                if *value != Value::Null {
                    sum.distinct.insert(value.shown());
                }
            }
            ReducerKind::Sum | ReducerKind::Average => {
                if let Some(value) = number() {
                    sum.count += 1;
                    sum.total += value;
                }
            }
            ReducerKind::Min => keep_extreme(sum, number(), Ordering::Less),
            ReducerKind::Max => keep_extreme(sum, number(), Ordering::Greater),
            ReducerKind::Deviation => {
                // Welford's way: no large sums of squares.
                if let Some(value) = number() {
                    sum.count += 1;
                    let before = value - sum.mean;
                    sum.mean += before / sum.count as f64;
                    sum.total += before * (value - sum.mean);
                }
            }
            ReducerKind::Quantile(_) => sum.numbers.extend(number()),
            ReducerKind::List => {
                if *value != Value::Null && sum.distinct.insert(value.shown()) {
                    sum.values.push(value.clone());
                }
            }
            ReducerKind::First { is_descending } => {
                let order = by.order(&sum.by);
                let is_before = if is_descending { order.is_gt() } else { order.is_lt() };
                let is_better = self.by.is_some() && *by != Value::Null && is_before;
                if sum.values.is_empty() || is_better {
                    sum.values = alloc::vec![value.clone()];
                    sum.by = by.clone();
                }
            }
            ReducerKind::Sample(size) => {
                if sum.values.len() < size {
                    sum.values.push(value.clone());
                } else {
                    let at = below(random, sum.rows);
                    if let Some(place) = sum.values.get_mut(at) {
                        *place = value.clone();
                    }
                }
            }
        }
    }

    /// What came of all rows.
    pub(super) fn end(&self, mut sum: Sum) -> Value {
        match self.kind {
            ReducerKind::Count => Value::Number(sum.rows as f64),
            ReducerKind::CountDistinct => Value::Number(sum.distinct.len() as f64),
            ReducerKind::Sum => Value::Number(sum.total),
            ReducerKind::Average if sum.count == 0 => Value::Number(f64::NAN),
            ReducerKind::Average => Value::Number(sum.total / sum.count as f64),
            ReducerKind::Min => Value::Number(sum.extreme.unwrap_or(f64::INFINITY)),
            ReducerKind::Max => Value::Number(sum.extreme.unwrap_or(f64::NEG_INFINITY)),
            ReducerKind::Deviation if sum.count < 2 => Value::Number(0.0),
            ReducerKind::Deviation => Value::Number(libm::sqrt(sum.total / (sum.count - 1) as f64)),
            ReducerKind::Quantile(share) => {
                sum.numbers.sort_unstable_by(f64::total_cmp);
                let rank = libm::ceil(share * sum.numbers.len() as f64) as usize;
                let found = sum.numbers.get(rank.saturating_sub(1)).copied();
                found.map_or(Value::Null, Value::Number)
            }
            ReducerKind::List | ReducerKind::Sample(_) => Value::List(sum.values),
            ReducerKind::First { .. } => sum.values.pop().unwrap_or_default(),
        }
    }
}

/// What a reducer knows of the rows so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    rows: usize,
    count: usize,
    total: f64,
    mean: f64,
    extreme: Option<f64>,
    numbers: Vec<f64>,
    distinct: BTreeSet<Vec<u8>>,
    values: Vec<Value>,
    by: Value,
}

fn keep_extreme(sum: &mut Sum, value: Option<f64>, wanted: Ordering) {
    let Some(value) = value else { return };
    if sum.extreme.is_none_or(|extreme| value.total_cmp(&extreme) == wanted) {
        sum.extreme = Some(value);
    }
}

/// A column's name without the mark in front.
pub(super) fn unmarked(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"@").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduce(words: &[&str], values: &[f64]) -> Value {
        let argv: reef_resp::OwnedArgv = words.iter().copied().collect();
        let mut args = Args::new(argv.as_argv(), 0);
        let reducer = Reducer::read(&mut args).expect("a reducer");
        let mut sum = reducer.begin();
        let mut random = || 7;
        for value in values {
            reducer.take(&mut sum, &Value::Number(*value), &Value::Null, &mut random);
        }
        reducer.end(sum)
    }

    #[test]
    fn reducers_reduce() {
        let values = [10.0, 3.0, 8.0];
        assert_eq!(reduce(&["COUNT", "0"], &values), Value::Number(3.0));
        assert_eq!(reduce(&["SUM", "1", "@n"], &values), Value::Number(21.0));
        assert_eq!(reduce(&["min", "1", "@n"], &values), Value::Number(3.0));
        assert_eq!(reduce(&["MAX", "1", "@n"], &values), Value::Number(10.0));
        assert_eq!(reduce(&["AVG", "1", "@n"], &values), Value::Number(7.0));
        assert_eq!(reduce(&["QUANTILE", "2", "@n", "0.5"], &values), Value::Number(8.0));
        let Value::Number(deviation) = reduce(&["STDDEV", "1", "@n"], &values) else { panic!() };
        assert!((deviation - 3.605_551_275_46).abs() < 1e-9);
        assert_eq!(reduce(&["COUNT_DISTINCT", "1", "@n"], &[1.0, 1.0]), Value::Number(1.0));
    }
}
