//! Write-behind put together: the events of a stream, a sink in its sandbox, and a database.
//!
//! The pipeline itself is `reef-sinks`, sinks run in `reef-runtime`; here is what they know of each other.
//! A pipeline reaches the keyspace through a [`Link`](link::Link): in the server itself, or over a
//! connection, with the same code above it.
//!
//! | file | what it is |
//! |---|---|
//! | `link.rs`, `local.rs`, `remote.rs` | how the keyspace is reached |
//! | `stream.rs` | events from a stream, and what is told about them |
//! | `planner.rs` | a sink as the pipeline's planner |
//! | `supervisor.rs` | one running pipeline: how it is, and what people ask of it |
//! | `plugin.rs` | the settings of the plugin `write-behind` that follow from the files |
//!
//! Invariant: what is told in the keyspace (positions, counters, logs) is a copy of what the database
//! says; nothing is decided by it.

mod beginning;
mod document;
pub(crate) mod link;
mod local;
mod planner;
pub(crate) mod plugin;
pub(crate) mod remote;
mod stream;
pub(crate) mod supervisor;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reef_runtime::{Limits, Runtime, Sink};
use reef_sinks::{
    Destination, MySql, Nats, Owner, Pipeline, Postgres, Server, Settings, Sqlite, Table, Target,
    Tls,
};

use crate::config::pipeline::{Database, DatabaseServer, DatabaseTls, PipelineFile};
use link::Open;
pub(crate) use local::LocalLink;
use planner::SandboxedPlanner;
use stream::EventStream;
use supervisor::Supervisor;

/// CPU time that a sink may take for one batch.
const SINK_CPU_MS: u32 = 10_000;
/// Memory that it may have: a batch of large documents, in and out.
const SINK_MEMORY_BYTES: u64 = 512 << 20;
/// Bytes that may cross for one batch.
const SINK_BYTES: u64 = 256 << 20;

/// A pipeline whose sink is loaded, ready to be started.
pub(crate) struct Prepared {
    file: PipelineFile,
    runtime: Runtime,
    sink: Arc<Sink>,
}

/// Loads the sink of a pipeline.
///
/// # Errors
/// Why it can never work, in one sentence.
pub(crate) fn prepare(file: &PipelineFile, runtime: &Runtime) -> Result<Prepared, String> {
    let sink = sink(file, runtime)?;
    Ok(Prepared { file: file.clone(), runtime: runtime.clone(), sink })
}

/// Starts a pipeline. Databases that are down are waited for.
///
/// # Errors
/// Why it can never work, in one sentence.
pub(crate) fn start(prepared: Prepared, open: Open) -> Result<Supervisor, String> {
    let Prepared { file, runtime, sink } = prepared;
    let destination = destination(&file)?;
    Supervisor::start(Recipe { file, runtime, open, destination }, sink)
}

/// What a pipeline is made of, again with each new sink.
struct Recipe {
    file: PipelineFile,
    runtime: Runtime,
    open: Open,
    destination: Arc<dyn Destination>,
}

impl Recipe {
    /// The sink that the file names, as it is now.
    fn sink(&self) -> Result<Arc<Sink>, String> {
        sink(&self.file, &self.runtime)
    }

    /// Begins where the database says that the last one ended.
    fn pipeline(&self, sink: &Arc<Sink>) -> Result<Pipeline, String> {
        let carrying = &self.file.write_behind;
        let tables: Vec<Table> = sink.tables().iter().map(planner::table).collect();
        let stream = EventStream::new((self.open)(), &self.file);
        let mut settings = Settings::new(&self.file.stream());
        settings.partitions = carrying.partitions;
        settings.batch_events_max = carrying.batch_size;
        settings.interval =
            carrying.interval_seconds.filter(|seconds| *seconds > 0.0).map(Duration::from_secs_f64);
        let planner = Box::new(SandboxedPlanner::new(sink));
        let destination = Arc::clone(&self.destination);
        Pipeline::start(settings, tables, Box::new(stream), planner, destination)
            .map_err(|error| error.to_string())
    }
}

/// Counts the rows of the first table of a pipeline.
pub(crate) struct RowCounter(Box<dyn Target>);

impl RowCounter {
    /// For this pipeline; does not connect yet.
    ///
    /// # Errors
    /// Why there are no tables.
    pub(crate) fn of(file: &PipelineFile) -> Result<Self, String> {
        let runtime =
            Runtime::new(&crate::reef::runtime_options()).map_err(|error| error.to_string())?;
        let tables: Arc<[Table]> =
            sink(file, &runtime)?.tables().iter().map(planner::table).collect();
        let owner = Owner {
            pipeline: file.stream(),
            partition: 0,
            partitions: file.write_behind.partitions,
            holder: "count".into(),
        };
        Ok(Self(destination(file)?.open(&tables, &owner)))
    }

    /// How many there are, if that can be said now.
    pub(crate) fn count(&mut self) -> Option<u64> {
        self.0.count_rows(0).ok().flatten()
    }
}

/// The sink of a file.
fn sink(file: &PipelineFile, runtime: &Runtime) -> Result<Arc<Sink>, String> {
    let carrying = &file.write_behind;
    let component = match &carrying.sink {
        Some(path) => read(path)?,
        None => reef_bundled::WRITE_BEHIND_SINK.to_vec(),
    };
    let mut config: Vec<(String, String)> = vec![
        ("entity".into(), carrying.entity.clone()),
        ("mapping".into(), carrying.mapping.word().into()),
    ];
    config.extend(carrying.table.clone().map(|table| ("table".into(), table)));
    if !carrying.columns.is_empty() {
        let columns =
            serde_json::to_string(&carrying.columns).map_err(|error| error.to_string())?;
        config.push(("columns".into(), columns));
    }
    config.extend(carrying.sink_config.clone());
    let limits = Limits {
        cpu_ms: SINK_CPU_MS,
        memory_bytes: SINK_MEMORY_BYTES,
        bytes: SINK_BYTES,
        ..Limits::default()
    };
    runtime.sink(component.into(), config, limits).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The database of a file.
pub(crate) fn destination(file: &PipelineFile) -> Result<Arc<dyn Destination>, String> {
    let create_tables = file.write_behind.create_tables;
    let database = file.database().ok_or("the file names no database")?;
    Ok(match database {
        Database::PostgreSql(it) => {
            Arc::new(Postgres { server: server(&it, 5_432), create_tables })
        }
        Database::MySql(it) => Arc::new(MySql { server: server(&it, 3_306), create_tables }),
        Database::Sqlite(it) => Arc::new(Sqlite { path: it.path, create_tables }),
        Database::Nats(it) => Arc::new(Nats {
            address: format!("{}:{}", it.host, it.port.unwrap_or(4_222)),
            credentials: it.user.map(|user| (user, it.password.unwrap_or_default())),
            tls: tls(it.tls, it.tls_ca),
            stream: it.stream,
            create_streams: create_tables.then_some(1),
        }),
    })
}

fn server(it: &DatabaseServer, usual_port: u16) -> Server {
    Server {
        host: it.host.clone(),
        port: it.port.unwrap_or(usual_port),
        database: it.database.clone(),
        user: it.user.clone(),
        password: it.password.clone(),
        tls: tls(it.tls, it.tls_ca.clone()),
    }
}

fn tls(wanted: DatabaseTls, ca: Option<PathBuf>) -> Tls {
    match wanted {
        DatabaseTls::Off => Tls::Off,
        DatabaseTls::Verify => Tls::Verified { ca },
        DatabaseTls::Insecure => Tls::Unverified,
    }
}
