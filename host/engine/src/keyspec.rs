//! Where a command's keys are among its arguments.
//!
//! A few forms suffice for all of Redis: a range, a range with a count in front, a destination
//! plus a counted range, and keywords. Positions count from the command's name (0); a
//! sub-command's keys count the container's word too.

use reef_resp::Argv;

/// Where keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpec {
    /// No keys.
    None,
    /// From `first` to `last` (negative: from the end) in steps.
    Range {
        /// First key's position.
        first: i16,
        /// Last key's position; -1 is the last argument.
        last: i16,
        /// Distance of two keys.
        step: i16,
    },
    /// A number of keys at `count`, the keys behind it; plus one destination key at `destination`
    /// unless that is 0.
    Counted {
        /// Position of the number.
        count: i16,
        /// Position of the destination key, or 0.
        destination: i16,
    },
    /// A number of keys at `count`, behind it as many keys with a value each.
    CountedPairs {
        /// Position of the number.
        count: i16,
    },
    /// `SORT key ... [STORE destination]`.
    Sort,
    /// `GEORADIUS key ... [STORE destination] [STOREDIST destination]`: options from a position on.
    Store {
        /// Where options begin.
        options: i16,
    },
    /// `MIGRATE host port key ... [KEYS key [key ...]]`.
    Migrate,
    /// `SORT_RO key ...`.
    SortReadOnly,
    /// `STREAMS key [key ...] id [id ...]` behind options.
    Streams {
        /// Where the keyword is at the earliest.
        from: i16,
    },
}

impl KeySpec {
    /// No keys.
    pub const NONE: Self = Self::None;
    /// The first argument.
    pub const FIRST: Self = Self::range(1, 1, 1);
    /// The first two arguments.
    pub const FIRST_TWO: Self = Self::range(1, 2, 1);
    /// Every argument.
    pub const ALL: Self = Self::range(1, -1, 1);

    /// A range of positions.
    pub const fn range(first: i16, last: i16, step: i16) -> Self {
        Self::Range { first, last, step }
    }

    /// Whether positions depend on the arguments.
    pub const fn is_movable(&self) -> bool {
        !matches!(self, Self::None | Self::Range { .. })
    }

    /// First, last and step as COMMAND INFO shows them.
    pub fn info(&self) -> (i64, i64, i64) {
        match *self {
            Self::None => (0, 0, 0),
            Self::Range { first, last, step } => (first.into(), last.into(), step.into()),
            Self::Counted { destination: 0, .. } | Self::CountedPairs { .. } => (0, 0, 0),
            Self::Counted { destination, .. } => (destination.into(), destination.into(), 1),
            Self::Sort | Self::SortReadOnly | Self::Store { .. } => (1, 1, 1),
            Self::Streams { .. } => (0, 0, 0),
            Self::Migrate => (3, 3, 1),
        }
    }

    /// Calls `visit` with the position of every key. `false` when a count does not fit, as
    /// `COMMAND GETKEYS` reports.
    #[inline]
    pub fn visit(&self, argv: Argv<'_>, mut visit: impl FnMut(usize)) -> bool {
        match *self {
            Self::None => true,
            Self::Range { first, last, step } => {
                let last = if last < 0 { argv.len() as i64 + i64::from(last) } else { last.into() };
                let last = last.min(argv.len() as i64 - 1);
                let mut position = i64::from(first);
                while position <= last {
                    visit(position as usize);
                    position += i64::from(step);
                }
                true
            }
            Self::Counted { count, destination } => {
                visit_counted(argv, (count as usize, 1), destination as usize, visit)
            }
            Self::CountedPairs { count } => visit_counted(argv, (count as usize, 2), 0, visit),
            Self::Sort => {
                visit(1);
                let stores = sort_options(argv).filter(|(option, _)| *option == SortOption::Store);
                // The last STORE wins.
                stores.last().into_iter().for_each(|(_, position)| visit(position));
                true
            }
            Self::SortReadOnly => {
                visit(1);
                true
            }
            Self::Store { options } => {
                visit(1);
                visit_stores(argv, options as usize, visit);
                true
            }
            Self::Streams { from } => visit_streams(argv, from as usize, visit),
            Self::Migrate => match migrated(argv) {
                Some(keys) => {
                    keys.for_each(visit);
                    true
                }
                None => false,
            },
        }
    }

