//! The server as a plugin sees it, and the retry loop over it.
//!
//! [`Host`] is the one seam of the SDK: [`Component`](crate::Component) implements it over the
//! component's imports, `fake::Server` in memory.

use crate::bindings::reef::plugin::context::{Budget, Client, Level};
use crate::bindings::reef::plugin::engine::{Outcome, View};
use crate::{Batch, EngineError, Error, Query, Result};

/// The keyspace and the surroundings of a call.
pub trait Host {
    /// Runs read-only commands and reads versions, all at one instant.
    fn read(&mut self, query: &Query) -> Result<View, EngineError>;

    /// Checks the guards and runs the commands, as one step.
    fn apply(&mut self, batch: &Batch) -> Result<Outcome, EngineError>;

    /// How many clients wait for a key just now, in blocking commands or parked calls.
    fn waiting(&mut self, key: &[u8]) -> Result<u64, EngineError>;

    /// Milliseconds since 1970. It does not move while the call runs.
    fn now_ms(&mut self) -> u64;

    /// Milliseconds since 1970 when the client called: [`Host::now_ms`] of the first call, also in
    /// those that follow when it has parked. Deadlines count from here.
    fn invoked_ms(&mut self) -> u64;

    /// 64 random bits.
    fn random(&mut self) -> u64;

    /// One value of the plugin's configuration.
    fn config(&mut self, key: &str) -> Option<String>;

    /// The tenant on whose behalf the call runs; empty for the default tenant.
    fn tenant(&mut self) -> String;

    /// Who called.
    fn caller(&mut self) -> Client;

    /// The number of this life of the plugin: another one after it was unloaded or the server restarted.
    fn incarnation(&mut self) -> u64;

    /// When the client that called has gone, tells the plugin's trigger of an event `disconnected` of
    /// this key, once.
    ///
    /// The client may go while the call runs: who keeps something under the key calls this before
    /// (it may be refused) and after (it may have been told too early).
    fn watch_caller(&mut self, key: &[u8]) -> Result<()>;

    /// What is left of the budgets of this call.
    fn remaining(&mut self) -> Budget;

    /// Writes one line to the plugin's log.
    fn log(&mut self, level: Level, message: &str);

    /// Adds to one of the plugin's counters.
    fn count(&mut self, counter: &str, delta: u64);
}

/// How one round of [`transact`] ended.
#[derive(Debug)]
pub enum Attempt<T> {
    /// This is the result.
    Done(T),
    /// A guard did not hold: read again, decide again.
    Stale,
}

/// How often [`transact`] tries before it gives up. On a server that serves others from a second thread
/// without a pause, most rounds of a long call are lost; of a hundred thousand calls of which each may lose
/// a hundred rounds in a row, none is to fail. A call's budget of CPU time ends what never ends.
pub const RETRY_ROUNDS_MAX: u32 = 1_000;

/// Runs a read-decide-apply round until its guards hold, at most [`RETRY_ROUNDS_MAX`] times.
///
/// The round must start from a fresh [`Host::read`] each time. Between a read and its batch other
/// clients run, so a lost race is normal; losing every one of many is [`Error::CONTENDED`].
pub fn transact<T>(
    host: &mut dyn Host,
    mut round: impl FnMut(&mut dyn Host) -> Result<Attempt<T>>,
) -> Result<T> {
    for _ in 0..RETRY_ROUNDS_MAX {
        if let Attempt::Done(result) = round(host)? {
            return Ok(result);
        }
    }
    Err(Error::CONTENDED)
}
