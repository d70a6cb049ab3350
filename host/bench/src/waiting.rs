//! `--waiters N`: what N clients that wait cost a server, and how soon they hear.
//!
//! Everything is done with all N waiting: one push at a time, N pushes in one pipeline, one push of
//! N elements, one thing published to N, and N timeouts of a second at once. The memory is the growth
//! from N idle connections to N that wait. With `--against` the servers take turns, each with fresh
//! connections.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use serde_json::{Map, Value, json};

use crate::alternate::{Server, progress};
use crate::args::BenchArgs;
use crate::client::{Client, info_field};
use crate::error::BenchError;
use crate::process::Process;
use crate::replies::Replies;
use crate::socket::{Polled, Socket};
use crate::way::Way;

/// Single pushes that are timed in a round.
const PUSHES: usize = 1000;
/// How long the waits take whose end is timed.
const TIMEOUT: Duration = Duration::from_secs(1);

/// One figure of one server, a value a round; less is better.
struct Row {
    name: &'static str,
    unit: &'static str,
    values: Vec<f64>,
}

/// Measures each server and reports it.
pub(crate) fn run(args: &BenchArgs, count: u32, out: &mut dyn Write) -> Result<(), BenchError> {
    let count = count as usize;
    let mut servers = Server::all(args)?;
    let progress = progress(servers.len() as u64 * u64::from(args.rounds));
    let first = if args.rendezvous { Way::Rendezvous } else { Way::Plain };
    let ways = [first, Way::Plain];
    let mut tables: Vec<Vec<Row>> = servers.iter().map(|_| rows()).collect();
    for _ in 0..args.rounds {
        for ((server, way), table) in servers.iter_mut().zip(ways).zip(&mut tables) {
            progress.set_message(format!("{count} waiters at {}", server.name));
            let figures = round(server, way, count, Duration::from_secs_f64(args.stall))?;
            table.iter_mut().zip(figures).for_each(|(row, value)| row.values.push(value));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let name = |(server, way): (&Server, Way)| format!("{} {}", server.name, way.name());
    let names: Vec<String> = servers.iter().zip(ways).map(name).collect();
    let written = if args.json {
        machine(count, &names, &tables, out)
    } else {
        human(count, args.rounds, &names, &tables, out)
    };
    written.map_err(BenchError::Output)
}

fn rows() -> Vec<Row> {
    let row = |name, unit| Row { name, unit, values: Vec::new() };
    vec![
        row("memory of a wait", "B"),
        row("push to wake p50", "us"),
        row("push to wake p99", "us"),
        row("pipelined pushes, last", "ms"),
        row("one push of all, last", "ms"),
        row("published to all, last", "ms"),
        row("timeout late p50", "ms"),
        row("timeout late p99", "ms"),
        row("timeout early, most", "ms"),
    ]
}

/// All figures, in the order of [`rows`].
fn round(
    server: &mut Server,
    way: Way,
    count: usize,
    stall: Duration,
) -> Result<[f64; 9], BenchError> {
    way.begin(&mut server.client)?;
    let mut crowd = Crowd::gather(server, way, count, stall)?;
    let before = server.process.and_then(Process::resident_bytes);
    crowd.wait(server)?;
    let after = server.process.and_then(Process::resident_bytes);
    let bytes = match (before, after) {
        (Some(before), Some(after)) => (after as f64 - before as f64) / count as f64,
        _ => f64::NAN,
    };
    let mut wakes = crowd.push_one_by_one()?;
    let pipelined = crowd.push_all(server, &way.push(1).repeat(count))?;
    crowd.wait(server)?;
    let at_once = crowd.push_all(server, &way.push(count))?;
    let published = crowd.publish_to_all(server)?;
    let mut late = crowd.time_out()?;
    way.end(&mut server.client)?;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok([
        bytes,
        percentile(&mut wakes, 0.5) * 1e6,
        percentile(&mut wakes, 0.99) * 1e6,
        ms(pipelined),
        ms(at_once),
        ms(published),
        percentile(&mut late, 0.5) * 1e3,
        percentile(&mut late, 0.99) * 1e3,
        (-percentile(&mut late, 0.0)).max(0.0) * 1e3,
    ])
}

fn percentile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len() - 1) as f64 * at).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// Connections that wait, and one that pushes.
struct Crowd {
    label: String,
    way: Way,
    poll: Poll,
    events: Events,
    waiters: Vec<Waiter>,
    pusher: Socket,
    stall: Duration,
}

struct Waiter {
    socket: Polled,
    replies: Replies,
    begun: Instant,
}

