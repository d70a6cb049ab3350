//! What a plugin makes of an event, together with what acknowledges the event: one step.
//!
//! What the plugin wants to be done it must have been granted; what acknowledges is the host's own.
//! Who runs it is the driver's business, and so is why an event is told again.

use alloc::vec::Vec;

use crate::backend::{Batch, CommandColumns, StepError};
use crate::batch::Plan;
use crate::grants::Grants;
use crate::registry::Registry;
use crate::settings::Rules;

/// The commands of such a step, in columns.
#[derive(Debug)]
pub struct Reaction {
    counts: Vec<u32>,
    lengths: Vec<u32>,
    data: Vec<u8>,
}

impl Reaction {
    /// The plugin's commands, and behind them those that acknowledge.
    pub fn new(commands: CommandColumns<'_>, acknowledgement: &[Vec<Vec<u8>>]) -> Self {
        let CommandColumns { counts, lengths, data } = commands;
        let mut all =
            Self { counts: counts.to_vec(), lengths: lengths.to_vec(), data: data.to_vec() };
        for words in acknowledgement {
            all.counts.push(words.len() as u32);
            all.lengths.extend(words.iter().map(|word| word.len() as u32));
            words.iter().for_each(|word| all.data.extend_from_slice(word));
        }
        all
    }

    /// The whole step: the plugin's batch with all commands.
    pub fn batch<'a>(&'a self, of_plugin: &Batch<'a>) -> Batch<'a> {
        let Self { counts, lengths, data } = self;
        let commands = CommandColumns { counts, lengths, data };
        Batch { commands, discard_replies: true, ..*of_plugin }
    }
}

impl Plan {
    /// Checks what a plugin makes of an event, and plans the whole step.
    pub fn make_reaction(
        &mut self,
        (of_plugin, whole): (&Batch<'_>, &Batch<'_>),
        grants: &Grants,
        registry: &Registry,
        rules: &Rules,
    ) -> Result<(), StepError> {
        self.make(of_plugin.commands, false, grants, registry, rules)?;
        self.make(whole.commands, false, &Grants::all(), registry, rules)?;
        self.add_keys(of_plugin.guards.keys, grants, rules)?;
        self.add_keys(of_plugin.guards.absent, grants, rules)
    }
}