    /// The patterns by which the command reaches keys that are not among its arguments.
    pub fn patterns<'a>(&self, argv: Argv<'a>) -> impl Iterator<Item = &'a [u8]> {
        let argv = matches!(self, Self::Sort | Self::SortReadOnly).then_some(argv);
        let options = argv.into_iter().flat_map(|argv| {
            sort_options(argv).map(move |(option, position)| (option, argv.get(position)))
        });
        let patterns = options.filter(|(option, _)| *option == SortOption::Pattern);
        patterns.map(|(_, pattern)| pattern).filter(|pattern| pattern.contains(&b'*'))
    }
}

/// Where the keys of MIGRATE are: behind its word KEYS if the place of the single key is empty. None if
/// there are both, which it refuses.
fn migrated(argv: Argv<'_>) -> Option<core::ops::Range<usize>> {
    const SINGLE: usize = 3;
    const OPTIONS: usize = 6;
    let mut at = OPTIONS;
    while at < argv.len() {
        let is = |word: &[u8]| argv.get(at).eq_ignore_ascii_case(word);
        at += match () {
            () if is(b"KEYS") => {
                return argv.get(SINGLE).is_empty().then_some(at + 1..argv.len());
            }
            () if is(b"AUTH") => 2,
            () if is(b"AUTH2") => 3,
            () => 1,
        };
    }
    Some(SINGLE..SINGLE + 1)
}

fn visit_counted(
    argv: Argv<'_>,
    (count_at, step): (usize, usize),
    destination: usize,
    mut visit: impl FnMut(usize),
) -> bool {
    let Some(count) = crate::types::number::parse_i64(argv.get(count_at)) else { return false };
    let room = argv.len().saturating_sub(count_at + 1) as i64;
    if count < 1 || count > room / step as i64 {
        return false;
    }
    if destination > 0 {
        visit(destination);
    }
    (count_at + 1..).step_by(step).take(count as usize).for_each(visit);
    true
}

/// Half of what follows the keyword are keys, the other half ids.
fn visit_streams(argv: Argv<'_>, from: usize, visit: impl FnMut(usize)) -> bool {
    let words = (from..argv.len()).find(|at| argv.get(*at).eq_ignore_ascii_case(b"STREAMS"));
    // Of a command that cannot run, Redis still tells keys.
    let Some(keyword) = streams_keyword(argv).or(words) else { return false };
    let keys = (argv.len() - keyword - 1) / 2;
    (keyword + 1..=keyword + keys).for_each(visit);
    keys > 0
}

/// Where the keyword is: options in front of it are passed over with their values, which may be
/// called `STREAMS` too.
fn streams_keyword(argv: Argv<'_>) -> Option<usize> {
    const OPTIONS: [(&[u8], usize); 4] =
        [(b"BLOCK", 2), (b"COUNT", 2), (b"GROUP", 3), (b"NOACK", 1)];
    let mut at = 1;
    while at < argv.len() {
        let word = argv.get(at);
        if word.eq_ignore_ascii_case(b"STREAMS") {
            return Some(at);
        }
        let (_, words) = OPTIONS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name))?;
        at += words;
    }
    None
}

/// An option of SORT that names keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortOption {
    Store,
    /// BY or GET.
    Pattern,
}

/// The options of SORT that name keys, and where their operands are; in the order in which SORT's
/// own parser takes them.
fn sort_options(argv: Argv<'_>) -> impl Iterator<Item = (SortOption, usize)> {
    let mut at = 2;
    core::iter::from_fn(move || {
        while at + 1 < argv.len() {
            let word = argv.get(at);
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            let option = if is(b"STORE") {
                SortOption::Store
            } else if is(b"GET") || is(b"BY") {
                SortOption::Pattern
            } else {
                at += if is(b"LIMIT") { 3 } else { 1 };
                continue;
            };
            at += 2;
            return Some((option, at - 1));
        }
        None
    })
}

