//! One command from its arguments to its reply.
//!
//! A driver asks [`admit`] what a command is and which shards it needs, takes those shards, and
//! lets [`Cx::run`] execute it. Nothing here blocks, reads a clock or does I/O.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use reef_resp::{Argv, OwnedArgv, Writer};

use crate::acl::Denial;
use crate::args::Args;
use crate::backend::{CallStatus, Caller};
use crate::command::{Command, Flags, Group, Runner};
use crate::error::Error;
use crate::gates::{self, Conditions, Pause, Refusal};
use crate::host::Host;
use crate::keyspace::{Keyspace, ShardSet};
use crate::registry::{CommandRef, Registry};
use crate::session::{Caching, ReplyMode, Session};
use crate::settings::Rules;
use crate::waiters::Waiter;

/// What a driver has to do with a command.
#[derive(Debug)]
pub enum Admission {
    /// Nothing more: it was refused, and the reply is written.
    Answered,
    /// [`note_denial`](crate::permission::note_denial): the user may not run it. The reply is
    /// written.
    Denied(CommandRef, Denial),
    /// Nothing more: it was queued for EXEC. Its index in the table.
    Queued(u16),
    /// Take these shards and run it.
    Run(CommandRef, ShardSet),
    /// Ask again when the pause is over; nothing has happened.
    Postponed,
}

/// Decides about a command before any shard is taken.
#[inline]
pub fn admit(
    argv: Argv<'_>,
    session: &mut Session,
    registry: &Registry,
    rules: &Rules,
    conditions: &Conditions,
    reply: &mut Writer,
) -> Admission {
    let protocol = reply.protocol();
    let command = match gates::pass(argv, session, registry, rules, conditions, protocol) {
        Ok(command) => command,
        Err(Refusal::Error(error)) => {
            session.end_caching();
            session.abort();
            refuse(&error, reply);
            return Admission::Answered;
        }
        Err(Refusal::Denied(command, denial)) => {
            session.abort();
            refuse(&denial.error(&session.user, &command), reply);
            return Admission::Denied(command, denial);
        }
    };
    if conditions.pause != Pause::Nothing && conditions.pause.stops(&command, session) {
        return Admission::Postponed;
    }
    if session.transaction().is_some() && !gates::runs_inside_multi(&command) {
        let id = command.id();
        session.enqueue(command, OwnedArgv::from(argv));
        reply.status("QUEUED");
        return Admission::Queued(id);
    }
    if command.is_exec()
        && let Some(error) = conditions.refuse_queue(session)
    {
        session.refuse(error);
    }
    let mut shards = command.shards(argv, rules);
    if command.flags.has(Flags::SESSION_SHARDS) {
        shards = shards.union(session.shards(rules));
    }
    Admission::Run(command, shards)
}

fn refuse(error: &Error, reply: &mut Writer) {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = core::fmt::write(&mut text, format_args!("{error}"));
    reply.error(&text);
}

/// Everything that a handler can reach.
pub struct Cx<'a> {
    /// The data.
    pub keys: Keyspace<'a>,
    /// Where the reply goes.
    pub reply: &'a mut Writer,
    /// Who asks.
    pub session: &'a mut Session,
    /// The command table.
    pub registry: &'a Registry,
    /// The process around.
    pub host: &'a mut dyn Host,
    /// When the reply comes.
    pub answer: Answer,
    /// Whether the command runs for a client that waits already.
    pub rerun: bool,
}

/// What a command is of its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// All of it: what it has done stays done.
    Whole,
    /// One of several, or something that may be taken back.
    Part,
}

/// When the reply to a command comes.
#[derive(Clone, Debug, Default)]
pub enum Answer {
    /// It is written.
    #[default]
    Now,
    /// Later, from elsewhere: through a completion of the host's, or because the client goes on
    /// waiting.
    Later,
    /// When a key is ready or the time is over: the client waits.
    WhenReady(Arc<Waiter>),
}