impl Crowd {
    fn gather(
        server: &Server,
        way: Way,
        count: usize,
        stall: Duration,
    ) -> Result<Self, BenchError> {
        let label = server.target.label.clone();
        let failed = |error| BenchError::io(&label, error);
        let poll = Poll::new().map_err(failed)?;
        let mut waiters = Vec::with_capacity(count);
        for token in 0..count {
            let socket = Client::connect(&server.target, false)?.into_socket();
            let socket = socket.into_polled(poll.registry(), Token(token)).map_err(failed)?;
            waiters.push(Waiter { socket, replies: Replies::default(), begun: Instant::now() });
        }
        let pusher = Client::connect(&server.target, false)?.into_socket();
        let events = Events::with_capacity(1024);
        Ok(Self { label, way, poll, events, waiters, pusher, stall })
    }

    fn failed(&self, error: io::Error) -> BenchError {
        BenchError::io(&self.label, error)
    }

    /// Lets everybody wait, and returns when the server has heard all.
    fn wait(&mut self, server: &mut Server) -> Result<(), BenchError> {
        self.send_all(&self.way.wait(0))?;
        self.until_waiting(server)
    }

    /// Returns when the server says that all wait.
    fn until_waiting(&mut self, server: &mut Server) -> Result<(), BenchError> {
        let deadline = Instant::now() + self.stall;
        let wanted = self.waiters.len().to_string();
        while server
            .client
            .info("clients")
            .as_deref()
            .and_then(|text| info_field(text, "blocked_clients"))
            != Some(&*wanted)
        {
            if Instant::now() > deadline {
                return Err(BenchError::Stalled(self.label.clone(), self.stall.as_secs_f64()));
            }
            self.refused()?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The first error that a waiter was told instead of being left to wait.
    fn refused(&mut self) -> Result<(), BenchError> {
        let polled = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        polled.map_err(|error| BenchError::io(&self.label, error))?;
        let mut buffer = [0; 4096];
        for event in &self.events {
            let waiter = &mut self.waiters[event.token().0];
            if let Ok(Some(read)) = waiter.socket.read(&mut buffer) {
                let fed = waiter.replies.feed(&buffer[..read]);
                fed.map_err(|error| BenchError::Protocol(self.label.clone(), error.to_string()))?;
            }
            if let Some(text) = waiter.replies.take_first_error() {
                let name = self.way.name().to_owned();
                return Err(BenchError::Reply(self.label.clone(), name, text));
            }
        }
        Ok(())
    }

    fn send_all(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        (0..self.waiters.len()).try_for_each(|at| self.send(at, bytes))
    }

    fn send(&mut self, at: usize, bytes: &[u8]) -> Result<(), BenchError> {
        let waiter = &mut self.waiters[at];
        waiter.begun = Instant::now();
        let written = waiter.socket.write(bytes);
        match written {
            Ok(Some(count)) if count == bytes.len() => Ok(()),
            Ok(_) => Err(self.failed(io::ErrorKind::WouldBlock.into())),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Reads until so many waiters have had a reply; calls `heard` for each at once.
    fn hear(
        &mut self,
        mut count: usize,
        mut heard: impl FnMut(&Waiter),
    ) -> Result<Option<usize>, BenchError> {
        let mut buffer = [0; 4096];
        let mut last = None;
        while count > 0 {
            let polled = self.poll.poll(&mut self.events, Some(self.stall));
            polled.map_err(|error| self.failed(error))?;
            if self.events.is_empty() {
                return Err(BenchError::Stalled(self.label.clone(), self.stall.as_secs_f64()));
            }
            for event in &self.events {
                let Token(at) = event.token();
                let waiter = &mut self.waiters[at];
                while let Ok(Some(read)) = waiter.socket.read(&mut buffer) {
                    if read == 0 {
                        return Err(BenchError::Closed(self.label.clone()));
                    }
                    let replies = waiter.replies.feed(&buffer[..read]).map_err(|error| {
                        BenchError::Protocol(self.label.clone(), error.to_string())
                    })?;
                    if replies > 0 {
                        heard(waiter);
                        count = count.saturating_sub(1);
                        last = Some(at);
                    }
                    if read < buffer.len() {
                        break;
                    }
                }
            }
        }
        Ok(last)
    }

    /// Seconds from a push to the waiter's reply, with all others waiting on.
    fn push_one_by_one(&mut self) -> Result<Vec<f64>, BenchError> {
        let (bytes, wait) = (self.way.push(1), self.way.wait(0));
        let mut wakes = Vec::with_capacity(PUSHES);
        for _ in 0..PUSHES.min(self.waiters.len()) {
            let begun = Instant::now();
            self.pusher.write_all(&bytes).map_err(|error| self.failed(error))?;
            let served = self.hear(1, |_| wakes.push(begun.elapsed().as_secs_f64()))?;
            self.read_pushers_replies(1)?;
            if let Some(at) = served {
                self.send(at, &wait)?;
            }
        }
        Ok(wakes)
    }

    /// How long it takes until the last waiter is served by what `bytes` push.
    fn push_all(&mut self, server: &mut Server, bytes: &[u8]) -> Result<Duration, BenchError> {
        let mut pusher = Client::connect(&server.target, false)?.into_socket();
        let begun = Instant::now();
        let bytes = bytes.to_vec();
        let pushing = std::thread::spawn(move || {
            let pushed = pusher.write_all(&bytes);
            (pusher, pushed)
        });
        let heard = self.hear(self.waiters.len(), |_| ());
        let took = begun.elapsed();
        let pushed = pushing.join();
        if let (Err(stalled), Ok((pusher, _))) = (heard, pushed) {
            // What was refused is nobody's.
            return Err(self.first_refusal(pusher).unwrap_or(stalled));
        }
        // The connection closes with its replies unread: nobody wants them.
        Ok(took)
    }

    /// The first error among the replies that are there already.
    fn first_refusal(&self, mut pusher: Socket) -> Option<BenchError> {
        use std::io::Read;
        let (mut replies, mut buffer) = (Replies::default(), [0; 4096]);
        loop {
            let read = pusher.read(&mut buffer).ok().filter(|read| *read > 0)?;
            replies.feed(&buffer[..read]).ok()?;
            if let Some(text) = replies.take_first_error() {
                return Some(BenchError::Reply(self.label.clone(), "push".to_owned(), text));
            }
        }
    }

    /// How long it takes until the last one has what is published once.
    fn publish_to_all(&mut self, server: &mut Server) -> Result<Duration, BenchError> {
        let (listen, is_answered) = self.way.listen();
        self.send_all(&listen)?;
        if is_answered {
            self.hear(self.waiters.len(), |_| ())?;
        } else {
            self.until_waiting(server)?;
        }
        let took = self.push_all(server, &self.way.publish())?;
        if let Some(leave) = self.way.leave() {
            self.send_all(&leave)?;
            self.hear(self.waiters.len(), |_| ())?;
        }
        Ok(took)
    }

    fn read_pushers_replies(&mut self, mut count: u64) -> Result<(), BenchError> {
        use std::io::Read;
        let mut replies = Replies::default();
        let mut buffer = [0; 4096];
        while count > 0 {
            let read = self.pusher.read(&mut buffer).map_err(|error| self.failed(error))?;
            let found = replies
                .feed(&buffer[..read])
                .map_err(|error| BenchError::Protocol(self.label.clone(), error.to_string()))?;
            count = count.saturating_sub(found);
        }
        Ok(())
    }

    /// How late, in seconds, each wait of a second ends; negative is early.
    fn time_out(&mut self) -> Result<Vec<f64>, BenchError> {
        self.send_all(&self.way.wait(TIMEOUT.as_secs()))?;
        let mut late = Vec::with_capacity(self.waiters.len());
        self.hear(self.waiters.len(), |waiter| {
            late.push(waiter.begun.elapsed().as_secs_f64() - TIMEOUT.as_secs_f64());
        })?;
        Ok(late)
    }
}

fn median(values: &[f64]) -> f64 {
    percentile(&mut values.to_vec(), 0.5)
}

fn human(
    count: usize,
    rounds: u32,
    names: &[String],
    tables: &[Vec<Row>],
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{count} clients that wait, medians of {rounds} rounds; less is better\n")?;
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(10);
    write!(out, "{:24}", "")?;
    names.iter().try_for_each(|name| write!(out, "  {name:>width$}"))?;
    writeln!(out, "{}", if names.len() == 2 { "  first/second" } else { "" })?;
    for (at, row) in tables.first().into_iter().flatten().enumerate() {
        write!(out, "{:24}", format!("{}, {}", row.name, row.unit))?;
        let medians: Vec<f64> = tables.iter().map(|table| median(&table[at].values)).collect();
        medians.iter().try_for_each(|value| write!(out, "  {value:>width$.1}"))?;
        match medians[..] {
            [own, peer] if peer > 0.0 => writeln!(out, "  {:>12.2}", own / peer)?,
            _ => writeln!(out)?,
        }
    }
    out.flush()
}

fn machine(
    count: usize,
    names: &[String],
    tables: &[Vec<Row>],
    out: &mut dyn Write,
) -> io::Result<()> {
    let servers = names.iter().zip(tables).map(|(name, table)| {
        let figures: Map<String, Value> = table
            .iter()
            .map(|row| (format!("{} ({})", row.name, row.unit), json!(row.values)))
            .collect();
        json!({ "server": name, "figures": figures })
    });
    let document = json!({ "waiters": count, "servers": servers.collect::<Vec<_>>() });
    writeln!(out, "{document:#}")?;
    out.flush()
}
