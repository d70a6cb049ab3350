//! A value that expressions and aggregations compute with.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::types::number;

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A number.
    Number(f64),
    /// A text.
    Text(Box<[u8]>),
    /// Several values.
    List(Vec<Self>),
    /// The first of several values, with which it is computed, and how all of them are shown.
    Whole(Box<(Self, Box<[u8]>)>),
}

impl Value {
    /// A text.
    pub fn text(text: &[u8]) -> Self {
        Self::Text(text.into())
    }

    /// One for what is true, zero for what is not.
    pub fn truth(is_true: bool) -> Self {
        Self::Number(f64::from(u8::from(is_true)))
    }

    /// What is computed with.
    pub fn plain(&self) -> &Self {
        match self {
            Self::Whole(whole) => &whole.0,
            other => other,
        }
    }

    /// The same, of a value that is not needed any more.
    pub fn into_plain(self) -> Self {
        match self {
            Self::Whole(whole) => whole.0,
            other => other,
        }
    }

    /// Whether it counts as true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Number(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(values) => !values.is_empty(),
            Self::Whole(whole) => whole.0.is_true(),
        }
    }

    /// As a number, if it is one or reads like one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => number::parse_f64(text.trim_ascii()),
            Self::List(values) => values.first()?.as_number(),
            Self::Whole(whole) => whole.0.as_number(),
            Self::Null => None,
        }
    }

    /// As a client sees it.
    pub fn shown(&self) -> Vec<u8> {
        match self {
            Self::Null => Vec::new(),
            Self::Number(number) => shown_number(*number),
            Self::Text(text) => text.to_vec(),
            Self::List(values) => {
                let shown: Vec<_> = values.iter().map(Self::shown).collect();
                shown.join(&b","[..])
            }
            Self::Whole(whole) => whole.1.to_vec(),
        }
    }

    /// How two values compare: numbers as numbers, also against text that reads like one; all else as
    /// text. Nothing comes first. This is no order of more than two.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            _ => match (self.as_number(), other.as_number()) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                _ => self.shown().cmp(&other.shown()),
            },
        }
    }

    /// Whether two values are equal, numbers also to text that reads like one.
    pub fn equals(&self, other: &Self) -> bool {
        !self.is_unlike(other) && self.compare(other).is_eq()
    }

    /// Whether one is a number and the other does not read like one.
    pub fn is_unlike(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => false,
            (Self::Number(_), other) | (other, Self::Number(_)) => other.as_number().is_none(),
            _ => false,
        }
    }

    /// The order of all values: nothing, numbers, texts, lists.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self.plain(), other.plain()) {
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::List(one), Self::List(other)) => {
                let orders = one.iter().zip(other).map(|(one, other)| one.order(other));
                let first = orders.into_iter().find(|order| order.is_ne());
                first.unwrap_or_else(|| one.len().cmp(&other.len()))
            }
            (one, other) => one.rank().cmp(&other.rank()),
        }
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Number(_) => 0,
            Self::Text(text) => text.len(),
            Self::List(values) => {
                values.iter().map(|value| size_of::<Self>() + value.heap_bytes()).sum()
            }
            Self::Whole(whole) => size_of::<Self>() + whole.0.heap_bytes() + whole.1.len(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
            Self::List(_) => 3,
            Self::Whole(whole) => whole.0.rank(),
        }
    }
}

/// A number as a client sees it: whole ones in full, others with twelve digits.
pub fn shown_number(value: f64) -> Vec<u8> {
    const WHOLE_MAX: f64 = 9.2e18;
    if value.is_nan() {
        return b"nan".to_vec();
    }
    if value.is_infinite() {
        return if value > 0.0 { b"inf".to_vec() } else { b"-inf".to_vec() };
    }
    if value == libm::trunc(value) && value.abs() < WHOLE_MAX {
        let mut out = Vec::new();
        number::write_i64(&mut out, value as i64);
        return out;
    }
    general(value, 12)
}

/// A number with so many digits, as C's `%g` writes it.
fn general(value: f64, digits: usize) -> Vec<u8> {
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific.into_bytes();
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let mantissa = trimmed(mantissa);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()).into_bytes();
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trimmed(&format!("{value:.decimals$}")).as_bytes().to_vec()
}

/// Decimals without the zeros at their end.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    #[test]
    fn numbers_are_shown_as_redis_shows_them() {
        let cases = [
            (3.0, "3"),
            (-0.5, "-0.5"),
            (3.605_551_275_463_989, "3.60555127546"),
            (6.373_878_785_249_7e18, "6373878785249699840"),
            (1e20, "1e+20"),
            (0.000_012_345, "1.2345e-05"),
            (0.2, "0.2"),
            (123_456.789, "123456.789"),
        ];
        for (value, expected) in cases {
            assert_eq!(String::from_utf8_lossy(&shown_number(value)), expected);
        }
    }

    #[test]
    fn numbers_compare_with_text_that_reads_like_one() {
        let text = Value::text(b"19");
        assert_eq!(text.compare(&Value::Number(20.0)), Ordering::Less);
        assert_eq!(text.compare(&Value::text(b"2")), Ordering::Less);
        assert_eq!(Value::Null.compare(&text), Ordering::Less);
        assert!(!Value::Null.is_true() && text.is_true() && !Value::Number(0.0).is_true());
    }

    #[test]
    fn the_order_is_one_of_any_number_of_values() {
        let list = |values: &[Value]| Value::List(values.to_vec());
        let (nine, ten) = (Value::text(b"9"), Value::text(b"10"));
        let all = [
            Value::Null,
            nine.clone(),
            ten.clone(),
            Value::Number(9.5),
            Value::Number(f64::NAN),
            Value::text(b"word"),
            list(&[]),
            list(&[nine, Value::Number(1.0)]),
            list(&[ten]),
        ];
        for one in &all {
            for other in &all {
                assert_eq!(one.order(other), other.order(one).reverse());
                for third in &all {
                    if one.order(other).is_le() && other.order(third).is_le() {
                        assert!(one.order(third).is_le(), "{one:?} {other:?} {third:?}");
                    }
                }
            }
        }
    }
}
