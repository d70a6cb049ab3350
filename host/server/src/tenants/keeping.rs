//! Tenants as data: what a snapshot has in its header, and what the log and replicas are told.
//!
//! A notice is a command that has the same effect anywhere and at any time: `TENANT KEEP` describes a
//! tenant completely, `TENANT PLUGIN` brings a notice of its plugins, `TENANT DROP` ends it.

use std::sync::Arc;

use reef_engine::acl;
use reef_engine::tenancy::{Quota, TENANT_DATABASES, TENANT_DATABASES_FIRST};
use reef_resp::{Argv, Decoder, Limits, Progress};

use super::{Tenancy, Tenant};
use crate::notices::command;
use crate::server::Shared;

/// Whether a database is a tenant's.
pub(crate) fn is_tenants(database: u32) -> bool {
    database >= TENANT_DATABASES_FIRST
}

/// What a notice says.
enum Notice {
    Keep { tenancy: Tenancy, users: Vec<String> },
    Plugin { tenant: String, notice: Vec<u8> },
    Drop { tenant: String },
}

impl Shared {
    /// What a snapshot keeps of tenants.
    pub(crate) fn tenant_notices(&self) -> Vec<Vec<u8>> {
        let mut notices = Vec::new();
        for tenant in self.tenants.all().iter() {
            notices.push(tenant.description());
            let kept = tenant.extension.get().map(|extension| extension.kept());
            let kept = kept.unwrap_or_default().into_iter();
            notices.extend(kept.map(|notice| of_plugin(tenant.name(), &notice)));
        }
        notices
    }

    /// Tells those who copy the data what a tenant is now. Nobody comes or goes meanwhile.
    pub(super) fn tell_tenant(&self, tenant: &Tenant) {
        self.store.tell_notice(&tenant.description());
    }

    /// Takes what a log or a primary said of tenants.
    pub(crate) fn heed_tenants(&self, notice: &[u8]) {
        match read(notice) {
            Ok(Notice::Plugin { tenant, notice }) => {
                let tenant = self.tenants.named(&tenant);
                if let Some(extension) = tenant.as_ref().and_then(|t| t.extension.get()) {
                    extension.heed(&notice);
                }
            }
            Ok(Notice::Drop { tenant }) => {
                // One that never came need not go.
                self.end_tenant(&tenant);
                self.relay_notice(notice);
            }
            Ok(Notice::Keep { tenancy, users }) => {
                self.keep_tenant(tenancy, users);
                if !self.loading.is_on() {
                    self.settle_notices_later();
                }
                self.relay_notice(notice);
            }
            Err(error) => tracing::error!("what is said of a tenant is not understood: {error}"),
        }
    }

    /// A replica's own log keeps what the primary said.
    fn relay_notice(&self, notice: &[u8]) {
        if self.replication.is_replica() && !self.loading.is_on() {
            self.store.log_notice(notice);
        }
    }

    /// Takes what the header of a snapshot has of a tenant, before its data comes. Its users and plugins
    /// follow when all of the snapshot is there.
    pub(crate) fn restore_tenant(&self, notice: &[u8]) {
        if let Ok(Notice::Keep { tenancy, users }) = read(notice) {
            self.keep_tenant(tenancy, users);
        }
    }

    /// Takes the plugins of tenants that a snapshot has, as all that there are.
    pub(crate) fn restore_tenants_plugins<'n>(&self, notices: impl Iterator<Item = &'n [u8]>) {
        let plugins: Vec<(String, Vec<u8>)> = notices
            .filter_map(|notice| match read(notice) {
                Ok(Notice::Plugin { tenant, notice }) => Some((tenant, notice)),
                _ => None,
            })
            .collect();
        for tenant in self.tenants.all().iter() {
            let own = plugins.iter().filter(|(name, _)| name == tenant.name());
            if let Some(extension) = tenant.extension.get() {
                extension.restore(own.map(|(_, notice)| notice.clone()).collect());
            }
        }
    }

    /// Takes the users of all tenants that were kept, now that their plugins are there.
    pub(crate) fn restore_tenants_users(&self) {
        self.tenants.all().iter().for_each(|tenant| tenant.take_kept_users());
    }

    /// Makes a tenant what it is said to be; gives it.
    fn keep_tenant(&self, tenancy: Tenancy, users: Vec<String>) -> Arc<Tenant> {
        let _stay = self.tenants.stay();
        let known = self.tenants.named(&tenancy.name);
        let known = known.filter(|known| known.first_database() == tenancy.first_database);
        let tenant = match known {
            Some(tenant) => {
                for quota in Quota::ALL {
                    tenant.set_limit(quota, tenancy.limit(quota));
                }
                tenant.follow(&self.store.rules().settings);
                tenant
            }
            None => {
                let tenant = Tenant::new(self, tenancy);
                self.tenants.insert(tenant.clone());
                tenant
            }
        };
        *tenant.kept_users.lock() = users;
        tenant
    }
}

