//! Who may not run, and why: one gate per reason, in the order in which Redis refuses.
//!
//! Existence, arity, protection, authentication, MULTI rules, permissions, memory, disk, replicas,
//! being a replica, subscriptions, the link to the primary, loading. A gate looks at the entry's
//! flags, never at a command's name. EXEC is refused for what its queue would be refused for.

use alloc::format;
use alloc::string::String;

use reef_resp::{Argv, Protocol};

use crate::acl::Denial;
use crate::command::{Command, Flags};
use crate::error::Error;
use crate::registry::{CommandRef, Registry};
use crate::session::Session;
use crate::settings::Rules;
use crate::tenancy::{Quota, UsedUp};

/// The state of the server as far as gates care.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// `maxmemory` is reached and nothing can be evicted.
    pub out_of_memory: bool,
    /// Data cannot be written to disk, and writes are to be refused then.
    pub disk_failure: Option<DiskFailure>,
    /// Fewer replicas are up to date than there must be (`min-replicas-to-write`).
    pub replicas_missing: bool,
    /// It is a replica, and only its primary writes (`replica-read-only`).
    pub readonly_replica: bool,
    /// It is a replica without a link to its primary, and old data is not to be shown
    /// (`replica-serve-stale-data no`).
    pub stale_replica: bool,
    /// Data is being loaded.
    pub loading: bool,
    /// A plugin that hears of changes is too far behind.
    pub triggers_behind: bool,
    /// Which commands have to wait.
    pub pause: Pause,
    /// Whether the client belongs to a tenant, who is not to run the server.
    pub is_tenant: bool,
    /// What the tenant has used up of what commands need.
    pub used_up: Option<UsedUp>,
}

impl Conditions {
    /// Whether nothing stands in the way of any command.
    #[inline]
    fn are_good(&self) -> bool {
        let bad = self.out_of_memory
            | self.disk_failure.is_some()
            | self.replicas_missing
            | self.triggers_behind
            | self.readonly_replica
            | self.stale_replica
            | self.loading
            | self.is_tenant;
        !bad
    }

    /// Why a command with these flags is not for a tenant, or not now.
    fn refuse_tenant(&self, asked: Asked) -> Option<Error> {
        let is_administrative = asked.any.has(Flags::ADMIN) && !asked.any.has(Flags::OWN);
        if is_administrative || asked.any.has(Flags::OPERATOR) {
            return Some(Error::FOR_OPERATOR);
        }
        let takes_memory = asked.any.has(Flags::DENYOOM) || asked.is_queued;
        // Who may not go on may still say who it is, and go.
        let matters = |used_up: &UsedUp| match used_up.quota {
            Quota::Memory => takes_memory,
            _ => !asked.any.has(Flags::NO_AUTH),
        };
        self.used_up.filter(matters).map(Error::over_quota)
    }

    /// Why a command with these flags is refused before subscriptions are looked at.
    fn refuse_change(&self, asked: Asked) -> Option<Error> {
        if self.is_tenant
            && let Some(error) = self.refuse_tenant(asked)
        {
            return Some(error);
        }
        if self.out_of_memory && (asked.any.has(Flags::DENYOOM) || asked.is_queued) {
            return Some(Error::OutOfMemory);
        }
        if asked.any.has(Flags::WRITE) {
            return self.refusal_of_writes();
        }
        let is_told = asked.any.has(Flags::TELLS_OF_DISK);
        self.disk_failure.filter(|_| is_told).map(DiskFailure::error)
    }

    /// Why nothing may be written, memory aside.
    pub fn refusal_of_writes(&self) -> Option<Error> {
        if let Some(failure) = self.disk_failure {
            return Some(failure.error());
        }
        if self.replicas_missing {
            return Some(Error::NO_REPLICAS);
        }
        if self.readonly_replica {
            return Some(Error::READONLY_REPLICA);
        }
        self.triggers_behind.then_some(Error::TRIGGERS_BEHIND)
    }

    /// Why a command with these flags is refused after that.
    fn refuse_sight(&self, asked: Asked) -> Option<Error> {
        if self.stale_replica && !asked.all.has(Flags::STALE) {
            return Some(Error::MASTER_DOWN);
        }
        (self.loading && !asked.all.has(Flags::LOADING)).then_some(Error::LOADING)
    }

    /// Why EXEC is refused: for what stands in the way of a command of its queue.
    pub fn refuse_queue(&self, session: &Session) -> Option<Error> {
        if self.are_good() || session.obeys_primary {
            return None;
        }
        let queue = &session.transaction()?.queue;
        let asked = Asked {
            any: queue.iter().fold(Flags::NONE, |any, (command, _)| any.with(command.flags)),
            all: queue.iter().fold(Flags::ALL, |all, (command, _)| all.common(command.flags)),
            is_queued: false,
        };
        self.refuse_change(asked).or_else(|| self.refuse_sight(asked))
    }
}

