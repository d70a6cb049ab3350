//! The plugins of one tenant, behind [`Extension`].

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;

use parking_lot::Mutex;
use reef_engine::backend::{
    Backend, CallStatus, Called, Caller, Completion, Conclusion, Extension, Late, PluginCommand,
    PluginQuotas, Wake,
};
use reef_resp::{Argv, OwnedArgv, Protocol, Writer};

use crate::allowance::Allowance;
use crate::attendant::Attendant;
use crate::inspection::Inspection;
use crate::lifelines::Lifelines;
use crate::limits::Limits;
use crate::loader::{self, House};
use crate::plugin::Services;
use crate::registry::Registry;
use crate::request::{LoadError, LoadRequest, PluginStatistics, PluginSummary, Source};
use crate::runtime::Crew;
use crate::{admin, calls, notice, report, texts};

/// All plugins of a tenant.
pub struct Plugins {
    crew: Arc<Crew>,
    house: Arc<House>,
}

impl Plugins {
    pub(crate) fn new(crew: Arc<Crew>, backend: Arc<dyn Backend>, tenant: &str) -> Self {
        let services = Services {
            backend,
            ticker: Arc::clone(&crew.ticker),
            tenant: tenant.into(),
            allowance: Allowance::default(),
            instances: AtomicU32::new(0),
            lifelines: Lifelines::default(),
        };
        let house = House {
            workshop: Arc::clone(&crew.workshop),
            services: Arc::new(services),
            registry: Registry::default(),
            leaving: Mutex::default(),
            attendants: Mutex::default(),
        };
        Self { crew, house: Arc::new(house) }
    }

    /// Loads or replaces a plugin, and waits for it.
    pub fn load(&self, request: LoadRequest) -> Result<PluginSummary, LoadError> {
        let house = Arc::clone(&self.house);
        self.crew.loader.run(move || house.load(request))
    }

    /// Looks at a component without loading it, and waits for that. The error is why there is nothing
    /// to look at; whether it would be refused is part of what is found.
    pub fn inspect(
        &self,
        source: Source,
        limits: Limits,
        config: Vec<(String, String)>,
    ) -> Result<Inspection, LoadError> {
        let house = Arc::clone(&self.house);
        self.crew.loader.run(move || house.inspect(source, limits, config))
    }

    /// Unloads a plugin. Its calls in flight are finished.
    pub fn unload(&self, name: &str) -> Result<(), LoadError> {
        let (house, name) = (Arc::clone(&self.house), name.to_owned());
        self.crew.loader.run(move || house.unload(&name))
    }

    /// Runs a command of a loaded plugin for the host itself and waits for its reply, in RESP2. `None` if
    /// no plugin has it, or if it wants to wait.
    pub fn run(&self, caller: &Caller, words: &[&[u8]]) -> Option<Vec<u8>> {
        let name = String::from_utf8_lossy(words.first()?).to_ascii_uppercase();
        let versions = self.house.registry.all();
        let found = versions.into_iter().find_map(|version| Some((version.find(&name)?, version)));
        let (command, version) = found?;
        let mut argv = OwnedArgv::new();
        words.iter().for_each(|word| argv.push(word));
        let mut reply = Writer::new(Protocol::Resp2);
        let (sender, receiver) = mpsc::channel();
        let mut later = || -> Conclusion {
            let sender = sender.clone();
            Box::new(move |late| drop(sender.send(late)))
        };
        let call = (caller, argv.as_argv());
        let overstay = &self.crew.overstay;
        match calls::begin(version, command, None, call, &mut reply, &mut later, overstay) {
            Called::Done => Some(reply.take_data()),
            Called::Parked(_) => None,
            Called::Later => match receiver.recv().ok()? {
                Late::Reply(bytes) => Some(bytes),
                Late::Park(_) => None,
            },
        }
    }

    /// Whether all triggers have been told of all that happened, and have done what they wanted.
    pub fn are_told(&self) -> bool {
        Attendant::are_done(self.house.attendants.lock().values())
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
}

impl Extension for Plugins {
    fn call(
        &self,
        command: PluginCommand,
        wake: Option<Wake<'_>>,
        caller: &Caller,
        argv: Argv<'_>,
        reply: &mut Writer,
        later: &mut dyn FnMut() -> Conclusion,
    ) -> Called {
        let Some((version, command)) = self.house.registry.resolve(command) else {
            reply.error(texts::COMMAND_GONE);
            return Called::Done;
        };
        let call = (caller, argv);
        calls::begin(version, command, wake, call, reply, later, &self.crew.overstay)
    }

    fn administer(
        &self,
        argv: Argv<'_>,
        reply: &mut Writer,
        later: &mut dyn FnMut() -> Completion,
    ) -> CallStatus {
        admin::run(&self.house, &self.crew, argv, reply, later)
    }

    fn client_left(&self, client: u64) {
        for lifeline in self.house.services.lifelines.cut(client) {
            self.house.tell_of_departure(lifeline);
        }
    }

    fn info(&self, out: &mut String) {
        report::section(&self.house.registry.all(), out);
    }

    fn of_tenant(
        &self,
        tenant: &str,
        backend: Arc<dyn Backend>,
        quotas: PluginQuotas,
    ) -> Option<Arc<dyn Extension>> {
        let plugins = Self::new(Arc::clone(&self.crew), backend, tenant);
        plugins.set_quotas(quotas);
        Some(Arc::new(plugins))
    }

    fn set_quotas(&self, quotas: PluginQuotas) {
        self.house.services.allowance.set(quotas);
    }

    fn kept(&self) -> Vec<Vec<u8>> {
        let versions = self.house.registry.all();
        versions.iter().flat_map(|version| notice::all_of(version)).collect()
    }

    fn restore(&self, notices: Vec<Vec<u8>>) {
        let house = Arc::clone(&self.house);
        self.crew.loader.submit_patiently(move || house.restore(&notices));
    }

    fn heed(&self, notice: &[u8]) {
        let (house, notice) = (Arc::clone(&self.house), notice.to_vec());
        self.crew.loader.submit_patiently(move || house.heed(&notice));
    }

    fn settle(&self) {
        // The loader does one thing after the other.
        let _ = self.crew.loader.run(|| Ok(()));
    }
}
