//! Who says which changes of rows an event is.

use std::fmt;

use crate::event::Event;
use crate::plan::Plan;

/// A pure function from events to changes of rows.
pub trait Planner: Send {
    /// Gives a verdict on each of `events`, in their order.
    ///
    /// After [`PlannerFault::Trapped`] the same events are asked for again in smaller pieces, until
    /// the one that cannot be planned is alone: it becomes a dead letter.
    fn plan(&mut self, events: &[Event]) -> Result<Plan, PlannerFault>;
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannerFault {
    /// It failed over these events: trap, time out, memory.
    Trapped(String),
    /// There is no planner at the moment, whatever the events: ask again later.
    Unavailable(String),
}

impl fmt::Display for PlannerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trapped(reason) => write!(f, "the planner failed: {reason}"),
            Self::Unavailable(reason) => write!(f, "there is no planner: {reason}"),
        }
    }
}

impl std::error::Error for PlannerFault {}
