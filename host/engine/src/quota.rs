//! A quota of memory, as a step sees it: what would exceed it is taken back.
//!
//! Gates refuse what needs memory when too much is used *before* it; but one command may be hundreds of
//! megabytes, and a batch may copy a value a hundred thousand times. So where there is a quota
//! ([`Settings::memory_quota`]) the shards of a step are looked at after each command that writes: if they
//! have grown, and all data with them takes more than there may be, the command never happened, or the
//! whole batch if that is all or nothing. What shrinks, or stays as it is, passes at any time.
//!
//! Without a quota nothing here runs. What a primary or a log says is never refused.
//!
//! [`Settings::memory_quota`]: crate::settings::Settings::memory_quota

use alloc::string::{String, ToString};

use reef_resp::Argv;

use crate::error::{Error, over_quota_text};
use crate::registry::CommandRef;
use crate::step::{Answer, Cx};
use crate::tenancy::MemoryQuota;

/// What the shards of a step took when it began, and what all data may take.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    bytes_before: usize,
    quota: MemoryQuota,
}

impl Bound {
    /// What is said of a batch that exceeds it.
    pub(crate) fn text(&self) -> String {
        over_quota_text(self.quota.used_up())
    }
}

impl Cx<'_> {
    /// What this step has to keep to, if its data has a quota. To be asked when it begins.
    pub fn bound(&self) -> Option<Bound> {
        let quota = self.keys.rules.settings.memory_quota?;
        let is_bound = !self.session.obeys_primary;
        is_bound.then(|| Bound { bytes_before: self.held_bytes(), quota })
    }

    /// Runs a command whose shards are held, and writes its reply or error, as [`run`](Self::run) does;
    /// but if that exceeds the quota, it has not run.
    pub fn run_within(&mut self, bound: Option<Bound>, command: &CommandRef, argv: Argv<'_>) {
        let Some(bound) = bound.filter(|_| command.is_undoable() && command.may_write()) else {
            return self.run(command, argv);
        };
        let mark = self.reply.mark();
        if let Err(error) = self.try_run_within(&bound, command, argv) {
            self.reply.rewind(mark);
            self.reply.error(&error.to_string());
        }
        self.end_caching_after(command);
    }

    /// Runs a command; in case of an error nothing is written to the reply, and if the error is the
    /// quota's, nothing is changed.
    pub(crate) fn try_run_within(
        &mut self,
        bound: &Bound,
        command: &CommandRef,
        argv: Argv<'_>,
    ) -> Result<(), Error> {
        let (mark, bytes_before) = (self.reply.mark(), self.held_bytes());
        let beginning = self.keys.begin();
        let result = self.try_run(command, argv);
        // What is smaller than it was may stay, however much others take. Who waits has got nothing yet.
        let waits = !matches!(self.answer, Answer::Now);
        if waits || self.held_bytes() <= bytes_before || self.is_within(bound) {
            self.keys.keep(beginning);
            return result;
        }
        self.keys.take_back(beginning);
        self.reply.rewind(mark);
        Err(Error::over_quota(bound.quota.used_up()))
    }

    /// Whether the step, as far as it has come, is within its bound.
    pub(crate) fn is_within(&mut self, bound: &Bound) -> bool {
        let growth = self.held_bytes().saturating_sub(bound.bytes_before);
        growth == 0 || self.host.may_grow(growth, bound.quota.most())
    }

    /// Refuses a string that is longer than all data may be, before memory is taken for it.
    pub(crate) fn check_quota_of_string(&mut self, len: usize) -> Result<(), Error> {
        let quota = self.keys.rules.settings.memory_quota.filter(|quota| len > quota.most());
        match quota {
            Some(quota)
                if !self.session.obeys_primary && !self.host.may_grow(len, quota.most()) =>
            {
                Err(Error::over_quota(quota.used_up()))
            }
            _ => Ok(()),
        }
    }

    /// Bytes that the shards of the step take.
    pub(crate) fn held_bytes(&self) -> usize {
        self.keys.shards().iter().map(|(_, shard)| shard.heap_bytes()).sum()
    }
}