/// The words of [`KeySpec::Store`] that a key follows.
pub const STORES: [&str; 2] = ["STORE", "STOREDIST"];

/// Redis tells of the first key behind each word; the one that is written to is behind the last of
/// both. All of these are visited, no position twice.
fn visit_stores(argv: Argv<'_>, options: usize, mut visit: impl FnMut(usize)) {
    let is = |at: usize, word: &str| argv.get(at).eq_ignore_ascii_case(word.as_bytes());
    let last = argv.len().saturating_sub(1);
    let first = |word: &str| (options..last).find(|at| is(*at, word)).map(|at| at + 1);
    let firsts = STORES.map(first);
    firsts.iter().flatten().for_each(|at| visit(*at));
    let mut written = None;
    let mut at = options;
    while at < last {
        if STORES.iter().any(|word| is(at, word)) {
            at += 1;
            written = Some(at);
        }
        at += 1;
    }
    if written.is_some() && !firsts.contains(&written) {
        written.into_iter().for_each(visit);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use reef_resp::OwnedArgv;

    use super::*;

    fn keys(spec: KeySpec, words: &str) -> Vec<usize> {
        let argv: OwnedArgv = words.split(' ').collect();
        let mut positions = Vec::new();
        assert!(spec.visit(argv.as_argv(), |position| positions.push(position)));
        positions
    }

    fn patterns(words: &str) -> Vec<Vec<u8>> {
        let argv: OwnedArgv = words.split(' ').collect();
        KeySpec::Sort.patterns(argv.as_argv()).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn sort_has_a_source_and_the_last_destination() {
        assert_eq!(keys(KeySpec::Sort, "SORT k"), [1]);
        assert_eq!(keys(KeySpec::Sort, "SORT k STORE a LIMIT 0 store DESC store b"), [1, 9]);
        assert_eq!(keys(KeySpec::Sort, "SORT k BY STORE GET STORE"), [1]);
        assert_eq!(keys(KeySpec::Sort, "SORT k STORE"), [1]);
        assert_eq!(keys(KeySpec::SortReadOnly, "SORT_RO k STORE a"), [1]);
    }

    #[test]
    fn patterns_of_sort_are_those_that_reach_other_keys() {
        assert_eq!(
            patterns("SORT k BY w_* GET # GET nothing get o_*->f"),
            [&b"w_*"[..], b"o_*->f"]
        );
        assert_eq!(patterns("SORT k STORE by* LIMIT by x* asc"), [b""; 0]);
        let argv: OwnedArgv = "SET by by*".split(' ').collect();
        assert_eq!(KeySpec::FIRST.patterns(argv.as_argv()).count(), 0);
    }

    fn check(keys: KeySpec, line: &str, expected: &[&str]) {
        let argv: OwnedArgv = line.split(' ').collect();
        let argv = argv.as_argv();
        let mut found = Vec::new();
        assert!(keys.visit(argv, |at| found.push(argv.get(at))));
        let expected: Vec<_> = expected.iter().map(|key| key.as_bytes()).collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn keys_behind_store_are_found_wherever_they_are_written_to() {
        let keys = KeySpec::Store { options: 5 };
        check(keys, "G k m 1 km", &["k"]);
        check(keys, "G k m 1 km store", &["k"]);
        check(keys, "G k m 1 km asc store a", &["k", "a"]);
        check(keys, "G k store 1 km", &["k"]);
        check(keys, "G k m 1 km store a STOREDIST b", &["k", "a", "b"]);
        check(keys, "G k m 1 km storedist a store b", &["k", "b", "a"]);
        check(keys, "G k m 1 km store a store b", &["k", "a", "b"]);
        check(keys, "G k m 1 km store a storedist b store c", &["k", "a", "b", "c"]);
        check(keys, "G k m 1 km store store", &["k", "store"]);
    }
}
