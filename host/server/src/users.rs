//! Users of the store: where they come from when the server starts, and what a new connection
//! begins as.

use std::path::Path;
use std::sync::Arc;

use reef_engine::acl::{self, Account};

use crate::store::Store;
use crate::users_file;

impl Store {
    /// Takes over a user of the configuration. To be called when the plugins are loaded, whose
    /// commands rules may name. The error is a sentence.
    pub fn configure_user(&self, name: &[u8], rules: &[Vec<u8>]) -> Result<(), String> {
        let registry = self.registry();
        let mut directory = self.users.lock();
        directory.set_configured(name, rules, &registry)?;
        if let Some(account) = directory.get(name).filter(|account| !account.user().is_enabled()) {
            tracing::info!("user '{}' is disabled: no rule says 'on'", account.shown());
        }
        Ok(())
    }

    /// Puts the users of a file in the place of those there are. The error is a sentence.
    pub fn load_users(&self, file: &Path) -> Result<(), String> {
        let (name, content) = users_file::read(file).map_err(|error| error.message())?;
        let registry = self.registry();
        let mut directory = self.users.lock();
        let users = acl::parse_file(&content, &name, directory.policy(), &registry)?;
        directory.replace(users, &registry);
        Ok(())
    }

    /// What a new connection begins as.
    pub(crate) fn default_account(&self) -> Arc<Account> {
        self.users.lock().default_account().clone()
    }

    /// Whether who begins as the default user needs a password.
    pub(crate) fn has_password(&self) -> bool {
        !self.users.lock().default_account().user().needs_no_password()
    }
}
