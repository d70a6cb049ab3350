//! A component that was linked and found to be a command plugin.

use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, TypedFunc};
use wasmtime::{Engine, Store};

use crate::border::{
    CallParameters, CallResult, DescribeResult, ReactParameters, ReactResult, SubscribeResult,
};
use crate::imports;
use crate::machine::{Machine, PARTS_PER_COMPONENT};
use crate::places::Places;
use crate::state::State;
use crate::texts;

/// The exported interface of a command plugin.
const HANDLER: &str = "reef:plugin/handler@0.1.0";
/// What it may export beside it.
const TRIGGERS: &str = "reef:plugin/triggers@0.1.0";

/// Ready to be instantiated.
pub(crate) struct Program {
    pre: InstancePre<State>,
    describe: ComponentExportIndex,
    call: ComponentExportIndex,
    /// `subscribe` and `react`, if it has triggers.
    triggers: Option<(ComponentExportIndex, ComponentExportIndex)>,
    /// Where its instances have to find room, and how much each needs.
    pub(crate) places: Arc<Places>,
    pub(crate) weight: u32,
}

/// The entry points of an instance.
pub(crate) struct Handler {
    pub(crate) describe: TypedFunc<(), DescribeResult>,
    pub(crate) call: TypedFunc<CallParameters<'static>, CallResult>,
    pub(crate) triggers: Option<Reactor>,
}

/// The entry points of triggers.
pub(crate) struct Reactor {
    pub(crate) subscribe: TypedFunc<(), SubscribeResult>,
    pub(crate) react: TypedFunc<ReactParameters<'static>, ReactResult>,
}

impl Program {
    /// Links a component. The error is what the client sees.
    pub(crate) fn new(machine: &Machine, component: &Component) -> Result<Self, String> {
        let mut linker = machine.linker.clone();
        let ty = component.component_type();
        for (name, item) in ty.imports(&machine.engine) {
            let ComponentItem::ComponentInstance(instance) = item.ty else {
                return Err(texts::forbidden_import(name));
            };
            if imports::wasi::is_wasi(name) {
                imports::wasi::link(&mut linker, &machine.engine, name, &instance)
                    .map_err(|error| texts::wrong_interface(&error.to_string()))?;
                continue;
            }
            let functions =
                imports::functions(name).ok_or_else(|| texts::forbidden_import(name))?;
            for (function, _) in instance.exports(&machine.engine) {
                let is_type = !matches!(
                    instance.get_export(&machine.engine, function).map(|item| item.ty),
                    Some(ComponentItem::ComponentFunc(_))
                );
                if !is_type && !functions.contains(&function) {
                    return Err(texts::forbidden_import(&format!("{name}#{function}")));
                }
            }
        }
        let export = |interface: &str, name: &str| {
            let interface = component.get_export_index(None, interface)?;
            component.get_export_index(Some(&interface), name)
        };
        let describe = export(HANDLER, "describe");
        let call = export(HANDLER, "call");
        let triggers = export(TRIGGERS, "subscribe").zip(export(TRIGGERS, "react"));
        let (Some(describe), Some(call)) = (describe, call) else {
            return Err(texts::missing_export(HANDLER));
        };
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| texts::wrong_interface(&error.root_cause().to_string()))?;
        let (places, weight) = (Arc::clone(&machine.places), weight(component));
        Ok(Self { pre, describe, call, triggers, places, weight })
    }

    /// Whether it wants to hear of what happens to keys.
    pub(crate) fn has_triggers(&self) -> bool {
        self.triggers.is_some()
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// Instantiates it in a store.
    pub(crate) async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<Handler> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let triggers = match self.triggers {
            Some((subscribe, react)) => Some(Reactor {
                subscribe: instance.get_typed_func(&mut *store, subscribe)?,
                react: instance.get_typed_func(&mut *store, react)?,
            }),
            None => None,
        };
        Ok(Handler {
            triggers,
            describe: instance.get_typed_func(&mut *store, self.describe)?,
            call: instance.get_typed_func(&mut *store, self.call)?,
        })
    }
}

/// How many ordinary instances need as much as one of this component.
pub(crate) fn weight(component: &Component) -> u32 {
    let wanted = component.resources_required();
    wanted.map_or(1, |wanted| {
        wanted.num_memories.max(wanted.num_tables.div_ceil(PARTS_PER_COMPONENT)).max(1)
    })
}
