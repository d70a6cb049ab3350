//! What a command that has ended leaves behind in counters and logs.
//!
//! A command that waits ends when its client is told something, and is counted then. How long it
//! waited is nobody's work, so only its beginning counts as its time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reef_engine::command::Command;
use reef_resp::Argv;

use crate::connection::{Connection, Waiting};
use crate::server::Shared;
use crate::statistics::Statistics;
use crate::timing::Amounts;

/// Where a worker counts.
pub(crate) struct Tally<'a> {
    shared: &'a Arc<Shared>,
    statistics: &'a Statistics,
    /// Whether times enter the histograms.
    tracking: bool,
}

impl<'a> Tally<'a> {
    pub(crate) fn of(shared: &'a Arc<Shared>, statistics: &'a Statistics, tracking: bool) -> Self {
        Self { shared, statistics, tracking }
    }

    /// Counts a command that is answered. `run` is its index in the table, if it ran at all.
    #[inline]
    pub(crate) fn count(
        &self,
        run: Option<u16>,
        argv: Argv<'_>,
        amounts: Amounts,
        error: Option<&[u8]>,
        connection: &Connection,
    ) {
        if let Some(error) = error {
            self.count_error(error);
        }
        match run {
            Some(id) => {
                // Which commands its plugins have is a tenant's own business.
                if connection.card.tenant().is_none() || self.shared.is_native(id) {
                    self.statistics.count(id, error.is_some(), amounts.took, self.tracking);
                }
                let store = connection.card.store(self.shared);
                if store.slow().notes(&amounts)
                    && let Some(command) = store.registry().by_id(id)
                {
                    self.note_slow(command, argv, amounts, connection);
                }
            }
            None if error.is_some() && connection.card.tenant().is_none() => {
                self.statistics.count_rejected(&self.shared.store.registry(), argv);
            }
            None => {}
        }
    }

    /// Counts a reply that came later: the end of a wait, or what a plugin's call came to, which
    /// itself is counted already.
    pub(crate) fn count_late(
        &self,
        waited: Option<Waiting>,
        reply: &[u8],
        connection: &Connection,
    ) {
        let error = reply.starts_with(b"-").then_some(reply);
        if let Some(Waiting { waiter, took: Some(took), .. }) = waited {
            let (id, argv) = (waiter.command.id(), waiter.argv.as_argv());
            let request_bytes = argv.iter().map(<[u8]>::len).sum();
            let amounts = Amounts { took, request_bytes, reply_bytes: reply.len() };
            self.count(Some(id), argv, amounts, error, connection);
        } else if let Some(error) = error {
            self.count_error(error);
            let command = connection.card.command.load(Ordering::Relaxed);
            if connection.card.tenant().is_none() || self.shared.is_native(command) {
                self.statistics.of(command).failed.add(1);
            }
        }
    }

    fn count_error(&self, error: &[u8]) {
        self.statistics.errors.add(1);
        self.shared.count_error(error);
    }

    #[cold]
    fn note_slow(
        &self,
        command: &Command,
        argv: Argv<'_>,
        amounts: Amounts,
        connection: &Connection,
    ) {
        connection.update_labels();
        let client = (connection.session.id, &**connection.card.store(self.shared));
        self.shared.note_slow((command, argv), amounts, client);
    }
}
