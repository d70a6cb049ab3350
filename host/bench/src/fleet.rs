//! The load loop: many connections on few threads, each sending a batch, waiting for its replies,
//! sending the next.
//!
//! Invariants: at most one batch is under way on a connection; exactly the asked number of
//! operations is sent; a run ends only when every reply has come. Per batch it costs one read, one
//! write, one look at the clock and a share of one epoll_wait.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::client::Client;
use crate::error::BenchError;
use crate::measurement::Tally;
use crate::mix::Mix;
use crate::replies::Replies;
use crate::ring::{Ring, RingOptions, nonce_base};
use crate::socket::Polled;
use crate::target::Target;

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Budget {
    /// So many operations.
    Operations(u64),
    /// No new batch after so long.
    Time(Duration),
}

/// One run.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'mix> {
    pub(crate) mix: &'mix Mix,
    pub(crate) pipeline: u32,
    pub(crate) keys: u64,
    pub(crate) seed: u64,
    pub(crate) budget: Budget,
    /// Longest wait for any reply.
    pub(crate) stall: Duration,
}

/// All connections to one server; they stay open from run to run.
pub(crate) struct Fleet {
    lanes: Vec<Lane>,
}

/// The connections of one thread.
struct Lane {
    label: String,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: Polled,
    replies: Replies,
    /// What the kernel did not take of a batch, from `unsent_at` on.
    unsent: Vec<u8>,
    unsent_at: usize,
    sent_at: Instant,
    /// Replies still to come; 0: no batch under way.
    awaited: u64,
    /// The oldest operation that is not complete, and how many replies it already has.
    operation: usize,
    operation_replies: u64,
}

/// One thread's share of a run under way.
struct Run<'lane> {
    label: &'lane str,
    ring: Ring,
    pipeline: u64,
    operations_left: u64,
    deadline: Option<Instant>,
    tally: Tally,
}

impl Fleet {
    /// Where the server listens.
    pub(crate) fn label(&self) -> &str {
        self.lanes.first().map_or("", |lane| &lane.label)
    }

    /// Opens `connections` connections, shared out over `threads`.
    pub(crate) fn connect(
        target: &Target,
        connections: u32,
        threads: u32,
        resp3: bool,
    ) -> Result<Self, BenchError> {
        let threads = threads.min(connections);
        let share = |thread| connections / threads + u32::from(thread < connections % threads);
        let lanes = (0..threads).map(|thread| Lane::connect(target, share(thread), resp3));
        Ok(Self { lanes: lanes.collect::<Result<_, _>>()? })
    }

