//! What operations on keys mean, by the shortest program that says it.
//!
//! A key holds a number, a list of numbers, or how many transactions a relayer has (the bundled plugin's
//! batches, in which many keys change at once). Steps on several keys that belong to one operation happen
//! at once. A *line* is the data as one primary after the other has it: a promotion begins another line
//! from what the replica had. What is not here: types that do not match, expiry, eviction.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// A key, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u32);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k:{}", self.0)
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `SET key number`
    Set(Key, i64),
    /// `SET key number NX`
    SetAbsent(Key, i64),
    /// `SET key number GET`
    Swap(Key, i64),
    /// `GET key`
    Get(Key),
    /// `INCRBY key number`
    Add(Key, i64),
    /// `DEL key`
    Delete(Key),
    /// `RPUSH key number`
    Push(Key, i64),
    /// `LPOP key`
    Pop(Key),
    /// `LRANGE key 0 -1`
    Range(Key),
    /// `LMOVE key key LEFT RIGHT`
    Move(Key, Key),
    /// `TX.CREATE relayer NEXT 0x1 1`: a transaction with the next nonce.
    Record(Key),
    /// `TX.NONCE relayer`: the nonce that is next.
    Nonce(Key),
    /// `TX.STATS relayer`: how many transactions there are, and how many are pending.
    Tally(Key),
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// `+OK`
    Done,
    /// Nil
    Nothing,
    /// An integer, or a string that is one.
    Number(i64),
    /// An array of such.
    Numbers(Vec<i64>),
}

impl Step {
    /// The keys it uses.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        match *self {
            Self::Set(key, _)
            | Self::SetAbsent(key, _)
            | Self::Swap(key, _)
            | Self::Get(key)
            | Self::Add(key, _)
            | Self::Delete(key)
            | Self::Push(key, _)
            | Self::Pop(key)
            | Self::Range(key)
            | Self::Record(key)
            | Self::Nonce(key)
            | Self::Tally(key) => vec![key],
            Self::Move(from, to) => vec![from, to],
        }
    }

    /// Whether it can change anything.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::Get(_) | Self::Range(_) | Self::Nonce(_) | Self::Tally(_))
    }

    /// The command's words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let line = match self {
            Self::Set(key, number) => format!("SET {key} {number}"),
            Self::SetAbsent(key, number) => format!("SET {key} {number} NX"),
            Self::Swap(key, number) => format!("SET {key} {number} GET"),
            Self::Get(key) => format!("GET {key}"),
            Self::Add(key, number) => format!("INCRBY {key} {number}"),
            Self::Delete(key) => format!("DEL {key}"),
            Self::Push(key, number) => format!("RPUSH {key} {number}"),
            Self::Pop(key) => format!("LPOP {key}"),
            Self::Range(key) => format!("LRANGE {key} 0 -1"),
            Self::Move(from, to) => format!("LMOVE {from} {to} LEFT RIGHT"),
            Self::Record(key) => format!("TX.CREATE {key} NEXT 0x1 1"),
            Self::Nonce(key) => format!("TX.NONCE {key}"),
            Self::Tally(key) => format!("TX.STATS {key}"),
        };
        line.split(' ').map(str::to_owned).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Content {
    Number(i64),
    List(VecDeque<i64>),
}

/// The keys that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data(BTreeMap<Key, Content>);

impl Data {
    fn number(&self, key: Key) -> Option<i64> {
        match self.0.get(&key) {
            Some(Content::Number(number)) => Some(*number),
            Some(Content::List(_)) => panic!("{key} is a list"),
            None => None,
        }
    }

    fn set(&mut self, key: Key, number: i64) {
        self.0.insert(key, Content::Number(number));
    }

    fn list(&mut self, key: Key) -> &mut VecDeque<i64> {
        match self.0.entry(key).or_insert_with(|| Content::List(VecDeque::new())) {
            Content::List(list) => list,
            Content::Number(_) => panic!("{key} is a number"),
        }
    }

