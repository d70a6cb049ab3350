//! Which commands a selector allows: the rules in the order in which they count, and what they
//! come to.
//!
//! Native commands are bits, brought up to date with every rule. Plugins come and go, so their
//! commands are looked up in the rules each time: the last rule that means one decides, and without
//! any whether the user was given all commands, those to come included.
//!
//! Invariant: the rules alone, applied in order, give the same bits.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use reef_resp::Argv;

use super::rule::{RuleError, is_one_word};
use crate::acl_category::{self, CATEGORIES};
use crate::command::{Command, Runner};
use crate::command_set::CommandSet;
use crate::registry::{CommandRef, Registry};
use crate::types::ordered::Ordered;

/// The commands of a selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandRules {
    /// Whether the rules start from all commands instead of none.
    all: bool,
    /// What was given (`true`) or taken since: names, `@category`, `name|first-argument`.
    rules: Ordered<bool>,
    allowed: CommandSet,
    /// First arguments with which a command is allowed that otherwise is not.
    first_arguments: BTreeMap<u16, BTreeSet<Box<[u8]>>>,
}

impl CommandRules {
    /// Whether every command is allowed, whatever it is.
    pub(super) fn is_unlimited(&self) -> bool {
        self.all && self.rules.iter().all(|(_, allow)| *allow)
    }

    /// Allows all commands (`+@all`) or none (`-@all`), those to come included.
    pub(super) fn reset(&mut self, all: bool, registry: &Registry) {
        *self = Self { all, ..Self::default() };
        for command in registry.iter().filter(|_| all) {
            self.change(command, true);
        }
    }

    /// Applies a rule that begins with `+` (`allow`) or `-`, without that sign.
    pub(super) fn apply(
        &mut self,
        allow: bool,
        rule: &[u8],
        registry: &Registry,
    ) -> Result<(), RuleError> {
        let name = rule.to_ascii_lowercase();
        if name == b"@all" {
            self.reset(allow, registry);
            return Ok(());
        }
        if let Some(category) = name.strip_prefix(b"@") {
            self.change_category(category, allow, registry)?;
        } else if let Some(bar) = name.iter().rposition(|byte| *byte == b'|').filter(|_| allow) {
            let (command, argument) = name.split_at(bar);
            self.allow_part(&name, command, &argument[1..], registry)?;
        } else {
            let command = registry.find(&name).ok_or(RuleError::Unknown)?;
            self.change(&command, allow);
        }
        self.remember(&name, allow);
        Ok(())
    }

    /// A new rule replaces the same one and those about parts of what it means.
    fn remember(&mut self, name: &[u8], allow: bool) {
        let parts: Vec<u8> = name.iter().copied().chain([b'|']).collect();
        self.rules.remove_prefix(&parts);
        self.rules.push(name, allow);
    }

    fn change_category(
        &mut self,
        category: &[u8],
        allow: bool,
        registry: &Registry,
    ) -> Result<(), RuleError> {
        let known = CATEGORIES.iter().find(|name| name.as_bytes() == category);
        let category = known.ok_or(RuleError::Unknown)?;
        for command in registry.iter() {
            if acl_category::is_in(command, category) {
                self.change(command, allow);
            }
            for subcommand in command.subcommand_ids().filter_map(|id| registry.by_id(id)) {
                if acl_category::is_in(subcommand, category) {
                    self.change(subcommand, allow);
                }
            }
        }
        Ok(())
    }

    /// `+container|subcommand`, or `+command|first-argument`.
    fn allow_part(
        &mut self,
        name: &[u8],
        command: &[u8],
        part: &[u8],
        registry: &Registry,
    ) -> Result<(), RuleError> {
        let command = registry.find(command).ok_or(RuleError::Unknown)?;
        if !command.parent.is_empty() {
            return Err(RuleError::ArgumentOfSubcommand);
        }
        if part.is_empty() || !is_one_word(part) {
            return Err(RuleError::Syntax);
        }
        if !command.subcommands().is_empty() {
            let subcommand = registry.find(name).ok_or(RuleError::Unknown)?;
            self.change(&subcommand, true);
        } else if !is_of_plugin(&command) {
            self.first_arguments.entry(command.id()).or_default().insert(part.into());
        }
        Ok(())
    }

    /// Allows or refuses a command with all its sub-commands.
    fn change(&mut self, command: &CommandRef, allow: bool) {
        if is_of_plugin(command) {
            return;
        }
        self.first_arguments.remove(&command.id());
        for id in core::iter::once(command.id()).chain(command.subcommand_ids()) {
            if allow {
                self.allowed.insert(id);
            } else {
                self.allowed.remove(id);
            }
        }
    }

    /// Whether a command may run with these arguments.
    #[inline]
    pub(super) fn allow(&self, command: &CommandRef, argv: Argv<'_>) -> bool {
        if is_of_plugin(command) {
            return self.allow_plugins(command, argv);
        }
        if self.allowed.contains(command.id()) {
            return true;
        }
        let Some(arguments) = self.first_arguments.get(&command.id()) else { return false };
        argv.len() > 1 && arguments.contains(argv.get(1).to_ascii_lowercase().as_slice())
    }

