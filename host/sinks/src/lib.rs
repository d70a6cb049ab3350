//! Write-behind: events of a stream become rows of a database, exactly once and in order per
//! document, whatever crashes.
//!
//! - A [`Source`] gives the [`Event`]s of a stream and is told what has been applied;
//! - a [`Planner`] says which changes of rows an event is: a pure function, in a sandbox;
//! - a [`Target`] is one connection to a database. It commits changes together with the position in
//!   the stream, and refuses to if another host has claimed the partition meanwhile;
//! - a [`Pipeline`] drives them: it plans the next batch while the last one commits, isolates what a
//!   database or a planner cannot take, waits for databases that are down, and says how it is.
//!
//! Invariants: a position never moves without its changes, nor changes without their position; an
//! event is applied, skipped by its planner, or a dead letter in the database; who is in doubt whether
//! a commit happened asks the database, which decides. This crate knows neither engine nor server nor
//! runtime; identifiers of tables are fixed before the first event, so that only values cross later.

mod backoff;
mod board;
mod coalesce;
mod committer;
mod continuity;
mod dead_letter;
mod event;
mod moment;
mod mysql;
mod nats;
mod pipeline;
mod plan;
mod planner;
mod planning;
mod postgres;
mod reader;
mod request;
mod server;
mod settings;
mod source;
mod sqlite;
mod status;
mod table;
mod target;
mod work;

pub use coalesce::{Group, Rows};
pub use dead_letter::DeadLetter;
pub use event::{Event, EventKind, StreamId};
pub use mysql::MySql;
pub use nats::Nats;
pub use pipeline::{Pipeline, StartError};
pub use plan::{ChangeRef, Plan, Verb, Verdict};
pub use planner::{Planner, PlannerFault};
pub use postgres::Postgres;
pub use request::{Remedy, Selection};
pub use server::{Server, Tls};
pub use settings::Settings;
pub use source::{Applied, Extent, Source, SourceFault};
pub use sqlite::Sqlite;
pub use status::{Counts, PartitionStatus, State, Status};
pub use table::{Column, Kind, Table, TableError};
pub use target::{Batch, Claim, Destination, Logged, Outcome, Owner, Target, TargetFault};
pub use work::Settled;
