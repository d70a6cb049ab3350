//! One command from its arguments to its reply.
//!
//! A driver asks [`admit`] what a command is and which shards it needs, takes those shards, and
//! lets [`Cx::run`] execute it. Nothing here blocks, reads a clock or does I/O.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use reef_resp::{Argv, OwnedArgv, Writer};

use crate::args::Args;
use crate::backend::{CallStatus, Caller};
use crate::command::{Command, Flags, Runner};
use crate::error::Error;
use crate::gates::{self, Conditions, Pause};
use crate::host::Host;
use crate::keyspace::{Keyspace, ShardSet};
use crate::registry::{CommandRef, Registry};
use crate::session::{ReplyMode, Session};
use crate::settings::Rules;
use crate::waiters::Waiter;

/// What a driver has to do with a command.
#[derive(Debug)]
pub enum Admission {
    /// Nothing more: it was refused, and the reply is written.
    Answered,
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
    let command = match gates::pass(argv, session, registry, rules, conditions) {
        Ok(command) => command,
        Err(error) => {
            session.abort();
            refuse(&error, reply);
            return Admission::Answered;
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
    if conditions.out_of_memory && command.flags.has(Flags::REFUSAL_ABORTS) {
        session.refuse_memory();
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
        if let Err(error) = self.try_run(command, argv) {
            refuse(&error, self.reply);
        }
    }

    /// Runs a command; in case of an error nothing is written to the reply.
    #[inline]
    pub fn try_run(&mut self, command: &CommandRef, argv: Argv<'_>) -> Result<(), Error> {
        let mark = self.reply.mark();
        self.keys.no_touch = self.session.no_touch;
        let result = match command.runner {
            Runner::Native(handler) | Runner::Container(_, handler) => {
                let mut args = Args::new(argv, if command.parent.is_empty() { 1 } else { 2 });
                handler(self, &mut args).inspect(|()| {
                    debug_assert!(args.is_done(), "{} left arguments", command.full_name());
                })
            }
            Runner::Plugin(plugin) => {
                let caller = self.caller();
                let status = self.host.call_plugin(plugin, &caller, argv, self.reply);
                self.answer_by(status);
                Ok(())
            }
        };
        if result.is_err() {
            self.reply.rewind(mark);
        }
        result
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
        for (command, argv) in queue {
            self.keys.database = self.session.database;
            let (database, mark) = (self.session.database, self.reply.mark());
            self.run(&command, argv.as_argv());
            let error = self.reply.is_error_since(mark).then(|| self.reply.data_since(mark));
            self.host.ran_in_transaction(database, &command, argv.as_argv(), error);
        }
        self.session.executing = false;
    }
}

/// Whether the reply to the command just run is to be sent (`CLIENT REPLY`); moves `SKIP` on.
pub fn is_reply_sent(session: &mut Session) -> bool {
    match session.reply_mode {
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
    }
}

/// The name of a command as error texts and statistics show it.
pub fn shown_name(command: &Command) -> String {
    command.full_name()
}
