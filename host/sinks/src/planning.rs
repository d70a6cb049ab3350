//! From events to changes that fit the tables: asks the planner, holds it to the tables, and isolates
//! the events it fails over.

use crate::event::{Event, EventKind};
use crate::plan::{Plan, Verb, Verdict};
use crate::planner::{Planner, PlannerFault};
use crate::table::Table;

/// Events with their plan.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) events: Vec<Event>,
    pub(crate) plan: Plan,
}

/// Why there is no plan, with the events back.
#[derive(Debug)]
pub(crate) enum Unplanned {
    /// The planner is not there.
    Unavailable(String, Vec<Event>),
    /// It failed for too many events: something is wrong with it rather than with them.
    Broken(String, Vec<Event>),
}

/// How often the planner has failed of late.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    seen: usize,
    failed: usize,
}

impl Breaker {
    /// So many failures are needed before more than half of them mean anything.
    const FAILURES_MIN: usize = 10;
    /// Older outcomes than about so many count half.
    const WINDOW: usize = 1_000;

    fn note(&mut self, seen: usize, failed: usize) {
        if self.seen >= Self::WINDOW {
            self.seen /= 2;
            self.failed /= 2;
        }
        self.seen += seen;
        self.failed += failed;
    }

    fn is_open(&self) -> bool {
        self.failed >= Self::FAILURES_MIN && self.failed * 2 > self.seen
    }
}

/// Plans events in calls of at most `call_max`.
pub(crate) fn plan(
    planner: &mut dyn Planner,
    breaker: &mut Breaker,
    tables: &[Table],
    mut events: Vec<Event>,
    call_max: usize,
) -> Result<Vec<Planned>, Unplanned> {
    let mut done: Vec<Planned> = Vec::new();
    // Pieces still to be planned, the next one last.
    let mut pieces = Vec::new();
    while events.len() > call_max {
        let rest = events.split_off(call_max);
        pieces.push(std::mem::replace(&mut events, rest));
    }
    pieces.push(events);
    pieces.reverse();
    let before = (breaker.seen, breaker.failed);
    while let Some(mut piece) = pieces.pop() {
        let fault = match one(planner, tables, &piece) {
            Ok(plan) => {
                breaker.note(piece.len(), 0);
                done.push(Planned { events: piece, plan });
                continue;
            }
            Err(PlannerFault::Unavailable(reason)) => {
                (breaker.seen, breaker.failed) = before;
                return Err(Unplanned::Unavailable(reason, regained(done, piece, pieces)));
            }
            Err(PlannerFault::Trapped(reason)) => reason,
        };
        if piece.len() > 1 {
            let second = piece.split_off(piece.len() / 2);
            pieces.push(second);
            pieces.push(piece);
            continue;
        }
        breaker.note(1, 1);
        if breaker.is_open() {
            *breaker = Breaker::default();
            return Err(Unplanned::Broken(fault, regained(done, piece, pieces)));
        }
        let mut plan = Plan::default();
        plan.reject(format!("the planner failed: {fault}"));
        done.push(Planned { events: piece, plan });
    }
    Ok(done)
}

/// All events again, in their order.
fn regained(done: Vec<Planned>, piece: Vec<Event>, rest: Vec<Vec<Event>>) -> Vec<Event> {
    let mut events: Vec<Event> = done.into_iter().flat_map(|planned| planned.events).collect();
    events.extend(piece);
    events.extend(rest.into_iter().rev().flatten());
    events
}

/// One call; what does not fit counts as a failure of the planner.
fn one(
    planner: &mut dyn Planner,
    tables: &[Table],
    events: &[Event],
) -> Result<Plan, PlannerFault> {
    if let [event] = events
        && event.kind == EventKind::Unknown
    {
        let mut plan = Plan::default();
        plan.reject("the stream's entry is not an event");
        return Ok(plan);
    }
    if events.iter().any(|event| event.kind == EventKind::Unknown) {
        return Err(PlannerFault::Trapped("an entry is not an event".to_owned()));
    }
    let plan = planner.plan(events)?;
    fits(&plan, tables, events.len()).map_err(PlannerFault::Trapped)?;
    Ok(plan)
}