    fn allow_plugins(&self, command: &Command, argv: Argv<'_>) -> bool {
        let name = command.name.as_bytes();
        let (mut allowed, mut by_argument) = (self.all, false);
        for (rule, allow) in self.rules.iter() {
            let (head, part) = match rule.iter().position(|byte| *byte == b'|') {
                Some(bar) => (&rule[..bar], Some(&rule[bar + 1..])),
                None => (rule, None),
            };
            let is_meant = match head.strip_prefix(b"@").map(core::str::from_utf8) {
                Some(category) => category.is_ok_and(|name| acl_category::is_in(command, name)),
                None => head.eq_ignore_ascii_case(name),
            };
            match part {
                _ if !is_meant => {}
                None => (allowed, by_argument) = (*allow, false),
                Some(part) => {
                    by_argument |= argv.len() > 1 && argv.get(1).eq_ignore_ascii_case(part)
                }
            }
        }
        allowed || by_argument
    }

    /// Appends the rules as they are written: `-@all +@read -get`.
    pub(super) fn describe(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.all { b"+@all" } else { b"-@all" });
        for (name, allow) in self.rules.iter() {
            out.extend_from_slice(if *allow { b" +" } else { b" -" });
            out.extend_from_slice(name);
        }
    }
}

fn is_of_plugin(command: &Command) -> bool {
    matches!(command.runner, Runner::Plugin(_))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::sync::Arc;

    use reef_resp::OwnedArgv;

    use super::*;
    use crate::backend::PluginCommand;

    fn registry() -> Registry {
        let command = PluginCommand { plugin: 1, command: 0 };
        Registry::with_plugins(&[Arc::new(Command::plugin("TX.GET".into(), command))]).unwrap()
    }

    fn rules(text: &str) -> CommandRules {
        let mut rules = CommandRules::default();
        for rule in text.split_whitespace() {
            rules.apply(rule.starts_with('+'), &rule.as_bytes()[1..], &registry()).unwrap();
        }
        rules
    }

    fn described(rules: &CommandRules) -> String {
        let mut text = Vec::new();
        rules.describe(&mut text);
        String::from_utf8(text).unwrap()
    }

    fn allow(rules: &CommandRules, line: &str) -> bool {
        let argv: OwnedArgv = line.split(' ').collect();
        let registry = registry();
        let command = registry.resolve(argv.as_argv()).unwrap().unwrap();
        rules.allow(&command, argv.as_argv())
    }

    #[test]
    fn rules_are_kept_in_order_and_the_latest_wins() {
        for (given, kept) in [
            ("", "-@all"),
            ("+@all", "+@all"),
            ("+get +set -@all", "-@all"),
            ("+GET -get", "-@all -get"),
            ("+get +@read +get", "-@all +@read +get"),
            ("+config|get +config", "-@all +config"),
            ("+config|get +config|set -config", "-@all -config"),
            ("-config +config|get", "-@all -config +config|get"),
            ("+@all -@dangerous +select|0 -select", "+@all -@dangerous -select"),
            ("+@READ -@read", "-@all -@read"),
        ] {
            assert_eq!(described(&rules(given)), kept, "{given}");
            assert_eq!(rules(kept), rules(given), "{given}");
        }
    }

    #[test]
    fn names_categories_and_parts_allow_what_they_mean() {
        let dangerous = rules("+@all -@dangerous +config|get");
        assert!(allow(&dangerous, "GET k") && allow(&dangerous, "CONFIG GET x"));
        assert!(!allow(&dangerous, "CONFIG SET x y") && !allow(&dangerous, "KEYS *"));
        let hash = rules("+@hash -hset");
        assert!(allow(&hash, "HGET k f") && !allow(&hash, "HSET k f v") && !allow(&hash, "GET k"));
        let select = rules("-@all +select|0 +select|1");
        assert!(allow(&select, "SELECT 0") && allow(&select, "SELECT 1"));
        assert!(!allow(&select, "SELECT 2"));
        // A category that contains the command forgets the first arguments.
        assert!(!allow(&rules("+select|0 -@connection"), "SELECT 0"));
        assert!(rules("+@all -get +get").is_unlimited() && !rules("+@all -get").is_unlimited());
        assert!(!rules("-@all +@read").is_unlimited());
    }

    #[test]
    fn commands_of_plugins_follow_the_rules() {
        for (given, may) in [
            ("+@all", true),
            ("+@all -tx.get", false),
            ("-@all", false),
            ("+tx.get", true),
            ("+TX.GET -@slow", false),
            ("+@slow", true),
            ("+@read", false),
            ("+tx.get|7", true),
            ("+tx.get|8", false),
            ("+tx.get|7 -tx.get", false),
        ] {
            assert_eq!(allow(&rules(given), "TX.GET 7"), may, "{given}");
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let registry = registry();
        for (allow, rule, error) in [
            (true, "nope", RuleError::Unknown),
            (true, "@nope", RuleError::Unknown),
            (true, "", RuleError::Unknown),
            (true, "config|nope", RuleError::Unknown),
            (true, "nope|x", RuleError::Unknown),
            (true, "config|get|x", RuleError::ArgumentOfSubcommand),
            (true, "select|", RuleError::Syntax),
            (true, "select|a b", RuleError::Syntax),
            (false, "select|0", RuleError::Unknown),
            (false, "config|", RuleError::Unknown),
        ] {
            let mut rules = CommandRules::default();
            assert_eq!(rules.apply(allow, rule.as_bytes(), &registry), Err(error), "{rule}");
            assert_eq!(rules, CommandRules::default());
        }
    }
}
