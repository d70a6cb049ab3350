//! All users by name, and the log of refusals: a plain value that its owner guards.
//!
//! Invariants: there is always a user `default`; a version of an account that is no longer current
//! is marked so before the owner lets go of the directory.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::account::Account;
use super::log::{Log, Refusal};
use super::rule::{self, is_one_word};
use super::user::User;
use crate::clock::Millis;
use crate::error::Error;
use crate::registry::Registry;
use crate::session::Session;

/// The name of the user that every connection begins as.
pub const DEFAULT_USER: &[u8] = b"default";

/// What the configuration says about users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether new users may use all channels (`acl-pubsub-default`).
    pub all_channels: bool,
    /// How many refusals are remembered (`acllog-max-len`).
    pub log_entries_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { all_channels: false, log_entries_max: 128 }
    }
}

/// The users.
#[derive(Debug)]
pub struct Directory {
    accounts: BTreeMap<Box<[u8]>, Arc<Account>>,
    default: Arc<Account>,
    next_serial: u64,
    /// How often a user was made, changed or deleted.
    changes: u64,
    policy: Policy,
    log: Log,
}

impl Directory {
    /// The user `default` alone, who may do everything; without a password if this one is empty.
    pub fn new(password: &[u8], policy: Policy, registry: &Registry) -> Self {
        let default = Account::new(DEFAULT_USER, 0, User::unlimited(registry));
        let mut directory = Self {
            accounts: BTreeMap::from([(DEFAULT_USER.into(), default.clone())]),
            default,
            next_serial: 1,
            changes: 0,
            policy,
            log: Log::default(),
        };
        if !password.is_empty() {
            directory.set_default_password(password);
        }
        directory
    }

    /// What the configuration says.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Changes what the configuration says.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// How often a user was made, changed or deleted so far.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What was refused.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The same, for forgetting.
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Counts and logs a refusal.
    pub fn note(&mut self, refusal: Refusal, now: Millis) {
        self.log.note(refusal, now, self.policy.log_entries_max);
    }

    /// The user that every connection begins as.
    pub fn default_account(&self) -> &Arc<Account> {
        &self.default
    }

    /// The current version of a user.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Account>> {
        self.accounts.get(name)
    }

    /// All users, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// Makes a user of this name, or changes the one there is. Either all rules are applied or none.
    pub fn set_user(
        &mut self,
        name: &[u8],
        rules: &[&[u8]],
        registry: &Registry,
    ) -> Result<(), Error> {
        if !is_one_word(name) {
            return Err(Error::USER_NAME);
        }
        let rules = rule::joined(rules).map_err(Error::open_selector)?;
        let all_channels = self.policy.all_channels;
        let known = self.accounts.get(name).map(|account| account.user().clone());
        let mut user = known.unwrap_or_else(|| User::new(all_channels));
        for rule in rules {
            user.apply(&rule, all_channels, registry)
                .map_err(|error| Error::acl_rule(&rule, error))?;
        }
        self.put(name, user);
        Ok(())
    }

    /// Makes this the only password of the default user (`requirepass`); empty: none is needed.
    pub fn set_default_password(&mut self, password: &[u8]) {
        let mut user = self.default.user().clone();
        user.set_password(Some(password).filter(|password| !password.is_empty()));
        self.put(DEFAULT_USER, user);
    }

    /// Puts a version of a user in the place of the one there was.
    fn put(&mut self, name: &[u8], user: User) {
        let serial = match self.accounts.get(name) {
            Some(account) => account.serial(),
            None => self.new_serial(),
        };
        self.enter(Account::new(name, serial, user));
    }

    fn new_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    fn enter(&mut self, account: Arc<Account>) {
        self.changes += 1;
        if account.name() == DEFAULT_USER {
            self.default = account.clone();
        }
        if let Some(before) = self.accounts.insert(account.name().into(), account) {
            before.outdate();
        }
    }

    /// Deletes a user. The caller closes its connections; those that are not closed in time have no
    /// rights any more.
    pub fn delete(&mut self, name: &[u8]) -> Option<Arc<Account>> {
        if name == DEFAULT_USER {
            return None;
        }
        let account = self.accounts.remove(name)?;
        self.changes += 1;
        account.outdate();
        Some(account)
    }

    /// Puts these users in the place of all there were. A `default` that is not among them is as in
    /// the beginning. Gives the users that are gone.
    pub fn replace(
        &mut self,
        users: BTreeMap<Box<[u8]>, User>,
        registry: &Registry,
    ) -> Vec<Arc<Account>> {
        let gone: Vec<_> = self
            .accounts
            .keys()
            .filter(|name| !users.contains_key(*name) && ***name != *DEFAULT_USER)
            .cloned()
            .collect();
        let gone = gone.iter().filter_map(|name| self.delete(name)).collect();
        if !users.contains_key(DEFAULT_USER) {
            self.put(DEFAULT_USER, User::unlimited(registry));
        }
        for (name, user) in users {
            self.put(&name, user);
        }
        gone
    }

    /// Gives a session the current version of its user. Without one the session has lost all rights
    /// and ends: `false`.
    pub fn renew(&self, session: &mut Session) -> bool {
        let Some(held) = session.account() else { return true };
        let current = self.accounts.get(held.name());
        match current.filter(|current| current.serial() == held.serial()) {
            Some(current) => {
                session.hold(current.clone());
                true
            }
            None => {
                session.hold(self.default.clone());
                session.authenticated = false;
                session.closing = true;
                false
            }
        }
    }

    /// All users as lines of a file.
    pub fn lines(&self) -> impl Iterator<Item = Vec<u8>> {
        self.iter().map(|account| line(account))
    }

    /// The same without the word `user`, as text.
    pub fn texts(&self) -> Vec<String> {
        let text = |line: Vec<u8>| {
            String::from_utf8_lossy(line.get(b"user ".len()..).unwrap_or_default()).into_owned()
        };
        self.lines().map(text).collect()
    }
}

/// `user NAME rule ...`.
fn line(account: &Account) -> Vec<u8> {
    let rules = account.user().describe();
    [b"user ", account.name(), b" ", &rules].concat()
}
