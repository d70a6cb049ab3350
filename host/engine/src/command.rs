//! One command's entry in the table: everything that is known about it stands here once.
//!
//! From the entry derive dispatch, arity errors, refusals, COMMAND INFO/DOCS/GETKEYS, ACL
//! categories and shard routing. Entries of native commands are built by `const` chains in the
//! family files; plugin commands get theirs at load time. Handlers never count arguments.

use alloc::borrow::Cow;
use alloc::string::String;
use core::ops::BitOr;

use crate::args::Args;
use crate::backend::PluginCommand;
use crate::channels::Channels;
use crate::commands;
use crate::error::Error;
use crate::keyspec::KeySpec;
use crate::step::Cx;

/// A native handler: takes typed arguments from the cursor, does one operation, says the reply.
pub type Handler = fn(&mut Cx<'_>, &mut Args<'_>) -> Result<(), Error>;

/// Who runs a command.
#[derive(Clone, Copy, Debug)]
pub enum Runner {
    /// The engine, by this function.
    Native(Handler),
    /// A container such as CONFIG: its sub-commands run, and this without any.
    Container(&'static [Command], Handler),
    /// A plugin.
    Plugin(PluginCommand),
}

/// The group of a command, as COMMAND DOCS and the ACL categories name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Redis's own")]
pub enum Group {
    Connection,
    Generic,
    String,
    Set,
    Hash,
    List,
    SortedSet,
    Stream,
    Pubsub,
    Transactions,
    Server,
    Hyperloglog,
    Geo,
    Bitmap,
    Scripting,
    Cluster,
    Module,
}

impl Group {
    /// As in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Generic => "generic",
            Self::String => "string",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::List => "list",
            Self::SortedSet => "sorted-set",
            Self::Stream => "stream",
            Self::Pubsub => "pubsub",
            Self::Transactions => "transactions",
            Self::Server => "server",
            Self::Hyperloglog => "hyperloglog",
            Self::Geo => "geo",
            Self::Bitmap => "bitmap",
            Self::Scripting => "scripting",
            Self::Cluster => "cluster",
            Self::Module => "module",
        }
    }
}

