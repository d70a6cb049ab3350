//! A selector: commands, and the keys and channels that they may touch. Every user has one, and may
//! have further ones; a command passes if one selector allows all of it.

use alloc::vec::Vec;

use reef_resp::Argv;

use super::commands::CommandRules;
use super::denial::{Denial, Reason};
use super::need::Need;
use super::rule::{RuleError, is_one_word};
use crate::command::Flags;
use crate::registry::{CommandRef, Registry};
use crate::types::glob;
use crate::types::ordered::Ordered;

/// Patterns of names, or all names. With all of them there are no patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patterns<V> {
    pub(crate) all: bool,
    pub(crate) some: Ordered<V>,
}

impl<V> Patterns<V> {
    fn new(all: bool) -> Self {
        Self { all, some: Ordered::default() }
    }
}

/// What a part of a user's permissions allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub(super) commands: CommandRules,
    pub(crate) keys: Patterns<Need>,
    pub(crate) channels: Patterns<()>,
}

impl Selector {
    /// A selector that allows nothing but, if so configured, all channels.
    pub fn new(all_channels: bool) -> Self {
        Self {
            commands: CommandRules::default(),
            keys: Patterns::new(false),
            channels: Patterns::new(all_channels),
        }
    }

    /// Reads the rules between the brackets of a selector.
    pub fn parse(rules: &[u8], all_channels: bool, registry: &Registry) -> Result<Self, RuleError> {
        let mut selector = Self::new(all_channels);
        let mut words = rules.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.try_for_each(|word| selector.apply(word, registry))?;
        Ok(selector)
    }

