//! Permissions at work: who a client is, what it may run just now, and what becomes known of a
//! refusal. The rules themselves are a matter of [`acl`](crate::acl).

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use reef_resp::{Argv, Protocol, Writer};

use crate::acl::{Account, Denial, Need, Reason, Refusal};
use crate::clock::Millis;
use crate::error::Error;
use crate::gates;
use crate::host::Host;
use crate::registry::CommandRef;
use crate::session::Session;
use crate::step::Cx;

/// Counts and logs a command that was refused before it ran.
pub fn note_denial(
    command: &CommandRef,
    denial: Denial,
    argv: Argv<'_>,
    session: &Session,
    reply: &Writer,
    host: &mut dyn Host,
) {
    let user = match session.account() {
        Some(account) => account.name().to_vec(),
        None => session.user.as_bytes().to_vec(),
    };
    let object = denial.object(command, argv);
    let running = command.full_name();
    note(Noted { reason: denial.reason, object, user }, &running, session, reply.protocol(), host);
}

/// What was refused to whom.
struct Noted {
    reason: Reason,
    object: Vec<u8>,
    user: Vec<u8>,
}

fn note(noted: Noted, running: &str, session: &Session, protocol: Protocol, host: &mut dyn Host) {
    let Noted { reason, object, user } = noted;
    let running = if session.executing { "exec" } else { running };
    let mut client = host.client(session.id).unwrap_or_default();
    client.refresh(session, running, if protocol == Protocol::Resp3 { 3 } else { 2 });
    let in_transaction = session.executing || session.transaction().is_some();
    let now = Millis::new(host.now_us() / 1000);
    let client = format!("{client}");
    host.users().note(Refusal { reason, in_transaction, object, user, client }, now);
}

impl Cx<'_> {
    /// Whether the user, as it is by now, may run a command with these arguments. If not it is
    /// logged.
    pub fn permit(&mut self, command: &CommandRef, argv: Argv<'_>) -> Result<(), Denial> {
        if self.session.is_outdated() {
            self.host.users().renew(self.session);
        }
        if !self.session.is_limited() {
            return Ok(());
        }
        let checked = gates::permit(command, argv, self.session);
        checked.inspect_err(|denial| {
            note_denial(command, *denial, argv, self.session, self.reply, self.host);
        })
    }

    /// Whether the user may run a command that also reads keys which its arguments do not name.
    pub fn may_read_all_keys(&self, argv: Argv<'_>) -> bool {
        let Some(account) = self.session.account().filter(|_| self.session.is_limited()) else {
            return true;
        };
        let Ok(Some(command)) = self.registry.resolve(argv) else { return false };
        account.user().allow_with_all_keys(&command, argv, Need::READ)
    }

    /// Whether the user may use all keys that begin with one of these, for a command that does not
    /// name them.
    pub fn may_use_prefixes(
        &self,
        argv: Argv<'_>,
        prefixes: &[alloc::boxed::Box<[u8]>],
        need: Need,
    ) -> bool {
        let Some(account) = self.session.account().filter(|_| self.session.is_limited()) else {
            return true;
        };
        let Ok(Some(command)) = self.registry.resolve(argv) else { return false };
        account.user().allow_with_prefixes(&command, argv, prefixes, need)
    }

    /// The user of a tenant that the client belongs to from now on, if the password is right.
    fn enter_tenant(
        &mut self,
        name: &[u8],
        password: &[u8],
    ) -> Result<Option<Arc<Account>>, Error> {
        let session = &*self.session;
        let is_tied = session.transaction().is_some()
            || session.executing
            || !session.watches().is_empty()
            || session.subscribed.any()
            || session.caching.is_some()
            || session.monitoring;
        let entered = self.host.enter_tenant(name, password, is_tied)?;
        if entered.is_some() {
            self.session.database = 0;
        }
        Ok(entered)
    }

    /// Makes the client this user if the password is right. A wrong one is logged; `argv` is the
    /// command that brought it.
    pub fn authenticate(
        &mut self,
        name: &[u8],
        password: &[u8],
        argv: Argv<'_>,
    ) -> Result<(), Error> {
        let known = self.host.users().get(name).cloned();
        let account = match &known {
            Some(account) => known.clone().filter(|_| account.user().accepts(password)),
            None => self.enter_tenant(name, password)?,
        };
        if let Some(account) = account {
            self.session.authenticated = true;
            self.session.hold(account);
            return Ok(());
        }
        let noted = Noted {
            reason: Reason::Auth,
            object: argv.iter().next().unwrap_or_default().to_vec(),
            user: name.to_vec(),
        };
        let running = self.registry.resolve(argv).ok().flatten();
        let running = running.map(|command| command.full_name()).unwrap_or_default();
        note(noted, &running, self.session, self.reply.protocol(), self.host);
        Err(Error::WrongPass)
    }
}
