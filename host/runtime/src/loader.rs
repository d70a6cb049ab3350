//! Loads, replaces and unloads plugins: one thread, one request at a time.
//!
//! A version is compiled, linked, described and checked before anything about the loaded ones changes;
//! then its commands enter the command table in one step, and the old version, if there was one,
//! finishes its calls.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use reef_engine::command::Command;
use reef_engine::grants::Grants;

use crate::archive::Past;
use crate::attendant::Attendant;
use crate::border::{Level, TriggerClaim};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::instance::{Answer, Instance, Progress};
use crate::lifelines::Lifeline;
use crate::limits::{COMPONENT_BYTES_MAX, LOADS_WAITING_MAX, Limits};
use crate::manifest::{Manifest, is_plugin_name};
use crate::meter::Usage;
use crate::notice::{self, Notice};
use crate::plugin::{Plugin, Services, Terms};
use crate::program::Program;
use crate::registry::Registry;
use crate::request::{GrantRequest, LoadError, LoadRequest, Mode, PluginSummary, Source};
use crate::stopwatch::thread_cpu;
use crate::texts;
use crate::triggers;
use crate::version::{Birth, Version};
use crate::workshop::Workshop;

/// Begins every wasm binary.
pub(crate) const WASM_MAGIC: &[u8] = b"\0asm";

/// The plugins of one tenant, as loading works on them; calls read parts of it.
pub(crate) struct House {
    pub(crate) workshop: Arc<Workshop>,
    pub(crate) services: Arc<Services>,
    pub(crate) registry: Registry,
    /// Plugins that were unloaded while calls were in flight.
    pub(crate) leaving: Mutex<Vec<Weak<Plugin>>>,
    /// Who brings plugins their events.
    pub(crate) attendants: Mutex<BTreeMap<Arc<str>, Attendant>>,
}

type Job = Box<dyn FnOnce() + Send>;

/// The thread that loads.
pub(crate) struct Loader {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::sync_channel::<Job>(LOADS_WAITING_MAX);
        let thread = thread::Builder::new().name("plugin-loader".into()).spawn(move || {
            for job in inbox {
                // A job that panics fails alone: its completion is dropped with it.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues a job. The error says why not.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), &'static str> {
        let jobs = self.jobs.as_ref().ok_or(texts::STOPPING)?;
        jobs.try_send(Box::new(job)).map_err(|error| match error {
            TrySendError::Full(_) => texts::LOADS_BUSY,
            TrySendError::Disconnected(_) => texts::STOPPING,
        })
    }

    /// Queues a job, waiting until there is room.
    pub(crate) fn submit_patiently(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            // Without a thread the runtime is at its end.
            let _ = jobs.send(Box::new(job));
        }
    }

    /// Runs a job and waits for its result.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<R, LoadError> + Send + 'static,
    ) -> Result<R, LoadError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(move || {
            // Whoever waited may have given up.
            let _ = sender.send(job());
        })?;
        receiver.recv().map_err(|_| LoadError::from(texts::STOPPING))?
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches panics; there is nothing to be told.
            let _ = thread.join();
        }
    }
}

