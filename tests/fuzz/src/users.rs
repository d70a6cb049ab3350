//! Random ACL rules: what a user may do must be exactly what the rules say, by a second reading of
//! them that knows no more than their definition; a description must make an equal user, and so must
//! a file.

use std::collections::BTreeSet;

use reef_engine::acl::{Directory, Policy, User, parse_file};
use reef_engine::acl_category;
use reef_engine::registry::Registry;
use reef_engine::types::glob;
use reef_resp::OwnedArgv;

use crate::choice::{Choice, Source};

const NAMES: &[&str] = &[
    "get",
    "SET",
    "config",
    "config|get",
    "CONFIG|SET",
    "object|encoding",
    "object",
    "select",
    "mget",
    "publish",
    "subscribe",
    "psubscribe",
    "sort",
    "acl",
    "acl|whoami",
    "rename",
    "strlen",
];
const CATEGORIES: &[&str] = &[
    "all",
    "read",
    "Write",
    "fast",
    "slow",
    "dangerous",
    "admin",
    "string",
    "keyspace",
    "pubsub",
    "connection",
];
const PATTERNS: &[&str] = &["a*", "*", "?", "k[a-c]", "\\*", "b", "kb", "x*y", "[", ""];

/// What is tried: a line, and its keys with what the command does to them, and its channels.
struct Probe {
    line: &'static str,
    reads: &'static [&'static str],
    writes: &'static [&'static str],
    channels: &'static [&'static str],
    by_pattern: bool,
}

const fn probe(
    line: &'static str,
    reads: &'static [&'static str],
    writes: &'static [&'static str],
) -> Probe {
    Probe { line, reads, writes, channels: &[], by_pattern: false }
}

const PROBES: &[Probe] = &[
    probe("GET abc", &["abc"], &[]),
    probe("GET x", &["x"], &[]),
    probe("SET kb v", &[], &["kb"]),
    probe("SET kb v GET", &["kb"], &["kb"]),
    probe("MGET a x kb", &["a", "x", "kb"], &[]),
    probe("RENAME a b", &["a"], &["a", "b"]),
    probe("COPY a kb", &["a"], &["kb"]),
    probe("CONFIG GET x", &[], &[]),
    probe("CONFIG SET a b", &[], &[]),
    probe("SELECT 0", &[], &[]),
    probe("SELECT 1", &[], &[]),
    probe("ACL WHOAMI", &[], &[]),
    probe("PING", &[], &[]),
    probe("FLUSHALL", &[], &[]),
    Probe { channels: &["abc"], ..probe("PUBLISH abc m", &[], &[]) },
    Probe { channels: &["b", "kb"], ..probe("SUBSCRIBE b kb", &[], &[]) },
    Probe { channels: &["a*"], by_pattern: true, ..probe("PSUBSCRIBE a*", &[], &[]) },
];

/// A selector, read again: its rules in order.
#[derive(Clone, Debug, Default)]
struct Reading(Vec<String>);

impl Reading {
    fn is_command_allowed(&self, words: &[&str], registry: &Registry) -> bool {
        let argv: OwnedArgv = words.iter().collect();
        let command = registry.resolve(argv.as_argv()).expect("its arity is right").expect("known");
        let full = command.full_name().to_lowercase();
        let (mut allowed, mut arguments) = (false, BTreeSet::new());
        for rule in &self.0 {
            let rule = match rule.as_str() {
                "allcommands" => "+@all",
                "nocommands" => "-@all",
                rule => rule,
            };
            let (Some(name), grant) = (rule.get(1..), rule.starts_with('+')) else { continue };
            if !rule.starts_with(['+', '-']) {
                continue;
            }
            let is_meant = match name.strip_prefix('@') {
                Some("all") => true,
                // A category that has the container has all that is in it.
                Some(category) => {
                    let container = registry.find(full.split('|').next().unwrap_or("").as_bytes());
                    acl_category::is_in(&command, category)
                        || container.is_some_and(|other| acl_category::is_in(&other, category))
                }
                None => name == full || full.starts_with(&format!("{name}|")),
            };
            if is_meant {
                allowed = grant;
                arguments.clear();
            } else if grant && let Some(argument) = name.strip_prefix(&format!("{full}|")) {
                arguments.insert(argument.to_owned());
            }
        }
        let first = words.get(1).map(|word| word.to_lowercase()).unwrap_or_default();
        allowed || (command.parent.is_empty() && arguments.contains(&first))
    }

