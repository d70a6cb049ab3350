//! A component that was linked and found to be a sink: it imports nothing, or what the standard library
//! of its language drags in.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, TypedFunc};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap, UpdateDeadline};

use super::border::{DescribeParameters, DescribeResult, TransformParameters, TransformResult};
use crate::border::Level;
use crate::imports::wasi::{self, Surroundings};
use crate::limits::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX};
use crate::machine::Machine;
use crate::places::Places;
use crate::program::weight;
use crate::stopwatch::thread_cpu;
use crate::texts;
use crate::ticker::Ticker;

/// The exported interface of a sink.
const SINK: &str = "reef:plugin/sink@0.1.0";

/// Ready to be instantiated.
pub(super) struct SinkProgram {
    pre: InstancePre<Bounds>,
    describe: ComponentExportIndex,
    transform: ComponentExportIndex,
    /// Where its instances have to find room, and how much each needs.
    pub(super) places: Arc<Places>,
    pub(super) weight: u32,
}

/// The entry points of an instance.
pub(super) struct Entry {
    pub(super) describe: TypedFunc<DescribeParameters<'static>, DescribeResult>,
    pub(super) transform: TypedFunc<TransformParameters<'static>, TransformResult>,
}

/// What an instance may use, and the nothing that it sees of its host: no time, and numbers that are
/// the same each time.
pub(super) struct Bounds {
    limits: StoreLimits,
    random: u64,
    ticker: Arc<Ticker>,
    /// The CPU time of the thread at which the call under way has to be over.
    over_at: Duration,
}

/// Ticks of the epoch, at most milliseconds, after which it is looked how long a call has taken. Short enough
/// for the ticker not to fall asleep in between.
const TICKS_BETWEEN_LOOKS: u64 = 8;

impl SinkProgram {
    /// Links a component. The error is what the operator sees.
    pub(super) fn new(machine: &Machine, component: &Component) -> Result<Self, String> {
        let mut linker = Linker::new(&machine.engine);
        for (name, item) in component.component_type().imports(&machine.engine) {
            let ComponentItem::ComponentInstance(instance) = item.ty else {
                return Err(texts::forbidden_import(name));
            };
            if !wasi::is_wasi(name) {
                // Types that the interface uses are an import without functions.
                let has_functions = instance
                    .exports(&machine.engine)
                    .any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
                if has_functions {
                    return Err(texts::forbidden_import(name));
                }
                continue;
            }
            wasi::link(&mut linker, &machine.engine, name, &instance)
                .map_err(|error| texts::wrong_interface(&error.to_string()))?;
        }
        let export = |name: &str| {
            let interface = component.get_export_index(None, SINK)?;
            component.get_export_index(Some(&interface), name)
        };
        let (Some(describe), Some(transform)) = (export("describe"), export("transform")) else {
            return Err(texts::missing_export(SINK));
        };
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| texts::wrong_interface(&error.root_cause().to_string()))?;
        let (places, weight) = (Arc::clone(&machine.places), weight(component));
        Ok(Self { pre, describe, transform, places, weight })
    }

    /// A store for an instance that may have this much memory.
    pub(super) fn store(&self, memory_bytes: u64, ticker: &Arc<Ticker>) -> Store<Bounds> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(usize::try_from(memory_bytes).unwrap_or(usize::MAX))
            .table_elements(TABLE_ELEMENTS_MAX)
            .instances(CORE_INSTANCES_MAX)
            .memories(MEMORIES_MAX)
            .tables(MEMORIES_MAX)
            .build();
        let (ticker, over_at) = (Arc::clone(ticker), Duration::ZERO);
        let bounds = Bounds { limits, random: 0, ticker, over_at };
        let mut store = Store::new(self.pre.engine(), bounds);
        store.limiter(|bounds| &mut bounds.limits);
        store.epoch_deadline_callback(|store| store.data().look());
        store
    }

    /// Instantiates it in a store.
    pub(super) fn start(&self, store: &mut Store<Bounds>) -> wasmtime::Result<Entry> {
        let instance = self.pre.instantiate(&mut *store)?;
        Ok(Entry {
            describe: instance.get_typed_func(&mut *store, self.describe)?,
            transform: instance.get_typed_func(&mut *store, self.transform)?,
        })
    }
}

/// A call begins that may take this much CPU time of this thread.
pub(super) fn arm(store: &mut Store<Bounds>, cpu: Duration) {
    let bounds = store.data_mut();
    bounds.ticker.touch();
    bounds.over_at = thread_cpu() + cpu;
    store.set_epoch_deadline(TICKS_BETWEEN_LOOKS);
}

impl Bounds {
    fn look(&self) -> wasmtime::Result<UpdateDeadline> {
        self.ticker.touch();
        if thread_cpu() < self.over_at {
            return Ok(UpdateDeadline::Continue(TICKS_BETWEEN_LOOKS));
        }
        Err(Trap::Interrupt.into())
    }
}

impl Surroundings for Bounds {
    fn count(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }

    fn now_ms(&mut self) -> u64 {
        0
    }

    /// SplitMix64 from zero: what a language's hash tables want is spread, not secrecy.
    fn random(&mut self) -> wasmtime::Result<u64> {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn print(&mut self, _: Level, line: &str) {
        tracing::debug!(target: "sink", "{line}");
    }
}
