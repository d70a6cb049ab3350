//! Triggers as the store sees them: who has some, and what they make of an event.

use reef_engine::backend::{Batch, Caller, Outcome, StepError};
use reef_engine::grants::Grants;
use reef_engine::reaction::Reaction;
use reef_engine::triggers::{Origin, Triggers};
use reef_resp::{Protocol, Writer};

use crate::store::Store;
use crate::store::batches::{Footing, PLAN};

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
        let reaction = Reaction::new(batch.commands, acknowledgement);
        let whole = reaction.batch(batch);
        PLAN.with_borrow_mut(|plan| {
            let footing = self.footing();
            let Footing { rules, registry, .. } = &footing;
            plan.make_reaction((batch, &whole), grants, registry, rules)?;
            let mut journal = plan.journal(whole.on_error, rules);
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
