//! What people ask for about dead letters, on its way to the reader.

use std::sync::mpsc::Sender;

use crate::dead_letter::DeadLetter;
use crate::event::{Event, StreamId};
use crate::plan::Plan;
use crate::planning::Planned;
use crate::work::Settled;

/// Which dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All there are.
    All,
    /// Those with these ids.
    Ids(Vec<StreamId>),
}

/// What to do with dead letters.
pub enum Remedy {
    /// Forget them.
    Drop,
    /// Apply what this makes of each: the event as it was, or with the document as it is now. What
    /// it makes nothing of stays a dead letter. It is called while no commit is under way, so a document
    /// that is read there is at least as new as its row.
    Replay(Box<dyn FnMut(DeadLetter) -> Option<Event> + Send>),
}

/// A request.
pub(crate) struct Request {
    pub(crate) selection: Selection,
    pub(crate) remedy: Remedy,
    /// Each work that results says here what became of it; dropped with the last one.
    pub(crate) counted: Sender<Settled>,
}

impl Request {
    pub(crate) fn wants(&self, id: StreamId) -> bool {
        match &self.selection {
            Selection::All => true,
            Selection::Ids(ids) => ids.contains(&id),
        }
    }

    /// The events to be planned, each with the id that its dead letter has, and how many.
    pub(crate) fn events(&mut self, letters: Vec<DeadLetter>) -> (Vec<Event>, usize) {
        let events: Vec<Event> = match &mut self.remedy {
            Remedy::Drop => letters.into_iter().map(|letter| letter.event).collect(),
            Remedy::Replay(now) => {
                let renewed = |letter: DeadLetter| {
                    let id = letter.event.id;
                    now(letter).map(|event| Event { id, ..event })
                };
                letters.into_iter().filter_map(renewed).collect()
            }
        };
        let count = events.len();
        (events, count)
    }

    /// Their plan: to do nothing, or what the planner says.
    pub(crate) fn planned<E>(
        &self,
        events: Vec<Event>,
        plan: impl FnOnce(Vec<Event>) -> Result<Vec<Planned>, E>,
    ) -> Result<Vec<Planned>, E> {
        match self.remedy {
            Remedy::Replay(_) => plan(events),
            Remedy::Drop => {
                let mut plan = Plan::default();
                events.iter().for_each(|_| plan.skip());
                Ok(vec![Planned { events, plan }])
            }
        }
    }
}
