//! Whose engine a command of the log, or of a primary, is for: the one whose database was selected
//! last.

use std::sync::Arc;

use reef_resp::{Argv, OwnedArgv};

use super::{Tenant, is_tenants};
use crate::server::Shared;
use crate::store::Store;

/// Follows what is selected.
#[derive(Default)]
pub(crate) struct Route {
    tenant: Option<Arc<Tenant>>,
}

impl Route {
    /// The engine for the next command.
    pub(crate) fn store<'a>(&'a self, shared: &'a Shared) -> &'a Arc<Store> {
        self.tenant.as_ref().map_or(&shared.store, |tenant| &tenant.store)
    }

    /// This database is selected. Gives its number within its engine; none if nobody has it.
    pub(crate) fn select(&mut self, shared: &Shared, database: u32) -> Option<u32> {
        if !is_tenants(database) {
            self.tenant = None;
            return Some(database);
        }
        let tenant = shared.tenants.of_database(database)?;
        let number = database - tenant.first_database();
        self.tenant = Some(tenant);
        Some(number)
    }

    /// Follows a command: if it selects a tenant's database, gives what the engine is to run instead.
    /// An error if nobody has that.
    pub(crate) fn follow(
        &mut self,
        shared: &Shared,
        argv: Argv<'_>,
    ) -> Result<Option<OwnedArgv>, String> {
        let Some(database) = selected(argv) else { return Ok(None) };
        let number = self.select(shared, database);
        let number = number.ok_or_else(|| format!("nobody has a database {database}"))?;
        let instead = || ["SELECT", &number.to_string()].into_iter().collect();
        Ok((number != database).then(instead))
    }
}

/// The database that a command selects.
pub(crate) fn selected(argv: Argv<'_>) -> Option<u32> {
    let is_select = argv.len() == 2 && argv.get(0).eq_ignore_ascii_case(b"SELECT");
    let number = || std::str::from_utf8(argv.get(1)).ok()?.parse().ok();
    is_select.then(number).flatten()
}
