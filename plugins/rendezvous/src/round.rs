//! One attempt at a command on a run: what it reads, what it wants to change, and the loop around it.
//!
//! A round knows the run as it was at its beginning. Whatever it changes takes effect only if the run
//! has not been changed since, so all changes of a run happen one after the other; otherwise the round
//! is done again. Before the command looks, what has ended is taken out, so it never sees it.
//!
//! Whoever has to wait is parked: on what it waits for, and on the key that a drop of the run writes, so
//! that the server knows how many wait in a run. Who waits is no change of the run: as many as come at once
//! may exceed the limit by as many as the server has threads.

use std::cell::Cell;
use std::collections::BTreeSet;

use reef_sdk::{
    Answer, Argument, Attempt, Batch, Call, Cause, CommandWriter, Cursor, Error, Host, Outcome,
    Park, Query, Result, transact,
};

use crate::entry::{Owner, Span, Tie};
use crate::find::Tally;
use crate::key::{Counted, Key, Kind, Name, Run};
use crate::meta::Meta;
use crate::{find, refusal, sweep};

/// One attempt.
pub(crate) struct Round<'a> {
    pub(crate) host: &'a mut dyn Host,
    pub(crate) run: Run<'a>,
    pub(crate) meta: Meta,
    pub(crate) now_ms: u64,
    /// The life of the plugin in which the caller is connected, and who it is once that was asked.
    pub(crate) incarnation: u64,
    client: Option<u64>,
    version: u64,
    batch: Batch,
    /// Keys that were there at its beginning: they end with the run already.
    present: Vec<(Kind, &'a [u8])>,
    /// Other keys that this round writes.
    written: BTreeSet<Vec<u8>>,
    /// Keys that it wants to be told of when the caller goes.
    ties: BTreeSet<Vec<u8>>,
}

/// What a command has come to.
pub(crate) enum Verdict {
    /// This is the reply.
    Done(Answer),
    /// Something is missing that may still come.
    Lacking(Lack),
}

/// What is missing.
pub(crate) struct Lack {
    /// Who writes this key may have brought it.
    pub(crate) key: Vec<u8>,
    /// The number that is to be reached, if it is one.
    pub(crate) number: Option<(Vec<u8>, Vec<u8>, u64)>,
    /// What the client hears if it does not wait, or not any longer.
    pub(crate) otherwise: Otherwise,
}

/// What a client hears who did not get what it waited for.
pub(crate) enum Otherwise {
    Said(Result<Answer>),
    /// That nobody can be taken of this name space, and why: unless that was read, it is looked up when
    /// it is said.
    NoListener(Vec<u8>, Option<Tally>),
}

impl Lack {
    /// A number that is not reached.
    pub(crate) fn of_number(
        run: Run<'_>,
        counted: Counted<'_>,
        number: u64,
        otherwise: Error,
    ) -> Verdict {
        let reached = counted.reached(number);
        Verdict::Lacking(Self {
            key: run.key(Kind::Reached, &reached).to_vec(),
            number: Some((counted.name(), reached, number)),
            otherwise: Otherwise::Said(Err(otherwise)),
        })
    }

    /// A key that is not there, or not new.
    pub(crate) fn of_key(key: Key<'_>, otherwise: Otherwise) -> Verdict {
        Verdict::Lacking(Self { key: key.to_vec(), number: None, otherwise })
    }
}

/// Seconds as a client gives them, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u64);

impl reef_sdk::FromArgument<'_> for Seconds {
    fn from_argument(bytes: &[u8]) -> Result<Self> {
        let seconds = f64::from_argument(bytes).map_err(|_| refusal::BAD_SECONDS)?;
        if !(0.0..1e10).contains(&seconds) {
            return Err(refusal::BAD_SECONDS);
        }
        Ok(Self((seconds * 1_000.0).ceil() as u64))
    }
}

impl Seconds {
    /// How long something is to last: longer than no time.
    pub(crate) fn lasting(self) -> Result<u64> {
        if self.0 == 0 { Err(refusal::ZERO_SECONDS) } else { Ok(self.0) }
    }
}

