//! The wasmtime engine and what every component is linked against.
//!
//! Instances come from a pool of address space when there is enough of it, from the operating
//! system one by one otherwise: that is tried out when the machine is built.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::imports;
use crate::limits::{CORE_INSTANCES_MAX, TABLE_ELEMENTS_MAX};
use crate::options::Options;
use crate::places::Places;
use crate::state::State;

/// Address space of one linear memory: all that 32 bits reach, so that no bounds check is needed.
const MEMORY_RESERVATION: u64 = 4 << 30;
/// Stack of guest code.
const GUEST_STACK_BYTES: usize = 512 << 10;
/// Stack of a call: the guest's part and the engine's step beneath a host function.
const CALL_STACK_BYTES: usize = 2 << 20;
/// Tables per component that the pool counts on.
pub(crate) const PARTS_PER_COMPONENT: u32 = 4;

/// Compiles and links components.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    /// Instances that the pool holds; `None` when memory comes on demand.
    pub(crate) pooled: Option<u32>,
    /// Room for instances, wherever their memory comes from.
    pub(crate) places: Arc<Places>,
}

impl Machine {
    pub(crate) fn new(options: &Options) -> wasmtime::Result<Self> {
        let mut wanted = options.instances_max.max(1);
        let (engine, pooled) = loop {
            match Engine::new(&config(Some(wanted))) {
                Ok(engine) => break (engine, Some(wanted)),
                Err(_) if wanted > 16 => wanted /= 4,
                Err(_) => break (Engine::new(&config(None))?, None),
            }
        };
        let mut linker = Linker::new(&engine);
        imports::engine::link(&mut linker)?;
        imports::context::link(&mut linker)?;
        let places = Arc::new(Places::new(pooled.unwrap_or(options.instances_max.max(1))));
        Ok(Self { engine, linker, pooled, places })
    }
}

fn config(pooled: Option<u32>) -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        // One component's code takes no more than one core, and waits for no other's.
        .parallel_compilation(false)
        .concurrency_support(false)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(CALL_STACK_BYTES)
        // Nobody reads guest stack traces here; without them code is smaller and loads faster.
        .native_unwind_info(false)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .memory_reservation(MEMORY_RESERVATION);
    if let Some(instances) = pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    }
    config
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let tables = instances.saturating_mul(PARTS_PER_COMPONENT);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_memories(instances)
        // They take no room of their own; each component has its limit.
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_MAX as u32))
        .total_tables(tables)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_tables_per_module(PARTS_PER_COMPONENT)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(MEMORY_RESERVATION as usize)
        // Pages that an instance touches anyway stay mapped when its slot is used again.
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10);
    pool
}
