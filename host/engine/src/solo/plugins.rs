//! Plugins of an engine without a server: it knows their commands, and hands their calls out.
//!
//! Who drives the engine takes a call with [`Solo::next_plugin_call`], lets a runtime run it, whose
//! batches come back through [`Solo::read`] and [`Solo::apply`], and brings the reply. Until then the
//! client waits, and what it sends meanwhile waits with it.

use alloc::string::String;
use alloc::sync::Arc;

use reef_resp::{OwnedArgv, Protocol};

use super::Solo;
use super::client::Waiting;
use crate::backend::{Caller, PluginCommand};
use crate::command::Command;
use crate::registry::Registry;

/// A call of a plugin's command that passed the gates.
#[derive(Clone, Debug)]
pub struct PluginCall {
    /// Which command.
    pub command: PluginCommand,
    /// Who calls.
    pub caller: Caller,
    /// The command as it was sent.
    pub argv: OwnedArgv,
    /// What the client speaks.
    pub protocol: Protocol,
}

impl Solo {
    /// Replaces the commands of plugins. The error is a name that is taken; then nothing changes.
    pub fn set_plugin_commands(&mut self, commands: &[Arc<Command>]) -> Result<(), String> {
        self.registry = Registry::with_plugins(commands)?;
        Ok(())
    }

    /// Takes the call that came first among those which nobody has taken.
    pub fn next_plugin_call(&mut self) -> Option<PluginCall> {
        self.process.plugin_calls.pop_front()
    }

    /// Gives a client the reply to its call, if it is still there, and runs what it sent meanwhile.
    pub fn end_plugin_call(&mut self, client: u64, reply: &[u8]) {
        let waiting = self.clients.get(&client).and_then(|client| client.waiting.as_ref());
        if waiting.is_some_and(|(waiting, _)| matches!(waiting, Waiting::Plugin)) {
            self.go_on(client, reply);
        }
    }
}