impl House {
    /// Loads or replaces a plugin.
    pub(crate) fn load(&self, request: LoadRequest) -> Result<PluginSummary, LoadError> {
        if self.workshop.stopping.load(Ordering::SeqCst) {
            return Err(texts::STOPPING.into());
        }
        let LoadRequest { name, source, mode, digest, grants, config, is_kept, limits: changes } =
            request;
        if !is_plugin_name(name.as_bytes()) {
            return Err(texts::bad_name(name.as_bytes()).into());
        }
        let old = self.registry.find(&name);
        match (mode, &old) {
            (Mode::New, Some(_)) => return Err(texts::already_loaded(&name).into()),
            (Mode::Replace, None) => return Err(texts::no_such_plugin(name.as_bytes()).into()),
            _ => {}
        }
        let kept = old.as_ref().filter(|_| mode == Mode::Replace).map(|version| &version.terms);
        let mut limits = kept.map_or_else(Limits::default, |terms| terms.limits);
        for (limit, value) in &changes {
            limits.set(limit.as_bytes(), value.as_bytes())?;
        }
        let config = match config {
            Some(pairs) => pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            None => kept.map(|terms| terms.config.clone()).unwrap_or_default(),
        };
        let before = kept.map(|terms| terms.grant_words.clone()).unwrap_or_default();
        let plugin = match &old {
            Some(version) => Arc::clone(&version.terms.plugin),
            None => Arc::new(Plugin::new(&name, self.services.backend.now_ms())),
        };

        let began = Instant::now();
        let bytes = self.read(source, &name)?;
        let found = Digest::of(&bytes);
        if let Some(wanted) = digest.filter(|wanted| *wanted != found) {
            return Err(texts::other_digest(&found, &wanted).into());
        }
        let others = self.registry.all().into_iter().filter(|version| version.name() != name);
        let (count, code_bytes) = others.fold((1, bytes.len() as u64), |(count, sum), other| {
            (count + 1, sum + other.component.len() as u64)
        });
        self.services.allowance.may_load(count, code_bytes)?;
        let (program, origin) = self.workshop.program(&bytes)?;
        let compile_us = began.elapsed().as_micros() as u64;
        let birth = Birth { component: bytes, digest: found, origin, compile_us, is_kept };
        let trial = self.terms(&plugin, limits, config, Grants::default(), Vec::new());
        let manifest = describe(&program, &trial)?;
        let triggers = triggers::subscribe(&program, &trial)?;
        let (grants, words) = decide(&name, &manifest, grants, before)?;
        triggers::check_grants(&name, &triggers, &grants)?;
        let terms = self.terms(&plugin, limits, trial.config.clone(), grants, words);
        self.install(program, terms, (manifest, triggers), &birth)
    }

    pub(crate) fn terms(
        &self,
        plugin: &Arc<Plugin>,
        limits: Limits,
        config: BTreeMap<Box<str>, Arc<str>>,
        grants: Grants,
        grant_words: Vec<String>,
    ) -> Arc<Terms> {
        let plugin = Arc::clone(plugin);
        let services = Arc::clone(&self.services);
        let departures = OnceLock::new();
        Arc::new(Terms { plugin, services, limits, grants, grant_words, config, departures })
    }

    /// The bytes of a component. The server's files are for its operator alone.
    pub(crate) fn read(&self, source: Source, name: &str) -> Result<Bytes, LoadError> {
        let bytes = match source {
            Source::Bytes(bytes) => bytes,
            Source::Bundled => {
                let bundled = self.workshop.bundled.iter().find(|(bundled, _)| *bundled == name);
                let (_, bytes) =
                    bundled.ok_or_else(|| LoadError::from(texts::not_bundled(name)))?;
                Bytes::from_static(bytes)
            }
            Source::Digest(digest) => self.find(&digest)?,
            Source::Path(_) if !self.services.tenant.is_empty() => {
                return Err(texts::FILES_OF_THE_OPERATOR.into());
            }
            Source::Path(path) => read_file(&path)?.into(),
        };
        if bytes.len() > COMPONENT_BYTES_MAX {
            return Err(texts::component_too_large(COMPONENT_BYTES_MAX).into());
        }
        if !bytes.starts_with(WASM_MAGIC) {
            return Err(texts::not_a_component("it does not begin as wasm does").into());
        }
        Ok(bytes)
    }

    /// The component with this digest, among those that are loaded, kept, or came with the server.
    fn find(&self, digest: &Digest) -> Result<Bytes, LoadError> {
        for version in self.registry.all() {
            if version.digest == *digest {
                return Ok(version.component.clone());
            }
            let archive = version.terms.plugin.archive.lock();
            if let Some(past) = archive.all().find(|past| past.digest == *digest) {
                return Ok(past.component.clone());
            }
        }
        let bundled = self.workshop.bundled.iter().map(|(_, component)| *component);
        let found = bundled.into_iter().find(|component| Digest::of(component) == *digest);
        Ok(Bytes::from_static(found.ok_or_else(|| texts::no_such_digest(digest))?))
    }