/// Runs a command on a run until nothing comes between its reads and its changes. `wait` is for how
/// long it may wait for what it lacks; 0 is as long as the run allows.
pub(crate) fn on_run(
    call: &mut Call<'_>,
    run: Run<'_>,
    wait: Option<Seconds>,
    mut act: impl FnMut(&mut Round<'_>) -> Result<Verdict>,
) -> Result<Answer> {
    repeat(call, (run, &[]), wait, NOTHING_MORE, &mut act)
}

/// The same for a command that knows at once which keys it usually writes, so that those that are there
/// already cost less, and what it has to read: it is read together with the run. One closure asks, the
/// other one takes the replies.
pub(crate) fn on_view<T>(
    call: &mut Call<'_>,
    keys: (Run<'_>, &[(Kind, &[u8])]),
    wait: Option<Seconds>,
    (ask, hear): (impl Fn(&mut Query), impl Fn(&mut Cursor<'_>) -> Result<T>),
    mut act: impl FnMut(&mut Round<'_>, T) -> Result<Verdict>,
) -> Result<Answer> {
    let heard = Cell::new(None);
    let listen = |cursor: &mut Cursor<'_>| {
        heard.set(Some(hear(cursor)?));
        Ok(())
    };
    repeat(call, keys, wait, (&ask, &listen), &mut |round| match heard.take() {
        Some(heard) => act(round, heard),
        None => Err(Error::UNEXPECTED_REPLY),
    })
}

/// What is read together with a run: who asks for it, and who takes the replies.
type Extra<'a> = (&'a dyn Fn(&mut Query), &'a dyn Fn(&mut Cursor<'_>) -> Result<()>);

/// Nothing but the run.
pub(crate) const NOTHING_MORE: Extra<'static> = (&|_| {}, &|_| Ok(()));

/// The loop itself, once for all commands: it is a good part of a plugin's code.
fn repeat(
    call: &mut Call<'_>,
    (run, keys): (Run<'_>, &[(Kind, &[u8])]),
    wait: Option<Seconds>,
    extra: Extra<'_>,
    act: &mut dyn FnMut(&mut Round<'_>) -> Result<Verdict>,
) -> Result<Answer> {
    let cause = call.cause;
    let invoked_ms =
        if cause == Cause::Invoked { call.host.now_ms() } else { call.host.invoked_ms() };
    transact(call.host, |host| {
        let now_ms = host.now_ms();
        let waited_ms = now_ms.saturating_sub(invoked_ms);
        let Some(mut round) = Round::begin(host, run, keys, extra)? else {
            return match cause {
                Cause::Invoked => Err(refusal::no_run(run)),
                _ => Err(refusal::run_gone(run, waited_ms)),
            };
        };
        if cause != Cause::Invoked && round.meta.opened_ms > invoked_ms {
            // Another run of this name: what the caller waited in is gone.
            return Err(refusal::run_gone(run, waited_ms));
        }
        if sweep::is_due(&round) {
            sweep::sweep(&mut round)?;
            round.end()?;
            return Ok(Attempt::Stale);
        }
        let patience = patience(&round, wait, invoked_ms)?;
        let answer = match act(&mut round) {
            Ok(Verdict::Done(answer)) => Ok(answer),
            Ok(Verdict::Lacking(lack)) => match patience {
                Some(until_ms) if until_ms > round.now_ms => Ok(round.wait(lack, until_ms, cause)?),
                _ => round.give_up(lack, waited_ms),
            },
            // What is refused changes nothing.
            Err(error) => return Err(error),
        };
        Ok(match round.end()? {
            true => Attempt::Done(answer),
            false => Attempt::Stale,
        })
    })?
}

/// Until when the caller waits, if it does.
fn patience(round: &Round<'_>, wait: Option<Seconds>, invoked_ms: u64) -> Result<Option<u64>> {
    let most_ms = round.meta.limits.wait_ms;
    match wait {
        None => Ok(None),
        Some(Seconds(0)) => Ok(Some(invoked_ms.saturating_add(most_ms))),
        // The call came some time within its millisecond; nobody is answered too early.
        Some(Seconds(wait_ms)) if wait_ms <= most_ms => Ok(Some(invoked_ms + wait_ms + 1)),
        Some(_) => Err(refusal::limit(round.run, "wait", most_ms / 1_000)),
    }
}

impl<'a> Round<'a> {
    /// Looks at a run, at whether some of its keys are there, and at what else is asked for; `None` if it
    /// is not open.
    pub(crate) fn begin(
        host: &'a mut dyn Host,
        run: Run<'a>,
        keys: &[(Kind, &'a [u8])],
        (ask, hear): Extra<'_>,
    ) -> Result<Option<Self>> {
        let mut query = Query::new();
        query.get(run.meta()).watch(run.meta());
        for (kind, name) in keys {
            query.command("EXISTS").arg(run.key(*kind, name));
        }
        ask(&mut query);
        let view = host.read(&query)?;
        let mut cursor = view.cursor();
        let Some(text) = cursor.bulk()? else { return Ok(None) };
        let meta = Meta::decode(text)?;
        let mut present = Vec::with_capacity(keys.len());
        for key in keys {
            if cursor.integer()? == 1 {
                present.push(*key);
            }
        }
        hear(&mut cursor)?;
        let (now_ms, incarnation) = (host.now_ms(), host.incarnation());
        Ok(Some(Self {
            host,
            run,
            meta,
            now_ms,
            incarnation,
            client: None,
            version: view.version(0),
            batch: Batch::new(),
            present,
            written: BTreeSet::new(),
            ties: BTreeSet::new(),
        }))
    }

    /// Who called.
    pub(crate) fn caller(&mut self) -> Owner {
        let client = self.client.unwrap_or_else(|| self.host.caller().id);
        self.client = Some(client);
        Owner { incarnation: self.incarnation, client }
    }

    /// Another number in the order of this run's changes.
    pub(crate) fn next_revision(&mut self) -> u64 {
        self.meta.revision += 1;
        self.meta.revision
    }

    // ---- changes ---------------------------------------------------------------------------

    /// Begins a command on one of the run's keys that may make it.
    pub(crate) fn write(&mut self, command: &str, kind: Kind, name: &[u8]) -> CommandWriter<'_> {
        if !self.present.contains(&(kind, name)) {
            self.written.insert(kind.of(name));
        }
        self.batch.command(command).arg(self.run.key(kind, name))
    }

    /// Makes the keys of a name space. Those of registrations and of what has ended get a first entry that
    /// stands for nobody: they are never empty again, so nobody has to look for them, or to say anew that
    /// they end with the run.
    pub(crate) fn open_space(&mut self, ns: Name<'_>) {
        self.write("HSET", Kind::Registered, ns.0).arg("").arg("");
        self.write("ZADD", Kind::Ended, ns.0).arg("0").arg("");
        self.mark(Kind::Changed, ns.0, "0");
        self.written.insert(Kind::Free.of(ns.0));
    }

    /// Lets something be taken, in its place among all. When nothing can be, the key is not there: who
    /// waits for it is not woken by those who take.
    pub(crate) fn offer(&mut self, (ns, id): (Name<'_>, Name<'_>), order: u64) {
        self.amend("ZADD", Kind::Free, ns.0).arg(order).arg(id.0);
        expire(&mut self.batch, self.run.key(Kind::Free, ns.0), self.meta.end_ms);
    }

    /// Notes what the last change of a name space was: who watches it wakes.
    pub(crate) fn note_change(&mut self, ns: Name<'_>, revision: u64) {
        let end_ms = self.meta.end_ms;
        self.amend("SET", Kind::Changed, ns.0).arg(revision).arg("PXAT").arg(end_ms);
    }

    /// Writes a key that is there to be waited for.
    pub(crate) fn mark(&mut self, kind: Kind, name: &[u8], value: impl Argument) {
        let end_ms = self.meta.end_ms;
        self.write("SET", kind, name).arg(value).arg("PXAT").arg(end_ms);
    }

    /// Begins a command on one of the run's keys that makes none: it takes something away, or the key is
    /// there.
    pub(crate) fn amend(&mut self, command: &str, kind: Kind, name: &[u8]) -> CommandWriter<'_> {
        self.batch.command(command).arg(self.run.key(kind, name))
    }

    /// Lets something end at an instant.
    pub(crate) fn end_at(&mut self, tie: &Tie, deadline_ms: u64) {
        self.write("ZADD", Kind::Due, b"").arg(deadline_ms).arg(tie);
        if self.meta.due_ms == 0 || deadline_ms < self.meta.due_ms {
            self.set_timer(deadline_ms);
        }
    }

    /// The next instant at which something ends; 0: none.
    pub(crate) fn set_timer(&mut self, due_ms: u64) {
        self.meta.due_ms = due_ms;
        let timer = self.run.key(Kind::Timer, b"");
        if due_ms > 0 && due_ms < self.meta.end_ms {
            // One that is set to the past would say nothing.
            let at = due_ms.max(self.now_ms + 1);
            self.batch.command("SET").arg(timer).arg("1").arg("PXAT").arg(at);
        } else {
            self.batch.del(timer);
        }
    }

    /// Binds something to how long it is to last. The instant at which it ends, 0 if not by itself.
    pub(crate) fn tie(&mut self, tie: impl FnOnce() -> Tie, span: Span) -> u64 {
        match span {
            Span::Run => 0,
            Span::Time(ttl_ms) => {
                let deadline_ms = self.now_ms + ttl_ms;
                self.end_at(&tie(), deadline_ms);
                deadline_ms
            }
            Span::Connection(owner) => {
                self.tie_to(&tie(), owner);
                0
            }
        }
    }

    /// Lets something end with a connection. Only the caller's is watched: another one's was when the
    /// thing was made, and nobody's must end with somebody else.
    pub(crate) fn tie_to(&mut self, tie: &Tie, owner: Owner) {
        let name = owner.name();
        self.write("SADD", Kind::Tied, &name).arg(tie);
        if owner == self.caller() {
            self.ties.insert(self.run.key(Kind::Tied, &name).to_vec());
        }
    }

    /// Undoes [`Self::tie`].
    pub(crate) fn untie_from(&mut self, tie: impl FnOnce() -> Tie, span: Span) {
        match span {
            Span::Run => {}
            Span::Time(_) => self.untie(&tie(), None),
            Span::Connection(owner) => {
                self.amend("SREM", Kind::Tied, &owner.name()).arg(tie());
            }
        }
    }

    /// Undoes [`Self::end_at`] and [`Self::tie_to`].
    pub(crate) fn untie(&mut self, tie: &Tie, owner: Option<Owner>) {
        self.amend("ZREM", Kind::Due, b"").arg(tie);
        if let Some(owner) = owner {
            self.amend("SREM", Kind::Tied, &owner.name()).arg(tie);
        }
    }

    /// How long something is to last: what was asked for, but no longer than the run.
    pub(crate) fn span(&mut self, asked: Option<Lasting>) -> Result<Span> {
        match asked {
            None => Ok(Span::Run),
            Some(Lasting::Connection) => Ok(Span::Connection(self.caller())),
            Some(Lasting::Seconds(seconds)) => {
                let left_ms = self.meta.end_ms.saturating_sub(self.now_ms);
                Ok(Span::Time(seconds.lasting()?.min(left_ms)))
            }
        }
    }

    /// Wakes those who wait until it is so many.
    pub(crate) fn reach(&mut self, counted: Counted<'_>, number: u64) -> Result<()> {
        let name = counted.name();
        let mut query = Query::new();
        let wanted = self.run.key(Kind::Wanted, &name);
        query.command("ZRANGEBYSCORE").arg(wanted).arg("-inf").arg(number);
        let view = self.host.read(&query)?;
        for member in view.cursor().bulks()?.into_iter().flatten() {
            self.amend("ZREM", Kind::Wanted, &name).arg(member);
            let reached = [member, b":", &name].concat();
            self.mark(Kind::Reached, &reached, "1");
        }
        Ok(())
    }

    // ---- limits ----------------------------------------------------------------------------

    /// One thing more that counts against the limit of the run.
    pub(crate) fn count(&mut self) -> Result<()> {
        let most = self.meta.limits.registrations;
        if self.meta.count >= most {
            return Err(refusal::limit(self.run, "registrations", most));
        }
        self.meta.count += 1;
        Ok(())
    }

    /// Whether a value may be kept.
    pub(crate) fn check_value(&self, value: &[u8]) -> Result<()> {
        let most = self.meta.limits.bytes;
        if value.len() as u64 > most {
            return Err(refusal::limit(self.run, "bytes", most));
        }
        Ok(())
    }

    /// How many of them somebody may wait for.
    pub(crate) fn check_number(&self, number: u64) -> Result<()> {
        let most = self.meta.limits.registrations;
        if (1..=most).contains(&number) { Ok(()) } else { Err(refusal::BAD_COUNT) }
    }

    // ---- waiting ---------------------------------------------------------------------------

    fn wait(&mut self, lack: Lack, until_ms: u64, cause: Cause<'_>) -> Result<Answer> {
        let gone = self.run.key(Kind::Gone, b"").to_vec();
        let most = self.meta.limits.waiters;
        if cause == Cause::Invoked && self.host.waiting(&gone)? >= most {
            return Err(refusal::limit(self.run, "waiters", most));
        }
        if let Some((counted, reached, number)) = &lack.number {
            self.write("ZADD", Kind::Wanted, counted).arg(*number).arg(*number);
            self.amend("DEL", Kind::Reached, reached);
        }
        let deadline_ms = until_ms.min(self.meta.end_ms);
        Ok(Park::new().on(&lack.key).on(&gone).until(deadline_ms).into())
    }

    /// What the client hears who does not wait, or not any longer.
    fn give_up(&mut self, lack: Lack, waited_ms: u64) -> Result<Answer> {
        match lack.otherwise {
            Otherwise::Said(answer) => answer,
            Otherwise::NoListener(ns, tally) => {
                let tally = tally.map_or_else(|| find::tally(self, Name(&ns)), Ok)?;
                Err(refusal::no_listener((self.run, Name(&ns)), waited_ms, tally))
            }
        }
    }

    // ---- the end ---------------------------------------------------------------------------

    /// Makes the changes of this round, if there are any. `false`: somebody else was faster.
    pub(crate) fn end(&mut self) -> Result<bool> {
        if self.batch.is_empty() {
            return Ok(true);
        }
        self.watch_caller()?;
        let batch = self.batch();
        match self.host.apply(&batch)? {
            Outcome::Stale(_) => Ok(false),
            Outcome::Applied(_) => {
                // It may have gone since, before there was anything to be told of.
                self.watch_caller()?;
                Ok(true)
            }
        }
    }

    fn watch_caller(&mut self) -> Result<()> {
        let ties = std::mem::take(&mut self.ties);
        let result = ties.iter().try_for_each(|key| self.host.watch_caller(key));
        self.ties = ties;
        result
    }

    /// The changes, with what they demand.
    pub(crate) fn batch(&mut self) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        batch.discard_replies();
        if batch.is_empty() {
            return batch;
        }
        let end_ms = self.meta.end_ms;
        let written = std::mem::take(&mut self.written);
        if !written.is_empty() {
            let names = self.run.key(Kind::Names, b"");
            batch.command("SADD").arg(names).args(&written);
            for name in &written {
                expire(&mut batch, self.run.key_of(name), end_ms);
            }
            expire(&mut batch, names, end_ms);
        }
        batch.guard(self.run.meta(), self.version);
        keep(&mut batch, self.run, &self.meta);
        batch
    }
}

/// Writes down what a run is.
pub(crate) fn keep(batch: &mut Batch, run: Run<'_>, meta: &Meta) {
    batch.command("SET").arg(run.meta()).arg(meta).arg("PXAT").arg(meta.end_ms);
}

/// Lets a key end with its run, unless it does so already.
fn expire(batch: &mut Batch, key: impl Argument, end_ms: u64) {
    batch.command("PEXPIREAT").arg(key).arg(end_ms).arg("NX");
}

/// How long a client wants something to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    Seconds(Seconds),
    Connection,
}

impl Lasting {
    /// Takes `TTL seconds` or `CONNECTION` from the arguments, if that comes next.
    pub(crate) fn option(arguments: &mut reef_sdk::Arguments<'_>) -> Result<Option<Self>> {
        if arguments.keyword("CONNECTION") {
            return Ok(Some(Self::Connection));
        }
        Ok(arguments.option("TTL")?.map(Self::Seconds))
    }
}

/// The reply to a name in a place that has a number of something.
pub(crate) fn hash_length(host: &mut dyn Host, key: impl Argument) -> Result<u64> {
    let mut query = Query::new();
    query.command("HLEN").arg(key);
    host.read(&query)?.cursor().value()
}

/// A field of a hash.
pub(crate) fn hash_field(
    host: &mut dyn Host,
    key: impl Argument,
    Name(field): Name<'_>,
) -> Result<Option<Vec<u8>>> {
    let mut query = Query::new();
    query.command("HGET").arg(key).arg(field);
    Ok(host.read(&query)?.cursor().bulk()?.map(<[u8]>::to_vec))
}
