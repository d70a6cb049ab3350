//! Where components become native code: one machine, one cache and one compiler for all tenants.
//!
//! Compiling takes place on a thread of its own, so that it can be given up on; one at a time, so that
//! nobody's code takes more than one core. Code that is in use is shared by whoever loads the same
//! component.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use crate::code_cache::{CodeCache, Name};
use crate::machine::Machine;
use crate::options::Options;
use crate::request::LoadError;
use crate::texts;

/// How long a stopping runtime may wait for the loader to see that it stops.
const STOPPING_SEEN_AFTER: Duration = Duration::from_millis(50);
/// What follows wasm's magic number in a core module.
const CORE_MODULE_VERSION: &[u8] = &[1, 0, 0, 0];

/// The machine, and what it keeps.
pub(crate) struct Workshop {
    pub(crate) machine: Machine,
    /// Plugins that came with the server: names and components.
    pub(crate) bundled: Vec<(&'static str, &'static [u8])>,
    cache: Option<CodeCache>,
    /// Why there is no cache although one was wanted.
    pub(crate) cache_error: Option<String>,
    compile_timeout: Duration,
    /// Whether a compilation is under way, perhaps one that was given up on.
    compiling: AtomicBool,
    /// Set when the runtime goes: nothing is waited for any more.
    pub(crate) stopping: AtomicBool,
}

impl Workshop {
    pub(crate) fn new(options: &Options) -> wasmtime::Result<Self> {
        let machine = Machine::new(options)?;
        let (cache, cache_error) = match options.cache_dir.as_deref().map(CodeCache::open) {
            None => (None, None),
            Some(Ok(cache)) => (Some(cache), None),
            // Starts take longer without it, that is all.
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        Ok(Self {
            machine,
            bundled: options.bundled.clone(),
            cache,
            cache_error,
            compile_timeout: options.compile_timeout,
            compiling: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        })
    }

    /// Native code for a component, and whether it came from the cache.
    pub(crate) fn compile(
        self: &Arc<Self>,
        bytes: Vec<u8>,
    ) -> Result<(Component, bool), LoadError> {
        if bytes.get(4..8) == Some(CORE_MODULE_VERSION) {
            return Err(texts::CORE_MODULE.into());
        }
        let name = Name::new(&self.machine.engine, &bytes);
        if let Some(cache) = &self.cache
            && let Some(component) = cache.load(&self.machine.engine, &name)
        {
            return Ok((component, true));
        }
        if self.compiling.swap(true, Ordering::SeqCst) {
            return Err(texts::COMPILER_BUSY.into());
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let workshop = Arc::clone(self);
        let compile = move || {
            let compiled =
                catch_unwind(AssertUnwindSafe(|| Component::new(&workshop.machine.engine, &bytes)));
            workshop.compiling.store(false, Ordering::SeqCst);
            // Whoever waited may have given up.
            let _ = sender.send(compiled);
        };
        let spawned = thread::Builder::new().name("plugin-compile".into()).spawn(compile);
        if let Err(error) = spawned {
            self.compiling.store(false, Ordering::SeqCst);
            return Err(texts::not_a_component(&error.to_string()).into());
        }
        let component = match self.wait(&receiver)? {
            Ok(Ok(component)) => component,
            Ok(Err(error)) => {
                return Err(texts::not_a_component(&error.root_cause().to_string()).into());
            }
            Err(_) => return Err(texts::not_a_component("the compiler failed").into()),
        };
        if let Some(cache) = &self.cache {
            // A full disk costs the next start some time, nothing else.
            let _ = cache.store(&name, &component);
        }
        Ok((component, false))
    }

    /// Waits for the compiler, for as long as it may take.
    fn wait<R>(&self, receiver: &Receiver<R>) -> Result<R, LoadError> {
        let began = Instant::now();
        loop {
            let left = self.compile_timeout.saturating_sub(began.elapsed());
            match receiver.recv_timeout(left.min(STOPPING_SEEN_AFTER)) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(texts::not_a_component("the compiler failed").into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.stopping.load(Ordering::SeqCst) {
                return Err(texts::STOPPING.into());
            }
            if began.elapsed() >= self.compile_timeout {
                return Err(texts::compile_timeout(self.compile_timeout.as_secs()).into());
            }
        }
    }
}