    /// The patterns in force, each with what it allows: reading, writing.
    fn patterns(&self) -> Vec<(&str, bool, bool)> {
        let mut patterns = Vec::new();
        for rule in &self.0 {
            match rule.as_str() {
                "allkeys" => patterns = vec![("*", true, true)],
                "resetkeys" => patterns.clear(),
                rule => {
                    if let Some(pattern) = rule.strip_prefix('~') {
                        patterns.push((pattern, true, true));
                    } else if let Some((letters, pattern)) =
                        rule.strip_prefix('%').and_then(|rest| rest.split_once('~'))
                    {
                        let has = |letter| letters.to_lowercase().contains(letter);
                        patterns.push((pattern, has('r'), has('w')));
                    }
                }
            }
        }
        patterns
    }

    fn is_key_allowed(&self, key: &str, reads: bool, writes: bool) -> bool {
        // Both at once must be allowed by one pattern, if it is given in pieces: by equal ones.
        let patterns = self.patterns();
        patterns.iter().any(|(pattern, _, _)| {
            let same = patterns.iter().filter(|(other, _, _)| other == pattern);
            let (read, write) =
                same.fold((false, false), |(r, w), (_, read, write)| (r | read, w | write));
            glob::matches(pattern.as_bytes(), key.as_bytes())
                && (read || !reads)
                && (write || !writes)
                || *pattern == "*" && key.is_empty() && (read || !reads) && (write || !writes)
        })
    }

    fn is_channel_allowed(&self, channel: &str, by_pattern: bool) -> bool {
        let (mut all, mut patterns) = (false, Vec::new());
        for rule in &self.0 {
            match rule.as_str() {
                "allchannels" | "&*" => (all, patterns) = (true, Vec::new()),
                "resetchannels" => (all, patterns) = (false, Vec::new()),
                rule => patterns.extend(rule.strip_prefix('&')),
            }
        }
        all || patterns.iter().any(|pattern| match by_pattern {
            true => *pattern == channel,
            false => glob::matches(pattern.as_bytes(), channel.as_bytes()),
        })
    }

    fn allows(&self, probe: &Probe, words: &[&str], registry: &Registry) -> bool {
        let keys: BTreeSet<&str> = probe.reads.iter().chain(probe.writes).copied().collect();
        (words[0] == "AUTH" || self.is_command_allowed(words, registry))
            && keys.iter().all(|key| {
                self.is_key_allowed(key, probe.reads.contains(key), probe.writes.contains(key))
            })
            && probe.channels.iter().all(|name| self.is_channel_allowed(name, probe.by_pattern))
    }
}

fn selector_rule(source: &mut Source<'_>) -> String {
    let pattern = source.pick(PATTERNS);
    match source.below(16) {
        0 => format!("~{pattern}"),
        1 => format!("%R~{pattern}"),
        2 => format!("%w~{pattern}"),
        3 => format!("%RW~{pattern}"),
        4 | 5 => format!("&{pattern}"),
        6 => source.pick(&["allkeys", "allchannels", "allcommands", "nocommands"]).into(),
        7 => source.pick(&["resetkeys", "resetchannels", "~*", "&*"]).into(),
        8 => source.pick(&["+select|0", "+SELECT|1", "+get|x", "+config|get|x", "+|", "%"]).into(),
        9 => format!("+@{}", source.pick(CATEGORIES)),
        10 => format!("-@{}", source.pick(CATEGORIES)),
        11..13 => format!("-{}", source.pick(NAMES)),
        13 => String::from_utf8_lossy(source.bytes(6)).replace(['(', ')'], ""),
        _ => format!("+{}", source.pick(NAMES)),
    }
}