/// What is asked of the server at once.
#[derive(Clone, Copy)]
struct Asked {
    /// The flags that any of its commands has.
    any: Flags,
    /// The flags that all of its commands have.
    all: Flags,
    /// Whether it is kept for later, which takes memory.
    is_queued: bool,
}

/// Why data cannot be written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFailure {
    /// The last snapshot failed.
    Snapshot,
    /// The append-only file cannot be written, for this reason of the system's.
    Log(&'static str),
}

impl DiskFailure {
    fn error(self) -> Error {
        match self {
            Self::Snapshot => Error::SNAPSHOTS_FAIL,
            Self::Log(reason) => Error::log_fails(reason),
        }
    }
}

/// Which commands have to wait (`CLIENT PAUSE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pause {
    /// None.
    #[default]
    Nothing,
    /// Those that may change data.
    Writes,
    /// All.
    Everything,
}

impl Pause {
    /// Whether a command that passed the gates has to wait.
    pub fn stops(self, command: &Command, session: &Session) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Writes => {
                let queued = session.transaction().filter(|_| command.is_exec());
                let mut queue = queued.into_iter().flat_map(|transaction| &transaction.queue);
                command.may_write() || queue.any(|(command, _)| command.may_write())
            }
        }
    }
}

/// Why a command does not pass.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// For this reason.
    Error(Error),
    /// The user may not run it, which is logged.
    Denied(CommandRef, Denial),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Lets a command pass or says why not.
#[inline]
pub fn pass(
    argv: Argv<'_>,
    session: &Session,
    registry: &Registry,
    rules: &Rules,
    conditions: &Conditions,
    protocol: Protocol,
) -> Result<CommandRef, Refusal> {
    let command = exists(argv, registry)?;
    if !command.accepts(argv.len()) && !command.flags.has(Flags::REFUSAL_ABORTS) {
        return Err(Error::wrong_arity(&command).into());
    }
    let flags = command.flags;
    if flags.has(Flags::PROTECTED) && !rules.settings.debug_commands {
        return Err(Error::DebugDisabled.into());
    }
    if session.is_stranger() && !flags.has(Flags::NO_AUTH) {
        let ends = flags.has(Flags::REFUSAL_ABORTS);
        return Err(if ends { Error::EXEC_NO_AUTH } else { Error::NoAuth }.into());
    }
    if flags.has(Flags::NO_MULTI) && session.transaction().is_some() {
        return Err(Error::NotInMulti.into());
    }
    // Who may not end the transaction is told so when it ends.
    if session.is_limited() && !flags.has(Flags::REFUSAL_ABORTS) {
        permit(&command, argv, session)
            .map_err(|denial| Refusal::Denied(command.clone(), denial))?;
    }
    let is_hindered = !conditions.are_good() && !session.obeys_primary;
    // Queuing takes memory too.
    let is_queued = session.transaction().is_some() && !runs_inside_multi(&command);
    let asked = Asked { any: flags, all: flags, is_queued };
    if is_hindered && let Some(error) = conditions.refuse_change(asked) {
        return Err(error.into());
    }
    // RESP3 tells replies and messages apart.
    if session.subscribed.any()
        && protocol != Protocol::Resp3
        && !flags.has(Flags::WHILE_SUBSCRIBED)
    {
        return Err(Error::subscribed_only(&command).into());
    }
    if is_hindered && let Some(error) = conditions.refuse_sight(asked) {
        return Err(error.into());
    }
    Ok(command)
}

/// Whether the session's user may run the command with these arguments.
pub fn permit(command: &CommandRef, argv: Argv<'_>, session: &Session) -> Result<(), Denial> {
    session.account().map_or(Ok(()), |account| account.user().check(command, argv))
}

fn exists(argv: Argv<'_>, registry: &Registry) -> Result<CommandRef, Error> {
    match registry.resolve(argv) {
        Ok(Some(command)) => Ok(command),
        Ok(None) => Err(unknown_command(argv)),
        Err(container) => Err(Error::UnknownSubcommand {
            name: shortened(argv.get(1), 128),
            container: container.name.as_ref().into(),
        }),
    }
}

/// Redis shows the name and the first arguments, both cut at 128 bytes.
fn unknown_command(argv: Argv<'_>) -> Error {
    const SHOWN_BYTES_MAX: usize = 128;
    let mut arguments = String::new();
    for argument in argv.iter().skip(1) {
        if arguments.len() >= SHOWN_BYTES_MAX {
            break;
        }
        let room = SHOWN_BYTES_MAX - arguments.len();
        arguments.push_str(&format!("'{}' ", shortened(argument, room)));
    }
    Error::UnknownCommand { name: shortened(argv.get(0), SHOWN_BYTES_MAX), arguments }
}

fn shortened(text: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(&text[..text.len().min(bytes_max)]).into_owned()
}

/// Whether a command runs at once although a transaction is open.
#[inline]
pub fn runs_inside_multi(command: &Command) -> bool {
    command.flags.has(Flags::NOT_QUEUED)
}
