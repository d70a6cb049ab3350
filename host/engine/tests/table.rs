//! The command table as a whole: what every entry must keep to.

use reef_engine::command::{Command, Flags, Group, Runner};
use reef_engine::keyspec::KeySpec;
use reef_transcript::commands_covered;

fn commands() -> impl Iterator<Item = &'static Command> {
    Command::natives_and_subcommands().map(|(_, command)| command)
}

fn name(command: &Command) -> String {
    command.full_name().to_uppercase()
}

/// Fewest and most words of a usage line; `None` is no limit. `|` parts alternatives, `[ ]` holds
/// what may be missing, `...` what may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Words {
    min: usize,
    max: Option<usize>,
}

impl Words {
    const NONE: Self = Self { min: 0, max: Some(0) };

    fn then(self, next: Self) -> Self {
        let max = self.max.zip(next.max).map(|(first, second)| first + second);
        Self { min: self.min + next.min, max }
    }

    fn or(self, other: Self) -> Self {
        let max = self.max.zip(other.max).map(|(first, second)| first.max(second));
        Self { min: self.min.min(other.min), max }
    }
}

/// Reads a usage line up to its end or the bracket that closes it.
fn words(text: &mut std::str::Chars<'_>) -> Words {
    let (mut all, mut alternative) = (None::<Words>, Words::NONE);
    let mut in_word = false;
    let join = |all: Option<Words>, last: Words| Some(all.map_or(last, |all| all.or(last)));
    while let Some(char) = text.next() {
        match char {
            ' ' => in_word = false,
            '[' => {
                let mut inner = words(text);
                inner.min = 0;
                alternative = alternative.then(inner);
                in_word = false;
            }
            '<' => {
                // One of several must be there, even if each alone may be missing.
                let mut inner = words(text);
                inner.min = inner.min.max(1);
                alternative = alternative.then(inner);
                in_word = false;
            }
            ']' | '>' => break,
            '|' => {
                all = join(all, alternative);
                alternative = Words::NONE;
                in_word = false;
            }
            '.' if text.as_str().starts_with("..") => {
                text.nth(1);
                alternative.max = None;
            }
            _ if !in_word => {
                alternative = alternative.then(Words { min: 1, max: Some(1) });
                in_word = true;
            }
            _ => {}
        }
    }
    join(all, alternative).unwrap_or(Words::NONE)
}

fn usage_words(usage: &str) -> Words {
    // An alternative at the top level is one word of a sequence: `key MIN|MAX`, so it is put in
    // brackets of its own.
    let bracketed: Vec<String> = split_top_level(usage);
    bracketed.iter().fold(Words::NONE, |all, part| all.then(words(&mut part.chars())))
}

/// Splits at spaces outside of brackets.
fn split_top_level(usage: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for char in usage.chars() {
        match char {
            '[' | '<' => depth += 1,
            ']' | '>' => depth -= 1,
            _ => {}
        }
        if char == ' ' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(char);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[test]
fn usage_lines_are_counted_right() {
    let check = |usage, min, max| assert_eq!(usage_words(usage), Words { min, max }, "{usage}");
    check("", 0, Some(0));
    check("key value", 2, Some(2));
    check("key [key ...]", 1, None);
    check("key seconds [NX|XX|GT|LT]", 2, Some(3));
    check("key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]", 2, Some(6));
    check("numkeys key [key ...] <LEFT|RIGHT> [COUNT count]", 3, None);
    check("source destination LEFT|RIGHT LEFT|RIGHT", 4, Some(4));
}

#[test]
fn usage_agrees_with_arity() {
    for command in commands() {
        if matches!(command.runner, Runner::Container(..)) {
            assert!([-1, -2].contains(&command.arity), "{}", name(command));
            assert_eq!(command.usage, "", "{}", name(command));
            continue;
        }
        let words = usage_words(&command.usage);
        let own = if command.parent.is_empty() { 1 } else { 2 };
        let arity = i64::from(command.arity);
        let fewest = (own + words.min) as i64;
        let exact = words.max == Some(words.min);
        // An arity that is too small by what the handler checks itself is Redis's; never too big.
        assert!(arity.abs() <= fewest, "{} takes {fewest}: {}", name(command), command.usage);
        // QUIT takes anything, and never said so; nor did PSYNC of FAILOVER.
        let takes_anything = arity == -1 && command.usage.is_empty();
        let takes_anything = takes_anything || name(command) == "PSYNC";
        assert_eq!(arity >= 0, exact && !takes_anything, "{}: {}", name(command), command.usage);
        if arity >= 0 {
            assert_eq!(arity, fewest, "{}: {}", name(command), command.usage);
        }
    }
}

#[test]
fn summaries_are_sentences() {
    for command in commands() {
        assert!(command.summary.ends_with('.'), "{}: {}", name(command), command.summary);
        let first = command.summary.chars().next();
        assert!(first.is_some_and(char::is_uppercase), "{}: {}", name(command), command.summary);
        assert!(!command.since.is_empty(), "{}", name(command));
    }
}

#[test]
fn commands_on_keys_either_write_or_only_read() {
    for command in commands() {
        let (writes, reads) = (command.flags.has(Flags::WRITE), command.flags.has(Flags::READONLY));
        assert!(!(writes && reads), "{} writes and only reads", name(command));
        assert!(writes || !command.flags.has(Flags::DENYOOM), "{} needs no memory", name(command));
        // WATCH has keys so that their shards are taken, scripts so that clusters find them.
        let exempt = name(command) == "WATCH" || command.group == Group::Scripting;
        if command.keys != KeySpec::NONE && !exempt {
            assert!(writes || reads, "{} neither writes nor reads", name(command));
        }
    }
}

#[test]
fn keys_lie_within_the_arguments() {
    for command in commands() {
        let (first, last, step) = command.keys.info();
        let fewest = i64::from(command.arity).abs();
        assert!(first < fewest.max(1), "{}: first key {first}", name(command));
        assert!(last < fewest.max(1), "{}: last key {last}", name(command));
        assert!(step >= 0, "{}", name(command));
        if !command.parent.is_empty() && first > 0 {
            assert!(first >= 2, "{}: the container's word is counted too", name(command));
        }
    }
}

#[test]
fn subcommands_know_their_container() {
    for (_, container) in Command::natives() {
        for subcommand in container.subcommands() {
            assert_eq!(subcommand.parent, container.name);
            assert!(subcommand.subcommands().is_empty());
            assert_eq!(subcommand.group, container.group, "{}", name(subcommand));
            assert_eq!(*subcommand.name, subcommand.name.to_uppercase());
        }
        let mut words: Vec<_> = container.subcommands().iter().map(|sub| &sub.name).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count, "{} declares a word twice", container.name);
    }
}

#[test]
fn every_command_appears_in_a_transcript() {
    let covered = commands_covered().expect("transcripts can be read");
    let mut missing: Vec<_> = commands().map(name).filter(|name| !covered.contains(name)).collect();
    missing.sort_unstable();
    assert_eq!(missing, [""; 0], "no transcript sends these");
}
