//! Atomic batches: what plugins read and apply, in one indivisible step.
//!
//! A driver parses a batch into a [`Plan`], takes the shards the plan names, and runs it. All
//! refusals that need no data (unknown command, wrong arity, not granted, columns that do not add
//! up) come before any shard is taken.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use reef_resp::{Argv, Protocol, Span, Writer};

use crate::backend::{
    BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, Batch, CommandColumns, Guards, Items, OnError, Outcome,
    StepError,
};
use crate::command::Flags;
use crate::error::Error;
use crate::grants::Grants;
use crate::keyspace::{Journal, ShardSet, Wanted};
use crate::registry::{CommandRef, Registry};
use crate::settings::Rules;
use crate::sort_pattern::SortPattern;
use crate::step::Cx;

/// A checked batch: what will run, and which shards that takes. Reused from call to call.
#[derive(Debug, Default)]
pub struct Plan {
    commands: Vec<(CommandRef, core::ops::Range<u32>)>,
    spans: Vec<Span>,
    /// The shards to take.
    pub shards: ShardSet,
    /// Whether a command of it may fail.
    may_fail: bool,
}

impl Plan {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks `columns` and finds their shards. With `readonly`, writes are refused.
    pub fn make(
        &mut self,
        columns: CommandColumns<'_>,
        readonly: bool,
        grants: &Grants,
        registry: &Registry,
        rules: &Rules,
    ) -> Result<(), StepError> {
        self.commands.clear();
        self.spans.clear();
        self.shards = ShardSet::NONE;
        self.may_fail = false;
        if columns.counts.len() > BATCH_COMMANDS_MAX || columns.data.len() > BATCH_BYTES_MAX {
            return Err(StepError::BatchTooLarge);
        }
        self.lay_out(columns)?;
        let mut start = 0u32;
        for (index, count) in columns.counts.iter().enumerate() {
            let range = start..start + count;
            start = range.end;
            let argv =
                Argv::new(columns.data, &self.spans[range.start as usize..range.end as usize]);
            let command = match self.commands.last() {
                // Batches are full of commands that are alike: one is looked for once.
                Some((last, _)) if is_alike(last, argv) => last.clone(),
                _ => check(argv, readonly, grants, registry)
                    .map_err(|refusal| refusal.at(index as u32))?,
            };
            check_keys(&command, argv, grants)?;
            self.may_fail |= !command.cannot_fail(argv.len());
            self.shards = self.shards.union(command.shards(argv, rules));
            self.commands.push((command, range));
        }
        Ok(())
    }

    /// Turns lengths into spans; the sums must fit exactly.
    fn lay_out(&mut self, columns: CommandColumns<'_>) -> Result<(), StepError> {
        let arguments: u64 = columns.counts.iter().map(|count| u64::from(*count)).sum();
        let bytes: u64 = columns.lengths.iter().map(|len| u64::from(*len)).sum();
        if arguments != columns.lengths.len() as u64 || bytes != columns.data.len() as u64 {
            return Err(StepError::Other("the columns of the batch do not add up".to_string()));
        }
        let mut start = 0;
        self.spans.extend(columns.lengths.iter().map(|len| {
            let span = Span { start, len: *len };
            start += len;
            span
        }));
        Ok(())
    }

    /// Adds the shards of keys that are watched or guarded, checking the grants.
    pub fn add_keys(
        &mut self,
        keys: Items<'_>,
        grants: &Grants,
        rules: &Rules,
    ) -> Result<(), StepError> {
        for key in items(keys)? {
            check_key(key, grants)?;
            self.shards.insert(rules.shard_of(key));
        }
        Ok(())
    }

    /// The journal with which a batch of it runs. It can undo where something may have to be undone;
    /// without inverses to keep, values are overwritten where they are.
    pub fn journal(&self, on_error: OnError, rules: &Rules) -> Journal {
        let may_stop = on_error == OnError::RollBack && self.may_fail;
        match rules.settings.memory_quota {
            None if !may_stop => Journal::new(),
            _ => Journal::undoable(),
        }
    }

