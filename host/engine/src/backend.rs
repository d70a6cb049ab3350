//! The two seams between the server and the plugin runtime, which never know each other.
//!
//! - [`Backend`]: "run this atomic batch". Implemented by whoever drives the keyspace, called by
//!   the runtime on behalf of guest code.
//! - [`Extension`]: "run this plugin command". Implemented by the runtime, called by the server.
//!
//! Invariant: neither side holds a lock of its own while it calls the other.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

use reef_resp::{Argv, OwnedArgv, Writer};

use crate::command::Command;
use crate::grants::Grants;
use crate::triggers::{Origin, Trigger};

/// On whose behalf a call runs.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The connection, as in `CLIENT ID`.
    pub client_id: u64,
    /// The authenticated user.
    pub user: Arc<str>,
    /// The selected database: all keys of the call's batches are in it.
    pub database: u32,
}

impl Caller {
    /// Nobody: the server itself, in a database.
    pub fn nobody(database: u32) -> Self {
        Self { client_id: 0, user: Arc::default(), database }
    }
}

/// Any number of commands, laid out in columns: argument count per command, length per argument,
/// all bytes. Nothing is assumed about the columns: they may come from hostile code.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandColumns<'a> {
    /// Arguments of each command, its name included.
    pub counts: &'a [u32],
    /// Length in bytes of every argument of every command.
    pub lengths: &'a [u32],
    /// All bytes of all arguments.
    pub data: &'a [u8],
}

/// A list of byte strings in columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Items<'a> {
    /// Length in bytes of each item.
    pub lengths: &'a [u32],
    /// All bytes of all items.
    pub data: &'a [u8],
}

impl<'a> Items<'a> {
    /// The items in order, or `None` when lengths and bytes do not add up.
    pub fn iter(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let total: u64 = self.lengths.iter().map(|len| u64::from(*len)).sum();
        if total != self.data.len() as u64 {
            return None;
        }
        let mut rest = self.data;
        Some(self.lengths.iter().map(move |len| {
            let (item, tail) = rest.split_at((*len as usize).min(rest.len()));
            rest = tail;
            item
        }))
    }
}

/// Preconditions of a batch: these keys still have these versions, those do not exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guards<'a> {
    /// Keys that must be unchanged.
    pub keys: Items<'a>,
    /// Their versions, one per key.
    pub versions: &'a [u64],
    /// Keys that must not exist.
    pub absent: Items<'a>,
}

/// What happens when a command of a batch fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// All or nothing: the effects of the whole batch are undone.
    RollBack,
    /// As EXEC: the error is that command's reply, the others take effect.
    KeepGoing,
}

/// A batch to be applied in one indivisible step.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Preconditions.
    pub guards: Guards<'a>,
    /// What to do.
    pub commands: CommandColumns<'a>,
    /// What happens when one fails.
    pub on_error: OnError,
    /// Whether to write no replies.
    pub discard_replies: bool,
}

/// How a batch ended, when nothing was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything took effect; the replies are written.
    Applied,
    /// Nothing was done: these guards (versions first, then absent keys) no longer hold.
    Stale(Vec<u32>),
}

/// Why a step was refused or undone. In every case but [`Stopped`](Self::Stopped) nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// A command or key that the plugin was not granted.
    AccessDenied(String),
    /// The command at this index cannot run here; the error text as clients see it.
    InvalidCommand(u32, String),
    /// The command at this index failed and everything was undone; its error text.
    RolledBack(u32, String),
    /// More commands or bytes than one step may carry.
    BatchTooLarge,
    /// `maxmemory` is reached.
    OutOfMemory,
    /// A quota is used up, or the step would exceed it; the text names it.
    QuotaExceeded(String),
    /// On a cluster: the keys are not in one slot.
    CrossSlot,
    /// This server takes no writes now; why.
    ReadOnly(String),
    /// The call ends here, as if its plugin was killed: the guest hears no answer. Alone among these,
    /// it says nothing of whether the step took place.
    Stopped,
    /// Columns that do not add up, or a failure below; the text.
    Other(String),
}

/// Most commands that one step may carry.
pub const BATCH_COMMANDS_MAX: usize = 100_000;
/// Most bytes of arguments that one step may carry.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Runs atomic batches. Implemented by the server's keyspace driver.
pub trait Backend: Send + Sync {
    /// Runs read-only `commands` and reads the versions of `watch`, all at one instant. `replies`
    /// must be a writer in columns; one version per watched key is appended to `versions`.
    fn read(
        &self,
        caller: &Caller,
        grants: &Grants,
        commands: CommandColumns<'_>,
        watch: Items<'_>,
        replies: &mut Writer,
        versions: &mut Vec<u64>,
    ) -> Result<(), StepError>;

    /// Checks the guards and runs the commands, as one indivisible step.
    fn apply(
        &self,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        replies: &mut Writer,
    ) -> Result<Outcome, StepError>;

    /// How many clients wait for a key just now, in blocking commands or parked calls.
    fn waiting(&self, caller: &Caller, grants: &Grants, key: &[u8]) -> Result<u64, StepError>;

    /// Replaces the plugin commands in the command table, in one step. Fails, changing nothing,
    /// when a name is taken by a native command or given twice; the error names it.
    fn set_plugin_commands(&self, commands: Vec<Arc<Command>>) -> Result<(), String>;

    /// Replaces the triggers, in one step.
    fn set_triggers(&self, _triggers: Vec<Trigger>) {}

