//! What a plugin may do: which commands it may run, on which keys.
//!
//! Written as words: a command name or glob (`SET`, `Z*`), or `~` and a key glob (`~tx:*`).
//! Without any `~` word every key of the tenant is granted. Only ordinary keyspace commands can
//! be granted at all; see [`Command::is_batchable`](crate::command::Command::is_batchable).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::command::Command;
use crate::command_set::CommandSet;
use crate::types::glob;

/// A glob over keys, with the most frequent form (`prefix*`) taken apart beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyPattern {
    Prefix(Box<[u8]>),
    Glob(Box<[u8]>),
}

impl KeyPattern {
    fn new(pattern: &[u8]) -> Self {
        match pattern.split_last() {
            Some((b'*', prefix)) if !prefix.iter().any(|byte| b"*?[\\".contains(byte)) => {
                Self::Prefix(prefix.into())
            }
            _ => Self::Glob(pattern.into()),
        }
    }

    fn matches(&self, key: &[u8]) -> bool {
        match self {
            Self::Prefix(prefix) => key.starts_with(prefix),
            Self::Glob(pattern) => glob::matches(pattern, key),
        }
    }
}

/// The commands and keys that a plugin was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    commands: CommandSet,
    keys: Vec<KeyPattern>,
}

/// Whether a word means a command. A sub-command is meant by its full name (`object|freq`), and by
/// its container's (`object`).
fn is_meant(word: &[u8], command: &Command) -> bool {
    let is_meant = |name: &str| glob::matches_nocase(word, name.as_bytes());
    is_meant(&command.full_name()) || !command.parent.is_empty() && is_meant(command.parent)
}

impl Grants {
    /// Everything that can be granted.
    pub fn all() -> Self {
        Self::parse(&["*"]).unwrap_or_default()
    }

    /// Parses grant words. The error is the first word that names no command that can be granted.
    pub fn parse<'w>(words: &[&'w str]) -> Result<Self, &'w str> {
        let mut grants = Self::default();
        for word in words {
            if let Some(pattern) = word.strip_prefix('~') {
                grants.keys.push(KeyPattern::new(pattern.as_bytes()));
                continue;
            }
            let mut known = false;
            for (id, command) in Command::natives_and_subcommands() {
                if command.is_batchable() && is_meant(word.as_bytes(), command) {
                    grants.commands.insert(id);
                    known = true;
                }
            }
            if !known {
                return Err(word);
            }
        }
        if grants.allow_all_keys() {
            // Then no key has to be looked at.
            grants.keys.clear();
        }
        Ok(grants)
    }

    /// Whether the native command with this table index may run.
    pub fn allow_command(&self, id: u16) -> bool {
        self.commands.contains(id)
    }

    /// Whether every key may be touched, and thus a command that declares none but sees them all.
    pub fn allow_all_keys(&self) -> bool {
        let is_all =
            |pattern: &KeyPattern| matches!(pattern, KeyPattern::Prefix(it) if it.is_empty());
        self.keys.is_empty() || self.keys.iter().any(is_all)
    }

    /// Whether this key may be touched.
    pub fn allow_key(&self, key: &[u8]) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|pattern| pattern.matches(key))
    }

    /// The first of the `wanted` words that this does not cover. A wanted key pattern is covered
    /// by the same pattern, by a granted prefix of it, or when all keys are granted.
    pub fn first_missing<'w>(&self, wanted: &[&'w str]) -> Option<&'w str> {
        wanted.iter().copied().find(|word| match word.strip_prefix('~') {
            Some(pattern) => !self.allow_pattern(pattern.as_bytes()),
            None => !Self::parse(&[word]).is_ok_and(|want| self.covers_commands(&want)),
        })
    }

    /// Whether all keys that this glob matches may be touched: it is the granted one, or begins
    /// with a granted prefix, or all keys are granted.
    pub fn allow_pattern(&self, pattern: &[u8]) -> bool {
        let wanted = KeyPattern::new(pattern);
        self.keys.is_empty()
            || self.keys.iter().any(|granted| match granted {
                KeyPattern::Prefix(prefix) => {
                    let literal = pattern.iter().take_while(|byte| !b"*?[\\".contains(byte));
                    literal.count() >= prefix.len() && pattern.starts_with(prefix)
                }
                KeyPattern::Glob(_) => *granted == wanted,
            })
    }

    fn covers_commands(&self, want: &Self) -> bool {
        self.commands.contains_all(&want.commands)
    }
}

#[cfg(test)]
mod tests {
    use reef_resp::OwnedArgv;

    use super::*;
    use crate::registry::Registry;

    fn allows(grants: &Grants, words: &[&str]) -> bool {
        let argv: OwnedArgv = words.iter().copied().collect();
        let command = Registry::native().resolve(argv.as_argv()).unwrap().unwrap();
        grants.allow_command(command.id())
    }

    #[test]
    fn a_container_grants_its_subcommands() {
        for word in ["*", "object", "OBJECT|*", "object|encoding"] {
            let grants = Grants::parse(&[word]).unwrap();
            assert!(allows(&grants, &["OBJECT", "ENCODING", "k"]), "{word}");
            assert_eq!(allows(&grants, &["OBJECT", "FREQ", "k"]), word != "object|encoding");
        }
        assert!(!allows(&Grants::parse(&["GET"]).unwrap(), &["OBJECT", "FREQ", "k"]));
        assert!(!allows(&Grants::all(), &["OBJECT", "HELP"]));
        assert_eq!(Grants::parse(&["GET", "object|nope"]), Err("object|nope"));
    }

    #[test]
    fn what_operators_and_connections_do_cannot_be_granted() {
        for word in ["MULTI", "SUBSCRIBE", "QUIT", "nope"] {
            assert_eq!(Grants::parse(&[word]), Err(word));
        }
        assert!(!allows(&Grants::all(), &["MULTI"]));
    }
}