    /// Applies one rule.
    pub fn apply(&mut self, rule: &[u8], registry: &Registry) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            _ if is("allkeys") || is("~*") => self.keys = Patterns::new(true),
            _ if is("resetkeys") => self.keys = Patterns::new(false),
            _ if is("allchannels") || is("&*") => self.channels = Patterns::new(true),
            _ if is("resetchannels") => self.channels = Patterns::new(false),
            _ if is("allcommands") => self.commands.reset(true, registry),
            _ if is("nocommands") => self.commands.reset(false, registry),
            [b'+', name @ ..] => self.commands.apply(true, name, registry)?,
            [b'-', name @ ..] => self.commands.apply(false, name, registry)?,
            [b'~', pattern @ ..] => self.add_keys(Need::BOTH, pattern)?,
            [b'%', rest @ ..] => {
                let (need, pattern) = restricted(rest).ok_or(if self.keys.all {
                    RuleError::KeysAfterAll
                } else {
                    RuleError::Syntax
                })?;
                self.add_keys(need, pattern)?;
            }
            [b'&', pattern @ ..] => self.add_channels(pattern)?,
            _ => return Err(RuleError::Syntax),
        }
        Ok(())
    }

    fn add_keys(&mut self, need: Need, pattern: &[u8]) -> Result<(), RuleError> {
        if self.keys.all {
            return Err(RuleError::KeysAfterAll);
        }
        if !is_one_word(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.some.get_mut(pattern) {
            Some(allowed) => *allowed = allowed.with(need),
            None => self.keys.some.push(pattern, need),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.channels.all {
            return Err(RuleError::ChannelsAfterAll);
        }
        if !is_one_word(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.some.contains(pattern) {
            self.channels.some.push(pattern, ());
        }
        Ok(())
    }

    /// Whether nothing at all is refused.
    pub fn is_unlimited(&self) -> bool {
        self.commands.is_unlimited() && self.keys.all && self.channels.all
    }

    /// Whether a key may be used in this way.
    pub fn allow_key(&self, key: &[u8], need: Need) -> bool {
        self.keys.all
            || self
                .keys
                .some
                .iter()
                .any(|(pattern, allowed)| allowed.covers(need) && glob::matches(pattern, key))
    }

    /// Whether every key may be used in this way, and so also those that nobody names.
    pub fn allow_all_keys(&self, need: Need) -> bool {
        self.keys.all
            || self
                .keys
                .some
                .iter()
                .any(|(pattern, allowed)| allowed.covers(need) && pattern == b"*")
    }

    /// Whether every key that begins like this may be used in this way.
    pub fn allow_prefix(&self, prefix: &[u8], need: Need) -> bool {
        let covers = |pattern: &[u8]| {
            let literal = pattern.strip_suffix(b"*").unwrap_or(b"*");
            let is_plain = !literal.iter().any(|byte| b"*?[\\".contains(byte));
            is_plain && prefix.starts_with(literal)
        };
        let mut some = self.keys.some.iter();
        self.keys.all || some.any(|(pattern, allowed)| allowed.covers(need) && covers(pattern))
    }

    /// Whether a channel may be published or subscribed to. Patterns of channels are not compared
    /// with what they match: the same pattern must have been allowed.
    pub fn allow_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.channels.all
            || self.channels.some.contains(channel) && is_pattern
            || !is_pattern
                && self.channels.some.iter().any(|(pattern, ())| glob::matches(pattern, channel))
    }

    /// Whether a command may run with these arguments, or what is in the way.
    pub fn check(&self, command: &CommandRef, argv: Argv<'_>) -> Result<(), Denial> {
        if !command.flags.has(Flags::NO_AUTH) && !self.commands.allow(command, argv) {
            return Err(Denial { reason: Reason::Command, position: 0 });
        }
        if !self.keys.all {
            let (mut refused, mut index) = (None, 0);
            command.keys.visit(argv, |position| {
                let need = command.needs().at(command, argv, index);
                index += 1;
                if refused.is_none() && !self.allow_key(argv.get(position), need) {
                    refused = Some(position);
                }
            });
            if let Some(position) = refused {
                return Err(Denial { reason: Reason::Key, position });
            }
        }
        if !self.channels.all {
            let channels = command.channels;
            let is_refused = |position: &usize| {
                !self.allow_channel(argv.get(*position), channels.are_patterns())
            };
            if let Some(position) = channels.positions(argv).find(is_refused) {
                return Err(Denial { reason: Reason::Channel, position });
            }
        }
        Ok(())
    }

    /// Appends the commands as they are written: `-@all +@read`.
    pub fn describe_commands(&self, out: &mut Vec<u8>) {
        self.commands.describe(out);
    }

    /// Appends the keys as they are written: `~a* %R~b`.
    pub fn describe_keys(&self, out: &mut Vec<u8>) {
        if self.keys.all {
            out.extend_from_slice(b"~*");
        }
        let alone = self.keys.some.len() == 1;
        for (index, (pattern, allowed)) in self.keys.some.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            let mark: &[u8] = match *allowed {
                Need::READ => b"%R~",
                Need::WRITE => b"%W~",
                // Read again, `~*` would not tolerate patterns beside it.
                _ if pattern == b"*" && !alone => b"%RW~",
                _ => b"~",
            };
            out.extend_from_slice(mark);
            out.extend_from_slice(pattern);
        }
    }

    /// Appends the channels as they are written: `&a* &b`.
    pub fn describe_channels(&self, out: &mut Vec<u8>) {
        if self.channels.all {
            out.extend_from_slice(b"&*");
        }
        for (index, (pattern, ())) in self.channels.some.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b" &" } else { b"&" });
            out.extend_from_slice(pattern);
        }
    }

    /// Appends all rules: what SETUSER would have to be told.
    pub fn describe(&self, out: &mut Vec<u8>) {
        let before = out.len();
        self.describe_keys(out);
        if out.len() > before {
            out.push(b' ');
        }
        if !self.channels.all {
            out.extend_from_slice(b"resetchannels ");
        }
        if self.channels.all || !self.channels.some.is_empty() {
            self.describe_channels(out);
            out.push(b' ');
        }
        self.commands.describe(out);
    }
}

/// `R~pattern`, `W~pattern`, `RW~pattern`: what is behind the `%`. Letters alone are about the key
/// without a name, as in Redis.
fn restricted(rest: &[u8]) -> Option<(Need, &[u8])> {
    let tilde = rest.iter().position(|byte| *byte == b'~').unwrap_or(rest.len());
    let (letters, pattern) = rest.split_at(tilde);
    let need = match letters.to_ascii_uppercase().as_slice() {
        b"R" => Need::READ,
        b"W" => Need::WRITE,
        b"RW" | b"WR" => Need::BOTH,
        _ => return None,
    };
    Some((need, pattern.get(1..).unwrap_or_default()))
}