    /// Whether a command of it may change data.
    pub fn may_write(&self) -> bool {
        self.commands.iter().any(|(command, _)| command.may_write())
    }

    /// Whether a command of it is refused while memory is exhausted.
    pub fn may_use_memory(&self) -> bool {
        self.commands.iter().any(|(command, _)| command.flags.has(Flags::DENYOOM))
    }

    fn argv<'a>(&'a self, data: &'a [u8], range: &core::ops::Range<u32>) -> Argv<'a> {
        Argv::new(data, &self.spans[range.start as usize..range.end as usize])
    }
}

/// Whether a plugin may see a key.
pub fn check_key(key: &[u8], grants: &Grants) -> Result<(), StepError> {
    if grants.allow_key(key) { Ok(()) } else { Err(StepError::AccessDenied(denied_key(key))) }
}

fn items<'a>(keys: Items<'a>) -> Result<impl Iterator<Item = &'a [u8]>, StepError> {
    keys.iter().ok_or_else(|| StepError::Other("the columns of the keys do not add up".to_string()))
}

fn denied_key(key: &[u8]) -> String {
    format!("key '{}' was not granted", String::from_utf8_lossy(&key[..key.len().min(128)]))
}

enum Refusal {
    Invalid(Error),
    Denied(String),
}

impl Refusal {
    fn at(self, index: u32) -> StepError {
        match self {
            Self::Invalid(error) => StepError::InvalidCommand(index, error.to_string()),
            Self::Denied(text) => StepError::AccessDenied(text),
        }
    }
}

fn check(
    argv: Argv<'_>,
    readonly: bool,
    grants: &Grants,
    registry: &Registry,
) -> Result<CommandRef, Refusal> {
    let Ok(Some(command)) = registry.resolve(argv) else {
        let name = String::from_utf8_lossy(argv.get(0)).into_owned();
        let error = Error::UnknownCommand { name, arguments: String::new() };
        return Err(Refusal::Invalid(error));
    };
    if !command.accepts(argv.len()) {
        return Err(Refusal::Invalid(Error::wrong_arity(&command)));
    }
    if !command.is_batchable() {
        return Err(Refusal::Invalid(Error::not_for_plugins(&command.full_name())));
    }
    if readonly && command.flags.has(Flags::WRITE) {
        return Err(Refusal::Invalid(Error::write_in_read(&command.full_name())));
    }
    if !grants.allow_command(command.id()) {
        return Err(Refusal::Denied(format!("command '{}' was not granted", command.full_name())));
    }
    Ok(command)
}

/// Whether a command that passed all checks is the one that `argv` names, with as many arguments as it
/// takes.
#[inline]
fn is_alike(checked: &CommandRef, argv: Argv<'_>) -> bool {
    checked.name.as_bytes() == argv.get(0)
        && checked.parent.is_empty()
        && checked.subcommands().is_empty()
        && checked.accepts(argv.len())
}

/// Whether this is a listing of keys whose pattern cannot match any that was not granted.
fn lists_granted_keys_only(command: &CommandRef, argv: Argv<'_>, grants: &Grants) -> bool {
    match &*command.name {
        "KEYS" => grants.allow_pattern(argv.get(1)),
        "SCAN" => {
            // Options come in pairs; of two patterns the last one counts.
            let mut names = (2..argv.len()).step_by(2).rev();
            let is_pattern = |name: &usize| argv.get(*name).eq_ignore_ascii_case(b"MATCH");
            let last = names.find(is_pattern).filter(|name| name + 1 < argv.len());
            last.is_some_and(|name| grants.allow_pattern(argv.get(name + 1)))
        }
        _ => false,
    }
}

fn check_keys(command: &CommandRef, argv: Argv<'_>, grants: &Grants) -> Result<(), StepError> {
    if command.flags.has(Flags::ALL_SHARDS)
        && !grants.allow_all_keys()
        && !lists_granted_keys_only(command, argv, grants)
    {
        let name = command.full_name();
        return Err(StepError::AccessDenied(format!("command '{name}' sees keys not granted")));
    }
    for pattern in command.keys.patterns(argv) {
        if !SortPattern::new(pattern).reaches_granted_keys_only(grants) {
            let shown = String::from_utf8_lossy(&pattern[..pattern.len().min(128)]);
            return Err(StepError::AccessDenied(format!("pattern '{shown}' was not granted")));
        }
    }
    let mut denied = None;
    command.keys.visit(argv, |position| {
        if !grants.allow_key(argv.get(position)) {
            denied = Some(position);
        }
    });
    match denied {
        Some(position) => Err(StepError::AccessDenied(denied_key(argv.get(position)))),
        None => Ok(()),
    }
}

