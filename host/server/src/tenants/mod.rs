//! Tenants: who shares the server without sharing anything else.
//!
//! Each has an engine, users, subscriptions and plugins of its own; what all have in common are workers,
//! connections, the log and the stream. A connection belongs to the operator until it says a tenant's
//! password, and to that tenant from then on.
//!
//! - `tenancy.rs`: what makes an engine a tenant's: its name, its quotas;
//! - `tenant.rs`: one tenant with all that it has;
//! - `information.rs`: INFO as a tenant sees it;
//! - `requests.rs`: TENANT, and how a connection enters;
//! - `engines.rs`: what is done with the data of all at once;
//! - `route.rs`: whose engine a command of the log, or of a primary, is for;
//! - `keeping.rs`: tenants as data.
//!
//! Invariants: a command reaches the engine of its connection's tenant and no other; who has no limit
//! pays nothing for limits; tenants come and go under one lock, which is taken before any shard.

mod engines;
mod information;
mod keeping;
mod requests;
mod route;
mod tenancy;
mod tenant;

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use reef_engine::tenancy::{TENANT_DATABASES, TENANT_DATABASES_FIRST};

pub(crate) use engines::{Held, begin_copying};
pub(crate) use keeping::{is_tenants, of_plugin, ownership};
pub use requests::TenantTerms;
pub(crate) use route::{Route, selected};
pub(crate) use tenancy::Tenancy;
pub(crate) use tenant::Tenant;

/// All tenants but the operator, in the order in which their databases are numbered.
#[derive(Default)]
pub(crate) struct Tenants {
    all: ArcSwap<Vec<Arc<Tenant>>>,
    changes: Mutex<()>,
}

impl Tenants {
    /// All of them.
    pub(crate) fn all(&self) -> arc_swap::Guard<Arc<Vec<Arc<Tenant>>>> {
        self.all.load()
    }

    /// The tenant of this name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Tenant>> {
        self.all().iter().find(|tenant| tenant.name() == name).cloned()
    }

    /// The tenant that a database belongs to.
    pub(crate) fn of_database(&self, number: u32) -> Option<Arc<Tenant>> {
        let first = number - number % TENANT_DATABASES;
        let all = self.all();
        let at = all.binary_search_by_key(&first, |tenant| tenant.first_database()).ok()?;
        all.get(at).cloned()
    }

    /// Lets nobody come or go until what is given is dropped.
    pub(crate) fn stay(&self) -> MutexGuard<'_, ()> {
        self.changes.lock()
    }

    /// The same if nobody comes or goes just now, nor looks at all of them: for who holds shards, and may
    /// not wait.
    pub(crate) fn try_stay(&self) -> Option<MutexGuard<'_, ()>> {
        self.changes.try_lock()
    }

    /// A number for a new tenant's first database. Nobody comes or goes meanwhile.
    fn free_database(&self) -> u32 {
        let last = self.all().last().map(|tenant| tenant.first_database());
        last.map_or(TENANT_DATABASES_FIRST, |last| last + TENANT_DATABASES)
    }

    fn insert(&self, tenant: Arc<Tenant>) {
        let mut all = Vec::clone(&self.all());
        let place = all.partition_point(|other| other.first_database() < tenant.first_database());
        all.insert(place, tenant);
        self.all.store(Arc::new(all));
    }

    fn remove(&self, name: &str) -> Option<Arc<Tenant>> {
        let mut all = Vec::clone(&self.all());
        let place = all.iter().position(|tenant| tenant.name() == name)?;
        let tenant = all.remove(place);
        self.all.store(Arc::new(all));
        Some(tenant)
    }
}
