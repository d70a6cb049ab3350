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
use reef_resp::{Argv, OwnedArgv};

use crate::acl::Needs;
use crate::command::{Command, Flags, Runner};
use crate::keyspace::ShardSet;
use crate::settings::Rules;

/// An entry of the table, cheap to clone and free to outlive it.
#[derive(Clone, Debug)]
pub struct CommandRef {
    entry: Entry,
    /// Its index in the table, see [`Registry::by_id`].
    id: u16,
    /// A container's first sub-command has this index, the others follow.
    first_subcommand: u16,
    /// What it does to its keys.
    needs: Needs,
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
    /// The index in the table: first the natives, then their sub-commands, then plugins' commands.
    /// An index means the same command until plugins change.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// What it needs of its keys.
    #[inline]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// The indexes of its sub-commands.
    pub fn subcommand_ids(&self) -> impl Iterator<Item = u16> + use<> {
        (self.first_subcommand..).take(self.subcommands().len())
    }

    /// The shards that the command's keys live in; none for a plugin's, which takes those of its
    /// batches one by one.
    #[inline]
    pub fn shards(&self, argv: Argv<'_>, rules: &Rules) -> ShardSet {
        if matches!(self.runner, Runner::Plugin(_)) {
            return ShardSet::NONE;
        }
        if self.flags.has(Flags::ALL_SHARDS) {
            return ShardSet::all(rules.shards);
        }
        if self.flags.has(Flags::MOVABLEKEYS) && self.keys.patterns(argv).next().is_some() {
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

/// The hash of a name in either case: what tells a small letter from a capital is left out. Names are
/// few, and no client adds one, so nobody can make them collide who could not do worse.
#[inline]
fn hash_of(name: &[u8]) -> u64 {
    const CASELESS: u8 = !0x20;
    /// 2^64 over the golden ratio: odd, and its bits have no pattern.
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    name.chunks(8).fold(name.len() as u64, |hash, part| {
        let word = part.iter().fold(0, |word, byte| word << 8 | u64::from(byte & CASELESS));
        let product = u128::from(hash ^ word) * u128::from(FACTOR);
        product as u64 ^ (product >> 64) as u64
    })
}

/// All commands by name.
#[derive(Clone, Debug)]
pub struct Registry {
    by_name: HashTable<CommandRef>,
    entries: Vec<CommandRef>,
    subcommands: Vec<CommandRef>,
    natives: usize,
}

impl Registry {
    /// The native commands alone.
    pub fn native() -> Self {
        let natives = Command::natives().count();
        let mut registry = Self {
            by_name: HashTable::new(),
            entries: Vec::with_capacity(natives),
            subcommands: Vec::new(),
            natives,
        };
        for (id, command) in Command::natives() {
            let first_subcommand = (natives + registry.subcommands.len()) as u16;
            for (id, subcommand) in (first_subcommand..).zip(command.subcommands()) {
                let (entry, needs) = (Entry::Native(subcommand), Needs::of(subcommand));
                registry.subcommands.push(CommandRef { entry, id, first_subcommand: id, needs });
            }
            let (entry, needs) = (Entry::Native(command), Needs::of(command));
            registry.insert(CommandRef { entry, id, first_subcommand, needs });
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
            let id = (registry.entries.len() + registry.subcommands.len()) as u16;
            let (entry, needs) = (Entry::Plugin(command.clone()), Needs::of(command));
            registry.insert(CommandRef { entry, id, first_subcommand: id, needs });
        }
        Ok(registry)
    }

    fn insert(&mut self, command: CommandRef) {
        let hash = |entry: &CommandRef| hash_of(entry.name.as_bytes());
        self.by_name.insert_unique(hash(&command), command.clone(), hash);
        self.entries.push(command);
    }

    /// The command with this name, in either case.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<&CommandRef> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let is_meant = |entry: &CommandRef| entry.name.as_bytes().eq_ignore_ascii_case(name);
        self.by_name.find(hash_of(name), is_meant)
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
        let is_meant = |subcommand: &Command| word.eq_ignore_ascii_case(subcommand.name.as_bytes());
        let found = command.subcommands().iter().position(is_meant);
        let first = usize::from(command.first_subcommand) - self.natives;
        match found.and_then(|found| self.subcommands.get(first + found)) {
            Some(found) => Ok(Some(found.clone())),
            None => Err(command),
        }
    }

    /// The command of a full name such as `get` or `client|list`, in either case.
    pub fn find(&self, name: &[u8]) -> Option<CommandRef> {
        let words: OwnedArgv = name.splitn(2, |byte| *byte == b'|').collect();
        let words = words.as_argv();
        let command = self.resolve(words).ok()??;
        // A second word that no container took makes it another name.
        (words.len() == 1 || !command.parent.is_empty()).then_some(command)
    }

    /// The command or sub-command with this [`CommandRef::id`].
    pub fn by_id(&self, id: u16) -> Option<&CommandRef> {
        let index = usize::from(id);
        let behind_natives = index.checked_sub(self.natives);
        match behind_natives {
            None => self.entries.get(index),
            Some(behind) if behind < self.subcommands.len() => self.subcommands.get(behind),
            Some(_) => self.entries.get(index - self.subcommands.len()),
        }
    }

    /// All commands: natives in the order of their families, then plugins'.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CommandRef> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use reef_resp::OwnedArgv;

    use super::*;
    use crate::backend::PluginCommand;

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
    fn every_command_and_subcommand_is_found_by_its_own_index() {
        let plugin = PluginCommand { plugin: 1, command: 0 };
        let plugins = [Arc::new(Command::plugin("A.B".into(), plugin))];
        let registry = Registry::with_plugins(&plugins).unwrap();
        let mut seen = Vec::new();
        let mut check = |command: CommandRef| {
            let found = registry.by_id(command.id()).unwrap();
            assert_eq!(found.full_name(), command.full_name());
            seen.push(command.id());
        };
        for command in registry.iter() {
            check(command.clone());
            for subcommand in command.subcommands() {
                let argv: OwnedArgv = [&*command.name, &*subcommand.name].into_iter().collect();
                check(registry.resolve(argv.as_argv()).unwrap().unwrap());
            }
        }
        for (id, command) in Command::natives_and_subcommands() {
            assert_eq!(registry.by_id(id).unwrap().full_name(), command.full_name());
        }
        seen.sort_unstable();
        assert!(seen.iter().enumerate().all(|(index, id)| index == usize::from(*id)));
        assert!(registry.by_id(seen.len() as u16).is_none());
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
