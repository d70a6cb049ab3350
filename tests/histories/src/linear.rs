//! Whether one order of all operations explains every reply, and agrees with time: linearizability.
//!
//! The idea is Wing and Gong's search, done just in time (Lowe, "Testing for linearizability"): going through
//! the history by time, keep every *possibility* (the data, and which operations under way have happened
//! already), each once. When an operation returns, only those remain in which it has happened, said what
//! it said. If none remains, the history is wrong, and this operation is where it shows.
//!
//! Keys that never meet in one operation are judged apart; linearizability allows that (it is local).
//! An operation whose outcome is unknown may happen at any time until it is over, or never.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;

use crate::history::{NEVER, Operation};
use crate::model::{Key, World};

/// How many operations before a violation are shown.
const SHOWN: usize = 12;
/// How many possibilities are shown.
const WORLDS_SHOWN: usize = 4;

/// What was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// How many operations.
    pub operations: usize,
    /// How many groups of keys.
    pub groups: usize,
    /// The most possibilities at once.
    pub possibilities: usize,
}

/// No order explains the replies.
#[derive(Clone, Debug)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Judges a history.
///
/// # Errors
/// It is not linearizable: what shows it, and what could have been.
pub fn check(history: &[Operation]) -> Result<Judged, Violation> {
    let mut judged = Judged { operations: history.len(), ..Judged::default() };
    for group in groups(history) {
        judged.groups += 1;
        let possibilities = Group::new(history, group).check()?;
        judged.possibilities = judged.possibilities.max(possibilities);
    }
    Ok(judged)
}

/// The operations of each set of keys that meet, promotions with all of them.
fn groups(history: &[Operation]) -> Vec<Vec<usize>> {
    let mut parents: BTreeMap<Key, Key> = BTreeMap::new();
    fn root(parents: &BTreeMap<Key, Key>, mut key: Key) -> Key {
        while parents[&key] != key {
            key = parents[&key];
        }
        key
    }
    let keys = |operation: &Operation| -> Vec<Key> {
        operation.steps().iter().flat_map(|step| step.keys()).collect()
    };
    for operation in history {
        let keys = keys(operation);
        for key in &keys {
            parents.entry(*key).or_insert(*key);
            let (first, other) = (root(&parents, keys[0]), root(&parents, *key));
            parents.insert(other, first);
        }
    }
    let roots: BTreeSet<Key> = parents.keys().map(|key| root(&parents, *key)).collect();
    let belongs = |operation: &Operation, group: Key| {
        keys(operation).first().is_none_or(|key| root(&parents, *key) == group)
    };
    let members = |group| (0..history.len()).filter(move |at| belongs(&history[*at], group));
    roots.into_iter().map(|group| members(group).collect()).collect()
}

/// One way things may have gone so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Possibility {
    world: World,
    /// Operations that have happened and are not over, ascending.
    happened: Vec<usize>,
}

impl Possibility {
    fn without(mut self, operation: usize) -> Self {
        self.happened.retain(|other| *other != operation);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// Before returns of the same time: what is equal in time is under way at once.
    Invoked,
    Returned,
}

struct Group<'h> {
    history: &'h [Operation],
    /// By time.
    events: Vec<(u64, Moment, usize)>,
    open: BTreeSet<usize>,
    over: HashSet<usize>,
    members: HashSet<usize>,
    possible: HashSet<Possibility>,
    latest: VecDeque<usize>,
}

impl<'h> Group<'h> {
    fn new(history: &'h [Operation], members: Vec<usize>) -> Self {
        let mut events = Vec::new();
        for at in &members {
            let operation = &history[*at];
            assert!(operation.invoked <= operation.returned, "time goes forward");
            events.push((operation.invoked, Moment::Invoked, *at));
            if operation.returned != NEVER {
                events.push((operation.returned, Moment::Returned, *at));
            }
        }
        events.sort_unstable();
        Self {
            history,
            events,
            open: BTreeSet::new(),
            over: HashSet::new(),
            members: members.into_iter().collect(),
            possible: HashSet::from([Possibility { world: World::new(), happened: Vec::new() }]),
            latest: VecDeque::new(),
        }
    }

    fn check(mut self) -> Result<usize, Violation> {
        let mut most = 1;
        for (_, moment, operation) in std::mem::take(&mut self.events) {
            match moment {
                Moment::Invoked => {
                    self.open.insert(operation);
                }
                Moment::Returned => self.end(operation)?,
            }
            most = most.max(self.possible.len());
        }
        Ok(most)
    }

    /// An operation is over: it has happened by now, or never does.
    fn end(&mut self, operation: usize) -> Result<(), Violation> {
        let mut next = HashSet::new();
        let mut seen = HashSet::new();
        for possibility in &self.possible {
            if possibility.happened.contains(&operation) {
                next.insert(possibility.clone().without(operation));
                continue;
            }
            if self.history[operation].answers.is_none() {
                next.insert(possibility.clone());
            }
            self.explore(possibility, operation, &mut seen, &mut next);
        }
        if next.is_empty() {
            return Err(self.violation(operation));
        }
        self.possible = next;
        self.open.remove(&operation);
        self.over.insert(operation);
        self.latest.push_back(operation);
        if self.latest.len() > SHOWN {
            self.latest.pop_front();
        }
        Ok(())
    }

    /// Lets operations happen in every order, up to one of them.
    fn explore(
        &self,
        from: &Possibility,
        last: usize,
        seen: &mut HashSet<Possibility>,
        reached: &mut HashSet<Possibility>,
    ) {
        let mut stack = vec![from.clone()];
        while let Some(possibility) = stack.pop() {
            for operation in self.open.iter().filter(|open| !possibility.happened.contains(open)) {
                let Some(after) = self.happens(&possibility, *operation) else { continue };
                if *operation == last {
                    reached.insert(after.without(last));
                } else if seen.insert(after.clone()) {
                    stack.push(after);
                }
            }
        }
    }

    /// What is if an operation happens now; nothing if it would say something else than it said.
    fn happens(&self, possibility: &Possibility, at: usize) -> Option<Possibility> {
        let operation = &self.history[at];
        let has_happened = |before: &usize| {
            !self.members.contains(before)
                || self.over.contains(before)
                || possibility.happened.contains(before)
        };
        if !operation.after.iter().all(has_happened) {
            return None;
        }
        let mut after = possibility.clone();
        let answers = after.world.run(&operation.action)?;
        if operation.answers.as_ref().is_some_and(|said| *said != answers) {
            return None;
        }
        let place = after.happened.partition_point(|other| *other < at);
        after.happened.insert(place, at);
        Some(after)
    }

    fn violation(&self, operation: usize) -> Violation {
        let mut text = format!("nothing explains\n  {}\n", self.history[operation]);
        text.push_str("under way with it:\n");
        for open in self.open.iter().filter(|open| **open != operation) {
            text.push_str(&format!("  {}\n", self.history[*open]));
        }
        text.push_str("just over:\n");
        for before in &self.latest {
            text.push_str(&format!("  {}\n", self.history[*before]));
        }
        text.push_str(&format!("{} possibilities:\n", self.possible.len()));
        for possibility in self.possible.iter().take(WORLDS_SHOWN) {
            text.push_str(&format!("  {} with {:?}\n", possibility.world, possibility.happened));
        }
        Violation(text)
    }
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
