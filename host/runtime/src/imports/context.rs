//! `reef:plugin/context`: the surroundings of a call. Nothing here reaches data.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::border::{Client, Level, Remaining};
use crate::desk;
use crate::journal::Author;
use crate::limits::LIFELINE_BYTES_MAX;
use crate::state::State;
use crate::texts;

/// The interface.
pub(crate) const NAME: &str = "reef:plugin/context@0.1.0";
/// Its functions.
pub(crate) const FUNCTIONS: [&str; 11] = [
    "now",
    "invoked-at",
    "random",
    "config",
    "tenant",
    "caller",
    "remaining",
    "incarnation",
    "watch-caller",
    "log",
    "counter-add",
];

type Cx<'a> = StoreContextMut<'a, State>;

/// Adds the interface to a linker. Every function counts as a host call.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(NAME)?;
    instance.func_wrap("now", |mut cx: Cx<'_>, ()| Ok((counted(&mut cx)?.now_ms(),)))?;
    instance.func_wrap("invoked-at", |mut cx: Cx<'_>, ()| Ok((counted(&mut cx)?.invoked_ms(),)))?;
    instance.func_wrap("random", |mut cx: Cx<'_>, ()| Ok((counted(&mut cx)?.random()?,)))?;
    instance.func_wrap("config", |cx: Cx<'_>, (key,)| config(cx, &key))?;
    instance.func_wrap("tenant", |mut cx: Cx<'_>, ()| {
        Ok((Arc::clone(&counted(&mut cx)?.terms.services.tenant),))
    })?;
    instance.func_wrap("caller", |mut cx: Cx<'_>, ()| {
        let caller = &counted(&mut cx)?.caller;
        let user = Arc::clone(&caller.user);
        Ok((Client { id: caller.client_id, user, database: caller.database },))
    })?;
    instance.func_wrap("remaining", |mut cx: Cx<'_>, ()| Ok((remaining(counted(&mut cx)?),)))?;
    instance.func_wrap("incarnation", |mut cx: Cx<'_>, ()| {
        Ok((counted(&mut cx)?.terms.plugin.incarnation,))
    })?;
    instance.func_wrap("watch-caller", |cx: Cx<'_>, (key,)| watch_caller(cx, &key))?;
    instance.func_wrap("log", |cx: Cx<'_>, (level, text)| log(cx, level, &text))?;
    instance.func_wrap("counter-add", |cx: Cx<'_>, (name, delta)| counter_add(cx, &name, delta))?;
    Ok(())
}

/// The state, after one host call was counted.
fn counted<'a>(cx: &'a mut Cx<'_>) -> wasmtime::Result<&'a mut State> {
    let state = cx.data_mut();
    state.meter.alive()?;
    state.meter.count()?;
    Ok(state)
}

fn config(mut cx: Cx<'_>, key: &WasmStr) -> wasmtime::Result<(Option<Arc<str>>,)> {
    counted(&mut cx)?;
    let key = key.to_str(&cx)?;
    Ok((cx.data().terms.config.get(key.as_ref()).cloned(),))
}

fn remaining(state: &State) -> Remaining {
    let (host_calls, bytes) = state.meter.left();
    let budget_us = u64::from(state.terms.limits.cpu_ms) * 1_000;
    let spent_us = desk::spent().as_micros() as u64;
    Remaining { cpu_us: budget_us.saturating_sub(spent_us), host_calls, bytes }
}

fn watch_caller(
    mut cx: Cx<'_>,
    key: &WasmList<u8>,
) -> wasmtime::Result<(Result<(), &'static str>,)> {
    counted(&mut cx)?;
    let key = key.as_le_slice(&cx);
    if key.len() > LIFELINE_BYTES_MAX {
        return Ok((Err("the key is too long"),));
    }
    let key: Box<[u8]> = key.into();
    if cx.data_mut().meter.carry(key.len() as u64).is_err() {
        return Ok((Err(texts::QUOTA_BYTES),));
    }
    let State { terms, caller, .. } = cx.data();
    if !terms.hears_departure(&key) {
        return Ok((Err("no trigger wants to hear of `disconnected` of this key"),));
    }
    Ok((terms.services.lifelines.tie(&terms.plugin, caller, key),))
}

fn log(mut cx: Cx<'_>, level: Level, text: &WasmStr) -> wasmtime::Result<()> {
    let at_ms = counted(&mut cx)?.now_ms();
    let text = text.to_str(&cx)?;
    cx.data().terms.plugin.journal.write(Author::Plugin, at_ms, level, &text);
    Ok(())
}

fn counter_add(mut cx: Cx<'_>, name: &WasmStr, delta: u64) -> wasmtime::Result<()> {
    counted(&mut cx)?;
    let name = name.to_str(&cx)?;
    let plugin = &cx.data().terms.plugin;
    plugin.counters.add(&name, delta);
    Ok(())
}
