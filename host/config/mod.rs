//! The configuration: file, environment and flags meet here and nowhere else.
//!
//! [`Config::load`] turns a file in redis.conf syntax, the command line and the environment into
//! one value; [`Config::get`] and [`Config::set`] are `CONFIG GET` and `CONFIG SET`;
//! [`Config::rewrite`] is `CONFIG REWRITE`. Later sources win: defaults, environment, file, flags.
//!
//! Invariants:
//! - Every directive is one row of [`table::TABLE`]; everything else is derived from it.
//! - A [`Config`] is valid: each value was read by the kind of its directive.
//! - `set` changes all that it was asked to, or nothing.
//! - Input is bounded: the size of a source, the number of files and their nesting.
//!
//! What it deliberately does not do: print, exit, or put anything into effect. It does not know
//! commands or access rules either: `rename-command` and the rules of `user` are handed on unread.

mod collected;
pub mod directive;
mod error;
mod glob;
mod limits;
mod load;
mod number;
pub mod pipeline;
mod query;
mod rewrite;
mod rule;
mod settings;
mod source;
mod suggest;
pub mod table;
mod value;
pub mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use collected::{Plugin, Rename, Tenant, TenantLimits, User};
pub use error::{ConfigError, Origin, Warning};
pub use limits::{BufferLimit, BufferLimits, SavePoint};
pub use query::{Caller, Changed};
pub use settings::{
    Access, Eviction, Fsync, LogLevel, Packing, PluginBudget, Shutdown, ShutdownSave,
};
pub use source::Source;
pub use value::Value;

use directive::Kind;
use table::TABLE;

/// What the server is told to be. See the head of this module.
#[derive(Debug, Clone)]
pub struct Config {
    /// One value per row of the table.
    values: Vec<Value>,
    /// What the values are when nobody says anything.
    defaults: Arc<[Value]>,
    plugins: Vec<Plugin>,
    tenants: Vec<Tenant>,
    pipelines: Vec<PathBuf>,
    users: Vec<User>,
    renames: Vec<Rename>,
    file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        let defaults: Vec<Value> = TABLE.iter().map(default_value).collect();
        Self {
            values: defaults.clone(),
            defaults: defaults.into(),
            plugins: Vec::new(),
            tenants: Vec::new(),
            pipelines: Vec::new(),
            users: Vec::new(),
            renames: Vec::new(),
            file: None,
        }
    }
}

impl Config {
    /// The file that the configuration came from, as an absolute path.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The value of the directive with this name, in any case of letters.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(table::find(name.as_bytes())?)
    }

    /// Replaces the primary, as `REPLICAOF` does, so that `CONFIG GET` and `CONFIG REWRITE` tell
    /// what is in effect.
    pub fn set_primary(&mut self, primary: Option<(Vec<u8>, u16)>) {
        if let Some(value) = table::find(b"replicaof").and_then(|at| self.values.get_mut(at)) {
            *value = Value::Primary(primary);
        }
    }
}

fn default_value(directive: &directive::Directive) -> Value {
    match directive.kind {
        Kind::Collected => Value::Collected,
        Kind::Primary => Value::Primary(None),
        // A process whose folder was removed still starts; it fails where it needs the folder.
        Kind::Folder => read_default(directive).unwrap_or_else(|_| Value::Text(b".".to_vec())),
        _ if directive.name == "io-threads" => Value::Integer(io_threads_default()),
        _ => read_default(directive).expect("a test reads every default of the table"),
    }
}

fn read_default(directive: &directive::Directive) -> Result<Value, value::Refusal> {
    Value::read(directive, &[directive.default.as_bytes().to_vec()], None)
}

/// One worker per processor but one, which is left to the kernel's network, plugins' calls that take
/// longer and the log: a worker that is put aside for them delays all its clients. Up to a number beyond
/// which more must be asked for.
fn io_threads_default() -> i64 {
    const WORKERS_MAX: usize = 8;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    i64::try_from((processors - 1).clamp(1, WORKERS_MAX)).unwrap_or(1)
}

#[cfg(test)]
mod tests;
