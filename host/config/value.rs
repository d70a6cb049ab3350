//! The value of a directive: read from words, shown by `CONFIG GET`, written to a file.
//!
//! Invariant: what [`Value::lines`] writes, [`Value::read`] reads back to an equal value. The texts
//! of refusals are those of Redis 7.0, except that a number of bytes whose unit overflows is
//! refused instead of wrapping around.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reef_engine::error::Error;
use reef_engine::notifications::Classes;

use super::directive::{Directive, Kind};
use super::limits::{BufferLimits, SavePoint};
use super::number;
use super::words;

/// The value of one directive.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `yes` or `no`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A file mode.
    Octal(i64),
    /// A number of bytes.
    Bytes(u64),
    /// A share in percent.
    Percent(u8),
    /// One word of a fixed set.
    Choice(&'static str),
    /// Words of a fixed set, in the order of the set.
    Switches(Vec<&'static str>),
    /// Free text.
    Text(Vec<u8>),
    /// A list of words.
    Words(Vec<Vec<u8>>),
    /// When to write a snapshot.
    Save(Vec<SavePoint>),
    /// Limits by class of client.
    BufferLimits(BufferLimits),
    /// Classes of keyspace events.
    Events(Classes),
    /// Numbers for the out-of-memory killer.
    Scores([i64; 3]),
    /// Percentiles.
    Percentiles(Vec<f64>),
    /// Host and port of the primary.
    Primary(Option<(Vec<u8>, u16)>),
    /// The directive has no value of its own: its lines are collected elsewhere.
    Collected,
}

/// The reason of a refusal.
pub(super) type Refusal = String;

const WRONG_COUNT: &str = "wrong number of arguments";

impl Value {
    /// Reads the arguments of a directive. `current` is the value it has now, which some
    /// directives change only in part.
    ///
    /// # Errors
    /// The reason, in the words of Redis.
    pub(super) fn read(
        directive: &Directive,
        arguments: &[Vec<u8>],
        current: Option<&Self>,
    ) -> Result<Self, Refusal> {
        let split;
        let arguments = match arguments {
            [one] if directive.kind.is_list() => {
                split = split_at_spaces(one);
                split.as_slice()
            }
            other => other,
        };
        let value = if directive.kind.is_list() {
            Self::read_list(directive.kind, arguments, current)?
        } else {
            let [argument] = arguments else { return Err(WRONG_COUNT.to_owned()) };
            Self::read_one(directive.kind, argument, current)?
        };
        Ok(value.clamped(directive.clamp))
    }

    fn read_one(kind: Kind, text: &[u8], current: Option<&Self>) -> Result<Self, Refusal> {
        match kind {
            Kind::Bool => {
                let refusal = || "argument must be 'yes' or 'no'".to_owned();
                choice(&["no", "yes"], text)
                    .map(|word| Self::Bool(word == "yes"))
                    .ok_or_else(refusal)
            }
            Kind::Integer { min, max } => number::integer(text)
                .ok_or_else(|| "argument couldn't be parsed into an integer".to_owned())
                .and_then(|number| within(number, min, max))
                .map(Self::Integer),
            Kind::Memory { min, max } => number::bytes(text)
                .ok_or_else(|| "argument must be a memory value".to_owned())
                .and_then(|number| within(number, min, max))
                .map(Self::Bytes),
            Kind::MemoryOrPercent => read_share(text),
            Kind::Octal { max } => number::octal(text)
                .ok_or_else(|| "argument couldn't be parsed as an octal number".to_owned())
                .and_then(|mode| match (0..=max).contains(&mode) {
                    true => Ok(Self::Octal(mode)),
                    false => Err(format!("argument must be between 0 and {max:o} inclusive")),
                }),
            Kind::PowerOfTwo { max } => number::integer(text)
                .filter(|number| (1..=max).contains(number) && number.count_ones() == 1)
                .map(Self::Integer)
                .ok_or_else(|| format!("argument must be a power of two between 1 and {max}")),
            Kind::Choice(set) => {
                choice(set, text).map(Self::Choice).ok_or_else(|| must_be_one_of(set))
            }
            Kind::Text(rule) => match rule(text) {
                Ok(()) => Ok(Self::Text(text.to_vec())),
                Err(why) => Err(why.to_owned()),
            },
            Kind::Folder => read_folder(text, current),
            Kind::Events => {
                let classes = Classes::parse(text).ok_or(Error::EVENT_CLASS)?;
                Ok(Self::Events(classes))
            }
            // Lists go through `read_list`, collected lines through their own types.
            _ => Err(WRONG_COUNT.to_owned()),
        }
    }

    fn read_list(kind: Kind, words: &[Vec<u8>], current: Option<&Self>) -> Result<Self, Refusal> {
        match kind {
            Kind::Switches(set) => read_switches(set, words),
            Kind::Addresses { max } if words.len() > max => {
                Err("Too many bind addresses specified.".to_owned())
            }
            Kind::Addresses { .. } if words == [b""] => Ok(Self::Words(Vec::new())),
            Kind::Addresses { .. } => Ok(Self::Words(words.to_vec())),
            Kind::Save => SavePoint::read(words).map(Self::Save),
            Kind::BufferLimits => {
                let mut limits = match current {
                    Some(Self::BufferLimits(limits)) => *limits,
                    _ => BufferLimits::default(),
                };
                limits.change(words)?;
                Ok(Self::BufferLimits(limits))
            }
            Kind::OomScores => read_scores(words),
            Kind::Percentiles => read_percentiles(words),
            Kind::Primary => read_primary(words),
            _ => Err(WRONG_COUNT.to_owned()),
        }
    }

    fn clamped(self, clamp: Option<(u64, u64)>) -> Self {
        match (self, clamp) {
            (Self::Bytes(bytes), Some((min, max))) => Self::Bytes(bytes.clamp(min, max)),
            (Self::Integer(number), Some((min, max))) => {
                let bound = |bound: u64| i64::try_from(bound).unwrap_or(i64::MAX);
                Self::Integer(number.clamp(bound(min), bound(max)))
            }
            (other, _) => other,
        }
    }

    /// As `CONFIG GET` shows it.
    pub fn show(&self) -> Vec<u8> {
        match self {
            Self::Bool(true) => b"yes".to_vec(),
            Self::Bool(false) => b"no".to_vec(),
            Self::Integer(number) => number.to_string().into_bytes(),
            Self::Octal(mode) => format!("{mode:o}").into_bytes(),
            Self::Bytes(bytes) => bytes.to_string().into_bytes(),
            Self::Percent(percent) => format!("{percent}%").into_bytes(),
            Self::Choice(word) => word.as_bytes().to_vec(),
            Self::Switches(words) => words.join(" ").into_bytes(),
            Self::Text(text) => text.clone(),
            Self::Words(words) => words.join(&b' '),
            Self::Save(points) => SavePoint::show(points).into_bytes(),
            Self::BufferLimits(limits) => limits.show().into_bytes(),
            Self::Events(events) => events.to_string().into_bytes(),
            Self::Scores(scores) => scores.map(|score| score.to_string()).join(" ").into_bytes(),
            Self::Percentiles(list) => list
                .iter()
                .map(|&one| number::show_decimal(one))
                .collect::<Vec<_>>()
                .join(" ")
                .into(),
            Self::Primary(None) | Self::Collected => Vec::new(),
            Self::Primary(Some((host, port))) => {
                let mut text = host.clone();
                text.extend_from_slice(format!(" {port}").as_bytes());
                text
            }
        }
    }

    /// The lines that say this value in a file. `default` leaves out, where a directive takes
    /// several lines, those that say no more than the default; the second part of a line tells
    /// whether it says more.
    pub(super) fn lines(&self, name: &str, default: &Self) -> Vec<(String, bool)> {
        let differs = self != default;
        let one = |text: String| vec![(format!("{name} {text}"), differs)];
        match self {
            Self::Bytes(bytes) => one(number::show_bytes(*bytes)),
            Self::Text(text) => one(words::quote(text)),
            Self::Events(events) => one(words::quote(events.letters().as_bytes())),
            Self::Words(list) if !list.is_empty() => one(list
                .iter()
                .map(|word| words::quote_if_needed(word))
                .collect::<Vec<_>>()
                .join(" ")),
            Self::Primary(Some((host, port))) => {
                one(format!("{} {port}", words::quote_if_needed(host)))
            }
            Self::Primary(None) | Self::Collected => Vec::new(),
            Self::Save(points) if !points.is_empty() => points
                .iter()
                .map(|point| (format!("{name} {}", SavePoint::show(&[*point])), differs))
                .collect(),
            Self::BufferLimits(limits) => limits.lines(name, default),
            other => {
                let shown = other.show();
                let text = if shown.is_empty() { words::quote(&shown) } else { lossy(&shown) };
                one(text)
            }
        }
    }
}

/// The text that stands for these bytes where only text can stand.
pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the operating system says went wrong, without its number.
pub(super) fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn split_at_spaces(text: &[u8]) -> Vec<Vec<u8>> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect()
}

