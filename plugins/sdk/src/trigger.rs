//! Triggers: what a plugin wants to hear of, and what it makes of it.

use crate::trigger_bindings::exports::reef::plugin::triggers;
use crate::trigger_bindings::reef::plugin::types;
use crate::{Batch, Component, Host, Plugin, Result};

/// A function that says what is to be done about an event: the batch that it returns is applied as one
/// step, together with the acknowledgement of the event. If a guard of it does not hold, the function
/// runs again.
pub type Reaction = fn(&mut dyn Host, &Event<'_>) -> Result<Batch>;

/// Something that happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What, as in keyspace notifications: `hset`, `del`, `expired`.
    pub name: &'a str,
    /// In which database.
    pub database: u32,
    /// To which key.
    pub key: &'a [u8],
    /// How many triggers led to it, this one included.
    pub depth: u32,
}

/// Of which events a plugin wants to hear.
#[derive(Clone, Copy, Debug)]
pub struct Trigger {
    pattern: &'static str,
    /// Whether the pattern is the name of a configuration value that has patterns.
    configured: bool,
    events: &'static [&'static str],
    durable: bool,
}

impl Trigger {
    /// Of all that change a key which this glob matches.
    #[must_use]
    pub const fn on(pattern: &'static str) -> Self {
        Self { pattern, configured: false, events: &[], durable: false }
    }

    /// Of all that change a key which one of the globs matches that stand, with blanks between them, in
    /// this value of the plugin's configuration. The plugin wants those keys, too.
    #[must_use]
    pub const fn on_configured(name: &'static str) -> Self {
        Self { pattern: name, configured: true, events: &[], durable: false }
    }

    /// Of these events only.
    #[must_use]
    pub const fn events(mut self, events: &'static [&'static str]) -> Self {
        self.events = events;
        self
    }

    /// Of each at least once, whatever happens to the server meanwhile.
    #[must_use]
    pub const fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// The globs, some of which the configuration has.
    fn patterns(&self, config: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        match self.configured {
            true => {
                let patterns = config(self.pattern).unwrap_or_default();
                patterns.split_whitespace().map(str::to_owned).collect()
            }
            false => vec![self.pattern.to_owned()],
        }
    }

    /// The keys that the plugin is to be granted because of the configuration.
    pub(crate) fn wants(
        &self,
        config: &dyn Fn(&str) -> Option<String>,
    ) -> impl Iterator<Item = String> {
        let patterns = if self.configured { self.patterns(config) } else { Vec::new() };
        patterns.into_iter().map(|pattern| format!("~{pattern}"))
    }

    fn describe(&self, pattern: String) -> triggers::Trigger {
        triggers::Trigger {
            pattern,
            events: self.events.iter().map(|event| (*event).to_owned()).collect(),
            durable: self.durable,
        }
    }
}

impl Plugin {
    /// The export `subscribe`.
    #[doc(hidden)]
    #[must_use]
    pub fn subscribe(&self) -> Vec<triggers::Trigger> {
        let all = self.triggers.iter().flat_map(|trigger| {
            let patterns = trigger.patterns(&configured);
            patterns.into_iter().map(|pattern| trigger.describe(pattern))
        });
        all.collect()
    }

    /// The export `react`, over the component's imports.
    #[doc(hidden)]
    pub fn react_for_host(
        &self,
        event: &triggers::Event,
    ) -> Result<triggers::Effects, types::CommandError> {
        let triggers::Event { name, database, key, depth } = event;
        let event = Event { name, database: *database, key, depth: *depth };
        match self.react(&mut Component, &event) {
            Ok(batch) => Ok(effects(&batch)),
            Err(error) => {
                let error = crate::bindings::reef::plugin::types::CommandError::from(error);
                Err(types::CommandError { code: error.code, message: error.message })
            }
        }
    }

    /// Says what is to be done about an event.
    pub fn react(&self, host: &mut dyn Host, event: &Event<'_>) -> Result<Batch> {
        self.reaction.map_or_else(|| Ok(Batch::new()), |reaction| reaction(host, event))
    }
}

/// A value of the plugin's configuration, in wasm.
pub(crate) fn configured(name: &str) -> Option<String> {
    Component.config(name)
}

fn effects(batch: &Batch) -> triggers::Effects {
    let param = batch.as_param();
    let (guards, commands) = (param.guards, param.commands);
    triggers::Effects {
        guarded_lengths: guards.keys.lengths.to_vec(),
        guarded_data: guards.keys.data.to_vec(),
        versions: guards.versions.to_vec(),
        absent_lengths: guards.absent.lengths.to_vec(),
        absent_data: guards.absent.data.to_vec(),
        counts: commands.counts.to_vec(),
        lengths: commands.lengths.to_vec(),
        data: commands.data.to_vec(),
    }
}
