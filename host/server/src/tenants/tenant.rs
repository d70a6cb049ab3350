//! One tenant with all that it has.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use reef_engine::acl::Directory;
use reef_engine::backend::Extension;
use reef_engine::error::Error;
use reef_engine::settings::{Rules, Settings};
use reef_engine::tenancy::{Quota, TENANT_DATABASES, UsedUp};

use super::Tenancy;
use crate::post::Post;
use crate::server::Shared;
use crate::store::Store;
use crate::surroundings::next_random;

/// Shards of a tenant's engine where there are several workers.
const SHARDS_MAX: usize = 4;

/// A tenant.
pub(crate) struct Tenant {
    pub(crate) store: Arc<Store>,
    /// Who of its clients hears of what.
    pub(crate) post: Arc<Post>,
    /// Its plugins.
    pub(crate) extension: OnceLock<Arc<dyn Extension>>,
    connections: AtomicU64,
    /// Which changes of its users those who copy the data know of.
    pub(super) told_changes: AtomicU64,
    /// Its users as they were kept, until the plugins are there whose commands they name.
    pub(super) kept_users: Mutex<Vec<String>>,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenant").field(&self.name()).finish()
    }
}

impl Tenant {
    /// A tenant without data, whose user `default` has no password that would be right.
    pub(super) fn new(shared: &Shared, tenancy: Tenancy) -> Arc<Self> {
        let root = &shared.store;
        let mut seed = root.rules().hasher.hash(tenancy.name.as_bytes()) ^ crate::clock::now_us();
        let settings = settings_of(&root.rules().settings, &tenancy);
        let registry = root.copies.natives();
        let mut users = Directory::new(b"", settings.users, registry);
        // Nobody is let in before there is a password. The rule is Redis's own, so it is known.
        let _ = users.set_user(b"default", &[b"resetpass"], registry);
        let shards = root.shard_count().min(SHARDS_MAX);
        let rules = Rules::new(next_random(&mut seed), shards, settings);
        let rules = rules.numbered_from(tenancy.first_database);
        let name = tenancy.name.clone();
        let quotas = tenancy.plugin_quotas();
        let store = root.of_tenant(rules, users, tenancy);
        let post =
            Arc::new(shared.post.of_tenant(next_random(&mut seed), store.rules().audience()));
        store.set_post(post.clone());
        let tenant = Self {
            store: store.clone(),
            post,
            extension: OnceLock::new(),
            connections: AtomicU64::new(0),
            told_changes: AtomicU64::new(0),
            kept_users: Mutex::default(),
        };
        let root = shared.extension.get();
        if let Some(extension) = root.and_then(|root| root.of_tenant(&name, store, quotas)) {
            // The cell is new, so it is empty.
            let _ = tenant.extension.set(extension);
        }
        Arc::new(tenant)
    }

    pub(crate) fn name(&self) -> &str {
        self.tenancy().map_or("", |tenancy| &tenancy.name)
    }

    pub(crate) fn first_database(&self) -> u32 {
        self.tenancy().map_or(0, |tenancy| tenancy.first_database)
    }

    fn tenancy(&self) -> Option<&Tenancy> {
        self.store.tenancy()
    }

    /// The limit of a quota, if there is one.
    pub(crate) fn limit(&self, quota: Quota) -> Option<u64> {
        self.tenancy().and_then(|tenancy| tenancy.limit(quota))
    }

    /// Puts changed quotas, or changed settings of the operator's, into effect.
    pub(crate) fn follow(&self, settings: &Settings) {
        let Some(tenancy) = self.tenancy() else { return };
        self.store.set_settings(settings_of(settings, tenancy));
        if let Some(extension) = self.extension.get() {
            extension.set_quotas(tenancy.plugin_quotas());
        }
    }

    /// Counts a connection in, if one more may come.
    pub(super) fn admit(&self) -> Result<(), Error> {
        let limit = self.limit(Quota::Connections);
        let before = self.connections.fetch_add(1, Ordering::AcqRel);
        match limit.filter(|limit| before >= *limit) {
            None => Ok(()),
            Some(limit) => {
                self.leave();
                Err(Error::over_quota(UsedUp { quota: Quota::Connections, limit }))
            }
        }
    }

    /// Counts a connection out.
    pub(crate) fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::AcqRel);
    }

    /// Connections at present.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// Commands that came, and that were met by a quota that was used up.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.tenancy().map_or((0, 0), Tenancy::counts)
    }
}

/// The operator's settings as far as they hold for a tenant.
fn settings_of(root: &Settings, tenancy: &Tenancy) -> Settings {
    let mut settings = root.clone();
    settings.databases = TENANT_DATABASES;
    settings.password = Box::default();
    settings.debug_commands = false;
    settings.memory_quota = tenancy.memory_quota(settings.eviction.policy);
    settings.eviction.bytes_max = settings.memory_quota.map_or(0, |quota| quota.limit);
    settings
}
