//! `reef:plugin/engine`: the guest's way to the keyspace.
//!
//! Commands are not copied on their way to the backend: they are read where the guest put them.
//! Whether columns add up is the backend's to check, in its one pass over them.

use std::sync::Arc;

use reef_engine::backend::{Batch, CommandColumns, Guards, Items, OnError, Outcome, StepError};
use reef_resp::Writer;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use crate::border::{
    self, BatchIn, BatchOutcome, CommandError, CommandsIn, EngineError, ItemsIn, View,
};
use crate::failure::Stopped;
use crate::plugin::Services;
use crate::state::State;
use crate::texts;

/// The interface.
pub(crate) const NAME: &str = "reef:plugin/engine@0.1.0";
/// Its functions.
pub(crate) const FUNCTIONS: [&str; 4] = ["read", "apply", "apply-quietly", "waiting"];

type Cx<'a> = StoreContextMut<'a, State>;
type Answer<T> = wasmtime::Result<(Result<T, EngineError>,)>;

/// Adds the interface to a linker.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(NAME)?;
    instance.func_wrap("read", |cx: Cx<'_>, (commands, watch)| read(cx, &commands, &watch))?;
    instance.func_wrap("apply", |cx: Cx<'_>, (batch,)| apply(cx, &batch))?;
    instance.func_wrap("apply-quietly", |cx: Cx<'_>, (batch,)| apply_quietly(cx, &batch))?;
    instance.func_wrap("waiting", |cx: Cx<'_>, (key,)| waiting(cx, &key))?;
    Ok(())
}

fn read(mut cx: Cx<'_>, commands: &CommandsIn, watch: &ItemsIn) -> Answer<Arc<View>> {
    let meter = &mut cx.data_mut().meter;
    meter.alive()?;
    if let Err(error) = meter.step(commands.bytes() + watch.bytes()) {
        return Ok((Err(error),));
    }
    let mut scratch = cx.data_mut().take_scratch();
    let (writer, versions) = scratch.parts();
    let state = cx.data();
    let result = state.terms.services.backend.read(
        &state.caller,
        &state.terms.grants,
        commands.columns(&cx),
        watch.items(&cx),
        writer,
        versions,
    );
    let state = cx.data_mut();
    let answer = match result {
        Ok(()) => {
            state.meter.received(scratch.bytes());
            Ok(scratch.view())
        }
        Err(StepError::Stopped) => return Err(Stopped::Killed.into()),
        Err(error) => Err(error.into()),
    };
    state.give_back(scratch);
    state.terms.services.ticker.touch();
    Ok((answer,))
}

fn apply(mut cx: Cx<'_>, batch: &BatchIn) -> Answer<BatchOutcome> {
    let mut scratch = cx.data_mut().take_scratch();
    let result = run(&mut cx, batch, batch.discard_replies, scratch.parts().0);
    let state = cx.data_mut();
    let answer = result.map(|stale| {
        stale.map(|stale| match stale {
            Some(guards) => BatchOutcome::Stale(guards),
            None => {
                state.meter.received(scratch.bytes());
                BatchOutcome::Applied(scratch.replies())
            }
        })
    });
    state.give_back(scratch);
    Ok((answer?,))
}

fn apply_quietly(mut cx: Cx<'_>, batch: &BatchIn) -> Answer<Option<Vec<u32>>> {
    let mut scratch = cx.data_mut().take_scratch();
    let answer = run(&mut cx, batch, true, scratch.parts().0);
    cx.data_mut().give_back(scratch);
    Ok((answer?,))
}

/// Runs a batch. Gives the guards that do not hold, if nothing was done.
fn run(
    cx: &mut Cx<'_>,
    batch: &BatchIn,
    discard_replies: bool,
    replies: &mut Writer,
) -> wasmtime::Result<Result<Option<Vec<u32>>, EngineError>> {
    let meter = &mut cx.data_mut().meter;
    meter.alive()?;
    if let Err(error) = meter.step(batch.bytes()) {
        return Ok(Err(error));
    }
    meter.batch();
    let state = cx.data();
    if state.is_reacting {
        return Ok(Err(EngineError::Other(texts::REACTION_APPLIES.into())));
    }
    let Services { backend, ticker, .. } = &*state.terms.services;
    let batch = Batch { discard_replies, ..batch.borrow(cx) };
    let result = backend.apply(&state.caller, &state.terms.grants, &batch, replies);
    ticker.touch();
    match result {
        Ok(Outcome::Applied) => Ok(Ok(None)),
        Ok(Outcome::Stale(guards)) => {
            cx.data_mut().meter.conflict();
            Ok(Ok(Some(guards)))
        }
        Err(StepError::Stopped) => Err(Stopped::Killed.into()),
        Err(error) => Ok(Err(error.into())),
    }
}

fn waiting(mut cx: Cx<'_>, key: &WasmList<u8>) -> Answer<u64> {
    let meter = &mut cx.data_mut().meter;
    meter.alive()?;
    if let Err(error) = meter.step(key.len() as u64) {
        return Ok((Err(error),));
    }
    let state = cx.data();
    let backend = &state.terms.services.backend;
    let waiting = backend.waiting(&state.caller, &state.terms.grants, key.as_le_slice(&cx));
    Ok((waiting.map_err(EngineError::from),))
}

impl ItemsIn {
    fn bytes(&self) -> u64 {
        (4 * self.lengths.len() + self.data.len()) as u64
    }

    fn items<'a>(&self, cx: &'a Cx<'_>) -> Items<'a> {
        Items { lengths: self.lengths.as_le_slice(cx), data: self.data.as_le_slice(cx) }
    }
}

impl CommandsIn {
    fn bytes(&self) -> u64 {
        (4 * (self.counts.len() + self.lengths.len()) + self.data.len()) as u64
    }

    fn columns<'a>(&self, cx: &'a Cx<'_>) -> CommandColumns<'a> {
        CommandColumns {
            counts: self.counts.as_le_slice(cx),
            lengths: self.lengths.as_le_slice(cx),
            data: self.data.as_le_slice(cx),
        }
    }
}

impl BatchIn {
    fn bytes(&self) -> u64 {
        let guards = &self.guards;
        let versions = 8 * guards.versions.len() as u64;
        self.commands.bytes() + guards.keys.bytes() + guards.absent.bytes() + versions
    }

    fn borrow<'a>(&self, cx: &'a Cx<'_>) -> Batch<'a> {
        Batch {
            guards: Guards {
                keys: self.guards.keys.items(cx),
                versions: self.guards.versions.as_le_slice(cx),
                absent: self.guards.absent.items(cx),
            },
            commands: self.commands.columns(cx),
            on_error: match self.on_error {
                border::OnError::RollBack => OnError::RollBack,
                border::OnError::KeepGoing => OnError::KeepGoing,
            },
            discard_replies: self.discard_replies,
        }
    }
}

impl From<StepError> for EngineError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::AccessDenied(text) => Self::AccessDenied(text),
            StepError::InvalidCommand(index, text) => {
                Self::InvalidCommand((index, CommandError::parse(&text)))
            }
            StepError::RolledBack(index, text) => {
                Self::RolledBack((index, CommandError::parse(&text)))
            }
            StepError::BatchTooLarge => Self::BatchTooLarge,
            StepError::OutOfMemory => Self::OutOfMemory,
            StepError::QuotaExceeded(name) => Self::QuotaExceeded(name),
            StepError::CrossSlot => Self::CrossSlot,
            StepError::ReadOnly(text) => Self::ReadOnly(text),
            // It stops the guest, which never sees this.
            StepError::Stopped => Self::Other(String::new()),
            StepError::Other(text) => Self::Other(text),
        }
    }
}

impl CommandError {
    /// Takes `CODE message` apart.
    fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some((code, message)) if code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Self { code: code.into(), message: message.into() }
            }
            _ => Self { code: "ERR".into(), message: text.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_text_is_taken_apart_at_its_code() {
        for (text, code, message) in [
            ("WRONGTYPE Operation", "WRONGTYPE", "Operation"),
            ("ERR a b", "ERR", "a b"),
            ("no code here", "ERR", "no code here"),
            ("", "ERR", ""),
        ] {
            let error = CommandError::parse(text);
            assert_eq!((error.code.as_str(), error.message.as_str()), (code, message));
        }
    }
}
