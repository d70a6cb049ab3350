//! TENANT, for the operator; and how a connection enters a tenant.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reef_engine::acl::Account;
use reef_engine::error::Error;
use reef_engine::tenancy::{Quota, TENANT_DATABASES};
use reef_resp::{Argv, Writer};

use super::keeping::of_end;
use super::{Tenancy, Tenant};
use crate::server::Shared;
use crate::surroundings::WorkerHost;

/// Tenants that one server has.
const TENANTS_MAX: usize = 100_000;
/// Bytes of a tenant's name.
const NAME_BYTES_MAX: usize = 64;
/// Between the names of a tenant and of its user.
const SEPARATOR: u8 = b'/';

/// What a tenant is to be: what CREATE, SET and the configuration say.
#[derive(Clone, Debug, Default)]
pub struct TenantTerms {
    /// The password of its user `default`, if that is to be another.
    pub password: Option<Vec<u8>>,
    /// Quotas that are to be others; `None`: no limit.
    pub limits: Vec<(Quota, Option<u64>)>,
}

impl Shared {
    /// Runs a `TENANT` command.
    pub(crate) fn administer_tenants(
        &self,
        argv: Argv<'_>,
        reply: &mut Writer,
    ) -> Result<(), Error> {
        let is_change =
            matches!(argv.get(1).to_ascii_lowercase().as_slice(), b"create" | b"set" | b"drop");
        if is_change && self.replication.is_replica() {
            return Err(Error::READONLY_REPLICA);
        }
        match argv.get(1).to_ascii_lowercase().as_slice() {
            b"create" => self.create_tenant(name_of(argv)?, &terms(argv)?)?,
            b"set" => self.set_tenant(name_of(argv)?, &terms(argv)?)?,
            b"drop" => {
                let name = name_of(argv)?;
                if self.end_tenant(name).is_none() {
                    return Err(Error::unknown_tenant(name));
                }
                self.store.tell_notice(&of_end(name));
            }
            b"info" => {
                let name = name_of(argv)?;
                let tenant = self.tenants.named(name).ok_or_else(|| Error::unknown_tenant(name))?;
                tenant.describe(reply);
                return Ok(());
            }
            _ => {
                let all = self.tenants.all();
                reply.array(all.len());
                all.iter().for_each(|tenant| reply.bulk(tenant.name().as_bytes()));
                return Ok(());
            }
        }
        reply.ok();
        Ok(())
    }

    /// Makes a tenant what the configuration says, unless a primary decides on that.
    pub(crate) fn configure_tenant(&self, name: &str, terms: &TenantTerms) -> Result<(), Error> {
        match self.tenants.named(name) {
            _ if self.replication.is_replica() => Ok(()),
            Some(_) => self.set_tenant(name, terms),
            None => self.create_tenant(name, terms),
        }
    }

    fn create_tenant(&self, name: &str, terms: &TenantTerms) -> Result<(), Error> {
        let is_user = self.store.users.lock().get(name.as_bytes()).is_some();
        if is_user {
            return Err(Error::tenant_is_user(name));
        }
        if self.replication.stream.has_foreign_replicas() {
            return Err(Error::FOREIGN_REPLICAS);
        }
        let _stay = self.tenants.stay();
        if self.tenants.named(name).is_some() {
            return Err(Error::tenant_exists(name));
        }
        if self.tenants.all().len() >= TENANTS_MAX {
            return Err(Error::too_many_tenants(TENANTS_MAX));
        }
        let tenancy = Tenancy::new(name, self.tenants.free_database());
        for (quota, limit) in &terms.limits {
            tenancy.set_limit(*quota, *limit);
        }
        let tenant = Tenant::new(self, tenancy);
        tenant.set_password(terms);
        self.tenants.insert(tenant.clone());
        self.tell_tenant(&tenant);
        Ok(())
    }

    fn set_tenant(&self, name: &str, terms: &TenantTerms) -> Result<(), Error> {
        let _stay = self.tenants.stay();
        let tenant = self.tenants.named(name).ok_or_else(|| Error::unknown_tenant(name))?;
        for (quota, limit) in &terms.limits {
            tenant.set_limit(*quota, *limit);
        }
        tenant.set_password(terms);
        tenant.follow(&self.store.rules().settings);
        self.tell_tenant(&tenant);
        Ok(())
    }

    /// Ends a tenant with its connections, data and plugins; gives it, if there was one.
    pub(crate) fn end_tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        let _stay = self.tenants.stay();
        let tenant = self.tenants.remove(name)?;
        if let Some(tenancy) = tenant.store.tenancy() {
            tenancy.end();
        }
        // Who is about to take its shards sees that, and whoever has them is waited for below.
        self.store.begin_era();
        for card in self.post.clients.all() {
            if card.is_beside(Some(&tenant)) {
                self.dismiss(&card);
            }
        }
        tenant.store.empty();
        tenant.store.forget_bytes();
        if let Some(extension) = tenant.extension.get() {
            extension.restore(Vec::new());
        }
        Some(tenant)
    }

    /// A command of a tenant ran: if it may have changed the tenant's users, they are kept.
    #[inline]
    pub(crate) fn note_tenant_command(&self, tenant: &Tenant, argv: Argv<'_>) {
        let name = argv.get(0);
        if name.eq_ignore_ascii_case(b"ACL") || name.eq_ignore_ascii_case(b"EXEC") {
            // Most transactions change no user.
            let changes = tenant.store.users.lock().changes();
            if tenant.told_changes.swap(changes, Ordering::AcqRel) != changes {
                self.tell_users(tenant);
            }
        }
    }

    #[cold]
    fn tell_users(&self, tenant: &Tenant) {
        if self.replication.is_replica() {
            return;
        }
        let _stay = self.tenants.stay();
        let is_there = self.tenants.named(tenant.name());
        if is_there.is_some_and(|there| Arc::ptr_eq(&there.store, &tenant.store)) {
            self.tell_tenant(tenant);
        }
    }
}

