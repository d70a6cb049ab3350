//! What a plugin says of itself, checked: names, lengths, counts, positions.

use std::collections::BTreeSet;
use std::sync::Arc;

use reef_engine::backend::PluginCommand;
use reef_engine::command::{Command, Flags};
use reef_engine::keyspec::KeySpec;

use crate::border::{CommandClaim, CommandFlags, ManifestClaim};

/// Commands of one plugin.
pub(crate) const COMMANDS_MAX: usize = 256;
/// Grants that a plugin may want.
pub(crate) const WANTS_MAX: usize = 256;
/// Bytes of a name.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Bytes of any other text.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 10;
/// Largest arity and key position.
const POSITION_MAX: i32 = 1_000;

/// A valid manifest.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) commands: Vec<CommandClaim>,
    pub(crate) wants: Vec<String>,
}

impl Manifest {
    /// Checks a claim. The error is the first thing wrong with it.
    pub(crate) fn check(claim: ManifestClaim) -> Result<Self, String> {
        name("the plugin's name", &claim.name)?;
        text("the version", &claim.version, NAME_BYTES_MAX)?;
        text("the summary", &claim.summary, TEXT_BYTES_MAX)?;
        if claim.commands.is_empty() || claim.commands.len() > COMMANDS_MAX {
            return Err(format!("a plugin has between 1 and {COMMANDS_MAX} commands"));
        }
        if claim.wants.len() > WANTS_MAX {
            return Err(format!("a plugin wants up to {WANTS_MAX} grants"));
        }
        let mut names = BTreeSet::new();
        for command in &claim.commands {
            check_command(command)?;
            if !names.insert(command.name.as_str()) {
                return Err(format!("command '{}' is there twice", command.name));
            }
        }
        for want in &claim.wants {
            text("a wanted grant", want, TEXT_BYTES_MAX)?;
            if want.trim_start_matches('~').is_empty() || want.contains(char::is_whitespace) {
                return Err(format!("'{want}' is no grant"));
            }
        }
        let ManifestClaim { name, version, summary, commands, wants } = claim;
        Ok(Self { name, version, summary, commands, wants })
    }

    /// Whether calls of the command with this index may park.
    pub(crate) fn may_park(&self, command: u32) -> bool {
        let claim = self.commands.get(command as usize);
        claim.is_some_and(|claim| has(claim.flags, CommandFlags::BLOCKING))
    }

    /// The entries of the command table for the plugin with this number.
    pub(crate) fn entries(&self, plugin: u32) -> Vec<Arc<Command>> {
        let numbered = self.commands.iter().zip(0..);
        numbered.map(|(claim, command)| Arc::new(entry(claim, plugin, command))).collect()
    }
}

fn entry(claim: &CommandClaim, plugin: u32, command: u32) -> Command {
    let mut entry = Command::plugin(claim.name.clone(), PluginCommand { plugin, command });
    entry.usage = claim.usage.clone().into();
    entry.summary = claim.summary.clone().into();
    entry.complexity = claim.complexity.clone().into();
    entry.since = claim.since.clone().into();
    // Positions were checked to be small.
    let short = |position: i32| position as i16;
    entry.arity = short(claim.arity);
    if claim.first_key > 0 {
        let (first, last, step) = (claim.first_key, claim.last_key, claim.key_step);
        entry.keys = KeySpec::range(short(first), short(last), short(step));
    }
    for (claimed, flag) in [
        (CommandFlags::WRITE, Flags::WRITE),
        (CommandFlags::READONLY, Flags::READONLY),
        (CommandFlags::FAST, Flags::FAST),
        (CommandFlags::BLOCKING, Flags::BLOCKING),
        (CommandFlags::DENYOOM, Flags::DENYOOM),
    ] {
        if has(claim.flags, claimed) {
            entry.flags = entry.flags.with(flag);
        }
    }
    entry
}

