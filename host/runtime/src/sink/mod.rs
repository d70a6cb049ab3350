//! Sinks: components that say which rows come of documents (`wit/sink.wit`).
//!
//! A sink is a pure function, so it needs neither grants nor a backend, and no thread of the runtime: it
//! runs on the thread of whoever wants a plan, within a budget of time and memory. Its tables are
//! asked for once, when it is loaded; an instance that names other ones is not believed, because
//! every plan is held against the first answer.
//!
//! It deliberately knows nothing of databases, streams or dead letters.

mod border;
mod check;
mod events;
mod planner;
mod program;

use std::sync::Arc;
use std::time::Duration;

pub use border::{
    SinkColumn, SinkEventKind, SinkKind, SinkOperation, SinkPlan, SinkTable, SinkVerdict,
};
pub use events::SinkEvents;
pub use planner::{SinkFault, SinkPlanner};

use bytes::Bytes;

use crate::limits::Limits;
use crate::request::LoadError;
use crate::runtime::{Crew, Runtime};
use crate::texts;
use crate::ticker::Ticker;
use planner::Instance;
use program::SinkProgram;

/// A sink with its configuration, and the tables that it fills.
pub struct Sink {
    program: SinkProgram,
    config: Vec<(String, String)>,
    limits: Limits,
    tables: Vec<SinkTable>,
    ticker: Arc<Ticker>,
    // The threads and the machine live as long as anybody's sink does.
    _crew: Arc<Crew>,
}

impl Sink {
    /// The tables, in the order in which plans count them.
    pub fn tables(&self) -> &[SinkTable] {
        &self.tables
    }

    /// CPU time that one batch may take.
    fn cpu(&self) -> Duration {
        Duration::from_millis(self.limits.cpu_ms.into())
    }

    /// Somebody who asks it; each has an instance of its own.
    pub fn planner(self: &Arc<Self>) -> SinkPlanner {
        SinkPlanner::new(Arc::clone(self))
    }
}

impl Runtime {
    /// Compiles a sink and asks it for its tables. Of the limits, `cpu_ms` is for one batch.
    pub fn sink(
        &self,
        component: Bytes,
        config: Vec<(String, String)>,
        limits: Limits,
    ) -> Result<Arc<Sink>, LoadError> {
        let crew = Arc::clone(&self.crew);
        let code = crew.workshop.code(&component)?;
        let mut sink = Sink {
            program: SinkProgram::new(&crew.workshop.machine, &code)?,
            config,
            limits,
            tables: Vec::new(),
            ticker: Arc::clone(&crew.ticker),
            _crew: crew,
        };
        let described = Instance::begin(&sink);
        let (_, tables) = described.map_err(|fault| texts::describe_failed(&fault.to_string()))?;
        sink.tables = tables;
        Ok(Arc::new(sink))
    }
}
