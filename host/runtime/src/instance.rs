//! A warm instance: a task that lives as long as the instance and runs one order after another.
//!
//! The task waits for an order on the desk of the thread that polls it (see [`desk`]), runs it on
//! a fiber, and leaves the answer there. A call that was interrupted by the epoch is simply a task
//! that is not finished: whoever holds the instance may poll it again later, on any thread, or
//! drop it, which frees the guest whatever it was doing. Nothing is allocated for a call but what
//! its values need.
//!
//! Invariant: an instance that failed is never polled again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use reef_engine::backend::{Caller, Wake};
use reef_engine::triggers::TriggerEvent;
use reef_resp::Argv;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::border::{
    Cause, CommandError, EffectsClaim, EventOut, HandlerOutcome, ManifestClaim, ParkClaim, Replies,
    TriggerClaim,
};
use crate::desk::{self, Arguments, Order, Resumption, Sampling};
use crate::failure::{Failure, Stopped};
use crate::limits::{FURTHER_SLICE_TICKS, INSTANCES_PER_PLUGIN_MAX, SLICE_TICKS};
use crate::meter::{Refused, Usage};
use crate::places::Place;
use crate::plugin::{Services, Terms};
use crate::program::{Handler, Program};
use crate::state::State;

/// What an order led to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The handler's reply, not yet validated.
    Reply(Replies),
    /// The handler's error.
    Refused(CommandError),
    /// The handler wants to be called again later, and when the client called.
    Park(ParkClaim, u64),
    /// What `subscribe` said.
    Triggers(Box<Result<Vec<TriggerClaim>, String>>),
    /// What `react` wants to be done.
    Effects(Box<EffectsClaim>),
    /// What `describe` said.
    Manifest(Box<Result<ManifestClaim, String>>),
    /// The instance is lost.
    Failed(Failure),
}

/// What one poll led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The order is done.
    Answered(Answer, Usage),
    /// The epoch interrupted it.
    Running,
}

/// One instance of a program.
pub(crate) struct Instance {
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    calls: u32,
    /// The user of the last call, whom the guest's side still knows.
    user: Arc<str>,
    _permit: Permit,
}

impl Instance {
    /// A new instance; the guest starts with the first order. `None` when the plugin has as many
    /// as it may.
    pub(crate) fn new(program: &Arc<Program>, terms: &Arc<Terms>) -> Option<Self> {
        let permit = Permit::take(program, terms)?;
        let task = Box::pin(serve(Arc::clone(program), Arc::clone(terms)));
        Some(Self { task, calls: 0, user: Arc::default(), _permit: permit })
    }

    /// Begins a call of the command with this index.
    #[inline]
    pub(crate) fn begin_call(
        &mut self,
        command: u32,
        wake: Option<Wake<'_>>,
        caller: &Caller,
        argv: Argv<'_>,
    ) -> Sampling {
        self.calls += 1;
        let Caller { client_id, database, .. } = *caller;
        // One user's `Arc` is shared by all connections: counting it would cost every thread.
        let user = (!Arc::ptr_eq(&self.user, &caller.user)).then(|| {
            self.user = Arc::clone(&caller.user);
            Arc::clone(&caller.user)
        });
        let resumption = wake.map(|wake| {
            Box::new(Resumption { key: wake.key.map(Box::from), invoked_ms: wake.invoked_ms })
        });
        desk::lay(Order::Call { command, client_id, database, user, resumption }, argv)
    }

    /// Begins `describe`.
    pub(crate) fn begin_describe(&mut self) {
        let _ = desk::lay(Order::Describe, Argv::new(&[], &[]));
    }

    /// Begins `subscribe`.
    pub(crate) fn begin_subscribe(&mut self) {
        let _ = desk::lay(Order::Subscribe, Argv::new(&[], &[]));
    }

    /// Begins `react`.
    pub(crate) fn begin_react(&mut self, event: TriggerEvent) {
        self.calls += 1;
        let _ = desk::lay(Order::React(Box::new(event)), Argv::new(&[], &[]));
    }

    /// How many calls it has run.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Runs it until it answers or the epoch interrupts it. `started` is now, if it was looked at;
    /// `before` is the CPU time that the call has already taken.
    #[inline]
    pub(crate) fn poll(&mut self, started: Option<Instant>, before: Duration) -> Progress {
        desk::begin_slice(started, before);
        let finished = self.task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match (desk::end_slice(), finished) {
            (Some((answer, usage)), _) => Progress::Answered(answer, usage),
            (None, Poll::Pending) => Progress::Running,
            (None, Poll::Ready(())) => {
                let failure = Failure::Trap("the instance has ended".into());
                Progress::Answered(Answer::Failed(failure), Usage::default())
            }
        }
    }
}

/// The right of an instance to exist: counted with its plugin, its tenant and the machine.
struct Permit {
    terms: Arc<Terms>,
    /// None while it is not known yet whether there is room.
    place: Option<Place>,
}

