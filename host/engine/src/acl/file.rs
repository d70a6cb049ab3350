//! Users as they stand in an ACL file (`aclfile`) or in the configuration: one line each, `user NAME
//! rule ...`.
//!
//! Reading collects everything that is wrong; a file with an error changes nothing.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::directory::{DEFAULT_USER, Directory, Policy};
use super::rule::{self, RuleError, is_one_word};
use super::user::User;
use crate::error::AclFileError;
use crate::registry::Registry;

/// The users of a file with this content, or all that is wrong with it, in one line. `file` is the
/// name to be told.
pub fn parse(
    text: &[u8],
    file: &str,
    policy: Policy,
    registry: &Registry,
) -> Result<BTreeMap<Box<[u8]>, User>, String> {
    let mut users = BTreeMap::new();
    let mut errors = String::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let mut tell = |error: AclFileError<'_>| errors.push_str(&error.text(file, number));
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [b"user", name, rules @ ..] = words.as_slice() else {
            tell(AclFileError::NoUser);
            continue;
        };
        if !is_one_word(name) {
            tell(AclFileError::Name(name));
        } else if users.contains_key(*name) {
            tell(AclFileError::Duplicate(name));
        } else {
            users.insert((*name).into(), read_user(rules, policy, registry, &mut tell));
        }
    }
    if errors.is_empty() { Ok(users) } else { Err(errors) }
}

/// Applies the rules of a line. Unknown commands are all told, of other errors the first.
fn read_user(
    rules: &[&[u8]],
    policy: Policy,
    registry: &Registry,
    tell: &mut dyn FnMut(AclFileError<'_>),
) -> User {
    let mut user = User::new(policy.all_channels);
    let Ok(rules) = rule::joined(rules) else {
        tell(AclFileError::OpenSelector);
        return user;
    };
    let mut is_told = false;
    for rule in rules {
        match user.apply(rule.trim_ascii(), policy.all_channels, registry) {
            Ok(()) => {}
            Err(RuleError::Unknown) => tell(AclFileError::Unknown(&rule)),
            Err(error) => {
                if !core::mem::replace(&mut is_told, true) {
                    tell(AclFileError::Rule(error));
                }
            }
        }
    }
    user
}

impl Directory {
    /// Takes a user over from the configuration. Rules about `default` say all about it. The error
    /// names the user and what is wrong.
    pub fn set_configured(
        &mut self,
        name: &[u8],
        rules: &[Vec<u8>],
        registry: &Registry,
    ) -> Result<(), String> {
        let fresh: &[&[u8]] = if name == DEFAULT_USER { &[b"reset"] } else { &[] };
        let rules: Vec<&[u8]> =
            fresh.iter().copied().chain(rules.iter().map(Vec::as_slice)).collect();
        self.set_user(name, &rules, registry).map_err(|error| {
            alloc::format!("user '{}': {}", String::from_utf8_lossy(name), error.message())
        })
    }

    /// The content of a file with all users.
    pub fn file(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for line in self.lines() {
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        text
    }
}
