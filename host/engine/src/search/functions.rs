//! The functions of expressions.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::expression::{Undefined, Value};
use crate::types::geo_shape;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function(&'static Definition);

/// What a function does.
type Compute = fn(&[Value]) -> Result<Value, Undefined>;

/// A value that cannot be told is nothing.
const NOTHING: Result<Value, Undefined> = Ok(Value::Null);

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

static FUNCTIONS: [Definition; 32] = [
    function("log", 1, 1, |values| math(values, libm::log)),
    function("log2", 1, 1, |values| math(values, libm::log2)),
    function("exp", 1, 1, |values| math(values, libm::exp)),
    function("abs", 1, 1, |values| math(values, libm::fabs)),
    function("ceil", 1, 1, |values| math(values, libm::ceil)),
    function("floor", 1, 1, |values| math(values, libm::floor)),
    function("sqrt", 1, 1, |values| math(values, libm::sqrt)),
    function("upper", 1, 1, |values| with_letters(values, <[u8]>::to_ascii_uppercase)),
    function("lower", 1, 1, |values| with_letters(values, <[u8]>::to_ascii_lowercase)),
    function("strlen", 1, 1, |values| Ok(Value::Number(text(values, 0, "strlen")?.len() as f64))),
    function("startswith", 2, 2, starts_with),
    function("contains", 2, 2, contains),
    function("substr", 3, 3, substr),
    function("split", 1, 3, split),
    function("format", 1, MANY, format),
    function("concat", 1, MANY, concat),
    function("to_number", 1, 1, to_number),
    function("to_str", 1, 1, to_text),
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
    function("parsetime", 2, 2, parsetime),
    function("geodistance", 2, 4, geodistance),
];

impl Function {
    /// The function of this name.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        let is_it = |known: &&Definition| known.name.as_bytes().eq_ignore_ascii_case(name);
        FUNCTIONS.iter().find(is_it).map(Self)
    }

    /// Whether it is told that a value is missing rather than having none itself.
    pub fn asks_whether_there_is(self) -> bool {
        self.0.name == "exists"
    }

    /// Whether it is the second or the third argument, of which the other has no value then.
    pub fn chooses(self) -> bool {
        self.0.name == "case"
    }

    /// What is wrong if it is given another number of arguments.
    pub fn refusal(self) -> alloc::string::String {
        match self.0.name {
            "split" | "log" | "log2" | "exp" | "ceil" | "floor" | "sqrt" => {
                alloc::format!("Invalid number of arguments for {}", self.0.name)
            }
            "format" => "Need at least one argument for format".into(),
            name => alloc::format!("Invalid arguments for function '{name}'"),
        }
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

fn number(values: &[Value], at: usize) -> Option<f64> {
    values.get(at).and_then(Value::as_number)
}

/// An argument that has to be text; otherwise what is wrong with it.
fn text<'v>(values: &'v [Value], at: usize, function: &str) -> Result<&'v [u8], Undefined> {
    match values.get(at) {
        Some(Value::Text(text)) => Ok(text),
        other => Err(wrong_type(other, at, function, "VALIDATE_ARG__STRING(v, 0)")),
    }
}

/// An argument that has to be a number, not text that reads like one.
fn whole(values: &[Value], at: usize, function: &str) -> Result<i64, Undefined> {
    match values.get(at) {
        Some(Value::Number(number)) => Ok(libm::trunc(*number) as i64),
        other => Err(wrong_type(other, at, function, "VALIDATE_ARG__TYPE(v, RSValue_Number)")),
    }
}

/// Says as RediSearch does, whose types have numbers, that an argument is of another type.
fn wrong_type(value: Option<&Value>, at: usize, function: &str, check: &str) -> Undefined {
    let kind = match value {
        None | Some(Value::Null) => 4,
        Some(Value::Number(_)) => 1,
        Some(Value::Text(_)) => 3,
        Some(Value::List(_)) => 6,
        Some(Value::Whole(_)) => 9,
    };
    Undefined(Cow::Owned(alloc::format!(
        "Invalid type ({kind}) for argument {at} in function '{function}'. {check} was false."
    )))
}

fn math(values: &[Value], compute: fn(f64) -> f64) -> Result<Value, Undefined> {
    Ok(Value::Number(number(values, 0).map_or(f64::NAN, compute)))
}

/// A text with all letters of ASCII changed; anything else is nothing.
fn with_letters(values: &[Value], change: fn(&[u8]) -> Vec<u8>) -> Result<Value, Undefined> {
    match values.first() {
        Some(Value::Text(text)) => Ok(Value::Text(change(text).into())),
        _ => NOTHING,
    }
}

fn starts_with(values: &[Value]) -> Result<Value, Undefined> {
    let (whole, part) = (text(values, 0, "startswith")?, text(values, 1, "startswith")?);
    Ok(Value::truth(whole.starts_with(part)))
}

