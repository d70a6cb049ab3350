//! Runs plugins: WebAssembly components that add commands to the server.
//!
//! A [`Runtime`] has what all tenants share: the machine, the threads, the cache of code. [`Plugins`]
//! are those of one tenant: they implement the engine's
//! [`Extension`](reef_engine::backend::Extension) and reach data through the tenant's
//! [`Backend`](reef_engine::backend::Backend) alone: one atomic batch at a time, within what the
//! operator granted. They know neither sockets nor the keyspace.
//!
//! A call runs on its caller's thread for one slice of one to two milliseconds. What is not
//! finished then moves, as it is, to threads of the runtime, and the next calls of that command begin
//! there. Every call has budgets of CPU, memory,
//! host calls and bytes; an instance that exceeds one is dropped, and a plugin that keeps failing
//! is paused. Compiling takes place on threads of its own.
//!
//! It deliberately does not decide what a command may do to data (the backend does), keeps no
//! plugin across restarts, and never waits on a plugin's behalf: a call that parks is handed back.

mod admin;
mod allowance;
mod archive;
mod attendant;
mod border;
mod breaker;
mod calls;
mod code_cache;
mod counters;
mod desk;
mod digest;
mod failure;
mod habit;
mod imports;
mod inspection;
mod instance;
mod journal;
mod lifelines;
mod limits;
mod loader;
mod machine;
mod manifest;
mod meter;
mod notice;
mod options;
mod overstay;
mod parking;
mod places;
mod plugin;
mod plugins;
mod pool;
mod program;
mod registry;
mod report;
mod request;
mod runtime;
mod share;
mod sink;
mod standing;
mod state;
mod stopwatch;
mod tally;
mod texts;
mod ticker;
mod triggers;
mod version;
mod walk;
mod workshop;

pub use digest::Digest;
pub use inspection::{CommandFacts, Inspection, Nature};
pub use limits::Limits;
pub use options::Options;
pub use plugins::Plugins;
pub use request::{
    GrantRequest, LoadError, LoadRequest, Mode, PluginStatistics, PluginSummary, Source,
};
pub use runtime::{Runtime, StartError};
pub use sink::{
    Sink, SinkColumn, SinkEventKind, SinkEvents, SinkFault, SinkKind, SinkOperation, SinkPlan,
    SinkPlanner, SinkTable, SinkVerdict,
};
