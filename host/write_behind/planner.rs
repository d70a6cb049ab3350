//! A sink in its sandbox as the planner of a pipeline.

use std::sync::Arc;

use reef_runtime::{
    Sink, SinkEventKind, SinkEvents, SinkFault, SinkKind, SinkOperation, SinkPlan, SinkPlanner,
    SinkTable, SinkVerdict,
};
use reef_sinks::{Column, Event, EventKind, Kind, Plan, Planner, PlannerFault, Table, Verb};

/// See the head of this file.
pub(super) struct SandboxedPlanner {
    planner: SinkPlanner,
    events: SinkEvents,
    /// How many values a change of each table has: when it is written, when it is deleted.
    widths: Vec<(usize, usize)>,
}

impl SandboxedPlanner {
    pub(super) fn new(sink: &Arc<Sink>) -> Self {
        let width = |table: &SinkTable| {
            let written = table.columns.iter().filter(|column| !column.insert_time).count();
            (written, table.key_columns as usize)
        };
        let widths = sink.tables().iter().map(width).collect();
        Self { planner: sink.planner(), events: SinkEvents::default(), widths }
    }

    fn gather(&mut self, events: &[Event]) {
        self.events.clear();
        for event in events {
            let kind = match event.kind {
                EventKind::Insert => SinkEventKind::Insert,
                EventKind::Update => SinkEventKind::Update,
                // The pipeline keeps what is unknown from its planner.
                EventKind::Delete | EventKind::Unknown => SinkEventKind::Delete,
            };
            let image = event.image.as_deref().unwrap_or_default();
            let at = event.timestamp_ms.max(0) as u64;
            self.events.push((event.id.ms, event.id.seq), at, kind, &event.document, image);
        }
    }

    /// The same plan in the pipeline's words; the runtime has seen that it adds up.
    fn plan_of(&self, said: SinkPlan) -> Plan {
        let mut plan = Plan::with_capacity(said.verdicts.len(), said.data.len());
        let mut changes = said.tables.iter().zip(&said.operations);
        let (mut lengths, mut data) = (said.lengths.as_slice(), said.data.as_slice());
        for verdict in said.verdicts {
            match verdict {
                SinkVerdict::Skip => plan.skip(),
                SinkVerdict::Reject(reason) => plan.reject(reason),
                SinkVerdict::Apply(count) => {
                    plan.apply(count);
                    for (table, operation) in changes.by_ref().take(count as usize) {
                        let (written, deleted) = self.widths[*table as usize];
                        let (verb, width) = match operation {
                            SinkOperation::Upsert => (Verb::Upsert, written),
                            SinkOperation::Delete => (Verb::Delete, deleted),
                        };
                        let (mine, rest) = lengths.split_at(width);
                        lengths = rest;
                        let values = mine.iter().map(|length| value(&mut data, *length));
                        plan.change(*table as usize, verb, values);
                    }
                }
            }
        }
        plan
    }
}

fn value<'a>(data: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
    if length == SinkPlan::NULL {
        return None;
    }
    let (value, rest) = data.split_at(length as usize);
    *data = rest;
    Some(value)
}

impl Planner for SandboxedPlanner {
    fn plan(&mut self, events: &[Event]) -> Result<Plan, PlannerFault> {
        self.gather(events);
        match self.planner.plan(&self.events) {
            Ok(said) => Ok(self.plan_of(said)),
            Err(SinkFault::Failed(reason)) => Err(PlannerFault::Trapped(reason)),
            Err(fault @ SinkFault::NoRoom) => Err(PlannerFault::Unavailable(fault.to_string())),
        }
    }
}

/// A table in the pipeline's words.
pub(super) fn table(said: &SinkTable) -> Table {
    let columns = said.columns.iter().map(|column| Column {
        name: column.name.clone(),
        kind: match column.kind {
            SinkKind::Text => Kind::Text,
            SinkKind::Bytes => Kind::Bytes,
            SinkKind::Integer => Kind::Integer,
            SinkKind::Double => Kind::Double,
            SinkKind::Boolean => Kind::Boolean,
            SinkKind::Json => Kind::Json,
            SinkKind::Timestamp => Kind::Timestamp,
        },
        nullable: column.nullable || column.insert_time,
        filled: column.insert_time,
    });
    Table { name: said.name.clone(), columns: columns.collect(), key: said.key_columns as usize }
}