/// At how many places a text is in another; an empty one at one more than that has letters.
fn contains(values: &[Value]) -> Result<Value, Undefined> {
    let (whole, part) = (text(values, 0, "contains")?, text(values, 1, "contains")?);
    if part.is_empty() {
        return Ok(Value::Number((whole.len() + 1) as f64));
    }
    Ok(Value::Number(occurrences(whole, part) as f64))
}

/// How often a text is in another, also where it overlaps with itself (Knuth, Morris, Pratt).
fn occurrences(whole: &[u8], part: &[u8]) -> usize {
    let mut borders = alloc::vec![0_usize; part.len()];
    let step = |borders: &[usize], mut matched: usize, byte: u8| {
        while matched > 0 && part.get(matched) != Some(&byte) {
            matched = borders.get(matched - 1).copied().unwrap_or(0);
        }
        matched + usize::from(part.get(matched) == Some(&byte))
    };
    for (at, byte) in part.iter().enumerate().skip(1) {
        let border = step(&borders, borders[at - 1], *byte);
        borders[at] = border;
    }
    let (mut matched, mut count) = (0, 0);
    for byte in whole {
        matched = step(&borders, matched, *byte);
        count += usize::from(matched == part.len());
    }
    count
}

fn substr(values: &[Value]) -> Result<Value, Undefined> {
    let (from, count) = (whole(values, 1, "substr")?, whole(values, 2, "substr")?);
    let Some(Value::Text(text)) = values.first() else {
        return Err(Undefined::text("Invalid type for substr. Expected string"));
    };
    let len = text.len() as i64;
    let from = if from < 0 { len.saturating_add(from) } else { from }.clamp(0, len);
    let count = if count < 0 { (len - from).saturating_add(count) } else { count };
    let count = count.clamp(0, len - from);
    let part = text.get(from as usize..(from + count) as usize);
    Ok(Value::text(part.unwrap_or_default()))
}

fn split(values: &[Value]) -> Result<Value, Undefined> {
    /// More parts are left out.
    const PARTS_MAX: usize = 1024;
    let text_or = |at: usize, default: &'static [u8]| match values.get(at) {
        Some(_) => text(values, at, "split"),
        None => Ok(default),
    };
    let whole = text(values, 0, "split")?;
    let (separators, strip) = (text_or(1, b",")?, text_or(2, b" ")?);
    let parts = whole.split(|byte| separators.contains(byte)).map(|part| {
        let from = part.iter().position(|byte| !strip.contains(byte)).unwrap_or(part.len());
        let end = part.iter().rposition(|byte| !strip.contains(byte)).map_or(from, |at| at + 1);
        part.get(from..end).unwrap_or_default()
    });
    let parts = parts.filter(|part| !part.is_empty());
    Ok(Value::List(parts.take(PARTS_MAX).map(Value::text).collect()))
}

/// Longer texts are not made of others: each step of an aggregation could double them.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Appends to a text that may not become too long.
fn append(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Undefined> {
    if out.len() + bytes.len() > TEXT_BYTES_MAX {
        return Err(Undefined::text("Text is too long"));
    }
    out.extend_from_slice(bytes);
    Ok(())
}

fn format(values: &[Value]) -> Result<Value, Undefined> {
    let pattern = text(values, 0, "format")?;
    let mut arguments = values.iter().skip(1);
    let (mut out, mut bytes) = (Vec::new(), pattern.iter());
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            append(&mut out, &[*byte])?;
            continue;
        }
        let kind = bytes.next().ok_or(Undefined::text("Bad format string!"))?;
        if *kind == b'%' {
            append(&mut out, b"%")?;
            continue;
        }
        let value = arguments.next().ok_or(Undefined::text("Not enough arguments for format"))?;
        match (kind, value) {
            (b's', Value::Null) => append(&mut out, b"(null)")?,
            (b's', value) => append(&mut out, &value.shown())?,
            _ => return Err(Undefined::text("Unknown format specifier passed")),
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
    match (number(values, 0), values.first()) {
        (Some(number), _) => Ok(Value::Number(number)),
        (None, value) => {
            let text = value.map(Value::shown).unwrap_or_default();
            let text = alloc::string::String::from_utf8_lossy(&text);
            let why = alloc::format!("to_number: cannot convert string '{text}'");
            Err(Undefined(Cow::Owned(why)))
        }
    }
}

fn to_text(values: &[Value]) -> Result<Value, Undefined> {
    let shown = values.first().map(Value::shown);
    Ok(shown.map_or(Value::Null, |text| Value::Text(text.into())))
}

fn case(values: &[Value]) -> Result<Value, Undefined> {
    let [condition, yes, no] = values else { return NOTHING };
    Ok(if condition.is_true() { yes.clone() } else { no.clone() })
}

const DAY_S: i64 = 86_400;

fn seconds(values: &[Value]) -> Option<i64> {
    // Beyond these the calendar ends.
    let value = number(values, 0).filter(|value| value.abs() < 1e14)?;
    Some(libm::floor(value) as i64)
}

/// The same, not before 1970.
fn seconds_from_epoch(values: &[Value]) -> Option<i64> {
    seconds(values).filter(|seconds| *seconds >= 0)
}

fn floored(values: &[Value], unit_s: i64) -> Result<Value, Undefined> {
    let Some(seconds) = seconds_from_epoch(values) else { return NOTHING };
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
    let Some(seconds) = seconds_from_epoch(values) else { return NOTHING };
    Ok(Value::Number(part(&Date::of_days(seconds.div_euclid(DAY_S))) as f64))
}

/// A time as text: year, month, day, hour, minute and second as C's `strftime` names them.
fn timefmt(values: &[Value]) -> Result<Value, Undefined> {
    let pattern = match values.get(1) {
        Some(_) => text(values, 1, "timefmt")?,
        None => b"%FT%TZ",
    };
    let Some(at) = seconds(values) else { return NOTHING };
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
            _ => return NOTHING,
        };
        out.push_str(&piece);
    }
    Ok(Value::Text(out.into_bytes().into()))
}

