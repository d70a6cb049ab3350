//! Triggers: what a plugin wants to hear of, and what it makes of it.
//!
//! A trigger hears of a change after it was made, whoever made it, the plugin's own commands included; what
//! the trigger itself writes does not trigger its plugin. Its glob counts among what the plugin wants. Events come
//! one at a time: whoever writes faster than the plugin reacts hears `BUSY` once it is too far behind.

use std::borrow::Cow;

use crate::trigger_bindings::exports::reef::plugin::triggers;
use crate::trigger_bindings::reef::plugin::types;
use crate::{Batch, Component, Host, Plugin, Result};

/// A function that says what is to be done about an event: the batch that it returns is applied as one
/// step, together with the acknowledgement of the event. If a guard of it does not hold, the function
/// runs again.
pub type Reaction = fn(&mut dyn Host, &Event<'_>) -> Result<Batch>;

/// A function that says of which events a plugin wants to hear, once when it is loaded.
pub type Subscription = fn(&mut dyn Host) -> Result<Vec<Trigger>>;

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
#[derive(Clone, Debug)]
pub struct Trigger {
    pattern: Cow<'static, str>,
    events: &'static [&'static str],
    durable: bool,
}

impl Trigger {
    /// Of all that change a key which this glob matches.
    #[must_use]
    pub const fn on(pattern: &'static str) -> Self {
        Self { pattern: Cow::Borrowed(pattern), events: &[], durable: false }
    }

    /// The same of a glob that the configuration tells. The plugin wants those keys, too.
    #[must_use]
    pub const fn on_configured(pattern: String) -> Self {
        Self { pattern: Cow::Owned(pattern), events: &[], durable: false }
    }

    /// Of these events only.
    #[must_use]
    pub const fn events(mut self, events: &'static [&'static str]) -> Self {
        self.events = events;
        self
    }

    /// Of each, whatever happens to the server meanwhile: what is made of it takes effect once. Each write
    /// costs an entry in the stream `trigger:<plugin>` more.
    #[must_use]
    pub const fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// The glob, if the configuration tells it.
    pub(crate) fn configured(&self) -> Option<&str> {
        match &self.pattern {
            Cow::Owned(pattern) => Some(pattern),
            Cow::Borrowed(_) => None,
        }
    }

    fn describe(&self) -> triggers::Trigger {
        triggers::Trigger {
            pattern: self.pattern.clone().into_owned(),
            events: self.events.iter().map(|event| (*event).to_owned()).collect(),
            durable: self.durable,
        }
    }
}

impl Plugin {
    /// The export `subscribe`, over the component's imports.
    #[doc(hidden)]
    pub fn subscribe_for_host(&self) -> Result<Vec<triggers::Trigger>, String> {
        match self.subscribe(&mut Component) {
            Ok(triggers) => Ok(triggers.iter().map(Trigger::describe).collect()),
            Err(error) => Err(error.message.into_owned()),
        }
    }

    /// Says of which events it wants to hear.
    pub fn subscribe(&self, host: &mut dyn Host) -> Result<Vec<Trigger>> {
        self.subscription.map_or_else(|| Ok(Vec::new()), |subscription| subscription(host))
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
