//! `CONFIG GET` and `CONFIG SET`.

use super::directive::{Kind, When};
use super::error::{ConfigError, Origin};
use super::load::check_role;
use super::table::{self, TABLE};
use super::value::{Value, lossy};
use super::{Config, glob};

/// Where a client that changes the configuration sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// On this machine: through the Unix socket or the loopback interface.
    Local,
    /// Anywhere else.
    Remote,
}

/// The directives whose value a `CONFIG SET` changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Their own names, in the order of the command.
    pub names: Vec<&'static str>,
}

impl Changed {
    /// Whether the value of the directive with this own name changed.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(&name)
    }
}

const IMMUTABLE: &str = "can't set immutable config";

impl Config {
    /// The names and values that match any of the patterns, each once. A name asked for exactly is
    /// given back as it was written, and only so are the unlisted ones found.
    ///
    /// Lines that are collected (`user`, `plugin`, `tenant`, `rename-command`) have no single value
    /// and are not shown.
    pub fn get(&self, patterns: &[impl AsRef<[u8]>]) -> Vec<(String, Vec<u8>)> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for pattern in patterns.iter().map(AsRef::as_ref) {
            if glob::is_pattern(pattern) {
                for (directive, value) in TABLE.iter().zip(&self.values) {
                    let shown = [Some(directive.name), directive.twin];
                    for name in shown.into_iter().flatten() {
                        let listed = !directive.hidden && !directive.is_collected();
                        if listed
                            && glob::matches(pattern, name.as_bytes(), true)
                            && seen.insert(name.to_owned())
                        {
                            found.push((name.to_owned(), value.show()));
                        }
                    }
                }
            } else if let Some(at) = table::find(pattern)
                && let Some(value) = self.values.get(at)
                && *value != Value::Collected
            {
                let name = lossy(pattern);
                if seen.insert(name.to_ascii_lowercase()) {
                    found.push((name, value.show()));
                }
            }
        }
        found
    }

    /// Changes all of these directives, or none when any of them is refused.
    ///
    /// What changes still has to be put into effect by the caller. Where that may fail, change a
    /// clone and keep it once it is in effect; [`ConfigError::not_applied`] is the answer if not.
    ///
    /// # Errors
    /// The first refusal; [`ConfigError::reply`] is what the client is told.
    pub fn set<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        pairs: &[(N, V)],
        caller: Caller,
    ) -> Result<Changed, ConfigError> {
        let mut places = Vec::with_capacity(pairs.len());
        for (name, _) in pairs {
            let place = self.changeable(name.as_ref(), caller, &places)?;
            places.push(place);
        }
        let mut next = self.values.clone();
        for ((name, text), &(at, _)) in pairs.iter().zip(&places) {
            let (Some(directive), Some(slot)) = (TABLE.get(at), next.get_mut(at)) else { continue };
            let refused =
                |text| ConfigError::directive(Origin::Command, lossy(name.as_ref()), text);
            let arguments = [text.as_ref().to_vec()];
            let value = Value::read(directive, &arguments, Some(&*slot)).map_err(&refused)?;
            check_role(directive, &value, self.defaults.get(at)).map_err(&refused)?;
            if directive.when == When::Settled && value != *slot {
                return Err(refused(IMMUTABLE.to_owned()));
            }
            *slot = value;
        }
        let mut changed = Changed::default();
        for (at, _) in places {
            if let Some(directive) = TABLE.get(at)
                && self.values.get(at) != next.get(at)
                && !changed.contains(directive.name)
            {
                changed.names.push(directive.name);
            }
        }
        self.values = next;
        Ok(changed)
    }

    /// The place of a directive that this caller may change and has not named before.
    fn changeable(
        &self,
        name: &[u8],
        caller: Caller,
        before: &[(usize, Vec<u8>)],
    ) -> Result<(usize, Vec<u8>), ConfigError> {
        let refused = |text: &str| ConfigError::directive(Origin::Command, lossy(name), text);
        let known = table::find(name).and_then(|at| TABLE.get(at).map(|row| (at, row)));
        let Some((at, directive)) = known.filter(|(_, row)| !matches!(row.kind, Kind::Collected))
        else {
            return Err(ConfigError::unknown(Origin::Command, lossy(name), None));
        };
        match directive.when {
            When::Start => return Err(refused(IMMUTABLE)),
            When::Protected if !self.enable_protected_configs().allows(caller) => {
                return Err(refused("can't set protected config"));
            }
            When::Protected | When::Runtime | When::Settled => {}
        }
        let lower = name.to_ascii_lowercase();
        if before.iter().any(|(_, other)| *other == lower) {
            return Err(refused("duplicate parameter"));
        }
        Ok((at, lower))
    }
}
