//! The backend of the kit: the engine behind one lock, and faults around every step.
//!
//! Triggers are told on threads of their own. What they do waits until the test's turn is over, so that
//! nothing happens in the midst of a command.
//!
//! Invariants: the lock is held for one step, never while guest code runs; whoever takes the turn does so
//! before the lock.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use reef_engine::backend::{Backend, Batch, Caller, CommandColumns, Items, Outcome, StepError};
use reef_engine::command::Command;
use reef_engine::grants::Grants;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_engine::triggers::{Origin, Trigger};
use reef_resp::Writer;

use crate::data::Data;
use crate::faults::{Faults, Moment, Trace};

/// What the lock guards.
pub(crate) struct State {
    pub(crate) solo: Solo,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    /// The client that writes in between.
    rival: u64,
}

/// The engine, as a runtime sees it.
pub(crate) struct World {
    state: Mutex<State>,
    /// Who may take steps: the test, with its clients' calls, or triggers.
    turn: Mutex<()>,
}

/// What the engine's hash tables and random commands start from.
const SEED: u64 = 7;

impl World {
    /// An empty engine with so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        let settings = Settings { debug_commands: true, ..Settings::default() };
        let mut solo = Solo::new(SEED, shards, settings);
        let rival = solo.connect();
        let (faults, trace) = (Faults::default(), Trace::default());
        Self { state: Mutex::new(State { solo, faults, trace, rival }), turn: Mutex::new(()) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Keeps triggers waiting for as long as it is held.
    pub(crate) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }
}

impl State {
    pub(crate) fn data(&self) -> Data {
        Data(self.solo.digest())
    }

    /// Runs one step of a plugin, with what shall happen around it.
    fn step<R>(
        &mut self,
        run: impl FnOnce(&mut Solo) -> Result<R, StepError>,
        took_effect: impl FnOnce(&R) -> bool,
    ) -> Result<R, StepError> {
        self.trace.host_calls += 1;
        let number = self.trace.host_calls;
        if let Some(race) = self.faults.races.remove(&number) {
            for argv in &race.commands {
                let _ = self.solo.run(self.rival, argv.as_argv());
            }
        }
        if self.faults.kills(number, Moment::Before) {
            return self.stop();
        }
        let before = self.faults.watched.then(|| self.data());
        let result = run(&mut self.solo);
        let effective = result.as_ref().is_ok_and(took_effect);
        if let Some(before) = before.filter(|_| !effective) {
            let keys = self.data().differing_keys(&before);
            if !keys.is_empty() {
                self.trace.torn = Some(format!("host call {number}: {}", keys.join(" ")));
            }
        }
        self.trace.batches += usize::from(effective);
        if self.faults.watched && effective {
            self.trace.settled = Some(self.data());
        }
        if self.faults.kills(number, Moment::After) {
            return self.stop();
        }
        result
    }

    fn stop<R>(&mut self) -> Result<R, StepError> {
        self.trace.killed = true;
        Err(StepError::Stopped)
    }
}

impl Backend for World {
    fn read(
        &self,
        caller: &Caller,
        grants: &Grants,
        commands: CommandColumns<'_>,
        watch: Items<'_>,
        replies: &mut Writer,
        versions: &mut Vec<u64>,
    ) -> Result<(), StepError> {
        let mut read =
            |solo: &mut Solo| solo.read(caller, grants, commands, watch, replies, versions);
        if is_trigger(caller) {
            let _turn = self.take_turn();
            return read(&mut self.lock().solo);
        }
        self.lock().step(read, |()| false)
    }

    fn apply(
        &self,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        replies: &mut Writer,
    ) -> Result<Outcome, StepError> {
        let mut state = self.lock();
        let apply = |solo: &mut Solo| solo.apply(caller, grants, batch, replies);
        let result = state.step(apply, |outcome| *outcome == Outcome::Applied);
        state.trace.stale += usize::from(matches!(result, Ok(Outcome::Stale(_))));
        result
    }

    fn waiting(&self, caller: &Caller, grants: &Grants, key: &[u8]) -> Result<u64, StepError> {
        if is_trigger(caller) {
            let _turn = self.take_turn();
            return self.lock().solo.waiting(caller, grants, key);
        }
        self.lock().step(|solo| solo.waiting(caller, grants, key), |_| false)
    }

    fn set_triggers(&self, triggers: Vec<Trigger>) {
        self.lock().solo.set_triggers(triggers);
    }

    fn databases(&self) -> u32 {
        Settings::default().databases
    }

    fn apply_effects(
        &self,
        origin: &Origin,
        caller: &Caller,
        grants: &Grants,
        batch: &Batch<'_>,
        acknowledgement: &[Vec<Vec<u8>>],
    ) -> Result<Outcome, StepError> {
        let _turn = self.take_turn();
        let mut state = self.lock();
        let outcome = state.solo.apply_effects(origin, caller, grants, batch, acknowledgement)?;
        if state.trace.killed || state.trace.settled.is_some() {
            // What follows from a call is not left by who was killed.
            state.trace.settled = Some(state.data());
        }
        Ok(outcome)
    }

    fn set_plugin_commands(&self, commands: Vec<Arc<Command>>) -> Result<(), String> {
        self.lock().solo.set_plugin_commands(&commands)
    }

    fn now_ms(&self) -> u64 {
        self.lock().solo.now().get()
    }
}

/// Whether a step is a trigger's: those of clients' calls are about a client.
fn is_trigger(caller: &Caller) -> bool {
    caller.client_id == Caller::nobody(0).client_id
}
