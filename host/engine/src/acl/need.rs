//! What a command needs of its keys: to read them, to write them, both, or only to look whether
//! they are there.
//!
//! Derived from the words of COMMAND (`RW access delete`) when the table is made, so that a check
//! compares two bits.

use reef_resp::Argv;

use crate::annotations::{self, Access};
use crate::command::Command;
use crate::keyspec::KeySpec;

/// What is done to one key, or what a pattern allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need(u8);

impl Need {
    /// Nothing but its existence, its type and the like.
    pub const NONE: Self = Self(0);
    /// Its value is read.
    pub const READ: Self = Self(1);
    /// Its value is written.
    pub const WRITE: Self = Self(2);
    /// Both.
    pub const BOTH: Self = Self(3);

    /// This and the other.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    #[inline]
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Who takes data out of a key reads it; who inserts, changes or deletes writes.
    fn of(access: Access) -> Self {
        access.split(' ').fold(Self::NONE, |need, word| match word {
            "access" => need.with(Self::READ),
            "insert" | "update" | "delete" => need.with(Self::WRITE),
            _ => need,
        })
    }
}

/// What a command needs of each of its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    first: Need,
    second: Need,
    others: Need,
    /// Whether the arguments tell.
    varies: bool,
}

impl Needs {
    /// The needs of a command.
    pub fn of(command: &Command) -> Self {
        if command.keys == KeySpec::None {
            return Self::default();
        }
        let accesses = annotations::accesses(command);
        let at = |index: usize| {
            let access = accesses.get(index).or(accesses.last());
            access.map_or(Need::BOTH, |access| Need::of(access))
        };
        let others = at(usize::MAX);
        // Of SORT's three specifications the one in the middle names no key.
        let second = if command.keys == KeySpec::Sort { others } else { at(1) };
        let varies = accesses.iter().any(|access| access.ends_with("variable_flags"));
        Self { first: at(0), second, others, varies }
    }

    /// What the command needs of its key number `index`.
    #[inline]
    pub fn at(self, command: &Command, argv: Argv<'_>, index: usize) -> Need {
        match index {
            _ if self.varies => Need::of(annotations::access_of(command, argv, index)),
            0 => self.first,
            1 => self.second,
            _ => self.others,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use reef_resp::OwnedArgv;

    use super::*;
    use crate::registry::Registry;

    #[test]
    fn every_command_needs_what_command_tells_of_it() {
        let registry = Registry::native();
        for command in registry.iter() {
            let argv: OwnedArgv = [&*command.name, "1", "1", "1", "1"].into_iter().collect();
            let argv = argv.as_argv();
            for index in 0..5 {
                let need = Need::of(annotations::access_of(command, argv, index));
                if command.keys != KeySpec::None {
                    assert_eq!(
                        Needs::of(command).at(command, argv, index),
                        need,
                        "{}",
                        command.name
                    );
                }
            }
        }
    }

    #[test]
    fn arguments_may_tell() {
        let registry = Registry::native();
        let need = |line: &str| {
            let argv: OwnedArgv = line.split(' ').collect();
            let command = registry.resolve(argv.as_argv()).unwrap().unwrap();
            let mut needs = Vec::new();
            command.keys.visit(argv.as_argv(), |_| {
                needs.push(Needs::of(&command).at(&command, argv.as_argv(), needs.len()));
            });
            needs
        };
        assert_eq!(need("SET k v"), [Need::WRITE]);
        assert_eq!(need("SET k v GET"), [Need::BOTH]);
        assert_eq!(need("GET k"), [Need::READ]);
        assert_eq!(need("STRLEN k"), [Need::NONE]);
        assert_eq!(need("LPUSH k v"), [Need::WRITE]);
        assert_eq!(need("GETDEL k"), [Need::BOTH]);
        assert_eq!(need("COPY a b"), [Need::READ, Need::WRITE]);
        assert_eq!(need("SUNIONSTORE d a b"), [Need::WRITE, Need::READ, Need::READ]);
    }
}
