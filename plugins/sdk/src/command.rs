//! The declaration of a command and the call of one.
//!
//! A plugin's commands are one `const` table: each entry says what COMMAND INFO and COMMAND DOCS
//! show, and which function runs. The index in the table is how the server calls it.

use crate::bindings::exports::reef::plugin::handler::{self, CommandFlags};
use crate::{Answer, Arguments, Host, Result};

/// A function that runs a command.
pub type Handler = fn(&mut Call<'_>) -> Result<Answer>;

/// Everything a handler gets.
pub struct Call<'a> {
    /// The server.
    pub host: &'a mut dyn Host,
    /// The arguments after the command's name.
    pub arguments: Arguments<'a>,
    /// Why the handler runs.
    pub cause: Cause<'a>,
}

/// Why a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// A client called, for the first time.
    Invoked,
    /// It was parked, and this key was written.
    Ready(&'a [u8]),
    /// It was parked, and the deadline has passed.
    TimedOut,
}

/// One command: what it is called, how it is called, what runs.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub(crate) name: &'static str,
    pub(crate) handler: Handler,
    usage: &'static str,
    summary: &'static str,
    complexity: &'static str,
    since: &'static str,
    arity: i32,
    flags: CommandFlags,
    keys: (i32, i32, i32),
}

impl Command {
    /// A command with this upper-case name, run by this function. Takes no argument, touches no
    /// key it declares and has no flag until told otherwise.
    #[must_use]
    pub const fn new(name: &'static str, handler: Handler) -> Self {
        Self {
            name,
            handler,
            usage: "",
            summary: "",
            complexity: "",
            since: "",
            arity: 1,
            flags: CommandFlags::empty(),
            keys: (0, 0, 0),
        }
    }

    /// The arguments as redis-cli shows them: `id [id ...]`.
    #[must_use]
    pub const fn usage(mut self, usage: &'static str) -> Self {
        self.usage = usage;
        self
    }

    /// One sentence.
    #[must_use]
    pub const fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// How the time it takes grows.
    #[must_use]
    pub const fn complexity(mut self, complexity: &'static str) -> Self {
        self.complexity = complexity;
        self
    }

    /// The version of the plugin that brought it.
    #[must_use]
    pub const fn since(mut self, since: &'static str) -> Self {
        self.since = since;
        self
    }

    /// As in COMMAND INFO: the name counts; negative means "at least".
    #[must_use]
    pub const fn arity(mut self, arity: i32) -> Self {
        self.arity = arity;
        self
    }

    /// Positions of the keys as in COMMAND INFO.
    #[must_use]
    pub const fn keys(mut self, first: i32, last: i32, step: i32) -> Self {
        self.keys = (first, last, step);
        self
    }

    /// It may change data.
    #[must_use]
    pub const fn write(self) -> Self {
        self.flag(CommandFlags::WRITE)
    }

    /// It never changes data.
    #[must_use]
    pub const fn readonly(self) -> Self {
        self.flag(CommandFlags::READONLY)
    }

    /// It takes constant or logarithmic time.
    #[must_use]
    pub const fn fast(self) -> Self {
        self.flag(CommandFlags::FAST)
    }

    /// It may park.
    #[must_use]
    pub const fn blocking(self) -> Self {
        self.flag(CommandFlags::BLOCKING)
    }

    /// It may use memory: refused while `maxmemory` is exceeded.
    #[must_use]
    pub const fn denyoom(self) -> Self {
        self.flag(CommandFlags::DENYOOM)
    }

    const fn flag(mut self, flag: CommandFlags) -> Self {
        self.flags = self.flags.union(flag);
        self
    }

    /// Whether a call with this many arguments, the name included, is of the declared form.
    #[must_use]
    pub const fn accepts(&self, arguments: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { arguments >= wanted } else { arguments == wanted }
    }

    /// What the manifest says of it.
    pub(crate) fn describe(&self) -> handler::Command {
        handler::Command {
            name: self.name.to_owned(),
            usage: self.usage.to_owned(),
            summary: self.summary.to_owned(),
            complexity: self.complexity.to_owned(),
            since: self.since.to_owned(),
            arity: self.arity,
            flags: self.flags,
            first_key: self.keys.0,
            last_key: self.keys.1,
            key_step: self.keys.2,
        }
    }
}