impl Cx<'_> {
    /// Runs a command whose shards are held, and writes its reply or error.
    #[inline]
    pub fn run(&mut self, command: &CommandRef, argv: Argv<'_>) {
        self.run_as(Share::Part, command, argv);
    }

    /// The same for a command that is all of a step, which nobody takes back.
    #[inline]
    pub fn run_alone(&mut self, command: &CommandRef, argv: Argv<'_>) {
        debug_assert!(!self.keys.is_undoable(), "what is logged at once cannot be taken back");
        self.run_as(Share::Whole, command, argv);
    }

    #[inline]
    fn run_as(&mut self, share: Share, command: &CommandRef, argv: Argv<'_>) {
        if let Err(error) = self.try_run_as(share, command, argv) {
            refuse(&error, self.reply);
        }
        self.end_caching_after(command);
    }

    #[inline]
    pub(crate) fn end_caching_after(&mut self, command: &CommandRef) {
        if self.session.caching.is_some() && !command.flags.has(Flags::KEEPS_CACHING) {
            self.session.end_caching();
        }
    }

    /// Runs a command that was permitted when it was sent, if it still is.
    pub fn run_if_permitted(&mut self, command: &CommandRef, argv: Argv<'_>) {
        match self.permit(command, argv) {
            Ok(()) => self.run(command, argv),
            Err(denial) => refuse(&denial.error(&self.session.user, command), self.reply),
        }
    }

    /// Runs a command; in case of an error nothing is written to the reply.
    #[inline]
    pub fn try_run(&mut self, command: &CommandRef, argv: Argv<'_>) -> Result<(), Error> {
        self.try_run_as(Share::Part, command, argv)
    }

    #[inline]
    fn try_run_as(
        &mut self,
        share: Share,
        command: &CommandRef,
        argv: Argv<'_>,
    ) -> Result<(), Error> {
        if takes(command) && !self.rerun && self.host.has_hung_up() {
            return Err(Error::HUNG_UP);
        }
        let mark = self.reply.mark();
        self.keys.no_touch = self.session.no_touch;
        if self.session.obeys_primary {
            self.keys.obey();
        }
        let result = if self.keys.propagates() {
            self.call_and_tell(share, command, argv)
        } else {
            self.call(command, argv)
        };
        if result.is_err() {
            self.reply.rewind(mark);
        }
        if command.flags.has(Flags::READONLY) && self.session.caching.is_some_and(Caching::is_on) {
            self.remember_reads(command, argv);
        }
        result
    }

    /// Lets whoever runs a command do so.
    #[inline]
    pub(crate) fn call(&mut self, command: &CommandRef, argv: Argv<'_>) -> Result<(), Error> {
        match command.runner {
            Runner::Native(handler) | Runner::Container(_, handler) => {
                let mut args = Args::new(argv, if command.parent.is_empty() { 1 } else { 2 });
                let result = handler(self, &mut args);
                let is_as_declared = match &result {
                    Ok(()) => args.is_done(),
                    Err(_) => !command.cannot_fail(argv.len()),
                };
                debug_assert!(is_as_declared, "{} left arguments, or failed", command.full_name());
                result
            }
            Runner::Plugin(plugin) => {
                let caller = self.caller();
                let status = self.host.call_plugin(command, plugin, &caller, argv, self.reply);
                self.answer_by(status);
                Ok(())
            }
        }
    }

    /// Remembers the keys of a command with the client, which caches what it reads.
    #[cold]
    fn remember_reads(&mut self, command: &CommandRef, argv: Argv<'_>) {
        let (client, seed) = (self.session.id, self.random());
        let keys_max = self.keys.rules.settings.tracked_keys_max;
        self.host.tracking(&mut |all, send| {
            command.keys.visit(argv, |position| all.remember(client, argv.get(position)));
            all.trim(keys_max, seed, send);
        });
    }

    /// Notes when the reply of a call comes.
    pub fn answer_by(&mut self, status: CallStatus) {
        if status == CallStatus::Later {
            self.answer = Answer::Later;
        }
    }

    /// Who asks, for plugins.
    pub fn caller(&self) -> Caller {
        Caller {
            client_id: self.session.id,
            user: self.session.user.clone(),
            database: self.session.database,
        }
    }

    /// 64 random bits.
    pub fn random(&mut self) -> u64 {
        self.host.random()
    }

    /// Ends all watches of the session.
    pub fn unwatch(&mut self) {
        for watch in self.session.take_watches() {
            self.keys.unwatch(watch.database, &watch.key);
        }
    }

    /// Runs what MULTI queued. Every command's error is its reply; the others take effect.
    pub fn run_queue(&mut self, queue: Vec<(CommandRef, OwnedArgv)>) {
        self.reply.array(queue.len());
        self.session.executing = true;
        let bound = self.bound();
        for (command, argv) in queue {
            self.keys.database = self.session.database;
            let (database, mark) = (self.session.database, self.reply.mark());
            match self.permit(&command, argv.as_argv()) {
                Ok(()) => self.run_within(bound, &command, argv.as_argv()),
                Err(denial) => refuse(&Error::no_longer_allowed(denial.reason), self.reply),
            }
            self.tell_happenings();
            let error = self.reply.is_error_since(mark).then(|| self.reply.data_since(mark));
            let outcome = (error, self.reply.data_since(mark).len());
            self.host.ran_in_transaction(database, &command, argv.as_argv(), outcome);
        }
        self.session.executing = false;
    }
}

/// Whether what a command gives its client is gone from the keyspace. What a stream's reader gets stays
/// there, and with its group as pending.
#[inline]
fn takes(command: &Command) -> bool {
    command.flags.has(Flags::BLOCKING) && command.group != Group::Stream
}

/// Whether the reply to the command just run is to be sent (`CLIENT REPLY`); moves `SKIP` on.
pub fn is_reply_sent(session: &mut Session) -> bool {
    let is_push = core::mem::take(&mut session.reply_is_push);
    let is_sent = match session.reply_mode {
        ReplyMode::On => true,
        ReplyMode::Off => false,
        ReplyMode::SkipNext => {
            session.reply_mode = ReplyMode::Skip;
            false
        }
        ReplyMode::Skip => {
            session.reply_mode = ReplyMode::On;
            false
        }
    };
    !session.obeys_primary && is_sent || is_push
}

/// The name of a command as error texts and statistics show it.
pub fn shown_name(command: &Command) -> String {
    command.full_name()
}