    /// Runs `plan` to its end.
    pub(crate) fn run(&mut self, plan: Plan<'_>) -> Result<Tally, BenchError> {
        let threads = self.lanes.len() as u64;
        let nonce_base = nonce_base();
        let rings = (0..threads).map(|first| {
            Ring::new(
                plan.mix,
                RingOptions {
                    pipeline: plan.pipeline as usize,
                    keys: plan.keys,
                    seed: plan.seed,
                    first,
                    stride: threads,
                    nonce_base,
                },
            )
        });
        let rings = rings.collect::<Result<Vec<Ring>, BenchError>>()?;
        let start = Instant::now();
        let mut shares = self.lanes.iter_mut().zip(rings).zip(0..).map(|((lane, ring), thread)| {
            let (operations_left, deadline) = match plan.budget {
                Budget::Operations(all) => {
                    (all / threads + u64::from(thread < all % threads), None)
                }
                Budget::Time(time) => (u64::MAX, Some(start + time)),
            };
            move || lane.run(ring, plan, operations_left, deadline)
        });
        let mut tally = Tally::new();
        if threads == 1 {
            if let Some(share) = shares.next() {
                tally = share()?;
            }
        } else {
            let results: Vec<_> = std::thread::scope(|scope| {
                let running: Vec<_> = shares.map(|share| scope.spawn(share)).collect();
                running.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
            });
            for result in results {
                match result {
                    Ok(part) => tally.add(part?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
        tally.elapsed = start.elapsed();
        Ok(tally)
    }
}

impl Lane {
    fn connect(target: &Target, connections: u32, resp3: bool) -> Result<Self, BenchError> {
        let failed = |error| BenchError::io(&target.label, error);
        let poll = Poll::new().map_err(failed)?;
        let mut lane = Self {
            label: target.label.clone(),
            poll,
            events: Events::with_capacity(EVENTS),
            connections: Vec::with_capacity(connections as usize),
            buffer: vec![0; BUFFER_BYTES],
        };
        for token in 0..connections as usize {
            let socket = Client::connect(target, resp3)?.into_socket();
            let socket = socket.into_polled(lane.poll.registry(), Token(token)).map_err(failed)?;
            lane.connections.push(Connection {
                socket,
                replies: Replies::default(),
                unsent: Vec::new(),
                unsent_at: 0,
                sent_at: Instant::now(),
                awaited: 0,
                operation: 0,
                operation_replies: 0,
            });
        }
        Ok(lane)
    }

    fn run(
        &mut self,
        ring: Ring,
        plan: Plan<'_>,
        operations_left: u64,
        deadline: Option<Instant>,
    ) -> Result<Tally, BenchError> {
        let Self { label, poll, events, connections, buffer } = self;
        let pipeline = u64::from(plan.pipeline);
        let tally = Tally::new();
        let mut run = Run { label, ring, pipeline, operations_left, deadline, tally };
        let mut busy = 0_usize;
        for connection in &mut *connections {
            connection.send(&mut run, Instant::now())?;
            busy += usize::from(connection.awaited > 0);
        }
        while busy > 0 {
            match poll.poll(events, Some(plan.stall)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                result => result.map_err(|error| BenchError::io(run.label, error))?,
            }
            if events.is_empty() {
                return Err(BenchError::Stalled(run.label.to_owned(), plan.stall.as_secs_f64()));
            }
            for event in &*events {
                let connection = &mut connections[event.token().0];
                let was_busy = connection.awaited > 0;
                if event.is_writable() && !connection.unsent.is_empty() {
                    connection.send_rest(run.label)?;
                }
                let ending = event.is_read_closed() || event.is_error();
                if event.is_readable() || ending {
                    connection.receive(&mut run, buffer, ending)?;
                }
                busy -= usize::from(was_busy && connection.awaited == 0);
            }
        }
        let mut tally = run.tally;
        for connection in connections {
            tally.errors += connection.replies.errors;
            tally.nils += connection.replies.nils;
            let first_error = connection.replies.take_first_error();
            tally.first_error = tally.first_error.or(first_error);
        }
        Ok(tally)
    }
}

impl Connection {
    /// Sends the next batch, unless the run is over.
    fn send(&mut self, run: &mut Run<'_>, now: Instant) -> Result<(), BenchError> {
        let count = run.operations_left.min(run.pipeline);
        if count == 0 || run.deadline.is_some_and(|deadline| now >= deadline) {
            return Ok(());
        }
        run.operations_left -= count;
        let batch = run.ring.next(usize::try_from(count).unwrap_or(usize::MAX));
        self.sent_at = now;
        self.awaited = batch.replies;
        self.operation = batch.first;
        self.operation_replies = 0;
        let written = self.socket.write(batch.bytes);
        let written = written.map_err(|error| BenchError::io(run.label, error))?.unwrap_or(0);
        if written < batch.bytes.len() {
            self.unsent.extend_from_slice(&batch.bytes[written..]);
            // The edge may already be behind us: try once more before waiting for the next one.
            self.send_rest(run.label)?;
        }
        Ok(())
    }

    fn send_rest(&mut self, label: &str) -> Result<(), BenchError> {
        while self.unsent_at < self.unsent.len() {
            let written = self.socket.write(&self.unsent[self.unsent_at..]);
            match written.map_err(|error| BenchError::io(label, error))? {
                Some(bytes) => self.unsent_at += bytes,
                None => return Ok(()),
            }
        }
        self.unsent.clear();
        self.unsent_at = 0;
        Ok(())
    }

    /// Reads what is there and goes on with the next batch when this one is answered.
    fn receive(
        &mut self,
        run: &mut Run<'_>,
        buffer: &mut [u8],
        ending: bool,
    ) -> Result<(), BenchError> {
        loop {
            let read = self.socket.read(buffer);
            let bytes = match read.map_err(|error| BenchError::io(run.label, error))? {
                None => return Ok(()),
                Some(0) => return Err(BenchError::Closed(run.label.to_owned())),
                Some(bytes) => bytes,
            };
            let protocol = |why| BenchError::Protocol(run.label.to_owned(), why);
            let complete =
                self.replies.feed(&buffer[..bytes]).map_err(|error| protocol(error.to_string()))?;
            if complete > self.awaited {
                return Err(protocol("more replies than commands".to_owned()));
            }
            if complete > 0 {
                let now = Instant::now();
                self.record(run, complete, now);
                if self.awaited == 0 {
                    self.send(run, now)?;
                }
            }
            // A short read has emptied the socket; the next bytes raise a new edge. Only the end
            // of the stream may have come with the edge that brought us here.
            if bytes < buffer.len() && !ending {
                return Ok(());
            }
        }
    }

    fn record(&mut self, run: &mut Run<'_>, complete: u64, now: Instant) {
        self.awaited -= complete;
        let mut operations = complete;
        if !run.ring.single {
            self.operation_replies += complete;
            operations = 0;
            while self.operation_replies > 0 {
                let needed = run.ring.replies(self.operation);
                if self.operation_replies < needed {
                    break;
                }
                self.operation_replies -= needed;
                self.operation += 1;
                operations += 1;
            }
        }
        if operations > 0 {
            run.tally.record(now.saturating_duration_since(self.sent_at), operations);
        }
    }
}

/// Events taken from one epoll_wait.
const EVENTS: usize = 1024;
/// One read buffer per thread: replies are counted at once and never kept.
const BUFFER_BYTES: usize = 64 << 10;
