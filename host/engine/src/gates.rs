//! Who may not run, and why: one gate per reason, in the order in which Redis refuses.
//!
//! Existence, arity, protection, authentication, MULTI rules, permissions, memory, subscriptions. A
//! gate looks at the entry's
//! flags, never at a command's name.

use alloc::format;
use alloc::string::String;

use reef_resp::{Argv, Protocol};

use crate::acl::Denial;
use crate::command::{Command, Flags};
use crate::error::Error;
use crate::registry::{CommandRef, Registry};
use crate::session::Session;
use crate::settings::Rules;

/// The state of the server as far as gates care.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// `maxmemory` is reached and nothing can be evicted.
    pub out_of_memory: bool,
    /// Which commands have to wait.
    pub pause: Pause,
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
    // Queuing takes memory too.
    let is_queued = session.transaction().is_some() && !runs_inside_multi(&command);
    if conditions.out_of_memory && (flags.has(Flags::DENYOOM) || is_queued) {
        return Err(Error::OutOfMemory.into());
    }
    // RESP3 tells replies and messages apart.
    if session.subscribed.any()
        && protocol != Protocol::Resp3
        && !flags.has(Flags::WHILE_SUBSCRIBED)
    {
        return Err(Error::subscribed_only(&command).into());
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
