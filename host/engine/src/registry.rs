//! The command table: native families and plugins' commands, found by name.
//!
//! Names are unique over both; a name declared twice among the natives fails a test. The table is
//! a value: adding plugin commands makes a new one, and whoever reads the old one goes on.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use hashbrown::HashTable;
use reef_resp::Argv;

use crate::command::{Command, Flags};
use crate::keyspace::ShardSet;
use crate::settings::Rules;
use crate::types::hasher::Hasher;

/// An entry of the table, cheap to clone and free to outlive it.
#[derive(Clone, Debug)]
pub struct CommandRef {
    entry: Entry,
    /// Index among the natives; plugins' commands come behind them.
    id: u16,
}

#[derive(Clone, Debug)]
enum Entry {
    Native(&'static Command),
    Plugin(Arc<Command>),
}

impl Deref for CommandRef {
    type Target = Command;
    #[inline]
    fn deref(&self) -> &Command {
        match &self.entry {
            Entry::Native(command) => command,
            Entry::Plugin(command) => command,
        }
    }
}

impl CommandRef {
    /// The index in the table. A sub-command has its container's.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The shards that the command's keys live in.
    #[inline]
    pub fn shards(&self, argv: Argv<'_>, rules: &Rules) -> ShardSet {
        if self.flags.has(Flags::ALL_SHARDS) {
            return ShardSet::all(rules.shards);
        }
        let mut set = ShardSet::NONE;
        if rules.shards == 1 {
            if self.keys != crate::keyspec::KeySpec::None {
                set.insert(0);
            }
            return set;
        }
        self.keys.visit(argv, |position| set.insert(rules.shard_of(argv.get(position))));
        set
    }
}

/// Longest name that a command may have.
pub const NAME_BYTES_MAX: usize = 64;

/// All commands by name.
#[derive(Clone, Debug)]
pub struct Registry {
    by_name: HashTable<CommandRef>,
    hasher: Hasher,
    entries: Vec<CommandRef>,
}

impl Registry {
    /// The native commands alone.
    pub fn native() -> Self {
        let mut registry =
            Self { by_name: HashTable::new(), hasher: Hasher::new(0), entries: Vec::new() };
        for (id, command) in Command::natives() {
            registry.insert(CommandRef { entry: Entry::Native(command), id });
        }
        registry
    }

    /// The native commands and those of plugins. The error is a name that is taken.
    pub fn with_plugins(commands: &[Arc<Command>]) -> Result<Self, String> {
        let mut registry = Self::native();
        for command in commands {
            let name = command.name.as_ref();
            if name.len() > NAME_BYTES_MAX || registry.get(name.as_bytes()).is_some() {
                return Err(name.to_owned());
            }
            let id = registry.entries.len() as u16;
            registry.insert(CommandRef { entry: Entry::Plugin(command.clone()), id });
        }
        Ok(registry)
    }

    fn insert(&mut self, command: CommandRef) {
        let hasher = self.hasher.clone();
        let hash = hasher.hash(command.name.as_bytes());
        self.by_name
            .insert_unique(hash, command.clone(), |entry| hasher.hash(entry.name.as_bytes()));
        self.entries.push(command);
    }

    /// The command with this name, in either case.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<&CommandRef> {
        let mut upper = [0; NAME_BYTES_MAX];
        let upper = upper.get_mut(..name.len())?;
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        self.by_name.find(self.hasher.hash(upper), |entry| entry.name.as_bytes() == upper)
    }

    /// The command or sub-command that `argv` names. `Err` is the container whose sub-command is
    /// unknown.
    #[inline]
    pub fn resolve(&self, argv: Argv<'_>) -> Result<Option<CommandRef>, &CommandRef> {
        let Some(command) = self.get(argv.get(0)) else { return Ok(None) };
        if argv.len() < 2 || command.subcommands().is_empty() {
            return Ok(Some(command.clone()));
        }
        let word = argv.get(1);
        let found = command
            .subcommands()
            .iter()
            .find(|subcommand| word.eq_ignore_ascii_case(subcommand.name.as_bytes()));
        match found {
            Some(found) => Ok(Some(CommandRef { entry: Entry::Native(found), id: command.id })),
            None => Err(command),
        }
    }

    /// All commands: natives in the order of their families, then plugins'.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CommandRef> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_names_are_upper_case_unique_and_short() {
        let mut names: Vec<_> =
            Command::natives().map(|(_, command)| command.name.as_ref()).collect();
        for name in &names {
            assert_eq!(*name, name.to_ascii_uppercase());
            assert!(name.len() <= 32, "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name was declared twice");
    }

    #[test]
    fn names_are_found_in_either_case() {
        let registry = Registry::native();
        assert_eq!(registry.get(b"gEt").map(|command| command.name.as_ref()), Some("GET"));
        assert!(registry.get(b"nope").is_none());
        assert!(registry.get(&[b'x'; 1000]).is_none());
        assert!(registry.get(b"").is_none());
    }
}