    /// Makes a checked version the one that runs.
    fn install(
        &self,
        program: Arc<Program>,
        terms: Arc<Terms>,
        described: (Manifest, Vec<TriggerClaim>),
        birth: &Birth,
    ) -> Result<PluginSummary, LoadError> {
        let number = self.registry.reserve();
        let version = Arc::new(Version::new(number, program, terms, described, birth));
        self.registry.open(&version);
        let mut commands = self.commands_without(version.name());
        commands.extend(version.manifest.entries(number));
        if let Err(taken) = self.services.backend.set_plugin_commands(commands) {
            self.registry.forget(number);
            return Err(self.command_taken(&taken, version.name()).into());
        }
        let old = self.registry.promote(&version);
        self.attend(&version);
        let plugin = &version.terms.plugin;
        if let Some(old) = &old {
            retire(old);
            self.keep(old, &version);
            plugin.breaker.reset();
        }
        let verb = if old.is_some() { "replaced by" } else { "loaded" };
        version.terms.note(Level::Info, &format!("{verb} version {}", version.manifest.version));
        if let Some(notice) = notice::of(&version) {
            self.services.backend.tell_copies(&notice);
        }
        Ok(summary(&version))
    }

    /// Keeps a version that was replaced, as far as the tenant has room for its component.
    fn keep(&self, old: &Version, now: &Version) {
        let plugin = &now.terms.plugin;
        let bytes = |version: &Arc<Version>| {
            let other = &version.terms.plugin;
            let past = if Arc::ptr_eq(other, plugin) { 0 } else { other.archive.lock().bytes() };
            version.component.len() as u64 + past
        };
        let room = self.services.allowance.code_room(self.registry.all().iter().map(bytes).sum());
        plugin.archive.lock().keep(old.as_past(), Some(&now.as_past()), room);
    }

    /// Puts a version that was replaced in the place of the one that runs, on the terms that it had.
    pub(crate) fn roll_back(
        &self,
        name: &str,
        which: Option<&str>,
    ) -> Result<PluginSummary, LoadError> {
        let running = self.registry.find(name);
        let running = running.ok_or_else(|| texts::no_such_plugin(name.as_bytes()))?;
        let past = running.terms.plugin.archive.lock().find(which).cloned();
        let past = past.ok_or_else(|| texts::no_such_version(name, which))?;
        self.load(past.request(name))
    }

    /// Keeps a version that was replaced elsewhere, behind all others.
    fn remember(&self, version: String, request: LoadRequest) -> Result<(), LoadError> {
        let running = self.registry.find(&request.name);
        let running = running.ok_or_else(|| texts::no_such_plugin(request.name.as_bytes()))?;
        let past = Past::read(version, request)?;
        running.terms.plugin.archive.lock().add_oldest(past);
        Ok(())
    }

    /// Unloads a plugin. Its calls in flight are finished.
    pub(crate) fn unload(&self, name: &str) -> Result<(), LoadError> {
        let gone = || LoadError::from(texts::no_such_plugin(name.as_bytes()));
        self.registry.find(name).ok_or_else(gone)?;
        let commands = self.commands_without(name);
        let taken = self.services.backend.set_plugin_commands(commands);
        taken.map_err(|command| LoadError::from(self.command_taken(&command, name)))?;
        let old = self.registry.remove(name).ok_or_else(gone)?;
        retire(&old);
        self.attend_no_more(name);
        self.leaving.lock().retain(|plugin| plugin.strong_count() > 0);
        self.leaving.lock().push(Arc::downgrade(&old.terms.plugin));
        if old.is_kept {
            self.services.backend.tell_copies(&notice::of_end(name));
        }
        Ok(())
    }

