//! A running Reef: the keyspace, the plugin runtime above it, and the server in front of both.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reef_http::Door;
use reef_runtime::{GrantRequest, LoadRequest, Mode, Plugins, Runtime, Source};
use reef_server::{Server, ServerError, Stopper, Store};

use crate::config::Config;
use crate::config::pipeline::PipelineFile;
use crate::directives::{self, Directives};
use crate::plugin_folder::PluginFolder;
use crate::write_behind::link::Link;
use crate::write_behind::supervisor::Supervisor;
use crate::write_behind::{self, LocalLink};

/// A running Reef. Dropping it stops it.
pub struct Reef {
    /// Closed before the server ends.
    door: Option<Door>,
    // Before the server, whose keyspace they use.
    pipelines: Vec<Supervisor>,
    server: Server,
    plugins: Arc<Plugins>,
    /// Watched as long as this is there.
    _folder: Option<PluginFolder>,
}

/// Why Reef could not start, in one sentence.
#[derive(Debug)]
pub enum StartError {
    /// The server.
    Server(ServerError),
    /// The plugin runtime.
    Runtime(reef_runtime::StartError),
    /// A plugin.
    Plugin {
        /// Its name.
        name: String,
        /// Why it was refused.
        reason: String,
    },
    /// A write-behind pipeline: what is wrong with it, in a sentence.
    Pipeline(String),
    /// A tenant.
    Tenant {
        /// Its name.
        name: String,
        /// Why it cannot be had.
        reason: String,
    },
    /// The users, in one sentence.
    Users(String),
    /// The port for HTTP.
    Http(std::io::Error),
    /// The operating system gives no random numbers.
    Randomness(getrandom::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => error.fmt(f),
            Self::Runtime(error) => write!(f, "the plugin runtime cannot start: {error}"),
            Self::Plugin { name, reason } => {
                write!(f, "plugin '{name}' cannot be loaded: {reason}")
            }
            Self::Tenant { name, reason } => {
                write!(f, "tenant '{name}' cannot be had: {reason}")
            }
            Self::Http(error) => write!(f, "cannot listen for HTTP: {error}"),
            Self::Pipeline(reason) => write!(f, "write-behind cannot start: {reason}"),
            Self::Users(reason) => write!(f, "the users cannot be loaded: {reason}"),
            Self::Randomness(error) => write!(f, "the system has no random numbers: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<ServerError> for StartError {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

impl Reef {
    /// Starts everything that the configuration asks for, with the bundled plugins.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let seed = getrandom::u64().map_err(StartError::Randomness)?;
        let store = Store::new(seed, directives::shards(&config), directives::settings(&config));
        let runtime = Runtime::new(&runtime_options()).map_err(StartError::Runtime)?;
        let plugins = runtime.plugins(store.clone());
        if let Some(error) = runtime.code_cache_error() {
            tracing::warn!("compiled plugins are not kept, so starts take longer: {error}");
        }
        let files = pipeline_files(&config)?;
        load_plugins(&plugins, &config, &files)?;
        // Before anybody is served: it takes its time.
        let prepared = files.iter().map(|file| write_behind::prepare(file, &runtime));
        let prepared: Vec<_> = prepared.collect::<Result<_, _>>().map_err(StartError::Pipeline)?;
        let folder = watch_folder(&plugins, &config)?;
        load_users(&store, &config).map_err(StartError::Users)?;
        let options = directives::options(&config);
        let tenants = config.tenants().to_vec();
        let http = directives::http(&config);
        let configuration = Arc::new(Directives::new(config));
        let mut server = Server::start(
            store.clone(),
            options,
            Some(plugins.clone()),
            Some(configuration),
            getrandom::u64().map_err(StartError::Randomness)?,
        )?;
        // Who starts servers and reads their logs looks for both, in this order.
        tracing::info!("Running with PID: {}", std::process::id());
        tracing::info!("Server initialized");
        server.load_and(|server| {
            directives::tenants(&tenants).into_iter().try_for_each(|(name, terms)| {
                let configured = server.configure_tenant(&name, &terms);
                configured.map_err(|reason| StartError::Tenant { name, reason })
            })
        })?;
        let door = match http {
            Some(settings) => {
                let door = Door::open(settings, Arc::new(server.entrance()));
                let door = door.map_err(StartError::Http)?;
                tracing::info!("Taking commands over HTTP at port {}", door.port());
                Some(door)
            }
            None => None,
        };
        let pipelines = prepared.into_iter().zip(&files).map(|(prepared, file)| {
            let (store, plugins, database) = (store.clone(), plugins.clone(), file.redis.db);
            let open = move || -> Box<dyn Link> {
                Box::new(LocalLink::new(store.clone(), plugins.clone(), database))
            };
            write_behind::start(prepared, Arc::new(open)).map_err(StartError::Pipeline)
        });
        let pipelines = pipelines.collect::<Result<_, _>>()?;
        Ok(Self { door, pipelines, server, plugins, _folder: folder })
    }

    /// The port where commands are taken over HTTP, if they are.
    pub fn http_port(&self) -> Option<u16> {
        self.door.as_ref().map(Door::port)
    }

    /// The TCP port it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The plugins of the default tenant.
    pub fn plugins(&self) -> &Arc<Plugins> {
        &self.plugins
    }

    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        self.server.stopper()
    }

    /// Waits until everything that its pipelines had to carry is in their databases; whether that came
    /// to pass within this time.
    pub fn wait_until_carried(&self, longest: Duration) -> bool {
        self.pipelines.iter().all(|pipeline| pipeline.wait_until_drained(longest))
    }

    /// Waits until it has stopped.
    pub fn join(self) {
        let Self { door, server, .. } = self;
        server.join();
        drop(door);
    }
}

/// How the plugin runtime is set up.
pub(crate) fn runtime_options() -> reef_runtime::Options {
    let bundled = reef_bundled::all().iter().map(|plugin| (plugin.name, plugin.component));
    reef_runtime::Options {
        cache_dir: code_cache_dir(),
        bundled: bundled.collect(),
        ..Default::default()
    }
}

/// Compiled code is kept where the user's caches are, or beside the data.
fn code_cache_dir() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("reef").join("code"))
}

