//! Documents as they are, into the tables of [`super::tables`].

use reef_sinks::{Event, EventKind, Plan, Planner, PlannerFault, Verb};

/// Documents whose id begins with `ledger:` go to the ledger, those that begin with `trap:` make it
/// fail, `skip:` is skipped.
pub(crate) struct Documents;

impl Planner for Documents {
    fn plan(&mut self, events: &[Event]) -> Result<Plan, PlannerFault> {
        let mut plan = Plan::with_capacity(events.len(), events.len() * 400);
        for event in events {
            let id = &event.document;
            if id.starts_with(b"trap:") {
                return Err(PlannerFault::Trapped("wasm trap: unreachable".to_owned()));
            }
            if id.starts_with(b"skip:") {
                plan.skip();
                continue;
            }
            let table = usize::from(id.starts_with(b"ledger:"));
            plan.apply(1);
            match event.kind {
                EventKind::Delete => plan.change(table, Verb::Delete, [Some(&id[..])]),
                _ => plan.change(table, Verb::Upsert, [Some(&id[..]), event.image.as_deref()]),
            }
        }
        Ok(plan)
    }
}