    /// How many databases there are.
    fn databases(&self) -> u32 {
        1
    }

    /// Whether triggers may run: not where the effects come from a primary.
    fn may_trigger(&self) -> bool {
        true
    }

    /// Applies what a trigger makes of an event, as one step with what acknowledges the event (commands
    /// that nothing was granted for). What happens thereby is caused by `origin`.
    fn apply_effects(
        &self,
        _origin: &Origin,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        _acknowledgement: &[Vec<Vec<u8>>],
    ) -> Result<Outcome, StepError> {
        self.apply(caller, grants, batch, &mut Writer::new(reef_resp::Protocol::Columns))
    }

    /// Tells those who copy the data, replicas and the log, a notice of the extension's.
    fn tell_copies(&self, _notice: &[u8]) {}

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// Which plugin command: the runtime's own numbers, opaque to everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginCommand {
    /// The loaded plugin. Numbers are never reused.
    pub plugin: u32,
    /// The index of the command in its manifest.
    pub command: u32,
}

/// Whether a reply is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// The reply is written.
    Done,
    /// The reply comes through the [`Completion`] that was asked for.
    Later,
}

/// Takes a late reply: RESP bytes in the protocol of the writer that the call was given.
pub type Completion = Box<dyn FnOnce(Vec<u8>) + Send>;

/// What a call of a plugin's command has come to.
#[derive(Debug)]
pub enum Called {
    /// The reply is written.
    Done,
    /// The end of the call comes through the [`Conclusion`] that was asked for.
    Later,
    /// Nothing is written: the call is to go on later.
    Parked(Box<Park>),
}

/// The end of a call that took longer.
#[derive(Debug)]
pub enum Late {
    /// RESP bytes in the protocol of the writer that the call was given.
    Reply(Vec<u8>),
    /// The call is to go on later.
    Park(Box<Park>),
}

/// Takes the end of a call that took longer.
pub type Conclusion = Box<dyn FnOnce(Late) + Send>;

/// "Call me again when one of these keys is written, or at the deadline." There is no instance and no
/// stack behind it.
#[derive(Debug)]
pub struct Park {
    /// The keys; the extension has checked that the plugin may see them.
    pub keys: OwnedArgv,
    /// Milliseconds since 1970; `None`: it waits for its keys alone.
    pub deadline_ms: Option<u64>,
    /// When the client called: milliseconds since 1970.
    pub invoked_ms: u64,
    /// The right to be parked: given back when it is dropped.
    pub permit: Permit,
}

/// Something of the extension's that ends with what holds it.
pub struct Permit(Option<Box<dyn Any + Send + Sync>>);

impl Permit {
    /// Holds this.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(held)))
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Permit").field(&self.0.is_some()).finish()
    }
}

/// Why a parked call goes on.
#[derive(Clone, Copy, Debug)]
pub struct Wake<'a> {
    /// The key that was written; `None`: its time is over.
    pub key: Option<&'a [u8]>,
    /// When the client called: milliseconds since 1970.
    pub invoked_ms: u64,
}

/// What all plugins of a tenant together may use; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginQuotas {
    /// Milliseconds of guest CPU in each second.
    pub cpu_ms_per_s: Option<u64>,
    /// How many may be loaded.
    pub plugins: Option<u64>,
    /// Bytes of their components.
    pub code_bytes: Option<u64>,
}

/// Runs plugin commands and administers plugins. Implemented by the runtime.
pub trait Extension: Send + Sync {
    /// Runs a plugin command, or goes on with a parked one (`wake`). A call that overstays moves to
    /// another thread: then `later` is called once, nothing is written, and its end goes to the
    /// conclusion.
    fn call(
        &self,
        command: PluginCommand,
        wake: Option<Wake<'_>>,
        caller: &Caller,
        argv: Argv<'_>,
        reply: &mut Writer,
        later: &mut dyn FnMut() -> Conclusion,
    ) -> Called;

    /// Runs `PLUGIN ...` (arguments complete, `PLUGIN` first). Loading compiles code, so it
    /// answers later.
    fn administer(
        &self,
        argv: Argv<'_>,
        reply: &mut Writer,
        later: &mut dyn FnMut() -> Completion,
    ) -> CallStatus;

    /// A client has gone; nothing of it runs any more. May be said twice.
    fn client_left(&self, _client: u64) {}

    /// Appends the plugins' section of INFO: `name:value` lines.
    fn info(&self, out: &mut String);

    /// The extension of another tenant, whose data is behind `backend`. `None`: there are no others.
    fn of_tenant(
        &self,
        _tenant: &str,
        _backend: Arc<dyn Backend>,
        _quotas: PluginQuotas,
    ) -> Option<Arc<dyn Extension>> {
        None
    }

    /// Other limits on what all plugins together may use, from now on.
    fn set_quotas(&self, _quotas: PluginQuotas) {}

    /// What is to be kept with the data: one notice for each plugin that was loaded while the server
    /// ran. Whoever [heeds](Self::heed) it has the plugin.
    fn kept(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Takes notices as all that is kept: other plugins that were loaded while the server ran go.
    fn restore(&self, _notices: Vec<Vec<u8>>) {}

    /// Takes a notice that a primary or a log has told. Compiling may take its time; nobody waits.
    fn heed(&self, _notice: &[u8]) {}

    /// Waits until what was restored and heeded has taken effect.
    fn settle(&self) {}
}