impl Permit {
    fn take(program: &Program, terms: &Arc<Terms>) -> Option<Self> {
        let mut permit = Self { terms: Arc::clone(terms), place: None };
        let Services { tenant, instances, .. } = &*terms.services;
        let of_plugin = terms.plugin.instances.fetch_add(1, Relaxed);
        instances.fetch_add(1, Relaxed);
        let is_allowed = || instances.load(Relaxed) <= program.places.max_of_tenant();
        if of_plugin >= INSTANCES_PER_PLUGIN_MAX {
            return None;
        }
        if !is_allowed() {
            program.places.make_room(Some(tenant), is_allowed);
            if !is_allowed() {
                return None;
            }
        }
        permit.place = Some(program.places.take(program.weight)?);
        Some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.terms.plugin.instances.fetch_sub(1, Relaxed);
        self.terms.services.instances.fetch_sub(1, Relaxed);
    }
}

/// The life of an instance: order, answer, order, answer, until one fails.
async fn serve(program: Arc<Program>, terms: Arc<Terms>) {
    let mut store = Store::new(program.engine(), State::new(Arc::clone(&terms)));
    store.limiter(|state| &mut state.meter);
    store.epoch_deadline_async_yield_and_update(FURTHER_SLICE_TICKS);
    store.set_hostcall_fuel(terms.limits.bytes as usize);
    let mut handler = None;
    loop {
        let (order, arguments) = desk::next_order().await;
        store.set_epoch_deadline(SLICE_TICKS);
        let answer = match run(&mut store, &program, &mut handler, order, &arguments).await {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(name(&error, store.data())),
        };
        let failed = matches!(answer, Answer::Failed(_));
        store.data_mut().end();
        desk::answer(answer, store.data().meter.usage(), arguments);
        if failed {
            return;
        }
    }
}

async fn run(
    store: &mut Store<State>,
    program: &Program,
    handler: &mut Option<Handler>,
    order: Order,
    arguments: &Arguments,
) -> wasmtime::Result<Answer> {
    let state = store.data_mut();
    state.begin();
    state.is_reacting = false;
    match &order {
        Order::Describe | Order::Subscribe => {}
        Order::React(event) => {
            state.is_reacting = true;
            state.invoked_ms = None;
            state.caller.client_id = 0;
            state.caller.database = event.database;
        }
        Order::Call { client_id, database, user, resumption, .. } => {
            state.invoked_ms = resumption.as_ref().map(|resumption| resumption.invoked_ms);
            state.caller.client_id = *client_id;
            state.caller.database = *database;
            if let Some(user) = user {
                state.caller.user = Arc::clone(user);
            }
        }
    }
    let handler = match handler {
        Some(handler) => handler,
        None => {
            let started = program.start(store).await?;
            store.data_mut().meter.started();
            handler.insert(started)
        }
    };
    match order {
        Order::Describe => {
            let (manifest,) = handler.describe.call_async(store, ()).await?;
            Ok(Answer::Manifest(Box::new(manifest)))
        }
        Order::Call { command, resumption, .. } => {
            call(store, handler, command, resumption.as_deref(), arguments).await
        }
        Order::Subscribe | Order::React(_) => react(store, handler, &order).await,
    }
}

async fn call(
    store: &mut Store<State>,
    handler: &Handler,
    command: u32,
    resumption: Option<&Resumption>,
    arguments: &Arguments,
) -> wasmtime::Result<Answer> {
    let cause = match resumption {
        None => Cause::Invoked,
        Some(Resumption { key: Some(key), .. }) => Cause::Ready(key),
        Some(Resumption { key: None, .. }) => Cause::TimedOut,
    };
    let parameters = (command, cause, arguments.items());
    let (outcome,) = handler.call.call_async(&mut *store, parameters).await?;
    Ok(match outcome {
        Ok(HandlerOutcome::Reply(replies)) => Answer::Reply(replies),
        Ok(HandlerOutcome::Park(claim)) => Answer::Park(claim, store.data_mut().invoked_ms()),
        Err(error) => Answer::Refused(error),
    })
}

async fn react(
    store: &mut Store<State>,
    handler: &Handler,
    order: &Order,
) -> wasmtime::Result<Answer> {
    let Some(reactor) = &handler.triggers else {
        return Ok(Answer::Triggers(Box::new(Ok(Vec::new()))));
    };
    let Order::React(event) = order else {
        let (triggers,) = reactor.subscribe.call_async(store, ()).await?;
        return Ok(Answer::Triggers(Box::new(triggers)));
    };
    let TriggerEvent { name, database, key, depth } = &**event;
    let event = EventOut { name, database: *database, key, depth: *depth };
    let (effects,) = reactor.react.call_async(store, (event,)).await?;
    Ok(match effects {
        Ok(effects) => Answer::Effects(Box::new(effects)),
        Err(error) => Answer::Refused(error),
    })
}

/// Finds the name of what stopped the guest.
fn name(error: &wasmtime::Error, state: &State) -> Failure {
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::NoRoom;
    }
    match error.downcast_ref() {
        Some(Stopped::HostCalls) => return Failure::HostCalls,
        Some(Stopped::Killed) => return Failure::Killed,
        None => {}
    }
    match state.meter.refused() {
        Some(Refused::Memory) => return Failure::Memory,
        Some(Refused::Table) => return Failure::Table,
        None => {}
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let text = trap.to_string();
        return Failure::Trap(text.strip_prefix("wasm trap: ").unwrap_or(&text).into());
    }
    let reason = error.root_cause().to_string();
    // wasmtime has no public type for this one.
    if reason.contains("fuel allocated for hostcalls") {
        return Failure::Bytes;
    }
    Failure::Trap(reason)
}