fn check_command(claim: &CommandClaim) -> Result<(), String> {
    let name = &claim.name;
    let allowed = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(format!(
            "command name '{name}' must be up to {NAME_BYTES_MAX} of A-Z, 0-9, '.', '_' and '-'"
        ));
    }
    text("a usage", &claim.usage, TEXT_BYTES_MAX)?;
    text("a summary", &claim.summary, TEXT_BYTES_MAX)?;
    text("a complexity", &claim.complexity, TEXT_BYTES_MAX)?;
    text("a since", &claim.since, NAME_BYTES_MAX)?;
    if claim.arity == 0 || claim.arity.unsigned_abs() > POSITION_MAX as u32 {
        return Err(format!("arity {} of '{name}' is out of range", claim.arity));
    }
    if has(claim.flags, CommandFlags::WRITE) && has(claim.flags, CommandFlags::READONLY) {
        return Err(format!("'{name}' is both write and readonly"));
    }
    let (first, last, step) = (claim.first_key, claim.last_key, claim.key_step);
    let none = (first, last, step) == (0, 0, 0);
    let range = (1..=POSITION_MAX).contains(&first)
        && (1..=POSITION_MAX).contains(&step)
        && ((first..=POSITION_MAX).contains(&last) || (-POSITION_MAX..0).contains(&last));
    if none || range {
        Ok(())
    } else {
        Err(format!("key positions {first} {last} {step} of '{name}' are out of range"))
    }
}

fn has(flags: CommandFlags, flag: CommandFlags) -> bool {
    flags & flag == flag
}

fn name(what: &str, value: &str) -> Result<(), String> {
    if is_plugin_name(value.as_bytes()) { Ok(()) } else { Err(format!("{what} is no plain word")) }
}

/// Whether this can be a plugin's name.
pub(crate) fn is_plugin_name(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.iter().all(allowed)
}

fn text(what: &str, value: &str, bytes_max: usize) -> Result<(), String> {
    if value.len() > bytes_max {
        return Err(format!("{what} is longer than {bytes_max} bytes"));
    }
    if value.contains(char::is_control) {
        return Err(format!("{what} has control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> CommandClaim {
        CommandClaim {
            name: "T.GET".into(),
            usage: "key".into(),
            summary: "Gets.".into(),
            complexity: "O(1)".into(),
            since: "1.0.0".into(),
            arity: 2,
            flags: CommandFlags::READONLY | CommandFlags::FAST,
            first_key: 1,
            last_key: 1,
            key_step: 1,
        }
    }

    fn check(change: impl FnOnce(&mut ManifestClaim)) -> Result<Manifest, String> {
        let mut claim = ManifestClaim {
            name: "t".into(),
            version: "1".into(),
            summary: String::new(),
            commands: vec![command()],
            wants: vec!["GET".into(), "~t:*".into()],
        };
        change(&mut claim);
        Manifest::check(claim)
    }

    #[test]
    fn an_entry_says_what_the_manifest_says() {
        let manifest = check(|_| ()).unwrap();
        let entry = &manifest.entries(7)[0];
        assert_eq!(entry.name, "T.GET");
        assert_eq!(entry.arity, 2);
        assert!(entry.flags.has(Flags::READONLY.with(Flags::FAST)));
        assert!(!entry.flags.has(Flags::WRITE));
        assert_eq!(entry.keys, KeySpec::FIRST);
        assert_eq!(entry.usage, "key");
    }

    #[test]
    fn each_rule_is_enforced() {
        type Change = fn(&mut ManifestClaim);
        let changes: [(&str, Change); 16] = [
            ("no commands", |m| m.commands.clear()),
            ("too many", |m| m.commands = vec![command(); COMMANDS_MAX + 1]),
            ("twice", |m| m.commands.push(command())),
            ("lower case", |m| m.commands[0].name = "t.get".into()),
            ("long name", |m| m.commands[0].name = "T".repeat(NAME_BYTES_MAX + 1)),
            ("empty name", |m| m.commands[0].name.clear()),
            ("long usage", |m| m.commands[0].usage = "u".repeat(TEXT_BYTES_MAX + 1)),
            ("two lines", |m| m.commands[0].summary = "a\nb".into()),
            ("arity 0", |m| m.commands[0].arity = 0),
            ("huge arity", |m| m.commands[0].arity = i32::MIN),
            ("write and readonly", |m| m.commands[0].flags |= CommandFlags::WRITE),
            ("no step", |m| m.commands[0].key_step = 0),
            ("negative first key", |m| m.commands[0].first_key = -1),
            ("last before first", |m| m.commands[0].first_key = 2),
            ("empty want", |m| m.wants.push("~".into())),
            ("too many wants", |m| m.wants = vec!["GET".into(); WANTS_MAX + 1]),
        ];
        for (what, change) in changes {
            assert!(check(change).is_err(), "{what}");
        }
        assert!(check(|m| m.commands[0].name = "T".repeat(NAME_BYTES_MAX)).is_ok());
        assert!(check(|m| m.commands[0].last_key = -1).is_ok());
    }
}
