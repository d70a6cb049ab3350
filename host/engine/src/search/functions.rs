//! The functions of expressions.

use alloc::vec::Vec;

use super::expression::{Undefined, Value};
use crate::types::geo_shape;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function(&'static Definition);

/// What a function does.
type Compute = fn(&[Value]) -> Result<Value, Undefined>;

#[derive(Debug)]
struct Definition {
    name: &'static str,
    arguments: core::ops::RangeInclusive<usize>,
    compute: Compute,
}

impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Definition {}

const fn function(name: &'static str, least: usize, most: usize, compute: Compute) -> Definition {
    Definition { name, arguments: least..=most, compute }
}

/// So many arguments are as good as any number.
const MANY: usize = 1000;

static FUNCTIONS: [Definition; 31] = [
    function("log", 1, 1, |values| math(values, libm::log)),
    function("log2", 1, 1, |values| math(values, libm::log2)),
    function("exp", 1, 1, |values| math(values, libm::exp)),
    function("abs", 1, 1, |values| math(values, libm::fabs)),
    function("ceil", 1, 1, |values| math(values, libm::ceil)),
    function("floor", 1, 1, |values| math(values, libm::floor)),
    function("sqrt", 1, 1, |values| math(values, libm::sqrt)),
    function("upper", 1, 1, upper),
    function("lower", 1, 1, lower),
    function("strlen", 1, 1, |values| Ok(Value::Number(text(values, 0)?.len() as f64))),
    function("startswith", 2, 2, starts_with),
    function("contains", 2, 2, contains),
    function("substr", 3, 3, substr),
    function("split", 1, 3, split),
    function("format", 1, MANY, format),
    function("concat", 1, MANY, concat),
    function("to_number", 1, 1, to_number),
    function("to_str", 1, 1, |values| Ok(Value::Text(text(values, 0)?.into()))),
    function("exists", 1, 1, |values| Ok(Value::truth(values.first() != Some(&Value::Null)))),
    function("case", 3, 3, case),
    function("hour", 1, 1, |values| floored(values, 3600)),
    function("minute", 1, 1, |values| floored(values, 60)),
    function("day", 1, 1, |values| floored(values, DAY_S)),
    function("month", 1, 1, |values| date(values, |date| date.month_start())),
    function("dayofweek", 1, 1, |values| date(values, |date| date.weekday())),
    function("dayofmonth", 1, 1, |values| date(values, |date| date.day)),
    function("dayofyear", 1, 1, |values| date(values, |date| date.day_of_year())),
    function("monthofyear", 1, 1, |values| date(values, |date| date.month - 1)),
    function("year", 1, 1, |values| date(values, |date| date.year)),
    function("timefmt", 1, 2, timefmt),
    function("geodistance", 2, 4, geodistance),
];

impl Function {
    /// The function of this name.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let is_it = |known: &&Definition| known.name.as_bytes().eq_ignore_ascii_case(name);
        FUNCTIONS.iter().find(is_it).map(Self)
    }

    /// Whether it takes so many arguments.
    pub fn accepts(self, count: usize) -> bool {
        self.0.arguments.contains(&count)
    }

    /// Its value for these arguments.
    pub fn value(self, arguments: &[Value]) -> Result<Value, Undefined> {
        (self.0.compute)(arguments)
    }
}

fn number(values: &[Value], at: usize) -> Result<f64, Undefined> {
    values.get(at).and_then(Value::as_number).ok_or(Undefined)
}

fn text(values: &[Value], at: usize) -> Result<Vec<u8>, Undefined> {
    match values.get(at) {
        None | Some(Value::Null) => Err(Undefined),
        Some(value) => Ok(value.shown()),
    }
}

fn math(values: &[Value], compute: fn(f64) -> f64) -> Result<Value, Undefined> {
    Ok(Value::Number(compute(number(values, 0)?)))
}

fn upper(values: &[Value]) -> Result<Value, Undefined> {
    let text = text(values, 0)?;
    let upper = core::str::from_utf8(&text).map(|text| text.to_uppercase().into_bytes());
    Ok(Value::Text(upper.unwrap_or_else(|_| text.to_ascii_uppercase()).into()))
}

fn lower(values: &[Value]) -> Result<Value, Undefined> {
    let mut text = text(values, 0)?;
    super::tokens::lower(&mut text);
    Ok(Value::Text(text.into()))
}

fn starts_with(values: &[Value]) -> Result<Value, Undefined> {
    Ok(Value::truth(text(values, 0)?.starts_with(&text(values, 1)?)))
}

