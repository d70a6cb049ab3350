//! The runtime as a whole: what the plugins of all tenants share, started and stopped together.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reef_engine::backend::Backend;

use crate::loader::Loader;
use crate::options::Options;
use crate::overstay::Overstay;
use crate::plugin::Plugin;
use crate::plugins::Plugins;
use crate::ticker::Ticker;
use crate::workshop::Workshop;

/// Runs plugins. When it, its clones and all its [`Plugins`] are dropped its threads stop; calls in
/// flight are dropped with them.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) crew: Arc<Crew>,
}

/// The threads of a runtime, and where code is made.
pub(crate) struct Crew {
    // In the order in which they are stopped.
    pub(crate) loader: Loader,
    pub(crate) overstay: Overstay,
    pub(crate) workshop: Arc<Workshop>,
    pub(crate) ticker: Arc<Ticker>,
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
    pub fn new(options: &Options) -> Result<Self, StartError> {
        let workshop = Workshop::new(options)?;
        let ticker = Ticker::start(workshop.machine.engine.clone())?;
        let crew = Crew {
            loader: Loader::start()?,
            overstay: Overstay::start(options.overstay_threads)?,
            workshop: Arc::new(workshop),
            ticker: Arc::new(ticker),
        };
        Ok(Self { crew: Arc::new(crew) })
    }

    /// The plugins of the default tenant, whose data is behind `backend`; there are none so far. Other
    /// tenants' are made by [`Extension::of_tenant`](reef_engine::backend::Extension::of_tenant).
    pub fn plugins(&self, backend: Arc<dyn Backend>) -> Arc<Plugins> {
        Arc::new(Plugins::new(Arc::clone(&self.crew), backend, ""))
    }

    /// Why compiled code is not kept although a directory for it was given.
    pub fn code_cache_error(&self) -> Option<&str> {
        self.crew.workshop.cache_error.as_deref()
    }

    /// How many instances the pool holds; `None` when their memory comes from the operating
    /// system one by one, because there was no address space for a pool.
    pub fn pooled_instances(&self) -> Option<u32> {
        self.crew.workshop.machine.pooled
    }
}

impl Crew {
    /// Stops a plugin's calls in flight, at once; how many there were.
    pub(crate) fn kill(&self, plugin: &Plugin) -> u32 {
        let killed = plugin.kill();
        if killed > 0 {
            self.ticker.end_slices();
            self.overstay.look();
        }
        killed
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // The threads end when the fields are dropped, after this.
        self.workshop.stopping.store(true, Ordering::SeqCst);
    }
}