    /// Loads or unloads as a notice says.
    pub(crate) fn heed(&self, notice: &[u8]) {
        let result = match notice::read(notice) {
            Ok(Notice::Load(request)) => self.load(*request).map(drop),
            Ok(Notice::Past(version, request)) => self.remember(version, *request),
            Ok(Notice::Unload(name)) => {
                // One that never came need not go.
                let _ = self.unload(&name);
                Ok(())
            }
            Err(text) => Err(text.into()),
        };
        if let Err(error) = result {
            tracing::error!("a plugin that is kept with the data cannot be loaded: {error}");
        }
    }

    /// Loads what is kept, and unloads what was kept and no longer is.
    pub(crate) fn restore(&self, notices: &[Vec<u8>]) {
        let named = |name: &str| notices.iter().any(|text| notice::is_about(text, name));
        for version in self.registry.all() {
            if version.is_kept && !named(version.name()) {
                // It was there a moment ago; if not, so much the better.
                let _ = self.unload(version.name());
            }
        }
        for text in notices {
            self.heed(text);
            if let Ok(Notice::Load(request)) = notice::read(text)
                && let Some(version) = self.registry.find(&request.name)
            {
                // What was replaced by it follows.
                version.terms.plugin.archive.lock().clear();
            }
        }
    }

    /// Plugins that were unloaded and have calls in flight: their names, and how many.
    pub(crate) fn leaving(&self) -> Vec<(Arc<str>, u32)> {
        let leaving = self.leaving.lock();
        let plugins = leaving.iter().filter_map(Weak::upgrade);
        let counted = plugins.map(|one| (one.name.clone(), one.in_flight()));
        counted.filter(|(_, calls)| *calls > 0).collect()
    }

    /// Why a plugin cannot have a command of this name.
    fn command_taken(&self, command: &str, plugin: &str) -> String {
        let others = self.registry.all().into_iter().filter(|version| version.name() != plugin);
        let mut owners = others
            .filter(|version| version.manifest.commands.iter().any(|one| one.name == command));
        let owner = owners.next();
        texts::command_taken(command, owner.as_ref().map(|version| version.name()))
    }

    fn commands_without(&self, name: &str) -> Vec<Arc<Command>> {
        let others = self.registry.all().into_iter().filter(|version| version.name() != name);
        others.flat_map(|version| version.manifest.entries(version.number)).collect()
    }
}

impl House {
    /// Lets the triggers of a version have their events, if it has some.
    fn attend(&self, version: &Arc<Version>) {
        let mut attendants = self.attendants.lock();
        match attendants.get(version.name()) {
            Some(attendant) => attendant.serve(version),
            None if version.triggers.is_empty() => return,
            None => match Attendant::start(version) {
                Ok(attendant) => {
                    attendants.insert(version.terms.plugin.name.clone(), attendant);
                }
                Err(error) => tracing::error!("a plugin's triggers cannot run: {error}"),
            },
        }
        self.set_triggers(&attendants);
    }

    /// Tells a plugin that somebody has gone whom it wanted to be told of.
    pub(crate) fn tell_of_departure(&self, lifeline: Lifeline) {
        let Some(version) = self.registry.find(&lifeline.plugin) else { return };
        let is_same = version.terms.plugin.incarnation == lifeline.incarnation;
        let attendants = self.attendants.lock();
        if let Some(attendant) = attendants.get(&lifeline.plugin).filter(|_| is_same) {
            attendant.tell_of_departure(&version, lifeline.database, lifeline.key);
        }
    }

    fn attend_no_more(&self, name: &str) {
        let mut attendants = self.attendants.lock();
        let gone = attendants.remove(name);
        if gone.is_some() {
            self.set_triggers(&attendants);
        }
        drop(attendants);
        // Its thread finishes the event at hand.
        drop(gone);
    }

    fn set_triggers(&self, attendants: &BTreeMap<Arc<str>, Attendant>) {
        let versions = self.registry.all();
        let triggers = versions.iter().filter_map(|version| {
            let attendant = attendants.get(version.name())?;
            Some(attendant.triggers(version))
        });
        self.services.backend.set_triggers(triggers.flatten().collect());
    }
}