fn choice(set: &[&'static str], text: &[u8]) -> Option<&'static str> {
    set.iter().copied().find(|word| word.as_bytes().eq_ignore_ascii_case(text))
}

fn must_be_one_of(set: &[&str]) -> Refusal {
    format!("argument(s) must be one of the following: {}", set.join(", "))
}

fn within<N: PartialOrd + std::fmt::Display>(number: N, min: N, max: N) -> Result<N, Refusal> {
    if number < min || number > max {
        return Err(format!("argument must be between {min} and {max} inclusive"));
    }
    Ok(number)
}

fn read_share(text: &[u8]) -> Result<Value, Refusal> {
    let percent = text.strip_suffix(b"%").and_then(number::integer).filter(|&share| share >= 0);
    match percent {
        Some(0) => Ok(Value::Bytes(0)),
        Some(share @ 1..=100) => Ok(Value::Percent(u8::try_from(share).unwrap_or(100))),
        Some(_) => Err("percentage argument must be less or equal to 100".to_owned()),
        None => number::bytes(text)
            .map(Value::Bytes)
            .ok_or_else(|| "argument must be a memory or percent value".to_owned()),
    }
}

/// A relative folder starts at the current one, so that `CONFIG SET dir ..` goes one up.
fn read_folder(text: &[u8], current: Option<&Value>) -> Result<Value, Refusal> {
    if text.is_empty() {
        return Err("No such file or directory".to_owned());
    }
    let base = match current {
        Some(Value::Text(folder)) => path(folder),
        _ => PathBuf::new(),
    };
    let folder = fs::canonicalize(base.join(path(text))).map_err(|error| os_text(&error))?;
    if !folder.is_dir() {
        return Err("Not a directory".to_owned());
    }
    Ok(Value::Text(path_bytes(&folder)))
}

/// The path that these bytes name.
#[cfg(unix)]
pub(super) fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// The path that these bytes name.
#[cfg(not(unix))]
pub(super) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(lossy(bytes))
}

/// The bytes that name this path.
pub(super) fn path_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

fn read_switches(set: &'static [&'static str], words: &[Vec<u8>]) -> Result<Value, Refusal> {
    let mut given = Vec::with_capacity(words.len());
    for word in words {
        given.push(choice(set, word).ok_or_else(|| must_be_one_of(set))?);
    }
    if given.is_empty() {
        return Err(must_be_one_of(set));
    }
    if given.contains(&"save") && given.contains(&"nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".to_owned());
    }
    let (none, others) = set.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
    let chosen: Vec<_> = others.iter().copied().filter(|word| given.contains(word)).collect();
    Ok(Value::Switches(if chosen.is_empty() { vec![none] } else { chosen }))
}

