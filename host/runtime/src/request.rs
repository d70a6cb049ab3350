//! Requests to load a plugin, and what comes of them.

use std::path::PathBuf;

use bytes::Bytes;

use crate::digest::Digest;

/// Where a component's bytes are.
#[derive(Clone, Debug)]
pub enum Source {
    /// Here.
    Bytes(Bytes),
    /// In a file.
    Path(PathBuf),
    /// It is the one of the plugin's name that came with the server.
    Bundled,
    /// Among those that are loaded, kept, or came with the server.
    Digest(Digest),
}

/// What happens when a plugin of that name is loaded already, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It must not be loaded.
    New,
    /// It may be loaded; nothing of its terms is kept.
    NewOrReplace,
    /// It must be loaded; its terms are kept unless given anew.
    Replace,
}

/// What a plugin is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GrantRequest {
    /// What it was granted before; nothing if it is new.
    #[default]
    Keep,
    /// These words.
    Words(Vec<String>),
    /// Whatever it wants: for plugins that the server brings along.
    AllWanted,
}

/// "Load this plugin on these terms."
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The name it is loaded under.
    pub name: String,
    /// Its component.
    pub source: Source,
    /// What to do about one of that name.
    pub mode: Mode,
    /// What its component must be.
    pub digest: Option<Digest>,
    /// Its grants.
    pub grants: GrantRequest,
    /// Its configuration; as before (or none) when absent.
    pub config: Option<Vec<(String, String)>>,
    /// Whether it is kept with the data: not what the server brings along or is configured with.
    pub is_kept: bool,
    /// Limits that differ from what they were before or are by default, by name, as after `LIMIT`.
    pub limits: Vec<(String, String)>,
}

impl LoadRequest {
    /// A request for a plugin that is not loaded yet, without grants and configuration.
    pub fn new(name: impl Into<String>, source: Source) -> Self {
        Self {
            name: name.into(),
            source,
            mode: Mode::New,
            digest: None,
            grants: GrantRequest::Keep,
            config: None,
            is_kept: false,
            limits: Vec::new(),
        }
    }
}

/// A loaded plugin in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSummary {
    /// The name it was loaded under.
    pub name: String,
    /// The version that it says it has.
    pub version: String,
    /// What it says of itself.
    pub summary: String,
    /// Its commands.
    pub commands: Vec<String>,
    /// What it was granted.
    pub grants: Vec<String>,
}

/// Figures of a loaded plugin since it was first loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginStatistics {
    /// The plugin.
    pub name: String,
    /// Finished calls.
    pub calls: u64,
    /// Calls that ended with an error of the handler's own.
    pub errors: u64,
    /// Calls that ended with a trap or an exhausted budget.
    pub traps: u64,
    /// Calls that ran out of CPU.
    pub timeouts: u64,
    /// Batches that found their guards stale.
    pub conflicts: u64,
    /// Microseconds of CPU.
    pub cpu_us: u64,
    /// Calls of host functions.
    pub host_calls: u64,
    /// Bytes moved across host calls.
    pub bytes: u64,
}

/// Why a plugin was not loaded: one sentence, error code first, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(pub(crate) String);

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

impl From<String> for LoadError {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for LoadError {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}