fn rule(source: &mut Source<'_>) -> String {
    match source.below(24) {
        0 => source.pick(&["on", "off", "nopass", "resetpass", "reset", "clearselectors"]).into(),
        1 => source.pick(&[">a", ">b", "<a", "#", "!", "(", ")", "()", "sanitize-payload"]).into(),
        2 | 3 => {
            let count = source.below(4);
            let rules: Vec<_> = (0..count).map(|_| selector_rule(source)).collect();
            format!("({})", rules.join(" "))
        }
        _ => selector_rule(source),
    }
}

/// Applies rules made from these bytes.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let registry = Registry::native();
    let mut directory = Directory::new(b"", Policy::default(), &registry);
    let mut readings = vec![Reading::default()];
    while !source.is_empty() {
        let rule = rule(&mut source);
        if directory.set_user(b"alice", &[rule.as_bytes()], &registry).is_err() {
            continue;
        }
        note(&mut readings, &rule);
        if source.one_in(4) {
            judge(&directory, &readings, &registry);
        }
    }
    if directory.get(b"alice").is_some() {
        judge(&directory, &readings, &registry);
        check_files(&directory, &registry);
    }
    // Files that are not ours.
    let _ = parse_file(bytes, "users.acl", Policy::default(), &registry);
    let text = [&b"user bob "[..], bytes].concat();
    let _ = parse_file(&text, "users.acl", Policy::default(), &registry);
}

/// Reads a rule that was taken.
fn note(readings: &mut Vec<Reading>, rule: &str) {
    let lower = |rule: &str| match rule.as_bytes().first() {
        Some(b'+' | b'-') => rule.to_lowercase(),
        Some(b'~' | b'%' | b'&') => rule.to_owned(),
        _ => rule.to_lowercase(),
    };
    match rule.to_lowercase().as_str() {
        "reset" => *readings = vec![Reading::default()],
        "clearselectors" => readings.truncate(1),
        _ => match rule.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some(rules) => {
                readings.push(Reading(rules.split_ascii_whitespace().map(lower).collect()));
            }
            None => readings[0].0.push(lower(rule)),
        },
    }
}

fn judge(directory: &Directory, readings: &[Reading], registry: &Registry) {
    let user = directory.get(b"alice").expect("a user").user();
    for probe in PROBES {
        let words: Vec<&str> = probe.line.split(' ').collect();
        let argv: OwnedArgv = words.iter().collect();
        let command = registry.resolve(argv.as_argv()).expect("its arity is right").expect("known");
        let expected = readings.iter().any(|reading| reading.allows(probe, &words, registry));
        let may = user.check(&command, argv.as_argv()).is_ok();
        let described = String::from_utf8_lossy(&user.describe()).into_owned();
        assert_eq!(may, expected, "{} by {described}: {readings:?}", probe.line);
        assert!(may || !user.is_unlimited(), "an unlimited user is refused: {described}");
    }
}

/// A user's description, and a file with it, must make an equal user.
fn check_files(directory: &Directory, registry: &Registry) {
    let user = directory.get(b"alice").expect("a user").user();
    let text = directory.file();
    let users = parse_file(&text, "users.acl", Policy::default(), registry)
        .unwrap_or_else(|error| panic!("{}: {error}", text.escape_ascii()));
    let again: &User = users.get(&b"alice"[..]).expect("the user is in the file");
    let described = user.describe();
    assert_eq!(again.describe().escape_ascii().to_string(), described.escape_ascii().to_string());
    // `~*` in one piece is all keys, which reads and writes do not become by being added up.
    if !described.windows(3).any(|part| part == b"~* ") {
        assert_eq!(again, user, "{}", described.escape_ascii());
    }
}
