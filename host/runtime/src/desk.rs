//! The desk between whoever polls an instance and the task inside it: one per thread.
//!
//! An instance is a task that runs as long as the instance lives (see [`instance`](crate::instance)).
//! The poller lays an order and its arguments on the desk of its thread, polls once, and finds an
//! answer there or nothing. A poll happens on one thread from beginning to end, so that no lock is
//! needed; a task that goes on later, on another thread, answers on that thread's desk.
//!
//! Invariant: the desk is never borrowed while guest code or the backend runs.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use reef_engine::triggers::TriggerEvent;
use reef_resp::Argv;

use crate::border::ItemsOut;
use crate::instance::Answer;
use crate::limits::IDLE_BUFFER_BYTES_MAX;
use crate::meter::Usage;

/// What an instance is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Say what you are.
    Describe,
    /// Say what you want to hear of.
    Subscribe,
    /// Say what is to be done about this.
    React(Box<TriggerEvent>),
    /// Run the command with this index.
    Call {
        command: u32,
        client_id: u64,
        database: u32,
        /// Absent when it is the user of the instance's last call.
        user: Option<Arc<str>>,
        /// Why, if the call was parked before.
        resumption: Option<Box<Resumption>>,
    },
}

/// Why a parked call goes on.
#[derive(Debug)]
pub(crate) struct Resumption {
    /// The key that was written; absent when the time is over.
    pub(crate) key: Option<Box<[u8]>>,
    /// When the client called.
    pub(crate) invoked_ms: u64,
}

/// Whether the time of a call is measured: reading the clock twice would cost a short call a tenth
/// of itself, so one in [`SAMPLE_ONE_IN`] stands for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampling {
    Measure,
    Skip,
}

/// See [`Sampling`].
pub(crate) const SAMPLE_ONE_IN: u32 = 8;

/// Arguments in columns. The buffers are kept for the next call.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    lengths: Vec<u32>,
    data: Vec<u8>,
}

impl Arguments {
    fn fill(&mut self, argv: Argv<'_>) {
        self.lengths.clear();
        self.data.clear();
        for argument in argv.iter() {
            self.lengths.push(argument.len() as u32);
            self.data.extend_from_slice(argument);
        }
    }

    pub(crate) fn items(&self) -> ItemsOut<'_> {
        ItemsOut { lengths: &self.lengths, data: &self.data }
    }
}

#[derive(Default)]
struct Desk {
    order: Option<Order>,
    arguments: Arguments,
    answer: Option<(Answer, Usage)>,
    /// When the poll under way began, if somebody looked, and the CPU time of the polls before.
    slice: (Option<Instant>, Duration),
    /// Orders so far.
    orders: u32,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// Lays an order down for the next poll on this thread.
#[inline]
pub(crate) fn lay(order: Order, argv: Argv<'_>) -> Sampling {
    DESK.with_borrow_mut(|desk| {
        desk.arguments.fill(argv);
        desk.order = Some(order);
        desk.orders = desk.orders.wrapping_add(1);
        if desk.orders % SAMPLE_ONE_IN == 0 { Sampling::Measure } else { Sampling::Skip }
    })
}

/// A poll begins: `before` is the CPU time that the call took in earlier ones.
#[inline]
pub(crate) fn begin_slice(started: Option<Instant>, before: Duration) {
    DESK.with_borrow_mut(|desk| desk.slice = (started, before));
}

/// The poll is over: the answer, if there is one.
#[inline]
pub(crate) fn end_slice() -> Option<(Answer, Usage)> {
    DESK.with_borrow_mut(|desk| desk.answer.take())
}

/// CPU time of the call under way on this thread. In a slice whose beginning nobody looked at, time
/// begins with the first question: what it misses is less than the slice.
pub(crate) fn spent() -> Duration {
    DESK.with_borrow_mut(|desk| {
        let (started, before) = &mut desk.slice;
        *before + started.get_or_insert_with(Instant::now).elapsed()
    })
}

/// Waits for the next order and takes it, with its arguments, from the desk.
pub(crate) async fn next_order() -> (Order, Arguments) {
    poll_fn(|_| {
        DESK.with_borrow_mut(|desk| match desk.order.take() {
            Some(order) => Poll::Ready((order, std::mem::take(&mut desk.arguments))),
            None => Poll::Pending,
        })
    })
    .await
}

/// Leaves an answer, and gives the buffers of the arguments back.
#[inline]
pub(crate) fn answer(answer: Answer, usage: Usage, arguments: Arguments) {
    DESK.with_borrow_mut(|desk| {
        desk.answer = Some((answer, usage));
        if arguments.data.capacity() <= IDLE_BUFFER_BYTES_MAX
            && arguments.lengths.capacity() <= IDLE_BUFFER_BYTES_MAX / 4
        {
            desk.arguments = arguments;
        }
    });
}
