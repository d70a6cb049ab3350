//! The logs of commands that were slow, or large: what SLOWLOG and COMMANDLOG show.
//!
//! A plain value that the host keeps, because only it has a clock. Invariants: an entry's arguments
//! are cut, so that one entry never holds much; passwords are not in it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::Argv;

use crate::monitor::is_login;

/// Arguments of an entry; of more, the last tells how many.
const ARGUMENTS_MAX: usize = 32;
/// Bytes of an argument; of a longer one, the end tells how many more.
const ARGUMENT_BYTES_MAX: usize = 128;

/// What a command is logged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It took long: microseconds.
    Slow,
    /// It was long: bytes.
    LargeRequest,
    /// Its reply is long: bytes.
    LargeReply,
}

impl Excess {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// What a client names.
    pub fn parse(word: &[u8]) -> Option<Self> {
        const ALL: [(&str, Excess); Excess::COUNT] = [
            ("slow", Excess::Slow),
            ("large-request", Excess::LargeRequest),
            ("large-reply", Excess::LargeReply),
        ];
        let found = ALL.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, excess)| *excess)
    }
}

/// A command that was slow, or large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: u64,
    /// When it ended: seconds since 1970.
    pub at_s: u64,
    /// How long it took in microseconds, or how many bytes it had.
    pub amount: u64,
    /// Its arguments, cut.
    pub arguments: Vec<Box<[u8]>>,
    /// Where the client came from.
    pub address: String,
    /// `CLIENT SETNAME`.
    pub name: Box<[u8]>,
}

/// The last of these commands.
#[derive(Debug, Default)]
pub struct SlowLog {
    /// The newest first.
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl SlowLog {
    /// Adds an entry, and drops the oldest beyond `entries_max`.
    pub fn add(
        &mut self,
        (at_s, amount): (u64, u64),
        argv: Argv<'_>,
        client: (String, Box<[u8]>),
        entries_max: usize,
    ) {
        let (address, name) = client;
        let arguments = shown(argv);
        self.entries.push_front(Entry { id: self.next_id, at_s, amount, arguments, address, name });
        self.next_id += 1;
        self.entries.truncate(entries_max);
    }

    /// The entries, the newest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all entries; numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

fn shown(argv: Argv<'_>) -> Vec<Box<[u8]>> {
    let count = argv.len();
    let mut shown: Vec<Box<[u8]>> = Vec::with_capacity(count.min(ARGUMENTS_MAX));
    for (position, argument) in argv.iter().enumerate().take(ARGUMENTS_MAX) {
        if count > ARGUMENTS_MAX && position == ARGUMENTS_MAX - 1 {
            let more = count - ARGUMENTS_MAX + 1;
            shown.push(format!("... ({more} more arguments)").into_bytes().into());
        } else if is_secret(argv, position) {
            shown.push(b"(redacted)".as_slice().into());
        } else {
            shown.push(cut(argument));
        }
    }
    shown
}

fn cut(argument: &[u8]) -> Box<[u8]> {
    let Some((head, rest @ [_, ..])) = argument.split_at_checked(ARGUMENT_BYTES_MAX) else {
        return argument.into();
    };
    [head, format!("... ({} more bytes)", rest.len()).as_bytes()].concat().into()
}

/// Whether the argument at a position is or may be a password.
pub fn is_secret(argv: Argv<'_>, position: usize) -> bool {
    const SECRET_DIRECTIVES: [&str; 7] = [
        "requirepass",
        "masterauth",
        "masteruser",
        "primaryauth",
        "primaryuser",
        "tls-key-file-pass",
        "tls-client-key-file-pass",
    ];
    let is = |at: usize, word: &str| {
        at < argv.len() && argv.get(at).eq_ignore_ascii_case(word.as_bytes())
    };
    if is_login(argv, position) {
        return true;
    }
    // Who there is says something, too.
    if is(0, "ACL") && ["SETUSER", "GETUSER", "DELUSER"].iter().any(|word| is(1, word)) {
        return position >= 2;
    }
    is(0, "CONFIG")
        && is(1, "SET")
        && position >= 3
        && position % 2 == 1
        && SECRET_DIRECTIVES.iter().any(|name| is(position - 1, name))
}

#[cfg(test)]
mod tests {
    use reef_resp::OwnedArgv;

    use super::*;

    fn logged(line: &str) -> String {
        let argv: OwnedArgv = line.split(' ').collect();
        let mut log = SlowLog::default();
        log.add((1, 2), argv.as_argv(), (String::new(), Box::default()), 10);
        let entry = log.iter().next().unwrap();
        let words = entry.arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn passwords_are_not_kept() {
        for (line, kept) in [
            ("AUTH me secret", "AUTH (redacted) (redacted)"),
            ("HELLO 3 AUTH me secret SETNAME n", "HELLO 3 AUTH (redacted) (redacted) SETNAME n"),
            ("ACL SETUSER me >secret", "ACL SETUSER (redacted) (redacted)"),
            ("acl getuser me", "acl getuser (redacted)"),
            ("ACL DELUSER me you", "ACL DELUSER (redacted) (redacted)"),
            ("ACL WHOAMI", "ACL WHOAMI"),
            (
                "MIGRATE h 1 k 0 5 AUTH2 me secret COPY",
                "MIGRATE h 1 k 0 5 AUTH2 (redacted) (redacted) COPY",
            ),
            (
                "config set timeout 0 requirepass secret",
                "config set timeout 0 requirepass (redacted)",
            ),
            ("SET auth x", "SET auth x"),
        ] {
            assert_eq!(logged(line), kept);
        }
    }

    #[test]
    fn long_commands_are_cut() {
        let many = ["x"; 40].join(" ");
        let kept = logged(&many);
        assert!(kept.ends_with("x ... (9 more arguments)"), "{kept}");
        assert_eq!(kept.matches('x').count(), 31);
        let long = "y".repeat(130);
        assert_eq!(logged(&long), alloc::format!("{}... (2 more bytes)", "y".repeat(128)));
        assert_eq!(logged(&long[..128]), long[..128]);
    }

    #[test]
    fn the_newest_entries_stay_and_numbers_go_on() {
        let argv: OwnedArgv = ["PING"].into_iter().collect();
        let mut log = SlowLog::default();
        let add = |log: &mut SlowLog, at_s| {
            log.add((at_s, 0), argv.as_argv(), (String::new(), Box::default()), 3);
        };
        (0..5).for_each(|at_s| add(&mut log, at_s));
        assert_eq!(log.iter().map(|entry| entry.id).collect::<Vec<_>>(), [4, 3, 2]);
        log.clear();
        add(&mut log, 9);
        assert_eq!(log.iter().map(|entry| (entry.id, entry.at_s)).collect::<Vec<_>>(), [(5, 9)]);
    }
}
