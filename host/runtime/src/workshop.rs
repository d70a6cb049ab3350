//! Where components become native code: one machine, one cache and one compiler for all tenants.
//!
//! Compiling takes place on a thread of its own, which steps back for others, so that it can be given up
//! on; a compilation that was given up on goes on to its end beside the next one. Code that is in use
//! is shared by whoever loads the same component.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime::component::Component;

use crate::code_cache::{CodeCache, Name};
use crate::machine::Machine;
use crate::options::Options;
use crate::program::Program;
use crate::request::LoadError;
use crate::standing::Standing;
use crate::texts;

/// How long a stopping runtime may wait for the loader to see that it stops.
const STOPPING_SEEN_AFTER: Duration = Duration::from_millis(50);
/// Compilations at the same time: one that is waited for, the others were given up on and cannot be
/// stopped. Who keeps that many threads busy keeps the compiler from everybody, for a while.
const COMPILATIONS_MAX: usize = 4;
/// What follows wasm's magic number in a core module.
const CORE_MODULE_VERSION: &[u8] = &[1, 0, 0, 0];

/// How a component became native code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was compiled.
    Compiled,
    /// Its code was in the cache.
    Cache,
    /// Another plugin that is loaded has the same component.
    Shared,
}

impl Origin {
    /// The word for it in `PLUGIN INFO`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Cache => "cache",
            Self::Shared => "shared",
        }
    }
}

/// The machine, and what it keeps.
pub(crate) struct Workshop {
    pub(crate) machine: Machine,
    /// Plugins that came with the server: names and components.
    pub(crate) bundled: Vec<(&'static str, &'static [u8])>,
    cache: Option<CodeCache>,
    /// The programs that versions hold.
    in_use: Mutex<HashMap<Name, Weak<Program>>>,
    /// Why there is no cache although one was wanted.
    pub(crate) cache_error: Option<String>,
    compile_timeout: Duration,
    /// Compilations under way: the loader's, and those that were given up on.
    compiling: AtomicUsize,
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
            in_use: Mutex::default(),
            cache_error,
            compile_timeout: options.compile_timeout,
            compiling: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    /// The linked program of a component, and how it came to be.
    pub(crate) fn program(
        self: &Arc<Self>,
        bytes: &Bytes,
    ) -> Result<(Arc<Program>, Origin), LoadError> {
        let name = self.name(bytes)?;
        if let Some(program) = self.in_use.lock().get(&name).and_then(Weak::upgrade) {
            return Ok((program, Origin::Shared));
        }
        let (component, origin) = self.component(bytes, &name)?;
        let program = Arc::new(Program::new(&self.machine, &component)?);
        let mut in_use = self.in_use.lock();
        in_use.retain(|_, program| program.strong_count() > 0);
        in_use.insert(name, Arc::downgrade(&program));
        Ok((program, origin))
    }

    /// The native code of a component that is not to be run.
    pub(crate) fn code(self: &Arc<Self>, bytes: &Bytes) -> Result<Component, LoadError> {
        let name = self.name(bytes)?;
        self.component(bytes, &name).map(|(component, _)| component)
    }

    /// What a component is known by.
    fn name(&self, bytes: &[u8]) -> Result<Name, LoadError> {
        match bytes.get(4..8) == Some(CORE_MODULE_VERSION) {
            true => Err(texts::CORE_MODULE.into()),
            false => Ok(Name::new(&self.machine.engine, bytes)),
        }
    }

    /// The native code of a component.
    fn component(
        self: &Arc<Self>,
        bytes: &Bytes,
        name: &Name,
    ) -> Result<(Component, Origin), LoadError> {
        let cached = self.cache.as_ref().and_then(|cache| cache.load(&self.machine.engine, name));
        if let Some(component) = cached {
            return Ok((component, Origin::Cache));
        }
        let component = self.compile(bytes)?;
        if let Some(cache) = &self.cache {
            // A full disk costs the next start some time, nothing else.
            let _ = cache.store(name, &component);
        }
        Ok((component, Origin::Compiled))
    }

    /// Compiles a component on a thread of its own.
    fn compile(self: &Arc<Self>, bytes: &Bytes) -> Result<Component, LoadError> {
        if self.compiling.fetch_add(1, Ordering::SeqCst) >= COMPILATIONS_MAX {
            self.compiling.fetch_sub(1, Ordering::SeqCst);
            return Err(texts::COMPILER_BUSY.into());
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let (workshop, bytes) = (Arc::clone(self), bytes.clone());
        let compile = move || {
            Standing::Behind.take();
            let compiled =
                catch_unwind(AssertUnwindSafe(|| Component::new(&workshop.machine.engine, &bytes)));
            workshop.compiling.fetch_sub(1, Ordering::SeqCst);
            // Whoever waited may have given up.
            let _ = sender.send(compiled);
        };
        let spawned = thread::Builder::new().name("plugin-compile".into()).spawn(compile);
        if let Err(error) = spawned {
            self.compiling.fetch_sub(1, Ordering::SeqCst);
            return Err(texts::not_a_component(&error.to_string()).into());
        }
        match self.wait(&receiver)? {
            Ok(Ok(component)) => Ok(component),
            Ok(Err(error)) => Err(texts::not_a_component(&error.root_cause().to_string()).into()),
            Err(_) => Err(texts::not_a_component("the compiler failed").into()),
        }
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
