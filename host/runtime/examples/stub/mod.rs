//! A backend that does nothing, for what is measured of the runtime alone.

use std::sync::Arc;

use parking_lot::Mutex;
use reef_engine::backend::{
    Backend, Batch, Caller, CommandColumns, Items, Outcome, PluginCommand, StepError,
};
use reef_engine::command::{Command, Runner};
use reef_engine::grants::Grants;
use reef_resp::Writer;

/// Says OK to everything.
#[derive(Default)]
pub(crate) struct Stub {
    commands: Mutex<Vec<Arc<Command>>>,
}

impl Backend for Stub {
    fn read(
        &self,
        _caller: &Caller,
        _grants: &Grants,
        commands: CommandColumns<'_>,
        watch: Items<'_>,
        replies: &mut Writer,
        versions: &mut Vec<u64>,
    ) -> Result<(), StepError> {
        commands.counts.iter().for_each(|_| replies.nil());
        versions.extend(watch.lengths.iter().map(|_| 0));
        Ok(())
    }

    fn apply(
        &self,
        _caller: &Caller,
        _grants: &Grants,
        batch: &Batch<'_>,
        replies: &mut Writer,
    ) -> Result<Outcome, StepError> {
        if !batch.discard_replies {
            batch.commands.counts.iter().for_each(|_| replies.ok());
        }
        Ok(Outcome::Applied)
    }

    fn waiting(&self, _caller: &Caller, _grants: &Grants, _key: &[u8]) -> Result<u64, StepError> {
        Ok(0)
    }

    fn set_plugin_commands(&self, commands: Vec<Arc<Command>>) -> Result<(), String> {
        *self.commands.lock() = commands;
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        0
    }
}

impl Stub {
    /// The number of a plugin's command.
    pub(crate) fn number(&self, name: &str) -> PluginCommand {
        let commands = self.commands.lock();
        let command = commands.iter().find(|command| command.name == name);
        match command.expect("the command is there").runner {
            Runner::Plugin(number) => number,
            _ => unreachable!("a plugin's command"),
        }
    }
}