impl WorkerHost<'_> {
    /// Lets the client enter a tenant as this user, if the password is right.
    pub(crate) fn enter(
        &mut self,
        name: &[u8],
        password: &[u8],
        is_tied: bool,
    ) -> Result<Option<Arc<Account>>, Error> {
        let mut parts = name.splitn(2, |byte| *byte == SEPARATOR);
        let (tenant, user) = (parts.next().unwrap_or_default(), parts.next());
        let user = user.unwrap_or(b"default");
        let Ok(tenant) = std::str::from_utf8(tenant) else { return Ok(None) };
        // Within a tenant its own name may stand there too, because clients say the same again.
        if let Some(own) = self.tenant {
            let account = own.store.users.lock().get(user).cloned();
            return Ok(account.filter(|a| own.name() == tenant && a.user().accepts(password)));
        }
        let Some(tenant) = self.shared.tenants.named(tenant) else { return Ok(None) };
        let account = tenant.store.users.lock().get(user).cloned();
        let Some(account) = account.filter(|account| account.user().accepts(password)) else {
            return Ok(None);
        };
        if is_tied {
            return Err(Error::TENANT_LATE);
        }
        tenant.admit()?;
        let is_new = self.card().is_some_and(|card| card.tenant.set(tenant.clone()).is_ok());
        if !is_new {
            // Its connection is being closed.
            tenant.leave();
            return Ok(None);
        }
        Ok(Some(account))
    }
}

impl Tenant {
    fn set_password(&self, terms: &TenantTerms) {
        if let Some(password) = &terms.password {
            self.store.users.lock().set_default_password(password);
        }
    }

    pub(super) fn set_limit(&self, quota: Quota, limit: Option<u64>) {
        if let Some(tenancy) = self.store.tenancy() {
            tenancy.set_limit(quota, limit);
        }
    }

    /// Says everything about it, as names and values.
    fn describe(&self, reply: &mut Writer) {
        let (commands, refused) = self.counts();
        let figures = [
            ("first-database", u64::from(self.first_database())),
            ("databases", u64::from(TENANT_DATABASES)),
            ("keys", self.store.len() as u64),
            ("used-memory", self.store.data_bytes() as u64),
            ("used-connections", self.connections()),
            ("users", self.store.users.lock().iter().len() as u64),
            ("commands", commands),
            ("refused-over-quota", refused),
        ];
        reply.map(1 + figures.len() + Quota::ALL.len());
        reply.bulk(b"name");
        reply.bulk(self.name().as_bytes());
        for (name, value) in figures {
            reply.bulk(name.as_bytes());
            reply.integer(value as i64);
        }
        for quota in Quota::ALL {
            reply.bulk(format!("limit-{}", quota.name()).as_bytes());
            match self.limit(quota) {
                Some(limit) => reply.integer(limit as i64),
                None => reply.nil(),
            }
        }
    }
}

fn name_of<'a>(argv: Argv<'a>) -> Result<&'a str, Error> {
    let name = argv.get(2);
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.iter().all(is_fit);
    let name = std::str::from_utf8(name).ok().filter(|_| is_name);
    name.ok_or(Error::TENANT_NAME)
}

/// Reads what stands behind the name.
fn terms(argv: Argv<'_>) -> Result<TenantTerms, Error> {
    let mut terms = TenantTerms::default();
    let mut at = 3;
    while at < argv.len() {
        let word = argv.get(at);
        if word.eq_ignore_ascii_case(b"PASSWORD") && at + 1 < argv.len() {
            if argv.get(at + 1).is_empty() {
                return Err(Error::TENANT_PASSWORD);
            }
            terms.password = Some(argv.get(at + 1).to_vec());
            at += 2;
        } else if word.eq_ignore_ascii_case(b"LIMIT") && at + 2 < argv.len() {
            at += 1;
            while at + 1 < argv.len() && !is_keyword(argv.get(at)) {
                terms.limits.push(limit(argv.get(at), argv.get(at + 1))?);
                at += 2;
            }
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(terms)
}

fn is_keyword(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"PASSWORD") || word.eq_ignore_ascii_case(b"LIMIT")
}

/// A quota and its limit: `none`, a number, or for bytes a number with the units of redis.conf.
fn limit(name: &[u8], amount: &[u8]) -> Result<(Quota, Option<u64>), Error> {
    let quota = Quota::named(name).ok_or_else(|| Error::unknown_quota(name))?;
    if amount.eq_ignore_ascii_case(b"none") {
        return Ok((quota, None));
    }
    let digits = amount.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = amount.split_at(digits);
    let factor = match unit.to_ascii_lowercase().as_slice() {
        b"" => Some(1),
        _ if !quota.is_bytes() => None,
        b"b" => Some(1),
        b"k" => Some(1000),
        b"kb" => Some(1 << 10),
        b"m" => Some(1_000_000),
        b"mb" => Some(1 << 20),
        b"g" => Some(1_000_000_000),
        b"gb" => Some(1 << 30),
        _ => None,
    };
    let number: Option<u64> = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    let limit = factor.zip(number).and_then(|(factor, number)| number.checked_mul(factor));
    let limit = limit.filter(|limit| i64::try_from(*limit).is_ok() && *limit > 0);
    let limit = limit.ok_or_else(|| Error::bad_quota(quota.name()))?;
    Ok((quota, Some(limit)))
}