/// How often a text is in another; an empty one once more than that has letters.
fn contains(values: &[Value]) -> Result<Value, Undefined> {
    let (text, part) = (text(values, 0)?, text(values, 1)?);
    if part.is_empty() {
        return Ok(Value::Number((text.len() + 1) as f64));
    }
    let (mut count, mut rest) = (0_u32, &text[..]);
    while let Some(at) = rest.windows(part.len()).position(|window| window == part) {
        count += 1;
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    Ok(Value::Number(count.into()))
}

fn substr(values: &[Value]) -> Result<Value, Undefined> {
    let (text, from, count) = (text(values, 0)?, number(values, 1)?, number(values, 2)?);
    let from = if from < 0.0 { (text.len() as f64 + from).max(0.0) } else { from } as usize;
    let from = from.min(text.len());
    let end = if count < 0.0 {
        (text.len() as f64 + count).max(0.0) as usize
    } else {
        from.saturating_add(count as usize)
    };
    Ok(Value::text(text.get(from..end.min(text.len())).unwrap_or_default()))
}

fn split(values: &[Value]) -> Result<Value, Undefined> {
    let text_of = |at: usize, default: &[u8]| match values.get(at) {
        Some(_) => text(values, at),
        None => Ok(default.to_vec()),
    };
    let (whole, separators, strip) = (text(values, 0)?, text_of(1, b",")?, text_of(2, b" ")?);
    let parts = whole.split(|byte| separators.contains(byte)).map(|part| {
        let from = part.iter().position(|byte| !strip.contains(byte)).unwrap_or(part.len());
        let end = part.iter().rposition(|byte| !strip.contains(byte)).map_or(from, |at| at + 1);
        part.get(from..end).unwrap_or_default()
    });
    let parts = parts.filter(|part| !part.is_empty());
    Ok(Value::List(parts.map(Value::text).collect()))
}

/// Longer texts are not made of others: each step of an aggregation could double them.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Appends to a text that may not become too long.
fn append(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Undefined> {
    if out.len() + bytes.len() > TEXT_BYTES_MAX {
        return Err(Undefined);
    }
    out.extend_from_slice(bytes);
    Ok(())
}

fn format(values: &[Value]) -> Result<Value, Undefined> {
    let pattern = text(values, 0)?;
    let mut arguments = values.iter().skip(1);
    let (mut out, mut bytes) = (Vec::new(), pattern.iter());
    while let Some(byte) = bytes.next() {
        match (byte, (*byte == b'%').then(|| bytes.next()).flatten()) {
            (b'%', Some(b'%')) => out.push(b'%'),
            (b'%', Some(b's')) => match arguments.next() {
                Some(Value::Null) => append(&mut out, b"(null)")?,
                Some(value) => append(&mut out, &value.shown())?,
                None => return Err(Undefined),
            },
            (b'%', _) => return Err(Undefined),
            (other, _) => out.push(*other),
        }
    }
    Ok(Value::Text(out.into()))
}

fn concat(values: &[Value]) -> Result<Value, Undefined> {
    let mut out = Vec::new();
    values.iter().try_for_each(|value| append(&mut out, &value.shown()))?;
    Ok(Value::Text(out.into()))
}

fn to_number(values: &[Value]) -> Result<Value, Undefined> {
    number(values, 0).map(Value::Number)
}

fn case(values: &[Value]) -> Result<Value, Undefined> {
    let [condition, yes, no] = values else { return Err(Undefined) };
    Ok(if condition.is_true() { yes.clone() } else { no.clone() })
}

const DAY_S: i64 = 86_400;

fn seconds(values: &[Value]) -> Result<i64, Undefined> {
    let value = number(values, 0)?;
    // Beyond these the calendar ends.
    if value.abs() < 1e14 { Ok(libm::floor(value) as i64) } else { Err(Undefined) }
}

fn floored(values: &[Value], unit_s: i64) -> Result<Value, Undefined> {
    let seconds = seconds(values)?;
    Ok(Value::Number((seconds - seconds.rem_euclid(unit_s)) as f64))
}

/// A day of the calendar.
struct Date {
    days: i64,
    year: i64,
    /// From 1 on.
    month: i64,
    /// From 1 on.
    day: i64,
}

impl Date {
    /// The day that is so many days after the beginning of 1970.
    fn of_days(days: i64) -> Self {
        // Years begin in March here, so that the leap day is the last one.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { days, year, month, day }
    }

    fn weekday(&self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }

    fn day_of_year(&self) -> i64 {
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let month = usize::try_from(self.month - 1).unwrap_or(0);
        let leap = i64::from(is_leap && self.month > 2);
        before.get(month).copied().unwrap_or(0) + leap + self.day - 1
    }

    fn month_start(&self) -> i64 {
        (self.days - self.day + 1) * DAY_S
    }
}

fn date(values: &[Value], part: fn(&Date) -> i64) -> Result<Value, Undefined> {
    let date = Date::of_days(seconds(values)?.div_euclid(DAY_S));
    Ok(Value::Number(part(&date) as f64))
}

/// A time as text: year, month, day, hour, minute and second as C's `strftime` names them.
fn timefmt(values: &[Value]) -> Result<Value, Undefined> {
    let at = seconds(values)?;
    let pattern = match values.get(1) {
        Some(_) => text(values, 1)?,
        None => b"%FT%TZ".to_vec(),
    };
    let date = Date::of_days(at.div_euclid(DAY_S));
    let second = at.rem_euclid(DAY_S);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (mut out, mut bytes) = (alloc::string::String::new(), pattern.iter());
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            out.push(char::from(*byte));
            continue;
        }
        let piece = match bytes.next() {
            Some(b'Y') => alloc::format!("{:04}", date.year),
            Some(b'm') => alloc::format!("{:02}", date.month),
            Some(b'd') => alloc::format!("{:02}", date.day),
            Some(b'H') => alloc::format!("{hour:02}"),
            Some(b'M') => alloc::format!("{minute:02}"),
            Some(b'S') => alloc::format!("{second:02}"),
            Some(b'F') => alloc::format!("{:04}-{:02}-{:02}", date.year, date.month, date.day),
            Some(b'T') => alloc::format!("{hour:02}:{minute:02}:{second:02}"),
            Some(b'j') => alloc::format!("{:03}", date.day_of_year() + 1),
            Some(b'%') => "%".into(),
            _ => return Err(Undefined),
        };
        out.push_str(&piece);
    }
    Ok(Value::Text(out.into_bytes().into()))
}