/// A set of command flags, by the names that COMMAND INFO gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Every flag.
    pub const ALL: Self = Self(u32::MAX);
    /// May change data.
    pub const WRITE: Self = Self(1);
    /// Never changes data.
    pub const READONLY: Self = Self(1 << 1);
    /// May use memory: refused while `maxmemory` is exceeded.
    pub const DENYOOM: Self = Self(1 << 2);
    /// For operators.
    pub const ADMIN: Self = Self(1 << 3);
    /// Publish/subscribe.
    pub const PUBSUB: Self = Self(1 << 4);
    /// Not for scripts and plugins' batches.
    pub const NOSCRIPT: Self = Self(1 << 5);
    /// May wait.
    pub const BLOCKING: Self = Self(1 << 6);
    /// Allowed while data is being loaded.
    pub const LOADING: Self = Self(1 << 7);
    /// Allowed on a replica with stale data.
    pub const STALE: Self = Self(1 << 8);
    /// Not shown by MONITOR.
    pub const SKIP_MONITOR: Self = Self(1 << 9);
    /// Not counted by SLOWLOG.
    pub const SKIP_SLOWLOG: Self = Self(1 << 10);
    /// Constant or logarithmic time.
    pub const FAST: Self = Self(1 << 11);
    /// Allowed before authentication.
    pub const NO_AUTH: Self = Self(1 << 12);
    /// Not allowed inside MULTI.
    pub const NO_MULTI: Self = Self(1 << 13);
    /// Key positions depend on the arguments.
    pub const MOVABLEKEYS: Self = Self(1 << 14);
    /// Allowed while the server is busy with a long call.
    pub const ALLOW_BUSY: Self = Self(1 << 15);
    /// Needs DEBUG to be enabled.
    pub const PROTECTED: Self = Self(1 << 16);
    /// Not allowed while data is loaded beside the old.
    pub const NO_ASYNC_LOADING: Self = Self(1 << 17);
    /// Its number of keys may be zero.
    pub const NO_MANDATORY_KEYS: Self = Self(1 << 18);
    /// Refused like a write while data cannot be written to disk (PING): not shown.
    pub const TELLS_OF_DISK: Self = Self(1 << 19);
    /// About what belongs to the caller's own tenant, although it is an operator's command: not shown.
    pub const OWN: Self = Self(1 << 20);
    /// For the operator of the server, not for tenants, although it is open to all users: not shown.
    pub const OPERATOR: Self = Self(1 << 21);
    /// Needs every shard (FLUSHALL, KEYS, DBSIZE): not a Redis flag, not shown.
    pub const ALL_SHARDS: Self = Self(1 << 24);
    /// Needs the shards of the session's watches and queue (EXEC, UNWATCH): not shown.
    pub const SESSION_SHARDS: Self = Self(1 << 25);
    /// Runs at once inside MULTI (EXEC, DISCARD, RESET): not shown.
    pub const NOT_QUEUED: Self = Self(1 << 26);
    /// Its own refusal ends the transaction, so it runs whatever its arguments (EXEC): not shown.
    pub const REFUSAL_ABORTS: Self = Self(1 << 27);

    /// Runs in a connection that has subscriptions, also in RESP2: not shown.
    pub const WHILE_SUBSCRIBED: Self = Self(1 << 28);
    /// What CLIENT CACHING said holds for the command after it, too: not shown.
    pub const KEEPS_CACHING: Self = Self(1 << 29);

    /// Its channels belong to slots, and COMMAND INFO shows them where keys would be: not shown.
    pub const SHARD_CHANNELS: Self = Self(1 << 30);
    /// What others hear of it may be taken for a change (PUBLISH), or it may keep what it found out
    /// (PFCOUNT), so it waits with the writes: not shown.
    pub const MAY_REPLICATE: Self = Self(1 << 31);

    /// The flags that COMMAND INFO shows, in Redis's order. It keeps PROTECTED to itself.
    pub const SHOWN: [(Self, &'static str); 18] = [
        (Self::WRITE, "write"),
        (Self::READONLY, "readonly"),
        (Self::DENYOOM, "denyoom"),
        (Self::ADMIN, "admin"),
        (Self::PUBSUB, "pubsub"),
        (Self::NOSCRIPT, "noscript"),
        (Self::BLOCKING, "blocking"),
        (Self::LOADING, "loading"),
        (Self::STALE, "stale"),
        (Self::SKIP_MONITOR, "skip_monitor"),
        (Self::SKIP_SLOWLOG, "skip_slowlog"),
        (Self::FAST, "fast"),
        (Self::NO_AUTH, "no_auth"),
        (Self::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Self::NO_ASYNC_LOADING, "no_async_loading"),
        (Self::NO_MULTI, "no_multi"),
        (Self::MOVABLEKEYS, "movablekeys"),
        (Self::ALLOW_BUSY, "allow_busy"),
    ];

    /// Whether all of `other` are set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags that are in both.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These flags and those of `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

/// How many arguments a command takes, its name included: `n` exactly, `-n` at least.
pub type Arity = i16;

/// A command's entry.
#[derive(Clone, Debug)]
pub struct Command {
    /// Upper case. A sub-command's own word only (`LIST` of `CLIENT LIST`).
    pub name: Cow<'static, str>,
    /// Who runs it.
    pub runner: Runner,
    /// How many arguments.
    pub arity: Arity,
    /// Its properties.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: KeySpec,
    /// Where its channels are.
    pub channels: Channels,
    /// Its group.
    pub group: Group,
    /// Arguments, as redis-cli's help shows them.
    pub usage: Cow<'static, str>,
    /// One sentence.
    pub summary: Cow<'static, str>,
    /// The first version of Redis that had it.
    pub since: Cow<'static, str>,
    /// Cost in O notation.
    pub complexity: Cow<'static, str>,
    /// For a sub-command: the container's name, upper case.
    pub parent: &'static str,
    /// For a plugin's command: the plugin's name.
    pub plugin: Cow<'static, str>,
    /// With so many arguments at most, its name included, it does not fail, whatever the data is.
    pub sure_args_max: usize,
}

/// An entry at the start of its builder chain. `group`, `usage` and so on complete it.
pub const fn command(name: &'static str, handler: Handler, arity: Arity) -> Command {
    Command {
        name: Cow::Borrowed(name),
        runner: Runner::Native(handler),
        arity,
        flags: Flags::NONE,
        keys: KeySpec::NONE,
        channels: Channels::None,
        group: Group::Generic,
        usage: Cow::Borrowed(""),
        summary: Cow::Borrowed(""),
        since: Cow::Borrowed("1.0.0"),
        complexity: Cow::Borrowed("O(1)"),
        parent: "",
        plugin: Cow::Borrowed(""),
        sure_args_max: 0,
    }
}

/// The entry of a container: a name whose second word says what to do.
pub const fn container(name: &'static str, subcommands: &'static [Command]) -> Command {
    let mut entry = command(name, commands::container_without_subcommand, -2);
    entry.runner = Runner::Container(subcommands, commands::container_without_subcommand);
    entry
}

/// The entry of a container that also runs without a sub-command.
pub const fn container_or_alone(
    name: &'static str,
    subcommands: &'static [Command],
    handler: Handler,
) -> Command {
    let mut entry = command(name, handler, -1);
    entry.runner = Runner::Container(subcommands, handler);
    entry
}

/// Sets a text in a constant: what was there is borrowed too, so nothing needs to be dropped,
/// which a constant could not do.
const fn put(place: &mut Cow<'static, str>, text: &'static str) {
    core::mem::forget(core::mem::replace(place, Cow::Borrowed(text)));
}

impl Command {
    /// Sets the group.
    pub const fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    /// Marks a sub-command with its container's name.
    pub const fn of(mut self, parent: &'static str) -> Self {
        self.parent = parent;
        self
    }

    /// Adds flags.
    pub const fn flags(mut self, flags: Flags) -> Self {
        self.flags = self.flags.with(flags);
        self
    }

    /// Marks a write; `denyoom` ones may use memory.
    pub const fn write(self) -> Self {
        self.flags(Flags::WRITE)
    }

    /// Marks a write that may use memory.
    pub const fn write_denyoom(self) -> Self {
        self.flags(Flags::WRITE.with(Flags::DENYOOM))
    }

    /// Marks a command that never changes data.
    pub const fn readonly(self) -> Self {
        self.flags(Flags::READONLY)
    }

    /// Marks constant or logarithmic time.
    pub const fn fast(self) -> Self {
        self.flags(Flags::FAST)
    }

    /// Says that it never fails once its arguments are as many as it takes.
    pub const fn never_fails(self) -> Self {
        self.never_fails_with(usize::MAX)
    }

    /// Says that it never fails with so many arguments at most, its name included.
    pub const fn never_fails_with(mut self, args_max: usize) -> Self {
        self.sure_args_max = args_max;
        self
    }

    /// Says where the keys are.
    pub const fn keys(mut self, keys: KeySpec) -> Self {
        if keys.is_movable() {
            self.flags = self.flags.with(Flags::MOVABLEKEYS);
        }
        self.keys = keys;
        self
    }

    /// Says that the key is the first argument.
    pub const fn key(self) -> Self {
        self.keys(KeySpec::FIRST)
    }

    /// Says where the channels are.
    pub const fn channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    /// Sets the arguments' syntax.
    pub const fn usage(mut self, usage: &'static str) -> Self {
        put(&mut self.usage, usage);
        self
    }

    /// Sets the version of Redis that introduced it and its cost.
    pub const fn since(mut self, since: &'static str, complexity: &'static str) -> Self {
        put(&mut self.since, since);
        put(&mut self.complexity, complexity);
        self
    }

    /// Sets the one-sentence summary.
    pub const fn summary(mut self, summary: &'static str) -> Self {
        put(&mut self.summary, summary);
        self
    }

    /// The entry of a plugin's command, to be completed by assigning fields.
    pub fn plugin(name: String, command: PluginCommand) -> Self {
        Self {
            name: Cow::Owned(name),
            runner: Runner::Plugin(command),
            group: Group::Module,
            flags: Flags::NO_MULTI | Flags::NOSCRIPT,
            ..crate::command::command("", commands::container_without_subcommand, -1)
        }
    }

    /// The sub-commands, if this is a container.
    pub fn subcommands(&self) -> &'static [Self] {
        match self.runner {
            Runner::Container(subcommands, _) => subcommands,
            _ => &[],
        }
    }

    /// `client|list` as COMMAND and error texts name it.
    pub fn full_name(&self) -> String {
        let own = self.name.to_ascii_lowercase();
        if self.parent.is_empty() {
            return own;
        }
        let mut name = self.parent.to_ascii_lowercase();
        name.push('|');
        name.push_str(&own);
        name
    }

    /// Whether `count` arguments (the name included) are acceptable.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        let arity = i64::from(self.arity);
        let count = count as i64;
        if arity < 0 { count >= -arity } else { count == arity }
    }

    /// Whether it takes effect whatever the data is, if it accepts `count` arguments at all.
    #[inline]
    pub fn cannot_fail(&self, count: usize) -> bool {
        count <= self.sure_args_max
    }

    /// Under which event LATENCY notes it when it takes long.
    pub fn latency_event(&self) -> &'static str {
        if self.flags.has(Flags::FAST) { "fast-command" } else { "command" }
    }

    /// Whether it is EXEC.
    pub fn is_exec(&self) -> bool {
        self.flags.has(Flags::REFUSAL_ABORTS)
    }

    /// Whether it may change data, or counts as if it did. Of a plugin's command nobody knows unless
    /// it says that it only reads.
    pub fn may_write(&self) -> bool {
        let unknown = matches!(self.runner, Runner::Plugin(_)) && !self.flags.has(Flags::READONLY);
        self.flags.has(Flags::WRITE) || self.flags.has(Flags::MAY_REPLICATE) || unknown
    }

    /// Whether it may run in a plugin's batch: an ordinary command on keys that never waits and
    /// can be undone.
    pub fn is_batchable(&self) -> bool {
        self.is_undoable() && !self.flags.has(Flags::BLOCKING)
    }

    /// Whether it is an ordinary command on keys, which can be undone.
    pub fn is_undoable(&self) -> bool {
        let refused =
            [Flags::NOSCRIPT, Flags::ADMIN, Flags::OPERATOR, Flags::PUBSUB, Flags::NO_MULTI];
        matches!(self.runner, Runner::Native(_))
            && (self.flags.has(Flags::WRITE) || self.flags.has(Flags::READONLY))
            && !refused.iter().any(|flag| self.flags.has(*flag))
            && !self.flags.has(Flags::WRITE.with(Flags::ALL_SHARDS))
    }

    /// All native commands with their index in the table, in the families' order.
    pub fn natives() -> impl Iterator<Item = (u16, &'static Self)> {
        (0u16..).zip(commands::FAMILIES.iter().flat_map(|family| family.iter()))
    }

    /// The same, and behind them all their sub-commands.
    pub fn natives_and_subcommands() -> impl Iterator<Item = (u16, &'static Self)> {
        let natives = || commands::FAMILIES.iter().flat_map(|family| family.iter());
        (0u16..).zip(natives().chain(natives().flat_map(|native| native.subcommands())))
    }
}