impl Cx<'_> {
    /// Runs a read-only plan and appends the versions of `watch`. Shards are held.
    pub fn run_read(
        &mut self,
        plan: &Plan,
        data: &[u8],
        watch: Items<'_>,
        versions: &mut Vec<u64>,
    ) -> Result<(), StepError> {
        self.warm(plan, data);
        for (command, range) in &plan.commands {
            self.run(command, plan.argv(data, range));
        }
        for key in items(watch)? {
            versions.push(self.keys.version(key));
        }
        Ok(())
    }

    /// Checks the guards and runs the plan. Shards are held; to be able to roll back, the keyspace's
    /// journal must be [the plan's](Plan::journal), or one that can always undo.
    pub fn run_batch(&mut self, plan: &Plan, batch: &Batch<'_>) -> Result<Outcome, StepError> {
        self.warm(plan, batch.commands.data);
        let stale = self.stale_guards(&batch.guards)?;
        if !stale.is_empty() {
            return Ok(Outcome::Stale(stale));
        }
        let start = self.reply.mark();
        let (of_all, of_each) = match batch.on_error {
            OnError::RollBack => (self.bound(), None),
            OnError::KeepGoing => (None, self.bound()),
        };
        for (index, (command, range)) in plan.commands.iter().enumerate() {
            let mark = self.reply.mark();
            let argv = plan.argv(batch.commands.data, range);
            let result = match &of_each {
                Some(bound) => self.try_run_within(bound, command, argv),
                None => self.try_run(command, argv),
            };
            match result {
                Ok(()) if of_all.is_some_and(|bound| !self.is_within(&bound)) => {
                    self.keys.roll_back();
                    self.reply.rewind(start);
                    let text = of_all.map(|bound| bound.text()).unwrap_or_default();
                    return Err(StepError::QuotaExceeded(text));
                }
                Ok(()) => {}
                Err(error) if batch.on_error == OnError::RollBack => {
                    self.keys.roll_back();
                    self.reply.rewind(start);
                    return Err(StepError::RolledBack(index as u32, error.to_string()));
                }
                Err(error) => self.reply.error(&error.to_string()),
            }
            if batch.discard_replies {
                self.reply.rewind(mark);
            }
        }
        Ok(Outcome::Applied)
    }

    /// Fetches the first keys of a batch from memory all at once. Whether an argument is a key matters
    /// little: nothing depends on it.
    fn warm(&self, plan: &Plan, data: &[u8]) {
        if plan.commands.len() < 2 || self.keys.rules.shards > 1 {
            return;
        }
        let mut wanted = Wanted::default();
        for (_, range) in plan.commands.iter().take(Wanted::KEYS_MAX) {
            wanted.add(plan.argv(data, range).get(1), &self.keys.rules.hasher);
        }
        self.keys.warm(&wanted);
    }

    fn stale_guards(&mut self, guards: &Guards<'_>) -> Result<Vec<u32>, StepError> {
        let mut stale = Vec::new();
        if guards.keys.lengths.len() != guards.versions.len() {
            return Err(StepError::Other("the guards' columns do not add up".to_string()));
        }
        for (index, key) in items(guards.keys)?.enumerate() {
            if self.keys.version(key) != guards.versions[index] {
                stale.push(index as u32);
            }
        }
        for (index, key) in items(guards.absent)?.enumerate() {
            if self.keys.exists(key) {
                stale.push((guards.versions.len() + index) as u32);
            }
        }
        Ok(stale)
    }
}

/// A writer for the replies of a batch.
pub fn reply_columns() -> Writer {
    Writer::new(Protocol::Columns)
}