/// Users may be allowed plugins' commands, so the plugins must be there.
fn load_users(store: &Store, config: &Config) -> Result<(), String> {
    for user in config.users() {
        store
            .configure_user(&user.name, &user.rules)
            .map_err(|error| format!("{}: {error}", user.origin))?;
    }
    directives::users_file(config).map_or(Ok(()), |file| store.load_users(&file))
}

/// The budgets of plugins that the operator brings along.
fn plugin_limits(config: &Config) -> Vec<(String, String)> {
    let budget = config.plugin_budget();
    vec![
        ("cpu-ms".to_owned(), budget.cpu.as_millis().to_string()),
        ("memory".to_owned(), budget.memory_bytes.to_string()),
        ("host-calls".to_owned(), budget.host_calls.to_string()),
        ("bytes".to_owned(), budget.bytes.to_string()),
    ]
}

/// Watches the folder of plugins, if there is one.
fn watch_folder(
    plugins: &Arc<Plugins>,
    config: &Config,
) -> Result<Option<PluginFolder>, StartError> {
    let Some(folder) = config.plugin_dir() else { return Ok(None) };
    let limits = plugin_limits(config);
    let folder = PluginFolder::watch(plugins.clone(), folder, limits);
    folder.map(Some).map_err(|error| StartError::Runtime(error.into()))
}

/// The files of the pipelines.
fn pipeline_files(config: &Config) -> Result<Vec<PipelineFile>, StartError> {
    let files = config.pipelines().iter().map(|path| PipelineFile::load(path));
    files.collect::<Result<_, _>>().map_err(StartError::Pipeline)
}

fn load_plugins(
    plugins: &Plugins,
    config: &Config,
    files: &[PipelineFile],
) -> Result<(), StartError> {
    let limits = plugin_limits(config);
    let of_pipelines = write_behind::plugin::settings(files).map_err(StartError::Pipeline)?;
    let bundled = reef_bundled::all().iter().map(|plugin| LoadRequest {
        grants: GrantRequest::AllWanted,
        limits: limits.clone(),
        config: (plugin.name == write_behind::plugin::NAME).then(|| of_pipelines.clone()),
        ..LoadRequest::new(plugin.name, Source::Bundled)
    });
    // An operator who names a plugin in the configuration trusts it with what it wants.
    let configured = config.plugins().iter().map(|plugin| LoadRequest {
        mode: Mode::NewOrReplace,
        grants: GrantRequest::AllWanted,
        config: Some(plugin.settings.clone()),
        limits: limits.clone(),
        ..LoadRequest::new(&plugin.name, source(&plugin.path))
    });
    for request in bundled.chain(configured) {
        let name = request.name.clone();
        let summary = plugins
            .load(request)
            .map_err(|error| StartError::Plugin { name, reason: error.to_string() })?;
        tracing::info!("plugin {} {} loaded", summary.name, summary.version);
    }
    Ok(())
}

/// Where a plugin's component is: a file, or, called `bundled`, the one that came with the server.
fn source(path: &Path) -> Source {
    if path.as_os_str() == "bundled" { Source::Bundled } else { Source::Path(path.to_owned()) }
}
