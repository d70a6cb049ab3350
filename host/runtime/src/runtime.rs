//! The runtime as a whole: the parts, started and stopped together, behind [`Extension`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reef_engine::backend::{Backend, CallStatus, Caller, Completion, Extension, PluginCommand};
use reef_resp::{Argv, Writer};

use crate::code_cache::CodeCache;
use crate::inspection::Inspection;
use crate::limits::Limits;
use crate::loader::{self, House, Loader};
use crate::machine::Machine;
use crate::notice;
use crate::options::Options;
use crate::overstay::Overstay;
use crate::plugin::Services;
use crate::registry::Registry;
use crate::request::{LoadError, LoadRequest, PluginStatistics, PluginSummary, Source};
use crate::ticker::Ticker;
use crate::{admin, calls, report, texts};

/// Runs plugins. Dropping it stops its threads; calls in flight are dropped with it.
pub struct Runtime {
    // In the order in which they are stopped.
    loader: Loader,
    overstay: Overstay,
    house: Arc<House>,
}

/// Why a runtime could not be set up: the machine gives no memory or no threads.
#[derive(Debug)]
pub struct StartError(String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<wasmtime::Error> for StartError {
    fn from(error: wasmtime::Error) -> Self {
        Self(error.to_string())
    }
}

impl Runtime {
    /// Sets a runtime up and starts its threads.
    pub fn new(options: &Options, backend: Arc<dyn Backend>) -> Result<Arc<Self>, StartError> {
        let machine = Machine::new(options)?;
        let (cache, cache_error) = match options.cache_dir.as_deref().map(CodeCache::open) {
            None => (None, None),
            Some(Ok(cache)) => (Some(cache), None),
            // Starts take longer without it, that is all.
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let ticker = Ticker::start(machine.engine.clone())?;
        let house = Arc::new(House {
            machine,
            services: Arc::new(Services { backend, ticker }),
            registry: Registry::default(),
            cache,
            cache_error,
            compile_timeout: options.compile_timeout,
            compiling: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        let overstay = Overstay::start(options.overstay_threads)?;
        let loader = Loader::start(Arc::clone(&house))?;
        Ok(Arc::new(Self { loader, overstay, house }))
    }

    /// Loads or replaces a plugin, and waits for it.
    pub fn load(&self, request: LoadRequest) -> Result<PluginSummary, LoadError> {
        self.loader.run(move |house| house.load(request))
    }

    /// Looks at a component without loading it, and waits for that. The error is why there is nothing
    /// to look at; whether it would be refused is part of what is found.
    pub fn inspect(&self, source: Source, limits: Limits) -> Result<Inspection, LoadError> {
        self.loader.run(move |house| house.inspect(source, limits))
    }

    /// Unloads a plugin. Its calls in flight are finished.
    pub fn unload(&self, name: &str) -> Result<(), LoadError> {
        let name = name.to_owned();
        self.loader.run(move |house| house.unload(&name))
    }

    /// The loaded plugins by name.
    pub fn list(&self) -> Vec<PluginSummary> {
        self.house.registry.all().iter().map(|version| loader::summary(version)).collect()
    }

    /// The figures of the loaded plugins by name.
    pub fn stats(&self) -> Vec<PluginStatistics> {
        let versions = self.house.registry.all();
        versions.iter().map(|version| report::plugin_statistics(version)).collect()
    }

    /// Why compiled code is not kept although a directory for it was given.
    pub fn code_cache_error(&self) -> Option<&str> {
        self.house.cache_error.as_deref()
    }

    /// How many instances the pool holds; `None` when their memory comes from the operating
    /// system one by one, because there was no address space for a pool.
    pub fn pooled_instances(&self) -> Option<u32> {
        self.house.machine.pooled
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.house.stopping.store(true, Ordering::SeqCst);
    }
}

impl Extension for Runtime {
    fn call(
        &self,
        command: PluginCommand,
        caller: &Caller,
        argv: Argv<'_>,
        reply: &mut Writer,
        later: &mut dyn FnMut() -> Completion,
    ) -> CallStatus {
        let Some((version, command)) = self.house.registry.resolve(command) else {
            reply.error(texts::COMMAND_GONE);
            return CallStatus::Done;
        };
        calls::begin(version, command, caller, argv, reply, later, &self.overstay)
    }

    fn administer(
        &self,
        argv: Argv<'_>,
        reply: &mut Writer,
        later: &mut dyn FnMut() -> Completion,
    ) -> CallStatus {
        admin::run(&self.house, &self.loader, argv, reply, later)
    }

    fn info(&self, out: &mut String) {
        report::section(&self.house.registry.all(), out);
    }

    fn kept(&self) -> Vec<Vec<u8>> {
        let versions = self.house.registry.all();
        versions.iter().filter_map(|version| notice::of(version)).collect()
    }

    fn restore(&self, notices: Vec<Vec<u8>>) {
        self.loader.submit_patiently(move |house| house.restore(&notices));
    }

    fn heed(&self, notice: &[u8]) {
        let notice = notice.to_vec();
        self.loader.submit_patiently(move |house| house.heed(&notice));
    }

    fn settle(&self) {
        // The loader does one thing after the other.
        let _ = self.loader.run(|_| Ok(()));
    }
}