fn read_scores(words: &[Vec<u8>]) -> Result<Value, Refusal> {
    const SCORE_MAX: i64 = 2000;
    let invalid =
        || "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned();
    let [master, replica, child] = words else { return Err(WRONG_COUNT.to_owned()) };
    let mut scores = [0; 3];
    for (score, word) in scores.iter_mut().zip([master, replica, child]) {
        *score = number::integer(word)
            .filter(|number| (-SCORE_MAX..=SCORE_MAX).contains(number))
            .ok_or_else(invalid)?;
    }
    Ok(Value::Scores(scores))
}

fn read_percentiles(words: &[Vec<u8>]) -> Result<Value, Refusal> {
    let mut list = Vec::with_capacity(words.len());
    // A lone empty argument empties the list.
    for word in words.iter().filter(|word| words.len() > 1 || !word.is_empty()) {
        let percentile = str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|number| !number.is_nan())
            .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&percentile) {
            return Err(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                    .to_owned(),
            );
        }
        list.push(percentile);
    }
    Ok(Value::Percentiles(list))
}

fn read_primary(words: &[Vec<u8>]) -> Result<Value, Refusal> {
    let [host, port] = words else { return Err(WRONG_COUNT.to_owned()) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(Value::Primary(None));
    }
    let port = number::integer(port).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or("Invalid master port")?;
    Ok(Value::Primary(Some((host.clone(), port))))
}
