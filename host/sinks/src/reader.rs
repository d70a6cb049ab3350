//! The thread that reads the stream, has events planned, and hands them to the committers; it tells
//! the source what is durable.
//!
//! The next events are read and planned while the last ones are committed. Before every read it
//! compares the stream with where it stands; a breach stops everything until somebody accepts it.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::board::{Board, PanicAlarm, Partition, Sheet};
use crate::committer::Committer;
use crate::continuity::breach;
use crate::dead_letter::DeadLetter;
use crate::event::{Event, StreamId};
use crate::planner::Planner;
use crate::planning::{Breaker, Planned, Unplanned, plan};
use crate::request::Request;
use crate::settings::Settings;
use crate::source::{Applied, Source, SourceFault};
use crate::status::{Counts, State};
use crate::table::Table;
use crate::target::{Claim, Destination, Owner, TargetFault};
use crate::work::{Work, share_out};

/// How long one read of an idle stream waits, and so how long it may take to notice a request.
const READ_WAIT: Duration = Duration::from_millis(100);
/// How long a round waits for commits, or for more events while there are commits.
const BUSY_WAIT: Duration = Duration::from_millis(1);
/// How often the position of a partition without events is written.
const TOUCH_EVERY: Duration = Duration::from_secs(1);
/// How long a look at the board waits before it looks again.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Reader {
    pub(crate) board: Arc<Board>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tables: Arc<[Table]>,
    pub(crate) source: Box<dyn Source>,
    pub(crate) planner: Box<dyn Planner>,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) requests: Receiver<Request>,
    pub(crate) holder: String,
    pub(crate) standing: Standing,
}

/// Where the reader is.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// All events up to here are with the committers.
    cursor: StreamId,
    /// How many entries the stream had ever had up to there; 0 if that is not known.
    added: u64,
    /// A breach at this place was accepted.
    accepted: Option<StreamId>,
    breaker: Breaker,
    touched: Option<Instant>,
    /// When gathering ends.
    round_at: Option<Instant>,
}

/// The pipeline is to end: it was told to, or another host goes on.
pub(crate) struct End;