impl Tenant {
    /// The notice that describes it.
    fn description(&self) -> Vec<u8> {
        let first = self.first_database().to_string();
        let mut words: Vec<Vec<u8>> =
            ["TENANT", "KEEP", self.name(), &first].map(|word| word.as_bytes().to_vec()).into();
        for quota in Quota::ALL {
            if let Some(limit) = self.limit(quota) {
                words.push(b"LIMIT".to_vec());
                words.push(quota.name().into());
                words.push(limit.to_string().into_bytes());
            }
        }
        for line in self.store.users.lock().texts() {
            words.push(b"USER".to_vec());
            words.push(line.into_bytes());
        }
        command(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn take_kept_users(&self) {
        let lines = std::mem::take(&mut *self.kept_users.lock());
        if lines.is_empty() {
            return;
        }
        let content: String = lines.iter().map(|line| format!("user {line}\n")).collect();
        let registry = self.store.registry();
        let mut directory = self.store.users.lock();
        match acl::parse_file(content.as_bytes(), self.name(), directory.policy(), &registry) {
            Ok(users) => drop(directory.replace(users, &registry)),
            Err(error) => {
                tracing::error!("the users of tenant {} cannot be kept: {error}", self.name());
            }
        }
    }
}

/// The notice that a tenant's plugins have this notice.
pub(crate) fn of_plugin(tenant: &str, notice: &[u8]) -> Vec<u8> {
    command(&[b"TENANT", b"PLUGIN", tenant.as_bytes(), notice])
}

/// The notice that a tenant is gone.
pub(super) fn of_end(tenant: &str) -> Vec<u8> {
    command(&[b"TENANT", b"DROP", tenant.as_bytes()])
}

/// What a notice says of whose databases are whose: a tenant, and where its databases begin, or none if it
/// is gone.
pub(crate) fn ownership(notice: &[u8]) -> Option<(String, Option<u32>)> {
    match read(notice).ok()? {
        Notice::Keep { tenancy, .. } => {
            Some((tenancy.name.to_string(), Some(tenancy.first_database)))
        }
        Notice::Drop { tenant } => Some((tenant, None)),
        Notice::Plugin { .. } => None,
    }
}

fn read(notice: &[u8]) -> Result<Notice, String> {
    let limits = Limits { bulk_bytes_max: i64::MAX / 2, authenticated: true };
    let mut decoder = Decoder::new();
    match decoder.decode(notice, &limits) {
        Ok(Progress::Command { used }) if used == notice.len() => understand(decoder.argv(notice)),
        _ => Err("it is no command".to_owned()),
    }
}

fn understand(argv: Argv<'_>) -> Result<Notice, String> {
    let text = |at: usize| String::from_utf8_lossy(argv.get(at)).into_owned();
    match (argv.get(1), argv.len()) {
        (b"PLUGIN", 4) => Ok(Notice::Plugin { tenant: text(2), notice: argv.get(3).to_vec() }),
        (b"DROP", 3) => Ok(Notice::Drop { tenant: text(2) }),
        (b"KEEP", 4..) => {
            let first = text(3).parse().map_err(|_| "its databases have no number")?;
            if !is_tenants(first) || first % TENANT_DATABASES != 0 {
                return Err(format!("no tenant's databases begin at {first}"));
            }
            let tenancy = Tenancy::new(&text(2), first);
            let users = understand_details(argv, &tenancy)?;
            Ok(Notice::Keep { tenancy, users })
        }
        _ => Err(format!("'{}' is not known", text(1))),
    }
}

/// Sets the limits of a description; gives its users.
fn understand_details(argv: Argv<'_>, tenancy: &Tenancy) -> Result<Vec<String>, String> {
    let mut users = Vec::new();
    let mut at = 4;
    while at < argv.len() {
        match argv.get(at) {
            b"LIMIT" => {
                let quota = Quota::named(argv.get(at + 1)).ok_or("a quota is not known")?;
                let limit = std::str::from_utf8(argv.get(at + 2)).ok();
                let limit =
                    limit.and_then(|text| text.parse().ok()).ok_or("a limit is no number")?;
                tenancy.set_limit(quota, Some(limit));
                at += 3;
            }
            b"USER" => {
                users.push(String::from_utf8_lossy(argv.get(at + 1)).into_owned());
                at += 2;
            }
            _ => return Err("a word is not known".to_owned()),
        }
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_notice_is_refused() {
        assert!(matches!(read(&of_end("a")), Ok(Notice::Drop { tenant }) if tenant == "a"));
        let plugin = of_plugin("a", b"\r\n*1");
        assert!(matches!(read(&plugin), Ok(Notice::Plugin { notice, .. }) if notice == b"\r\n*1"));
        for cut in 0..plugin.len() {
            assert!(read(&plugin[..cut]).is_err(), "cut at {cut}");
        }
        let keep = |words: &[&str]| {
            let words = [&["TENANT", "KEEP", "a"], words].concat();
            read(&command(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>()))
        };
        let full = ["1048592", "LIMIT", "memory", "5", "USER", "default on nopass", "USER", "x"];
        let Ok(Notice::Keep { tenancy, users }) = keep(&full) else { panic!("it is refused") };
        assert_eq!((tenancy.first_database, tenancy.limit(Quota::Memory)), (1_048_592, Some(5)));
        assert_eq!(users, ["default on nopass", "x"]);
        for words in [
            &["0"][..],
            &["1048577"],
            &["x"],
            &["1048576", "LIMIT", "fuel", "1"],
            &["1048576", "LIMIT", "memory", "x"],
            &["1048576", "OTHER"],
        ] {
            assert!(keep(words).is_err(), "{words:?}");
        }
    }
}