fn geodistance(values: &[Value]) -> Result<Value, Undefined> {
    let (mut positions, mut pending) = (Vec::new(), None);
    for (at, value) in values.iter().enumerate() {
        let position = super::drafting::parse_position(&text(values, at)?);
        match (position, pending) {
            (Some(position), None) => positions.push(position),
            (None, None) => pending = Some(value.as_number().ok_or(Undefined)?),
            (_, Some(longitude)) => {
                let latitude = value.as_number().ok_or(Undefined)?;
                let position = crate::types::geohash::Position::new(longitude, latitude);
                positions.push(position.ok_or(Undefined)?);
                pending = None;
            }
        }
    }
    let [from, to] = positions[..] else { return Err(Undefined) };
    Ok(Value::Number(libm::round(geo_shape::distance(from, to) * 100.0) / 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, values: &[Value]) -> Value {
        let function = Function::of_name(name.as_bytes()).expect("a function");
        assert!(function.accepts(values.len()));
        function.value(values).unwrap_or_default()
    }

    #[test]
    fn texts_are_taken_apart() {
        let abc = Value::text(b"abcabc");
        assert_eq!(call("contains", &[abc.clone(), Value::text(b"bc")]), Value::Number(2.0));
        assert_eq!(call("startswith", &[abc.clone(), Value::text(b"ab")]), Value::truth(true));
        let part = |from, count| [abc.clone(), Value::Number(from), Value::Number(count)];
        assert_eq!(call("substr", &part(1.0, 2.0)), Value::text(b"bc"));
        assert_eq!(call("substr", &part(-2.0, -1.0)), Value::text(b"b"));
        assert_eq!(call("substr", &part(1e300, 1e300)), Value::text(b""));
        let parts = call("split", &[Value::text(b"a, b,,c ")]);
        assert_eq!(parts, Value::List([b"a", b"b", b"c"].map(|t| Value::text(t)).to_vec()));
        let long = Value::text(&alloc::vec![b'x'; TEXT_BYTES_MAX / 2 + 1]);
        assert_eq!(call("concat", &[long.clone(), long.clone()]), Value::Null);
        assert_eq!(call("concat", core::slice::from_ref(&long)), long);
        assert_eq!(call("format", &[Value::text(b"%s%s"), long.clone(), long]), Value::Null);
        let words = [Value::text(b"%s-%s%%"), Value::Number(1.5), Value::text(b"x")];
        assert_eq!(call("format", &words), Value::text(b"1.5-x%"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = [Value::Number(1_709_210_096.0)];
        assert_eq!(call("timefmt", &at), Value::text(b"2024-02-29T12:34:56Z"));
        assert_eq!(call("year", &at), Value::Number(2024.0));
        assert_eq!(call("monthofyear", &at), Value::Number(1.0));
        assert_eq!(call("dayofmonth", &at), Value::Number(29.0));
        assert_eq!(call("dayofweek", &at), Value::Number(4.0));
        assert_eq!(call("dayofyear", &at), Value::Number(59.0));
        assert_eq!(call("month", &at), Value::Number(1_706_745_600.0));
        assert_eq!(call("timefmt", &[Value::Number(-1.0)]), Value::text(b"1969-12-31T23:59:59Z"));
    }
}
