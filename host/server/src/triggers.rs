//! Triggers as the store sees them: who has some, and what they make of an event.

use reef_engine::backend::{Batch, Caller, CommandColumns, Outcome, StepError};
use reef_engine::grants::Grants;
use reef_engine::keyspace::Journal;
use reef_engine::triggers::{Origin, Triggers};
use reef_resp::{Protocol, Writer};

use crate::store::Store;
use crate::store::batches::{Footing, PLAN};

/// Commands in columns.
#[derive(Default)]
struct Columns {
    counts: Vec<u32>,
    lengths: Vec<u32>,
    data: Vec<u8>,
}

impl Columns {
    fn of(commands: CommandColumns<'_>) -> Self {
        let CommandColumns { counts, lengths, data } = commands;
        Self { counts: counts.to_vec(), lengths: lengths.to_vec(), data: data.to_vec() }
    }

    fn push(&mut self, words: &[Vec<u8>]) {
        self.counts.push(words.len() as u32);
        self.lengths.extend(words.iter().map(|word| word.len() as u32));
        words.iter().for_each(|word| self.data.extend_from_slice(word));
    }

    fn borrow(&self) -> CommandColumns<'_> {
        CommandColumns { counts: &self.counts, lengths: &self.lengths, data: &self.data }
    }
}

impl Store {
    /// Replaces the triggers: from then on every step takes the shards of their streams.
    pub(crate) fn change_triggers(&self, triggers: Triggers) {
        self.freeze(|mut shards| {
            let along = triggers.shards(&self.rules());
            shards.iter_mut().for_each(|shard| shard.along = along);
            self.change_rules(|rules| rules.with_triggers(triggers.clone()));
        });
    }

    /// Applies what a trigger makes of an event, as one step with its acknowledgement.
    pub(crate) fn apply_event(
        &self,
        origin: &Origin,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        acknowledgement: &[Vec<Vec<u8>>],
    ) -> Result<Outcome, StepError> {
        let mut columns = Columns::of(batch.commands);
        acknowledgement.iter().for_each(|command| columns.push(command));
        let whole = Batch { commands: columns.borrow(), discard_replies: true, ..*batch };
        PLAN.with_borrow_mut(|plan| {
            let footing = self.footing();
            let Footing { rules, registry, .. } = &footing;
            // What the plugin wants to do it must have been granted; what acknowledges is the host's.
            plan.make(batch.commands, false, grants, registry, rules)?;
            plan.make(whole.commands, false, &Grants::all(), registry, rules)?;
            plan.add_keys(batch.guards.keys, grants, rules)?;
            plan.add_keys(batch.guards.absent, grants, rules)?;
            let mut journal = Journal::undoable();
            journal.origin = Some(origin.clone());
            let mut replies = Writer::new(Protocol::Columns);
            self.run_planned(&footing, caller, &mut journal, plan.shards, &mut replies, |cx| {
                match self.refusal().filter(|_| plan.may_write()) {
                    Some(refusal) => Err(StepError::ReadOnly(refusal)),
                    None => cx.run_batch(plan, &whole),
                }
            })
        })
    }
}
