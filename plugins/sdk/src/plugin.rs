//! The border: a plugin's table on one side, the component's exports and imports on the other.

use std::sync::OnceLock;

use crate::bindings::exports::reef::plugin::handler;
use crate::bindings::reef::plugin::context::{self, Budget, Client, Level};
use crate::bindings::reef::plugin::engine::{self, Outcome, View};
use crate::bindings::reef::plugin::types::{CommandError, ItemsResult, Replies};
use crate::{
    Answer, Arguments, Batch, Call, Cause, Command, EngineError, Error, Host, Query, Reaction,
    Result, Subscription,
};

/// What a plugin is, has and wants.
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its commands; the server calls them by their index here.
    pub commands: &'static [Command],
    /// Commands it runs (`SET`, `JSON.*`) and key patterns it touches (`~tx:*`).
    pub wants: &'static [&'static str],
    /// What it wants to hear of.
    pub subscription: Option<Subscription>,
    /// What it makes of it.
    pub reaction: Option<Reaction>,
}

impl Plugin {
    /// The export `describe`.
    #[must_use]
    pub fn manifest(&self) -> handler::Manifest {
        handler::Manifest {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            summary: self.summary.to_owned(),
            commands: self.commands.iter().map(Command::describe).collect(),
            wants: self.wants.iter().map(|want| (*want).to_owned()).collect(),
        }
    }

    /// The export `describe`, over the component's imports: it wants the keys, too, whose triggers the
    /// configuration tells.
    #[doc(hidden)]
    pub fn manifest_for_host(&self) -> Result<handler::Manifest, String> {
        let triggers =
            self.subscribe(&mut Component).map_err(|error| error.message.into_owned())?;
        let mut manifest = self.manifest();
        let configured = triggers.iter().filter_map(crate::Trigger::configured);
        manifest.wants.extend(configured.map(|pattern| format!("~{pattern}")));
        Ok(manifest)
    }

    /// Runs the command with this index.
    pub fn call(
        &self,
        host: &mut dyn Host,
        command: usize,
        cause: Cause<'_>,
        arguments: Arguments<'_>,
    ) -> Result<Answer> {
        let Some(command) = self.commands.get(command) else {
            return Err(Error::new("ERR", format!("plugin has no command {command}")));
        };
        (command.handler)(&mut Call { host, arguments, cause })
    }

