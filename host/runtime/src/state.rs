//! The host's side of one instance: what its host functions work on.

use std::sync::Arc;

use reef_engine::backend::Caller;
use reef_resp::{Protocol, Writer};

use crate::border::{Node, Replies, View};
use crate::limits::IDLE_BUFFER_BYTES_MAX;
use crate::meter::Meter;
use crate::plugin::Terms;

/// The data of an instance's store.
pub(crate) struct State {
    pub(crate) terms: Arc<Terms>,
    pub(crate) meter: Meter,
    pub(crate) caller: Caller,
    /// Taken out while a host call uses it.
    scratch: Option<Scratch>,
    random: Random,
    /// Read when a call first asks; the same for the rest of the call.
    now_ms: Option<u64>,
    /// Whether it is asked what is to be done about an event: then it only reads.
    pub(crate) is_reacting: bool,
    /// When the client called, if the call was parked since.
    pub(crate) invoked_ms: Option<u64>,
}

impl State {
    pub(crate) fn new(terms: Arc<Terms>) -> Self {
        Self {
            meter: Meter::new(Arc::clone(&terms.plugin), terms.limits),
            terms,
            caller: Caller::nobody(0),
            scratch: Some(Scratch::default()),
            random: Random::default(),
            now_ms: None,
            is_reacting: false,
            invoked_ms: None,
        }
    }

    /// A new call begins.
    pub(crate) fn begin(&mut self) {
        self.now_ms = None;
        self.meter.begin();
    }

    /// The call is over: what was needed for it alone goes.
    pub(crate) fn end(&mut self) {
        self.scratch.take_if(|scratch| scratch.is_large());
    }

    /// The buffers, for a host call that gives them back.
    pub(crate) fn take_scratch(&mut self) -> Scratch {
        self.scratch.take().unwrap_or_default()
    }

    /// A host call is over.
    pub(crate) fn give_back(&mut self, scratch: Scratch) {
        self.scratch = Some(scratch);
    }

    /// The instant of this call.
    pub(crate) fn now_ms(&mut self) -> u64 {
        *self.now_ms.get_or_insert_with(|| self.terms.services.backend.now_ms())
    }

    /// When the client called.
    pub(crate) fn invoked_ms(&mut self) -> u64 {
        match self.invoked_ms {
            Some(at) => at,
            None => self.now_ms(),
        }
    }

    pub(crate) fn random(&mut self) -> wasmtime::Result<u64> {
        self.random.next()
    }
}

/// Buffers of the host calls of one instance. What is returned to the guest is shared instead of
/// moved, so that the allocation is there again for the next host call.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) writer: Writer,
    view: Arc<View>,
    replies: Arc<Replies>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            writer: Writer::new(Protocol::Columns),
            view: Arc::default(),
            replies: Arc::default(),
        }
    }
}

impl Scratch {
    /// The versions to be filled by a read.
    pub(crate) fn parts(&mut self) -> (&mut Writer, &mut Vec<u64>) {
        let view = unique(&mut self.view);
        view.versions.clear();
        self.writer.clear();
        (&mut self.writer, &mut view.versions)
    }

    /// What was written, as the result of a read.
    pub(crate) fn view(&mut self) -> Arc<View> {
        let view = unique(&mut self.view);
        fill(&mut view.replies, &self.writer);
        Arc::clone(&self.view)
    }

    /// What was written, as the result of a batch.
    pub(crate) fn replies(&mut self) -> Arc<Replies> {
        fill(unique(&mut self.replies), &self.writer);
        Arc::clone(&self.replies)
    }

    /// Bytes of what was written.
    pub(crate) fn bytes(&self) -> u64 {
        (size_of_val(self.writer.nodes()) + self.writer.data().len()) as u64
    }

    /// Whether it holds more than an idle instance is to keep.
    fn is_large(&self) -> bool {
        let lists = [&self.replies, &self.view.replies].map(|replies: &Replies| {
            replies.data.capacity() + size_of::<Node>() * replies.nodes.capacity()
        });
        let versions = size_of::<u64>() * self.view.versions.capacity();
        lists[0] + lists[1] + versions > IDLE_BUFFER_BYTES_MAX
    }
}

fn fill(replies: &mut Replies, writer: &Writer) {
    replies.nodes.clear();
    replies.nodes.extend(writer.nodes().iter().map(|node| Node::from(*node)));
    replies.data.clear();
    replies.data.extend_from_slice(writer.data());
}

/// The value behind `shared`, a fresh one if somebody else still looks at it.
fn unique<T: Default>(shared: &mut Arc<T>) -> &mut T {
    if Arc::get_mut(shared).is_none() {
        *shared = Arc::default();
    }
    Arc::get_mut(shared).expect("a fresh allocation has one owner")
}

/// Random numbers of the operating system, fetched some at a time.
#[derive(Debug)]
struct Random {
    bytes: [u8; 256],
    left: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { bytes: [0; 256], left: 0 }
    }
}

impl Random {
    fn next(&mut self) -> wasmtime::Result<u64> {
        if self.left == 0 {
            getrandom::fill(&mut self.bytes)
                .map_err(|error| wasmtime::format_err!("no random numbers: {error}"))?;
            self.left = self.bytes.len();
        }
        let at = self.left - 8;
        self.left = at;
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[at..at + 8]);
        // Never given out twice, even if memory is looked at later.
        self.bytes[at..at + 8].fill(0);
        Ok(u64::from_le_bytes(word))
    }
}