/// The seconds from 1970 to a time that is written as a pattern of [`timefmt`] says.
fn parsetime(values: &[Value]) -> Result<Value, Undefined> {
    let (written, pattern) = (text(values, 0, "parsetime")?, text(values, 1, "parsetime")?);
    Ok(read_time(written, pattern).map_or(Value::Null, |seconds| Value::Number(seconds as f64)))
}

fn read_time(mut rest: &[u8], pattern: &[u8]) -> Option<i64> {
    let (mut year, mut month, mut day, mut second) = (1970, 1, 1, 0);
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        if byte.is_ascii_whitespace() {
            rest = rest.trim_ascii_start();
            continue;
        }
        if *byte != b'%' {
            rest = rest.strip_prefix(&[*byte])?;
            continue;
        }
        match bytes.next()? {
            b'Y' => year = digits(&mut rest, 4, 0..=9999)?,
            b'm' => month = digits(&mut rest, 2, 1..=12)?,
            b'd' => day = digits(&mut rest, 2, 1..=31)?,
            b'H' => second += digits(&mut rest, 2, 0..=23)? * 3600,
            b'M' => second += digits(&mut rest, 2, 0..=59)? * 60,
            b'S' => second += digits(&mut rest, 2, 0..=60)?,
            b'F' => {
                let mut part = |len, range| {
                    let value = digits(&mut rest, len, range);
                    rest = rest.strip_prefix(b"-").unwrap_or(rest);
                    value
                };
                (year, month, day) = (part(4, 0..=9999)?, part(2, 1..=12)?, part(2, 1..=31)?);
            }
            b'T' => {
                let mut part = |range| {
                    let value = digits(&mut rest, 2, range);
                    rest = rest.strip_prefix(b":").unwrap_or(rest);
                    value
                };
                second += part(0..=23)? * 3600 + part(0..=59)? * 60 + part(0..=60)?;
            }
            b'%' => rest = rest.strip_prefix(b"%")?,
            _ => return None,
        }
    }
    Some(days_of(year, month, day) * DAY_S + second)
}

/// Takes a number of at most so many digits.
fn digits(rest: &mut &[u8], most: usize, range: core::ops::RangeInclusive<i64>) -> Option<i64> {
    *rest = rest.trim_ascii_start();
    let len = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    let value = number.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    (!number.is_empty() && range.contains(&value)).then_some(value)
}

/// How many days there are from the beginning of 1970 to a day of the calendar.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, as in `Date::of_days`.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How far two positions are apart: each is a text, or two numbers.
fn geodistance(values: &[Value]) -> Result<Value, Undefined> {
    const WRONG: Undefined = Undefined::text("Invalid arguments for function 'geodistance'");
    let (mut positions, mut pending) = (Vec::new(), None);
    for value in values {
        let position = super::drafting::parse_position(&value.shown());
        match (position, pending) {
            (Some(position), None) => positions.push(position),
            (None, None) => pending = Some(value.as_number().ok_or(WRONG)?),
            (_, Some(longitude)) => {
                let latitude = value.as_number().ok_or(WRONG)?;
                let position = crate::types::geohash::Position::new(longitude, latitude);
                positions.push(position.ok_or(WRONG)?);
                pending = None;
            }
        }
    }
    let [from, to] = positions[..] else { return Err(WRONG) };
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
        let overlapping = [Value::text(b"abababa"), Value::text(b"aba")];
        assert_eq!(call("contains", &overlapping), Value::Number(3.0));
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
        assert_eq!(call("day", &[Value::Number(-1.0)]), Value::Null);
        for second in [0, 68_256_000, 951_782_399, 1_709_210_096, 4_102_444_800_i64] {
            let shown = call("timefmt", &[Value::Number(second as f64)]);
            let read = call("parsetime", &[shown, Value::text(b"%FT%TZ")]);
            assert_eq!(read, Value::Number(second as f64));
        }
        let wrong = [Value::text(b"2024-13-01"), Value::text(b"%F")];
        assert_eq!(call("parsetime", &wrong), Value::Null);
    }
}