/// Whether a plan has a verdict for each event and its changes fit the tables.
fn fits(plan: &Plan, tables: &[Table], events: usize) -> Result<(), String> {
    let verdicts = plan.verdicts();
    if verdicts.len() != events {
        return Err(format!("{} verdicts on {events} events", verdicts.len()));
    }
    let promised: u64 = verdicts
        .iter()
        .map(|verdict| if let Verdict::Apply(changes) = verdict { u64::from(*changes) } else { 0 })
        .sum();
    if promised != plan.len() as u64 {
        return Err(format!("{} changes where {promised} are promised", plan.len()));
    }
    for change in plan.changes() {
        let Some(table) = tables.get(change.table) else {
            return Err(format!("a change of table {} of {}", change.table, tables.len()));
        };
        let fits = match change.verb {
            Verb::Upsert | Verb::Replace => change.width() == table.width(),
            Verb::Delete => table.key > 0 && change.width() >= table.key,
        };
        if !fits {
            return Err(format!("a change of '{}' has {} values", table.name, change.width()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StreamId;

    /// Passes documents through; traps over those that say so.
    struct Through {
        calls: usize,
    }

    impl Planner for Through {
        fn plan(&mut self, events: &[Event]) -> Result<Plan, PlannerFault> {
            self.calls += 1;
            if events.iter().any(|event| event.document == b"gone") {
                return Err(PlannerFault::Unavailable("no plugin".to_owned()));
            }
            if events.iter().any(|event| event.document.starts_with(b"trap")) {
                return Err(PlannerFault::Trapped("unreachable".to_owned()));
            }
            let mut plan = Plan::default();
            for event in events {
                plan.apply(1);
                let wide = event.document == b"wide";
                let values = [Some(&event.document[..]), None, None];
                plan.change(0, Verb::Upsert, values[..if wide { 3 } else { 2 }].iter().copied());
            }
            Ok(plan)
        }
    }

    fn events(documents: &[&str]) -> Vec<Event> {
        let event = |(index, document): (usize, &&str)| Event {
            id: StreamId::new(index as u64 + 1, 0),
            entity: "sessions".to_owned(),
            document: document.as_bytes().to_vec(),
            kind: if *document == "junk" { EventKind::Unknown } else { EventKind::Insert },
            timestamp_ms: 0,
            image: None,
            version: 1,
        };
        documents.iter().enumerate().map(event).collect()
    }

    fn verdicts(documents: &[&str]) -> Vec<bool> {
        let tables = [Table::payload("sessions")];
        let mut planner = Through { calls: 0 };
        let planned =
            plan(&mut planner, &mut Breaker::default(), &tables, events(documents), 1_000);
        let planned = planned.unwrap();
        let ids: Vec<_> = planned.iter().flat_map(|p| p.events.iter().map(|e| e.id.ms)).collect();
        assert_eq!(ids, (1..=documents.len() as u64).collect::<Vec<_>>(), "all, in their order");
        planned
            .iter()
            .flat_map(|planned| planned.plan.verdicts())
            .map(|verdict| matches!(verdict, Verdict::Apply(1)))
            .collect()
    }

    #[test]
    fn only_what_cannot_be_planned_is_rejected() {
        assert_eq!(
            verdicts(&["a", "trap", "b", "junk", "wide", "c"]),
            [true, false, true, false, false, true]
        );
        assert_eq!(verdicts(&["trap"]), [false]);
        assert_eq!(verdicts(&["a"; 1_500]), [true; 1_500]);
    }

    #[test]
    fn one_event_among_a_thousand_costs_few_calls() {
        let mut documents = vec!["a"; 1_000];
        documents[617] = "trap";
        let mut planner = Through { calls: 0 };
        let tables = [Table::payload("sessions")];
        plan(&mut planner, &mut Breaker::default(), &tables, events(&documents), 1_000).unwrap();
        assert!(planner.calls <= 22, "{} calls", planner.calls);
    }

    #[test]
    fn a_planner_that_fails_for_most_is_what_is_wrong() {
        let tables = [Table::payload("sessions")];
        let mut planner = Through { calls: 0 };
        let mut breaker = Breaker::default();
        let documents: Vec<_> = (0..1_000).map(|n| if n % 3 == 0 { "a" } else { "trap" }).collect();
        let broken = plan(&mut planner, &mut breaker, &tables, events(&documents), 300);
        let Err(Unplanned::Broken(_, back)) = broken else { panic!("{broken:?}") };
        assert_eq!(back, events(&documents), "every event is given back, in its order");
        assert!(planner.calls < 200, "{} calls: it gives up early", planner.calls);
        let documents: Vec<_> = (0..1_000).map(|n| if n % 3 == 0 { "trap" } else { "a" }).collect();
        assert!(plan(&mut planner, &mut breaker, &tables, events(&documents), 300).is_ok());
    }

    #[test]
    fn a_planner_that_is_not_there_gives_all_events_back() {
        let tables = [Table::payload("sessions")];
        let mut planner = Through { calls: 0 };
        let documents = ["a", "trap", "b", "gone", "c"];
        let none = plan(&mut planner, &mut Breaker::default(), &tables, events(&documents), 2);
        let Err(Unplanned::Unavailable(reason, back)) = none else { panic!("{none:?}") };
        assert_eq!((reason.as_str(), back), ("no plugin", events(&documents)));
    }
}
