//! A user's rights: whether one may log in, with which passwords, and what is allowed then.
//!
//! A plain value without its name. [`User::describe`] gives rules that make an equal user.

use alloc::vec::Vec;

use reef_resp::Argv;

use super::denial::{Denial, Reason};
use super::need::Need;
use super::password::PasswordHash;
use super::rule::RuleError;
use super::selector::Selector;
use crate::registry::{CommandRef, Registry};
use crate::types::ordered::Ordered;

/// What a user is and may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    enabled: bool,
    no_password: bool,
    skip_sanitize: bool,
    /// By the bytes of their hashes.
    passwords: Ordered<()>,
    root: Selector,
    selectors: Vec<Selector>,
}

impl User {
    /// A user who may do nothing, as SETUSER begins with. Whether all channels are allowed is
    /// configured (`acl-pubsub-default`).
    pub fn new(all_channels: bool) -> Self {
        Self {
            enabled: false,
            no_password: false,
            skip_sanitize: false,
            passwords: Ordered::default(),
            root: Selector::new(all_channels),
            selectors: Vec::new(),
        }
    }

    /// A user who may do everything and needs no password: what `default` is unless configured.
    pub fn unlimited(registry: &Registry) -> Self {
        let mut user = Self::new(true);
        user.enabled = true;
        user.no_password = true;
        user.root.keys.all = true;
        user.root.commands.reset(true, registry);
        user
    }

    /// Applies one rule. A selector must be in one piece.
    pub fn apply(
        &mut self,
        rule: &[u8],
        all_channels: bool,
        registry: &Registry,
    ) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            [] => {}
            _ if is("on") => self.enabled = true,
            _ if is("off") => self.enabled = false,
            _ if is("skip-sanitize-payload") => self.skip_sanitize = true,
            _ if is("sanitize-payload") => self.skip_sanitize = false,
            _ if is("nopass") => self.set_password(None),
            _ if is("resetpass") => {
                self.passwords.clear();
                self.no_password = false;
            }
            _ if is("clearselectors") => self.selectors.clear(),
            _ if is("reset") => *self = Self::new(all_channels),
            [b'>', password @ ..] => self.add_password(PasswordHash::of(password)),
            [b'#', digits @ ..] => self.add_password(hash(digits)?),
            [b'<', password @ ..] => self.remove_password(PasswordHash::of(password))?,
            [b'!', digits @ ..] => self.remove_password(hash(digits)?)?,
            [b'(', rules @ .., b')'] => {
                self.selectors.push(Selector::parse(rules, all_channels, registry)?);
            }
            _ => self.root.apply(rule, registry)?,
        }
        Ok(())
    }

    /// Makes this the only password; `None`: every password is right.
    pub fn set_password(&mut self, password: Option<&[u8]>) {
        self.passwords.clear();
        self.no_password = true;
        if let Some(password) = password {
            self.add_password(PasswordHash::of(password));
        }
    }

    fn add_password(&mut self, hash: PasswordHash) {
        self.no_password = false;
        if !self.passwords.contains(hash.bytes()) {
            self.passwords.push(hash.bytes(), ());
        }
    }

    fn remove_password(&mut self, hash: PasswordHash) -> Result<(), RuleError> {
        let removed = self.passwords.remove(hash.bytes());
        if removed { Ok(()) } else { Err(RuleError::NoSuchPassword) }
    }

    /// Whether one may log in at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether every password is right.
    pub fn needs_no_password(&self) -> bool {
        self.no_password
    }

    /// Whether one need not log in to be this user.
    pub fn is_open(&self) -> bool {
        self.enabled && self.no_password
    }

    /// Whether one may log in with this password. All are compared, each in constant time.
    pub fn accepts(&self, password: &[u8]) -> bool {
        if !self.enabled || self.no_password {
            return self.enabled;
        }
        let hash = PasswordHash::of(password);
        self.passwords.iter().fold(false, |found, (bytes, ())| found | hash.is(bytes))
    }

    /// All selectors, the user's own first.
    fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        core::iter::once(&self.root).chain(&self.selectors)
    }

    /// The selector that rules without brackets are about.
    pub fn root(&self) -> &Selector {
        &self.root
    }

    /// The further selectors.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Whether nothing at all is refused.
    pub fn is_unlimited(&self) -> bool {
        self.all_selectors().any(Selector::is_unlimited)
    }

    /// Whether a command may run with these arguments. Of the selectors' verdicts the one that came
    /// furthest is told.
    pub fn check(&self, command: &CommandRef, argv: Argv<'_>) -> Result<(), Denial> {
        let mut told = Denial { reason: Reason::Command, position: 0 };
        for selector in self.all_selectors() {
            let Err(denial) = selector.check(command, argv) else { return Ok(()) };
            if (denial.reason, denial.position) > (told.reason, told.position) {
                told = denial;
            }
        }
        Err(told)
    }

    /// Whether a command may run that also uses keys which it does not name, such as SORT with a
    /// pattern.
    pub fn allow_with_all_keys(&self, command: &CommandRef, argv: Argv<'_>, need: Need) -> bool {
        self.all_selectors()
            .any(|selector| selector.allow_all_keys(need) && selector.check(command, argv).is_ok())
    }

    /// Whether a command may run that also uses keys which it does not name, but which begin with one
    /// of these.
    pub fn allow_with_prefixes(
        &self,
        command: &CommandRef,
        argv: Argv<'_>,
        prefixes: &[alloc::boxed::Box<[u8]>],
        need: Need,
    ) -> bool {
        self.all_selectors().any(|selector| {
            prefixes.iter().all(|prefix| selector.allow_prefix(prefix, need))
                && selector.check(command, argv).is_ok()
        })
    }

    /// Whether a channel, or exactly this pattern of channels, may be subscribed to.
    pub fn allow_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_selectors().any(|selector| selector.allow_channel(channel, is_pattern))
    }

    /// Whether everything that was allowed to `before` is still subscribed to by right.
    pub fn allow_channels_of(&self, before: &Self) -> bool {
        self.all_selectors().any(|selector| selector.channels.all)
            || before.all_selectors().all(|selector| {
                let mut patterns = selector.channels.some.iter();
                !selector.channels.all && patterns.all(|(name, ())| self.allow_channel(name, true))
            })
    }

    /// The words of the user's flags.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        [
            Some(if self.enabled { "on" } else { "off" }),
            self.no_password.then_some("nopass"),
            Some(if self.skip_sanitize { "skip-sanitize-payload" } else { "sanitize-payload" }),
        ]
        .into_iter()
        .flatten()
    }

    /// The passwords' hashes as hexadecimal digits.
    pub fn passwords(&self) -> impl Iterator<Item = alloc::string::String> {
        self.passwords.iter().map(|(bytes, ())| super::password::hexadecimal(bytes))
    }

    /// The rules that make this user out of a new one, as ACL LIST shows them.
    pub fn describe(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for flag in self.flags() {
            out.extend_from_slice(flag.as_bytes());
            out.push(b' ');
        }
        for password in self.passwords() {
            out.push(b'#');
            out.extend_from_slice(password.as_bytes());
            out.push(b' ');
        }
        self.root.describe(&mut out);
        for selector in &self.selectors {
            out.extend_from_slice(b" (");
            selector.describe(&mut out);
            out.push(b')');
        }
        out
    }
}

fn hash(digits: &[u8]) -> Result<PasswordHash, RuleError> {
    PasswordHash::parse(digits).ok_or(RuleError::NotAHash)
}