    /// The export `call`, over the component's imports.
    #[doc(hidden)]
    pub fn call_from_host(
        &self,
        command: u32,
        cause: handler::Cause,
        arguments: ItemsResult,
    ) -> Result<handler::Outcome, CommandError> {
        let cause = match &cause {
            handler::Cause::Invoked => Cause::Invoked,
            handler::Cause::Ready(key) => Cause::Ready(key),
            handler::Cause::TimedOut => Cause::TimedOut,
        };
        let arguments = Arguments::new(&arguments.lengths, &arguments.data);
        match self.call(&mut Component, command as usize, cause, arguments) {
            Ok(answer) => Ok(answer.into_outcome()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The server behind the imports of this component. Only reachable inside wasm.
#[derive(Clone, Copy, Debug)]
pub struct Component;

/// What there is of replies that nobody wanted.
const NO_REPLIES: Replies = Replies { nodes: Vec::new(), data: Vec::new() };

impl Host for Component {
    fn read(&mut self, query: &Query) -> Result<View, EngineError> {
        let (commands, watch) = query.as_params();
        engine::read(commands, watch)
    }

    fn apply(&mut self, batch: &Batch) -> Result<Outcome, EngineError> {
        let param = batch.as_param();
        if !param.discard_replies {
            return engine::apply(param);
        }
        let stale = engine::apply_quietly(param)?;
        Ok(stale.map_or_else(|| Outcome::Applied(NO_REPLIES), Outcome::Stale))
    }

    fn waiting(&mut self, key: &[u8]) -> Result<u64, EngineError> {
        engine::waiting(key)
    }

    fn now_ms(&mut self) -> u64 {
        context::now()
    }

    fn invoked_ms(&mut self) -> u64 {
        context::invoked_at()
    }

    fn random(&mut self) -> u64 {
        context::random()
    }

    fn config(&mut self, key: &str) -> Option<String> {
        context::config(key)
    }

    fn tenant(&mut self) -> String {
        context::tenant()
    }

    fn caller(&mut self) -> Client {
        context::caller()
    }

    fn incarnation(&mut self) -> u64 {
        // An instance has one for as long as it is there.
        static INCARNATION: OnceLock<u64> = OnceLock::new();
        *INCARNATION.get_or_init(context::incarnation)
    }

    fn watch_caller(&mut self, key: &[u8]) -> Result<()> {
        context::watch_caller(key).map_err(|reason| Error::new("ERR", reason))
    }

    fn remaining(&mut self) -> Budget {
        context::remaining()
    }

    fn log(&mut self, level: Level, message: &str) {
        context::log(level, message);
    }

    fn count(&mut self, counter: &str, delta: u64) {
        context::counter_add(counter, delta);
    }
}

/// Makes the crate a plugin: declares `pub static PLUGIN` and, in wasm, the component's exports. A
/// plugin that wants to hear of what happens to keys says so in two more fields, `triggers` (a table of
/// [`Trigger`](crate::Trigger)) and `on_event` (a [`Reaction`]); `subscribe` (a [`Subscription`]) stands
/// in the place of `triggers` where the configuration decides.
#[macro_export]
macro_rules! export_plugin {
    (
        name: $name:expr,
        version: $version:expr,
        summary: $summary:expr,
        commands: $commands:expr,
        wants: $wants:expr $(,)?
    ) => {
        $crate::export_plugin!(@ $name, $version, $summary, $commands, $wants, None, None);
    };
    (
        name: $name:expr,
        version: $version:expr,
        summary: $summary:expr,
        commands: $commands:expr,
        wants: $wants:expr,
        triggers: $triggers:expr,
        on_event: $reaction:expr $(,)?
    ) => {
        $crate::export_plugin! {
            name: $name,
            version: $version,
            summary: $summary,
            commands: $commands,
            wants: $wants,
            subscribe: |_| Ok($triggers.to_vec()),
            on_event: $reaction,
        }
    };
    (
        name: $name:expr,
        version: $version:expr,
        summary: $summary:expr,
        commands: $commands:expr,
        wants: $wants:expr,
        subscribe: $subscription:expr,
        on_event: $reaction:expr $(,)?
    ) => {
        $crate::export_plugin!(
            @ $name, $version, $summary, $commands, $wants, Some($subscription), Some($reaction)
        );

        #[cfg(target_arch = "wasm32")]
        mod component_triggers {
            use $crate::trigger_bindings::exports::reef::plugin::triggers;
            use $crate::trigger_bindings::reef::plugin::types::CommandError;

            struct Exports;

            impl triggers::Guest for Exports {
                fn subscribe() -> Result<Vec<triggers::Trigger>, String> {
                    super::PLUGIN.subscribe_for_host()
                }

                fn react(event: triggers::Event) -> Result<triggers::Effects, CommandError> {
                    super::PLUGIN.react_for_host(&event)
                }
            }

            $crate::trigger_bindings::export_triggers!(
                Exports with_types_in $crate::trigger_bindings
            );
        }
    };
    (
        @ $name:expr, $version:expr, $summary:expr, $commands:expr, $wants:expr,
        $subscription:expr, $reaction:expr
    ) => {
        /// What this plugin is, has and wants.
        pub static PLUGIN: $crate::Plugin = $crate::Plugin {
            name: $name,
            version: $version,
            summary: $summary,
            commands: $commands,
            wants: $wants,
            subscription: $subscription,
            reaction: $reaction,
        };

        #[cfg(target_arch = "wasm32")]
        mod component_exports {
            use $crate::bindings::exports::reef::plugin::handler;
            use $crate::bindings::reef::plugin::types::{CommandError, ItemsResult};

            struct Exports;

            impl handler::Guest for Exports {
                fn describe() -> Result<handler::Manifest, String> {
                    super::PLUGIN.manifest_for_host()
                }

                fn call(
                    command: u32,
                    cause: handler::Cause,
                    arguments: ItemsResult,
                ) -> Result<handler::Outcome, CommandError> {
                    super::PLUGIN.call_from_host(command, cause, arguments)
                }
            }

            $crate::bindings::export_component!(Exports with_types_in $crate::bindings);
        }
    };
}
