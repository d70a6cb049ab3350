//! `plugin-dir`: the components of a folder, loaded under their names and replaced as they change. For
//! development: whoever may write to the folder may run code.
//!
//! The folder is looked at once a second, on a thread of its own. A component that is refused leaves
//! what was loaded before it in place, and is tried again when its file changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use reef_runtime::{GrantRequest, LoadRequest, Mode, Plugins, Source};

/// How often the folder is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What tells that a file has changed.
type Trace = (Option<SystemTime>, u64);

/// A folder that is watched until this is dropped.
pub(crate) struct PluginFolder {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Watcher {
    plugins: Arc<Plugins>,
    folder: PathBuf,
    limits: Vec<(String, String)>,
    /// What the folder held when it was looked at last.
    seen: BTreeMap<String, Trace>,
}

impl PluginFolder {
    /// Loads what the folder holds, and watches it from then on.
    pub(crate) fn watch(
        plugins: Arc<Plugins>,
        folder: PathBuf,
        limits: Vec<(String, String)>,
    ) -> std::io::Result<Self> {
        let mut watcher = Watcher { plugins, folder, limits, seen: BTreeMap::new() };
        watcher.look();
        let stopped = Arc::<AtomicBool>::default();
        let is_stopped = Arc::clone(&stopped);
        let thread = thread::Builder::new().name("plugin-folder".into()).spawn(move || {
            while !is_stopped.load(Ordering::Acquire) {
                thread::park_timeout(INTERVAL);
                if !is_stopped.load(Ordering::Acquire) {
                    watcher.look();
                }
            }
        })?;
        Ok(Self { stopped, thread: Some(thread) })
    }
}

impl Drop for PluginFolder {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Watcher {
    /// Loads what is new or has changed, and unloads what is gone.
    fn look(&mut self) {
        let Some(found) = self.list() else { return };
        for (name, trace) in &found {
            if self.seen.get(name) != Some(trace) {
                self.load(name);
            }
        }
        for name in self.seen.keys().filter(|name| !found.contains_key(*name)) {
            match self.plugins.unload(name) {
                Ok(()) => tracing::info!("plugin {name} unloaded: its file is gone"),
                Err(error) => tracing::warn!("plugin {name}, whose file is gone, stays: {error}"),
            }
        }
        self.seen = found;
    }

    fn load(&self, name: &str) {
        let is_loaded = self.plugins.list().iter().any(|plugin| plugin.name == name);
        let request = LoadRequest {
            // What it was configured with stays.
            mode: if is_loaded { Mode::Replace } else { Mode::New },
            grants: GrantRequest::AllWanted,
            limits: if is_loaded { Vec::new() } else { self.limits.clone() },
            ..LoadRequest::new(name, Source::Path(self.path(name)))
        };
        match self.plugins.load(request) {
            Ok(summary) => {
                tracing::info!("plugin {name} {} loaded from its folder", summary.version);
            }
            Err(error) => {
                let left = if is_loaded { ", the one before it stays" } else { "" };
                tracing::error!("plugin {name} is not loaded from its folder{left}: {error}");
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_added_extension("wasm")
    }

    /// The components by name; none when the folder cannot be read, which says nothing about them.
    fn list(&self) -> Option<BTreeMap<String, Trace>> {
        let entries = std::fs::read_dir(&self.folder).inspect_err(|error| {
            tracing::warn!("the folder {} cannot be read: {error}", self.folder.display());
        });
        let paths = entries.ok()?.flatten().map(|entry| entry.path());
        Some(paths.filter_map(|path| Some((name_of(&path)?, trace_of(&path)?))).collect())
    }
}

fn name_of(path: &Path) -> Option<String> {
    let is_component = path.extension().is_some_and(|extension| extension == "wasm");
    is_component.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
}

fn trace_of(path: &Path) -> Option<Trace> {
    let facts = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some((facts.modified().ok(), facts.len()))
}