/// The plugin in short.
pub(crate) fn summary(version: &Version) -> PluginSummary {
    let manifest = &version.manifest;
    PluginSummary {
        name: version.name().into(),
        version: manifest.version.clone(),
        summary: manifest.summary.clone(),
        commands: manifest.commands.iter().map(|command| command.name.clone()).collect(),
        grants: version.terms.grant_words.clone(),
    }
}

fn retire(old: &Version) {
    old.terms.plugin.keep_tallies(old.tallies());
    old.pool.close();
}

fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| texts::unreadable(&path.to_string_lossy(), &error.to_string()))?;
    Ok(bytes)
}

/// Asks a program what it is, under the same budgets as a call.
fn describe(program: &Arc<Program>, terms: &Arc<Terms>) -> Result<Manifest, LoadError> {
    describe_measured(program, terms).map(|(manifest, ..)| manifest)
}

/// The same, with what it used and how long it took, the start of the instance included.
pub(crate) fn describe_measured(
    program: &Arc<Program>,
    terms: &Arc<Terms>,
) -> Result<(Manifest, Usage, Duration), LoadError> {
    let name = &terms.plugin.name;
    let mut instance = Instance::new(program, terms)
        .ok_or_else(|| LoadError::from(texts::too_many_calls(name)))?;
    instance.begin_describe();
    let began = Instant::now();
    let (answer, usage) = run_to_end(&mut instance, terms);
    let spent = began.elapsed();
    match answer {
        Answer::Manifest(said) => {
            let claim = said.map_err(|reason| texts::describe_failed(&reason))?;
            let manifest = Manifest::check(claim).map_err(|reason| texts::bad_manifest(&reason))?;
            Ok((manifest, usage, spent))
        }
        Answer::Failed(failure) => {
            Err(texts::describe_failed(&failure.text(name, &terms.limits)).into())
        }
        _ => Err(texts::describe_failed("it answered another question").into()),
    }
}

/// Polls an instance until it answers or its budget is used up, on this thread.
pub(crate) fn run_to_end(instance: &mut Instance, terms: &Terms) -> (Answer, Usage) {
    let budget = Duration::from_millis(terms.limits.cpu_ms.into());
    let kill_mark = terms.plugin.kill_mark();
    let mut spent = Duration::ZERO;
    loop {
        terms.services.ticker.touch();
        let before = thread_cpu();
        let progress = instance.poll(Some(Instant::now()), spent);
        spent += thread_cpu().saturating_sub(before);
        let failure = match progress {
            Progress::Answered(answer, usage) => {
                terms.services.allowance.charge(spent);
                return (answer, usage);
            }
            Progress::Running if spent >= budget => Failure::Timeout,
            Progress::Running if terms.plugin.kill_mark() != kill_mark => Failure::Killed,
            Progress::Running => continue,
        };
        terms.services.allowance.charge(spent);
        return (Answer::Failed(failure), Usage::default());
    }
}

/// Decides what is granted: everything that is wanted must be covered by what was asked for.
fn decide(
    name: &str,
    manifest: &Manifest,
    request: GrantRequest,
    before: Vec<String>,
) -> Result<(Grants, Vec<String>), LoadError> {
    let wants: Vec<&str> = manifest.wants.iter().map(String::as_str).collect();
    let words = match request {
        GrantRequest::Keep => before,
        GrantRequest::Words(words) => words,
        GrantRequest::AllWanted => manifest.wants.clone(),
    };
    if let Some(word) = wants.iter().find(|word| Grants::parse(&[word]).is_err()) {
        return Err(texts::not_grantable(name, word).into());
    }
    let given: Vec<&str> = words.iter().map(String::as_str).collect();
    let grants = Grants::parse(&given).map_err(texts::bad_grant)?;
    let is_missing = |word: &&str| grants.first_missing(&[word]).is_some();
    let missing: Vec<&str> = wants.iter().copied().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok((grants, words));
    }
    let mut needed = wants;
    needed.extend(given.iter().filter(|word| !manifest.wants.iter().any(|want| want == *word)));
    Err(texts::not_granted(name, &missing, &needed).into())
}