    fn push(&mut self, key: Key, number: i64) -> Answer {
        self.list(key).push_back(number);
        Answer::Number(self.list(key).len() as i64)
    }

    fn pop(&mut self, key: Key) -> Option<i64> {
        let popped = self.list(key).pop_front();
        if self.list(key).is_empty() {
            self.0.remove(&key);
        }
        popped
    }

    /// Does one step.
    pub fn step(&mut self, step: &Step) -> Answer {
        let number_or_nothing =
            |number: Option<i64>| number.map_or(Answer::Nothing, Answer::Number);
        match *step {
            Step::Set(key, number) => {
                self.set(key, number);
                Answer::Done
            }
            Step::SetAbsent(key, _) if self.0.contains_key(&key) => Answer::Nothing,
            Step::SetAbsent(key, number) => {
                self.set(key, number);
                Answer::Done
            }
            Step::Swap(key, number) => {
                let old = self.number(key);
                self.set(key, number);
                number_or_nothing(old)
            }
            Step::Get(key) => number_or_nothing(self.number(key)),
            Step::Add(key, number) => {
                let sum = self.number(key).unwrap_or(0) + number;
                self.set(key, sum);
                Answer::Number(sum)
            }
            Step::Delete(key) => Answer::Number(i64::from(self.0.remove(&key).is_some())),
            Step::Push(key, number) => self.push(key, number),
            Step::Pop(key) => number_or_nothing(self.pop(key)),
            Step::Range(key) => match self.0.get(&key) {
                Some(Content::List(list)) => Answer::Numbers(list.iter().copied().collect()),
                _ => Answer::Numbers(Vec::new()),
            },
            Step::Move(from, to) => {
                let moved = self.pop(from);
                moved.into_iter().for_each(|number| {
                    self.push(to, number);
                });
                number_or_nothing(moved)
            }
            Step::Record(key) => {
                self.set(key, self.number(key).unwrap_or(0) + 1);
                Answer::Done
            }
            Step::Nonce(key) => Answer::Number(self.number(key).unwrap_or(0)),
            Step::Tally(key) => Answer::Numbers(vec![self.number(key).unwrap_or(0); 2]),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, content) in &self.0 {
            match content {
                Content::Number(number) => write!(f, "{key}={number} ")?,
                Content::List(list) => write!(f, "{key}={list:?} ")?,
            }
        }
        Ok(())
    }
}

/// What happens at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Steps on a line, all at once.
    Run {
        /// Whose data.
        line: usize,
        /// In this order.
        steps: Vec<Step>,
    },
    /// A replica has got no further than here: what becomes of its data is another line.
    Fork {
        /// The line that it was a copy of.
        from: usize,
        /// The line that begins.
        to: usize,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { line, steps } => {
                let lines: Vec<_> = steps.iter().map(|step| step.words().join(" ")).collect();
                write!(f, "[{line}] {}", lines.join("; "))
            }
            Self::Fork { from, to } => write!(f, "line {to} begins from line {from}"),
        }
    }
}

/// All lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World(Vec<Option<Data>>);

impl World {
    /// The first line, empty, and no other.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![Some(Data::default())])
    }

    /// What an action changes, and what it says; nothing if it cannot happen in this world.
    pub fn run(&mut self, action: &Action) -> Option<Vec<Answer>> {
        match action {
            Action::Run { line, steps } => {
                let data = self.0.get_mut(*line)?.as_mut()?;
                Some(steps.iter().map(|step| data.step(step)).collect())
            }
            Action::Fork { from, to } => {
                let data = self.0.get(*from)?.clone()?;
                self.0.resize(self.0.len().max(to + 1), None);
                self.0[*to].is_none().then(|| self.0[*to] = Some(data))?;
                Some(Vec::new())
            }
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, data) in self.0.iter().enumerate() {
            match data {
                Some(data) => write!(f, "[{line}] {data}")?,
                None => write!(f, "[{line}] not begun ")?,
            }
        }
        Ok(())
    }
}