impl Reader {
    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let mut committers = Vec::new();
        let mut going = self.begin(&mut committers);
        while going.is_ok() {
            going = self.round();
        }
        self.board.change(|sheet| sheet.stop = true);
        for committer in committers {
            if committer.join().is_err() {
                tracing::error!(pipeline = self.settings.name, "a committer has panicked");
            }
        }
        let fenced = self.board.lock().status().state == State::Fenced;
        if !fenced && let Err(fault) = self.report() {
            tracing::warn!(pipeline = self.settings.name, %fault, "the last report is missing");
        }
        self.board.change(|sheet| {
            if !matches!(sheet.reader.seen(), State::Alarm { .. }) {
                sheet.reader.set(State::Stopped);
            }
        });
    }

    /// Starts the committers and finds out where to go on.
    fn begin(&mut self, committers: &mut Vec<JoinHandle<()>>) -> Result<(), End> {
        let mirrored = self.insist(|reader| reader.source.mirrored())?;
        let partitions = self.partitions()?;
        self.board
            .change(|sheet| sheet.partitions.resize_with(partitions as usize, Partition::default));
        for partition in 0..partitions {
            let committer = Committer {
                index: partition as usize,
                board: Arc::clone(&self.board),
                settings: Arc::clone(&self.settings),
                tables: Arc::clone(&self.tables),
                target: self.destination.open(&self.tables, &self.owner(partition, partitions)),
                claim: Claim::default(),
            };
            let builder = std::thread::Builder::new().name(format!("sink-{partition}"));
            let alarm = PanicAlarm(Arc::clone(&self.board));
            let run = move || {
                let _alarm = alarm;
                committer.run(mirrored);
            };
            match builder.spawn(run) {
                Ok(thread) => committers.push(thread),
                Err(error) => {
                    let reason = format!("no thread for a partition: {error}");
                    self.board.change(|sheet| sheet.reader.set(State::Alarm { reason }));
                    return Err(End);
                }
            }
        }
        let claims = loop {
            self.check_end()?;
            let claims = |sheet: &mut Sheet| sheet.partitions.iter().map(|p| p.claim).collect();
            if let Some(claims) = self.board.wait(LOOK, claims) {
                break claims;
            }
        };
        self.board.change(|sheet| {
            sheet.reported = sheet.totals();
            sheet.reported_up_to = mirrored;
        });
        self.stand(claims)
    }

    fn owner(&self, partition: u32, partitions: u32) -> Owner {
        let pipeline = self.settings.name.clone();
        Owner { pipeline, partition, partitions, holder: self.holder.clone() }
    }

    /// How many partitions positions in the database were made for, or what the settings say.
    fn partitions(&mut self) -> Result<u32, End> {
        let wanted = self.settings.partitions.clamp(1, Settings::PARTITIONS_MAX);
        let mut target = self.destination.open(&self.tables, &self.owner(0, wanted));
        let found = self.insist_target(|| {
            target.prepare()?;
            target.partitions()
        })?;
        let partitions = found.unwrap_or(wanted);
        if partitions != wanted {
            tracing::warn!(
                pipeline = self.settings.name,
                partitions,
                wanted,
                "positions in the database are of another number of partitions, which stays in force"
            );
        }
        Ok(partitions)
    }

    /// Compares every position with the stream, and begins at the first.
    fn stand(&mut self, claims: Vec<Claim>) -> Result<(), End> {
        for claim in &claims {
            self.check(claim.position, claim.added)?;
        }
        let first = claims.iter().map(|claim| claim.position).min().unwrap_or_default();
        self.standing.cursor = first;
        self.standing.added =
            claims.iter().find(|claim| claim.position == first).map_or(0, |claim| claim.added);
        Ok(())
    }

    /// Stops at a breach between stream and position until it is accepted or mended.
    fn check(&mut self, position: StreamId, added: u64) -> Result<(), End> {
        loop {
            let extent = self.insist(|reader| reader.source.extent(position))?;
            let found = breach(&extent, position, added)
                .filter(|_| self.standing.accepted.is_none_or(|accepted| accepted < position));
            self.board.lock().extent = extent;
            let Some(reason) = found else {
                if extent.last == position {
                    self.standing.added = extent.added;
                }
                return Ok(());
            };
            let known = self.board.change(|sheet| {
                let alarm = State::Alarm { reason: reason.clone() };
                let known = sheet.reader.is(&alarm);
                sheet.reader.set(alarm);
                known
            });
            if !known {
                tracing::error!(pipeline = self.settings.name, reason, "sink stops");
            }
            self.check_end()?;
            let taken = |sheet: &mut Sheet| std::mem::take(&mut sheet.accepted).then_some(());
            if self.board.wait(LOOK.saturating_mul(10), taken).is_some() {
                self.accept(extent.last, position);
            }
        }
    }

    /// Goes on in spite of a breach: events that are gone stay unapplied, rows that no document
    /// explains stay.
    fn accept(&mut self, last: StreamId, position: StreamId) {
        tracing::warn!(pipeline = self.settings.name, %position, "a breach was accepted");
        self.standing.accepted = Some(position.max(last));
        self.standing.added = 0;
    }

    /// One look at everything: reports, requests, a batch.
    fn round(&mut self) -> Result<(), End> {
        self.check_end()?;
        self.insist(Self::report)?;
        self.requests()?;
        let events_max = self.settings.batch_events_max;
        let room = |sheet: &mut Sheet| {
            let waiting = |p: &Partition| p.queue.iter().map(|w| w.picks.len()).sum::<usize>();
            let free = sheet.partitions.iter().all(|p| waiting(p) < events_max);
            free.then(|| sheet.is_busy())
        };
        let Some(busy) = self.board.wait(LOOK, room) else { return Ok(()) };
        if let Some(at) = self.standing.round_at
            && let Some(rest) = at.checked_duration_since(Instant::now())
        {
            self.board.wait(rest.min(READ_WAIT), |_| None::<()>);
            return Ok(());
        }
        self.check(self.standing.cursor, self.standing.added)?;
        let (cursor, wait) = (self.standing.cursor, if busy { Duration::ZERO } else { READ_WAIT });
        let partitions = self.board.lock().partitions.len();
        let count_max = events_max * partitions;
        let events = self.insist(|reader| reader.source.read(cursor, count_max, wait))?;
        self.running();
        let end = events.last().map_or(cursor, |event| event.id);
        if end >= self.board.lock().extent.last {
            self.standing.round_at =
                self.settings.interval.map(|interval| Instant::now() + interval);
        }
        if events.is_empty() {
            if busy {
                self.board.wait(BUSY_WAIT, |sheet| (!sheet.is_busy()).then_some(()));
            } else {
                self.touch();
            }
            return Ok(());
        }
        self.hand_out(events)
    }

    fn running(&self) {
        let mut sheet = self.board.lock();
        if !sheet.reader.is(&State::Running) {
            sheet.reader.set(State::Running);
        }
    }

    /// Has events planned and gives them to the committers.
    fn hand_out(&mut self, events: Vec<Event>) -> Result<(), End> {
        let planned = self.planned(events)?;
        for planned in planned {
            let Some(to) = planned.events.last().map(|event| event.id) else { continue };
            if self.standing.added > 0 {
                self.standing.added += planned.events.len() as u64;
            }
            self.standing.cursor = to;
            let (added, planned) = (self.standing.added, Arc::new(planned));
            let positions: Vec<StreamId> = {
                let sheet = self.board.lock();
                sheet.partitions.iter().map(|p| p.claim.map_or(to, |c| c.position)).collect()
            };
            let shares = share_out(&planned, &positions);
            self.board.change(|sheet| {
                let behind = &mut sheet.extent.behind;
                *behind = behind.map(|count| count.saturating_sub(planned.events.len() as u64));
                for (partition, picks) in sheet.partitions.iter_mut().zip(shares) {
                    if !picks.is_empty() {
                        let planned = Arc::clone(&planned);
                        let work = Work { planned, picks, to: Some(to), added, done: None };
                        partition.queue.push_back(work);
                    }
                }
            });
        }
        Ok(())
    }

    /// Asks the planner until it answers.
    fn planned(&mut self, mut events: Vec<Event>) -> Result<Vec<Planned>, End> {
        let mut backoff = Backoff::new(self.settings.backoff_max);
        let call_max = self.settings.batch_events_max;
        loop {
            let breaker = &mut self.standing.breaker;
            let reason = match plan(&mut *self.planner, breaker, &self.tables, events, call_max) {
                Ok(planned) => return Ok(planned),
                Err(Unplanned::Unavailable(reason, back)) => {
                    events = back;
                    format!("there is no planner: {reason}")
                }
                Err(Unplanned::Broken(reason, back)) => {
                    events = back;
                    format!("the planner fails for more than half of the events: {reason}")
                }
            };
            tracing::warn!(pipeline = self.settings.name, reason, "sink waits");
            self.board.change(|sheet| sheet.reader.set(State::Paused { reason }));
            self.insist(Self::report)?;
            self.board.pause(backoff.next());
            self.check_end()?;
        }
    }

    /// Partitions that had no events for a while learn how far the stream is.
    fn touch(&mut self) {
        if self.standing.touched.is_some_and(|at| at.elapsed() < TOUCH_EVERY) {
            return;
        }
        self.standing.touched = Some(Instant::now());
        let (to, added) = (self.standing.cursor, self.standing.added);
        let planned = Arc::new(Planned { events: Vec::new(), plan: crate::plan::Plan::default() });
        self.board.change(|sheet| {
            for partition in &mut sheet.partitions {
                if partition.claim.is_some_and(|claim| claim.position != to) {
                    let planned = Arc::clone(&planned);
                    let picks = Vec::new();
                    partition.queue.push_back(Work {
                        planned,
                        picks,
                        to: Some(to),
                        added,
                        done: None,
                    });
                }
            }
        });
    }

    /// Tells the source what is durable, if that is more than it knows.
    fn report(&mut self) -> Result<(), SourceFault> {
        let (up_to, totals, fresh, letters) = {
            let mut sheet = self.board.lock();
            let Some(up_to) = sheet.position() else { return Ok(()) };
            let totals = sheet.totals();
            if up_to == sheet.reported_up_to
                && totals == sheet.reported
                && !has_letters(&sheet, up_to)
            {
                return Ok(());
            }
            let fresh = Counts {
                applied: totals.applied - sheet.reported.applied,
                skipped: totals.skipped - sheet.reported.skipped,
                dead: totals.dead - sheet.reported.dead,
            };
            (up_to, totals, fresh, take_letters(&mut sheet, up_to))
        };
        let report = Applied { up_to, totals, fresh, dead_letters: &letters };
        let told = self.source.applied(&report);
        let mut sheet = self.board.lock();
        match told {
            Ok(()) => {
                sheet.reported = totals;
                sheet.reported_up_to = up_to;
            }
            Err(_) => {
                if let Some(partition) = sheet.partitions.first_mut() {
                    partition.letters.extend(letters);
                }
            }
        }
        told
    }

    /// Serves what people ask for; commits are finished first.
    fn requests(&mut self) -> Result<(), End> {
        while let Ok(request) = self.requests.try_recv() {
            while self.board.wait(LOOK, |sheet| (!sheet.is_busy()).then_some(())).is_none() {
                self.check_end()?;
            }
            self.serve(request)?;
        }
        Ok(())
    }

    fn serve(&mut self, mut request: Request) -> Result<(), End> {
        let partitions = self.board.lock().partitions.len() as u32;
        for partition in 0..partitions {
            let letters = self.letters(&request, partition, partitions)?;
            let (events, count) = request.events(letters);
            if count == 0 {
                continue;
            }
            for planned in request.planned(events, |events| self.planned(events))? {
                let planned = Arc::new(planned);
                let picks = share_out(&planned, &[StreamId::ZERO]).remove(0);
                let done = Some(request.counted.clone());
                self.board.change(|sheet| {
                    let work = Work { planned, picks, to: None, added: 0, done };
                    sheet.partitions[partition as usize].queue.push_back(work);
                });
            }
        }
        Ok(())
    }

    /// The dead letters that a request is about, of one partition.
    fn letters(
        &mut self,
        request: &Request,
        partition: u32,
        partitions: u32,
    ) -> Result<Vec<DeadLetter>, End> {
        let mut target = self.destination.open(&self.tables, &self.owner(partition, partitions));
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.insist_target(|| {
                target.prepare()?;
                target.dead_letters(after.unwrap_or_default(), self.settings.batch_events_max)
            })?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.event.id);
            found.extend(page.into_iter().filter(|letter| request.wants(letter.event.id)));
        }
    }

    /// Tries until the source answers.
    fn insist<R>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<R, SourceFault>,
    ) -> Result<R, End> {
        let mut backoff = Backoff::new(self.settings.backoff_max);
        loop {
            match attempt(self) {
                Ok(result) => return Ok(result),
                Err(fault) => self.board.change(|sheet| sheet.reader.down(&fault.0)),
            }
            self.board.pause(backoff.next());
            self.check_end()?;
        }
    }

    /// Tries until the database answers.
    fn insist_target<R>(
        &self,
        mut attempt: impl FnMut() -> Result<R, TargetFault>,
    ) -> Result<R, End> {
        let mut backoff = Backoff::new(self.settings.backoff_max);
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(TargetFault::Drift(reason)) => {
                    self.board.change(|sheet| sheet.reader.set(State::Paused { reason }));
                }
                Err(fault) => self.board.change(|sheet| sheet.reader.down(&fault.to_string())),
            }
            self.board.pause(backoff.next());
            self.check_end()?;
        }
    }

    fn check_end(&self) -> Result<(), End> {
        let sheet = self.board.lock();
        let fenced = sheet.partitions.iter().any(|partition| partition.halted);
        if sheet.stop || fenced { Err(End) } else { Ok(()) }
    }
}

fn has_letters(sheet: &Sheet, up_to: StreamId) -> bool {
    sheet.partitions.iter().flat_map(|p| &p.letters).any(|letter| letter.event.id <= up_to)
}

/// Dead letters up to a position, in the order of their ids.
fn take_letters(sheet: &mut Sheet, up_to: StreamId) -> Vec<DeadLetter> {
    let mut taken = Vec::new();
    for partition in &mut sheet.partitions {
        let all = std::mem::take(&mut partition.letters);
        let (now, later) = all.into_iter().partition(|letter| letter.event.id <= up_to);
        partition.letters = later;
        taken.extend::<Vec<_>>(now);
    }
    taken.sort_by_key(|letter| letter.event.id);
    taken
}
