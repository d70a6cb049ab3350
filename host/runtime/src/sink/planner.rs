//! Runs a sink: one instance, on its caller's thread, one batch after the other.
//!
//! An instance that traps, takes too long or wants too much memory is thrown away, and so is one that
//! has grown; the next batch finds a fresh one. Since a sink remembers nothing but its configuration,
//! nobody can tell.

use std::fmt;
use std::sync::Arc;

use wasmtime::{Store, Trap};

use super::Sink;
use super::border::{SinkPlan, SinkTable};
use super::check::check;
use super::events::SinkEvents;
use super::program::{Bounds, Entry, arm};
use crate::places::Place;

/// Batches after which an instance is replaced: guest memory never shrinks.
const BATCHES_PER_INSTANCE_MAX: u32 = 10_000;

/// Asks a sink what becomes of events.
pub struct SinkPlanner {
    sink: Arc<Sink>,
    instance: Option<Instance>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkFault {
    /// The sink failed over these events.
    Failed(String),
    /// There is no room for an instance now.
    NoRoom,
}

impl fmt::Display for SinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => f.write_str(reason),
            Self::NoRoom => f.write_str("there is no room for another instance"),
        }
    }
}

impl std::error::Error for SinkFault {}

pub(super) struct Instance {
    store: Store<Bounds>,
    entry: Entry,
    batches: u32,
    _place: Place,
}

impl SinkPlanner {
    pub(super) fn new(sink: Arc<Sink>) -> Self {
        Self { sink, instance: None }
    }

    /// The plan for these events. It adds up: as many verdicts as events, as many changes as those
    /// promise, and for each change the values that its table's columns want.
    pub fn plan(&mut self, events: &SinkEvents) -> Result<SinkPlan, SinkFault> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::begin(&self.sink).map(|(instance, _)| instance)?,
        };
        arm(&mut instance.store, self.sink.cpu());
        let (plan,) = instance
            .entry
            .transform
            .call(&mut instance.store, (events.columns(),))
            .map_err(|error| SinkFault::Failed(reason(&error)))?;
        check(&plan, events.len(), &self.sink.tables).map_err(|what| {
            SinkFault::Failed(format!("the plan of the sink does not add up: {what}"))
        })?;
        instance.batches += 1;
        if instance.batches < BATCHES_PER_INSTANCE_MAX {
            self.instance = Some(instance);
        }
        Ok(plan)
    }
}

impl Instance {
    /// A fresh instance that was told its configuration, and the tables it says it fills.
    pub(super) fn begin(sink: &Sink) -> Result<(Self, Vec<SinkTable>), SinkFault> {
        let place = sink.program.places.take(sink.program.weight).ok_or(SinkFault::NoRoom)?;
        let mut store = sink.program.store(sink.limits.memory_bytes, &sink.ticker);
        store.set_hostcall_fuel(sink.limits.bytes as usize);
        arm(&mut store, sink.cpu());
        let failed = |error: wasmtime::Error| SinkFault::Failed(reason(&error));
        let entry = sink.program.start(&mut store).map_err(failed)?;
        let (described,) =
            entry.describe.call(&mut store, (sink.config.as_slice(),)).map_err(failed)?;
        let tables = described.map_err(SinkFault::Failed)?;
        Ok((Self { store, entry, batches: 0, _place: place }, tables))
    }
}

fn reason(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => "it took too long".into(),
        Some(trap) => {
            let text = trap.to_string();
            text.strip_prefix("wasm trap: ").unwrap_or(&text).into()
        }
        None => error.root_cause().to_string(),
    }
}
